"""What a body of the service is held against, however it is made."""

import time

from salesos_inbox.contract import models
from salesos_inbox.doctor.bodies import compare


def test_tens_of_thousands_of_unknown_fields_are_looked_through_in_no_time() -> None:
    started = time.process_time()
    comparison = compare(models.ThreadSummary, [{f"k{number}a{number % 977}": 1 for number in range(60_000)}])
    assert len(comparison.unknown) == 60_000
    assert time.process_time() - started < 2
