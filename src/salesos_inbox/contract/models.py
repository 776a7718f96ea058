"""The bodies of the API, field for field.

Answers (`Answer`) are read tolerantly: unknown fields are kept, missing ones allowed.
Requests (`Request`) are written strictly: an unknown field never leaves.

Every model states how its fields are known (`mark`); a field known better than its model says so
itself, as `Annotated[type, Mark.DOCUMENTED]`.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, AliasGenerator, BaseModel, BeforeValidator, ConfigDict, Field
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
Address = Annotated[str, Field(json_schema_extra={"format": "email"})]
PageNumber = Annotated[int | None, Field(ge=1)]
PageLength = Annotated[int | None, Field(ge=1, le=100)]
SortKey = Literal["lastMessageAt", "subject"]


# Answers


class Folder(Answer):
    """A folder and its counts."""

    id: str = ""
    """Names the folder, as its name and its kind do."""
    name: Text = ""
    """As the user sees it."""
    type: str = "custom"
    """inbox, sent, drafts, scheduled, archive, trash, spam or custom."""
    unread_count: int | None = None
    """Threads with something unread."""
    total_count: int | None = None
    """Threads its list shows."""


class Participant(Answer):
    """One of the people in a thread."""

    name: str | None = None
    """As mail gives it."""
    email: Text = ""
    """Their address."""


class FollowUp(Answer):
    """A reminder on a thread."""

    reminder_date: MaybeMoment = None
    """When the user is reminded."""
    note: str | None = None
    """What of."""


class CrmLink(Answer):
    """A link from a thread to a CRM record."""

    entity_type: Text = ""
    """lead, contact, account or opportunity."""
    entity_id: Text = ""
    """The record's id."""
    name: str | None = None
    """The record's name."""


class Attachment(Answer):
    """A file of a message."""

    id: str = ""
    """The service's id."""
    filename: str | None = None
    """As its sender named it."""
    content_type: str | None = None
    """Its media type."""
    size: int | None = None
    """In bytes."""


class Message(Answer):
    """One message of a thread."""

    id: str = ""
    """The service's id."""
    message_id: str | None = None
    """Message-ID of RFC 5322."""
    in_reply_to: str | None = None
    """Message-ID that it answers."""
    references: Strings = []
    """Message-IDs of its thread, the oldest first."""
    from_email: Text = ""
    """Its sender's address."""
    from_name: str | None = None
    """Its sender's name."""
    to_emails: Strings = []
    """To whom."""
    cc_emails: Strings = []
    """In copy."""
    bcc_emails: Strings = []
    """In blind copy; only of the user's own mail."""
    subject: Text = ""
    """Its subject."""
    body_html: str | None = None
    """As HTML."""
    body_text: str | None = None
    """As plain text."""
    direction: str | None = None
    """INBOUND or OUTBOUND."""
    status: str | None = None
    """DRAFT, QUEUED, SENT, DELIVERED, OPENED, CLICKED, BOUNCED, FAILED or RECEIVED."""
    sent_at: MaybeMoment = None
    """When it left; none in a draft."""
    received_at: MaybeMoment = None
    """When it came; none in the user's own."""
    attachments: Annotated[list[Attachment], BeforeValidator(_items)] = []
    """Its files, without their content."""


class ThreadSummary(Answer):
    """A thread as lists show it."""

    id: str = ""
    """The service's id."""
    subject: Text = ""
    """That of its first message."""
    snippet: Text = ""
    """Words of its last message; in a search, those around the match."""
    folder: str | None = None
    """Kind of its folder, or the name of a custom one."""
    participants: Annotated[list[Participant], BeforeValidator(_items)] = []
    """Everyone in it."""
    message_count: int | None = None
    """Drafts too."""
    is_read: bool | None = None
    """Whether all of it is."""
    is_starred: bool | None = None
    """Whether the user marked it."""
    has_attachments: bool | None = None
    """Whether any message has a file."""
    last_message_at: MaybeMoment = None
    """When its last message was sent."""
    follow_up: FollowUp | None = None
    """Its reminder, if there is one."""
    crm_links: Annotated[list[CrmLink], BeforeValidator(_items)] = []
    """The records it is linked to."""


class Thread(ThreadSummary):
    """A thread with all its messages."""

    messages: Annotated[list[Message], BeforeValidator(_items)] = []
    """The oldest first."""


