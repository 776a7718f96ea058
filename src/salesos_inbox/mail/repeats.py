"""Whether what a message quotes stands in messages that its reader has besides."""

import re
from collections.abc import Iterable

LONGEST_NEW_RUN = 8
"""So many words in a row that stand nowhere else are what somebody wrote; fewer come of wrapping and of names."""
_TOGETHER = 3
_MARKS = re.compile(r"^[\s>|*]+")
_HEADING = re.compile(r".*@.*|[^\W\d_][\w ./-]{0,20}\s?[:：].*|.*\d.*[:：]\s*|\W*", re.DOTALL)
_REFERENCES = re.compile(r"\[\d{1,6}[^\]\n]*\]|\[image[^\]\n]*\]|\b[hf]xx?ps?://\S+")
_WORD = re.compile(r"[\u2e80-\uffff]|\w+")
"""A word, or a character of a script that puts no blanks between words."""

Runs = frozenset[tuple[str, ...]]


def runs_of(text: str) -> Runs:
    """Return every three words of a text that follow one another, so that another can be looked for in it."""
    words = _words(text.split("\n"))
    return frozenset(tuple(words[start : start + _TOGETHER]) for start in range(len(words) - _TOGETHER + 1))


def is_repeated(quoted: str, earlier: Iterable[Runs]) -> bool:
    """Return whether all of a quote, but for its headings, stands in texts of which these are the runs."""
    lines = [_MARKS.sub("", line) for line in quoted.split("\n")]
    words = _words(line for line in lines if not _HEADING.fullmatch(line))
    known = [*earlier]
    new = 0
    last_known = -1
    for start in range(len(words)):
        run = tuple(words[start : start + _TOGETHER])
        if len(run) == _TOGETHER and any(run in runs for runs in known):
            last_known = start + _TOGETHER - 1
        new = 0 if start <= last_known else new + 1
        if new >= LONGEST_NEW_RUN:
            return False
    return True


def _words(lines: Iterable[str]) -> list[str]:
    return _WORD.findall(_REFERENCES.sub(" ", "\n".join(_MARKS.sub("", line) for line in lines)).casefold())
