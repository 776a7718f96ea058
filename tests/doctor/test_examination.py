"""The whole examination: all is well, nothing is changed, and it ends whatever does not answer."""

import time
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from clinic import TOKEN, Computer, Service, silent, skipped, told
from salesos_inbox.approval.sealing import read_key
from salesos_inbox.doctor.examination import examine
from salesos_inbox.doctor.report import exit_status
from salesos_inbox.doctor.surroundings import CLI

pytestmark = pytest.mark.anyio


async def test_on_a_healthy_computer_all_is_well(computer: Computer, service: Service) -> None:
    computer.command = CLI
    computer.environment |= {"PYTHONPATH": ""}
    findings = await computer.examine(**service.account)
    [versions] = [finding for finding in findings if finding.check == "versions"]
    assert versions.found.startswith("salesos-inbox-mcp 0.1.0 (~/bin/salesos-inbox-mcp), Python 3.")
    others = [finding for finding in findings if finding != versions]
    assert told(others, service.port, all_of_it=True) == snapshot(
        [
            "ok       settings         SALESOS_TOKEN, SALESOS_BASE_URL, SALESOS_TIMEZONE",
            "ok       token            a session's token, from SALESOS_TOKEN, ends 2026-11-19 10:00",
            "ok       time zone        Europe/Berlin",
            "ok       state directory  ~/state can be made when it is needed",
            "ok       ledger           there is none yet; the first call that needs it makes it",
            "ok       asking a person  the client is tried first, then the approval page in a browser",
            "ok       clients          no configuration of a known client on this machine; examples/ has one",
            "                          for each",
            "ok       proxy            none is set for this address, so the connection is direct",
            "ok       name resolution  127.0.0.1 has 1 address",
            "ok       connection       to 127.0.0.1:PORT",
            "ok       encryption       none, and none is needed on this computer",
            "ok       base address     http://127.0.0.1:PORT/v1 answers as the API does",
            "ok       clock            agrees with the service's",
            "ok       sign-in          the service accepts the token",
            "ok       folders          9 folders",
            "ok       threads          5 threads",
            "ok       one thread       read",
            "ok       search           2 threads",
            "ok       statistics       read",
            "ok       scheduled        2 emails",
            "ok       user             read",
            "ok       CSRF token       read",
            "ok       spelling         names are spelt as the contract has them",
            "ok       rate limit       the service tells how many requests are allowed and left, and when",
            "                          they begin anew",
            "ok       scopes           everything is allowed",
            "ok       standard output  only messages of the protocol, and a server starts in good time",
            "",
            "All is well.",
        ]
    )
    assert exit_status(findings) == 0


async def test_nothing_is_changed_neither_here_nor_at_the_service(computer: Computer, service: Service) -> None:
    read_key(computer.state_dir)
    before = files(computer.home)
    await computer.examine(**service.account)
    assert {method for method, _ in service.requests} == {"GET"}
    assert len(service.requests) <= 10
    assert files(computer.home) == before


async def test_a_new_computer_without_a_state_directory_gets_none(computer: Computer, service: Service) -> None:
    findings = await computer.examine(**service.account)
    assert exit_status(findings) == 0
    assert not computer.state_dir.exists()


async def test_a_silent_service_is_given_up_in_time(computer: Computer) -> None:
    computer.seconds = 0.3
    with silent() as port:
        begun = time.monotonic()
        findings = await computer.examine(SALESOS_BASE_URL=f"http://127.0.0.1:{port}/v1", SALESOS_TOKEN=TOKEN)
        assert time.monotonic() - begun < 10
    assert told(findings, port) == snapshot(
        [
            "failed   base address  http://127.0.0.1:PORT/v1: there is no answer within 0.3 seconds",
            "                       → Check the connection to the network, and SALESOS_BASE_URL.",
            "",
            "1 thing to mend.",
        ]
    )
    assert skipped(findings) == snapshot(
        {
            "sign-in": "as base address is not ok",
            "folders": "as base address is not ok",
            "threads": "as base address is not ok",
            "one thread": "as base address is not ok",
            "search": "as base address is not ok",
            "statistics": "as base address is not ok",
            "scheduled": "as base address is not ok",
            "user": "as base address is not ok",
            "CSRF token": "as base address is not ok",
            "spelling": "as base address is not ok",
            "rate limit": "as base address is not ok",
            "scopes": "as base address is not ok",
            "standard output": "no command is given to start a server",
        }
    )


async def test_checks_that_were_skipped_for_the_same_reason_share_a_line(computer: Computer) -> None:
    findings = await computer.examine(SALESOS_BASE_URL="http://inbox.example/v1", SALESOS_TOKEN=TOKEN)
    lines = told([finding for finding in findings if finding.status == "skipped"], all_of_it=True)
    assert lines == snapshot(
        [
            "skipped  connection       as name resolution is not ok",
            "skipped  encryption       as connection is not ok",
            "skipped  2 checks         as encryption is not ok: base address, clock",
            "skipped  12 checks        as base address is not ok: sign-in, folders, threads, one thread,",
            "                          search, statistics, scheduled, user, CSRF token, spelling, rate limit,",
            "                          scopes",
            "skipped  standard output  no command is given to start a server",
            "",
            "All is well.",
        ]
    )


async def test_when_the_whole_takes_too_long_what_is_left_is_named(computer: Computer) -> None:
    computer.seconds = 60
    with silent() as port:
        computer.environment |= {"SALESOS_BASE_URL": f"http://127.0.0.1:{port}/v1", "SALESOS_TOKEN": TOKEN}
        findings = await examine(computer.surroundings, seconds=2)
    assert told(findings, port) == snapshot(
        [
            "warning  time  not everything was tried within 2 seconds",
            "               → Find out what keeps base address waiting.",
            "",
            "1 thing to look at.",
        ]
    )
    assert exit_status(findings) == 3
    assert skipped(findings) == snapshot(
        {
            "base address": "no time was left",
            "clock": "no time was left",
            "sign-in": "no time was left",
            "folders": "no time was left",
            "threads": "no time was left",
            "one thread": "no time was left",
            "search": "no time was left",
            "statistics": "no time was left",
            "scheduled": "no time was left",
            "user": "no time was left",
            "CSRF token": "no time was left",
            "spelling": "no time was left",
            "rate limit": "no time was left",
            "scopes": "no time was left",
            "standard output": "no command is given to start a server",
        }
    )


def files(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Return the files below a folder with when they were changed, and what they hold."""
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
        if path.exists()
    }
