"""The commands. This is where the parts are put together, and the only place that prints."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from salesos_inbox.errors import InboxError, InvalidArguments, Unavailable
from salesos_inbox.settings import Settings, read_settings, split_names

if TYPE_CHECKING:
    import socket

    from mcp.client import ClientRequestContext
    from mcp_types import ElicitRequestParams, ElicitResult

    from salesos_inbox.approval.ledger import Entry, Ledger
    from salesos_inbox.client.http import InboxClient
    from salesos_inbox.sandbox.importing import ImportProgress
    from salesos_inbox.sandbox.store import Store
    from salesos_inbox.tools._kit import Services

PROGRAM = "salesos-inbox-mcp"
SANDBOX_PORT = 8025
HTTP_PORT = 8020
LOOPBACK = ("127.0.0.1", "localhost", "::1")
DEMO_TIMEZONE = "Europe/Berlin"

log = logging.getLogger("salesos_inbox")

_NO_ACCOUNT = (
    f"No account is set: put a SalesOS token into SALESOS_TOKEN, or a key into SALESOS_API_KEY.\n"
    f"To try it without an account, run: {PROGRAM} serve --demo"
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that `arguments` (or the command line) name, and exit with its status.

    0 is success, 1 a failure of the operation, 2 a call or a setting that cannot be used.
    """
    options = _parser().parse_args(_with_default_command(sys.argv[1:] if arguments is None else arguments))
    _quiet_logs()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may not have every letter that mail has
    try:
        sys.exit(options.run(options))
    except InboxError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _with_default_command(arguments: Sequence[str]) -> list[str]:
    """Return `arguments` with `serve` put in front where they name no command."""
    named = arguments and (arguments[0] in _COMMANDS or arguments[0] in {"-h", "--help", "--version"})
    return [*arguments] if named else ["serve", *arguments]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="A salesperson's inbox for AI assistants, over MCP.")
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (run, summary, add_arguments) in _COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        add_arguments(command)
        command.set_defaults(run=run)
    return parser


def _version() -> str:
    from importlib.metadata import version

    return version(PROGRAM)


# serve


def _serve_arguments(parser: argparse.ArgumentParser) -> None:
    _tool_arguments(parser)
    parser.add_argument(
        "--http", action="store_true", help="serve Streamable HTTP instead of standard input and output"
    )
    parser.add_argument("--host", default="127.0.0.1", help="with --http: a loopback address (default 127.0.0.1)")
    parser.add_argument("--port", type=_port, default=HTTP_PORT, help=f"with --http (default {HTTP_PORT})")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def _tool_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--demo", action="store_true", help="work on the embedded demo mailbox, without an account")
    parser.add_argument("--read-only", action="store_true", help="offer only the tools that change nothing")
    parser.add_argument(
        "--tools", metavar="NAMES", help="offer only these groups or tools, e.g. reading,triage,drafting"
    )


def _serve(options: argparse.Namespace) -> int:
    import anyio

    settings = _settings(options)
    if options.http and settings.approval == "auto" and settings.browser:
        settings = replace(settings, approval="page")  # whoever can reach the port could answer for the person
    from salesos_inbox.server import build_server, serve_http, serve_stdio
    from salesos_inbox.shutdown import Shutdown

    async def serve() -> int:
        services = _services(settings, demo=options.demo)
        server = build_server(services)
        shutdown = Shutdown(lambda: services.ledger.abandon(services.seconds()))
        try:
            with shutdown.on_signals():
                if options.http:
                    with _listen(options.host, options.port) as listener:
                        print(f"Serving MCP at http://{_address(listener)}/mcp", file=sys.stderr)
                        await serve_http(server, listener, shutdown)
                else:
                    await serve_stdio(server, shutdown)
        finally:
            await services.close()
        return shutdown.status or 0

    return anyio.run(serve)


def _settings(options: argparse.Namespace) -> Settings:
    """Return the environment's settings with the command line's on top.

    Raises `InvalidArguments` where there is nothing to authenticate with.
    """
    settings = read_settings(os.environ)
    if options.demo:
        settings = replace(settings, token=None, api_key=None, organization_id=None)
        if settings.timezone is None:
            settings = replace(settings, timezone=read_settings({"SALESOS_TIMEZONE": DEMO_TIMEZONE}).timezone)
    elif not settings.has_credentials:
        raise InvalidArguments(_NO_ACCOUNT)
    return replace(
        settings,
        read_only=settings.read_only or options.read_only,
        tools=split_names(options.tools) if options.tools is not None else settings.tools,
    )


