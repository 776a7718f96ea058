# ruff: noqa: E501 -- the snapshots hold whole sentences
"""What leaves, now or later, and what is held back: each asks a person first."""

from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from inline_snapshot import snapshot

from harness import NOW, Clock, Era, Office, Person, open_office, text_of
from salesos_inbox.approval.ledger import Ledger
from salesos_inbox.contract.models import SaveDraft, SendEmail
from salesos_inbox.sandbox.store import Store

pytestmark = pytest.mark.anyio

USER = "maya@northwind.example"
Steady = Callable[[object], Any]
Interpose = Callable[[Office, Callable[[str, str, httpx.Response], httpx.Response | None]], None]
MESSAGE: dict[str, Any] = {"to": ["Dana <dana@helix.example>"], "subject": "Offer", "body": "Here it is."}
SCHEDULED = {**MESSAGE, "send_at": "2026-11-18T17:00"}


def sends(office: Office) -> list[Any]:
    """Return the bodies of the sends that went over the wire."""
    return office.wire.sends()


async def test_an_approved_email_is_sent_as_the_card_showed_it(steady: Steady, era: Era) -> None:
    async with open_office(era=era, demo=False) as office:
        answer = await office.call(
            "send_email",
            to=["Dana Whitfield <dana@helix.example>"],
            cc=["tobias@northwind-robotics.example"],
            bcc=["ruth@helix.example"],
            subject="Offer",
            body="Dear Dana,\n\nsee https://helix.example/offer",
        )
        assert office.person.cards == snapshot(
            [
                """\
Send this email?
! First contact (2 of 3 recipients): dana@helix.example, ruth@helix.example

To: dana@helix.example (first contact)
Cc: tobias@northwind-robotics.example (your own organization)
Bcc: ruth@helix.example (first contact)
Subject: Offer
Conversation: a new conversation
Leaves: at once
Message:
│ Dear Dana,
│
│ see https[:]⁄⁄helix[.]example/offer\
"""
            ]
        )
        assert office.wire.writes() == snapshot(
            [
                (
                    "POST",
                    "/send",
                    {
                        "to": ["dana@helix.example"],
                        "cc": ["tobias@northwind-robotics.example"],
                        "bcc": ["ruth@helix.example"],
                        "subject": "Offer",
                        "bodyText": """\
Dear Dana,

see https://helix.example/offer\
""",
                    },
                )
            ]
        )
        assert steady(answer) == snapshot(
            {
                "status": "sent",
                "to": "dana@helix.example",
                "cc": "tobias@northwind-robotics.example",
                "bcc": "ruth@helix.example",
                "subject": "Offer",
                "thread_id": "<1>",
            }
        )
        (sent,) = (await office.call("list_threads", folder="sent"))["threads"]
        assert sent["thread_id"] == answer["thread_id"]


async def test_a_reply_to_all_goes_to_the_others_of_the_thread_and_into_it(steady: Steady, era: Era) -> None:
    async with open_office(era=era) as office:
        thread_id = await office.find("Leipzig pilot results")
        answer = await office.call("send_email", thread_id=thread_id, reply_all=True, body="EUR 1,857,600.")
        assert office.person.cards == snapshot(
            [
                """\
Send this email?
To: dana.whitfield@helix-logistics.example (in this thread)
Cc: ruth.kellerman@helix-logistics.example (in this thread)
Cc: marcus.oyelaran@helix-logistics.example (in this thread)
Subject: Re: Leipzig pilot: results and what comes next
In reply to: Leipzig pilot: results and what comes next
Linked to: account helix-logistics (Helix Logistics B.V.)
Linked to: opportunity helix-rollout (Helix: rollout, 40 robots, Le…)
Leaves: at once
Message:
│ EUR 1,857,600.\
"""
            ]
        )
        assert steady(sends(office)) == snapshot(
            [
                {
                    "to": ["dana.whitfield@helix-logistics.example"],
                    "cc": ["ruth.kellerman@helix-logistics.example", "marcus.oyelaran@helix-logistics.example"],
                    "subject": "Re: Leipzig pilot: results and what comes next",
                    "bodyText": "EUR 1,857,600.",
                    "threadId": "<1>",
                    "inReplyTo": "<01-helix-rollout-13@helix-logistics.example>",
                }
            ]
        )
        assert answer["thread_id"] == thread_id
        thread = office.store.thread(office.user_id, thread_id)
        assert [thread.messages[-1].status, thread.messages[-1].in_reply_to] == ["SENT", thread.messages[-2].message_id]


async def test_an_approved_email_is_scheduled_and_its_receipt_gives_local_time_zone_and_utc(
    steady: Steady, era: Era
) -> None:
    async with open_office(era=era, demo=False) as office:
        answer = await office.call("schedule_email", **SCHEDULED)
        assert steady(answer) == snapshot(
            {
                "status": "scheduled",
                "to": "dana@helix.example",
                "subject": "Offer",
                "scheduled_id": "<1>",
                "local_time": "2026-11-18T17:00+01:00",
                "zone": "Europe/Berlin",
                "utc_time": "2026-11-18T16:00+00:00",
            }
        )
        assert office.person.cards == snapshot(
            [
                """\
Schedule this email?
! First contact: dana@helix.example

To: dana@helix.example (first contact)
Subject: Offer
Conversation: a new conversation
Leaves: Wednesday 18 November 2026, 17:00 (Europe/Berlin), 2026-11-18 16:00 UTC
Message:
│ Here it is.\
"""
            ]
        )
        assert sends(office) == snapshot(
            [
                {
                    "to": ["dana@helix.example"],
                    "subject": "Offer",
                    "bodyText": "Here it is.",
                    "scheduledFor": "2026-11-18T16:00:00Z",
                }
            ]
        )
        (waiting,) = (await office.call("list_scheduled"))["scheduled"]
        assert waiting["scheduled_id"] == answer["scheduled_id"]
        assert (await office.call("list_threads", folder="sent"))["threads"] == []
        office.clock.advance(hours=7)
        assert len((await office.call("list_threads", folder="sent"))["threads"]) == 1


@pytest.mark.parametrize("answer", ["decline", "cancel"])
@pytest.mark.parametrize(("tool", "arguments"), [("send_email", MESSAGE), ("schedule_email", SCHEDULED)])
async def test_nothing_is_sent_without_a_yes(tool: str, arguments: dict[str, Any], answer: Any, era: Era) -> None:
    async with open_office(era=era, demo=False, person=Person(answer=answer)) as office:
        refusal = await office.refusal(tool, **arguments)
        assert refusal.startswith("declined: The user said no" if answer == "decline" else "nobody_asked: Nobody")
        assert len(office.person.cards) == 1
        assert sends(office) == []


