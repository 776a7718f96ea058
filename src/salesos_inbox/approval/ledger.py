"""What was asked, approved, done and undone, in a file that outlives the process (SQLite).

An operation is one effect that needs a person's consent. It moves one way:

    asked ─▶ approved ─▶ claimed ─▶ done | failed (provably not done) | unknown ─▶ done | failed
      │         │                    └─▶ taken_back (cancelled before it left)
      └─▶ declined | nobody_asked
      └────────┴─▶ expired

Each arrow is one atomic statement, synced to the disk before it counts, so that an approval has one
effect over parallel calls, replays, processes and restarts. Several processes may share the file,
and several threads one `Ledger`.

Beside the operations stand the steps that take changes back, and the activity log. Its entries are
sealed in a chain, and a file of its own names the newest one under a seal too, so that `verify`
notices an entry that was changed, moved, added or removed, and a file that was replaced. It cannot
notice what somebody does who has the key, nor that the whole directory was put back as it once was,
or deleted. The log alone is sealed: the operations and the undos are not.
"""

import hmac
import json
import os
import secrets
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self

from salesos_inbox.errors import Conflict, InboxError, InvalidArguments, NotFound, Unavailable

UNDO_DAYS = 30
KEPT_DAYS = 90
"""How long an operation that ended is kept; the log is kept for good."""
KEPT_ROWS = 1000
"""How many operations and undos are kept whatever the clock says, as a clock may jump."""
SAME_MESSAGE_SECONDS = 86400.0
"""How long the same content counts as sent already."""
SAME_PLAN_SECONDS = 86400.0
"""How long a change that was broken off is remembered when the same one is asked for again."""
HOLDS_SECONDS = 300.0
"""How long an approval holds at least, for the call to pick it up."""
LEASE_SECONDS = 60.0
"""How long a claim is believed to be at work; longer than the deadline of a request."""
JUMP_SECONDS = 60.0
"""How far a question may lie in the future before the clock must have been set back."""
BUSY_SECONDS = 5.0
"""How long another process that holds the file is waited for."""

_APPLICATION = 0x53414C45
_VERSION = 1


class State(StrEnum):
    """How far an operation is."""

    ASKED = "asked"
    APPROVED = "approved"
    CLAIMED = "claimed"
    """Being carried out."""
    DONE = "done"
    FAILED = "failed"
    """Provably not done."""
    UNKNOWN = "unknown"
    """A request went out and no answer came."""
    TAKEN_BACK = "taken_back"
    """Done, and cancelled before it left."""
    DECLINED = "declined"
    EXPIRED = "expired"
    NOBODY_ASKED = "nobody_asked"


Outcome = Literal[State.DONE, State.FAILED, State.UNKNOWN]

_MAY_FOLLOW: dict[State, tuple[State, ...]] = {
    State.APPROVED: (State.ASKED,),
    State.DECLINED: (State.ASKED,),
    State.NOBODY_ASKED: (State.ASKED,),
    State.EXPIRED: (State.ASKED, State.APPROVED),
    State.CLAIMED: (State.APPROVED,),
    State.DONE: (State.CLAIMED, State.UNKNOWN, State.FAILED),
    State.FAILED: (State.CLAIMED, State.UNKNOWN),
    State.UNKNOWN: (State.CLAIMED, State.FAILED),
    State.TAKEN_BACK: (State.DONE,),
}
"""The states that each one may follow. Whoever comes back late may know better than a look-up; done stands."""


@dataclass(frozen=True)
class Request:
    """What is to be done: for whom, by which tool, and `fingerprint`, which stands for its exact content.

    `about` is what a log and a look-up need, without any body; `card` is what a person is shown.
    """

    user: str
    tool: str
    effect: str
    fingerprint: str
    about: Mapping[str, Any]
    card: Mapping[str, Any]


@dataclass(frozen=True)
class Operation:
    """An operation as the ledger has it; times are in unix seconds."""

    operation_id: str
    user: str
    tool: str
    effect: str
    fingerprint: str
    about: dict[str, Any]
    card: dict[str, Any] | None
    """None once it is decided."""
    state: State
    asked_at: float
    expires_at: float
    on_page: bool
    decided_by: str | None
    chosen: frozenset[str] | None
    """The items of a plan that a person left ticked; None is all of them."""
    claimed_at: float | None
    finished_at: float | None
    receipt: dict[str, Any]
    draft_id: str | None
    """The draft that was kept where nobody could be asked."""


