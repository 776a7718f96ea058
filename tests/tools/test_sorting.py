# ruff: noqa: E501 -- the snapshots hold lines of mail
"""Marking, starring, archiving, moving and deleting, one thread, several, or a whole plan."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio.lowlevel import checkpoint
from inline_snapshot import snapshot

from harness import NOW, Era, Office, Person, mailbox_of, open_office
from salesos_inbox.approval.ledger import Ledger
from salesos_inbox.client.http import InboxClient
from salesos_inbox.sandbox.messages import StoredMessage
from salesos_inbox.sandbox.store import Store
from salesos_inbox.tools._changes import Action

pytestmark = pytest.mark.anyio

USER = "maya@northwind.example"
Steady = Callable[[object], Any]
Interpose = Callable[[Office, Callable[[str, str, httpx.Response], httpx.Response | None]], None]


def a_mailbox(threads: int) -> Store:
    """Return a mailbox with so many unread threads in the inbox and a folder of the user's own."""
    return mailbox_of(USER, threads)[0]


def outcomes(answer: dict[str, Any]) -> dict[str, str]:
    """Return what became of each thread."""
    return {thread_id: row["outcome"] for row in answer["results"] for thread_id in row["thread_ids"]}


def state(office: Office, thread_id: str) -> tuple[str | None, bool | None, bool | None]:
    """Return folder, read and starred of a thread as the service has them."""
    thread = office.store.thread(office.user_id, thread_id)
    return thread.folder, thread.is_read, thread.is_starred


ENDPOINTS: list[tuple[str, dict[str, Any], Any, tuple[str, str, dict[str, Any]]]] = [
    ("mark_read", {}, ("PATCH", "/threads/{}/read", {"isRead": True}), ("PATCH", "/threads/read", {"isRead": True})),
    ("star_threads", {}, ("PATCH", "/threads/{}/star", {"isStarred": True}), ("PATCH", "/threads/star", {"isStarred": True})),
    ("archive_threads", {}, ("POST", "/threads/{}/archive", None), ("PATCH", "/threads/archive", {})),
    ("move_threads", {"folder": "spam"}, None, ("PATCH", "/threads/move", {"folder": "spam"})),
    ("delete_threads", {}, None, ("POST", "/threads/delete", {})),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "arguments", "single", "batch"), ENDPOINTS)
async def test_one_thread_goes_to_its_own_endpoint_and_several_to_the_batch(
    tool: str, arguments: dict[str, Any], single: tuple[str, str, Any] | None, batch: tuple[str, str, dict[str, Any]]
) -> None:
    async with open_office(store=a_mailbox(3), user=USER) as office:
        first, *others = await office.thread_ids()
        answer = await office.call(tool, thread_ids=[first], **arguments)
        assert answer["results"] == [{"outcome": "done", "thread_ids": [first]}]
        method, path, body = batch
        one = (method, path, {"threadIds": [first], **body}) if single is None else single
        assert office.wire.writes() == [(one[0], one[1].format(first), one[2])]
        answer = await office.call(tool, thread_ids=others, **arguments)
        assert answer["results"] == [{"outcome": "done", "thread_ids": others}]
        assert office.wire.writes()[1:] == [(method, path, {"threadIds": others, **body})]


async def test_booleans_are_targets_and_a_repeat_changes_nothing() -> None:
    async with open_office(store=a_mailbox(1), user=USER) as office:
        (thread_id,) = await office.thread_ids()
        for tool, target, expected in (
            ("mark_read", {"read": True}, ("inbox", True, False)),
            ("star_threads", {"starred": True}, ("inbox", True, True)),
            ("mark_read", {"read": False}, ("inbox", False, True)),
            ("star_threads", {"starred": False}, ("inbox", False, False)),
            ("archive_threads", {}, ("archive", False, False)),
            ("move_threads", {"folder": "contracts"}, ("Contracts", False, False)),
            ("delete_threads", {}, ("trash", False, False)),
        ):
            first = await office.call(tool, thread_ids=[thread_id], **target)
            assert outcomes(first) == {thread_id: "done"}
            assert first["undo_id"]
            assert state(office, thread_id) == expected
            sent = len(office.wire.writes())
            again = await office.call(tool, thread_ids=[thread_id], **target)
            assert again == {"results": [{"outcome": "unchanged", "thread_ids": [thread_id]}]}
            assert len(office.wire.writes()) == sent


