"""`POST /predict`: rows in JSON or as a table, answered row by row."""

from collections.abc import Callable

import msgspec

from serin_services.server import inference, rows, schema
from serin_services.server.http import descriptions, endpoints, nested
from serin_services.server.http.endpoints import Call, encode
from serin_services.server.http.messages import Request, Response

# What a client may call JSON; the last is curl's for data that it is not told the type of.
JSON_TYPES = frozenset(
    {None, b"application/json", b"application/json; charset=utf-8", b"application/x-www-form-urlencoded"}
)


class PredictAnswer(msgspec.Struct):
    """The body of a good answer."""

    model: str
    version: str
    request_id: str
    predictions: list[descriptions.Prediction]


class Predict:
    """Reads and answers `POST /predict`."""

    fail = staticmethod(endpoints.fail)

    def __init__(self, model: inference.Inference) -> None:
        self._model = model
        self._read_json = make_reader(model)
        self._describe = descriptions.make(model.manifest)
        self._names = (model.manifest.model, model.manifest.version)

    def is_slow(self, _request: Request) -> bool:
        """JSON is read at once."""
        return False

    def read(self, request: Request) -> Call:
        """Read a body of rows."""
        content_type = request.headers.get(b"content-type")
        if content_type not in JSON_TYPES:
            raise unsupported(content_type, ["application/json"])
        return Call(self._read_json(request.body), self.write)

    def write(self, answer: inference.Answer, request_id: bytes) -> Response:
        """Write an answer in JSON."""
        return Response(200, encode(PredictAnswer(*self._names, request_id.decode(), self._describe(answer))))


def make_reader(model: inference.Inference) -> Callable[[bytes], tuple[schema.Array, ...]]:
    """Give what reads the JSON bodies of a model."""
    if model.signature.rows is None:
        return nested.Reader(model.signature).read
    read = rows.Reader(model.signature.rows).read
    return lambda body: (read(body),)


def unsupported(content_type: bytes | None, accepted: list[str]) -> schema.Refusal:
    """Refuse a body of a type that is not read."""
    came = (content_type or b"none").decode("latin-1")
    return schema.Refusal(
        "UnsupportedMediaType", "content-type", " or ".join(accepted), repr(came[:80]), mismatch=False, status=415
    )
