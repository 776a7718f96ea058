"""How a person is asked: by elicitation, in both eras of the protocol; else not at all.

Since 2026-07-28 a question travels as the result of the call, and the client repeats the call with
the answer (`InputRequiredResult`); before, the server asks in the middle of the call. In both, an
answer counts once, for exactly the card that was shown.
"""

import hashlib
import secrets
from collections.abc import Callable
from typing import Any, Literal

import anyio
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from mcp_types.version import is_version_at_least
from pydantic import BaseModel, Field, ValidationError

from salesos_inbox.approval.card import Card
from salesos_inbox.approval.ledger import Ledger
from salesos_inbox.errors import Conflict, Declined, NobodyAsked

QUICKEST_PERSON = 0.5
"""Seconds; a refusal faster than this comes from a client that shows nothing, not from a person."""

_QUESTION = "approval"


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


async def ask(
    context: Context[Any, Any], ledger: Ledger, card: Card, *, seconds: float, clock: Callable[[], float]
) -> None:
    """Return once a person has approved `card`; an approval is used up by returning.

    `seconds` is how long a person has to answer, `clock` gives unix seconds.

    Raises `Declined` where a person said no, `NobodyAsked` where none could be asked or none
    answered, `Conflict` for an answer that was used before, and `Question` to ask in the newer era.
    """
    if not _can_be_asked(context):
        raise NobodyAsked(
            "Nobody was asked and nothing happened, because this client cannot show a question to the user: "
            "tell the user what you wanted to do and how they can do it themselves."
        )
    version = context.protocol_version
    if version is not None and is_version_at_least(version, "2026-07-28"):
        await _ask_by_result(context, ledger, card, seconds, clock)
    else:
        await _ask_within_call(context, card, seconds, clock)


def _can_be_asked(context: Context[Any, Any]) -> bool:
    capabilities = context.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


async def _ask_within_call(context: Context[Any, Any], card: Card, seconds: float, clock: Callable[[], float]) -> None:
    asked_at = clock()
    result: ElicitResult | None = None
    with anyio.move_on_after(seconds):
        try:
            result = await context.session.elicit_form(card.text, _FORM, context.request_context.request_id)
        except (MCPError, ValidationError):
            result = None
    _judge(result, clock() - asked_at)


async def _ask_by_result(
    context: Context[Any, Any], ledger: Ledger, card: Card, seconds: float, clock: Callable[[], float]
) -> None:
    state = _read_state(context.request_state)
    answer = (context.input_responses or {}).get(_QUESTION)
    if state is None or state.card != _digest(card) or not isinstance(answer, ElicitResult):
        raise Question(_question(card, clock()))
    now = clock()
    if not ledger.claim(state.operation, now):  # before the answer counts: a no cannot become a yes either
        raise Conflict(
            "This question was answered before, so nothing was done again: look at the result of the first call."
        )
    took = now - state.asked_at
    _judge(answer if took <= seconds else None, took)


def _question(card: Card, now: float) -> InputRequiredResult:
    state = _State(operation=secrets.token_urlsafe(16), card=_digest(card), asked_at=now)
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


def _judge(result: ElicitResult | None, seconds: float) -> None:
    """Return for an approval; raise what any other answer means."""
    if result is not None and result.action == "accept":
        try:
            decision = _Answer.model_validate(result.content).decision
        except ValidationError:
            decision = None
        if decision == "approve":
            return
        if decision == "decline":
            raise Declined("The user said no, and nothing happened: do not try again unless they ask for it.")
    if result is not None and result.action == "decline" and seconds >= QUICKEST_PERSON:
        raise Declined("The user said no, and nothing happened: do not try again unless they ask for it.")
    raise NobodyAsked(
        "Nobody answered and nothing happened, as this client did not bring the question before the user in time: "
        "tell the user what you wanted to do, and call again once they are there."
    )
