"""The SalesOS inbox over HTTP: one method per endpoint, one place that sends."""

import json
import logging
import math
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

import anyio
import httpx
from pydantic import ValidationError

from salesos_inbox.client.failures import asks_for_csrf_token, failure, outcome_unknown
from salesos_inbox.client.lists import read_list
from salesos_inbox.client.retry import Fault, delay_before_repeat
from salesos_inbox.client.session import Session
from salesos_inbox.contract import models, routes
from salesos_inbox.contract.routes import Route
from salesos_inbox.errors import ContractBroken, InboxError, NotFound, RateLimited, Unauthorized, Unavailable
from salesos_inbox.settings import Settings

CALL_SECONDS = 30.0
"""The deadline of one call, its repeats included."""
CONNECT_SECONDS = 5.0
LARGEST_ANSWER = 64 * 2**20
"""Bytes of one answer, unpacked; what is longer is no answer of this API."""

_AnswerT = TypeVar("_AnswerT", bound=models.Answer)
_NAMED_FIELDS = 5
_HALF = re.compile(rb"\\u[dD]")
_HALVES = re.compile("[\ud800-\udfff]")
_Json = dict[str, object]


@dataclass(frozen=True)
class Page(Generic[_AnswerT]):
    """One page of a list; see `client.lists.RawPage`."""

    items: list[_AnswerT]
    total: int | None = None
    has_more: bool | None = None
    next_cursor: str | None = None


@dataclass(frozen=True)
class _Reply:
    status: int
    headers: httpx.Headers
    payload: object


