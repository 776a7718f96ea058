"""HTML mail as the text a browser would show."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from salesos_inbox.mail.nesting import bearable, names
from salesos_inbox.mail.style import Attributes, Look, StyleSheet, look_of, page_look

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_PATH_SHOWN = 60
_CELL_SHOWN = 160
_LEVELS_SHOWN = 20
CUT_NOTE = "[The rest of this message is too long or too deeply nested to be shown.]"

_WHITE = re.compile("[ \t\n\r\f\xa0]+")
_HOST_IN_TEXT = re.compile(
    r"(?<![@\w.-])(?:https?://)?((?:[^\W_][\w-]{0,62}\.){1,8}[^\W\d_]{2,24})(?![\w@-])", re.IGNORECASE
)
_ENDINGS_OF_FILES = names("pdf doc docx xls xlsx ppt pptx csv txt html htm js py md png jpg jpeg gif json xml eml ics")
_WEB = re.compile(r"(https?|ftp):[/\\]*", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*(?=:)", re.IGNORECASE)
_UNSEEN_IN_URLS = re.compile(r"[\x00-\x20\x7f]+")

_NEVER_SHOWN = names(
    "head title style script template noembed noframes iframe object audio video canvas datalist param source track "
    "base link meta area rp desc defs"
)
_WITHOUT_WORDS_OF_A_SENDER = names("head title style script")
_PARAGRAPHS = names("p h1 h2 h3 h4 h5 h6 blockquote ul ol dl table pre figure fieldset form")
_BLOCKS = _PARAGRAPHS | names(
    "address article aside body caption center details dd dialog dir div dt figcaption footer header html legend li "
    "listing main menu nav option plaintext section summary tbody tfoot thead tr xmp"
)
_BLOCK_DISPLAYS = names("block flex grid table list-item table-row flow-root")
_BREAKS_A_CELL = names("table ul ol blockquote hr pre h1 h2 h3")
_SILENT_INPUTS = names("hidden password checkbox radio file image range color")


@dataclass(frozen=True)
class Link:
    """A link: its number in the text, where it leads as the message has it, and the host there or ""."""

    number: int
    url: str
    host: str


@dataclass(frozen=True)
class HtmlText:
    """What a message shows: its text with the list of links at the end, the links, and how many characters it hides."""

    text: str
    links: tuple[Link, ...]
    hidden_chars: int


def html_to_text(html: str) -> HtmlText:
    """The text that a browser would show for the HTML of a mail.

    Paragraphs, lists, quotes ("> "), rows of data ("a | b") and preformatted text keep their shape. Links become
    numbers with a list at the end in a form that no client makes clickable. What a sender hid is left out, and
    counted in characters. Never raises; HTML too large or too deep is cut and the text says so.
    """
    from selectolax.lexbor import LexborHTMLParser

    whole = html.encode("utf-8", "replace").decode()
    taken = bearable(whole)
    walk = _Walk(LexborHTMLParser(taken))
    lines = walk.writer.finished()
    if len(taken) < len(whole):
        lines.append(CUT_NOTE)
    links = tuple(walk.links.values())
    text = "\n".join(lines)
    return HtmlText("\n\n".join(filter(None, (text, link_list(links)))), links, walk.hidden_chars)


def _is_pixel(attributes: Attributes) -> bool:
    """Whether an image is a point that nobody sees, as trackers send it."""
    return any(attributes.get(side) in {"0", "1", "0px", "1px"} for side in ("width", "height"))


def link_list(links: Iterable[Link]) -> str:
    """The lines that say where numbered links lead: the whole host, the beginning of the path, nothing to click on."""
    return "\n".join(f"[{link.number}] {_inert(link)}" for link in links)


class _Prefix:
    """What stands before the lines of a quote or a list item: `first` once, `rest` from then on."""

    def __init__(self, first: str, rest: str) -> None:
        self.next = first
        self.rest = rest

    def take(self) -> str:
        taken, self.next = self.next, self.rest
        return taken


class _Writer:
    """Lines of text, built from words and breaks."""

    def __init__(self) -> None:
        self.spoken: list[str] = []
        self.in_cell = False
        self._lines: list[str] = []
        self._line: list[str] = []
        self._prefixes: list[_Prefix] = []
        self._outer = 0
        self._blank = False
        self._space = False

    def words(self, text: str) -> None:
        collapsed = _WHITE.sub(" ", text)
        core = collapsed.strip(" ")
        self._space |= collapsed.startswith(" ")
        if core:
            self._put(" " + core if self._space and self._line else core)
            self._space = collapsed.endswith(" ")

    def preformatted(self, text: str) -> None:
        for number, line in enumerate(text.replace("\r\n", "\n").split("\n")):
            if number:
                self.line_break()
            if line:
                self._put(line)

    def annotate(self, text: str) -> None:
        """Add to what was said last, whether or not its line has ended."""
        if self._line or not self._lines:
            self._line.append(text if self._line else text.lstrip())
        else:
            self._lines[-1] += text

    def separate_cells(self) -> None:
        self._line.append(" |")
        self._space = True

    def new_line(self) -> None:
        if self.in_cell:
            self._space = True
            return
        line = "".join(self._line).rstrip()
        self._line, self._space = [], False
        if line:
            if self._blank and self._lines:
                self._lines.append("".join(prefix.rest for prefix in self._prefixes[: self._outer]).rstrip())
            self._lines.append("".join(prefix.take() for prefix in self._prefixes) + line)
            self._blank, self._outer = False, len(self._prefixes)

    def line_break(self) -> None:
        if self._line or self.in_cell:
            self.new_line()
        else:
            self._blank = True

    def paragraph(self) -> None:
        self.new_line()
        self._blank |= not self.in_cell

    def indent(self, first: str, rest: str) -> None:
        deep = len(self._prefixes) >= _LEVELS_SHOWN
        self._prefixes.append(_Prefix("", "") if deep else _Prefix(first, rest))

    def dedent(self) -> None:
        self._prefixes.pop()
        self._outer = min(self._outer, len(self._prefixes))

    def finished(self) -> list[str]:
        self.in_cell = False
        self.new_line()
        return self._lines

    def _put(self, text: str) -> None:
        self._line.append(text)
        self.spoken.append(text)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the walk is: how things look here, and in what list or row they stand."""

    look: Look
    marker: Callable[[], str] = lambda: "- "
    lists: int = 0
    data: bool = False
    next_cell: Callable[[], bool] = lambda: False


