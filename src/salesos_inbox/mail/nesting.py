"""How much of an HTML text a tree builder can take in reasonable time and memory.

The HTML5 algorithm looks through all open elements at many a tag, compares each attribute of a tag with those before
it, and opens unclosed formatting again in every paragraph, so that 100 kB of hostile mail can cost minutes or
gigabytes. Where this module is not sure what a tag does, it takes the worst: real mail is far below these bounds.
"""

import re
from collections import Counter
from typing import NamedTuple

MAX_CHARACTERS = 2_000_000
_MAX_TAGS = 100_000
_MAX_DEPTH = 2_000
_MAX_STEPS = 20_000_000
_MAX_REOPENED = 200_000
_MAX_ATTRIBUTES = 1_000
_HARMLESS_CHARACTERS = 80_000
_HARMLESS_TAGS = 10_000
"""With so few of both even a tag of nothing but attributes, or elements that all nest, are read in about a second."""


def names(listed: str) -> frozenset[str]:
    """The names of elements, or other words, of a list with blanks between them."""
    return frozenset(listed.split())


_FORMATTING = names("b big code em font i nobr s small strike strong tt u")
"""What is opened again in every paragraph until it is closed; of <a> there is never more than one."""
_FORMATTING_TAG = re.compile(rf"(</?)(?=(?:{'|'.join(_FORMATTING)})[ \t\n\r\f/>])", re.IGNORECASE | re.ASCII)
_UNSURE_TAG = re.compile(r"(</?)(?=(?:svg|math|select|template)[ \t\n\r\f/>])", re.IGNORECASE | re.ASCII)
"""Within these it depends on all that came before whether what looks like a tag is one."""

