"""What a check found, and what mends it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


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


SIGN_IN: Final = "Run `salesos-inbox-mcp auth login`."


def for_a_person(sentence: str) -> tuple[str, str]:
    """Return what an error tells a model, as what was found and what the person who reads it does."""
    found, _, remedy = sentence.partition(": ")
    return _to_a_person(found), as_remedy(remedy)


def as_remedy(told: str) -> str:
    """Return what a user is to be asked to do, as a sentence to that user."""
    sentence = _to_a_person(told).rstrip(".")
    return f"{sentence[:1].upper()}{sentence[1:]}" + "." * bool(sentence)


def _to_a_person(text: str) -> str:
    for theirs, ours in _TOLD_TO_A_MODEL:
        text = text.replace(theirs, ours)
    return text


_TOLD_TO_A_MODEL = (
    ("ask the user to ", ""),
    (", then call again", ""),
    (", so nothing was done", ""),
    ("The server's ledger", "it"),
    (" or to ", " or "),
    (", and to ", ", and "),
)
