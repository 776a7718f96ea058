"""Who we are to the service: bearer token or API key, organization, CSRF token, refresh."""

import base64
import binascii
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

import anyio

from salesos_inbox.errors import InboxError
from salesos_inbox.settings import Settings

REFRESH_BEFORE = 300.0
"""Seconds before its end at which a token is exchanged for a fresh one."""
REFRESH_AGAIN = 60.0
"""Seconds between two tries to exchange it."""


@dataclass(frozen=True)
class Claims:
    """What a bearer token says of itself: its end (unix seconds) and whether it belongs to a session."""

    expires_at: float | None
    is_session: bool


def read_claims(token: str) -> Claims:
    """Return what the JWT says of itself (RFC 7519), unverified: only the service can verify it.

    A token that is no JWT counts as a session's, the stricter case.
    """
    try:
        part = token.split(".")[1]
        payload = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError, RecursionError, binascii.Error):
        payload = None
    if not isinstance(payload, dict):
        return Claims(None, True)
    claims = cast("dict[str, object]", payload)
    expires_at = claims.get("exp")
    return Claims(expires_at if isinstance(expires_at, int | float) else None, "jti" in claims)


class Session:
    """The credentials of one user, renewed as the service asks for it."""

    def __init__(self, settings: Settings) -> None:
        self._token = settings.token
        self._api_key = settings.api_key
        self._organization_id = settings.organization_id
        self._csrf_token: str | None = None
        self._next_refresh = 0.0
        self._renewing_csrf = anyio.Lock()
        self._refreshing = anyio.Lock()

    def headers(self) -> dict[str, str]:
        """Return the headers that say who is calling."""
        headers: dict[str, str] = {}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        elif self._api_key:
            headers["X-API-Key"] = self._api_key
        if self._organization_id:
            headers["X-Organization-ID"] = self._organization_id
        return headers

    async def write_headers(self, fetch_csrf_token: Callable[[], Awaitable[str]]) -> dict[str, str]:
        """Return the further headers of a write: a session's CSRF token, fetched once."""
        if not self._token or not (self._csrf_token or read_claims(self._token).is_session):
            return {}
        async with self._renewing_csrf:
            if self._csrf_token is None:
                self._csrf_token = await fetch_csrf_token()
        return {"X-CSRF-Token": self._csrf_token} if self._csrf_token else {}

    async def renew_csrf_token(self, stale: str | None, fetch_csrf_token: Callable[[], Awaitable[str]]) -> None:
        """Fetch a new CSRF token, unless another call has replaced `stale` meanwhile."""
        async with self._renewing_csrf:
            if self._csrf_token == stale:
                self._csrf_token = await fetch_csrf_token()

    def keep_csrf_token(self, token: str | None) -> None:
        """Remember the token that an answer handed out."""
        if token and token.isascii() and self._token:
            self._csrf_token = token

    async def refresh(self, now: float, fetch_token: Callable[[], Awaitable[str]]) -> None:
        """Exchange a token that ends soon (`now` in unix seconds), once for all calls that need it.

        Where that fails, the present token serves on, and the exchange is tried again a minute later.
        """
        if not self._needs_refresh(now):
            return
        async with self._refreshing:
            if not self._needs_refresh(now):
                return
            self._next_refresh = now + REFRESH_AGAIN
            try:
                token = await fetch_token()
            except InboxError:
                return
            if token.isascii() and token.isprintable() and token:
                self._token = token
                self._csrf_token = None

    def _needs_refresh(self, now: float) -> bool:
        expires_at = read_claims(self._token).expires_at if self._token else None
        return expires_at is not None and now < expires_at < now + REFRESH_BEFORE and now >= self._next_refresh
