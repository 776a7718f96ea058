"""The key that outlives the process: one for all who ask, whole, and nobody else's."""

import resource
import stat
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from inline_snapshot import snapshot

from salesos_inbox.approval import sealing
from salesos_inbox.approval.sealing import KEY_FILE, derived, read_key
from salesos_inbox.errors import Unavailable

AT_ONCE = 8


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refusal(state_dir: Path) -> str:
    """Return in which words no key is had, without the directory's name."""
    with pytest.raises(Unavailable) as refused:
        read_key(state_dir)
    return str(refused.value).replace(str(state_dir), "STATE")


def test_the_key_is_made_once_and_is_the_same_after_a_restart(tmp_path: Path) -> None:
    state_dir = tmp_path / "new" / "state"
    key = read_key(state_dir)
    assert len(key) == 32
    assert read_key(state_dir) == key
    assert read_key(tmp_path / "another") != key


def test_the_key_and_its_directory_are_for_its_user_alone(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    read_key(state_dir)
    assert [path.name for path in state_dir.iterdir()] == [KEY_FILE]
    assert (mode_of(state_dir), mode_of(state_dir / KEY_FILE)) == (0o700, 0o600)


def test_a_directory_that_was_there_before_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    read_key(tmp_path)
    assert mode_of(tmp_path) == 0o755


def test_a_key_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    key = read_key(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    assert read_key(tmp_path) == key
    assert mode_of(tmp_path / KEY_FILE) == 0o600


def test_servers_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    barrier = Barrier(AT_ONCE)

    def start(state_dir: Path) -> bytes:
        barrier.wait()
        return read_key(state_dir)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for attempt in range(50):
            state_dir = tmp_path / str(attempt)
            assert len(set(pool.map(start, [state_dir] * AT_ONCE))) == 1
            assert [path.name for path in state_dir.iterdir()] == [KEY_FILE]


def test_the_server_that_comes_second_takes_the_key_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = sealing.os.urandom

    def made_after_another(size: int) -> bytes:
        monkeypatch.setattr(sealing.os, "urandom", made)
        firsts.append(read_key(tmp_path))
        return made(size)

    firsts: list[bytes] = []
    monkeypatch.setattr(sealing.os, "urandom", made_after_another)
    assert [read_key(tmp_path)] == firsts
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


@pytest.mark.parametrize("size", [0, 31, 33, 100_000])
def test_a_file_that_is_no_key_is_left_alone(size: int, tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_bytes(b"x" * size)
    assert refusal(tmp_path) == snapshot(
        "STATE/protocol.key does not hold a key of this server: move it away, and a new one is made."
    )
    assert (tmp_path / KEY_FILE).stat().st_size == size


@contextmanager
def full_disk() -> Generator[None]:
    """Let this process write no more bytes to any file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_on_a_full_disk_no_key_is_made_and_no_part_of_one_stays(tmp_path: Path) -> None:
    with full_disk():
        words = refusal(tmp_path)
    assert words == snapshot(
        "No key can be kept in STATE (File too large): see to it that this user can write there, "
        "or set SALESOS_STATE_DIR to another directory."
    )
    assert [*tmp_path.iterdir()] == []
    assert len(read_key(tmp_path)) == 32


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert refusal(tmp_path / "file" / "state") == snapshot(
        "No key can be kept in STATE (Not a directory): see to it that this user can write there, "
        "or set SALESOS_STATE_DIR to another directory."
    )


def test_a_key_that_cannot_be_closed_to_others_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_key(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)

    def another_owner(descriptor: int, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(sealing.os, "fchmod", another_owner)  # for root, all files are its own
    assert refusal(tmp_path) == snapshot(
        "STATE/protocol.key can be read by other users: make it this user's own with mode 600, or move it away."
    )


def test_a_derived_key_is_that_of_rfc_5869() -> None:
    """Appendix A.3: the pseudorandom key, no info, the first block."""
    key = bytes.fromhex("19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04")
    assert derived(key, "").hex() == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"


@pytest.mark.parametrize("purpose", ["protocol state", "activity log", "Überweisung"])
def test_each_purpose_has_a_key_of_its_own(purpose: str) -> None:
    key = bytes(range(32))
    assert derived(key, purpose) == HKDFExpand(SHA256(), 32, purpose.encode()).derive(key)
    assert derived(key, purpose) != derived(key, f"{purpose}s")
    assert derived(key, purpose) != derived(key[::-1], purpose)
