"""Text that was damaged before it came here, undone where it is certain what it was. Pure and linear."""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Final

UNDECODED: Final = "arrived as quoted-printable that nobody had decoded: decoded here"
MISREAD: Final = "its characters were damaged on the way: repaired here"
LOST: Final = "its characters were damaged before it came here: some are lost"

ANOTHER_SCRIPT: Final = "its characters were read in a wrong charset before it came here: its words are lost"

_MOST_LOST = 2
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True)
class Mended:
    """A text as it was meant, and what had happened to it, in words of ours."""

    text: str
    notes: tuple[str, ...] = ()


def mended(text: str) -> Mended:
    """Undo what is certain: quoted-printable left as it is, and UTF-8 that was read as Latin-1 or Windows-1252."""
    notes: list[str] = []
    if is_quoted_printable(text):
        text = from_quoted_printable(text)
        notes.append(UNDECODED)
    if not text.isascii():
        repaired = _reread(text)
        if repaired != text:
            notes.append(MISREAD)
        text = _LATIN_CONTROLS.sub(lambda found: found[0].translate(_WINDOWS), repaired)
        if text.count(_REPLACEMENT) > _MOST_LOST:
            notes.append(LOST)
        if _is_another_script(text):
            notes.append(ANOTHER_SCRIPT)
    return Mended(text, tuple(notes))


# Charsets

_SLOW_OR_ODD = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})
"""Codecs of Python's that are no charsets of mail; the first two take quadratic time."""


def decoded(raw: bytes, charset: str = "") -> str:
    """The text in its charset where that exists and fits, else as UTF-8, else as Windows-1252. Never raises."""
    name = charset.strip().lower().replace("-", "_")
    for codec in (name, "utf_8"):
        try:
            if codec and codec not in _SLOW_OR_ODD and "\0" not in codec:
                return raw.decode(codec)
        except (LookupError, ValueError):
            continue
    return raw.decode("cp1252", "replace")


# Quoted-printable (RFC 2045, 6.7)

_SOFT_BREAK = re.compile(r"=[ \t]*(?:\r?\n|\Z)")
_BYTES = re.compile(r"(?:=[0-9A-Fa-f]{2})+")
_OTHER_EQUALS = re.compile(r"=(?![0-9A-Fa-f]{2}|[ \t]*(?:\r?\n|\Z))")
_CERTAIN_MARK = re.compile(
    r"=3[Dd]|=0[ADad9]|=20\r?$"
    r"|=[C-Fc-f][0-9A-Fa-f]=[89ABab][0-9A-Fa-f]"
    r"|(?<![?&/.:%\w-])[A-Za-z]{1,30}=[C-F][0-9A-F](?=[a-z]|=[89A-F])"
    r"|^(?=\S{0,60} ).{50,76}=\r?$",
    re.MULTILINE,
)
_FEWEST_MARKS = 2


def is_quoted_printable(text: str) -> bool:
    """Whether the text is quoted-printable for certain: it has marks of it, and no other use of the equals sign."""
    if "=" not in text or _OTHER_EQUALS.search(text):
        return False
    return sum(1 for _ in islice(_CERTAIN_MARK.finditer(text), _FEWEST_MARKS)) == _FEWEST_MARKS


def from_quoted_printable(text: str, charset: str = "") -> str:
    """The text that quoted-printable stands for; without a charset the first one that fits all of its bytes."""
    joined = _SOFT_BREAK.sub("", text)
    if not charset:
        fits = all(_is_utf8(_raw(run[0])) for run in _BYTES.finditer(joined))
        charset = "utf-8" if fits else "cp1252"
    return _BYTES.sub(lambda run: decoded(_raw(run[0]), charset), joined)


def _raw(run: str) -> bytes:
    return bytes.fromhex(run.replace("=", ""))


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def from_base64(text: str) -> bytes:
    """The bytes that base64 stands for, as many as can be read."""
    letters = re.sub(r"[^A-Za-z0-9+/]+", "", text)
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return base64.b64decode(letters + "=" * (-len(letters) % 4))


# UTF-8 that was read as Latin-1 or Windows-1252


def _windows_character(byte: int) -> str:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


