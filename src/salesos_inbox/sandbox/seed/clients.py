"""How mail clients put a message: their markup, their signatures, and how they quote the one before. Pure."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime
from html import escape
from itertools import groupby
from typing import Final

from salesos_inbox.sandbox.seed.script import Person

WROTE: Final = "{{wrote}}"
"""Stands in a body for the line that says who wrote what is quoted below it."""

_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")

_WEEKDAYS: Final = {
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "de": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    "es": "lun mar mié jue vie sáb dom",
    "fa": "دوشنبه سه‌شنبه چهارشنبه پنجشنبه جمعه شنبه یکشنبه",
    "fr": "lun. mar. mer. jeu. ven. sam. dim.",
    "ja": "月 火 水 木 金 土 日",
    "pl": "pon. wt. śr. czw. pt. sob. niedz.",
}
_MONTHS: Final = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "es": "ene feb mar abr may jun jul ago sept oct nov dic",
    "fa": "ژانویه فوریه مارس آوریل مه ژوئن ژوئیه اوت سپتامبر اکتبر نوامبر دسامبر",
    "fr": "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
    "ja": "1 2 3 4 5 6 7 8 9 10 11 12",
    "pl": "sty lut mar kwi maj cze lip sie wrz paź lis gru",
}
_DATE: Final = {
    "en": "{weekday}, {day} {month}",
    "de": "{weekday}, {day}. {month}",
    "ja": "{month}月{day}日({weekday})",
}
_GMAIL_WROTE: Final = {
    "en": "On {weekday:.3}, {month:.3} {day}, {year} at {clock12} {name} <{address}> wrote:",
    "es": "El {weekday}, {day} {month} {year} a las {clock}, {name} (<{address}>) escribió:",
    "fa": "در تاریخ {weekday} {day} {month} {year} ساعت {clock} {name} <{address}> نوشت:",
    "pl": "{weekday}, {day} {month} {year} o {clock} {name} <{address}> napisał(a):",
}
_APPLE_WROTE: Final = {
    "en": "On {day}. {month:.3} {year}, at {clock}, {name} <{address}> wrote:",
    "fr": "Le {day} {month} {year} à {clock}, {name} <{address}> a écrit :",
}
_PLAIN_WROTE: Final = {"en": "On {day} {month} {year} {clock}, {name} wrote:"}
_OUTLOOK_SENT: Final = {
    "en": "{weekday}, {month} {day}, {year} {clock12}",
    "de": "{weekday}, {day}. {month} {year} {clock}",
    "ja": "{year}年{month}月{day}日 {clock}",
}
_OUTLOOK_LABELS: Final = {
    "en": ("From", "Sent", "To", "Cc", "Subject"),
    "de": ("Von", "Gesendet", "An", "Cc", "Betreff"),
    "ja": ("差出人", "送信日時", "宛先", "CC", "件名"),
}

_OUTLOOK_DOCUMENT: Final = """\
<html xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" \
xmlns:w="urn:schemas-microsoft-com:office:word">
<head>
<meta http-equiv="Content-Type" content="text/html; charset=utf-8">
<meta name="Generator" content="Microsoft Word 15 (filtered medium)">
<style><!--
@font-face {{font-family:"Cambria Math"; panose-1:2 4 5 3 5 4 6 3 2 4;}}
@font-face {{font-family:Aptos; panose-1:2 11 0 4 2 2 2 2 2 4;}}
p.MsoNormal, li.MsoNormal, div.MsoNormal {{margin:0cm; font-size:11.0pt; font-family:"Aptos",sans-serif;}}
a:link, span.MsoHyperlink {{mso-style-priority:99; color:#467886; text-decoration:underline;}}
span.EmailStyle19 {{mso-style-type:personal-reply; font-family:"Aptos",sans-serif; color:windowtext;}}
.MsoChpDefault {{mso-style-type:export-only; font-size:10.0pt;}}
@page WordSection1 {{size:612.0pt 792.0pt; margin:70.85pt 70.85pt 2.0cm 70.85pt;}}
div.WordSection1 {{page:WordSection1;}}
--></style><!--[if gte mso 9]><xml><o:shapedefaults v:ext="edit" spidmax="1026" /></xml><![endif]-->
</head>
<body lang="{language}" link="#467886" vlink="#96607D" style="word-wrap:break-word">
<div class="WordSection1">
{fragment}
</div>
</body>
</html>"""
_APPLE_DOCUMENT: Final = """\
<html><head><meta http-equiv="content-type" content="text/html; charset=utf-8"></head>\
<body style="overflow-wrap: break-word; -webkit-nbsp-mode: space; line-break: after-white-space;">\
{fragment}</body></html>"""
_MOBILE_DOCUMENT: Final = """\
<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body>{fragment}</body></html>"""
_GMAIL_QUOTE: Final = (
    '<blockquote class="gmail_quote" style="margin:0px 0px 0px 0.8ex;border-left:1px solid rgb(204,204,204);'
    'padding-left:1ex">{}</blockquote>'
)


@dataclass(frozen=True)
class Envelope:
    """Who writes what to whom, and when (on the wall clock of Berlin)."""

    sender: Person
    at: datetime
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    subject: str


@dataclass(frozen=True)
class Letter:
    """A message as its client wrote it. `fragment` is what the next client quotes of the HTML."""

    envelope: Envelope
    text: str
    html: str | None
    fragment: str


def spoken_date(day: date, language: str = "en") -> str:
    """Return `day` as a person would write it in a sentence: "Tuesday, 24 November"."""
    return _DATE[language].format(weekday=_weekday(day, language), month=_month(day, language), day=day.day)


def write(envelope: Envelope, body: str, quoted: Letter | None, answered: Letter | None) -> Letter:
    """Write a message as its sender's client does: the body, the signature, then `quoted`.

    A body that quotes by itself names the writer of `answered` where it has `{{wrote}}`.
    """
    wrote = _wrote(envelope.sender, answered.envelope) if answered else ""
    match envelope.sender.client:
        case "gmail":
            fragment = _gmail(envelope.sender, body, wrote, quoted)
            html = fragment
        case "outlook":
            fragment = _outlook(envelope.sender, body, quoted)
            html = _OUTLOOK_DOCUMENT.format(language=envelope.sender.language.upper(), fragment=fragment)
        case "outlook-mobile":
            fragment = _outlook_mobile(envelope.sender, body, quoted)
            html = _MOBILE_DOCUMENT.format(fragment=fragment)
        case "apple":
            fragment = _apple(envelope.sender, body, wrote, quoted)
            html = _APPLE_DOCUMENT.format(fragment=fragment)
        case "plain":
            text = _text(envelope.sender, body, wrote, quoted)
            return Letter(envelope, text, None, _lines(text))
    return Letter(envelope, _text(envelope.sender, body, wrote, quoted), html, fragment)


def _text(sender: Person, body: str, wrote: str, quoted: Letter | None) -> str:
    parts = [body.replace(WROTE, wrote)]
    match sender.client:
        case "outlook-mobile":
            parts.append("Get Outlook for iOS<https://outlook-mobile.example/ios>")
        case "gmail" | "plain" if sender.signature:
            parts.append(f"-- \n{sender.signature}")
        case _ if sender.signature:
            parts.append(sender.signature)
        case _:
            pass
    if quoted and sender.client.startswith("outlook"):
        rule = "________________________________\n" if sender.client == "outlook-mobile" else ""
        labels = "\n".join(f"{label}: {value}" for label, value in _outlook_header(sender, quoted.envelope))
        parts.append(f"{rule}{labels}\n\n{quoted.text}")
    elif quoted:
        lines = (f">{line}" if line.startswith(">") else f"> {line}".rstrip() for line in quoted.text.splitlines())
        parts.append(wrote + "\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _gmail(sender: Person, body: str, wrote: str, quoted: Letter | None) -> str:
    attribution = f'<div class="gmail_quote"><div dir="ltr" class="gmail_attr">{_inline(wrote)}<br></div></div>'
    blocks: list[str] = []
    for is_quote, lines in groupby(body.splitlines(), key=lambda line: line.startswith(">")):
        if is_quote:
            blocks.append(_GMAIL_QUOTE.format("<br>".join(_inline(line.lstrip("> ")) for line in lines)))
        else:
            blocks += [attribution if line == WROTE else f"<div>{_inline(line) or '<br>'}</div>" for line in lines]
    if sender.signature:
        blocks.append(
            '<div><br></div><span class="gmail_signature_prefix">-- </span><br>'
            f'<div dir="ltr" class="gmail_signature" data-smartmail="gmail_signature">{_lines(sender.signature)}</div>'
        )
    written = f'<div dir="{_direction(body)}">{"".join(blocks)}</div>'
    if not quoted:
        return written
    return (
        f'{written}<br><div class="gmail_quote gmail_quote_container">'
        f'<div dir="{_direction(wrote)}" class="gmail_attr">{_inline(wrote)}<br></div>'
        f"{_GMAIL_QUOTE.format(quoted.fragment)}</div>"
    )


def _outlook(sender: Person, body: str, quoted: Letter | None) -> str:
    lines = body.splitlines()
    if sender.signature:
        lines += ["", *sender.signature.splitlines()]
    written = "\n".join(f'<p class="MsoNormal">{_inline(line) or "&nbsp;"}<o:p></o:p></p>' for line in lines)
    if not quoted:
        return written
    header = "<br>\n".join(
        f"<b>{label}:</b> {_inline(value)}" for label, value in _outlook_header(sender, quoted.envelope)
    )
    return (
        f'{written}\n<p class="MsoNormal"><o:p>&nbsp;</o:p></p>\n'
        '<div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm">\n'
        f'<p class="MsoNormal">{header}<o:p></o:p></p>\n</div>\n'
        f'<p class="MsoNormal"><o:p>&nbsp;</o:p></p>\n{quoted.fragment}'
    )


def _outlook_mobile(sender: Person, body: str, quoted: Letter | None) -> str:
    lines = "".join(f'<div dir="ltr">{_inline(line) or "<br>"}</div>' for line in body.splitlines())
    written = (
        f'<div style="font-family: Aptos, Aptos_MSFontService, sans-serif; font-size: 12pt">{lines}</div>'
        '<div id="ms-outlook-mobile-body-separator-line" dir="ltr"><br></div><div id="ms-outlook-mobile-signature">'
        'Get <a href="https://outlook-mobile.example/ios">Outlook for iOS</a></div>'
    )
    if not quoted:
        return written
    header = "<br>".join(
        f"<b>{label}:</b> {_inline(value)}" for label, value in _outlook_header(sender, quoted.envelope)
    )
    return (
        f'{written}<div id="mail-editor-reference-message-container">'
        '<hr style="display: inline-block; width: 98%;" tabindex="-1"><div id="divRplyFwdMsg" dir="ltr">'
        f'<font face="Calibri, sans-serif" style="font-size: 11pt" color="#000000">{header}</font>'
        f"<div>&nbsp;</div></div>{quoted.fragment}</div>"
    )


def _apple(sender: Person, body: str, wrote: str, quoted: Letter | None) -> str:
    lines = body.splitlines()
    if sender.signature:
        lines += ["", *sender.signature.splitlines()]
    written = "".join(f"<div>{_inline(line) or '<br>'}</div>" for line in lines)
    if not quoted:
        return written
    return (
        f'{written}<br id="lineBreakAtBeginningOfMessage"><div><br><blockquote type="cite"><div>{_inline(wrote)}</div>'
        f'<br class="Apple-interchange-newline"><div>{quoted.fragment}</div></blockquote></div><br>'
    )


def _wrote(reader: Person, letter: Envelope) -> str:
    language = reader.language
    phrases = {"gmail": _GMAIL_WROTE, "apple": _APPLE_WROTE}.get(reader.client, _PLAIN_WROTE)
    if language not in phrases:
        language = "en"
    return phrases[language].format(
        **_fields(letter.at, language), name=letter.sender.name, address=letter.sender.address
    )


def _outlook_header(reader: Person, letter: Envelope) -> list[tuple[str, str]]:
    sent = _OUTLOOK_SENT[reader.language].format(**_fields(letter.at, reader.language))
    to, cc = ("; ".join(f"{person.name} <{person.address}>" for person in people) for people in (letter.to, letter.cc))
    sender = f"{letter.sender.name} <{letter.sender.address}>"
    pairs = zip(_OUTLOOK_LABELS[reader.language], (sender, sent, to, cc, letter.subject), strict=True)
    return [(label, value) for label, value in pairs if value]


def _fields(at: datetime, language: str) -> dict[str, str]:
    return {
        "weekday": _weekday(at, language),
        "day": str(at.day),
        "month": _month(at, language),
        "year": str(at.year),
        "clock": f"{at:%H:%M}",
        "clock12": f"{at.hour % 12 or 12}:{at:%M} {'AM' if at.hour < 12 else 'PM'}",
    }


def _weekday(day: date, language: str) -> str:
    return _WEEKDAYS[language].split()[day.weekday()]


def _month(day: date, language: str) -> str:
    return _MONTHS[language].split()[day.month - 1]


def _inline(line: str) -> str:
    return _ADDRESS.sub(r'<a href="mailto:\g<0>">\g<0></a>', escape(line, quote=False))


def _lines(text: str) -> str:
    return "<br>\n".join(_inline(line) for line in text.splitlines())


def _direction(text: str) -> str:
    letters = (unicodedata.bidirectional(char) for char in text)
    return "rtl" if next((kind for kind in letters if kind in {"L", "R", "AL"}), "L") != "L" else "ltr"
