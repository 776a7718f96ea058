# ruff: noqa: E501 -- the snapshots hold whole sentences
"""What a person is shown: whole cards, and that no text of others can pass for ours, hide, or be clicked."""

import json
import os
import re
import time
import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from salesos_inbox.approval.card import (
    BODY_CHARACTERS,
    BODY_LINES,
    LISTED_THREADS,
    MARGIN,
    WIDEST_LINE,
    Card,
    Earlier,
    Provenance,
    Recipient,
    Remark,
    ThreadLine,
    facts_card,
    local_and_utc,
    message_card,
    odd_time,
    threads_card,
)
from salesos_inbox.approval.inert import inert

ANN = Recipient("To", "ann@helix.example", Provenance.IN_THREAD)
EVE = Recipient("Bcc", "eve@elsewhere.example", Provenance.FIRST_CONTACT)


def message(**changed: object) -> Card:
    fields: dict[str, object] = {"recipients": [ANN], "subject": "Offer", "body": "See below.", "in_thread": None}
    return message_card(**{**fields, **changed})  # pyright: ignore[reportArgumentType] -- a test's shorthand


def shown(body: str) -> list[str]:
    """The lines of a body in a card's text."""
    lines = message(body=body).text.split("\n")
    return lines[lines.index("Message:") + 1 :]


# Whole cards


def test_the_card_of_a_reply_to_people_who_are_known() -> None:
    card = message(
        in_thread="Rollout",
        subject="Re: Rollout",
        body="Hello Ann,\n\nhttps://x.example is up.\n",
        records=["Deal: Helix rollout"],
        attachments=["prices.xlsx (application/vnd.ms-excel, 4 kB)"],
    )
    assert (card.text, card.approve) == snapshot(
        (
            """\
Send this email?
To: ann@helix.example (in this thread)
Subject: Re: Rollout
In reply to: Rollout
Linked to: Deal: Helix rollout
Leaves: at once
Attached: prices.xlsx (application/vnd[.]ms-excel, 4 kB)
Message:
│ Hello Ann,
│
│ https[:]⁄⁄x[.]example is up.\
""",
            "Send it",
        )
    )


def test_the_card_of_a_message_with_all_there_is_to_warn_of() -> None:
    moment = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)
    local = moment.astimezone(timezone(timedelta(hours=1)))
    card = message(
        recipients=[
            ANN,
            Recipient("To", "billing@acme-lnvoices.test", Provenance.BODY_ONLY, looks_like="acme-invoices.test"),
            Recipient("Cc", "you@brightwater.example", Provenance.YOURSELF),
            Recipient("Cc", "priya@brightwater.example", Provenance.OWN_DOMAIN),
            Recipient("Cc", "tom@orchard.example", Provenance.WRITTEN_TO),
            Recipient("Cc", "mal@elsewhere.example", Provenance.NAMED_IN_THREAD, added_by="bob@helix.example"),
            Recipient("Cc", "kim@harbor.example", Provenance.UNCHECKED),
            EVE,
        ],
        subject="",
        in_thread="",
        when=local_and_utc(moment, local, "Europe/Berlin"),
        odd_time=odd_time(local),
        attachments=["offer.pdf (application/pdf, 80 kB)"],
        similar="You sent a message with this subject to 2 of these recipients on Friday.",
        earlier=Earlier("unknown", "Sunday 22 November 2026, 10:15 (Europe/Berlin)"),
    )
    assert (card.text, card.approve) == snapshot(
        (
            """\
Schedule this email again?
! This very message was tried before (Sunday 22 November 2026, 10:15 (Europe/Berlin)) without an answer, and whether it left is not known: approving may send it a second time.
! acme-lnvoices[.]test looks like acme-invoices[.]test, which you know.
! Seen only in the text of a received mail, and nowhere else (1 of 8 recipients): billing@acme-lnvoices.test
! First contact (1 of 8 recipients): eve@elsewhere.example
! In this thread only because bob@helix.example put it there (1 of 8 recipients): mal@elsewhere.example
! Not looked up whether you know them (1 of 8 recipients): kim@harbor.example
! They would get 1 file with it.
! It would leave on a Sunday at night.
! You sent a message with this subject to 2 of these recipients on Friday.

To: ann@helix.example (in this thread)
To: billing@acme-lnvoices.test (seen only in the text of a received mail; looks like acme-invoices[.]test)
Cc: you@brightwater.example (you)
Cc: priya@brightwater.example (your own organization)
Cc: tom@orchard.example (you have written to them before)
Cc: mal@elsewhere.example (in this thread only because bob@helix.example put it there)
Cc: kim@harbor.example (not looked up)
Bcc: eve@elsewhere.example (first contact)
Subject: (none)
In reply to: (no subject)
Leaves: Sunday 22 November 2026, 23:00 (Europe/Berlin), 2026-11-22 22:00 UTC
Attached: offer.pdf (application/pdf, 80 kB)
Message:
│ See below.\
""",
            "Schedule it again",
        )
    )


