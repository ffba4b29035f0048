"""`POST /predict`: rows in JSON or as a table, answered row by row."""

from collections.abc import Callable

import msgspec

from serin_services.server import inference, rows, schema
from serin_services.server.http import descriptions, endpoints, nested, tables
from serin_services.server.http.endpoints import Call, encode
from serin_services.server.http.messages import JSON, Request, Response

ANY_TYPES = frozenset({None, b"*/*", b"application/json"})
# What a client may call JSON; the last is curl's for data that it is not told the type of.
JSON_TYPES = frozenset(
    {
        None,
        b"application/json",
        b"application/json; charset=utf-8",
        b"application/json;charset=utf-8",
        b"application/x-www-form-urlencoded",
    }
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
        self._tables = tables.Reader(model.signature.rows) if model.signature.rows else None
        self._read_json = make_reader(model)
        self._describe = descriptions.make(model.manifest)
        self._names = (model.manifest.model, model.manifest.version)

    def is_slow(self, request: Request) -> bool:
        """Whether it is so large, or such a table, that others should not wait for it."""
        content_type = request.headers.get(b"content-type")
        if content_type in JSON_TYPES or self._tables is None:
            return len(request.body) > endpoints.LARGE_BYTES
        return self._tables.is_slow(tables.media_types(content_type or b"")[0], request.body)

    def read(self, request: Request) -> Call:
        """Read a body of rows."""
        content_type = request.headers.get(b"content-type")
        accept = request.headers.get(b"accept")
        if content_type in JSON_TYPES:
            wanted = JSON if accept in ANY_TYPES else self._wanted(accept, JSON)
            return Call(self._read_json(request.body), self._writer(wanted))
        given = tables.media_types(content_type or b"")[0]
        wanted = self._wanted(accept, given)
        if given in JSON_TYPES:
            return Call(self._read_json(request.body), self._writer(wanted))
        if self._tables is None or given not in tables.FORMATS:
            raise self._unsupported(given)
        return Call((self._tables.read(given, request.body),), self._writer(wanted))

    def write(self, answer: inference.Answer, request_id: bytes) -> Response:
        """Write an answer in JSON."""
        return Response(200, encode(PredictAnswer(*self._names, request_id.decode(), self._describe(answer))))

    def _writer(self, content_type: bytes) -> Callable[[inference.Answer, bytes], Response]:
        if content_type not in tables.FORMATS:
            return self.write

        def write_table(answer: inference.Answer, _request_id: bytes) -> Response:
            columns = tables.make_columns(self._model.manifest, answer)
            return Response(200, tables.write(content_type, columns), content_type)

        return write_table

    def _wanted(self, accept: bytes | None, given: bytes) -> bytes:
        """Choose the first type that the client accepts and that is written here, else the one that it sent."""
        known = (JSON, *tables.FORMATS) if self._tables is not None else (JSON,)
        for content_type in tables.media_types(accept) if accept else ():
            if content_type in known:
                return content_type
        return given

    def _unsupported(self, given: bytes) -> schema.Refusal:
        """Refuse a body of a type that is not read."""
        accepted = [JSON, *tables.FORMATS] if self._tables is not None else [JSON]
        expected = ", ".join(each.decode() for each in accepted)
        came = repr(given[:80].decode("latin-1"))
        return schema.Refusal("UnsupportedMediaType", "content-type", expected, came, mismatch=False, status=415)


def make_reader(model: inference.Inference) -> Callable[[bytes], tuple[schema.Array, ...]]:
    """Give what reads the JSON bodies of a model."""
    if model.signature.rows is None:
        return nested.Reader(model.signature).read
    read = rows.Reader(model.signature.rows).read
    return lambda body: (read(body),)
