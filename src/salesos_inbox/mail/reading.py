"""A message as it is read: what is new in it, as safe text, and the quote apart."""

import re
from dataclasses import dataclass

from salesos_inbox.mail.html import CUT_NOTE, HtmlText, Link, html_to_text, link_list
from salesos_inbox.mail.nesting import MAX_CHARACTERS
from salesos_inbox.mail.quotes import split_quoted, split_quoted_html
from salesos_inbox.mail.unicode import clean, one_line

_STUB_CHARACTERS = 300
_MOSTLY_ADDRESSES = 0.5
_LINES_WITH_LESS = re.compile(r"\n{3,}")
_STUB = re.compile(
    r"view (?:this|it|the)? ?(?:e-?mail|message|newsletter)?\s*(?:in|on|with)\s.{0,20}browser|"
    r"html[- ](?:e-?mail|mail|version|capable|compatible|enabled)|"
    r"(?:support|display|view|read|enable|requires?)\w*\s+html|"
    r"im browser (?:an|öffnen)|dans votre navigateur|en (?:el|tu|su) navegador|nel browser|no (?:seu )?navegador|"
    r"in (?:je|uw) browser|i (?:din )?webbläsare|w przeglądarce|в браузере|ブラウザ",
    re.IGNORECASE,
)
_WEB_ADDRESS = re.compile(r"https?://\S+", re.IGNORECASE)
_GREETING = re.compile(
    r"(?:hi|hello|hey|dear|good (?:morning|afternoon|evening)|hallo|guten (?:tag|morgen|abend)|liebe[rs]?|"
    r"sehr geehrte[rs]?|moin|servus|bonjour|bonsoir|salut|ch[eè]re?s?|hola|buen[oa]s (?:d[ií]as|tardes)|estimad[oa]s?|"
    r"querid[oa]s?|ciao|buongiorno|salve|gentile|egregi[oa]|car[oa]|ol[áa]|oi|bom dia|boa tarde|prezad[oa]s?|beste|"
    r"geachte|hej|hejsan|cześć|dzień dobry|witam|szanown[aiy]|merhaba|selam|sayın|здравствуйте|привет|добрый день|"
    r"уважаем\w+)\b[^.?]{0,40}?[,!:.]?|.{1,30}(?:様|さん|さま)[、,]?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Reading:
    """A message as text: what is new, the quote at its end, and what was left out of both.

    `links` are those of the HTML above the quote that a mail program marked; each part lists those it mentions.
    """

    text: str
    quoted: str
    links: tuple[Link, ...]
    hidden_chars: int
    removed_chars: int


def read_body(body_html: str | None, body_text: str | None) -> Reading:
    """Read a message: its plain text, or its HTML where the plain text is missing or says nothing. Never raises."""
    plain = body_text or ""
    if body_html and _is_stub(plain):
        reading = _read_html(body_html)
        if reading.text or not plain.strip():
            return reading
    return _read_plain(plain)


def first_words(reading: Reading, limit: int) -> str:
    """What is new in one line of at most `limit` characters; a greeting is left out when more follows."""
    lines = [line for line in reading.text.split("\n") if line.strip()]
    if len(lines) > 1 and _GREETING.fullmatch(lines[0].strip()):
        del lines[0]
    return one_line(" ".join(lines)[: limit * 8 + 200], limit)


def _is_stub(plain: str) -> bool:
    """Whether a plain text only sends its reader to the HTML: empty, a note about browsers, or mostly web addresses."""
    words = plain.strip()
    addresses = sum(map(len, _WEB_ADDRESS.findall(words)))
    short = len(words) - addresses <= _STUB_CHARACTERS
    return not words or addresses > _MOSTLY_ADDRESSES * len(words) or (short and _STUB.search(words) is not None)


def _read_plain(plain: str) -> Reading:
    cleaned = clean(plain[:MAX_CHARACTERS])
    split = split_quoted(cleaned.text)
    note = f"\n\n{CUT_NOTE}" if len(plain) > MAX_CHARACTERS else ""
    return Reading(_tidy(split.new) + note, _tidy(split.quoted), (), 0, cleaned.removed)


def _read_html(html: str) -> Reading:
    new, quoted = map(html_to_text, split_quoted_html(html))
    cleaned_new, cleaned_quote = clean(_without_list(new)), clean(quoted.text)
    split = split_quoted(cleaned_new.text)
    return Reading(
        text=_with_list(split.new, new.links),
        quoted=_tidy("\n\n".join(filter(None, (_with_list(split.quoted, new.links), cleaned_quote.text)))),
        links=new.links,
        hidden_chars=new.hidden_chars + quoted.hidden_chars,
        removed_chars=cleaned_new.removed + cleaned_quote.removed,
    )


def _without_list(message: HtmlText) -> str:
    return message.text.removesuffix(link_list(message.links))


def _with_list(part: str, links: tuple[Link, ...]) -> str:
    """A part of a message with the list of those links whose numbers are in it."""
    mentioned = {int(number) for number in re.findall(r"\[(\d{1,6})[\]:]", part)}
    listed = link_list(link for link in links if link.number in mentioned)
    return "\n\n".join(filter(None, (_tidy(part), listed)))


def _tidy(text: str) -> str:
    """Without blank lines around it, or more than one in a row."""
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return _LINES_WITH_LESS.sub("\n\n", lines).strip("\n")
