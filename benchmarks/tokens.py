"""How many tokens (o200k) the list of tools and typical answers cost a model.

The demo mailbox at a fixed moment, through the MCP client and the server in this process.
"""

import asyncio
import json
import subprocess
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import httpx
from mcp import Client
from mcp_types import TextContent

from figures import Figure, table
from salesos_inbox.client.http import InboxClient
from salesos_inbox.sandbox.app import UNLIMITED, create_app
from salesos_inbox.sandbox.seed import load_demo
from salesos_inbox.sandbox.store import Store
from salesos_inbox.server import build_server
from salesos_inbox.settings import read_settings
from salesos_inbox.tools._kit import Services

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
BASE_URL = "http://sandbox.test/v1"


def count(texts: Mapping[str, str]) -> dict[str, int]:
    """Return the number of tokens of each text."""
    command = [ROOT / ".venv/bin/node", ROOT / "benchmarks/tokens.mjs"]
    done = subprocess.run(command, input=json.dumps(texts).encode(), capture_output=True, check=True)
    return json.loads(done.stdout)


def compact(document: object) -> str:
    """Return a document as JSON without blanks."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Answer:
    """The two forms of a tool's answer, either of which a client may hand to the model."""

    structured: str
    text: str


@dataclass(frozen=True)
class Bench:
    """A client of our server, and one of the API below it."""

    client: Client
    api: httpx.AsyncClient

    async def call(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool and return its answer."""
        result = await self.client.call_tool(tool, arguments)
        texts = [part.text for part in result.content if isinstance(part, TextContent)]
        if result.is_error or result.structured_content is None:
            raise RuntimeError(texts)
        return Answer(compact(result.structured_content), "\n".join(texts))

    async def listed(self) -> list[dict[str, Any]]:
        """Return the tools as a client lists them."""
        tools = (await self.client.list_tools()).tools
        return [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]

    async def deepest_thread(self) -> str:
        """Return the id of the thread with the most messages."""
        rows: list[dict[str, Any]] = (await self.api.get("threads", params={"limit": 100})).json()
        return max(rows, key=lambda row: row["messageCount"])["id"]


@asynccontextmanager
async def open_bench(fill: Callable[[Store], str] = load_demo, *, uuids: bool = False) -> AsyncGenerator[Bench]:
    """Open the demo mailbox, or that of the user whom `fill` returns, with ids as the sandbox makes them or UUIDs."""
    random = Random(7)
    store = Store(clock=lambda: NOW, ids=lambda: _id(random, uuids=uuids))
    token = store.issue_token(fill(store))
    wire = httpx.ASGITransport(create_app(store, limits=UNLIMITED))
    settings = replace(read_settings({"SALESOS_TOKEN": token, "SALESOS_TIMEZONE": "Europe/Berlin"}), base_url=BASE_URL)
    services = Services(settings, lambda: InboxClient(settings, transport=wire, clock=NOW.timestamp), clock=lambda: NOW)
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with (
            Client(build_server(services)) as client,
            httpx.AsyncClient(transport=wire, base_url=f"{BASE_URL}/email-inbox/", headers=headers) as api,
        ):
            yield Bench(client, api)
    finally:
        await services.close()
        store.close()


def _id(random: Random, *, uuids: bool) -> str:
    if uuids:
        return str(UUID(int=random.getrandbits(128), version=4))
    return "c" + "".join(random.choices("0123456789abcdefghijklmnopqrstuvwxyz", k=24))


async def gather() -> dict[str, str]:
    """Return the texts to count."""
    async with open_bench() as bench:
        tools = await bench.listed()
        rows = await bench.call("list_threads", limit=20)
        triage = await bench.call("triage_inbox", limit=25)
        deepest = await bench.deepest_thread()
        thread = await bench.call("read_thread", thread_id=deepest)
        raw = (await bench.api.get(f"threads/{deepest}")).text
    async with open_bench(uuids=True) as bench:
        uuid_rows = await bench.call("list_threads", limit=20)
    return {
        "tools": compact([_part(tool, "name", "description", "inputSchema") for tool in tools]),
        "tools, all": compact([_part(tool, "name", "description", "inputSchema", "outputSchema") for tool in tools]),
        "list": rows.structured,
        "list text": rows.text,
        "list uuids": uuid_rows.structured,
        "list uuids text": uuid_rows.text,
        "triage": triage.structured,
        "thread": thread.structured,
        "thread raw": raw,
    }


def _part(tool: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: tool[name] for name in names}


def measure() -> list[Figure]:
    """Count, and return the figures."""
    found = count(asyncio.run(gather()))

    def tokens(name: str) -> str:
        return f"{found[name]:,} tokens"

    def both(name: str) -> str:
        return f"{found[name]:,} / {found[f'{name} text']:,} tokens"

    share = found["thread"] / found["thread raw"]
    return [
        Figure("the list of tools: names, descriptions, input schemas", "≤ 2,600", tokens("tools")),
        Figure("the same with output schemas", "≤ 4,800", tokens("tools, all")),
        Figure("`list_threads` of 20 (structured / text)", "≤ 1,500 each", both("list")),
        Figure("the same where ids are UUIDs", "≤ 1,500 each", both("list uuids")),
        Figure("`triage_inbox` of 25", "≤ 2,500", tokens("triage")),
        Figure("`read_thread` of the deepest thread", "", tokens("thread")),
        Figure("the same thread as the API's own JSON", "", f"{tokens('thread raw')}: ours is {share:.0%} of it"),
    ]


if __name__ == "__main__":
    print(table(measure()))
