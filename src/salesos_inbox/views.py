"""What tools answer: small and stable, in the user's words, built from wire models.

Every text that others wrote is cleaned and bounded here, and its field is `Outside`: the answer holds it between
marks. Fields without a value are left out of the answer. The models' fields are what the model reads, so their
names explain themselves.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from salesos_inbox.mail.damage import decode_words
from salesos_inbox.mail.fence import Outside
from salesos_inbox.mail.unicode import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from salesos_inbox.contract import models

ID_CHARACTERS = 200
SUBJECT_CHARACTERS = 56
SNIPPET_CHARACTERS = 80
NAME_CHARACTERS = 30
RECORD_CHARACTERS = 40
NOTE_CHARACTERS = 200
SHOWN_RECIPIENTS = 10
SHOWN_RECORDS = 5
SHOWN_FOLDERS = 100
SHOWN_ATTACHMENTS = 10

_ENDING = re.compile(r"\.\w{2,5}$")
_BETWEEN = " | "
"""What stands between who, the subject and the words of a row."""


class View(BaseModel):
    """An answer of a tool, or a part of one. Fields that are None are left out of it."""

    model_config = ConfigDict(frozen=True)


class FolderView(View):
    """A folder; counts are of threads."""

    folder: str
    unread: int | None = None
    total: int | None = None


class Folders(View):
    """The folders of the mailbox."""

    folders: list[FolderView]
    note: str | None = None


class ThreadRow(View):
    """A thread in a list: `mail` is who takes part and the subject, in a search also the words around the match.

    They share their marks, as two pairs to a row would cost a tenth of the list.
    """

    thread_id: str
    mail: Outside
    at: str | None = None
    messages: int | None = None
    unread: bool | None = None
    starred: bool | None = None
    attachments: bool | None = None
    folder: str | None = None
    follow_up: str | None = None


class Threads(View):
    """A page of threads; their times are in `zone`."""

    threads: list[ThreadRow]
    zone: str
    total: int | None = None
    next_cursor: str | None = None
    note: str | None = None


class TriageRow(View):
    """A thread with what is needed to decide what to do with it: `mail` is who wrote last, the subject and the
    first new words; `days` is for how long it is somebody's turn."""

    thread_id: str
    mail: Outside
    turn: Literal["yours", "theirs"] | None = None
    kind: Literal["newsletter", "automatic"] | None = None
    days: int | None = None
    unread: bool | None = None
    follow_up: str | None = None
    records: Outside | None = None
    signals: str | None = None


class Triage(View):
    """A page of threads, what needs the user first; times are in `zone`."""

    threads: list[TriageRow]
    zone: str
    total: int | None = None
    next_cursor: str | None = None
    note: str | None = None


class MessageView(View):
    """A message of a thread. `text` is what is new in it; `signals` is what was seen in it besides; `subject` is its
    own where that is another than the thread's.

    `to` and `cc` are left out where the message goes among the same people as the one before.
    """

    sender: Outside
    subject: Outside | None = None
    from_me: bool | None = None
    at: str | None = None
    to: Outside | None = None
    cc: Outside | None = None
    signals: list[str] | None = None
    text: Outside
    draft_id: str | None = None
    status: str | None = None
    attachments: Outside | None = None
    quoted_chars: int | None = None
    signature_chars: int | None = None
    skipped_chars: int | None = None
    left_chars: int | None = None


class ThreadView(View):
    """A thread and as many of its newest messages as fit, in reading order; times are in `zone`."""

    thread_id: str
    subject: Outside
    folder: str | None = None
    unread: bool | None = None
    starred: bool | None = None
    follow_up: str | None = None
    records: Outside | None = None
    zone: str
    messages: list[MessageView]
    earlier_messages: int
    next_cursor: str | None = None
    note: str | None = None


class Stats(View):
    """Counts over the mailbox."""

    counts: dict[str, int]


class ScheduledRow(View):
    """A message waiting for its time."""

    scheduled_id: str
    to: Outside
    subject: Outside
    at: str | None = None
    thread_id: str | None = None
    snippet: Outside | None = None


class Scheduled(View):
    """A page of scheduled messages."""

    scheduled: list[ScheduledRow]
    total: int | None = None
    next_cursor: str | None = None
    note: str | None = None


