"""What `serin lint` objects to: each rule of the CRD, types, lines, advice."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from serin.api import crd
from serin.cli import checks, lint, scaffold
from support import refused


def find(*objects: Any, linter: checks.Linter | None = None) -> list[checks.Finding]:
    text = yaml.safe_dump_all(objects, sort_keys=False)
    return list(lint.check_file(linter or checks.Linter(), "file.yaml", text))


def find_in(text: str) -> list[checks.Finding]:
    return list(lint.check_file(checks.Linter(), "file.yaml", text))


def walk(node: Any, key: str) -> Iterator[Any]:
    """Give every value of a key anywhere in a schema."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from walk(value, key)
    elif isinstance(node, list):
        for item in node:
            yield from walk(item, key)


def test_a_good_object_is_not_objected_to():
    assert find(refused.GOOD) == []


@pytest.mark.parametrize(
    "case",
    [*refused.RULES.values(), *refused.TYPES.values(), *refused.OURS.values()],
    ids=[*refused.RULES, *refused.TYPES, *refused.OURS],
)
def test_a_bad_object_is_refused_with_place_and_reason(case):
    found = find(case.make())

    assert [(one.path, one.problem.startswith(case.said)) for one in found] == [(case.path, True)]
    assert found[0].got
    assert found[0].advice


def test_each_cel_rule_of_the_crd_has_its_counterpart_with_the_same_message():
    messages = {rule["message"] for rules in walk(crd.make_crd(), "x-kubernetes-validations") for rule in rules}

    assert set(checks.CHECKS) == messages


def test_each_cel_rule_is_seen_to_refuse_something():
    tried = {case.said for case in refused.RULES.values()}
    transitions = {message for message in checks.CHECKS if "cannot" in message}

    assert tried | transitions == set(checks.CHECKS)


def test_each_pattern_of_the_spec_is_told_in_words():
    spec = crd.make_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]

    assert {pattern for pattern in walk(spec, "pattern") if isinstance(pattern, str)} <= set(checks.PATTERNS)


def with_image(version: str, image: str) -> dict[str, Any]:
    made = copy.deepcopy(refused.GOOD)
    made["spec"] |= {"version": version, "image": image}
    return made


UPDATES = {
    "another digest under the same version": ("1.0.0", "m@sha256:aa", "1.0.0", "m@sha256:bb", ["spec"]),
    "another digest under another version": ("1.0.0", "m@sha256:aa", "1.0.1", "m@sha256:bb", []),
    "the same digest under another name": ("1.0.0", "m@sha256:aa", "1.0.0", "n@sha256:aa", []),
    "a digest where there was only a tag": ("1.0.0", "m:1", "1.0.0", "m:1@sha256:aa", []),
}


@pytest.mark.parametrize(("one", "image", "other", "other_image", "paths"), UPDATES.values(), ids=UPDATES)
def test_an_object_that_comes_again_is_an_update(one, image, other, other_image, paths):
    found = find(with_image(one, image), with_image(other, other_image))

    assert [one.path for one in found] == paths


def test_an_object_that_comes_again_with_another_model_is_refused():
    other = copy.deepcopy(refused.GOOD)
    other["spec"]["model"] = "reversal"

    assert [(one.path, one.advice) for one in find(refused.GOOD, other)] == [
        ("spec", "put the old name back into spec.model")
    ]


def test_objects_of_other_namespaces_are_no_updates():
    other = with_image("1.0.0", "m@sha256:bb")
    other["metadata"]["namespace"] = "elsewhere"

    assert find(with_image("1.0.0", "m@sha256:aa"), other) == []


def test_the_line_and_the_text_are_those_of_the_file():
    text = yaml.safe_dump(refused.GOOD, sort_keys=False).replace("version: 1.0.0", "version: 1.10")
    line = next(number for number, written in enumerate(text.splitlines(), 1) if "version: 1.10" in written)

    found = find_in("# a comment\n---\n" + text)

    assert [(one.line, one.got, one.advice) for one in found] == [
        (line + 2, "1.10", 'put it in quotes: version: "1.10"')
    ]


def test_a_key_that_stands_twice_is_found():
    found = find_in(yaml.safe_dump(refused.GOOD).replace("  replicas: 2", "  replicas: 2\n  replicas: 3"))

    assert [(one.path, one.got) for one in found] == [("spec.replicas", "replicas twice")]


def test_other_kinds_and_empty_documents_are_passed_over():
    linter = checks.Linter()

    assert find({"kind": "Service"}, None, "text", refused.GOOD, linter=linter) == []
    assert linter.checked == 1


def test_items_of_a_list_are_checked():
    bad = refused.RULES["steps that end below 100"].make()

    found = find({"apiVersion": "v1", "kind": "List", "items": [refused.GOOD, bad]})

    assert [one.path for one in found] == ["spec.strategy.canary.steps"]
    assert found[0].line > 40


def test_all_findings_of_an_object_are_told_in_the_order_of_the_file():
    bad = copy.deepcopy(refused.GOOD)
    bad["spec"] |= {"version": 2, "replicas": 0}
    bad["spec"]["route"]["pathPrefix"] = "/a/"

    assert [one.path for one in find(bad)] == ["spec.version", "spec.replicas", "spec.route.pathPrefix"]


def test_what_is_no_yaml_is_a_finding_with_its_line():
    found = find_in("a: b\nc: [d\n")

    assert [(one.line, one.problem) for one in found] == [(3, "this is no YAML")]


def test_the_command_prints_findings_and_ends_with_1(serin, tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(yaml.safe_dump(refused.RULES["steps that end below 100"].make(), sort_keys=False))

    code, out, err = serin("lint", str(file))

    assert code == 1
    assert out.startswith(f"{file}:")
    assert "of momentum: spec.strategy.canary.steps\n    the last step must have weight 100\n    got [" in out
    assert "→ add a step {weight: 100} at the end" in out
    assert "1 error in 1 ModelDeployment" in err


def test_the_command_reads_folders_and_prints_json(serin, tmp_path):
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(refused.GOOD))
    (tmp_path / "b.yml").write_text(yaml.safe_dump(refused.TYPES["no replicas"].make()))

    code, out, _ = serin("lint", "-o", "json", str(tmp_path))

    assert code == 1
    assert [found["path"] for found in json.loads(out)] == ["spec.replicas"]


def test_a_file_that_is_not_there_is_wrong_use(serin):
    code, _, err = serin("lint", "not-there.yaml")

    assert code == 2
    assert "not-there.yaml cannot be read" in err


def test_files_without_any_modeldeployment_are_not_called_well(serin, tmp_path):
    (tmp_path / "a.yaml").write_text("kind: Service\n")

    assert serin("lint", str(tmp_path))[0] == 1


@pytest.mark.parametrize("gateway", ["public", "infra/public"])
def test_what_init_prints_is_not_objected_to(gateway):
    text = scaffold.make_manifest("momentum", "momentum", "1.10", "registry.example/m:1.10", gateway, "trading")

    assert find_in(text) == []
    assert yaml.safe_load(text)["spec"]["version"] == "1.10"


def test_init_refuses_what_lint_would(serin):
    code, out, err = serin("init", "Momentum", "--image", "m:1", "--version", "1")

    assert (code, out) == (2, "")
    assert "the name must be small letters" in err
