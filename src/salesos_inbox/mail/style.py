"""Whether the words of an HTML mail can be seen, as far as style decides it: the cascade of CSS and what it hides.

The measure is Chromium with a window 1,024 pixels wide, light colors and no scripts. Nothing is laid out: where words
stand is known only as far as their style moves them, so what is hidden by other words or boxes, or because so much
stands before it, counts as shown. So do words on a picture, whose colors cannot be known, and words placed over
something (`position: absolute`) where a picture or a background stands near them.
`mso-hide: all` hides in Outlook and nowhere else: it counts as shown.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from salesos_inbox.mail.colors import (
    BLACK,
    CURRENT,
    FILTERS,
    NOTHING,
    WHITE,
    Paint,
    alike,
    color,
    filtered,
    legacy_color,
)
from salesos_inbox.mail.css import (
    UNLAYERED,
    WIDE,
    WINDOW_HEIGHT,
    WINDOW_WIDTH,
    Length,
    Rule,
    Sheets,
    declarations,
    length,
    longhands,
    matters,
    media,
    number,
    substituted,
    words,
)
from salesos_inbox.mail.nesting import names
from salesos_inbox.mail.selectors import (
    Document,
    NotASelector,
    Selector,
    Specificity,
    TooManySteps,
    selector,
    split_list,
)

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

Attributes = Mapping[str, str | None]
Priority = tuple[bool, bool, int, Specificity, int]
Stated = dict[str, tuple[Priority, str]]
Css = Mapping[str, str]
Items = tuple[tuple[str, str], ...]
Hints = tuple[tuple[str, str | None], ...]
Candidates = tuple[tuple[Selector, Rule, int], ...]
Known = Paint | None

_SMALLEST_LETTERS = 2.0
_SMALLEST_USUAL_LETTERS = 6.0
_SHARES = ("%", "em", "ex", "ch")
_FAR_OFF = -900.0
_FAR_RIGHT = 2_000.0
_FAR_DOWN = 5_000.0
_FAINTEST = 0.06
_MOST_BACKDROPS = 8
_MOST_PAINTS = 6
_LONGEST_KEPT = 500
_LONGEST_VALUE_KEPT = 100
"""Characters of a style attribute, and of a value, that are kept from mail to mail."""

_BLOCKS = names(
    "address article aside blockquote body button caption canvas center dd details dialog dir div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html iframe img input legend li listing main "
    "marquee menu meter nav object ol optgroup option p plaintext pre progress search section select summary textarea "
    "ul video xmp"
)
_ROWS = names("tr tbody thead tfoot colgroup col")
_BOXES = dict.fromkeys(_BLOCKS, "block") | dict.fromkeys(_ROWS, "row") | {"td": "cell", "th": "cell", "table": "table"}
_BOX_OF_DISPLAY = {
    "inline": "inline",
    "contents": "inline",
    "ruby": "inline",
    "ruby-text": "inline",
    "table-cell": "cell",
    "table": "table",
    "inline-table": "table",
} | dict.fromkeys(
    names("table-row table-row-group table-header-group table-footer-group table-column table-column-group"), "row"
)
_PREFORMATTED = names("pre textarea listing plaintext xmp")
_CONTROLS = {
    "button": Paint(239, 239, 239),
    "input": WHITE,
    "textarea": WHITE,
    "select": WHITE,
}
_RELATIVE_SIZES = {"h1": 2.0, "h2": 1.5, "h3": 1.17, "h5": 0.83, "h6": 0.67, "small": 5 / 6, "big": 1.2} | {
    "sub": 5 / 6,
    "sup": 5 / 6,
}
_NAMED_SIZES = {
    "xx-small": 9.0,
    "x-small": 10.0,
    "small": 13.0,
    "medium": 16.0,
    "large": 18.0,
    "x-large": 24.0,
    "xx-large": 32.0,
    "xxx-large": 48.0,
}
_HINTS = names("hidden bgcolor background text color link href open size fill")
_OF_THE_BOX = names(
    "background-color background-image background-clip opacity filter position overflow-x overflow-y transform clip "
    "clip-path contain content-visibility mask-image translate scale rotate zoom"
)


class Frame(NamedTuple):
    """Where style has moved the words, and the edges beyond which nothing of them is seen."""

    x: float = 0.0
    y: float = 0.0
    left: float = _FAR_OFF
    top: float = _FAR_OFF
    right: float = _FAR_RIGHT
    bottom: float = _FAR_DOWN

    def moved(self, x: float, y: float) -> "Frame":
        """The same edges, the words elsewhere."""
        return self._replace(x=self.x + x, y=self.y + y)

    def cut(self, width: float | None, height: float | None) -> "Frame":
        """The edges of a box of that size; None for a size that cannot be known."""
        right = self.x + (WINDOW_WIDTH if width is None else width)
        bottom = self.bottom if height is None else self.y + height
        left = self.left if width is None else self.x - max(width, 1)
        top = self.top if height is None else self.y - max(height, 1)
        return self._replace(
            left=max(self.left, left),
            top=max(self.top, top),
            right=min(self.right, right),
            bottom=min(self.bottom, bottom),
        )


_PAGE = Frame()
LINK = Paint(0, 0, 238)
_SCREEN = Frame(right=WINDOW_WIDTH, bottom=WINDOW_HEIGHT)


@dataclass(slots=True, eq=False)
class Letters:
    """How large letters are and how they stand; `fixed` where their size does not depend on what is usual.

    `root` is the size of the page's own letters.
    """

    size: float = 16.0
    fixed: bool = False
    line: Length | None = None
    illegible: bool = False
    root: float = 16.0


@dataclass(slots=True, eq=False)
class Colors:
    """With what words are painted, and over what. None is a color that cannot be known.

    `seen`: whether the words differ from what is behind them.
    """

    opacity: float = 1.0
    ink: Known = BLACK
    fill: Known | str = CURRENT
    shadows: tuple[Known, ...] = ()
    outline: float = 0.0
    outline_ink: Known | str = CURRENT
    painted: tuple[Known, ...] = ()
    filters: tuple[tuple[str, float], ...] = ()
    behind: tuple[Paint, ...] | None = (WHITE,)
    link: Paint = LINK
    page_ink: Known = BLACK
    seen: bool = field(init=False)

    def __post_init__(self) -> None:
        self.seen = self._is_seen()

    def _is_seen(self) -> bool:
        inks = [self.ink if isinstance(self.fill, str) else self.fill, *self.shadows, *self.painted]
        if self.outline > 0:
            inks.append(self.ink if isinstance(self.outline_ink, str) else self.outline_ink)
        return any(self._differs(ink) for ink in inks)

    def _differs(self, ink: Known) -> bool:
        if ink is None:
            return self.opacity > _FAINTEST
        shown = filtered(ink, self.filters).faded(self.opacity)
        if self.behind is None:
            return shown.alpha > _FAINTEST
        return any(not alike(shown.over(behind), behind) for behind in self.behind)


@dataclass(slots=True, eq=False)
class Place:
    """Where words stand, where the box stands that absolute positions count from, and how large all is drawn.

    `seen`: whether a box there would be.
    """

    frame: Frame = _PAGE
    around: Frame = _PAGE
    scale: float = 1.0
    squeezed: bool = False
    indent: float = 0.0
    indented: float = 0.0
    seen: bool = field(init=False)

    def __post_init__(self) -> None:
        frame = self.frame
        self.seen = (
            self.scale > 0.02 and frame.left < frame.x < frame.right - 1 and frame.top < frame.y < frame.bottom - 1
        )

    def cuts_off(self, letters: Letters) -> bool:
        """Whether nothing of such letters is within the edges."""
        frame, size = self.frame, letters.size
        line = size * 1.15 if letters.line is None else _line(letters.line, size)
        if self.squeezed and line < 1:
            return True
        x = frame.x + self.indented
        ink = max(0.0, (line - size) / 2 + size * 0.2) + size * 0.15
        return x <= frame.left or x >= frame.right - 1 or frame.y + min(ink, line + size) >= frame.bottom


_LETTERS, _COLORS, _PLACE = Letters(), Colors(), Place()


@dataclass(slots=True, eq=False)
class Look:
    """What an element hands down to the words in it.

    `hides_boxes`: not even an image would be seen. `hides_words`: words would not, as they are gone or invisible, no
    more than 2 pixels high, cut off or far away, or of the color of what is behind them: no channel of 255 differs by
    more than 16 (`colors.alike`).
    """

    gone: bool = False
    invisible: bool = False
    closed: bool = False
    preformatted: bool = False
    display: str = ""
    box: str = "block"
    letters: Letters = _LETTERS
    colors: Colors = _COLORS
    place: Place = _PLACE
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    hides_boxes: bool = field(init=False)
    hides_words: bool = field(init=False)

    def __post_init__(self) -> None:
        letters, colors, place = self.letters, self.colors, self.place
        self.hides_boxes = self.gone or self.invisible or colors.opacity <= _FAINTEST or not place.seen
        self.hides_words = (
            self.hides_boxes
            or self.closed
            or letters.illegible
            or letters.size * place.scale <= _SMALLEST_LETTERS
            or place.cuts_off(letters)
            or not colors.seen
        )


PAGE_LOOK = Look()
"""How a page looks before its first element says anything: black on white."""
_GONE = Look(gone=True)


class StyleSheet:
    """The cascade of one mail: every rule of its <style> elements that could decide what is seen.

    Selectors that end in a class, an id or a tag are asked only of elements that have it. Matching takes 150,000 steps
    at most, twenty times what the heaviest newsletter seen needs. From there on such a selector counts as matching
    whatever has the tag, class or id it ends in, and of its rule only what hides is taken: a style sheet made to be
    slow hides too much rather than too little. `later` are the sheets of a part of the mail that is not in the tree.
    """

    def __init__(self, tree: "LexborHTMLParser", later: Iterable[str] = ()) -> None:
        self.quirks = _in_quirks_mode(tree)
        self._document = Document(tree, self.quirks)
        self._simple: dict[str, list[tuple[Rule, Specificity, int]]] = {}
        self._complex: dict[str, list[tuple[Selector, Rule, int]]] = {}
        self._merged: dict[str, Stated] = {}
        self._blocks: dict[int, Stated] = {}
        self._found: dict[tuple[str, str, str], tuple[Stated, Candidates]] = {}
        self._stated: dict[tuple[object, ...], Css] = {}
        self._different: dict[Items, Css] = {}
        self.looks: dict[tuple[object, ...], Look] = {}
        self._pictures: dict[int, bool] = {}
        self._order = 0
        sheets = Sheets()
        for node in tree.css("style"):
            attributes = node.attributes
            kind = (attributes.get("type") or "text/css").strip().lower()
            if kind == "text/css" and media(attributes.get("media") or ""):
                for rule in sheets.rules(node.text()):
                    self._add(rule)
        for text in later:
            for rule in sheets.rules(text):
                self._add(rule)

    def stated(self, node: "LexborNode", tag: str, attributes: Attributes) -> Css:
        """What the rules and its own style say of an element: the strongest of each property."""
        style = attributes.get("style") or ""
        if not self._order:
            return self._of((style,), (), style) if style else _NOTHING_STATED
        classes, identity = attributes.get("class") or "", attributes.get("id") or ""
        if self.quirks:
            classes, identity = classes.lower(), identity.lower()
        names_ = (tag, classes, identity)
        found = self._found.get(names_)
        if found is None:
            found = self._found[names_] = self._lookup(tag, classes.split(), identity)
        simple, candidates = found
        matched = self._matching(node, candidates) if candidates else ()
        if not simple and not matched and not style:
            return _NOTHING_STATED
        return self._of(
            (*names_, style, *(order for _, order in matched)), (simple, *(block for block, _ in matched)), style
        )

    def has_picture_near(self, node: "LexborNode") -> bool:
        """Whether a picture or a background stands in the same element as a node, which may lie over it."""
        around = node.parent
        if around is None:
            return False
        if around.mem_id not in self._pictures:
            picture = around.css_first("img, [background], [bgcolor], [style*=background]")
            self._pictures[around.mem_id] = picture is not None
        return self._pictures[around.mem_id]

    def _of(self, key: tuple[object, ...], layers: Iterable[Stated], style: str) -> Css:
        css = self._stated.get(key)
        if css is None:
            own = _of_style_attribute if len(style) <= _LONGEST_KEPT else _of_style_attribute.__wrapped__
            merged = _merged([*layers, own(style, self.quirks)])
            left_out = _SIZES if _NEEDS_SIZES.isdisjoint(merged) else ()
            css = {name: value for name, (_, value) in merged.items() if name not in left_out}
            css = self._stated[key] = self._different.setdefault(tuple(css.items()), css)
        return css

    def _add(self, rule: Rule) -> None:
        """File a rule under what the last part of each of its selectors asks for."""
        self._order += 1
        selectors = rule.selectors
        simple: list[tuple[str, Specificity]] = []
        read: list[Selector] = []
        try:
            for part in split_list(selectors):
                if found := _SIMPLE.fullmatch(part):
                    tag, mark, name = found[1] or "", found[2] or "", found[3] or ""
                    key = (mark + name).lower() if self.quirks else mark + name
                    tag = "" if tag == "*" else tag.lower()
                    simple.append((tag + key or "*", (int(mark == "#"), int(mark == "."), int(bool(tag)))))
                elif self._document.lacks(part):
                    continue
                elif matters(rule.block) and (one := selector(part, self.quirks)) is not None:
                    read.append(one)
        except NotASelector:
            return
        for key, specificity in simple:
            self._simple.setdefault(key, []).append((rule, specificity, self._order))
        for one in read:
            self._complex.setdefault(one.key, []).append((one, rule, self._order))

    def _lookup(self, tag: str, classes: list[str], identity: str) -> tuple[Stated, Candidates]:
        keys = ["*", tag, *(f".{name}" for name in classes)]
        if identity:
            keys.append(f"#{identity}")
        both = keys + [tag + key for key in keys[2:]]
        simple = _merged([self._at(key) for key in both if key in self._simple])
        return simple, tuple(rule for key in dict.fromkeys(keys) for rule in self._complex.get(key, ()))

    def _at(self, key: str) -> Stated:
        if key not in self._merged:
            self._merged[key] = _merged(
                [
                    _ranked(rule.block, self.quirks, rule.layer, specificity, order)
                    for rule, specificity, order in self._simple[key]
                ]
            )
        return self._merged[key]

    def _matching(self, node: "LexborNode", candidates: Candidates) -> list[tuple[Stated, int]]:
        """What the candidates that match say, each with a number of its own."""
        found: list[tuple[Stated, int]] = []
        try:
            element = self._document.element(node)
            for one, rule, order in candidates:
                if one.matches(element):
                    key = id(one)
                    if key not in self._blocks:
                        self._blocks[key] = _ranked(rule.block, self.quirks, rule.layer, one.specificity, order)
                    found.append((self._blocks[key], key))
        except TooManySteps:
            key = -id(candidates)
            if key not in self._blocks:
                rules = (
                    _ranked(rule.block, self.quirks, rule.layer, (0, 0, 0), order) for _, rule, order in candidates
                )
                self._blocks[key] = _only_hiding(_merged(list(rules)))
            return [(self._blocks[key], key)]
        return found


_NOTHING_STATED: Css = {}
_SIZES = names("height max-height min-height width max-width min-width box-sizing")
_NEEDS_SIZES = names("overflow-x overflow-y contain transform translate scale rotate")
"""Only what cuts off or moves words by a share asks for the size of their box."""
_SIMPLE = re.compile(r"\s*(\*|[a-zA-Z][\w-]*)?(?:([.#])([a-zA-Z_][\w-]*))?\s*(?<=[\w\s*-])", re.ASCII)


def look_of(parent: Look, node: "LexborNode", tag: str, attributes: Attributes, sheet: StyleSheet) -> Look:
    """How an element looks that stands in one that looks like `parent`."""
    if parent.gone:
        return parent
    if parent.closed:
        if tag != "summary" or _has_earlier_summary(node):
            return _GONE
        parent = replace(parent, closed=False)
    css = sheet.stated(node, tag, attributes)
    hints: Hints = ()
    if not _HINTS.isdisjoint(attributes):
        hints = tuple([(name, "" if name == "href" else attributes[name]) for name in attributes if name in _HINTS])
    place = node.mem_id if "position" in css else 0
    over = bool(css) and _overlays(css) and sheet.has_picture_near(node)
    kind = _KINDS.get(tag, "span")
    key = (parent, kind, hints, id(css), place, over) if css else (parent, kind, hints)
    look = sheet.looks.get(key)
    if look is None:
        items = tuple(css.items())
        is_common = not (place or parent.variables) and all(map(_is_short, items + hints))
        draw = _drawn if is_common else _drawn.__wrapped__
        look = sheet.looks[key] = draw(parent, None if is_common else node, kind, hints, items, sheet.quirks, over)
    return look


def _is_short(said: tuple[str, str | None]) -> bool:
    return len(said[1] or "") <= _LONGEST_VALUE_KEPT and not said[0].startswith("--")


@lru_cache(4096)
def _drawn(
    parent: Look, node: "LexborNode | None", tag: str, hints: Hints, items: Items, quirks: bool, over: bool
) -> Look:
    """An element's look: kept from mail to mail where its style is a common one, as the same tables stand in most."""
    return _Drawing(parent, node, tag, dict(hints), dict(items), quirks, over).look()


