"""The SalesOS inbox over HTTP: one method per endpoint, one place that sends."""

import json
import logging
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from random import random
from typing import Self, TypeVar

import anyio
import httpx

from salesos_inbox.client.body import (
    AnswerTooLarge,
    AnswerUnreadable,
    Room,
    Share,
    read_content,
    read_json,
)
from salesos_inbox.client.calling import noticed
from salesos_inbox.client.connection import BROKEN_OFF, open_connection
from salesos_inbox.client.credentials import CredentialStore, is_sendable
from salesos_inbox.client.failures import (
    asks_for_csrf_token,
    failure,
    not_json,
    outcome_unknown,
    refused_inside,
    too_large,
    unreachable,
)
from salesos_inbox.client.limiter import LONGEST_TURN, REQUESTS_PER_SECOND, Limiter
from salesos_inbox.client.lists import Page, read_list
from salesos_inbox.client.retry import Fault, delay_before_repeat, retry_after_seconds
from salesos_inbox.client.session import Session
from salesos_inbox.client.shapes import Difference, read_answer, read_items
from salesos_inbox.contract import models, routes
from salesos_inbox.contract.routes import Route, filled
from salesos_inbox.errors import ContractBroken, InboxError, NotFound, Unauthorized
from salesos_inbox.settings import REQUESTS_PER_MINUTE, Settings

CALL_SECONDS = 30.0
"""The deadline of one call from its turn on, its repeats included."""
CONNECT_SECONDS = 5.0
MESSAGE_TURN_SECONDS = 10.0
"""How long a message waits for its turn; with `CALL_SECONDS` that is less than its claim lasts."""

_AnswerT = TypeVar("_AnswerT", bound=models.Answer)
_OF_THE_SESSION = (routes.REFRESH_TOKEN, routes.GET_CSRF_TOKEN)
_FAULTS = {429: Fault.REFUSED, 502: Fault.BUSY, 503: Fault.BUSY, 504: Fault.BUSY}
"""Statuses after which a request may be worth a repeat."""

log = logging.getLogger("salesos_inbox")

_Json = dict[str, object]


@dataclass(frozen=True)
class _Reply:
    status: int
    headers: httpx.Headers
    payload: object


