"""What may happen without asking, what never, and the operator's limits. Pure.

Without rules reads and changes are allowed, a change of many threads asks, and whatever leaves the
building or removes something asks. A rule for a tool wins over one for its effect, and that over these
defaults.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from salesos_inbox.errors import InvalidArguments, Refused
from salesos_inbox.mail.addresses import parse_address
from salesos_inbox.mail.unicode import quoted

ASK_ABOVE_THREADS = 25
"""A reversible change of more threads than this asks a person."""

_NAMED_ADDRESSES = 3
_IN_NO_ENTRY = frozenset("*<>")
"""Beside its wildcard; a mailbox could be called `sales-*`, but whoever writes that means a pattern."""
_SENDS_TOO = {"schedule_email": "send_email"}
"""Whose rule a tool follows where it has none of its own: what is sent in a minute is sent."""


class Effect(StrEnum):
    """What a tool does to the world."""

    READ = "read"
    CHANGE = "change"
    """Reversible."""
    SEND = "send"
    """Leaves the building."""
    DESTROY = "destroy"
    """Removes something."""


class Decision(StrEnum):
    """What the policy says of an operation, from the mildest to the strictest."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


_DEFAULTS = {
    Effect.READ: Decision.ALLOW,
    Effect.CHANGE: Decision.ALLOW,
    Effect.SEND: Decision.ASK,
    Effect.DESTROY: Decision.ASK,
}


@dataclass(frozen=True)
class Policy:
    """What may happen without asking, what never, and the operator's limits.

    Raises `InvalidArguments` for an allowed recipient that is neither an address, `*@domain` nor `*@*.domain`.
    """

    rules: Mapping[str, Decision] = field(default_factory=dict[str, Decision])
    """Decisions by the name of a tool or an effect, as `read_rules` returns them."""
    allowed_recipients: tuple[str, ...] = ()
    """Whom messages may go to: addresses, `*@domain` and `*@*.domain` (its subdomains); empty is anyone."""
    most_recipients: int | None = None
    """How many recipients one message may have."""
    messages_per_hour: int | None = None
    """How many messages may be sent in an hour."""

    def __post_init__(self) -> None:
        _ = self._allowed

    def decide(self, tool: str, effect: Effect, thread_count: int = 1) -> Decision:
        """Return what is to be done about a call of `tool` that has `effect` on `thread_count` threads."""
        for name in (tool, _SENDS_TOO.get(tool, tool), effect.value):
            if name in self.rules:
                return self.rules[name]
        many = effect is Effect.CHANGE and thread_count > ASK_ABOVE_THREADS
        return Decision.ASK if many else _DEFAULTS[effect]

    def check_recipients(self, recipients: Iterable[str]) -> None:
        """Raise `Refused` where a message to these addresses is more than the operator allows."""
        emails = list(recipients)
        if self.most_recipients is not None and len(emails) > self.most_recipients:
            raise Refused(
                f"The message has {len(emails)} recipients and the operator's SALESOS_MOST_RECIPIENTS allows "
                f"{self.most_recipients}: tell the user, and do not split the message."
            )
        forbidden = [email for email in emails if not self._allows(email)]
        if forbidden:
            raise Refused(
                f"The operator's SALESOS_ALLOWED_RECIPIENTS forbids writing to {_some(forbidden)}: "
                "tell the user, who may leave them out; only the operator can allow them."
            )

    def check_hour(self, sent: int) -> None:
        """Raise `Refused` where no message may follow the number `sent` in the last hour."""
        if self.messages_per_hour is not None and sent >= self.messages_per_hour:
            raise Refused(
                f"The operator's SALESOS_MESSAGES_PER_HOUR allows {self.messages_per_hour} in an hour, and so many "
                "were sent: save the message as a draft and tell the user to send it later."
            )

    @cached_property
    def _allowed(self) -> frozenset[str]:
        return frozenset(map(_entry, self.allowed_recipients))

    def _allows(self, email: str) -> bool:
        return not self._allowed or not self._allowed.isdisjoint(_entries_for(email))


def strictest(decisions: Iterable[Decision]) -> Decision:
    """Return the decision that covers all of `decisions`; nothing at all is allowed."""
    return max(decisions, key=list(Decision).index, default=Decision.ALLOW)


def read_rules(pairs: Iterable[tuple[str, str]], effects: Mapping[str, Effect]) -> dict[str, Decision]:
    """Return the rules that pairs of a name and a decision mean; `effects` holds every tool's effect.

    Raises `InvalidArguments` for a name that is neither a tool's nor an effect's, for a decision that there is
    not or that a read cannot have, and for two decisions on one name.
    """
    effect_of = {**{effect.value: effect for effect in Effect}, **effects}
    rules: dict[str, Decision] = {}
    for name, word in pairs:
        if name not in effect_of:
            raise InvalidArguments(
                f"SALESOS_POLICY names {quoted(name)}, which is neither a tool nor an effect: "
                f"{_remedy(name, list(effect_of))}."
            )
        decision = _decision(name, word)
        if decision is Decision.ASK and effect_of[name] is Effect.READ:
            raise InvalidArguments(f"SALESOS_POLICY says {name}=ask, but a read cannot ask: write allow or deny.")
        if rules.setdefault(name, decision) is not decision:
            raise InvalidArguments(
                f"SALESOS_POLICY says both {name}={rules[name]} and {name}={decision}: keep one of them."
            )
    return rules


def _decision(name: str, word: str) -> Decision:
    try:
        return Decision(word)
    except ValueError as error:
        raise InvalidArguments(
            f"SALESOS_POLICY gives {name} the decision {quoted(word)}: write allow, ask or deny."
        ) from error


def _remedy(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"use {close[0]}" if close else "use read, change, send, destroy or the name of a tool"


def _entry(text: str) -> str:
    """Return an entry of the allow-list as `_entries_for` spells it; raises `InvalidArguments` for what is none."""
    wildcard = next((form for form in ("*@*.", "*@") if text.startswith(form)), "")
    email = f"x@{text.removeprefix(wildcard)}" if wildcard else text
    spelled = _spelled(email) if _IN_NO_ENTRY.isdisjoint(email) else None
    if spelled is None:
        raise InvalidArguments(
            f"SALESOS_ALLOWED_RECIPIENTS holds {quoted(text)}, which is no address: write ann@acme.example, "
            "*@acme.example for a domain or *@*.acme.example for its subdomains."
        )
    return wildcard + spelled.removeprefix("x@") if wildcard else spelled


def _entries_for(email: str) -> set[str]:
    """Return every entry of an allow-list that `email` would satisfy; none for what is no address."""
    spelled = _spelled(email)
    if spelled is None:
        return set()
    domain = spelled.rpartition("@")[2]
    labels = domain.split(".")
    parents = (".".join(labels[start:]) for start in range(1, len(labels)))
    return {spelled, f"*@{domain}", *(f"*@*.{parent}" for parent in parents)}


def _spelled(email: str) -> str | None:
    """Return an address in the one spelling it is compared in, None for what is no address.

    Lower case, not casefolded: straße@ and strasse@ are two mailboxes.
    """
    try:
        return parse_address(email).ascii.lower()
    except InvalidArguments:
        return None


def _some(emails: Sequence[str]) -> str:
    named = [quoted(email) for email in emails[:_NAMED_ADDRESSES]]
    if rest := len(emails) - len(named):
        return f"{', '.join(named)} and {rest} more"
    return " and ".join((", ".join(named[:-1]), named[-1])) if named[1:] else named[0]
