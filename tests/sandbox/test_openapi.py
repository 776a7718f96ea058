"""The sandbox serves the contract as an OpenAPI document, and does what that says."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from processes import ROOT
from salesos_inbox.contract import models
from salesos_inbox.contract.openapi import openapi
from salesos_inbox.contract.routes import ROUTES
from salesos_inbox.sandbox.app import Limits
from sandbox.conftest import API, Connect, Mailbox

pytestmark = pytest.mark.anyio

Document = dict[str, Any]

CHECKS = {
    "content_type_conformance",
    "ensure_resource_availability",
    "ignored_auth",
    "negative_data_rejection",
    "not_a_server_error",
    "positive_data_acceptance",
    "response_headers_conformance",
    "response_schema_conformance",
    "status_code_conformance",
    "use_after_free",
}
"""What an answer is held against; a later version may bring more."""


@pytest.fixture
async def document(connect: Connect) -> Document:
    """The document that the sandbox serves."""
    return (await connect().get(f"{API}/openapi.json")).json()


async def test_the_document_is_served_below_the_base_address_to_anybody(document: Document) -> None:
    assert document == openapi("/v1", has_cursors=False)


async def test_reading_the_document_counts_against_no_limit(connect: Connect, mailbox: Mailbox) -> None:
    client = connect({"Authorization": f"Bearer {mailbox.store.issue_token(mailbox.user)}"}, limits=Limits(1))
    statuses = [(await client.get(path)).status_code for path in [f"{API}/openapi.json"] * 3 + ["stats", "stats"]]
    assert statuses == [200, 200, 200, 200, 429]


async def test_lists_take_a_cursor_only_where_they_give_one(connect: Connect, document: Document) -> None:
    with_cursors = (await connect(envelope="cursor").get(f"{API}/openapi.json")).json()
    assert "cursor" not in parameters(document, "/email-inbox/threads", "get")
    assert "cursor" in parameters(with_cursors, "/email-inbox/threads", "get")


def test_the_sandbox_does_all_that_its_document_says_and_nothing_else() -> None:
    report = tried(strict_document())
    assert report["found"] == {}
    assert report["answered"].keys() == {route.key for route in ROUTES}
    done = {name for name, statuses in report["answered"].items() if statuses.keys() & {"200", "201", "204"}}
    assert done == report["answered"].keys()
    assert report["checked"].keys() >= CHECKS


def pages_may_be_longer(operation: Document, schemas: Document) -> None:
    parameters_of(operation)["limit"]["schema"]["maximum"] = 200


def pages_must_be_shorter(operation: Document, schemas: Document) -> None:
    parameters_of(operation)["limit"]["schema"]["maximum"] = 50


def nothing_is_created(operation: Document, schemas: Document) -> None:
    del operation["responses"]["201"]


def there_is_no_such_field(operation: Document, schemas: Document) -> None:
    del schemas["InboxStats"]["properties"]["sentToday"]
    schemas["InboxStats"]["required"].remove("sentToday")


@pytest.mark.parametrize(
    ("mistake", "path", "method", "found"),
    [
        (pages_may_be_longer, "threads", "get", "positive_data_acceptance of list_threads"),
        (pages_must_be_shorter, "scheduled", "get", "negative_data_rejection of list_scheduled"),
        (nothing_is_created, "drafts", "post", "status_code_conformance of save_draft"),
        (there_is_no_such_field, "stats", "get", "response_schema_conformance of get_stats"),
    ],
)
def test_a_difference_between_document_and_sandbox_is_found(
    mistake: Callable[[Document, Document], None], path: str, method: str, found: str
) -> None:
    document = strict_document()
    operation = document["paths"][f"/email-inbox/{path}"][method]
    mistake(operation, document["components"]["schemas"])
    document["paths"] = {f"/email-inbox/{path}": {method: operation}}
    assert found in tried(document)["found"]


# Reading the document


def parameters_of(operation: Document) -> dict[str, Document]:
    return {one["name"]: one for one in operation["parameters"]}


def parameters(document: Document, path: str, method: str) -> dict[str, Document]:
    return parameters_of(document["paths"][path][method])


def strict_document() -> Document:
    """Return the document as this sandbox obeys it: every field of an answer is there, no other, and lists are bare.

    Only a sign-in has an answer of two kinds: a token, or that a code is wanted.
    """
    document: Document = json.loads(json.dumps(openapi("/v1", has_cursors=False)))
    for name, schema in document["components"]["schemas"].items():
        if issubclass(getattr(models, name, object), models.Answer):
            schema.update(required=[*schema["properties"]] if name != "SignedIn" else [], additionalProperties=False)
    for operation in (one for methods in document["paths"].values() for one in methods.values()):
        for answer in operation["responses"].values():
            schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
            if "anyOf" in schema:
                del schema["anyOf"][1:]
    return document


def tried(document: Document) -> Document:
    """Return what schemathesis found, what it checked how often, and which statuses it met at each operation."""
    ran = subprocess.run(
        [sys.executable, str(ROOT / "tests/conformance.py")],
        input=json.dumps(document),
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return json.loads(ran.stdout)
