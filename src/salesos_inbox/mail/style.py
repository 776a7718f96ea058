"""The little of CSS that decides whether words in a mail can be seen."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from salesos_inbox.mail.nesting import names

Attributes = Mapping[str, str | None]
Color = tuple[int, int, int]

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)|<!--|-->", re.DOTALL)
_BRACE = re.compile(r"[{}]")
_EVERY_SCREEN = re.compile(r"@media\s+(only\s+)?(all|screen)\s*", re.IGNORECASE)
_SELECTOR = re.compile(r"(?:[a-z][\w-]*|\*)?(?:[.#][\w-]+)?", re.IGNORECASE)
_LENGTH = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))\s*(px|pt|em|rem|ex|%|in|cm|mm|vh|vw)?")
_LENGTH_WITH_UNIT = re.compile(r"0|[\d.]+(?:px|pt|em|rem|%)")
_COLOR = re.compile(r"#[\da-f]+|rgba?\([^()]*\)|[a-z-]+")
_NO_COLOR = names(
    "none transparent inherit initial unset repeat no-repeat repeat-x repeat-y center left right top bottom"
)
_NUMBER = re.compile(r"\d+\.?\d*|\.\d+")

_PROPERTIES = names(
    "display visibility opacity font-size font max-height height overflow overflow-y mso-hide color background "
    "background-color background-image position left top text-indent clip clip-path white-space"
)
_PIXELS = {"px": 1.0, "pt": 4 / 3, "in": 96.0, "cm": 37.8, "mm": 3.78, "vh": 8.0, "vw": 12.0, "rem": 16.0}
_COLORS: dict[str, Color] = {
    "black": (0, 0, 0),
    "silver": (192, 192, 192),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "white": (255, 255, 255),
    "maroon": (128, 0, 0),
    "red": (255, 0, 0),
    "purple": (128, 0, 128),
    "green": (0, 128, 0),
    "lime": (0, 255, 0),
    "yellow": (255, 255, 0),
    "navy": (0, 0, 128),
    "blue": (0, 0, 255),
    "teal": (0, 128, 128),
    "orange": (255, 165, 0),
    "snow": (255, 250, 250),
    "ivory": (255, 255, 240),
    "whitesmoke": (245, 245, 245),
}
_FONT_SIZES = dict.fromkeys(names("xx-small x-small small medium large x-large xx-large larger smaller"), 16.0)
_SMALLEST_FONT = 1.0
_FAR_OFF = -500.0
_FAINTEST = 0.02
_ALIKE = 8
"""Two colors are one to the eye where no channel (of 255) differs by more."""


class _Value(NamedTuple):
    important: bool
    text: str


Declarations = dict[str, _Value]


@dataclass(frozen=True, slots=True)
class Look:
    """What an element hands down to the words in it. A color of None is one we cannot know."""

    gone: bool = False
    invisible: bool = False
    font: float = 16.0
    color: Color | None = (0, 0, 0)
    background: Color | None = (255, 255, 255)
    preformatted: bool = False
    display: str = ""

    @property
    def hides_boxes(self) -> bool:
        """Whether not even an image would be seen."""
        return self.gone or self.invisible

    @property
    def hides_words(self) -> bool:
        """Whether words would not be seen: gone, invisible, too small, or in the color of what is behind them."""
        return self.hides_boxes or self.font <= _SMALLEST_FONT or _alike(self.color, self.background)


class StyleSheet:
    """The rules of a mail's <style> blocks whose selector is a tag, a class, an id, or a tag with one of these.

    Rules for some screens only (@media with a condition) are left out.
    """

    def __init__(self, sources: Iterable[str]) -> None:
        self._rules: dict[str, Declarations] = {}
        self.backgrounds_unknown = False
        for source in sources:
            self._read(_COMMENT.sub(" ", source))

    def declarations(self, tag: str, attributes: Attributes) -> Declarations:
        """What the rules and the element's own style say of it, the stronger over the weaker."""
        classes = (attributes.get("class") or "").split()
        identity = attributes.get("id") or ""
        selectors = ["*", tag, *(f".{name}" for name in classes), *(f"{tag}.{name}" for name in classes)]
        selectors += [f"#{identity}", f"{tag}#{identity}"]
        layers = [self._rules[selector] for selector in selectors if selector in self._rules]
        if style := attributes.get("style"):
            layers.append(_declarations(style))
        return _merged(layers)

    def _read(self, css: str) -> None:
        open_blocks: list[str] = []
        ignored = start = 0
        for brace in _BRACE.finditer(css):
            between = css[start : brace.start()]
            start = brace.end()
            if brace[0] == "{":
                prelude = between.rpartition(";")[2].strip()
                open_blocks.append(prelude)
                ignored += _is_conditional(prelude)
            elif open_blocks:
                prelude = open_blocks.pop()
                ignored -= _is_conditional(prelude)
                if not ignored and not prelude.startswith("@"):
                    self._add(prelude, _declarations(between))

    def _add(self, prelude: str, declarations: Declarations) -> None:
        for part in prelude.split(","):
            selector = part.strip()
            if not _SELECTOR.fullmatch(selector):
                self.backgrounds_unknown |= any(name.startswith("background") for name in declarations)
                continue
            tag, mark, name = re.split(r"([.#]|\Z)", selector, maxsplit=1)
            key = tag.lower().removeprefix("*") + mark + name or "*"
            self._rules[key] = _merged([self._rules.get(key, {}), declarations])


def page_look(sheet: StyleSheet) -> Look:
    """How a page looks before its first element says anything: black on white, unless an unplaced rule differs."""
    return Look(background=None) if sheet.backgrounds_unknown else Look()


