"""The forms that mail comes in besides text and HTML, made readable or honestly named. Pure and linear.

Signed and encrypted mail, invitations, contact cards, files written into the text, MIME that nobody took apart,
and text that was damaged. What is taken out of a text leaves its name there, and is counted in a note.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from salesos_inbox.mail.damage import decode_words, decoded, from_base64, from_quoted_printable, mended
from salesos_inbox.mail.ical import calendar_text, card_text
from salesos_inbox.mail.rtf import rtf_to_text

EMPTY: Final = "it has no text"
FILES_ONLY: Final = "it has no text, only files"
SIGNED: Final = "signed with OpenPGP: not verified here"
PARTLY_SIGNED: Final = "a part of it is signed with OpenPGP: not verified here"
ENCRYPTED: Final = "encrypted with OpenPGP: its text cannot be read here"
PARTLY_ENCRYPTED: Final = "a part of it is encrypted with OpenPGP and cannot be read here"
RAW_MIME: Final = "arrived as raw MIME that nobody had taken apart: its text is shown"
RAW_BASE64: Final = "arrived as base64 that nobody had decoded: decoded here"
RICH_TEXT: Final = "arrived as RTF: shown as plain text"


@dataclass(frozen=True)
class Form:
    """A text to be read, and what it came as, in short words of ours that hold no one else's.

    `is_html` says that the text is the source of HTML, to be read as such. `folded_chars` counts what was data, not
    words, and is named in the text instead; `hidden_chars` what a word processor would not show.
    """

    text: str
    notes: tuple[str, ...] = ()
    is_html: bool = False
    folded_chars: int = 0
    hidden_chars: int = 0


def recognise(text: str, attachment_names: Sequence[str] = ()) -> Form:
    """Make a message's plain text readable where it is in another form, and name the form.

    `attachment_names` are the names of its files, or their MIME types where they have none. Ordinary text comes back
    as it is. To be called before quotes are told apart and unseen characters are taken out. Never raises.
    """
    whole = mended(text)
    form = Form(whole.text, whole.notes)
    for is_likely, read in _READERS:
        if is_likely(form.text):
            form = _both(form, read(form.text.replace("\r\n", "\n")))
            if form.is_html:
                break
    notes = [*form.notes, *_of_files(attachment_names, has_text=bool(form.text.strip()))]
    if form.folded_chars:
        notes.append(f"{form.folded_chars} characters of data are left out of its text")
    return Form(form.text, tuple(dict.fromkeys(notes)), form.is_html, form.folded_chars, form.hidden_chars)


def _both(before: Form, after: Form) -> Form:
    return Form(
        after.text,
        before.notes + after.notes,
        after.is_html,
        before.folded_chars + after.folded_chars,
        before.hidden_chars + after.hidden_chars,
    )


# By the names of its files

_FILES: Final = tuple(
    (re.compile(names, re.IGNORECASE), note)
    for names, note in (
        (r".*\.p7s|application/(?:x-)?pkcs7-signature", "signed with S/MIME: not verified here"),
        (
            r".*\.p7m|application/(?:x-)?pkcs7-mime",
            "encrypted with S/MIME, or signed in a form that cannot be read here",
        ),
        (r"encrypted\.asc|openpgp-encrypted-message\.asc|application/pgp-encrypted", ENCRYPTED),
        (r"signature\.(?:asc|sig)|openpgp_signature(?:\.asc)?|application/pgp-signature", SIGNED),
        (
            r"winmail\d*\.dat|application/(?:vnd\.)?ms-tnef",
            "what Outlook packed into winmail.dat cannot be read here",
        ),
        (r".*\.ics|text/calendar|application/ics", "a calendar event comes with it as a file"),
        (r".*\.vcf|text/(?:x-)?vcard", "a contact card comes with it as a file"),
        (r"message/delivery-status", "a report on delivery comes with it as a file"),
        (r".*\.eml|message/rfc822", "another mail comes with it as a file"),
    )
)


def _of_files(names: Sequence[str], *, has_text: bool) -> list[str]:
    """What the names of a message's files say of it."""
    notes = [note for pattern, note in _FILES if any(pattern.fullmatch(name.strip()) for name in names)]
    if not has_text and ENCRYPTED not in notes:
        notes.insert(0, FILES_ONLY if names else EMPTY)
    return notes


