"""The commands. This is where the parts are put together, and the only place that prints."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from salesos_inbox.errors import InboxError, InvalidArguments, Unauthorized, Unavailable
from salesos_inbox.settings import MOST_REQUESTS_PER_MINUTE, Settings, read_settings, split_names

if TYPE_CHECKING:
    import socket

    from mcp.client import ClientRequestContext
    from mcp_types import ElicitRequestParams, ElicitResult

    from salesos_inbox.approval.ledger import Entry, Ledger
    from salesos_inbox.client.credentials import Credential, CredentialStore
    from salesos_inbox.client.http import InboxClient
    from salesos_inbox.contract import models
    from salesos_inbox.sandbox.faults import Faults
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
    f"Nobody is signed in to SalesOS: run {PROGRAM} auth login, or set SALESOS_TOKEN or SALESOS_API_KEY.\n"
    f"To try it without an account, run: {PROGRAM} serve --demo"
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that `arguments` (or the command line) name, and exit with its status.

    0 is success, 1 a failure of the operation, 2 a call or a setting that cannot be used.
    """
    parser = _parser()
    options, unknown = parser.parse_known_args(_with_default_command(sys.argv[1:] if arguments is None else arguments))
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

    settings, store = _settings(options)
    if options.http and settings.approval == "auto" and settings.browser:
        settings = replace(settings, approval="page")  # whoever can reach the port could answer for the person
    from salesos_inbox.server import build_server, serve_http, serve_stdio
    from salesos_inbox.shutdown import Shutdown

    async def serve() -> int:
        services = _services(settings, store, demo=options.demo)
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


def _settings(options: argparse.Namespace) -> "tuple[Settings, CredentialStore | None]":
    """Return the environment's settings with the command line's on top, and where the credential comes from.

    Raises `InvalidArguments` where there is nothing to authenticate with.
    """
    settings, store = read_settings(os.environ), None
    if options.demo:
        settings = replace(settings, token=None, api_key=None, organization_id=None)
        if settings.timezone is None:
            settings = replace(settings, timezone=read_settings({"SALESOS_TIMEZONE": DEMO_TIMEZONE}).timezone)
    else:
        from salesos_inbox.client.credentials import with_credentials

        settings, store = with_credentials(settings, _state_dir(settings))
        if store is None:
            raise InvalidArguments(_NO_ACCOUNT)
    settings = replace(
        settings,
        read_only=settings.read_only or options.read_only,
        tools=split_names(options.tools) if options.tools is not None else settings.tools,
    )
    return settings, store


def _services(settings: Settings, store: "CredentialStore | None", *, demo: bool) -> "Services":
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
    return Services(settings, lambda: _client(settings, store), _ledger(state_dir), state_key=state_key)


def _ledger(state_dir: Path) -> "Ledger":
    """Return the ledger of a state directory. Without its key it can be used for nothing."""
    from salesos_inbox.approval.ledger import Ledger
    from salesos_inbox.approval.sealing import derived, read_key

    return Ledger(state_dir / "ledger.sqlite3", lambda: derived(read_key(state_dir), "activity log"))


def _client(settings: Settings, store: "CredentialStore | None") -> "InboxClient":
    from salesos_inbox.client.http import InboxClient

    return InboxClient(settings, store=store)


def _demo_client(settings: Settings) -> "InboxClient":
    """Return a client of a sandbox in this process, with the demo mailbox in memory."""
    from salesos_inbox.client.http import InboxClient
    from salesos_inbox.sandbox.embedded import EmbeddedSandbox
    from salesos_inbox.sandbox.seed import load_demo
    from salesos_inbox.sandbox.store import Store

    store = Store()
    token = store.issue_token(load_demo(store))
    address = replace(
        settings, token=token, base_url="http://sandbox.invalid/v1", requests_per_minute=MOST_REQUESTS_PER_MINUTE
    )
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


# auth


def _auth_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    for name, (act, summary) in _AUTH.items():
        action = actions.add_parser(name, help=summary, description=summary)
        action.set_defaults(act=act)
        if name == "status":
            action.add_argument("--json", action="store_true", help="one JSON object")
        if name == "login":
            _login_arguments(action)


