"""Requests are strict, answers are tolerant, and every model says how it is known."""

from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from pydantic import ValidationError

from salesos_inbox.contract import models
from salesos_inbox.contract.models import Answer, Mark, Request
from salesos_inbox.contract.routes import ROUTES

ANSWERS = [
    value
    for value in vars(models).values()
    if isinstance(value, type) and issubclass(value, Answer) and value != Answer
]
REQUESTS = [
    value
    for value in vars(models).values()
    if isinstance(value, type) and issubclass(value, Request) and value != Request
]

FILLED: dict[str, object] = {
    "q": "x",
    "email": "a@b.example",
    "password": "secret",
    "isRead": True,
    "isStarred": True,
    "threadIds": ["t"],
    "folder": "inbox",
    "action": "move",
    "entityType": "lead",
    "entityId": "e",
    "reminderDate": "2026-01-01T00:00:00Z",
}


def wire_names(model: type[Answer] | type[Request]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


@pytest.mark.parametrize("model", [*ANSWERS, *REQUESTS])
def test_every_model_says_how_it_is_known(model: type[Answer] | type[Request]) -> None:
    assert isinstance(model.mark, Mark)


def test_what_is_known_better_than_by_assumption_is_marked_so() -> None:
    marked = {model.__name__: str(model.mark) for model in ANSWERS + REQUESTS if model.mark is not Mark.ASSUMED}
    fields = {
        f"{model.__name__}.{name}": str(mark)
        for model in REQUESTS
        for name, field in model.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, Mark)
    }
    assert (marked, fields) == snapshot(
        (
            {"BulkResult": "sibling", "User": "sibling", "CsrfToken": "sibling", "RefreshedToken": "sibling"},
            {
                "ListThreads.page": "documented",
                "ListThreads.limit": "documented",
                "ListThreads.sort_by": "documented",
                "ListThreads.sort_order": "documented",
            },
        )
    )


def test_every_model_of_a_route_belongs_to_the_contract() -> None:
    used = {model for route in ROUTES for model in (route.answer, route.request) if model is not None}
    assert used <= {*ANSWERS, *REQUESTS}


@pytest.mark.parametrize("model", REQUESTS)
def test_a_request_refuses_unknown_fields(model: type[Request]) -> None:
    filled = {name: value for name, value in FILLED.items() if name in wire_names(model)}
    assert set(model.model_validate(filled).body()) <= wire_names(model)
    with pytest.raises(ValidationError, match="colour"):
        model.model_validate({**filled, "colour": "red"})


@pytest.mark.parametrize("model", ANSWERS)
def test_an_answer_may_lack_every_field_and_keeps_unknown_ones(model: type[Answer]) -> None:
    assert model.model_validate({}).model_extra == {}
    assert model.model_validate({"colour": {"deep": [1]}}).model_extra == {"colour": {"deep": [1]}}


@pytest.mark.parametrize("model", ANSWERS)
def test_no_field_of_an_answer_is_required(model: type[Answer]) -> None:
    assert not [name for name, field in model.model_fields.items() if field.is_required()]


def test_fields_are_in_camel_case_on_the_wire() -> None:
    assert not [name for model in ANSWERS + REQUESTS for name in wire_names(model) if "_" in name]


def test_the_sessions_answers_are_read_in_snake_case_too() -> None:
    assert models.CsrfToken.model_validate({"csrf_token": "t"}).csrf_token == "t"
    assert models.CsrfToken.model_validate({"csrfToken": "t"}).csrf_token == "t"
    refreshed = models.RefreshedToken.model_validate({"access_token": "t", "expires_in": 9})
    assert (refreshed.access_token, refreshed.expires_in) == ("t", 9)


def test_a_request_leaves_out_what_was_not_set_and_writes_times_in_utc() -> None:
    body = models.SendEmail(
        to=["a@b.example"], body_text="x", scheduled_for=datetime(2026, 11, 23, 9, tzinfo=UTC)
    ).body()
    assert body == {"to": ["a@b.example"], "bodyText": "x", "scheduledFor": "2026-11-23T09:00:00Z"}
    assert models.ListThreads(from_="ann", is_read=False).body() == {"from": "ann", "isRead": False}


@pytest.mark.parametrize(
    ("given", "success", "failed"),
    [
        ({"success": ["a"], "failed": [{"id": "b", "error": "no"}]}, ["a"], [("b", "no")]),
        ({"success": ["a"], "failed": ["b"]}, ["a"], [("b", None)]),
        ({"success": True}, None, []),
        ({"count": 3}, None, []),
        ({"success": [], "failed": None}, [], []),
    ],
)
def test_every_known_form_of_a_bulk_result_is_read(
    given: dict[str, object], success: list[str] | None, failed: list[tuple[str, str | None]]
) -> None:
    result = models.BulkResult.model_validate(given)
    assert result.success == success
    assert [(item.id, item.error) for item in result.failed] == failed


@pytest.mark.parametrize("name", ["references", "toEmails", "ccEmails", "bccEmails"])
@pytest.mark.parametrize(("given", "read"), [(None, []), ("a", ["a"]), (["a", "b"], ["a", "b"])])
def test_a_list_of_strings_may_be_null_or_a_lone_string(name: str, given: object, read: list[str]) -> None:
    message = models.Message.model_validate({name: given})
    assert message.model_dump(by_alias=True)[name] == read


def test_null_is_read_as_missing_wherever_a_text_or_list_is_expected() -> None:
    nothing = {"subject": None, "snippet": None, "participants": None, "crmLinks": None, "messages": None}
    assert models.Thread.model_validate(nothing) == models.Thread()


def test_bulk_actions_and_record_kinds_are_those_of_the_reference() -> None:
    assert get_args(models.BulkAction) == ("read", "unread", "star", "unstar", "archive", "move", "delete")
    assert get_args(models.EntityType) == ("lead", "contact", "account", "opportunity")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(model=st.sampled_from(ANSWERS), payload=JSON)
def test_whatever_is_answered_either_fits_or_is_a_validation_error(model: type[Answer], payload: object) -> None:
    try:
        answer = model.model_validate(payload)
    except ValidationError:
        return
    assert isinstance(answer, model)
