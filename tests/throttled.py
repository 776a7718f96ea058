"""A large mailbox, triaged page by page and archived in bulk, against the limits of the service, in simulated time.

The client, its limiter, the server and the sandbox that counts are the real ones; a request takes a tenth of a
second. `python tests/throttled.py '{"threads": 5000}'` prints what it came to.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Any, cast

import anyio
import httpx

import simulated
from harness import ERAS, NOW, Clock, Era, Office, Person, open_office
from salesos_inbox.client.http import InboxClient
from salesos_inbox.sandbox.limits import DOCUMENTED_LIMITS, Limits
from salesos_inbox.sandbox.messages import StoredMessage
from salesos_inbox.sandbox.store import Store

USER = "maya@northwind.example"
LIMITS = Limits(per_minute=DOCUMENTED_LIMITS.per_minute, per_second=20)
"""The documented limit, and the one of the product's other modules."""
PAGE = 50
_WAY = 0.05
"""Seconds that a request is on its way, and so is its answer."""


class Line(httpx.AsyncBaseTransport):
    """The wire to the sandbox, on which everything takes a moment; it counts what is answered."""

    def __init__(self, office: Office, rival: int) -> None:
        self._wire = office.wire
        self._rival = rival
        self.statuses: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` on."""
        await anyio.sleep(_WAY)
        if request.url.path.endswith("/threads/bulk"):
            self._rival -= 1
            if self._rival == 0:
                for _ in range(2 * LIMITS.per_minute):
                    await self._wire.handle_async_request(httpx.Request("GET", request.url, headers=request.headers))
        response = await self._wire.handle_async_request(request)
        await anyio.sleep(_WAY)
        self.statuses.append(response.status_code)
        return response


@dataclass
class Figures:
    """What a run came to; times are simulated, but for `cpu`."""

    threads: int
    requests: int = 0
    refused: int = 0
    failed: int = 0
    seconds: float = 0.0
    longest_call: float = 0.0
    waits_told: int = 0
    steps_back: int = 0
    """How often a call's progress did not increase."""
    cpu: float = 0.0
    notes: list[str] = field(default_factory=list[str])
    """What answers said besides how to go on."""

    @property
    def ratio(self) -> float:
        """How long it took, as a multiple of what the documented limit allows for so many requests."""
        return self.seconds / (self.requests / LIMITS.per_minute * 60)


def a_mailbox(threads: int, clock: Clock) -> Store:
    """Return a mailbox with so many threads in the inbox, one in ten of them with a follow-up that is due."""
    store = Store(clock=clock)
    user_id = store.add_user(USER, "Maya", "Lindqvist")
    with store.transaction():
        for number in range(threads):
            message = StoredMessage(
                from_email=f"person{number % 97}@helix.example",
                message_id=f"<m{number}@helix.example>",
                sent_at=NOW - timedelta(minutes=number + 1),
                to=(USER,),
                subject=f"Pallet {number}",
                body_text=f"Hello Maya,\n\nwhen does pallet {number} arrive?\n\nBest\nKim",
            )
            thread_id = store.file_message(user_id, message).thread_id
            if number % 10 == 9:
                store.set_follow_up(user_id, thread_id, NOW + timedelta(milliseconds=1), None)
    return store


class _Told:
    """What a client is told of one call."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.waits = 0

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        self.steps.append(progress)
        self.waits += "going on in" in (message or "")


async def work(threads: int, era: Era, settings: dict[str, str], rival: int) -> Figures:
    """Triage all of the mailbox, then archive all of it by one plan.

    Once `rival` batches were sent, another program uses up what the same user may send; 0 is none.
    """
    figures, clock, begun = Figures(threads), simulated.LoopClock(), time.process_time()
    store, person = a_mailbox(threads, clock), Person(seconds=1.0)
    async with open_office(
        store=store, user=USER, era=era, clock=clock, person=person, limits=LIMITS, settings=settings
    ) as office:
        line, chosen = Line(office, rival), office.services.settings
        office.services.open_client = lambda: InboxClient(chosen, transport=line, clock=lambda: clock().timestamp())

        async def call(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
            told, called_at = _Told(), anyio.current_time()
            result = await office.client.call_tool(tool, arguments, progress_callback=told)
            figures.longest_call = max(figures.longest_call, anyio.current_time() - called_at)
            figures.failed += bool(result.is_error)
            figures.waits_told += told.waits
            figures.steps_back += sum(one >= other for one, other in pairwise(told.steps))
            return cast("dict[str, Any]", result.structured_content or {})

        ids: dict[str, None] = {}
        cursor: str | None = None
        while True:
            page = await call("triage_inbox", {"limit": PAGE, **({"cursor": cursor} if cursor else {})})
            ids |= dict.fromkeys(row["thread_id"] for row in page.get("threads", ()))
            cursor = page.get("next_cursor")
            figures.notes += [page["note"]] if "could not be read" in page.get("note", "") else []
            if cursor is None:
                break
        answer = await call("bulk_update_threads", {"plan": [{"action": "archive", "thread_ids": [*ids]}]})
        if [(row["outcome"], row.get("count")) for row in answer.get("results", ())] != [("done", threads)]:
            figures.notes.append(json.dumps(answer))
        figures.requests, figures.refused = len(line.statuses), line.statuses.count(429)
        figures.seconds = anyio.current_time()
    figures.cpu = time.process_time() - begun
    return figures


def run(threads: int, era: Era = ERAS[0], *, requests_per_minute: int | None = None, rival: int = 0) -> Figures:
    """Return the figures of a mailbox with so many threads.

    By its setting the client may ignore the limits; after `rival` batches another program uses them up.
    """
    settings = {"SALESOS_REQUESTS_PER_MINUTE": str(requests_per_minute)} if requests_per_minute else {}
    return simulated.run(lambda: work(threads, era, settings, rival))


if __name__ == "__main__":
    found = run(**json.loads(sys.argv[1]))
    sys.stdout.write(json.dumps({**asdict(found), "ratio": found.ratio}) + "\n")
