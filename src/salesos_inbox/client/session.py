"""Who we are to the service: bearer token or API key, organization, CSRF token, refresh."""

import base64
import json
import logging
import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

import anyio
import anyio.to_thread

from salesos_inbox.client.credentials import (
    SIGN_IN_REMEDY,
    Credential,
    CredentialStore,
    Environment,
    credential_of,
    is_sendable,
    read_secret,
)
from salesos_inbox.client.headers import read_moment
from salesos_inbox.errors import InboxError, OutcomeUnknown, RateLimited, Unauthorized, Unavailable
from salesos_inbox.settings import Settings

REFRESH_BEFORE = 300.0
"""Seconds before its end at which a token is exchanged for a fresh one."""
REFRESH_AFTER = 3600.0
"""Seconds of its life after which a token is exchanged that the next start will find renewed.

A token lives a day, and there are fewer calls in its last five minutes than nights and mornings: exchanged by
the hour, it lives on for a day after the last call.
"""
REFRESH_AGAIN = 60.0
"""Seconds between two tries to exchange it while it is still good."""

Fetch = Callable[[], Awaitable[str]]
"""Asks the service for a new token."""

log = logging.getLogger("salesos_inbox")


@dataclass(frozen=True)
class Claims:
    """What a bearer token says of itself: its end (unix seconds), whether it is a session's, whose, and since when."""

    expires_at: float | None
    is_session: bool
    subject: str | None = None
    issued_at: float | None = None


def read_claims(token: str) -> Claims:
    """Return what the JWT says of itself (RFC 7519), unverified: only the service can verify it.

    A token that is no JWT counts as a session's, the stricter case.
    """
    claims = _unpacked(token.split(".")[1]) if "." in token else None
    if claims is None:
        return Claims(None, True)
    subject = claims.get("sub")
    return Claims(
        _moment(claims.get("exp")),
        "jti" in claims,
        subject if isinstance(subject, str) else None,
        _moment(claims.get("iat")),
    )


def is_jwt(text: str) -> bool:
    """Return whether a text looks like a JWT, and a whole one."""
    parts = text.split(".")
    if len(parts) != 3 or not all(re.fullmatch(r"[\w-]+=*", part) for part in parts):
        return False
    return all(_unpacked(part) is not None for part in parts[:2])


def _unpacked(part: str) -> dict[str, object] | None:
    try:
        payload = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, object]", payload) if isinstance(payload, dict) else None


