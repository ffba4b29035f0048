"""Makes the benchmark's models: `python train.py <folder>` writes artifacts as their libraries save them, and inputs.

The data is drawn, since only the shape of a model decides what a call of it costs.
"""

import pathlib
import sys

import lightgbm
import network
import numpy as np
import onnx
import perceptron
import xgboost

FEATURES, TREES, DEPTH = 49, 200, 6
TRAINING_ROWS, SAMPLE_ROWS = 20_000, 1024


def draw_rows(count: int, seed: int) -> np.ndarray:
    """Draw features as they come out of a table: numbers of four decimals."""
    return np.random.default_rng(seed).normal(size=(count, FEATURES)).round(4)


def train() -> tuple[xgboost.Booster, lightgbm.Booster]:
    """Train two classifiers whose trees are all full."""
    rows = draw_rows(TRAINING_ROWS, 1)
    noise = np.random.default_rng(2).normal(size=TRAINING_ROWS)
    labels = (np.sin(rows[:, :12] * 2).sum(axis=1) + rows[:, 12] * rows[:, 13] + noise > 0).astype(int)
    names = [f"feature_{number:02}" for number in range(FEATURES)]
    settings = {"objective": "binary:logistic", "max_depth": DEPTH, "min_child_weight": 0, "seed": 3, "nthread": 2}
    boosted = xgboost.train(settings, xgboost.DMatrix(rows, labels, feature_names=names), TREES)
    settings = {
        "objective": "binary",
        "max_depth": DEPTH,
        "num_leaves": 2**DEPTH,
        "min_data_in_leaf": 1,
        "seed": 3,
        "num_threads": 2,
        "verbosity": -1,
    }
    return boosted, lightgbm.train(settings, lightgbm.Dataset(rows, labels, feature_name=names), TREES)


def main(folder: pathlib.Path) -> None:
    boosted, light = train()
    boosted.save_model(folder / "xgboost.ubj")
    light.save_model(folder / "lightgbm.txt")
    onnx.save(network.make(), folder / "network.onnx")
    onnx.save(perceptron.make(FEATURES), folder / "perceptron.onnx")
    np.save(folder / "rows.npy", draw_rows(SAMPLE_ROWS, 4))
    np.save(folder / "series.npy", network.draw_series(64))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
