"""CRM links and follow-ups."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from inline_snapshot import snapshot

from harness import Era, Office, Person, open_office
from salesos_inbox.approval.ledger import Ledger

pytestmark = pytest.mark.anyio

Steady = Callable[[object], Any]
Interpose = Callable[[Office, Callable[[str, str, httpx.Response], httpx.Response | None]], None]
RECORD = {"record_type": "opportunity", "record_id": "kestrel-hub"}


def links(office: Office, thread_id: str) -> list[tuple[str, str]]:
    """Return the CRM records that a thread is linked to."""
    return [(link.entity_type, link.entity_id) for link in office.store.thread(office.user_id, thread_id).crm_links]


async def test_a_follow_up_is_set_in_local_time_and_undone() -> None:
    async with open_office() as office:
        thread_id = (await office.thread_ids())[3]
        answer = await office.call("set_follow_up", thread_id=thread_id, remind_at="2026-11-25T09:00:00")
        undo_id = answer.pop("undo_id")
        assert answer == {
            "status": "set",
            "thread_id": thread_id,
            "local_time": "2026-11-25T09:00+01:00",
            "zone": "Europe/Berlin",
            "utc_time": "2026-11-25T08:00+00:00",
        }
        assert (await office.call("undo_change", undo_id=undo_id))["results"][0]["outcome"] == "done"
        assert office.store.thread(office.user_id, thread_id).follow_up is None


async def test_a_follow_up_with_its_note_is_shown_with_the_thread() -> None:
    async with open_office() as office:
        thread_id = (await office.thread_ids())[3]
        await office.call(
            "set_follow_up", thread_id=thread_id, remind_at="2026-11-18T17:00", note="Ask\nabout\u200b it"
        )
        assert office.wire.writes() == [
            (
                "POST",
                f"/threads/{thread_id}/follow-up",
                {"reminderDate": "2026-11-18T16:00:00Z", "note": "Ask about it"},
            )
        ]
        shown = await office.call("read_thread", thread_id=thread_id)
        assert shown["follow_up"] == "2026-11-18 17:00: Ask about it"
        office.clock.advance(hours=8)
        rows = (await office.call("triage_inbox"))["threads"]
        assert thread_id in [row["thread_id"] for row in rows if row.get("follow_up", "").startswith("due ")]


async def test_a_follow_up_is_removed_once(steady: Steady) -> None:
    async with open_office() as office:
        thread_id = await office.find("Leipzig pilot results")
        assert steady(await office.call("remove_follow_up", thread_id=thread_id)) == snapshot(
            {"status": "removed", "thread_id": "<1>", "undo_id": "<2>"}
        )
        again = await office.call("remove_follow_up", thread_id=thread_id)
        assert again == {"status": "unchanged", "thread_id": thread_id}
        assert len(office.wire.writes()) == 1
        assert office.person.cards == []


BAD_FOLLOW_UPS: list[tuple[dict[str, Any], str]] = [
    ({"remind_at": "2026-11-18T09:59"}, "is past"),
    ({"remind_at": "2027-03-28T02:30"}, "does not exist in Europe/Berlin"),
    ({"remind_at": "next week"}, "is not an ISO 8601 time"),
    ({"remind_at": "2026-11-25"}, "is not an ISO 8601 time"),
    ({"remind_at": "2026-11-25T09:00", "note": "x" * 201}, "The note is longer than 200 characters"),
    ({"remind_at": "2026-11-25T09:00", "note": "x" * 10_000_000}, "The note is longer than 200 characters"),
    ({}, "set_follow_up needs remind_at"),
    ({"reminder_date": "2026-11-25T09:00"}, "use remind_at"),
]


async def test_a_bad_follow_up_is_refused_in_words() -> None:
    async with open_office() as office:
        for arguments, words in BAD_FOLLOW_UPS:
            refusal = await office.refusal("set_follow_up", thread_id=(await office.thread_ids())[0], **arguments)
            assert refusal.startswith("invalid_arguments: ")
            assert words in refusal
            assert office.wire.writes() == []


async def test_a_record_is_linked_once(steady: Steady) -> None:
    async with open_office() as office:
        thread_id = await office.find("Forecast")
        assert steady(await office.call("link_crm_record", thread_id=thread_id, **RECORD)) == snapshot(
            {
                "status": "linked",
                "thread_id": "<1>",
                "record": "opportunity kestrel-hub (Kestrel Parts: central hub, 9…)",
                "undo_id": "<2>",
            }
        )
        again = await office.call("link_crm_record", thread_id=thread_id, **RECORD)
        assert (again["status"], "undo_id" in again) == ("unchanged", False)
        assert office.wire.writes() == [
            (
                "POST",
                f"/threads/{thread_id}/crm-links",
                {"entityType": "opportunity", "entityId": "kestrel-hub"},
            )
        ]
        assert office.person.cards == []
        assert ("opportunity", "kestrel-hub") in links(office, thread_id)


async def test_a_record_is_unlinked_after_a_yes(steady: Steady, era: Era) -> None:
    async with open_office(era=era) as office:
        thread_id = await office.find("Kestrel Parts agreement")
        answer = await office.call("unlink_crm_record", thread_id=thread_id, **RECORD)
        assert steady(answer) == snapshot(
            {
                "status": "unlinked",
                "thread_id": "<1>",
                "record": "opportunity kestrel-hub (Kestrel Parts: central hub, 9…)",
                "undo_id": "<2>",
            }
        )
        assert office.person.cards == snapshot(
            [
                """\
