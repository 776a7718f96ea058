"""One examination: what is known before it begins, and what its steps learn from each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx

from salesos_inbox.client.session import Session
from salesos_inbox.doctor.finding import SIGN_IN
from salesos_inbox.doctor.proxies import Proxy
from salesos_inbox.doctor.surroundings import Surroundings
from salesos_inbox.settings import Settings


@dataclass(frozen=True)
class Reply:
    """An answer of the service, `payload` None where it is no JSON; `at` is when it came."""

    status: int
    headers: httpx.Headers
    payload: object
    is_json: bool
    is_page: bool
    """Whether it is a web page."""
    at: datetime


@dataclass(frozen=True)
class Trouble:
    """Why there is no answer, and what mends it."""

    found: str
    remedy: str


@dataclass
class Case:
    """The surroundings, the settings as far as they can be used, and what was learnt so far."""

    surroundings: Surroundings
    settings: Settings
    problems: Mapping[str, str]
    """What is wrong with a variable, by its name."""
    source: str | None
    """Where the token or key comes from."""
    remedy: str = SIGN_IN
    """What brings a new token or key to that place."""
    no_credential: Trouble | None = None
    """Why the place that the token is kept in cannot be looked into."""
    token_is_good: bool = False
    """Whether the token, by its looks, can be used."""
    proxy: Proxy | None = None
    http: httpx.AsyncClient | None = None
    first: Reply | None = None
    """The answer to the first request."""
    replies: dict[str, Reply | Trouble] = field(default_factory=dict[str, "Reply | Trouble"])
    """What the endpoints answered, by the keys of their routes."""

    @property
    def state_dir(self) -> Path:
        """Where the ledger is kept."""
        return self.settings.state_dir or self.surroundings.state_dir

    @property
    def headers(self) -> dict[str, str]:
        """Who is asking, where the token is worth a try."""
        return Session(self.settings).headers() if self.token_is_good else {}
