"""The first new words of a message, in one line: what it says, not how it greets or what its page is framed by."""

import re
from collections.abc import Iterator
from functools import lru_cache

from salesos_inbox.mail.kinds import speaks_of_subscription
from salesos_inbox.mail.unicode import one_line

_LOOKED_AT = 20_000
_LONGEST_GREETING = 60
_LONGEST_FRAME = 160
"""Longer lines are sentences, whatever they are about."""
_ADDRESSEE_WITHIN = 4
"""Lines: a Japanese letter names the firm and the department before the person."""

_GREETINGS = {
    "en": r"hi|hello|hey|dear|greetings|good (?:morning|afternoon|evening|day)|to whom it may concern",
    "de": r"hallo|guten (?:tag|morgen|abend)|liebe[rs]?|sehr geehrte[rs]?|werte[rs]?|moin(?: moin)?|servus|grüß gott|"
    r"grüezi",
    "fr": r"bonjour|bonsoir|salut|coucou|ch[eè]re?s?|madame|monsieur",
    "es": r"hola|buen[oa]s (?:d[ií]as|tardes|noches)|buenas|buen d[ií]a|estimad[oa]s?|querid[oa]s?|apreciad[oa]s?",
    "it": r"ciao|buongiorno|buonasera|salve|gentil[ei]|egregi[oa]|spettabile|car[oaie]",
    "pt": r"ol[áa]|oi|bom dia|boa (?:tarde|noite)|prezad[oa]s?|car[oa]s?|exm[oa]s?\.?",
    "nl": r"beste|geachte|hoi|dag|goede(?:morgen|middag|navond|ndag)|lieve",
    "sv": r"hej|hejsan|hallå|god (?:morgon|dag)|bästa|kära?",
    "da": r"hej|goddag|kære|godmorgen",
    "no": r"hei|heisann|kjære|god (?:morgen|dag|kveld)",
    "fi": r"hei|moi|terve|hyvää (?:päivää|huomenta|iltaa)|hyvä|arvoisa",
    "is": r"hæ|sæl[l]?|góðan dag(?:inn)?|kæri|kæra",
    "pl": r"cześć|dzień dobry|witam|witaj|szanown[aiy]|drog[ai]|hej",
    "cs": r"dobrý den|ahoj|vážen[ýáí]|milý|milá|dobré ráno",
    "hu": r"szia|sziasztok|kedves|tisztelt|üdv(?:özlöm)?|jó (?:reggelt|napot|estét)",
    "ro": r"bun[ăa](?: ziua| dimineața| seara)?|stimat[eă]|drag[ăe]?|salut(?:are)?",
    "tr": r"merhaba(?:lar)?|selam(?:lar)?|sayın|sevgili|değerli|günaydın|iyi (?:günler|akşamlar)",
    "el": r"γεια(?: σ(?:ας|ου))?|καλημέρα|καλησπέρα|αγαπητ\w+|αξιότιμ\w+",
    "ru": r"здравствуй(?:те)?|привет|добр(?:ый день|ое утро|ый вечер|ого времени суток)|уважаем\w+|дорог(?:ой|ая|ие)",
    "uk": r"вітаю|привіт|добр(?:ий день|ого дня|ий ранок)|шановн\w+|доброго ранку",
    "ar": r"مرحبا\w*|السلام عليكم|عزيز[يت]\w*|أهلا\w*|السيد\w*|صباح الخير|تحية طيبة",
    "fa": r"خانم|آقای|سلام|با سلام|درود|جناب آقای|سرکار خانم|وقت بخیر",
    "he": r"שלום|היי|הי|בוקר טוב|ערב טוב|לכבוד",
    "hi": r"नमस्ते|नमस्कार|प्रिय|आदरणीय",
    "vi": r"xin chào|chào|kính gửi|thân gửi",
    "id": r"halo|hai|yth\.?|selamat (?:pagi|siang|sore|malam)|kepada",
    "th": r"สวัสดี\S*|เรียน",
}
_GREETING = rf"(?:{'|'.join(_GREETINGS.values())})(?![^\W_])"
_TITLES = r"mr|mrs|ms|dr|prof|st|sr|sra|hr|fr|ing|mag|dipl|dott|sig|dhr|mevr|m"
_NAME = rf"(?:(?:{_TITLES})\.|[^\s,.!?:;،、，！]+)"
_GREETING_LINE = (
    rf"\W*{_GREETING}(?:(?:[\s,،]+{_NAME}){{0,6}}\s*[,!:،，！;–-]\W*|(?:\s+{_NAME}){{0,3}}\W*|،\s.{{1,20}})"
)
_GREETING_BEFORE = rf"\A{_GREETING}(?:\s+{_NAME}){{0,4}}\s*[,!:،，！]+\s+(?=\S)"
_NAME_ALONE = re.compile(r"[^\W\d_a-zа-я][\w.'’-]*(?: [^\W\d_a-zа-я][\w.'’-]*){0,2}[,!،，]")
_EAST_ASIAN_GREETING = (
    r".{1,30}(?:様|さん|さま|御中|各位|殿|先生)[、,，:：]?|(?:(?:いつも|大変|平素).{0,14})?お世話になっ\S{1,6}[。.]?|"
    r"お疲れ(?:様|さま)\S{0,6}|"
    r"(?:こんにちは|おはようございます|拝啓|はじめまして)[、。,!！]?|"
    r"(?:.{0,12}?(?:你好|您好|大家好)|尊敬的.{1,20}|亲爱的.{1,20}|親愛的.{1,20}|.{1,10}(?:先生|女士|小姐|经理|"
    r"老师))[,，:：!！。]?|"
    r"(?:안녕하세요|안녕하십니까)[,.!]?|.{1,20}(?:님|님께|귀하|고객님)[,.:]?(?: 안녕하세요[,.!]?)?"
)
_ADDRESSEE = re.compile(r".{1,30}(?:様|御中|各位|殿)[、,，]?")

