"""Whether replies are read as what their authors wrote: against labels, and against the threads they stand in.

Labelled: fixtures and test cases of published packages, and of `../shared/mail`, which say what is new. A reply is
exact if its new text is theirs, blanks aside, with the signature or without it, as each package defines it.
Threads: what stands in a reply and in none of the messages it answers is the author's; what is marked with ">", names
an author above such a mark, or is the header of a quoted mail is not.

`--half development|held-out` takes one half, split by a hash of the names; `--worst N` prints what was not exact.
"""

import argparse
import ast
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import Message
from pathlib import Path
from typing import cast

from selectolax.lexbor import LexborHTMLParser

from corpora import LARGEST_SET, SHARED, NotFetched, fetched
from figures import Figure, table
from salesos_inbox.mail.quotes import is_forward, split_quoted
from salesos_inbox.mail.reading import read_body
from salesos_inbox.mail.signatures import split_signature

ROOT = Path(__file__).parents[1]

_MESSAGE_ID = re.compile(r"<[^<>\s]+>")
_BLANKS = re.compile(r"\s+")
_MARKS = re.compile(r"^(?:\s*(?:[A-Z][A-Za-z]{0,3})?[>|])+\s?")
_WORD = re.compile(r"[^\W_]+")
_WROTE = re.compile(r"\b(?:wrote|writes|said|says) ?:\s*$|^Quoting .*:\s*$|^\[\w+\]\s*$")
_RULE = re.compile(r"\s*[-_=]{20,}.*")
_SHORT_WORD = 2
_LONG_LINE = 12
_FOOTER = 16
_FEW_WORDS = 4
_ABOVE_A_MARK = 4


def _package(name: str) -> Path | None:
    with suppress(NotFetched):
        return fetched(name)
    return None


@dataclass(frozen=True)
class Labelled:
    """A reply, and what of it is new in the words of those who labelled it."""

    name: str
    text: str
    new: str
    html: bool = False

    @property
    def held_out(self) -> bool:
        """Whether the reply is in the half that was never looked at while the code was written."""
        return held_out(self.name)


def held_out(name: str) -> bool:
    """Whether what has this name is in the held-out half."""
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 1


def body_of(message: Message, kind: str) -> str | None:
    """The first part of a message that has this type, decoded."""
    for part in message.walk():
        if (
            part.get_content_type() == kind
            and part.get_content_disposition() != "attachment"
            and not part.is_multipart()
        ):
            payload = part.get_payload(decode=True)
            data = payload if isinstance(payload, bytes) else b""
            try:
                return data.decode(part.get_content_charset() or "utf-8").replace("\r\n", "\n")
            except (LookupError, UnicodeError):
                return data.decode("cp1252", "replace").replace("\r\n", "\n")
    return None


def talon_files() -> Iterator[Labelled]:
    """The replies of a dozen mail programs in the shared folder."""
    folder = SHARED / "replies/talon"
    for path in sorted(folder.glob("standard_replies/*.eml")):
        text = body_of(message_from_bytes(path.read_bytes()), "text/plain") or ""
        labels = path.with_name(f"{path.stem}_reply_text")
        yield Labelled(path.name, text, labels.read_text(encoding="utf-8") if labels.exists() else "Hello")
    for path in sorted(folder.glob("html_replies/*.html")):
        yield Labelled(path.name, path.read_text(encoding="utf-8"), "Hi. I am fine.\n\nThanks,\nAlex", html=True)


