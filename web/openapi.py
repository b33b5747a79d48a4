"""Builds the OpenAPI 3.1 document from the operations and their schemas, and serves it."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Flask, Response
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from database import to_json
from generators.recipe import Recipe
from models import CANDIDATES, ID_LENGTH, ID_PATTERN
from settings import VERSION
from web import schemas
from web.guard import SECURED
from web.operations import Operation
from web.parameters import describe_parameters
from web.reading import BATCH_TYPES

REF, PROBLEM_REF = "#/components/schemas/{model}", "#/components/responses/{status}"
ALWAYS = (400, 403, 408, 414, 429, 431, 503)  # for every operation; the server itself sends 408, 414, 429 and 431
WITH_BODY = (411, 413, 415, 422, 507)
WITH_FILE = (411, 413, 507)
TEXTS = [kind for kind in BATCH_TYPES if kind != "application/json"]
BYTES, PROBLEM_TYPE = "application/octet-stream", "application/problem+json"
TITLES = {304: "Not changed since the client read it"}
DESCRIPTIONS = {
    400: "The query or body cannot be read",
    401: "The token is missing or wrong",
    403: "The host or origin is not trusted, or the token may only read",
    404: "There is no such record",
    408: "The request arrived too slowly",
    409: "The id is taken, the status does not allow this, or the sound of the track was replaced",
    411: "The body came without a Content-Length",
    412: "The record changed since it was read",
    413: "The body is too large",
    414: "The target of the request is too long",
    415: "The media type of the body is not listed here",
    416: "The Range is beyond the end",
    422: "The body breaks a rule; errors names the fields",
    429: "This address has too many requests open, or signed in wrongly too often; or one connection sent too many",
    431: "The head of the request is too large",
    503: "The database or the file of tokens cannot be used just now, or too many such requests came at once",
    507: "The disk of the database or of the storage folder is full",
}


def register(
    app: Flask, operations: list[Operation], is_protected: Callable[[], bool], recipes: Mapping[str, Recipe]
) -> None:
    """Serve the document at /openapi.json; it is built at the first request, and again when tokens are needed."""
    document = cache(lambda token: to_json(build(operations, token, recipes)).encode())
    serving = Blueprint("openapi", __name__)

    @serving.get("/openapi.json")
    def openapi() -> Response:
        return Response(document(is_protected()), content_type="application/json")

    app.register_blueprint(serving)


def build(
    operations: list[Operation], token: bool = False, recipes: Mapping[str, Recipe] | None = None
) -> dict[str, Any]:
    """The document of these operations as a JSON object. If token is true, /api needs a bearer token.

    recipes: their parameters are described in metadata.parameters of a job.
    """
    paths: dict[str, Any] = {}
    for operation in operations:
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", operation.path)
        secured = token and path.startswith(SECURED)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, secured)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "DiffRhythm Ledger", "version": VERSION, "description": "Jobs, tracks and loops."},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _components(operations),
            "responses": {str(status): _problem(status) for status in DESCRIPTIONS},
        },
    }
    if token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    describe_parameters(document["components"]["schemas"], recipes or {})
    _link(document)
    return document


def _components(operations: list[Operation]) -> dict[str, Any]:
    bodies = {operation.body for operation in operations if operation.body}
    answers = {model for operation in operations for model in operation.answers.values() if isinstance(model, type)}
    models = [(model, "validation") for model in bodies] + [(model, "serialization") for model in answers]
    models.append((schemas.Problem, "serialization"))
    models.sort(key=lambda pair: pair[0].__name__)
    _, schema = models_json_schema(models, ref_template=REF)  # type: ignore[arg-type]
    return schema["$defs"]  # type: ignore[no-any-return]


def _operation(operation: Operation, secured: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.view.__name__,
        "summary": (operation.view.__doc__ or "").strip(),
        "parameters": [*_path_parameters(operation), *_query_parameters(operation), *_header_parameters(operation)],
        "responses": {str(status): _answer(status, model) for status, model in operation.answers.items()},
    }
    if operation.body:
        content = _json(operation.body) | ({kind: _binary(kind) for kind in TEXTS} if operation.lines else {})
        described["requestBody"] = {"required": not operation.body.is_optional, "content": content}
    elif operation.upload:
        described["requestBody"] = {"required": True, "content": {BYTES: _binary(BYTES)}}
    with_body = WITH_BODY if operation.body else WITH_FILE if operation.upload else ()
    problems = {*ALWAYS, *operation.problems, *with_body, *((401,) if secured else ())}
    for status in sorted(problems):
        if status in operation.answers:  # this status can have the answer of the operation or a problem
            described["responses"][str(status)]["content"] |= _json(schemas.Problem, PROBLEM_TYPE)
        else:
            described["responses"][str(status)] = {"$ref": PROBLEM_REF.format(status=status)}
    if secured:
        described["security"] = [{"token": []}]
    return described


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    shapes: dict[str, dict[str, Any]] = {
        "id": {"type": "string", "minLength": 1, "maxLength": ID_LENGTH, "pattern": ID_PATTERN},
        "int": {"type": "integer", "minimum": 1, "maximum": CANDIDATES},
    }
    parameters = re.findall(r"<(\w+):(\w+)>", operation.path)
    return [{"name": name, "in": "path", "required": True, "schema": shapes[kind]} for kind, name in parameters]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    query_schema = operation.query.model_json_schema(ref_template=REF)
    parameters = []
    for name, schema in query_schema.get("properties", {}).items():
        schema = {key: value for key, value in schema.items() if key != "title" and value is not None}
        parameter = {"name": name, "in": "query", "required": False, "schema": schema}
        if name == "metadata":
            names = schemas.METADATA_PATH.replace("^", r"^metadata\.", 1)
            schema |= {"propertyNames": {"pattern": names}, "default": {}}
            schema.pop("patternProperties", None)
            schema["additionalProperties"] = {"type": "string", "maxLength": 1000}
        if schema.get("type") in ("object", "array"):
            parameter |= {"style": "form", "explode": True}
        parameters.append(parameter)
    return parameters


def _header_parameters(operation: Operation) -> list[dict[str, Any]]:
    conditional, leased = 304 in operation.answers, operation.lease is not None
    names = {"If-Match": operation.conditional, "If-None-Match": conditional, "Lease-Token": leased}
    names |= dict.fromkeys(operation.headers, True)
    required = "Lease-Token" if operation.lease is str else ""
    return [
        {"name": name, "in": "header", "required": name == required, "schema": {"type": "string"}}
        for name, is_read in names.items()
        if is_read
    ]


def _json(model: type[BaseModel], media_type: str = "application/json") -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": REF.format(model=model.__name__)}}}


def _binary(media_type: str) -> dict[str, Any]:
    text = media_type in TEXTS or media_type.startswith("text/")
    return {"schema": {"type": "string"} if text else {"type": "string", "contentMediaType": media_type}}


def _answer(status: int, model: type[BaseModel] | tuple[str, ...] | None) -> dict[str, Any]:
    described: dict[str, Any] = {"description": TITLES.get(status, HTTPStatus(status).phrase)}
    if isinstance(model, tuple):
        return {**described, "content": {media_type: _binary(media_type) for media_type in model}}
    if model is not None:
        described["content"] = _json(model, getattr(model, "media_type", "application/json"))
    headers = {
        "Location": status == 201 and model is not schemas.CreatedJobs,
        "ETag": model in (schemas.Job, schemas.NotedJob, schemas.Track, schemas.Loop),
        "Link": model is not None and issubclass(model, schemas.Page),
    }
    shown = {name: {"schema": {"type": "string"}} for name, present in headers.items() if present}
    return {**described, "headers": shown} if shown else described


def _problem(status: int) -> dict[str, Any]:
    described = {"description": DESCRIPTIONS[status], "content": _json(schemas.Problem, PROBLEM_TYPE)}
    headers = {"headers": {"Retry-After": {"schema": {"type": "string"}}}} if status in (429, 503) else {}
    return {**described, **headers}


def _link(document: dict[str, Any]) -> None:
    """Add links to the responses that create or claim a record: the operations that take the id of this record."""
    operations = [(path, operation) for path, item in document["paths"].items() for operation in item.values()]
    for record in ("job", "track", "loop", "discard"):
        key = f"{record}_id"
        followers = [operation for path, operation in operations if f"{{{key}}}" in path]
        for path, operation in operations:
            response = operation["responses"].get("200" if path == f"/api/{record}s/claim" else "201")
            if response and path.endswith((f"/{record}s", f"/{record}s/claim", f"/{record}")):
                is_claim = path.endswith("/claim")
                response["links"] = {
                    follower["operationId"]: _follow(follower, key, is_claim) for follower in followers
                }


def _follow(operation: dict[str, Any], key: str, is_claim: bool) -> dict[str, Any]:
    """A link to an operation. It takes the id from the response, and after a claim the lease token, too."""
    parameters = {f"path.{key}": f"$response.body#/{key}"}
    if is_claim and any(parameter["name"] == "Lease-Token" for parameter in operation["parameters"]):
        parameters["header.Lease-Token"] = "$response.body#/lease_token"
    return {"operationId": operation["operationId"], "parameters": parameters}
