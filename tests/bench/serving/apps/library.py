"""The limit: the library call alone, in one process, timed for each number of rows that is asked for.

    python library.py <input.npy> <form>=<model>[,<form>=<model>...] <rows>[,<rows>...] <output.npy>

Writes what the first form answers. Then, for each line that it reads, prints {form: {rows: microseconds}}, each the
median of calls that go on for half a second after a warm-up.
"""

import json
import statistics
import sys
import time

import numpy as np
import predictors

SECONDS = 0.5


def measure(predict: predictors.Predict, values: np.ndarray) -> float:
    for _ in range(5):
        predict(values)
    taken = []
    end = time.perf_counter() + SECONDS
    while not taken or time.perf_counter() < end:
        begun = time.perf_counter()
        predict(values)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1e6


def main(inputs: str, forms: str, counts: str, output: str) -> None:
    values = np.load(inputs).astype(np.float32)
    opened = {form: predictors.OPENERS[form](path) for form, path in (item.split("=") for item in forms.split(","))}
    np.save(output, next(iter(opened.values()))(values))
    for _ in sys.stdin:
        times = {
            form: {rows: measure(predict, values[: int(rows)]) for rows in counts.split(",")}
            for form, predict in opened.items()
        }
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