def _literal(node: ast.expr, known: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return known.get(node.id)
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    return value if isinstance(value, str) else None


def _extractions(path: Path, name: str) -> Iterator[tuple[str, str, str]]:
    """What the test cases of talon expect, read without running them: their name, the message, and what is new."""
    for function in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(function, ast.FunctionDef) or function.decorator_list:
            continue
        known: dict[str, str] = {}
        for place, statement in enumerate(function.body):
            if isinstance(statement, ast.Assign) and isinstance(target := statement.targets[0], ast.Name):
                value = _literal(statement.value, known)
                known |= {target.id: value} if value is not None else {}
            if not (isinstance(statement, ast.Expr) and isinstance(call := statement.value, ast.Call)):
                continue
            if getattr(call.func, "id", "") != "eq_" or len(call.args) < 2:
                continue
            for inner in ast.walk(call.args[1]):
                if isinstance(inner, ast.Call) and str(getattr(inner.func, "attr", "")).startswith("extract_from"):
                    expected, message = _literal(call.args[0], known), _literal(inner.args[0], known)
                    if expected is not None and message:
                        yield f"{name}:{function.name}:{place}", message, expected


def talon_cases() -> Iterator[Labelled]:
    """The test cases of talon that hold a message and what is new in it."""
    folder = _package("talon")
    if folder is None:
        return
    tests = folder / "tests"
    for name, message, new in _extractions(tests / "text_quotations_test.py", "text"):
        if "mark" not in name:
            yield Labelled(name, message, new)
    for name, message, new in _extractions(tests / "html_quotations_test.py", "html"):
        yield Labelled(name, message, LexborHTMLParser(new).text(), html=True)


def crisp_files() -> Iterator[Labelled]:
    """The fixtures of the npm package `email-reply-parser` whose tests say what comes before the quote."""
    folder = _package("email-reply-parser")
    if folder is None:
        return
    tests = folder / "test"
    source = (tests / "test.js").read_text(encoding="utf-8")
    common = source.partition("COMMON_FIRST_FRAGMENT = '")[2].partition("';")[0].replace("\\n\\\n", "\n")
    for body in re.findall(r"exports\.test_\w+ ?= ?function.*?\n\};", source, re.DOTALL):
        fixture = re.search(r'get_email\("(\w+)"\)', body)
        visible = re.search(r'getVisibleText\(\), "(.*?)"\)', body)
        new = common if "COMMON_FIRST_FRAGMENT" in body else json.loads(f'"{visible[1]}"') if visible else None
        if fixture and new is not None:
            yield Labelled(fixture[1], (tests / f"fixtures/{fixture[1]}.txt").read_text(encoding="utf-8"), new)


def quotequail_cases() -> Iterator[Labelled]:
    """The test cases of quotequail for replies: the text above and below the quote."""
    folder = _package("quotequail")
    if folder is None:
        return
    tests = folder / "tests"
    for file, html in (("test_unwrap.py", False), ("test_unwrap_html.py", True)):
        tree = ast.parse((tests / file).read_text(encoding="utf-8"))
        pairs = (node for node in ast.walk(tree) if isinstance(node, ast.Tuple) and len(node.elts) == 2)
        for place, (message, expected) in enumerate(pair.elts for pair in pairs):
            try:
                text, labels = ast.literal_eval(message), ast.literal_eval(expected)
            except ValueError:
                continue
            if not isinstance(labels, dict) or not isinstance(text, str):
                continue
            told = cast(dict[str, str], labels)
            if told.get("type") != "reply":
                continue
            kind = "html" if html else "text"
            parts = (told.get(f"{kind}_top", ""), told.get(f"{kind}_bottom", ""))
            new = "\n".join(LexborHTMLParser(part).text() if html else part for part in parts)
            if new.strip() and not text.endswith(".html"):
                yield Labelled(f"quotequail:{file}:{place}", text, new, html=html)


LABELLED: dict[str, Callable[[], Iterator[Labelled]]] = {
    "mail programs (talon, shared)": talon_files,
    "test cases of talon 1.4.4": talon_cases,
    "email-reply-parser 1.2.1 (npm)": crisp_files,
    "quotequail 0.5.4": quotequail_cases,
}


def squeezed(text: str) -> str:
    """A text without blanks."""
    return _BLANKS.sub("", text)


def new_in(reply: Labelled) -> str:
    """What is new in a reply, in our reading of it."""
    if not reply.html:
        return split_quoted(reply.text).new
    return "\n".join(_MARKS.sub("", line) for line in read_body(reply.text, None).text.split("\n"))


def is_exact(reply: Labelled) -> bool:
    """Whether what we read as new is what was labelled, with its signature or without."""
    new = new_in(reply)
    return squeezed(reply.new) in {squeezed(new), squeezed(split_signature(new)[0])}


def loses_words(reply: Labelled) -> bool:
    """Whether a labelled word is not in what we read as new."""
    letters = "".join(_WORD.findall(new_in(reply).casefold()))
    return any(word not in letters for word in _WORD.findall(reply.new.casefold()))


@dataclass
class Mail:
    """A message of a thread."""

    name: str
    text: str
    sender: str
    subject: str
    recipients: str
    answers: list[str]


def load(files: Iterable[Path]) -> dict[str, Mail]:
    """The messages of files that have a plain text, by their Message-ID."""
    found: dict[str, Mail] = {}
    for path in files:
        data = path.read_bytes()
        message = message_from_bytes(
            data.partition(b"\n")[2] if data.startswith(b"From ") else data, policy=policy.compat32
        )
        text = body_of(message, "text/plain")
        own = _MESSAGE_ID.search(str(message.get("Message-ID", "")))
        if text and own:
            answers = _MESSAGE_ID.findall(f"{message.get('In-Reply-To', '')} {message.get('References', '')}")
            subject = str(message.get("Subject", ""))
            recipients = f"{message.get('To', '')} {message.get('Cc', '')}"
            found[own[0]] = Mail(path.name, text, str(message.get("From", "")), subject, recipients, answers)
    return found


def replies(mails: dict[str, Mail]) -> Iterator[tuple[Mail, list[Mail]]]:
    """The messages that answer others of the set, with all that stand above them."""
    for mail in mails.values():
        above: dict[str, Mail] = {}
        ahead = list(mail.answers)
        while ahead:
            number = ahead.pop()
            if number in mails and number not in above and mails[number] is not mail:
                above[number] = mails[number]
                ahead += mails[number].answers
        if any(number in mails for number in mail.answers) and above:
            yield mail, list(above.values())


def words(line: str) -> list[str]:
    """The words of a line without marks of quoting."""
    return _WORD.findall(_MARKS.sub("", line).casefold())


@dataclass(frozen=True)
class Truth:
    """A reply's lines: the author's, those that are quoted, and how many quotes are between the author's words."""

    own: list[str]
    quoted: list[str]
    interleaved: bool


def truth_of(mail: Mail, above: list[Mail]) -> Truth:
    """Tell the lines of a reply apart by the messages it answers, without our own code."""
    spoken = [word for other in above for line in other.text.split("\n") for word in words(line)]
    stream, letters = f" {' '.join(spoken)} ", "".join(spoken)
    names = {word for other in above for word in _WORD.findall(other.sender.casefold()) if len(word) > _SHORT_WORD}
    recipients = set(_WORD.findall(mail.recipients.casefold()))
    lines = mail.text.split("\n")
    marked = [_MARKS.match(line) is not None for line in lines]
    known = [
        f" {' '.join(words(line))} " in stream
        or (len(joined := "".join(words(line))) >= _LONG_LINE and joined in letters)
        for line in lines
    ]
    footer = next((n for n in range(max(0, len(lines) - _FOOTER), len(lines)) if _RULE.fullmatch(lines[n])), len(lines))
    header = [re.match(r"\s*\*?[\w-]+\*?:\*?\s", line) is not None for line in lines]
    kinds: list[str] = []
    for number, line in enumerate(lines):
        if not words(line):
            kinds.append("blank")
        elif marked[number]:
            kinds.append("quoted")
        elif known[number] or number >= footer:
            kinds.append("known")
        else:
            below = range(number, min(number + _ABOVE_A_MARK, len(lines)))
            names_one = any(names & set(words(lines[other])) or _WROTE.search(lines[other]) for other in below)
            ends = next((o for o in below if lines[o].rstrip().endswith((":", "...", "]"))), None)
            follows = ends is not None and any(
                marked[o] or (known[o] and words(lines[o])) for o in range(ends + 1, min(ends + 4, len(lines)))
            )
            in_headers = header[number] and sum(header[max(0, number - 4) : number + 5]) >= 3
            in_headers |= header[number] and (bool(names & set(words(line))) or (number > 0 and kinds[-1] == "heading"))
            original = re.fullmatch(r"\s*-{2,}.*-{2,}\s*", line) is not None
            in_headers |= number > 0 and kinds[-1] == "heading" and set(words(line)) <= names | recipients
            kinds.append("heading" if (names_one and follows) or in_headers or original else "own")
    own = [line for line, kind in zip(lines, kinds, strict=True) if kind == "own"]
    quoted = [
        line for line, kind in zip(lines, kinds, strict=True) if kind == "quoted" and len(words(line)) >= _FEW_WORDS
    ]
    runs = re.sub("(.)\\1+", "\\1", "".join({"own": "o", "quoted": "q"}.get(kind, "") for kind in kinds))
    return Truth(own, quoted, runs.count("q") > 1)


@dataclass(frozen=True)
class Read:
    """A reply of a thread as we read it, beside the truth."""

    mail: Mail
    truth: Truth
    new: str

    @property
    def lost(self) -> list[str]:
        """Lines of the author's with words that are not in the new text, in their order."""
        stream = " " + " ".join(word for line in self.new.split("\n") for word in words(line)) + " "
        return [line for line in self.truth.own if f" {' '.join(words(line))} " not in stream]

    @property
    def left(self) -> list[str]:
        """Quoted lines that stand in the new text."""
        return [line for line in self.new.split("\n") if line in set(self.truth.quoted)]


def threads() -> dict[str, list[Path]]:
    """The sets of threads that can be had."""
    found = {
        name: sorted(path for path in (SHARED / "threads" / name).rglob("*") if path.is_file())
        for name in ("lkml", "notmuch-list")
    }
    package = _package(LARGEST_SET)
    if package is not None:
        found["spam-assassin (ham)"] = sorted(package.glob("data/*ham*/*.txt"))
    return {name: files for name, files in found.items() if files}


def read_threads() -> dict[str, list[Read]]:
    """The replies of each set as we read them."""
    return {
        name: [
            Read(mail, truth_of(mail, above), split_quoted(mail.text, forwarded=is_forward(mail.subject)).new)
            for mail, above in replies(load(files))
        ]
        for name, files in threads().items()
    }


def of(part: int, whole: int) -> str:
    """A share in words."""
    return f"{part / whole:.1%} of {whole}" if whole else "not measured: none of it could be had"


def measure(half: str = "") -> list[Figure]:
    """Measure what can be fetched."""
    wanted = {"": (False, True), "development": (False,), "held-out": (True,)}[half]
    figures: list[Figure] = []
    every: list[Labelled] = []
    for name, cases in LABELLED.items():
        chosen = [case for case in cases() if case.held_out in wanted]
        every += chosen
        figures.append(Figure(f"exactly the new text: {name}", "", of(sum(map(is_exact, chosen)), len(chosen))))
    kept_out = [case for case in every if case.held_out]
    figures += [
        Figure("exactly the new text: all labelled replies", "≥ 75 %", of(sum(map(is_exact, every)), len(every))),
        Figure("— of these, the held-out half", "≥ 75 %", of(sum(map(is_exact, kept_out)), len(kept_out))),
        Figure("labelled words lost: messages", "", of(sum(map(loses_words, every)), len(every))),
    ]
    found: list[Read] = []
    for name, reads in read_threads().items():
        chosen = [read for read in reads if held_out(read.mail.name) in wanted]
        found += chosen
        figures.append(
            Figure(
                f"author's words lost: replies of {name}", "≤ 1 %", of(sum(bool(r.lost) for r in chosen), len(chosen))
            )
        )
    simple = [read for read in found if not read.truth.interleaved and read.truth.quoted]
    kept_out_reads = [read for read in found if held_out(read.mail.name)]
    return [
        *figures,
        Figure(
            "author's words lost: replies of all threads", "≤ 1 %", of(sum(bool(r.lost) for r in found), len(found))
        ),
        Figure(
            "— of these, the held-out half", "≤ 1 %", of(sum(bool(r.lost) for r in kept_out_reads), len(kept_out_reads))
        ),
        Figure(
            "no quoted line left: replies with one quote",
            "≥ 75 %",
            of(sum(not r.left and not r.lost for r in simple), len(simple)),
        ),
    ]


def worst(half: str, number: int) -> Iterator[str]:
    """What was not exact, in words."""
    wanted = {"": (False, True), "development": (False,), "held-out": (True,)}[half]
    failed = [case for cases in LABELLED.values() for case in cases() if case.held_out in wanted and not is_exact(case)]
    for case in failed[:number]:
        yield f"=== {case.name}\n{case.text[:1500]}\n--- expected\n{case.new}\n--- read\n{new_in(case)}"
    for name, reads in read_threads().items():
        chosen = [read for read in reads if held_out(read.mail.name) in wanted]
        for read in [read for read in chosen if read.lost][:number]:
            yield f"=== {name} {read.mail.name}: lost\n" + "\n".join(read.lost[:12])
        for read in [read for read in chosen if read.left and not read.truth.interleaved][:number]:
            yield f"=== {name} {read.mail.name}: left\n" + "\n".join(read.left[:3])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--half", default="", choices=["", "development", "held-out"])
    parser.add_argument("--worst", type=int, default=0)
    options = parser.parse_args()
    print(table(measure(options.half)))
    for told in worst(options.half, options.worst) if options.worst else ():
        print(told, file=sys.stdout)


if __name__ == "__main__":
    main()
