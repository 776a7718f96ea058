"""The commands, and the only place that prints or looks into the environment.

Each command of `COMMANDS` is a module of this package that has its name, with `add_arguments` and `run`; none
imports another, and only the one that runs is imported. What several of them need:

composition   settings, who is signed in, client, ledger, services: put together here
listening     ports of this machine, for serve and sandbox
terminal      what a person types, for auth and call
standing      what is known of a credential, for auth
"""

import argparse
import logging
import os
import re
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn, Protocol, cast

from salesos_inbox.errors import InboxError, InvalidArguments

PROGRAM = "salesos-inbox-mcp"

COMMANDS = {
    "serve": "Serve the inbox to an MCP client (the default).",
    "auth": "Sign in to SalesOS, or out; tell who is signed in.",
    "sandbox": "Serve the SalesOS API on this machine, on SQLite.",
    "demo": "Play one morning at the demo inbox.",
    "doctor": "Try everything the server needs, and change nothing.",
    "log": "List what was asked, decided, sent, changed and undone.",
    "manifest": "Write tool_manifest.json, docs/contract.md and the README's table.",
    "call": "Call one tool and print its answer.",
}
"""Each command, which is also the name of its module, and what it does."""

_WITHOUT_COMMAND = {"-h", "--help", "--version"}
_OWN_COMMAND = re.compile(rf"(?<![\w/\\.-]){PROGRAM}(?= (?:{'|'.join(COMMANDS)})\b)")
_SIGPIPE = 128 + 13


class Command(Protocol):
    """What the module of a command has."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what the command takes to its parser."""
        ...

    def run(self, options: argparse.Namespace) -> int:
        """Do it, and return the status to exit with."""
        ...


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that `arguments` (or the command line) name, and exit with its status.

    0 is success, 1 a failure of the operation, 2 a call or a setting that cannot be used, 141 a reader that left
    before the end of what is printed.
    """
    with _readers_may_leave():
        _run(sys.argv[1:] if arguments is None else arguments)


def _run(arguments: Sequence[str]) -> NoReturn:
    arguments = _with_default_command(arguments)
    parser = _parser(arguments[0])
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        shown = "" if options.command == "auth" else f": {' '.join(unknown)}"  # it may be a secret
        parser.error(f"unrecognized arguments{shown}")
    _quiet_logs()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may not have every letter that mail has
    try:
        sys.exit(options.run(options))
    except InboxError as error:
        print(as_called(str(error)), file=sys.stderr)
        sys.exit(2 if isinstance(error, InvalidArguments) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


@contextmanager
def _readers_may_leave() -> Generator[None]:
    """Let whoever reads what is printed leave before its end, as `head` does."""
    has_left = False
    try:
        try:
            yield
        finally:
            if not sys.stdout.closed:
                sys.stdout.flush()
    except* BrokenPipeError:
        has_left = True
    if has_left:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # takes what Python still has to write
        sys.exit(_SIGPIPE)


def as_called(text: str) -> str:
    """Return a text for a person at a terminal, with this program's commands as they are called from there."""
    return _OWN_COMMAND.sub(lambda _: _program(), text)


def _program() -> str:
    """Return how the program was called: by its name, where the path has it under that."""
    import shlex
    from shutil import which

    called, found = Path(sys.argv[0]), which(PROGRAM)
    if called.stem != PROGRAM or (found and called.exists() and called.samefile(found)):
        return PROGRAM
    return shlex.quote(str(called))


def version() -> str:
    """Return the version of this package."""
    from importlib import metadata

    return metadata.version(PROGRAM)


def _with_default_command(arguments: Sequence[str]) -> list[str]:
    """Return `arguments` with `serve` put in front where they name no command."""
    named = arguments and arguments[0] in COMMANDS.keys() | _WITHOUT_COMMAND
    return [*arguments] if named else ["serve", *arguments]


def _parser(chosen: str) -> argparse.ArgumentParser:
    """Return the parser, which knows the arguments of the chosen command alone: the others are not imported."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="A salesperson's inbox for AI assistants, over MCP.")
    parser.add_argument("--version", action="version", version=version())
    commands = parser.add_subparsers(dest="command", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name == chosen:
            module = cast("Command", import_module(f"{__name__}.{name}"))
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


# logs


class _Sparing(logging.Formatter):
    """Log lines without what they were filled in with: mail, addresses and tokens stay out of them."""

    def format(self, record: logging.LogRecord) -> str:
        ours = record.name.startswith("salesos_inbox")
        message = record.getMessage() if ours else str(record.msg)
        failure = f" ({record.exc_info[0].__name__})" if record.exc_info and record.exc_info[0] else ""
        return f"{record.levelname.lower()}: {record.name}: {message}{failure}"


def _quiet_logs() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Sparing())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