def test_the_card_of_a_plan_names_every_thread_and_counts_those_it_does_not() -> None:
    many = [ThreadLine(f"t{number}", f"Person {number}", f"Subject {number}") for number in range(LISTED_THREADS + 2)]
    card = threads_card("Change 33 threads?", "Do it", [("Star", "star", many[:1]), ("Delete", "delete", many)])
    lines = card.text.split("\n")
    assert (lines[:5], lines[-2:], len(lines)) == snapshot(
        (
            [
                "Change 33 threads?",
                "Star (1 thread):",
                "• Person 0: Subject 0",
                "Delete (32 threads):",
                "• Person 0: Subject 0",
            ],
            ["• Person 29: Subject 29", "(2 more, not listed here)"],
            35,
        )
    )
    assert [item.key for item in card.groups[1].items] == [f"delete t{number}" for number in range(len(many))]


def test_the_card_of_one_thing_is_a_list_of_facts() -> None:
    card = facts_card(
        "Cancel?", "Cancel the email", [("To", "ann@helix.example"), ("Subject", "Offer\nTo: eve@x.test")]
    )
    assert card.text == snapshot("""\
Cancel?
To: ann@helix.example
Subject: Offer[U+000A]To: eve@x[.]test\
""")


def test_the_data_of_a_card() -> None:
    card = message(recipients=[EVE], body="See https://x.example\n\n\n\n\nbelow.", undo_seconds=30)
    assert card.document() == snapshot(
        {
            "title": "Send this email?",
            "approve": "Send it",
            "warnings": ["First contact: eve@elsewhere.example"],
            "facts": [
                {"label": "Bcc", "value": "eve@elsewhere.example", "note": "first contact"},
                {"label": "Subject", "value": "Offer", "note": ""},
                {"label": "Conversation", "value": "a new conversation", "note": ""},
                {"label": "Leaves", "value": "in 30 seconds; it can be taken back until then", "note": ""},
            ],
            "body": ["See https://x.example", {"remark": "(4 blank lines here)"}, "below."],
            "groups": [],
            "content": '[[["Bcc", "eve@elsewhere.example"]], "Offer", "See https://x.example\\n\\n\\n\\n\\nbelow.", null, null, [], ""]',
        }
    )
    assert threads_card("?", "Do it", [("Star", "star", [ThreadLine("t1", "Ann", "Hi")])]).document() == snapshot(
        {
            "title": "?",
            "approve": "Do it",
            "warnings": [],
            "facts": [],
            "body": [],
            "groups": [{"title": "Star (1 thread)", "items": [{"key": "star t1", "text": "Ann: Hi"}]}],
            "content": '[["star", ["t1"]]]',
        }
    )


# What stands where


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("sent", "was sent before (Monday): approving sends it a second time"),
        ("unknown", "was tried before (Monday) without an answer, and whether it left is not known"),
        ("not_found", "was tried before (Monday) without an answer; it is not among the sent mail"),
    ],
)
def test_what_became_of_this_very_message_is_the_first_warning_of_all(outcome: str, words: str) -> None:
    alike = Recipient("To", "eve@helix.test", Provenance.FIRST_CONTACT, looks_like="helix.example")
    card = message(recipients=[alike], earlier=Earlier(outcome, "Monday"))  # pyright: ignore[reportArgumentType]
    assert words in card.warnings[0]
    assert (card.title, card.approve) == ("Send this email again?", "Send it again")