Step = Callable[[], None]


class _Walk:
    """One pass over a tree, in document order, without recursion."""

    def __init__(self, tree: "LexborHTMLParser") -> None:
        self.writer = _Writer()
        self.links: dict[str, Link] = {}
        self.hidden_chars = 0
        self._sheet = StyleSheet(node.text() for node in tree.css("style"))
        self._ahead: list[Step] = []
        if tree.root is not None:
            self._ahead.append(partial(self._enter, tree.root, _Place(page_look(self._sheet))))
        while self._ahead:
            self._ahead.pop()()

    def _enter(self, node: "LexborNode", place: _Place) -> None:
        if node.is_text_node:
            self._say(node.text_content or "", place.look)
        elif node.is_element_node:
            self._element(node, (node.tag or "").lower(), place)

    def _element(self, node: "LexborNode", tag: str, place: _Place) -> None:
        if tag in _NEVER_SHOWN:
            if tag not in _WITHOUT_WORDS_OF_A_SENDER:
                self.hidden_chars += len(_WHITE.sub(" ", node.text()).strip())
            return
        attributes = node.attributes
        inside = replace(place, look=look_of(place.look, tag, attributes, self._sheet))
        if inside.look.gone:
            self._descend(node, inside)
            return
        if special := _VOIDS.get(tag):
            special(self, attributes, inside.look)
            return
        after: list[Step] = []
        if inside.look.display in _BLOCK_DISPLAYS or (tag in _BLOCKS and not inside.look.display.startswith("inline")):
            edge = (
                self.writer.paragraph
                if tag in _PARAGRAPHS and not (tag in ("ul", "ol") and place.lists)
                else self.writer.new_line
            )
            edge()
            after.append(edge)
        if opens := _OPENERS.get(tag):
            inside = opens(self, node, attributes, inside, after)
        self._ahead.extend(after)
        self._descend(node, inside)

    def _descend(self, node: "LexborNode", place: _Place) -> None:
        child = node.last_child
        while child is not None:
            self._ahead.append(partial(self._enter, child, place))
            child = child.prev

    def _say(self, text: str, look: Look) -> None:
        if look.hides_words:
            self.hidden_chars += len(_WHITE.sub(" ", text).strip())
        elif look.preformatted and not self.writer.in_cell:
            self.writer.preformatted(text)
        else:
            self.writer.words(text)

    def line_break(self, attributes: Attributes, look: Look) -> None:
        if not look.hides_boxes:
            self.writer.line_break()

    def rule(self, attributes: Attributes, look: Look) -> None:
        if not look.hides_boxes:
            self.writer.paragraph()
            self.writer.words("---")
            self.writer.paragraph()

    def image(self, attributes: Attributes, look: Look) -> None:
        alt = _WHITE.sub(" ", attributes.get("alt") or "").strip()
        if alt and (look.hides_boxes or _is_pixel(attributes)):
            self.hidden_chars += len(alt)
        elif alt:
            self.writer.words(f"[image: {alt}]")

    def input(self, attributes: Attributes, look: Look) -> None:
        value = attributes.get("value") or attributes.get("placeholder") or ""
        if value and (look.hides_words or (attributes.get("type") or "").lower() in _SILENT_INPUTS):
            self.hidden_chars += len(value)
        elif value:
            self.writer.words(f"[{value}]")

    def quote(self, node: "LexborNode", attributes: Attributes, place: _Place, after: list[Step]) -> _Place:
        self.writer.indent("> ", "> ")
        after.insert(0, self.writer.dedent)
        return place

    def bullets(self, node: "LexborNode", attributes: Attributes, place: _Place, after: list[Step]) -> _Place:
        return replace(place, lists=place.lists + 1, marker=lambda: "- ")

    def numbers(self, node: "LexborNode", attributes: Attributes, place: _Place, after: list[Step]) -> _Place:
        start = attributes.get("start") or ""
        numbers = iter(range(int(start) if re.fullmatch(r"\d{1,6}", start, re.ASCII) else 1, 10**9))
        return replace(place, lists=place.lists + 1, marker=lambda: f"{next(numbers)}. ")

    def item(self, node: "LexborNode", attributes: Attributes, place: _Place, after: list[Step]) -> _Place:
        marker = place.marker()
        self.writer.indent(marker, " " * len(marker))
        after.insert(0, self.writer.dedent)
        return place

    def table(self, node: "LexborNode", attributes: Attributes, place: _Place, after: list[Step]) -> _Place:
        return replace(place, data=not self.writer.in_cell and _is_data(node))

    def row(self, node: "LexborNode", attributes: Attributes, place: _Place, after: list[Step]) -> _Place:
        cells = iter(range(10**9))
        return replace(place, next_cell=lambda: next(cells) > 0)

    def cell(self, node: "LexborNode", attributes: Attributes, place: _Place, after: list[Step]) -> _Place:
        if not place.data:
            self.writer.new_line()
            after.append(self.writer.new_line)
            return place
        if place.next_cell():
            self.writer.separate_cells()
        self.writer.in_cell = True
        after.append(self._leave_cell)
        return place

    def _leave_cell(self) -> None:
        self.writer.in_cell = False

    def link(self, node: "LexborNode", attributes: Attributes, place: _Place, after: list[Step]) -> _Place:
        url = _UNSEEN_IN_URLS.sub("", attributes.get("href") or "")
        if url and not url.startswith("#"):
            start = len(self.writer.spoken)
            after.append(lambda: self._end_link(url, start, node))
        return place

    def _end_link(self, url: str, start: int, node: "LexborNode") -> None:
        words = "".join(self.writer.spoken[start:])
        if url.lower().startswith("mailto:") and url[7:].partition("?")[0].lower() in words.lower():
            return
        if not words:
            if node.css_first("img") is None:
                return
            self.writer.words("[image]")
        link = self.links.get(url) or Link(len(self.links) + 1, url, _host(url))
        self.links[url] = link
        named = _other_host(words, link.host)
        self.writer.annotate(f" [{link.number}: leads to {link.host}, not {named}]" if named else f" [{link.number}]")


