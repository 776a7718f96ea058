"""Where a token or key comes from, where a renewed one goes, and who else can read it."""

import logging
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from keyring import get_keyring, set_keyring
from keyring.backend import KeyringBackend
from keyring.backends.null import Keyring as NoKeyring
from keyring.compat.properties import classproperty
from keyring.errors import KeyringLocked

from processes import environment
from salesos_inbox.client.credentials import (
    SERVICE,
    Credential,
    Environment,
    KeptFile,
    KeyringEntry,
    TokenFile,
    keep,
    kept_entries,
    read_secret,
    with_credentials,
)
from salesos_inbox.errors import InvalidArguments, Refused, Unavailable
from salesos_inbox.settings import Settings

TOKEN = Credential("tok.en.1")
NEWER = Credential("tok.en.2")
KEY = Credential("sk_1", is_key=True)
SERVICE_AT = "https://api.salesos.org/v1"


class Keyring(KeyringBackend):
    """A keyring that keeps its entries in memory, and can be locked."""

    @classproperty
    def priority(cls) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        return 5

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked(f"locked: {self.entries}")
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise KeyringLocked(f"locked: {password}")
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[service, username]


@pytest.fixture
def in_use() -> Iterator[Callable[[KeyringBackend], None]]:
    """Make a keyring the system's."""
    before = get_keyring()
    yield set_keyring
    set_keyring(before)


@pytest.fixture
def keyring(in_use: Callable[[KeyringBackend], None]) -> Keyring:
    """The system's keyring."""
    keyring = Keyring()
    in_use(keyring)
    return keyring


@pytest.fixture
def no_keyring(in_use: Callable[[KeyringBackend], None]) -> None:
    """A system without one."""
    in_use(NoKeyring())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# The order


@pytest.mark.parametrize(
    ("settings", "name"),
    [(Settings(token="tok.en.1"), "SALESOS_TOKEN"), (Settings(api_key="sk_1"), "SALESOS_API_KEY")],
)
def test_a_credential_of_the_environment_goes_first_and_no_other_place_is_looked_into(
    settings: Settings, name: str, tmp_path: Path, keyring: Keyring
) -> None:
    keyring.locked = True  # so that looking would fail
    (tmp_path / "token").write_text("tok.en.2")
    found, store = with_credentials(
        Settings(token=settings.token, api_key=settings.api_key, token_file=tmp_path / "token"), tmp_path
    )
    assert (found.token, found.api_key) == (settings.token, settings.api_key)
    assert store is not None
    assert store.name == name


def test_the_file_that_is_named_goes_before_what_was_kept(tmp_path: Path, keyring: Keyring) -> None:
    keep(NEWER, Settings(), tmp_path)
    (tmp_path / "token").write_text(" Bearer tok.en.1\n\n")
    found, store = with_credentials(Settings(token_file=tmp_path / "token"), tmp_path)
    assert (found.token, type(store)) == ("tok.en.1", TokenFile)