def test_nothing_is_warned_of_where_all_recipients_are_familiar() -> None:
    familiar = [Provenance.YOURSELF, Provenance.OWN_DOMAIN, Provenance.WRITTEN_TO, Provenance.IN_THREAD]
    card = message(recipients=[Recipient("To", "a@b.test", item) for item in familiar], attachments=["offer.pdf"])
    assert card.warnings == ()
    assert card.text.split("\n")[1].startswith("To: ")


def test_every_recipient_is_a_fact_of_its_own_however_many_there_are() -> None:
    many = [Recipient("Bcc", f"p{number}@elsewhere.test", Provenance.FIRST_CONTACT) for number in range(300)]
    card = message(recipients=many)
    assert [(fact.label, fact.value, fact.note) for fact in card.facts if fact.label == "Bcc"] == [
        ("Bcc", item.email, "first contact") for item in many
    ]
    assert card.warnings[0].startswith("First contact (300 of 300 recipients): p0@elsewhere.test, p1@")
    assert card.warnings[0].endswith("p9@elsewhere.test and 290 more, marked below")


def test_a_look_alike_is_warned_of_once_for_all_its_addresses() -> None:
    both = [Recipient("To", f"{name}@acrne.test", Provenance.IN_THREAD, looks_like="acme.test") for name in "ab"]
    card = message(recipients=both)
    assert card.warnings == ("acrne[.]test looks like acme[.]test, which you know.",)
    assert [fact.note for fact in card.facts[:2]] == ["in this thread; looks like acme[.]test"] * 2


def test_each_who_put_somebody_into_the_thread_is_named() -> None:
    card = message(
        recipients=[
            Recipient("To", "a@x.test", Provenance.NAMED_IN_THREAD, added_by="bob@x.test"),
            Recipient("To", "b@x.test", Provenance.NAMED_IN_THREAD, added_by="eve@x.test"),
            Recipient("To", "c@x.test", Provenance.NAMED_IN_THREAD),
        ]
    )
    assert card.warnings == snapshot(
        (
            "In this thread only because bob@x.test put it there (1 of 3 recipients): a@x.test",
            "In this thread only because eve@x.test put it there (1 of 3 recipients): b@x.test",
            "In this thread only because somebody else put it there (1 of 3 recipients): c@x.test",
        )
    )


@pytest.mark.parametrize(
    ("local", "words"),
    [
        ("2026-11-23T06:59", "at night"),
        ("2026-11-23T07:00", None),
        ("2026-11-23T21:59", None),
        ("2026-11-23T22:00", "at night"),
        ("2026-11-21T12:00", "on a Saturday"),
        ("2026-11-22T03:00", "on a Sunday at night"),
    ],
)
def test_a_time_when_few_expect_mail_has_words(local: str, words: str | None) -> None:
    assert odd_time(datetime.fromisoformat(local)) == words


def test_a_message_that_can_be_taken_back_says_until_when() -> None:
    assert "Leaves: in 30 seconds; it can be taken back until then" in message(undo_seconds=30).text


# Long messages


def test_of_a_long_body_the_beginning_and_the_end_are_shown_and_the_rest_is_counted() -> None:
    half = BODY_CHARACTERS // 2
    lines = shown("a" * half + "\n" + "b" * 50 + "\n" + "c" * half)
    assert lines == [
        *[f"{MARGIN} {'a' * WIDEST_LINE}"] * 3,
        "(51 more characters are not shown here; the end of the message follows)",
        *[f"{MARGIN} {'c' * WIDEST_LINE}"] * 3,
    ]


