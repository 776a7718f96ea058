"""What a message says, apart from what it quotes.

What mail programs mark comes first: in HTML their own markup (`parts_of`), in plain text ">" (`split_quoted`), and
what stands above a quote, headers or a sentence such as "On Monday, Ann wrote:", in some thirty languages. Replies
written between quoted lines stay whole, forwarded mail is content, and a message never becomes empty: where it is
not sure, the text stays.
"""

import re
from bisect import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from salesos_inbox.mail.html import Part
from salesos_inbox.mail.signatures import is_signature

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_LONGEST_LINE = 400
_ATTRIBUTION_LINES = 4
_HEADER_LINES = 16
_BLANK_LINES_ABOVE_A_QUOTE = 3

_FORWARD_PREFIXES = re.compile(
    r"\s*(?:\[[^\]]{1,40}\]\s*)?(?:fwd?|wg|tr|rv|i|enc|vs|vb|vl|pd|ilt|i̇lt|fs|doorst|videresend|redir|továbbítás|πρθ|"
    r"пер|"
    r"转发|轉寄|転送|전달)\s*(?:\[\d+\])?\.?\s*[:：]",
    re.IGNORECASE,
)

_ADDRESS = re.compile(
    r"<\s?(?:mailto:)?[^<>\s]*@[^<>\s]*(?:<[^<>\s]*>)?\s?>|[(\[](?:mailto:|<)?[^()\[\]\s]*@[^()\[\]\s]*[)\]]"
)
_BARE_ADDRESS = re.compile(r"[^\s@]@[^\s@]+\.\w")
_MAILTO = re.compile(r"<\s*mailto:[^<>]*<[^<>@]*@[^<>]*>\s*>", re.IGNORECASE)
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_DIGIT = re.compile(r"\d")
_DATE = re.compile(r"\b(?:19|20)\d\d\b|\b\d{1,2}[./-] ?\d{1,2}[./-] ?\d{2,4}\b|\d{4}[年년]")
_TIME = re.compile(r"\d{1,2}[:.h時点시] ?[0-5]?\d?")

_LAST = {
    "en": "wrote|writes|sent|said|says|has written|mentioned|commented|replied|typed|scribbled|stated",
    "de": "schrieb|geschrieben|schreibt",
    "fr": "a écrit|a ecrit|écrivait|écrit",
    "es": "escribió|escribio|escribía",
    "ca": "va escriure|escrigué",
    "it": "ha scritto|scrisse|scrive",
    "pt": "escreveu",
    "ro": "a scris",
    "nl": "schreef|geschreven",
    "sv, da, nb": "skrev|skrev följande|skrev følgende",
    "fi": "kirjoitti|kirjoittaa",
    "et": "kirjutas",
    "pl": r"napisała?|napisał\(a\)|pisze",
    "cs": r"napsala?|napsal\(a\)",
    "sk": r"napísala?|napísal\(a\)",
    "hr, sr, sl": r"napisao(?: je|/la je)?|napisala?(?: je)?|је написао/ла|je napisao(?:/la)?|je napisala?",
    "bg": "написа",
    "ru": r"написала?|написал\(а\)|пишет|писала?|сообщила?",
    "uk": r"написав|написала|написав\(ла\)|пише",
    "hu": r"ezt írta|írta|ezt írta \(.*\)",
    "tr": "şunu yazdı|şunları yazdı|yazdı|yazmış",
    "el": "έγραψε",
    "lt": "rašė",
    "lv": "rakstīja",
    "ja": "のメール|のメッセージ|書きました|は書きました",
    "zh": "写道|寫道|写到|撰写|來信|写",
    "ko": "님이 작성|작성|님이 쓴 글|작성함",
    "he": "כתב|כתבה|כתב/ה",
    "ar": "كتب|كتبت",
    "fa": "نوشت",
    "vi": "đã viết",
    "id": "menulis",
    "th": "เขียนว่า|เขียน",
}
"""The words that an attribution ends with."""
_BEFORE_NAME = (
    r"schrieb|schreef|skrev|kirjoitti|kirjutas|написал|написала|пишет|пользователь|používateľ|"
    r"odesílatel|osoba|yazdı|بواسطة|מאת|napisana przez|Missatge de|Mensaje de|Mensagem de"
)
"""The words of writing that a name may follow."""
_ENDS_WITH_TIME = re.compile(r"\d{1,2}[:.]\d\d(?::\d\d)?\)?\s*$")
_QUOTING = (
    r"Zitat von|Quoting|Citando|Citat från|Citerar|Cytowanie|Citace|Quoted from|Missatge de|Mensagem de|Mensaje de|"
    r"Le message de|Message from|Original de"
)
_ENDS_WROTE = re.compile(rf"(?:^|[\W\d_])(?:{'|'.join(_LAST.values())})\s*$", re.IGNORECASE)
_ENDS_WROTE_UNSPACED = re.compile(rf"(?:{'|'.join(_LAST[key] for key in ('ja', 'zh', 'ko'))})\s*$")
_WROTE_NAME = re.compile(rf"(?:^|\s)(?:{_BEFORE_NAME})(?=[\s,]|$)", re.IGNORECASE)
_OPENING = re.compile(
    r"[\W_]{0,3}(?:"
    r"(?:On|At|In (?:a |the )?(?:message|article|mail)|Am|Um|Le|El|Il|Em|A|Op|Den|På|Fra|W dniu|Dnia|Dne|Dňa|Dana|În|"
    r"Pe|"
    r"Στις|Stis|Vào|Pada|På|Kl|V|Na|U|Ở|ב-?תאריך|بتاريخ|في|در تاریخ|Ned|В|На|Em data|In data|Vom|No dia|Nel giorno)\s"
    r"|在|于|於|ในวันที่|\d|"
    r"[^\W\d_]{1,12}[.,]?,?\s{1,2}(?:\d|[^\W\d_]{1,10}\.? \d))",
    re.IGNORECASE,
)
_NEEDS_A_VERB = re.compile(
    r"[\W_]{0,3}(?:On|At|Am|Um|Le|El|Il|Em|Op|Den|På|W dniu|Dnia|Dne|În|Pe|A|In)\s", re.IGNORECASE
)
_BEGINS_WITH_A_DATE = re.compile(
    r"[\W_]{0,3}(?:\d{1,4}[./年년-]|[^\W\d_]{1,12}[.,]?,?\s{1,2}(?:\d|[^\W\d_]{1,10}\.? \d))"
)
_PRONOUNS = re.compile(
    r"\W*(?:i|you|he|she|we|they|it|as|what|this|that|who|and|or|but|if|when|ich|du|er|sie|wir|ihr|es|wie|was|und|je|"
    r"tu|il|"
    r"elle|nous|vous|ils|comme|yo|él|ella|nosotros|como|io|lui|lei|noi|come|eu|ele|ela|ik|jij|hij|zij|wij|zoals|jag|"
    r"han|hon|"
    r"jeg|hun|vi|som|ja|like|see|here|the|per|just|there|my|your|his|her|our|their|so|yes|no|ok|on|ona|my|jak|я|ты|он|"
    r"она|мы|вы|они|как)\b",
    re.IGNORECASE,
)
_NAME_WROTE = re.compile(
    rf"(?:(?:\S+\s+){{0,8}}[\"'(]?[^\W\d_a-z]\S*|\S+(?:\s+\S+){{0,2}})\s+(?:{'|'.join(_LAST.values())})\s*$"
)
_BEGINS_WITH_A_NAME = re.compile(r"\W{0,3}(?:\S+\s+){0,5}\(?<@>")
_NAMED = re.compile(r"\[[^\W\d_a-z][\w .'-]{1,40}\]:?")
_DASHED = re.compile(rf"-{{2,}}+[^-\n].*\s(?:{'|'.join(_LAST.values())})\s*+-{{2,}}+", re.IGNORECASE)
_SENTENCE_ENDS = re.compile(r"[.!?…:;]\s*$")
_INITIAL_ENDS = re.compile(r"(?:\b[^\W\d_]{1,5}|\d)\.\s*$")

