"""Folders: finding one by what a caller names it, and which threads its list shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from salesos_inbox.contract import models
from salesos_inbox.sandbox.database import Database
from salesos_inbox.sandbox.refusals import Refusal, not_found

SYSTEM_FOLDERS: Final = ("inbox", "sent", "drafts", "scheduled", "archive", "trash", "spam")
"""The types of the folders that every mailbox has."""
HIDDEN: Final = ("trash", "spam")
"""What a search without a folder leaves out."""
NOT_LISTED: Final = ("trash", "spam", "drafts", "scheduled")
"""What a list without a folder leaves out."""
# A folder of mail clients shows what threads contain, not only where they lie.
_HOLDING: Final = {"sent": "has_sent", "drafts": "has_draft"}
_TAKES: Final = {**_HOLDING, "scheduled": "FALSE"}

Where = tuple[str, Sequence[object]]
"""A condition on rows of `threads`, and the values of its parameters."""


@dataclass(frozen=True)
class Folder:
    """A folder of a user's; `type` is one of `SYSTEM_FOLDERS`, or `custom`."""

    id: str
    type: str
    name: str

    @property
    def takes(self) -> str:
        """The SQL condition on a thread that may be moved here."""
        return _TAKES.get(self.type, "TRUE")


def folders_of(db: Database, user_id: str) -> list[Folder]:
    """Return the user's folders in their order."""
    rows = db.execute("SELECT id, type, name FROM folders WHERE user_id = ? ORDER BY position", (user_id,))
    return [Folder(*row) for row in rows]


def find_folder(db: Database, user_id: str, wanted: str) -> Folder:
    """Return the user's folder with this id, type or name; refuses (404) one that is not there."""
    name = wanted.strip().casefold()
    for folder in folders_of(db, user_id):
        if wanted == folder.id or name in ({folder.type, folder.name.casefold()} - {"custom"}):
            return folder
    raise not_found("Folder")


def add_folder(db: Database, user_id: str, name: str) -> str:
    """Return the id of the user's folder with this name, which is made where there is none yet."""
    try:
        return find_folder(db, user_id, name).id
    except Refusal:
        folder_id = db.new_id()
        db.execute(
            "INSERT INTO folders SELECT ?, ?, 'custom', ?, count(*) FROM folders WHERE user_id = ?",
            (folder_id, user_id, name, user_id),
        )
        return folder_id


def outside(db: Database, user_id: str, types: Sequence[str]) -> Where:
    """Return the condition that a thread lies in none of the folders of these types."""
    # Not `NOT IN`, which is a good deal slower over many rows.
    return " AND ".join(["folder_id <> ?"] * len(types)), [find_folder(db, user_id, kind).id for kind in types]


def shown_in(db: Database, user_id: str, folder: Folder) -> Where:
    """Return the condition that a folder's list shows a thread."""
    if folder.type in _HOLDING:
        visible, ids = outside(db, user_id, HIDDEN)
        return f"{_HOLDING[folder.type]} AND {visible}", ids
    if folder.type == "scheduled":
        return "row IN (SELECT thread_row FROM scheduled WHERE user_id = ? AND NOT is_sent)", [user_id]
    return "folder_id = ?", [folder.id]


def counted(db: Database, user_id: str, folder: Folder) -> models.Folder:
    """Return a folder with what its list would show."""
    if folder.type == "scheduled":
        total, read = (scheduled_count(db, user_id),) * 2
    else:
        where, values = shown_in(db, user_id, folder)
        total, read = db.figures(
            f"SELECT count(*), total(is_read) FROM threads WHERE user_id = ? AND {where}", (user_id, *values)
        )
    return models.Folder(id=folder.id, name=folder.name, type=folder.type, total_count=total, unread_count=total - read)


def scheduled_count(db: Database, user_id: str) -> int:
    """Return how many emails of the user wait for their time."""
    return db.count("SELECT count(*) FROM scheduled WHERE user_id = ? AND NOT is_sent", (user_id,))
