"""How a server ends while a message is on its way: in time, sent once, and on record."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from threading import Event, Thread, Timer
from typing import Any, Self

import anyio
import httpx
import pytest
import uvicorn
from starlette.types import Message as Sent
from starlette.types import Receive, Scope, Send

from processes import CLI, SECONDS, Running, environment, free_port, running
from salesos_inbox.sandbox.app import create_app
from salesos_inbox.sandbox.store import Store

ENDS_WITHIN = 5.0
"""Seconds that a server may take to end."""
AT_ONCE = 2.0
"""Seconds in which it has not waited for anything, on a busy machine."""
SOON, NEVER = 1.0, SECONDS
"""After how many seconds SalesOS answers."""
THINKS = 0.6
"""Seconds in which a person can have decided."""
VERSION = "2026-07-28"
MAIL = {"to": ["kim@customer.example"], "subject": "The offer", "body": "As agreed on the phone."}

Message = dict[str, Any]


# SalesOS, which takes its time


@dataclass
class SlowSandbox:
    """A sandbox that sends a message at once, and answers `seconds` later that it did."""

    url: str
    token: str
    seconds: float = 0.0
    sent: int = 0
    on_its_way: Event = field(default_factory=Event)

    def settings(self, state_dir: Path) -> dict[str, str]:
        """Return the environment of a server that works on it."""
        return {"SALESOS_BASE_URL": self.url, "SALESOS_TOKEN": self.token, "SALESOS_STATE_DIR": str(state_dir)}


@pytest.fixture
def sandbox() -> Iterator[SlowSandbox]:
    """A slow sandbox on a port of its own, with an empty mailbox."""
    port, store = free_port(), Store()
    slow = SlowSandbox(f"http://127.0.0.1:{port}/v1", store.issue_token(store.add_user("maya@sales.example")))
    app = create_app(store)

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Sent) -> None:
            if message["type"] == "http.response.start" and scope["path"].endswith("/send"):
                assert message["status"] == 201
                slow.sent += 1
                slow.on_its_way.set()
                await anyio.sleep(slow.seconds)
            await send(message)

        await app(scope, receive, answer)

    server = uvicorn.Server(
        uvicorn.Config(
            served, port=port, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
        )
    )
    thread = Thread(target=server.run)
    thread.start()
    yield slow
    server.should_exit = server.force_exit = True
    thread.join()
    store.close()


# The server, spoken to by hand


def send_email(number: int, **retry: Any) -> Message:
    """Return the call that sends the message; `retry` answers its question."""
    about: Message = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "by hand", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
    }
    params: Message = {"name": "send_email", "arguments": MAIL, "_meta": about, **retry}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def approval_of(question: Message) -> Message:
    """Return the call that approves what `question` asks, after the time that a person needs."""
    result = question["result"]
    assert result["resultType"] == "input_required", result
    time.sleep(THINKS)  # the server tells a person from a program by the time
    approved = {"approval": {"action": "accept", "content": {"decision": "approve"}}}
    return send_email(2, requestState=result["requestState"], inputResponses=approved)


@dataclass
class Piped:
    """A server on standard input and output."""

    process: subprocess.Popen[bytes]

    def say(self, message: Message) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def hear(self) -> Message:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def start_sending(self, sandbox: SlowSandbox) -> Self:
        """Call, approve, and return while the message is on its way."""
        self.say(send_email(1))
        self.say(approval_of(self.hear()))
        assert sandbox.on_its_way.wait(SECONDS)
        return self

    def end(self, ending: "signal.Signals | None") -> tuple[int, float]:
        """End it by a signal or, with None, by the end of its input; return its status and how long it took."""
        begun = time.monotonic()
        if ending is None:
            assert self.process.stdin
            self.process.stdin.close()
        else:
            self.process.send_signal(ending)
        return self.process.wait(SECONDS), time.monotonic() - begun

    def rest(self) -> tuple[list[Message], str]:
        """Return what else it wrote: protocol on standard output, and standard error."""
        assert self.process.stdout and self.process.stderr
        return [json.loads(line) for line in self.process.stdout], self.process.stderr.read().decode()


@contextmanager
def piped(**settings: str) -> Generator[Piped]:
    """Run a server on pipes until the block ends."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([*CLI, "serve"], stdin=pipe, stdout=pipe, stderr=pipe, env=environment(**settings))
    impatience = Timer(SECONDS, process.kill)
    impatience.start()
    try:
        yield Piped(process)
    finally:
        impatience.cancel()
        process.kill()
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream
            stream.close()
        process.wait()


def recorded(state_dir: Path) -> list[str]:
    """Return how far the operations in the ledger are."""
    with closing(sqlite3.connect(state_dir / "ledger.sqlite3")) as database:
        return [state for (state,) in database.execute("SELECT state FROM operations")]


