"""What the server itself finds out before a message leaves: where its recipients come from, and whether
something like it was sent already.

Nothing here is the model's account, and nothing a stranger can write makes him an acquaintance: what reassures
comes from what the user wrote, as the service keeps it. Look-ups are bounded and may fail; then less is known,
and that is said.
"""

import difflib
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from html import unescape
from typing import TypeVar
from urllib.parse import unquote

import anyio

from salesos_inbox.approval.card import Provenance, Recipient
from salesos_inbox.contract import models
from salesos_inbox.errors import InboxError, InvalidArguments, NotFound
from salesos_inbox.mail.addresses import Address, parse_address
from salesos_inbox.mail.lookalikes import is_shared, look_alike
from salesos_inbox.mail.reading import read_body
from salesos_inbox.mail.unicode import clean, one_line
from salesos_inbox.tools._compose import Composed, bare_subject, messages_of
from salesos_inbox.tools._kit import MOST_AT_ONCE, Desk

LOOKED_UP = 12
"""How many recipients of one message are looked up."""
MOST_REQUESTS = 30
"""How many requests the look-ups for one message may cost."""
SECONDS = 8.0
"""How long they may take."""
READ_FOR_EACH = 3
"""How many threads are read to settle one question about one recipient."""
READ_FOR_SIMILAR = 2
SIMILAR_WITHIN = timedelta(days=7)
ANSWER_AWAITED = timedelta(days=1)
"""How long a message of the user's that nobody answered is named when they write in its thread again."""

_SENT_PAGE = 100
_HITS = 10
_NOT_SENT = frozenset({"DRAFT", "FAILED"})
_NOT_ARRIVED = _NOT_SENT | {"BOUNCED"}
_MOST_CHARACTERS = 1_000_000
"""How much of a thread's text is looked through for an address."""
_NEARLY = 0.9
_FEWEST_WORDS = 8
"""Shorter texts, such as thanks, are alike without meaning anything."""
_MOST_WORDS = 600

