"""What leaves the building, now or at its time, and what is held back. A person approves each."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import anyio

from salesos_inbox.approval.card import Earlier, facts_card, local_and_utc, message_card, odd_time
from salesos_inbox.approval.consent import Proposal, fingerprint
from salesos_inbox.approval.ledger import LEASE_SECONDS, Operation, State, Step
from salesos_inbox.approval.policy import Decision
from salesos_inbox.client.failures import outcome_unknown
from salesos_inbox.contract import models, routes
from salesos_inbox.errors import Conflict, Expired, InboxError, InvalidArguments, NobodyAsked, NotFound, OutcomeUnknown
from salesos_inbox.mail.unicode import one_line, quoted
from salesos_inbox.tools._args import (
    Body,
    DraftId,
    Recipients,
    ReplyAll,
    ReplyTo,
    ScheduledId,
    SendAgain,
    When,
    check_id,
    read_when,
)
from salesos_inbox.tools._compose import Composed, Wording, compose, draft_files, has_draft
from salesos_inbox.tools._kit import Desk, Effect, Inbox, Services, tool
from salesos_inbox.tools._lookup import SETTLE_SECONDS, Found, Sought, body_digest, look_for
from salesos_inbox.tools._provenance import findings
from salesos_inbox.views import EmailCancelled, EmailScheduled, EmailSent, addresses, attached_files, listed, record

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
    send_again: SendAgain = False,
) -> EmailSent:
    """Send an email; this call asks the user to approve it. With thread_id it is a reply:
    recipients and subject come from the thread. With draft_id that draft is sent; only what changes need be given."""
    wording = Wording(to, cc, bcc, subject, body, thread_id, reply_all, draft_id)
    left = await _leave(inbox, "send_email", wording, None, again=send_again)
    receipt, about = left.receipt, left.about
    status: Literal["sent", "queued", "scheduled", "already_sent"] = receipt["status"]
    return EmailSent(
        status="already_sent" if left.already else status,
        to=listed(about["to"]) or "",
        cc=listed(about.get("cc")),
        bcc=listed(about.get("bcc")),
        subject=about["subject"],
        thread_id=receipt.get("thread_id") or about.get("thread_id"),
        undo_id=left.undo_id,
        note=left.note,
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
    send_again: SendAgain = False,
) -> EmailScheduled:
    """Like send_email, but it leaves at send_at."""
    leaves_at = read_when(send_at, inbox.timezone, inbox.now())
    wording = Wording(to, cc, bcc, subject, body, thread_id, reply_all, draft_id)
    left = await _leave(inbox, "schedule_email", wording, leaves_at, again=send_again)
    receipt, about = left.receipt, left.about
    times = inbox.times(_moment(receipt.get("scheduled_for")) or leaves_at)
    return EmailScheduled(
        status="already_scheduled" if left.already else "scheduled",
        scheduled_id=receipt.get("scheduled_id"),
        to=listed(about["to"]) or "",
        cc=listed(about.get("cc")),
        bcc=listed(about.get("bcc")),
        subject=about["subject"],
        thread_id=receipt.get("thread_id") or about.get("thread_id"),
        local_time=times.local,
        zone=times.zone,
        utc_time=times.utc,
        note=left.note,
    )


@tool("Cancel a scheduled message", Effect.DESTROY)
async def cancel_scheduled(inbox: Inbox, scheduled_id: ScheduledId) -> EmailCancelled:
    """Cancel a scheduled message once the user approves; its text is then lost."""
    found = await scheduled_email(inbox, check_id("scheduled_id", scheduled_id))
    facts = [*(("To", address) for address in found.to), ("Subject", found.subject or "(none)")]
    if found.scheduled_for:
        facts.append(("Would leave", _in_words(inbox, found.scheduled_for)))
    card = facts_card("Cancel this scheduled email?", "Cancel the email", facts, found.id)
    about = {
        "to": [one_line(email, 120) for email in found.to],
        "subject": one_line(found.subject, 200),
        "scheduled_id": found.id,
    }
    async with inbox.operation(Proposal((("cancel_scheduled", Effect.DESTROY),), card, about)):
        await cancel_message(inbox, found)
    times = inbox.times(found.scheduled_for) if found.scheduled_for else None
    return EmailCancelled(
        status="cancelled",
        scheduled_id=found.id,
        to=addresses(found.to) or "",
        subject=one_line(found.subject, 200),
        local_time=times.local if times else None,
        zone=times.zone if times else None,
        utc_time=times.utc if times else None,
    )


async def cancel_message(inbox: Desk, waiting: models.ScheduledEmail) -> None:
    """Cancel a message that waits; where the answer is lost, what waits no more before its time was cancelled."""
    try:
        await inbox.client.cancel_scheduled(waiting.id)
    except OutcomeUnknown:
        try:
            await scheduled_email(inbox, waiting.id)
        except NotFound:
            if waiting.scheduled_for is None or waiting.scheduled_for <= inbox.now():
                raise outcome_unknown(routes.CANCEL_SCHEDULED) from None
        else:
            raise
    await inbox.take_back(waiting.id)


@dataclass(frozen=True)
class _Left:
    """What became of a message: the ledger's `about` and receipt of it, and whether it had left before this call."""

    about: Mapping[str, Any]
    receipt: Mapping[str, Any]
    already: bool = False
    undo_id: str | None = None
    note: str | None = None