class SendReceipt(Answer):
    """What the service says of a message it took."""

    id: str | None = None
    """The message's id, or the scheduled email's."""
    thread_id: str | None = None
    """The thread it went into."""
    message_id: str | None = None
    """Message-ID of RFC 5322."""
    status: str | None = None
    """SENT, QUEUED or SCHEDULED."""
    scheduled_for: MaybeMoment = None
    """When it will leave."""


class Draft(Answer):
    """A stored draft."""

    id: str = ""
    """The service's id."""
    thread_id: str | None = None
    """The thread it belongs to."""
    to: Strings = []
    """To whom."""
    cc: Strings = []
    """In copy."""
    bcc: Strings = []
    """In blind copy."""
    subject: Text = ""
    """Its subject."""
    body_html: str | None = None
    """As HTML."""
    body_text: str | None = None
    """As plain text."""
    updated_at: MaybeMoment = None
    """When it was last saved."""


class ScheduledEmail(Answer):
    """A message waiting for its time."""

    id: str = ""
    """The service's id."""
    thread_id: str | None = None
    """The thread it answers."""
    to: Strings = []
    """To whom."""
    cc: Strings = []
    """In copy."""
    bcc: Strings = []
    """In blind copy."""
    subject: Text = ""
    """Its subject."""
    body_text: str | None = None
    """As plain text."""
    scheduled_for: MaybeMoment = None
    """When it will leave."""
    status: str | None = None
    """SCHEDULED until it leaves."""


class BulkFailure(Answer):
    """A thread a bulk request left as it was, and why."""

    id: Text = ""
    """The thread's id."""
    error: str | None = None
    """Why it was left as it was."""


def _failures(value: object) -> object:
    """Read bare ids as failures without a reason (siblings answer both)."""
    if not isinstance(value, list):
        return []
    items: list[object] = value  # pyright: ignore[reportUnknownVariableType] -- JSON: any list
    return [{"id": item} if isinstance(item, str) else item for item in items]


class BulkResult(Answer):
    """The outcome of a bulk request."""

    mark = Mark.SIBLING

    success: Annotated[list[str] | None, BeforeValidator(lambda value: value if isinstance(value, list) else None)] = (  # pyright: ignore[reportUnknownLambdaType] -- JSON
        None
    )
    """The threads that were changed. Some siblings answer `true`, or only a `count`: then it must be looked up."""
    failed: Annotated[list[BulkFailure], BeforeValidator(_failures)] = []
    """The threads left as they were; may be bare ids."""


class InboxStats(Answer):
    """Counts over the mailbox; any subset, unknown ones are kept."""

    total_threads: int | None = None
    """Threads outside trash and spam, as are all below."""
    unread_threads: int | None = None
    """Those with something unread."""
    starred_threads: int | None = None
    """Those the user marked."""
    scheduled_count: int | None = None
    """Emails that wait for their time."""
    draft_count: int | None = None
    """Threads with a draft."""
    follow_ups_due: int | None = None
    """Reminders whose time has come."""
    awaiting_reply: int | None = None
    """Threads whose last message is the user's."""
    received_today: int | None = None
    """Messages since midnight UTC."""
    sent_today: int | None = None
    """Messages since midnight UTC."""


class User(Answer):
    """The user behind a token."""

    mark = Mark.SIBLING

    id: str = ""
    """The service's id."""
    email: Text = ""
    """Their address."""
    first_name: str | None = None
    """Given name."""
    last_name: str | None = None
    """Family name."""


class _InSnakeCase(Answer):
    model_config = ConfigDict(alias_generator=AliasGenerator(alias=to_camel, serialization_alias=str))


class CsrfToken(_InSnakeCase):
    """The token that state-changing requests of a session must carry; in snake case on the wire, read in both."""

    mark = Mark.SIBLING

    csrf_token: str = ""
    """Good for one session."""


class RefreshedToken(_InSnakeCase):
    """A new bearer token; in snake case on the wire, read in both."""

    mark = Mark.SIBLING

    access_token: str = Field(default="", repr=False)
    """The new bearer."""
    expires_in: int | None = None
    """Seconds that it lives."""


class SignedIn(RefreshedToken):
    """The token of a new session, or that a two-factor code is wanted as well."""

    mark = Mark.ASSUMED

    requires_two_factor: Annotated[bool | None, Field(serialization_alias="requiresTwoFactor")] = None
    """There is no token: ask again with a two-factor code."""


# Requests


class SignIn(Request):
    """An address and a password, and the two-factor code where the service asks for one."""

    email: str
    """The user's address."""
    password: Annotated[str, Field(repr=False)]
    """Their password."""
    two_factor_code: Annotated[str | None, Field(repr=False)] = None
    """Of the user's second factor, where the service wants one."""


