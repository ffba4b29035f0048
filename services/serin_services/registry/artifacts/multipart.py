"""Multipart uploads that nobody will finish: their parts cost space, and obstore neither lists nor aborts them.

Two requests of the S3 API, ListMultipartUploads and AbortMultipartUpload, signed with AWS Signature Version 4 ("Create
a signed AWS API request" in the IAM user guide).
"""

import dataclasses
import datetime as dt
import hashlib
import hmac
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from xml.etree import ElementTree as ET

import requests

TIMEOUT_SECONDS = 30
# The most that a server gives in one answer.
PAGE = 1000
_EMPTY = hashlib.sha256(b"").hexdigest()


@dataclasses.dataclass(frozen=True)
class Credentials:
    """What requests are signed with, and the authority that the server's certificate is checked against."""

    access_key: str = dataclasses.field(repr=False)
    secret_key: str = dataclasses.field(repr=False)
    region: str
    ca_file: Path | None = None


@dataclasses.dataclass(frozen=True)
class Upload:
    """An upload that has begun and not ended."""

    key: str
    id: str
    began: dt.datetime


class Uploads:
    """The unfinished uploads of a bucket. Its methods raise requests.RequestException where the server does not answer."""

    def __init__(self, endpoint: str, bucket: str, credentials: Credentials) -> None:
        """Take the address of the bucket; nothing is asked yet."""
        self._root = f"{endpoint.rstrip('/')}/{bucket}"
        self._credentials = credentials
        self._session = requests.Session()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def find(self) -> Iterator[Upload]:
        """Give all of them, page after page."""
        page: Mapping[str, str] = {}
        while True:
            answer = self._ask("GET", "", {"uploads": "", "max-uploads": str(PAGE), **page})
            # The answer of the registry's own store.
            tree = ET.fromstring(answer.content)  # noqa: S314
            for entry in tree.iterfind("{*}Upload"):
                began = dt.datetime.fromisoformat(_text(entry, "Initiated"))
                yield Upload(_text(entry, "Key"), _text(entry, "UploadId"), began)
            if _text(tree, "IsTruncated") != "true":
                return
            # By key alone: versitygw refuses the marker of an upload that it gave itself. The rest of a key's uploads
            # is found the next time, when the first are gone.
            page = {"key-marker": _text(tree, "NextKeyMarker")}

    def abort(self, upload: Upload) -> None:
        """Have the server forget an upload; one that has ended meanwhile is left as it is."""
        self._ask("DELETE", f"/{upload.key}", {"uploadId": upload.id}, forgiven=404)

    def _ask(self, method: str, path: str, query: Mapping[str, str], forgiven: int = 0) -> requests.Response:
        url = urllib.parse.urlsplit(self._root)
        quoted_path = urllib.parse.quote(url.path + path, safe="/-_.~")
        quoted_query = urllib.parse.urlencode(sorted(query.items()), quote_via=urllib.parse.quote, safe="-_.~")
        headers = sign(f"{method}\n{quoted_path}\n{quoted_query}", url.netloc, self._credentials, _now())
        answer = self._session.request(
            method,
            f"{url.scheme}://{url.netloc}{quoted_path}?{quoted_query}",
            headers=headers,
            timeout=TIMEOUT_SECONDS,
            verify=str(self._credentials.ca_file) if self._credentials.ca_file else True,
        )
        if answer.status_code != forgiven:
            answer.raise_for_status()
        return answer


def sign(request: str, host: str, credentials: Credentials, now: dt.datetime) -> dict[str, str]:
    """Make the headers of a request without a body; the request is its method, path and query, a line each."""
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{credentials.region}/s3/aws4_request"
    headers = {"host": host, "x-amz-content-sha256": _EMPTY, "x-amz-date": moment}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = hashlib.sha256(f"{request}\n{lines}\n{names}\n{_EMPTY}".encode()).hexdigest()
    key = f"AWS4{credentials.secret_key}".encode()
    for part in [*scope.split("/"), f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{canonical}"]:
        key = hmac.digest(key, part.encode(), "sha256")
    credential = f"Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    return {**headers, "authorization": f"AWS4-HMAC-SHA256 {credential}"}


def _text(element: ET.Element, name: str) -> str:
    return element.findtext(f"{{*}}{name}", "")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
