"""Threads and their messages, from rows to what the API answers."""

import sqlite3
from collections.abc import Sequence

from salesos_inbox.contract import models
from salesos_inbox.sandbox import answers
from salesos_inbox.sandbox.database import Database
from salesos_inbox.sandbox.refusals import not_found


def thread_row(db: Database, user_id: str, thread_id: str) -> int:
    """Return the row of the user's thread with this id; refuses (404) an unknown one."""
    row = db.execute("SELECT row FROM threads WHERE user_id = ? AND id = ?", (user_id, thread_id)).fetchone()
    if row is None:
        raise not_found("Thread")
    return row[0]


def thread_id(db: Database, thread: int) -> str:
    """Return the id of the thread in this row."""
    return db.execute("SELECT id FROM threads WHERE row = ?", (thread,)).fetchone()[0]


def draft_row(db: Database, user_id: str, draft_id: str) -> sqlite3.Row:
    """Return the user's draft with its `text`, `html` and `thread_id`; refuses (404) an unknown one."""
    row = db.execute(
        "SELECT messages.*, text, html, threads.id AS thread_id FROM messages"
        " JOIN bodies ON message_row = messages.row JOIN threads ON threads.row = thread_row"
        " WHERE messages.user_id = ? AND messages.id = ? AND status = 'DRAFT'",
        (user_id, draft_id),
    ).fetchone()
    if row is None:
        raise not_found("Draft")
    return row


def whole_thread(db: Database, thread: int) -> models.Thread:
    """Return a thread with all its messages, the oldest first."""
    return models.Thread(**dict(summary(db, thread)), messages=_messages(db, thread))


def summary(db: Database, thread: int) -> models.ThreadSummary:
    """Return what lists show of a thread."""
    (only,) = summaries(db, [thread])
    return only


def summaries(db: Database, rows: Sequence[int]) -> list[models.ThreadSummary]:
    """Return the summaries of threads in the order of `rows`."""
    marks = ", ".join("?" * len(rows))
    links: dict[int, list[models.CrmLink]] = {}
    for link in db.execute(
        "SELECT crm_links.*, name FROM crm_links JOIN crm_records USING (user_id, entity_type, entity_id)"
        f" WHERE thread_row IN ({marks}) ORDER BY entity_type, name",
        rows,
    ):
        links.setdefault(link["thread_row"], []).append(
            models.CrmLink(entity_type=link["entity_type"], entity_id=link["entity_id"], name=link["name"])
        )
    found = {
        row["row"]: row
        for row in db.execute(
            "SELECT threads.*, iif(type = 'custom', name, type) AS folder FROM threads"
            f" JOIN folders ON folders.id = folder_id WHERE row IN ({marks})",
            rows,
        )
    }
    return [answers.summary(found[row], links.get(row, [])) for row in rows]


def _messages(db: Database, thread: int) -> list[models.Message]:
    attachments: dict[int, list[models.Attachment]] = {}
    for row in db.execute(
        "SELECT attachments.* FROM attachments JOIN messages ON messages.row = message_row"
        " WHERE thread_row = ? ORDER BY attachments.row",
        (thread,),
    ):
        attachments.setdefault(row["message_row"], []).append(
            models.Attachment(
                id=row["id"], filename=row["filename"], content_type=row["content_type"], size=row["size"]
            )
        )
    rows = db.execute(
        "SELECT messages.*, text, html FROM messages JOIN bodies ON message_row = row WHERE thread_row = ?"
        " ORDER BY at, row",
        (thread,),
    )
    return [
        answers.message(row, attachments.get(row["row"], []), with_request_id=db.answers_request_ids) for row in rows
    ]
