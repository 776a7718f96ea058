"""Style sheets and declarations as far as they decide what is seen: reading them, no more."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from salesos_inbox.mail.colors import color
from salesos_inbox.mail.nesting import names
from salesos_inbox.mail.selectors import split_list, unescaped

WINDOW_WIDTH = 1024.0
WINDOW_HEIGHT = 768.0
UNLAYERED = 1_000_000
_DEEPEST = 8
_LONGEST_VALUE = 4_000

_STRING = r"""(?:"(?:[^"\\\n]|\\.)*+(?:"|(?=\n)|\Z)|'(?:[^'\\\n]|\\.)*+(?:'|(?=\n)|\Z))"""
_COMMENT = re.compile(rf"({_STRING})|/\*.*?(?:\*/|\Z)|<!--|-->", re.DOTALL)
_CHUNK = re.compile(rf"""((?:[^{{}}"'\\]++|{_STRING}|\\.|\\\Z|["'])*+)([{{}}]|\Z)""", re.DOTALL)
_SIMPLE_DECLARATION = re.compile(r"(?:^|;)\s*([\w-]+)\s*:([^;]*)")
_DECLARATION = re.compile(
    rf"""((?:[^;"'()\[\]\\]++|{_STRING}|\\.|\\\Z|["']|\((?:[^()"']++|{_STRING}|\((?:[^()]|\([^()]*\))*+\))*+(?:\)|\Z)|[()\[\]])*+)(?:;|\Z)""",
    re.DOTALL,
)
_AT_STATEMENT = re.compile(r"\s*@(import|charset|namespace|layer)\b([^;{}]*);", re.IGNORECASE)
_AT_RULE = re.compile(r"@([\w-]+)\s*(.*)", re.DOTALL)
_IMPORTANT = re.compile(r"\s*!\s*important\s*", re.IGNORECASE)
_MATTERS = re.compile(
    r"display|visib|opacity|fil|font|line-|colou?r|text-|background|height|width|overflow|position|left|top|right"
    r"|bottom|inset|float|margin|padding|transform|translate|scale|rotate|clip|zoom|contain|spacing|white-|mask|size"
    r"|all\s*:|--|\\",
    re.IGNORECASE,
)


class Declaration(NamedTuple):
    """What is said of one property, by its long name."""

    name: str
    value: str
    important: bool


@dataclass
class Rule:
    """A block of a style sheet: its selectors as they stand, what it says, and which layer it belongs to."""

    selectors: str
    block: str
    layer: int


@dataclass
class _Open:
    """A block that the reader is in."""

    skipped: bool = False
    selectors: str | None = None
    layer: str = ""
    depth: int = 0


@dataclass
class Sheets:
    """Reads style sheets one after another; the layers of all of them stand in the order they were first named."""

    layers: dict[str, int] = field(default_factory=dict[str, int])

    def rules(self, source: str) -> Iterator[Rule]:
        """The rules of one sheet that apply on a wide screen, in their order."""
        if "/*" in source or "<!--" in source or "-->" in source:
            source = _COMMENT.sub(lambda comment: comment[1] or " ", source)
        blocks = [_Open()]
        spoiled = False
        for chunk in _CHUNK.finditer(source):
            text, brace = chunk[1], chunk[2]
            block = blocks[-1]
            if block.selectors is not None and not block.skipped:
                text, nested = text.rpartition(";")[::2] if brace == "{" else (text, "")
                if text.strip():
                    yield Rule(block.selectors, text, self._layer(block.layer))
                text = nested
            if brace == "{":
                blocks.append(self._opened(block, text, spoiled))
                spoiled = False
            elif brace == "}" and len(blocks) > 1:
                blocks.pop()
            elif brace == "}":
                spoiled = True

    def _opened(self, block: _Open, prelude: str, spoiled: bool) -> _Open:
        if block.skipped:
            return block
        while statement := _AT_STATEMENT.match(prelude):
            if statement[1].lower() == "layer":
                for name in statement[2].split(","):
                    self._layer(_joined(block.layer, name.strip()))
            prelude = prelude[statement.end() :]
        prelude = prelude.strip()
        if spoiled:
            return _Open(skipped=True)
        if rule := _AT_RULE.fullmatch(prelude):
            name, condition = rule[1].lower(), rule[2].strip()
            if name == "layer":
                layer = _joined(block.layer, condition or f"{len(self.layers)} ")
                self._layer(layer)
                return _Open(selectors=block.selectors, layer=layer, depth=block.depth)
            holds = _CONDITIONS.get(name)
            return _Open(not holds or not holds(condition), block.selectors, block.layer, block.depth)
        if block.selectors is None:
            return _Open(selectors=prelude, layer=block.layer)
        nested = _nested(block.selectors, prelude)
        return _Open(block.depth >= _DEEPEST or len(nested) > _LONGEST_VALUE, nested, block.layer, block.depth + 1)

    def _layer(self, name: str) -> int:
        return self.layers.setdefault(name, len(self.layers)) if name else UNLAYERED


def _joined(outer: str, name: str) -> str:
    return f"{outer}.{name}" if outer else name


def _nested(outer: str, inner: str) -> str:
    around = f":is({outer})" if "," in outer or " " in outer.strip() else outer.strip()
    return ",".join(
        part.replace("&", around) if "&" in part else f"{around} {part.strip()}" for part in split_list(inner)
    )


def matters(block: str) -> bool:
    """Whether a block may say something of what is seen; nearly all that do not are told at once."""
    return _MATTERS.search(block) is not None


def declarations(block: str, quirks: bool) -> list[Declaration]:
    """What a block says of the properties that decide what is seen, by their long names, in order."""
    if "/*" in block:
        block = _COMMENT.sub(lambda comment: comment[1] or " ", block)
    found: list[Declaration] = []
    if '"' in block or "'" in block or "\\" in block or "(" in block or "[" in block:
        pairs = (_pair(part[1]) for part in _DECLARATION.finditer(block))
    else:
        pairs = _SIMPLE_DECLARATION.findall(block)
    for name, value in pairs:
        name = name.lower()
        if name in _EXPANDED:
            important = "!" in value
            if important:
                value, _, rest = value.rpartition("!")
                if rest.strip().lower() != "important":
                    continue
            value = value.strip().lower()
            found += [Declaration(one, text, important) for one, text in longhands(name, value, quirks)]
        elif name.startswith("--"):
            value, important = (value.rpartition("!")[0], True) if _IMPORTANT.search(value) else (value, False)
            found.append(Declaration(name, value.strip().lower(), important))
    return found


def _pair(declaration: str) -> tuple[str, str]:
    name, _, value = declaration.partition(":")
    return unescaped(name.strip()), unescaped(value.strip())


# Values


class Length(NamedTuple):
    """A number with its unit; "" where it has none."""

    number: float
    unit: str

    def px(self, font: float = 16.0, whole: float = WINDOW_WIDTH) -> float:
        """How many pixels it is, for a size of letters and for what a percentage is a share of."""
        if self.unit == "%":
            return self.number * whole / 100
        return self.number * (_PIXELS.get(self.unit) or font * _LETTERS.get(self.unit, 1.0))


_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
_LENGTH = re.compile(rf"({_NUMBER})([a-z]+|%)?")
_PIXELS = {
    "": 1.0,
    "px": 1.0,
    "pt": 4 / 3,
    "pc": 16.0,
    "in": 96.0,
    "cm": 96 / 2.54,
    "mm": 9.6 / 2.54,
    "q": 2.4 / 2.54,
    "rem": 16.0,
    "rlh": 18.0,
} | {
    prefix + unit: size / 100
    for prefix in ("", "s", "l", "d")
    for unit, size in {
        "vw": WINDOW_WIDTH,
        "vi": WINDOW_WIDTH,
        "vh": WINDOW_HEIGHT,
        "vb": WINDOW_HEIGHT,
        "vmin": WINDOW_HEIGHT,
        "vmax": WINDOW_WIDTH,
    }.items()
}
_LETTERS = {"em": 1.0, "ex": 0.5, "ch": 0.5, "cap": 0.7, "ic": 1.0, "lh": 1.15}
_CALL = re.compile(r"(calc|min|max|clamp|-webkit-calc|abs)\(.*\)", re.DOTALL)
_MATH = re.compile(r"\s*(?:((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?[a-z%]*)|([a-z-]*\()|([-+*/,)])|(infinity|pi|e\b))")
_ANGLE = re.compile(rf"({_NUMBER})(deg|rad|grad|turn)?")


@lru_cache(4096)
def length(value: str) -> Length | None:
    """A length, a percentage or a plain number; None for anything else. Sums are taken at letters of 16 pixels."""
    found = _LENGTH.fullmatch(value)
    if found:
        unit = found[2] or ""
        known = unit in _PIXELS or unit in _LETTERS or unit == "%"
        return Length(float(found[1]), unit) if known else None
    if _CALL.fullmatch(value):
        total = _calculated(value)
        return None if total is None else Length(total, "px")
    return None


def _calculated(text: str) -> float | None:
    """What a sum comes to, in pixels; None where it cannot be told."""
    stack: list[tuple[str, list[list[float]], str]] = []
    name, arguments, pending = "", [[0.0]], "+"
    at = 0
    try:
        while at < len(text.rstrip()):
            token = _MATH.match(text, at)
            if not token or len(stack) > _DEEPEST:
                return None
            at = token.end()
            if token[2]:
                stack.append((name, arguments, pending))
                name, arguments, pending = token[2][:-1], [[0.0]], "+"
                continue
            if token[3] and token[3] != ")":
                if token[3] == ",":
                    arguments.append([0.0])
                    pending = "+"
                elif token[3] == "-" and pending in "*/-":
                    pending += "-"
                else:
                    pending = token[3]
                continue
            if token[3] == ")":
                value = _called(name, [sum(terms) for terms in arguments])
                name, arguments, pending = stack.pop()
            elif token[4]:
                value = {"infinity": 1e9, "pi": 3.14159, "e": 2.71828}[token[4]]
            else:
                found = length(token[1])
                if found is None:
                    return None
                value = found.px()
            terms = arguments[-1]
            value = -value if pending.endswith("-") and len(pending) > 1 else value
            match pending[0]:
                case "+":
                    terms.append(value)
                case "-":
                    terms.append(-value)
                case "*":
                    terms[-1] *= value
                case _:
                    terms[-1] /= value
            pending = "+"
    except (ZeroDivisionError, OverflowError, IndexError, ValueError):
        return None
    return sum(arguments[0]) if not stack else None


def _called(name: str, values: list[float]) -> float:
    if name.endswith("min"):
        return min(values)
    if name.endswith("max"):
        return max(values)
    if name == "clamp":
        low, value, high = values
        return max(low, min(value, high))
    if name in ("", "calc", "-webkit-calc"):
        return values[0]
    if name == "abs":
        return abs(values[0])
    raise ValueError(name)


def number(value: str) -> float | None:
    """A plain number or a percentage as a share of one."""
    found = length(value)
    if found is None or (found.unit not in ("", "%") and not _CALL.match(value)):
        return None
    return found.number / 100 if found.unit == "%" else found.number


def words(value: str) -> list[str]:
    """The parts of a value with blanks between them; what stands in brackets is one part."""
    if "(" not in value and '"' not in value and "'" not in value:
        return value.split()
    return _WORD.findall(value)


_WORD = re.compile(rf"""(?:[^\s()"',/]|{_STRING}|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))+|[,/]""")

# Which values are good, by the long name of a property

WIDE = names("inherit initial unset revert revert-layer")
_SIZES = names("xx-small x-small small medium large x-large xx-large xxx-large larger smaller math")
_AUTO = names("auto none normal min-content max-content fit-content -webkit-fill-available -webkit-fit-content stretch")
_DISPLAYS = names(
    "none contents block inline inline-block flow-root flow flex inline-flex grid inline-grid table inline-table "
    "table-row table-cell table-row-group table-header-group table-footer-group table-column table-column-group "
    "table-caption list-item run-in ruby ruby-text math -webkit-box -webkit-inline-box -webkit-flex "
    "-webkit-inline-flex"
)
_TWO_DISPLAYS = re.compile(r"(?:block|inline)\s+(?:flow|flow-root|flex|grid|table|ruby)(?:\s+list-item)?")
_FONT = re.compile(
    r"(?:(?:normal|italic|oblique|bold|bolder|lighter|small-caps|[a-z]+-condensed|[a-z]+-expanded|condensed|expanded"
    r"|[1-9]\d\d)\s+)*(?P<size>[a-z-]+|[\d.+-]+[a-z%]*|calc\([^()]*\))(?:\s*/\s*(?P<line>[^\s/]+))?\s+[^\s\d/].*",
    re.DOTALL,
)

Check = Callable[[str], bool]


def _is_one_of(listed: frozenset[str]) -> Check:
    return lambda value: value in listed


def _is_display(value: str) -> bool:
    return value in _DISPLAYS or bool(_TWO_DISPLAYS.fullmatch(value))


def _is_size(value: str) -> bool:
    if value in _AUTO or value.startswith("fit-content("):
        return True
    found = _with_unit(value)
    return found is not None and found.number >= 0


def _is_offset(value: str) -> bool:
    return value == "auto" or _with_unit(value) is not None


def _is_padding(value: str) -> bool:
    found = _with_unit(value)
    return found is not None and found.number >= 0


def _is_font_size(value: str) -> bool:
    return value in _SIZES or _is_padding(value)


def _is_line_height(value: str) -> bool:
    found = length(value)
    return value == "normal" or (found is not None and found.number >= 0)


def _is_spacing(value: str) -> bool:
    return value == "normal" or _with_unit(value) is not None


def _with_unit(value: str) -> Length | None:
    found = length(value)
    return found if found is not None and (found.unit or not found.number) else None


def _is_number(value: str) -> bool:
    return number(value) is not None


def _is_color(value: str) -> bool:
    return color(value) is not None


def _is_anything(value: str) -> bool:
    return bool(value)


_CHECKS: dict[str, Check] = {
    "display": _is_display,
    "visibility": _is_one_of(names("visible hidden collapse")),
    "opacity": _is_number,
    "filter": _is_anything,
    "fill": _is_anything,
    "font-size": _is_font_size,
    "font-size-adjust": _is_anything,
    "line-height": _is_line_height,
    "color": _is_color,
    "-webkit-text-fill-color": _is_color,
    "-webkit-text-stroke-color": _is_color,
    "-webkit-text-stroke-width": lambda value: value in ("thin", "medium", "thick") or _is_padding(value),
    "-webkit-text-security": _is_one_of(names("none disc circle square")),
    "text-shadow": _is_anything,
    "text-indent": lambda value: any(_with_unit(word) for word in value.split()),
    "background-color": _is_color,
    "background-image": _is_anything,
    "background-clip": _is_anything,
    "height": _is_size,
    "max-height": _is_size,
    "min-height": _is_size,
    "width": _is_size,
    "max-width": _is_size,
    "min-width": _is_size,
    "overflow-x": _is_one_of(names("visible hidden clip auto scroll overlay")),
    "overflow-y": _is_one_of(names("visible hidden clip auto scroll overlay")),
    "position": _is_one_of(names("static relative absolute fixed sticky -webkit-sticky")),
    "float": _is_one_of(names("none left right inline-start inline-end")),
    **dict.fromkeys(names("left top right bottom margin-left margin-top margin-right margin-bottom"), _is_offset),
    **dict.fromkeys(names("padding-left padding-top padding-right padding-bottom"), _is_padding),
    **dict.fromkeys(names("letter-spacing word-spacing"), _is_spacing),
    "box-sizing": _is_one_of(names("content-box border-box")),
    "transform": _is_anything,
    "translate": _is_anything,
    "scale": _is_anything,
    "rotate": _is_anything,
    "backface-visibility": _is_one_of(names("visible hidden")),
    "clip": lambda value: value == "auto" or value.startswith("rect("),
    "clip-path": _is_anything,
    "zoom": lambda value: value in ("normal", "reset") or _is_number(value),
    "content-visibility": _is_one_of(names("visible auto hidden")),
    "contain": _is_anything,
    "mask-image": _is_anything,
    "white-space": _is_anything,
    "all": _is_one_of(WIDE),
}
_SIDES = ("top", "right", "bottom", "left")
_ALIASES = {
    "-webkit-opacity": "opacity",
    "-webkit-filter": "filter",
    "-webkit-background-clip": "background-clip",
    "-webkit-box-sizing": "box-sizing",
    "-webkit-transform": "transform",
    "-webkit-clip-path": "clip-path",
    "-webkit-mask-image": "mask-image",
    "mask": "mask-image",
    "-webkit-mask": "mask-image",
    "-webkit-mask-box-image": "mask-image",
    "inline-size": "width",
    "block-size": "height",
    "max-inline-size": "max-width",
    "max-block-size": "max-height",
    "min-inline-size": "min-width",
    "min-block-size": "min-height",
    "overflow-inline": "overflow-x",
    "overflow-block": "overflow-y",
    "white-space-collapse": "white-space",
    "inset-inline-start": "left",
    "inset-inline-end": "right",
    "inset-block-start": "top",
    "inset-block-end": "bottom",
    "margin-inline-start": "margin-left",
    "margin-inline-end": "margin-right",
    "margin-block-start": "margin-top",
    "margin-block-end": "margin-bottom",
    "-webkit-margin-start": "margin-left",
    "padding-inline-start": "padding-left",
    "padding-inline-end": "padding-right",
    "padding-block-start": "padding-top",
    "padding-block-end": "padding-bottom",
}
_SHORTHANDS: dict[str, tuple[str, ...]] = {
    "margin": tuple(f"margin-{side}" for side in _SIDES),
    "padding": tuple(f"padding-{side}" for side in _SIDES),
    "inset": _SIDES,
    "inset-inline": ("left", "right"),
    "inset-block": ("top", "bottom"),
    "margin-inline": ("margin-left", "margin-right"),
    "margin-block": ("margin-top", "margin-bottom"),
    "padding-inline": ("padding-left", "padding-right"),
    "padding-block": ("padding-top", "padding-bottom"),
    "overflow": ("overflow-x", "overflow-y"),
    "font": ("font-size", "line-height"),
    "background": ("background-color", "background-image", "background-clip"),
    "-webkit-text-stroke": ("-webkit-text-stroke-width", "-webkit-text-stroke-color"),
}
_EXPANDED = frozenset((*_CHECKS, *_ALIASES, *_SHORTHANDS))
_UNITLESS_IN_QUIRKS = names(
    "font-size height max-height min-height width max-width min-width left top right bottom margin-left margin-top "
    "margin-right margin-bottom padding-left padding-top padding-right padding-bottom text-indent letter-spacing "
    "word-spacing"
)
_HASHLESS = re.compile(r"[\da-f]{3}|[\da-f]{6}")
_PLAIN_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)")
Longhands = tuple[tuple[str, str], ...]


