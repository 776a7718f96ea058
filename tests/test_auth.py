# ruff: noqa: E501  (sentences stand whole)
"""Signing in and out, as someone at a terminal does it: a real one, a real service, and nothing shown."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from inline_snapshot import snapshot

from processes import CLI, SECONDS, Done, command, environment, free_port, running
from salesos_inbox.sandbox.app import UNLIMITED, create_app
from salesos_inbox.sandbox.store import Store

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no pseudo-terminals here")

PASSWORD = "correct horse"
CODE = "123456"
EMAIL = "sam@sales.test"


@dataclass
class Service:
    """A sandbox that answers over HTTP, and a directory for what its user's machine keeps."""

    store: Store
    user_id: str
    base_url: str
    state_dir: Path

    @property
    def settings(self) -> dict[str, str]:
        """The settings of its user's machine, without any credential."""
        return {
            "SALESOS_BASE_URL": self.base_url,
            "SALESOS_STATE_DIR": str(self.state_dir),
            "SALESOS_TIMEZONE": "UTC",
        }

    def kept(self) -> str:
        """Return all that is kept in files."""
        return "".join(path.read_text() for path in sorted(self.state_dir.rglob("*.json")))

    def run(self, capsys: pytest.CaptureFixture[str], *arguments: str, **settings: str) -> Done:
        """Run a command on its user's machine, in this process."""
        return command(capsys, *arguments, **{**self.settings, **settings})

    def piped(self, secret: str, *arguments: str) -> Done:
        """Run a command there that reads `secret` from a pipe."""
        done = subprocess.run(
            [*CLI, *arguments],
            input=secret,
            env=environment(**self.settings),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A sandbox with one user."""
    store = Store()
    user_id = store.add_user(EMAIL, "Sam", "Seller")
    store.access.set_password(user_id, PASSWORD)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(create_app(store, limits=UNLIMITED), log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Service(store, user_id, f"http://127.0.0.1:{listener.getsockname()[1]}/v1", tmp_path / "state")
        finally:
            server.should_exit = True
            thread.join(SECONDS)
            store.close()


@dataclass
class Terminal:
    """A pseudo-terminal with a command of ours in it, and all that it has shown."""

    master: int
    process: subprocess.Popen[bytes]
    shown: str = ""
    seen: int = field(default=0, repr=False)

    def wait_for(self, words: str) -> None:
        """Return once it shows `words`, after what was waited for before."""
        deadline = time.monotonic() + SECONDS
        while words not in self.shown[self.seen :] and self._read(deadline):
            pass
        assert words in self.shown[self.seen :], self.shown
        self.seen = self.shown.index(words, self.seen) + len(words)

    def answer(self, prompt: str, keys: str | bytes) -> None:
        """Wait for a prompt and what it does to the terminal, and type."""
        self.wait_for(prompt)
        if prompt != "Email address: ":
            deadline = time.monotonic() + SECONDS
            while self.echoes() and time.monotonic() < deadline:
                time.sleep(0.005)  # the prompt is shown just before the terminal is silenced
        os.write(self.master, keys.encode() if isinstance(keys, str) else keys)

    def echoes(self) -> bool:
        """Return whether the terminal shows what is typed."""
        import termios

        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def end(self) -> int:
        """Wait for the command's end, and return its status."""
        deadline = time.monotonic() + SECONDS
        while self._read(deadline):
            pass
        return self.process.wait(SECONDS)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
        try:
            data = os.read(self.master, 4096) if ready else b""
        except OSError:  # so Linux tells that the other end is closed
            data = b""
        self.shown += data.decode().replace("\r\n", "\n")
        return bool(data)


@contextmanager
def terminal(service: Service, *arguments: str, **settings: str) -> Generator[Terminal]:
    """Run a command in a terminal of its own."""
    import fcntl
    import pty
    import termios

    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*CLI, *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment(**{**service.settings, **settings}),
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    try:
        yield Terminal(master, process)
    finally:
        process.kill()
        process.wait(SECONDS)
        os.close(master)


def status_of(service: Service, capsys: pytest.CaptureFixture[str], **settings: str) -> dict[str, Any]:
    """Return what `auth status --json` tells, but for the moment of the end."""
    done = service.run(capsys, "auth", "status", "--json", **settings)
    status = json.loads(done.out)
    assert (done.status == 0) is status["works"]
    return status


# A password


def test_a_password_is_typed_unseen_and_its_token_serves_from_then_on(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    with terminal(service, "auth", "login") as screen:
        screen.answer("Email address: ", f"{EMAIL}\n")
        screen.answer("Password: ", f"{PASSWORD}\n")
        assert screen.end() == 0
        assert screen.echoes()
    place = next(service.state_dir.rglob("*.json"))
    shown = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "2026-11-19 09:00", screen.shown)
    assert shown.replace(str(place), "FILE").replace(service.base_url[7:-3], "HOST") == snapshot("""\
Email address: sam@sales.test
Password: \n\
Signed in as Sam Seller <sam@sales.test> at HOST until 2026-11-19 09:00.
No keyring of the system can be used here, so it is kept without encryption,
for this user alone, in the file FILE.
""")
    assert PASSWORD not in service.kept()
    assert json.loads(service.kept())["token"] not in screen.shown

    called = service.run(capsys, "call", "list_folders")
    assert (called.status, called.err) == (0, "")
    assert status_of(service, capsys)["user"]["email"] == EMAIL


def test_while_it_runs_no_other_user_of_the_machine_can_see_the_password(service: Service) -> None:
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("this system shows no processes in /proc")
    service.store.access.set_password(service.user_id, PASSWORD, two_factor_code=CODE)
    with terminal(service, "auth", "login", "--email", EMAIL) as screen:
        screen.answer("Password: ", f"{PASSWORD}\n")
        screen.wait_for("Two-factor code: ")
        process = Path("/proc") / str(screen.process.pid)
        visible = process.joinpath("cmdline").read_bytes() + process.joinpath("environ").read_bytes()
        assert b"auth" in visible
        assert PASSWORD.encode() not in visible


def test_a_user_with_two_factors_is_asked_for_the_code(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.store.access.set_password(service.user_id, PASSWORD, two_factor_code=CODE)
    with terminal(service, "auth", "login", "--email", EMAIL) as screen:
        screen.answer("Password: ", f"{PASSWORD}\n")
        screen.answer("Two-factor code: ", f"{CODE}\n")
        assert screen.end() == 0
    assert CODE not in screen.shown
    assert PASSWORD not in screen.shown
    assert status_of(service, capsys)["works"]


@pytest.mark.parametrize(
    ("password", "code", "told"),
    [
        (
            "wrong horse",
            CODE,
            snapshot(
                "SalesOS does not take this address with this password: check both, and SALESOS_BASE_URL, and try again."
            ),
        ),
        (
            PASSWORD,
            "654321",
            snapshot("SalesOS did not take the code with this address and password: try again with a new code."),
        ),
    ],
)
def test_a_wrong_password_or_code_is_told_once_and_nothing_is_kept(
    service: Service, password: str, code: str, told: str
) -> None:
    service.store.access.set_password(service.user_id, PASSWORD, two_factor_code=CODE)
    with terminal(service, "auth", "login", "--email", EMAIL) as screen:
        screen.answer("Password: ", f"{password}\n")
        if password == PASSWORD:
            screen.answer("Two-factor code: ", f"{code}\n")
        assert screen.end() == 1
    assert screen.shown.splitlines()[-1] == told
    assert service.kept() == ""


def test_blanks_around_the_address_and_in_the_code_are_no_mistake(service: Service) -> None:
    service.store.access.set_password(service.user_id, PASSWORD, two_factor_code=CODE)
    with terminal(service, "auth", "login") as screen:
        screen.answer("Email address: ", f" {EMAIL} \n")
        screen.answer("Password: ", f"{PASSWORD}\n")
        screen.answer("Two-factor code: ", f" {CODE[:3]} {CODE[3:]}\n")
        assert screen.end() == 0


def test_too_many_tries_are_told_as_that(service: Service) -> None:
    for _ in range(20):
        httpx.post(f"{service.base_url}/auth/login", json={"email": EMAIL, "password": "wrong horse"})
    with terminal(service, "auth", "login", "--email", EMAIL) as screen:
        screen.answer("Password: ", f"{PASSWORD}\n")
        assert screen.end() == 1
    assert screen.shown.splitlines()[-1] == snapshot(
        "SalesOS takes no more tries for now: wait a minute, and try again."
    )


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://crm.example/v1", "A password is sent over https only"),
        ("{elsewhere}", "Nothing at {elsewhere} answers as SalesOS does: correct SALESOS_BASE_URL"),
        ("http://127.0.0.1:{nowhere}/v1", "SalesOS could not be reached"),
    ],
)
def test_no_password_is_asked_for_where_it_could_not_be_sent(service: Service, address: str, told: str) -> None:
    with page_of_html() as elsewhere:
        words = {"elsewhere": elsewhere, "nowhere": free_port()}
        with terminal(service, "auth", "login", SALESOS_BASE_URL=address.format(**words)) as screen:
            assert screen.end() == 1
    assert screen.shown.startswith(told.format(**words))


