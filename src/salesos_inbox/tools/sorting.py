"""Marking, starring, archiving, moving and deleting threads, one, several, or by a whole plan."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from salesos_inbox.approval.card import threads_card
from salesos_inbox.approval.consent import Proposal
from salesos_inbox.contract import models
from salesos_inbox.errors import Conflict, InboxError, InvalidArguments
from salesos_inbox.mail.unicode import quoted
from salesos_inbox.tools._args import Folder, ThreadIds, unique_ids
from salesos_inbox.tools._changes import (
    Action,
    Known,
    Report,
    Request,
    SingleRequest,
    as_result,
    bulk_request,
    card_lines,
    change,
    look,
)
from salesos_inbox.tools._kit import Desk, Effect, Inbox, Place, tool
from salesos_inbox.views import Changes, Outcome, PlanChanges

MOST_PLANNED_THREADS = 1000
"""How many threads a plan may change."""


class PlanStep(BaseModel):
    """One action of a plan."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["read", "unread", "star", "unstar", "archive", "move", "delete"]
    thread_ids: Annotated[list[str], Field(min_length=1)]
    folder: str | None = None


@tool("Mark threads read or unread", Effect.CHANGE)
async def mark_read(inbox: Inbox, thread_ids: ThreadIds, read: bool = True) -> Changes:
    """Mark threads as read, or unread with read=false."""
    return await _sort(
        inbox,
        Action("read" if read else "unread"),
        thread_ids,
        lambda ids: inbox.client.set_read_batch(ids, read),
        lambda thread_id: inbox.client.set_read(thread_id, read),
    )


@tool("Star threads", Effect.CHANGE)
async def star_threads(inbox: Inbox, thread_ids: ThreadIds, starred: bool = True) -> Changes:
    """Star threads, or take the stars away with starred=false."""
    return await _sort(
        inbox,
        Action("star" if starred else "unstar"),
        thread_ids,
        lambda ids: inbox.client.set_star_batch(ids, starred),
        lambda thread_id: inbox.client.set_star(thread_id, starred),
    )


@tool("Archive threads", Effect.CHANGE)
async def archive_threads(inbox: Inbox, thread_ids: ThreadIds) -> Changes:
    """Move threads, wherever they are, into the archive."""
    return await _sort(inbox, Action("archive"), thread_ids, inbox.client.archive_batch, inbox.client.archive_thread)


@tool("Move threads to a folder", Effect.CHANGE)
async def move_threads(inbox: Inbox, thread_ids: ThreadIds, folder: Folder) -> Changes:
    """Move threads to a folder, e.g. back to the inbox. To delete, use delete_threads."""
    target = await _move_target(inbox, folder)
    action = Action("move", target.key, target.name)
    return await _sort(inbox, action, thread_ids, lambda ids: inbox.client.move_batch(ids, target.key))


@tool("Move threads to the trash", Effect.DESTROY)
async def delete_threads(inbox: Inbox, thread_ids: ThreadIds) -> Changes:
    """Move threads to the trash, once the user approves. Threads already there stay."""
    return await _sort(inbox, Action("delete"), thread_ids, inbox.client.delete_batch)


@tool("Carry out a triage plan", Effect.DESTROY, mildest_effect=Effect.CHANGE)
async def bulk_update_threads(inbox: Inbox, plan: list[PlanStep]) -> PlanChanges:
    """Carry out a whole plan over up to 1,000 threads in one call; move needs a folder. Asks the user once if the
    plan deletes or changes more than 25."""
    actions = await _checked(inbox, plan)
    tools = (("bulk_update_threads", Effect.CHANGE), *(tool for action, _ in actions for tool in action.tools))
    async with _approved(inbox, tools, actions) as leave:
        report, count, done, reached = leave.report, sum(len(ids) for _, ids in leave.actions), 0, 0
        stopped: InboxError | None = None

        async def after_batch(number: int) -> None:
            nonlocal done
            done += number
            leave.prolong()
            await inbox.progress(done, count, f"{done} of {count} threads")

        for action, thread_ids in leave.actions:
            if stopped:
                report.add(action.label, "failed", thread_ids, "Not tried, as an earlier step of the plan failed.")
            else:
                request = bulk_request(inbox, action)
                stopped = await change(inbox, action, thread_ids, leave.known, report, request, after_batch)
            reached += len(thread_ids)
            if done < reached:
                await after_batch(reached - done)
        leave.end(stopped)
    return PlanChanges(results=report.results, undo_id=leave.undo_id, note=leave.note)


async def _sort(
    inbox: Desk, action: Action, thread_ids: list[str], batch: Request, single: SingleRequest | None = None
) -> Changes:
    """Do `action`, by the `single` endpoint where there is one and one thread needs it, else by `batch`."""

    async def request(ids: list[str]) -> models.BulkResult:
        if single is None or len(ids) > 1:
            return await batch(ids)
        return as_result(action, ids[0], await single(ids[0]))

    async with _approved(inbox, action.tools, [(action, unique_ids(thread_ids))]) as leave:
        for _, ids in leave.actions:
            leave.end(await change(inbox, action, ids, leave.known, leave.report, request))
    results = [
        Outcome(outcome=one.outcome, thread_ids=one.thread_ids, reason=one.reason) for one in leave.report.results
    ]
    return Changes(results=results, undo_id=leave.undo_id, note=leave.note)


