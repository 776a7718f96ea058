"""How well newsletters and automatic mail are told from people's, and how often ordinary mail has a signal.

What a message is is told here by its headers, which the API does not give us: `List-Unsubscribe`, `Precedence`,
`Auto-Submitted` and the like. Mail of discussion lists is people's. `--wrong` prints what was taken for something else.
"""

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import compat32
from functools import cached_property
from pathlib import Path

from corpora import LARGEST_SET, SHARED, NotFetched, fetched
from figures import Figure, table
from salesos_inbox.mail.kinds import Kind, kind_of
from salesos_inbox.mail.reading import Reading, read_body
from salesos_inbox.mail.signals import Signal, signals
from salesos_inbox.sandbox.importing import parse_message
from salesos_inbox.sandbox.messages import StoredMessage
from salesos_inbox.sandbox.seed.script import read_script
from salesos_inbox.sandbox.seed.stage import stage

_NOW = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
_LISTS_OF_PEOPLE = ("threads/lkml", "threads/notmuch-list", "threads/threading")
_FROM_LINE = re.compile(rb"\AFrom [^\n]*\n")
_ANSWER = re.compile(r"(?:\[[^\]]*\]\s*)*(?:re|aw|fwd?)\b", re.IGNORECASE)
_MACHINE = re.compile(r"(?:mailer-daemon|postmaster)@", re.IGNORECASE)
_ROBOT = re.compile(r"(?:bugzilla-daemon|pine-robot)@")
"""Machines that write to the set's discussion lists."""
_FEEDS = "rssfeeds@"
"""The sender of 623 of the set's messages, each a headline: too many of one kind to tell anything."""
_KINDS_IN_DEMO = {
    "tickets@spreebahn.example": Kind.AUTOMATIC,
    "rezeption@alte-weberei.example": Kind.AUTOMATIC,
    "no-reply@tally-expenses.example": Kind.AUTOMATIC,
    "mailer-daemon@northwind-robotics.example": Kind.AUTOMATIC,
    "digest@salesos-mail.example": Kind.AUTOMATIC,
    "notify@inkwell-sign.example": Kind.AUTOMATIC,
    "weekly@intralog-news.example": Kind.NEWSLETTER,
    "nadia@quota-club.example": Kind.NEWSLETTER,
    "besucher@lager-und-licht.example": Kind.NEWSLETTER,
}
_OUT_OF_OFFICE = "Automatic reply:"


@dataclass(frozen=True)
class Judged:
    """A message, what it is by its headers (None where they do not tell), and as we read it."""

    name: str
    truth: Kind | None
    message: StoredMessage

    @cached_property
    def reading(self) -> Reading:
        """The message as we read it."""
        return read_body(self.message.body_html, self.message.body_text)

    @cached_property
    def kind(self) -> Kind:
        """What we take it for."""
        return kind_of(self.message.from_email, self.message.subject, self.reading)

    @cached_property
    def signals(self) -> set[Signal]:
        """What kinds of signals we give for it, where nothing is known of its sender."""
        found = signals(
            self.reading,
            sender=self.message.from_email,
            sender_name=self.message.from_name,
            subject=self.message.subject,
            attachment_names=[item.filename or "" for item in self.message.attachments],
        )
        return {Signal(signal.partition(":")[0]) for signal in found}


def ordinary() -> Iterator[Judged]:
    """The ham of the largest set. Its `hard` part has what looks like spam and is none: newsletters and shops."""
    root = fetched(LARGEST_SET) / "data"
    for path in sorted(root.glob("*ham*/*.txt")):
        raw = _FROM_LINE.sub(b"", path.read_bytes())
        message = parse_message(raw)
        truth = _by_headers(_headers(raw), message)
        yield Judged(f"{path.parent.name}/{path.stem[:5]}", truth, message)


