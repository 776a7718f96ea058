"""Text of others, made safe to show beside our own words: nothing unseen, no link, no markup. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from salesos_inbox.mail.unicode import clean, one_line

LINE_BREAK = re.compile("\r\n|[\n\r\v\f\x85\u2028\u2029]")
"""Every way in which a line ends."""

_Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]


def _rules(*rules: tuple[str, str | Callable[[re.Match[str]], str]]) -> tuple[_Rule, ...]:
    return tuple((re.compile(pattern), shown) for pattern, shown in rules)


_FILES = "pdf|docx?|xlsx?|pptx?|od[st]|csv|txt|html?|xml|json|js|jpe?g|png|gif|eml|msg|ics"
"""Endings of files that no domain ends in."""
_MARKUP = _rules(
    ("`", "ˋ"),
    (r"\\", "⧵"),
    (r"<(?=[A-Za-z/!?])", "‹"),
    (r"&(?=(?:#\w|\w\w)\w*;)", "＆"),
    (r"(?<!\s)\*|\*(?!\s)", "∗"),
    (r"(?<!\s)~|~(?!\s)", "∼"),
    (r"(?<![\w\s])_+|(?<=\s)_+(?![\s_])|(?<=[^\W_])_+(?!\w)", lambda run: "ˍ" * len(run[0])),
    (r"\|\|", "∣∣"),
    (r"\$(?! ?\d)", "＄"),
)
_LINKS = _rules(
    (
        # a host: a dot before an ending of letters, which no list of endings needs to know
        rf"(?<=[^\s.(\[\"'“„«,;!?])\.(?=[^\W\d_](?:[^\W\d_]|[^\x00-\x7f\s]))"
        rf"(?!(?i:{_FILES})(?![\w@/:-]|\.\w))",
        "[.]",
    ),
    (r"(?<=\b[Ww][Ww][Ww])\.(?=\S)", "[.]"),
    (r"(\d\.\d+\.\d+)\.(?=\d)", r"\1[.]"),
    (r"(?<=[A-Za-z0-9])([。．｡])(?=[A-Za-z0-9])", r"[\1]"),
    (r"(?<=[A-Za-z0-9+.-]{2}):(?=\S)(?!(?<=\d:)\d)", "[:]"),
    ("//", "⁄⁄"),
    (r"\](?=\()", "] "),
    (r"\[(?=\[)", "[ "),
)


def inert(text: str) -> str:
    """Return `text` so that no client makes a link of it, and neither Markdown nor HTML reshapes it.

    Hosts and schemes are bracketed as people who report phishing do (`https[:]⁄⁄evil[.]example`,
    `ann@evil[.]example`): it says at a glance "an address, and no link", needs no invisible character, and leaves all
    other text alone: numbers, times and dates, "e.g.", `offer.pdf`. What Markdown and HTML take for
    a sign becomes one that looks the same and means nothing (`∗`, `ˋ`, `‹`), and only where it
    could act: "5 * 3", "a < b" and snake_case stay. Headings, tables, rules and fences need the start of a
    line, which is always ours. Telephone numbers and times stay, though some systems offer to dial
    them: bracketed they could not be read.
    """
    return _replaced(_replaced(text, _MARKUP), _LINKS)


def _replaced(text: str, rules: Iterable[_Rule]) -> str:
    for pattern, shown in rules:
        text = pattern.sub(shown, text)
    return text


def one_visible_line(text: str, limit: int) -> str:
    """Return what somebody wrote on one line, in about `limit` characters, with nothing unseen; a cut ends in "…"."""
    beginning = text[: 4 * limit]
    rest = "…" if len(text) > len(beginning) else ""
    return one_line(visible(beginning) + rest, limit)


def one_safe_line(text: str, limit: int) -> str:
    """Return what somebody wrote as `one_visible_line` does, and inert, for where it stands among our words."""
    return inert(one_visible_line(text, limit))


_HOST = r"[\w.\-\u0080-\U0010ffff]*[A-Za-z0-9\u0080-\U0010ffff]"
_PLAIN_ADDRESS = re.compile(rf"[^\W_](?:[\w.+'=-]*[^\W_])?@{_HOST}(?: = [\w.+'=-]+@{_HOST})?")


def shown_address(email: str) -> str:
    """Return an address whole, as it can be read and copied.

    That a client makes a `mailto:` link of it does no harm, and so its dots stay; an unusual one, such as
    `"evil.example/"@x.test`, is shown as any text of others.
    """
    shown = " ".join(visible(email).split())
    return shown if _PLAIN_ADDRESS.fullmatch(shown) else inert(shown)


_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u061b\u061d-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_MOST_UNSEEN = 4
_WIDE_BLANKS = re.compile(r"[^\S\n]{100,}")


def isolated(text: str) -> str:
    """Return `text` so that its direction does not reach the words beside it (FSI ... PDI of UAX #9)."""
    return f"\u2068{text}\u2069" if _RIGHT_TO_LEFT.search(text) else text


def visible(text: str) -> str:
    """Return `text` with what a reader cannot see shown, as `[U+202E]`.

    What is a part of the spelling stays: joiners, variation selectors, direction marks among
    right-to-left letters.
    """
    if text.isascii() and text.isprintable() and "    " not in text:
        return text
    text = LINE_BREAK.sub("\n", text)
    shown: list[str] = []
    for seen, run in groupby(_judged(text), lambda judged: judged[1]):
        characters = [character for character, _ in run]
        if seen:
            shown += characters
            continue
        named = characters if len(characters) <= _MOST_UNSEEN else characters[:_MOST_UNSEEN]
        shown += [f"[U+{ord(character):04X}]" for character in named]
        if len(characters) > len(named):
            shown.append(f"[{len(characters) - len(named):,} more unseen]")
    return _WIDE_BLANKS.sub(lambda blanks: f" [{len(blanks[0]):,} blanks] ", "".join(shown))


def _judged(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each character and whether a reader sees it, or needs it to read what stands beside it."""
    kept = clean(text).text
    at = 0
    for character in text:
        surrogate = "\ud800" <= character <= "\udfff"  # `clean` puts U+FFFD in its place
        stays = surrogate or kept[at : at + 1] == character
        at += stays
        yield character, stays and not surrogate and character != "\n"
