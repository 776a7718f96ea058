"""How a person is asked: by elicitation, in both eras of the protocol; then on a page; else not at all.

Since 2026-07-28 a question travels as the result of the call, and the client repeats the call with
the answer (`InputRequiredResult`); before, the server asks in the middle of the call. The page is
ours, so the call waits for it in both eras. Whatever is decided is recorded in the ledger, where
the first decision stands; this module only brings the question before the person.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import anyio
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from mcp_types.version import is_version_at_least
from pydantic import BaseModel, Field, ValidationError

from salesos_inbox.approval.card import Card
from salesos_inbox.approval.ledger import Ledger, Operation, State
from salesos_inbox.client.calling import on_pause

QUICKEST_PERSON = 0.5
"""Seconds; an answer faster than this comes from a client that shows nothing, not from a person."""
PAGE_SECONDS = 900.0
"""How long the page waits for a decision, and an approval on it to be picked up by the call."""
POLL_SECONDS = 0.2
"""How often a waiting call looks into the ledger, which other processes write as well."""
PROGRESS_SECONDS = 5.0

Mode = Literal["auto", "elicitation", "page", "host", "never"]

_QUESTION = "approval"


class Page(Protocol):
    """What the ladder needs of `approval.page`."""

    def show(self, user: str) -> bool:
        """Bring what waits for `user` before them; False where that is not possible."""
        ...

    def seen_since(self, moment: float) -> bool:
        """Whether the page was fetched by a browser since `moment`, in unix seconds."""
        ...


class _Answer(BaseModel):
    """The form: one choice, with nothing chosen beforehand."""

    decision: Literal["approve", "decline"] = Field(description="Choose approve to let it happen.")


_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "decision": {
            "type": "string",
            "title": "Your decision",
            "description": "Choose approve to let it happen.",
            "enum": ["approve", "decline"],
        }
    },
    "required": ["decision"],
}


class _State(BaseModel):
    """What travels with a question and comes back with its answer; the protocol layer seals and verifies it."""

    operation: str
    card: str
    asked_at: float


class Question(Exception):
    """Ends a call of the newer era with a question; the client calls again with its answer."""

    def __init__(self, result: InputRequiredResult) -> None:
        super().__init__("a person is being asked")
        self.result = result


@dataclass
class Ladder:
    """The ways to a person that one server has.

    `seconds` is how long a call waits for a person, `clock` gives unix seconds, `page` is None where
    no page can be shown. `mute` are the clients that were found to show nothing.
    """

    ledger: Ledger
    seconds: float
    clock: Callable[[], float]
    mode: Mode = "auto"
    page: Page | None = None
    mute: set[str] = field(default_factory=set[str])
    _asking: set[str] = field(default_factory=set[str])
    """The operations for which a call of this process waits."""

    async def ask(self, context: Context[Any, Any], operation: Operation, card: Card, called_at: float) -> None:
        """Bring `operation` before a person, and return once it is decided, or the time is over.

        What came of it stands in the ledger: still `asked` means that the page waits on. `called_at` is
        when the call came in: what we did since then took a person no time. Raises `Question` to ask in
        the newer era.
        """
        elicits = self.mode in ("auto", "elicitation") and _can_be_asked(context)
        if elicits and self.page and _client(context) in self.mute:
            elicits = False
        if (operation.on_page and self.page) or operation.operation_id in self._asking:
            elicits = False
        if not _is_modern(context):
            await self._wait(context, operation, card if elicits else None)
            return
        state = _read_state(context.request_state)
        answer = (context.input_responses or {}).get(_QUESTION)
        if state and state.operation == operation.operation_id and state.card == _digest(card) and answer is not None:
            # What was no person's answer, and led to the page, must not become one by being sent again later.
            is_void = self.page and operation.on_page and _decision(answer) != "decline"
            if not is_void and self._judge(context, operation, answer, called_at - state.asked_at):
                return
            await self._wait(context, operation, None)
        elif elicits and not self._ignored(operation):
            raise Question(_question(operation, card, self.clock()))
        else:
            await self._wait(context, operation, None)

    def void_if_quick(self, context: Context[Any, Any], called_at: float) -> None:
        """Void the question that a call answers, where no person can have given that answer.

        This comes before all that may fail, as the same answer sent again later would look like a person's.
        """
        state = _read_state(context.request_state)
        decision = _decision((context.input_responses or {}).get(_QUESTION))
        if state is None or decision in (None, "decline") or called_at - state.asked_at >= QUICKEST_PERSON:
            return
        self.mute.add(_client(context))
        if self.page and self.mode in ("auto", "page"):
            self.ledger.put_on_page(state.operation, self.clock() + PAGE_SECONDS)
        else:
            self.ledger.give_up(state.operation, self.clock())

    def _ignored(self, operation: Operation) -> bool:
        """Whether the question was handed to the client long ago, and there is another way to ask."""
        return self.page is not None and self.clock() - operation.asked_at > self.seconds / 2

    async def _wait(self, context: Context[Any, Any], operation: Operation, card: Card | None) -> None:
        """Wait for the decision, with `card` asking within the call, and on the page where that may not be enough."""
        begun = told = anyio.current_time()
        unanswered = anyio.Event()  # the client has said all that it will say
        mine = self._take(operation)
        tried = on_page = False
        listed_at = operation.asked_at
        try:
            with anyio.move_on_after(self.seconds):
                async with anyio.create_task_group() as group:
                    if card is not None:
                        group.start_soon(self._elicit, context, operation, card, unanswered)
                    else:
                        unanswered.set()
                    while found := self._open(operation):
                        now = anyio.current_time()
                        if not mine and (mine := self._take(operation)):
                            tried = on_page = found.on_page  # the call that asked went away, and its page is open
                        if mine and not tried and (unanswered.is_set() or now - begun > self.seconds / 2):
                            listed_at = listed_at if operation.on_page else self.clock()
                            tried, on_page = True, self._show(operation)
                        elif mine and on_page and self.page and not self.page.seen_since(listed_at):
                            on_page = self._show(operation)  # which opens another tab once the first was long enough
                        if tried and not on_page and unanswered.is_set():
                            break
                        if now - told >= PROGRESS_SECONDS:
                            told = now
                            if tell := on_pause.get():
                                await tell("Waiting for the user to decide")
                        with anyio.move_on_after(POLL_SECONDS):
                            await (anyio.sleep_forever() if unanswered.is_set() else unanswered.wait())
                    group.cancel_scope.cancel()
        finally:
            if mine:
                self._asking.discard(operation.operation_id)
        if self._open(operation):
            if mine and not (on_page and self.page and self.page.seen_since(listed_at)):
                self.ledger.give_up(operation.operation_id, self.clock())
                self.mute.discard(_client(context))  # the page is no way to the person either
        elif on_page and not unanswered.is_set() and self._is_decided(operation):
            self.mute.add(_client(context))  # the person decided on the page while the client showed nothing

    def _take(self, operation: Operation) -> bool:
        """Make this the call that has the person asked; False where another of this process does."""
        if operation.operation_id in self._asking:
            return False
        self._asking.add(operation.operation_id)
        return True

    def _open(self, operation: Operation) -> Operation | None:
        """Return the operation as it is now, None where it is no longer open."""
        found = self.ledger.read(operation.operation_id)
        return found if found and found.state is State.ASKED else None

    def _is_decided(self, operation: Operation) -> bool:
        found = self.ledger.read(operation.operation_id)
        return found is not None and found.decided_by is not None

    def _show(self, operation: Operation) -> bool:
        if self.page is None or self.mode not in ("auto", "page"):
            return False
        if not operation.on_page:
            self.ledger.put_on_page(operation.operation_id, self.clock() + PAGE_SECONDS)
        return self.page.show(operation.user)

    async def _elicit(
        self, context: Context[Any, Any], operation: Operation, card: Card, unanswered: anyio.Event
    ) -> None:
        begun = self.clock()
        result: ElicitResult | None = None
        try:
            result = await context.session.elicit_form(card.text, _FORM, context.request_context.request_id)
        except (MCPError, ValidationError):
            result = None
        self._judge(context, operation, result, self.clock() - begun)
        unanswered.set()

    def _judge(self, context: Context[Any, Any], operation: Operation, answer: object, took: float) -> bool:
        """Record what a client answered after `took` seconds; False where no person can have given that answer."""
        decision = _decision(answer)
        if decision == "decline" or (decision and took >= QUICKEST_PERSON):
            if decision == "close":
                self.ledger.give_up(operation.operation_id, self.clock())
            else:
                by = f"the user, in {_client(context) or 'the client'}"
                self.ledger.decide(operation.operation_id, decision == "approve", by=by, now=self.clock())
            return True
        self.mute.add(_client(context))
        return False


def answered_operation(context: Context[Any, Any]) -> str | None:
    """Return the operation whose question this call brings an answer to, None where it brings none."""
    state = _read_state(context.request_state)
    return state.operation if state else None


def _decision(answer: object) -> Literal["approve", "decline", "turn_down", "close"] | None:
    """Return what an answer says: a choice made in the form, a refusal of the form, or that it was closed."""
    if not isinstance(answer, ElicitResult):
        return None
    if answer.action == "accept":
        try:
            return _Answer.model_validate(answer.content).decision
        except ValidationError:
            return None
    return "turn_down" if answer.action == "decline" else "close"


def _can_be_asked(context: Context[Any, Any]) -> bool:
    capabilities = context.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _is_modern(context: Context[Any, Any]) -> bool:
    version = context.protocol_version
    return version is not None and is_version_at_least(version, "2026-07-28")


def _client(context: Context[Any, Any]) -> str:
    """Return the client's name, as it gives it."""
    parameters = context.session.client_params
    return parameters.client_info.name if parameters and parameters.client_info else ""


def _question(operation: Operation, card: Card, now: float) -> InputRequiredResult:
    state = _State(operation=operation.operation_id, card=_digest(card), asked_at=now)
    params = ElicitRequestFormParams(message=card.text, requested_schema=_FORM)
    return InputRequiredResult(
        input_requests={_QUESTION: ElicitRequest(params=params)}, request_state=state.model_dump_json()
    )


def _read_state(request_state: str | None) -> _State | None:
    try:
        return _State.model_validate_json(request_state or "")
    except ValidationError:
        return None


def _digest(card: Card) -> str:
    return hashlib.sha256(f"{card.text}\0{card.content}".encode("utf-8", "surrogatepass")).hexdigest()
