# ruff: noqa: E501 -- the snapshots hold lines of mail
"""Folders, lists, search, threads, statistics and scheduled mail, through the real client."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from inline_snapshot import snapshot

from harness import NOW, Clock, Office, open_office, text_of
from salesos_inbox.contract.models import SendEmail
from salesos_inbox.mail.budget import estimate_tokens
from salesos_inbox.sandbox.envelopes import ENVELOPES
from salesos_inbox.sandbox.messages import StoredAttachment, StoredMessage
from salesos_inbox.sandbox.store import Store

pytestmark = pytest.mark.anyio

USER = "maya@northwind.example"
Steady = Callable[[object], Any]
Interpose = Callable[[Office, Callable[[str, str, httpx.Response], httpx.Response | None]], None]


def a_mailbox(threads: int, **fields: Any) -> Store:
    """Return a mailbox with so many threads in the inbox, each of one message."""
    store = Store(clock=Clock())
    user_id = store.add_user(USER, "Maya", "Lindqvist")
    with store.transaction():
        for number in range(threads):
            given: dict[str, Any] = {
                "from_email": f"person{number}@helix.example",
                "message_id": f"<m{number}@helix.example>",
                "sent_at": NOW - timedelta(minutes=number + 1),
                "to": (USER,),
                "subject": f"Subject {number}",
                "body_text": f"pallet {number}",
                **fields,
            }
            store.add_message(user_id, StoredMessage(**given))
    return store


async def collected(office: Office, tool: str, key: str, **arguments: Any) -> list[str]:
    """Return the ids on all pages, following next_cursor."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(60):
        page = await office.call(tool, **arguments, **cursor)
        rows = page[key]
        found += [row.get("thread_id") or row["scheduled_id"] for row in rows]
        if "next_cursor" not in page:
            return found
        assert rows, "a cursor to a page without rows"
        cursor = {"cursor": page["next_cursor"]}
    raise AssertionError("the cursor does not come to an end")


async def test_list_folders_counts_threads(steady: Steady) -> None:
    async with open_office() as office:
        assert steady(await office.call("list_folders")) == snapshot(
            {
                "folders": [
                    {"folder": "Inbox", "unread": 14, "total": 37},
                    {"folder": "Sent", "unread": 6, "total": 25},
                    {"folder": "Drafts", "unread": 0, "total": 2},
                    {"folder": "Scheduled", "unread": 0, "total": 2},
                    {"folder": "Archive", "unread": 0, "total": 2},
                    {"folder": "Trash", "unread": 0, "total": 1},
                    {"folder": "Spam", "unread": 1, "total": 1},
                    {"folder": "Contracts", "unread": 0, "total": 1},
                    {"folder": "Newsletters", "unread": 0, "total": 1},
                ]
            }
        )


async def test_list_threads_answers_rows_and_how_to_go_on(steady: Steady) -> None:
    async with open_office() as office:
        assert steady(await office.call("list_threads", folder="inbox", limit=3)) == snapshot(
            {
                "threads": [
                    {
                        "thread_id": "<1>",
                        "mail": "tobias@northwind-robotics.example +1 | Forecast",
                        "at": "18 Nov 08:10",
                        "messages": 3,
                        "unread": True,
                    },
                    {
                        "thread_id": "<2>",
                        "mail": "lferrer@almacenes-rio.example | Propuesta para Zaragoza: 10 robots y formación",
                        "at": "18 Nov 08:03",
                        "messages": 4,
                        "unread": True,
                        "attachments": True,
                    },
                    {
                        "thread_id": "<3>",
                        "mail": "amir@kestrel-parts.example +1 | Kestrel Parts: agreement NWR-2274, ready for signature",
                        "at": "18 Nov 07:41",
                        "messages": 4,
                        "unread": True,
                        "starred": True,
                        "attachments": True,
                    },
                ],
                "zone": "Europe/Berlin",
                "total": 37,
                "next_cursor": "<4>2",
                "note": "3 of 37 threads; call again with cursor for more.",
            }
        )