@dataclass(frozen=True)
class Entry:
    """A line of the activity log."""

    number: int
    at: float
    user: str
    what: str
    tool: str
    operation_id: str | None
    about: dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One request that takes (a part of) a change back.

    `action` is a bulk action, or `link`, `unlink`, `set_follow_up`, `remove_follow_up`,
    `cancel_scheduled`; the other fields are what that request needs.
    """

    action: str
    thread_ids: tuple[str, ...]
    folder: str | None = None
    record_type: str | None = None
    record_id: str | None = None
    remind_at: str | None = None
    note: str | None = None
    scheduled_id: str | None = None


_OPEN = "state IN ('asked', 'approved', 'claimed')"
_SAME = "user = ? AND fingerprint = ?"
_THIS = "operation_id = ?"
_ASKED = f"{_THIS} AND state = 'asked'"
_PLANS = (
    "ALTER TABLE undos ADD COLUMN plan TEXT",
    "CREATE INDEX untold_undos ON undos (user, plan) WHERE plan IS NOT NULL",
)
"""What changes stand for whose undo_id nobody was told yet; a ledger made before that gets it when it is opened."""
_SCHEMA = (
    """CREATE TABLE operations (
        number INTEGER PRIMARY KEY,
        operation_id TEXT NOT NULL UNIQUE,
        user TEXT NOT NULL,
        tool TEXT NOT NULL,
        effect TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        about TEXT NOT NULL,
        card TEXT,
        state TEXT NOT NULL,
        asked_at REAL NOT NULL,
        expires_at REAL NOT NULL,
        on_page INTEGER NOT NULL DEFAULT 0,
        decided_by TEXT,
        chosen TEXT,
        claimed_at REAL,
        leased_until REAL,
        owner TEXT,
        finished_at REAL,
        receipt TEXT,
        told INTEGER NOT NULL DEFAULT 0,
        draft_id TEXT
    )""",
    f"CREATE UNIQUE INDEX one_at_a_time ON operations (user, fingerprint) WHERE {_OPEN}",
    "CREATE INDEX by_content ON operations (user, fingerprint)",
    "CREATE INDEX by_time ON operations (user, effect, claimed_at)",
    """CREATE TABLE undos (
        number INTEGER PRIMARY KEY,
        undo_id TEXT NOT NULL UNIQUE,
        user TEXT NOT NULL,
        steps TEXT NOT NULL,
        made_at REAL NOT NULL,
        undone_at REAL
    )""",
    *_PLANS,
    """CREATE TABLE entries (
        number INTEGER PRIMARY KEY,
        document TEXT NOT NULL,
        seal TEXT NOT NULL
    )""",
)


class Ledger:
    """The ledger in the file `path`, or in memory where None.

    `key` seals the log, or gets what does when the file is opened; without one its chain shows accidents,
    and nothing that was done on purpose.
    `patience` is how many seconds another process that holds the file is waited for.
    One that is `read_only` is only looked at: no file is made, changed or mended.

    Every method raises `Unavailable` where the file cannot be used; then nothing was recorded, and
    nothing may be done. The next use tries the file anew.
    """

    def __init__(
        self,
        path: Path | None = None,
        key: bytes | Callable[[], bytes] = b"",
        *,
        patience: float = BUSY_SECONDS,
        read_only: bool = False,
    ) -> None:
        self._path = path
        self._get_key = key if callable(key) else lambda: key
        self._key = b""
        self._patience = patience
        self._read_only = read_only
        self._owner = secrets.token_hex(8)
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        """Which file the connection is to, so that one put in its place is noticed."""
        self._unsealed: list[dict[str, Any]] = []
        """The entries of the transaction under way."""
        self._has_claimed = False
        self._wiped = False
        """Whether a card was wiped that may still stand in the write-ahead log."""
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the file go; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    # Operations

    def begin(self, request: Request, *, now: float, until: float, earlier: str | None = None) -> Operation:
        """Record that `request` is about to be asked, until `until`, and return its operation.

        Where the same content was attempted within a day by another operation than `earlier`, of which the
        card then says nothing, or is in progress already, or a decision on it waits to be told, that
        operation is returned instead.
        """
        same = (request.user, request.fingerprint)
        about, card = json.dumps(dict(request.about)), json.dumps(dict(request.card))
        with self._transaction() as database:
            self._pass_time(database, now)
            found = _first(database, _ATTEMPTED, *same, now - SAME_MESSAGE_SECONDS)
            if found and found.operation_id != earlier and found.state is not State.FAILED:
                return found
            if found := _first(database, f"{_SAME} AND {_OPEN}", *same):
                database.execute(
                    f"UPDATE operations SET about = ?, card = ?, expires_at = max(expires_at, ?) WHERE {_ASKED}",
                    (about, card, until, found.operation_id),
                )
                return _get(database, found.operation_id) or found
            if found := _first(database, _UNTOLD, *same, now - SAME_MESSAGE_SECONDS):
                database.execute(_TELL, (found.operation_id,))
                return found
            rows = database.execute(
                "INSERT INTO operations"
                " (operation_id, user, tool, effect, fingerprint, about, card, state, asked_at, expires_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, 'asked', ?, ?) RETURNING *",
                (str(uuid.uuid4()), request.user, request.tool, request.effect, request.fingerprint,
                 about, card, now, until),
            ).fetchall()  # fmt: skip
            database.execute(_FORGET_OPERATIONS, (now - KEPT_DAYS * 86400, KEPT_ROWS))
            operation = _operation(rows[0])
            self._log(now, "asked", operation, operation.about)
            return operation

    def read(self, operation_id: str) -> Operation | None:
        """Return an operation, None where there is none of that id."""
        with self._file_in_hand() as database:
            return _get(database, operation_id)

    def attempted(self, user: str, fingerprint: str, now: float) -> Operation | None:
        """Return the newest operation of this content that was carried out, or tried, within a day.

        One that is known to have failed is returned only where there is no other.
        """
        with self._transaction() as database:
            self._pass_time(database, now)
            return _first(database, _ATTEMPTED, user, fingerprint, now - SAME_MESSAGE_SECONDS)

    def sent_draft(self, user: str, draft_id: str, now: float) -> Operation | None:
        """Return the newest operation that sent, or tried to send, this draft within a day."""
        with self._transaction() as database:
            self._pass_time(database, now)
            return _first(database, _OF_DRAFT, user, draft_id, now - SAME_MESSAGE_SECONDS)

    def take_back(self, user: str, scheduled_id: str, now: float) -> None:
        """Record that a scheduled message was cancelled: the same content is then another message."""
        which = "user = ? AND json_extract(receipt, '$.scheduled_id') = ?"
        with self._transaction() as database:
            for operation in self._move(database, State.TAKEN_BACK, which, user, scheduled_id):
                self._log(now, "taken back", operation, operation.about)

    def has_unfinished(self) -> bool:
        """Return whether anybody's operation is at work or of unknown outcome; makes no file where there is none."""
        if self._path is None or not self._path.exists():
            return False
        with self._file_in_hand() as database:
            return _first(database, "state IN ('claimed', 'unknown')") is not None

    def unfinished(self, user: str, now: float) -> list[Operation]:
        """Return the operations whose outcome is not known, the oldest first."""
        with self._transaction() as database:
            self._pass_time(database, now)
            return _all(database, "user = ? AND state = 'unknown' ORDER BY number", user)

    def doubtful(self, user: str, body_digest: str) -> list[Operation]:
        """Return the messages of this text of which it is not known whether they left, the newest first."""
        with self._file_in_hand() as database:
            return _all(database, _DOUBTFUL, user, body_digest)

    def known_messages(self, user: str) -> frozenset[str]:
        """Return the ids of the messages that operations are known to have sent or scheduled."""
        with self._file_in_hand() as database:
            rows = database.execute("SELECT receipt FROM operations WHERE user = ? AND state = 'done'", (user,))
            receipts = [_document(row["receipt"]) for row in rows]
        return frozenset(str(item) for receipt in receipts for item in receipt.get("message_ids", ()))

    def waiting(self, user: str, now: float) -> list[Operation]:
        """Return what waits for the user's decision on the page, the oldest first."""
        with self._transaction() as database:
            self._pass_time(database, now)
            return _all(database, "user = ? AND state = 'asked' AND on_page ORDER BY number", user)

    def put_on_page(self, operation_id: str, until: float) -> None:
        """Let an operation be decided on the page too, until `until`."""
        with self._transaction() as database:
            database.execute(
                f"UPDATE operations SET on_page = 1, expires_at = max(expires_at, ?) WHERE {_ASKED}",
                (until, operation_id),
            )

    def decide(
        self, operation_id: str, approve: bool, *, by: str, now: float, chosen: Collection[str] | None = None
    ) -> Operation | None:
        """Record a decision and return the operation as it is then: the first decision stands.

        `by` is who decided, in words; `chosen` are the items that an approval covers, None for all.
        """
        with self._transaction() as database:
            self._pass_time(database, now)
            if approve:
                ticked = None if chosen is None else json.dumps(sorted(chosen))
                moved = self._move(database, State.APPROVED, _THIS, operation_id, decided_by=by, chosen=ticked)
                database.executemany(
                    f"UPDATE operations SET expires_at = max(expires_at, ?) WHERE {_THIS}",
                    [(now + HOLDS_SECONDS, operation.operation_id) for operation in moved],
                )
            else:
                moved = self._move(database, State.DECLINED, _THIS, operation_id, decided_by=by)
            for operation in moved:
                count = None if operation.chosen is None else len(operation.chosen)
                self._log(
                    now,
                    "approved" if approve else "declined",
                    operation,
                    {**operation.about, "by": by, "chosen": count},
                )
            return _get(database, operation_id)

    def give_up(self, operation_id: str, now: float) -> Operation | None:
        """Record that nobody could be asked, and return the operation as it is then."""
        with self._transaction() as database:
            for operation in self._move(database, State.NOBODY_ASKED, _THIS, operation_id):
                self._log(now, "nobody asked", operation, operation.about)
            return _get(database, operation_id)

    def expire(self, operation_id: str, now: float) -> None:
        """Record that a decision came too late, or never, and that the caller was told so."""
        with self._transaction() as database:
            for operation in self._move(database, State.EXPIRED, _THIS, operation_id):
                self._log(now, "expired", operation, operation.about)
            database.execute(_TELL, (operation_id,))

    def tell(self, operation_id: str) -> None:
        """Record that the caller was told the decision; the same call asks anew from then on."""
        with self._transaction() as database:
            database.execute(_TELL, (operation_id,))

    def claim(self, operation_id: str, now: float, *, most_per_hour: int | None = None) -> bool:
        """Use up an approval, in one statement; True for one caller only, over all processes.

        A message is not claimed where `most_per_hour` were sent by its user already.
        """
        with self._transaction() as database:
            self._pass_time(database, now)
            moved = self._move(
                database, State.CLAIMED, f"{_THIS} AND ({_ROOM_THIS_HOUR})", operation_id,
                most_per_hour, now - 3600, most_per_hour,
                claimed_at=now, leased_until=now + LEASE_SECONDS, owner=self._owner,
            )  # fmt: skip
            self._has_claimed |= bool(moved)
            return bool(moved)

    def prolong(self, operation_id: str, now: float) -> None:
        """Say that an operation of many requests is still at work.

        Where that cannot be recorded its claim runs out, and its outcome counts as unknown.
        """
        with suppress(Unavailable), self._transaction() as database:
            database.execute(
                f"UPDATE operations SET leased_until = ? WHERE {_THIS} AND state = 'claimed'",
                (now + LEASE_SECONDS, operation_id),
            )

    def finish(
        self, operation_id: str, outcome: Outcome, now: float, *, receipt: Mapping[str, Any] | None = None, what: str
    ) -> None:
        """Record what became of a claimed operation, or of one whose outcome was unknown; `what` is the log's word."""
        document = json.dumps(dict(receipt or {}))
        with self._transaction() as database:
            moved = self._move(database, outcome, _THIS, operation_id, finished_at=now, receipt=document, told=1)
            for operation in moved:
                self._log(now, what, operation, {**operation.about, **operation.receipt})

    def abandon(self, now: float) -> None:
        """Record as unknown what this process is carrying out, as it must end."""
        if not self._has_claimed:
            return  # and makes no file where none was needed
        with self._transaction() as database:
            self._lose(database, f"{_OPEN} AND owner = ?", self._owner, now=now)

    def sends_since(self, user: str, moment: float) -> int:
        """Return how many messages were sent, or tried, since `moment`."""
        with self._file_in_hand() as database:
            return int(database.execute(_SENDS.format("?"), (user, moment)).fetchone()[0])

    def keep_draft(self, user: str, fingerprint: str, draft_id: str) -> None:
        """Remember the draft in which a message of this content was kept."""
        with self._transaction() as database:
            database.execute(f"UPDATE operations SET draft_id = ? WHERE {_SAME}", (draft_id, user, fingerprint))

    def kept_draft(self, user: str, fingerprint: str) -> str | None:
        """Return the draft in which a message of this content was kept last."""
        with self._file_in_hand() as database:
            found = _first(database, f"{_SAME} AND draft_id IS NOT NULL ORDER BY number DESC", user, fingerprint)
        return found.draft_id if found else None

    def _move(
        self, database: sqlite3.Connection, to: State, condition: str, *values: str | float | None,
        **columns: str | float | None,
    ) -> list[Operation]:  # fmt: skip
        """Move the operations that meet `condition` to the state `to`, where it may follow; return them.

        A card has no more use from then on.
        """
        settings = ", ".join(["state = ?", "card = NULL", *(f"{name} = ?" for name in columns)])
        before = ", ".join(f"'{state}'" for state in _MAY_FOLLOW[to])
        rows = database.execute(
            f"UPDATE operations SET {settings} WHERE ({condition}) AND state IN ({before}) RETURNING *",
            (to, *columns.values(), *values),
        ).fetchall()
        self._wiped |= bool(rows) and State.ASKED in _MAY_FOLLOW[to]
        return [_operation(row) for row in sorted(rows, key=lambda row: row["number"])]

    def _pass_time(self, database: sqlite3.Connection, now: float) -> None:
        """End what waited too long, or was asked in what is now the future; and claims that nobody works on."""
        late = f"{_OPEN} AND (expires_at <= ? OR asked_at > ?)"
        for operation in self._move(database, State.EXPIRED, late, now, now + JUMP_SECONDS):
            self._log(now, "expired", operation, operation.about)
        over = f"{_OPEN} AND (leased_until <= ? OR leased_until > ?)"
        self._lose(database, over, now, now + LEASE_SECONDS + JUMP_SECONDS, now=now)

    def _lose(self, database: sqlite3.Connection, condition: str, *values: str | float, now: float) -> None:
        claimed = f"({condition}) AND state = 'claimed'"
        for operation in self._move(database, State.UNKNOWN, claimed, *values, finished_at=now):
            self._log(now, "interrupted", operation, operation.about)

    # Undo

    def keep_undo(
        self,
        user: str,
        steps: Sequence[Step],
        now: float,
        *,
        tool: str,
        about: Mapping[str, Any] | None = None,
        what: str | None = "changed",
        undo_id: str | None = None,
        plan: str | None = None,
    ) -> str:
        """Keep what takes a change of `user` back, and return the id to ask for it by.

        A change that takes long is kept as it goes, by the `undo_id` it got first; without steps there is nothing
        left to take back. `plan` stands for what was asked for, as long as nobody was told the id: see `untold_undo`.
        `what` is the log's word, None for no entry.
        """
        new, undo_id = undo_id is None, undo_id or f"undo_{secrets.token_hex(8)}"
        document = json.dumps([asdict(step) for step in steps])
        with self._transaction() as database:
            if new and plan is not None:  # it takes back what those before it do
                database.execute("UPDATE undos SET plan = NULL WHERE user = ? AND plan = ?", (user, plan))
            if steps:
                database.execute(_KEEP_UNDO, (undo_id, user, document, now, plan))
            else:
                database.execute("DELETE FROM undos WHERE undo_id = ? AND user = ?", (undo_id, user))
            database.execute(_FORGET_UNDOS, (now - UNDO_DAYS * 86400, KEPT_ROWS))
            if what:
                self._enter(now, user, what, tool, {**(about or {}), "undo_id": undo_id})
        return undo_id

    def untold_undo(self, user: str, plan: str, now: float) -> tuple[str, list[Step]] | None:
        """Return the undo of a change that was broken off within a day, by a crash or a cancelled call.

        Nobody was told its id, so whoever asks for the same change again is.
        """
        with self._file_in_hand() as database:
            row = database.execute(
                "SELECT undo_id, steps FROM undos WHERE user = ? AND plan = ? AND made_at > ? AND undone_at IS NULL"
                " ORDER BY number DESC",
                (user, plan, now - SAME_PLAN_SECONDS),
            ).fetchone()
        return (row["undo_id"], _steps(row["steps"])) if row else None

    def read_undo(self, user: str, undo_id: str, now: float) -> list[Step]:
        """Return the steps of an undo without using it up. Raises as `take_undo` does."""
        values = (undo_id, user, now - UNDO_DAYS * 86400)
        with self._file_in_hand() as database:
            row = database.execute(f"SELECT steps FROM undos WHERE {_UNDO} AND undone_at IS NULL", values).fetchone()
            if row is None:
                raise _no_undo(database, *values)
            return _steps(row["steps"])

    def take_undo(self, user: str, undo_id: str, now: float) -> list[Step]:
        """Return the steps of an undo and mark it as used, in one statement.

        Raises `NotFound` for an id that this user does not have, `Conflict` for one already used.
        """
        values = (undo_id, user, now - UNDO_DAYS * 86400)
        with self._transaction() as database:
            rows = database.execute(
                f"UPDATE undos SET undone_at = ? WHERE {_UNDO} AND undone_at IS NULL RETURNING steps", (now, *values)
            ).fetchall()
            if not rows:
                raise _no_undo(database, *values)
            self._enter(now, user, "undone", "undo_change", {"undo_id": undo_id})
            return _steps(rows[0]["steps"])

    # The activity log

    def note(self, user: str, what: str, tool: str, about: Mapping[str, Any], now: float) -> None:
        """Write an entry of its own into the log."""
        with self._transaction():
            self._enter(now, user, what, tool, about)

    def entries(self, limit: int | None = None) -> list[Entry]:
        """Return the log's entries, the oldest first; with `limit` the newest ones only."""
        with self._file_in_hand() as database:
            rows = database.execute(
                "SELECT number, CAST(document AS BLOB) AS document FROM entries ORDER BY number DESC LIMIT ?",
                (-1 if limit is None else limit,),
            ).fetchall()
        return [_entry(row) for row in reversed(rows)]

    def verify(self) -> str | None:
        """Return what is wrong with the log, None where every entry is as it was written and none is missing."""
        with self._file_in_hand() as database:
            rows = database.execute(
                "SELECT number, CAST(document AS BLOB) AS document, CAST(seal AS BLOB) AS seal"
                " FROM entries ORDER BY number"
            ).fetchall()
            before = b""
            for place, row in enumerate(rows, start=1):
                if row["number"] != place:
                    return f"Entry {place} of the log is missing."
                if row["seal"] != self._seal(before, place, row["document"]):
                    return f"Entry {place} of the log is not as it was written, or is sealed with another key."
                before = row["seal"]
            for entry in (_entry(row) for row in rows if _BROKEN.encode() in row["document"]):
                if entry.what == _BROKEN:
                    return f"Noticed when entry {entry.number} was written: {entry.about.get('note')}"
            return self._missing(database)

    def _log(self, now: float, what: str, operation: Operation, about: Mapping[str, Any] | None = None) -> None:
        self._enter(now, operation.user, what, operation.tool, about or {}, operation.operation_id)

    def _enter(
        self, now: float, user: str, what: str, tool: str, about: Mapping[str, Any], operation_id: str | None = None
    ) -> None:
        """Add an entry to the transaction under way."""
        shown = {name: value for name, value in about.items() if name in _LOGGED and value not in (None, [], "")}
        self._unsealed.append(
            {"at": now, "user": user, "what": what, "tool": tool, "operation_id": operation_id, "about": shown}
        )

    def _append(self, database: sqlite3.Connection) -> None:
        """Add the transaction's entries to the chain, after one that says what is missing from it."""
        number, before = _last(database)
        if missing := self._missing(database):
            first = self._unsealed[0]
            self._enter(first["at"], "", _BROKEN, "", {"note": missing})
            self._unsealed.insert(0, self._unsealed.pop())
        elif number == 0 and self._head is not None:
            self._write_head(0, b"")  # from now on there is one
        for entry in self._unsealed:
            number, document = number + 1, json.dumps(entry, separators=(",", ":")).encode()
            before = self._seal(before, number, document)
            database.execute("INSERT INTO entries VALUES (?, ?, ?)", (number, document.decode(), before.decode()))

    def _seal(self, before: bytes, number: int, document: bytes) -> bytes:
        text = b"%b\n%d\n%b" % (before, number, document)
        return hmac.digest(self._key, text, "sha256").hex().encode()

    @property
    def _head(self) -> Path | None:
        """The file that names the newest entry, so that a log cut short, or replaced, is noticed."""
        return self._path.with_suffix(".head") if self._path else None

    def _missing(self, database: sqlite3.Connection) -> str | None:
        """Return what the head knows and the log does not have."""
        if self._head is None:
            return None
        try:
            number, seal, own = self._head.read_bytes().split()
            if own != self._seal(seal, int(number), b"head"):
                raise ValueError
        except FileNotFoundError:
            return f"{self._head.name}, which names the newest entry, is missing." if _last(database)[0] else None
        except (OSError, ValueError):
            return f"{self._head.name}, which names the newest entry, is not as it was left."
        if not int(number):
            return None
        row = database.execute("SELECT CAST(seal AS BLOB) FROM entries WHERE number = ?", (int(number),)).fetchone()
        there = row is not None and row[0] == seal
        return None if there else f"The log once had {int(number)} entries, and they are not there as they were."

    def _name_newest(self, database: sqlite3.Connection) -> None:
        """Let the head name the newest entry, once that is committed: it may fall behind the log, not go before it."""
        if self._head is None:
            return
        with suppress(OSError, sqlite3.Error):  # what was done is committed
            named, last = None, _last(database)
            while named != last:  # another process may have written one in the meantime
                self._write_head(*last)
                named, last = last, _last(database)

    def _write_head(self, number: int, seal: bytes) -> None:
        assert self._head is not None
        draft = self._head.with_name(f"{self._head.name}.{self._owner}")
        seal = seal or b"-"
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(b"%d %b %b\n" % (number, seal, self._seal(seal, number, b"head")))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._head)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    # The file

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        """Commit what is done within and its entries, or nothing of it."""
        with self._file_in_hand() as database:
            self._unsealed.clear()
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                if self._unsealed:
                    self._append(database)
                database.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    database.execute("ROLLBACK")
                raise
            if self._unsealed:
                self._name_newest(database)
            if self._wiped:
                self._wiped = not _emptied_wal(database)

    @contextmanager
    def _file_in_hand(self) -> Generator[sqlite3.Connection]:
        """Open the file if need be; what goes wrong with it is told in words, and the next use opens it anew."""
        with self._lock:
            try:
                yield self._opened()
            except Unavailable:
                self._let_go()
                raise
            except InboxError:
                raise
            except UnicodeEncodeError as error:
                raise InvalidArguments(_NO_TEXT) from error
            except sqlite3.Error as error:
                code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)  # none where a text cannot be read
                if code & 0xFF != sqlite3.SQLITE_BUSY:  # the lowest byte is the kind of an error
                    self._let_go()
                raise Unavailable(_WORDS.get(code & 0xFF, _UNUSABLE)) from error
            except OSError as error:
                raise Unavailable(_UNUSABLE) from error

    def _let_go(self) -> None:
        if self._path is not None:
            self.close()

    def _opened(self) -> sqlite3.Connection:
        if self._path is not None and self._connection is not None and _identity(self._path) != self._file:
            self.close()
        if self._connection is None:
            if self._path is not None:
                self._key = self._get_key()
                if not self._read_only:
                    _create(self._path)
                self._file = _identity(self._path)
            open_file = _open_read_only if self._read_only else _open
            self._connection = open_file(self._path, self._patience)
            self._wiped = not self._read_only  # by a process that was killed before it could empty the write-ahead log
        return self._connection


