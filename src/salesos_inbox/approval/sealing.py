"""The key that seals what leaves this process and comes back, and the keys derived from it.

It lives in the state directory, so that a restart does not void what was asked.
"""

import hmac
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from salesos_inbox.errors import Unavailable

KEY_BYTES = 32
KEY_FILE = "protocol.key"

_OTHERS = 0o077


def read_key(state_dir: Path) -> bytes:
    """Return the key that is kept in `state_dir`, made by the first who asks for it.

    The key is only ever seen whole: processes that begin at the same time agree on one. Raises
    `Unavailable`, with what to do, where there is no key to be had that is ours alone.
    """
    path = state_dir / KEY_FILE
    try:
        if not path.exists():
            _make_key(path)
        return _read(path)
    except OSError as error:
        raise Unavailable(
            f"No key can be kept in {state_dir} ({error.strerror}): "
            "see to it that this user can write there, or set SALESOS_STATE_DIR to another directory."
        ) from error


def derived(key: bytes, purpose: str) -> bytes:
    """Return the key for one `purpose` alone: HKDF-Expand with SHA-256, one block (RFC 5869, 2.3).

    `key` is random already, so nothing is extracted first (3.3).
    """
    return hmac.digest(key, purpose.encode() + b"\x01", "sha256")


def _make_key(path: Path) -> None:
    """Put a new key at `path`, unless another process was first."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(prefix=f".{KEY_FILE}-", dir=path.parent)  # with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(name)
    finally:
        Path(name).unlink()


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        if os.name == "posix" and os.fstat(file.fileno()).st_mode & _OTHERS:
            _close_to_others(path, file.fileno())
        key = file.read(KEY_BYTES + 1)
    if len(key) != KEY_BYTES:
        raise Unavailable(f"{path} does not hold a key of this server: move it away, and a new one is made.")
    return key


def _close_to_others(path: Path, descriptor: int) -> None:
    try:
        os.fchmod(descriptor, 0o600)
    except OSError as error:
        raise Unavailable(
            f"{path} can be read by other users: make it this user's own with mode 600, or move it away."
        ) from error
