"""A thread within a budget: the newest messages that fit, in reading order, and a cursor to the rest. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from salesos_inbox import views
from salesos_inbox.contract import models
from salesos_inbox.errors import InvalidArguments
from salesos_inbox.mail.budget import cut, estimate_tokens
from salesos_inbox.mail.fence import Fence, new_fence
from salesos_inbox.mail.reading import read_body
from salesos_inbox.mail.unicode import one_line
from salesos_inbox.tools._args import query_fingerprint, read_cursor, write_cursor

MARKS_TOKENS = 40
"""What the marks around a message's text and the names of its fields cost."""
SMALLEST_PIECE = 150
"""Tokens; a message is not begun where less than this is left."""


@dataclass(frozen=True)
class _Text:
    whole: str
    quoted_chars: int
    hidden_chars: int


def thread_view(
    thread: models.Thread,
    *,
    own: frozenset[str],
    show_time: Callable[[datetime], str],
    max_tokens: int,
    include_quoted: bool,
    cursor: str | None,
    fence: Fence | None = None,
) -> views.ThreadView:
    """Return the newest messages of `thread` that fit into `max_tokens`, or those from `cursor` on.

    A message too long for the budget is cut, and the cursor continues exactly there. Raises
    `InvalidArguments` for a cursor of another thread.
    """
    fence = fence or new_fence()
    fingerprint = query_fingerprint("read_thread", {"thread": thread.id, "quoted": include_quoted})
    index, offset = _start(thread, read_cursor(cursor, fingerprint))
    shown: list[views.MessageView] = []
    left = max_tokens
    following: str | None = None
    while index >= 0:
        message = thread.messages[index]
        text = _text(message, include_quoted)
        head = _message_view(message, "", text, 0, offset, own, show_time, fence)
        room = left - MARKS_TOKENS - estimate_tokens(head.model_dump_json(exclude_none=True))
        if shown and room < min(SMALLEST_PIECE, estimate_tokens(text.whole[offset : offset + 4 * SMALLEST_PIECE])):
            break
        piece = cut(text.whole, max(room, SMALLEST_PIECE), offset)
        shown.append(_message_view(message, piece.text, text, piece.left_chars, offset, own, show_time, fence))
        left = room - estimate_tokens(piece.text)
        if piece.next_offset is not None:
            offset = piece.next_offset
            break
        index, offset = index - 1, 0
    if index >= 0:
        following = write_cursor(fingerprint, f"{offset}.{thread.messages[index].id}")
    return views.ThreadView(
        thread_id=thread.id,
        subject=one_line(thread.subject, 200),
        folder=views.folder_name(thread),
        unread=True if thread.is_read is False else None,
        starred=thread.is_starred or None,
        follow_up=_follow_up(thread, show_time),
        records=views.records(thread.crm_links),
        messages=shown[::-1],
        earlier_messages=index + 1 if offset == 0 else index,
        next_cursor=following,
        note=_note(fence, index, offset),
    )


def _start(thread: models.Thread, position: str | None) -> tuple[int, int]:
    """Return the message and the character in its text to go on from, the newest one's first without a position."""
    if position is None:
        return len(thread.messages) - 1, 0
    offset, _, message_id = position.partition(".")
    for index, message in enumerate(thread.messages):
        if message.id == message_id and offset.isdecimal():
            return index, int(offset)
    raise InvalidArguments(
        "This cursor points to a message that is gone: leave the cursor out to read the thread anew."
    )


def _text(message: models.Message, include_quoted: bool) -> _Text:
    reading = read_body(message.body_html, message.body_text)
    if include_quoted and reading.quoted:
        return _Text(f"{reading.text}\n\n{reading.quoted}", 0, reading.hidden_chars)
    return _Text(reading.text, len(reading.quoted), reading.hidden_chars)


def _message_view(
    message: models.Message,
    piece: str,
    text: _Text,
    left_chars: int,
    offset: int,
    own: frozenset[str],
    show_time: Callable[[datetime], str],
    fence: Fence,
) -> views.MessageView:
    is_draft = message.status == "DRAFT"
    at = message.sent_at or message.received_at
    return views.MessageView(
        sender=views.person(message.from_name, message.from_email),
        from_me=from_me(message, own) or None,
        at=show_time(at) if at else None,
        to=views.addresses(message.to_emails),
        cc=views.addresses(message.cc_emails),
        text=fence.wrap(piece) if piece else "",
        draft_id=message.id if is_draft else None,
        status=message.status if message.status in _NOTABLE else None,
        attachments=views.attachment_names(message.attachments) if offset == 0 else None,
        quoted_chars=text.quoted_chars or None,
        hidden_chars=text.hidden_chars or None,
        skipped_chars=offset or None,
        left_chars=left_chars or None,
    )


_NOTABLE = {"DRAFT", "QUEUED", "BOUNCED", "FAILED", "OPENED", "CLICKED"}


def from_me(message: models.Message, own: frozenset[str]) -> bool:
    """Return whether the user wrote `message`."""
    return message.direction == "OUTBOUND" or message.from_email.lower() in own


def _follow_up(thread: models.Thread, show_time: Callable[[datetime], str]) -> str | None:
    if thread.follow_up is None or thread.follow_up.reminder_date is None:
        return None
    note = one_line(thread.follow_up.note or "", views.NOTE_CHARACTERS)
    return show_time(thread.follow_up.reminder_date) + (f": {note}" if note else "")


def _note(fence: Fence, index: int, offset: int) -> str:
    if index < 0:
        return fence.note
    rest = "the rest of the first message shown, then " if offset else ""
    return f"{fence.note} next_cursor goes on with {rest}{index + (offset == 0)} earlier messages."
