"""Putting messages into a mailbox, each into its thread, and taking them out again."""

import json
from dataclasses import dataclass
from typing import Final, Literal

from salesos_inbox.sandbox import threads
from salesos_inbox.sandbox.database import Database
from salesos_inbox.sandbox.folders import Folder, find_folder
from salesos_inbox.sandbox.messages import StoredMessage, duplicate_key, plain_text, snippet, subject_key, to_millis
from salesos_inbox.sandbox.reading import thread_id, thread_row
from salesos_inbox.sandbox.refusals import not_found

Direction = Literal["INBOUND", "OUTBOUND"]

# Where a thread goes when a message joins it, by the message's direction and the thread's folder.
_DRAWN_TO: Final = {
    ("INBOUND", "archive"): "inbox",
    ("INBOUND", "sent"): "inbox",
    ("INBOUND", "drafts"): "inbox",
    ("OUTBOUND", "drafts"): "sent",
}
_INSERT_MESSAGE: Final = """
    INSERT INTO messages (
      thread_row, sender_row, at, user_id, id, key, message_id, in_reply_to, refs, from_name, from_email,
      to_emails, cc_emails, bcc_emails, subject, subject_key, snippet, direction, status, request_id
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# `json.dumps` would make a new encoder for each list.
_as_json: Final = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True)
class Filed:
    """Where a message was put: its own id, its thread's id, and whether it was new to the mailbox."""

    message_id: str
    thread_id: str
    is_new: bool


def file_message(
    db: Database,
    user_id: str,
    message: StoredMessage,
    *,
    folder: str | None = None,
    is_read: bool | None = None,
    is_starred: bool | None = None,
    into: str | None = None,
    id: str | None = None,
    request_id: str | None = None,
) -> Filed:
    """Put a message into the user's mailbox, as `Store.file_message` says; `into` is the id of a thread."""
    with db.transaction():
        owner = _address(db, user_id)
        key = duplicate_key(message)
        if (copy := _copy(db, user_id, key)) is not None:
            return copy
        outbound = message.from_email.casefold() == owner.casefold()
        read = next((one for one in (is_read, message.is_read) if one is not None), outbound)
        starred = message.is_starred if is_starred is None else is_starred
        ids = threads.ids_of(message)
        thread = thread_row(db, user_id, into) if into else _joined_thread(db, user_id, message, ids)
        target = find_folder(db, user_id, folder) if folder else None
        if thread is None:
            target = target or find_folder(db, user_id, "sent" if outbound else "inbox")
            thread = new_thread(db, user_id, target, is_read=read, is_starred=starred)
        else:
            _draw(db, user_id, thread, "OUTBOUND" if outbound else "INBOUND", target)
            _flag(db, thread, is_read=read, is_starred=starred)
        threads.remember(db.connection, user_id, ids, thread)
        filed_id = insert_message(
            db,
            user_id,
            thread,
            message,
            id=id,
            key=key,
            direction="OUTBOUND" if outbound else "INBOUND",
            status="SENT" if outbound else "RECEIVED",
            request_id=request_id,
        )
        return Filed(filed_id, thread_id(db, thread), is_new=True)


def new_thread(db: Database, user_id: str, folder: Folder, *, is_read: bool = True, is_starred: bool = False) -> int:
    """Return the row of a new thread in `folder`, which has no messages yet."""
    # Without RETURNING, for whose savepoint FTS5 would write all that it has gathered in memory.
    made = db.execute(
        "INSERT INTO threads (id, user_id, folder_id, is_read, is_starred) VALUES (?, ?, ?, ?, ?)",
        (db.new_id(), user_id, folder.id, is_read, is_starred),
    )
    assert made.lastrowid is not None, "an insert has a row"
    return made.lastrowid


