"""Looking for a message whose sending got no answer: among scheduled mail, in its thread, among sent mail.

A message is known by the id of its operation where the service answers it, else by its recipients, subject, text and
time. "Not sent" is said only where all that could hold the message was read; what is in doubt stays unknown.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import anyio

from salesos_inbox.contract import models
from salesos_inbox.errors import InboxError, NotFound, RateLimited
from salesos_inbox.mail.addresses import mailbox
from salesos_inbox.mail.nesting import bearable
from salesos_inbox.mail.reading import read_whole
from salesos_inbox.mail.unicode import clean

if TYPE_CHECKING:
    from salesos_inbox.client.http import InboxClient, Page

SETTLE_SECONDS = 60.0
"""How long a slow service may take to file a message; before that its absence says nothing."""
LONGEST_LOOK = 10.0
"""Seconds after which looking ends, with what was seen until then."""
CLOCK_SKEW = timedelta(minutes=5)
"""How far the service's clock may be behind ours: what was sent that much earlier is looked at, and stays in doubt."""
MOST_PAGES = 5
"""Pages of 100 that are read of each list."""
MOST_THREADS = 20
"""Threads that are read in all, the likeliest first."""

_LEEWAY = timedelta(seconds=2)
_SETTLE = timedelta(seconds=SETTLE_SECONDS)
_JUMP = timedelta(minutes=1)
_FAR = timedelta(days=100_000)
_LONGEST_UNDO = timedelta(hours=1)
_PAGE_LENGTH = 100
_DRAFT_THREADS = 5
_ENOUGH_CHARACTERS = 40
"""A text of as many is no other's beginning by chance: what follows it, the service has added."""
_FOLDERS = ("sent", None, "trash")
"""None lists what is in no special folder; what was sent may be shown there only, and may be deleted by now."""

_ItemT = TypeVar("_ItemT", models.ThreadSummary, models.ScheduledEmail)


@dataclass(frozen=True)
class Sought:
    """A message whose sending got no answer: addresses in ASCII as they were sent, no text, only its digest.

    `scheduled_for` is the time that was sent along; that of an undo window may be left out.
    """

    operation_id: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    bcc: tuple[str, ...]
    subject: str
    body_digest: str
    thread_id: str | None
    scheduled_for: datetime | None
    attempted_at: datetime
    draft_id: str | None

    @property
    def due(self) -> datetime:
        """When it was to leave."""
        return self.scheduled_for or self.attempted_at


@dataclass(frozen=True)
class Found:
    """What became of a message. `message_id` is the service's id of what was seen, also where that is in doubt.

    `saw` is one clause for the model, without mail content.
    """

    outcome: Literal["sent", "scheduled", "not_sent", "unknown"]
    message_id: str | None
    thread_id: str | None
    at: datetime | None
    saw: str


def body_digest(text: str | None) -> str:
    """Return a digest of what a message says: blanks, line ends and characters nobody sees do not count.

    It holds the text's length too, so that a text is known again where something was added below it.
    """
    return _digest(_characters(text))


async def find_draft(client: InboxClient, draft: models.SaveDraft) -> models.Draft | None:
    """Return a stored draft that says to the same people what `draft` does, None where none of the newest does.

    Raises as the client does.
    """
    thread_ids = [draft.thread_id] if draft.thread_id else await _newest_drafts(client)
    for thread_id in thread_ids:
        for message in reversed((await client.get_thread(thread_id)).messages):
            if _status(message) == "DRAFT" and _is_alike(draft, message):
                return models.Draft(id=message.id, thread_id=thread_id)
    return None


async def _newest_drafts(client: InboxClient) -> list[str]:
    query = models.ListThreads(folder="drafts", sort_by="lastMessageAt", sort_order="desc", limit=_DRAFT_THREADS)
    return [row.id for row in (await client.list_threads(query)).items]