_ORIGINALS = {
    "en": "Original Message|Original Appointment|Reply Message|Original e-?mail|Original",
    "de": "Ursprüngliche Nachricht|Originalnachricht|Original-Nachricht|Antwort Nachricht|Ursprüngliche Mail",
    "fr": "Message d[’']origine|Message original|Message initial|Message d[’']origine",
    "es": "Mensaje original",
    "ca": "Missatge original",
    "it": "Messaggio originale",
    "pt": "Mensagem original",
    "ro": "Mesaj original|Mesajul original",
    "nl": "Oorspronkelijk bericht|Originele bericht|Origineel bericht|Originalbericht",
    "sv": "Ursprungligt meddelande|Originalmeddelande|Ursprungligt mejl",
    "da": "Oprindelig meddelelse|Original meddelelse|Oprindelig besked",
    "nb": "Opprinnelig melding|Original melding",
    "fi": "Alkuperäinen viesti",
    "pl": "Oryginalna wiadomość|Wiadomość oryginalna|Pierwotna wiadomość",
    "cs": "Původní zpráva|Originální zpráva|Původní e-mail",
    "sk": "Pôvodná správa|Originálna správa",
    "hr": "Izvorna poruka|Originalna poruka",
    "hu": "Eredeti üzenet|Eredeti levél",
    "tr": "Orijinal İleti|Özgün ileti|Orijinal Mesaj|Orjinal Mesaj",
    "ru": "Исходное сообщение|Оригинальное сообщение|Исходное письмо",
    "uk": "Вихідне повідомлення|Оригінальне повідомлення",
    "el": "Αρχικό μήνυμα",
    "ja": "元のメッセージ|オリジナルメッセージ|Original Message",
    "zh": "原始邮件|原始郵件|原邮件|原始訊息|回复的原邮件|回复的邮件",
    "ko": "원본 메시지|원본 메일|Original Message",
    "he": "הודעה מקורית",
    "ar": "الرسالة الأصلية",
}
_ORIGINAL = re.compile(
    rf"\*?-{{2,}}+\s*+(?:{'|'.join(_ORIGINALS.values())})\s*+-{{2,}}+\*?|>>> .{{3,200}}\d{{1,2}}[:.]\d\d.{{0,20}} >>>",
    re.IGNORECASE,
)

_FORWARDS = {
    "en": "Forwarded message|Begin forwarded message|Forwarded by .{0,200}|Forwarded Mail|Start of forwarded message",
    "de": "Weitergeleitete Nachricht|Anfang der weitergeleiteten (?:Nachricht|E-Mail)|Weitergeleitet von .{0,200}",
    "fr": "Message transféré|Début du message (?:réexpédié|transféré)|Message réexpédié|Message transmis",
    "es": "Mensaje reenviado|Inicio del mensaje reenviado",
    "it": "Messaggio inoltrato|Inizio (?:del )?messaggio inoltrato",
    "pt": "Mensagem (?:re)?encaminhada|Início da mensagem (?:re)?encaminhada",
    "ro": "Mesaj redirecționat|Începe mesajul redirecționat",
    "nl": "Doorgestuurd bericht|Begin doorgestuurd bericht",
    "sv": "Vidarebefordrat (?:meddelande|brev|mejl)",
    "da": "Videresendt (?:meddelelse|besked)|Start på videresendt besked",
    "nb": "Videresendt melding",
    "fi": "Välitetty viesti(?: alkaa| / Fwd.Msg)?|Edelleenlähetetty viesti",
    "pl": "Przekazana wiadomość|Wiadomość przekazana dalej|Treść przekazanej wiadomości|"
    "Początek przekazywanej wiadomości|"
    "Wiadomość przesłana dalej",
    "cs": "Přeposlaná zpráva|Začátek přeposílané zprávy",
    "sk": "Preposlaná správa(?: --- Forwarded Message)?|Začiatok preposlanej správy",
    "hr": "Proslijeđena poruka|Započni proslijeđenu poruku",
    "hu": "Továbbított (?:üzenet|levél)(?: kezdete)?",
    "tr": "İletilen ileti|Yönlendirilen ileti|İletilmiş mesaj|İleti başlangıcı",
    "ru": "Пересылаемое (?:сообщение|письмо)|Перенаправленное сообщение|Начало переадресованного сообщения|"
    "Переадресованное сообщение|Переслан\\w+ сообщение",
    "uk": "Переслане повідомлення|Перенаправлене повідомлення|Початок листа, що пересилається",
    "el": "Προωθημένο μήνυμα|Έναρξη προωθημένου μηνύματος",
    "ja": "転送メッセージ|転送されたメッセージ|メッセージを転送|Forwarded message",
    "zh": "转发的?邮件信?息?|轉寄的?郵件|转发的?消息|已转发邮件|轉寄郵件",
    "ko": "전달된 메시지|전달된 메일",
    "he": "הודעה שהועברה",
    "ar": "رسالة معاد توجيهها|رسالة مُحوَّلة",
}
_FORWARD = re.compile(rf"[\s>]*+-*+\s*+(?:{'|'.join(_FORWARDS.values())})\s*+(?:-++|[:：])", re.IGNORECASE)