STATUS = {None: 0, signal.SIGTERM: 143, signal.SIGINT: 130}


@pytest.mark.parametrize("ending", STATUS)
def test_a_message_on_its_way_is_waited_for_and_recorded(
    ending: signal.Signals | None, sandbox: SlowSandbox, tmp_path: Path
) -> None:
    sandbox.seconds = SOON
    with piped(**sandbox.settings(tmp_path)) as server:
        status, seconds = server.start_sending(sandbox).end(ending)
        _, err = server.rest()
    assert (recorded(tmp_path), sandbox.sent) == (["done"], 1)
    assert (status, err) == (STATUS[ending], "")
    assert seconds < ENDS_WITHIN


@pytest.mark.parametrize("ending", [None, signal.SIGTERM])
def test_a_message_whose_answer_does_not_come_in_time_is_recorded_as_unknown(
    ending: signal.Signals | None, sandbox: SlowSandbox, tmp_path: Path
) -> None:
    sandbox.seconds = NEVER
    with piped(**sandbox.settings(tmp_path)) as server:
        status, seconds = server.start_sending(sandbox).end(ending)
        _, err = server.rest()
    assert (recorded(tmp_path), sandbox.sent) == (["unknown"], 1)
    assert (status, err) == (STATUS[ending], "")
    assert seconds < ENDS_WITHIN


def test_the_signal_that_clients_send_after_the_end_of_input_cuts_nothing_short(
    sandbox: SlowSandbox, tmp_path: Path
) -> None:
    sandbox.seconds = SOON
    with piped(**sandbox.settings(tmp_path)) as server:
        server.start_sending(sandbox)
        assert server.process.stdin
        server.process.stdin.close()
        time.sleep(SOON / 2)
        server.end(signal.SIGTERM)
    assert (recorded(tmp_path), sandbox.sent) == (["done"], 1)


def test_a_second_signal_ends_the_server_at_once(sandbox: SlowSandbox, tmp_path: Path) -> None:
    sandbox.seconds = NEVER
    with piped(**sandbox.settings(tmp_path)) as server:
        server.start_sending(sandbox).process.send_signal(signal.SIGTERM)
        status, seconds = server.end(signal.SIGINT)
    assert status in {130, 143}  # which of the two is seen first is up to the system
    assert seconds < AT_ONCE
    assert recorded(tmp_path) == ["unknown"]


def test_a_client_that_vanishes_leaves_a_message_recorded(sandbox: SlowSandbox, tmp_path: Path) -> None:
    sandbox.seconds = SOON
    with piped(**sandbox.settings(tmp_path)) as server:
        server.start_sending(sandbox)
        assert server.process.stdout and server.process.stderr
        server.process.stdout.close()
        status, _ = server.end(None)
        err = server.process.stderr.read().decode()
    assert (recorded(tmp_path), sandbox.sent) == (["done"], 1)
    assert (status, err) == (0, "")


def test_a_server_that_does_nothing_ends_without_delay(tmp_path: Path) -> None:
    with piped(SALESOS_TOKEN="token", SALESOS_STATE_DIR=str(tmp_path)) as server:
        server.say({**send_email(1), "method": "tools/list"})
        server.hear()
        status, seconds = server.end(signal.SIGTERM)
        assert server.rest() == ([], "")
    assert status == 143
    assert seconds < AT_ONCE


