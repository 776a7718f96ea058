"""Faults in the clients' configuration files."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from clinic import TOKEN, Computer, told
from salesos_inbox.cli import COMMANDS
from salesos_inbox.doctor.clients import CLIENTS, check_clients
from salesos_inbox.doctor.configured import usable_settings
from salesos_inbox.doctor.finding import Finding
from salesos_inbox.doctor.surroundings import CLI

ROOT = Path(__file__).parents[2]
DESKTOP = ".config/Claude/claude_desktop_config.json"
PYTHON = sys.executable
NO_DISPLAY = "the server is given neither DISPLAY, WAYLAND_DISPLAY nor BROWSER, so it may not be able to ask you"
GOOD: dict[str, Any] = {"command": PYTHON, "args": [*CLI[1:], "serve"], "env": {"DISPLAY": ":0"}}


@pytest.fixture
def computer(computer: Computer) -> Computer:
    """A computer whose shell sets nothing that a server needs."""
    del computer.environment["SALESOS_TIMEZONE"]
    return computer


def lines(computer: Computer) -> list[str]:
    """Return what doctor says of the clients, in a few words for Python's path."""
    settings = usable_settings(computer.environment, computer.platform)[0]
    return told(check_clients(computer.surroundings, settings), all_of_it=True)


def with_entry(computer: Computer, **fields: Any) -> list[str]:
    """Return what doctor says of an entry of Claude Desktop; a field that is None is left out."""
    entry = {name: value for name, value in {**GOOD, **fields}.items() if value is not None}
    computer.write(DESKTOP, {"mcpServers": {"salesos-inbox": entry, "weather": {"command": "nowhere"}}})
    return lines(computer)


def test_an_entry_that_is_well(computer: Computer) -> None:
    assert with_entry(computer) == snapshot(
        [
            "ok       Claude Desktop  ~/.config/Claude/claude_desktop_config.json: salesos-inbox runs this",
            "                         server",
            "",
            "All is well.",
        ]
    )


def test_a_file_without_an_entry_for_this_server(computer: Computer) -> None:
    computer.write(DESKTOP, {"mcpServers": {"weather": {"command": "nowhere"}}})
    assert lines(computer) == snapshot(
        [
            "ok       Claude Desktop  ~/.config/Claude/claude_desktop_config.json has no entry for this",
            "                         server",
            "",
            "All is well.",
        ]
    )


def test_a_file_that_is_no_json(computer: Computer) -> None:
    computer.write(DESKTOP, '{\n  "mcpServers": {\n    "salesos-inbox": {"command": "planted",}\n  }\n}')
    assert lines(computer) == snapshot(
        [
            "failed   Claude Desktop  ~/.config/Claude/claude_desktop_config.json is no valid JSON (line 3)",
            "                         → Mend it, or the client ignores all of it.",
            "",
            "1 thing to mend.",
        ]
    )


def test_a_file_that_is_no_toml(computer: Computer) -> None:
    computer.write(".codex/config.toml", "[mcp_servers.salesos-inbox]\ncommand = planted\n")
    assert lines(computer) == snapshot(
        [
            "failed   Codex  ~/.codex/config.toml is no valid TOML (line 2)",
            "                → Mend it, or the client ignores all of it.",
            "",
            "1 thing to mend.",
        ]
    )


def test_two_entries_with_the_same_name(computer: Computer) -> None:
    entry = json.dumps(GOOD)
    computer.write(DESKTOP, f'{{"mcpServers": {{"salesos-inbox": {entry}, "salesos-inbox": {entry}}}}}')
    assert lines(computer) == snapshot(
        [
            "failed   Claude Desktop  ~/.config/Claude/claude_desktop_config.json has two entries named",
            "                         salesos-inbox",
            "                         → Rename or remove one of them.",
            "",
            "1 thing to mend.",
        ]
    )


