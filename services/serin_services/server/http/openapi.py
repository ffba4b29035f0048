"""The OpenAPI 3.1 document of one model version: its own features, classes and paths."""

import json
from typing import Any

import msgspec

from serin_services.server import inference, signature
from serin_services.server.http import application, forecast, json_schemas, oip, tables
from serin_services.server.http.messages import JSON, Response

PATH = b"/docs.json"

Part = dict[str, Any]

REFUSALS = {
    "400": "The request is wrong; the body says where, what was expected and what came.",
    "404": "Another model or version than the one served here.",
    "405": "Another method than the path has.",
    "408": "The request did not arrive in time.",
    "413": "The body is too large.",
    "415": "A content type that is not read.",
    "422": "No rows, or too many.",
    "429": "The server is busy; Retry-After says in how many seconds to try again.",
    "431": "The headers are too large.",
    "500": "The prediction failed; the log tells more under the request's id.",
    "503": "The server is not ready.",
    "504": "The deadline passed.",
}
HEADERS: list[Part] = [
    {
        "name": "x-request-id",
        "in": "header",
        "schema": {"type": "string"},
        "description": "Comes back with the answer if it has 1 to 128 printable characters and no space; else one is made.",
    },
    {
        "name": application.DEADLINE.decode(),
        "in": "header",
        "schema": {"type": "string", "pattern": "^[0-9]{1,8}$"},
        "description": "How many milliseconds the client waits; beyond, the answer is 504.",
    },
]


def make_page(model: inference.Inference) -> application.Page:
    """Give the page that shows the document."""
    # The limits of some types are beyond what msgspec writes.
    body = json.dumps(make_document(model)).encode()
    return lambda: Response(200, body)


def make_document(model: inference.Inference) -> Part:
    """Describe every path of ours."""
    document = model.manifest
    paths: Part = {
        "/predict": {"post": predict(model)},
        "/livez": {"get": page("Whether the process answers.", "200")},
        "/readyz": {"get": page("Whether requests should be sent here, and why not.", "200", "503")},
        PATH.decode(): {"get": page("This document.", "200")},
        "/v2": {"get": page("The server's name and extensions.", "200")},
        "/v2/health/live": {"get": page("Whether the process answers.", "200")},
        "/v2/health/ready": {"get": page("Whether requests should be sent here.", "200", "503")},
    }
    for path in map(bytes.decode, oip.model_paths(document)):
        paths[path] = {"get": page("The model's inputs and outputs.", "200")}
        paths[f"{path}/ready"] = {"get": page("Whether the model answers.", "200", "503")}
        paths[f"{path}/infer"] = {"post": infer(model)}
    if forecast.answers(document):
        paths[forecast.PATH.decode()] = {"post": forecasts()}
    return {
        "openapi": "3.1.0",
        "info": {"title": document.model, "version": document.version},
        "paths": paths,
    }


def predict(model: inference.Inference) -> Part:
    """Describe `POST /predict`."""
    types = [JSON.decode()]
    if model.signature.rows is not None:
        types += [each.decode() for each in tables.FORMATS]
    given = body_of(model.signature)
    answered = json_schemas.predictions(model.manifest)
    return {
        "summary": "Predict rows.",
        "operationId": "predict",
        "parameters": HEADERS,
        "requestBody": {"required": True, "content": contents(types, given)},
        "responses": {"200": {"description": "One prediction for each row.", "content": contents(types, answered)}}
        | refusals(json_schemas.ERROR),
    }


def body_of(accepted: signature.Signature) -> Part:
    """Describe a body of rows in JSON."""
    if accepted.rows is not None:
        return json_schemas.rows_body(accepted.rows)
    return json_schemas.tensors_body(accepted.inputs, accepted.max_rows)


def contents(types: list[str], of_json: Part) -> Part:
    """Describe a body that is JSON or a table."""
    return {each: {"schema": of_json} if each == JSON.decode() else {} for each in types}


def infer(model: inference.Inference) -> Part:
    """Describe the Open Inference Protocol's call."""
    binary: Part = {oip.BINARY.decode(): {}}
    return {
        "summary": "Predict by the Open Inference Protocol v2.",
        "parameters": HEADERS,
        "requestBody": {
            "required": True,
            "content": {JSON.decode(): {"schema": json_schemas.infer_request(model)}, **binary},
        },
        "responses": {
            "200": {
                "description": "The outputs, those asked for in binary behind the JSON.",
                "content": {JSON.decode(): {"schema": json_schemas.infer_response(model)}, **binary},
            }
        }
        | refusals(json_schemas.ERROR),
    }


def forecasts() -> Part:
    """Describe KServe's forecast call."""
    (asked, answered), parts = msgspec.json.schema_components(
        (forecast.ForecastRequest, forecast.ForecastResponse), ref_template="#/$defs/{name}"
    )
    error = {"type": "object", "properties": {"error": {"type": "object"}}, "required": ["error"]}
    return {
        "summary": "Forecast series as KServe does.",
        "operationId": "forecast",
        "parameters": HEADERS,
        "requestBody": {"required": True, "content": {JSON.decode(): {"schema": inline(asked, parts)}}},
        "responses": {
            "200": {
                "description": "One forecast for each series.",
                "content": {JSON.decode(): {"schema": inline(answered, parts)}},
            }
        }
        | refusals(error),
    }


def inline(described: Any, parts: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Put the parts of a schema in the place of their references, of which there are no circles."""
    if isinstance(described, list):
        return [inline(item, parts) for item in described]
    if not isinstance(described, dict):
        return described
    if "$ref" in described:
        return inline(parts[described["$ref"].rsplit("/", 1)[1]], parts)
    return {name: inline(value, parts) for name, value in described.items()}


def page(summary: str, *statuses: str) -> Part:
    """Describe a page."""
    shown = {JSON.decode(): {"schema": {"type": "object"}}}
    answers = {status: {"description": summary, "content": shown} for status in statuses}
    return {"summary": summary, "responses": answers | {"405": refusals(json_schemas.ERROR)["405"]}}


def refusals(error: Part) -> Part:
    """Describe the answers that are no prediction."""
    content = {JSON.decode(): {"schema": {"anyOf": [error, json_schemas.ERROR]}}}
    return {status: {"description": said, "content": content} for status, said in REFUSALS.items()}
