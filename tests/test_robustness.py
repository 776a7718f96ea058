"""Whatever a client sends and whatever the service answers, a tool answers in words or with a smaller truth."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolResult

from harness import Office, Person, open_office, text_of
from salesos_inbox.client.http import InboxClient
from salesos_inbox.manifest import register
from salesos_inbox.tools.catalogue import CATALOGUE

pytestmark = pytest.mark.anyio

MOST_ANSWERED = 60_000
"""Bytes of an answer, unless `max_tokens` asks for more."""
MOST_SAID = 400
"""Characters of an error."""
MOST_ECHOED = 100
"""Characters of an argument that an error may repeat in a row."""

SCHEMAS: dict[str, dict[str, Any]] = {tool.name: register(tool).parameters for tool in CATALOGUE}
ANSWERS = {tool.name: Draft202012Validator(register(tool).output_schema or {}) for tool in CATALOGUE}
LEAVES_OR_REMOVES = ("/send", "/threads/delete")

UNTIRING = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=7,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
"""A workday each, of some fifteen calls; a failure names its call, so it is not shrunk."""


# What is called


@dataclass(frozen=True)
class Seen:
    """The `number`-th value that this office's answers gave under `name` so far, changed by `mangle`."""

    name: str
    number: int
    mangle: Callable[[str], str]


@dataclass(frozen=True)
class Call:
    """A call of a tool, with arguments that may refer to earlier answers."""

    tool: str
    arguments: dict[str, Any]


SEEN_NAMES = ("thread_id", "draft_id", "scheduled_id", "undo_id", "next_cursor")
MANGLES: tuple[Callable[[str], str], ...] = (
    *(str,) * 8,
    lambda text: text[:-1],
    lambda text: f" {text}\n",
    lambda text: f"{text}9",
    lambda text: f"{text.partition('.')[0]}.{'9' * 30}",
    lambda text: f"{text.partition('.')[0]}.0",
    lambda text: f"{text.partition('.')[0]}.~foreign",
    lambda text: f"{text.partition('.')[0]}.{'9' * 1990}.x",
    lambda text: f"{text.partition('.')[0]}.99999999999.{text.rpartition('.')[2]}",
    lambda text: text.upper(),
)
ODD_TEXTS = (
    *("", " ", ".", "..", "../..", "\x00", "a\nb", "null", "[]", "{}", '["a"]', "[" * 2000, "9" * 5000, "0", "-1"),
    *("\u202e\u200b", "\U000e0041" * 60, "\ufffd", "ﷺ" * 30, "e\u0301" * 60, "٣", "\u2028", "%00%2e%2e", "a'\"`;--"),
    *("x" * 201, "y" * 501, "z" * 901, "w" * 70_000, "\ud83d", "\ud83d" * 50, "😀" * 300, "<b>" * 2000, '"' * 99),
)
TIMES = (
    *("2026-11-23T09:00:00+01:00", "2026-11-23", "2026-11-23 09:00", "20261123T090000Z", "2026-W47-3", "tomorrow"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1970-01-01", "2200-12-31T23:59:59-23:59"),
    *("2027-03-28T02:30:00", "2026-10-25T02:30:00", "2026-11-23T24:00:00", "2026-02-30T09:00:00Z", "1763629200"),
    *("2026-11-18T09:00:00.000001Z", "1969-12-31T23:59:59Z", "2026-11-23T09:00:00+99:00", "٢٠٢٦-١١-٢٣T09:00:00Z"),
)
ADDRESSES = (
    *("ann@example.com", "Ann Lee <ann@example.com>", "maya.lindqvist@northwind.example", "a@b", "@", "<>", "a@b@c"),
    *('"Lee, Ann" <ann@example.com>', "ann@bücher.example", "Ann <ann@example.com>, Bo <bo@example.com>", "a@" * 600),
    *("x" * 65 + "@example.com", "ann@[127.0.0.1]", "ann@example.com\r\nBcc: eve@example.com", "ann@xn--.example"),
)
FOLDERS = ("inbox", "INBOX ", "sent", "drafts", "scheduled", "archive", "trash", "spam", "Deals", "no such folder")

odd = st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=40))
odd_names = odd.filter(lambda text: "\ud83d" not in text)
"""A client of the SDK cannot send half a character as the name of a field."""
number = st.sampled_from([0, 1, 2, 20, 100, -1, 2**63, 10**400, 1.5, 1e308, float("inf"), float("nan")])
junk = st.recursive(
    st.one_of(st.none(), st.booleans(), number, odd),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(odd_names, inner, max_size=3)),
    max_leaves=6,
)