# The source of HTML or of RTF

_HTML_BEGINS = re.compile(r"\s*(?:<\?xml[^<>]{0,200}>\s*)?<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_FRAGMENT_BEGINS = re.compile(
    r"\s*(?:<!--[^<>]{0,1000}-->\s*)*<(?:div|p|table|span|style|meta|center|font|h[1-6]|br|ul|ol|a|b)\b[^<>]{0,2000}>",
    re.IGNORECASE,
)
_FRAGMENT_ENDS = re.compile(
    r"</(?:div|p|table|span|center|font|h[1-6]|ul|ol|a|b)\s*>\s*\Z|<br\s*/?>\s*\Z", re.IGNORECASE
)
_LAST = 100


def _html(text: str) -> Form:
    fragment = _FRAGMENT_BEGINS.match(text) and _FRAGMENT_ENDS.search(text.rstrip()[-_LAST:])
    return Form(text, is_html=bool(fragment or _HTML_BEGINS.match(text)))


def _rich_text(text: str) -> Form:
    if not text.lstrip().startswith("{\\rtf"):
        return Form(text)
    shown = rtf_to_text(text)
    return Form(shown.text, (RICH_TEXT,), hidden_chars=shown.hidden_chars)


# MIME left in the text (RFC 2046)

_PART_BEGINS = re.compile(r"^--(\S(?:[^\n]{0,68}\S)?)[ \t]*\n(?=Content-[\w-]+[ \t]*:)", re.IGNORECASE | re.MULTILINE)
_FIELD = re.compile(r"([A-Za-z][\w-]*)[ \t]*:[ \t]*(.*)")
_HEADS_A_PART = re.compile(r"\s*(?:MIME-Version[ \t]*:.*\n)?Content-(?:Type|Transfer-Encoding)[ \t]*:", re.IGNORECASE)
_FEWEST_DELIMITERS = 2
_PREAMBLE = re.compile(r"(?:this is an? (?:multi-?part|OpenPGP/MIME|S/MIME|cryptographic).*)?", re.IGNORECASE)
_MESSAGE_FIELDS = ("from", "to", "cc", "date", "subject")


@dataclass(frozen=True)
class _Part:
    fields: dict[str, str]
    body: str

    @property
    def kind(self) -> str:
        return self.fields.get("content-type", "text/plain").partition(";")[0].strip().lower()

    def parameter(self, field: str, name: str) -> str:
        found = re.search(rf";\s*{name}\s*=\s*\"?([^\";]*)", self.fields.get(field, ""), re.IGNORECASE)
        return found[1].strip() if found else ""

    @property
    def is_file(self) -> bool:
        return self.fields.get("content-disposition", "").lower().startswith("attachment")

    def text(self) -> str:
        """The words of a part, its transfer encoding (RFC 2045) undone."""
        charset = self.parameter("content-type", "charset")
        match self.fields.get("content-transfer-encoding", "").strip().lower():
            case "base64":
                return decoded(from_base64(self.body), charset)
            case "quoted-printable":
                return from_quoted_printable(self.body, charset)
            case _:
                return self.body


def _mime(text: str) -> Form:
    boundaries = {found[1] for found in _PART_BEGINS.finditer(text)}
    head = _HEADS_A_PART.match(text)
    if not boundaries:
        return _parts_as_text([_part(text.lstrip().split("\n"))]) if head else Form(text)
    before: list[str] = []
    sections: list[tuple[bool, list[str]]] = [(False, before)]
    for line in text.split("\n"):
        marked = line[2:].rstrip() if line.startswith("--") else ""
        if marked in boundaries or marked.removesuffix("--") in boundaries:
            sections.append((marked in boundaries, []))
        else:
            sections[-1][1].append(line)
    is_torn = bool(head or _PREAMBLE.fullmatch("\n".join(before).strip()))
    if len(sections) - 1 < _FEWEST_DELIMITERS and not is_torn:
        return Form(text)
    sections[0] = (bool(head), before)
    # What stands before the first part and after the last has no fields of its own.
    return _parts_as_text([_part(lines) if is_part else _Part({}, "\n".join(lines)) for is_part, lines in sections])


