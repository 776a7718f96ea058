"""Bad input, from the mailbox to the model: each message readable or honestly named, and every answer bounded."""

import base64
import json
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
from mcp_types import CallToolResult

from harness import NOW, Clock, Office, open_office, text_of
from salesos_inbox.client.body import LARGEST_ANSWER
from salesos_inbox.client.http import InboxClient
from salesos_inbox.mail.budget import estimate_tokens
from salesos_inbox.sandbox.importing import parse_message
from salesos_inbox.sandbox.messages import StoredAttachment, StoredMessage
from salesos_inbox.sandbox.store import Store

pytestmark = pytest.mark.anyio

USER = "maya@northwind.example"
SENDER = "tom@helix.example"
MOST_TOKENS = {"read_thread": 4000, "list_threads": 600, "triage_inbox": 600, "search_threads": 600}
"""What an answer about one thread may cost, whatever is in it."""
SLACK = 1.25
"""Estimates are that near to what they estimate."""
BYTES_OF_A_TOKEN = 9
"""More than any text has that is not made of blanks or dashes: a bound that is no estimate of ours."""

ARMOUR = "iQEzBAEBCAAdFiEEm0jTn8a1Qv7YpXb3Zk9cWq5RrLsFAmZkqYwACgkQWq5RrLsX\n" * 12 + "q1w2\n=aB3d\n"
INVITATION = """\
BEGIN:VCALENDAR
METHOD:REQUEST
BEGIN:VEVENT
SUMMARY:Quarterly review
DTSTART;TZID=Europe/Berlin:20261120T140000
DTEND;TZID=Europe/Berlin:20261120T150000
LOCATION:Room 5
ORGANIZER;CN=Tom:mailto:tom@helix.example
X-LONG:iVBORw0KGgo
END:VEVENT
END:VCALENDAR
"""
FILE = StoredAttachment("offer.pdf", "application/pdf", 48_000)


def fill(office_store: Store, user_id: str, **fields: Any) -> str:
    """Put a message from Tom into the mailbox and return its thread's id."""
    given: dict[str, Any] = {
        "from_email": SENDER,
        "from_name": "Tom Berg",
        "to": (USER,),
        "sent_at": NOW - timedelta(hours=2),
        "message_id": "<hard@helix.example>",
        "subject": "Pallets",
    }
    return office_store.file_message(user_id, StoredMessage(**{**given, **fields})).thread_id


@asynccontextmanager
async def an_office(**fields: Any) -> AsyncGenerator[tuple[Office, str]]:
    """An office whose mailbox holds one message with these fields, and the id of its thread."""
    store = Store(clock=Clock())
    thread = fill(store, store.add_user(USER, "Maya", "Lindqvist"), **fields)
    async with open_office(store=store, user=USER) as office:
        yield office, thread


async def all_answers(office: Office, thread: str, query: str = "pallets") -> dict[str, CallToolResult]:
    """What the tools that read answer about the mailbox."""
    return {
        "read_thread": await office.result("read_thread", thread_id=thread),
        "list_threads": await office.result("list_threads"),
        "triage_inbox": await office.result("triage_inbox"),
        "search_threads": await office.result("search_threads", query=query),
    }


def assert_fine(answers: dict[str, CallToolResult]) -> None:
    """Assert that every tool answered, that no answer floods, and that none holds what cannot be seen."""
    for tool, result in answers.items():
        text = text_of(result)
        assert not result.is_error, (tool, text)
        assert estimate_tokens(text) <= MOST_TOKENS[tool] * SLACK, tool
        assert len(text.encode()) <= MOST_TOKENS[tool] * BYTES_OF_A_TOKEN, tool
        unseen = re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\ue000-\uf8ff\U000e0000-\U000e007f]", text)
        assert not unseen, (tool, unseen[:5])


def words_of(result: CallToolResult) -> str:
    """All strings of a structured answer, one after the other, as they read."""

    def strings(value: object) -> list[str]:
        if isinstance(value, dict):
            return [text for item in cast("dict[str, object]", value).values() for text in strings(item)]
        if isinstance(value, list):
            return [text for item in cast("list[object]", value) for text in strings(item)]
        return [value] if isinstance(value, str) else []

    return "\n".join(strings(result.structured_content))


