"""The examples, run as a reader would run them."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot
from mcp import Client, StdioServerParameters

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
CLONE = "/path/to/salesos-inbox-mcp"
"""What stands in the configurations for the reader's clone."""
TOKEN_FROM = {
    "claude_desktop_config.json": "your-token",
    "claude_code_mcp.json": "${SALESOS_TOKEN}",
    "cursor_mcp.json": "${env:SALESOS_TOKEN}",
    "vscode_mcp.json": "${input:salesos_token}",
    "codex_config.toml": None,
}
"""Each client's configuration, and what stands in it for the token; None where the environment's is handed on."""


@pytest.mark.parametrize("program", ["triage_agent.py", "triage_over_http.py"])
def test_a_program_runs_and_what_it_asserts_holds(program: str) -> None:
    ran = run(EXAMPLES / program)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == snapshot(
        [
            "37 threads, 27 wait for you.",
            "Most urgent: RFQ 88-1420 Swindon DC: commercial clarification round 2",
            "A reply to c.achterberg@brightwater.example waits in your drafts; send it when you have read it.",
        ]
    )


def test_every_configuration_is_tested() -> None:
    found = {path.name for path in EXAMPLES.iterdir() if path.suffix in {".json", ".toml"}}
    assert found - {"contract.toml", "faults.toml"} == TOKEN_FROM.keys()  # these two are for other commands


@pytest.mark.parametrize("name", TOKEN_FROM)
def test_a_configuration_has_the_demo_and_the_account(name: str) -> None:
    servers = configured_servers(name)
    assert {key: server["args"] for key, server in servers.items()} == {
        "salesos-inbox-demo": ["serve", "--demo"],
        "salesos-inbox": ["serve"],
    }
    placeholder = TOKEN_FROM[name]
    assert servers["salesos-inbox"]["env"].get("SALESOS_TOKEN") == placeholder
    assert placeholder or servers["salesos-inbox"]["env_vars"] == ["SALESOS_TOKEN"]


def test_the_input_that_vs_code_asks_for_is_hidden() -> None:
    (wanted,) = json.loads((EXAMPLES / "vscode_mcp.json").read_text(encoding="utf-8"))["inputs"]
    assert (wanted["id"], wanted["password"]) == ("salesos_token", True)


def configured_servers(name: str) -> dict[str, dict[str, Any]]:
    """Return the servers of a configuration as its client reads them."""
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    document = tomllib.loads(text) if name.endswith(".toml") else json.loads(text)
    (servers,) = (document[key] for key in ("mcpServers", "servers", "mcp_servers") if key in document)
    return servers


def run(program: Path) -> subprocess.CompletedProcess[str]:
    """Run a program of the examples as its docstring says."""
    return subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60, check=False)


Launch = tuple[str, tuple[str, ...], tuple[tuple[str, str], ...]]


def launch(server: dict[str, Any]) -> Launch:
    """Return the command, arguments and environment that a client starts a server with, here and with a token."""
    handed_on = dict.fromkeys(server.get("env_vars", ()), "")
    environment = {
        name: "a-token" if name == "SALESOS_TOKEN" else value
        for name, value in {**handed_on, **server.get("env", {})}.items()
    }
    return server["command"].replace(CLONE, str(ROOT)), (*server["args"],), (*sorted(environment.items()),)


LAUNCHES = sorted({launch(server) for name in TOKEN_FROM for server in configured_servers(name).values()})
"""What the configurations start, each once: they differ in their form only."""


@pytest.mark.parametrize("started", LAUNCHES, ids=lambda started: " ".join(started[1]))
async def test_a_configured_server_starts_and_lists_its_tools(started: Launch) -> None:
    command, arguments, environment = started
    server = StdioServerParameters(command=command, args=[*arguments], env=dict(environment))
    async with Client(server, mode="legacy") as client:
        assert client.server_info and client.server_info.name == "salesos-inbox-mcp"
        assert len((await client.list_tools()).tools) == 22
