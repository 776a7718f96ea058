"""HTML mail as the text a browser would show."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from salesos_inbox.mail.links import Link, address, base_address, inert, link_list, mentioned, other_host, target
from salesos_inbox.mail.nesting import MAX_CHARACTERS, bounded, names, plain_name
from salesos_inbox.mail.numbering import Numbers, number_of
from salesos_inbox.mail.style import PAGE_LOOK, Attributes, Look, StyleSheet, look_of
from salesos_inbox.mail.writer import Writer, collapsed

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

CUT_NOTE = "[The rest of this message is too long or too deeply nested to be shown.]"
HIDDEN_SAMPLE = 4_000
"""How many characters of what is hidden are handed on."""
_CELL_SHOWN = 160
_ALT_SHOWN = 240
_OPTIONS_SHOWN = 200

_NEVER_SHOWN = names(
    "head title style script template noembed noframes iframe audio video datalist progress meter param source "
    "track base link meta rp"
)
_WITHOUT_WORDS_OF_A_SENDER = names("head title style script rp")
_NEVER_SHOWN_IN_DRAWINGS = names(
    "desc defs metadata symbol clipPath mask pattern marker annotation annotation-xml mphantom"
)
_PRESENTED_IN_DRAWINGS = {
    "display": "display:{}",
    "visibility": "visibility:{}",
    "opacity": "opacity:{}",
    "fill-opacity": "opacity:{}",
    "font-size": "font-size:{}",
    "x": "position:relative;left:{}",
    "y": "position:relative;top:{}",
}
"""Attributes of drawings that can hide words, as style says it; weaker than any style sheet."""
_BARE_NUMBER = re.compile(r"\s*[+-]?[\d.]+\s*")
_PARAGRAPHS = names("p h1 h2 h3 h4 h5 h6 blockquote ul ol dl menu dir table pre figure fieldset form")
_BLOCKS = _PARAGRAPHS | names(
    "address article aside body caption center details dd dialog div dt figcaption footer header hgroup html legend li "
    "listing main marquee nav optgroup option plaintext search section summary tbody tfoot thead tr xmp"
)
_BLOCK_DISPLAYS = names("block flex grid table list-item table-row flow-root")
_BREAKS_A_CELL = names("table ul ol blockquote hr pre h1 h2 h3 form")
_LISTS = names("ul ol menu dir")
_SILENT_INPUTS = names("hidden password file image range color")
_BOXES = {"checkbox": "[{}]", "radio": "({})"}
_PIXELS = names("0 1 0px 1px")
_SPACER = re.compile(r"(?:spacer|blank|pixel|transparent|shim|clear)?(?:\.gif|\.png)?", re.IGNORECASE)


class Part(StrEnum):
    """A part of a message that is told apart from what its sender wrote anew."""

    QUOTE = "quote"
    SIGNATURE = "signature"


Parts = Callable[["LexborHTMLParser"], Mapping[int, Part]]
"""What finds the parts of a page: the `mem_id` of each topmost node of a part."""


@dataclass(frozen=True)
class HtmlText:
    """What a message shows: its text, each part with the list of the links it mentions, and what it hides.

    `hidden` is the beginning of what is hidden: for judging it, never to be shown.
    """

    text: str
    quoted: str
    signature: str
    links: tuple[Link, ...]
    hidden_chars: int
    hidden: str


def html_to_text(html: str, parts: Parts | None = None, most: int = MAX_CHARACTERS) -> HtmlText:
    """The text that a browser would show for the HTML of a mail, or for its first `most` characters.

    Paragraphs, lists, quotes ("> "), rows of data ("a | b") and preformatted text keep their shape. Links become
    numbers with a list at the end in a form that no client makes clickable. What a sender hid is left out, and
    counted in characters. Never raises; HTML too large or too deep is cut and the text says so.
    """
    from selectolax.lexbor import LexborHTMLParser

    taken = bounded(html.encode("utf-8", "replace").decode(), most)
    tree = LexborHTMLParser(taken.html)
    walk = _Walk(tree, parts(tree) if parts else {}, taken.later_styles)
    links = tuple(walk.links.values())
    text, quoted, signature = (
        _with_links(walk.writers[part], links, notes)
        for part, notes in ((None, [CUT_NOTE] * taken.cut), (Part.QUOTE, []), (Part.SIGNATURE, []))
    )
    return HtmlText(text, quoted, signature, links, walk.hidden_chars, walk.hidden)


def _with_links(writer: Writer, links: tuple[Link, ...], notes: Iterable[str]) -> str:
    text = inert("\n".join((*writer.finished(), *notes)))
    return "\n\n".join(filter(None, (text, link_list(mentioned(text, links)))))


class _Row:
    """How far a row of a table has been read."""

    __slots__ = ("begun", "column")

    def __init__(self) -> None:
        self.column = 0
        self.begun = False


class _Place(NamedTuple):
    """What the walk stands in: lists, a table and the columns of it that hold words, a row, a drawing."""

    marker: Callable[[Attributes], str] = lambda attributes: "- "
    lists: int = 0
    columns: frozenset[int] = frozenset()
    row: _Row = _Row()
    drawing: bool = False
    silent: bool = False


Step = Callable[[], None]


class _Element(NamedTuple):
    """An element that begins: what it is, where it stands, and the steps that will end it."""

    node: "LexborNode"
    attributes: Attributes
    look: Look
    place: _Place
    after: list[Step]


class _Walk:
    """One pass over a tree, in document order, without recursion."""

    def __init__(self, tree: "LexborHTMLParser", parts: Mapping[int, Part], later_styles: Iterable[str]) -> None:
        self._said: list[str] = []
        self.writers = {part: Writer(self._said) for part in (None, *Part)}
        self.writer = self.writers[None]
        self.links: dict[str, Link] = {}
        self.hidden_chars = 0
        self.hidden = ""
        self._parts = parts
        self._pictures = 0
        self._labels = 0
        self._fields = 0
        self._base = ""
        self._sheet = StyleSheet(tree, later_styles)
        self._ahead: list[tuple[LexborNode, Look, _Place] | Step] = []
        if base := tree.css_first("base[href]"):
            self._base = base_address(base.attributes.get("href") or "")
        if tree.root is not None:
            self._ahead.append((tree.root, PAGE_LOOK, _Place()))
        self._go_through()

    def _go_through(self) -> None:
        ahead, parts = self._ahead, self._parts
        while ahead:
            next_one = ahead.pop()
            if callable(next_one):
                next_one()
                continue
            node, look, place = next_one
            if parts and (part := parts.get(node.mem_id)):
                ahead.append(self._turn_to(self.writers[part]))
            tag = node.tag or ""
            if tag == "-text":
                self._say(node.text_content or "", look, place)
            elif not tag.startswith("-"):
                self._element(node, plain_name(tag), look, place)

    def _element(self, node: "LexborNode", tag: str, look: Look, place: _Place) -> None:
        if tag in _NEVER_SHOWN or (place.drawing and tag in _NEVER_SHOWN_IN_DRAWINGS):
            if tag not in _WITHOUT_WORDS_OF_A_SENDER:
                self._hide(_all_text(node))
            return
        attributes = node.attributes
        if "popover" in attributes:
            self._hide(_all_text(node))
            return
        if place.drawing and (presented := _presented(attributes)):
            look = look_of(look, node, tag, {"style": presented}, self._sheet)
        look = look_of(look, node, tag, attributes, self._sheet)
        if look.gone:
            self._descend(node, look, place)
            return
        if special := _VOIDS.get(tag):
            special(self, attributes, look)
            return
        display = look.display
        after: list[Step] = []
        if display in _BLOCK_DISPLAYS if display else tag in _BLOCKS:
            paragraph = tag in _PARAGRAPHS and not (place.lists and tag in _LISTS)
            edge = self.writer.paragraph if paragraph else self.writer.new_line
            edge()
            after.append(edge)
        inside: _Place | None = place
        if opens := _OPENERS.get(tag):
            inside = opens(self, _Element(node, attributes, look, place, after))
        self._ahead += after
        if inside is not None:
            self._descend(node, look, inside)

    def _descend(self, node: "LexborNode", look: Look, place: _Place) -> None:
        ahead = self._ahead
        child = node.last_child
        while child is not None:
            ahead.append((child, look, place))
            child = child.prev

    def _turn_to(self, writer: Writer) -> Step:
        """Write the next part elsewhere; what is returned turns back."""
        outer = self.writer

        def turn_back() -> None:
            writer.paragraph()
            self.writer = outer

        outer.paragraph()
        writer.paragraph()
        self.writer = writer
        return turn_back

    def _say(self, text: str, look: Look, place: _Place) -> None:
        if text.isspace() and not look.preformatted:
            self.writer.space()
        elif place.silent or look.hides_words:
            self._hide(text)
        elif look.preformatted:
            self.writer.preformatted(text)
        else:
            self.writer.words(text)

    def _hide(self, text: str) -> None:
        core = collapsed(text).strip()
        if core:
            self.hidden_chars += len(core)
            if len(self.hidden) < HIDDEN_SAMPLE:
                self.hidden = f"{self.hidden}\n{core[:HIDDEN_SAMPLE]}".lstrip()[:HIDDEN_SAMPLE]

    def _numbered(self, url: str, words: str) -> str:
        """The number of a link as it is written after its words, with what they say of another host."""
        if not url:
            return ""
        place = target(url)
        key = place.start + place.rest
        link = self.links.get(key) or Link(len(self.links) + 1, url, place.host)
        named = other_host(words, link.host)
        self.links[key] = replace(link, named=named) if named and not link.named else link
        if inert(words.strip().removesuffix("/")) == key:
            return ""
        return f" [{link.number}: leads to {link.host}, not {named}]" if named else f" [{link.number}]"

    def line_break(self, attributes: Attributes, look: Look) -> None:
        if not look.hides_boxes:
            self.writer.line_break()

    def rule(self, attributes: Attributes, look: Look) -> None:
        if not look.hides_boxes:
            self.writer.paragraph()
            self.writer.words("---")
            self.writer.paragraph()

    def image(self, attributes: Attributes, look: Look) -> None:
        alt = collapsed(attributes.get("alt") or "").strip()
        if look.hides_boxes or attributes.get("width") in _PIXELS or attributes.get("height") in _PIXELS:
            self._hide(alt)
            return
        self._pictures += 1
        if _SPACER.fullmatch(alt):
            return
        is_sign = len(alt) <= 8 and not any(map(str.isalnum, alt)) and not alt.isascii()
        self._labels += 1
        self.writer.aside(alt if is_sign else f"[image: {_short(alt, _ALT_SHOWN)}]")

    def area(self, attributes: Attributes, look: Look) -> None:
        alt = collapsed(attributes.get("alt") or "").strip()
        url = address(attributes.get("href") or "", self._base)
        if not look.hides_boxes and (number := self._numbered(url, alt)):
            self.writer.words(f"[image: {_short(alt, _ALT_SHOWN)}]" if alt else "[image]")
            self.writer.attach(number)

    def input(self, attributes: Attributes, look: Look) -> None:
        kind = (attributes.get("type") or "").lower()
        value = attributes.get("value") or attributes.get("placeholder") or ""
        if look.hides_words or kind == "hidden":
            self._hide(value)
            return
        self._fields += 1
        if kind == "image":
            self.image(attributes, look)
        elif box := _BOXES.get(kind):
            self.writer.words(box.format("x" if "checked" in attributes else " "))
        elif value and kind not in _SILENT_INPUTS:
            self.writer.words(f"[{value}]")
        if "formaction" in attributes:
            self.writer.attach(self._numbered(address(attributes["formaction"] or "", self._base), value))

    def quote(self, here: _Element) -> _Place:
        self.writer.indent("> ", "> ")
        here.after.insert(0, self.writer.dedent)
        return here.place

    def bullets(self, here: _Element) -> _Place:
        return here.place._replace(lists=here.place.lists + 1, marker=_Place().marker)

    def numbers(self, here: _Element) -> _Place:
        return here.place._replace(lists=here.place.lists + 1, marker=Numbers(here.node, here.attributes).marker)

    def item(self, here: _Element) -> _Place:
        marker = here.place.marker(here.attributes)
        if not here.look.display.startswith("inline"):
            self.writer.indent(marker, " " * len(marker))
            here.after.insert(0, self.writer.dedent)
        return here.place

    def table(self, here: _Element) -> _Place:
        return here.place._replace(columns=frozenset() if self.writer.in_cell else _columns(here.node))

    def row(self, here: _Element) -> _Place:
        return here.place._replace(row=_Row())

    def cell(self, here: _Element) -> _Place:
        writer = self.writer
        if not here.place.columns:
            writer.new_line()
            here.after.append(writer.new_line)
            return here.place
        row = here.place.row
        if row.column in here.place.columns:
            if row.begun:
                writer.separate_cells()
            row.begun = True
        row.column += number_of(here.attributes.get("colspan"), 1)
        writer.in_cell = True

        def leave() -> None:
            writer.in_cell = False

        here.after.append(leave)
        return here.place

    def link(self, here: _Element) -> _Place:
        url = address(here.attributes.get("href") or here.attributes.get("xlink:href") or "", self._base)
        if not url:
            return here.place
        said, pictures, labels, writer = len(self._said), self._pictures, self._labels, self.writer

        def end() -> None:
            words = "".join(self._said[said:])
            if url[:7].lower() == "mailto:" and url[7:].partition("?")[0].lower() in words.lower():
                return
            if words or self._pictures > pictures:
                if not words and self._labels == labels:
                    writer.aside("[image]")
                writer.attach(self._numbered(url, words))

        here.after.append(end)
        return here.place

    def form(self, here: _Element) -> _Place:
        url = address(here.attributes.get("action") or "", self._base)
        fields, writer = self._fields, self.writer

        def end() -> None:
            if self._fields > fields and (number := self._numbered(url, "")):
                writer.new_line()
                host = target(url).host
                writer.words(f"[form, sent to {host}]" if host else "[form]")
                writer.attach(number)

        here.after.append(end)
        return here.place

    def button(self, here: _Element) -> _Place:
        self._fields += 1
        leads = here.attributes.get("formaction")
        return self.link(here._replace(attributes={"href": leads})) if leads else here.place

    def choice(self, here: _Element) -> _Place | None:
        options = here.node.css("option")
        chosen = [option for option in options if "selected" in option.attributes]
        several = "multiple" in here.attributes or number_of(here.attributes.get("size"), 1) > 1
        shown = options if several else chosen[-1:] or options[:1]
        words = " / ".join(collapsed(option.text()).strip() for option in shown[:_OPTIONS_SHOWN])
        if words and here.look.hides_words:
            self._hide(words)
        elif words:
            self._fields += 1
            self.writer.words(f"[{words}]")
        return None

    def drawing(self, here: _Element) -> _Place | None:
        if any(here.attributes.get(side) in _PIXELS for side in ("width", "height")):
            self._hide(_all_text(here.node))
            return None
        self._pictures += not here.look.hides_boxes
        return here.place._replace(drawing=True, silent=True)

    def drawn_text(self, here: _Element) -> _Place:
        return here.place._replace(silent=False)

    def formula(self, here: _Element) -> _Place:
        return here.place._replace(drawing=True)

    def raised(self, here: _Element) -> _Place:
        if self.writer.ends_in_a_word() and not here.look.hides_words and here.node.text()[:9].strip().isdecimal():
            self.writer.attach("^", ends=False)
        return here.place


def _around(before: str, behind: str) -> "_Opener":
    """What puts signs around the words of an element, if it has any."""

    def opener(walk: _Walk, here: _Element) -> _Place:
        if not here.look.hides_words and not here.place.silent and here.node.text().strip():
            walk.writer.words(before)
            writer = walk.writer
            here.after.append(lambda: writer.attach(behind))
        return here.place

    return opener


_Opener = Callable[[_Walk, _Element], _Place | None]
"""What begins an element: it may add steps for its end, and returns the place inside or None to leave that out."""

_VOIDS: dict[str, Callable[[_Walk, Attributes, Look], None]] = {
    "br": _Walk.line_break,
    "hr": _Walk.rule,
    "img": _Walk.image,
    "area": _Walk.area,
    "input": _Walk.input,
}
_OPENERS: dict[str, _Opener] = {
    "a": _Walk.link,
    "blockquote": _Walk.quote,
    "ul": _Walk.bullets,
    "menu": _Walk.bullets,
    "dir": _Walk.bullets,
    "ol": _Walk.numbers,
    "li": _Walk.item,
    "table": _Walk.table,
    "tr": _Walk.row,
    "td": _Walk.cell,
    "th": _Walk.cell,
    "form": _Walk.form,
    "button": _Walk.button,
    "select": _Walk.choice,
    "svg": _Walk.drawing,
    "text": _Walk.drawn_text,
    "foreignObject": _Walk.drawn_text,
    "math": _Walk.formula,
    "sup": _Walk.raised,
    "q": _around("“", "”"),
    "rt": _around("(", ")"),
    "s": _around("~~", "~~"),
    "strike": _around("~~", "~~"),
    "del": _around("~~", "~~"),
}


def _presented(attributes: Attributes) -> str:
    """The style that the attributes of a part of a drawing stand for, as far as it can hide words."""
    given = ((form, attributes[name] or "") for name, form in _PRESENTED_IN_DRAWINGS.items() if name in attributes)
    return ";".join(form.format(f"{value}px" if _is_size(form, value) else value) for form, value in given)


def _is_size(form: str, value: str) -> bool:
    return "opacity" not in form and _BARE_NUMBER.fullmatch(value) is not None


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit] + "…"


def _all_text(node: "LexborNode") -> str:
    """The text of an element that is not shown, whether or not it stands in the page."""
    if node.tag == "template":
        return "\n".join(fragment.text() for fragment in node.template_fragments())
    return node.text()


def _columns(table: "LexborNode") -> frozenset[int]:
    """The columns of a table that hold words; none where it places blocks and has no rows to be read.

    Rows are read where no cell holds more than a few words and one row has several that do.
    """
    used: set[int] = set()
    several = False
    for row in _rows(table):
        column = 0
        filled = 0
        for cell in row:
            words = _is_worded(cell)
            if words is None:
                return frozenset()
            if words:
                used.add(column)
                filled += 1
            column += number_of(cell.attributes.get("colspan"), 1)
        several |= filled > 1
    return frozenset(used) if several else frozenset()


def _rows(table: "LexborNode") -> Iterator[list["LexborNode"]]:
    for child in table.iter():
        if child.tag == "tr":
            yield [cell for cell in child.iter() if cell.tag in ("td", "th")]
        elif child.tag in ("tbody", "thead", "tfoot"):
            yield from _rows(child)


def _is_worded(cell: "LexborNode") -> bool | None:
    """Whether words stand in a cell; None where it holds too many of them, or what does not fit in a row."""
    length = 0
    for node in cell.traverse(include_text=True):
        if node.is_text_node:
            length += len((node.text_content or "").strip())
            if length > _CELL_SHOWN:
                return None
        elif node.tag in _BREAKS_A_CELL:
            return None
    return length > 0