def _part(lines: Sequence[str]) -> _Part:
    fields: dict[str, list[str]] = {}
    name = ""
    end = len(lines)
    for number, line in enumerate(lines):
        field = _FIELD.fullmatch(line)
        if line[:1] in (" ", "\t") and name and line.strip():
            fields[name].append(line.strip())
        elif field:
            name = field[1].lower()
            fields[name] = [field[2]]
        else:
            end = number + (not line.strip())
            break
    return _Part({name: " ".join(pieces) for name, pieces in fields.items()}, "\n".join(lines[end:]))


def _parts_as_text(parts: Sequence[_Part]) -> Form:
    """The words of the parts in their order: HTML only where there is no plain text. Files are named."""
    # What stands before the parts of a multipart is words like any.
    shown = [_Part({}, part.body) if part.kind.startswith("multipart/") else part for part in parts]
    plain = any(part.kind == "text/plain" and part.fields and part.body.strip() and not part.is_file for part in shown)
    is_html = not plain and any(part.kind == "text/html" for part in shown)
    said: list[str] = []
    files: list[str] = []
    folded = 0
    for part in shown:
        if part.kind == "text/html" and not part.is_file:
            if is_html:
                said.append(part.text())
            else:
                folded += len(part.body)
            continue
        if part.kind == "message/rfc822":
            inner = _part(part.body.split("\n"))
            heads = [
                f"{name.title()}: {decode_words(inner.fields[name])}"
                for name in _MESSAGE_FIELDS
                if name in inner.fields
            ]
            words = "\n".join([*heads, "", inner.text() if inner.kind == "text/plain" else ""])
        elif part.kind.startswith(("text/", "message/")) and not part.is_file:
            words = part.text()
        else:
            name = decode_words(
                part.parameter("content-disposition", "filename") or part.parameter("content-type", "name")
            )
            words = f"[{' '.join(filter(None, (part.kind, name)))}, {len(part.body)} characters]"
            folded += len(part.body)
            files += [part.kind, name]
        if words.strip() and (part.fields or not _PREAMBLE.fullmatch(words.strip())):
            said.append(f"<p>{escape(words)}</p>" if is_html else words.strip("\n"))
    return Form("\n\n".join(said), (RAW_MIME, *_of_files(files, has_text=True)), is_html, folded)


# Blocks of lines: armour (RFC 9580, RFC 7468), uuencode, yEnc, base64

_OPENING = re.compile(
    r"(?P<quote>[> |\t]*)(?:-----BEGIN (?P<armour>[A-Z0-9][A-Z0-9 ,/]{0,60})-----|begin [0-7]{3,4} (?P<file>\S.{0,200})"
    r"|=ybegin (?P<yenc>.{0,300})|(?P<base64>[A-Za-z0-9+/]{60,78}))[ \t]*"
)
_QUOTE = re.compile(r"[> |\t]*")
_ARMOUR_LINE = re.compile(r"[A-Za-z0-9+/]{1,80}={0,2}|=[A-Za-z0-9+/]{4}|[A-Za-z][A-Za-z-]{0,40}: .*|")
_BASE64_LINE = re.compile(r"[A-Za-z0-9+/]{1,78}={0,2}")
_LONG_LINE = re.compile(r"\S{30,}")
_FEWEST_LINES = 5
_LONG_WORD = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{2000,}={0,2}")
_ARMOUR_HEAD = re.compile(r"(?:Hash|Charset|NotDashEscaped|Version|Comment): ?.*")
_MIXED = tuple(re.compile(letters) for letters in ("[a-z]", "[A-Z]", "[0-9]"))

