"""An approval counts once and an undo is the user's own, over objects, processes and restarts."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness import open_office
from salesos_inbox.approval.ledger import UNDO_DAYS, Ledger, Step
from salesos_inbox.errors import Conflict, NotFound, Unavailable

NOW = 1_800_000_000.0
DAY = 86400.0
STEPS = [
    Step("move", ("t1", "t2"), folder="inbox"),
    Step("set_follow_up", ("t3",), remind_at="2026-12-01T09:00:00+00:00", note="Prüfen"),
    Step("link", ("t3",), record_type="lead", record_id="l1"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path) as ledger:
        yield ledger


# Claims


def test_an_operation_is_claimed_once(ledger: Ledger) -> None:
    assert [ledger.claim("a", NOW), ledger.claim("a", NOW), ledger.claim("b", NOW)] == [True, False, True]


def test_an_operation_is_claimed_once_over_two_ledgers_on_one_file(path: Path) -> None:
    with Ledger(path) as one, Ledger(path) as other:
        assert [one.claim("a", NOW), other.claim("a", NOW), other.claim("b", NOW), one.claim("b", NOW)] == [
            True,
            False,
            True,
            False,
        ]


def test_an_operation_stays_claimed_after_a_restart(path: Path) -> None:
    with Ledger(path) as ledger:
        assert ledger.claim("a", NOW)
    with Ledger(path) as ledger:
        assert not ledger.claim("a", NOW + 400 * DAY)


CLAIM = """
import sys
from pathlib import Path
from salesos_inbox.approval.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
sys.stdin.readline()
print(*(number for number in range(100) if ledger.claim(f"operation {number}", 0.0)))
"""


def test_an_operation_is_claimed_once_over_processes(path: Path) -> None:
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", CLAIM, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(4)
        ]
        for process in processes:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        claimed = [number for process in processes for number in process.communicate(timeout=60)[0].split()]
    assert [process.returncode for process in processes] == [0] * 4
    assert sorted(map(int, claimed)) == list(range(100))


def test_a_ledger_in_memory_needs_no_file() -> None:
    with Ledger() as one, Ledger() as other:
        assert [one.claim("a", NOW), one.claim("a", NOW), other.claim("a", NOW)] == [True, False, True]


# Undo


def test_an_undo_hands_its_steps_out_once(ledger: Ledger) -> None:
    undo_id = ledger.keep_undo("maya", STEPS, NOW)
    assert ledger.take_undo("maya", undo_id, NOW) == STEPS
    with pytest.raises(Conflict, match="undone before"):
        ledger.take_undo("maya", undo_id, NOW)


def test_an_undo_belongs_to_the_user_who_made_the_change(ledger: Ledger) -> None:
    undo_id = ledger.keep_undo("maya", STEPS, NOW)
    with pytest.raises(NotFound):
        ledger.take_undo("eve", undo_id, NOW)
    ledger.release_undo("eve", undo_id)
    assert ledger.take_undo("maya", undo_id, NOW) == STEPS
    with pytest.raises(NotFound):
        ledger.take_undo("eve", undo_id, NOW)


def test_an_id_that_was_never_handed_out_is_not_found(ledger: Ledger) -> None:
    with pytest.raises(NotFound, match="use the one that the answer of a change handed out"):
        ledger.take_undo("maya", "undo_0", NOW)


def test_an_undo_that_could_not_be_carried_out_can_be_tried_again(ledger: Ledger) -> None:
    undo_id = ledger.keep_undo("maya", STEPS, NOW)
    ledger.take_undo("maya", undo_id, NOW)
    ledger.release_undo("maya", undo_id)
    assert ledger.take_undo("maya", undo_id, NOW) == STEPS


def test_an_undo_is_kept_over_a_restart(path: Path) -> None:
    with Ledger(path) as ledger:
        undo_id = ledger.keep_undo("maya", STEPS, NOW)
    with Ledger(path) as ledger:
        assert ledger.take_undo("maya", undo_id, NOW) == STEPS


def test_an_undo_is_taken_once_over_two_ledgers(path: Path) -> None:
    with Ledger(path) as one, Ledger(path) as other:
        undo_id = one.keep_undo("maya", STEPS, NOW)
        assert other.take_undo("maya", undo_id, NOW) == STEPS
        with pytest.raises(Conflict):
            one.take_undo("maya", undo_id, NOW)


def test_undo_ids_are_long_and_never_the_same(ledger: Ledger) -> None:
    ids = {ledger.keep_undo("maya", STEPS, NOW) for _ in range(100)}
    assert len(ids) == 100
    assert {len(undo_id) for undo_id in ids} == {len("undo_") + 16}


@pytest.mark.parametrize(("days", "kept"), [(UNDO_DAYS - 1, True), (UNDO_DAYS + 1, False)])
def test_an_undo_is_forgotten_after_30_days(ledger: Ledger, days: float, kept: bool) -> None:
    undo_id = ledger.keep_undo("maya", STEPS, NOW)
    later = NOW + days * DAY
    ledger.keep_undo("maya", STEPS, later)
    if kept:
        assert ledger.take_undo("maya", undo_id, later) == STEPS
    else:
        with pytest.raises(NotFound):
            ledger.take_undo("maya", undo_id, later)


# The file


def test_the_ledger_is_readable_by_its_owner_alone(ledger: Ledger, path: Path) -> None:
    ledger.claim("a", NOW)
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir()} == {
        "ledger.sqlite3": "0o600",
        "ledger.sqlite3-wal": "0o600",
        "ledger.sqlite3-shm": "0o600",
    }
    assert oct(path.parent.stat().st_mode & 0o777) == "0o700"


def test_a_ledger_that_others_could_read_is_closed_to_them(path: Path) -> None:
    path.parent.mkdir()
    path.touch(mode=0o644)
    with Ledger(path) as ledger:
        ledger.claim("a", NOW)
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_before_it_is_needed(path: Path) -> None:
    with Ledger(path):
        pass
    assert not path.parent.exists()


def test_a_directory_that_cannot_be_written_is_named_and_nothing_happens(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with Ledger(tmp_path / "file" / "ledger.sqlite3") as ledger:
        for _ in range(2):
            with pytest.raises(Unavailable, match="nothing was changed: ask the user to check that SALESOS_STATE_DIR"):
                ledger.claim("a", NOW)


@pytest.mark.parametrize("content", [b"this is no database, however long it may be" * 50, b"SQLite format 3\x00" * 99])
def test_a_damaged_ledger_is_told_and_left_as_it_is(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with Ledger(path) as ledger:
        with pytest.raises(Unavailable, match="SALESOS_STATE_DIR"):
            ledger.claim("a", NOW)
        with pytest.raises(Unavailable):
            ledger.keep_undo("maya", STEPS, NOW)
    assert path.read_bytes() == content


def test_a_ledger_that_is_a_directory_is_told(path: Path) -> None:
    path.mkdir(parents=True)
    with Ledger(path) as ledger, pytest.raises(Unavailable):
        ledger.claim("a", NOW)


def test_a_ledger_of_another_shape_is_told(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE claims (something TEXT)")
    other.close()
    with Ledger(path) as ledger, pytest.raises(Unavailable):
        ledger.claim("a", NOW)


# From a tool


@pytest.mark.anyio
async def test_a_change_that_cannot_be_noted_is_still_said_to_have_happened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    async with open_office(ledger=Ledger(tmp_path / "file" / "ledger.sqlite3")) as office:
        thread_id = (await office.thread_ids())[0]
        answer = await office.call("archive_threads", thread_ids=[thread_id])
        assert office.store.thread(office.user_id, thread_id).folder == "archive"
        assert answer["results"] == [{"outcome": "done", "thread_ids": [thread_id]}]
        assert "undo_id" not in answer