def look_of(parent: Look, tag: str, attributes: Attributes, sheet: StyleSheet) -> Look:
    """How an element looks that stands in one that looks like `parent`."""
    found = sheet.declarations(tag, attributes)
    shown = replace(parent, display="")
    if tag == "a" and "href" in attributes:
        shown = replace(shown, color=None)
    if tag in ("pre", "textarea", "listing", "plaintext", "xmp"):
        shown = replace(shown, preformatted=True)
    if background := attributes.get("bgcolor"):
        shown = replace(shown, background=_color(background))
    if attributes.get("background"):
        shown = replace(shown, background=None)
    if color := attributes.get("color" if tag == "font" else "text" if tag == "body" else ""):
        shown = replace(shown, color=_color(color))
    if "hidden" in attributes and "display" not in found:
        shown = replace(shown, gone=True)
    if not found:
        return shown
    css = {name: value.text for name, value in found.items()}
    return replace(
        shown,
        gone=shown.gone or any(hides(css) for hides in _HIDING),
        invisible=_invisible(shown.invisible, css.get("visibility", "")),
        font=_font(shown.font, css),
        color=_color(css["color"]) if "color" in css and css["color"] != "inherit" else shown.color,
        background=_background(shown.background, css),
        preformatted=css["white-space"].startswith("pre") if "white-space" in css else shown.preformatted,
        display=css.get("display", ""),
    )


def _is_conditional(prelude: str) -> bool:
    return prelude.startswith("@") and not _EVERY_SCREEN.fullmatch(prelude)


def _declarations(style: str) -> Declarations:
    found: Declarations = {}
    for part in _COMMENT.sub(" ", style).split(";"):
        name, _, value = part.partition(":")
        name = name.strip().lower()
        if name in _PROPERTIES:
            words, mark, _ = value.strip().lower().partition("!")
            _take(found, name, _Value(bool(mark), words.strip()))
    return found


def _merged(layers: Iterable[Declarations]) -> Declarations:
    merged: Declarations = {}
    for layer in layers:
        for name, value in layer.items():
            _take(merged, name, value)
    return merged


def _take(into: Declarations, name: str, value: _Value) -> None:
    if name not in into or value.important >= into[name].important:
        into[name] = value


def _pixels(value: str, base: float = 16.0) -> float | None:
    length = _LENGTH.fullmatch(value)
    if not length:
        return None
    unit = length[2] or "px"
    factor = _PIXELS.get(unit) or {"em": base, "ex": base / 2, "%": base / 100}[unit]
    return float(length[1]) * factor


def _at_most(value: str | None, limit: float) -> bool:
    pixels = _pixels(value) if value else None
    return pixels is not None and pixels <= limit


def _is_folded(css: Mapping[str, str]) -> bool:
    clipped = "hidden" in (css.get("overflow", ""), css.get("overflow-y", ""))
    return clipped and (_at_most(css.get("max-height"), 1) or _at_most(css.get("height"), 1))


def _is_far_off(css: Mapping[str, str]) -> bool:
    placed = css.get("position") in ("absolute", "fixed")
    return any(_at_most(css.get(side), _FAR_OFF) for side in (("left", "top", "text-indent")[2 * (not placed) :]))


def _is_clipped(css: Mapping[str, str]) -> bool:
    box = css.get("clip", "")
    clipped = box.startswith("rect") and not any(float(number) > 1 for number in _NUMBER.findall(box))
    return clipped or css.get("clip-path", "") in ("inset(50%)", "inset(100%)", "circle(0)")


def _is_off(css: Mapping[str, str]) -> bool:
    return css.get("display") == "none" or css.get("mso-hide") == "all"


def _is_transparent(css: Mapping[str, str]) -> bool:
    return _at_most(css.get("opacity", "").removesuffix("%"), _FAINTEST)


_HIDING = (_is_off, _is_transparent, _is_folded, _is_far_off, _is_clipped)
"""What hides an element with everything in it."""


def _invisible(inherited: bool, visibility: str) -> bool:
    return {"hidden": True, "collapse": True, "visible": False}.get(visibility, inherited)


def _font(inherited: float, css: Mapping[str, str]) -> float:
    size = css.get("font-size")
    if size is None:
        size = next(filter(_LENGTH_WITH_UNIT.fullmatch, re.split(r"[\s/]+", css.get("font", ""))), "")
    pixels = _FONT_SIZES.get(size, _pixels(size, inherited))
    return inherited if pixels is None else pixels


def _background(inherited: Color | None, css: Mapping[str, str]) -> Color | None:
    value = " ".join(css[name] for name in ("background", "background-image", "background-color") if name in css)
    if "url" in value or "gradient" in value:
        return None
    named = [word for word in _COLOR.findall(value) if word not in _NO_COLOR]
    return _color(named[-1]) if named else inherited


def _color(value: str) -> Color | None:
    value = value.strip().lower()
    if value.startswith("rgb"):
        channels = [float(number) for number in _NUMBER.findall(value)]
        if len(channels) < 3 or (len(channels) > 3 and channels[3] != 1):
            return None
        return int(channels[0]), int(channels[1]), int(channels[2])
    digits = value.removeprefix("#")
    if re.fullmatch(r"[\da-f]{3}", digits):
        digits = "".join(digit * 2 for digit in digits)
    if re.fullmatch(r"[\da-f]{6}", digits):
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    return _COLORS.get(value)


def _alike(one: Color | None, other: Color | None) -> bool:
    return one is not None and other is not None and all(abs(a - b) <= _ALIKE for a, b in zip(one, other, strict=True))