async def test_search_shows_the_text_around_the_match(steady: Steady) -> None:
    async with open_office() as office:
        assert steady(await office.call("search_threads", query="mezzanine")) == snapshot(
            {
                "threads": [
                    {
                        "thread_id": "<1>",
                        "mail": "dana.whitfield@helix-logistics.example +3 | Leipzig pilot: results and what comes next | …charging stations on the mezzanine itself. From operations > > it is a yes. >…",
                        "at": "17 Nov 08:12",
                        "messages": 13,
                        "starred": True,
                        "attachments": True,
                        "follow_up": "18 Nov 17:00",
                    }
                ],
                "zone": "Europe/Berlin",
                "total": 1,
            }
        )


async def test_read_thread_shows_messages_records_and_follow_up(steady: Steady) -> None:
    async with open_office() as office:
        thread_id = await office.find("Kestrel Parts agreement")
        assert steady(await office.call("read_thread", thread_id=thread_id)) == snapshot(
            {
                "thread_id": "<1>",
                "subject": "Kestrel Parts: agreement NWR-2274, ready for signature",
                "folder": "inbox",
                "unread": True,
                "starred": True,
                "records": "opportunity kestrel-hub (Kestrel Parts: central hub, 9…)",
                "zone": "Europe/Berlin",
                "messages": [
                    {
                        "sender": "Maya Lindqvist <maya@northwind-robotics.example>",
                        "from_me": True,
                        "at": "2026-11-13 12:10",
                        "to": "amir@kestrel-parts.example",
                        "cc": "jonas@northwind-robotics.example",
                        "text": """\
Hi Amir,

Here is the final version: nine Herons, 36 months, start on the first of the month after next. Everything we agreed on the phone is in, including the free training days.

You will get a link from Inkwell Sign for the signature. If anything reads differently from what you remember, call me before you sign.\
""",
                        "attachments": "NWR-2274-kestrel-agreement-final.pdf (734 kB)",
                        "signature_chars": 101,
                    },
                    {
                        "sender": "Amir Haddad <amir@kestrel-parts.example>",
                        "at": "2026-11-15 07:52",
                        "to": "maya@northwind-robotics.example",
                        "text": "Reads like what I remember. One question, annex B says 8 weeks to go-live, you said 7? Not a blocker",
                        "quoted_chars": 679,
                        "signature_chars": 63,
                    },
                    {
                        "sender": "Maya Lindqvist <maya@northwind-robotics.example>",
                        "from_me": True,
                        "at": "2026-11-15 09:15",
                        "to": "amir@kestrel-parts.example",
                        "cc": "jonas@northwind-robotics.example",
                        "text": """\
Good eyes. Eight is what we commit to, seven is what Priya expects. I would rather promise eight and surprise you.

--

Maya Lindqvist
Account Executive, Northwind Robotics
+49 30 5550 142 | northwind-robotics.example\
""",
                        "quoted_chars": 963,
                    },
                    {
                        "sender": "Amir Haddad <amir@kestrel-parts.example>",
                        "at": "2026-11-18 07:41",
                        "to": "maya@northwind-robotics.example",
                        "text": """\
Ha. Fine. Signed, you should have it. Need your countersignature by tomorrow noon, otherwise our PO falls into the next quarter and then I have to explain it to my finance people and nobody wants that

Get Outlook for iOS [1]

[1] hxxps://outlook-mobile.example/ios\
""",
                        "quoted_chars": 1445,
                    },
                ],
                "earlier_messages": 0,
            }
        )


async def test_stats_are_counts_with_plain_names() -> None:
    async with open_office() as office:
        assert await office.call("get_inbox_stats") == snapshot(
            {
                "counts": {
                    "total_threads": 42,
                    "unread_threads": 14,
                    "starred_threads": 5,
                    "scheduled_count": 2,
                    "draft_count": 2,
                    "follow_ups_due": 1,
                    "awaiting_reply": 5,
                    "received_today": 10,
                    "sent_today": 0,
                }
            }
        )


