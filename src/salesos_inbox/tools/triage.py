"""The state of the inbox at a glance."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

import anyio

from salesos_inbox import views
from salesos_inbox.contract import models
from salesos_inbox.mail.budget import estimate_tokens
from salesos_inbox.mail.kinds import Kind
from salesos_inbox.mail.snippet import first_words
from salesos_inbox.mail.unicode import one_line
from salesos_inbox.tools._args import Cursor, Folder, TriageLimit, query_fingerprint, read_cursor
from salesos_inbox.tools._kit import Desk, Effect, Inbox, tool
from salesos_inbox.tools._standing import ReadMessage, Standing, follow_up, standing
from salesos_inbox.tools.reading import going_on, page_of
from salesos_inbox.views import Triage, TriageRow

TOKENS_PER_THREAD = 92
"""What a row may take on average by the estimate, so that 25 threads stay within 2,500 tokens."""
_FEWEST_TOKENS = 500
_NEW_CHARACTERS = (90, 70, 50, 30, 0)
"""How many characters of what is new are shown: the most for which the rows stay within what they may take."""
_SHARE_SHOWN = {Kind.PERSON: 1.0, Kind.AUTOMATIC: 0.6, Kind.NEWSLETTER: 0.0}
_NOTE_CHARACTERS = 60
_SHOWN_RECORDS = 2
_TURNS = ("yours", "theirs", None)
_KINDS = (Kind.PERSON, Kind.AUTOMATIC, Kind.NEWSLETTER)


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
    found = await inbox.threads([item.id for item in page.items])
    threads = [found.get(item.id) or _without_messages(item) for item in page.items]
    read = partial(_rows, inbox, threads, await inbox.own_addresses())
    rows = await anyio.to_thread.run_sync(read, abandon_on_cancel=True)
    next_cursor, note = going_on(page, fingerprint, position, limit, "threads")
    return Triage(threads=rows, zone=inbox.zone_name(), total=page.total, next_cursor=next_cursor, note=note)


def _without_messages(item: models.ThreadSummary) -> models.Thread:
    """Return the thread that a list told of and that is gone by now."""
    return models.Thread.model_construct(**dict(item))


def _rows(inbox: Desk, threads: Sequence[models.Thread], own: frozenset[str]) -> list[TriageRow]:
    """Return a row for each thread, what needs the user first."""
    stand = {thread.id: standing(thread, own) for thread in threads}
    urgent = sorted(threads, key=lambda thread: _urgency(thread, stand[thread.id], inbox.now()))
    most_tokens = max(TOKENS_PER_THREAD * len(threads), _FEWEST_TOKENS)
    rows: list[TriageRow] = []
    for characters in _NEW_CHARACTERS:
        rows = [_row(inbox, thread, stand[thread.id], own, characters) for thread in urgent]
        if sum(estimate_tokens(row.model_dump_json(exclude_none=True)) for row in rows) <= most_tokens:
            break
    return rows


def _urgency(thread: models.Thread, where: Standing, now: datetime) -> tuple[bool, int, int, bool, float]:
    """Sort by follow-ups due, whose turn it is, people before machines, linked records, and how long it waits."""
    kind = where.last.kind if where.last else Kind.PERSON
    waiting = (now - where.since).total_seconds() if where.since else 0.0
    return not _is_due(thread, now), _TURNS.index(where.turn), _KINDS.index(kind), not thread.crm_links, -waiting


def _row(inbox: Desk, thread: models.Thread, where: Standing, own: frozenset[str], characters: int) -> TriageRow:
    last = where.last
    kind = last.kind if last else Kind.PERSON
    return TriageRow(
        thread_id=one_line(thread.id, views.ID_CHARACTERS),
        mail=views.in_a_row(_sender(last, thread, own), thread.subject, _new_words(last, thread, characters)),
        turn=where.turn,
        kind=kind.value if kind is not Kind.PERSON else None,
        days=max(0, (inbox.now() - where.since).days) if where.since else None,
        unread=True if thread.is_read is False else None,
        follow_up=follow_up(thread, where, inbox.now(), inbox.show_short_time, _NOTE_CHARACTERS),
        records=views.listed([views.record_in_list(link) for link in thread.crm_links], _SHOWN_RECORDS),
    )


def _is_due(thread: models.Thread, now: datetime) -> bool:
    reminder = thread.follow_up.reminder_date if thread.follow_up else None
    return reminder is not None and reminder <= now


def _sender(last: ReadMessage | None, thread: models.Thread, own: frozenset[str]) -> str:
    if last is None:
        return views.people(thread, own, views.person_in_list)
    return views.person_in_list(last.message.from_name, last.message.from_email)


def _new_words(last: ReadMessage | None, thread: models.Thread, characters: int) -> str:
    if last is None:
        return one_line(thread.snippet, characters)
    return first_words(last.reading.text, int(characters * _SHARE_SHOWN[last.kind]))
