"""The signature at the end of a message: who wrote it and how to reach them, which is the same every time.

Delimiters, lines that mobile programs add, footers of mailing lists, legal notices, and contact lines under a closing.
A signature is parted only where it is certain: a name and a greeting stay with the text, and so does any sentence.
"""

import re

_TAIL_LINES = 80
_LONGEST_LINE = 400
_LINES_UNDER = {"exact": 30, "bare": 12}
_LONGEST_CONTACT = 70
_CONTACT_LINES = 12
_NOTICE_WORDS = 2
_ROUNDS = 6

_EXACT_DELIMITER = re.compile(r"(?:- )?-- ")
_BARE_DELIMITER = re.compile(r"\s*(?:--|—|–|__|\*\*|–-|—-)\s*")

_DEVICE = (
    r"(?:i ?phon\w*|i ?pad|i ?pod|android|galaxy|samsung|huawei|honor|xiaomi|redmi|poco|pixel|nokia|lumia|oneplus|"
    r"oppo|vivo|"
    r"htc|sony|xperia|motorola|moto|blackberry|nexus|mobile|mobil\w*|handy|phone|smart ?phone|telefon\w*|tel[eé]fono|"
    r"t[eé]l[eé]phone|portable|cellulare|celular|telemóvel|dispositivo|appareil|cihaz\w*|tablet|ger[aä]t|toestel|"
    r"apparaat|"
    r"outlook|gmail|mail for windows|apple mail|yahoo|aol|proton ?mail|spark|airmail|fairemail|k-9|boxer|acompli|"
    r"windows|verizon|t-mobile|"
    r"at&t|superhuman|polymail|newton|canary|hey|fastmail|zoho|mailspring|tutanota|gmx|web\.de|bluemail|edison|nine|"
    r"mac|"
    r"macbook|apple watch|почт\w+|яндекс\S*|телефон\w*|устройств\w*|айфон\w*|手机|行動|스마트폰)"
)
_SENT_FROM = {
    "en": r"(?:sent|typed|written) (?:from|on|via|with) (?:my|a) .*|"
    rf"(?:sent|posted|delivered) (?:from|via|with|using|by) (?:the )?(?:new )?{_DEVICE}\b.*|"
    r"sent (?:from|via|with|using) \S+(?: \S+)?\s*[<(]https?:\S+[>)]|"
    rf"get outlook for (?:ios|android|mac)\b.*|from my {_DEVICE}.*",
    "de": rf"(?:von|mit) (?:meine[mr]|unterwegs).*(?:gesendet|geschickt|geschrieben).*|"
    rf"gesendet (?:von|mit|über|aus).*{_DEVICE}.*|diese nachricht wurde von .* gesendet.*|outlook für (?:ios|"
    rf"android).*",
    "fr": rf"envoyé[es]? (?:depuis|de|à partir de|avec|via|par).*{_DEVICE}.*|(?:obtenez|télécharger) outlook pour .*",
    "es": rf"enviado (?:desde|con|por|vía).*{_DEVICE}.*|obtener outlook para .*",
    "it": rf"inviato (?:da|con|dal|tramite).*{_DEVICE}.*|(?:ottieni|scarica) outlook per .*",
    "pt": rf"enviad[oa] (?:do|da|de|a partir d[oe]|pelo|via|com).*{_DEVICE}.*|(?:obter o|obtenha o) outlook para .*",
    "nl": rf"(?:verzonden|verstuurd) (?:vanaf|van|met|via|vanuit).*{_DEVICE}.*|(?:outlook voor|download outlook) .*",
    "sv": rf"skickat från .*{_DEVICE}.*|hämta outlook för .*",
    "da": rf"sendt fra .*{_DEVICE}.*|hent outlook (?:til|for) .*",
    "fi": rf"lähetetty .*{_DEVICE}.*|hanki outlook .*",
    "pl": rf"wysłan[eoya] (?:z|ze|przy|za pomocą).*{_DEVICE}.*|pobierz (?:aplikację )?outlook dla .*",
    "cs": rf"odesláno (?:z|ze|pomocí).*{_DEVICE}.*|(?:získat|stáhnout) outlook pro .*|odoslané z .*{_DEVICE}.*",
    "ro": rf"trimis (?:de pe|din|cu).*{_DEVICE}.*|obțineți outlook pentru .*",
    "hu": rf"(?=.* küldve).*{_DEVICE}.* küldve.*|az outlook .* beszerzése.*",
    "ru": rf"отправлено (?:с|из|от).*{_DEVICE}.*|отправлено с iphone.*",
    "uk": rf"надіслано (?:з|із|від).*{_DEVICE}.*",
    "tr": rf"(?=.*gönderil).*{_DEVICE}.*(?:gönderildi|gönderilmiştir).*|(?:ios|android) için outlook.*",
    "el": rf"στάλθηκε από .*{_DEVICE}.*",
    "ja": r"(?:iphone|ipad|android).{0,12}から送信.*|.{0,24}から送信(?:しています|されました)?",
    "zh": r"(?:发自|發自|从我的|從我的|来自我的|傳送自|发送自).{1,40}",
    "ko": r"(?:나의 |내 )?\S{1,20}(?:에서|으로) 보냄.*|\S{1,20}에서 보낸 메일.*",
    "he": rf"נשלח מ.*{_DEVICE}.*|נשלח מה-?iphone.*",
    "ar": r"(?:مرسل|أرسلت|تم الإرسال|أُرسلت) من .{1,40}",
    "vi": rf"(?:đã )?gửi từ .*{_DEVICE}.*",
    "id": rf"dikirim dari .*{_DEVICE}.*",
}
_ADDED_LINE = re.compile(rf"[\s\[(<*]*(?:{'|'.join(_SENT_FROM.values())})[\s\])>.*]*(?:\[\d+\])?", re.IGNORECASE)
_LONGEST_ADDED_LINE = 90

