"""The bodies of the API, field for field.

Answers (`Answer`) are read tolerantly: unknown fields are kept, missing ones allowed.
Requests (`Request`) are written strictly: an unknown field never leaves.

Every model states how its fields are known (`mark`); a field known better than its model says so
itself, as `Annotated[type, Mark.DOCUMENTED]`.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Mark(StrEnum):
    """How a line of the contract is known."""

    DOCUMENTED = "documented"
    """Stated in the public reference or guides."""
    SIBLING = "sibling"
    """How the other modules of the same product behave."""
    ASSUMED = "assumed"
    """Our choice of name, taken from the siblings' vocabulary."""


class _Wire(BaseModel):
    mark: ClassVar[Mark] = Mark.ASSUMED


class Answer(_Wire):
    """A body the service sends: every field may be missing, unknown ones are kept."""

    model_config = ConfigDict(extra="allow", alias_generator=to_camel, populate_by_name=True)


class Request(_Wire):
    """A body we send: only known fields, and none that is not set."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)

    def body(self) -> dict[str, Any]:
        """Return the JSON body, without the fields that were not set."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _strings(value: object) -> object:
    """Read null as an empty list, and a lone string as a list of one."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


def _items(value: object) -> object:
    return [] if value is None else value


def _in_utc(value: datetime | None) -> datetime | None:
    """Read a time without an offset as UTC, as the reference says all are, and a language's "no time" as none."""
    if value is None or not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        return None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


_FIRST_YEAR, _LAST_YEAR = 1900, 2200


EntityType = Literal["lead", "contact", "account", "opportunity"]
BulkAction = Literal["read", "unread", "star", "unstar", "archive", "move", "delete"]
Strings = Annotated[list[str], BeforeValidator(_strings)]
MaybeMoment = Annotated[
    datetime | None, BeforeValidator(lambda value: None if value == "" else value), AfterValidator(_in_utc)
]
Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]


# Answers


class Folder(Answer):
    """A folder and its counts. `type` is inbox, sent, drafts, scheduled, archive, trash, spam or custom."""

    id: str = ""
    name: Text = ""
    type: str = "custom"
    unread_count: int | None = None
    total_count: int | None = None


class Participant(Answer):
    """One of the people in a thread."""

    name: str | None = None
    email: Text = ""


class FollowUp(Answer):
    """A reminder on a thread."""

    reminder_date: MaybeMoment = None
    note: str | None = None


class CrmLink(Answer):
    """A link from a thread to a CRM record."""

    entity_type: Text = ""
    entity_id: Text = ""
    name: str | None = None


class Attachment(Answer):
    """A file of a message; `size` is in bytes."""

    id: str = ""
    filename: str | None = None
    content_type: str | None = None
    size: int | None = None


class Message(Answer):
    """One message of a thread. `id` is the service's, `message_id` the RFC 5322 one."""

    id: str = ""
    message_id: str | None = None
    in_reply_to: str | None = None
    references: Strings = []
    from_email: Text = ""
    from_name: str | None = None
    to_emails: Strings = []
    cc_emails: Strings = []
    bcc_emails: Strings = []
    subject: Text = ""
    body_html: str | None = None
    body_text: str | None = None
    direction: str | None = None
    """INBOUND or OUTBOUND."""
    status: str | None = None
    """DRAFT, QUEUED, SENT, DELIVERED, OPENED, CLICKED, BOUNCED, FAILED or RECEIVED."""
    sent_at: MaybeMoment = None
    received_at: MaybeMoment = None
    attachments: Annotated[list[Attachment], BeforeValidator(_items)] = []


class ThreadSummary(Answer):
    """A thread as lists show it; `snippet` surrounds the match in a search."""

    id: str = ""
    subject: Text = ""
    snippet: Text = ""
    folder: str | None = None
    participants: Annotated[list[Participant], BeforeValidator(_items)] = []
    message_count: int | None = None
    is_read: bool | None = None
    is_starred: bool | None = None
    has_attachments: bool | None = None
    last_message_at: MaybeMoment = None
    follow_up: FollowUp | None = None
    crm_links: Annotated[list[CrmLink], BeforeValidator(_items)] = []


class Thread(ThreadSummary):
    """A thread with all its messages."""

    messages: Annotated[list[Message], BeforeValidator(_items)] = []


class SendReceipt(Answer):
    """What the service says of a message it took. `status` is SENT, QUEUED or SCHEDULED."""

    id: str | None = None
    thread_id: str | None = None
    message_id: str | None = None
    status: str | None = None
    scheduled_for: MaybeMoment = None


class Draft(Answer):
    """A stored draft."""

    id: str = ""
    thread_id: str | None = None
    to: Strings = []
    cc: Strings = []
    bcc: Strings = []
    subject: Text = ""
    body_html: str | None = None
    body_text: str | None = None
    updated_at: MaybeMoment = None


