"""How a request fails: each kind of fault, what the service has done by then, and what its client gets."""

import asyncio
import json
import socket
import struct
import sys
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from http import HTTPStatus
from itertools import repeat
from typing import Annotated, Final, Literal

import anyio
from anyio.lowlevel import checkpoint
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked_dataclass
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from salesos_inbox.sandbox.envelopes import Envelope
from salesos_inbox.sandbox.refusals import Refusal, unauthorized

Kind = Literal[
    "delay",
    "reset_before",
    "reset_after",
    "error_before",
    "error_after",
    "throttle",
    "broken_json",
    "truncated_body",
    "cut_chunks",
    "html_page_before",
    "html_page_after",
    "false_success",
    "endless_body",
    "gzip_bomb",
    "slow_bytes",
    "silence_before",
    "silence_after",
    "list_as_array",
    "list_as_items",
    "list_as_data",
    "list_as_plural",
    "list_as_cursor",
    "other_names",
    "token_expired",
    "token_rotated",
    "stale_csrf",
    "redirect",
]
"""What goes wrong; `before` and `after` say whether the service has done by then what it was asked."""

Sleep = Callable[[float], Awaitable[None]]
"""Returns after so many seconds."""

PACE: Final = 1.0
"""Seconds before each of the `slow_bytes`."""
BOMB: Final = 4 * 2**30
"""Bytes that a `gzip_bomb` unpacks to; about a thousandth of it goes over the wire."""
BEGINNING: Final = 16 * 2**20
"""Bytes of an `endless_body` after which it ends for a client in this process, which takes it whole or not at all."""

