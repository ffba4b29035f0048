"""What goes wrong with MLflow, as the registry's kinds of errors, without what an address may hold before an `@`."""

import contextlib
import re
from collections.abc import Iterator

import requests
from mlflow.exceptions import MlflowException

from serin_services.registry import errors

KINDS: dict[int, type[errors.RegistryError]] = {
    401: errors.ForbiddenError,
    403: errors.ForbiddenError,
    404: errors.NotFoundError,
    429: errors.UnavailableError,
}
ADVICE: dict[type[errors.RegistryError], str] = {
    errors.ForbiddenError: "check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    errors.UnavailableError: "check MLFLOW_TRACKING_URI and the server, then run it again: it goes on where it was",
}


@contextlib.contextmanager
def telling(what: str) -> Iterator[None]:
    """Turn MLflow's errors into the registry's, with what could not be done."""
    try:
        yield
    except MlflowException as error:
        status = error.get_http_status_code()
        kind = KINDS.get(status, errors.UnavailableError if status >= 500 else errors.InvalidError)
        raise _make_error(kind, what, error) from None
    except (requests.RequestException, OSError) as error:
        raise _make_error(errors.UnavailableError, what, error) from None


def _make_error(kind: type[errors.RegistryError], what: str, error: Exception) -> errors.RegistryError:
    advice = ADVICE.get(kind)
    return kind(f"MLflow: {what}: {redact(str(error))}{f'; {advice}' if advice else ''}")


def redact(text: str) -> str:
    """Take out what an address holds before its `@`: a name and a password."""
    return re.sub(r"//[^/@\s]+@", "//", text)


@contextlib.contextmanager
def or_nothing() -> Iterator[None]:
    """Go on behind the block where there is no such thing."""
    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
