"""Where the ledger cannot be kept that is said in clear words, nothing is done, and it works again afterwards."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from harness import open_office
from salesos_inbox.approval.ledger import Ledger, Operation, Request, State, Step
from salesos_inbox.errors import Unavailable

NOW = 1_800_000_000.0
MINUTE = 60.0
KEY = b"k" * 32
SECONDS = 600
"""How long a process may take before a test gives up on it; nothing fails because the machine is slow."""
NOBODY = 65534

DAMAGED = (
    "The server's ledger is damaged or belongs to something else, so nothing was done: ask the user to "
    "move the files ledger.* out of SALESOS_STATE_DIR; what was sent and could be undone before is "
    "recorded only there."
)
NEWER = (
    "The server's ledger was written by a newer version of this server, so nothing was done: ask the "
    "user to start that version, or to set SALESOS_STATE_DIR to another directory."
)
BUSY = "Another program holds the server's ledger, so nothing was done: call again in a minute."
FULL = (
    "The disk is full and the server cannot keep its ledger, so nothing was done: ask the user to make "
    "room, then call again."
)
UNUSABLE = (
    "The server cannot keep its ledger, so nothing was done: ask the user to check that "
    "SALESOS_STATE_DIR can be written to and has room."
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite3"


def begun(ledger: Ledger, content: str = "offer") -> Operation:
    about = {"to": ["ines@example.com"], "subject": "Offer"}
    request = Request("maya", "send_email", "send", content, about, {"title": "Send this email?"})
    return ledger.begin(request, now=NOW, until=NOW + 2 * MINUTE)


def approved(ledger: Ledger, content: str) -> str:
    operation_id = begun(ledger, content).operation_id
    ledger.decide(operation_id, True, by="the user", now=NOW)
    return operation_id


USES: dict[str, Callable[[Ledger, str], object]] = {
    "begin": lambda ledger, operation_id: begun(ledger, "another"),
    "read": lambda ledger, operation_id: ledger.read(operation_id),
    "attempted": lambda ledger, operation_id: ledger.attempted("maya", "offer", NOW),
    "sent_draft": lambda ledger, operation_id: ledger.sent_draft("maya", "d1", NOW),
    "unfinished": lambda ledger, operation_id: ledger.unfinished("maya", NOW),
    "known_messages": lambda ledger, operation_id: ledger.known_messages("maya"),
    "waiting": lambda ledger, operation_id: ledger.waiting("maya", NOW),
    "put_on_page": lambda ledger, operation_id: ledger.put_on_page(operation_id, NOW),
    "decide": lambda ledger, operation_id: ledger.decide(operation_id, True, by="the user", now=NOW),
    "give_up": lambda ledger, operation_id: ledger.give_up(operation_id, NOW),
    "expire": lambda ledger, operation_id: ledger.expire(operation_id, NOW),
    "tell": lambda ledger, operation_id: ledger.tell(operation_id),
    "claim": lambda ledger, operation_id: ledger.claim(operation_id, NOW),
    "finish": lambda ledger, operation_id: ledger.finish(operation_id, State.DONE, NOW, what="sent"),
    "sends_since": lambda ledger, operation_id: ledger.sends_since("maya", NOW),
    "keep_draft": lambda ledger, operation_id: ledger.keep_draft("maya", "offer", "d1"),
    "kept_draft": lambda ledger, operation_id: ledger.kept_draft("maya", "offer"),
    "keep_undo": lambda ledger, operation_id: ledger.keep_undo(
        "maya", [Step("star", ("t1",))], NOW, tool="star_threads"
    ),
    "read_undo": lambda ledger, operation_id: ledger.read_undo("maya", "undo_0", NOW),
    "take_undo": lambda ledger, operation_id: ledger.take_undo("maya", "undo_0", NOW),
    "untold_undo": lambda ledger, operation_id: ledger.untold_undo("maya", "a plan", NOW),
    "note": lambda ledger, operation_id: ledger.note("maya", "noted", "", {}, NOW),
    "entries": lambda ledger, operation_id: ledger.entries(),
    "verify": lambda ledger, operation_id: ledger.verify(),
}


def words_of(ledger: Ledger, operation_id: str = "none") -> str:
    """Return the sentence in which every use of a ledger in trouble fails."""
    said: set[str] = set()
    for name, use in USES.items():
        with pytest.raises(Unavailable) as raised:
            use(ledger, operation_id)
            pytest.fail(f"{name} did not mind")
        said.add(str(raised.value))
    ledger.prolong(operation_id, NOW)  # which must not interrupt what is at work
    (sentence,) = said
    return sentence


# A file that is no ledger, or not a whole one


def a_ledger(path: Path) -> None:
    with Ledger(path, KEY) as ledger:
        for number in range(60):
            begun(ledger, f"message {number}")


def with_page_replaced(content: bytes) -> bytes:
    size = int.from_bytes(content[16:18], "big")
    middle = len(content) // size // 2 * size
    return content[:middle] + random.Random(3).randbytes(size) + content[middle + size :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "random bytes": lambda content: random.Random(1).randbytes(len(content)),
    "text": lambda content: b"this is no database, however long it may be" * 50,
    "the head of a database and no more": lambda content: b"SQLite format 3\x00" * 99,
    "the first half": lambda content: content[: len(content) // 2],
    "the first half page": lambda content: content[:2000],
    "a page in the middle": with_page_replaced,
    "an index that misses a row": lambda content: content.replace(b"mayamessage 17", b"mayamessage 77"),
    "the last page empty": lambda content: content[:-4096] + bytes(4096),
    "all but the first page empty": lambda content: content[:4096] + bytes(len(content) - 4096),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_ledger_is_told_and_left_as_it_is_and_a_restored_one_is_used_again(path: Path, damage: str) -> None:
    a_ledger(path)
    whole = path.read_bytes()
    damaged = DAMAGES[damage](whole)
    path.write_bytes(damaged)
    with Ledger(path, KEY) as ledger:
        assert words_of(ledger) == DAMAGED
        assert path.read_bytes() == damaged
        path.write_bytes(whole)
        assert len(ledger.entries()) == 60
        assert begun(ledger).state is State.ASKED
        assert ledger.verify() is None


def test_a_damaged_ledger_can_be_moved_away_and_a_new_one_begins(path: Path) -> None:
    a_ledger(path)
    path.write_bytes(b"damaged" * 1000)
    with Ledger(path, KEY) as ledger:
        assert words_of(ledger) == DAMAGED
        for file in path.parent.glob("ledger.*"):
            file.rename(path.parent / f"old {file.name}")
        assert begun(ledger).state is State.ASKED
        assert ledger.verify() is None


ROW_DAMAGES = {
    "state": "UPDATE operations SET state = 'claimee' WHERE operation_id = ?",
    "about": "UPDATE operations SET about = substr(about, 2) WHERE operation_id = ?",
    "receipt": "UPDATE operations SET receipt = '{' WHERE operation_id = ?",
    "text": "UPDATE operations SET user = CAST(x'ff' AS TEXT) WHERE operation_id = ?",
}


@pytest.mark.parametrize("damage", ROW_DAMAGES)
def test_a_damaged_row_of_a_whole_file_is_told(path: Path, damage: str) -> None:
    with Ledger(path, KEY) as ledger:
        operation_id = approved(ledger, "offer")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute(ROW_DAMAGES[damage], (operation_id,))
        with pytest.raises(Unavailable) as raised:
            ledger.read(operation_id)
        assert str(raised.value) == DAMAGED


def test_damaged_steps_of_an_undo_are_told_and_the_undo_is_not_used_up(path: Path) -> None:
    steps = [Step("star", ("t1",))]
    with Ledger(path, KEY) as ledger:
        undo_id = ledger.keep_undo("maya", steps, NOW, tool="star_threads")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            (whole,) = other.execute("SELECT steps FROM undos").fetchone()
            other.execute("UPDATE undos SET steps = '[{}]'")
            with pytest.raises(Unavailable, match="damaged"):
                ledger.take_undo("maya", undo_id, NOW)
            other.execute("UPDATE undos SET steps = ?", (whole,))
        assert ledger.take_undo("maya", undo_id, NOW) == steps


@pytest.mark.parametrize("statement", ["CREATE TABLE letters (text)", "PRAGMA application_id = 7"])
def test_a_database_of_something_else_is_told_and_not_touched(path: Path, statement: str) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(statement)
    path.chmod(0o644)
    before = path.read_bytes()
    with Ledger(path, KEY) as ledger:
        assert words_of(ledger) == DAMAGED
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (before, 0o644)


def test_a_ledger_of_a_newer_version_is_told_and_not_touched(path: Path) -> None:
    a_ledger(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA user_version = 2")
    before = path.read_bytes()
    with Ledger(path, KEY) as ledger:
        assert words_of(ledger) == NEWER
    assert path.read_bytes() == before


def test_a_ledger_without_one_of_its_tables_is_told(path: Path) -> None:
    a_ledger(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("DROP TABLE operations")
    with Ledger(path, KEY) as ledger, pytest.raises(Unavailable) as raised:
        begun(ledger)
    assert str(raised.value) == DAMAGED


def test_a_directory_in_its_place_is_told_and_not_touched(path: Path) -> None:
    path.mkdir(parents=True, mode=0o755)
    with Ledger(path, KEY) as ledger:
        assert words_of(ledger) == DAMAGED
        assert path.stat().st_mode & 0o777 == 0o755
        path.rmdir()
        assert begun(ledger).state is State.ASKED


def test_a_file_in_the_place_of_its_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with Ledger(tmp_path / "file" / "ledger.sqlite3", KEY) as ledger:
        assert words_of(ledger) == UNUSABLE
        (tmp_path / "file").unlink()
        assert begun(ledger).state is State.ASKED


# A file that is moved or replaced while it is used


def test_when_its_file_is_moved_away_a_running_server_begins_a_new_one_as_every_other_does(path: Path) -> None:
    with Ledger(path, KEY) as running:
        first = approved(running, "offer")
        path.rename(path.with_name("elsewhere"))
        with Ledger(path, KEY) as other:
            second = begun(other)
            assert second.operation_id != first
            assert not running.claim(first, NOW)
            assert begun(running) == second
            assert (
                running.verify()
                == other.verify()
                == snapshot(
                    "Noticed when entry 1 was written: The log once had 2 entries, and they are not there as they were."
                )
            )


def test_a_file_that_is_damaged_while_it_is_used_is_told_once_it_is_opened_anew(path: Path) -> None:
    a_ledger(path)
    whole = path.read_bytes()
    with Ledger(path, KEY) as ledger:
        ledger.entries()
        (path.parent / "damaged").write_bytes(b"damaged" * 1000)
        (path.parent / "damaged").replace(path)
        assert words_of(ledger) == DAMAGED
        path.write_bytes(whole)
        assert ledger.verify() is None


# A file that another process holds


@pytest.mark.parametrize("is_open", [False, True])
def test_a_ledger_that_another_program_holds_is_told_and_works_once_it_is_free(path: Path, is_open: bool) -> None:
    with Ledger(path, KEY) as other:
        operation_id = approved(other, "offer")
    with (
        Ledger(path, KEY, patience=0.01) as ledger,
        closing(sqlite3.connect(path, isolation_level=None)) as holder,
    ):
        if is_open:
            assert len(ledger.entries()) == 2
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable) as raised:
            ledger.claim(operation_id, NOW)
        assert str(raised.value) == BUSY
        holder.execute("ROLLBACK")
        assert ledger.claim(operation_id, NOW)
        assert ledger.verify() is None


def test_a_ledger_is_waited_for_from_its_first_use_on(path: Path) -> None:
    path.parent.mkdir()
    with (
        Ledger(path, KEY, patience=SECONDS) as ledger,
        closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as holder,
    ):
        holder.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.1, holder.rollback)
        release.start()
        assert begun(ledger).state is State.ASKED
        release.join()


def test_what_is_only_read_does_not_wait_for_who_writes(path: Path) -> None:
    with Ledger(path, KEY, patience=0.01) as ledger, Ledger(path, KEY) as other:
        operation = begun(other)
        assert ledger.read(operation.operation_id) == operation
        with closing(sqlite3.connect(path, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            assert ledger.read(operation.operation_id) == operation
            assert ledger.verify() is None
            holder.execute("ROLLBACK")


# A disk that is full, and one that cannot be written to


SCRIPT = f"""
import os, sys
from pathlib import Path
from salesos_inbox.approval.ledger import Ledger, Request
from salesos_inbox.errors import Unavailable