def _services(settings: Settings, *, demo: bool) -> "Services":
    from salesos_inbox.approval.ledger import Ledger
    from salesos_inbox.approval.sealing import derived, read_key
    from salesos_inbox.tools._kit import Services

    if demo:
        return Services(settings, lambda: _demo_client(settings), Ledger())
    state_dir = _state_dir(settings)
    try:
        state_key = derived(read_key(state_dir), "protocol state")
    except Unavailable as error:
        log.warning("%s", error)
        state_key = None
    return Services(settings, lambda: _client(settings), _ledger(state_dir), state_key=state_key)


def _ledger(state_dir: Path) -> "Ledger":
    """Return the ledger of a state directory. Without its key it can be used for nothing."""
    from salesos_inbox.approval.ledger import Ledger
    from salesos_inbox.approval.sealing import derived, read_key

    return Ledger(state_dir / "ledger.sqlite3", lambda: derived(read_key(state_dir), "activity log"))


def _client(settings: Settings) -> "InboxClient":
    from salesos_inbox.client.http import InboxClient

    return InboxClient(settings)


def _demo_client(settings: Settings) -> "InboxClient":
    """Return a client of a sandbox in this process, with the demo mailbox in memory."""
    from salesos_inbox.client.http import InboxClient
    from salesos_inbox.sandbox.embedded import EmbeddedSandbox
    from salesos_inbox.sandbox.seed import load_demo
    from salesos_inbox.sandbox.store import Store

    store = Store()
    token = store.issue_token(load_demo(store))
    address = replace(settings, token=token, base_url="http://sandbox.invalid/v1")
    return InboxClient(address, transport=EmbeddedSandbox(store))


def _state_dir(settings: Settings) -> Path:
    from platformdirs import user_state_path

    return settings.state_dir or user_state_path(PROGRAM, appauthor=False)


def _listen(host: str, port: int) -> "socket.socket":
    """Return a socket that listens on a loopback address.

    Raises `InvalidArguments` for another address, and where the port cannot be had.
    """
    import socket

    if host not in LOOPBACK:
        raise InvalidArguments(
            f"--host must be a loopback address ({', '.join(LOOPBACK)}), as callers are not authenticated."
        )
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise InvalidArguments(
            f"Port {port} of {host} is in use or cannot be used: choose another with --port."
        ) from error
    listener.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    )  # else an answer waits for the client's acknowledgement
    return listener


def _address(listener: "socket.socket") -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# sandbox


def _sandbox_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, default=SANDBOX_PORT, help=f"on 127.0.0.1 (default {SANDBOX_PORT})")
    parser.add_argument("--db", metavar="FILE", type=Path, help="keep the mail in this file (default: in memory)")
    parser.add_argument(
        "--import", dest="paths", metavar="PATH", type=Path, nargs="+", action="extend", default=[],
        help="import mbox files, Maildir folders or trees of .eml files instead of the demo mailbox",
    )  # fmt: skip
    parser.add_argument("--user", metavar="ADDRESS", help="with --import: whose mailbox it is (default me@example.com)")


def _sandbox(options: argparse.Namespace) -> int:
    import uvicorn

    from salesos_inbox.sandbox.app import create_app

    if missing := [path for path in options.paths if not path.exists()]:
        raise InvalidArguments(f"There is nothing to import at {missing[0]}: check the path.")
    with _listen("127.0.0.1", options.port) as listener:
        store, user_id = _mailbox(options)
        print(
            f"The sandbox serves the SalesOS API on this machine. In another terminal:\n\n"
            f"  export SALESOS_BASE_URL=http://{_address(listener)}/v1\n"
            f"  export SALESOS_TOKEN={store.issue_token(user_id)}\n"
            f"  {PROGRAM} serve\n\n"
            f"The token is valid for a day. Stop the sandbox with Ctrl-C.",
            flush=True,
        )
        config = uvicorn.Config(create_app(store), log_config=None, access_log=False)
        try:
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            store.close()
    return 0


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


# demo


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def _demo(options: argparse.Namespace) -> int:
    import anyio

    from salesos_inbox.demo import play

    del options
    anyio.run(play, print)
    return 0


# manifest


def _manifest_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="change nothing; fail where the files are out of date")