def longhands(name: str, value: str, quirks: bool) -> Longhands:
    """A declaration as those of the long properties, none where a browser would not take it."""
    return _longhands(name, value, quirks) if len(value) < 100 else _longhands.__wrapped__(name, value, quirks)


@lru_cache(4096)
def _longhands(name: str, value: str, quirks: bool) -> Longhands:
    name = _ALIASES.get(name, name)
    parts = _SHORTHANDS.get(name)
    if value in WIDE:
        return tuple((one, value) for one in parts or (name,))
    if "var(" in value:
        return tuple((one, f"{name}:{value}") for one in parts or (name,))
    if not parts:
        value = _as_in_quirks(name, value) if quirks else value
        return ((name, value),) if _CHECKS[name](value) else ()
    values = _EXPANDERS.get(name, _sides)(value)
    expanded = tuple(
        (one, _as_in_quirks(one, text) if quirks and name not in ("font", "background") else text)
        for one, text in zip(parts, values, strict=False)
    )
    return expanded if expanded and all(_CHECKS[one](text) for one, text in expanded) else ()


def _as_in_quirks(name: str, value: str) -> str:
    if name in _UNITLESS_IN_QUIRKS and _PLAIN_NUMBER.fullmatch(value):
        return value + "px"
    return "#" + value if name in ("color", "background-color") and _HASHLESS.fullmatch(value) else value


