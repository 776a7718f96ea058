"""Where a user's token or API key is kept between two starts, and which of these places counts.

The environment goes first, then the file that SALESOS_TOKEN_FILE names, then what `auth login` kept: in
the system's keyring or, where there is none, in a file of ours that only this user can read.
"""

import hashlib
import json
import logging
import os
import stat
import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from salesos_inbox.errors import Refused, Unavailable
from salesos_inbox.settings import Settings

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "salesos-inbox-mcp"
"""The name under which a keyring shows our entries."""
KEYRING_SECONDS = 5.0
"""How long a server waits for the keyring: one that is locked may wait for its user for ever."""
UNLOCK_SECONDS = 60.0
"""How long a command waits for it, with the user in front of it."""
LARGEST_FILE = 64 * 1024
LONGEST_SECRET = 16 * 1024

_OTHERS = 0o077
_USABLE = 1
"""The priority from which a keyring's backend is more than a stand-in (keyring's own `recommended`)."""
_AROUND_A_TOKEN = ("authorization:", "bearer")
_T = TypeVar("_T")

log = logging.getLogger("salesos_inbox")


@dataclass(frozen=True)
class Credential:
    """A bearer token or an API key. Its repr never shows it."""

    secret: str = field(repr=False)
    is_key: bool = False


class CredentialStore(Protocol):
    """One place that a credential comes from.

    `name` says which, to a person; `remedy` completes the sentence "ask the user to ..." where the
    credential has come to its end.
    """

    @property
    def name(self) -> str:
        """Which place it is."""
        ...

    @property
    def remedy(self) -> str:
        """What the user does to put a new credential there."""
        ...

    @property
    def can_keep(self) -> bool:
        """Whether the next start finds a renewed credential there."""
        ...

    def read(self) -> Credential | None:
        """Return what is there now. Raises `Unavailable` or `Refused` where that cannot be told."""
        ...

    def keep(self, credential: Credential) -> None:
        """Put a renewed credential in the old one's place, unless the place is not ours to write."""
        ...

    def forget(self) -> bool:
        """Remove the credential, unless the place is not ours to write; return whether there was any to remove."""
        ...


SIGN_IN_REMEDY = "run `salesos-inbox-mcp auth login`, then call again"


def credential_of(settings: Settings) -> Credential | None:
    """Return the credential that settings hold."""
    if settings.token:
        return Credential(settings.token)
    return Credential(settings.api_key, is_key=True) if settings.api_key else None


def read_secret(text: str) -> str:
    """Return the token or key in what somebody pasted or stored: without blanks, and without `Bearer`.

    Raises `ValueError`, which does not show it, for what no header can carry.
    """
    words = [word for word in text.split() if word.casefold() not in _AROUND_A_TOKEN]
    if len(words) != 1 or not is_sendable(words[0]):
        raise ValueError("not a token")
    return words[0]


def is_sendable(secret: str) -> bool:
    """Return whether a header can carry it, through whatever stands between here and the service."""
    return secret.isascii() and secret.isprintable() and len(secret) <= LONGEST_SECRET


@dataclass(frozen=True)
class Environment:
    """`SALESOS_TOKEN` or `SALESOS_API_KEY`, which stay as they are while the process lives."""

    credential: Credential
    can_keep = False

    @property
    def name(self) -> str:
        """The variable."""
        return "SALESOS_API_KEY" if self.credential.is_key else "SALESOS_TOKEN"

    @property
    def remedy(self) -> str:
        """Set it anew, or do without."""
        return (
            f"set a new {self.name}, or to leave it out and run `salesos-inbox-mcp auth login`, "
            "and to restart the server"
        )

    def read(self) -> Credential | None:
        """Return what the variable held when the process began."""
        return self.credential

    def keep(self, credential: Credential) -> None:
        """Do nothing: a process cannot change what it will be started with."""

    def forget(self) -> bool:
        """Do nothing."""
        return False


