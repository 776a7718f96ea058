"""Marking, starring, archiving, moving and deleting threads, one, several, or by a whole plan."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Annotated, Literal

from anyio import current_effective_deadline
from pydantic import BaseModel, ConfigDict, Field

from salesos_inbox.approval.card import threads_card
from salesos_inbox.approval.consent import Proposal, fingerprint
from salesos_inbox.contract import models
from salesos_inbox.errors import InboxError, InvalidArguments
from salesos_inbox.mail.unicode import quoted
from salesos_inbox.tools._args import Folder, ThreadIds, unique_ids
from salesos_inbox.tools._changes import (
    BATCH,
    Action,
    Course,
    Known,
    Report,
    Request,
    SingleRequest,
    WayBack,
    add_idle,
    as_result,
    bulk_request,
    card_lines,
    change,
    look,
    look_for_question,
    needs,
)
from salesos_inbox.tools._kit import Desk, Effect, Inbox, Place, tool
from salesos_inbox.views import Changes, Outcome, PlanChanges

MOST_PLANNED_THREADS = 5000
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
    """Carry out a whole plan over up to 5,000 threads in one call; move needs a folder. Asks the user once if the
    plan deletes or changes more than 25."""
    actions = await _checked(inbox, plan)
    tools = (("bulk_update_threads", Effect.CHANGE), *(tool for action, _ in actions for tool in action.tools))
    async with _approved(inbox, tools, actions) as leave:
        stopped = await _carry_out(leave, partial(bulk_request, inbox))
    note = " ".join(filter(None, (leave.note, _GO_ON if stopped else None)))
    return PlanChanges(results=leave.report.summary(), undo_id=leave.way_back.undo_id, note=note or None)


async def _sort(
    inbox: Desk, action: Action, thread_ids: list[str], batch: Request, single: SingleRequest | None = None
) -> Changes:
    """Do `action`, by the `single` endpoint where there is one and one thread needs it, else by `batch`."""

    async def request(ids: list[str]) -> models.BulkResult:
        if single is None or len(ids) > 1:
            return await batch(ids)
        return as_result(action, ids[0], await single(ids[0]))

    async with _approved(inbox, action.tools, [(action, unique_ids(thread_ids))]) as leave:
        await _carry_out(leave, lambda _: request)
    results = [
        Outcome(outcome=one.outcome, thread_ids=one.thread_ids, reason=one.reason) for one in leave.report.results
    ]
    return Changes(results=results, undo_id=leave.way_back.undo_id, note=leave.note)


@dataclass
class _Leave:
    """Leave to change threads: the actions that were approved, the threads as they are, and what became of them."""

    inbox: Desk
    course: Course
    report: Report
    actions: list[tuple[Action, list[str]]]
    known: Known
    way_back: WayBack

    @property
    def note(self) -> str | None:
        """What is to be said where there is no way back."""
        return _NO_UNDO if self.report.steps and not self.way_back.undo_id else None

    @asynccontextmanager
    async def taken(self) -> AsyncGenerator[None]:
        """Keep, on the way out, the way back of what was done within."""
        await self.way_back.begin()
        told, report = False, self.report
        try:
            yield
            told = current_effective_deadline() > -inf  # a call that is cancelled by now gets no answer
        finally:
            about = {"threads": report.count("done"), "action": ", ".join(report.actions_done)}
            await self.way_back.finish(report.steps, about, told=told)


def _so_far(done: int, of: int) -> str:
    """Return what a log says of a change that did not go all the way; nothing of another."""
    return f"{done:,} of {of:,} threads were changed" if done < of else ""


_NO_UNDO = "There is no undo_id, as the server cannot keep its ledger: take it back with another change if need be."
_LEFT_OUT = "The user left it out."
_NOT_TRIED = "Not tried, as an earlier step of the plan failed."
_GO_ON = "To go on, give the same plan again: what is done stays as it is."


async def _carry_out(leave: _Leave, request_of: Callable[[Action], Request]) -> InboxError | None:
    """Do what was approved, and return what stopped it on the way; raises that where nothing was done before."""
    count, done, reached = sum(len(ids) for _, ids in leave.actions), 0, 0
    stopped: InboxError | None = None

    async def after_batch(number: int) -> None:
        nonlocal done
        done += number
        await leave.course.changed(done, count)

    for action, thread_ids in leave.actions:
        if stopped:
            leave.report.add(action.label, "failed", thread_ids, _NOT_TRIED)
            continue
        request, keep = request_of(action), leave.way_back.keep
        stopped = await change(leave.inbox, action, thread_ids, leave.known, leave.report, request, after_batch, keep)
        reached += len(thread_ids)
        if done < reached and not stopped:
            await after_batch(reached - done)
    if stopped and not leave.report.anything_done:
        raise stopped
    return stopped


@asynccontextmanager
async def _approved(
    inbox: Desk, tools: tuple[tuple[str, Effect], ...], actions: list[tuple[Action, list[str]]]
) -> AsyncGenerator[_Leave]:
    """Enter with the threads as they are once the actions may happen; on the way out their undo is kept.

    A person is asked where something would be deleted or much would be changed; what is already so
    does not count. What they were shown is looked at again before it is changed: nothing is put into the
    trash twice. What they were not shown is left alone, whatever became of it by then.
    """
    wanted = list(dict.fromkeys(thread_id for _, ids in actions for thread_id in ids))
    course, report = Course(inbox, len(wanted)), Report(order=[action.label for action, _ in actions])
    known = await look_for_question(inbox, tuple((action, tuple(ids)) for action, ids in actions), wanted, course)
    needed = {action: add_idle(action, ids, known, report) for action, ids in actions}
    count = sum(map(len, needed.values()))
    steps = [(action, ids) for action, ids in needed.items() if ids]
    about = {"threads": count, "action": ", ".join(action.label for action, _ in steps)}
    tool, plan = tools[0][0], json.dumps([(action.key, ids) for action, ids in actions])
    takes_long = sum(-(-len(ids) // BATCH) for ids in needed.values()) > 1
    way_back = WayBack(inbox, tool, fingerprint(tool, plan), about, takes_long)
    leave = _Leave(inbox, course, report, [], known, way_back)
    if not count:
        async with leave.taken():
            yield leave
        return
    own = await inbox.own_addresses()
    deleted = sum(len(ids) for action, ids in needed.items() if action.name == "delete")
    changed = f"{count:,} thread{'s' * (count > 1)}"
    if deleted == count:
        title, approve = f"Move {changed} to the trash?", "Move to the trash"
    else:
        trash = f", {deleted:,} of them to the trash" if deleted else ""
        title, approve = f"Change {changed} in your mailbox{trash}?", "Make the changes"
    gravest_first = sorted(steps, key=lambda step: step[0].name != "delete")
    groups = [(action.title, action.key, card_lines(ids, known, own)) for action, ids in gravest_first]
    card = threads_card(title, approve, groups)
    async with inbox.operation(Proposal(tools, card, about, count)) as approval:
        approval.receipt["note"] = _so_far(0, count)
        for action, ids in steps:
            left_out = {item for item in ids if not approval.covers(f"{action.key} {item}")}
            report.add(action.label, "unchanged", (item for item in ids if item in left_out), _LEFT_OUT)
            leave.actions.append((action, [item for item in ids if item not in left_out]))
        if approval.operation_id is not None:
            course.begin(approval.operation_id)
            shown = list(dict.fromkeys(item for _, ids in leave.actions for item in ids))
            again = partial(course.looked_again, of=len(shown))
            leave.known = await look(inbox, shown, {item: known[item] for item in shown}, again)
        threads = sum(len(needs(action, ids, leave.known)) for action, ids in leave.actions)
        approval.receipt["threads"] = threads
        try:
            async with leave.taken():
                yield leave
        finally:
            approval.receipt["note"] = _so_far(report.count("done"), threads)


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
        raise InvalidArguments(
            f"The plan holds more than {MOST_PLANNED_THREADS:,} threads: split it into several calls."
        )
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
