"""The colors of CSS and of old HTML, as channels."""

import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from salesos_inbox.mail.nesting import names


class Paint(NamedTuple):
    """A color: its channels from 0 to 255, and how much of it covers what is behind, from 0 to 1."""

    red: float
    green: float
    blue: float
    alpha: float = 1.0

    def over(self, behind: "Paint") -> "Paint":
        """What is seen where this color lies over an opaque one."""
        alpha, rest = self.alpha, 1 - self.alpha
        return Paint(
            self.red * alpha + behind.red * rest,
            self.green * alpha + behind.green * rest,
            self.blue * alpha + behind.blue * rest,
        )

    def faded(self, opacity: float) -> "Paint":
        """The same color, less of it."""
        return self if opacity == 1 else self._replace(alpha=self.alpha * opacity)


CURRENT = "currentcolor"
BLACK = Paint(0, 0, 0)
WHITE = Paint(255, 255, 255)
NOTHING = Paint(0, 0, 0, 0)

_ALIKE = 16

_NAMED = (
    "aliceblue f0f8ff antiquewhite faebd7 aqua 00ffff aquamarine 7fffd4 azure f0ffff beige f5f5dc bisque ffe4c4 "
    "black 000000 blanchedalmond ffebcd blue 0000ff blueviolet 8a2be2 brown a52a2a burlywood deb887 cadetblue 5f9ea0 "
    "chartreuse 7fff00 chocolate d2691e coral ff7f50 cornflowerblue 6495ed cornsilk fff8dc crimson dc143c "
    "cyan 00ffff darkblue 00008b darkcyan 008b8b darkgoldenrod b8860b darkgray a9a9a9 darkgreen 006400 "
    "darkgrey a9a9a9 darkkhaki bdb76b darkmagenta 8b008b darkolivegreen 556b2f darkorange ff8c00 darkorchid 9932cc "
    "darkred 8b0000 darksalmon e9967a darkseagreen 8fbc8f darkslateblue 483d8b darkslategray 2f4f4f "
    "darkslategrey 2f4f4f darkturquoise 00ced1 darkviolet 9400d3 deeppink ff1493 deepskyblue 00bfff dimgray 696969 "
    "dimgrey 696969 dodgerblue 1e90ff firebrick b22222 floralwhite fffaf0 forestgreen 228b22 fuchsia ff00ff "
    "gainsboro dcdcdc ghostwhite f8f8ff gold ffd700 goldenrod daa520 gray 808080 green 008000 greenyellow adff2f "
    "grey 808080 honeydew f0fff0 hotpink ff69b4 indianred cd5c5c indigo 4b0082 ivory fffff0 khaki f0e68c "
    "lavender e6e6fa lavenderblush fff0f5 lawngreen 7cfc00 lemonchiffon fffacd lightblue add8e6 lightcoral f08080 "
    "lightcyan e0ffff lightgoldenrodyellow fafad2 lightgray d3d3d3 lightgreen 90ee90 lightgrey d3d3d3 "
    "lightpink ffb6c1 lightsalmon ffa07a lightseagreen 20b2aa lightskyblue 87cefa lightslategray 778899 "
    "lightslategrey 778899 lightsteelblue b0c4de lightyellow ffffe0 lime 00ff00 limegreen 32cd32 linen faf0e6 "
    "magenta ff00ff maroon 800000 mediumaquamarine 66cdaa mediumblue 0000cd mediumorchid ba55d3 mediumpurple 9370db "
    "mediumseagreen 3cb371 mediumslateblue 7b68ee mediumspringgreen 00fa9a mediumturquoise 48d1cc "
    "mediumvioletred c71585 midnightblue 191970 mintcream f5fffa mistyrose ffe4e1 moccasin ffe4b5 navajowhite ffdead "
    "navy 000080 oldlace fdf5e6 olive 808000 olivedrab 6b8e23 orange ffa500 orangered ff4500 orchid da70d6 "
    "palegoldenrod eee8aa palegreen 98fb98 paleturquoise afeeee palevioletred db7093 papayawhip ffefd5 "
    "peachpuff ffdab9 peru cd853f pink ffc0cb plum dda0dd powderblue b0e0e6 purple 800080 rebeccapurple 663399 "
    "red ff0000 rosybrown bc8f8f royalblue 4169e1 saddlebrown 8b4513 salmon fa8072 sandybrown f4a460 seagreen 2e8b57 "
    "seashell fff5ee sienna a0522d silver c0c0c0 skyblue 87ceeb slateblue 6a5acd slategray 708090 slategrey 708090 "
    "snow fffafa springgreen 00ff7f steelblue 4682b4 tan d2b48c teal 008080 thistle d8bfd8 tomato ff6347 "
    "turquoise 40e0d0 violet ee82ee wheat f5deb3 white ffffff whitesmoke f5f5f5 yellow ffff00 yellowgreen 9acd32 "
)
_SYSTEM = (
    "canvas ffffff canvastext 000000 linktext 0000ee visitedtext 551a8b activetext ff0000 buttonface efefef "
    "buttontext 000000 buttonborder 000000 field ffffff fieldtext 000000 highlight 3367d1 highlighttext ffffff "
    "mark ffff00 marktext 000000 graytext 808080 accentcolor 0075ff accentcolortext ffffff window ffffff "
    "windowtext 000000 background ffffff infobackground ffffff infotext 000000 menu ffffff menutext 000000"
)
_HEX = re.compile(r"#(?:[\da-f]{3,4}|[\da-f]{6}|[\da-f]{8})")
_CALL = re.compile(r"([a-z-]+)\((.*)\)", re.DOTALL)
_CHANNEL = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(%|deg|rad|grad|turn)?|none")
_TURNS = {"deg": 1.0, "": 1.0, "rad": 180 / math.pi, "grad": 0.9, "turn": 360.0}
_KNOWN_CALLS = names("rgb rgba hsl hsla hwb lab lch oklab oklch color color-mix light-dark")
_PERCENT = re.compile(r"(?:^|\s)([\d.]+)%(?=\s|$)")
_ITSELF = re.compile(r"\s*from\s+(\S+|\S+\(.*\))\s+(?:[rgbhslcwx-z]\s+){2}[rgbhslcwx-z]\s*")
_ARGUMENT = re.compile(r"(?:[^,()]|\((?:[^()]|\([^()]*\))*\))+")


