"""Layers laid over each other: what the reader shows of a package is what every engine would run, or it says so."""

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import hypothesis
from hypothesis import strategies as st

from serin_services.image import layers as image_layers
from support import layouts

PLAIN = "application/vnd.oci.image.layer.v1.tar"
NAMES = ("package", "a", "b", "m")
Layer = Mapping[str, layouts.Member]

paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
whiteouts = st.tuples(paths, st.sampled_from(NAMES)).map(lambda pair: f"{pair[0]}/.wh.{pair[1]}")
opaque = paths.map(lambda path: f"{path}/.wh..wh..opq")
# A link's target is from the root, as the references below resolve it.
links = paths.map(lambda path: f"/{path}")
members: st.SearchStrategy[tuple[str, layouts.Member]] = st.one_of(
    st.tuples(paths, st.one_of(st.binary(min_size=1, max_size=2), st.none(), links)),
    st.tuples(st.one_of(whiteouts, opaque), st.just(b"")),
)
layer_lists = st.lists(st.lists(members, min_size=1, max_size=3).map(dict), min_size=1, max_size=4)


def wanted(name: str) -> bool:
    return name == "package" or name.startswith("package/")


class CannotUnpackError(Exception):
    """An engine would refuse the layer, so no container of it ever runs."""


def unpack(root: Path, layer: Layer) -> None:
    """Unpack a layer onto a folder as containerd does: whiteouts remove what lies below, links on the way are followed."""
    for name, member in layer.items():
        folder, _, base = name.rpartition("/")
        parent = resolve(root, folder)
        target = parent / base
        if base == image_layers.OPAQUE:
            for child in parent.iterdir():
                remove(child)
        elif base.startswith(image_layers.WHITEOUT):
            remove(parent / base.removeprefix(image_layers.WHITEOUT))
        elif member is None:
            if target.is_symlink() or not target.is_dir():
                remove(target)
                target.mkdir()
        else:
            remove(target)
            target.symlink_to(root / member.lstrip("/")) if isinstance(member, str) else target.write_bytes(member)


def resolve(root: Path, folder: str) -> Path:
    """Give the real folder of a path below a root, made if it is missing."""
    try:
        (root / folder).mkdir(parents=True, exist_ok=True)
        return (root / folder).resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise CannotUnpackError from error


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def read(root: Path) -> dict[str, bytes | None]:
    """Read what a folder shows of the package: files by their content, anything else by None."""
    found: dict[str, bytes | None] = {}
    for folder, folders, files in os.walk(root):
        for name in [*files, *(one for one in folders if (Path(folder) / one).is_symlink())]:
            path = Path(folder) / name
            found[path.relative_to(root).as_posix()] = None if path.is_symlink() else path.read_bytes()
    return {name: content for name, content in found.items() if wanted(name)}


def lay(layers: Sequence[Layer]) -> image_layers.Tree:
    tree = image_layers.Tree(wanted)
    for layer in layers:
        tree.apply(io.BytesIO(layouts.make_layer(layer)), PLAIN)
    return tree


@hypothesis.given(layer_lists)
@hypothesis.settings(max_examples=60, deadline=None)
def test_what_is_shown_is_what_is_unpacked_or_it_is_unclear(layers: list[Layer]) -> None:
    tree = lay(layers)
    with scratch() as root:
        try:
            for layer in layers:
                unpack(root, layer)
        except CannotUnpackError:
            hypothesis.reject()
        unpacked = read(root)

    shown = {name: entry.content if entry.kind == "file" else None for name, entry in tree.files.items()}
    assert tree.unclear or shown == unpacked


def test_a_maze_of_links_is_unclear() -> None:
    maze = {f"l{number}": f"l{number + 1}" for number in range(200)}

    assert lay([maze, {"l0/x": b"1"}]).unclear


def test_a_link_that_leads_elsewhere_is_no_matter() -> None:
    tree = lay([{"bin": "usr/bin", "bin/sh": b"#!", "package/m": b"1"}])

    assert not tree.unclear
    assert set(tree.files) == {"package/m"}
