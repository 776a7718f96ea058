"""Whether a text speaks to an AI assistant rather than to the person whose mail it is. Pure, in bounded time.

What counts is being spoken to: orders to forget what was said before, a salutation or a note to an assistant, the
marks of a chat's template, an order to keep something from the user, a call of one of our tools. Mail about assistants
is not mail to them.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from salesos_inbox.mail.unicode import clean

_LOOKED_AT = 50_000
"""So many characters of the beginning and of the end of a text are looked at."""
_NEAR = 160
"""How far around its word a phrase may reach."""

_LATIN_LOOKS = str.maketrans(
    "абвгеһіјкӏмнорсѕтухԁԛԝьαβεικνορτυχγωıłøđß0134578@$|",
    "abbrehijklmhopcstyxdqwbabeiknoptuxywilodsoieastbasl",
)
"""Letters and signs as the Latin letter that they are read as; accents fall away by themselves."""
_SPELLED_OUT = re.compile(r"(?<![^\W_])(?:[^\W\d_][ .*_-]){4,}[^\W\d_](?![^\W_])")
_BETWEEN_LETTERS = re.compile("[ .*_-]")
_MARGIN = re.compile(r"\s*\n[>|\s]*")

_GAP = r"[^.!?]{0,30}?"


@dataclass(frozen=True)
class _Speech:
    """How a language speaks to an assistant. Each entry is a regular expression of lower-case words."""

    word: str
    """One of these stands in every such phrase; looked for first, because most mail has none."""
    forget: str
    earlier: str
    orders: str
    assistant: str
    calling: str
    """What stands right before an assistant that is spoken to: "dear", "note to", "if you are"."""
    told: str
    """What stands right after an assistant that is spoken to: ": please", "must"."""
    other: str = r"(?!)"

    @property
    def pattern(self) -> str:
        """All its phrases as one expression."""
        return (
            rf"\b(?:{self.forget}){_GAP}"
            rf"(?:\b(?:{self.earlier})\b{_GAP}\b(?:{self.orders})|\b(?:{self.orders})\b{_GAP}\b(?:{self.earlier}))"
            rf"|\b(?:{self.calling})\W{{1,3}}(?:[^\W\d_]+\W){{0,3}}?(?:{self.assistant})\b"
            rf"|\b(?:{self.assistant})\W{{1,3}}(?:{self.told})"
            rf"|{self.other}"
        )


_LATIN = {
    "en": _Speech(
        word="instruction|prompt|assistant|language model|llm|ai agent|ai system|ai model|the user|your user|chatbot|"
        "guideline|directive|mode|ai reading|commands|rules|programming|told|above|system:|assistant:|task|"
        "and nothing else|summari|"
        "responses|replies|answers|outputs|before replying|before responding|before answering|before continuing|"
        "before you",
        forget="ignore|disregard|forget|override|overrule|bypass|do not follow|don.t follow|stop following|"
        "pay no attention to",
        earlier="previous|previously|prior|preceding|earlier|existing|all your|any of your|your|system|safety|"
        "developer",
        orders="instructions?|prompts?|directives?|guidelines|programming|commands|rules|everything you were told",
        assistant=r"(?:ai|a\.i\.) (?:\w+ )?(?:assistants?|agents?|models?|systems?|bots?)|ais?(?= (?:read|process|"
        r"summar))|"
        "(?:large )?language models?|llms?|chat ?bots?|"
        r"(?:virtual|automated|automatic|digital|mail|e-?mail|inbox|autonomous) (?:\w+ )?(?:assistants?|agents?)",
        calling="dear|hello|hi|hey|attention|notes? (?:to|for)|notice (?:to|for)|message (?:to|for)|"
        "instructions? (?:to|for)|directions? (?:to|for)|orders? (?:to|for)|if you are an?|if you.re an?|"
        "you are (?:now )?an?|to (?:any|all|the)",
        told="(?:reading|processing|summari[sz]ing|handling|parsing|scanning) (?:this|the) (?:e?-?mail|message|mail)|"
        "(?:you )?(?:must|shall|should|are to|are required to|are instructed to) (?:now |also |always |immediately )?"
        "(?:forward|send|delete|ignore|reply|include|search|call|obey|follow|comply|archive|reveal|mark|move)|"
        "(?:please |now )?(?:forward|send|delete|ignore|obey|call|search|archive|reveal|mark|move) (?:this|the|all|"
        "any|every|"
        "your|me|us|it)\\b|you (?:must|shall|are|will|have)\\b|please\\b",
        other=r"(?:do not|don.t|never|must not|without) (?:tell|telling|inform|informing|notify|notifying|alert|"
        r"alerting|"
        r"mention\w* (?:this|it|that) to|reveal (?:this|it) to|show (?:this|it) to|ask|asking) (?:the|your) "
        r"(?:user|human|principal|operator|account holder)\b"
        r"|\b(?:the|your) (?:user|human|principal) (?:has|have|had) (?:already )?(?:approved|authori[sz]ed|consented|"
        r"confirmed|agreed|enabled|granted|given)"
        r"|\byou are now (?:in )?(?:an? )?(?:\w+ )?(?:mode\b|unrestricted|jailbroken|dan\b|free of)"
        r"|\b(?:enter|switch to|activate|enable) (?:developer|maintenance|admin|debug|god|dan|unrestricted) mode\b"
        r"|\b(?:reveal|print|output|repeat|show|leak|disclose|send) (?:me )?(?:your|the) (?:full |entire )?"
        r"(?:system (?:prompt|message|instructions)|hidden instructions|initial instructions)|"
        r"\breveal your (?:instructions|rules|prompt)"
        r"|\b(?:ignore|disregard|override) (?:all|any|every) (?:of )?(?:the |your |these )?(?:instructions|"
        r"guidelines|directives)"
        r"|\bsystem (?:note|message|prompt|instruction|override|notice)s? (?:to|for) (?:the |any |all )?(?:ai|"
        r"assistant|agent|"
        r"model)"
        r"|(?:^|[.!?]\s|\n)\W*(?:dear|hello|hi|hey|attention|ok|okay) (?:ai |mail |email |automated )*(?:assistant|"
        r"agent)\s?[,:!]"
        r"|(?:^|\n|<!--)\W{0,5}(?:system|assistant|ai|agent)\s?:\s?(?:you\b|ignore|disregard|forget|the user|"
        r"your user|please\b|"
        r"override|forward|send|delete|approval|reply|call|do not|new (?:task|instruction|order)|the (?:prior|"
        r"previous) task)"
        r"|\b(?:ignore|disregard|forget) (?:all of |all |everything )?(?:the )?above,? and (?:output|reply|respond|"
        r"print|say|write|instead|"
        r"forward|send|delete|call)"
        r"|\b(?:ignore|disregard|abandon) (?:the|your) (?:summari[sz]ation|original|users?|current|prior|"
        r"previous) (?:task|request|"
        r"query|objective|goal)"
        r"|\bbefore (?:replying|responding|answering|summari[sz]ing|continuing|you (?:reply|respond|answer|"
        r"summari[sz]e)),? (?:\w+ )?"
        r"(?:call|invoke|execute|forward|send the|send all|delete)\b"
        r"|\bbefore you (?:can )?(?:solve|complete|finish|continue with|proceed with) (?:the|my|your|"
        r"any) (?:\w+ )?tasks?\b"
        r"|\b(?:end|begin|start|prefix|include|append)\b[^.!?]{0,30}? (?:every|each|all|"
        r"any)(?: of your)?(?: future)? (?:responses?|"
        r"replies|answers?|outputs?)\b"
        r"|\b(?:reply|respond|answer|output)\b[^.!?]{0,60}? and nothing else\b"
        r"|\bassistant, (?:the|please|you|your|forward|send|delete|ignore|do not)\b"
        r"|\bas an? (?:ai|large language|language)(?: \w+){0,2}, you\b"
        r"|\bforget (?:everything|all) (?:above|before|you (?:were|have been|know|\w+ been told))",
    ),
    "de": _Speech(
        word="anweisung|assistent|sprachmodell|ki-|prompt|nutzer|benutzer|vorgaben|ki |instruktion|regeln|befehle",
        forget="ignorier\\w*|vergiss|vergessen sie|missachte\\w*|uberschreib\\w*|beachte\\w* nicht",
        earlier="vorherige[nrs]?|bisherige[nr]?|fruhere[nr]?|vorangegangene[nr]?|obige[nr]?|deine|ihre|alle|"
        "vorstehende[nr]?",
        orders="anweisungen|instruktionen|vorgaben|befehle|regeln|prompts?|systemprompt",
        assistant="ki[- ]?(?:assistent\\w*|agent\\w*|modell\\w*|system\\w*)|sprachmodelle?|llms?|chatbots?|"
        "(?:automatische[nr]?|virtuelle[nr]?|digitale[nr]?) (?:\\w+ )?assistent\\w*|mail-?assistent\\w*",
        calling="liebe[rs]?|hallo|achtung|hinweis (?:an|fur)|nachricht an|anweisung(?:en)? (?:an|fur)|wenn du|"
        "falls du|"
        "wenn sie|falls sie|du bist|sie sind",
        told="(?:du|sie) (?:musst|sollst|mussen|sollen|bist)|bitte\\b|leite\\b|sende\\b|losche\\b",
        other=r"\b(?:sag|sage|sagen sie|informiere|informieren sie|erzahl|erwahne)\w* (?:es |dies |das |davon )?(?:dem|"
        r"der|den|gegenuber dem) "
        r"(?:be)?nutzer\w* (?:nichts|nicht|kein)"
        r"|\b(?:zeig\w*|verrat\w*|nenn\w*|wiederhol\w*)\b.{0,24}?\b(?:system-?prompt|system-?anweisungen)",
    ),
    "fr": _Speech(
        word="instruction|assistant|modele de langage|utilisateur|consigne|directive|prompt|regles",
        forget="ignore[zrs]?|oublie[zrs]?|ne tiens pas compte|ne tenez pas compte|neglige[zr]?",
        earlier="precedente?s?|anterieure?s?|ci-dessus|tes|vos|toutes les|preexistantes",
        orders="instructions?|consignes?|directives?|prompts?|regles",
        assistant="assistants? (?:ia|virtuel\\w*|automati\\w+|de messagerie|d.ia)|agents? (?:ia|d.ia|virtuel\\w*)|"
        "ia assistante?|"
        "modeles? de langage|llms?|intelligence artificielle|chatbots?",
        calling="chere?s?|cher|bonjour|attention|note (?:a|pour|aux?)|message (?:a|pour|aux?)|instructions? (?:pour|"
        "aux?)|"
        "si (?:tu es|vous etes)|(?:tu es|vous etes)|a l.attention",
        told="(?:tu|vous) (?:dois|devez|es|etes)|veuillez|merci de|transfere[rz]?|envoie|envoyez|supprime[rz]?",
        other=r"(?:ne (?:dis|dites|revele[zs]?|previens|prevenez|informe[zs]?|mentionne[zs]?)) (?:rien|pas|jamais|"
        r"surtout pas)\b.{0,24}?l.utilisat"
        r"|\b(?:revele\w*|affiche\w*|montre\w*|repete\w*)\b.{0,24}?\b(?:prompt|instructions?|consignes) systeme",
    ),
    "es": _Speech(
        word="instrucci|asistente|modelo de lenguaje|usuario|directric|prompt|ordenes|reglas|indicaciones",
        forget="ignor[aeo]n?|ignorar|olvid[ae]n?|olvidate|descart[ae]n?|haga caso omiso|haz caso omiso|omit[ae]n?|"
        "no (?:sigas|siga)",
        earlier="anterior(?:es)?|previ[ao]s|precedentes|tus|sus|todas las",
        orders="instrucci(?:on|ones)|ordenes|directrices|reglas|indicaciones|prompts?",
        assistant="(?:asistentes?|agentes?) (?:de (?:ia|correo|inteligencia artificial)|virtual(?:es)?|automati\\w+|"
        "digital(?:es)?)|"
        "modelos? de lenguaje|llms?|chatbots?|inteligencia artificial|ia",
        calling="estimad[oa]s?|querid[oa]s?|hola|atencion|nota (?:para|al?|a los)|mensaje (?:para|al?)|"
        "instrucciones (?:para|al)|"
        "si (?:eres|es usted|usted es)|(?:ahora )?eres",
        told="(?:debes?|debera|tiene que|tienes que)\\b|por favor|reenvi[ae]|envi[ae]|elimin[ae]|borr[ae]",
        other=r"no (?:se lo |les? )?(?:digas?|informes?|avises?|menciones?|reveles?|"
        r"notifiques?)\b.{0,24}?\bal? (?:\w+ )?usuari"
        r"|\b(?:revel\w+|muestra\w*|repite\w*)\b.{0,24}?\b(?:prompt|instrucciones|indicaciones) del? sistema",
    ),
    "it": _Speech(
        word="istruzion|assistente|modello linguistico|utente|direttive|prompt|regole|indicazioni",
        forget="ignora\\w*|dimentica\\w*|non (?:seguire|considerare)|trascura\\w*|tralascia",
        earlier="precedent[ei]|tue|vostre|sue|tutte le|anterior[ei]",
        orders="istruzion[ei]|direttive|regole|indicazioni|prompt|comandi",
        assistant="(?:assistent[ei]|agent[ei]) (?:ia|ai|virtual[ei]|automatic[oi]|di posta|digital[ei]|"
        "di intelligenza "
        "artificiale)|modell[oi] linguistic[oi]|llm|chatbot|intelligenza artificiale",
        calling="car[oiae]|gentile|ciao|salve|attenzione|nota (?:per|all?.?)|messaggio (?:per|all?.?)|"
        "istruzioni (?:per|all?.?)|"
        "se sei|(?:ora )?sei|tu sei",
        told="(?:devi|deve|dovete)\\b|per favore|inoltra|invia|elimina|cancella",
        other=r"non (?:dire|dirlo|informare|avvisare|menzionare|rivelare|rivelarlo|notificare)\b.{0,24}?\butente\b"
        r"|\b(?:rivela\w*|mostra\w*|ripeti\w*)\b.{0,24}?\b(?:prompt|istruzioni) di sistema",
    ),
    "pt": _Speech(
        word="instruc|assistente|modelo de linguagem|usuario|utilizador|diretrizes|prompt|regras|ordens",
        forget="ignor[ae]m?|ignorar|esquec[ae]m?|desconsider[ae]m?|nao (?:siga|sigas)",
        earlier="anterior(?:es)?|previas|precedentes|suas|tuas|todas as",
        orders="instruc(?:ao|oes)|ordens|diretrizes|regras|prompts?|comandos|orientacoes",
        assistant="(?:assistentes?|agentes?) (?:de (?:ia|e-?mail|inteligencia artificial)|virtua(?:l|is)|"
        "automati\\w+|digita(?:l|is))|"
        "modelos? de linguagem|llms?|chatbots?|inteligencia artificial|ia",
        calling="prezad[oa]s?|car[oa]s?|ola|oi|atencao|nota (?:para|aos?|a)|mensagem (?:para|aos?)|"
        "instrucoes (?:para|aos?)|"
        "se voce (?:e|for)|(?:agora )?voce e",
        told="(?:voce )?(?:deve|devera|tem que)\\b|por favor|encaminhe|envie|exclua|apague",
        other=r"nao (?:diga|conte|informe|avise|mencione|revele|notifique)\b.{0,24}?\b(?:usuario|utilizador)"
        r"|\b(?:revele\w*|mostre\w*|repita\w*)\b.{0,24}?\b(?:prompt|instrucoes) d[eo] sistema",
    ),
    "nl": _Speech(
        word="instructie|assistent|taalmodel|gebruiker|richtlijn|prompt|opdrachten|aanwijzing|regels",
        forget="negeer|vergeet|negeren|sla .{0,20}over|volg .{0,30}niet",
        earlier="vorige|eerdere|voorgaande|bovenstaande|je|jouw|uw|alle",
        orders="instructies?|opdrachten|aanwijzingen|richtlijnen|regels|prompts?",
        assistant="(?:ai|ki)[- ]?(?:assistent\\w*|agents?|model\\w*|systeem\\w*)|taalmodel(?:len)?|llms?|chatbots?|"
        "(?:virtuele|automatische|digitale) (?:\\w+ )?assistent\\w*|mailassistent\\w*",
        calling="beste|hallo|geachte|let op|opmerking (?:voor|aan)|bericht (?:voor|aan)|instructies? (?:voor|aan)|"
        "als (?:je|u|jij) een|(?:je|jij|u) (?:bent|ben) (?:nu )?een",
        told="(?:je|jij|u) (?:moet|dient|bent)|moet\\b|gelieve|stuur\\b|verwijder\\b|graag\\b",
        other=r"\b(?:vertel|zeg|meld|informeer|waarschuw)\w* (?:dit |het |dat )?(?:niet )?(?:aan )?(?:de|je|"
        r"uw) gebruiker (?:niet|niets)",
    ),
    "pl": _Speech(
        word="instrukcj|polece|asystent|model jezykow|modelem jezyk|uzytkownik|wytyczn|prompt|zasady",
        forget="zignoruj\\w*|ignoruj\\w*|zapomnij\\w*|pomin\\w*|nie stosuj\\w*|odrzuc",
        earlier="poprzedni\\w*|wczesniejsz\\w*|powyzsz\\w*|dotychczasow\\w*|swoje|twoje|wszystkie",
        orders="instrukcj\\w*|polece\\w*|wytyczn\\w*|prompt\\w*|zasad\\w*",
        assistant="asysten\\w+ (?:ai|si|sztucznej inteligencji|wirtualn\\w+|poczty|automatyczn\\w+)|(?:wirtualn\\w+|"
        "automatyczn\\w+) "
        "asysten\\w+|agen\\w+ (?:ai|si)|model\\w* jezykow\\w+|llm|chatbo\\w+",
        calling="drogi|szanowny|witaj|czesc|uwaga|notatka dla|wiadomosc (?:dla|do)|instrukcj[ae] dla|uwaga dla|"
        "jesli jestes|jezeli jestes|jestes",
        told="(?:musisz|masz|powinienes|jestes)\\b|prosze|przeslij|przekaz|wyslij|usun",
        other=r"nie (?:mow|informuj|powiadamiaj|wspominaj|zdradzaj|ujawniaj)\b.{0,24}?\buzytkownik",
    ),
    "tr": _Speech(
        word="talimat|asistan|dil model|kullanici|yapay zek|istem|komut|kural",
        forget="(?!)",
        earlier="(?!)",
        orders="(?!)",
        assistant=r"(?:yapay zeka|ai|sanal|dijital) (?:\w+ )?(?:asistan\w*|ajan\w*|model\w*)|dil model\w*|llm|"
        r"yapay zeka|sohbet botu",
        calling="sayin|merhaba|sevgili|dikkat|not|eger sen|sen bir|eger bir",
        told="(?:lutfen|sunu yap|ilet|gonder|sil)\\b",
        other=r"\b(?:onceki|yukaridaki|daha onceki|mevcut)\b.{0,20}?\b(?:talimat|komut|istem|kural|"
        r"yonerge)\w*.{0,24}?"
        r"(?:yok say|gormezden gel|unut|dikkate alma|goz ardi et)"
        r"|\bkullanici\w*.{0,20}?(?:soyleme|bildirme|haber verme|bahsetme)",
    ),
}
_OTHER_SCRIPTS = {
    "ru": _Speech(
        word="инструкц|указани|ассистент|помощник|языковая модель|языковой модел|пользовател|промпт|команд|правил",
        forget=r"(?:про)?игнорируй\w*|забудь\w*|не обращай\w* внимани\w*|отмени\w*|не выполняй\w*",
        earlier=r"предыдущ\w+|прежн\w+|предшествующ\w+|вышеуказанн\w+|ранее|свои|твои|все",
        orders=r"инструкц\w+|указани\w+|команд\w*|правил\w*|промпт\w*",
        assistant=r"ии[- ]?(?:ассистент\w*|агент\w*|модел\w+|помощник\w*)|языков\w+ модел\w+|"
        r"искусственн\w+ интеллект\w*|"
        r"(?:виртуальн|автоматическ|цифров)\w+ (?:ассистент|помощник)\w*|нейросет\w+|чат-?бот\w*|llm",
        calling=r"уважаем\w+|дорог\w+|привет|здравствуй\w*|внимание|сообщение для|примечание для|заметка для|"
        r"инструкци\w+ для|если ты|если вы|ты теперь|ты|вы",
        told=r"(?:ты|вы) (?:долж\w+)|долж\w+|пожалуйста|перешли\w*|отправь\w*|удали\w*",
        other=r"не (?:говори|сообщай|рассказывай|упоминай|уведомляй)\w*\b.{0,24}?пользовател",
    ),
    "ar": _Speech(
        word="تعليمات|مساعد|نموذج لغ|المستخدم|الأوامر|التوجيهات|الذكاء",
        forget="تجاهل|تجاهلي|تجاهلوا|انس|انسى|إنس",
        earlier="السابقة|السابقه|أعلاه|الأصلية|جميع|كل",
        orders="(?:ال|جميع ال|كل ال)?(?:تعليمات|أوامر|توجيهات|قواعد)",
        assistant="(?:ال)?مساعد (?:ال)?(?:ذكي|ذكاء|آلي|رقمي|افتراضي)|(?:ال)?نموذج (?:ال)?لغوي|(?:ال)?ذكاء الاصطناعي",
        calling="عزيزي|مرحبا|أيها|يا|إلى|انتباه|ملاحظة إلى|ملاحظة ل|رسالة إلى|إذا كنت|أنت",
        told="(?:يجب|عليك|من فضلك|يرجى|قم)",
        other="لا (?:تخبر|تبلغ|تذكر|تعلم).{0,12}?المستخدم",
    ),
}
_WITHOUT_BLANKS = {
    "zh": (
        "指令|指示|提示|命令|规则|規則|助手|助理|模型|用户|用戶|使用者",
        "(?:忽略|无视|無視|忘记|忘記|忘掉|不要遵守|不要理会).{0,8}?(?:之前|以前|以上|先前|前面|上述|所有|一切|此前|"
        "你的|您的).{0,8}?"
        "(?:指令|指示|提示|命令|规则|規則)"
        "|(?:致|给|給|尊敬的|亲爱的|親愛的|你好|您好|注意|如果你是|如果您是|你现在是|你是|作为|"
        "作為)[,:\\s]{0,2}.{0,6}?"
        "(?:ai|人工智能|人工智慧|智能|邮件|郵件|虚拟|虛擬) ?(?:助手|助理|代理|模型)"
        "|(?:如果你是|如果您是|你现在是|作为|作為).{0,6}?(?:语言模型|語言模型|人工智能|人工智慧)"
        "|(?:ai|人工智能|人工智慧) ?(?:助手|助理|代理|模型)[,:\\s]{0,2}(?:请|請|必须|必須|你|您|应当|務必|务必)"
        "|(?:不要|不得|请勿|請勿|别|切勿)(?:告诉|告訴|通知|告知|提醒|询问)(?:用户|用戶|使用者)",
    ),
    "ja": (
        "指示|命令|プロンプト|ルール|アシスタント|モデル|ユーザー|エージェント",
        "(?:以前|これまで|今まで|前|上記|先|すべて|全て|既存).{0,8}?(?:指示|命令|プロンプト|ルール).{0,8}?(?:無視|"
        "忘れ|破棄)"
        "|(?:ai|自動|メール|人工知能) ?(?:アシスタント|エージェント|モデル)(?:の皆様|の方)?(?:様|さん|へ|宛|に告ぐ|"
        "への|[,:、。!])"
        "|(?:あなたは|もしあなたが|貴方は).{0,10}?(?:ai|人工知能|言語モデル|アシスタント|エージェント)"
        "|ユーザー(?:に|には)(?:.{0,6}?)(?:知らせ|伝え|教え|通知し|言わ|話さ|報告し)(?:ない|ず|てはいけ|てはなら)",
    ),
    "ko": (
        "지시|명령|프롬프트|지침|규칙|어시스턴트|비서|도우미|모델|사용자|에이전트",
        "(?:이전|앞의|앞선|위의|기존|모든|지금까지).{0,8}?(?:지시|명령|프롬프트|지침|규칙).{0,8}?(?:무시|잊)"
        "|(?:ai|인공지능|자동|이메일|메일) ?(?:어시스턴트|비서|도우미|에이전트|모델)(?:에게|께|님|야|[,:!])"
        "|(?:당신은|당신이|너는|네가|만약).{0,8}?(?:ai|인공지능|언어 모델)"
        "|사용자에게.{0,8}?(?:알리지|말하지|보고하지|언급하지|전하지)",
    ),
}

_TEMPLATE = re.compile(
    r"<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|eot_id|start_header_id|end_header_id|"
    r"begin_of_text)\|>"
    r"|\[/?(?:inst|system|assistant)\]|<</?sys>>|<(?:start|end)_of_turn>"
    r"|</?(?:system|assistant|system[-_](?:reminder|prompt|message|instructions?)|tool_(?:call|use|result)s?|"
    r"function_(?:call|result)s?|important_instructions|information|antml:\w+)>"
    r"|#{2,4} ?(?:system|instruction|assistant|human)s?(?: prompt| message)?:?\s*(?:\n|$)"
)
_TOOLS = (
    "list_folders|list_threads|search_threads|read_thread|triage_inbox|get_inbox_stats|list_scheduled|save_draft|"
    "send_email|schedule_email|cancel_scheduled|mark_read|star_threads|archive_threads|move_threads|delete_threads|"
    "bulk_update_threads|link_crm_record|unlink_crm_record|set_follow_up|remove_follow_up|undo_change"
)
_TOOL = re.compile(
    rf"(?<![\w./-])(?:{_TOOLS})(?![\w./-])"
    r"|\b(?:call|invoke|use|execute|trigger) (?:the )?\W?[a-z]++(?:_[a-z]++)++\W?\s?(?:with |on |tool\b|\w+=)"
)
"""Our tools by their names, and any tool that somebody is to call."""


_Search = tuple[tuple[str, ...], str]
"""The words of which one must be there, and the expression that is then looked for around them."""


def _search(speech: _Speech) -> _Search:
    return tuple(speech.word.split("|")), speech.pattern.replace(" ", r"\s")


_IN_LATIN: list[_Search] = [_search(speech) for speech in _LATIN.values()]
_IN_OTHER_SCRIPTS: list[_Search] = [_search(speech) for speech in _OTHER_SCRIPTS.values()] + [
    (tuple(words.split("|")), pattern) for words, pattern in _WITHOUT_BLANKS.values()
]


@lru_cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a language's expression when mail first holds one of its words; all of them take a while."""
    return re.compile(pattern)