# Forms of mail, each named or readable

FORMS: dict[str, tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]] = {
    "read in a wrong charset": ({"body_text": "GrÃ¼ÃŸe aus KÃ¶ln, Maya"}, ("Grüße aus Köln",), ("Ã¼",)),
    "read as Latin-1": ({"body_text": "It\x92s the \x93final\x94 offer"}, ("It’s the “final” offer",), ()),
    "its characters lost": ({"body_text": "Gr\ufffd\ufffde aus K\ufffdln"}, ("some are lost",), ()),
    "quoted-printable left": (
        {"body_text": "Sch=C3=B6ne Gr=C3=BC=C3=9Fe =\naus K=C3=B6ln"},
        ("Schöne Grüße aus Köln",),
        ("=C3",),
    ),
    "base64 left": (
        {"body_text": base64.encodebytes(b"The offer stands until Friday, Maya. " * 5).decode()},
        ("The offer stands until Friday",),
        (),
    ),
    "encrypted": (
        {"body_text": f"-----BEGIN PGP MESSAGE-----\n\n{ARMOUR}-----END PGP MESSAGE-----\n"},
        ("encrypted with OpenPGP: its text cannot be read here",),
        ("iQEz",),
    ),
    "encrypted, in files": (
        {
            "attachments": (
                StoredAttachment(None, "application/pgp-encrypted", 11),
                StoredAttachment("encrypted.asc", "application/octet-stream", 900),
            )
        },
        ("encrypted with OpenPGP: its text cannot be read here", "encrypted.asc"),
        (),
    ),
    "encrypted with S/MIME": (
        {"attachments": (StoredAttachment("smime.p7m", "application/pkcs7-mime", 9000),)},
        ("encrypted with S/MIME", "smime.p7m"),
        (),
    ),
    "signed": (
        {
            "body_text": "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nDear Maya,\n\n- - two pallets\n"
            f"-----BEGIN PGP SIGNATURE-----\n\n{ARMOUR}-----END PGP SIGNATURE-----\n"
        },
        ("Dear Maya,", "- two pallets", "signed with OpenPGP: not verified here"),
        ("iQEz", "BEGIN PGP"),
    ),
    "signed, in a file": (
        {
            "body_text": "Dear Maya",
            "attachments": (StoredAttachment("smime.p7s", "application/pkcs7-signature", 4000),),
        },
        ("Dear Maya", "signed with S/MIME: not verified here"),
        (),
    ),
    "an invitation in its text": (
        {"body_text": INVITATION},
        ("Calendar invitation: Quarterly review", "2026-11-20 14:00 to 15:00 (Europe/Berlin)", "Room 5", "Tom <tom@"),
        ("BEGIN:", "iVBOR"),
    ),
    "an invitation in a file": (
        {"body_text": "Please join.", "attachments": (StoredAttachment("invite.ics", "text/calendar", 1200),)},
        ("Please join.", "a calendar event comes with it as a file", "invite.ics"),
        (),
    ),
    "MIME that nobody took apart": (
        {
            "body_text": "--b1\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
            f"{base64.b64encode('Grüße, Maya'.encode()).decode()}\n--b1\nContent-Type: image/png\n\n{ARMOUR}\n--b1--\n"
        },
        ("Grüße, Maya", "image/png"),
        ("Content-Transfer", "iQEz"),
    ),
    "the source of HTML": (
        {"body_text": "<html><head><style>p{color:red}</style></head><body><p>Dear Maya</p></body></html>"},
        ("Dear Maya",),
        ("<p>", "color"),
    ),
    "rich text": (
        {"body_text": r"{\rtf1\ansi{\fonttbl{\f0 Arial;}}Gr\'fc\'dfe, Maya\par}"},
        ("Grüße, Maya",),
        ("fonttbl",),
    ),
    "a file in its text": (
        {"body_text": f"See the file.\nbegin 644 offer.doc\n{('M' + 'A' * 60 + chr(10)) * 400}`\nend\nTom"},
        ("See the file.", "offer.doc", "Tom"),
        ("AAAAAA",),
    ),
    "winmail.dat": (
        {"body_text": "See attached", "attachments": (StoredAttachment("winmail.dat", "application/ms-tnef", 9000),)},
        ("See attached", "winmail.dat cannot be read here"),
        (),
    ),
    "only a file": ({"attachments": (FILE,)}, ("it has no text, only files", "offer.pdf"), ()),
    "nothing at all": ({}, ("it has no text",), ()),
    "blanks": ({"body_text": " \u00a0\r\n\t\n"}, ("it has no text",), ()),
    "HTML without words": ({"body_html": "<html><body><img src=x width=1></body></html>"}, ("it has no text",), ()),
}