def _sides(value: str) -> tuple[str, ...]:
    sides = words(value)
    if not 1 <= len(sides) <= 4:
        return ()
    top, right, bottom, left = (sides + sides[:1] * 3 if len(sides) == 1 else [*sides, *sides[:2], *sides[1:2]])[:4]
    if len(sides) == 3:
        left = right
    return top, right, bottom, left


def _pairs(value: str) -> tuple[str, ...]:
    both = words(value)
    return (both[0], both[-1]) if 1 <= len(both) <= 2 else ()


def _font(value: str) -> tuple[str, ...]:
    if value in ("caption", "icon", "menu", "message-box", "small-caption", "status-bar"):
        return "16px", "normal"
    found = _FONT.fullmatch(value)
    return (found["size"], found["line"] or "normal") if found else ()


def _background(value: str) -> tuple[str, ...]:
    """The color, the images and the clip: of several layers the last one holds the color."""
    found = words(value)
    colors = [word for word in found if color(word) is not None]
    if len(colors) > 1:
        return ()
    images = [word for word in found if "(" in word and word not in colors]
    known = names(
        "none repeat no-repeat repeat-x repeat-y space round left right top bottom center cover contain auto fixed "
        "scroll local padding-box border-box content-box text , /"
    )
    if any(word not in known and word not in colors and word not in images and not length(word) for word in found):
        return ()
    return (
        colors[0] if colors else "transparent",
        ",".join(images) or "none",
        "text" if "text" in found else "border-box",
    )


