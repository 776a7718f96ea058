"""This computer: Python, the time zone, the state directory and its ledger, and the way to a person."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from salesos_inbox.approval.ledger import Ledger
from salesos_inbox.approval.sealing import KEY_BYTES, KEY_FILE, derived
from salesos_inbox.doctor.finding import Finding, failed, for_a_person, ok, warning
from salesos_inbox.doctor.surroundings import Surroundings
from salesos_inbox.errors import InboxError
from salesos_inbox.settings import Settings

LEDGER_FILE = "ledger.sqlite3"
_REMOTE = re.compile(r"(nfs\d?|cifs|smb\d?|smbfs|9p|afs|ceph|glusterfs|davfs|fuse\.(sshfs|rclone|s3fs|gcsfuse|davfs))$")
_SYNCED = ("OneDrive", "Dropbox", "Google Drive", "GoogleDrive", "Mobile Documents", "CloudStorage", "Nextcloud")


# Python and the time zone


def check_python(surroundings: Surroundings) -> Iterator[Finding]:
    """Tell which versions run."""
    import platform
    from importlib.metadata import version

    python = platform.python_version()
    program = f"salesos-inbox-mcp {surroundings.version} ({surroundings.short(surroundings.program)})"
    yield ok("versions", f"{program}, Python {python}, mcp {version('mcp')}")


def check_timezone(surroundings: Surroundings, settings: Settings, *, is_in_entries: bool) -> Iterator[Finding]:
    """Tell in which zone times are read; `is_in_entries` says that every client sets one."""
    system = _system_zone(surroundings)
    if settings.timezone is None and is_in_entries:
        yield ok("time zone", "set for every client that is found")
        return
    if settings.timezone is None:
        yield warning(
            "time zone",
            "SALESOS_TIMEZONE is not set, so times without an offset are refused",
            f"Set it, for example to {system} (this computer's)."
            if system
            else "Set it, for example to Europe/Berlin.",
        )
        return
    now = surroundings.clock()
    same = system is None or _offset(now, system) == now.astimezone(settings.timezone).utcoffset()
    yield ok("time zone", str(settings.timezone) + ("" if same else f"; this computer's own is {system}"))


def _offset(now: datetime, zone: str) -> object:
    try:
        return now.astimezone(ZoneInfo(zone)).utcoffset()
    except (KeyError, OSError, ValueError):
        return None


def _system_zone(surroundings: Surroundings) -> str | None:
    """Return the name of the system's zone, None where it is not told by name."""
    named = surroundings.variable("TZ").lstrip(":")
    if not named:
        try:
            named = str((surroundings.root / "etc/localtime").readlink()).partition("zoneinfo/")[2]
        except OSError:
            return None
    return named if re.fullmatch(r"[A-Za-z0-9_+/-]+", named) else None


# The state directory


def check_state_dir(surroundings: Surroundings, state_dir: Path) -> Iterator[Finding]:
    """Tell whether the state directory can be written to; a file without a name is made in it, and is gone."""
    name = surroundings.short(state_dir)
    remedy = "Let this user write there, or set SALESOS_STATE_DIR to another directory."
    is_there = state_dir.is_dir()
    existing = next(path for path in (state_dir, *state_dir.absolute().parents) if path.exists())
    if not existing.is_dir():
        yield failed("state directory", f"{name} cannot be made, as a file stands in its place", remedy)
        return
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(bytes(4096))
            file.flush()
    except OSError as error:
        yield failed("state directory", f"{name} cannot be written to ({error.strerror})", remedy)
        return
    distant = _distant(surroundings, existing)
    if distant:
        yield warning(
            "state directory",
            f"{name} lies {distant}",
            "Set SALESOS_STATE_DIR to a directory on a local disk, as SQLite cannot lock its files there for certain.",
        )
        return
    yield ok("state directory", f"{name} can be written to" if is_there else f"{name} can be made when it is needed")


