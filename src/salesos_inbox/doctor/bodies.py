"""How the bodies that came differ from the contract's. Pure; of what a body holds, only the names are told."""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import ValidationError

from salesos_inbox.contract import models
from salesos_inbox.contract.overrides import shape

_PLAIN = re.compile(r"[A-Za-z_$][\w$-]{0,39}")
_ALIKE = 0.72
_MOST_LIKELY = 300
"""Unknown fields among which others are looked for; a host that means harm answers with a hundred thousand."""

NEEDED: dict[type[models.Answer], tuple[tuple[str, ...], ...]] = {
    models.Folder: (("id",), ("name",)),
    models.ThreadSummary: (("id",), ("subject",)),
    models.Thread: (("id",), ("messages",)),
    models.Message: (("id",), ("fromEmail",), ("bodyText", "bodyHtml")),
    models.ScheduledEmail: (("id",), ("scheduledFor",)),
    models.User: (("id", "email"),),
    models.CsrfToken: (("csrfToken",),),
}
"""What the tools cannot do without: of each group one field at least. All others may be missing."""


@dataclass
class Comparison:
    """How bodies of one model differ from it; fields within others are written as `messages.bodyHtml`."""

    needed: list[str] = field(default_factory=list[str])
    """Fields that are missing and needed."""
    absent: list[str] = field(default_factory=list[str])
    """Fields that are missing, as they may be."""
    other_type: list[str] = field(default_factory=list[str])
    unknown: list[str] = field(default_factory=list[str])
    renames: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    """A model, its field, and what it is likely to be called here."""
    respelt: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Names in snake case, under which fields are read as well, and how the contract spells them."""


def compare(model: type[models.Answer], bodies: Iterable[object]) -> Comparison:
    """Return how `bodies`, taken together, differ from `model`; a field counts as there where one body has it."""
    comparison = Comparison()
    _compare(model, list(bodies), "", comparison)
    return comparison


def _compare(model: type[models.Answer], bodies: list[object], prefix: str, into: Comparison) -> None:
    objects = [cast("dict[str, Any]", body) for body in bodies if isinstance(body, dict)]
    if len(objects) < len(bodies):
        into.other_type.append(prefix.rstrip(".") or "the body")
    if not objects:
        return
    fields = shape(model)
    spellings = {name: info.alias or name for name, info in model.model_fields.items()}
    present = {name for body in objects for name in body}
    seen = {spellings.get(name, name) for name in present}
    missing = [name for name in fields if name not in seen]
    unknown = sorted(present - fields.keys() - spellings.keys())
    needed = [group for group in NEEDED.get(model, ()) if not seen & set(group)]
    lacking = {name for group in needed for name in group}
    into.respelt += [(name, alias) for name, alias in spellings.items() if name != alias and name in present]
    into.needed += [f"{prefix}{' or '.join(group)}" for group in needed]
    into.absent += [f"{prefix}{name}" for name in missing if name not in lacking]
    into.other_type += [f"{prefix}{name}" for name in _of_another_type(model, objects) if name in fields]
    into.unknown += [f"{prefix}{name}" for name in unknown if _PLAIN.fullmatch(name)]
    likely = dict(_likely(missing, unknown))
    into.renames += [(model.__name__, name, theirs) for name, theirs in likely.items()]
    for name, inner in fields.items():
        if inner is not None:
            names = {name, likely.get(name, name), *(key for key, alias in spellings.items() if alias == name)}
            values = [body[key] for body in objects for key in names if key in body]
            _compare(inner, list(_within(values)), f"{prefix}{name}.", into)


def _within(values: Iterable[object]) -> Iterator[object]:
    for value in values:
        if isinstance(value, list):
            yield from cast("list[object]", value)
        elif isinstance(value, dict):
            yield cast("object", value)


def _of_another_type(model: type[models.Answer], objects: Iterable[dict[str, Any]]) -> list[str]:
    """Return the fields of this model itself that cannot be read; what is within them is looked at apart."""
    names: dict[str, None] = {}
    aliases = {name: info.alias or name for name, info in model.model_fields.items()}
    for body in objects:
        try:
            model.model_validate(body)
        except ValidationError as error:
            for problem in error.errors(include_input=False, include_url=False, include_context=False):
                place = [part for part in problem["loc"] if isinstance(part, str)]
                if len(place) == 1:
                    names[aliases.get(place[0], place[0])] = None
    return list(names)


def _likely(missing: list[str], unknown: list[str]) -> Iterator[tuple[str, str]]:
    """Pair fields that are missing with unknown ones that look like them; each unknown one is given away once."""
    free = [name for name in unknown[:_MOST_LIKELY] if _PLAIN.fullmatch(name)]
    for name in missing:
        theirs = next((other for other in free if _bare(other) == _bare(name)), None) or next(
            iter(difflib.get_close_matches(name, free, 1, _ALIKE)), None
        )
        if theirs is None:
            theirs = next(
                (other for other in free if other in _SYNONYMS.get(name, ()) or _begin_alike(other, name)), None
            )
        if theirs is not None:
            free.remove(theirs)
            yield name, theirs


def _begin_alike(one: str, other: str) -> bool:
    first, second = (re.split(r"[^a-z]", name[:1].lower() + name[1:])[0] for name in (one, other))
    return len(first) > 4 and first == second


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_SYNONYMS: dict[str, tuple[str, ...]] = {
    "id": ("_id", "threadId", "uuid", "uid", "messageId"),
    "subject": ("title", "topic"),
    "snippet": ("preview", "excerpt", "summary"),
    "messages": ("emails", "items"),
    "fromEmail": ("from", "sender", "senderEmail"),
    "fromName": ("senderName",),
    "toEmails": ("to", "recipients"),
    "ccEmails": ("cc",),
    "bccEmails": ("bcc",),
    "bodyHtml": ("html", "htmlBody", "body"),
    "bodyText": ("text", "textBody", "plainText", "body"),
    "isRead": ("read", "seen"),
    "isStarred": ("starred", "flagged"),
    "hasAttachments": ("attachments",),
    "lastMessageAt": ("updatedAt", "date", "lastActivityAt"),
    "scheduledFor": ("scheduledAt", "sendAt"),
    "unreadCount": ("unread",),
    "totalCount": ("total", "count"),
    "csrfToken": ("token", "csrf", "xsrfToken"),
    "crmLinks": ("links", "records"),
    "followUp": ("reminder",),
    "name": ("title", "label", "displayName"),
    "email": ("emailAddress", "mail", "address"),
}
"""Other names that mail services give to the same."""
