"""The contract as an OpenAPI 3.1 document. Pure.

Meanings are the docstrings of the models and their fields; how each thing is known is its `x-mark`.
"""

import ast
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any, Final, cast, get_args

from pydantic.json_schema import models_json_schema

from salesos_inbox.contract import models
from salesos_inbox.contract.models import Mark
from salesos_inbox.contract.routes import ROUTES, Route

Json = dict[str, Any]

SERVER: Final = "https://api.salesos.org/v1"

SCHEMA: Final = "#/components/schemas/"

CREDENTIALS: Final[Mapping[str, Json]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The token of a session; it lives 24 hours.",
        "x-mark": Mark.DOCUMENTED,
    },
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "A key with the scopes read, write, delete or admin, instead of a token.",
        "x-mark": Mark.DOCUMENTED,
    },
    "organization": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Organization-ID",
        "description": "The organization, where a token or key spans several.",
        "x-mark": Mark.DOCUMENTED,
    },
    "csrfToken": {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRF-Token",
        "description": "With every change that a session makes, if its token carries a `jti`; not with a key.",
        "x-mark": Mark.DOCUMENTED,
    },
}
_READ: Final[tuple[Json, ...]] = (
    {"bearer": []},
    {"apiKey": []},
    {"bearer": [], "organization": []},
    {"apiKey": [], "organization": []},
)
_WRITE: Final[tuple[Json, ...]] = (
    {"bearer": [], "csrfToken": []},
    {"apiKey": []},
    {"bearer": [], "csrfToken": [], "organization": []},
    {"apiKey": [], "organization": []},
    {"bearer": []},
)


def _header(meaning: str, mark: Mark, kind: str = "integer", *, is_required: bool = False) -> Json:
    return {"description": meaning, "required": is_required, "schema": {"type": kind}, "x-mark": mark}


HEADERS: Final[Mapping[str, Json]] = {
    "X-RateLimit-Limit": _header("Requests allowed in a minute.", Mark.DOCUMENTED, is_required=True),
    "X-RateLimit-Remaining": _header("How many of them are left.", Mark.DOCUMENTED, is_required=True),
    "X-RateLimit-Reset": _header("When they are counted anew, in Unix time.", Mark.DOCUMENTED, is_required=True),
    "Retry-After": _header("Seconds to wait, of a 429.", Mark.DOCUMENTED, is_required=True),
    "X-Total-Count": _header("Length of the whole list, of a bare array.", Mark.DOCUMENTED),
    "X-CSRF-Token": _header("A fresh token for the session, now and then.", Mark.SIBLING, "string"),
    "X-Request-ID": _header("The request's own, given back.", Mark.SIBLING, "string"),
}
_ALWAYS: Final = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-CSRF-Token", "X-Request-ID")

_ERROR: Final[Json] = {
    "type": "object",
    "description": "Why a request was refused.",
    "x-mark": Mark.DOCUMENTED,
    "required": ["statusCode", "message"],
    "properties": {
        "statusCode": {"type": "integer", "description": "The status again.", "x-mark": Mark.DOCUMENTED},
        "message": {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            "description": "A sentence; after validation a list of them, each beginning with the field's name.",
            "x-mark": Mark.DOCUMENTED,
        },
        "error": {"type": "string", "description": "The status in words.", "x-mark": Mark.DOCUMENTED},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
            "description": "The other form of validation: a `field` and its `message` each.",
            "x-mark": Mark.DOCUMENTED,
        },
        "timestamp": {"type": "string", "format": "date-time", "description": "When.", "x-mark": Mark.SIBLING},
        "path": {"type": "string", "description": "Of the request.", "x-mark": Mark.SIBLING},
        "requestId": {"type": "string", "description": "Of the request.", "x-mark": Mark.SIBLING},
    },
}
REFUSALS: Final[Mapping[int, str]] = {
    400: "A field or value is not valid; unknown fields are refused (`property unknownField should not exist`).",
    401: "The token or key is missing, unknown or expired.",
    403: "The scope, the organization or the CSRF token is not right.",
    404: "There is no such thing in this mailbox.",
    409: "It was changed, or done, before.",
    413: "The body is larger than 10 MB.",
    422: "What is asked for cannot be done.",
    429: "Too many requests.",
    500: "The service failed.",
    503: "The service is not available.",
}
_OF_WRITES: Final = frozenset({409, 413, 422})

