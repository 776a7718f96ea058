"""How the bodies that came differ from the contract's. Pure; of what a body holds, only the names are told."""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, cast, get_args

from pydantic import ValidationError

from salesos_inbox.contract import models
from salesos_inbox.contract.overrides import NONE, Overrides, Places, shape

_PLAIN = re.compile(r"[A-Za-z_$][\w$-]{0,39}")
_ALIKE = 0.72
_MOST_WITHIN = 12
"""Names of an object that are looked at."""
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


WANTED: dict[type[models.Answer], tuple[str, ...]] = {models.Folder: ("type", "unreadCount")}
"""What the tools can do without, and say less."""
_Values = list[object]


@dataclass
class Comparison:
    """How bodies of one model differ from it; fields within others are written as `messages.bodyHtml`."""

    needed: list[str] = field(default_factory=list[str])
    """Fields that are missing and needed."""
    wanted: list[str] = field(default_factory=list[str])
    """Fields that are missing, and without which less can be told."""
    absent: list[str] = field(default_factory=list[str])
    """Other fields that are missing, as they may be."""
    other_type: list[str] = field(default_factory=list[str])
    unknown: list[str] = field(default_factory=list[str])
    renames: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    """A model, its field, and where it is likely to stand here, as the operator's file writes it."""
    open: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """A model and its field that is needed or wanted, of which it cannot be told where it stands."""
    respelt: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Names in snake case, under which fields are read as well, and how the contract spells them."""
    is_strange: bool = False
    """Whether the bodies hold none of the fields."""


def compare(
    model: type[models.Answer], bodies: Iterable[object], overrides: Overrides = NONE, places: Places | None = None
) -> Comparison:
    """Return how `bodies`, taken together, differ from `model`; a field counts as there where one body has it.

    `overrides` were applied to them, and `places` are those of their route alone: what was read from there is known.
    """
    comparison = Comparison()
    _Comparing(overrides, comparison).bodies(model, list(bodies), "", places or {})
    return comparison


def holds_any(model: type[models.Answer], body: object) -> bool:
    """Return whether a body holds a field of `model`, by any spelling."""
    return isinstance(body, dict) and not cast("dict[str, object]", body).keys().isdisjoint(
        shape(model).keys() | model.model_fields.keys()
    )


@dataclass(frozen=True)
class _Comparing:
    overrides: Overrides
    into: Comparison

    def bodies(self, model: type[models.Answer], bodies: list[object], prefix: str, places: Places) -> None:
        into = self.into
        objects = [cast("dict[str, Any]", body) for body in bodies if isinstance(body, dict)]
        if len(objects) < len(bodies):
            into.other_type.append(prefix.rstrip(".") or "the body")
        if not objects:
            return
        fields = shape(model)
        spellings = {name: info.alias or name for name, info in model.model_fields.items()}
        present = {name for body in objects for name in body}
        seen = {spellings.get(name, name) for name in present}
        into.is_strange |= not prefix and seen.isdisjoint(fields)
        missing = [name for name in fields if name not in seen]
        mistyped = [name for name in _of_another_type(model, objects) if name in fields]
        offered = _offered(objects, [name for name in present if name not in fields.keys() | spellings.keys()])
        known = [self.overrides.models.get(kind.__name__, {}) for kind in model.__mro__]
        read = [".".join(place.names) for told in (*known, places) for place in told.values()]
        unknown = {
            path: values
            for path, values in offered.items()
            if not any(_is_at(place, path.replace("[]", "")) for place in read)
        }
        likely = dict(_likely(model, missing, unknown))
        within = _offered(objects, mistyped)
        likely |= _likely(model, mistyped, within)
        unread = {**unknown, **{path: [] for path in within if path.partition(".")[0].removesuffix("[]") not in likely}}

        needed = [group for group in NEEDED.get(model, ()) if not seen & set(group)]
        wanted = [name for name in WANTED.get(model, ()) if name not in seen]
        lacking = {*wanted, *(name for group in needed for name in group)}
        into.respelt += [(name, alias) for name, alias in spellings.items() if name != alias and name in present]
        into.needed += [f"{prefix}{' or '.join(group)}" for group in needed]
        into.wanted += [f"{prefix}{name}" for name in wanted]
        into.absent += [f"{prefix}{name}" for name in missing if name not in lacking]
        into.other_type += [f"{prefix}{name}" for name in mistyped]
        into.unknown += [f"{prefix}{path}" for path in _shown(unread, [*offered, *within]) if path not in mistyped]
        into.renames += [(model.__name__, name, theirs) for name, theirs in likely.items()]
        unsolved = [group[0] for group in needed if not likely.keys() & set(group)] + wanted + mistyped
        into.open += [(model.__name__, name) for name in unsolved if name not in likely]
        for name, inner in fields.items():
            if inner is not None and name not in mistyped:
                names = {name, likely.get(name, name), *(key for key, alias in spellings.items() if alias == name)}
                values = [body[key] for body in objects for key in names if key in body]
                self.bodies(inner, list(_within(values)), f"{prefix}{name}.", {})


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


def _offered(objects: Iterable[dict[str, Any]], names: Iterable[str]) -> dict[str, _Values]:
    """Return what stands under `names`, by the way to it: `sender`, and within objects `from.email` or `cc[].email`."""
    columns: dict[str, _Values] = {name: [] for name in sorted(names) if _PLAIN.fullmatch(name)}
    for body in objects:
        for name in body.keys() & columns.keys():
            columns[name].append(body[name])
    offered: dict[str, _Values] = {}
    for name, values in columns.items():
        offered[name] = values
        inner = [cast("dict[str, object]", item) for item in _within(values) if isinstance(item, dict)]
        keys = sorted({key for item in inner for key in islice(item, _MOST_WITHIN) if _PLAIN.fullmatch(key)})
        each = "[]" * any(isinstance(value, list) for value in values)
        for key in keys[:_MOST_WITHIN]:
            found = [item[key] for item in inner if key in item]
            offered[f"{name}{each}.{key}"] = [found] if each else found
    return offered


def _shown(paths: Iterable[str], offered: Iterable[str]) -> list[str]:
    """Return the ways to values as they are told: what is within an object stands for it."""
    holders = {path.partition(".")[0] for path in offered if "." in path}
    return sorted({path.replace("[]", "") for path in paths if path not in holders and f"{path}[]" not in holders})


def _likely(model: type[models.Answer], names: Iterable[str], offered: dict[str, _Values]) -> Iterator[tuple[str, str]]:
    """Pair fields with what is offered that looks like them and is of their type; each is given away once."""
    free = dict(islice(offered.items(), _MOST_LIKELY))
    for name in names:
        theirs = next(
            (path for path in _alike(name, list(free)) if _fits(model, name, path, free[path.removeprefix("!")])), None
        )
        if theirs is not None:
            taken = theirs.removeprefix("!")
            free = {path: values for path, values in free.items() if not _is_at(taken, path)}
            yield name, theirs


def _is_at(place: str, path: str) -> bool:
    """Return whether a path leads to a place, or to what stands within it."""
    return path == place or path.startswith((f"{place}.", f"{place}[]."))


def _alike(name: str, offered: list[str]) -> Iterator[str]:
    """Yield what may be meant by `name`, the likeliest first; its opposite is never taken for itself."""
    bare = {path: _bare(path) for path in offered}
    synonyms = {_bare(word) for word in (name, *_SYNONYMS.get(name, ()))}
    stems = {_stem(word) for word in (name, *_SYNONYMS.get(name, ()))}
    opposites = {
        f"{begin}{no}{stem}" for begin in ("", "is", "has") for no in ("un", "not", "no", "non") for stem in stems
    }
    others = [path for path in offered if bare[path] not in opposites]
    yield from (path for path in others if bare[path] == _bare(name))
    yield from (path for path in others if bare[path] in synonyms)
    yield from (f"!{path}" for path in offered if bare[path] in opposites)
    yield from (path for path in others if _is_within(path, synonyms))
    within = [path for path in others if path != name and _is_at(name, path)]
    yield from difflib.get_close_matches(name, [path for path in others if path not in within], 1, _ALIKE)
    yield from within if len(within) == 1 else ()
    yield from (path for path in others if _begin_alike(path, name))


def _stem(name: str) -> str:
    return _bare(re.sub(r"^(is|has)(?=[A-Z])", "", name))


def _is_within(path: str, synonyms: set[str]) -> bool:
    """Return whether the end of a path names it, as `content.html` or `recipients[].address` do."""
    holder, _, end = path.partition(".")
    if not end:
        return False
    by_holder = _bare(holder) in synonyms and (_bare(end) in _ADDRESSES or _bare(end) in synonyms)
    return by_holder or (_bare(end) in synonyms - _TOO_COMMON and "[]" not in holder)


def _fits(model: type[models.Answer], name: str, path: str, values: _Values) -> bool:
    """Return whether the field can be read from what stands there."""
    info = next(info for key, info in model.model_fields.items() if (info.alias or key) == name)
    known = [value for value in values if value is not None]
    if bool in get_args(info.annotation):
        return bool(known) and all(isinstance(value, bool) for value in known)
    if path.startswith("!"):
        return False
    for value in known:
        try:
            model.model_validate({name: value})
        except ValidationError:
            return False
    return bool(known)


def _begin_alike(one: str, other: str) -> bool:
    first, second = (re.split(r"[^a-z]", name[:1].lower() + name[1:])[0] for name in (one, other))
    return len(first) > 4 and first == second


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_ADDRESSES: Final = frozenset({"email", "address", "emailaddress", "mail"})
_TOO_COMMON: Final = frozenset({"id", "name", "email", "title", "label", "type", "address", "status", "date", "items"})
"""Names of which whatever stands in an object may have one."""


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