_HEADERS = {
    "from": "From|Von|De|De la|Da|Van|Från|Fra|Od|Šalje|Saatja|Lähettäjä|Feladó|Expeditor(?:ul)?|Mittente|Nadawca|"
    "Remitente|"
    "Expéditeur|Absender|Afzender|Kimden|Gönderen|От|От кого|Отправитель|Від|Від кого|Από|Nuo|差出人|送信者|"
    "送信元|发件人|寄件者|"
    "寄件人|發件人|보낸 ?사람|발신|מאת|من|Từ|Dari|จาก",
    "sent": "Sent|Gesendet|Envoyé(?: le)?|Enviado(?: el)?|Enviada(?: em)?|Enviat|Inviato|Verzonden|Skickat|Sendt|"
    "Lähetetty|Saadetud|"
    "Wysłano|Odesláno|Odoslané|Poslano|Elküldve|Küldve|Trimis|Išsiųsta|Gönderilme(?: tarihi)?|Gönderildi|Отправлено|"
    "Изпратено|"
    "Надіслано|Στάλθηκε|送信日時|发送时间|寄件日期|傳送時間|發送時間|发送日期|보낸 ?날짜|נשלח|تم الإرسال|Đã gửi|"
    "Dikirim",
    "date": "Date|Datum|Fecha|Data|Dato|Dată|Dátum|Päivämäärä|Päiväys|Tarih|Дата|Kuupäev|Ημερομηνία|日付|日時|"
    "日期|时间|날짜|"
    "תאריך|التاريخ|Ngày|Tanggal|วันที่",
    "to": "To|An|À|A|Pour|Para|Per a|Aan|Till|Til|Vastaanottaja|Do|Komu|Pre|Prima|Za|Címzett|Către|Destinatarul?|"
    "Destinatario|"
    "Adressaat|Kam|Adresat|Empfänger|Kime|Alıcı|Кому|До|Προς|宛先|送信先|收件人|收件者|받는 ?사람|수신|אל|إلى|Đến|Tới|"
    "Kepada|ถึง",
    "subject": "Subject|Betreff|Objet|Sujet|Asunto|Assumpte|Oggetto|Assunto|Onderwerp|Ämne|Emne|Aihe|Temat|Předmět|"
    "Predmet|Naslov|"
    "Zadeva|Tárgy|Subiect(?:ul)?|Tema|Teema|Konu|Тема|Относно|Θέμα|件名|主题|主旨|主題|标题|제목|נושא|الموضوع|Chủ đề|"
    "Tiêu đề|"
    "Perihal|"
    "Subjek|เรื่อง",
    "other": "Cc|Bcc|Kopie(?: \\(CC\\))?|Kopio|Kopi|Kopia|Kópia|Másolat(?:ot kap)?|Copie(?: à)?|Copia|CCO|Dw|Копия|"
    "Копія|Bilgi|抄送|"
    "副本|参照|참조|Reply-To|Antwort an|Répondre à|Responder a|Rispondi a|Antwoord aan|Svar til|Svara till|Message-ID|"
    "Organi[sz]ation|"
    "Attachments?|Anlagen?|Anhänge|Pièces? jointes?|Adjuntos?|Allegati|Bijlagen?|Bilagor|Importance|Wichtigkeit|"
    "Priority|Priorität|"
    "Sensitivity|Newsgroups|User-Agent|Received|Reply To|Mailing-List|Importanza|Importancia|Prioridad|Categories|"
    "重要性",
}
_HEADER = re.compile(
    rf"[>\s*_|]*+(?:{'|'.join(f'(?P<{role}>{labels})' for role, labels in _HEADERS.items())})[*_\s]*+[:：].*",
    re.IGNORECASE,
)
_HEADER_AHEAD = re.compile(r"[>\s*_|]*+[^\W\d_][^\n:：]{0,28}[:：]")
_UNKNOWN_LABEL = re.compile(r"[\s*_]*[^\W\d_][\w-]{0,20}(?: [\w-]{1,20})?[*_]?[:：]\s")
_LINE_OF_MARKS = re.compile(r"_{5,}|-{3,}|\*{3,}|={5,}|─{3,}")

