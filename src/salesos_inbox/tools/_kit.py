"""What a tool is, and what is put into its hands.

A tool is a plain async function: its name, docstring, annotated parameters and return type are the
tool. `@tool` adds a title and an effect; hints, consent, manifest and README follow from them. The
`Inbox` parameter is injected and never seen by the model.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol, cast

import anyio
from mcp.server.mcpserver import Context, Resolve

from salesos_inbox.approval.ledger import Ledger, Step
from salesos_inbox.approval.policy import Effect, Policy, read_rules
from salesos_inbox.client.calling import calling, on_pause, on_wait
from salesos_inbox.errors import InboxError, InvalidArguments, NotFound, RateLimited, Refused, Unauthorized, Unavailable
from salesos_inbox.mail.unicode import one_line, quoted
from salesos_inbox.settings import Settings
from salesos_inbox.tools._args import show_local

if TYPE_CHECKING:
    from collections.abc import Sequence

    from salesos_inbox.approval.consent import Approval, Consent, Proposal
    from salesos_inbox.approval.ledger import Operation
    from salesos_inbox.approval.page import ApprovalPage
    from salesos_inbox.client.http import InboxClient
    from salesos_inbox.contract import models

MOST_AT_ONCE = 6
"""How many threads are read at the same time."""

__all__ = ["Effect", "Inbox", "InboxTool", "Services", "tool"]


@dataclass(frozen=True)
class InboxTool:
    """A tool as it stands in the catalogue."""

    run: Callable[..., Awaitable[object]]
    title: str
    effect: Effect
    """The gravest that it can have."""
    idempotent: bool
    mildest_effect: Effect
    """The mildest: a plan need not delete, so that it is of use where deleting is forbidden."""

    @property
    def name(self) -> str:
        """The name the model calls it by."""
        return self.run.__name__

    @property
    def description(self) -> str:
        """The docstring, as the model reads it."""
        return " ".join((self.run.__doc__ or "").split())

    @property
    def group(self) -> str:
        """The module it lives in, by which `--tools` selects it."""
        return self.run.__module__.rpartition(".")[2]


def tool(
    title: str, effect: Effect, *, idempotent: bool = True, mildest_effect: Effect | None = None
) -> Callable[[Callable[..., Awaitable[object]]], InboxTool]:
    """Mark a function as a tool. `idempotent` says that repeating a call changes nothing more."""

    def mark(run: Callable[..., Awaitable[object]]) -> InboxTool:
        return InboxTool(run, title, effect, idempotent, mildest_effect or effect)

    return mark


@dataclass
class Services:
    """What one server works with: settings, the API client, the ledger, the clock, and how a browser is opened."""

    settings: Settings
    open_client: Callable[[], InboxClient]
    ledger: Ledger = field(default_factory=Ledger)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    state_key: bytes | None = None
    """Seals what a question carries; None is a key of this process alone."""
    open_browser: Callable[[str], bool] | None = None
    """Shows an address to the user; None is the system's own way."""
    kept: dict[str, tuple[float, models.Thread]] = field(default_factory=dict[str, "tuple[float, models.Thread]"])
    """Threads that were read for a list, and when (unix seconds); see `Desk.threads_of`."""
    looks: dict[Hashable, Mapping[str, models.ThreadSummary]] = field(
        default_factory=dict[Hashable, "Mapping[str, models.ThreadSummary]"]
    )
    """Threads as the newest questions showed them, by what is to be done with them."""
    sent: tuple[float, Mapping[str, frozenset[str]]] | None = None
    """Who takes part in the newest threads that the user wrote in, and when (unix seconds) that was asked."""
    drafts_in_doubt: set[str] = field(default_factory=set[str])
    """Drafts (JSON) whose saving got no answer, and which were not found yet."""
    undoing: set[str] = field(default_factory=set[str])
    """What is being undone at the moment, by its undo_id."""
    _client: InboxClient | None = None
    _me: models.User | None = None
    _page: ApprovalPage | None = None

    @property
    def client(self) -> InboxClient:
        """The API client, made when first used."""
        if self._client is None:
            self._client = self.open_client()
        return self._client

    async def me(self) -> models.User:
        """Return the user behind the token, asked for once.

        A service that does not tell (404, or a key without the scope) gives a user without an address.
        """
        from salesos_inbox.contract import models

        if self._me is None:
            try:
                self._me = await self.client.get_me()
            except (NotFound, Refused):
                self._me = models.User()
            except Unauthorized:
                return models.User()
        return self._me

    async def user(self) -> str:
        """Return who the ledger's entries belong to: a user at a service."""
        me = await self.me()
        settings = self.settings
        if me.email or me.id:
            return f"{me.email or me.id} at {settings.host}"
        credential = settings.api_key or _subject(settings.token or "")
        return f"account {hashlib.sha256(credential.encode()).hexdigest()[:12]} at {settings.host}"

    def seconds(self) -> float:
        """Return the time in unix seconds."""
        return self.clock().timestamp()

    @cached_property
    def policy(self) -> Policy:
        """What the operator allows. Raises `InvalidArguments` for settings that name what there is not."""
        from salesos_inbox.tools.catalogue import CATALOGUE

        settings = self.settings
        return Policy(
            read_rules(settings.policy, {tool.name: tool.mildest_effect for tool in CATALOGUE}),
            settings.allowed_recipients,
            settings.most_recipients,
            settings.messages_per_hour,
        )

    @cached_property
    def consent(self) -> Consent:
        """How a person's consent is come by."""
        from salesos_inbox.approval.consent import Consent
        from salesos_inbox.approval.ladder import Ladder

        settings = self.settings
        if settings.browser and settings.approval in ("auto", "page"):
            from salesos_inbox.approval.page import ApprovalPage, open_browser

            self._page = ApprovalPage(self.ledger, clock=self.seconds, open_browser=self.open_browser or open_browser)
        ladder = Ladder(self.ledger, settings.approval_seconds, self.seconds, settings.approval, self._page)
        return Consent(self.ledger, self.policy, ladder, self.seconds)

    async def close(self) -> None:
        """Close the connections, the page and the ledger."""
        if self._page is not None:
            self._page.close()
        self.ledger.close()
        if self._client is not None:
            await self._client.__aexit__()


