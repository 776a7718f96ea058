"""Text that was damaged on its way, mended where it is certain what it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesos_inbox.mail.damage import ANOTHER_SCRIPT, LOST, MISREAD, UNDECODED, Mended, decode_words, decoded, mended

WORDS = (
    "Grüße aus Köln",
    "it’s 5 € – “now”",
    "déjà vu, cœur",
    "Zażółć gęślą jaźń",
    "Привет, Анна",
    "見積もりの件",
    "🎉 done",
)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Sch=C3=B6ne Gr=C3=BC=C3=9Fe", "Schöne Grüße"),
        ("Sch=F6ne Gr=FC=DFe aus K=F6ln", "Schöne Grüße aus Köln"),
        ("a =3D b=20\nc=20\nd", "a = b \nc \nd"),
        ("It=E2=80=99s the =E2=80=\n=9Coffer=E2=80=9D", "It’s the “offer”"),
        (
            "The price we agreed upon in our call on Monday holds till =\nFriday =3D 20; the rest is a=\ns before.",
            "The price we agreed upon in our call on Monday holds till Friday = 20; the rest is as before.",
        ),
        ('<a href=3D"https://x.example/?a=3D1">x</a>', '<a href="https://x.example/?a=1">x</a>'),
    ],
)
def test_quoted_printable_is_decoded_where_it_is_certain(text: str, meant: str):
    assert mended(text) == Mended(meant, (UNDECODED,))
    assert mended(text.replace("\n", "\r\n")).text.replace("\r\n", "\n") == meant


@pytest.mark.parametrize(
    "text",
    [
        "x=20",
        "https://x.example/?id=ABcd&v=3D",
        "https://x.example/?id=C3a and https://x.example/?id=C3a and https://x.example/?id=D4b",
        "a = b, =C3=A4 =C3=A4",
        "TVqQAAMAAAAEAAAA8AALgAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" * 3,
        "=====\nTitle\n=====",
    ],
)
def test_what_may_be_meant_so_is_no_quoted_printable(text: str):
    assert mended(text) == Mended(text)


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("charset", ["latin-1", "cp1252"])
def test_utf8_that_was_misread_is_read_rightly(words: str, charset: str):
    raw = words.encode()
    try:
        misread = raw.decode(charset)
    except UnicodeDecodeError:
        misread = "".join(bytes([one]).decode("cp1252", "ignore") or chr(one) for one in raw)
    assert mended(f"Hello, {misread}, bye") == Mended(f"Hello, {words}, bye", (MISREAD,))


def test_what_was_misread_twice_is_read_rightly():
    assert mended("GrÃƒÂ¼ÃƒÅ¸e").text == "Grüße"


def test_a_misread_quote_is_mended_under_a_right_reply():
    text = "Grüße\n> GrÃ¼ÃŸe, itâ€™s fine"
    assert mended(text) == Mended("Grüße\n> Grüße, it’s fine", (MISREAD,))


@pytest.mark.parametrize(
    "text",
    [
        *WORDS,
        "Das macht Spaß… „MENÜ“ — “CAFÉ”–BAR, À »bientôt«",
        "É… IRMÃ… AMANHÃ, NÃO",
        "5×” 3×–4×",
        "Ãlvaro de Â",
    ],
)
def test_what_was_read_rightly_stays(text: str):
    assert mended(text) == Mended(text)


def test_latin1_is_read_as_browsers_read_it():
    assert mended("don\x92t \x93x\x94 \x80 5") == Mended("don’t “x” € 5")


def test_lost_characters_are_named():
    assert mended("Gr\ufffd\ufffde aus K\ufffdln").notes == (LOST,)
    assert mended("a\ufffd").notes == ()


@pytest.mark.parametrize("charset", ["gb18030", "big5", "shift_jis", "cp874"])
def test_a_script_read_in_a_wrong_charset_is_named(charset: str):
    words = {"cp874": "สวัสดีครับ ขอใบเสนอราคาสำหรับสินค้าของคุณ " * 2}.get(charset, "本日中国会社見積書送付下 " * 4)
    assert ANOTHER_SCRIPT in mended(words.encode(charset, "replace").decode("latin-1")).notes


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        ("=?utf-8?Q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("Re: =?utf-8?B?R3LDvMOfZQ==?= (2)", "Re: Grüße (2)"),
        ("=?UTF-8?Q?a_=C3?=\r\n =?UTF-8?Q?=A4?=", "a ä"),
        ("=?iso-8859-1*de?q?=E4?=", "ä"),
        ("=?koi8-r?B?8NLJ18XU?=", "Привет"),
        ("=?x?Q?=E4?= =?y", "ä =?y"),
        ("=?utf-8?b?!?=", "=?utf-8?b?!?="),
        ("=?utf-8?Q?no end", "=?utf-8?Q?no end"),
        ("plain = ?", "plain = ?"),
    ],
)
def test_encoded_words_are_decoded(header: str, meant: str):
    assert decode_words(header) == meant


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "zip", "\0", "", "no-such", "undefined"])
def test_what_is_no_charset_of_mail_is_read_as_one_that_is(charset: str):
    assert decoded("é".encode(), charset) == "é"
    assert decoded(b"\xe9", charset) == "é"


@given(st.text())
def test_no_text_breaks_it(text: str):
    mended(text)
    decode_words(text)


@given(st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_mending_twice_changes_nothing_in_ascii(text: str):
    once = mended(text).text
    assert mended(once.replace("=", "")).text == once.replace("=", "")