_SENT_FROM = (
    r"(?:sent (?:from|via|with|by)|get (?=outlook|yahoo|proton)|(?:von mein\w+ .{0,20}|mit .{1,20} )?gesendet(?: von|"
    r" mit)?|"
    r"von meine[mr]|envoyé (?:de|depuis|à partir)|télécharge[zr]|obtenez|enviado (?:desde|do|da|de|pelo|a partir)|"
    r"inviato (?:da|con|dal)|verzonden (?:vanaf|met|vanuit)|skickat från|sendt fra|lähetetty|wysłane z|odesláno z|"
    r"trimis de|отправлено (?:с|из)|надіслано (?:з|із)|发自|發自|寄自|hol(?:en sie| dir))"
    r".{0,40}?(?:iphone|ipad|ios|android|samsung|galaxy|blackberry|mobile|mobil|handy|smartphone|outlook|yahoo|mail|"
    r"huawei|xiaomi|proton|telefon|teléfono).{0,40}"
    r"|.{0,20}(?:iphone|ipad|android)\w*(?:から送信|에서 보냄|'?d?[ae]?n? gönderildi|'?m?dan gönderildi)"
)
_FRAME = (
    r"-{3,}\s*(?:begin|end) pgp.*|hash: sha\d+|\W*(?:begin )?(?:forwarded|original) message\W*|"
    r"\W*weitergeleitete nachricht\W*|"
    r"(?:.{0,20}\bcid:\S+)|\[?(?:logo|banner|header|spacer|image|external|extern)\]?:?|\[external(?: e?-?mail|"
    r" sender)?\]\W*|"
    r"(?:caution|warning|attention)?:?\s*(?:this (?:is an |e?-?mail |message )?(?:external|"
    r"originated (?:from )?outside)).*|"
    r"advertisement|anzeige|publicité|publicidad|pubblicità|sponsored"
)
_ATTRIBUTION = (
    r".{1,200}?\b(?:wrote|writes|said|schrieb\w*|a écrit|escribió|ha scritto|escreveu|schreef|skrev|napisał\S*|pisze|"
    r"yazdı|написал\S*|"
    r"пишет)(?: in message .*)?\s*:|(?:on|am|le|el|il|em|op|den|dnia|в|\d{4}[年/.-]).{0,160}?(?:\d{4}|"
    r"\d{1,2}:\d\d).{0,80}:|quoting .*:"
)
_HEADER = (
    r"(?:url|from|to|cc|bcc|subject|sent|reply-to|forwarded[- ]by|von|an|betreff|gesendet|de|à|objet|envoyé|para|"
    r"asunto|enviado|da|a|"
    r"oggetto|inviato|assunto|van|aan|onderwerp|verzonden|från|till|ämne|od|do|temat|кому|от|тема|差出人|宛先|件名|"
    r"发件人|收件人|主题)\s?[:：]"
    r".{0,40}?(?:@|://).*|(?:date|datum|fecha|data|sent|gesendet|envoyé|дата|日付|日時|"
    r"日期)\s?:.{0,40}\d{1,2}:\d\d.*"
)
_OF_SOMEBODY = re.compile(
    r"\b(?:i|me|us|ich|mich|uns|je|moi|nous|yo|nos|io|noi|eu|mij|ons|mig|oss|mnie|nas|меня|нас|beni|bizi)\b",
    re.IGNORECASE,
)
"""Who asks to be taken off a list says so of themselves."""
_ISSUE = (
    r"(?:.{0,30}?\b)?(?:issue|no|nr|vol(?:ume)?|number|edition|ausgabe|num[ée]ro|núm|n°|numero|edición|edizione|"
    r"wydanie|выпуск|№|第)"
    r"\.?\s*#?\d{1,5}(?:号|期)?\b.{0,40}"
)
_DATE_WORD = (
    r"\d{1,4}(?:st|nd|rd|th|[.,])?|(?:mon|tue|wed|thu|fri|sat|sun)\w{0,6}|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|"
    r"nov|dec)\w{0,7}|"
    r"(?:mo|di|mi|do|fr|sa|so)(?:\.|\w*tag|ttwoch)?|mai|juni?|juli?|okt\w*|dez\w*|märz|(?:lun|mar|mer|jeu|ven|sam|"
    r"dim)\w*di|dimanche|"
    r"janvier|février|mars|avril|juin|juillet|août|\w+embre|octobre|enero|febrero|marzo|abril|mayo|junio|julio|"
    r"agosto|\w+iembre|"
    r"octubre|gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre|de|of|the|le|den|den|el|il|am|"
    r"pm|cet|gmt|utc|"
    r"est|pst|uhr|\d+(?:年|月|日)\S*|date|datum|fecha|data"
)
_PICTURE = re.compile(r"\[(?:image|img|cid)(?::[^\]\n]*)?\]", re.IGNORECASE)
_LINK_NUMBER = re.compile(r" ?\[\d{1,6}(?:: leads to [^\]\n]*)?\]")
_LINK_LINE = re.compile(r"\[\d{1,6}\] .*|<?(?:https?|hxxps?|www)[:.]\S*>?")
_BULLET = re.compile(r"\A(?:[-*•·»|>]+|\d{1,2}[.)])\s+")
_PARTED = re.compile(r"\s*(?:[|·•»›/]|\s-\s|\s{3,})\s*")
_LETTER = re.compile(r"[^\W\d_]")
_SENTENCE = re.compile(r"[.!?…。！？؟]")


