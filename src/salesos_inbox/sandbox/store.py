"""The mailboxes of the sandbox's users in one SQLite file, and every operation of the API on them.

Methods that the routes use take the contract's request models and return its answers; what cannot
be done is raised as a `Refusal`. A store is used from one thread at a time. The larger operations
live in modules of their own: `filing`, `reading`, `listing`, `sending`, `folders`.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Literal

from salesos_inbox.contract import models
from salesos_inbox.sandbox import filing, folders, listing, reading, sending
from salesos_inbox.sandbox.access import Access
from salesos_inbox.sandbox.database import Clock, Database, new_id, utc_now
from salesos_inbox.sandbox.envelopes import Page
from salesos_inbox.sandbox.filing import Filed
from salesos_inbox.sandbox.folders import SYSTEM_FOLDERS, find_folder
from salesos_inbox.sandbox.messages import StoredMessage, from_millis, to_millis
from salesos_inbox.sandbox.reading import thread_row
from salesos_inbox.sandbox.refusals import Refusal, invalid, not_found

__all__ = ["Clock", "Filed", "Store", "new_id", "utc_now"]


class Store:
    """All mailboxes on one SQLite connection.

    `path` is a file (kept in WAL mode) or `:memory:`; `clock` and `ids` are what tests replace.
    `answers_request_ids` shows with every email the X-Request-ID it was sent under, which is in no contract.
    """

    def __init__(
        self,
        path: str | Path = ":memory:",
        *,
        clock: Clock = utc_now,
        ids: Callable[[], str] = new_id,
        answers_request_ids: bool = False,
    ) -> None:
        self._db = Database(path, clock=clock, ids=ids, answers_request_ids=answers_request_ids)
        self.access = Access(self._db.connection, clock=clock, ids=ids)

    def close(self) -> None:
        """Close the connection; the store cannot be used afterwards."""
        self._db.connection.close()

    def now(self) -> datetime:
        """Return the present moment by the store's clock."""
        return self._db.now()

    def transaction(self) -> AbstractContextManager[None]:
        """Make all that happens inside one change: it is written whole, or after an exception not at all.

        Many messages are filed much faster inside one transaction. Nested ones join the outermost.
        """
        return self._db.transaction()

    # Users, their credentials and records

    def add_user(
        self, email: str, first_name: str = "", last_name: str = "", organization_id: str | None = None
    ) -> str:
        """Return the id of the user with this address, who is made where there is none yet."""
        with self._db.transaction():
            known = self.access.user_id(email)
            if known is not None:
                return known
            user_id = self._db.new_id()
            self._db.execute(
                "INSERT INTO users VALUES (?, ?, ?, ?, ?)", (user_id, email, first_name, last_name, organization_id)
            )
            self._db.executemany(
                "INSERT INTO folders VALUES (?, ?, ?, ?, ?)",
                [(self._db.new_id(), user_id, kind, kind.title(), place) for place, kind in enumerate(SYSTEM_FOLDERS)],
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
        entity_id = entity_id or self._db.new_id()
        self._db.execute(
            "INSERT INTO crm_records VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET name = excluded.name",
            (user_id, entity_type, entity_id, name),
        )
        return entity_id

    def add_folder(self, user_id: str, name: str) -> str:
        """Return the id of the user's folder with this name, which is made where there is none yet."""
        return folders.add_folder(self._db, user_id, name)

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
        return filing.file_message(
            self._db,
            user_id,
            message,
            folder=folder,
            is_read=is_read,
            is_starred=is_starred,
            into=thread_id,
            id=id,
            request_id=request_id,
        )

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
        return self._db.count("SELECT count(*) FROM threads WHERE user_id = ?", (user_id,))

    # Reading

    def folders(self, user_id: str) -> list[models.Folder]:
        """Return the user's folders with what each list of them would show."""
        return [folders.counted(self._db, user_id, folder) for folder in folders.folders_of(self._db, user_id)]

    def list_threads(self, user_id: str, query: models.ListThreads) -> Page[models.ThreadSummary]:
        """Return the page of the user's threads that the query asks for; refuses (404) an unknown folder."""
        return listing.list_threads(self._db, user_id, query)

    def search(self, user_id: str, query: models.SearchThreads) -> Page[models.ThreadSummary]:
        """Return the page of threads in which one message has all the words; see `listing.search`."""
        return listing.search(self._db, user_id, query)

    def thread(self, user_id: str, thread_id: str) -> models.Thread:
        """Return the thread with all its messages, the oldest first; refuses (404) an unknown one."""
        return reading.whole_thread(self._db, thread_row(self._db, user_id, thread_id))

    def stats(self, user_id: str) -> models.InboxStats:
        """Return the counts over the mailbox, trash and spam left out; days are days in UTC."""
        return listing.stats(self._db, user_id)

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
        thread = thread_row(self._db, user_id, thread_id)
        target = find_folder(self._db, user_id, folder)
        moved = self._db.execute(
            f"UPDATE threads SET folder_id = ? WHERE row = ? AND {target.takes}",
            (target.id, thread),
        )
        if not moved.rowcount:
            raise invalid(f"threads cannot be moved to the folder {target.name}")
        return reading.summary(self._db, thread)

    def delete(self, user_id: str, thread_id: str) -> None:
        """Put the thread into the trash, or, as mail clients do, remove one that is there already for good."""
        thread = thread_row(self._db, user_id, thread_id)
        trash = find_folder(self._db, user_id, "trash")
        with self._db.transaction():
            binned = self._db.execute(
                "UPDATE threads SET folder_id = ? WHERE row = ? AND folder_id <> ?", (trash.id, thread, trash.id)
            )
            if binned.rowcount:
                return
            filing.delete_messages(self._db, "thread_row", thread)
            self._db.execute("DELETE FROM threads WHERE row = ?", (thread,))

    def check_folder(self, user_id: str, folder: str) -> None:
        """Refuse (404) a folder that the user does not have."""
        find_folder(self._db, user_id, folder)

    # Writing

    def save_draft(self, user_id: str, draft: models.SaveDraft) -> models.Draft:
        """Save a draft, or with `id` change the given fields of one, and return it.

        A draft that belongs to no thread makes one of its own, in the folder drafts. Refuses (404)
        an unknown draft or thread.
        """
        return sending.save_draft(self._db, self.access, user_id, draft)

    def send(self, user_id: str, email: models.SendEmail, *, request_id: str | None = None) -> models.SendReceipt:
        """Send an email, or schedule it where it says so; `draft_id` names the draft that it replaces.

        Recipients who are users of the sandbox receive it. Refuses (404) an unknown thread or draft.
        """
        return sending.send(self._db, self.access, user_id, email, request_id=request_id)

    def schedule(self, user_id: str, email: models.SendEmail, *, request_id: str | None = None) -> models.SendReceipt:
        """Keep an email until its `scheduled_for`, when `advance` sends it; refuses (404) as `send` does.

        Its Message-ID is settled here, so that what was sent can be found by it later.
        """
        return sending.schedule(self._db, user_id, email, request_id=request_id)

    def advance(self) -> None:
        """Send what is due by the clock, each as if at the very moment it was scheduled for."""
        sending.send_due(self._db, self.access)

    def list_scheduled(self, user_id: str, query: models.ListScheduled) -> Page[models.ScheduledEmail]:
        """Return the page of emails that wait for their time, the next one first."""
        return sending.list_scheduled(self._db, user_id, query)

    def cancel_scheduled(self, user_id: str, scheduled_id: str) -> None:
        """Drop a scheduled email; refuses (409) one that has left, and (404) an unknown one."""
        sending.cancel_scheduled(self._db, user_id, scheduled_id)

    # Follow-ups and CRM records

    def set_follow_up(self, user_id: str, thread_id: str, when: datetime, note: str | None = None) -> models.FollowUp:
        """Set the thread's one reminder and return it; refuses (404) an unknown thread."""
        thread = thread_row(self._db, user_id, thread_id)
        self._db.execute(
            "UPDATE threads SET follow_up_at = ?, follow_up_note = ? WHERE row = ?", (to_millis(when), note, thread)
        )
        return models.FollowUp(reminder_date=from_millis(to_millis(when)), note=note)

    def remove_follow_up(self, user_id: str, thread_id: str) -> None:
        """Remove the thread's reminder; refuses (404) an unknown thread, or one without a reminder."""
        removed = self._db.execute(
            "UPDATE threads SET follow_up_at = NULL, follow_up_note = NULL WHERE row = ? AND follow_up_at IS NOT NULL",
            (thread_row(self._db, user_id, thread_id),),
        )
        if not removed.rowcount:
            raise not_found("Follow-up")

    def link_crm(self, user_id: str, thread_id: str, entity_type: models.EntityType, entity_id: str) -> models.CrmLink:
        """Link the thread to a record; refuses (404) an unknown thread or record, and (409) a link that exists."""
        thread = thread_row(self._db, user_id, thread_id)
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
            (thread_row(self._db, user_id, thread_id), entity_type, entity_id),
        )
        if not removed.rowcount:
            raise not_found("CRM link")

    def _set(
        self, user_id: str, thread_id: str, column: Literal["is_read", "is_starred"], value: bool
    ) -> models.ThreadSummary:
        thread = thread_row(self._db, user_id, thread_id)
        self._db.execute(f"UPDATE threads SET {column} = ? WHERE row = ?", (value, thread))
        return reading.summary(self._db, thread)
