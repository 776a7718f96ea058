"""Servers that are killed: real processes on one ledger file, and a sandbox behind a real socket.

`python tests/kills.py '{"races": 1}'` kills a server at every step between question and receipt, starts another on
the same ledger, which calls again, and counts what has left; then it lets processes race for one message. A step is
a statement in the ledger, or what happens on the wire. It prints what came of it as JSON.

`python tests/kills.py '{"plans": true}'` kills a server at every step of a plan over several batches instead, and the
one that takes it back at every step of that, until everything is as before.

It is a program of its own because it forks: it imports everything once, has no thread and no event loop, and each
server is a child of it. So a thousand of them are started and killed in a minute or two.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from sqlite3 import Connection
from typing import Any, Literal

import anyio
import httpx
import uvicorn
from mcp import Client
from mcp.client import ClientRequestContext
from mcp_types import ElicitRequestParams, ElicitResult

from harness import Era, text_of
from salesos_inbox.approval import consent
from salesos_inbox.approval.card import Card
from salesos_inbox.approval.ledger import Ledger
from salesos_inbox.client.http import InboxClient
from salesos_inbox.contract import models
from salesos_inbox.sandbox.app import UNLIMITED, create_app
from salesos_inbox.sandbox.messages import StoredMessage
from salesos_inbox.sandbox.store import Store
from salesos_inbox.server import build_server
from salesos_inbox.settings import MOST_REQUESTS_PER_MINUTE, read_settings
from salesos_inbox.tools import _changes, sorting
from salesos_inbox.tools._kit import Services
from trials import AGAIN, MEMORY, Finding, messages_of, run_trial, share_tools

BODY = "As agreed on the phone, forty seats come to 4,711 euros."
LATER = (1.0, 130.0, 140.0)
"""Seconds after the kill, by its clock, at which the next server is called: while the claim is believed, and after."""
AT_ONCE = 6
"""How many children run at the same time."""
THINKS = timedelta(seconds=4)

Asks = Literal["elicitation", "page", "policy"]


@dataclass(frozen=True)
class Way:
    """A way from a call to a message: who is asked how, and what is to be sent."""

    name: str
    era: Era
    asks: Asks
    by_draft: bool = False
    undo_seconds: int = 0

    def settings(self) -> dict[str, str]:
        """Return the server's settings of this way."""
        policy = {"SALESOS_POLICY": "send_email=allow"} if self.asks == "policy" else {}
        return {"SALESOS_UNDO_SECONDS": str(self.undo_seconds), **policy}


WAYS = (
    Way("elicitation since 2026-07-28", "auto", "elicitation"),
    Way("elicitation before, of a draft", "legacy", "elicitation", by_draft=True),
    Way("the page, of a draft", "auto", "page", by_draft=True),
    Way("the operator's policy, with an undo window", "legacy", "policy", undo_seconds=600),
)


@dataclass
class Report:
    """What was done, and what was found."""

    kills: int = 0
    finished: int = 0
    """Servers that were through before the step at which they were to be killed."""
    restarts: int = 0
    races: int = 0
    sent: int = 0
    calls: int = 0
    steps: dict[str, int] = field(default_factory=dict[str, int])
    found: list[tuple[Finding, str]] = field(default_factory=list[tuple[Finding, str]])
    outcomes: Counter[str] = field(default_factory=Counter[str])


# In a child: one server, one client, one person


@dataclass(frozen=True)
class Post:
    """Where a child works: the sandbox, the user's token, the ledger, and a file for what it has to tell."""

    base_url: str
    token: str
    state_dir: Path
    draft_id: str | None
    sender: str
    to: str

    def tell(self, what: str) -> None:
        """Add a line that outlives the child."""
        with (self.state_dir / "told").open("a") as file:
            file.write(f"{what}\n")

    def told(self) -> list[str]:
        """Return what children told so far."""
        path = self.state_dir / "told"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def call(self) -> dict[str, Any]:
        """The arguments of the call."""
        return {"draft_id": self.draft_id} if self.draft_id else {"to": [self.to], "subject": "Prices", "body": BODY}


class Steps:
    """Counts the steps from the question on, and ends the process at one of them.

    Without `reads` only those count between which something may have changed for good.
    """

    def __init__(self, last: int | None, *, reads: bool, begun: bool = False) -> None:
        self.taken = 0
        self._last = last
        self._reads = reads
        self._begun = begun

    def take(self, what: str) -> None:
        """Take a step, unless it is the last one."""
        self._begun = self._begun or what.startswith("INSERT INTO operations")
        if not self._begun or not (self._reads or what.startswith(_CHANGES)):
            return
        self.taken += 1
        if self.taken == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


