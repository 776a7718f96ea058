"""What a check found, and what mends it."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    SKIPPED = "skipped"
    """Not tried, as something that it needs has failed."""
    WARNING = "warning"
    """It works, and somebody should look at it."""
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One line: what was checked and found; `remedy` is one sentence, empty where nothing is to be done.

    What is to be copied as it stands follows the remedy, on lines of its own.
    """

    check: str
    status: Status
    found: str
    remedy: str = ""


def ok(check: str, found: str) -> Finding:
    """Return that all is well."""
    return Finding(check, Status.OK, found)


def skipped(check: str, why: str) -> Finding:
    """Return that a check was not tried."""
    return Finding(check, Status.SKIPPED, why)


def warning(check: str, found: str, remedy: str) -> Finding:
    """Return what somebody should look at."""
    return Finding(check, Status.WARNING, found, remedy)


def failed(check: str, found: str, remedy: str) -> Finding:
    """Return what must be mended."""
    return Finding(check, Status.FAILED, found, remedy)


def for_a_person(sentence: str) -> tuple[str, str]:
    """Return what an error tells a model, as what was found and what the person who reads it does."""
    found, _, remedy = sentence.partition(": ")
    for theirs, ours in _TOLD_TO_A_MODEL:
        found, remedy = found.replace(theirs, ours), remedy.replace(theirs, ours)
    return found, f"{remedy[:1].upper()}{remedy[1:]}"


_TOLD_TO_A_MODEL = (
    ("ask the user to ", ""),
    (", then call again", ""),
    (", so nothing was done", ""),
    ("The server's ledger", "it"),
    (" or to ", " or "),
)