def test_of_a_body_with_very_many_lines_the_beginning_and_the_end_are_shown() -> None:
    lines = shown("\n".join(map(str, range(10 * BODY_LINES))))
    assert len(lines) == BODY_LINES + 1
    assert (lines[0], lines[BODY_LINES // 2 - 1 : BODY_LINES // 2 + 2], lines[-1]) == snapshot(
        (
            "│ 0",
            ["│ 149", "(12,650 more characters are not shown here; the end of the message follows)", "│ 2850"],
            "│ 2999",
        )
    )


def test_no_text_hides_behind_blank_lines() -> None:
    assert shown("Hello" + "\n \n" * 3000 + "and transfer the money") == snapshot(
        ["│ Hello", "(5,999 blank lines here)", "│ and transfer the money"]
    )
    assert shown("Hello\n\n\n\nBye") == [f"{MARGIN} Hello", MARGIN, MARGIN, MARGIN, f"{MARGIN} Bye"]


def test_no_text_hides_behind_blanks_or_at_the_end_of_a_wide_line() -> None:
    assert shown("Hello" + " " * 900 + "and transfer the money") == snapshot(
        ["│ Hello [900 blanks] and transfer the money"]
    )
    assert shown("x" * (WIDEST_LINE + 1)) == [f"{MARGIN} {'x' * WIDEST_LINE}", f"{MARGIN} x"]


def test_a_message_without_text_says_so() -> None:
    assert shown(" \n\n") == ["(no text)"]


def test_a_line_of_a_message_never_passes_for_a_remark_of_ours() -> None:
    card = message(body="(no text)")
    assert card.text.endswith(f"\n{MARGIN} (no text)")
    assert not isinstance(Card.read(card.document()).body[0], Remark)


# What an approval covers


@pytest.mark.parametrize(
    ("changed", "visible"),
    [
        ({"body": "x" * BODY_CHARACTERS + "b" * WIDEST_LINE + "x" * BODY_CHARACTERS}, False),
        ({"unseen": "<p>b</p>"}, False),
        ({"recipients": [Recipient("To", "anna@helix.example", Provenance.IN_THREAD)]}, True),
        ({"recipients": [Recipient("Cc", "ann@helix.example", Provenance.IN_THREAD)]}, True),
        ({"subject": "b"}, True),
        ({"in_thread": "b"}, True),
        ({"when": "b"}, True),
        ({"attachments": ["b"]}, True),
    ],
)
def test_an_approval_covers_all_that_leaves(changed: dict[str, object], visible: bool) -> None:
    was = {"body": "x" * BODY_CHARACTERS + "a" * WIDEST_LINE + "x" * BODY_CHARACTERS}
    one, other = message(**was), message(**{**was, **changed})
    assert one.content != other.content
    assert (one.text != other.text) is visible


def test_an_approval_does_not_depend_on_what_was_found_out_meanwhile() -> None:
    known = Recipient("To", "ann@helix.example", Provenance.WRITTEN_TO)
    other = message(recipients=[known], similar="Yes.", records=["Deal"], earlier=Earlier("sent", "Monday"))
    assert message().content == other.content


def test_an_approval_tells_apart_what_reads_the_same_when_joined() -> None:
    assert message(subject="a", body="b\nc").content != message(subject="a\nb", body="c").content
    assert facts_card("?", "Do it", [("A", "b")]).content != facts_card("?", "Do it", [], "b").content


def test_an_approval_of_a_plan_covers_the_threads_it_does_not_list() -> None:
    lines = [ThreadLine(f"t{number}", "Ann", "Hello") for number in range(LISTED_THREADS + 1)]
    one = threads_card("?", "Do it", [("Archive", "archive", lines)])
    other = threads_card("?", "Do it", [("Archive", "archive", [*lines[:-1], ThreadLine("other", "Ann", "Hello")])])
    assert one.text == other.text
    assert one.content != other.content


@pytest.mark.parametrize("document", [{}, {"title": "?"}, {**message().document(), "facts": [{"label": "To"}]}])
def test_what_is_no_card_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not a card"):
        Card.read(document)


# Text of others, made safe


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        # hosts and schemes
        ("https://a.example/x?y=1#z", "https[:]⁄⁄a[.]example/x?y=1#z"),
        ("HTTP://a.b.co.uk:8080", "HTTP[:]⁄⁄a.b[.]co[.]uk[:]8080"),
        ("evil.example/login", "evil[.]example/login"),
        ("evil.com.pdf", "evil[.]com.pdf"),
        ("www.4u.example", "www[.]4u[.]example"),
        ("www.4u", "www[.]4u"),
        ("mailto:ann@helix.example", "mailto[:]ann@helix[.]example"),
        ("tel:+4930123", "tel[:]+4930123"),
        ("javascript:alert(1)", "javascript[:]alert(1)"),
        ("x-apple.systempreferences:x", "x-apple[.]systempreferences[:]x"),
        ("//evil.example", "⁄⁄evil[.]example"),
        ("\\\\evil\\share", "⧵⧵evil⧵share"),
        ("10.0.0.1/x", "10.0.0[.]1/x"),
        ("evil.рф and evil.中国", "evil[.]рф and evil[.]中国"),
        ("evil。com", "evil[。]com"),
        ("evil$.com *evil*.com", "evil＄[.]com ∗evil∗[.]com"),
        # markdown and HTML
        ("[click](https://evil.example)", "[click] (https[:]⁄⁄evil[.]example)"),
        ("![x](y) [[Page]]", "![x] (y) [ [Page]]"),
        ("<https://x.example> <b>hi</b> <!-- -->", "‹https[:]⁄⁄x[.]example> ‹b>hi‹/b> ‹!-- -->"),
        ("**a** *b* __c__ _d_ ~~e~~ `f` ||g||", "∗∗a∗∗ ∗b∗ ˍˍcˍˍ ˍdˍ ∼∼e∼∼ ˋfˋ ∣∣g∣∣"),
        ("&lt; &#x202e; $$x$$", "＆lt; ＆#x202e; ＄＄x＄＄"),
        # what people write every day stays as it is
        ("At 10:30 on 24.12.2026, v1.2.3 for $500, e.g. 5 * 3 < 16 & so on: z.B. offer.pdf, Q&A; snake_case", None),
        ("1. Hello! - #5 (50%) ____ 'x' \"y\" a/b ... U.S.A. C: 16:9 ¿Qué? naïve", None),
        ("Sehr geehrte Frau Müller, Ihr Angebot (Nr. 4711) liegt bei; こんにちは。ありがとう。", None),
    ],
)
def test_no_client_makes_a_link_or_a_layout_of_what_others_wrote(text: str, safe: str | None) -> None:
    assert inert(text) == (text if safe is None else safe)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("pay \u202e05$\u202c", "pay [U+202E]05$[U+202C]"),
        ("a\u200bb\u00adc\u2800d\u3164e\U000e0041f", "a[U+200B]b[U+00AD]c[U+2800]d[U+3164]e[U+E0041]f"),
        ("a\x00b\x1b[31m\x85c\u2028d\r\ne", "a[U+0000]b[U+001B][31m[U+000A]c[U+000A]d[U+000A]e"),
        ("a\ud800b\ue000", "a[U+D800]b[U+E000]"),
        ("a" + "\u200b\u200c" * 50 + "b", "a[U+200B][U+200C][U+200B][U+200C][96 more unseen]b"),
        ("a\u200e b\u200f", "a[U+200E] b[U+200F]"),
        ("e" + "\u0301" * 12, "e" + "\u0301" * 10 + "[U+0301][U+0301]"),
        # spelling
        ("👩‍👩‍👧 🏴󠁧󠁢󠁳󠁣󠁴󠁿 ❤️ Việt", None),
        ("می‌خواهم क्‍ष", None),
        ("שלום\u200f! \u200eabc", None),
    ],
)
def test_what_is_not_seen_is_shown_and_what_is_spelling_stays(text: str, safe: str | None) -> None:
    [fact] = facts_card("?", "Do it", [("Fact", text)]).facts
    assert fact.value == (text if safe is None else safe)