async def test_where_nobody_can_be_asked_nothing_happens_and_the_words_say_so(era: Era) -> None:
    async with open_office(era=era, asks=False) as office:
        thread_id = await office.find("Kestrel Parts agreement")
        scheduled_id = (await office.call("list_scheduled"))["scheduled"][0]["scheduled_id"]
        for tool, arguments in (
            ("cancel_scheduled", {"scheduled_id": scheduled_id}),
            ("delete_threads", {"thread_ids": [thread_id]}),
            ("unlink_crm_record", {"thread_id": thread_id, "record_type": "opportunity", "record_id": "kestrel-hub"}),
            ("bulk_update_threads", {"plan": [
                {"action": "read", "thread_ids": [thread_id]}, {"action": "delete", "thread_ids": [thread_id]}
            ]}),
        ):  # fmt: skip
            assert await office.refusal(tool, **arguments) == (
                "nobody_asked: Nobody decided and nothing happened, as the question reached no one or was closed: "
                "tell the user what you wanted to do and how they can do it themselves."
            )
        assert office.wire.writes() == []


@pytest.mark.parametrize("name", ["approved", "confirm", "force", "skip_approval", "decision", "approval"])
async def test_no_argument_approves_anything(name: str) -> None:
    async with open_office(demo=False, person=Person(answer="decline")) as office:
        for tool, arguments in (("send_email", MESSAGE), ("schedule_email", SCHEDULED)):
            refusal = await office.refusal(tool, **arguments, **{name: True})
            assert refusal.startswith(f"invalid_arguments: {tool} has no argument {name!r}")
        assert office.wire.writes() == []
        assert office.person.cards == []


async def test_a_draft_is_sent_by_its_id_alone(era: Era, steady: Steady) -> None:
    async with open_office(era=era, demo=False) as office:
        draft = await office.call("save_draft", **MESSAGE, cc=["lee@helix.example"], bcc=["ruth@helix.example"])
        answer = await office.call("send_email", draft_id=draft["draft_id"])
        assert steady(sends(office)) == snapshot(
            [
                {
                    "to": ["dana@helix.example"],
                    "cc": ["lee@helix.example"],
                    "bcc": ["ruth@helix.example"],
                    "subject": "Offer",
                    "bodyText": "Here it is.",
                    "draftId": "<1>",
                }
            ]
        )
        assert (answer["status"], answer["to"]) == ("sent", "dana@helix.example")
        assert (await office.call("list_threads", folder="drafts"))["threads"] == []


async def test_a_draft_in_a_thread_is_sent_into_it() -> None:
    async with open_office() as office:
        thread_id = await office.find("Leipzig pilot results")
        draft = await office.call("save_draft", thread_id=thread_id, body="EUR 1,857,600.")
        answer = await office.call("schedule_email", draft_id=draft["draft_id"], send_at="2026-11-18T17:00")
        assert (answer["thread_id"], answer["to"], answer["subject"]) == (thread_id, draft["to"], draft["subject"])
        assert "In reply to: Leipzig pilot" in office.person.cards[0]


async def test_the_card_shows_what_the_readers_of_an_html_draft_will_read() -> None:
    async with open_office(demo=False) as office:
        html = "<p>Dear Dana,</p><p>Costs: <b>10</b></p>"
        draft = office.store.save_draft(
            office.user_id, SaveDraft(to=["dana@helix.example"], subject="Offer", body_text="old words", body_html=html)
        )
        await office.call("send_email", draft_id=draft.id)
        assert "Costs: 10" in office.person.cards[0]
        assert "old words" not in office.person.cards[0]
        assert sends(office)[0]["bodyHtml"] == html
        assert "old words" not in str(sends(office))


async def test_what_is_sent_is_what_was_shown_though_the_draft_changed_meanwhile(era: Era) -> None:
    person = Person()
    async with open_office(era=era, demo=False, person=person) as office:
        draft_id = (await office.call("save_draft", **MESSAGE))["draft_id"]

        def someone_edits_it() -> None:
            office.store.save_draft(
                office.user_id, SaveDraft(id=draft_id, to=["eve@evil.test"], body_text="Pay eve instead.")
            )

        person.meanwhile = someone_edits_it
        await office.call("send_email", draft_id=draft_id)
        (sent,) = sends(office)
        last_card = office.person.cards[-1]
        assert sent["to"][0] in last_card
        assert sent["bodyText"] in last_card


BAD_MESSAGES: list[tuple[dict[str, Any], str]] = [
    ({}, "The message has no recipient: give to, or the thread_id"),
    ({"to": []}, "The message has no recipient"),
    ({"to": ["dana@helix.example"]}, "The message has no text: give body"),
    ({"to": ["dana@helix.example"], "body": " \n "}, "The message has no text: give body"),
    ({**MESSAGE, "subject": "a\nb"}, "The subject holds a line break"),
    ({**MESSAGE, "body": "x" * 10_000_000}, "The body is longer than 1,000,000 characters"),
    ({**MESSAGE, "to": ["dana@helix.example\nbcc: eve@evil.test"]}, "is not an address to write to"),
    ({**MESSAGE, "cc": [f"d{n}@helix.example" for n in range(100)]}, "more than 100 recipients"),
    ({**MESSAGE, "when": "now"}, "has no argument 'when'"),
]


@pytest.mark.parametrize("tool", ["send_email", "schedule_email"])
async def test_a_bad_message_is_refused_before_anyone_is_asked(tool: str) -> None:
    when = {"send_at": "2026-11-23T09:00"} if tool == "schedule_email" else {}
    async with open_office(demo=False) as office:
        for arguments, words in BAD_MESSAGES:
            refusal = await office.refusal(tool, **arguments, **when)
            assert refusal.startswith("invalid_arguments: ")
            assert words in refusal
            assert len(refusal) < 400
        assert office.wire.writes() == []
        assert office.person.cards == []


BAD_TIMES: list[tuple[str, str]] = [
    ("2026-11-18T09:59", "is past, it is now 2026-11-18T10:00+01:00"),
    ("2020-01-01T00:00Z", "is past"),
    ("2027-03-28T02:30", "does not exist in Europe/Berlin"),
    ("tomorrow", "is not an ISO 8601 time"),
    ("2026-11-23", "is not an ISO 8601 time"),
    ("9999-12-31T23:59-12:00", "outside the years"),
]


async def test_a_time_that_cannot_be_meant_is_refused_before_anyone_is_asked() -> None:
    async with open_office(demo=False) as office:
        for send_at, words in BAD_TIMES:
            refusal = await office.refusal("schedule_email", **{**SCHEDULED, "send_at": send_at})
            assert refusal.startswith("invalid_arguments: The time") or "is not an ISO" in refusal
            assert words in refusal
            assert office.person.cards == []
            assert office.wire.writes() == []


async def test_without_a_zone_a_time_needs_its_offset_and_utc_is_shown() -> None:
    async with open_office(demo=False, settings={"SALESOS_TIMEZONE": ""}) as office:
        refusal = await office.refusal("schedule_email", **SCHEDULED)
        assert "has no offset and no SALESOS_TIMEZONE is set: add the offset, such as +01:00 or Z" in refusal
        answer = await office.call("schedule_email", **{**SCHEDULED, "send_at": "2026-11-18T17:00+01:00"})
        assert (answer["local_time"], answer["zone"], answer["utc_time"]) == (
            "2026-11-18T16:00+00:00",
            "UTC",
            "2026-11-18T16:00+00:00",
        )


