"""A thread within a budget: the newest messages that fit, in reading order, and a cursor to the rest. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from salesos_inbox import views
from salesos_inbox.contract import models
from salesos_inbox.errors import InvalidArguments
from salesos_inbox.mail.addresses import mailbox
from salesos_inbox.mail.budget import cut, estimate_tokens
from salesos_inbox.mail.damage import decode_words
from salesos_inbox.mail.kinds import Kind, kind_of
from salesos_inbox.mail.reading import Reading
from salesos_inbox.mail.repeats import Runs, is_repeated, runs_of
from salesos_inbox.tools._acquaintance import NOBODY_KNOWN, Acquaintance
from salesos_inbox.tools._args import query_fingerprint, read_cursor, write_cursor
from salesos_inbox.tools._compose import bare_subject
from salesos_inbox.tools._standing import follow_up, from_me, read_message, signals_of, standing

MARKS_TOKENS = 40
"""What the marks around a message's texts and the names of its fields cost."""
SMALLEST_PIECE = 150
"""Tokens; a message is not begun where less than this is left."""
_LOOKED_BACK = 30
"""How many messages are looked through for what one quotes."""
_FOLDED = "f"
"""What stands in a cursor behind the place in a message whose signature is folded."""
_NOTABLE = {"DRAFT", "QUEUED", "BOUNCED", "FAILED", "OPENED", "CLICKED"}


@dataclass
class _Thread:
    """A thread as it is shown: each message's text, read once."""

    subject: str
    messages: list[models.Message]
    own: frozenset[str]
    show_time: Callable[[datetime], str]
    include_quoted: bool
    acquaintance: Acquaintance
    begun: dict[int, bool] = field(default_factory=dict[int, bool])
    """Whether the signature was folded of a message that another page began: what came since does not change that."""
    _readings: dict[int, Reading] = field(default_factory=dict[int, Reading])
    _runs: dict[int, Runs] = field(default_factory=dict[int, Runs])
    _repeats: dict[int, bool] = field(default_factory=dict[int, bool])

    def reading(self, index: int) -> Reading:
        """Return the message at `index` as it is read."""
        if index not in self._readings:
            self._readings[index] = read_message(self.messages[index])
        return self._readings[index]

    def repeats_signature(self, index: int) -> bool:
        """Return whether the next message of the same sender ends in the same signature."""
        signature, sender = self.reading(index).signature, self.messages[index].from_email
        if not signature or index in self.begun:
            return bool(signature) and self.begun[index]
        later = (place for place in range(index + 1, len(self.messages)) if self.messages[place].from_email == sender)
        following = next(later, None)
        return following is not None and self.reading(following).signature.split() == signature.split()

    def text(self, index: int) -> str:
        """Return what is shown of a message: what is new, and what stands in no other message of the thread.

        A quote is folded where earlier messages hold it; a signature stays where its sender wrote it last.
        """
        reading = self.reading(index)
        parts = [reading.text]
        if self.include_quoted or not self.repeats_signature(index):
            parts.append(reading.signature)
        if self.include_quoted or not self.repeats_quote(index):
            parts.append(reading.quoted)
        return "\n\n".join(filter(None, parts))

    def repeats_quote(self, index: int) -> bool:
        """Return whether what a message quotes stands in those before it."""
        if index not in self._repeats:
            quoted, before = self.reading(index).quoted, range(max(0, index - _LOOKED_BACK), index)
            self._repeats[index] = bool(quoted and before) and is_repeated(quoted, map(self.runs, before))
        return self._repeats[index]

    def runs(self, index: int) -> Runs:
        """Return what a message says, for looking up what others quote of it."""
        if index not in self._runs:
            reading = self.reading(index)
            self._runs[index] = runs_of("\n".join((reading.text, reading.signature, reading.quoted)))
        return self._runs[index]

    def people(self, index: int) -> set[str]:
        """Return who a message goes among: its sender and all who get it."""
        message = self.messages[index]
        return {email.lower() for email in (message.from_email, *message.to_emails, *message.cc_emails)}

    def other_subject(self, message: models.Message) -> str | None:
        """Return the subject of a message where it is not the thread's, whatever was put before it in a reply."""
        own, shared = (bare_subject(decode_words(subject)).casefold() for subject in (message.subject, self.subject))
        return views.line(message.subject, 200) if own and own != shared else None

    def signals(self, index: int) -> list[str] | None:
        """Return what was seen in a message that a reader should know of, and what its text does not say of it."""
        message, reading = self.messages[index], self.reading(index)
        is_mass = kind_of(message.from_email, message.subject, reading) is not Kind.PERSON
        seen = signals_of(
            message,
            reading,
            known_domains=self.acquaintance.known_domains,
            first_contact=self.is_first_contact(index),
            own=self.own,
            is_mass=is_mass,
        )
        return [*reading.notes, *seen] or None

    def is_first_contact(self, index: int) -> bool:
        """Return whether a message is the first of a sender who is new to the user."""
        sender = self.messages[index].from_email
        if not self.acquaintance.strangers or mailbox(sender) not in self.acquaintance.strangers:
            return False
        return all(self.messages[place].from_email != sender for place in range(index))

    def head(self, index: int, offset: int) -> views.MessageView:
        """Return the view of a message without its text, of which what is shown begins at the character `offset`."""
        message, reading = self.messages[index], self.reading(index)
        at = message.sent_at or message.received_at
        mine = from_me(message, self.own)
        begins = offset == 0
        folded = not self.include_quoted
        return views.MessageView(
            sender=views.person(message.from_name, message.from_email),
            subject=self.other_subject(message),
            from_me=mine or None,
            at=self.show_time(at) if at else None,
            to=views.addresses(message.to_emails),
            cc=views.addresses(message.cc_emails),
            signals=self.signals(index) if begins and not mine else None,
            text="",
            draft_id=message.id if message.status == "DRAFT" else None,
            status=message.status if message.status in _NOTABLE else None,
            attachments=views.attachment_names(message.attachments) if begins else None,
            quoted_chars=len(reading.quoted) if folded and self.repeats_quote(index) else None,
            signature_chars=len(reading.signature) or None if folded and self.repeats_signature(index) else None,
            skipped_chars=offset or None,
        )


