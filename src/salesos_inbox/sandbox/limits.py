"""How many requests a user or a key may make, counted in fixed windows by the store's clock."""

from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Final

_MINUTE: Final = 60.0


@dataclass(frozen=True)
class Limits:
    """Requests allowed in any window of a minute, and of a second where that is limited too."""

    per_minute: int
    per_second: int | None = None


DOCUMENTED_LIMITS: Final = Limits(per_minute=100)
UNLIMITED: Final = Limits(per_minute=1_000_000_000)
"""For demos: the headers are there, the limit is out of reach."""


@dataclass(frozen=True)
class Allowance:
    """Where a caller stands: `reset` is the unix time of the window's end, `retry_after` in seconds, 0 if allowed."""

    limit: int
    remaining: int
    reset: int
    retry_after: int

    def headers(self) -> dict[str, str]:
        """Return the headers that every response carries."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }


@dataclass
class _Window:
    ends: float
    left: int


@dataclass
class Meter:
    """Counts the requests of each caller against `limits`."""

    limits: Limits
    _windows: dict[tuple[str, float], _Window] = field(default_factory=dict[tuple[str, float], _Window])

    def spend(self, caller: str, now: datetime) -> Allowance:
        """Count one request of `caller` and return where that leaves it."""
        moment = now.timestamp()
        spent = [self._spend(caller, length, limit, moment) for length, limit in self._lengths()]
        minute, over = spent[0][0], [window.ends for window, allowed in spent if not allowed]
        return Allowance(
            limit=self.limits.per_minute,
            remaining=minute.left,
            reset=ceil(minute.ends),
            retry_after=max(1, ceil(max(over) - moment)) if over else 0,
        )

    def _lengths(self) -> list[tuple[float, int]]:
        second = [(1.0, self.limits.per_second)] if self.limits.per_second else []
        return [(_MINUTE, self.limits.per_minute), *second]

    def _spend(self, caller: str, length: float, limit: int, moment: float) -> tuple[_Window, bool]:
        window = self._windows.get((caller, length))
        # A clock set back must not lock a caller out, so a window that ends too late is over as well.
        if window is None or not window.ends - length <= moment < window.ends:
            window = self._windows[caller, length] = _Window(moment + length, limit)
        allowed = window.left > 0
        window.left = max(0, window.left - 1)
        return window, allowed
