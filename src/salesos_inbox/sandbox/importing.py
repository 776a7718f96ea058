"""Real mail into a mailbox: mbox files (RFC 4155), Maildir, trees of .eml files, and single messages.

Whatever a file holds, reading it never fails: a header or a part that cannot be decoded is read as
well as it can be, and what is no mail at all is reported as skipped.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from email.policy import compat32
from email.utils import collapse_rfc2231_value, getaddresses, parsedate_to_datetime
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, Final, cast

from salesos_inbox.sandbox.messages import EPOCH, StoredAttachment, StoredMessage, bracketed, clean, message_ids
from salesos_inbox.sandbox.store import Store

LARGEST_MESSAGE: Final = 50 * 2**20
"""Bytes; a longer message is skipped, so that an import's memory is bounded."""

_BATCH: Final = 5000  # messages of one transaction: each page that they touch is written once
_HEAD: Final = 16 * 2**10
_MOST_PARTS: Final = 500
_LONGEST_HEADER: Final = 100_000

# Charsets that mail programs read as larger ones, as senders do who name them (WHATWG Encoding), and names that
# Python does not know. Names are compared by their letters and digits alone.
_CHARSETS: Final = {
    name: codec
    for codec, names in {
        "cp1252": "ascii usascii ansix341968 iso88591 latin1 windows1252 default defaultcharset",
        "cp1254": "iso88599 latin5",
        "cp874": "iso885911 tis620 windows874",
        "iso8859_6": "iso88596e iso88596i",
        "iso8859_8": "iso88598e iso88598i",
        "gb18030": "gb2312 gb231280 gbk xgbk euccn gb2312charset",
        "cp950": "big5 xxbig5 chinesebig5",
        "cp932": "shiftjis sjis xsjis mskanji windows31j",
        "cp949": "euckr ksc56011987 ksc56011989 ksc5601 windows949",
        "iso2022_jp_ext": "iso2022jp",
        "koi8_u": "koi8ru",
        "mac_roman": "xmacroman macintosh",
        "utf_7": "unicode11utf7 xunicode20utf7",
        "utf_8": "unicode11utf8 xunicode20utf8 utf8mb4",
    }.items()
    for name in names.split()
}
# What Python decodes but no mail is written in; the first two take quadratic time.
_NO_CHARSETS: Final = frozenset({"idna", "punycode", "unicodeescape", "rawunicodeescape", "undefined", "mbcs", "oem"})
_NOT_A_LETTER = re.compile(r"[^a-z0-9]+")
_META_CHARSET = re.compile(rb"<meta\b[^<>]{0,200}?\bcharset\s*=\s*[\"']?\s*([\w:.-]{1,40})", re.IGNORECASE)
_JAPANESE = re.compile(rb"\x1b\$[@B]|\x1b\([IJ]")
_HEAD_OF_HTML: Final = 2048
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_MOST_DAMAGED: Final = 0.1  # of the characters beyond ASCII; with more of them the charset is another
_TRANSFER_ENCODING = re.compile(r"\s*(quoted|base)[ _-]?(printable|64)\b", re.IGNORECASE)

# Parts that a mail program shows as text though they are neither plain nor HTML (RFC 2046, 4.1.4) are all but these.
_FILES_OF_TEXT: Final = frozenset({"text/calendar", "text/vcard", "text/x-vcard", "text/directory", "text/x-amp-html",
                                   "text/rfc822-headers", "text/x-moz-deleted", "text/css", "text/csv"})  # fmt: skip

# What the email package is known to raise on mail that breaks the rules.
_UNREADABLE: Final = (
    MessageError, AttributeError, AssertionError, IndexError, KeyError, LookupError, OverflowError, RecursionError,
    TypeError, UnicodeError, ValueError,
)  # fmt: skip

_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_MAIL_FIELD = re.compile(
    rb"^(?:from|to|subject|date|message-id|received|return-path|mime-version|delivered-to|reply-to)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"@]+@[^\s<>()\[\],;:\"@]+")
