"""Every class of client, in every era and over every transport: nothing without consent, and the same answer."""

import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult, InputRequiredResult

from harness import Clock, open_office, subject_of, text_of
from processes import CLI, environment, free_port, running
from salesos_inbox.server import build_server

pytestmark = pytest.mark.anyio

MODERN = "2026-07-28"
VERSIONS = (MODERN, "2025-11-25", "2025-06-18")
SECONDS = 1.5
"""How long a person has to decide."""
SETTINGS = {"SALESOS_APPROVAL_SECONDS": str(SECONDS)}
NO_BROWSER = {"BROWSER": "", "DISPLAY": "", "WAYLAND_DISPLAY": "", "SSH_CONNECTION": "10.0.0.1"}

APPROVES, DECLINES, SILENT, MUTE = "approves after a while", "declines at once", "stays silent", "cannot ask"
"""The classes of clients: the first three declare that they can ask."""

Connect = Callable[[], Any]
"""Gives what the SDK's client connects to."""
Told = tuple[str, bool]
"""What a program learns from an answer: its status or code, and whether the message was kept as a draft."""


class WallClock(Clock):
    """The system's clock, as servers in processes of their own have it."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """One server over HTTP for all tests here; it must have kept its standard output empty."""
    port = free_port()
    with running("serve", "--demo", "--http", port=port, **SETTINGS, **NO_BROWSER) as server:
        yield f"http://127.0.0.1:{port}/mcp"
        server.stop()
    assert server.out == []
    assert "Traceback" not in server.printed()


@pytest.fixture(params=["in process", "stdio", "http"])
async def connect(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Connect]:
    """Ways to a server on the demo mailbox, where no page can be shown."""
    if request.param == "http":
        url: str = request.getfixturevalue("url")
        yield lambda: url
    elif request.param == "stdio":
        arguments = [*CLI[1:], "serve", "--demo", "--tools", "reading,sending"]
        variables = environment(**SETTINGS, **NO_BROWSER)
        server = StdioServerParameters(command=sys.executable, args=arguments, env=variables)
        err = tmp_path / "err.txt"
        with err.open("a") as stream:
            yield lambda: stdio_client(server, errlog=stream)
        assert err.read_text() == ""
    else:
        async with open_office(asks=False, settings=SETTINGS, clock=WallClock()) as office:
            yield lambda: build_server(office.services)


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A version of the protocol; clients that begin with a handshake ask for it."""
    monkeypatch.setattr("mcp.client.session.LATEST_HANDSHAKE_VERSION", request.param)
    return request.param


async def answer(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    """Answer as a client of the class does that the card names."""
    del context
    if SILENT in params.message:
        await anyio.sleep_forever()
    if DECLINES in params.message:
        return ElicitResult(action="decline")
    await anyio.sleep(0.6)  # more than a machine takes, and less than the person has
    return ElicitResult(action="accept", content={"decision": "approve"})


@asynccontextmanager
async def client_of(connect: Connect, version: str, *, asks: bool) -> AsyncGenerator[Client]:
    """Connect a client that speaks `version`, and declares that it can ask a person or does not."""
    mode, callback = "auto" if version == MODERN else "legacy", answer if asks else None
    async with Client(connect(), mode=mode, elicitation_callback=callback) as client:
        assert client.protocol_version == version
        yield client


async def outcome(client: Client, tool: str, arguments: dict[str, Any], *, comes_back: bool = False) -> Told:
    """Make a call and return what came of it; with `comes_back` unanswered once the time is over, in the newer era."""
    with anyio.fail_after(30):
        if not comes_back:
            return told(await client.call_tool(tool, arguments))
        question = await client.session.call_tool(tool, arguments, allow_input_required=True)
        assert isinstance(question, InputRequiredResult)
        await anyio.sleep(SECONDS + 0.1)  # as servers in processes of their own keep time by the system's clock
        return told(await client.session.call_tool(tool, arguments, request_state=question.request_state))


def told(result: CallToolResult) -> Told:
    """Return what a program learns from an answer; a model must read the same in the text."""
    text, about = text_of(result), (result.meta or {}).get("salesos-inbox/error", {})
    if not result.is_error:
        content: dict[str, Any] = result.structured_content or {}
        return content.get("status", "done"), False
    assert text.startswith(f"{about['code']}: ")
    assert about.get("draft_id", "") in text
    return about["code"], bool(about.get("draft_id"))


def expected(sent: str, *, kept: bool) -> dict[str, Told]:
    """Return what each class of clients is told; `kept` is whether there is a message to keep as a draft.

    A client of the newer era that stays silent learns it when it comes back without an answer.
    """
    nobody = ("nobody_asked", kept)
    return {APPROVES: (sent, False), DECLINES: nobody, SILENT: nobody, MUTE: nobody}


async def test_a_message_leaves_by_consent_alone_and_each_class_of_clients_is_told_the_same(
    connect: Connect, version: str
) -> None:
    answers: dict[str, Told] = {}

    async def send(client: Client, behaviour: str) -> None:
        mail = {"to": ["kim@customer.example"], "subject": f"{behaviour}, {version}", "body": "Hello"}
        comes_back = behaviour == SILENT and version == MODERN
        answers[behaviour] = await outcome(client, "send_email", mail, comes_back=comes_back)

    async with client_of(connect, version, asks=True) as client, client_of(connect, version, asks=False) as mute:
        async with anyio.create_task_group() as group:
            group.start_soon(send, mute, MUTE)
            for behaviour in (APPROVES, DECLINES, SILENT):
                group.start_soon(send, client, behaviour)
        assert answers == expected("sent", kept=True)
        assert await subjects(client, version) == [f"{APPROVES}, {version}"]
        assert f"{MUTE}, {version}" not in await subjects(mute, version)


async def subjects(client: Client, version: str) -> list[str]:
    """Return the subjects of what was sent in this version's tests."""
    found = await client.call_tool("list_threads", {"folder": "sent", "limit": 100})
    content: dict[str, Any] = found.structured_content or {}
    return [subject_of(row) for row in content["threads"] if subject_of(row).endswith(version)]


async def test_threads_are_deleted_by_consent_alone_and_each_class_of_clients_is_told_the_same(version: str) -> None:
    answers: dict[str, Told] = {}
    async with open_office(asks=False, settings=SETTINGS, clock=WallClock()) as office:
        behaviours: tuple[str, ...] = (APPROVES, DECLINES, SILENT, MUTE)
        threads: dict[str, str] = dict(zip(behaviours, await office.thread_ids(limit=len(behaviours)), strict=True))

        async def delete(behaviour: str) -> None:
            async def behave(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
                return await answer(context, params.model_copy(update={"message": behaviour}))

            mode, callback = "auto" if version == MODERN else "legacy", None if behaviour == MUTE else behave
            async with Client(build_server(office.services), mode=mode, elicitation_callback=callback) as client:
                comes_back = behaviour == SILENT and version == MODERN
                arguments = {"thread_ids": [threads[behaviour]]}
                answers[behaviour] = await outcome(client, "delete_threads", arguments, comes_back=comes_back)

        async with anyio.create_task_group() as group:
            for behaviour in behaviours:
                group.start_soon(delete, behaviour)
        assert answers == expected("done", kept=False)
        assert len(office.wire.writes()) == 1
        left = set(await office.thread_ids())
        assert [behaviour for behaviour in behaviours if threads[behaviour] not in left] == [APPROVES]