_BROKEN = "log broken"
_UNDO = "undo_id = ? AND user = ? AND made_at > ?"
_UNTOLD = f"{_SAME} AND NOT told AND on_page AND state IN ('declined', 'expired') AND asked_at > ? ORDER BY number DESC"
_ATTEMPTED = (
    f"{_SAME} AND (claimed_at > ? OR state = 'unknown') AND state != 'taken_back'"
    " ORDER BY state = 'failed', json_extract(receipt, '$.looked_up') IS NULL, number DESC"
)
"""What is in doubt, or was, before what plainly failed."""
_DOUBTFUL = (
    "user = ? AND effect = 'send' AND state = 'unknown' AND json_extract(about, '$.body_digest') = ?"
    " ORDER BY number DESC"
)
_OF_DRAFT = (
    "user = ? AND json_extract(about, '$.draft_id') = ? AND claimed_at > ?"
    " AND state NOT IN ('failed', 'taken_back') ORDER BY number DESC"
)
_SENDS = (
    "SELECT count(*) FROM operations AS sent"
    " WHERE sent.user = {} AND sent.effect = 'send' AND sent.claimed_at > ? AND sent.state != 'failed'"
)
_ROOM_THIS_HOUR = f"? IS NULL OR effect != 'send' OR ({_SENDS.format('operations.user')}) < ?"
_TELL = f"UPDATE operations SET told = 1 WHERE {_THIS}"
_FORGET_OPERATIONS = (
    "DELETE FROM operations WHERE asked_at < ? AND number <= (SELECT max(number) FROM operations) - ?"
    f" AND state != 'unknown' AND NOT {_OPEN}"
)
_KEEP_UNDO = (
    "INSERT INTO undos (undo_id, user, steps, made_at, plan) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (undo_id) DO UPDATE SET steps = excluded.steps, plan = excluded.plan, undone_at = NULL"
)
"""What was undone while the change went on is to be undone once more, as far as it went on."""
_FORGET_UNDOS = "DELETE FROM undos WHERE made_at < ? AND number <= (SELECT max(number) FROM undos) - ?"
_LOGGED = frozenset(
    {
        "action", "attachments", "bcc", "by", "cc", "chosen", "draft_id", "folder", "note", "record", "scheduled_for",
        "scheduled_id", "subject", "thread_id", "thread_ids", "threads", "to", "undo_id",
    }
)  # fmt: skip
"""What an entry may say of an operation; no body is among it."""


