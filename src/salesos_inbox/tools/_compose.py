"""A message from what the model gave and what its thread says: recipients, subject, threading."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Self

from salesos_inbox.contract import models
from salesos_inbox.errors import InvalidArguments, NotFound
from salesos_inbox.mail.addresses import Address, parse_address, parse_addresses
from salesos_inbox.mail.html import CUT_NOTE
from salesos_inbox.mail.reading import read_whole
from salesos_inbox.mail.unicode import clean, one_line, quoted
from salesos_inbox.tools._args import MOST_BODY_CHARACTERS, check_id
from salesos_inbox.tools._kit import Desk

_REPLY_PREFIXES = re.compile(
    r"^\s*((re|aw|antw|antwort|sv|vs|odp|ref|rif|r|res|ynt|atb|vá|απ|σχετ|השב|رد|回复|回覆|答复)"
    r"\s*(\[\d+\]|\(\d+\))?\s*[:：]\s*)+",
    re.IGNORECASE,
)
_SUBJECT_CHARACTERS = 900
MOST_RECIPIENTS = 100
"""How many people one message may go to: as many as a person can look through before they approve."""
_LINE_BREAKERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DRAFT_PAGES = 5
_NOT_SHOWN = re.compile(r"<style|<!--\[if|<!\[if", re.IGNORECASE)
"""What may show a reader words that our own reading of HTML does not see."""


@dataclass(frozen=True)
class Composed:
    """A message ready to be saved or sent. `thread` is the one it answers."""

    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    subject: str
    body: str
    thread: models.Thread | None = None
    in_reply_to: str | None = None
    draft_id: str | None = None
    body_html: str | None = None
    """The HTML of a stored draft; it says what `body` says."""
    attachments: tuple[models.Attachment, ...] = ()
    """The files of a stored draft, which leave with it."""

    @property
    def recipients(self) -> list[tuple[str, Address]]:
        """Every recipient with the place it stands in."""
        fields = (("To", self.to), ("Cc", self.cc), ("Bcc", self.bcc))
        return [(kind, address) for kind, found in fields for address in found]

    @property
    def thread_id(self) -> str | None:
        """The thread it answers."""
        return self.thread.id if self.thread else None

    def content(self, leaves_at: datetime | None) -> str:
        """Return all that makes this the message it is: the same content is the same message.

        What it answers is not part of it: once it is sent, the last message of its thread is the user's own.
        """
        files = [(file.id, file.filename, file.size) for file in self.attachments]
        recipients = [(kind, address.ascii) for kind, address in self.recipients]
        when = leaves_at.isoformat() if leaves_at else None
        return json.dumps([recipients, self.subject, self.body, self.body_html, self.thread_id, files, when])

    def email(self) -> models.SendEmail:
        """Return the message as the API takes it.

        Where it is a stored draft's, an empty field is written too, as what is missing may be kept.
        """
        return models.SendEmail(
            to=_wire(self.to),
            cc=_wire(self.cc) if self.cc or self.draft_id else None,
            bcc=_wire(self.bcc) if self.bcc or self.draft_id else None,
            subject=self.subject,
            body_text=self.body,
            body_html=self.body_html,
            thread_id=self.thread_id,
            in_reply_to=self.in_reply_to,
            draft_id=self.draft_id,
        )


@dataclass(frozen=True)
class Wording:
    """What the model gave of a message; None is what it left open."""

    to: Sequence[str] | None
    cc: Sequence[str] | None
    bcc: Sequence[str] | None
    subject: str | None
    body: str | None
    thread_id: str | None
    reply_all: bool
    draft_id: str | None

    @classmethod
    def of_draft(cls, draft_id: str | None) -> Self:
        """Return the wording that takes a draft just as it is."""
        return cls(None, None, None, None, None, None, False, draft_id)


async def compose(desk: Desk, wording: Wording) -> Composed:
    """Return the message that `wording` means, completed from its draft and its thread.

    What is given wins over the draft, and the draft over the thread. Raises `InvalidArguments` for
    addresses, subjects and bodies that cannot be sent, `NotFound` for a thread or draft there is not.
    """
    _check(wording)
    draft_id = check_id("draft_id", wording.draft_id) if wording.draft_id is not None else None
    draft_thread, draft = await _stored_draft(desk, draft_id) if draft_id else (None, None)
    thread_id = wording.thread_id or (draft_thread.id if draft_thread and messages_of(draft_thread) else None)
    thread = await desk.client.get_thread(check_id("thread_id", thread_id)) if thread_id else None
    if wording.reply_all and thread is None:
        raise InvalidArguments("reply_all needs the thread_id of the conversation to reply in.")
    answered = _last_message(thread) if thread else None
    own = await desk.own_addresses() | _written_by_user(thread)
    if wording.reply_all and not own:
        raise InvalidArguments(
            "reply_all is not possible, as SalesOS does not tell which address is the user's own: give to and cc."
        )
    to, cc = reply_recipients(answered, own, reply_all=wording.reply_all) if answered else ([], [])
    kept = draft or models.Message()
    chosen_to = parse_addresses(_first(wording.to, kept.to_emails, to))
    chosen_cc = parse_addresses(_first(wording.cc, kept.cc_emails, cc))
    chosen_bcc = parse_addresses(_first(wording.bcc, kept.bcc_emails, []))
    chosen_to, chosen_cc, chosen_bcc = _without_repeats(chosen_to, chosen_cc, chosen_bcc)
    if len(chosen_to) + len(chosen_cc) + len(chosen_bcc) > MOST_RECIPIENTS:
        raise InvalidArguments(f"The message has more than {MOST_RECIPIENTS} recipients: write to fewer at a time.")
    body, body_html = _bodies(wording, kept)
    subject = wording.subject if wording.subject is not None else kept.subject or reply_subject(thread)
    return Composed(
        to=tuple(chosen_to),
        cc=tuple(chosen_cc),
        bcc=tuple(chosen_bcc),
        subject=one_line(subject, _SUBJECT_CHARACTERS),
        body=body,
        thread=thread,
        in_reply_to=answered.message_id if answered else None,
        draft_id=draft_id,
        body_html=body_html,
        attachments=tuple(kept.attachments),
    )


def reply_subject(thread: models.Thread | None) -> str:
    """Return the subject of a reply: `Re:` once, whatever prefixes stand there."""
    if thread is None:
        return ""
    return f"Re: {bare_subject(thread.subject)[:_SUBJECT_CHARACTERS]}".strip()


def bare_subject(subject: str) -> str:
    """Return a subject without what programs put before it in a reply."""
    return _REPLY_PREFIXES.sub("", _one_line(subject)).strip()


def reply_recipients(message: models.Message, own: frozenset[str], *, reply_all: bool) -> tuple[list[str], list[str]]:
    """Return To and Cc of a reply to `message`, never the user's own address.

    A reply to the user's own message goes to those it went to; `reply_all` adds the others in Cc.
    """
    mine = message.direction == "OUTBOUND" or message.from_email.lower() in own
    own = own | {message.from_email.lower()} if mine else own
    to = message.to_emails if mine else [message.from_email]
    to = [email for email in to if _bare(email) not in own]
    if not reply_all:
        return to, []
    others = [*([] if mine else message.to_emails), *message.cc_emails]
    taken = own | {_bare(email) for email in to}
    return to, [email for email in others if _bare(email) not in taken]


def _check(wording: Wording) -> None:
    if wording.subject is not None and _one_line(wording.subject) != wording.subject:
        raise InvalidArguments("The subject holds a line break or a control character: write it on one line.")
    if wording.subject is not None and len(wording.subject) > _SUBJECT_CHARACTERS:
        raise InvalidArguments(f"The subject is longer than {_SUBJECT_CHARACTERS} characters: shorten it.")
    if wording.body is not None and len(wording.body) > MOST_BODY_CHARACTERS:
        raise InvalidArguments(f"The body is longer than {MOST_BODY_CHARACTERS:,} characters: shorten it.")
    if any(len(given or ()) > 2 * MOST_RECIPIENTS for given in (wording.to, wording.cc, wording.bcc)):
        raise InvalidArguments(f"The message has more than {MOST_RECIPIENTS} recipients: write to fewer at a time.")
    if any("\ud800" <= character <= "\udfff" for character in (wording.body or "") + (wording.subject or "")):
        raise InvalidArguments("The text holds half a character (a lone surrogate): write it again.")


async def _stored_draft(desk: Desk, draft_id: str) -> tuple[models.Thread, models.Message]:
    """Return the draft that is meant and its thread; raises `NotFound` where there is none."""
    page = 1
    while page <= _DRAFT_PAGES:
        found = await desk.client.list_threads(models.ListThreads(folder="drafts", page=page, limit=100))
        for summary in found.items:
            thread = await desk.client.get_thread(summary.id)
            for message in thread.messages:
                if message.id == draft_id and message.status == "DRAFT":
                    return thread, message
        if len(found.items) < 100:
            break
        page += 1
    raise NotFound(
        f"There is no draft {quoted(draft_id)}: it may have been sent; list_threads folder=drafts shows them."
    )


async def draft_files(desk: Desk, draft_id: str) -> tuple[models.Attachment, ...]:
    """Return the files of a stored draft as they are now. Raises `NotFound` where there is none."""
    _, draft = await _stored_draft(desk, draft_id)
    return tuple(draft.attachments)


async def has_draft(desk: Desk, draft_id: str) -> bool:
    """Return whether there is a draft of that id."""
    try:
        await _stored_draft(desk, draft_id)
    except NotFound:
        return False
    return True


def _bodies(wording: Wording, draft: models.Message) -> tuple[str, str | None]:
    """Return text and HTML that say the same, and nothing that a person would not see.

    HTML is written only where the draft has some, which would otherwise stay as it was: as it is where all of it
    can be seen, else anew from the text.
    """
    if wording.body is not None or not draft.body_html:
        body = clean(wording.body if wording.body is not None else draft.body_text or "").text
        return body, escape(body).replace("\n", "<br>\n") if draft.body_html else None
    reading = read_whole(draft.body_html)
    body = reading.text
    if CUT_NOTE in body:
        raise InvalidArguments(
            "The draft is too long or too nested to be shown whole: ask the user to send it in SalesOS."
        )
    if reading.hidden_chars or reading.removed_chars or _NOT_SHOWN.search(draft.body_html):
        return body, escape(body).replace("\n", "<br>\n")
    return body, draft.body_html


def _written_by_user(thread: models.Thread | None) -> frozenset[str]:
    """Return the addresses that the user wrote from in `thread`, in lower case."""
    return frozenset(item.from_email.lower() for item in messages_of(thread) if item.direction == "OUTBOUND")


def messages_of(thread: models.Thread | None) -> list[models.Message]:
    """Return a thread's messages without its drafts; none without a thread."""
    return [message for message in thread.messages if message.status != "DRAFT"] if thread else []