_ARMOURS: Final = tuple(
    (re.compile(label), name, note)
    for label, name, note in (
        ("PGP SIGNATURE", "an OpenPGP signature", None),
        ("PGP MESSAGE.*", "a text encrypted with OpenPGP", None),
        ("PGP PUBLIC KEY BLOCK", "an OpenPGP key", "an OpenPGP key is written into it"),
        (".*PRIVATE KEY.*", "a private key", "a private key is written into it: left out"),
        ("PKCS7|CMS", "S/MIME data", "encrypted with S/MIME, or signed in a form that cannot be read here"),
        (".*", "a key or certificate", "a key or certificate is written into it"),
    )
)


@dataclass(frozen=True)
class _Block:
    end: int
    name: str
    note: str | None = None


class _Folding:
    """One pass over the lines of a text: blocks of data go, their names stay."""

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        self.kept: list[str] = []
        self.notes: list[str] = []
        self.folded = 0
        self._last_signature = max(
            (number for number, line in enumerate(self.lines) if "-----BEGIN PGP SIGNATURE-----" in line), default=-1
        )
        self._signed_quote: str | None = None
        """What stands before the lines of the signed text that this line is in, None outside of any."""
        self.signed = self.encrypted = self.words_outside = self.words = False
        number = 0
        while number < len(self.lines):
            number = self._next(number)

    def _next(self, number: int) -> int:
        line = self.lines[number]
        opening = _OPENING.fullmatch(line) if len(line) >= _SHORTEST_OPENING else None
        if opening is None:
            return self._keep(number, line)
        if opening["armour"] == "PGP SIGNED MESSAGE" and number < self._last_signature:
            self._signed_quote = opening["quote"]
            return self._past_heads(number + 1)
        kind = opening.lastgroup or ""
        block = _BLOCKS[kind](self.lines, number, opening)
        if block is None:
            return self._keep(number, line)
        size = sum(len(one) + 1 for one in self.lines[number : block.end]) - 1
        self.folded += size
        if opening["armour"] == "PGP SIGNATURE" and self._signed_quote is not None:
            self.signed, self._signed_quote = True, None
        else:
            self.kept.append(f"{opening['quote']}[{block.name}, {size} characters]")
        self.encrypted |= (opening["armour"] or "").startswith("PGP MESSAGE")
        self.notes += [block.note] if block.note else []
        return block.end

    def _keep(self, number: int, line: str) -> int:
        if self._signed_quote is not None:
            # Dash-escaping (RFC 9580, 7.2)
            words = line.removeprefix(self._signed_quote)
            line = self._signed_quote + words[2:] if words.startswith("- ") else line
        elif line.strip():
            self.words_outside = True
        self.words |= bool(line.strip())
        if len(line) > _LONGEST_WORD and (word := _LONG_WORD.search(line)) and _is_mixed(word[0][:_LONGEST_WORD]):
            short = _LONG_WORD.sub(lambda found: f"[data in one word, {len(found[0])} characters]", line)
            self.folded += sum(len(found[0]) for found in _LONG_WORD.finditer(line))
            line = short
        self.kept.append(line)
        return number + 1

    def _past_heads(self, number: int) -> int:
        """Where the signed text begins: after its armour's own fields and the blank line that ends them."""
        while number < len(self.lines) and _ARMOUR_HEAD.fullmatch(_unquoted(self.lines[number])):
            number += 1
        return number + (number < len(self.lines) and not _unquoted(self.lines[number]))

    def form(self) -> Form:
        """What is left, and what is to be said of it."""
        notes: list[str] = []
        if self.signed:
            notes.append(PARTLY_SIGNED if self.words_outside else SIGNED)
        if self.encrypted:
            notes.append(PARTLY_ENCRYPTED if self.words else ENCRYPTED)
        return Form("\n".join(self.kept), (*notes, *dict.fromkeys(self.notes)), folded_chars=self.folded)


_SHORTEST_OPENING = len("begin 644 x")
_LONGEST_WORD = 2000