def _login_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--email", metavar="ADDRESS", help="the address to sign in with (default: ask for it)")
    kinds = parser.add_mutually_exclusive_group()
    # Each would take a value only to refuse it without showing it.
    kinds.add_argument("--token", nargs="?", const=True, help="ask for a token instead, or read it from a pipe")
    kinds.add_argument("--api-key", nargs="?", const=True, help="ask for an API key instead, or read it from a pipe")
    kinds.add_argument("--password", nargs="?", const=True, help=argparse.SUPPRESS)


def _auth(options: argparse.Namespace) -> int:
    try:
        return options.act(options)
    except InvalidArguments:
        raise
    except InboxError as error:
        print(error, file=sys.stderr)
        return 1


def _login(options: argparse.Namespace) -> int:
    import anyio

    from salesos_inbox.client.credentials import Credential, KeptFile, keep, with_credential
    from salesos_inbox.client.sign_in import who_is

    if options.password or any(isinstance(value, str) for value in (options.token, options.api_key)):
        raise InvalidArguments(
            "A secret on the command line can be seen by others and stays in the shell's history, so none is read from "
            "there: leave it out, and you are asked for it."
        )
    settings = read_settings(os.environ)
    if options.token or options.api_key:
        credential = Credential(_pasted("API key" if options.api_key else "Token"), is_key=bool(options.api_key))
    else:
        credential = _signed_in(settings, options.email)
    user = anyio.run(who_is, with_credential(settings, credential))
    store = keep(credential, settings, _state_dir(settings))
    standing = _Standing(settings, credential, user, store.name)
    print(f"Signed in{standing.as_whom} at {settings.host}{standing.until}.")
    if isinstance(store, KeptFile):
        print("No keyring of the system can be used here, so it is kept without encryption,")
        print(f"for this user alone, in {store.name}.")
    else:
        print(f"It is kept in {store.name}.")
    for name in _given(settings):
        print(f"{name} is set and goes first: leave it out for this sign-in to count.")
    return 0


def _given(settings: Settings) -> list[str]:
    """Return the variables that hold, or name, a credential."""
    given = {
        "SALESOS_TOKEN": settings.token,
        "SALESOS_API_KEY": settings.api_key,
        "SALESOS_TOKEN_FILE": settings.token_file,
    }
    return [name for name, value in given.items() if value]


def _signed_in(settings: Settings, email: str | None) -> "Credential":
    """Ask for a password, and for a two-factor code where one is wanted, and return the token they are good for."""
    import anyio

    from salesos_inbox.client.credentials import Credential
    from salesos_inbox.client.sign_in import PASTE_A_TOKEN, sign_in
    from salesos_inbox.contract.models import SignIn

    login = SignIn(email=email or _shown("Email address"), password=_hidden("Password"))
    answer = anyio.run(sign_in, settings, login)
    if not answer.access_token:
        code = _hidden("Two-factor code")
        answer = anyio.run(sign_in, settings, login.model_copy(update={"two_factor_code": code}))
    if not answer.access_token:
        raise Unavailable(f"SalesOS wants more than a password and a code: {PASTE_A_TOKEN}")
    return Credential(_secret(answer.access_token, "Token"))


def _pasted(what: str) -> str:
    """Return the secret that is pasted unseen, or comes through a pipe."""
    if sys.stdin.isatty():
        return _secret(_hidden(what), what)
    return _secret(sys.stdin.buffer.read(_LARGEST_SECRET).decode(errors="replace"), what)


def _secret(text: str, what: str) -> str:
    from salesos_inbox.client.credentials import read_secret

    try:
        return read_secret(text)
    except ValueError:
        raise InvalidArguments(f"{what}: that is none, so nothing was changed: copy it again.") from None


_LARGEST_SECRET = 64 * 1024


def _shown(what: str) -> str:
    """Return what is typed."""
    _need_terminal()
    print(f"{what}: ", end="", file=sys.stderr, flush=True)
    return _entered(sys.stdin.readline)


