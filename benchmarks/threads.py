"""How many tokens (o200k) a real thread costs a model, beside the API's own JSON of it.

All threads of three messages and more of SpamAssassin's ham (mailing lists and private mail of 2002, a package of npm)
and of the shared mail (Linux and notmuch lists), imported into the sandbox and read through the MCP client.
"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from corpora import LARGEST_SET, SHARED, NotFetched, fetched
from figures import Figure, table
from salesos_inbox.mail.reading import read_body
from salesos_inbox.sandbox.importing import import_mail
from salesos_inbox.sandbox.store import Store
from tokens import Bench, count, open_bench

LEAST = 3


def ham(folder: Path) -> Path:
    """Write SpamAssassin's ham into `folder`, a file for each message."""
    for path in (fetched(LARGEST_SET) / "data").glob("*-ham-*/*.json"):
        written: str = json.loads(path.read_text(encoding="utf-8"))["text"]
        raw = written.encode("latin-1" if all(character < "\u0100" for character in written) else "utf-8", "replace")
        (folder / f"{path.parent.name}-{path.stem}.eml").write_bytes(raw)
    return folder


async def _long_threads(bench: Bench) -> list[str]:
    found: list[str] = []
    page = 1
    while rows := (await bench.api.get("threads", params={"limit": 100, "page": page})).json():
        found += [row["id"] for row in rows if row["messageCount"] >= LEAST]
        page += 1
    return found


async def _pages(bench: Bench, thread_id: str) -> list[str]:
    """What a model gets that reads the thread to its beginning."""
    pages: list[str] = []
    more: dict[str, Any] = {}
    while True:
        pages.append((await bench.call("read_thread", thread_id=thread_id, **more)).structured)
        cursor = json.loads(pages[-1]).get("next_cursor")
        if not cursor:
            return pages
        more = {"cursor": cursor}


async def _gather(source: Path) -> dict[str, str]:
    def fill(store: Store) -> str:
        user = store.add_user("me@example.com")
        import_mail(store, user, [source])
        return user

    texts: dict[str, str] = {}
    async with open_bench(fill) as bench:
        for thread_id in await _long_threads(bench):
            raw = (await bench.api.get(f"threads/{thread_id}")).text
            texts[f"{thread_id} raw"] = raw
            texts[f"{thread_id} new"] = "".join(
                read_body(message.get("bodyHtml"), message.get("bodyText")).text
                for message in json.loads(raw)["messages"]
            )
            for number, page in enumerate(await _pages(bench, thread_id)):
                texts[f"{thread_id} {number}"] = page
    return texts


def shares(source: Path) -> tuple[list[float], list[float], list[float]]:
    """For each long thread, as shares of the API's own JSON: a default answer, all answers, the new words alone."""
    first: list[float] = []
    whole: list[float] = []
    least: list[float] = []
    found = count(asyncio.run(_gather(source)))
    for name in found:
        thread_id, _, kind = name.partition(" ")
        if kind == "raw":
            pages = list(_in_order(found, thread_id))
            first.append(pages[0] / found[name])
            whole.append(sum(pages) / found[name])
            least.append(found[f"{thread_id} new"] / found[name])
    return first, whole, least


def _in_order(found: dict[str, int], thread_id: str) -> Iterator[int]:
    number = 0
    while (name := f"{thread_id} {number}") in found:
        yield found[name]
        number += 1


def _row(name: str, found: list[float]) -> Figure:
    within = sum(share <= 0.2 for share in found)
    return Figure(
        name, "≤ 20 %", f"median {median(found):.0%}, worst {max(found):.0%}, {within} of {len(found)} within"
    )


def measure() -> list[Figure]:
    """Read all long threads, and return the figures."""
    figures: list[Figure] = []
    with TemporaryDirectory() as folder:
        sources = {"SpamAssassin's ham": lambda: ham(Path(folder)), "shared lists": lambda: SHARED / "threads"}
        for name, source in sources.items():
            try:
                mail = source()
            except NotFetched:
                figures.append(Figure(f"threads of {name}", "≤ 20 %", "not measured: the mail could not be fetched"))
                continue
            if mail.exists():
                first, whole, least = shares(mail)
                figures.append(_row(f"`read_thread` against the API's own JSON, threads of {name}", first))
                figures.append(_row("the same, read to the beginning of the thread", whole))
                figures.append(_row("the new words of these threads alone, without quotes, names and dates", least))
    return figures


if __name__ == "__main__":
    print(table(measure()))
