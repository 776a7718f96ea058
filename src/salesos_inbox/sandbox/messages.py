"""A message as the store takes it, and what is read out of one: plain text, snippet, subject key. Pure."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SNIPPET_LENGTH: Final = 200
"""Characters of the newest message that a list shows."""

_HIDDEN_HTML = re.compile(r"<(script|style|head|title)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]*>")
_REPLY_PREFIX = re.compile(
    r"^\s*(?:re|aw|sv|vs|antw|antwort|odp|ref|res|rif|r|ynt|fwd?|wg|tr|rv|enc|doorst|vb|i|转发|回复|答复)"
    r"\s*(?:\[\d+\]|\(\d+\))?\s*[:：]",
    re.IGNORECASE,
)
_LIST_TAG = re.compile(r"^\s*(\[[^\]]{1,60}\])\s*")
_MESSAGE_ID = re.compile(r"<[^<>\s]+>")


@dataclass(frozen=True)
class StoredAttachment:
    """A file of a message: its name if it has one, its MIME type and its size in bytes."""

    filename: str | None
    content_type: str
    size: int


@dataclass(frozen=True)
class StoredMessage:
    """A message of a mailbox. Ids stand in angle brackets (RFC 5322, 3.6.4); `sent_at` is aware.

    `message_id` is empty where the message has none. `is_read` is None where the source does not
    say: then what the user wrote counts as read, and the rest as unread.
    """

    from_email: str
    sent_at: datetime
    message_id: str = ""
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    from_name: str = ""
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    subject: str = ""
    body_text: str | None = None
    body_html: str | None = None
    attachments: tuple[StoredAttachment, ...] = ()
    is_read: bool | None = None
    is_starred: bool = False


def to_millis(moment: datetime) -> int:
    """Return the milliseconds from 1970 to `moment`; without an offset it is taken for UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(milliseconds=1)


def from_millis(millis: int) -> datetime:
    """Return the moment in UTC that lies `millis` milliseconds after 1970."""
    return EPOCH + timedelta(milliseconds=millis)


def clean(text: str) -> str:
    """Return `text` without what neither SQLite nor JSON can carry: NULs and lone surrogates."""
    if text.isascii():
        return text.replace("\0", "")
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def plain_text(body_text: str | None, body_html: str | None) -> str:
    """Return the text of a message: its text body, else its HTML body without the tags."""
    if body_text or not body_html:
        return body_text or ""
    return unescape(_TAG.sub(" ", _HIDDEN_HTML.sub(" ", body_html)))


def snippet(text: str) -> str:
    """Return the beginning of `text` on one line."""
    # Only the head is looked at: bodies can be megabytes.
    return " ".join(text[: SNIPPET_LENGTH * 10].split())[:SNIPPET_LENGTH]


def subject_key(subject: str) -> str:
    """Return what a subject and its replies share: no `Re:` or `Fwd:`, a list's `[tag]` kept, case folded."""
    tags: list[str] = []
    while True:
        if match := _REPLY_PREFIX.match(subject):
            subject = subject[match.end() :]
        elif match := _LIST_TAG.match(subject):
            tags.append(match[1])
            subject = subject[match.end() :]
        else:
            return " ".join([*dict.fromkeys(tags), *subject.split()]).casefold()


def looks_like_reply(subject: str) -> bool:
    """Tell whether the subject says that it answers or forwards another, with or without a list's tag."""
    return bool(_REPLY_PREFIX.match(_LIST_TAG.sub("", subject)) or _REPLY_PREFIX.match(subject))


def message_ids(header: str) -> tuple[str, ...]:
    """Return the Message-IDs named in a header (RFC 5322, 3.6.4), in order, each once."""
    return tuple(dict.fromkeys(_MESSAGE_ID.findall(header)))


def bracketed(message_id: str) -> str:
    """Return a Message-ID in angle brackets, whether it came with them or not."""
    found = _MESSAGE_ID.search(message_id)
    return found[0] if found else f"<{message_id.strip().strip('<>')}>"


def duplicate_key(message: StoredMessage) -> str:
    """Return what two copies of one message share: the Message-ID, or a hash where it has none."""
    if message.message_id:
        return message.message_id
    parts: Iterable[str] = (
        str(to_millis(message.sent_at)),
        message.from_email.casefold(),
        message.subject,
        message.body_text or "",
        message.body_html or "",
    )
    return "sha256:" + hashlib.sha256("\0".join(parts).encode()).hexdigest()
