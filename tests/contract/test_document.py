"""The contract as documents: whole, marked, and in the names of the wire."""

import json
import re
import tomllib
from collections.abc import Iterable
from typing import Any

import pytest
from inline_snapshot import snapshot

from salesos_inbox.contract import models
from salesos_inbox.contract.document import contract_markdown
from salesos_inbox.contract.models import Answer, Mark, Request
from salesos_inbox.contract.openapi import openapi
from salesos_inbox.contract.overrides import NONE, read_overrides
from salesos_inbox.contract.routes import LIST_THREADS, ROUTES, SEND_EMAIL, Route

DOCUMENT = openapi()
SCHEMAS: dict[str, dict[str, Any]] = DOCUMENT["components"]["schemas"]
PAGE = contract_markdown()


def operation(route: Route) -> dict[str, Any]:
    return DOCUMENT["paths"][route.path][route.method.lower()]


def better_known(parts: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, str]:
    """Return the marks of what is not assumed, by its name."""
    return {name: part["x-mark"] for name, part in parts if part["x-mark"] != Mark.ASSUMED}


def section(heading: str) -> str:
    """Return a part of the page, from its heading to the next."""
    return re.split(r"\n#+ ", PAGE.split(f"# {heading}\n", 1)[1])[0].strip()


# OpenAPI


def test_every_route_is_described_once_with_its_statuses_of_success() -> None:
    described = {
        one["operationId"]: (method, path, tuple(int(status) for status in one["responses"] if status < "3"))
        for path, methods in DOCUMENT["paths"].items()
        for method, one in methods.items()
    }
    assert described == {route.key: (route.method.lower(), route.path, route.statuses) for route in ROUTES}


def test_every_model_of_a_route_is_described_by_the_names_of_its_fields_on_the_wire() -> None:
    wire = {
        name: {field.serialization_alias or key for key, field in getattr(models, name).model_fields.items()}
        for name in SCHEMAS
        if name != "Error"
    }
    used = {model.__name__ for route in ROUTES for model in (route.request, route.answer) if model}
    assert used <= wire.keys()
    assert {name: set(SCHEMAS[name]["properties"]) for name in wire} == wire


def test_every_field_has_a_meaning_and_a_mark() -> None:
    fields = [field for schema in SCHEMAS.values() for field in schema["properties"].items()]
    assert [name for name, field in fields if not field["description"] or not field["x-mark"]] == []
    assert [name for name, schema in SCHEMAS.items() if not schema["description"] or not schema["x-mark"]] == []


def test_meanings_name_fields_as_the_wire_does() -> None:
    told = [schema["description"] for schema in SCHEMAS.values()]
    told += [field["description"] for schema in SCHEMAS.values() for field in schema["properties"].values()]
    python_names = {key for name in SCHEMAS if name != "Error" for key in getattr(models, name).model_fields}
    wire_names = {name for schema in SCHEMAS.values() for name in schema["properties"]}
    quoted = {name for text in told for name in re.findall(r"`(\w+)`", text)}
    assert quoted & python_names <= wire_names


def test_what_is_sent_is_closed_and_what_is_answered_is_open() -> None:
    requests = {name for name in SCHEMAS if issubclass(getattr(models, name, object), Request)}
    answers = {name for name in SCHEMAS if issubclass(getattr(models, name, object), Answer)}
    assert {name for name, schema in SCHEMAS.items() if schema.get("additionalProperties") is False} == requests
    assert {name for name in answers if SCHEMAS[name].get("required")} == set()


def test_a_session_that_writes_shows_its_csrf_token_and_a_key_does_not() -> None:
    for route in ROUTES:
        schemes = [set(one) for one in operation(route).get("security", DOCUMENT["security"])]
        assert ({"bearer", "csrfToken"} in schemes) == (route.method != "GET" and not route.is_public)
        assert not any({"apiKey", "csrfToken"} <= one for one in schemes)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.key)