def _hex(digits: str) -> Paint:
    pairs = (
        [a + b for a, b in zip(digits[::2], digits[1::2], strict=True)] if len(digits) > 4 else [d * 2 for d in digits]
    )
    red, green, blue, *alpha = (int(pair, 16) for pair in pairs)
    return Paint(red, green, blue, alpha[0] / 255 if alpha else 1)


def _table(listed: str) -> dict[str, Paint]:
    words = listed.split()
    return {name: _hex(digits) for name, digits in zip(words[::2], words[1::2], strict=True)}


NAMED = {"transparent": NOTHING} | _table(_SYSTEM) | _table(_NAMED)
"""Every color that has a name."""


def alike(one: Paint, other: Paint) -> bool:
    """Whether two opaque colors are one to the eye: no channel (of 255) differs by more than 16.

    So #f0f0f0 on white is not seen, #eee, #ddd and #ccc on white are.
    """
    return (
        abs(one.red - other.red) <= _ALIKE
        and abs(one.green - other.green) <= _ALIKE
        and abs(one.blue - other.blue) <= _ALIKE
    )


@lru_cache(1024)
def color(value: str) -> Paint | str | None:
    """A color as CSS has it, in lower case: a paint, CURRENT, "" where it is one that we cannot tell, None for none."""
    if found := NAMED.get(value):
        return found
    if value == CURRENT:
        return CURRENT
    if value.startswith("#"):
        return _hex(value[1:]) if _HEX.fullmatch(value) else None
    call = _CALL.fullmatch(value)
    if not call or call[1] not in _KNOWN_CALLS:
        return None
    name, inside = call[1].removesuffix("a") if call[1] in ("rgba", "hsla") else call[1], call[2]
    if name == "light-dark":
        return color(inside.partition(",")[0].strip())
    if name == "color-mix":
        return _mixed(inside)
    if same := _ITSELF.fullmatch(inside):
        return color(same[1])
    if "calc" in inside or "from" in inside:
        return ""
    space = ""
    if name == "color":
        space, _, inside = inside.strip().partition(" ")
    channels = [(match[1], match[2] or "") for match in _CHANNEL.finditer(inside)]
    if not 3 <= len(channels) <= 4 or _CHANNEL.sub("", inside).strip(" \t\n,/"):
        return None
    numbers = [(float(number or 0), unit) for number, unit in channels]
    alpha = _share(*numbers[3]) if len(numbers) > 3 else 1.0
    red, green, blue = _SPACES[name](numbers[:3])
    if space not in ("", "srgb", "display-p3", "a98-rgb", "rec2020", "prophoto-rgb"):
        return ""
    red, green, blue = (min(255.0, max(0.0, channel)) for channel in (red, green, blue))
    return Paint(red, green, blue, min(1.0, max(0.0, alpha)))


def legacy_color(value: str) -> Paint | None:
    """A color as an attribute of old HTML has it (bgcolor, text, color): browsers make one of nearly every text."""
    value = value.strip(" \t\n\f\r").lower()
    if not value or value == "transparent":
        return None
    if value in NAMED and value not in ("canvas", "field", "mark", "background", "window", "menu"):
        return NAMED[value]
    if re.fullmatch(r"#[\da-f]{3}", value):
        return _hex(value[1:])
    digits = re.sub(r"[^\da-f]", "0", value[:128].removeprefix("#")) or "0"
    digits += "0" * (-len(digits) % 3)
    size = len(digits) // 3
    parts = [digits[at : at + size][-8:] for at in range(0, 3 * size, size)]
    while len(parts[0]) > 2 and all(part[0] == "0" for part in parts):
        parts = [part[1:] for part in parts]
    red, green, blue = (int(part[:2], 16) for part in parts)
    return Paint(red, green, blue)


Numbers = Sequence[tuple[float, str]]