_PLAIN_ADDRESS = re.compile(r"[\w.+'-]+@[\w-]+(?:\.[\w-]+)+", re.ASCII)
_NAMED = re.compile(r".*<([^<>]*)>\s*", re.DOTALL)
_TAG = re.compile(r"<[^<>]*>")
_WORD = re.compile(r"[\u2e80-\uffff]|\w+")
"""A word, or a character of a script that puts no blanks between words."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Findings:
    """What was found out about a message: its recipients, and in words a similar one that was sent already."""

    recipients: tuple[Recipient, ...]
    similar: str | None


async def findings(desk: Desk, composed: Composed, *, seconds: float = SECONDS) -> Findings:
    """Return all that is found out about a message, within `seconds`; it never fails, but may know less."""
    lookups = _LookUps(desk, seconds)
    similar = await _similar(lookups, composed)
    return Findings(tuple(await _recipients(lookups, composed)), similar)


async def recipients_of(desk: Desk, composed: Composed, *, seconds: float = SECONDS) -> list[Recipient]:
    """Return the recipients in their order, each with where it comes from."""
    return await _recipients(_LookUps(desk, seconds), composed)


async def similar_sent(desk: Desk, composed: Composed, *, seconds: float = SECONDS) -> str | None:
    """Return in our words that something like the message was sent already, or None.

    That is nearly the same text, or in a new conversation the same subject, to one of its recipients within a week;
    or a message in this thread within a day that nobody has answered. The words stay the same while a person thinks.
    """
    return await _similar(_LookUps(desk, seconds), composed)


# Looking up


@dataclass
class _LookUps:
    """What is asked of the service for one message: each thing once, a few at a time, within the bounds.

    Where the service fails or refuses for now, nothing more is asked.
    """

    desk: Desk
    seconds: float
    threads: dict[str, models.Thread] = field(default_factory=dict[str, models.Thread])
    """What was read; a thread that is gone has no messages."""
    _left: int = MOST_REQUESTS
    _deadline: float = field(init=False)
    _own: frozenset[str] | None = None
    _sent: list[models.ThreadSummary] | None = None

    def __post_init__(self) -> None:
        self._deadline = anyio.current_time() + self.seconds

    async def own(self) -> frozenset[str]:
        """Return the user's own addresses, as far as the service tells."""
        if self._own is None:
            self._own = frozenset(map(_key, (await self._each([self.desk.own_addresses]))[0] or ()))
        return self._own

    async def sent(self) -> list[models.ThreadSummary]:
        """Return the newest threads that the user wrote in; none where that is not known."""
        if self._sent is None:
            query = models.ListThreads(folder="sent", limit=_SENT_PAGE)
            page = (await self._each([partial(self.desk.client.list_threads, query)]))[0]
            self._sent = page.items[:_SENT_PAGE] if page else []
        return self._sent

    async def search(self, queries: Sequence[models.SearchThreads]) -> list[list[models.ThreadSummary] | None]:
        """Return what each of the searches finds, None for what is not known."""
        pages = await self._each([partial(self.desk.client.search_threads, query) for query in queries])
        return [page and page.items for page in pages]

    async def read(self, thread_ids: Iterable[str]) -> None:
        """Read those of the threads that were not read yet."""
        wanted = [thread_id for thread_id in dict.fromkeys(thread_ids) if thread_id not in self.threads]
        read = await self._each([partial(self._thread, thread_id) for thread_id in wanted])
        self.threads |= {thread_id: thread for thread_id, thread in zip(wanted, read, strict=True) if thread}

    async def _thread(self, thread_id: str) -> models.Thread:
        try:
            return await self.desk.client.get_thread(thread_id)
        except NotFound:
            return models.Thread(id=thread_id)

    async def _each(self, jobs: Sequence[Callable[[], Awaitable[_T]]]) -> list[_T | None]:
        """Return what each job answers, None for those that failed, came too late, or were one too many."""
        answers: list[_T | None] = [None] * len(jobs)
        granted = jobs[: self._left]
        self._left -= len(granted)
        limiter = anyio.CapacityLimiter(MOST_AT_ONCE)

        async def run(place: int, job: Callable[[], Awaitable[_T]]) -> None:
            async with limiter:
                try:
                    answers[place] = await job()
                except InboxError as error:
                    if error.retryable:
                        self._left = 0
                        group.cancel_scope.cancel()

        with anyio.CancelScope(deadline=self._deadline) as scope:
            async with anyio.create_task_group() as group:
                for place, job in enumerate(granted):
                    group.start_soon(run, place, job)
        if scope.cancelled_caught:
            self._left = 0
        return answers


# Recipients


@dataclass
class _Standing:
    """Who the people of a thread are, by the messages in it."""

    own: frozenset[str]
    written: set[str] = field(default_factory=set[str])
    """Whom the user wrote to."""
    writers: set[str] = field(default_factory=set[str])
    """Who opened the thread, and who then answered from within it."""
    named: dict[str, str] = field(default_factory=dict[str, str])
    """Everyone else, with who brought them in; who did so themselves wrote into the thread unbidden."""


def _standing(thread: models.Thread | None, own: frozenset[str]) -> _Standing:
    messages = messages_of(thread)
    standing = _Standing(own | {_key(item.from_email) for item in messages if item.direction == "OUTBOUND"})
    for place, message in enumerate(messages):
        if _by_user(message, standing.own):
            if message.status not in _NOT_SENT:
                standing.written |= _recipient_keys(message)
            continue
        sender = _key(message.from_email)
        if sender in standing.own:
            pass  # the service says that it was received: the sender is forged, or it speaks for nobody
        elif place == 0 or _is_vouched_for(sender, standing):
            standing.writers.add(sender)
        else:
            standing.named.setdefault(sender, message.from_email)
        for named in (*message.to_emails, *message.cc_emails):
            standing.named.setdefault(_key(named), message.from_email)
    return standing


def _is_organization(domain: str, members: Iterable[str]) -> bool:
    """Return whether `domain` is that of one of the members, and not one that strangers share."""
    return domain in {_domain(member) for member in members} and not is_shared(domain)


def _is_vouched_for(sender: str, standing: _Standing) -> bool:
    """Return whether a sender belongs to a thread: named by one who does, or of the organization of one who does."""
    within = standing.written | standing.writers
    if sender in within or _is_organization(_domain(sender), within):
        return True
    return sender in standing.named and _key(standing.named[sender]) in within