_WINDOWS: Final = {byte: _windows_character(byte) for byte in range(0x80, 0xA0)}
_LATIN_CONTROLS = re.compile("[\x80-\x84\x86-\x9f]+")
"""Controls that nobody types: browsers read Latin-1 as Windows-1252, which has quotes and dashes there."""
_AS_BYTES: Final = {ord(character): byte for byte, character in _WINDOWS.items()}
_TAIL = "".join(map(chr, range(0x80, 0xC0))) + "".join(map(chr, _AS_BYTES))
_MAY_BE_MISREAD = re.compile(f"[\xc2-\xf4][{_TAIL}]")
_MISREAD = re.compile(f"[\xc2-\xdf][{_TAIL}]|[\xe0-\xef][{_TAIL}]{{2}}|[\xf0-\xf4][{_TAIL}]{{3}}")
_LIKELY = re.compile(
    "[\xa0-\u017f\u0218-\u021b\u0370-\u03ff\u0400-\u045f\u05d0-\u05ea\u0620-\u064a\u0e01-\u0e5b\u200b-\u206f\u20ac\u2122"
    "\u2190-\u21ff\u2500-\u27bf\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\ufe0f\ufeff\uff00-\uff65\U0001f000-\U0001faff]"
)
_CERTAIN = re.compile(
    "\xc3[\x80-\xbf€‚ƒ„†‡ˆ‰Š‹ŒŽ•˜™š›œžŸ]|\xc2[\xa0-\xbf]|\xe2[\u20ac\x80][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|\xe2\u201a\xac|"
    "\xe2\u201e\xa2|\xf0[\u0178\x9f]..|\xef\xbb\xbf|.*[\x80-\x9f]"
)
"""What nobody writes: an A with a tilde before a fraction, and the like."""
_NO_EVIDENCE = re.compile("[\x00-\x7f\xa0\ufffd]+")
_ROUNDS = 3
_FEWEST_UNCERTAIN = 4
_FEWEST_IN_A_MIX = 2
_LEAST_SHARE_IN_A_MIX = 0.2


def _reread(text: str) -> str:
    """The text with its misread UTF-8 read rightly; unchanged where another reading is as good."""
    for _ in range(_ROUNDS):
        reread = _reread_once(text)
        if reread == text:
            break
        text = reread
    return text


def _reread_once(text: str) -> str:
    if not _MAY_BE_MISREAD.search(text):
        return text
    found = [run[0] for run in _MISREAD.finditer(text) if _rightly(run[0])]
    certain = sum(1 for run in found if _CERTAIN.match(run))
    others = len(_NO_EVIDENCE.sub("", _MISREAD.sub(lambda run: "" if _rightly(run[0]) else run[0], text)))
    if not others and (certain or len(found) >= _FEWEST_UNCERTAIN):
        return _MISREAD.sub(lambda run: _rightly(run[0]) or run[0], text)
    if certain >= max(_FEWEST_IN_A_MIX, others * _LEAST_SHARE_IN_A_MIX):
        return _MISREAD.sub(lambda run: (_CERTAIN.match(run[0]) and _rightly(run[0])) or run[0], text)
    return text


@lru_cache(maxsize=4096)
def _rightly(run: str) -> str:
    """The one character that a misread run stands for, "" where that is none that mail is likely to hold."""
    raw = run.translate(_AS_BYTES).encode("latin-1")
    try:
        character = raw.decode()
    except UnicodeDecodeError:
        return ""
    return character if _LIKELY.fullmatch(character) else ""


_ODD_SIGNS = re.compile("[\xa1-\xa6\xa8-\xaa\xac-\xaf\xb1-\xb6\xb8-\xba\xbc-\xbf‚ƒ„†‡ˆ‰Š‹Œ›]")
_FEWEST_ODD_SIGNS = 20
_SHARE_OF_ODD_SIGNS = 0.08


def _is_another_script(text: str) -> bool:
    """Whether the text has as many signs as Chinese, Japanese or Thai has when it is read as Latin-1."""
    odd = sum(1 for _ in _ODD_SIGNS.finditer(text))
    return odd >= _FEWEST_ODD_SIGNS and odd > _SHARE_OF_ODD_SIGNS * len(text)


# Encoded words (RFC 2047)

_ENCODED_WORD = re.compile(r"=\?([^?*\s]{1,40})(?:\*[^?\s]{0,40})?\?([BbQq])\?([^?]{0,10000})\?=")


def decode_words(text: str) -> str:
    """The text of a header with its encoded words decoded; one that cannot be read stays as it is."""
    if "=?" not in text:
        return text
    pieces: list[tuple[str, bytes]] = []
    end = 0
    for word in _ENCODED_WORD.finditer(text):
        between = text[end : word.start()]
        if not (pieces and between.isspace()):
            pieces.append(("", between.encode("utf-8", "surrogatepass")))
        pieces.append(_word(word))
        end = word.end()
    pieces.append(("", text[end:].encode("utf-8", "surrogatepass")))
    return "".join(_joined(pieces))


def _word(word: re.Match[str]) -> tuple[str, bytes]:
    charset, encoding, payload = word.groups()
    try:
        raw = from_base64(payload) if encoding in "Bb" else binascii.a2b_qp(payload.replace("_", " ").encode("latin-1"))
    except ValueError:
        raw = b""
    return (charset.lower(), raw) if raw else ("", word[0].encode("utf-8", "surrogatepass"))


def _joined(pieces: Iterable[tuple[str, bytes]]) -> Iterable[str]:
    """Text of the pieces: a character may begin in one word and end in the next of the same charset."""
    held, held_charset = b"", ""
    for charset, raw in pieces:
        if raw and charset != held_charset:
            yield _text(held, held_charset)
            held, held_charset = b"", charset
        held += raw
    yield _text(held, held_charset)


def _text(raw: bytes, charset: str) -> str:
    return decoded(raw, charset) if charset else raw.decode("utf-8", "surrogatepass")
