"""One way to change threads: look, do what is needed, believe only what was confirmed, keep the way back."""

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from anyio.lowlevel import checkpoint

from salesos_inbox import views
from salesos_inbox.approval.card import ThreadLine
from salesos_inbox.approval.ledger import Step
from salesos_inbox.client.calling import on_wait
from salesos_inbox.contract import models
from salesos_inbox.errors import ContractBroken, InboxError, InvalidArguments, NotFound, OutcomeUnknown, RateLimited
from salesos_inbox.mail.unicode import one_line
from salesos_inbox.tools._kit import Desk, Effect

BATCH = 100
"""How many threads one request changes."""
_READ_ONE_BY_ONE = 10
"""Up to so many threads are looked at one by one; more are found in lists, a page for a hundred."""
_PAGE = 100
_IDLE_PAGES = 3
"""So many pages of a list may find less than a thread each before the rest is read one by one."""
_IDLE_PAGES_FOR_ONE = 10
"""So many, where a thread cannot be read."""
_LISTED: Mapping[views.OutcomeName, int] = {"done": 25, "unchanged": 25}
"""Up to so many threads that fared as was wished are named in an answer; more are counted."""
_LISTED_AT_MOST = 100
"""So many of the others are named before the rest is counted."""

_AnswerT = TypeVar("_AnswerT")
Known = Mapping[str, models.ThreadSummary]
Seen = Callable[[int], Awaitable[None]]
"""Told how many threads were looked at so far."""


@dataclass(frozen=True)
class Action:
    """A change of threads. `folder` is where they go, for `move` alone; `folder_name` is what the user calls it."""

    name: models.BulkAction
    folder: str | None = None
    folder_name: str | None = None

    @property
    def label(self) -> str:
        """The action in an answer's words."""
        return f"{self.name} to {self.folder_name or self.folder}" if self.folder else self.name

    @property
    def key(self) -> str:
        """What stands for the action in an approval: names of folders are not unique, their ids are."""
        return f"{self.name}:{self.folder}" if self.folder else self.name

    @property
    def title(self) -> str:
        """The action in a person's words."""
        return f"{_TITLES[self.name]} {self.folder_name or self.folder}" if self.folder else _TITLES[self.name]

    @property
    def tools(self) -> tuple[tuple[str, Effect], ...]:
        """The tools that do this, with what they do, whose policies it falls under."""
        effect = Effect.DESTROY if self.name == "delete" else Effect.CHANGE
        archives = self.name == "move" and "archive" in self.targets
        return ((_TOOLS[self.name], effect), *((("archive_threads", effect),) if archives else ()))

    def holds(self, thread: models.ThreadSummary) -> bool:
        """Return whether `thread` is already as this action would leave it."""
        match self.name:
            case "read" | "unread":
                return thread.is_read is (self.name == "read")
            case "star" | "unstar":
                return thread.is_starred is (self.name == "star")
            case _:
                return (thread.folder or "").lower() in self.targets

    @property
    def targets(self) -> set[str]:
        """What the folder that this action leaves a thread in is called, in lower case."""
        known = {"archive": "archive", "delete": "trash"}.get(self.name)
        return {known} if known else {name.lower() for name in (self.folder, self.folder_name) if name}

    def reverse(self, thread: models.ThreadSummary) -> tuple[str, str | None] | None:
        """Return the action and folder that take this back for `thread` as it was.

        None where that is unknown, or would put it into the trash, which needs a person's consent.
        """
        opposite = {"read": "unread", "unread": "read", "star": "unstar", "unstar": "star"}.get(self.name)
        if opposite:
            return opposite, None
        in_trash = (thread.folder or "").lower() == "trash"
        return ("move", thread.folder) if thread.folder and not in_trash else None


_TOOLS: dict[models.BulkAction, str] = {
    "read": "mark_read",
    "unread": "mark_read",
    "star": "star_threads",
    "unstar": "star_threads",
    "archive": "archive_threads",
    "move": "move_threads",
    "delete": "delete_threads",
}
_TITLES: dict[models.BulkAction, str] = {
    "read": "Mark as read",
    "unread": "Mark as unread",
    "star": "Star",
    "unstar": "Take the star from",
    "archive": "Archive",
    "move": "Move to",
    "delete": "Move to the trash",
}