def _all(database: sqlite3.Connection, condition: str, *values: str | float) -> list[Operation]:
    return [_operation(row) for row in database.execute(f"SELECT * FROM operations WHERE {condition}", values)]


def _first(database: sqlite3.Connection, condition: str, *values: str | float) -> Operation | None:
    return next(iter(_all(database, f"{condition} LIMIT 1", *values)), None)


def _get(database: sqlite3.Connection, operation_id: str) -> Operation | None:
    return _first(database, _THIS, operation_id)


def _last(database: sqlite3.Connection) -> tuple[int, bytes]:
    row = database.execute("SELECT number, CAST(seal AS BLOB) FROM entries ORDER BY number DESC LIMIT 1").fetchone()
    return (row[0], row[1]) if row else (0, b"")


def _operation(row: sqlite3.Row) -> Operation:
    try:
        return Operation(
            operation_id=row["operation_id"],
            user=row["user"],
            tool=row["tool"],
            effect=row["effect"],
            fingerprint=row["fingerprint"],
            about=_document(row["about"]),
            card=_document(row["card"]) if row["card"] else None,
            state=State(row["state"]),
            asked_at=row["asked_at"],
            expires_at=row["expires_at"],
            on_page=bool(row["on_page"]),
            decided_by=row["decided_by"],
            chosen=frozenset(json.loads(row["chosen"])) if row["chosen"] is not None else None,
            claimed_at=row["claimed_at"],
            finished_at=row["finished_at"],
            receipt=_document(row["receipt"]),
            draft_id=row["draft_id"],
        )
    except (ValueError, TypeError) as error:
        raise Unavailable(_DAMAGED) from error