async def test_list_scheduled_shows_when_each_leaves(steady: Steady) -> None:
    async with open_office() as office:
        assert steady(await office.call("list_scheduled")) == snapshot(
            {
                "scheduled": [
                    {
                        "scheduled_id": "<1>",
                        "to": "camille@atelier-dubois.example",
                        "subject": "Re: Démonstration à Lyon : suite",
                        "at": "2026-11-19T09:00+01:00",
                        "thread_id": "<2>",
                        "snippet": "Bonjour Camille, Parfait, vos supports conviennent tels quels. La pince G3 revi…",
                    },
                    {
                        "scheduled_id": "<3>",
                        "to": "beatrice@quarry-and-sons.example",
                        "subject": "Re: Reference call: times (was: Introduction: Beatrice…",
                        "at": "2026-11-20T08:30+01:00",
                        "thread_id": "<4>",
                        "snippet": "Dear Beatrice, Good luck with the call. Do ask about the first six weeks; Astri…",
                    },
                ],
                "total": 2,
            }
        )


async def test_the_text_of_an_answer_is_its_structure() -> None:
    async with open_office() as office:
        result = await office.result("list_threads", limit=2)
        assert json.loads(text_of(result)) == result.structured_content


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("list_folders", {}),
        ("list_threads", {}),
        ("search_threads", {"query": "offer"}),
        ("triage_inbox", {}),
        ("get_inbox_stats", {}),
        ("list_scheduled", {}),
    ],
)
async def test_an_empty_mailbox_is_answered_as_empty(tool: str, arguments: dict[str, Any]) -> None:
    empty: dict[str, dict[str, Any]] = {
        "list_folders": {
            "folders": [
                {"folder": name, "unread": 0, "total": 0}
                for name in ("Inbox", "Sent", "Drafts", "Scheduled", "Archive", "Trash", "Spam")
            ]
        },
        "list_threads": {"threads": [], "zone": "Europe/Berlin", "total": 0, "note": "No threads here."},
        "search_threads": {"threads": [], "zone": "Europe/Berlin", "total": 0, "note": "No threads here."},
        "triage_inbox": {"threads": [], "zone": "Europe/Berlin", "total": 0, "note": "No threads here."},
        "get_inbox_stats": {
            "counts": dict.fromkeys(
                (
                    "total_threads",
                    "unread_threads",
                    "starred_threads",
                    "scheduled_count",
                    "draft_count",
                    "follow_ups_due",
                    "awaiting_reply",
                    "received_today",
                    "sent_today",
                ),
                0,
            )
        },
        "list_scheduled": {"scheduled": [], "total": 0, "note": "No scheduled messages here."},
    }
    async with open_office(demo=False) as office:
        assert await office.call(tool, **arguments) == empty[tool]


async def test_reading_a_thread_of_an_empty_mailbox_says_where_ids_come_from() -> None:
    async with open_office(demo=False) as office:
        assert await office.refusal("read_thread", thread_id="c1") == (
            "not_found: There is no thread 'c1' in this mailbox: take a thread_id from list_threads or search_threads."
        )


FOLDERS: list[tuple[str, int]] = [
    ("inbox", 37),
    (" Inbox ", 37),
    ("sent", 25),
    ("drafts", 2),
    ("scheduled", 2),
    ("archive", 2),
    ("trash", 1),
    ("spam", 1),
    ("Contracts", 1),
    ("newsletters", 1),
]


async def test_a_folder_is_named_as_the_folder_list_names_it_in_any_case() -> None:
    async with open_office() as office:
        for folder, count in FOLDERS:
            page = await office.call("list_threads", folder=folder, limit=100)
            assert (page["total"], len(page["threads"])) == (count, count)
            if folder.strip().lower() not in ("sent", "drafts", "scheduled"):
                assert not [row for row in page["threads"] if "folder" in row], "the folder asked for is not repeated"


