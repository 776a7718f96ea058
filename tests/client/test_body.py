"""Bodies are unpacked, counted and read within bounds, whatever the service sends."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

import anyio
import httpx
import pytest
from anyio import wait_all_tasks_blocked
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from salesos_inbox.client.body import (
    HEAVIEST_JSON,
    LARGEST_ANSWER,
    SMALL_ANSWER,
    AnswerTooLarge,
    AnswerUnreadable,
    Room,
    read_content,
    read_json,
)

pytestmark = pytest.mark.anyio

MIB = 2**20
TEXT = json.dumps([{"subject": f"Offer {number}", "bodyText": "Grüße 😀 " * 20} for number in range(300)]).encode()


def bare(content: bytes) -> bytes:
    """Compress without an envelope, as some servers send `deflate`."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def bomb(size: int) -> bytes:
    """Compress `size` zeros as gzip, without holding them."""
    packer = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(size // MIB)) + packer.flush()


class Chunks(httpx.AsyncByteStream):
    """A body that comes in these chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.chunks = chunks
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            self.taken += 1
            await checkpoint()
            yield chunk


def answer(chunks: Iterable[bytes], encoding: str = "") -> httpx.Response:
    """Return a response whose body is still to come."""
    return httpx.Response(200, headers={"Content-Encoding": encoding}, stream=Chunks(chunks))


def cut(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


# Unpacking

PACKINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "plain": ("", bytes),
    "identity": ("identity", bytes),
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZIP", gzip.compress),
    "identity and gzip": ("identity, gzip", gzip.compress),
    "members of gzip": ("gzip", lambda content: b"".join(map(gzip.compress, cut(content, 1000)))),
    "padded gzip": ("gzip", lambda content: gzip.compress(content) + bytes(3000)),
    "gzip before garbage": ("gzip", lambda content: gzip.compress(content) + b"garbage \x1f\x8b and more"),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", bare),
}


@pytest.mark.parametrize("size", [1, 7, 1000, 10 * MIB])
@pytest.mark.parametrize("packing", PACKINGS)
async def test_a_body_is_read_however_it_is_packed_and_cut(packing: str, size: int) -> None:
    encoding, pack = PACKINGS[packing]
    assert await read_content(answer(cut(pack(TEXT), size), encoding)) == TEXT


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("length", [65535, 65536, 65537, 131072, 131330, 1_000_000])
async def test_nothing_is_lost_where_a_step_of_unpacking_ends(packing: str, length: int) -> None:
    encoding, pack = PACKINGS[packing]
    assert await read_content(answer([pack(bytes(length))], encoding)) == bytes(length)


async def test_a_member_that_ends_with_a_step_of_unpacking_is_not_the_last() -> None:
    members = [bytes(65536), b"and more"]
    assert await read_content(answer(map(gzip.compress, members), "gzip")) == b"".join(members)


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
async def test_an_empty_body_is_empty_however_it_says_it_is_packed(encoding: str) -> None:
    assert await read_content(answer([], encoding)) == b""


BROKEN: dict[str, tuple[str, bytes]] = {
    "cut gzip": ("gzip", gzip.compress(TEXT)[:-1]),
    "gzip cut in its head": ("gzip", gzip.compress(TEXT)[:5]),
    "gzip with a wrong checksum": ("gzip", gzip.compress(TEXT)[:-8] + bytes(8)),
    "a cut second member": ("gzip", gzip.compress(TEXT) + gzip.compress(TEXT)[:-1]),
    "no gzip at all": ("gzip", TEXT),
    "cut deflate": ("deflate", zlib.compress(TEXT)[:-1]),
    "cut bare deflate": ("deflate", bare(TEXT)[:-1]),
    "one byte of deflate": ("deflate", b"\x78"),
    "no deflate at all": ("deflate", b"\xff" * 100),
    "br": ("br", b"\x0b\x02\x80[]\x03"),
    "zstd": ("zstd", b""),
    "gzip in gzip": ("gzip, gzip", gzip.compress(gzip.compress(TEXT))),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("size", [1, 10 * MIB])
async def test_a_broken_body_or_a_packing_not_asked_for_is_unreadable(kind: str, size: int) -> None:
    encoding, content = BROKEN[kind]
    with pytest.raises(AnswerUnreadable):
        await read_content(answer(cut(content, size), encoding))


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate"]), st.integers(1, 50))
async def test_any_bytes_are_a_body_or_unreadable(content: bytes, encoding: str, size: int) -> None:
    try:
        await read_content(answer(cut(content, size), encoding))
    except AnswerUnreadable:
        return


# Too large


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
async def test_the_largest_answer_is_read_and_one_byte_more_is_not(encoding: str) -> None:
    pack = {"": bytes, "gzip": gzip.compress, "deflate": zlib.compress}[encoding]
    largest = await read_content(answer(cut(pack(bytes(LARGEST_ANSWER)), 65536), encoding))
    assert len(largest) == LARGEST_ANSWER
    with pytest.raises(AnswerTooLarge):
        await read_content(answer(cut(pack(bytes(LARGEST_ANSWER + 1)), 65536), encoding))


async def test_a_bomb_is_broken_off_before_it_unpacks() -> None:
    packed = bomb(128 * MIB)
    tracemalloc.start()
    try:
        with pytest.raises(AnswerTooLarge):
            await read_content(answer([packed], "gzip"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < LARGEST_ANSWER * 1.5


@pytest.mark.parametrize("encoding", ["", "gzip"])
async def test_an_endless_body_is_broken_off(encoding: str) -> None:
    nothing = gzip.compress(b"")  # members without end, of which nothing comes
    chunks = Chunks(iter(lambda: nothing * 1000 if encoding else bytes(65536), None))
    with pytest.raises(AnswerTooLarge):
        await read_content(httpx.Response(200, headers={"Content-Encoding": encoding}, stream=chunks))
    assert chunks.taken <= LARGEST_ANSWER // 20000 + 1


async def test_a_body_that_says_it_is_too_large_is_not_even_begun() -> None:
    chunks = Chunks([b"[]"])
    with pytest.raises(AnswerTooLarge):
        await read_content(httpx.Response(200, headers={"Content-Length": str(10**12)}, stream=chunks))
    assert chunks.taken == 0


# JSON

HALF = "\ufffd"


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"{}", {}),
        (b' \r\n\t{"a": [1, -2.5e3, true, null]} ', {"a": [1, -2500.0, True, None]}),
        (b"\xef\xbb\xbf[1]", [1]),
        (b'"\xc3\xa9"', "é"),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"\\ud83d"', HALF),
        (b'"\\ude00 \\uD83D\\ud83d\\ude00\\ud83d."', f"{HALF} {HALF}😀{HALF}."),
        (b'"\\\\ud83d \\\\\\ud83d"', f"\\ud83d \\{HALF}"),
        (b'{"\\udead":1}', {HALF: 1}),
        (b"9" * 400, int("9" * 400)),
    ],
)
def test_json_is_read_and_halves_of_characters_replaced(content: bytes, value: object) -> None:
    assert read_json(content) == value
    assert read_json(bytearray(content)) == value


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"<html>{}</html>",
        b"{} {}",
        b"[1,]",
        b'{"a"',
        b'"\n"',
        b'"\\x41"',
        b"'a'",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"01",
        b"9" * 5000,
        b'"\xff"',
        b'"\xed\xa0\x80"',
        '{"a": 1}'.encode("utf-16"),
        b"[" * 300 + b"]" * 300,
        b"[" * 100_000,
        b'{"a":' * 5000,
        b'"\\ud8',
        b'"\\',
    ],
)
def test_what_is_no_json_is_a_value_error_and_nothing_else(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(content)


LEAVES = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    LEAVES | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)
PIECES = ("{", "}", "[", "]", ",", ":", '"', "\\", "\\u", "d8", "ud83d", "\\ude00", "a", "1", "é")


@given(VALUES, st.booleans())
def test_json_is_read_as_it_was_written(value: object, in_ascii: bool) -> None:
    assert read_json(json.dumps(value, ensure_ascii=in_ascii).encode()) == value


@given(st.binary() | st.lists(st.sampled_from(PIECES)).map(lambda pieces: "".join(pieces).encode()))
def test_any_bytes_are_json_or_a_value_error(content: bytes) -> None:
    try:
        json.dumps(read_json(content), ensure_ascii=False).encode()
    except ValueError:
        return


# JSON that is larger as objects


def many(unit: str) -> Callable[[int], bytes]:
    return lambda count: f"[{unit * count}0]".encode()


BLOWN_UP: dict[str, tuple[int, Callable[[int], bytes]]] = {
    "lists": (3, many("[],")),
    "objects": (3, many("{},")),
    "small objects": (8, many('{"a":1},')),
    "numbers": (4, many("300,")),
    "small numbers": (2, many("1,")),
    "strings": (5, many('"ab",')),
    "strings of emoji": (8, many('"a😀",')),
    "keys": (13, lambda count: b"{" + b",".join(b'"k%06d":1' % number for number in range(count)) + b"}"),
    "a wide string": (1, lambda count: f'"{"a" * count}😀"'.encode()),
    "a string that is wide by an escape": (1, lambda count: f'"{"a" * count}\\ud83d\\ude00"'.encode()),
}
"""JSON that is much larger as objects: the bytes of one part of it, and how many make a document."""


def traced(content: bytes) -> tuple[float, float]:
    """Return how many MiB the JSON of `content` takes, and how many it took at most."""
    tracemalloc.start()
    try:
        value = read_json(content)
        size, peak = tracemalloc.get_traced_memory()
        assert value
    except AnswerTooLarge:
        size, peak = 0, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return size / MIB, peak / MIB


def passes(content: bytes) -> bool:
    try:
        read_json(content)
    except AnswerTooLarge:
        return False
    return True


@pytest.mark.parametrize("kind", BLOWN_UP)
def test_json_that_blows_up_in_memory_is_refused_before_it_does(kind: str) -> None:
    size, document = BLOWN_UP[kind]
    content = document((LARGEST_ANSWER - 100) // size)
    assert not passes(content)
    assert traced(content)[1] < HEAVIEST_JSON / MIB


@pytest.mark.parametrize("kind", BLOWN_UP)
def test_the_largest_json_that_passes_takes_no_more_than_was_estimated(kind: str) -> None:
    size, document = BLOWN_UP[kind]
    fewest, most = 0, LARGEST_ANSWER // size
    while most - fewest > most / 100:
        middle = (fewest + most) // 2
        fewest, most = (middle, most) if passes(document(middle)) else (fewest, middle)
    kept, peak = traced(document(fewest))
    assert 0.01 < kept <= HEAVIEST_JSON / MIB
    assert peak < HEAVIEST_JSON / MIB * 1.5


HTML = '<p style="color: red; margin: 0,0">Grüße, {Name}: [1, 2, 3] "so" – 😀</p>\n'


@pytest.mark.parametrize("in_ascii", [True, False])
def test_real_mail_with_large_html_bodies_is_read(in_ascii: bool) -> None:
    body = HTML * (MIB // len(HTML))
    thread = {"id": "1", "messages": [{"id": "1", "bodyHtml": body}, {"id": "2", "bodyHtml": body.replace("😀", "")}]}
    assert read_json(json.dumps(thread, ensure_ascii=in_ascii).encode()) == thread


def test_a_long_thread_of_many_people_is_read() -> None:
    people = [f"person{number}@customer.example" for number in range(20)]
    message = {"toEmails": people, "references": people, "bodyHtml": HTML * 40, "attachments": [{"id": "a"}] * 4}
    thread = {"id": "1", "messages": [message] * 400}
    assert read_json(json.dumps(thread).encode()) == thread


# The room


class Halting(httpx.AsyncByteStream):
    """A body of which `length` bytes come at once, and its end when it is told to go on."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.going_on = anyio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self.length // 65536):
            yield bytes(65536)
        await self.going_on.wait()
        yield b"[]"


@dataclass
class Reader:
    """Reads bodies that share a room, each in a task of its own."""

    group: TaskGroup
    room: Room = field(default_factory=Room)
    done: list[str] = field(default_factory=list[str])

    async def begin(self, name: str, length: int, *, halting: bool = False) -> anyio.Event:
        """Begin a body, and return what lets it go on."""
        body = Halting(length)
        if not halting:
            body.going_on.set()
        self.group.start_soon(self._read, name, body)
        await wait_all_tasks_blocked()
        return body.going_on

    async def _read(self, name: str, body: Halting) -> None:
        with self.room.share() as share:
            await read_content(httpx.Response(200, stream=body), share)
        self.done.append(name)


@pytest.fixture
async def reader() -> AsyncGenerator[Reader]:
    async with anyio.create_task_group() as group:
        yield Reader(group)
        group.cancel_scope.cancel()


LARGE = LARGEST_ANSWER - MIB


async def test_a_large_answer_waits_until_there_is_room_for_it(reader: Reader) -> None:
    go_on = await reader.begin("first", LARGE, halting=True)
    await reader.begin("second", LARGE)
    assert reader.done == []
    go_on.set()
    await wait_all_tasks_blocked()
    assert reader.done == ["first", "second"]


async def test_a_small_answer_never_waits(reader: Reader) -> None:
    await reader.begin("first", LARGE, halting=True)
    await reader.begin("second", LARGE, halting=True)
    await reader.begin("third", LARGE, halting=True)
    await reader.begin("small", SMALL_ANSWER - 65536)
    assert reader.done == ["small"]


async def test_slow_answers_that_hold_little_keep_no_large_one_waiting(reader: Reader) -> None:
    for name in ("slow", "slower", "slowest"):
        await reader.begin(name, 2 * SMALL_ANSWER, halting=True)
    await reader.begin("large", LARGE)
    await reader.begin("larger", LARGEST_ANSWER - 65536)
    assert reader.done == ["large", "larger"]


async def test_what_a_cancelled_answer_held_is_free_again(reader: Reader) -> None:
    async with anyio.create_task_group() as group:
        cancelled = Reader(group, reader.room)
        await cancelled.begin("cancelled", LARGE, halting=True)
        await reader.begin("waiting", LARGE)
        assert reader.done == []
        group.cancel_scope.cancel()
    await wait_all_tasks_blocked()
    assert reader.done == ["waiting"]


@given(st.lists(st.integers(0, LARGEST_ANSWER), min_size=2, max_size=12))
async def test_answers_never_all_wait_for_each_other(lengths: list[int]) -> None:
    done: list[int] = []

    async def read(room: Room, length: int) -> None:
        with room.share() as share:
            for size in range(0, length, 2**18):
                await share.grow(size)
                await checkpoint()
            await share.grow(length)
        done.append(length)

    room = Room()
    async with anyio.create_task_group() as group:
        for length in lengths:
            group.start_soon(read, room, length)
    assert sorted(done) == sorted(lengths)
