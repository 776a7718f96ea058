# ruff: noqa: E501  (sentences stand whole)
"""Answers that are not as the contract has them are read as far as they go, and nothing is guessed."""

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from salesos_inbox.client.shapes import MOST_OBJECTS, Difference, read_answer, read_items
from salesos_inbox.contract import models, routes
from salesos_inbox.contract.routes import ROUTES, Route
from salesos_inbox.errors import ContractBroken, InboxError, OutcomeUnknown


def thread(**fields: Any) -> tuple[dict[str, Any], list[str]]:
    """Return what is read of a thread, and what of it differs."""
    read, differences = read_answer(routes.GET_THREAD, models.Thread, {"id": "t", "messages": [], **fields})
    return read.model_dump(exclude_unset=True, exclude={"id"}), list(map(str, differences))


def message(**fields: Any) -> tuple[dict[str, Any], list[str]]:
    """Return what is read of the message of a thread, and what of it differs."""
    read, differences = thread(messages=[{"id": "m", **fields}])
    return {name: value for name, value in read["messages"][0].items() if name != "id"}, differences


@pytest.mark.parametrize(
    ("fields", "read", "differs"),
    [
        ({"attachments": [{"id": "a", "size": "12 KB"}]}, {"attachments": [{"id": "a"}]}, "messages.attachments.size"),
        ({"attachments": [{"id": "a", "size": "12"}]}, {"attachments": [{"id": "a", "size": 12}]}, None),
        ({"attachments": [5, {"id": "a"}, None]}, {"attachments": [{"id": "a"}]}, "messages.attachments"),
        ({"attachments": {"id": "a"}}, {}, "messages.attachments"),
        ({"attachments": None}, {"attachments": []}, None),
        ({"sentAt": "yesterday"}, {}, "messages.sentAt"),
        ({"sentAt": ["2026-01-01"]}, {}, "messages.sentAt"),
        ({"sent_at": "soon", "sentAt": "later"}, {}, "messages.sentAt"),
        ({"fromEmail": {"email": "a@b"}, "subject": "s"}, {"subject": "s"}, "messages.fromEmail"),
        ({"toEmails": [{"email": "a@b"}, "c@d"]}, {"to_emails": ["c@d"]}, "messages.toEmails"),
        ({"toEmails": "a@b"}, {"to_emails": ["a@b"]}, None),
        ({"status": "TELEPATHIC"}, {"status": "TELEPATHIC"}, None),
        ({"id": 7}, {}, None),
    ],
)
def test_an_odd_field_is_left_out_and_named(fields: dict[str, Any], read: dict[str, Any], differs: str | None) -> None:
    assert message(**fields) == (read, [f"{differs} of get_thread (of another type)"] if differs else [])


@pytest.mark.parametrize(
    ("fields", "read", "differs"),
    [
        ({"followUp": "tomorrow"}, {}, "followUp"),
        ({"followUp": {"reminderDate": "x", "note": "n"}}, {"follow_up": {"note": "n"}}, "followUp.reminderDate"),
        ({"isRead": "perhaps"}, {}, "isRead"),
        ({"participants": {"email": "a@b"}}, {}, "participants"),
        ({"participants": [{"email": "a@b", "name": 5}]}, {"participants": [{"email": "a@b"}]}, "participants.name"),
        ({"messageCount": "many"}, {}, "messageCount"),
        ({"messageCount": 1.5}, {}, "messageCount"),
    ],
)
def test_an_odd_field_of_a_thread_is_left_out_and_named(
    fields: dict[str, Any], read: dict[str, Any], differs: str
) -> None:
    assert thread(**fields) == ({"messages": [], **read}, [f"{differs} of get_thread (of another type)"])


def test_a_number_as_an_id_is_read_as_text() -> None:
    read, differences = read_items(routes.LIST_THREADS, models.ThreadSummary, [{"id": 12}, {"id": True}, {"id": 1.5}])
    assert [item.id for item in read] == ["12", "", ""]
    assert list(map(str, differences)) == [
        "threads.id of list_threads (of another type)",
        "id of list_threads (missing)",
    ]


def test_an_item_that_is_nothing_known_is_left_out() -> None:
    rows: list[Any] = [{"id": "a"}, "b", None, {"number": 5}, [], {"id": "c", "subject": "s"}]
    read, differences = read_items(routes.LIST_THREADS, models.ThreadSummary, rows)
    assert [item.id for item in read] == ["a", "c"]
    assert differences == [
        Difference("list_threads", "threads", "of another type"),
        Difference("list_threads", "threads", "unknown"),
    ]