@pytest.mark.parametrize(("era", "page"), [("auto", False), ("legacy", False), ("auto", True), ("legacy", True)])
async def test_a_time_that_passed_while_the_person_thought_sends_nothing(era: Era, page: bool) -> None:
    async with open_office(demo=False, era=era, asks=not page, page=page, person=Person(seconds=100)) as office:
        refusal = await office.refusal("schedule_email", **{**SCHEDULED, "send_at": "2026-11-18T10:01"})
        assert refusal.startswith(("invalid_arguments: ", "expired: "))
        assert office.wire.writes() == []
        assert (await office.call("list_scheduled"))["scheduled"] == []
        assert (await office.call("list_threads", folder="sent"))["threads"] == []


async def test_a_scheduled_email_is_cancelled_after_a_yes(steady: Steady, era: Era) -> None:
    async with open_office(era=era) as office:
        first, second = (await office.call("list_scheduled"))["scheduled"]
        answer = await office.call("cancel_scheduled", scheduled_id=first["scheduled_id"])
        assert steady(answer) == snapshot(
            {
                "status": "cancelled",
                "to": "camille@atelier-dubois.example",
                "subject": "Re: Démonstration à Lyon : suite",
                "scheduled_id": "<1>",
                "local_time": "2026-11-19T09:00+01:00",
                "zone": "Europe/Berlin",
                "utc_time": "2026-11-19T08:00+00:00",
            }
        )
        assert steady(office.person.cards) == snapshot(
            [
                """\
Cancel this scheduled email?
To: camille@atelier-dubois.example
Subject: Re: Démonstration à Lyon : suite
Would leave: Thursday 19 November 2026, 09:00 (Europe/Berlin), 2026-11-19 08:00 UTC\
"""
            ]
        )
        assert (await office.call("list_scheduled"))["scheduled"] == [second]
        refusal = await office.refusal("cancel_scheduled", scheduled_id=first["scheduled_id"])
        assert refusal.startswith("not_found: There is no scheduled message")


@pytest.mark.parametrize("answer", ["decline", "cancel"])
async def test_without_a_yes_a_scheduled_email_stays(answer: Any, era: Era) -> None:
    async with open_office(era=era, person=Person(answer=answer)) as office:
        first, _ = (await office.call("list_scheduled"))["scheduled"]
        await office.refusal("cancel_scheduled", scheduled_id=first["scheduled_id"])
        assert office.wire.writes() == []


async def test_a_scheduled_email_that_left_while_the_person_thought_is_not_said_to_be_cancelled(era: Era) -> None:
    async with open_office(era=era, person=Person(seconds=100)) as office:
        answer = await office.call("schedule_email", **{**SCHEDULED, "send_at": "2026-11-18T10:03"})
        refusal = await office.refusal("cancel_scheduled", scheduled_id=answer["scheduled_id"])
        assert refusal.startswith(("conflict: ", "not_found: "))


async def test_a_scheduled_email_of_another_user_is_not_found() -> None:
    store = Store(clock=Clock())
    other = store.add_user("eve@northwind.example")
    receipt = store.schedule(
        other, SendEmail(to=["x@helix.example"], subject="s", body_text="b", scheduled_for=NOW + timedelta(days=1))
    )
    async with open_office(store=store, user=USER) as office:
        assert (await office.refusal("cancel_scheduled", scheduled_id=receipt.id)).startswith("not_found: ")
        assert (await office.call("list_scheduled"))["scheduled"] == []
        assert office.wire.writes() == []
        assert office.person.cards == []


NO_IDS: list[str] = ["", "a\nb", "\ud800", "x" * 1_000_000, ".."]


async def test_what_cannot_be_a_scheduled_id_is_refused() -> None:
    async with open_office() as office:
        for scheduled_id in NO_IDS:
            refusal = await office.refusal("cancel_scheduled", scheduled_id=scheduled_id)
            assert refusal.startswith("invalid_arguments: scheduled_id must be an id")
            assert office.wire.requests == []


async def test_a_queued_message_is_said_to_be_queued(interpose: Interpose) -> None:
    async with open_office(demo=False) as office:
        interpose(
            office,
            lambda method, path, response: httpx.Response(201, json={"status": "QUEUED"}) if path == "/send" else None,
        )
        assert (await office.call("send_email", **MESSAGE))["status"] == "queued"


# What is shown is what leaves

HIDDEN = "".join(chr(0xE0000 + ord(letter)) for letter in "the secret") + "\u200b\u202e"


async def test_what_a_person_cannot_see_does_not_leave(era: Era) -> None:
    async with open_office(era=era, demo=False) as office:
        await office.call("send_email", to=["eve@evil.example"], subject=f"Hi{HIDDEN}", body=f"Hello{HIDDEN}")
        [body] = sends(office)
        assert (body["subject"], body["bodyText"]) == ("Hi", "Hello")


async def test_hidden_parts_of_a_drafts_html_do_not_leave(era: Era) -> None:
    async with open_office(era=era, demo=False) as office:
        html = '<p>Hello</p><p style="display:none">the secret</p>'
        draft = office.store.save_draft(office.user_id, SaveDraft(to=["eve@evil.example"], subject="x", body_html=html))
        await office.call("send_email", draft_id=draft.id)
        [body] = sends(office)
        assert "secret" not in body["bodyHtml"] + body["bodyText"]
        assert body["bodyHtml"] == "Hello"


async def test_a_drafts_html_that_can_all_be_seen_leaves_as_it_is() -> None:
    async with open_office(demo=False) as office:
        html = "<p>Hello <b>Dana</b></p>"
        draft = office.store.save_draft(
            office.user_id, SaveDraft(to=["dana@helix.example"], subject="x", body_html=html)
        )
        await office.call("send_email", draft_id=draft.id)
        assert sends(office)[0]["bodyHtml"] == html


async def test_html_that_was_changed_while_the_person_thought_is_asked_about_anew() -> None:
    person = Person()
    async with open_office(demo=False, person=person) as office:
        draft = office.store.save_draft(
            office.user_id, SaveDraft(to=["dana@helix.example"], subject="x", body_html="<p>Hello</p>")
        )

        def change() -> None:
            bold = SaveDraft(id=draft.id, body_html="<p><b>Hello</b></p>")
            office.store.save_draft(office.user_id, bold)

        person.meanwhile = change
        await office.call("send_email", draft_id=draft.id)
        assert len(person.cards) == 2


async def test_a_name_that_does_not_leave_is_not_on_the_card() -> None:
    async with open_office(demo=False) as office:
        imitation = '"Ann <ann@acme.example> (in this thread)" <eve@evil.example>'
        answer = await office.call("send_email", to=[imitation], subject="x", body="x")
        assert "ann@acme.example" not in office.person.cards[0]
        assert answer["to"] == "eve@evil.example"


async def test_letters_that_look_alike_are_shown_in_both_spellings() -> None:
    async with open_office(demo=False) as office:
        await office.call("send_email", to=["ann@\u0430cme.example"], subject="x", body="x")
        assert "ann@\u0430cme.example = ann@xn--cme-5cd.example" in office.person.cards[0]