async def _leave(inbox: Desk, tool: str, wording: Wording, leaves_at: datetime | None, *, again: bool) -> _Left:
    """Let the message that `wording` means leave, once a person has approved it, and at most once.

    The same content within a day is answered with what became of it, unless the user wants it `again`.
    """
    try:
        composed = await compose(inbox, wording)
    except NotFound as error:
        return await _sent_draft(inbox, wording, error)
    if not composed.recipients:
        raise InvalidArguments("The message has no recipient: give to, or the thread_id of the conversation to answer.")
    if not composed.body.strip():
        raise InvalidArguments("The message has no text: give body.")
    ledger, user, content = inbox.services.ledger, await inbox.user(), composed.content(leaves_at)
    content_id = fingerprint(tool, content)
    earlier = await settled(inbox.services, ledger.attempted(user, content_id, inbox.services.seconds()))
    if earlier is None:
        alike = _alike(composed, ledger.doubtful(user, body_digest(composed.body)))
        found = await settled(inbox.services, alike)
        earlier = found if found and found.state is State.UNKNOWN else None
    if earlier and earlier.state is State.DONE and not again:
        return _already(inbox, earlier)
    if earlier and earlier.state is State.UNKNOWN and not again:
        raise _unknown(inbox, earlier)
    if earlier and (earlier.state is State.CLAIMED or _is_plain_failure(earlier)):
        earlier = None
    proposal = await _proposal(inbox, tool, composed, leaves_at, earlier)
    try:
        async with inbox.operation(proposal, earlier) as approval:
            if approval.earlier:
                return _already(inbox, approval.earlier)
            if leaves_at and leaves_at <= inbox.now():
                raise Expired(
                    "The time to send it at passed while the user decided, and nothing left: give a later one."
                )
            if composed.draft_id and await draft_files(inbox, composed.draft_id) != composed.attachments:
                raise Conflict("The draft's files changed while the user was asked, so nothing was sent: call again.")
            key = proposal.about.get("key") or approval.operation_id
            waits = leaves_at or _undo_until(inbox, approval.about)
            approval.receipt |= await _send(inbox, composed, waits, key)
            approval.receipt |= await _way_back(inbox, proposal.about, approval.receipt)
    except NobodyAsked as error:
        raise await _kept_as_draft(inbox, composed, wording, content_id, error) from None
    except OutcomeUnknown:
        attempt = await settled(inbox.services, ledger.attempted(user, content_id, inbox.services.seconds()))
        if attempt is None or attempt.state is not State.DONE:
            raise
        return _left(inbox, attempt.about, attempt.receipt | await _way_back(inbox, attempt.about, attempt.receipt))
    return _left(inbox, proposal.about, approval.receipt)


