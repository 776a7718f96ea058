"""A message as it is read: what is new in it, as safe text, and apart from it its signature and what it quotes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from salesos_inbox.mail.forms import Form, recognise
from salesos_inbox.mail.html import CUT_NOTE, html_to_text
from salesos_inbox.mail.links import Link, inert, link_list, mentioned
from salesos_inbox.mail.nesting import MAX_CHARACTERS
from salesos_inbox.mail.quotes import is_forward, parts_of, split_quoted
from salesos_inbox.mail.signatures import split_signature
from salesos_inbox.mail.unicode import clean, narrow

PLAIN_SHOWN = "its HTML shows no words: this is its plain text"
_BLANK_LINES = re.compile(r"\n{3,}")
_NO_WORDS = re.compile(r"(?:\[image(?:: [^\]\n]*)?\]|\[\d{1,6}[^\]\n]*\]|\W|_)*+")


@dataclass(frozen=True)
class Reading:
    """A message as text: what is new, its signature, the quote, and what was left out of them.

    Each part lists the links that it mentions; `links` are all of them. `hidden` is the beginning of what a reader
    would not see, to be looked at and never shown. `notes` say in our words what the mail is, where its text does not.
    """

    text: str
    quoted: str = ""
    signature: str = ""
    links: tuple[Link, ...] = ()
    hidden_chars: int = 0
    hidden: str = ""
    removed_chars: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _About:
    """What is known of a message besides its bodies, and how many characters of it are read."""

    forwarded: bool
    attachment_names: Sequence[str]
    most: int


def read_body(
    body_html: str | None,
    body_text: str | None,
    *,
    subject: str = "",
    attachment_names: Sequence[str] = (),
    most: int = MAX_CHARACTERS,
) -> Reading:
    """Read a message as its recipient sees it: its HTML, or its plain text where the HTML is missing or shows no words.

    The subject tells whether it was forwarded, so that what it quotes is its content; the names of its files, or
    their types, whether it is encrypted, signed or an invitation. Of a body longer than `most` characters the beginning
    is read, and the text says so. Never raises.
    """
    about = _About(is_forward(subject), attachment_names, most)
    plain = body_text or ""
    if body_html and body_html.strip():
        reading = _read_html(body_html, about)
        if _shows_words(reading.text) or not plain.strip():
            return reading
        return _read_plain(plain, about, (PLAIN_SHOWN,))
    return _read_plain(plain, about)


def read_whole(html: str) -> Reading:
    """Read HTML without parting what it quotes or ends in: all that is shown is `text`. Never raises."""
    found = html_to_text(html)
    cleaned = clean(found.text)
    return Reading(
        cleaned.text,
        links=found.links,
        hidden_chars=found.hidden_chars,
        hidden=found.hidden,
        removed_chars=cleaned.removed,
    )


def _shows_words(text: str) -> bool:
    return _NO_WORDS.fullmatch(text.partition("\n\n[1] ")[0]) is None


def _read_plain(plain: str, about: _About, notes: tuple[str, ...] = ()) -> Reading:
    form = recognise(plain[: about.most], about.attachment_names)
    if form.is_html:
        return _read_html(form.text, about, form.notes)
    cleaned = clean(inert(form.text))
    cut = f"\n\n{CUT_NOTE}" if len(plain) > about.most else ""
    return _read(cleaned.text + cut, form, notes=notes, removed_chars=cleaned.removed, forwarded=about.forwarded)


def _read_html(html: str, about: _About, notes: tuple[str, ...] = ()) -> Reading:
    found = html_to_text(html, partial(parts_of, forwarded=about.forwarded), about.most)
    form = recognise(_without_list(found.text, found.links), about.attachment_names)
    body, quoted, signature = map(clean, (inert(form.text), found.quoted, found.signature))
    return _read(
        body.text,
        form,
        notes=notes,
        forwarded=about.forwarded,
        quoted=quoted.text,
        signature=signature.text,
        links=found.links,
        hidden_chars=found.hidden_chars,
        hidden=found.hidden,
        removed_chars=body.removed + quoted.removed + signature.removed,
    )


def _read(
    text: str,
    form: Form,
    *,
    forwarded: bool,
    quoted: str = "",
    signature: str = "",
    links: tuple[Link, ...] = (),
    hidden_chars: int = 0,
    hidden: str = "",
    removed_chars: int = 0,
    notes: tuple[str, ...] = (),
) -> Reading:
    """Part what a mail program did not mark as quote or signature, and put a message together."""
    split = split_quoted(text, forwarded=forwarded)
    new, signed = (split.new, "") if signature else split_signature(split.new)
    return Reading(
        text=_with_list(new, links),
        quoted=_joined(_with_list(split.quoted, links), quoted),
        signature=_joined(_with_list(signed, links), signature),
        links=links,
        hidden_chars=hidden_chars + form.hidden_chars,
        hidden=hidden,
        removed_chars=removed_chars,
        notes=notes + form.notes,
    )


def _without_list(text: str, links: Sequence[Link]) -> str:
    return text.removesuffix(link_list(mentioned(text, links)))


def _with_list(part: str, links: Sequence[Link]) -> str:
    """A part of a message with the list of the links that it mentions."""
    return _joined(part, link_list(mentioned(part, links)))


def _joined(*parts: str) -> str:
    return "\n\n".join(filter(None, map(_tidy, filter(None, parts))))


def _tidy(text: str) -> str:
    """Without blank lines around it, or more than one in a row, or gaps that push words out of sight."""
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return narrow(_BLANK_LINES.sub("\n\n", lines)).strip("\n")
