"""A model as a BentoML service, as its documentation has it: arrays in, arrays out; the same with adaptive batching."""

import bentoml
import numpy as np
import predictors


@bentoml.service
class Stock:
    def __init__(self) -> None:
        self.predict_rows = predictors.open_from_environment()

    @bentoml.api
    def predict(self, data: np.ndarray) -> np.ndarray:
        return self.predict_rows(data.astype(np.float32))


@bentoml.service
class Batching:
    def __init__(self) -> None:
        self.predict_rows = predictors.open_from_environment()

    @bentoml.api(batchable=True)
    def predict(self, data: np.ndarray) -> np.ndarray:
        return self.predict_rows(data.astype(np.float32))
