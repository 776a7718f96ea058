"""What a person is shown before they decide, built from facts the server fetched itself. Pure.

Text from mail or from the model stands indented below a heading of ours, on lines of its own, so
that it cannot pass for one of ours; invisible and control characters are gone from it, and the
addresses in it are made inert, so that no client turns them into links.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from salesos_inbox.mail.unicode import clean, one_line

BODY_CHARACTERS = 6000
"""How much of a message's body a card shows."""
LONGEST_ADDRESS = 1200
"""Characters of an address in both its spellings: more than one can have, so that none is ever cut."""
LONGEST_SUBJECT = 1000
"""Characters: more than a message of ours can have, so that none is ever cut."""
LISTED_THREADS = 30
"""How many threads a card names before it counts the rest."""

_GAPS = re.compile(r"\n[^\S\n]*(?:\n[^\S\n]*){3,}")
"""More blank lines than a reader needs, which could push text out of sight."""


@dataclass(frozen=True)
class Card:
    """A question to a person: what will happen, in full, and what the two buttons mean."""

    title: str
    lines: tuple[str, ...]
    approve: str
    """What approving does, in a few words."""
    content: str = ""
    """All that an approval covers, uncut: where it changes, the approval is void."""

    @property
    def text(self) -> str:
        """The whole card as plain text."""
        return "\n".join((self.title, *self.lines))


@dataclass(frozen=True)
class Recipient:
    """One address of a message, where it stands (`To`, `Cc`, `Bcc`), and what is known of it."""

    kind: str
    email: str
    known_from: str | None
    """Where the address comes from, such as "in this thread"; None is an address not seen there."""


@dataclass(frozen=True)
class ThreadLine:
    """One thread of a plan, as a person recognizes it."""

    thread_id: str
    people: str
    subject: str


def message_card(
    *,
    recipients: Sequence[Recipient],
    subject: str,
    body: str,
    in_thread: str | None,
    when: str | None,
    attachments: Sequence[str] = (),
    unseen: str = "",
) -> Card:
    """Return the card for a message that leaves now, or at `when` (local and UTC time, in words).

    `in_thread` is the subject of the thread it answers, None where it begins a new one. `attachments`
    are names with types and sizes. `unseen` is what the approval covers besides what is shown.
    """
    unknown = [item for item in recipients if item.known_from is None]
    strange = "outside your organization" if in_thread is None else "not seen in this thread before"
    lines: list[str] = []
    if unknown:
        lines += [f"! {len(unknown)} of {_count(len(recipients), 'recipient')} {strange}:"]
        lines += [f"!     {_address(item)}" for item in unknown]
        lines += [""]
    lines += [f"{item.kind}: {_address(item)} ({item.known_from or strange})" for item in recipients]
    lines += [f"Subject: {_shown(subject, LONGEST_SUBJECT) or '(none)'}"]
    lines += [f"In reply to: {_shown(in_thread, 120)}"] if in_thread is not None else ["A new conversation"]
    lines += [f"Leaves: {when}" if when else "Leaves: at once"]
    lines += [f"Attached: {_shown(name, 200)}" for name in attachments]
    lines += ["Message:", *_quoted(body)]
    content = "\n".join((*(f"{item.kind} {item.email}" for item in recipients), subject, body, *attachments, unseen))
    if when:
        return Card("Schedule this email?", tuple(lines), "Schedule it", content)
    return Card("Send this email?", tuple(lines), "Send it", content)


def threads_card(title: str, approve: str, groups: Sequence[tuple[str, Sequence[ThreadLine]]]) -> Card:
    """Return the card for a deletion or a plan: each action with its threads, by people and subject, counted."""
    lines: list[str] = []
    for action, threads in groups:
        lines.append(f"{_shown(action, 120)} ({_count(len(threads), 'thread')}):")
        lines += [f"    {_shown(item.people, 200)}: {_shown(item.subject, 300)}" for item in threads[:LISTED_THREADS]]
        if len(threads) > LISTED_THREADS:
            lines.append(f"    and {len(threads) - LISTED_THREADS} more, not listed here")
    content = "\n".join(f"{action} {line.thread_id}" for action, threads in groups for line in threads)
    return Card(title, tuple(lines), approve, content=content)


def facts_card(title: str, approve: str, facts: Sequence[tuple[str, str]]) -> Card:
    """Return the card for one thing, as a list of named facts."""
    content = "\n".join(value for _, value in facts)
    return Card(title, tuple(f"{name}: {_shown(value, 300)}" for name, value in facts), approve, content)


def local_and_utc(moment: datetime, local: datetime, zone: str) -> str:
    """Return a time as a person reads it: the local one with its zone, then UTC."""
    return f"{local:%A %d %B %Y, %H:%M} ({zone}), {moment:%Y-%m-%d %H:%M} UTC"


def inert(text: str) -> str:
    """Return `text` with its web addresses in a form that no client turns into a link."""
    without_schemes = re.sub(r"(?i)(https?|ftp)://", lambda found: found[1].replace("t", "x", 2) + ":⁄⁄", text)
    return re.sub(r"(?i)\bwww\.", "www[.]", without_schemes).replace("//", "⁄⁄").replace("](", "] (")


def _shown(text: str, limit: int) -> str:
    return inert(one_line(text, limit))


def _address(recipient: Recipient) -> str:
    return _shown(recipient.email, LONGEST_ADDRESS)


def _quoted(body: str) -> list[str]:
    """Return a body's lines indented; of a long one its beginning and its end, where something may hide as well."""
    cleaned = _GAPS.sub("\n\n\n", clean(body).text)
    if len(cleaned) <= BODY_CHARACTERS:
        return _indented(cleaned)
    left = len(cleaned) - BODY_CHARACTERS
    half = BODY_CHARACTERS // 2
    return [
        *_indented(cleaned[:half]),
        f"({left} more characters here, not shown; the end follows)",
        *_indented(cleaned[-half:]),
    ]


def _indented(text: str) -> list[str]:
    return [f"    {inert(line)}" for line in text.split("\n")]


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
