import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin_services.registry.core import lineage
from serin_services.registry.core.lineage import CycleError, Graph

# 1.0 was tuned to 1.1 and retrained to 1.0.1; 2.0 is an ensemble of both; 3.0 has nothing to do with them.
FAMILY = Graph({"1.1": ["1.0"], "1.0.1": ["1.0"], "2.0": ["1.1", "1.0.1"], "2.1": ["2.0"], "3.0": []})


@pytest.mark.parametrize(
    ("node", "ancestors", "descendants"),
    [
        pytest.param("1.0", (), ("1.0.1", "1.1", "2.0", "2.1"), id="a root, which has no entry of its own"),
        pytest.param("1.1", ("1.0",), ("2.0", "2.1"), id="one in the middle"),
        pytest.param("2.1", ("2.0", "1.1", "1.0.1", "1.0"), (), id="the last one, with its nearest ancestors first"),
        pytest.param("3.0", (), (), id="one that stands alone"),
        pytest.param("9.9", (), (), id="one that is not known"),
    ],
)
def test_where_a_version_comes_from_and_what_comes_from_it(node: str, ancestors: object, descendants: object) -> None:
    assert FAMILY.ancestors(node) == ancestors
    assert FAMILY.descendants(node) == descendants


def test_parents_and_children() -> None:
    assert FAMILY.parents("2.0") == ("1.1", "1.0.1")
    assert FAMILY.children("1.0") == ("1.0.1", "1.1")
    assert set(FAMILY.nodes) == {"1.0", "1.1", "1.0.1", "2.0", "2.1", "3.0"}


@pytest.mark.parametrize(
    ("parents", "said"),
    [
        pytest.param({"a": ["a"]}, "a from a", id="its own parent"),
        pytest.param({"a": ["b"], "b": ["a"]}, "from", id="two that are each other's"),
        pytest.param({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]}, "from", id="a longer way round"),
    ],
)
def test_a_cycle_is_refused_with_its_way(parents: dict[str, list[str]], said: str) -> None:
    with pytest.raises(CycleError, match=said) as refused:
        Graph(parents)
    assert str(refused.value).startswith("a version cannot be its own ancestor: ")


def test_the_way_round_is_told_from_child_to_parent() -> None:
    parents = {"a": ["b"], "b": ["c"], "c": ["a"]}
    with pytest.raises(CycleError) as refused:
        Graph(parents)
    way = str(refused.value).partition(": ")[2].split(" from ")
    assert way[0] == way[-1]
    assert all(parent in parents[child] for child, parent in itertools.pairwise(way))


def test_a_tree_for_the_terminal() -> None:
    assert lineage.draw_tree(FAMILY, lambda node: f"v{node}") == [
        "v1.0",
        "├── v1.0.1",
        "│   └── → v2.0",
        "└── v1.1",
        "    └── v2.0",
        "        └── v2.1",
        "v3.0",
    ]


def test_a_flowchart_in_mermaid() -> None:
    assert lineage.draw_mermaid(Graph({"b": ["a"]}), lambda node: f'{node} "#1" <b>') == (
        'flowchart TD\n  n0["a #quot;#35;1#quot; #lt;b#gt;"]\n  n1["b #quot;#35;1#quot; #lt;b#gt;"]\n  n0 --> n1'
    )


def test_an_empty_graph_is_drawn_too() -> None:
    assert lineage.draw_tree(Graph({})) == []
    assert lineage.draw_mermaid(Graph({})) == "flowchart TD"


def test_a_lineage_of_thousands_of_retrainings() -> None:
    graph = Graph({number: [number - 1] for number in range(1, 5001)})
    assert graph.order() == tuple(range(5001))
    assert len(graph.ancestors(5000)) == 5000
    assert len(lineage.draw_tree(graph)) == 5001


# A version's parents are older than it, so none of these has a cycle.
PARENTS = st.lists(st.sets(st.integers(0, 11), max_size=3), max_size=12).map(
    lambda found: {node: sorted(parent for parent in parents if parent < node) for node, parents in enumerate(found)}
)


@given(parents=PARENTS)
def test_the_order_has_every_version_once_and_after_its_parents(parents: dict[int, list[int]]) -> None:
    order = Graph(parents).order()
    assert sorted(order) == sorted(parents)
    assert all(order.index(parent) < order.index(node) for node, of in parents.items() for parent in of)


@given(parents=PARENTS, seed=st.integers(0, 9))
def test_the_order_of_the_entries_is_irrelevant(parents: dict[int, list[int]], seed: int) -> None:
    shuffled = list(parents.items())
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - no secret
    assert Graph(dict(shuffled)).order() == Graph(parents).order()


@given(parents=PARENTS)
def test_ancestors_and_descendants_are_each_others_inverse(parents: dict[int, list[int]]) -> None:
    graph = Graph(parents)
    for one in graph.nodes:
        assert one not in graph.ancestors(one)
        for other in graph.nodes:
            assert (one in graph.ancestors(other)) == (other in graph.descendants(one))


@given(parents=PARENTS)
def test_drawings_have_every_version_in_full_once_and_every_edge(parents: dict[int, list[int]]) -> None:
    graph = Graph(parents)
    lines = lineage.draw_tree(graph)
    full = [line for line in lines if "→" not in line]
    assert sorted(int(line.lstrip("│├└─ ")) for line in full) == sorted(parents)
    edges = sum(map(len, parents.values()))
    roots = sum(not of for of in parents.values())
    assert len(lines) == edges + roots
    assert lineage.draw_mermaid(graph).count("-->") == edges


@given(parents=PARENTS.filter(len), data=st.data())
def test_an_edge_from_a_descendant_makes_a_cycle(parents: dict[int, list[int]], data: st.DataObject) -> None:
    node = data.draw(st.sampled_from(sorted(parents)))
    below = data.draw(st.sampled_from([node, *Graph(parents).descendants(node)]))
    with pytest.raises(CycleError):
        Graph({**parents, node: [*parents[node], below]})
