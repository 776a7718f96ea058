"""What leaves the building, now or at its time, and what is held back. A person approves each."""

from datetime import datetime
from typing import Literal

from salesos_inbox.approval.card import facts_card, local_and_utc, message_card
from salesos_inbox.contract import models
from salesos_inbox.errors import InvalidArguments, NotFound
from salesos_inbox.tools._args import Addresses, DraftId, ReplyTo, When, check_id, read_when, show_local
from salesos_inbox.tools._compose import Wording, card_recipients, compose
from salesos_inbox.tools._kit import Desk, Effect, Inbox, tool
from salesos_inbox.views import Receipt, addresses, one_line

_SENT_STATUS: dict[str, Literal["sent", "queued", "scheduled"]] = {"QUEUED": "queued", "SCHEDULED": "scheduled"}
_SCHEDULED_PAGES = 50


@tool("Send an email", Effect.SEND, idempotent=False)
async def send_email(
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
    """Send an email (plain text) once the user approves it; they are asked by this call. With thread_id it is
    a reply: recipients and subject come from the thread. With draft_id that draft is sent."""
    return await _send(inbox, Wording(to, cc, bcc, subject, body, thread_id, reply_all, draft_id), None)


@tool("Schedule an email", Effect.SEND, idempotent=False)
async def schedule_email(
    inbox: Inbox,
    send_at: When,
    body: str | None = None,
    to: Addresses | None = None,
    cc: Addresses | None = None,
    bcc: Addresses | None = None,
    subject: str | None = None,
    thread_id: ReplyTo | None = None,
    reply_all: bool = False,
    draft_id: DraftId | None = None,
) -> Receipt:
    """Like send_email, but it leaves at send_at."""
    leaves_at = read_when(send_at, inbox.timezone, inbox.now())
    return await _send(inbox, Wording(to, cc, bcc, subject, body, thread_id, reply_all, draft_id), leaves_at)


@tool("Cancel a scheduled message", Effect.DESTROY)
async def cancel_scheduled(inbox: Inbox, scheduled_id: str) -> Receipt:
    """Cancel a message of list_scheduled once the user approves; it is then gone."""
    found = await _scheduled(inbox, check_id("scheduled_id", scheduled_id))
    facts = [("To", ", ".join(addresses(found.to) or [])), ("Subject", found.subject or "(none)")]
    if found.scheduled_for:
        facts.append(("Would leave", _in_words(inbox, found.scheduled_for)))
    card = facts_card("Cancel this scheduled email?", "Cancel the email", [*facts, ("Scheduled message", found.id)])
    await inbox.approve(card, Effect.DESTROY)
    await inbox.client.cancel_scheduled(found.id)
    receipt = Receipt(
        status="cancelled", to=addresses(found.to) or [], subject=one_line(found.subject, 200), scheduled_id=found.id
    )
    return receipt.model_copy(update=_times(inbox, found.scheduled_for))


async def _send(inbox: Desk, wording: Wording, leaves_at: datetime | None) -> Receipt:
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
    )
    await inbox.approve(card, Effect.SEND)
    receipt = await inbox.client.send_email(composed.email().model_copy(update={"scheduled_for": leaves_at}))
    answer = Receipt(
        status="scheduled" if leaves_at else _SENT_STATUS.get(receipt.status or "", "sent"),
        to=[str(address) for address in composed.to],
        cc=[str(address) for address in composed.cc] or None,
        bcc=[str(address) for address in composed.bcc] or None,
        subject=composed.subject,
        thread_id=receipt.thread_id or (composed.thread.id if composed.thread else None),
        scheduled_id=receipt.id if leaves_at else None,
    )
    return answer.model_copy(update=_times(inbox, receipt.scheduled_for or leaves_at))


async def _scheduled(inbox: Desk, scheduled_id: str) -> models.ScheduledEmail:
    for page in range(1, _SCHEDULED_PAGES + 1):
        found = (await inbox.client.list_scheduled(models.ListScheduled(page=page, limit=100))).items
        for item in found:
            if item.id == scheduled_id:
                return item
        if len(found) < 100:
            break
    raise NotFound(
        f"There is no scheduled message {scheduled_id[:60]!r}: it may have left already; list_scheduled shows the rest."
    )


def _in_words(inbox: Desk, moment: datetime) -> str:
    return local_and_utc(moment, moment.astimezone(inbox.timezone or moment.tzinfo), inbox.zone_name())


def _times(inbox: Desk, moment: datetime | None) -> dict[str, str]:
    """Return a receipt's times: local, its zone, and UTC."""
    if moment is None:
        return {}
    return {
        "local_time": inbox.show_time(moment),
        "zone": inbox.zone_name(),
        "utc_time": show_local(moment, None),
    }