_UNDONE_BY: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "send_email": ("cancel_scheduled", {"scheduled_id": "$response.body#/id"}),
    "link_crm_record": (
        "unlink_crm_record",
        {
            "thread_id": "$request.path.thread_id",
            "entity_type": "$response.body#/entityType",
            "entity_id": "$response.body#/entityId",
        },
    ),
    "set_follow_up": ("remove_follow_up", {"thread_id": "$request.path.thread_id"}),
}
"""What takes back an operation, and where its ids come from."""

_INTEGER: Final = {"type": "integer", "minimum": 0}
_ENVELOPES: Final[tuple[tuple[str, Json], ...]] = (
    ("items", {"total": _INTEGER, "page": _INTEGER, "pageSize": _INTEGER, "totalPages": _INTEGER}),
    ("data", {"meta": {"type": "object"}}),
    ("", {"count": _INTEGER}),
    ("items", {"nextCursor": {"type": ["string", "null"]}, "hasMore": {"type": "boolean"}}),
)
"""What the siblings put around a list: the key of its items (empty: its plural), and what stands beside them."""

_ONE_RECIPIENT: Final[Json] = {
    "anyOf": [
        {"required": [name], "properties": {name: {"type": "array", "minItems": 1}}} for name in ("to", "cc", "bcc")
    ]
}
_FOLDER_OF_A_MOVE: Final[Json] = {
    "if": {"properties": {"action": {"const": "move"}}},
    "then": {"required": ["folder"], "properties": {"folder": {"type": "string", "minLength": 1}}},
}
_ACROSS_FIELDS: Final[Mapping[str, Json]] = {"SendEmail": _ONE_RECIPIENT, "BulkThreads": _FOLDER_OF_A_MOVE}


def openapi(server: str = SERVER, *, has_cursors: bool = True) -> Json:
    """Return the contract as an OpenAPI 3.1 document.

    `server` is the base address; without `has_cursors` no list takes a cursor.
    """
    paths: dict[str, Json] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, has_cursors)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "SalesOS email inbox",
            "version": "1",
            "description": "As far as it is known: `x-mark` tells what is documented, how siblings behave, "
            "and what is assumed.",
        },
        "servers": [{"url": server}],
        "security": [*_READ],
        "tags": [{"name": "inbox"}, {"name": "session"}],
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR, **_schemas()},
            "responses": {f"Error{status}": _refusal(status) for status in REFUSALS},
            "headers": {**HEADERS},
            "securitySchemes": {**CREDENTIALS},
        },
    }
    return json.loads(json.dumps(document))  # of plain values, and the caller's own


def _operation(route: Route, has_cursors: bool) -> Json:
    is_read = route.method == "GET"
    security: Json = {"security": []} if route.is_public else {} if is_read else {"security": [*_WRITE]}
    body: Json = {}
    if route.request and not is_read:
        name = route.request.__name__
        content = {"application/json": {"schema": {"$ref": SCHEMA + name}}}
        body = {"requestBody": {"required": not _may_be_empty(_schemas()[name]), "content": content}}
    query = list(_query(route.request)) if route.request and is_read else []
    return {
        "operationId": route.key,
        "summary": _sentence(route.purpose),
        "tags": ["inbox" if route.number else "session"],
        "x-mark": route.mark,
        **({"x-number": route.number} if route.number else {}),
        "x-scope": route.scope,
        **security,
        "parameters": [*_ids(route), *(one for one in query if has_cursors or one["name"] != "cursor")],
        **body,
        "responses": {
            **{str(status): _success(route) for status in route.statuses},
            **{
                str(status): {"$ref": f"#/components/responses/Error{status}"}
                for status in REFUSALS
                if not (is_read and status in _OF_WRITES)
            },
        },
    }


def _may_be_empty(schema: Json) -> bool:
    return not (schema.get("required") or schema.get("anyOf"))