async def _proposal(
    inbox: Desk, tool: str, composed: Composed, leaves_at: datetime | None, earlier: Operation | None
) -> Proposal:
    """Return the card for a message with what the server itself found out about it."""
    known = await findings(inbox, composed)
    local = leaves_at.astimezone(inbox.timezone or leaves_at.tzinfo) if leaves_at else None
    card = message_card(
        recipients=known.recipients,
        subject=composed.subject,
        body=composed.body,
        in_thread=composed.thread.subject if composed.thread else None,
        records=[record(link) for link in composed.thread.crm_links] if composed.thread else (),
        when=_in_words(inbox, leaves_at) if leaves_at else None,
        odd_time=odd_time(local) if local else None,
        undo_seconds=0 if leaves_at else inbox.services.settings.undo_seconds,
        attachments=attached_files(composed.attachments),
        similar=None if earlier else known.similar,
        earlier=_as_earlier(inbox, earlier) if earlier else None,
    )
    about: dict[str, Any] = {
        "to": [address.email for address in composed.to],
        "cc": [address.email for address in composed.cc] or None,
        "bcc": [address.email for address in composed.bcc] or None,
        "subject": composed.subject,
        "thread_id": composed.thread_id,
        "draft_id": composed.draft_id,
        "scheduled_for": leaves_at.isoformat() if leaves_at else None,
        "undo_seconds": 0 if leaves_at else inbox.services.settings.undo_seconds,
        "attachments": attached_files(composed.attachments) or None,
        "body_digest": body_digest(composed.body),
    }
    if (
        earlier
        and earlier.state is not State.DONE
        and earlier.fingerprint == fingerprint(tool, composed.content(leaves_at))
    ):
        about["key"] = _key(earlier)  # a service that knows it sends the message once
    return Proposal(
        ((tool, Effect.SEND),),
        replace(card, content=composed.content(leaves_at)),
        about,
        recipients=tuple(address.email for _, address in composed.recipients),
        once=True,
    )


async def _send(inbox: Desk, composed: Composed, leaves_at: datetime | None, key: str | None) -> dict[str, Any]:
    """Send or schedule an approved message, and return its receipt.

    Raises `OutcomeUnknown` where no usable answer came and the message is not to be found either.
    """
    email = composed.email()
    if leaves_at is not None:
        email = email.model_copy(update={"scheduled_for": leaves_at})
    receipt = await inbox.client.send_email(email, key)
    status = (receipt.status or ("SCHEDULED" if leaves_at else "")).upper()
    if _denied(receipt) or (leaves_at is None and status not in _SENT):
        raise outcome_unknown(routes.SEND_EMAIL)
    if leaves_at is not None and (not receipt.id or status not in _SCHEDULED):
        raise outcome_unknown(routes.SEND_EMAIL)
    return {
        "status": "scheduled" if leaves_at else _SENT[status],
        "thread_id": receipt.thread_id,
        "scheduled_id": receipt.id if leaves_at else None,
        "scheduled_for": (receipt.scheduled_for or leaves_at).isoformat() if leaves_at else None,
        "message_ids": [item for item in (receipt.id, receipt.message_id) if item],
    }


def _undo_until(inbox: Desk, about: Mapping[str, Any]) -> datetime | None:
    """Return until when a message can be taken back, by the seconds that its card named; None where it named none."""
    seconds = about.get("undo_seconds")
    return inbox.now() + timedelta(seconds=seconds) if seconds else None


def _alike(composed: Composed, doubtful: list[Operation]) -> Operation | None:
    """Return the newest of these attempts at the same text that was to reach one of the same people."""
    people = {address.email.casefold() for _, address in composed.recipients}

    def reached(about: Mapping[str, Any]) -> set[str]:
        return {email.casefold() for kind in ("to", "cc", "bcc") for email in about.get(kind) or ()}

    return next((attempt for attempt in doubtful if people & reached(attempt.about)), None)


