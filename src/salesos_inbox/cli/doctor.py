"""`doctor`: everything the server needs, tried out."""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from salesos_inbox.cli import as_called, version
from salesos_inbox.cli.composition import usual_state_dir
from salesos_inbox.errors import InvalidArguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `doctor` takes."""
    parser.description = (
        "Try everything the server needs, and change nothing: settings, token, network, every reading endpoint, the "
        "state directory and the clients' configuration files. The status is 0 only when all is well, 1 where "
        "something is to be mended, 3 where there is only something to look at."
    )
    parser.add_argument("--json", action="store_true", help="print the findings as one JSON object")
    parser.add_argument(
        "--report", metavar="FILE", type=Path,
        help="write them into a new file as well, without tokens, mail, addresses and names, to be shared",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Examine this machine's way to the service, and print what was found."""
    from urllib.request import getproxies

    import anyio

    from salesos_inbox.doctor.examination import examine
    from salesos_inbox.doctor.report import ABOUT_THE_REPORT, as_json, as_report, as_text, exit_status
    from salesos_inbox.doctor.surroundings import Surroundings

    if options.report and options.report.exists():
        raise InvalidArguments(f"{options.report} is there already: give --report the name of a new file.")
    surroundings = Surroundings(
        os.environ,
        version(),
        home=Path.home(),
        folder=Path.cwd(),
        state_dir=usual_state_dir(),
        proxies=getproxies(),
    )
    findings = anyio.run(examine, surroundings)
    told = [replace(finding, remedy=as_called(finding.remedy)) for finding in findings]
    print(as_json(findings) if options.json else as_text(told))
    if options.report:
        try:
            with options.report.open("x", encoding="utf-8") as file:
                file.write(as_report(findings, surroundings))
        except OSError as error:
            raise InvalidArguments(
                f"{options.report} cannot be written ({error.strerror}): give --report another name."
            ) from error
        print(f"Written to {options.report}. {ABOUT_THE_REPORT}", file=sys.stderr)
    return exit_status(findings)
