"""What leaves, now or later, and what is held back: each asks a person first."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from inline_snapshot import snapshot

from harness import NOW, Clock, Era, Office, Person, open_office
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
    return [body for _, path, body in office.wire.writes() if path == "/send"]


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
! 2 of 3 recipients outside your organization:
!     dana@helix.example
!     ruth@helix.example

To: dana@helix.example (outside your organization)
Cc: tobias@northwind-robotics.example (same domain as yours)
Bcc: ruth@helix.example (outside your organization)
Subject: Offer
A new conversation
Leaves: at once
Message:
    Dear Dana,
    \n\
    see hxxps:⁄⁄helix.example/offer\
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
                "to": ["dana@helix.example"],
                "cc": ["tobias@northwind-robotics.example"],
                "bcc": ["ruth@helix.example"],
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
Leaves: at once
Message:
    EUR 1,857,600.\
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
                "to": ["dana@helix.example"],
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
! 1 of 1 recipient outside your organization:
!     dana@helix.example

To: dana@helix.example (outside your organization)
Subject: Offer
A new conversation
Leaves: Wednesday 18 November 2026, 17:00 (Europe/Berlin), 2026-11-18 16:00 UTC
Message:
    Here it is.\
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
        assert office.wire.writes() == []


async def test_where_nobody_can_be_asked_nothing_happens_and_the_words_say_so(era: Era) -> None:
    async with open_office(era=era, asks=False) as office:
        thread_id = await office.find("Kestrel Parts agreement")
        scheduled_id = (await office.call("list_scheduled"))["scheduled"][0]["scheduled_id"]
        for tool, arguments in (
            ("send_email", MESSAGE),
            ("send_email", {"thread_id": thread_id, "body": "x"}),
            ("schedule_email", SCHEDULED),
            ("cancel_scheduled", {"scheduled_id": scheduled_id}),
            ("delete_threads", {"thread_ids": [thread_id]}),
            ("unlink_crm_record", {"thread_id": thread_id, "record_type": "opportunity", "record_id": "kestrel-hub"}),
            ("bulk_update_threads", {"plan": [
                {"action": "read", "thread_ids": [thread_id]}, {"action": "delete", "thread_ids": [thread_id]}
            ]}),
        ):  # fmt: skip
            assert await office.refusal(tool, **arguments) == (
                "nobody_asked: Nobody was asked and nothing happened, because this client cannot show a question to "
                "the user: tell the user what you wanted to do and how they can do it themselves."
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
        assert (answer["status"], answer["to"]) == ("sent", ["dana@helix.example"])
        assert (await office.call("list_threads", folder="drafts"))["threads"] == []
        assert (await office.refusal("send_email", draft_id=draft["draft_id"])).startswith("not_found: ")
        assert len(sends(office)) == 1


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


async def test_a_time_that_passed_while_the_person_thought_sends_nothing(era: Era) -> None:
    async with open_office(demo=False, era=era, person=Person(seconds=600)) as office:
        refusal = await office.refusal("schedule_email", **{**SCHEDULED, "send_at": "2026-11-18T10:05"})
        assert refusal.startswith("invalid_arguments: ")
        assert (await office.call("list_scheduled"))["scheduled"] == []
        assert (await office.call("list_threads", folder="sent"))["threads"] == []


async def test_a_scheduled_email_is_cancelled_after_a_yes(steady: Steady, era: Era) -> None:
    async with open_office(era=era) as office:
        first, second = (await office.call("list_scheduled"))["scheduled"]
        answer = await office.call("cancel_scheduled", scheduled_id=first["scheduled_id"])
        assert steady(answer) == snapshot(
            {
                "status": "cancelled",
                "to": ["camille@atelier-dubois.example"],
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
Would leave: Thursday 19 November 2026, 09:00 (Europe/Berlin), 2026-11-19 08:00 UTC
Scheduled message: <1>\
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


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_send_whose_answer_never_came_is_not_repeated(interpose: Interpose, status: int, era: Era) -> None:
    async with open_office(demo=False, era=era) as office:
        interpose(office, lambda method, path, response: httpx.Response(status) if path == "/send" else None)
        refusal = await office.refusal("send_email", **MESSAGE)
        assert refusal.startswith("outcome_unknown: ")
        assert "do not repeat it blindly" in refusal
        assert len(sends(office)) == 1


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
        assert answer["to"] == ["eve@evil.example"]


async def test_letters_that_look_alike_are_shown_in_both_spellings() -> None:
    async with open_office(demo=False) as office:
        await office.call("send_email", to=["ann@\u0430cme.example"], subject="x", body="x")
        assert "ann@\u0430cme.example = ann@xn--cme-5cd.example" in office.person.cards[0]


async def test_a_stranger_at_the_same_free_mail_provider_is_a_stranger() -> None:
    async with open_office(demo=False, user="maya@gmail.com") as office:
        await office.call("send_email", to=["stranger@gmail.com"], subject="x", body="x")
        assert "! 1 of 1 recipient outside your organization:" in office.person.cards[0]


# Receipts


@pytest.mark.parametrize(
    ("receipt", "told"),
    [
        ({"status": "SENT"}, "sent"),
        ({"status": "QUEUED"}, "queued"),
        ({}, "queued"),
        ({"status": "FAILED"}, "outcome_unknown"),
        ({"status": "DRAFT"}, "outcome_unknown"),
        ({"status": "SCHEDULED"}, "outcome_unknown"),
        ({"success": False}, "outcome_unknown"),
    ],
)
async def test_a_send_claims_what_its_receipt_says(interpose: Interpose, receipt: dict[str, Any], told: str) -> None:
    async with open_office(demo=False) as office:
        interpose(office, lambda method, path, response: httpx.Response(201, json=receipt) if path == "/send" else None)
        result = await office.result("send_email", **MESSAGE)
        said = (result.meta or {}).get("salesos-inbox/error", {}).get("code") if result.is_error else None
        assert (said or (result.structured_content or {})["status"]) == told


@pytest.mark.parametrize(
    "receipt", [{}, {"status": "SCHEDULED"}, {"id": "c1", "status": "SENT"}, {"id": "c1", "success": False}]
)
async def test_nothing_is_called_scheduled_that_was_not_confirmed(
    interpose: Interpose, receipt: dict[str, Any]
) -> None:
    async with open_office(demo=False) as office:
        interpose(office, lambda method, path, response: httpx.Response(201, json=receipt) if path == "/send" else None)
        assert (await office.refusal("schedule_email", **SCHEDULED)).startswith("outcome_unknown: ")
