"""What the API server would refuse in a ModelDeployment, found without one. Pure.

Types, bounds and patterns come from the resource's types. The rules that the API server evaluates as CEL stand here
once more as Python, found by their message: paths and messages are read from the CRD, so that only the expression is
written twice, and a test holds the two lists together.
"""

import difflib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pydantic

from serin.api import crd, names, quantities, v1alpha1
from serin.cli import sources
from serin.cli.sources import Document, Path

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """Something that would be refused: where it stands, what is wrong with it, what came, and what to do."""

    file: str
    line: int
    document: int
    name: str
    path: str
    problem: str
    got: str
    advice: str


@dataclass(frozen=True)
class Check:
    """A CEL rule as Python: whether a value (and what it was before) keeps it, and what to do where it does not."""

    holds: Callable[[Any, Any], bool]
    advice: str


def _weights(steps: Any) -> list[int]:  # noqa: ANN401 - YAML
    return [step["weight"] for step in steps]


def _limits_keep(criteria: Any, prefix: str, pattern: str) -> bool:  # noqa: ANN401 - YAML
    return all(re.fullmatch(pattern, found["max"]) for found in criteria if found["name"].startswith(prefix))


def _keeps_digest(new: Any, old: Any) -> bool:  # noqa: ANN401 - YAML
    if old is None or new["version"] != old["version"] or not ("@" in new["image"] and "@" in old["image"]):
        return True
    return bool(new["image"].split("@")[1] == old["image"].split("@")[1])