def _share(number: float, unit: str, whole: float = 1.0) -> float:
    return number / 100 * whole if unit == "%" else number


def _rgb(numbers: Numbers) -> list[float]:
    return [_share(number, unit, 255) for number, unit in numbers]


def _srgb(numbers: Numbers) -> list[float]:
    return [_share(number, unit) * 255 for number, unit in numbers]


def _hue(number: float, unit: str) -> float:
    return number * _TURNS.get(unit, 1.0)


def _hsl(numbers: Numbers) -> list[float]:
    hue, saturation, light = _hue(*numbers[0]), numbers[1][0] / 100, numbers[2][0] / 100
    most = saturation * min(light, 1 - light)
    steps = ((offset + hue / 30) % 12 for offset in (0, 8, 4))
    return [255 * (light - most * max(-1, min(step - 3, 9 - step, 1))) for step in steps]


def _hwb(numbers: Numbers) -> list[float]:
    white, black = numbers[1][0] / 100, numbers[2][0] / 100
    if white + black >= 1:
        return [255 * white / (white + black)] * 3
    return [channel * (1 - white - black) + 255 * white for channel in _hsl([numbers[0], (100, ""), (50, "")])]


def _from_linear(red: float, green: float, blue: float) -> list[float]:
    linear = (min(1.0, max(0.0, channel)) for channel in (red, green, blue))
    return [255 * (12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055) for c in linear]


def _oklab(numbers: Numbers) -> list[float]:
    light, a, b = _share(*numbers[0]), _share(*numbers[1], 0.4), _share(*numbers[2], 0.4)
    long = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return _from_linear(
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )


def _lab(numbers: Numbers) -> list[float]:
    light, a, b = numbers[0][0], _share(*numbers[1], 125), _share(*numbers[2], 125)
    y = (light + 16) / 116
    x, y, z = (f**3 if f**3 > 0.008856 else (116 * f - 16) / 903.3 for f in (y + a / 500, y, y - b / 200))
    x, z = 0.9643 * x, 0.8251 * z
    return _from_linear(
        3.1341 * x - 1.6173 * y - 0.4907 * z,
        -0.9788 * x + 1.9161 * y + 0.0335 * z,
        0.0719 * x - 0.2290 * y + 1.4052 * z,
    )


def _polar(numbers: Numbers, whole: float) -> list[tuple[float, str]]:
    chroma, hue = _share(*numbers[1], whole), math.radians(_hue(*numbers[2]))
    return [numbers[0], (chroma * math.cos(hue), ""), (chroma * math.sin(hue), "")]


def _oklch(numbers: Numbers) -> list[float]:
    return _oklab(_polar(numbers, 0.4))


def _lch(numbers: Numbers) -> list[float]:
    return _lab(_polar(numbers, 150))


_SPACES = {
    "rgb": _rgb,
    "hsl": _hsl,
    "hwb": _hwb,
    "color": _srgb,
    "oklab": _oklab,
    "lab": _lab,
    "oklch": _oklch,
    "lch": _lch,
}


def _mixed(inside: str) -> Paint | str | None:
    """Two colors by their shares, whatever the space: near enough to tell white from black."""
    method, *parts = _ARGUMENT.findall(inside)
    if not method.strip().startswith("in ") or len(parts) != 2:
        return None
    one, other = (color(_PERCENT.sub(" ", part).strip()) for part in parts)
    if not isinstance(one, Paint) or not isinstance(other, Paint):
        return None if one is None or other is None else ""
    first, second = (float(found[1]) / 100 if (found := _PERCENT.search(part)) else None for part in parts)
    share = first if first is not None else 1 - second if second is not None else 0.5
    if first is not None and second is not None and first + second:
        share = first / (first + second)
    red, green, blue, alpha = (a * share + b * (1 - share) for a, b in zip(one, other, strict=True))
    return Paint(red, green, blue, alpha)


def filtered(paint: Paint, filters: Sequence[tuple[str, float]]) -> Paint:
    """A color behind filters, by their names and amounts; the last one is the nearest."""
    for name, amount in reversed(filters):
        paint = FILTERS[name](paint, amount)
    return paint


def _each(paint: Paint, change: Callable[[float], float]) -> Paint:
    red, green, blue = (min(255.0, max(0.0, change(channel))) for channel in paint[:3])
    return Paint(red, green, blue, paint.alpha)


def _gray(paint: Paint, amount: float) -> Paint:
    gray = 0.2126 * paint.red + 0.7152 * paint.green + 0.0722 * paint.blue
    return _each(paint, lambda channel: channel + (gray - channel) * min(amount, 1))


FILTERS: dict[str, Callable[[Paint, float], Paint]] = {
    "invert": lambda paint, amount: _each(paint, lambda c: c * (1 - 2 * amount) + 255 * amount),
    "brightness": lambda paint, amount: _each(paint, lambda c: c * amount),
    "contrast": lambda paint, amount: _each(paint, lambda c: (c - 127.5) * amount + 127.5),
    "grayscale": _gray,
}
"""The filters that change colors so much that words may come or go."""