def _stroke(value: str) -> tuple[str, ...]:
    colors = [word for word in words(value) if color(word) is not None]
    widths = [word for word in words(value) if color(word) is None]
    return (widths[0] if widths else "0"), (colors[0] if colors else "currentcolor")


_EXPANDERS: dict[str, Callable[[str], tuple[str, ...]]] = {
    "overflow": _pairs,
    "font": _font,
    "background": _background,
    "-webkit-text-stroke": _stroke,
    **dict.fromkeys(names("inset-inline inset-block margin-inline margin-block padding-inline padding-block"), _pairs),
}

_VARIABLE = re.compile(r"var\(\s*(--[\w-]+)\s*(?:,((?:[^()]|\((?:[^()]|\([^()]*\))*\))*))?\)")


def substituted(value: str, variables: Mapping[str, str]) -> str | None:
    """A value with its variables filled in, None where one is not set."""
    for _ in range(_DEEPEST):
        if "var(" not in value:
            return value
        missing = False

        def filled(use: re.Match[str]) -> str:
            nonlocal missing
            fallback: str | None = use[2]
            found = variables.get(use[1]) or fallback
            missing |= found is None
            return (found or "").strip()

        value = _VARIABLE.sub(filled, value)
        if missing or len(value) > _LONGEST_VALUE:
            return None
    return None


