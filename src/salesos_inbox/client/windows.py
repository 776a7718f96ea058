"""How many requests may go out, and when: our own count, narrowed by what the service says of its own. Pure.

Nobody tells when the service's windows begin, nor when a request arrives there: somewhere between its start and
its answer. So each counts from its start until a window's length after its answer. Then no window holds more than
the limit, be it fixed or sliding, however long requests take. (A leaky bucket does not promise that: aiolimiter 1.3
with 100 a minute lets 199 through in its first.)
"""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from salesos_inbox.client.headers import read_moment, read_number

MINUTE = 60.0
LONGEST_WINDOW = 3600.0
"""Seconds; a header that speaks of a moment further away is not believed."""

_SHORTEST_WINDOW = 2.0
"""A window that ends within so many seconds may be one of seconds, unless its limit was told of a longer one."""
_SAME_WINDOW = 2.0
"""Seconds by which moments differ that are told in whole seconds and mean the same."""
_LONGEST_PAUSE = 60.0
_SLOW_FOR = 5 * MINUTE
_PROBE = 5.0
"""Seconds for which, after a refusal, one request is to find out how things stand."""


@dataclass(frozen=True)
class Rate:
    """So many requests in any window of so many seconds."""

    requests: int
    seconds: float


@dataclass(frozen=True)
class Standing:
    """What the headers of an answer say of the limits; times are seconds from now, None is nothing sensible."""

    refused: bool = False
    limit: int | None = None
    remaining: int | None = None
    reset: float | None = None
    retry_after: float | None = None


def read_standing(status: int, headers: Mapping[str, str], clock: Callable[[], float]) -> Standing:
    """Return what an answer says; `headers` are found by their names in lower case, `clock` is ours, in unix seconds.

    Moments are held against the answer's own `Date`. Without one our clock has to do, and as it may be wrong, only
    what is within a minute is believed. A reset too small for a moment is in seconds, as some frameworks send it.
    """
    there = read_moment(headers.get("date"))
    now, furthest = (clock(), MINUTE) if there is None else (there, LONGEST_WINDOW)
    reset, retry_after = read_number(headers.get("x-ratelimit-reset")), read_number(headers.get("retry-after"))
    if reset is not None:
        reset = _within(reset if reset <= LONGEST_WINDOW else reset - now, furthest)
    if retry_after is None and (until := read_moment(headers.get("retry-after"))) is not None:
        retry_after = _within(until - now, furthest)
    limit, remaining = read_number(headers.get("x-ratelimit-limit")), read_number(headers.get("x-ratelimit-remaining"))
    return Standing(
        refused=status == 429,
        limit=int(limit) if limit and limit >= 1 else None,
        remaining=None if remaining is None else int(remaining),
        reset=reset,
        retry_after=None if retry_after is None else min(retry_after, LONGEST_WINDOW),
    )


def _within(seconds: float, furthest: float) -> float | None:
    return seconds if 0 <= seconds <= furthest else None


@dataclass(frozen=True)
class _Allowance:
    """Until a moment no request goes out whose number is beyond `last`."""

    last: int = 0
    until: float = -math.inf


@dataclass(frozen=True)
class _Remainder:
    """The least that was said to remain until a moment, last by the answer to request `number`."""

    requests: int = 0
    until: float = -math.inf
    number: int = 0


