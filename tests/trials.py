"""Seeded trials of sending: whatever fails, nothing leaves twice, nothing unapproved, and nothing is lost.

A trial is one user's mailbox, one or two servers on one ledger, some assistants that call, repeat, replay and
vanish, a person, and a sandbox that fails; a seed picks all of it. Nothing is a mock, but time is simulated:
where everything waits, the clock jumps to the next moment at which something happens. So a trial of many minutes
takes a fraction of a second, deadlines are exact, and the same seed gives the same trial.

The judge counts the messages in the mailboxes against what the person said to which card. Of the product's own
account it takes only which question a card belongs to, and until when that holds.

`python tests/trials.py '{"first": 0, "last": 100}'` runs the trials of these seeds, and prints what came of them.
"""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Literal, cast, get_args

import anyio
import httpx
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitResult,
    InputRequiredResult,
)

from harness import BASE_URL, ERAS, NOW, Era, text_of
from salesos_inbox.approval.card import Card
from salesos_inbox.approval.consent import OTHER_CALL_SECONDS
from salesos_inbox.approval.ladder import QUICKEST_PERSON
from salesos_inbox.approval.ledger import Ledger, Operation, State
from salesos_inbox.approval.page import VISIT_SECONDS
from salesos_inbox.client.http import CALL_SECONDS, MESSAGE_TURN_SECONDS, InboxClient
from salesos_inbox.contract import models
from salesos_inbox.sandbox.app import UNLIMITED, create_app
from salesos_inbox.sandbox.faults import ConnectionCut, Fault, Faults, Kind, Rule
from salesos_inbox.sandbox.messages import StoredMessage
from salesos_inbox.sandbox.store import Store
from salesos_inbox.server import InboxServer, build_server
from salesos_inbox.settings import MOST_REQUESTS_PER_MINUTE, read_settings
from salesos_inbox.tools._kit import Services
from simulated import SimulatedTime

MEMORY = Path("/dev/shm")
"""Where files cost no time, on machines that have it."""
USER = "maya@sales.example"
PEOPLE: tuple[str, ...] = ("kim@customer.example", "lee@partner.example")
"""They have mailboxes in the sandbox too: what reaches them is counted there."""
MARGIN = 1.0
"""Seconds that a call may take beyond its deadlines."""
AGAIN = "This very message was"
"""How a card begins to say that approving may send a message a second time."""

Manner = Literal[
    "approves", "declines", "is silent", "is late", "closes", "never sees it", "never sees it, approved", "wavers"
]
"""What the person does; what they never see is answered at once by their client."""
Finding = Literal["sent twice", "sent without consent", "draft lost", "past its deadline", "false receipt", "stuck"]
FINDINGS: tuple[Finding, ...] = get_args(Finding)


# Simulated time


def now() -> datetime:
    """Return the simulated time."""
    return NOW + timedelta(seconds=anyio.current_time())


# What is to be sent


@dataclass(frozen=True)
class Letter:
    """A message that assistants want to send, and the calls that mean it: each says the same another way."""

    body: str
    tool: str
    calls: tuple[dict[str, Any], ...]
    draft_id: str | None


@dataclass(frozen=True)
class Plan:
    """What a seed picks."""

    seed: int
    era: Era
    manner: Manner
    approves_again: bool
    """Whether the person approves a card that says that the message was sent, or tried, before."""
    approval_seconds: int
    undo_seconds: int
    has_page: bool
    servers: int
    assistants: int
    letters: int
    by_draft: bool
    is_reply: bool
    is_scheduled: bool
    rules: tuple[Rule, ...]
    stops_at: float | None
    """When the first server is stopped and started again."""


_PLACES: tuple[tuple[str | None, str | None], ...] = (
    *[("POST", "/send")] * 5,
    ("POST", "/drafts"),
    ("GET", "/threads"),
    ("GET", "/threads/*"),
    ("GET", "/scheduled"),
    ("GET", "/search"),
    ("GET", "/auth/me"),
    ("GET", "/auth/csrf-token"),
    (None, None),
)
_DELAYS = (0.2, 3.0, 12.0, 29.9, 30.1, 34.9, 36.0, 50.0, 59.0, 100.0)