async def test_every_thread_has_its_own_outcome(steady: Steady) -> None:
    store = a_mailbox(3)
    stranger = store.add_user("eve@northwind.example")
    filed = store.file_message(stranger, StoredMessage(from_email="x@helix.example", sent_at=NOW, body_text="secret"))
    async with open_office(store=store, user=USER) as office:
        first, second, _ = await office.thread_ids()
        await office.call("archive_threads", thread_ids=[second])
        answer = await office.call(
            "archive_threads", thread_ids=[first, second, filed.thread_id, "no-such-thread", first]
        )
        assert steady(answer) == snapshot(
            {
                "results": [
                    {"outcome": "not_found", "thread_ids": ["<1>", "no-such-thread"]},
                    {"outcome": "unchanged", "thread_ids": ["<2>"]},
                    {"outcome": "done", "thread_ids": ["<3>"]},
                ],
                "undo_id": "<4>",
            }
        )
        assert store.thread(stranger, filed.thread_id).folder == "inbox"
        assert office.wire.writes()[-1] == ("POST", f"/threads/{first}/archive", None)


BAD_CALLS: list[tuple[str, dict[str, Any], str]] = [
    ("mark_read", {"thread_ids": []}, "give at least one id"),
    ("archive_threads", {"thread_ids": [str(number) for number in range(101)]}, "at most 100"),
    ("archive_threads", {"thread_ids": ["x"] * 200_000}, "at most 100"),
    ("archive_threads", {"thread_ids": ["a\nb"]}, "thread_id must be an id"),
    ("archive_threads", {"thread_ids": [""]}, "thread_id must be an id"),
    ("delete_threads", {"thread_ids": ["\ud800"]}, "thread_id must be an id"),
    ("delete_threads", {"thread_ids": ["x" * 10_000_000]}, "thread_id must be an id"),
    ("delete_threads", {"thread_ids": ["c1"], "approved": True}, "has no argument 'approved'"),
    ("delete_threads", {"thread_id": "c1"}, "use thread_ids"),
    ("star_threads", {"thread_ids": ["c1"], "isStarred": False}, "use starred"),
    ("move_threads", {"thread_ids": ["c1"], "folder": "trash"}, "cannot be moved to trash: use delete_threads"),
    ("move_threads", {"thread_ids": ["c1"], "folder": "Sent"}, "cannot be moved to sent: choose inbox"),
    ("move_threads", {"thread_ids": ["c1"]}, "move_threads needs folder"),
    ("bulk_update_threads", {"plan": []}, "The plan is empty"),
    ("bulk_update_threads", {"plan": [{"action": "read", "thread_ids": []}]}, "plan.0.thread_ids"),
    ("bulk_update_threads", {"plan": [{"action": "zap", "thread_ids": ["a"]}]}, "plan.0.action"),
    ("bulk_update_threads", {"plan": [{"action": "read", "ids": ["a"]}]}, "plan.0.thread_ids"),
    ("bulk_update_threads", {"plan": [{"action": "read", "thread_ids": ["a"], "all": True}]}, "plan.0.all"),
    ("bulk_update_threads", {"plan": [{"action": "move", "thread_ids": ["a"]}]}, "folder goes with the action move"),
    ("bulk_update_threads", {"plan": [{"action": "read", "thread_ids": ["a"], "folder": "spam"}]}, "folder goes with"),
    ("bulk_update_threads", {"plan": [{"action": "read", "thread_ids": ["a"] * 5001}]}, "more than 5,000 threads"),
    ("bulk_update_threads", {"plan": [{"action": "read", "thread_ids": ["a\nb"]}]}, "thread_id must be an id"),
]  # fmt: skip


async def test_a_bad_call_is_refused_in_words_and_changes_nothing() -> None:
    async with open_office(store=a_mailbox(1), user=USER) as office:
        for tool, arguments, words in BAD_CALLS:
            refusal = await office.refusal(tool, **arguments)
            assert refusal.startswith("invalid_arguments: ")
            assert words in refusal
            assert len(refusal) < 300
            assert office.wire.writes() == []
            assert office.person.cards == []


async def test_deleting_asks_with_the_threads_named(era: Era) -> None:
    async with open_office(store=a_mailbox(3), user=USER, era=era) as office:
        first, second, _ = await office.thread_ids()
        answer = await office.call("delete_threads", thread_ids=[first, second])
        assert outcomes(answer) == {first: "done", second: "done"}
        assert office.person.cards == snapshot(
            [
                """\
Move 2 threads to the trash?
Move to the trash (2 threads):
• person0@helix[.]example: Subject 0
• person1@helix[.]example: Subject 1\
"""
            ]
        )
        assert state(office, first)[0] == "trash"


