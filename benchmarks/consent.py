"""Send mail thousands of times while everything fails, and count what was sent twice, unapproved or lost.

`python benchmarks/consent.py [RUNS] [SEED]`: most runs are the trials of `tests/trials.py`, one for each seed from
SEED on; in the others a server of `tests/kills.py` is killed, or several race. Each run that breaks a promise is
told with its seed and what happened in it.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from figures import Figure, table

TESTS = Path(__file__).parents[1] / "tests"
RUNS = 10_000
WORKERS = 2
KILLS = 800
"""How many of the runs kill a server, beside those that do it once at every step."""
RACES = 40
_PROMISES = {
    "messages sent twice": ("sent twice",),
    "messages sent without consent": ("sent without consent",),
    "drafts lost": ("draft lost",),
    "calls past their deadline": ("past its deadline",),
    "receipts for what was not sent, calls with no way on": ("false receipt", "stuck"),
}

_Report = dict[str, Any]


def measure(runs: int = RUNS, seed: int = 0) -> list[Figure]:
    """Make so many runs, and return what came of them."""
    killed = _output(_started("kills", more=KILLS * runs // RUNS, races=max(1, RACES * runs // RUNS), seed=seed))
    last = seed + runs - killed["restarts"] - killed["races"]
    workers = [_started("trials", first=seed + place, last=last, step=WORKERS) for place in range(WORKERS)]
    tried = [_output(worker) for worker in workers]
    found = [(finding, story) for report in (killed, *tried) for finding, story in report["found"]]
    for finding, story in found:
        print(f"{finding}: {story}", file=sys.stderr)
    broken = Counter(finding for finding, _ in found)
    injected = sum((Counter[str](report["injected"]) for report in tried), Counter[str]())
    return [
        Figure("runs", f"{RUNS:,}", _runs(sum(report["trials"] for report in tried), killed)),
        *(Figure(what, "0", f"{sum(broken[finding] for finding in kinds):,}") for what, kinds in _PROMISES.items()),
        Figure("what was sent", "", _sent(injected, killed)),
        Figure("what went wrong", "", _faults(injected)),
        Figure("the longest call, a person's time included", "", f"{max(report['longest'] for report in tried):.0f} s"),
    ]


def _started(program: str, **options: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, str(TESTS / f"{program}.py"), json.dumps(options)], stdout=subprocess.PIPE)


def _output(program: "subprocess.Popen[bytes]") -> _Report:
    printed, _ = program.communicate()
    if program.returncode:
        raise RuntimeError(f"{program.args!r} failed: its own words stand above.")
    return json.loads(printed)


def _runs(trials: int, killed: _Report) -> str:
    steps = sum(killed["steps"].values())
    return (
        f"{trials + killed['restarts'] + killed['races']:,}: {trials:,} seeded trials in simulated time, "
        f"{killed['kills']:,} servers killed at {steps} steps, {killed['races']} races of 8 processes"
    )


def _sent(injected: Counter[str], killed: _Report) -> str:
    return (
        f"{injected['messages sent'] + killed['sent']:,} messages by {injected['calls'] + killed['calls']:,} calls, "
        f"{injected['questions']:,} questions, {injected['replays']:,} replayed answers; "
        f"{injected['sent again, approved']:,} sent again by a person's choice"
    )


def _faults(injected: Counter[str]) -> str:
    kinds = {what.removeprefix("fault "): number for what, number in injected.items() if what.startswith("fault ")}
    others = {what: injected[what] for what in ("vanished clients", "restarts", "visits to the page")}
    return f"{sum(kinds.values()):,} faults ({_listed(sorted(kinds.items()))}), {_listed(others.items())}"


def _listed(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{number:,} {what.replace('_', ' ')}" for what, number in counts)


if __name__ == "__main__":
    print(table(measure(*map(int, sys.argv[1:3]))))
