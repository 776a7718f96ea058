"""Answers of a shape that nobody saw before: read as far as they go, and what differs is told. Pure.

A field that is not as the contract has it is left out, as if it were missing; nothing is guessed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple, TypeVar, cast, get_args, get_origin

from pydantic import ValidationError

from salesos_inbox.client.failures import outcome_unknown, too_large
from salesos_inbox.contract import models
from salesos_inbox.contract.envelopes import unwrapped
from salesos_inbox.contract.overrides import shape
from salesos_inbox.contract.routes import Route
from salesos_inbox.errors import ContractBroken, InboxError

MOST_OBJECTS: Final = 20_000
"""Objects in one answer; a thousand times what a page or a thread holds."""

AnswerT = TypeVar("AnswerT", bound=models.Answer)

_NAMED_FIELDS: Final = 5
_BARE: Final[tuple[type[models.Answer], ...]] = (models.BulkFailure,)
"""What siblings answer as bare ids too."""
_LARGEST_ID: Final = 2**64
_Json = dict[str, object]


@dataclass(frozen=True, order=True)
class Difference:
    """How an answer differs from the contract: on which route, in which field, by names alone, and in what."""

    route: str
    field: str
    what: str

    def __str__(self) -> str:
        return f"{self.field} of {self.route} ({self.what})"


def read_answer(route: Route, model: type[AnswerT], payload: object) -> tuple[AnswerT, list[Difference]]:
    """Return the single thing that a route answered, and what of it could not be read.

    Raises `ContractBroken` where nothing of it is known, and `OutcomeUnknown` where a write was answered by no object.
    """
    answer = unwrapped(payload)
    if not isinstance(answer, dict) or (not route.is_write and not _is_known(model, cast("_Json", answer))):
        raise _broken(route, model)
    reading = _Reading(route, model)
    read = reading.one(model, cast("_Json", answer), ())
    if isinstance(read, models.BulkResult) and not _is_sure(read, cast("_Json", answer)):
        read = read.model_copy(update={"success": None})
    return read, reading.differences([read])


def read_items(route: Route, model: type[AnswerT], items: Sequence[object]) -> tuple[list[AnswerT], list[Difference]]:
    """Return the items of a list that can be read, and what could not be.

    Raises `ContractBroken` where there are items and nothing of any of them is known.
    """
    reading = _Reading(route, model)
    read = reading.many(model, items, (route.plural,))
    if items and not (read and (model not in _NEEDED or any(getattr(item, "id", None) for item in read))):
        raise _broken(route, model)
    return read, reading.differences(read)


def _broken(route: Route, model: type[models.Answer]) -> InboxError:
    if route.is_write:
        return outcome_unknown(route)
    names = ", ".join(list(shape(model))[:_NAMED_FIELDS])
    return ContractBroken(
        f"SalesOS answered the request to {route.purpose} in a form that is not known, without {names} or any other "
        "field of it: ask the user to run `salesos-inbox-mcp doctor`, which shows what differs."
    )


class _Field(NamedTuple):
    """What stands in a field of a model: a `model` of its own, or texts where it `is_list` without one."""

    alias: str
    model: type[models.Answer] | None
    is_list: bool
    is_id: bool


@cache
def _fields(model: type[models.Answer]) -> dict[str, _Field]:
    """Return a model's fields by each name under which they are read."""
    fields: dict[str, _Field] = {}
    for name, info in model.model_fields.items():
        alias = info.alias or name
        kinds = {get_origin(kind) or kind for kind in (info.annotation, *get_args(info.annotation))}
        field = _Field(alias, shape(model)[alias], list in kinds, name == "id" or name.endswith("_id"))
        fields |= {alias: field, name: field}
    return fields


def _is_known(model: type[models.Answer], answer: _Json) -> bool:
    """Return whether anything of an object is known; statistics may be of any name."""
    if model is models.InboxStats and any(type(value) is int for value in answer.values()):
        return True
    return not _fields(model).keys().isdisjoint(answer)