_ANSWERS_AND_PLACES = (
    (r"answers?|answered|comments?|commented|replies|replied|responses|responded|notes|remarks|thoughts", r"below"),
    (
        r"answers?|answered|comments?|commented|replies|replied|responses?|responded|notes|remarks|thoughts|mine|see",
        r"in-?line|in (?:red|blue|green|bold|purple|orange)|between (?:the|your) lines|"
        r"with(?:in)? (?:the|your) (?:text|mail|e-?mail|message)",
    ),
    (
        r"antwort(?:en)?|anmerkungen|kommentare?|rückmeldung(?:en)?",
        r"unten|im text|dazwischen|direkt|in (?:rot|blau|grün|fett)|rot|blau|grün",
    ),
    (r"réponses?|commentaires?", r"ci-dessous|dans le texte|plus bas|en (?:rouge|bleu|vert|gras)"),
    (r"respuestas?|comentarios?", r"abajo|debajo|entre líneas|en (?:rojo|azul|verde|negrita)"),
    (r"rispost[ae]|commenti", r"sotto|in calce|nel testo|in (?:rosso|blu|verde|grassetto)"),
    (r"respostas?|comentários", r"abaixo|em (?:vermelho|azul|verde|negrito)"),
    (r"antwoord(?:en)?|opmerkingen|reacties", r"onder|hieronder|tussen|in (?:rood|blauw|groen)"),
    (r"svar|kommentarer", r"nedan|nedenfor|inne i|i (?:rött|rødt|blått|blåt)"),
    (r"ответы|ответил[аи]?|комментарии", r"ниже|в тексте|красным|синим|на (?:красном|синем)"),
    (r"odpowiedzi|odpowiadam|komentarze", r"poniżej|w tekście|na czerwono"),
)
_ANSWERED_WITHIN = re.compile(
    "|".join(
        rf"\b(?:{answers})\b[^.\n]{{0,30}}\b(?:{places})\b|\b(?:{places})\b[^.\n]{{0,20}}\b(?:{answers})\b"
        for answers, places in _ANSWERS_AND_PLACES
    )
    + "|インライン|红色|蓝色",
    re.IGNORECASE,
)
"""How writers say that they answered within a quote, where nothing marks what is theirs."""


_MARK = re.compile(r"[ \t]{0,4}(?:[A-Z][A-Za-z]{0,3})?>")
_END_OF_ATTRIBUTION = re.compile(r"\s?>\s*(?:[^\W\d_]{2,12}\s*)?[:：]\s*$")
_WEB_ADDRESS = re.compile(r"\W{0,3}h(?:tt|xx)ps?:\S+")
_WRAPPED_AT = 68
_LONGEST_REST = 40
_MID_SENTENCE = re.compile(r"[\w,)\"'(]$")
_GOES_ON = re.compile(r"[a-z0-9(\"'<]")
_ODD_MARK = re.compile(r"\s*(?:[|:)}%#]|[\[(<](?:\.\.|…|snip|lost|cut))", re.IGNORECASE)
"""What a quote begins with that is marked in an unusual way, or cut."""


@dataclass(frozen=True)
class SplitText:
    """What is new in a text and what it quotes: every line is in one of both, in its order."""

    new: str
    quoted: str


def is_forward(subject: str) -> bool:
    """Whether a subject says that its mail was forwarded ("Fwd:", "WG:", "TR:", ...): all of it is content then."""
    return _FORWARD_PREFIXES.match(subject) is not None


def split_quoted(text: str, *, forwarded: bool = False) -> SplitText:
    """Part a plain text from the mail that it quotes at its end, or from the one marked quote that it answers.

    Nothing is parted from a text that was `forwarded`, from one that answers between quoted lines, and from one that
    would be empty without its quote. The work grows with the length of the text.
    """
    if forwarded:
        return SplitText(text, "")
    lines = text.split("\n")
    blocks = _marked_blocks(lines)
    limit = _first_forward(lines, blocks)
    blocks = [block for block in blocks if block[0] < limit]
    start = _unmarked_start(lines, blocks, limit)
    if start is not None:
        return _parted(lines, start, len(lines))
    span = _foldable_block(lines, blocks, limit)
    return _parted(lines, *span) if span else SplitText(text, "")


def _parted(lines: list[str], start: int, end: int) -> SplitText:
    new = lines[:start] + lines[end:]
    if not any(line.strip() for line in new):
        return SplitText("\n".join(lines), "")
    return SplitText("\n".join(new), "\n".join(lines[start:end]))


def _is_marked(line: str) -> bool:
    """Whether a line begins with ">", with the initials of a writer before it or not."""
    return (
        ">" in line
        and _MARK.match(line) is not None
        and not _END_OF_ATTRIBUTION.match(line)
        and not (line.startswith(">>> ") and _matches(_ORIGINAL, line))
    )


def _marked_blocks(lines: list[str]) -> list[tuple[int, int]]:
    """The runs of marked lines, with the blank lines between them: the first line, and the one after the last."""
    blocks: list[tuple[int, int]] = []
    blank = False
    for number, line in enumerate(lines):
        within = bool(blocks) and blocks[-1][1] == number
        if _MARK.match(line) if within else _is_marked(line):
            if blocks and (blank or within):
                blocks[-1] = (blocks[-1][0], number + 1)
            else:
                blocks.append((number, number + 1))
            blank = True
        elif line.strip():
            if within and _is_wrapped(lines, number):
                blocks[-1] = (blocks[-1][0], number + 1)
            else:
                blank = False
    return blocks


def _is_wrapped(lines: list[str], number: int) -> bool:
    """Whether a line is the end of the long marked line above it, broken off by a program on the way."""
    above, line = lines[number - 1].rstrip(), lines[number]
    return (
        number + 1 < len(lines)
        and _is_marked(lines[number + 1])
        and len(line) <= _LONGEST_REST
        and len(above) + len(line.partition(" ")[0]) >= _WRAPPED_AT
        and _MID_SENTENCE.search(above) is not None
        and _GOES_ON.match(line) is not None
    )


def _first_forward(lines: list[str], blocks: list[tuple[int, int]]) -> int:
    """The first line that introduces forwarded mail, unless a quote has it inside."""
    firsts = {first for first, _ in blocks}
    for number, line in enumerate(lines):
        may_introduce = line.rstrip().endswith(("-", ":", "："))
        if may_introduce and (number in firsts or not _is_marked(line)) and _matches(_FORWARD, line):
            return number
    return len(lines)


def _matches(pattern: re.Pattern[str], line: str) -> bool:
    return len(line) <= _LONGEST_LINE and pattern.fullmatch(line.strip()) is not None


