"""The triage agent over Streamable HTTP, with a server that runs on its own.

Run it with `.venv/bin/python examples/triage_over_http.py`: it starts the server on a free port of this
machine, works with it, and stops it.
"""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

import anyio
from mcp import Client

from triage_agent import UNATTENDED, work

SERVER = [sys.executable, "-m", "salesos_inbox.cli", "serve", "--demo", "--http", "--port", "0"]


@contextmanager
def running_server() -> Generator[str]:
    """Start the server, and give its address once it listens."""
    with subprocess.Popen(SERVER, env={**os.environ, **UNATTENDED}, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr
        try:
            said = server.stderr.readline()  # "Serving MCP at http://127.0.0.1:54321/mcp"
            assert said.startswith("Serving MCP at "), said
            yield said.split()[-1]
        finally:
            server.terminate()


async def main() -> None:
    """Work with a server over HTTP."""
    with running_server() as address:
        async with Client(address) as inbox:
            await work(inbox)


if __name__ == "__main__":
    anyio.run(main)