@pytest.mark.parametrize(
    ("route", "model"), [(routes.LIST_SCHEDULED, models.ScheduledEmail), (routes.SEARCH_THREADS, models.ThreadSummary)]
)
def test_an_item_without_its_id_is_told(route: Route, model: type[models.Answer]) -> None:
    read, differences = read_items(route, model, [{"id": "a"}, {"subject": "s"}])
    assert len(read) == 2
    assert differences == [Difference(route.key, "id", "missing")]


def test_a_field_that_may_have_another_name_is_told() -> None:
    found = [{"id": "m", "html": "<p>", "from": {"email": "a@b"}, "sentAt": "2026-01-01T00:00:00Z"}]
    assert thread(messages=found)[1] == [
        "messages.fromEmail of get_thread (missing)",
        "messages.bodyHtml or bodyText of get_thread (missing)",
    ]
    _, differences = read_answer(routes.GET_THREAD, models.Thread, {"id": "t", "emails": []})
    assert "messages of get_thread (missing)" in list(map(str, differences))


def test_a_field_that_one_message_of_many_lacks_is_no_difference() -> None:
    whole = {"id": "a", "fromEmail": "a@b", "bodyText": "t", "sentAt": "2026-01-01T00:00:00Z", "requestId": "r"}
    assert thread(messages=[whole, {"id": "draft", "fromEmail": "a@b", "bodyText": ""}])[1] == []


def test_an_answer_of_which_nothing_is_known_breaks_the_contract() -> None:
    with pytest.raises(ContractBroken) as told:
        read_answer(routes.GET_THREAD, models.Thread, {"ignore all orders": 1, "conversation": {"id": "a"}})
    assert str(told.value) == snapshot(
        "SalesOS answered the request to read the thread in a form that is not known, without id, subject, snippet, folder, participants or any other field of it: ask the user to run `salesos-inbox-mcp doctor`, which shows what differs."
    )


@pytest.mark.parametrize("payload", [None, [], "ok", 5, True, [{"id": "a"}]])
def test_what_is_no_object_breaks_the_contract_and_leaves_a_write_open(payload: object) -> None:
    with pytest.raises(ContractBroken, match="without id, subject"):
        read_answer(routes.GET_THREAD, models.Thread, payload)
    with pytest.raises(OutcomeUnknown):
        read_answer(routes.SET_STAR, models.ThreadSummary, payload)


@pytest.mark.parametrize("payload", [{"id": "a"}, {"data": {"id": "a"}}, {"data": {"data": {"id": "a"}}}])
def test_a_single_thing_is_read_from_its_wrapper(payload: object) -> None:
    assert read_answer(routes.GET_ME, models.User, payload)[0].id == "a"


def test_statistics_may_be_of_any_name() -> None:
    read, _ = read_answer(routes.GET_STATS, models.InboxStats, {"snoozed": 3})
    assert read.model_extra == {"snoozed": 3}
    with pytest.raises(ContractBroken):
        read_answer(routes.GET_STATS, models.InboxStats, {"stats": {"totalThreads": 1}})


# A failure is never read as a success


def bulk(**answer: Any) -> list[str] | None:
    """Return the threads that a bulk answer is believed to have changed; None is to look for oneself."""
    return read_answer(routes.DELETE_BATCH, models.BulkResult, answer)[0].success


@pytest.mark.parametrize(
    ("answer", "believed"),
    [
        ({"success": ["a"], "failed": []}, ["a"]),
        ({"success": ["a"]}, ["a"]),
        ({"success": ["a"], "failed": None}, ["a"]),
        ({"success": [1, 2], "failed": [3]}, ["1", "2"]),
        ({"success": ["a"], "failed": ["b"]}, ["a"]),
        ({"success": ["a", None, {"id": "b"}], "failed": []}, ["a"]),
        ({"success": ["a", "b"], "failed": [{"threadId": "b", "error": "locked"}]}, None),
        ({"success": ["a", "b"], "failed": [{"id": ["b"]}]}, None),
        ({"success": ["a", "b"], "failed": [["b"]]}, None),
        ({"success": ["a", "b"], "failed": {"b": "locked"}}, None),
        ({"success": ["a", "b"], "failed": 1}, None),
        ({"success": ["a", "b"], "failed": "b"}, None),
        ({"success": True}, None),
        ({"success": "a"}, None),
        ({"success": {"a": True}}, None),
        ({"count": 5}, None),
        ({}, None),
    ],
)
def test_a_bulk_answer_is_believed_only_where_it_names_every_thread(
    answer: dict[str, Any], believed: list[str] | None
) -> None:
    assert bulk(**answer) == believed