def _next_written(lines: list[str], start: int) -> int | None:
    return next((number for number in range(start, len(lines)) if lines[number].strip()), None)


def _unmarked_start(lines: list[str], blocks: list[tuple[int, int]], limit: int) -> int | None:
    """Where a quote begins that has no marks and goes on to the end, as Outlook and telephones write it."""
    written = header = False
    for number in range(limit):
        line = lines[number]
        if not line.strip() or _is_marked(line):
            header = False
            continue
        tried, header = header, _is_header(line)
        if not written and _end_of_heading(lines, number) is not None:
            return None
        if written:
            end = None if tried and header else _end_of_heading(lines, number)
            start, end = (number, end) if end is not None else _unmarked_attribution(lines, number, blocks)
            if end is not None and _has_words_of_its_own(lines, start):
                following = _next_written(lines, end)
                if following is None or not _is_marked(lines[following]):
                    return None if _answers_within(lines, start) else start
        written = True
    return None


def _has_words_of_its_own(lines: list[str], end: int) -> bool:
    """Whether above a line stands more than the sentence that introduces a quote."""
    written = [number for number in range(end - 1, max(-1, end - 10), -1) if lines[number].strip()]
    if not written:
        return _next_written(lines[:end], 0) is not None
    above = _attribution_start(lines, written[0], marked=True)
    return above is None or _next_written(lines, 0) != above


def _end_of_heading(lines: list[str], start: int, *, marked: bool = False) -> int | None:
    """The line after the headers of a mail, or after a line that names the original, if they begin here."""
    line = lines[start]
    if _matches(_ORIGINAL, line):
        following = _next_written(lines, start + 1)
        return (following is not None and _end_of_headers(lines, following, enough=1)) or start + 1
    if _matches(_LINE_OF_MARKS, line):
        following = next((n for n in range(start + 1, min(start + 4, len(lines))) if lines[n].strip()), None)
        return _end_of_headers(lines, following) if following is not None else None
    return _end_of_headers(lines, start, enough=2 if marked else 0)


def _end_of_headers(lines: list[str], start: int, *, enough: int = 0) -> int | None:
    """The line after the headers of a mail if they begin here: who, when, and to whom or about what.

    Any are `enough` in that number where what stands around them says already that they are headers.
    """
    if not _is_header(lines[start]):
        return None
    roles: set[str | None] = set()
    addressed = False
    end = start
    for number in range(start, min(start + _HEADER_LINES, len(lines))):
        line = lines[number][:_LONGEST_LINE]
        header = _HEADER.fullmatch(line)
        if header:
            roles.add(header.lastgroup)
            end = number + 1
        elif not line.strip():
            following = next((n for n in range(number + 1, min(number + 3, len(lines))) if lines[n].strip()), None)
            complete = {"from", "subject"} <= roles and roles & {"sent", "date"}
            if complete or following is None or not _HEADER.fullmatch(lines[following][:_LONGEST_LINE]):
                break
        elif _UNKNOWN_LABEL.match(line) and not enough:
            return None
        addressed |= "@" in line
    if enough and "from" in roles and len(roles) >= enough:
        return end
    certain = roles & {"sent", "subject"} or addressed
    return end if "from" in roles and roles & {"sent", "date"} and roles & {"to", "subject"} and certain else None


def _is_header(line: str) -> bool:
    line = line[:_LONGEST_LINE]
    has_colon = ":" in line or "：" in line
    return has_colon and _HEADER_AHEAD.match(line) is not None and _HEADER.fullmatch(line) is not None


def _unmarked_attribution(lines: list[str], last: int, blocks: list[tuple[int, int]]) -> tuple[int, int | None]:
    """Where a sentence that surely introduces an unmarked quote begins and ends, if its last line is this one."""
    start = _attribution_start(lines, last, marked=False)
    if start is None:
        return last, None
    following = _next_written(lines, last + 1)
    below = bisect(blocks, (last, len(lines)))
    if following is not None and _ODD_MARK.match(lines[following]):
        return last, None
    if following is None or _is_marked(lines[following]) or below == len(blocks):
        return start, last + 1
    first, end = blocks[below]
    only = below + 1 == len(blocks) and _next_written(lines, end) is None
    return (start, last + 1) if only and _heading_above(lines, first, last + 1) is not None else (last, None)


def _foldable_block(lines: list[str], blocks: list[tuple[int, int]], limit: int) -> tuple[int, int] | None:
    """The marked quote to fold: the one that ends the text, or the only one if it is introduced."""
    if not blocks:
        return None
    first, end = blocks[-1]
    heading = _heading_above(lines, first, blocks[-2][1] if len(blocks) > 1 else 0)
    nothing_below = _next_written(lines, end) is None
    closing = nothing_below or (limit == len(lines) and is_signature("\n".join(lines[end:])))
    end = len(lines) if nothing_below else end
    if closing and _answers_within(lines, heading if heading is not None else first):
        return None
    if heading is not None and (closing or len(blocks) == 1):
        return heading, end
    leading = not any(line.strip() for line in lines[:first])
    if len(blocks) == 1 and (leading or (closing and not _is_introduced(lines, first))):
        return first, end
    return None


def _answers_within(lines: list[str], start: int) -> bool:
    """Whether the writer says above a quote to have answered in it."""
    return (
        _ANSWERED_WITHIN.search(
            "\n".join(line[:_LONGEST_LINE] for line in lines[max(0, start - _HEADER_LINES) : start])
        )
        is not None
    )


def _is_introduced(lines: list[str], first: int) -> bool:
    """Whether the line above ends with a colon, or is an address, so that the quote belongs to what the writer says."""
    above = next((lines[n].strip() for n in range(first - 1, max(-1, first - 3), -1) if lines[n].strip()), "")
    return above.endswith((":", "：")) or _WEB_ADDRESS.fullmatch(above[:_LONGEST_LINE]) is not None