_VOIDS = {
    "br": _Walk.line_break,
    "hr": _Walk.rule,
    "img": _Walk.image,
    "input": _Walk.input,
}
_OPENERS = {
    "a": _Walk.link,
    "blockquote": _Walk.quote,
    "ul": _Walk.bullets,
    "ol": _Walk.numbers,
    "li": _Walk.item,
    "table": _Walk.table,
    "tr": _Walk.row,
    "td": _Walk.cell,
    "th": _Walk.cell,
}


def _is_data(table: "LexborNode") -> bool:
    """Whether a table holds rows to be read, not blocks to be placed: two rows of two or more short cells."""
    rows: list[int] = []
    ahead = _children(table)
    while ahead:
        node = ahead.pop()
        tag = node.tag or ""
        if tag in _BREAKS_A_CELL:
            return False
        if tag == "tr":
            rows.append(0)
        elif tag in ("td", "th"):
            text = node.text().strip()
            if len(text) > _CELL_SHOWN:
                return False
            rows[-1:] = [rows[-1] + bool(text)] if rows else []
        ahead.extend(_children(node))
    return sum(cells >= 2 for cells in rows) >= 2


def _children(node: "LexborNode") -> list["LexborNode"]:
    """The children that are elements, the last one first."""
    found: list[LexborNode] = []
    child = node.last_child
    while child is not None:
        if child.is_element_node:
            found.append(child)
        child = child.prev
    return found