def _unquoted(line: str) -> str:
    return line[_QUOTE.match(line).end() :].rstrip() if line[:1] in "> |\t" else line.rstrip()  # pyright: ignore[reportOptionalMemberAccess] -- it matches anything


def _armour(lines: Sequence[str], start: int, opening: re.Match[str]) -> _Block | None:
    label = opening["armour"]
    end = _run(lines, start + 1, _ARMOUR_LINE)
    if end < len(lines) and _unquoted(lines[end]) == f"-----END {label}-----":
        end += 1
    else:
        end = _last_long(lines, start, end)
    if end <= start + 1:
        return None
    name, note = next((name, note) for pattern, name, note in _ARMOURS if pattern.fullmatch(label))
    return _Block(end, name, note)


def _uuencoded(lines: Sequence[str], start: int, opening: re.Match[str]) -> _Block | None:
    end = start + 1
    while end < len(lines) and _is_uuencoded(lines[end].removeprefix(opening["quote"])):
        end += 1
    if end < len(lines) and _unquoted(lines[end]) == "end":
        end += 1
    else:
        end = _last_long(lines, start, end)
    return _Block(end, f"file {opening['file'].strip()}", _FILE_IN_TEXT) if end > start + 2 else None


_FILE_IN_TEXT = "a file is written into its text: left out"


def _is_uuencoded(line: str) -> bool:
    size = (ord(line[0]) - 32) % 64 if line else 0
    letters = (size + 2) // 3 * 4
    return bool(line) and min(line) >= " " and max(line) <= "`" and letters // 2 <= len(line.rstrip()) <= letters + 2


def _yenc(lines: Sequence[str], start: int, opening: re.Match[str]) -> _Block | None:
    end = start + 1
    while end < len(lines) and not _unquoted(lines[end]).startswith(("=yend", "=ybegin")):
        end += 1
    if end == len(lines) or _unquoted(lines[end]).startswith("=ybegin"):
        return None
    return _Block(end + 1, f"file {opening['yenc'].partition('name=')[2].strip()}", _FILE_IN_TEXT)


def _base64(lines: Sequence[str], start: int, opening: re.Match[str]) -> _Block | None:
    width = len(opening["base64"])
    sample = "".join(lines[start : start + _FEWEST_LINES])
    if not _is_mixed(sample):
        return None
    end = start
    while end < len(lines) and len(one := _unquoted(lines[end])) == width and _BASE64_LINE.fullmatch(one):
        end += 1
    if (
        end < len(lines)
        and len(_unquoted(lines[end])) < width
        and re.fullmatch(r"[A-Za-z0-9+/]{2,}={0,2}", _unquoted(lines[end]))
    ):
        end += 1
    return _Block(end, "data in base64") if end - start >= _FEWEST_LINES else None


def _is_mixed(sample: str) -> bool:
    return all(letters.search(sample) for letters in _MIXED)


def _run(lines: Sequence[str], start: int, fits: re.Pattern[str]) -> int:
    """Where the lines from `start` on stop to fit."""
    end = start
    while end < len(lines) and fits.fullmatch(_unquoted(lines[end])):
        end += 1
    return end


def _last_long(lines: Sequence[str], start: int, end: int) -> int:
    """The end of a block that was cut off: after the last line that nobody would write."""
    while end > start + 1 and not _LONG_LINE.fullmatch(_unquoted(lines[end - 1])):
        end -= 1
    return end


_BLOCKS: Final[dict[str, Callable[[Sequence[str], int, re.Match[str]], _Block | None]]] = {
    "armour": _armour,
    "file": _uuencoded,
    "yenc": _yenc,
    "base64": _base64,
}


def _blocks(text: str) -> Form:
    whole = text.strip()
    if (
        re.fullmatch(r"[A-Za-z0-9+/\n]{80,}={0,2}", whole)
        and _is_mixed(whole[:_LONGEST_WORD])
        and (words := _words(whole))
    ):
        return Form(words, (RAW_BASE64,), _html(words).is_html)
    return _Folding(text).form()