@dataclass(frozen=True)
class Place:
    """A folder: `key` is what requests call it, `name` what the user does."""

    key: str
    name: str


class Times(NamedTuple):
    """A time in the user's zone, that zone, and the time in UTC."""

    local: str
    zone: str
    utc: str


@dataclass
class Progress:
    """How far a call is, as its client is told; the protocol wants every report to be beyond the one before.

    Source: the MCP specification, "Progress".
    """

    context: Context[Any, Any]
    done: float = 0.0
    total: float | None = None

    async def tell(self, done: float, total: float | None, message: str) -> None:
        """Tell the client, where it asked for that, that `done` of `total` is behind us."""
        self.done, self.total = round(max(done, self.done + _SMALLEST_STEP), 3), total
        await self.context.report_progress(self.done, total, message)

    async def wait(self, seconds: float) -> None:
        """Tell it that the next request waits for its turn, so that it goes on waiting too."""
        await self.pause(f"SalesOS takes only so many requests a minute: going on in {max(1, round(seconds))} s")

    async def pause(self, message: str) -> None:
        """Tell it what the call waits for."""
        await self.tell(self.done, self.total, message)


_SMALLEST_STEP = 0.001


class ReadThreads(NamedTuple):
    """Threads that were read for a list, how many of them could not be read for now, and why."""

    threads: list[models.Thread]
    unread: int = 0
    failure: InboxError | None = None

    def note(self, what: str) -> str | None:
        """Return the sentence that says `what` is missing of those that could not be read; None without any."""
        if not self.unread:
            return None
        return f"{self.unread} of them could not be read, so {what} missing. {self.failure}"


class _ServesInbox(Protocol):
    services: Services