@contextmanager
def page_of_html() -> Generator[str]:
    """Serve something that is not SalesOS, and yield its address."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join(SECONDS)


@pytest.mark.parametrize(
    ("prompt", "keys", "status"),
    [
        ("Email address: ", "\x03", 130),
        ("Email address: ", "\x04", 1),
        ("Password: ", "\x03", 130),
        ("Password: ", "\x04", 1),
        ("Password: ", "\n", 1),
        ("Two-factor code: ", "\x03", 130),
    ],
)
def test_whoever_breaks_off_at_a_prompt_gets_the_terminal_back_as_it_was(
    service: Service, prompt: str, keys: str, status: int
) -> None:
    service.store.access.set_password(service.user_id, PASSWORD, two_factor_code=CODE)
    with terminal(service, "auth", "login") as screen:
        for asked, typed in (("Email address: ", EMAIL), ("Password: ", PASSWORD), ("Two-factor code: ", CODE)):
            screen.answer(asked, keys if asked == prompt else f"{typed}\n")
            if asked == prompt:
                break
        assert screen.end() == status
        assert screen.echoes()
    assert screen.shown.endswith("\n")
    assert "Traceback" not in screen.shown
    assert service.kept() == ""


@pytest.mark.parametrize("mode", ["0", "1"])
def test_keys_that_are_no_text_are_told_without_a_traceback(service: Service, mode: str) -> None:
    with terminal(service, "auth", "login", "--email", EMAIL, PYTHONUTF8=mode) as screen:
        screen.answer("Password: ", b"caf\xe9\n")
        assert screen.end() == 1
    assert screen.shown.splitlines()[-1].startswith("What was entered is not text")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_a_prompt_leaves_no_terminal_that_shows_nothing(service: Service, number: signal.Signals) -> None:
    with terminal(service, "auth", "login", "--email", EMAIL) as screen:
        screen.answer("Password: ", "corr")
        screen.process.send_signal(number)
        assert screen.end() == 128 + number
        assert screen.echoes()
    assert "corr" not in screen.shown


def test_a_password_is_never_read_from_a_pipe(service: Service) -> None:
    done = service.piped(f"{EMAIL}\n{PASSWORD}\n", "auth", "login")
    assert done == Done(
        2,
        "",
        snapshot(
            "A password is typed at a terminal: run this in one, or pass a token through a pipe to salesos-inbox-mcp auth login --token.\n"
        ),
    )
    assert service.kept() == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("--password", "hunter2"),
        ("--password=hunter2",),
        ("--pass", "hunter2"),
        ("--token", "hunter2"),
        ("--token=hunter2",),
        ("--api-key", "hunter2"),
        ("--api-key=hunter2",),
        ("hunter2",),
        ("--secret", "hunter2"),
        ("--token", "x", "hunter2"),
    ],
)
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(
    arguments: tuple[str, ...], service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    done = service.run(capsys, "auth", "login", *arguments)
    assert (done.status, done.out) == (2, "")
    assert "hunter2" not in done.err
    assert "command line" in done.err or "unrecognized arguments" in done.err


# A pasted token or key


@pytest.mark.parametrize("around", ["{}", "  {}\n\n", "Bearer {}\n", "Authorization: Bearer {}\r\n"])
def test_a_token_comes_through_a_pipe(service: Service, around: str, capsys: pytest.CaptureFixture[str]) -> None:
    token = service.store.issue_token(service.user_id)
    done = service.piped(around.format(token), "auth", "login", "--token")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("Signed in as Sam Seller <sam@sales.test> at 127.0.0.1:")
    assert token not in done.out
    assert status_of(service, capsys)["kind"] == "token"


@pytest.mark.parametrize("kind", ["--token", "--api-key"])
def test_a_token_or_key_is_pasted_unseen(service: Service, kind: str) -> None:
    store = service.store
    secret = store.issue_token(service.user_id) if kind == "--token" else store.add_api_key(service.user_id)
    with terminal(service, "auth", "login", kind) as screen:
        screen.answer("Token: " if kind == "--token" else "API key: ", f"{secret}\n")
        assert screen.end() == 0
    assert secret not in screen.shown
    assert secret in service.kept()


def test_a_key_that_may_not_read_is_kept_all_the_same_and_that_is_said(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    key = service.store.add_api_key(service.user_id, ["write"])
    done = service.piped(key, "auth", "login", "--api-key")
    assert done.status == 0
    assert "Signed in (whose account it is, SalesOS did not tell) at " in done.out
    status = service.run(capsys, "auth", "status")
    assert status.status == 0
    assert "Which scopes it has, SalesOS does not tell before one is missing." in status.out


@pytest.mark.parametrize(
    ("kind", "secret", "status"),
    [
        ("--token", "no.such.token", 1),
        ("--api-key", "sk_nothing", 1),
        ("--token", "", 2),
        ("--token", "two secret-words", 2),
        ("--api-key", "schlüssel-secret", 2),
    ],
)
def test_what_the_service_does_not_accept_is_not_kept(service: Service, kind: str, secret: str, status: int) -> None:
    done = service.piped(secret, "auth", "login", kind)
    assert (done.status, done.out, done.err.count("\n")) == (status, "", 1)
    assert not secret or secret not in done.err
    assert "secret" not in done.err
    assert service.kept() == ""


def test_a_service_that_is_down_is_told_and_nothing_is_kept(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    service.base_url = f"http://127.0.0.1:{port}/v1"
    done = service.piped("some.secret.token", "auth", "login", "--token")
    assert (done.status, done.err) == (
        1,
        snapshot(
            "SalesOS could not be reached to read who the user is: check the connection, and run salesos-inbox-mcp doctor.\n"
        ),
    )
    assert service.kept() == ""


def test_a_new_sign_in_takes_the_old_ones_place(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.piped(service.store.add_api_key(service.user_id), "auth", "login", "--api-key")
    service.piped(service.store.issue_token(service.user_id), "auth", "login", "--token")
    assert len(list(service.state_dir.rglob("*.json"))) == 1
    assert status_of(service, capsys)["kind"] == "token"


def test_a_variable_that_goes_first_is_named_at_once(service: Service) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Service, "settings", {**service.settings, "SALESOS_TOKEN": "older"})
        done = service.piped(service.store.issue_token(service.user_id), "auth", "login", "--token")
    assert done.out.endswith("SALESOS_TOKEN is set and goes first: leave it out for this sign-in to count.\n")


# Status


def test_the_status_tells_everything_but_the_credential(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    token = service.store.issue_token(service.user_id)
    service.piped(token, "auth", "login", "--token")
    status = status_of(service, capsys)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00", status.pop("ends_at"))
    assert status.pop("service") == service.base_url
    assert status.pop("source").startswith("the file ")
    assert status.pop("user").pop("id") == service.user_id
    assert status == snapshot({"works": True, "kind": "token", "scopes": None, "problem": None})
    for arguments in (["--json"], []):
        done = service.run(capsys, "auth", "status", *arguments)
        assert done.err == ""
        assert not [part for part in token.split(".") if part[:12] in done.out]


@pytest.mark.parametrize("name", ["SALESOS_TOKEN", "SALESOS_API_KEY", "SALESOS_TOKEN_FILE"])
def test_the_status_names_the_variable_that_a_credential_comes_from(
    service: Service, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, file = service.store, tmp_path / "token"
    file.write_text(store.issue_token(service.user_id))
    value = {
        "SALESOS_TOKEN": store.issue_token(service.user_id),
        "SALESOS_API_KEY": store.add_api_key(service.user_id),
        "SALESOS_TOKEN_FILE": str(file),
    }[name]
    done = service.run(capsys, "auth", "status", **{name: value})
    assert done.status == 0
    assert f"comes from {f'the file {file}' if name == 'SALESOS_TOKEN_FILE' else name}." in done.out


def test_without_a_credential_the_status_says_what_to_do(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    done = service.run(capsys, "auth", "status")
    assert (done.status, done.err) == (1, "")
    host = service.base_url[7:-3]
    assert done.out.startswith(f"Nobody is signed in to SalesOS at {host}: run salesos-inbox-mcp auth login")
    assert status_of(service, capsys)["problem"] == done.out.strip()


def test_an_ended_token_is_told_without_being_sent(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    ended = service.store.issue_token(service.user_id, expires_in=-60)
    status = status_of(service, capsys, SALESOS_TOKEN=ended, SALESOS_BASE_URL="http://127.0.0.1:1/v1")
    assert status["problem"].startswith("The token has ended at 20")
    assert status["problem"].partition(" UTC: ")[2] == snapshot(
        "set a new SALESOS_TOKEN, or leave it out and run salesos-inbox-mcp auth login."
    )


def test_a_revoked_token_does_not_work(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.piped(service.store.issue_token(service.user_id), "auth", "login", "--token")
    service.store.access.end_sessions(service.user_id)
    done = service.run(capsys, "auth", "status")
    assert (done.status, done.err) == (1, "")
    assert done.out.splitlines()[0] == snapshot(
        "SalesOS does not accept this token (ended, revoked or unknown): check SALESOS_BASE_URL, or run salesos-inbox-mcp auth login."
    )


@pytest.mark.parametrize("name", ["SALESOS_TOKEN", "SALESOS_API_KEY", "SALESOS_TOKEN_FILE"])
def test_a_credential_that_is_none_is_told_with_what_to_do_where_it_stands(
    service: Service, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    file.write_text("rubbish")
    value = str(file) if name == "SALESOS_TOKEN_FILE" else "rubbish"
    problem = status_of(service, capsys, **{name: value})["problem"].replace(str(file), "FILE")
    assert (
        problem.partition("unknown): check SALESOS_BASE_URL, or ")[2]
        == {
            "SALESOS_TOKEN": "set a new SALESOS_TOKEN, or leave it out and run salesos-inbox-mcp auth login.",
            "SALESOS_API_KEY": "set a new SALESOS_API_KEY, or leave it out and run salesos-inbox-mcp auth login.",
            "SALESOS_TOKEN_FILE": "put a new one into the file FILE.",
        }[name]
    )


# Out


def test_signing_out_forgets_what_was_kept_and_says_what_remains(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.piped(service.store.issue_token(service.user_id), "auth", "login", "--token")
    place = next(service.state_dir.rglob("*.json"))
    done = service.run(capsys, "auth", "logout", SALESOS_API_KEY="k")
    assert (done.status, done.err) == (0, "")
    assert done.out.replace(str(place), "FILE") == snapshot("""\
Removed from the file FILE.
At SalesOS it stays valid until it ends: sign out there, or delete the key, to end it now.
A server that runs already may go on using it: restart it.
SALESOS_API_KEY is set, and goes on being used.
""")
    assert service.kept() == ""
    assert service.run(capsys, "auth", "logout") == Done(0, snapshot("Nothing was kept here.\n"), "")


def test_the_sandbox_says_how_to_sign_in_to_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    port = free_port()
    with running("sandbox", port=port) as sandbox:
        printed = sandbox.printed_by_now("Ctrl-C")
        found = re.search(r"auth login takes (\S+)\n\s*with the password (\S+)", printed)
        assert found
        service = Service(Store(), "", f"http://127.0.0.1:{port}/v1", tmp_path)
        with terminal(service, "auth", "login", "--email", found[1]) as screen:
            screen.answer("Password: ", f"{found[2]}\n")
            assert screen.end() == 0
        service.store.close()
    assert f"<{found[1]}>" in screen.shown
