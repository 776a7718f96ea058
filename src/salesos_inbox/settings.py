"""Everything the environment can say, read once and held unchanged."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import tzinfo
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from salesos_inbox.contract.overrides import NONE, Overrides, read_overrides
from salesos_inbox.errors import InvalidArguments

DEFAULT_BASE_URL = "https://api.salesos.org/v1"

REQUESTS_PER_MINUTE = 95
"""Below the 100 that are documented: the user's own browser makes requests too."""
MOST_REQUESTS_PER_MINUTE = 1_000_000

Approval = Literal["auto", "elicitation", "page", "host", "never"]
"""How a person is asked."""

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}


@dataclass(frozen=True)
class Settings:
    """How the server reaches SalesOS and what it offers. Secrets never show in its repr."""

    token: str | None = field(default=None, repr=False)
    """A session's bearer token (`SALESOS_TOKEN`)."""
    api_key: str | None = field(default=None, repr=False)
    """An API key (`SALESOS_API_KEY`), instead of a token."""
    token_file: Path | None = None
    """A file that holds the token, and that whoever renews it writes anew (`SALESOS_TOKEN_FILE`)."""
    base_url: str = DEFAULT_BASE_URL
    """The address that `/email-inbox` stands below (`SALESOS_BASE_URL`)."""
    organization_id: str | None = None
    """The organization to work in, where a key spans several (`SALESOS_ORGANIZATION_ID`)."""
    overrides: Overrides = NONE
    """How the service's names differ from the contract's (the file of `SALESOS_CONTRACT`)."""
    requests_per_minute: int = REQUESTS_PER_MINUTE
    """How many requests may be made in any minute (`SALESOS_REQUESTS_PER_MINUTE`)."""
    timezone: tzinfo | None = None
    """The zone in which times without an offset are read and times are shown (`SALESOS_TIMEZONE`)."""
    state_dir: Path | None = None
    """Where the ledger is kept (`SALESOS_STATE_DIR`); None is this system's usual place."""
    read_only: bool = False
    """Offer only the tools that change nothing (`SALESOS_READ_ONLY`)."""
    tools: tuple[str, ...] = ()
    """The tools or groups of tools to offer (`SALESOS_TOOLS`); empty offers all."""
    approval_seconds: float = 120.0
    """How long a person has to answer, in seconds (`SALESOS_APPROVAL_SECONDS`)."""
    approval: Approval = "auto"
    """How a person is asked (`SALESOS_APPROVAL`): `auto` tries the client, then the page; `host` trusts the client's
    own dialog; `never` asks nobody, so that nothing happens which would have to ask."""
    policy: tuple[tuple[str, str], ...] = ()
    """Names of tools or effects with the decisions on them (`SALESOS_POLICY`), as they were written: not yet checked
    against the tools there are."""
    allowed_recipients: tuple[str, ...] = ()
    """Whom messages may go to: addresses and `*@domain` (`SALESOS_ALLOWED_RECIPIENTS`); empty is anyone."""
    most_recipients: int | None = None
    """How many recipients one message may have (`SALESOS_MOST_RECIPIENTS`); None sets no limit of the operator's."""
    messages_per_hour: int | None = None
    """How many messages may be sent in an hour (`SALESOS_MESSAGES_PER_HOUR`); None sets no limit."""
    undo_seconds: int = 0
    """How many seconds a message waits, and can be taken back, before it leaves (`SALESOS_UNDO_SECONDS`); 0 is none."""
    browser: bool = False
    """Whether a browser can be opened in front of the user, as far as the environment tells."""

    def __post_init__(self) -> None:
        for name, value in (
            ("SALESOS_TOKEN", self.token),
            ("SALESOS_API_KEY", self.api_key),
            ("SALESOS_ORGANIZATION_ID", self.organization_id),
        ):
            if value and not (value.isascii() and value.isprintable()):
                raise InvalidArguments(f"{name} holds a character that no header can carry: copy it again.")
        if self.token and self.api_key:
            raise InvalidArguments("SALESOS_TOKEN and SALESOS_API_KEY are both set: keep one of them.")

    @property
    def host(self) -> str:
        """The machine that SalesOS is reached at."""
        return urlsplit(self.base_url).netloc

    @property
    def has_credentials(self) -> bool:
        """Whether there is anything to authenticate with."""
        return bool(self.token or self.api_key)

    def __repr__(self) -> str:
        shown = (
            f"{item.name}={getattr(self, item.name)!r}"
            if item.repr
            else f"{item.name}={_masked(getattr(self, item.name))}"
            for item in fields(self)
        )
        return f"Settings({', '.join(shown)})"