async def test_what_is_in_the_trash_is_never_deleted_again() -> None:
    async with open_office(store=a_mailbox(2), user=USER) as office:
        first, second = await office.thread_ids()
        await office.call("delete_threads", thread_ids=[first])
        answer = await office.call("delete_threads", thread_ids=[first, second])
        assert outcomes(answer) == {first: "unchanged", second: "done"}
        assert [body["threadIds"] for _, _, body in office.wire.writes()] == [[first], [second]]
        answer = await office.call("bulk_update_threads", plan=[{"action": "delete", "thread_ids": [first, second]}])
        assert outcomes(answer) == {first: "unchanged", second: "unchanged"}
        assert len(office.wire.writes()) == 2
        assert len(office.person.cards) == 2, "what is in the trash is not asked about"


async def test_what_went_to_the_trash_while_the_person_thought_is_not_deleted_for_good(era: Era) -> None:
    store = a_mailbox(2)
    person = Person()
    async with open_office(store=store, user=USER, era=era, person=person) as office:
        first, second = await office.thread_ids()

        def trash_it() -> None:
            if state(office, first)[0] != "trash":
                store.delete(office.user_id, first)

        person.meanwhile = trash_it
        answer = await office.call("delete_threads", thread_ids=[first, second])
        assert outcomes(answer) == {first: "unchanged", second: "done"}
        assert state(office, first)[0] == "trash"


async def test_a_thread_that_vanished_while_the_person_thought_is_not_found(era: Era) -> None:
    store = a_mailbox(2)
    person = Person()
    async with open_office(store=store, user=USER, era=era, person=person) as office:
        first, second = await office.thread_ids()
        gone: list[str] = []

        def remove_it() -> None:
            if not gone:
                gone.append(first)
                store.delete(office.user_id, first)
                store.delete(office.user_id, first)

        person.meanwhile = remove_it
        answer = await office.call("delete_threads", thread_ids=[first, second])
        assert outcomes(answer) == {first: "not_found", second: "done"}


@pytest.mark.parametrize("answer", ["decline", "cancel"])
async def test_a_no_deletes_nothing(answer: Any, era: Era) -> None:
    async with open_office(store=a_mailbox(2), user=USER, era=era, person=Person(answer=answer)) as office:
        first, second = await office.thread_ids()
        refusal = await office.refusal("delete_threads", thread_ids=[first, second])
        assert refusal.startswith("declined: The user said no" if answer == "decline" else "nobody_asked: ")
        assert len(office.person.cards) == 1
        assert office.wire.writes() == []


async def test_many_threads_ask_even_where_the_change_is_reversible(era: Era) -> None:
    async with open_office(store=a_mailbox(60), user=USER, era=era) as office:
        ids = await office.thread_ids()
        await office.call("mark_read", thread_ids=ids[:25])
        assert office.person.cards == []
        await office.call("mark_read", thread_ids=ids[:50])
        assert office.person.cards == [], "25 of them are read already"
        answer = await office.call("star_threads", thread_ids=ids[:26])
        assert len(office.person.cards) == 1
        assert office.person.cards[0].startswith("Change 26 threads in your mailbox?\nStar (26 threads):\n")
        assert set(outcomes(answer).values()) == {"done"}


async def test_many_threads_are_left_alone_where_nobody_can_be_asked() -> None:
    async with open_office(store=a_mailbox(30), user=USER, asks=False) as office:
        ids = await office.thread_ids()
        for tool, arguments in (
            ("archive_threads", {"thread_ids": ids}),
            ("bulk_update_threads", {"plan": [{"action": "read", "thread_ids": ids}]}),
        ):
            assert (await office.refusal(tool, **arguments)).startswith("nobody_asked: Nobody decided and nothing")
        assert office.wire.writes() == []


