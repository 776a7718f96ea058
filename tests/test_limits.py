"""The limits of the service are kept, and nearly used up, whatever is asked of a large mailbox."""

from functools import cache

import pytest

from harness import ERAS, Era
from throttled import LIMITS, Figures, run

THREADS = 600


@cache
def undisturbed(era: Era) -> Figures:
    return run(THREADS, era)


@pytest.mark.parametrize("era", ERAS)
def test_a_large_mailbox_is_triaged_and_archived_without_one_refusal_in_about_the_time_that_takes(era: Era) -> None:
    figures = undisturbed(era)
    assert (figures.refused, figures.failed, figures.notes) == (0, 0, [])
    assert figures.requests > THREADS
    assert figures.ratio <= 1.25
    assert figures.seconds > 60 * (figures.requests // LIMITS.per_minute - 1), "else nothing was limited"


@pytest.mark.parametrize("era", ERAS)
def test_a_client_that_waits_is_told_of_it_and_every_report_is_beyond_the_last(era: Era) -> None:
    figures = undisturbed(era)
    assert figures.waits_told >= figures.requests // LIMITS.per_minute
    assert figures.steps_back == 0


@pytest.mark.parametrize("era", ERAS)
def test_a_page_of_triage_waits_for_no_more_than_one_window(era: Era) -> None:
    assert undisturbed(era).longest_call < 65


@pytest.mark.parametrize("era", ERAS)
def test_a_plan_waits_where_another_program_has_used_up_what_the_user_may_send(era: Era) -> None:
    figures = run(THREADS // 2, era, rival=2)
    assert figures.refused > 0
    assert (figures.failed, figures.notes, figures.steps_back) == (0, [], 0)


def test_the_sandbox_refuses_whoever_keeps_no_limit() -> None:
    figures = run(THREADS // 4, requests_per_minute=1000)
    assert figures.refused > 0
