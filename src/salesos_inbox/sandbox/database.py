"""One SQLite file with everyone's mailboxes: opening it, changing it in transactions, counting in it."""

import secrets
import sqlite3
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Final

from salesos_inbox.sandbox import threads

Clock = Callable[[], datetime]
"""Returns the present moment, aware, in UTC."""

_PRAGMAS: Final = (
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "foreign_keys = ON",
    "cache_size = -131072",
    "wal_autocheckpoint = 8192",  # a page that many imported messages touch is copied back once
)


def utc_now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """Return an opaque id as the service makes them: a `c` and 24 lower-case letters or digits.

    Later ones sort after earlier ones, so that new rows lie side by side in the indexes.
    """
    return f"c{time.time_ns() // 1_000_000:011x}{secrets.token_hex(7)[1:]}"


class Database:
    """The connection, the clock and the ids that everything in the sandbox shares.

    Threads in `touched` have messages that their summaries do not know of yet; the end of the
    transaction brings these up to date, once for each thread.
    """

    def __init__(
        self, path: str | Path, *, clock: Clock, ids: Callable[[], str], answers_request_ids: bool = False
    ) -> None:
        # Autocommit; `transaction` opens what belongs together. A server may run in another thread than the opener.
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.row_factory = sqlite3.Row
        self.execute = self.connection.execute
        self.executemany = self.connection.executemany
        try:
            for pragma in _PRAGMAS:
                self.execute(f"PRAGMA {pragma}")
            self.connection.executescript((files("salesos_inbox.sandbox") / "schema.sql").read_text("utf-8"))
        except sqlite3.Error:
            self.connection.close()
            raise
        self.now = clock
        self.new_id = ids
        self.answers_request_ids = answers_request_ids
        self.touched: set[int] = set()
        self._counted: dict[tuple[object, ...], tuple[int, ...]] = {}
        self._counted_at = (-1, -1)

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Make all that happens inside one change: it is written whole, or after an exception not at all.

        Nested ones join the outermost.
        """
        if self.connection.in_transaction:
            yield
            return
        self.execute("BEGIN IMMEDIATE")
        try:
            with self.connection:
                yield
                for thread in sorted(self.touched):
                    threads.summarise(self.connection, thread)
        finally:
            self.touched.clear()

    def count(self, sql: str, values: Sequence[object]) -> int:
        """Return the one whole number that a query counts; see `figures`."""
        (count,) = self.figures(sql, values)
        return count

    def figures(self, sql: str, values: Sequence[object]) -> tuple[int, ...]:
        """Return the one row of whole numbers that a query counts.

        Counts walk through the whole mailbox; they are kept until anything in the file changes.
        """
        state = (self.connection.total_changes, self.execute("PRAGMA data_version").fetchone()[0])
        if state != self._counted_at:
            self._counted_at = state
            self._counted.clear()
        key = (sql, *values)
        if key not in self._counted:
            row = self.execute(sql, tuple(values)).fetchone()
            self._counted[key] = tuple(int(figure or 0) for figure in row)
        return self._counted[key]
