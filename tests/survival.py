"""What becomes of every tool under every fault of the sandbox, and the table that says so.

For each tool there is a call that succeeds on the demo mailbox. It is made while the service fails, once or as long
as that lasts, at the very request that the tool is about; then again when all is well. The judge holds the mailbox
against what the answers claim. Nothing is a mock, but time is simulated, as in `trials`.

`python tests/survival.py --write` writes the table, docs/faults.md.
"""

import atexit
import logging
import re
import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import httpx
import uvicorn
from mcp_types import CallToolResult
from starlette.types import ASGIApp, Receive, Scope, Send

from harness import BASE_URL, NOW, Clock, Office, open_office, text_of
from salesos_inbox.approval.ledger import Step
from salesos_inbox.client.http import CALL_SECONDS, InboxClient
from salesos_inbox.contract.routes import ROUTES
from salesos_inbox.sandbox.app import UNLIMITED, create_app
from salesos_inbox.sandbox.courses import COURSES
from salesos_inbox.sandbox.faults import ConnectionCut, Fault, Faults, Kind, Rule, Sleep
from salesos_inbox.sandbox.seed import load_demo
from salesos_inbox.sandbox.store import Store
from salesos_inbox.tools.catalogue import CATALOGUE
from simulated import LoopClock, run
from trials import MEMORY

_T = TypeVar("_T")
DOCUMENT = Path(__file__).parents[1] / "docs" / "faults.md"
CANARY = "Kanarienvogel"
"""A word that a failing service says wherever it can, and that nobody may hear."""


# What is called


@dataclass(frozen=True)
class Call:
    """A call that succeeds on the demo mailbox, and the request that it is about."""

    tool: str
    method: str
    path: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    threads: tuple[str, ...] = ()
    """The subjects of the threads whose ids it takes."""


_MESSAGE: Final = {"to": ["dana@helix.example"], "subject": "Offer", "body": "Here it is, as agreed."}
_MONDAY: Final = "2026-11-23T09:00"
_ONE: Final = ("Forecast",)
_TWO: Final = ("Forecast", "New demo request: Cedarline Furniture")

CALLS: Final = (
    Call("list_folders", "GET", "/folders"),
    Call("list_threads", "GET", "/threads"),
    Call("search_threads", "GET", "/search", {"query": "pricing"}),
    Call("read_thread", "GET", "/threads/*", {}, _ONE),
    Call("triage_inbox", "GET", "/threads", {"limit": 3}),
    Call("get_inbox_stats", "GET", "/stats"),
    Call("list_scheduled", "GET", "/scheduled"),
    Call("save_draft", "POST", "/drafts", _MESSAGE),
    Call("send_email", "POST", "/send", _MESSAGE),
    Call("schedule_email", "POST", "/send", {**_MESSAGE, "send_at": _MONDAY}),
    Call("cancel_scheduled", "DELETE", "/scheduled/*"),
    Call("mark_read", "PATCH", "/threads/*/read", {}, _ONE),
    Call("star_threads", "PATCH", "/threads/star", {}, _TWO),
    Call("archive_threads", "PATCH", "/threads/archive", {}, _TWO),
    Call("move_threads", "PATCH", "/threads/move", {"folder": "Contracts"}, _TWO),
    Call("delete_threads", "POST", "/threads/delete", {}, _TWO),
    Call("bulk_update_threads", "POST", "/threads/bulk", {}, _TWO),
    Call("link_crm_record", "POST", "/threads/*/crm-links", {"record_type": "lead", "record_id": "tidewell"}, _ONE),
    Call(
        "unlink_crm_record",
        "DELETE",
        "/threads/*/crm-links/*/*",
        {"record_type": "lead", "record_id": "tidewell"},
        ("what does one cost",),
    ),
    Call("set_follow_up", "POST", "/threads/*/follow-up", {"remind_at": _MONDAY}, _ONE),
    Call(
        "remove_follow_up",
        "DELETE",
        "/threads/*/follow-up",
        {},
        ("Deal registration: two opportunities in Lisbon",),
    ),
    Call(
        "undo_change",
        "POST",
        "/threads/bulk",
        {},
        ('Last seats: "The emotional pallet", live on Saturday, 14 November',),
    ),
)


# What fails