class InboxClient:
    """The endpoints of the inbox for one user.

    Each method raises the errors of `salesos_inbox.errors`: `NotFound`, `InvalidArguments`,
    `Refused`, `Unauthorized`, `Conflict`, `RateLimited`, `Unavailable`, `ContractBroken`, and for
    writes `OutcomeUnknown`. `seconds` is the deadline of one call.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        seconds: float = CALL_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs whole addresses, and searches are private
        self._session = Session(settings)
        self._seconds = seconds
        self._clock = clock
        self._http = httpx.AsyncClient(
            base_url=settings.base_url,
            transport=transport,
            timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=10),
            follow_redirects=False,
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
        return await self._one(routes.SEND_EMAIL, models.SendReceipt, email, operation_id)

    async def save_draft(self, draft: models.SaveDraft) -> models.Draft:
        """Save a draft, or update the one whose `id` is given."""
        return await self._one(routes.SAVE_DRAFT, models.Draft, draft)

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
            return (await self._one(routes.GET_CSRF_TOKEN, models.CsrfToken)).csrf_token
        except NotFound:
            raise Unauthorized(
                "SalesOS wants a CSRF token for this session and hands none out, so nothing was changed: "
                "ask the user to set a SALESOS_API_KEY instead of the token."
            ) from None

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
        payload = reply.payload
        if isinstance(payload, dict) and isinstance(payload.get("data"), dict) and "id" not in payload:  # pyright: ignore[reportUnknownMemberType] -- JSON
            payload = payload["data"]  # pyright: ignore[reportUnknownVariableType] -- JSON
        return _parse(route, model, payload)  # pyright: ignore[reportUnknownArgumentType] -- JSON

    async def _list(self, route: Route, model: type[_AnswerT], request: models.Request | None = None) -> Page[_AnswerT]:
        reply = await self._call(route, request)
        raw = read_list(reply.payload, reply.headers.get("x-total-count"))
        return Page([_parse(route, model, item) for item in raw.items], raw.total, raw.has_more, raw.next_cursor)

    async def _bulk(self, route: Route, request: models.Request) -> models.BulkResult:
        return await self._one(route, models.BulkResult, request)

    # Sending

    async def _call(
        self, route: Route, request: models.Request | None = None, operation_id: str | None = None, **ids: str
    ) -> _Reply:
        """Send one request and return its answer, within the deadline.

        A write is shielded from cancellation, so that it is never cut between leaving and being answered.
        """
        if any(not identifier.strip(".") for identifier in ids.values()):
            raise failure(route, 404, None, ids=ids)  # in a path it would name another endpoint
        is_write = route.method != "GET"
        deadline = anyio.current_time() + self._seconds
        if route is not routes.REFRESH_TOKEN and route is not routes.GET_CSRF_TOKEN:
            await self._session.refresh(self._clock(), self._fetch_token)
        repeats, renewed, fault = 0, False, Fault.NOT_SENT
        with anyio.CancelScope(deadline=deadline + CONNECT_SECONDS, shield=is_write):
            while True:
                write_headers = await self._session.write_headers(self._fetch_csrf_token) if is_write else {}
                marked = {**write_headers, **_marks(operation_id)}
                fault = Fault.LOST  # should both deadlines pass at once, as when the machine slept
                reply, fault = await self._send(route, request, ids, marked, deadline)
                if reply is None:
                    error, retry_after = _lost(route, fault), None
                else:
                    self._session.keep_csrf_token(reply.headers.get("x-csrf-token"))
                    if 200 <= reply.status < 300:
                        return reply
                    fault = Fault.THROTTLED
                    if is_write and not renewed and asks_for_csrf_token(reply.status, reply.payload):
                        renewed = True
                        await self._session.renew_csrf_token(write_headers.get("X-CSRF-Token"), self._fetch_csrf_token)
                        continue
                    error = failure(route, reply.status, reply.payload, ids=ids, retry_after=_retry_after(reply))
                    if not isinstance(error, RateLimited):
                        raise error
                    retry_after = error.retry_after
                delay = delay_before_repeat(fault, repeats, retry_after, deadline - anyio.current_time())
                if delay is None:
                    raise error
                repeats += 1
                await anyio.sleep(delay)
        raise _lost(route, fault)

    async def _send(
        self,
        route: Route,
        request: models.Request | None,
        ids: dict[str, str],
        headers: dict[str, str],
        deadline: float,
    ) -> tuple[_Reply | None, Fault]:
        """Put one request on the wire; the reply is None where `Fault` says why there is none."""
        body = request.body() if request is not None else None
        headers = {**self._session.headers(), **headers}
        seconds_left = deadline - anyio.current_time()
        if seconds_left <= 0:
            return None, Fault.NOT_SENT
        fault = Fault.LOST
        with anyio.move_on_after(seconds_left):
            try:
                async with self._http.stream(
                    route.method,
                    route.url(**ids),
                    params=_query(body) if route.method == "GET" else None,
                    json=body if route.method != "GET" else None,
                    headers=headers,
                ) as response:
                    payload = _payload(route, response.status_code, await _content(response))
                    return _Reply(response.status_code, response.headers, payload), fault
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
                fault = Fault.NOT_SENT
            except (httpx.TransportError, httpx.DecodingError):
                fault = Fault.LOST
            except (httpx.InvalidURL, UnicodeError):
                raise ContractBroken(
                    f"SalesOS handed out an id or a token that cannot be sent back to {route.purpose}, "
                    "and nothing was changed: tell the user."
                ) from None
        return None, fault


def _marks(operation_id: str | None) -> dict[str, str]:
    """Return the headers by which a request is known: those of its operation, or an id of its own."""
    if operation_id is None:
        return {"X-Request-ID": str(uuid.uuid4())}
    return {"X-Request-ID": operation_id, "Idempotency-Key": operation_id}


def _lost(route: Route, fault: Fault) -> InboxError:
    if route.method == "GET" or fault is not Fault.LOST:
        return Unavailable(
            f"SalesOS could not be reached to {route.purpose}, and nothing was changed: call again in a minute, "
            "and if that fails too ask the user to check the connection and SALESOS_BASE_URL."
        )
    return outcome_unknown(route)


async def _content(response: httpx.Response) -> bytes:
    """Return the body, broken off where it is longer than any answer."""
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > LARGEST_ANSWER:
            break
    return bytes(content)


def _payload(route: Route, status: int, content: bytes) -> object:
    """Return the JSON of an answer; an empty one is `{}` where it may be empty, None where it failed anyway.

    Raises `ContractBroken` or, for a write, `OutcomeUnknown` for anything else that is said to be a success.
    """
    may_be_empty = route.answer is None or (status == 204 and route.method != "GET")
    if not content and may_be_empty:
        return {}
    if len(content) > LARGEST_ANSWER and route.method == "GET" and 200 <= status < 300:
        raise ContractBroken(
            f"The answer to the request to {route.purpose} is too large to be read here (over {LARGEST_ANSWER >> 20} "
            "MB): ask for less, or tell the user to look at it in SalesOS."
        )
    try:
        payload = json.loads(content)
        return _whole(payload) if _HALF.search(content) else payload
    except (ValueError, RecursionError):
        if not 200 <= status < 300:
            return None
        if route.method == "GET":
            raise ContractBroken(
                f"SalesOS answered the request to {route.purpose} with something that is not JSON: "
                "ask the user to check SALESOS_BASE_URL."
            ) from None
        raise outcome_unknown(route) from None


def _whole(payload: object) -> object:
    """Return JSON without halves of characters, which cannot be written again."""
    return json.loads(_HALVES.sub("\ufffd", json.dumps(payload, ensure_ascii=False)))


def _parse(route: Route, model: type[_AnswerT], payload: object) -> _AnswerT:
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        paths = (item["loc"] for item in error.errors(include_input=False))
        fields = dict.fromkeys(".".join(part for part in path if isinstance(part, str)) for path in paths)
        names = ", ".join([field for field in fields if field][:_NAMED_FIELDS]) or "the body"
        if route.method != "GET":
            raise outcome_unknown(route) from None
        raise ContractBroken(
            f"SalesOS answered the request to {route.purpose} in a form that is not known ({names}): tell the user."
        ) from None


def _when(message: models.Message) -> tuple[bool, float]:
    moment = message.received_at or message.sent_at  # what a sender writes of the time, anyone can forge
    return message.status == "DRAFT", moment.timestamp() if moment else 0.0


def _query(body: _Json | None) -> dict[str, str]:
    """Return query parameters: JSON's spelling of booleans and numbers, as strings."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in (body or {}).items()}


def _retry_after(reply: _Reply) -> float | None:
    """Return the seconds of `Retry-After` (RFC 9110, 10.2.3), where it is a number."""
    try:
        seconds = float(reply.headers.get("retry-after", ""))
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