def _heading_above(lines: list[str], first: int, floor: int) -> int | None:
    """Where the sentence or the headers begin that introduce the marked quote at `first`."""
    last = next(
        (n for n in range(first - 1, max(floor, first - _BLANK_LINES_ABOVE_A_QUOTE - 1) - 1, -1) if lines[n].strip()),
        None,
    )
    if last is None:
        return None
    start = _attribution_start(lines, last, marked=True, floor=floor)
    if start is not None:
        return start
    for number in range(last, max(floor, last - _HEADER_LINES) - 1, -1):
        if _end_of_heading(lines, number, marked=True) == last + 1:
            above = range(max(floor, number - _HEADER_LINES), number)
            return next((n for n in above if _end_of_heading(lines, n, marked=True) == last + 1), number)
    return None


def _attribution_start(lines: list[str], last: int, *, marked: bool, floor: int = 0) -> int | None:
    """Where the sentence begins that ends on line `last` and says who wrote what follows, if it is one."""
    ending = lines[last].rstrip()
    if _matches(_DASHED, ending) or (marked and _matches(_NAMED, ending)):
        return last
    closed = ending.endswith((":", "：", ":‬", ":*", "：*")) or _UNSEEN.sub("", ending[-6:]).endswith((":", "："))
    if not closed and not marked:
        return None
    sentence = ""
    found: int | None = None
    for start in range(last, max(floor, last - _ATTRIBUTION_LINES + 1) - 1, -1):
        line = lines[start]
        if not line.strip() or _is_marked(line) or len(line) > _LONGEST_LINE:
            break
        if start < last and _SENTENCE_ENDS.search(line) and not _INITIAL_ENDS.search(line):
            break
        sentence = f"{line.strip()} {sentence}".strip()
        if len(sentence) > _LONGEST_LINE:
            break
        if not marked and not _DIGIT.search(sentence):
            continue
        kind = _kind_of_attribution(sentence, closed=closed, marked=marked)
        if kind == "whole":
            return start
        if kind == "part" and found is None:
            found = start
    return found


def _kind_of_attribution(sentence: str, *, closed: bool, marked: bool) -> str:
    """ "whole" for an attribution from its beginning, "part" for one that may begin on a line above, or ""."""
    form = _UNSEEN.sub("", sentence).lstrip(" *_>\t").rstrip(":： *_\t")
    form = _ADDRESS.sub("<@>", _MAILTO.sub("<@>", form))
    addressed = "<@>" in form
    dated = _DIGIT.search(form) is not None
    full = _DATE.search(form) is not None
    timed = _TIME.search(form) is not None
    wrote = _ENDS_WROTE.search(form[-60:]) is not None or _ENDS_WROTE_UNSPACED.search(form[-20:]) is not None
    wrote_name = _WROTE_NAME.search(form) is not None
    opens = _OPENING.match(form) is not None
    by_address = form.rstrip(" )\"'").endswith("<@>")
    structured = by_address and full and timed and (wrote_name or not _NEEDS_A_VERB.match(form))
    if not closed:
        begins = _BEGINS_WITH_A_DATE.match(form) is not None
        return "whole" if marked and ((begins and by_address and full) or (opens and dated and wrote)) else ""
    bare = addressed or _BARE_ADDRESS.search(form) is not None
    certain = dated and (
        structured
        or (wrote and (bare or (full and timed)))
        or (wrote_name and (by_address or (opens and full and timed)))
        or (wrote_name and addressed and full and _ENDS_WITH_TIME.search(form[-20:]) is not None)
    )
    named = _BEGINS_WITH_A_NAME.match(form) is not None and not _PRONOUNS.match(form)
    if certain and (opens or named):
        return "whole" if opens else "part"
    if not marked:
        return ""
    if (wrote or wrote_name) and opens and dated:
        return "whole"
    if wrote and ((addressed and named) or (_NAME_WROTE.match(form) and not _PRONOUNS.match(form))):
        return "part"
    if by_address and (full or re.match(_QUOTING, form)):
        return "whole" if opens else "part"
    return "whole" if re.match(rf"\W*(?:{_QUOTING})\s", form) else ""


_CITED = (
    "blockquote[type=cite], .gmail_attr, .moz-cite-prefix, [class*=yahoo_quoted], .airmail_on, "
    "blockquote.protonmail_quote, blockquote.tutanota_quote, .tutanota_quote, #OLK_SRC_BODY_SECTION, #reply-intro, "
    "blockquote.ms-outlook-mobile-reference-message, blockquote.front-blockquote, blockquote.missive_quote, "
    ".missive_quote, "
    ".freshdesk_quote, .outreach-quote, .hs_reply, .fernand_quote, #mail-app-auto-quote, div[name=quote], "
    "blockquote.clean_bq, "
    "[data-marker=__QUOTED_TEXT__], [data-marker=__HEADERS__], blockquote.crm_quote"
)
"""Elements that hold nothing but quoted mail."""
_CONTAINERS = (
    "div.gmail_quote, div.protonmail_quote, [name=messageReplySection], .zmail_extra, div.nylas-quote, div.quotedReply"
)
"""Elements that hold quoted mail, or in their blockquotes quoted mail and between them answers."""
_CERTAIN_STARTS = (
    "#divRplyFwdMsg, #x_divRplyFwdMsg, .OutlookMessageHeader, #mail-editor-reference-message-container, #zwchr, "
    ".ms-outlook-mobile-reference-message, .zmail_extra_hr, p.yahoo-quoted-begin"
)
_STARTS = (
    f"{_CERTAIN_STARTS}, #appendonsend, #stopSpelling, div[style*='border-top:solid'], "
    f"div[style*='border-top: solid'], "
    "div[style*='border-top:1'], div[style*='border-top: 1'], div[style*='border-top-color: rgb(229, 229, 229)']"
)
"""Elements that a quote begins with which goes on to the end of the mail; if not certain, if headers are there."""
_SIGNED = (
    ".gmail_signature, .gmail_signature_prefix, [data-smartmail=gmail_signature], .moz-signature, #Signature, "
    "#x_Signature, "
    "#ms-outlook-mobile-signature, #AppleMailSignature, .protonmail_signature_block, [name=messageSignatureSection], "
    "#composer_signature, .front-signature, .sh-signature, .missive_signature, .bloop_sign, #_rc_sig, "
    "[data-marker=__SIG_POST__], "
    "[data-marker=__SIG_PRE__], [id^=Zm-_Id_-Sgn], #ymail_android_signature, #ymail_ios_signature, .hs_signature, "
    "[class*=yahoo-signature], .tutanota_signature, .-x-evo-signature-wrapper, #signature_block, .nylas-signature"
)
_OF_INTEREST = f"{_CITED}, {_CONTAINERS}, {_STARTS}, {_SIGNED}"
_NAMED_IN_ANY_WAY = "[class], [id], [name], [type=cite], [data-marker], [data-smartmail], [style*=border-top]"
"""What each of these has one of: asked first, as it is told far sooner."""
_UNSEEN_ELEMENTS = frozenset(("style", "script", "head", "title", "template"))
_BREAKS = frozenset(
    ("br", "hr", "p", "div", "table", "blockquote", "ul", "ol", "pre", "h1", "h2", "h3", "li", "tr", "td")
)
_LINES_OF_A_HEADING = 12
_NODES_OF_A_HEADING = 200
_LEVELS_OF_PARENTS = 3