@dataclass(frozen=True)
class Trouble:
    """A fault, and what the table calls it; without one, there is no connection at all."""

    name: str
    fault: Fault | None
    passes: bool = False
    """Whether it may be over when a request is repeated, so that it makes a difference whether it happens once."""


_ERRORS: Final[tuple[Kind, ...]] = ("error_before", "error_after")


def _troubles() -> Iterator[Trouble]:
    yield Trouble("No connection: refused, or no such host", None, passes=True)
    yield Trouble("An answer after 3 seconds", Fault("delay", 3))
    yield Trouble("An answer after 40 seconds, when nobody waits any more", Fault("delay", 40))
    yield Trouble("The connection is reset before it is done", Fault("reset_before"), passes=True)
    yield Trouble("The connection is reset after it is done", Fault("reset_after"), passes=True)
    yield Trouble("Silence, and nothing is done", Fault("silence_before"))
    yield Trouble("Silence, but it is done", Fault("silence_after"))
    yield Trouble("One byte a second", Fault("slow_bytes"))
    for status in (500, 502, 503, 504):
        before, after = (Fault(kind, status=status, text=CANARY) for kind in _ERRORS)
        yield Trouble(f"{status} before it is done", before, passes=status != 500)
        yield Trouble(f"{status} after it is done", after, passes=status != 500)
    yield Trouble("503 with Retry-After: 2", Fault("error_before", status=503, retry_after=2, text=CANARY), passes=True)
    yield Trouble("429 without Retry-After", Fault("throttle", text=CANARY), passes=True)
    yield Trouble("429 with Retry-After: 2", Fault("throttle", retry_after=2, text=CANARY), passes=True)
    yield Trouble("429 with Retry-After: 3600", Fault("throttle", retry_after=3600, text=CANARY))
    yield Trouble("Half of the JSON", Fault("broken_json"))
    yield Trouble("The connection closes before Content-Length is reached", Fault("truncated_body"), passes=True)
    yield Trouble("The connection closes between two chunks", Fault("cut_chunks"), passes=True)
    yield Trouble("A page of HTML with status 200, and nothing is done", Fault("html_page_before", text=CANARY))
    yield Trouble("A page of HTML with status 200, but it is done", Fault("html_page_after", text=CANARY))
    yield Trouble("`success: false` with status 201", Fault("false_success", text=CANARY))
    yield Trouble("An answer without end", Fault("endless_body", text=CANARY))
    yield Trouble("A compressed bomb of 4 GiB", Fault("gzip_bomb"))
    yield Trouble("A bare list", Fault("list_as_array"))
    yield Trouble("A list below `items`", Fault("list_as_items"))
    yield Trouble("A list below `data`", Fault("list_as_data"))
    yield Trouble("A list below its plural", Fault("list_as_plural"))
    yield Trouble("A list with a cursor", Fault("list_as_cursor"))
    yield Trouble("Other names of fields: snake case", Fault("other_names"))
    yield Trouble("The token has ended", Fault("token_expired"), passes=True)
    yield Trouble("The token is replaced by another", Fault("token_rotated"))
    yield Trouble("The CSRF token is stale", Fault("stale_csrf"), passes=True)
    yield Trouble("A redirect to another host", Fault("redirect", text=CANARY))


TROUBLES: Final = tuple(_troubles())