def _moment(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < _END_OF_TIME else None  # so neither are infinity and what is no number


_END_OF_TIME = 1e13


class Session:
    """The credentials of one user, renewed as the service asks for it.

    `store` is where they came from: a renewed token is kept there, and what another process put there
    meanwhile is used. All times are in unix seconds.
    """

    def __init__(self, settings: Settings, store: CredentialStore | None = None) -> None:
        self._credential = credential_of(settings)
        self._store = store
        self._used = {self._credential} - {None}
        """What was ever used: a store that cannot be written still holds the first of these."""
        self._refused: Credential | None = None
        """A token that has been refused for good."""
        self._organization_id = settings.organization_id
        self._sends_csrf = settings.overrides.sends_csrf
        self._csrf_token: str | None = None
        self._clock_ahead = 0.0
        self._next_refresh = 0.0
        self._exchanged_at = 0.0
        self._exchanging_ended = False
        self._renewing_csrf = anyio.Lock()
        self._renewing = anyio.Lock()

    @property
    def token(self) -> str | None:
        """The bearer token (or the API key) that requests carry now."""
        return self._credential.secret if self._credential else None

    def headers(self) -> dict[str, str]:
        """Return the headers that say who is calling."""
        headers: dict[str, str] = {}
        if self._credential:
            name, prefix = ("X-API-Key", "") if self._credential.is_key else ("Authorization", "Bearer ")
            headers[name] = prefix + self._credential.secret
        if self._organization_id:
            headers["X-Organization-ID"] = self._organization_id
        return headers

    # CSRF

    async def write_headers(self, fetch_csrf_token: Fetch) -> dict[str, str]:
        """Return the further headers of a write: a session's CSRF token, fetched once.

        None is fetched with a token that has ended: whoever exchanges it all the same is told if one is wanted.
        """
        used = self.token
        try:
            return await self._csrf_headers(fetch_csrf_token)
        except Unauthorized:
            if self.token == used and not await self._look_into_store():
                raise
        return await self._csrf_headers(fetch_csrf_token)

    async def _csrf_headers(self, fetch_csrf_token: Fetch) -> dict[str, str]:
        if not self._bearer or not self._sends_csrf or not (self._csrf_token or read_claims(self._bearer).is_session):
            return {}
        async with self._renewing_csrf:
            if self._csrf_token is None and not self._exchanging_ended:
                self._csrf_token = await fetch_csrf_token()
        return {"X-CSRF-Token": self._csrf_token} if self._csrf_token else {}

    async def renew_csrf_token(self, stale: str | None, fetch_csrf_token: Fetch) -> None:
        """Fetch a new CSRF token, unless another call has replaced `stale` meanwhile."""
        async with self._renewing_csrf:
            if self._csrf_token == stale:
                self._csrf_token = await fetch_csrf_token()

    def keep_csrf_token(self, token: str | None) -> None:
        """Remember the token that an answer handed out."""
        if token and is_sendable(token) and self._bearer and self._sends_csrf:
            self._csrf_token = token

    # Time

    def tell_time(self, now: float, date: str | None) -> None:
        """Learn from an answer's `Date` (RFC 9110, 6.6.1) how far this machine's clock is ahead of the service's.

        That only ever lets a token live longer. A clock that is behind does no harm: the service then
        refuses the token, and it is renewed.
        """
        theirs = read_moment(date)
        if theirs is not None:
            self._clock_ahead = max(0.0, now - theirs)

    # The token

    async def refresh(self, now: float, fetch_token: Fetch) -> None:
        """See to it, before a call, that there is a token which has not ended.

        One that ends soon, or can be kept and is no longer young, is exchanged, once for all calls that need
        it; where that fails, it serves on until its end, and the exchange is tried again later. Raises
        `Unauthorized` where the token has ended and there is no other, and `Unavailable` or `RateLimited` where
        that is not yet told.
        """
        if self._is_good(now):
            return
        async with self._renewing:
            if self._is_good(now):
                return
            try:
                await self._replace(now, fetch_token)
            except InboxError:
                if self._has_ended(now):
                    raise

    async def renew(self, used: str | None, fetch_token: Fetch) -> bool:
        """Find another token after the service has refused (401) the one that was `used`; return whether there is one.

        It is the one that another call, or another process, has fetched meanwhile; else it is fetched,
        once for all calls that wait for it. Raises `Unavailable` or `RateLimited` where that is not yet told.
        """
        async with self._renewing:
            if self.token != used:
                return True
            if self._credential is None or self._credential.is_key or self._credential == self._refused:
                return await self._look_into_store()
            if await self._look_into_store() or await self._exchange(fetch_token, has_ended=True):
                return True
            self._refused = self._credential
            return False

    def refusal(self) -> Unauthorized:
        """Return what to tell the user where the service does not accept the token or key, and there is no other."""
        what = "API key" if self._credential and self._credential.is_key else "token"
        return Unauthorized(
            f"SalesOS does not accept the {what} (ended, revoked or unknown), and nothing was changed: "
            f"ask the user to {self._remedy}."
        )

    @property
    def _bearer(self) -> str | None:
        return self._credential.secret if self._credential and not self._credential.is_key else None

    @property
    def _remedy(self) -> str:
        store = self._store or (Environment(self._credential) if self._credential else None)
        return store.remedy if store else SIGN_IN_REMEDY

    def _is_good(self, now: float) -> bool:
        """Return whether there is nothing to do for now: the token is young, or was lately tried to be exchanged."""
        if self._credential is None:
            return self._store is None
        return self._is_young(now) or (now < self._next_refresh and not self._has_ended(now))

    def _is_young(self, now: float) -> bool:
        if self._seconds_left(now) <= REFRESH_BEFORE:
            return False
        issued_at = read_claims(self._bearer).issued_at if self._bearer else None
        if issued_at is None or self._store is None or not self._store.can_keep:
            return True
        return now - max(issued_at + self._clock_ahead, self._exchanged_at) < REFRESH_AFTER

    def _has_ended(self, now: float) -> bool:
        return self._credential is None or self._seconds_left(now) <= 0

    def _seconds_left(self, now: float) -> float:
        expires_at = read_claims(self._bearer).expires_at if self._bearer else None
        return math.inf if expires_at is None else expires_at - (now - self._clock_ahead)

    async def _replace(self, now: float, fetch_token: Fetch) -> None:
        """Put another token in place of one that ends, has ended, or is missing."""
        self._next_refresh = now + max(REFRESH_AGAIN, min(REFRESH_AFTER, self._seconds_left(now) - REFRESH_BEFORE))
        if await self._look_into_store() and self._is_young(now):
            return
        if self._credential is None:
            raise self._signed_out()
        if self._credential != self._refused and await self._exchange(fetch_token, has_ended=self._has_ended(now)):
            self._exchanged_at = now  # whatever the new token says: one that is always old is exchanged no oftener
            self._next_refresh = now + REFRESH_AGAIN
            return
        if self._has_ended(now):
            self._refused = self._credential
            raise Unauthorized(
                "The SalesOS token has ended and cannot be renewed, so nothing was done: "
                f"ask the user to {self._remedy}."
            )

    async def _exchange(self, fetch_token: Fetch, *, has_ended: bool) -> bool:
        """Exchange the token, and keep the new one where the old one came from; return whether there is another now.

        Shielded from cancellation: the old token may be dead by the time the new one arrives.
        """
        renewed, self._exchanging_ended = False, has_ended
        with anyio.CancelScope(shield=True):
            try:
                token = await fetch_token()
            except (Unavailable, RateLimited):
                raise
            except OutcomeUnknown:
                raise Unavailable("SalesOS did not answer when the token was to be renewed: call again.") from None
            except InboxError:
                renewed = await self._look_into_store()  # another process may have been quicker
            else:
                renewed = await self._take(token)
            finally:
                self._exchanging_ended = False
        return renewed

    async def _take(self, token: str) -> bool:
        """Use and keep a renewed token; not one that no header can carry, or that is not this user's."""
        try:
            credential = Credential(read_secret(token))
        except ValueError:
            return False
        if self._credential is None or not _same_user(self._credential, credential):
            return False
        self._use(credential)
        await self._keep(credential)
        return True

    async def _look_into_store(self) -> bool:
        """Use what the store holds, where that is new; return whether it is.

        Raises `Unauthorized` where the user has signed out, and where it is another user's: what this
        server has read is not theirs.
        """
        if self._store is None:
            return False
        found = await anyio.to_thread.run_sync(self._store.read)
        if found is None:
            raise self._signed_out()
        if found in self._used:
            return False
        if self._credential and not _same_user(self._credential, found):
            raise Unauthorized(
                "Somebody else has signed in to SalesOS meanwhile: ask the user to restart the server, "
                "so that it works in that mailbox."
            )
        self._use(found)
        return True

    def _signed_out(self) -> Unauthorized:
        return Unauthorized(f"Nobody is signed in to SalesOS: ask the user to {self._remedy}.")

    async def _keep(self, credential: Credential) -> None:
        if self._store is None:
            return
        try:
            await anyio.to_thread.run_sync(self._store.keep, credential)
        except (InboxError, OSError) as error:
            log.warning(
                "The renewed token cannot be kept in %s (%s): the next start may need `salesos-inbox-mcp auth login`",
                self._store.name,
                type(error).__name__,
            )

    def _use(self, credential: Credential) -> None:
        self._credential = credential
        self._used.add(credential)
        self._csrf_token = None
        self._next_refresh = 0.0


def _same_user(old: Credential, new: Credential) -> bool:
    """Return whether a credential can take another's place in a running server."""
    if old.is_key or new.is_key:
        return False
    return read_claims(old.secret).subject == read_claims(new.secret).subject
