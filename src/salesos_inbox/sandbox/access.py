"""Who may do what: users, passwords, bearer tokens (RFC 7519), API keys and CSRF tokens."""

import hashlib
import secrets
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import jwt

from salesos_inbox.contract.models import User
from salesos_inbox.contract.routes import Scope
from salesos_inbox.sandbox.refusals import Refusal, not_found, unauthorized

ALL_SCOPES: Final = frozenset(map(str, Scope))
_ADMIN: Final = "admin"
_ALGORITHM: Final = "HS256"


@dataclass(frozen=True)
class Caller:
    """Who sent a request. `session` is the `jti` of its token, and None where CSRF does not apply.

    `credential` names the token's user or the key, for counting; `by_key` tells a key from a token.
    """

    user_id: str
    organization_id: str | None
    scopes: frozenset[str]
    credential: str
    session: str | None = None
    by_key: bool = False

    def require(self, scope: Scope) -> None:
        """Refuse (403) unless the caller has `scope`."""
        if not self.scopes & {scope, _ADMIN}:
            raise Refusal(403, f"API key lacks the required scope: {scope}")

    def require_organization(self, organization_id: str | None) -> None:
        """Refuse (403) an organization that is not the user's; None asks for none."""
        if organization_id not in (None, self.organization_id):
            raise Refusal(403, "You do not have access to this organization")


