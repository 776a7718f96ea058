"""The table of the reference, held against the routes, the client's methods and the tools."""

import inspect
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from harness import NOW, Office, open_office
from salesos_inbox.client.http import InboxClient
from salesos_inbox.contract import models, routes
from salesos_inbox.contract.models import Mark
from salesos_inbox.contract.routes import ROUTES, Route
from salesos_inbox.tools.catalogue import CATALOGUE

INBOX = [route for route in ROUTES if route.number]

REFERENCE = {
    1: "GET /folders",
    2: "GET /threads",
    3: "GET /threads/{id}",
    4: "POST /send",
    5: "POST /drafts",
    6: "PATCH /threads/{id}/read",
    7: "PATCH /threads/{id}/star",
    8: "POST /threads/{id}/archive",
    9: "POST /threads/bulk",
    10: "POST /threads/{id}/crm-links",
    11: "DELETE /threads/{id}/crm-links/{entityType}/{entityId}",
    12: "GET /stats",
    13: "GET /search",
    14: "PATCH /threads/read",
    15: "PATCH /threads/star",
    16: "PATCH /threads/archive",
    17: "PATCH /threads/move",
    18: "POST /threads/delete",
    19: "GET /scheduled",
    20: "DELETE /scheduled/{id}",
    21: "POST /threads/{id}/follow-up",
    22: "DELETE /threads/{id}/follow-up",
}
SESSION = ["GET /auth/csrf-token", "GET /auth/me", "POST /auth/login", "POST /auth/refresh"]

IDS = {"{thread_id}": "{id}", "{scheduled_id}": "{id}", "{entity_type}": "{entityType}", "{entity_id}": "{entityId}"}


def spelled(route: Route) -> str:
    """Return a route as the reference writes it."""
    path = re.sub(r"{\w+}", lambda found: IDS[found[0]], route.path)
    return f"{route.method} {path.removeprefix('/email-inbox')}"


def number_of(method: str, path: str) -> int:
    """Return the number of the route that a request took; fixed paths win over those with ids."""
    for route in sorted(INBOX, key=lambda route: route.path.count("{")):
        pattern = re.sub(r"{\w+}", "[^/]+", route.path.removeprefix("/email-inbox"))
        if (method, True) == (route.method, bool(re.fullmatch(pattern, path))):
            return route.number
    return 0


def numbers(office: Office) -> list[int]:
    """Return the inbox routes on the wire so far, in their order."""
    return [number for method, path, _ in office.wire.requests if (number := number_of(method, path))]


def test_the_routes_are_those_of_the_reference_once_each() -> None:
    assert [(route.number, spelled(route)) for route in INBOX] == list(REFERENCE.items())


def test_the_sessions_routes_stand_beside_the_inbox() -> None:
    assert sorted(spelled(route) for route in ROUTES if not route.number) == SESSION


def test_paths_of_the_inbox_are_documented_and_the_sessions_are_not() -> None:
    assert {route.mark for route in INBOX} == {Mark.DOCUMENTED}
    assert {route.mark for route in ROUTES if not route.number and not route.is_public} == {Mark.SIBLING}


def test_the_sign_in_is_our_assumption_and_the_only_route_without_credentials() -> None:
    assert [(route, route.mark) for route in ROUTES if route.is_public] == [(routes.SIGN_IN, Mark.ASSUMED)]


def test_only_a_get_needs_no_more_than_the_scope_to_read() -> None:
    assert {route.method for route in ROUTES if route.scope is routes.Scope.READ} == {"GET"}


@pytest.mark.parametrize(
    ("identifier", "quoted"),
    [("a/b", "a%2Fb"), ("?x=1", "%3Fx%3D1"), ("a b", "a%20b"), ("#", "%23"), ("é", "%C3%A9"), ("a%2Fb", "a%252Fb")],
)
def test_an_id_is_quoted_as_one_segment_of_a_path(identifier: str, quoted: str) -> None:
    assert routes.GET_THREAD.url(thread_id=identifier) == f"/email-inbox/threads/{quoted}"


# The client

EMAIL = models.SendEmail(to=["a@b.example"], subject="x", body_text="y")
Drive = Callable[[InboxClient, str, str, str], Awaitable[object]]

METHODS: dict[str, tuple[int, Drive]] = {
    "list_folders": (1, lambda client, thread, record, scheduled: client.list_folders()),
    "list_threads": (2, lambda client, thread, record, scheduled: client.list_threads(models.ListThreads(limit=1))),
    "get_thread": (3, lambda client, thread, record, scheduled: client.get_thread(thread)),
    "send_email": (4, lambda client, thread, record, scheduled: client.send_email(EMAIL)),
    "save_draft": (5, lambda client, thread, record, scheduled: client.save_draft(models.SaveDraft(subject="x"))),
    "set_read": (6, lambda client, thread, record, scheduled: client.set_read(thread, True)),
    "set_star": (7, lambda client, thread, record, scheduled: client.set_star(thread, True)),
    "archive_thread": (8, lambda client, thread, record, scheduled: client.archive_thread(thread)),
    "bulk_threads": (9, lambda client, thread, record, scheduled: client.bulk_threads("star", [thread])),
    "link_crm_record": (10, lambda client, thread, record, scheduled: client.link_crm_record(thread, "lead", record)),
    "unlink_crm_record": (
        11,
        lambda client, thread, record, scheduled: client.unlink_crm_record(thread, "lead", record),
    ),
    "get_stats": (12, lambda client, thread, record, scheduled: client.get_stats()),
    "search_threads": (
        13,
        lambda client, thread, record, scheduled: client.search_threads(models.SearchThreads(q="a")),
    ),
    "set_read_batch": (14, lambda client, thread, record, scheduled: client.set_read_batch([thread], False)),
    "set_star_batch": (15, lambda client, thread, record, scheduled: client.set_star_batch([thread], False)),
    "archive_batch": (16, lambda client, thread, record, scheduled: client.archive_batch([thread])),
    "move_batch": (17, lambda client, thread, record, scheduled: client.move_batch([thread], "inbox")),
    "delete_batch": (18, lambda client, thread, record, scheduled: client.delete_batch([thread])),
    "list_scheduled": (19, lambda client, thread, record, scheduled: client.list_scheduled(models.ListScheduled())),
    "cancel_scheduled": (20, lambda client, thread, record, scheduled: client.cancel_scheduled(scheduled)),
    "set_follow_up": (
        21,
        lambda client, thread, record, scheduled: client.set_follow_up(
            thread, models.SetFollowUp(reminder_date=NOW + timedelta(days=1))
        ),
    ),
    "remove_follow_up": (22, lambda client, thread, record, scheduled: client.remove_follow_up(thread)),
}
"""Every method of the client, the number of its route and how it is called."""


