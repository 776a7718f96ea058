"""Reading mail as the world writes it."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from salesos_inbox.contract import models
from salesos_inbox.sandbox.importing import ImportProgress, import_mail, parse_message
from salesos_inbox.sandbox.messages import EPOCH, StoredAttachment, StoredMessage
from sandbox.conftest import Mailbox

REAL_MAIL = Path(__file__).parents[3] / "shared" / "mail"

PLAIN = b"""\
From: =?utf-8?q?Zo=C3=AB?= <zoe@north.test>
To: Sam <sam@sales.test>, "Last, First" <first@x.test>
Subject: =?iso-8859-1?q?Gr=FC=DFe?=
Date: Wed, 15 Jan 2025 12:30:00 +0200
Message-ID: <1@north.test>

Hello Sam
"""

PARTS = b"""\
From: a@x.test
Subject: Files
Date: Wed, 15 Jan 2025 12:30:00 +0200
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=windows-1252
Content-Transfer-Encoding: quoted-printable

Price: 5 =80
--inner
Content-Type: text/html; charset=utf-8

<p>Price: 5 \xe2\x82\xac</p>
--inner--
--outer
Content-Type: application/pdf
Content-Disposition: attachment; filename*=utf-8''angebot%20%C3%BC.pdf
Content-Transfer-Encoding: base64

aGVsbG8=
--outer
Content-Type: message/rfc822

Subject: inner

inner body
--outer--
"""


def test_headers_and_text_are_decoded() -> None:
    assert parse_message(PLAIN) == snapshot(
        StoredMessage(
            from_email="zoe@north.test",
            sent_at=datetime(2025, 1, 15, 10, 30, tzinfo=UTC),
            message_id="<1@north.test>",
            from_name="Zoë",
            to=("sam@sales.test", "first@x.test"),
            subject="Grüße",
            body_text="Hello Sam\n",
        )
    )


def test_bodies_are_chosen_and_attachments_described() -> None:
    message = parse_message(PARTS)
    assert (message.body_text, message.body_html) == ("Price: 5 €", "<p>Price: 5 €</p>")
    assert message.attachments == snapshot(
        (
            StoredAttachment(filename="angebot ü.pdf", content_type="application/pdf", size=5),
            StoredAttachment(filename=None, content_type="message/rfc822", size=26),
        )
    )


@pytest.mark.parametrize(
    ("raw", "field", "value"),
    [
        (b"Subject: \xc3\xa9t\xc3\xa9\n\n", "subject", "été"),
        (b"Subject: \xe9t\xe9\n\n", "subject", "été"),
        (b"Subject: =?martian?q?=E9?=\n\n", "subject", "é"),
        (b"Subject: =?utf-8?b?!?=\n\n", "subject", "=?utf-8?b?!?="),
        (b"From: <a@x.test\n\n", "from_email", "a@x.test"),
        (b"From: nobody at all\n\n", "from_email", "nobody"),
        (b"To: a@x.test, , A@x.test a@x.test,\n\n", "to", ("a@x.test", "A@x.test")),
        (b"Message-ID: 1@x\n\n", "message_id", "<1@x>"),
        (b"Message-ID:\n\n", "message_id", ""),
        (b"References: <1@x>\n <2@x>nonsense<1@x>\n\n", "references", ("<1@x>", "<2@x>")),
        (
            b"Date: nonsense\nReceived: by x; Wed, 15 Jan 2025 10:30:00 -0000\n\n",
            "sent_at",
            datetime(2025, 1, 15, 10, 30, tzinfo=UTC),
        ),
        (b"Date: 99 Foo 99999 99:99\n\n", "sent_at", EPOCH),
        (b"Content-Type: text/plain; charset=martian\n\n\xc3\xa9", "body_text", "é"),
        (b"Content-Type: text/plain; charset=us-ascii\n\n\xe9", "body_text", "é"),
        (b"Content-Transfer-Encoding: base64\n\naGVsbG8", "body_text", "hello"),
        (b"Content-Type: multipart/mixed\n\nno boundary", "body_text", "no boundary"),
        (b"Subject: nul\n\na\0b", "body_text", "ab"),
        (b"Status: RO\nX-Status: F\n\n", "is_read", True),
        (b"X-Status: F\n\n", "is_starred", True),
        (b"X-Gmail-Labels: Inbox,Unread\n\n", "is_read", False),
        (b"X-Gmail-Labels: Inbox,Starred\n\n", "is_starred", True),
        (b"", "body_text", None),
    ],
)
def test_what_is_broken_is_read_as_well_as_it_can_be(raw: bytes, field: str, value: object) -> None:
    assert getattr(parse_message(raw), field) == value


@pytest.mark.parametrize(
    ("charset", "raw", "text"),
    [
        ("iso-8859-1", b"don\x92t \x80 5", "don’t € 5"),
        ("us-ascii", b"gr\xfc\xdfe \x96", "grüße –"),
        ("gb2312", "囍 價".encode("gb18030"), "囍 價"),
        ("shift_jis", "①㈱".encode("cp932"), "①㈱"),
        ("ks_c_5601-1987", "똠".encode("cp949"), "똠"),
        ("windows-874", "สวัสดี".encode("cp874"), "สวัสดี"),
        ("iso-8859-8-i", "שלום".encode("iso8859_8"), "שלום"),
        ("utf-8", "Grüße, schön, für ".encode() * 9 + b"\xc3", "Grüße, schön, für " * 9 + "\ufffd"),
        ("utf-8", b"Gr\xfc\xdfe", "Grüße"),
        ("iso-8859-1", "Grüße".encode(), "Grüße"),
        ("", "見積".encode("iso2022_jp"), "見積"),
        ("", "Grüße".encode(), "Grüße"),
        ("", b"Gr\xfc\xdfe \x93x\x94", "Grüße “x”"),
    ],
)
def test_a_body_is_read_in_the_charset_that_fits(charset: str, raw: bytes, text: str) -> None:
    field = f"Content-Type: text/plain; charset={charset}\n" if charset else ""
    assert parse_message(field.encode() + b"\n" + raw).body_text == text


@pytest.mark.parametrize("charset", ["punycode", "idna"])
def test_a_slow_codec_is_no_charset(charset: str) -> None:
    begun = time.thread_time()
    parse_message(b"Content-Type: text/plain; charset=" + charset.encode() + b"\n\n" + b"a-b" * 700_000)
    assert time.thread_time() - begun < 3


def test_html_that_names_its_charset_is_read_in_it() -> None:
    raw = b'Content-Type: text/html\n\n<html><head><meta charset="koi8-r"></head>' + "Привет".encode("koi8-r")
    assert (parse_message(raw).body_html or "").endswith("Привет")


@pytest.mark.parametrize("name", ["quoted-printable;", "Quoted Printable", "quoted_printable", "quotedprintable"])
def test_a_transfer_encoding_is_known_by_other_spellings(name: str) -> None:
    assert parse_message(f"Content-Transfer-Encoding: {name}\n\na =3D b=20=\n c".encode()).body_text == "a = b  c"


def test_paragraphs_that_were_broken_for_the_way_are_put_together() -> None:
    raw = b"""\
