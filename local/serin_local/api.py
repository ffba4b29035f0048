"""A small client of the cluster's API server: enough to ask for one object, without a library's seconds of import."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import Any

from . import plan
from .layout import Layout

TIMEOUT_SECONDS = 5.0


def context(layout: Layout) -> ssl.SSLContext:
    """TLS as the administrator, trusting the cluster's own authority."""
    made = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
    made.load_cert_chain(layout.pki / "admin.crt", layout.pki / "admin.key")
    return made


def get(layout: Layout, path: str) -> dict[str, Any] | None:
    """One object or list by its path; None when it is not there or the API server does not answer."""
    try:
        tls = context(layout)
        with urllib.request.urlopen(plan.API_SERVER + path, timeout=TIMEOUT_SECONDS, context=tls) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found
    except (OSError, ValueError):  # URLError and TLS errors are OSErrors; an answer cut short is a ValueError
        return None


def answers(layout: Layout, url: str) -> bool:
    """Whether a URL answers 200. Health of the components only: some of them sign their certificates themselves."""
    local = not url.startswith(plan.API_SERVER)
    try:
        tls = _unverified() if local else context(layout)
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS, context=tls) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def speaks(url: str) -> bool:
    """Whether a plain HTTP server answers below 500 there: a gateway without routes says 404."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS):  # noqa: S310
            return True
    except urllib.error.HTTPError as error:
        with error:
            return error.code < 500
    except (OSError, ValueError):
        return False


def _unverified() -> ssl.SSLContext:
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made