class Access:
    """The credentials of a mailbox file, on its connection `db`.

    With `rotates_tokens`, a token that was refreshed is refused from then on.
    """

    rotates_tokens: bool = False

    def __init__(self, db: sqlite3.Connection, *, clock: Callable[[], datetime], ids: Callable[[], str]) -> None:
        self._db = db
        self._clock = clock
        self._ids = ids
        db.execute("INSERT OR IGNORE INTO settings VALUES ('token_secret', ?)", (secrets.token_hex(32),))
        (self._secret,) = db.execute("SELECT value FROM settings WHERE name = 'token_secret'").fetchone()

    def user(self, user_id: str) -> User:
        """Return the user; refuses (404) an unknown id."""
        row = self._db.execute("SELECT id, email, first_name, last_name FROM users WHERE id = ?", (user_id,)).fetchone()
        if row is None:
            raise not_found("User")
        return User(id=row["id"], email=row["email"], first_name=row["first_name"], last_name=row["last_name"])

    def user_id(self, email: str) -> str | None:
        """Return the id of the user with this address, whatever its case, or None."""
        row = self._db.execute("SELECT id FROM users WHERE email = ?", (email,)).fetchone()
        return row and row[0]

    def set_password(self, user_id: str, password: str, *, two_factor_code: str | None = None) -> None:
        """Give the user a password, and a code that a sign-in must give as well."""
        self.user(user_id)
        salt = secrets.token_bytes(16)
        self._db.execute(
            "INSERT OR REPLACE INTO passwords VALUES (?, ?, ?, ?)",
            (user_id, salt, _hashed(password, salt), two_factor_code),
        )

    def sign_in(self, email: str, password: str, code: str | None) -> str | None:
        """Return the id of the user, or None where only their two-factor code is missing.

        Refuses (401) alike whatever is wrong, and in the same time.
        """
        row = self._db.execute(
            "SELECT user_id, salt, hash, two_factor_code FROM passwords JOIN users ON users.id = user_id "
            "WHERE email = ?",
            (email,),
        ).fetchone()
        user_id, salt, expected, expected_code = row or (None, b"", b"", None)
        is_right = secrets.compare_digest(_hashed(password, salt), expected)
        if not is_right or user_id is None:
            raise unauthorized()
        if expected_code is None:
            return user_id
        if code is None:
            return None
        if not secrets.compare_digest(code.encode(), expected_code.encode()):
            raise unauthorized()
        return user_id

    def issue_token(self, user_id: str, *, session: bool, expires_in: float) -> str:
        """Return a bearer token that lives `expires_in` seconds; with `session` it carries a `jti`."""
        self.user(user_id)
        if not session:
            return self._token(user_id, expires_in, {})
        jti = self._ids()
        self._db.execute(
            "INSERT INTO sessions (jti, user_id, csrf_token) VALUES (?, ?, ?)", (jti, user_id, secrets.token_hex(16))
        )
        return self._token(user_id, expires_in, {"jti": jti})

    def refreshed_token(self, caller: Caller, *, expires_in: float) -> str:
        """Return a new token of the caller's session; refuses (401) a caller with an API key."""
        if caller.by_key:
            raise unauthorized()
        if self.rotates_tokens and caller.session:
            self._db.execute("DELETE FROM sessions WHERE jti = ?", (caller.session,))
            return self.issue_token(caller.user_id, session=True, expires_in=expires_in)
        return self._token(caller.user_id, expires_in, {"jti": caller.session} if caller.session else {})

    def end_sessions(self, user_id: str) -> None:
        """Refuse every token of the user's sessions from now on."""
        self._db.execute("DELETE FROM sessions WHERE user_id = ?", (user_id,))

    def add_api_key(self, user_id: str, scopes: Iterable[str]) -> str:
        """Return a new key of the user with these scopes."""
        self.user(user_id)
        key = f"sk_sandbox_{secrets.token_hex(16)}"
        self._db.execute("INSERT INTO api_keys VALUES (?, ?, ?)", (key, user_id, " ".join(scopes)))
        return key

    def caller_by_token(self, token: str) -> Caller:
        """Return who holds `token`; refuses (401) one that is forged, expired or of a closed session."""
        try:
            # Times are checked below, by the store's clock.
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                options={"require": ["sub", "exp"], "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except jwt.InvalidTokenError as error:
            raise unauthorized() from error
        if claims["exp"] <= self._clock().timestamp():
            raise unauthorized()
        row = self._db.execute("SELECT organization_id FROM users WHERE id = ?", (claims["sub"],)).fetchone()
        session = claims.get("jti")
        if row is None or (session and self.csrf_token(session) is None):
            raise unauthorized()
        return Caller(claims["sub"], row[0], ALL_SCOPES, f"user:{claims['sub']}", session)

    def caller_by_key(self, key: str) -> Caller:
        """Return who holds the API key; refuses (401) an unknown one."""
        row = self._db.execute(
            "SELECT user_id, scopes, organization_id FROM api_keys JOIN users ON users.id = user_id WHERE key = ?",
            (key,),
        ).fetchone()
        if row is None:
            raise unauthorized()
        return Caller(row[0], row[2], frozenset(row[1].split()), f"key:{key}", by_key=True)

    def csrf_token(self, session: str) -> str | None:
        """Return the CSRF token of a session, or None where there is no such session."""
        row = self._db.execute("SELECT csrf_token FROM sessions WHERE jti = ?", (session,)).fetchone()
        return row and row[0]

    def require_csrf(self, caller: Caller, token: str | None) -> None:
        """Refuse (403) a write of a session without its present CSRF token."""
        if caller.session is None:
            return
        if not token:
            raise Refusal(403, "CSRF token required")
        if not secrets.compare_digest(token.encode(), (self.csrf_token(caller.session) or "").encode()):
            raise Refusal(403, "Invalid CSRF token")

    def rotate_csrf(self, user_id: str) -> None:
        """Give every session of the user a new CSRF token; the next response to each hands it out."""
        self._db.execute(
            "UPDATE sessions SET csrf_token = lower(hex(randomblob(16))), announce = 1 WHERE user_id = ?", (user_id,)
        )

    def announced_csrf(self, caller: Caller) -> str | None:
        """Return the CSRF token that this response hands out after a rotation, once, or None."""
        row = self._db.execute(
            "UPDATE sessions SET announce = 0 WHERE jti = ? AND announce RETURNING csrf_token", (caller.session,)
        ).fetchone()
        return row and row[0]

    def _token(self, user_id: str, expires_in: float, claims: dict[str, str]) -> str:
        now = self._clock().timestamp()
        registered = {"sub": user_id, "iat": int(now), "exp": now + expires_in}
        return jwt.encode({**registered, **claims}, self._secret, algorithm=_ALGORITHM)


def _hashed(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)
