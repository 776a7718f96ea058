"""Looking: folders, lists, search, a thread, statistics, scheduled mail."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import anyio

from salesos_inbox.contract import models
from salesos_inbox.errors import ContractBroken, InvalidArguments, RateLimited, Unavailable
from salesos_inbox.mail.snippet import first_words
from salesos_inbox.mail.unicode import one_line
from salesos_inbox.tools._acquaintance import acquaintance
from salesos_inbox.tools._args import (
    After,
    Before,
    Cursor,
    Folder,
    Limit,
    MaxTokens,
    RecordId,
    RecordType,
    Sender,
    ThreadId,
    check_id,
    query_fingerprint,
    read_cursor,
    read_since,
    snake_case,
    write_cursor,
)
from salesos_inbox.tools._kit import Desk, Effect, Inbox, ReadThreads, tool
from salesos_inbox.tools._standing import glance_at
from salesos_inbox.tools._thread import thread_view
from salesos_inbox.views import (
    SHOWN_FOLDERS,
    SNIPPET_CHARACTERS,
    SUBJECT_CHARACTERS,
    Folders,
    FolderView,
    Scheduled,
    ScheduledRow,
    Stats,
    Threads,
    ThreadView,
    addresses,
    around,
    thread_row,
)

if TYPE_CHECKING:
    from salesos_inbox.client.http import Page

_LONGEST_WORDS = 500
_MOST_COUNTS = 50
_LONGEST_CURSOR = 1_000
_READ_FOR_WORDS = 25
"""How many of the found threads are read for the words around the match."""
_MESSAGES_READ = 50


@tool("List folders", Effect.READ)
async def list_folders(inbox: Inbox) -> Folders:
    """List the mailbox's folders with their unread and total counts."""
    found = (await inbox.client.list_folders()).items
    return Folders(
        folders=[
            FolderView(folder=one_line(item.name or item.type, 60), unread=item.unread_count, total=item.total_count)
            for item in found[:SHOWN_FOLDERS]
        ],
        note=f"{SHOWN_FOLDERS} of {len(found)} folders." if len(found) > SHOWN_FOLDERS else None,
    )


@tool("List threads", Effect.READ)
async def list_threads(
    inbox: Inbox,
    folder: Folder | None = None,
    unread: bool | None = None,
    starred: bool | None = None,
    has_follow_up: bool | None = None,
    has_attachments: bool | None = None,
    sender: Sender | None = None,
    record_type: RecordType | None = None,
    record_id: RecordId | None = None,
    after: After | None = None,
    before: Before | None = None,
    oldest_first: bool = False,
    limit: Limit = 20,
    cursor: Cursor | None = None,
) -> Threads:
    """List threads, newest first, that meet all given filters. Without folder: all but trash, spam, drafts and
    scheduled."""
    zone = inbox.timezone
    if record_id is not None and record_type is None:
        raise InvalidArguments("record_id needs its record_type: give both, or record_type alone.")
    query = models.ListThreads(
        folder=await inbox.folder(folder) if folder else None,
        is_read=None if unread is None else not unread,
        is_starred=starred,
        has_follow_up=has_follow_up,
        has_attachments=has_attachments,
        from_=_words("sender", sender) if sender else None,
        entity_type=record_type,
        entity_id=check_id("record_id", record_id) if record_id is not None else None,
        start_date=read_since(after, zone),
        end_date=read_since(before, zone),
        sort_by="lastMessageAt",
        sort_order="asc" if oldest_first else "desc",
        limit=limit,
    )
    fingerprint = query_fingerprint("list_threads", query.body())
    position = read_cursor(cursor, fingerprint)
    page = await inbox.client.list_threads(query.model_copy(update=page_of(position)))
    return await _threads(inbox, page, fingerprint, position, limit, folder)


@tool("Search threads", Effect.READ)
async def search_threads(
    inbox: Inbox,
    query: str,
    folder: Folder | None = None,
    after: After | None = None,
    before: Before | None = None,
    limit: Limit = 20,
    cursor: Cursor | None = None,
) -> Threads:
    """Find threads by words in subject, text, names or addresses; mail ends with the words around the match."""
    zone = inbox.timezone
    wanted = models.SearchThreads(
        q=_words("query", query),
        folder=await inbox.folder(folder) if folder else None,
        start_date=read_since(after, zone),
        end_date=read_since(before, zone),
        limit=limit,
    )
    if not wanted.q:
        raise InvalidArguments("query is empty: give the words to search for, or use list_threads.")
    fingerprint = query_fingerprint("search_threads", wanted.body())
    position = read_cursor(cursor, fingerprint)
    page = await inbox.client.search_threads(wanted.model_copy(update=page_of(position)))
    found, missing = await _around_matches(inbox, page.items, wanted.q)
    return await _threads(inbox, page, fingerprint, position, limit, folder, found, missing)


@tool("Read a thread", Effect.READ)
async def read_thread(
    inbox: Inbox,
    thread_id: ThreadId,
    max_tokens: MaxTokens = 4000,
    include_quoted: bool = False,
    cursor: Cursor | None = None,
) -> ThreadView:
    """Read a thread: the newest messages that fit, oldest of them first. next_cursor goes on to earlier
    ones. include_quoted shows folded quotes and signatures. No to: same people as the message before."""
    thread = await inbox.client.get_thread(check_id("thread_id", thread_id))
    own = await inbox.own_addresses()
    shown = partial(
        thread_view,
        thread,
        own=own,
        now=inbox.now(),
        show_time=inbox.show_plain_time,
        zone=inbox.zone_name(),
        max_tokens=max_tokens,
        include_quoted=include_quoted,
        cursor=cursor,
        acquaintance=await acquaintance(inbox, thread, own),
    )
    return await anyio.to_thread.run_sync(shown, abandon_on_cancel=True)