@pytest.mark.parametrize("tool", ["list_threads", "search_threads", "triage_inbox", "move_threads"])
async def test_an_unknown_folder_is_refused_with_those_there_are(tool: str) -> None:
    needed: dict[str, Any] = {"search_threads": {"query": "offer"}, "move_threads": {"thread_ids": ["c1"]}}
    async with open_office() as office:
        for folder in ("Invoices", "\ud800", "inbox/../trash", "x" * 100_000):
            refusal = await office.refusal(tool, folder=folder, **needed.get(tool, {}))
            assert refusal.endswith(
                "choose one of Inbox, Sent, Drafts, Scheduled, Archive, Trash, Spam, Contracts, Newsletters."
            )
            assert len(refusal) < 250
        assert office.wire.writes() == []


FILTERS: list[tuple[dict[str, Any], int | None]] = [
    ({"unread": True}, 14),
    ({"unread": False}, 28),
    ({"starred": True}, 5),
    ({"starred": False}, 37),
    ({"has_follow_up": True}, 4),
    ({"has_follow_up": False}, 38),
    ({"has_attachments": True}, None),
    ({"has_attachments": False}, None),
    ({"sender": "Ruth Kellerman"}, 1),
    ({"sender": "dana.whitfield@helix-logistics.example"}, 2),
    ({"sender": "nobody@nowhere.example"}, 0),
    ({"record_type": "opportunity"}, None),
    ({"record_type": "opportunity", "record_id": "kestrel-hub"}, 1),
    ({"record_type": "lead", "record_id": "kestrel-hub"}, 0),
    ({"after": "2026-11-18"}, 10),
    ({"before": "2026-11-18"}, 32),
    ({"after": "2026-11-18T08:00+01:00", "before": "2026-11-18T08:05"}, 1),
    ({"unread": True, "starred": True}, 2),
]


async def test_every_filter_narrows_the_list() -> None:
    async with open_office() as office:
        everything = set(await collected(office, "list_threads", "threads", limit=100))
        for filters, count in FILTERS:
            found = await collected(office, "list_threads", "threads", limit=100, **filters)
            assert len(set(found)) == len(found)
            assert set(found) < everything, filters
            assert len(found) == count if count is not None else len(found) > 0, filters


async def test_a_filter_and_its_opposite_share_nothing_and_leave_nothing_out() -> None:
    async with open_office() as office:
        everything = set(await collected(office, "list_threads", "threads", limit=100))
        for name in ("unread", "starred", "has_follow_up", "has_attachments"):
            with_it = set(await collected(office, "list_threads", "threads", limit=100, **{name: True}))
            without = set(await collected(office, "list_threads", "threads", limit=100, **{name: False}))
            assert with_it | without == everything
            assert not with_it & without


async def test_the_oldest_come_first_when_asked_for() -> None:
    async with open_office() as office:
        newest = await collected(office, "list_threads", "threads", folder="inbox", limit=100)
        oldest = await collected(office, "list_threads", "threads", folder="inbox", limit=100, oldest_first=True)
        assert oldest == newest[::-1]


async def test_a_search_is_narrowed_by_folder_and_days() -> None:
    async with open_office() as office:
        everywhere = await collected(office, "search_threads", "threads", query="Leipzig", limit=100)
        in_folder = await collected(office, "search_threads", "threads", query="Leipzig", folder="inbox", limit=100)
        lately = await collected(office, "search_threads", "threads", query="Leipzig", after="2026-11-17", limit=100)
        before = await collected(office, "search_threads", "threads", query="Leipzig", before="2026-11-17", limit=100)
        assert set(in_folder) < set(everywhere)
        assert set(lately) | set(before) == set(everywhere)
        assert lately and before and not set(lately) & set(before)


