"""An approval counts once, an undo is the user's own, and the log tells what was done to it."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from salesos_inbox.approval.ledger import (
    HOLDS_SECONDS,
    JUMP_SECONDS,
    KEPT_DAYS,
    KEPT_ROWS,
    LEASE_SECONDS,
    SAME_PLAN_SECONDS,
    UNDO_DAYS,
    Ledger,
    Operation,
    Request,
    State,
    Step,
)
from salesos_inbox.errors import Conflict, InvalidArguments, NotFound, Unavailable

NOW = 1_800_000_000.0
MINUTE, HOUR, DAY, YEAR = 60.0, 3600.0, 86400.0, 365 * 86400.0
KEY = b"k" * 32
PATIENCE = 600.0
"""Nothing fails because the machine is slow."""
STEPS = [
    Step("move", ("t1", "t2"), folder="inbox"),
    Step("set_follow_up", ("t3",), remind_at="2026-12-01T09:00:00+00:00", note="Prüfen"),
    Step("link", ("t3",), record_type="lead", record_id="l1"),
]
ABOUT = {"to": ["ines@example.com"], "subject": "Offer", "body_digest": "4:abcd", "draft_id": "d1"}
SECRET = "between the two of us"
CARD = {"title": "Send this email?", "body": [SECRET]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite3"


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with Ledger() as ledger:
        yield ledger


def begun(
    ledger: Ledger, content: str = "offer", *, user: str = "maya", effect: str = "send", now: float = NOW,
    earlier: str | None = None, card: dict[str, Any] = CARD,
) -> Operation:  # fmt: skip
    request = Request(user, "send_email", effect, content, ABOUT, card)
    return ledger.begin(request, now=now, until=now + 2 * MINUTE, earlier=earlier)


def approve(ledger: Ledger, operation_id: str, now: float = NOW) -> Operation | None:
    return ledger.decide(operation_id, True, by="the user", now=now)


def finish(ledger: Ledger, operation_id: str, state: State, now: float = NOW) -> None:
    assert state in (State.DONE, State.FAILED, State.UNKNOWN)
    ledger.finish(
        operation_id, state, now, receipt={"came": state.value, "scheduled_id": operation_id}, what=state.value
    )


MOVES: dict[str, Callable[[Ledger, str], object]] = {
    "approve": approve,
    "decline": lambda ledger, operation_id: ledger.decide(operation_id, False, by="the user", now=NOW),
    "give up": lambda ledger, operation_id: ledger.give_up(operation_id, NOW),
    "expire": lambda ledger, operation_id: ledger.expire(operation_id, NOW),
    "claim": lambda ledger, operation_id: ledger.claim(operation_id, NOW),
    "done": lambda ledger, operation_id: finish(ledger, operation_id, State.DONE),
    "failed": lambda ledger, operation_id: finish(ledger, operation_id, State.FAILED),
    "unknown": lambda ledger, operation_id: finish(ledger, operation_id, State.UNKNOWN),
    "abandon": lambda ledger, operation_id: ledger.abandon(NOW),
    "take back": lambda ledger, operation_id: ledger.take_back("maya", operation_id, NOW),
}
WAYS: dict[State, tuple[str, ...]] = {
    State.ASKED: (),
    State.APPROVED: ("approve",),
    State.CLAIMED: ("approve", "claim"),
    State.DONE: ("approve", "claim", "done"),
    State.FAILED: ("approve", "claim", "failed"),
    State.UNKNOWN: ("approve", "claim", "unknown"),
    State.TAKEN_BACK: ("approve", "claim", "done", "take back"),
    State.DECLINED: ("decline",),
    State.EXPIRED: ("expire",),
    State.NOBODY_ASKED: ("give up",),
}
STATES = pytest.mark.parametrize("state", State)


def brought_to(ledger: Ledger, state: State, content: str = "offer", **how: Any) -> str:
    """Begin an operation and bring it to `state`; return its id."""
    operation_id = begun(ledger, content, **how).operation_id
    for move in WAYS[state]:
        MOVES[move](ledger, operation_id)
    assert state_of(ledger, operation_id) is state
    return operation_id


def state_of(ledger: Ledger, operation_id: str) -> State:
    operation = ledger.read(operation_id)
    assert operation
    return operation.state


def words(ledger: Ledger) -> list[str]:
    return [entry.what for entry in ledger.entries()]


# How an operation moves


def test_an_operation_is_on_record_before_anyone_is_asked(ledger: Ledger) -> None:
    operation = begun(ledger)
    assert ledger.read(operation.operation_id) == operation
    assert replace(operation, operation_id="a") == snapshot(
        Operation(
            operation_id="a",
            user="maya",
            tool="send_email",
            effect="send",
            fingerprint="offer",
            about={"to": ["ines@example.com"], "subject": "Offer", "body_digest": "4:abcd", "draft_id": "d1"},
            card={"title": "Send this email?", "body": ["between the two of us"]},
            state=State.ASKED,
            asked_at=1800000000,
            expires_at=1800000120,
            on_page=False,
            decided_by=None,
            chosen=None,
            claimed_at=None,
            finished_at=None,
            receipt={},
            draft_id=None,
        )
    )


def test_an_operation_moves_one_way_only() -> None:
    moved: dict[str, dict[str, str]] = {}
    for state in State:
        for move in MOVES:
            with Ledger() as ledger:
                operation_id = brought_to(ledger, state)
                MOVES[move](ledger, operation_id)
                if (after := state_of(ledger, operation_id)) is not state:
                    moved.setdefault(state.value, {})[move] = after.value
    assert moved == snapshot(
        {
            "asked": {"approve": "approved", "decline": "declined", "give up": "nobody_asked", "expire": "expired"},
            "approved": {"expire": "expired", "claim": "claimed"},
            "claimed": {"done": "done", "failed": "failed", "unknown": "unknown", "abandon": "unknown"},
            "done": {"take back": "taken_back"},
            "failed": {"done": "done", "unknown": "unknown"},
            "unknown": {"done": "done", "failed": "failed"},
        }
    )


def test_a_move_that_is_not_possible_changes_nothing_and_is_not_logged() -> None:
    for state in State:
        for move in MOVES:
            with Ledger() as ledger:
                operation_id = brought_to(ledger, state)
                before, log = ledger.read(operation_id), ledger.entries()
                MOVES[move](ledger, operation_id)
                if state_of(ledger, operation_id) is state:
                    assert (ledger.read(operation_id), ledger.entries()) == (before, log)


def test_the_first_decision_stands(ledger: Ledger) -> None:
    operation_id = begun(ledger).operation_id
    first = ledger.decide(operation_id, False, by="the user, in a client", now=NOW)
    second = ledger.decide(operation_id, True, by="the user, on the page", now=NOW)
    assert first and first.state is State.DECLINED
    assert second == first


def test_an_operation_that_is_not_there_is_neither_decided_nor_claimed(ledger: Ledger) -> None:
    assert ledger.read("none") is None
    assert approve(ledger, "none") is None
    assert ledger.give_up("none", NOW) is None
    assert not ledger.claim("none", NOW)
    ledger.expire("none", NOW)
    ledger.tell("none")
    finish(ledger, "none", State.DONE)
    assert ledger.entries() == []


def test_an_approval_covers_what_was_left_ticked(ledger: Ledger) -> None:
    operation_id = begun(ledger).operation_id
    operation = ledger.decide(operation_id, True, by="the user", now=NOW, chosen=["t2", "t1"])
    assert operation and operation.chosen == {"t1", "t2"}
    about = ledger.entries()[-1].about
    assert (about["by"], about["chosen"], about["to"]) == ("the user", 2, ["ines@example.com"])


def test_an_approval_of_nothing_is_not_one_of_everything(ledger: Ledger) -> None:
    operation_id = begun(ledger).operation_id
    operation = ledger.decide(operation_id, True, by="the user", now=NOW, chosen=[])
    assert operation and operation.chosen == frozenset()


def test_the_card_is_gone_as_soon_as_the_question_is_over() -> None:
    for move in ("approve", "decline", "give up", "expire"):
        with Ledger() as ledger:
            operation_id = begun(ledger).operation_id
            MOVES[move](ledger, operation_id)
            operation = ledger.read(operation_id)
            assert operation and operation.card is None, move


def test_what_became_of_an_operation_is_kept_with_it(ledger: Ledger) -> None:
    operation_id = brought_to(ledger, State.CLAIMED)
    ledger.finish(operation_id, State.DONE, NOW + 1, receipt={"message_ids": ["m1"]}, what="sent")
    operation = ledger.read(operation_id)
    assert operation
    assert (operation.receipt, operation.claimed_at, operation.finished_at) == ({"message_ids": ["m1"]}, NOW, NOW + 1)


def test_who_comes_back_late_with_a_receipt_is_right(ledger: Ledger) -> None:
    operation_id = brought_to(ledger, State.FAILED)
    finish(ledger, operation_id, State.DONE)
    finish(ledger, operation_id, State.FAILED)
    finish(ledger, operation_id, State.UNKNOWN)
    operation = ledger.read(operation_id)
    assert operation and (operation.state, operation.receipt["came"]) == (State.DONE, "done")


# Time


def test_a_question_cannot_be_answered_once_its_time_is_over(ledger: Ledger) -> None:
    early, late = begun(ledger, "a"), begun(ledger, "b")
    found = [
        approve(ledger, early.operation_id, early.expires_at - 1),
        approve(ledger, late.operation_id, late.expires_at),
    ]
    assert [operation and operation.state for operation in found] == [State.APPROVED, State.EXPIRED]


def test_an_approval_holds_for_a_while_and_no_longer(ledger: Ledger) -> None:
    first, second = begun(ledger, "a"), begun(ledger, "b")
    decided_at = first.expires_at - 1
    for operation in (first, second):
        approve(ledger, operation.operation_id, decided_at)
    assert ledger.claim(first.operation_id, decided_at + HOLDS_SECONDS - 1)
    assert not ledger.claim(second.operation_id, decided_at + HOLDS_SECONDS)
    assert state_of(ledger, second.operation_id) is State.EXPIRED


def test_a_question_on_the_page_waits_longer(ledger: Ledger) -> None:
    operation_id = begun(ledger).operation_id
    ledger.put_on_page(operation_id, NOW + 15 * MINUTE)
    ledger.put_on_page(operation_id, NOW + MINUTE)
    assert [waiting.expires_at for waiting in ledger.waiting("maya", NOW + 14 * MINUTE)] == [NOW + 15 * MINUTE]
    assert ledger.waiting("maya", NOW + 15 * MINUTE) == []
    assert state_of(ledger, operation_id) is State.EXPIRED


def test_the_page_lists_what_waits_on_it_for_its_user_the_oldest_first(ledger: Ledger) -> None:
    listed = [begun(ledger, content).operation_id for content in ("b", "a")]
    eves = begun(ledger, "c", user="eve").operation_id
    begun(ledger, "not on the page")
    for operation_id in (*reversed(listed), eves):
        ledger.put_on_page(operation_id, NOW + MINUTE)
    assert [operation.operation_id for operation in ledger.waiting("maya", NOW)] == listed
    assert [operation.card for operation in ledger.waiting("eve", NOW)] == [CARD]


@pytest.mark.parametrize("state", [State.ASKED, State.APPROVED])
def test_when_the_clock_is_set_back_what_was_asked_in_the_future_is_over(ledger: Ledger, state: State) -> None:
    little, much = brought_to(ledger, state, "a"), brought_to(ledger, state, "b", now=NOW + MINUTE)
    for operation_id in (little, much):
        approve(ledger, operation_id, NOW - 1)
    assert [ledger.claim(operation_id, NOW - 1) for operation_id in (little, much)] == [True, False]
    assert state_of(ledger, much) is State.EXPIRED


@pytest.mark.parametrize("state", [State.ASKED, State.APPROVED])
def test_when_the_clock_jumps_ahead_what_was_asked_is_over(ledger: Ledger, state: State) -> None:
    operation_id = brought_to(ledger, state)
    approve(ledger, operation_id, NOW + YEAR)
    assert not ledger.claim(operation_id, NOW + YEAR)
    assert not ledger.claim(operation_id, NOW)
    assert state_of(ledger, operation_id) is State.EXPIRED


@pytest.mark.parametrize("jump", [-YEAR, -DAY, -1.0, 0.0, 1.0, LEASE_SECONDS, DAY, YEAR])
def test_whatever_the_clock_does_a_claim_cannot_be_made_again(ledger: Ledger, jump: float) -> None:
    operation_id = brought_to(ledger, State.CLAIMED)
    assert not ledger.claim(operation_id, NOW + jump)
    approve(ledger, operation_id, NOW + jump)
    assert not ledger.claim(operation_id, NOW + jump)
    assert not ledger.claim(operation_id, NOW)


def test_a_claim_that_nobody_works_on_is_an_unknown_outcome(ledger: Ledger) -> None:
    operation_id = brought_to(ledger, State.CLAIMED)
    assert ledger.unfinished("maya", NOW + LEASE_SECONDS - 1) == []
    assert [found.operation_id for found in ledger.unfinished("maya", NOW + LEASE_SECONDS)] == [operation_id]
    assert words(ledger) == ["asked", "approved", "interrupted"]


def test_a_claim_that_is_at_work_says_so(ledger: Ledger) -> None:
    operation_id = brought_to(ledger, State.CLAIMED)
    ledger.prolong(operation_id, NOW + LEASE_SECONDS - 1)
    assert ledger.unfinished("maya", NOW + 2 * LEASE_SECONDS - 2) == []
    assert ledger.unfinished("maya", NOW + 2 * LEASE_SECONDS - 1) != []
    ledger.prolong(operation_id, NOW + 2 * LEASE_SECONDS)
    assert state_of(ledger, operation_id) is State.UNKNOWN


def test_a_claim_made_in_what_is_now_the_future_does_not_block_its_content_for_long(ledger: Ledger) -> None:
    operation_id = brought_to(ledger, State.CLAIMED)
    assert begun(ledger, now=NOW - JUMP_SECONDS).state is State.CLAIMED
    assert begun(ledger, now=NOW - JUMP_SECONDS - 1).state is State.UNKNOWN
    assert state_of(ledger, operation_id) is State.UNKNOWN


def test_what_a_process_leaves_behind_is_an_unknown_outcome(path: Path) -> None:
    with Ledger(path) as one, Ledger(path) as other:
        mine, others = brought_to(one, State.CLAIMED, "a"), brought_to(other, State.CLAIMED, "b")
        waiting = begun(one, "c").operation_id
        one.abandon(NOW)
        assert [state_of(one, operation_id) for operation_id in (mine, others, waiting)] == [
            State.UNKNOWN,
            State.CLAIMED,
            State.ASKED,
        ]


# The same content again


def test_the_same_content_again_is_the_same_operation_while_it_stands() -> None:
    answers: dict[str, str] = {}
    for state in State:
        with Ledger() as ledger:
            operation_id = brought_to(ledger, state)
            again = begun(ledger, now=NOW + 1)
            assert (again.operation_id == operation_id) == (again.state is state and state is not State.ASKED) or (
                state is State.ASKED
            )
            answers[state.value] = "the same" if again.operation_id == operation_id else f"a new one, {again.state}"
    assert answers == snapshot(
        {
            "asked": "the same",
            "approved": "the same",
            "claimed": "the same",
            "done": "the same",
            "failed": "a new one, asked",
            "unknown": "the same",
            "taken_back": "a new one, asked",
            "declined": "a new one, asked",
            "expired": "a new one, asked",
            "nobody_asked": "a new one, asked",
        }
    )


@pytest.mark.parametrize("state", [State.DONE, State.UNKNOWN, State.FAILED])
def test_an_attempt_that_the_card_speaks_of_can_be_repeated_once(ledger: Ledger, state: State) -> None:
    first = brought_to(ledger, state)
    second = begun(ledger, earlier=first)
    assert (second.operation_id != first, second.state) == (True, State.ASKED)
    for move in ("approve", "claim", "done"):
        MOVES[move](ledger, second.operation_id)
    assert begun(ledger, earlier=first) == ledger.read(second.operation_id)


@pytest.mark.parametrize("state", [State.DONE, State.UNKNOWN])
def test_a_failed_attempt_does_not_hide_one_that_may_have_succeeded(ledger: Ledger, state: State) -> None:
    first = brought_to(ledger, state)
    second = brought_to(ledger, State.FAILED, earlier=first)
    found = ledger.attempted("maya", "offer", NOW)
    assert found and found.operation_id == first
    assert begun(ledger).operation_id == first
    assert begun(ledger, earlier=second).operation_id == first


@STATES
def test_only_what_was_claimed_counts_as_attempted(ledger: Ledger, state: State) -> None:
    brought_to(ledger, state)
    was_claimed = state in (State.CLAIMED, State.DONE, State.FAILED, State.UNKNOWN)
    assert (ledger.attempted("maya", "offer", NOW) is not None) == was_claimed


def test_after_a_day_the_same_content_is_asked_anew(ledger: Ledger) -> None:
    first = brought_to(ledger, State.DONE)
    assert begun(ledger, now=NOW + DAY - 1).operation_id == first
    assert begun(ledger, now=NOW + DAY).state is State.ASKED


def test_when_the_clock_is_set_back_the_same_content_is_still_the_same(ledger: Ledger) -> None:
    first = brought_to(ledger, State.DONE)
    second = brought_to(ledger, State.DONE, now=NOW, earlier=first)
    assert begun(ledger, now=NOW - YEAR).operation_id == second


def test_the_latest_attempt_is_found_even_when_the_clock_was_set_back_between(ledger: Ledger) -> None:
    first = brought_to(ledger, State.UNKNOWN)
    second = begun(ledger, now=NOW - HOUR, earlier=first).operation_id
    approve(ledger, second, NOW - HOUR)
    assert ledger.claim(second, NOW - HOUR)
    finish(ledger, second, State.DONE, NOW - HOUR)
    found = ledger.attempted("maya", "offer", NOW - HOUR)
    assert found and found.operation_id == second


def test_users_and_contents_are_kept_apart(ledger: Ledger) -> None:
    ids = [
        brought_to(ledger, State.DONE, content, user=user) for user in ("maya", "eve") for content in ("offer", "order")
    ]
    assert len(set(ids)) == 4
    assert [
        begun(ledger, content, user=user).operation_id for user in ("maya", "eve") for content in ("offer", "order")
    ] == ids


def test_a_question_asked_again_has_the_newest_card_and_its_time_anew(ledger: Ledger) -> None:
    first = begun(ledger)
    again = begun(ledger, now=NOW + MINUTE, card={"title": "newer"})
    assert again == replace(first, card={"title": "newer"}, expires_at=first.expires_at + MINUTE)
    assert begun(ledger, now=NOW + MINUTE - 1).expires_at == again.expires_at
    assert words(ledger) == ["asked"]


@pytest.mark.parametrize("state", [State.DECLINED, State.EXPIRED])
def test_what_was_decided_on_the_page_is_told_once_and_then_asked_anew(ledger: Ledger, state: State) -> None:
    operation = begun(ledger)
    ledger.put_on_page(operation.operation_id, NOW + 15 * MINUTE)
    later = NOW + MINUTE
    if state is State.DECLINED:
        ledger.decide(operation.operation_id, False, by="the user, on the page", now=later)
    else:
        later = NOW + 15 * MINUTE
    found = [begun(ledger, now=later), begun(ledger, now=later)]
    assert [(item.state, item.operation_id == operation.operation_id) for item in found] == [
        (state, True),
        (State.ASKED, False),
    ]


def test_what_a_caller_was_told_is_not_told_again(ledger: Ledger) -> None:
    told, expired = begun(ledger, "a").operation_id, begun(ledger, "b").operation_id
    for operation_id in (told, expired):
        ledger.put_on_page(operation_id, NOW + 15 * MINUTE)
    ledger.decide(told, False, by="the user, on the page", now=NOW)
    ledger.tell(told)
    ledger.expire(expired, NOW)
    assert [begun(ledger, content).state for content in ("a", "b")] == [State.ASKED, State.ASKED]


def test_a_decision_that_nobody_fetched_is_not_told_days_later(ledger: Ledger) -> None:
    operation_id = begun(ledger).operation_id
    ledger.put_on_page(operation_id, NOW + 15 * MINUTE)
    ledger.decide(operation_id, False, by="the user, on the page", now=NOW)
    assert begun(ledger, now=NOW + DAY).state is State.ASKED


# What is asked of the operations


def test_the_messages_of_an_hour_are_counted_for_each_user(ledger: Ledger) -> None:
    for number, state in enumerate((State.DONE, State.UNKNOWN, State.CLAIMED, State.FAILED, State.APPROVED)):
        brought_to(ledger, state, f"message {number}")
    brought_to(ledger, State.DONE, "a deletion", effect="destroy")
    brought_to(ledger, State.DONE, user="eve")
    assert [ledger.sends_since(user, NOW - 1) for user in ("maya", "eve", "ada")] == [3, 1, 0]
    assert ledger.sends_since("maya", NOW) == 0


def test_no_more_messages_are_claimed_than_an_hour_may_have(ledger: Ledger) -> None:
    first, second = brought_to(ledger, State.APPROVED, "a"), brought_to(ledger, State.APPROVED, "b")
    deletion = brought_to(ledger, State.APPROVED, "c", effect="destroy")
    eves = brought_to(ledger, State.APPROVED, "d", user="eve")
    assert [ledger.claim(item, NOW, most_per_hour=1) for item in (first, second, deletion, eves)] == [
        True,
        False,
        True,
        True,
    ]
    finish(ledger, first, State.FAILED)
    assert ledger.claim(second, NOW, most_per_hour=1)


def test_an_hour_later_there_is_room_for_another_message(ledger: Ledger) -> None:
    brought_to(ledger, State.DONE)
    for now, leave in ((NOW + HOUR - 1, False), (NOW + HOUR, True)):
        operation_id = begun(ledger, f"at {now}", now=now).operation_id
        approve(ledger, operation_id, now)
        assert ledger.claim(operation_id, now, most_per_hour=1) == leave


def test_the_operation_that_sent_a_draft_is_found_by_it(ledger: Ledger) -> None:
    operation_id = brought_to(ledger, State.DONE)
    brought_to(ledger, State.FAILED, earlier=operation_id)
    found = ledger.sent_draft("maya", "d1", NOW)
    assert found and found.operation_id == operation_id
    assert [ledger.sent_draft("eve", "d1", NOW), ledger.sent_draft("maya", "d2", NOW)] == [None, None]
    assert ledger.sent_draft("maya", "d1", NOW + DAY) is None


def test_the_messages_that_are_known_to_have_left_are_those_of_the_user(ledger: Ledger) -> None:
    for content, user, state in (("a", "maya", State.DONE), ("b", "maya", State.FAILED), ("c", "eve", State.DONE)):
        operation_id = brought_to(ledger, State.CLAIMED, content, user=user)
        assert state in (State.DONE, State.FAILED)
        ledger.finish(operation_id, state, NOW, receipt={"message_ids": [f"m{content}", 7]}, what="sent")
    brought_to(ledger, State.DONE, "without ids")
    assert ledger.known_messages("maya") == {"ma", "7"}


def test_the_draft_that_a_message_was_kept_in_is_remembered_for_its_content(ledger: Ledger) -> None:
    operation_id = brought_to(ledger, State.NOBODY_ASKED)
    assert ledger.kept_draft("maya", "offer") is None
    ledger.keep_draft("maya", "offer", "d9")
    begun(ledger)
    assert [
        ledger.kept_draft("maya", "offer"),
        ledger.kept_draft("maya", "order"),
        ledger.kept_draft("eve", "offer"),
    ] == [
        "d9",
        None,
        None,
    ]
    operation = ledger.read(operation_id)
    assert operation and operation.draft_id == "d9"


def test_no_claim_is_forgotten_while_it_may_matter(ledger: Ledger) -> None:
    claimed, unknown = brought_to(ledger, State.CLAIMED, "a"), brought_to(ledger, State.UNKNOWN, "b")
    done, ended = brought_to(ledger, State.DONE, "c"), brought_to(ledger, State.DECLINED, "d")
    for number in range(KEPT_ROWS):
        begun(ledger, f"filling {number}")
    assert [state_of(ledger, item) for item in (claimed, unknown, done, ended)] == [
        State.CLAIMED,
        State.UNKNOWN,
        State.DONE,
        State.DECLINED,
    ]
    begun(ledger, "long after", now=NOW + (KEPT_DAYS + 1) * DAY)
    assert [ledger.read(item) is None for item in (claimed, unknown, done, ended)] == [False, False, True, True]


def test_a_clock_that_jumps_years_ahead_and_back_loses_nothing(ledger: Ledger) -> None:
    done, undo_id = brought_to(ledger, State.DONE), ledger.keep_undo("maya", STEPS, NOW, tool="move_threads")
    for _ in range(3):
        begun(ledger, "meanwhile", now=NOW + 10 * YEAR)
        ledger.keep_undo("maya", STEPS, NOW + 10 * YEAR, tool="move_threads")
    assert begun(ledger).operation_id == done
    assert ledger.take_undo("maya", undo_id, NOW) == STEPS


# Several on one file


def test_an_operation_is_claimed_once_over_two_ledgers_on_one_file(path: Path) -> None:
    with Ledger(path) as one, Ledger(path) as other:
        first, second = brought_to(one, State.APPROVED, "a"), brought_to(other, State.APPROVED, "b")
        assert [one.claim(first, NOW), other.claim(first, NOW)] == [True, False]
        assert [other.claim(second, NOW), one.claim(second, NOW)] == [True, False]


def test_a_question_outlives_a_restart_and_so_does_its_answer(path: Path) -> None:
    with Ledger(path) as ledger:
        operation = begun(ledger)
    with Ledger(path) as ledger:
        assert begun(ledger) == operation
        approve(ledger, operation.operation_id)
    with Ledger(path) as ledger:
        assert begun(ledger).state is State.APPROVED
        assert ledger.claim(operation.operation_id, NOW)
    with Ledger(path) as ledger:
        assert not ledger.claim(operation.operation_id, NOW)
        assert begun(ledger, now=NOW + 400).state is State.UNKNOWN


def test_ledgers_in_memory_are_apart() -> None:
    with Ledger() as one, Ledger() as other:
        operation_id = begun(one).operation_id
        assert other.read(operation_id) is None


def test_threads_of_one_process_agree_on_an_operation_and_on_who_may_carry_it_out(path: Path) -> None:
    with Ledger(path) as ledger, ThreadPoolExecutor(8) as threads:
        begins = [threads.submit(begun, ledger) for _ in range(32)]
        (operation_id,) = {begin.result().operation_id for begin in begins}
        approve(ledger, operation_id)
        claims = [threads.submit(ledger.claim, operation_id, NOW) for _ in range(32)]
        assert [claim.result() for claim in claims].count(True) == 1


def together(count: int, script: str, *arguments: object) -> list[str]:
    """Run a script in several processes that begin at the same moment; return what each has printed."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", PREPARE + script, str(number), *map(str, arguments)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for number in range(count)
        ]
        for process in processes:
            assert process.stdout and process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        printed = [process.communicate(timeout=PATIENCE)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * count
    return printed


PREPARE = f"""
import sys
from pathlib import Path
from salesos_inbox.approval.ledger import Ledger, Request
number, path = int(sys.argv[1]), Path(sys.argv[2])
ledger = Ledger(path, {KEY!r}, patience={PATIENCE})
print("ready", flush=True)
sys.stdin.readline()
"""


def test_an_operation_is_claimed_once_over_processes(path: Path) -> None:
    with Ledger(path, KEY) as ledger:
        ids = [brought_to(ledger, State.APPROVED, f"message {number}") for number in range(20)]
    claimed = together(4, f"print(*(item for item in sys.argv[3:] if ledger.claim(item, {NOW})))", path, *ids)
    assert sorted(item for printed in claimed for item in printed.split()) == sorted(ids)


def test_processes_agree_on_the_operation_of_a_content(path: Path) -> None:
    script = f"""
for content in range(10):
    request = Request("maya", "send_email", "send", str(content), {{}}, {{}})
    print(ledger.begin(request, now={NOW}, until={NOW + MINUTE}).operation_id)
"""
    printed = [each.split() for each in together(4, script, path)]
    assert printed[0] == printed[1] == printed[2] == printed[3]
    assert len(set(printed[0])) == 10
    with Ledger(path, KEY) as ledger:
        assert words(ledger) == ["asked"] * 10


def test_an_undo_is_taken_once_over_processes(path: Path) -> None:
    with Ledger(path, KEY) as ledger:
        ids = [ledger.keep_undo("maya", STEPS, NOW, tool="move_threads") for _ in range(10)]
    script = f"""
from salesos_inbox.errors import Conflict
for undo_id in sys.argv[3:]:
    try:
        ledger.take_undo("maya", undo_id, {NOW})
        print(undo_id)
    except Conflict:
        pass
"""
    taken = together(4, script, path, *ids)
    assert sorted(item for printed in taken for item in printed.split()) == sorted(ids)


def test_servers_that_start_at_once_where_there_is_nothing_yet_all_find_a_ledger(path: Path) -> None:
    together(8, f'ledger.note("maya", f"started {{number}}", "", {{}}, {NOW})', path)
    with Ledger(path, KEY) as ledger:
        assert sorted(words(ledger)) == [f"started {number}" for number in range(8)]
        assert ledger.verify() is None


# Undo


def kept(ledger: Ledger, user: str = "maya", now: float = NOW) -> str:
    return ledger.keep_undo(user, STEPS, now, tool="move_threads", about={"threads": 3})


def test_an_undo_hands_its_steps_out_once(ledger: Ledger) -> None:
    undo_id = kept(ledger)
    assert ledger.take_undo("maya", undo_id, NOW) == STEPS
    with pytest.raises(Conflict, match="undone before"):
        ledger.take_undo("maya", undo_id, NOW)


def test_an_undo_can_be_read_until_it_is_used(ledger: Ledger) -> None:
    undo_id = kept(ledger)
    assert ledger.read_undo("maya", undo_id, NOW) == STEPS
    with pytest.raises(NotFound):
        ledger.read_undo("eve", undo_id, NOW)
    ledger.take_undo("maya", undo_id, NOW)
    with pytest.raises(Conflict, match="undone before"):
        ledger.read_undo("maya", undo_id, NOW)


def test_an_undo_belongs_to_the_user_who_made_the_change(ledger: Ledger) -> None:
    undo_id = kept(ledger)
    with pytest.raises(NotFound):
        ledger.take_undo("eve", undo_id, NOW)
    assert ledger.take_undo("maya", undo_id, NOW) == STEPS
    assert words(ledger) == ["changed", "undone"]


def test_an_id_that_was_never_handed_out_is_not_found(ledger: Ledger) -> None:
    with pytest.raises(NotFound, match="use the one that the answer of a change handed out"):
        ledger.take_undo("maya", "undo_0", NOW)


# The undo of a change that goes on


STAR, MOVE = Step("unstar", ("t9",)), Step("move", ("t8",), folder="inbox")


def goes_on(ledger: Ledger, *steps: Step, what: str | None = None, undo_id: str | None = None, now: float = NOW) -> str:
    return ledger.keep_undo("maya", steps, now, tool="move_threads", what=what, undo_id=undo_id, plan="a plan")


def test_a_change_is_kept_as_it_goes_and_narrowed_to_what_was_done(ledger: Ledger) -> None:
    undo_id = goes_on(ledger, STAR, what="changing")
    assert goes_on(ledger, MOVE, STAR, undo_id=undo_id) == undo_id
    assert ledger.read_undo("maya", undo_id, NOW) == [MOVE, STAR]
    ledger.keep_undo("maya", [MOVE], NOW, tool="move_threads", undo_id=undo_id)
    assert ledger.take_undo("maya", undo_id, NOW) == [MOVE]
    assert words(ledger) == ["changing", "changed", "undone"]
    assert {entry.about["undo_id"] for entry in ledger.entries()} == {undo_id}


def test_a_change_of_which_nothing_was_done_leaves_nothing_to_take_back(ledger: Ledger) -> None:
    undo_id = goes_on(ledger, STAR, what="changing")
    goes_on(ledger, what="not changed", undo_id=undo_id)
    with pytest.raises(NotFound):
        ledger.read_undo("maya", undo_id, NOW)
    assert ledger.untold_undo("maya", "a plan", NOW) is None


def test_a_change_that_was_broken_off_is_found_when_it_is_asked_for_again(path: Path) -> None:
    with Ledger(path) as ledger:
        undo_id = goes_on(ledger, STAR)
    with Ledger(path) as ledger:
        assert ledger.untold_undo("maya", "a plan", NOW) == (undo_id, [STAR])
        assert ledger.untold_undo("maya", "another plan", NOW) is None
        assert ledger.untold_undo("eve", "a plan", NOW) is None
        assert ledger.untold_undo("maya", "a plan", NOW + SAME_PLAN_SECONDS) is None


def test_a_change_whose_undo_was_told_or_used_is_not_found_again(ledger: Ledger) -> None:
    told = goes_on(ledger, STAR)
    ledger.keep_undo("maya", [STAR], NOW, tool="move_threads", undo_id=told)
    assert ledger.untold_undo("maya", "a plan", NOW) is None
    ledger.take_undo("maya", goes_on(ledger, STAR), NOW)
    assert ledger.untold_undo("maya", "a plan", NOW) is None


def test_of_a_change_that_was_broken_off_twice_the_newer_try_stands_for_both(ledger: Ledger) -> None:
    first, second = goes_on(ledger, STAR), goes_on(ledger, MOVE, STAR)
    assert ledger.untold_undo("maya", "a plan", NOW) == (second, [MOVE, STAR])
    ledger.keep_undo("maya", [MOVE, STAR], NOW, tool="move_threads", undo_id=second)
    assert ledger.untold_undo("maya", "a plan", NOW) is None
    assert ledger.read_undo("maya", first, NOW) == [STAR], "the log names it all the same"


def test_what_is_undone_while_it_goes_on_can_be_undone_once_more(ledger: Ledger) -> None:
    undo_id = goes_on(ledger, STAR)
    ledger.take_undo("maya", undo_id, NOW)
    goes_on(ledger, MOVE, STAR, undo_id=undo_id)
    assert ledger.take_undo("maya", undo_id, NOW) == [MOVE, STAR]


def test_a_ledger_made_before_changes_were_kept_as_they_go_is_used_on(path: Path) -> None:
    with Ledger(path) as ledger:
        undo_id = kept(ledger)
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP INDEX untold_undos")
        database.execute("ALTER TABLE undos DROP COLUMN plan")
    with Ledger(path) as ledger:
        assert ledger.untold_undo("maya", "a plan", NOW) is None
        assert ledger.take_undo("maya", undo_id, NOW) == STEPS
        undo_id = goes_on(ledger, STAR)
        assert ledger.untold_undo("maya", "a plan", NOW) == (undo_id, [STAR])


@pytest.mark.parametrize("is_in_use", [True, False])
def test_a_ledger_that_is_only_read_is_left_as_it_is(path: Path, is_in_use: bool) -> None:
    def files() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in path.parent.iterdir() if not file.name.endswith("-shm")}

    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(path, KEY))
        kept(ledger)
        if not is_in_use:
            ledger.close()
        before = files()
        with Ledger(path, KEY, read_only=True) as read:
            assert words(read) == ["changed"]
            assert read.verify() is None
            with pytest.raises(Unavailable):
                kept(read)
        assert files() == before


