"""Asks recorded series and the chart's rules a question through promtool, which evaluates them as Prometheus does.

promtool only compares; it is given an answer that is never right, and what it got instead is read from its report.
"""

import dataclasses
import itertools
import math
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

import chart
from serin_local import binaries

# A sample of a series: a number, None where a scrape failed, STALE where its target went away.
Sample = float | None
STALE = math.nan

Labels = Mapping[str, str]
_SAMPLE = re.compile(r"(\{[^{}]*\}) ([-+.\dEeInfNa]+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class EvaluationError(Exception):
    """A rule could not be evaluated, or promtool did not understand what it was given."""


@dataclasses.dataclass(frozen=True)
class Series:
    """One series, a sample at each scrape from time 0."""

    name: str
    labels: Labels
    samples: Sequence[Sample]


@dataclasses.dataclass(frozen=True)
class Question:
    """PromQL, and the second at which it is asked."""

    expression: str
    at: float


Answer = dict[tuple[tuple[str, str], ...], float]


def rules_of(*helm_arguments: str) -> dict[str, Any]:
    """Give the rule groups that the chart ships, as Prometheus reads them."""
    [rule] = [found for found in chart.render(*helm_arguments) if found["kind"] == "PrometheusRule"]
    groups: dict[str, Any] = rule["spec"]
    return groups


def check(rules: Mapping[str, Any], folder: Path) -> str:
    """Let promtool check the rules' syntax and style and return its report; it exits with an error for either."""
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(dict(rules)))
    command = [str(binaries.path("promtool")), "check", "rules", "--lint=all", "--lint-fatal", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def ask(
    rules: Mapping[str, Any],
    series: Iterable[Series],
    questions: Sequence[Question],
    folder: Path,
    *,
    interval: int = 1,
) -> list[Answer]:
    """Evaluate the rules over the series every `interval` seconds, which is also the scrape interval, and answer.

    Raises:
        EvaluationError: with promtool's report.
    """
    (folder / "rules.yaml").write_text(yaml.safe_dump(dict(rules)))
    case = {
        "interval": f"{interval}s",
        "input_series": [{"series": _selector(one), "values": _values(one.samples)} for one in series],
        "promql_expr_test": [
            {
                "expr": one.expression,
                "eval_time": f"{round(one.at * 1000)}ms",
                "exp_samples": [{"labels": "never", "value": 0}],
            }
            for one in questions
        ],
    }
    story = {"rule_files": ["rules.yaml"], "evaluation_interval": f"{interval}s", "tests": [case]}
    (folder / "story.yaml").write_text(yaml.dump(story, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))
    command = [str(binaries.path("promtool")), "test", "rules", str(folder / "story.yaml")]
    report = subprocess.run(command, capture_output=True, text=True, check=False)
    text = report.stdout + report.stderr
    answers = [_read(line.strip()) for line in text.splitlines() if line.strip().startswith("got:")]
    if "err:" in text or len(answers) != len(questions):
        raise EvaluationError(text[:4000])
    return answers


def value_of(answer: Answer, **labels: str) -> float | None:
    """Give the value of the only series with these labels; None without one."""
    found = [value for key, value in answer.items() if labels.items() <= dict(key).items()]
    if len(found) > 1:
        raise AssertionError(f"{len(found)} series have the labels {labels}: {answer}")
    return found[0] if found else None


def counter(counts: Iterable[float]) -> list[float]:
    """Add up what was counted in each interval, as a counter does."""
    return list(itertools.accumulate(counts))


def _selector(series: Series) -> str:
    labels = ",".join(f'{name}="{value}"' for name, value in series.labels.items())
    return f"{series.name}{{{labels}}}"


def _values(samples: Sequence[Sample]) -> str:
    """Write samples as promtool reads them; repeated numbers are written once, with how often they come again."""
    words = []
    for word, group in itertools.groupby(_word(sample) for sample in samples):
        more = sum(1 for _ in group) - 1
        # In promtool's words `5x2` are three samples and `_x2` are two.
        words.append(f"{word}x{more}" if more and word not in ("_", "stale") else " ".join([word] * (more + 1)))
    return " ".join(words)


def _word(sample: Sample) -> str:
    if sample is None:
        return "_"
    return "stale" if math.isnan(sample) else f"{sample:g}" if abs(sample) < 1e6 else repr(sample)


def _read(line: str) -> Answer:
    return {
        tuple(sorted(_LABEL.findall(labels))): float(value)
        for labels, value in _SAMPLE.findall(line.removeprefix("got:"))
    }