async def _recipients(lookups: _LookUps, composed: Composed) -> list[Recipient]:
    own = await lookups.own()
    standing = _standing(composed.thread, own)
    if composed.thread:
        lookups.threads[composed.thread.id] = composed.thread
    people = {_key(address.ascii): address for _, address in composed.recipients}
    found = {key: _at_sight(key, standing) for key in people}
    strangers = [key for key in people if found[key] is None]
    named = [key for key in people if found[key] is Provenance.NAMED_IN_THREAD]
    texts = _received_texts(composed.thread, standing.own) if strangers else []
    found |= {key: Provenance.BODY_ONLY for key in strangers if _stands_in(people[key], texts)}
    found |= await _looked_up(lookups, {key: people[key] for key in (*strangers, *named)[:LOOKED_UP]}, found, standing)
    alike = await _look_alikes(lookups, {key: people[key] for key in people if found[key] not in _FAMILIAR}, standing)
    return [
        Recipient(
            kind,
            _spelled(address),
            found[key] or Provenance.UNCHECKED,
            _shown(standing.named[key]) if found[key] is Provenance.NAMED_IN_THREAD else None,
            alike.get(key),
        )
        for kind, address in composed.recipients
        for key in [_key(address.ascii)]
    ]


_FAMILIAR = frozenset({Provenance.YOURSELF, Provenance.WRITTEN_TO, Provenance.OWN_DOMAIN})


def _at_sight(key: str, standing: _Standing) -> Provenance | None:
    """Return where an address comes from, as far as this can be told without asking."""
    if key in standing.own:
        return Provenance.YOURSELF
    if key in standing.written | standing.writers:
        return Provenance.IN_THREAD
    if _is_organization(_domain(key), standing.own):
        return Provenance.OWN_DOMAIN
    return Provenance.NAMED_IN_THREAD if key in standing.named else None


async def _looked_up(
    lookups: _LookUps, people: Mapping[str, Address], at_sight: Mapping[str, Provenance | None], standing: _Standing
) -> dict[str, Provenance]:
    """Return what is found about `people`: whom the user wrote to elsewhere, and where those nobody named come from."""
    found: dict[str, Provenance] = {}
    hits = await _candidates(lookups, people, folder="sent")
    written = await _first_with(
        lookups, hits, lambda key, thread: any(key in keys for keys in _written_to(thread, standing.own))
    )
    found |= {key: Provenance.WRITTEN_TO for key, is_so in written.items() if is_so}
    rest = {key: people[key] for key, is_so in written.items() if is_so is False and at_sight[key] is None}
    hits = await _candidates(lookups, rest, folder=None)
    named = await _first_with(lookups, hits, lambda key, thread: key in _in_headers(thread, standing.own))
    for key in (key for key, is_so in named.items() if is_so is not None):
        texts = [text for hit in hits[key] for text in _received_texts(lookups.threads.get(hit), standing.own)]
        body_only = not named[key] and _stands_in(rest[key], texts)
        found[key] = Provenance.BODY_ONLY if body_only else Provenance.FIRST_CONTACT
    return found


async def _candidates(lookups: _LookUps, people: Mapping[str, Address], folder: str | None) -> dict[str, list[str]]:
    """Return for each address the threads to read about it, those first that it takes part in.

    One whose search failed is left out.
    """
    found = await lookups.search(
        [
            models.SearchThreads(q=address.ascii if folder else address.email, folder=folder, limit=_HITS)
            for address in people.values()
        ]
    )
    return {
        key: [item.id for item in sorted(items, key=lambda item, key=key: key not in _participants(item))][
            :READ_FOR_EACH
        ]
        for key, items in zip(people, found, strict=True)
        if items is not None
    }


async def _first_with(
    lookups: _LookUps, candidates: Mapping[str, Sequence[str]], holds: Callable[[str, models.Thread], bool]
) -> dict[str, bool | None]:
    """Return for each key whether `holds` is true of one of its threads, None where one could not be read.

    The threads are read in turns, so that no key uses up what all may ask.
    """
    found: dict[str, bool | None] = {}
    for place in range(READ_FOR_EACH):
        turn = {key: ids[place] for key, ids in candidates.items() if key not in found and place < len(ids)}
        await lookups.read(turn.values())
        for key, thread_id in turn.items():
            thread = lookups.threads.get(thread_id)
            if thread is None:
                found[key] = None
            elif holds(key, thread):
                found[key] = True
    return {key: found.get(key, False) for key in candidates}


