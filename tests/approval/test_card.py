"""What a person is shown: whole cards, and that no text of others can pass for ours."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from salesos_inbox.approval.card import (
    BODY_CHARACTERS,
    LISTED_THREADS,
    Card,
    Recipient,
    ThreadLine,
    facts_card,
    inert,
    local_and_utc,
    message_card,
    threads_card,
)

ANN = Recipient("To", "Ann <ann@helix.example>", "in this thread")
EVE = Recipient("Bcc", "eve@elsewhere.example", None)


def message(**changed: object) -> Card:
    fields: dict[str, object] = {
        "recipients": [ANN],
        "subject": "Offer",
        "body": "See below.",
        "in_thread": None,
        "when": None,
    }
    return message_card(**{**fields, **changed})  # pyright: ignore[reportArgumentType] -- a test's shorthand


# Whole cards


def test_the_card_of_a_reply_to_people_who_are_known() -> None:
    card = message(in_thread="Rollout", subject="Re: Rollout", body="Hello Ann,\n\nhttps://x.example is up.\n")
    assert (card.text, card.approve) == snapshot(
        (
            """\
Send this email?
To: Ann <ann@helix.example> (in this thread)
Subject: Re: Rollout
In reply to: Rollout
Leaves: at once
Message:
    Hello Ann,
    \n\
    hxxps:⁄⁄x.example is up.
    \
""",
            "Send it",
        )
    )


def test_the_card_of_a_message_that_is_scheduled_for_someone_new() -> None:
    moment = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    local = moment.astimezone(timezone(timedelta(hours=1)))
    when = local_and_utc(moment, local, "Europe/Berlin")
    card = message(recipients=[ANN, EVE], subject="", when=when)
    assert (card.text, card.approve) == snapshot(
        (
            """\
Schedule this email?
! 1 of 2 recipients outside your organization:
!     eve@elsewhere.example

To: Ann <ann@helix.example> (in this thread)
Bcc: eve@elsewhere.example (outside your organization)
Subject: (none)
A new conversation
Leaves: Monday 23 November 2026, 09:00 (Europe/Berlin), 2026-11-23 08:00 UTC
Message:
    See below.\
""",
            "Schedule it",
        )
    )


def test_the_card_of_a_plan_names_every_thread_and_counts_those_it_does_not() -> None:
    many = [ThreadLine(f"t{number}", f"Person {number}", f"Subject {number}") for number in range(LISTED_THREADS + 2)]
    card = threads_card("Change 33 threads?", "Do it", [("Star", [many[0]]), ("Move to the trash", many)])
    lines = card.text.split("\n")
    assert (lines[:5], lines[-2:], len(lines)) == snapshot(
        (
            [
                "Change 33 threads?",
                "Star (1 thread):",
                "    Person 0: Subject 0",
                "Move to the trash (32 threads):",
                "    Person 0: Subject 0",
            ],
            ["    Person 29: Subject 29", "    and 2 more, not listed here"],
            35,
        )
    )


def test_the_card_of_one_thing_is_a_list_of_facts() -> None:
    card = facts_card("Cancel?", "Cancel the email", [("To", "ann@helix.example"), ("Subject", "Offer\nTo: eve")])
    assert card.text == snapshot("""\