@dataclass
class _Leave:
    """Leave to change threads: the actions that were approved, the threads as they are, and what became of them."""

    inbox: Desk
    tool: str
    operation_id: str | None
    actions: list[tuple[Action, list[str]]]
    known: Known
    report: Report
    undo_id: str | None = None
    note: str | None = None

    def prolong(self) -> None:
        """Say that a long plan is still at work."""
        if self.operation_id is not None:
            self.inbox.services.ledger.prolong(self.operation_id, self.inbox.services.seconds())

    def end(self, stopped: InboxError | None) -> None:
        """Raise what stopped the change where nothing was done before."""
        if stopped and not self.report.anything_done:
            raise stopped

    async def keep_undo(self) -> None:
        """Keep the way back of what was done, or say that there is none."""
        steps = self.report.steps
        about = {"threads": sum(len(step.thread_ids) for step in steps), "action": ", ".join(self.report.actions_done)}
        self.undo_id = await self.inbox.keep_undo(steps, self.tool, about)
        self.note = _NO_UNDO if steps and not self.undo_id else None


_NO_UNDO = "There is no undo_id, as the server cannot keep its ledger: take it back with another change if need be."
_LEFT_OUT = "The user left it out."


@asynccontextmanager
async def _approved(
    inbox: Desk, tools: tuple[tuple[str, Effect], ...], actions: list[tuple[Action, list[str]]]
) -> AsyncGenerator[_Leave]:
    """Enter with the threads as they are once the actions may happen; on the way out their undo is kept.

    A person is asked where something would be deleted or much would be changed; what is already so
    does not count. What changed while they thought is seen: nothing is put into the trash twice.
    Raises `Conflict` where more would happen by then than they were shown.
    """
    wanted = list(dict.fromkeys(thread_id for _, ids in actions for thread_id in ids))
    known = await look(inbox, wanted)
    needed = _needed(actions, known)
    if not needed:
        yield _Leave(inbox, tools[0][0], None, actions, known, Report())
        return
    count = sum(len(ids) for _, ids in needed)
    own = await inbox.own_addresses()
    deleted = sum(len(ids) for action, ids in needed if action.name == "delete")
    threads = f"{count} thread{'s' * (count > 1)}"
    if deleted == count:
        title, approve = f"Move {threads} to the trash?", "Move to the trash"
    else:
        trash = f", {deleted} of them to the trash" if deleted else ""
        title, approve = f"Change {threads} in your mailbox{trash}?", "Make the changes"
    gravest_first = sorted(needed, key=lambda step: step[0].name != "delete")
    groups = [(action.title, action.key, card_lines(ids, known, own)) for action, ids in gravest_first]
    card = threads_card(title, approve, groups)
    about = {"threads": count, "action": ", ".join(action.label for action, _ in needed)}
    async with inbox.operation(Proposal(tools, card, about, count)) as approval:
        if approval.operation_id is not None:
            known = await look(inbox, wanted)
        shown = {(action, thread_id) for action, ids in needed for thread_id in ids}
        if any((action, thread_id) not in shown for action, ids in _needed(actions, known) for thread_id in ids):
            raise Conflict("The mailbox changed while the user was asked, so nothing was done: call again.")
        leave = _Leave(inbox, tools[0][0], approval.operation_id, [], known, Report())
        for action, ids in actions:
            left_out = {item for item in ids if (action, item) in shown and not approval.covers(f"{action.key} {item}")}
            leave.report.add(action.label, "unchanged", (item for item in ids if item in left_out), _LEFT_OUT)
            leave.actions.append((action, [item for item in ids if item not in left_out]))
        approval.receipt["threads"] = sum(len(ids) for _, ids in _needed(leave.actions, known))
        try:
            yield leave
        finally:
            await leave.keep_undo()


def _needed(actions: list[tuple[Action, list[str]]], known: Known) -> list[tuple[Action, list[str]]]:
    """Return the actions that have something to do, with the threads that they would change."""
    needed = (
        (action, [item for item in ids if item in known and not action.holds(known[item])]) for action, ids in actions
    )
    return [(action, ids) for action, ids in needed if ids]


async def _move_target(inbox: Desk, folder: str) -> Place:
    target = await inbox.place(folder)
    if target.key in {"trash", "sent", "drafts", "scheduled"}:
        remedy = (
            "use delete_threads" if target.key == "trash" else "choose inbox, archive, spam or a folder of the user"
        )
        raise InvalidArguments(f"Threads cannot be moved to {target.key}: {remedy}.")
    return target


_EXCLUSIVE = ({"read", "unread"}, {"star", "unstar"}, {"archive", "move", "delete"})


async def _checked(inbox: Desk, plan: list[PlanStep]) -> list[tuple[Action, list[str]]]:
    """Return the plan's actions with their threads; raises `InvalidArguments` where it contradicts itself."""
    if not plan:
        raise InvalidArguments("The plan is empty: give at least one step with an action and thread_ids.")
    if sum(len(step.thread_ids) for step in plan) > MOST_PLANNED_THREADS:
        raise InvalidArguments(f"The plan holds more than {MOST_PLANNED_THREADS} threads: split it into several calls.")
    actions: list[tuple[Action, list[str]]] = []
    for step in plan:
        if (step.folder is not None) != (step.action == "move"):
            raise InvalidArguments("folder goes with the action move, and only with it: correct that step.")
        target = await _move_target(inbox, step.folder) if step.folder is not None else Place("", "")
        actions.append((Action(step.action, target.key or None, target.name or None), unique_ids(step.thread_ids)))
    for kind in _EXCLUSIVE:
        planned: dict[str, Action] = {}
        for action, thread_ids in actions:
            for thread_id in thread_ids if action.name in kind else ():
                other = planned.setdefault(thread_id, action)
                if other != action:
                    raise InvalidArguments(
                        f"The plan says both {other.title!r} and {action.title!r} for thread {quoted(thread_id)}: "
                        "keep one."
                    )
    merged: dict[Action, dict[str, None]] = {}
    for action, thread_ids in actions:
        merged.setdefault(action, {}).update(dict.fromkeys(thread_ids))
    return [(action, list(thread_ids)) for action, thread_ids in merged.items()]