@pytest.mark.parametrize(
    "command",
    ["/path/to/salesos-inbox-mcp/.venv/bin/salesos-inbox-mcp", ".venv/bin/salesos-inbox-mcp", "~/salesos-inbox-mcp",
     "salesos-inbox-mcp-that-is-nowhere", "", "sh -c salesos-inbox-mcp"],
    ids=["not there", "relative", "home", "on no path", "none", "with arguments"],
)  # fmt: skip
def test_a_command_that_does_not_run(computer: Computer, command: str, request: pytest.FixtureRequest) -> None:
    assert (
        with_entry(computer, command=command, args=["serve"])
        == {
            "not there": snapshot(
                [
                    "failed   Claude Desktop  ~/.config/Claude/claude_desktop_config.json: salesos-inbox: its command",
                    "                         is not there",
                    "                         → Write the path at which it is installed.",
                    "",
                    "1 thing to mend.",
                ]
            ),
            "relative": snapshot(
                [
                    "failed   Claude Desktop  ~/.config/Claude/claude_desktop_config.json: salesos-inbox: its command",
                    "                         is a relative path, and clients start servers from anywhere",
                    "                         → Write the whole path of the command.",
                    "",
                    "1 thing to mend.",
                ]
            ),
            "home": snapshot(
                [
                    "failed   Claude Desktop  ~/.config/Claude/claude_desktop_config.json: salesos-inbox: its command",
                    "                         begins with what only a shell fills in",
                    "                         → Write the whole path of the command.",
                    "",
                    "1 thing to mend.",
                ]
            ),
            "on no path": snapshot(
                [
                    "failed   Claude Desktop  ~/.config/Claude/claude_desktop_config.json: salesos-inbox: its command",
                    "                         is on no path here",
                    "                         → Write the whole path of the command.",
                    "",
                    "1 thing to mend.",
                ]
            ),
            "none": snapshot(
                [
                    "failed   Claude Desktop  ~/.config/Claude/claude_desktop_config.json: salesos-inbox: there is no",
                    "                         command",
                    "                         → Write the whole path of the command.",
                    "",
                    "1 thing to mend.",
                ]
            ),
            "with arguments": snapshot(
                [
                    "failed   Claude Desktop  ~/.config/Claude/claude_desktop_config.json: salesos-inbox: its command",
                    "                         holds arguments as well",
                    "                         → Put each argument into args.",
                    "",
                    "1 thing to mend.",
                ]
            ),
        }[request.node.callspec.id]
    )


def test_a_command_that_may_not_be_executed(computer: Computer) -> None:
    path = computer.write("bin/salesos-inbox-mcp", "#!/bin/sh\n")
    assert with_entry(computer, command=str(path)) == snapshot(
        [
            "failed   Claude Desktop  ~/.config/Claude/claude_desktop_config.json: salesos-inbox: its command",
            "                         may not be executed",
            "                         → Make it executable (chmod +x).",
            "",
            "1 thing to mend.",
        ]
    )


def test_a_command_whose_python_is_gone(computer: Computer) -> None:
    path = computer.write("bin/salesos-inbox-mcp", "#!/nowhere/.venv/bin/python\n")
    path.chmod(0o755)
    assert with_entry(computer, command=str(path)) == snapshot(
        [
            "failed   Claude Desktop  ~/.config/Claude/claude_desktop_config.json: salesos-inbox: the Python",
            "                         that its command wants is not there",
            "                         → Install this server again, in its present place.",
            "",
            "1 thing to mend.",
        ]
    )


def test_an_entry_that_does_not_serve(computer: Computer) -> None:
    assert with_entry(computer, args=[*CLI[1:], "sandbox"]) == snapshot(
        [
            "failed   Claude Desktop  ~/.config/Claude/claude_desktop_config.json: salesos-inbox: it runs",
            "                         `sandbox`, which serves no client",
            "                         → Write serve for it in args.",
            "",
            "1 thing to mend.",
        ]
    )


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"serve"}))
def test_every_command_but_serve_is_known_to_serve_no_client(computer: Computer, name: str) -> None:
    assert f"`{name}`" in "".join(with_entry(computer, args=[*CLI[1:], name]))


def test_conda_that_holds_back_what_is_printed(computer: Computer) -> None:
    path = computer.write("bin/conda", "#!/bin/sh\n")
    path.chmod(0o755)
    assert with_entry(computer, command=str(path), args=["run", "-n", "x", "salesos-inbox-mcp", "serve"]) == snapshot(
        [
            "failed   Claude Desktop  ~/.config/Claude/claude_desktop_config.json: salesos-inbox: conda holds",
            "                         back what the server prints",
            "                         → Write --no-capture-output after run, or the path of Python.",
            "",
            "1 thing to mend.",
        ]
    )


