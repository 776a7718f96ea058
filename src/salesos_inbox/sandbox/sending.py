"""What the user writes: drafts, email that leaves at once, and email that waits for its time."""

import json
import sqlite3
from dataclasses import replace
from datetime import datetime

from salesos_inbox.contract import models
from salesos_inbox.sandbox import answers, threads
from salesos_inbox.sandbox.access import Access
from salesos_inbox.sandbox.database import Database
from salesos_inbox.sandbox.envelopes import Page
from salesos_inbox.sandbox.filing import delete_messages, file_message, insert_message, new_thread
from salesos_inbox.sandbox.folders import find_folder, scheduled_count
from salesos_inbox.sandbox.listing import paging
from salesos_inbox.sandbox.messages import StoredMessage, bracketed, from_millis, to_millis
from salesos_inbox.sandbox.reading import draft_row, thread_id, thread_row
from salesos_inbox.sandbox.refusals import Refusal, not_found


def save_draft(db: Database, access: Access, user_id: str, draft: models.SaveDraft) -> models.Draft:
    """Save a draft, or with `id` change the given fields of one, and return it."""
    with db.transaction():
        known = draft_row(db, user_id, draft.id) if draft.id else None
        if known is None:
            thread = _draft_thread(db, user_id, draft)
        else:
            thread = known["thread_row"]
            delete_messages(db, "row", known["row"])
            draft = _changed(known, draft)
            if draft.thread_id:
                db.touched.add(thread)
                thread = thread_row(db, user_id, draft.thread_id)
        draft_id = insert_message(
            db,
            user_id,
            thread,
            _written(db, access, user_id, draft, message_id="", sent_at=db.now()),
            id=draft.id,
            key=None,
            direction="OUTBOUND",
            status="DRAFT",
        )
    return answers.draft(draft_row(db, user_id, draft_id))


def send(
    db: Database, access: Access, user_id: str, email: models.SendEmail, *, request_id: str | None
) -> models.SendReceipt:
    """Send an email at once, or schedule it where it says so."""
    if email.scheduled_for is not None:
        return schedule(db, user_id, email, request_id=request_id)
    with db.transaction():
        draft = draft_row(db, user_id, email.draft_id) if email.draft_id else None
        receipt = _deliver(
            db, access, user_id, email, id=db.new_id(), message_id=_new_message_id(db), at=db.now(),
            draft_thread=draft["thread_row"] if draft else None, request_id=request_id,
        )  # fmt: skip
        if draft:
            _remove_draft(db, draft)
    return receipt


def schedule(db: Database, user_id: str, email: models.SendEmail, *, request_id: str | None) -> models.SendReceipt:
    """Keep an email until its `scheduled_for`; its Message-ID is settled here."""
    assert email.scheduled_for is not None, "an email is scheduled for a time"
    with db.transaction():
        draft = draft_row(db, user_id, email.draft_id) if email.draft_id else None
        thread = thread_row(db, user_id, email.thread_id) if email.thread_id else None
        scheduled_id, message_id = db.new_id(), _new_message_id(db)
        db.execute(
            "INSERT INTO scheduled (id, user_id, thread_row, scheduled_for, message_id, email, request_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                scheduled_id,
                user_id,
                thread,
                to_millis(email.scheduled_for),
                message_id,
                email.model_dump_json(by_alias=True, exclude={"thread_id", "draft_id"}),
                request_id,
            ),
        )
        if draft:
            _remove_draft(db, draft)
    return models.SendReceipt(
        id=scheduled_id,
        thread_id=email.thread_id,
        message_id=message_id,
        status="SCHEDULED",
        scheduled_for=from_millis(to_millis(email.scheduled_for)),
    )


def send_due(db: Database, access: Access) -> None:
    """Send what is due by the clock, each as if at the very moment it was scheduled for."""
    due = db.execute(
        "SELECT scheduled.*, threads.id AS thread_id FROM scheduled LEFT JOIN threads ON threads.row = thread_row"
        " WHERE NOT is_sent AND scheduled_for <= ? ORDER BY scheduled_for, scheduled.id",
        (to_millis(db.now()),),
    ).fetchall()
    for row in due:
        with db.transaction():
            email = models.SendEmail.model_validate_json(row["email"])
            email.thread_id = row["thread_id"]
            _deliver(
                db, access, row["user_id"], email, id=row["id"], message_id=row["message_id"],
                at=from_millis(row["scheduled_for"]), request_id=row["request_id"],
            )  # fmt: skip
            db.execute("UPDATE scheduled SET is_sent = 1 WHERE id = ?", (row["id"],))


