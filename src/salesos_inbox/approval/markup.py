"""The approval page as HTML. Pure.

Whatever a card says is escaped by `_text`, and stands in a `<bdi>` where its direction could
reorder words of ours. There is no script: the page is one form, so that the ticks of every card
travel with each decision. Its first button is the harmless one, as it is the one that a browser
presses where somebody hits Enter on a tick.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from itertools import groupby
from pathlib import Path

from salesos_inbox.approval.card import Card, Fact, Group, Remark


@dataclass(frozen=True)
class Waiting:
    """A card that waits, as the page lists it."""

    operation_id: str
    token: str
    """Binds a decision to what was shown."""
    card: Card
    expires: str
    """When, as the person's clock shows it."""
    unticked: frozenset[int] = frozenset()
    """The items without a tick, by their place among all items of the card."""


@dataclass(frozen=True)
class Outcome:
    """What became of a decision, in a word and a sentence."""

    word: str
    sentence: str
    decided: bool = True


def waiting_page(secret: str, waiting: Sequence[Waiting], outcome: Outcome | None) -> str:
    """Return the page that lists `waiting`; `secret` is what its form carries back."""
    heading = waiting_title(len(waiting))
    how = (
        "Your assistant asks for your consent. What you approve happens once, exactly as it is shown here. "
        "What you decline does not happen, and your assistant is told so. What you leave alone does not happen either."
        if waiting
        else "You can close this tab."
    )
    cards = "".join(_card(number, item) for number, item in enumerate(waiting, 1))
    return _document(
        f"SalesOS inbox: {heading}",
        f"""\
<header>
<p class="brand">SalesOS inbox <button form="waiting" formaction="/">Look again</button></p>
<h1>{heading[0].upper()}{heading[1:]}</h1>
<p class="how">{how}</p>
</header>
{_outcome(outcome) if outcome else ""}
<form id="waiting" method="post" action="/decide" autocomplete="off">
<input type="hidden" name="session" value="{_text(secret)}">
{cards}</form>
""",
    )


def notice_page(heading: str, *sentences: str) -> str:
    """Return a page that only says something."""
    told = "".join(f'<p class="how">{_text(sentence)}</p>\n' for sentence in sentences)
    return _document(
        f"SalesOS inbox: {heading}",
        f"""\
<header>
<p class="brand">SalesOS inbox</p>
<h1>{_text(heading)}</h1>
{told}</header>
""",
    )


def waiting_title(number: int) -> str:
    """Return how many things wait, in words."""
    if number == 0:
        return "nothing is waiting"
    return "1 thing waits for you" if number == 1 else f"{number} things wait for you"


@cache
def style_source() -> str:
    """Return what a Content-Security-Policy names this page's style by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()}'"


def _document(title: str, content: str) -> str:
    """Return a whole page. It says not to be translated, as a card must be read as it will be sent."""
    return f"""\
<!doctype html>
<html lang="en" translate="no">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="google" content="notranslate">
<title>{_text(title)}</title>
<style>{_style()}</style>
</head>
<body>
<main>
{content}</main>
</body>
</html>
"""


def _outcome(outcome: Outcome) -> str:
    kind = "outcome" if outcome.decided else "outcome undecided"
    return f'<p class="{kind}" role="status"><strong>{_text(outcome.word)}</strong> {_text(outcome.sentence)}</p>'


def _card(number: int, waiting: Waiting) -> str:
    card = waiting.card
    name, value = f"card-{number}", _text(waiting.operation_id)
    return f"""\
<article aria-labelledby="{name}">
<header>
<h2 id="{name}">{_text(card.title)}</h2>
<p class="when">Open until {_text(waiting.expires)}</p>
</header>
<input type="hidden" name="card" value="{value}.{_text(waiting.token)}">
{"".join(_parts(waiting))}\
<div class="choice">
{_rest(card) if card.groups else ""}\
<button name="decline" value="{value}" aria-describedby="{name}">{_text(refusal(card.approve))}</button>
<button name="approve" value="{value}" aria-describedby="{name}" class="deed">{_text(_deed(card))}</button>
</div>
</article>
"""


def _rest(card: Card) -> str:
    """Return how many items are ticked, which the style counts as they change, and what happens to the others."""
    number = sum(len(group.items) for group in card.groups)
    return (
        f'<p><strong class="ticked">of {number:,} ticked.</strong> '
        "Only these are carried out; a thread without a tick stays as it is.</p>\n"
    )


def refusal(approve: str) -> str:
    """Return the words of the button that declines, such as "Do not send it"."""
    return f"Do not {approve[:1].lower()}{approve[1:]}"


def _deed(card: Card) -> str:
    return f"{card.approve} (ticked only)" if card.groups else card.approve


def _parts(waiting: Waiting) -> Iterator[str]:
    """Yield the parts of a card that there are: what a person must not miss stands first."""
    card = waiting.card
    if card.warnings:
        lines = "".join(f"<li>{_text(line)}</li>\n" for line in card.warnings)
        heading = "Warning" if len(card.warnings) == 1 else f"{len(card.warnings)} warnings"
        yield f'<section class="warnings">\n<h3>{heading}</h3>\n<ul>\n{lines}</ul>\n</section>\n'
    if card.facts:
        yield f'<dl class="facts">\n{"".join(map(_fact, card.facts))}</dl>\n'
    if card.body:
        yield f'<section class="message">\n<h3>Message, as it will arrive</h3>\n{_body(card.body)}</section>\n'
    place = 0
    for group in card.groups:
        yield _group(waiting, group, place)
        place += len(group.items)


def _fact(fact: Fact) -> str:
    note = f' <span class="note">{_text(fact.note)}</span>' if fact.note else ""
    return f"<div><dt>{_text(fact.label)}</dt><dd><bdi>{_text(fact.value)}</bdi>{note}</dd></div>\n"


def _body(lines: Sequence[str]) -> str:
    """Return a message's lines, and apart from them the remarks of ours."""
    parts: list[str] = []
    for ours, run in groupby(lines, key=lambda line: isinstance(line, Remark)):
        if ours:
            parts += [f'<p class="remark">{_text(line)}</p>\n' for line in run]
        else:
            message = "\n".join(map(_text, run))
            parts.append(f'<pre dir="auto">\n{message}</pre>\n')
    return "".join(parts)


def _group(waiting: Waiting, group: Group, first: int) -> str:
    items = "".join(
        f'<li><label><input type="checkbox" name="tick" value="{_text(waiting.operation_id)}.{place}"'
        f"{'' if place in waiting.unticked else ' checked'}> <bdi>{_text(item.text)}</bdi></label></li>\n"
        for place, item in enumerate(group.items, first)
    )
    return f"<fieldset>\n<legend>{_text(group.title)}</legend>\n<ul>\n{items}</ul>\n</fieldset>\n"


def _text(text: str) -> str:
    """Return `text` so that it can be nothing but text, in an element and in a quoted attribute."""
    return escape(text, quote=True)


@cache
def _style() -> str:
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")
