"""Faults of this computer: the state directory, the ledger, and the way to a person."""

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from clinic import Computer, told
from salesos_inbox.approval.ledger import Ledger, Request
from salesos_inbox.approval.sealing import derived, read_key
from salesos_inbox.doctor.configured import usable_settings
from salesos_inbox.doctor.machine import check_asking, check_ledger, check_state_dir

ABOUT: Mapping[str, Any] = {"subject": "planted subject"}


def state_dir_lines(computer: Computer, state_dir: Path) -> list[str]:
    """Return what doctor says of a state directory."""
    return told(check_state_dir(computer.surroundings, state_dir), all_of_it=True)


def ledger_lines(computer: Computer) -> list[str]:
    """Return what doctor says of the ledger; nothing below the state directory is touched."""
    before = state(computer)
    lines = told(check_ledger(computer.surroundings, computer.state_dir), all_of_it=True)
    assert state(computer) == before
    return lines


def state(computer: Computer) -> dict[Path, tuple[int, bytes]]:
    """Return the state directory and its files, when each was changed, and what they hold."""
    paths = (computer.state_dir, *computer.state_dir.iterdir())
    return {path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path in paths}


def recorded(computer: Computer) -> Path:
    """Record two operations, and return the ledger's file."""
    with opened(computer) as ledger:
        for number in range(2):
            request = Request("sam at sandbox", "send_email", "send", str(number), ABOUT, {})
            ledger.begin(request, now=1.0, until=10.0)
    return computer.state_dir / "ledger.sqlite3"


def opened(computer: Computer) -> Ledger:
    """Open the ledger as the server does."""
    key = derived(read_key(computer.state_dir), "activity log")
    return Ledger(computer.state_dir / "ledger.sqlite3", key)


# The state directory


def test_a_state_directory_in_the_place_of_a_file(computer: Computer) -> None:
    path = computer.write("state-file", "")
    assert state_dir_lines(computer, path / "state") == snapshot(
        [
            "failed   state directory  ~/state-file/state cannot be made, as a file stands in its place",
            "                          → Let this user write there, or set SALESOS_STATE_DIR to another",
            "                            directory.",
            "",
            "1 thing to mend.",
        ]
    )


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/self").exists(), reason="the superuser may write anywhere")
def test_a_state_directory_that_cannot_be_written_to(computer: Computer) -> None:
    folder = Path("/proc/self") if os.geteuid() == 0 else computer.home / "locked"
    if os.geteuid():
        folder.mkdir(mode=0o500)
    [finding] = check_state_dir(computer.surroundings, folder / "state")
    assert finding.status == "failed"
    assert finding.found.endswith(" cannot be written to (No such file or directory)") or "denied" in finding.found
    assert finding.remedy == snapshot("Let this user write there, or set SALESOS_STATE_DIR to another directory.")


def test_a_state_directory_on_a_network_drive(computer: Computer) -> None:
    computer.state_dir.mkdir()
    mounts = f"/dev/sda1 / ext4 rw 0 0\nserver:/home {computer.home} nfs4 rw 0 0\n"
    computer.write("root/proc/mounts", mounts)
    assert state_dir_lines(computer, computer.state_dir) == snapshot(
        [
            "warning  state directory  ~/state lies on a network's file system (nfs4)",
            "                          → Set SALESOS_STATE_DIR to a directory on a local disk, as SQLite",
            "                            cannot lock its files there for certain.",
            "",
            "1 thing to look at.",
        ]
    )


def test_a_state_directory_in_a_synced_folder(computer: Computer) -> None:
    folder = computer.home / "OneDrive - Company" / "state"
    folder.mkdir(parents=True)
    assert state_dir_lines(computer, folder) == snapshot(
        [
            "warning  state directory  ~/OneDrive - Company/state lies in a folder that is synced with other",
            "                          computers",
            "                          → Set SALESOS_STATE_DIR to a directory on a local disk, as SQLite",
            "                            cannot lock its files there for certain.",
            "",
            "1 thing to look at.",
        ]
    )


def test_a_state_directory_is_left_as_it_was(computer: Computer) -> None:
    computer.state_dir.mkdir()
    before = computer.state_dir.stat().st_mtime_ns
    assert state_dir_lines(computer, computer.state_dir) == snapshot(
        ["ok       state directory  ~/state can be written to", "", "All is well."]
    )
    assert computer.state_dir.stat().st_mtime_ns == before
    assert list(computer.state_dir.iterdir()) == []


