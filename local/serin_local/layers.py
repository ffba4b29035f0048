"""Images in buildah's store, taken out layer by layer: `buildah push` reads all of them, 500 MB for one changed file."""

from __future__ import annotations

import json
import pathlib
import subprocess
from collections.abc import Collection
from typing import Any

from . import errors, layout, oci, store

ADVICE = "check that the image exists (`buildah images`) and that the cluster is up (`serin local status`)"


def export(place: layout.Layout, reference: str, target: pathlib.Path, present: Collection[str]) -> None:
    """Write an image as `buildah push dir:` does, without the layers whose digests are in `present`.

    Raises `ClusterError` where there is no such image.
    """
    described = _read_json(["buildah", "inspect", "--type", "image", reference])
    manifest, config = (str(described[name]).encode() for name in ("Manifest", "Config"))
    content = json.loads(manifest)
    wanted = {layer["digest"] for layer in content["layers"]} - set(present)
    stored = _find_layers()
    # A pulled image's manifest names its layers as they came, compressed; they are stored unpacked.
    if not (wanted <= stored.keys() and oci.digest(config) == content["config"]["digest"]):
        argv = ["buildah", "push", "-q", "--disable-compression", reference, f"dir:{target}"]
        store.execute(place, "load image", argv, ADVICE)
        return
    target.mkdir()
    (target / "manifest.json").write_bytes(manifest)
    (target / _file_name(content["config"]["digest"])).write_bytes(config)
    for digest in wanted:
        file = target / _file_name(digest)
        argv = ["containers-storage", "diff", "--uncompressed", "--file", str(file), stored[digest]]
        store.execute(place, "load image", argv, ADVICE)


def _find_layers() -> dict[str, str]:
    """The ids of the stored layers by the digests of their unpacked content."""
    rows = _read_json(["containers-storage", "layers", "--json"])
    return {row["diff-digest"]: row["id"] for row in rows if "diff-digest" in row}


def _read_json(argv: list[str]) -> Any:  # noqa: ANN401 - whatever the program says
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise errors.ClusterError("load image", f"`{' '.join(argv)}`: {done.stderr.strip()}", ADVICE)
    return json.loads(done.stdout)


def _file_name(digest: str) -> str:
    return digest.removeprefix("sha256:")