def _ids(route: Route) -> Iterator[Json]:
    for name in re.findall(r"{(\w+)}", route.path):
        schema: Json = {"type": "string", "minLength": 1}
        if name == "entity_type":
            schema = {"type": "string", "enum": [*get_args(models.EntityType)]}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query(model: type[models.Request]) -> Iterator[Json]:
    schema = _schemas()[model.__name__]
    for name, value in schema["properties"].items():
        about = {key: value[key] for key in ("description", "x-mark")}
        kind = {key: part for key, part in without_null(value).items() if key not in about}
        yield {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": kind, **about}


def _success(route: Route) -> Json:
    headers = _headers(*_ALWAYS, *(("X-Total-Count",) if route.is_list else ()))
    if route.answer is None:
        return {"description": "Done.", "headers": headers}
    item: Json = {"$ref": SCHEMA + route.answer.__name__}
    schema = {"anyOf": [*lists(item, route.plural)]} if route.is_list else item
    done: Json = {"description": "Done.", "headers": headers, "content": {"application/json": {"schema": schema}}}
    if route.key in _UNDONE_BY:
        operation, ids = _UNDONE_BY[route.key]
        done["links"] = {"undo": {"operationId": operation, "parameters": {**ids}}}
    return done


def lists(item: Json, plural: str) -> Iterator[Json]:
    """Return every shape of a list, the documented one first."""
    rows: Json = {"type": "array", "items": item}
    yield {**rows, "x-mark": Mark.DOCUMENTED}
    for key, beside in _ENVELOPES:
        properties = {key or plural: rows, **beside}
        yield {"type": "object", "required": [key or plural], "properties": properties, "x-mark": Mark.SIBLING}


def _refusal(status: int) -> Json:
    return {
        "description": REFUSALS[status],
        "x-mark": Mark.SIBLING if status == 413 else Mark.DOCUMENTED,
        "headers": _headers(*_ALWAYS, *(("Retry-After",) if status == 429 else ())),
        "content": {"application/json": {"schema": {"$ref": SCHEMA + "Error"}}},
    }


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


@cache
def _schemas() -> dict[str, Json]:
    """Return the schema of every body and query, and of what they are made of."""
    used = dict.fromkeys(model for route in ROUTES for model in (route.request, route.answer) if model is not None)
    _, found = models_json_schema(
        [(model, "serialization" if issubclass(model, models.Answer) else "validation") for model in used],
        ref_template=SCHEMA + "{model}",
    )
    definitions = cast("dict[str, Json]", found["$defs"])
    in_order = [name for name in vars(models) if name in definitions]
    return {name: _schema(getattr(models, name), definitions[name]) for name in in_order}


def _schema(model: type[models.Answer] | type[models.Request], definition: Json) -> Json:
    names = {field: info.serialization_alias or field for field, info in model.model_fields.items()}
    properties = {
        wire: {
            **_brief(definition["properties"][wire]),
            "description": _on_the_wire(_meaning(model, field), names),
            "x-mark": next((one for one in model.model_fields[field].metadata if isinstance(one, Mark)), model.mark),
        }
        for field, wire in names.items()
    }
    about = {"description": _on_the_wire(inspect.getdoc(model) or "", names), "x-mark": model.mark}
    return {**_brief(definition), **_ACROSS_FIELDS.get(model.__name__, {}), **about, "properties": properties}


def _brief(schema: Json) -> Json:
    """Return a schema without what pydantic says of its own."""
    kept = {key: value for key, value in schema.items() if key not in ("title", "default")}
    kind = without_null(kept)
    if kind is kept or not isinstance(kind.get("type"), str) or "enum" in kind:
        return kept
    return {**kind, "type": [kind["type"], "null"]}


def without_null(schema: Json) -> Json:
    """Return a schema that does not allow null; itself where it never did."""
    if isinstance(kinds := schema.get("type"), list):
        (kind,) = (one for one in cast("list[str]", kinds) if one != "null")
        return {**schema, "type": kind}
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) != 1:
        return schema
    return {**options[0], **{key: value for key, value in schema.items() if key != "anyOf"}}


@cache
def _docstrings() -> Mapping[tuple[str, str], str]:
    """Return what stands below each field in the source of the models, by class and field."""
    classes = (node for node in ast.parse(inspect.getsource(models)).body if isinstance(node, ast.ClassDef))
    return {
        (owner.name, field.target.id): inspect.cleandoc(str(below.value.value))
        for owner in classes
        for field, below in pairwise(owner.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
    }


def _meaning(model: type[models.Answer] | type[models.Request], field: str) -> str:
    known = _docstrings()
    return next((known[owner.__name__, field] for owner in model.__mro__ if (owner.__name__, field) in known), "")


def _on_the_wire(text: str, names: Mapping[str, str]) -> str:
    """Return a docstring with the names of fields as they are on the wire."""
    return re.sub(r"`(\w+)`", lambda found: f"`{names.get(found[1], found[1])}`", text)


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
