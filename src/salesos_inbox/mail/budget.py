"""How many tokens a text costs a model, and how to cut it to what may be spent."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from salesos_inbox.mail.unicode import whole_characters

_PIECE = re.compile(
    "(?P<latin>[A-Za-z]*[\u00aa-\u024f\u0300-\u036f\u1e00-\u1eff][A-Za-z\u00aa-\u024f\u0300-\u036f\u1e00-\u1eff]*)"
    r"|(?P<word>[A-Z]?[a-z]+|[A-Z]+)"
    r"|(?P<digits>[0-9]{1,3})"
    r"|(?P<marks>[!-/:-@\[-`{-~]+)"
    r"|(?P<lines>\s*[\r\n])"
    r"|(?P<blanks>[^\S\r\n]+)"
    "|(?P<greek>[\u0370-\u03ff\u1f00-\u1fff]+)"
    "|(?P<cyrillic>[\u0400-\u052f]+)"
    "|(?P<hebrew>[\u0590-\u05ff]+)"
    "|(?P<arabic>[\u0600-\u06ff\u0750-\u077f\u200c\ufb50-\ufdff\ufe70-\ufeff]+)"
    "|(?P<indic>[\u0900-\u0dff]+)"
    "|(?P<thai>[\u0e00-\u0eff]+)"
    "|(?P<kana>[\u3040-\u30ff]+)"
    "|(?P<han>[\u3400-\u9fff]+)"
    "|(?P<hangul>[\u1100-\u11ff\uac00-\ud7af]+)"
    "|(?P<signs>[\u2000-\u206f\u3000-\u303f\uff00-\uffef]+)"
    "|(?P<rest>.)",
    re.DOTALL,
)
_COSTS: dict[str, tuple[float, float]] = {
    "latin": (0.21, 0.28),
    "word": (0.58, 0.07),
    "digits": (1.30, 0.00),
    "marks": (0.94, 0.00),
    "lines": (0.68, 0.19),
    "blanks": (0.00, 0.10),
    "greek": (0.92, 0.24),
    "cyrillic": (1.87, 0.00),
    "hebrew": (0.80, 0.26),
    "arabic": (0.10, 0.32),
    "indic": (0.10, 0.33),
    "thai": (0.10, 0.41),
    "kana": (0.10, 0.54),
    "han": (0.10, 0.82),
    "hangul": (0.92, 0.35),
    "signs": (0.10, 0.25),
    "rest": (0.10, 1.81),
}
"""Tokens of a piece: so many for it, and so many for each of its characters.

Fitted to o200k on 587 real texts (mostly English lists, whole and without quotes) and 28 written in as many languages
and kinds, and measured on the same: half of the real ones are within 3 % of its count, 95 % within 11 %, the worst
is 26 % off; the written ones are within 24 % (Portuguese the most over, Polish the most under).
"""


@dataclass(frozen=True)
class Piece:
    """A part of a text, where the next one begins (None at the end), and how many characters are left after it."""

    text: str
    next_offset: int | None
    left_chars: int


def estimate_tokens(text: str) -> int:
    """About how many tokens of the o200k vocabulary the text takes."""
    return math.ceil(sum(cost for _, cost in _costs(text, 0)))


def cut(text: str, max_tokens: int, offset: int = 0) -> Piece:
    """The part of the text from `offset` that takes at most `max_tokens` by the estimate, and at least one character.

    It ends where a paragraph, a line or a word does if one does in its second half. The parts joined are the text.
    An offset outside the text is taken for its nearest end.
    """
    offset = min(max(offset, 0), len(text))
    end = _end(text, max_tokens, offset)
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
        length = piece_end - offset
        end = offset + min(max(1, math.floor(length * max_tokens / cost)), length)
        return _forward(text, offset, whole_characters(text, end))
    middle = (offset + end) // 2
    for stop in ("\n\n", "\n", " "):
        if (found := text.rfind(stop, middle, end)) > offset:
            return found + len(stop)
    return _forward(text, offset, whole_characters(text, end))


def _forward(text: str, offset: int, end: int) -> int:
    return end if end > offset else min(offset + 1, len(text))


def _costs(text: str, offset: int) -> Iterator[tuple[int, float]]:
    """Where each piece ends, and what it costs."""
    for piece in _PIECE.finditer(text, offset):
        fixed, each = _COSTS[piece.lastgroup or "rest"]
        yield piece.end(), fixed + each * (piece.end() - piece.start())
