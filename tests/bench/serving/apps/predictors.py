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
    """A network's output, or of a classification the probability of the second class of each row."""
    import onnxruntime  # noqa: PLC0415 - not every peer has it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given, wanted = session.get_inputs()[0].name, [session.get_outputs()[-1].name]
    if len(session.get_outputs()) == 1:
        return lambda values: session.run(wanted, {given: values})[0]
    return lambda rows: session.run(wanted, {given: rows})[0][:, 1]


OPENERS: dict[str, Callable[[str], Predict]] = {
    "xgboost": open_xgboost,
    "lightgbm": open_lightgbm,
    "onnx": open_onnx,
}