def _has_earlier_summary(node: "LexborNode") -> bool:
    before = node.prev
    while before is not None:
        if before.tag == "summary":
            return True
        before = before.prev
    return False


def _overlays(css: Css) -> bool:
    return css.get("position") in ("absolute", "fixed") or css.get("margin-top", "").startswith("-")


# What is equal is made once, so that looks with equal parts are one look.
_letters = lru_cache(2048)(Letters)
_colors = lru_cache(2048)(Colors)
_place = lru_cache(2048)(Place)
_look = lru_cache(4096)(Look)


class _Drawing:
    """One element's look, property by property."""

    def __init__(
        self, parent: Look, node: "LexborNode | None", tag: str, hints: Attributes, css: Css, quirks: bool, over: bool
    ) -> None:
        self.parent, self.node, self.tag, self.hints = parent, node, tag, hints
        self.quirks, self.over_picture = quirks, over
        self.letters, self.colors, self.place = parent.letters, parent.colors, parent.place
        self.variables, self.css = _with_variables(parent.variables, css, self.quirks)
        if self.css.get("display") == "contents":
            self.css = {name: value for name, value in self.css.items() if name not in _OF_THE_BOX}

    def look(self) -> Look:
        """All of it."""
        parent, tag, css = self.parent, self.tag, self.css
        display = css.get("display", "")
        if display in WIDE:
            display = "" if display.startswith("revert") else parent.display if display == "inherit" else "inline"
        if display == "none" or (not display and self._is_off()):
            return Look(gone=True, display="none")
        position = css.get("position", "static")
        placed = position in ("absolute", "fixed")
        box = self._box(display, placed)
        said = css.keys()
        variables = self.variables
        letters, colors, place = parent.letters, parent.colors, parent.place
        if (
            tag in (_RESIZED_LONG_AGO if self.quirks else _RESIZED)
            or not said.isdisjoint(_OF_LETTERS)
            or "size" in self.hints
        ):
            letters = self._letters()
        if (
            tag in (_PAINTED_LONG_AGO if self.quirks else _PAINTED)
            or self.over_picture
            or not said.isdisjoint(_OF_COLORS)
            or not _PAINTS.isdisjoint(self.hints)
        ):
            colors = self._colors(letters.size)
        if not said.isdisjoint(_OF_PLACE) or tag in _CONTROLS:
            place = self._placed(box, position, letters.size)
        elif box != "inline" and place.indented != place.indent:
            place = _place(place.frame, place.around, place.scale, place.squeezed, place.indent, place.indent)
        invisible = _INVISIBLE.get(css.get("visibility", ""), parent.invisible)
        closed = tag == "details" and "open" not in self.hints
        preformatted = self._preformatted()
        look = (False, invisible, closed, preformatted, display, box, letters, colors, place)
        return Look(*look, variables) if variables else _look(*look)

    def _box(self, display: str, placed: bool) -> str:
        box = _BOX_OF_DISPLAY.get(display, "block") if display else _BOXES.get(self.tag, "inline")
        if box != "inline" or display == "contents":
            return box
        floats = self.css.get("float", "none") not in ("none", *WIDE)
        return "block" if floats or placed or _lays_out(self.parent.display) else box

    def _is_off(self) -> bool:
        return "hidden" in self.hints or (self.tag == "dialog" and "open" not in self.hints)

    # Letters

    def _letters(self) -> Letters:
        control = self.tag in _CONTROLS
        size, fixed = self._font(control)
        root = size if self.tag == "html" else self.letters.root
        return _letters(size, fixed, self._line(size, control), self._is_illegible(size, control), root)

    def _font(self, control: bool) -> tuple[float, bool]:
        """How large letters are, and whether in a unit that does not depend on what is usual.

        Chromium shows no letters smaller than 6 pixels where nothing but shares of what is usual made them so.
        """
        css, parent = self.css, self.letters
        fixed = parent.fixed
        usual = parent.size * _RELATIVE_SIZES.get(self.tag, 1.0)
        if control:
            usual = 13.333
        if self.tag == "table" and self.quirks:
            usual = 16.0
        value = css.get("font-size")
        size = usual
        if value in ("inherit", "unset"):
            size = parent.size
        elif value == "initial":
            size, fixed = 16.0, False
        elif value in _NAMED_SIZES:
            size, fixed = _NAMED_SIZES[value], False
        elif value in ("larger", "smaller"):
            size = parent.size * (1.2 if value == "larger" else 5 / 6)
        elif value and (found := length(value)):
            size = found.number * parent.root if found.unit == "rem" else found.px(parent.size, parent.size)
            fixed |= found.unit not in _SHARES
        elif not value and self.tag == "font" and self.hints.get("size"):
            size = _font_of_attribute(self.hints["size"] or "", parent.size)
        adjust = number(css.get("font-size-adjust", ""))
        if 0 < size < _SMALLEST_USUAL_LETTERS and not fixed:
            size = _SMALLEST_USUAL_LETTERS
        return (0.0 if adjust == 0 else size), fixed

    def _line(self, font: float, control: bool) -> Length | None:
        value = self.css.get("line-height")
        if control and value is None:
            return None
        if value is None or value in ("inherit", "unset"):
            return None if self.tag == "table" and self.quirks and value is None else self.letters.line
        found = length(value)
        if found is None:
            return None
        return found if not found.unit and found.number else Length(found.px(font, font), "px")

    def _indent(self, font: float, control: bool) -> float:
        value = self.css.get("text-indent", "")
        if control and not value:
            return 0.0
        found = next(filter(None, map(length, value.split())), None)
        if value == "initial":
            return 0.0
        return self.place.indent if found is None else found.px(font)

    def _is_illegible(self, font: float, control: bool) -> bool:
        css = self.css
        illegible = self.letters.illegible and not control
        if spacing := css.get("letter-spacing"):
            found = length(spacing)
            gap = found.px(font, font) if found else 0.0
            illegible = gap <= -0.45 * font or gap >= WINDOW_WIDTH
        if spacing := css.get("word-spacing"):
            found = length(spacing)
            illegible = illegible or bool(found and found.px(font, font) <= -400)
        if "blur(" in css.get("filter", ""):
            blurs = (length(argument.strip()) for name, argument in _FUNCTION.findall(css["filter"]) if name == "blur")
            illegible = illegible or any(radius is not None and radius.px(font) >= font for radius in blurs)
        if security := css.get("-webkit-text-security"):
            illegible = security not in ("none", "initial")
        return illegible

    def _preformatted(self) -> bool:
        value = self.css.get("white-space", "")
        if not value or value in WIDE:
            return self.parent.preformatted or self.tag in _PREFORMATTED
        return value.startswith(("pre", "break-spaces"))

    # Paint

    def _colors(self, font: float) -> Colors:
        control = _CONTROLS.get(self.tag)
        ink = self._ink(control is not None)
        opacity, filters = self._filtered()
        behind, painted = self._background(ink, opacity, filters, control)
        return _colors(
            opacity=opacity,
            ink=ink,
            fill=self._inherited_paint("-webkit-text-fill-color", self.colors.fill),
            shadows=self._shadows(),
            outline=self._outline(font),
            outline_ink=self._inherited_paint("-webkit-text-stroke-color", self.colors.outline_ink),
            painted=painted,
            filters=filters,
            behind=behind,
            link=self._link(),
            page_ink=ink if self.tag == "body" else self.colors.page_ink,
        )

    def _ink(self, control: bool) -> Paint | None:
        parent, tag, value = self.colors, self.tag, self.css.get("color")
        if tag in _DRAWN:
            return self._fill()
        if value in ("inherit", "unset", CURRENT):
            return parent.ink
        if value == "initial":
            return BLACK
        if value and value not in WIDE:
            found = color(value)
            return found if isinstance(found, Paint) else None
        hint = self.hints.get({"font": "color", "body": "text"}.get(tag, "")) or ""
        if hint and (old := legacy_color(hint)):
            return old
        if tag == "a" and "href" in self.hints:
            return parent.link
        if control or tag in ("mark", "dialog"):
            return BLACK
        return parent.page_ink if tag == "table" and self.quirks else parent.ink

    def _fill(self) -> Known:
        """With what words in a drawing are painted, where `color` means nothing."""
        value = self.css.get("fill") or (self.hints.get("fill") or "").strip().lower()
        if not value or value in WIDE:
            return BLACK if self.tag == "svg" else self.colors.ink
        found = NOTHING if value == "none" else color(value)
        return found if isinstance(found, Paint) else None

    def _link(self) -> Paint:
        found = legacy_color(self.hints.get("link") or "") if self.tag == "body" else None
        return found or self.colors.link

    def _inherited_paint(self, name: str, inherited: Known | str) -> Known | str:
        value = self.css.get(name)
        if value is None or value in ("inherit", "unset"):
            return inherited
        if value in WIDE or value == CURRENT:
            return CURRENT
        found = color(value)
        return found if isinstance(found, Paint) else None

    def _outline(self, font: float) -> float:
        value = self.css.get("-webkit-text-stroke-width")
        if value is None or value in ("inherit", "unset"):
            return self.colors.outline
        found = length(value)
        return 1.0 if value in ("thin", "medium", "thick") else found.px(font) if found else 0.0

    def _shadows(self) -> tuple[Paint | None, ...]:
        value = self.css.get("text-shadow")
        if value is None or value in ("inherit", "unset"):
            return self.colors.shadows
        if value in WIDE or value == "none":
            return ()
        shadows: list[Paint | None] = []
        for part in split_list(value)[:_MOST_PAINTS]:
            found = [one for word in words(part) if (one := color(word)) is not None]
            shadows.append(found[0] if found and isinstance(found[0], Paint) else self.colors.ink)
        return tuple(shadows)

    def _background(
        self, ink: Paint | None, opacity: float, filters: tuple[tuple[str, float], ...], control: Paint | None
    ) -> tuple[tuple[Paint, ...] | None, tuple[Paint | None, ...]]:
        """What is behind the words, and with what they are painted where the background is cut to their shape."""
        css, behind = self.css, self.colors.behind
        if self.over_picture:
            behind = None
        value = css.get("background-color")
        paint: Paint | None = NOTHING
        if value and value not in WIDE:
            found = ink if value == CURRENT else color(value)
            paint = found if isinstance(found, Paint) else None
        elif value is None or value.startswith("revert"):
            paint = legacy_color(self.hints.get("bgcolor") or "") or control
            paint = paint or (Paint(255, 255, 0) if self.tag == "mark" else WHITE if self.tag == "dialog" else NOTHING)
        images = css.get("background-image", "")
        if images in WIDE:
            images = ""
        if not images and self.hints.get("background"):
            images = "url()"
        stops = _stops(images, ink) if images and images != "none" else ()
        if "text" in css.get("background-clip", ""):
            return behind, (*((paint,) if paint is None or paint.alpha else ()), *((None,) if stops is None else stops))
        if paint is None or stops is None:
            return None, self.colors.painted
        if not paint.alpha and not stops:
            return behind, self.colors.painted
        layer = filtered(paint, filters).faded(opacity)
        if behind is None:
            return ((layer,) if layer.alpha == 1 and not stops else None), self.colors.painted
        base = [layer.over(one) for one in behind]
        for stop in stops:
            base += [filtered(stop, filters).faded(opacity).over(one) for one in base[: len(behind)]]
        if stops and all(stop.alpha == 1 for stop in stops):
            base = base[len(behind) :]
        return tuple(dict.fromkeys(base))[:_MOST_BACKDROPS], self.colors.painted

    def _filtered(self) -> tuple[float, tuple[tuple[str, float], ...]]:
        """How much of it all is left, and what filters change the colors."""
        css, colors = self.css, self.colors
        found = number(css.get("opacity", ""))
        opacity = colors.opacity * (1.0 if found is None else min(1.0, max(0.0, found)))
        value = css.get("filter", "")
        if not value or value == "none" or value in WIDE:
            return opacity, colors.filters
        filters = list(colors.filters)
        for name, argument in _FUNCTION.findall(value):
            amount = number(argument.strip())
            if name == "opacity":
                opacity *= min(1.0, max(0.0, 1.0 if amount is None else amount))
            elif name in FILTERS:
                filters.append((name, 1.0 if amount is None else amount))
        return opacity, tuple(filters[:_MOST_PAINTS])

    # Place

    def _px(self, name: str, font: float, whole: float = WINDOW_WIDTH) -> float | None:
        value = self.css.get(name)
        found = length(value) if value else None
        return None if found is None else found.px(font, whole)

    def _transformed(self, box: str, placed: bool) -> tuple[float, float, float]:
        css = self.css
        scale, x, y = self.place.scale, 0.0, 0.0
        if (zoom := number(css.get("zoom", ""))) is not None and zoom > 0:
            scale *= zoom
        if box == "inline":
            return scale, x, y
        width = 100.0 if placed or css.get("display", "").startswith("inline") or "width" in css else WINDOW_WIDTH
        calls = _FUNCTION.findall(css.get("transform", ""))
        for name in ("translate", "scale", "rotate"):
            if name in css:
                calls.append(
                    (_ROTATED.get(css[name][:1], name) if name == "rotate" else name, ",".join(css[name].split()))
                )
        flipped = False
        for name, argument in calls:
            parts = [part.strip() for part in split_list(argument)]
            if name.startswith("translate"):
                dx, dy = _translated(name, parts, width)
                x, y = x + dx, y + dy
            if shrinks := _SHRINKING.get(name):
                factor = shrinks(parts)
                flipped ^= factor < 0
                scale *= abs(factor)
            if name == "matrix" and len(parts) == 6:
                dx, dy = (length(part) for part in parts[4:])
                x, y = x + (dx.px() if dx else 0), y + (dy.px() if dy else 0)
        if flipped and css.get("backface-visibility") == "hidden":
            scale = 0.0
        return scale, x, y

    def _placed(self, box: str, position: str, font: float) -> Place:
        placed = position in ("absolute", "fixed")
        scale, x, y = self._transformed(box, placed)
        frame, squeezed = self._cut(box, self._moved(box, position, font).moved(x, y), font, placed)
        if self._is_clipped_away(placed, font) or (box != "inline" and self.css.get("content-visibility") == "hidden"):
            scale = 0.0
        indent = self._indent(font, self.tag in _CONTROLS)
        positioned = position not in ("static", *WIDE) or "transform" in self.css
        around = frame if positioned else self.place.around
        return _place(frame, around, scale, squeezed, indent, self.place.indented if box == "inline" else indent)

    def _moved(self, box: str, position: str, font: float) -> Frame:
        css, frame, around = self.css, self.place.frame, self.place.around
        left, right = self._px("left", font), self._px("right", font)
        top, bottom = self._px("top", font, WINDOW_HEIGHT), self._px("bottom", font, WINDOW_HEIGHT)
        if position in ("absolute", "fixed"):
            base = _SCREEN if position == "fixed" else around
            x, y = frame.x, frame.y
            if left is not None:
                x = base.x + left
            elif right is not None:
                edge = min(WINDOW_WIDTH, base.right - base.x) - right
                x = base.left - 1 if edge <= 0 and not base.x else base.x + (edge if edge < 0 else max(edge - 100, 0))
            if top is not None:
                y = base.y + top
            elif bottom is not None:
                edge = min(WINDOW_HEIGHT, base.bottom - base.y) - bottom
                y = (
                    base.top - 1
                    if edge <= 0 and base is _SCREEN
                    else base.y + (edge if edge < 0 else max(edge - 20, 0))
                )
            frame = base._replace(x=x, y=y)
            if base.left == _FAR_OFF and left is not None and left < 0:
                frame = frame._replace(left=max(_FAR_OFF, -self._reach(font) - 16))
            if base.top == _FAR_OFF and top is not None and top < 0 and base.y == 0:
                lines = math.ceil(self._reach(font) / WINDOW_WIDTH)
                frame = frame._replace(top=max(_FAR_OFF, -1.5 * font * max(lines, 1)))
        elif position in ("relative", "sticky", "-webkit-sticky"):
            share = top is not None and css["top"].endswith("%")
            dx = left if left is not None else -(right or 0.0)
            dy = (0.0 if share else top) if top is not None else -(bottom or 0.0)
            frame = frame.moved(dx, dy or 0.0)
        if box not in ("row",):
            margin_x = self._px("margin-left", font) or 0.0
            padding_x = self._px("padding-left", font) or 0.0
            frame = frame.moved(margin_x + padding_x, 0)
            if css.get("float") == "right":
                frame = frame.moved(-(self._px("margin-right", font) or 0.0), 0)
        if box != "inline":
            margin_y = self._px("margin-top", font) or 0.0
            padding_y = self._px("padding-top", font) or 0.0
            if frame.bottom < _FAR_DOWN or margin_y < 0:
                frame = frame.moved(0, margin_y + padding_y)
        return frame

    def _reach(self, font: float) -> float:
        """How far to the right the words of the element go, at most."""
        return len(self.node.text() if self.node else "") * font * 0.6

    def _cut(self, box: str, frame: Frame, font: float, placed: bool) -> tuple[Frame, bool]:
        """The frame with the edges of the box where it clips, and whether its lines may have no height."""
        css, parent = self.css, self.place
        ways = [css.get("overflow-x", "visible"), css.get("overflow-y", "visible")]
        strict = "strict" in css.get("contain", "") or (
            "paint" in css.get("contain", "") and "size" in css.get("contain", "")
        )
        clips = strict or any(way not in ("visible", "initial", "unset", "revert") for way in ways)
        if not clips or box in ("inline", "row", "table"):
            return frame, parent.squeezed
        if box == "cell":
            return frame, False
        if ways[0] == "clip" and ways[1] == "visible":
            return frame.cut(self._size("width", font, False), None), parent.squeezed
        width = self._size("width", font, False)
        height = 0.0 if strict and "height" not in css else self._size("height", font, not placed)
        if ways[1] == "clip" and ways[0] == "visible":
            width = None
        return frame.cut(width, height), height is None

    def _size(self, side: str, font: float, only_fixed: bool) -> float | None:
        """How much of the box stands to the right of, or below, where its words begin; None if that depends on them."""
        css = self.css
        first, last = ("left", "right") if side == "width" else ("top", "bottom")
        values: dict[str, float] = {}
        for name in (side, f"max-{side}", f"min-{side}"):
            found = length(css.get(name, ""))
            if found is not None and not (found.unit == "%" and only_fixed):
                values[name] = found.px(font, WINDOW_WIDTH if side == "width" else WINDOW_HEIGHT)
        size = min((values[name] for name in (side, f"max-{side}") if name in values), default=None)
        if size is None:
            return None
        size = max(size, values.get(f"min-{side}", 0.0))
        paddings = [self._px(f"padding-{edge}", font) or 0.0 for edge in (first, last)]
        if css.get("box-sizing") == "border-box":
            return max(size - paddings[0], paddings[1])
        return size + paddings[1]

    def _is_clipped_away(self, placed: bool, font: float) -> bool:
        css = self.css
        clip = css.get("clip", "")
        if placed and clip.startswith("rect(") and _is_empty_rectangle(clip, font):
            return True
        path = css.get("clip-path", "")
        if path and path != "none" and path not in WIDE and _is_empty_shape(path, font):
            return True
        mask = css.get("mask-image", "")
        if mask and "gradient" in mask:
            stops = _stops(mask, BLACK)
            return stops is not None and all(stop.alpha <= _FAINTEST for stop in stops)
        return False


