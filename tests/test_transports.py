"""Both transports as processes of their own, in every era of the protocol, with real clients and without."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any, cast

import anyio
import httpx
import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult

from harness import ERAS, Era, subject_of
from processes import CLI, SECONDS, Running, command, environment, free_port, running
from salesos_inbox.approval.ladder import QUICKEST_PERSON

pytestmark = pytest.mark.anyio

HANDSHAKES = ("2025-06-18", "2025-11-25")
DISCOVERED = "2026-07-28"
SECRET = "the-price-is-4711 kim@customer.example"
ENDS_WITHIN = 5.0
"""Seconds that a server may take to end."""

Message = dict[str, Any]


def request(number: int, method: str, **params: Any) -> Message:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def call(number: int, tool: str, **arguments: Any) -> Message:
    return request(number, "tools/call", name=tool, arguments=arguments)


def greeting(version: str) -> list[Message]:
    """Return how a client of that version begins: with a handshake, or with a look at the server."""
    if version == DISCOVERED:
        return [request(1, "server/discover")]
    about = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"}}
    return [request(1, "initialize", **about), {"jsonrpc": "2.0", "method": "notifications/initialized"}]


def spoken(version: str, message: Message) -> Message:
    """Return a message as that version writes it: since 2026-07-28 each says who asks, in which version."""
    if version != DISCOVERED or "params" not in message:
        return message
    about = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": {"name": "by hand", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    return {**message, "params": {**message["params"], "_meta": about}}


# Standard input and output


@dataclass(frozen=True)
class Conversation:
    """What a server answered on standard output, what it wrote to standard error, and how it ended."""

    answers: dict[int, Message]
    err: str
    status: int
    seconds_to_end: float


def converse(lines: list[bytes], awaited: int) -> Conversation:
    """Say the lines to a server, read until that many requests are answered, and close its input."""
    process = subprocess.Popen(
        [*CLI, "serve", "--demo"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    impatience = Timer(SECONDS, process.kill)
    impatience.start()
    with process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(b"".join(line + b"\n" for line in lines))
        process.stdin.flush()
        said = [process.stdout.readline() for _ in range(awaited)]
        begun = time.monotonic()
        process.stdin.close()
        status = process.wait(SECONDS)
        taken = time.monotonic() - begun
        said += process.stdout.readlines()
        err = process.stderr.read().decode()
    impatience.cancel()
    answers = [json.loads(line) for line in said]
    assert all(answer["jsonrpc"] == "2.0" for answer in answers)
    return Conversation({answer["id"]: answer for answer in answers}, err, status, taken)


@pytest.mark.parametrize("version", [*HANDSHAKES, DISCOVERED])
def test_a_session_over_standard_io_is_pure_protocol_and_ends_with_its_input(version: str) -> None:
    messages = [
        *greeting(version),
        request(2, "tools/list"),
        call(3, "triage_inbox"),
        call(4, "search_threads", query=SECRET),
        call(5, "read_thread", thread_id=SECRET),
        call(6, "no_such_tool", text=SECRET),
        call(7, "send_email", to=["kim@customer.example"], subject=SECRET, body=SECRET),
        call(8, "send_email", too=SECRET),
    ]
    said = [json.dumps(spoken(version, message)).encode() for message in messages]
    found = converse(said, awaited=8)

    hello = found.answers[1]["result"]
    assert version in (hello.get("supportedVersions") or [hello["protocolVersion"]])
    assert len(found.answers[2]["result"]["tools"]) == 22
    assert len(found.answers[3]["result"]["structuredContent"]["threads"]) >= 25
    assert found.answers[4]["result"]["structuredContent"]["threads"] == []
    assert "not_found" in json.dumps(found.answers[5]["result"])
    assert found.answers[6]["error"]["code"] == -32602
    assert "nobody_asked" in json.dumps(found.answers[7]["result"])
    assert "invalid_arguments" in json.dumps(found.answers[8]["result"])
    assert sorted(found.answers) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert (found.status, found.err) == (0, "")
    assert found.seconds_to_end < ENDS_WITHIN


def test_garbage_on_standard_input_is_survived_and_never_echoed_to_standard_error() -> None:
    garbage = [
        b"\xff\xfe\x00" + SECRET.encode(),
        SECRET.encode(),
        b"",
        b"[]",
        b'{"jsonrpc": "1.0", "text": "%s"}' % SECRET.encode(),
        json.dumps({"jsonrpc": "2.0", "method": SECRET}).encode(),
        b"[" * 5000,
    ]
    hello = [json.dumps(message).encode() for message in greeting("2025-11-25")]
    mangled = json.dumps(call(2, "list_threads", sender="???")).encode().replace(b"???", b"\xff\xfe\xc3")
    nonsense = json.dumps(request(3, "tools/call", name=5, arguments=SECRET)).encode()
    found = converse([*garbage, *hello, *garbage, mangled, nonsense], awaited=3)
    assert found.answers[2]["result"]["structuredContent"]["threads"] == []
    assert found.answers[3]["error"]["code"] == -32602
    assert SECRET not in found.err
    assert found.status == 0


def test_ctrl_c_ends_a_server_whose_input_stays_open() -> None:
    with subprocess.Popen(
        [*CLI, "serve", "--demo"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(json.dumps(greeting("2025-11-25")[0]).encode() + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        try:
            status = process.wait(ENDS_WITHIN)
        finally:
            process.kill()
        assert status in {130, -signal.SIGINT}
        assert process.stderr.read() == b""


# HTTP


@dataclass(frozen=True)
class Served:
    """A server over HTTP."""

    running: Running
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    def post(self, **headers: str) -> httpx.Response:
        """Send a handshake with these headers besides the usual ones."""
        return httpx.post(self.url, json=greeting("2025-11-25")[0], headers={**JSON_OR_STREAM, **headers})


JSON_OR_STREAM = {"Accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """One server over HTTP on the demo mailbox for all tests here; it must have kept its standard output empty."""
    port = free_port()
    with running("serve", "--demo", "--http", port=port) as server:
        yield Served(server, port)
        server.stop()
    assert server.out == []
    assert SECRET not in server.printed()


def test_only_pages_and_names_of_this_machine_are_served(served: Served) -> None:
    assert served.post().status_code == 200
    assert served.post(Origin=f"http://localhost:{served.port}").status_code == 200
    assert served.post(Origin="https://evil.example").status_code == 403
    assert served.post(Origin="null").status_code == 403
    assert served.post(Host="evil.example").status_code == 421
    assert served.post(Host=f"127.0.0.1.evil.example:{served.port}").status_code == 421


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "evil.example"])
def test_no_address_but_this_machine_is_listened_on(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = command(capsys, "serve", "--demo", "--http", "--host", host, "--port", "0")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "--host must be a loopback address (127.0.0.1, localhost, ::1), as callers are not authenticated.\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_although_a_client_still_listens(number: signal.Signals) -> None:
    port = free_port()
    with running("serve", "--demo", "--http", port=port) as server, httpx.Client() as client:
        session = Served(server, port).post().headers["mcp-session-id"]
        headers = {"Accept": "text/event-stream", "Mcp-Session-Id": session, "Mcp-Protocol-Version": "2025-11-25"}
        with client.stream("GET", f"http://127.0.0.1:{port}/mcp", headers=headers) as stream:
            assert stream.status_code == 200
            status, seconds = server.stop(number)
    assert status == 128 + number
    assert seconds < ENDS_WITHIN
    assert server.out == []
    assert "Traceback" not in server.printed()


# A person at a real client


async def approve(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    del context
    assert params.message.startswith("Send this email?")
    await anyio.sleep(QUICKEST_PERSON + 0.1)
    return ElicitResult(action="accept", content={"decision": "approve"})


@asynccontextmanager
async def over_stdio(era: Era, err: Path) -> AsyncGenerator[Client]:
    """Start a server and connect the SDK's client to its standard input and output."""
    server = StdioServerParameters(
        command=sys.executable, args=[*CLI[1:], "serve", "--demo", "--tools", "reading,sending"]
    )
    with err.open("w") as stream:
        async with Client(stdio_client(server, errlog=stream), mode=era, elicitation_callback=approve) as client:
            yield client


