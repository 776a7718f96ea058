"""What a person is shown before they decide, built from facts the server fetched itself. Pure.

A `Card` is data whose every text is safe to show: on one line, with nothing in it that is unseen,
that a client turns into a link, or that Markdown or HTML reshapes. The page renders the data, and
`Card.text` is the whole as plain text: our own lines begin with words or marks of ours, those of
the message with a margin, so that neither can pass for the other.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Any, Final, Literal, Self

from salesos_inbox.approval.inert import (
    LINE_BREAK,
    inert,
    isolated,
    one_safe_line,
    one_visible_line,
    shown_address,
    visible,
)
from salesos_inbox.mail.unicode import whole_characters

BODY_CHARACTERS = 6_000
"""How much of a message's body a card shows."""
BODY_LINES = 300
"""How many lines of it, as short ones push the rest out of sight too."""
WIDEST_LINE = 1_000
"""Characters of a body's line before it is wrapped."""
LONGEST_SUBJECT = 1_000
"""Characters: more than a message of ours can have, so that none is ever cut."""
LISTED_THREADS = 30
"""How many threads of an action the text form names before it counts the rest."""
LISTED_ADDRESSES = 10
"""How many addresses a warning names before it counts the rest, which stand below it in any case."""
MARGIN: Final = "│"
"""What every line of a message begins with in the text form, and no line of ours."""


class Provenance(StrEnum):
    """Where an address comes from, as the server itself found out."""

    YOURSELF = "yourself"
    OWN_DOMAIN = "own_domain"
    WRITTEN_TO = "written_to"
    """The user has written to them before."""
    IN_THREAD = "in_thread"
    """They wrote in this thread, or the user wrote to them in it."""
    NAMED_IN_THREAD = "named_in_thread"
    """Stands in this thread only because somebody else put it there."""
    BODY_ONLY = "body_only"
    """Seen only in the text of a received mail."""
    FIRST_CONTACT = "first_contact"
    UNCHECKED = "unchecked"
    """Not looked up."""


@dataclass(frozen=True)
class Recipient:
    """One address of a message, where it stands (`To`, `Cc`, `Bcc`), and what is known of it.

    `added_by` is who put it into the thread, `looks_like` a domain the user knows and might take this one for.
    """

    kind: str
    email: str
    provenance: Provenance
    added_by: str | None = None
    looks_like: str | None = None


@dataclass(frozen=True)
class Earlier:
    """What became of this very message before: sent at `at`, or tried then without an answer.

    `unknown`: whether it left is not known; `not_found`: it is not among the sent mail.
    """

    outcome: Literal["sent", "unknown", "not_found"]
    at: str


@dataclass(frozen=True)
class ThreadLine:
    """One thread of a plan, as a person recognizes it."""

    thread_id: str
    people: str
    subject: str


@dataclass(frozen=True)
class Fact:
    """A line of the card: our label, the value shown safely, and a note of ours on it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Item:
    """One thing a person may tick: `key` is what the tick stands for and is never shown."""

    key: str
    text: str


@dataclass(frozen=True)
class Group:
    """Things of one kind, such as the threads to archive; the title counts them."""

    title: str
    items: tuple[Item, ...]


class Remark(str):
    """A line of ours among those of a message, such as what was left out there."""

    __slots__ = ()


@dataclass(frozen=True)
class Card:
    """A question to a person: what will happen, in full, and what the two buttons mean."""

    title: str
    approve: str
    """What approving does, in a few words."""
    warnings: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    body: tuple[str, ...] = ()
    """The lines of the message as it will arrive, and `Remark`s of ours among them."""
    groups: tuple[Group, ...] = ()
    content: str = ""
    """All that an approval covers, uncut and never shown: where it changes, the approval is void."""

    @property
    def text(self) -> str:
        """The whole card as plain text, which clients may take for Markdown, or look for links in: so it is inert.

        Right-to-left text stands isolated, so that our words keep their place.
        """
        warnings = [f"! {warning}" for warning in self.warnings]
        lines = [
            self.title,
            *([*warnings, ""] if warnings else []),
            *map(_fact_text, self.facts),
            *(line for group in self.groups for line in _group_text(group)),
            *(["Message:", *map(_body_text, self.body)] if self.body else []),
        ]
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """Return the card as JSON, for the ledger."""
        return {
            "title": self.title,
            "approve": self.approve,
            "warnings": list(self.warnings),
            "facts": [asdict(fact) for fact in self.facts],
            "body": [{"remark": line} if isinstance(line, Remark) else line for line in self.body],
            "groups": [
                {"title": group.title, "items": [asdict(item) for item in group.items]} for group in self.groups
            ],
            "content": self.content,
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Return the card that `document` holds. Raises `ValueError` where it is none."""
        try:
            return cls(
                title=document["title"],
                approve=document["approve"],
                warnings=tuple(document["warnings"]),
                facts=tuple(Fact(**fact) for fact in document["facts"]),
                body=tuple(line if isinstance(line, str) else Remark(line["remark"]) for line in document["body"]),
                groups=tuple(
                    Group(group["title"], tuple(Item(**item) for item in group["items"]))
                    for group in document["groups"]
                ),
                content=document["content"],
            )
        except (KeyError, TypeError) as error:
            raise ValueError("This is not a card.") from error