def test_a_ledger_that_is_only_read_is_not_made(path: Path) -> None:
    with Ledger(path, KEY, read_only=True) as read, pytest.raises(Unavailable):
        read.entries()
    assert not path.parent.exists()


def test_an_undo_is_kept_over_a_restart(path: Path) -> None:
    with Ledger(path) as ledger:
        undo_id = kept(ledger)
    with Ledger(path) as ledger:
        assert ledger.take_undo("maya", undo_id, NOW) == STEPS


def test_an_undo_is_taken_once_over_two_ledgers(path: Path) -> None:
    with Ledger(path) as one, Ledger(path) as other:
        undo_id = kept(one)
        assert other.take_undo("maya", undo_id, NOW) == STEPS
        with pytest.raises(Conflict):
            one.take_undo("maya", undo_id, NOW)


def test_undo_ids_are_long_and_never_the_same(ledger: Ledger) -> None:
    ids = {kept(ledger) for _ in range(100)}
    assert len(ids) == 100
    assert {len(undo_id) for undo_id in ids} == {len("undo_") + 16}


@pytest.mark.parametrize(("days", "there"), [(UNDO_DAYS - 1, True), (UNDO_DAYS, False)])
def test_an_undo_can_be_used_for_30_days(ledger: Ledger, days: float, there: bool) -> None:
    undo_id = kept(ledger)
    if there:
        assert ledger.take_undo("maya", undo_id, NOW + days * DAY) == STEPS
    else:
        with pytest.raises(NotFound):
            ledger.take_undo("maya", undo_id, NOW + days * DAY)


