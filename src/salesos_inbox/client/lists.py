"""Every list envelope the API is known to use, read into one shape. Pure.

The reference documents a bare array with `X-Total-Count`; siblings answer `items`, `data` with
`meta`, a plural name with `count`, or a cursor. What an envelope says of its list is read in snake
case too.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, cast

from salesos_inbox.client.failures import DOCTOR
from salesos_inbox.contract.envelopes import ITEMS
from salesos_inbox.contract.routes import Route
from salesos_inbox.errors import ContractBroken

_TOTALS: Final = ("total", "totalCount", "total_count", "totalItems", "total_items")
_MORE: Final = ("hasMore", "has_more", "hasNextPage", "has_next_page")
_CURSORS: Final = ("nextCursor", "next_cursor")
_PAGES: Final = ("totalPages", "total_pages")
_PARTS: Final = ("meta", "pagination")
_LARGEST: Final = 10**12
"""What counts more is no count: it may be written in thousands of digits."""
_LONGEST_PATH: Final = len("data.data.")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}", re.ASCII)


_ItemT = TypeVar("_ItemT")


@dataclass(frozen=True)
class Page(Generic[_ItemT]):
    """One page of a list: its items, the total where known, and how to go on.

    `next_cursor` is the service's own cursor; `has_more` is None where the service did not say.
    """

    items: list[_ItemT]
    total: int | None = None
    has_more: bool | None = None
    next_cursor: str | None = None


def read_list(payload: object, total_header: str | None, route: Route) -> Page[object]:
    """Return the page that `payload` holds, with its items as they came, in whichever envelope it came.

    Raises `ContractBroken` where no list can be found in it, with the line that says where it is.
    """
    if isinstance(payload, list):
        return Page(cast("list[object]", payload), _integer(total_header))
    if not isinstance(payload, dict):
        raise ContractBroken(
            f"SalesOS answered the request to {route.purpose} with no list, so nothing was read from it: {DOCTOR}."
        )
    envelope = cast("dict[str, object]", payload)
    about: dict[str, object] = {}
    path = ""
    while isinstance(inner := envelope.get("data"), dict):
        about |= _about(envelope)
        path += "data."
        envelope = cast("dict[str, object]", inner)
    items = next((envelope[key] for key in ITEMS if isinstance(envelope.get(key), list)), None)
    if items is None:
        raise _no_items(route, envelope, path)
    about |= _about(envelope)
    found = cast("list[object]", items)
    return Page(
        found,
        _total(about, total_header, len(found)),
        _has_more(about),
        next((cursor for cursor in _values(about, _CURSORS) if isinstance(cursor, str) and cursor), None),
    )


def _no_items(route: Route, envelope: Mapping[str, object], path: str) -> ContractBroken:
    """Return the error for a list without items: where one other name holds a list, the line that says so."""
    lists = [key for key, value in envelope.items() if isinstance(value, list) and _NAME.fullmatch(key)]
    remedy = f"{DOCTOR}, which shows what differs"
    if len(lists) == 1 and len(path) <= _LONGEST_PATH:
        line = f'`routes.{route.key}.items = "{path}{lists[0]}"`'
        remedy = (
            f"ask the user to write {line} at the top of a file, to set SALESOS_CONTRACT to its path, and to restart "
            "the server"
        )
    return ContractBroken(
        f"SalesOS answered the request to {route.purpose} with its items under a name that is not known, so nothing "
        f"was read from it: {remedy}."
    )


def _about(envelope: Mapping[str, object]) -> dict[str, object]:
    """Return what an envelope says of its list, at its top or in a part of its own."""
    about: dict[str, object] = {}
    for key in _PARTS:
        part = envelope.get(key)
        if isinstance(part, dict):
            about |= cast("dict[str, object]", part)
    return about | {key: value for key, value in envelope.items() if key not in ITEMS}


def _values(about: Mapping[str, object], names: Iterable[str]) -> list[object]:
    return [about[name] for name in names if name in about]


def _total(about: Mapping[str, object], total_header: str | None, shown: int) -> int | None:
    """Return the total; a `count` is one only where it counts more than this page, which it may mean as well."""
    count = _integer(about.get("count"))
    known = [*map(_integer, (*_values(about, _TOTALS), total_header)), count if (count or 0) > shown else None]
    return next((total for total in known if total is not None), None)


def _has_more(about: Mapping[str, object]) -> bool | None:
    said = next((more for more in _values(about, _MORE) if isinstance(more, bool)), None)
    if said is not None:
        return said
    page, pages = _integer(about.get("page")), _integer(next(iter(_values(about, _PAGES)), None))
    return None if page is None or pages is None else page < pages


def _integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        number = int(value)
    except ValueError:
        return None
    return number if 0 <= number <= _LARGEST else None