# The ledger


def test_a_whole_ledger(computer: Computer) -> None:
    recorded(computer)
    assert ledger_lines(computer) == snapshot(
        ["ok       ledger  2 entries, all as they were written", "", "All is well."]
    )


def test_a_ledger_that_a_server_is_using(computer: Computer) -> None:
    with opened(computer) as ledger:
        ledger.begin(Request("sam", "send_email", "send", "1", ABOUT, {}), now=1.0, until=10.0)
        assert told(check_ledger(computer.surroundings, computer.state_dir), all_of_it=True) == snapshot(
            ["ok       ledger  1 entry, all as they were written", "", "All is well."]
        )


def test_looking_at_a_ledger_in_use_makes_and_removes_no_file(computer: Computer) -> None:
    with opened(computer) as ledger:
        ledger.begin(Request("sam", "send_email", "send", "1", ABOUT, {}), now=1.0, until=10.0)
        before = sorted(computer.state_dir.iterdir())
        list(check_ledger(computer.surroundings, computer.state_dir))
        assert sorted(computer.state_dir.iterdir()) == before
        assert ledger.verify() is None


def test_a_ledger_that_a_killed_server_left_in_the_middle_of_a_step(computer: Computer) -> None:
    path = recorded(computer)
    path.with_name("ledger.sqlite3-wal").write_bytes(b"planted" * 9)
    assert ledger_lines(computer) == snapshot(
        [
            "warning  ledger  it was left in the middle of a step",
            "                 → Start the server once, which completes it.",
            "",
            "1 thing to look at.",
        ]
    )


def test_an_entry_that_was_altered(computer: Computer) -> None:
    with closing(sqlite3.connect(recorded(computer), isolation_level=None)) as database:
        database.execute("UPDATE entries SET document = replace(document, 'planted', 'altered') WHERE number = 1")
    assert ledger_lines(computer) == snapshot(
        [
            "failed   ledger  Entry 1 of the log is not as it was written, or is sealed with another key",
            "                 → Look into it with `salesos-inbox-mcp log`: somebody changed it.",
            "",
            "1 thing to mend.",
        ]
    )


def test_an_entry_that_was_removed(computer: Computer) -> None:
    with closing(sqlite3.connect(recorded(computer), isolation_level=None)) as database:
        database.execute("DELETE FROM entries WHERE number = 2")
    assert ledger_lines(computer) == snapshot(
        [
            "failed   ledger  The log once had 2 entries, and they are not there as they were",
            "                 → Look into it with `salesos-inbox-mcp log`: somebody changed it.",
            "",
            "1 thing to mend.",
        ]
    )


def _overwrite(path: Path) -> None:
    path.write_bytes(b"planted bytes that are no database " * 50)


def _of_the_future(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA user_version = 99")


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:8192])


_DAMAGES: dict[str, Callable[[Path], None]] = {"other": _overwrite, "newer": _of_the_future, "cut": _cut_off}


@pytest.mark.parametrize("damage", _DAMAGES)
def test_a_ledger_that_cannot_be_read(computer: Computer, damage: str) -> None:
    _DAMAGES[damage](recorded(computer))
    assert (
        ledger_lines(computer)
        == {
            "other": snapshot(
                [
                    "failed   ledger  it is damaged or belongs to something else",
                    "                 → Move the files ledger.* out of SALESOS_STATE_DIR; what was sent and could be",
                    "                   undone before is recorded only there.",
                    "",
                    "1 thing to mend.",
                ]
            ),
            "newer": snapshot(
                [
                    "failed   ledger  it was written by a newer version of this server",
                    "                 → Start that version, or set SALESOS_STATE_DIR to another directory.",
                    "",
                    "1 thing to mend.",
                ]
            ),
            "cut": snapshot(
                [
                    "failed   ledger  it is damaged or belongs to something else",
                    "                 → Move the files ledger.* out of SALESOS_STATE_DIR; what was sent and could be",
                    "                   undone before is recorded only there.",
                    "",
                    "1 thing to mend.",
                ]
            ),
        }[damage]
    )


