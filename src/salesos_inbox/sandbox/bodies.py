"""Strict reading of queries and bodies, refused in the sentences of the service's own validator."""

import re
import types
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails, from_json

from salesos_inbox.contract import models
from salesos_inbox.sandbox.messages import to_millis
from salesos_inbox.sandbox.refusals import Refusal, invalid

RequestT = TypeVar("RequestT", bound=models.Request)

_EMAIL = re.compile(r"[^\s@<>()\[\]\\,;:\"]{1,64}@(?:[^\s@<>()\[\]\\,;:\".]+\.)+[^\s@<>()\[\]\\,;:\".]{2,}")
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d([Tt ]|$)")

_EXPECTED: Final[Mapping[object, str]] = {
    bool: "{} must be a boolean value",
    int: "{} must be an integer number",
    str: "{} must be a string",
    datetime: "{} must be a valid ISO 8601 date string",
    list: "{} must be an array",
    Literal: "{} must be one of the following values: {}",
}

_OUT_OF_BOUNDS: Final[Mapping[str, str]] = {
    "greater_than_equal": "{} must not be less than {ge}",
    "less_than_equal": "{} must not be greater than {le}",
    "too_short": "{} should not be empty",
    "too_long": "{} must contain no more than {max_length} elements",
}


class Nothing(models.Request):
    """The query of a route that takes none: every parameter is one too many."""


def read_body(model: type[RequestT], raw: bytes, now: datetime) -> RequestT:
    """Return the JSON body `raw` as a `model`; `now` decides what lies in the past.

    Refuses (400) what is not a JSON object in UTF-8, unknown fields, values of another type (nothing
    is coerced) and what the model's rules forbid.
    """
    raw = raw or b"{}"
    try:
        values: object = from_json(raw)
    except ValueError as error:
        raise Refusal(400, "Body is not valid JSON") from error
    if not isinstance(values, dict):
        raise invalid("body must be an object")
    fields = cast(dict[str, object], values)
    return _checked(
        model, fields, now, lambda: model.model_validate_json(raw, strict=True, by_alias=True, by_name=False)
    )


def read_query(model: type[RequestT], values: Mapping[str, str], now: datetime) -> RequestT:
    """Return the query parameters `values` as a `model`; refuses (400) as `read_body` does."""
    return _checked(
        model, values, now, lambda: model.model_validate_strings(dict(values), by_alias=True, by_name=False)
    )


def _checked(
    model: type[RequestT], values: Mapping[str, object], now: datetime, read: Callable[[], RequestT]
) -> RequestT:
    try:
        request = read()
    except ValidationError as error:
        sentences = dict.fromkeys(_sentence(model, fault) for fault in error.errors(include_url=False))
        raise invalid(*sentences) from error
    broken = [*_unlike_dates(model, values)] or [
        sentence for kind, rule in _RULES if isinstance(request, kind) for sentence in rule(request, now)
    ]
    if broken:
        raise invalid(*broken)
    return request


def _sentence(model: type[models.Request], fault: ErrorDetails) -> str:
    name = str(fault["loc"][0])
    if fault["type"] == "extra_forbidden":
        return f"property {name} should not exist"
    if rule := _OUT_OF_BOUNDS.get(fault["type"]):
        return rule.format(name, **fault.get("ctx", {}))
    annotation = _annotations(model)[name]
    if len(fault["loc"]) > 1:
        (element,) = get_args(annotation)
        return "each value in " + _EXPECTED[_plain(element)].format(name)
    return _EXPECTED[get_origin(annotation) or annotation].format(name, ", ".join(map(str, get_args(annotation))))


def _annotations(model: type[models.Request]) -> dict[str, object]:
    """Return the type of every field by its name on the wire, without None."""
    return {field.alias or name: _plain(field.annotation) for name, field in model.model_fields.items()}


def _plain(annotation: object) -> object:
    """Return a type without None and without what is said about it."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _plain(get_args(annotation)[0])
    if origin not in (Union, types.UnionType):
        return annotation
    return _plain(next(part for part in get_args(annotation) if part is not types.NoneType))


def _unlike_dates(model: type[models.Request], values: Mapping[str, object]) -> Iterable[str]:
    # pydantic also reads a number in a string as a date, the service does not.
    for name, annotation in _annotations(model).items():
        value = values.get(name)
        if annotation is datetime and isinstance(value, str) and not _ISO_DATE.match(value):
            yield _EXPECTED[datetime].format(name)


def _search(query: models.SearchThreads, _: datetime) -> Iterable[str]:
    if not query.q.strip():
        yield "q should not be empty"


def _target(body: models.BulkThreads, _: datetime) -> Iterable[str]:
    if body.action == "move" and not body.folder:
        yield "folder should not be empty"


def _addresses(body: models.OutgoingEmail, _: datetime) -> Iterable[str]:
    for name, addresses in (("to", body.to), ("cc", body.cc), ("bcc", body.bcc)):
        if not all(_EMAIL.fullmatch(address) for address in addresses or ()):
            yield f"each value in {name} must be an email"


def _recipients(body: models.SendEmail, now: datetime) -> Iterable[str]:
    if not (body.to or body.cc or body.bcc):
        yield "to should not be empty"
    if body.scheduled_for is not None and to_millis(body.scheduled_for) <= to_millis(now):
        yield "scheduledFor must be in the future"


def _reminder(body: models.SetFollowUp, now: datetime) -> Iterable[str]:
    if to_millis(body.reminder_date) <= to_millis(now):
        yield "reminderDate must be in the future"


_RULES: Final[tuple[tuple[type | tuple[type, ...], Callable[[Any, datetime], Iterable[str]]], ...]] = (
    (models.SearchThreads, _search),
    (models.BulkThreads, _target),
    (models.OutgoingEmail, _addresses),
    (models.SendEmail, _recipients),
    (models.SetFollowUp, _reminder),
)