@pytest.mark.parametrize("envelope", sorted(ENVELOPES))
@pytest.mark.parametrize("limit", [7, 20, 45])
async def test_pages_hold_every_thread_exactly_once_in_each_list_envelope(envelope: str, limit: int) -> None:
    store = a_mailbox(45)
    async with open_office(store=store, user=USER, envelope=envelope) as office:
        everything = await office.thread_ids()
        assert len(set(everything)) == 45
        assert await collected(office, "list_threads", "threads", folder="inbox", limit=limit) == everything
        assert await collected(office, "search_threads", "threads", query="pallet", limit=limit) == everything
        assert sorted(await collected(office, "triage_inbox", "threads", limit=limit)) == sorted(everything)


@pytest.mark.parametrize("envelope", sorted(ENVELOPES))
async def test_scheduled_mail_is_paged_in_each_list_envelope(envelope: str) -> None:
    store = a_mailbox(0)
    user_id = store.add_user(USER)
    for number in range(25):
        leaves = NOW + timedelta(hours=number + 1)
        store.schedule(
            user_id, SendEmail(to=["dana@helix.example"], subject=str(number), body_text="x", scheduled_for=leaves)
        )
    async with open_office(store=store, user=USER, envelope=envelope) as office:
        found = await collected(office, "list_scheduled", "scheduled", limit=10)
        assert len(set(found)) == 25


@pytest.mark.parametrize("envelope", sorted(ENVELOPES))
async def test_a_list_that_is_cut_says_so(envelope: str) -> None:
    async with open_office(store=a_mailbox(25), user=USER, envelope=envelope) as office:
        first = await office.call("list_threads", folder="inbox", limit=20)
        total = "" if envelope == "cursor" else " of 25"
        # The documented array and the cursor's envelope carry the total in a header.
        assert first["note"].startswith(("20 of 25 threads; call again", f"20{total} threads; call again"))
        last = await office.call("list_threads", folder="inbox", limit=20, cursor=first["next_cursor"])
        assert len(last["threads"]) == 5
        assert "next_cursor" not in last
        assert "note" not in last


async def test_a_cursor_of_another_query_is_refused() -> None:
    async with open_office() as office:
        cursor = (await office.call("list_threads", folder="inbox", limit=5))["next_cursor"]
        for tool, arguments in (
            ("list_threads", {"folder": "sent", "limit": 5}),
            ("list_threads", {"folder": "inbox", "limit": 5, "unread": True}),
            ("list_threads", {"folder": "inbox", "limit": 6}),
            ("triage_inbox", {"limit": 5}),
            ("search_threads", {"query": "offer", "limit": 5}),
            ("list_scheduled", {"limit": 5}),
            ("read_thread", {"thread_id": (await office.thread_ids())[0]}),
        ):
            refusal = await office.refusal(tool, cursor=cursor, **arguments)
            assert refusal.startswith("invalid_arguments: This cursor is damaged or belongs to another query: repeat")


DAMAGED: list[str] = ["x", "-1", "1.5", "٣x", "", "9" * 5_000, "~" + "x" * 5_000]


async def test_a_damaged_cursor_is_refused() -> None:
    async with open_office() as office:
        for position in DAMAGED:
            cursor = (await office.call("list_threads", limit=5))["next_cursor"]
            refusal = await office.refusal("list_threads", limit=5, cursor=f"{cursor.partition('.')[0]}.{position}")
            assert refusal.startswith("invalid_arguments: This cursor ")


async def test_a_page_beyond_the_end_is_empty_and_ends_there() -> None:
    async with open_office() as office:
        first = await office.call("list_threads", limit=41)
        for row in first["threads"][:2]:
            office.store.delete(office.user_id, row["thread_id"])
        page = await office.call("list_threads", limit=41, cursor=first["next_cursor"])
        assert page == {"threads": [], "zone": "Europe/Berlin", "total": 40, "note": "No threads here."}