def test_right_to_left_text_stands_isolated_in_the_text_and_not_in_the_data() -> None:
    card = message(recipients=[Recipient("To", "דנה@x.test", Provenance.IN_THREAD)], subject="שלום", body="אב\nab")
    assert [fact.value for fact in card.facts[:2]] == ["דנה@x.test", "שלום"]
    assert card.text.split("\n")[1:3] == ["To: \u2068דנה@x.test\u2069 (in this thread)", "Subject: \u2068שלום\u2069"]
    assert card.text.split("\n")[-2:] == [f"{MARGIN} \u2068אב\u2069", f"{MARGIN} ab"]


@pytest.mark.parametrize(
    "email",
    [
        "ann@helix.example",
        "o'neil+offers_2026@mail.helix.co.uk",
        "jürgen@müller.example = jürgen@xn--mller-kva.example",
        "用户@例子.example",
    ],
)
def test_an_address_stands_as_it_can_be_copied(email: str) -> None:
    card = message(recipients=[Recipient("To", email, Provenance.FIRST_CONTACT)])
    assert f"To: {email} (first contact)" in card.text
    assert card.warnings[0].endswith(f": {email}")


def test_an_unusual_address_is_no_way_to_bring_in_a_link_or_a_tag() -> None:
    card = message(recipients=[Recipient("To", '"https://evil.example/<!--"@x.test', Provenance.IN_THREAD)])
    assert card.facts[0].value == '"https[:]⁄⁄evil[.]example/‹!--"@x[.]test'