@dataclass(frozen=True)
class Desk:
    """One call's view of the inbox: the client, the clock, the zone, the ledger, and a way to the person."""

    services: Services
    context: Context[Any, Any]
    called_at: float | None = None
    """When the call came in, in unix seconds."""
    reports: Progress | None = None
    """How far the call is; None where nobody is told."""

    @property
    def client(self) -> InboxClient:
        """The API client."""
        return self.services.client

    @property
    def timezone(self) -> tzinfo | None:
        """The user's zone, None where none is set."""
        return self.services.settings.timezone

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return self.services.clock()

    def show_time(self, moment: datetime) -> str:
        """Return a time in the user's zone, or in UTC."""
        return show_local(moment, self.timezone)

    def say_time(self, moment: datetime) -> str:
        """Return a time in the user's zone in words that stay true: not "today", which ends at midnight."""
        local = moment.astimezone(self.timezone or UTC)
        return f"{local:%A} {local.day} {local:%B at %H:%M}{'' if self.timezone else ' UTC'}"

    def show_plain_time(self, moment: datetime) -> str:
        """Return a time in the user's zone without the zone, for answers that name it once."""
        return f"{moment.astimezone(self.timezone or UTC):%Y-%m-%d %H:%M}"

    def show_short_time(self, moment: datetime) -> str:
        """Return a time in the user's zone without the zone, for lists that name it once; old ones by their day."""
        local, away = moment.astimezone(self.timezone or UTC), abs(self.now() - moment)
        return f"{local:{next(form for within, form in _SHORT_TIMES if away < within)}}"

    def times(self, moment: datetime) -> Times:
        """Return a time as receipts give it."""
        return Times(self.show_time(moment), self.zone_name(), show_local(moment, None))

    def zone_name(self) -> str:
        """Return the name of the zone that times are shown in."""
        return str(self.timezone or "UTC")

    async def own_addresses(self) -> frozenset[str]:
        """Return the user's own addresses, in lower case; empty where the service does not tell."""
        email = (await self.services.me()).email
        return frozenset({email.lower()} if email else ())

    async def threads(
        self, thread_ids: Sequence[str], seen: Callable[[int], Awaitable[None]] | None = None
    ) -> dict[str, models.Thread]:
        """Return those of the threads that there are, read a few at a time; `seen` is told how many were looked for."""
        found, failures = await self._read(thread_ids, lambda failures: bool(failures), seen)
        if failures:
            raise failures[0]
        return {thread_id: thread for thread_id, thread in found.items() if thread}

    async def _read(
        self,
        thread_ids: Sequence[str],
        ends_at: Callable[[Sequence[InboxError]], bool],
        seen: Callable[[int], Awaitable[None]] | None = None,
    ) -> tuple[dict[str, models.Thread | None], list[InboxError]]:
        """Return the threads, None for one that is gone, and the failures; what `ends_at` them is not read."""
        found: dict[str, models.Thread | None] = {}
        failures: list[InboxError] = []
        limiter = anyio.CapacityLimiter(MOST_AT_ONCE)

        async def read(thread_id: str) -> None:
            async with limiter:
                try:
                    found[thread_id] = await self.client.get_thread(thread_id)
                except NotFound:
                    found[thread_id] = None
                except InboxError as error:
                    failures.append(error)
                    if ends_at(failures):
                        group.cancel_scope.cancel()
                if seen:
                    await seen(len(found))

        async with anyio.create_task_group() as group:
            for thread_id in thread_ids:
                group.start_soon(read, thread_id)
        return found, failures

    async def threads_of(self, rows: Sequence[models.ThreadSummary]) -> ReadThreads:
        """Return the threads of a list's rows with their messages, for looking at and not for changing.

        One that was read a few minutes ago and has no newer message since is not read again; one that is gone,
        or that could not be read for now, is as the row tells it. Raises where none could be read, or where the
        token or key is refused.
        """
        now, kept = self.services.seconds(), self.services.kept
        for thread_id in [found for found, (read_at, _) in kept.items() if not 0 <= now - read_at < _KEPT_SECONDS]:
            del kept[thread_id]
        as_before = {row.id: kept[row.id][1] for row in rows if row.id in kept and _is_as_before(kept[row.id][1], row)}
        changed = [row.id for row in rows if row.id not in as_before]
        found, failures = await self._read(changed, _is_hopeless)
        known = {**as_before, **found}
        kept.update({thread_id: (now, thread) for thread_id, thread in found.items() if thread and _is_small(thread)})
        for thread_id in [*kept][:-_KEPT_THREADS]:
            del kept[thread_id]
        refusal = next((error for error in failures if isinstance(error, Unauthorized)), None)
        if failures and (refusal or not any(known.values())):
            raise refusal or failures[0]
        threads = [_told_by(row, known.get(row.id)) for row in rows]
        return ReadThreads(threads, len(set(changed) - found.keys()), failures[0] if failures else None)

    async def folder(self, name: str) -> str:
        """Return the folder that `name` means, as the API spells it.

        Raises `InvalidArguments`, with the folders there are, where it means none.
        """
        return (await self.place(name)).key

    async def place(self, name: str) -> Place:
        """Return the folder that `name` means; a well-known one needs no look-up. Raises as `folder` does."""
        wanted = name.strip().lower()
        if wanted in _WELL_KNOWN:
            return Place(wanted, wanted)
        folders = (await self.client.list_folders()).items
        for found in folders:
            if wanted in {found.name.lower(), found.id.lower()}:
                kind = found.type.lower()
                key = kind if kind in _WELL_KNOWN else found.id or found.name
                return Place(key, found.name or key)
        names = ", ".join(one_line(found.name or found.type, 30) for found in folders[:10])
        raise InvalidArguments(f"There is no folder {quoted(name)}: choose one of {names}.")

    @asynccontextmanager
    async def operation(self, proposal: Proposal, earlier: Operation | None = None) -> AsyncGenerator[Approval]:
        """Enter once this may happen: at once where the policy allows it, else after a person approved its card.

        `earlier` is an attempt at the same that the card speaks of. Raises as `Consent.operation` does.
        """
        consent, user = self.services.consent, await self.user()
        async with consent.operation(self.context, user, proposal, earlier, called_at=self.called_at) as approval:
            yield approval

    async def keep_undo(
        self,
        steps: Sequence[Step],
        tool: str,
        about: Mapping[str, Any],
        what: str | None = "changed",
        undo_id: str | None = None,
        plan: str | None = None,
    ) -> str | None:
        """Keep the steps that take a change back, as the ledger does, and return the id to ask for it by.

        None where they cannot be kept: the change happens all the same.
        """
        with suppress(InboxError), anyio.CancelScope(shield=True):
            user, now = await self.user(), self.services.seconds()
            return self.services.ledger.keep_undo(
                user, steps, now, tool=tool, about=about, what=what, undo_id=undo_id, plan=plan
            )
        return None

    async def take_back(self, scheduled_id: str) -> None:
        """Record that a scheduled message will not leave, so that the same content is another message."""
        with suppress(InboxError):
            self.services.ledger.take_back(await self.user(), scheduled_id, self.services.seconds())

    async def note(self, what: str, tool: str, about: Mapping[str, Any]) -> None:
        """Write what has happened into the activity log, if that can be written."""
        with suppress(InboxError):
            self.services.ledger.note(await self.user(), what, tool, about, self.services.seconds())

    async def user(self) -> str:
        """Return who the ledger's entries belong to."""
        return await self.services.user()

    async def progress(self, done: float, total: float, message: str) -> None:
        """Tell the client how far the call is."""
        if self.reports:
            await self.reports.tell(done, total, message)


