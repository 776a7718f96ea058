"""A request is repeated only where it provably did not happen."""

import pytest

from salesos_inbox.client.retry import LONGEST_WAIT, MAX_REPEATS, Fault, delay_before_repeat

PLENTY = 1000.0


@pytest.mark.parametrize(
    ("fault", "repeats", "retry_after", "seconds_left", "delay"),
    [
        (Fault.LOST, 0, None, PLENTY, None),
        (Fault.LOST, 0, 0.0, PLENTY, None),
        (Fault.NOT_SENT, 0, None, PLENTY, 0.25),
        (Fault.NOT_SENT, 1, None, PLENTY, 0.5),
        (Fault.NOT_SENT, MAX_REPEATS, None, PLENTY, None),
        (Fault.THROTTLED, 0, None, PLENTY, 0.25),
        (Fault.THROTTLED, 0, 0.0, PLENTY, 0.25),
        (Fault.THROTTLED, 0, 3.0, PLENTY, 3.0),
        (Fault.THROTTLED, 1, 0.1, PLENTY, 0.5),
        (Fault.THROTTLED, 0, LONGEST_WAIT, PLENTY, LONGEST_WAIT),
        (Fault.THROTTLED, 0, LONGEST_WAIT + 1, PLENTY, None),
        (Fault.THROTTLED, 0, 3600.0, PLENTY, None),
        (Fault.THROTTLED, 0, 3.0, 2.9, None),
        (Fault.THROTTLED, MAX_REPEATS, 0.0, PLENTY, None),
        (Fault.NOT_SENT, 0, None, 0.2, None),
        (Fault.NOT_SENT, 0, None, -1.0, None),
    ],
)
def test_how_long_to_wait_before_a_repeat(
    fault: Fault, repeats: int, retry_after: float | None, seconds_left: float, delay: float | None
) -> None:
    assert delay_before_repeat(fault, repeats, retry_after, seconds_left) == delay