_INVISIBLE = {"hidden": True, "collapse": True, "visible": False, "initial": False}
_OF_LETTERS = names("font-size font-size-adjust line-height letter-spacing word-spacing -webkit-text-security filter")
_OF_COLORS = names(
    "color -webkit-text-fill-color -webkit-text-stroke-color -webkit-text-stroke-width text-shadow background-color "
    "background-image background-clip opacity filter fill"
)
_OF_PLACE = names(
    "height max-height width max-width overflow-x overflow-y position left top right bottom margin-left margin-top "
    "margin-right padding-left padding-top text-indent transform translate scale rotate clip clip-path zoom "
    "content-visibility contain mask-image"
)
_RESIZED = frozenset((*_CONTROLS, *_RELATIVE_SIZES))
_RESIZED_LONG_AGO = _RESIZED | {"table"}
_PAINTED = frozenset((*_CONTROLS, "mark", "dialog", "body", "svg"))
_PAINTED_LONG_AGO = _PAINTED | {"table"}
_PAINTS = names("bgcolor background text color link href fill")
_DRAWN = names("svg g text tspan textpath")
_OF_THEIR_OWN = names("html body table a font mark dialog details").union(
    _CONTROLS, _RELATIVE_SIZES, _PREFORMATTED, _DRAWN
)
_KINDS = {tag: {"block": "div", "row": "tr", "cell": "td"}.get(box, tag) for tag, box in _BOXES.items()} | {
    tag: tag for tag in _OF_THEIR_OWN
}
"""For each tag one that looks the same where no style says otherwise; the others look like a <span>."""