_FROM_LINE = re.compile(rb"From \S.*\d{4}")
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_MAILDIR_FLAGS = re.compile(r"[:;!]2,([A-Za-z]*)$")

_FOLDER_NAMES: Final = {
    "inbox": "inbox",
    "sent": "sent",
    "sent items": "sent",
    "sent mail": "sent",
    "sent messages": "sent",
    "archive": "archive",
    "archives": "archive",
    "all mail": "archive",
    "trash": "trash",
    "bin": "trash",
    "deleted items": "trash",
    "deleted messages": "trash",
    "spam": "spam",
    "junk": "spam",
    "junk e-mail": "spam",
    "drafts": "drafts",
}


@dataclass(frozen=True)
class ImportProgress:
    """How far an import is: messages read so far, and the file it is reading."""

    done: int
    path: Path


@dataclass(frozen=True)
class ImportReport:
    """What an import did: messages filed, threads the mailbox gained, copies dropped.

    `skipped` names what was left out, each a file (with the message's position in an mbox) and why.
    """

    messages: int
    threads: int
    duplicates: int
    skipped: list[tuple[str, str]]


@dataclass(frozen=True)
class _Found:
    """One message of a source: its bytes, or the reason why it was left out."""

    path: Path
    raw: bytes = b""
    reason: str | None = None
    position: int | None = None
    folder: str | None = None
    flags: str | None = None

    @property
    def where(self) -> str:
        return str(self.path) if self.position is None else f"{self.path}#{self.position}"


def import_mail(
    store: Store,
    user_id: str,
    paths: Iterable[Path],
    *,
    progress: Callable[[ImportProgress], None] | None = None,
) -> ImportReport:
    """File all mail below `paths` (files or folders) in the user's mailbox, and return what was done.

    Folders of a Maildir (`.Name`) and files of their names (`Sent.mbox`) keep their folder. `progress` is
    called after each message. Refuses (404) an unknown user.
    """
    before, messages, duplicates, done = store.count_threads(user_id), 0, 0, 0
    skipped: list[tuple[str, str]] = []
    found = (one for path in paths for one in _found_below(path))
    while first := next(found, None):
        with store.transaction():
            # One message at a time is held in memory.
            for one in chain([first], islice(found, _BATCH - 1)):
                done += 1
                if one.reason:
                    skipped.append((one.where, one.reason))
                else:
                    folder = store.add_folder(user_id, one.folder) if one.folder else None
                    filed = store.file_message(user_id, _flagged(parse_message(one.raw), one.flags), folder=folder)
                    messages += filed.is_new
                    duplicates += not filed.is_new
                if progress:
                    progress(ImportProgress(done, one.path))
    return ImportReport(messages, store.count_threads(user_id) - before, duplicates, skipped)


def parse_message(raw: bytes) -> StoredMessage:
    """Return the message (RFC 5322, MIME) in `raw`, read as well as it can be; never raises.

    Without a readable date it takes that of the newest `Received` header, else 1970.
    """
    raw = raw.lstrip(b"\r\n")
    try:
        message = message_from_bytes(raw, policy=compat32)
    except _UNREADABLE:
        # Not even the structure can be told: all of it is text.
        return StoredMessage(from_email="", sent_at=EPOCH, body_text=_decoded(raw, None))
    headers = _headers(message)
    sender = _addresses(headers.get("from", []) or headers.get("sender", []))
    name, email = sender[0] if sender else ("", "")
    own = message_ids(_first(headers, "message-id")) or message_ids(bracketed(_first(headers, "message-id")))
    parents = message_ids(_first(headers, "in-reply-to"))
    text, html, attachments = _content(message)
    return StoredMessage(
        message_id=own[0] if own else "",
        in_reply_to=parents[0] if parents else None,
        references=message_ids(" ".join(headers.get("references", []))),
        from_name=name,
        from_email=email,
        to=_emails(headers, "to"),
        cc=_emails(headers, "cc"),
        bcc=_emails(headers, "bcc"),
        subject=_words(_first(headers, "subject")),
        body_text=text,
        body_html=html,
        sent_at=_sent_at(headers),
        attachments=attachments,
        is_read=_is_read(headers),
        is_starred=_is_starred(headers),
    )


