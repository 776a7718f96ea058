"""Taking a change back."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import cast

from salesos_inbox.approval.card import threads_card
from salesos_inbox.approval.ledger import Step
from salesos_inbox.approval.policy import Decision, decide
from salesos_inbox.contract import models
from salesos_inbox.errors import Conflict, InboxError, NotFound
from salesos_inbox.tools._args import UndoId, check_id
from salesos_inbox.tools._changes import Action, Report, bulk_request, card_lines, change, look
from salesos_inbox.tools._kit import Desk, Effect, Inbox, tool
from salesos_inbox.views import PlanChanges


@tool("Undo a change", Effect.CHANGE)
async def undo_change(inbox: Inbox, undo_id: UndoId) -> PlanChanges:
    """Take back an archive, move, delete, star, read, link or follow-up change; not a draft, a sent or a
    cancelled message."""
    undo_id = check_id("undo_id", undo_id)
    user, ledger = await inbox.user(), inbox.services.ledger
    await _approve(inbox, ledger.read_undo(user, undo_id))
    steps = ledger.take_undo(user, undo_id, inbox.now().timestamp())
    report = Report()
    stopped: InboxError | None = None
    finished = False
    try:
        for step in steps:
            if stopped:
                report.add(step.action, "failed", step.thread_ids, "Not tried, as an earlier step failed.")
            else:
                stopped = await _take_back(inbox, step, report)
        finished = stopped is None
    finally:
        if not finished:
            # Each step states a target, so that what is done already is not harmed by another try.
            ledger.release_undo(user, undo_id)
    if stopped and not report.anything_done:
        raise stopped
    note = "Call undo_change again for what failed." if stopped else None
    return PlanChanges(results=report.results, note=note)


async def _approve(inbox: Desk, steps: list[Step]) -> None:
    """Ask a person where much would be changed back, as for any change of that size."""
    count = sum(len(step.thread_ids) for step in steps)
    if decide(Effect.CHANGE, count) is Decision.ALLOW:
        return
    known = await look(inbox, [thread_id for step in steps for thread_id in step.thread_ids])
    own = await inbox.own_addresses()
    groups = [
        (Action(cast("models.BulkAction", step.action), step.folder).title, card_lines(step.thread_ids, known, own))
        for step in steps
        if step.action not in _SINGLE
    ]
    await inbox.approve(threads_card(f"Change {count} threads back?", "Undo it", groups), Effect.CHANGE, count)


async def _take_back(inbox: Desk, step: Step, report: Report) -> InboxError | None:
    """Carry out one step and add what became of its threads; returns the error that stopped it."""
    if step.action not in _SINGLE:
        action = Action(cast("models.BulkAction", step.action), step.folder)
        try:
            known = await look(inbox, step.thread_ids)
        except InboxError as error:
            report.add(step.action, "failed", step.thread_ids, str(error))
            return error
        return await change(inbox, action, step.thread_ids, known, report, bulk_request(inbox, action))
    if step.remind_at and datetime.fromisoformat(step.remind_at) <= inbox.now():
        report.add(step.action, "failed", step.thread_ids, "The former follow-up's time has passed.")
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


_SINGLE: dict[str, Callable[[Desk, Step], Awaitable[None]]] = {
    "link": _link,
    "unlink": _unlink,
    "set_follow_up": _set_follow_up,
    "remove_follow_up": _remove_follow_up,
}