# By the message of the CEL rule.
CHECKS: dict[str, Check] = {
    "pathPrefix must not end with a slash": Check(
        lambda prefix, _: prefix == "/" or not prefix.endswith("/"), "take the slash at the end off"
    ),
    "pathPrefix must not contain an empty segment": Check(
        lambda prefix, _: "//" not in prefix, "write one slash where there are two"
    ),
    "the last step must have weight 100": Check(
        lambda steps, _: _weights(steps)[-1] == 100, "add a step {weight: 100} at the end"
    ),
    "the steps' weights must ascend": Check(
        lambda steps, _: _weights(steps) == sorted(set(_weights(steps))), "put the steps in ascending order, each once"
    ),
    "each step below 100 needs a duration; the time at 100 is bake": Check(
        lambda steps, _: all(step["weight"] == 100 or "duration" in step for step in steps),
        "give each step below 100 a duration, like {weight: 10, duration: 1h}",
    ),
    "the step at 100 has no duration; set bake instead": Check(
        lambda steps, _: all(step["weight"] != 100 or "duration" not in step for step in steps),
        "move the duration to spec.strategy.canary.bake",
    ),
    "the max of errorRate is a share between 0 and 1, like 0.05": Check(
        lambda criteria, _: _limits_keep(criteria, "errorRate", quantities.SHARE_PATTERN), 'write 5 % as "0.05"'
    ),
    "the max of a latency is a duration, like 250ms": Check(
        lambda criteria, _: _limits_keep(criteria, "latency", quantities.DURATION_PATTERN),
        "add the unit: h, m, s or ms",
    ),
    "a query needs max, min or both": Check(
        lambda query, _: "max" in query or "min" in query, 'add max: "…" or min: "…"'
    ),
    "the same version cannot have another image digest: give the changed image a new version": Check(
        _keeps_digest, "change spec.version together with the image"
    ),
    "the model cannot change: make an object for the other model": Check(
        lambda new, old: old is None or new["model"] == old["model"], "put the old name back into spec.model"
    ),
    "the name may have at most 52 characters": Check(
        lambda owner, _: len(owner["metadata"]["name"]) <= 52, "shorten metadata.name"
    ),
    "the name must be small letters, digits and dashes, beginning with a letter: Services are named after it": Check(
        lambda owner, _: bool(re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", owner["metadata"]["name"])),
        "change metadata.name, for example to model-a",
    ),
}

# What a pattern asks for, in words.
PATTERNS = {
    quantities.DURATION_PATTERN: "a duration: one to four groups of h, m, s or ms, like 1h30m, 10s or 250ms",
    quantities.NUMBER_PATTERN: 'a number as text, like "0.5"',
    r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$": "letters, digits, '.', '_' and '-', not at the ends",
    r"^[^\s]+$": "an image's name without spaces, like registry.example/name:tag@sha256:…",
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": "lower-case letters, digits and '-', not at the ends",
    r"^/[A-Za-z0-9/._~-]*$": "a path that begins with / and has letters, digits, '.', '_', '~' and '-'",
}
_TOP = ("apiVersion", "kind", "metadata", "spec", "status")
_SHOWN = 100


class Linter:
    """Checks documents one after the other, and remembers each object: the same one again is an update of it."""

    def __init__(self) -> None:
        version = crd.make_crd()["spec"]["versions"][0]
        self._schema: Schema = version["schema"]["openAPIV3Schema"]
        self._known: dict[tuple[str, str], Any] = {}
        self.checked = 0

    def check(self, document: Document) -> list[Finding]:
        """Find what the API server would refuse; a document of another kind is passed over."""
        if not isinstance(document.value, Mapping):
            return []
        report = Report(document)
        if not self._is_ours(document.value, report):
            return report.findings
        self.checked += 1
        for path, line in sources.find_repeated_keys(document):
            report.add(path, "expected each field once", f"{path[-1]} twice", "remove one of them", line)
        if not self._check_outside(document.value, report):
            return report.findings
        _check_types(document.value["spec"], self._schema["properties"]["spec"], report)
        key = (str(document.value["metadata"].get("namespace", "")), str(document.value["metadata"]["name"]))
        _check_rules(document.value, self._known.get(key), self._schema, (), report)
        if not report.findings:
            self._known[key] = document.value
        return sorted(report.findings, key=lambda found: found.line)

    def _is_ours(self, value: Mapping[str, Any], report: "Report") -> bool:
        kind, version = str(value.get("kind", "")), str(value.get("apiVersion", ""))
        if kind == names.KIND and version == names.API_VERSION:
            return True
        if kind == names.KIND:
            report.expect(("apiVersion",), names.API_VERSION, f"write apiVersion: {names.API_VERSION}")
        elif version.partition("/")[0] == names.GROUP or kind.lower() == names.KIND.lower():
            report.expect(("kind",), names.KIND, f"write kind: {names.KIND}")
        return False

    def _check_outside(self, value: Mapping[str, Any], report: "Report") -> bool:
        """Check what is around the spec; tell whether there is a spec and a name to look further at."""
        for key in value:
            if key not in _TOP:
                report.expect((key,), f"one of {', '.join(_TOP)}", _suggest(str(key), list(_TOP)))
        metadata = value.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        if not isinstance(name, str):
            report.expect(("metadata", "name"), "a name", "give the object a name")
        if not isinstance(value.get("spec"), Mapping):
            report.expect(("spec",), "the fields of a ModelDeployment", "`serin init` prints an example")
        return isinstance(name, str) and isinstance(value.get("spec"), Mapping)


class Report:
    """Collects the findings of one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.findings: list[Finding] = []
        self.wrong: list[Path] = []

    def expect(self, path: Path, expected: str, advice: str) -> None:
        """Note that something else was expected at a path than what stands there."""
        self.add(path, f"expected {expected}", self.written(path), advice)

    def add(self, path: Path, problem: str, got: str, advice: str, line: int | None = None) -> None:
        """Note something that would be refused."""
        document = self.document
        metadata = document.value.get("metadata")
        name = str(metadata.get("name", "")) if isinstance(metadata, Mapping) else ""
        where = line or document.line(path)
        self.wrong.append(path)
        self.findings.append(
            Finding(document.file, where, document.number, name, write_path(path), problem, got, advice)
        )

    def written(self, path: Path) -> str:
        """Give what stands at a path, as it was written."""
        value: Any = self.document.value
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return "nothing"
        return (self.document.text(path) if isinstance(value, int | float) else None) or _shorten(value)

    def is_sound(self, path: Path) -> bool:
        """Tell whether nothing was found at or below a path, so that a rule can look at it."""
        return not any(found[: len(path)] == path or path[: len(found)] == found for found in self.wrong)


def write_path(path: Path) -> str:
    """Write a path as people do: spec.strategy.canary.steps[1].weight."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _shorten(value: Any) -> str:  # noqa: ANN401 - YAML
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


# Types.


def _check_types(spec: Any, schema: Schema, report: Report) -> None:  # noqa: ANN401 - YAML
    try:
        # As JSON, because only there strict means what the API server does: lists and objects, but no text for numbers.
        v1alpha1.Spec.model_validate_json(json.dumps(spec, default=str), strict=True)
    except pydantic.ValidationError as errors:
        for error in errors.errors():
            path = ("spec", *error["loc"])
            report.expect(path, *_explain(error, _schema_at(schema, error["loc"][:-1]), path, report))


def _schema_at(schema: Schema, path: Path) -> Schema:
    for part in path:
        schema = schema.get("items", {}) if isinstance(part, int) else schema.get("properties", {}).get(part, {})
    return schema


def _explain(error: Any, parent: Schema, path: Path, report: Report) -> tuple[str, str]:  # noqa: ANN401 - pydantic's dict
    """Say what was expected and what to do about an error of the types."""
    kind, field, context = error["type"], str(path[-1]), error.get("ctx", {})
    described = _describe(parent, path[-1])
    match kind:
        case "missing":
            answer = f"a field {field}: {described}", f"add {field}: …"
        case "extra_forbidden":
            known = list(parent.get("properties", {}))
            answer = f"one of {', '.join(known)}", _suggest(field, known)
        case "string_type":
            answer = f"text: {described}", f'put it in quotes: {field}: "{report.document.text(path) or "…"}"'
        case "string_pattern_mismatch":
            answer = PATTERNS.get(context["pattern"], f"text that matches {context['pattern']}"), f"correct {field}"
        case "literal_error":
            known = re.findall(r"'([^']+)'", context["expected"])
            answer = " or ".join(known), _suggest(str(error["input"]), known)
        case "int_type" if isinstance(error["input"], str) and error["input"].isdigit():
            answer = "a whole number", f"take the quotes off: {field}: {error['input']}"
        case _:
            answer = _EXPECTED.get(kind, str(error["msg"])).format(**context), f"correct {field}: {described}"
    return answer


_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "greater_than_equal": "a number that is at least {ge}",
    "less_than_equal": "a number that is at most {le}",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} characters",
    "too_long": "at most {max_length} entries",
    "too_short": "at least {min_length} entries",
    "list_type": "a list",
    "dict_type": "fields",
    "model_type": "fields",
}


