"""`log`: what the ledger has on record."""

import argparse
import json
import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, cast

from salesos_inbox.cli.composition import environment_settings, open_ledger, state_dir
from salesos_inbox.settings import Settings

if TYPE_CHECKING:
    from salesos_inbox.approval.ledger import Entry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `log` takes."""
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--last", metavar="NUMBER", type=_number, help="only the newest entries")
    parser.add_argument("--verify", action="store_true", help="only tell whether an entry was altered or removed")


def _number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 2**31:
        raise argparse.ArgumentTypeError("how many is a number from 1")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Print the entries, or whether they are as they were written."""
    settings = environment_settings()
    directory = state_dir(settings)
    if not any((directory / f"ledger.{part}").exists() for part in ("sqlite3", "head")):
        print("Nothing is in the log yet.", file=sys.stderr)
        return 0
    with open_ledger(directory) as ledger:
        if options.verify:
            problem = ledger.verify()
            print(problem or f"All {len(ledger.entries())} entries are as they were written.")
            return 1 if problem else 0
        for entry in ledger.entries(options.last):
            print(json.dumps(asdict(entry), ensure_ascii=False) if options.json else _line(entry, settings))
    return 0


def _line(entry: "Entry", settings: Settings) -> str:
    """Return an entry for a person: when, what, by which tool, for whom, and what it was about."""
    from salesos_inbox.mail.unicode import printable

    at = datetime.fromtimestamp(entry.at).astimezone(settings.timezone)
    about = "; ".join(f"{name} {_value(value)}" for name, value in entry.about.items())
    return f"{at:%Y-%m-%d %H:%M:%S}  {entry.what:<15} {entry.tool:<19} " + printable(f"{about} [{entry.user}]", 2000)


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, cast("list[object]", value)))
    return str(value)