def parts_of(tree: "LexborHTMLParser", *, forwarded: bool = False) -> dict[int, Part]:
    """The topmost nodes of a tree that a mail program marked as quoted or as signature, by their `mem_id`.

    The same is kept as in plain text, and the work grows with the size of the tree. What no program marked, such as
    "> " or a sentence above a plain quote, is for `split_quoted` to find in the text.
    """
    body = tree.body
    if body is None or body.css_first(_NAMED_IN_ANY_WAY) is None or body.css_first(_OF_INTEREST) is None:
        return {}
    return _Marking(body, forwarded=forwarded).parts()


@dataclass
class _Run:
    """Quoted nodes with nothing written between them."""

    nodes: list["LexborNode"]
    introduced: bool
    to_the_end: bool = False


class _Marking:
    """One pass over the nodes outside of quotes, in document order, without recursion."""

    def __init__(self, body: "LexborNode", *, forwarded: bool) -> None:
        self._body = body.mem_id
        self._kinds = {
            node.mem_id: kind
            for kind, selector in (
                ("start", _STARTS),
                ("sure", _CERTAIN_STARTS),
                ("held", _CONTAINERS),
                ("cited", _CITED),
                ("signed", _SIGNED),
            )
            if kind == "signed" or not forwarded
            for node in body.css(selector)
        }
        self._lines: list[list[LexborNode]] = [[]]
        self._runs: list[_Run] = []
        self._signatures: list[LexborNode] = []
        self._written = self._written_since = 0
        self._above: list[str] = []
        self._walk(body)

    def parts(self) -> dict[int, Part]:
        """What to part, once all is seen."""
        left = self._written or self._signatures
        quoted = {node.mem_id: Part.QUOTE for node in _with_parents(self._foldable())} if left else {}
        signed = {node.mem_id: Part.SIGNATURE for node in self._signatures} if self._written else {}
        return signed | quoted

    def _foldable(self) -> list["LexborNode"]:
        if not self._runs:
            return []
        last, only, closing = self._runs[-1], len(self._runs) == 1, not self._written_since
        if closing and _ANSWERED_WITHIN.search("\n".join(self._above)):
            return []
        if not (last.introduced and (only or closing)):
            return []
        return list(_with_following(last.nodes, self._body)) if last.to_the_end else last.nodes

    def _walk(self, body: "LexborNode") -> None:
        node = body.first_child
        while node is not None:
            inside = None
            if node.is_text_node and node.mem_id not in self._kinds:
                if not self._text(node):
                    return
            elif (node.is_element_node and node.tag not in _UNSEEN_ELEMENTS) or node.mem_id in self._kinds:
                if node.tag in _BREAKS:
                    self._end_line()
                kind = self._kinds.get(node.mem_id, "")
                if kind in ("start", "sure") and (kind == "sure" or self._starts_a_quote(node)):
                    self._quote(node, introduced=True, to_the_end=True)
                    return
                if kind in ("cited", "heading") or (kind == "held" and not self._open(node)):
                    if _is_forward_line(_heading_lines(node, self._body)[:1]):
                        self._count(1)
                        return
                    self._quote(node, introduced=kind != "cited" or node.tag != "blockquote")
                elif kind != "signed" or not self._sign(node):
                    inside = node.first_child
            node = inside if inside is not None else self._next(node)

    def _next(self, node: "LexborNode") -> "LexborNode | None":
        here: LexborNode | None = node
        while here is not None and here.mem_id != self._body:
            if here.tag in _BREAKS:
                self._end_line()
            if here.next is not None:
                return here.next
            here = here.parent
        return None

    def _text(self, node: "LexborNode") -> bool:
        """Take a text; says whether to go on, which is not so where forwarded mail begins."""
        text = (node.text_content or "").strip()
        if text:
            self._lines[-1].append(node)
            self._count(1)
            if len(self._above) < _HEADER_LINES:
                self._above.append(text[:_LONGEST_LINE])
            if _is_forward_line([text]):
                self._written_since += 1
                return False
        return True

    def _count(self, change: int) -> None:
        self._written += change
        self._written_since += change

    def _end_line(self) -> None:
        if self._lines[-1]:
            self._lines = [*self._lines[-_ATTRIBUTION_LINES:], []]

    def _open(self, holder: "LexborNode") -> bool:
        """Go into a container whose blockquotes are the quotes; what stands above the first introduces it."""
        children = list(_children(holder))
        first = next((place for place, child in enumerate(children) if child.tag == "blockquote"), None)
        if first is None:
            return False
        self._kinds |= {child.mem_id: "cited" for child in children if child.tag == "blockquote"}
        if sum(len(child.text()) for child in children[:first]) <= _LONGEST_LINE:
            self._kinds |= {child.mem_id: "heading" for child in children[:first] if child.text().strip()}
        return True

    def _quote(self, node: "LexborNode", *, introduced: bool, to_the_end: bool = False) -> None:
        self._end_line()
        heading = self._heading()
        self._count(-len(heading))
        if to_the_end and heading == [] and (rule := _rule_before(node)) is not None:
            heading = [rule]
        nodes = [*_topmost(heading), node]
        introduced = introduced or bool(heading) or _introduces_itself(node, self._body)
        if self._runs and not self._written_since and not self._runs[-1].to_the_end:
            run = self._runs[-1]
            run.nodes += nodes
            run.introduced, run.to_the_end = run.introduced or introduced, to_the_end
        else:
            self._runs.append(_Run(nodes, introduced, to_the_end))
        self._lines, self._written_since = [[]], 0

    def _heading(self) -> list["LexborNode"]:
        """The texts right above that introduce a quote."""
        lines = [line for line in self._lines if line]
        if not lines:
            return []
        texts = ["".join(node.text_content or "" for node in line).strip().replace("\n", " ") for line in lines]
        start = _attribution_start(texts, len(texts) - 1, marked=True)
        if start is None and _matches(_ORIGINAL, texts[-1]):
            start = len(texts) - 1
        return [] if start is None else [node for line in lines[start:] for node in line]

    def _sign(self, node: "LexborNode") -> bool:
        """Take a signature; says whether it is one, which is not so where it holds a quote."""
        if any(inner.mem_id != node.mem_id for inner in node.css(f"{_CITED}, {_CONTAINERS}, {_STARTS}")):
            return False
        if not any(text.strip() for text in _heading_lines(node, self._body, within=True)):
            return True
        self._end_line()
        delimiter = ([line for line in self._lines if line] or [[]])[-1]
        if "".join(text.text_content or "" for text in delimiter).strip() in ("--", "—"):
            self._count(-len(delimiter))
            self._signatures.extend(delimiter)
        self._signatures.append(node)
        return True

    def _starts_a_quote(self, node: "LexborNode") -> bool:
        lines = _heading_lines(node, self._body)
        return bool(lines) and _end_of_heading(lines, 0) is not None


