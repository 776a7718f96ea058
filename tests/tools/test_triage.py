# ruff: noqa: E501 -- the snapshots hold lines of mail
"""The state of the inbox at a glance."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import anyio.lowlevel
import httpx
import pytest
from inline_snapshot import snapshot

from harness import NOW, Clock, Office, open_office
from salesos_inbox.client.http import InboxClient
from salesos_inbox.sandbox.messages import StoredMessage
from salesos_inbox.sandbox.store import Store
from salesos_inbox.tools._kit import MOST_AT_ONCE

pytestmark = pytest.mark.anyio

USER = "maya@northwind.example"
Steady = Callable[[object], Any]
Interpose = Callable[[Office, Callable[[str, str, httpx.Response], httpx.Response | None]], None]


async def test_triage_says_whose_turn_it_is_how_long_and_what_is_new(steady: Steady) -> None:
    async with open_office() as office:
        page = await office.call("triage_inbox", limit=50)
        rows = {row["subject"]: row for row in page["threads"]}
        assert [page["total"], len(rows)] == [37, 37]
        chosen = ("RFQ 88-1420", "Leipzig pilot", "Démonstration", "Kestrel Parts: agreement")
        assert [steady(row) for subject, row in rows.items() if subject.startswith(chosen)] == snapshot(
            [
                {
                    "thread_id": "<1>",
                    "subject": "RFQ 88-1420 Swindon DC: commercial clarification round 2",
                    "last_from": "Colin Achterberg <c.achterberg@brightwater.example>",
                    "whose_turn": "yours",
                    "waiting_days": 3,
                    "follow_up": "2026-11-17T09:00+01:00",
                    "follow_up_due": True,
                    "records": [
                        "contact colin-achterberg (Colin Achterberg, Brightwater)",
                        "opportunity brightwater-swindon (Brightwater: Swindon, 18 robo…)",
                    ],
                    "new": "The rate. At minus 8 % with 36 months I can recommend award without another round. Failing that I would have…",
                },
                {
                    "thread_id": "<2>",
                    "subject": "Leipzig pilot: results and what comes next",
                    "last_from": "Dana Whitfield <dana.whitfield@helix-logistics.example>",
                    "whose_turn": "yours",
                    "waiting_days": 1,
                    "follow_up": "2026-11-18T17:00+01:00",
                    "records": [
                        "account helix-logistics (Helix Logistics B.V.)",
                        "opportunity helix-rollout (Helix: rollout, 40 robots, Le…)",
                    ],
                    "new": "Maya, a friendly warning: the board pack for the meeting on Monday, 23 November closes tomorrow evening, and…",
                },
                {
                    "thread_id": "<3>",
                    "subject": "Kestrel Parts: agreement NWR-2274, ready for signature",
                    "last_from": "Amir Haddad <amir@kestrel-parts.example>",
                    "whose_turn": "yours",
                    "waiting_days": 0,
                    "unread": True,
                    "records": ["opportunity kestrel-hub (Kestrel Parts: central hub, 9…)"],
                    "new": "Ha. Fine. Signed, you should have it. Need your countersignature by tomorrow noon, otherwise our PO falls int…",
                },
                {
                    "thread_id": "<4>",
                    "subject": "Démonstration à Lyon : suite",
                    "last_from": "Camille Dubois <camille@atelier-dubois.example>",
                    "whose_turn": "yours",
                    "waiting_days": 0,
                    "new": "Voici les photos. Tout est à l’horizontale, ouf ! Combien coûterait la pince G3 pour quatre robots ? Camille…",
                },
            ]
        )


async def test_what_is_due_comes_first_then_what_waits_for_the_user_the_longest() -> None:
    async with open_office() as office:
        rows = (await office.call("triage_inbox", limit=50))["threads"]
        assert [row.get("follow_up_due", False) for row in rows] == [True, *[False] * 36]
        turns = [row["whose_turn"] for row in rows[1:]]
        assert turns == sorted(turns, key=["yours", "unknown", "theirs"].index)
        days = [row["waiting_days"] for row in rows[1:] if row["whose_turn"] == "yours"]
        assert days == sorted(days, reverse=True)


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
        assert (row["whose_turn"], row["waiting_days"], row["new"]) == ("yours", 3, "What does it cost?")
        await office.call("save_draft", thread_id=thread_id, body="It costs")
        assert (await office.call("triage_inbox"))["threads"] == [row]
        await office.call("send_email", thread_id=thread_id, body="It costs ten.")
        (row,) = (await office.call("triage_inbox"))["threads"]
        assert (row["whose_turn"], row["waiting_days"], row["new"]) == ("theirs", 0, "It costs ten.")
        assert row["last_from"] == "Maya Lindqvist <maya@northwind.example>"


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

        def vanishing(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
            if path == "/threads":
                office.store.delete(office.user_id, gone)
                office.store.delete(office.user_id, gone)
            return None

        interpose(office, vanishing)
        page = await office.call("triage_inbox", limit=5)
        assert len(page["threads"]) == 5
        (row,) = [row for row in page["threads"] if row["thread_id"] == gone]
        assert steady(row) == snapshot(
            {
                "thread_id": "<1>",
                "subject": "Forecast",
                "last_from": "Tobias Brandt <tobias@northwind-robotics.example> +1",
                "whose_turn": "unknown",
                "waiting_days": 0,
                "unread": True,
                "new": "Brightwater: 6 % and 45 days, that is the floor. Not 8. Offer him the second spare unit instead, it costs us…",
            }
        )


async def test_a_service_that_fails_on_one_thread_is_said_in_words(interpose: Interpose) -> None:
    async with open_office() as office:
        broken = (await office.thread_ids())[2]
        interpose(office, lambda method, path, response: httpx.Response(500) if path.endswith(broken) else None)
        assert (await office.refusal("triage_inbox")).startswith("unavailable: SalesOS could not read the thread")