def plan(seed: int) -> Plan:
    """Return the trial that `seed` picks."""
    lots = Random(seed)
    return Plan(
        seed=seed,
        era=lots.choice(ERAS),
        manner=lots.choices(get_args(Manner), weights=(10, 2, 2, 2, 1, 1, 1, 5))[0],
        approves_again=lots.random() < 0.3,
        approval_seconds=lots.choice((5, 20, 60, 120)),
        undo_seconds=lots.choice((0, 0, 0, 10, 60)),
        has_page=lots.random() < 0.35,
        servers=lots.choice((1, 2)),
        assistants=lots.choice((1, 1, 2, 3, 4)),
        letters=lots.choice((1, 1, 1, 2)),
        by_draft=lots.random() < 0.4,
        is_reply=lots.random() < 0.4,
        is_scheduled=lots.random() < 0.2,
        rules=tuple(_rule(lots) for _ in range(lots.choice((0, 1, 1, 2, 2, 3, 4)))),
        stops_at=lots.uniform(0, 60) if lots.random() < 0.2 else None,
    )


def _rule(lots: Random) -> Rule:
    method, path = lots.choice(_PLACES)
    kind: Kind = lots.choice(get_args(Kind))
    if kind == "stale_csrf":
        method, path = None, None  # it befalls changes alone
    seconds = lots.choice(_DELAYS) if kind == "delay" or lots.random() < 0.3 else 0.0
    status = lots.choice((None, 500, 502, 503, 504)) if kind.startswith("error") else None
    retry_after = lots.choice((None, 0, 2, 40)) if kind == "throttle" else None
    how_often: dict[str, Any] = lots.choice(({"times": 1}, {"times": 2}, {"chance": 0.5}, {"every": 2}, {}))
    return Rule(Fault(kind, seconds, status, retry_after), method, path, **how_often)


# What stands between the product and the sandbox


class Line(httpx.ASGITransport):
    """The wire to the sandbox, which takes a moment both ways and can break; it shows each sending to `on_send`."""

    def __init__(self, app: Any, lots: Random, on_send: Callable[[str], None]) -> None:
        super().__init__(app)
        self._lots = lots
        self._on_send = on_send

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = (await request.aread()).decode()
        await anyio.sleep(self._lots.uniform(0.001, 0.03))
        if request.method == "POST" and request.url.path.endswith("/send"):
            self._on_send(content)
        try:
            response = await super().handle_async_request(request)
        except ConnectionCut as cut:
            raise httpx.ReadError(str(cut), request=request) from cut
        await anyio.sleep(self._lots.uniform(0.001, 0.03))
        return response


@dataclass
class Span:
    """A time that something takes; without an end it still lasts."""

    begun: float
    ended: float = float("inf")

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.ended - self.begun


