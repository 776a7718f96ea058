"""What may go out is a matter of our own count and of what the service says of its own."""

import math
from collections.abc import Mapping
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesos_inbox.client.windows import LONGEST_WINDOW, Rate, Standing, Windows, read_standing

NOW = 1_800_000_000.0
DATE = formatdate(NOW, usegmt=True)


def windows(*rates: tuple[int, float]) -> Windows:
    return Windows([Rate(requests, seconds) for requests, seconds in rates or ((95, 60.0), (18, 1.0))])


def spend(windows: Windows, now: float, count: int = 1, seconds: float = 0.0) -> None:
    """Let `count` requests go out at once, answered `seconds` later."""
    for _ in range(count):
        windows.spend()
    for _ in range(count):
        windows.settle(now + seconds)


# Our own count


def test_a_request_counts_until_a_windows_length_after_its_answer() -> None:
    ours = windows((2, 60.0))
    spend(ours, 0.0, seconds=1.0)
    assert ours.free_at(1.0) == 1.0
    ours.spend()
    assert ours.free_at(5.0) == 61.0
    ours.settle(5.0)
    assert ours.free_at(5.0) == 61.0
    spend(ours, 61.0)
    assert ours.free_at(61.0) == 65.0


def test_nothing_goes_out_while_as_many_are_under_way_as_are_allowed() -> None:
    ours = windows((2, 1.0))
    for _ in range(2):
        ours.spend()
    assert ours.free_at(100.0) > 100.0
    ours.settle(100.0)
    assert ours.free_at(101.0) == 101.0


def test_what_was_withdrawn_does_not_count() -> None:
    ours = windows((1, 60.0))
    ours.spend()
    ours.withdraw()
    assert ours.free_at(0.0) == 0.0


def test_both_windows_hold() -> None:
    ours = windows((3, 60.0), (2, 1.0))
    spend(ours, 0.0, 2)
    assert ours.free_at(0.0) == 1.0
    spend(ours, 1.0)
    assert ours.free_at(1.0) == 60.0


@pytest.mark.parametrize(("count", "seconds"), [(18, 0), (19, 1), (90, 4), (95, 5), (96, 60), (950, 545), (5000, 3123)])
def test_many_requests_take_as_long_as_the_windows_say(count: int, seconds: float) -> None:
    assert windows().free_at(0.0, count) == seconds


Latencies = st.tuples(
    st.floats(0, 5, allow_nan=False), st.floats(0, 30, allow_nan=False), st.floats(0, 20, allow_nan=False)
)


@given(st.lists(Latencies, max_size=60), st.integers(1, 5), st.integers(1, 3))
def test_no_window_anywhere_holds_more_than_the_limit(
    requests: list[tuple[float, float, float]], per_minute: int, per_second: int
) -> None:
    """Each request waits a moment, is sent as soon as it may, arrives some time later and is answered later still."""
    ours = windows((per_minute, 6.0), (per_second, 1.0))
    now, under_way, arrivals = 0.0, list[float](), list[float]()
    for idle, there, back in requests:
        now += idle
        while True:
            for answered in sorted(moment for moment in under_way if moment <= now):
                under_way.remove(answered)
                ours.settle(answered)
            free = ours.free_at(now)
            if free <= now:
                break
            now = min([free, *under_way])
        ours.spend()
        arrivals.append(now + there)
        under_way.append(now + there + back)
    for length, limit in ((6.0, per_minute), (1.0, per_second)):
        for begins in arrivals:
            # The last digit of a float is no request too many.
            assert sum(begins <= moment < begins + length - 1e-9 for moment in arrivals) <= limit


# What the service says


@pytest.mark.parametrize(
    ("status", "headers", "standing"),
    [
        (200, {}, Standing()),
        (
            200,
            {"x-ratelimit-limit": "100", "x-ratelimit-remaining": "7", "x-ratelimit-reset": str(int(NOW + 40))},
            Standing(limit=100, remaining=7, reset=40.0),
        ),
        (429, {"retry-after": "12"}, Standing(refused=True, retry_after=12.0)),
        (429, {"retry-after": formatdate(NOW + 12, usegmt=True)}, Standing(refused=True, retry_after=12.0)),
        (429, {"retry-after": "999999"}, Standing(refused=True, retry_after=LONGEST_WINDOW)),
        (200, {"x-ratelimit-reset": "37"}, Standing(reset=37.0)),  # seconds, as NestJS's throttler sends
        (200, {"x-ratelimit-limit": "-1", "x-ratelimit-remaining": "NaN", "x-ratelimit-reset": "soon"}, Standing()),
        (200, {"x-ratelimit-limit": "0", "x-ratelimit-remaining": "inf"}, Standing()),
        (200, {"x-ratelimit-limit": "100, 2000", "x-ratelimit-remaining": "1e9"}, Standing()),
        (200, {"x-ratelimit-limit": "1_000", "x-ratelimit-remaining": "٧"}, Standing()),
        (200, {"x-ratelimit-reset": str(int(NOW - 1))}, Standing()),
        (200, {"x-ratelimit-reset": str(int(NOW + 40) * 1000)}, Standing()),
        (200, {"x-ratelimit-reset": "253402300799"}, Standing()),
        (200, {"x-ratelimit-reset": "9" * 400}, Standing()),
        (429, {"retry-after": "-3"}, Standing(refused=True)),
        (429, {"retry-after": "in a while"}, Standing(refused=True)),
        (429, {"retry-after": formatdate(NOW - 12, usegmt=True)}, Standing(refused=True)),
    ],
)
def test_headers_are_read_as_far_as_they_make_sense(
    status: int, headers: Mapping[str, str], standing: Standing
) -> None:
    assert read_standing(status, {"date": DATE, **headers}, lambda: math.nan) == standing