def _is_alike(draft: models.SaveDraft, message: models.Message) -> bool:
    """Whether a message has the recipients, the subject and the text of `draft`."""
    people = ((draft.to, message.to_emails), (draft.cc, message.cc_emails), (draft.bcc, message.bcc_emails))
    texts = _texts(message.body_text, message.body_html)
    return (
        all(_mailboxes(ours or ()) == _mailboxes(theirs) for ours, theirs in people)
        and _bare(draft.subject or "") == _bare(message.subject)
        and (_says(texts, body_digest(draft.body_text)) is True)
    )


async def look_for(client: InboxClient, sought: Sought, *, known: frozenset[str], now: datetime) -> Found:
    """Return what became of `sought`, within `LONGEST_LOOK` seconds; a failure to look is "unknown", never raised.

    `known` are the ids and Message-IDs of messages that other operations sent: they are never taken for this one.
    """
    search = _Search(client, sought, known | {one.strip("<>") for one in known}, now)
    with anyio.move_on_after(LONGEST_LOOK):
        await search.run()
    return search.conclusion()


class _Grade(IntEnum):
    DOUBTFUL = 1
    ALIKE = 2
    CERTAIN = 3


@dataclass(frozen=True)
class _Match:
    grade: _Grade
    apart: timedelta
    found: Found