def test_a_ledger_whose_key_is_gone(computer: Computer) -> None:
    recorded(computer).with_name("protocol.key").unlink()
    assert ledger_lines(computer) == snapshot(
        [
            "failed   ledger  its key protocol.key is not there",
            "                 → Put protocol.key back from a copy, or move the files ledger.* away to begin a",
            "                   new log.",
            "",
            "1 thing to mend.",
        ]
    )


def test_a_ledger_with_another_key(computer: Computer) -> None:
    recorded(computer).with_name("protocol.key").write_bytes(bytes(32))
    assert ledger_lines(computer) == snapshot(
        [
            "failed   ledger  Entry 1 of the log is not as it was written, or is sealed with another key",
            "                 → Look into it with `salesos-inbox-mcp log`: somebody changed it.",
            "",
            "1 thing to mend.",
        ]
    )


def test_a_key_that_is_none(computer: Computer) -> None:
    recorded(computer).with_name("protocol.key").write_bytes(b"planted")
    assert ledger_lines(computer) == snapshot(
        [
            "failed   ledger  protocol.key does not hold a key of this server",
            "                 → Put it back from a copy, or move it away.",
            "",
            "1 thing to mend.",
        ]
    )


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_a_key_that_others_can_read_is_told_and_left_so(computer: Computer) -> None:
    recorded(computer).with_name("protocol.key").chmod(0o644)
    assert ledger_lines(computer) == snapshot(
        [
            "warning  ledger  protocol.key can be read by other users",
            "                 → Run chmod 600 on protocol.key.",
            "",
            "1 thing to look at.",
        ]
    )


# The way to a person


@pytest.mark.parametrize(
    ("environment", "platform"),
    [
        ({}, "linux"),
        ({"SALESOS_APPROVAL": "page"}, "linux"),
        ({"SALESOS_APPROVAL": "never"}, "linux"),
        ({"SALESOS_APPROVAL": "host"}, "linux"),
        ({"SALESOS_APPROVAL": "page", "SSH_CONNECTION": "10.0.0.1"}, "darwin"),
        ({"BROWSER": "/nowhere/firefox --new-tab"}, "linux"),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux"),
        ({"SALESOS_APPROVAL": "page"}, "win32"),
    ],
    ids=["no display", "page", "never", "host", "ssh", "no such browser", "wayland", "windows"],
)
def test_how_a_person_can_be_asked(
    computer: Computer, environment: dict[str, str], platform: str, request: pytest.FixtureRequest
) -> None:
    computer.platform = platform
    computer.environment = {"PATH": "", **environment}
    settings = usable_settings(computer.environment, platform)[0]
    lines = told(check_asking(computer.surroundings, settings), all_of_it=True)[:-2]
    assert (
        lines
        == {
            "no display": snapshot(
                [
                    "warning  asking a person  no browser can be opened here, so only a client that asks",
                    "                          (elicitation) can",
                    "                          → Hand DISPLAY or WAYLAND_DISPLAY on to the server, or set BROWSER.",
                ]
            ),
            "page": snapshot(
                [
                    "failed   asking a person  SALESOS_APPROVAL=page, and no browser can be opened here",
                    "                          → Hand DISPLAY or WAYLAND_DISPLAY on to the server, or set BROWSER.",
                ]
            ),
            "never": snapshot(
                [
                    "ok       asking a person  SALESOS_APPROVAL=never: nobody is asked, so what would have to ask is",
                    "                          not done",
                ]
            ),
            "host": snapshot(
                [
                    "ok       asking a person  SALESOS_APPROVAL=host: the client's own dialog is trusted, and nobody",
                    "                          else is asked",
                ]
            ),
            "ssh": snapshot(
                [
                    "failed   asking a person  SALESOS_APPROVAL=page, and no browser can be opened here",
                    "                          → Start the server on the computer itself instead of over SSH, or set",
                    "                            BROWSER.",
                ]
            ),
            "no such browser": snapshot(
                [
                    "warning  asking a person  BROWSER names a program that there is not, so the approval page cannot",
                    "                          be shown",
                    "                          → Set BROWSER to a program that is there, or remove it.",
                ]
            ),
            "wayland": snapshot(
                ["ok       asking a person  the client is tried first, then the approval page in a browser"]
            ),
            "windows": snapshot(["ok       asking a person  the approval page in a browser"]),
        }[request.node.callspec.id]
    )
