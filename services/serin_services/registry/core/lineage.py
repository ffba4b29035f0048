"""Which version came from which: a graph of parents, its order, and how it is drawn."""

import graphlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

# Version numbers, ids: whatever can be compared with its like, so that every answer has one order.
Node = TypeVar("Node", bound=Hashable)


class CycleError(ValueError):
    """A version that would be its own ancestor."""


class Graph(Generic[Node]):
    """Versions by their parents; it cannot be changed, and a cycle cannot be made.

    A version may have several parents, as an ensemble has. A parent that has no entry of its own is a root.

    Raises:
        CycleError: a version is its own ancestor; the message names the way round.
    """

    def __init__(self, parents: Mapping[Node, Iterable[Node]]) -> None:
        self._parents: dict[Node, tuple[Node, ...]] = {node: tuple(dict.fromkeys(of)) for node, of in parents.items()}
        for parent in [parent for of in self._parents.values() for parent in of]:
            self._parents.setdefault(parent, ())
        self._children: dict[Node, list[Node]] = {node: [] for node in self._parents}
        for node in _sorted(self._parents):
            for parent in self._parents[node]:
                self._children[parent].append(node)
        self._order = tuple(self._sort())

    def _sort(self) -> Iterator[Node]:
        """Sort topologically with the standard library, and what is not ordered by its parents by itself."""
        sorter = graphlib.TopologicalSorter(self._parents)
        try:
            sorter.prepare()
        except graphlib.CycleError as error:
            way = " from ".join(str(node) for node in reversed(error.args[1]))
            raise CycleError(f"a version cannot be its own ancestor: {way}") from error
        while sorter.is_active():
            ready = _sorted(sorter.get_ready())
            yield from ready
            sorter.done(*ready)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All versions, parents first."""
        return self._order

    def order(self) -> tuple[Node, ...]:
        """Give all versions in an order in which each comes after its parents."""
        return self._order

    def parents(self, node: Node) -> tuple[Node, ...]:
        """Give what a version was made from."""
        return self._parents.get(node, ())

    def children(self, node: Node) -> tuple[Node, ...]:
        """Give what was made from a version."""
        return tuple(self._children.get(node, ()))

    def ancestors(self, node: Node) -> tuple[Node, ...]:
        """Give all that a version comes from, the nearest first."""
        return _spread(node, self.parents)

    def descendants(self, node: Node) -> tuple[Node, ...]:
        """Give all that comes from a version, the nearest first."""
        return _spread(node, self.children)


def _sorted(nodes: Iterable[Node]) -> list[Node]:
    sortable: Iterable[Any] = nodes
    return sorted(sortable)


def _spread(start: Node, step: Callable[[Node], tuple[Node, ...]]) -> tuple[Node, ...]:
    found: dict[Node, None] = dict.fromkeys(step(start))
    edge = list(found)
    while edge:
        edge = list(dict.fromkeys(further for node in edge for further in step(node) if further not in found))
        found.update(dict.fromkeys(edge))
    return tuple(found)


def draw_tree(graph: Graph[Node], label: Callable[[Node], str] = str) -> list[str]:
    """Draw the graph as lines of a tree for a terminal.

    A version with several parents stands in full below the first; below the others it is only named, with an arrow.
    """
    lines: list[str] = []
    # An own stack: a lineage of thousands of retrainings is deeper than Python's. Without an indent nothing is drawn below.
    waiting: list[tuple[Node, str, str | None]] = [
        (node, "", "") for node in reversed(graph.order()) if not graph.parents(node)
    ]
    while waiting:
        node, prefix, below = waiting.pop()
        lines.append(prefix + label(node))
        children = graph.children(node) if below is not None else ()
        for child in reversed(children):
            branch, indent = ("└── ", "    ") if child == children[-1] else ("├── ", "│   ")
            if graph.parents(child)[0] == node:
                waiting.append((child, f"{below}{branch}", f"{below}{indent}"))
            else:
                waiting.append((child, f"{below}{branch}→ ", None))
    return lines


def draw_mermaid(graph: Graph[Node], label: Callable[[Node], str] = str) -> str:
    """Draw the graph as a Mermaid flowchart, an arrow from each parent to its child."""
    numbers = {node: number for number, node in enumerate(graph.order())}
    nodes = [f'  n{number}["{_quote(label(node))}"]' for node, number in numbers.items()]
    arrows = [f"  n{numbers[parent]} --> n{numbers[node]}" for node in graph.order() for parent in graph.parents(node)]
    return "\n".join(["flowchart TD", *nodes, *arrows])


def _quote(text: str) -> str:
    """Write what Mermaid would read as its own as entities, `#` first because they begin with it."""
    return text.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;").replace("\n", " ")