def _hidden(what: str) -> str:
    """Return what is typed, without showing it."""
    import getpass
    import warnings

    def read() -> str:
        try:
            return getpass.getpass(f"{what}: ", sys.stderr)
        except (KeyboardInterrupt, EOFError, UnicodeError):
            print(file=sys.stderr)  # the prompt stands on the line still
            raise

    _need_terminal()
    with _ended_by_signals(), warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return _entered(read)
        except getpass.GetPassWarning:
            raise InvalidArguments("This terminal cannot hide what is typed: use another one.") from None


def _need_terminal() -> None:
    if not sys.stdin.isatty():
        raise InvalidArguments(
            "A password is typed at a terminal: run this in one, "
            f"or pass a token through a pipe to {PROGRAM} auth login --token."
        )


def _entered(read: Callable[[], str]) -> str:
    """Return the line that somebody enters. Raises `Unauthorized` where they enter none, or nothing that is text."""
    try:
        text = read().strip("\r\n")
        text.encode()
    except EOFError:
        text = ""
    except UnicodeError:
        raise Unauthorized("What was entered is not text in this terminal's encoding: nothing was changed.") from None
    if not text.strip():
        raise Unauthorized("Nothing was entered, so nothing was changed.")
    return text


@contextmanager
def _ended_by_signals() -> Generator[None]:
    """Let signals that end the process end it in order, so that a terminal shows again what is typed."""
    import signal

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), lambda number, _: sys.exit(128 + number)) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


@dataclass(frozen=True)
class _Standing:
    """What is known of a credential: whose it is, where it comes from, and why it does not work."""

    settings: Settings
    credential: "Credential | None" = None
    user: "models.User | None" = None
    source: str | None = None
    problem: str | None = None

    @property
    def ends_at(self) -> datetime | None:
        from salesos_inbox.client.session import read_claims

        if self.credential is None or self.credential.is_key:
            return None
        expires_at = read_claims(self.credential.secret).expires_at
        return None if expires_at is None else datetime.fromtimestamp(min(max(expires_at, 0), 2**36), UTC)

    @property
    def as_whom(self) -> str:
        """Whose it is, in words that follow "Signed in"."""
        from salesos_inbox.mail.unicode import printable

        user = self.user
        if user is None or not (user.email or user.id):
            return " (whose account it is, SalesOS did not tell)"
        return " as " + printable(f"{_name(user)} <{user.email}>" if user.email else user.id, 200).lstrip()

    @property
    def until(self) -> str:
        if self.ends_at is None:
            return ""
        return f" until {self.ends_at.astimezone(self.settings.timezone):%Y-%m-%d %H:%M}"

    @property
    def scopes(self) -> list[str] | None:
        """What the service says that the credential may do; None where it does not say."""
        extra = (self.user.model_extra or {}) if self.user else {}
        scopes: object = extra.get("scopes")
        if not isinstance(scopes, list):
            return None
        return [scope for scope in cast("list[object]", scopes) if isinstance(scope, str) and scope.isidentifier()]

    def as_json(self) -> dict[str, object]:
        user = self.user
        return {
            "service": self.settings.base_url,
            "works": self.problem is None,
            "kind": None if self.credential is None else "api_key" if self.credential.is_key else "token",
            "source": self.source,
            "user": user and {"id": user.id, "email": user.email, "name": _name(user)},
            "ends_at": self.ends_at and self.ends_at.isoformat(),
            "scopes": self.scopes,
            "problem": self.problem,
        }


def _name(user: "models.User") -> str:
    return " ".join(filter(None, (user.first_name, user.last_name)))


def _status(options: argparse.Namespace) -> int:
    import anyio

    standing = anyio.run(_standing, read_settings(os.environ))
    if options.json:
        print(json.dumps(standing.as_json(), indent=2, ensure_ascii=False))
    elif standing.problem:
        print(standing.problem)
    else:
        print(f"Signed in{standing.as_whom} at {standing.settings.host}{standing.until}.")
    if not options.json and standing.credential:
        kind = "API key" if standing.credential.is_key else "token"
        print(f"The {kind} comes from {standing.source}.")
        if standing.scopes is not None:
            print(f"It may {', '.join(standing.scopes) or 'do nothing'}.")
        elif standing.credential.is_key:
            print("Which scopes it has, SalesOS does not tell before one is missing.")
    return 1 if standing.problem else 0


