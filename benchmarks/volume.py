"""How fast the sandbox is with a large mailbox: loading it, and lists and searches over its API.

Run `python benchmarks/volume.py [threads]` (100,000 unless given). Requests go through the ASGI
application in process, so the figures are those of the sandbox and not of a network.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate, islice
from pathlib import Path
from statistics import quantiles

import httpx

from salesos_inbox.sandbox.app import UNLIMITED, create_app
from salesos_inbox.sandbox.messages import StoredAttachment, StoredMessage
from salesos_inbox.sandbox.store import Store

OWNER = "sam@sandbox.salesos.test"
ROUNDS = 40
START = datetime(2020, 1, 1, tzinfo=UTC)


def vocabulary(random_: random.Random) -> tuple[list[str], list[float]]:
    """Return 20,000 words and their summed weights: a few are in most messages, most are rare, as in any language."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(random_.choices(letters, k=random_.randint(3, 10))) for _ in range(20_000)]
    return words, [*accumulate(1 / rank for rank in range(1, len(words) + 1))]


def mail(threads: int, random_: random.Random, words: list[str], weights: list[float]) -> Iterator[StoredMessage]:
    """Yield the messages of a mailbox: one to four in a thread, some with files, some the owner's."""
    for number in range(threads):
        subject = " ".join(random_.choices(words, cum_weights=weights, k=5))
        sender = f"person{random_.randrange(5000)}@customer{random_.randrange(500)}.test"
        begun = START + timedelta(minutes=number * 20)
        earlier: tuple[str, ...] = ()
        for turn in range(random_.choice((1, 1, 1, 2, 2, 4))):
            own = f"<{number}.{turn}@bench.test>"
            yield StoredMessage(
                from_email=OWNER if turn % 2 else sender,
                to=(sender if turn % 2 else OWNER,),
                sent_at=begun + timedelta(minutes=turn),
                message_id=own,
                in_reply_to=earlier[-1] if earlier else None,
                references=earlier,
                subject=f"Re: {subject}" if turn else subject,
                body_text=" ".join(random_.choices(words, cum_weights=weights, k=80)),
                attachments=(StoredAttachment("offer.pdf", "application/pdf", 80_000),) if number % 9 == 0 else (),
                is_read=number % 3 > 0,
                is_starred=number % 50 == 0,
            )
            earlier = (*earlier, own)


def load(store: Store, user: str, messages: Iterator[StoredMessage]) -> tuple[int, float]:
    """File all messages, in transactions as long as an import's; return how many there were and the seconds it took.

    Writing the messages themselves is not counted.
    """
    filed, took = 0, 0.0
    while batch := list(islice(messages, 5000)):
        begun = time.perf_counter()
        with store.transaction():
            for message in batch:
                store.add_message(user, message)
        took += time.perf_counter() - begun
        filed += len(batch)
    return filed, took


async def measure(client: httpx.AsyncClient, paths: list[str]) -> tuple[float, float]:
    """Return the median and the 95th percentile, in milliseconds, of requests to `paths`."""
    taken: list[float] = []
    for path in paths:
        begun = time.perf_counter()
        answer = await client.get(path)
        taken.append((time.perf_counter() - begun) * 1000)
        answer.raise_for_status()
    cuts = quantiles(taken, n=100)
    return cuts[49], cuts[94]


def trials(threads: int, random_: random.Random, words: list[str]) -> dict[str, list[str]]:
    """Return what is measured: a name, and the paths that are asked for."""
    pages = threads // 50

    def rare() -> str:
        return words[random_.randrange(500, len(words))]

    return {
        "list, first page": ["threads?limit=50"] * ROUNDS,
        "list, any page": [f"threads?limit=50&page={random_.randrange(1, pages)}" for _ in range(ROUNDS)],
        "list, page in the middle": [f"threads?limit=50&page={max(1, pages // 2 - place)}" for place in range(ROUNDS)],
        "list, inbox": [f"threads?folder=inbox&page={page}" for page in range(1, ROUNDS)],
        "list, sent": [f"threads?folder=sent&page={page}" for page in range(1, ROUNDS)],
        "list, unread": [f"threads?isRead=false&page={page}" for page in range(1, ROUNDS)],
        "list, by subject": [f"threads?sortBy=subject&sortOrder=asc&page={page}" for page in range(1, ROUNDS)],
        "list, from an address": [
            f"threads?from=person{random_.randrange(5000)}@customer{random_.randrange(500)}.test" for _ in range(ROUNDS)
        ],
        "list, from part of a name": [f"threads?from=person{random_.randrange(5000)}" for _ in range(ROUNDS)],
        "folders": ["folders"] * ROUNDS,
        "stats": ["stats"] * ROUNDS,
        "search, first two letters": [f"search?q={rare()[:2]}" for _ in range(ROUNDS)],
        "search, one word": [f"search?q={rare()}" for _ in range(ROUNDS)],
        "search, two words": [f"search?q={rare()}+{words[random_.randrange(50)]}" for _ in range(ROUNDS)],
        "search, word of 1 in 20": [f"search?q={words[120 + place]}" for place in range(ROUNDS)],
        "search, word of most": [f"search?q={words[place]}" for place in range(10)],
    }


async def ask(store: Store, user: str, asked: dict[str, list[str]]) -> None:
    """Send all requests, and print a line for each kind."""
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(store, limits=UNLIMITED)),
        base_url="http://sandbox.test/v1/email-inbox/",
        headers={"Authorization": f"Bearer {store.issue_token(user)}"},
    )
    async with client:
        print(f"{'':<26}{'p50 ms':>8}{'p95 ms':>8}")
        for name, paths in asked.items():
            median, slow = await measure(client, paths)
            print(f"{name:<26}{median:>8.1f}{slow:>8.1f}", flush=True)


def main(threads: int) -> None:
    """Load a mailbox of so many threads into a temporary file, measure, and print a table."""
    random_ = random.Random(7)
    words, weights = vocabulary(random_)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bench.db")
        store = Store(path)
        user = store.add_user(OWNER)
        messages, took = load(store, user, mail(threads, random_, words, weights))
        size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 2**20
        print(f"{threads:,} threads, {messages:,} messages in {took:.0f} s; {size:.0f} MB\n", flush=True)
        asyncio.run(ask(store, user, trials(threads, random_, words)))
        store.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
