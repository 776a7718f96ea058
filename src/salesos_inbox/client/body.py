"""The bodies of answers: unpacked, counted and read as JSON within bounds, whatever the service sends.

An answer may be endless, a bomb that unpacks to gigabytes, or JSON that is small on the wire and huge
as objects, and several come at once. So nothing is unpacked, kept or built that was not counted before:

    with room.share() as share:  # one Room for each client
        async with http.stream(...) as response:
            content = await read_content(response, share)
        payload = read_json(content)
"""

import re
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Protocol

import anyio
import httpx
from pydantic_core import from_json

ACCEPT_ENCODING = "gzip"
"""What we ask for; `deflate` is understood as well."""
LARGEST_ANSWER = 5 * 2**20
"""Bytes of one answer, unpacked; what is longer is no answer of this API."""
SMALL_ANSWER = 128 * 2**10
"""Bytes that every answer may hold without asking for room."""
HEAVIEST_JSON = 12 * 2**20
"""Bytes that the objects made of one answer may take, by our estimate."""

_STEP = 64 * 2**10
_BOM = b"\xef\xbb\xbf"


class AnswerTooLarge(Exception):
    """The body is longer, or weighs more as objects, than any answer of this API."""


class AnswerUnreadable(Exception):
    """The body is broken, or packed in a way that we did not ask for."""


class Room:
    """The memory that all answers being read hold together beyond `SMALL_ANSWER` bytes each.

    An answer waits for room only while others hold it, and never all for each other: whoever holds most
    can always go on to `LARGEST_ANSWER`. How long a slow one keeps others waiting is bounded by its
    call's deadline alone.
    """

    def __init__(self, size: int = LARGEST_ANSWER + 2**20) -> None:
        self._size = size
        self._held: dict[Share, int] = {}
        self._freed: anyio.Event | None = None

    @contextmanager
    def share(self) -> Generator["Share"]:
        """Enter one answer; what it took is given back at the end, when it was read as JSON."""
        share = Share(self)
        try:
            yield share
        finally:
            self._held.pop(share, None)
            if self._freed:
                self._freed.set()
                self._freed = None

    async def take(self, share: "Share", size: int) -> None:
        """Let `share` hold `size` bytes from now on, once they are free."""
        while not self._allows(share, size):
            self._freed = self._freed or anyio.Event()
            await self._freed.wait()
        self._held[share] = size

    def _allows(self, share: "Share", size: int) -> bool:
        """Return whether after that there is room left for the largest answer to become as large as any may."""
        held = {**self._held, share: size}.values()
        return self._size - sum(held) >= LARGEST_ANSWER - max(held)


class Share:
    """What one answer holds of the room."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def grow(self, length: int) -> None:
        """Return when the answer may be `length` bytes long."""
        if length > SMALL_ANSWER:
            await self._room.take(self, length)


async def read_content(response: httpx.Response, share: Share | None = None) -> bytearray:
    """Return the unpacked body of a streamed response, which can be read once.

    Raises `AnswerTooLarge` as soon as more than `LARGEST_ANSWER` bytes came, packed or unpacked, and
    `AnswerUnreadable`. Whoever leaves the response then closes its connection.
    """
    if response.is_stream_consumed:
        return bytearray(response.content)  # made in this process, and here already
    declared = response.headers.get("content-length", "")
    if re.fullmatch("[0-9]{1,20}", declared) and int(declared) > LARGEST_ANSWER:
        raise AnswerTooLarge
    unpacking = _unpacking(response.headers.get("content-encoding", ""))
    content = bytearray()
    received = 0
    async for chunk in response.aiter_raw():  # httpx itself unpacks without a bound
        received += len(chunk)
        if received > LARGEST_ANSWER:
            raise AnswerTooLarge
        for piece in unpacking.unpack(chunk):
            length = len(content) + len(piece)
            if length > LARGEST_ANSWER:
                raise AnswerTooLarge
            if share:
                await share.grow(length)
            content += piece
    if not unpacking.is_whole:
        raise AnswerUnreadable
    return content


def read_json(content: bytes | bytearray) -> object:
    """Return the JSON (RFC 8259) of a body.

    Halves of characters, which cannot be written again, become U+FFFD; of two equal keys the last counts.
    Raises `ValueError` for what is no JSON in UTF-8 or is nested more than 200 deep, and `AnswerTooLarge`
    where it would take more than `HEAVIEST_JSON` bytes as objects.
    """
    if content.startswith(_BOM):
        content = content[len(_BOM) :]
    if not _BEGINNING.match(content):
        raise ValueError("no JSON begins like that")
    _weigh(content)
    if _HALF.search(content):
        content = _without_halves(content)
    return from_json(content, allow_inf_nan=False, cache_strings="none")


# Packed bodies


_GZIP = 16 + zlib.MAX_WBITS
_GZIP_BEGINS = b"\x1f"


class _Unpacking(Protocol):
    @property
    def is_whole(self) -> bool:
        """Whether the body may end here."""
        ...

    def unpack(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what `chunk` adds to the body, piece by piece; raises `AnswerUnreadable`."""
        ...


