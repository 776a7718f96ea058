"""What a reply says, apart from what it quotes.

Only a quote that ends a message is folded. Replies written between quoted lines stay whole, forwarded mail is
content, and a message never becomes empty: where it is not sure, the text stays.
"""

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from salesos_inbox.mail.nesting import bearable

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_LONGEST_LINE = 400
_ATTRIBUTION_LINES = 3
_HEADER_LINES = 12

_ADDRESS = re.compile(r"<[^<>\s]*@[^<>]*>")
_DIGIT = re.compile(r"\d")
_ATTRIBUTIONS = {
    "en": r"On\s.*\d.*\swrote|.*<@>\s+(wrote|writes)(\son\s.*\d.*)?|In message <@>.*wrote",
    "de": r"Am\s.*\d.*\sschrieb\b.*|.*<@>\s+(schrieb|hat\s.*geschrieben)",
    "fr": r"Le\s.*\d.*\sa\s+écrit",
    "es": r"El\s.*\d.*\sescribió",
    "it": r"(Il|In data)\s.*\d.*\sha\s+scritto",
    "pt": r"(Em|No dia|A|Na)\s.*\d.*\sescreveu",
    "nl": r"Op\s.*\d.*\s(schreef\b.*|heeft\s.*geschreven)",
    "sv": r"(Den|På)\s.*\d.*\sskrev\b.*",
    "da": r"(Den|På)\s.*\d.*\sskrev\b.*",
    "pl": r"(W dniu\s|Dnia\s|\w+\.?,\s).*\d.*\s(napisał|pisze).*|.*<@>\s+napisał(\(a\)|a)?",
    "ja": r"\d{4}年\d{1,2}月\d{1,2}日.*",
    "tr": r".*\d.*\starihinde\s.*(yazdı|yazmış)",
    "ru": r".*\d.*\s(написал|написала|написал\(а\)|пишет|писал|писала)",
    "any": r".*\d{1,2}:\d\d.*<@>",
}
_ATTRIBUTION = re.compile(
    rf"\W{{0,3}}(?:{'|'.join(f'(?:{form})' for form in _ATTRIBUTIONS.values())})\s*[:：]\s*", re.DOTALL
)

_HINT = re.compile(
    "wrote|writes|schrieb|geschrieben|écrit|escribió|scritto|escreveu|schreef|geschreven|skrev|napisał|pisze|tarihinde|"
    "написал|пишет|писал|年|<@>"
)
"""What every attribution holds: looked for first, because most lines hold none of it."""
_CERTAIN = re.compile(r"<\S+@\S+>|\d:\d\d|@\S+\.\w")
"""What an attribution holds that nobody writes in a sentence of their own."""

_ORIGINALS = {
    "en": "Original Message|Original Appointment|Reply Message",
    "de": "Ursprüngliche Nachricht|Originalnachricht|Original-Nachricht",
    "fr": "Message d[’']origine|Message original|Message initial",
    "es": "Mensaje original",
    "it": "Messaggio originale",
    "pt": "Mensagem original",
    "nl": "Oorspronkelijk bericht|Originele bericht",
    "sv": "Ursprungligt meddelande|Originalmeddelande",
    "da": "Oprindelig meddelelse",
    "pl": "Oryginalna wiadomość|Wiadomość oryginalna",
    "ja": "元のメッセージ|オリジナルメッセージ",
    "tr": "Orijinal İleti|Özgün ileti|Orijinal Mesaj",
    "ru": "Исходное сообщение|Оригинальное сообщение|Пересылаемое письмо",
}
_ORIGINAL = re.compile(rf"\s*-{{2,}}\s*(?:{'|'.join(_ORIGINALS.values())})\s*-{{2,}}\s*", re.IGNORECASE)

_FORWARDS = {
    "en": "Forwarded message|Begin forwarded message|Forwarded by .*",
    "de": "Weitergeleitete Nachricht|Anfang der weitergeleiteten Nachricht|Forwarded Message",
    "fr": "Message transféré|Forwarded message|Début du message réexpédié|Message réexpédié",
    "es": "Mensaje reenviado|Inicio del mensaje reenviado",
    "it": "Messaggio inoltrato|Inizio messaggio inoltrato",
    "pt": "Mensagem encaminhada|Mensagem reencaminhada",
    "nl": "Doorgestuurd bericht|Begin doorgestuurd bericht",
    "sv": "Vidarebefordrat meddelande|Vidarebefordrat brev",
    "da": "Videresendt meddelelse|Videresendt besked",
    "pl": "Przekazana wiadomość|Wiadomość przekazana dalej",
    "ja": "転送メッセージ|転送されたメッセージ",
    "tr": "İletilen ileti|Yönlendirilen ileti|İletilmiş mesaj",
    "ru": "Пересылаемое сообщение|Переадресованное сообщение|Начало переадресованного сообщения",
}
_FORWARD = re.compile(rf"\s*>?\s*-*\s*(?:{'|'.join(_FORWARDS.values())})\s*(?:-+|:)\s*", re.IGNORECASE)