@pytest.mark.parametrize(
    "env",
    [
        {"SALESOS_TOKEN": TOKEN},
        {"SALESOS_TOKEN": "your-token"},
        {"SALESOS_TOKEN": "${SALESOS_TOKEN}"},
        {"SALESOS_TOKNE": "planted"},
        {"SALESOS_TIMEZONE": "Mars/Planted"},
    ],
    ids=["in the clear", "example", "not filled in", "misspelt", "unusable"],
)
def test_variables_of_an_entry(computer: Computer, env: dict[str, str], request: pytest.FixtureRequest) -> None:
    said = with_entry(computer, env={"DISPLAY": ":0", **env})
    assert not any(value in line for line in said for value in (TOKEN, "planted", "Mars"))
    assert (
        said
        == {
            "in the clear": snapshot(
                [
                    "warning  Claude Desktop  ~/.config/Claude/claude_desktop_config.json: salesos-inbox:",
                    "                         SALESOS_TOKEN stands in the file for all to read",
                    "                         → Run `salesos-inbox-mcp auth login`, and remove it from the file.",
                    "",
                    "1 thing to look at.",
                ]
            ),
            "example": snapshot(
                [
                    "failed   Claude Desktop  ~/.config/Claude/claude_desktop_config.json: salesos-inbox:",
                    "                         SALESOS_TOKEN still holds an example's words",
                    "                         → Put your own into SALESOS_TOKEN.",
                    "",
                    "1 thing to mend.",
                ]
            ),
            "not filled in": snapshot(
                [
                    "failed   Claude Desktop  ~/.config/Claude/claude_desktop_config.json: salesos-inbox: Claude",
                    "                         Desktop does not fill in what SALESOS_TOKEN holds",
                    "                         → Run `salesos-inbox-mcp auth login`, and remove it.",
                    "",
                    "1 thing to mend.",
                ]
            ),
            "misspelt": snapshot(
                [
                    "warning  Claude Desktop  ~/.config/Claude/claude_desktop_config.json: salesos-inbox:",
                    "                         SALESOS_TOKNE is no setting of this server",
                    "                         → Write SALESOS_TOKEN instead.",
                    "",
                    "1 thing to look at.",
                ]
            ),
            "unusable": snapshot(
                [
                    "failed   Claude Desktop  ~/.config/Claude/claude_desktop_config.json: salesos-inbox:",
                    "                         SALESOS_TIMEZONE cannot be used",
                    "                         → SALESOS_TIMEZONE must be a zone of the IANA database, such as",
                    "                           Europe/Berlin or America/New_York.",
                    "",
                    "1 thing to mend.",
                ]
            ),
        }[request.node.callspec.id]
    )


def test_a_token_among_the_arguments(computer: Computer) -> None:
    args = ["run", "-e", f"SALESOS_TOKEN={TOKEN}", "salesos-inbox-mcp", "serve"]
    said = with_entry(computer, args=args)
    assert TOKEN not in "".join(said)
    assert said == snapshot(
        [
            "warning  Claude Desktop  ~/.config/Claude/claude_desktop_config.json: salesos-inbox: a token",
            "                         stands in its args, where the list of processes shows it to all",
            "                         → Run `salesos-inbox-mcp auth login`, and remove it from the file.",
            "",
            "1 thing to look at.",
        ]
    )


def test_a_server_that_cannot_open_the_approval_page(computer: Computer) -> None:
    assert with_entry(computer, env=None) == snapshot(
        [
            "warning  Claude Desktop  ~/.config/Claude/claude_desktop_config.json: salesos-inbox: the server",
            "                         is given neither DISPLAY, WAYLAND_DISPLAY nor BROWSER, so it may not be",
            "                         able to ask you",
            "                         → Add the one that your desktop sets to its env.",
            "",
            "1 thing to look at.",
        ]
    )


@pytest.mark.parametrize(
    ("fields", "platform"),
    [
        ({"env": None}, "darwin"),
        ({"env": {"SALESOS_APPROVAL": "elicitation"}}, "linux"),
        ({"env": None, "args": [*CLI[1:], "serve", "--demo"]}, "linux"),
        ({"env": None, "args": [*CLI[1:], "serve", "--read-only"]}, "linux"),
    ],
)
def test_a_server_that_needs_no_display(computer: Computer, fields: dict[str, Any], platform: str) -> None:
    computer.platform = platform
    place = DESKTOP if platform == "linux" else "Library/Application Support/Claude/claude_desktop_config.json"
    computer.write(place, {"mcpServers": {"salesos-inbox": {**GOOD, **fields}}})
    assert lines(computer)[-1] == "All is well."


def test_what_is_set_in_the_shell_alone_is_named_and_not_shown(computer: Computer) -> None:
    computer.environment |= {"SALESOS_BASE_URL": "https://planted.example", "https_proxy": "http://planted:planted@p"}
    computer.environment |= {"SALESOS_TIMEZONE": "Europe/Berlin", "SALESOS_STATE_DIR": " "}
    env = {"DISPLAY": ":0", "SALESOS_TIMEZONE": "Europe/Paris"}
    assert with_entry(computer, env=env) == snapshot(
        [
            "warning  Claude Desktop  ~/.config/Claude/claude_desktop_config.json: salesos-inbox: the server",
            "                         is not given SALESOS_BASE_URL and HTTPS_PROXY, which are set here",
            "                         → Add to its env what the server needs, as this client hands on only a",
            "                           few variables.",
            "",
            "1 thing to look at.",
        ]
    )
    assert with_entry(computer, args=[*CLI[1:], "serve", "--demo"])[-1] == "All is well."