@pytest.mark.parametrize("credential", [TOKEN, KEY])
def test_what_is_kept_in_the_keyring_is_found_by_the_next_start(
    credential: Credential, tmp_path: Path, keyring: Keyring
) -> None:
    assert keep(credential, Settings(), tmp_path) == KeyringEntry(SERVICE_AT, 60)
    found, store = with_credentials(Settings(), tmp_path)
    assert (found.token, found.api_key) == ((None, "sk_1") if credential.is_key else ("tok.en.1", None))
    assert store == KeyringEntry(SERVICE_AT)
    assert list(keyring.entries) == [(SERVICE, SERVICE_AT)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_keyring")
@pytest.mark.parametrize("credential", [TOKEN, KEY])
def test_without_a_keyring_a_file_that_only_the_user_can_read_takes_its_place(
    credential: Credential, tmp_path: Path
) -> None:
    state_dir = tmp_path / "state"
    before = os.umask(0)
    try:
        store = keep(credential, Settings(), state_dir)
    finally:
        os.umask(before)
    assert isinstance(store, KeptFile)
    assert (mode(store.path), mode(store.directory), mode(state_dir)) == (0o600, 0o700, 0o700)
    assert with_credentials(Settings(), state_dir)[1] == store
    assert store.read() == credential


def test_a_keyring_that_does_not_take_it_is_no_reason_to_lose_it(tmp_path: Path, keyring: Keyring) -> None:
    keyring.locked = True
    assert isinstance(keep(TOKEN, Settings(), tmp_path), KeptFile)


def test_a_new_sign_in_leaves_no_old_one_behind(
    tmp_path: Path, in_use: Callable[[KeyringBackend], None], keyring: Keyring
) -> None:
    in_use(NoKeyring())
    file = keep(TOKEN, Settings(), tmp_path)
    in_use(keyring)
    keep(NEWER, Settings(), tmp_path)
    assert file.read() is None
    assert with_credentials(Settings(), tmp_path)[0].token == "tok.en.2"


def test_nothing_kept_is_no_store(tmp_path: Path, keyring: Keyring) -> None:
    assert with_credentials(Settings(), tmp_path) == (Settings(), None)


def test_each_service_and_organization_has_its_own_entry(tmp_path: Path, keyring: Keyring) -> None:
    here, there = Settings(), Settings(base_url="https://sandbox.example/v1")
    mine = Settings(organization_id="org-1")
    keep(TOKEN, here, tmp_path)
    assert with_credentials(there, tmp_path)[1] is None
    assert with_credentials(mine, tmp_path)[0].token == "tok.en.1"  # signed in to the service as a whole
    keep(NEWER, mine, tmp_path)
    assert with_credentials(mine, tmp_path)[0].token == "tok.en.2"
    assert with_credentials(here, tmp_path)[0].token == "tok.en.1"


def test_a_renewed_token_is_kept_where_the_old_one_was(tmp_path: Path, keyring: Keyring) -> None:
    keep(TOKEN, Settings(), tmp_path)
    _, store = with_credentials(Settings(organization_id="org-1"), tmp_path)
    assert store is not None
    store.keep(NEWER)
    assert with_credentials(Settings(), tmp_path)[0].token == "tok.en.2"
    assert len(keyring.entries) == 1


def test_signing_out_empties_every_place(
    tmp_path: Path, in_use: Callable[[KeyringBackend], None], keyring: Keyring
) -> None:
    keep(TOKEN, Settings(organization_id="org-1"), tmp_path)
    in_use(NoKeyring())
    keep(TOKEN, Settings(), tmp_path)
    in_use(keyring)
    settings = Settings(organization_id="org-1")
    assert [place.forget() for place in kept_entries(settings, tmp_path)] == [False, True, True, False]
    assert with_credentials(settings, tmp_path)[1] is None
    assert not any(place.forget() for place in kept_entries(settings, tmp_path))


# A keyring in trouble


def test_a_locked_keyring_does_not_keep_a_server_from_starting(
    tmp_path: Path, keyring: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
    keep(TOKEN, Settings(), tmp_path)
    keyring.locked = True
    with caplog.at_level(logging.WARNING):
        found, store = with_credentials(Settings(), tmp_path)
    assert found == Settings()
    assert isinstance(store, KeyringEntry)
    assert caplog.messages == [
        "The system's keyring failed (KeyringLocked): ask the user to unlock it, then call again."
    ]
    keyring.locked = False
    assert store.read() == TOKEN


SILENT = """
import sys, time
from salesos_inbox.client.credentials import KeyringEntry
from salesos_inbox.errors import Unavailable
entry = KeyringEntry("https://api.salesos.org/v1", 0.5)
for _ in range(2):
    try:
        print(entry.read())
    except Unavailable as error:
        print(error)
import threading
print(sum(thread.name == "keyring" for thread in threading.enumerate()))
"""


def _let_in(bus: socket.socket) -> None:
    """Take one connection as a bus does (D-Bus specification, "Authentication protocol"), and then read only."""
    connection, _ = bus.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
        while connection.recv(4096):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reaches its keyring over D-Bus")
def test_a_bus_that_is_silent_is_told_in_time_and_ends_with_the_process(tmp_path: Path) -> None:
    """A real socket lets the caller in and never says another word; the keyring's own code waits for one."""
    path = tmp_path / "bus"
    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind(str(path))
        bus.listen()
        Thread(target=_let_in, args=(bus,), daemon=True).start()
        settings = {**environment(), "DBUS_SESSION_BUS_ADDRESS": f"unix:path={path}"}
        del settings["PYTHON_KEYRING_BACKEND"]
        done = subprocess.run(
            [sys.executable, "-c", SILENT],
            env=settings,
            capture_output=True,
            text=True,
            timeout=60,
        )
    sentence = "The system's keyring did not answer within 0.5 seconds: ask the user to unlock it, then call again."
    assert (done.stdout.splitlines(), done.stderr) == ([sentence, sentence, "1"], "")


def test_a_keyring_that_fails_shows_nothing_of_what_it_holds(tmp_path: Path, keyring: Keyring) -> None:
    entry = KeyringEntry(SERVICE_AT)
    entry.keep(TOKEN)
    keyring.locked = True
    for fail in (entry.read, lambda: entry.keep(NEWER)):
        with pytest.raises(Unavailable) as failed:
            fail()
        assert "tok.en" not in str(failed.value)
        assert failed.value.__cause__ is failed.value.__context__ is None


# Files


@pytest.mark.usefixtures("no_keyring")
@pytest.mark.parametrize("open_to", [0o640, 0o604, 0o660])
def test_a_kept_file_that_others_can_read_is_refused(open_to: int, tmp_path: Path) -> None:
    store = keep(TOKEN, Settings(), tmp_path)
    assert isinstance(store, KeptFile)
    store.path.chmod(open_to)
    with pytest.raises(Refused, match="can be read by others: make it this user's own with mode 600"):
        with_credentials(Settings(), tmp_path)
    assert store.forget()


@pytest.mark.usefixtures("no_keyring")
def test_a_directory_that_was_open_is_closed(tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir(mode=0o755)
    keep(TOKEN, Settings(), tmp_path)
    assert mode(tmp_path / "credentials") == 0o700


@pytest.mark.usefixtures("no_keyring")
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file stands there")
    with pytest.raises(Unavailable, match="set SALESOS_STATE_DIR to another directory"):
        keep(TOKEN, Settings(), tmp_path / "state")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"token": 5}', '{"token": "a b"}', '{"token": ""}', "\x00", "[" * 9999]
)
def test_a_kept_file_that_is_damaged_holds_nothing(content: str, tmp_path: Path) -> None:
    file = KeptFile(SERVICE_AT, tmp_path)
    file.keep(TOKEN)
    file.path.write_text(content)
    assert file.read() is None


def test_a_token_file_of_the_users_own_is_kept_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text("tok.en.1")
    TokenFile(path).keep(NEWER)
    assert (path.read_text(), mode(path)) == ("tok.en.2\n", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_a_token_file_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    """Secrets of containers are readable by all, or links into a directory that is exchanged as a whole."""
    secret, link = tmp_path / "secret", tmp_path / "link"
    secret.write_text("tok.en.1")
    link.symlink_to(secret)
    for path, permissions in ((secret, 0o444), (secret, 0o644), (link, 0o600)):
        secret.chmod(permissions)
        TokenFile(path).keep(NEWER)
        assert TokenFile(path).read() == TOKEN
        assert not TokenFile(path).forget()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"two words", "holds something else than a token"),
        (b"\xff\xfe", "holds something else than a token"),
        (b"a\nb", "holds something else than a token"),
        (None, "cannot be read"),
    ],
)
def test_a_token_file_that_cannot_be_used_is_told_without_its_content(
    content: bytes | None, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Unavailable, match=f"The file that SALESOS_TOKEN_FILE names {sentence}") as failed:
        TokenFile(path).read()
    assert failed.value.__suppress_context__
    assert "words" not in str(failed.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_token_is_not_waited_for_at_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "token")
    for path in (tmp_path / "token", tmp_path):
        with pytest.raises(Unavailable, match="SALESOS_TOKEN_FILE names no file"):
            TokenFile(path).read()


# Secrets


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (" tok.en.1\n", "tok.en.1"),
        ("Bearer tok.en.1", "tok.en.1"),
        ("Authorization: Bearer tok.en.1\r\n", "tok.en.1"),
    ],
)
def test_a_pasted_token_may_have_its_header_around_it(text: str, secret: str) -> None:
    assert read_secret(text) == secret


@pytest.mark.parametrize("text", ["", "  ", "Bearer ", "a b", "tökén", "a\x00b"])
def test_what_no_header_can_carry_is_no_token(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a token$"):
        read_secret(text)


def test_no_repr_shows_a_secret(tmp_path: Path) -> None:
    things: list[Any] = [TOKEN, KEY, Environment(TOKEN), KeptFile(SERVICE_AT, tmp_path), KeyringEntry(SERVICE_AT)]
    assert "tok.en" not in repr(things)
    assert "sk_1" not in repr(things)


def test_two_credentials_of_the_environment_are_one_too_many() -> None:
    with pytest.raises(InvalidArguments, match="both set"):
        Settings(token="a", api_key="b")
