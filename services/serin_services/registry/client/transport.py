"""One connection to a registry's API: who asks, what is tried again, and what a refusal becomes.

Whatever is sent twice must happen once: a POST carries a key that the API knows it by, a PUT names its content's digest,
and a PATCH, which has neither, is not sent again once the server may have seen it.
"""

import io
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib import parse

import requests
from requests import adapters, auth
from urllib3.util import Retry

from serin_services.registry import errors

URL = "SERIN_REGISTRY_URL"
TOKEN = "SERIN_REGISTRY_TOKEN"  # noqa: S105 - a variable's name
TOKEN_FILE = "SERIN_REGISTRY_TOKEN_FILE"  # noqa: S105 - a variable's name
LOCAL = "http://127.0.0.1:8080"
ROOT = "/api/v1"

# Seconds that a connection may take.
_CONNECT_SECONDS = 5.0
# Answers of a server that may answer otherwise a moment later.
_FOR_NOW = (429, 502, 503, 504)
_AGAIN = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE"})
# Between two attempts: 0.2 s, 0.4 s, … and as much again by chance, so that not all come back at once.
_BACKOFF_SECONDS = 0.2
_KINDS: dict[int, type[errors.RegistryError]] = {
    401: errors.ForbiddenError,
    403: errors.ForbiddenError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    412: errors.PreconditionError,
    413: errors.TooLargeError,
    428: errors.PreconditionError,
    429: errors.UnavailableError,
}

Query = Mapping[str, Any]


class Transport:
    """A registry's address with a caller's token; one for each thread."""

    def __init__(self, url: str, token: Callable[[], str], *, timeout: float, attempts: int) -> None:
        """Take the address; nothing is asked of it yet.

        Args:
            url: of the registry, without `/api/v1`.
            token: gives the caller's token for each request, so that a file with one may be renewed.
            timeout: seconds without a byte after which an answer is given up.
            attempts: how often a request is sent at most.
        """
        self._url = url.rstrip("/")
        self._timeout = (min(_CONNECT_SECONDS, timeout), timeout)
        self._session = requests.Session()
        self._session.auth = _Bearer(token)
        retry = Retry(
            total=attempts - 1,
            redirect=False,
            allowed_methods=_AGAIN,
            status_forcelist=_FOR_NOW,
            backoff_factor=_BACKOFF_SECONDS,
            backoff_jitter=_BACKOFF_SECONDS,
            raise_on_status=False,
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapters.HTTPAdapter(max_retries=retry))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._session.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,  # noqa: ANN401 - anything that JSON can say
        content: io.RawIOBase | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        also: frozenset[int] = frozenset(),
    ) -> requests.Response:
        """Send a request and give its answer, where it succeeded or has one of the statuses in `also`.

        Raises:
            errors.RegistryError: of the kind and with the sentences of the problem that the registry answered.
            errors.UnavailableError: it does not answer.
        """
        sent = {"Idempotency-Key": uuid.uuid4().hex, **(headers or {})} if method == "POST" else dict(headers or {})
        try:
            answer = self._session.request(
                method,
                f"{self._url}{path}",
                params={name: value for name, value in (query or {}).items() if value not in (None, "")},
                json=body,
                data=content,
                headers=sent,
                timeout=self._timeout,
                stream=stream,
                allow_redirects=False,
            )
        except (requests.RequestException, ValueError) as error:
            raise self.explain(error) from error
        if answer.status_code >= 300 and answer.status_code not in also:
            raise read_problem(answer)
        return answer

    def explain(self, error: Exception) -> errors.UnavailableError:
        """Say that the registry does not answer, and where it was looked for."""
        return errors.UnavailableError(
            f"the registry at {self._url} does not answer: {_last_word(error)}; is it there? {URL} names another"
        )


class _Bearer(auth.AuthBase):
    """The caller's token; set like this, a password in ~/.netrc cannot take its place."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if token := self._token():
            request.headers["Authorization"] = f"Bearer {token}"
        return request


def find_url(environment: Mapping[str, str] = os.environ) -> str:
    """Give the registry's address: what the environment says, or one on this machine."""
    return environment.get(URL) or LOCAL


def find_token(environment: Mapping[str, str] = os.environ) -> Callable[[], str]:
    """Give what reads the token: a variable, or a file that is read for each request."""
    if path := environment.get(TOKEN_FILE):
        return lambda: read_token(Path(path))
    token = environment.get(TOKEN, "")
    return lambda: token


def choose_token(token: str | None, file: str | Path | None) -> Callable[[], str]:
    """Give what reads the token: the one that is given, or a file, or what the environment says."""
    if token is not None:
        return lambda: token
    return (lambda: read_token(Path(file))) if file else find_token()


def read_token(path: Path) -> str:
    """Read a token from a file.

    Raises:
        errors.InvalidError: it cannot be read.
    """
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.InvalidError(f"{path}: expected a file with a token, but {type(error).__name__}") from None


def read_problem(answer: requests.Response) -> errors.RegistryError:
    """Make the registry's refusal an error of the kind that the registry raised itself."""
    kind = _KINDS.get(answer.status_code)
    if kind is None:
        kind = errors.InvalidError if answer.status_code < 500 else errors.UnavailableError
    try:
        problem = answer.json()
    except requests.RequestException:
        problem = None
    if not isinstance(problem, dict) or "title" not in problem:
        return kind(f"{answer.request.method} {answer.url} was answered with {answer.status_code} {answer.reason}")
    faults = [
        errors.Fault(str(fault.get("where", "")), str(fault.get("message", ""))) for fault in problem.get("errors", [])
    ]
    message = str(problem.get("detail") or problem["title"])
    advice = f"; {TOKEN} has it, or the file that {TOKEN_FILE} names" if answer.status_code == 401 else ""
    return kind(f"{message}{advice}", *faults)


def quote(*segments: object) -> str:
    """Make a path of segments, none of which can lead elsewhere.

    Raises:
        errors.InvalidError: a segment is empty or only dots, which a path would swallow.
    """
    texts = [str(segment) for segment in segments]
    if strange := [text for text in texts if text in {"", ".", ".."}]:
        raise errors.InvalidError(f"expected a name, got {strange[0]!r}")
    return ROOT + "".join(f"/{parse.quote(text, safe='')}" for text in texts)


def _last_word(error: Exception) -> str:
    """Give the innermost reason, without the objects that the libraries print in front of it."""
    while inner := getattr(error, "reason", None) or (error.args[0] if error.args else None):
        if not isinstance(inner, Exception):
            break
        error = inner
    return str(error).rpartition(": ")[2] or type(error).__name__
