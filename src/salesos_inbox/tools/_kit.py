"""What a tool is, and what is put into its hands.

A tool is a plain async function: its name, docstring, annotated parameters and return type are the
tool. `@tool` adds a title and an effect; hints, consent, manifest and README follow from them. The
`Inbox` parameter is injected and never seen by the model.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol, cast

import anyio
from mcp.server.mcpserver import Context, Resolve

from salesos_inbox.approval.ledger import Ledger, Step
from salesos_inbox.approval.policy import Effect, Policy, read_rules
from salesos_inbox.errors import InboxError, InvalidArguments, NotFound, Refused, Unauthorized
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
    sent: tuple[float, Mapping[str, frozenset[str]]] | None = None
    """Who takes part in the newest threads that the user wrote in, and when (unix seconds) that was asked."""
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
        credential = settings.api_key or settings.token or ""
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


class _ServesInbox(Protocol):
    services: Services


@dataclass(frozen=True)
class Desk:
    """One call's view of the inbox: the client, the clock, the zone, the ledger, and a way to the person."""

    services: Services
    context: Context[Any, Any]
    called_at: float | None = None
    """When the call came in, in unix seconds."""

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

    async def threads(self, thread_ids: Sequence[str]) -> dict[str, models.Thread]:
        """Return those of the threads that there are, read a few at a time."""
        found: dict[str, models.Thread] = {}
        failures: list[InboxError] = []
        limiter = anyio.CapacityLimiter(MOST_AT_ONCE)

        async def read(thread_id: str) -> None:
            async with limiter:
                try:
                    found[thread_id] = await self.client.get_thread(thread_id)
                except NotFound:
                    return
                except InboxError as error:
                    failures.append(error)
                    group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for thread_id in thread_ids:
                group.start_soon(read, thread_id)
        if failures:
            raise failures[0]
        return found

    async def threads_of(self, rows: Sequence[models.ThreadSummary]) -> list[models.Thread]:
        """Return the threads of a list's rows with their messages, for looking at and not for changing.

        One that was read a few minutes ago and has no newer message since is not read again; one that is gone
        is as the row tells it.
        """
        now, kept = self.services.seconds(), self.services.kept
        for thread_id in [found for found, (read_at, _) in kept.items() if not 0 <= now - read_at < _KEPT_SECONDS]:
            del kept[thread_id]
        changed = [row.id for row in rows if row.id not in kept or not _is_as_before(kept[row.id][1], row)]
        found = await self.threads(changed)
        kept.update({thread_id: (now, thread) for thread_id, thread in found.items() if _is_small(thread)})
        for thread_id in [*kept][:-_KEPT_THREADS]:
            del kept[thread_id]
        return [_told_by(row, found.get(row.id) or (kept[row.id][1] if row.id in kept else None)) for row in rows]

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

    async def keep_undo(self, steps: Sequence[Step], tool: str, about: Mapping[str, Any]) -> str | None:
        """Keep the steps that take a change back, and return the id to ask for it by; `about` is for the log.

        None without any, or where they cannot be kept: the change has happened all the same.
        """
        if not steps:
            return None
        with suppress(InboxError), anyio.CancelScope(shield=True):
            user = await self.user()
            return self.services.ledger.keep_undo(user, steps, self.services.seconds(), tool=tool, about=about)
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

    async def progress(self, done: int, total: int, message: str) -> None:
        """Tell the client how far the call is."""
        await self.context.report_progress(done, total, message)


_SHORT_TIMES = ((timedelta(days=7), "%d %b %H:%M"), (timedelta(days=300), "%d %b"), (timedelta.max, "%Y-%m-%d"))
"""How a time is shown that is less than so far away."""
_KEPT_SECONDS = 300.0
_KEPT_THREADS = 200
_KEPT_CHARACTERS = 200_000
"""Longer threads are not kept."""


def _is_as_before(thread: models.Thread, row: models.ThreadSummary) -> bool:
    """Return whether a thread that was read still has the messages that a list tells of."""
    return row.last_message_at is not None and (row.last_message_at, row.message_count) == (
        thread.last_message_at,
        thread.message_count,
    )


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
    return Desk(services, context, called_at)


Inbox = Annotated[Desk, Resolve(open_desk)]
"""The parameter type that injects the desk."""
