"""Where the log goes, as one address: its scheme chooses the sink, and what stands behind # sets it up.

Options stand in the fragment because a query may be part of an endpoint's own address.
"""

import dataclasses
import importlib
import os
import socket
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from serin_services.package import manifest
from serin_services.server.predictions import documents, lines, sinks

MIB = 1024 * 1024
Options = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Option:
    """A number that an address may set, or with `default` "" a text."""

    default: float | int | str
    least: float = 0
    most: float = 1 << 40


@dataclasses.dataclass(frozen=True)
class Scheme:
    """One kind of sink: what opens it and what its addresses may set."""

    open: Callable[[urllib.parse.SplitResult, Options, manifest.Manifest], sinks.Sink]
    options: Mapping[str, Option]


def open_lines(address: urllib.parse.SplitResult, options: Options, document: manifest.Manifest) -> sinks.Sink:
    """Open a file of JSON lines; in a folder (an address that ends with /) it bears the host's name."""
    path = local_path(address)
    if address.path.endswith("/"):
        path = path / f"{socket.gethostname()}.jsonl"
    return lines.LineFile(path, lines.LineEncoder(documents.Describer(document)), **options)


def open_output(_address: urllib.parse.SplitResult, options: Options, document: manifest.Manifest) -> sinks.Sink:
    """Write JSON lines to standard output."""
    return lines.StandardOutput(lines.LineEncoder(documents.Describer(document)), **options)


def open_parquet(address: urllib.parse.SplitResult, options: Options, document: manifest.Manifest) -> sinks.Sink:
    """Write Parquet files into a folder."""
    parquet = importlib.import_module("serin_services.server.predictions.parquet")
    sink: sinks.Sink = parquet.ParquetFolder(local_path(address), document, **options)
    return sink


def open_http(address: urllib.parse.SplitResult, options: Options, document: manifest.Manifest) -> sinks.Sink:
    """Post CloudEvents to an endpoint."""
    events = importlib.import_module("serin_services.server.predictions.events")
    if address.username is not None or address.password is not None:
        raise ValueError(
            "expected no user and password in it; name where they are: #authorization=env:NAME or file:/PATH"
        )
    if not address.hostname:
        raise ValueError("expected a host, such as http://collector:8080/predictions")
    target = (address.path or "/") + (f"?{address.query}" if address.query else "")
    reference = options.pop("authorization")
    endpoint = events.Endpoint(
        address.scheme,
        address.hostname,
        address.port,
        target,
        find_secret(reference) if reference else None,
        options.pop("timeout_seconds"),
    )
    encoder = events.EventEncoder(documents.Describer(document), options.pop("batch"))
    sink: sinks.Sink = events.EventEndpoint(endpoint, encoder, **options)
    return sink


def flush_after(seconds: float) -> dict[str, Option]:
    """Give the option that every sink has: how long a prediction waits."""
    return {"flush_seconds": Option(seconds, 0.01, 3600)}


# For how long a piece is tried, where another try may help.
RETRY = {"retry_seconds": Option(60.0, 0, 3600)}


HTTP = Scheme(
    open_http,
    {
        **flush_after(1.0),
        **RETRY,
        "batch": Option(100, 1, 10_000),
        "timeout_seconds": Option(10.0, 0.1, 600),
        "authorization": Option(""),
    },
)
SCHEMES = {
    "stdout": Scheme(open_output, flush_after(1.0)),
    "file": Scheme(
        open_lines, {**flush_after(1.0), **RETRY, "rotate_bytes": Option(128 * MIB, 4096), "keep": Option(8, 0, 10_000)}
    ),
    "parquet": Scheme(open_parquet, {**flush_after(60.0), **RETRY}),
    "http": HTTP,
    "https": HTTP,
}


def open_sink(address: str, document: manifest.Manifest) -> sinks.Sink:
    """Open the sink of an address.

    Raises:
        ValueError: the address cannot be read or opened; its text never quotes the address, which may hold a secret.
    """
    split = urllib.parse.urlsplit("stdout:" if address == "-" else address)
    if (scheme := SCHEMES.get(split.scheme)) is None:
        raise ValueError(f"expected - or an address that begins with {', '.join(f'{name}:' for name in SCHEMES)}")
    options = read_options(split.fragment, split.scheme, scheme.options)
    try:
        return scheme.open(split, options, document)
    except OSError as error:
        raise ValueError(f"cannot be opened: {error}") from error
    except ImportError as error:
        raise ValueError(f"{error}; install serin[server]") from error


def read_options(fragment: str, scheme: str, known: Mapping[str, Option]) -> Options:
    """Read `name=value&name=value`."""
    options: Options = {name: option.default for name, option in known.items()}
    for name, value in urllib.parse.parse_qsl(fragment, keep_blank_values=True):
        if name not in known:
            raise ValueError(f"{name}: expected one of {', '.join(known)} behind the # of {scheme}:")
        options[name] = read_option(name, value, known[name])
    return options


def read_option(name: str, value: str, option: Option) -> float | int | str:
    """Read one value as what its default is."""
    if isinstance(option.default, str):
        return value
    kind = type(option.default)
    try:
        number = kind(value)
    except ValueError:
        number = kind(-1)
    if not option.least <= number <= option.most:
        raise ValueError(f"{name}: expected a number from {option.least:g} to {option.most:g}, got {value!r}")
    return number


def local_path(address: urllib.parse.SplitResult) -> Path:
    """Give the path of an address without a host."""
    if address.netloc or not address.path.startswith("/"):
        raise ValueError(f"expected {address.scheme}:///path, with three slashes")
    return Path(urllib.parse.unquote(address.path))


def find_secret(reference: str) -> Callable[[], str]:
    """Give what reads a secret, from `env:NAME` or `file:/path`; where it is may be told, what it is never."""
    where, _, name = reference.partition(":")
    if where == "env" and name in os.environ:
        return os.environ[name].strip
    if where == "file" and os.access(name, os.R_OK):
        return lambda: Path(name).read_text().strip()
    raise ValueError("authorization: expected env:NAME or file:/PATH, and the variable set or the file readable")
