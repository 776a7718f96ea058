# ruff: noqa: E501  (sentences stand whole)
"""An operator's file says what differs from the contract, and is refused where that would be dangerous."""

import copy
import tomllib
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from salesos_inbox.contract import routes
from salesos_inbox.contract.overrides import MAY_BE_DROPPED, NONE, Overrides, Place, read_overrides, request_fields
from salesos_inbox.contract.routes import ROUTES, Route

EXAMPLE = Path(__file__).parents[2] / "examples" / "contract.toml"


def overrides(*lines: str) -> Overrides:
    return read_overrides(tomllib.loads("\n".join(lines)))


def mistakes(*lines: str) -> list[str]:
    with pytest.raises(ValueError) as refused:
        overrides(*lines)
    return str(refused.value).split("\n")


# Requests


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        ("", {"to": ["a@b", "c@d"], "bodyText": "t", "subject": "s"}),
        ('rename.bodyText = "text"', {"to": ["a@b", "c@d"], "text": "t", "subject": "s"}),
        ('rename.bodyText = "bodyText"', {"to": ["a@b", "c@d"], "bodyText": "t", "subject": "s"}),
        ('rename.bodyText = "content.plain"', {"to": ["a@b", "c@d"], "content": {"plain": "t"}, "subject": "s"}),
        (
            'rename = { bodyText = "content.plain", subject = "content.title" }',
            {"to": ["a@b", "c@d"], "content": {"plain": "t", "title": "s"}},
        ),
        (
            'rename.to = "people[].address.email"',
            {
                "people": [{"address": {"email": "a@b"}}, {"address": {"email": "c@d"}}],
                "bodyText": "t",
                "subject": "s",
            },
        ),
        (
            'add = { source = "x", flags = [1, { on = true }] }',
            {"to": ["a@b", "c@d"], "bodyText": "t", "subject": "s", "source": "x", "flags": [1, {"on": True}]},
        ),
    ],
)
def test_a_body_is_sent_as_the_service_wants_it(line: str, sent: dict[str, object]) -> None:
    told = overrides(f"routes.send_email.{line}" if line else "")
    body: dict[str, object] = {"to": ["a@b", "c@d"], "bodyText": "t", "subject": "s"}
    assert told.outgoing(routes.SEND_EMAIL, body) == sent
    assert body == {"to": ["a@b", "c@d"], "bodyText": "t", "subject": "s"}


def test_a_query_is_sent_as_the_service_wants_it() -> None:
    told = overrides(
        'routes.list_threads.rename = { isRead = "!unread", from = "filter[sender]", limit = "page.size" }',
        "routes.list_threads.add.expand = true",
        'values.folder.inbox = "INBOX"',
    )
    query: dict[str, object] = {"folder": "inbox", "isRead": False, "from": "ann", "limit": 20}
    sent = {"folder": "INBOX", "unread": True, "filter[sender]": "ann", "page.size": 20, "expand": True}
    assert told.outgoing(routes.LIST_THREADS, query) == sent
    assert told.outgoing(routes.SEARCH_THREADS, {"q": "x", "folder": "My own"}) == {"q": "x", "folder": "My own"}


def test_what_is_dropped_is_not_sent() -> None:
    told = overrides('routes.send_email.drop = ["inReplyTo", "draftId"]')
    assert told.outgoing(routes.SEND_EMAIL, {"subject": "s", "inReplyTo": "<a@b>"}) == {"subject": "s"}
    assert told.outgoing(routes.SAVE_DRAFT, {"subject": "s", "inReplyTo": "<a@b>"}) == {
        "subject": "s",
        "inReplyTo": "<a@b>",
    }


def test_a_request_without_a_body_gets_one_where_something_is_added() -> None:
    told = overrides('routes.archive_thread.add.reason = "assistant"')
    assert told.outgoing(routes.ARCHIVE_THREAD, None) == {"reason": "assistant"}
    assert told.outgoing(routes.REMOVE_FOLLOW_UP, None) is None
    assert NONE.outgoing(routes.ARCHIVE_THREAD, None) is None


