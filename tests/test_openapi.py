"""The OpenAPI document is valid, complete, and the one that is served."""

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from app import create_app
from generators.catalogue import catalogue
from generators.parameters import problems
from settings import Settings
from tests.conftest import on_sqlite
from tests.contract import DOCUMENT, OPERATIONS
from tests.models_of_music import with_recipes
from web import api, openapi
from web.guard import SECURED


@pytest.mark.parametrize("token", [False, True])
def test_the_document_is_openapi_3_1(token: bool) -> None:
    document = openapi.build(api.operations(), token)
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


@on_sqlite
def test_the_document_that_is_served_is_the_one_tested_here(client: FlaskClient) -> None:
    assert client.get("/openapi.json").json == DOCUMENT


@on_sqlite
def test_the_parameters_of_every_recipe_are_in_the_document(settings: Settings, tmp_path: Path) -> None:
    recipes = catalogue(with_recipes(settings, tmp_path))
    document = openapi.build(api.operations(), recipes=recipes)
    OpenAPIV31SpecValidator(document).validate()
    schemas = document["components"]["schemas"]
    assert {name for name in schemas if name.startswith("ParametersOf_")} == {
        "ParametersOf_opera",
        "ParametersOf_synth",
    }
    opera = schemas["ParametersOf_opera"]["properties"]
    assert opera["steps"] == {
        "type": "integer", "minimum": 10, "maximum": 100, "default": 32, "description": "More steps take longer.",
    }  # fmt: skip
    assert opera["voice"] == {"type": "string", "enum": ["low", "high"], "default": "low"}
    assert (opera["chunked"]["default"], opera["negative"]["maxLength"]) == (True, 40)


@pytest.mark.parametrize(
    ("parameters", "is_accepted"),
    [({"steps": 50}, True), ({"steps": 9}, False), ({"strength": 1.5, "chunked": False}, True),
     ({"voice": "shrill"}, False), ({"negative": "x" * 41}, False), ({"speed": 1}, False)],
)  # fmt: skip
@on_sqlite
def test_a_schema_accepts_the_parameters_that_a_job_may_set(
    settings: Settings, tmp_path: Path, parameters: dict[str, Any], is_accepted: bool
) -> None:
    settings = with_recipes(settings, tmp_path)
    schema = openapi.build(api.operations(), recipes=catalogue(settings))["components"]["schemas"]["ParametersOf_opera"]
    assert Draft202012Validator(schema).is_valid(parameters) is is_accepted
    assert (list(problems(catalogue(settings)["opera"].parameters, parameters)) == []) is is_accepted


def test_the_metadata_of_a_new_job_stays_any_object() -> None:
    for name in ("NewJob", "JobPatch"):
        metadata = DOCUMENT["components"]["schemas"][name]["properties"]["metadata"]
        schemas = [{"$ref": "#/components/schemas/ParametersOf_synth"}, metadata["additionalProperties"]]
        assert metadata["properties"]["parameters"]["anyOf"] == schemas


@on_sqlite
def test_every_route_is_in_the_document_and_nothing_else_is(app: Flask) -> None:
    routes = {
        (verb.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for verb in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule != "/openapi.json" and not rule.endpoint.startswith("pages.") and not rule.rule.startswith("/docs")
    }
    assert routes == set(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation["operationId"])
def test_an_operation_documents_its_problems_as_problem_json(operation: dict[str, Any]) -> None:
    problems = {status: answer for status, answer in operation["responses"].items() if status[0] in "45"}
    assert {"400", "403", "408", "414", "429", "431", "503"} <= problems.keys()
    for status, answer in problems.items():
        is_shared = answer == {"$ref": f"#/components/responses/{status}"}
        assert is_shared or "application/problem+json" in answer["content"]


def test_every_problem_is_problem_json_and_some_operation_refers_to_it() -> None:
    problems = DOCUMENT["components"]["responses"]
    assert all(list(answer["content"]) == ["application/problem+json"] for answer in problems.values())
    used = {status for operation in OPERATIONS.values() for status in operation["responses"]}
    assert problems.keys() <= used | {"401"}  # 401: only with a token


@on_sqlite
def test_a_token_is_required_and_documented_by_every_secured_operation(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"api_token": "secret"}))
    app.extensions["ledger"].close()
    client = app.test_client()
    document: Any = client.get("/openapi.json").json
    for verb, path in OPERATIONS:
        operation = document["paths"][path][verb]
        secured = client.open(path, method=verb).status_code == 401
        assert secured == path.startswith(SECURED) == ("401" in operation["responses"]) == ("security" in operation)
