"""Measure everything, or what `--only` names, and print the figures as tables.

`--write` puts them into README.md, between its marks; with `--only` the other sections stay as they were measured last.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import bulk
import consent
import estimates
import kinds
import reading
import replies
import startup
import threads
import tokens
from figures import Figure, table

README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- numbers -->", "<!-- end of numbers -->"

_SECTION = re.compile(r"^\*\*(.+?)\*\*\n\n((?:\|.*\n)+)", re.MULTILINE)
_ROW = re.compile(r"^(\w.*?) +([\d.]+) +([\d.]+)$", re.MULTILINE)


def sandbox() -> list[Figure]:
    """Load 100,000 threads into the sandbox and return its figures, the slowest kind of request of each."""
    command = [sys.executable, str(Path(__file__).with_name("volume.py"))]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    loaded = printed.partition("\n")[0]
    slowest: dict[str, tuple[float, str]] = {}
    for name, _, p95 in _ROW.findall(printed):
        kind = name.partition(",")[0]
        slowest[kind] = max(slowest.get(kind, (0.0, "")), (float(p95), name))
    return [
        Figure("loading the sandbox", "", loaded),
        *(
            Figure(f"{kind}, p95 of the slowest kind", "≤ 30 ms", f"{p95:.0f} ms ({name})")
            for kind, (p95, name) in slowest.items()
            if kind in {"list", "search"}
        ),
    ]


SECTIONS: dict[str, Callable[[], list[Figure]]] = {
    "What it costs a model": tokens.measure,
    "How it reads mail": reading.measure,
    "What is new in a reply": replies.measure,
    "What a real thread costs": threads.measure,
    "How well tokens are estimated": estimates.measure,
    "Who is told from machines": kinds.measure,
    "How fast it starts": startup.measure,
    "How much the sandbox holds": sandbox,
    "What a large mailbox takes": bulk.measure,
    "What happens when everything fails": consent.measure,
}


def machine() -> str:
    """Return what the figures were measured on, in general words."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"Measured by `make benchmark` with {python} on {os.cpu_count()} cores of {platform.machine()}."


def report(only: Collection[str] = (), before: Mapping[str, str] | None = None) -> str:
    """Measure all sections or those named, one after the other, and return them all as Markdown.

    `before` are the tables of those that are not measured.
    """
    tables = {
        title: table(measure()) if not only or title in only else (before or {}).get(title, "")
        for title, measure in SECTIONS.items()
    }
    return "\n\n".join([*(f"**{title}**\n\n{figures}" for title, figures in tables.items() if figures), machine()])


def measured_before(readme: str) -> dict[str, str]:
    """Return the tables that stand in `readme`, by their titles."""
    numbers = readme.partition(START)[2].partition(END)[0]
    return {title: figures.strip() for title, figures in _SECTION.findall(numbers)}


def with_numbers(readme: str, numbers: str) -> str:
    """Return `readme` with what stands between its marks replaced; raises `ValueError` where it has none."""
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"README.md has no place for the figures: put {START} and {END} into it.")
    return f"{before}{START}\n{numbers}\n{END}{after}"


def main() -> None:
    """Measure and print, and with `--write` write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the figures into README.md")
    parser.add_argument("--only", nargs="+", default=[], choices=SECTIONS, metavar="SECTION", help="by title")
    options = parser.parse_args()
    readme = README.read_text(encoding="utf-8")
    if options.write:
        with_numbers(readme, "")
    numbers = report(options.only, measured_before(readme))
    print(numbers)
    if options.write:
        README.write_text(with_numbers(readme, numbers), encoding="utf-8")


if __name__ == "__main__":
    main()
