"""What leaves the building, now or at its time, and what is held back. A person approves each."""

from datetime import datetime
from typing import Literal

from salesos_inbox.approval.card import facts_card, local_and_utc, message_card
from salesos_inbox.client.failures import outcome_unknown
from salesos_inbox.contract import models, routes
from salesos_inbox.errors import InvalidArguments, NotFound
from salesos_inbox.mail.unicode import one_line, quoted
from salesos_inbox.tools._args import (
    Body,
    DraftId,
    Recipients,
    ReplyAll,
    ReplyTo,
    ScheduledId,
    When,
    check_id,
    read_when,
)
from salesos_inbox.tools._compose import Composed, Wording, card_recipients, compose, written
from salesos_inbox.tools._kit import Desk, Effect, Inbox, tool
from salesos_inbox.views import EmailCancelled, EmailScheduled, EmailSent, addresses, attachment_names

_SCHEDULED_PAGES = 50
_SENT: dict[str, Literal["sent", "queued"]] = {"SENT": "sent", "DELIVERED": "sent", "QUEUED": "queued", "": "queued"}
"""What a receipt's status means; without one the message was taken, and no more is known."""
_SCHEDULED = frozenset({"SCHEDULED", "QUEUED"})


@tool("Send an email", Effect.SEND, idempotent=False)
async def send_email(
    inbox: Inbox,
    body: Body | None = None,
    to: Recipients | None = None,
    cc: list[str] | None = None,
    bcc: list[str] | None = None,
    subject: str | None = None,
    thread_id: ReplyTo | None = None,
    reply_all: ReplyAll = False,
    draft_id: DraftId | None = None,
) -> EmailSent:
    """Send an email once the user approves it; they are asked by this call. With thread_id it is a reply:
    recipients and subject come from the thread. With draft_id that draft is sent; only what changes need be given."""
    composed = await _approved(inbox, Wording(to, cc, bcc, subject, body, thread_id, reply_all, draft_id), None)
    receipt = await inbox.client.send_email(composed.email())
    status = _SENT.get((receipt.status or "").upper())
    if status is None or _denied(receipt):
        raise outcome_unknown(routes.SEND_EMAIL)
    return EmailSent(
        status=status,
        to=written(composed.to) or [],
        cc=written(composed.cc),
        bcc=written(composed.bcc),
        subject=composed.subject,
        thread_id=receipt.thread_id or composed.thread_id,
    )


@tool("Schedule an email", Effect.SEND, idempotent=False)
async def schedule_email(
    inbox: Inbox,
    send_at: When,
    body: Body | None = None,
    to: Recipients | None = None,
    cc: list[str] | None = None,
    bcc: list[str] | None = None,
    subject: str | None = None,
    thread_id: ReplyTo | None = None,
    reply_all: ReplyAll = False,
    draft_id: DraftId | None = None,
) -> EmailScheduled:
    """Like send_email, but it leaves at send_at."""
    leaves_at = read_when(send_at, inbox.timezone, inbox.now())
    composed = await _approved(inbox, Wording(to, cc, bcc, subject, body, thread_id, reply_all, draft_id), leaves_at)
    receipt = await inbox.client.send_email(composed.email().model_copy(update={"scheduled_for": leaves_at}))
    if not receipt.id or (receipt.status or "SCHEDULED").upper() not in _SCHEDULED or _denied(receipt):
        raise outcome_unknown(routes.SEND_EMAIL)
    times = inbox.times(receipt.scheduled_for or leaves_at)
    return EmailScheduled(
        status="scheduled",
        scheduled_id=receipt.id,
        to=written(composed.to) or [],
        cc=written(composed.cc),
        bcc=written(composed.bcc),
        subject=composed.subject,
        thread_id=receipt.thread_id or composed.thread_id,
        local_time=times.local,
        zone=times.zone,
        utc_time=times.utc,
    )


@tool("Cancel a scheduled message", Effect.DESTROY)
async def cancel_scheduled(inbox: Inbox, scheduled_id: ScheduledId) -> EmailCancelled:
    """Cancel a scheduled message once the user approves; it is then gone."""
    found = await _scheduled(inbox, check_id("scheduled_id", scheduled_id))
    facts = [("To", ", ".join(addresses(found.to) or [])), ("Subject", found.subject or "(none)")]
    if found.scheduled_for:
        facts.append(("Would leave", _in_words(inbox, found.scheduled_for)))
    card = facts_card("Cancel this scheduled email?", "Cancel the email", [*facts, ("Scheduled message", found.id)])
    await inbox.approve(card, Effect.DESTROY)
    await inbox.client.cancel_scheduled(found.id)
    times = inbox.times(found.scheduled_for) if found.scheduled_for else None
    return EmailCancelled(
        status="cancelled",
        scheduled_id=found.id,
        to=addresses(found.to) or [],
        subject=one_line(found.subject, 200),
        local_time=times.local if times else None,
        zone=times.zone if times else None,
        utc_time=times.utc if times else None,
    )


async def _approved(inbox: Desk, wording: Wording, leaves_at: datetime | None) -> Composed:
    """Return the message that `wording` means, once a person has approved that it leaves."""
    composed = await compose(inbox, wording)
    if not composed.recipients:
        raise InvalidArguments("The message has no recipient: give to, or the thread_id of the conversation to answer.")
    if not composed.body.strip():
        raise InvalidArguments("The message has no text: give body.")
    card = message_card(
        recipients=card_recipients(composed, await inbox.own_addresses()),
        subject=composed.subject,
        body=composed.body,
        in_thread=composed.thread.subject if composed.thread else None,
        when=_in_words(inbox, leaves_at) if leaves_at else None,
        attachments=attachment_names(composed.attachments, limit=None) or (),
        unseen="\n".join(str(part) for part in (composed.body_html, composed.thread_id, composed.in_reply_to)),
    )
    await inbox.approve(card, Effect.SEND)
    return composed


def _denied(receipt: models.SendReceipt) -> bool:
    """Return whether a receipt takes itself back, as siblings do with `"success": false`."""
    return (receipt.model_extra or {}).get("success") is False


async def _scheduled(inbox: Desk, scheduled_id: str) -> models.ScheduledEmail:
    for page in range(1, _SCHEDULED_PAGES + 1):
        found = (await inbox.client.list_scheduled(models.ListScheduled(page=page, limit=100))).items
        for item in found:
            if item.id == scheduled_id:
                return item
        if len(found) < 100:
            break
    raise NotFound(
        f"There is no scheduled message {quoted(scheduled_id)}: it may have left; list_scheduled shows the rest."
    )


def _in_words(inbox: Desk, moment: datetime) -> str:
    return local_and_utc(moment, moment.astimezone(inbox.timezone or moment.tzinfo), inbox.zone_name())