_MIB: Final = 2**20
_CHUNK: Final = 2**16
_LEAST: Final = 100
_ELSEWHERE: Final = "https://elsewhere.invalid/sign-in"
_LINGER: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""A socket that lingers for no time is closed with a reset (RST) instead of a polite end (FIN)."""


class ConnectionCut(Exception):
    """Raised in place of a cut connection where there is none: the client is in the same process."""


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Fault:
    """One way to fail, after `seconds` in which the service does nothing at all.

    `status` is for kinds that have a choice: 503 for `error_before` and `error_after` unless given, 302
    for a `redirect`. `retry_after`, in seconds, is sent along with an error or a `throttle`, and left out
    where None. `text` is what the service says in words, its own where None.
    """

    kind: Kind
    seconds: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)] = 0.0
    status: Annotated[int, Field(strict=True)] | None = None
    retry_after: Annotated[int, Field(strict=True, ge=0)] | None = None
    text: Annotated[str, Field(strict=True, min_length=1, max_length=10_000)] | None = None

    def __post_init__(self) -> None:
        course = COURSES[self.kind]
        if self.kind == "delay" and not self.seconds:
            raise ValueError("a delay needs its seconds")
        if self.status is not None and self.status not in course.statuses:
            known = ", ".join(map(str, course.statuses)) or "no status"
            raise ValueError(f"{self.kind} cannot have the status {self.status}: it takes {known}")
        if self.retry_after is not None and not course.is_refusal:
            raise ValueError(f"{self.kind} cannot have a retry_after: it answers no error")
        if self.text is not None and not course.speaks:
            raise ValueError(f"{self.kind} cannot have a text: it says nothing in words of its own")


@dataclass(frozen=True)
class Exchange:
    """A struck request when the service has done its part; `answer` is None where it had none."""

    fault: Fault
    scope: Scope
    receive: Receive
    send: Send
    sleep: Sleep
    answer: Response | None

    @property
    def status(self) -> int:
        """The status that the fault answers with."""
        return self.fault.status or COURSES[self.fault.kind].statuses[0]

    @property
    def connection(self) -> asyncio.Transport | None:
        """The connection to the client, None where it is in this process.

        ASGI has no word for cutting a connection. But uvicorn's `send`, with either of its HTTP
        implementations, is a method of the request's cycle, which knows its transport.
        """
        return getattr(getattr(self.send, "__self__", None), "transport", None)

    @property
    def own(self) -> Response:
        """What the service itself answered."""
        assert self.answer, "the service was asked"
        return self.answer

    @property
    def body(self) -> bytes:
        """The body of that; an answer without one could not be spoilt."""
        return bytes(self.own.body) or b"{}"

    async def reply(self, response: Response) -> None:
        """Answer `response`."""
        await response(self.scope, self.receive, self.send)

    async def begin(self, headers: Mapping[str, str]) -> None:
        """Begin the answer as the service did, but with these headers in the place of its length."""
        status = 200 if self.own.status_code == 204 else self.own.status_code
        kept = {name: value for name, value in self.own.headers.items() if name != "content-length"}
        start = Response(None, status, {**kept, "content-type": "application/json"})
        del start.headers["content-length"]
        start.headers.update(headers)
        await self.send({"type": "http.response.start", "status": status, "headers": start.raw_headers})

    async def add(self, part: bytes, *, is_last: bool = False) -> None:
        """Go on with an answer that has begun."""
        await self.send({"type": "http.response.body", "body": part, "more_body": not is_last})

    async def stream(self, parts: AsyncIterator[bytes]) -> None:
        """Go on with `parts` and end the answer; stop where the client leaves."""
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                await until_gone(self.receive)
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            async for part in parts:
                await self.add(part)
                await checkpoint()  # to a client that has left, a server may take whatever there is, at once
            await self.add(b"", is_last=True)
            tasks.cancel_scope.cancel()


@dataclass(frozen=True)
class Course:
    """How a kind of fault goes: what the client gets in the `end`, and whether the service `performs` before.

    `statuses` are those that it may answer with, the first unless another is asked for; `speaks` says
    whether it answers in words. The service performs in another `envelope` of lists, or with
    `other_names`. `ends_token` says that the request's token or key is refused from then on, and
    `only_writes` that nothing else can fail in this way.
    """

    end: Callable[[Exchange], Awaitable[None]]
    performs: bool
    statuses: tuple[int, ...] = ()
    speaks: bool = False
    envelope: Envelope | None = None
    other_names: bool = False
    ends_token: bool = False
    only_writes: bool = False

    @property
    def is_refusal(self) -> bool:
        """Whether it answers an error that may say when to come back."""
        return any(status == 429 or status >= 500 for status in self.statuses)


async def until_gone(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def request_id(scope: Scope) -> str:
    """Return the id that a request gives itself, or nothing."""
    return Headers(scope=scope).get("x-request-id", "")


async def _answer(exchange: Exchange) -> None:
    await exchange.reply(exchange.own)


async def _refuse(exchange: Exchange) -> None:
    """Answer an error: as the service words it, or as the gateway before it does."""
    status, fault = exchange.status, exchange.fault
    phrase = HTTPStatus(status).phrase
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if status in (502, 504):
        await exchange.reply(HTMLResponse(_page(fault.text or f"{status} {phrase}"), status, headers))
    else:
        await _answer_refusal(exchange, Refusal(status, fault.text or phrase), headers)


async def _refuse_token(exchange: Exchange) -> None:
    await _answer_refusal(exchange, unauthorized())


async def _refuse_csrf_token(exchange: Exchange) -> None:
    await _answer_refusal(exchange, Refusal(403, "Invalid CSRF token"))


async def _answer_refusal(exchange: Exchange, refusal: Refusal, headers: Mapping[str, str] | None = None) -> None:
    body = refusal.body(request_id(exchange.scope))
    await exchange.reply(JSONResponse(body, refusal.status, {**refusal.headers, **(headers or {})}))


async def _refuse_with_success(exchange: Exchange) -> None:
    message = exchange.fault.text or "The request could not be processed"
    await exchange.reply(JSONResponse({"success": False, "message": message}, 201))


async def _redirect(exchange: Exchange) -> None:
    page = _page(exchange.fault.text or "Moved")
    await exchange.reply(HTMLResponse(page, exchange.status, {"Location": _ELSEWHERE}))


async def _show_page(exchange: Exchange) -> None:
    await exchange.reply(HTMLResponse(_page(exchange.fault.text or "Sign in to continue")))


async def _break_off(exchange: Exchange) -> None:
    """Answer half of the body, in a message that is whole: nothing but the JSON is broken."""
    half = _half(exchange.body)
    await exchange.begin({"content-length": str(len(half))})
    await exchange.add(half, is_last=True)


async def _break_off_early(exchange: Exchange) -> None:
    """Answer half of the body that the message announces, and close the connection."""
    await exchange.begin({"content-length": str(len(exchange.body))})
    await _close_after(exchange, _half(exchange.body))


async def _break_off_between_chunks(exchange: Exchange) -> None:
    """Answer half of the body in chunks, and close the connection before the last."""
    await exchange.begin({})
    await _close_after(exchange, _half(exchange.body))


async def _close_after(exchange: Exchange, part: bytes) -> None:
    await exchange.add(part)
    _transport(exchange).close()  # after what was written
    await until_gone(exchange.receive)


async def _never_end(exchange: Exchange) -> None:
    """Answer a list that has no end."""
    one = json.dumps(exchange.fault.text or "and so on").encode() + b","
    part = one * (_CHUNK // len(one) + 1)
    most = BEGINNING // len(part) if exchange.connection is None else None

    async def parts() -> AsyncIterator[bytes]:
        yield b"["
        for _ in repeat(None) if most is None else repeat(None, most):
            yield part

    await exchange.begin({})
    await exchange.stream(parts())


async def _explode(exchange: Exchange) -> None:
    """Answer what is small as long as nobody unpacks it: the beginning of a list, and no end of spaces."""

    async def parts() -> AsyncIterator[bytes]:
        for part in bomb():
            yield part

    await exchange.begin({"content-encoding": "gzip"})
    await exchange.stream(parts())


async def _trickle(exchange: Exchange) -> None:
    """Answer byte by byte, what is short behind spaces, so that it takes its time as well."""
    body = exchange.body.rjust(_LEAST)

    async def parts() -> AsyncIterator[bytes]:
        for byte in body:
            await exchange.sleep(PACE)
            yield bytes([byte])

    await exchange.begin({"content-length": str(len(body))})
    await exchange.stream(parts())


async def _say_nothing(exchange: Exchange) -> None:
    await until_gone(exchange.receive)


async def _cut(exchange: Exchange) -> None:
    """Reset the connection (RST); the client learns of it at once, and gets nothing else."""
    transport = _transport(exchange)
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
    transport.abort()
    await until_gone(exchange.receive)  # the server takes a return before that for a bug, and says so in its log


def _transport(exchange: Exchange) -> asyncio.Transport:
    """Return the connection; raises `ConnectionCut` where there is none."""
    if exchange.connection is None:
        raise ConnectionCut("The connection was cut.")
    return exchange.connection


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2]


@cache
def _blocks() -> tuple[bytes, bytes]:
    """Return the beginning of a gzip stream, and a MiB of it that may follow as often as one likes."""
    packer = zlib.compressobj(9, wbits=31)
    return tuple(packer.compress(part) + packer.flush(zlib.Z_FULL_FLUSH) for part in (b"[", b" " * _MIB))  # pyright: ignore[reportReturnType] -- two parts


def bomb() -> Iterator[bytes]:
    """Return the parts of a gzip stream of `BOMB` bytes, made one by one."""
    head, block = _blocks()
    yield head
    yield from repeat(block * 16, BOMB // (16 * _MIB))


def _page(title: str) -> str:
    words = escape(title)
    return f"<!doctype html><html><head><title>{words}</title></head><body><h1>{words}</h1></body></html>"


_ERRORS: Final = (503, 500, 502, 504)
COURSES: Final[Mapping[Kind, Course]] = {
    "delay": Course(_answer, performs=True),
    "reset_before": Course(_cut, performs=False),
    "reset_after": Course(_cut, performs=True),
    "error_before": Course(_refuse, performs=False, statuses=_ERRORS, speaks=True),
    "error_after": Course(_refuse, performs=True, statuses=_ERRORS, speaks=True),
    "throttle": Course(_refuse, performs=False, statuses=(429,), speaks=True),
    "broken_json": Course(_break_off, performs=True),
    "truncated_body": Course(_break_off_early, performs=True),
    "cut_chunks": Course(_break_off_between_chunks, performs=True),
    "html_page_before": Course(_show_page, performs=False, speaks=True),
    "html_page_after": Course(_show_page, performs=True, speaks=True),
    "false_success": Course(_refuse_with_success, performs=False, speaks=True),
    "endless_body": Course(_never_end, performs=True, speaks=True),
    "gzip_bomb": Course(_explode, performs=True),
    "slow_bytes": Course(_trickle, performs=True),
    "silence_before": Course(_say_nothing, performs=False),
    "silence_after": Course(_say_nothing, performs=True),
    "list_as_array": Course(_answer, performs=True, envelope="array"),
    "list_as_items": Course(_answer, performs=True, envelope="items"),
    "list_as_data": Course(_answer, performs=True, envelope="data"),
    "list_as_plural": Course(_answer, performs=True, envelope="plural"),
    "list_as_cursor": Course(_answer, performs=True, envelope="cursor"),
    "other_names": Course(_answer, performs=True, other_names=True),
    "token_expired": Course(_refuse_token, performs=False),
    "token_rotated": Course(_refuse_token, performs=False, ends_token=True),
    "stale_csrf": Course(_refuse_csrf_token, performs=False, only_writes=True),
    "redirect": Course(_redirect, performs=False, statuses=(302, 301, 303, 307, 308), speaks=True),
}
"""What each kind of fault is; a new one is a row."""
