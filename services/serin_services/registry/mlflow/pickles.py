"""Which files are pickles: code that runs when it is opened. They are kept as they are, apart, and never opened."""

import zipfile
from pathlib import Path

from serin_services.package import formats

# Where the registry keeps what other tools brought along, so that nobody takes one for a model.
FOLDER = "opaque"
# What says of one of them that it is a pickle.
MEDIA_TYPE = "application/x-python-pickle"
SUFFIXES = {".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt"}


def find_reason(file: Path) -> str:
    """Say what makes a file a pickle, by what is inside first; nothing where it is none.

    In constant memory: of an archive the names are read, of all else the first bytes.
    """
    if zipfile.is_zipfile(file):
        words = _describe_archive(file)
    else:
        with file.open("rb") as opened:
            words = formats.describe(opened.read(2 * formats.PEEK_BYTES)).words
    if formats.NEVER in words:
        return words
    return f"a file whose name ends in {file.suffix}, as pickles' do" if file.suffix.lower() in SUFFIXES else ""


def _describe_archive(file: Path) -> str:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return ""
    inside = next((name for name in names if Path(name).suffix.lower() in SUFFIXES), None)
    return f"an archive with a pickle inside ({inside}), {formats.NEVER}" if inside else ""