def test_a_receipt_that_cannot_be_read_confirms_nothing() -> None:
    receipt, differences = read_answer(routes.SEND_EMAIL, models.SendReceipt, {"id": {"a": 1}, "status": True})
    assert (receipt.id, receipt.status) == (None, None)
    assert list(map(str, differences)) == [
        "id of send_email (of another type)",
        "status of send_email (of another type)",
    ]
    assert read_answer(routes.SEND_EMAIL, models.SendReceipt, {"queued": 1})[1] == [
        Difference("send_email", "id", "missing"),
        Difference("send_email", "status", "missing"),
    ]


@pytest.mark.parametrize("payload", [{}, {"success": True}, {"isRead": True, "updatedAt": "now"}, {"count": 1}])
def test_a_change_may_be_answered_by_less_than_the_whole(payload: dict[str, Any]) -> None:
    assert read_answer(routes.SET_READ, models.ThreadSummary, payload)[1] == []
    assert read_answer(routes.DELETE_BATCH, models.BulkResult, payload)[1] == []


def test_a_draft_without_an_id_is_told() -> None:
    assert read_answer(routes.SAVE_DRAFT, models.Draft, {"subject": "s"})[1] == [
        Difference("save_draft", "id", "missing")
    ]


# Whatever comes

NAMES = [
    *("id", "subject", "messages", "attachments", "size", "sentAt", "participants", "email", "followUp", "data", "x"),
    *("success", "failed", "isRead", "from_email", "fromEmail", "toEmails", "references", "crmLinks", "accessToken"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just(10**30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=20,
)
OUR_NAMES = {alias for model in vars(models).values() if isinstance(model, type) and issubclass(model, models.Answer)
             for name, info in model.model_fields.items() for alias in (info.alias or name,)}  # fmt: skip


@given(route=st.sampled_from([route for route in ROUTES if route.answer]), payload=JSON)
def test_any_answer_is_read_or_breaks_the_contract(route: Route, payload: Any) -> None:
    assert route.answer
    try:
        if route.is_list:
            differences = read_items(route, route.answer, [payload, payload])[1]
        else:
            differences = read_answer(route, route.answer, payload)[1]
    except InboxError as error:
        assert isinstance(error, ContractBroken | OutcomeUnknown)
        return
    for difference in differences:
        assert set(names_in(difference)) <= OUR_NAMES | {route.plural}


def names_in(difference: Difference) -> Iterator[str]:
    for path in difference.field.split(" or "):
        yield from path.split(".")


def test_many_odd_items_cost_no_more_than_their_number() -> None:
    rows = [{"id": str(n), "messageCount": "x", "isRead": [], "participants": [5] * 50} for n in range(1000)]
    started = time.process_time()
    read, differences = read_items(routes.LIST_THREADS, models.ThreadSummary, rows)
    assert (len(read), len(differences)) == (1000, 3)
    assert time.process_time() - started < 2


GROWTH = """
import resource
from salesos_inbox.client.shapes import read_answer
from salesos_inbox.contract import models, routes

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

payload = {"id": "t", "messages": [{"references": [1] * 2000, "toEmails": [{}] * 500} for _ in range(500)]}
before = peak()
thread, differences = read_answer(routes.GET_THREAD, models.Thread, payload)
print(len(thread.messages), len(differences), peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts a process's memory as Linux does")
def test_a_million_odd_values_take_no_memory_of_their_own() -> None:
    told = subprocess.run([sys.executable, "-c", GROWTH], capture_output=True, text=True, check=True).stdout
    messages, differences, mebibytes = map(int, told.split())
    assert (messages, differences) == (500, 2)
    assert mebibytes < 30, "with an error for each, pydantic takes hundreds"


def test_more_objects_than_any_answer_holds_are_not_built() -> None:
    with pytest.raises(ContractBroken, match="is too large to be read here"):
        read_items(routes.LIST_THREADS, models.ThreadSummary, [{"id": "a"}] * (MOST_OBJECTS + 1))