path = Path(sys.argv[1])
ledger = Ledger(path, {KEY!r})

def begin(content):
    request = Request("maya", "send_email", "send", content, {{}}, {{"body": ["text" * 1000]}})
    return ledger.begin(request, now={NOW}, until={NOW + MINUTE})

def fails(content):
    try:
        begin(content)
    except Unavailable as error:
        print(error)
        return True
    return False
"""

FILL = f"""
def fill():
    with (path.parent / "filling").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 512)
        except OSError:
            pass

if sys.argv[2] == "from the start":
    fill()
    assert fails("none")
else:
    kept = begin("kept")
    fill()
    full = next(number for number in range(100) if fails(str(number)))
    assert ledger.read(kept.operation_id) == kept
    asked = [entry.operation_id for entry in ledger.entries()]
    for _ in range(3):
        assert fails("again")
    assert [entry.operation_id for entry in ledger.entries()] == asked
    assert len(asked) == full + 1
    assert ledger.verify() is None
    ledger.prolong(kept.operation_id, {NOW})
(path.parent / "filling").unlink()
operation = begin("after")
assert ledger.decide(operation.operation_id, True, by="the user", now={NOW}).state == "approved"
assert ledger.claim(operation.operation_id, {NOW})
assert ledger.verify() is None
print("works again")
"""


def small_disk(directory: Path) -> list[str]:
    """Return a command that runs another one with a small disk of its own mounted at `directory`; skips without."""
    mount = f'mount -t tmpfs -o size=256k none "{directory}" && exec "$@"'
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a disk of their own")
    return command


@pytest.mark.parametrize("since", ["from the start", "while it is used"])
def test_a_full_disk_is_told_and_nothing_is_half_recorded(tmp_path: Path, since: str) -> None:
    command = [*small_disk(tmp_path), sys.executable, "-c", SCRIPT + FILL, str(tmp_path / "ledger.sqlite3"), since]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) == {FULL, "works again"}


READ_ONLY = f"""
if sys.argv[3]:
    os.setuid(int(sys.argv[3]))
