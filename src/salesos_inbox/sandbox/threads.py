"""Which thread a message belongs to, two threads becoming one, and what lists show of a thread.

A thread is a set of Message-IDs, seen or merely named: a message joins the thread that any of its
ids belongs to, and where they belong to several, these become one. So order of arrival, missing
parents and messages that name themselves or each other need no care of their own.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from salesos_inbox.sandbox.messages import StoredMessage, looks_like_reply, subject_key, to_millis

SAME_SUBJECT_WITHIN: Final = timedelta(days=30)
"""How long after a thread's message a reply without known parents joins it by its subject."""
_MOST_REFERENCES: Final = 500


def ids_of(message: StoredMessage) -> tuple[str, ...]:
    """Return every Message-ID that `message` has or names; of very many, the newest."""
    named = (*message.references[-_MOST_REFERENCES:], message.in_reply_to or "", message.message_id)
    return tuple(dict.fromkeys(one for one in named if one))


def threads_knowing(db: sqlite3.Connection, user_id: str, ids: Sequence[str]) -> list[int]:
    """Return the threads of the user that any of `ids` belongs to, the oldest first."""
    found = db.execute(
        "SELECT DISTINCT thread_row FROM known_ids WHERE user_id = ? AND message_id IN"
        f" ({', '.join('?' * len(ids))}) ORDER BY thread_row",
        (user_id, *ids),
    )
    return [row for (row,) in found]


def thread_by_subject(db: sqlite3.Connection, user_id: str, message: StoredMessage) -> int | None:
    """Return the thread that a reply without known parents most likely answers, or None.

    Only what looks like a reply is looked for, and only among the last 30 days before it.
    """
    key = subject_key(message.subject)
    if not key or not looks_like_reply(message.subject):
        return None
    at = to_millis(message.sent_at)
    found = db.execute(
        "SELECT thread_row FROM messages WHERE user_id = ? AND subject_key = ? AND at BETWEEN ? AND ?"
        " AND status <> 'DRAFT' ORDER BY at DESC LIMIT 1",
        (user_id, key, at - SAME_SUBJECT_WITHIN // timedelta(milliseconds=1), at),
    ).fetchone()
    return found and found[0]


def remember(db: sqlite3.Connection, user_id: str, ids: Iterable[str], thread: int) -> None:
    """Note that `ids` belong to `thread`; those that belong to one already stay there."""
    db.executemany("INSERT OR IGNORE INTO known_ids VALUES (?, ?, ?)", [(user_id, one, thread) for one in ids])


def merge(db: sqlite3.Connection, kept: int, others: Iterable[int]) -> None:
    """Move all that `others` hold into the thread `kept`, and remove them.

    The one thread is in the inbox if any was, read if all were, starred if any was, and reminds of
    the earliest follow-up.
    """
    for other in others:
        db.execute(
            """
            UPDATE threads SET
              is_read = threads.is_read AND other.is_read,
              is_starred = threads.is_starred OR other.is_starred,
              follow_up_note = iif(
                ifnull(other.follow_up_at, 9e18) < ifnull(threads.follow_up_at, 9e18),
                other.follow_up_note, threads.follow_up_note),
              follow_up_at = nullif(min(ifnull(threads.follow_up_at, 9e18), ifnull(other.follow_up_at, 9e18)), 9e18),
              folder_id = iif(
                (SELECT type FROM folders WHERE id = other.folder_id) = 'inbox', other.folder_id, threads.folder_id)
            FROM threads AS other WHERE threads.row = ? AND other.row = ?
            """,
            (kept, other),
        )
        for table in ("messages", "known_ids", "scheduled"):
            db.execute(f"UPDATE {table} SET thread_row = ? WHERE thread_row = ?", (kept, other))
        db.execute("UPDATE OR IGNORE crm_links SET thread_row = ? WHERE thread_row = ?", (kept, other))
        db.execute("DELETE FROM threads WHERE row = ?", (other,))


def summarise(db: sqlite3.Connection, thread: int) -> None:
    """Write down what lists show of a thread; a thread without messages is removed.

    Drafts count as messages, but subject, snippet and time are those of the mail, if there is any.
    """
    messages = db.execute(
        "SELECT at, from_name, from_email, to_emails, cc_emails, subject, snippet, direction, status,"
        " EXISTS (SELECT 1 FROM attachments WHERE message_row = messages.row)"
        " FROM messages WHERE thread_row = ? ORDER BY at, row",
        (thread,),
    ).fetchall()
    if not messages:
        db.execute("DELETE FROM threads WHERE row = ?", (thread,))
        return
    mail = [message for message in messages if message[8] != "DRAFT"]
    shown = mail or messages
    people: dict[str, dict[str, str | None]] = {}
    for _, name, email, to, cc, *_ in messages:
        for person, address in ((name or None, email), *((None, one) for one in json.loads(to) + json.loads(cc))):
            entry = people.setdefault(address.casefold(), {"name": person, "email": address})
            entry["name"] = entry["name"] or person
    db.execute(
        "UPDATE threads SET subject = ?, snippet = ?, last_message_at = ?, message_count = ?, has_attachments = ?,"
        " has_sent = ?, has_draft = ?, awaits_reply = ?, participants = ? WHERE row = ?",
        (
            shown[0][5],
            shown[-1][6],
            shown[-1][0],
            len(messages),
            any(message[9] for message in messages),
            any(message[7] == "OUTBOUND" for message in mail),
            len(mail) < len(messages),
            bool(mail) and mail[-1][7] == "OUTBOUND",
            json.dumps([*people.values()], ensure_ascii=False),
            thread,
        ),
    )
