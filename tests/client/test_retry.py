"""A request is repeated only where that cannot do anything twice, and never sooner than the service asks."""

from datetime import UTC, datetime
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from salesos_inbox.client.retry import (
    FIRST_WAIT,
    LONGEST_RETRY_AFTER,
    LONGEST_WAIT,
    MAX_REPEATS,
    Fault,
    delay_before_repeat,
    retry_after_seconds,
)

PLENTY = 1000.0
FAULTS = st.sampled_from(Fault)
JITTERS = st.floats(0, 1, exclude_max=True)
REPEATS = st.integers(0, MAX_REPEATS)
LEFT = st.floats(-1, 100)
WAITS = st.none() | st.floats(0, 1.1 * LONGEST_WAIT)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("is_write", [True, False])
def test_a_read_is_always_repeated_and_a_write_only_where_it_did_not_happen(fault: Fault, is_write: bool) -> None:
    delay = delay_before_repeat(fault, is_write=is_write, repeats=0, retry_after=None, seconds_left=PLENTY, jitter=0.5)
    assert (delay is not None) == (not is_write or fault in (Fault.NOT_SENT, Fault.REFUSED))


@pytest.mark.parametrize(
    ("repeats", "retry_after", "seconds_left", "jitter", "delay"),
    [
        (0, None, PLENTY, 0.0, 0.25),
        (0, None, PLENTY, 0.5, 0.375),
        (1, None, PLENTY, 0.0, 0.5),
        (1, None, PLENTY, 0.5, 0.75),
        (MAX_REPEATS, None, PLENTY, 0.0, None),
        (0, 0.0, PLENTY, 0.0, 0.25),
        (0, 3.0, PLENTY, 0.0, 3.0),
        (0, 3.0, PLENTY, 0.5, 3.125),
        (1, 0.1, PLENTY, 0.0, 0.5),
        (0, LONGEST_WAIT, PLENTY, 0.9, LONGEST_WAIT),
        (0, LONGEST_WAIT + 0.1, PLENTY, 0.0, None),
        (0, 3600.0, PLENTY, 0.0, None),
        (0, 3.0, 3.0, 0.0, None),
        (0, 3.0, 3.1, 0.0, 3.0),
        (0, None, 0.2, 0.0, None),
        (0, None, -1.0, 0.0, None),
    ],
)
def test_how_long_to_wait_before_a_repeat(
    repeats: int, retry_after: float | None, seconds_left: float, jitter: float, delay: float | None
) -> None:
    for fault in Fault:
        found = delay_before_repeat(
            fault,
            is_write=False,
            repeats=repeats,
            retry_after=retry_after,
            seconds_left=seconds_left,
            jitter=jitter,
        )
        assert found == delay


@given(FAULTS, st.booleans(), REPEATS, WAITS, LEFT, JITTERS)
def test_a_wait_is_never_shorter_than_asked_for_nor_longer_than_the_deadline(
    fault: Fault, is_write: bool, repeats: int, retry_after: float | None, seconds_left: float, jitter: float
) -> None:
    delay = delay_before_repeat(
        fault,
        is_write=is_write,
        repeats=repeats,
        retry_after=retry_after,
        seconds_left=seconds_left,
        jitter=jitter,
    )
    if delay is None:
        return
    assert (retry_after or 0.0) <= delay <= LONGEST_WAIT
    assert 0 < delay < seconds_left
    assert repeats < MAX_REPEATS
    assert not (is_write and fault in (Fault.BUSY, Fault.LOST))


@given(st.integers(0, MAX_REPEATS - 1), WAITS, JITTERS, JITTERS)
def test_clients_that_failed_together_come_back_at_different_times(
    repeats: int, retry_after: float | None, one: float, other: float
) -> None:
    assume((retry_after or 0.0) <= LONGEST_WAIT - FIRST_WAIT * 2**repeats and abs(one - other) > 0.01)
    delays = [
        delay_before_repeat(
            Fault.BUSY,
            is_write=False,
            repeats=repeats,
            retry_after=retry_after,
            seconds_left=PLENTY,
            jitter=jitter,
        )
        for jitter in (one, other)
    ]
    assert delays[0] != delays[1]


NOW = datetime(2026, 11, 18, 9, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("1.5", 1.5),
        ("Wed, 18 Nov 2026 09:00:40 GMT", 40.0),
        ("Wednesday, 18-Nov-26 09:00:40 GMT", 40.0),
        ("Wed Nov 18 09:00:40 2026", 40.0),
        ("Wed, 18 Nov 2026 10:00:40 +0100", 40.0),
        ("Wed, 18 Nov 2026 08:59:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER),
        ("9" * 5000, LONGEST_RETRY_AFTER),
        ("", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("٣", None),
        ("soon", None),
        ("Wed, 99 Nov 2026 09:00:40 GMT", None),
    ],
)
def test_both_forms_of_retry_after_are_read(value: str, seconds: float | None) -> None:
    assert retry_after_seconds({"retry-after": value}, NOW) == seconds


def test_a_moment_is_held_against_the_clock_that_told_it() -> None:
    headers = httpx.Headers({"Retry-After": "Wed, 18 Nov 2026 12:00:07 GMT", "Date": "Wed, 18 Nov 2026 12:00:00 GMT"})
    assert retry_after_seconds(headers, NOW) == 7.0


def test_no_header_asks_for_nothing() -> None:
    assert retry_after_seconds(httpx.Headers(), NOW) is None


WORDS = "Wed Mon , 18 Nov Dec 0 99 2026 -1 09:00:40 9:: GMT +0100 -0000 +9999 Z ; ( ) 1e9 \x00"
PARTS = st.sampled_from(WORDS.split(" "))
VALUES = st.text() | st.lists(PARTS).map(" ".join) | st.datetimes(timezones=st.just(UTC)).map(format_datetime)


@given(VALUES, VALUES)
def test_no_header_does_more_than_make_us_wait_a_day(retry_after: str, date: str) -> None:
    seconds = retry_after_seconds({"retry-after": retry_after, "date": date}, NOW)
    assert seconds is None or 0.0 <= seconds <= LONGEST_RETRY_AFTER