class WatchedClient(InboxClient):
    """The product's client, with the times that each of its calls took."""

    def __init__(self, *arguments: Any, spans: list[Span], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._spans = spans

    async def _call(self, *arguments: Any, **ids: Any) -> Any:
        span = Span(anyio.current_time())
        self._spans.append(span)
        try:
            return await super()._call(*arguments, **ids)
        finally:
            span.ended = anyio.current_time()


@dataclass
class Server:
    """One server on the trial's ledger."""

    services: Services
    server: InboxServer
    spans: list[Span]
    stopped: anyio.Event


# The person


@dataclass(frozen=True)
class Decision:
    """What was said to a card: about which letter and operation, and whether a person said yes, in time."""

    body: str
    operation_id: str | None
    again: bool
    approved: bool


@dataclass(frozen=True)
class Reaction:
    """What comes back to a question after so many seconds; None is nothing, ever."""

    seconds: float
    answer: ElicitResult | None
    by_a_person: bool = True


_APPROVAL = ElicitResult(action="accept", content={"decision": "approve"})
_NOES = (ElicitResult(action="decline"), ElicitResult(action="accept", content={"decision": "decline"}))


class Trial:
    """One trial while it runs."""

    def __init__(self, plan: Plan, store: Store, state_dir: Path) -> None:
        self.plan = plan
        self.store = store
        self.lots = Random(f"{plan.seed} runs")
        self.faults = Faults(plan.rules, plan.seed)
        self.faulty = create_app(store, limits=UNLIMITED, faults=self.faults)
        self.sound = create_app(store, limits=UNLIMITED)
        self.fails = True
        self.state_dir = state_dir
        self.decisions: list[Decision] = []
        self.heard_at = 0.0
        self.injected: Counter[str] = Counter()
        self.found: list[tuple[Finding, str]] = []
        self.trace: list[str] = []
        self.letters: list[Letter] = []
        self.servers: list[Server] = []
        self.kept_drafts: dict[str, str] = {}
        self.receipts: list[str] = []
        self.longest = 0.0
        self.open_ledger: Callable[[Path], Ledger] = partial(Ledger, key=b"k" * 32)
        self.on_start: Callable[[Services], object] = lambda services: None
        self._watch = Ledger(self.ledger_path, b"k" * 32)

    @property
    def ledger_path(self) -> Path:
        """The file that all servers share."""
        return self.state_dir / "ledger.sqlite3"

    def say(self, what: str) -> None:
        """Add a line to what one reads when a trial has found something."""
        self.trace.append(f"{anyio.current_time():8.2f}  {what}")

    def find(self, finding: Finding, what: str) -> None:
        """Record that a promise was broken."""
        self.say(f"FOUND {finding}: {what}")
        self.found.append((finding, what))

    # The scene

    def set_up(self) -> None:
        """Fill the mailboxes: a conversation to reply in, and the drafts to be sent."""
        store, plan = self.store, self.plan
        self.user_id = store.add_user(USER, "Maya", "Lindqvist")
        for address in PEOPLE:
            store.add_user(address)
        store.add_message(
            self.user_id,
            StoredMessage(
                PEOPLE[0], NOW - timedelta(hours=3), "<q1@customer.example>", to=(USER,), subject="Prices",
                body_text="What would forty seats cost?",
            ),
        )  # fmt: skip
        thread_id = store.list_threads(self.user_id, models.ListThreads(folder="inbox")).items[0].id
        self.letters = [self._letter(number, thread_id if plan.is_reply else None) for number in range(plan.letters)]
        self.token = store.issue_token(self.user_id, session=self.lots.random() < 0.5, expires_in=1e8)

    def _letter(self, number: int, thread_id: str | None) -> Letter:
        plan = self.plan
        body = "As agreed on the phone, forty seats come to 4,711 euros." + " And a training day." * number
        to = list(PEOPLE[: self.lots.choice((1, 2))])
        words: dict[str, Any] = {"subject": "Re: Prices" if thread_id else "Prices", "body": body}
        fresh = {"thread_id": thread_id, "body": body} if thread_id else {"to": to, **words}
        when = {"send_at": (NOW + timedelta(hours=2)).isoformat()} if plan.is_scheduled else {}
        calls, draft_id = ({**fresh, **when},), None
        if plan.by_draft:
            saved = models.SaveDraft(
                to=[PEOPLE[0]] if thread_id else to, subject=words["subject"], body_text=body, thread_id=thread_id
            )
            draft_id = self.store.save_draft(self.user_id, saved).id
            calls = ({"draft_id": draft_id, **when}, *calls)
        return Letter(body, "schedule_email" if plan.is_scheduled else "send_email", calls, draft_id)

    def open_server(self) -> Server:
        """Return a new server on the trial's ledger."""
        plan, spans = self.plan, list[Span]()
        settings = read_settings(
            {
                "SALESOS_BASE_URL": BASE_URL,
                "SALESOS_TOKEN": self.token,
                "SALESOS_TIMEZONE": "Europe/Berlin",
                "SALESOS_APPROVAL_SECONDS": str(plan.approval_seconds),
                "SALESOS_UNDO_SECONDS": str(plan.undo_seconds),
                "SALESOS_TOOLS": "send_email,schedule_email,save_draft",
                "SALESOS_REQUESTS_PER_MINUTE": str(MOST_REQUESTS_PER_MINUTE),
            },
            "linux",
        )

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await (self.faulty if self.fails else self.sound)(scope, receive, send)

        services = Services(
            settings,
            lambda: WatchedClient(
                settings,
                transport=Line(app, self.lots, self._sees_sending),
                clock=lambda: now().timestamp(),
                jitter=self.lots.random,
                spans=spans,
            ),
            self.open_ledger(self.ledger_path),
            now,
            b"s" * 32,
        )
        if plan.has_page:
            services.consent.ladder.page = Page(self, services)
        self.on_start(services)
        server = build_server(services)
        share_tools(server)
        return Server(services, server, spans, anyio.Event())

    def _sees_sending(self, content: str) -> None:
        """Hold a message that is on the wire against what the person has said by now."""
        letter = self.letter_in(content)
        if letter is None:
            self.find("sent without consent", "what is on the wire is none of the letters")
        elif not any(said.approved for said in self.decisions if said.body == letter.body):
            self.find("sent without consent", "nobody had approved it when it was put on the wire")
        self.injected["sendings put on the wire"] += 1
        self.say("POST /send")

    def letter_in(self, text: str) -> Letter | None:
        """Return the letter whose text stands in `text`, the longest."""
        within = [letter for letter in self.letters if letter.body in text]
        return max(within, key=lambda letter: len(letter.body), default=None)

    # What the person does

    def reaction(self, card: str) -> Reaction:
        """Return how the person, or a client that shows them nothing, takes a card."""
        lots, plan = self.lots, self.plan
        manner = plan.manner if self.fails else "approves"
        if manner == "wavers":
            manner = lots.choice([item for item in get_args(Manner) if item != "wavers"])
        thinks = lots.uniform(QUICKEST_PERSON + 0.1, min(8.0, plan.approval_seconds - 1))
        if AGAIN in card and manner == "approves" and not plan.approves_again:
            return Reaction(thinks, lots.choice(_NOES))
        reactions: dict[Manner, Reaction] = {
            "approves": Reaction(thinks, _APPROVAL),
            "declines": Reaction(thinks, lots.choice(_NOES)),
            "is silent": Reaction(0, None),
            "is late": Reaction(plan.approval_seconds * lots.uniform(0.9, 1.6), _APPROVAL),
            "closes": Reaction(thinks, ElicitResult(action="cancel")),
            "never sees it": Reaction(0, ElicitResult(action="decline"), by_a_person=False),
            "never sees it, approved": Reaction(0, _APPROVAL, by_a_person=False),
            "wavers": Reaction(0, None),
        }
        reaction = reactions[manner]
        if AGAIN in card and not plan.approves_again and manner == "is late":
            return Reaction(reaction.seconds, _NOES[0])
        return reaction

    def said(self, card: str, operation_id: str | None, approved: bool, *, in_time: bool) -> None:
        """Record what the person said."""
        letter = self.letter_in(card)
        valid = approved and in_time and operation_id is not None
        self.say(f"person: {'yes' if approved else 'no'}{'' if valid == approved else ' (void)'} to {AGAIN in card=}")
        self.decisions.append(Decision(letter.body if letter else "", operation_id, AGAIN in card, valid))

    def asked_about(self, card: str) -> str | None:
        """Return the operation that a card is about, None where it is decided by now.

        Calls that share an operation may know different things of its recipients.
        """
        for operation in self._open_operations():
            shown = Card.read(operation.card or {}).text
            if self.letter_in(shown) == self.letter_in(card) and (AGAIN in shown) == (AGAIN in card):
                return operation.operation_id
        return None

    def _open_operations(self) -> Iterator[Operation]:
        with self._watch._transaction() as database:  # pyright: ignore[reportPrivateUsage] -- a look that changes nothing
            ids = [row[0] for row in database.execute("SELECT operation_id FROM operations WHERE state = 'asked'")]
        for operation_id in ids:
            operation = self._watch.read(operation_id)
            if operation and operation.state is State.ASKED:
                yield operation

    def holds(self, operation_id: str | None) -> bool:
        """Whether a question is still open, by the letter of what its caller was told."""
        operation = self._watch.read(operation_id) if operation_id else None
        return bool(operation and now().timestamp() <= operation.expires_at)

    async def answer(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Answer a question in the middle of a call, as clients of the older era do."""
        del context
        reaction, operation_id = self.reaction(params.message), self.asked_about(params.message)
        self.injected["questions"] += 1
        self.say("question")
        if reaction.answer is None:
            await anyio.sleep_forever()
            raise AssertionError
        await anyio.sleep(reaction.seconds)
        self._note_answer(params.message, operation_id, reaction)
        return reaction.answer

    def _note_answer(self, card: str, operation_id: str | None, reaction: Reaction) -> None:
        self.said(
            card,
            operation_id,
            reaction.answer == _APPROVAL,
            in_time=reaction.by_a_person and self.holds(operation_id),
        )

    # Assistants

    async def assist(self, letter: Letter, place: int, tries: int) -> None:
        """Want `letter` sent, as assistants do: call, and call again where that fails, at once or later."""
        lots = self.lots
        await anyio.sleep(lots.choice((0, 0, 0.005, lots.uniform(0, 5))))
        while tries:
            server = self.servers[place % len(self.servers)]
            async with Client(server.server, mode=self.plan.era, elicitation_callback=self.answer) as client:
                while tries and not server.stopped.is_set():
                    tries -= 1
                    code = await self._try(client, server, letter)
                    if code == "ok" and lots.random() < 0.8:
                        return
                    if code == "declined" and lots.random() < 0.6:
                        return
                    await anyio.sleep(lots.choice((0, 0, 1.0, 15.0, 61.0, 130.0)))

    async def _try(self, client: Client, server: Server, letter: Letter) -> str:
        """Call once, and perhaps vanish in the middle; return what came of it."""
        lots = self.lots
        arguments = dict(lots.choice(letter.calls))
        if lots.random() < 0.2:
            arguments["send_again"] = True
        vanishes = lots.uniform(0, 12) if lots.random() < 0.2 else float("inf")
        code = "stopped"
        async with anyio.create_task_group() as group:

            async def stop() -> None:
                await server.stopped.wait()
                group.cancel_scope.cancel()

            group.start_soon(stop)
            with anyio.move_on_after(vanishes) as patience:
                code = await self._call(client, server, letter.tool, arguments)
            if patience.cancelled_caught:
                self.injected["vanished clients"] += 1
                code = "vanished"
            group.cancel_scope.cancel()
        self.say(f"call: {code}")
        return code

    async def _call(self, client: Client, server: Server, tool: str, arguments: dict[str, Any]) -> str:
        """Make a call, with the questions that it brings; return `ok` or the code of its error."""
        result = await self._request(client, server, tool, arguments)
        for _ in range(3):
            if not isinstance(result, InputRequiredResult):
                break
            result = await self._answered(client, server, tool, arguments, result)
        return self._code(result, arguments)

    async def _answered(
        self, client: Client, server: Server, tool: str, arguments: dict[str, Any], question: InputRequiredResult
    ) -> CallToolResult | InputRequiredResult | MCPError:
        """Repeat a call with the person's answer, and perhaps replay that, in a row and at the same time."""
        card = card_of(question)
        reaction, operation_id = self.reaction(card), self.asked_about(card)
        self.injected["questions"] += 1
        self.say("question")
        if reaction.answer is None:
            await anyio.sleep(self.plan.approval_seconds * self.lots.uniform(0.5, 3))
            return MCPError(code=0, message="gave up")
        await anyio.sleep(reaction.seconds)
        self._note_answer(card, operation_id, reaction)
        extra = {"input_responses": {"approval": reaction.answer}, "request_state": question.request_state}
        repeat = partial(self._request, client, server, tool, arguments, **extra)
        abreast = self.lots.choice((0, 0, 0, 0, 1, 2, 5))
        self.injected["replays"] += abreast
        results: list[CallToolResult | InputRequiredResult | MCPError] = []

        async def replay() -> None:
            results.append(await repeat())

        async with anyio.create_task_group() as group:
            for _ in range(1 + abreast):
                group.start_soon(replay)
        for _ in range(self.lots.choice((0, 0, 0, 1, 3))):
            self.injected["replays"] += 1
            await anyio.sleep(self.lots.choice((0, 2.0, 62.0)))
            await repeat()
        return results[0]

    async def _request(
        self, client: Client, server: Server, tool: str, arguments: dict[str, Any], **answer: Any
    ) -> CallToolResult | InputRequiredResult | MCPError:
        """Make one request of the protocol, and hold it to its deadline."""
        begun = anyio.current_time()
        self.injected["calls"] += 1
        try:
            if self.plan.era == "legacy":
                return await client.call_tool(tool, arguments)
            result = await client.session.call_tool(tool, arguments, allow_input_required=True, **answer)
            assert isinstance(result, CallToolResult | InputRequiredResult)
            return result
        except MCPError as error:
            return error
        finally:
            self._check_deadline(server, Span(begun, anyio.current_time()))

    def _check_deadline(self, server: Server, call: Span) -> None:
        waited = call.seconds - _covered(server.spans, call)
        self.longest = max(self.longest, call.seconds)
        if waited > self.plan.approval_seconds + OTHER_CALL_SECONDS + MARGIN:
            self.find("past its deadline", f"a call waited {waited:.1f} s besides its requests")
        slowest = max((min(span.ended, call.ended) - span.begun for span in server.spans), default=0.0)
        if slowest > CALL_SECONDS + MESSAGE_TURN_SECONDS + MARGIN:
            self.find("past its deadline", f"a request took {slowest:.1f} s")

    def _code(self, result: CallToolResult | InputRequiredResult | MCPError, arguments: Mapping[str, Any]) -> str:
        if isinstance(result, InputRequiredResult):
            return "asked"
        if isinstance(result, MCPError):
            return f"protocol error: {result}"
        if not result.is_error:
            receipt = cast("dict[str, Any]", result.structured_content)
            self.receipts.append(receipt["status"])
            return "ok"
        about: dict[str, Any] = (result.meta or {}).get("salesos-inbox/error", {})
        if draft_id := about.get("draft_id"):
            self.kept_drafts[draft_id] = self._body_of(arguments)
        code = text_of(result).partition(":")[0]
        if code in {"error", "outcome_unknown", "unavailable", "conflict"}:
            self.say(text_of(result))
        return code

    def _body_of(self, arguments: Mapping[str, Any]) -> str:
        return next(
            letter.body
            for letter in self.letters
            if letter.body == arguments.get("body")
            or (letter.draft_id and letter.draft_id == arguments.get("draft_id"))
        )

    async def _stop_first(self, at: float) -> None:
        """Stop the first server as a signal does, and start another in its place."""
        await anyio.sleep(at)
        old = self.servers[0]
        old.services.ledger.abandon(now().timestamp())
        self.servers[0] = self.open_server()
        self.injected["restarts"] += 1
        self.say("the first server is stopped, and another started")
        old.stopped.set()

    # The course of it

    async def run(self) -> None:
        """Let everything happen, let it come to rest, call once more, and judge."""
        plan = self.plan
        self.servers = [self.open_server() for _ in range(plan.servers)]
        self._opened = list(self.servers)
        async with anyio.create_task_group() as group:
            if plan.has_page:
                self.visits = group
            async with anyio.create_task_group() as assistants:
                if plan.stops_at is not None:
                    assistants.start_soon(self._stop_first, plan.stops_at)
                for place in range(plan.assistants):
                    letter = self.letters[place % len(self.letters)]
                    assistants.start_soon(self.assist, letter, place, self.lots.choice((1, 2, 4)))
            self.fails = False
            await self.faults.settled()
            await anyio.sleep(70)
            self.say("all is sound again")
            await self._once_more()
            group.cancel_scope.cancel()
        await anyio.sleep(8000)
        self.store.advance()
        self._judge()
        for server in {id(server): server for server in (*self._opened, *self.servers)}.values():
            await server.services.close()
        self._watch.close()

    async def _once_more(self) -> None:
        """Want every letter sent once more, so that what is not known is looked up."""
        server = self.servers[-1]
        async with Client(server.server, mode=self.plan.era, elicitation_callback=self.answer) as client:
            for letter in self.letters:
                code = ""
                for _ in range(3):
                    code = await self._call(client, server, letter.tool, dict(letter.calls[0]))
                    self.say(f"last call: {code}")
                gone = code == "not_found" and letter.draft_id and self._has_left(letter)
                if code not in {"ok", "declined", "outcome_unknown"} and not gone:
                    self.find("stuck", f"all is sound and the person attentive, and yet the call ends with {code}")

    def _has_left(self, letter: Letter) -> bool:
        """Whether a letter was sent, or waits for its time."""
        waiting = self.store.list_scheduled(self.user_id, models.ListScheduled()).items
        mine = self._mailboxes()[USER]
        return letter.body in mine or any(email.body_text == letter.body for email in waiting)

    def _judge(self) -> None:
        left = self._mailboxes()
        drafts = {draft.id for draft in messages_of(self.store, USER) if draft.status == "DRAFT"}
        for letter in self.letters:
            sent = max(box[letter.body] for box in left.values())
            yes = {
                said.operation_id: said.again for said in self.decisions if said.approved and said.body == letter.body
            }
            allowed = min(1, list(yes.values()).count(False)) + list(yes.values()).count(True)
            self.say(f"sent {sent}, allowed {allowed}: {letter.body}")
            self.injected["messages sent"] += sent
            self.injected["sent again, approved"] += max(sent - 1, 0) if sent <= allowed else 0
            if sent and not allowed:
                self.find("sent without consent", letter.body)
            elif sent > allowed:
                self.find("sent twice", f"{sent} times, approved were {allowed}: {letter.body}")
            if letter.draft_id and letter.draft_id not in drafts and not sent:
                self.find("draft lost", letter.body)
        bodies = {letter.body: max(box[letter.body] for box in left.values()) for letter in self.letters}
        for draft_id, body in self.kept_drafts.items():
            if draft_id not in drafts and not bodies[body]:
                self.find("draft lost", f"kept as {draft_id}: {body}")
        if self.receipts and not any(bodies.values()):
            self.find("false receipt", f"{self.receipts} and nothing was sent")

    def _mailboxes(self) -> dict[str, Counter[str]]:
        """Return how often each text stands in each mailbox as a message that has left."""
        return {
            address: Counter(
                message.body_text or ""
                for message in messages_of(self.store, address)
                if message.status != "DRAFT" and message.direction == ("OUTBOUND" if address == USER else "INBOUND")
            )
            for address in (USER, *PEOPLE)
        }


class Page:
    """The approval page as the ladder knows it; the person visits it, or does not, and decides as it does."""

    def __init__(self, trial: Trial, services: Services) -> None:
        self._trial = trial
        self._ledger = services.ledger
        self._seen_at: float | None = None
        self._visits = trial.lots.random() < 0.8
        self._open_until = 0.0

    def show(self, user: str) -> bool:
        """Open the page, where it was not opened just now."""
        if anyio.current_time() >= self._open_until:
            self._open_until = anyio.current_time() + VISIT_SECONDS
            self._trial.injected["visits to the page"] += 1
            if self._visits or not self._trial.fails:
                self._trial.visits.start_soon(self._visit, user, self._open_until)
        return True

    def seen_since(self, moment: float) -> bool:
        """Whether the person has looked at it since then."""
        return self._seen_at is not None and self._seen_at >= moment

    async def _visit(self, user: str, until: float) -> None:
        """Look at what waits, and at what is added while the page is open."""
        await anyio.sleep(self._trial.lots.uniform(0.2, 3))
        considered: set[str] = set()
        while anyio.current_time() < until:
            self._seen_at = now().timestamp()
            for operation in self._ledger.waiting(user, self._seen_at):
                if operation.operation_id not in considered:
                    considered.add(operation.operation_id)
                    await self._consider(operation)
            await anyio.sleep(2)

    async def _consider(self, operation: Operation) -> None:
        trial, card = self._trial, Card.read(operation.card or {}).text
        reaction = trial.reaction(card)
        if reaction.answer is None or not reaction.by_a_person or reaction.answer.action == "cancel":
            return
        await anyio.sleep(reaction.seconds)
        shown = self._ledger.read(operation.operation_id)
        if shown and shown.card == operation.card:  # the page refuses a decision on a card that has changed
            approve = reaction.answer == _APPROVAL
            trial.said(card, operation.operation_id, approve, in_time=trial.holds(operation.operation_id))
            by = "the user, on the page"
            self._ledger.decide(operation.operation_id, approve, by=by, now=now().timestamp())


def messages_of(store: Store, address: str) -> list[models.Message]:
    """Return all messages in a mailbox, drafts too."""
    user = store.add_user(address)
    folders = (None, "inbox", "sent", "drafts", "archive", "trash")
    ids = {
        row.id
        for folder in folders
        for row in store.list_threads(user, models.ListThreads(folder=folder, limit=100)).items
    }
    return [message for thread in ids for message in store.thread(user, thread).messages]


def card_of(question: InputRequiredResult) -> str:
    """Return the text of the card that a question shows."""
    request = (question.input_requests or {})["approval"]
    assert isinstance(request, ElicitRequest)
    assert isinstance(request.params, ElicitRequestFormParams)
    return request.params.message


def _covered(spans: Iterable[Span], within: Span) -> float:
    """Return for how many seconds of `within` any of the spans lasted."""
    total, reached = 0.0, within.begun
    for span in sorted(spans, key=lambda span: span.begun):
        begun, ended = max(span.begun, reached), min(span.ended, within.ended)
        if ended > begun:
            total += ended - begun
            reached = ended
    return total


_tools: dict[str, Any] = {}


def share_tools(server: InboxServer) -> None:
    """Let all servers use the tools of the first: making their schemas takes longer than a trial."""
    global _tools
    _tools = _tools or server.served
    server.served = _tools


@dataclass
class Outcome:
    """What a trial came to."""

    seed: int
    found: list[tuple[Finding, str]]
    injected: Counter[str]
    longest: float
    trace: list[str] = field(repr=False)


def run_trial(seed: int, prepare: Callable[[Trial], None] = lambda trial: None) -> Outcome:
    """Run the trial that `seed` picks. `prepare` may change it first, as tests of the judge do."""
    ids = (f"c{number:024d}" for number in count())
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:

        async def run() -> Outcome:
            with closing(Store(clock=now, ids=ids.__next__)) as store:
                trial = Trial(plan(seed), store, Path(directory))
                trial.set_up()
                prepare(trial)
                await trial.run()
            trial.injected.update(f"fault {strike.fault.kind}" for strike in trial.faults.done)
            return Outcome(seed, trial.found, trial.injected, trial.longest, trial.trace)

        return anyio.run(run, backend_options={"loop_factory": SimulatedTime})


def run_trials(first: int, last: int, step: int = 1) -> dict[str, Any]:
    """Run the trials of a range of seeds, and return as JSON what came of all."""
    found: list[tuple[Finding, str]] = []
    injected, longest = Counter[str](), 0.0
    seeds = range(first, last, step)
    for outcome in map(run_trial, seeds):
        injected += outcome.injected
        longest = max(longest, outcome.longest)
        story = "\n".join([f"seed {outcome.seed}", *outcome.trace])
        found.extend((finding, story) for finding, _ in outcome.found)
    return {"trials": len(seeds), "found": found, "injected": injected, "longest": longest}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run_trials(**json.loads(sys.argv[1]))) + "\n")
