"""`manifest`: the files that are generated from the tools and the contract, for the project's own use."""

import argparse
import sys
from pathlib import Path

from salesos_inbox.cli import PROGRAM, as_called, version
from salesos_inbox.errors import InvalidArguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `manifest` takes."""
    parser.add_argument("--check", action="store_true", help="change nothing; fail where the files are out of date")


def run(options: argparse.Namespace) -> int:
    """Write the files, or tell which are out of date."""
    from salesos_inbox.contract.document import contract_markdown
    from salesos_inbox.manifest import TABLE_END, TABLE_START, manifest, with_table

    readme = Path("README.md")
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    if TABLE_START not in text or TABLE_END not in text:
        raise InvalidArguments("Run this in the project's root, where README.md has the table of tools.")
    wanted = {
        Path("tool_manifest.json"): manifest(version()),
        readme: with_table(text),
        Path("docs/contract.md"): contract_markdown(),
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if not options.check:
        for path in stale:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
    elif stale:
        names = " and ".join(str(path) for path in stale)
        are = "is" if len(stale) == 1 else "are"
        print(as_called(f"{names} {are} out of date; mend with: {PROGRAM} manifest"), file=sys.stderr)
        return 1
    return 0
