"""From the script to mail: puts every message at its time before `now`, written by its sender's client. Pure."""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

from salesos_inbox.sandbox.messages import StoredMessage, looks_like_reply
from salesos_inbox.sandbox.seed.clients import Envelope, Letter, spoken_date, write
from salesos_inbox.sandbox.seed.script import BERLIN, Script, ScriptedMessage, ScriptedThread

_DAY = re.compile(r"\{\{([+-]?\d+)([dw])(?: (\w+))?\}\}")
_NARROWEST_GAP: Final = timedelta(minutes=3)


@dataclass
class StagedThread:
    """A thread ready for the store. Scheduled messages and drafts answer the last of `messages`, where there is one."""

    script: ScriptedThread
    follow_up: tuple[datetime, str] | None
    messages: list[StoredMessage] = field(default_factory=list[StoredMessage])
    drafts: list[StoredMessage] = field(default_factory=list[StoredMessage])
    scheduled: list[StoredMessage] = field(default_factory=list[StoredMessage])
    """`sent_at` is when the message is to leave."""


def stage(script: Script, now: datetime) -> list[StagedThread]:
    """Return the threads as they stand at `now`, none of their mail later than it."""
    now, today = now.astimezone(UTC), now.astimezone(BERLIN).date()
    sent = [
        message.moment.on(today)
        for thread in script.threads
        for message in thread.messages
        if message.kind == "When" and message.moment
    ]
    clock = _Clock(now, today, _not_after(now, sent))
    return [_stage(thread, clock) for thread in script.threads]


@dataclass(frozen=True)
class _Clock:
    """When the demo is shown, and where each time of its mail that has not come yet goes instead."""

    now: datetime
    today: date
    moved: dict[datetime, datetime]

    def sent(self, message: ScriptedMessage) -> datetime:
        """Return when the message was sent, or is to be, or a draft was saved."""
        if message.moment is None:
            return self.now
        at = message.moment.on(self.today)
        return self.moved.get(at, at) if message.kind == "When" else at

    def dated(self, text: str) -> str:
        """Write out `{{+3d}}` (three days from today) and `{{+3w de}}` (three working days, in German)."""
        return _DAY.sub(
            lambda match: spoken_date(_day(self.today, int(match[1]), match[2]), match[3] or "en"),
            text,
        )


def _not_after(now: datetime, moments: list[datetime]) -> dict[datetime, datetime]:
    """Map the moments after `now` to the last minutes before it, in their order and after all others."""
    late = sorted({moment for moment in moments if moment >= now})
    last = max((moment for moment in moments if moment < now), default=now - timedelta(days=1))
    start = max(last, now - _NARROWEST_GAP * (len(late) + 1))
    step = (now - start) / (len(late) + 1)
    return {moment: start + step * place for place, moment in enumerate(late, 1)}


def _day(today: date, count: int, unit: str) -> date:
    if unit == "d":
        return today + timedelta(days=count)
    day, step = today, timedelta(days=1 if count > 0 else -1)
    for _ in range(abs(count)):
        day += step
        while day.weekday() >= 5:
            day += step
    return day


def _stage(script: ScriptedThread, clock: _Clock) -> StagedThread:
    follow_up = (script.follow_up[0].on(clock.today), script.follow_up[1]) if script.follow_up else None
    staged = StagedThread(script, follow_up)
    letters: list[Letter] = []
    for place, message in enumerate(script.messages, 1):
        letter = _letter(message, letters[-1] if letters else None, clock)
        stored = _stored(letter, message, f"{script.slug}-{place}", tuple(sent.message_id for sent in staged.messages))
        match message.kind:
            case "When":
                staged.messages.append(stored)
                letters.append(letter)
            case "Draft":
                staged.drafts.append(stored)
            case "Send-At":
                staged.scheduled.append(stored)
    return staged


def _letter(message: ScriptedMessage, last: Letter | None, clock: _Clock) -> Letter:
    if message.subject is not None:
        subject = clock.dated(message.subject)
    else:
        subject = _reply_subject(last.envelope.subject) if last else ""
    envelope = Envelope(
        sender=message.sender,
        at=clock.sent(message).astimezone(BERLIN),
        to=message.to,
        cc=message.cc,
        subject=subject,
    )
    text = clock.dated(message.text)
    if message.html is not None:
        html = clock.dated(message.html)
        return Letter(envelope, text, html, html)
    return write(envelope, text, last if message.quotes else None, last)


def _reply_subject(subject: str) -> str:
    return subject if looks_like_reply(subject) else f"Re: {subject}"


def _stored(letter: Letter, message: ScriptedMessage, name: str, references: tuple[str, ...]) -> StoredMessage:
    sender = message.sender
    return StoredMessage(
        from_email=sender.address,
        from_name=sender.name,
        sent_at=letter.envelope.at.astimezone(UTC).replace(microsecond=0),
        message_id=f"<{name}@{sender.address.partition('@')[2]}>",
        in_reply_to=references[-1] if references else None,
        references=references,
        to=tuple(person.address for person in message.to),
        cc=tuple(person.address for person in message.cc),
        subject=letter.envelope.subject,
        body_text=letter.text or None,
        body_html=letter.html,
        attachments=message.attachments,
    )
