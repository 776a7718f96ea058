"""Every list envelope the API is known to use, read into one shape. Pure.

The reference documents a bare array with `X-Total-Count`; siblings answer `items`, `data` with
`meta`, a plural name with `count`, or a cursor.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from salesos_inbox.errors import ContractBroken

_ITEMS = ("items", "data", "results", "threads", "folders", "scheduled", "scheduledEmails", "emails")
_TOTALS = ("total", "totalCount")


@dataclass(frozen=True)
class RawPage:
    """One page of a list: the items as they came, the total where known, and how to go on.

    `next_cursor` is the service's own cursor; `has_more` is None where the service did not say.
    """

    items: list[object]
    total: int | None = None
    has_more: bool | None = None
    next_cursor: str | None = None


def read_list(payload: object, total_header: str | None) -> RawPage:
    """Return the page that `payload` holds, in whichever envelope it came.

    Raises `ContractBroken` where no list can be found in it.
    """
    if isinstance(payload, list):
        return RawPage(cast("list[object]", payload), _integer(total_header))
    if not isinstance(payload, dict):
        raise ContractBroken("The service answered a list in a form that is not known; nothing was read from it.")
    envelope = cast("dict[str, object]", payload)
    about: dict[str, object] = {}
    while isinstance(inner := envelope.get("data"), dict):
        about |= _about(envelope)
        envelope = cast("dict[str, object]", inner)
    items = next((envelope[key] for key in _ITEMS if isinstance(envelope.get(key), list)), None)
    if items is None:
        raise ContractBroken("The service answered a list without its items; nothing was read from it.")
    about |= _about(envelope)
    found = cast("list[object]", items)
    return RawPage(
        found,
        _total(about, total_header, len(found)),
        _has_more(about),
        _text(about.get("nextCursor")),
    )


def _about(envelope: Mapping[str, object]) -> dict[str, object]:
    """Return what an envelope says of its list, at its top or in a part of its own."""
    about: dict[str, object] = {}
    for key in ("meta", "pagination"):
        part = envelope.get(key)
        if isinstance(part, dict):
            about |= cast("dict[str, object]", part)
    return about | {key: value for key, value in envelope.items() if key not in _ITEMS}


def _total(about: Mapping[str, object], total_header: str | None, shown: int) -> int | None:
    """Return the total; a `count` is one only where it counts more than this page, which it may mean as well."""
    known = [_integer(about.get(key)) for key in _TOTALS] + [_integer(total_header)]
    count = _integer(about.get("count"))
    if count is not None and count > shown:
        known.append(count)
    return next((total for total in known if total is not None), None)


def _has_more(about: Mapping[str, object]) -> bool | None:
    if isinstance(about.get("hasMore"), bool):
        return bool(about["hasMore"])
    page, pages = _integer(about.get("page")), _integer(about.get("totalPages"))
    return None if page is None or pages is None else page < pages


def _integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        number = int(value)
    except ValueError:
        return None
    return number if number >= 0 else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