class _Reading:
    """One answer on its way from JSON to a model, and what was found to differ."""

    def __init__(self, route: Route, model: type[models.Answer]) -> None:
        self._route = route
        self._model = model
        self._found: dict[tuple[tuple[str, ...], str], None] = {}
        self._objects_left = MOST_OBJECTS

    def one(self, model: type[AnswerT], answer: _Json, path: tuple[str, ...]) -> AnswerT:
        """Return an object as far as it can be read; what it holds is read before it, so that each try is short."""
        self._objects_left -= 1
        if self._objects_left < 0:
            raise too_large(self._route)
        fields = _fields(model)
        values = answer.copy()
        for name, value in answer.items():
            if name not in fields:
                continue
            field = fields[name]
            here = (*path, field.alias)
            if field.is_list and isinstance(value, list):
                items = cast("list[object]", value)
                values[name] = self.many(field.model, items, here) if field.model else self._texts(items, here)
            elif field.model and isinstance(value, dict):
                values[name] = self.one(field.model, cast("_Json", value), here)
            elif field.is_id and type(value) is int and abs(value) < _LARGEST_ID:
                values[name] = str(value)
        while True:
            try:
                return model.model_validate(values)
            except ValidationError as error:  # of fields alone, so that each round leaves fewer of them
                faults = error.errors(include_input=False, include_url=False)
                for name in dict.fromkeys(str(fault["loc"][0]) for fault in faults):
                    self._note((*path, fields[name].alias), "of another type")
                    del values[name]

    def many(self, model: type[AnswerT], items: Iterable[object], path: tuple[str, ...]) -> list[AnswerT]:
        """Return the items that are objects of which anything is known."""
        read: list[AnswerT] = []
        for item in items:
            answer = {"id": item} if model in _BARE and isinstance(item, str | int) else item
            if not isinstance(answer, dict):
                self._note(path, "of another type")
            elif not _is_known(model, cast("_Json", answer)):
                self._note(path, "unknown")
            else:
                read.append(self.one(model, cast("_Json", answer), path))
        return read

    def differences(self, read: Sequence[models.Answer]) -> list[Difference]:
        """Return what differs in an answer of which this was `read`; one to a change may hold as little as it likes."""
        if not self._route.is_write or self._model in (models.SendReceipt, models.Draft):
            for field in _missing(read):
                self._note((field,), "missing")
        return [Difference(self._route.key, ".".join(path), what) for path, what in self._found]

    def _texts(self, items: list[object], path: tuple[str, ...]) -> list[str]:
        texts = [str(item) if path == ("success",) and type(item) is int else item for item in items]
        kept = [text for text in texts if isinstance(text, str)]
        if len(kept) < len(items):
            self._note(path, "of another type")
        return kept

    def _note(self, path: tuple[str, ...], what: str) -> None:
        self._found[path, what] = None


_LOOKED_FOR: Final[Mapping[type[models.Answer], tuple[tuple[str, ...], ...]]] = {
    models.Folder: (("id", "name"),),
    models.ThreadSummary: (("participants",), ("last_message_at",), ("is_read",)),
    models.Thread: (("messages",),),
    models.Message: (("from_email",), ("body_html", "body_text"), ("sent_at", "received_at")),
    models.ScheduledEmail: (("scheduled_for",),),
    models.SendReceipt: (("id",), ("status",)),
    models.User: (("email",),),
}
"""Fields of which an answer holds one of each group, if it goes by the contract."""
_NEEDED: Final = (models.ThreadSummary, models.Thread, models.ScheduledEmail, models.Draft)
"""What nothing can be done with unless it has an id."""


def _missing(answers: Sequence[models.Answer]) -> Iterator[str]:
    """Return the fields that none of these holds, while they hold others that may be theirs.

    Without the ids of some of them, those cannot be used, whatever else they hold.
    """
    if not answers:
        return
    kind = type(answers[0])
    if kind in _NEEDED and not all(getattr(answer, "id", None) for answer in answers):
        yield "id"
    if any(answer.model_extra for answer in answers):
        for group in _LOOKED_FOR.get(kind, ()):
            if not any(answer.model_fields_set & {*group} for answer in answers):
                yield " or ".join(_fields(kind)[name].alias for name in group)
    if kind is models.Thread:
        messages = [message for answer in answers for message in cast("models.Thread", answer).messages]
        yield from (f"messages.{field}" for field in _missing(messages))


def _is_sure(result: models.BulkResult, answer: Mapping[str, object]) -> bool:
    """Return whether a bulk answer says of every failure which thread it is, so that its successes can be believed."""
    told = answer.get("failed")
    if not isinstance(told, list):
        return not told
    return len(result.failed) == len(cast("list[object]", told)) and all(failure.id for failure in result.failed)