def message_card(
    *,
    recipients: Sequence[Recipient],
    subject: str,
    body: str,
    in_thread: str | None,
    records: Sequence[str] = (),
    when: str | None = None,
    odd_time: str | None = None,
    undo_seconds: int = 0,
    attachments: Sequence[str] = (),
    similar: str | None = None,
    earlier: Earlier | None = None,
    unseen: str = "",
) -> Card:
    """Return the card for a message that leaves now, after `undo_seconds`, or at `when` (local and UTC time, in words).

    `in_thread` is the subject of the thread it answers, None where it begins a new one; `records` are
    the linked CRM records; `attachments` are names with types and sizes. `odd_time` is what
    `odd_time()` says of the local time; `similar` tells in our words that something like it was sent
    already, `earlier` that this very message was. `unseen` is what the approval covers besides what
    is shown.
    """
    verb = "Schedule" if when else "Send"
    again = " again" if earlier else ""
    lines, unshown = _body_lines(body)
    undo = f"in {_count(undo_seconds, 'second')}; it can be taken back until then"
    facts = [
        *(Fact(one_safe_line(item.kind, 20), shown_address(item.email), _note(item)) for item in recipients),
        Fact("Subject", one_visible_line(subject, LONGEST_SUBJECT) or "(none)"),
        Fact("Conversation", "a new conversation")
        if in_thread is None
        else Fact("In reply to", one_visible_line(in_thread, 200) or "(no subject)"),
        *(Fact("Linked to", one_visible_line(record, 300) or "(none)") for record in records),
        Fact("Leaves", one_visible_line(when, 200) if when else undo if undo_seconds else "at once"),
        *(Fact("Attached", one_visible_line(name, 300) or "(a file without a name)") for name in attachments),
    ]
    addresses = [[item.kind, item.email] for item in recipients]
    return Card(
        title=f"{verb} this email{again}?",
        approve=f"{verb} it{again}",
        warnings=tuple(_warnings(recipients, len(attachments), odd_time, similar, earlier, unshown)),
        facts=tuple(facts),
        body=tuple(lines),
        content=json.dumps([addresses, subject, body, in_thread, when, list(attachments), unseen]),
    )


def threads_card(title: str, approve: str, groups: Sequence[tuple[str, str, Sequence[ThreadLine]]]) -> Card:
    """Return the card for a deletion or a plan; a group is an action in a person's words, its key, and its threads.

    The key of an item is that of its action and its thread's id, with a space between.
    """
    return Card(
        title=title,
        approve=approve,
        groups=tuple(
            Group(
                f"{one_safe_line(action, 120)} ({_count(len(threads), 'thread')})",
                tuple(Item(f"{key} {line.thread_id}", _thread(line)) for line in threads),
            )
            for action, key, threads in groups
        ),
        content=json.dumps([[key, [line.thread_id for line in threads]] for _, key, threads in groups]),
    )


