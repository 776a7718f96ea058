"""Times, cursors and ids as a model writes them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import NOW
from salesos_inbox.errors import InvalidArguments
from salesos_inbox.tools._args import (
    check_id,
    query_fingerprint,
    read_cursor,
    read_since,
    read_when,
    unique_ids,
    write_cursor,
)

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-11-23T09:00:00+01:00", None, datetime(2026, 11, 23, 8, tzinfo=UTC)),
        ("2026-11-23T09:00Z", BERLIN, datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("2026-11-23T09:00", BERLIN, datetime(2026, 11, 23, 8, tzinfo=UTC)),
        ("2026-11-23 09:00", BERLIN, datetime(2026, 11, 23, 8, tzinfo=UTC)),
        ("20261123T0900", BERLIN, datetime(2026, 11, 23, 8, tzinfo=UTC)),
        ("2027-07-01T09:00", BERLIN, datetime(2027, 7, 1, 7, tzinfo=UTC)),
        # Twice that night: the first one, in summer time, is meant.
        ("2027-10-31T02:30", BERLIN, datetime(2027, 10, 31, 0, 30, tzinfo=UTC)),
        # The gap does not matter where an offset is given.
        ("2027-03-28T02:30+01:00", BERLIN, datetime(2027, 3, 28, 1, 30, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_with_its_offset_or_in_the_users_zone(
    text: str, zone: ZoneInfo | None, expected: datetime
) -> None:
    assert read_when(text, zone, NOW) == expected


@pytest.mark.parametrize(
    ("text", "zone", "words"),
    [
        ("2026-11-23T09:00", None, "has no offset and no SALESOS_TIMEZONE is set: add the offset, such as +01:00 or Z"),
        ("2027-03-28T02:30", BERLIN, "does not exist in Europe/Berlin, where the clocks skip it"),
        ("2026-11-18T09:59+01:00", BERLIN, "is past, it is now 2026-11-18T10:00+01:00: give a future time"),
        ("2026-11-18T09:00Z", None, "is past"),
        ("2026-11-23", BERLIN, "is not an ISO 8601 time"),
        ("tomorrow at nine", BERLIN, "is not an ISO 8601 time"),
        ("1795424400", BERLIN, "is not an ISO 8601 time"),
        ("2026-02-30T09:00Z", BERLIN, "is not an ISO 8601 time"),
        ("2026-11-23T25:00Z", BERLIN, "is not an ISO 8601 time"),
        ("", BERLIN, "is not an ISO 8601 time"),
        ("9" * 1_000_000, BERLIN, "is not an ISO 8601 time"),
        ("2026-11-23T09:00\ud800", BERLIN, "is not an ISO 8601 time"),
        ("0001-01-01T00:00+14:00", BERLIN, "lies outside the years that mail has"),
        ("9999-12-31T23:59-12:00", BERLIN, "lies outside the years that mail has"),
        ("9999-12-31T23:59", ZoneInfo("America/New_York"), "lies outside the years that mail has"),
    ],
)
def test_a_time_that_cannot_be_meant_is_refused_with_what_to_do(text: str, zone: ZoneInfo | None, words: str) -> None:
    with pytest.raises(InvalidArguments) as refusal:
        read_when(text, zone, NOW)
    assert words in str(refusal.value)
    assert len(str(refusal.value)) < 250


@given(st.text() | st.datetimes().map(str) | st.datetimes(timezones=st.timezones()).map(datetime.isoformat))
def test_any_text_is_a_future_time_or_refused(text: str) -> None:
    for zone in (None, BERLIN):
        try:
            moment = read_when(text, zone, NOW)
        except InvalidArguments:
            continue
        assert moment > NOW
        assert moment.tzinfo is UTC


def test_a_filter_takes_a_day_or_a_time_in_the_users_zone() -> None:
    assert read_since(None, BERLIN) is None
    assert read_since("", BERLIN) is None
    assert read_since("2026-11-18", BERLIN) == datetime(2026, 11, 17, 23, tzinfo=UTC)
    assert read_since("2026-11-18", None) == datetime(2026, 11, 18, tzinfo=UTC)
    assert read_since("2026-11-18T10:00", BERLIN) == datetime(2026, 11, 18, 9, tzinfo=UTC)
    assert read_since("2026-11-18T10:00-05:00", BERLIN) == datetime(2026, 11, 18, 15, tzinfo=UTC)


@given(st.text() | st.dates().map(str) | st.datetimes().map(str))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    try:
        moment = read_since(text, BERLIN)
    except InvalidArguments:
        return
    assert moment is None or moment.tzinfo is UTC


def test_a_cursor_is_read_back_for_its_own_query_only() -> None:
    query = query_fingerprint("list_threads", {"folder": "inbox", "sender": None})
    cursor = write_cursor(query, "2")
    assert read_cursor(cursor, query) == "2"
    assert read_cursor(None, query) is None
    assert query == query_fingerprint("list_threads", {"folder": "inbox"})
    for other in (
        query_fingerprint("list_threads", {"folder": "sent"}),
        query_fingerprint("triage_inbox", {"folder": "inbox"}),
    ):
        with pytest.raises(InvalidArguments, match="belongs to another query"):
            read_cursor(cursor, other)


@pytest.mark.parametrize("position", ["", "9" * 5_000, "~\ud800", "~a\nb"])
def test_a_cursor_that_no_answer_handed_out_is_refused(position: str) -> None:
    query = query_fingerprint("list_threads", {})
    with pytest.raises(InvalidArguments):
        read_cursor(f"{query}.{position}", query)


def test_ids_are_kept_once_each_in_their_order() -> None:
    assert unique_ids(["b", " a ", "b", "a"]) == ["b", "a"]


@pytest.mark.parametrize("identifier", ["", "  ", ".", "..", "a\nb", "a\0", "\ud800", "x" * 201])
def test_what_cannot_be_an_id_is_refused_with_the_arguments_name(identifier: str) -> None:
    with pytest.raises(InvalidArguments, match=r"^thread_id must be an id"):
        check_id("thread_id", identifier)