class Line(httpx.ASGITransport):
    """The wire to a service that is in `trouble`, once or until it is `mended`; it adds words of its own to answers."""

    def __init__(
        self,
        store: Store,
        call: Call,
        trouble: Trouble | None,
        times: int | None = None,
        sleep: Sleep = anyio.sleep,
    ) -> None:
        fault = trouble.fault if trouble else None
        method = None if fault and COURSES[fault.kind].only_writes else call.method
        self.faults = Faults([Rule(fault, method, call.path, times=times)] if fault else [], sleep=sleep)
        self.refused = self.requests = self.asked = 0
        self._call = Rule(Fault("redirect"), call.method, call.path)
        self._refuses = 0 if trouble is None or trouble.fault else times or 1_000_000
        self._sound = create_app(store, limits=UNLIMITED)
        super().__init__(create_app(store, limits=UNLIMITED, faults=self.faults))

    async def mended(self) -> None:
        """Let the service have done with all it was asked, and fail no more."""
        await self.faults.settled()
        self.app = self._sound
        self._refuses = 0

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the same over a socket."""
        await self.app(scope, receive, send)  # pyright: ignore[reportArgumentType] -- httpx types its own ASGI

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/v1").removeprefix("/email-inbox")
        is_asked = self._call.matches(request.method, path)
        self.requests += 1
        self.asked += is_asked
        if is_asked and self.refused < self._refuses:
            self.refused += 1
            raise httpx.ConnectError(CANARY, request=request)
        try:
            response = await super().handle_async_request(request)
        except ConnectionCut as cut:
            raise httpx.ReadError(CANARY, request=request) from cut
        response.headers["X-Note"] = CANARY
        return response


# What comes of it


@dataclass(frozen=True)
class Mailbox:
    """What can be seen of all that a tool may change, without ids and times of its own."""

    threads: tuple[tuple[object, ...], ...]
    messages: tuple[tuple[object, ...], ...]
    scheduled: tuple[tuple[object, ...], ...]


def look(database: sqlite3.Connection) -> Mailbox:
    """Return what stands in the mailboxes."""

    def rows(sql: str) -> tuple[tuple[object, ...], ...]:
        return tuple(sorted((tuple(row) for row in database.execute(sql)), key=repr))

    return Mailbox(
        rows(
            "SELECT subject, message_count, is_read, is_starred, follow_up_at, (SELECT name FROM folders WHERE id ="
            " folder_id), (SELECT group_concat(entity_id) FROM crm_links WHERE thread_row = threads.row) FROM threads"
        ),
        rows("SELECT user_id, from_email, to_emails, subject, snippet, direction, status FROM messages"),
        rows("SELECT scheduled_for, is_sent, email FROM scheduled"),
    )


@dataclass(frozen=True)
class Answer:
    """What the model is told: `ok`, or the code of an error and its sentence; and everything that the client gets."""

    code: str
    sentence: str
    whole: str


@dataclass(frozen=True)
class Course:
    """A call, and what stood in the mailbox before and after; where it failed also the same call, later."""

    before: Mailbox
    answer: Answer
    after: Mailbox
    settled: Mailbox
    """What stood in the mailbox when the service had done what it was asked."""
    requests: int
    asked: int
    """How many requests there were, and how many of them those that the tool is about."""
    logged: str = ""
    token: str = ""
    again: Answer | None = None
    finally_: Mailbox | None = None


class Bench:
    """Copies of the demo mailbox, and what each call comes to where nothing fails."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = count()
        self._template = directory / "template"
        with closing(Store(clock=lambda: NOW, ids=(f"c{number:024d}" for number in count()).__next__)) as store:
            self.user_id = load_demo(store)
            database = connection(store)
            self.ids = {row[0]: row[1] for row in database.execute("SELECT subject, id FROM threads")}
            self.scheduled_id = database.execute("SELECT min(id) FROM scheduled").fetchone()[0]
            with closing(sqlite3.connect(self._template)) as copy:
                database.backup(copy)

    def store(self, clock: Clock) -> Store:
        """Return a copy of the demo mailbox."""
        path = self._directory / str(next(self._numbers))
        shutil.copyfile(self._template, path)
        return Store(path, clock=clock)

    def arguments(self, call: Call) -> dict[str, Any]:
        """Return the arguments of a call, with the ids that it needs."""
        ids = [self.ids[subject] for subject in call.threads]
        match call.tool:
            case "cancel_scheduled":
                return {"scheduled_id": self.scheduled_id}
            case "bulk_update_threads":
                return {"plan": [{"action": "archive", "thread_ids": ids}]}
            case "undo_change":
                return {}
            case "read_thread" | "link_crm_record" | "unlink_crm_record" | "set_follow_up" | "remove_follow_up":
                return {**call.arguments, "thread_id": ids[0]}
            case _:
                return {**call.arguments, **({"thread_ids": ids} if ids else {})}

    async def run(self, call: Call, trouble: Trouble | None, times: int | None = None) -> Course:
        """Make a call while the service is in trouble, `times` or as long as it asks, and again when that is over."""
        clock = LoopClock()
        store = self.store(clock)
        line = Line(store, call, trouble, times)
        async with open_office(store=store, clock=clock) as office:
            place_client(office, line)
            wait = trouble.fault.retry_after if trouble and trouble.fault else None
            return await self._course(call, trouble, office, line, lambda: anyio.sleep(max(60, wait or 0)))

    async def run_over_socket(self, call: Call, trouble: Trouble, seconds: float) -> Course:
        """Do the same with a real server, in real time, and a client that waits for so many seconds."""
        clock = Clock()
        store = self.store(clock)
        line = Line(store, call, trouble, sleep=lambda pause: anyio.sleep(pause / 20))
        async with serving(line.serve) as address, open_office(store=store, clock=clock) as office:
            place_client(office, None, base_url=f"{address}/v1", seconds=seconds)

            async def pause() -> None:
                clock.advance(minutes=1)

            return await self._course(call, trouble, office, line, pause)

    async def _course(
        self, call: Call, trouble: Trouble | None, office: Office, line: Line, pause: Callable[[], Awaitable[None]]
    ) -> Course:
        database, arguments = connection(office.store), self.arguments(call)
        if call.tool == "undo_change":
            arguments = {"undo_id": await kept_undo(office, self.ids[call.threads[0]])}
        with logged() as lines:
            before = look(database)
            answer = answer_of(await office.result(call.tool, **arguments))
            after, requests, asked = look(database), line.requests, line.asked
            await line.mended()
            course = Course(before, answer, after, look(database), requests, asked)
            if answer.code != "ok" or trouble is None:
                if trouble and trouble.fault and trouble.fault.kind == "token_rotated":
                    log_in_again(office, line)
                await pause()
                again = answer_of(await office.result(call.tool, **arguments))
                course = replace(course, again=again, finally_=look(database))
        return replace(course, logged="\n".join(lines), token=str(office.services.settings.token))


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncGenerator[str]:
    """Serve `app` with uvicorn on a port of this machine, in this loop, and yield its address."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", interface="asgi3"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True


def connection(store: Store) -> sqlite3.Connection:
    """Return the database of a store."""
    return store._db.connection  # pyright: ignore[reportPrivateUsage] -- what tools show would be no judge of tools


def place_client(office: Office, line: Line | None, *, base_url: str = BASE_URL, seconds: float = CALL_SECONDS) -> None:
    """Let an office reach the service over `line`, or where `base_url` says."""
    services = office.services
    services._client = InboxClient(  # pyright: ignore[reportPrivateUsage]
        replace(services.settings, base_url=base_url),
        transport=line,
        seconds=seconds,
        clock=lambda: office.clock().timestamp(),
    )


def log_in_again(office: Office, line: Line) -> None:
    """Start over with another token, as a user does whose token was replaced."""
    token = office.store.issue_token(office.user_id, expires_in=2 * 86400)
    office.services.settings = replace(office.services.settings, token=token)
    place_client(office, line)


async def kept_undo(office: Office, thread_id: str) -> str:
    """Return the id under which the ledger keeps how to take a thread out of the trash."""
    services = office.services
    step = Step("move", (thread_id,), folder="inbox")
    return services.ledger.keep_undo(await services.user(), [step], services.seconds(), tool="delete_threads")


_TOOL: Final = re.compile(rf"^(?:{'|'.join(tool.name for tool in CATALOGUE)}): ")
"""What stands before a sentence about the contract."""


def answer_of(result: CallToolResult) -> Answer:
    """Return what a result tells; of the outcomes for several threads, the one that is no success."""
    whole = result.model_dump_json()
    if result.is_error:
        code, _, sentence = text_of(result).partition(": ")
        return Answer(code, _TOOL.sub("", sentence), whole)
    answer: dict[str, Any] = result.structured_content or {}
    failed = [row["reason"] for row in answer.get("results", ()) if row["outcome"] == "failed"]
    return Answer("failed", failed[0], whole) if failed else Answer("ok", "", whole)


@contextmanager
def logged() -> Generator[list[str]]:
    """Collect all that is logged, with what the lines were filled in with."""
    lines: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    collector, root = Collector(), logging.getLogger()
    root.addHandler(collector)
    try:
        yield lines
    finally:
        root.removeHandler(collector)


# The judge


def broken_promises(course: Course, usual: Course) -> list[str]:
    """Return what is wrong with what became of a call; `usual` is the same where nothing failed."""
    answer, again = course.answer, course.again
    happened = course.settled == usual.after != course.before
    said = "".join((answer.whole, again.whole if again else "", course.logged))
    done, not_done = [usual.after], [course.before]
    now = {"ok": done, "outcome_unknown": done + not_done}.get(answer.code, not_done)
    later = {"ok": done, "outcome_unknown": done + not_done, "failed": done + not_done}.get(answer.code, not_done)
    found = {
        "the mailbox is not what the answer says": course.after not in now or course.settled not in later,
        "it says the service's words": CANARY in said,
        "it says the token": course.token in said,
        "it is not one sentence": answer.code != "ok" and not _SENTENCE.fullmatch(answer.sentence),
        "it does not tell what to do": answer.code != "ok" and not _REMEDY.search(answer.sentence),
    }
    if again:
        allowed_again = {"ok", usual.again.code if happened and usual.again else "ok"}
        found |= {
            f"the next call ends with {again.code}: {again.sentence}": again.code not in allowed_again,
            "in the end it is not done once": course.finally_ != usual.after,
        }
    return [what for what, is_so in found.items() if is_so]


_SENTENCE: Final = re.compile(r"[A-Z](?:[^.]|\.(?! |$))*\.")
_REMEDY: Final = re.compile(r"\b(call|ask|tell|wait|look|check|run|correct|put|read|do not)\b")


# What the model is told

_PURPOSES: Final = sorted((route.purpose for route in ROUTES), key=len, reverse=True)
_PARTICULARS: Final = (
    (re.compile(rf"\b(to|not) ({'|'.join(_PURPOSES)})\b"), r"\1 ..."),
    (re.compile(r"\bfields? [\w, ]+ of \w+ \([^)]*\)"), "field ... of ..."),
    (re.compile(r"`routes\.[^`]*`(?:,? `routes\.[^`]*`)*(?: if that is its name for it)?"), '`routes. ... = "..."`'),
)
"""What a sentence says of one request, and what the table has in its place."""


@dataclass(frozen=True)
class Outcome:
    """What a model is told of a call: `ok`, how that came about, or a code and its sentence."""

    told: str
    sentence: str = ""


def plain(answer: Answer) -> str:
    """Return all that a client gets, but for random marks around others' words, and how a cursor is spelled."""
    return re.sub(r"</?\d+>|(?<=next_cursor)\W+[\w.~=]+", "", answer.whole)