async def _look_alikes(lookups: _LookUps, people: Mapping[str, Address], standing: _Standing) -> dict[str, str]:
    """Return the known domain that one of these addresses could be taken for.

    A domain is not known because it stands in a thread of the user's, where anyone can write himself into: what
    clears one that is like another is a message that the user wrote to it.
    """
    certain = {_domain(key) for key in standing.own | standing.written}
    doubtful = {key: _domain(key) for key in people if _domain(key) not in certain and not is_shared(_domain(key))}
    if not doubtful:
        return {}
    threads_of: dict[str, list[str]] = {}
    for summary in await lookups.sent():
        for domain in sorted(set(map(_domain, _participants(summary)))):
            threads_of.setdefault(domain, []).append(summary.id)
    seen = sorted({*map(_domain, standing.writers), *threads_of} - certain)
    alike: dict[str, str] = {}
    for key, domain in doubtful.items():
        # One by one, so that a domain of its own kind, which may be as false, does not clear it.
        resembled = [other for other in seen if look_alike(domain, [other])]
        if taken_for := look_alike(domain, sorted(certain) + resembled):
            alike[key] = taken_for
    written = await _first_with(
        lookups,
        {key: threads_of.get(doubtful[key], [])[:READ_FOR_EACH] for key in alike},
        lambda key, thread: any(doubtful[key] in map(_domain, keys) for keys in _written_to(thread, standing.own)),
    )
    return {key: taken_for for key, taken_for in alike.items() if not written[key]}


# Similar mail


async def _similar(lookups: _LookUps, composed: Composed) -> str | None:
    own = await lookups.own() | {_key(item.from_email) for item in messages_of(composed.thread) if _is_outbound(item)}
    people = {_key(address.ascii): address for _, address in composed.recipients}
    text = _words(None, composed.body)
    now = lookups.desk.now()

    def is_to_the_same(message: models.Message) -> bool:
        is_recent = _is_within(SIMILAR_WITHIN, now, _moment(message))
        has_left = _by_user(message, own) and message.status not in _NOT_ARRIVED
        return is_recent and has_left and bool(people.keys() & _recipient_keys(message))

    def says_the_same(message: models.Message) -> bool:
        return _is_nearly(text, _words(message.body_html, message.body_text))

    def in_words(message: models.Message) -> str:
        reached = [_spelled(people[key]) for key in people if key in _recipient_keys(message)]
        others = f" and {_others(len(reached) - 1)}" if reached[1:] else ""
        return f"You wrote to {reached[0]}{others} about the same on {_in_words(lookups.desk, message)}."

    messages = messages_of(composed.thread)
    for message in filter(is_to_the_same, reversed(messages)):
        if says_the_same(message):
            return in_words(message)
    if messages and is_to_the_same(messages[-1]) and _is_within(ANSWER_AWAITED, now, _moment(messages[-1])):
        return f"You wrote in this thread on {_in_words(lookups.desk, messages[-1])}, and nobody has answered yet."
    # Within a conversation the subject is the same by nature.
    subject = _subject(composed.subject) if composed.thread is None else ""

    def is_about_the_same(subject_of: str) -> bool:
        return bool(subject) and _subject(subject_of) == subject

    def may_hold_it(summary: models.ThreadSummary) -> bool:
        if not _is_within(SIMILAR_WITHIN, now, summary.last_message_at):
            return False
        beginning = _split(summary.snippet)
        return is_about_the_same(summary.subject) or _is_nearly(text[: len(beginning)], beginning)

    sent = filter(may_hold_it, await lookups.sent())
    hits = sorted(sent, key=lambda item: not people.keys() & _participants(item))[:READ_FOR_SIMILAR]
    await lookups.read(item.id for item in hits)
    for hit in hits:
        for message in filter(is_to_the_same, reversed(messages_of(lookups.threads.get(hit.id)))):
            if is_about_the_same(message.subject) or says_the_same(message):
                return in_words(message)
    return None


def _in_words(desk: Desk, message: models.Message) -> str:
    """Return when a message was written, in words."""
    return desk.say_time(_moment(message) or desk.now())


