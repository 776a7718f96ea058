"""What asks a person, and what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesos_inbox.approval.policy import ASK_ABOVE_THREADS, Decision, Effect, decide


@pytest.mark.parametrize(
    ("effect", "thread_count", "decision"),
    [
        (Effect.READ, 1, Decision.ALLOW),
        (Effect.READ, 10_000, Decision.ALLOW),
        (Effect.CHANGE, 0, Decision.ALLOW),
        (Effect.CHANGE, 1, Decision.ALLOW),
        (Effect.CHANGE, ASK_ABOVE_THREADS, Decision.ALLOW),
        (Effect.CHANGE, ASK_ABOVE_THREADS + 1, Decision.ASK),
        (Effect.SEND, 1, Decision.ASK),
        (Effect.DESTROY, 1, Decision.ASK),
    ],
)
def test_what_each_effect_needs(effect: Effect, thread_count: int, decision: Decision) -> None:
    assert decide(effect, thread_count) is decision


@given(st.sampled_from([Effect.SEND, Effect.DESTROY]), st.integers())
def test_nothing_leaves_or_disappears_unasked_however_little_it_is(effect: Effect, thread_count: int) -> None:
    assert decide(effect, thread_count) is Decision.ASK


def test_the_design_asks_above_25_threads() -> None:
    assert ASK_ABOVE_THREADS == 25