def outcome_of(course: Course, usual: Course) -> Outcome:
    """Return what the model is told."""
    if course.answer.code != "ok":
        sentence = course.answer.sentence
        for pattern, instead in _PARTICULARS:
            sentence = pattern.sub(instead, sentence)
        return Outcome(course.answer.code, sentence)
    if course.before == usual.after and plain(course.answer) != plain(usual.answer):
        return Outcome("ok, in part")
    if course.asked > usual.asked:
        return Outcome("ok, repeated")
    return Outcome("ok, looked up" if course.requests > usual.requests else "ok")


@dataclass(frozen=True)
class Case:
    """A line of the table: a trouble that comes once, or lasts."""

    trouble: Trouble
    times: int | None

    @property
    def name(self) -> str:
        """What the table calls it."""
        if not self.trouble.passes:
            return self.trouble.name
        return f"{self.trouble.name}, {'once' if self.times else 'each time'}"


CASES: Final = tuple(
    Case(trouble, times) for trouble in TROUBLES for times in ((1, None) if trouble.passes else (None,))
)


@dataclass(frozen=True)
class Finding:
    """What became of a tool in a case, and which promises that breaks."""

    outcome: Outcome
    broken: list[str]


@cache
def usual_courses() -> dict[str, Course]:
    """Return what becomes of each call where nothing fails."""

    async def all_calls() -> dict[str, Course]:
        return {call.tool: await bench().run(call, None) for call in CALLS}

    return run(all_calls)


