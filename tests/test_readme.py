"""The README says what is true: its commands work, its table and settings are the code's, its links lead somewhere."""

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from inline_snapshot import snapshot
from mcp import Client, StdioServerParameters

from harness import unmarked
from salesos_inbox.manifest import with_table
from salesos_inbox.settings import Settings

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = (
    *("README.md", "CHANGELOG.md", "docs/architecture.md", "docs/consent.md", "docs/reading.md", "docs/service.md"),
    *("docs/contract.md", "docs/faults.md", "examples/README.md"),
)
PROGRAM = ROOT / ".venv" / "bin" / "salesos-inbox-mcp"


def commands(page: str) -> list[str]:
    """Return the lines of a page's shell blocks, without comments."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]


def leads_to(target: str, recipe: str) -> None:
    """Look at what `make` would do for a target, without doing it."""
    planned = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert recipe in planned


def is_the_clone(command: str) -> None:
    """The first lines fetch the project, which whoever runs this test has done."""
    assert command in {"git clone ADDRESS-OF-THIS-REPOSITORY salesos-inbox-mcp", "cd salesos-inbox-mcp"}


def is_run_elsewhere(command: str) -> None:
    """test_examples runs the examples' programs, test_auth signs in, and tests below run the commands that serve."""
    assert command in {
        ".venv/bin/python examples/triage_agent.py",
        ".venv/bin/python examples/triage_over_http.py",
        *SERVING,
        *SANDBOXES,
        ".venv/bin/salesos-inbox-mcp auth login",
    }


