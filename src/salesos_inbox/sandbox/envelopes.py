"""The shapes in which the services of the product are known to answer a list: one pure function each."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as InvalidBase64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final, Generic, Literal, TypeVar

from salesos_inbox.contract.models import Answer
from salesos_inbox.sandbox.refusals import invalid

Envelope = Literal["array", "items", "data", "plural", "cursor"]
"""Which shape a list has; `array` is the documented one."""

ItemT = TypeVar("ItemT", bound=Answer, covariant=True)


@dataclass(frozen=True)
class Page(Generic[ItemT]):
    """One page of a list: `number` counts from 1, `limit` is its length, `total` that of the whole list."""

    items: Sequence[ItemT]
    total: int
    number: int
    limit: int


def _rows(page: Page[Answer]) -> list[object]:
    return [item.model_dump(mode="json", by_alias=True) for item in page.items]


def _array(page: Page[Answer], plural: str) -> object:
    return _rows(page)


def _items(page: Page[Answer], plural: str) -> object:
    pages = ceil(page.total / page.limit)
    return {
        "items": _rows(page),
        "total": page.total,
        "page": page.number,
        "pageSize": page.limit,
        "totalPages": pages,
    }


def _data(page: Page[Answer], plural: str) -> object:
    return {"data": _rows(page), "meta": {"total": page.total, "page": page.number, "limit": page.limit}}


def _plural(page: Page[Answer], plural: str) -> object:
    return {plural: _rows(page), "count": page.total}


def _cursor(page: Page[Answer], plural: str) -> object:
    more = page.number * page.limit < page.total
    return {"items": _rows(page), "nextCursor": encode_cursor(page.number + 1) if more else None, "hasMore": more}


ENVELOPES: Final[Mapping[Envelope, Callable[[Page[Answer], str], object]]] = {
    "array": _array,
    "items": _items,
    "data": _data,
    "plural": _plural,
    "cursor": _cursor,
}
"""From a page and the plural name of its items to the JSON body."""


def encode_cursor(page: int) -> str:
    """Return the opaque cursor of a page."""
    return urlsafe_b64encode(f"page:{page}".encode()).decode()


def decode_cursor(cursor: str) -> int:
    """Return the page behind a cursor; refuses (400) what `encode_cursor` did not make."""
    try:
        name, _, page = urlsafe_b64decode(cursor.encode()).decode().partition(":")
        if name == "page" and page.isascii() and page.isdigit():
            return int(page)
    except (InvalidBase64, UnicodeError):
        pass
    raise invalid("cursor must be one that a list has returned")
