"""From a proposal to an effect that happens at most once: policy, ledger, ladder and claim, in this order."""

import hashlib
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import anyio
from mcp.server.mcpserver import Context

from salesos_inbox.approval.card import Card
from salesos_inbox.approval.ladder import POLL_SECONDS, Ladder, answered_operation
from salesos_inbox.approval.ledger import Ledger, Operation, Request, State
from salesos_inbox.approval.policy import Decision, Effect, Policy, strictest
from salesos_inbox.errors import (
    Conflict,
    Declined,
    Expired,
    InboxError,
    NobodyAsked,
    OutcomeUnknown,
    Pending,
    Refused,
    Unavailable,
)

OTHER_CALL_SECONDS = 10.0
"""How long a call waits for another one that is carrying out the same operation."""

log = logging.getLogger("salesos_inbox")


@dataclass(frozen=True)
class Proposal:
    """What a tool wants to do: the card a person is shown, and `about`, what the log may say of it.

    `tools` are those whose policies apply, with what each does here; the first is the one that was
    called. `once` says that the same content within a day is the same operation.
    """

    tools: tuple[tuple[str, Effect], ...]
    card: Card
    about: Mapping[str, Any]
    thread_count: int = 1
    recipients: tuple[str, ...] = ()
    once: bool = False

    @property
    def tool(self) -> str:
        """The tool that was called."""
        return self.tools[0][0]

    @property
    def effect(self) -> Effect:
        """The gravest of the effects."""
        return max((effect for _, effect in self.tools), key=list(Effect).index)

    @property
    def fingerprint(self) -> str:
        """What stands for the exact content."""
        return fingerprint(self.tool, self.card.content)


def fingerprint(tool: str, content: str) -> str:
    """Return what stands for the exact `content` of a call of `tool`."""
    return hashlib.sha256(f"{tool}\0{content}".encode("utf-8", "surrogatepass")).hexdigest()


@dataclass
class Approval:
    """Leave to do something, once. What is written into `receipt` is kept with the operation.

    `operation_id` is None where nothing needed to be asked; `chosen` are the items of the card that a
    person left ticked, None for all; `earlier` is the receipt where another call has just done it.
    """

    operation_id: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])
    chosen: frozenset[str] | None = None
    earlier: Operation | None = None
    receipt: dict[str, Any] = field(default_factory=dict[str, Any])

    def covers(self, key: str) -> bool:
        """Return whether the item of the card with that key was approved."""
        return self.chosen is None or key in self.chosen