def test_undos_that_are_over_do_not_pile_up(ledger: Ledger) -> None:
    first = kept(ledger)
    for _ in range(KEPT_ROWS - 1):
        kept(ledger)
    later = NOW + UNDO_DAYS * DAY + 1
    assert ledger.read_undo("maya", first, NOW) == STEPS
    kept(ledger, now=later)
    with pytest.raises(NotFound):
        ledger.read_undo("maya", first, NOW)


# The file


def test_the_ledger_is_readable_by_its_owner_alone(path: Path) -> None:
    with Ledger(path) as ledger:
        begun(ledger)
        assert {file.name: oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir()} == {
            "ledger.head": "0o600",
            "ledger.sqlite3": "0o600",
            "ledger.sqlite3-wal": "0o600",
            "ledger.sqlite3-shm": "0o600",
        }
    assert oct(path.parent.stat().st_mode & 0o777) == "0o700"


def test_a_ledger_that_others_could_read_is_closed_to_them(path: Path) -> None:
    path.parent.mkdir()
    path.touch(mode=0o644)
    with Ledger(path) as ledger:
        begun(ledger)
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_before_it_is_needed(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.abandon(NOW)
    assert not path.parent.exists()


def raw(path: Path) -> dict[str, bytes]:
    """Return what the ledger's files hold; another process reads them, so that no lock of ours is let go."""
    return {file.name: subprocess.check_output(["cat", file]) for file in path.parent.iterdir()}


def where(secret: str, path: Path) -> list[str]:
    return sorted(name for name, content in raw(path).items() if secret.encode() in content)


@pytest.mark.parametrize("end", ["approve", "decline", "give up", "expire", "time"])
def test_of_a_message_nothing_is_left_in_the_files_once_its_question_is_over(path: Path, end: str) -> None:
    card = {"body": [SECRET * 1000]}
    with Ledger(path) as ledger, Ledger(path) as other:
        operation_id = begun(ledger, card=card).operation_id
        assert where(SECRET, path)
        other.close()
        assert begun(other, card={"body": [f"{SECRET}!" * 999]}).operation_id == operation_id
        if end == "time":
            other.waiting("eve", NOW + DAY)
        else:
            MOVES[end](other, operation_id)
        assert where(SECRET, path) == []
    assert where(SECRET, path) == []
    assert "ledger.sqlite3" in raw(path)


def test_what_a_killed_process_left_of_a_message_goes_with_the_next_use(path: Path) -> None:
    script = f"""
import os
request = Request("maya", "send_email", "send", "offer", {{}}, {{"body": [{SECRET!r} * 1000]}})
ledger.begin(request, now={NOW}, until={NOW + MINUTE})
os._exit(0)
"""
    together(1, script, path)
    assert where(SECRET, path)
    with Ledger(path, KEY) as ledger:
        ledger.waiting("maya", NOW + MINUTE)
        assert where(SECRET, path) == []


def test_what_could_not_be_wiped_while_another_process_read_is_wiped_as_soon_as_it_can(path: Path) -> None:
    script = f"""
import os
request = Request("maya", "send_email", "send", "offer", {{}}, {{"body": [{SECRET!r} * 1000]}})
operation = ledger.begin(request, now={NOW}, until={NOW + MINUTE})
ledger.decide(operation.operation_id, False, by="the user", now={NOW})
os._exit(0)
"""
    with Ledger(path, KEY) as ledger:
        begun(ledger, "another", card={})
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM operations").fetchall()
        together(1, script, path)
        assert where(SECRET, path)
        with Ledger(path, KEY) as ledger:
            ledger.waiting("maya", NOW)
            assert where(SECRET, path)
            reader.execute("ROLLBACK")
            ledger.waiting("maya", NOW)
            assert where(SECRET, path) == []


def test_characters_that_are_no_text_do_not_stop_the_ledger(ledger: Ledger) -> None:
    half = "\ud83d"
    request = Request("maya", "send_email", "send", "offer", {**ABOUT, "subject": half}, {"title": half})
    operation = ledger.begin(request, now=NOW, until=NOW + MINUTE)
    assert ledger.read(operation.operation_id) == operation
    assert [entry.about["subject"] for entry in ledger.entries()] == [half]
    with pytest.raises(InvalidArguments, match="no text"):
        ledger.keep_draft("maya", "offer", half)
    assert ledger.verify() is None


# The log


def a_life(ledger: Ledger) -> None:
    """Do a bit of everything."""
    operation_id = begun(ledger).operation_id
    ledger.decide(operation_id, True, by="the user, in a client", now=NOW + 1)
    ledger.claim(operation_id, NOW + 2)
    ledger.finish(operation_id, State.DONE, NOW + 3, receipt={"scheduled_id": "s1", "status": "sent"}, what="sent")
    undo_id = kept(ledger, now=NOW + 4)
    ledger.take_undo("maya", undo_id, NOW + 5)
    ledger.note("eve", "kept as a draft", "save_draft", {"draft_id": "d1", "body": SECRET}, NOW + 6)


def test_the_log_tells_what_happened_and_by_whom_without_any_body(ledger: Ledger) -> None:
    a_life(ledger)
    log = [
        (entry.number, entry.at - NOW, entry.user, entry.what, entry.tool, {**entry.about, "undo_id": None})
        for entry in ledger.entries()
    ]
    assert log == snapshot(
        [
            (
                1,
                0.0,
                "maya",
                "asked",
                "send_email",
                {"to": ["ines@example.com"], "subject": "Offer", "draft_id": "d1", "undo_id": None},
            ),
            (
                2,
                1.0,
                "maya",
                "approved",
                "send_email",
                {
                    "to": ["ines@example.com"],
                    "subject": "Offer",
                    "draft_id": "d1",
                    "by": "the user, in a client",
                    "undo_id": None,
                },
            ),
            (
                3,
                3.0,
                "maya",
                "sent",
                "send_email",
                {
                    "to": ["ines@example.com"],
                    "subject": "Offer",
                    "draft_id": "d1",
                    "scheduled_id": "s1",
                    "undo_id": None,
                },
            ),
            (4, 4.0, "maya", "changed", "move_threads", {"threads": 3, "undo_id": None}),
            (5, 5.0, "maya", "undone", "undo_change", {"undo_id": None}),
            (6, 6.0, "eve", "kept as a draft", "save_draft", {"draft_id": "d1", "undo_id": None}),
        ]
    )
    assert len({entry.operation_id for entry in ledger.entries()}) == 2
    assert SECRET not in str(ledger.entries())


def test_the_log_can_be_read_from_its_end(ledger: Ledger) -> None:
    a_life(ledger)
    assert ledger.entries(limit=2) == ledger.entries()[-2:]
    assert ledger.entries(limit=0) == []


def test_a_log_that_nobody_touched_is_whole(path: Path) -> None:
    with Ledger(path, KEY) as ledger:
        assert ledger.verify() is None
        a_life(ledger)
        assert ledger.verify() is None
    with Ledger(path, KEY) as ledger:
        assert ledger.verify() is None
        a_life(ledger)
        assert ledger.verify() is None


def test_processes_that_write_at_once_raise_no_false_alarm(path: Path) -> None:
    script = f"""
for count in range(50):
    ledger.note("maya", f"process {{number}}", "", {{}}, {NOW})
    problem = ledger.verify() if count % 10 == 0 else None
    assert problem is None, problem
"""
    together(4, script, path)
    with Ledger(path, KEY) as ledger:
        assert sorted(words(ledger)) == sorted(f"process {number}" for number in range(4) for _ in range(50))
        assert path.with_suffix(".head").read_text().split()[0] == "200"
        assert ledger.verify() is None


def test_a_head_that_fell_behind_raises_no_false_alarm(path: Path) -> None:
    head = path.with_suffix(".head")
    with Ledger(path, KEY) as ledger:
        a_life(ledger)
        behind = head.read_bytes()
        a_life(ledger)
        head.write_bytes(behind)  # as if the process had been killed after the commit
        assert ledger.verify() is None
        a_life(ledger)
        assert ledger.verify() is None
        assert head.read_bytes() != behind


def sql(*statements: str) -> Callable[[Path], None]:
    def run(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            for statement in statements:
                database.execute(statement)

    return run


def another_ledger(key: bytes) -> Callable[[Path], None]:
    def put(path: Path) -> None:
        elsewhere = path.parent / "elsewhere" / "ledger.sqlite3"
        with Ledger(elsewhere, key) as ledger:
            a_life(ledger)
        shutil.copy(elsewhere, path)

    return put


def edit_head(path: Path) -> None:
    head = path.with_suffix(".head")
    number, seal, own = head.read_text().split()
    head.write_text(f"{int(number) - 1} {seal} {own}\n")


def cut_log_and_head(path: Path) -> None:
    """Cut the log and let the head name what is the newest entry then, which its own seal does not cover."""
    head = path.with_suffix(".head")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("DELETE FROM entries WHERE number > 3")
        (seal,) = database.execute("SELECT seal FROM entries WHERE number = 3").fetchone()
    head.write_text(f"3 {seal} {head.read_text().split()[2]}\n")


def cut_to_nothing_without_head(path: Path) -> None:
    sql("DELETE FROM entries WHERE number > 1")(path)
    path.with_suffix(".head").unlink()


TAMPERINGS: dict[str, Callable[[Path], None]] = {
    "an entry edited": sql("UPDATE entries SET document = replace(document, 'maya', 'ada') WHERE number = 2"),
    "the newest entry edited": sql("UPDATE entries SET document = replace(document, 'eve', 'ada') WHERE number = 6"),
    "an entry made unreadable": sql("UPDATE entries SET document = CAST(x'ff00ff' AS TEXT) WHERE number = 2"),
    "a seal edited": sql("UPDATE entries SET seal = CAST(x'ff' AS TEXT) WHERE number = 6"),
    "an entry exchanged for nothing": sql("UPDATE entries SET document = '' WHERE number = 2"),
    "two entries swapped": sql(
        "UPDATE entries SET number = -2 WHERE number = 2",
        "UPDATE entries SET number = 2 WHERE number = 3",
        "UPDATE entries SET number = 3 WHERE number = -2",
    ),
    "an entry removed": sql("DELETE FROM entries WHERE number = 2"),
    "an entry removed and the gap closed": sql(
        "DELETE FROM entries WHERE number = 2",
        "UPDATE entries SET number = -number WHERE number > 2",
        "UPDATE entries SET number = -number - 1 WHERE number < 0",
    ),
    "the first entry removed": sql("DELETE FROM entries WHERE number = 1"),
    "the newest entries removed": sql("DELETE FROM entries WHERE number > 4"),
    "all entries removed": sql("DELETE FROM entries"),
    "an entry repeated at the end": sql("INSERT INTO entries SELECT 7, document, seal FROM entries WHERE number = 4"),
    "the table removed": sql("DROP TABLE entries", "CREATE TABLE entries (number INTEGER PRIMARY KEY, document, seal)"),
    "the file removed": Path.unlink,
    "the file of another ledger": another_ledger(b"another key"),
    "the file of another ledger under the same key": another_ledger(KEY),
    "the head removed": lambda path: path.with_suffix(".head").unlink(),
    "the head emptied": lambda path: os.truncate(path.with_suffix(".head"), 0),
    "the head edited": edit_head,
    "the log cut and the head with it": cut_log_and_head,
    "the log cut to its first entry and the head removed": cut_to_nothing_without_head,
}


def test_whatever_is_done_to_the_log_is_noticed_then_and_ever_after(path: Path) -> None:
    noticed: dict[str, tuple[str | None, str | None]] = {}
    for name, tamper in TAMPERINGS.items():
        shutil.rmtree(path.parent, ignore_errors=True)
        with Ledger(path, KEY) as ledger:
            a_life(ledger)
            assert len(ledger.entries()) == 6
        tamper(path)
        with Ledger(path, KEY) as ledger:
            at_once = ledger.verify()
            a_life(ledger)
            a_life(ledger)
            later = ledger.verify()
        with Ledger(path, KEY) as ledger:
            assert ledger.verify() == later
        assert at_once and later, name
        noticed[name] = (at_once, later)
    assert noticed == snapshot(
        {
            "an entry edited": (
                "Entry 2 of the log is not as it was written, or is sealed with another key.",
                "Entry 2 of the log is not as it was written, or is sealed with another key.",
            ),
            "the newest entry edited": (
                "Entry 6 of the log is not as it was written, or is sealed with another key.",
                "Entry 6 of the log is not as it was written, or is sealed with another key.",
            ),
            "an entry made unreadable": (
                "Entry 2 of the log is not as it was written, or is sealed with another key.",
                "Entry 2 of the log is not as it was written, or is sealed with another key.",
            ),
            "a seal edited": (
                "Entry 6 of the log is not as it was written, or is sealed with another key.",
                "Entry 6 of the log is not as it was written, or is sealed with another key.",
            ),
            "an entry exchanged for nothing": (
                "Entry 2 of the log is not as it was written, or is sealed with another key.",
                "Entry 2 of the log is not as it was written, or is sealed with another key.",
            ),
            "two entries swapped": (
                "Entry 2 of the log is not as it was written, or is sealed with another key.",
                "Entry 2 of the log is not as it was written, or is sealed with another key.",
            ),
            "an entry removed": ("Entry 2 of the log is missing.", "Entry 2 of the log is missing."),
            "an entry removed and the gap closed": (
                "Entry 2 of the log is not as it was written, or is sealed with another key.",
                "Entry 2 of the log is not as it was written, or is sealed with another key.",
            ),
            "the first entry removed": ("Entry 1 of the log is missing.", "Entry 1 of the log is missing."),
            "the newest entries removed": (
                "The log once had 6 entries, and they are not there as they were.",
                "Noticed when entry 5 was written: The log once had 6 entries, and they are not there as they were.",
            ),
            "all entries removed": (
                "The log once had 6 entries, and they are not there as they were.",
                "Noticed when entry 1 was written: The log once had 6 entries, and they are not there as they were.",
            ),
            "an entry repeated at the end": (
                "Entry 7 of the log is not as it was written, or is sealed with another key.",
                "Entry 7 of the log is not as it was written, or is sealed with another key.",
            ),
            "the table removed": (
                "The log once had 6 entries, and they are not there as they were.",
                "Noticed when entry 1 was written: The log once had 6 entries, and they are not there as they were.",
            ),
            "the file removed": (
                "The log once had 6 entries, and they are not there as they were.",
                "Noticed when entry 1 was written: The log once had 6 entries, and they are not there as they were.",
            ),
            "the file of another ledger": (
                "Entry 1 of the log is not as it was written, or is sealed with another key.",
                "Entry 1 of the log is not as it was written, or is sealed with another key.",
            ),
            "the file of another ledger under the same key": (
                "The log once had 6 entries, and they are not there as they were.",
                "Noticed when entry 7 was written: The log once had 6 entries, and they are not there as they were.",
            ),
            "the head removed": (
                "ledger.head, which names the newest entry, is missing.",
                "Noticed when entry 7 was written: ledger.head, which names the newest entry, is missing.",
            ),
            "the head emptied": (
                "ledger.head, which names the newest entry, is not as it was left.",
                "Noticed when entry 7 was written: ledger.head, which names the newest entry, is not as it was left.",
            ),
            "the head edited": (
                "ledger.head, which names the newest entry, is not as it was left.",
                "Noticed when entry 7 was written: ledger.head, which names the newest entry, is not as it was left.",
            ),
            "the log cut and the head with it": (
                "ledger.head, which names the newest entry, is not as it was left.",
                "Noticed when entry 4 was written: ledger.head, which names the newest entry, is not as it was left.",
            ),
            "the log cut to its first entry and the head removed": (
                "ledger.head, which names the newest entry, is missing.",
                "Noticed when entry 2 was written: ledger.head, which names the newest entry, is missing.",
            ),
        }
    )


def test_what_was_noticed_cannot_be_hidden_by_removing_the_notice(path: Path) -> None:
    with Ledger(path, KEY) as ledger:
        a_life(ledger)
    sql("DELETE FROM entries WHERE number > 5")(path)
    with Ledger(path, KEY) as ledger:
        a_life(ledger)
        assert words(ledger)[5] == "log broken"
    sql("DELETE FROM entries WHERE number > 5")(path)
    with Ledger(path, KEY) as ledger:
        assert ledger.verify() == snapshot("The log once had 9 entries, and they are not there as they were.")


def test_a_log_is_not_whole_under_another_key(path: Path) -> None:
    with Ledger(path, KEY) as ledger:
        a_life(ledger)
    with Ledger(path, b"another key") as ledger:
        assert ledger.verify() == snapshot(
            "Entry 1 of the log is not as it was written, or is sealed with another key."
        )


def test_an_entry_that_was_made_unreadable_does_not_hide_the_others(path: Path) -> None:
    with Ledger(path, KEY) as ledger:
        a_life(ledger)
        whole = ledger.entries()
    TAMPERINGS["an entry made unreadable"](path)
    with Ledger(path, KEY) as ledger:
        entries = ledger.entries()
    assert entries[1].what == "unreadable"
    assert [*entries[:1], *entries[2:]] == [*whole[:1], *whole[2:]]


KILLED = f"""
import os

def kill_at(last):
    touched = 0
    def hook(event, arguments):
        nonlocal touched
        touched += any("ledger." in str(argument) for argument in arguments)
        if touched == last:
            os._exit(9)
    sys.addaudithook(hook)

def begin(ledger):
    request = Request("maya", "send_email", "send", "offer", {{}}, {{"body": ["text"]}})
    return ledger.begin(request, now={NOW}, until={NOW + MINUTE})

def run(place):
    with Ledger(place, {KEY!r}) as ledger:
        operation_id = begin(ledger).operation_id
        ledger.decide(operation_id, True, by="the user", now={NOW})
        if ledger.claim(operation_id, {NOW}):
            os.write(1, b"carried out, ")
            ledger.finish(operation_id, "done", {NOW}, what="sent")
    os._exit(0)

last, status = 0, 9
while status:
    last += 1
    place = path.parent / str(last) / path.name
    child = os.fork()
    if not child:
        kill_at(last)
        run(place)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with Ledger(place, {KEY!r}) as ledger:
        assert ledger.verify() is None, (last, ledger.verify())
        operation = begin(ledger)
        print(operation.state)
        ledger.decide(operation.operation_id, True, by="the user", now={NOW})
        assert ledger.claim(operation.operation_id, {NOW}) == (operation.state in ("asked", "approved")), last
        assert ledger.verify() is None, (last, ledger.verify())
"""


def test_killed_at_any_moment_the_log_is_whole_and_nothing_is_carried_out_twice(path: Path) -> None:
    path.parent.mkdir()
    (printed,) = together(1, KILLED, path)
    assert list(dict.fromkeys(printed.splitlines())) == snapshot(
        ["asked", "approved", "carried out, claimed", "carried out, done"]
    )
