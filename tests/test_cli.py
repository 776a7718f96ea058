"""The commands, as someone types them."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from harness import open_office, subject_of, unmarked
from processes import CLI, SECONDS, Done, Running, command, environment, free_port, running
from salesos_inbox.approval.ledger import Ledger
from salesos_inbox.approval.sealing import derived, read_key
from salesos_inbox.cli import COMMANDS, as_called
from salesos_inbox.cli.composition import find_session_bus
from salesos_inbox.client.credentials import Credential, KeptFile, keep
from salesos_inbox.settings import Settings

MESSAGE = """\
From: Kim Park <kim@customer.example>
To: me@example.com
Subject: {subject}
Date: Wed, 18 Nov 2026 09:00:00 +0000
Message-ID: <{subject}@customer.example>

Could you send me the offer?
"""


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    """A folder with two messages, a file that is none, and one that is empty."""
    folder = tmp_path / "mail"
    folder.mkdir()
    for subject in ("offer", "invoice"):
        (folder / f"{subject}.eml").write_text(MESSAGE.format(subject=subject))
    (folder / "notes.txt").write_text("nothing like mail")
    (folder / "empty.eml").write_text("")
    return folder


def exports(printed: str) -> dict[str, str]:
    """Return the settings of the `export` lines that a user is told to copy."""
    return dict(re.findall(r"^\s*export (\w+)=(\S+)$", printed, re.MULTILINE))


def called(capsys: pytest.CaptureFixture[str], server: Running, *arguments: str) -> Any:
    """Call a tool on the sandbox that `server` is, with what it printed, and return the answer."""
    done = command(capsys, "call", *arguments, **exports(server.printed_by_now("Ctrl-C")))
    assert (done.status, done.err) == (0, "")
    return json.loads(done.out)


# No account


@pytest.mark.parametrize("arguments", [[], ["serve"], ["--read-only"], ["serve", "--http"], ["call", "list_folders"]])
def test_without_an_account_two_sentences_say_how_to_get_on(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command(capsys, *arguments, SALESOS_STATE_DIR=str(tmp_path)) == Done(
        2,
        "",
        "Nobody is signed in to SalesOS at api.salesos.org: run salesos-inbox-mcp auth login, or set SALESOS_TOKEN or "
        "SALESOS_API_KEY.\n"
        "To try it without an account, run: salesos-inbox-mcp serve --demo\n",
    )


def test_a_sign_in_at_another_address_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sandbox = "http://127.0.0.1:8025/v1"
    assert isinstance(keep(Credential("t.o.k"), Settings(base_url=sandbox), tmp_path), KeptFile)
    (tmp_path / "credentials" / "damaged.json").write_text("[")
    done = command(capsys, "call", "list_folders", SALESOS_STATE_DIR=str(tmp_path))
    assert done.status == 2
    assert f"\nA sign-in is kept for {sandbox}: set SALESOS_BASE_URL to that to use it.\n" in done.err
    assert "A sign-in is kept" not in command(capsys, "call", "list_folders", SALESOS_STATE_DIR=str(tmp_path / "x")).err


@pytest.mark.parametrize(
    ("called", "on_path", "shown"),
    [
        ("bin/salesos-inbox-mcp", "", "bin/salesos-inbox-mcp auth login"),
        ("{root}/bin/salesos-inbox-mcp", "", "{root}/bin/salesos-inbox-mcp auth login"),
        ("{root}/bin/salesos-inbox-mcp", "{root}/bin", "salesos-inbox-mcp auth login"),
        ("{root}/bin/salesos-inbox-mcp", "{root}/other", "{root}/bin/salesos-inbox-mcp auth login"),
        ("{root}/my bin/salesos-inbox-mcp", "", "'{root}/my bin/salesos-inbox-mcp' auth login"),
        ("{root}/cli/__main__.py", "", "salesos-inbox-mcp auth login"),
    ],
)
def test_a_person_is_told_to_call_the_program_as_they_called_it(
    called: str, on_path: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("bin", "other", "my bin"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "salesos-inbox-mcp").touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", on_path.format(root=tmp_path))
    monkeypatch.setattr(sys, "argv", [called.format(root=tmp_path)])
    assert as_called("Run `salesos-inbox-mcp auth login`.") == f"Run `{shown.format(root=tmp_path)}`."
    assert as_called("/state/salesos-inbox-mcp auth") == "/state/salesos-inbox-mcp auth", "a path is no command"


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such pipes")
@pytest.mark.parametrize("arguments", [["--help"], ["call", "--demo", "list_folders"], ["demo"], ["auth", "status"]])
def test_a_reader_that_leaves_early_ends_it_quietly(arguments: list[str], tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*CLI, *arguments],
            stdout=writing,
            stderr=subprocess.PIPE,
            env=environment(SALESOS_STATE_DIR=str(tmp_path), PYTHONUNBUFFERED=""),
            timeout=SECONDS,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    "settings",
    [
        {"SALESOS_TOKEN": "secret-token", "SALESOS_API_KEY": "secret-key"},
        {"SALESOS_TOKEN": "secret-token", "SALESOS_BASE_URL": "ftp://secret-token.example"},
        {"SALESOS_TOKEN": "secret-token", "SALESOS_TIMEZONE": "Mars/Olympus"},
        {"SALESOS_TOKEN": "secret-token", "SALESOS_READ_ONLY": "perhaps"},
        {"SALESOS_TOKEN": "secret-token", "SALESOS_TOOLS": "reading,everything"},
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_its_secrets_are_not(
    settings: dict[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    done = command(capsys, "call", "list_folders", **settings, SALESOS_STATE_DIR=str(tmp_path))
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert next(reversed(settings)) in done.err or "There is no tool or group 'everything'" in done.err
    assert "secret" not in done.err


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(capsys, "--version") == Done(0, snapshot("0.1.0\n"), "")


def test_the_help_says_what_every_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    done = command(capsys, "--help", COLUMNS="120")
    assert (done.status, done.err) == (0, "")
    assert re.findall(r"^    (\w+) +(\S.*)$", done.out, re.MULTILINE) == [*COMMANDS.items()]


LISTING = """
import sys
from salesos_inbox.cli import main
try:
    main(sys.argv[1:])