@tool("Get inbox statistics", Effect.READ)
async def get_inbox_stats(inbox: Inbox) -> Stats:
    """Count what is unread, starred, scheduled, drafted, due, awaiting reply, and sent or received today."""
    stats = await inbox.client.get_stats()
    known = stats.model_dump(exclude_none=True)
    counts = [(one_line(snake_case(name), 60), count) for name, count in known.items() if type(count) is int]
    return Stats(counts=dict(counts[:_MOST_COUNTS]))


@tool("List scheduled messages", Effect.READ)
async def list_scheduled(inbox: Inbox, limit: Limit = 20, cursor: Cursor | None = None) -> Scheduled:
    """List the messages that wait to be sent at their time."""
    query = models.ListScheduled(limit=limit)
    fingerprint = query_fingerprint("list_scheduled", query.body())
    position = read_cursor(cursor, fingerprint)
    page = await inbox.client.list_scheduled(query.model_copy(update=page_of(position)))
    next_cursor, note = going_on(page, fingerprint, position, limit, "scheduled messages")
    return Scheduled(
        scheduled=[
            ScheduledRow(
                scheduled_id=item.id,
                to=addresses(item.to) or "",
                subject=one_line(item.subject, SUBJECT_CHARACTERS),
                at=inbox.show_time(item.scheduled_for) if item.scheduled_for else None,
                thread_id=item.thread_id,
                snippet=one_line(item.body_text or "", SNIPPET_CHARACTERS) or None,
            )
            for item in page.items
        ],
        total=page.total,
        next_cursor=next_cursor,
        note=note,
    )


async def _threads(
    inbox: Desk,
    page: "Page[models.ThreadSummary]",
    fingerprint: str,
    position: str | None,
    limit: int,
    folder: str | None,
    found: Mapping[str, str] | None = None,
    missing: str | None = None,
) -> Threads:
    try:
        own = await inbox.own_addresses()
    except (RateLimited, Unavailable):
        own = frozenset[str]()  # then rows name the user among the others
    asked = (folder or "inbox").strip().casefold()
    rows = [
        thread_row(item, own, inbox.show_short_time, folder=asked, words=(found or {}).get(item.id, ""))
        for item in page.items
    ]
    next_cursor, note = going_on(page, fingerprint, position, limit, "threads")
    return Threads(
        threads=rows,
        zone=inbox.zone_name(),
        total=page.total,
        next_cursor=next_cursor,
        note=" ".join(filter(None, (note, missing))) or None,
    )


async def _around_matches(
    inbox: Desk, rows: Sequence[models.ThreadSummary], query: str
) -> tuple[Mapping[str, str], str | None]:
    """Return the words around the match in each of the first threads, and a sentence on those that lack them.

    The service's own snippets are cut from raw mail, with what its sender hid in it. Where the match is in nothing that
    a reader would see, the first new words stand there; a thread that is not read has none.
    """
    first = rows[:_READ_FOR_WORDS]
    try:
        read = await inbox.threads_of(first)
    except (RateLimited, Unavailable, ContractBroken) as error:
        read = ReadThreads([], len(first), error)
    words = [word for word in query.casefold().replace('"', " ").split() if word]

    def found() -> dict[str, str]:
        return {thread.id: _match(thread, words) for thread in read.threads}

    return await anyio.to_thread.run_sync(found, abandon_on_cancel=True), read.note("the words around the match are")


def _match(thread: models.Thread, words: Sequence[str]) -> str:
    readings = [glance_at(message) for message in thread.messages[: -_MESSAGES_READ - 1 : -1]]
    texts = ("\n".join((reading.text, reading.signature, reading.quoted)) for reading in readings)
    found = next(filter(None, (around(text, words) for text in texts)), "")
    return found or (first_words(readings[0].text, SNIPPET_CHARACTERS) if readings else "")


def page_of(position: str | None) -> Mapping[str, object]:
    """Return the query's page for a cursor's position: a page number, or the service's own cursor."""
    if position is None:
        return {"page": 1}
    if position.startswith("~"):
        return {"cursor": position[1:]}
    if not position.isdecimal():
        raise InvalidArguments(
            "This cursor is damaged: copy next_cursor exactly, or leave the cursor out to begin anew."
        )
    return {"page": int(position)}


def going_on(
    page: "Page[models.ThreadSummary] | Page[models.ScheduledEmail]",
    fingerprint: str,
    position: str | None,
    limit: int,
    things: str,
) -> tuple[str | None, str | None]:
    """Return the cursor to the next page and the sentence that says how much was left out; None at the end."""
    number = int(position) if position and position.isdecimal() else 1
    shown = len(page.items)
    if page.has_more is not None:
        more = page.has_more
    elif page.total is not None and not page.next_cursor:
        more = (number - 1) * limit + shown < page.total
    else:
        more = bool(page.next_cursor) or shown >= limit
    if not (more and shown):
        return None, None if shown else f"No {things} here."
    own = page.next_cursor if len(page.next_cursor or "") <= _LONGEST_CURSOR else None
    following = f"~{own}" if own else str(number + 1)
    total = f" of {page.total}" if page.total is not None else ""
    return write_cursor(fingerprint, following), f"{shown}{total} {things}; call again with cursor for more."


def _words(name: str, text: str) -> str:
    if len(text) > _LONGEST_WORDS:
        raise InvalidArguments(f"{name} is longer than {_LONGEST_WORDS} characters: shorten it.")
    return one_line(text, _LONGEST_WORDS)