def _absolute(url: str) -> str:
    """The URL as a browser reads it: any slashes after the scheme, none needed before a host."""
    if url.startswith(("//", "\\\\")):
        url = "https:" + url
    web = _WEB.match(url)
    return f"{web[1].lower()}://{url[web.end() :]}".replace("\\", "/") if web else url


def _host(url: str) -> str:
    """The host a web address leads to, in ASCII (RFC 3490) so that no look-alike letter hides in it; "" for others."""
    try:
        host = urlsplit(_absolute(url)).hostname or ""
        return host if host.isascii() else host.encode("idna").decode()
    except ValueError:
        return ""


def _inert(link: Link) -> str:
    url = _absolute(link.url)
    scheme = _SCHEME.match(url)
    rest = url[scheme.end() + 1 :] if scheme else url
    if link.host and scheme:
        path = re.sub(r"^/*[^/?#]*", "", rest)
        return f"{scheme[0].replace('tt', 'xx', 1)}://{link.host}{_short(path.removesuffix('/'))}"
    if scheme and scheme[0].lower() in ("mailto", "tel"):
        return f"{scheme[0].lower()} {_short(rest.partition('?')[0])}"
    return f"({scheme[0].lower() if scheme else 'relative'} link) {_short(rest)}"


def _short(text: str) -> str:
    return text if len(text) <= _PATH_SHOWN else text[:_PATH_SHOWN] + "…"


def _other_host(words: str, host: str) -> str:
    """A host that the words of a link name and that the link does not lead to, or ""."""
    if not host:
        return ""
    for named in _HOST_IN_TEXT.findall(words[:1000]):
        seen = _host("https://" + named.lower())
        if seen.rpartition(".")[2] not in _ENDINGS_OF_FILES and not (_within(host, seen) or _within(seen, host)):
            return named.lower()
    return ""


def _within(host: str, other: str) -> bool:
    other = other.removeprefix("www.")
    return host == other or host.endswith("." + other)