directory = path.parent
if sys.argv[2] == "existing":
    begin("before")
    ledger.close()
directory.chmod(0o500)
assert fails("a") and fails("b")
directory.chmod(0o700)
operation = begin("after")
assert ledger.decide(operation.operation_id, True, by="the user", now={NOW}).state == "approved"
assert ledger.claim(operation.operation_id, {NOW})
assert ledger.verify() is None
print(*(entry.what for entry in ledger.entries()))
"""


@pytest.fixture
def directory_of_another() -> Iterator[Path]:
    """A directory of the user that the scripts run as: nothing is read-only for root."""
    with tempfile.TemporaryDirectory() as name:
        if not os.getuid():
            os.chown(name, NOBODY, NOBODY)
        yield Path(name)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions of this kind are those of POSIX")
@pytest.mark.parametrize(("which", "log"), [("missing", "asked approved"), ("existing", "asked asked approved")])
def test_a_directory_that_cannot_be_written_to_is_told_and_nothing_is_recorded(
    directory_of_another: Path, which: str, log: str
) -> None:
    path, user = directory_of_another / "ledger.sqlite3", "" if os.getuid() else str(NOBODY)
    command = [sys.executable, "-c", SCRIPT + READ_ONLY, str(path), which, user]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [UNUSABLE, UNUSABLE, log]


# From a tool


def in_the_way(path: Path) -> None:
    path.mkdir(parents=True)


def damaged(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"damaged" * 1000)


def newer(path: Path) -> None:
    a_ledger(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA user_version = 2")


@pytest.mark.anyio
@pytest.mark.parametrize("trouble", [in_the_way, damaged, newer])
async def test_without_a_ledger_nobody_is_asked_and_nothing_leaves(path: Path, trouble: Callable[[Path], None]) -> None:
    trouble(path)
    async with open_office(ledger=Ledger(path, KEY)) as office:
        thread_id = (await office.thread_ids())[0]
        said = [
            await office.refusal("send_email", to=["ines@example.com"], subject="Offer", body="Hello"),
            await office.refusal("delete_threads", thread_ids=[thread_id]),
        ]
        assert office.wire.writes() == []
        assert office.person.cards == []
    assert all((NEWER if trouble is newer else DAMAGED) in text for text in said), said


@pytest.mark.anyio
async def test_a_change_that_cannot_be_noted_is_still_said_to_have_happened(path: Path) -> None:
    damaged(path)
    async with open_office(ledger=Ledger(path, KEY)) as office:
        thread_id = (await office.thread_ids())[0]
        answer = await office.call("archive_threads", thread_ids=[thread_id])
        assert office.store.thread(office.user_id, thread_id).folder == "archive"
        assert answer["results"] == [{"outcome": "done", "thread_ids": [thread_id]}]
        assert "undo_id" not in answer
