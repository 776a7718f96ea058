"""The state of the inbox at a glance."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

import anyio

from salesos_inbox import views
from salesos_inbox.contract import models
from salesos_inbox.errors import InboxError, Unauthorized
from salesos_inbox.mail.budget import estimate_tokens
from salesos_inbox.mail.kinds import Kind
from salesos_inbox.mail.snippet import first_words
from salesos_inbox.mail.unicode import one_line
from salesos_inbox.tools._acquaintance import KnownDomains, known_domains
from salesos_inbox.tools._args import Cursor, Folder, TriageLimit, query_fingerprint, read_cursor
from salesos_inbox.tools._kit import Desk, Effect, Inbox, tool
from salesos_inbox.tools._standing import ReadMessage, Standing, follow_up, from_me, signals_of, standing
from salesos_inbox.tools.reading import going_on, page_of
from salesos_inbox.views import Triage, TriageRow

TOKENS_PER_THREAD = 88
"""What a row of a page may take on average by the estimate, so that 25 threads stay within 2,500 tokens."""
_FEWEST_TOKENS = 1_200
"""What a short page may take."""
_MARKS_TOKENS = 6
_NEW_CHARACTERS = (90, 80, 70, 60, 50, 40, 30, 0)
"""How many characters of what is new are shown: the most for which the rows stay within what they may take."""
_SHARE_SHOWN = {Kind.PERSON: 1.0, Kind.AUTOMATIC: 0.6, Kind.NEWSLETTER: 0.0}
_NOTE_CHARACTERS = 60
_SHOWN_RECORDS = 2
_MOST_DUE = 20
_GRAVE = frozenset(
    {"addressed_to_assistant", "look_alike", "own_address", "sender_name", "unusual_link", "program_attached"}
)
"""What a row tells of; a thread that is read tells the rest."""
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
    """See what needs the user, the most urgent of a page first: whose turn it is, days waiting, follow-up,
    records, first new words. No kind: a person's mail. Start here; page on with cursor."""
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
    due, unknown = ([], None) if position else await _due(inbox, query, page.items)
    own = await inbox.own_addresses()
    read = await inbox.threads_of([*page.items, *due])
    known = await known_domains(inbox, own)
    rows = await anyio.to_thread.run_sync(
        partial(_rows, inbox, read.threads, own, known, len(page.items)), abandon_on_cancel=True
    )
    next_cursor, note = going_on(page, fingerprint, position, limit, "threads")
    further = f"{len(due)} of the follow-ups due are from further on." if due else unknown
    notes = (note, further, read.note("whose turn it is and their last words are"))
    return Triage(
        threads=rows,
        zone=inbox.zone_name(),
        total=page.total,
        next_cursor=next_cursor,
        note=" ".join(filter(None, notes)) or None,
    )


async def _due(
    inbox: Desk, query: models.ListThreads, listed: Sequence[models.ThreadSummary]
) -> tuple[list[models.ThreadSummary], str | None]:
    """Return the threads whose follow-up is due and that are not listed already, or a sentence why they are missing."""
    try:
        page = await inbox.client.list_threads(query.model_copy(update={"has_follow_up": True, "limit": _MOST_DUE}))
    except Unauthorized:
        raise
    except InboxError as error:
        return [], f"Follow-ups due further on are missing here: {error}"
    ids = {item.id for item in listed}
    due = [item for item in page.items if item.id not in ids and _is_due(item, inbox.now())]
    return due[:_MOST_DUE], None


def _rows(
    inbox: Desk, threads: Sequence[models.Thread], own: frozenset[str], known: KnownDomains, page_size: int
) -> list[TriageRow]:
    """Return a row for each thread, what needs the user first."""
    stand = {thread.id: standing(thread, own) for thread in threads}
    seen = {thread.id: _signals(stand[thread.id].last, own, known(thread.id)) for thread in threads}
    urgent = sorted(threads, key=lambda thread: _urgency(thread, stand[thread.id], inbox.now()))
    most_tokens = max(TOKENS_PER_THREAD * page_size, _FEWEST_TOKENS)
    rows: list[TriageRow] = []
    for characters in _NEW_CHARACTERS:
        rows = [_row(inbox, thread, stand[thread.id], own, characters, seen[thread.id]) for thread in urgent]
        if sum(_MARKS_TOKENS + estimate_tokens(row.model_dump_json(exclude_none=True)) for row in rows) <= most_tokens:
            break
    return rows


def _urgency(thread: models.Thread, where: Standing, now: datetime) -> tuple[bool, int, int, bool, float]:
    """Sort by follow-ups due, whose turn it is, people before machines, linked records, and how long it waits."""
    kind = where.last.kind if where.last else Kind.PERSON
    waiting = (now - where.since).total_seconds() if where.since else 0.0
    return not _is_due(thread, now), _TURNS.index(where.turn), _KINDS.index(kind), not thread.crm_links, -waiting


def _row(
    inbox: Desk, thread: models.Thread, where: Standing, own: frozenset[str], characters: int, signals: str | None
) -> TriageRow:
    last = where.last
    kind = last.kind if last else Kind.PERSON
    return TriageRow(
        thread_id=one_line(thread.id, views.ID_CHARACTERS),
        mail=views.in_a_row(_sender(last, thread, own), thread.subject, _new_words(last, characters)),
        turn=where.turn,
        kind=kind.value if kind is not Kind.PERSON else None,
        signals=signals,
        days=max(0, (inbox.now() - where.since).days) if where.since else None,
        unread=True if thread.is_read is False else None,
        follow_up=follow_up(thread, where, inbox.now(), inbox.show_short_time, _NOTE_CHARACTERS),
        records=views.listed([views.record_in_list(link) for link in thread.crm_links], _SHOWN_RECORDS),
    )


def _signals(last: ReadMessage | None, own: frozenset[str], known: frozenset[str]) -> str | None:
    """Return the codes of the graver facts about the last message, where it is not the user's."""
    if last is None or from_me(last.message, own):
        return None
    seen = signals_of(last.message, last.reading, known_domains=known, own=own)
    codes = [signal.partition(":")[0] for signal in seen]
    return ", ".join(code for code in codes if code in _GRAVE) or None


def _is_due(thread: models.ThreadSummary, now: datetime) -> bool:
    reminder = thread.follow_up.reminder_date if thread.follow_up else None
    return reminder is not None and reminder <= now


def _sender(last: ReadMessage | None, thread: models.Thread, own: frozenset[str]) -> str:
    if last is None:
        return views.people(thread, own, views.person_in_list)
    return views.person_in_list(last.message.from_name, last.message.from_email)


def _new_words(last: ReadMessage | None, characters: int) -> str:
    if last is None:
        return ""  # the service's own snippet is cut from raw mail, with what its sender hid
    return first_words(last.reading.text, int(characters * _SHARE_SHOWN[last.kind]))
