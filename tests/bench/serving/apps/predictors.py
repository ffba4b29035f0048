"""Opens the benchmark's models in any peer's environment: each by its own library, or by ONNX Runtime."""

import os
from collections.abc import Callable
from typing import Any

Predict = Callable[[Any], Any]


def open_from_environment() -> Predict:
    """Open the model that the variables of the peer's table name: BENCH_FORM, BENCH_ARTIFACT and BENCH_ONNX."""
    form = os.environ["BENCH_FORM"]
    return OPENERS[form](os.environ["BENCH_ONNX" if form == "onnx" else "BENCH_ARTIFACT"])


def open_xgboost(path: str) -> Predict:
    """The probability of the second class of each row."""
    import xgboost  # noqa: PLC0415 - not every peer has it

    return xgboost.Booster({"nthread": 1}, model_file=path).inplace_predict


def open_lightgbm(path: str) -> Predict:
    """The probability of the second class of each row."""
    import lightgbm  # noqa: PLC0415 - not every peer has it

    booster = lightgbm.Booster(model_file=path)
    return lambda rows: booster.predict(rows, num_threads=1)


def open_onnx(path: str) -> Predict:
    """A network's output, or of a classification the probability of the second class of each row.

    The session is set up as Serin sets up its own.
    """
    import numpy as np  # noqa: PLC0415 - as above
    import onnxruntime  # noqa: PLC0415 - not every peer has it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    dtype = np.float64 if given.type == "tensor(double)" else np.float32
    # A classification's form may give the labels too, which are whole numbers.
    wanted = next(output for output in session.get_outputs() if output.type in {"tensor(float)", "tensor(double)"})

    def predict(values: Any) -> Any:
        found = session.run([wanted.name], {given.name: np.asarray(values, dtype)})[0]
        return found[:, 1] if found.ndim == 2 else found

    return predict


OPENERS: dict[str, Callable[[str], Predict]] = {
    "xgboost": open_xgboost,
    "lightgbm": open_lightgbm,
    "onnx": open_onnx,
}