def list_scheduled(db: Database, user_id: str, query: models.ListScheduled) -> Page[models.ScheduledEmail]:
    """Return the page of emails that wait for their time, the next one first."""
    number, limit = paging(query)
    rows = db.execute(
        "SELECT scheduled.*, threads.id AS thread_id FROM scheduled LEFT JOIN threads ON threads.row = thread_row"
        " WHERE scheduled.user_id = ? AND NOT is_sent ORDER BY scheduled_for, scheduled.id LIMIT ? OFFSET ?",
        (user_id, limit, (number - 1) * limit),
    )
    items = [answers.scheduled(row, with_request_id=db.answers_request_ids) for row in rows]
    return Page(items, scheduled_count(db, user_id), number, limit)


def cancel_scheduled(db: Database, user_id: str, scheduled_id: str) -> None:
    """Drop a scheduled email; refuses (409) one that has left, and (404) an unknown one."""
    row = db.execute("SELECT is_sent FROM scheduled WHERE user_id = ? AND id = ?", (user_id, scheduled_id)).fetchone()
    if row is None:
        raise not_found("Scheduled email")
    if row["is_sent"]:
        raise Refusal(409, "Email already sent")
    db.execute("DELETE FROM scheduled WHERE user_id = ? AND id = ?", (user_id, scheduled_id))


def _parent(db: Database, user_id: str, message_id: str) -> sqlite3.Row | None:
    return db.execute(
        "SELECT refs, thread_row FROM messages WHERE user_id = ? AND key = ?", (user_id, message_id)
    ).fetchone()


def _written(
    db: Database, access: Access, user_id: str, email: models.OutgoingEmail, *, message_id: str, sent_at: datetime
) -> StoredMessage:
    """Return an outgoing email as a message of the user's, with the headers of a reply."""
    user = access.user(user_id)
    parent_id = bracketed(email.in_reply_to) if email.in_reply_to else None
    parent = _parent(db, user_id, parent_id) if parent_id else None
    references: list[str] = json.loads(parent["refs"]) if parent else []
    return StoredMessage(
        from_email=user.email,
        from_name=" ".join(name for name in (user.first_name, user.last_name) if name),
        sent_at=sent_at,
        message_id=message_id,
        in_reply_to=parent_id,
        references=(*references, parent_id) if parent_id else (),
        to=(*(email.to or ()),),
        cc=(*(email.cc or ()),),
        bcc=(*(email.bcc or ()),),
        subject=email.subject or "",
        body_text=email.body_text,
        body_html=email.body_html,
    )


def _new_message_id(db: Database) -> str:
    return f"<{db.new_id()}@sandbox.salesos.test>"


def _deliver(
    db: Database,
    access: Access,
    user_id: str,
    email: models.SendEmail,
    *,
    id: str,
    message_id: str,
    at: datetime,
    draft_thread: int | None = None,
    request_id: str | None,
) -> models.SendReceipt:
    message = _written(db, access, user_id, email, message_id=message_id, sent_at=at)
    into = email.thread_id
    answers_known = bool(threads.threads_knowing(db.connection, user_id, threads.ids_of(message)))
    if into is None and draft_thread is not None and not answers_known:
        into = thread_id(db, draft_thread)
    filed = file_message(db, user_id, message, into=into, id=id, request_id=request_id)
    blind = replace(message, bcc=())
    for address in dict.fromkeys((*message.to, *message.cc, *message.bcc)):
        recipient = access.user_id(address)
        if recipient not in (None, user_id):
            file_message(db, recipient, blind, request_id=request_id)
    return models.SendReceipt(id=id, thread_id=filed.thread_id, message_id=message_id, status="SENT")


def _draft_thread(db: Database, user_id: str, draft: models.SaveDraft) -> int:
    if draft.thread_id:
        return thread_row(db, user_id, draft.thread_id)
    parent = _parent(db, user_id, bracketed(draft.in_reply_to)) if draft.in_reply_to else None
    return parent["thread_row"] if parent else new_thread(db, user_id, find_folder(db, user_id, "drafts"))


def _remove_draft(db: Database, draft: sqlite3.Row) -> None:
    delete_messages(db, "row", draft["row"])
    db.touched.add(draft["thread_row"])


def _changed(known: sqlite3.Row, given: models.SaveDraft) -> models.SaveDraft:
    """Return the draft `known` with the fields that are `given`."""
    present = models.SaveDraft(
        to=json.loads(known["to_emails"]),
        cc=json.loads(known["cc_emails"]),
        bcc=json.loads(known["bcc_emails"]),
        subject=known["subject"],
        body_text=known["text"],
        body_html=known["html"],
        in_reply_to=known["in_reply_to"],
    )
    return present.model_copy(update={name: getattr(given, name) for name in given.model_fields_set})