BAD_CALLS: list[tuple[str, dict[str, Any], str]] = [
    ("list_threads", {"limit": 0}, "limit"),
    ("list_threads", {"limit": 101}, "limit"),
    ("triage_inbox", {"limit": 51}, "limit"),
    ("read_thread", {"thread_id": "c1", "max_tokens": 10**9}, "max_tokens"),
    ("list_threads", {"after": "last week"}, "is not an ISO 8601 time"),
    ("search_threads", {"query": "offer", "before": "0001-01-01"}, "outside the years"),
    ("list_threads", {"record_type": "deal"}, "record_type"),
    ("list_threads", {"record_id": "kestrel-hub"}, "record_id needs its record_type"),
    ("list_threads", {"record_type": "lead", "record_id": "a\nb"}, "record_id must be an id"),
    ("list_threads", {"sender": "x" * 10_000_000}, "sender is longer than 500 characters"),
    ("search_threads", {}, "search_threads needs query"),
    ("search_threads", {"query": "  \n "}, "query is empty"),
    ("search_threads", {"query": "x" * 10_000_000}, "query is longer than 500 characters"),
    ("list_threads", {"is_read": False}, "use unread, its opposite"),
    ("list_threads", {"from": "Ruth"}, "use sender"),
    ("search_threads", {"q": "offer"}, "use query"),
]


async def test_bad_arguments_are_refused_with_their_name() -> None:
    async with open_office() as office:
        for tool, arguments, words in BAD_CALLS:
            refusal = await office.refusal(tool, **arguments)
            assert refusal.startswith("invalid_arguments: ")
            assert words in refusal
            assert len(refusal) < 300


ODD_WORDS: list[str] = ["\ud800", '"', "* OR", "NEAR(", "a:b", "(((", "'; DROP TABLE threads", "\0", "%", "🙂"]


async def test_any_words_can_be_searched_for() -> None:
    async with open_office() as office:
        for text in ODD_WORDS:
            result = await office.result("search_threads", query=text)
            assert not result.is_error or "query is empty" in text_of(result)
            result = await office.result("list_threads", sender=text)
            assert not result.is_error


NO_IDS: list[str] = ["", "..", "a\nb", "\ud800", "x" * 10_000_000]


async def test_what_cannot_be_an_id_never_reaches_the_service() -> None:
    async with open_office() as office:
        for thread_id in NO_IDS:
            refusal = await office.refusal("read_thread", thread_id=thread_id)
            assert refusal.startswith("invalid_arguments: thread_id must be an id as an answer of this server gave it")
            assert office.wire.requests == []


ODD_IDS: list[str] = ["../stats", "a/b", "%2e%2e%2fstats", "c1?limit=1", "c1#x", "ä", "read"]


async def test_an_id_with_slashes_names_nothing_else() -> None:
    async with open_office() as office:
        for thread_id in ODD_IDS:
            refusal = await office.refusal("read_thread", thread_id=thread_id)
            assert refusal.startswith(f"not_found: There is no thread {thread_id!r} in this mailbox")


async def test_a_thread_of_another_user_is_not_found() -> None:
    store = a_mailbox(1)
    other = store.add_user("eve@northwind.example")
    async with open_office(store=store, user=USER) as office:
        (thread_id,) = await office.thread_ids()
        store.add_message(other, StoredMessage(from_email="x@helix.example", sent_at=NOW, body_text="secret pallet"))
        assert len((await office.call("search_threads", query="pallet"))["threads"]) == 1
        assert await office.thread_ids() == [thread_id]
    store = a_mailbox(1)
    other = store.add_user("eve@northwind.example")
    filed = store.file_message(other, StoredMessage(from_email="x@helix.example", sent_at=NOW, body_text="secret"))
    async with open_office(store=store, user=USER) as office:
        refusal = await office.refusal("read_thread", thread_id=filed.thread_id)
        assert refusal.startswith("not_found: There is no thread")