async def test_a_plan_answers_for_each_thread_and_asks_once(steady: Steady, era: Era) -> None:
    async with open_office(store=a_mailbox(7), user=USER, era=era) as office:
        ids = await office.thread_ids()
        await office.call("star_threads", thread_ids=[ids[0]])
        told: list[tuple[float, float | None, str | None]] = []

        async def progress(progress: float, total: float | None, message: str | None) -> None:
            told.append((progress, total, message))

        plan = [
            {"action": "read", "thread_ids": [ids[0], ids[1]]},
            {"action": "star", "thread_ids": [ids[0], "no-such-thread"]},
            {"action": "archive", "thread_ids": [ids[2]]},
            {"action": "move", "thread_ids": [ids[3]], "folder": "contracts"},
            {"action": "delete", "thread_ids": [ids[4], ids[5]]},
        ]
        result = await office.client.call_tool("bulk_update_threads", {"plan": plan}, progress_callback=progress)
        assert not result.is_error
        assert steady(result.structured_content) == snapshot(
            {
                "results": [
                    {"action": "read", "outcome": "done", "thread_ids": ["<1>", "<2>"]},
                    {"action": "star", "outcome": "not_found", "thread_ids": ["no-such-thread"]},
                    {"action": "star", "outcome": "unchanged", "thread_ids": ["<1>"]},
                    {"action": "archive", "outcome": "done", "thread_ids": ["<3>"]},
                    {"action": "move to Contracts", "outcome": "done", "thread_ids": ["<4>"]},
                    {"action": "delete", "outcome": "done", "thread_ids": ["<5>", "<6>"]},
                ],
                "undo_id": "<7>",
            }
        )
        assert office.person.cards == snapshot(
            [
                """\
Change 6 threads in your mailbox, 2 of them to the trash?
Move to the trash (2 threads):
• person4@helix[.]example: Subject 4
• person5@helix[.]example: Subject 5
Mark as read (2 threads):
• person0@helix[.]example: Subject 0
• person1@helix[.]example: Subject 1
Archive (1 thread):
• person2@helix[.]example: Subject 2
Move to Contracts (1 thread):
• person3@helix[.]example: Subject 3\
"""
            ]
        )
        assert [path for _, path, _ in office.wire.writes()][1:] == ["/threads/bulk"] * 4
        assert [body["action"] for _, _, body in office.wire.writes()[1:]] == ["read", "archive", "move", "delete"]
        assert all(one[0] < other[0] for one, other in pairwise(told)), (
            "the protocol wants every one to be beyond the last"
        )
        assert told[-1] == (21, 21, "6 of 6 threads changed")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"action": "read"}, {"action": "unread"}),
        ({"action": "star"}, {"action": "unstar"}),
        ({"action": "archive"}, {"action": "delete"}),
        ({"action": "move", "folder": "spam"}, {"action": "archive"}),
        ({"action": "move", "folder": "spam"}, {"action": "move", "folder": "inbox"}),
    ],
)
async def test_a_plan_that_contradicts_itself_is_refused(one: dict[str, str], other: dict[str, str]) -> None:
    async with open_office(store=a_mailbox(2), user=USER) as office:
        first, second = await office.thread_ids()
        plan = [{**one, "thread_ids": [first, second]}, {**other, "thread_ids": [second]}]
        refusal = await office.refusal("bulk_update_threads", plan=plan)
        assert refusal.startswith("invalid_arguments: The plan says both")
        assert refusal.endswith(f"for thread {second!r}: keep one.")
        assert office.wire.writes() == []


async def test_a_thread_named_twice_in_a_plan_is_deleted_once() -> None:
    async with open_office(store=a_mailbox(2), user=USER) as office:
        first, second = await office.thread_ids()
        plan = [
            {"action": "delete", "thread_ids": [first, first]},
            {"action": "delete", "thread_ids": [second, first]},
        ]
        answer = await office.call("bulk_update_threads", plan=plan)
        assert answer["results"] == [{"action": "delete", "outcome": "done", "thread_ids": [first, second]}]
        assert office.wire.writes() == [("POST", "/threads/bulk", {"action": "delete", "threadIds": [first, second]})]
        assert state(office, first)[0] == "trash"


async def test_a_large_plan_goes_in_batches() -> None:
    async with open_office(store=a_mailbox(250), user=USER) as office:
        user_id = office.user_id
        ids = [thread.id for page in (1, 2, 3) for thread in _page(office, page)]
        answer = await office.call("bulk_update_threads", plan=[{"action": "archive", "thread_ids": ids}])
        assert answer["results"] == [{"action": "archive", "outcome": "done", "thread_ids": [], "count": 250}]
        assert [len(body["threadIds"]) for _, _, body in office.wire.writes()] == [100, 100, 50]
        assert office.person.cards[0].endswith("\n(220 more, not listed here)")
        undone = await office.call("undo_change", undo_id=answer["undo_id"])
        assert {row["outcome"] for row in undone["results"]} == {"done"}
        assert {office.store.thread(user_id, thread_id).folder for thread_id in ids} == {"inbox"}


def _page(office: Office, page: int) -> list[Any]:
    from salesos_inbox.contract.models import ListThreads

    return [*office.store.list_threads(office.user_id, ListThreads(limit=100, page=page)).items]