async def _way_back(inbox: Desk, about: Mapping[str, Any], receipt: Mapping[str, Any]) -> dict[str, Any]:
    """Return the undo_id that takes a message back which waits for its moment, for its receipt; nothing for another."""
    if receipt["status"] != "scheduled" or about.get("scheduled_for"):
        return {}
    thread_ids = (receipt["thread_id"],) if receipt["thread_id"] else ()
    step = Step("cancel_scheduled", thread_ids, scheduled_id=receipt["scheduled_id"])
    undo_id = await inbox.keep_undo([step], "send_email", {"to": about["to"], "subject": about["subject"]})
    return {"undo_id": undo_id}


def _left(inbox: Desk, about: Mapping[str, Any], receipt: Mapping[str, Any]) -> _Left:
    """Return what became of a message that was sent by this call."""
    if receipt["status"] != "scheduled" or about.get("scheduled_for"):
        return _Left(about, receipt)
    leaves_at = _moment(receipt.get("scheduled_for")) or inbox.now()
    note = f"It leaves in {max(0, round((leaves_at - inbox.now()).total_seconds()))} seconds"
    undo_id = receipt.get("undo_id")
    note += "; until then undo_change takes it back." if undo_id else "."
    return _Left(about, receipt, undo_id=undo_id, note=note)


async def settled(services: Services, operation: Operation | None) -> Operation | None:
    """Return an attempt at a message with its outcome, looked up where it was unknown."""
    if operation is None or operation.state is not State.UNKNOWN or operation.effect != Effect.SEND:
        return operation
    ledger = services.ledger
    known = ledger.known_messages(operation.user)
    found = await look_for(services.client, _sought(operation), known=known, now=services.clock())
    if found.outcome == "unknown":
        return replace(operation, receipt={"saw": found.saw})
    sent = found.outcome != "not_sent"
    receipt = _found_receipt(found) if sent else {"looked_up": True, "saw": found.saw}
    ledger.finish(
        operation.operation_id,
        State.DONE if sent else State.FAILED,
        services.seconds(),
        receipt=receipt,
        what="found sent" if sent else "found not sent",
    )
    return ledger.read(operation.operation_id)


async def settle_unfinished(services: Services) -> None:
    """Look up what was in flight when a server of this user ended; once more when it must have arrived."""
    for wait in (0.0, LEASE_SECONDS + 5, SETTLE_SECONDS + 5):
        await anyio.sleep(wait)
        with suppress(InboxError):
            for operation in services.ledger.unfinished(await services.user(), services.seconds()):
                await settled(services, operation)


async def _sent_draft(inbox: Desk, wording: Wording, error: NotFound) -> _Left:
    """Return what became of a draft that is no longer there because it was sent; raises `error` for another."""
    ledger, user, now = inbox.services.ledger, await inbox.user(), inbox.services.seconds()
    draft_id = (wording.draft_id or "").strip()
    earlier = await settled(inbox.services, ledger.sent_draft(user, draft_id, now)) if draft_id else None
    if earlier and earlier.state is State.DONE:
        return _already(inbox, earlier)
    if earlier and earlier.state is State.UNKNOWN:
        raise _unknown(inbox, earlier)
    raise error


def _sought(operation: Operation) -> Sought:
    about, attempted_at = operation.about, _at(operation)
    undo_seconds = about.get("undo_seconds")
    waits_until = attempted_at + timedelta(seconds=undo_seconds) if undo_seconds else None
    return Sought(
        operation_id=_key(operation),
        to=tuple(about["to"]),
        cc=tuple(about.get("cc") or ()),
        bcc=tuple(about.get("bcc") or ()),
        subject=about["subject"],
        body_digest=about["body_digest"],
        thread_id=about.get("thread_id"),
        scheduled_for=_moment(about.get("scheduled_for")) or waits_until,
        attempted_at=attempted_at,
        draft_id=about.get("draft_id"),
    )


def _key(operation: Operation) -> str:
    """Return what the message was sent under: the first attempt's id, however often it was tried."""
    return operation.about.get("key") or operation.operation_id


