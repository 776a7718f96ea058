"""Triage a large mailbox page by page and archive all of it, against the limits that the service documents.

`python benchmarks/bulk.py [THREADS]` (5,000 unless given). The run is that of `tests/throttled.py`: client, server and
the sandbox that counts are the real ones, the hour that it takes is simulated.
"""

import json
import subprocess
import sys
from pathlib import Path

from figures import Figure, table

THROTTLED = Path(__file__).parents[1] / "tests" / "throttled.py"
THREADS = 5_000


def measure(threads: int = THREADS) -> list[Figure]:
    """Make the run, and return what came of it."""
    command = [sys.executable, str(THROTTLED), json.dumps({"threads": threads})]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    for note in found["notes"]:
        print(note, file=sys.stderr)
    minutes = found["seconds"] / 60
    return [
        Figure(f"{threads:,} threads triaged, then archived by one plan", "", f"{found['requests']:,} requests"),
        Figure("refused with 429", "0", f"{found['refused']:,}"),
        Figure("calls that failed, or could not read all", "0", f"{found['failed'] + len(found['notes']):,}"),
        Figure("time against what 100 requests a minute allow", "≤ 1.25", f"{found['ratio']:.2f} ({minutes:.0f} min)"),
        Figure("the longest call", "", f"{found['longest_call']:.0f} s"),
        Figure("progress reports that did not increase", "0", f"{found['steps_back']:,}"),
        Figure("processor time", "", f"{found['cpu']:.0f} s"),
    ]


if __name__ == "__main__":
    print(table(measure(*map(int, sys.argv[1:]))))
