"""The file of an operator's overrides, read and checked: each mistake in one line that says what there is instead."""

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from string import Formatter
from typing import TYPE_CHECKING, Annotated, Final, cast, get_args, get_origin

from salesos_inbox.contract import models
from salesos_inbox.contract.envelopes import ABOUT_A_LIST
from salesos_inbox.contract.models import Mark
from salesos_inbox.contract.overrides import (
    MAY_BE_DROPPED,
    Overrides,
    Place,
    Places,
    RouteOverrides,
    may_be_renamed,
    request_fields,
    shape,
)
from salesos_inbox.contract.routes import ROUTES, Route

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_SECTIONS: Final = ("routes", "models", "values", "answers", "session")
_OF_A_ROUTE: Final = ("rename", "drop", "add", "answer", "path")

_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "action": get_args(models.BulkAction),
    "direction": ("INBOUND", "OUTBOUND"),
    "entityType": get_args(models.EntityType),
    "folder": ("inbox", "sent", "drafts", "scheduled", "archive", "trash", "spam", "custom"),
    "sortBy": get_args(models.SortKey),
    "status": (
        *("DRAFT", "QUEUED", "SENT", "DELIVERED", "OPENED", "CLICKED", "BOUNCED", "FAILED", "RECEIVED"),
        "SCHEDULED",
    ),
}
"""The fields whose values are words, and the words; those of a folder's type are the folder's."""

_WHY_NOT: Final[Mapping[str, str]] = {
    "to": "the message would not reach them",
    "cc": "the message would not reach them",
    "bcc": "the message would not reach them",
    "subject": "the message would go without one",
    "bodyText": "the message would be empty",
    "scheduledFor": "the message would be sent at once",
    "id": "each update would leave another draft",
    "note": "the reminder would come without its words, and one is set without a note as it is",
    "limit": "a list would seem to end where it goes on",
}
"""Why a field cannot be left out; of the others, see `_why_not`."""
_STEP: Final = re.compile(r"[A-Za-z_$@][\w$@-]{0,60}")
_PARAMETER: Final = re.compile(r"[A-Za-z_$@][\w$@.\[\]-]{0,80}")
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~{}-]+)+")
_MOST_STEPS: Final = 6
_RECIPIENTS: Final = re.compile(r"(?:to|b?cc|(?:b?cc)?recipients?)(?:e?mails?|address(?:es)?|list|recipients?)?")
"""How services call those whom a message goes to, folded."""


def read(document: Mapping[str, object]) -> Overrides:
    """Return what a parsed file says; see `salesos_inbox.contract.overrides.read_overrides`."""
    reading = _Reading()
    overrides = reading.document(document)
    if reading.mistakes:
        raise ValueError("\n".join(reading.mistakes))
    return overrides


