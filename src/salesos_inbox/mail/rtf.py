"""Rich Text Format as plain text. Pure and linear."""

import re
from dataclasses import dataclass, replace

_TOKEN = re.compile(
    r"\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?\d{1,10})? ?|\\'(?P<hex>[0-9a-fA-F]{2})|\\(?P<symbol>[^a-zA-Z])"
    r"|(?P<brace>[{}])|(?P<text>[^\\{}\r\n]+)",
    re.DOTALL,
)
_NOT_TEXT = frozenset(
    {"fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "header", "footer", "fldinst", "listtable",
     "listoverridetable", "rsidtbl", "generator", "themedata", "datastore", "latentstyles", "xmlnstbl", "filetbl"}
)  # fmt: skip
_BREAKS = {"par": "\n", "line": "\n", "sect": "\n", "page": "\n", "row": "\n", "cell": " | ", "tab": "\t"}
_SIGNS = {"emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”"}
_SYMBOLS = {"~": "\xa0", "_": "-", "\\": "\\", "{": "{", "}": "}", "\n": "\n", "\r": "\n"}
_WORDS = _BREAKS | _SIGNS


@dataclass(frozen=True)
class _Group:
    shown: bool = True
    hidden: bool = False
    fallback: int = 1
    """Characters after one in Unicode that stand for it in older readers."""


@dataclass(frozen=True)
class RichText:
    """What a word processor would show, and how many characters its writer had hidden."""

    text: str
    hidden_chars: int


def rtf_to_text(source: str) -> RichText:
    """The text of an RTF document, without what its formatting hides."""
    said: list[str] = []
    hidden = skip = 0
    group, outer = _Group(), list[_Group]()
    codepage = "cp1252"
    for token in _TOKEN.finditer(source):
        kind, value = token.lastgroup, token[0]
        word = token["word"]
        words = ""
        if kind == "brace":
            skip = 0
            if value == "{":
                outer.append(group)
            elif outer:
                group = outer.pop()
            continue
        if kind == "symbol":
            if token["symbol"] == "*":
                group = replace(group, shown=False)
            words = _SYMBOLS.get(token["symbol"], "")
        elif kind == "hex":
            words = _byte(token["hex"], codepage)
        elif word:
            number = int(token["number"]) if token["number"] else None
            if word in _NOT_TEXT:
                group = replace(group, shown=False)
            elif word == "v":
                group = replace(group, hidden=number != 0)
            elif word == "uc":
                group = replace(group, fallback=max(0, number or 0))
            elif word == "ansicpg" and number:
                codepage = f"cp{number}"
            elif word == "u" and number is not None:
                words, skip = chr(number % 0x10000), 0
            else:
                words = _WORDS.get(word, "")
        else:
            words = value
        if words and skip and kind in ("hex", "text"):
            left = max(0, skip - len(words))
            words, skip = words[skip:], left
        if word == "u":
            skip = group.fallback
        if words and group.shown and group.hidden:
            hidden += len(words)
        elif words and group.shown:
            said.append(words)
    text = "".join(said).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return RichText(text.strip(), hidden)


def _byte(digits: str, codepage: str) -> str:
    try:
        return bytes.fromhex(digits).decode(codepage)
    except (LookupError, UnicodeDecodeError):
        return bytes.fromhex(digits).decode("cp1252", "replace")
