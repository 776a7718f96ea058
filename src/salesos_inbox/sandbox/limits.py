"""How many requests a user or a key may make, counted in windows by the store's clock."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil, inf
from typing import Final, Protocol

_MINUTE: Final = 60.0


@dataclass(frozen=True)
class Limits:
    """Requests allowed in any window of a minute, and of a second where that is limited too.

    A window begins with its first request and is then fixed; a sliding one ends at every moment.
    """

    per_minute: int
    per_second: int | None = None
    sliding: bool = False


DOCUMENTED_LIMITS: Final = Limits(per_minute=100, per_second=20)
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


class _Window(Protocol):
    """The requests of one caller in one window."""

    @property
    def left(self) -> int:
        """How many more it allows."""
        ...

    @property
    def ends(self) -> float:
        """The moment at which it allows more."""
        ...

    def spend(self, moment: float) -> bool:
        """Count a request, and return whether it is allowed."""
        ...


@dataclass
class _FixedWindow:
    seconds: float
    limit: int
    ends: float = -inf
    left: int = 0

    def spend(self, moment: float) -> bool:
        # A clock set back must not lock a caller out, so a window that ends too late is over as well.
        if not self.ends - self.seconds <= moment < self.ends:
            self.ends, self.left = moment + self.seconds, self.limit
        allowed = self.left > 0
        self.left = max(0, self.left - 1)
        return allowed


@dataclass
class _SlidingWindow:
    seconds: float
    limit: int
    _allowed: deque[float] = field(default_factory=deque[float])

    @property
    def left(self) -> int:
        return self.limit - len(self._allowed)

    @property
    def ends(self) -> float:
        return self._allowed[0] + self.seconds

    def spend(self, moment: float) -> bool:
        while self._allowed and not self._allowed[0] <= moment < self._allowed[0] + self.seconds:
            self._allowed.popleft()
        if self.left <= 0:
            return False
        self._allowed.append(moment)
        return True


@dataclass
class Meter:
    """Counts the requests of each caller against `limits`."""

    limits: Limits
    _windows: dict[tuple[str, float], _Window] = field(default_factory=dict[tuple[str, float], _Window])

    def spend(self, caller: str, now: datetime) -> Allowance:
        """Count one request of `caller` and return where that leaves it."""
        moment = now.timestamp()
        lengths = [(_MINUTE, self.limits.per_minute), (1.0, self.limits.per_second)]
        windows = [self._window(caller, seconds, limit) for seconds, limit in lengths if limit is not None]
        over = [window.ends for window in windows if not window.spend(moment)]
        return Allowance(
            limit=self.limits.per_minute,
            remaining=windows[0].left,
            reset=ceil(windows[0].ends),
            retry_after=max(1, ceil(max(over) - moment)) if over else 0,
        )

    def _window(self, caller: str, seconds: float, limit: int) -> _Window:
        kind: Callable[[float, int], _Window] = _SlidingWindow if self.limits.sliding else _FixedWindow
        return self._windows.setdefault((caller, seconds), kind(seconds, limit))
