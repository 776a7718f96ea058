"""Writing without sending."""

from dataclasses import replace

from salesos_inbox.approval.card import Provenance, Recipient, message_card
from salesos_inbox.approval.consent import Proposal
from salesos_inbox.contract import models
from salesos_inbox.errors import InvalidArguments, OutcomeUnknown
from salesos_inbox.mail.unicode import one_line
from salesos_inbox.tools._args import Body, DraftId, Recipients, ReplyAll, ReplyTo
from salesos_inbox.tools._compose import Wording, compose, written
from salesos_inbox.tools._kit import Desk, Effect, Inbox, tool
from salesos_inbox.tools._lookup import find_draft
from salesos_inbox.views import ID_CHARACTERS, DraftSaved, listed


@tool("Save a draft", Effect.CHANGE, idempotent=False)
async def save_draft(
    inbox: Inbox,
    body: Body | None = None,
    to: Recipients | None = None,
    cc: list[str] | None = None,
    bcc: list[str] | None = None,
    subject: str | None = None,
    thread_id: ReplyTo | None = None,
    reply_all: ReplyAll = False,
    draft_id: DraftId | None = None,
) -> DraftSaved:
    """Save a draft; nothing is sent. With thread_id it is a reply: recipients and subject come from the thread.
    With draft_id that draft is updated and keeps what is left out."""
    composed = await compose(inbox, Wording(to, cc, bcc, subject, body, thread_id, reply_all, draft_id))
    if not (composed.body or composed.subject or composed.recipients):
        raise InvalidArguments("The draft is empty: give at least a body, a subject or a recipient.")
    message = composed.email().model_dump(exclude={"draft_id", "scheduled_for"})
    draft = models.SaveDraft.model_validate({**message, "id": composed.draft_id})
    card = message_card(
        recipients=[Recipient(kind, address.email, Provenance.UNCHECKED) for kind, address in composed.recipients],
        subject=composed.subject,
        body=composed.body,
        in_thread=composed.thread.subject if composed.thread else None,
    )
    card = replace(
        card,
        title="Save this draft?",
        approve="Save it",
        warnings=(),
        facts=tuple(replace(fact, note="") for fact in card.facts if fact.label != "Leaves"),
        content=f"{composed.draft_id or ''}\n{composed.content(None)}",
    )
    about = {"to": written(composed.to), "subject": composed.subject, "thread_id": composed.thread_id}
    async with inbox.operation(Proposal((("save_draft", Effect.CHANGE),), card, about)):
        saved = await _saved(inbox, draft)
    await inbox.note("draft saved", "save_draft", {**about, "draft_id": saved.id or composed.draft_id})
    return DraftSaved(
        status="draft_saved",
        to=listed(written(composed.to)) or "",
        cc=listed(written(composed.cc)),
        bcc=listed(written(composed.bcc)),
        subject=composed.subject,
        thread_id=saved.thread_id or composed.thread_id,
        draft_id=one_line(saved.id or composed.draft_id or "", ID_CHARACTERS),
    )


async def _saved(inbox: Desk, draft: models.SaveDraft) -> models.Draft:
    """Save a draft. Where no answer comes, it is looked for, so that neither this nor the next call makes another one.

    Raises as the client does.
    """
    content, in_doubt = draft.model_dump_json(), inbox.services.drafts_in_doubt
    found = await find_draft(inbox.client, draft) if content in in_doubt else None
    if found is None:
        try:
            found = await inbox.client.save_draft(draft)
        except OutcomeUnknown:
            found = None if draft.id else await find_draft(inbox.client, draft)
            if found is None:
                in_doubt.add(content)
                raise
    in_doubt.discard(content)
    return found
