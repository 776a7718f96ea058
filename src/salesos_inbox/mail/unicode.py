"""Text without the characters that are not seen, and with the ones that scripts and emoji need."""

import re
import unicodedata
from dataclasses import dataclass

_REPLACEMENT = "\ufffd"
_ZWNJ, _ZWJ = "\u200c", "\u200d"

_BREAK = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_BLANKS = re.compile(r"\s+")

_TAGS = {letter: chr(0xE0000 + ord(letter)) for letter in "gbensctwl"}
_FLAGS = "|".join("".join(_TAGS[letter] for letter in region) for region in ("gbeng", "gbsct", "gbwls"))

_SUSPECT = re.compile(
    f"(?P<flag>(?<=\U0001f3f4)(?:{_FLAGS})\U000e007f)"
    "|(?P<surrogate>[\ud800-\udfff])"
    "|[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u202a-\u202e"
    "\u2060-\u206f\u3164\ue000-\uf8ff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U0010ffff]"
)
"""Every character that may be unseen. LRM, RLM and ALM are not here: they only order what is written."""

_EMOJI = "\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_JOINING = (
    "\u0600-\u0605\u0610-\u061a\u0620-\u06ff\u0700-\u07ff\u0840-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af"
    "\ua840-\ua87f\ua8e0-\ua8ff\ua9e0-\ua9ff\uaa60-\uaa7f\ufb50-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc"
    "\U00011000-\U000115ff\U0001e900-\U0001e95f"
)
"""Arabic, Syriac, N'Ko, the Indic scripts, Tibetan, Myanmar, Khmer, Mongolian: where joiners change the spelling."""
_VIRAMA = "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca\u1039\u17d2"
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_MONGOLIAN = "\u1800-\u180a\u1810-\u18af"

_ALLOWED = {
    suspects: re.compile(context)
    for suspects, context in {
        _ZWJ: f"[{_EMOJI}]\ufe0f?{_ZWJ}[{_EMOJI}]",
        _ZWJ + _ZWNJ: f"[{_JOINING}].[{_JOINING}]|[{_VIRAMA}].",
        "\ufe0e\ufe0f": f"[{_EMOJI}].|[0-9#*].\u20e3",
        "\ufe00\ufe01\ufe02": f"[{_HAN}\u1000-\u109f\u2200-\u22ff].",
        "\u180b\u180c\u180d\u180e\u180f": f"[{_MONGOLIAN}].",
        "\u034f": "[\u0590-\u05ff].",
        "".join(map(chr, range(0xE0100, 0xE01F0))): f"[{_HAN}].",
    }.items()
}
"""Which suspects stay, by the kept characters before them and the character after."""
_CONTEXTS: dict[str, list[re.Pattern[str]]] = {}
for _suspects, _context in _ALLOWED.items():
    for _suspect in _suspects:
        _CONTEXTS.setdefault(_suspect, []).append(_context)


@dataclass(frozen=True)
class CleanText:
    """Text that shows what it holds, and how many unseen characters were taken out of it."""

    text: str
    removed: int


def clean(text: str) -> CleanText:
    """Take out what a reader cannot see and a program could; count it.

    Control characters (but line feed and tab), zero-width, tag and private-use characters, and bidirectional
    embeddings, overrides and isolates go. Joiners stay in emoji (UTS #51) and between letters of scripts that
    spell with them, as do variation selectors after what they vary and the three subdivision flags. Every kind of line
    break becomes a line feed; a lone surrogate becomes U+FFFD and is not counted. Cleaning twice changes nothing.
    """
    text = _BREAK.sub("\n", text)
    kept: list[str] = []
    before, start, removed = "", 0, 0
    for match in _SUSPECT.finditer(text):
        if match.start() > start:
            kept.append(text[start : match.start()])
            before = (before + text[max(start, match.start() - 2) : match.start()])[-2:]
        start = match.end()
        stays = match[0] if match["flag"] else _REPLACEMENT if match["surrogate"] else ""
        if not stays and _is_spelling(before, match[0], text[start : start + 1]):
            stays = match[0]
        if stays:
            kept.append(stays)
            before = (before + stays)[-2:]
        else:
            removed += 1
    kept.append(text[start:])
    return CleanText("".join(kept), removed)


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


def whole_characters(text: str, end: int) -> int:
    """The last place at or before `end` where the text can be cut between two visible characters (UAX #29, in short).

    Where the 64 characters before `end` offer none, `end` itself.
    """
    if not 0 < end < len(text):
        return end
    for place in range(end, max(end - 64, 0), -1):
        if not _clings(text, place):
            return place
    return end


def _clings(text: str, place: int) -> bool:
    """Whether the character at `place` belongs to the one before it."""
    before, after = text[place - 1], text[place]
    if before == _ZWJ or after in (_ZWJ, _ZWNJ) or before in _VIRAMA:
        return True
    if unicodedata.category(after).startswith("M") or "\U0001f3fb" <= after <= "\U0001f3ff":
        return True
    if "\U000e0020" <= after <= "\U000e007f":
        return True
    if _is_regional(after):
        indicators = 0
        while indicators < place and _is_regional(text[place - 1 - indicators]):
            indicators += 1
        return indicators % 2 == 1
    return False


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_spelling(before: str, suspect: str, after: str) -> bool:
    window = before + suspect + after
    at = len(before)
    return any(
        match.start() <= at < match.end()
        for context in _CONTEXTS.get(suspect, ())
        for first in (at - 1, at - 2)
        if first >= 0 and (match := context.match(window, first))
    )
