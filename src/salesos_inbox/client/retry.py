"""When a request may be repeated: only where it provably did not happen. Pure."""

from enum import StrEnum

MAX_REPEATS = 2
LONGEST_WAIT = 10.0
"""Seconds; a longer `Retry-After` is told to the caller instead of waited for."""


class Fault(StrEnum):
    """How a request failed to be answered."""

    NOT_SENT = "not_sent"
    """No connection was made: nothing reached the service."""
    THROTTLED = "throttled"
    """429: the service refused before doing anything."""
    LOST = "lost"
    """The request went out and its answer did not come."""


def delay_before_repeat(fault: Fault, repeats: int, retry_after: float | None, seconds_left: float) -> float | None:
    """Return the seconds to wait before trying again, or None where the failure must be reported.

    `repeats` counts the tries already repeated; `retry_after` is what the service asked for, in
    seconds; `seconds_left` is what remains of the call's deadline.
    """
    if fault is Fault.LOST or repeats >= MAX_REPEATS:
        return None
    delay = max(retry_after or 0.0, 0.25 * 2**repeats)
    return delay if delay <= min(LONGEST_WAIT, seconds_left) else None
