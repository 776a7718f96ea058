"""One way to change threads: look, do what is needed, believe only what was confirmed, keep the way back."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from anyio.lowlevel import checkpoint

from salesos_inbox import views
from salesos_inbox.approval.card import ThreadLine
from salesos_inbox.approval.ledger import Step
from salesos_inbox.contract import models
from salesos_inbox.errors import InboxError, NotFound, OutcomeUnknown
from salesos_inbox.mail.unicode import one_line
from salesos_inbox.tools._kit import Desk, Effect

BATCH = 100
"""How many threads one request changes."""
_READ_ONE_BY_ONE = 10
"""Up to so many threads are looked at one by one; more are found in the list, a page for a hundred."""

Known = dict[str, models.ThreadSummary]


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

    @property
    def anything_done(self) -> bool:
        """Whether any thread was changed."""
        return any(result.outcome == "done" for result in self.results)

    @property
    def actions_done(self) -> list[str]:
        """The actions that changed any thread."""
        return list(dict.fromkeys(result.action for result in self.results if result.outcome == "done"))

    def add(
        self, action: str, outcome: views.OutcomeName, thread_ids: Iterable[str], reason: str | None = None
    ) -> None:
        """Note the outcome of `thread_ids`, if there are any."""
        ids = list(thread_ids)
        if ids:
            self.results.append(views.StepOutcome(action=action, outcome=outcome, thread_ids=ids, reason=reason))


async def look(desk: Desk, thread_ids: Sequence[str]) -> Known:
    """Return the threads there are among `thread_ids`; what is missing is not in this mailbox."""
    known: Known = {}
    if len(thread_ids) > _READ_ONE_BY_ONE:
        wanted = set(thread_ids)
        for page in range(1, 3 + len(thread_ids) // 20):
            found = await desk.client.list_threads(models.ListThreads(page=page, limit=100))
            known |= {thread.id: thread for thread in found.items if thread.id in wanted}
            if len(found.items) < 100 or wanted <= known.keys():
                break
    missing = [thread_id for thread_id in thread_ids if thread_id not in known]
    return known | await desk.threads(missing)


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
) -> InboxError | None:
    """Do `action` where it is needed and add what became of each thread to `report`.

    Only what the service confirmed, or what a second look shows, counts as done. Returns the error
    that stopped it on the way, None where it came to its end.
    """
    here = [thread_id for thread_id in thread_ids if thread_id in known]
    needed = [thread_id for thread_id in here if not action.holds(known[thread_id])]
    report.add(action.label, "not_found", (thread_id for thread_id in thread_ids if thread_id not in known))
    report.add(action.label, "unchanged", (thread_id for thread_id in here if action.holds(known[thread_id])))
    done: list[str] = []
    stopped: InboxError | None = None
    try:
        for start in range(0, len(needed), BATCH):
            batch = needed[start : start + BATCH]
            await checkpoint()  # the requests are shielded, so that a cancelled call is noticed here alone
            try:
                done += await _change_batch(desk, action, batch, report, request)
            except InboxError as error:
                stopped = error
                report.add(action.label, "failed", needed[start:], str(error))
                break
            if after_batch:
                await after_batch(len(batch))
    finally:  # a call that is cancelled keeps the way back of what it did
        report.add(action.label, "done", done)
        report.steps[:0] = _way_back(action, done, known)
    return stopped


async def _change_batch(desk: Desk, action: Action, batch: list[str], report: Report, request: Request) -> list[str]:
    """Send one request, add what was not done to `report`, and return what was."""
    try:
        result = await request(batch)
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
        seen = await look(desk, unclear)
    except InboxError:
        report.add(action.label, "failed", unclear, _UNKNOWN)
        return confirmed
    shown = [thread_id for thread_id in unclear if thread_id in seen and action.holds(seen[thread_id])]
    report.add(action.label, "not_found", (item for item in unclear if item not in seen))
    report.add(action.label, "failed", (item for item in unclear if item in seen and item not in shown), _UNCONFIRMED)
    return [*confirmed, *shown]


_REFUSED = "SalesOS refused to change it: read the thread before you retry."
_UNCONFIRMED = "SalesOS did not confirm it and the thread does not show it: read the thread before you retry."
_UNKNOWN = "It is not known whether it happened: read the thread before you retry."


def _way_back(action: Action, done: Iterable[str], known: Known) -> list[Step]:
    groups: dict[tuple[str, str | None], list[str]] = {}
    for thread_id in done:
        reverse = action.reverse(known[thread_id])
        if reverse:
            groups.setdefault(reverse, []).append(thread_id)
    return [Step(name, tuple(thread_ids), folder=folder) for (name, folder), thread_ids in groups.items()]


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