# Conditions

_FEATURE = re.compile(r"([\w-]+)\s*(?::\s*(.+))?", re.DOTALL)
_RANGE = re.compile(r"([^<>=]+?)\s*(<=?|>=?|=)\s*([^<>=]+?)(?:\s*(<=?|>=?)\s*([^<>=]+))?", re.DOTALL)
_HAS: dict[str, float] = {
    "width": WINDOW_WIDTH,
    "height": WINDOW_HEIGHT,
    "device-width": WINDOW_WIDTH,
    "device-height": WINDOW_HEIGHT,
    "resolution": 1.0,
    "device-pixel-ratio": 1.0,
    "-webkit-device-pixel-ratio": 1.0,
    "aspect-ratio": WINDOW_WIDTH / WINDOW_HEIGHT,
    "device-aspect-ratio": WINDOW_WIDTH / WINDOW_HEIGHT,
    "color": 8.0,
    "monochrome": 0.0,
    "color-index": 0.0,
    "grid": 0.0,
    "-webkit-transform-3d": 1.0,
}
_IS: dict[str, str] = {
    "orientation": "landscape",
    "prefers-color-scheme": "light",
    "prefers-reduced-motion": "no-preference",
    "prefers-contrast": "no-preference",
    "prefers-reduced-transparency": "no-preference",
    "forced-colors": "none",
    "inverted-colors": "none",
    "scripting": "none",
    "hover": "hover",
    "any-hover": "hover",
    "pointer": "fine",
    "any-pointer": "fine",
    "display-mode": "browser",
    "color-gamut": "srgb",
    "dynamic-range": "standard",
    "update": "fast",
    "overflow-block": "scroll",
    "overflow-inline": "scroll",
}
_SUPPORTED = _EXPANDED | names(
    "animation transition grid grid-template-columns grid-template-rows gap flex flex-direction border border-radius "
    "box-shadow object-fit text-decoration cursor z-index order columns column-count aspect-ratio -webkit-appearance "
    "appearance backdrop-filter -webkit-backdrop-filter pointer-events user-select -webkit-user-select "
    "-webkit-animation -webkit-transition -webkit-overflow-scrolling scroll-snap-type justify-content align-items "
    "vertical-align text-align font-weight font-family border-collapse will-change perspective mix-blend-mode "
    "-webkit-line-clamp text-overflow table-layout"
)
_OLD_PREFIXES = ("-moz-", "-ms-", "-o-", "mso-")


