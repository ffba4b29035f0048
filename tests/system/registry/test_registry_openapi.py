"""The OpenAPI document says what the registry does: schemathesis sends what it allows and what it does not."""

import contextlib

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis.errors import Unsatisfiable
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from support.registry_server import make_token
from support.registry_worlds import World, world

__all__ = ["world"]

# That things are there, fit together and are the caller's is more than a schema can say; a token is tried elsewhere. There is
# no cluster here, which is 503.
LOOSE = {
    "positive_data_acceptance",
    "ignored_auth",
    "use_after_free",
    "ensure_resource_availability",
    "not_a_server_error",
}
LISTS = {"label", "stage"}
DERANDOMIZED = settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


def check(case: schemathesis.Case) -> None:
    # Of a parameter that stands twice where one is meant the last is taken: schemathesis calls the two a list.
    assume(all(name in LISTS or not isinstance(value, list) for name, value in (case.query or {}).items()))
    excluded = [each for each in CHECKS.get_all() if each.__name__ in LOOSE]
    # The longest wait of an answer would be the test's.
    if "wait_seconds" in (case.query or {}):
        case.query["wait_seconds"] = 0
    answer = case.call_and_validate(
        excluded_checks=excluded, headers={"Authorization": f"Bearer {make_token(role='admin')}"}
    )
    assert answer.status_code < 500 or answer.status_code == 503


# What is checked is the document; PostgreSQL is the stricter one about what it keeps.
@pytest.mark.parametrize("world", ["postgresql"], indirect=True)
def test_the_registry_answers_as_its_document_says(world: World) -> None:
    url = f"{world.served.url}/api/v1/openapi.json"
    found = [each.ok() for each in schemathesis.openapi.from_url(url).get_all_operations()]

    for operation in found:
        for mode in GenerationMode:
            with contextlib.suppress(Unsatisfiable):
                DERANDOMIZED(given(operation.as_strategy(generation_mode=mode))(check))()

    assert len(found) > 30


def test_the_examples_of_the_document_are_right(world: World) -> None:
    document = world.served.anonymous().ok("GET", "/openapi.json")
    schemas = document["components"]["schemas"]
    tried = 0

    for name, schema in schemas.items():
        for field, part in {"": schema, **schema.get("properties", {})}.items():
            for example in part.get("examples", []):
                validator = Draft202012Validator({**part, "components": document["components"]})
                assert validator.is_valid(example), f"{name}.{field}: {example!r}"
                tried += 1

    assert tried > 15


def test_every_operation_and_parameter_is_described(world: World) -> None:
    document = world.served.anonymous().ok("GET", "/openapi.json")

    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], f"{method} {path}"
            assert operation["description"], f"{method} {path}"
            assert "application/problem+json" in operation["responses"]["401"]["content"], f"{method} {path}"
    assert document["security"] == [{"token": []}]


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_no_page_loads_code_from_elsewhere(world: World, path: str) -> None:
    assert world.served.client().get(f"{world.served.url}{path}").status_code == 404