async def test_all_of_a_long_thread_is_read_page_by_page() -> None:
    async with open_office() as office:
        thread_id = await office.find("Leipzig pilot results")
        senders: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = await office.call("read_thread", thread_id=thread_id, max_tokens=600, **cursor)
            senders = [message["sender"] for message in page["messages"] if "skipped_chars" not in message] + senders
            if "next_cursor" not in page:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert len(senders) == 13
        assert senders[0] == "Maya Lindqvist <maya@northwind-robotics.example>"
        whole = await office.call("read_thread", thread_id=thread_id, max_tokens=50_000)
        assert [message["sender"] for message in whole["messages"]] == senders


async def test_quotes_are_folded_until_asked_for() -> None:
    async with open_office() as office:
        thread_id = await office.find("Leipzig pilot results")
        folded = await office.call("read_thread", thread_id=thread_id)
        whole = await office.call("read_thread", thread_id=thread_id, include_quoted=True, max_tokens=50_000)
        assert any("quoted_chars" in message for message in folded["messages"])
        assert not any("quoted_chars" in message for message in whole["messages"])
        assert len(str(whole)) > len(str(folded))


async def test_a_draft_in_a_thread_shows_the_id_to_update_or_send_it_by() -> None:
    async with open_office() as office:
        (row,) = (await office.call("list_threads", folder="drafts", limit=1))["threads"]
        shown = await office.call("read_thread", thread_id=row["thread_id"])
        draft = shown["messages"][-1]
        assert draft["status"] == "DRAFT"
        updated = await office.call("save_draft", draft_id=draft["draft_id"], subject="A new subject")
        assert updated["draft_id"] == draft["draft_id"]


async def test_lists_stay_small_whatever_the_mailbox_holds() -> None:
    limit = 100
    long = "Angebot für Kommissionierroboter " * 100
    store = a_mailbox(
        200,
        subject=long,
        from_name=long,
        body_text=long * 3,
        cc=tuple(f"somebody{number}@helix.example" for number in range(60)),
        attachments=tuple(StoredAttachment(long, long, 10**9) for _ in range(50)),
    )
    user_id = store.add_user(USER)
    for number in range(30):
        store.schedule(
            user_id,
            SendEmail(
                to=[f"somebody{n}@helix.example" for n in range(200)],
                subject=long,
                body_text=long,
                scheduled_for=NOW + timedelta(hours=number + 1),
            ),
        )
    for number in range(150):
        store.add_folder(user_id, f"{number} {long}")
    async with open_office(store=store, user=USER) as office:
        answers = {
            "list_threads": await office.result("list_threads", folder="inbox", limit=limit),
            "search_threads": await office.result("search_threads", query="Angebot", limit=limit),
            "triage_inbox": await office.result("triage_inbox", limit=min(limit, 50)),
            "list_scheduled": await office.result("list_scheduled", limit=limit),
            "list_folders": await office.result("list_folders"),
        }
        for tool, answer in answers.items():
            assert not answer.is_error, text_of(answer)
            assert estimate_tokens(text_of(answer)) < 220 * limit, tool
        assert len((await office.call("list_folders"))["folders"]) == 100
        assert (await office.call("list_folders"))["note"] == "100 of 157 folders."
        (thread_id, *_) = await office.thread_ids()
        for max_tokens in (300, 4_000):
            shown = text_of(await office.result("read_thread", thread_id=thread_id, max_tokens=max_tokens))
            assert estimate_tokens(shown) < max_tokens * 1.2 + 2_500


