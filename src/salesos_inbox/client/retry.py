"""When a request may be repeated, and after how long: a write only where it provably did not happen. Pure."""

from collections.abc import Mapping
from enum import StrEnum

from salesos_inbox.client.headers import read_moment, read_number

MAX_REPEATS = 2
FIRST_WAIT = 0.5
"""Seconds, at most; every further wait is twice as long."""
LONGEST_WAIT = 10.0
"""Seconds; a longer `Retry-After` is told to the caller instead of waited for."""
LONGEST_RETRY_AFTER = 86400.0
"""Seconds; nothing is believed that asks for more."""


class Fault(StrEnum):
    """How a request failed to be answered."""

    NOT_SENT = "not_sent"
    """No connection was made: nothing reached the service."""
    REFUSED = "refused"
    """429: the service refused before doing anything."""
    BUSY = "busy"
    """502, 503, 504: somebody on the way answered, and what the service did is not known."""
    LOST = "lost"
    """The request went out, and no usable answer came."""


_PROVABLY_NOT_DONE = frozenset({Fault.NOT_SENT, Fault.REFUSED})


def delay_before_repeat(
    fault: Fault, *, is_write: bool, repeats: int, retry_after: float | None, seconds_left: float, jitter: float
) -> float | None:
    """Return the seconds to wait before trying again, or None where the failure must be reported.

    `repeats` counts the tries already repeated; `retry_after` is what the service asked for, in
    seconds; `seconds_left` is what remains of the call's deadline; `jitter`, drawn from [0, 1),
    spreads the clients that failed together.
    """
    if repeats >= MAX_REPEATS or (is_write and fault not in _PROVABLY_NOT_DONE):
        return None
    at_least = retry_after or 0.0
    half = FIRST_WAIT * 2**repeats / 2
    delay = min(max(at_least, half) + jitter * half, LONGEST_WAIT)
    return delay if at_least <= delay < seconds_left else None


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that `Retry-After` asks for (RFC 9110, 10.2.3), or None where it cannot be read.

    The names in `headers` are in lower case, or found in any. A moment is held against the answer's own
    `Date`, so that a wrong clock here does no harm, and without one against `now`, in unix time.
    """
    value = headers.get("retry-after")
    seconds, until = read_number(value), read_moment(value)
    if seconds is None and until is not None:
        answered = read_moment(headers.get("date"))
        seconds = max(0.0, until - (now if answered is None else answered))
    return None if seconds is None else min(seconds, LONGEST_RETRY_AFTER)
