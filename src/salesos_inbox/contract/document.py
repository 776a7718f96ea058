"""The contract as a page for people, made from its OpenAPI document. Pure."""

from collections.abc import Iterable, Iterator
from typing import Final

from salesos_inbox.contract import models
from salesos_inbox.contract.envelopes import ITEMS
from salesos_inbox.contract.models import Mark
from salesos_inbox.contract.openapi import (
    CREDENTIALS,
    HEADERS,
    REFUSALS,
    SCHEMA,
    SERVER,
    Json,
    lists,
    openapi,
    without_null,
)
from salesos_inbox.contract.routes import ROUTES

_PAGE: Final = """\
# The contract

<!-- Made by `salesos-inbox-mcp manifest`, do not edit. -->

The SalesOS email-inbox API as this server calls it, to be held against the real service. Each line says how it is
known: **documented** in the public reference or guides, seen at a **sibling** (another module of the same product), or
**assumed** (the reference shows an empty body; the name is our choice). The sandbox serves the same as OpenAPI 3.1 at
`/v1/openapi.json`. What differs at your service you can [adapt](#where-the-service-differs) without a new release.

All paths stand below `{server}`. Bodies are JSON in UTF-8, times are ISO 8601 in UTC, and ids are
opaque strings.

## Operations

The mark is that of method and path; numbers are those of the inbox's own operations. Scopes and the statuses of
success are assumed.

{operations}

## Credentials and headers

{headers}

## What is sent

No field is sent that is not listed, and none that is not set. Unknown fields are refused by the service (documented).

{requests}

## What is answered

Any field of an answer may be missing or null, and unknown ones are kept.

{answers}

## Lists

A list is read in each of these forms.

{lists}

The items are looked for under
{items}.

## Refusals

{refusals}

{error}

## Where the service differs

Write the difference into a TOML file and name that file in `SALESOS_CONTRACT`. Operations go by the names of the
first table, answers by their headings above, fields by their names. The file is checked at start; what is documented
cannot be changed. Each line stands for itself; [examples/contract.toml](../examples/contract.toml) has more kinds.

```toml
{example}
```
"""

_EXAMPLE: Final = """\
routes.send_email.rename.bodyHtml = "html"   # our name = the service's, in a body or a query
models.Message.fromEmail = "from.email"      # our name = where the service has it, in whichever answer
routes.list_threads.items = "result.rows"    # where the items of a list stand
session.csrf = false                         # changes of a session carry no CSRF token"""


_NAMES_OF_A_REQUEST: Final = (
    ("`X-Request-ID`", "The request's name; a message has the same on every attempt.", Mark.SIBLING),
    ("`Idempotency-Key`", "The same name, of a message, for a service that knows it.", Mark.ASSUMED),
)


def contract_markdown() -> str:
    """Return `docs/contract.md`."""
    document = openapi()
    schemas: dict[str, Json] = document["components"]["schemas"]
    inputs = [name for name in schemas if name != "Error" and issubclass(getattr(models, name), models.Request)]
    outputs = [name for name in schemas if name != "Error" and name not in inputs]
    return _PAGE.format(
        server=SERVER,
        operations=_operations_table(),
        headers=_headers_table(),
        requests="\n\n".join(_body(name, schemas, says_required=True) for name in inputs),
        answers="\n\n".join(_body(name, schemas, says_required=False) for name in outputs),
        lists=_table(("form", "mark"), _list_rows()),
        items=", ".join(f"`{key}`" for key in ITEMS),
        refusals=_table(
            ("status", "when", "mark"),
            (
                [status, *_about(one)]
                for status, one in zip(REFUSALS, document["components"]["responses"].values(), strict=True)
            ),
        ),
        error=_fields(schemas["Error"], says_required=True),
        example=_EXAMPLE,
    )


def _operations_table() -> str:
    return _table(
        ("no.", "name", "method and path", "to", "sends", "answers", "status", "scope", "mark"),
        (
            [
                route.number or "",
                f"`{route.key}`",
                f"{route.method} `{route.path}`",
                route.purpose,
                _link(route.request),
                f"list of {_link(route.answer)}" if route.is_list else _link(route.answer),
                " or ".join(map(str, route.statuses)),
                "none" if route.is_public else route.scope,
                route.mark,
            ]
            for route in ROUTES
        ),
    )


def _headers_table() -> str:
    sent = ([f"`{one.get('name', 'Authorization')}`", "sent", *_about(one)] for one in CREDENTIALS.values())
    named = ([name, "sent", *about] for name, *about in _NAMES_OF_A_REQUEST)
    answered = ([f"`{name}`", "answered", *_about(one)] for name, one in HEADERS.items())
    return _table(("header", "", "meaning", "mark"), [*sent, *named, *answered])


def _list_rows() -> Iterator[list[object]]:
    for form in lists({}, "<plural>"):
        names = [
            f'"{name}": [..]' if "items" in part else f'"{name}"' for name, part in form.get("properties", {}).items()
        ]
        yield [f"`{{{', '.join(names)}}}`" if names else "`[..]`, with the header `X-Total-Count`", form["x-mark"]]


def _body(name: str, schemas: Json, *, says_required: bool) -> str:
    """Return a model's section; fields that it has from another of the page are only named there."""
    schema = schemas[name]
    base = next((one.__name__ for one in getattr(models, name).__mro__[1:] if one.__name__ in schemas), "")
    inherited: Json = schemas[base]["properties"] if base else {}
    own = {field: value for field, value in schema["properties"].items() if inherited.get(field) != value}
    lines = [f"### {name}", str(schema["description"])]
    if len(own) < len(schema["properties"]):
        lines.append(f"Like [{base}](#{base.lower()})" + (", and:" if own else "."))
    if own:
        lines.append(_fields({**schema, "properties": own}, says_required=says_required))
    return "\n\n".join(lines)


def _fields(schema: Json, *, says_required: bool) -> str:
    required = schema.get("required", ())
    return _table(
        ("field", "type", *(("required",) if says_required else ()), "meaning", "mark"),
        (
            [f"`{name}`", _type(value), *([["", "yes"][name in required]] if says_required else ()), *_about(value)]
            for name, value in schema["properties"].items()
        ),
    )


def _about(node: Json) -> list[object]:
    return [node["description"], node["x-mark"]]


def _type(schema: Json) -> str:
    """Return the type of a field in words, whether or not it may be null as well."""
    schema = without_null(schema)
    if "$ref" in schema:
        return _link(getattr(models, schema["$ref"].removeprefix(SCHEMA)))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if schema["type"] == "array":
        return f"list of {_plural(_type(schema['items']))}{_bounds(schema, 'minItems', 'maxItems')}"
    kind = {"date-time": "time", "email": "address"}.get(str(schema.get("format")), str(schema["type"]))
    return kind + _bounds(schema, "minimum", "maximum")


def _plural(kind: str) -> str:
    return kind if kind.startswith("[") else {"address": "addresses"}.get(kind, f"{kind}s")


def _bounds(schema: Json, lowest: str, highest: str) -> str:
    low, high = schema.get(lowest), schema.get(highest)
    return "" if low is None else f" from {low}" if high is None else f", {low} to {high}"


def _link(model: type[models.Answer] | type[models.Request] | None) -> str:
    return f"[{model.__name__}](#{model.__name__.lower()})" if model else ""


def _table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
