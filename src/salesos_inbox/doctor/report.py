"""What was found, for a person, for a program, and for somebody who is asked for help. Pure."""

import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from salesos_inbox.doctor.finding import Finding, Status
from salesos_inbox.doctor.proxies import is_loopback
from salesos_inbox.doctor.surroundings import Surroundings

_ORDER: Final = (Status.OK, Status.SKIPPED, Status.WARNING, Status.FAILED)
"""What is to be mended stands last, right above where the reader's eye is when the command ends."""
_WIDTH: Final = 96
_HIDDEN: Final = (
    (re.compile(r"\beyJ[\w-]+(\.[\w-]*)*"), "<token>"),
    (re.compile(r"[\w.+-]+@[\w.-]+"), "<address>"),
    (re.compile(r"(?<=://)[^/\s@]*@"), ""),
)
"""What no line should hold, and no shared one may."""

ABOUT_THE_REPORT: Final = (
    "What `salesos-inbox-mcp doctor` found: versions, names of settings, statuses and names of fields, the host of the "
    "base address. It holds no token or password, no mail, no address of a person, no name of the user, their home, "
    "this computer or a proxy."
)


def exit_status(findings: Iterable[Finding]) -> int:
    """Return 0 where all is well, 1 where something failed, 3 where there is only something to look at."""
    statuses = {finding.status for finding in findings}
    return 1 if Status.FAILED in statuses else 3 if Status.WARNING in statuses else 0


def as_text(findings: Sequence[Finding]) -> str:
    """Return the findings as lines: what is well first, what is to be mended last, and a sentence."""
    ordered = sorted(_together(findings), key=lambda finding: _ORDER.index(finding.status))
    margin = max((len(finding.check) for finding in ordered), default=0)
    lines = [line for finding in ordered for line in _lines(finding, margin)]
    return "\n".join([*lines, "", verdict(findings)])


def _together(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings with one line for all that were skipped for the same reason."""
    reasons: dict[str, list[str]] = {}
    for finding in findings:
        if finding.status is Status.SKIPPED:
            reasons.setdefault(finding.found, []).append(finding.check)
    told = [finding for finding in findings if finding.status is not Status.SKIPPED]
    for why, checks in reasons.items():
        first, *others = checks
        many = f"{len(checks)} checks" if others else first
        told.append(Finding(many, Status.SKIPPED, f"{why}: {', '.join(checks)}" if others else why))
    return told


def _lines(finding: Finding, margin: int) -> list[str]:
    begin = f"{finding.status:<7}  {finding.check:<{margin}}  "
    rest = " " * len(begin)
    remedy, *copied = finding.remedy.split("\n")
    return [
        *_wrapped(finding.found, begin, rest),
        *_wrapped(remedy, f"{rest}→ ", f"{rest}  "),
        *(f"{rest}    {line}" for line in copied),
    ]


def _wrapped(text: str, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False, break_long_words=False
    )


def verdict(findings: Iterable[Finding]) -> str:
    """Return how it stands, in a sentence."""
    statuses = [finding.status for finding in findings]
    mend, look = statuses.count(Status.FAILED), statuses.count(Status.WARNING)
    if not mend and not look:
        return "All is well."
    parts = [
        f"{count} thing{'s' * (count > 1)} {what}" for count, what in ((mend, "to mend"), (look, "to look at")) if count
    ]
    return f"{', '.join(parts)}."


def as_json(findings: Sequence[Finding]) -> str:
    """Return the findings for a program, in the order of the checks."""
    statuses = [finding.status for finding in findings]
    document = {
        "findings": [asdict(finding) for finding in findings],
        "failed": statuses.count(Status.FAILED),
        "warnings": statuses.count(Status.WARNING),
        "exit_status": exit_status(findings),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_report(findings: Sequence[Finding], surroundings: Surroundings) -> str:
    """Return the findings for somebody else, without what is private."""
    text = f"{ABOUT_THE_REPORT}\nPlatform: {surroundings.platform}\n\n{as_text(findings)}\n"
    return shareable(text, _private(surroundings))


def shareable(text: str, words: Mapping[str, str]) -> str:
    """Return `text` without the private `words`, whole tokens and addresses of people."""
    for word in sorted((word for word in words if len(word) > 1), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", lambda _, word=word: words[word], text)
    for pattern, instead in _HIDDEN:
        text = pattern.sub(instead, text)
    return text


def _private(surroundings: Surroundings) -> dict[str, str]:
    """Return the words that name this user and this computer, and the secrets that the environment holds."""
    environment = surroundings.environment
    names = {environment.get(name, "").strip() for name in ("USER", "USERNAME", "LOGNAME")} | {surroundings.home.name}
    words = {name: "<user>" for name in names if name.lower() not in _PUBLIC}
    words |= {environment.get(name, "").strip(): "<host>" for name in ("HOSTNAME", "COMPUTERNAME")}
    for name, value in environment.items():
        if name.startswith("SALESOS_") and any(part in name for part in ("TOKEN", "KEY", "ORGANIZATION", "RECIPIENTS")):
            words[value.strip()] = f"<{name}>"
    proxies = (url for scheme, url in surroundings.proxies.items() if scheme != "no")
    words |= {host: "<proxy>" for url in proxies for host in _hosts(url)}
    words |= {str(surroundings.home): "~", str(surroundings.folder): "<here>"}
    words.pop("", None)
    return words


_PUBLIC: Final = frozenset({"", "root", "home", "user", "users", "admin", "administrator"})
"""Names that tell nothing of anybody."""


def _hosts(url: str) -> list[str]:
    found = re.match(r"(?:[a-z0-9]+://)?(?:[^/@]*@)?([\w.-]+)", url)
    return [found[1]] if found and not is_loopback(found[1]) else []