@pytest.mark.parametrize(("fields", "said", "unsaid"), FORMS.values(), ids=FORMS)
async def test_mail_in_any_form_is_readable_or_named(
    fields: dict[str, Any], said: tuple[str, ...], unsaid: tuple[str, ...]
) -> None:
    async with an_office(**fields) as (office, thread):
        answers = await all_answers(office, thread)
    assert_fine(answers)
    shown = words_of(answers["read_thread"])
    assert [words for words in said if words not in shown] == []
    # The snippet of a search is cut out by the service.
    read = [words_of(result) for tool, result in answers.items() if tool != "search_threads"]
    assert [words for words in unsaid if any(words in text for text in read)] == []


MAIL: dict[str, tuple[bytes, str]] = {
    "no charset": (b"\n\nGr\xfc\xdfe aus K\xf6ln, Maya", "Grüße aus Köln, Maya"),
    "no charset, in UTF-8": ("\n\nGrüße aus Köln, Maya".encode(), "Grüße aus Köln, Maya"),
    "a wrong charset": (b"Content-Type: text/plain; charset=utf-8\n\nGr\xfc\xdfe aus K\xf6ln", "Grüße aus Köln"),
    "a charset nobody knows": (b"Content-Type: text/plain; charset=x-martian\n\n\xc3\x84pfel", "Äpfel"),
    "no transfer encoding": (
        b"Content-Type: text/plain; charset=utf-8\n\nSch=C3=B6ne Gr=C3=BC=C3=9Fe =\naus K=C3=B6ln",
        "Schöne Grüße aus Köln",
    ),
    "a transfer encoding gone wrong": (
        b"Content-Transfer-Encoding: base64\n\nVGhlIG9mZmVyIHN0YW5kcyB1bnRpbCBGcmlkYXku!!\n==\n",
        "The offer stands until Friday.",
    ),
}


@pytest.mark.parametrize(("raw", "words"), MAIL.values(), ids=MAIL)
async def test_mail_that_is_badly_encoded_is_read_from_the_wire_on(raw: bytes, words: str) -> None:
    message = parse_message(b"From: tom@helix.example\nSubject: pallets\n" + raw)
    async with an_office(body_text=message.body_text, body_html=message.body_html) as (office, thread):
        answers = await all_answers(office, thread)
    assert_fine(answers)
    assert words in words_of(answers["read_thread"])


SMUGGLED = "=3D=3D Dear" + "".join(f"={byte:02X}" for byte in "\U000e0049\U000e0067\u200b\u202e".encode()) + " Maya"


@pytest.mark.parametrize(
    "fields",
    [
        {"body_text": SMUGGLED},
        {"body_html": f"<p>{SMUGGLED}</p>"},
    ],
    ids=["text", "html"],
)
async def test_what_is_decoded_is_cleaned_too(fields: dict[str, str]) -> None:
    async with an_office(**fields) as (office, thread):
        answers = await all_answers(office, thread)
    assert_fine(answers)
    assert "== Dear Maya" in words_of(answers["read_thread"])


# Size


def bare(store: Store, *, text: str | None = None, html: str | None = None) -> None:
    """Replace the body of every message without indexing its words, which would take longer than the test."""
    store._db.execute("UPDATE bodies SET text = ?, html = ?", (text, html))  # pyright: ignore[reportPrivateUsage]


