"""CSS selectors: reading them, and telling whether an element matches."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from salesos_inbox.mail.nesting import names

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_MOST_PARTS = 60
_DEEPEST = 8
_MOST_STEPS = 150_000
_LONGEST_KEPT = 200
"""Characters of a selector that is kept from mail to mail, as those of one sender have the same style sheet."""

_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|([^\n]))")
_LETTER = r"[^\x00-,./:-@\[-^`{-\x7f]"
"""A letter, a digit, "_", "-" or anything that is not ASCII."""
_NAME = rf"(?:{_LETTER}|\\(?:[0-9a-fA-F]{{1,6}}\s?|[^\n0-9a-fA-F]))+"
_IDENT = rf"(?!\d|-\d|-(?!{_LETTER}|\\)){_NAME}"
_TOKEN = re.compile(
    rf"""(?P<id>\#{_NAME})|(?P<class>\.{_IDENT})|(?P<tag>(?:(?:{_IDENT}|\*)?\|)?(?:{_IDENT}|\*))
    |(?P<attribute>\[\s*(?P<name>{_IDENT})\s*(?:(?P<operator>[~|^$*]?=)\s*
        (?:"(?P<double>(?:[^"\\\n]|\\.)*+)"|'(?P<single>(?:[^'\\\n]|\\.)*+)'|(?P<bare>{_IDENT}))\s*(?P<flag>[isIS])?\s*)?\])
    |(?P<pseudo>:{{1,2}}{_IDENT})(?P<call>\()?|(?P<and>&)|(?P<combinator>\s*[>+~]\s*|\s+)""",
    re.VERBOSE | re.DOTALL,
)
_PLAIN_NAME = r"[.#][a-zA-Z_][\w-]*+"
_PLAIN_COMPOUND = rf"(?:(?:[a-zA-Z][\w-]*+|\*)(?:{_PLAIN_NAME})*+|(?:{_PLAIN_NAME})++)"
_PLAIN_SELECTOR = re.compile(rf"\s*+{_PLAIN_COMPOUND}(?:(?:\s*+[>+~]\s*+|\s++){_PLAIN_COMPOUND})*+\s*+")
_MARKED_NAME = re.compile(_PLAIN_NAME)
_PART = re.compile(
    r"""(?:[^,()\[\]"'\\]++|"(?:[^"\\\n]|\\.)*+"?|'(?:[^'\\\n]|\\.)*+'?|\\.|(?P<open>[(\[])|(?P<close>[)\]])|(?P<comma>,))""",
    re.DOTALL,
)
_NTH = re.compile(
    r"\s*(?:(odd|even)|([+-]?\d*)n\s*(?:([+-])\s*(\d+))?|([+-]?\d+))\s*(?:\sof\s+(.+))?", re.I | re.DOTALL
)
_LEGACY_ELEMENTS = names(":before :after :first-line :first-letter")
_NEVER = names(
    ":hover :active :focus :focus-within :focus-visible :visited :target :host :fullscreen :autofill :invalid "
    ":user-invalid :user-valid :out-of-range :indeterminate :popover-open :modal :picture-in-picture :playing "
    ":target-within :past :future :-webkit-autofill :target-current :paused :muted :seeking :stalled :buffering "
    ":local-link :current"
)
_FIELDS = names("button input select textarea option optgroup fieldset")
Test = Callable[["Element"], bool]
Specificity = tuple[int, int, int]


class NotASelector(ValueError):
    """A selector that no browser takes, which makes its whole rule void."""


class TooManySteps(Exception):
    """A style sheet takes more matching than it may."""


class Document:
    """The elements of a tree as selectors see them, and how many steps matching may still take."""

    def __init__(self, tree: "LexborHTMLParser", quirks: bool) -> None:
        self.quirks = quirks
        self._tree = tree
        self._marks: frozenset[str] | None = None
        self.steps = _MOST_STEPS
        self.known: dict[tuple[int, int, int], bool] = {}
        self._elements: dict[int, Element] = {}

    @property
    def marks(self) -> frozenset[str]:
        """Every class (".name") and every id ("#name") of the document."""
        if self._marks is None:
            marked = [Element(node, self) for node in self._tree.css("[class], [id]")]
            ids = {"#" + element.identity for element in marked}
            self._marks = frozenset(ids.union(*({f".{name}" for name in element.classes} for element in marked)))
        return self._marks

    def lacks(self, text: str) -> bool:
        """Whether a selector of tags, classes and ids alone asks for a class or an id that no element has."""
        if not _PLAIN_SELECTOR.fullmatch(text):
            return False
        asked = _MARKED_NAME.findall(text.lower() if self.quirks else text)
        return not self.marks.issuperset(asked)

    def element(self, node: "LexborNode") -> "Element":
        """The element of a node, always the same one."""
        found = self._elements.get(node.mem_id)
        if found is None:
            found = self._elements[node.mem_id] = Element(node, self)
        return found

    def spend(self, steps: int = 1) -> None:
        """Count steps, and stop where they are too many."""
        self.steps -= steps
        if self.steps < 0:
            raise TooManySteps


class Element:
    """What selectors ask of a node. Its place among its siblings is counted from both ends, and by its tag too."""

    __slots__ = (
        "_above",
        "_children",
        "_parent",
        "attributes",
        "classes",
        "document",
        "identity",
        "node",
        "places",
        "tag",
    )

    def __init__(self, node: "LexborNode", document: Document) -> None:
        self.node = node
        self.document = document
        self.tag = (node.tag or "").lower()
        self.attributes = node.attributes
        folded = str.lower if document.quirks else str
        self.classes = frozenset(folded(self.attributes.get("class") or "").split())
        self.identity = folded(self.attributes.get("id") or "")
        self.places: tuple[int, int, int, int] | None = None
        self._above: frozenset[str] | None = None
        self._parent: Element | None = None
        self._children: list[Element] | None = None

    @property
    def parent(self) -> "Element | None":
        """The element around it."""
        if self._parent is None:
            above = self.node.parent
            self._parent = self.document.element(above) if above is not None and above.is_element_node else None
        return self._parent

    @property
    def above(self) -> frozenset[str]:
        """The tags, classes (".name") and ids ("#name") of all elements around it."""
        if self._above is None:
            way: list[Element] = [self]
            while way[-1]._above is None and way[-1].parent is not None:
                way.append(way[-1].parent)
            for element in reversed(way):
                over = element.parent
                if over is None or over._above is None:
                    element._above = frozenset()
                else:
                    own = {over.tag, "#" + over.identity, *(f".{name}" for name in over.classes)}
                    element._above = over._above if own <= over._above else over._above | own
        return self._above or frozenset()

    @property
    def children(self) -> "list[Element]":
        """The elements in it."""
        if self._children is None:
            self._children = []
            child = self.node.first_child
            while child is not None:
                if child.is_element_node:
                    self._children.append(self.document.element(child))
                child = child.next
            self.document.spend(len(self._children))
            _count(self._children)
        return self._children

    def place(self) -> tuple[int, int, int, int]:
        """Its number among its siblings: from the first, from the last, and both among those of its tag."""
        if self.places is None:
            if self.parent is not None:
                self.parent.children  # noqa: B018  (counts)
            self.places = self.places or (1, 1, 1, 1)
        return self.places

    def before(self) -> "Iterator[Element]":
        """The siblings before it, the nearest first."""
        if self.parent is not None:
            yield from reversed(self.parent.children[: self.place()[0] - 1])

    def descendants(self) -> "Iterator[Element]":
        """Every element in it."""
        ahead = list(self.children)
        while ahead:
            element = ahead.pop()
            yield element
            ahead.extend(element.children)


def _count(siblings: list[Element]) -> None:
    seen: dict[str, int] = {}
    forward: list[int] = []
    for element in siblings:
        seen[element.tag] = seen.get(element.tag, 0) + 1
        forward.append(seen[element.tag])
    for place, element in enumerate(siblings):
        element.places = (
            place + 1,
            len(siblings) - place,
            forward[place],
            seen[element.tag] - forward[place] + 1,
        )


@dataclass(slots=True, eq=False)
class Selector:
    """Compounds from the last to the first, each with what stands between it and the one before.

    `key` is what the last one asks for; `needs` is what must stand around an element that matches.
    """

    compounds: list[tuple[Test, ...]]
    combinators: list[str]
    specificity: Specificity
    key: str
    needs: frozenset[str] = frozenset()

    def matches(self, element: Element) -> bool:
        """Whether an element matches. Raises TooManySteps."""
        element.document.spend()
        return (
            self.needs <= element.above
            and _passes(element, self.compounds[0])
            and (not self.combinators or self._rest(element, 0))
        )

    def _rest(self, element: Element, at: int) -> bool:
        """Whether what stands before the compound `at`, which matches `element`, matches too."""
        if at == len(self.combinators):
            return True
        combinator = self.combinators[at]
        key = (id(self), at, id(element.parent if combinator in " >" else element))
        known = element.document.known
        if key not in known:
            known[key] = any(
                _passes(candidate, self.compounds[at + 1]) and self._rest(candidate, at + 1)
                for candidate in _candidates(element, combinator)
            )
        return known[key]


def _passes(element: Element, tests: tuple[Test, ...]) -> bool:
    for test in tests:  # noqa: SIM110  (this is where the time goes)
        if not test(element):
            return False
    return True


def _candidates(element: Element, combinator: str) -> Iterator[Element]:
    if combinator in " >":
        above = element.parent
        while above is not None:
            above.document.spend()
            yield above
            above = above.parent if combinator == " " else None
        return
    for sibling in element.before():
        sibling.document.spend()
        yield sibling
        if combinator == "+":
            return


def split_list(text: str) -> list[str]:
    """The parts of a list with commas between them."""
    if not ("(" in text or "[" in text or '"' in text or "'" in text or "\\" in text):
        return text.split(",")
    parts: list[str] = []
    depth = start = 0
    for piece in _PART.finditer(text):
        if piece["open"]:
            depth += 1
        elif piece["close"]:
            depth -= 1
        elif piece["comma"] and depth <= 0:
            parts.append(text[start : piece.start()])
            start = piece.end()
    return [*parts, text[start:]]


def unescaped(text: str) -> str:
    """Text without the escapes of CSS."""
    return _ESCAPE.sub(_unescape, text) if "\\" in text else text


def _unescape(escape: re.Match[str]) -> str:
    if not escape[1]:
        return escape[2]
    code = int(escape[1], 16)
    return chr(code) if 32 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"


def selector(text: str, quirks: bool, deep: int = 0) -> Selector | None:
    """Read one selector; None for one that is good but matches no element. Raises NotASelector."""
    read = _read if len(text) <= _LONGEST_KEPT else _read.__wrapped__
    return read(text, quirks, deep)


@lru_cache(1024)
def _read(text: str, quirks: bool, deep: int) -> Selector | None:
    if deep > _DEEPEST:
        raise NotASelector
    text = text.strip()
    compounds: list[tuple[Test, ...]] = []
    combinators: list[str] = []
    tests: list[Test] = []
    specificity = (0, 0, 0)
    key = "*"
    needs: set[str] = set()
    asked: list[str] = []
    never = element = False
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if not token or (element and token.lastgroup == "combinator"):
            raise NotASelector
        at = token.end()
        if token["combinator"]:
            if not tests or len(compounds) > _MOST_PARTS:
                raise NotASelector
            compounds.append(tuple(tests))
            combinators.append(token["combinator"].strip() or " ")
            if combinators[-1] in " >":
                needs.update(asked)
            tests, key, asked = [], "*", []
            continue
        if token["tag"] and tests:
            raise NotASelector
        if token["pseudo"]:
            name = unescaped(token["pseudo"]).lower()
            argument = ""
            if token["call"]:
                end = _closing(text, at)
                argument, at = text[at:end], end + 1
            if name.startswith("::") or name in _LEGACY_ELEMENTS:
                if not _is_known_pseudo_element(name):
                    raise NotASelector
                never = element = True
                tests.append(_nothing)
                continue
            test, weight = _pseudo(name, argument, bool(token["call"]), quirks, deep)
            tests.append(test)
        else:
            test, weight, found = _simple(token, quirks)
            if key == "*" or found[0] == "#" or (found[0] == "." and key[0] != "#"):
                key = found
            tests.append(test)
            if found != "*":
                asked.append(found)
        specificity = _plus(specificity, weight)
    if not tests:
        raise NotASelector
    compounds.append(tuple(tests))
    if never:
        return None
    return Selector(compounds[::-1], combinators[::-1], specificity, key, frozenset(needs))


def _plus(one: Specificity, other: Specificity) -> Specificity:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _closing(text: str, at: int) -> int:
    depth = 1
    for piece in _PART.finditer(text, at):
        depth += bool(piece["open"]) - bool(piece["close"])
        if not depth:
            return piece.start()
    raise NotASelector


def _is_known_pseudo_element(name: str) -> bool:
    return name.startswith("::-webkit-") or name.lstrip(":") in names(
        "before after first-line first-letter selection placeholder marker backdrop file-selector-button cue slotted "
        "part target-text grammar-error spelling-error highlight details-content view-transition"
    )


def _nothing(element: Element) -> bool:
    return False


def _anything(element: Element) -> bool:
    return True


def _simple(token: re.Match[str], quirks: bool) -> tuple[Test, Specificity, str]:
    folded = str.lower if quirks else str
    if token["id"]:
        identity = folded(unescaped(token["id"][1:]))
        return (lambda element: element.identity == identity), (1, 0, 0), "#" + identity
    if token["class"]:
        name = folded(unescaped(token["class"][1:]))
        return (lambda element: name in element.classes), (0, 1, 0), "." + name
    if token["tag"]:
        tag = unescaped(token["tag"].rpartition("|")[2]).lower()
        if tag == "*":
            return _anything, (0, 0, 0), "*"
        return (lambda element: element.tag == tag), (0, 0, 1), tag
    if token["and"]:
        return (lambda element: element.parent is None), (0, 1, 0), "*"
    return _attribute(token), (0, 1, 0), "*"


_CASELESS = names(
    "align bgcolor charset color dir disabled face hidden lang language link media method rel rev scope shape text "
    "type valign vlink alink axis checked clear compact declare defer direction enctype frame hreflang http-equiv "
    "multiple "
    "nohref noresize noshade nowrap readonly rules scrolling selected target valuetype accept accept-charset codetype"
)
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "=": lambda has, wanted: has == wanted,
    "~=": lambda has, wanted: bool(wanted) and wanted in has.split(),
    "|=": lambda has, wanted: has == wanted or has.startswith(wanted + "-"),
    "^=": lambda has, wanted: bool(wanted) and has.startswith(wanted),
    "$=": lambda has, wanted: bool(wanted) and has.endswith(wanted),
    "*=": lambda has, wanted: bool(wanted) and wanted in has,
}


def _attribute(token: re.Match[str]) -> Test:
    name = unescaped(token["name"]).lower()
    if not token["operator"]:
        return lambda element: name in element.attributes
    compares = _OPERATORS[token["operator"]]
    caseless = (token["flag"] or "").lower() == "i" or (not token["flag"] and name in _CASELESS)
    folded = str.lower if caseless else str
    wanted = folded(
        unescaped(next((token[kind] for kind in ("double", "single", "bare") if token[kind] is not None), ""))
    )
    return lambda element: name in element.attributes and compares(folded(element.attributes[name] or ""), wanted)


def _is_empty(element: Element) -> bool:
    child = element.node.first_child
    while child is not None:
        if child.is_element_node or child.is_text_node:
            return False
        child = child.next
    return True


def _is_link(element: Element) -> bool:
    return element.tag in ("a", "area") and "href" in element.attributes


_PLAIN: dict[str, Test] = {
    **dict.fromkeys(_NEVER, _nothing),
    ":root": lambda element: element.parent is None,
    ":scope": lambda element: element.parent is None,
    ":link": _is_link,
    ":any-link": _is_link,
    ":-webkit-any-link": _is_link,
    ":first-child": lambda element: element.place()[0] == 1,
    ":last-child": lambda element: element.place()[1] == 1,
    ":only-child": lambda element: element.place()[:2] == (1, 1),
    ":first-of-type": lambda element: element.place()[2] == 1,
    ":last-of-type": lambda element: element.place()[3] == 1,
    ":only-of-type": lambda element: element.place()[2:] == (1, 1),
    ":empty": _is_empty,
    ":defined": _anything,
    ":checked": lambda element: "checked" in element.attributes or "selected" in element.attributes,
    ":disabled": lambda element: element.tag in _FIELDS and "disabled" in element.attributes,
    ":enabled": lambda element: element.tag in _FIELDS and "disabled" not in element.attributes,
    ":required": lambda element: element.tag in _FIELDS and "required" in element.attributes,
    ":optional": lambda element: element.tag in _FIELDS and "required" not in element.attributes,
    ":read-only": lambda element: element.tag not in ("input", "textarea"),
    ":read-write": lambda element: element.tag in ("input", "textarea"),
    ":valid": lambda element: element.tag in ("input", "textarea", "select", "form"),
    ":in-range": _nothing,
    ":open": lambda element: element.tag in ("details", "dialog") and "open" in element.attributes,
    ":default": lambda element: "checked" in element.attributes,
    ":placeholder-shown": lambda element: "placeholder" in element.attributes,
}
_COUNTED = {":nth-child": 0, ":nth-last-child": 1, ":nth-of-type": 2, ":nth-last-of-type": 3}


def _pseudo(name: str, argument: str, called: bool, quirks: bool, deep: int) -> tuple[Test, Specificity]:
    if not called:
        if name not in _PLAIN:
            raise NotASelector
        return _PLAIN[name], (0, 1, 0)
    if name in _COUNTED:
        return _counted(_COUNTED[name], argument, quirks, deep)
    if name in (":is", ":where", ":-webkit-any", ":not", ":has"):
        return _listed(name, argument, quirks, deep)
    if name == ":lang":
        wanted = [language.strip(" \t\n\"'").lower() for language in argument.split(",")]
        return (lambda element: _speaks(element, wanted)), (0, 1, 0)
    if name == ":dir":
        return (lambda element: argument.strip().lower() == "ltr"), (0, 1, 0)
    if name in (":state", ":host", ":host-context", ":active-view-transition-type"):
        return _nothing, (0, 1, 0)
    raise NotASelector


def _speaks(element: Element, wanted: list[str]) -> bool:
    around: Element | None = element
    while around is not None:
        around.document.spend()
        if "lang" in around.attributes:
            has = (around.attributes["lang"] or "").lower()
            return any(has == language or has.startswith(language + "-") for language in wanted)
        around = around.parent
    return False


def _counted(which: int, argument: str, quirks: bool, deep: int) -> tuple[Test, Specificity]:
    nth = _NTH.fullmatch(argument)
    if not nth or len(argument) > 500:
        raise NotASelector
    if nth[1]:
        step, start = 2, int(nth[1].lower() == "odd")
    elif nth[5]:
        step, start = 0, int(nth[5])
    else:
        step = int(nth[2] + "1" if nth[2] in ("", "+", "-") else nth[2])
        start = int((nth[3] or "") + (nth[4] or "0"))
    if nth[6]:
        if which > 1:
            raise NotASelector
        among, weight = _listed(":is", nth[6], quirks, deep)
        return (lambda element: among(element) and _is_nth(_place_among(element, among, which), step, start)), _plus(
            weight, (0, 1, 0)
        )
    return (lambda element: _is_nth(element.place()[which], step, start)), (0, 1, 0)


def _place_among(element: Element, among: Test, which: int) -> int:
    siblings = element.parent.children if element.parent is not None else [element]
    place = element.place()[0]
    element.document.spend(len(siblings))
    return 1 + sum(among(other) for other in (siblings[: place - 1], siblings[place:])[which])


def _is_nth(place: int, step: int, start: int) -> bool:
    return place == start if not step else (place - start) % step == 0 and (place - start) // step >= 0


def _listed(name: str, argument: str, quirks: bool, deep: int) -> tuple[Test, Specificity]:
    found: list[tuple[str, Selector]] = []
    for part in split_list(argument):
        text, relation = part.strip(), " "
        if name == ":has" and text[:1] in (">", "+", "~"):
            text, relation = text[1:], text[0]
        try:
            read = selector(text, quirks, deep + 1)
        except NotASelector:
            if name in (":not", ":has"):
                raise
            continue
        if read is not None:
            found.append((relation, read))
    weight = max((read.specificity for _, read in found), default=(0, 0, 0))
    if name == ":not":
        return (lambda element: not any(read.matches(element) for _, read in found)), weight
    if name == ":has":
        return (lambda element: any(_has(element, relation, read) for relation, read in found)), weight
    return (lambda element: any(read.matches(element) for _, read in found)), (0, 0, 0) if name == ":where" else weight


def _has(element: Element, relation: str, read: Selector) -> bool:
    if relation in " >":
        within = element.children if relation == ">" else element.descendants()
    else:
        siblings = element.parent.children[element.place()[0] :] if element.parent is not None else []
        within = siblings[:1] if relation == "+" else siblings
    return any(read.matches(other) for other in within)
