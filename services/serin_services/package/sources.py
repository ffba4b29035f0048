"""Where a model comes from: a file that its library saved, or a function that makes a PyTorch network."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

from serin_services.package import errors, folder

FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclasses.dataclass(frozen=True)
class Source:
    """The artifact, where it comes from in words, and what the manifest says of that."""

    artifact: bytes
    where: str
    lineage: dict[str, str] = dataclasses.field(default_factory=dict)
    # The largest difference from what the artifact was made of; none where it is the original.
    difference: float = 0.0


def read(source: Path | str, progress: Callable[[str], None]) -> Source:
    """Read the file, or have the network made and exported.

    Raises:
        errors.PackageError: the file cannot be read, or the network cannot be exported.
    """
    where = str(source)
    if FUNCTION.fullmatch(where) and not Path(where).exists():
        return export(where, progress)
    return Source(folder.read_limited(Path(source), folder.MAX_BYTES["artifact"], "the model file"), where)


def export(reference: str, progress: Callable[[str], None]) -> Source:
    """Have a network made by the caller's function and exported to ONNX."""
    progress("importing PyTorch")
    try:
        import torch  # noqa: PLC0415 - takes seconds, and is only here

        from serin_services.package import exporting  # noqa: PLC0415 - imports PyTorch
    except ImportError as error:
        raise errors.PackageError(
            "LibraryMissing", f"{reference}: exporting a PyTorch network needs torch: {error}; install serin[torch]"
        ) from error
    progress(f"exporting {reference} to ONNX")
    exported = exporting.export(reference)
    lineage = {"exported from": reference, "torch": str(torch.__version__)}
    return Source(exported.content, reference, lineage, exported.difference)