class InboxClient:
    """The endpoints of the inbox for one user.

    Each method raises the errors of `salesos_inbox.errors`: `NotFound`, `InvalidArguments`,
    `Refused`, `Unauthorized`, `Conflict`, `RateLimited`, `Unavailable`, `ContractBroken`, and for
    writes `OutcomeUnknown`. `seconds` is the deadline of one call; `store` is where the token came from
    and a renewed one is kept; `jitter` draws from [0, 1). `differences` is what answers had that the contract
    does not describe.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        seconds: float = CALL_SECONDS,
        clock: Callable[[], float] = time.time,
        store: CredentialStore | None = None,
        jitter: Callable[[], float] = random,
    ) -> None:
        self.differences: set[Difference] = set()
        self._session = Session(settings, store)
        self._overrides = settings.overrides
        self._room = Room()
        per_second = max(1, settings.requests_per_minute * REQUESTS_PER_SECOND // REQUESTS_PER_MINUTE)
        self._limiter = Limiter(settings.requests_per_minute, per_second, clock=clock)
        self._seconds = seconds
        self._jitter = jitter
        self._clock = clock
        self._http = open_connection(
            settings,
            transport,
            httpx.Timeout(seconds, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=10),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    # Reading

    async def list_folders(self) -> Page[models.Folder]:
        """Return the folders and their counts."""
        return await self._list(routes.LIST_FOLDERS, models.Folder)

    async def list_threads(self, query: models.ListThreads) -> Page[models.ThreadSummary]:
        """Return a page of the threads that `query` describes."""
        return await self._list(routes.LIST_THREADS, models.ThreadSummary, query)

    async def get_thread(self, thread_id: str) -> models.Thread:
        """Return a thread with all its messages, the oldest first and drafts last, whatever their order on the wire."""
        thread = await self._one(routes.GET_THREAD, models.Thread, thread_id=thread_id)
        return thread.model_copy(update={"messages": sorted(thread.messages, key=_when)})

    async def search_threads(self, query: models.SearchThreads) -> Page[models.ThreadSummary]:
        """Return a page of the threads that match."""
        return await self._list(routes.SEARCH_THREADS, models.ThreadSummary, query)

    async def get_stats(self) -> models.InboxStats:
        """Return the counts over the mailbox."""
        return await self._one(routes.GET_STATS, models.InboxStats)

    async def list_scheduled(self, query: models.ListScheduled) -> Page[models.ScheduledEmail]:
        """Return a page of the messages waiting for their time."""
        return await self._list(routes.LIST_SCHEDULED, models.ScheduledEmail, query)

    # Writing

    async def send_email(self, email: models.SendEmail, operation_id: str | None = None) -> models.SendReceipt:
        """Send a message now, or at its `scheduled_for`.

        Every try of it carries `operation_id`, so that the service may know them as one, and the message be found.
        """
        receipt = await self._one(routes.SEND_EMAIL, models.SendReceipt, email, operation_id)
        if not (receipt.id or receipt.thread_id or receipt.message_id or receipt.status):
            raise outcome_unknown(routes.SEND_EMAIL)  # a stranger's answer, a sign-in page of a network for one
        return receipt

    async def save_draft(self, draft: models.SaveDraft) -> models.Draft:
        """Save a draft, or update the one whose `id` is given."""
        saved = await self._one(routes.SAVE_DRAFT, models.Draft, draft)
        if not saved.id and not draft.id:
            raise outcome_unknown(routes.SAVE_DRAFT)
        return saved

    async def cancel_scheduled(self, scheduled_id: str) -> None:
        """Cancel a message that waits for its time."""
        await self._call(routes.CANCEL_SCHEDULED, scheduled_id=scheduled_id)

    # Sorting: one thread

    async def set_read(self, thread_id: str, is_read: bool) -> models.ThreadSummary:
        """Mark a thread read or unread, and return it as the service has it then."""
        request = models.SetRead(is_read=is_read)
        return await self._one(routes.SET_READ, models.ThreadSummary, request, thread_id=thread_id)

    async def set_star(self, thread_id: str, is_starred: bool) -> models.ThreadSummary:
        """Star a thread, or take its star away, and return it as the service has it then."""
        request = models.SetStar(is_starred=is_starred)
        return await self._one(routes.SET_STAR, models.ThreadSummary, request, thread_id=thread_id)

    async def archive_thread(self, thread_id: str) -> models.ThreadSummary:
        """Archive a thread, and return it as the service has it then."""
        return await self._one(routes.ARCHIVE_THREAD, models.ThreadSummary, thread_id=thread_id)

    # Sorting: several threads

    async def set_read_batch(self, thread_ids: list[str], is_read: bool) -> models.BulkResult:
        """Mark threads read or unread."""
        return await self._bulk(routes.SET_READ_BATCH, models.SetReadBatch(thread_ids=thread_ids, is_read=is_read))

    async def set_star_batch(self, thread_ids: list[str], is_starred: bool) -> models.BulkResult:
        """Star threads, or take their stars away."""
        return await self._bulk(
            routes.SET_STAR_BATCH, models.SetStarBatch(thread_ids=thread_ids, is_starred=is_starred)
        )

    async def archive_batch(self, thread_ids: list[str]) -> models.BulkResult:
        """Archive threads."""
        return await self._bulk(routes.ARCHIVE_BATCH, models.ThreadIds(thread_ids=thread_ids))

    async def move_batch(self, thread_ids: list[str], folder: str) -> models.BulkResult:
        """Move threads to a folder."""
        return await self._bulk(routes.MOVE_BATCH, models.MoveThreads(thread_ids=thread_ids, folder=folder))

    async def delete_batch(self, thread_ids: list[str]) -> models.BulkResult:
        """Move threads to the trash."""
        return await self._bulk(routes.DELETE_BATCH, models.ThreadIds(thread_ids=thread_ids))

    async def bulk_threads(
        self, action: models.BulkAction, thread_ids: list[str], folder: str | None = None
    ) -> models.BulkResult:
        """Do one action on many threads; `folder` is for `move` alone."""
        return await self._bulk(
            routes.BULK_THREADS, models.BulkThreads(action=action, thread_ids=thread_ids, folder=folder)
        )

    # Relations

    async def link_crm_record(self, thread_id: str, entity_type: models.EntityType, entity_id: str) -> models.CrmLink:
        """Link a thread to a CRM record."""
        link = models.LinkCrmRecord(entity_type=entity_type, entity_id=entity_id)
        return await self._one(routes.LINK_CRM_RECORD, models.CrmLink, link, thread_id=thread_id)

    async def unlink_crm_record(self, thread_id: str, entity_type: str, entity_id: str) -> None:
        """Take a link to a CRM record away."""
        await self._call(routes.UNLINK_CRM_RECORD, thread_id=thread_id, entity_type=entity_type, entity_id=entity_id)

    async def set_follow_up(self, thread_id: str, follow_up: models.SetFollowUp) -> models.FollowUp:
        """Set the reminder of a thread."""
        return await self._one(routes.SET_FOLLOW_UP, models.FollowUp, follow_up, thread_id=thread_id)

    async def remove_follow_up(self, thread_id: str) -> None:
        """Remove the reminder of a thread."""
        await self._call(routes.REMOVE_FOLLOW_UP, thread_id=thread_id)

    # The session

    async def get_me(self) -> models.User:
        """Return the user behind the token."""
        return await self._one(routes.GET_ME, models.User)

    async def _fetch_csrf_token(self) -> str:
        try:
            token = (await self._one(routes.GET_CSRF_TOKEN, models.CsrfToken)).csrf_token
        except NotFound:
            raise Unauthorized(
                "SalesOS hands out no CSRF token, which the contract wants of a session, so nothing was changed: ask "
                "the user to write `session.csrf = false` into the file that SALESOS_CONTRACT names if theirs wants "
                "none, or to set a SALESOS_API_KEY instead of the token."
            ) from None
        if not is_sendable(token):
            raise ContractBroken(
                "SalesOS handed out a CSRF token that cannot be sent back, so nothing was changed: tell the user."
            )
        return token

    async def _fetch_token(self) -> str:
        return (await self._one(routes.REFRESH_TOKEN, models.RefreshedToken)).access_token

    # Answers

    async def _one(
        self,
        route: Route,
        model: type[_AnswerT],
        request: models.Request | None = None,
        operation_id: str | None = None,
        **ids: str,
    ) -> _AnswerT:
        reply = await self._call(route, request, operation_id, **ids)
        answer, differences = read_answer(route, model, reply.payload)
        self._notice(differences)
        return answer

    async def _list(self, route: Route, model: type[_AnswerT], request: models.Request | None = None) -> Page[_AnswerT]:
        reply = await self._call(route, request)
        raw = read_list(reply.payload, reply.headers.get("x-total-count"), route)
        items, differences = read_items(route, model, raw.items)
        self._notice(differences)
        return Page(items, raw.total, raw.has_more, raw.next_cursor)

    def _notice(self, differences: Iterable[Difference]) -> None:
        """Remember, and say once, what could not be read of an answer; it holds names of fields alone."""
        for difference in differences:
            if difference not in self.differences:
                self.differences.add(difference)
                log.warning("SalesOS answered in a form that is not known: %s", difference)
            if (told := noticed.get()) is not None:
                told.add(str(difference))

    async def _bulk(self, route: Route, request: models.Request) -> models.BulkResult:
        return await self._one(route, models.BulkResult, request)

    # Sending

    async def _call(
        self, route: Route, request: models.Request | None = None, operation_id: str | None = None, **ids: str
    ) -> _Reply:
        """Send one request when it is its turn, and return its answer, within the deadline.

        What a request waits for its turn is added to the deadline, but for messages.
        """
        if any(not identifier.strip(".") for identifier in ids.values()):
            raise failure(route, 404, None, ids=ids)  # in a path it would name another endpoint
        body = self._overrides.outgoing(route, request.body() if request is not None else None)
        deadline = anyio.current_time() + self._seconds
        if route not in _OF_THE_SESSION:
            await self._session.refresh(self._clock(), self._fetch_token)
        repeats, renewed = 0, set[str]()
        longest = MESSAGE_TURN_SECONDS if route is routes.SEND_EMAIL else LONGEST_TURN
        while True:
            write_headers = await self._write_headers(route, deadline) if route.is_write else {}
            asked_at = anyio.current_time()
            async with self._limiter.turn(is_write=route.is_write, longest=longest) as heed:
                if route is not routes.SEND_EMAIL:
                    deadline += anyio.current_time() - asked_at
                token = self._session.token
                reply = await self._send(route, body, ids, {**write_headers, **_marks(operation_id)}, deadline)
                if isinstance(reply, _Reply):
                    heed(reply.status, reply.headers)
            if isinstance(reply, Fault):
                fault, error, retry_after = reply, _lost(route, reply), None
            else:
                self._session.tell_time(self._clock(), reply.headers.get("date"))
                self._session.keep_csrf_token(reply.headers.get("x-csrf-token"))
                if 200 <= reply.status < 300:
                    return reply
                if await self._renew(route, reply, token, write_headers.get("X-CSRF-Token"), renewed):
                    continue
                retry_after = retry_after_seconds(reply.headers, self._clock())
                error = self._failure(route, reply, ids, retry_after)
                if reply.status not in _FAULTS:
                    raise error
                fault = _FAULTS[reply.status]
            delay = delay_before_repeat(
                fault,
                is_write=route.is_write,
                repeats=repeats,
                retry_after=retry_after,
                seconds_left=deadline - anyio.current_time(),
                jitter=self._jitter(),
            )
            if delay is None:
                raise error
            repeats += 1
            await anyio.sleep(delay)

    async def _write_headers(self, route: Route, deadline: float) -> dict[str, str]:
        """Return the further headers of a write, for which a CSRF token may have to be fetched in time."""
        with anyio.CancelScope(deadline=deadline):
            return await self._session.write_headers(self._fetch_csrf_token)
        raise unreachable(route)

    def _failure(self, route: Route, reply: _Reply, ids: dict[str, str], retry_after: float | None) -> InboxError:
        if reply.status == 401:
            return self._session.refusal()
        return failure(route, reply.status, reply.payload, ids=ids, retry_after=retry_after, overrides=self._overrides)

    async def _renew(
        self, route: Route, reply: _Reply, token: str | None, csrf_token: str | None, renewed: set[str]
    ) -> bool:
        """Renew what a refusal says has ended, each once a call; return whether to try again."""
        if reply.status == 401 and route not in _OF_THE_SESSION and "token" not in renewed:
            renewed.add("token")
            return await self._session.renew(token, self._fetch_token)
        if route.is_write and "csrf" not in renewed and asks_for_csrf_token(reply.status, reply.payload):
            renewed.add("csrf")
            await self._session.renew_csrf_token(csrf_token, self._fetch_csrf_token)
            return True
        return False

    async def _send(
        self, route: Route, body: _Json | None, ids: dict[str, str], headers: dict[str, str], deadline: float
    ) -> _Reply | Fault:
        """Put one request on the wire; return the answer, or why there is none.

        A write is shielded from cancellation, so that it is never cut between leaving and being answered.
        """
        seconds_left = deadline - anyio.current_time()
        if seconds_left <= 0:
            return Fault.NOT_SENT
        request = self._request(route, body, ids, headers)
        with anyio.move_on_after(seconds_left, shield=route.is_write), self._room.share() as share:
            try:
                async with aclosing(await self._http.send(request, stream=True)) as response:
                    return await self._reply(route, response, share)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError):
                return Fault.NOT_SENT
            except (*BROKEN_OFF, AnswerUnreadable):
                return Fault.LOST
            except AnswerTooLarge:
                raise too_large(route) from None
        return Fault.LOST

    def _request(self, route: Route, body: _Json | None, ids: dict[str, str], headers: dict[str, str]) -> httpx.Request:
        try:
            return self._http.build_request(
                route.method,
                filled(self._overrides.path(route), **self._overrides.in_path(ids)),
                params=None if route.is_write else _query(body),
                json=body if route.is_write else None,
                headers={**self._session.headers(), **headers},
            )
        except (httpx.InvalidURL, UnicodeError):
            raise ContractBroken(
                f"SalesOS handed out an id or a token that cannot be sent back to {route.purpose}, "
                "and nothing was changed: tell the user."
            ) from None

    async def _reply(self, route: Route, response: httpx.Response, share: Share) -> _Reply:
        """Return an answer with its JSON: `{}` where it may be empty; of a failure None where it cannot be read.

        What says that it failed has the status it says, or 0. Raises `ContractBroken` or, for a write,
        `OutcomeUnknown` for a success that is not JSON.
        """
        status, headers = response.status_code, response.headers
        if not 200 <= status < 300:
            return _Reply(status, headers, await _told(response, share))
        content = await read_content(response, share)
        if not content and (route.answer is None or (status == 204 and route.is_write)):
            return _Reply(status, headers, {})
        try:
            payload = read_json(content)
        except ValueError:
            raise not_json(route, content) from None
        answer = self._overrides.incoming(route, payload)
        refusal = refused_inside(route, answer)
        refusal = refused_inside(route, payload) if refusal is None else refusal
        return _Reply(status if refusal is None else refusal, headers, answer)


async def _told(response: httpx.Response, share: Share) -> object:
    """Return what a failure tells in JSON, None where that cannot be read."""
    try:
        return read_json(await read_content(response, share))
    except (AnswerUnreadable, AnswerTooLarge, *BROKEN_OFF, ValueError):
        return None


def _marks(operation_id: str | None) -> dict[str, str]:
    """Return the headers by which a request is known: those of its operation, or an id of its own."""
    if operation_id is None:
        return {"X-Request-ID": str(uuid.uuid4())}
    return {"X-Request-ID": operation_id, "Idempotency-Key": operation_id}


def _lost(route: Route, fault: Fault) -> InboxError:
    return unreachable(route) if not route.is_write or fault is not Fault.LOST else outcome_unknown(route)


def _when(message: models.Message) -> tuple[bool, float]:
    moment = message.received_at or message.sent_at  # what a sender writes of the time, anyone can forge
    return message.status == "DRAFT", moment.timestamp() if moment else 0.0


def _query(body: _Json | None) -> dict[str, str]:
    """Return query parameters: JSON's spelling of booleans and numbers, as strings."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in (body or {}).items()}