def content_of(result: CallToolResult) -> dict[str, Any]:
    assert not result.is_error, result
    return cast("dict[str, Any]", result.structured_content)


async def send_one(client: Client, subject: str) -> None:
    """Send a message that the person approves, and see that it left once."""
    sent = await client.call_tool("send_email", {"to": ["kim@customer.example"], "subject": subject, "body": "Hello"})
    assert content_of(sent)["status"] == "sent"
    found = await client.call_tool("list_threads", {"folder": "sent", "limit": 100})
    subjects = [subject_of(row) for row in content_of(found)["threads"]]
    assert subjects.count(subject) == 1


async def test_a_person_approves_a_message_over_standard_io(era: Era, tmp_path: Path) -> None:
    err = tmp_path / "err.txt"
    async with over_stdio(era, err) as client:
        await send_one(client, f"Approved over stdio, {era}")
    assert err.read_text() == ""


@pytest.mark.parametrize("asked", ERAS)
async def test_a_person_approves_a_message_over_http(asked: Era, served: Served) -> None:
    async with Client(served.url, mode=asked, elicitation_callback=approve) as client:
        assert client.protocol_version == ("2026-07-28" if asked == "auto" else "2025-11-25")
        await send_one(client, f"Approved over HTTP, {asked}")


async def test_over_http_no_client_answers_its_own_question_where_a_browser_can_be_opened() -> None:
    port = free_port()
    settings = {"BROWSER": "true", "SALESOS_APPROVAL_SECONDS": "1"}  # a browser that opens, and shows nothing
    with running("serve", "--demo", "--http", port=port, **settings):
        async with Client(f"http://127.0.0.1:{port}/mcp", elicitation_callback=approve) as client:
            result = await client.call_tool("send_email", {"to": ["eve@evil.example"], "subject": "x", "body": "x"})
            assert result.is_error
            assert "nobody_asked" in result.model_dump_json()
            found = await client.call_tool("search_threads", {"query": "evil.example", "folder": "sent"})
            assert content_of(found)["threads"] == []


async def test_a_client_that_cannot_ask_sends_nothing_over_http(served: Served) -> None:
    async with Client(served.url) as client:
        result = await client.call_tool("send_email", {"to": ["kim@customer.example"], "subject": SECRET, "body": "x"})
        assert result.is_error
        assert "nobody_asked" in result.model_dump_json()
        found = await client.call_tool("search_threads", {"query": SECRET, "folder": "sent"})
    assert content_of(found)["threads"] == []