def test_a_person_who_has_not_answered_yet_is_not_waited_for(sandbox: SlowSandbox, tmp_path: Path) -> None:
    about = {"name": "by hand", "version": "1"}
    hello: Message = {"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}}, "clientInfo": about}
    with piped(**sandbox.settings(tmp_path)) as server:
        server.say({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello})
        server.hear()
        server.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
        ask = {"name": "send_email", "arguments": MAIL}
        server.say({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": ask})
        assert server.hear()["method"] == "elicitation/create"
        status, seconds = server.end(signal.SIGTERM)
    assert (status, sandbox.sent) == (143, 0)
    assert seconds < AT_ONCE


STUCK = """
import anyio, time
from salesos_inbox.shutdown import Shutdown

async def stuck():
    with Shutdown(lambda: time.sleep(60)).on_signals():
        print("ready", flush=True)
        time.sleep(60)

anyio.run(stuck)
"""


def test_neither_a_busy_loop_nor_a_ledger_that_hangs_holds_the_end_up() -> None:
    with subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, env=environment()) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        status, seconds = Piped(process).end(signal.SIGTERM)
    assert status == 143
    assert seconds < ENDS_WITHIN


# Over HTTP


HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Mcp-Protocol-Version": VERSION,
    "Mcp-Method": "tools/call",
    "Mcp-Name": "send_email",
}


def post(url: str, message: Message) -> Message:
    text = httpx.post(url, json=message, headers=HEADERS, timeout=SECONDS).text
    return json.loads(text[text.index("{") :])


@dataclass
class Caller:
    """A client over HTTP that waits in a thread for the answer to its approved call."""

    thread: Thread
    answers: list[Message]


@contextmanager
def sending_over_http(sandbox: SlowSandbox, state_dir: Path) -> Generator[tuple[Running, Caller]]:
    """Run a server over HTTP that has a message on its way."""
    port = free_port()
    with running("serve", "--http", port=port, **sandbox.settings(state_dir)) as server:
        url = f"http://127.0.0.1:{port}/mcp"
        approval = approval_of(post(url, send_email(1)))
        answers: list[Message] = []

        def wait() -> None:
            try:
                answers.append(post(url, approval))
            except httpx.TransportError:
                return

        thread = Thread(target=wait)
        thread.start()
        assert sandbox.on_its_way.wait(SECONDS)
        yield server, Caller(thread, answers)
    thread.join()


def test_over_http_a_message_on_its_way_is_waited_for_and_its_call_answered(
    sandbox: SlowSandbox, tmp_path: Path
) -> None:
    sandbox.seconds = SOON
    with sending_over_http(sandbox, tmp_path) as (server, caller):
        status, seconds = server.stop()
    assert (recorded(tmp_path), sandbox.sent) == (["done"], 1)
    assert [answer["result"]["structuredContent"]["status"] for answer in caller.answers] == ["sent"]
    assert (status, server.out, len(server.err)) == (143, [], 1)  # where it serves
    assert seconds < ENDS_WITHIN


def test_over_http_a_message_whose_answer_does_not_come_in_time_is_recorded_as_unknown(
    sandbox: SlowSandbox, tmp_path: Path
) -> None:
    sandbox.seconds = NEVER
    with sending_over_http(sandbox, tmp_path) as (server, caller):
        status, seconds = server.stop()
    assert (recorded(tmp_path), sandbox.sent, caller.answers) == (["unknown"], 1, [])
    assert (status, server.out, len(server.err)) == (143, [], 1)  # where it serves
    assert seconds < ENDS_WITHIN


def test_over_http_a_client_that_leaves_leaves_its_message_recorded(sandbox: SlowSandbox, tmp_path: Path) -> None:
    sandbox.seconds = SOON
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    with running("serve", "--http", port=port, **sandbox.settings(tmp_path)) as server:
        approval = approval_of(post(url, send_email(1)))
        with closing(HTTPConnection("127.0.0.1", port)) as client:
            client.request("POST", "/mcp", json.dumps(approval), {**HEADERS, "Content-Type": "application/json"})
            assert sandbox.on_its_way.wait(SECONDS)
        deadline = time.monotonic() + SECONDS
        while recorded(tmp_path) == ["claimed"] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert post(url, {**approval, "id": 3})["result"]["structuredContent"]["status"] == "already_sent"
        server.stop()
    assert (recorded(tmp_path), sandbox.sent) == (["done"], 1)
    assert "Traceback" not in server.printed()


# A restart between a question and its answer


def test_a_question_asked_before_a_crash_is_answered_after_it(sandbox: SlowSandbox, tmp_path: Path) -> None:
    with piped(**sandbox.settings(tmp_path)) as server:
        server.say(send_email(1))
        question = server.hear()
        server.end(signal.SIGKILL)
    approval = approval_of(question)
    with piped(**sandbox.settings(tmp_path)) as server:
        server.say(approval)
        sent = server.hear()["result"]
        server.say({**approval, "id": 3})
        again = server.hear()["result"]
    assert sent["structuredContent"]["status"] == "sent"
    assert again["structuredContent"]["status"] == "already_sent"
    assert sandbox.sent == 1


def test_a_state_directory_that_cannot_be_used_leaves_reading_and_one_line_in_the_log(
    sandbox: SlowSandbox, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    state_dir = tmp_path / "file" / "state"
    with piped(**sandbox.settings(state_dir)) as server:
        list_threads = send_email(1)
        list_threads["params"].update(name="list_threads", arguments={})
        server.say(list_threads)
        read = server.hear()["result"]
        server.say(send_email(2))
        refused = server.hear()["result"]
        server.end(None)
        _, err = server.rest()
    assert read["structuredContent"]["threads"] == []
    assert refused["isError"]
    assert "SALESOS_STATE_DIR" in refused["content"][0]["text"]
    assert err.splitlines() == [
        f"warning: salesos_inbox: No key can be kept in {state_dir} (Not a directory): see to it that this user "
        "can write there, or set SALESOS_STATE_DIR to another directory."
    ]
    assert sandbox.sent == 0