def _found_receipt(found: Found) -> dict[str, Any]:
    scheduled = found.outcome == "scheduled"
    return {
        "status": "scheduled" if scheduled else "sent",
        "thread_id": found.thread_id,
        "scheduled_id": found.message_id if scheduled else None,
        "scheduled_for": found.at.isoformat() if scheduled and found.at else None,
        "message_ids": [found.message_id] if found.message_id else [],
    }


def _already(inbox: Desk, operation: Operation) -> _Left:
    """Return what became of a message that was sent before this call."""
    receipt = operation.receipt
    leaves_at, at = _moment(receipt.get("scheduled_for")), inbox.show_time(_at(operation))
    if leaves_at and leaves_at > inbox.now() and (undo_id := receipt.get("undo_id")):
        note = "This very message waits to leave, and nothing was sent now; undo_change takes it back until then."
        return _Left(operation.about, receipt, already=True, undo_id=undo_id, note=note)
    done = "scheduled" if leaves_at and leaves_at > inbox.now() else "sent"
    note = (
        f"This very message was {done} before ({at}), and nothing was sent now. "
        "If the user asks to send it again, call with send_again."
    )
    return _Left(operation.about, receipt, already=True, note=note)


def _unknown(inbox: Desk, operation: Operation) -> OutcomeUnknown:
    saw = operation.receipt.get("saw") or "it could not be looked up"
    return OutcomeUnknown(
        f"This message was tried before ({inbox.show_time(_at(operation))}) and no usable answer came; looking for it, "
        f"{saw}. Nothing was sent now: the same call in a minute looks again; use send_again only if the user wants it "
        "sent all the same."
    )


def _as_earlier(inbox: Desk, operation: Operation) -> Earlier:
    outcome: Literal["sent", "unknown", "not_found"] = (
        "sent" if operation.state is State.DONE else "not_found" if operation.state is State.FAILED else "unknown"
    )
    return Earlier(outcome, f"on {inbox.say_time(_at(operation))}")


def _is_plain_failure(operation: Operation) -> bool:
    """Return whether an attempt failed for a reason that was told: only one that had to be looked up is spoken of."""
    return operation.state is State.FAILED and not operation.receipt.get("looked_up")


async def _kept_as_draft(
    inbox: Desk, composed: Composed, wording: Wording, content_id: str, error: NobodyAsked
) -> NobodyAsked:
    """Return the error with the draft that the message was kept in, so that the user finds it."""
    services, user = inbox.services, await inbox.user()
    if services.settings.read_only or services.policy.decide("save_draft", Effect.CHANGE) is not Decision.ALLOW:
        return error
    try:
        draft_id = services.ledger.kept_draft(user, content_id)
        if composed.draft_id and wording == Wording.of_draft(wording.draft_id):
            draft_id = composed.draft_id
        elif draft_id is None or not await has_draft(inbox, draft_id):
            message = composed.email().model_dump(exclude={"draft_id", "scheduled_for"})
            saved = await inbox.client.save_draft(models.SaveDraft.model_validate(message))
            draft_id = saved.id
            services.ledger.keep_draft(user, content_id, draft_id)
            services.ledger.note(
                user,
                "kept as a draft",
                "save_draft",
                {"draft_id": draft_id, "subject": composed.subject},
                services.seconds(),
            )
    except InboxError:
        return NobodyAsked(f"{error} It could not be kept as a draft either.")
    name = f"draft {quoted(draft_id, 100)}" if draft_id else "a draft"
    return NobodyAsked(f"{error} The message is kept as {name}, which they can send themselves.", draft_id or None)


def _at(operation: Operation) -> datetime:
    return datetime.fromtimestamp(operation.claimed_at or operation.asked_at, UTC)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _denied(receipt: models.SendReceipt) -> bool:
    """Return whether a receipt takes itself back, as siblings do with `"success": false`."""
    return (receipt.model_extra or {}).get("success") is False


async def scheduled_email(inbox: Desk, scheduled_id: str) -> models.ScheduledEmail:
    """Return the scheduled message of that id. Raises `NotFound` where there is none."""
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