BIG: dict[str, Callable[[], dict[str, str]]] = {
    "a line of 5 MB": lambda: {"text": "word " * 1_000_000},
    "a word of 5 MB": lambda: {"text": "a" * 5_000_000},
    "a line of 5 MB in HTML": lambda: {"html": f"<p>{'word ' * 1_000_000}</p>"},
    "data of 5 MB": lambda: {"text": ("QUJDabc0" * 9 + "\n") * 70_000},
    "4 MB": lambda: {"text": "A line of words, and more of them.\n" * 110_000},
    "blanks of 1 MB": lambda: {"text": " " * 500_000 + "word" + "\n" * 500_000},
    "a quote of 500 kB": lambda: {"text": "Yes.\n\nTom wrote:\n" + "> quoted words\n" * 30_000},
    "100,000 open elements": lambda: {"html": "<div>" * 100_000 + "word"},
    "30,000 open formats": lambda: {"html": "<p><b><i><font>" * 10_000 + "word"},
    "a table of 20,000 cells": lambda: {"html": "<table>" + "<tr><td>word<td>word" * 10_000},
    "10,000 links": lambda: {"html": "<p>word</p>" + '<a href="https://a.example/x">word</a> ' * 10_000},
    "5,000 hosts": lambda: {"html": "".join(f'<a href="https://h{n}.example/">word</a> ' for n in range(5_000))},
    "a style sheet of 200 kB": lambda: {"html": f"<style>{'a b c>d{color:red}' * 10_000}</style><p class=a>word"},
    "an attribute of 2 MB": lambda: {"html": f"<p title='{'x' * 2_000_000}'>word"},
    "entities": lambda: {"html": "&amp;&lt;&#128512;" * 100_000},
}


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in BIG.items()])
async def test_a_huge_message_is_answered_within_the_budget(body: Callable[[], dict[str, str]]) -> None:
    async with an_office(body_text="x") as (office, thread):
        bare(office.store, **body())
        answers = await all_answers(office, thread)
        assert_fine(answers)
        first = cast("dict[str, Any]", answers["read_thread"].structured_content)
        if "next_cursor" in first:
            arguments = {"thread_id": thread, "cursor": first["next_cursor"]}
            assert_fine({"read_thread": await office.result("read_thread", **arguments)})


