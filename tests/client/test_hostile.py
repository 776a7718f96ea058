"""Fifty hostile answers at once, over real sockets: how much the memory of a process of its own grows."""

import json
import subprocess
import sys
import zlib
from collections.abc import Callable, Generator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import anyio
import pytest

from salesos_inbox.client.body import HEAVIEST_JSON, LARGEST_ANSWER
from salesos_inbox.client.http import InboxClient
from salesos_inbox.errors import InboxError
from salesos_inbox.settings import Settings

MIB = 2**20
ANSWERS = 50
MOST_MIB = 50
STATUS = Path("/proc/self/status")
FORGET_PEAK = Path("/proc/self/clear_refs")

pytestmark = pytest.mark.skipif(not FORGET_PEAK.exists(), reason="the peak of a process's memory is read from /proc")


def bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(128)) + packer.flush()


def many(part: str, weight: int) -> bytes:
    """Return a thread of as many of these as are just let through, where each weighs so much."""
    return f'{{"messages":[{part * (HEAVIEST_JSON * 95 // 100 // weight)}{{}}]}}'.encode()


def text(content: str) -> bytes:
    return f'{{"messages":[{{"bodyHtml":"{content}"}}]}}'.encode()


ANSWERED: dict[str, Callable[[], bytes]] = {
    "small": lambda: b'{"id":"1"}',
    "endless": lambda: bytes(MIB),
    "bomb": bomb,
    "blowing-up": lambda: b"[" + b"[]," * (LARGEST_ANSWER // 3 - 2) + b"0]",
    "messages": lambda: many('{"id":"1"},', 1440),
    "lists": lambda: many("[],", 128),
    "numbers": lambda: many("300,", 40),
    "strings": lambda: many('"a😀",', 120),
    "keys": lambda: b'{"id":"1",%s}' % b",".join(b'"k%06d":1' % key for key in range(HEAVIEST_JSON // 170)),
    "html": lambda: text("<p>a</p>" * ((LARGEST_ANSWER - 1000) // 8)),
    "wide-html": lambda: text("<p>a</p>" * ((HEAVIEST_JSON // 4 - 2000) // 8) + "😀"),
}
"""What each thread is answered with."""
HOSTILE = [name for name in ANSWERED if name != "small"]


class Service(ThreadingHTTPServer):
    """Answers every thread as `ANSWERED` says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.contents = {name: content() for name, content in ANSWERED.items()}


class _Handler(BaseHTTPRequestHandler):
    server: Service  # pyright: ignore[reportIncompatibleVariableOverride] -- this handler's only server

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[1]
        content = self.server.contents[name]
        self.send_response(200)
        if name == "bomb":
            self.send_header("Content-Encoding", "gzip")
        if name != "endless":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(content)
            while name == "endless":
                self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def service() -> Generator[Service]:
    with Service() as service:
        thread = Thread(target=service.serve_forever)
        thread.start()
        yield service
        service.shutdown()
        thread.join()


@pytest.mark.parametrize("names", [HOSTILE, ["wide-html"]], ids=["of each kind", "of the heaviest kind"])
def test_fifty_hostile_answers_at_once_take_less_than_50_mib(service: Service, names: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, __file__, str(service.server_port), *names], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["grown"] < MOST_MIB
    refused = {name for name, outcomes in report["outcomes"].items() if outcomes == ["contract_broken"]}
    assert {name for name in ("endless", "bomb", "blowing-up") if name in names} <= refused
    assert not {name for name in ("messages", "keys", "html", "wide-html") if name in names} & refused


def _kib(name: str) -> int:
    return next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))


def _forget_peak() -> int:
    FORGET_PEAK.write_text("5")
    return _kib("VmRSS")


async def _read_all(port: int, names: list[str]) -> None:
    """Read such threads at once, and print how many MiB this process grew at most, and what came of each."""
    outcomes: dict[str, set[str]] = {}
    settings = Settings(api_key="key", base_url=f"http://127.0.0.1:{port}/v1", requests_per_minute=10**6)

    async def read(client: InboxClient, name: str) -> None:
        try:
            await client.get_thread(name)
            outcome = "read"
        except InboxError as error:
            outcome = error.code
        outcomes.setdefault(name, set()).add(outcome)

    async with InboxClient(settings, seconds=100.0) as client:
        for _ in range(20):
            await read(client, "small")
        before = _forget_peak()
        async with anyio.create_task_group() as group:
            for number in range(ANSWERS):
                group.start_soon(read, client, names[number % len(names)])
        grown = (_kib("VmHWM") - before) / 1024
    report = {"grown": grown, "outcomes": {name: sorted(found) for name, found in outcomes.items()}}
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    anyio.run(_read_all, int(sys.argv[1]), sys.argv[2:])
