"""Text without the characters that are not seen, and with the ones that scripts and emoji need."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

_REPLACEMENT = "\ufffd"
_ZWNJ, _ZWJ = "\u200c", "\u200d"
_MOST_MARKS = 10
"""On one letter. The tallest real stack known, a Tibetan one, has eight; more than ten reach into the lines above."""
_WIDEST_BLANK = 80
"""Blanks in a row: as many as indent a preformatted line, too few to push what follows out of sight."""

_UNSEEN = (
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u202a-\u202e"
    "\u2060-\u206f\u2800\u3164\ue000-\uf8ff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U00013430-\U0001343f\U00016fe4\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a"
    "\U0001fffe\U0001ffff\U0002fffe\U0002ffff\U0003fffe-\U0010ffff"
)
"""What may be unseen: controls, what Unicode calls default-ignorable, private use, noncharacters, planes without
characters, and blanks that count as letters or signs. The direction marks (LRM, RLM, ALM) have rules of their own;
unassigned characters of planes 0 to 3 stay, for a newer Unicode may have given them a shape."""

_EMOJI = "\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u27ff\u2900-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_HAN = "\u2e80-\u2fdf\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fffd\U00030000-\U0003fffd"
_MONGOLIAN = "\u1800-\u180a\u1810-\u18af"
_ARABIC_LETTERS = "\u0620-\u064a\u066e-\u06d3\u06fa-\u06ff\u0750-\u077f\u08a0-\u08c9"
_JOINING = (
    "\u0610-\u061a\u0620-\u06ff\u0700-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u17b3\u17b6-\u17ff\u1900-\u194f"
    "\u1a20-\u1aaf\u1b00-\u1c4f\ua800-\ua82f\ua840-\ua8ff\ua930-\ua95f\ua980-\ua9ff\uaa00-\uaadf\uabc0-\uabff"
    "\ufb50-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc\U00010ac0-\U00010aff\U00010d00-\U00010d3f\U00010f30-\U00010faf"
    f"\U00011000-\U00011fff\U0001e900-\U0001e95f{_MONGOLIAN}"
)
"""The scripts of the family of Arabic and of the family of Brahmi: where joiners change the spelling."""
_UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u109f\u1780-\u17b3\u17b6-\u17ff\u1950-\u19df"
    "\u1a20-\u1aaf\u1b00-\u1b7f\ua980-\ua9ff\uaa60-\uaa7f"
)
"""Thai, Lao, Khmer, Myanmar and their like: a zero-width space parts their words."""

_Context = tuple[str, str, str]
_CONTEXTS: tuple[_Context, ...] = (
    (f"[{_EMOJI}]", "[\ufe0e\ufe0f]", ""),
    (f"[{_EMOJI}]", _ZWJ, f"[{_EMOJI}]"),
    (f"[{_EMOJI}]\ufe0f", _ZWJ, f"[{_EMOJI}]"),
    ("[0-9#*]", "\ufe0f", "\u20e3"),
    (f"[{_JOINING}]", f"[{_ZWNJ}{_ZWJ}]", ""),
    ("", _ZWJ, f"[{_ARABIC_LETTERS}]"),
    ("[\u0591-\u05bd\u05bf-\u05c7]", f"[{_ZWNJ}{_ZWJ}\u034f]", ""),
    (f"[{_UNSPACED}]", "\u200b", rf"[{_UNSPACED}](?<=\w)"),
    (f"[{_HAN}]", "[\ufe00-\ufe02\U000e0100-\U000e01ef]", ""),
    ("[\u1000-\u109f\u2200-\u22ff\u2a00-\u2aff\ua840-\ua877]", "\ufe00", ""),
    ("[0\u2018-\u201d\u3001\u3002\uff01-\uff1f]", "[\ufe00\ufe01]", ""),
    (f"[{_MONGOLIAN}]", "[\u180b-\u180f]", ""),
    (f"[{_MONGOLIAN}][\u180b-\u180d\u180f]", "\u180e", ""),
    ("[\u1100-\u115e\ua960-\ua97c]", "\u1160", ""),
    ("[\u2801-\u28ff]", "\u2800", ""),
    ("", "\u2800", "[\u2801-\u28ff]"),
    ("", "\u115f", "[\u1161-\u11a7\ud7b0-\ud7c6]"),
    ("[\U00013000-\U0001342f]", "[\U00013430-\U0001343f]", ""),
    ("[\U0001bc00-\U0001bc9f]", "[\U0001bca0-\U0001bca3]", ""),
)
"""Where an unseen character is a part of what is seen: what stands before it, it, and what stands after it.

