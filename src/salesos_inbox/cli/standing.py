"""What is known of a credential: whose it is, where it comes from, until when, and why it does not work."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from salesos_inbox.cli import PROGRAM
from salesos_inbox.cli.composition import no_account, state_dir
from salesos_inbox.client.credentials import (
    Credential,
    CredentialStore,
    Environment,
    TokenFile,
    credential_of,
    with_credentials,
)
from salesos_inbox.errors import InboxError, Unauthorized
from salesos_inbox.settings import DEFAULT_BASE_URL, Settings

if TYPE_CHECKING:
    from salesos_inbox.contract import models


@dataclass(frozen=True)
class Standing:
    """A credential, where there is one, and all that is known of it."""

    settings: Settings
    credential: Credential | None = None
    user: "models.User | None" = None
    source: str | None = None
    problem: str | None = None

    @property
    def sentence(self) -> str:
        """Who is signed in, where and until when; or why nobody is."""
        if self.problem:
            return self.problem
        until = f" until {self.ends_at.astimezone(self.settings.timezone):%Y-%m-%d %H:%M}" if self.ends_at else ""
        return f"Signed in{self._as_whom} at {self.settings.host}{until}."

    @property
    def ends_at(self) -> datetime | None:
        """The moment the token ends, where it says so."""
        from salesos_inbox.client.session import read_claims

        if self.credential is None or self.credential.is_key:
            return None
        expires_at = read_claims(self.credential.secret).expires_at
        return None if expires_at is None else datetime.fromtimestamp(min(max(expires_at, 0), 2**36), UTC)

    @property
    def _as_whom(self) -> str:
        from salesos_inbox.mail.unicode import printable

        user = self.user
        if user is None or not (user.email or user.id):
            return " (whose account it is, SalesOS did not tell)"
        return " as " + printable(f"{_name(user)} <{user.email}>" if user.email else user.id, 200).lstrip()

    @property
    def scopes(self) -> list[str] | None:
        """What the service says that the credential may do; None where it does not say."""
        extra = (self.user.model_extra or {}) if self.user else {}
        scopes: object = extra.get("scopes")
        if not isinstance(scopes, list):
            return None
        return [scope for scope in cast("list[object]", scopes) if isinstance(scope, str) and scope.isidentifier()]

    def as_text(self) -> str:
        """Return it for a person."""
        lines = [self.sentence]
        if self.credential:
            lines.append(f"The {'API key' if self.credential.is_key else 'token'} comes from {self.source}.")
            if self.scopes is not None:
                lines.append(f"It may {', '.join(self.scopes) or 'do nothing'}.")
            elif self.credential.is_key:
                lines.append("Which scopes it has, SalesOS does not tell before one is missing.")
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        """Return it for a program."""
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


async def present_standing(settings: Settings) -> Standing:
    """Return the standing of the credential that the next start would use, after asking the service about it."""
    from salesos_inbox.client.sign_in import who_is

    try:
        settings, store = with_credentials(settings, state_dir(settings))
        if store is None:
            return Standing(settings, problem=no_account(settings))
        found = Standing(settings, credential_of(settings), source=store.name)
        if found.credential is None:
            store.read()  # says why it could not be read
            return replace(found, problem=no_account(settings))
    except InboxError as error:
        return Standing(settings, problem=str(error))
    if found.ends_at and found.ends_at <= datetime.now(UTC):
        return replace(found, problem=f"The token has ended at {found.ends_at:%Y-%m-%d %H:%M} UTC: {_remedy(store)}.")
    try:
        return replace(found, user=await who_is(settings))
    except Unauthorized:
        return replace(found, problem=_refused(settings, store))
    except InboxError as error:
        return replace(found, problem=str(error))


def _refused(settings: Settings, store: CredentialStore) -> str:
    what = "API key" if settings.api_key else "token"
    also = "" if settings.base_url == DEFAULT_BASE_URL else "check SALESOS_BASE_URL, or "
    return f"SalesOS does not accept this {what} (ended, revoked or unknown): {also}{_remedy(store)}."


def _remedy(store: CredentialStore) -> str:
    """Return what somebody at a terminal does to put a new credential in an old one's place."""
    match store:
        case Environment():
            return f"set a new {store.name}, or leave it out and run {PROGRAM} auth login"
        case TokenFile():
            return f"put a new one into {store.name}"
        case _:
            return f"run {PROGRAM} auth login"


def _name(user: "models.User") -> str:
    return " ".join(filter(None, (user.first_name, user.last_name)))