def test_every_answer_tells_what_is_left_of_the_allowance(route: Route) -> None:
    refusals = DOCUMENT["components"]["responses"]
    for answer in operation(route)["responses"].values():
        headers = (refusals[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer)["headers"]
        assert {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= headers.keys()


def test_the_marks_are_those_of_the_reference() -> None:
    components = DOCUMENT["components"]
    operations = [(route.key, operation(route)) for route in ROUTES]
    fields = ((f"{name}.{key}", field) for name, one in SCHEMAS.items() for key, field in one["properties"].items())
    queries = ((f"{key}.{each['name']}", each) for key, one in operations for each in one["parameters"])
    assert {key for key, one in operations if one["x-mark"] != Mark.DOCUMENTED} == snapshot(
        {"get_csrf_token", "get_me", "refresh_token", "sign_in"}
    )
    assert better_known(fields) == snapshot(
        {
            "Error.statusCode": "documented",
            "Error.message": "documented",
            "Error.error": "documented",
            "Error.errors": "documented",
            "Error.timestamp": "sibling",
            "Error.path": "sibling",
            "Error.requestId": "sibling",
            "BulkResult.success": "sibling",
            "BulkResult.failed": "sibling",
            "User.id": "sibling",
            "User.email": "sibling",
            "User.firstName": "sibling",
            "User.lastName": "sibling",
            "CsrfToken.csrf_token": "sibling",
            "RefreshedToken.access_token": "sibling",
            "RefreshedToken.expires_in": "sibling",
            "ListThreads.page": "documented",
            "ListThreads.limit": "documented",
            "ListThreads.sortBy": "documented",
            "ListThreads.sortOrder": "documented",
        }
    )
    assert better_known((name, one) for name, one in queries if "x-mark" in one) == snapshot(
        {
            "list_threads.page": "documented",
            "list_threads.limit": "documented",
            "list_threads.sortBy": "documented",
            "list_threads.sortOrder": "documented",
        }
    )
    assert better_known(components["headers"].items()) == snapshot(
        {
            "X-RateLimit-Limit": "documented",
            "X-RateLimit-Remaining": "documented",
            "X-RateLimit-Reset": "documented",
            "Retry-After": "documented",
            "X-Total-Count": "documented",
            "X-CSRF-Token": "sibling",
            "X-Request-ID": "sibling",
        }
    )
    assert better_known(components["securitySchemes"].items()) == snapshot(
        {"bearer": "documented", "apiKey": "documented", "organization": "documented", "csrfToken": "documented"}
    )
    assert better_known(components["responses"].items()) == snapshot(
        {
            "Error400": "documented",
            "Error401": "documented",
            "Error403": "documented",
            "Error404": "documented",
            "Error409": "documented",
            "Error413": "sibling",
            "Error422": "documented",
            "Error429": "documented",
            "Error500": "documented",
            "Error503": "documented",
        }
    )


def test_a_query_says_what_the_sandbox_enforces() -> None:
    parameters = {one["name"]: one["schema"] for one in operation(LIST_THREADS)["parameters"]}
    assert {name: parameters[name] for name in ("page", "limit", "sortBy", "sortOrder", "isRead")} == snapshot(
        {
            "page": {"minimum": 1, "type": "integer"},
            "limit": {"maximum": 100, "minimum": 1, "type": "integer"},
            "sortBy": {"enum": ["lastMessageAt", "subject"], "type": "string"},
            "sortOrder": {"enum": ["asc", "desc"], "type": "string"},
            "isRead": {"type": "boolean"},
        }
    )


def test_an_operation_as_a_whole() -> None:
    one = operation(SEND_EMAIL)
    assert {key: value for key, value in one.items() if key != "responses"} == snapshot(
        {
            "operationId": "send_email",
            "summary": "Send or schedule the email.",
            "tags": ["inbox"],
            "x-mark": "documented",
            "x-number": 4,
            "x-scope": "write",
            "security": [
                {"bearer": [], "csrfToken": []},
                {"apiKey": []},
                {"bearer": [], "csrfToken": [], "organization": []},
                {"apiKey": [], "organization": []},
                {"bearer": []},
            ],
            "parameters": [],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/SendEmail"}}},
            },
        }
    )
    assert one["responses"]["201"] == snapshot(
        {
            "description": "Done.",
            "headers": {
                "X-RateLimit-Limit": {"$ref": "#/components/headers/X-RateLimit-Limit"},
                "X-RateLimit-Remaining": {"$ref": "#/components/headers/X-RateLimit-Remaining"},
                "X-RateLimit-Reset": {"$ref": "#/components/headers/X-RateLimit-Reset"},
                "X-CSRF-Token": {"$ref": "#/components/headers/X-CSRF-Token"},
                "X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"},
            },
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/SendReceipt"}}},
            "links": {
                "undo": {"operationId": "cancel_scheduled", "parameters": {"scheduled_id": "$response.body#/id"}}
            },
        }
    )
    assert SCHEMAS["BulkThreads"] == snapshot(
        {
            "additionalProperties": False,
            "description": "One action on many threads.",
            "properties": {
                "threadIds": {
                    "items": {"type": "string"},
                    "maxItems": 1000,
                    "minItems": 1,
                    "type": "array",
                    "description": "Whole threads, by their ids.",
                    "x-mark": "assumed",
                },
                "action": {
                    "enum": ["read", "unread", "star", "unstar", "archive", "move", "delete"],
                    "type": "string",
                    "description": "What to do with each.",
                    "x-mark": "assumed",
                },
                "folder": {
                    "type": ["string", "null"],
                    "description": "Where to; a move needs it.",
                    "x-mark": "assumed",
                },
            },
            "required": ["threadIds", "action"],
            "type": "object",
            "if": {"properties": {"action": {"const": "move"}}},
            "then": {"required": ["folder"], "properties": {"folder": {"type": "string", "minLength": 1}}},
            "x-mark": "assumed",
        }
    )