def facts_card(title: str, approve: str, facts: Sequence[tuple[str, str]], content: str = "") -> Card:
    """Return the card for one thing, as a list of named facts.

    A fact named To, Cc or Bcc is an address and is shown whole; give each its own. `content` is what
    the approval covers besides the facts.
    """
    return Card(
        title=title,
        approve=approve,
        facts=tuple(
            Fact(
                label,
                (shown_address(value) if label in _RECIPIENT_LABELS else one_visible_line(value, 300)) or "(none)",
            )
            for label, value in facts
        ),
        content=json.dumps([[list(fact) for fact in facts], content]),
    )


def local_and_utc(moment: datetime, local: datetime, zone: str) -> str:
    """Return a time as a person reads it: the local one with its zone, then UTC."""
    return f"{local:%A %d %B %Y, %H:%M} ({zone}), {moment:%Y-%m-%d %H:%M} UTC"


def odd_time(local: datetime) -> str | None:
    """Return the words for a time when few expect mail, such as "on a Sunday at night"; None for any other.

    Night is from 22:00 to 06:59.
    """
    day = f"on a {_WEEKEND[local.weekday()]}" if local.weekday() in _WEEKEND else ""
    night = "at night" if local.hour >= 22 or local.hour < 7 else ""
    return f"{day} {night}".strip() or None


_WEEKEND = {5: "Saturday", 6: "Sunday"}
_RECIPIENT_LABELS = frozenset({"To", "Cc", "Bcc"})


# What is said of the recipients

_WORDS = {
    Provenance.YOURSELF: "you",
    Provenance.OWN_DOMAIN: "your own organization",
    Provenance.WRITTEN_TO: "you have written to them before",
    Provenance.IN_THREAD: "in this thread",
    Provenance.NAMED_IN_THREAD: "in this thread only because {added_by} put it there",
    Provenance.BODY_ONLY: "seen only in the text of a received mail",
    Provenance.FIRST_CONTACT: "first contact",
    Provenance.UNCHECKED: "not looked up",
}
_DOUBTFUL = {
    Provenance.BODY_ONLY: "Seen only in the text of a received mail, and nowhere else",
    Provenance.FIRST_CONTACT: "First contact",
    Provenance.NAMED_IN_THREAD: "In this thread only because {added_by} put it there",
    Provenance.UNCHECKED: "Not looked up whether you know them",
}
"""What is warned of, the gravest first."""
_EARLIER = {
    "sent": "This very message was sent before ({at}): approving sends it a second time.",
    "unknown": "This very message was tried before ({at}) without an answer, and whether it left is not known: "
    "approving may send it a second time.",
    "not_found": "This very message was tried before ({at}) without an answer; it is not among the sent mail.",
}


def _note(recipient: Recipient) -> str:
    known = _said(_WORDS[recipient.provenance], recipient)
    return f"{known}; looks like {_domain(recipient.looks_like)}" if recipient.looks_like else known


def _said(words: str, recipient: Recipient) -> str:
    added_by = isolated(shown_address(recipient.added_by)) if recipient.added_by else "somebody else"
    return words.format(added_by=added_by)


def _warnings(
    recipients: Sequence[Recipient],
    attached: int,
    odd_time: str | None,
    similar: str | None,
    earlier: Earlier | None,
    unshown: int,
) -> Iterator[str]:
    """Yield what stands first: what a person would be sorry not to have seen."""
    if earlier:
        yield _EARLIER[earlier.outcome].format(at=one_safe_line(earlier.at, 200))
    for domain, known in dict.fromkeys((_after_at(item.email), item.looks_like) for item in recipients):
        if known:
            yield f"{_domain(domain)} looks like {_domain(known)}, which you know."
    for provenance, words in _DOUBTFUL.items():
        found: dict[str, list[str]] = {}
        for item in recipients:
            if item.provenance is provenance:
                found.setdefault(_said(words, item), []).append(item.email)
        for said, emails in found.items():
            count = f" ({len(emails)} of {_count(len(recipients), 'recipient')})" if len(recipients) > 1 else ""
            yield f"{said}{count}: {_listed(emails)}"
    if attached and any(item.looks_like or item.provenance in _DOUBTFUL for item in recipients):
        yield f"They would get {_count(attached, 'file')} with it."
    if unshown:
        yield f"{_count(unshown, 'character')} of the text are not shown here."
    if odd_time:
        yield f"It would leave {one_safe_line(odd_time, 100)}."
    if similar and similar.strip():
        yield one_safe_line(similar, 500)