def speaks_to_assistant(text: str) -> bool:
    """Return whether some of the text is meant for an AI assistant that reads it, in one of fourteen languages."""
    plain = _plain(_ends(text))
    if _TEMPLATE.search(plain) or ("_" in plain and _TOOL.search(plain)):
        return True
    if not plain.isascii() and _is_said(plain, _IN_OTHER_SCRIPTS):
        return True
    return _is_said(_latin(plain), _IN_LATIN)


def _ends(text: str) -> str:
    return text if len(text) <= 2 * _LOOKED_AT else f"{text[:_LOOKED_AT]}\n{text[-_LOOKED_AT:]}"


def _plain(text: str) -> str:
    """Return the text without what is unseen, in one form for one look, in small letters, quote marks off its lines."""
    text = clean(text).text
    text = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return _MARGIN.sub("\n", text.casefold())


def _latin(text: str) -> str:
    """Return the text in the Latin letters it would be read as."""
    if not text.isascii():
        text = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return _SPELLED_OUT.sub(lambda spelled: _BETWEEN_LETTERS.sub("", spelled[0]), text.translate(_LATIN_LOOKS))


def _is_said(text: str, searches: list[_Search]) -> bool:
    in_a_line = text.replace("\n", " ")
    return any(
        _compiled(pattern).search(text, start, end)
        for words, pattern in searches
        for start, end in _windows(in_a_line, [word for word in words if word in in_a_line])
    )


def _windows(text: str, words: list[str]) -> Iterator[tuple[int, int]]:
    """Yield where the parts of the text around the words begin and end, none of which meet."""
    if not words:
        return
    start = end = 0
    for found in re.finditer("|".join(map(re.escape, words)), text):
        if found.start() - _NEAR > end:
            if end:
                yield start, end
            start = max(0, found.start() - _NEAR)
        end = found.end() + _NEAR
    yield start, end