_SHORT_TIMES = ((timedelta(days=7), "%d %b %H:%M"), (timedelta(days=300), "%d %b"), (timedelta.max, "%Y-%m-%d"))
"""How a time is shown that is less than so far away."""
_MOST_FAILURES = 3
"""After so many failures of the service the rest of a list's threads is not read."""
_KEPT_SECONDS = 300.0
_KEPT_THREADS = 200
_KEPT_CHARACTERS = 200_000
"""Longer threads are not kept."""


def _subject(token: str) -> str:
    """Return whose a token is, as it says itself: that stays when it is renewed."""
    from salesos_inbox.client.session import read_claims

    return read_claims(token).subject or token


def _is_as_before(thread: models.Thread, row: models.ThreadSummary) -> bool:
    """Return whether a thread that was read still has the messages that a list tells of."""
    return row.last_message_at is not None and (row.last_message_at, row.message_count) == (
        thread.last_message_at,
        thread.message_count,
    )


def _is_hopeless(failures: Sequence[InboxError]) -> bool:
    """Return whether reading on makes no sense: a thread alone may be what cannot be read."""
    outages = [error for error in failures if isinstance(error, Unavailable)]
    return len(outages) >= _MOST_FAILURES or any(isinstance(error, RateLimited | Unauthorized) for error in failures)


def _is_small(thread: models.Thread) -> bool:
    texts = (text for message in thread.messages for text in (message.body_html, message.body_text))
    return sum(len(text or "") for text in texts) <= _KEPT_CHARACTERS


def _told_by(row: models.ThreadSummary, thread: models.Thread | None) -> models.Thread:
    """Return a thread as it was read, with what a row of a list tells of it since."""
    from salesos_inbox.contract import models

    told = {name: getattr(row, name) for name in row.model_fields_set}
    return thread.model_copy(update=told) if thread else models.Thread.model_construct(**dict(row))


_WELL_KNOWN = frozenset({"inbox", "sent", "drafts", "scheduled", "archive", "trash", "spam"})


async def open_desk(context: Context[Any, Any]) -> Desk:
    """Return the desk for the call that `context` belongs to."""
    services = cast("_ServesInbox", context.mcp_server).services
    called_at = services.seconds()
    if context.request_state:
        services.consent.ladder.void_if_quick(context, called_at)
    reports = Progress(context)
    calling.set(reports)
    on_wait.set(reports.wait)
    on_pause.set(reports.pause)
    return Desk(services, context, called_at, reports)


Inbox = Annotated[Desk, Resolve(open_desk)]
"""The parameter type that injects the desk."""