def media(query: str) -> bool:
    """Whether a list of media queries holds on a screen 1,024 pixels wide, in light colors."""
    return not query.strip() or any(map(_media_query, split_list(query.lower())))


def _media_query(query: str) -> bool:
    query = query.strip()
    prefix = re.match(r"(?:(not|only)\s+)?(?!\()([\w-]+)(?:\s+and\s+|\Z)", query)
    if not prefix or prefix[2] in ("not", "and", "or", "only"):
        return bool(_condition(query, _feature))
    named = prefix[2] in ("screen", "all")
    rest = query[prefix.end() :]
    holds = _condition(rest, _feature) if rest else True
    if holds is None:
        return False
    return (named and holds) != (prefix[1] == "not")


def _condition(text: str, asks: Callable[[str], bool | None], deep: int = 0) -> bool | None:
    """What a condition of and, or, not and brackets comes to; None where it is none."""
    text = text.strip()
    if deep > _DEEPEST:
        return None
    if text.startswith("not") and text[3:4] in (" ", "("):
        inner = _condition(text[3:], asks, deep + 1)
        return None if inner is None else not inner
    result: bool | None = None
    joined = ""
    while text:
        end = _end_of_brackets(text)
        if not end:
            return None
        inside = text[1 : end - 1].strip() if text.startswith("(") else text[:end]
        holds = asks(inside)
        if holds is None and text.startswith("("):
            holds = _condition(inside, asks, deep + 1) if inside.startswith(("(", "not", "selector(")) else None
        if holds is None:
            return None
        result = holds if result is None else (result and holds) if joined == "and" else (result or holds)
        rest = text[end:].strip()
        word = re.match(r"(and|or)\b\s*", rest)
        if rest and not word:
            return None
        joined = word[1] if word else ""
        text = rest[word.end() :] if word else ""
        if text.startswith("not"):
            inner = _condition(text, asks, deep + 1)
            return None if inner is None else (result and inner) if joined == "and" else (result or inner)
    return result


