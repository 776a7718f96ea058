"""The product as a user runs it: its commands, in this process and as processes of their own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import httpx
import pytest

from discretion import assert_discreet
from salesos_inbox.cli import main

ROOT = Path(__file__).parents[1]
NODE = ROOT / ".venv/bin/node"
INSPECTOR = ROOT / ".node/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
CLI = [sys.executable, "-m", "salesos_inbox.cli"]
SECONDS = 60.0
"""How long anything may take before a test gives up on it."""

needs_node = pytest.mark.skipif(
    not (NODE.exists() and INSPECTOR.exists()), reason="Node and its tools are not installed: `make test` brings them"
)


@dataclass(frozen=True)
class Done:
    """What became of a command."""

    status: int
    out: str
    err: str


def command(capsys: pytest.CaptureFixture[str], *arguments: str, **settings: str) -> Done:
    """Run a command of ours in this process, with these `SALESOS_...` settings and no other."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(os, "environ", environment(**settings))
        main(arguments)
    captured = capsys.readouterr()
    assert_discreet(captured.err, " ".join(arguments) or "serve")
    return Done(int(ended.value.code or 0), captured.out, captured.err)


def environment(**settings: str) -> dict[str, str]:
    """Return this process's environment with these `SALESOS_...` settings and no other, and no system's keyring."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SALESOS_")}
    return {**plain, "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring", **settings}


@dataclass
class Running:
    """A server of ours in a process of its own, and what it has printed so far."""

    process: subprocess.Popen[str]
    out: list[str] = field(default_factory=list[str])
    err: list[str] = field(default_factory=list[str])
    _readers: list[Thread] = field(default_factory=list[Thread])

    def __post_init__(self) -> None:
        for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err)):
            assert stream is not None
            reader = Thread(target=lines.extend, args=(stream,), daemon=True)
            reader.start()
            self._readers.append(reader)

    def printed(self) -> str:
        """Return all it has printed, on either stream; complete once it has ended."""
        return "".join([*self.out, *self.err])

    def printed_by_now(self, last: str) -> str:
        """Return all it has printed, once that holds `last`."""
        deadline = time.monotonic() + SECONDS
        while last not in self.printed() and time.monotonic() < deadline:
            time.sleep(0.01)  # between its printing and our reading
        return self.printed()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Send it a signal; return its status and how many seconds it took to end."""
        begun = time.monotonic()
        self.process.send_signal(number)
        status = self.process.wait(SECONDS)
        taken = time.monotonic() - begun
        for reader in self._readers:
            reader.join(SECONDS)
        return status, taken


@contextmanager
def running(*arguments: str, port: int, **settings: str) -> Generator[Running]:
    """Run a command of ours that listens on `port`, from when it does until the block ends."""
    process = subprocess.Popen(
        [*CLI, *arguments, "--port", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(PYTHONUNBUFFERED="1", **settings),
    )
    with process:
        server = Running(process)
        try:
            _wait_for(server, port)
            yield server
        finally:
            if process.poll() is None:
                process.kill()


def _wait_for(server: Running, port: int) -> None:
    """Return once the server answers requests, whatever it answers."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            httpx.get(f"http://127.0.0.1:{port}/", timeout=SECONDS)
            return
        except httpx.ConnectError:
            time.sleep(0.05)  # a process of its own has no other way to say that it is ready
    raise AssertionError(f"It does not answer: {server.printed()}")


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