async def test_a_stranger_at_the_same_free_mail_provider_is_a_stranger() -> None:
    async with open_office(demo=False, user="maya@gmail.com") as office:
        await office.call("send_email", to=["stranger@gmail.com"], subject="x", body="x")
        assert "! First contact: stranger@gmail.com" in office.person.cards[0]


# Receipts


@pytest.mark.parametrize(
    ("receipt", "told"),
    [({"status": "SENT"}, "sent"), ({"status": "QUEUED"}, "queued"), ({"id": "m"}, "queued"), ({}, "sent")],
)
async def test_a_send_claims_what_its_receipt_says_and_what_it_finds_where_that_says_nothing(
    receipt: dict[str, Any], told: str
) -> None:
    async with open_office(demo=False) as office:
        office.wire.lose, office.wire.instead = "answer", (201, receipt)
        assert (await office.call("send_email", **MESSAGE))["status"] == told


@pytest.mark.parametrize(
    "receipt", [{"status": "FAILED"}, {"status": "DRAFT"}, {"status": "SCHEDULED"}, {"success": False}]
)
async def test_a_receipt_that_does_not_say_sent_is_no_proof_of_it(receipt: dict[str, Any]) -> None:
    async with open_office(demo=False) as office:
        office.wire.lose, office.wire.instead = "request", (201, receipt)
        assert (await office.refusal("send_email", **MESSAGE)).startswith("outcome_unknown: ")


UNCONFIRMED: list[dict[str, Any]] = [
    {}, {"status": "SCHEDULED"}, {"id": "c1", "status": "SENT"}, {"id": "c1", "success": False}
]  # fmt: skip


@pytest.mark.parametrize("receipt", UNCONFIRMED)
async def test_nothing_is_called_scheduled_that_was_neither_confirmed_nor_found(receipt: dict[str, Any]) -> None:
    async with open_office(demo=False) as office:
        office.wire.lose, office.wire.instead = "request", (201, receipt)
        assert (await office.refusal("schedule_email", **SCHEDULED)).startswith("outcome_unknown: ")
        office.clock.advance(minutes=2)
        office.wire.lose = "answer"
        answer = await office.call("schedule_email", **SCHEDULED)
        (waiting,) = (await office.call("list_scheduled"))["scheduled"]
        assert (answer["status"], answer["scheduled_id"]) == ("scheduled", waiting["scheduled_id"])


# The same message again


def warnings(card: str) -> list[str]:
    """Return the lines of a card that warn."""
    return [line for line in card.splitlines() if line.startswith("! ")]


async def test_the_same_message_within_a_day_is_answered_with_what_became_of_it(steady: Steady, era: Era) -> None:
    async with open_office(era=era, demo=False) as office:
        first = await office.call("send_email", **MESSAGE)
        office.clock.advance(hours=23)
        again = await office.call("send_email", **{**MESSAGE, "to": ["dana@helix.example"]})
        assert steady(again) == snapshot(
            {
                "status": "already_sent",
                "to": "dana@helix.example",
                "subject": "Offer",
                "thread_id": "<1>",
                "note": "This very message was sent before (2026-11-18T10:00+01:00), and nothing was sent now. If the user asks to send it again, call with send_again.",
            }
        )
        assert again["thread_id"] == first["thread_id"]
        assert (len(office.person.cards), len(sends(office))) == (1, 1)


async def test_after_a_day_the_same_message_is_asked_about_anew() -> None:
    store = Store(clock=(clock := Clock()))
    key = store.add_api_key(store.add_user(USER))  # as a token lives for a day
    async with open_office(store=store, user=USER, clock=clock, settings={"SALESOS_API_KEY": key}) as office:
        await office.call("send_email", **MESSAGE)
        office.clock.advance(hours=25)
        assert (await office.call("send_email", **MESSAGE))["status"] == "sent"
        assert (len(office.person.cards), len(sends(office))) == (2, 2)


async def test_a_second_sending_is_asked_about_on_a_card_that_says_so(era: Era) -> None:
    async with open_office(era=era, demo=False) as office:
        await office.call("send_email", **MESSAGE)
        again = await office.call("send_email", **MESSAGE, send_again=True)
        assert again["status"] == "sent"
        first, second = office.wire.marks
        assert first != second, "the service must not take it for a repeat"
        assert office.person.cards[1].startswith("Send this email again?\n")
        assert warnings(office.person.cards[1]) == snapshot(
            [
                "! This very message was sent before (on Wednesday 18 November at 10:00): approving sends it a second time."
            ]
        )


async def test_a_second_sending_that_is_declined_sends_nothing_and_leaves_the_receipt(era: Era) -> None:
    async with open_office(era=era, demo=False) as office:
        first = await office.call("send_email", **MESSAGE)
        office.person.answer = "decline"
        assert (await office.refusal("send_email", **MESSAGE, send_again=True)).startswith("declined: ")
        again = await office.call("send_email", **MESSAGE)
        assert (again["status"], again["thread_id"]) == ("already_sent", first["thread_id"])
        assert len(sends(office)) == 1


async def test_a_reply_that_is_called_twice_is_sent_once_though_it_is_the_threads_last_message_by_then(
    era: Era,
) -> None:
    async with open_office(era=era) as office:
        reply = {"thread_id": await office.find("Leipzig pilot results"), "body": "EUR 1,857,600.", "reply_all": True}
        first = await office.call("send_email", **reply)
        again = await office.call("send_email", **reply)
        assert (again["status"], again["to"], again["thread_id"]) == ("already_sent", first["to"], reply["thread_id"])
        assert (len(office.person.cards), len(sends(office))) == (1, 1)


@pytest.mark.parametrize("arguments", [{}, {"subject": "The offer"}])
async def test_a_draft_that_is_sent_twice_by_its_id_leaves_once(arguments: dict[str, str], era: Era) -> None:
    async with open_office(era=era, demo=False) as office:
        draft_id = (await office.call("save_draft", **MESSAGE))["draft_id"]
        first = await office.call("send_email", draft_id=draft_id, **arguments)
        again = await office.call("send_email", draft_id=draft_id, **arguments)
        assert (again["status"], again["thread_id"]) == ("already_sent", first["thread_id"])
        assert (len(office.person.cards), len(sends(office))) == (1, 1)


@pytest.mark.parametrize(
    "other", [{"to": ["lee@helix.example"]}, {"cc": ["lee@helix.example"]}, {"subject": "Offer 2"}, {"body": "Here."}]
)
async def test_what_differs_in_anything_is_another_message(other: dict[str, Any]) -> None:
    async with open_office(demo=False) as office:
        await office.call("send_email", **MESSAGE)
        assert (await office.call("send_email", **{**MESSAGE, **other}))["status"] == "sent"
        assert (len(office.person.cards), len(sends(office))) == (2, 2)
        assert not office.person.cards[1].startswith("Send this email again?")