async def _standing(settings: Settings) -> _Standing:
    from salesos_inbox.client.credentials import credential_of, with_credentials
    from salesos_inbox.client.sign_in import who_is

    try:
        settings, store = with_credentials(settings, _state_dir(settings))
        if store is None:
            return _Standing(settings, problem=_NO_ACCOUNT)
        found = _Standing(settings, credential_of(settings), source=store.name)
        if found.credential is None:
            store.read()  # says why it could not be read
            return replace(found, problem=_NO_ACCOUNT)
    except InboxError as error:
        return _Standing(settings, problem=str(error))
    if found.ends_at and found.ends_at <= datetime.now(UTC):
        return replace(found, problem=f"The token has ended at {found.ends_at:%Y-%m-%d %H:%M} UTC: {store.remedy}.")
    try:
        return replace(found, user=await who_is(settings))
    except InboxError as error:
        return replace(found, problem=str(error))


def _logout(options: argparse.Namespace) -> int:
    from salesos_inbox.client.credentials import UNLOCK_SECONDS, kept_entries

    del options
    settings = read_settings(os.environ)
    removed = [place.name for place in kept_entries(settings, _state_dir(settings), UNLOCK_SECONDS) if place.forget()]
    for name in dict.fromkeys(removed):
        print(f"Removed from {name}.")
    if removed:
        print("At SalesOS it stays valid until it ends: sign out there, or delete the key, to end it now.")
    else:
        print("Nothing was kept here.")
    for name in _given(settings):
        print(f"{name} is set, and goes on being used.")
    return 0


_AUTH: dict[str, tuple[Callable[[argparse.Namespace], int], str]] = {
    "login": (_login, "Sign in, and keep the token where the next start finds it."),
    "status": (_status, "Tell who is signed in, and until when; fails where nobody is."),
    "logout": (_logout, "Forget what auth login kept."),
}


# sandbox


def _sandbox_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, default=SANDBOX_PORT, help=f"on 127.0.0.1 (default {SANDBOX_PORT})")
    parser.add_argument("--db", metavar="FILE", type=Path, help="keep the mail in this file (default: in memory)")
    parser.add_argument(
        "--import", dest="paths", metavar="PATH", type=Path, nargs="+", action="extend", default=[],
        help="import mbox files, Maildir folders or trees of .eml files instead of the demo mailbox",
    )  # fmt: skip
    parser.add_argument("--user", metavar="ADDRESS", help="with --import: whose mailbox it is (default me@example.com)")
    parser.add_argument(
        "--faults", metavar="FILE", type=Path, help="fail at the requests, and in the ways, that this file describes"
    )


