"""How many tokens a text costs a model, and how to cut it to what may be spent."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from salesos_inbox.mail.costs import COSTS
from salesos_inbox.mail.unicode import whole_character, whole_characters

_LETTERS = (
    "\xaa\xb5\xba\xc0-\xd6\xd8-\xf6\xf8-\u0965\u0970-\u0e3e\u0e40-\u0e4f\u0e5a-\u1fff\u200c\u200d\u2c00-\u2dff"
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3040-\u30fa\u30fc-\u318f\u31a0-\uabff\uac00-\ud7ff\uf900-\ufdff"
    "\ufe70-\ufefc\uff21-\uff3a\uff41-\uff5a\uff66-\uffdc\U00010000-\U0001cfff\U0001e000-\U0001efff"
    "\U00020000-\U0003ffff"
)
"""The letters and marks beyond ASCII, in short."""
_PIECE = re.compile(
    rf"[^\r\n0-9A-Za-z{_LETTERS}]?(?:[A-Z]{{0,24}}[a-z{_LETTERS}]{{1,24}}|[A-Z]{{1,24}})"
    "|[0-9]{1,3}"
    rf"| ?[^\s0-9A-Za-z{_LETTERS}]{{1,24}}[\r\n/]{{0,24}}"
    r"|\s{0,80}[\r\n]{1,24}|\s{1,80}(?!\S)|\s"
)
"""What o200k makes into tokens each by itself: a word with the sign or blank before it, digits, signs, blanks.

Longer ones than it are bounded, so that no piece takes long.
"""
_MASK = len(COSTS) - 1


@dataclass(frozen=True)
class Piece:
    """A part of a text, where the next one begins (None at the end), and how many characters are left after it."""

    text: str
    next_offset: int | None
    left_chars: int


def estimate_tokens(text: str) -> int:
    """About how many tokens of the o200k vocabulary the text takes."""
    return math.ceil(sum(map(_cost, pieces_of(text))))


def pieces_of(text: str) -> list[str]:
    """The text in the pieces that o200k makes into tokens each by itself, nearly; joined they are the text."""
    return _PIECE.findall(text)


def cut(text: str, max_tokens: int, offset: int = 0) -> Piece:
    """The part of the text from `offset` that takes at most `max_tokens` by the estimate, and at least one character.

    It ends where a paragraph, a line or a word does if one does in its second half, and never within what a reader
    sees as one character. The parts joined are the text. An offset outside the text is taken for its nearest end.
    """
    offset = min(max(offset, 0), len(text))
    least = whole_character(text, offset)
    end = max(_end(text, max_tokens, offset), least)
    while end > least and estimate_tokens(text[offset:end]) > max_tokens:
        end = max(whole_characters(text, end - 1), least)
    left = len(text) - end
    return Piece(text[offset:end], end if left else None, left)


def _end(text: str, max_tokens: int, offset: int) -> int:
    spent, end = 0.0, offset
    for piece_end, cost in _costs(text, offset):
        if spent + cost > max_tokens:
            break
        spent, end = spent + cost, piece_end
    else:
        return len(text)
    if end == offset:
        return whole_characters(text, offset + math.floor((piece_end - offset) * max(max_tokens, 0) / cost))
    middle = (offset + end) // 2
    for stop in ("\n\n", "\n", " "):
        if (found := text.rfind(stop, middle, end)) > offset:
            end = found + len(stop)
            break
    return whole_characters(text, end)


def _costs(text: str, offset: int) -> Iterator[tuple[int, float]]:
    """Where each piece ends, and what it costs."""
    for piece in _PIECE.finditer(text, offset):
        yield piece.end(), _cost(piece[0])


@lru_cache(maxsize=1 << 16)
def _cost(piece: str) -> float:
    """The tokens of a piece: one, and what its characters add beside each other; at least one."""
    return max(1.0, 1.0 + sum(map(COSTS.__getitem__, places_of(piece))))


def places_of(piece: str) -> list[int]:
    """Where in the table the costs of a piece are: of its beginning, each two and three characters, letters' scripts.

    Those that share a place share a cost: the table is fitted so.
    """
    units = memoryview(piece.encode("utf-16-le", "surrogatepass")).cast("H").tolist()
    shifted = [0, *units]
    two = [(1597 * before + unit) & _MASK for before, unit in zip(shifted, units, strict=False)]
    three = [
        (7919 * first + 1597 * before + 31 * unit) & _MASK
        for first, before, unit in zip([0, *shifted], shifted, units, strict=False)
    ]
    if piece.isascii():
        return [0, *two, *three]
    return [0, *two, *three, *[9173 * (unit >> 6) & _MASK for unit in units if unit >= 0x250]]