@lru_cache
def _form(pattern: str) -> re.Pattern[str]:
    """Compile what lines are compared with when the first line is read, without regard to case."""
    return re.compile(pattern, re.IGNORECASE)


def first_words(text: str, limit: int) -> str:
    """Return the first words of `text` that say something, in one line of at most `limit` characters.

    Left out are greetings, pictures, links' numbers and their list, menus, dates and issues, what a phone appends, and
    what is about the mailing itself; where nothing else is there, what is there.
    """
    if limit <= 0:
        return ""
    lines = [line.strip() for line in text[:_LOOKED_AT].split("\n") if line.strip()]
    for wording in (_said(lines), _shown(lines), iter(lines)):
        if words := _taken(wording, limit):
            return words
    return ""


def _taken(wording: Iterator[str], limit: int) -> str:
    taken: list[str] = []
    length = 0
    for line in wording:
        taken.append(line)
        length += len(line) + 1
        if length > limit:
            break
    return one_line(" ".join(taken), limit)


def _said(lines: list[str]) -> Iterator[str]:
    """Yield the lines that say something, without what stands around their words."""
    addressee = [number for number, line in enumerate(lines[:_ADDRESSEE_WITHIN], 1) if _ADDRESSEE.fullmatch(line)]
    began = framed = False
    for line in lines[addressee[-1] if addressee else 0 :]:
        framed = _is_frame(line) or (framed and line[0].islower())
        if framed or line.startswith(">"):
            continue
        bare = _bare(line) if began else _after_greeting(_bare(line))
        if not _LETTER.search(bare):
            continue
        yield bare
        began = True


def _shown(lines: list[str]) -> Iterator[str]:
    return (bare for line in lines if not _LINK_LINE.fullmatch(line) and _LETTER.search(bare := _bare(line)))


def _bare(line: str) -> str:
    """The line without bullets, pictures and the numbers of links."""
    return _BULLET.sub("", _LINK_NUMBER.sub("", _PICTURE.sub("", line)).strip(), count=1).strip(" |*_#=~")


def _after_greeting(line: str) -> str:
    """What follows the salutations at the beginning of a line, of which there may be two ("Hi Tom, good morning")."""
    for _ in range(2):
        if _is_greeting(line):
            return ""
        line = _form(_GREETING_BEFORE).sub("", line)
    return line


def _is_greeting(line: str) -> bool:
    forms = (_GREETING_LINE, _EAST_ASIAN_GREETING)
    return len(line) <= _LONGEST_GREETING and (
        _NAME_ALONE.fullmatch(line) is not None or any(_form(form).fullmatch(line) for form in forms)
    )


def _is_frame(line: str) -> bool:
    """Whether a line is about the message rather than of it."""
    if _LINK_LINE.fullmatch(line):
        return True
    if len(line) > _LONGEST_FRAME:
        return False
    bare = _bare(line)
    return (
        any(_form(form).fullmatch(bare) for form in (_SENT_FROM, _FRAME, _ISSUE, _ATTRIBUTION, _HEADER))
        or (speaks_of_subscription(bare) and not _OF_SOMEBODY.search(bare))
        or _is_date(bare)
        or _is_menu(line)
    )


def _is_date(line: str) -> bool:
    words = re.split(r"[\s,|·/-]+", line)
    return any(character.isdigit() for character in line) and all(
        not word or _form(_DATE_WORD).fullmatch(word) or not _LETTER.search(word) for word in words
    )


def _is_menu(line: str) -> bool:
    """Whether a line is a row of short items to choose from, or nothing but a short link."""
    items = [item for item in _PARTED.split(_LINK_NUMBER.sub(" | ", _PICTURE.sub(" | ", line))) if _LETTER.search(item)]
    if not items or _SENTENCE.search(line.rstrip(".")) or any(len(item.split()) > 3 for item in items):
        return False
    links = len(_LINK_NUMBER.findall(line))
    return len(items) >= 3 or links >= len(items)