async def test_the_same_email_for_the_same_time_is_scheduled_once(steady: Steady, era: Era) -> None:
    async with open_office(era=era, demo=False) as office:
        first = await office.call("schedule_email", **SCHEDULED)
        again = await office.call("schedule_email", **{**SCHEDULED, "send_at": "2026-11-18T16:00Z"})
        assert steady(again) == snapshot(
            {
                "status": "already_scheduled",
                "scheduled_id": "<1>",
                "to": "dana@helix.example",
                "subject": "Offer",
                "local_time": "2026-11-18T17:00+01:00",
                "zone": "Europe/Berlin",
                "utc_time": "2026-11-18T16:00+00:00",
                "note": "This very message was scheduled before (2026-11-18T10:00+01:00), and nothing was sent now. If the user asks to send it again, call with send_again.",
            }
        )
        assert again["scheduled_id"] == first["scheduled_id"]
        other = await office.call("schedule_email", **{**SCHEDULED, "send_at": "2026-11-18T18:00"})
        assert other["status"] == "scheduled"
        assert (len(office.person.cards), len(sends(office))) == (2, 2)


async def test_calls_in_parallel_send_one_message_and_ask_once(era: Era) -> None:
    async with open_office(era=era, demo=False) as office:
        answers: list[str] = []

        async def send() -> None:
            answers.append((await office.call("send_email", **MESSAGE))["status"])

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(send)
        assert sorted(answers) == ["already_sent"] * 4 + ["sent"]
        assert len(sends(office)) == 1


async def test_the_same_message_is_known_again_after_a_restart(tmp_path: Path, era: Era) -> None:
    for status in ("sent", "already_sent"):
        store = Store(tmp_path / "mail.sqlite3", clock=Clock())
        async with open_office(era=era, store=store, user=USER, ledger=Ledger(tmp_path / "ledger.sqlite3")) as office:
            assert (await office.call("send_email", **MESSAGE))["status"] == status


async def test_a_scheduled_email_that_was_cancelled_can_be_scheduled_again() -> None:
    async with open_office(demo=False) as office:
        first = await office.call("schedule_email", **SCHEDULED)
        await office.call("cancel_scheduled", scheduled_id=first["scheduled_id"])
        again = await office.call("schedule_email", **SCHEDULED)
        assert again["status"] == "scheduled"
        (waiting,) = (await office.call("list_scheduled"))["scheduled"]
        assert waiting["scheduled_id"] == again["scheduled_id"]


# Answers that never came

ALLOWED = {"SALESOS_POLICY": "send=allow"}
UNDO = {"SALESOS_UNDO_SECONDS": "30"}


@pytest.mark.parametrize("instead", [None, (500, {}), (502, {}), (503, {}), (200, "<html>")])
async def test_a_message_whose_answer_was_lost_is_found_by_the_very_call(instead: Any, era: Era) -> None:
    async with open_office(era=era, demo=False) as office:
        office.wire.lose, office.wire.instead = "answer", instead
        answer = await office.call("send_email", **MESSAGE)
        (sent,) = (await office.call("list_threads", folder="sent"))["threads"]
        assert (answer["status"], answer["thread_id"]) == ("sent", sent["thread_id"])
        assert (await office.call("send_email", **MESSAGE))["status"] == "already_sent"
        assert (len(office.person.cards), len(sends(office))) == (1, 1)


async def test_a_scheduled_email_whose_answer_was_lost_is_found_with_its_id() -> None:
    async with open_office(demo=False) as office:
        office.wire.lose = "answer"
        answer = await office.call("schedule_email", **SCHEDULED)
        (waiting,) = (await office.call("list_scheduled"))["scheduled"]
        assert (answer["status"], answer["scheduled_id"]) == ("scheduled", waiting["scheduled_id"])


async def test_a_draft_whose_sending_lost_its_answer_is_found_sent() -> None:
    async with open_office(demo=False) as office:
        draft_id = (await office.call("save_draft", **MESSAGE))["draft_id"]
        office.wire.lose = "answer"
        assert (await office.call("send_email", draft_id=draft_id))["status"] == "sent"
        assert (await office.call("send_email", draft_id=draft_id))["status"] == "already_sent"
        assert len(sends(office)) == 1


async def test_an_outcome_that_cannot_be_known_yet_is_not_repeated_until_it_is_known(era: Era) -> None:
    async with open_office(era=era, demo=False) as office:
        office.wire.lose = "request"
        refusal = await office.refusal("send_email", **MESSAGE)
        assert refusal.startswith("outcome_unknown: ")
        assert refusal.endswith("the same call in a minute looks for it, and sends nothing twice.")

        office.wire.lose = None
        office.clock.advance(seconds=30)
        assert await office.refusal("send_email", **MESSAGE) == snapshot(
            "outcome_unknown: This message was tried before (2026-11-18T10:00+01:00) and no usable answer came; looking for it, it was not seen yet, and SalesOS may still be filing it. Nothing was sent now: the same call in a minute looks again; use send_again only if the user wants it sent all the same."
        )
        assert (len(office.person.cards), len(sends(office))) == (1, 1)

        office.clock.advance(seconds=31)
        assert (await office.call("send_email", **MESSAGE))["status"] == "sent"
        assert office.person.cards[1].startswith("Send this email again?\n")
        assert warnings(office.person.cards[1]) == snapshot(
            [
                "! This very message was tried before (on Wednesday 18 November at 10:00) without an answer; it is not among the sent mail.",
                "! First contact: dana@helix.example",
            ]
        )
        first, second = office.wire.marks
        assert first == second != (None, None), "a service that knows the key sends it once"
        assert first[0] == first[1]
        assert (await office.call("send_email", **MESSAGE))["status"] == "already_sent"


@pytest.mark.parametrize("status", [402, 408, 409, 423, 499])
async def test_a_refusal_that_does_not_prove_that_nothing_left_is_no_failure(status: int) -> None:
    async with open_office(demo=False, settings=ALLOWED) as office:
        office.wire.lose, office.wire.instead = "answer", (status, {"statusCode": status, "message": "In progress"})
        assert (await office.call("send_email", **MESSAGE))["status"] == "sent", "it is found at once"
        office.wire.lose = office.wire.instead = None
        assert (await office.call("send_email", **MESSAGE))["status"] == "already_sent"
        assert len(await office.thread_ids("sent")) == 1


async def test_a_plain_failure_does_not_hide_an_earlier_attempt_in_doubt() -> None:
    async with open_office(demo=False, settings=ALLOWED) as office:
        office.wire.lose = "request"
        await office.refusal("send_email", **MESSAGE)
        office.clock.advance(seconds=70)
        office.wire.lose, office.wire.instead = "request", (422, {"statusCode": 422, "message": ["subject is odd"]})
        assert (await office.refusal("send_email", **MESSAGE)).startswith("invalid_arguments: ")
        office.wire.lose = office.wire.instead = None
        assert (await office.call("send_email", **MESSAGE))["status"] == "sent"
        assert [card.partition("\n")[0] for card in office.person.cards] == ["Send this email again?"] * 2
        assert len(set(office.wire.marks)) == 1, "each attempt carries the first one's key"