@dataclass
class _Search:
    client: InboxClient
    sought: Sought
    known: frozenset[str]
    now: datetime
    best: _Match | None = None
    gaps: list[str] = field(default_factory=list[str])
    """Why something may have been missed."""
    stopped: str | None = "looking for it took too long"
    """Why looking ended early, until it has not."""
    draft: bool | None = None
    _threads: set[str] = field(default_factory=set[str])

    @property
    def earliest(self) -> datetime:
        """The first moment at which it may have been sent."""
        return min(self.sought.attempted_at, self.now) - CLOCK_SKEW

    async def run(self) -> None:
        """Look everywhere until the message is found."""
        # Scheduled mail first: what leaves in the meantime is then met among the sent.
        steps: list[Callable[[], Awaitable[None]]] = [self._look_at_scheduled, self._look_at_thread]
        steps += [lambda folder=folder: self._look_in(folder) for folder in _FOLDERS]
        for step in steps:
            try:
                await step()
            except RateLimited:
                self.stopped = "SalesOS takes no more requests for now"
                return
            except InboxError:
                self.gaps.append("SalesOS failed while the mailbox was searched")
            if self.best and self.best.grade > _Grade.DOUBTFUL:
                break
        self.stopped = None
        if self.best is None and self.sought.draft_id:
            try:
                await self._look_at_draft(self.sought.draft_id)
            except InboxError:
                return

    def conclusion(self) -> Found:
        """Return what all that was seen amounts to."""
        jumped = self.sought.attempted_at > self.now + _JUMP
        if self.best:
            if jumped and self.best.grade is _Grade.ALIKE:
                saw = "a message just like it is there, but a clock jumped since it was sent"
                return replace(self.best.found, outcome="unknown", saw=saw)
            return self.best.found
        if missed := [*filter(None, [self.stopped]), *self.gaps]:
            return self._unseen("unknown", f"it was not seen, but not everything could be read: {missed[0]}")
        if jumped:
            return self._unseen("unknown", "it was not seen, but a clock jumped since it was sent")
        if self._is_settling():
            return self._unseen("unknown", "it was not seen yet, and SalesOS may still be filing it")
        gone = self.draft is False  # what took it away, if not the sending?
        return self._unseen("unknown" if gone else "not_sent", "it is neither among the sent nor the scheduled mail")

    def _is_settling(self) -> bool:
        waits = [self.sought.attempted_at, *(due for due in [self.sought.due] if due <= self.now)]
        return any(self.now - since < _SETTLE for since in waits)

    def _unseen(self, outcome: Literal["not_sent", "unknown"], saw: str) -> Found:
        hints = {True: "; its draft is still there", False: "; its draft is gone", None: ""}
        return Found(outcome, None, None, None, saw + hints[self.draft])

    # Where it may be

    async def _look_at_scheduled(self) -> None:
        async def page(position: Mapping[str, Any]) -> Page[models.ScheduledEmail]:
            return await self.client.list_scheduled(models.ListScheduled(limit=_PAGE_LENGTH, **position))

        for email in await self._rows(page, lambda rows: False):
            self._weigh(self._as_scheduled(email))

    async def _look_at_thread(self) -> None:
        if self.sought.thread_id:
            await self._read(self.sought.thread_id)

    async def _look_in(self, folder: str | None) -> None:
        query = models.ListThreads(folder=folder, limit=_PAGE_LENGTH, sort_by="lastMessageAt", sort_order="desc")

        async def page(position: Mapping[str, Any]) -> Page[models.ThreadSummary]:
            return await self.client.list_threads(query.model_copy(update=position))

        rows = await self._rows(page, lambda rows: _reaches_back(rows, self.earliest))
        recent = [row for row in rows if row.last_message_at is None or row.last_message_at >= self.earliest]
        for row in sorted(filter(self._may_hold, recent), key=self._unlikeliness):
            await self._read(row.id)

    async def _look_at_draft(self, draft_id: str) -> None:
        page = await self.client.list_threads(models.ListThreads(folder="drafts", page=1, limit=_PAGE_LENGTH))
        for row in sorted(page.items, key=self._unlikeliness)[:_DRAFT_THREADS]:
            thread = await self.client.get_thread(row.id)
            if any(message.id == draft_id and _status(message) == "DRAFT" for message in thread.messages):
                self.draft = True
                return
        if len(page.items) <= _DRAFT_THREADS and _is_last(page, len(page.items)):
            self.draft = False

    async def _rows(
        self, fetch: Callable[[Mapping[str, Any]], Awaitable[Page[_ItemT]]], enough: Callable[[list[_ItemT]], bool]
    ) -> list[_ItemT]:
        """Return the rows of a list, to its end or until they are `enough`; notes where neither was reached."""
        rows: list[_ItemT] = []
        ids: set[str] = set()
        position: dict[str, Any] = {"page": 1}
        for number in range(1, MOST_PAGES + 1):
            page = await fetch(position)
            fresh = [row for row in page.items if row.id not in ids]
            rows += fresh
            ids |= {row.id for row in fresh}
            if enough(rows) or _is_last(page, len(ids)):
                return rows
            if not fresh:
                break
            position = {"cursor": page.next_cursor} if page.next_cursor else {"page": number + 1}
        self.gaps.append("there is more mail than can be looked through")
        return rows

    async def _read(self, thread_id: str) -> None:
        if thread_id in self._threads:
            return
        if len(self._threads) >= MOST_THREADS:
            self.gaps.append("there are more threads like it than can be read")
            return
        self._threads.add(thread_id)
        try:
            thread = await self.client.get_thread(thread_id)
        except NotFound:
            self.gaps.append("a thread that may have held it is gone")
            return
        if not thread.messages or (thread.message_count or 0) > len(thread.messages):
            self.gaps.append("a thread that may hold it was shown in part only")
        for message in thread.messages:
            self._weigh(self._as_sent(message, thread_id))

    def _may_hold(self, row: models.ThreadSummary) -> bool:
        visible = _mailboxes((*self.sought.to, *self.sought.cc))
        return _akin(row.subject, self.sought.subject) or visible <= _participants(row)

    def _unlikeliness(self, row: models.ThreadSummary) -> tuple[bool, bool, timedelta]:
        everyone = _mailboxes((*self.sought.to, *self.sought.cc, *self.sought.bcc))
        apart = abs(row.last_message_at - self.sought.due) if row.last_message_at else timedelta(0)
        return not everyone & _participants(row), not _akin(row.subject, self.sought.subject), apart

    # Whether it is the one

    def _weigh(self, match: _Match | None) -> None:
        if match and (self.best is None or (match.grade, -match.apart) > (self.best.grade, -self.best.apart)):
            self.best = match

    def _as_sent(self, message: models.Message, thread_id: str) -> _Match | None:
        if _status(message) in {"DRAFT", "RECEIVED"} or (message.direction or "").upper() == "INBOUND":
            return None
        sought = self.sought
        at = message.sent_at or message.received_at
        apart = abs(at - sought.due) if at else _FAR
        certain = _carries(message, sought.operation_id)
        addresses = (*message.to_emails, *message.cc_emails, *message.bcc_emails)
        agreement = _agreement(sought, addresses, message.subject, message.body_text, message.body_html)
        too_early = at is not None and at < self.earliest
        if not certain and (too_early or not self.known.isdisjoint(_ids(message)) or not _counts(agreement, apart)):
            return None
        return _judged(
            Found("sent", message.id or None, thread_id, at, ""),
            apart,
            (_status(message) == "FAILED", _Grade.DOUBTFUL, "a message like it is there, marked as failed"),
            (certain, _Grade.CERTAIN, "it is among the sent mail, with the id it was sent under"),
            (False in agreement, _Grade.DOUBTFUL, "a message much like it was sent at that time"),
            (None in agreement, _Grade.DOUBTFUL, "a message like it was sent, but too little of it can be compared"),
            (at is None, _Grade.DOUBTFUL, "a message just like it was sent, at a time that is not shown"),
            (
                at is not None and at < sought.due - _LEEWAY,
                _Grade.DOUBTFUL,
                "a message just like it was sent before this one was to leave",
            ),
            (True, _Grade.ALIKE, "a message with its recipients, subject and text was sent"),
        )

    def _as_scheduled(self, email: models.ScheduledEmail) -> _Match | None:
        sought = self.sought
        apart = abs(email.scheduled_for - sought.due) if email.scheduled_for else _FAR
        certain = _carries(email, sought.operation_id)
        extra = (email.model_extra or {}).get("bodyHtml")
        html = extra if isinstance(extra, str) else None
        addresses = (*email.to, *email.cc, *email.bcc)
        agreement = _agreement(sought, addresses, email.subject, email.body_text, html)
        if not certain and (email.id in self.known or not _counts(agreement, apart)):
            return None
        waits = email.scheduled_for - sought.attempted_at if email.scheduled_for else _FAR
        on_time = apart <= _SETTLE if sought.scheduled_for else -_LEEWAY <= waits <= _LONGEST_UNDO
        to_the_second = apart <= _LEEWAY and agreement == (True, True, None) and not (email.body_text or html)
        return _judged(
            Found("scheduled", email.id or None, email.thread_id, email.scheduled_for, ""),
            apart,
            (certain, _Grade.CERTAIN, "it waits among the scheduled mail, with the id it was sent under"),
            (False in agreement, _Grade.DOUBTFUL, "a message much like it waits for that time"),
            (to_the_second, _Grade.ALIKE, "a message with its recipients, subject and time waits"),
            (None in agreement, _Grade.DOUBTFUL, "a message like it waits, but too little of it can be compared"),
            (not on_time, _Grade.DOUBTFUL, "a message just like it waits for another time"),
            (True, _Grade.ALIKE, "a message with its recipients, subject, text and time waits"),
        )