_HEADERS = {
    "from": "From|Von|De|Da|Van|Från|Fra|Od|差出人|送信者|Kimden|Gönderen|От|От кого",
    "sent": "Sent|Gesendet|Envoyé|Enviado|Enviada|Inviato|Verzonden|Skickat|Sendt|Wysłano|送信日時|Gönderilme|"
    "Gönderildi|Отправлено",
    "date": "Date|Datum|Fecha|Data|Dato|日付|日時|Tarih|Дата",
    "to": "To|An|À|Para|A|Aan|Till|Til|Do|宛先|Kime|Alıcı|Кому",
    "subject": "Subject|Betreff|Objet|Asunto|Oggetto|Assunto|Onderwerp|Ämne|Emne|Temat|件名|Konu|Тема",
}
_HEADER = re.compile(
    rf"[>\s*_]*(?:{'|'.join(f'(?P<{role}>{labels})' for role, labels in _HEADERS.items())})[*_\s]*[:：].*",
    re.IGNORECASE,
)
_LINE_OF_MARKS = re.compile(r"\s*(?:_{5,}|-{3,}|\*{3,})\s*")

_WHOLE_QUOTES = (
    ".gmail_quote, blockquote[type=cite], .yahoo_quoted, .protonmail_quote, .moz-cite-prefix, .moz-forward-container, "
    "#OLK_SRC_BODY_SECTION, .gmail_attr, .zmail_extra, .tutanota_quote, blockquote.ms-outlook-mobile-reference-message"
)
_STARTS_OF_QUOTES = (
    "#divRplyFwdMsg, #appendonsend, .OutlookMessageHeader, #stopSpelling, #zwchr, #x_divRplyFwdMsg, "
    "#mail-editor-reference-message-container, "
    "div[style*='border-top:solid #E1E1E1'], div[style*='border-top:solid #B5C4DF'], "
    "div[style*='border-top: solid #E1E1E1'], div[style*='border-top-color: rgb(229, 229, 229)']"
)


@dataclass(frozen=True)
class SplitText:
    """What is new in a text, and the quote that follows it. With a quote, `new + "\\n" + quoted` is the text."""

    new: str
    quoted: str


def split_quoted(text: str) -> SplitText:
    """Part the quoted mail at the end of a plain text from what was written above it."""
    lines = text.split("\n")
    quoted = [number for number, line in enumerate(lines) if line.startswith(">")]
    written = [number for number, line in enumerate(lines) if line.strip() and not line.startswith(">")]
    ending = quoted[0] if quoted and written and quoted[0] > written[-1] else None
    limit = next((number for number, line in enumerate(lines) if _matches(_FORWARD, line)), len(lines))
    for start in written[1:]:
        if start >= limit:
            break
        if _starts_unmarked(lines, start) or _is_attribution(lines, start, ending, marked=bool(quoted)):
            return _parted(lines, start)
    return _parted(lines, ending) if ending is not None and ending < limit else SplitText(text, "")


def split_quoted_html(html: str) -> tuple[str, str]:
    """Part HTML at the quote that mail programs mark: the HTML without it, and the quote in its styles.

    Nothing is parted where the writer's text follows the quote, where nothing stands before it, or where it is
    forwarded. Never raises.
    """
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(bearable(html.encode("utf-8", "replace").decode()))
    found = tree.css_first(f"{_WHOLE_QUOTES}, {_STARTS_OF_QUOTES}")
    if found is None or tree.body is None:
        return html, ""
    starts = found.css_matches(_STARTS_OF_QUOTES)
    levels = _following(found)
    after = [node for level in levels for node in level]
    if not starts and _is_written(after):
        return html, ""
    taken = [found, *after]
    if _matches(_FORWARD, _first_line("\n".join(node.text(separator="\n") for node in taken[:2]))):
        return html, ""
    quoted = "".join(node.html or "" for node in tree.css("style")) + _within_ancestors(found, levels)
    for node in taken:
        node.decompose()
    if not tree.body.text().strip() and tree.body.css_first("img") is None:
        return html, ""
    return tree.html or "", quoted