def _document(text: str | None) -> dict[str, Any]:
    try:
        return json.loads(text) if text else {}
    except ValueError as error:
        raise Unavailable(_DAMAGED) from error


def _no_undo(database: sqlite3.Connection, *values: str | float) -> InboxError:
    """Return why an undo is not to be had: there is none, or it is used."""
    if database.execute(f"SELECT 1 FROM undos WHERE {_UNDO}", values).fetchone():
        return Conflict("That change was undone before, and nothing was done again: read the threads instead.")
    return NotFound("There is no such undo_id: use the one that the answer of a change handed out.")


def _steps(text: str) -> list[Step]:
    try:
        items: list[dict[str, Any]] = json.loads(text)
        for item in items:
            item["thread_ids"] = tuple(item["thread_ids"])
        return [Step(**item) for item in items]
    except (ValueError, TypeError, KeyError) as error:
        raise Unavailable(_DAMAGED) from error


def _entry(row: sqlite3.Row) -> Entry:
    """Return an entry; one that somebody has made unreadable says so, and does not hide the others."""
    try:
        return Entry(number=row["number"], **json.loads(row["document"]))
    except (ValueError, TypeError):
        return Entry(row["number"], 0.0, "", "unreadable", "", None, {})


def _identity(path: Path) -> tuple[int, int] | None:
    with suppress(FileNotFoundError):
        status = path.stat()
        return status.st_dev, status.st_ino
    return None


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    if not path.is_file():
        raise Unavailable(_DAMAGED)