def seen(name: str) -> st.SearchStrategy[Seen]:
    """A value of the office's own answers, mostly as it was given."""
    return st.builds(Seen, st.just(name), st.integers(0, 30), st.sampled_from(MANGLES))


def mostly(usual: st.SearchStrategy[Any], rare: st.SearchStrategy[Any], *, of: int = 8) -> st.SearchStrategy[Any]:
    """`usual`, but about once in `of` draws `rare`."""
    return st.integers(1, of).flatmap(lambda drawn: rare if drawn == of else usual)


any_seen = st.sampled_from(SEEN_NAMES).flatmap(seen)
addresses = st.lists(mostly(st.sampled_from(ADDRESSES), odd), max_size=3)
by_name: dict[str, st.SearchStrategy[Any]] = {
    **{name: seen(name) for name in SEEN_NAMES},
    "cursor": seen("next_cursor"),
    "folder": st.sampled_from(FOLDERS),
    "query": st.sampled_from(["offer", "price the", "AND OR", '"', "a*b"]),
    "record_id": st.sampled_from(["lead-1", "a/b", "%2e%2e"]),
    "body": st.sampled_from(["Thank you.", "\n", "<p>Hi</p>\x00", "b" * 100_000]),
    "subject": st.sampled_from(["Offer", "", "s" * 900]),
    "note": st.sampled_from(["call", "n" * 200]),
    **dict.fromkeys(("after", "before", "send_at", "remind_at"), st.sampled_from(TIMES)),
    **dict.fromkeys(("to", "cc", "bcc"), addresses),
}