def _headers(raw: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in message_from_bytes(raw, policy=compat32).raw_items():
        headers.setdefault(name.lower(), str(value).strip().lower())
    return headers


def _by_headers(headers: Mapping[str, str], message: StoredMessage) -> Kind | None:
    if message.from_email.startswith(_FEEDS):
        return None
    if (
        headers.get("auto-submitted", "no") != "no"
        or headers.get("return-path") == "<>"
        or "x-autoreply" in headers
        or _MACHINE.match(message.from_email)
    ):
        return Kind.AUTOMATIC
    if {"in-reply-to", "references", "list-post", "x-mailman-version", "x-beenthere"} & headers.keys():
        return Kind.AUTOMATIC if _ROBOT.match(message.from_email) else Kind.PERSON
    if _ANSWER.match(message.subject) or "yahoogroups" in headers.get("mailing-list", ""):
        return Kind.PERSON
    if "list-unsubscribe" in headers or headers.get("precedence") in {"bulk", "list", "junk"}:
        return Kind.NEWSLETTER
    return None


def lists_of_people() -> Iterator[Judged]:
    """The discussions in the shared mail, all of it by people."""
    if not SHARED.is_dir():
        raise NotFetched("the shared mail is not beside this checkout")
    for path in _files(SHARED / folder for folder in _LISTS_OF_PEOPLE):
        yield Judged(str(path.relative_to(SHARED)), Kind.PERSON, parse_message(path.read_bytes()))


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    return (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())


def demo() -> Iterator[Judged]:
    """The demo mailbox, whose kinds we know as we wrote it."""
    for thread in stage(read_script(), _NOW):
        for message in thread.messages:
            out_of_office = Kind.AUTOMATIC if message.subject.startswith(_OUT_OF_OFFICE) else Kind.PERSON
            yield Judged(message.subject, _KINDS_IN_DEMO.get(message.from_email, out_of_office), message)


def measure() -> list[Figure]:
    """Measure on each set that is here."""
    figures: list[Figure] = []
    for name, load, measured in (
        ("spam-assassin ham", ordinary, _on_ordinary),
        ("kernel and notmuch lists", lists_of_people, _on_people),
        ("demo mailbox", demo, _on_demo),
    ):
        try:
            figures += measured(name, list(load()))
        except NotFetched as error:
            figures.append(Figure(f"kinds of mail, {name}", "", f"not measured: {error}"))
    return figures


def _on_ordinary(name: str, mail: list[Judged]) -> list[Figure]:
    hard = [one for one in mail if one.truth is None and one.name.startswith("hard")]
    to_an_assistant = sum(Signal.ADDRESSED_TO_ASSISTANT in one.signals for one in mail)
    return [
        *_on_people(name, mail),
        _found(name, mail, Kind.NEWSLETTER),
        _found(name, mail, Kind.AUTOMATIC),
        Figure(
            f"{name}: hard ham without such headers (newsletters and shops), taken for mail of people",
            "",
            _share(sum(one.kind is Kind.PERSON for one in hard), len(hard)),
        ),
        Figure(f"{name}, of 2002: taken to speak to an AI assistant", "≤ 0.1 %", _share(to_an_assistant, len(mail))),
    ]


def _on_people(name: str, mail: list[Judged]) -> list[Figure]:
    people = [one for one in mail if one.truth is Kind.PERSON]
    seen = Counter(signal for one in people for signal in one.signals)
    most = ", ".join(f"{signal} {count}" for signal, count in seen.most_common(2))
    return [
        Figure(
            f"{name}: people's mail taken for a newsletter or automatic",
            "≤ 0.1 %",
            _share(sum(one.kind is not Kind.PERSON for one in people), len(people)),
        ),
        Figure(
            f"{name}: people's mail with any signal",
            "≤ 1 %",
            _share(sum(bool(one.signals) for one in people), len(people)) + (f": {most}" if most else ""),
        ),
    ]


def _on_demo(name: str, mail: list[Judged]) -> list[Figure]:
    right = sum(one.kind is one.truth for one in mail)
    return [Figure(f"{name}: kinds told right", "", f"{right} of {len(mail)}")]


def _found(name: str, mail: list[Judged], kind: Kind) -> Figure:
    told = [one for one in mail if one.truth is not None]
    taken = [one for one in told if one.kind is kind]
    right = sum(one.truth is kind for one in taken)
    there = sum(one.truth is kind for one in told)
    return Figure(
        f"{name}: {kind} mail, precision / recall",
        "",
        f"{right / max(len(taken), 1):.1%} / {right / max(there, 1):.1%} of {there}",
    )


def _share(count: int, whole: int) -> str:
    return f"{count} of {whole:,} ({count / max(whole, 1):.2%})"


def _print_wrong() -> None:
    for load in (ordinary, lists_of_people, demo):
        for one in load():
            if one.truth is not None and one.kind is not one.truth:
                print(f"{one.name}: {one.message.from_email}: {one.kind}, not {one.truth}")


def main() -> None:
    """Print the figures, or what was taken for something else."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wrong", action="store_true", help="print what was taken for something else")
    if parser.parse_args().wrong:
        _print_wrong()
    else:
        print(table(measure()))


if __name__ == "__main__":
    main()
