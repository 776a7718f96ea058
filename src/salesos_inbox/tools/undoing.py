"""Taking a change back."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import cast

from salesos_inbox.approval.card import Card, facts_card, threads_card
from salesos_inbox.approval.consent import Proposal
from salesos_inbox.approval.ledger import Step
from salesos_inbox.approval.policy import Decision
from salesos_inbox.contract import models
from salesos_inbox.errors import Conflict, InboxError, NotFound
from salesos_inbox.mail.unicode import quoted
from salesos_inbox.tools._args import UndoId, check_id
from salesos_inbox.tools._changes import (
    Action,
    Course,
    Report,
    bulk_request,
    card_lines,
    change,
    look,
    look_for_question,
)
from salesos_inbox.tools._kit import Desk, Effect, Inbox, tool
from salesos_inbox.tools.sending import cancel_message, scheduled_email
from salesos_inbox.views import PlanChanges, StepOutcome


@tool("Undo a change", Effect.CHANGE)
async def undo_change(inbox: Inbox, undo_id: UndoId) -> PlanChanges:
    """Take back an archive, move, delete, star, read, link or follow-up change, or a message that has not left yet."""
    undo_id = check_id("undo_id", undo_id)
    user, ledger = await inbox.user(), inbox.services.ledger
    planned = ledger.read_undo(user, undo_id, inbox.services.seconds())
    course = Course(inbox, sum(len(step.thread_ids) for step in planned))
    proposal = await _proposal(inbox, undo_id, planned, course)
    report = Report()
    stopped: InboxError | None = None
    finished = False
    async with inbox.operation(proposal) as approval:
        if approval.operation_id is not None:
            course.begin(approval.operation_id)
        # Each step states a target, so that what is done already is not harmed by another try. So the undo is used up
        # only when it is through, and one that was killed in the middle can be tried again.
        steps = ledger.read_undo(user, undo_id, inbox.services.seconds())
        if undo_id in inbox.services.undoing:
            raise Conflict("That change is being undone by another call: call again in a minute, or read the threads.")
        inbox.services.undoing.add(undo_id)
        try:
            for step in steps:
                if stopped:
                    report.add(step.action, "failed", step.thread_ids, "Not tried, as an earlier step failed.")
                else:
                    stopped = await _take_back(inbox, step, report, course)
            finished = not any(one.outcome == "failed" and one.reason != _TOO_LATE for one in report.results)
        finally:
            inbox.services.undoing.discard(undo_id)
            with suppress(InboxError):
                if finished:
                    ledger.take_undo(user, undo_id, inbox.services.seconds())
                else:
                    about = {"undo_id": undo_id}
                    ledger.note(user, "not wholly undone", "undo_change", about, inbox.services.seconds())
        if stopped and not report.anything_done:
            raise stopped
    note = None if finished else "Call undo_change again for what failed."
    return PlanChanges(results=report.summary(), note=note)


async def _proposal(inbox: Desk, undo_id: str, steps: list[Step], course: Course) -> Proposal:
    """Return the card for changing threads back, as for any change of that size."""
    count = sum(len(step.thread_ids) for step in steps)
    tools, about = (("undo_change", Effect.CHANGE),), {"undo_id": undo_id, "threads": count}
    if inbox.services.policy.decide("undo_change", Effect.CHANGE, count) is not Decision.ASK:
        return Proposal(tools, Card("", "", content=undo_id), about, count)
    messages = [await scheduled_email(inbox, step.scheduled_id or "") for step in steps if step.scheduled_id]
    if messages:
        facts = [("To", to) for to in messages[0].to] + [("Subject", messages[0].subject or "(none)")]
        return Proposal(tools, facts_card("Take this message back?", "Take it back", facts, undo_id), about, count)
    thread_ids = [thread_id for step in steps for thread_id in step.thread_ids]
    known = await look_for_question(inbox, undo_id, thread_ids, course)
    own = await inbox.own_addresses()
    groups = [(_title(step), step.action, card_lines(step.thread_ids, known, own)) for step in steps]
    card = threads_card(f"Change {count} thread{'s' * (count > 1)} back?", "Undo it", groups)
    return Proposal(tools, replace(card, content=undo_id), about, count)


_TOO_LATE = "The former follow-up's time has passed."


def _title(step: Step) -> str:
    if step.action in _SINGLE_TITLES:
        return _SINGLE_TITLES[step.action]
    return Action(cast("models.BulkAction", step.action), step.folder).title


async def _take_back(inbox: Desk, step: Step, report: Report, course: Course) -> InboxError | None:
    """Carry out one step and add what became of its threads; returns the error that stopped it."""
    if step.scheduled_id:
        reason = await _take_back_message(inbox, step.scheduled_id)
        outcome = StepOutcome(action="take back", outcome="done", thread_ids=list(step.thread_ids), reason=reason)
        report.results.append(outcome)
        return None
    if step.action not in _SINGLE_TITLES:
        action = Action(cast("models.BulkAction", step.action), step.folder)
        so_far = report.count("done", "unchanged", "not_found", "failed")

        async def after_batch(number: int) -> None:
            nonlocal so_far
            so_far += number
            await course.changed(so_far, course.threads)

        try:
            known = await look(inbox, step.thread_ids, seen=partial(course.looked_again, of=course.threads))
        except InboxError as error:
            report.add(step.action, "failed", step.thread_ids, str(error))
            return error
        return await change(inbox, action, step.thread_ids, known, report, bulk_request(inbox, action), after_batch)
    if step.remind_at and datetime.fromisoformat(step.remind_at) <= inbox.now():
        report.add(step.action, "failed", step.thread_ids, _TOO_LATE)
        return None
    try:
        await _SINGLE[step.action](inbox, step)
        report.add(step.action, "done", step.thread_ids)
    except Conflict:
        report.add(step.action, "unchanged", step.thread_ids)
    except NotFound:
        report.add(step.action, "not_found", step.thread_ids)
    except InboxError as error:
        report.add(step.action, "failed", step.thread_ids, str(error))
        return error
    return None


async def _link(inbox: Desk, step: Step) -> None:
    record_type = cast("models.EntityType", step.record_type)
    await inbox.client.link_crm_record(step.thread_ids[0], record_type, step.record_id or "")


async def _unlink(inbox: Desk, step: Step) -> None:
    await inbox.client.unlink_crm_record(step.thread_ids[0], step.record_type or "", step.record_id or "")


async def _set_follow_up(inbox: Desk, step: Step) -> None:
    reminder_date = datetime.fromisoformat(step.remind_at or "")
    await inbox.client.set_follow_up(
        step.thread_ids[0], models.SetFollowUp(reminder_date=reminder_date, note=step.note)
    )


async def _remove_follow_up(inbox: Desk, step: Step) -> None:
    await inbox.client.remove_follow_up(step.thread_ids[0])


async def _take_back_message(inbox: Desk, scheduled_id: str) -> str:
    """Cancel a message that waits for its moment, keep it as a draft, and say so.

    Raises `Conflict` where it has left.
    """
    try:
        waiting = await scheduled_email(inbox, scheduled_id)
        await cancel_message(inbox, waiting)
    except (Conflict, NotFound) as error:
        raise Conflict(
            "Too late, nothing was taken back: the message has left or was cancelled; list_threads folder=sent shows "
            "what has left."
        ) from error
    draft = models.SaveDraft(
        to=waiting.to, cc=waiting.cc, bcc=waiting.bcc, subject=waiting.subject, body_text=waiting.body_text,
        thread_id=waiting.thread_id,
    )  # fmt: skip
    try:
        saved = await inbox.client.save_draft(draft)
    except InboxError:
        return "It did not leave, but could not be kept as a draft: save it again with save_draft."
    if waiting.body_text is None:
        return f"It did not leave; draft {quoted(saved.id, 100)} lacks its text, which SalesOS does not show: write it."
    return f"It did not leave; its text is kept as draft {quoted(saved.id, 100)}, without formatting or files."


_SINGLE_TITLES = {
    "link": "Link the CRM record again",
    "unlink": "Unlink the CRM record",
    "set_follow_up": "Set the former reminder again",
    "remove_follow_up": "Remove the reminder",
}
_SINGLE: dict[str, Callable[[Desk, Step], Awaitable[None]]] = {
    "link": _link,
    "unlink": _unlink,
    "set_follow_up": _set_follow_up,
    "remove_follow_up": _remove_follow_up,
}
