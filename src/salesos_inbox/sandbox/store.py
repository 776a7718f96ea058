"""The mailboxes of the sandbox's users in one SQLite file, and every operation of the API on them.

Methods that the routes use take the contract's request models and return its answers; what cannot
be done is raised as a `Refusal`. A store is used from one thread at a time.
"""

import json
import secrets
import sqlite3
import string
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

from salesos_inbox.contract import models
from salesos_inbox.sandbox import answers, threads
from salesos_inbox.sandbox.access import Access
from salesos_inbox.sandbox.envelopes import Page, decode_cursor
from salesos_inbox.sandbox.messages import (
    StoredMessage,
    bracketed,
    duplicate_key,
    from_millis,
    plain_text,
    snippet,
    subject_key,
    to_millis,
)
from salesos_inbox.sandbox.refusals import Refusal, invalid, not_found
from salesos_inbox.sandbox.search import excerpt, fts_query

Clock = Callable[[], datetime]
"""Returns the present moment, aware, in UTC."""

DEFAULT_LIMIT: Final = 20
"""Items on a page where the query does not say."""

MOST_HITS: Final = 3000
"""Messages that one search looks at: what bounds its time in a large mailbox."""

_SYSTEM_FOLDERS: Final = ("inbox", "sent", "drafts", "scheduled", "archive", "trash", "spam")
_HIDDEN: Final = ("trash", "spam")
_NOT_LISTED: Final = ("trash", "spam", "drafts", "scheduled")
# A folder of mail clients shows what threads contain, not only where they lie.
_HOLDING: Final = {"sent": "has_sent", "drafts": "has_draft"}
_TAKES: Final = {**_HOLDING, "scheduled": "FALSE"}
# Where a thread goes when a message joins it, by the message's direction and the thread's folder.
_DRAWN_TO: Final = {
    ("INBOUND", "archive"): "inbox",
    ("INBOUND", "sent"): "inbox",
    ("INBOUND", "drafts"): "inbox",
    ("OUTBOUND", "drafts"): "sent",
}
_SORT_COLUMNS: Final = {"lastMessageAt": "last_message_at", "subject": "subject"}

_ID_ALPHABET: Final = string.digits + string.ascii_lowercase
_ID_LENGTH: Final = 24

_Where = tuple[str, Sequence[object]]


def utc_now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """Return an opaque id as the service makes them: a `c` and 24 lower-case letters or digits."""
    number, digits = secrets.randbelow(36**_ID_LENGTH), ""
    for _ in range(_ID_LENGTH):
        number, digit = divmod(number, 36)
        digits += _ID_ALPHABET[digit]
    return "c" + digits


@dataclass(frozen=True)
class Filed:
    """Where a message was put: its own id, its thread's id, and whether it was new to the mailbox."""

    message_id: str
    thread_id: str
    is_new: bool


@dataclass(frozen=True)
class _Folder:
    id: str
    type: str
    name: str