def test_every_method_of_the_client_is_driven() -> None:
    public = {name for name, _ in inspect.getmembers(InboxClient, inspect.isfunction) if not name.startswith("_")}
    assert public == {*METHODS, "get_me"}


@pytest.mark.anyio
async def test_each_route_is_reached_by_exactly_one_method_of_the_client() -> None:
    async with open_office() as office:
        client = office.services.client
        thread = office.store.list_threads(office.user_id, models.ListThreads()).items[0].id
        record = office.store.add_crm_record(office.user_id, "lead", "New lead")
        later = EMAIL.model_copy(update={"scheduled_for": NOW + timedelta(days=1)})
        scheduled = (await client.send_email(later)).id or ""
        reached: dict[str, list[int]] = {}
        for name, (_, drive) in METHODS.items():
            before = len(numbers(office))
            await drive(client, thread, record, scheduled)
            reached[name] = numbers(office)[before:]
    assert reached == {name: [number] for name, (number, _) in METHODS.items()}
    assert sorted(number for number, _ in METHODS.values()) == sorted(REFERENCE)


# The tools


@pytest.mark.anyio
async def test_a_session_that_calls_all_22_tools_reaches_all_22_routes() -> None:
    async with open_office() as office:
        ids = await office.thread_ids()
        one, two, three = ids[:3]
        for thread in (one, two, three):
            office.store.set_read(office.user_id, thread, True)
            office.store.set_star(office.user_id, thread, True)
        record = office.store.add_crm_record(office.user_id, "lead", "New lead")
        reminder = {"thread_id": three, "remind_at": "2026-12-01T09:00:00Z"}
        link = {"thread_id": three, "record_type": "lead", "record_id": record}
        mail = {"to": ["ann@b.example"], "subject": "x", "body": "y"}
        calls: list[tuple[str, dict[str, Any]]] = [
            ("list_folders", {}),
            ("list_threads", {}),
            ("search_threads", {"query": "price"}),
            ("read_thread", {"thread_id": one}),
            ("triage_inbox", {"limit": 2}),
            ("get_inbox_stats", {}),
            ("list_scheduled", {}),
            ("save_draft", mail),
            ("send_email", mail),
            ("schedule_email", {**mail, "send_at": "2026-12-01T09:00:00Z"}),
            ("mark_read", {"thread_ids": [one], "read": False}),
            ("mark_read", {"thread_ids": [two, three], "read": False}),
            ("star_threads", {"thread_ids": [one], "starred": False}),
            ("star_threads", {"thread_ids": [two, three], "starred": False}),
            ("archive_threads", {"thread_ids": [one]}),
            ("archive_threads", {"thread_ids": [two, three]}),
            ("move_threads", {"thread_ids": [one, two, three], "folder": "inbox"}),
            ("bulk_update_threads", {"plan": [{"action": "archive", "thread_ids": [one, two]}]}),
            ("link_crm_record", link),
            ("unlink_crm_record", link),
            ("set_follow_up", reminder),
            ("remove_follow_up", {"thread_id": three}),
            ("delete_threads", {"thread_ids": [one]}),
        ]
        answer: dict[str, Any] = {}
        for tool, arguments in calls:
            answer = await office.call(tool, **arguments)
            if tool == "schedule_email":
                await office.call("cancel_scheduled", scheduled_id=answer["scheduled_id"])
        await office.call("undo_change", undo_id=answer["undo_id"])
        called = {tool for tool, _ in calls} | {"cancel_scheduled", "undo_change"}
        assert called == {tool.name for tool in CATALOGUE}
        assert sorted(set(numbers(office))) == sorted(REFERENCE)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("tool", "more", "single", "batch"),
    [
        ("mark_read", {"read": False}, 6, 14),
        ("star_threads", {"starred": True}, 7, 15),
        ("archive_threads", {}, 8, 16),
    ],
)
async def test_one_thread_takes_the_single_endpoint_and_several_the_batch_one(
    tool: str, more: dict[str, Any], single: int, batch: int
) -> None:
    async with open_office() as office:
        rows = (await office.call("list_threads", folder="inbox", limit=100))["threads"]
        for row in rows[:3]:
            office.store.set_read(office.user_id, row["thread_id"], True)
            office.store.set_star(office.user_id, row["thread_id"], False)
        one, two, three = (row["thread_id"] for row in rows[:3])
        await office.call(tool, thread_ids=[one], **more)
        await office.call(tool, thread_ids=[two, three], **more)
        assert [number_of(method, path) for method, path, _ in office.wire.writes()] == [single, batch]