What stands beside it is seen itself, or stays beside what is: so what stays once stays always.
"""


def _flags() -> list[_Context]:
    """The tag characters in the flags of England, Scotland and Wales, each by its place; no other flag has any."""
    spelled = ["".join(chr(0xE0000 + ord(letter)) for letter in region) for region in ("gbeng", "gbsct", "gbwls")]
    tags = [f"{flag}\U000e007f" for flag in spelled]
    return [(f"\U0001f3f4{tag[:at]}", tag[at], tag[at + 1 :]) for tag in tags for at in range(len(tag))]


_NEEDED = "|".join(
    (f"(?<={before})" if before else "") + unseen + (f"(?={after})" if after else "")
    for before, unseen, after in (*_CONTEXTS, *_flags())
)
_THIN = "\xad\u034f\u180e\u200b-\u200d\u2060\ufeff"
"""What newsletters pad their first line with, between blanks, so that a list of mails shows no more of them."""
_PADDED = f"(?:[{_THIN}](?<!{_NEEDED}))"

_SPECIAL = re.compile(f"[{_UNSEEN}\r\v\f\x85\u061c\u200e\u200f\u2028\u2029\ud800-\udfff]")
_BREAK = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_DIRECTION = re.compile("[\u061c\u200e\u200f]+")
_NEEDLESS_DIRECTION = re.compile(
    "(?<=[A-Za-z0-9])[\u061c\u200e\u200f]+(?=[A-Za-z0-9])|(?<=[\u061c\u200e\u200f])[\u061c\u200e\u200f]+"
)
_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u061b\u061d-\u08ff\ufb1d-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
# A set of characters at the front, and no repetition of it, lets the search skip to where one of them stands.
_MAYBE_MARKS = re.compile(rf"[^\w\s\x00-\x7f][^\w\s\x00-\x7f]{{{_MOST_MARKS},}}")
_WIDE = re.compile(rf"[^\S\n][^\S\n]{{{_WIDEST_BLANK},}}")
_BLANKS = re.compile(r"\s+")

_ASCII_CONTROLS = bytes([*range(9), *range(14, 32), 127])
_ASCII_BREAKS = bytes.maketrans(b"\r\v\f", b"\n\n\n")


@cache
def _hidden() -> re.Pattern[str]:
    """What goes; made when the first text needs it, for it takes longer than the rest of the start."""
    return re.compile(f"[{_UNSEEN}](?<!{_NEEDED})")


@cache
def _layout() -> re.Pattern[str]:
    """What of it is not counted."""
    return re.compile(rf"\xad+|(?<!\S){_PADDED}{{1,4}}(?![{_THIN}])|(?<![{_THIN}]){_PADDED}{{1,4}}(?!\S)")


@dataclass(frozen=True)
class CleanText:
    """Text that shows what it holds, and how many unseen characters were taken out of it."""

    text: str
    removed: int


def clean(text: str) -> CleanText:
    """Take out what a reader cannot see and a program could; count it.

    Control characters (but line feed and tab), zero-width, tag and private-use characters, fillers, and
    bidirectional embeddings, overrides and isolates go. They stay where what is seen needs them: joiners in emoji (UTS
    #51) and after letters of scripts that spell with them, one variation selector after what it varies, word
    separators of scripts without blanks, the three subdivision flags, and direction marks in a text that has
    right-to-left letters (never between Latin ones, and never two in a row).

    What only lays out a text goes uncounted: soft hyphens, and zero-width characters beside blanks (the padding of
    newsletters). Of marks piled on one letter ten stay; the rest is counted.
    Every kind of line break becomes a line feed, and a lone surrogate U+FFFD; nothing else is changed or moved.
    Cleaning twice changes nothing.
    """
    if text.isascii():
        return _clean_ascii(text)
    removed = 0
    if _SPECIAL.search(text):
        text = _SURROGATE.sub(_REPLACEMENT, _BREAK.sub("\n", text))
        seen = _with_few_directions(_hidden().sub("", text))
        text, removed = seen, len(_layout().sub("", text)) - len(seen)
    calm = _MAYBE_MARKS.sub(_with_few_marks, text)
    return CleanText(calm, removed + len(text) - len(calm))


def _clean_ascii(text: str) -> CleanText:
    broken = text.encode("ascii").replace(b"\r\n", b"\n")
    seen = broken.translate(_ASCII_BREAKS, _ASCII_CONTROLS)
    return CleanText(seen.decode("ascii"), len(broken) - len(seen))


def narrow(text: str) -> str:
    """The text with at most 80 blanks in a row, so that nothing is pushed out of sight; line feeds stay."""
    return _WIDE.sub(" " * _WIDEST_BLANK, text)


def _with_few_directions(text: str) -> str:
    if not _DIRECTION.search(text):
        return text
    return (_NEEDLESS_DIRECTION if _RIGHT_TO_LEFT.search(text) else _DIRECTION).sub("", text)


def _with_few_marks(run: re.Match[str]) -> str:
    """A run of what is no letter, with at most so many marks on each of what they stand on; joiners go with them."""
    kept: list[str] = []
    marks = 0
    for character in run[0]:
        category = unicodedata.category(character)
        if category in ("Mn", "Me", "Mc"):
            marks += 1
        elif category != "Cf":
            marks = 0
        if marks <= _MOST_MARKS:
            kept.append(character)
    return "".join(kept)


def quoted(text: str, limit: int = 60) -> str:
    """Return what somebody wrote as our sentences repeat it: in quotes, on one line, in at most `limit` characters."""
    return f"'{printable(text, limit)}'"


def printable(text: str, limit: int) -> str:
    """Return `text` on one line, with U+FFFD for each character that no font has, in at most `limit` characters."""
    return "".join(character if character.isprintable() else "\ufffd" for character in one_line(text, limit))


def one_line(text: str, limit: int) -> str:
    """The text cleaned, on one line, in at most `limit` characters; a cut ends in "…" and splits no emoji or accent."""
    line = _BLANKS.sub(" ", clean(text).text).strip()
    if len(line) <= limit:
        return line
    return line[: whole_characters(line, max(limit - 1, 0))].rstrip() + "…" if limit > 0 else ""


_CLINGING = re.compile("[\u0e33\u0eb3\u200c\u200d\uff9e\uff9f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
"""Marks in all but their category."""
_VIRAMA = re.compile(
    "[\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca\u1039\u17d2\u1a60\u1b44\ua9c0\U00011133\U000113d0]"
)
_PREFIXED = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd]")
"""Signs of Arabic, Syriac and Kaithi that enclose what follows them."""
_LEADING, _VOWEL, _TRAILING = "\u1100-\u115f\ua960-\ua97c", "\u1160-\u11a7\ud7b0-\ud7c6", "\u11a8-\u11ff\ud7cb-\ud7fb"
_SYLLABLE = re.compile(
    f"[{_LEADING}][{_LEADING}{_VOWEL}\uac00-\ud7a3]|[{_VOWEL}\uac00-\ud7a3][{_VOWEL}{_TRAILING}]|[{_TRAILING}]{{2}}"
)
_FARTHEST = 64


def whole_characters(text: str, end: int) -> int:
    """The last place at or before `end` where the text can be cut between two visible characters (UAX #29, in short).

    Where the 64 characters before `end` offer none, `end` itself.
    """
    places = range(end, max(end - _FARTHEST, 0) - 1, -1)
    return next((place for place in places if not _clings(text, place)), end)


def whole_character(text: str, start: int) -> int:
    """The end of the visible character that begins at `start`, or of its first 64 characters."""
    last = min(start + _FARTHEST, len(text))
    return next((place for place in range(start + 1, last) if not _clings(text, place)), last)


def _clings(text: str, place: int) -> bool:
    """Whether the character at `place` belongs to the one before it."""
    if not 0 < place < len(text):
        return False
    before, after = text[place - 1], text[place]
    if before < "\x80" and after < "\x80":
        return before == "\r" and after == "\n"
    if unicodedata.category(after).startswith("M") or _CLINGING.match(after):
        return before not in "\r\n"
    if before == _ZWJ or _PREFIXED.match(before) or _SYLLABLE.match(text, place - 1):
        return True
    if _is_conjunct(text, place):
        return True
    if _is_regional(after):
        indicators = 0
        while indicators < min(place, _FARTHEST) and _is_regional(text[place - 1 - indicators]):
            indicators += 1
        return indicators % 2 == 1
    return False


def _is_conjunct(text: str, place: int) -> bool:
    """Whether a virama is among the marks before `place`, and so joins the letters around it."""
    for at in range(place - 1, max(place - _MOST_MARKS, 0) - 1, -1):
        if _VIRAMA.match(text, at):
            return True
        if not unicodedata.category(text[at]).startswith("M"):
            return False
    return False


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
