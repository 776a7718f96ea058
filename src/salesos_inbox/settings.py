"""Everything the environment can say, read once and held unchanged."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import tzinfo
from pathlib import Path
from urllib.parse import urlsplit

from salesos_inbox.errors import InvalidArguments

DEFAULT_BASE_URL = "https://api.salesos.org/v1"

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}


@dataclass(frozen=True)
class Settings:
    """How the server reaches SalesOS and what it offers. Secrets never show in its repr."""

    token: str | None = field(default=None, repr=False)
    """A session's bearer token (`SALESOS_TOKEN`)."""
    api_key: str | None = field(default=None, repr=False)
    """An API key (`SALESOS_API_KEY`), instead of a token."""
    base_url: str = DEFAULT_BASE_URL
    """The address that `/email-inbox` stands below (`SALESOS_BASE_URL`)."""
    organization_id: str | None = None
    """The organization to work in, where a key spans several (`SALESOS_ORGANIZATION_ID`)."""
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


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings that `environment` holds under `SALESOS_...` names.

    Raises `InvalidArguments`, with the variable's name, for a value that cannot be used.
    """

    def text(name: str) -> str | None:
        return environment.get(f"SALESOS_{name}", "").strip() or None

    return Settings(
        token=text("TOKEN"),
        api_key=text("API_KEY"),
        base_url=_base_url(text("BASE_URL") or DEFAULT_BASE_URL),
        organization_id=text("ORGANIZATION_ID"),
        timezone=_timezone(text("TIMEZONE")),
        state_dir=_directory("SALESOS_STATE_DIR", text("STATE_DIR")),
        read_only=_switch("SALESOS_READ_ONLY", environment.get("SALESOS_READ_ONLY", "")),
        tools=split_names(text("TOOLS") or ""),
        approval_seconds=_seconds("SALESOS_APPROVAL_SECONDS", text("APPROVAL_SECONDS"), 120.0),
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


def _directory(name: str, text: str | None) -> Path | None:
    try:
        return Path(text).expanduser() if text else None
    except RuntimeError as error:
        raise InvalidArguments(
            f"{name} begins with the home of a user that there is not: write the path out."
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