def test_a_word_goes_into_a_path_as_the_service_has_it() -> None:
    told = overrides('values.entityType.lead = "LEAD"')
    ids = {"thread_id": "lead", "entity_type": "lead", "entity_id": "lead"}
    assert told.in_path(ids) == {"thread_id": "lead", "entity_type": "LEAD", "entity_id": "lead"}


def test_only_a_path_that_is_not_documented_can_be_another() -> None:
    told = overrides('routes.get_me.path = "/users/me"', "session.csrf = false")
    assert (told.path(routes.GET_ME), told.path(routes.LIST_THREADS)) == ("/users/me", routes.LIST_THREADS.path)
    assert (told.sends_csrf, NONE.sends_csrf) == (False, True)
    assert mistakes('routes.list_threads.path = "/x"', 'routes.get_csrf_token.path = "https://elsewhere.example"') == [
        "routes.list_threads.path: /email-inbox/threads is documented, so it stays",
        "routes.get_csrf_token.path: must be a path below the base address, such as /auth/csrf-token",
    ]


@st.composite
def renamed(draw: st.DrawFn) -> tuple[Route, dict[str, str], dict[str, object]]:
    """A route with other names for some of its fields, each of its own, and a body."""
    route = draw(st.sampled_from([route for route in ROUTES if route.request and route.method != "GET"]))
    fields = list(request_fields(route))
    chosen = draw(st.lists(st.sampled_from(fields), unique=True))
    names = {name: f"{draw(st.sampled_from(['', 'a.', 'a.b.', 'c.']))}x{place}" for place, name in enumerate(chosen)}
    values = st.booleans() | st.lists(st.text(max_size=3), max_size=3) | st.text(max_size=3) | st.none()
    return route, names, draw(st.fixed_dictionaries({}, optional=dict.fromkeys(fields, values)))


@given(renamed())
def test_no_value_of_a_request_is_lost_on_its_way_to_another_name(
    case: tuple[Route, dict[str, str], dict[str, object]],
) -> None:
    route, names, body = case
    told = read_overrides({"routes": {route.key: {"rename": names}}})
    sent = told.outgoing(route, body)
    assert {name: Place.parse(names.get(name, name)).find(sent) for name in body} == body
    assert {told.ours(route, name) for name in names.values()} == set(names)


# Answers


FROM = 'models.Message.fromEmail = "from.email"'