_CHANGES = ("BEGIN", "COMMIT", "POST")


class SteppingLedger(Ledger):
    """A ledger of which each statement is a step."""

    def __init__(self, path: Path, key: bytes, steps: Steps) -> None:
        super().__init__(path, key)
        self._steps = steps

    def _opened(self) -> Connection:
        fresh = self._connection is None
        connection = super()._opened()
        if fresh:
            connection.set_trace_callback(self._steps.take)
        return connection


class SteppingTransport(httpx.AsyncHTTPTransport):
    """A real wire: a step before a request, when it is written, and when its answer begins and ends."""

    def __init__(self, steps: Steps) -> None:
        super().__init__(verify=False)  # it is a plain connection, and certificates take long to read
        self._steps = steps

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async def trace(event: str, info: Mapping[str, Any]) -> None:
            if event.endswith(("send_request_body.complete", "receive_response_headers.complete")):
                self._steps.take(f"{request.method} {event}")

        request.extensions = {**request.extensions, "trace": trace}
        self._steps.take(f"{request.method} begins")
        response = await super().handle_async_request(request)
        await response.aread()
        self._steps.take(f"{request.method} is answered")
        return response


@dataclass
class Attention:
    """A person who approves, but not a second sending; and the clock, which moves on while they think."""

    post: Post
    moved: timedelta

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC) + self.moved

    def decide(self, card: str) -> bool:
        """Decide on a card, and tell."""
        self.moved += THINKS
        self.post.tell("declined again" if AGAIN in card else "approved")
        return AGAIN not in card

    async def answer(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Answer a question in the client."""
        del context
        decision = "approve" if self.decide(params.message) else "decline"
        return ElicitResult(action="accept", content={"decision": decision})


@dataclass
class PageInSight:
    """The approval page, as the ladder knows it, with the person before it."""

    attention: Attention
    ledger: Ledger

    def show(self, user: str) -> bool:
        """Show what waits, and let it be decided."""
        for operation in self.ledger.waiting(user, self.attention.now().timestamp()):
            yes = self.attention.decide(Card.read(operation.card or {}).text)
            now = self.attention.now().timestamp()
            self.ledger.decide(operation.operation_id, yes, by="the user, on the page", now=now)
        return True

    def seen_since(self, moment: float) -> bool:
        """Say that it was seen."""
        return True


def services_of(post: Post, steps: Steps, attention: Attention, more: Mapping[str, str]) -> Services:
    """Return what a server works with whose steps are counted."""
    settings = read_settings(
        {
            "SALESOS_BASE_URL": post.base_url,
            "SALESOS_TOKEN": post.token,
            "SALESOS_APPROVAL_SECONDS": "60",
            "SALESOS_REQUESTS_PER_MINUTE": str(MOST_REQUESTS_PER_MINUTE),
            **more,
        },
        "linux",
    )
    return Services(
        settings,
        lambda: InboxClient(settings, transport=SteppingTransport(steps), clock=lambda: attention.now().timestamp()),
        SteppingLedger(post.state_dir / "ledger.sqlite3", b"k" * 32, steps),
        attention.now,
        b"s" * 32,
    )


async def serve_and_call(way: Way, post: Post, steps: Steps, later: tuple[float, ...]) -> None:
    """Open a server, call it at each of the times, and tell what came of it."""
    attention = Attention(post, -THINKS)
    tools = {"SALESOS_TOOLS": "send_email,schedule_email,save_draft"}
    services = services_of(post, steps, attention, {**tools, **way.settings()})
    if way.asks == "page":
        services.consent.ladder.page = PageInSight(attention, services.ledger)
    server = build_server(services)
    share_tools(server)
    asks = None if way.asks == "page" else attention.answer
    async with Client(server, mode=way.era, elicitation_callback=asks) as client:
        for seconds in later:
            attention.moved = timedelta(seconds=seconds) - THINKS  # so that what is approved is claimed at that time
            result = await client.call_tool("send_email", post.call)
            code = text_of(result).partition(":")[0] if result.is_error else "ok"
            post.tell(f"steps {steps.taken}")
            post.tell(f"code {code}")
            if code == "error":
                post.tell(text_of(result))
    await services.close()


def serve_once(way: Way, post: Post, last: int | None = None, *, reads: bool = True) -> None:
    """Be a server that is called once, and killed at its `last` step."""
    anyio.run(serve_and_call, way, post, Steps(last, reads=reads), (0.0,))


def serve_again(way: Way, post: Post) -> None:
    """Be the server that is started after that, and called again."""
    consent.OTHER_CALL_SECONDS = 0.3
    anyio.run(serve_and_call, way, post, Steps(None, reads=True), LATER)


# In a child: a plan, and what takes it back


Plan = list[dict[str, Any]]
BATCH = 3
"""How many threads of a plan go into one request here, so that a few threads take several."""


async def serve_plan(post: Post, steps: Steps, seconds: float, work: Callable[[Client, Services], Any]) -> None:
    """Open a server that asks about each plan, which a person approves, and do some work with it."""
    _changes.BATCH = sorting.BATCH = BATCH
    attention = Attention(post, timedelta(seconds=seconds) - THINKS)
    tools = {"SALESOS_TOOLS": "sorting,undoing", "SALESOS_POLICY": "bulk_update_threads=ask"}
    services = services_of(post, steps, attention, tools)
    server = build_server(services)
    async with Client(server, elicitation_callback=attention.answer) as client:
        await work(client, services)
        post.tell(f"steps {steps.taken}")
    await services.close()


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that succeeds, and return its answer."""
    result = await client.call_tool(tool, arguments)
    if result.is_error:
        raise RuntimeError(f"{tool}: {text_of(result)}")
    return result.structured_content or {}


def carry_out(plan: Plan, post: Post, last: int | None = None) -> None:
    """Be a server that carries a plan out, and is killed at its `last` step."""

    async def work(client: Client, services: Services) -> None:
        del services
        await call(client, "bulk_update_threads", plan=plan)

    anyio.run(serve_plan, post, Steps(last, reads=False), 0.0, work)


def take_back(post: Post, plan: Plan | None, last: int | None = None) -> None:
    """Be a server that takes back what was done, and is killed at its `last` step.

    Where `plan` is given, the answer to the same plan tells the undo_id; else, or where all was done and only the
    answer was lost, the log names it.
    """
    steps = Steps(last, reads=False, begun=plan is None)

    async def work(client: Client, services: Services) -> None:
        undo_id = (await call(client, "bulk_update_threads", plan=plan)).get("undo_id") if plan else None
        if undo_id is None:
            named = [entry.about["undo_id"] for entry in services.ledger.entries() if entry.what in _NAMES_UNDO]
            undo_id = named[-1] if named else None
        else:
            post.tell("told by the same plan")
        if undo_id:
            answer = await call(client, "undo_change", undo_id=undo_id)
            post.tell("taken back: " + ", ".join(sorted({row["outcome"] for row in answer["results"]})))

    anyio.run(serve_plan, post, steps, LATER[1], work)


_NAMES_UNDO = ("changing", "changed")


# Children


def fork(work: Callable[[], None]) -> int:
    """Do `work` in a child, and return its process id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def ended(child: int) -> int:
    """Wait for a child, and return how it ended: 0, 1 for a failure, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def serve_sandbox(listener: socket.socket, path: Path) -> None:
    """Be the sandbox, until killed."""
    app = create_app(Store(path), limits=UNLIMITED)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


# The program


class Scene:
    """A sandbox in a child, with a new user for each run."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / "sandbox.sqlite3"
        Store(self._path).close()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio overlooks it for such a socket
        self._sandbox = fork(partial(serve_sandbox, self._listener, self._path))
        self._url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self._users = 0

    def close(self) -> None:
        """End the sandbox."""
        os.kill(self._sandbox, signal.SIGKILL)
        ended(self._sandbox)
        self._listener.close()

    def posts(self, way: Way, number: int) -> list[Post]:
        """Return as many new users, each with a ledger of their own."""
        store = Store(self._path)
        posts = [self._post(way, store) for _ in range(number)]
        store.close()
        return posts

    def mailboxes(self, number: int, threads: int) -> list[tuple[Post, list[str]]]:
        """Return as many new users, each with a ledger and some threads of their own."""
        posts = self.posts(WAYS[0], number)
        store = Store(self._path)
        with store.transaction():
            found = [(post, [_filed(store, post, count) for count in range(threads)]) for post in posts]
        store.close()
        return found

    def state(self, post: Post, thread_ids: list[str]) -> list[tuple[str | None, bool | None, bool | None]]:
        """Return all that a plan can change of threads."""
        store = Store(self._path)
        user = store.add_user(post.sender)
        threads = [store.thread(user, thread_id) for thread_id in thread_ids]
        store.close()
        return [(thread.folder, thread.is_read, thread.is_starred) for thread in threads]

    def _post(self, way: Way, store: Store) -> Post:
        self._users += 1
        to = f"kim{self._users}@customer.example"
        store.add_user(to)
        sender = f"maya{self._users}@sales.example"
        user = store.add_user(sender)
        draft = models.SaveDraft(to=[to], subject="Prices", body_text=BODY)
        draft_id = store.save_draft(user, draft).id if way.by_draft else None
        state_dir = self._directory / f"state{self._users}"
        state_dir.mkdir()
        return Post(self._url, store.issue_token(user, expires_in=1e8), state_dir, draft_id, sender, to)

    def judge(self, way: Way, posts: list[Post], report: Report, *, strictly: bool) -> None:
        """Count what has left; `strictly` it must have, once."""
        store = Store(self._path)
        for post in posts:
            mine, theirs = messages_of(store, post.sender), messages_of(store, post.to)
            waiting = store.list_scheduled(store.add_user(post.sender), models.ListScheduled()).items
            sent = max(sum(message.status == "SENT" for message in mine), len(theirs)) + len(waiting)
            told = post.told()
            report.sent += sent
            report.calls += sum(line.startswith("code ") for line in told)
            allowed = "approved" in told or way.asks == "policy"
            last = [line.removeprefix("code ") for line in told if line.startswith("code ")]
            report.outcomes[f"{sent} sent, {last[-1] if last else 'no answer'}"] += 1
            where = f"{sent} sent by way of {way.name}: {told}"
            broken: tuple[tuple[bool, Finding], ...] = (
                (sent > 1, "sent twice"),
                (sent > 0 and not allowed, "sent without consent"),
                (not sent and post.draft_id not in (None, *(message.id for message in mine)), "draft lost"),
                (not sent and "ok" in last, "false receipt"),
                (strictly and not sent, "stuck"),
                (not strictly and last[-1:] not in (["ok"], ["declined"]), "stuck"),
            )
            report.found.extend((finding, where) for is_so, finding in broken if is_so)
        store.close()


def _filed(store: Store, post: Post, number: int) -> str:
    message = StoredMessage(
        from_email=f"ines{number}@customer.example", sent_at=datetime.now(UTC), to=(post.sender,), body_text="Agreed."
    )
    return store.file_message(store.add_user(post.sender), message).thread_id


def kill_at(scene: Scene, way: Way, lasts: list[int], report: Report, *, reads: bool) -> None:
    """Kill a server at each of these steps, start another, and judge."""
    posts = scene.posts(way, len(lasts))
    servers = [partial(serve_once, way, post, last, reads=reads) for post, last in zip(posts, lasts, strict=True)]
    for status in _together(servers):
        report.kills += status == -signal.SIGKILL
        report.finished += status == 0
        if status not in (0, -signal.SIGKILL):
            report.found.append(("stuck", f"a server failed with status {status}; {way.name}"))
    for status in _together([partial(serve_again, way, post) for post in posts]):
        report.restarts += 1
        if status:
            report.found.append(("stuck", f"a restarted server failed with status {status}; {way.name}"))
    scene.judge(way, posts, report, strictly=False)


def count_steps(scene: Scene, way: Way, *, reads: bool) -> int:
    """Return how many steps there are from question to receipt."""
    [post] = scene.posts(way, 1)
    if ended(fork(partial(serve_once, way, post, reads=reads))):
        raise RuntimeError(f"{way.name}: the server failed")
    return max(int(line.removeprefix("steps ")) for line in post.told() if line.startswith("steps "))


def race(scene: Scene, way: Way, servers: int, report: Report) -> None:
    """Let as many servers on one ledger be told at once to send one message, and each be approved."""
    [post] = scene.posts(way, 1)
    go, gone = os.pipe()

    def wait_and_serve() -> None:
        os.close(gone)
        os.read(go, 1)  # until the other end is closed
        serve_once(way, post)

    children = [fork(wait_and_serve) for _ in range(servers)]
    os.close(gone)
    os.close(go)
    for status in map(ended, children):
        if status:
            report.found.append(("stuck", f"a racing server failed with status {status}; {way.name}"))
    report.races += 1
    scene.judge(way, [post], report, strictly=True)


def _together(works: list[Callable[[], None]]) -> Iterator[int]:
    """Do each of the works in a child, a few at the same time, and yield how they ended, in any order."""
    running: set[int] = set()
    for work in works:
        if len(running) >= AT_ONCE:
            child, status = os.wait()
            running.discard(child)
            yield os.waitstatus_to_exitcode(status)
        running.add(fork(work))
    while running:
        child, status = os.wait()
        running.discard(child)
        yield os.waitstatus_to_exitcode(status)


@dataclass
class PlanReport:
    """What came of plans that were broken off."""

    steps: int = 0
    kills: int = 0
    midway: int = 0
    """How many of them left a part of the plan done."""
    undo_kills: int = 0
    """How many servers were killed while they took a plan back."""
    taken_back: Counter[str] = field(default_factory=Counter[str])
    found: list[str] = field(default_factory=list[str])


def run_plans(every: int = 1) -> PlanReport:
    """Kill a server at every step of a plan, or at one of so many, and those that take it back; then take it back."""
    report = PlanReport()
    run_trial(0)  # imports the rest, once for all children
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        scene = Scene(Path(directory))
        try:
            [(post, ids)] = scene.mailboxes(1, _PLANNED)
            before, whole = scene.state(post, ids), _plan(ids)
            _all_well(report, [partial(carry_out, whole, post)])
            after = scene.state(post, ids)
            report.steps = _steps_told(post)
            _all_well(report, [partial(take_back, post, None)])
            undo_steps = _steps_told(post)
            undo_lasts = range(1, undo_steps + 1, every)
            lasts = [*range(1, report.steps + 1, every), *[report.steps] * len(undo_lasts)]
            boxes = scene.mailboxes(len(lasts), _PLANNED)
            first = [partial(carry_out, _plan(ids), post, last) for (post, ids), last in zip(boxes, lasts, strict=True)]
            report.kills = sum(status == -signal.SIGKILL for status in _together(first))
            report.midway = sum(scene.state(post, ids) not in (before, after) for post, ids in boxes)
            undone = zip(boxes[-len(undo_lasts) :], undo_lasts, strict=True)
            again = [partial(take_back, post, None, last) for (post, _), last in undone]
            report.undo_kills = sum(status == -signal.SIGKILL for status in _together(again))
            asked_again = [at % 2 and lasts[at] < report.steps for at in range(len(boxes))]
            works = zip(boxes, asked_again, strict=True)
            _all_well(report, [partial(take_back, post, _plan(ids) if again else None) for (post, ids), again in works])
            for (post, ids), last in zip(boxes, lasts, strict=True):
                told = [line for line in post.told() if line.startswith(("taken back", "told by"))]
                report.taken_back.update(told or ["nothing to take back"])
                if scene.state(post, ids) != before:
                    report.found.append(f"not as before after step {last}: {post.told()}")
        finally:
            scene.close()
    return report


_PLANNED = 8


def _plan(ids: list[str]) -> Plan:
    return [{"action": "star", "thread_ids": ids[:5]}, {"action": "archive", "thread_ids": ids[1:]}]


def _all_well(report: PlanReport, works: list[Callable[[], None]]) -> None:
    report.found.extend(f"a server failed with status {status}" for status in _together(works) if status)


def _steps_told(post: Post) -> int:
    return int([line for line in post.told() if line.startswith("steps ")][-1].removeprefix("steps "))


def run(*, reads: bool = True, more: int = 0, races: int = 1, servers: int = 8, seed: int = 0) -> Report:
    """Kill at every step of each way once, and `more` times at any; then let servers race.

    Without `reads` only those steps count between which something may have changed for good.
    """
    report, lots = Report(), Random(seed)
    run_trial(0)  # imports the rest, once for all children
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        scene = Scene(Path(directory))
        try:
            for way in WAYS:
                steps = count_steps(scene, way, reads=reads)
                report.steps[way.name] = steps
                lasts = [*range(1, steps + 1), *(lots.randint(1, steps) for _ in range(more // len(WAYS)))]
                kill_at(scene, way, lasts, report, reads=reads)
            for number in range(races):
                race(scene, WAYS[number % len(WAYS)], servers, report)
        finally:
            scene.close()
    return report


if __name__ == "__main__":
    options = json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}")
    report = run_plans(**options) if options.pop("plans", False) else run(**options)
    sys.stdout.write(json.dumps(vars(report)) + "\n")