@dataclass(frozen=True)
class TokenFile:
    """The file that SALESOS_TOKEN_FILE names, which holds a token and nothing else.

    Others write it, as containers do their secrets. A renewed token is written into it only where it
    is a file of this user's own that nobody else can read.
    """

    path: Path
    remedy = "put a new token into the file that SALESOS_TOKEN_FILE names, then call again"

    @property
    def name(self) -> str:
        """The file."""
        return f"the file {self.path}"

    @property
    def can_keep(self) -> bool:
        """Whether it is a file of this user's own."""
        return _is_ours_alone(self.path)

    def read(self) -> Credential | None:
        """Return the token; None for an empty file."""
        try:
            if not stat.S_ISREG(self.path.stat().st_mode):  # a pipe would keep its reader waiting, and is empty then
                raise Unavailable(
                    "SALESOS_TOKEN_FILE names no file, but a directory, a pipe or a device: "
                    "ask the user to put the token into a file."
                )
            with self.path.open("rb") as file:
                content = file.read(LARGEST_FILE)
        except OSError as error:
            raise Unavailable(
                f"The file that SALESOS_TOKEN_FILE names cannot be read ({error.strerror}): "
                "ask the user to correct the path or to make it readable."
            ) from None
        if not content.strip():
            return None
        try:
            return Credential(read_secret(content.decode("ascii", "replace")))
        except ValueError:
            raise Unavailable(
                "The file that SALESOS_TOKEN_FILE names holds something else than a token: "
                "ask the user to put the token alone into it."
            ) from None

    def keep(self, credential: Credential) -> None:
        """Write a renewed token where the file is ours."""
        if self.can_keep:
            _write(self.path, credential.secret + "\n")

    def forget(self) -> bool:
        """Do nothing: the file was not made by us."""
        return False


