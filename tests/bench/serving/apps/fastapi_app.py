"""A model behind FastAPI, as its tutorial has it: a pydantic body, an async function, a returned dictionary."""

import fastapi
import numpy as np
import predictors
import pydantic

app = fastapi.FastAPI()
predict_rows = predictors.open_from_environment()


class Body(pydantic.BaseModel):
    rows: list


class Rows(Body):
    rows: list[list[float]]


class Series(Body):
    rows: list[list[list[float]]]


@app.get("/ready")
async def ready() -> dict[str, bool]:
    return {"ready": True}


@app.post("/predict")
async def predict(body: Rows) -> dict[str, list[float]]:
    return {"predictions": predict_rows(np.array(body.rows, dtype=np.float32)).tolist()}


@app.post("/forecast")
async def forecast(body: Series) -> dict[str, list[list[list[float]]]]:
    return {"predictions": predict_rows(np.array(body.rows, dtype=np.float32)).tolist()}