_Agreement = tuple[bool | None, bool | None, bool | None]
"""Whether recipients, subject and text are the sought ones; None where that cannot be told."""


def _agreement(
    sought: Sought, addresses: Iterable[str], subject: str, body_text: str | None, body_html: str | None
) -> _Agreement:
    listed = _mailboxes(addresses)
    visible = _mailboxes((*sought.to, *sought.cc))
    people = visible <= listed <= visible | _mailboxes(sought.bcc) if listed or not visible else None
    subjects = _bare(subject) == _bare(sought.subject) if subject or not sought.subject else None
    if people is False:
        return False, subjects, None
    return people, subjects, _says(_texts(body_text, body_html), sought.body_digest)


def _counts(agreement: _Agreement, apart: timedelta) -> bool:
    """Whether a message may be the sought one: one that differs must have been sent at its very time."""
    people, subject, text = agreement
    if people is False or subject is text is False:
        return False
    return apart <= _SETTLE or False not in agreement


def _judged(found: Found, apart: timedelta, *verdicts: tuple[bool, _Grade, str]) -> _Match:
    """Return the match with the first verdict that applies."""
    grade, saw = next((grade, saw) for applies, grade, saw in verdicts if applies)
    outcome = "unknown" if grade is _Grade.DOUBTFUL else found.outcome
    return _Match(grade, apart, replace(found, outcome=outcome, saw=saw))