def fitting(name: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """A value that `schema` allows, or is meant to."""
    if name in by_name:
        return by_name[name]
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum", 0), schema.get("maximum", 100))
        case "array":
            item = seen("thread_id") if name == "thread_ids" else value_of("", schema["items"])
            return st.lists(mostly(item, any_seen | odd), max_size=5)
        case "object":
            return objects(schema)
        case _:
            return odd


def value_of(name: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """A value for the argument `name`: mostly a fitting one, else one of another kind, or junk."""
    return mostly(fitting(name, schema), st.one_of(odd, any_seen, number, junk), of=14)


@st.composite
def objects(draw: st.DrawFn, schema: dict[str, Any]) -> dict[str, Any]:
    """An object of `schema`: some optional fields left out, rarely a needed one, rarely one too many."""
    given_fields: dict[str, Any] = {}
    for name, about in schema["properties"].items():
        if draw(st.integers(1, 20)) > (1 if name in schema.get("required", ()) else 13):
            given_fields[name] = draw(value_of(name, about))
    if draw(st.integers(1, 25)) == 25:
        given_fields[draw(odd_names)] = draw(junk)
    return given_fields


def call_of(tool: str) -> st.SearchStrategy[Call]:
    """A call of `tool`."""
    return st.builds(Call, st.just(tool), objects(SCHEMAS[tool]))


unknown_calls = st.builds(Call, odd, st.just({}))
PAGING: tuple[tuple[str, dict[str, Any]], ...] = (
    ("list_threads", {"folder": "inbox", "limit": 3}),
    ("search_threads", {"query": "the", "limit": 2}),
    ("list_scheduled", {"limit": 1}),
)
"""Queries that are asked once before, so that there are cursors of theirs."""


def page_after(query: tuple[str, dict[str, Any]], cursor: Seen) -> Call:
    """The call that asks a query's next page, or means to."""
    return Call(query[0], {**query[1], "cursor": cursor})


paging = st.builds(page_after, st.sampled_from(PAGING), seen("next_cursor"))
calls = mostly(mostly(st.sampled_from(sorted(SCHEMAS)).flatmap(call_of), paging), unknown_calls, of=40)
workdays = st.lists(calls, min_size=12, max_size=24)


# What is answered


@dataclass
class Desk:
    """An office that remembers the ids of its answers."""

    office: Office
    found: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    async def begin(self) -> None:
        """Look around once, so that there are ids to speak of."""
        thread_ids = await self.office.thread_ids(limit=20)
        for call in (
            *(Call(*query) for query in PAGING),
            Call("list_threads", {"folder": "drafts"}),
            Call("read_thread", {"thread_id": thread_ids[0], "max_tokens": 300}),
            Call("star_threads", {"thread_ids": thread_ids[:2]}),
        ):
            await self.answer(call)

    async def answer(self, call: Call) -> tuple[dict[str, Any], CallToolResult | None]:
        """Return the arguments as they went out and the answer, None for a tool there is not."""
        arguments = cast("dict[str, Any]", self._resolve(call.arguments))
        try:
            result = await self.office.client.call_tool(call.tool, arguments)
        except MCPError as error:
            assert call.tool not in SCHEMAS, (call.tool, arguments, error)
            assert error.error.code == INVALID_PARAMS
            assert len(str(error)) < MOST_SAID
            return arguments, None
        self._remember(result.structured_content)
        return arguments, result

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, Seen):
            found = self.found.get(value.name) or ["nothing-yet"]
            return value.mangle(found[value.number % len(found)])
        if isinstance(value, dict):
            return {name: self._resolve(item) for name, item in cast("dict[str, Any]", value).items()}
        if isinstance(value, list):
            return [self._resolve(item) for item in cast("list[Any]", value)]
        return value

    def _remember(self, answer: Any) -> None:
        if isinstance(answer, dict):
            for name, value in cast("dict[str, Any]", answer).items():
                if name in SEEN_NAMES and isinstance(value, str) and value not in self.found.setdefault(name, []):
                    self.found[name].append(value)
                self._remember(value)
        if isinstance(answer, list):
            for item in cast("list[Any]", answer):
                self._remember(item)


def texts_in(value: Any) -> Iterable[str]:
    """Every text in JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in cast("dict[str, Any]", value).items():
            yield name
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from texts_in(item)


def code_of(result: CallToolResult) -> str | None:
    """The code of an error, None for a success."""
    return text_of(result).partition(":")[0] if result.is_error else None


def complaints(tool: str, arguments: dict[str, Any], result: CallToolResult) -> Iterable[str]:
    """What is wrong with an answer, whoever asked and whatever the service said."""
    text = text_of(result)
    if result.is_error:
        if code_of(result) == "error":
            yield "failed inside this server"
        if len(text) >= MOST_SAID:
            yield f"an error of {len(text)} characters"
        if len(text.splitlines()) != 1 or not text.isprintable():
            yield "an error that is not one printable line"
        pieces = {text[at : at + MOST_ECHOED + 1] for at in range(len(text) - MOST_ECHOED)}
        if any(piece in given_text for given_text in texts_in(arguments) for piece in pieces):
            yield "an error that repeats its argument"
        return
    found = cast("Iterable[ValidationError]", ANSWERS[tool].iter_errors(result.structured_content))  # pyright: ignore[reportUnknownMemberType] -- partly typed
    yield from (f"not its schema: {error.message[:200]}" for error in found)
    if "max_tokens" not in arguments and len(text.encode()) >= MOST_ANSWERED:
        yield f"an answer of {len(text.encode())} bytes"


def told(tool: str, arguments: dict[str, Any], result: CallToolResult) -> str:
    """A call and its answer, for the one who reads a failure."""
    return f"{tool} {json.dumps(arguments)[:600]} -> {text_of(result)[:500]}"


# The polite service


class Listening(httpx.AsyncBaseTransport):
    """Remembers what the service refused as invalid."""

    def __init__(self, wire: httpx.AsyncBaseTransport) -> None:
        self.wire = wire
        self.refused: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` on."""
        response = await self.wire.handle_async_request(request)
        if response.status_code in {400, 422}:
            content = await response.aread()
            self.refused.append(f"{request.method} {str(request.url)[-200:]}: {content.decode()[:300]}")
        return response


def over(office: Office, wire: httpx.AsyncBaseTransport) -> None:
    """Let the office's server speak to the service over `wire`."""
    office.services.open_client = lambda: InboxClient(
        office.services.settings, transport=wire, clock=lambda: office.clock().timestamp()
    )


@UNTIRING
@given(workday=workdays)
async def test_whatever_is_asked_is_answered_in_words(workday: list[Call]) -> None:
    async with open_office() as office:
        listening = Listening(office.wire)
        over(office, listening)
        desk = Desk(office)
        await desk.begin()
        for call in workday:
            arguments, result = await desk.answer(call)
            if result is None:
                continue
            wrong = list(complaints(call.tool, arguments, result))
            if code_of(result) in {"contract_broken", "outcome_unknown", "unavailable", "unauthorized"}:
                wrong.append("a fault of ours laid on the service")
            wrong += [f"let through what the service refuses: {refused}" for refused in listening.refused]
            assert not wrong, (wrong, told(call.tool, arguments, result))


@UNTIRING
@given(workday=workdays)
async def test_nothing_leaves_and_nothing_goes_after_a_no(workday: list[Call]) -> None:
    async with open_office(person=Person("decline")) as office:
        desk = Desk(office)
        await desk.begin()
        message = {"to": ["ann@example.com"], "body": "Hello", "subject": "Offer"}
        asking = Call("send_email", message), Call("delete_threads", {"thread_ids": [Seen("thread_id", 3, str)]})
        for call in [*workday, *asking]:
            await desk.answer(call)
        assert len(office.person.cards) >= len(asking)
        assert not [write for write in office.wire.writes() if leaves_or_removes(*write)]


def leaves_or_removes(method: str, path: str, body: Any) -> bool:
    """Whether a request needs a person's yes."""
    if method == "DELETE":
        return path.startswith("/scheduled") or "/crm-links/" in path
    return path in LEAVES_OR_REMOVES or (path == "/threads/bulk" and body["action"] == "delete")


# The service that answers garbage

GARBAGE_VALUES: tuple[Any, ...] = (
    *(None, "", "x", 0, -1, 1.5, True, [], {}, [None], [[]], {"a": None}, "\ud83d", "\x00\n", "9" * 400, 10**30),
    *("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2026-11-18", 1e300, float("nan"), "x" * 70_000),
    *("ü", "../..", "a@b", "inbox", "custom", [5, "a", None]),
)
BODIES = (
    b"",
    b"null",
    b"[]",
    b"{}",
    b"<html>Sign in</html>",
    b"{",
    b"5",
    b'"ok"',
    b"\xff\xfe",
    b"[" * 100_000,
    b"[null]",
)
ENVELOPES: tuple[Callable[[Any], Any], ...] = (
    lambda value: {"data": value},
    lambda value: {"items": value, "total": "many"},
    lambda value: [value],
    lambda value: {"data": {"data": value}},
    lambda value: {"success": True},
    lambda value: {"results": value, "hasMore": True, "nextCursor": "x" * 3000},
)


@dataclass(frozen=True)
class Twist:
    """How an answer is spoiled: `how`, at the `place`-th of its values, by the `what`-th of a kind."""

    how: str
    place: int
    what: int

    def spoil(self, content: bytes) -> bytes:
        """Return the answer as it arrives."""
        if self.how == "body":
            return BODIES[self.what % len(BODIES)]
        try:
            document: Any = json.loads(content)
        except ValueError:
            return content
        if self.how == "envelope":
            return json.dumps(ENVELOPES[self.what % len(ENVELOPES)](document)).encode()
        places = list(places_in(document))
        names = list(dict.fromkeys(key for _, key in places if isinstance(key, str)))
        if places and self.how == "everywhere" and names:
            for holder, key in places:
                if key == names[self.place % len(names)]:
                    holder[key] = GARBAGE_VALUES[self.what % len(GARBAGE_VALUES)]
        elif places:
            holder, key = places[self.place % len(places)]
            holder[key] = GARBAGE_VALUES[self.what % len(GARBAGE_VALUES)]
            if self.how == "missing":
                del holder[key]
        return json.dumps(document).encode()


def places_in(value: Any) -> Iterable[tuple[Any, Any]]:
    """Every place in JSON that a value stands in, as its holder and its key."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(cast("dict[str, Any]", value).items())
    if isinstance(value, list):
        items = list(enumerate(cast("list[Any]", value)))
    for key, item in items:
        yield value, key
        yield from places_in(item)


class Spoiling(httpx.AsyncBaseTransport):
    """Spoils every `every`-th answer by the next of `twists`, once `awake`."""

    def __init__(self, wire: httpx.AsyncBaseTransport, twists: list[Twist], every: int) -> None:
        self.wire, self.twists, self.every = wire, twists, every
        self.answers, self.awake = 0, False
        self.last: Twist | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` on, and answer it as the turn is."""
        response = await self.wire.handle_async_request(request)
        if not self.awake:
            return response
        self.answers += 1
        if self.answers % self.every:
            return response
        self.last = self.twists[self.answers // self.every % len(self.twists)]
        headers = {name: value for name, value in response.headers.items() if name.lower() == "x-total-count"}
        return httpx.Response(response.status_code, headers=headers, content=self.last.spoil(await response.aread()))


twists = st.builds(
    Twist,
    st.sampled_from(["value", "value", "everywhere", "everywhere", "missing", "envelope", "body"]),
    st.integers(0, 3000),
    st.integers(0, 1000),
)
known_calls = st.sampled_from(sorted(SCHEMAS)).flatmap(call_of)


@pytest.mark.parametrize("every", [1, 2, 3])
@UNTIRING
@given(workday=st.lists(known_calls, min_size=10, max_size=20), spoiled=st.lists(twists, min_size=5, max_size=12))
async def test_whatever_the_service_answers_is_told_in_words(
    every: int, workday: list[Call], spoiled: list[Twist]
) -> None:
    async with open_office() as office:
        spoiling = Spoiling(office.wire, spoiled, every)
        over(office, spoiling)
        desk = Desk(office)
        await desk.begin()
        spoiling.awake = True
        for call in workday:
            arguments, result = await desk.answer(call)
            assert result is not None
            wrong = list(complaints(call.tool, arguments, result))
            assert not wrong, (wrong, spoiling.last, told(call.tool, arguments, result))


# What was found by these, one by one


class Changing(httpx.AsyncBaseTransport):
    """Changes a field, wherever it stands in the answers below `path`."""

    def __init__(self, wire: httpx.AsyncBaseTransport, path: str, name: str, value: Any) -> None:
        self.wire, self.path, self.name, self.value = wire, path, name, value

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` on."""
        response = await self.wire.handle_async_request(request)
        content = await response.aread()
        if self.path not in request.url.path or not content:
            return response
        document = json.loads(content)
        for holder, key in list(places_in(document)):
            if key == self.name:
                holder[key] = self.value
        return httpx.Response(response.status_code, content=json.dumps(document).encode())


NO_TIME = "0001-01-01T00:00:00+02:00"
HALF = "x\ud83d"
SPOILED: tuple[tuple[str, str, Any, str, dict[str, Any]], ...] = (
    ("/threads", "lastMessageAt", NO_TIME, "list_threads", {}),
    ("/threads", "lastMessageAt", "9999-12-31T23:59:59Z", "list_threads", {}),
    ("/threads/", "sentAt", NO_TIME, "read_thread", {"thread_id": Seen("thread_id", 0, str)}),
    ("/scheduled", "scheduledFor", NO_TIME, "list_scheduled", {}),
    (
        "/send",
        "scheduledFor",
        NO_TIME,
        "schedule_email",
        {"to": ["a@b.example"], "body": "x", "send_at": "2026-12-01T09:00Z"},
    ),
    ("/threads", "folder", HALF, "list_threads", {}),
    ("/threads", "id", HALF, "triage_inbox", {}),
    ("/threads", "entityId", HALF, "triage_inbox", {}),
    ("/scheduled", "threadId", HALF, "list_scheduled", {}),
    ("/threads/", "subject", HALF, "save_draft", {"thread_id": Seen("thread_id", 0, str), "body": "x"}),
    ("/threads/", "messageId", HALF, "send_email", {"thread_id": Seen("thread_id", 0, str), "body": "x"}),
    ("/csrf-token", "csrf_token", "\u00fc", "star_threads", {"thread_ids": [Seen("thread_id", 5, str)]}),
    ("/threads", "id", "z" * 70_000, "triage_inbox", {}),
    ("/threads", "folder", "z" * 70_000, "list_threads", {}),
    ("/threads/", "attachments", [5] * 30, "read_thread", {"thread_id": Seen("thread_id", 1, str)}),
    ("/drafts", "id", "z" * 70_000, "save_draft", {"body": "x"}),
    ("/folders", "name", "N" * 80, "list_threads", {"folder": "no such folder"}),
)


@pytest.mark.parametrize(("path", "name", "value", "tool", "arguments"), SPOILED)
async def test_one_spoiled_field_is_told_in_words(
    path: str, name: str, value: Any, tool: str, arguments: dict[str, Any]
) -> None:
    async with open_office() as office:
        desk = Desk(office)
        desk.found["thread_id"] = await _thread_ids(office)
        over(office, Changing(office.wire, path, name, value))
        sent, result = await desk.answer(Call(tool, arguments))
        assert result is not None
        assert not list(complaints(tool, sent, result)), told(tool, sent, result)


async def _thread_ids(office: Office) -> list[str]:
    """The threads' ids, asked for before the server has spoken to the service."""
    async with httpx.AsyncClient(transport=office.wire, base_url=office.services.settings.base_url) as client:
        headers = {"Authorization": f"Bearer {office.services.settings.token}"}
        return [thread["id"] for thread in (await client.get("email-inbox/threads", headers=headers)).json()]


INVISIBLE = "\U000e0041" * 60


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("list_threads", {"folder": INVISIBLE}),
        ("list_threads", {"after": INVISIBLE}),
        ("list_threads", {INVISIBLE: 1}),
        ("bulk_update_threads", {"plan": [{"action": "read", "thread_ids": ["a"], "a\nb\u202e": 1}]}),
        ("bulk_update_threads", {"plan": [{"action": "read", "thread_ids": [f"{n:0200d}" for n in range(900)]}]}),
    ],
)
async def test_an_answer_stays_short_whatever_is_given(tool: str, arguments: dict[str, Any]) -> None:
    async with open_office() as office:
        result = await office.client.call_tool(tool, arguments)
        assert not list(complaints(tool, arguments, result)), told(tool, {}, result)


@pytest.mark.parametrize("position", ["0", "9" * 30, "~foreign"])
async def test_a_damaged_cursor_does_not_reach_the_service(position: str) -> None:
    async with open_office() as office:
        listening = Listening(office.wire)
        over(office, listening)
        cursor = (await office.call("list_threads", limit=2))["next_cursor"]
        said = await office.refusal("list_threads", limit=2, cursor=f"{cursor.partition('.')[0]}.{position}")
        assert said.startswith("invalid_arguments: This cursor")
        assert not listening.refused