_FOOTER_RULE = re.compile(
    r"\s*(?:_{20,}|-{20,}|={20,}|\*{20,}|~{20,}|-~-~.*|--~--~.*|-{6,} ?yahoo! groups.*)\s*", re.IGNORECASE
)
_FOOTER_WORDS = re.compile(
    r"mailing[ -]list|mailman|listinfo|unsubscribe|list archives?|lists?\.\S+\.\w|subscribe to|google groups|"
    r"yahoo! groups|"
    r"yahoogroups|groups\.google|this sf\.net email|sponsored by|\babmelden\b|désabonn|listserv|majordomo|opt[- ]out",
    re.IGNORECASE,
)
_FOOTER_LINES = 14
_ADDRESS_OF_A_LIST = re.compile(r"\s*<?https?:\S+(?:listinfo|mailman)\S*\s*", re.IGNORECASE)

_NOTICE_OPENINGS = re.compile(
    r"[\s*_>#=~-]*(?:(?:confidential|privacy|legal|email|e-mail|important)\w*[\s-]+(?:notice|note|statement|"
    r"disclaimer|warning)|"
    r"disclaimer|confidential(?:ity)?\b|privileged|notice:|"
    r"th(?:is|e) (?:e-?mail|message|communication|transmission|information|electronic|document|content)|"
    r"the contents? of this|if you (?:are not|have received)|any (?:views|opinions)|"
    r"diese (?:e-?mail|nachricht|mail)|der inhalt dieser|vertraulich|haftungsausschluss|"
    r"ce (?:message|courriel|mail)|le contenu de ce|ce courrier|avis de confidentialité|"
    r"este (?:mensaje|correo|e-?mail|documento)|aviso (?:legal|de confidencialidad)|la información contenida|"
    r"questo (?:messaggio|documento)|questa (?:e-?mail|comunicazione)|le informazioni contenute|il presente messaggio|"
    r"esta mensagem|este e-?mail|a informação contida|aviso de confidencialidade|"
    r"dit (?:bericht|e-?mail)|deze (?:e-?mail|boodschap)|de informatie in|"
    r"detta (?:meddelande|e-?post)|denne (?:e-?mail|meddelelse|e-?post|melding)|"
    r"(?:niniejsza|ta) wiadomość|treść (?:tej|niniejszej)|данное (?:сообщение|электронное)|это (?:сообщение|"
    r"электронное)|"
    r"bu (?:e-?posta|mesaj|ileti)|this footnote)",
    re.IGNORECASE,
)
_NOTICE = re.compile(
    r"(confidential|vertraulich|confidentiel|confidencia|riservat|confidenzial|vertrouwelijk|konfidentiell|fortrolig|"
    r"poufn|"
    r"конфиденциальн|gizli)|(intended|bestimmt|destinat|dirigid|bestemd|avsed|tiltænkt|przeznaczon|предназначен)|"
    r"(recipient|addressee|empfänger|adressat|ontvanger|mottagar|modtager|adresat|адресат|получател)|"
    r"(unauthori[sz]ed|unbefugt|non autoris|no autoriza|non autorizz|prohibited|forbidden|interdit|prohibid|vietat|"
    r"nicht gestattet|"
    r"verboten|запрещ)|(in error|by mistake|irrtümlich|par erreur|por error|per errore|por engano|abusievelijk|"
    r"по ошибке|yanlışlıkla)|"
    r"(disclos|dissemin|distribut|weitergabe|divulg|difus|diffus|verspreid)|"
    r"(delete|destroy|vernichten|löschen|détruire|borr|elimin|cancell|apag|verwijder|удалит|sil)|(privileged|liabilit|"
    r"virus)",
    re.IGNORECASE,
)

