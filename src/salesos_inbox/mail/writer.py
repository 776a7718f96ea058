"""Lines of text, built from words and breaks."""

import re

_LEVELS_SHOWN = 20
_BLANKS = re.compile("[\t\n\r\f\xa0][ \t\n\r\f\xa0]*| [ \t\n\r\f\xa0]+")
"""Every run of blanks but a single one, which is most of them and stays."""
_BEGINS_A_WORD = re.compile(r"\w|\[")
_BAR = " |"


def collapsed(text: str) -> str:
    """The text with one blank for every run of them, as HTML reads it."""
    return _BLANKS.sub(" ", text)


class _Prefix:
    """What stands before the lines of a quote or a list item: `first` once, `rest` from then on."""

    __slots__ = ("next", "rest")

    def __init__(self, first: str, rest: str) -> None:
        self.next = first
        self.rest = rest

    def take(self) -> str:
        taken, self.next = self.next, self.rest
        return taken


class Writer:
    """Lines of text. What is said in words is also added to `said`, which several writers may share.

    In the cell of a row (`in_cell`) every break is a blank.
    """

    def __init__(self, said: list[str]) -> None:
        self.in_cell = False
        self._said = said
        self._lines: list[str] = []
        self._line: list[str] = []
        self._prefixes: list[_Prefix] = []
        self._outer = 0
        self._blank = False
        self._space = False
        self._annotated = False

    def words(self, text: str) -> None:
        """Add words to the line, parted from those before by a blank where either has one there."""
        flat = _BLANKS.sub(" ", text)
        core = flat.strip(" ")
        if not core:
            self._space |= bool(flat)
            return
        if self._line and (self._space or flat[0] == " " or (self._annotated and _BEGINS_A_WORD.match(core))):
            core = " " + core
        self._put(core)
        self._space = flat[-1] == " "

    def aside(self, text: str) -> None:
        """Add words that are not among what is said."""
        count = len(self._said)
        self.words(text)
        del self._said[count:]

    def preformatted(self, text: str) -> None:
        """Add text whose lines and blanks stay as they are."""
        if self.in_cell:
            self.words(text)
            return
        for number, line in enumerate(text.replace("\xa0", " ").split("\n")):
            if number:
                self.line_break()
            if line:
                self._put(f" {line}" if self._space and self._line else line)
                self._space = False

    def attach(self, text: str, *, ends: bool = True) -> None:
        """Add to what was said last, whether or not its line has ended; a word after it is parted where that `ends`."""
        if self._line or not self._lines:
            self._line.append(text if self._line else text.lstrip())
        else:
            self._lines[-1] += text
        self._annotated = ends and bool(self._line)

    def ends_in_a_word(self) -> bool:
        """Whether a letter or digit stands directly before what comes next."""
        return bool(self._line) and not self._space and self._line[-1][-1:].isalnum()

    def space(self) -> None:
        """Part what comes next from what was said."""
        self._space = True

    def separate_cells(self) -> None:
        """Begin another cell of a row."""
        self._line.append(_BAR)
        self._space = True

    def new_line(self) -> None:
        """Begin a line, unless one has just begun."""
        self._space = self.in_cell
        if self.in_cell:
            return
        self._annotated = False
        if not self._line:
            return
        while self._line and self._line[-1] == _BAR:
            self._line.pop()
        line = "".join(self._line).rstrip()
        self._line = []
        if line:
            if self._blank and self._lines:
                self._lines.append("".join(prefix.rest for prefix in self._prefixes[: self._outer]).rstrip())
            self._lines.append("".join(prefix.take() for prefix in self._prefixes) + line)
            self._blank, self._outer = False, len(self._prefixes)

    def line_break(self) -> None:
        """End the line; an empty one is a blank line."""
        if self._line or self.in_cell:
            self.new_line()
        else:
            self._blank = True

    def paragraph(self) -> None:
        """Begin a line with a blank line above."""
        self.new_line()
        self._blank |= not self.in_cell

    def indent(self, first: str, rest: str) -> None:
        """Put `first` before the next line and `rest` before those after it, down to a depth that can be read."""
        deep = len(self._prefixes) >= _LEVELS_SHOWN
        self._prefixes.append(_Prefix("", "") if deep else _Prefix(first, rest))

    def dedent(self) -> None:
        """End what the last `indent` began."""
        self._prefixes.pop()
        self._outer = min(self._outer, len(self._prefixes))

    def finished(self) -> list[str]:
        """All lines."""
        self.in_cell = False
        self.new_line()
        return self._lines

    def _put(self, text: str) -> None:
        self._line.append(text)
        self._said.append(text)
        self._annotated = False