def _says(texts: list[str], digest: str) -> bool | None:
    """Whether any of the texts is the one of `digest`, or begins with it; None where there is no telling."""
    length = int(digest.partition(":")[0])
    if not texts:
        return True if not length else None
    written = [_characters(text) for text in texts]
    beginnings = [text for text in written if length and _digest(text[:length]) == digest]
    if any(_digest(text) == digest for text in written) or (beginnings and length >= _ENOUGH_CHARACTERS):
        return True
    return None if beginnings else False


def _texts(body_text: str | None, body_html: str | None) -> list[str]:
    """Return what a message says, in each way that a text may have become its bodies."""
    if not body_html:
        return [body_text] if body_text else []
    from selectolax.lexbor import LexborHTMLParser

    page = LexborHTMLParser(bearable(body_html.encode("utf-8", "replace").decode()))
    page.strip_tags(["head", "title", "style", "script", "template"])
    texts = (body_text, page.body.text() if page.body else None, read_whole(body_html).text)
    return [text for text in texts if text and text.strip()]


def _characters(text: str | None) -> str:
    return "".join(unicodedata.normalize("NFC", clean(text or "").text).split())


def _digest(characters: str) -> str:
    return f"{len(characters)}:{hashlib.sha256(characters.encode()).hexdigest()}"


def _bare(subject: str) -> str:
    return _REPLY.sub("", " ".join(unicodedata.normalize("NFC", clean(subject).text).casefold().split()))


_REPLY = re.compile(r"(?:re ?: ?)+")


def _akin(subject: str, other: str) -> bool:
    """Whether two subjects may be of one thread: one ends in the other, or is cut off."""
    shorter, longer = sorted((_bare(subject), _bare(other)), key=len)
    return longer.endswith(shorter) or longer.startswith(shorter.rstrip("….").rstrip())


def _carries(item: models.Answer, operation_id: str) -> bool:
    """Whether the service answers an item with the id it was sent under, in a field whose name nobody told us."""
    return operation_id in (item.model_extra or {}).values()


def _ids(message: models.Message) -> set[str]:
    return {message.id, (message.message_id or message.id).strip("<>")}


def _mailboxes(addresses: Iterable[str]) -> frozenset[str]:
    return frozenset(map(mailbox, addresses))


def _participants(row: models.ThreadSummary) -> frozenset[str]:
    return _mailboxes(person.email for person in row.participants)


def _status(message: models.Message) -> str:
    return (message.status or "").upper()


def _is_last(page: Page[Any], seen: int) -> bool:
    """Whether a list ends with this page; where it does not tell, it ends with an empty one."""
    if page.has_more is not None:
        return not page.has_more
    if page.next_cursor:
        return False
    return seen >= page.total if page.total is not None else not page.items


def _reaches_back(rows: list[models.ThreadSummary], earliest: datetime) -> bool:
    """Whether rows go from the newest to one before `earliest`, so that none after them can be younger."""
    times = [row.last_message_at for row in rows if row.last_message_at]
    if len(times) < len(rows) or not times or times[-1] >= earliest:
        return False
    return times[0] > times[-1] and all(one >= following for one, following in pairwise(times))
