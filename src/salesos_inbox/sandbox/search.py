"""From what a person types into the search field to an FTS5 query, and to the words around a match. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

BEFORE_MATCH: Final = 60
"""Characters that an excerpt shows before the match."""
AFTER_MATCH: Final = 140
"""Characters that an excerpt shows from the match on."""

_TERM = re.compile(r'"([^"]*)"?|(\S+)')
_LONGEST_LOOK: Final = 200_000


def fts_query(text: str, completions: Sequence[str] = ()) -> str:
    """Return an FTS5 query that finds all words of `text`, or an empty string if it has none.

    Words in double quotes must stand together; the last word matches as a prefix unless quoted:
    `completions` are all words that begin with it, where they are known. Every word is handed over as
    a string of FTS5, so nothing in it is read as an operator.
    """
    terms = _terms(text)
    if completions:
        any_of = " OR ".join(f'"{word}"' for word in completions)
        return " AND ".join([*(f'"{term}"' for term, _ in terms[:-1]), f"({any_of})"])
    return " ".join(
        f'"{term}"{"*" if bare and place == len(terms) else ""}' for place, (term, bare) in enumerate(terms, 1)
    )


def prefix(text: str) -> str:
    """Return the last word of `text` as FTS5 indexes it, if it matches as a prefix and is plain ASCII; else ""."""
    for term, bare in _terms(text)[-1:]:
        if bare and term.isascii() and term.isalnum():
            return term.lower()
    return ""


def excerpt(texts: Iterable[str], query: str) -> str:
    """Return the part of the first of `texts` that has a word of `query`, on one line; "" where none has.

    It is cut from the text itself; FTS5's own `snippet` reads the whole list of matches for each.
    """
    words = "|".join(re.escape(word) for term, _ in _terms(query) for word in re.findall(r"\w+", _folded(term)))
    if not words:
        return ""
    for text in texts:
        if match := re.search(rf"(?<!\w)(?:{words})", _folded(text[:_LONGEST_LOOK])):
            start, end = max(0, match.start() - BEFORE_MATCH), match.start() + AFTER_MATCH
            if start:
                start = text.find(" ", start, match.start()) + 1 or match.start()
            return " ".join(f"{'…' * bool(start)}{text[start:end]}{'…' * (end < len(text))}".split())
    return ""


def _terms(text: str) -> list[tuple[str, bool]]:
    """Return the words and phrases of `text`, each with whether it stood bare of quotes."""
    terms = [(phrase or word, bool(word)) for phrase, word in _TERM.findall(text.replace("\0", " "))]
    # FTS5 reads a term without letters or digits as nothing at all.
    return [(term.replace('"', " "), bare) for term, bare in terms if any(char.isalnum() for char in term)]


def _folded(text: str) -> str:
    """Return `text` in lower case without diacritics, each character still in its place."""
    if text.isascii():
        return text.lower()
    return "".join(unicodedata.normalize("NFD", char)[0].lower()[0] for char in text)