@dataclass(frozen=True)
class KeptFile:
    """A file of ours for one account, for machines without a keyring."""

    account: str
    directory: Path
    can_keep = True
    remedy = SIGN_IN_REMEDY

    @property
    def path(self) -> Path:
        """The file; its name shows no address."""
        return self.directory / f"{hashlib.sha256(self.account.encode()).hexdigest()[:16]}.json"

    @property
    def name(self) -> str:
        """The file."""
        return f"the file {self.path}"

    def read(self) -> Credential | None:
        """Return what is kept. Raises `Refused` where another user may have read or written it."""
        try:
            with self.path.open("rb") as file:
                if os.name == "posix" and not _is_private(os.fstat(file.fileno())):
                    raise Refused(
                        f"{self.path} holds a SalesOS credential and can be read by others: make it this user's own "
                        "with mode 600, or run `salesos-inbox-mcp auth logout` and sign in again."
                    )
                return _unpacked(file.read(LARGEST_FILE).decode("utf-8", "replace"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"{self.path} cannot be read ({error.strerror}): ask the user to see to it.") from None

    def keep(self, credential: Credential) -> None:
        """Write it, whole or not at all."""
        try:
            self.directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.directory.mkdir(mode=0o700, exist_ok=True)
            self.directory.chmod(0o700)
            _write(self.path, _packed(credential, self.account))
        except OSError as error:
            raise Unavailable(
                f"The credential cannot be kept in {self.directory} ({error.strerror}): see to it that this user can "
                "write there, or set SALESOS_STATE_DIR to another directory."
            ) from None

    def forget(self) -> bool:
        """Remove the file."""
        there = self.path.exists()
        self.path.unlink(missing_ok=True)
        return there


@dataclass
class KeyringEntry:
    """An entry of the system's keyring for one account.

    The keyring may wait for its user, or for a bus that is silent: no call takes longer than `seconds`.
    """

    account: str
    seconds: float = KEYRING_SECONDS
    can_keep = True
    remedy = SIGN_IN_REMEDY
    _reading: "Future[str | None] | None" = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The keyring."""
        return "the system's keyring"

    def read(self) -> Credential | None:
        """Return what is kept; None also where there is no keyring to be used."""
        if self._reading is None or self._reading.done():  # else the earlier question still waits for its answer
            self._reading = _started(lambda: _keyring_read(self.account))
        text = self._answer(self._reading)
        return None if text is None else _unpacked(text)

    def keep(self, credential: Credential) -> None:
        """Write the entry. Raises `Unavailable` where there is no keyring, or none that takes it."""
        self._answer(_started(lambda: _keyring_write(self.account, _packed(credential))))

    def forget(self) -> bool:
        """Remove the entry."""
        return self._answer(_started(lambda: _keyring_delete(self.account)))

    def _answer(self, future: "Future[_T]") -> _T:
        try:
            error = future.exception(self.seconds)
        except TimeoutError:
            raise Unavailable(
                f"The system's keyring did not answer within {self.seconds:g} seconds: "
                "ask the user to unlock it, then call again."
            ) from None
        if isinstance(error, Unavailable):
            raise error
        if error is not None:
            raise Unavailable(
                f"The system's keyring failed ({type(error).__name__}): ask the user to unlock it, then call again."
            )
        return future.result()


def kept_entries(settings: Settings, state_dir: Path, seconds: float = KEYRING_SECONDS) -> list[CredentialStore]:
    """Return where `auth login` may have kept a credential: the files first, which cost nothing to look into.

    An account in the organization comes before one at the service as a whole. At most one of its two
    places holds any.
    """
    accounts, directory = _accounts(settings), _directory(state_dir)
    return [
        *(KeptFile(account, directory) for account in accounts),
        *(KeyringEntry(account, seconds) for account in accounts),
    ]


def keep(credential: Credential, settings: Settings, state_dir: Path) -> CredentialStore:
    """Keep a credential from `auth login` for the next start, in the keyring if it can be; return where.

    What was kept for the same account in the other place is removed.
    """
    account = _accounts(settings)[0]
    entry, file = KeyringEntry(account, UNLOCK_SECONDS), KeptFile(account, _directory(state_dir))
    try:
        entry.keep(credential)
    except Unavailable:
        file.keep(credential)
        with suppress(Unavailable):
            entry.forget()
        return file
    file.forget()
    return entry


def other_addresses(settings: Settings, state_dir: Path) -> list[str]:
    """Return the base addresses, other than the one in use, that a file of ours keeps a credential for.

    A keyring does not tell what it holds.
    """
    accounts = (_account_in(path) for path in _directory(state_dir).glob("*.json"))
    return sorted({account.partition(" ")[0] for account in accounts if account} - {settings.base_url})


def _account_in(path: Path) -> str | None:
    try:
        entry = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    account: object = cast("dict[str, object]", entry).get("account") if isinstance(entry, dict) else None
    return account if isinstance(account, str) and account.isprintable() else None


def _accounts(settings: Settings) -> list[str]:
    organization = [f"{settings.base_url} {settings.organization_id}"] if settings.organization_id else []
    return [*organization, settings.base_url]


def _directory(state_dir: Path) -> Path:
    return state_dir / "credentials"


def with_credentials(settings: Settings, state_dir: Path) -> tuple[Settings, CredentialStore | None]:
    """Return the settings with the credential to use, and where it comes from; None where there is none.

    A place that cannot be looked into now, such as a locked keyring, is returned without a credential:
    whoever calls later looks again.
    """
    given = credential_of(settings)
    if given:
        return settings, Environment(given)
    places = [TokenFile(settings.token_file)] if settings.token_file else kept_entries(settings, state_dir)
    for place in places:
        try:
            found = place.read()
        except Unavailable as error:
            log.warning("%s", error)
            return settings, place
        if found:
            return with_credential(settings, found), place
    return settings, None


def with_credential(settings: Settings, credential: Credential) -> Settings:
    """Return the settings with this credential and no other."""
    if credential.is_key:
        return replace(settings, token=None, api_key=credential.secret)
    return replace(settings, token=credential.secret, api_key=None)


# Text


def _packed(credential: Credential, account: str | None = None) -> str:
    named = {"account": account} if account else {}
    return json.dumps({"apiKey" if credential.is_key else "token": credential.secret, **named})


def _unpacked(text: str) -> Credential | None:
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    for name, is_key in (("token", False), ("apiKey", True)):
        secret: object = cast("dict[str, object]", entry).get(name) if isinstance(entry, dict) else None
        if isinstance(secret, str):
            with suppress(ValueError):
                return Credential(read_secret(secret), is_key)
    return None


# Files


def _is_private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & _OTHERS


def _is_ours_alone(path: Path) -> bool:
    if os.name != "posix":
        return False
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and _is_private(status) and os.access(path.parent, os.W_OK)


def _write(path: Path, text: str) -> None:
    """Put `text` at `path` in one step, readable by this user alone."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


# The keyring


def _started(call: Callable[[], _T]) -> "Future[_T]":
    """Return the outcome of a call in a thread that nothing waits for, not even the end of the process."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # the keyring's backends are other people's code
            future.set_exception(error)

    Thread(target=run, daemon=True, name="keyring").start()
    return future


def _backend() -> "KeyringBackend | None":
    """Return the system's keyring; None where the package is not installed, or finds nothing to keep secrets in."""
    try:
        import keyring
    except ImportError:
        return None
    backend = keyring.get_keyring()
    return backend if cast("Any", backend).priority >= _USABLE else None


def _keyring_read(account: str) -> str | None:
    backend = _backend()
    return backend.get_password(SERVICE, account) if backend else None


def _keyring_write(account: str, text: str) -> None:
    backend = _backend()
    if backend is None:
        raise Unavailable("No keyring of the system can be used here.")
    backend.set_password(SERVICE, account, text)  # pyright: ignore[reportUnknownMemberType] -- keyring wraps it untyped


def _keyring_delete(account: str) -> bool:
    backend = _backend()
    if backend is None or backend.get_password(SERVICE, account) is None:
        return False
    backend.delete_password(SERVICE, account)
    return True