def thread_view(
    thread: models.Thread,
    *,
    own: frozenset[str],
    now: datetime,
    show_time: Callable[[datetime], str],
    zone: str,
    max_tokens: int,
    include_quoted: bool,
    cursor: str | None,
    acquaintance: Acquaintance = NOBODY_KNOWN,
) -> views.ThreadView:
    """Return the newest messages of `thread` that fit into `max_tokens`, or those from `cursor` on.

    A message too long for the budget is cut, and the cursor continues exactly there. Raises
    `InvalidArguments` for a cursor of another thread.
    """
    fingerprint = query_fingerprint("read_thread", {"thread": thread.id, "quoted": include_quoted})
    index, offset, folded = _start(thread, read_cursor(cursor, fingerprint))
    begun = {index: folded} if offset else {}
    messages = _Thread(thread.subject, thread.messages, own, show_time, include_quoted, acquaintance, begun)
    shown: list[views.MessageView] = []
    places: list[int] = []
    left = max_tokens
    following: str | None = None
    while index >= 0:
        text = messages.text(index)
        head = messages.head(index, offset)
        room = left - MARKS_TOKENS - estimate_tokens(head.model_dump_json(exclude_none=True))
        if shown and room < min(SMALLEST_PIECE, estimate_tokens(text[offset : offset + 4 * SMALLEST_PIECE])):
            break
        piece = cut(text, max(room, SMALLEST_PIECE), offset)
        places.append(index)
        shown.append(head.model_copy(update={"text": piece.text, "left_chars": piece.left_chars or None}))
        left = room - estimate_tokens(piece.text)
        if piece.next_offset is not None:
            offset = piece.next_offset
            break
        index, offset = index - 1, 0
    if index >= 0:
        folded = offset > 0 and messages.repeats_signature(index)
        following = write_cursor(fingerprint, f"{offset}{_FOLDED * folded}.{thread.messages[index].id}")
    return views.ThreadView(
        thread_id=thread.id,
        subject=views.line(thread.subject, 200),
        folder=views.folder_name(thread),
        unread=True if thread.is_read is False else None,
        starred=thread.is_starred or None,
        follow_up=follow_up(thread, standing(thread, own), now, show_time) if thread.follow_up else None,
        records=views.records(thread.crm_links),
        zone=zone,
        messages=_without_repeated_people(shown[::-1], [messages.people(place) for place in places[::-1]]),
        earlier_messages=index + 1 if offset == 0 else index,
        next_cursor=following,
        note=_note(index, offset),
    )


def _without_repeated_people(shown: list[views.MessageView], people: list[set[str]]) -> list[views.MessageView]:
    """Leave `to` and `cc` out of messages that go among the same people as the one shown before."""
    return [
        message.model_copy(update={"to": None, "cc": None}) if place and people[place] == people[place - 1] else message
        for place, message in enumerate(shown)
    ]


def _start(thread: models.Thread, position: str | None) -> tuple[int, int, bool]:
    """Return the message and the character in its text to go on from, and whether its signature was folded there.

    Without a position it is the newest one's first.
    """
    if position is None:
        return len(thread.messages) - 1, 0, False
    place, _, message_id = position.partition(".")
    offset = place.removesuffix(_FOLDED)
    for index, message in enumerate(thread.messages):
        if message.id == message_id and offset.isdecimal():
            return index, int(offset), place.endswith(_FOLDED)
    raise InvalidArguments(
        "This cursor points to a message that is gone: leave the cursor out to read the thread anew."
    )


def _note(index: int, offset: int) -> str | None:
    if index < 0:
        return None
    earlier = index + (offset == 0)
    left = ["the rest of the first message shown"] if offset else []
    left += [f"{earlier} earlier message{'s' * (earlier > 1)}"] if earlier else []
    return f"next_cursor goes on with {', then '.join(left)}."
