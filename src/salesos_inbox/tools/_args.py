"""The arguments that tools share: one type and one description each, and how they are read."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, tzinfo
from typing import Annotated, Literal

from pydantic import Field

from salesos_inbox.errors import InvalidArguments
from salesos_inbox.mail.unicode import quoted

MOST_THREADS = 100
"""How many threads one call may change; a plan may hold more."""
MOST_BODY_CHARACTERS = 1_000_000
_FIRST_YEAR, _LAST_YEAR = 1970, 2200

ThreadId = Annotated[str, Field(description="From list_threads, search_threads or triage_inbox")]
ThreadIds = Annotated[list[str], Field(max_length=MOST_THREADS)]
Folder = Annotated[str, Field(description="Folder name, e.g. inbox, sent, archive")]
Cursor = Annotated[str, Field(description="next_cursor of the previous answer, same other arguments")]
Limit = Annotated[int, Field(ge=1, le=100)]
TriageLimit = Annotated[int, Field(ge=1, le=50)]
MaxTokens = Annotated[int, Field(ge=300, le=50000)]
After = Annotated[str, Field(description="Last message since this ISO date or time")]
Before = Annotated[str, Field(description="Last message before this ISO date or time")]
Sender = Annotated[str, Field(description="Address or part of a name")]
When = Annotated[str, Field(description="ISO 8601 time, e.g. 2026-11-23T09:00:00+01:00")]
Body = Annotated[str, Field(description="Plain text")]
Recipients = Annotated[list[str], Field(description="e.g. Ann Lee <ann@example.com>")]
ReplyAll = Annotated[bool, Field(description="Also to all others of its last message")]
ReplyTo = Annotated[str, Field(description="Thread to reply in")]
ScheduledId = Annotated[str, Field(description="From list_scheduled")]
UndoId = Annotated[str, Field(description="From the answer of a change; works once")]
RecordId = Annotated[str, Field(description="From a thread's records, or ask the user")]
SendAgain = Annotated[bool, Field(description="Only if the user asks to send it again")]
DraftId = Annotated[str, Field(description="From save_draft or read_thread")]
RecordType = Literal["lead", "contact", "account", "opportunity"]


def read_when(text: str, timezone: tzinfo | None, now: datetime) -> datetime:
    """Return the future time that `text` names, in UTC.

    `text` is ISO 8601; without an offset it is read in `timezone`. Raises `InvalidArguments` for
    another form, a time without an offset where no zone is set, one the clocks skip, or a past one.
    """
    moment = _within_mail(_parse(text), text)
    if moment.tzinfo is None:
        if timezone is None:
            raise InvalidArguments(
                f"The time {quoted(text, 40)} has no offset and no SALESOS_TIMEZONE is set: "
                "add the offset, such as +01:00 or Z."
            )
        local = moment.replace(tzinfo=timezone)
        if local.astimezone(UTC).astimezone(timezone).replace(tzinfo=None) != moment:
            raise InvalidArguments(
                f"The time {quoted(text, 40)} does not exist in {timezone}, where the clocks skip it: choose another."
            )
        moment = local
    moment = moment.astimezone(UTC)
    if moment <= now:
        raise InvalidArguments(
            f"The time {quoted(text, 40)} is past, it is now {show_local(now, timezone)}: give a future time."
        )
    return moment


def read_since(text: str | None, timezone: tzinfo | None) -> datetime | None:
    """Return the day's start or the time that a filter names, in UTC; without an offset in `timezone` or UTC."""
    if not text:
        return None
    try:
        moment = datetime.combine(date.fromisoformat(text), time())
    except ValueError:
        moment = _parse(text)
    moment = _within_mail(moment, text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone or UTC)).astimezone(UTC)


def _within_mail(moment: datetime, text: str) -> datetime:
    """Return `moment` where it lies in the years that mail has, far from the calendar's ends."""
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise InvalidArguments(f"The time {quoted(text, 40)} lies outside the years that mail has: give another.")
    return moment


def _parse(text: str) -> datetime:
    try:
        if len(text) > 10:
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise InvalidArguments(f"{quoted(text, 40)} is not an ISO 8601 time: write it like 2026-11-23T09:00:00+01:00.")


def show_local(moment: datetime, timezone: tzinfo | None) -> str:
    """Return a time in `timezone` (or UTC), to the minute, with its offset."""
    return moment.astimezone(timezone or UTC).isoformat(timespec="minutes")


def snake_case(name: str) -> str:
    """Return a camel-case name as our arguments and answers spell it."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def query_fingerprint(tool: str, arguments: Mapping[str, object]) -> str:
    """Return what ties a cursor to the query it belongs to."""
    document = json.dumps([tool, {key: value for key, value in sorted(arguments.items()) if value is not None}])
    return hashlib.sha256(document.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def write_cursor(fingerprint: str, position: str) -> str:
    """Return the cursor for `position` in the query that `fingerprint` stands for; neither can be changed in it."""
    return f"{_seal(fingerprint, position)}.{position}"


def _seal(fingerprint: str, position: str) -> str:
    return hashlib.sha256(f"{fingerprint}.{position}".encode("utf-8", "surrogatepass")).hexdigest()[:8]


def read_cursor(cursor: str | None, fingerprint: str) -> str | None:
    """Return the position that `cursor` holds, None without one.

    Raises `InvalidArguments` for a cursor of another query, or one that no answer handed out.
    """
    if cursor is None:
        return None
    found, _, position = cursor.partition(".")
    if found != _seal(fingerprint, position):
        raise InvalidArguments(
            "This cursor is damaged or belongs to another query: repeat the arguments of the call that handed it out, "
            "or leave the cursor out to begin anew."
        )
    return position


def unique_ids(thread_ids: Iterable[str]) -> list[str]:
    """Return the ids once each, in their order; raises `InvalidArguments` for one that cannot be an id."""
    ids = list(dict.fromkeys(identifier.strip() for identifier in thread_ids))
    if not ids:
        raise InvalidArguments("thread_ids is empty: give at least one id, as an answer of this server gave it.")
    for identifier in ids:
        check_id("thread_id", identifier)
    return ids


def check_id(name: str, identifier: str) -> str:
    """Return the id without blanks around it; raises `InvalidArguments` where it cannot be one."""
    identifier = identifier.strip()
    if not identifier or len(identifier) > 100 or not identifier.isprintable() or identifier in {".", ".."}:
        raise InvalidArguments(f"{name} must be an id as an answer of this server gave it, not empty or shortened.")
    return identifier