def _matches(pattern: re.Pattern[str], line: str) -> bool:
    return len(line) <= _LONGEST_LINE and pattern.fullmatch(line) is not None


def _parted(lines: list[str], start: int) -> SplitText:
    return SplitText("\n".join(lines[:start]), "\n".join(lines[start:]))


def _starts_unmarked(lines: list[str], start: int) -> bool:
    """Whether a line begins a quote whose lines have no mark, as Outlook writes it."""
    if _matches(_ORIGINAL, lines[start]) or _is_header_block(lines, start):
        return True
    if not _matches(_LINE_OF_MARKS, lines[start]):
        return False
    following = next((number for number in range(start + 1, min(start + 4, len(lines))) if lines[number].strip()), None)
    return following is not None and _is_header_block(lines, following)


def _is_header_block(lines: list[str], start: int) -> bool:
    """Whether the headers of a mail stand here: who, to whom or when, and what marks them as a mail's."""
    if not _HEADER.fullmatch(lines[start][:_LONGEST_LINE]):
        return False
    roles: set[str | None] = set()
    block: list[str] = []
    for line in lines[start : start + _HEADER_LINES]:
        if not line.strip():
            break
        block.append(line)
        header = _HEADER.fullmatch(line[:_LONGEST_LINE])
        roles.add(header.lastgroup if header else None)
    certain = roles & {"sent", "subject"} or "@" in "".join(block)
    return "from" in roles and len(roles - {None}) >= 3 and bool(certain)


def _is_attribution(lines: list[str], start: int, ending: int | None, *, marked: bool) -> bool:
    """Whether a sentence such as "On Monday, Ann wrote:" stands here and introduces the quote that ends the text."""
    end = _end_of_attribution(lines, start)
    if end is None:
        return False
    begins_below = _end_of_attribution(lines, start + 1) == end
    if begins_below and (_is_dated(lines[start + 1]) or not _is_dated(lines[start])):
        return False
    rest = range(end, len(lines) if ending is None else ending)
    if not any(lines[number].strip() for number in rest):
        return True
    return not marked and _CERTAIN.search(" ".join(lines[start:end])) is not None


def _is_dated(line: str) -> bool:
    return _DIGIT.search(_ADDRESS.sub("", line)) is not None


def _end_of_attribution(lines: list[str], start: int) -> int | None:
    sentence = ""
    for end in range(start + 1, min(start + _ATTRIBUTION_LINES, len(lines)) + 1):
        if not lines[end - 1].strip():
            break
        sentence = f"{sentence} {lines[end - 1].strip()}".strip()
        if not sentence.endswith((":", "：")) or len(sentence) > _LONGEST_LINE:
            continue
        form = _ADDRESS.sub("<@>", sentence)
        if _HINT.search(form) and _ATTRIBUTION.fullmatch(form):
            return end
    return None


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].strip()


def _following(node: "LexborNode") -> list[list["LexborNode"]]:
    """What comes after a node within its parent, then after the parent within its own, up to the body."""
    levels: list[list[LexborNode]] = []
    here: LexborNode | None = node
    while here is not None and here.tag not in ("body", "html"):
        level: list[LexborNode] = []
        sibling = here.next
        while sibling is not None:
            level.append(sibling)
            sibling = sibling.next
        levels.append(level)
        here = here.parent
    return levels


def _is_written(nodes: list["LexborNode"]) -> bool:
    """Whether any of the nodes holds text outside of quotes."""
    for node in nodes:
        if node.is_element_node:
            quotes = [quote.text() for quote in node.css(_WHOLE_QUOTES)]
            if node.css_matches(_WHOLE_QUOTES) or len(node.text().strip()) <= sum(map(len, quotes)):
                continue
        if node.text().strip():
            return True
    return False


def _within_ancestors(node: "LexborNode", levels: list[list["LexborNode"]]) -> str:
    """The HTML of the node and what follows, inside the start tags around them, so that what was hidden stays so."""
    html: str = node.html or ""
    ancestor = node.parent
    for level in levels:
        for sibling in level:
            html += sibling.html or ""
        if ancestor is not None and ancestor.tag != "html":
            attributes = [f' {name}="{escape(value or "")}"' for name, value in ancestor.attributes.items()]
            html = f"<{ancestor.tag}{''.join(attributes)}>{html}</{ancestor.tag}>"
            ancestor = ancestor.parent
    return html