@pytest.mark.parametrize(
    ("tool", "change"),
    [
        ("send_email", {"body": MESSAGE["body"] + "\n"}),
        ("send_email", {"to": ["DANA@helix.example"]}),
        ("schedule_email", {"send_at": "2026-11-18T12:00:00+01:00"}),
    ],
)
async def test_a_message_much_like_one_in_doubt_is_held_back_too(tool: str, change: dict[str, Any]) -> None:
    async with open_office(demo=False, settings=ALLOWED) as office:
        office.wire.lose = "request"
        await office.refusal("send_email", **MESSAGE)
        office.wire.lose = None
        assert (await office.refusal(tool, **{**MESSAGE, **change})).startswith("outcome_unknown: ")
        assert (office.person.cards, len(sends(office))) == ([], 1)
        await office.call(tool, **{**MESSAGE, **change}, send_again=True)
        assert "was tried before" in warnings(office.person.cards[0])[0]


async def test_a_cancellation_whose_answer_is_lost_is_known_by_what_is_left() -> None:
    async with open_office(demo=False) as office:
        first = await office.call("schedule_email", **SCHEDULED)
        with losing_the_answer_to(office, "DELETE"):
            await office.call("cancel_scheduled", scheduled_id=first["scheduled_id"])
        assert (await office.call("schedule_email", **SCHEDULED))["status"] == "scheduled"


async def test_a_message_taken_back_is_kept_though_the_answer_is_lost() -> None:
    async with open_office(demo=False, settings=UNDO) as office:
        undo_id = (await office.call("send_email", **MESSAGE))["undo_id"]
        with losing_the_answer_to(office, "DELETE"):
            await office.call("undo_change", undo_id=undo_id)
        assert (len(await office.thread_ids("drafts")), await office.thread_ids("sent")) == (1, [])
        assert (await office.call("send_email", **MESSAGE))["status"] == "scheduled"


async def test_what_waits_to_leave_hands_out_its_undo_id_again() -> None:
    async with open_office(demo=False, settings=UNDO) as office:
        first = await office.call("send_email", **MESSAGE)
        again = await office.call("send_email", **MESSAGE)
        assert (again["status"], again["undo_id"]) == ("already_sent", first["undo_id"])
        office.clock.advance(seconds=31)
        later = await office.call("send_email", **MESSAGE)
        assert "undo_id" not in later
        assert "was sent before" in later["note"]


@contextmanager
def losing_the_answer_to(office: Office, method: str) -> Generator[None]:
    """Have the service do what requests of `method` ask, and their answers lost."""
    served = office.wire.app

    async def losing(scope: Any, receive: Any, send: Any) -> None:
        await served(scope, receive, send)
        if scope["method"] == method:
            raise httpx.ReadError("the answer is lost")

    office.wire.app = losing
    try:
        yield
    finally:
        office.wire.app = served


async def test_a_message_lost_again_and_again_keeps_its_key() -> None:
    async with open_office(demo=False) as office:
        office.wire.lose = "request"
        for _ in range(3):
            await office.refusal("send_email", **MESSAGE)
            office.clock.advance(seconds=70)
        assert len(office.wire.marks) == 3
        assert len(set(office.wire.marks)) == 1


async def test_a_message_found_not_sent_is_not_sent_after_a_no() -> None:
    async with open_office(demo=False) as office:
        office.wire.lose = "request"
        await office.refusal("send_email", **MESSAGE)
        office.clock.advance(seconds=70)
        office.wire.lose, office.person.answer = None, "decline"
        assert (await office.refusal("send_email", **MESSAGE)).startswith("declined: ")
        assert len(sends(office)) == 1


async def test_only_a_person_has_a_message_of_unknown_outcome_sent_again(era: Era) -> None:
    async with open_office(era=era, demo=False) as office:
        office.wire.lose = "request"
        await office.refusal("send_email", **MESSAGE)
        office.wire.lose, office.person.answer = None, "decline"
        assert (await office.refusal("send_email", **MESSAGE, send_again=True)).startswith("declined: ")
        assert warnings(office.person.cards[1]) == snapshot(
            [
                "! This very message was tried before (on Wednesday 18 November at 10:00) without an answer, and whether it left is not known: approving may send it a second time.",
                "! First contact: dana@helix.example",
            ]
        )
        office.person.answer = "approve"
        assert (await office.call("send_email", **MESSAGE, send_again=True))["status"] == "sent"
        assert len(sends(office)) == 2
        assert len(set(office.wire.marks)) == 1


async def test_a_policy_that_allows_sending_does_not_allow_a_repeat_of_unknown_outcome(era: Era) -> None:
    async with open_office(era=era, demo=False, settings={"SALESOS_POLICY": "send=allow"}) as office:
        office.wire.lose = "request"
        await office.refusal("send_email", **MESSAGE)
        assert office.person.cards == []
        office.wire.lose, office.person.answer = None, "decline"
        office.clock.advance(seconds=70)
        assert (await office.refusal("send_email", **MESSAGE)).startswith("declined: ")
        assert (await office.refusal("send_email", **MESSAGE, send_again=True)).startswith("declined: ")
        assert len(office.person.cards) == 2
        assert len(sends(office)) == 1


async def test_an_unknown_outcome_is_looked_up_after_a_restart(tmp_path: Path, era: Era) -> None:
    clock = Clock()

    def restarted() -> AbstractAsyncContextManager[Office]:
        store = Store(tmp_path / "mail.sqlite3", clock=clock)
        return open_office(era=era, store=store, user=USER, clock=clock, ledger=Ledger(tmp_path / "ledger.sqlite3"))

    async with restarted() as office:
        office.wire.lose = "request"
        await office.refusal("send_email", **MESSAGE)
        [key] = office.wire.marks
    async with restarted() as office:
        assert (await office.refusal("send_email", **MESSAGE)).startswith("outcome_unknown: This message was tried")
        office.clock.advance(seconds=70)
        assert (await office.call("send_email", **MESSAGE))["status"] == "sent"
        assert office.wire.marks == [key]


# The undo window


async def test_with_an_undo_window_a_message_waits_and_says_how_it_is_taken_back(steady: Steady, era: Era) -> None:
    async with open_office(era=era, demo=False, settings=UNDO) as office:
        answer = await office.call("send_email", **MESSAGE)
        assert steady(answer) == snapshot(
            {
                "status": "scheduled",
                "to": "dana@helix.example",
                "subject": "Offer",
                "undo_id": "<1>",
                "note": "It leaves in 30 seconds; until then undo_change takes it back.",
            }
        )
        assert "Leaves: in 30 seconds; it can be taken back until then" in office.person.cards[0].splitlines()
        assert await office.thread_ids("sent") == []
        office.clock.advance(seconds=31)
        assert len(await office.thread_ids("sent")) == 1
        assert (await office.call("send_email", **MESSAGE))["status"] == "already_sent"


