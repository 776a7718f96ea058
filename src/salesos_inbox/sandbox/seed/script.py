"""The demo mailbox as it is written down: `cast.toml` and a text file for each thread. See README.md beside it."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from email.utils import parseaddr
from importlib.resources import files
from typing import Final, Literal, cast
from zoneinfo import ZoneInfo

from salesos_inbox.contract.models import EntityType
from salesos_inbox.sandbox.messages import StoredAttachment

BERLIN: Final = ZoneInfo("Europe/Berlin")
"""Where the mailbox's owner lives, and whose wall clock the threads are written by."""

Client = Literal["gmail", "outlook", "outlook-mobile", "apple", "plain"]
Kind = Literal["When", "Draft", "Send-At"]

_MOMENT = re.compile(r"([+-]?\d+)d (\d\d):(\d\d)(?: (.+))?")
_MESSAGE_HEADERS: Final = {"When", "Draft", "Send-At", "From", "To", "Cc", "Subject", "Quote", "Attach"}
_THREAD_HEADERS: Final = {"Folder", "Read", "Starred", "Crm", "Follow-Up"}
_KINDS: Final[tuple[Kind, ...]] = ("When", "Draft", "Send-At")
_RECORDS: Final[tuple[EntityType, ...]] = ("lead", "contact", "account", "opportunity")


@dataclass(frozen=True)
class Person:
    """Someone who writes or is written to, and how their mail client puts it."""

    name: str
    address: str
    client: Client = "plain"
    language: str = "en"
    signature: str = ""


@dataclass(frozen=True)
class Moment:
    """A wall-clock time in Berlin, so many days from the day of the demo."""

    days: int
    at: time

    def on(self, today: date) -> datetime:
        """Return the moment, in UTC, for a demo that is shown on `today`."""
        return datetime.combine(today + timedelta(days=self.days), self.at, BERLIN).astimezone(UTC)


@dataclass(frozen=True)
class ScriptedMessage:
    """A message as its file has it; `subject` is None where it answers under the last one.

    `moment` is when it was sent, or is to be; a draft has none, it was saved just now.
    """

    kind: Kind
    moment: Moment | None
    sender: Person
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    subject: str | None
    quotes: bool
    attachments: tuple[StoredAttachment, ...]
    text: str
    html: str | None


@dataclass(frozen=True)
class ScriptedThread:
    """A thread as its file has it. `follow_up` is a moment and a note, `records` are kinds and keys of the CRM."""

    slug: str
    folder: str
    is_read: bool
    is_starred: bool
    follow_up: tuple[Moment, str] | None
    records: tuple[tuple[EntityType, str], ...]
    messages: tuple[ScriptedMessage, ...]


@dataclass(frozen=True)
class Script:
    """The whole mailbox: its own folders, the CRM's records as (kind, key, name), the threads."""

    folders: tuple[str, ...]
    records: tuple[tuple[EntityType, str, str], ...]
    threads: tuple[ScriptedThread, ...]


def read_script() -> Script:
    """Read the mailbox from the files beside this module."""
    folder = files("salesos_inbox.sandbox.seed")
    tables = tomllib.loads(folder.joinpath("cast.toml").read_text(encoding="utf-8"))
    folders = cast(list[str], tables.pop("folders"))
    records: tuple[tuple[EntityType, str, str], ...] = tuple(
        (kind, key, name) for kind in _RECORDS for key, name in cast(dict[str, str], tables.pop(kind)).items()
    )
    people = {key: _person(fields) for key, fields in tables.items()}
    scripts = sorted(
        (entry for entry in folder.joinpath("threads").iterdir() if entry.name.endswith(".txt")),
        key=lambda entry: entry.name,
    )
    return Script(
        folders=tuple(folders),
        records=records,
        threads=tuple(
            _thread(entry.name.removesuffix(".txt"), entry.read_text(encoding="utf-8"), people) for entry in scripts
        ),
    )


def _person(fields: dict[str, str]) -> Person:
    return Person(
        name=fields["name"],
        address=fields["address"],
        client=cast(Client, fields.get("client", "gmail")),
        language=fields.get("language", "en"),
        signature=fields.get("signature", "").strip(),
    )


def _thread(slug: str, text: str, people: dict[str, Person]) -> ScriptedThread:
    head, *bodies = text.split("=====\n")
    headers = _headers(head, _THREAD_HEADERS)
    follow_up = _moment(headers["Follow-Up"][0]) if "Follow-Up" in headers else None
    return ScriptedThread(
        slug=slug,
        folder=headers["Folder"][0],
        is_read=headers.get("Read") != ["no"],
        is_starred=headers.get("Starred") == ["yes"],
        follow_up=follow_up,
        records=tuple(_link(value) for value in headers.get("Crm", ())),
        messages=tuple(_message(body, people) for body in bodies),
    )


def _message(text: str, people: dict[str, Person]) -> ScriptedMessage:
    head, _, body = text.partition("\n\n")
    headers = _headers(head, _MESSAGE_HEADERS)
    # Attachments may also stand below the text, where a reader looks for them.
    body, *attached = re.split(r"^Attach: ", body, flags=re.MULTILINE)
    plain, _, html = ("\n" + body).partition("\n--- html\n")
    kind: Kind = next(kind for kind in _KINDS if kind in headers)
    return ScriptedMessage(
        kind=kind,
        moment=None if kind == "Draft" else _moment(headers[kind][0])[0],
        sender=next(_people(headers["From"][0], people)),
        to=tuple(_people(headers.get("To", ["maya"])[0], people)),
        cc=tuple(_people(headers.get("Cc", [""])[0], people)),
        subject=headers["Subject"][0] if "Subject" in headers else None,
        quotes=headers.get("Quote") != ["none"],
        attachments=tuple(_attachment(value) for value in [*headers.get("Attach", ()), *attached]),
        text=plain.strip("\n"),
        html=html.strip("\n") or None,
    )


def _headers(head: str, known: set[str]) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for line in head.strip().splitlines():
        name, _, value = line.partition(": ")
        if name not in known:
            raise ValueError(f"{line!r} is not one of the headers {sorted(known)}")
        headers.setdefault(name, []).append(value)
    return headers


def _moment(value: str) -> tuple[Moment, str]:
    match = _MOMENT.fullmatch(value)
    if not match:
        raise ValueError(f"{value!r} is not a time like '-2d 16:40'")
    return Moment(int(match[1]), time(int(match[2]), int(match[3]))), match[4] or ""


def _people(value: str, people: dict[str, Person]) -> Iterator[Person]:
    for entry in filter(None, value.split(", ")):
        yield Person(*parseaddr(entry)) if "@" in entry else people[entry]


def _link(value: str) -> tuple[EntityType, str]:
    kind, _, key = value.partition(" ")
    return cast(EntityType, kind), key


def _attachment(value: str) -> StoredAttachment:
    filename, content_type, size = value.rsplit(maxsplit=2)
    return StoredAttachment(filename, content_type, int(size))
