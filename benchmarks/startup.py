"""How long a client waits for our server, from its start to the answer to `initialize`, against a bare one.

Both run in turns, so that whatever else the machine does falls on both. The figure is the median of
the pairs' ratios.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from figures import Figure, table

PAIRS = 21
BARE = [sys.executable, str(Path(__file__).with_name("bare_server.py"))]
OURS = [sys.executable, "-m", "salesos_inbox.cli", "serve", "--demo"]

_INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "benchmark", "version": "1"},
    },
}
_INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
_LIST_TOOLS = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


@dataclass(frozen=True)
class Start:
    """Milliseconds from a server's start until it had answered."""

    initialize: float
    tools_list: float


def start(command: list[str]) -> Start:
    """Start a server, ask it for its tools, and end it."""
    begun = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin and process.stdout

        def say(*messages: Mapping[str, object]) -> float:
            assert process.stdin and process.stdout
            process.stdin.write(b"".join(json.dumps(message).encode() + b"\n" for message in messages))
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            if "result" not in answer:
                raise RuntimeError(answer)
            return (time.perf_counter() - begun) * 1000

        found = Start(say(_INITIALIZE), say(_INITIALIZED, _LIST_TOOLS))
        process.stdin.close()
    return found


def measure(pairs: int = PAIRS) -> list[Figure]:
    """Start both servers in turns, after a warm-up of each, and return the figures."""
    start(BARE)
    start(OURS)
    found = [(start(BARE), start(OURS)) for _ in range(pairs)]
    ratio = median(ours.initialize / bare.initialize for bare, ours in found)
    bare, ours = (median(one.initialize for one in each) for each in zip(*found, strict=True))
    listed, ours_listed = (median(one.tools_list for one in each) for each in zip(*found, strict=True))
    return [
        Figure("start to `initialize` answered, against a one-tool server", "≤ 1.15 ×", f"{ratio:.2f} ×"),
        Figure("the same, in time (ours / the other)", "", f"{ours:.0f} / {bare:.0f} ms, medians of {pairs}"),
        Figure("start to `tools/list` answered, 22 tools against 1", "", f"{ours_listed:.0f} / {listed:.0f} ms"),
    ]


if __name__ == "__main__":
    print(table(measure()))
