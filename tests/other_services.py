"""Two services that say the same as the contract in other words, which the sandbox plays."""

from typing import Final

from pydantic.alias_generators import to_snake

from salesos_inbox.sandbox.spelling import Spelling

SNAKE: Final = Spelling(name=to_snake, envelope="data", wants_csrf=False)
"""Snake case throughout, lists under `data` with `meta`, no CSRF tokens."""

_MESSAGE: Final = {
    "to": "recipients.to[].email",
    "cc": "recipients.cc[].email",
    "bcc": "recipients.bcc[].email",
    "subject": "title",
    "bodyHtml": "content.html",
    "bodyText": "content.text",
    "threadId": "conversationId",
}
_OUTGOING: Final = {**_MESSAGE, "inReplyTo": "headers.inReplyTo", "draftId": "fromDraft"}
_PAGE: Final = {"limit": "pageSize", "cursor": "after"}
_FOLDERS: Final = {name: f"@{name}" for name in ("inbox", "sent", "drafts", "scheduled", "archive", "trash", "spam")}

NESTED: Final = Spelling(
    requests={
        "": {"threadIds": "conversationIds", "isRead": "!unread", "isStarred": "flagged", "folder": "mailbox"},
        "list_threads": {**_PAGE, "from": "sender", "entityType": "record[type]", "entityId": "record[id]"},
        "search_threads": {**_PAGE, "q": "query", "startDate": "since", "endDate": "until"},
        "list_scheduled": _PAGE,
        "send_email": {**_OUTGOING, "scheduledFor": "delivery.at"},
        "save_draft": {**_OUTGOING, "id": "draft"},
        "bulk_threads": {"action": "operation"},
        "link_crm_record": {"entityType": "record.type", "entityId": "record.id"},
        "set_follow_up": {"reminderDate": "due", "note": "text"},
    },
    answers={
        "Folder": {"type": "kind", "unreadCount": "counts.unread", "totalCount": "counts.total"},
        "Participant": {"email": "address"},
        "FollowUp": {"reminderDate": "due", "note": "text"},
        "CrmLink": {"entityType": "record.type", "entityId": "record.id", "name": "record.name"},
        "Attachment": {"filename": "name", "contentType": "mime", "size": "bytes"},
        "Message": {
            "messageId": "headers.messageId",
            "inReplyTo": "headers.inReplyTo",
            "references": "headers.references",
            "fromEmail": "from.email",
            "fromName": "from.name",
            "toEmails": "to[].email",
            "ccEmails": "cc[].email",
            "bccEmails": "bcc[].email",
            "bodyHtml": "content.html",
            "bodyText": "content.text",
            "sentAt": "times.sent",
            "receivedAt": "times.received",
            "attachments": "files",
        },
        "ThreadSummary": {
            "id": "conversationId",
            "subject": "title",
            "snippet": "preview",
            "folder": "mailbox",
            "participants": "people",
            "isRead": "!unread",
            "isStarred": "flagged",
            "lastMessageAt": "times.last",
            "followUp": "reminder",
            "crmLinks": "records",
        },
        "Thread": {"messages": "emails"},
        "SendReceipt": {"threadId": "conversationId", "status": "state", "scheduledFor": "delivery.at"},
        "Draft": {**_MESSAGE, "id": "draft"},
        "ScheduledEmail": {**_MESSAGE, "scheduledFor": "delivery.at"},
        "BulkResult": {"success": "updated", "failed": "skipped"},
        "BulkFailure": {"id": "conversationId", "error": "reason"},
        "User": {"firstName": "name.first", "lastName": "name.last", "email": "address"},
    },
    words={
        "folder": _FOLDERS,
        "type": _FOLDERS,
        "action": {"read": "markRead", "unread": "markUnread", "delete": "toTrash"},
        "direction": {"INBOUND": "incoming", "OUTBOUND": "outgoing"},
        "status": {"SENT": "done", "SCHEDULED": "waiting"},
    },
    paths={"get_me": "/users/me", "refresh_token": "/session/renew"},
    envelope="cursor",
    lists={
        "": {"nextCursor": "paging.after", "hasMore": "paging.more", "total": "paging.total"},
        "list_threads": {"items": "conversations"},
        "search_threads": {"items": "hits"},
        "list_scheduled": {"items": "outbox"},
    },
    item="result",
    wants_csrf=False,
)
"""Objects within objects, switches the other way round, words of its own, lists with a cursor, other paths."""
