"""The examples, run as a reader would run them."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot
from mcp import Client, StdioServerParameters

from processes import free_port, running

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
CLONE = "/path/to/salesos-inbox-mcp"
"""What stands in the configurations for the reader's clone."""
CONFIGURATIONS = (
    "claude_desktop_config.json",
    "claude_code_mcp.json",
    "vscode_mcp.json",
    "cursor_mcp.json",
    "codex_config.toml",
)


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


def test_the_readme_lists_every_configuration() -> None:
    found = {path.name for path in EXAMPLES.iterdir() if path.suffix in {".json", ".toml"}}
    assert found - {"contract.toml", "faults.toml"} == {*CONFIGURATIONS}  # these two are for other commands
    rows = re.findall(r"^\| [\w ]+ \| \[(.+)\]\(\1\) \|", (EXAMPLES / "README.md").read_text("utf-8"), re.MULTILINE)
    assert tuple(rows) == CONFIGURATIONS


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_has_the_demo_and_the_account_and_lacks_only_the_path_and_the_time_zone(name: str) -> None:
    servers = configured_servers(name)
    assert {key: server["args"] for key, server in servers.items()} == {
        "salesos-inbox-demo": ["serve", "--demo"],
        "salesos-inbox": ["serve"],
    }
    assert {server["command"] for server in servers.values()} == {f"{CLONE}/.venv/bin/salesos-inbox-mcp"}
    assert [server.get("env") for server in servers.values()] == [None, {"SALESOS_TIMEZONE": "Europe/Berlin"}]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_no_configuration_holds_a_token_or_says_where_one_comes_from(name: str) -> None:
    text = (EXAMPLES / name).read_text(encoding="utf-8").lower()
    assert [word for word in ("token", "api_key", "secret", "password", "${") if word in text] == []


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
    """Return the command, arguments and environment that a client starts a server with here."""
    handed_on = {name: os.environ[name] for name in server.get("env_vars", ()) if name in os.environ}
    environment = {**handed_on, **server.get("env", {})}
    return server["command"].replace(CLONE, str(ROOT)), (*server["args"],), (*sorted(environment.items()),)


def launches(server: str) -> list[Launch]:
    """Return what the configurations start under this name, each once: most differ in their form only."""
    return sorted({launch(configured_servers(name)[server]) for name in CONFIGURATIONS})


async def folders_of(started: Launch, **machine: str) -> list[str]:
    """Start a server as a client does, on a machine with these variables, and return its folders."""
    command, arguments, environment = started
    server = StdioServerParameters(command=command, args=[*arguments], env={**dict(environment), **machine})
    async with Client(server, mode="legacy") as client:
        assert client.server_info and client.server_info.name == "salesos-inbox-mcp"
        assert len((await client.list_tools()).tools) == 22
        answer = await client.call_tool("list_folders", {})
    assert not answer.is_error, answer
    content: dict[str, Any] = answer.structured_content or {}
    return [folder["folder"] for folder in content["folders"]]


@pytest.mark.parametrize("started", launches("salesos-inbox-demo"), ids=lambda _: "")
async def test_the_demo_works_at_once(started: Launch, tmp_path: Path) -> None:
    assert "Inbox" in await folders_of(started, HOME=str(tmp_path))


@dataclass(frozen=True)
class Machine:
    """A user's machine, without a keyring, and what an account of theirs is reached with."""

    home: Path
    base_url: str
    token: str

    @property
    def variables(self) -> dict[str, str]:
        """What every process on it is given."""
        return {
            "HOME": str(self.home),
            "SALESOS_BASE_URL": self.base_url,
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }

    def sign_in(self, program: str) -> subprocess.CompletedProcess[str]:
        """Sign the user in, once."""
        return subprocess.run(
            [program, "auth", "login", "--token"],
            input=self.token,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Generator[Machine]:
    """A machine whose user has an account at a sandbox, and is not signed in."""
    with running("sandbox", port=free_port()) as sandbox:
        printed = dict(re.findall(r"export (\w+)=(\S+)", sandbox.printed_by_now("Ctrl-C")))
        yield Machine(tmp_path, printed["SALESOS_BASE_URL"], printed["SALESOS_TOKEN"])


async def test_after_one_sign_in_every_configured_server_works_on_the_account(machine: Machine) -> None:
    (program,) = {command for command, _, _ in launches("salesos-inbox")}
    signed_in = machine.sign_in(program)
    assert (signed_in.returncode, signed_in.stderr) == (0, "")
    for started in launches("salesos-inbox"):
        assert "Inbox" in await folders_of(started, **machine.variables)


async def test_where_nobody_signs_in_a_file_with_a_token_does(machine: Machine) -> None:
    file = machine.home / "token"
    file.write_text(machine.token)
    for started in launches("salesos-inbox"):
        assert "Inbox" in await folders_of(started, **machine.variables, SALESOS_TOKEN_FILE=str(file))