def _others(count: int) -> str:
    return "1 other" if count == 1 else f"{count} others"


def _is_within(span: timedelta, now: datetime, moment: datetime | None) -> bool:
    return moment is not None and now - moment <= span


def _moment(message: models.Message) -> datetime | None:
    return message.sent_at or message.received_at


def _subject(subject: str) -> str:
    """Return what a subject and its replies share; nothing of one that says nothing."""
    return " ".join(bare_subject(subject).casefold().split())


def _words(body_html: str | None, body_text: str | None) -> list[str]:
    """Return the words of what is new in a message."""
    return _split(read_body(body_html, body_text).text)


def _split(text: str) -> list[str]:
    return _WORD.findall(text[:_MOST_CHARACTERS].casefold())[:_MOST_WORDS]


def _is_nearly(one: Sequence[str], other: Sequence[str]) -> bool:
    if min(len(one), len(other)) < _FEWEST_WORDS:
        return False
    # An upper bound of the ratio first, as that is slow.
    shared = (Counter(one) & Counter(other)).total()
    if 2 * shared <= _NEARLY * (len(one) + len(other)):
        return False
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio() > _NEARLY


# Messages and addresses


def _is_outbound(message: models.Message) -> bool:
    return message.direction == "OUTBOUND"


def _by_user(message: models.Message, own: frozenset[str]) -> bool:
    """Return whether the user wrote a message: as the service says, as anyone can write a sender."""
    return _is_outbound(message) or (not message.direction and _key(message.from_email) in own)


def _recipient_keys(message: models.Message) -> set[str]:
    return {_key(email) for email in (*message.to_emails, *message.cc_emails, *message.bcc_emails)}


def _written_to(thread: models.Thread, own: frozenset[str]) -> Iterable[set[str]]:
    """Yield whom each message of the user's in `thread` went to."""
    for message in messages_of(thread):
        if _by_user(message, own) and message.status not in _NOT_SENT:
            yield _recipient_keys(message)


def _in_headers(thread: models.Thread, own: frozenset[str]) -> set[str]:
    """Return who stands in a header of a received message."""
    received = [message for message in messages_of(thread) if not _by_user(message, own)]
    return {key for message in received for key in (_key(message.from_email), *_recipient_keys(message))}


def _stands_in(address: Address, texts: Iterable[str]) -> bool:
    """Return whether the address stands in one of `texts`, by itself and not as a part of another."""
    spellings = {address.email.casefold(), address.ascii.casefold()}
    alone = re.compile(rf"(?<![\w.+-])(?:{'|'.join(map(re.escape, spellings))})(?![\w-]|\.\w)")
    return any(alone.search(text) for text in texts if any(spelling in text for spelling in spellings))


def _received_texts(thread: models.Thread | None, own: frozenset[str]) -> list[str]:
    """Return the text of the received messages, the newest first, however an address is hidden in it."""
    found: list[str] = []
    left = _MOST_CHARACTERS
    for message in reversed(messages_of(thread)):
        html = message.body_html or ""
        for part in () if _by_user(message, own) else (message.body_text or "", html, _TAG.sub("", html[:left])):
            found.append(clean(unquote(unescape(part[:left]))).text.casefold())
            left -= len(part[:left])
    return found


def _participants(summary: models.ThreadSummary) -> set[str]:
    return {_key(person.email) for person in summary.participants}


def _key(text: str) -> str:
    """Return what two spellings of one address share; of what is no address, the text itself."""
    named = _NAMED.fullmatch(text)
    email = (named[1] if named else text).strip()
    if _PLAIN_ADDRESS.fullmatch(email):  # most are, and checking one by all the rules takes its time
        return email.casefold()
    try:
        return parse_address(email).ascii.casefold()
    except InvalidArguments:
        return email.casefold()


def _domain(key: str) -> str:
    return key.rpartition("@")[2]


def _spelled(address: Address) -> str:
    """Return an address as it leaves: without a name, and with its ASCII form where letters may deceive."""
    return address.email if address.email.isascii() else f"{address.email} = {address.ascii}"


def _shown(email: str) -> str:
    """Return an address as a message had it, without the name that it may pretend with."""
    try:
        return _spelled(parse_address(email))
    except InvalidArguments:
        return one_line(email, 100)