def _with_variables(inherited: Mapping[str, str], css: Css, quirks: bool) -> tuple[Mapping[str, str], Css]:
    """The variables that hold in an element, and what is said of it with them filled in."""
    if not css:
        return inherited, css
    own = {name: value for name, value in css.items() if name.startswith("--")}
    if not own and not any("var(" in value for value in css.values()):
        return inherited, css
    variables = {**inherited, **own} if own else inherited
    filled: dict[str, str] = {}
    for name, value in css.items():
        if name.startswith("--"):
            continue
        if "var(" not in value:
            filled[name] = value
            continue
        said, _, text = value.partition(":")
        whole = substituted(text, variables)
        for one, found in longhands(said, whole.strip(), quirks) if whole is not None else ():
            if one == name:
                filled[name] = found
        filled.setdefault(name, "unset")
    return variables, filled


@lru_cache(2048)
def _of_style_attribute(style: str, quirks: bool) -> Stated:
    return _ranked(style, quirks, inline=True)


def _ranked(
    block: str,
    quirks: bool,
    layer: int = UNLAYERED,
    specificity: Specificity = (0, 0, 0),
    order: int = 0,
    inline: bool = False,
) -> Stated:
    found: Stated = {}
    for name, value, important in declarations(block, quirks):
        priority = (important, inline, -layer if important else layer, specificity, order)
        if name == "all":
            for one in _RESET:
                _take(found, one, priority, value)
        else:
            _take(found, name, priority, value)
    return found


