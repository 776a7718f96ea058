"""How much of an HTML text a tree builder can take in reasonable time and memory.

The HTML5 algorithm looks through all open elements at many a tag and opens unclosed formatting again in every
paragraph, so that 100 kB of hostile mail can cost minutes or gigabytes. Real mail is far below these bounds.
"""

import re
from collections import Counter

MAX_CHARACTERS = 2_000_000
_MAX_DEPTH = 1_000
_MAX_STEPS = 100_000_000
_MAX_REOPENED = 300_000
_MAX_ATTRIBUTES = 1_000

_TAG = re.compile(r"<(/?)([a-z][^\s/>]*)([^<>]*)", re.IGNORECASE)
_BLANKS = re.compile(r"[\s/]+")


def names(listed: str) -> frozenset[str]:
    """The names of elements, or other words, of a list with blanks between them."""
    return frozenset(listed.split())


_SELF_CLOSING = names(
    "area base br col embed hr img input link meta param source track wbr p li dt dd tr td th tbody thead tfoot option "
    "html head body"
)
_FORMATTING = names("a b big code em font i nobr s small strike strong tt u")
_SCOPES = names("table td th caption template object applet marquee select svg math button")
_SPECIAL = _SCOPES | names(
    "address article aside blockquote center details dir div dl fieldset figure footer form h1 h2 h3 h4 h5 h6 header "
    "iframe li main menu nav ol p pre section summary ul"
)


def bearable(html: str) -> str:
    """The longest beginning of the HTML, up to 2,000,000 characters, that parses in seconds at worst."""
    html = html[:MAX_CHARACTERS]
    opened: list[str] = []
    formatting: Counter[str] = Counter()
    steps = reopened = formats = 0
    for tag in _TAG.finditer(html):
        name = tag[2].lower()
        closing = bool(tag[1])
        if name in _FORMATTING:
            change = -min(1, formatting[name]) if closing else 1
            formatting[name] += change
            formats += change
        if closing:
            _close(opened, name)
        elif name not in _SELF_CLOSING:
            opened.append(name)
        steps += len(opened)
        reopened += formats
        if (
            len(opened) > _MAX_DEPTH
            or steps > _MAX_STEPS
            or reopened > _MAX_REOPENED
            or (len(tag[3]) > _MAX_ATTRIBUTES and len(_BLANKS.findall(tag[3])) > _MAX_ATTRIBUTES)
        ):
            return html[: tag.start()]
    return html


def _close(opened: list[str], name: str) -> None:
    """Close the innermost element of that name, unless an element stands between that an end tag cannot reach over."""
    barriers = _SCOPES if name in _SPECIAL else _SPECIAL
    for place in range(len(opened) - 1, -1, -1):
        if opened[place] == name:
            del opened[place:]
            return
        if opened[place] in barriers:
            return