def test_a_client_that_hands_on_its_whole_environment_loses_nothing(computer: Computer) -> None:
    computer.environment |= {"SALESOS_BASE_URL": "https://planted.example"}
    computer.write("project/.mcp.json", {"mcpServers": {"salesos-inbox": GOOD}})
    assert lines(computer)[-1] == "All is well."


@pytest.mark.anyio
async def test_a_time_zone_that_every_client_sets_is_not_missed(computer: Computer) -> None:
    async def time_zone() -> Finding:
        computer.proxies = {"all": "none://"}
        return next(finding for finding in await computer.examine() if finding.check == "time zone")

    assert (await time_zone()).status == "warning"
    with_entry(computer, env={"DISPLAY": ":0", "SALESOS_TIMEZONE": "Europe/Paris"})
    assert (await time_zone()).found == snapshot("set for every client that is found")
    computer.write("project/.mcp.json", {"mcpServers": {"salesos-inbox": GOOD}})
    assert (await time_zone()).status == "warning"


def test_a_client_that_gives_up_before_a_person_can_answer(computer: Computer) -> None:
    arguments = 'args = ["-m", "salesos_inbox.cli"]\nenv_vars = ["DISPLAY"]\n'
    entry = f'[mcp_servers.salesos-inbox]\ncommand = "{PYTHON}"\n{arguments}'
    computer.write(".codex/config.toml", entry)
    assert lines(computer) == snapshot(
        [
            "warning  Codex  ~/.codex/config.toml: salesos-inbox: Codex gives a call up after 60 seconds, and",
            "                you have 120 to answer",
            "                → Set tool_timeout_sec to 150.",
            "",
            "1 thing to look at.",
        ]
    )
    computer.write(".codex/config.toml", f"{entry}tool_timeout_sec = 150\n")
    assert lines(computer)[-1] == "All is well."


def test_comments_and_commas_are_read_where_the_client_allows_them(computer: Computer) -> None:
    entry = f'{{"command": "{PYTHON}", "args": ["-m", "salesos_inbox.cli",],}}'
    text = f'{{\n// mine\n"servers": {{"salesos-inbox": {entry}}}, /* x */}}'
    computer.write("project/.vscode/mcp.json", text)
    computer.write(".config/zed/settings.json", text.replace("servers", "context_servers"))
    assert lines(computer) == snapshot(
        [
            "ok       VS Code  ~/project/.vscode/mcp.json: salesos-inbox runs this server",
            "ok       Zed      ~/.config/zed/settings.json: salesos-inbox runs this server",
            "",
            "All is well.",
        ]
    )


def test_entries_that_claude_code_keeps_for_a_project(computer: Computer) -> None:
    servers = {"salesos-inbox": {"command": "/nowhere/salesos-inbox-mcp"}}
    computer.write(".claude.json", {"projects": {str(computer.home / "project"): {"mcpServers": servers}, "/else": 5}})
    assert lines(computer) == snapshot(
        [
            "failed   Claude Code  ~/.claude.json: salesos-inbox: its command is not there",
            "                      → Write the path at which it is installed.",
            "",
            "1 thing to mend.",
        ]
    )


@pytest.mark.parametrize("content", ["[]", "5", "null", '{"mcpServers": []}', '{"mcpServers": {"salesos": 5}}', ""])
def test_a_file_of_another_shape_breaks_nothing(computer: Computer, content: str) -> None:
    computer.write(DESKTOP, content)
    assert len(lines(computer)) >= 3


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("claude_desktop_config.json", DESKTOP),
        ("claude_code_mcp.json", "project/.mcp.json"),
        ("cursor_mcp.json", ".cursor/mcp.json"),
        ("vscode_mcp.json", "project/.vscode/mcp.json"),
        ("codex_config.toml", ".codex/config.toml"),
    ],
)
def test_our_own_examples_lack_only_the_path_and_what_their_readme_says_of_linux(
    computer: Computer, name: str, place: str
) -> None:
    text = (ROOT / "examples" / name).read_text(encoding="utf-8")
    program = computer.write("bin/salesos-inbox-mcp", "#!/bin/sh\n")
    program.chmod(0o755)
    text = text.replace("/path/to/salesos-inbox-mcp/.venv/bin/salesos-inbox-mcp", str(program))
    computer.write(place, text)
    settings = usable_settings(computer.environment, computer.platform)[0]
    found = [finding.found.partition(": ")[2] for finding in check_clients(computer.surroundings, settings)]
    assert found[0] == "salesos-inbox-demo runs this server"
    told_of_display = [f"salesos-inbox: {NO_DISPLAY}"]
    assert found[1:] == {
        "claude_desktop_config.json": told_of_display,
        "cursor_mcp.json": told_of_display,
    }.get(name, ["salesos-inbox runs this server"])


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_every_client_has_a_place_on_every_platform(platform: str) -> None:
    assert all(client.places[platform] for client in CLIENTS)