finally:
    print(*sys.modules, sep="\\n", file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "imported"),
    [
        (["--version"], set[str]()),
        (["--help"], set[str]()),
        (["--read-only", "--help"], {"serve"}),
        *(([name, "--help"], {name}) for name in COMMANDS),
    ],
)
def test_a_command_imports_no_other_command_and_only_what_its_help_needs(
    arguments: list[str], imported: set[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LISTING, *arguments], capture_output=True, text=True, env=environment(), check=True
    )
    modules = set(done.stderr.split())
    assert COMMANDS.keys() & {module.removeprefix("salesos_inbox.cli.") for module in modules} == imported
    assert modules & {"anyio", "httpx", "mcp", "pydantic", "starlette", "uvicorn", "platformdirs"} == set()


def test_the_package_runs_as_the_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run([*CLI, "--version"], capture_output=True, text=True, env=environment(), check=False)
    assert Done(done.returncode, done.stdout, done.stderr) == command(capsys, "--version")


def test_an_unknown_option_is_refused_with_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    done = command(capsys, "serve", "--demo", "--write-only")
    assert (done.status, done.out) == (2, "")
    assert "unrecognized arguments: --write-only" in done.err


# call


def test_a_call_prints_the_answer_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    done = command(capsys, "call", "--demo", "search_threads", '{"query": "pricing", "limit": 1}')
    assert (done.status, done.err) == (0, "")
    assert len(json.loads(done.out)["threads"]) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "beginning"),
    [
        (["read_thread", '{"thread_id": "nothing-here"}'], 1, "not_found: There is no thread 'nothing-here'"),
        (
            ["list_threads", '{"isRead": true}'],
            1,
            "invalid_arguments: list_threads has no argument 'isRead': use unread",
        ),
        (["send_email", '{"to": ["kim@customer.example"], "body": "Hello"}'], 1, "nobody_asked: Nobody decided"),
        (["list_thread"], 2, "Unknown tool 'list_thread': use list_threads."),
        (["list_threads", "{limit: 5}"], 2, "The arguments are not JSON: write them like '{\"limit\": 5}'."),
        (["list_threads", "[5]"], 2, "The arguments must be a JSON object, like '{\"limit\": 5}'."),
        (["list_threads", "--tools", "sending"], 2, "Unknown tool 'list_threads'"),
        (["list_threads", "--tools", "mail"], 2, "There is no tool or group 'mail': the groups are reading,"),
        (["archive_threads", '{"thread_ids": ["a"]}', "--read-only"], 2, "Unknown tool 'archive_threads'"),
    ],
)
def test_a_call_that_fails_says_why_in_one_sentence(
    arguments: list[str], status: int, beginning: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = command(capsys, "call", "--demo", *arguments)
    assert (found.status, found.out, found.err.count("\n")) == (status, "", 1)
    assert found.err.startswith(beginning)


def test_a_service_that_is_down_is_told_from_a_wrong_call(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    down = {"SALESOS_BASE_URL": f"http://127.0.0.1:{free_port()}/v1", "SALESOS_TOKEN": "secret-token"}
    found = command(capsys, "call", "list_folders", **down, SALESOS_STATE_DIR=str(tmp_path))
    assert (found.status, found.out, found.err.count("\n")) == (1, "", 1)
    assert found.err.startswith(
        "unavailable: SalesOS could not be reached to list the folders, and nothing was changed"
    )


# sandbox


def test_what_the_sandbox_prints_connects_a_server_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    with running("sandbox", port=port) as sandbox:
        folders = called(capsys, sandbox, "list_folders")["folders"]
        assert folders[0]["folder"] == "Inbox"
        thread_id = called(capsys, sandbox, "search_threads", '{"query": "pricing"}')["threads"][0]["thread_id"]
        starred = called(capsys, sandbox, "star_threads", json.dumps({"thread_ids": [thread_id]}))
        status, seconds = sandbox.stop(signal.SIGINT)
    assert starred["results"] == [{"outcome": "done", "thread_ids": [thread_id]}]
    assert exports("".join(sandbox.out)).keys() == {"SALESOS_BASE_URL", "SALESOS_TOKEN"}
    assert (status, sandbox.err) == (130, [])
    assert seconds < 5


def test_imported_mail_stays_and_is_not_imported_twice(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mail: Path
) -> None:
    database = str(tmp_path / "mail.db")
    with running("sandbox", "--db", database, "--import", str(mail), port=free_port()) as sandbox:
        first = called(capsys, sandbox, "list_threads")
        sandbox.stop()
    assert "Imported 2 messages in 2 threads, 0 duplicates and 2 unreadable left out." in sandbox.printed()
    assert "notes.txt: not mail" in sandbox.printed()
    assert "empty.eml: empty" in sandbox.printed()

    with running("sandbox", "--db", database, "--import", str(mail), port=free_port()) as sandbox:
        second = called(capsys, sandbox, "list_threads")
        sandbox.stop()
    assert "Imported 0 messages in 0 threads, 2 duplicates and 2 unreadable left out." in sandbox.printed()
    assert unmarked(first) == unmarked(second)
    assert sorted(subject_of(row) for row in first["threads"]) == ["invoice", "offer"]


def test_a_path_that_is_not_there_is_named_and_nothing_is_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    missing, database = tmp_path / "nothing-here", tmp_path / "mail.db"
    done = command(capsys, "sandbox", "--db", str(database), "--import", str(missing), "--port", "0")
    assert done == Done(2, "", f"There is nothing to import at {missing}: check the path.\n")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("arguments", [["sandbox"], ["serve", "--demo", "--http"]])
def test_a_port_in_use_is_said_in_words(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command(capsys, *arguments, "--port", str(port))
    assert done == Done(2, "", f"Port {port} of 127.0.0.1 is in use or cannot be used: choose another with --port.\n")


@pytest.mark.parametrize("port", ["99999", "-1", "http"])
def test_a_port_there_cannot_be_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = command(capsys, "sandbox", f"--port={port}")
    assert (done.status, done.out) == (2, "")
    assert "argument --port: a port is a number from 0 to 65535" in done.err


def test_a_file_that_is_no_database_is_said_in_words(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Kim, " * 1000)
    done = command(capsys, "sandbox", "--db", str(path), "--port", "0")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        f"{path} cannot be used (file is not a database): give --db a new file, or one that a sandbox made.\n"
    )
    assert path.read_text() == "Dear Kim, " * 1000


# The activity log

USER = "maya@northwind-robotics.example at sandbox.test"


@pytest.fixture
async def state_dir(tmp_path: Path) -> Path:
    """Where a server keeps its ledger, after a message was sent and a thread archived and brought back."""
    key = derived(read_key(tmp_path), "activity log")
    async with open_office(ledger=Ledger(tmp_path / "ledger.sqlite3", key)) as office:
        await office.call("send_email", to=["ann@elsewhere.example"], subject="Offer", body="Canary 4711")
        undo_id = (await office.call("archive_threads", thread_ids=await office.thread_ids(limit=2)))["undo_id"]
        await office.call("undo_change", undo_id=undo_id)
    return tmp_path


@pytest.mark.anyio
async def test_the_log_tells_what_happened_by_whom_and_when(
    capsys: pytest.CaptureFixture[str], state_dir: Path
) -> None:
    done = command(capsys, "log", SALESOS_STATE_DIR=str(state_dir), SALESOS_TIMEZONE="Europe/Berlin")
    told = re.sub(
        r"(undo_|thread_id )\w{16,}", r"\1…", done.out.replace(USER, "Maya").replace("ann@elsewhere.example", "Ann")
    )
    assert (done.status, done.err, told) == (
        0,
        "",
        snapshot("""\
2026-11-18 10:00:00  asked           send_email          to Ann; subject Offer [Maya]
2026-11-18 10:00:04  approved        send_email          to Ann; subject Offer; by the user, in mcp [Maya]
2026-11-18 10:00:04  sent            send_email          to Ann; subject Offer; thread_id … [Maya]
2026-11-18 10:00:04  changed         archive_threads     threads 2; action archive; undo_id undo_… [Maya]
2026-11-18 10:00:04  undone          undo_change         undo_id undo_… [Maya]
"""),
    )


@pytest.mark.anyio
async def test_the_log_is_to_be_had_as_json_and_holds_no_message(
    capsys: pytest.CaptureFixture[str], state_dir: Path
) -> None:
    done = command(capsys, "log", "--json", "--last", "4", SALESOS_STATE_DIR=str(state_dir))
    entries = [json.loads(line) for line in done.out.splitlines()]
    assert [(entry["number"], entry["what"], entry["tool"]) for entry in entries] == snapshot(
        [
            (2, "approved", "send_email"),
            (3, "sent", "send_email"),
            (4, "changed", "archive_threads"),
            (5, "undone", "undo_change"),
        ]
    )
    assert "Canary" not in command(capsys, "log", "--json", SALESOS_STATE_DIR=str(state_dir)).out


@pytest.mark.anyio
async def test_an_altered_log_is_told_from_one_as_it_was_written(
    capsys: pytest.CaptureFixture[str], state_dir: Path
) -> None:
    whole = command(capsys, "log", "--verify", SALESOS_STATE_DIR=str(state_dir))
    with closing(sqlite3.connect(state_dir / "ledger.sqlite3")) as database, database:
        database.execute("UPDATE entries SET document = replace(document, 'ann@', 'eve@')")
    altered = command(capsys, "log", "--verify", SALESOS_STATE_DIR=str(state_dir))
    assert (whole.status, whole.out) == snapshot((0, "All 5 entries are as they were written.\n"))
    assert (altered.status, altered.out) == snapshot(
        (1, "Entry 1 of the log is not as it was written, or is sealed with another key.\n")
    )


def test_a_log_that_is_not_there_yet_is_no_failure_and_is_not_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for options in ([], ["--json"], ["--verify"]):
        done = command(capsys, "log", *options, SALESOS_STATE_DIR=str(tmp_path))
        assert done == Done(0, "", "Nothing is in the log yet.\n")
    assert [*tmp_path.iterdir()] == []


def test_a_log_that_cannot_be_read_is_said_in_words(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite3").write_text("Dear Kim, " * 1000)
    done = command(capsys, "log", SALESOS_STATE_DIR=str(tmp_path))
    assert (done.status, done.out) == (1, "")
    assert "ledger.* out of SALESOS_STATE_DIR" in done.err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' keyrings need no session bus")
def test_the_keyring_is_found_by_a_server_whose_client_hands_no_session_bus_on(tmp_path: Path) -> None:
    place = tmp_path / str(os.getuid())
    place.mkdir()
    left_out: dict[str, str] = {}
    find_session_bus(left_out, tmp_path)
    assert left_out == {}, "there is none"
    with closing(socket.socket(socket.AF_UNIX)) as bus:
        bus.bind(str(place / "bus"))
        find_session_bus(left_out, tmp_path)
        given = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/elsewhere"}
        find_session_bus(given, tmp_path)
    assert left_out == {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={place / 'bus'}"}
    assert given == {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/elsewhere"}
