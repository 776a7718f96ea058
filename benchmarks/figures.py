"""A measured figure, and figures as a table."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measurement in words: what was measured, what it should be, and what it was."""

    what: str
    goal: str
    measured: str


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as a Markdown table."""
    rows = (f"| {figure.what} | {figure.goal} | {figure.measured} |" for figure in figures)
    return "\n".join(["| what | goal | measured |", "|---|---|---|", *rows])
