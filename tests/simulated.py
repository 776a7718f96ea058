"""Simulated time for what keeps files and waits for threads: it passes while nothing happens, and then at once."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

import anyio
import anyio.to_thread

from harness import Clock

_T = TypeVar("_T")


class _Patient(selectors.DefaultSelector):
    """Waits for nothing but threads at work: it lets the loop's time pass instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.threads: anyio.CapacityLimiter | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        at_work = self.threads is not None and self.threads.borrowed_tokens
        ready = super().select(1 if at_work and timeout != 0 else 0)
        if not ready and not at_work:
            if timeout is None:
                raise RuntimeError("Everything waits for something that cannot happen.")
            self.now += max(timeout, 0.0)
        return ready


class SimulatedTime(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while nothing happens, and then at once."""

    def __init__(self) -> None:
        self.patient = _Patient()
        super().__init__(self.patient)

    def time(self) -> float:
        return self.patient.now


def run(work: Callable[[], Awaitable[_T]]) -> _T:
    """Return what `work` comes to in simulated time."""

    async def main() -> _T:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedTime)
        loop.patient.threads = anyio.to_thread.current_default_thread_limiter()
        return await work()

    return anyio.run(main, backend_options={"loop_factory": SimulatedTime})


@dataclass
class LoopClock(Clock):
    """The clock on the wall, which goes as the loop does, for threads too."""

    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def __call__(self) -> datetime:
        return self.now + timedelta(seconds=self.loop.time())
