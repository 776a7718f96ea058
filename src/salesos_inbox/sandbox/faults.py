"""The sandbox told to fail: at which requests, and how, by rule and by seed.

A request that a fault strikes is read whole first, and belongs to the service from then on: where the
fault lets it happen it happens, also after a delay that its client did not wait for. So it is with a
real service, which does not know that nobody listens any more.
"""

import asyncio
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from random import Random
from typing import Annotated, Final

import anyio
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_snake
from pydantic.dataclasses import dataclass as checked_dataclass
from pydantic_core import ErrorDetails
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from salesos_inbox.contract.routes import ROUTES, Route
from salesos_inbox.sandbox.courses import COURSES, ConnectionCut, Course, Exchange, Fault, Kind, Sleep, request_id
from salesos_inbox.sandbox.envelopes import Envelope
from salesos_inbox.sandbox.spelling import Spelling, answer_of

__all__ = ["ConnectionCut", "Fault", "Faults", "Kind", "Rule", "Sleep", "Strike", "parse_faults", "read_faults"]

_INBOX: Final = "/email-inbox"
_STRICT: Final = ConfigDict(extra="forbid")
_EXPIRED: Final = Fault("token_expired")

Speaking = Callable[[Envelope | None], ASGIApp]
"""Makes the service that answers lists in this envelope; None is its usual one."""


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
        if self.method and self.method != self.method.upper():
            raise ValueError(f"methods are written in capitals: write {self.method.upper()}")
        if self.every is not None and self.chance is not None:
            raise ValueError("a rule has either every or chance")
        if self.method == "GET" and COURSES[self.fault.kind].only_writes:
            raise ValueError(f"{self.fault.kind} is a fault of writes: there is none of GET")
        if not any(map(self._concerns, ROUTES)):
            raise ValueError(f"the contract has no {' '.join(filter(None, (self.method, self.path)))}")

    def matches(self, method: str, path: str) -> bool:
        """Return whether the rule is about a request of `method` to `path`."""
        can_fail = method != "GET" or not COURSES[self.fault.kind].only_writes
        return can_fail and self.method in (None, method) and bool(self._path.fullmatch(path))

    def __str__(self) -> str:
        """Say in a line which requests fail, how, and how often."""
        fault = self.fault
        details = {"status": fault.status, "retry_after": fault.retry_after, "seconds": fault.seconds or None}
        how = ", ".join(f"{name} {value}" for name, value in details.items() if value is not None)
        often = (
            f"one in {self.every}" if self.every and self.every > 1 else "",
            f"{self.chance:.0%} of them" if self.chance else "",
            f"at most {self.times}" if self.times else "",
        )
        where = f"{self.method or 'any method'} {self.path or 'any path'}"
        return ", ".join(filter(None, (f"{where}: {fault.kind}{f' ({how})' if how else ''}", *often)))

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
        self.rules = tuple(rules)
        self.done: list[Strike] = []
        self._watches = [_Watch(rule, Random(f"{seed}/{number}")) for number, rule in enumerate(self.rules)]
        self._sleep = sleep
        self._under_way: set[asyncio.Task[Response | None]] = set()
        self._ended: set[str] = set()

    def decide(self, method: str, path: str) -> Fault | None:
        """Return the fault of the next request, or None; `path` as in `Rule`. Every call counts as a request."""
        turn = [watch for watch in self._watches if watch.has_turn(method, path)]
        return turn[0].strike() if turn else None

    def around(self, speaking: Speaking, prefix: str) -> ASGIApp:
        """Return what `speaking` makes, which serves the contract below `prefix`, with these faults."""
        app = speaking(None)

        @cache
        def struck(course: Course) -> ASGIApp:
            spoken = speaking(course.envelope) if course.envelope else app
            return Spelling(name=to_snake).around(spoken, prefix) if course.other_names else spoken

        async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
            path = _below_inbox(scope["path"].removeprefix(prefix)) if scope["type"] == "http" else ""
            fault = self._fate(scope, path) if path else None
            if fault is None:
                await app(scope, receive, send)
            elif (body := await _body(receive)) is not None:
                course = COURSES[fault.kind]
                # A task of its own: whoever waits for the answer may be cancelled, the work may not.
                work = asyncio.create_task(self._work(fault, struck(course), scope, path, body))
                self._under_way.add(work)
                work.add_done_callback(self._under_way.discard)
                answer = await asyncio.shield(work)
                await course.end(Exchange(fault, scope, receive, send, self._sleep, answer))

        return faulty

    def _fate(self, scope: Scope, path: str) -> Fault | None:
        """Return the fault of a request; what comes with a token that was ended is refused."""
        headers = Headers(scope=scope)
        credential = headers.get("authorization") or headers.get("x-api-key") or ""
        fault = self.decide(scope["method"], path)
        if fault and COURSES[fault.kind].ends_token:
            self._ended.add(credential)
        return fault or (_EXPIRED if credential in self._ended else None)

    async def settled(self) -> None:
        """Return when no struck request is left to be performed, whether or not its client still waits."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _work(self, fault: Fault, app: ASGIApp, scope: Scope, path: str, body: bytes) -> Response | None:
        course = COURSES[fault.kind]
        if fault.seconds:
            await self._sleep(fault.seconds)
        answer = await answer_of(app, scope, body) if course.performs else None
        status = answer.status_code if answer else None
        self.done.append(Strike(fault, scope["method"], path, request_id(scope), status))
        return answer


def read_faults(document: object) -> Faults:
    """Return the faults that a parsed JSON or TOML file describes: its `rules`, and a `seed` if it has one.

    Every rule holds the fields of `Rule`, its `fault` those of `Fault`. Raises `ValueError` with a line
    for each thing that is wrong.
    """
    try:
        return _read(document)
    except ValidationError as error:
        raise ValueError("\n".join(complaint for _, complaint in _complaints(error))) from None


def parse_faults(text: str) -> Faults:
    """Return the faults that the text of a file describes, TOML or JSON, whichever it is; see `read_faults`.

    Raises `ValueError`, with a line for each thing that is wrong, which begins with its line in the file.
    """
    try:
        document = json.loads(text) if _is_json(text) else tomllib.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}: {error.msg}") from None
    except tomllib.TOMLDecodeError as error:
        what, _, place = str(error).partition(" (at ")
        line = re.match(r"line (\d+)", place)
        raise ValueError(f"line {line[1] if line else text.count(chr(10)) + 1}: {what}") from None
    try:
        return _read(document)
    except ValidationError as error:
        found = sorted((_line_of(place, text), complaint) for place, complaint in _complaints(error))
        raise ValueError("\n".join(f"line {line}: {complaint}" for line, complaint in found)) from None


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


def _below_inbox(path: str) -> str:
    return path.removeprefix(_INBOX)


_COMPLAINTS: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "unexpected_keyword_argument": "is not known",
    "dataclass_type": "must be a table of names and values",
}
_Place = tuple[int | str, ...]


def _read(document: object) -> Faults:
    described = TypeAdapter(_Document).validate_python(document)
    return Faults(described.rules, described.seed)


def _complaints(error: ValidationError) -> list[tuple[_Place, str]]:
    """Return each thing that is wrong with a document: its place, and a line about it."""
    found = error.errors(include_url=False, include_input=False)
    return [(one["loc"], _complaint(one)) for one in found]


def _complaint(error: ErrorDetails) -> str:
    match error["loc"]:
        case ("rules", int(index), *names):
            place = ", ".join(filter(None, (f"rule {index + 1}", ".".join(map(str, names)))))
        case names:
            place = ".".join(map(str, names)) or "the document"
    if error["type"] == "value_error":
        return f"{place}: {error['msg'].removeprefix('Value error, ')}"
    return f"{place} {_COMPLAINTS.get(error['type']) or error['msg'].replace('Input should be', 'must be')}"


def _is_json(text: str) -> bool:
    return text.lstrip().startswith("{")


def _line_of(place: _Place, text: str) -> int:
    """Return the line that a place of a document stands in, or the next one around it."""
    begin, end, names = 0, len(text), place
    match place:
        case ("rules", int(index), *rest):
            begins = [*(_json_rules(text) if _is_json(text) else _toml_rules(text)), end]
            names = ("rules",)
            if index + 1 < len(begins):
                begin, end, names = begins[index], begins[index + 1], tuple(rest)
        case _:
            pass
    for name in map(str, names):
        if found := re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])").search(text, begin, end):
            begin = found.start()
    return text.count("\n", 0, begin) + 1


def _toml_rules(text: str) -> list[int]:
    """Return where each rule begins."""
    return [found.start() + found[0].index("[") for found in re.finditer(r"^\s*\[\[ *rules *\]\]", text, re.MULTILINE)]


def _json_rules(text: str) -> list[int]:
    """Return where each rule begins."""
    begins: list[int] = []
    found = re.search(r'"rules"\s*:\s*\[\s*', text)
    with suppress(ValueError):  # a text that only looks like the rules
        while found and text[found.end()] != "]":
            _, end = json.JSONDecoder().raw_decode(text, found.end())
            begins.append(found.end())
            found = re.compile(r"\s*,?\s*").match(text, end)
    return begins
