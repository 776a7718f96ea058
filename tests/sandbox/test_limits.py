"""What a meter allows, in fixed windows and in sliding ones."""

from datetime import UTC, datetime, timedelta

import pytest

from salesos_inbox.sandbox.limits import DOCUMENTED_LIMITS, Limits, Meter

NOW = datetime(2025, 1, 15, 10, 30, tzinfo=UTC)


def spend(meter: Meter, *seconds: float, caller: str = "sam") -> list[tuple[int, int, int]]:
    """Return what remains, the seconds until the reset and the seconds to wait, for requests at those moments."""
    answers = [(NOW + timedelta(seconds=second), second) for second in seconds]
    allowances = [(meter.spend(caller, moment), second) for moment, second in answers]
    return [(one.remaining, round(one.reset - NOW.timestamp() - second), one.retry_after) for one, second in allowances]


def test_both_limits_that_are_known_hold() -> None:
    assert Limits(per_minute=100, per_second=20) == DOCUMENTED_LIMITS


def test_a_fixed_window_begins_with_its_first_request_and_opens_at_once() -> None:
    meter = Meter(Limits(per_minute=2))
    assert spend(meter, 0, 50, 59, 60, 61, 62) == [
        (1, 60, 0),
        (0, 10, 0),
        (0, 1, 1),
        (1, 60, 0),
        (0, 59, 0),
        (0, 58, 58),
    ]


def test_a_sliding_window_opens_as_its_requests_become_old() -> None:
    meter = Meter(Limits(per_minute=2, sliding=True))
    assert spend(meter, 0, 50, 59, 60, 61, 110) == [
        (1, 60, 0), (0, 10, 0), (0, 1, 1), (0, 50, 0), (0, 49, 49), (0, 10, 0),
    ]  # fmt: skip


@pytest.mark.parametrize("sliding", [False, True])
def test_no_more_go_out_in_a_second_than_the_limit_of_seconds_allows(sliding: bool) -> None:
    meter = Meter(Limits(per_minute=9, per_second=2, sliding=sliding))
    assert [wait for _, _, wait in spend(meter, 0, 0.5, 0.9, 1.0, 3.0)] == [0, 0, 1, 0, 0]


@pytest.mark.parametrize("sliding", [False, True])
def test_a_refused_request_does_not_put_the_end_of_the_window_off(sliding: bool) -> None:
    meter = Meter(Limits(per_minute=1, sliding=sliding))
    assert [wait for _, _, wait in spend(meter, 0, 20, 40, 60)] == [0, 40, 20, 0]


@pytest.mark.parametrize("sliding", [False, True])
def test_callers_are_counted_each_for_themselves(sliding: bool) -> None:
    meter = Meter(Limits(per_minute=1, sliding=sliding))
    assert spend(meter, 0) == spend(meter, 0, caller="ann") == [(0, 60, 0)]


@pytest.mark.parametrize("sliding", [False, True])
def test_a_clock_set_back_locks_nobody_out(sliding: bool) -> None:
    meter = Meter(Limits(per_minute=1, sliding=sliding))
    assert spend(meter, 3600, 0) == [(0, 60, 0), (0, 60, 0)]