class ScheduledEmail(Answer):
    """A message waiting for its time."""

    id: str = ""
    thread_id: str | None = None
    to: Strings = []
    cc: Strings = []
    bcc: Strings = []
    subject: Text = ""
    body_text: str | None = None
    scheduled_for: MaybeMoment = None
    status: str | None = None


class BulkFailure(Answer):
    """A thread a bulk request left as it was, and why."""

    id: Text = ""
    error: str | None = None


def _failures(value: object) -> object:
    """Read bare ids as failures without a reason (siblings answer both)."""
    if not isinstance(value, list):
        return []
    items: list[object] = value  # pyright: ignore[reportUnknownVariableType] -- JSON: any list
    return [{"id": item} if isinstance(item, str) else item for item in items]


class BulkResult(Answer):
    """The outcome of a bulk request.

    `success` is None where the service gave no ids (some siblings answer only `{"count"}` or
    `{"success": true}`): the caller must then look for itself.
    """

    mark = Mark.SIBLING

    success: Annotated[list[str] | None, BeforeValidator(lambda value: value if isinstance(value, list) else None)] = (  # pyright: ignore[reportUnknownLambdaType] -- JSON
        None
    )
    failed: Annotated[list[BulkFailure], BeforeValidator(_failures)] = []


class InboxStats(Answer):
    """Counts over the mailbox; any subset, unknown ones are kept."""

    total_threads: int | None = None
    unread_threads: int | None = None
    starred_threads: int | None = None
    scheduled_count: int | None = None
    draft_count: int | None = None
    follow_ups_due: int | None = None
    awaiting_reply: int | None = None
    received_today: int | None = None
    sent_today: int | None = None


class User(Answer):
    """The user behind a token."""

    mark = Mark.SIBLING

    id: str = ""
    email: Text = ""
    first_name: str | None = None
    last_name: str | None = None


class CsrfToken(Answer):
    """The token that state-changing requests of a session must carry; in snake case on the wire, read in both."""

    mark = Mark.SIBLING

    csrf_token: str = ""


class RefreshedToken(Answer):
    """A new bearer token; `expires_in` is in seconds. In snake case on the wire, read in both."""

    mark = Mark.SIBLING

    access_token: str = ""
    expires_in: int | None = None


# Requests


class ListThreads(Request):
    """The query of the thread list."""

    folder: str | None = None
    is_read: bool | None = None
    is_starred: bool | None = None
    has_follow_up: bool | None = None
    has_attachments: bool | None = None
    from_: Annotated[str | None, Field(alias="from")] = None
    entity_type: EntityType | None = None
    entity_id: str | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    page: Annotated[int | None, Mark.DOCUMENTED] = None
    limit: Annotated[int | None, Mark.DOCUMENTED] = None
    cursor: Annotated[str | None, Mark.SIBLING] = None
    sort_by: Annotated[str | None, Mark.DOCUMENTED] = None
    sort_order: Annotated[Literal["asc", "desc"] | None, Mark.DOCUMENTED] = None


class SearchThreads(Request):
    """The query of the search."""

    q: str
    folder: str | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    page: int | None = None
    limit: int | None = None
    cursor: Annotated[str | None, Mark.SIBLING] = None


class ListScheduled(Request):
    """The query of the list of scheduled mail."""

    page: int | None = None
    limit: int | None = None
    cursor: Annotated[str | None, Mark.SIBLING] = None


class OutgoingEmail(Request):
    """A message to save as a draft: every field may be missing."""

    to: list[str] | None = None
    cc: list[str] | None = None
    bcc: list[str] | None = None
    subject: str | None = None
    body_html: str | None = None
    body_text: str | None = None
    thread_id: str | None = None
    in_reply_to: str | None = None
    draft_id: str | None = None


class SendEmail(OutgoingEmail):
    """A message to send now, or at `scheduled_for`."""

    scheduled_for: datetime | None = None


class SaveDraft(OutgoingEmail):
    """A draft to save, or to update where `id` is present."""

    id: str | None = None


class SetRead(Request):
    """Mark one thread read or unread."""

    is_read: bool


class SetStar(Request):
    """Star one thread, or take its star away."""

    is_starred: bool


class ThreadIds(Request):
    """The threads of a batch request."""

    thread_ids: list[str]


class SetReadBatch(ThreadIds):
    """Mark threads read or unread."""

    is_read: bool


class SetStarBatch(ThreadIds):
    """Star threads, or take their stars away."""

    is_starred: bool


class MoveThreads(ThreadIds):
    """Move threads to a folder."""

    folder: str


class BulkThreads(ThreadIds):
    """One action on many threads."""

    action: BulkAction
    folder: str | None = None


class LinkCrmRecord(Request):
    """Link a thread to a CRM record."""

    entity_type: EntityType
    entity_id: str


class SetFollowUp(Request):
    """Set a reminder on a thread."""

    reminder_date: datetime
    note: str | None = None
