"""The end of a serving process: it comes soon, and what was in flight by then is on record."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from types import FrameType

import anyio

SECONDS_TO_END = 3.5
"""How long a write in flight is waited for. The Python SDK kills a server 4 s after it closed its input."""
SECONDS_TO_RECORD = 0.4
"""How long recording what is still in flight may take after that."""


class Shutdown:
    """Ends this process in `SECONDS_TO_END` once it has begun to stop, whatever still runs.

    `record` is called last, with the writes that nobody waits for any more still in flight. A thread
    of its own keeps the time, as a blocked reader or a busy event loop must not hold the end up.
    """

    def __init__(self, record: Callable[[], None]) -> None:
        self.begun = anyio.Event()
        """Set once the server is to stop."""
        self.status: int | None = None
        """The exit status, once that is decided."""
        self._record = record
        self._loop = asyncio.get_running_loop()
        self._steps: SimpleQueue[None] = SimpleQueue()  # which a signal handler may use, whatever it interrupts
        threading.Thread(target=self._keep_time, name="shutdown", daemon=True).start()

    @contextmanager
    def on_signals(self) -> Generator[None]:
        """Let SIGINT and SIGTERM begin the end, and a second one hasten it."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        del frame
        if self.status:
            self._steps.put(None)
        else:
            self.begin(128 + sig)

    def begin(self, status: int) -> None:
        """Begin the end of this process with an exit status; that of a signal counts for more than 0."""
        begun, self.status = self.status is not None, self.status or status
        if not begun:
            self._steps.put(None)
            with suppress(RuntimeError):  # the loop has ended, and all that ran in it
                self._loop.call_soon_threadsafe(self.begun.set)

    async def end(self) -> None:
        """End this process now; does not return."""
        self._steps.put(None)
        await anyio.sleep_forever()

    def _keep_time(self) -> None:
        self._steps.get()
        with suppress(Empty):
            self._steps.get(timeout=SECONDS_TO_END)
        last = threading.Timer(SECONDS_TO_RECORD, self._exit)
        last.daemon = True
        last.start()
        try:
            self._record()
        finally:
            self._exit()

    def _exit(self) -> None:
        os._exit(self.status or 0)
