"""`auth login | status | logout`: signing in and out, and telling who is signed in."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from salesos_inbox.cli import as_called
from salesos_inbox.cli.composition import environment_settings, state_dir
from salesos_inbox.cli.terminal import need_terminal, typed, typed_unseen
from salesos_inbox.errors import InvalidArguments, Unavailable
from salesos_inbox.settings import Settings

if TYPE_CHECKING:
    from salesos_inbox.client.credentials import Credential

_LARGEST_SECRET = 64 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `auth` takes."""
    actions = parser.add_subparsers(dest="action", required=True)
    for name, (act, summary, add_options) in _ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=summary)
        action.set_defaults(act=act)
        add_options(action)


def run(options: argparse.Namespace) -> int:
    """Sign in or out, or tell who is signed in."""
    return options.act(options)


# login


def _login_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--email", metavar="ADDRESS", help="the address to sign in with (default: ask for it)")
    kinds = parser.add_mutually_exclusive_group()
    # Each would take a value only to refuse it without showing it.
    kinds.add_argument("--token", nargs="?", const=True, help="ask for a token instead, or read it from a pipe")
    kinds.add_argument("--api-key", nargs="?", const=True, help="ask for an API key instead, or read it from a pipe")
    kinds.add_argument("--password", nargs="?", const=True, help=argparse.SUPPRESS)


def _login(options: argparse.Namespace) -> int:
    import anyio

    from salesos_inbox.cli.standing import Standing
    from salesos_inbox.client.credentials import Credential, KeptFile, keep, with_credential
    from salesos_inbox.client.sign_in import who_is

    if options.password or any(isinstance(value, str) for value in (options.token, options.api_key)):
        raise InvalidArguments(
            "A secret on the command line can be seen by others and stays in the shell's history, so none is read from "
            "there: leave it out, and you are asked for it."
        )
    settings = environment_settings()
    if options.token or options.api_key:
        credential = Credential(_pasted("API key" if options.api_key else "Token"), is_key=bool(options.api_key))
    else:
        credential = _signed_in(settings, options.email)
    user = anyio.run(who_is, with_credential(settings, credential))
    store = keep(credential, settings, state_dir(settings))
    print(Standing(settings, credential, user, store.name).sentence)
    if isinstance(store, KeptFile):
        print("No keyring of the system can be used here, so it is kept without encryption,")
        print(f"for this user alone, in {store.name}.")
    else:
        print(f"It is kept in {store.name}.")
    for name in _given(settings):
        print(f"{name} is set and goes first: leave it out for this sign-in to count.")
    return 0


def _signed_in(settings: Settings, email: str | None) -> "Credential":
    """Ask for a password, and for a two-factor code where one is wanted, and return the token they are good for."""
    import anyio

    from salesos_inbox.client.credentials import Credential
    from salesos_inbox.client.sign_in import PASTE_A_TOKEN, find_service, sign_in
    from salesos_inbox.contract.models import SignIn

    need_terminal()
    anyio.run(find_service, settings)
    login = SignIn(email=(email or typed("Email address")).strip(), password=typed_unseen("Password"))
    answer = anyio.run(sign_in, settings, login)
    if not answer.access_token:
        code = "".join(typed_unseen("Two-factor code").split())
        answer = anyio.run(sign_in, settings, login.model_copy(update={"two_factor_code": code}))
    if not answer.access_token:
        raise Unavailable(f"SalesOS wants more than a password and a code: {PASTE_A_TOKEN}")
    return Credential(_secret(answer.access_token, "Token"))


def _pasted(what: str) -> str:
    """Return the secret that is pasted unseen, or comes through a pipe."""
    if sys.stdin.isatty():
        return _secret(typed_unseen(what), what)
    return _secret(sys.stdin.buffer.read(_LARGEST_SECRET).decode(errors="replace"), what)


def _secret(text: str, what: str) -> str:
    from salesos_inbox.client.credentials import read_secret

    try:
        return read_secret(text)
    except ValueError:
        raise InvalidArguments(f"{what}: that is none, so nothing was changed: copy it again.") from None


def _given(settings: Settings) -> list[str]:
    """Return the variables that hold, or name, a credential."""
    given = {
        "SALESOS_TOKEN": settings.token,
        "SALESOS_API_KEY": settings.api_key,
        "SALESOS_TOKEN_FILE": settings.token_file,
    }
    return [name for name, value in given.items() if value]


# status


def _status_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _status(options: argparse.Namespace) -> int:
    import anyio

    from salesos_inbox.cli.standing import present_standing

    standing = anyio.run(present_standing, environment_settings())
    print(
        json.dumps(standing.as_json(), indent=2, ensure_ascii=False) if options.json else as_called(standing.as_text())
    )
    return 1 if standing.problem else 0


# logout


def _no_options(parser: argparse.ArgumentParser) -> None:
    del parser


def _logout(options: argparse.Namespace) -> int:
    from salesos_inbox.client.credentials import UNLOCK_SECONDS, kept_entries

    del options
    settings = environment_settings()
    removed = [place.name for place in kept_entries(settings, state_dir(settings), UNLOCK_SECONDS) if place.forget()]
    for name in dict.fromkeys(removed):
        print(f"Removed from {name}.")
    if removed:
        print("At SalesOS it stays valid until it ends: sign out there, or delete the key, to end it now.")
        print("A server that runs already may go on using it: restart it.")
    else:
        print("Nothing was kept here.")
    for name in _given(settings):
        print(f"{name} is set, and goes on being used.")
    return 0


_ACTIONS: dict[str, tuple[Callable[[argparse.Namespace], int], str, Callable[[argparse.ArgumentParser], None]]] = {
    "login": (_login, "Sign in, and keep the token where the next start finds it.", _login_options),
    "status": (_status, "Tell who is signed in, and until when; fails where nobody is.", _status_options),
    "logout": (_logout, "Forget what auth login kept.", _no_options),
}
