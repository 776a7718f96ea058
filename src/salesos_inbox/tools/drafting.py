"""Writing without sending."""

from salesos_inbox.contract import models
from salesos_inbox.errors import InvalidArguments
from salesos_inbox.tools._args import Addresses, DraftId, ReplyTo
from salesos_inbox.tools._compose import Wording, compose
from salesos_inbox.tools._kit import Effect, Inbox, tool
from salesos_inbox.views import Receipt


@tool("Save a draft", Effect.CHANGE, idempotent=False)
async def save_draft(
    inbox: Inbox,
    body: str | None = None,
    to: Addresses | None = None,
    cc: Addresses | None = None,
    bcc: Addresses | None = None,
    subject: str | None = None,
    thread_id: ReplyTo | None = None,
    reply_all: bool = False,
    draft_id: DraftId | None = None,
) -> Receipt:
    """Save a draft (plain text); nothing is sent. With thread_id it is a reply: recipients and subject
    come from the thread. With draft_id that draft is updated."""
    composed = await compose(inbox, Wording(to, cc, bcc, subject, body, thread_id, reply_all, draft_id))
    if not (composed.body or composed.subject or composed.recipients):
        raise InvalidArguments("The draft is empty: give at least a body, a subject or a recipient.")
    message = composed.email().model_dump(exclude={"draft_id", "scheduled_for"})
    saved = await inbox.client.save_draft(models.SaveDraft.model_validate({**message, "id": composed.draft_id}))
    return Receipt(
        status="draft_saved",
        to=[str(address) for address in composed.to],
        cc=[str(address) for address in composed.cc] or None,
        bcc=[str(address) for address in composed.bcc] or None,
        subject=composed.subject,
        thread_id=saved.thread_id or (composed.thread.id if composed.thread else None),
        draft_id=saved.id or composed.draft_id,
    )
