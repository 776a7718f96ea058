"""Where a thread stands: who wrote last, whose turn it is and since when. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from salesos_inbox import views
from salesos_inbox.contract import models
from salesos_inbox.mail.fence import outside
from salesos_inbox.mail.kinds import Kind, is_undelivered, kind_of
from salesos_inbox.mail.nesting import MAX_CHARACTERS
from salesos_inbox.mail.reading import Reading, read_body
from salesos_inbox.mail.signals import signals
from salesos_inbox.mail.unicode import one_line

_GLANCED_AT = 300_000
_READ_BACK = 5
"""How many of a thread's newest messages are looked at for one that a person wrote."""


class ReadMessage(NamedTuple):
    """A message, what it says, and what kind of mail it is."""

    message: models.Message
    reading: Reading
    kind: Kind


@dataclass(frozen=True)
class Standing:
    """Where a thread stands. `turn` and `since` go by the newest message that a person wrote, if there is one."""

    last: ReadMessage | None
    turn: Literal["yours", "theirs"] | None
    since: datetime | None
    has_reply: bool
    """Whether a person has answered the user, who has not written since."""


def standing(thread: models.Thread, own: frozenset[str]) -> Standing:
    """Return where a thread stands; drafts do not count, nor what a machine sent after a person wrote.

    But for the report that what the user wrote did not arrive.
    """
    messages = [message for message in thread.messages if message.status != "DRAFT"]
    newest: list[ReadMessage] = []
    for message in messages[: -_READ_BACK - 1 : -1]:
        newest.append(_read(message, own))
        if newest[-1].kind is Kind.PERSON:
            break
    else:
        return Standing(newest[0] if newest else None, None, None, has_reply=False)
    last, written = newest[0], newest[-1].message
    mine = from_me(written, own)
    if mine and last.kind is Kind.AUTOMATIC and is_undelivered(last.message.subject):
        return Standing(last, "yours", _moment(last.message), has_reply=False)
    has_reply = not mine and any(from_me(message, own) for message in messages)
    return Standing(last, "theirs" if mine else "yours", _moment(written), has_reply)


def follow_up(
    thread: models.Thread,
    where: Standing,
    now: datetime,
    show_time: Callable[[datetime], str],
    note_characters: int = views.NOTE_CHARACTERS,
) -> str | None:
    """Return a thread's follow-up in words: its time, whether it is due, whether they wrote last, and its note."""
    if thread.follow_up is None or thread.follow_up.reminder_date is None:
        return None
    moment = thread.follow_up.reminder_date
    due = "due " if moment <= now else ""
    replied = ", they wrote last" if where.has_reply else ""
    note = outside(one_line(thread.follow_up.note or "", note_characters))
    return f"{due}{show_time(moment)}{replied}" + (f": {note}" if note else "")


def from_me(message: models.Message, own: frozenset[str]) -> bool:
    """Return whether the user wrote `message`; anyone can put their address on what comes in."""
    return message.direction == "OUTBOUND" or (not message.direction and message.from_email.lower() in own)


def _moment(message: models.Message) -> datetime | None:
    return message.sent_at or message.received_at


def _read(message: models.Message, own: frozenset[str]) -> ReadMessage:
    reading = glance_at(message)
    if from_me(message, own):
        return ReadMessage(message, reading, Kind.PERSON)
    return ReadMessage(message, reading, kind_of(message.from_email, message.subject, reading))


def signals_of(
    message: models.Message,
    reading: Reading,
    *,
    known_domains: frozenset[str] = frozenset(),
    first_contact: bool = False,
    own: frozenset[str] = frozenset(),
    is_mass: bool = False,
) -> tuple[str, ...]:
    """Return what was seen in a message that a reader should know of."""
    return signals(
        reading,
        sender_name=message.from_name or "",
        sender=message.from_email,
        subject=message.subject,
        attachment_names=[item.filename or "" for item in message.attachments],
        known_domains=known_domains,
        first_contact=first_contact,
        own_address=message.from_email.lower() in own,
        is_mass=is_mass,
    )


def glance_at(message: models.Message) -> Reading:
    """Return the beginning of a message as it is read, where many are looked at for one answer."""
    return read_message(message, _GLANCED_AT)


def read_message(message: models.Message, most: int = MAX_CHARACTERS) -> Reading:
    """Return a message as it is read, or of a longer one its first `most` characters."""
    names = [item.filename or item.content_type or "" for item in message.attachments]
    return read_body(message.body_html, message.body_text, subject=message.subject, attachment_names=names, most=most)