class ListThreads(Request):
    """The query of the thread list."""

    folder: str | None = None
    """Kind, name or id of a folder."""
    is_read: bool | None = None
    """Only read ones, or only unread."""
    is_starred: bool | None = None
    """Only starred ones, or only others."""
    has_follow_up: bool | None = None
    """Only with a reminder, or only without."""
    has_attachments: bool | None = None
    """Only with files, or only without."""
    from_: Annotated[str | None, Field(alias="from")] = None
    """Part of a sender's name or address."""
    entity_type: EntityType | None = None
    """Only linked to records of this kind."""
    entity_id: str | None = None
    """Only linked to this record."""
    start_date: datetime | None = None
    """Last message not before."""
    end_date: datetime | None = None
    """Last message not after."""
    page: Annotated[PageNumber, Mark.DOCUMENTED] = None
    """Which page."""
    limit: Annotated[PageLength, Mark.DOCUMENTED] = None
    """Items on a page; 20 where it is not given."""
    cursor: str | None = None
    """As an answer gave it; instead of `page`."""
    sort_by: Annotated[SortKey | None, Mark.DOCUMENTED] = None
    """By what; these values are assumed."""
    sort_order: Annotated[Literal["asc", "desc"] | None, Mark.DOCUMENTED] = None
    """Descending where it is not given."""


class SearchThreads(Request):
    """The query of the search."""

    q: Annotated[str, Field(json_schema_extra={"pattern": r"\S"})]
    """Words; all must be in one message."""
    folder: str | None = None
    """Kind, name or id of a folder."""
    start_date: datetime | None = None
    """Last message not before."""
    end_date: datetime | None = None
    """Last message not after."""
    page: PageNumber = None
    """Which page."""
    limit: PageLength = None
    """Items on a page; 20 where it is not given."""
    cursor: str | None = None
    """As an answer gave it; instead of `page`."""


class ListScheduled(Request):
    """The query of the list of scheduled mail."""

    page: PageNumber = None
    """Which page."""
    limit: PageLength = None
    """Items on a page; 20 where it is not given."""
    cursor: str | None = None
    """As an answer gave it; instead of `page`."""


class OutgoingEmail(Request):
    """A message to save as a draft: every field may be missing."""

    to: list[Address] | None = None
    """To whom."""
    cc: list[Address] | None = None
    """In copy."""
    bcc: list[Address] | None = None
    """In blind copy."""
    subject: str | None = None
    """Its subject."""
    body_html: str | None = None
    """As HTML."""
    body_text: str | None = None
    """As plain text."""
    thread_id: str | None = None
    """The thread it goes into."""
    in_reply_to: str | None = None
    """Message-ID that it answers."""
    draft_id: str | None = None
    """The draft that it replaces."""


class SendEmail(OutgoingEmail):
    """A message to send now, or at `scheduled_for`; to at least one address."""

    scheduled_for: datetime | None = None
    """Present: leave then, not now."""


class SaveDraft(OutgoingEmail):
    """A draft to save, or to update where `id` is present."""

    id: str | None = None
    """Present: change the given fields of this draft."""


class SetRead(Request):
    """Mark one thread read or unread."""

    is_read: bool
    """How it shall be."""


class SetStar(Request):
    """Star one thread, or take its star away."""

    is_starred: bool
    """How it shall be."""


class ThreadIds(Request):
    """The threads of a batch request."""

    thread_ids: Annotated[list[str], Field(min_length=1, max_length=1000)]
    """Whole threads, by their ids."""


class SetReadBatch(ThreadIds):
    """Mark threads read or unread."""

    is_read: bool
    """How they shall be."""


class SetStarBatch(ThreadIds):
    """Star threads, or take their stars away."""

    is_starred: bool
    """How they shall be."""


class MoveThreads(ThreadIds):
    """Move threads to a folder."""

    folder: str
    """Kind, name or id of a folder."""


class BulkThreads(ThreadIds):
    """One action on many threads."""

    action: BulkAction
    """What to do with each."""
    folder: str | None = None
    """Where to; a move needs it."""


class LinkCrmRecord(Request):
    """Link a thread to a CRM record."""

    entity_type: EntityType
    """The record's kind."""
    entity_id: str
    """The record's id."""


class SetFollowUp(Request):
    """Set a reminder on a thread."""

    reminder_date: datetime
    """When the user is reminded."""
    note: str | None = None
    """What of."""