def _sandbox(options: argparse.Namespace) -> int:
    import uvicorn

    from salesos_inbox.sandbox.app import create_app

    if missing := [path for path in options.paths if not path.exists()]:
        raise InvalidArguments(f"There is nothing to import at {missing[0]}: check the path.")
    faults = _faults(options.faults) if options.faults else None
    with _listen("127.0.0.1", options.port) as listener:
        store, user_id = _mailbox(options)
        print(
            f"The sandbox serves the SalesOS API on this machine. In another terminal:\n\n"
            f"  export SALESOS_BASE_URL=http://{_address(listener)}/v1\n"
            f"  export SALESOS_TOKEN={store.issue_token(user_id)}\n"
            f"  {PROGRAM} serve\n\n"
            f"Instead of the token, {PROGRAM} auth login takes {store.access.user(user_id).email}\n"
            f"with the password {_new_password(store, user_id)}\n\n"
            f"The token is valid for a day. Stop the sandbox with Ctrl-C.",
            flush=True,
        )
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
    from salesos_inbox.contract.document import contract_markdown
    from salesos_inbox.manifest import TABLE_END, TABLE_START, manifest, with_table

    readme = Path("README.md")
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    if TABLE_START not in text or TABLE_END not in text:
        raise InvalidArguments("Run this in the project's root, where README.md has the table of tools.")
    wanted = {
        Path("tool_manifest.json"): manifest(_version()),
        readme: with_table(text),
        Path("docs/contract.md"): contract_markdown(),
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if not options.check:
        for path in stale:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
    elif stale:
        names = " and ".join(str(path) for path in stale)
        print(
            f"{names} {'is' if len(stale) == 1 else 'are'} out of date; mend with: {PROGRAM} manifest", file=sys.stderr
        )
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

    settings, store = _settings(options)
    try:
        arguments = json.loads(options.json)
    except ValueError as error:
        raise InvalidArguments("The arguments are not JSON: write them like '{\"limit\": 5}'.") from error
    if not isinstance(arguments, dict):
        raise InvalidArguments("The arguments must be a JSON object, like '{\"limit\": 5}'.")
    services = partial(_services, settings, store, demo=options.demo)
    return anyio.run(_call_tool, services, options.tool, cast("dict[str, Any]", arguments))


async def _call_tool(open_services: "Callable[[], Services]", tool: str, arguments: dict[str, Any]) -> int:
    """Call one tool through a real client in this process, and print its answer as JSON."""
    from mcp import Client
    from mcp.shared.exceptions import MCPError
    from mcp_types import TextContent

    from salesos_inbox.server import build_server

    services = open_services()
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


# doctor


def _doctor_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Try everything the server needs, and change nothing: settings, token, network, every reading endpoint, the "
        "state directory and the clients' configuration files. The status is 0 only when all is well, 1 where "
        "something is to be mended, 3 where there is only something to look at."
    )
    parser.add_argument("--json", action="store_true", help="print the findings as one JSON object")
    parser.add_argument(
        "--report", metavar="FILE", type=Path,
        help="write them into a new file as well, without tokens, mail, addresses and names, to be shared",
    )  # fmt: skip


def _doctor(options: argparse.Namespace) -> int:
    from urllib.request import getproxies

    import anyio
    from platformdirs import user_state_path

    from salesos_inbox.doctor.examination import examine
    from salesos_inbox.doctor.report import ABOUT_THE_REPORT, as_json, as_report, as_text, exit_status
    from salesos_inbox.doctor.surroundings import Surroundings

    if options.report and options.report.exists():
        raise InvalidArguments(f"{options.report} is there already: give --report the name of a new file.")
    surroundings = Surroundings(
        os.environ,
        _version(),
        home=Path.home(),
        folder=Path.cwd(),
        state_dir=user_state_path(PROGRAM, appauthor=False),
        proxies=getproxies(),
    )
    findings = anyio.run(examine, surroundings)
    print(as_json(findings) if options.json else as_text(findings))
    if options.report:
        try:
            with options.report.open("x", encoding="utf-8") as file:
                file.write(as_report(findings, surroundings))
        except OSError as error:
            raise InvalidArguments(
                f"{options.report} cannot be written ({error.strerror}): give --report another name."
            ) from error
        print(f"Written to {options.report}. {ABOUT_THE_REPORT}", file=sys.stderr)
    return exit_status(findings)


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
    "auth": (_auth, "Sign in to SalesOS, or out; tell who is signed in.", _auth_arguments),
    "sandbox": (_sandbox, "Serve the SalesOS API on this machine, on SQLite.", _sandbox_arguments),
    "demo": (_demo, "Play one morning at the demo inbox.", _no_arguments),
    "doctor": (_doctor, "Try everything the server needs, and change nothing.", _doctor_arguments),
    "log": (_log, "List what was asked, decided, sent, changed and undone.", _log_arguments),
    "manifest": (_manifest, "Write tool_manifest.json, docs/contract.md and the README's table.", _manifest_arguments),
    "call": (_call, "Call one tool and print its answer.", _call_arguments),
}


if __name__ == "__main__":
    main()
