"""What an operator knows better than the contract: other names, words and paths, from a TOML file. Pure.

A line of the file says one thing, and is what an error tells the operator to write::

    routes.send_email.rename.bodyHtml = "html"      # our name = the service's, in a body or a query
    models.Message.fromEmail = "from.email"         # our name = where the service has it in its answers

Only what the reference does not document can be changed, and nothing can be left out of a request
that its meaning hangs on. Without a file nothing is touched.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast, get_args

if TYPE_CHECKING:  # settings are read before anything heavy is needed
    from pydantic.fields import FieldInfo

    from salesos_inbox.contract.models import Answer
    from salesos_inbox.contract.routes import Route

Json = dict[str, object]

MISSING: Final = object()
"""What is found at a place that is not there."""


@dataclass(frozen=True)
class Place:
    """Where the service has a field: names from the outside in, each with whether it holds a list of objects.

    `opposite` is a switch that the service has the other way round.
    """

    steps: tuple[tuple[str, bool], ...]
    opposite: bool = False

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Return the place that is written as `from.email`, `to[].email` or `!unread`."""
        steps = [(step.removesuffix("[]"), step.endswith("[]")) for step in text.removeprefix("!").split(".")]
        return cls(tuple(steps), text.startswith("!"))

    @property
    def names(self) -> tuple[str, ...]:
        """The names alone."""
        return tuple(name for name, _ in self.steps)

    def put(self, body: Json, value: object) -> None:
        """Write `value` at this place of `body`; a list on the way gets an object for each of its items."""
        if self.opposite and isinstance(value, bool):
            value = not value
        for position, (name, each) in enumerate(self.steps[:-1]):
            if each and isinstance(value, list):
                body[name] = [_built(Place(self.steps[position + 1 :]), item) for item in cast("list[object]", value)]
                return
            body = cast("Json", body.setdefault(name, {}))
        body[self.steps[-1][0]] = value

    def find(self, answer: object) -> object:
        """Return what stands at this place of `answer`, of each item where a list is on the way, or `MISSING`."""
        found = _find(answer, self.names)
        if not self.opposite:
            return found
        return not found if isinstance(found, bool) else MISSING


def _built(place: Place, value: object) -> Json:
    body: Json = {}
    place.put(body, value)
    return body


def _find(answer: object, names: tuple[str, ...]) -> object:
    for position, name in enumerate(names):
        if isinstance(answer, list):
            items = (_find(item, names[position:]) for item in cast("list[object]", answer))
            return [item for item in items if item is not MISSING]
        if not isinstance(answer, dict) or name not in answer:
            return MISSING
        answer = cast("Json", answer)[name]
    return answer


Places = Mapping[str, Place]


@dataclass(frozen=True)
class RouteOverrides:
    """What is different about one route."""

    path: str | None = None
    rename: Places = field(default_factory=dict[str, Place])
    drop: frozenset[str] = frozenset()
    add: Mapping[str, object] = field(default_factory=dict[str, object], repr=False)
    answer: Places = field(default_factory=dict[str, Place])
    """Where fields of its answer stand, if that differs from the other answers of the same model."""
    envelope: Places = field(default_factory=dict[str, Place])
    """Where its answer holds its `item` or its `items`, and what it says of a list."""


_AS_IT_IS: Final = RouteOverrides()