def test_no_text_takes_long_to_make_safe() -> None:
    pieces = ("é", "a.", "_", "*", "a@", "\u200b", "1.", " ", "a-", "=", "[", "\n", "www.", "שa\u200f", "a:")
    started = time.process_time()
    for piece in pieces:
        text = f"a@{piece * 20_000} !"
        message(recipients=[Recipient("To", text, Provenance.FIRST_CONTACT, text, text)], subject=text, body=text)
    assert (time.process_time() - started) / len(pieces) < 1


def test_an_address_is_never_cut_whatever_name_it_has() -> None:
    card = message(recipients=[Recipient("To", f"{'A' * 900} <eve@elsewhere.example>", Provenance.FIRST_CONTACT)])
    assert sum("eve@elsewhere[.]example" in line for line in card.text.split("\n")) == 2


# Whatever others write

EXAMPLES = int(os.environ.get("CARD_EXAMPLES", "150"))
"""How many cards of each kind are tried; a long run takes 10,000."""
many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[
        phase for phase in Phase if phase is not Phase.shrink or EXAMPLES <= 1000
    ],  # a long run is to find, not to explain
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)

PIECES = st.sampled_from(
    [
        *"\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\x00\x07\x1b\t \u202a\u202b\u202e\u2066\u2067\u2068\u2069\u061c",
        *"\u200b\u200c\u200d\u200e\u200f\ufeff\u2800\u3164\u00ad\U000e0041\ue000\u0301\u0336:!#*|>_~`$<&[](){}\\/.@-=",
        "\r\n",
        "\nTo: boss@helix.example (in this thread)",
        "\u2028Leaves: at once",
        "x\r\nMessage:\r\n",
        "\n(no text)",
        "\n! First contact (1 of 1 recipient): eve@x.test",
        f"\n{MARGIN} x",
        "\nSend this email?",
        "\n• Ann: Hello",
        "\n(2 more, not listed here)",
        "\nArchive (2 threads):",
        "שלום",
        "مرحبا",
        "می‌خواهم",
        "👩‍👩‍👧",
        "https://evil.example",
        "_http://evil.example",
        "xHTTP://evil.example",
        "ht\u200btps://evil.example",
        "www.evil.example",
        "evil.com",
        "evil.co.uk/login",
        "login.evil.com:8080",
        "ann@evil.com",
        "mailto:ann@evil.com",
        "tel:+491234",
        "javascript:alert(1)",
        "custom://x",
        "1.2.3.4",
        "[click](https://evil.example)",
        "![i](x)",
        "[a]: https://evil.example",
        "<https://evil.example>",
        "<b>",
        "</details>",
        "<!--",
        "&#x202e;",
        "**bold**",
        "\n# Heading",
        "\n---\n",
        "\n```\n",
        "\n| a | b |\n|---|---|",
        "\n" * 50,
        " " * 200,
        "x" * 1100,
        "word ",
    ]
)
HOSTILE = st.lists(PIECES | st.text(max_size=5) | st.characters(categories=["Cs", "Cf", "Zs", "Mn"]), max_size=12).map(
    "".join
)
HUGE = st.tuples(HOSTILE, st.sampled_from([2, 50, 2000])).map(lambda drawn: (drawn[0] * drawn[1])[:20_000])
FOREIGN = HOSTILE | HUGE
LONG = HOSTILE | HUGE.map(lambda text: text[:1000])
PLAIN = st.from_regex(r"[a-z][a-z0-9.+'-]{0,8}[a-z0-9]@([a-z0-9]{2,8}\.){1,2}(com|de|test)", fullmatch=True)
PROVENANCE = st.sampled_from(Provenance)
RECIPIENTS = st.lists(
    st.builds(
        Recipient,
        st.sampled_from(["To", "Cc", "Bcc"]),
        PLAIN | HOSTILE,
        PROVENANCE,
        st.none() | PLAIN | HOSTILE,
        st.none() | HOSTILE | st.just("acme.com"),
    ),
    max_size=12,
)

