"""Files that are no model in a safe format: each is named, and none is opened."""

import bz2
import io
import lzma
import pickle
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serin_services.package import errors, families, formats
from support import packages


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("exploded"),))


def archive(**members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        for name, inside in members.items():
            made.writestr(name.replace("__", "/").replace("_pkl", ".pkl").replace("_npy", ".npy"), inside)
    return content.getvalue()


def joblib_file(compress: object = 0) -> bytes:
    content = io.BytesIO()
    joblib.dump({"weights": np.arange(3), "bomb": Bomb()}, content, compress=compress)
    return content.getvalue()


# As torch.save wrote until version 1.6: a magic number, a protocol and the objects, each a pickle.
OLD_CHECKPOINT = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2) + pickle.dumps(1001, protocol=2)
FILES: dict[str, tuple[bytes, str, str]] = {
    "nothing": (b"", "an empty file", "save_model()"),
    **{
        f"a pickle of protocol {protocol}": (pickle.dumps([Bomb()], protocol), "a pickle, which runs", "save_model()")
        for protocol in range(6)
    },
    "a PyTorch checkpoint": (
        archive(archive__data_pkl=pickle.dumps(Bomb()), archive__version=b"3\n"),
        "a PyTorch checkpoint (zip with a pickle inside: archive/data.pkl)",
        "--from module:function",
    ),
    "a TorchScript archive": (
        archive(model__constants_pkl=b"\x80\x02", model__code__a=b"", model__data_pkl=b"\x80\x02"),
        "a TorchScript archive (zip with a pickle inside: model/constants.pkl)",
        "--from module:function",
    ),
    "an old PyTorch checkpoint": (OLD_CHECKPOINT, "an old PyTorch checkpoint: a pickle", "--from module:function"),
    "an archive with a pickle deep inside": (
        archive(some__where__model_pkl=b"x"),
        "an archive (zip with a pickle inside: some/where/model.pkl)",
        "save_model()",
    ),
    "a NumPy archive": (archive(a_npy=b"x"), "a NumPy archive", "unpack it"),
    "an archive of something else": (archive(readme=b"x"), "an archive (zip)", "unpack it"),
    "a broken archive": (b"PK\x03\x04broken", "an archive (zip)", "unpack it"),
    "a joblib file": (joblib_file(), "a joblib file: a pickle, which runs code", "save_model()"),
    "a joblib file in zlib": (joblib_file(("zlib", 3)), "a joblib file: a pickle compressed with zlib", "save_model()"),
    "a joblib file in gzip": (joblib_file(("gzip", 3)), "compressed with gzip", "save_model()"),
    "a joblib file in bz2": (joblib_file(("bz2", 3)), "compressed with bz2", "save_model()"),
    "a joblib file in xz": (joblib_file(("xz", 3)), "compressed with xz", "save_model()"),
    "a joblib file in lzma": (joblib_file(("lzma", 3)), "compressed with lzma", "save_model()"),
    "a compressed model": (zlib.compress(packages.xgboost_model()), "a file compressed with zlib", "unpack it"),
    "a broken bz2": (b"BZh9broken", "a file compressed with bz2", "unpack it"),
    "Keras": (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "ONNX"),
    "XGBoost's old format": (b"binf\0\0", "XGBoost's old binary format", "save it as .ubj"),
    "a list in JSON": (b"{}", "JSON of something else", "save_model()"),
    "text": (b"Dear reader,", "a file that starts with b'Dear rea'", "save_model()"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "words", "advice"), FILES.values(), ids=FILES)
def test_it_is_named_with_what_to_do_instead(
    content: bytes, words: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(errors.PackageError) as caught:
        families.recognise(content, "model.bin")

    assert caught.value.reason == "WrongFormat"
    assert words in caught.value.message
    assert advice in caught.value.message
    assert not Path("exploded").exists()


def test_a_bomb_of_compression_is_not_unpacked() -> None:
    content = zlib.compress(b"\0" * 50_000_000)

    assert formats.describe(content).words == "a file compressed with zlib"


PACKERS: list[Callable[[bytes], bytes]] = [bytes, zlib.compress, bz2.compress, lzma.compress]


@given(
    content=st.binary(max_size=200), pack=st.sampled_from(PACKERS), start=st.sampled_from([b"", b"PK\x03\x04", b"\x80"])
)
def test_any_bytes_have_a_description(content: bytes, pack: Callable[[bytes], bytes], start: bytes) -> None:
    assert formats.describe(start + pack(content)).words


@settings(max_examples=50, deadline=None)
@given(
    value=st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    ),
    protocol=st.integers(0, 5),
    pack=st.sampled_from(PACKERS),
)
def test_no_pickle_passes_for_a_model(value: object, protocol: int, pack: Callable[[bytes], bytes]) -> None:
    content = pack(pickle.dumps(value, protocol))

    with pytest.raises(errors.PackageError, match="WrongFormat"):
        families.recognise(content, "model.bin")