ANSWERS: list[tuple[tuple[str, ...], Route, Any, Any]] = [
    ((FROM,), routes.GET_THREAD, {"messages": [{"from": {"email": "a"}}]}, {"messages": [{"fromEmail": "a"}]}),
    ((FROM,), routes.GET_THREAD,
     {"data": {"messages": [{"from": {"email": "a"}}]}}, {"messages": [{"fromEmail": "a"}]}),
    ((FROM,), routes.GET_THREAD, {"messages": [{"fromEmail": "a"}]}, {"messages": [{"fromEmail": "a"}]}),
    ((FROM,), routes.GET_THREAD,
     {"messages": [{"fromEmail": "b", "from": {"email": "a"}}]}, {"messages": [{"fromEmail": "a"}]}),
    ((FROM,), routes.GET_THREAD, {"messages": {"from": {"email": "a"}}}, {"messages": {"fromEmail": "a"}}),
    ((FROM,), routes.GET_THREAD, {"messages": [{"from": "a"}, None, 5]}, {"messages": [{}, None, 5]}),
    (('models.Message.toEmails = "to.email"',), routes.GET_THREAD,
     {"messages": [{"to": [{"email": "a"}, {"name": "b"}, 5]}]}, {"messages": [{"toEmails": ["a"]}]}),
    (('models.ThreadSummary.subject = "title"',), routes.LIST_THREADS, [{"title": "a"}], [{"subject": "a"}]),
    (('models.ThreadSummary.subject = "title"',), routes.GET_THREAD, {"title": "a"}, {"subject": "a"}),
    (('models.ThreadSummary.subject = "title"', 'models.Thread.subject = "name"'),
     routes.GET_THREAD, {"title": "a", "name": "b"}, {"subject": "b"}),
    (('models.ThreadSummary.subject = "title"', 'routes.search_threads.answer.subject = "hit"'),
     routes.SEARCH_THREADS, {"threads": [{"title": "a", "hit": "b"}]}, {"threads": [{"subject": "b"}]}),
    (('models.Participant.email = "address"',), routes.LIST_THREADS,
     {"data": {"items": [{"participants": [{"address": "a"}]}]}},
     {"data": {"items": [{"participants": [{"email": "a"}]}]}}),
    (('models.FollowUp.reminderDate = "due"',), routes.SET_STAR,
     {"follow_up": {"due": "x"}}, {"follow_up": {"reminderDate": "x"}}),
    (('models.FollowUp.reminderDate = "due"',), routes.SET_STAR, {"followUp": None}, {"followUp": None}),
    (('models.ThreadSummary.isRead = "!unread"',), routes.SET_READ, {"unread": True}, {"isRead": False}),
    (('models.ThreadSummary.isRead = "!unread"',), routes.SET_READ, {"unread": "yes"}, {}),
    (('models.ThreadSummary = { id = "uuid", subject = "id" }',), routes.SET_READ,
     {"uuid": 1, "id": 2}, {"id": 1, "subject": 2}),
    (('models.ThreadSummary = { id = "uuid", subject = "id" }',), routes.SET_READ, {"id": 2}, {"subject": 2}),
    (('models.BulkFailure.error = "why"', 'models.BulkResult.success = "done"'), routes.DELETE_BATCH,
     {"done": ["a"], "failed": ["b", {"id": "c", "why": "x"}]},
     {"success": ["a"], "failed": ["b", {"id": "c", "error": "x"}]}),
    (('values.folder.archive = "DONE"',), routes.SET_READ, {"folder": "DONE"}, {"folder": "archive"}),
    (('values.folder.archive = "DONE"',), routes.SET_READ, {"folder": ["DONE"]}, {"folder": ["DONE"]}),
    (('values.folder.archive = "DONE"',), routes.LIST_FOLDERS, [{"type": "DONE"}], [{"type": "archive"}]),
    (('routes.list_threads.items = "page.rows"', 'answers.total = "page.n"'), routes.LIST_THREADS,
     {"page": {"rows": [1], "n": 7}}, {"items": [1], "total": 7}),
    (('answers.item = "thread"',), routes.GET_THREAD, {"thread": {"id": "a"}, "id": "b"}, {"id": "a"}),
    (('answers.item = "thread"',), routes.GET_THREAD, {"id": "b"}, {"id": "b"}),
    (('answers.item = "thread"', 'routes.get_me.item = "user"'), routes.GET_ME, {"user": {"id": "a"}}, {"id": "a"}),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "route", "payload", "read"), ANSWERS)
def test_an_answer_is_read_where_the_service_has_it(
    lines: tuple[str, ...], route: Route, payload: object, read: object
) -> None:
    before = copy.deepcopy(payload)
    assert_holds(overrides(*lines).incoming(route, payload), read)
    assert payload == before


def assert_holds(found: Any, expected: Any) -> None:
    """Assert that all that is expected was found; what else an answer holds is nobody's."""
    if isinstance(expected, dict):
        expected = cast("dict[str, Any]", expected)
        known = {"subject", "fromEmail", "id", "isRead", "success", "failed", "total", "email", "toEmails", "error"}
        assert not known & found.keys() - expected.keys()
        for name, value in expected.items():
            assert_holds(found[name], value)
    elif isinstance(expected, list):
        for one, other in zip(found, cast("list[Any]", expected), strict=True):
            assert_holds(one, other)
    else:
        assert found == expected


