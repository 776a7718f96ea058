"""The API over HTTP: who asks, how often, for what, and in which shape it is answered."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as Served
from starlette.types import ASGIApp

from salesos_inbox.contract import models, routes
from salesos_inbox.contract.openapi import openapi
from salesos_inbox.contract.routes import Route
from salesos_inbox.sandbox.access import Caller
from salesos_inbox.sandbox.bodies import Nothing, read_body, read_query
from salesos_inbox.sandbox.envelopes import ENVELOPES, Envelope, Page
from salesos_inbox.sandbox.limits import DOCUMENTED_LIMITS, UNLIMITED, Allowance, Limits, Meter
from salesos_inbox.sandbox.refusals import Refusal, invalid, unauthorized
from salesos_inbox.sandbox.store import Store

if TYPE_CHECKING:
    from salesos_inbox.sandbox.faults import Faults
    from salesos_inbox.sandbox.spelling import Spelling

__all__ = ["DOCUMENTED_LIMITS", "LARGEST_BODY", "PREFIX", "UNLIMITED", "Limits", "create_app"]

PREFIX: Final = "/v1"
"""Where the API's base address ends and the contract's paths begin."""
LARGEST_BODY: Final = 10 * 2**20
"""Bytes of a request body; more is refused (413)."""
TOKEN_LIFETIME: Final = 86400
"""Seconds that a refreshed token lives, and that of a new session."""
SIGN_INS_PER_MINUTE: Final = 10
"""How many passwords an address may try in a minute."""

_ALL_METHODS: Final = ("GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS")
_REQUEST_ID = re.compile(r"[ -~]{1,200}")

RequestT = TypeVar("RequestT", bound=models.Request)


@dataclass(frozen=True)
class Call(Generic[RequestT]):
    """One admitted request: who calls, the ids of its path, and its body or query, validated."""

    store: Store
    caller: Caller
    ids: Mapping[str, str]
    request: RequestT
    request_id: str

    @property
    def user(self) -> str:
        """The id of the user whose mailbox is meant."""
        return self.caller.user_id

    @property
    def thread(self) -> str:
        """The id of the thread in the path."""
        return self.ids["thread_id"]


Outcome = models.Answer | Page[Any] | list[models.Folder] | dict[str, object] | None
# A dict is the body itself: the session's own answers are not in camel case.


@dataclass(frozen=True)
class Operation:
    """A route of the contract, what it does, and the status where that is not always the same."""

    route: Route
    perform: Callable[[Call[Any]], Outcome]
    status_of: Callable[[Call[Any]], int] | None = None


def create_app(
    store: Store,
    *,
    limits: Limits = DOCUMENTED_LIMITS,
    envelope: Envelope = "array",
    faults: "Faults | None" = None,
    spelling: "Spelling | None" = None,
) -> ASGIApp:
    """Return an ASGI application that serves `store` below `/v1`.

    `limits` bounds the requests of each user or key; `envelope` is the shape of paged lists; `faults`
    says which requests fail, and how; `spelling` gives all of it other names, and lists its own envelope.
    """
    meter = Meter(limits)

    def speaking(chosen: Envelope | None) -> ASGIApp:
        if spelling is None:
            return _service(_Sandbox(store, meter, chosen or envelope))
        sandbox = _Sandbox(store, meter, spelling.envelope, wants_csrf=spelling.wants_csrf)
        return spelling.around(_service(sandbox), PREFIX)

    return faults.around(speaking, PREFIX) if faults else speaking(None)


def _service(sandbox: "_Sandbox") -> ASGIApp:
    # Fixed paths before those with parameters: `/threads/read` is no thread.
    by_precision = sorted(OPERATIONS, key=lambda operation: operation.route.path.count("{"))
    served = [
        Served(PREFIX + one.route.path, partial(sandbox.serve, one), methods=[one.route.method]) for one in by_precision
    ]
    document = Served(f"{PREFIX}/openapi.json", sandbox.describe)
    unknown = Served("/{path:path}", partial(sandbox.serve, None), methods=[*_ALL_METHODS])
    return Starlette(routes=[document, *served, unknown], exception_handlers={500: _broken})


class _Sandbox:
    """Admits requests, performs their operations and words the answers."""

    def __init__(self, store: Store, meter: Meter, envelope: Envelope, *, wants_csrf: bool = True) -> None:
        self._store = store
        self._meter = meter
        self._sign_ins = Meter(Limits(per_minute=SIGN_INS_PER_MINUTE))
        self._envelope: Envelope = envelope
        self._wants_csrf = wants_csrf

    async def describe(self, request: Request) -> Response:
        """Answer anybody with the contract as an OpenAPI document."""
        del request
        return JSONResponse(openapi(PREFIX, has_cursors=self._envelope == "cursor"))

    async def serve(self, operation: Operation | None, request: Request) -> Response:
        """Answer one request to `operation`; None is a path that the contract does not know."""
        given = request.headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid4())
        headers = {"X-Request-ID": request_id}
        try:
            self._store.advance()
            is_public = operation is not None and operation.route.is_public
            caller = self._stranger(request, headers) if is_public else self._caller(request, headers)
            if operation is None:
                raise Refusal(404, f"Cannot {request.method} {request.url.path}")
            if not is_public:
                self._authorize(operation.route, request, caller)
            call = Call(
                self._store, caller, request.path_params, await self._read(operation.route, request), request_id
            )
            response = self._answer(operation, call)
        except Refusal as refusal:
            response = JSONResponse(refusal.body(request_id), refusal.status, {**refusal.headers})
        response.headers.update(headers)
        return response

    def _caller(self, request: Request, headers: dict[str, str]) -> Caller:
        """Return who sent the request; writes the allowance, and a new CSRF token, into `headers`."""
        try:
            caller = self._identified(request)
        except Refusal:
            self._spend(_address(request), headers)
            raise
        self._spend(caller.credential, headers)
        if caller.session and (token := self._store.access.announced_csrf(caller)):
            headers["X-CSRF-Token"] = token
        return caller

    def _stranger(self, request: Request, headers: dict[str, str]) -> Caller:
        """Return somebody without credentials, who may not try many passwords in a minute."""
        stranger = Caller("", None, frozenset(), _address(request))
        self._spend(stranger.credential, headers)
        _admit(self._sign_ins.spend(stranger.credential, self._store.now()))
        return stranger

    def _identified(self, request: Request) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.casefold() == "bearer":
            return self._store.access.caller_by_token(token.strip())
        if key := request.headers.get("x-api-key"):
            return self._store.access.caller_by_key(key)
        raise unauthorized()

    def _spend(self, caller: str, headers: dict[str, str]) -> None:
        allowance = self._meter.spend(caller, self._store.now())
        headers.update(allowance.headers())
        _admit(allowance)

    def _authorize(self, route: Route, request: Request, caller: Caller) -> None:
        caller.require_organization(request.headers.get("x-organization-id"))
        caller.require(route.scope)
        if route.is_write and self._wants_csrf:
            self._store.access.require_csrf(caller, request.headers.get("x-csrf-token"))

    async def _read(self, route: Route, request: Request) -> models.Request:
        now = self._store.now()
        if route.method == "GET":
            query = read_query(route.request or Nothing, request.query_params, now)
            if "cursor" in query.model_fields_set and self._envelope != "cursor":
                raise invalid("property cursor should not exist")
            return query
        nothing = read_query(Nothing, request.query_params, now)
        raw = await _body(request)
        return read_body(route.request, raw, now) if route.request else nothing

    def _answer(self, operation: Operation, call: Call[models.Request]) -> Response:
        outcome = operation.perform(call)
        status = operation.status_of(call) if operation.status_of else operation.route.statuses[0]
        if outcome is None:
            return Response(status_code=204)
        if isinstance(outcome, Page):
            page = ENVELOPES[self._envelope](outcome, operation.route.plural)
            return JSONResponse(page, status, {"X-Total-Count": str(outcome.total)})
        if isinstance(outcome, list):
            rows = [item.model_dump(mode="json", by_alias=True) for item in outcome]
            return JSONResponse(rows, status, {"X-Total-Count": str(len(rows))})
        body = outcome if isinstance(outcome, dict) else outcome.model_dump(mode="json", by_alias=True)
        return JSONResponse(body, status)


def _address(request: Request) -> str:
    return f"address:{request.client.host if request.client else ''}"


def _admit(allowance: Allowance) -> None:
    """Refuse (429) what is beyond the limit."""
    if allowance.retry_after:
        raise Refusal(429, "Too Many Requests", headers={"Retry-After": str(allowance.retry_after)})


async def _body(request: Request) -> bytes:
    """Return the body; refuses (413) one that is too large without reading the rest of it."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > LARGEST_BODY:
            raise Refusal(413, "request entity too large")
    return bytes(raw)


