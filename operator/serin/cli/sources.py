"""YAML documents with the lines that their fields stand on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

Path = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """Reads values as the API server does: a date stays the text that it is."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class Document:
    """One document of a file: its value, and the tree that knows the lines. `place` is its path inside a List."""

    file: str
    number: int
    value: Any
    node: yaml.Node
    place: Path = ()

    def line(self, path: Path) -> int:
        """Give the line of a field, or of what it should stand in."""
        return _find(self.node, (*self.place, *path))[0].start_mark.line + 1

    def text(self, path: Path) -> str | None:
        """Give a scalar as it was written, or None for anything else: 1.10 is read as the number 1.1."""
        node, whole = _find(self.node, (*self.place, *path))
        return str(node.value) if whole and isinstance(node, yaml.ScalarNode) else None


@dataclass(frozen=True)
class YamlError(Exception):
    """A file that is no YAML."""

    file: str
    line: int
    problem: str


def read(file: str, text: str) -> Iterator[Document]:
    """Read the documents of a file; the items of a List are documents of their own, empty ones are passed over.

    Raises:
        YamlError: it is no YAML.
    """
    loader = _Loader(text)
    number = 0
    try:
        while loader.check_node():
            node = loader.get_node()
            number += 1
            value = loader.construct_document(node) if node else None
            if node and value is not None:
                yield from _split(Document(file, number, value, node))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise YamlError(file, line, str(error.problem or error.context)) from error
    except yaml.YAMLError as error:
        raise YamlError(file, 1, str(error)) from error
    finally:
        loader.dispose()


def _split(document: Document) -> Iterator[Document]:
    value = document.value
    if isinstance(value, Mapping) and value.get("kind") == "List" and isinstance(value.get("items"), Sequence):
        for index, item in enumerate(value["items"]):
            yield Document(document.file, document.number, item, document.node, ("items", index))
    else:
        yield document


def _find(node: yaml.Node, path: Path) -> tuple[yaml.Node, bool]:
    """Follow a path as far as it goes; tell whether that was the whole of it."""
    for part in path:
        child = _child(node, part)
        if child is None:
            return node, False
        node = child
    return node, True


def _child(node: yaml.Node, part: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == part), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        found: yaml.Node = node.value[part]
        return found
    return None


def find_repeated_keys(document: Document) -> Iterator[tuple[Path, int]]:
    """Find keys that stand twice in a mapping, of which YAML readers keep one or the other; each with its line."""
    node, whole = _find(document.node, document.place)
    if whole:
        yield from _walk_repeated(node, ())


def _walk_repeated(node: yaml.Node, path: Path) -> Iterator[tuple[Path, int]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield (*path, key.value), key.start_mark.line + 1
            seen.add(str(key.value))
            yield from _walk_repeated(value, (*path, str(key.value)))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _walk_repeated(value, (*path, index))