class _Plain:
    is_whole = True

    def unpack(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk


class _Packed:
    """A body in the format of `wbits` (as zlib counts them); of gzip, one member after the other.

    What follows the last member is left out, as browsers do: some servers pad, and by then the checksum
    of everything before was right.
    """

    def __init__(self, wbits: int | None) -> None:
        self._wbits = wbits
        self._inflating = None
        self._head = b""
        self._padded = False

    @property
    def is_whole(self) -> bool:
        return self._inflating.eof if self._inflating else not self._head

    def unpack(self, chunk: bytes) -> Iterator[bytes]:
        view = memoryview(chunk)
        for start in range(0, len(view), _STEP):
            yield from self._inflate(view[start : start + _STEP])

    def _inflate(self, rest: bytes | memoryview) -> Iterator[bytes]:
        piece = b""
        while (rest or len(piece) == _STEP) and not self._padded:
            if self._inflating is None:
                rest = self._head = self._head + rest
                if self._wbits is None and len(rest) < 2:
                    return
                self._inflating = zlib.decompressobj(self._wbits or _deflate_format(rest))
            elif self._inflating.eof:
                if not rest:
                    return
                self._padded = self._wbits != _GZIP or rest[:1] != _GZIP_BEGINS
                if self._padded:
                    return
                self._inflating = zlib.decompressobj(_GZIP)
            try:
                piece = self._inflating.decompress(rest, _STEP)
            except zlib.error:
                raise AnswerUnreadable from None
            yield piece
            rest = self._inflating.unconsumed_tail or self._inflating.unused_data


def _deflate_format(head: bytes | memoryview) -> int:
    """Return whether `deflate` came in zlib's envelope (RFC 1950), as it should, or bare, as some servers send it."""
    in_envelope = head[0] & 15 == 8 and (head[0] << 8 | head[1]) % 31 == 0
    return zlib.MAX_WBITS if in_envelope else -zlib.MAX_WBITS


def _unpacking(encoding: str) -> _Unpacking:
    names = [name for part in encoding.lower().split(",") if (name := part.strip()) not in ("", "identity")]
    match names:
        case []:
            return _Plain()
        case ["gzip" | "x-gzip"]:
            return _Packed(_GZIP)
        case ["deflate"]:
            return _Packed(None)
        case _:
            raise AnswerUnreadable


# JSON

_BEGINNING = re.compile(rb"[ \t\r\n]*+[\[{\"0-9tfn-]")
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_CONTINUATIONS = bytes(range(0x80, 0xC0))
_FOUR_BYTES = re.compile(rb"[\xf0-\xf4]")
_PAIR = re.compile(rb"\\u[dD][89abAB]")
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPES = re.compile(
    rb"\\(?:[^u]|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u([dD][89a-fA-F][0-9a-fA-F]{2}))"
)
_WEIGHTS = ((b"{", 1200), (b"[", 88), (b",", 40), (b":", 48))
"""Bytes of an object (with the model that is made of it), a list, a number in its place, a value under its key."""
_TEXT_WEIGHT = 64
_WIDEST = 4


def _weigh(content: bytes | bytearray) -> None:
    """Raise `AnswerTooLarge` where the objects of this JSON would weigh more than `HEAVIEST_JSON`.

    Two quick looks settle most answers: even if every byte were structure it is light enough, or the
    strings alone are too many. Else the strings are told from the rest, so that the commas and braces
    of a mail's HTML weigh nothing.
    """
    quotes = content.count(b'"')
    if quotes // 2 * _TEXT_WEIGHT + len(content) * _WIDEST + _structure(content) <= HEAVIEST_JSON:
        return
    if (quotes - content.count(b'\\"')) // 2 * _TEXT_WEIGHT > HEAVIEST_JSON:
        raise AnswerTooLarge
    is_narrow = content.isascii() and b"\\u" not in content
    outside = bytearray()
    weight = end = 0
    for text in _TEXT.finditer(content):
        outside += content[end : text.start()]
        end = text.end()
        weight += _TEXT_WEIGHT + (end - text.start() if is_narrow else _characters_weight(text[0]))
    outside += content[end:]
    if weight + _structure(outside) > HEAVIEST_JSON:
        raise AnswerTooLarge


def _structure(outside: bytes | bytearray) -> int:
    return sum(outside.count(mark) * weight for mark, weight in _WEIGHTS)


def _characters_weight(text: bytes | bytearray) -> int:
    """Return what the characters of a text weigh: the widest one decides for all of them."""
    escapes = text.count(b"\\u")
    if not escapes and text.isascii():
        return len(text)
    characters = len(text.translate(None, _CONTINUATIONS)) - 5 * escapes
    return characters * (_WIDEST if _FOUR_BYTES.search(text) or _PAIR.search(text) else 2)


def _without_halves(content: bytes | bytearray) -> bytearray:
    """Return JSON in which U+FFFD stands for every half of a character that came without the other."""
    mended = bytearray(content)
    for escape in _ESCAPES.finditer(content):
        if escape[1]:
            mended[escape.start(1) : escape.end()] = b"fffd"
    return mended