def insert_message(
    db: Database,
    user_id: str,
    thread: int,
    message: StoredMessage,
    *,
    id: str | None,
    key: str | None,
    direction: Direction,
    status: Literal["DRAFT", "SENT", "RECEIVED"],
    request_id: str | None = None,
) -> str:
    """Add a message to a thread and return its id; `key` is what makes a second copy a duplicate."""
    id = id or db.new_id()
    text = plain_text(message.body_text, message.body_html)
    recipients = (message.to, message.cc, message.bcc)
    row = db.execute(
        _INSERT_MESSAGE,
        (
            thread,
            _sender_row(db, user_id, message),
            to_millis(message.sent_at),
            user_id,
            id,
            key,
            message.message_id or None,
            message.in_reply_to,
            _as_json(message.references),
            message.from_name,
            message.from_email,
            *map(_as_json, recipients),
            message.subject,
            subject_key(message.subject),
            snippet(text),
            direction,
            status,
            request_id,
        ),
    ).lastrowid
    db.execute("INSERT INTO bodies VALUES (?, ?, ?)", (row, message.body_text, message.body_html))
    db.executemany(
        "INSERT INTO attachments (id, message_row, filename, content_type, size) VALUES (?, ?, ?, ?, ?)",
        [(db.new_id(), row, one.filename, one.content_type, one.size) for one in message.attachments],
    )
    db.execute(
        "INSERT INTO message_search (rowid, subject, body, sender, recipients) VALUES (?, ?, ?, ?, ?)",
        (
            row,
            message.subject,
            text,
            f"{message.from_name} {message.from_email}",
            " ".join(address for addresses in recipients for address in addresses),
        ),
    )
    db.touched.add(thread)
    return id


def delete_messages(db: Database, column: Literal["row", "thread_row"], value: int) -> None:
    """Delete the messages in whose `column` is `value`, with their bodies and files."""
    doomed = f"SELECT row FROM messages WHERE {column} = ?"
    db.execute(f"DELETE FROM message_search WHERE rowid IN ({doomed})", (value,))
    db.execute(f"DELETE FROM messages WHERE {column} = ?", (value,))


def _address(db: Database, user_id: str) -> str:
    row = db.execute("SELECT email FROM users WHERE id = ?", (user_id,)).fetchone()
    if row is None:
        raise not_found("User")
    return row[0]


def _copy(db: Database, user_id: str, key: str) -> Filed | None:
    row = db.execute(
        "SELECT messages.id, threads.id FROM messages JOIN threads ON threads.row = thread_row"
        " WHERE messages.user_id = ? AND key = ?",
        (user_id, key),
    ).fetchone()
    return row and Filed(row[0], row[1], is_new=False)


def _joined_thread(db: Database, user_id: str, message: StoredMessage, ids: tuple[str, ...]) -> int | None:
    known = threads.threads_knowing(db.connection, user_id, ids)
    if not known:
        return threads.thread_by_subject(db.connection, user_id, message)
    kept, *others = known
    threads.merge(db.connection, kept, others)
    db.touched.difference_update(others)
    return kept


def _draw(db: Database, user_id: str, thread: int, direction: Direction, target: Folder | None) -> None:
    """Put a thread where a message that joins it belongs."""
    (present,) = db.execute(
        "SELECT type FROM folders WHERE id = (SELECT folder_id FROM threads WHERE row = ?)", (thread,)
    ).fetchone()
    drawn = _DRAWN_TO.get((direction, present))
    target = target or (find_folder(db, user_id, drawn) if drawn else None)
    if target:
        db.execute("UPDATE threads SET folder_id = ? WHERE row = ?", (target.id, thread))


def _flag(db: Database, thread: int, *, is_read: bool, is_starred: bool) -> None:
    """Make a thread unread, or starred, where a message that joins it is."""
    db.execute(
        "UPDATE threads SET is_read = is_read AND ?1, is_starred = is_starred OR ?2"
        " WHERE row = ?3 AND (is_read > ?1 OR is_starred < ?2)",
        (is_read, is_starred, thread),
    )


def _sender_row(db: Database, user_id: str, message: StoredMessage) -> int | None:
    sender = (user_id, message.from_email, message.from_name)
    known = db.execute("SELECT row FROM senders WHERE user_id = ? AND email = ? AND name = ?", sender).fetchone()
    if known:
        return known[0]
    row = db.execute("INSERT INTO senders (user_id, email, name) VALUES (?, ?, ?)", sender).lastrowid
    db.execute(
        "INSERT INTO sender_search (rowid, email, name) VALUES (?, ?, ?)", (row, message.from_email, message.from_name)
    )
    return row