class DraftSaved(View):
    """What was saved."""

    status: Literal["draft_saved"]
    draft_id: str
    to: Outside
    cc: Outside | None = None
    bcc: Outside | None = None
    subject: Outside
    thread_id: str | None = None
    note: str | None = None


class EmailSent(View):
    """What became of a message."""

    status: Literal["sent", "queued", "scheduled", "already_sent"]
    to: Outside
    cc: Outside | None = None
    bcc: Outside | None = None
    subject: Outside
    thread_id: str | None = None
    undo_id: str | None = None
    note: str | None = None


class EmailScheduled(View):
    """A message that waits for its time."""

    status: Literal["scheduled", "already_scheduled"]
    scheduled_id: str | None = None
    to: Outside
    cc: Outside | None = None
    bcc: Outside | None = None
    subject: Outside
    thread_id: str | None = None
    local_time: str
    zone: str
    utc_time: str
    note: str | None = None


class EmailCancelled(View):
    """A message that will not leave."""

    status: Literal["cancelled"]
    scheduled_id: str
    to: Outside
    subject: Outside
    local_time: str | None = None
    zone: str | None = None
    utc_time: str | None = None
    note: str | None = None


OutcomeName = Literal["done", "unchanged", "not_found", "failed"]


class Outcome(View):
    """Threads that fared alike."""

    outcome: OutcomeName
    thread_ids: list[str]
    reason: str | None = None


class StepOutcome(View):
    """Threads that fared alike in one action; `count` is how many, where not all are named."""

    action: str
    outcome: OutcomeName
    thread_ids: list[str]
    count: int | None = None
    reason: str | None = None


class Changes(View):
    """What became of each thread; `undo_id` takes back what was done."""

    results: list[Outcome]
    undo_id: str | None = None
    note: str | None = None


class PlanChanges(View):
    """What became of each thread in each action; `undo_id` takes back what was done."""

    results: list[StepOutcome]
    undo_id: str | None = None
    note: str | None = None


class RecordLink(View):
    """What became of a link to a CRM record."""

    status: Literal["linked", "unlinked", "unchanged"]
    thread_id: str
    record: Outside
    undo_id: str | None = None
    note: str | None = None


class FollowUpSet(View):
    """The follow-up that was set."""

    status: Literal["set"]
    thread_id: str
    local_time: str
    zone: str
    utc_time: str
    undo_id: str | None = None


class FollowUpRemoved(View):
    """What became of a follow-up that was to go."""

    status: Literal["removed", "unchanged"]
    thread_id: str
    undo_id: str | None = None


def thread_row(
    thread: models.ThreadSummary,
    own: frozenset[str],
    show_time: Callable[[datetime], str],
    *,
    folder: str,
    words: str = "",
) -> ThreadRow:
    """Return a list's row for `thread`.

    `folder` (case folded) is the one that was asked for, and is not repeated. `words` are those around the match
    of a search.
    """
    follow_up = thread.follow_up.reminder_date if thread.follow_up else None
    return ThreadRow(
        thread_id=one_line(thread.id, ID_CHARACTERS),
        mail=in_a_row(people(thread, own, person_in_list), thread.subject, words),
        at=show_time(thread.last_message_at) if thread.last_message_at else None,
        messages=thread.message_count if (thread.message_count or 0) > 1 else None,
        unread=True if thread.is_read is False else None,
        starred=thread.is_starred or None,
        attachments=thread.has_attachments or None,
        folder=folder_name(thread) if thread.folder and thread.folder.casefold() != folder else None,
        follow_up=show_time(follow_up) if follow_up else None,
    )


def in_a_row(who: str, subject: str, words: str) -> str:
    """Return who, a thread's subject and some of its words on one line."""
    return _BETWEEN.join(part for part in (who, line(subject, SUBJECT_CHARACTERS) or "(no subject)", words) if part)


def line(text: str, limit: int) -> str:
    """Return a header's text on one line of at most `limit` characters, decoded where nobody had done so (RFC 2047)."""
    return one_line(decode_words(text), limit)