Unlink this CRM record from the conversation?
Record: opportunity kestrel-hub (Kestrel Parts: central hub, 9…)
Conversation: Kestrel Parts: agreement NWR-2274, ready for signature
With: Amir Haddad ‹amir@kestrel-parts[.]example> +1\
"""
            ]
        )
        assert links(office, thread_id) == []
        again = await office.call("unlink_crm_record", thread_id=thread_id, **RECORD)
        assert again == {"status": "unchanged", "thread_id": thread_id, "record": "opportunity kestrel-hub"}
        assert len(office.person.cards) == 1


@pytest.mark.parametrize("answer", ["decline", "cancel"])
async def test_without_a_yes_a_record_stays_linked(answer: Any, era: Era) -> None:
    async with open_office(era=era, person=Person(answer=answer)) as office:
        thread_id = await office.find("Kestrel Parts agreement")
        refusal = await office.refusal("unlink_crm_record", thread_id=thread_id, **RECORD)
        assert refusal.startswith("declined: " if answer == "decline" else "nobody_asked: ")
        assert office.wire.writes() == []
        assert links(office, thread_id) == [("opportunity", "kestrel-hub")]


NO_RECORDS: list[tuple[str, str]] = [
    ("no-such-record", "not_found: There is no opportunity 'no-such-record' in the CRM"),
    ("../../x", "not_found: There is no opportunity"),
    ("", "invalid_arguments: record_id must be an id"),
    ("a\nb", "invalid_arguments: record_id must be an id"),
    ("\ud800", "invalid_arguments: record_id must be an id"),
    ("x" * 10_000_000, "invalid_arguments: record_id must be an id"),
]


async def test_a_record_there_is_not_is_refused_in_words() -> None:
    async with open_office() as office:
        for record_id, words in NO_RECORDS:
            thread_id = await office.find("Forecast")
            refusal = await office.refusal(
                "link_crm_record", thread_id=thread_id, record_type="opportunity", record_id=record_id
            )
            assert refusal.startswith(words)
            assert len(refusal) < 250
            assert links(office, thread_id) == []


async def test_an_unknown_kind_of_record_is_refused() -> None:
    async with open_office() as office:
        for tool in ("link_crm_record", "unlink_crm_record"):
            refusal = await office.refusal(
                tool, thread_id=(await office.thread_ids())[0], record_type="deal", record_id="kestrel-hub"
            )
            assert refusal.startswith(f"invalid_arguments: {tool}: record_type")
        assert office.wire.writes() == []


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("set_follow_up", {"remind_at": "2026-11-25T09:00"}),
        ("remove_follow_up", {}),
        ("link_crm_record", RECORD),
        ("unlink_crm_record", RECORD),
    ],
)
async def test_a_thread_there_is_not_is_not_found(tool: str, arguments: dict[str, str]) -> None:
    async with open_office() as office:
        for thread_id in ("no-such-thread", "a/b", "../stats"):
            refusal = await office.refusal(tool, thread_id=thread_id, **arguments)
            assert refusal.startswith(f"not_found: There is no thread {thread_id!r} in this mailbox")
        refusal = await office.refusal(tool, thread_id="a\nb", **arguments)
        assert refusal.startswith("invalid_arguments: thread_id must be an id")
        assert office.wire.writes() == []
        assert office.person.cards == []


async def test_a_link_whose_undo_cannot_be_kept_is_still_said_to_be_linked(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)  # a directory: no file can be opened there
    async with open_office(ledger=ledger) as office:
        thread_id = await office.find("Forecast")
        answer = await office.call("link_crm_record", thread_id=thread_id, **RECORD)
        assert (answer["status"], "undo_id" in answer) == ("linked", False)
        answer = await office.call("set_follow_up", thread_id=thread_id, remind_at="2026-11-25T09:00")
        assert (answer["status"], "undo_id" in answer) == ("set", False)


# When no answer comes


LOST: list[tuple[str, str, dict[str, Any]]] = [
    ("link_crm_record", "Forecast", RECORD),
    ("unlink_crm_record", "Kestrel Parts agreement", RECORD),
    ("set_follow_up", "Forecast", {"remind_at": "2026-11-25T09:00", "note": "Ask"}),
    ("set_follow_up", "Leipzig pilot results", {"remind_at": "2026-11-25T09:00"}),
    ("remove_follow_up", "Leipzig pilot results", {}),
]
STATUS = {"link_crm_record": "linked", "unlink_crm_record": "unlinked", "set_follow_up": "set"}


def lose_what_changes(office: Office) -> None:
    """Let no request arrive that changes anything."""
    wire = office.wire.handle_async_request

    async def losing(request: httpx.Request) -> httpx.Response:
        return await wire(request) if request.method == "GET" else httpx.Response(504)

    office.wire.handle_async_request = losing


@pytest.mark.parametrize(("tool", "words", "arguments"), LOST)
async def test_a_change_whose_answer_was_lost_is_looked_for_and_can_be_undone(
    interpose: Interpose, tool: str, words: str, arguments: dict[str, Any]
) -> None:
    async with open_office() as office:
        thread_id = await office.find(words)
        before = office.store.thread(office.user_id, thread_id)
        interpose(office, lambda method, path, response: httpx.Response(504) if method != "GET" else None)
        answer = await office.call(tool, thread_id=thread_id, **arguments)
        assert answer["status"] == STATUS.get(tool, "removed")
        assert len(office.wire.writes()) == 1
        interpose(office, lambda method, path, response: None)
        await office.call("undo_change", undo_id=answer["undo_id"])
        after = office.store.thread(office.user_id, thread_id)
        assert (after.crm_links, after.follow_up) == (before.crm_links, before.follow_up)


@pytest.mark.parametrize(("tool", "words", "arguments"), LOST)
async def test_a_change_that_the_thread_does_not_show_stays_unknown(
    tool: str, words: str, arguments: dict[str, Any]
) -> None:
    async with open_office() as office:
        thread_id = await office.find(words)
        lose_what_changes(office)
        assert (await office.refusal(tool, thread_id=thread_id, **arguments)).startswith("outcome_unknown: ")


async def test_a_follow_up_with_another_note_is_not_taken_for_the_one_that_was_to_be_set() -> None:
    async with open_office() as office:
        follow_up = {"thread_id": await office.find("Forecast"), "remind_at": "2026-11-25T09:00"}
        await office.call("set_follow_up", **follow_up, note="Call")
        lose_what_changes(office)
        assert (await office.refusal("set_follow_up", **follow_up, note="Ask")).startswith("outcome_unknown: ")


async def test_where_the_thread_cannot_be_read_either_the_outcome_stays_unknown(interpose: Interpose) -> None:
    async with open_office() as office:
        thread_id = await office.find("Forecast")
        interpose(office, lambda method, path, response: httpx.Response(504) if office.wire.writes() else None)
        refusal = await office.refusal("link_crm_record", thread_id=thread_id, **RECORD)
        assert refusal.startswith("outcome_unknown: The request to link")