Content-Type: text/plain; charset=utf-8; format=flowed

The price that we agreed \nholds until Friday.

 From here on:
> Is it \n> still the \n>> older
> same?
-- \nTom
"""
    assert parse_message(raw).body_text == snapshot(
        """\
The price that we agreed holds until Friday.

From here on:
> Is it still the \n\
>> older
> same?
-- \n\
Tom
"""
    )
    raw = b"Content-Type: text/plain; format=flowed; delsp=yes\n\nlong \nword"
    assert parse_message(raw).body_text == "longword"


@pytest.mark.parametrize("kind", ["text/enriched", "text/plain charset=utf-8", "text/x-unheard-of", "text"])
def test_text_of_any_kind_is_the_body(kind: str) -> None:
    message = parse_message(f"Content-Type: {kind}\n\nHello".encode())
    assert (message.body_text, message.attachments) == ("Hello", ())


@pytest.mark.parametrize("kind", ["text/calendar", "text/vcard", "message/delivery-status", "application/ms-tnef"])
def test_what_is_no_text_to_read_is_a_file(kind: str) -> None:
    message = parse_message(f"Content-Type: {kind}\n\nBEGIN:X\n".encode())
    assert message.body_text is None
    assert [file.content_type for file in message.attachments] == [kind]


@given(st.binary(max_size=2000))
@settings(max_examples=75, deadline=None)
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    parse_message(raw)


@given(st.data())
@settings(max_examples=75, deadline=None)
def test_no_mutation_of_a_message_breaks_the_reader_or_the_store(data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.sampled_from([PLAIN, PARTS])))
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place : place + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=6))
        raw = raw or bytearray(b"\n")
    message = parse_message(bytes(raw))
    for text in (message.subject, message.from_email, message.body_text or "", *message.to, *message.references):
        text.encode()
        assert "\0" not in text


def test_deep_nesting_does_not_end_the_reader() -> None:
    # Deeper than Python recurses.
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(1200))
    parse_message(nested)
    parse_message(b"Content-Type: message/rfc822\n\n" * 1200)


def test_an_mbox_is_split_at_its_from_lines(mailbox: Mailbox, tmp_path: Path) -> None:
    first = PLAIN.replace(b"Hello Sam", b"Hello\n\n>From here on\n\nFrom there")
    box = b"From zoe Wed Jan 15 12:30:00 2025\n" + first + b"\nFrom - Wed Jan 15 12:30:00 2025\r\n" + PARTS
    (tmp_path / "Archive.mbox").write_bytes(box)
    report = import_mail(mailbox.store, mailbox.user, [tmp_path])
    assert (report.messages, report.threads, report.duplicates, report.skipped) == (2, 2, 0, [])
    threads = mailbox.store.list_threads(mailbox.user, models.ListThreads(folder="archive")).items
    bodies = [mailbox.store.thread(mailbox.user, thread.id).messages[0].body_text for thread in threads]
    assert sorted(map(str, bodies)) == ["Hello\n\nFrom here on\n\nFrom there\n", "Price: 5 €"]


def test_a_maildir_keeps_its_flags_and_folders(mailbox: Mailbox, tmp_path: Path) -> None:
    def put(place: str, number: int) -> None:
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"From: a@x.test\nSubject: %d\nMessage-ID: <%d@x>\n\n" % (number, number))

    for number, place in enumerate(
        (
            "cur/1:2,S",
            "cur/2:2,FS",
            "new/3",
            "tmp/4",
            ".Junk/cur/5:2,",
            ".Big deals/cur/6:2,S",
            "cur/7:2,DS",
            "cur/8:2,T",
        ),
        1,
    ):
        put(place, number)
    report = import_mail(mailbox.store, mailbox.user, [tmp_path])
    assert [(Path(where).name, reason) for where, reason in report.skipped] == [("7:2,DS", "a draft")]
    seen = {
        thread.subject: (folder, thread.is_read, thread.is_starred)
        for folder in ("inbox", "spam", "trash", "Big deals")
        for thread in mailbox.store.list_threads(mailbox.user, models.ListThreads(folder=folder)).items
    }
    assert seen == snapshot(
        {
            "3": ("inbox", False, False),
            "2": ("inbox", True, True),
            "1": ("inbox", True, False),
            "5": ("spam", False, False),
            "8": ("trash", False, False),
            "6": ("Big deals", True, False),
        }
    )


def test_what_is_no_mail_is_skipped_with_a_reason_and_copies_are_counted(mailbox: Mailbox, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Mail\n\nFrom: nobody\n")
    (tmp_path / "empty.eml").write_bytes(b"")
    (tmp_path / "one.eml").write_bytes(PLAIN)
    (tmp_path / "same").write_bytes(PLAIN)
    seen: list[ImportProgress] = []
    report = import_mail(mailbox.store, mailbox.user, [tmp_path, tmp_path / "missing"], progress=seen.append)
    assert (report.messages, report.threads, report.duplicates) == (1, 1, 1)
    assert [(Path(where).name, reason) for where, reason in report.skipped] == snapshot(
        [("README.md", "not mail"), ("empty.eml", "empty"), ("missing", "no such file")]
    )
    assert [progress.done for progress in seen] == [1, 2, 3, 4, 5]


def test_mail_from_the_users_own_address_is_outbound_and_read(mailbox: Mailbox, tmp_path: Path) -> None:
    (tmp_path / "own.eml").write_bytes(b"From: SAM@sales.test\nTo: a@x.test\n\nHi\n")
    import_mail(mailbox.store, mailbox.user, [tmp_path])
    (thread,) = mailbox.store.list_threads(mailbox.user, models.ListThreads(folder="sent")).items
    assert (thread.folder, thread.is_read) == ("sent", True)
    assert mailbox.store.thread(mailbox.user, thread.id).messages[0].direction == "OUTBOUND"


@pytest.mark.skipif(not REAL_MAIL.is_dir(), reason="the corpus of real mail is not on this machine")
def test_all_real_mail_is_read(mailbox: Mailbox) -> None:
    report = import_mail(mailbox.store, mailbox.user, [REAL_MAIL])
    mails = report.messages + report.duplicates
    assert mails > 400
    assert {reason for _, reason in report.skipped} == {"not mail", "empty"}
    page = mailbox.store.list_threads(mailbox.user, models.ListThreads(limit=100))
    for summary in page.items:
        mailbox.store.thread(mailbox.user, summary.id).model_dump_json().encode()