def around(text: str, words: Sequence[str]) -> str:
    """Return the part of a text that shows the first of `words` (case folded) that stands in it; "" without any."""
    folded = text.casefold()
    match = min((place for word in words if (place := folded.find(word)) >= 0), default=None)
    if match is None:
        return ""
    start = max(0, match - SNIPPET_CHARACTERS // 3)
    if start:
        start = text.find(" ", start, match) + 1 or start
    return one_line(("…" if start else "") + text[start : start + 10 * SNIPPET_CHARACTERS], SNIPPET_CHARACTERS)


def person(name: str | None, email: str) -> str:
    """Return a person as `Name <address>`, or the address alone; never the name alone, which anyone can choose."""
    shown, address = line(name or "", NAME_CHARACTERS), one_line(email, 120)
    return f"{shown} <{address}>" if shown and shown.lower() != address.lower() else address


def people(thread: models.ThreadSummary, own: frozenset[str], write: Callable[[str | None, str], str] = person) -> str:
    """Return who besides the user takes part: the first as `write` puts a name and an address, the others counted."""
    others = [item for item in thread.participants if item.email.lower() not in own] or thread.participants
    if not others:
        return ""
    shown = write(others[0].name, others[0].email)
    return f"{shown} +{len(others) - 1}" if len(others) > 1 else shown


def person_on_card(name: str | None, email: str) -> str:
    """Return a person as `Name, address`, as angle brackets turn round beside right-to-left names."""
    return person(name, email).replace(" <", ", ").removesuffix(">")


def person_in_list(name: str | None, email: str) -> str:
    """Return a person as `person` does, but without a name that the address tells as well."""
    address = email.casefold()
    told = any(len(word) > 2 and word in address for word in (name or "").casefold().split())
    return person(None if told else name, email)


def folder_name(thread: models.ThreadSummary) -> str | None:
    """Return the name of a thread's folder, None where it is not known."""
    return one_line(thread.folder or "", 60) or None


def records(links: Iterable[models.CrmLink]) -> str | None:
    """Return linked CRM records as `type id (name)`, None without any."""
    return listed([record(link) for link in links], SHOWN_RECORDS)


def record_in_list(link: models.CrmLink) -> str:
    """Return a CRM record as `type name`, or with its id where it has no name."""
    return one_line(f"{link.entity_type} {link.name or link.entity_id}", RECORD_CHARACTERS)


def record(link: models.CrmLink) -> str:
    """Return a CRM record as `type id (name)`."""
    name = one_line(link.name or "", NAME_CHARACTERS)
    return one_line(f"{link.entity_type} {link.entity_id}", ID_CHARACTERS) + (f" ({name})" if name else "")


def addresses(emails: Iterable[str]) -> str | None:
    """Return the first addresses and how many more there are, None without any."""
    return listed([one_line(email, 120) for email in emails], SHOWN_RECIPIENTS)


def attachment_names(attachments: Iterable[models.Attachment]) -> str | None:
    """Return the first attachments as `name (size)`, with the type where the name tells none, None without any."""
    return listed([_attachment(item) for item in attachments], SHOWN_ATTACHMENTS)


def attached_files(attachments: Iterable[models.Attachment]) -> list[str]:
    """Return all attachments as `name (size)`, as they are; of a long name the end is kept, which says what it is."""
    return [f"{_file_name(item.filename or 'unnamed')} ({_size(item.size)})" for item in attachments]


def _file_name(name: str) -> str:
    return name if len(name) <= 100 else f"{name[:60]}…{name[-39:]}"


def _attachment(item: models.Attachment) -> str:
    name = line(item.filename or "unnamed", 80)
    kind = "" if _ENDING.search(name) else f"{one_line(item.content_type or 'unknown type', 60)}, "
    return f"{name} ({kind}{_size(item.size)})"


def _size(size: int | None) -> str:
    if size is None:
        return "size unknown"
    return f"{size} B" if size < 1000 else f"{size / 1000:.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def listed(things: Sequence[str] | None, most: int = 1000) -> str | None:
    """Return the first `most` things and how many more there are, None without any."""
    things = things or ()
    rest = [f"+{len(things) - most} more"] if len(things) > most else []
    return ", ".join([*things[:most], *rest]) or None