@dataclass
class Report:
    """What became of each thread so far, and the steps that take it back."""

    results: list[views.StepOutcome] = field(default_factory=list[views.StepOutcome])
    steps: list[Step] = field(default_factory=list[Step])
    order: Sequence[str] = ()
    """The actions in the order in which they are answered for."""

    @property
    def anything_done(self) -> bool:
        """Whether any thread was changed."""
        return self.count("done") > 0

    @property
    def actions_done(self) -> list[str]:
        """The actions that changed any thread."""
        return list(dict.fromkeys(result.action for result in self.results if result.outcome == "done"))

    def count(self, *outcomes: views.OutcomeName) -> int:
        """Return how many threads, of all actions together, had one of the outcomes."""
        return sum(len(result.thread_ids) for result in self.results if result.outcome in outcomes)

    def add(
        self, action: str, outcome: views.OutcomeName, thread_ids: Iterable[str], reason: str | None = None
    ) -> None:
        """Note the outcome of `thread_ids`, if there are any."""
        ids = list(thread_ids)
        if ids:
            self.results.append(views.StepOutcome(action=action, outcome=outcome, thread_ids=ids, reason=reason))

    def summary(self) -> list[views.StepOutcome]:
        """Return the results as a model reads them, action by action: those alike together, many of them counted."""
        alike: dict[str, dict[tuple[views.OutcomeName, str | None], list[str]]] = {one: {} for one in self.order}
        for one in self.results:
            alike.setdefault(one.action, {}).setdefault((one.outcome, one.reason), []).extend(one.thread_ids)
        return [
            _row(action, outcome, reason, ids)
            for action, rows in alike.items()
            for (outcome, reason), ids in rows.items()
        ]


def _row(action: str, outcome: views.OutcomeName, reason: str | None, ids: list[str]) -> views.StepOutcome:
    few = _LISTED.get(outcome)
    shown = ids[:_LISTED_AT_MOST] if few is None else ids if len(ids) <= few else []
    count = len(ids) if len(shown) < len(ids) else None
    return views.StepOutcome(action=action, outcome=outcome, thread_ids=shown, count=count, reason=reason)


async def look(desk: Desk, thread_ids: Sequence[str], before: Known | None = None, seen: Seen | None = None) -> Known:
    """Return the threads there are among `thread_ids`; what is missing is not in this mailbox.

    `before` is how they were a while ago, which says where to look first.
    """
    known: dict[str, models.ThreadSummary] = {}
    missing = dict.fromkeys(thread_ids)
    for folder in _likely_folders(before or {}):
        if len(missing) <= _READ_ONE_BY_ONE:
            break
        async for new in _found_in(desk, folder, missing):
            known |= new
            if seen:
                await seen(len(known))
    listed = len(known)

    async def read(number: int) -> None:
        if seen:
            await seen(listed + number)

    try:
        return known | await desk.threads([*missing], read)
    except ContractBroken:  # such as a thread that is too large to be read: a list tells what is needed of it
        for folder in _likely_folders(before or {}):
            async for new in _found_in(desk, folder, missing, _IDLE_PAGES_FOR_ONE if missing else 0):
                known |= new
        return known | await desk.threads([*missing])


def _likely_folders(before: Known) -> list[str | None]:
    """Return where threads are looked for, the likeliest first; None is all but the trash and spam."""
    were = Counter((thread.folder or "").lower() for thread in before.values())
    known = [folder for folder, _ in were.most_common() if folder in _FOLDERS]
    return list(dict.fromkeys([*known, "inbox", None, "trash", "spam"]))


_FOLDERS = frozenset({"inbox", "archive", "sent", "trash", "spam"})
"""Where what others call it is known; a folder of the user is looked through with all."""