EVERYTHING = overrides(
    "session.csrf = false",
    'models.Message = { fromEmail = "from.email", toEmails = "to.email", bodyHtml = "data.a" }',
    'models.ThreadSummary = { id = "subject", subject = "id", isRead = "!unread", participants = "data" }',
    'models.Participant.email = "a.a.a"',
    'models.BulkFailure.id = "id"',
    'answers = { item = "data.a", items = "data.items", total = "a.a" }',
    'values.folder.archive = "a"',
)  # fmt: skip
KEYS = ["data", "items", "a", "id", "subject", "messages", "from", "to", "email", "unread", "folder", "failed", "total"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(["a", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=15,
)


@given(route=st.sampled_from(ROUTES), payload=JSON)
def test_any_answer_is_taken_and_left_as_it_was(route: Route, payload: object) -> None:
    before = copy.deepcopy(payload)
    EVERYTHING.incoming(route, payload)
    assert payload == before
    assert NONE.incoming(route, payload) is payload


@given(route=st.sampled_from(ROUTES), body=st.none() | st.dictionaries(st.sampled_from(["folder", "to", "x"]), JSON))
def test_without_a_file_no_request_is_touched(route: Route, body: dict[str, object] | None) -> None:
    assert NONE.outgoing(route, body) is body


def test_an_answer_within_thousands_of_envelopes_is_still_read() -> None:
    for route in (routes.GET_THREAD, routes.LIST_THREADS):
        payload: object = {"items": [{"id": "a"}]}
        for _ in range(5000):
            payload = {"data": payload}
        assert EVERYTHING.incoming(route, payload) is not payload


# What a file may not say


@pytest.mark.parametrize(
    "line",
    [
        'routes.send_email.add.bccEmails = ["eve@example.test"]',
        'routes.send_email.add.BCC = "eve@example.test"',
        'routes.save_draft.add.recipient_list = ["eve@example.test"]',
    ],
)
def test_nobody_is_added_to_messages_whom_those_who_approve_them_do_not_see(line: str) -> None:
    assert "do not see" in mistakes(line)[0]


@pytest.mark.parametrize(
    "line",
    [
        'routes.send_email.add.scheduled_for = "2020-01-01T00:00:00Z"',
        'routes.set_read.rename.isRead = "!isRead"',
        'values.direction.INBOUND = "outbound"',
        'values.folder.archive = "TRASH"',
        'values.action.archive = "Delete"',
    ],
)
def test_nothing_comes_to_mean_something_else_by_a_slip(line: str) -> None:
    assert len(mistakes(line)) == 1


@pytest.mark.parametrize("line", ['models.Message.fromEmail = "toEmails"', 'models.BulkResult.success = "failed"'])
def test_no_field_of_an_answer_is_read_from_another_ones_place(line: str) -> None:
    [mistake] = mistakes(line)
    assert mistake.endswith(", which is another field of it")


def test_a_mistake_is_told_in_a_line_with_what_there_is_instead() -> None:
    assert mistakes(
        "other = 1",
        'routes.send_emial.drop = ["x"]',
        'routes.send_email.rename.bodyhtml = "html"',
        'routes.send_email.rename.subject = "the title"',
        'routes.send_email.rename.bodyText = "bodyHtml"',
        'routes.send_email.rename.cc = "!copies"',
        "routes.send_email.rename.bcc = 5",
        'routes.set_read.rename.isRead = "read[].is"',
        'routes.list_threads.rename.page = "p"',
        'routes.get_stats.rename.since = "s"',
        'routes.list_folders.item = "x"',
        "routes.set_follow_up.add = { note = 1, at = 2026-01-01 }",
        'routes.list_scheduled.add.sort = ["a"]',
        'routes.unlink_crm_record.answer.id = "x"',
        'routes.save_draft.rename = { subject = "content.text", bodyText = "content" }',
        'models.Mesage.subject = "title"',
        'models.Message = { from_email = "from", subject = "title", bodyText = "title", sentAt = "a..b" }',
        "values.colour.red = 1",
        'values.action = { archive = "delete", read = "seen", unread = "seen", burn = "x", move = 1 }',
        'session = { csfr = true, csrf = "no" }',
    ) == snapshot(
        [
            "other: there is no such name; there are routes, models, values, answers, session",
            "routes.send_emial: there is no such name; did you mean send_email?",
            "routes.send_email.rename.bodyhtml: the request to send or schedule the email has no field bodyhtml; did you mean bodyHtml?",
            'routes.send_email.rename.subject: must be the service\'s name for it, such as "html", or "body.html" for html within body',
            "routes.send_email.rename.cc: only what is true or false has an opposite (!)",
            'routes.send_email.rename.bcc: must be the service\'s name for it, such as "html", or "body.html" for html within body',
            "routes.send_email.rename.bodyText: is also where bodyHtml stands: rename or drop that one, or this",
            "routes.set_read.rename.isRead: only a list is spread over objects ([])",
            "routes.list_threads.rename.page: is documented, so it keeps its name",
            "routes.get_stats.rename.since: the request to read the statistics has no field since; it has none",
            "routes.list_folders.item: there is no such name; did you mean items?",
            "routes.set_follow_up.add.note: is where note stands: choose another name",
            "routes.set_follow_up.add.at: must be a text, a number, true or false",
            "routes.list_scheduled.add.sort: must be a text, a number, true or false",
            "routes.unlink_crm_record.answer: the answer to this request holds nothing",
            "routes.save_draft.rename.subject: is also where bodyText stands: rename or drop that one, or this",
            "routes.save_draft.rename.bodyText: is also where subject stands: rename or drop that one, or this",
            "models.Mesage: there is no such name; did you mean Message?",
            "models.Message.from_email: Message has no field from_email; did you mean fromEmail?",
            'models.Message.sentAt: must be the service\'s name for it, such as "html", or "body.html" for html within body',
            "models.Message.subject: is read from the same place as bodyText: correct one of them",
            "values.colour: there is no such name; there are action, direction, entityType, folder, sortBy, status",
            "values.action.archive: delete already means something else in the contract",
            "values.action.unread: seen is the service's word for another value too",
            "values.action.burn: there is no such name; there are read, unread, star, unstar, archive, move, delete",
            "values.action.move: must be a text: the service's word for it",
            "session.csfr: there is no such name; did you mean csrf?",
            "session.csrf: must be true or false",
        ]
    )


@pytest.mark.parametrize("header", ["routes.send_email", "models.Message", "values.folder", "session"])
def test_a_line_below_a_header_is_told_to_go_above_it(header: str) -> None:
    assert mistakes(f"[{header}]", 'routes.send_email.rename.bodyHtml = "html"') == [
        f"{header}.routes: this line belongs above the first [header] of the file, not below [{header}]"
    ]


def test_what_is_added_shows_in_no_repr() -> None:
    assert "hunter2" not in repr(overrides('routes.send_email.add.key = "hunter2"'))


@pytest.mark.parametrize(
    "document",
    [
        {"routes": 5},
        {"routes": {"send_email": []}},
        {"models": {"Draft": 1}},
        {"routes": {"send_email": {"drop": "to"}}},
    ],
)
def test_a_value_of_another_kind_is_told(document: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must be a (table of names and values|list of names)"):
        read_overrides(document)


def test_what_a_request_means_cannot_be_left_out() -> None:
    refused = {
        f"{route.key}.{name}": mistakes(f'routes.{route.key}.drop = ["{name}"]')[0].rpartition(": ")[2]
        for route in ROUTES
        for name in request_fields(route)
        if name not in MAY_BE_DROPPED
    }
    assert refused == snapshot(
        {
            "sign_in.email": "the request would not mean what was asked for",
            "sign_in.password": "the request would not mean what was asked for",
            "sign_in.twoFactorCode": "the request would not mean what was asked for",
            "list_threads.folder": "the answer would not be the one that was asked for",
            "list_threads.isRead": "the answer would not be the one that was asked for",
            "list_threads.isStarred": "the answer would not be the one that was asked for",
            "list_threads.hasFollowUp": "the answer would not be the one that was asked for",
            "list_threads.hasAttachments": "the answer would not be the one that was asked for",
            "list_threads.from": "the answer would not be the one that was asked for",
            "list_threads.entityType": "the answer would not be the one that was asked for",
            "list_threads.entityId": "the answer would not be the one that was asked for",
            "list_threads.startDate": "the answer would not be the one that was asked for",
            "list_threads.endDate": "the answer would not be the one that was asked for",
            "list_threads.page": "the answer would not be the one that was asked for",
            "list_threads.limit": "a list would seem to end where it goes on",
            "list_threads.cursor": "the answer would not be the one that was asked for",
            "list_threads.sortBy": "the answer would not be the one that was asked for",
            "list_threads.sortOrder": "the answer would not be the one that was asked for",
            "send_email.to": "the message would not reach them",
            "send_email.cc": "the message would not reach them",
            "send_email.bcc": "the message would not reach them",
            "send_email.subject": "the message would go without one",
            "send_email.bodyText": "the message would be empty",
            "send_email.scheduledFor": "the message would be sent at once",
            "save_draft.to": "the message would not reach them",
            "save_draft.cc": "the message would not reach them",
            "save_draft.bcc": "the message would not reach them",
            "save_draft.subject": "the message would go without one",
            "save_draft.bodyText": "the message would be empty",
            "save_draft.id": "each update would leave another draft",
            "set_read.isRead": "the request would not mean what was asked for",
            "set_star.isStarred": "the request would not mean what was asked for",
            "bulk_threads.threadIds": "the request would not mean what was asked for",
            "bulk_threads.action": "the request would not mean what was asked for",
            "bulk_threads.folder": "the request would not mean what was asked for",
            "link_crm_record.entityType": "the request would not mean what was asked for",
            "link_crm_record.entityId": "the request would not mean what was asked for",
            "search_threads.q": "the answer would not be the one that was asked for",
            "search_threads.folder": "the answer would not be the one that was asked for",
            "search_threads.startDate": "the answer would not be the one that was asked for",
            "search_threads.endDate": "the answer would not be the one that was asked for",
            "search_threads.page": "the answer would not be the one that was asked for",
            "search_threads.limit": "a list would seem to end where it goes on",
            "search_threads.cursor": "the answer would not be the one that was asked for",
            "set_read_batch.threadIds": "the request would not mean what was asked for",
            "set_read_batch.isRead": "the request would not mean what was asked for",
            "set_star_batch.threadIds": "the request would not mean what was asked for",
            "set_star_batch.isStarred": "the request would not mean what was asked for",
            "archive_batch.threadIds": "the request would not mean what was asked for",
            "move_batch.threadIds": "the request would not mean what was asked for",
            "move_batch.folder": "the request would not mean what was asked for",
            "delete_batch.threadIds": "the request would not mean what was asked for",
            "list_scheduled.page": "the answer would not be the one that was asked for",
            "list_scheduled.limit": "a list would seem to end where it goes on",
            "list_scheduled.cursor": "the answer would not be the one that was asked for",
            "set_follow_up.reminderDate": "the request would not mean what was asked for",
            "set_follow_up.note": "the reminder would come without its words, and one is set without a note as it is",
        }
    )
    assert set(MAY_BE_DROPPED) == snapshot({"bodyHtml", "draftId", "inReplyTo", "threadId"})


def test_a_reply_stays_a_reply() -> None:
    assert mistakes('routes.send_email.drop = ["threadId", "inReplyTo"]') == snapshot(
        [
            "routes.send_email.drop: one of threadId and inReplyTo must stay: a reply would arrive as a message of its own"
        ]
    )


@given(document=st.dictionaries(st.sampled_from(["routes", "models", "values", "answers", "session"]), st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["a.b", "!x", "a[].b", "", "."]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
        st.sampled_from(["send_email", "get_me", "list_threads", "Message", "folder", "rename", "drop", "add", "path",
                         "items", "item", "answer", "bodyHtml", "to", "isRead", "fromEmail", "inbox", "csrf"]), inner),
    max_leaves=12)))  # fmt: skip
def test_any_file_is_read_or_its_mistakes_are_told(document: dict[str, object]) -> None:
    try:
        read = read_overrides(document)
    except ValueError as error:
        assert str(error)
    else:
        assert isinstance(read, Overrides)


def test_the_example_says_what_it_says() -> None:
    told = read_overrides(tomllib.loads(EXAMPLE.read_text(encoding="utf-8")))
    body: dict[str, object] = {"to": ["ann@example.com"], "bodyHtml": "<p>", "bodyText": "t"}
    assert told.outgoing(routes.SEND_EMAIL, body) == snapshot(
        {"recipients": [{"email": "ann@example.com"}], "html": "<p>", "content": {"text": "t"}, "source": "assistant"}
    )
    assert told.outgoing(routes.SET_READ, {"isRead": True}) == snapshot({"unread": False})
    assert (told.path(routes.GET_ME), told.sends_csrf) == ("/users/me", True)