@cache
def bench() -> Bench:
    """Return the demo mailboxes of this process."""
    directory = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return Bench(directory)


def findings(case: Case, *tools: str) -> dict[str, Finding]:
    """Return what becomes of every tool in a case, or of some."""
    usual = usual_courses()

    async def all_calls() -> dict[str, Finding]:
        found: dict[str, Finding] = {}
        for call in [call for call in CALLS if not tools or call.tool in tools]:
            course = await bench().run(call, case.trouble, case.times)
            before = usual[call.tool]
            found[call.tool] = Finding(outcome_of(course, before), broken_promises(course, before))
        return found

    return run(all_calls)


# The table

_BATCHES: Final = (
    "mark_read",
    "star_threads",
    "archive_threads",
    "move_threads",
    "delete_threads",
    "bulk_update_threads",
)
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "reading": tuple(call.tool for call in CALLS if call.method == "GET"),
    "`save_draft`": ("save_draft",),
    "`send_email`, `schedule_email`": ("send_email", "schedule_email"),
    "`cancel_scheduled`": ("cancel_scheduled",),
    "changing threads": (*_BATCHES, "undo_change"),
    "records and follow-ups": ("link_crm_record", "unlink_crm_record", "set_follow_up", "remove_follow_up"),
}
"""Tools that have the same outcomes."""