def read_settings(environment: Mapping[str, str], platform: str = sys.platform) -> Settings:
    """Return the settings that `environment` holds under `SALESOS_...` names.

    Raises `InvalidArguments`, with the variable's name, for a value that cannot be used.
    """

    def text(name: str) -> str | None:
        return environment.get(f"SALESOS_{name}", "").strip() or None

    return Settings(
        token=text("TOKEN"),
        api_key=text("API_KEY"),
        token_file=_path("SALESOS_TOKEN_FILE", text("TOKEN_FILE")),
        base_url=_base_url(text("BASE_URL") or DEFAULT_BASE_URL),
        organization_id=text("ORGANIZATION_ID"),
        overrides=_overrides("SALESOS_CONTRACT", _path("SALESOS_CONTRACT", text("CONTRACT"))),
        requests_per_minute=_number(
            "SALESOS_REQUESTS_PER_MINUTE", text("REQUESTS_PER_MINUTE"), 1, MOST_REQUESTS_PER_MINUTE
        )
        or REQUESTS_PER_MINUTE,
        timezone=_timezone(text("TIMEZONE")),
        state_dir=_path("SALESOS_STATE_DIR", text("STATE_DIR")),
        read_only=_switch("SALESOS_READ_ONLY", environment.get("SALESOS_READ_ONLY", "")),
        tools=split_names(text("TOOLS") or ""),
        approval_seconds=_seconds("SALESOS_APPROVAL_SECONDS", text("APPROVAL_SECONDS"), 120.0),
        approval=_approval("SALESOS_APPROVAL", text("APPROVAL")),
        policy=_pairs("SALESOS_POLICY", text("POLICY")),
        allowed_recipients=_entries("SALESOS_ALLOWED_RECIPIENTS", text("ALLOWED_RECIPIENTS")),
        most_recipients=_number("SALESOS_MOST_RECIPIENTS", text("MOST_RECIPIENTS"), 1, 100),
        messages_per_hour=_number("SALESOS_MESSAGES_PER_HOUR", text("MESSAGES_PER_HOUR"), 1, 10_000),
        undo_seconds=_number("SALESOS_UNDO_SECONDS", text("UNDO_SECONDS"), 0, 3600) or 0,
        browser=_has_browser(environment, platform),
    )


def split_names(text: str) -> tuple[str, ...]:
    """Return the names of a comma-separated list, without blanks."""
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)


def _masked(secret: str | None) -> str:
    return "None" if secret is None else "'***'"


def _base_url(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise InvalidArguments("SALESOS_BASE_URL must begin with https:// (or http:// for a sandbox).")
    try:
        url = urlsplit(text)
        usable = bool(url.hostname) and url.port != 0 and text.isascii() and text.isprintable() and " " not in text
    except ValueError:
        usable = False
    if not usable:
        raise InvalidArguments("SALESOS_BASE_URL is not an address: write it like https://api.salesos.org/v1.")
    if "@" in text or "?" in text or "#" in text:
        raise InvalidArguments(
            "SALESOS_BASE_URL must hold no password, query or fragment: leave out what @, ? and # add."
        )
    return text.rstrip("/")


def _path(name: str, text: str | None) -> Path | None:
    try:
        return Path(text).expanduser() if text else None
    except RuntimeError as error:
        raise InvalidArguments(
            f"{name} begins with the home of a user that there is not: write the path out."
        ) from error


def _overrides(name: str, path: Path | None) -> Overrides:
    """Return what the file at `path` says of the service's names; without a file, nothing."""
    if path is None:
        return NONE
    import tomllib

    try:
        return read_overrides(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InvalidArguments(f"{name} names a file that cannot be read ({path}): correct the path.") from error
    except ValueError as error:
        raise InvalidArguments(
            f"The file that {name} names cannot be used: {error} (write every line for itself, without [headers], "
            "as examples/contract.toml does)"
            if isinstance(error, tomllib.TOMLDecodeError)
            else f"The file that {name} names cannot be used: {error}"
        ) from error


def _switch(name: str, text: str) -> bool:
    value = text.strip().lower()
    if value not in _TRUE | _FALSE:
        raise InvalidArguments(f"{name} must be true or false.")
    return value in _TRUE


def _seconds(name: str, text: str | None, default: float) -> float:
    if text is None:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 3600:
        raise InvalidArguments(f"{name} must be a number of seconds from 1 to 3600.")
    return seconds


def _number(name: str, text: str | None, least: int, most: int) -> int | None:
    if text is None:
        return None
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(most)) else -1
    if not least <= number <= most:
        raise InvalidArguments(f"{name} must be a whole number from {least} to {most}.")
    return number


def _approval(name: str, text: str | None) -> Approval:
    choices: dict[str, Approval] = {choice: choice for choice in get_args(Approval)}
    chosen = choices.get((text or "auto").lower())
    if chosen is None:
        raise InvalidArguments(f"{name} must be one of {', '.join(choices)}.")
    return chosen


def _entries(name: str, text: str | None) -> tuple[str, ...]:
    """Return the entries of a list that, once it is set, must hold one: an empty list would allow everything."""
    entries = split_names(text or "")
    if text and not entries:
        raise InvalidArguments(f"{name} is a list without an entry: write one, or leave the variable out.")
    return entries


def _pairs(name: str, text: str | None) -> tuple[tuple[str, str], ...]:
    pairs = [tuple(part.strip().lower() for part in entry.split("=")) for entry in _entries(name, text)]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):
        raise InvalidArguments(f"{name} must be a list of name=decision, such as send_email=deny,archive_threads=ask.")
    return tuple((pair[0], pair[1]) for pair in pairs)


def _has_browser(environment: Mapping[str, str], platform: str) -> bool:
    def is_set(*names: str) -> bool:
        return any(environment.get(name, "").strip() for name in names)

    if is_set("BROWSER"):
        return True
    if platform in {"darwin", "win32"}:
        return not is_set("SSH_CONNECTION")
    return is_set("DISPLAY", "WAYLAND_DISPLAY")


def _timezone(name: str | None) -> tzinfo | None:
    if name is None:
        return None
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise InvalidArguments(
            "SALESOS_TIMEZONE must be a zone of the IANA database, such as Europe/Berlin or America/New_York."
        ) from error