async def _broken(request: Request, error: Exception) -> Response:
    """Answer 500 in the documented form; the exception itself goes on to the server's log."""
    refusal = Refusal(500, "Internal server error")
    return JSONResponse(refusal.body(request.headers.get("x-request-id", "")), 500)


def _each(call: Call[Any], ids: Iterable[str], change: Callable[[str], object]) -> models.BulkResult:
    """Change every thread that can be changed, and say which could not and why."""
    done: list[str] = []
    failed: list[models.BulkFailure] = []
    with call.store.transaction():
        for thread_id in dict.fromkeys(ids):
            try:
                change(thread_id)
                done.append(thread_id)
            except Refusal as refusal:
                reason = refusal.message if isinstance(refusal.message, str) else "; ".join(refusal.message)
                failed.append(models.BulkFailure(id=thread_id, error=reason))
    return models.BulkResult(success=done, failed=failed)


def _set_read_batch(call: Call[models.SetReadBatch]) -> models.BulkResult:
    body = call.request
    return _each(call, body.thread_ids, lambda thread: call.store.set_read(call.user, thread, body.is_read))


def _set_star_batch(call: Call[models.SetStarBatch]) -> models.BulkResult:
    body = call.request
    return _each(call, body.thread_ids, lambda thread: call.store.set_star(call.user, thread, body.is_starred))


