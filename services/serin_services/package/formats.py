"""Says what a file is that is no model in a safe format: the pickles above all, in each of their disguises.

Nothing here opens what it names. A pickle is code, and it hides in joblib files, in compressed files, and in the zip
archives that `torch.save` writes.
"""

import bz2
import dataclasses
import io
import lzma
import pickletools
import zipfile
import zlib
from collections.abc import Callable

HEAD_BYTES = 64
# So much of a compressed file is looked at.
PEEK_BYTES = 4096

SAVE_AGAIN = "save the model with its library's own save_model(), and package that"
EXPORT_TORCH = (
    "package the network from your code, --from module:function, or save its weights of a registered architecture "
    "as safetensors"
)


@dataclasses.dataclass(frozen=True)
class Description:
    """What a file is, and what to do instead."""

    words: str
    advice: str = SAVE_AGAIN


# What other files begin with.
STARTS = {
    b"\x89HDF\r\n\x1a\n": Description("an HDF5 file, as Keras writes", "convert it to ONNX, with tf2onnx for example"),
    b"\x93NUMPY": Description("a NumPy array"),
    b"GGUF": Description("a GGUF file of a language model", "serve it with a server for language models"),
    b"binf": Description("XGBoost's old binary format", "open it with XGBoost and save it as .ubj"),
    b"bs64": Description("XGBoost's old binary format", "open it with XGBoost and save it as .ubj"),
    b"\x7fELF": Description("a program"),
    b"{": Description("JSON of something else"),
}
COMPRESSIONS: dict[bytes, tuple[str, Callable[[bytes], bytes]]] = {
    b"\x1f\x8b": ("gzip", lambda data: zlib.decompressobj(31).decompress(data, PEEK_BYTES)),
    b"\x78": ("zlib", lambda data: zlib.decompressobj().decompress(data, PEEK_BYTES)),
    b"BZh": ("bz2", lambda data: bz2.BZ2Decompressor().decompress(data, PEEK_BYTES)),
    b"\xfd7zXZ": ("xz", lambda data: lzma.LZMADecompressor().decompress(data, PEEK_BYTES)),
    b"\x5d\x00\x00": ("lzma", lambda data: lzma.LZMADecompressor().decompress(data, PEEK_BYTES)),
}
# What pickles of protocols 0 and 1, which have no mark of their own, begin with.
OLD_PICKLES = (b"(l", b"(d", b"(i", b"ccopy_reg", b"cnumpy", b"c__builtin__", b"]q", b"}q")
JOBLIB_MARKS = (b"joblib", b"NumpyArrayWrapper")
NEVER = "which runs code when it is opened and is never accepted"


def describe(content: bytes) -> Description:
    """Name a file by its content, whatever it is called."""
    if not content:
        return Description("an empty file")
    if content.startswith(b"PK\x03\x04"):
        return describe_zip(content)
    for start, (name, decompress) in COMPRESSIONS.items():
        if content.startswith(start):
            return describe_compressed(name, decompress, content)
    for start, description in STARTS.items():
        if content.startswith(start):
            return description
    if is_pickle(content):
        kind = "a joblib file: a pickle" if any(mark in content for mark in JOBLIB_MARKS) else "a pickle"
        legacy = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." in content[:HEAD_BYTES]
        return (
            Description(f"an old PyTorch checkpoint: a pickle, {NEVER}", EXPORT_TORCH)
            if legacy
            else Description(f"{kind}, {NEVER}")
        )
    return Description(f"a file that starts with {content[:8]!r}")


def describe_compressed(name: str, decompress: Callable[[bytes], bytes], content: bytes) -> Description:
    """Look at the first bytes inside, since joblib compresses its pickles."""
    try:
        inside = decompress(content[: 2 * PEEK_BYTES])
    except (zlib.error, OSError, lzma.LZMAError, EOFError):
        inside = b""
    if is_pickle(inside):
        return Description(f"a joblib file: a pickle compressed with {name}, {NEVER}")
    return Description(f"a file compressed with {name}", "unpack it, and package the model inside")


def describe_zip(content: bytes) -> Description:
    """Name the pickle in an archive, which `torch.save` and NumPy hide there."""
    try:
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return Description("an archive (zip)", "unpack it, and package the model inside")
    pickled = next((name for name in names if name.endswith((".pkl", ".pickle"))), None)
    if pickled is None:
        words = (
            "a NumPy archive (.npz)" if names and all(name.endswith(".npy") for name in names) else "an archive (zip)"
        )
        return Description(words, "unpack it, and package the model inside")
    if pickled.endswith(("/data.pkl", "/constants.pkl")) or pickled == "data.pkl":
        kind = "TorchScript archive" if any("/code/" in name for name in names) else "PyTorch checkpoint"
        return Description(f"a {kind} (zip with a pickle inside: {pickled}), {NEVER}", EXPORT_TORCH)
    return Description(f"an archive (zip with a pickle inside: {pickled}), {NEVER}")


def is_pickle(content: bytes) -> bool:
    """Whether it is a pickle of any protocol: by its mark, or by reading its operations without running any."""
    if (content[:1] == b"\x80" and content[1:2] <= b"\x05") or content.startswith(OLD_PICKLES):
        return True
    try:
        for count, (operation, _, _) in enumerate(pickletools.genops(content[:PEEK_BYTES])):
            if operation.name == "STOP":
                return count > 0
    except Exception:  # noqa: BLE001 - pickletools raises what it likes on what is no pickle
        return False
    return False