def _is_forward_line(lines: list[str]) -> bool:
    return any(_matches(_FORWARD, line) for line in lines)


def _introduces_itself(node: "LexborNode", body: int) -> bool:
    """Whether a quote begins with the sentence that introduces it, as those of Apple Mail do."""
    lines = _heading_lines(node, body, within=True)[:_ATTRIBUTION_LINES]
    return any(_attribution_start(lines, last, marked=True) == 0 for last in range(len(lines)))


def _heading_lines(node: "LexborNode", body: int, *, within: bool = False) -> list[str]:
    """The first lines of a node, and unless `within` of what follows it."""
    lines: list[str] = [""]
    here: LexborNode | None = node
    for _ in range(_NODES_OF_A_HEADING):
        if here is None or len(lines) > _LINES_OF_A_HEADING:
            break
        if here.is_text_node:
            lines[-1] += (here.text_content or "")[:_LONGEST_LINE].replace("\n", " ")
        elif here.tag in _BREAKS and lines[-1].strip():
            lines.append("")
        inside = here.first_child if here.is_element_node and here.tag not in _UNSEEN_ELEMENTS else None
        while inside is None and here is not None and here.mem_id != body:
            if within and here.mem_id == node.mem_id:
                here = None
                break
            if here.tag in _BREAKS and lines[-1].strip():
                lines.append("")
            inside = here.next
            here = here.parent
        here = inside
    return [line.strip() for line in lines if line.strip()]


def _children(node: "LexborNode") -> Iterator["LexborNode"]:
    child = node.first_child
    while child is not None:
        yield child
        child = child.next


def _rule_before(node: "LexborNode") -> "LexborNode | None":
    """The line that a program draws above the headers of a quote."""
    here = node.prev
    while here is not None and _is_blank(here):
        here = here.prev
    return here if here is not None and here.tag == "hr" else None


def _topmost(texts: list["LexborNode"]) -> list["LexborNode"]:
    """The highest nodes that hold these texts and no others."""
    ids = {node.mem_id for node in texts}
    found: dict[int, LexborNode] = {}
    for node in texts:
        while node.parent is not None and node.parent.tag not in ("body", "html") and _holds_only(node.parent, ids):
            node = node.parent
        found[node.mem_id] = node
    return list(found.values())


def _with_parents(nodes: list["LexborNode"]) -> Iterable["LexborNode"]:
    """The nodes, or in their place the parents that hold nothing else, so that what belongs together stays so."""
    found = {node.mem_id: node for node in nodes}
    for _ in range(_LEVELS_OF_PARENTS):
        parents = {node.parent.mem_id: node.parent for node in found.values() if node.parent is not None}
        for number, parent in parents.items():
            if parent.tag in ("body", "html") or not all(c.mem_id in found or _is_blank(c) for c in _children(parent)):
                continue
            for child in _children(parent):
                found.pop(child.mem_id, None)
            found[number] = parent
    return found.values()


def _is_blank(node: "LexborNode") -> bool:
    return node.tag == "br" or node.is_comment_node or (node.is_text_node and not (node.text_content or "").strip())


def _holds_only(node: "LexborNode", ids: set[int]) -> bool:
    for number, inner in enumerate(node.traverse(include_text=True)):
        foreign = inner.is_text_node and inner.mem_id not in ids and (inner.text_content or "").strip()
        if number > _NODES_OF_A_HEADING or foreign or inner.tag in ("img", "blockquote"):
            return False
    return True


def _with_following(nodes: list["LexborNode"], body: int) -> Iterator["LexborNode"]:
    """The nodes, and all that follows the last of them in the document."""
    yield from nodes
    here: LexborNode | None = nodes[-1]
    while here is not None and here.mem_id != body:
        sibling = here.next
        while sibling is not None:
            yield sibling
            sibling = sibling.next
        here = here.parent
