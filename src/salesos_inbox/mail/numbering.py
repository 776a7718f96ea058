"""The numbers of lists, as HTML counts and writes them."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from salesos_inbox.mail.style import Attributes

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_ROMAN = tuple(
    zip(
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
        ("m", "cm", "d", "cd", "c", "xc", "l", "xl", "x", "ix", "v", "iv", "i"),
        strict=True,
    )
)


def number_of(written: str | None, otherwise: int) -> int:
    """The number of an attribute, where it is a reasonable one."""
    return int(written) if written and re.fullmatch(r"-?\d{1,6}", written.strip(), re.ASCII) else otherwise


class Numbers:
    """The markers of a numbered list."""

    def __init__(self, node: "LexborNode", attributes: Attributes) -> None:
        self._style = _STYLES.get(attributes.get("type") or "", str)
        self._step = -1 if "reversed" in attributes else 1
        items = sum(child.tag == "li" for child in node.iter()) if self._step < 0 else 1
        self._next = number_of(attributes.get("start"), items)

    def marker(self, attributes: Attributes) -> str:
        """What stands before the next item, which may have a number of its own."""
        number = number_of(attributes.get("value"), self._next)
        self._next = number + self._step
        return f"{self._style(number)}. "


def _lettered(number: int) -> str:
    letters = ""
    rest = number
    while rest > 0:
        rest, letter = divmod(rest - 1, 26)
        letters = chr(ord("a") + letter) + letters
    return letters or str(number)


def _roman(number: int) -> str:
    if not 0 < number < 4000:
        return str(number)
    written = ""
    for value, letters in _ROMAN:
        written += letters * (number // value)
        number %= value
    return written


_STYLES: dict[str, Callable[[int], str]] = {
    "a": _lettered,
    "A": lambda number: _lettered(number).upper(),
    "i": _roman,
    "I": lambda number: _roman(number).upper(),
}