def _last_message(thread: models.Thread) -> models.Message | None:
    messages = messages_of(thread)
    return messages[-1] if messages else None


def _first(*choices: Sequence[str] | None) -> Sequence[str]:
    """Return the first choice that says anything; an empty list that was given says "nobody"."""
    given, *others = choices
    return given if given is not None else next((choice for choice in others if choice), ())


def _without_repeats(*fields: Iterable[Address]) -> list[list[Address]]:
    """Return the fields with every address in the first place it stands only."""
    taken: set[str] = set()
    kept: list[list[Address]] = []
    for addresses in fields:
        kept.append([address for address in addresses if address.email.lower() not in taken])
        taken |= {address.email.lower() for address in kept[-1]}
    return kept


def written(addresses: Iterable[Address]) -> list[str] | None:
    """Return the addresses as they were sent, without names, None without any."""
    return [address.email for address in addresses] or None


def _wire(addresses: Iterable[Address]) -> list[str]:
    return [address.ascii for address in addresses]


def _bare(email: str) -> str:
    """Return the bare address of what may carry a name, in lower case."""
    try:
        return parse_address(email).email.lower()
    except InvalidArguments:
        return email.strip().lower()


def _one_line(text: str) -> str:
    return _LINE_BREAKERS.sub(" ", text)
