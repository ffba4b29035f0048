"""The trained models, the requests made of held-out rows, and the check of answers."""

import json

import numpy as np
import pytest

from serin_demo import models, rows, traffic
from serin_services.server.oip import open_inference_pb2 as oip


@pytest.fixture(scope="module")
def data():
    return models.load_data()


@pytest.fixture(scope="module")
def trained(data):
    return models.train(data)


def test_no_row_is_both_trained_on_and_held_out(data):
    train = {row.tobytes() for row in data.train_rows}

    assert not train & {row.tobytes() for row in data.held_out_rows}
    assert len(data.train_rows) + len(data.held_out_rows) == 569
    assert data.held_out_rows.shape[1] == len(data.features) == 30


def test_the_second_version_is_better_and_the_third_no_worse(trained):
    first, better, third = (model.accuracy for model in trained)

    assert better > first + 0.02
    assert third >= first


def test_training_twice_gives_the_same_models(data, trained):
    for model, again in zip(trained, models.train(data), strict=True):
        assert np.array_equal(model.probabilities, again.probabilities)


def test_both_protocols_carry_the_same_row(data, trained):
    sample = rows.make_samples(data, trained)[3]
    over_http = json.loads(sample.http)["rows"][0]
    over_grpc = oip.ModelInferRequest.FromString(sample.grpc)

    assert list(over_http) == list(data.features)
    assert list(over_http.values()) == data.held_out_rows[3].tolist()
    assert np.frombuffer(over_grpc.raw_input_contents[0], "<f8").tolist() == data.held_out_rows[3].tolist()


def answer_http(label):
    return json.dumps({"predictions": [{"label": label}]}).encode()


def answer_grpc(label):
    text = label.encode()
    response = oip.ModelInferResponse(raw_output_contents=[len(text).to_bytes(4, "little") + text])
    return response.SerializeToString()


EXPECTED = {"1.0.0": "malignant", "1.1.0": "benign"}


@pytest.mark.parametrize(
    ("protocol", "version", "body", "right"),
    [
        pytest.param(traffic.HTTP, "1.0.0", answer_http("malignant"), True, id="what 1.0.0 says of the row"),
        pytest.param(traffic.HTTP, "1.1.0", answer_http("malignant"), False, id="what another version says of it"),
        pytest.param(traffic.GRPC, "1.1.0", answer_grpc("benign"), True, id="over gRPC too"),
        pytest.param(traffic.GRPC, "1.1.0", answer_grpc("malignant"), False, id="and wrong over gRPC"),
        pytest.param(traffic.HTTP, None, answer_http("malignant"), False, id="nobody said it"),
        pytest.param(traffic.HTTP, "2.0.0", answer_http("malignant"), False, id="an unknown version said it"),
        pytest.param(traffic.HTTP, "1.0.0", b"<html>", False, id="not JSON"),
        pytest.param(traffic.HTTP, "1.0.0", b'{"predictions": []}', False, id="no prediction"),
        pytest.param(traffic.GRPC, "1.0.0", b"\xff\xff", False, id="not a message"),
        pytest.param(traffic.GRPC, "1.0.0", b"", False, id="an empty message"),
    ],
)
def test_answers_are_held_against_the_models(protocol, version, body, right):
    assert rows.is_expected(EXPECTED, protocol, version, body) is right