@dataclass
class Consent:
    """How one server comes by a person's consent. `clock` gives unix seconds."""

    ledger: Ledger
    policy: Policy
    ladder: Ladder
    clock: Callable[[], float]

    @asynccontextmanager
    async def operation(
        self,
        context: Context[Any, Any],
        user: str,
        proposal: Proposal,
        earlier: Operation | None = None,
        *,
        called_at: float | None = None,
    ) -> AsyncGenerator[Approval]:
        """Enter once `proposal` may be carried out, and record on the way out what became of it.

        `earlier` is an attempt at the same content that the card speaks of; only a person may have it
        repeated. `called_at` is when the call came in, in unix seconds (None: just now). Raises `Refused`
        where the policy forbids it, `Declined`, `NobodyAsked`, `Pending` or `Expired` where nobody
        approved, `Conflict` where the approval is used up, and the ladder's `Question`.
        """
        decision = self._decision(proposal)
        if decision is Decision.ALLOW and proposal.effect is Effect.CHANGE:
            yield Approval()
            return
        if decision is Decision.ALLOW and earlier is not None:
            decision = Decision.ASK
        self._check_answered(context, user, proposal)
        now = self.clock()
        request = Request(
            user, proposal.tool, proposal.effect, proposal.fingerprint, proposal.about, proposal.card.document()
        )
        if earlier is None and not proposal.once:
            earlier = self.ledger.attempted(user, proposal.fingerprint, now)  # whose effect the tool has looked at
        operation = self.ledger.begin(
            request, now=now, until=now + self.ladder.seconds, earlier=earlier.operation_id if earlier else None
        )
        if operation.state is State.ASKED:
            operation = await self._decided(context, operation, proposal.card, decision, called_at or now)
        if operation.state is State.APPROVED and self._claimed(operation):
            async with self._recorded(operation) as approval:
                yield approval
        else:
            yield Approval(earlier=await self._done_elsewhere(operation, proposal))

    def _decision(self, proposal: Proposal) -> Decision:
        """Return what the policy says; raises `Refused` for what it forbids."""
        policy = self.policy
        decision = strictest(policy.decide(tool, effect, proposal.thread_count) for tool, effect in proposal.tools)
        if decision is Decision.DENY:
            raise Refused(
                "The operator's SALESOS_POLICY forbids this, so nobody was asked and nothing happened: "
                "tell the user, and do not try it another way."
            )
        if proposal.effect is Effect.SEND:
            policy.check_recipients(proposal.recipients)
        return decision

    def _check_hour(self, operation: Operation) -> None:
        """Raise `Refused` where the operator's limit of messages per hour is reached."""
        if operation.effect == Effect.SEND:
            self.policy.check_hour(self.ledger.sends_since(operation.user, self.clock() - 3600))

    def _claimed(self, operation: Operation) -> bool:
        """Use the approval up; raises `Refused` where the hour's messages were sent in the meantime."""
        if self.ledger.claim(operation.operation_id, self.clock(), most_per_hour=self.policy.messages_per_hour):
            return True
        self._check_hour(operation)
        return False

    def _check_answered(self, context: Context[Any, Any], user: str, proposal: Proposal) -> None:
        """Raise what became of the question that this call answers, where its time is over."""
        operation_id = answered_operation(context)
        asked = self.ledger.read(operation_id) if operation_id else None
        if asked is None or asked.user != user or asked.fingerprint != proposal.fingerprint:
            return
        if asked.state is State.EXPIRED or (asked.state is State.ASKED and self.clock() >= asked.expires_at):
            self.ledger.expire(asked.operation_id, self.clock())
            if not context.input_responses and not asked.decided_by:  # a silent client, told as in the older era
                raise NobodyAsked(_NOBODY)
            raise Expired(_LAPSED if asked.decided_by else _EXPIRED)
        goes_on = (State.ASKED, State.APPROVED, State.CLAIMED, *((State.DONE,) if proposal.once else ()))
        if asked.state not in goes_on:
            self._refuse(asked)

    async def _decided(
        self, context: Context[Any, Any], operation: Operation, card: Card, decision: Decision, called_at: float
    ) -> Operation:
        """Return the operation once somebody has decided, or once it is clear that nobody will in time."""
        try:
            self._check_hour(operation)
        except Refused:
            self.ledger.give_up(operation.operation_id, self.clock())
            raise
        by = "the operator's policy" if decision is Decision.ALLOW else None
        if by is None and self.ladder.mode == "host":
            by = "the client's own dialog, which the operator trusts"
        if by is not None:
            found = self.ledger.decide(operation.operation_id, True, by=by, now=self.clock())
        elif self.ladder.mode == "never":
            found = self.ledger.give_up(operation.operation_id, self.clock())
        else:
            await self.ladder.ask(context, operation, card, called_at)
            found = self.ledger.read(operation.operation_id)
        return found or operation

    async def _done_elsewhere(self, operation: Operation, proposal: Proposal) -> Operation:
        """Return an operation that another call carries out, once it has; raise where there is nothing to wait for."""
        operation = self.ledger.read(operation.operation_id) or operation
        with anyio.move_on_after(OTHER_CALL_SECONDS):
            while operation.state is State.CLAIMED:
                await anyio.sleep(POLL_SECONDS)
                operation = self.ledger.read(operation.operation_id) or operation
        if operation.state is not State.DONE or not proposal.once:
            self._refuse(operation)
        return operation

    @asynccontextmanager
    async def _recorded(self, operation: Operation) -> AsyncGenerator[Approval]:
        """Hand out the approval of a claimed operation, and record what came of it."""
        approval = Approval(operation.operation_id, operation.about, operation.chosen)
        state, what = State.UNKNOWN, "outcome unknown"
        shield = anyio.CancelScope(shield=operation.effect == Effect.SEND)  # until it is known what became of it
        try:
            with shield:
                yield approval
            state, what = State.DONE, approval.receipt.get("status", "done")
        except OutcomeUnknown:
            raise
        except InboxError:
            state, what = State.FAILED, "failed"
            raise
        except anyio.get_cancelled_exc_class():
            if approval.receipt.get("note"):  # what was done until then is known
                state, what = State.DONE, "broken off"
            raise
        finally:
            try:
                self.ledger.finish(operation.operation_id, state, self.clock(), receipt=approval.receipt, what=what)
            except Unavailable:
                # It has happened, or not, all the same; the ledger still says that it was begun, and it is looked up.
                log.warning("the ledger could not record what became of an operation")

    def _refuse(self, operation: Operation) -> NoReturn:
        """Raise what it means for the caller that an operation stands where it does."""
        match operation.state:
            case State.DECLINED:
                self.ledger.tell(operation.operation_id)
                raise Declined("The user said no, and nothing happened: do not try again unless they ask for it.")
            case State.EXPIRED | State.APPROVED:
                self.ledger.expire(operation.operation_id, self.clock())
                raise Expired(_LAPSED if operation.decided_by else _EXPIRED)
            case State.NOBODY_ASKED:
                raise NobodyAsked(_NOBODY)
            case State.ASKED:
                raise Pending(
                    "The user has not decided yet and nothing happened: tell them that the question waits in their "
                    "browser, and call again with the same arguments once they have answered."
                )
            case State.CLAIMED:
                raise Conflict("Another call is doing exactly this at the moment: call again in a minute.")
            case State.UNKNOWN:
                raise OutcomeUnknown(
                    "This was tried and no usable answer came, so it may or may not have happened: "
                    "look before you repeat it."
                )
            case State.DONE | State.FAILED | State.TAKEN_BACK:
                raise Conflict(
                    "This question was answered before, so nothing was done again: "
                    "look at the result of the first call."
                )


_NOBODY = (
    "Nobody decided and nothing happened, as the question reached no one or was closed: "
    "tell the user what you wanted to do and how they can do it themselves."
)
_EXPIRED = (
    "The user did not decide in time and nothing happened: tell them what you wanted to do, "
    "and call again if they still want it."
)
_LAPSED = (
    "The user approved this, but it was not called again in time, so the approval has lapsed and nothing happened: "
    "call again, and they are asked anew."
)