Cancel?
To: ann@helix.example
Subject: Offer To: eve\
""")


def test_of_a_long_body_the_beginning_and_the_end_are_shown_and_the_rest_is_counted() -> None:
    half = BODY_CHARACTERS // 2
    card = message(body="a" * half + "b" * 5 + "c" * half)
    assert card.lines[-3:] == (
        "    " + "a" * half,
        "(5 more characters here, not shown; the end follows)",
        "    " + "c" * half,
    )


def test_no_text_hides_behind_blank_lines() -> None:
    card = message(body="Hello" + "\n \n" * 3000 + "and transfer the money")
    assert card.lines[-5:] == ("Message:", "    Hello", "    ", "    ", "    and transfer the money")


def test_the_files_of_a_draft_stand_on_the_card_and_are_approved_with_it() -> None:
    bare, loaded = message(), message(attachments=["prices.xlsx (application/vnd.ms-excel, 4 kB)"])
    assert "Attached: prices.xlsx (application/vnd.ms-excel, 4 kB)" in loaded.lines
    assert bare.content != loaded.content


def test_an_address_is_never_cut_whatever_name_it_has() -> None:
    card = message(recipients=[Recipient("To", f"{'A' * 900} <eve@elsewhere.example>", None)])
    assert sum("<eve@elsewhere.example>" in line for line in card.lines) == 2


# What an approval covers


@pytest.mark.parametrize(
    "changed",
    [
        {"body": "x" * BODY_CHARACTERS + "b" + "x" * BODY_CHARACTERS},
        {"unseen": "<p>b</p>"},
        {"recipients": [Recipient("To", "a\u200bnn@helix.example", None)]},
    ],
)
def test_an_approval_covers_what_the_card_does_not_show(changed: dict[str, object]) -> None:
    was = {
        "body": "x" * BODY_CHARACTERS + "a" + "x" * BODY_CHARACTERS,
        "unseen": "<p>a</p>",
        "recipients": [Recipient("To", "ann@helix.example", None)],
    }
    [name] = changed
    one, other = message(**{name: was[name]}), message(**changed)
    assert one.text == other.text
    assert one.content != other.content


def test_an_approval_of_a_plan_covers_the_threads_it_does_not_list() -> None:
    lines = [ThreadLine(f"t{number}", "Ann", "Hello") for number in range(LISTED_THREADS + 1)]
    one = threads_card("?", "Do it", [("Archive", lines)])
    other = threads_card("?", "Do it", [("Archive", [*lines[:-1], ThreadLine("other", "Ann", "Hello")])])
    assert one.text == other.text
    assert one.content != other.content


# Text of others

BREAKS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
HOSTILE = st.text(
    st.sampled_from(f"{BREAKS}\x00\x07\x1b\t \u202a\u202e\u2066\u2069\u200b\u200e\ufeff:!#*|>aTo<") | st.characters()
) | st.sampled_from(
    [
        "\nTo: boss@helix.example (in this thread)",
        "\u2028Leaves: at once",
        "x\r\nMessage:\r\n",
        "https://evil.example",
        "_http://evil.example",
        "xHTTP://evil.example",
        "ht\u200btps://evil.example",
        "www.evil.example",
        "[click](https://evil.example)",
        "javascript://evil.example",
    ]
)
FOREIGN = st.lists(HOSTILE, max_size=4).map("".join)
LABELS = ("To: ", "Cc: ", "Bcc: ", "Subject: ", "In reply to: ", "Leaves: ", "!     ", "    ", "Fact: ")
OURS = re.compile(
    r"! \d+ of \d+ recipients? (not seen in this thread before|outside your organization):||A new conversation|Message:"
    r"|\(\d+ more characters here, not shown; the end follows\)"
)
UNSEEN = {"Cc", "Cs"}
BIDI = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def check(card: Card) -> None:
    """Every line is ours or begins with a mark of ours, and none can trick the eye or be clicked."""
    assert card.text.split("\n") == card.text.splitlines() or card.text.endswith("\n")
    for line in card.text.split("\n")[1:]:
        assert line.startswith(LABELS) or OURS.fullmatch(line), line
    shown = card.text.replace("\n", "").replace("\t", "")
    assert not [character for character in shown if unicodedata.category(character) in UNSEEN or character in BIDI]
    assert "://" not in card.text
    assert not re.search(r"(?i)\bwww\.", card.text)


@given(
    recipients=st.lists(st.builds(Recipient, st.sampled_from(["To", "Cc", "Bcc"]), FOREIGN, st.none()), max_size=3),
    subject=FOREIGN,
    body=FOREIGN,
    in_thread=st.none() | FOREIGN,
)
def test_no_text_of_others_forges_a_line_of_a_message(
    recipients: list[Recipient], subject: str, body: str, in_thread: str | None
) -> None:
    card = message_card(recipients=recipients, subject=subject, body=body, in_thread=in_thread, when=None)
    check(card)
    label = [line.partition(":")[0] for line in card.lines]
    assert label.count("Subject") == label.count("Leaves") == label.count("Message") == 1
    assert sum(kind in ("To", "Cc", "Bcc") for kind in label) == len(recipients)
    above = card.lines[: card.lines.index("Message:")]
    assert not [line for line in above if line.startswith("    ")]


@given(action=FOREIGN, lines=st.lists(st.builds(ThreadLine, st.just("t"), FOREIGN, FOREIGN), max_size=3))
@example(action="Move to \nStar (9 threads):", lines=[])
def test_no_text_of_others_forges_a_line_of_a_plan(action: str, lines: list[ThreadLine]) -> None:
    card = threads_card("Change?", "Do it", [(f"Move to {action}", lines)])
    assert card.lines[0].startswith("Move to")
    assert len(card.lines) == 1 + len(lines)
    check(Card(card.title, card.lines[1:], card.approve))
    assert len(card.text.splitlines()) == 2 + len(lines)


@given(value=FOREIGN)
def test_no_text_of_others_forges_a_fact(value: str) -> None:
    card = facts_card("Cancel?", "Cancel it", [("Fact", value)])
    assert len(card.lines) == 1
    check(card)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://a.example/x", "hxxps:⁄⁄a.example/x"),
        ("see HTTP://a.example", "see HTTP:⁄⁄a.example"),
        ("_http://a.example_", "_hxxp:⁄⁄a.example_"),
        ("xhttp://a.example", "xhxxp:⁄⁄a.example"),
        ("ftp://a.example", "fxp:⁄⁄a.example"),
        ("custom://a.example", "custom:⁄⁄a.example"),
        ("www.a.example", "www[.]a.example"),
        ("ann@helix.example", "ann@helix.example"),
        ("C://", "C:⁄⁄"),
    ],
)
def test_addresses_of_the_web_are_shown_so_that_no_client_makes_a_link_of_them(text: str, shown: str) -> None:
    assert inert(text) == shown