# Headers


def _headers(message: Message) -> dict[str, list[str]]:
    """Return the raw headers by lower-case name, unfolded; bytes beyond ASCII are read as UTF-8, or Latin-1."""
    headers: dict[str, list[str]] = {}
    for name, value in message.raw_items():
        headers.setdefault(name.casefold(), []).append(_unfolded(str(value)))
    return headers


def _unfolded(value: str) -> str:
    raw = value[:_LONGEST_HEADER].encode("utf-8", "surrogateescape")
    return " ".join(_decoded(raw, None).split())


def _first(headers: dict[str, list[str]], name: str) -> str:
    return next(iter(headers.get(name, [])), "")


def _words(value: str) -> str:
    """Return a header's text with its encoded words (RFC 2047) decoded."""
    if "=?" not in value:
        return value
    try:
        parts = decode_header(value)
    except _UNREADABLE:
        return value
    text = "".join(part if isinstance(part, str) else _decoded(part, charset) for part, charset in parts)
    return " ".join(clean(text).split()) or value


def _addresses(values: list[str]) -> list[tuple[str, str]]:
    """Return the (name, address) pairs of address headers (RFC 5322, 3.4)."""
    pairs = [pair for value in values for pair in _pairs(value)]
    return [(_words(name), clean(_words(address)).strip()) for name, address in pairs]


def _pairs(value: str) -> list[tuple[str, str]]:
    try:
        pairs = [pair for pair in getaddresses([value]) if pair[1]]
    except _UNREADABLE:
        pairs = []
    # What the parser has lost its way in is searched for anything like an address.
    if not pairs or any("@" in address and not _ADDRESS.fullmatch(address) for _, address in pairs):
        return [("", address) for address in _ADDRESS.findall(value)]
    return pairs


def _emails(headers: dict[str, list[str]], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(address for _, address in _addresses(headers.get(name, []))))


def _sent_at(headers: dict[str, list[str]]) -> datetime:
    received = [value.rpartition(";")[2] for value in headers.get("received", [])]
    for value in (*headers.get("date", []), *received):
        try:
            moment = parsedate_to_datetime(value)
            # Without an offset, or with -0000, the time is in UTC (RFC 5322, 3.3).
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except _UNREADABLE:
            continue
    return EPOCH


def _is_read(headers: dict[str, list[str]]) -> bool | None:
    labels, status = _gmail_labels(headers), _first(headers, "status")
    if labels:
        return "unread" not in labels
    return "R" in status.upper() if status else None


def _is_starred(headers: dict[str, list[str]]) -> bool:
    return "starred" in _gmail_labels(headers) or "F" in _first(headers, "x-status").upper()


def _gmail_labels(headers: dict[str, list[str]]) -> set[str]:
    """Return the labels that Google's export writes, in lower case."""
    value = _words(_first(headers, "x-gmail-labels"))
    return {label.strip(' "').casefold() for label in value.split(",") if label.strip()}


# Bodies


def _content(message: Message) -> tuple[str | None, str | None, tuple[StoredAttachment, ...]]:
    """Return the text body, the HTML body and the attachments of a message."""
    bodies: dict[str, list[str]] = {"text/plain": [], "text/html": []}
    attachments: list[StoredAttachment] = []
    for part in islice(_leaves(message), _MOST_PARTS):
        kind, name, payload = _content_type(part), _filename(part), _payload(part)
        shown = "text/plain" if kind.startswith("text/") and kind not in (_FILES_OF_TEXT | bodies.keys()) else kind
        if shown in bodies and name is None and not _is_attachment(part):
            charset = _charset(part) or (_charset_of_html(payload) if kind == "text/html" else None)
            text = _decoded(payload, charset)
            bodies[shown].append(_unwrapped(text, part) if kind == "text/plain" else text)
        else:
            attachments.append(StoredAttachment(name, kind, len(payload)))
    return "\n\n".join(bodies["text/plain"]) or None, "\n".join(bodies["text/html"]) or None, tuple(attachments)