@pytest.mark.parametrize(("ahead", "reset"), [(59, 59.0), (61, None)])
def test_without_a_date_only_what_is_within_a_minute_is_believed(ahead: int, reset: float | None) -> None:
    headers = {"x-ratelimit-reset": str(int(NOW + ahead))}
    assert read_standing(200, headers, lambda: NOW).reset == reset
    assert read_standing(200, {"date": "some day", **headers}, lambda: NOW).reset == reset


Texts = st.one_of(
    st.text(max_size=20),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from([DATE, "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "0", "1", "60"]),
    st.integers(-100, 4000).map(lambda seconds: str(int(NOW) + seconds)),
)
Headers = st.dictionaries(
    st.sampled_from(["date", "retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]), Texts
)


@given(st.lists(st.tuples(st.sampled_from([200, 429, 503]), Headers), max_size=20))
def test_whatever_headers_say_it_is_over_at_some_time(answers: list[tuple[int, Mapping[str, str]]]) -> None:
    ours = windows()
    for status, headers in answers:
        number = ours.spend()
        ours.settle(0.0)
        ours.heed(number, read_standing(status, headers, lambda: NOW), 0.0)
    assert 0.0 <= ours.free_at(0.0) <= LONGEST_WINDOW
    assert ours.free_at(LONGEST_WINDOW + 60.0, 18) == LONGEST_WINDOW + 60.0


def test_a_lower_limit_holds_for_a_minute_and_a_higher_one_changes_nothing() -> None:
    ours = windows()
    assert [ours.free_at(0.0, count) for count in (18, 95, 96)] == [0.0, 5.0, 60.0]
    ours.heed(0, Standing(limit=1000), 0.0)
    assert [ours.free_at(0.0, count) for count in (18, 95, 96)] == [0.0, 5.0, 60.0]
    ours.heed(0, Standing(limit=10), 0.0)
    assert [ours.free_at(0.0, count) for count in (10, 11, 28)] == [0.0, 60.0, 60.0]
    assert ours.free_at(60.0, 18) == 60.0
    ours.heed(0, Standing(limit=1000), 1.0)
    assert ours.free_at(1.0, 18) == 1.0


def test_a_limit_that_may_be_one_of_seconds_says_nothing_of_minutes() -> None:
    ours = windows()
    ours.heed(0, Standing(limit=10, reset=1.0), 0.0)
    assert ours.free_at(0.0, 18) == 0.0
    ours.heed(0, Standing(limit=10, reset=50.0), 0.0)
    ours.heed(0, Standing(limit=10, reset=1.0), 49.0)
    assert ours.free_at(108.0, 11) == 109.0


def hear(ours: Windows, number: int, standing: Standing, now: float) -> None:
    """Let the answer to request `number` come."""
    ours.heed(number, standing, now)
    ours.settle(now)


def test_what_is_under_way_may_not_be_counted_yet_in_what_remains() -> None:
    ours = windows()
    first, second, third = ours.spend(), ours.spend(), ours.spend()
    hear(ours, second, Standing(remaining=4, reset=30.0), 0.0)
    assert [ours.free_at(0.0, count) for count in (2, 3)] == [0.0, 30.0]
    hear(ours, first, Standing(remaining=3, reset=30.0), 0.0)
    assert [ours.free_at(0.0, count) for count in (2, 3)] == [0.0, 30.0]
    hear(ours, third, Standing(remaining=2, reset=30.0), 0.0)
    assert [ours.free_at(0.0, count) for count in (2, 3)] == [0.0, 30.0]
    assert ours.free_at(30.0, 10) == 30.0


def test_in_one_window_the_least_that_remains_is_the_latest_in_whatever_order_answers_come() -> None:
    ours = windows()
    first, second = ours.spend(), ours.spend()
    hear(ours, second, Standing(remaining=1, reset=30.0), 0.0)
    hear(ours, first, Standing(remaining=2, reset=30.4), 0.1)
    assert [ours.free_at(0.1, count) for count in (1, 2)] == [0.1, 30.0]


def test_a_new_window_forgets_what_remained_in_the_one_before() -> None:
    ours = windows()
    late = ours.spend()
    hear(ours, ours.spend(), Standing(remaining=0, reset=3.0), 0.0)
    assert ours.free_at(0.0) == 3.0
    hear(ours, ours.spend(), Standing(remaining=50, reset=60.0), 3.0)
    assert ours.free_at(3.0, 10) == 3.0
    hear(ours, late, Standing(remaining=0, reset=0.5), 3.0)
    assert ours.free_at(3.0, 10) == 3.0


def test_windows_of_a_second_follow_each_other() -> None:
    ours = windows()
    hear(ours, ours.spend(), Standing(remaining=0, reset=1.0), 0.0)
    hear(ours, ours.spend(), Standing(remaining=5, reset=1.0), 1.0)
    assert [ours.free_at(1.0, count) for count in (5, 6)] == [1.0, 2.0]


@pytest.mark.parametrize("standing", [Standing(remaining=0), Standing(reset=50.0), Standing(reset=0.0, remaining=0)])
def test_what_remains_narrows_only_until_a_moment_that_is_known(standing: Standing) -> None:
    ours = windows()
    ours.heed(ours.spend(), standing, 0.0)
    assert ours.free_at(0.0) == 0.0


def test_after_a_refusal_everybody_waits_and_then_one_goes_first() -> None:
    ours = windows()
    refused = ours.spend()
    ours.heed(refused, Standing(refused=True, retry_after=20.0), 0.0)
    assert ours.free_at(0.0) == 20.0
    probe = ours.spend()
    assert ours.free_at(20.0) > 20.0
    ours.heed(probe, Standing(), 21.0)
    assert ours.free_at(21.0, 10) == 21.0


def test_a_refusal_does_not_shorten_the_pause_that_another_asked_for() -> None:
    ours = windows()
    first, second = ours.spend(), ours.spend()
    hear(ours, first, Standing(refused=True, retry_after=20.0), 0.0)
    hear(ours, second, Standing(refused=True, retry_after=5.0), 0.0)
    assert ours.free_at(0.0) == 20.0


def test_where_the_one_that_goes_first_is_lost_the_others_follow() -> None:
    ours = windows()
    ours.heed(ours.spend(), Standing(refused=True, retry_after=20.0), 0.0)
    ours.spend()
    assert ours.free_at(20.0) == 25.0


def test_a_refusal_that_does_not_say_how_long_lasts_until_the_reset_or_a_second_and_twice_as_long_each_time() -> None:
    ours = windows()
    ours.heed(ours.spend(), Standing(refused=True, reset=7.0), 0.0)
    now = ours.free_at(0.0)
    assert now == 7.0
    pauses: list[float] = []
    for _ in range(8):
        ours.heed(ours.spend(), Standing(refused=True), now)
        pauses.append(ours.free_at(now) - now)
        now = ours.free_at(now)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    ours.heed(ours.spend(), Standing(), now)
    ours.heed(ours.spend(), Standing(refused=True), now)
    assert ours.free_at(now) == now + 1


def test_refusals_of_one_burst_count_as_one() -> None:
    ours = windows()
    burst = [ours.spend() for _ in range(10)]
    for number in burst:
        ours.heed(number, Standing(refused=True), 0.0)
    assert ours.free_at(0.0) == 1.0


def test_a_refusal_about_seconds_halves_the_speed_for_some_minutes() -> None:
    ours = windows((95, 60.0), (18, 1.0))
    burst = [ours.spend() for _ in range(18)]
    for number in burst:
        ours.settle(0.0)
        ours.heed(number, Standing(refused=True, retry_after=1.0), 0.0)
    probe = ours.spend()
    ours.settle(2.0)
    ours.heed(probe, Standing(), 2.0)
    assert [ours.free_at(2.0, count) for count in (8, 9, 17, 18)] == [2.0, 3.0, 3.0, 4.0]
    assert ours.free_at(400.0, 18) == 400.0


def test_each_refusal_about_seconds_halves_the_speed_again() -> None:
    ours, now = windows((95, 60.0), (16, 1.0)), 0.0
    at_once: list[int] = []
    for pause in (2.0, 2.0, 400.0):
        hear(ours, ours.spend(), Standing(refused=True, retry_after=1.0), now)
        hear(ours, ours.spend(), Standing(), now + 1.0)
        now += pause
        at_once.append(sum(ours.free_at(now, count) == now for count in range(1, 20)))
    assert at_once == [8, 4, 16]


def test_a_refusal_about_minutes_leaves_the_speed_as_it_is() -> None:
    ours = windows()
    ours.heed(ours.spend(), Standing(refused=True, retry_after=30.0), 0.0)
    ours.heed(ours.spend(), Standing(), 30.0)
    ours.settle(30.0)
    ours.settle(30.0)
    assert ours.free_at(60.0, 18) == 60.0
