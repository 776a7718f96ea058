"""How the parts are put together: settings, who is signed in, the client, the ledger, the services."""

import argparse
import logging
import os
import sys
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from salesos_inbox.cli import PROGRAM
from salesos_inbox.errors import InvalidArguments, Unavailable
from salesos_inbox.settings import MOST_REQUESTS_PER_MINUTE, Settings, read_settings, split_names

if TYPE_CHECKING:
    from salesos_inbox.approval.ledger import Ledger
    from salesos_inbox.client.credentials import CredentialStore
    from salesos_inbox.client.http import InboxClient
    from salesos_inbox.tools._kit import Services

DEMO_TIMEZONE = "Europe/Berlin"

log = logging.getLogger("salesos_inbox")


# Settings


def add_inbox_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says which inbox a command works on, and with which tools."""
    parser.add_argument("--demo", action="store_true", help="work on the embedded demo mailbox, without an account")
    parser.add_argument("--read-only", action="store_true", help="offer only the tools that change nothing")
    parser.add_argument(
        "--tools", metavar="NAMES", help="offer only these groups or tools, e.g. reading,triage,drafting"
    )


def environment_settings() -> Settings:
    """Return the environment's settings."""
    return read_settings(os.environ)


def chosen_settings(options: argparse.Namespace) -> "tuple[Settings, CredentialStore | None]":
    """Return the environment's settings with the command line's on top, and where the credential comes from.

    Raises `InvalidArguments` where there is nothing to authenticate with.
    """
    settings, store = environment_settings(), None
    if options.demo:
        settings = replace(settings, token=None, api_key=None, organization_id=None)
        if settings.timezone is None:
            settings = replace(settings, timezone=read_settings({"SALESOS_TIMEZONE": DEMO_TIMEZONE}).timezone)
    else:
        from salesos_inbox.client.credentials import with_credentials

        find_session_bus(os.environ)
        settings, store = with_credentials(settings, state_dir(settings))
        if store is None:
            raise InvalidArguments(no_account(settings))
    settings = replace(
        settings,
        read_only=settings.read_only or options.read_only,
        tools=split_names(options.tools) if options.tools is not None else settings.tools,
    )
    return settings, store


def no_account(settings: Settings) -> str:
    """Return what to do where there is nothing to authenticate with, a line for each way."""
    from salesos_inbox.client.credentials import other_addresses

    kept = (
        f"A sign-in is kept for {address}: set SALESOS_BASE_URL to that to use it.\n"
        for address in other_addresses(settings, state_dir(settings))
    )
    return (
        f"Nobody is signed in to SalesOS at {settings.host}: run {PROGRAM} auth login, or set SALESOS_TOKEN or "
        f"SALESOS_API_KEY.\n{''.join(kept)}To try it without an account, run: {PROGRAM} serve --demo"
    )


def find_session_bus(environment: MutableMapping[str, str], runtime: Path = Path("/run/user")) -> None:
    """Name the user's session bus in `environment` where it stands in its usual place below `runtime`.

    Clients that start servers with an environment of their own leave it out, and without it Linux has no keyring.
    """
    if sys.platform == "linux" and _BUS not in environment:
        bus = runtime / str(os.getuid()) / "bus"
        if bus.is_socket():
            environment[_BUS] = f"unix:path={bus}"


_BUS = "DBUS_SESSION_BUS_ADDRESS"


def state_dir(settings: Settings) -> Path:
    """Return where state is kept."""
    return settings.state_dir or usual_state_dir()


def usual_state_dir() -> Path:
    """Return where state is kept unless a setting says otherwise."""
    from platformdirs import user_state_path

    return user_state_path(PROGRAM, appauthor=False)


# Services


@asynccontextmanager
async def open_services(
    settings: Settings, store: "CredentialStore | None", *, demo: bool
) -> "AsyncGenerator[Services]":
    """Provide what the tools work with, until the block ends."""
    services = _demo_services(settings) if demo else _services(settings, store)
    try:
        yield services
    finally:
        await services.close()


def _services(settings: Settings, store: "CredentialStore | None") -> "Services":
    from salesos_inbox.approval.sealing import derived, read_key
    from salesos_inbox.tools._kit import Services

    directory = state_dir(settings)
    try:
        state_key = derived(read_key(directory), "protocol state")
    except Unavailable as error:
        log.warning("%s", error)
        state_key = None
    return Services(settings, lambda: _client(settings, store), open_ledger(directory), state_key=state_key)


def open_ledger(directory: Path) -> "Ledger":
    """Return the ledger of a state directory. Without its key it can be used for nothing."""
    from salesos_inbox.approval.ledger import Ledger
    from salesos_inbox.approval.sealing import derived, read_key

    return Ledger(directory / "ledger.sqlite3", lambda: derived(read_key(directory), "activity log"))


def _client(settings: Settings, store: "CredentialStore | None") -> "InboxClient":
    from salesos_inbox.client.http import InboxClient

    return InboxClient(settings, store=store)


# The demo


def _demo_services(settings: Settings) -> "Services":
    from salesos_inbox.approval.ledger import Ledger
    from salesos_inbox.tools._kit import Services

    return Services(settings, lambda: _demo_client(settings), Ledger())


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
