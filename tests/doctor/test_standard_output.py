"""What a client gets on standard output when it starts a server, in processes of their own."""

import sys

import pytest
from inline_snapshot import snapshot

from clinic import Computer, told
from salesos_inbox.doctor.handshake import check_handshake
from salesos_inbox.doctor.surroundings import CLI

pytestmark = pytest.mark.anyio


SERVER = """
import sys
sys.stdin.readline()
print('{"jsonrpc":"2.0","id":1,"result":{}}', flush=True)
sys.stdin.read()
"""
"""As a client sees it, and started in no time."""


async def lines(computer: Computer, *command: str, **environment: str) -> list[str]:
    """Return what doctor says of a server that is started by `command`."""
    computer.command = command or CLI
    computer.environment |= environment
    return told(await check_handshake(computer.surroundings), all_of_it=True)


async def test_nothing_but_messages_is_well_and_no_file_is_left_behind(computer: Computer) -> None:
    before = sorted(computer.home.rglob("*"))
    home = str(computer.home)
    assert await lines(computer, HOME=home, XDG_STATE_HOME=f"{home}/xdg", TMPDIR=home) == snapshot(
        [
            "ok       standard output  only messages of the protocol, and a server starts in good time",
            "",
            "All is well.",
        ]
    )
    assert sorted(computer.home.rglob("*")) == before


async def test_what_python_prints_when_it_starts_is_found(computer: Computer) -> None:
    path = computer.write("noise/sitecustomize.py", 'print("planted words")\n')
    assert await lines(computer, sys.executable, "-c", SERVER, PYTHONPATH=str(path.parent)) == snapshot(
        [
            "failed   standard output  line 1 that a client gets is no message of the protocol (1 in all)",
            "                          → Find what prints it when Python starts, such as sitecustomize.py in",
            "                            ~/noise, and silence it.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_what_is_printed_at_the_end_is_found(computer: Computer) -> None:
    code = 'import atexit\natexit.register(print, "planted words")\n'
    path = computer.write("noise/sitecustomize.py", code)
    assert await lines(computer, sys.executable, "-c", SERVER, PYTHONPATH=str(path.parent)) == snapshot(
        [
            "failed   standard output  line 2 that a client gets is no message of the protocol (1 in all)",
            "                          → Find what prints it when Python starts, such as sitecustomize.py in",
            "                            ~/noise, and silence it.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_a_wrapper_that_says_hello(computer: Computer) -> None:
    server = computer.write("server.py", SERVER)
    script = computer.write("wrapper.sh", f'#!/bin/sh\necho planted words\nexec "{sys.executable}" "{server}"\n')
    script.chmod(0o755)
    assert await lines(computer, str(script)) == snapshot(
        [
            "failed   standard output  line 1 that a client gets is no message of the protocol (1 in all)",
            "                          → Find what prints it when Python starts, and silence it.",
            "",
            "1 thing to mend.",
        ]
    )


@pytest.mark.parametrize("command", ["/nowhere/salesos-inbox-mcp", "false", "true"])
async def test_a_server_that_does_not_start(computer: Computer, command: str) -> None:
    assert await lines(computer, command) == snapshot(
        [
            "failed   standard output  a server did not start, or did not answer a client's greeting",
            "                          → Run `salesos-inbox-mcp serve --demo` in a terminal, and mend what it",
            "                            says.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_a_server_that_never_answers(computer: Computer) -> None:
    from dataclasses import replace

    computer.command = ("sleep", "60")
    path = computer.write("sleep.sh", "#!/bin/sh\nexec sleep 60\n")
    path.chmod(0o755)
    computer.command = (str(path),)
    surroundings = replace(computer.surroundings, handshake_seconds=0.3)
    assert told(await check_handshake(surroundings)) == snapshot(
        [
            "failed   standard output  a server did not start, or did not answer a client's greeting",
            "                          → Run `salesos-inbox-mcp serve --demo` in a terminal, and mend what it",
            "                            says.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_the_settings_of_the_account_are_not_needed_for_it(computer: Computer) -> None:
    assert await lines(
        computer, SALESOS_BASE_URL="planted", SALESOS_TOKEN="planted", SALESOS_TOOLS="planted"
    ) == snapshot(
        [
            "ok       standard output  only messages of the protocol, and a server starts in good time",
            "",
            "All is well.",
        ]
    )