def prints_an_answer(command: str) -> None:
    """Run a command that prints a tool's answer."""
    ran = subprocess.run(shlex.split(command), cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(json.loads(ran.stdout)["threads"]) >= 5


def prints_the_log(command: str) -> None:
    """Run a command that prints the activity log; here it is that of a machine on which nothing happened yet."""
    with TemporaryDirectory() as nothing:
        environment = {**os.environ, "SALESOS_STATE_DIR": nothing}
        ran = subprocess.run(
            shlex.split(command), cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
    assert (ran.stdout, ran.stderr) == ("", "Nothing is in the log yet.\n")


def says_what_to_do(command: str) -> None:
    """Run the doctor, here on a machine where nobody has signed in yet."""
    with TemporaryDirectory() as nothing:
        environment = {**os.environ, "SALESOS_STATE_DIR": nothing, "SALESOS_BASE_URL": "http://127.0.0.1:9/v1"}
        ran = subprocess.run(shlex.split(command), cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ran.returncode == 1
    assert "auth login" in ran.stdout


SERVING = (
    'claude mcp add salesos-inbox-demo -- "$PWD/.venv/bin/salesos-inbox-mcp" serve --demo',
    'claude mcp add salesos-inbox -e SALESOS_TIMEZONE=Europe/Berlin -- "$PWD/.venv/bin/salesos-inbox-mcp" serve',
)
SANDBOX = ".venv/bin/salesos-inbox-mcp sandbox --import ~/Mail/archive.mbox --user you@example.com"
SANDBOXES = (SANDBOX, ".venv/bin/salesos-inbox-mcp sandbox --faults examples/faults.toml")
EXERCISED: dict[str, Callable[[str], None]] = {
    "git clone ADDRESS-OF-THIS-REPOSITORY salesos-inbox-mcp": is_the_clone,
    "cd salesos-inbox-mcp": is_the_clone,
    "make demo": lambda _: leads_to("demo", "salesos-inbox-mcp demo"),
    "make test": lambda _: leads_to("test", "pytest"),
    "make check": lambda _: leads_to("check", "pyright"),
    SERVING[0]: is_run_elsewhere,
    SERVING[1]: is_run_elsewhere,
    ".venv/bin/salesos-inbox-mcp call --demo triage_inbox '{\"limit\": 5}'": prints_an_answer,
    ".venv/bin/salesos-inbox-mcp log": prints_the_log,
    **dict.fromkeys(SANDBOXES, is_run_elsewhere),
    ".venv/bin/salesos-inbox-mcp auth login": is_run_elsewhere,
    ".venv/bin/salesos-inbox-mcp doctor": says_what_to_do,
    ".venv/bin/python examples/triage_agent.py": is_run_elsewhere,
    ".venv/bin/python examples/triage_over_http.py": is_run_elsewhere,
}
"""Each command of the pages, and how it is exercised."""


@pytest.mark.parametrize("command", sorted({command for page in PAGES for command in commands(page)}))
def test_a_command_of_the_pages_does_what_they_say(command: str) -> None:
    assert command in EXERCISED, "say in EXERCISED how this command is tested"
    EXERCISED[command](command)


def test_no_command_is_exercised_that_no_page_has() -> None:
    assert EXERCISED.keys() == {command for page in PAGES for command in commands(page)}


@pytest.mark.parametrize("command", SERVING)
async def test_the_command_that_a_client_is_given_serves(command: str) -> None:
    before, _, after = command.partition(" -- ")
    environment = dict(re.findall(r"-e (\w+)=(\S+)", before)) | {"SALESOS_TOKEN": "as `auth login` keeps it"}
    program, *arguments = shlex.split(after.replace("$PWD", str(ROOT)))
    async with Client(StdioServerParameters(command=program, args=arguments, env=environment)) as client:
        assert len((await client.list_tools()).tools) == 22


def test_the_sandbox_serves_imported_mail_to_whoever_follows_what_it_prints(tmp_path: Path) -> None:
    mailbox = tmp_path / "archive.mbox"
    mailbox.write_bytes(
        b"From ada@example.org Wed Nov 18 09:00:00 2026\n"
        b"From: Ada <ada@example.org>\nTo: you@example.com\nSubject: Twelve looms\nMessage-ID: <1@example.org>\n"
        b"Date: Wed, 18 Nov 2026 09:00:00 +0000\n\nCould you make an offer?\n"
    )
    command = SANDBOX.replace("~/Mail/archive.mbox", str(mailbox)) + " --port 0"
    with sandbox(command) as environment:
        ran = subprocess.run(
            [PROGRAM, "call", "list_threads"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
    rows = unmarked(json.loads(ran.stdout))["threads"]
    assert [row["mail"] for row in rows] == ["ada@example.org | Twelve looms"]


@contextmanager
def sandbox(command: str) -> Generator[dict[str, str]]:
    """Run the sandbox, and give the settings that it prints."""
    with subprocess.Popen(shlex.split(command), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        try:
            printed = b"".join(iter(process.stdout.readline, b"  .venv/bin/salesos-inbox-mcp serve\n")).decode()
            yield dict(re.findall(r"export (\w+)=(\S+)", printed))
        finally:
            process.send_signal(signal.SIGINT)


def test_the_table_of_tools_is_the_catalogues() -> None:
    assert with_table(README) == README


def test_every_setting_is_explained_and_no_other() -> None:
    documented = re.findall(r"^\| `SALESOS_(\w+)` \|", README, re.MULTILINE)
    # Whether there is a browser is told by the variables that browsers themselves go by.
    names = [field.name.upper() for field in fields(Settings) if field.name != "browser"]
    assert documented == ["CONTRACT" if name == "OVERRIDES" else name for name in names]


def test_every_command_of_the_program_is_explained() -> None:
    shown = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout
    listed = re.findall(r"^    (\w+) ", shown, re.MULTILINE)
    section = README.partition("## Commands")[2].partition("## ")[0]
    explained = re.findall(r"^\| `(\w+)", section, re.MULTILINE)
    assert list(dict.fromkeys(explained)) == snapshot(
        ["serve", "demo", "auth", "doctor", "sandbox", "log", "call", "manifest"]
    )
    assert sorted(set(explained)) == sorted(listed)


def test_developers_run_what_ci_runs() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    section = README.partition("## Develop")[2]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block
    assert block[1].split("\n") == [*re.findall(r"^make .*", ci, re.MULTILINE), ""]


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_to_files(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
    local = [link for link in links if not link.startswith("https://")]
    assert [link for link in local if not (ROOT / page).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("marker", ["numbers", "tools"])
def test_what_is_filled_in_by_programs_has_its_markers(marker: str) -> None:
    assert re.search(rf"<!-- {marker}\b.*?-->.*<!-- end of {marker} -->", README, re.DOTALL)
