"""What became of a message whose sending got no answer: sent, scheduled, not sent, or still unknown."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from html import escape
from typing import Any
from unicodedata import normalize

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import BASE_URL, NOW, Clock, Office, open_office
from salesos_inbox.client.http import InboxClient
from salesos_inbox.contract.models import ListScheduled, ListThreads, SaveDraft, SendEmail, SendReceipt
from salesos_inbox.sandbox.messages import StoredMessage
from salesos_inbox.sandbox.store import Store
from salesos_inbox.settings import Settings
from salesos_inbox.tools import _lookup
from salesos_inbox.tools._lookup import Found, Sought, body_digest, look_for

pytestmark = pytest.mark.anyio

Rewrite = Callable[[str, str, httpx.Response], httpx.Response | None]
Interpose = Callable[[Office, Rewrite], None]

TEXT = "Dear Zoë,\n\nhere is the offer that we spoke about: 3 < 4 & so on.\n\nBest regards\nMaya"
EMAIL = SendEmail(
    to=["dana@helix.example"],
    cc=["ruth@helix.example"],
    bcc=["archive@northwind.example"],
    subject="Offer",
    body_text=TEXT,
)
SOUGHT = Sought(
    operation_id="0b6e9c1e-5a0e-4d1b-9d53-2f0f3f1f7c11",
    to=("dana@helix.example",),
    cc=("ruth@helix.example",),
    bcc=("archive@northwind.example",),
    subject="Offer",
    body_digest=body_digest(TEXT),
    thread_id=None,
    scheduled_for=None,
    attempted_at=NOW,
    draft_id=None,
)
EVENING = NOW + timedelta(hours=8)
SENT = "a message with its recipients, subject and text was sent"
WAITS = "a message with its recipients, subject, text and time waits"
NOT_SENT = Found("not_sent", None, None, None, "it is neither among the sent nor the scheduled mail")
COMPARED_TOO_LITTLE = "a message like it was sent, but too little of it can be compared"


def emailed(**changes: Any) -> SendEmail:
    return EMAIL.model_copy(update=changes)


def deliver(office: Office, request_id: str | None = None, **changes: Any) -> SendReceipt:
    """Let the service send or schedule the message, as it did when its answer was lost."""
    return office.store.send(office.user_id, emailed(**changes), request_id=request_id)


async def look(office: Office, sought: Sought = SOUGHT, *, known: frozenset[str] = frozenset()) -> Found:
    """Look two minutes later."""
    office.clock.advance(minutes=2)
    return await look_for(office.services.client, sought, known=known, now=office.clock())


def rewriting(path: str, change: Callable[[Any], object]) -> Rewrite:
    """Return what changes the JSON of the answers to paths that begin with `path`."""

    def rewrite(method: str, given: str, response: httpx.Response) -> httpx.Response | None:
        if method != "GET" or not given.startswith(path):
            return None
        payload = response.json()
        return httpx.Response(200, json=change(payload) or payload)

    return rewrite


def rewriting_messages(**fields: object) -> Rewrite:
    """Return what gives every message of a thread other fields; a function makes one from the old one."""

    def change(thread: Any) -> None:
        for message in thread["messages"]:
            message |= {name: value(message[name]) if callable(value) else value for name, value in fields.items()}

    return rewriting("/threads/", change)


# Sent


async def test_a_message_that_was_sent_is_found_with_its_ids_and_time() -> None:
    async with open_office(demo=False) as office:
        receipt = deliver(office)
        assert await look(office) == Found("sent", receipt.id, receipt.thread_id, NOW, SENT)


@pytest.mark.parametrize("delay", [-2, 0, 30, 36000])
async def test_a_message_counts_whenever_it_was_sent_after_the_attempt(delay: float) -> None:
    async with open_office(demo=False) as office:
        office.clock.advance(seconds=delay)
        receipt = deliver(office)
        found = await look(office)
        assert (found.outcome, found.message_id) == ("sent", receipt.id)


async def test_a_sent_message_is_found_where_it_was_archived_or_deleted_since() -> None:
    async with open_office(demo=False) as office:
        receipt = deliver(office)
        assert receipt.thread_id
        for folder in ("archive", "trash"):
            office.store.move(office.user_id, receipt.thread_id, folder)
            assert (await look(office)).outcome == "sent"


async def test_a_reply_is_found_in_its_thread_where_no_list_shows_it(interpose: Interpose) -> None:
    async with open_office(demo=False) as office:
        thread_id = office.store.file_message(office.user_id, received()).thread_id
        receipt = deliver(office, thread_id=thread_id)

        def rewrite(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
            return httpx.Response(200, json=[], headers={"X-Total-Count": "0"}) if path == "/threads" else None

        interpose(office, rewrite)
        assert await look(office, replace(SOUGHT, thread_id=thread_id)) == Found(
            "sent", receipt.id, thread_id, NOW, SENT
        )
        assert await look(office) == NOT_SENT


def received(**changes: Any) -> StoredMessage:
    fields: dict[str, Any] = {
        "from_email": "dana@helix.example",
        "to": ("maya@northwind-robotics.example",),
        "sent_at": NOW - timedelta(hours=1),
        "subject": "Question",
        "body_text": "What does it cost?",
        "message_id": "<question@helix.example>",
    }
    return StoredMessage(**{**fields, **changes})


async def test_of_two_messages_alike_the_one_nearest_to_the_attempt_is_it() -> None:
    async with open_office(demo=False) as office:
        first = deliver(office)
        office.clock.advance(minutes=3)
        second = deliver(office)
        assert (await look(office)).message_id == first.id
        later = replace(SOUGHT, attempted_at=NOW + timedelta(minutes=3))
        assert (await look(office, later)).message_id == second.id


# Scheduled


async def test_a_message_that_waits_for_its_time_is_found_with_the_id_that_cancels_it() -> None:
    async with open_office(demo=False) as office:
        receipt = deliver(office, scheduled_for=EVENING)
        found = await look(office, replace(SOUGHT, scheduled_for=EVENING))
        assert found == Found("scheduled", receipt.id, None, EVENING, WAITS)


async def test_a_scheduled_message_that_was_due_meanwhile_is_found_among_the_sent() -> None:
    async with open_office(demo=False) as office:
        receipt = deliver(office, scheduled_for=EVENING)
        office.clock.advance(hours=9)
        found = await look(office, replace(SOUGHT, scheduled_for=EVENING))
        assert (found.outcome, found.message_id, found.at, found.saw) == ("sent", receipt.id, EVENING, SENT)


async def test_a_message_sent_with_an_undo_window_is_found_waiting_and_then_sent() -> None:
    async with open_office(demo=False) as office:
        deliver(office, scheduled_for=NOW + timedelta(minutes=3))
        assert (await look(office)).outcome == "scheduled"
        assert (await look(office)).outcome == "sent"


@pytest.mark.parametrize(
    ("sent", "sought", "saw"),
    [
        (EVENING, EVENING + timedelta(hours=1), "a message just like it waits for another time"),
        (EVENING, None, "a message just like it waits for another time"),
        (None, EVENING, "a message just like it was sent before this one was to leave"),
    ],
)
async def test_a_message_alike_at_another_time_than_the_scheduled_one_leaves_doubt(
    sent: datetime | None, sought: datetime | None, saw: str
) -> None:
    async with open_office(demo=False) as office:
        receipt = deliver(office, scheduled_for=sent)
        found = await look(office, replace(SOUGHT, scheduled_for=sought))
        assert (found.outcome, found.message_id, found.saw) == ("unknown", receipt.id, saw)


async def test_a_list_of_scheduled_mail_without_texts_is_enough_where_the_time_is_exact(interpose: Interpose) -> None:
    async with open_office(demo=False) as office:
        deliver(office, scheduled_for=EVENING)
        interpose(office, rewriting("/scheduled", lambda rows: [row | {"bodyText": None} for row in rows]))
        outcomes = [
            (await look(office, replace(SOUGHT, scheduled_for=EVENING + timedelta(seconds=seconds)))).outcome
            for seconds in (0, 30)
        ]
        assert outcomes == ["scheduled", "unknown"]


async def test_of_two_scheduled_messages_alike_the_one_nearest_to_its_time_is_it() -> None:
    async with open_office(demo=False) as office:
        deliver(office, scheduled_for=EVENING - timedelta(seconds=30))
        receipt = deliver(office, scheduled_for=EVENING)
        deliver(office, scheduled_for=EVENING + timedelta(seconds=10))
        found = await look(office, replace(SOUGHT, scheduled_for=EVENING))
        assert (found.outcome, found.message_id) == ("scheduled", receipt.id)


# What is not it


OTHERS: dict[str, dict[str, Any]] = {
    "other recipients": {"to": ["ruth@helix.example"], "cc": None},
    "one recipient more": {"cc": ["ruth@helix.example", "boss@helix.example"]},
    "one recipient less": {"cc": None},
    "other blind copies": {"bcc": ["someone@else.example"]},
    "other subject": {"subject": "Offer, corrected"},
    "other text": {"body_text": TEXT.replace("3", "5")},
    "another beginning": {"body_text": TEXT[:-4]},
}


@pytest.mark.parametrize("changes", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("scheduled_for", [None, EVENING + timedelta(minutes=5)], ids=["sent", "scheduled"])
async def test_a_message_that_differs_is_not_it(changes: dict[str, Any], scheduled_for: datetime | None) -> None:
    async with open_office(demo=False) as office:
        office.clock.advance(minutes=2)
        deliver(office, scheduled_for=scheduled_for, **changes)
        sought = replace(SOUGHT, scheduled_for=scheduled_for and EVENING)
        assert await look(office, sought) == NOT_SENT


async def test_a_message_alike_long_before_the_attempt_is_not_it() -> None:
    async with open_office(demo=False) as office:
        thread_id = deliver(office).thread_id
        office.clock.advance(minutes=5, seconds=1)
        deliver(office, thread_id=thread_id, to=["someone@else.example"])
        assert await look(office, replace(SOUGHT, attempted_at=office.clock())) == NOT_SENT


async def test_a_message_alike_shortly_before_the_attempt_leaves_doubt() -> None:
    async with open_office(demo=False) as office:
        receipt = deliver(office)
        for seconds in (3, 300):
            found = await look(office, replace(SOUGHT, attempted_at=NOW + timedelta(seconds=seconds)))
            saw = "a message just like it was sent before this one was to leave"
            assert found == Found("unknown", receipt.id, receipt.thread_id, NOW, saw)
            office.clock.advance(minutes=5)


@pytest.mark.parametrize("changes", [{"subject": "Offer (external)"}, {"body_text": "Tracked: " + TEXT}])
async def test_a_message_sent_at_the_very_time_that_differs_in_one_thing_leaves_doubt(changes: dict[str, str]) -> None:
    async with open_office(demo=False) as office:
        office.clock.advance(seconds=5)
        deliver(office, **changes)
        found = await look(office)
        assert (found.outcome, found.saw) == ("unknown", "a message much like it was sent at that time")


async def test_a_message_that_another_operation_sent_is_not_it() -> None:
    async with open_office(demo=False) as office:
        receipt = deliver(office)
        assert receipt.id and receipt.message_id
        for known in (receipt.id, receipt.message_id, receipt.message_id.strip("<>")):
            assert await look(office, known=frozenset({known})) == NOT_SENT


async def test_a_scheduled_message_of_another_operation_is_not_it() -> None:
    async with open_office(demo=False) as office:
        receipt = deliver(office, scheduled_for=EVENING)
        sought = replace(SOUGHT, scheduled_for=EVENING)
        assert await look(office, sought, known=frozenset({receipt.id or ""})) == NOT_SENT


async def test_mail_that_was_received_and_drafts_are_not_it() -> None:
    async with open_office(demo=False) as office:
        user = "dana@helix.example"
        thread_id = office.store.file_message(
            office.user_id,
            received(to=(user,), cc=tuple(EMAIL.cc or ()), sent_at=NOW, subject="Offer", body_text=TEXT),
        ).thread_id
        draft = SaveDraft(**emailed(thread_id=thread_id).model_dump(exclude={"scheduled_for"}))
        office.store.save_draft(office.user_id, draft)
        assert await look(office) == NOT_SENT
        assert requests(office) == (4, 1)


# The id it was sent under


async def test_the_sandbox_answers_the_id_of_a_request_only_where_it_is_told_to() -> None:
    for answers in (False, True):
        store = Store(clock=Clock(), answers_request_ids=answers)
        async with open_office(store=store, user="maya@northwind.example") as office:
            receipt = deliver(office, "some-id")
            deliver(office, "other-id", scheduled_for=EVENING)
            office.store.file_message(office.user_id, received(), thread_id=receipt.thread_id, request_id="theirs")
            ids = [
                (item.model_extra or {}).get("requestId")
                for item in (
                    *(await office.services.client.get_thread(receipt.thread_id or "")).messages,
                    store.list_scheduled(office.user_id, ListScheduled()).items[0],
                )
            ]
            assert ids == ([None, "some-id", "other-id"] if answers else [None] * 3)
            assert ("requestId" in store.thread(office.user_id, receipt.thread_id or "").model_dump_json()) is answers


async def identified(**changes: Any) -> tuple[SendReceipt, Found, Found]:
    """Send a message through the client under the operation's id; look for it, and for another operation's."""
    clock = Clock()
    store = Store(clock=clock, answers_request_ids=True)
    async with open_office(store=store, user="maya@northwind.example", clock=clock) as office:
        receipt = await office.services.client.send_email(emailed(**changes), SOUGHT.operation_id)
        sought = replace(SOUGHT, attempted_at=NOW + timedelta(hours=1))
        return receipt, await look(office, sought), await look(office, replace(sought, operation_id="another"))


async def test_a_message_found_by_the_id_it_was_sent_under_is_certain_whatever_the_clock_says() -> None:
    receipt, found, other = await identified(body_text="Rewritten by the service.")
    saw = "it is among the sent mail, with the id it was sent under"
    assert found == Found("sent", receipt.id, receipt.thread_id, NOW, saw)
    assert other.outcome == "unknown"


async def test_a_scheduled_message_found_by_the_id_it_was_sent_under_is_certain() -> None:
    receipt, found, _ = await identified(scheduled_for=EVENING, subject="Rewritten by the service")
    saw = "it waits among the scheduled mail, with the id it was sent under"
    assert found == Found("scheduled", receipt.id, None, EVENING, saw)


async def test_a_match_by_id_is_preferred_to_one_alike() -> None:
    clock = Clock()
    store = Store(clock=clock, answers_request_ids=True)
    async with open_office(store=store, user="maya@northwind.example", clock=clock) as office:
        deliver(office, "by hand")
        clock.advance(seconds=20)
        receipt = deliver(office, SOUGHT.operation_id)
        deliver(office, "by hand")
        assert (await look(office)).message_id == receipt.id


# What services do to messages


BODIES: dict[str, dict[str, object]] = {
    "CRLF": {"bodyText": TEXT.replace("\n", "\r\n")},
    "trailing blanks": {"bodyText": TEXT.replace("\n", "  \n") + "\n\n"},
    "wrapped": {"bodyText": TEXT.replace(" ", "\n")},
    "decomposed": {"bodyText": normalize("NFD", TEXT)},
    "paragraphs": {"bodyText": None, "bodyHtml": "".join(f"<p>{escape(one)}</p>" for one in TEXT.split("\n\n"))},
    "breaks": {"bodyText": None, "bodyHtml": f"<div>{escape(TEXT)}</div>".replace("\n", "<br>\n")},
    "a page": {
        "bodyText": "",
        "bodyHtml": f"<html><head><style>p {{}}</style></head><body><pre>{escape(TEXT)}</pre></body></html>",
    },
    "hard blanks": {"bodyText": None, "bodyHtml": escape(TEXT).replace(" ", "&nbsp;")},
    "bold": {"bodyText": None, "bodyHtml": escape(TEXT).replace("offer", "of<b>fer</b>")},
    "both": {"bodyText": "This message is HTML.", "bodyHtml": escape(TEXT)},
    "a signature": {"bodyText": f"{TEXT}\n\n-- \nMaya Lindqvist\nNorthwind Robotics"},
    "a signature in HTML": {"bodyText": None, "bodyHtml": f"<p>{escape(TEXT)}</p><img><p>Sent with SalesOS</p>"},
}


@pytest.mark.parametrize("fields", BODIES.values(), ids=BODIES)
async def test_a_text_is_known_again_whatever_a_service_makes_of_it(
    fields: dict[str, object], interpose: Interpose
) -> None:
    async with open_office(demo=False) as office:
        deliver(office)
        interpose(office, rewriting_messages(**fields))
        assert (await look(office)).outcome == "sent"


async def test_a_linked_text_is_known_again_as_html(interpose: Interpose) -> None:
    text = f"{TEXT}\nSee https://northwind.example/offer, please."
    linked = "https://northwind.example/offer"
    html = escape(text).replace(linked, f'<a href="https://click.example/?u=1">{linked}</a>').replace("\n", "<br>")
    async with open_office(demo=False) as office:
        deliver(office, body_text=text)
        interpose(office, rewriting_messages(bodyText=None, bodyHtml=html))
        assert (await look(office, replace(SOUGHT, body_digest=body_digest(text)))).outcome == "sent"


async def test_a_short_text_with_something_added_leaves_doubt(interpose: Interpose) -> None:
    async with open_office(demo=False) as office:
        office.clock.advance(minutes=2)
        deliver(office, body_text="Thanks! See you on Monday.")
        found = await look(office, replace(SOUGHT, body_digest=body_digest("Thanks!")))
        assert (found.outcome, found.saw) == ("unknown", COMPARED_TOO_LITTLE)


SHOWN: dict[str, tuple[dict[str, object], str, str]] = {
    "no blind copies": ({"bccEmails": []}, "sent", SENT),
    "all in one field": (
        {"toEmails": [*SOUGHT.bcc, *SOUGHT.cc, *SOUGHT.to], "ccEmails": [], "bccEmails": []},
        "sent",
        SENT,
    ),
    "with names": ({"toEmails": ["Dana Whitfield <DANA@Helix.Example>"]}, "sent", SENT),
    "Re:": ({"subject": "RE: offer"}, "sent", SENT),
    "no direction": ({"direction": None, "status": None}, "sent", SENT),
    "bounced": ({"status": "BOUNCED"}, "sent", SENT),
    "failed": ({"status": "FAILED"}, "unknown", "a message like it is there, marked as failed"),
    "no time": ({"sentAt": None}, "unknown", "a message just like it was sent, at a time that is not shown"),
    "no recipients": ({"toEmails": [], "ccEmails": [], "bccEmails": []}, "unknown", COMPARED_TOO_LITTLE),
    "no subject": ({"subject": None}, "unknown", COMPARED_TOO_LITTLE),
    "no text": ({"bodyText": None}, "unknown", COMPARED_TOO_LITTLE),
}


@pytest.mark.parametrize(("fields", "outcome", "saw"), SHOWN.values(), ids=SHOWN)
async def test_what_a_service_does_not_show_leaves_doubt_and_is_never_taken_for_another_message(
    fields: dict[str, object], outcome: str, saw: str, interpose: Interpose
) -> None:
    async with open_office(demo=False) as office:
        receipt = deliver(office)
        interpose(office, rewriting_messages(**fields))
        found = await look(office)
        assert (found.outcome, found.saw, found.message_id) == (outcome, saw, receipt.id)


async def test_a_domain_is_the_same_in_ascii_and_in_letters(interpose: Interpose) -> None:
    async with open_office(demo=False) as office:
        deliver(office, to=["a@xn--bcher-kva.example"])
        interpose(office, rewriting_messages(toEmails=["A@bücher.example"]))
        assert (await look(office, replace(SOUGHT, to=("a@xn--bcher-kva.example",)))).outcome == "sent"


# Not sent, and not yet


@pytest.mark.parametrize(("seconds", "outcome"), [(0, "unknown"), (59, "unknown"), (60, "not_sent")])
async def test_absence_says_nothing_while_a_slow_service_may_still_file_the_message(
    seconds: float, outcome: str
) -> None:
    async with open_office(demo=False) as office:
        now = NOW + timedelta(seconds=seconds)
        found = await look_for(office.services.client, SOUGHT, known=frozenset(), now=now)
        assert found.outcome == outcome


@pytest.mark.parametrize(("seconds", "outcome"), [(-1, "not_sent"), (0, "unknown"), (59, "unknown"), (60, "not_sent")])
async def test_a_scheduled_message_has_as_long_to_leave(seconds: float, outcome: str) -> None:
    async with open_office(demo=False) as office:
        sought = replace(SOUGHT, scheduled_for=EVENING)
        now = EVENING + timedelta(seconds=seconds)
        found = await look_for(office.services.client, sought, known=frozenset(), now=now)
        assert found.outcome == outcome


async def test_a_clock_that_jumped_leaves_doubt() -> None:
    sought = replace(SOUGHT, scheduled_for=EVENING, attempted_at=NOW + timedelta(hours=1))
    async with open_office(demo=False) as office:
        found = await look(office, sought)
        assert (found.outcome, found.saw) == ("unknown", "it was not seen, but a clock jumped since it was sent")
        deliver(office, scheduled_for=EVENING)
        found = await look(office, sought)
        assert (found.outcome, found.saw) == (
            "unknown",
            "a message just like it is there, but a clock jumped since it was sent",
        )


# How far it looks


def fill(office: Office, count: int, **fields: Any) -> None:
    """Send `count` messages to as many people; `fields` are formatted with the number of each."""
    with office.store.transaction():
        for number in range(count):
            one = {"subject": f"News {number}", **fields}
            deliver(office, to=[f"reader{number}@list.example"], cc=None, **one)


def requests(office: Office) -> tuple[int, int]:
    """Return how many pages and how many threads were read."""
    paths = [path for method, path, _ in office.wire.requests if method == "GET"]
    threads = sum(path.startswith("/threads/") for path in paths)
    return len(paths) - threads, threads


@pytest.mark.parametrize("envelope", ["array", "items", "data", "plural", "cursor"])
async def test_a_message_is_found_or_known_to_be_missing_among_300_others_in_every_form_of_a_list(
    envelope: str,
) -> None:
    async with open_office(demo=False, envelope=envelope) as office:
        fill(office, 150)
        receipt = deliver(office)
        fill(office, 150)
        assert await look(office, known=frozenset({receipt.id or ""})) == NOT_SENT
        assert requests(office) == (10, 1)
        office.wire.requests.clear()
        assert (await look(office)).message_id == receipt.id
        assert requests(office) == (5, 1)


async def test_a_list_that_goes_on_by_cursors_alone_is_read_to_its_end() -> None:
    class CursorsAlone(httpx.AsyncBaseTransport):
        """A service that knows no page numbers."""

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            request.url = request.url.copy_remove_param("page")
            return await office.wire.handle_async_request(request)

    async with open_office(demo=False, envelope="cursor") as office:
        fill(office, 300)
        async with InboxClient(office.services.settings, transport=CursorsAlone()) as client:
            now = NOW + timedelta(minutes=2)
            assert await look_for(client, SOUGHT, known=frozenset(), now=now) == NOT_SENT


async def test_a_message_among_300_of_the_same_subject_is_found_by_its_recipients() -> None:
    async with open_office(demo=False) as office:
        fill(office, 150, subject="Offer")
        receipt = deliver(office)
        fill(office, 150, subject="Offer")
        assert (await look(office)).message_id == receipt.id
        assert requests(office)[1] <= _lookup.MOST_THREADS


async def test_more_threads_alike_than_can_be_read_leave_doubt() -> None:
    async with open_office(demo=False) as office:
        fill(office, 30, subject="Offer")
        found = await look(office)
        assert (found.outcome, requests(office)[1]) == ("unknown", 20)
        assert found.saw.endswith("there are more threads like it than can be read")


async def test_more_mail_than_can_be_looked_through_leaves_doubt() -> None:
    async with open_office(demo=False) as office:
        fill(office, 501)
        found = await look(office)
        assert (found.outcome, requests(office)) == ("unknown", (12, 0))
        assert found.saw.endswith("there is more mail than can be looked through")


async def test_older_mail_is_not_looked_through() -> None:
    async with open_office(demo=False) as office:
        fill(office, 500, subject="Offer")
        office.clock.advance(minutes=1)
        fill(office, 50)
        office.clock.advance(hours=1)
        assert await look(office, replace(SOUGHT, attempted_at=office.clock())) == NOT_SENT
        assert requests(office) == (4, 0)


@pytest.mark.parametrize("others", [(), ("After this one", "Before this one")])
async def test_a_list_in_another_order_is_read_to_its_end(others: tuple[str, ...]) -> None:
    class Unsorted(httpx.AsyncBaseTransport):
        """A service that sorts by subject, whatever it is asked for."""

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/threads"):
                request.url = request.url.copy_merge_params({"sortBy": "subject", "sortOrder": "asc"})
            return await office.wire.handle_async_request(request)

    async with open_office(demo=False) as office:
        fill(office, 150)
        for subject in others:
            office.clock.advance(minutes=1)
            fill(office, 1, subject=subject)
        office.clock.advance(hours=1)
        receipt = deliver(office)
        async with InboxClient(office.services.settings, transport=Unsorted()) as client:
            sought = replace(SOUGHT, attempted_at=office.clock())
            found = await look_for(client, sought, known=frozenset(), now=office.clock() + timedelta(minutes=2))
        assert (found.outcome, found.message_id) == ("sent", receipt.id)


async def test_a_list_that_shows_its_first_page_for_every_page_leaves_doubt(interpose: Interpose) -> None:
    async with open_office(demo=False) as office:
        fill(office, 150)
        first = (await office.services.client.list_threads(ListThreads(limit=100))).items
        rows = [row.model_dump(mode="json", by_alias=True) for row in first]
        interpose(office, rewriting("/threads", lambda _: rows))
        office.wire.requests.clear()
        assert (await look(office)).outcome == "unknown"
        assert requests(office) == (7, 0)


@pytest.mark.parametrize("shown", [0, 1])
async def test_a_thread_that_is_shown_in_part_leaves_doubt(shown: int, interpose: Interpose) -> None:
    async with open_office(demo=False) as office:
        thread_id = office.store.file_message(office.user_id, received(subject="Offer")).thread_id
        deliver(office, thread_id=thread_id)
        interpose(office, rewriting("/threads/", lambda thread: thread | {"messages": thread["messages"][:shown]}))
        found = await look(office)
        assert (found.outcome, found.saw.endswith("was shown in part only")) == ("unknown", True)


async def test_a_message_is_found_in_a_thread_whose_subject_became_another(interpose: Interpose) -> None:
    async with open_office(demo=False) as office:
        receipt = deliver(office)
        interpose(
            office,
            lambda method, path, response: (
                httpx.Response(200, json=[row | {"subject": "Next steps"} for row in response.json()])
                if path == "/threads"
                else None
            ),
        )
        assert (await look(office)).message_id == receipt.id


# A service that fails while it is searched


FAILURES: dict[str, httpx.Response] = {
    "down": httpx.Response(503),
    "busy": httpx.Response(429, headers={"Retry-After": "60"}),
    "unauthorized": httpx.Response(401),
    "missing": httpx.Response(404),
    "a page": httpx.Response(200, text="<html>"),
    "another form": httpx.Response(200, json={"threads": 5}),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_from_whichever_request_on_all_fail_the_message_is_never_said_to_be_missing(
    failure: httpx.Response, interpose: Interpose
) -> None:
    async with open_office(demo=False) as office:
        thread_id = office.store.file_message(office.user_id, received()).thread_id
        sought = replace(SOUGHT, thread_id=thread_id)
        assert await look(office, sought) == NOT_SENT
        whole = len(office.wire.requests)
        assert whole == 5
        for failing in range(whole):
            office.wire.requests.clear()

            def rewrite(method: str, path: str, response: httpx.Response, failing: int = failing) -> Any:
                return failure if len(office.wire.requests) > failing else None

            interpose(office, rewrite)
            found = await look(office, sought)
            assert (found.outcome, found.message_id) == ("unknown", None)


async def test_a_message_is_found_although_another_list_fails(interpose: Interpose) -> None:
    async with open_office(demo=False) as office:
        receipt = deliver(office)
        interpose(office, lambda method, path, response: FAILURES["down"] if path == "/scheduled" else None)
        assert (await look(office)).message_id == receipt.id


async def test_a_service_that_asks_for_patience_is_left_alone(interpose: Interpose) -> None:
    async with open_office(demo=False) as office:
        interpose(office, lambda method, path, response: FAILURES["busy"])
        found = await look(office)
        assert found.saw.endswith("SalesOS takes no more requests for now")
        assert len(office.wire.requests) == 1


async def test_a_service_that_does_not_answer_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await anyio.sleep_forever()
            raise AssertionError

    monkeypatch.setattr(_lookup, "LONGEST_LOOK", 0.05)
    async with InboxClient(Settings(api_key="key", base_url=BASE_URL), transport=Silent()) as client:
        with anyio.fail_after(5):
            found = await look_for(client, SOUGHT, known=frozenset(), now=NOW + timedelta(hours=1))
    assert (found.outcome, found.saw.endswith("looking for it took too long")) == ("unknown", True)


# Its draft


async def test_not_sent_is_not_concluded_where_its_draft_is_gone(interpose: Interpose) -> None:
    async with open_office(demo=False) as office:
        draft = SaveDraft(**emailed().model_dump(exclude={"scheduled_for"}))
        draft_id = office.store.save_draft(office.user_id, draft).id
        sought = replace(SOUGHT, draft_id=draft_id)
        assert await look(office, sought) == replace(NOT_SENT, saw=f"{NOT_SENT.saw}; its draft is still there")
        assert await look(office, replace(sought, draft_id="gone")) == replace(
            NOT_SENT, outcome="unknown", saw=f"{NOT_SENT.saw}; its draft is gone"
        )
        office.wire.requests.clear()
        interpose(office, lambda method, path, response: FAILURES["down"] if len(office.wire.requests) > 4 else None)
        assert await look(office, sought) == NOT_SENT
        assert len(office.wire.requests) == 7, "the draft is asked for three times"


async def test_a_sent_draft_is_found_where_it_was_a_draft() -> None:
    async with open_office(demo=False) as office:
        draft = SaveDraft(**emailed(subject="A beginning").model_dump(exclude={"scheduled_for"}))
        draft_id = office.store.save_draft(office.user_id, draft).id
        receipt = deliver(office, draft_id=draft_id)
        assert (await look(office, replace(SOUGHT, draft_id=draft_id))).message_id == receipt.id


# What the ledger keeps


@given(st.text())
def test_a_digest_does_not_depend_on_line_ends_and_blanks(text: str) -> None:
    lines = text.split("\n")
    assert body_digest("\r\n".join(line + " \t" for line in lines) + "\n\n") == body_digest(text)


@given(st.text(min_size=1), st.text(min_size=1))
def test_texts_of_other_characters_have_other_digests(one: str, other: str) -> None:
    def seen(text: str) -> str:
        return "".join(normalize("NFC", text).split())

    if one.isprintable() and other.isprintable() and seen(one) != seen(other):
        assert body_digest(one) != body_digest(other)


def test_no_text_is_as_good_as_an_empty_one() -> None:
    assert body_digest(None) == body_digest("") == body_digest(" \n")