_RESET = names(
    "visibility opacity filter font-size line-height color -webkit-text-fill-color text-shadow background-color "
    "background-image height max-height width max-width overflow-x overflow-y position left top text-indent transform "
    "clip clip-path letter-spacing display"
)


def _take(into: Stated, name: str, priority: Priority, value: str) -> None:
    if name not in into or priority >= into[name][0]:
        into[name] = (priority, value)


def _merged(layers: list[Stated]) -> Stated:
    if len(layers) == 1:
        return layers[0]
    merged: Stated = {}
    for layer in layers:
        for name, (priority, value) in layer.items():
            _take(merged, name, priority, value)
    return merged


def _only_hiding(block: Stated) -> Stated:
    return {name: stated for name, stated in block.items() if stated[1] in _HIDING.get(name, ())}


_HIDING = {
    "display": names("none"),
    "visibility": names("hidden collapse"),
    "opacity": names("0 0% 0.0 .0 0.01"),
    "font-size": names("0 0px 1px 0em 0%"),
    "max-height": names("0 0px 1px"),
    "height": names("0 0px 1px"),
    "overflow-x": names("hidden clip"),
    "overflow-y": names("hidden clip"),
    "color": names("transparent"),
    "position": names("absolute fixed"),
}

_KNOWN_DOCTYPES = re.compile(
    r'<!doctype html(?:\s+public\s+"-//w3c//dtd (?:xhtml (?:basic )?1\.\d[^"]*|html 4\.0(?:1)?//en|html 4\.01 '
    r'(?:transitional|frameset)//en(?="\s*"[^"]))"?.*|\s+system\s.*|\s+public\s+"(?!-).*)?\s*>',
    re.DOTALL,
)


