"""What was approved and what can be taken back, in a file that outlives the process (SQLite).

An approval is used up by one atomic statement; the steps that reverse a change are kept under an
id that cannot be guessed, for the user who made the change.
"""

import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from salesos_inbox.errors import Conflict, NotFound, Unavailable

UNDO_DAYS = 30

_SCHEMA = """
CREATE TABLE IF NOT EXISTS claims (operation TEXT PRIMARY KEY, claimed_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (
    undo_id TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    steps TEXT NOT NULL,
    made_at REAL NOT NULL,
    undone_at REAL
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Step:
    """One request that takes (a part of) a change back.

    `action` is a bulk action, or `link`, `unlink`, `set_follow_up`, `remove_follow_up`; the other
    fields are what that request needs.
    """

    action: str
    thread_ids: tuple[str, ...]
    folder: str | None = None
    record_type: str | None = None
    record_id: str | None = None
    remind_at: str | None = None
    note: str | None = None


class Ledger:
    """The ledger in the file `path`, or in memory where None. Raises `Unavailable` where it cannot be kept."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the file go; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def claim(self, operation: str, now: float) -> bool:
        """Use up the approval of `operation`; True for the first caller only, over all processes."""
        changed = self._execute("INSERT OR IGNORE INTO claims VALUES (?, ?)", operation, now).rowcount
        return changed == 1

    def keep_undo(self, user: str, steps: Sequence[Step], now: float) -> str:
        """Keep what takes a change of `user` back, and return the id to ask for it by."""
        undo_id = f"undo_{secrets.token_hex(8)}"
        document = json.dumps([asdict(step) for step in steps])
        self._execute("DELETE FROM changes WHERE made_at < ?", now - UNDO_DAYS * 86400)
        self._execute("INSERT INTO changes VALUES (?, ?, ?, ?, NULL)", undo_id, user, document, now)
        return undo_id

    def read_undo(self, user: str, undo_id: str) -> list[Step]:
        """Return the steps of an undo without using it up; none where there is no such undo, or it is used."""
        rows = self._execute(
            "SELECT steps FROM changes WHERE undo_id = ? AND user = ? AND undone_at IS NULL", undo_id, user
        ).fetchall()
        return [_step(document) for document in json.loads(rows[0][0])] if rows else []

    def take_undo(self, user: str, undo_id: str, now: float) -> list[Step]:
        """Return the steps of an undo and mark it as used, in one statement.

        Raises `NotFound` for an id that this user does not have, `Conflict` for one already used.
        """
        rows = self._execute(
            "UPDATE changes SET undone_at = ? WHERE undo_id = ? AND user = ? AND undone_at IS NULL RETURNING steps",
            now,
            undo_id,
            user,
        ).fetchall()
        if not rows:
            used = self._execute("SELECT 1 FROM changes WHERE undo_id = ? AND user = ?", undo_id, user).fetchone()
            if used:
                raise Conflict("That change was undone before, and nothing was done again: read the threads instead.")
            raise NotFound("There is no such undo_id: use the one that the answer of a change handed out.")
        return [_step(document) for document in json.loads(rows[0][0])]

    def release_undo(self, user: str, undo_id: str) -> None:
        """Give an undo back that could not be carried out, so that it can be tried again."""
        self._execute("UPDATE changes SET undone_at = NULL WHERE undo_id = ? AND user = ?", undo_id, user)

    def _execute(self, statement: str, *values: str | float) -> sqlite3.Cursor:
        try:
            if self._connection is None:
                self._connection = _open(self._path)
            return self._connection.execute(statement, values)
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(
                "The server cannot keep its ledger, so nothing was changed: "
                "ask the user to check that SALESOS_STATE_DIR can be written to."
            ) from error


def _step(document: dict[str, Any]) -> Step:
    fields: dict[str, Any] = {**document, "thread_ids": tuple(document["thread_ids"])}
    return Step(**fields)


def _open(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.chmod(0o600)
    connection = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=5.0, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