class Store:
    """All mailboxes on one SQLite connection.

    `path` is a file (kept in WAL mode) or `:memory:`; `clock` and `ids` are what tests replace.
    """

    def __init__(
        self, path: str | Path = ":memory:", *, clock: Clock = utc_now, ids: Callable[[], str] = new_id
    ) -> None:
        # Autocommit; `transaction` opens what belongs together. A server may run in another thread than the opener.
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "cache_size = -131072"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript((files("salesos_inbox.sandbox") / "schema.sql").read_text("utf-8"))
        self._clock = clock
        self._ids = ids
        self._touched: set[int] = set()
        self._counted: dict[tuple[object, ...], tuple[int, ...]] = {}
        self._counted_at = (-1, -1)
        self.access = Access(self._db, clock=clock, ids=ids)

    def close(self) -> None:
        """Close the connection; the store cannot be used afterwards."""
        self._db.close()

    def now(self) -> datetime:
        """Return the present moment by the store's clock."""
        return self._clock()

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Make all that happens inside one change: it is written whole, or after an exception not at all.

        Many messages are filed much faster inside one transaction. Nested ones join the outermost.
        """
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            with self._db:
                yield
                for thread in sorted(self._touched):
                    threads.summarise(self._db, thread)
        finally:
            self._touched.clear()

    # Users, their credentials and records

    def add_user(
        self, email: str, first_name: str = "", last_name: str = "", organization_id: str | None = None
    ) -> str:
        """Return the id of the user with this address, who is made where there is none yet."""
        with self.transaction():
            known = self.access.user_id(email)
            if known is not None:
                return known
            user_id = self._ids()
            self._db.execute(
                "INSERT INTO users VALUES (?, ?, ?, ?, ?)", (user_id, email, first_name, last_name, organization_id)
            )
            self._db.executemany(
                "INSERT INTO folders VALUES (?, ?, ?, ?, ?)",
                [(self._ids(), user_id, kind, kind.title(), place) for place, kind in enumerate(_SYSTEM_FOLDERS)],
            )
            return user_id

    def issue_token(self, user_id: str, *, session: bool = True, expires_in: float = 86400) -> str:
        """Return a bearer token (JWT) that lives `expires_in` seconds; with `session` its writes need a CSRF token."""
        return self.access.issue_token(user_id, session=session, expires_in=expires_in)

    def add_api_key(self, user_id: str, scopes: Iterable[str] = ("read", "write", "delete")) -> str:
        """Return a new API key of the user with these scopes."""
        return self.access.add_api_key(user_id, scopes)

    def rotate_csrf(self, user_id: str) -> None:
        """Make the CSRF tokens of the user's sessions stale; the next response to each hands out the new one."""
        self.access.rotate_csrf(user_id)

    def add_crm_record(
        self, user_id: str, entity_type: models.EntityType, name: str, entity_id: str | None = None
    ) -> str:
        """Return the id of a new CRM record of the user; one with that id and type is renamed."""
        entity_id = entity_id or self._ids()
        self._db.execute(
            "INSERT INTO crm_records VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET name = excluded.name",
            (user_id, entity_type, entity_id, name),
        )
        return entity_id

    def add_folder(self, user_id: str, name: str) -> str:
        """Return the id of the user's folder with this name, which is made where there is none yet."""
        try:
            return self._folder(user_id, name).id
        except Refusal:
            folder_id = self._ids()
            self._db.execute(
                "INSERT INTO folders SELECT ?, ?, 'custom', ?, count(*) FROM folders WHERE user_id = ?",
                (folder_id, user_id, name, user_id),
            )
            return folder_id

    # Filing mail

    def add_message(
        self,
        user_id: str,
        message: StoredMessage,
        *,
        folder: str | None = None,
        is_read: bool | None = None,
        is_starred: bool | None = None,
    ) -> str:
        """File a message (see `file_message`) and return its id."""
        return self.file_message(user_id, message, folder=folder, is_read=is_read, is_starred=is_starred).message_id

    def file_message(
        self,
        user_id: str,
        message: StoredMessage,
        *,
        folder: str | None = None,
        is_read: bool | None = None,
        is_starred: bool | None = None,
        thread_id: str | None = None,
        id: str | None = None,
        request_id: str | None = None,
    ) -> Filed:
        """Put a message into the user's mailbox, threaded by its headers (RFC 5322, 3.6.4).

        A copy of what is there already is not filed again. The thread goes to `folder` where that is
        given; else a new one to the inbox, or to `sent` if the user wrote the message, and an
        archived one returns to the inbox when mail comes in. `is_read` and `is_starred` count before
        the message's own; `thread_id` before its headers; `id` and `request_id` are kept with it.
        Refuses (404) an unknown user, folder or thread.
        """
        with self.transaction():
            owner = self.access.user(user_id).email
            key = duplicate_key(message)
            if (copy := self._copy(user_id, key)) is not None:
                return copy
            outbound = message.from_email.casefold() == owner.casefold()
            thread = self._thread_row(user_id, thread_id) if thread_id else self._joined_thread(user_id, message)
            target = self._folder(user_id, folder) if folder else None
            if thread is None:
                thread = self._new_thread(user_id, target or self._folder(user_id, "sent" if outbound else "inbox"))
            else:
                self._draw(user_id, thread, "OUTBOUND" if outbound else "INBOUND", target)
            threads.remember(self._db, user_id, threads.ids_of(message), thread)
            read = next((one for one in (is_read, message.is_read) if one is not None), outbound)
            starred = message.is_starred if is_starred is None else is_starred
            self._db.execute(
                "UPDATE threads SET is_read = is_read AND ?, is_starred = is_starred OR ? WHERE row = ?",
                (read, starred, thread),
            )
            filed_id = self._insert_message(
                user_id,
                thread,
                message,
                id=id,
                key=key,
                direction="OUTBOUND" if outbound else "INBOUND",
                status="SENT" if outbound else "RECEIVED",
                request_id=request_id,
            )
            return Filed(filed_id, self._thread_id(thread), is_new=True)

    def thread_of(self, user_id: str, message_id: str) -> str:
        """Return the id of the thread that holds the message with this id; refuses (404) an unknown one."""
        row = self._db.execute(
            "SELECT threads.id FROM messages JOIN threads ON threads.row = thread_row"
            " WHERE messages.user_id = ? AND messages.id = ?",
            (user_id, message_id),
        ).fetchone()
        if row is None:
            raise not_found("Message")
        return row[0]

    def count_threads(self, user_id: str) -> int:
        """Return how many threads the mailbox holds, in whatever folder."""
        return self._count("SELECT count(*) FROM threads WHERE user_id = ?", (user_id,))

    # Reading

    def folders(self, user_id: str) -> list[models.Folder]:
        """Return the user's folders with what each list of them would show."""
        return [self._counted_folder(user_id, folder) for folder in self._folders(user_id)]

    def list_threads(self, user_id: str, query: models.ListThreads) -> Page[models.ThreadSummary]:
        """Return the page of the user's threads that the query asks for; refuses (404) an unknown folder."""
        conditions = ["user_id = ?"]
        values: list[object] = [user_id]
        for condition, given in self._conditions(user_id, query):
            conditions.append(condition)
            values += given
        where = " AND ".join(conditions)
        column = _SORT_COLUMNS[query.sort_by or "lastMessageAt"]
        order = "ASC" if query.sort_order == "asc" else "DESC"
        number, limit = _paging(query)
        # Few threads are named by their rows: those are looked up, rather than met along an index of all.
        source = "threads NOT INDEXED" if "row IN" in where else "threads"
        rows = self._db.execute(
            f"SELECT row FROM {source} WHERE {where} ORDER BY {column} {order}, row {order} LIMIT ? OFFSET ?",
            (*values, limit, (number - 1) * limit),
        ).fetchall()
        total = self._count(f"SELECT count(*) FROM {source} WHERE {where}", values)
        return Page(self._summaries([row for (row,) in rows]), total, number, limit)

    def search(self, user_id: str, query: models.SearchThreads) -> Page[models.ThreadSummary]:
        """Return the page of threads in which one message has all the words, the newest first.

        Each one's snippet surrounds the match in its newest matching message. Without `folder`
        neither trash nor spam is searched. Of words that are nearly everywhere only the `MOST_HITS`
        messages filed last are looked at.
        """
        number, limit = _paging(query)
        words = fts_query(query.q)
        where, given = (
            self._in_folder(user_id, self._folder(user_id, query.folder))
            if query.folder
            else self._outside(user_id, _HIDDEN)
        )
        if not words:
            return Page([], 0, number, limit)
        dates, dated = _between(query.start_date, query.end_date)
        found = self._db.execute(
            f"""
            WITH hits AS MATERIALIZED (
              SELECT thread_row, at, messages.row AS message_row
              FROM message_search JOIN messages INDEXED BY messages_for_search ON messages.row = message_search.rowid
              WHERE message_search MATCH ? AND messages.user_id = ?
              ORDER BY message_search.rowid DESC LIMIT {MOST_HITS}
            ), matched AS MATERIALIZED (
              SELECT thread_row, max(at) AS newest, message_row FROM hits GROUP BY thread_row
            ), shown AS MATERIALIZED (
              SELECT row, message_row, last_message_at FROM matched
              JOIN threads INDEXED BY threads_for_search ON row = thread_row
              WHERE {where} AND {dates}
            )
            SELECT row, message_row, (SELECT count(*) FROM shown) FROM shown
            ORDER BY last_message_at DESC, row DESC LIMIT ? OFFSET ?
            """,
            (words, user_id, *given, *dated, limit, (number - 1) * limit),
        ).fetchall()
        if not found and number > 1:
            first = self.search(user_id, query.model_copy(update={"page": 1, "cursor": None}))
            return Page([], first.total, number, limit)
        snippets = {row: self._excerpt(message_row, query.q) for row, message_row, _ in found}
        items = [
            summary.model_copy(update={"snippet": text})
            for summary, text in zip(self._summaries([*snippets]), snippets.values(), strict=True)
        ]
        return Page(items, found[0][2] if found else 0, number, limit)

    def thread(self, user_id: str, thread_id: str) -> models.Thread:
        """Return the thread with all its messages, the oldest first; refuses (404) an unknown one."""
        thread = self._thread_row(user_id, thread_id)
        (summary,) = self._summaries([thread])
        return models.Thread(**dict(summary), messages=self._messages(thread))

    def stats(self, user_id: str) -> models.InboxStats:
        """Return the counts over the mailbox, trash and spam left out; days are days in UTC."""
        outside, ids = self._outside(user_id, _NOT_LISTED)
        now = self.now()
        today = to_millis(now.replace(hour=0, minute=0, second=0, microsecond=0))
        tomorrow = today + timedelta(days=1) // timedelta(milliseconds=1)
        of_day = "SELECT count(*) FROM messages WHERE user_id = ? AND status = ? AND at >= ? AND at < ?"
        total, read, starred, awaiting = self._figures(
            "SELECT count(*), total(is_read), total(is_starred), total(awaits_reply)"
            f" FROM threads WHERE user_id = ? AND {outside}",
            (user_id, *ids),
        )
        return models.InboxStats(
            total_threads=total,
            unread_threads=total - read,
            starred_threads=starred,
            scheduled_count=self._scheduled_count(user_id),
            draft_count=self._count("SELECT count(*) FROM messages WHERE user_id = ? AND status = 'DRAFT'", (user_id,)),
            follow_ups_due=self._count(
                "SELECT count(*) FROM threads WHERE user_id = ? AND follow_up_at <= ?", (user_id, to_millis(now))
            ),
            awaiting_reply=awaiting,
            received_today=self._count(of_day, (user_id, "RECEIVED", today, tomorrow)),
            sent_today=self._count(of_day, (user_id, "SENT", today, tomorrow)),
        )

    # Threads

    def set_read(self, user_id: str, thread_id: str, is_read: bool) -> models.ThreadSummary:
        """Mark the thread read or unread and return it; refuses (404) an unknown one."""
        return self._set(user_id, thread_id, "is_read", is_read)

    def set_star(self, user_id: str, thread_id: str, is_starred: bool) -> models.ThreadSummary:
        """Star the thread, or take its star away, and return it; refuses (404) an unknown one."""
        return self._set(user_id, thread_id, "is_starred", is_starred)

    def move(self, user_id: str, thread_id: str, folder: str) -> models.ThreadSummary:
        """Put the thread into a folder, given by id, type or name, and return it.

        Refuses (404) an unknown thread or folder, and (400) a folder that shows only threads with
        something sent, drafted or scheduled, where the thread has nothing of the kind.
        """
        thread = self._thread_row(user_id, thread_id)
        target = self._folder(user_id, folder)
        moved = self._db.execute(
            f"UPDATE threads SET folder_id = ? WHERE row = ? AND {_TAKES.get(target.type, 'TRUE')}",
            (target.id, thread),
        )
        if not moved.rowcount:
            raise invalid(f"threads cannot be moved to the folder {target.name}")
        return self._summary(thread)

    def delete(self, user_id: str, thread_id: str) -> None:
        """Put the thread into the trash, or, as mail clients do, remove one that is there already for good."""
        thread = self._thread_row(user_id, thread_id)
        trash = self._folder(user_id, "trash")
        with self.transaction():
            binned = self._db.execute(
                "UPDATE threads SET folder_id = ? WHERE row = ? AND folder_id <> ?", (trash.id, thread, trash.id)
            )
            if binned.rowcount:
                return
            self._delete_messages("thread_row", thread)
            self._db.execute("DELETE FROM threads WHERE row = ?", (thread,))

    def check_folder(self, user_id: str, folder: str) -> None:
        """Refuse (404) a folder that the user does not have."""
        self._folder(user_id, folder)

    # Writing

    def save_draft(self, user_id: str, draft: models.SaveDraft) -> models.Draft:
        """Save a draft, or with `id` change the given fields of one, and return it.

        A draft that belongs to no thread makes one of its own, in the folder drafts. Refuses (404)
        an unknown draft or thread.
        """
        with self.transaction():
            known = self._draft(user_id, draft.id) if draft.id else None
            if known is None:
                thread = self._draft_thread(user_id, draft)
            else:
                thread = known["thread_row"]
                self._delete_messages("row", known["row"])
                draft = _changed(known, draft)
                if draft.thread_id:
                    self._touched.add(thread)
                    thread = self._thread_row(user_id, draft.thread_id)
            draft_id = self._insert_message(
                user_id,
                thread,
                self._written(user_id, draft, message_id="", sent_at=self.now()),
                id=draft.id,
                key=None,
                direction="OUTBOUND",
                status="DRAFT",
            )
        return answers.draft(self._draft(user_id, draft_id))

    def send(self, user_id: str, email: models.SendEmail, *, request_id: str | None = None) -> models.SendReceipt:
        """Send an email, or schedule it where it says so; `draft_id` names the draft that it replaces.

        Recipients who are users of the sandbox receive it. Refuses (404) an unknown thread or draft.
        """
        if email.scheduled_for is not None:
            return self.schedule(user_id, email, request_id=request_id)
        with self.transaction():
            draft = self._draft(user_id, email.draft_id) if email.draft_id else None
            receipt = self._deliver(
                user_id, email, id=self._ids(), message_id=self._new_message_id(), at=self.now(),
                draft_thread=draft["thread_row"] if draft else None, request_id=request_id,
            )  # fmt: skip
            if draft:
                self._remove_draft(draft)
        return receipt

    def schedule(self, user_id: str, email: models.SendEmail, *, request_id: str | None = None) -> models.SendReceipt:
        """Keep an email until its `scheduled_for`, when `advance` sends it; refuses (404) as `send` does.

        Its Message-ID is settled here, so that what was sent can be found by it later.
        """
        assert email.scheduled_for is not None, "an email is scheduled for a time"
        with self.transaction():
            draft = self._draft(user_id, email.draft_id) if email.draft_id else None
            thread = self._thread_row(user_id, email.thread_id) if email.thread_id else None
            scheduled_id, message_id = self._ids(), self._new_message_id()
            self._db.execute(
                "INSERT INTO scheduled (id, user_id, thread_row, scheduled_for, message_id, email, request_id)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    scheduled_id,
                    user_id,
                    thread,
                    to_millis(email.scheduled_for),
                    message_id,
                    email.model_dump_json(by_alias=True, exclude={"thread_id", "draft_id"}),
                    request_id,
                ),
            )
            if draft:
                self._remove_draft(draft)
        return models.SendReceipt(
            id=scheduled_id,
            thread_id=email.thread_id,
            message_id=message_id,
            status="SCHEDULED",
            scheduled_for=from_millis(to_millis(email.scheduled_for)),
        )

    def advance(self) -> None:
        """Send what is due by the clock, each as if at the very moment it was scheduled for."""
        due = self._db.execute(
            "SELECT scheduled.*, threads.id AS thread_id FROM scheduled LEFT JOIN threads ON threads.row = thread_row"
            " WHERE NOT is_sent AND scheduled_for <= ? ORDER BY scheduled_for, scheduled.id",
            (to_millis(self.now()),),
        ).fetchall()
        for row in due:
            with self.transaction():
                email = models.SendEmail.model_validate_json(row["email"])
                email.thread_id = row["thread_id"]
                self._deliver(
                    row["user_id"], email, id=row["id"], message_id=row["message_id"],
                    at=from_millis(row["scheduled_for"]), request_id=row["request_id"],
                )  # fmt: skip
                self._db.execute("UPDATE scheduled SET is_sent = 1 WHERE id = ?", (row["id"],))

    def list_scheduled(self, user_id: str, query: models.ListScheduled) -> Page[models.ScheduledEmail]:
        """Return the page of emails that wait for their time, the next one first."""
        number, limit = _paging(query)
        rows = self._db.execute(
            "SELECT scheduled.*, threads.id AS thread_id FROM scheduled LEFT JOIN threads ON threads.row = thread_row"
            " WHERE scheduled.user_id = ? AND NOT is_sent ORDER BY scheduled_for, scheduled.id LIMIT ? OFFSET ?",
            (user_id, limit, (number - 1) * limit),
        )
        return Page([answers.scheduled(row) for row in rows], self._scheduled_count(user_id), number, limit)

    def cancel_scheduled(self, user_id: str, scheduled_id: str) -> None:
        """Drop a scheduled email; refuses (409) one that has left, and (404) an unknown one."""
        row = self._db.execute(
            "SELECT is_sent FROM scheduled WHERE user_id = ? AND id = ?", (user_id, scheduled_id)
        ).fetchone()
        if row is None:
            raise not_found("Scheduled email")
        if row["is_sent"]:
            raise Refusal(409, "Email already sent")
        self._db.execute("DELETE FROM scheduled WHERE user_id = ? AND id = ?", (user_id, scheduled_id))

    # Follow-ups and CRM records

    def set_follow_up(self, user_id: str, thread_id: str, when: datetime, note: str | None = None) -> models.FollowUp:
        """Set the thread's one reminder and return it; refuses (404) an unknown thread."""
        thread = self._thread_row(user_id, thread_id)
        self._db.execute(
            "UPDATE threads SET follow_up_at = ?, follow_up_note = ? WHERE row = ?", (to_millis(when), note, thread)
        )
        return models.FollowUp(reminder_date=from_millis(to_millis(when)), note=note)

    def remove_follow_up(self, user_id: str, thread_id: str) -> None:
        """Remove the thread's reminder; refuses (404) an unknown thread, or one without a reminder."""
        removed = self._db.execute(
            "UPDATE threads SET follow_up_at = NULL, follow_up_note = NULL WHERE row = ? AND follow_up_at IS NOT NULL",
            (self._thread_row(user_id, thread_id),),
        )
        if not removed.rowcount:
            raise not_found("Follow-up")

    def link_crm(self, user_id: str, thread_id: str, entity_type: models.EntityType, entity_id: str) -> models.CrmLink:
        """Link the thread to a record; refuses (404) an unknown thread or record, and (409) a link that exists."""
        thread = self._thread_row(user_id, thread_id)
        record = self._db.execute(
            "SELECT name FROM crm_records WHERE user_id = ? AND entity_type = ? AND entity_id = ?",
            (user_id, entity_type, entity_id),
        ).fetchone()
        if record is None:
            raise not_found(entity_type.title())
        linked = self._db.execute(
            "INSERT OR IGNORE INTO crm_links VALUES (?, ?, ?, ?)", (thread, user_id, entity_type, entity_id)
        )
        if not linked.rowcount:
            raise Refusal(409, "Thread is already linked to this record")
        return models.CrmLink(entity_type=entity_type, entity_id=entity_id, name=record["name"])

    def unlink_crm(self, user_id: str, thread_id: str, entity_type: str, entity_id: str) -> None:
        """Remove the link to a record; refuses (404) an unknown thread or link."""
        removed = self._db.execute(
            "DELETE FROM crm_links WHERE thread_row = ? AND entity_type = ? AND entity_id = ?",
            (self._thread_row(user_id, thread_id), entity_type, entity_id),
        )
        if not removed.rowcount:
            raise not_found("CRM link")

    # Folders, threads and conditions on them

    def _folders(self, user_id: str) -> list[_Folder]:
        rows = self._db.execute("SELECT id, type, name FROM folders WHERE user_id = ? ORDER BY position", (user_id,))
        return [_Folder(*row) for row in rows]

    def _counted_folder(self, user_id: str, folder: _Folder) -> models.Folder:
        if folder.type == "scheduled":
            total, read = (self._scheduled_count(user_id),) * 2
        else:
            where, values = self._in_folder(user_id, folder)
            total, read = self._figures(
                f"SELECT count(*), total(is_read) FROM threads WHERE user_id = ? AND {where}", (user_id, *values)
            )
        return models.Folder(
            id=folder.id, name=folder.name, type=folder.type, total_count=total, unread_count=total - read
        )

    def _folder(self, user_id: str, wanted: str) -> _Folder:
        folders = self._folders(user_id)
        name = wanted.strip().casefold()
        for folder in folders:
            if wanted == folder.id or name in ({folder.type, folder.name.casefold()} - {"custom"}):
                return folder
        raise not_found("Folder")

    def _outside(self, user_id: str, types: Sequence[str]) -> _Where:
        # Not `NOT IN`, which is a good deal slower over many rows.
        return " AND ".join(["folder_id <> ?"] * len(types)), [self._folder(user_id, kind).id for kind in types]

    def _in_folder(self, user_id: str, folder: _Folder) -> _Where:
        if folder.type in _HOLDING:
            outside, ids = self._outside(user_id, _HIDDEN)
            return f"{_HOLDING[folder.type]} AND {outside}", ids
        if folder.type == "scheduled":
            return "row IN (SELECT thread_row FROM scheduled WHERE user_id = ? AND NOT is_sent)", [user_id]
        return "folder_id = ?", [folder.id]

    def _conditions(self, user_id: str, query: models.ListThreads) -> Iterator[_Where]:
        yield (
            self._in_folder(user_id, self._folder(user_id, query.folder))
            if query.folder
            else self._outside(user_id, _NOT_LISTED)
        )
        yield _between(query.start_date, query.end_date)
        for wanted, condition in (
            (query.is_read, "is_read"),
            (query.is_starred, "is_starred"),
            (query.has_attachments, "has_attachments"),
            (query.has_follow_up, "(follow_up_at IS NOT NULL)"),
        ):
            if wanted is not None:
                yield (condition if wanted else f"NOT {condition}"), ()
        if query.from_:
            yield "row IN (SELECT value FROM json_each(?))", [json.dumps(self._threads_from(user_id, query.from_))]
        for value, column in ((query.entity_type, "entity_type"), (query.entity_id, "entity_id")):
            if value:
                yield f"row IN (SELECT thread_row FROM crm_links WHERE user_id = ? AND {column} = ?)", (user_id, value)

    def _threads_from(self, user_id: str, sender: str) -> list[int]:
        """Return the threads with a message from an address, or from anyone whose name or address has `sender`."""
        threads_of = "SELECT DISTINCT thread_row FROM messages WHERE user_id = ? AND "
        if "@" in sender:
            found = self._db.execute(f"{threads_of} from_email = ?", (user_id, sender))
        else:
            like = "%" + "".join("\\" + char if char in "%_\\" else char for char in sender) + "%"
            found = self._db.execute(
                f"{threads_of} (from_email, from_name) IN (SELECT email, name FROM senders"
                r" WHERE user_id = ? AND (email LIKE ? ESCAPE '\' OR name LIKE ? ESCAPE '\'))",
                (user_id, user_id, like, like),
            )
        return [row for (row,) in found]

    def _count(self, sql: str, values: Sequence[object]) -> int:
        (count,) = self._figures(sql, values)
        return count

    def _figures(self, sql: str, values: Sequence[object]) -> tuple[int, ...]:
        """Return the one row of whole numbers that a query counts.

        Counts walk through the whole mailbox; they are kept until anything in the file changes.
        """
        state = (self._db.total_changes, self._db.execute("PRAGMA data_version").fetchone()[0])
        if state != self._counted_at:
            self._counted_at = state
            self._counted.clear()
        key = (sql, *values)
        if key not in self._counted:
            row = self._db.execute(sql, tuple(values)).fetchone()
            self._counted[key] = tuple(int(figure or 0) for figure in row)
        return self._counted[key]

    def _scheduled_count(self, user_id: str) -> int:
        return self._count("SELECT count(*) FROM scheduled WHERE user_id = ? AND NOT is_sent", (user_id,))

    def _thread_row(self, user_id: str, thread_id: str) -> int:
        row = self._db.execute("SELECT row FROM threads WHERE user_id = ? AND id = ?", (user_id, thread_id)).fetchone()
        if row is None:
            raise not_found("Thread")
        return row[0]

    def _thread_id(self, thread: int) -> str:
        return self._db.execute("SELECT id FROM threads WHERE row = ?", (thread,)).fetchone()[0]

    def _set(
        self, user_id: str, thread_id: str, column: Literal["is_read", "is_starred"], value: bool
    ) -> models.ThreadSummary:
        thread = self._thread_row(user_id, thread_id)
        self._db.execute(f"UPDATE threads SET {column} = ? WHERE row = ?", (value, thread))
        return self._summary(thread)

    # Threading

    def _copy(self, user_id: str, key: str) -> Filed | None:
        row = self._db.execute(
            "SELECT messages.id, threads.id FROM messages JOIN threads ON threads.row = thread_row"
            " WHERE messages.user_id = ? AND key = ?",
            (user_id, key),
        ).fetchone()
        return row and Filed(row[0], row[1], is_new=False)

    def _joined_thread(self, user_id: str, message: StoredMessage) -> int | None:
        known = threads.threads_knowing(self._db, user_id, threads.ids_of(message))
        if not known:
            return threads.thread_by_subject(self._db, user_id, message)
        kept, *others = known
        threads.merge(self._db, kept, others)
        self._touched.difference_update(others)
        return kept

    def _new_thread(self, user_id: str, folder: _Folder) -> int:
        made = self._db.execute(
            "INSERT INTO threads (id, user_id, folder_id) VALUES (?, ?, ?) RETURNING row",
            (self._ids(), user_id, folder.id),
        )
        return made.fetchone()[0]

    def _draw(self, user_id: str, thread: int, direction: str, target: _Folder | None) -> None:
        """Put a thread where a message that joins it belongs."""
        (present,) = self._db.execute(
            "SELECT type FROM folders WHERE id = (SELECT folder_id FROM threads WHERE row = ?)", (thread,)
        ).fetchone()
        drawn = _DRAWN_TO.get((direction, present))
        target = target or (self._folder(user_id, drawn) if drawn else None)
        if target:
            self._db.execute("UPDATE threads SET folder_id = ? WHERE row = ?", (target.id, thread))

    def _parent(self, user_id: str, message_id: str) -> sqlite3.Row | None:
        return self._db.execute(
            "SELECT refs, thread_row FROM messages WHERE user_id = ? AND key = ?", (user_id, message_id)
        ).fetchone()

    # Messages

    def _insert_message(
        self,
        user_id: str,
        thread: int,
        message: StoredMessage,
        *,
        id: str | None,
        key: str | None,
        direction: Literal["INBOUND", "OUTBOUND"],
        status: Literal["DRAFT", "SENT", "RECEIVED"],
        request_id: str | None = None,
    ) -> str:
        id = id or self._ids()
        text = plain_text(message.body_text, message.body_html)
        recipients = (message.to, message.cc, message.bcc)
        columns = {
            "thread_row": thread,
            "at": to_millis(message.sent_at),
            "user_id": user_id,
            "id": id,
            "key": key,
            "message_id": message.message_id or None,
            "in_reply_to": message.in_reply_to,
            "refs": json.dumps(message.references),
            "from_name": message.from_name,
            "from_email": message.from_email,
            **{
                f"{field}_emails": json.dumps(emails, ensure_ascii=False)
                for field, emails in zip(("to", "cc", "bcc"), recipients, strict=True)
            },
            "subject": message.subject,
            "subject_key": subject_key(message.subject),
            "snippet": snippet(text),
            "direction": direction,
            "status": status,
            "request_id": request_id,
        }
        row = self._db.execute(
            f"INSERT INTO messages ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
            (*columns.values(),),
        ).lastrowid
        self._db.execute(
            "INSERT OR IGNORE INTO senders VALUES (?, ?, ?)", (user_id, message.from_email, message.from_name)
        )
        self._db.execute("INSERT INTO bodies VALUES (?, ?, ?)", (row, message.body_text, message.body_html))
        self._db.executemany(
            "INSERT INTO attachments (id, message_row, filename, content_type, size) VALUES (?, ?, ?, ?, ?)",
            [(self._ids(), row, one.filename, one.content_type, one.size) for one in message.attachments],
        )
        self._db.execute(
            "INSERT INTO message_search (rowid, subject, body, sender, recipients) VALUES (?, ?, ?, ?, ?)",
            (
                row,
                message.subject,
                text,
                f"{message.from_name} {message.from_email}",
                " ".join(address for addresses in recipients for address in addresses),
            ),
        )
        self._touched.add(thread)
        return id

    def _delete_messages(self, column: Literal["row", "thread_row"], value: int) -> None:
        doomed = f"SELECT row FROM messages WHERE {column} = ?"
        self._db.execute(f"DELETE FROM message_search WHERE rowid IN ({doomed})", (value,))
        self._db.execute(f"DELETE FROM messages WHERE {column} = ?", (value,))

    def _written(
        self, user_id: str, email: models.OutgoingEmail, *, message_id: str, sent_at: datetime
    ) -> StoredMessage:
        """Return an outgoing email as a message of the user's, with the headers of a reply."""
        user = self.access.user(user_id)
        parent_id = bracketed(email.in_reply_to) if email.in_reply_to else None
        parent = self._parent(user_id, parent_id) if parent_id else None
        references: list[str] = json.loads(parent["refs"]) if parent else []
        return StoredMessage(
            from_email=user.email,
            from_name=" ".join(name for name in (user.first_name, user.last_name) if name),
            sent_at=sent_at,
            message_id=message_id,
            in_reply_to=parent_id,
            references=(*references, parent_id) if parent_id else (),
            to=(*(email.to or ()),),
            cc=(*(email.cc or ()),),
            bcc=(*(email.bcc or ()),),
            subject=email.subject or "",
            body_text=email.body_text,
            body_html=email.body_html,
        )

    def _new_message_id(self) -> str:
        return f"<{self._ids()}@sandbox.salesos.test>"

    def _deliver(
        self,
        user_id: str,
        email: models.SendEmail,
        *,
        id: str,
        message_id: str,
        at: datetime,
        draft_thread: int | None = None,
        request_id: str | None,
    ) -> models.SendReceipt:
        message = self._written(user_id, email, message_id=message_id, sent_at=at)
        thread_id = email.thread_id
        answers = bool(threads.threads_knowing(self._db, user_id, threads.ids_of(message)))
        if thread_id is None and draft_thread is not None and not answers:
            thread_id = self._thread_id(draft_thread)
        filed = self.file_message(user_id, message, thread_id=thread_id, id=id, request_id=request_id)
        blind = replace(message, bcc=())
        for address in dict.fromkeys((*message.to, *message.cc, *message.bcc)):
            recipient = self.access.user_id(address)
            if recipient not in (None, user_id):
                self.file_message(recipient, blind, request_id=request_id)
        return models.SendReceipt(id=id, thread_id=filed.thread_id, message_id=message_id, status="SENT")

    # Drafts

    def _draft(self, user_id: str, draft_id: str) -> sqlite3.Row:
        row = self._db.execute(
            "SELECT messages.*, text, html, threads.id AS thread_id FROM messages"
            " JOIN bodies ON message_row = messages.row JOIN threads ON threads.row = thread_row"
            " WHERE messages.user_id = ? AND messages.id = ? AND status = 'DRAFT'",
            (user_id, draft_id),
        ).fetchone()
        if row is None:
            raise not_found("Draft")
        return row

    def _draft_thread(self, user_id: str, draft: models.SaveDraft) -> int:
        if draft.thread_id:
            return self._thread_row(user_id, draft.thread_id)
        parent = self._parent(user_id, bracketed(draft.in_reply_to)) if draft.in_reply_to else None
        return parent["thread_row"] if parent else self._new_thread(user_id, self._folder(user_id, "drafts"))

    def _remove_draft(self, draft: sqlite3.Row) -> None:
        self._delete_messages("row", draft["row"])
        self._touched.add(draft["thread_row"])

    # Answers

    def _summary(self, thread: int) -> models.ThreadSummary:
        (summary,) = self._summaries([thread])
        return summary

    def _summaries(self, rows: Sequence[int]) -> list[models.ThreadSummary]:
        """Return the summaries of threads in the order of `rows`."""
        marks = ", ".join("?" * len(rows))
        links: dict[int, list[models.CrmLink]] = {}
        for link in self._db.execute(
            "SELECT crm_links.*, name FROM crm_links JOIN crm_records USING (user_id, entity_type, entity_id)"
            f" WHERE thread_row IN ({marks}) ORDER BY entity_type, name",
            rows,
        ):
            links.setdefault(link["thread_row"], []).append(
                models.CrmLink(entity_type=link["entity_type"], entity_id=link["entity_id"], name=link["name"])
            )
        found = {
            row["row"]: row
            for row in self._db.execute(
                "SELECT threads.*, iif(type = 'custom', name, type) AS folder FROM threads"
                f" JOIN folders ON folders.id = folder_id WHERE row IN ({marks})",
                rows,
            )
        }
        return [answers.summary(found[row], links.get(row, [])) for row in rows]

    def _messages(self, thread: int) -> list[models.Message]:
        attachments: dict[int, list[models.Attachment]] = {}
        for row in self._db.execute(
            "SELECT attachments.* FROM attachments JOIN messages ON messages.row = message_row"
            " WHERE thread_row = ? ORDER BY attachments.row",
            (thread,),
        ):
            attachments.setdefault(row["message_row"], []).append(
                models.Attachment(
                    id=row["id"], filename=row["filename"], content_type=row["content_type"], size=row["size"]
                )
            )
        rows = self._db.execute(
            "SELECT messages.*, text, html FROM messages JOIN bodies ON message_row = row WHERE thread_row = ?"
            " ORDER BY at, row",
            (thread,),
        )
        return [answers.message(row, attachments.get(row["row"], [])) for row in rows]

    def _excerpt(self, message_row: int, query: str) -> str:
        """Return the text around the words in a message that has them."""
        texts = self._db.execute(
            "SELECT body, subject, sender, recipients FROM message_search WHERE rowid = ?", (message_row,)
        ).fetchone()
        return excerpt(texts, query) or snippet(texts["body"])


def _paging(query: models.ListThreads | models.SearchThreads | models.ListScheduled) -> tuple[int, int]:
    number = decode_cursor(query.cursor) if query.cursor else query.page
    return number or 1, query.limit or DEFAULT_LIMIT


def _between(start: datetime | None, end: datetime | None) -> _Where:
    bounds = [("last_message_at >= ?", start), ("last_message_at <= ?", end)]
    given = [(condition, to_millis(moment)) for condition, moment in bounds if moment is not None]
    return " AND ".join(["TRUE", *(condition for condition, _ in given)]), [millis for _, millis in given]


def _changed(known: sqlite3.Row, given: models.SaveDraft) -> models.SaveDraft:
    """Return the draft `known` with the fields that are `given`."""
    present = models.SaveDraft(
        to=json.loads(known["to_emails"]),
        cc=json.loads(known["cc_emails"]),
        bcc=json.loads(known["bcc_emails"]),
        subject=known["subject"],
        body_text=known["text"],
        body_html=known["html"],
        in_reply_to=known["in_reply_to"],
    )
    return present.model_copy(update={name: getattr(given, name) for name in given.model_fields_set})