def _open(path: Path | None, patience: float) -> sqlite3.Connection:
    database = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=patience, check_same_thread=False)
    database.row_factory = sqlite3.Row
    try:
        database.execute("BEGIN")
        _is_new(database)  # before anything is written into what may not be ours
        database.execute("COMMIT")
        if path is not None:
            path.chmod(0o600)
        _into_wal(database, patience)
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA fullfsync = ON")  # macOS needs it for a sync that reaches the disk
        database.execute("PRAGMA secure_delete = ON")  # cards hold messages, until they are decided
        database.execute("BEGIN IMMEDIATE")
        if _is_new(database):
            for statement in _SCHEMA:
                database.execute(statement)
            database.execute(f"PRAGMA application_id = {_APPLICATION}")
            database.execute(f"PRAGMA user_version = {_VERSION}")
        elif "plan" not in {row["name"] for row in database.execute("PRAGMA table_info(undos)")}:
            for statement in _PLANS:  # older servers of this version go on without
                database.execute(statement)
        database.execute("COMMIT")
        if database.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
            raise Unavailable(_DAMAGED)
    except BaseException:
        database.close()
        raise
    return database


def _open_read_only(path: Path | None, patience: float) -> sqlite3.Connection:
    assert path is not None
    # While a server runs, its write-ahead log is read as well; else nothing but the file is touched.
    mode = "mode=ro" if path.with_name(f"{path.name}-shm").exists() else "immutable=1"
    database = sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None, timeout=patience, check_same_thread=False
    )
    database.row_factory = sqlite3.Row
    try:
        if _is_new(database) or database.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
            raise Unavailable(_DAMAGED)
    except BaseException:
        database.close()
        raise
    return database


