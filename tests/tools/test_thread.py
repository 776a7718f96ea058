"""A thread within a budget: nothing is lost between its pages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import NOW
from salesos_inbox.contract.models import Attachment, Message, Thread
from salesos_inbox.errors import InvalidArguments
from salesos_inbox.mail.budget import estimate_tokens
from salesos_inbox.mail.fence import outside
from salesos_inbox.mail.reading import read_body
from salesos_inbox.mail.repeats import is_repeated, runs_of
from salesos_inbox.tools._acquaintance import NOBODY_KNOWN, Acquaintance
from salesos_inbox.tools._args import query_fingerprint, write_cursor
from salesos_inbox.tools._thread import thread_view
from salesos_inbox.views import ThreadView


def a_thread(*bodies: str, **fields: Any) -> Thread:
    messages = [
        Message(
            id=f"m{number}",
            from_email="dana@helix.example",
            from_name="Dana",
            to_emails=["maya@northwind.example"],
            body_text=body,
            direction="INBOUND",
            status="RECEIVED",
            sent_at=NOW - timedelta(hours=len(bodies) - number),
        )
        for number, body in enumerate(bodies)
    ]
    return Thread(id="t1", subject="Offer", messages=messages, **fields)


def view(
    thread: Thread,
    *,
    max_tokens: int = 4000,
    include_quoted: bool = False,
    cursor: str | None = None,
    acquaintance: Acquaintance = NOBODY_KNOWN,
) -> ThreadView:
    return thread_view(
        thread,
        own=frozenset({"maya@northwind.example"}),
        now=NOW,
        show_time=lambda moment: moment.astimezone(UTC).isoformat(timespec="minutes"),
        zone="UTC",
        max_tokens=max_tokens,
        include_quoted=include_quoted,
        cursor=cursor,
        acquaintance=acquaintance,
    )


def pages(thread: Thread, **options: Any) -> list[ThreadView]:
    """Return every page of a thread, the newest first."""
    found = [view(thread, **options)]
    while found[-1].next_cursor:
        found.append(view(thread, cursor=found[-1].next_cursor, **options))
        assert len(found) < 2_000, "the cursor does not advance"
    return found


def texts(found: list[ThreadView]) -> list[str]:
    """Return the text of every message, its pieces joined, the oldest message first."""
    joined: list[str] = []
    for page in found:
        for message in reversed(page.messages):
            if message.skipped_chars:
                assert message.skipped_chars == len(joined[-1])
                joined[-1] += message.text
            else:
                joined.append(message.text)
    return joined[::-1]


def test_a_short_thread_is_shown_whole_the_oldest_message_first() -> None:
    found = view(a_thread("first", "second", "third"))
    assert texts([found]) == ["first", "second", "third"]
    assert (found.earlier_messages, found.next_cursor, found.note) == (0, None, None)
    assert [message.at for message in found.messages] == [
        "2026-11-18T06:00+00:00",
        "2026-11-18T07:00+00:00",
        "2026-11-18T08:00+00:00",
    ]


def test_the_newest_message_is_kept_and_the_earlier_ones_are_counted() -> None:
    thread = a_thread(*(f"message {number} " + "word " * 300 for number in range(10)))
    found = view(thread, max_tokens=800)
    assert found.messages[-1].text.startswith("message 9 ")
    assert len(found.messages) + found.earlier_messages == 10
    assert found.next_cursor
    assert found.note == f"next_cursor goes on with {found.earlier_messages} earlier messages."


def test_a_message_too_long_is_cut_and_the_cursor_goes_on_where_it_was_cut() -> None:
    long = " ".join(f"word{number}" for number in range(2_000))
    first, second, *_ = pages(a_thread("short", long), max_tokens=500)
    (message,) = first.messages
    assert message.left_chars and not message.skipped_chars
    assert first.earlier_messages == 1
    assert "the rest of the first message shown, then 1 earlier message." in (first.note or "")
    assert second.messages[-1].skipped_chars == len(long) - message.left_chars


def test_all_pages_together_are_the_whole_thread() -> None:
    bodies = [f"{number}: " + f"paragraph {number}\n\n" * (number * 17 % 90) + "end" for number in range(25)]
    found = pages(a_thread(*bodies), max_tokens=400)
    assert len(found) > 5
    assert texts(found) == [read_body(None, body).text for body in bodies]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(max_size=60) | st.integers(0, 900).map(lambda count: "word ärger 価格\n" * count), max_size=6),
    st.integers(300, 2_000),
    st.booleans(),
)
def test_no_character_of_any_message_is_lost_or_shown_twice(
    bodies: list[str], max_tokens: int, include_quoted: bool
) -> None:
    found = pages(a_thread(*bodies), max_tokens=max_tokens, include_quoted=include_quoted)
    readings = [read_body(None, body) for body in bodies]
    runs = [runs_of("\n".join((reading.text, reading.signature, reading.quoted))) for reading in readings]
    signatures = [reading.signature.split() for reading in readings]
    whole = [
        "\n\n".join(
            part
            for part, is_shown in (
                (reading.text, True),
                (
                    reading.signature,
                    include_quoted or signatures[place : place + 1] != signatures[place + 1 : place + 2],
                ),
                (reading.quoted, include_quoted or not place or not is_repeated(reading.quoted, runs[:place])),
            )
            if part and is_shown
        )
        for place, reading in enumerate(readings)
    ]
    assert texts(found) == whole


@settings(max_examples=40, deadline=None)
@given(st.integers(300, 6_000), st.integers(1, 40), st.integers(0, 30), st.integers(0, 30))
def test_a_page_costs_what_it_may_whatever_the_messages_carry(
    max_tokens: int, count: int, recipients: int, attachments: int
) -> None:
    thread = a_thread(*(["ok " * 40] * count))
    for message in thread.messages:
        message.to_emails = [
            f"a-rather-long-name-of-somebody-{n}@a-rather-long-domain.example" for n in range(recipients)
        ]
        message.attachments = [Attachment(filename=f"offer {n} final.pdf", size=12_345) for n in range(attachments)]
    found = view(thread, max_tokens=max_tokens)
    one = max(estimate_tokens(message.model_dump_json(exclude_none=True)) for message in found.messages)
    spent = sum(estimate_tokens(message.model_dump_json(exclude_none=True)) for message in found.messages)
    assert spent <= max(max_tokens * 1.1, one)


def test_quotes_are_folded_and_counted_or_shown() -> None:
    body = "Yes.\n\nOn Fri, Nov 13, 2026 at 6:27 PM Maya <maya@northwind.example> wrote:\n> Is it fine?\n"
    thread = a_thread("Is it fine?", body)
    folded, whole = view(thread).messages[1], view(thread, include_quoted=True).messages[1]
    assert folded.text == "Yes."
    assert folded.quoted_chars
    assert "> Is it fine?" in whole.text
    assert whole.quoted_chars is None


def test_a_thread_without_messages_is_an_empty_one() -> None:
    found = view(Thread(id="t1"))
    assert (found.messages, found.earlier_messages, found.next_cursor) == ([], 0, None)


def test_a_cursor_belongs_to_its_thread_and_its_way_of_reading() -> None:
    thread = a_thread(*(["word " * 500] * 5))
    cursor = view(thread, max_tokens=300).next_cursor
    assert cursor
    for other, include_quoted in ((thread.model_copy(update={"id": "t2"}), False), (thread, True)):
        with pytest.raises(InvalidArguments, match="belongs to another query"):
            view(other, cursor=cursor, include_quoted=include_quoted)


def test_a_cursor_still_goes_on_where_it_stood_after_a_new_message_came() -> None:
    bodies = [f"{number} " + "word " * 400 for number in range(4)]
    first = view(a_thread(*bodies), max_tokens=300)
    assert first.next_cursor
    later = a_thread(*bodies, "a new message")
    second = view(later, max_tokens=300, cursor=first.next_cursor)
    assert texts([first]) != [bodies[-1].strip()]
    assert second.messages[-1].skipped_chars == len(texts([first])[0])


def test_nothing_is_lost_of_a_message_whose_signature_is_repeated_by_one_that_came_between_its_pages() -> None:
    signature = "\n\n-- \nDana, Helix\n" + "+31 10 555 " * 9
    quoted = "\n\nOn Fri, Nov 13, 2026 at 6:27 PM Ann <ann@x.example> wrote:\n" + "> word word\n" * 200
    bodies = [f"Hello{signature}{quoted}", "Bye"]
    whole = texts(pages(a_thread(*bodies)))
    seen = [view(a_thread(*bodies), max_tokens=300)]
    cursor = seen[0].next_cursor
    while cursor:
        seen.append(view(a_thread(*bodies, f"New{signature}"), max_tokens=300, cursor=cursor))
        cursor = seen[-1].next_cursor
    assert texts(seen) == whole


def test_the_users_address_on_what_came_in_makes_it_nobodys_own() -> None:
    thread = a_thread("Pay this, it is me.")
    thread.messages[0].from_email = "Maya@northwind.example"
    (message,) = view(thread).messages
    assert message.from_me is None
    assert message.signals == ["own_address: it came in with the user's own address as its sender"]
    thread.messages[0].direction = None
    (message,) = view(thread).messages
    assert (message.from_me, message.signals) == (True, None)


@pytest.mark.parametrize("position", ["0.gone", "x.m0", "-1.m0", "m0", "1e3.m0"])
def test_a_cursor_to_nowhere_is_refused(position: str) -> None:
    thread = a_thread(*(["word " * 500] * 5))
    cursor = view(thread, max_tokens=300).next_cursor
    assert cursor
    with pytest.raises(InvalidArguments, match="leave the cursor out"):
        view(thread, cursor=f"{cursor.partition('.')[0]}.{position}")


def test_a_cursor_beyond_the_end_of_a_message_shows_nothing_of_it_and_goes_on() -> None:
    thread = a_thread("older", "newer")
    fingerprint = query_fingerprint("read_thread", {"thread": thread.id, "quoted": False})
    found = view(thread, cursor=write_cursor(fingerprint, "999.m1"))
    assert [message.text for message in found.messages] == ["older", ""]


def test_an_unknown_time_of_a_message_is_left_out() -> None:
    thread = a_thread("hello")
    thread.messages[0].sent_at = None
    assert view(thread).messages[0].at is None
    thread.messages[0].received_at = datetime(2026, 11, 18, 8, tzinfo=UTC)
    assert view(thread).messages[0].at == "2026-11-18T08:00+00:00"


def test_a_quote_is_shown_where_no_earlier_message_holds_it() -> None:
    body = "Please take over.\n\nOn Fri, Nov 13, 2026 at 6:27 PM Ann <ann@x.example> wrote:\n> The price is 4,000."
    first, second = view(a_thread(body, body)).messages
    assert ("The price is 4,000." in first.text, first.quoted_chars) == (True, None)
    assert ("The price is 4,000." in second.text, bool(second.quoted_chars)) == (False, True)


def test_a_signature_stays_where_its_sender_wrote_it_last() -> None:
    thread = a_thread(
        "Hello\n\n-- \nDana, Helix\n+31 10 555", "Bye\n\n-- \nDana, Helix\n+31 10 555", "Thanks\n\n-- \nMax"
    )
    thread.messages[2].from_email = "max@helix.example"
    first, second, third = view(thread).messages
    assert (first.text, first.signature_chars) == ("Hello", len("--\nDana, Helix\n+31 10 555"))
    assert [("Dana, Helix" in second.text, second.signature_chars), ("Max" in third.text, third.signature_chars)] == [
        (True, None),
        (True, None),
    ]
    assert "+31 10 555" in view(thread, include_quoted=True).messages[0].text


def test_a_follow_up_whose_reply_has_come_says_so() -> None:
    thread = a_thread(
        "Our offer", "Can you do ten?", follow_up={"reminderDate": NOW - timedelta(hours=1), "note": "call"}
    )
    assert view(thread).follow_up == f"due 2026-11-18T08:00+00:00: {outside('call')}"
    thread.messages[0].direction = "OUTBOUND"
    assert view(thread).follow_up == f"due 2026-11-18T08:00+00:00, they wrote last: {outside('call')}"
    thread.messages[1].subject = "Automatic reply: Our offer"
    thread.messages[1].body_text = "I am out of the office until Monday."
    assert view(thread).follow_up == f"due 2026-11-18T08:00+00:00: {outside('call')}"


def test_who_gets_a_message_is_said_where_it_changes() -> None:
    thread = a_thread("one", "two", "three", "four")
    thread.messages[1].from_email, thread.messages[1].to_emails = "maya@northwind.example", ["dana@helix.example"]
    thread.messages[2].cc_emails = ["ruth@helix.example"]
    thread.messages[3].cc_emails = ["ruth@helix.example"]
    assert [(message.to, message.cc) for message in view(thread).messages] == [
        ("maya@northwind.example", None),
        (None, None),
        ("maya@northwind.example", "ruth@helix.example"),
        (None, None),
    ]


def test_a_subject_of_its_own_stands_with_its_message() -> None:
    thread = a_thread("one", "two", "three", "four")
    subjects = ("Offer", "RE: Offer", "=?utf-8?q?AW=3A_Offer?=", "FW: Offer")
    for message, subject in zip(thread.messages, subjects, strict=True):
        message.subject = subject
    assert [message.subject for message in view(thread).messages] == [None, None, None, "FW: Offer"]


def test_a_first_contact_is_told_once() -> None:
    strangers = Acquaintance(strangers=frozenset({"dana@helix.example"}))
    thread = a_thread("one", "two")
    assert [message.signals for message in view(thread, acquaintance=strangers).messages] == [
        ["first_contact: no earlier mail with this sender"],
        None,
    ]


def test_words_put_into_a_quote_are_shown() -> None:
    quote = "On Fri, Nov 13, 2026 at 6:27 PM Maya <maya@northwind.example> wrote:\n> Ten robots, as we said on Monday."
    added = "\n> Please wire the deposit to our new account at the other bank before noon."
    thread = a_thread("Ten robots, as we said on Monday.", f"Agreed.\n\n{quote}", f"Agreed.\n\n{quote}{added}")
    _, second, third = view(thread).messages
    assert (second.text, bool(second.quoted_chars)) == ("Agreed.", True)
    assert ("our new account" in third.text, third.quoted_chars) == (True, None)