_INTRODUCTION: Final = """\
# What happens when SalesOS fails

Generated by `python tests/survival.py --write`. It says how to [see it yourself](#see-it-yourself), in which
[ways](#the-ways-to-fail) the sandbox can fail, and what each tool [answers](#what-the-tools-answer) then.

## See it yourself

```sh
.venv/bin/salesos-inbox-mcp sandbox --faults examples/faults.toml
```

serves the SalesOS API on this machine, fails as the file says, and prints how to connect to it. The file is TOML or
JSON; [examples/faults.toml](../examples/faults.toml) is one. It holds rules, each with a fault, and a `seed`:

```toml
seed = 7

[[rules]]
method = "PATCH"
path = "/threads/*/read"
every = 3
times = 2
fault = { kind = "throttle", retry_after = 2 }
```

Here two answers in all, to every third request that marks a thread as read, are 429. Of a rule,

- `method` and `path` say which requests it is about: those of all methods, or of all paths, where it is left out.
  Methods are written in capitals. A path stands below `/email-inbox` (but `/auth/...` as it is), with `*` for one
  segment and `**` for anything; [contract.md](contract.md) lists them all.
- `every = 3` strikes the third of them, the sixth and so on, `chance = 0.1` each with that probability; without either
  (there cannot be both) all are struck. `times` is how many of them at most.
- `fault` is what happens: its `kind`, and what that may take. Each takes `seconds`, in which the service does nothing
  at first; some take a `status`, a `retry_after` in seconds, or a `text` that the service says.
  [What each takes](#what-each-kind-takes) stands at the end.

Of several rules whose turn it is, the first is taken. The same requests in the same order fail in the same way as long
as the rules and the `seed` are the same.

## The ways to fail

Where nothing else is said, the service has done by then what it was asked.

"""

_ABOUT: Final[dict[Kind, str]] = {
    "delay": "the answer comes after `seconds`, whether or not anybody still waits for it.",
    "reset_before": "the connection is reset (RST) before the service does anything.",
    "reset_after": "the connection is reset after the service has done it, instead of the answer.",
    "error_before": "an error of the server, before it does anything; 502 and 504 as a gateway's page of HTML.",
    "error_after": "the same after the service has done it.",
    "throttle": "429, too many requests; nothing is done.",
    "broken_json": "the answer holds the first half of its JSON, and ends as if it were whole.",
    "truncated_body": "the connection closes in the middle of the answer, before its Content-Length is reached.",
    "cut_chunks": "the connection closes in the middle of an answer in chunks, which has no length.",
    "html_page_before": "a page of HTML with status 200, as of a proxy or for signing in; nothing is done.",
    "html_page_after": "the same after the service has done it.",
    "false_success": "status 201, but `success: false` in the answer; nothing is done.",
    "endless_body": "an answer without end.",
    "gzip_bomb": "a compressed answer of a few MiB that unpacks to 4 GiB.",
    "slow_bytes": "the answer comes at one byte a second.",
    "silence_before": "the service takes the request, does nothing, and never answers.",
    "silence_after": "the service does it, and never answers.",
    "list_as_array": "a list is answered bare, as a JSON array.",
    "list_as_items": "a list stands below `items`.",
    "list_as_data": "a list stands below `data`.",
    "list_as_plural": "a list stands below its plural, such as `threads`.",
    "list_as_cursor": "a list stands below `items`, with a `nextCursor` instead of the number of its page.",
    "other_names": "fields have other names, in requests and answers: `thread_id` for `threadId`.",
    "token_expired": "401, as if the token or key had ended, for this request alone.",
    "token_rotated": "401 for this request and all that come with the same token or key from then on.",
    "stale_csrf": "403, as the CSRF token is not the one that counts; a fault of writes only.",
    "redirect": "a redirect to another host; nothing is done.",
}
"""What each kind of fault is, in a sentence."""