def _leaves(message: Message) -> Iterator[Message]:
    """Yield the parts that hold content, in order; a mail inside the mail is one part."""
    stack = [message]
    while stack:
        part = stack.pop()
        inner = _inner(part)
        if inner and part.get_content_maintype() == "multipart":
            stack += reversed(inner)
        else:
            yield part


def _inner(part: Message) -> list[Message]:
    """Return the messages that a part is made of, none where it holds content itself."""
    return (
        [one for one in cast(list[object], part.get_payload()) if isinstance(one, Message)]
        if part.is_multipart()
        else []
    )


def _content_type(part: Message) -> str:
    kind = (clean(part.get_content_type()).split() or ["text/plain"])[0]
    # A multipart without parts has lost its boundary: what is there is read as text.
    return "text/plain" if kind.startswith("multipart/") else kind


def _is_attachment(part: Message) -> bool:
    try:
        return part.get_content_disposition() == "attachment"
    except _UNREADABLE:
        return False


def _filename(part: Message) -> str | None:
    try:
        name = part.get_filename()
    except _UNREADABLE:
        return None
    return (_words(_unfolded(name)) or None) if name else None


def _charset(part: Message) -> str | None:
    try:
        charset = part.get_param("charset")
        return collapse_rfc2231_value(charset) if charset else None
    except _UNREADABLE:
        return None


def _charset_of_html(raw: bytes) -> str | None:
    """Return the charset that HTML names for itself, as browsers take it where the mail names none."""
    found = _META_CHARSET.search(raw[:_HEAD_OF_HTML])
    return found[1].decode("ascii", "replace") if found else None


def _unwrapped(text: str, part: Message) -> str:
    """Return the text with the paragraphs that `format=flowed` (RFC 3676) broke into lines put together again."""
    try:
        parameters = {str(name).lower(): str(value).lower() for name, value in part.get_params() or []}
    except _UNREADABLE:
        return text
    if parameters.get("format") != "flowed":
        return text
    kept: list[str] = []
    flowing = ""
    for line in text.splitlines():
        depth = len(line) - len(line.lstrip(">"))
        quote, words = line[:depth], line[depth:].removeprefix(" ")
        is_signature = words.rstrip("\r") == "-- "
        if kept and flowing == f"{quote}." and not is_signature:
            kept[-1] += words
        else:
            kept.append(f"{quote} {words}" if quote else words)
        flows = words.endswith(" ") and not is_signature
        if flows and parameters.get("delsp") == "yes":
            kept[-1] = kept[-1][:-1]
        flowing = f"{quote}." if flows else ""
    return "\n".join(kept) + ("\n" if text.endswith("\n") else "")


def _payload(part: Message) -> bytes:
    try:
        encoding = _TRANSFER_ENCODING.match(str(part.get("content-transfer-encoding", "")))
        if encoding:
            # Spelled as the standard does, or the email package would not know it.
            del part["content-transfer-encoding"]
            part["content-transfer-encoding"] = {"quoted": "quoted-printable", "base": "base64"}[encoding[1].lower()]
        if inner := _inner(part):
            return b"\n".join(one.as_bytes() for one in inner)
        payload = part.get_payload(decode=True)
    except _UNREADABLE:
        return b""
    return payload if isinstance(payload, bytes) else b""