def _manifest(options: argparse.Namespace) -> int:
    from salesos_inbox.manifest import TABLE_END, TABLE_START, manifest, with_table

    readme = Path("README.md")
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    if TABLE_START not in text or TABLE_END not in text:
        raise InvalidArguments("Run this in the project's root, where README.md has the table of tools.")
    wanted = {
        Path("tool_manifest.json"): manifest(_version()),
        readme: with_table(text),
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if not options.check:
        for path in stale:
            path.write_text(wanted[path], encoding="utf-8")
    elif stale:
        names = " and ".join(str(path) for path in stale)
        print(f"{names} is out of date; mend it with: {PROGRAM} manifest", file=sys.stderr)
        return 1
    return 0


# log


def _log_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--last", metavar="NUMBER", type=_number, help="only the newest entries")
    parser.add_argument("--verify", action="store_true", help="only tell whether an entry was altered or removed")


def _number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 2**31:
        raise argparse.ArgumentTypeError("how many is a number from 1")
    return int(text)


def _log(options: argparse.Namespace) -> int:
    settings = read_settings(os.environ)
    state_dir = _state_dir(settings)
    if not any((state_dir / f"ledger.{part}").exists() for part in ("sqlite3", "head")):
        print("Nothing is in the log yet.", file=sys.stderr)
        return 0
    with _ledger(state_dir) as ledger:
        if options.verify:
            problem = ledger.verify()
            print(problem or f"All {len(ledger.entries())} entries are as they were written.")
            return 1 if problem else 0
        for entry in ledger.entries(options.last):
            print(json.dumps(asdict(entry), ensure_ascii=False) if options.json else _log_line(entry, settings))
    return 0


def _log_line(entry: "Entry", settings: Settings) -> str:
    """Return an entry for a person: when, what, by which tool, for whom, and what it was about."""
    from salesos_inbox.mail.unicode import printable

    at = datetime.fromtimestamp(entry.at).astimezone(settings.timezone)
    about = "; ".join(f"{name} {_log_value(value)}" for name, value in entry.about.items())
    return f"{at:%Y-%m-%d %H:%M:%S}  {entry.what:<15} {entry.tool:<19} " + printable(f"{about} [{entry.user}]", 2000)


def _log_value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, cast("list[object]", value)))
    return str(value)


# call


def _call_arguments(parser: argparse.ArgumentParser) -> None:
    _tool_arguments(parser)
    parser.add_argument("tool", metavar="TOOL")
    parser.add_argument("json", metavar="JSON", nargs="?", default="{}", help="the arguments, e.g. '{\"limit\": 5}'")


def _call(options: argparse.Namespace) -> int:
    import anyio

    settings = _settings(options)
    try:
        arguments = json.loads(options.json)
    except ValueError as error:
        raise InvalidArguments("The arguments are not JSON: write them like '{\"limit\": 5}'.") from error
    if not isinstance(arguments, dict):
        raise InvalidArguments("The arguments must be a JSON object, like '{\"limit\": 5}'.")
    return anyio.run(_call_tool, settings, options.demo, options.tool, cast("dict[str, Any]", arguments))


async def _call_tool(settings: Settings, demo: bool, tool: str, arguments: dict[str, Any]) -> int:
    """Call one tool through a real client in this process, and print its answer as JSON."""
    from mcp import Client
    from mcp.shared.exceptions import MCPError
    from mcp_types import TextContent

    from salesos_inbox.server import build_server

    services = _services(settings, demo=demo)
    try:
        ask = _ask_in_terminal if sys.stdin.isatty() and sys.stderr.isatty() else None
        async with Client(build_server(services), elicitation_callback=ask) as client:
            try:
                result = await client.call_tool(tool, arguments)
            except MCPError as error:
                print(error, file=sys.stderr)
                return 2
    finally:
        await services.close()
    if result.is_error:
        print("\n".join(part.text for part in result.content if isinstance(part, TextContent)), file=sys.stderr)
        return 1
    print(json.dumps(result.structured_content, indent=2, ensure_ascii=False))
    return 0


async def _ask_in_terminal(context: "ClientRequestContext", params: "ElicitRequestParams") -> "ElicitResult":
    import anyio.to_thread
    from mcp_types import ElicitResult

    del context
    print(f"\n{params.message}\n", file=sys.stderr)
    answer = await anyio.to_thread.run_sync(_read_answer, abandon_on_cancel=True)
    return ElicitResult(action="accept", content={"decision": "approve" if answer == "yes" else "decline"})


def _read_answer() -> str:
    _forget_typed()
    print("Type yes to approve, anything else to decline: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower()


def _forget_typed() -> None:
    """Drop what was typed before the question: it is no answer to it."""
    try:
        import termios
    except ImportError:  # not on Windows
        return
    with suppress(termios.error):
        termios.tcflush(sys.stdin, termios.TCIFLUSH)


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


_COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], int], str, Callable[[argparse.ArgumentParser], None]]] = {
    "serve": (_serve, "Serve the inbox to an MCP client (the default).", _serve_arguments),
    "sandbox": (_sandbox, "Serve the SalesOS API on this machine, on SQLite.", _sandbox_arguments),
    "demo": (_demo, "Play one morning at the demo inbox.", _no_arguments),
    "log": (_log, "List what was asked, decided, sent, changed and undone.", _log_arguments),
    "manifest": (_manifest, "Write tool_manifest.json and the README's table of tools.", _manifest_arguments),
    "call": (_call, "Call one tool and print its answer.", _call_arguments),
}


if __name__ == "__main__":
    main()
