"""When a request may go out: within the limits of the service, and fair between the calls that wait."""

import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import anyio

from salesos_inbox.client.calling import calling, on_wait
from salesos_inbox.client.windows import MINUTE, Rate, Windows, read_standing
from salesos_inbox.errors import RateLimited
from salesos_inbox.settings import REQUESTS_PER_MINUTE

REQUESTS_PER_SECOND = 18
"""Below the 20 of the service's other modules."""
LONGEST_TURN = 120.0
"""Seconds that a request waits for its turn: two windows, of which one may be spent by others."""

_MARGIN = 0.05
"""Seconds that our windows are longer, as clocks differ in speed."""
_GRAIN = 0.001
"""Seconds that timers are early or late."""
_NOTICEABLE = 1.0
_TOLD_EVERY = 15.0
_WRITES_IN_A_ROW = 3
"""After so many writes that went first, a read has its turn."""


Heed = Callable[[int, Mapping[str, str]], None]
"""Takes what an answer says of the limits: its status, and its headers by their names in lower case."""


class Limiter:
    """Lets requests go out one after the other, as the limits allow.

    Calls take turns (`calling` says which a request belongs to), each in the order of its own requests; writes go
    before the reads of other calls. Who waits is told by `on_wait`. `clock` is in unix seconds.
    """

    def __init__(
        self,
        per_minute: int = REQUESTS_PER_MINUTE,
        per_second: int = REQUESTS_PER_SECOND,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        limits = ((per_minute, MINUTE), (per_second, 1.0))
        self._windows = Windows([Rate(requests, seconds + _MARGIN) for requests, seconds in limits])
        self._line = _Line()
        self._clock = clock

    @asynccontextmanager
    async def turn(self, *, is_write: bool = False, longest: float = LONGEST_TURN) -> AsyncGenerator[Heed]:
        """Wait for the turn of one request, which is made inside: until its end it counts as under way.

        Raises `RateLimited` as soon as it is clear that this would take longer than `longest`, in seconds.
        """
        number = await self._take(is_write, anyio.current_time() + longest)
        try:
            yield partial(self._heed, number)
        finally:
            self._windows.settle(anyio.current_time())

    def _heed(self, number: int, status: int, headers: Mapping[str, str]) -> None:
        self._windows.heed(number, read_standing(status, headers, self._clock), anyio.current_time())
        self._pass_on()

    async def _take(self, is_write: bool, deadline: float) -> int:
        waiter = _Waiter(id(calling.get()), is_write, deadline)
        self._line.add(waiter)
        try:
            self._pass_on()
            tell = on_wait.get()
            if tell is None or waiter.number is not None:
                await self._wait(waiter)
            else:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._tell, waiter, tell)
                    await self._wait(waiter)
                    tasks.cancel_scope.cancel()
            if waiter.number is None:
                raise self._too_long(waiter)
        except BaseException:
            self._give_back(waiter)
            raise
        return waiter.number

    async def _wait(self, waiter: "_Waiter") -> None:
        """Wait until `waiter` has its number, or it is clear that it will not have it in time.

        The first in line watches the time for all.
        """
        while waiter.number is None:
            now = anyio.current_time()
            if self._due(waiter, now) >= waiter.deadline:
                return
            until = self._windows.free_at(now) if self._line.first() is waiter else math.inf
            waiter.woken = anyio.Event()
            with anyio.move_on_after(max(min(until, waiter.deadline) - now, _GRAIN)):
                await waiter.woken.wait()
            self._pass_on()

    def _pass_on(self) -> None:
        """Give their turns to those who may go, and wake whoever is first then."""
        now = anyio.current_time()
        while (waiter := self._line.first()) and self._windows.free_at(now) <= now + _GRAIN:
            self._line.take(waiter)
            waiter.number = self._windows.spend()
            waiter.woken.set()
        if waiter:
            waiter.woken.set()

    def _give_back(self, waiter: "_Waiter") -> None:
        if waiter.number is None:
            self._line.remove(waiter)
        else:
            self._windows.withdraw()
        self._pass_on()

    async def _tell(self, waiter: "_Waiter", tell: Callable[[float], Awaitable[None]]) -> None:
        """Tell when the waiter's call goes on, every now and then; once for all requests of a call."""
        while waiter.number is None:
            call, now = self._line.calls[waiter.call], anyio.current_time()
            seconds = self._due(call.waiting[0], now) - now
            if seconds > _NOTICEABLE and now - call.told_at >= _TOLD_EVERY:
                call.told_at = now
                with suppress(Exception):  # that nobody listens must not keep the request from its turn
                    await tell(seconds)
            await anyio.sleep(max(_NOTICEABLE, call.told_at + _TOLD_EVERY - now))

    def _due(self, waiter: "_Waiter", now: float) -> float:
        return self._windows.free_at(now, 1 + self._line.ahead_of(waiter))

    def _too_long(self, waiter: "_Waiter") -> RateLimited:
        now = anyio.current_time()
        seconds = max(1, math.ceil(self._due(waiter, now) - now))
        return RateLimited(
            f"SalesOS takes only so many requests a minute, and this one would have its turn in {seconds} seconds: "
            "call again then, or ask for less at a time.",
            float(seconds),
        )


@dataclass(eq=False)
class _Waiter:
    """A request that waits; it has a number once it may go."""

    call: int
    is_write: bool
    deadline: float
    number: int | None = None
    woken: anyio.Event = field(default_factory=anyio.Event)


@dataclass
class _Call:
    """The requests of a call that wait, the oldest first, and when it was last told."""

    waiting: deque[_Waiter] = field(default_factory=deque[_Waiter])
    told_at: float = -math.inf


class _Line:
    """Who waits: the calls, in the order in which they have their turns."""

    def __init__(self) -> None:
        self.calls: dict[int, _Call] = {}
        self._writes_in_a_row = 0

    def add(self, waiter: _Waiter) -> None:
        """Let `waiter` wait behind the others of its call."""
        self.calls.setdefault(waiter.call, _Call()).waiting.append(waiter)

    def remove(self, waiter: _Waiter) -> None:
        """Let it wait no longer."""
        call = self.calls[waiter.call]
        call.waiting.remove(waiter)
        if not call.waiting:
            del self.calls[waiter.call]

    def first(self) -> _Waiter | None:
        """Return whose turn is next."""
        heads = [call.waiting[0] for call in self.calls.values()]
        writes = (head for head in heads if head.is_write and self._writes_in_a_row < _WRITES_IN_A_ROW)
        return next(writes, heads[0] if heads else None)

    def take(self, waiter: _Waiter) -> None:
        """Let the first one go; its call is the last to have another turn."""
        self._writes_in_a_row = self._writes_in_a_row + 1 if waiter.is_write else 0
        call = self.calls.pop(waiter.call)
        self.calls[waiter.call] = call
        self.remove(waiter)

    def ahead_of(self, waiter: _Waiter) -> int:
        """Return how many will have gone, about, when `waiter` is first."""
        place = self.calls[waiter.call].waiting.index(waiter)
        others = (call.waiting for key, call in self.calls.items() if key != waiter.call)
        rivals = (waiting for waiting in others if waiting[0].is_write or not waiter.is_write)
        return place + sum(min(len(waiting), place + 1) for waiting in rivals)