_CLOSING = re.compile(
    r"(?:with )?(?:(?:best|kind|kindest|warm|warmest|many|sincere) )?(?:regards|wishes)|best|cheers|thanks(?: again|"
    r" a lot| so much)?|"
    r"thank you(?: very much)?|many thanks|all the best|(?:yours )?(?:sincerely|faithfully|truly)(?: yours)?|rgds|"
    r"(?:mit )?(?:freundlichen?|besten?|vielen?|lieben?|herzlichen?|schönen?|sonnigen?) (?:grüßen|grüssen|grüße|"
    r"grüsse|gruß|gruss|dank)|"
    r"mfg|lg|vg|bg|hochachtungsvoll|(?:bien )?cordialement|(?:bien |très )?à (?:vous|toi)|salutations|bien amicalement|"
    r"sincères salutations|(?:un )?(?:cordial )?saludos?(?: cordiales)?|atentamente|atte\.?|(?:muchas )?gracias|"
    r"cordiali saluti|"
    r"distinti saluti|saluti|(?:un )?cordiale saluto|atenciosamente|cumprimentos|(?:com os )?melhores cumprimentos|"
    r"abraços?|obrigad[oa]|"
    r"met vriendelijke groet(?:en)?|(?:hartelijke |vriendelijke )?groet(?:en|jes)?|mvg|med vänliga? hälsningar?|"
    r"(?:vänliga )?hälsningar|"
    r"mvh|(?:med )?venlig hilsen|(?:de )?(?:bedste|beste) hilsen?(?:er)?|(?:med )?vennlig hilsen|hilsen|"
    r"ystävällisin terveisin|terveisin|"
    r"z poważaniem|pozdrawiam|(?:serdecznie )?pozdrawiam|s pozdravem|s přáním pěkného dne|üdvözlettel|cu stimă|"
    r"с уважением|з повагою|saygılar(?:ımla)?|iyi çalışmalar|με εκτίμηση|敬具|よろしくお願い(?:いた|"
    r"致)?します|此致|祝好|감사합니다",
    re.IGNORECASE,
)
_CLOSING_LINE = re.compile(rf"\s*(?:{_CLOSING.pattern})\s*[,.!–—-]*\s*", re.IGNORECASE)
_CONTACT = re.compile(
    r"(?:https?://|www\.)\S+|\b[\w-]+(?:\.[\w-]+)*\.(?:com|net|org|de|io|eu|co|fr|it|es|nl|uk|ch|at|se|dk|no|pl|ru|jp|"
    r"br|example)\b(?!\S*@)|"
    r"[\w.+-]+@[\w-]+\.\w|(?:\+|\b00)\d[\d ()./-]{6,}|"
    r"\b(?:tel|phone|fon|mobile?|cell|direct|office|fax|tél|telefon|telefono|teléfono|telefone|móvil|mob|т\.|"
    r"тел)\b\.?\s*[:.]?\s*\+?[\d(][\d ()./-]{5,}|"
    r"\(\d{3}\)\s*\d{3}[-. ]\d{4}|\b\d{3}[-.]\d{3}[-.]\d{4}\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[?!;]\s*$|[^\W\d_]{3,}\.\s*$|[.?!]\s+[^\W\d_]{2,}\s+[^\W\d_]{2,}\s+[^\W\d_]{2,}")
_NAME = re.compile(r"\s*[^\W\d_][\w.'’&/-]*(?:[ ,]+(?:[^\W\d_][\w.'’&/-]*|\([^()]{1,30}\))){0,5}\s*")
_LABELLED = re.compile(r"\s*(?:From|To|Cc|Subject|Date|Sent|Von|An|Betreff|De|À|Objet)\s*:", re.IGNORECASE)