def _end_of_brackets(text: str) -> int:
    depth = 0
    for bracket in re.finditer(r"[()]", text):
        depth += 1 if bracket[0] == "(" else -1
        if depth <= 0:
            return bracket.end() if depth == 0 else 0
    return 0


def _quantity(text: str) -> float | None:
    text = text.strip()
    if ratio := re.fullmatch(r"(\d+)\s*/\s*(\d+)", text):
        return int(ratio[1]) / max(1, int(ratio[2]))
    if resolution := re.fullmatch(rf"({_NUMBER})(dpi|dppx|x|dpcm)", text):
        return float(resolution[1]) / {"dpi": 96, "dpcm": 96 / 2.54}.get(resolution[2], 1)
    found = length(text)
    return None if found is None or found.unit == "%" else found.px()


_COMPARES: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "=": lambda a, b: a == b,
}


def _feature(text: str) -> bool | None:
    """Whether a feature holds; None where it is not one."""
    if text.startswith("("):
        return None
    if ranged := _RANGE.fullmatch(text):
        first, sign, second, sign2, third = ranged.groups()
        sides = [_HAS.get(side.strip(), _quantity(side)) for side in (first, second, third or "0")]
        one, other, last = sides
        if one is None or other is None or last is None:
            return None
        return _COMPARES[sign](one, other) and (not sign2 or _COMPARES[sign2](other, last))
    feature = _FEATURE.fullmatch(text)
    if not feature:
        return None
    name, value = feature[1], (feature[2] or "").strip()
    if name in _IS:
        return (_IS[name] == value) if value else _IS[name] != "none"
    bound = re.match(r"(-webkit-)?(min|max)-(.+)", name)
    has = _HAS.get((bound[1] or "") + bound[3] if bound else name)
    if has is None:
        return None
    if not value:
        return None if bound else bool(has)
    wanted = _quantity(value)
    if wanted is None:
        return None
    return has == wanted if not bound else has >= wanted if bound[2] == "min" else has <= wanted


def supports(condition: str) -> bool:
    """Whether today's Chromium would say that it supports something."""
    return bool(_condition(condition.lower(), _is_supported))


def _is_supported(text: str) -> bool | None:
    if text.startswith("selector("):
        return True
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or text.startswith(("(", "not ", "not(")):
        return None if text.startswith(("(", "not")) or re.match(r"\s*(?:and|or)\b", text) else False
    if name.startswith("--"):
        return bool(value)
    if name.startswith(_OLD_PREFIXES) or value.startswith(_OLD_PREFIXES):
        return False
    if name in _CHECKS or name in _SHORTHANDS or name in _ALIASES:
        return bool(longhands(name, value, False))
    return name in _SUPPORTED


_CONDITIONS: dict[str, Callable[[str], bool]] = {"media": media, "supports": supports, "scope": lambda roots: True}
