"""Where a model comes from: a file that its library saved, or a function that makes a PyTorch network."""

import dataclasses
import re
from pathlib import Path

from serin_services.package import errors, folder

FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclasses.dataclass(frozen=True)
class Source:
    """The artifact, where it comes from in words, and what the manifest says of that."""

    artifact: bytes
    where: str
    lineage: dict[str, str] = dataclasses.field(default_factory=dict)
    # The largest difference from what the artifact was made of; nothing where it is the original.
    difference: float = 0.0


def read(source: Path | str) -> Source:
    """Read the file, or have the network made and exported.

    Raises:
        errors.PackageError: the file cannot be read, or the network cannot be exported.
    """
    text = str(source)
    if FUNCTION.fullmatch(text) and not Path(text).exists():
        raise errors.PackageError("Unsupported", "module:function")
    path = Path(source)
    return Source(folder.read_limited(path, folder.MAX_BYTES["artifact"], "the model file"), text)