async def test_a_thread_of_40_messages_of_100_kb_is_read_within_the_budget() -> None:
    store = a_mailbox(0)
    user_id = store.add_user(USER)
    thread_id = None
    with store.transaction():
        for number in range(40):
            message = StoredMessage(
                from_email="dana@helix.example",
                message_id=f"<m{number}@helix.example>",
                sent_at=NOW - timedelta(minutes=300 - number),
                to=(USER,),
                subject="Offer",
                body_text=f"{number}: " + "Palette Förderband 12 Stück. " * 3_500,
            )
            thread_id = store.file_message(user_id, message, thread_id=thread_id).thread_id
    async with open_office(store=store, user=USER) as office:
        for max_tokens in (300, 4_000, 50_000):
            result = await office.result("read_thread", thread_id=thread_id, max_tokens=max_tokens)
            assert estimate_tokens(text_of(result)) < max_tokens * 1.1 + 400
            assert "39: Palette" in text_of(result)


async def test_a_total_that_is_not_told_is_left_out(interpose: Interpose) -> None:
    def without_total(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
        response.headers.pop("x-total-count", None)
        return None

    async with open_office(store=a_mailbox(45), user=USER) as office:
        interpose(office, without_total)
        first = await office.call("list_threads", limit=20)
        assert "total" not in first
        assert first["note"].startswith("20 threads; call again with cursor for more.")
        assert len(await collected(office, "list_threads", "threads", limit=20)) == 45
        assert len(await collected(office, "list_threads", "threads", limit=15)) == 45, "45 is a whole number of pages"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"<html>maintenance</html>", "contract_broken: "),
        (200, b'{"unexpected": 1}', "contract_broken: "),
        (200, b'"nothing"', "contract_broken: "),
        (500, b"", "unavailable: "),
        (401, b"", "unauthorized: "),
    ],
)
async def test_a_service_out_of_order_is_said_in_words(
    interpose: Interpose, status: int, body: bytes, words: str
) -> None:
    def broken(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
        return httpx.Response(status, content=body) if path == "/threads" else None

    async with open_office() as office:
        interpose(office, broken)
        for tool in ("list_threads", "triage_inbox"):
            refusal = await office.refusal(tool)
            assert refusal.startswith(words)
            assert "maintenance" not in refusal


async def test_unknown_statistics_are_kept() -> None:
    async with open_office() as office:
        assert all(name == name.lower() for name in (await office.call("get_inbox_stats"))["counts"])


async def test_a_service_that_promises_more_on_an_empty_page_does_not_keep_the_caller_going(
    interpose: Interpose,
) -> None:
    endless = httpx.Response(200, json={"items": [], "hasMore": True})
    async with open_office() as office:
        interpose(office, lambda method, path, response: endless if path == "/threads" else None)
        assert "next_cursor" not in await office.call("list_threads")


THROTTLED = httpx.Response(429, headers={"Retry-After": "600"})


async def test_a_search_whose_threads_cannot_be_read_has_its_rows_all_the_same(interpose: Interpose) -> None:
    async with open_office() as office:
        found = await office.call("search_threads", query="pricing")
        office.services.kept.clear()
        interpose(office, lambda method, path, response: THROTTLED if path.startswith("/threads/") else None)
        rows = await office.call("search_threads", query="pricing")
        assert [row["thread_id"] for row in rows["threads"]] == [row["thread_id"] for row in found["threads"]]
        assert all(row["mail"].count(" | ") == 1 for row in rows["threads"])
        count = len(rows["threads"])
        assert f"{count} of them could not be read, so the words around the match are missing. " in rows["note"]


async def test_a_search_tells_that_the_token_is_refused(interpose: Interpose) -> None:
    async with open_office() as office:
        refused = httpx.Response(401)
        interpose(office, lambda method, path, response: refused if path.startswith("/threads/") else None)
        assert (await office.refusal("search_threads", query="pricing")).startswith("unauthorized: ")


async def test_a_list_does_not_fail_where_the_user_cannot_be_looked_up_for_now(interpose: Interpose) -> None:
    async with open_office() as office:
        interpose(office, lambda method, path, response: THROTTLED if path == "/auth/me" else None)
        assert len((await office.call("list_threads", folder="inbox", limit=10))["threads"]) == 10