def _move_batch(call: Call[models.MoveThreads]) -> models.BulkResult:
    return _move_each(call, call.request.thread_ids, call.request.folder)


def _move_each(call: Call[Any], ids: Iterable[str], folder: str) -> models.BulkResult:
    call.store.check_folder(call.user, folder)
    return _each(call, ids, lambda thread: call.store.move(call.user, thread, folder))


def _bulk(call: Call[models.BulkThreads]) -> models.BulkResult:
    body, store, user = call.request, call.store, call.user
    if body.action == "move":
        return _move_each(call, body.thread_ids, body.folder or "")
    changes: dict[models.BulkAction, Callable[[str], object]] = {
        "read": lambda thread: store.set_read(user, thread, True),
        "unread": lambda thread: store.set_read(user, thread, False),
        "star": lambda thread: store.set_star(user, thread, True),
        "unstar": lambda thread: store.set_star(user, thread, False),
        "archive": lambda thread: store.move(user, thread, "archive"),
        "delete": lambda thread: store.delete(user, thread),
    }
    return _each(call, body.thread_ids, changes[body.action])


def _link(call: Call[models.LinkCrmRecord]) -> models.CrmLink:
    return call.store.link_crm(call.user, call.thread, call.request.entity_type, call.request.entity_id)


def _follow_up(call: Call[models.SetFollowUp]) -> models.FollowUp:
    return call.store.set_follow_up(call.user, call.thread, call.request.reminder_date, call.request.note)


