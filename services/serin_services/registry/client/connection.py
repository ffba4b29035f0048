"""What the methods of the client have in common: one connection, answers as types, lists page by page."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import pydantic

from serin_services.registry.client import transport

Result = TypeVar("Result", bound=pydantic.BaseModel)
Body = Mapping[str, Any]
# The most that the API gives at once.
_PAGE = 200


class Connection:
    """One caller's connection to a registry; for each thread its own."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        token_file: str | Path | None = None,
        timeout: float = 30.0,
        attempts: int = 4,
    ) -> None:
        """Take the address and the token; what is left out is read from the environment.

        Args:
            url: of the registry; else SERIN_REGISTRY_URL, else that of one on this machine.
            token: the caller's; else SERIN_REGISTRY_TOKEN, or the file that SERIN_REGISTRY_TOKEN_FILE names.
            token_file: a file with the token, read for each request: it may be renewed.
            timeout: seconds without a byte after which an answer is given up.
            attempts: how often a request is sent at most, where nothing or only a passing refusal came back.
        """
        self.transport = transport.Transport(
            url or transport.find_url(), transport.choose_token(token, token_file), timeout=timeout, attempts=attempts
        )
        self.attempts = attempts

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.transport.__exit__(*error)

    def pages(self, kind: type[Result], path: str, query: transport.Query | None = None) -> Iterator[Result]:
        """Give the items of a list, asking for the next page when it is wanted."""
        cursor: str | None = None
        while True:
            page = self.ask("GET", path, query={"limit": _PAGE, **(query or {}), "cursor": cursor})
            yield from (kind.model_validate(item) for item in page["items"])
            cursor = page["next"]
            if not cursor:
                return

    def get(self, kind: type[Result], path: str, query: transport.Query | None = None) -> Result:
        """Ask for one thing."""
        return kind.model_validate(self.ask("GET", path, query=query))

    def post(self, kind: type[Result], path: str, body: Body, headers: Mapping[str, str] | None = None) -> Result:
        """Have something made or done; what is None in the body is left out."""
        return kind.model_validate(self.ask("POST", path, body=_leave_out_none(body), headers=headers))

    def patch(self, kind: type[Result], path: str, revision: int, changes: Body) -> Result:
        """Change something that has not changed since it had this revision."""
        return kind.model_validate(self.ask("PATCH", path, body=changes, headers={"If-Match": f'"{revision}"'}))

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: transport.Query | None = None,
        body: Any = None,  # noqa: ANN401 - anything that JSON can say
        headers: Mapping[str, str] | None = None,
    ) -> Any:  # noqa: ANN401 - as above
        """Send a request, and give what its answer says in JSON."""
        return self.transport.ask(method, path, query=query, body=body, headers=headers).json()


def _leave_out_none(body: Body) -> Body:
    return {name: value for name, value in body.items() if value is not None}
