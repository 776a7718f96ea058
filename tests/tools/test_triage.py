# ruff: noqa: E501 -- the snapshots hold lines of mail
"""The state of the inbox at a glance."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import anyio.lowlevel
import httpx
import pytest
from inline_snapshot import snapshot

from harness import NOW, Clock, Office, open_office, subject_of, text_of
from processes import NODE, ROOT, needs_node
from salesos_inbox.client.http import InboxClient
from salesos_inbox.sandbox.database import new_id
from salesos_inbox.sandbox.messages import StoredMessage
from salesos_inbox.sandbox.seed import DEMO_USER, load_demo
from salesos_inbox.sandbox.store import Store
from salesos_inbox.tools._kit import MOST_AT_ONCE

pytestmark = pytest.mark.anyio

USER = "maya@northwind.example"
Steady = Callable[[object], Any]
Interpose = Callable[[Office, Callable[[str, str, httpx.Response], httpx.Response | None]], None]


async def test_triage_says_whose_turn_it_is_how_long_and_what_is_new(steady: Steady) -> None:
    numbers = count()  # what ids cost decides how many words are shown
    store = Store(clock=Clock(), ids=lambda: f"c{next(numbers):024d}")
    load_demo(store)
    async with open_office(store=store, user=DEMO_USER) as office:
        page = await office.call("triage_inbox", limit=50)
        rows = {subject_of(row): row for row in page["threads"]}
        assert [page["total"], len(rows), page["zone"]] == [37, 37, "Europe/Berlin"]
        chosen = ("RFQ 88-1420", "Leipzig pilot", "Démonstration", "The aisle is dead", "Approved: expense")
        assert [steady(row) for subject, row in rows.items() if subject.startswith(chosen)] == snapshot(
            [
                {
                    "thread_id": "<1>",
                    "mail": "c.achterberg@brightwater.example | RFQ 88-1420 Swindon DC: commercial clarification round 2 | The rate. At minus 8 % with 36 months I can recommend award without another rou…",
                    "turn": "yours",
                    "days": 3,
                    "follow_up": "due 17 Nov 09:00, they wrote last: Answer Colin as soon as Tobias has said how far we go",
                    "records": "contact Colin Achterberg, Brightwater, opportunity Brightwater: Swindon, 18 ro…",
                },
                {
                    "thread_id": "<2>",
                    "mail": "dana.whitfield@helix-logistics.example | Leipzig pilot: results and what comes next | Maya, a friendly warning: the board pack for the meeting on Monday, 23 November…",
                    "turn": "yours",
                    "days": 1,
                    "follow_up": "18 Nov 17:00, they wrote last: Ruth wants the three-year figure before her board pack clos…",
                    "records": "account Helix Logistics B.V., opportunity Helix: rollout, 40 robots,…",
                },
                {
                    "thread_id": "<3>",
                    "mail": "camille@atelier-dubois.example | Démonstration à Lyon : suite | Voici les photos. Tout est à l’horizontale, ouf ! Combien coûterait la pince G3…",
                    "turn": "yours",
                    "days": 0,
                },
                {
                    "thread_id": "<4>",
                    "mail": "no-reply@tally-expenses.example | Approved: expense report ER-0931 (EUR 418.70) | Approved Your expense report ER-0931 was approv…",
                    "kind": "automatic",
                },
                {
                    "thread_id": "<5>",
                    "mail": "weekly@intralog-news.example | The aisle is dead, long live the aisle | Intralog Weekl…",
                    "kind": "newsletter",
                    "unread": True,
                },
            ]
        )


async def test_what_is_due_comes_first_then_what_waits_for_the_user_and_machines_last() -> None:
    async with open_office() as office:
        rows = (await office.call("triage_inbox", limit=50))["threads"]
        assert [row.get("follow_up", "").startswith("due ") for row in rows] == [True, *[False] * 36]
        groups = [(row.get("turn"), row.get("kind")) for row in rows[1:]]
        ranks = [
            (("yours", "theirs", None).index(turn), (None, "automatic", "newsletter").index(kind))
            for turn, kind in groups
        ]
        assert ranks == sorted(ranks)
        assert len(set(ranks)) >= 4
        for is_linked in (True, False):
            days = [row["days"] for row in rows[1:] if row.get("turn") == "yours" and ("records" in row) is is_linked]
            assert days == sorted(days, reverse=True)


def mailbox(*messages: StoredMessage) -> Store:
    """A mailbox in which the messages answer one another."""
    store = Store(clock=Clock())
    user_id = store.add_user(USER, "Maya", "Lindqvist")
    before: StoredMessage | None = None
    for number, message in enumerate(messages):
        message_id = f"<{number}@mail.example>"
        before_id = before.message_id if before else None
        before = replace(
            message, message_id=message_id, in_reply_to=before_id, references=(before_id,) if before_id else ()
        )
        store.file_message(user_id, before)
    return store


def received(body: str, *, hours: int, subject: str = "Offer", sender: str = "dana@helix.example") -> StoredMessage:
    return StoredMessage(sender, NOW - timedelta(hours=hours), to=(USER,), subject=subject, body_text=body)


def sent(body: str, *, hours: int) -> StoredMessage:
    return StoredMessage(
        USER, NOW - timedelta(hours=hours), to=("dana@helix.example",), subject="Offer", body_text=body
    )


async def test_an_automatic_reply_does_not_take_the_turn() -> None:
    away = received("I am out of the office until Monday.", hours=23, subject="Automatic reply: Offer")
    async with open_office(store=mailbox(sent("Here it is.", hours=50), away), user=USER) as office:
        (row,) = (await office.call("triage_inbox"))["threads"]
        assert (row["turn"], row["kind"], row["days"]) == ("theirs", "automatic", 2)
        assert "out of the office" in row["mail"]


async def test_a_message_that_did_not_arrive_is_the_users_turn() -> None:
    report = received(
        "The address was not found.", hours=20, subject="Undeliverable: Offer", sender="postmaster@helix.example"
    )
    async with open_office(store=mailbox(sent("Here it is.", hours=50), report), user=USER) as office:
        (row,) = (await office.call("triage_inbox"))["threads"]
        assert (row["turn"], row["kind"], row["days"]) == ("yours", "automatic", 0)


async def test_a_due_follow_up_of_an_older_thread_comes_first_on_the_first_page() -> None:
    async with open_office() as office:
        page = await office.call("triage_inbox", limit=5)
        assert [row["follow_up"][:17] for row in page["threads"] if row.get("follow_up", "").startswith("due")] == [
            "due 17 Nov 09:00,"
        ]
        assert page["threads"][0]["follow_up"].startswith("due ")
        assert len(page["threads"]) == 6
        assert all(len(row["mail"].split(" | ")) == 3 for row in page["threads"])
        assert page["note"].endswith("1 of the follow-ups due are from further on.")
        second = await office.call("triage_inbox", limit=5, cursor=page["next_cursor"])
        assert len(second["threads"]) == 5


async def test_a_thread_without_new_messages_is_not_read_again() -> None:
    async with open_office() as office:
        first = await office.call("triage_inbox", limit=10)
        reads = [path for _, path, _ in office.wire.requests if path.startswith("/threads/")]
        chosen = first["threads"][1]["thread_id"]
        await office.call("star_threads", thread_ids=[chosen])
        await office.call("mark_read", thread_ids=[chosen])
        await office.call("send_email", thread_id=chosen, body="I will look into it.")
        office.wire.requests.clear()
        second = await office.call("triage_inbox", limit=10)
        again = [path for _, path, _ in office.wire.requests if path.startswith("/threads/")]
        assert (len(reads), again) == (11, [f"/threads/{chosen}"])
        (row,) = [row for row in second["threads"] if row["thread_id"] == chosen]
        assert (row["turn"], row.get("unread")) == ("theirs", None)
        office.clock.advance(minutes=6)
        office.wire.requests.clear()
        await office.call("triage_inbox", limit=10)
        assert len([path for _, path, _ in office.wire.requests if path.startswith("/threads/")]) == 11


async def test_a_service_that_lists_more_than_was_asked_for_does_not_have_all_of_it_read() -> None:
    store = Store(clock=Clock())
    user_id = store.add_user(USER, "Maya", "Lindqvist")
    for number in range(60):
        message = replace(received("When?", hours=number), message_id=f"<{number}@x.example>", subject=f"{number}")
        thread_id = store.file_message(user_id, message).thread_id
        store.set_follow_up(user_id, thread_id, NOW - timedelta(hours=1))

    class Generous(httpx.AsyncBaseTransport):
        """A service that knows no limit for what has a follow-up."""

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if "hasFollowUp" in request.url.params:
                url = request.url.copy_set_param("limit", 100)
                request = httpx.Request(request.method, url, headers=request.headers)
            return await office.wire.handle_async_request(request)

    async with open_office(store=store, user=USER) as office:
        settings = office.services.settings
        office.services.open_client = lambda: InboxClient(settings, transport=Generous())
        assert len((await office.call("triage_inbox", limit=5))["threads"]) == 25
        assert len([path for _, path, _ in office.wire.requests if path.startswith("/threads/")]) == 25


async def test_what_gives_pause_is_said_in_the_row() -> None:
    async with open_office() as office:
        rows = (await office.call("triage_inbox", limit=50))["threads"]
        seen = {row["mail"].partition(" ")[0]: row["signals"] for row in rows if "signals" in row}
        assert seen == snapshot(
            {
                "procurement@vertex-fulfilment.example": "addressed_to_assistant",
                "daniel.reyes@solano-pharrna.example": "look_alike",
            }
        )


async def test_a_newsletter_is_nobodys_turn_and_its_text_is_not_shown() -> None:
    text = "This week in robots.\n\nYou receive this newsletter because you subscribed.\nUnsubscribe: https://news.example/leave"
    letter = received(text, hours=30, subject="Robot Weekly No. 12", sender="newsletter@news.example")
    async with open_office(store=mailbox(letter), user=USER) as office:
        (row,) = (await office.call("triage_inbox"))["threads"]
        assert (row.get("turn"), row["kind"], row["mail"]) == (
            None,
            "newsletter",
            "newsletter@news.example | Robot Weekly No. 12",
        )


async def test_a_follow_up_says_that_it_is_due_and_that_they_wrote_last() -> None:
    async with open_office(store=mailbox(sent("Here it is.", hours=50)), user=USER) as office:
        (thread_id,) = await office.thread_ids("sent")
        await office.call("set_follow_up", thread_id=thread_id, remind_at="2026-11-18T12:00:00+01:00", note="Ask Dana")
        (row,) = (await office.call("triage_inbox", folder="sent"))["threads"]
        assert row["follow_up"] == "18 Nov 12:00: Ask Dana"
        office.clock.advance(hours=3)
        answer = replace(
            received("We take it.", hours=-2), in_reply_to="<0@mail.example>", references=("<0@mail.example>",)
        )
        office.store.file_message(office.user_id, answer)
        (row,) = (await office.call("triage_inbox", folder="sent"))["threads"]
        assert row["follow_up"] == "due 18 Nov 12:00, they wrote last: Ask Dana"


@needs_node
@pytest.mark.parametrize("ids", [new_id, lambda: str(uuid4())], ids=["ids as the sandbox makes them", "UUIDs"])
async def test_twenty_five_threads_take_no_more_than_2500_tokens(ids: Callable[[], str]) -> None:
    store = Store(clock=Clock(), ids=ids)
    load_demo(store)
    async with open_office(store=store, user=DEMO_USER) as office:
        result = await office.result("triage_inbox", limit=25)
    done = await anyio.run_process(
        [NODE, ROOT / "benchmarks/tokens.mjs"], input=json.dumps({"triage": text_of(result)}).encode()
    )
    assert 1_500 < json.loads(done.stdout)["triage"] <= 2_500


async def test_a_draft_does_not_take_the_users_turn() -> None:
    store = Store(clock=Clock())
    user_id = store.add_user(USER, "Maya", "Lindqvist")
    first = StoredMessage(
        from_email="dana@helix.example",
        message_id="<1@helix.example>",
        sent_at=NOW - timedelta(days=3),
        to=(USER,),
        subject="Offer",
        body_text="Hello Maya,\n\nWhat does it cost?",
    )
    thread_id = store.file_message(user_id, first).thread_id
    async with open_office(store=store, user=USER) as office:
        row = (await office.call("triage_inbox"))["threads"][0]
        assert (row["turn"], row["days"]) == ("yours", 3)
        assert row["mail"] == "dana@helix.example | Offer | What does it cost?"
        await office.call("save_draft", thread_id=thread_id, body="It costs")
        assert (await office.call("triage_inbox"))["threads"] == [row]
        await office.call("send_email", thread_id=thread_id, body="It costs ten.")
        (row,) = (await office.call("triage_inbox"))["threads"]
        assert (row["turn"], row["days"]) == ("theirs", 0)
        assert row["mail"] == "maya@northwind.example | Offer | It costs ten."


async def test_triage_is_narrowed_to_what_is_unread_or_to_another_folder() -> None:
    async with open_office() as office:
        unread = await office.call("triage_inbox", unread=True, limit=50)
        assert unread["total"] == 14
        assert all(row["unread"] for row in unread["threads"])
        assert (await office.call("triage_inbox", unread=False))["total"] == 23
        assert (await office.call("triage_inbox", folder="Archive"))["total"] == 2


async def test_threads_are_read_a_few_at_a_time() -> None:
    class Counting(httpx.AsyncBaseTransport):
        """A wire that counts the requests under way."""

        def __init__(self, wire: httpx.AsyncBaseTransport) -> None:
            self.wire, self.under_way, self.most = wire, 0, 0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            response = await self.wire.handle_async_request(request)
            self.under_way -= 1
            return response

    async with open_office() as office:
        counting = Counting(office.wire)
        services = office.services
        services.open_client = lambda: InboxClient(services.settings, transport=counting)
        await office.call("triage_inbox", limit=30)
        assert len([path for _, path, _ in office.wire.requests if path.startswith("/threads/")]) == 30
        assert 1 < counting.most <= MOST_AT_ONCE


async def test_a_thread_that_vanishes_between_list_and_read_is_shown_as_the_list_had_it(
    interpose: Interpose, steady: Steady
) -> None:
    async with open_office() as office:
        gone = (await office.thread_ids())[0]
        deletions = iter([2])

        def vanishing(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
            for _ in range(next(deletions, 0) if path == "/threads" else 0):
                office.store.delete(office.user_id, gone)
            return None

        interpose(office, vanishing)
        page = await office.call("triage_inbox", limit=5)
        (row,) = [row for row in page["threads"] if row["thread_id"] == gone]
        assert steady(row) == snapshot(
            {
                "thread_id": "<1>",
                "mail": "tobias@northwind-robotics.example +1 | Forecast",
                "unread": True,
            }
        )


async def test_a_thread_that_cannot_be_read_for_now_is_shown_as_the_list_had_it(
    interpose: Interpose, steady: Steady
) -> None:
    async with open_office() as office:
        broken = (await office.thread_ids())[2]
        interpose(office, lambda method, path, response: httpx.Response(500) if path.endswith(broken) else None)
        page = await office.call("triage_inbox", limit=5)
        (row,) = [row for row in page["threads"] if row["thread_id"] == broken]
        assert steady(row) == snapshot(
            {
                "thread_id": "<1>",
                "mail": "amir@kestrel-parts.example +1 | Kestrel Parts: agreement NWR-2274, ready for signature",
                "unread": True,
                "records": "opportunity Kestrel Parts: central hub,…",
            }
        )
        assert sum("turn" in row or "kind" in row for row in page["threads"]) == 5
        assert (
            " 1 of them could not be read, so whose turn it is and their last words are missing. "
            "SalesOS could not read the thread"
        ) in page["note"]
        office.wire.requests.clear()
        interpose(office, lambda method, path, response: None)
        page = await office.call("triage_inbox", limit=5)
        assert [path for _, path, _ in office.wire.requests if path.startswith("/threads/")] == [f"/threads/{broken}"]
        assert "could not be read" not in page["note"]


async def test_a_limit_reached_in_the_middle_costs_the_rest_of_a_page_only(interpose: Interpose) -> None:
    async with open_office() as office:
        reads = 0

        def throttled(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
            nonlocal reads
            reads += path.startswith("/threads/")
            return httpx.Response(429, headers={"Retry-After": "600"}) if reads > 12 else None

        interpose(office, throttled)
        page = await office.call("triage_inbox", limit=30)
        shown = [row for row in page["threads"] if row["mail"].count(" | ") == 2]
        assert 6 < len(shown) <= 12
        assert reads < 12 + 2 * MOST_AT_ONCE
        unread = len(page["threads"]) - len([row for row in page["threads"] if "turn" in row or "kind" in row])
        assert f" {unread} of them could not be read, so" in page["note"]
        assert "600 s" in page["note"]


async def test_a_thread_that_is_too_large_to_be_read_spoils_no_page() -> None:
    async with open_office() as office:
        large = StoredMessage(
            "kim@helix.example", NOW, to=(DEMO_USER,), subject="Plans", body_html="<p>x</p>" * 800_000
        )
        thread_id = office.store.file_message(office.user_id, large).thread_id
        page = await office.call("triage_inbox", limit=10)
        (row,) = [row for row in page["threads"] if row["thread_id"] == thread_id]
        assert row["mail"] == "kim@helix.example | Plans"
        assert " 1 of them could not be read, so" in page["note"]
        assert "too large to be read here" in page["note"]
        assert sum("turn" in row or "kind" in row for row in page["threads"]) == 10


async def test_a_service_that_is_down_is_not_asked_for_every_thread(interpose: Interpose) -> None:
    async with open_office() as office:
        reads: list[str] = []

        def down(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
            if not path.startswith("/threads/"):
                return None
            reads.append(path)
            return httpx.Response(500)

        interpose(office, down)
        assert (await office.refusal("triage_inbox", limit=30)).startswith(
            "unavailable: SalesOS could not read the thread"
        )
        assert len(set(reads)) <= 2 * MOST_AT_ONCE


@pytest.mark.parametrize("path", ["/threads/", "/threads"])
async def test_a_token_that_is_refused_is_never_passed_over(interpose: Interpose, path: str) -> None:
    async with open_office() as office:
        seen = 0

        def refusing(method: str, at: str, response: httpx.Response) -> httpx.Response | None:
            nonlocal seen
            seen += at.startswith(path)
            return httpx.Response(401) if at.startswith(path) and seen > 1 else None

        interpose(office, refusing)
        assert (await office.refusal("triage_inbox", limit=30)).startswith("unauthorized: ")


@pytest.mark.parametrize("follow_ups", [0, 5, 60])
async def test_triage_of_fifty_needs_fewer_requests_than_a_minute_allows(follow_ups: int) -> None:
    clock = Clock()
    store = Store(clock=clock)
    user_id = store.add_user(USER, "Maya", "Lindqvist")
    with store.transaction():
        for number in range(150):
            message = replace(received("When?", hours=number), message_id=f"<{number}@x.example>", subject=f"{number}")
            thread_id = store.file_message(user_id, message).thread_id
            if 150 - number <= follow_ups:
                store.set_follow_up(user_id, thread_id, NOW + timedelta(minutes=1), None)
    clock.advance(hours=1)
    async with open_office(store=store, user=USER, clock=clock) as office:
        page = await office.call("triage_inbox", limit=50)
        due = min(follow_ups, 20)
        assert len(page["threads"]) == 50 + due
        assert len(office.wire.requests) == 4 + 50 + due
        assert len(office.wire.requests) < 95
        office.wire.requests.clear()
        await office.call("triage_inbox", limit=50)
        assert len(office.wire.requests) == 2, "the list and the follow-ups that are due"


async def test_a_service_that_does_not_know_the_filter_for_follow_ups_is_triaged_all_the_same(
    interpose: Interpose,
) -> None:
    async with open_office() as office:
        seen = [0]

        def refusing(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
            seen[0] += path == "/threads"
            return httpx.Response(400) if path == "/threads" and seen[0] == 2 else None

        interpose(office, refusing)
        page = await office.call("triage_inbox", limit=5)
        assert len(page["threads"]) == 5
        assert "Follow-ups due further on are missing here: " in page["note"]
