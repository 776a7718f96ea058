"""What a client sees when it starts this server: how fast it answers, and whether it prints anything else."""

import json
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final, cast

import anyio
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from salesos_inbox.doctor.finding import Finding, failed, ok, skipped, warning
from salesos_inbox.doctor.surroundings import Surroundings

SLOW: Final = 8.0
"""Seconds; clients give a server 10 to 60 to start."""
_PATIENCE: Final = 1.0
"""Seconds within which a server ends that nobody speaks to any more."""
_SUSPECTS = ("PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONPATH", "PYTHONVERBOSE", "PYTHONDEBUG", "BASH_ENV", "ENV")
_INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "doctor", "version": "1"},
    },
}


async def check_handshake(surroundings: Surroundings) -> list[Finding]:
    """Start `serve --demo` as a client would, and tell whether it answers and prints nothing else."""
    if not surroundings.command:
        return [skipped("standard output", "no command is given to start a server")]
    begun = time.monotonic()
    environment = {name: value for name, value in surroundings.environment.items() if not name.startswith("SALESOS_")}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    lines: list[str] = []
    taken: float | None = None
    try:
        process = await anyio.open_process(
            [*surroundings.command, "serve", "--demo"], stderr=subprocess.DEVNULL, env=environment
        )
    except OSError:
        return [_does_not_start()]
    try:
        with anyio.move_on_after(surroundings.handshake_seconds):
            if await _answers(process, lines):
                taken = time.monotonic() - begun
            assert process.stdin is not None
            await process.stdin.aclose()
            await _read(process, lines)
    finally:
        with anyio.CancelScope(shield=True):
            await _ended(process)
    return [_judge(_complete(lines), taken, surroundings)]


async def _ended(process: Process) -> None:
    """See a process to its end. One that is killed while it ends is reaped twice, which asyncio complains of."""
    assert process.stdin is not None
    await process.stdin.aclose()
    with anyio.move_on_after(_PATIENCE):
        await process.wait()
    if process.returncode is None:
        process.kill()
        with anyio.move_on_after(_PATIENCE):
            await process.wait()
    await process.aclose()


async def _answers(process: Process, lines: list[str]) -> bool:
    """Say hello and read until the answer comes; False where the process ends without one."""
    assert process.stdin is not None
    try:
        await process.stdin.send(json.dumps(_INITIALIZE).encode() + b"\n")
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return False
    return await _read(process, lines, until_answer=True)


async def _read(process: Process, lines: list[str], *, until_answer: bool = False) -> bool:
    """Add what the process prints to `lines`, whose last one may not be complete."""
    assert process.stdout is not None
    async for text in TextReceiveStream(process.stdout, errors="replace"):
        begun = lines.pop() if lines else ""
        lines += (begun + text).split("\n")
        if until_answer and any(_is_answer(line) for line in lines):
            return True
    return False


def _complete(lines: list[str]) -> list[str]:
    return lines[:-1] if lines and not lines[-1] else lines


def _message(line: str) -> dict[str, object] | None:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_message = isinstance(message, dict) and message.get("jsonrpc") == "2.0"  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] -- JSON
    return cast("dict[str, object]", message) if is_message else None


def _is_answer(line: str) -> bool:
    message = _message(line)
    return message is not None and message.get("id") == 1


def _judge(lines: list[str], taken: float | None, surroundings: Surroundings) -> Finding:
    strange = [place for place, line in enumerate(lines, start=1) if _message(line) is None]
    if strange:
        suspects = _found_suspects(surroundings)
        return failed(
            "standard output",
            f"line {strange[0]} that a client gets is no message of the protocol ({len(strange)} in all)",
            f"Find what prints it when Python starts{f', such as {suspects}' if suspects else ''}, and silence it.",
        )
    if taken is None:
        return _does_not_start()
    if taken > SLOW:
        return warning(
            "standard output",
            f"only messages, but the server took {round(taken)} seconds to start",
            "Start it from a local disk, as some clients give up after 10 seconds.",
        )
    return ok("standard output", "only messages of the protocol, and a server starts in good time")


def _does_not_start() -> Finding:
    return failed(
        "standard output",
        "a server did not start, or did not answer a client's greeting",
        "Run `salesos-inbox-mcp serve --demo` in a terminal, and mend what it says.",
    )


def _found_suspects(surroundings: Surroundings) -> str:
    folders = surroundings.variable("PYTHONPATH").split(":" if surroundings.platform != "win32" else ";")
    files = [
        f"{name} in {surroundings.short(Path(folder))}"
        for folder in folders
        for name in ("sitecustomize.py", "usercustomize.py")
        if folder and (Path(folder) / name).is_file()
    ]
    return _listed([*files, *(name for name in _SUSPECTS if surroundings.variable(name) and not files)])


def _listed(names: Iterable[str]) -> str:
    return " or ".join(names)
