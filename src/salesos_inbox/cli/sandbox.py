"""`sandbox`: the SalesOS API on this machine, with the demo mailbox or imported mail."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from salesos_inbox.cli import PROGRAM, as_called
from salesos_inbox.cli.listening import address, listen, port_number
from salesos_inbox.errors import InvalidArguments

if TYPE_CHECKING:
    from salesos_inbox.sandbox.faults import Faults
    from salesos_inbox.sandbox.importing import ImportProgress
    from salesos_inbox.sandbox.store import Store

SANDBOX_PORT = 8025


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sandbox` takes."""
    parser.add_argument("--port", type=port_number, default=SANDBOX_PORT, help=f"on 127.0.0.1 (default {SANDBOX_PORT})")
    parser.add_argument("--db", metavar="FILE", type=Path, help="keep the mail in this file (default: in memory)")
    parser.add_argument(
        "--import", dest="paths", metavar="PATH", type=Path, nargs="+", action="extend", default=[],
        help="import mbox files, Maildir folders or trees of .eml files instead of the demo mailbox",
    )  # fmt: skip
    parser.add_argument("--user", metavar="ADDRESS", help="with --import: whose mailbox it is (default me@example.com)")
    parser.add_argument(
        "--faults", metavar="FILE", type=Path, help="fail at the requests, and in the ways, that this file describes"
    )


def run(options: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    import uvicorn

    from salesos_inbox.sandbox.app import create_app

    if missing := [path for path in options.paths if not path.exists()]:
        raise InvalidArguments(f"There is nothing to import at {missing[0]}: check the path.")
    faults = _faults(options.faults) if options.faults else None
    with listen("127.0.0.1", options.port) as listener:
        store, user_id = _mailbox(options)
        instructions = (
            f"The sandbox serves the SalesOS API on this machine. In another terminal:\n\n"
            f"  export SALESOS_BASE_URL=http://{address(listener)}/v1\n"
            f"  export SALESOS_TOKEN={store.issue_token(user_id)}\n"
            f"  {PROGRAM} serve\n\n"
            f"Instead of the token, {PROGRAM} auth login takes {store.access.user(user_id).email}\n"
            f"with the password {_new_password(store, user_id)}\n\n"
            f"The token is valid for a day. Stop the sandbox with Ctrl-C."
        )
        print(as_called(instructions), flush=True)
        if faults:
            print("It fails at these requests, and in these ways:", *faults.rules, sep="\n  ", flush=True)
        config = uvicorn.Config(
            create_app(store, faults=faults),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1 if faults else None,  # some faults never end
        )
        try:
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            store.close()
    return 0


def _new_password(store: "Store", user_id: str) -> str:
    import secrets

    password = secrets.token_urlsafe(9)
    store.access.set_password(user_id, password)
    return password


def _faults(path: Path) -> "Faults":
    """Return the faults that a file describes; raises `InvalidArguments` with a line for each mistake in it."""
    from salesos_inbox.sandbox.faults import parse_faults

    try:
        return parse_faults(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InvalidArguments(f"{path} cannot be read ({error.strerror}): give --faults another file.") from error
    except UnicodeDecodeError as error:
        raise InvalidArguments(f"{path} is not text in UTF-8: give --faults a TOML or JSON file.") from error
    except ValueError as error:
        raise InvalidArguments("\n".join(f"{path}, {line}" for line in str(error).splitlines())) from error


def _mailbox(options: argparse.Namespace) -> "tuple[Store, str]":
    """Return the store and the id of its user, with the mail that the options ask for."""
    import sqlite3

    from salesos_inbox.sandbox.seed import load_demo
    from salesos_inbox.sandbox.store import Store

    try:
        store = Store(options.db or ":memory:")
    except sqlite3.Error as error:
        raise InvalidArguments(
            f"{options.db} cannot be used ({error}): give --db a new file, or one that a sandbox made."
        ) from error
    if options.paths:
        return store, _import(store, options.user or "me@example.com", options.paths)
    return store, store.add_user(options.user) if options.user else load_demo(store)


def _import(store: "Store", user: str, paths: Sequence[Path]) -> str:
    from salesos_inbox.sandbox.importing import import_mail

    user_id = store.add_user(user)
    report = import_mail(store, user_id, paths, progress=_show_progress)
    print(f"\rImported {report.messages} messages in {report.threads} threads", end="", file=sys.stderr)
    print(f", {report.duplicates} duplicates and {len(report.skipped)} unreadable left out.", file=sys.stderr)
    for where, reason in report.skipped[:20]:
        print(f"  {where}: {reason}", file=sys.stderr)
    if len(report.skipped) > 20:
        print(f"  and {len(report.skipped) - 20} more", file=sys.stderr)
    return user_id


def _show_progress(progress: "ImportProgress") -> None:
    if progress.done % 100 == 0:
        print(f"\r{progress.done} messages ...", end="", file=sys.stderr, flush=True)