def _in_quirks_mode(tree: "LexborHTMLParser") -> bool:
    """Whether a browser would read it as it read HTML long ago, which it does without a modern doctype."""
    node = tree.root.prev if tree.root is not None else None
    while node is not None:
        if node.tag == "-doctype":
            return not _KNOWN_DOCTYPES.fullmatch((node.html_pretty(full_doctype=True) or "").strip().lower())
        node = node.prev
    return True


def _line(line: Length, font: float) -> float:
    return line.px(font, font) if line.unit else line.number * font


def _lays_out(display: str) -> bool:
    return "flex" in display or "grid" in display


def _font_of_attribute(value: str, inherited: float) -> float:
    found = re.match(r"\s*([+-]?)(\d{1,3})", value)
    if not found:
        return inherited
    step = int(found[2])
    step = 3 + step if found[1] == "+" else 3 - step if found[1] else step
    return (10.0, 13.0, 16.0, 18.0, 24.0, 32.0, 48.0)[min(max(step, 1), 7) - 1]


_FUNCTION = re.compile(r"([a-z-]+\d?[a-z]*)\(((?:[^()]|\([^()]*\))*)\)")


def _stops(images: str, ink: Paint | None) -> tuple[Paint, ...] | None:
    """The colors of gradients; None where pictures are among them."""
    stops: list[Paint] = []
    for name, inside in _GRADIENT.findall(images):
        if not name.endswith("gradient"):
            return None
        for part in _STOP.findall(inside):
            found = ink if part == CURRENT else color(part)
            if found == "":
                return None
            if isinstance(found, Paint):
                stops.append(found)
    return tuple(dict.fromkeys(stops))[:_MOST_PAINTS] if stops else None