def _describe(parent: Schema, part: str | int) -> str:
    """Give the description of a field, which the CRD has."""
    found = parent.get("items", {}) if isinstance(part, int) else parent.get("properties", {}).get(part, {})
    return str(found.get("description", "")).rstrip(".") or "a value"


def _suggest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, 1, 0.5)
    return f"did you mean {close[0]}?" if close else f"remove {word}, or write one of these"


# Rules.


def _check_rules(value: Any, old: Any, schema: Schema, path: Path, report: Report) -> None:  # noqa: ANN401 - YAML
    """Walk a value along the CRD's schema and hold it against each rule on the way."""
    if report.is_sound(path) or not path:
        for rule in schema.get("x-kubernetes-validations", ()):
            _check_rule(rule, value, old, path, report)
        _check_keys(value, schema, path, report)
    for key, below in schema.get("properties", {}).items():
        if isinstance(value, Mapping) and key in value:
            before = old.get(key) if isinstance(old, Mapping) else None
            _check_rules(value[key], before, below, (*path, key), report)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            _check_rules(item, None, schema["items"], (*path, index), report)


def _check_rule(rule: Schema, value: Any, old: Any, path: Path, report: Report) -> None:  # noqa: ANN401 - YAML
    check = CHECKS.get(rule["message"])
    if check is not None and not check.holds(value, old):
        report.add(path, rule["message"], report.written(path), check.advice)


def _check_keys(value: Any, schema: Schema, path: Path, report: Report) -> None:  # noqa: ANN401 - YAML
    """Find entries of a list that have the same key, which the API server refuses too."""
    keys = schema.get("x-kubernetes-list-map-keys", ())
    if not isinstance(value, list) or not keys:
        return
    found: set[tuple[Any, ...]] = set()
    for index, item in enumerate(value):
        key = tuple(item.get(part) for part in keys)
        if key in found:
            problem = f"expected another {keys[0]} in each entry"
            report.add((*path, index, keys[0]), problem, f"{key[0]} twice", "remove one of them")
        found.add(key)