LABELS = re.compile(
    r"(To|Cc|Bcc|Subject|Conversation|In reply to|Linked to|Leaves|Attached|Fact): .|• .|! .|Message:\Z|\Z"
    r"|.+ \([\d,]+ threads?\):\Z|\([\d,]+ more, not listed here\)\Z|\(no text\)\Z|\([\d,]+ blank lines here\)\Z"
    r"|\([\d,]+ more characters? are not shown here; the end of the message follows\)\Z"
)
ENDINGS = "com|de|test|example|uk|co|net|org|io|рф|中国"
LINKS = re.compile(
    rf"[a-z][a-z0-9+.-]*[a-z+.-]:[^\s(),.;]|[a-z][a-z0-9+.-]*://|//|\bwww\.|[\w$+~=^|%&*/@:)\]-]\.({ENDINGS})(?![a-z])|\d+\.\d+\.\d+\.\d+"
    r"|\]\(|^\s*\[.*\]:|\[\[|<[a-z/!?]|&(#\w|\w\w)\w*;|`|\*\S|\S\*|~\S|\S~|\|\||\$\$|\\",
    re.IGNORECASE | re.MULTILINE,
)
"""A strict reader: whatever any client could take for a link, or Markdown or HTML for a sign."""
ADDRESSES = re.compile(r"[^\W_][\w.+'=-]*@[\w.\-\u0080-\U0010ffff]+")
AMONG_RECIPIENTS = ("To: ", "Cc: ", "Bcc: ", "! ")
"""Where addresses stand as they can be copied: clients make no more than `mailto:` of them."""
UNSEEN = {"Cc", "Cs", "Co", "Zl", "Zp"}
TRICKS = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u200b\ufeff\u2060\u00ad\u2800\u3164\u115f")