def _distant(surroundings: Surroundings, path: Path) -> str | None:
    """Return how far away a directory lies, None where it is on a local disk as far as can be told."""
    synced = next((part for part in path.parts if part.startswith(_SYNCED)), None)
    if synced:
        return "in a folder that is synced with other computers"
    try:
        mounts = (surroundings.root / "proc/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = [line.split()[1:3] for line in mounts.splitlines() if len(line.split()) > 2]
    above = [(place, kind) for place, kind in found if path.resolve().is_relative_to(place)]
    kind = max(above, key=lambda mount: len(mount[0]), default=("", ""))[1]
    return f"on a network's file system ({kind})" if _REMOTE.match(kind) else None


def check_ledger(surroundings: Surroundings, state_dir: Path) -> Iterator[Finding]:
    """Tell whether the key and the ledger can be used, and whether the log is whole. Nothing is written."""
    key_file, path = state_dir / KEY_FILE, state_dir / LEDGER_FILE
    parts = [part for part in (path, path.with_suffix(".head")) if part.exists()]
    if not key_file.exists() and not parts:
        yield ok("ledger", "there is none yet; the first call that needs it makes it")
        return
    if not key_file.exists():
        yield failed(
            "ledger",
            f"its key {KEY_FILE} is not there",
            f"Put {KEY_FILE} back from a copy, or move the files ledger.* away to begin a new log.",
        )
        return
    key = _key(key_file)
    if isinstance(key, Finding):
        yield key
        return
    if not parts:
        yield ok("ledger", "there is a key, and nothing is recorded yet")
        return
    yield from _read_ledger(path, key)


def _key(path: Path) -> bytes | Finding:
    try:
        key = path.read_bytes()
        others = os.name == "posix" and path.stat().st_mode & 0o077
    except OSError as error:
        return failed("ledger", f"its key {path.name} cannot be read ({error.strerror})", "Make it this user's own.")
    if len(key) != KEY_BYTES:
        return failed(
            "ledger", f"{path.name} does not hold a key of this server", "Put it back from a copy, or move it away."
        )
    if others:
        return warning("ledger", f"{path.name} can be read by other users", f"Run chmod 600 on {path.name}.")
    return key


def _read_ledger(path: Path, key: bytes) -> Iterator[Finding]:
    wal = path.with_name(f"{path.name}-wal")
    if wal.exists() and wal.stat().st_size and not path.with_name(f"{path.name}-shm").exists():
        yield warning("ledger", "it was left in the middle of a step", "Start the server once, which completes it.")
        return
    with Ledger(path, derived(key, "activity log"), read_only=True) as ledger:
        try:
            problem, count = ledger.verify(), len(ledger.entries())
        except InboxError as error:
            yield failed("ledger", *for_a_person(str(error)))
            return
    if problem:
        yield failed("ledger", problem.rstrip("."), "Look into it with `salesos-inbox-mcp log`: somebody changed it.")
    else:
        yield ok("ledger", f"{count} entr{'y' if count == 1 else 'ies'}, all as they were written")


# The way to a person


_WAYS = {
    "elicitation": "only the client asks; where it cannot, nothing is sent",
    "host": "the client's own dialog is trusted, and nobody else is asked",
    "never": "nobody is asked, so what would have to ask is not done",
}


def check_asking(surroundings: Surroundings, settings: Settings) -> Iterator[Finding]:
    """Tell how a person can be asked."""
    approval = settings.approval
    if approval in _WAYS:
        yield ok("asking a person", f"SALESOS_APPROVAL={approval}: {_WAYS[approval]}")
        return
    chosen = surroundings.variable("BROWSER").partition(os.pathsep)[0].split()[:1]
    if chosen and shutil.which(chosen[0], path=surroundings.environment.get("PATH")) is None:
        yield warning(
            "asking a person",
            "BROWSER names a program that there is not, so the approval page cannot be shown",
            "Set BROWSER to a program that is there, or remove it.",
        )
    elif settings.browser:
        client = "the client is tried first, then " if approval == "auto" else ""
        yield ok("asking a person", f"{client}the approval page in a browser")
    elif approval == "page":
        yield failed(
            "asking a person", "SALESOS_APPROVAL=page, and no browser can be opened here", _browser_remedy(surroundings)
        )
    else:
        yield warning(
            "asking a person",
            "no browser can be opened here, so only a client that asks (elicitation) can",
            _browser_remedy(surroundings),
        )


def _browser_remedy(surroundings: Surroundings) -> str:
    if surroundings.platform in {"darwin", "win32"}:
        return "Start the server on the computer itself instead of over SSH, or set BROWSER."
    return "Hand DISPLAY or WAYLAND_DISPLAY on to the server, or set BROWSER."