_ATTRIBUTE = (
    r"[^ \t\n\r\f/>][^ \t\n\r\f/>=]*+"
    r"(?:[ \t\n\r\f]*+=[ \t\n\r\f]*+(?:\"[^\"]*+\"?|'[^']*+'?|[^ \t\n\r\f\"'>][^ \t\n\r\f>]*+)?+)?+"
)
_ATTRIBUTES = re.compile(_ATTRIBUTE)
_TOKEN = re.compile(
    r"<(?:!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|[!?][^>]*+|/(?![a-z])[^>]*+"
    rf"|(?P<end>/?)(?P<name>[a-z][^ \t\n\r\f/>]*+)(?P<attributes>(?:[ \t\n\r\f/]++|{_ATTRIBUTE})*+)(?P<whole>>?))",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
"""What the tokenizer of HTML5 reads at a "<": a comment, a declaration, or a tag; one without its ">" is none."""
_RAW = {
    name: re.compile(rf"</{name}(?=[ \t\n\r\f/>])|\Z", re.IGNORECASE | re.ASCII)
    for name in names("script style title textarea xmp iframe noembed noframes")
} | {"plaintext": re.compile(r"\Z")}
"""Elements in which no tag is read, and what ends them."""

_STYLE_TAG = re.compile(r"<(?P<end>/?)style(?=[ \t\n\r\f/>])[^>]*+>?", re.IGNORECASE | re.ASCII)

_PLAIN = r"\1x-"
_VOID = names(
    "html head body area base basefont bgsound br col colgroup embed frame hr image img input keygen link meta param "
    "source track wbr"
)
_PAGE = names("html head body")
_CELLS = names("td th")
_TABLE_PARTS = _CELLS | names("tr tbody thead tfoot caption")
_HEADINGS = names("h1 h2 h3 h4 h5 h6")
_CLOSING_P = _HEADINGS | names(
    "address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption figure footer form "
    "header hgroup li listing main menu nav ol p plaintext pre search section summary ul xmp"
)
_SCOPES = names("applet caption marquee object table td th")
_SPECIAL = (
    _SCOPES | _CLOSING_P | _TABLE_PARTS | names("button iframe noembed noframes noscript script style textarea title")
)
_IN_BUTTONS = _SCOPES | {"button"}
_IN_LISTS = _SPECIAL - names("address div p")
_TABLE = names("table")
_P = names("p")
_NOTHING: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
_CLOSED_BEFORE = {
    "li": (names("li"), _IN_LISTS),
    "dd": (names("dd dt"), _IN_LISTS),
    "dt": (names("dd dt"), _IN_LISTS),
    "button": (names("button"), _SCOPES),
    "a": (names("a"), _SPECIAL),
}
"""What else a start tag closes, and what stands in the way."""
_CLOSED_AT_ONCE = dict.fromkeys(_HEADINGS, _HEADINGS) | dict.fromkeys(("option", "optgroup"), names("option"))
"""What a start tag closes where it is the innermost."""
_BARRIERS = {"p": _IN_BUTTONS, "li": _SCOPES | names("ol ul")}
_MOST_ADOPTIONS = 6
"""How many elements may stand in a formatting element for its end tag to end it (8 rounds of the algorithm)."""


class Bounded(NamedTuple):
    """HTML that parses in a second or two at worst, and whether it is only the beginning of what it was."""

    html: str
    cut: bool
    rest: str = ""

    @property
    def later_styles(self) -> list[str]:
        """The style sheets in what was cut off, for they say how its beginning looks as well."""
        sheets: list[str] = []
        begin: int | None = None
        for tag in _STYLE_TAG.finditer(self.rest):
            if begin is None:
                begin = None if tag["end"] else tag.end()
            elif tag["end"]:
                sheets.append(self.rest[begin : tag.start()])
                begin = None
        return sheets if begin is None else [*sheets, self.rest[begin:]]


def bearable(html: str) -> str:
    """The longest beginning of the HTML, up to 2,000,000 characters, that parses in a second or two at worst."""
    return bounded(html).html


def bounded(html: str, most: int = MAX_CHARACTERS) -> Bounded:
    """The HTML as far as it is bearable, at most so many characters, and the rest of it where it was cut.

    In HTML that is large, or leaves much formatting open, the tags that are hard to foresee lose what is special about
    them and become names of no meaning (`<x-svg>`, `<x-font>`); `plain_name` tells what they were.
    """
    taken = html[:most]
    tags = taken.count("<")
    is_short = len(taken) <= _HARMLESS_CHARACTERS and tags <= _HARMLESS_TAGS
    if is_short and (tags**2 <= _MAX_REOPENED or tags * _formatting(taken) <= _MAX_REOPENED):
        return _cut(taken, len(taken), html[most:])
    plain = _UNSURE_TAG.sub(_PLAIN, taken)
    end = _Reading().end(plain)
    if end is None:
        plain = _FORMATTING_TAG.sub(_PLAIN, plain)
        end = _Reading().end(plain) or 0
    return _cut(plain, end, html[most:])


def _formatting(html: str) -> int:
    return _FORMATTING_TAG.findall(html).count("<")


def _cut(html: str, end: int, more: str) -> Bounded:
    """The HTML up to a place; a style sheet that is open there belongs to the rest."""
    taken = html[:end]
    if end == len(html) and not more:
        return Bounded(taken, cut=False)
    small = taken.lower()
    opened, closed = small.rfind("<style"), small.rfind("</style")
    return Bounded(taken, cut=True, rest=html[opened if opened > closed else end :] + more)


def plain_name(tag: str) -> str:
    """The name of an element as its sender wrote it."""
    return tag[2:] if tag.startswith("x-") else tag


class _Reading:
    """What a tree builder holds open while it reads."""

    def __init__(self) -> None:
        self._opened: list[str] = []
        self._formats: Counter[str] = Counter()
        self._unclosed = 0
        self._attributes_of_page = 0

    def end(self, html: str) -> int | None:
        """The place up to which the HTML is bearable; None where too much formatting may be left open."""
        steps = reopened = tags = place = 0
        while token := _TOKEN.search(html, place):
            start, place = token.span()
            name = token["name"]
            if name is None:
                continue
            name = name.lower()
            if self._has_many_attributes(name, token["attributes"]):
                return start
            if token["end"]:
                self._close(name)
            elif token["whole"]:
                self._open(name)
                if name in _RAW and (raw := _RAW[name].search(html, place)):
                    place = raw.start()
            tags += 1
            steps += len(self._opened)
            reopened += self._unclosed
            if reopened > _MAX_REOPENED:
                return None
            if tags > _MAX_TAGS or steps > _MAX_STEPS or len(self._opened) > _MAX_DEPTH:
                return start
        return len(html)

    def _has_many_attributes(self, name: str, attributes: str) -> bool:
        count = len(_ATTRIBUTES.findall(attributes)) if attributes else 0
        if name in _PAGE:
            self._attributes_of_page += count
            count = self._attributes_of_page
        return count > _MAX_ATTRIBUTES

    def _open(self, name: str) -> None:
        opened = self._opened
        if name in _VOID:
            return
        if name in _TABLE_PARTS:
            self._open_in_table(name)
            return
        closes, barriers = _CLOSED_BEFORE.get(name, _NOTHING)
        if closes:
            self._pop(closes, barriers)
        if name in _CLOSING_P:
            self._pop(_P, _IN_BUTTONS)
        if opened and opened[-1] in _CLOSED_AT_ONCE.get(name, ()):
            opened.pop()
        opened.append(name)
        if name in _FORMATTING:
            self._formats[name] += 1
            self._unclosed += 1

    def _open_in_table(self, name: str) -> None:
        """A part of a table closes what is open in the innermost table, down to the place where it belongs."""
        opened = self._opened
        table = _last(opened, "table")
        if table < 0:
            return
        row = _last(opened, "tr") if name in _CELLS else -1
        del opened[max(table, row) + 1 :]
        opened.append(name)

    def _close(self, name: str) -> None:
        if name in _FORMATTING:
            self._close_formatting(name)
        elif name == "form":
            if (place := _last(self._opened, name)) >= 0:
                del self._opened[place]
        elif name in _TABLE_PARTS or name == "table":
            self._pop(frozenset((name,)), _TABLE)
        elif name in _HEADINGS:
            self._pop(_HEADINGS, _SCOPES)
        elif name in _SPECIAL:
            self._pop(frozenset((name,)), _BARRIERS.get(name, _SCOPES))
        else:
            self._pop(frozenset((name,)), _SPECIAL)

    def _close_formatting(self, name: str) -> None:
        """Close an element of formatting; where others stand between, only where it is sure to be forgotten."""
        opened = self._opened
        between = 0
        for place in range(len(opened) - 1, -1, -1):
            if opened[place] == name:
                if not between:
                    del opened[place:]
                break
            if opened[place] in _SCOPES or opened[place] == "table":
                return
            between += opened[place] in _SPECIAL
            if between > _MOST_ADOPTIONS:
                return
        if self._formats[name]:
            self._formats[name] -= 1
            self._unclosed -= 1

    def _pop(self, wanted: frozenset[str], barriers: frozenset[str]) -> None:
        """Close the innermost of the wanted elements and all in it, unless a barrier stands between."""
        opened = self._opened
        for place in range(len(opened) - 1, -1, -1):
            if opened[place] in wanted:
                del opened[place:]
                return
            if opened[place] in barriers:
                return


def _last(opened: list[str], name: str) -> int:
    for place in range(len(opened) - 1, -1, -1):
        if opened[place] == name:
            return place
    return -1
