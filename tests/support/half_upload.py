"""A process that is in the middle of an upload, to be killed there: `python -m support.half_upload`, told on its input."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from serin_services.registry.artifacts import bucket, encryption, folder, layout, store
from support import artifact_laws


def stopping(chunks: list[bytes], sent: int) -> Iterator[bytes]:
    """Give so many chunks, say so, and wait for the end."""
    yield from chunks[:sent]
    print("sent", flush=True)
    time.sleep(3600)


def main() -> None:
    told = json.loads(sys.stdin.read())
    backend = (
        bucket.Bucket(bucket.Address(**told["address"])) if "address" in told else folder.Folder(Path(told["folder"]))
    )
    keys = encryption.Keys.parse(told["keys"], "input") if told["keys"] else None
    place, chunks = layout.Place(**told["place"]), artifact_laws.LARGE
    source = stopping(chunks, told["sent"])
    store.Store(backend, keys).put(place, source, artifact_laws.digest_of(*chunks), artifact_laws.LIMIT)


if __name__ == "__main__":
    main()