def test_the_document_is_plain_json_and_each_callers_own() -> None:
    again = openapi()
    assert again == DOCUMENT
    assert repr(again) == repr(json.loads(json.dumps(again)))
    again["components"]["schemas"]["Error"].clear()
    assert openapi() == DOCUMENT


# The page


def test_the_page_lists_every_operation_and_every_field() -> None:
    operations = section("Operations")
    assert [
        route.key for route in ROUTES if f"| `{route.key}` | {route.method} `{route.path}` |" not in operations
    ] == []
    fields = {(name, field) for name, schema in SCHEMAS.items() for field in schema["properties"]}
    assert [name for _, name in sorted(fields) if f"| `{name}` |" not in PAGE] == []


def test_every_link_of_the_page_leads_to_one_of_its_headings() -> None:
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= headings


def test_every_table_of_the_page_has_as_many_cells_in_each_row() -> None:
    for table in re.findall(r"(?:^\|.*\|\n)+", PAGE, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


def test_the_section_of_a_body_as_it_reads() -> None:
    assert section("SendEmail") == snapshot("""\
A message to send now, or at `scheduledFor`; to at least one address.

| field | type | required | meaning | mark |
| --- | --- | --- | --- | --- |
| `to` | list of addresses |  | To whom. | assumed |
| `cc` | list of addresses |  | In copy. | assumed |
| `bcc` | list of addresses |  | In blind copy. | assumed |
| `subject` | string |  | Its subject. | assumed |
| `bodyHtml` | string |  | As HTML. | assumed |
| `bodyText` | string |  | As plain text. | assumed |
| `threadId` | string |  | The thread it goes into. | assumed |
| `inReplyTo` | string |  | Message-ID that it answers. | assumed |
| `draftId` | string |  | The draft that it replaces. | assumed |
| `scheduledFor` | time |  | Present: leave then, not now. | assumed |\
""")
    assert section("SetReadBatch") == snapshot("""\
Mark threads read or unread.

Like [ThreadIds](#threadids), and:

| field | type | required | meaning | mark |
| --- | --- | --- | --- | --- |
| `isRead` | boolean | yes | How they shall be. | assumed |\
""")
    assert section("Lists") == snapshot("""\
A list is read in each of these forms.

| form | mark |
| --- | --- |
| `[..]`, with the header `X-Total-Count` | documented |
| `{"items": [..], "total", "page", "pageSize", "totalPages"}` | sibling |
| `{"data": [..], "meta"}` | sibling |
| `{"<plural>": [..], "count"}` | sibling |
| `{"items": [..], "nextCursor", "hasMore"}` | sibling |

The items are looked for under
`items`, `data`, `results`, `threads`, `folders`, `scheduled`, `scheduledEmails`, `emails`.\
""")


def test_the_example_of_differences_is_a_file_that_can_be_used() -> None:
    example = PAGE.split("```toml\n")[1].split("```")[0]
    assert read_overrides(tomllib.loads(example)) != NONE