def _is_new(database: sqlite3.Connection) -> bool:
    """Return whether the file is empty; raises `Unavailable` where it is neither that nor a ledger we can read.

    To be called within a transaction, as another process may be making the ledger.
    """
    application, version = (
        database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    )
    if application == _APPLICATION and version > _VERSION:
        raise Unavailable(_NEWER)
    is_new = (application, version) == (0, 0) and not database.execute("SELECT 1 FROM sqlite_master").fetchone()
    if not is_new and (application, version) != (_APPLICATION, _VERSION):
        raise Unavailable(_DAMAGED)
    return is_new


def _into_wal(database: sqlite3.Connection, patience: float) -> None:
    """Switch to write-ahead logging; while another process does the same, that is refused without waiting."""
    deadline = time.monotonic() + patience
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _emptied_wal(database: sqlite3.Connection) -> bool:
    """Cut the write-ahead log to nothing, where what was wiped still stands; False while another process uses it."""
    patience = database.execute("PRAGMA busy_timeout").fetchone()[0]
    database.execute("PRAGMA busy_timeout = 0")
    try:
        return not database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.Error:
        return False
    finally:
        database.execute(f"PRAGMA busy_timeout = {patience}")


_DAMAGED = (
    "The server's ledger is damaged or belongs to something else, so nothing was done: ask the user to move "
    "the files ledger.* out of SALESOS_STATE_DIR; what was sent and could be undone before is recorded only there."
)
_NEWER = (
    "The server's ledger was written by a newer version of this server, so nothing was done: "
    "ask the user to start that version, or to set SALESOS_STATE_DIR to another directory."
)
_UNUSABLE = (
    "The server cannot keep its ledger, so nothing was done: "
    "ask the user to check that SALESOS_STATE_DIR can be written to and has room."
)
_NO_TEXT = "An id or a name holds characters that are no text, so nothing was done: correct it."
_WORDS = {
    sqlite3.SQLITE_FULL: "The disk is full and the server cannot keep its ledger, so nothing was done: "
    "ask the user to make room, then call again.",
    sqlite3.SQLITE_BUSY: "Another program holds the server's ledger, so nothing was done: call again in a minute.",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_ERROR: _DAMAGED,  # a table or a column is not there
}
