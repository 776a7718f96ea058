"""What may happen without asking. Pure.

Reads and changes are allowed, a change of many threads asks, and whatever leaves the building or
removes something asks.
"""

from enum import StrEnum

ASK_ABOVE_THREADS = 25
"""A reversible change of more threads than this asks a person."""


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
    """What the policy says of an operation."""

    ALLOW = "allow"
    ASK = "ask"


def decide(effect: Effect, thread_count: int = 1) -> Decision:
    """Return whether an operation with `effect` on `thread_count` threads needs a person's consent."""
    if effect in (Effect.SEND, Effect.DESTROY):
        return Decision.ASK
    return Decision.ASK if effect is Effect.CHANGE and thread_count > ASK_ABOVE_THREADS else Decision.ALLOW
