"""Lists of threads, searches and statistics.

All of a list is counted, exactly; a search is bounded, and so is its total (see `search`).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from salesos_inbox.contract import models
from salesos_inbox.sandbox.database import Database
from salesos_inbox.sandbox.envelopes import Page, decode_cursor
from salesos_inbox.sandbox.folders import HIDDEN, NOT_LISTED, Where, find_folder, outside, scheduled_count, shown_in
from salesos_inbox.sandbox.messages import snippet, to_millis
from salesos_inbox.sandbox.reading import summaries
from salesos_inbox.sandbox.search import excerpt, fts_query, prefix

DEFAULT_LIMIT: Final = 20
"""Items on a page where the query does not say."""

_LAST_PAGE: Final = 2**32  # beyond it no offset fits into SQLite's integers

MOST_HITS: Final = 3000
"""Messages that one search looks at: what bounds its time in a large mailbox."""

MOST_COMPLETIONS: Final = 100
"""Words that the last word of a search is written out to; a shorter beginning is left to FTS5, which is slower."""

_SORT_COLUMNS: Final = {"lastMessageAt": "last_message_at", "subject": "subject"}
_SHORTEST_PART: Final = 3
_SENDERS_AT: Final = "SELECT row FROM senders WHERE user_id = ? AND email = ?"
_SENDERS_WITH: Final = (
    "SELECT senders.row FROM sender_search CROSS JOIN senders ON senders.row = sender_search.rowid"
    " WHERE sender_search MATCH ? AND user_id = ?"
)
_SENDERS_LIKE: Final = r"""
    SELECT row FROM senders WHERE user_id = ? AND (email LIKE ? ESCAPE '\' OR name LIKE ? ESCAPE '\')
"""


def paging(query: models.ListThreads | models.SearchThreads | models.ListScheduled) -> tuple[int, int]:
    """Return the number of the page that is asked for, from 1, and its length."""
    number = decode_cursor(query.cursor) if query.cursor else query.page
    return min(number or 1, _LAST_PAGE), query.limit or DEFAULT_LIMIT


def list_threads(db: Database, user_id: str, query: models.ListThreads) -> Page[models.ThreadSummary]:
    """Return the page of the user's threads that the query asks for; refuses (404) an unknown folder."""
    conditions = ["user_id = ?"]
    values: list[object] = [user_id]
    for condition, given in _conditions(db, user_id, query):
        conditions.append(condition)
        values += given
    where = " AND ".join(conditions)
    # Few threads are named by their rows: those are looked up, rather than met along an index of all.
    listed = f"FROM {'threads NOT INDEXED' if 'row IN' in where else 'threads'} WHERE {where}"
    total = db.count(f"SELECT count(*) {listed}", values)
    column = _SORT_COLUMNS[query.sort_by or "lastMessageAt"]
    number, limit = paging(query)
    skipped = (number - 1) * limit
    length = min(limit, total - skipped)
    if length <= 0:
        return Page([], total, number, limit)
    # An offset is walked through row by row, so a page of the second half is reached from the end.
    from_end = skipped > total // 2
    order = "ASC" if (query.sort_order == "asc") != from_end else "DESC"
    rows = [
        row
        for (row,) in db.execute(
            f"SELECT row {listed} ORDER BY {column} {order}, row {order} LIMIT ? OFFSET ?",
            (*values, length, total - skipped - length if from_end else skipped),
        )
    ]
    return Page(summaries(db, rows[::-1] if from_end else rows), total, number, limit)


def search(db: Database, user_id: str, query: models.SearchThreads) -> Page[models.ThreadSummary]:
    """Return the page of threads in which one message has all the words, the newest first.

    Each one's snippet surrounds the match in its newest matching message. Without `folder` neither
    trash nor spam is searched. Only the `MOST_HITS` matching messages filed last are looked at, so
    of words that are nearly everywhere the total counts the threads of those.
    """
    number, limit = paging(query)
    where, given = (
        shown_in(db, user_id, find_folder(db, user_id, query.folder)) if query.folder else outside(db, user_id, HIDDEN)
    )
    words = fts_query(query.q, _completions(db, prefix(query.q)))
    if not words:
        return Page([], 0, number, limit)
    dates, dated = _between(query.start_date, query.end_date)
    found = db.execute(
        f"""
        WITH hits AS MATERIALIZED (
          SELECT thread_row, at, messages.row AS message_row
          FROM message_search JOIN messages INDEXED BY messages_for_search ON messages.row = message_search.rowid
          WHERE message_search MATCH ? AND messages.user_id = ?
          ORDER BY message_search.rowid DESC LIMIT {MOST_HITS}
        ), matched AS MATERIALIZED (
          SELECT thread_row, max(at) AS newest, message_row FROM hits GROUP BY thread_row
        ), shown AS MATERIALIZED (
          SELECT row, message_row, last_message_at FROM matched
          JOIN threads INDEXED BY threads_for_search ON row = thread_row
          WHERE {where} AND {dates}
        )
        SELECT row, message_row, (SELECT count(*) FROM shown) FROM shown
        ORDER BY last_message_at DESC, row DESC LIMIT ? OFFSET ?
        """,
        (words, user_id, *given, *dated, limit, (number - 1) * limit),
    ).fetchall()
    if not found and number > 1:
        first = search(db, user_id, query.model_copy(update={"page": 1, "cursor": None}))
        return Page([], first.total, number, limit)
    snippets = {row: _excerpt(db, message_row, query.q) for row, message_row, _ in found}
    items = [
        summary.model_copy(update={"snippet": text})
        for summary, text in zip(summaries(db, [*snippets]), snippets.values(), strict=True)
    ]
    return Page(items, found[0][2] if found else 0, number, limit)


def stats(db: Database, user_id: str) -> models.InboxStats:
    """Return the counts over the mailbox, trash and spam left out; days are days in UTC."""
    listed, ids = outside(db, user_id, NOT_LISTED)
    now = db.now()
    today = to_millis(now.replace(hour=0, minute=0, second=0, microsecond=0))
    tomorrow = today + timedelta(days=1) // timedelta(milliseconds=1)
    of_day = "SELECT count(*) FROM messages WHERE user_id = ? AND status = ? AND at >= ? AND at < ?"
    total, read, starred, awaiting = db.figures(
        "SELECT count(*), total(is_read), total(is_starred), total(awaits_reply)"
        f" FROM threads WHERE user_id = ? AND {listed}",
        (user_id, *ids),
    )
    return models.InboxStats(
        total_threads=total,
        unread_threads=total - read,
        starred_threads=starred,
        scheduled_count=scheduled_count(db, user_id),
        draft_count=db.count("SELECT count(*) FROM messages WHERE user_id = ? AND status = 'DRAFT'", (user_id,)),
        follow_ups_due=db.count(
            "SELECT count(*) FROM threads WHERE user_id = ? AND follow_up_at <= ?", (user_id, to_millis(now))
        ),
        awaiting_reply=awaiting,
        received_today=db.count(of_day, (user_id, "RECEIVED", today, tomorrow)),
        sent_today=db.count(of_day, (user_id, "SENT", today, tomorrow)),
    )


def _conditions(db: Database, user_id: str, query: models.ListThreads) -> Iterator[Where]:
    yield (
        shown_in(db, user_id, find_folder(db, user_id, query.folder))
        if query.folder
        else outside(db, user_id, NOT_LISTED)
    )
    yield _between(query.start_date, query.end_date)
    for wanted, condition in (
        (query.is_read, "is_read"),
        (query.is_starred, "is_starred"),
        (query.has_attachments, "has_attachments"),
        (query.has_follow_up, "(follow_up_at IS NOT NULL)"),
    ):
        if wanted is not None:
            yield (condition if wanted else f"NOT {condition}"), ()
    if query.from_:
        senders, values = _senders(user_id, query.from_)
        yield f"row IN (SELECT thread_row FROM messages WHERE sender_row IN ({senders}))", values
    for value, column in ((query.entity_type, "entity_type"), (query.entity_id, "entity_id")):
        if value:
            yield f"row IN (SELECT thread_row FROM crm_links WHERE user_id = ? AND {column} = ?)", (user_id, value)


def _senders(user_id: str, sender: str) -> Where:
    """Return the query for the senders with an address, or with `sender` in their name or address.

    A part of fewer than three characters is in no trigram: for it every sender is looked at.
    """
    if "@" in sender:
        return _SENDERS_AT, (user_id, sender)
    if len(sender) >= _SHORTEST_PART:
        phrase = sender.replace("\0", " ").replace('"', '""')
        return _SENDERS_WITH, (f'"{phrase}"', user_id)
    like = "%" + "".join("\\" + char if char in "%_\\" else char for char in sender) + "%"
    return _SENDERS_LIKE, (user_id, like, like)


def _between(start: datetime | None, end: datetime | None) -> Where:
    bounds = [("last_message_at >= ?", start), ("last_message_at <= ?", end)]
    given = [(condition, to_millis(moment)) for condition, moment in bounds if moment is not None]
    return " AND ".join(["TRUE", *(condition for condition, _ in given)]), [millis for _, millis in given]


def _completions(db: Database, beginning: str) -> list[str]:
    """Return all indexed words that begin so; none where they are too many to be listed.

    FTS5 puts the matches of all of them together before it gives the first; of words it gives them one by one.
    """
    found: list[str] = []
    after = beginning
    while beginning and len(found) <= MOST_COMPLETIONS:
        row = db.execute("SELECT term FROM message_words WHERE term >= ? LIMIT 1", (after,)).fetchone()
        if row is None or not row[0].startswith(beginning):
            return found
        found.append(row[0])
        after = f"{row[0]}\x01"
    return []


def _excerpt(db: Database, message_row: int, query: str) -> str:
    """Return the text around the words in a message that has them."""
    texts = db.execute(
        "SELECT body, subject, sender, recipients FROM message_search WHERE rowid = ?", (message_row,)
    ).fetchone()
    return excerpt(texts, query) or snippet(texts["body"])