_ABOUT_THE_TABLE: Final = """\

## What the tools answer

The table comes from running it: each tool is called on the demo mailbox while the sandbox fails at the very request
that the tool is about, and again when all is well. A test rebuilds the table, and holds the mailbox against every
answer:

- After `ok` it was done, once. `failed` says that it had not been done when the server looked. After `outcome_unknown`
  it may have been done or not. After any other error nothing was done, then or later.
- After the second call it was done once.
- No answer and no log line held a word of what the service said, or the token.

In the table:

- `ok, repeated`: the request failed, and was sent again by itself. Reads are repeated at most twice; a change only
  where the service had provably not done it.
- `ok, looked up`: no usable answer came, so the server looked whether the change had happened, and it had.
- `ok, in part`: what the service did not say, or says by another name, is left out.
- A code is that of the error, or `failed` in the `results` of a tool that answers for each thread; the number is
  that of the sentence below.

"""


def row(case: Case, found: Mapping[str, Finding], numbers: Mapping[Outcome, int]) -> str:
    """Return the line of the table for a case."""
    outcomes = (dict.fromkeys(found[tool].outcome for tool in tools) for tools in COLUMNS.values())
    cells = (" or ".join(_cell(outcome, numbers) for outcome in column) for column in outcomes)
    return f"| {' | '.join((case.name, *cells))} |"


def _cell(outcome: Outcome, numbers: Mapping[Outcome, int]) -> str:
    return f"`{outcome.told}` {numbers.get(outcome, '?')}" if outcome.sentence else outcome.told


def document(found: Mapping[Case, Mapping[str, Finding]]) -> str:
    """Return the whole of docs/faults.md."""
    outcomes = (each[tool].outcome for each in found.values() for tools in COLUMNS.values() for tool in tools)
    spoken = dict.fromkeys(outcome for outcome in outcomes if outcome.sentence)
    numbers = {outcome: number for number, outcome in enumerate(spoken, 1)}
    lines = [
        f"| the service | {' | '.join(COLUMNS)} |",
        "|---" * (len(COLUMNS) + 1) + "|",
        *(row(case, each, numbers) for case, each in found.items()),
        "",
        "## What the model is told",
        "",
        *(f"{number}. `{outcome.told}`: {outcome.sentence}" for outcome, number in numbers.items()),
        "",
        *_kinds(),
    ]
    ways = "".join(f"- `{kind}`: {_ABOUT[kind]}\n" for kind in COURSES)
    return _INTRODUCTION + ways + _ABOUT_THE_TABLE + "\n".join(lines) + "\n"


def _kinds() -> Iterator[str]:
    """Yield the lines about what the kinds of faults take."""
    yield "## What each kind takes"
    yield ""
    yield "Besides `seconds`; the first `status` is the one without any."
    yield ""
    yield "| kind | is it done before | takes |"
    yield "|---|---|---|"
    for kind, course in COURSES.items():
        takes = {
            f"`status` ({', '.join(map(str, course.statuses))})": len(course.statuses) > 1,
            "`retry_after`": course.is_refusal,
            "`text`": course.speaks,
        }
        own = ", ".join(name for name, is_taken in takes.items() if is_taken)
        yield f"| `{kind}` | {'yes' if course.performs else 'no'} | {own} |"


def numbers_in(text: str) -> dict[Outcome, int]:
    """Return the numbers that a document gives to sentences."""
    found = re.findall(r"^(\d+)\. `(\w+)`: (.*)$", text, re.MULTILINE)
    return {Outcome(told, sentence): int(number) for number, told, sentence in found}


def main() -> None:
    """Write the table where the command line asks for it, else print it."""
    text = document({case: findings(case) for case in CASES})
    if sys.argv[1:] == ["--write"]:
        DOCUMENT.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
