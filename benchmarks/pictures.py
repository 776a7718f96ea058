"""Take the pictures of the approval page in docs/images: what the server really asks at the demo mailbox."""

import shutil
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from playwright.async_api import Browser, Page, async_playwright

from salesos_inbox.client.http import InboxClient
from salesos_inbox.sandbox.embedded import EmbeddedSandbox
from salesos_inbox.sandbox.seed import load_demo
from salesos_inbox.sandbox.store import Store
from salesos_inbox.server import build_server
from salesos_inbox.settings import read_settings
from salesos_inbox.tools._kit import Services

IMAGES = Path(__file__).parents[1] / "docs" / "images"
REPLY = """\
Hi Daniel,

thank you for the signed renewal! I have put accounts in copy: could you send us the purchase order by Friday?

Best regards,
Maya"""

Ask = Callable[[Client], Awaitable[tuple[str, dict[str, Any]]]]


async def _message(client: Client) -> tuple[str, dict[str, Any]]:
    thread_id = next(row["thread_id"] for row in await _rows(client) if "@solano-pharma.example" in row["mail"])
    return "send_email", {"thread_id": thread_id, "cc": ["accounts@solano-pharrna.example"], "body": REPLY}


async def _plan(client: Client) -> tuple[str, dict[str, Any]]:
    rows = await _rows(client)
    return "bulk_update_threads", {
        "plan": [
            {"action": "archive", "thread_ids": [row["thread_id"] for row in rows[4:7]]},
            {"action": "delete", "thread_ids": [row["thread_id"] for row in rows[7:9]]},
        ]
    }


async def _rows(client: Client) -> list[dict[str, Any]]:
    listed: dict[str, Any] = (
        await client.call_tool("list_threads", {"folder": "inbox", "limit": 40})
    ).structured_content or {}
    return listed["threads"]


async def _untick(tab: Page) -> None:
    await tab.get_by_role("checkbox").nth(1).uncheck()


async def take(
    browser: Browser, name: str, ask: Ask, *, scheme: str = "light", width: int = 820,
    act: Callable[[Page], Awaitable[None]] | None = None,
) -> None:  # fmt: skip
    """Have the assistant `ask`, and take a picture of the page that its user is shown."""
    store = Store()
    environment = {
        "SALESOS_TOKEN": store.issue_token(load_demo(store)),
        "SALESOS_BASE_URL": "http://sandbox.invalid/v1",
        "SALESOS_TIMEZONE": "Europe/Berlin",
        "SALESOS_APPROVAL": "page",
        "SALESOS_UNDO_SECONDS": "30",
        "BROWSER": "a window of ours",
    }
    settings = read_settings(environment)
    opened, shown = anyio.create_memory_object_stream[str](1)
    services = Services(settings, lambda: InboxClient(settings, transport=EmbeddedSandbox(store)))
    services.open_browser = lambda url: opened.send_nowait(url) is None
    async with AsyncExitStack() as stack:
        stack.push_async_callback(services.close)
        client = await stack.enter_async_context(Client(build_server(services)))
        tool, arguments = await ask(client)
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, tool, arguments)
            context = await browser.new_context(
                java_script_enabled=False,
                color_scheme="dark" if scheme == "dark" else "light",
                viewport={"width": width, "height": 400},
            )
            tab = await context.new_page()
            await tab.goto(await shown.receive())
            if act:
                await act(tab)
            await tab.screenshot(path=IMAGES / f"{name}.png", full_page=True)
            await context.close()
            group.cancel_scope.cancel()


async def main() -> None:
    """Take all of them."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("Chromium is not installed: `make test` brings it where it can.")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        await take(browser, "approval-page", _message)
        await take(browser, "approval-page-dark", _message, scheme="dark")
        await take(browser, "approval-page-phone", _message, width=320)
        await take(browser, "approval-page-plan", _plan, act=_untick)
        await browser.close()


if __name__ == "__main__":
    anyio.run(main)