def check(card: Card) -> None:
    """Every line is ours or has the margin; none tricks the eye or can be clicked; the data says the same."""
    text = card.text
    assert text.split("\n") == text.splitlines()
    lines = text.split("\n")
    assert lines[0] == card.title
    for line in lines[1:]:
        assert LABELS.match(line) or line == MARGIN or line.startswith(f"{MARGIN} "), line
    warned = [line.startswith("! ") for line in lines[1:]]
    assert warned == sorted(warned, reverse=True)
    assert not {unicodedata.category(character) for character in text.replace("\n", "").replace("\t", "")} & UNSEEN
    assert not set(text) & TRICKS
    depth = 0
    for character in text:
        depth += {"\u2068": 1, "\u2069": -1, "\n": -depth if not depth else 9}.get(character, 0)
        assert depth in (0, 1)
    text = "\n".join(ADDRESSES.sub("", line) if line.startswith(AMONG_RECIPIENTS) else line for line in lines)
    text = text.replace("\u2068", "").replace("\u2069", "")
    assert not LINKS.search(text), LINKS.search(text)
    assert Card.read(json.loads(json.dumps(card.document()))) == card
    assert Card.read(json.loads(json.dumps(card.document()))).text == card.text


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")  # a failing card is a long one to print
@many
@given(
    recipients=RECIPIENTS,
    subject=FOREIGN,
    body=FOREIGN,
    in_thread=st.none() | FOREIGN,
    records=st.lists(HOSTILE, max_size=2),
    attachments=st.lists(HOSTILE, max_size=3),
    similar=st.none() | HOSTILE,
    earlier=st.none() | st.builds(Earlier, st.sampled_from(["sent", "unknown", "not_found"]), HOSTILE),
    undo_seconds=st.integers(0, 90),
)
def test_no_text_of_others_forges_or_hides_a_line_of_a_message(
    recipients: list[Recipient],
    subject: str,
    body: str,
    in_thread: str | None,
    records: list[str],
    attachments: list[str],
    similar: str | None,
    earlier: Earlier | None,
    undo_seconds: int,
) -> None:
    card = message_card(
        recipients=recipients,
        subject=subject,
        body=body,
        in_thread=in_thread,
        records=records,
        attachments=attachments,
        similar=similar,
        earlier=earlier,
        undo_seconds=undo_seconds,
    )
    check(card)
    lines = card.text.split("\n")
    labels = [line.partition(":")[0] for line in lines]
    assert [label for label in labels if label in ("To", "Cc", "Bcc")] == [item.kind for item in recipients]
    assert [labels.count(label) for label in ("Subject", "Leaves", "Message")] == [1, 1, 1]
    assert (labels.count("Linked to"), labels.count("Attached")) == (len(records), len(attachments))
    rows = [line for line in lines if line.startswith(("To: ", "Cc: ", "Bcc: "))]
    for item, row in zip(recipients, rows, strict=True):
        assert not is_plain(item.email) or row.startswith(f"{item.kind}: {item.email} (")
    above = lines[: lines.index("Message:")]
    assert not [line for line in above if line.startswith(MARGIN)]
    assert len(card.text) < 100_000


def is_plain(email: str) -> bool:
    return re.fullmatch(r"[a-z][a-z0-9.+'-]*[a-z0-9]@[a-z0-9.]+[a-z0-9]", email) is not None


@many
@given(
    folder=HOSTILE,
    lines=st.lists(st.builds(ThreadLine, st.text(max_size=5), HOSTILE, LONG), max_size=LISTED_THREADS + 5),
)
@example(folder="\nStar (9 threads):", lines=[])
def test_no_text_of_others_forges_a_line_of_a_plan(folder: str, lines: list[ThreadLine]) -> None:
    card = threads_card("Change?", "Do it", [(f"Move to {folder}", "move", lines)])
    check(card)
    shown_lines = card.text.split("\n")
    assert shown_lines[1].startswith("Move to")
    assert sum(line.startswith("• ") for line in shown_lines) == min(len(lines), LISTED_THREADS)
    assert len(shown_lines) == 2 + min(len(lines), LISTED_THREADS + 1)
    assert [item.key for item in card.groups[0].items] == [f"move {line.thread_id}" for line in lines]


@many
@given(value=FOREIGN)
def test_no_text_of_others_forges_a_fact(value: str) -> None:
    card = facts_card("Cancel?", "Cancel it", [("Fact", value), ("Subject", "x")])
    check(card)
    assert len(card.text.split("\n")) == 3


@many
@given(body=HOSTILE, place=st.integers(0, 200), piece=HOSTILE.filter(bool))
def test_any_change_of_a_message_is_another_content(body: str, place: int, piece: str) -> None:
    place = min(place, len(body))
    assert message(body=body).content != message(body=body[:place] + piece + body[place:]).content