def _words(letters: str) -> str:
    """The text that base64 stands for, "" where it stands for something else."""
    try:
        text = from_base64(letters).decode()
    except ValueError:
        return ""
    return text if _is_text(text) else ""


def _is_text(text: str) -> bool:
    return not re.search("[\x00-\x08\x0e-\x1f\x7f\ufffd]", text)


# Calendar events, contact cards, reports

_INVITATIONS: Final = {
    "REQUEST": "a calendar invitation",
    "CANCEL": "a calendar event is cancelled",
    "REPLY": "an answer to a calendar invitation",
}
_ACTION = re.compile(r"^Action[ \t]*:[ \t]*(failed|delayed|delivered|relayed|expanded)\b", re.IGNORECASE | re.MULTILINE)
_RECIPIENT = re.compile(r"^(?:Final|Original)-Recipient[ \t]*:", re.IGNORECASE | re.MULTILINE)
_DISPOSITION = re.compile(
    r"^Disposition[ \t]*:.{0,200};[ \t]*(displayed|deleted|processed)\b", re.IGNORECASE | re.MULTILINE
)


def _calendars(text: str) -> Form:
    notes: list[str] = []

    def write(source: str) -> str:
        read = calendar_text(source)
        notes.append(_INVITATIONS.get(read.method, "a calendar event"))
        return read.text

    return Form(_rewritten(text, "VCALENDAR", write), tuple(dict.fromkeys(notes)))


def _cards(text: str) -> Form:
    shown = _rewritten(text, "VCARD", lambda source: card_text(source).text)
    return Form(shown, ("a contact card",) if shown != text else ())


def _rewritten(text: str, component: str, write: Callable[[str], str]) -> str:
    """The text with every component of that name in it as `write` puts it; one that says nothing stays."""
    begin, end = f"BEGIN:{component}", f"END:{component}"
    kept: list[str] = []
    place = 0
    while (start := text.find(begin, place)) >= 0 and (stop := text.find(end, start)) >= 0:
        stop += len(end)
        kept += [text[place:start], write(text[start:stop]) or text[start:stop]]
        place = stop
    return "".join([*kept, text[place:]])


def _report(text: str) -> Form:
    notes: list[str] = []
    if _RECIPIENT.search(text):
        actions = dict.fromkeys(found[1].lower() for found in _ACTION.finditer(text))
        notes += [f"a report on delivery: {', '.join(actions)}"] if actions else []
        if shown := _DISPOSITION.search(text):
            notes.append(f"a receipt: {shown[1].lower()}")
    return Form(text, tuple(notes))


_BASE64_FIRST = re.compile(r"\s*[A-Za-z0-9+/]{60}")
_BASE64_LATER = re.compile(r"\n[> |\t]*[A-Za-z0-9+/]{60}")


def _any_of(*words: str) -> Callable[[str], bool]:
    return lambda text: any(word in text for word in words)


def _may_hold_data(text: str) -> bool:
    return bool(_BASE64_FIRST.match(text) or _BASE64_LATER.search(text)) or any(
        # A word of twice that length fills one of these slices.
        " " not in piece and "\n" not in piece
        for piece in (text[place : place + _SLICE] for place in range(0, len(text) - _SLICE + 1, _SLICE))
    )


_SLICE = _LONGEST_WORD // 2
_may_hold_blocks = _any_of("-----BEGIN ", "begin ", "=ybegin ")

_READERS: Final[Sequence[tuple[Callable[[str], bool], Callable[[str], Form]]]] = (
    (_any_of("Content-", "content-", "CONTENT-"), _mime),
    (_any_of("<"), _html),
    (_any_of("{\\rtf"), _rich_text),
    (lambda text: _may_hold_blocks(text) or _may_hold_data(text), _blocks),
    (_any_of("BEGIN:VCALENDAR"), _calendars),
    (_any_of("BEGIN:VCARD"), _cards),
    (_any_of("Final-Recipient", "Original-Recipient", "final-recipient"), _report),
)
"""How each form is read, in this order, and what tells at once that a text need not be looked at for it."""
