"""Artifacts in a bucket of an S3 API."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.store import S3Store

from serin_services.registry.artifacts import multipart

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

# At most 10,000 parts of it make an object: 80 GB.
PART = 8 * 1024 * 1024
# So many parts are in memory and on their way to the server at once.
PARTS_AT_ONCE = 4
READ = 1024 * 1024
# A server that restarts is back by then; whoever sends an artifact waits no longer.
_RETRY: RetryConfig = {"max_retries": 8, "retry_timeout": dt.timedelta(seconds=30)}
_NO_RETRY: RetryConfig = {"max_retries": 0}
_CHECK_TIMEOUT = dt.timedelta(seconds=5)
_SILENCE = dt.timedelta(seconds=60)
# Whoever fetches an artifact over a slow line takes his time; what ends a dead connection is its silence.
_WHOLE_REQUEST = dt.timedelta(hours=12)


@dataclasses.dataclass(frozen=True)
class Address:
    """Where a bucket is, and how the registry may use it: a bucket of its own, with nothing else in it."""

    bucket: str
    endpoint: str
    access_key: str = dataclasses.field(repr=False)
    secret_key: str = dataclasses.field(repr=False)
    region: str = "us-east-1"
    # PEM of a private authority, where the endpoint's certificate is from one.
    ca_file: Path | None = None


class Bucket:
    """A bucket with the artifacts; an object is seen when its last part is there, and never before."""

    def __init__(self, address: Address) -> None:
        """Take the address; nothing is asked of the server yet."""
        self._address = address
        self.objects = _connect(address, _RETRY, _WHOLE_REQUEST)
        self._checked = _connect(address, _NO_RETRY, _CHECK_TIMEOUT)

    def write(self, key: str, chunks: Iterator[bytes]) -> None:
        """Send all chunks as the parts of one object; on an error the server is told to forget them.

        A part that the server is just taking in then may bring the upload back, never the object; S3 says so of
        AbortMultipartUpload. `remove_unfinished` is for that, too.
        """
        obstore.put(self.objects, key, chunks, use_multipart=True, chunk_size=PART, max_concurrency=PARTS_AT_ONCE)

    def read(self, key: str) -> Iterator[bytes]:
        """Open the object; gives its bytes. Raises FileNotFoundError."""
        answer = obstore.get(self.objects, key)
        return (bytes(chunk) for chunk in answer.stream(min_chunk_size=READ))

    def remove_unfinished(self, older_than: dt.datetime) -> int:
        """Have the server forget the parts of uploads that began before this moment; gives the uploads' number."""
        with multipart.Uploads(self._address.endpoint, self._address.bucket, self._credentials()) as uploads:
            old = [upload for upload in uploads.find() if upload.began < older_than]
            for upload in old:
                uploads.abort(upload)
        return len(old)

    def check(self) -> None:
        """Ask for a name that nothing has: server, bucket and credentials have to be right for that."""
        obstore.list_with_delimiter(self._checked, ".health")

    def _credentials(self) -> multipart.Credentials:
        address = self._address
        return multipart.Credentials(address.access_key, address.secret_key, address.region, address.ca_file)


def _connect(address: Address, retry: RetryConfig, timeout: dt.timedelta) -> S3Store:
    options: ClientConfig = {
        "allow_http": address.endpoint.startswith("http://"),
        "connect_timeout": dt.timedelta(seconds=5),
        "read_timeout": min(timeout, _SILENCE),
        "timeout": timeout,
    }
    if address.ca_file:
        options["root_certificate"] = address.ca_file.read_bytes()
    return S3Store(
        address.bucket,
        endpoint=address.endpoint,
        access_key_id=address.access_key,
        secret_access_key=address.secret_key,
        region=address.region,
        client_options=options,
        retry_config=retry,
    )
