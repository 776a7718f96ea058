"""From rows of the database to the answers of the API. Pure."""

import json
import sqlite3
from typing import Any

from salesos_inbox.contract import models
from salesos_inbox.sandbox.messages import from_millis


def summary(row: sqlite3.Row, links: list[models.CrmLink]) -> models.ThreadSummary:
    """Return a thread as lists show it, from its row (with `folder`) and the records it is linked to."""
    follow_up = row["follow_up_at"]
    return models.ThreadSummary(
        id=row["id"],
        subject=row["subject"],
        snippet=row["snippet"],
        folder=row["folder"],
        participants=json.loads(row["participants"]),
        message_count=row["message_count"],
        is_read=bool(row["is_read"]),
        is_starred=bool(row["is_starred"]),
        has_attachments=bool(row["has_attachments"]),
        last_message_at=from_millis(row["last_message_at"]),
        follow_up=(
            None
            if follow_up is None
            else models.FollowUp(reminder_date=from_millis(follow_up), note=row["follow_up_note"])
        ),
        crm_links=links,
    )


def message(row: sqlite3.Row, attachments: list[models.Attachment], *, with_request_id: bool = False) -> models.Message:
    """Return a message from its row (with `text` and `html`) and its attachments.

    `with_request_id` adds to what the user sent the id of the request that sent it, which the contract does not know.
    """
    at = from_millis(row["at"])
    return models.Message(
        **_request_id(row, with_request_id and row["direction"] == "OUTBOUND"),
        id=row["id"],
        message_id=row["message_id"],
        in_reply_to=row["in_reply_to"],
        references=json.loads(row["refs"]),
        from_email=row["from_email"],
        from_name=row["from_name"] or None,
        to_emails=json.loads(row["to_emails"]),
        cc_emails=json.loads(row["cc_emails"]),
        bcc_emails=json.loads(row["bcc_emails"]),
        subject=row["subject"],
        body_html=row["html"],
        body_text=row["text"],
        direction=row["direction"],
        status=row["status"],
        sent_at=None if row["status"] == "DRAFT" else at,
        received_at=at if row["status"] == "RECEIVED" else None,
        attachments=attachments,
    )


def scheduled(row: sqlite3.Row, *, with_request_id: bool = False) -> models.ScheduledEmail:
    """Return an email that waits for its time, from its row (with `thread_id`); see `message`."""
    email: dict[str, Any] = json.loads(row["email"])
    return models.ScheduledEmail(
        **_request_id(row, with_request_id),
        id=row["id"],
        thread_id=row["thread_id"],
        to=email["to"],
        cc=email["cc"],
        bcc=email["bcc"],
        subject=email["subject"],
        body_text=email["bodyText"],
        scheduled_for=from_millis(row["scheduled_for"]),
        status="SCHEDULED",
    )


def draft(row: sqlite3.Row) -> models.Draft:
    """Return a draft from its message row (with `text`, `html` and `thread_id`)."""
    return models.Draft(
        id=row["id"],
        thread_id=row["thread_id"],
        to=json.loads(row["to_emails"]),
        cc=json.loads(row["cc_emails"]),
        bcc=json.loads(row["bcc_emails"]),
        subject=row["subject"],
        body_html=row["html"],
        body_text=row["text"],
        updated_at=from_millis(row["at"]),
    )


def _request_id(row: sqlite3.Row, wanted: bool) -> dict[str, Any]:
    return {"requestId": row["request_id"]} if wanted else {}