class _Reading:
    """Reads a file through to its end, and keeps what is wrong with it."""

    def __init__(self) -> None:
        self.mistakes: list[str] = []

    def document(self, document: Mapping[str, object]) -> Overrides:
        sections = {name: self.table(name, value) for name, value in document.items() if self.known(name, _SECTIONS)}
        by_key = {route.key: route for route in ROUTES}
        by_name = {model.__name__: model for model in _answers()}
        return Overrides(
            routes={
                key: self.route(f"routes.{key}", by_key[key], self.table(f"routes.{key}", value))
                for key, value in sections.get("routes", {}).items()
                if self.known(key, by_key, "routes")
            },
            models={
                name: self.places(f"models.{name}", by_name[name], self.table(f"models.{name}", value))
                for name, value in sections.get("models", {}).items()
                if self.known(name, by_name, "models")
            },
            envelope=self.envelope("answers", sections.get("answers", {}), ("item", "items", *ABOUT_A_LIST)),
            words={
                name: self.words(name, self.table(f"values.{name}", value))
                for name, value in sections.get("values", {}).items()
                if self.known(name, _WORDS, "values")
            },
            sends_csrf=self.session(sections.get("session", {})),
        )

    def route(self, where: str, route: Route, table: Mapping[str, object]) -> RouteOverrides:
        envelope = () if route.answer is None else ("items", *ABOUT_A_LIST) if route.is_list else ("item",)
        told = {name: table[name] for name in table if self.known(name, (*_OF_A_ROUTE, *envelope), where)}
        drop = self.drop(f"{where}.drop", route, told.get("drop", []))
        rename = self.rename(f"{where}.rename", route, self.table(f"{where}.rename", told.get("rename", {})), drop)
        add = self.add(f"{where}.add", route, self.table(f"{where}.add", told.get("add", {})), rename)
        answer = self.table(f"{where}.answer", told.get("answer", {}))
        if answer and route.answer is None:
            self.wrong(f"{where}.answer", "the answer to this request holds nothing")
        return RouteOverrides(
            path=self.path(f"{where}.path", route, told["path"]) if "path" in told else None,
            rename=rename,
            drop=drop,
            add=add,
            answer=self.places(f"{where}.answer", route.answer, answer) if route.answer else {},
            envelope=self.envelope(where, {name: told[name] for name in told if name in envelope}, envelope),
        )

    def envelope(self, where: str, table: Mapping[str, object], names: Iterable[str]) -> Places:
        known = {name: value for name, value in table.items() if self.known(name, names, where)}
        return {name: place for name, value in known.items() if (place := self.place(f"{where}.{name}", value))}

    def rename(self, where: str, route: Route, table: Mapping[str, object], drop: Iterable[str]) -> Places:
        fields = request_fields(route)
        places: dict[str, Place] = {}
        for name, value in table.items():
            if not self.is_field(f"{where}.{name}", name, fields, f"the request to {route.purpose}"):
                continue
            if not may_be_renamed(route, name):
                self.wrong(f"{where}.{name}", "is documented, so it keeps its name")
            elif name in drop:
                self.wrong(f"{where}.{name}", "is dropped as well: keep one of the two")
            elif place := self.place(f"{where}.{name}", value, fields[name], in_query=route.method == "GET"):
                places[name] = place
                if place == Place(((name, False),), opposite=True):
                    self.wrong(f"{where}.{name}", "means the opposite under the same name: give the service's name")
        self.collisions(where, places, [name for name in fields if name not in drop])
        return places

    def collisions(self, where: str, places: Places, sent: Iterable[str]) -> None:
        """Note each field that would stand where another one stands."""
        reaches: dict[str, tuple[str, ...]] = {name: _reach(place) for name, place in places.items()}
        for name, reach in reaches.items():
            others = {other: reaches.get(other, (other,)) for other in sent if other != name}
            taken = [
                other
                for other, place in others.items()
                if reach[0] == other or place[: len(reach)] == reach[: len(place)]
            ]
            if taken:
                self.wrong(f"{where}.{name}", f"is also where {taken[0]} stands: rename or drop that one, or this")

    def drop(self, where: str, route: Route, value: object) -> frozenset[str]:
        fields = request_fields(route)
        if not isinstance(value, list) or not all(isinstance(name, str) for name in cast("list[object]", value)):
            self.wrong(where, 'must be a list of names, such as ["inReplyTo"]')
            return frozenset()
        names = cast("list[str]", value)
        known = [name for name in names if self.is_field(where, name, fields, f"the request to {route.purpose}")]
        for name in known:
            if name not in MAY_BE_DROPPED:
                self.wrong(where, f"{name} cannot be left out: {_why_not(route, name)}")
        if {"threadId", "inReplyTo"} <= set(known):
            self.wrong(where, "one of threadId and inReplyTo must stay: a reply would arrive as a message of its own")
        return frozenset(known)

    def add(self, where: str, route: Route, table: Mapping[str, object], rename: Places) -> dict[str, object]:
        fields = request_fields(route)
        spellings = {_folded(name): name for name in fields}
        added: dict[str, object] = {}
        for name, value in table.items():
            holders = [ours for ours, place in rename.items() if place.names[0] == name]
            if name in fields or holders:
                self.wrong(f"{where}.{name}", f"is where {holders[0] if holders else name} stands: choose another name")
            elif "to" in fields and _RECIPIENTS.fullmatch(_folded(name)):
                self.wrong(f"{where}.{name}", "each message would go to somebody whom those who approve it do not see")
            elif ours := spellings.get(_folded(name)):
                self.wrong(f"{where}.{name}", f"is {ours} in another spelling: rename that one")
            elif not (_PARAMETER if route.method == "GET" else _STEP).fullmatch(name):
                self.wrong(f"{where}.{name}", "is not the name of a field")
            elif not _is_json(value) or (route.method == "GET" and isinstance(value, list | dict)):
                self.wrong(f"{where}.{name}", "must be a text, a number, true or false")
            else:
                added[name] = value
        return added

    def path(self, where: str, route: Route, value: object) -> str | None:
        ids = sorted(_ids(route.path))
        if route.mark is Mark.DOCUMENTED:
            self.wrong(where, f"{route.path} is documented, so it stays")
        elif not isinstance(value, str) or not _PATH.fullmatch(value) or ".." in value or sorted(_ids(value)) != ids:
            self.wrong(where, f"must be a path below the base address, such as {route.path}")
        else:
            return value
        return None

    def places(self, where: str, model: type[models.Answer], table: Mapping[str, object]) -> Places:
        fields = {info.alias or name: info for name, info in model.model_fields.items()}
        known = {
            name: place
            for name, value in table.items()
            if self.is_field(f"{where}.{name}", name, fields, model.__name__)
            and (place := self.place(f"{where}.{name}", value, fields[name]))
        }
        for name, place in known.items():
            if len(place.names) == 1 and place.names[0] in fields and place.names[0] not in (name, *known):
                self.wrong(f"{where}.{name}", f"would be read from {place.names[0]}, which is another field of it")
            double = next((other for other in known if other < name and known[other] == place), None)
            if double:
                self.wrong(f"{where}.{name}", f"is read from the same place as {double}: correct one of them")
        return known

    def words(self, name: str, table: Mapping[str, object]) -> dict[str, str]:
        where, words = f"values.{name}", _WORDS[name]
        told: dict[str, str] = {}
        for ours, theirs in table.items():
            if not self.known(ours, words, where):
                continue
            if not isinstance(theirs, str) or not theirs:
                self.wrong(f"{where}.{ours}", "must be a text: the service's word for it")
            elif _folded(theirs) in map(_folded, words) and _folded(theirs) != _folded(ours):
                self.wrong(f"{where}.{ours}", f"{theirs} already means something else in the contract")
            elif theirs in told.values():
                self.wrong(f"{where}.{ours}", f"{theirs} is the service's word for another value too")
            else:
                told[ours] = theirs
        return told

    def session(self, table: Mapping[str, object]) -> bool:
        known = {name: value for name, value in table.items() if self.known(name, ("csrf",), "session")}
        csrf = known.get("csrf", True)
        if not isinstance(csrf, bool):
            self.wrong("session.csrf", "must be true or false")
        return csrf is not False

    def place(
        self, where: str, value: object, info: "FieldInfo | None" = None, *, in_query: bool = False
    ) -> Place | None:
        """Return the place that `value` writes, or None with the mistake noted."""
        text = value if isinstance(value, str) else ""
        opposite, name = text.startswith("!"), text.removeprefix("!")
        steps = [name] if in_query else name.split(".")
        ends = [step.removesuffix("[]") for step in steps]
        pattern = _PARAMETER if in_query else _STEP
        if not all(map(pattern.fullmatch, ends)) or len(steps) > _MOST_STEPS or steps[-1] != ends[-1]:
            example = '"pageSize"' if in_query else '"html", or "body.html" for html within body'
            self.wrong(where, f"must be the service's name for it, such as {example}")
        elif opposite and (info is None or bool not in _kinds(info.annotation)):
            self.wrong(where, "only what is true or false has an opposite (!)")
        elif steps != ends and info is not None and list not in _kinds(info.annotation):
            self.wrong(where, "only a list is spread over objects ([])")
        elif in_query:
            return Place(((name, False),), opposite)
        else:
            return Place.parse(text)
        return None

    def table(self, where: str, value: object) -> dict[str, object]:
        if isinstance(value, dict):
            return cast("dict[str, object]", value)
        self.wrong(where, "must be a table of names and values")
        return {}

    def known(self, name: str, names: Iterable[str], where: str = "") -> bool:
        choices = list(names)
        if name in choices:
            return True
        place = f"{where}.{name}" if where else name
        if where and name in _SECTIONS:
            self.below(place)
        else:
            self.wrong(place, f"there is no such name; {_instead(name, choices)}")
        return False

    def is_field(self, where: str, name: str, fields: Mapping[str, object], holder: str) -> bool:
        if name not in fields and name in _SECTIONS:
            self.below(where)
        elif name not in fields:
            there = _instead(name, list(fields)) if fields else "it has none"
            self.wrong(where, f"{holder} has no field {name}; {there}")
        return name in fields

    def below(self, where: str) -> None:
        header = where.rpartition(".")[0]
        self.wrong(where, f"this line belongs above the first [header] of the file, not below [{header}]")

    def wrong(self, where: str, what: str) -> None:
        self.mistakes.append(f"{where}: {what}")


