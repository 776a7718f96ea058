"""Taking a change back."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from inline_snapshot import snapshot

from harness import Clock, Era, Office, Person, open_office
from salesos_inbox.approval.ledger import Ledger
from salesos_inbox.contract.models import Thread
from salesos_inbox.sandbox.messages import StoredMessage
from salesos_inbox.sandbox.store import Store

pytestmark = pytest.mark.anyio

Steady = Callable[[object], Any]
Interpose = Callable[[Office, Callable[[str, str, httpx.Response], httpx.Response | None]], None]
RECORD = {"record_type": "opportunity", "record_id": "kestrel-hub"}
KESTREL = "Kestrel Parts agreement"
"""A thread that is unread, starred, in the inbox and linked."""
HELIX = "Leipzig pilot results"
"""A thread with a follow-up."""


def stored(office: Office, thread_id: str) -> dict[str, Any]:
    """Return all that a change of a thread can touch."""
    thread: Thread = office.store.thread(office.user_id, thread_id)
    return thread.model_dump(include={"folder", "is_read", "is_starred", "follow_up", "crm_links"})


@pytest.mark.parametrize(
    ("words", "tool", "arguments"),
    [
        (KESTREL, "mark_read", {"thread_ids": True}),
        (HELIX, "mark_read", {"thread_ids": True, "read": False}),
        (KESTREL, "star_threads", {"thread_ids": True, "starred": False}),
        ("Forecast", "star_threads", {"thread_ids": True}),
        (KESTREL, "archive_threads", {"thread_ids": True}),
        ("Framework agreement NWR-2190", "archive_threads", {"thread_ids": True}),
        (KESTREL, "move_threads", {"thread_ids": True, "folder": "Contracts"}),
        (KESTREL, "move_threads", {"thread_ids": True, "folder": "spam"}),
        (KESTREL, "delete_threads", {"thread_ids": True}),
        ("Framework agreement NWR-2190", "delete_threads", {"thread_ids": True}),
        ("Fourteen seconds per pick in Odense", "delete_threads", {"thread_ids": True}),
        ("Forecast", "link_crm_record", RECORD),
        (KESTREL, "unlink_crm_record", RECORD),
        ("Forecast", "set_follow_up", {"remind_at": "2026-11-25T09:00", "note": "Ask"}),
        (HELIX, "set_follow_up", {"remind_at": "2026-11-25T09:00", "note": "Ask"}),
        (HELIX, "remove_follow_up", {}),
    ],
)
async def test_an_undo_brings_back_what_was_before(words: str, tool: str, arguments: dict[str, Any]) -> None:
    async with open_office() as office:
        thread_id = await office.find(words)
        before = stored(office, thread_id)
        given = {**arguments, "thread_ids": [thread_id]} if "thread_ids" in arguments else arguments
        target = {} if "thread_ids" in arguments else {"thread_id": thread_id}
        change = await office.call(tool, **given, **target)
        assert stored(office, thread_id) != before
        undone = await office.call("undo_change", undo_id=change["undo_id"])
        assert [(row["outcome"], row["thread_ids"]) for row in undone["results"]] == [("done", [thread_id])]
        assert stored(office, thread_id) == before
        again = await office.refusal("undo_change", undo_id=change["undo_id"])
        assert again.startswith("conflict: That change was undone before, and nothing was done again")
        assert stored(office, thread_id) == before


async def test_the_undo_of_several_brings_each_back_to_where_it_was(steady: Steady) -> None:
    async with open_office() as office:
        ids = [await office.find(words) for words in (KESTREL, "Framework agreement NWR-2190", "Forecast", HELIX)]
        before = [stored(office, thread_id) for thread_id in ids]
        change = await office.call("delete_threads", thread_ids=ids)
        undone = await office.call("undo_change", undo_id=change["undo_id"])
        assert steady(undone) == snapshot(
            {
                "results": [
                    {"action": "move to inbox", "outcome": "done", "thread_ids": ["<1>", "<2>", "<3>"]},
                    {"action": "move to Contracts", "outcome": "done", "thread_ids": ["<4>"]},
                ]
            }
        )
        assert [stored(office, thread_id) for thread_id in ids] == before


async def test_a_whole_plan_is_undone_at_once() -> None:
    async with open_office() as office:
        ids = (await office.thread_ids())[:8]
        before = [stored(office, thread_id) for thread_id in ids]
        plan = [
            {"action": "read", "thread_ids": ids[:5]},
            {"action": "star", "thread_ids": ids[2:6]},
            {"action": "archive", "thread_ids": ids[:2]},
            {"action": "move", "thread_ids": ids[2:4], "folder": "Newsletters"},
            {"action": "delete", "thread_ids": ids[4:]},
        ]
        change = await office.call("bulk_update_threads", plan=plan)
        assert [stored(office, thread_id) for thread_id in ids] != before
        undone = await office.call("undo_change", undo_id=change["undo_id"])
        assert {row["outcome"] for row in undone["results"]} == {"done"}
        assert [stored(office, thread_id) for thread_id in ids] == before


async def test_only_what_the_change_did_is_undone() -> None:
    async with open_office() as office:
        read, unread = await office.find(HELIX), await office.find(KESTREL)
        change = await office.call("mark_read", thread_ids=[read, unread])
        await office.call("undo_change", undo_id=change["undo_id"])
        assert stored(office, read)["is_read"] is True
        assert stored(office, unread)["is_read"] is False


async def test_what_is_as_before_already_is_unchanged_and_what_is_gone_is_not_found() -> None:
    async with open_office() as office:
        first, second, third = (await office.thread_ids())[:3]
        change = await office.call("archive_threads", thread_ids=[first, second, third])
        office.store.move(office.user_id, first, "inbox")
        office.store.delete(office.user_id, second)
        office.store.delete(office.user_id, second)
        undone = await office.call("undo_change", undo_id=change["undo_id"])
        assert undone == {
            "results": [
                {"action": "move to inbox", "outcome": "not_found", "thread_ids": [second]},
                {"action": "move to inbox", "outcome": "unchanged", "thread_ids": [first]},
                {"action": "move to inbox", "outcome": "done", "thread_ids": [third]},
            ]
        }


async def test_an_undo_needs_nobodys_consent_and_asks_nobody() -> None:
    async with open_office(asks=False) as office:
        ids = (await office.thread_ids())[:3]
        change = await office.call("archive_threads", thread_ids=ids)
        await office.call("undo_change", undo_id=change["undo_id"])
        assert stored(office, ids[0])["folder"] == "inbox"


async def test_a_former_follow_up_whose_time_has_passed_cannot_come_back(steady: Steady) -> None:
    async with open_office() as office:
        thread_id = await office.find(HELIX)
        change = await office.call("set_follow_up", thread_id=thread_id, remind_at="2026-11-25T09:00")
        office.clock.advance(hours=12)
        assert steady(await office.call("undo_change", undo_id=change["undo_id"])) == snapshot(
            {
                "results": [
                    {
                        "action": "set_follow_up",
                        "outcome": "failed",
                        "thread_ids": ["<1>"],
                        "reason": "The former follow-up's time has passed.",
                    }
                ]
            }
        )


async def test_an_undo_of_another_user_is_not_found(tmp_path: Path) -> None:
    def office_of(user: str) -> AbstractAsyncContextManager[Office]:
        store = Store(tmp_path / "mail.sqlite3", clock=Clock())
        if not store.count_threads(store.add_user(user)):
            message = StoredMessage(from_email="dana@helix.example", sent_at=Clock()(), body_text=f"to {user}")
            store.add_message(store.add_user(user), message)
        return open_office(store=store, user=user, ledger=Ledger(tmp_path / "ledger.sqlite3"))

    async with office_of("maya@northwind.example") as office:
        (thread_id,) = await office.thread_ids()
        undo_id = (await office.call("archive_threads", thread_ids=[thread_id]))["undo_id"]
    async with office_of("eve@northwind.example") as office:
        refusal = await office.refusal("undo_change", undo_id=undo_id)
        assert refusal == "not_found: There is no such undo_id: use the one that the answer of a change handed out."
        assert office.wire.writes() == []
    async with office_of("maya@northwind.example") as office:
        await office.call("undo_change", undo_id=undo_id)
        assert await office.thread_ids() == [thread_id]


NO_UNDOS: list[tuple[str, str]] = [
    ("undo_0000000000000000", "not_found: There is no such undo_id"),
    ("' OR 1=1 --", "not_found: There is no such undo_id"),
    ("", "invalid_arguments: undo_id must be an id"),
    ("a\nb", "invalid_arguments: undo_id must be an id"),
    ("\ud800", "invalid_arguments: undo_id must be an id"),
    ("x" * 10_000_000, "invalid_arguments: undo_id must be an id"),
]


async def test_what_no_answer_handed_out_is_refused() -> None:
    async with open_office(demo=False) as office:
        for undo_id, words in NO_UNDOS:
            assert (await office.refusal("undo_change", undo_id=undo_id)).startswith(words)
            assert office.wire.writes() == []


@pytest.mark.parametrize("tool", ["archive_threads", "link_crm_record"])
async def test_an_undo_that_failed_can_be_tried_again(interpose: Interpose, tool: str) -> None:
    async with open_office() as office:
        thread_id = await office.find("Forecast")
        before = stored(office, thread_id)
        arguments = {"thread_ids": [thread_id]} if tool == "archive_threads" else {"thread_id": thread_id, **RECORD}
        undo_id = (await office.call(tool, **arguments))["undo_id"]
        interpose(office, lambda method, path, response: httpx.Response(401) if method != "GET" else None)
        # The answer is lost though the request arrived, so the next try meets what it wants already.
        assert (await office.refusal("undo_change", undo_id=undo_id)).startswith("unauthorized: ")
        interpose(office, lambda method, path, response: None)
        again = await office.call("undo_change", undo_id=undo_id)
        assert {row["outcome"] for row in again["results"]} <= {"unchanged", "not_found"}
        assert stored(office, thread_id) == before


async def test_an_undo_that_stopped_halfway_says_what_is_left_and_can_be_tried_again(
    interpose: Interpose, steady: Steady
) -> None:
    async with open_office() as office:
        ids = (await office.thread_ids())[:4]
        before = [stored(office, thread_id) for thread_id in ids]
        plan = [
            {"action": "star", "thread_ids": [ids[0]]},
            {"action": "read", "thread_ids": [ids[1]]},
            {"action": "archive", "thread_ids": ids[2:]},
        ]
        undo_id = (await office.call("bulk_update_threads", plan=plan))["undo_id"]
        writes = 0

        def fails_at_the_second(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
            nonlocal writes
            writes += method != "GET"
            return httpx.Response(403) if method != "GET" and writes == 2 else None

        interpose(office, fails_at_the_second)
        assert steady(await office.call("undo_change", undo_id=undo_id)) == snapshot(
            {
                "results": [
                    {"action": "move to inbox", "outcome": "done", "thread_ids": ["<1>", "<2>"]},
                    {
                        "action": "unread",
                        "outcome": "failed",
                        "thread_ids": ["<3>"],
                        "reason": "SalesOS does not allow this user to do that: tell the user, and do not try again.",
                    },
                    {
                        "action": "unstar",
                        "outcome": "failed",
                        "thread_ids": ["<4>"],
                        "reason": "Not tried, as an earlier step failed.",
                    },
                ],
                "note": "Call undo_change again for what failed.",
            }
        )
        again = await office.call("undo_change", undo_id=undo_id)
        assert "failed" not in {row["outcome"] for row in again["results"]}
        assert [stored(office, thread_id) for thread_id in ids] == before


async def test_the_undo_of_a_large_change_asks_as_the_change_did(era: Era) -> None:
    async with open_office(era=era) as office:
        ids = (await office.thread_ids())[:30]
        change = await office.call("archive_threads", thread_ids=ids)
        assert len(office.person.cards) == 1
        await office.call("undo_change", undo_id=change["undo_id"])
        assert office.person.cards[1].startswith("Change 30 threads back?\nMove to inbox (30 threads):\n")


async def test_a_large_undo_that_nobody_approved_changes_nothing_and_can_be_tried_again() -> None:
    person = Person()
    async with open_office(person=person) as office:
        ids = (await office.thread_ids())[:30]
        change = await office.call("archive_threads", thread_ids=ids)
        person.answer = "decline"
        assert (await office.refusal("undo_change", undo_id=change["undo_id"])).startswith("declined: ")
        assert stored(office, ids[0])["folder"] == "archive"
        person.answer = "approve"
        await office.call("undo_change", undo_id=change["undo_id"])
        assert stored(office, ids[0])["folder"] == "inbox"


async def test_a_thread_brought_back_from_the_trash_is_not_put_there_again_by_an_undo() -> None:
    async with open_office() as office:
        [thread_id] = await office.thread_ids("trash")
        change = await office.call("move_threads", thread_ids=[thread_id], folder="inbox")
        assert "undo_id" not in change


async def test_an_undo_survives_a_restart(tmp_path: Path, era: Era) -> None:
    def restarted() -> AbstractAsyncContextManager[Office]:
        store = Store(tmp_path / "mail.sqlite3", clock=Clock())
        if not store.count_threads(user_id := store.add_user("maya@northwind.example")):
            store.add_message(user_id, StoredMessage(from_email="dana@helix.example", sent_at=Clock()(), body_text="x"))
        ledger = Ledger(tmp_path / "ledger.sqlite3")
        return open_office(era=era, store=store, user="maya@northwind.example", ledger=ledger)

    async with restarted() as office:
        (thread_id,) = await office.thread_ids()
        undo_id = (await office.call("archive_threads", thread_ids=[thread_id]))["undo_id"]
    async with restarted() as office:
        await office.call("undo_change", undo_id=undo_id)
        assert await office.thread_ids() == [thread_id]
    async with restarted() as office:
        assert (await office.refusal("undo_change", undo_id=undo_id)).startswith("conflict: ")


async def test_nobody_is_asked_about_an_undo_that_there_is_not(era: Era) -> None:
    async with open_office(era=era, settings={"SALESOS_POLICY": "undo_change=ask"}) as office:
        assert (await office.refusal("undo_change", undo_id="undo_0000000000000000")).startswith("not_found: ")
        thread_id = await office.find(KESTREL)
        undo_id = (await office.call("mark_read", thread_ids=[thread_id]))["undo_id"]
        await office.call("undo_change", undo_id=undo_id)
        assert (await office.refusal("undo_change", undo_id=undo_id)).startswith("conflict: ")
        assert len(office.person.cards) == 1


async def test_a_card_for_taking_a_message_back_says_which(era: Era) -> None:
    settings = {"SALESOS_POLICY": "undo_change=ask", "SALESOS_UNDO_SECONDS": "30"}
    async with open_office(era=era, demo=False, settings=settings) as office:
        answer = await office.call("send_email", to=["dana@helix.example"], subject="Offer", body="Here it is.")
        await office.call("undo_change", undo_id=answer["undo_id"])
        assert "dana@helix" in office.person.cards[1]
        assert "Offer" in office.person.cards[1]


async def test_undos_in_parallel_take_a_change_back_once(era: Era) -> None:
    async with open_office(era=era) as office:
        thread_id = await office.find(KESTREL)
        undo_id = (await office.call("archive_threads", thread_ids=[thread_id]))["undo_id"]
        written = len(office.wire.writes())
        answers: list[bool | None] = []

        async def undo() -> None:
            answers.append((await office.result("undo_change", undo_id=undo_id)).is_error)

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(undo)
        assert sorted(map(bool, answers)) == [False, True, True, True, True]
        assert len(office.wire.writes()) == written + 1
