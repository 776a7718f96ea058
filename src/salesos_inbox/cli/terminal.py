"""What a person types at a terminal, seen or unseen."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

from salesos_inbox.cli import PROGRAM
from salesos_inbox.errors import InvalidArguments, Unauthorized


def typed(what: str) -> str:
    """Return what is typed when asked for `what`. Raises `Unauthorized` where that is nothing."""
    need_terminal()
    return _entered(lambda: _line(f"{what}: "))


def typed_unseen(what: str) -> str:
    """Return what is typed when asked for `what`, without showing it. Raises `Unauthorized` where that is nothing."""
    import getpass
    import warnings

    def read() -> str:
        try:
            return getpass.getpass(f"{what}: ", sys.stderr)
        except (KeyboardInterrupt, EOFError, UnicodeError):
            print(file=sys.stderr)  # the prompt stands on the line still
            raise

    need_terminal()
    with _ended_by_signals(), warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return _entered(read)
        except getpass.GetPassWarning:
            raise InvalidArguments("This terminal cannot hide what is typed: use another one.") from None


def typed_yes() -> bool:
    """Return whether yes is typed, from now on."""
    _forget_typed()
    return _line("Type yes to approve, anything else to decline: ").strip().lower() == "yes"


def _line(prompt: str) -> str:
    print(prompt, end="", file=sys.stderr, flush=True)
    line = ""
    try:
        line = sys.stdin.readline()
    finally:
        if not line.endswith("\n"):
            print(file=sys.stderr)  # the prompt stands on the line still
    return line


def need_terminal() -> None:
    """Raise `InvalidArguments` where nobody can be asked to type."""
    if not sys.stdin.isatty():
        raise InvalidArguments(
            "A password is typed at a terminal: run this in one, "
            f"or pass a token through a pipe to {PROGRAM} auth login --token."
        )


def _entered(read: Callable[[], str]) -> str:
    """Return the line that somebody enters. Raises `Unauthorized` where they enter none, or nothing that is text."""
    try:
        text = read().strip("\r\n")
        text.encode()
    except EOFError:
        text = ""
    except UnicodeError:
        raise Unauthorized("What was entered is not text in this terminal's encoding: nothing was changed.") from None
    if not text.strip():
        raise Unauthorized("Nothing was entered, so nothing was changed.")
    return text


@contextmanager
def _ended_by_signals() -> Generator[None]:
    """Let signals that end the process end it in order, so that a terminal shows again what is typed."""
    import signal

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), lambda number, _: sys.exit(128 + number)) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def _forget_typed() -> None:
    """Drop what was typed before the question: it is no answer to it."""
    try:
        import termios
    except ImportError:  # not on Windows
        return
    with suppress(termios.error):
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