_GRADIENT = re.compile(r"([a-z-]+)\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)")
_STOP = re.compile(r"#[\da-f]+|[a-z-]+\([^()]*\)|[a-z]+")


def _translated(name: str, parts: list[str], width: float) -> tuple[float, float]:
    found = [length(part) for part in parts[:2]]
    amounts = [0.0 if one is None else one.px(16.0, whole) for one, whole in zip(found, (width, 20.0), strict=False)]
    if name == "translatey":
        one = found[0] if found else None
        return 0.0, one.px(16.0, 20.0) if one else 0.0
    return (amounts[0] if amounts else 0.0), (amounts[1] if len(amounts) > 1 and name != "translatex" else 0.0)


def _least(parts: list[str]) -> float:
    values = [found for part in parts[:2] if (found := number(part)) is not None]
    return min(map(abs, values), default=1.0)


def _cosine(parts: list[str]) -> float:
    found = _ANGLE.search(parts[-1]) if parts else None
    if not found:
        return 1.0
    turn = {"deg": math.pi / 180, "rad": 1.0, "grad": math.pi / 200, "turn": 2 * math.pi}[found[2]]
    return math.cos(float(found[1]) * turn)


def _turned_in_space(parts: list[str]) -> float:
    axes = [number(part) or 0.0 for part in parts[:3]]
    return _cosine(parts) if len(parts) == 4 and any(axes[:2]) and not axes[2] else 1.0


