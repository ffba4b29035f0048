"""The queries that the guide shows for a rollout over outcomes, as a reader would copy them."""

import re
from pathlib import Path

import yaml

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "outcomes.md"
# The guide's own, for which a reader puts in his.
TENANT, MODEL = "desk", "momentum"


def read_queries() -> list[dict[str, str]]:
    """Give `spec.analysis.queries` of the guide's example."""
    blocks = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    [found] = [yaml.safe_load(block) for block in blocks if "queries:" in block]
    queries: list[dict[str, str]] = found["spec"]["analysis"]["queries"]
    return queries