async def test_a_message_taken_back_is_kept_as_a_draft_with_all_it_said(steady: Steady, era: Era) -> None:
    message = {**MESSAGE, "cc": ["lee@helix.example"], "bcc": ["ruth@helix.example"]}
    async with open_office(era=era, demo=False, settings=UNDO) as office:
        undo_id = (await office.call("send_email", **message))["undo_id"]
        undone = await office.call("undo_change", undo_id=undo_id)
        assert steady(undone) == snapshot(
            {
                "results": [
                    {
                        "action": "take back",
                        "outcome": "done",
                        "thread_ids": [],
                        "reason": "It did not leave; its text is kept as draft '<1>', without formatting or files.",
                    }
                ]
            }
        )
        office.clock.advance(minutes=5)
        assert await office.thread_ids("sent") == []
        [thread_id] = await office.thread_ids("drafts")
        [draft] = office.store.thread(office.user_id, thread_id).messages
        assert (draft.to_emails, draft.cc_emails, draft.bcc_emails, draft.subject, draft.body_text) == (
            ["dana@helix.example"],
            ["lee@helix.example"],
            ["ruth@helix.example"],
            "Offer",
            "Here it is.",
        )
        assert draft.id in undone["results"][0]["reason"]


async def test_a_reply_taken_back_is_a_draft_in_its_thread() -> None:
    async with open_office(settings=UNDO) as office:
        thread_id = await office.find("Leipzig pilot results")
        undo_id = (await office.call("send_email", thread_id=thread_id, body="EUR 1,857,600."))["undo_id"]
        await office.call("undo_change", undo_id=undo_id)
        last = office.store.thread(office.user_id, thread_id).messages[-1]
        assert (last.status, last.body_text) == ("DRAFT", "EUR 1,857,600.")


async def test_the_draft_that_a_message_was_made_from_is_there_again_once_it_is_taken_back() -> None:
    async with open_office(demo=False, settings=UNDO) as office:
        draft_id = (await office.call("save_draft", **MESSAGE))["draft_id"]
        undo_id = (await office.call("send_email", draft_id=draft_id))["undo_id"]
        await office.call("undo_change", undo_id=undo_id)
        [thread_id] = await office.thread_ids("drafts")
        [draft] = office.store.thread(office.user_id, thread_id).messages
        assert (draft.to_emails, draft.subject, draft.body_text) == (["dana@helix.example"], "Offer", "Here it is.")


async def test_a_message_that_has_left_cannot_be_taken_back_and_it_is_said() -> None:
    async with open_office(demo=False, settings=UNDO) as office:
        undo_id = (await office.call("send_email", **MESSAGE))["undo_id"]
        office.clock.advance(seconds=31)
        assert await office.refusal("undo_change", undo_id=undo_id) == snapshot(
            "conflict: Too late, nothing was taken back: the message has left or was cancelled; list_threads folder=sent shows what has left."
        )
        assert len(await office.thread_ids("sent")) == 1
        assert await office.thread_ids("drafts") == []


async def test_a_message_taken_back_can_be_sent_after_all() -> None:
    async with open_office(demo=False, settings=UNDO) as office:
        undo_id = (await office.call("send_email", **MESSAGE))["undo_id"]
        await office.call("undo_change", undo_id=undo_id)
        assert (await office.call("send_email", **MESSAGE))["status"] == "scheduled"
        office.clock.advance(seconds=31)
        assert len(await office.thread_ids("sent")) == 1


async def test_a_message_whose_answer_was_lost_can_be_taken_back_all_the_same() -> None:
    async with open_office(demo=False, settings=UNDO) as office:
        office.wire.lose = "answer"
        answer = await office.call("send_email", **MESSAGE)
        assert answer["status"] == "scheduled"
        await office.call("undo_change", undo_id=answer["undo_id"])
        office.clock.advance(seconds=31)
        assert await office.thread_ids("sent") == []


# Where nobody can be asked


async def test_a_message_that_nobody_could_be_asked_about_is_kept_as_a_draft(steady: Steady, era: Era) -> None:
    async with open_office(era=era, demo=False, asks=False) as office:
        result = await office.result("send_email", **MESSAGE)
        assert steady(text_of(result)) == snapshot(
            "nobody_asked: Nobody decided and nothing happened, as the question reached no one or was closed: tell the user what you wanted to do and how they can do it themselves. The message is kept as draft '<1>', which they can send themselves."
        )
        [thread_id] = await office.thread_ids("drafts")
        [draft] = office.store.thread(office.user_id, thread_id).messages
        assert (result.meta or {})["salesos-inbox/error"] == {
            "code": "nobody_asked",
            "retryable": False,
            "draft_id": draft.id,
        }
        assert (draft.to_emails, draft.subject, draft.body_text) == (["dana@helix.example"], "Offer", "Here it is.")
        again = await office.result("send_email", **MESSAGE)
        assert text_of(again) == text_of(result)
        assert len(office.wire.writes()) == 1, "the second time it is the same draft"


async def test_a_kept_draft_that_the_user_threw_away_is_kept_anew() -> None:
    async with open_office(demo=False, asks=False) as office:
        await office.refusal("send_email", **MESSAGE)
        [thread_id] = await office.thread_ids("drafts")
        office.store.delete(office.user_id, thread_id)
        office.store.delete(office.user_id, thread_id)
        await office.refusal("send_email", **MESSAGE)
        assert len(await office.thread_ids("drafts")) == 1


async def test_a_draft_that_nobody_could_be_asked_about_stays_itself(era: Era) -> None:
    async with open_office(era=era, demo=False, asks=False) as office:
        draft_id = (await office.call("save_draft", **MESSAGE))["draft_id"]
        result = await office.result("send_email", draft_id=draft_id)
        assert f" The message is kept as draft {draft_id!r}, which they can send themselves." in text_of(result)
        assert len(office.wire.writes()) == 1


async def test_a_changed_draft_that_nobody_could_be_asked_about_is_kept_beside_the_first() -> None:
    async with open_office(demo=False, asks=False) as office:
        draft_id = (await office.call("save_draft", **MESSAGE))["draft_id"]
        result = await office.result("send_email", draft_id=draft_id, body="Another text.")
        kept = (result.meta or {})["salesos-inbox/error"]["draft_id"]
        assert kept != draft_id
        bodies = [
            message.body_text
            for thread_id in await office.thread_ids("drafts")
            for message in office.store.thread(office.user_id, thread_id).messages
        ]
        assert sorted(map(str, bodies)) == ["Another text.", "Here it is."]


async def test_a_scheduled_email_that_nobody_could_be_asked_about_is_kept_as_a_draft_too() -> None:
    async with open_office(demo=False, asks=False) as office:
        assert "The message is kept as draft" in await office.refusal("schedule_email", **SCHEDULED)
        assert len(await office.thread_ids("drafts")) == 1
        assert (await office.call("list_scheduled"))["scheduled"] == []


@pytest.mark.parametrize("policy", ["save_draft=deny", "save_draft=ask", "change=deny"])
async def test_where_drafts_may_not_be_saved_unasked_none_is_kept(policy: str) -> None:
    async with open_office(demo=False, asks=False, settings={"SALESOS_POLICY": policy}) as office:
        result = await office.result("send_email", **MESSAGE)
        assert text_of(result).startswith("nobody_asked: ")
        assert "draft" not in text_of(result)
        assert "draft_id" not in (result.meta or {})["salesos-inbox/error"]
        assert office.wire.writes() == []


