import email
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from salesos_inbox.mail.html import Link
from salesos_inbox.mail.reading import Reading, first_words, read_body

REAL_MAIL = Path(__file__).parents[3] / "shared" / "mail"


def test_an_empty_message_reads_as_empty():
    assert read_body(None, None) == Reading("", "", (), 0, 0)


def test_plain_text_is_preferred_where_it_says_something():
    assert read_body("<p>HTML</p>", "Plain").text == "Plain"


@pytest.mark.parametrize(
    "stub",
    ["", " \n", "View this email in your browser", "Diese Nachricht im Browser öffnen", "https://x.example/very/long"],
)
def test_html_is_read_where_the_plain_text_is_a_stub(stub: str):
    assert read_body("<p>The offer</p>", stub).text == "The offer"


def test_a_reply_in_html_is_read_with_its_quote_and_links_apart():
    html = """<p>See <a href="https://acme.example/new">this</a>\u200b.</p><p>Tom</p>
    <div class="gmail_quote">On Mon, Jun 1, 2026 at 2:14 PM, Ann &lt;a@b.example&gt; wrote:
    <blockquote>Is there an <a href="https://old.example/">offer</a>?<i hidden>secret</i></blockquote></div>"""
    assert read_body(html, None) == snapshot(
        Reading(
            text="""\
See this [1].

Tom

[1] hxxps://acme.example/new\
""",
            quoted="""\
On Mon, Jun 1, 2026 at 2:14 PM, Ann <a@b.example> wrote:

> Is there an offer [1]?

[1] hxxps://old.example\
""",
            links=(Link(number=1, url="https://acme.example/new", host="acme.example"),),
            hidden_chars=6,
            removed_chars=1,
        )
    )


def test_an_attribution_without_markup_is_found_in_html_too():
    html = "<p>Yes.</p><p>On Tuesday, April 3, 2012 at 4:55 PM, xxx wrote:</p><blockquote type=cite>Hi</blockquote>"
    reading = read_body(html, None)
    assert (reading.text, reading.quoted) == snapshot(
        (
            "Yes.",
            """\
On Tuesday, April 3, 2012 at 4:55 PM, xxx wrote:

> Hi\
""",
        )
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hi Maya,\n\nThe price is fine.\nSend it.", "The price is fine. Send it."),
        ("Sehr geehrte Frau Müller,\nvielen Dank", "vielen Dank"),
        ("山田様\n\n見積書を送ります。", "見積書を送ります。"),
        ("Hello", "Hello"),
        ("High prices worry us.\nReally.", "High prices worry us. Really."),
        ("", ""),
    ],
)
def test_the_first_words_are_what_is_new_without_a_greeting(text: str, words: str):
    assert first_words(read_body(None, text), 40) == words


@settings(deadline=None)
@given(st.none() | st.text(), st.none() | st.text())
def test_no_message_raises(html: str | None, text: str | None):
    assert len(first_words(read_body(html, text), 30)) <= 30


def bodies(message: Message) -> Iterator[tuple[str, str]]:
    for part in message.walk():
        content = part.get_payload(decode=True)
        if part.get_content_maintype() == "text" and isinstance(content, bytes):
            yield part.get_content_subtype(), content.decode("utf-8", "replace")


@pytest.mark.skipif(not REAL_MAIL.is_dir(), reason="the shared folder of real mail is not here")
def test_every_real_message_is_read_and_nothing_of_it_is_lost():
    read = 0
    for path in sorted(REAL_MAIL.rglob("*")):
        if not path.is_file():
            continue
        for subtype, body in bodies(email.message_from_bytes(path.read_bytes())):
            reading = read_body(body, None) if subtype == "html" else read_body(None, body)
            assert reading.text or not body.strip() or subtype == "html", path
            read += 1
    assert read > 400


@pytest.mark.skipif(not REAL_MAIL.is_dir(), reason="the shared folder of real mail is not here")
def test_replies_of_a_dozen_mail_programs_are_parted():
    folder = REAL_MAIL / "replies" / "talon" / "html_replies"
    texts = {path.stem: " ".join(read_body(path.read_text("utf-8"), None).text.split()) for path in folder.iterdir()}
    assert set(texts.values()) == {"Hi. I am fine. Thanks, Alex"}
