"""The state of the inbox at a glance."""

from datetime import datetime
from typing import Literal

from salesos_inbox import views
from salesos_inbox.contract import models
from salesos_inbox.mail.reading import first_words, read_body
from salesos_inbox.mail.unicode import one_line
from salesos_inbox.tools._args import Cursor, Folder, TriageLimit, query_fingerprint, read_cursor
from salesos_inbox.tools._kit import Desk, Effect, Inbox, tool
from salesos_inbox.tools._thread import from_me
from salesos_inbox.tools.reading import going_on, page_of
from salesos_inbox.views import DATA_NOTE, Triage, TriageRow

NEW_CHARACTERS = 110

_TURNS = ("yours", "unknown", "theirs")


@tool("Triage the inbox", Effect.READ)
async def triage_inbox(
    inbox: Inbox,
    folder: Folder = "inbox",
    unread: bool | None = None,
    limit: TriageLimit = 25,
    cursor: Cursor | None = None,
) -> Triage:
    """See what needs the user: per thread whose turn it is, days waiting, follow-up, records and the
    first new words. Start here; page on with cursor."""
    query = models.ListThreads(
        folder=await inbox.folder(folder),
        is_read=None if unread is None else not unread,
        sort_by="lastMessageAt",
        sort_order="desc",
        limit=limit,
    )
    fingerprint = query_fingerprint("triage_inbox", query.body())
    position = read_cursor(cursor, fingerprint)
    page = await inbox.client.list_threads(query.model_copy(update=page_of(position)))
    threads = await inbox.threads([item.id for item in page.items])
    own = await inbox.own_addresses()
    rows = [_row(inbox, threads.get(item.id) or _without_messages(item), own) for item in page.items]
    next_cursor, note = going_on(page, fingerprint, position, limit, "threads")
    return Triage(
        threads=sorted(rows, key=_urgency),
        total=page.total,
        next_cursor=next_cursor,
        note=" ".join(part for part in (note, DATA_NOTE if rows else None) if part) or None,
    )


def _without_messages(item: models.ThreadSummary) -> models.Thread:
    """Return the thread that a list told of and that is gone by now."""
    return models.Thread.model_construct(**dict(item))


def _urgency(row: TriageRow) -> tuple[bool, int, int]:
    return not row.follow_up_due, _TURNS.index(row.whose_turn), -(row.waiting_days or 0)


def _row(inbox: Desk, thread: models.Thread, own: frozenset[str]) -> TriageRow:
    now = inbox.now()
    messages = [message for message in thread.messages if message.status != "DRAFT"]
    last = messages[-1] if messages else None
    at = (last.sent_at or last.received_at if last else None) or thread.last_message_at
    follow_up = thread.follow_up.reminder_date if thread.follow_up else None
    return TriageRow(
        thread_id=thread.id,
        subject=one_line(thread.subject, views.SUBJECT_CHARACTERS),
        last_from=views.person(last.from_name, last.from_email) if last else views.people(thread, own),
        whose_turn=_whose_turn(last, own),
        waiting_days=_days(now, at) if at else None,
        unread=True if thread.is_read is False else None,
        follow_up=inbox.show_time(follow_up) if follow_up else None,
        follow_up_due=True if follow_up and follow_up <= now else None,
        records=views.records(thread.crm_links),
        new=_new_words(last, thread) or None,
    )


def _whose_turn(last: models.Message | None, own: frozenset[str]) -> Literal["yours", "theirs", "unknown"]:
    if last is None:
        return "unknown"
    return "theirs" if from_me(last, own) else "yours"


def _new_words(last: models.Message | None, thread: models.Thread) -> str:
    if last is None:
        return one_line(thread.snippet, NEW_CHARACTERS)
    return first_words(read_body(last.body_html, last.body_text), NEW_CHARACTERS)


def _days(now: datetime, then: datetime) -> int:
    return max(0, (now - then).days)
