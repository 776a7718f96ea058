"""Calendar events (RFC 5545) and contact cards (RFC 6350) as a few lines to read. Pure and linear."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

MOST_COMPONENTS: Final = 20
"""Events or cards that are written out; the rest are counted."""
_MOST_PEOPLE = 10

_FOLD = re.compile(r"\r?\n[ \t]")
_LINE = re.compile(r"(?:[\w-]+\.)?([\w-]+)(;(?:[^:\"]++|\"[^\"]*+\")*+)?:(.*)", re.DOTALL)
_PARAMETER = re.compile(r";([\w-]+)=(?:\"([^\"]*)\"|([^;]*))")
_ESCAPE = re.compile(r"\\([\\;,nN:])")
_MOMENT = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:T(\d\d):?(\d\d)(?::?\d\d)?(Z?))?")
_SPAN = re.compile(r"P(?:(\d{1,4})W)?(?:(\d{1,4})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,5})M)?(?:\d+S)?)?")

_METHODS: Final = {
    "REQUEST": "Calendar invitation",
    "CANCEL": "Cancelled calendar event",
    "REPLY": "Answer to a calendar invitation",
    "COUNTER": "Another time proposed for a calendar event",
    "DECLINECOUNTER": "Proposed time declined for a calendar event",
}
_FREQUENCIES: Final = {
    "DAILY": ("daily", "days"),
    "WEEKLY": ("weekly", "weeks"),
    "MONTHLY": ("monthly", "months"),
    "YEARLY": ("yearly", "years"),
    "HOURLY": ("hourly", "hours"),
}
_DAYS: Final = {
    "MO": "Monday", "TU": "Tuesday", "WE": "Wednesday", "TH": "Thursday", "FR": "Friday", "SA": "Saturday",
    "SU": "Sunday",
}  # fmt: skip
_PLACES: Final = {"1": "first ", "2": "second ", "3": "third ", "4": "fourth ", "-1": "last "}


@dataclass(frozen=True)
class _Property:
    value: str
    parameters: Mapping[str, str]

    @property
    def text(self) -> str:
        """The value as it reads, its escapes undone (RFC 5545, 3.3.11)."""
        return _ESCAPE.sub(lambda found: "\n" if found[1] in "nN" else found[1], self.value).strip()


@dataclass
class _Component:
    kind: str
    properties: dict[str, list[_Property]] = field(default_factory=dict[str, list[_Property]])
    method: str = ""

    def first(self, name: str) -> _Property:
        return next(iter(self.properties.get(name, ())), _Property("", {}))

    def text(self, name: str) -> str:
        return self.first(name).text


@dataclass(frozen=True)
class Readable:
    """What a calendar or a file of cards says, and how many events or cards it holds."""

    text: str
    count: int
    method: str = ""


def calendar_text(source: str) -> Readable:
    """The events and tasks between BEGIN:VCALENDAR and its end."""
    events = [one for one in _components(source) if one.kind in ("VEVENT", "VTODO")]
    return Readable(_written(events, _event), len(events), events[0].method if events else "")


def card_text(source: str) -> Readable:
    """The contact cards in the text."""
    cards = [one for one in _components(source) if one.kind == "VCARD"]
    return Readable(_written(cards, _card), len(cards))


def _written(components: list[_Component], write: Callable[[_Component], Iterator[str]]) -> str:
    shown = ["\n".join(write(one)) for one in components[:MOST_COMPONENTS]]
    more = len(components) - len(shown)
    return "\n\n".join([*shown, *([f"(and {more} more like these)"] if more else [])])


def _components(source: str) -> Iterator[_Component]:
    """Every component with its own properties, those inside it apart, in the order of their ends."""
    open_ones: list[_Component] = []
    method = ""
    for line in re.split(r"\r?\n", _FOLD.sub("", source)):
        found = _LINE.fullmatch(line.strip())
        if found is None:
            continue
        name, value = found[1].upper(), found[3]
        if name == "BEGIN":
            open_ones.append(_Component(value.strip().upper()))
        elif name == "END":
            if open_ones:
                ended = open_ones.pop()
                ended.method = method
                yield ended
        elif name == "METHOD":
            method = value.strip().upper()
        elif open_ones:
            parameters = {one[1].upper(): one[2] or one[3] or "" for one in _PARAMETER.finditer(found[2] or "")}
            open_ones[-1].properties.setdefault(name, []).append(_Property(value, parameters))
    for unended in reversed(open_ones):
        unended.method = method
        yield unended


def _event(event: _Component) -> Iterator[str]:
    cancelled = event.text("STATUS").upper() == "CANCELLED"
    title = _METHODS["CANCEL"] if cancelled else _METHODS.get(event.method, "Calendar event")
    yield f"{title}: {event.text('SUMMARY') or '(no title)'}"
    yield from _labelled("When", _when(event))
    yield from _labelled("Due", _moment(event.first("DUE")))
    yield from _labelled("Repeats", _repeats(event.text("RRULE")))
    yield from _labelled("Except", ", ".join(map(_moment, event.properties.get("EXDATE", ())[:_MOST_PEOPLE])))
    yield from _labelled("Instead of the one at", _moment(event.first("RECURRENCE-ID")))
    yield from _labelled("Where", event.text("LOCATION"))
    yield from _labelled("Organizer", _person(event.first("ORGANIZER")))
    yield from _labelled("Attendees", _people(event.properties.get("ATTENDEE", ()), event.method == "REPLY"))
    yield from _labelled("Link", event.text("URL"))
    yield from _labelled("Comment", event.text("COMMENT"))
    if description := event.text("DESCRIPTION"):
        yield description


def _card(card: _Component) -> Iterator[str]:
    name = card.text("FN") or " ".join(part for part in card.text("N").split(";") if part)
    yield f"Contact card: {name or '(no name)'}"
    for label, key in (("Organization", "ORG"), ("Title", "TITLE"), ("Role", "ROLE"), ("Mail", "EMAIL"),
                       ("Phone", "TEL"), ("Address", "ADR"), ("Web", "URL"), ("Note", "NOTE")):  # fmt: skip
        values = (one.text.removeprefix("tel:") for one in card.properties.get(key, ())[:_MOST_PEOPLE])
        tidy = (", ".join(filter(None, map(str.strip, re.split(r"[;\n]", value)))) for value in values)
        yield from _labelled(label, "; ".join(filter(None, tidy)))


def _labelled(label: str, value: str) -> Iterator[str]:
    if value:
        yield f"{label}: {value}"


# Times


def _when(event: _Component) -> str:
    start = event.first("DTSTART")
    shown = _moment(start)
    if not shown:
        return ""
    end = _end(event, start)
    zone = _zone(start)
    if not end or end == shown:
        return shown + zone
    same_day = end.partition(" ")[0] == shown.partition(" ")[0]
    return f"{shown} to {end.partition(' ')[2] if same_day and ' ' in end else end}{zone}"


def _end(event: _Component, start: _Property) -> str:
    end = event.first("DTEND")
    if end.value:
        # A day at the end is the first one that is not part of it any more.
        return _moved(end, timedelta(days=-1)) if _is_day(end) else _moment(end)
    span = _SPAN.fullmatch(event.text("DURATION"))
    if not span:
        return ""
    weeks, days, hours, minutes = (int(part or 0) for part in span.groups())
    return _moved(start, timedelta(weeks=weeks, days=days - _is_day(start), hours=hours, minutes=minutes))


def _is_day(moment: _Property) -> bool:
    found = _MOMENT.fullmatch(moment.value.strip())
    return bool(found and found[4] is None)


def _moment(moment: _Property) -> str:
    return _moved(moment, timedelta())


def _moved(moment: _Property, by: timedelta) -> str:
    found = _MOMENT.fullmatch(moment.value.strip())
    if not found:
        return moment.text
    try:
        year, month, day = (int(found[place]) for place in (1, 2, 3))
        if found[4] is None:
            return (date(year, month, day) + by).isoformat()
        return (datetime(year, month, day, int(found[4]), int(found[5])) + by).isoformat(" ", "minutes")
    except (ValueError, OverflowError):
        return moment.text


def _zone(moment: _Property) -> str:
    zone = moment.parameters.get("TZID", "")
    return f" ({zone})" if zone else " (UTC)" if moment.value.strip().endswith("Z") else ""


def _repeats(rule: str) -> str:
    parts = {name: value for name, _, value in (part.partition("=") for part in rule.upper().split(";")) if value}
    if parts.get("FREQ") not in _FREQUENCIES:
        return rule
    often, unit = _FREQUENCIES[parts["FREQ"]]
    interval = parts.get("INTERVAL", "1")
    days = ", ".join(map(_weekday, filter(None, parts.get("BYDAY", "").split(","))))
    until = parts.get("UNTIL", "")
    known = {"FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "COUNT", "UNTIL", "WKST"}
    rest = ";".join(f"{name}={value}" for name, value in parts.items() if name not in known)
    return "".join(
        (
            often if interval == "1" else f"every {interval} {unit}",
            f" on {days}" if days else "",
            f" on day {parts['BYMONTHDAY']}" if "BYMONTHDAY" in parts else "",
            f", {parts['COUNT']} times" if "COUNT" in parts else "",
            f", until {_moment(_Property(until, {}))}" if until else "",
            f" ({rest})" if rest else "",
        )
    )


def _weekday(day: str) -> str:
    place, name = day[:-2].removeprefix("+"), _DAYS.get(day[-2:])
    return f"{_PLACES.get(place, f'{place}. ' if place else '')}{name}" if name else day


# People


def _people(people: Iterable[_Property], with_answers: bool) -> str:
    shown = [_person(one, with_answer=with_answers) for one in people]
    more = len(shown) - _MOST_PEOPLE
    return ", ".join([*shown[:_MOST_PEOPLE], *([f"+{more} more"] if more > 0 else [])])


def _person(person: _Property, *, with_answer: bool = False) -> str:
    address = re.sub(r"^mailto:", "", person.value.strip(), flags=re.IGNORECASE)
    name = person.parameters.get("CN", "").strip()
    shown = f"{name} <{address}>" if name and name.casefold() != address.casefold() else address
    answer = person.parameters.get("PARTSTAT", "").lower().replace("-", " ")
    return f"{shown} ({answer})" if with_answer and answer else shown