def _csrf_token(call: Call[models.Request]) -> dict[str, object]:
    session = call.caller.session
    # A caller that needs none gets one all the same; nobody will ask for it.
    token = (session and call.store.access.csrf_token(session)) or str(uuid4())
    return models.CsrfToken(csrf_token=token).model_dump()


def _refresh(call: Call[models.Request]) -> dict[str, object]:
    token = call.store.access.refreshed_token(call.caller, expires_in=TOKEN_LIFETIME)
    return models.RefreshedToken(access_token=token, expires_in=TOKEN_LIFETIME).model_dump()


def _sign_in(call: Call[models.SignIn]) -> dict[str, object]:
    email, password, code = call.request.email, call.request.password, call.request.two_factor_code
    user_id = call.store.access.sign_in(email, password, code)
    if user_id is None:
        return {"requiresTwoFactor": True}
    token = call.store.access.issue_token(user_id, session=True, expires_in=TOKEN_LIFETIME)
    return models.RefreshedToken(access_token=token, expires_in=TOKEN_LIFETIME).model_dump()


OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(routes.GET_ME, lambda call: call.store.access.user(call.user)),
    Operation(routes.GET_CSRF_TOKEN, _csrf_token),
    Operation(routes.REFRESH_TOKEN, _refresh),
    Operation(routes.SIGN_IN, _sign_in),
    Operation(routes.LIST_FOLDERS, lambda call: call.store.folders(call.user)),
    Operation(routes.LIST_THREADS, lambda call: call.store.list_threads(call.user, call.request)),
    Operation(routes.GET_THREAD, lambda call: call.store.thread(call.user, call.thread)),
    Operation(routes.SEND_EMAIL, lambda call: call.store.send(call.user, call.request, request_id=call.request_id)),
    Operation(
        routes.SAVE_DRAFT,
        lambda call: call.store.save_draft(call.user, call.request),
        status_of=lambda call: 200 if call.request.id else 201,
    ),
    Operation(routes.SET_READ, lambda call: call.store.set_read(call.user, call.thread, call.request.is_read)),
    Operation(routes.SET_STAR, lambda call: call.store.set_star(call.user, call.thread, call.request.is_starred)),
    Operation(routes.ARCHIVE_THREAD, lambda call: call.store.move(call.user, call.thread, "archive")),
    Operation(routes.BULK_THREADS, _bulk),
    Operation(routes.LINK_CRM_RECORD, _link),
    Operation(routes.UNLINK_CRM_RECORD, lambda call: call.store.unlink_crm(call.user, **call.ids)),
    Operation(routes.GET_STATS, lambda call: call.store.stats(call.user)),
    Operation(routes.SEARCH_THREADS, lambda call: call.store.search(call.user, call.request)),
    Operation(routes.SET_READ_BATCH, _set_read_batch),
    Operation(routes.SET_STAR_BATCH, _set_star_batch),
    Operation(
        routes.ARCHIVE_BATCH,
        lambda call: _move_each(call, call.request.thread_ids, "archive"),
    ),
    Operation(routes.MOVE_BATCH, _move_batch),
    Operation(
        routes.DELETE_BATCH,
        lambda call: _each(call, call.request.thread_ids, lambda thread: call.store.delete(call.user, thread)),
    ),
    Operation(routes.LIST_SCHEDULED, lambda call: call.store.list_scheduled(call.user, call.request)),
    Operation(routes.CANCEL_SCHEDULED, lambda call: call.store.cancel_scheduled(call.user, **call.ids)),
    Operation(routes.SET_FOLLOW_UP, _follow_up),
    Operation(routes.REMOVE_FOLLOW_UP, lambda call: call.store.remove_follow_up(call.user, call.thread)),
)
"""What each route of the contract does. The bodies' types follow from the routes, so `Call` is open here."""
