"""The sandbox told to fail: at which requests, and how, by rule and by seed.

A request that a fault strikes is read whole first, and belongs to the service from then on: where the
fault lets it happen it happens, also after a delay that its client did not wait for. So it is with a
real service, which does not know that nobody listens any more.
"""

import asyncio
import re
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from random import Random
from typing import Annotated, Final, Literal

import anyio
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass
from pydantic_core import ErrorDetails
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from salesos_inbox.contract.routes import ROUTES, Route
from salesos_inbox.sandbox.refusals import Refusal

Kind = Literal[
    "delay",
    "reset_before",
    "reset_after",
    "error_before",
    "error_after",
    "broken_json",
    "html_page_before",
    "html_page_after",
    "throttle",
    "silence_before",
    "silence_after",
]
"""What goes wrong; `before` and `after` say whether the service has done by then what it was asked."""

Sleep = Callable[[float], Awaitable[None]]
"""Returns after so many seconds."""

_INBOX: Final = "/email-inbox"
_GATEWAY: Final = (502, 504)
_STRICT: Final = ConfigDict(extra="forbid")
_LINGER: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""A socket that lingers for no time is closed with a reset (RST) instead of a polite end (FIN)."""


class ConnectionCut(Exception):
    """Raised in place of a cut connection where there is none: the client is in the same process."""


@checked_dataclass(frozen=True, config=_STRICT)
class Fault:
    """One way to fail, after `seconds` in which the service does nothing at all.

    `status` is that of `error_before` and `error_after`, 503 unless given; `retry_after`, in seconds,
    is sent along with these or a `throttle`, and left out where None.
    """

    kind: Kind
    seconds: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)] = 0.0
    status: Annotated[int, Field(strict=True)] | None = None
    retry_after: Annotated[int, Field(strict=True, ge=0)] | None = None

    def __post_init__(self) -> None:
        statuses = _COURSES[self.kind].statuses
        if self.kind == "delay" and not self.seconds:
            raise ValueError("a delay needs its seconds")
        if self.status is not None and self.status not in statuses:
            known = ", ".join(map(str, statuses)) or "no status"
            raise ValueError(f"{self.kind} cannot have the status {self.status}: it takes {known}")
        if self.retry_after is not None and not statuses:
            raise ValueError(f"{self.kind} cannot have a retry_after: it answers no error")


@checked_dataclass(frozen=True, config=_STRICT)
class Rule:
    """Which requests a fault strikes: those of `method` and `path`, each of them all where None.

    `path` stands below `/email-inbox` (the session's paths as they are: `/auth/refresh`), with `*` for
    one segment and `**` for anything. Of those requests it strikes every `every`-th, or each with the
    probability `chance`, or all; and `times` of them at most.
    """

    fault: Fault
    method: str | None = None
    path: str | None = None
    times: Annotated[int, Field(strict=True, ge=1)] | None = None
    every: Annotated[int, Field(strict=True, ge=1)] | None = None
    chance: Annotated[float, Field(strict=True, gt=0, le=1)] | None = None

    def __post_init__(self) -> None:
        if self.every is not None and self.chance is not None:
            raise ValueError("a rule has either every or chance")
        if not any(map(self._concerns, ROUTES)):
            raise ValueError(f"the contract has no {' '.join(filter(None, (self.method, self.path)))}")

    def matches(self, method: str, path: str) -> bool:
        """Return whether the rule is about a request of `method` to `path`."""
        return self.method in (None, method) and bool(self._path.fullmatch(path))

    def _concerns(self, route: Route) -> bool:
        """Return whether there are requests to `route` that the rule is about."""
        template = _below_inbox(route.path)
        any_ids = re.sub(r"\{\w+\}", "[^/]+", template)
        fits = self._path.fullmatch(template) or re.fullmatch(any_ids, self.path or "")
        return self.method in (None, route.method) and bool(fits)

    @cached_property
    def _path(self) -> re.Pattern[str]:
        literal = re.escape("**" if self.path is None else self.path)
        return re.compile(literal.replace(r"\*\*", ".*").replace(r"\*", "[^/]+"), re.DOTALL)


@dataclass(frozen=True)
class Strike:
    """A fault that happened: to which request, and what the service itself made of that.

    `status` is the service's own answer, whatever the client was told, and None where it was never asked.
    """

    fault: Fault
    method: str
    path: str
    request_id: str
    status: int | None

    @property
    def performed(self) -> bool:
        """Whether the service did what the request asked for."""
        return self.status is not None and self.status < 300


class Faults:
    """Decides for every request whether and how it fails; `done` tells what did happen, the oldest first.

    Each rule counts, and draws lots for, the requests that it is about, in the order in which they
    come; the first rule whose turn it is strikes. So the same requests in the same order fail in the
    same way wherever `rules` and `seed` are the same. `sleep` is how time passes.
    """

    def __init__(self, rules: Iterable[Rule], seed: int = 0, *, sleep: Sleep = anyio.sleep) -> None:
        self.done: list[Strike] = []
        self._watches = [_Watch(rule, Random(f"{seed}/{number}")) for number, rule in enumerate(rules)]
        self._sleep = sleep
        self._under_way: set[asyncio.Task[Response | None]] = set()

    def decide(self, method: str, path: str) -> Fault | None:
        """Return the fault of the next request, or None; `path` as in `Rule`. Every call counts as a request."""
        turn = [watch for watch in self._watches if watch.has_turn(method, path)]
        return turn[0].strike() if turn else None

    def around(self, app: ASGIApp, prefix: str) -> ASGIApp:
        """Return `app`, which serves the contract below `prefix`, with these faults."""

        async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
            path = _below_inbox(scope["path"].removeprefix(prefix)) if scope["type"] == "http" else ""
            fault = self.decide(scope["method"], path) if path else None
            if fault is None:
                await app(scope, receive, send)
            elif (body := await _body(receive)) is not None:
                # A task of its own: whoever waits for the answer may be cancelled, the work may not.
                work = asyncio.create_task(self._work(fault, app, scope, path, body))
                self._under_way.add(work)
                work.add_done_callback(self._under_way.discard)
                answer = await asyncio.shield(work)
                await _COURSES[fault.kind].end(_Exchange(fault, scope, receive, send, answer))

        return faulty

    async def settled(self) -> None:
        """Return when no struck request is left to be performed, whether or not its client still waits."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _work(self, fault: Fault, app: ASGIApp, scope: Scope, path: str, body: bytes) -> Response | None:
        if fault.seconds:
            await self._sleep(fault.seconds)
        answer = await _answer_of(app, scope, body) if _COURSES[fault.kind].performs else None
        status = answer.status_code if answer else None
        self.done.append(Strike(fault, scope["method"], path, _request_id(scope), status))
        return answer


def read_faults(document: object) -> Faults:
    """Return the faults that a parsed JSON or TOML file describes: its `rules`, and a `seed` if it has one.

    Every rule holds the fields of `Rule`, its `fault` those of `Fault`. Raises `ValueError` with a line
    for each thing that is wrong.
    """
    try:
        described = TypeAdapter(_Document).validate_python(document)
    except ValidationError as error:
        raise ValueError("\n".join(map(_complaint, error.errors(include_url=False, include_input=False)))) from None
    return Faults(described.rules, described.seed)


@checked_dataclass(frozen=True, config=_STRICT)
class _Document:
    rules: list[Rule]
    seed: Annotated[int, Field(strict=True)] = 0


@dataclass
class _Watch:
    """A rule, and what it has seen so far."""

    rule: Rule
    lots: Random
    seen: int = 0
    struck: int = 0

    def has_turn(self, method: str, path: str) -> bool:
        """Count a request, if it is one of the rule's, and return whether it is the rule's turn to strike."""
        if not self.rule.matches(method, path):
            return False
        self.seen += 1
        drawn = self.rule.chance is None or self.lots.random() < self.rule.chance
        return drawn and self.seen % (self.rule.every or 1) == 0 and self.struck != self.rule.times

    def strike(self) -> Fault:
        self.struck += 1
        return self.rule.fault


@dataclass(frozen=True)
class _Exchange:
    """A struck request when the service has done its part; `answer` is None where it had none."""

    fault: Fault
    scope: Scope
    receive: Receive
    send: Send
    answer: Response | None

    async def reply(self, response: Response) -> None:
        await response(self.scope, self.receive, self.send)


@dataclass(frozen=True)
class _Course:
    """How a kind of fault goes: what the client gets in the `end`, and whether the service `performs` before.

    `statuses` are those that it may answer with, the first unless another is asked for.
    """

    end: Callable[[_Exchange], Awaitable[None]]
    performs: bool
    statuses: tuple[int, ...] = ()


async def _answer(exchange: _Exchange) -> None:
    assert exchange.answer, "the service was asked"
    await exchange.reply(exchange.answer)


async def _break_off(exchange: _Exchange) -> None:
    """Answer half of the body, in a message that is whole: nothing but the JSON is broken."""
    assert exchange.answer, "the service was asked"
    whole = bytes(exchange.answer.body)
    headers = {name: value for name, value in exchange.answer.headers.items() if name != "content-length"}
    status = exchange.answer.status_code
    half = whole[: len(whole) // 2] or b"{"
    await exchange.reply(Response(half, 200 if status == 204 else status, headers, "application/json"))


async def _refuse(exchange: _Exchange) -> None:
    """Answer an error: as the service words it, or as the gateway before it does."""
    fault = exchange.fault
    status = fault.status or _COURSES[fault.kind].statuses[0]
    phrase = HTTPStatus(status).phrase
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if status in _GATEWAY:
        await exchange.reply(HTMLResponse(_page(f"{status} {phrase}"), status, headers))
        return
    body = Refusal(status, phrase).body(_request_id(exchange.scope))
    await exchange.reply(JSONResponse(body, status, headers))


async def _show_page(exchange: _Exchange) -> None:
    await exchange.reply(HTMLResponse(_page("Sign in to continue")))


async def _say_nothing(exchange: _Exchange) -> None:
    await _until_gone(exchange.receive)


async def _cut(exchange: _Exchange) -> None:
    """Reset the connection (RST); the client learns of it at once, and gets nothing else."""
    transport = _transport(exchange.send)
    if transport is None:
        raise ConnectionCut("The connection was cut.")
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
    transport.abort()
    await _until_gone(exchange.receive)  # the server takes a return before that for a bug, and says so in its log


def _transport(send: Send) -> asyncio.Transport | None:
    """Return the connection behind `send`, or None where the client is in this process.

    ASGI has no word for cutting a connection. But uvicorn's `send`, with either of its HTTP
    implementations, is a method of the request's cycle, which knows its transport.
    """
    return getattr(getattr(send, "__self__", None), "transport", None)


_ERRORS: Final = (503, 500, 502, 504)
_COURSES: Final[Mapping[Kind, _Course]] = {
    "delay": _Course(_answer, performs=True),
    "reset_before": _Course(_cut, performs=False),
    "reset_after": _Course(_cut, performs=True),
    "error_before": _Course(_refuse, performs=False, statuses=_ERRORS),
    "error_after": _Course(_refuse, performs=True, statuses=_ERRORS),
    "broken_json": _Course(_break_off, performs=True),
    "html_page_before": _Course(_show_page, performs=False),
    "html_page_after": _Course(_show_page, performs=True),
    "throttle": _Course(_refuse, performs=False, statuses=(429,)),
    "silence_before": _Course(_say_nothing, performs=False),
    "silence_after": _Course(_say_nothing, performs=True),
}


async def _body(receive: Receive) -> bytes | None:
    """Return the request's whole body, or None where the client left before its end."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


async def _until_gone(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer_of(app: ASGIApp, scope: Scope, body: bytes) -> Response:
    """Return what `app` answers to a request that is here already."""
    answered: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        answered.append(message)

    await app(scope, receive, send)
    start, *parts = answered
    response = Response(b"".join(part.get("body", b"") for part in parts), start["status"])
    response.raw_headers = list(start["headers"])
    return response


def _below_inbox(path: str) -> str:
    return path.removeprefix(_INBOX)


def _request_id(scope: Scope) -> str:
    return Headers(scope=scope).get("x-request-id", "")


def _page(title: str) -> str:
    return f"<!doctype html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"


_COMPLAINTS: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "unexpected_keyword_argument": "is not known",
    "dataclass_type": "must be a table of names and values",
}


def _complaint(error: ErrorDetails) -> str:
    """Return what is wrong at one place of a document, in a line."""
    match error["loc"]:
        case ("rules", int(index), *names):
            place = ", ".join(filter(None, (f"rule {index + 1}", ".".join(map(str, names)))))
        case names:
            place = ".".join(map(str, names)) or "the document"
    if error["type"] == "value_error":
        return f"{place}: {error['msg'].removeprefix('Value error, ')}"
    return f"{place} {_COMPLAINTS.get(error['type']) or error['msg'].replace('Input should be', 'must be')}"