async def test_a_message_that_could_not_be_kept_is_said_not_to_be(interpose: Interpose) -> None:
    async with open_office(demo=False, asks=False) as office:
        interpose(office, lambda method, path, response: httpx.Response(403) if path == "/drafts" else None)
        result = await office.result("send_email", **MESSAGE)
        assert text_of(result).endswith(" It could not be kept as a draft either.")
        assert "draft_id" not in (result.meta or {})["salesos-inbox/error"]


async def test_where_nobody_is_to_be_asked_nobody_is_and_a_draft_is_kept(era: Era) -> None:
    async with open_office(era=era, demo=False, settings={"SALESOS_APPROVAL": "never"}) as office:
        assert "The message is kept as draft" in await office.refusal("send_email", **MESSAGE)
        assert office.person.cards == []
        assert sends(office) == []


async def test_where_the_clients_own_dialog_is_trusted_nobody_is_asked_twice(era: Era) -> None:
    async with open_office(era=era, demo=False, asks=False, settings={"SALESOS_APPROVAL": "host"}) as office:
        assert (await office.call("send_email", **MESSAGE))["status"] == "sent"
        assert (await office.call("send_email", **MESSAGE))["status"] == "already_sent"
        assert len(sends(office)) == 1


# On the page


async def test_a_message_approved_on_the_page_is_sent_by_the_waiting_call(era: Era) -> None:
    async with open_office(era=era, demo=False, asks=False, page=True) as office:
        assert (await office.call("send_email", **MESSAGE))["status"] == "sent"
        assert office.person.cards[0].startswith("Send this email?\n")
        assert len(sends(office)) == 1


async def test_a_message_declined_on_the_page_is_declined_once_and_then_asked_about_anew(era: Era) -> None:
    person = Person("decline")
    async with open_office(era=era, demo=False, asks=False, page=True, person=person) as office:
        assert (await office.refusal("send_email", **MESSAGE)).startswith("declined: ")
        assert office.wire.writes() == [], "what was declined is not kept as a draft"
        person.answer = "approve"
        assert (await office.call("send_email", **MESSAGE))["status"] == "sent"


async def test_a_message_that_waits_on_the_page_is_pending_until_it_is_decided(era: Era) -> None:
    person = Person("cancel")
    async with open_office(era=era, demo=False, asks=False, page=True, person=person) as office:
        office.services.settings = replace(office.services.settings, approval_seconds=0.3)
        result = await office.result("send_email", **MESSAGE)
        assert text_of(result).startswith("pending: ")
        assert (result.meta or {})["salesos-inbox/error"] == {"code": "pending", "retryable": True}
        assert office.wire.writes() == []
        ledger, now = office.services.ledger, office.services.seconds()
        [waiting] = ledger.waiting(await office.services.user(), now)
        ledger.decide(waiting.operation_id, True, by="the user", now=now)
        assert (await office.call("send_email", **MESSAGE))["status"] == "sent"
        assert (len(office.person.cards), len(sends(office))) == (1, 1)


# What the operator allows


async def test_a_policy_that_allows_sending_asks_nobody_and_sends_once(era: Era) -> None:
    async with open_office(era=era, demo=False, asks=False, settings={"SALESOS_POLICY": "send=allow"}) as office:
        assert (await office.call("send_email", **MESSAGE))["status"] == "sent"
        assert (await office.call("send_email", **MESSAGE))["status"] == "already_sent"
        assert len(sends(office)) == 1
        assert (await office.refusal("send_email", **MESSAGE, send_again=True)).startswith("nobody_asked: ")
        assert len(sends(office)) == 1


@pytest.mark.parametrize("tool", ["send_email", "schedule_email"])
async def test_nobody_outside_the_allowed_recipients_is_written_to(tool: str) -> None:
    when = {"send_at": "2026-11-23T09:00"} if tool == "schedule_email" else {}
    settings = {"SALESOS_ALLOWED_RECIPIENTS": "*@helix.example,ann@acme.example", "SALESOS_POLICY": "send=allow"}
    async with open_office(demo=False, settings=settings) as office:
        for field in ("to", "cc", "bcc"):
            arguments = {**MESSAGE, **when, field: ["dana@helix.example", "eve@evil.example"]}
            refusal = await office.refusal(tool, **arguments)
            assert refusal.startswith("refused: The operator's SALESOS_ALLOWED_RECIPIENTS forbids writing to")
            assert "eve@evil.example" in refusal
            assert "dana@helix.example" not in refusal
        assert office.person.cards == []
        assert office.wire.writes() == [], "what is refused is not kept as a draft"
        await office.call(tool, **MESSAGE, **when, cc=["ANN@acme.example"])
        assert len(sends(office)) == 1


async def test_a_message_to_more_people_than_the_operator_allows_is_refused_unasked() -> None:
    async with open_office(demo=False, settings={"SALESOS_MOST_RECIPIENTS": "2"}) as office:
        refusal = await office.refusal("send_email", **MESSAGE, cc=["a@helix.example"], bcc=["b@helix.example"])
        assert refusal.startswith("refused: The message has 3 recipients")
        assert office.person.cards == []
        assert (await office.call("send_email", **MESSAGE, cc=["a@helix.example"]))["status"] == "sent"


@pytest.mark.parametrize("policy", ["send=ask", "send=allow"])
async def test_when_an_hour_is_full_no_message_leaves_and_one_that_left_is_still_known(policy: str, era: Era) -> None:
    settings = {"SALESOS_MESSAGES_PER_HOUR": "2", "SALESOS_POLICY": policy}
    async with open_office(era=era, demo=False, settings=settings) as office:
        for number in range(2):
            await office.call("send_email", **{**MESSAGE, "subject": f"Offer {number}"})
        asked = len(office.person.cards)
        refusal = await office.refusal("send_email", **MESSAGE)
        assert refusal.startswith("refused: The operator's SALESOS_MESSAGES_PER_HOUR allows 2 in an hour")
        assert (await office.refusal("schedule_email", **SCHEDULED)).startswith("refused: ")
        assert (await office.call("send_email", **{**MESSAGE, "subject": "Offer 0"}))["status"] == "already_sent"
        assert len(office.person.cards) == asked
        assert len(sends(office)) == 2
        office.clock.advance(minutes=61)
        assert (await office.call("send_email", **MESSAGE))["status"] == "sent"


@pytest.mark.parametrize("policy", ["send=ask", "send=allow"])
async def test_messages_in_parallel_do_not_exceed_the_hour(policy: str, era: Era) -> None:
    settings = {"SALESOS_MESSAGES_PER_HOUR": "2", "SALESOS_POLICY": policy}
    async with open_office(era=era, demo=False, settings=settings) as office:
        results: list[str] = []

        async def send(number: int) -> None:
            result = await office.result("send_email", **{**MESSAGE, "subject": f"Offer {number}"})
            results.append(text_of(result).partition(":")[0] if result.is_error else "sent")

        async with anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(send, number)
        assert sorted(results) == ["refused"] * 3 + ["sent"] * 2
        assert len(sends(office)) == 2
