"""A program that tries a sandbox by an OpenAPI document, with schemathesis; see `tests/sandbox/test_openapi.py`.

The document comes on stdin, what was found goes to stdout. It runs in a process of its own, as the order of
sets is part of what schemathesis generates, and PYTHONHASHSEED fixes that only from outside.
"""

import json
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import count
from typing import Any, cast

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, Response
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema
from schemathesis.hooks import HookContext

from salesos_inbox.contract import models
from salesos_inbox.sandbox.app import UNLIMITED, create_app
from salesos_inbox.sandbox.seed import load_demo
from salesos_inbox.sandbox.store import Store

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
EXAMPLES = 10
"""Of each operation's valid and invalid requests, beside those at the bounds of its parameters."""
AHEAD = st.datetimes(datetime(2027, 1, 1), datetime(2100, 1, 1)).map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}")


def main() -> None:
    """Try the sandbox by the document on stdin."""
    document = json.load(sys.stdin)
    schemathesis.openapi.format("date-time", AHEAD)
    store, user = _mailbox()
    _give_examples(document, store, user)
    schema = schemathesis.openapi.from_dict(document, config=_config(_session(store, user)))
    schema.app = create_app(store, limits=UNLIMITED)
    schema.validate()
    cast(Any, schema).hook(filter_failure)
    answered: defaultdict[str, Counter[int]] = defaultdict(Counter)
    checked: Counter[str] = Counter()
    found: dict[str, str] = {}
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            found["error"] = repr(event)
        if not isinstance(event, events.ScenarioFinished):
            continue
        record = event.recorder
        for case_id, interaction in record.interactions.items():
            if interaction.response is not None:
                answered[_name(record.cases[case_id])][interaction.response.status_code] += 1
        for case_id, checks in record.checks.items():
            for check in checks:
                checked[check.name] += 1
                if check.status is Status.FAILURE and check.failure_info is not None:
                    example = f"{check.failure_info.failure.message}\n{check.failure_info.code_sample}"
                    found.setdefault(f"{check.name} of {_name(record.cases[case_id])}", example)
    json.dump({"answered": answered, "checked": checked, "found": found}, sys.stdout)


def _mailbox() -> tuple[Store, str]:
    """Return the demo mailbox, with ids that count and a clock that stands, and the id of its user."""
    numbers = count(1)
    store = Store(clock=lambda: NOW, ids=lambda: f"c{next(numbers):024d}")
    return store, load_demo(store)


def _session(store: Store, user: str) -> dict[str, str]:
    """Return the headers of a session of the user."""
    token = store.issue_token(user, session=True, expires_in=86400)
    csrf_token = store.access.csrf_token(store.access.caller_by_token(token).session or "") or ""
    return {"Authorization": f"Bearer {token}", "X-CSRF-Token": csrf_token, "X-Request-ID": "tried"}


def _give_examples(document: dict[str, Any], store: Store, user: str) -> None:
    """Put into the document what cannot be guessed: ids of this mailbox, and a password."""
    thread = store.list_threads(user, models.ListThreads(folder="inbox")).items[0].id
    linked, other = (store.add_crm_record(user, "lead", name) for name in ("Linked", "Other"))
    store.link_crm(user, thread, "lead", linked)
    store.access.set_password(user, "a password")
    ids = {"thread_id": thread, "entity_type": "lead", "entity_id": linked}
    bodies = {
        "link_crm_record": {"entityType": "lead", "entityId": other},
        "sign_in": {"email": store.access.user(user).email, "password": "a password"},
    }
    for operation in (one for methods in document["paths"].values() for one in methods.values()):
        for parameter in operation["parameters"]:
            if parameter["name"] in ids:
                parameter["example"] = ids[parameter["name"]]
        if operation["operationId"] in bodies:
            content = operation["requestBody"]["content"]["application/json"]
            content["example"] = bodies[operation["operationId"]]


def _config(headers: dict[str, str]) -> SchemathesisConfig:
    generation: dict[str, Any] = {
        "deterministic": True,
        "database": "none",
        "max-examples": EXAMPLES,
        "with-security-parameters": False,
    }
    settings: dict[str, Any] = {
        "seed": 1,
        "headers": headers,
        "continue-on-failure": True,
        "generation": generation,
        # The service's framework, and so the sandbox, answers another method as it does another path: 404.
        "checks": {"unsupported_method": {"enabled": False}},
    }
    return cast(Any, SchemathesisConfig).from_dict(settings)


def filter_failure(context: HookContext, failure: Exception, case: Case[Any], response: Response) -> bool:
    """Drop what no schema can say: that some times must lie ahead."""
    del context, failure, case
    return "must be in the future" not in response.text


def _name(tried: Any) -> str:
    return tried.value.operation.definition.raw["operationId"]


if __name__ == "__main__":
    main()