def _listed(emails: Sequence[str]) -> str:
    named = ", ".join(isolated(shown_address(email)) for email in emails[:LISTED_ADDRESSES])
    rest = len(emails) - LISTED_ADDRESSES
    return f"{named} and {rest} more, marked below" if rest > 0 else named


def _after_at(email: str) -> str:
    return email.rpartition("@")[2]


def _domain(domain: str) -> str:
    return isolated(one_safe_line(domain, 300))


# The message and the threads

_BLANK_LINE = re.compile(r"[^\S\x1c-\x1f]*")
_MOST_BLANK_LINES = 3


def _body_lines(body: str) -> tuple[list[str], int]:
    """Return a body's lines as a card shows them, with remarks where something is left out, and how much that is.

    Of a long one the beginning and the end are shown, where something may hide as well.
    """
    lines = [piece for line in _without_gaps(LINE_BREAK.split(body.rstrip(" \t\r\n"))) for piece in _wrapped(line)]
    beginning, end = _fitting(lines), _fitting(lines[::-1])
    left_out = lines[beginning : len(lines) - end]
    if len(lines) <= BODY_LINES and sum(map(len, lines)) <= BODY_CHARACTERS:
        left_out = []
    if not left_out:
        return [*map(_shown_line, lines if any(lines) else [Remark("(no text)")])], 0
    characters = sum(len(line) + 1 for line in left_out)
    remark = Remark(f"({_count(characters, 'more character')} are not shown here; the end of the message follows)")
    return [*map(_shown_line, lines[:beginning]), remark, *map(_shown_line, lines[len(lines) - end :])], characters


def _without_gaps(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines, and a remark for so many blank ones that they push text out of sight."""
    for blank, run in groupby(lines, lambda line: _BLANK_LINE.fullmatch(line) is not None):
        found = list(run)
        if blank and len(found) > _MOST_BLANK_LINES:
            yield Remark(f"({_count(len(found), 'blank line')} here)")
        else:
            yield from found


def _wrapped(line: str) -> Iterator[str]:
    while len(line) > WIDEST_LINE:
        end = whole_characters(line, WIDEST_LINE)
        yield line[:end]
        line = line[end:]
    yield line


def _fitting(lines: Iterable[str]) -> int:
    """Return how many of the lines fill half of what is shown of a long body."""
    count = characters = 0
    for line in lines:
        characters += len(line)
        if count >= BODY_LINES // 2 or characters > BODY_CHARACTERS // 2:
            break
        count += 1
    return count


def _shown_line(line: str) -> str:
    return line if isinstance(line, Remark) else visible(line)


def _body_text(line: str) -> str:
    return line if isinstance(line, Remark) else f"{MARGIN} {isolated(inert(line))}".rstrip()


def _fact_text(fact: Fact) -> str:
    value = fact.value if fact.label in _RECIPIENT_LABELS else inert(fact.value)  # an address can be copied
    return f"{fact.label}: {isolated(value)}{f' ({fact.note})' if fact.note else ''}"


def _group_text(group: Group) -> Iterator[str]:
    yield f"{group.title}:"
    yield from (f"• {inert(item.text)}" for item in group.items[:LISTED_THREADS])
    if len(group.items) > LISTED_THREADS:
        yield f"({len(group.items) - LISTED_THREADS:,} more, not listed here)"


def _thread(line: ThreadLine) -> str:
    people, subject = one_visible_line(line.people, 200), one_visible_line(line.subject, 300)
    return f"{isolated(people) or '(nobody)'}: {isolated(subject) or '(no subject)'}"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