def _of_matrix(parts: list[str]) -> float:
    values = [found.number if (found := length(part)) else 0.0 for part in parts]
    if len(values) not in (6, 16):
        return 1.0
    a, b, c, d = values[:4] if len(values) == 6 else (*values[:2], *values[4:6])
    return min(math.hypot(a, b), math.hypot(c, d), abs(a * d - b * c))


_ANGLE = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(deg|rad|grad|turn)")
_ROTATED = {"x": "rotatex", "y": "rotatey"}
_SHRINKING: dict[str, Callable[[list[str]], float]] = {
    "scale": _least,
    "scale3d": _least,
    "scalex": _least,
    "scaley": _least,
    "rotatex": _cosine,
    "rotatey": _cosine,
    "skew": _cosine,
    "skewx": _cosine,
    "skewy": _cosine,
    "rotate3d": _turned_in_space,
    "matrix": _of_matrix,
    "matrix3d": _of_matrix,
}


def _is_empty_rectangle(clip: str, font: float) -> bool:
    edges = re.split(r"[\s,]+", clip[5:].rstrip(") "))
    if len(edges) != 4:
        return False
    top, right, bottom, left = ((found.px(font) if (found := length(edge)) else None) for edge in edges)
    return (
        (right is not None and right - (left or 0) <= 1)
        or (bottom is not None and bottom - (top or 0) <= 1)
        or max(top or 0, left or 0) >= _FAR_RIGHT
        or (bottom is not None and bottom <= font * 0.25)
    )


def _is_empty_shape(path: str, font: float) -> bool:
    call = _FUNCTION.search(path)
    if not call:
        return False
    name, inside = call[1], call[2].partition(" round ")[0]
    if name == "polygon":
        return _is_empty_polygon(inside)
    if name in ("circle", "ellipse"):
        sizes, _, middle = inside.partition("at ")
        radii = [radius.px(font, 100) for part in sizes.split() if (radius := length(part))]
        away = [place.px(font, 100) for part in middle.split() if (place := length(part))]
        return any(radius <= 1 for radius in radii) or any(place + max(radii, default=1e9) <= 0 for place in away)
    if name == "inset":
        sides = [length(part) for part in inside.split()[:4]]
        if not sides or None in sides:
            return False
        whole = [side for side in sides if side is not None]
        top, right, bottom, left = (whole * 4)[:4] if len(whole) != 3 else (*whole, whole[1])
        return _fills(top, bottom, 400.0) or _fills(left, right, WINDOW_WIDTH)
    if name in ("rect", "xywh"):
        sides = [length(part) for part in inside.split()[:4]]
        if name == "xywh":
            return any(side is not None and side.number <= 0.01 for side in sides[2:])
        return _is_empty_rectangle(f"rect({inside})", font)
    return name == "path" and not re.search(r"\d.*\d.*\d", inside)


def _fills(one: Length, other: Length, whole: float) -> bool:
    share = sum(side.number for side in (one, other) if side.unit == "%")
    fixed = sum(side.px() for side in (one, other) if side.unit != "%")
    return share + fixed * 100 / whole >= 99.5


def _is_empty_polygon(inside: str) -> bool:
    points: list[tuple[float, float]] = []
    for part in split_list(inside)[:50]:
        both = [length(one) for one in part.split()]
        if len(both) == 2 and both[0] is not None and both[1] is not None:
            points.append((both[0].px(16, 100), both[1].px(16, 100)))
    if not points:
        return True
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(points, [*points[1:], points[0]], strict=True))
    return abs(area) / 2 < 1 or any(max(point[axis] for point in points) <= 0 for axis in (0, 1))
