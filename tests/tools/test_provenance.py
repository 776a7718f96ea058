"""What the server itself finds out about recipients and about mail that was sent already."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import count
from typing import Any, cast

import anyio
import httpx
import pytest
from inline_snapshot import snapshot

from harness import NOW, Office, open_office
from salesos_inbox.approval.card import Provenance, Recipient
from salesos_inbox.client.http import InboxClient
from salesos_inbox.contract.models import Message, SaveDraft, SearchThreads, SendEmail, Thread
from salesos_inbox.mail.addresses import parse_addresses
from salesos_inbox.sandbox.messages import StoredMessage
from salesos_inbox.sandbox.seed import DEMO_USER
from salesos_inbox.tools._compose import Composed, Wording, compose
from salesos_inbox.tools._kit import Desk
from salesos_inbox.tools._provenance import LOOKED_UP, MOST_REQUESTS, Findings, findings, recipients_of, similar_sent

pytestmark = pytest.mark.anyio

ME = DEMO_USER
ANN = "ann@acme.example"
BEN = "ben@acme.example"
EVE = "eve@evil.example"
MALLORY = "mallory@trick.example"
COLLEAGUE = "tobias@" + DEMO_USER.partition("@")[2]
LONG_AGO = NOW - timedelta(days=90)
PITCH = "Dear Ann, our robots lift two tonnes each, day and night, and pay for themselves within a single year."
Interpose = Callable[[Office, Callable[[str, str, httpx.Response], httpx.Response | None]], None]
Found = tuple[str, Provenance, str | None, str | None]
"""An address, where it comes from, who added it and what it looks like."""

_numbers = count(1)


def file(
    office: Office,
    sender: str,
    to: Iterable[str] = (ME,),
    *,
    at: datetime = LONG_AGO,
    into: str | None = None,
    **other: Any,
) -> str:
    """Put a message into the mailbox, one of the user's own where they are its sender, and return its thread's id."""
    other = {"subject": "Robots", "body_text": "Hello.", **other}
    number = next(_numbers)
    message = StoredMessage(
        from_email=sender,
        to=tuple(to),
        sent_at=at + timedelta(milliseconds=number),
        message_id=f"<p{number}@mail.example>",
        **other,
    )
    return office.store.file_message(office.user_id, message, thread_id=into).thread_id


def desk_of(office: Office) -> Desk:
    return Desk(office.services, cast("Any", None))


async def message(
    office: Office, to: Iterable[str] | None = None, thread_id: str | None = None, **other: Any
) -> Composed:
    """Compose a message as the tools do, and forget the requests that took."""
    wording: dict[str, Any] = {"cc": None, "bcc": None, "subject": None, "body": "Hello.", "reply_all": False, **other}
    desk = desk_of(office)
    composed = await compose(
        desk, Wording(to=None if to is None else [*to], thread_id=thread_id, draft_id=None, **wording)
    )
    office.wire.requests.clear()
    return composed


async def found(
    office: Office, to: Iterable[str] | None = None, thread_id: str | None = None, **other: Any
) -> list[Found]:
    """Return what is found out about the recipients of a message."""
    recipients = await recipients_of(desk_of(office), await message(office, to, thread_id, **other))
    return [(item.email, item.provenance, item.added_by, item.looks_like) for item in recipients]


async def origin(office: Office, email: str, thread_id: str | None = None) -> Provenance:
    """Return where one recipient is found to come from."""
    ((_, provenance, _, _),) = await found(office, [email], thread_id)
    return provenance


def asked(office: Office) -> list[str]:
    """Return the requests that went over the wire, without the ids in them."""
    return [
        f"{method} /{path.split('/')[1]}{'/{id}' * (path.count('/') > 1)}" for method, path, _ in office.wire.requests
    ]


# Without looking up


async def test_the_users_own_address_is_told_whatever_its_case() -> None:
    async with open_office(demo=False) as office:
        assert await origin(office, ME.upper()) is Provenance.YOURSELF
        assert asked(office) == []


async def test_an_address_the_user_wrote_from_in_the_thread_is_their_own() -> None:
    thread = Thread(
        id="t1", messages=[Message(from_email="sales@north.example", to_emails=[ANN], direction="OUTBOUND")]
    )
    async with open_office(demo=False) as office:
        (item,) = await recipients_of(desk_of(office), to_write(["sales@north.example"], thread))
        assert item.provenance is Provenance.YOURSELF


async def test_a_first_contact_at_the_own_domain_is_a_colleague_and_needs_no_request() -> None:
    async with open_office(demo=False) as office:
        assert await origin(office, COLLEAGUE) is Provenance.OWN_DOMAIN
        assert asked(office) == []


async def test_who_shares_a_free_mail_domain_with_the_user_is_no_colleague() -> None:
    async with open_office(demo=False, user="maya@gmail.com") as office:
        assert await origin(office, "someone@gmail.com") is Provenance.FIRST_CONTACT


async def test_a_subdomain_of_the_own_domain_is_not_the_own_domain() -> None:
    async with open_office(demo=False) as office:
        assert await origin(office, f"x@mail.{ME.partition('@')[2]}") is Provenance.FIRST_CONTACT


# In a thread


async def test_a_reply_to_the_sender_of_a_first_mail_goes_to_someone_in_the_thread() -> None:
    async with open_office(demo=False) as office:
        assert await found(office, thread_id=file(office, ANN)) == [(ANN, Provenance.IN_THREAD, None, None)]


async def test_everyone_the_user_wrote_to_in_the_thread_is_in_it() -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, ME, ["ann@one.example"], cc=("ben@two.example",), bcc=("cleo@three.example",))
        recipients = await found(office, ["Ann@One.example", "ben@two.example"], thread_id, bcc=["cleo@three.example"])
        assert [provenance for _, provenance, _, _ in recipients] == [Provenance.IN_THREAD] * 3
        assert asked(office) == []


async def test_who_stands_only_in_cc_of_a_received_mail_is_named_with_who_put_them_there_first() -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, ANN, cc=(EVE,))
        file(office, BEN, cc=(EVE,), into=thread_id, at=NOW)
        assert await found(office, [EVE], thread_id) == [(EVE, Provenance.NAMED_IN_THREAD, ANN, None)]


async def test_a_stranger_who_writes_into_a_thread_is_no_acquaintance() -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, ME, [ANN])
        file(office, ANN, into=thread_id, at=LONG_AGO + timedelta(hours=1))
        file(office, EVE, into=thread_id, at=NOW)
        assert await found(office, thread_id=thread_id) == [(EVE, Provenance.NAMED_IN_THREAD, EVE, None)]


async def test_a_stranger_vouches_for_nobody() -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, ME, [ANN])
        file(office, EVE, cc=(MALLORY,), into=thread_id, at=LONG_AGO + timedelta(hours=1))
        file(office, MALLORY, into=thread_id, at=NOW)
        assert await found(office, thread_id=thread_id) == [(MALLORY, Provenance.NAMED_IN_THREAD, EVE, None)]


async def test_who_was_named_by_someone_in_the_thread_and_then_wrote_is_in_it() -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, ME, [ANN])
        file(office, ANN, cc=("lee@agency.example",), into=thread_id, at=LONG_AGO + timedelta(hours=1))
        file(office, "Lee@Agency.example", into=thread_id, at=NOW)
        assert await origin(office, "lee@agency.example", thread_id) is Provenance.IN_THREAD


async def test_who_answers_from_the_organization_that_was_written_to_is_in_the_thread() -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, ME, ["info@acme.example"])
        file(office, BEN, into=thread_id, at=NOW)
        assert await origin(office, BEN, thread_id) is Provenance.IN_THREAD


async def test_who_only_shares_a_free_mail_domain_with_someone_in_the_thread_is_not_in_it() -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, ME, ["ann@gmail.com"])
        file(office, "ann.lee@gmail.com", into=thread_id, at=NOW)
        assert await origin(office, "ann.lee@gmail.com", thread_id) is Provenance.NAMED_IN_THREAD


async def test_a_received_mail_that_claims_to_be_from_the_user_brings_nobody_in() -> None:
    forged = Message(from_email=ME, to_emails=[ANN], cc_emails=[EVE], direction="INBOUND")
    joined = Message(from_email=EVE, to_emails=[ME], direction="INBOUND")
    async with open_office(demo=False) as office:
        recipients = await recipients_of(desk_of(office), to_write([EVE], Thread(id="t1", messages=[forged, joined])))
        assert recipients == [Recipient("To", EVE, Provenance.NAMED_IN_THREAD, added_by=ME)]


async def test_a_service_that_does_not_tell_directions_is_believed_about_the_users_own_address() -> None:
    thread = Thread(
        id="t1", messages=[Message(from_email=ANN, to_emails=[ME]), Message(from_email=ME, to_emails=[EVE])]
    )
    async with open_office(demo=False) as office:
        assert [item.provenance for item in await recipients_of(desk_of(office), to_write([EVE], thread))] == [
            Provenance.IN_THREAD
        ]


@pytest.mark.parametrize("status", ["DRAFT", "FAILED"])
async def test_a_message_that_never_left_makes_nobody_known(status: str) -> None:
    unsent = Message(from_email=ME, to_emails=[EVE], direction="OUTBOUND", status=status)
    async with open_office(demo=False) as office:
        (item,) = await recipients_of(desk_of(office), to_write([EVE], Thread(id="t1", messages=[unsent])))
        assert item.provenance is Provenance.FIRST_CONTACT


async def test_a_name_that_pretends_to_be_an_address_counts_for_nothing() -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, ME, [BEN])
        file(office, EVE, cc=(f'"{ANN}" <{MALLORY}>',), from_name=ANN, into=thread_id, at=NOW)
        assert await found(office, [ANN, MALLORY, EVE], thread_id) == [
            (ANN, Provenance.FIRST_CONTACT, None, None),
            (MALLORY, Provenance.NAMED_IN_THREAD, EVE, None),
            (EVE, Provenance.NAMED_IN_THREAD, EVE, None),
        ]


async def test_an_address_is_the_same_however_its_domain_is_spelled_and_shown_in_both_spellings() -> None:
    both = ("büro.example", "xn--bro-hoa.example")
    async with open_office(demo=False) as office:
        thread_id = file(office, "jörg@xn--bro-hoa.example", cc=("Ruth <RUTH@xn--bro-hoa.example>",))
        assert await found(office, ["ruth@büro.example"], thread_id) == [
            (f"ruth@{both[0]} = ruth@{both[1]}", Provenance.NAMED_IN_THREAD, f"jörg@{both[0]} = jörg@{both[1]}", None)
        ]


# Written to before


async def test_who_the_user_wrote_to_in_another_thread_is_known() -> None:
    async with open_office(demo=False) as office:
        file(office, ME, [ANN])
        assert await origin(office, "Ann Lee <ANN@acme.example>") is Provenance.WRITTEN_TO
        assert asked(office) == snapshot(["GET /search", "GET /threads/{id}"])


async def test_a_blind_copy_counts_as_written_to() -> None:
    async with open_office(demo=False) as office:
        file(office, ME, [BEN], bcc=(ANN,))
        assert await origin(office, ANN) is Provenance.WRITTEN_TO


async def test_who_is_named_here_and_was_written_to_elsewhere_is_known() -> None:
    async with open_office(demo=False) as office:
        file(office, ME, ["lee@agency.example"])
        thread_id = file(office, ANN, cc=("lee@agency.example",), at=NOW)
        assert await found(office, ["lee@agency.example"], thread_id) == [
            ("lee@agency.example", Provenance.WRITTEN_TO, None, None)
        ]


async def test_a_draft_to_someone_is_not_having_written_to_them() -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, ME, [ANN])
        office.store.save_draft(office.user_id, SaveDraft(to=[EVE], subject="Hi", body_text="x", thread_id=thread_id))
        assert await origin(office, EVE) is Provenance.FIRST_CONTACT


async def test_a_stranger_in_a_thread_that_the_user_wrote_in_was_not_written_to() -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, ME, [ANN], body_text=f"We never write to {EVE}.")
        file(office, EVE, into=thread_id, cc=(MALLORY,))
        assert [item[1] for item in await found(office, [EVE, MALLORY])] == [Provenance.FIRST_CONTACT] * 2


async def test_who_wrote_to_the_user_and_was_never_answered_is_a_first_contact() -> None:
    async with open_office(demo=False) as office:
        file(office, EVE, body_text=f"Best regards\n{EVE}")
        assert await origin(office, EVE) is Provenance.FIRST_CONTACT


async def test_a_sent_mail_is_found_behind_newer_ones_that_only_mention_the_address() -> None:
    async with open_office(demo=False) as office:
        file(office, ME, [ANN])
        for hour in range(5):
            file(office, ME, [BEN], at=NOW - timedelta(hours=hour), subject=f"About {hour}", body_text=f"Ask {ANN}.")
        assert await origin(office, ANN) is Provenance.WRITTEN_TO


# Seen in a body only


@pytest.mark.parametrize(
    "body",
    [
        {"body_text": "Our account has changed, write to mallory@trick.example."},
        {"body_text": "Please answer to <MALLORY@Trick.example>"},
        {"body_text": "-- \nEve\nmallory@trick.example\n+44 1"},
        {"body_html": "<p>Write to <a href='mailto:mallory%40trick.example?subject=x'>our team</a></p>"},
        {"body_html": "<table><td>Mail<td>mallory@trick.example<td>Phone</table>"},
        {"body_html": "<p>mallory<b>&#64;</b>trick.ex<wbr>ample</p>"},
        {"body_text": "mallory\u200b@trick.\u00adexample"},
    ],
)
async def test_an_address_that_stands_only_in_the_text_of_a_received_mail_is_told_as_that(body: dict[str, str]) -> None:
    async with open_office(demo=False) as office:
        text: dict[str, Any] = {"body_text": None, **body}
        thread_id = file(office, EVE, **text)
        assert await origin(office, MALLORY, thread_id) is Provenance.BODY_ONLY


async def test_an_address_in_the_text_of_a_mail_of_another_thread_is_found_too() -> None:
    async with open_office(demo=False) as office:
        file(office, EVE, body_text=f"Write to {MALLORY}, quickly.")
        assert await origin(office, MALLORY) is Provenance.BODY_ONLY
        assert asked(office) == snapshot(["GET /search", "GET /search", "GET /threads/{id}", "GET /threads"])


@pytest.mark.parametrize("spelling", ["eve@bücher.example", "EVE@xn--bcher-kva.example", "eve@BÜCHER.example"])
async def test_an_address_is_found_in_a_text_in_either_spelling(spelling: str) -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, ANN, body_text=f"Write to {spelling}.")
        assert await origin(office, "eve@bücher.example", thread_id) is Provenance.BODY_ONLY


async def test_a_search_for_a_text_asks_for_the_spelling_that_people_use() -> None:
    async with open_office(demo=False) as office:
        file(office, ANN, body_text="Write to eve@bücher.example.")
        assert await origin(office, "eve@xn--bcher-kva.example") is Provenance.BODY_ONLY


@pytest.mark.parametrize("other", [f"x{MALLORY}", f"{MALLORY}.test", f"x.{MALLORY}", f"{MALLORY}s", f"x-{MALLORY}"])
async def test_an_address_that_is_a_part_of_another_was_not_seen(other: str) -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, EVE, body_text=f"Write to {other} please")
        assert await origin(office, MALLORY, thread_id) is Provenance.FIRST_CONTACT


async def test_what_the_user_wrote_themselves_is_no_received_text() -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, ME, [ANN], body_text=f"Shall I ask {MALLORY}?")
        assert await origin(office, MALLORY, thread_id) is Provenance.FIRST_CONTACT


async def test_who_was_written_to_before_stays_known_when_a_mail_mentions_them() -> None:
    async with open_office(demo=False) as office:
        file(office, ME, [ANN])
        assert (
            await origin(office, ANN, file(office, EVE, body_text=f"Write to {ANN}", at=NOW)) is Provenance.WRITTEN_TO
        )


# Look-alikes


async def test_a_domain_like_that_of_someone_the_user_wrote_to_is_told() -> None:
    async with open_office(demo=False) as office:
        file(office, ME, ["ann@summit-robots.example"])
        assert await found(office, ["ann@surnmit-robots.example"]) == [
            ("ann@surnmit-robots.example", Provenance.FIRST_CONTACT, None, "summit-robots.example")
        ]


async def test_a_domain_like_the_own_one_is_told() -> None:
    domain = ME.partition("@")[2]
    alike = domain.replace("o", "0", 1)
    async with open_office(demo=False) as office:
        assert await found(office, [f"it@{alike}"]) == [(f"it@{alike}", Provenance.FIRST_CONTACT, None, domain)]


async def test_who_opened_the_thread_is_told_as_alike_all_the_same() -> None:
    async with open_office(demo=False) as office:
        file(office, ME, ["ann@summit-robots.example"])
        thread_id = file(office, "ann@surnmit-robots.example", at=NOW)
        assert await found(office, thread_id=thread_id) == [
            ("ann@surnmit-robots.example", Provenance.IN_THREAD, None, "summit-robots.example")
        ]


async def test_a_look_alike_that_wrote_itself_into_a_thread_of_the_users_is_still_told() -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, ME, ["ann@summit-robots.example"])
        file(office, "ann@surnmit-robots.example", into=thread_id, at=NOW)
        expected = ("ann@surnmit-robots.example", "summit-robots.example")
        for written_in in (thread_id, None):
            ((email, _, _, looks_like),) = await found(office, [expected[0]], written_in)
            assert (email, looks_like) == expected


async def test_a_look_alike_does_not_clear_what_lies_below_it() -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, ME, ["ann@summit-robots.example"])
        file(office, "ann@surnmit-robots.example", into=thread_id, at=NOW)
        ((_, _, _, looks_like),) = await found(office, ["ann@mail.surnmit-robots.example"], thread_id)
        assert looks_like == "summit-robots.example"


async def test_a_provider_of_free_mail_that_is_none_is_told() -> None:
    async with open_office(demo=False) as office:
        file(office, ME, ["ann@gmail.com"])
        assert await found(office, ["ann@gmai1.com"]) == [
            ("ann@gmai1.com", Provenance.FIRST_CONTACT, None, "gmail.com")
        ]


async def test_a_domain_that_the_user_wrote_to_is_not_told_though_it_is_like_another() -> None:
    async with open_office(demo=False) as office:
        file(office, ME, ["ann@summit-robots.example"])
        file(office, ME, ["ben@surnmit-robots.example"], subject="Other")
        assert await found(office, ["new@surnmit-robots.example", "ben@surnmit-robots.example"]) == [
            ("new@surnmit-robots.example", Provenance.FIRST_CONTACT, None, None),
            ("ben@surnmit-robots.example", Provenance.WRITTEN_TO, None, None),
        ]


async def test_two_providers_of_free_mail_are_not_taken_for_each_other() -> None:
    async with open_office(demo=False) as office:
        file(office, ME, ["ann@gmx.de"])
        assert await found(office, ["ben@gmx.net"]) == [("ben@gmx.net", Provenance.FIRST_CONTACT, None, None)]


# Bounds


async def test_the_thread_that_is_answered_is_not_read_again() -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, ME, [ANN])
        file(office, ANN, cc=(EVE,), into=thread_id, at=NOW)
        assert await origin(office, EVE, thread_id) is Provenance.NAMED_IN_THREAD
        assert asked(office) == ["GET /search", "GET /threads"]


async def test_a_first_contact_costs_two_searches_and_the_sent_page() -> None:
    async with open_office(demo=False) as office:
        assert await found(office, [EVE]) == [(EVE, Provenance.FIRST_CONTACT, None, None)]
        assert asked(office) == snapshot(["GET /search", "GET /search", "GET /threads"])


async def test_an_ordinary_reply_costs_one_request() -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, ME, [ANN])
        file(office, ANN, into=thread_id, at=NOW)
        composed = await message(office, thread_id=thread_id)
        assert await findings(desk_of(office), composed) == Findings(
            (Recipient("To", ANN, Provenance.IN_THREAD),), similar=None
        )
        assert asked(office) == snapshot(["GET /threads"])


async def test_of_many_strangers_the_first_are_looked_up_and_the_rest_said_to_be_unchecked() -> None:
    async with open_office(demo=False) as office:
        people = [f"p{number}@firm{number}.example" for number in range(40)]
        recipients = await found(office, people)
        assert [email for email, *_ in recipients] == people
        expected = [Provenance.FIRST_CONTACT] * LOOKED_UP + [Provenance.UNCHECKED] * (40 - LOOKED_UP)
        assert [provenance for _, provenance, _, _ in recipients] == expected


async def test_strangers_are_looked_up_before_those_that_the_thread_names() -> None:
    async with open_office(demo=False) as office:
        named = [f"n{number}@firm{number}.example" for number in range(LOOKED_UP)]
        file(office, ME, [named[-1]])
        file(office, ME, [EVE])
        thread_id = file(office, ANN, cc=tuple(named), at=NOW)
        recipients = await found(office, [*named, EVE], thread_id)
        assert recipients[-2:] == [
            (named[-1], Provenance.NAMED_IN_THREAD, ANN, None),
            (EVE, Provenance.WRITTEN_TO, None, None),
        ]


async def test_the_requests_for_one_message_are_bounded_and_what_they_leave_open_is_said() -> None:
    async with open_office(demo=False) as office:
        people = [f"p{number}@firm{number}.example" for number in range(LOOKED_UP)]
        for email in people:
            for number in range(4):
                file(office, ME, [ANN], subject=f"{email} {number}", body_text=f"About {email}", at=NOW)
        recipients = await found(office, people)
        assert MOST_REQUESTS - 2 < len(office.wire.requests) <= MOST_REQUESTS
        assert {provenance for _, provenance, _, _ in recipients} == {Provenance.UNCHECKED}


@pytest.mark.parametrize(("status", "requests"), [(429, 1), (503, 1), (401, 5)])
async def test_a_service_that_fails_leaves_people_unchecked_and_is_left_alone(
    interpose: Interpose, status: int, requests: int
) -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, ANN, cc=("lee@agency.example",), body_text=f"Write to {MALLORY}")
        composed = await message(office, [ANN, "lee@agency.example", MALLORY, EVE, COLLEAGUE], thread_id)
        failure = httpx.Response(status, json={"statusCode": status}, headers={"Retry-After": "60"})
        interpose(office, lambda method, path, response: failure)
        result = await findings(desk_of(office), composed)
        assert result.similar is None
        assert [(item.email, item.provenance.value) for item in result.recipients] == [
            (ANN, "in_thread"),
            ("lee@agency.example", "named_in_thread"),
            (MALLORY, "body_only"),
            (EVE, "unchecked"),
            (COLLEAGUE, "own_domain"),
        ]
        assert len(office.wire.requests) == requests


@pytest.mark.parametrize(("status", "known"), [(503, Provenance.UNCHECKED), (404, Provenance.FIRST_CONTACT)])
async def test_a_thread_that_cannot_be_read_leaves_the_question_open_and_one_that_is_gone_does_not(
    interpose: Interpose, status: int, known: Provenance
) -> None:
    async with open_office(demo=False) as office:
        file(office, EVE)
        failure = httpx.Response(status, json={"statusCode": status})
        interpose(office, lambda method, path, response: failure if path.startswith("/threads/") else None)
        assert await origin(office, EVE) is known


class Silent(httpx.AsyncBaseTransport):
    """A wire that never brings an answer to requests whose path ends so."""

    def __init__(self, wire: httpx.AsyncBaseTransport, path: str) -> None:
        self._wire = wire
        self._path = path

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(self._path):
            await anyio.sleep_forever()
        return await self._wire.handle_async_request(request)


@pytest.mark.parametrize("silent", ["/search", "/threads"])
async def test_a_service_that_is_silent_holds_nobody_up(silent: str) -> None:
    async with open_office(demo=False) as office:
        file(office, ME, [ANN])
        composed = await message(office, [ANN, EVE])
        office.services._client = InboxClient(office.services.settings, transport=Silent(office.wire, silent))  # pyright: ignore[reportPrivateUsage]
        with anyio.fail_after(5):
            result = await findings(desk_of(office), composed, seconds=0.1)
        assert [item.provenance for item in result.recipients] == [Provenance.UNCHECKED] * 2


async def test_the_answer_is_the_same_each_time_and_in_the_order_of_the_message() -> None:
    async with open_office() as office:
        thread_id = office.store.search(office.user_id, SearchThreads(q="Leipzig pilot results")).items[0].id
        composed = await message(office, None, thread_id, reply_all=True, bcc=[EVE, COLLEAGUE, "zoe@new.example"])
        first = await findings(desk_of(office), composed)
        assert [await findings(desk_of(office), composed) for _ in range(3)] == [first] * 3
        assert [(item.kind, item.email.partition(" ")[0]) for item in first.recipients] == [
            (kind, address.email) for kind, address in composed.recipients
        ]


# Sent already


async def similar(
    office: Office, to: Iterable[str] | None = None, thread_id: str | None = None, **other: Any
) -> str | None:
    return await similar_sent(desk_of(office), await message(office, to, thread_id, **other))


async def test_the_same_subject_to_the_same_person_within_a_week_is_told_in_words_that_stay_true() -> None:
    async with open_office(demo=False) as office:
        file(office, ME, [BEN, ANN], subject="Offer 12", at=NOW - timedelta(days=6, hours=23))
        composed = await message(office, [ANN], subject="RE: offer  12")
        first = await similar_sent(desk_of(office), composed)
        assert first == snapshot("You wrote to ann@acme.example about the same on Wednesday 11 November at 11:00.")
        office.clock.advance(minutes=30)
        assert await similar_sent(desk_of(office), composed) == first
        assert asked(office) == ["GET /threads", "GET /threads/{id}"] * 2


async def test_several_people_are_counted() -> None:
    async with open_office(demo=False) as office:
        file(office, ME, [BEN, ANN], cc=(EVE,), subject="Offer 12", at=NOW - timedelta(hours=2))
        assert await similar(office, [ANN, MALLORY, EVE], cc=[BEN], subject="Offer 12") == snapshot(
            "You wrote to ann@acme.example and 2 others about the same on Wednesday 18 November at 08:00."
        )


@pytest.mark.parametrize(
    ("to", "days", "subject"),
    [(EVE, 1, "Offer 12"), (ANN, 8, "Offer 12"), (ANN, 1, "Offer 13"), (ANN, 1, "Fwd: Offer 12")],
)
async def test_another_person_another_subject_or_an_older_mail_is_not_similar(to: str, days: int, subject: str) -> None:
    async with open_office(demo=False) as office:
        file(office, ME, [ANN], subject="Offer 12", at=NOW - timedelta(days=days))
        assert await similar(office, [to], subject=subject) is None


@pytest.mark.parametrize("status", ["DRAFT", "FAILED", "BOUNCED"])
async def test_what_did_not_arrive_was_not_sent_already(status: str) -> None:
    unsent = Message(from_email=ME, to_emails=[ANN], direction="OUTBOUND", status=status, sent_at=NOW, body_text=PITCH)
    async with open_office(demo=False) as office:
        thread = Thread(id="t1", messages=[unsent])
        assert await similar_sent(desk_of(office), to_write([ANN], thread, PITCH)) is None
        sent = Thread(id="t1", messages=[unsent.model_copy(update={"status": "SENT"})])
        assert await similar_sent(desk_of(office), to_write([ANN], sent, PITCH)) is not None


async def test_mail_without_subjects_is_not_about_the_same() -> None:
    async with open_office(demo=False) as office:
        file(office, ME, [ANN], subject="", at=NOW - timedelta(days=1))
        assert await similar(office, [ANN], subject="Re:") is None


async def test_what_someone_else_sent_is_not_the_users() -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, BEN, [ME, ANN], subject="Offer 12", body_text=PITCH, at=NOW - timedelta(hours=2))
        file(office, ME, [BEN], into=thread_id, subject="Re: Offer 12", at=NOW - timedelta(hours=1))
        assert await similar(office, [ANN], subject="Offer 12", body=PITCH) is None


async def test_nearly_the_same_text_under_another_subject_is_told() -> None:
    async with open_office(demo=False) as office:
        file(office, ME, [ANN], subject="Robots", body_text=PITCH, at=NOW - timedelta(days=1))
        again = PITCH.replace("two tonnes", "three tonnes")
        assert await similar(office, [ANN], subject="Heavy loads", body=again) == snapshot(
            "You wrote to ann@acme.example about the same on Tuesday 17 November at 10:00."
        )
        assert await similar(office, [ANN], subject="Heavy loads", body="Another text altogether. " * 9) is None
        assert await similar(office, [ANN], subject="Heavy loads", body=f"{PITCH}\n{'And so much more. ' * 9}") is None


async def test_a_normal_back_and_forth_is_no_repetition() -> None:
    async with open_office(demo=False) as office:
        thread_id = file(office, ME, [ANN], body_text=PITCH, at=NOW - timedelta(days=2))
        file(office, ANN, into=thread_id, subject="Re: Robots", at=NOW - timedelta(days=1))
        file(office, ME, [ANN], into=thread_id, subject="Re: Robots", body_text="Thanks!", at=NOW - timedelta(hours=9))
        file(office, ANN, into=thread_id, subject="Re: Robots", at=NOW - timedelta(hours=8))
        assert await similar(office, thread_id=thread_id, body="Thanks!") is None
        assert await similar(
            office, thread_id=thread_id, body=f"{PITCH}\n\nOn Mon, Nov 16, 2026 at 10:00 AM Ann wrote:\n> Hello."
        ) == snapshot("You wrote to ann@acme.example about the same on Monday 16 November at 10:00.")


async def test_an_unanswered_message_of_the_last_day_is_told_to_who_writes_in_its_thread_again() -> None:
    async with open_office(demo=False, settings={"SALESOS_TIMEZONE": "America/New_York"}) as office:
        thread_id = file(office, ANN)
        file(office, ME, [ANN], into=thread_id, at=NOW - timedelta(hours=20))
        assert await similar(office, thread_id=thread_id, body="One more thing.") == snapshot(
            "You wrote in this thread on Tuesday 17 November at 08:00, and nobody has answered yet."
        )
        draft = SaveDraft(to=[ANN], subject="Re: Robots", body_text="One", thread_id=thread_id)
        office.store.save_draft(office.user_id, draft)
        assert await similar(office, thread_id=thread_id, body="One more thing.") is not None
        assert await similar(office, [EVE], thread_id, body="One more thing.") is None
        office.clock.advance(hours=5)
        assert await similar(office, thread_id=thread_id, body="One more thing.") is None


async def test_what_the_user_has_just_sent_through_the_service_is_told() -> None:
    async with open_office(demo=False) as office:
        office.store.send(office.user_id, SendEmail(to=[ANN], subject="Offer 12", body_text="Here it is."))
        office.clock.advance(minutes=1)
        assert await similar(office, [ANN], subject="Offer 12", body="Here it is.") == snapshot(
            "You wrote to ann@acme.example about the same on Wednesday 18 November at 10:00."
        )


async def test_at_most_two_threads_are_read_for_it() -> None:
    async with open_office(demo=False) as office:
        for number in range(6):
            file(office, ME, [BEN], subject="Offer 12", at=NOW - timedelta(hours=number + 1))
        assert await similar(office, [ANN], subject="Offer 12") is None
        assert asked(office) == ["GET /threads", *["GET /threads/{id}"] * 2]
        file(office, ME, [ANN], subject="Offer 12", at=NOW - timedelta(hours=9))
        assert await similar(office, [ANN], subject="Offer 12") is not None


async def test_a_reply_is_not_similar_to_another_thread_with_its_subject() -> None:
    async with open_office(demo=False) as office:
        file(office, ME, [ANN], subject="Offer 12", at=NOW - timedelta(hours=9))
        thread_id = file(office, ANN, subject="Offer 12", at=NOW)
        assert await similar(office, thread_id=thread_id) is None
        assert await similar(office, [ANN], subject="Offer 12") is not None


async def test_a_time_without_a_zone_of_the_users_is_told_in_utc() -> None:
    async with open_office(demo=False, settings={"SALESOS_TIMEZONE": ""}) as office:
        file(office, ME, [ANN], subject="Offer 12", at=NOW)
        assert await similar(office, [ANN], subject="Offer 12") == (
            "You wrote to ann@acme.example about the same on Wednesday 18 November at 09:00 UTC."
        )


async def test_a_hostile_text_is_compared_in_no_time() -> None:
    words = [f"w{number % 7}" for number in range(200_000)]
    async with open_office(demo=False) as office:
        thread_id = file(office, ME, [ANN], body_text=" ".join(words), at=NOW - timedelta(days=2))
        with anyio.fail_after(5):
            assert await similar(office, thread_id=thread_id, body=" ".join(reversed(words))) is None


def to_write(to: list[str], thread: Thread, body: str = "Hello.") -> Composed:
    """Return a message in a thread that the sandbox could not hold."""
    return Composed(to=tuple(parse_addresses(to)), cc=(), bcc=(), subject="Robots", body=body, thread=thread)
