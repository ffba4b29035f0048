"""The OpenAPI document says what the server does: schemathesis sends what it allows and what it does not."""

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from serin_services.package import manifest
from support import http_site, packages, server_process

# That shapes and values of the protocol's tensors, and of series, fit together is more than a schema can say; neither
# can it say which bytes are a table.
LOOSE = {"positive_data_acceptance"}
DERANDOMIZED = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real server with a real model of rows."""
    scratch = tmp_path_factory.mktemp("openapi")
    packages.make_package(scratch / "package")
    server = server_process.start(scratch / "package", scratch / "run", SERIN_DRAIN_SECONDS="0")
    server.wait_until(200)
    yield f"http://127.0.0.1:{server.http_port}"
    server.end()
    assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def series() -> Iterator[str]:
    """A model of sequences and quantiles."""
    steps = (manifest.Feature(name="price"), manifest.Feature(name="volume"))
    document = http_site.make_document(
        task="quantile",
        quantiles=(0.1, 0.5),
        inputs=(manifest.Tensor(name="past", dtype="float32", shape=(-1, 2, 2), features=steps),),
        outputs=(manifest.Tensor(name="future", dtype="float32", shape=(-1, 2, 2)),),
    )
    with http_site.serve(http_site.make_model(document, lambda past: (np.ascontiguousarray(past),))) as served:
        yield f"http://127.0.0.1:{served.port}"


@pytest.fixture(scope="module")
def tensors() -> Iterator[str]:
    """A model of several inputs and outputs."""
    document = http_site.make_document(
        inputs=(
            manifest.Tensor(name="image", dtype="uint8", shape=(-1, 2, 2)),
            manifest.Tensor(name="flag", dtype="bool", shape=(-1,)),
            manifest.Tensor(name="weight", dtype="float16", shape=(-1, 1)),
        ),
        outputs=(
            manifest.Tensor(name="mean", dtype="float64", shape=(-1,)),
            manifest.Tensor(name="flags", dtype="bool", shape=(-1,)),
        ),
    )
    model = http_site.make_model(document, lambda image, flag, _: (image.mean(axis=(1, 2)), flag))
    with http_site.serve(model) as served:
        yield f"http://127.0.0.1:{served.port}"


def operations(url: str) -> list[schemathesis.APIOperation]:
    """Every path and method of the document."""
    return [found.ok() for found in schemathesis.openapi.from_url(f"{url}/docs.json").get_all_operations()]


def check(case: schemathesis.Case) -> None:
    strict = case.path == "/predict" and case.media_type == "application/json"
    excluded = [] if strict else [each for each in CHECKS.get_all() if each.__name__ in LOOSE]
    case.call_and_validate(excluded_checks=excluded)


def try_everything(url: str) -> list[str]:
    """Send to each path what its document allows, and what it does not."""
    found = operations(url)
    for operation in found:
        for mode in GenerationMode:
            # A page takes nothing that could be wrong.
            with contextlib.suppress(Unsatisfiable):
                DERANDOMIZED(given(operation.as_strategy(generation_mode=mode))(check))()
    return [f"{operation.method.upper()} {operation.path}" for operation in found]


def test_a_model_of_rows_answers_as_its_document_says(rows: str) -> None:
    tried = try_everything(rows)

    assert {"POST /predict", "GET /readyz", "POST /v2/models/momentum/versions/1.2.0/infer"} <= set(tried)


def test_a_model_of_sequences_answers_as_its_document_says(series: str) -> None:
    assert "POST /v1/timeseries/forecast" in try_everything(series)


def test_a_model_of_several_tensors_answers_as_its_document_says(tensors: str) -> None:
    assert "POST /predict" in try_everything(tensors)