@dataclass(frozen=True)
class Overrides:
    """What an operator changed of the contract; the empty one changes nothing. See `read_overrides`."""

    routes: Mapping[str, RouteOverrides] = field(default_factory=dict[str, RouteOverrides])
    models: Mapping[str, Places] = field(default_factory=dict[str, Places])
    envelope: Places = field(default_factory=dict[str, Place])
    """What holds of the answers of every route, unless the route says otherwise."""
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    """The contract's words and the service's, by the field's name."""
    sends_csrf: bool = True
    """Whether a session's changes carry a CSRF token."""

    def path(self, route: "Route") -> str:
        """Return the path of `route` below the base address, with the places of its ids."""
        return self._of(route).path or route.path

    def in_path(self, ids: Mapping[str, str]) -> dict[str, str]:
        """Return the ids of a path in the service's words."""
        return {name: self._word("entityType" if name == "entity_type" else name, ids[name]) for name in ids}

    def outgoing(self, route: "Route", body: Json | None) -> Json | None:
        """Return a body, or the query of a GET, as the service wants it; None where there is nothing to send."""
        changes = self._of(route)
        if changes is _AS_IT_IS and not self.words:
            return body
        sent: Json = {}
        for name, value in (body or {}).items():
            if name not in changes.drop:
                changes.rename.get(name, Place(((name, False),))).put(sent, self._word(name, value))
        sent |= changes.add
        return None if body is None and not sent else sent

    def incoming(self, route: "Route", payload: object) -> object:
        """Return an answer under the contract's names, as far as they are found; `payload` itself without overrides."""
        model, changes = route.answer, self._of(route)
        if model is None or not (changes.answer or changes.envelope or self.envelope or self._concerns(model)):
            return payload
        if isinstance(payload, list) and route.is_list:
            return self._each(model, changes.answer, cast("list[object]", payload))
        if not isinstance(payload, dict):
            return cast("object", payload)
        answer = cast("Json", payload)
        return self._list(model, changes, answer) if route.is_list else self._single(model, changes, answer)

    def ours(self, route: "Route", theirs: str) -> str | None:
        """Return the field of a request that the service calls `theirs`; None where there is none."""
        changes = self._of(route)
        for name, place in changes.rename.items():
            if theirs in (place.names[0], ".".join(place.names)):
                return name
        return theirs if theirs in request_fields(route) and theirs not in changes.rename else None

    def is_renamed(self, route: "Route", ours: str) -> bool:
        """Return whether a field of a request has another name by an override."""
        return ours in self._of(route).rename

    def is_added(self, route: "Route", theirs: str) -> bool:
        """Return whether the service gets `theirs` because an override adds it."""
        return theirs in self._of(route).add

    def _of(self, route: "Route") -> RouteOverrides:
        return self.routes.get(route.key, _AS_IT_IS)

    def _word(self, name: str, value: Any) -> Any:
        words = self._words(name)
        return words.get(value, value) if words and isinstance(value, str) else value

    def _words(self, name: str) -> Mapping[str, str] | None:
        return self.words.get("folder" if name == "type" else name)  # a folder's type is the word it goes by

    def _concerns(self, model: "type[Answer]") -> bool:
        if not (self.models or self.words):
            return False
        fields = shape(model)
        return bool(
            self._places(model)
            or any(map(self._words, fields))
            or any(inner and self._concerns(inner) for inner in fields.values())
        )

    def _places(self, model: "type[Answer]") -> Places:
        """Return where a model's fields stand: its own word goes before that of the model it extends."""
        places: dict[str, Place] = {}
        for kind in reversed(model.__mro__):
            places |= self.models.get(kind.__name__, {})
        return places

    def _single(self, model: "type[Answer]", changes: RouteOverrides, answer: Json) -> object:
        from salesos_inbox.contract.envelopes import unwrapped

        item = changes.envelope.get("item") or self.envelope.get("item")
        found = item.find(answer) if item else MISSING
        return self._translated(model, changes.answer, unwrapped(answer) if found is MISSING else found)

    def _list(self, model: "type[Answer]", changes: RouteOverrides, answer: Json) -> object:
        from salesos_inbox.contract.envelopes import ITEMS

        top = envelope = answer.copy()
        while isinstance(inner := envelope.get("data"), dict):
            inner = cast("Json", inner).copy()
            envelope["data"], envelope = inner, inner
        for name, place in {**self.envelope, **changes.envelope}.items():
            if (found := place.find(answer)) is not MISSING:
                envelope[name] = found
        for name in ITEMS:
            if isinstance(items := envelope.get(name), list):
                envelope[name] = self._each(model, changes.answer, cast("list[object]", items))
        return top

    def _each(self, model: "type[Answer]", places: Places, items: Iterable[object]) -> list[object]:
        return [self._translated(model, places, item) for item in items]

    def _translated(self, model: "type[Answer]", places: Places, item: object) -> object:
        if not isinstance(item, dict):
            return item
        answer = cast("Json", item)
        read = answer.copy()
        places = {**self._places(model), **places}
        taken = {place.names[0] for place in places.values()}
        for name, place in places.items():
            if (found := place.find(answer)) is not MISSING:
                read[name] = found
            elif name in taken:
                read.pop(name, None)  # there the service has another field
        spellings = _spellings(model)
        for name in spellings.keys() & read.keys():
            (alias, inner), value = spellings[name], read[name]
            if isinstance(value, str) and (words := self._words(alias)):
                read[name] = next((ours for ours, theirs in words.items() if theirs == value), value)
            elif inner and isinstance(value, list):
                read[name] = self._each(inner, {}, cast("list[object]", value))
            elif inner:
                read[name] = self._translated(inner, {}, cast("object", value))
        return read


NONE: Final = Overrides()
"""The contract as it stands."""


def request_fields(route: "Route") -> dict[str, "FieldInfo"]:
    """Return the fields of a body or a query by their names on the wire."""
    return _named(route.request.model_fields) if route.request else {}


def may_be_renamed(route: "Route", name: str) -> bool:
    """Return whether a field of a request may have another name than the contract's."""
    from salesos_inbox.contract.models import Mark

    return name in _KNOWN_OTHERWISE or Mark.DOCUMENTED not in request_fields(route)[name].metadata


_KNOWN_OTHERWISE: Final = frozenset({"limit"})
"""Documented, and yet known to have another name in other modules of the product."""
MAY_BE_DROPPED: Final = frozenset({"bodyHtml", "threadId", "inReplyTo", "draftId"})
"""What a request does without: the text goes as plain text too, a reply hangs on either id, a draft stays behind."""


def _named(fields: "Mapping[str, FieldInfo]") -> dict[str, "FieldInfo"]:
    return {info.alias or name: info for name, info in fields.items()}


@cache
def shape(model: "type[Answer]") -> dict[str, "type[Answer] | None"]:
    """Return a model's fields by their names on the wire, with the model of what stands in them."""
    return {alias: _model_within(info.annotation) for alias, info in _named(model.model_fields).items()}


@cache
def _spellings(model: "type[Answer]") -> dict[str, tuple[str, "type[Answer] | None"]]:
    """Return `shape` by all names under which an answer is read: in snake case too."""
    fields = shape(model)
    names = {name: info.alias or name for name, info in model.model_fields.items()}
    return {spelling: (alias, fields[alias]) for name, alias in names.items() for spelling in (name, alias)}


def _model_within(annotation: object) -> "type[Answer] | None":
    from salesos_inbox.contract.models import Answer

    if isinstance(annotation, type) and not get_args(annotation) and issubclass(annotation, Answer):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_within(part))), None)


def read_overrides(document: Mapping[str, object]) -> Overrides:
    """Return what a parsed TOML file says.

    Raises `ValueError` with a line for each thing that is wrong, and what there is instead.
    """
    from salesos_inbox.contract.overrides_file import read

    return read(document)