async def test_an_answer_beyond_what_the_client_takes_is_called_too_large() -> None:
    async with an_office(body_text="x") as (office, thread):
        text = "A line of words, and more of them.\n" * (LARGEST_ANSWER // 36 + 10_000)
        stream_answers(
            office, json.dumps({"id": thread, "subject": "Pallets", "messages": [{"id": "1", "bodyText": text}]})
        )
        refusal = await office.refusal("read_thread", thread_id=thread)
    assert "too large" in refusal or "larger than" in refusal
    assert "JSON" not in refusal


class _Streamed(httpx.AsyncBaseTransport):
    """A wire that answers every thread with the same document, in pieces as a network brings them."""

    def __init__(self, wire: httpx.AsyncBaseTransport, document: str) -> None:
        self._wire = wire
        self._document = document.encode()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not re.search(r"/threads/[^/]+$", request.url.path):
            return await self._wire.handle_async_request(request)

        async def pieces() -> AsyncGenerator[bytes]:
            for start in range(0, len(self._document), 2**20):
                yield self._document[start : start + 2**20]

        return httpx.Response(200, content=pieces(), headers={"content-type": "application/json"})


def stream_answers(office: Office, document: str) -> None:
    """Let the service answer every question for a thread with this document."""
    services = office.services
    wire = _Streamed(office.wire, document)
    services._client = InboxClient(  # pyright: ignore[reportPrivateUsage]
        services.settings, transport=wire, clock=lambda: office.clock().timestamp()
    )


MANY = 2_000


async def test_a_thread_of_2_000_messages_is_read_newest_first_and_goes_on_where_it_ended() -> None:
    store = Store(clock=Clock())
    user = store.add_user(USER, "Maya", "Lindqvist")
    with store.transaction():
        thread = fill(store, user, body_text="word0000", sent_at=NOW - timedelta(minutes=MANY))
        for number in range(1, MANY):
            message = StoredMessage(
                from_email=SENDER,
                sent_at=NOW - timedelta(minutes=MANY - number),
                message_id=f"<{number}@helix.example>",
                subject="Re: Pallets",
                body_text=f"word{number:04}",
            )
            store.file_message(user, message, thread_id=thread)
    async with open_office(store=store, user=USER) as office:
        answers = await all_answers(office, thread, query="word1000")
        assert_fine(answers)
        first = cast("dict[str, Any]", answers["read_thread"].structured_content)
        second = await office.answer("read_thread", thread_id=thread, cursor=first["next_cursor"], max_tokens=10_000)
    read = numbers(second) + numbers(first)
    assert read == list(range(MANY - len(read), MANY))
    assert second["earlier_messages"] == MANY - len(read)


def numbers(answer: dict[str, Any]) -> list[int]:
    """The numbers of the messages in an answer, in its order."""
    return [int(number) for message in answer["messages"] for number in re.findall(r"word(\d{4})", message["text"])]


async def test_paging_through_a_long_thread_shows_every_message_once() -> None:
    store = Store(clock=Clock())
    user = store.add_user(USER, "Maya", "Lindqvist")
    with store.transaction():
        thread = fill(store, user, body_text="word0000", sent_at=NOW - timedelta(minutes=200))
        for number in range(1, 200):
            at = NOW - timedelta(minutes=200 - number)
            text = f"word{number:04} " + "and more " * (number % 50)
            message = StoredMessage(
                from_email=SENDER, sent_at=at, message_id=f"<{number}@helix.example>", body_text=text
            )
            store.file_message(user, message, thread_id=thread)
    async with open_office(store=store, user=USER) as office:
        read: list[int] = []
        cursor: dict[str, str] = {}
        for _ in range(40):
            page = await office.answer("read_thread", thread_id=thread, max_tokens=3000, **cursor)
            read = numbers(page) + read
            if "next_cursor" not in page:
                break
            cursor = {"cursor": page["next_cursor"]}
    assert read == list(range(200))


# Headers


async def test_absurd_headers_cost_no_more_than_others() -> None:
    async with an_office(
        subject="s" * 500_000,
        from_name="Tom\r\nBerg\x00\x1b[31m\u202e\u200b" + "n" * 50_000,
        to=tuple(f"person{number}@helix.example" for number in range(2_000)),
        cc=("a" * 50_000 + "@helix.example", "", "@", "\r\nBcc: eve@evil.example"),
        body_text="pallets",
        attachments=tuple(
            StoredAttachment(f"file{number}.pdf" + "f" * 300, "application/pdf", 10) for number in range(1000)
        ),
    ) as (office, thread):
        answers = await all_answers(office, thread)
    assert_fine(answers)
    shown = words_of(answers["read_thread"])
    assert re.search(r"\+\d+ more", shown)
    assert "Tom Berg" in shown
    assert SENDER in shown


@pytest.mark.parametrize(
    "subject",
    ["=?utf-8?Q?Gr=C3=BC=C3=9Fe?=", "=?utf-8?B?R3LDvA==?= =?utf-8?B?w59l?=", "=?iso-8859-1?Q?Gr=FC=DFe?="],
)
async def test_encoded_words_that_were_left_are_decoded(subject: str) -> None:
    async with an_office(subject=subject, from_name=subject, body_text="pallets") as (office, thread):
        answers = await all_answers(office, thread)
    assert_fine(answers)
    assert {tool: "Grüße" in words_of(result) for tool, result in answers.items()} == dict.fromkeys(answers, True)
    assert not any("=?" in words_of(result) for result in answers.values())


NOTHING: dict[str, Any] = {"messages": [{"id": "m1"}]}
NULLS: dict[str, Any] = {
    "subject": None,
    "snippet": None,
    "participants": None,
    "lastMessageAt": None,
    "messages": [
        {
            **dict.fromkeys(("messageId", "inReplyTo", "fromName", "subject", "bodyHtml", "bodyText", "sentAt")),
            **dict.fromkeys(("receivedAt", "status", "direction", "toEmails", "ccEmails", "attachments", "fromEmail")),
            "id": "m1",
        }
    ],
}


@pytest.mark.parametrize("document", [NOTHING, NULLS, {"messages": []}], ids=["absent", "null", "no messages"])
async def test_a_thread_of_which_nothing_is_known_is_read(document: dict[str, Any]) -> None:
    async with an_office(body_text="pallets") as (office, thread):
        stream_answers(office, json.dumps({"id": thread, **document}))
        answers = await all_answers(office, thread)
    assert_fine(answers)