async def _found_in(
    desk: Desk, folder: str | None, missing: dict[str, None], patience: int = _IDLE_PAGES
) -> AsyncGenerator[dict[str, models.ThreadSummary]]:
    """Yield those of `missing` that a folder's list shows, page by page, and take them out of it.

    The list is left where the rest of it costs more requests than it saves.
    """
    query = models.ListThreads(folder=folder, limit=_PAGE)
    following: Mapping[str, object] = {"page": 1}
    listed, longest, idle = 0, 0, 0
    for number in range(2, 2 + max(len(missing), patience)):
        try:
            page = await patiently(partial(desk.client.list_threads, query.model_copy(update=following)))
        except (NotFound, InvalidArguments):
            return  # there is no such folder
        new = {thread.id: _placed(thread, folder) for thread in page.items if thread.id in missing}
        for thread_id in new:
            del missing[thread_id]
        if new:
            yield new
        size = len(page.items)
        listed, longest, idle = listed + size, max(longest, size), max(0, idle + 1 - len(new))
        pages_left = None if page.total is None else -(-(page.total - listed) // (size or 1))
        more = page.has_more if pages_left is None else pages_left > 0
        if not (missing and size) or more is False or (more is None and size < longest):
            return
        if idle >= patience and (pages_left is None or 2 * pages_left > len(missing)):
            return
        following = {"cursor": page.next_cursor} if page.next_cursor else {"page": number}


def _placed(thread: models.ThreadSummary, folder: str | None) -> models.ThreadSummary:
    """Return a row of the trash as one that is there, should it not say so: what is there is not deleted again."""
    in_trash = folder == "trash" and not thread.folder
    return thread.model_copy(update={"folder": folder}) if in_trash else thread


async def patiently(send: Callable[[], Awaitable[_AnswerT]]) -> _AnswerT:
    """Send a request, and once more where the service took none for now: the client waits until it does."""
    try:
        return await send()
    except RateLimited:
        return await send()


async def settled(
    desk: Desk,
    thread_id: str,
    request: Awaitable[_AnswerT],
    holds: Callable[[models.Thread], bool],
) -> _AnswerT | None:
    """Send a request that changes one thread; None where no usable answer comes, but the thread shows that it `holds`.

    Where it does not show it the outcome stays unknown, as a slow service may still do it.
    """
    try:
        return await request
    except OutcomeUnknown:
        with suppress(InboxError):
            if holds(await desk.client.get_thread(thread_id)):
                return None
        raise


def needs(action: Action, thread_ids: Iterable[str], known: Known) -> list[str]:
    """Return the threads that `action` would change."""
    return [thread_id for thread_id in thread_ids if thread_id in known and not action.holds(known[thread_id])]


def add_idle(action: Action, thread_ids: Sequence[str], known: Known, report: Report) -> list[str]:
    """Note the threads that there are not, or that are as wanted already, and return the others."""
    here = [thread_id for thread_id in thread_ids if thread_id in known]
    report.add(action.label, "not_found", (thread_id for thread_id in thread_ids if thread_id not in known))
    report.add(action.label, "unchanged", (thread_id for thread_id in here if action.holds(known[thread_id])))
    return needs(action, here, known)


@dataclass
class Course:
    """How far a change is: its threads are looked at, looked at again once a person was asked, and changed."""

    desk: Desk
    threads: int
    """How many are looked at first."""
    operation_id: str | None = None
    """What was approved, None before that, or where nobody is asked."""

    def begin(self, operation_id: str) -> None:
        """Hold the claim of what was approved from now on, however long it takes and its requests wait."""
        self.operation_id = operation_id
        tell = on_wait.get()

        async def wait(seconds: float) -> None:
            self._hold()
            if tell:
                await tell(seconds)

        on_wait.set(wait)

    async def looked(self, number: int) -> None:
        """Tell that so many threads were looked at."""
        await self._tell(0, number, self.threads, "looked at")

    async def looked_again(self, number: int, of: int) -> None:
        """Tell that so many threads were looked at once more."""
        await self._tell(1, number, of, "looked at again")

    async def changed(self, number: int, of: int) -> None:
        """Tell that so many threads were changed, or need not be."""
        await self._tell(2, number, of, "changed")

    async def _tell(self, part: int, number: int, of: int, what: str) -> None:
        self._hold()
        seconds = (of - number) / BATCH * 60 / self.desk.services.settings.requests_per_minute
        message = f"{number:,} of {of:,} threads {what}{_how_long(seconds)}"
        await self.desk.progress((part + number / of) * self.threads, _PARTS * self.threads, message)

    def _hold(self) -> None:
        services = self.desk.services
        if self.operation_id is not None:
            services.ledger.prolong(self.operation_id, services.seconds())


_PARTS = 3


def _how_long(seconds: float) -> str:
    """Return about how much longer it takes, in words; nothing for a few seconds."""
    if seconds < 15:
        return ""
    if seconds < 90:
        return f", about {round(seconds, -1):.0f} seconds to go"
    return f", about {seconds / 60:.0f} minutes to go"


async def look_for_question(desk: Desk, change: Hashable, thread_ids: Sequence[str], course: Course) -> Known:
    """Return the threads as they are, or as the question about `change` showed them that this call answers."""
    looks = desk.services.looks
    if desk.context.request_state and change in looks:
        return looks[change]
    known = looks[change] = await look(desk, thread_ids, seen=course.looked)
    for other in [*looks][:-_LOOKS_KEPT]:
        del looks[other]
    return known


_LOOKS_KEPT = 2


@dataclass
class WayBack:
    """What takes a change back, kept before each of its requests: whatever breaks it off, it can be undone."""

    desk: Desk
    tool: str
    plan: str
    """What stands for exactly this change."""
    about: Mapping[str, object]
    """What the log says of it before it begins."""
    takes_long: bool
    """Whether it takes several requests, so that the log tells of it before the first."""
    _undo_id: str | None = None
    _earlier: tuple[str, Sequence[Step]] | None = None
    """The undo of the part that the same change did before, when it was broken off and nobody was told the id."""
    _is_whole: bool = False

    @property
    def undo_id(self) -> str | None:
        """The id by which all that was done is taken back."""
        return self._undo_id if self._is_whole else None

    async def begin(self) -> None:
        """Look for what the same change did before."""
        services = self.desk.services
        with suppress(InboxError):
            self._earlier = services.ledger.untold_undo(await self.desk.user(), self.plan, services.seconds())

    async def keep(self, steps: Sequence[Step]) -> None:
        """Keep the steps that take back what is done, and what the next request does."""
        if steps:
            what = "changing" if self.takes_long and not self._undo_id else None
            self._is_whole = await self._keep(steps, self.about, what, self.plan)

    async def finish(self, steps: Sequence[Step], about: Mapping[str, object], *, told: bool) -> None:
        """Keep no more than what was done; `told` says that whoever asked for the change gets the id."""
        plan = None if told else self.plan
        if steps:
            self._is_whole |= await self._keep(steps, about, "changed", plan)
        elif self._undo_id:
            self._is_whole &= await self._keep((), self.about, "not changed" if self.takes_long else None, plan)
            self._is_whole &= self._earlier is not None
        elif self._earlier and told:
            self._undo_id, _ = self._earlier
            self._is_whole = await self._keep((), about, None, None)

    async def _keep(
        self, steps: Sequence[Step], about: Mapping[str, object], what: str | None, plan: str | None
    ) -> bool:
        _, earlier = self._earlier or ("", ())
        kept = await self.desk.keep_undo([*steps, *earlier], self.tool, about, what, self._undo_id, plan)
        self._undo_id = kept or self._undo_id
        return kept is not None


Request = Callable[[list[str]], Awaitable[models.BulkResult]]
"""Sends one request for some threads."""
SingleRequest = Callable[[str], Awaitable[models.ThreadSummary]]
"""Sends the request of a single endpoint."""


async def change(
    desk: Desk,
    action: Action,
    thread_ids: Sequence[str],
    known: Known,
    report: Report,
    request: Request,
    after_batch: Callable[[int], Awaitable[None]] | None = None,
    keep: Callable[[Sequence[Step]], Awaitable[None]] | None = None,
) -> InboxError | None:
    """Do `action` where it is needed and add what became of each thread to `report`.

    Only what the service confirmed, or what a second look shows, counts as done. `keep` is told, before each
    request, what takes back all that is done once it is answered. Returns the error that stopped it on the
    way, None where it came to its end.
    """
    needed = add_idle(action, thread_ids, known, report)
    done: list[str] = []
    in_doubt: list[str] = []
    way_back = partial(_way_back, action, known, report.steps.copy())
    stopped: InboxError | None = None
    try:
        for start in range(0, len(needed), BATCH):
            batch = needed[start : start + BATCH]
            await checkpoint()  # the requests are shielded, so that a cancelled call is noticed here alone
            if keep:
                await keep(way_back([*done, *in_doubt, *batch]))
            before = len(in_doubt)
            in_doubt += batch
            try:
                confirmed, in_doubt[before:] = await _change_batch(desk, action, batch, known, report, request)
                done += confirmed
            except InboxError as error:
                stopped = error
                del in_doubt[before:]
                report.add(action.label, "failed", needed[start:], str(error))
                break
            if after_batch:
                await after_batch(len(batch))
    finally:  # a call that is cancelled keeps the way back of what it did, or may have done
        report.add(action.label, "done", done)
        report.steps[:] = way_back([*done, *in_doubt])
    return stopped


async def _change_batch(
    desk: Desk, action: Action, batch: list[str], known: Known, report: Report, request: Request
) -> tuple[list[str], list[str]]:
    """Send one request, add what was not done to `report`, and return what was, and what may have been."""
    try:
        result = await patiently(partial(request, batch))
    except (NotFound, OutcomeUnknown):
        result = models.BulkResult()
    asked, success = set(batch), set(result.success or ())
    refused = {failure.id: failure.error or "" for failure in result.failed if failure.id in asked}
    confirmed = [thread_id for thread_id in batch if thread_id in success and thread_id not in refused]
    missing = [thread_id for thread_id, reason in refused.items() if "not found" in reason.lower()]
    report.add(action.label, "not_found", missing)
    report.add(action.label, "failed", (item for item in refused if item not in missing), _REFUSED)
    unclear = [thread_id for thread_id in batch if thread_id not in success and thread_id not in refused]
    try:
        seen = await look(desk, unclear, known)
    except InboxError:
        report.add(action.label, "failed", unclear, _UNKNOWN)
        return confirmed, unclear
    shown = [thread_id for thread_id in unclear if thread_id in seen and action.holds(seen[thread_id])]
    report.add(action.label, "not_found", (item for item in unclear if item not in seen))
    report.add(action.label, "failed", (item for item in unclear if item in seen and item not in shown), _UNCONFIRMED)
    return [*confirmed, *shown], []


_REFUSED = "SalesOS refused to change it: read the thread before you retry."
_UNCONFIRMED = "SalesOS did not confirm it and does not show it: call again, as what is done is left as it is."
_UNKNOWN = "It is not known whether it happened: read the thread before you retry."


def _way_back(action: Action, known: Known, before: Iterable[Step], done: Iterable[str]) -> list[Step]:
    """Return the steps that take back what `action` has done, and then what was done `before`."""
    groups: dict[tuple[str, str | None], list[str]] = {}
    for thread_id in done:
        reverse = action.reverse(known[thread_id])
        if reverse:
            groups.setdefault(reverse, []).append(thread_id)
    return [*(Step(name, tuple(thread_ids), folder=folder) for (name, folder), thread_ids in groups.items()), *before]


def as_result(action: Action, thread_id: str, thread: models.ThreadSummary) -> models.BulkResult:
    """Return what a single endpoint answered as a bulk one would: confirmed where it shows what was wanted."""
    confirmed = thread.id == thread_id and action.holds(thread)
    return models.BulkResult(success=[thread_id] if confirmed else None)


def bulk_request(desk: Desk, action: Action) -> Request:
    """Return the request of the bulk endpoint for `action`."""

    async def request(thread_ids: list[str]) -> models.BulkResult:
        return await desk.client.bulk_threads(action.name, thread_ids, action.folder)

    return request


def card_lines(thread_ids: Iterable[str], known: Known, own: frozenset[str]) -> list[ThreadLine]:
    """Return the threads as a person recognizes them, those that there are."""
    return [
        ThreadLine(
            thread.id,
            views.people(thread, own, views.person_on_card),
            one_line(thread.subject, views.SUBJECT_CHARACTERS),
        )
        for thread in (known[thread_id] for thread_id in thread_ids if thread_id in known)
    ]