class Windows:
    """The requests that went out, numbered from 1, and when the next may; times are those of one steady clock."""

    def __init__(self, rates: Sequence[Rate]) -> None:
        self._rates = tuple(rates)
        self._longest = max([MINUTE, *(rate.seconds for rate in rates)])
        self._answered = deque[float]()
        self._under_way = 0
        self._spent = 0
        self._refused = 0
        """The number of the latest request that had gone out when the service refused one."""
        self._probe = self._allowance = _Allowance()
        self._remainder = _Remainder()
        self._narrowed: dict[float, tuple[Rate, float]] = {}
        """By the length of their windows: lower rates, and until when they hold."""
        self._held_until = -math.inf
        self._pause = 0.0

    def spend(self) -> int:
        """Count a request that goes out now, and return its number."""
        self._under_way += 1
        self._spent += 1
        return self._spent

    def withdraw(self) -> None:
        """Take back one that was counted and did not go out."""
        self._under_way -= 1

    def settle(self, now: float) -> None:
        """Count one as answered, or given up."""
        self._under_way -= 1
        self._answered.append(now)
        while self._answered[0] <= now - self._longest:
            self._answered.popleft()

    def heed(self, number: int, standing: Standing, now: float) -> None:
        """Narrow what may go out by the answer to request `number`.

        Called before that one is settled. A limit below ours holds for a minute, what remains until its window is
        over. After a refusal everybody waits, then one goes first; was it a short one, it all goes on at half the
        speed for a few minutes.
        """
        if standing.limit is not None and self._is_of_a_minute(standing.limit, standing.reset):
            self._narrowed[MINUTE] = Rate(standing.limit, MINUTE), now + MINUTE
        if standing.refused:
            if number > self._refused:
                self._slow_down(standing, now)
            self._held_until = max(self._held_until, now + self._asked_pause(number, standing))
            self._refused = self._spent
            self._probe = _Allowance(self._spent + 1, self._held_until + _PROBE)
        elif number > self._refused:
            self._pause, self._probe = 0.0, _Allowance()
            if standing.remaining is not None and standing.reset is not None:
                self._allow(_Remainder(standing.remaining, now + standing.reset, number), now)

    def _allow(self, said: _Remainder, now: float) -> None:
        """Let no more go out than remain, if what is under way was not counted there yet.

        Answers come in another order than requests were counted; in one window the least is the latest.
        """
        known = self._remainder
        if said.number < known.number and said.until < known.until - _SAME_WINDOW:
            return
        if now < known.until and abs(said.until - known.until) <= _SAME_WINDOW:
            said = _Remainder(min(said.requests, known.requests), min(said.until, known.until), said.number)
        self._remainder = said
        others_under_way = self._under_way - 1
        self._allowance = _Allowance(self._spent - others_under_way + said.requests, said.until)

    def _is_of_a_minute(self, limit: int, reset: float | None) -> bool:
        if reset is None or reset > _SHORTEST_WINDOW:
            return True
        return MINUTE in self._narrowed and self._narrowed[MINUTE][0].requests == limit

    def _slow_down(self, standing: Standing, now: float) -> None:
        """Halve what may go out in a second, where a refusal is over so soon that it must be about seconds."""
        asked = standing.reset if standing.retry_after is None else standing.retry_after
        rate = min(self._rates, key=lambda rate: rate.seconds)
        if asked is None or asked > _SHORTEST_WINDOW or rate.seconds > _SHORTEST_WINDOW:
            return
        narrowed, until = self._narrowed.get(rate.seconds, (rate, now))
        requests = narrowed.requests if now < until else rate.requests
        self._narrowed[rate.seconds] = Rate(max(1, requests // 2), rate.seconds), now + _SLOW_FOR

    def _asked_pause(self, number: int, standing: Standing) -> float:
        """Return how long a refusal asks to wait; where it does not say, a second, and twice as long each time."""
        asked = standing.reset if standing.retry_after is None else standing.retry_after
        if asked is not None:
            return asked
        if number > self._refused:
            self._pause = min(2 * self._pause or 1.0, _LONGEST_PAUSE)
        return self._pause

    def free_at(self, now: float, count: int = 1) -> float:
        """Return the earliest moment at which `count` more may have gone out, if what is under way is answered now."""
        planned: list[float] = []
        at = max(now, self._held_until)
        for number in range(self._spent + 1, self._spent + count + 1):
            at = max([at, *(self._opening(rate, planned, now) for rate in self._rates)])
            for rate, until in self._narrowed.values():
                if at < until:
                    at = min(max(at, self._opening(rate, planned, now)), until)
            for allowance in (self._allowance, self._probe):
                if number > allowance.last:
                    at = max(at, allowance.until)
            planned.append(at)
        return at

    def _opening(self, rate: Rate, planned: Sequence[float], now: float) -> float:
        """Return when the last but `rate.requests` no longer counts."""
        back = rate.requests
        if back <= len(planned):
            return planned[-back] + rate.seconds
        back -= len(planned)
        if back <= self._under_way:
            return now + rate.seconds
        back -= self._under_way
        return self._answered[-back] + rate.seconds if back <= len(self._answered) else -math.inf