def split_signature(text: str) -> tuple[str, str]:
    """Part the signature at the end of a plain text from what was written: with a line break between, both are `text`.

    The text is never left empty.
    """
    lines = text.split("\n")
    end = len(lines)
    for _ in range(_ROUNDS):
        tail = lines[max(0, end - _TAIL_LINES) : end]
        start = min((found for rule in _RULES if (found := rule(tail)) is not None), default=None)
        if start is None:
            break
        end -= len(tail) - start
    if end == len(lines) or not any(line.strip() for line in lines[:end]):
        return text, ""
    return "\n".join(lines[:end]), "\n".join(lines[end:])


def is_signature(text: str) -> bool:
    """Whether a text, found under a quote for example, is a signature and nothing else."""
    return not split_signature(f".\n{text}")[0].removeprefix(".").strip()


def _last_written(lines: list[str]) -> int | None:
    return next((number for number in range(len(lines) - 1, -1, -1) if lines[number].strip()), None)


def _delimited(tail: list[str]) -> int | None:
    """Where the last delimiter stands with little enough under it."""
    for number in range(len(tail) - 1, -1, -1):
        exact = _EXACT_DELIMITER.fullmatch(tail[number])
        if exact or _BARE_DELIMITER.fullmatch(tail[number]):
            under = [line for line in tail[number + 1 :] if line.strip()]
            if exact:
                return number if len(under) <= _LINES_UNDER["exact"] else None
            certain = under and len(under) <= _LINES_UNDER["bare"] and not any(map(_is_prose, under))
            return number if certain else None
    return None


def _is_prose(line: str) -> bool:
    return len(line.strip()) > _LONGEST_CONTACT or _SENTENCE.search(line) is not None or line.lstrip().startswith(">")


def _added(tail: list[str]) -> int | None:
    """Where the line stands that a program adds, such as "Sent from my iPhone"."""
    last = _last_written(tail)
    if last is None or len(tail[last]) > _LONGEST_ADDED_LINE:
        return None
    return last if _ADDED_LINE.fullmatch(tail[last].strip()) else None


def _footer(tail: list[str]) -> int | None:
    """Where the footer of a mailing list begins: a long rule, and under it what names the list."""
    for number in range(len(tail) - 1, max(-1, len(tail) - _FOOTER_LINES - 2), -1):
        if _FOOTER_RULE.fullmatch(tail[number]):
            under = tail[number + 1 :]
            if _FOOTER_WORDS.search("\n".join(line[:_LONGEST_LINE] for line in under)):
                return number
    last = _last_written(tail)
    return last if last is not None and _ADDRESS_OF_A_LIST.fullmatch(tail[last][:_LONGEST_LINE]) else None


def _notice(tail: list[str]) -> int | None:
    """Where the last paragraph begins if it is a legal notice."""
    last = _last_written(tail)
    if last is None:
        return None
    start = last
    while start > 0 and tail[start - 1].strip():
        start -= 1
    opening = next((n for n in range(start, last + 1) if _NOTICE_OPENINGS.match(tail[n][:_LONGEST_LINE])), None)
    if opening is None or (opening > start and not _is_rule(tail[opening - 1])):
        return None
    words = _NOTICE.findall("\n".join(tail[opening : last + 1])[: 20 * _LONGEST_LINE])
    concepts = {place for groups in words for place, group in enumerate(groups) if group}
    return (start if _is_rule(tail[start]) else opening) if len(concepts) > _NOTICE_WORDS else None


def _is_rule(line: str) -> bool:
    return re.fullmatch(r"\s*[-_=*~#]{3,}\s*", line) is not None


def _contact(tail: list[str]) -> int | None:
    """Where contact lines begin under a closing and a name, both of which are the writer's words."""
    last = _last_written(tail)
    if last is None:
        return None
    closing = next(
        (
            n
            for n in range(last, max(-1, last - _CONTACT_LINES - 4), -1)
            if _CLOSING_LINE.fullmatch(tail[n][:_LONGEST_LINE])
        ),
        None,
    )
    if closing is None:
        return None
    name = next((n for n in range(closing + 1, last + 1) if tail[n].strip()), None)
    if name is None or not _NAME.fullmatch(tail[name][:_LONGEST_CONTACT]):
        return None
    block = [line for line in tail[name + 1 : last + 1] if line.strip()]
    if not block or len(block) > _CONTACT_LINES or any(map(_is_prose, block)) or any(map(_LABELLED.match, block)):
        return None
    return name + 1 if _CONTACT.search("\n".join(block)) else None


_RULES = (_delimited, _added, _footer, _notice, _contact)