def _decoded(raw: bytes, charset: str | None) -> str:
    """Return the text of `raw`: in its charset where that exists and fits, else in the one that fits best."""
    name = _NOT_A_LETTER.sub("", (charset or "").lower())
    named = None if not charset or name in _NO_CHARSETS else _CHARSETS.get(name, charset)
    # Much that says it is Latin-1 is UTF-8, and next to nothing the other way round.
    tried = ("utf-8" if named == "cp1252" else named, "iso2022_jp_ext" if _JAPANESE.search(raw) else None, "utf-8")
    for codec in filter(None, dict.fromkeys(tried)):
        try:
            return clean(raw.decode(codec))
        except _UNREADABLE:
            continue
    for codec in filter(None, (named, "utf-8")):
        try:
            text = raw.decode(codec, "replace")
        except _UNREADABLE:
            continue
        if text.count("\ufffd") <= _MOST_DAMAGED * sum(1 for _ in _NOT_ASCII.finditer(text)):
            return clean(text)
    return clean(raw.decode("cp1252", "replace"))


# Sources


def _found_below(path: Path) -> Iterator[_Found]:
    if path.is_dir():
        for folder, subfolders, names in os.walk(path):
            subfolders[:] = sorted(name for name in subfolders if name != "tmp")
            for name in sorted(names):
                yield from _found_in(Path(folder, name))
    else:
        yield from _found_in(path)


def _found_in(path: Path) -> Iterator[_Found]:
    if not path.is_file():
        yield _Found(path, reason="no such file")
        return
    flags = _MAILDIR_FLAGS.search(path.name)
    one = _Found(path, folder=_folder_name(path), flags=flags[1].upper() if flags else None)
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
            stream.seek(0)
            if _FROM_LINE.match(head):
                for position, raw in enumerate(_mbox_messages(stream), 1):
                    yield _judged(replace(one, position=position, raw=raw))
            elif _looks_like_mail(head) or (head and path.suffix.casefold() == ".eml"):
                yield _judged(replace(one, raw=stream.read(LARGEST_MESSAGE + 1)))
            else:
                yield replace(one, reason="not mail" if head else "empty")
    except OSError as error:
        yield replace(one, reason=f"cannot be read: {error.strerror}")


def _judged(one: _Found) -> _Found:
    """Return what was found, with the reason to leave it out if there is one."""
    if len(one.raw) > LARGEST_MESSAGE:
        return replace(one, raw=b"", reason=f"larger than {LARGEST_MESSAGE // 2**20} MB")
    if one.folder == "drafts" or "D" in (one.flags or ""):
        return replace(one, raw=b"", reason="a draft")
    return replace(one, folder="trash") if "T" in (one.flags or "") else one


def _folder_name(path: Path) -> str | None:
    """Return the folder that a file's place names: a known one, or any of a Maildir's `.Name`."""
    if path.parent.name in ("cur", "new"):
        box = path.parent.parent.name
        return _FOLDER_NAMES.get(box.strip(".").casefold(), box[1:] if box.startswith(".") else None)
    return _FOLDER_NAMES.get(path.stem.casefold())


def _looks_like_mail(head: bytes) -> bool:
    fields = re.split(rb"\r?\n\r?\n", head.lstrip(b"\r\n"), maxsplit=1)[0]
    return bool(_FIELD.match(fields) and _MAIL_FIELD.search(fields))


def _mbox_messages(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the messages of an mbox, one at a time; of one that is too large only its beginning."""
    lines: list[bytes] = []
    size, after_blank, begun = 0, True, False
    for line in iter(lambda: stream.readline(LARGEST_MESSAGE), b""):
        if after_blank and _FROM_LINE.match(line):
            if begun:
                yield _unquoted(lines)
            lines, size, begun = [], 0, True
        elif size <= LARGEST_MESSAGE:
            lines.append(line)
            size += len(line)
        after_blank = not line.strip(b"\r\n")
    yield _unquoted(lines)


def _unquoted(lines: list[bytes]) -> bytes:
    # The blank line at the end separates; it is not part of the message.
    if lines and not lines[-1].strip(b"\r\n"):
        lines = lines[:-1]
    return _QUOTED_FROM.sub(rb"\1", b"".join(lines))


def _flagged(message: StoredMessage, flags: str | None) -> StoredMessage:
    """Return the message as a Maildir's flags say: seen or not, and flagged."""
    if flags is None:
        return message
    return replace(message, is_read="S" in flags, is_starred="F" in flags or message.is_starred)