def _folded(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")


def _instead(name: str, choices: list[str]) -> str:
    """Return what could be meant by `name`."""
    folded = {_folded(choice): choice for choice in choices}
    near = difflib.get_close_matches(_folded(name), folded, n=1, cutoff=0.6)
    if near:
        return f"did you mean {folded[near[0]]}?"
    return f"there are {', '.join(choices)}" if len(choices) > 1 else f"there is {choices[0]}"


def _why_not(route: Route, name: str) -> str:
    if name in _WHY_NOT:
        return _WHY_NOT[name]
    if route.method == "GET":
        return "the answer would not be the one that was asked for"
    return "the request would not mean what was asked for"


def _reach(place: Place) -> tuple[str, ...]:
    """Return the names up to where the place is filled as a whole."""
    whole = next((position + 1 for position, (_, each) in enumerate(place.steps) if each), len(place.steps))
    return place.names[:whole]


def _kinds(annotation: object) -> set[object]:
    """Return the types that an annotation speaks of at its top."""
    origin = get_origin(annotation)
    if origin is None or origin is list:
        return {origin or annotation}
    parts = get_args(annotation)[:1] if origin is Annotated else get_args(annotation)
    return set[object]().union(*map(_kinds, parts))


def _ids(path: str) -> Iterator[str]:
    try:
        parts = [name for _, name, _, _ in Formatter().parse(path)]
    except ValueError:
        return iter([""])
    return (name for name in parts if name is not None)


def _is_json(value: object) -> bool:
    """Return whether a value of a file can be sent: no date, no number that is none."""
    if isinstance(value, dict):
        return all(map(_is_json, cast("dict[str, object]", value).values()))
    if isinstance(value, list):
        return all(map(_is_json, cast("list[object]", value)))
    return isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))


def _answers() -> list[type[models.Answer]]:
    """Return the models of which an answer can be built, each once."""
    found: dict[type[models.Answer], None] = {}

    def visit(model: type[models.Answer]) -> None:
        for kind in model.__mro__:
            if kind not in found and issubclass(kind, models.Answer) and kind is not models.Answer:
                found[kind] = None
                for inner in filter(None, shape(kind).values()):
                    visit(inner)

    for route in ROUTES:
        if route.answer is not None:
            visit(route.answer)
    return [kind for kind in found if not kind.__name__.startswith("_")]