ODD_ANSWERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "count": lambda body: {"count": len(body["success"])},
    "success": lambda body: {"success": True},
    "nothing": lambda body: {},
    "null": lambda body: None,
    "bare ids as failed": lambda body: {"success": body["success"][:1], "failed": body["success"][1:]},
    "strangers": lambda body: {"success": [*body["success"], "c" + "0" * 24], "failed": [{"id": "x"}]},
}


@pytest.mark.parametrize("answer", sorted(ODD_ANSWERS))
@pytest.mark.parametrize("happens", [True, False])
@pytest.mark.parametrize("tool", ["archive_threads", "bulk_update_threads"])
async def test_never_more_is_reported_than_was_confirmed_or_seen(
    interpose: Interpose, answer: str, happens: bool, tool: str
) -> None:
    async with open_office(store=a_mailbox(4), user=USER) as office:
        first, second, third, _ = await office.thread_ids()
        ids = [first, second, third]

        def odd(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
            if method == "GET" or not path.startswith("/threads"):
                return None
            body = response.json()
            if not happens:
                for thread_id in ids:
                    office.store.move(office.user_id, thread_id, "inbox")
            return httpx.Response(200, json=ODD_ANSWERS[answer](body))

        interpose(office, odd)
        arguments = (
            {"thread_ids": ids} if tool == "archive_threads" else {"plan": [{"action": "archive", "thread_ids": ids}]}
        )
        found = outcomes(await office.call(tool, **arguments))
        confirmed = {"bare ids as failed": {first}, "strangers": set(ids)}.get(answer, set())
        refused = {second, third} if answer == "bare ids as failed" else set[str]()
        for thread_id in ids:
            believed = thread_id in confirmed or (happens and thread_id not in refused)
            assert found[thread_id] == ("done" if believed else "failed")
        assert set(found) == set(ids), "no thread that was not asked for is reported"


async def test_a_thread_the_service_refuses_is_reported_with_the_reason(interpose: Interpose, steady: Steady) -> None:
    async with open_office(store=a_mailbox(3), user=USER) as office:
        ids = await office.thread_ids()

        def partly(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
            if path != "/threads/bulk":
                return None
            failed = [
                {"id": ids[1], "error": "Thread is locked by eve@evil.test"},
                {"id": ids[2], "error": "Thread not found"},
            ]
            return httpx.Response(200, json={"success": [ids[0]], "failed": failed})

        interpose(office, partly)
        answer = await office.call("bulk_update_threads", plan=[{"action": "read", "thread_ids": ids}])
        assert steady(answer) == snapshot(
            {
                "results": [
                    {"action": "read", "outcome": "not_found", "thread_ids": ["<1>"]},
                    {
                        "action": "read",
                        "outcome": "failed",
                        "thread_ids": ["<2>"],
                        "reason": "SalesOS refused to change it: read the thread before you retry.",
                    },
                    {"action": "read", "outcome": "done", "thread_ids": ["<3>"]},
                ],
                "undo_id": "<4>",
            }
        )
        assert "evil" not in json.dumps(answer)


async def test_a_service_that_fails_in_the_middle_of_a_plan_loses_no_earlier_outcome(
    interpose: Interpose, steady: Steady
) -> None:
    async with open_office(store=a_mailbox(4), user=USER) as office:
        ids = await office.thread_ids()
        asked = 0

        def fails_at_the_second(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
            nonlocal asked
            asked += path == "/threads/bulk"
            return httpx.Response(401) if path == "/threads/bulk" and asked >= 2 else None

        interpose(office, fails_at_the_second)
        plan = [
            {"action": "archive", "thread_ids": ids[:2]},
            {"action": "read", "thread_ids": ids[2:3]},
            {"action": "star", "thread_ids": ids[3:]},
        ]
        answer = await office.call("bulk_update_threads", plan=plan)
        assert steady(answer) == snapshot(
            {
                "results": [
                    {"action": "archive", "outcome": "done", "thread_ids": ["<1>", "<2>"]},
                    {
                        "action": "read",
                        "outcome": "failed",
                        "thread_ids": ["<3>"],
                        "reason": "SalesOS does not accept the token (ended, revoked or unknown), and nothing was changed: ask the user to set a new SALESOS_TOKEN, or to leave it out and run `salesos-inbox-mcp auth login`, and to restart the server.",
                    },
                    {
                        "action": "star",
                        "outcome": "failed",
                        "thread_ids": ["<4>"],
                        "reason": "Not tried, as an earlier step of the plan failed.",
                    },
                ],
                "undo_id": "<5>",
                "note": "To go on, give the same plan again: what is done stays as it is.",
            }
        )
        assert state(office, ids[3])[2] is False
        interpose(office, lambda method, path, response: None)
        undone = await office.call("undo_change", undo_id=answer["undo_id"])
        assert outcomes(undone) == dict.fromkeys(ids[:2], "done")


async def test_a_plan_of_which_nothing_happened_is_a_failure(interpose: Interpose) -> None:
    async with open_office(store=a_mailbox(2), user=USER) as office:
        ids = await office.thread_ids()
        interpose(office, lambda method, path, response: httpx.Response(401) if path == "/threads/bulk" else None)
        refusal = await office.refusal("bulk_update_threads", plan=[{"action": "read", "thread_ids": ids}])
        assert refusal.startswith("unauthorized: ")


@pytest.mark.parametrize("happens", [True, False])
async def test_after_an_answer_that_never_came_the_threads_are_looked_at(interpose: Interpose, happens: bool) -> None:
    async with open_office(store=a_mailbox(2), user=USER) as office:
        ids = await office.thread_ids()

        def lost(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
            if method == "GET":
                return None
            if not happens:
                for thread_id in ids:
                    office.store.set_star(office.user_id, thread_id, False)
            return httpx.Response(502)

        interpose(office, lost)
        answer = await office.call("star_threads", thread_ids=ids)
        assert outcomes(answer) == dict.fromkeys(ids, "done" if happens else "failed")
        assert ("undo_id" in answer) is happens


async def test_a_folder_that_vanished_is_not_taken_for_threads_that_did(interpose: Interpose) -> None:
    async with open_office(store=a_mailbox(2), user=USER) as office:
        ids = await office.thread_ids()

        def folder_is_gone(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
            if path != "/threads/move":
                return None
            for thread_id in ids:
                office.store.move(office.user_id, thread_id, "inbox")
            return httpx.Response(404, json={"statusCode": 404, "message": "Folder not found"})

        interpose(office, folder_is_gone)
        answer = await office.call("move_threads", thread_ids=ids, folder="Contracts")
        assert outcomes(answer) == dict.fromkeys(ids, "failed")


async def test_a_change_whose_undo_cannot_be_kept_says_that_it_happened(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)  # a directory: no file can be opened there
    async with open_office(store=a_mailbox(1), user=USER, ledger=ledger) as office:
        (thread_id,) = await office.thread_ids()
        answer = await office.call("archive_threads", thread_ids=[thread_id])
        assert answer == {
            "results": [{"outcome": "done", "thread_ids": [thread_id]}],
            "note": "There is no undo_id, as the server cannot keep its ledger: take it back with another change if need be.",
        }


async def test_a_card_names_a_folder_as_the_user_does() -> None:
    async with open_office(store=a_mailbox(30), user=USER) as office:
        await office.call("move_threads", thread_ids=await office.thread_ids(), folder="contracts")
        assert "Move to Contracts (30 threads):" in office.person.cards[0]


# What was shown is what happens


async def test_an_approval_deletes_no_thread_that_was_not_on_the_card(era: Era) -> None:
    store = a_mailbox(2)
    person = Person()
    async with open_office(store=store, user=USER, era=era, person=person) as office:
        first, second = await office.thread_ids()
        store.delete(office.user_id, second)
        person.meanwhile = lambda: store.move(office.user_id, second, "inbox") and None
        answer = await office.call("delete_threads", thread_ids=[first, second])
        assert outcomes(answer) == {first: "done", second: "unchanged"}
        assert office.wire.writes() == [("POST", "/threads/delete", {"threadIds": [first]})]
        assert state(office, second)[0] == "inbox"
        assert "Subject 1" not in "".join(person.cards)


async def test_a_single_change_is_done_only_where_the_answer_or_a_second_look_shows_it(interpose: Interpose) -> None:
    async with open_office(store=a_mailbox(1), user=USER) as office:
        [thread_id] = await office.thread_ids()

        def undone(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
            if method == "POST" and path.endswith("/archive"):
                office.store.move(office.user_id, thread_id, "inbox")
                return httpx.Response(200, json={"success": False})
            return None

        interpose(office, undone)
        answer = await office.call("archive_threads", thread_ids=[thread_id])
        assert outcomes(answer) == {thread_id: "failed"}


async def test_what_is_said_to_be_done_and_failed_is_failed(interpose: Interpose) -> None:
    async with open_office(store=a_mailbox(2), user=USER) as office:
        ids = await office.thread_ids()
        both = {"success": ids, "failed": [{"id": ids[0], "error": "locked"}]}
        interpose(office, lambda method, path, response: httpx.Response(200, json=both) if method == "PATCH" else None)
        answer = await office.call("archive_threads", thread_ids=ids)
        assert outcomes(answer) == {ids[0]: "failed", ids[1]: "done"}


# What the operator forbids

FORBIDDEN: list[tuple[str, str, dict[str, Any]]] = [
    ("archive_threads=deny", "bulk_update_threads", {"plan": [{"action": "archive", "thread_ids": [0]}, {"action": "delete", "thread_ids": [1]}]}),
    ("archive_threads=deny", "bulk_update_threads", {"plan": [{"action": "move", "folder": "ARCHIVE", "thread_ids": [0]}]}),
    ("archive_threads=deny", "move_threads", {"folder": "Archive", "thread_ids": [0]}),
    ("delete_threads=deny", "bulk_update_threads", {"plan": [{"action": "read", "thread_ids": [0]}, {"action": "delete", "thread_ids": [1]}]}),
    ("destroy=deny", "bulk_update_threads", {"plan": [{"action": "delete", "thread_ids": [1]}]}),
    ("change=deny,bulk_update_threads=allow", "bulk_update_threads", {"plan": [{"action": "read", "thread_ids": [0]}, {"action": "delete", "thread_ids": [1]}]}),
    ("mark_read=deny", "bulk_update_threads", {"plan": [{"action": "unread", "thread_ids": [0]}, {"action": "read", "thread_ids": [1]}]}),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "tool", "arguments"), FORBIDDEN)
async def test_what_is_forbidden_is_refused_in_a_plan_too_before_anyone_is_asked(
    policy: str, tool: str, arguments: dict[str, Any], era: Era
) -> None:
    async with open_office(store=a_mailbox(2), user=USER, era=era, settings={"SALESOS_POLICY": policy}) as office:
        ids = await office.thread_ids()
        given = json.loads(json.dumps(arguments), object_hook=lambda step: _with_ids(step, ids))
        refusal = await office.refusal(tool, **given)
        assert refusal.startswith("refused: The operator's SALESOS_POLICY forbids this, so nobody was asked")
        assert office.person.cards == []
        assert office.wire.writes() == []


def _with_ids(step: dict[str, Any], ids: list[str]) -> dict[str, Any]:
    return {**step, "thread_ids": [ids[place] for place in step["thread_ids"]]} if "thread_ids" in step else step


async def test_a_plan_that_is_allowed_asks_where_one_of_its_actions_does() -> None:
    settings = {"SALESOS_POLICY": "bulk_update_threads=allow,star_threads=ask"}
    async with open_office(store=a_mailbox(2), user=USER, settings=settings) as office:
        first, second = await office.thread_ids()
        await office.call("bulk_update_threads", plan=[{"action": "read", "thread_ids": [first]}])
        assert office.person.cards == []
        await office.call("bulk_update_threads", plan=[{"action": "star", "thread_ids": [first]}])
        assert len(office.person.cards) == 1
        await office.call("bulk_update_threads", plan=[{"action": "delete", "thread_ids": [second]}])
        assert len(office.person.cards) == 2


async def test_a_policy_that_allows_deleting_asks_nobody() -> None:
    settings = {"SALESOS_POLICY": "destroy=allow"}
    async with open_office(store=a_mailbox(1), user=USER, asks=False, settings=settings) as office:
        [thread_id] = await office.thread_ids()
        assert outcomes(await office.call("delete_threads", thread_ids=[thread_id])) == {thread_id: "done"}


# What a person ticks


async def test_a_plan_is_carried_out_as_far_as_a_person_ticked_it(steady: Steady, era: Era) -> None:
    person = Person()
    async with open_office(store=a_mailbox(4), user=USER, era=era, asks=False, page=True, person=person) as office:
        ids = await office.thread_ids()
        left_out = {f"delete {ids[0]}", f"read {ids[3]}"}
        person.ticks = lambda key: key not in left_out
        plan = [{"action": "read", "thread_ids": ids}, {"action": "delete", "thread_ids": ids[:2]}]
        answer = await office.call("bulk_update_threads", plan=plan)
        assert steady(answer) == snapshot(
            {
                "results": [
                    {
                        "action": "read",
                        "outcome": "unchanged",
                        "thread_ids": ["<1>"],
                        "reason": "The user left it out.",
                    },
                    {"action": "read", "outcome": "done", "thread_ids": ["<2>", "<3>", "<4>"]},
                    {
                        "action": "delete",
                        "outcome": "unchanged",
                        "thread_ids": ["<2>"],
                        "reason": "The user left it out.",
                    },
                    {"action": "delete", "outcome": "done", "thread_ids": ["<3>"]},
                ],
                "undo_id": "<5>",
            }
        )
        assert [state(office, thread_id)[:2] for thread_id in ids] == [
            ("inbox", True),
            ("trash", True),
            ("inbox", True),
            ("inbox", False),
        ]
        undone = await office.call("undo_change", undo_id=answer["undo_id"])
        assert {row["outcome"] for row in undone["results"]} == {"done"}
        assert {state(office, thread_id)[:2] for thread_id in ids} == {("inbox", False)}


async def test_of_one_action_only_the_ticked_threads_are_changed(era: Era) -> None:
    person = Person()
    async with open_office(store=a_mailbox(3), user=USER, era=era, asks=False, page=True, person=person) as office:
        first, second, third = await office.thread_ids()
        person.ticks = lambda key: key.endswith(second)
        answer = await office.call("delete_threads", thread_ids=[first, second, third])
        assert answer["results"] == [
            {"outcome": "unchanged", "thread_ids": [first, third], "reason": "The user left it out."},
            {"outcome": "done", "thread_ids": [second]},
        ]
        assert office.wire.writes() == [("POST", "/threads/delete", {"threadIds": [second]})]


# Calls that are given up


class Lingering(httpx.AsyncBaseTransport):
    """A wire on which the answer to a change takes a moment, in which something happens."""

    def __init__(self, office: Office, meanwhile: Callable[[], None]) -> None:
        self._wire, self._meanwhile = office.wire, meanwhile

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` on."""
        response = await self._wire.handle_async_request(request)
        if request.url.path.endswith("/threads/bulk"):
            self._meanwhile()
            await anyio.sleep(0.1)
        return response


async def test_a_plan_that_is_cancelled_keeps_the_way_back_of_what_it_did(era: Era) -> None:
    async with open_office(store=a_mailbox(250), user=USER, era=era) as office:
        ids = [thread.id for page in (1, 2, 3) for thread in _page(office, page)]
        settings = office.services.settings
        with anyio.CancelScope() as call:
            office.services.open_client = lambda: InboxClient(settings, transport=Lingering(office, call.cancel))
            await office.call("bulk_update_threads", plan=[{"action": "archive", "thread_ids": ids}])
        assert call.cancelled_caught
        undo_id = await _undo_of_what_was_changed(office)
        moved = {thread_id for thread_id in ids if state(office, thread_id)[0] == "archive"}
        assert len(moved) == 100, "the batch that was on its way is whole, and no other was tried"
        undone = await office.call("undo_change", undo_id=undo_id)
        assert [(row["outcome"], row["count"]) for row in undone["results"]] == [("done", 100)]
        assert {state(office, thread_id)[0] for thread_id in ids} == {"inbox"}


async def test_an_approval_is_for_the_folder_that_was_named_and_not_for_another_of_its_name() -> None:
    actions = [Action("move", folder, "2024") for folder in ("f1", "f2")]
    assert actions[0].title == actions[1].title
    assert actions[0].key != actions[1].key


async def test_a_cancelled_change_keeps_its_way_back_though_the_service_does_not_tell_who_the_user_is() -> None:
    async with open_office(store=a_mailbox(1), user=USER) as office:
        ids = await office.thread_ids()
        services = office.services
        key = office.store.add_api_key(office.user_id)

        class Reticent(Lingering):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                if not request.url.path.endswith("/auth/me"):
                    return await super().handle_async_request(request)
                await checkpoint()
                return httpx.Response(403)

        with anyio.CancelScope() as call:
            services.settings = replace(services.settings, token=None, api_key=key)
            services._me = None  # pyright: ignore[reportPrivateUsage]
            services._client = InboxClient(  # pyright: ignore[reportPrivateUsage]
                services.settings, transport=Reticent(office, call.cancel)
            )
            await office.call("bulk_update_threads", plan=[{"action": "archive", "thread_ids": ids}])
        undone = await office.call("undo_change", undo_id=await _undo_of_what_was_changed(office))
        assert outcomes(undone) == {ids[0]: "done"}


async def _undo_of_what_was_changed(office: Office) -> str:
    """Return the undo_id that the log has, once it is there."""
    with anyio.fail_after(2):
        while True:
            for entry in office.services.ledger.entries():
                if "undo_id" in entry.about:
                    return entry.about["undo_id"]
            await anyio.sleep(0.01)
