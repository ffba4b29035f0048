"""The models of the demo: three versions trained on scikit-learn's breast cancer data (569 rows, 30 features).

The rows that no version was trained on are the ones that the demo replays, so every answer can be held against what
the model of that version says of that row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xgboost
from sklearn import datasets, model_selection

Row = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

_SEED = 0
_HELD_OUT = 0.4
# One thread and fixed seeds: the same machine gives the same model, to the byte.
_USUAL = {"objective": "binary:logistic", "nthread": 1, "seed": _SEED}


@dataclass(frozen=True)
class Data:
    """The data set, split once for all versions."""

    features: Sequence[str]
    classes: Sequence[str]
    """The label of class 0, then of class 1."""
    train_rows: Matrix
    train_labels: Labels
    held_out_rows: Matrix
    held_out_labels: Labels


@dataclass(frozen=True)
class Model:
    """One trained version, with what it says of the held-out rows."""

    version: str
    settings: Mapping[str, float]
    """What it was trained with, besides the usual."""
    booster: xgboost.Booster
    probabilities: Row
    """Of class 1, for each held-out row."""
    accuracy: float
    """On the held-out rows, 0 to 1."""

    def class_of(self, row: int) -> int:
        """Tell the class that this version gives a held-out row."""
        return int(self.probabilities[row] > 0.5)


def load_data() -> Data:
    """Load the rows that come with scikit-learn and hold two fifths of them out."""
    bunch = datasets.load_breast_cancer()
    train_rows, held_out_rows, train_labels, held_out_labels = model_selection.train_test_split(
        bunch.data, bunch.target, test_size=_HELD_OUT, random_state=_SEED, stratify=bunch.target
    )
    return Data(
        features=[str(name).replace(" ", "_") for name in bunch.feature_names],
        classes=[str(name) for name in bunch.target_names],
        train_rows=train_rows,
        train_labels=train_labels,
        held_out_rows=held_out_rows,
        held_out_labels=held_out_labels,
    )


def train(data: Data) -> list[Model]:
    """Train the three versions: a first attempt of three shallow trees, and two proper models, each tuned a little.

    Raises:
        ValueError: the second version is no better than the first, which would make the story a lie.
    """
    sampled = {"max_depth": 2, "eta": 0.1, "subsample": 0.6, "colsample_bytree": 0.3}
    first = _train("1.0.0", data, {"rounds": 3, "max_depth": 2})
    better = _train("1.1.0", data, {"rounds": 150, **sampled})
    third = _train("1.2.0", data, {"rounds": 300, **sampled})
    if better.accuracy <= first.accuracy:
        raise ValueError(f"1.1.0 must beat 1.0.0 on held-out rows, but {better.accuracy:.3f} <= {first.accuracy:.3f}")
    return [first, better, third]


def _train(version: str, data: Data, settings: Mapping[str, float]) -> Model:
    names = list(data.features)
    matrix = xgboost.DMatrix(data.train_rows, label=data.train_labels, feature_names=names)
    parameters = {name: value for name, value in settings.items() if name != "rounds"}
    booster = xgboost.train({**_USUAL, **parameters}, matrix, int(settings["rounds"]))
    probabilities = booster.predict(xgboost.DMatrix(data.held_out_rows, feature_names=names))
    accuracy = float(np.mean((probabilities > 0.5) == data.held_out_labels))
    return Model(version, settings, booster, probabilities, accuracy)
