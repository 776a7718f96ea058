# ruff: noqa: E501  (mail has long lines)
import re
import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from salesos_inbox.mail.html import Part, html_to_text
from salesos_inbox.mail.quotes import is_forward, parts_of, split_quoted

ATTRIBUTIONS = {
    "en": "On Mon, Apr 2, 2012 at 6:26 PM, Megan One <m@x.example> wrote:",
    "en wrapped": "On Monday, 2 April 2012 at 18:26:11 CEST, Megan One with a long name\n<m@x.example> wrote:",
    "en wrapped at its address": "On Apr 2, 2012, at 6:26 PM, Megan One <\na-very-long-address@x.example>\nwrote:",
    "en Apple": "On Apr 2, 2012, at 6:26 PM, Megan One <m@x.example> wrote:",
    "en Exchange": 'On 4/2/12 6:26 PM, "Megan One" <m@x.example> wrote:',
    "en AOL": "In a message dated 4/2/2012 6:26:11 P.M. Central European Daylight Time, m@x.example writes:",
    "en iOS with a mailto": "On 2 Apr 2012, at 18:26, Megan One <m@x.example<mailto:m@x.example>> wrote:",
    "en Zoho": "---- On Mon, 02 Apr 2012 18:26:11 +0200 Megan One <m@x.example> wrote ----",
    "de": "Am 02.04.2012 um 18:26 schrieb Megan One <m@x.example>:",
    "de Gmail": "Am Mo., 2. Apr. 2012 um 18:26 Uhr schrieb Megan One <m@x.example>:",
    "de Outlook": 'Am 02.04.12, 18:26 schrieb "Megan One" <m@x.example>:',
    "fr": "Le lun. 2 avr. 2012 à 18:26, Megan One <m@x.example> a écrit :",
    "es": "El lun, 2 abr 2012 a las 18:26, Megan One (<m@x.example>) escribió:",
    "ca": "Missatge de Megan One <m@x.example> del dia dl., 2 d’abr. 2012 a les 18:26:",
    "it": "Il giorno lun 2 apr 2012 alle ore 18:26 Megan One <m@x.example> ha scritto:",
    "pt": "Em seg., 2 de abr. de 2012 às 18:26, Megan One <m@x.example> escreveu:",
    "ro": "În lun., 2 apr. 2012 la 18:26, Megan One <m@x.example> a scris:",
    "nl": "Op ma 2 apr. 2012 om 18:26 schreef Megan One <m@x.example>:",
    "nl Apple": "Op 2 apr. 2012, om 18:26 heeft Megan One <m@x.example> het volgende geschreven:",
    "sv": "Den mån 2 apr. 2012 kl 18:26 skrev Megan One <m@x.example>:",
    "da": "Den man. 2. apr. 2012 kl. 18.26 skrev Megan One <m@x.example>:",
    "nb": "man. 2. apr. 2012 kl. 18:26 skrev Megan One <m@x.example>:",
    "fi": "ma 2. huhtik. 2012 klo 18.26 Megan One (m@x.example) kirjoitti:",
    "fi Apple": "Megan One <m@x.example> kirjoitti 2.4.2012 kello 18.26:",
    "et": "Megan One (<m@x.example>) kirjutas kuupäeval E, 2. aprill 2012 kell 18:26:",
    "pl": "pon., 2 kwi 2012 o 18:26 Megan One <m@x.example> napisał(a):",
    "pl Apple": "Wiadomość napisana przez Megan One <m@x.example> w dniu 2 kwi 2012, o godz. 18:26:",
    "cs": "po 2. 4. 2012 v 18:26 odesílatel Megan One <m@x.example> napsal:",
    "cs Apple": "2. 4. 2012 v 18:26, Megan One <m@x.example>:",
    "sk": "po 2. 4. 2012 o 18:26 Megan One <m@x.example> napísal(a):",
    "hr": "pon, 2. tra 2012. u 18:26 Megan One <m@x.example> napisao je:",
    "hu": "Megan One <m@x.example> ezt írta (időpont: 2012. ápr. 2., H, 18:26):",
    "lt": "2012-04-02, pr, 18:26 Megan One <m@x.example> rašė:",
    "tr": "Megan One <m@x.example>, 2 Nis 2012 Pzt, 18:26 tarihinde şunu yazdı:",
    "ru": "пн, 2 апр. 2012 г. в 18:26, Megan One <m@x.example> написал:",
    "ru mail.ru": "Понедельник,  2 апреля 2012, 18:26 +04:00 от Megan One <m@x.example>:",
    "ru Yandex": '02.04.2012, 18:26, "Megan One" <m@x.example>:',
    "uk": "пн, 2 квіт. 2012 р. о 18:26 Megan One <m@x.example> пише:",
    "bg": "На пн, 2.04.2012 г. в 18:26 Megan One <m@x.example> написа:",
    "el": "Στις Δευ 2 Απρ 2012 στις 6:26 μ.μ., ο/η Megan One <m@x.example> έγραψε:",
    "he": "‫בתאריך יום ב׳, 2 באפר׳ 2012 ב-18:26 מאת ‪Megan One‬‏ <‪m@x.example‬‏>:‬",
    "ar": "في الاثنين، 2 أبريل 2012 في 6:26 م تمت كتابة ما يلي بواسطة Megan One <m@x.example>:",
    "vi": "Vào Th 2, 2 thg 4, 2012 vào lúc 18:26 Megan One <m@x.example> đã viết:",
    "id": "Pada tanggal Sen, 2 Apr 2012 pukul 18.26 Megan One <m@x.example> menulis:",
    "th": "ในวันที่ จ. 2 เม.ย. 2012 เวลา 18:26 Megan One <m@x.example> เขียนว่า:",
    "ja": "2012年4月2日(月) 18:26 Megan One <m@x.example>:",
    "ja Apple": "2012/04/02 18:26、Megan One <m@x.example>のメール:",
    "zh": "Megan One <m@x.example> 于2012年4月2日周一 18:26写道：",
    "zh Apple": "在 2012年4月2日，18:26，Megan One <m@x.example> 写道：",
    "ko": "2012년 4월 2일 (월) 오후 6:26, Megan One <m@x.example>님이 작성:",
    "ko Apple": "2012. 4. 2. 오후 6:26, Megan One <m@x.example> 작성:",
}
"""As the programs of each language write them; without a name they are Gmail's."""

WITHOUT_AN_ADDRESS = {
    "en Thunderbird": "On 04/02/2012 06:26 PM, Megan One wrote:",
    "en without a date": "Megan One wrote:",
    "en Usenet": "In article <abc123@news.x.example>, Megan One writes:",
    "de Thunderbird": "Am 02.04.12 um 18:26 schrieb Megan One:",
    "fr Thunderbird": "Le 02/04/2012 à 18:26, Megan One a écrit :",
    "es Thunderbird": "El 2/4/12 a las 18:26, Megan One escribió:",
    "it Thunderbird": "Il 02/04/2012 18:26, Megan One ha scritto:",
    "pt Thunderbird": "Em 02/04/2012 18:26, Megan One escreveu:",
    "nl Thunderbird": "Op 02-04-2012 om 18:26 schreef Megan One:",
    "sv Thunderbird": "Den 2012-04-02 kl. 18:26, skrev Megan One:",
    "pl Thunderbird": "W dniu 2.04.2012 o 18:26, Megan One pisze:",
    "cs Thunderbird": "Dne 02. 04. 12 v 18:26 Megan One napsal(a):",
    "hu Thunderbird": "2012. 04. 02. 18:26 keltezéssel, Megan One írta:",
    "ru Thunderbird": "02.04.2012 18:26, Megan One пишет:",
    "de Horde": "Zitat von Megan One <m@x.example>:",
    "without a colon": "2012/4/2 Megan One <m@x.example>",
    "a bracketed name": "[Megan One]",
}
"""What introduces a quote only where the quote is marked."""

HEADERS = {
    "en": "From: Ann <a@b.example>\nSent: Friday, July 22, 2011 6:20 PM\nTo: Bob\nSubject: Hello",
    "en Mac": "From: Ann <a@b.example>\nDate: Friday, July 22, 2011 at 6:20 PM\nTo: Bob <b@b.example>\nCc: Eve <e@b.example>\nSubject: Hello",
    "en Hotmail": "Subject: Hello\nFrom: a@b.example\nDate: Fri, 22 Jul 2011 18:20:11 +0200\nTo: b@b.example",
    "en wrapped": "From: Ann <a@b.example>\nSent: Friday, July 22, 2011 6:20 PM\nTo: Bob <b@b.example>; Somebody with a long name\n<somebody@b.example>\nSubject: Hello",
    "en BlackBerry": "From: Ann <a@b.example>\n\nDate: Fri, 22 Jul 2011 18:20:11\n\nTo: Bob <b@b.example>\n\nSubject: Hello",
    "de": "Von: Ann\nGesendet: Freitag, 22. Juli 2011 18:20\nAn: Bob\nBetreff: Hallo",
    "fr": "De : Ann\nEnvoyé : vendredi 22 juillet 2011\nÀ : Bob\nObjet : Bonjour",
    "es": "De: Ann\nEnviado: viernes, 22 de julio\nPara: Bob\nAsunto: Hola",
    "it": "Da: Ann\nInviato: venerdì 22 luglio\nA: Bob\nOggetto: Ciao",
    "pt": "De: Ann\nEnviada: sexta-feira\nPara: Bob\nAssunto: Olá",
    "ro": "De la: Ann\nTrimis: vineri, 22 iulie 2011\nCătre: Bob\nSubiect: Salut",
    "nl": "Van: Ann\nVerzonden: vrijdag\nAan: Bob\nOnderwerp: Hallo",
    "sv": "Från: Ann\nSkickat: fredag\nTill: Bob\nÄmne: Hej",
    "da": "Fra: Ann\nSendt: 22. juli 2011 18:20\nTil: Bob\nEmne: Hej",
    "fi": "Lähettäjä: Ann\nLähetetty: perjantai 22. heinäkuuta 2011 18.20\nVastaanottaja: Bob\nAihe: Hei",
    "pl": "Od: Ann\nWysłano: piątek\nDo: Bob\nTemat: Cześć",
    "cs": "Od: Ann\nOdesláno: pátek 22. července 2011 18:20\nKomu: Bob\nPředmět: Ahoj",
    "sk": "Od: Ann\nOdoslané: piatok 22. júla 2011 18:20\nKomu: Bob\nPredmet: Ahoj",
    "hu": "Feladó: Ann\nElküldve: 2011. július 22., péntek 18:20\nCímzett: Bob\nTárgy: Szia",
    "hr": "Od: Ann\nPoslano: petak, 22. srpnja 2011. 18:20\nPrima: Bob\nPredmet: Bok",
    "tr": "Kimden: Ann\nGönderildi: Cuma\nKime: Bob\nKonu: Merhaba",
    "ru": "От: Ann\nОтправлено: пятница\nКому: Bob\nТема: Привет",
    "uk": "Від: Ann\nНадіслано: п'ятниця, 22 липня 2011 р. 18:20\nКому: Bob\nТема: Привіт",
    "bg": "От: Ann\nИзпратено: петък, 22 юли 2011 г. 18:20\nДо: Bob\nОтносно: Здравей",
    "el": "Από: Ann\nΣτάλθηκε: Παρασκευή, 22 Ιουλίου 2011 6:20 μμ\nΠρος: Bob\nΘέμα: Γεια",
    "he": "מאת: Ann\nנשלח: יום שישי 22 יולי 2011 18:20\nאל: Bob\nנושא: שלום",
    "ar": "من: Ann\nتم الإرسال: الجمعة 22 يوليو 2011 6:20 م\nإلى: Bob\nالموضوع: مرحبا",
    "ja": "差出人: Ann\n送信日時: 2011年7月22日\n宛先: Bob\n件名: こんにちは",
    "zh": "发件人: Ann\n发送时间: 2011年7月22日 18:20\n收件人: Bob\n主题: 你好",
    "zh Taiwan": "寄件者: Ann\n寄件日期: 2011年7月22日 下午 06:20\n收件者: Bob\n主旨: 你好",
    "ko": "보낸 사람: Ann\n보낸 날짜: 2011년 7월 22일 금요일 오후 6:20\n받는 사람: Bob\n제목: 안녕하세요",
    "bold and under a line": "________________________________\n*From:* Ann\n*Sent:* Friday\n*To:* Bob\n*Subject:* Hello",
    "under a line of HTML": "---\n\nFrom: Ann <a@b.example>\nSent: Friday\nTo: Bob\nSubject: Hello",
}

ORIGINALS = (
    "-----Original Message-----",
    "-----Original Appointment-----",
    "-------- Original message --------",
    "------- Original Message -------",
    "-----Ursprüngliche Nachricht-----",
    "---- Исходное сообщение ----",
    "-----Message d'origine-----",
    "-----Mensaje original-----",
    "-----Messaggio originale-----",
    "-----Mensagem original-----",
    "-----Oorspronkelijk bericht-----",
    "-----Ursprungligt meddelande-----",
    "-----Opprinnelig melding-----",
    "-----Alkuperäinen viesti-----",
    "-----Původní zpráva-----",
    "-----Eredeti üzenet-----",
    "------------------ 原始邮件 ------------------",
    "-----Original Message-----\nFrom: Ann <a@b.example>",
    ">>> Megan One 02.04.2012 18:26 >>>",
)


@pytest.mark.parametrize("attribution", ATTRIBUTIONS.values(), ids=ATTRIBUTIONS)
@pytest.mark.parametrize("quote", ["> Hi\n>\n> Megan\n", "Hi\n\nMegan"], ids=["marked", "unmarked"])
def test_a_quote_under_its_attribution_is_parted(attribution: str, quote: str):
    split = split_quoted(f"Yes, please.\n\nTom\n\n{attribution}\n\n{quote}")
    assert split.new == "Yes, please.\n\nTom\n"
    assert split.quoted == f"{attribution}\n\n{quote}"


@pytest.mark.parametrize(
    "attribution", (ATTRIBUTIONS | WITHOUT_AN_ADDRESS).values(), ids=ATTRIBUTIONS | WITHOUT_AN_ADDRESS
)
def test_a_marked_quote_is_parted_from_the_reply_above_it_or_below(attribution: str):
    quote = f"{attribution}\n> Hi\n>\n> Megan"
    assert split_quoted(f"Yes.\n\n{quote}").quoted == quote
    below = split_quoted(f"{quote}\n\nYes, please.")
    assert (below.new, below.quoted) == ("\nYes, please.", quote)
    around = split_quoted(f"Hello Megan,\n\n{quote}\n\nYes, please.")
    assert (around.new, around.quoted) == ("Hello Megan,\n\n\nYes, please.", quote)


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
def test_a_quote_under_the_headers_of_outlook_is_parted(headers: str):
    split = split_quoted(f"Yes.\n\n{headers}\n\nHi")
    assert (split.new, split.quoted) == ("Yes.\n", f"{headers}\n\nHi")


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
def test_the_reply_under_a_marked_quote_with_headers_is_not_part_of_it(headers: str):
    split = split_quoted(f"{headers}\n\n> Hi\n> Megan\n\nYes.")
    assert (split.new, split.quoted) == ("\nYes.", f"{headers}\n\n> Hi\n> Megan")


@pytest.mark.parametrize("line", ORIGINALS)
def test_a_line_that_names_the_original_begins_a_quote(line: str):
    assert split_quoted(f"Yes.\n{line}\nHi").quoted == f"{line}\nHi"


PARTED = {
    "a quote in a quote without marks": (
        "Fine.\n\n{a}\n\nHi Tom,\n\nis it?\n\nOn Apr 1, 2012, at 11:55 AM, Tom <t@x.example> wrote:\n> Is it?",
        "Fine.\n",
    ),
    "the footer of a list under the quote stays": ("Fine.\n\n{a}\n> Hi\n\n____\na list\n", "Fine.\n\n\n____\na list\n"),
    "a footer under a quote that nothing introduces": ("Fine.\n\n> Hi\n\n-- \nTom\n", "Fine.\n\n\n-- \nTom\n"),
    "answers above and the whole mail once more below": (
        "> one?\nyes\n> two?\nno\n\n{a}\n> one?\n> two?",
        "> one?\nyes\n> two?\nno\n",
    ),
    "an attribution without a quote": ("Fine.\n\n{a}\n", "Fine.\n"),
    "a quote whose lines were broken on the way": (
        "{a}\n> Could you tell us until when you need the licences and for how many\nof the users\n> in Lyon?\n\nTwelve.",
        "\nTwelve.",
    ),
    "an attribution broken at its address": (
        "Fine.\n\nman. 2. apr. 2012 kl. 18:26 skrev Megan <m@x.example\n>:\n\n> Hi",
        "Fine.\n",
    ),
    "the initials of a writer": ("{a}\nMO> Hi\nMO> Megan\n\nFine.", "\nFine."),
    "an attribution that is only marked": ("> Hi\n> Megan\n\nFine.", "\nFine."),
    "a quote of a quote with a broken attribution": (
        "{a}\n> On Sunday, 1 April 2012, Tom <t@x.example>\n> wrote:\n>\n>> Hi\n\nFine.",
        "\nFine.",
    ),
}


@pytest.mark.parametrize(("text", "new"), PARTED.values(), ids=PARTED)
def test_only_what_is_quoted_is_parted(text: str, new: str):
    assert split_quoted(text.format(a=ATTRIBUTIONS["en"])).new == new


KEPT = {
    "replies between the lines": "{a}\n> one?\nyes\n> two?\nno",
    "replies between the lines and the rest of the quote": "{a}\n> one?\nyes\n> two?\n> and so on",
    "a short reply under a long line of a quote": "{a}\n> Would you be so kind as to confirm that we meet on Thursday at nine?\nyes\n> And where?",
    "forwarded mail": "FYI\n\n---------- Forwarded message ----------\nFrom: A <a@b.example>\nDate: x\nTo: b\nSubject: c\n\nHi",
    "forwarded mail of Apple": "FYI\n\nBegin forwarded message:\n\nFrom: A <a@b.example>\nDate: x\nTo: b\nSubject: c\n\nHi",
    "forwarded mail of Apple with marks": "FYI\n\n> Begin forwarded message:\n>\n> From: A <a@b.example>\n> Date: x\n> To: b\n> Subject: c\n>\n> Hi",
    "forwarded mail with a quote in it": "FYI\n\n-------- Weitergeleitete Nachricht --------\nBetreff: c\n\nGerne.\n\n{a}\n> Hi",
    "a quote and nothing else": "> Hi",
    "an unmarked quote and nothing else": "{a}\n\nHi",
    "headers and nothing else": "From: A <a@b.example>\nSent: Friday\nTo: b\nSubject: c\n\nHi",
    "a line that names the original, and headers": "-----Original Message-----\nFrom: A <a@b.example>\nSent: Friday\nTo: b\nSubject: c\n\nBob wrote:\n>one?\n\nyes\n\n>two?\n\nno",
    "a sentence that looks like an attribution": "As agreed:\nOn 3 March you wrote:\nWe will pay half.\nPlease do.",
    "an agreement": "Hello,\nOn Monday at 10:30 we agreed with ann@x.example:\nwe pay half.\nPlease do.",
    "an agreement with a full date": "Hello,\n\nOn 2 April 2012 at 10:30 we agreed with Ann <ann@x.example>:\n\nwe pay half.",
    "somebody who wrote to us": "Hello,\n\nOn 2 April 2012 at 10:30 Ann <ann@x.example> wrote to us:\n\nwe pay half.",
    "a sentence around an attribution": "Hello,\n\nI have this from Ann <ann@x.example>, on 2 April 2012 at 10:30 she wrote:\n\nwe pay half.",
    "words on the line of an attribution": "Hello,\nfine by me--- On Wed, Apr 4, 2012 at 3:59 PM, ann@x.example wrote:\n> Hi\n\nTom",
    "a citation that the writer introduces": "Hello,\n\nyour terms say in paragraph five:\n\n> The price is fixed.",
    "what the writer wrote before": "Hello,\n\nAs I wrote:\n> The price is fixed.\n\nIs it?",
    "a citation in the middle": "Hello,\n\n> The price is fixed.\n\nIs it?",
    "an itinerary": "Your trip\nFrom: London\nTo: Paris\nDate: 3 March",
    "a form of a web site": "New message\n\nFrom: Ann <a@b.example>\nDate: 3 March\nSubject: Prices\nMessage: Please call\nPhone: 123",
    "a form with headers of its own": "New message\n\nFrom: Ann <a@b.example>\nEmail: a@b.example\nSubject: Prices\n\nPlease call",
    "answers in colour": "Hi Ann, see my comments in red below.\n\nFrom: Ann\nSent: Friday\nTo: Bob\nSubject: Hello\n\nHow much? Ten.",
    "Antworten im Text": "Hallo Ann,\n\nmeine Antworten stehen unten im Text.\n\nVon: Ann\nGesendet: Freitag\nAn: Bob\nBetreff: Hallo\n\nWie viel? Zehn.",
    "an attribution above a cut and answers": "{a}\n\n[...]\n\nYes.\n\n> And where?\n\nIn Lyon.",
    "a reply under odd marks": "Hello,\n\n{a}\n| Hi\n| Megan\n\nYes.",
    "a reply under an odd quote with an attribution in it": "Hello,\n\n{a}\n) {a}\n) Hi\n\nYes.",
    "code": "Type this:\n\n>>> import this\n\nand read.",
}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_what_is_not_surely_a_quote_stays(text: str):
    text = text.format(a=ATTRIBUTIONS["en"])
    assert (split_quoted(text).new, split_quoted(text).quoted) == (text, "")


FORWARDED = "See below.\n\nFrom: Ann\nSent: Friday\nTo: Bob\nSubject: Hello\n\nHi"


def test_what_was_forwarded_under_a_comment_is_content():
    assert split_quoted(FORWARDED).quoted
    assert split_quoted(FORWARDED, forwarded=True).new == FORWARDED


@pytest.mark.parametrize(
    ("subject", "forwarded"),
    [
        *(
            (f"{prefix}: Offer", True)
            for prefix in (
                "Fwd",
                "FW",
                "fw",
                "WG",
                "TR",
                "RV",
                "ENC",
                "I",
                "VS",
                "VB",
                "VL",
                "PD",
                "İLT",
                "转发",
                "Doorst",
            )
        ),
        *(("[sales] Fwd: Offer", True), ("FW: RE: Offer", True), ("转发：报价", True)),
        *(
            (subject, False)
            for subject in (
                "Re: Fwd: Offer",
                "AW: WG: Offer",
                "Offer",
                "",
                "Forward planning: Q3",
                "Interview: Ann",
                "Trip: Lyon",
            )
        ),
    ],
)
def test_a_subject_says_whether_its_mail_was_forwarded(subject: str, forwarded: bool):
    assert is_forward(subject) is forwarded


LINES = st.sampled_from(
    [
        *"\n".join((ATTRIBUTIONS | WITHOUT_AN_ADDRESS).values()).split("\n"),
        *HEADERS["en"].split("\n"),
        *ORIGINALS[:3],
        *("> x", ">> x", "> wrote:", "", "text", "---", "-- ", "---------- Forwarded message ----------", "see inline"),
    ]
)
TEXTS = st.lists(LINES | st.text(), max_size=40).map("\n".join)


def is_merged(whole: list[str], one: list[str], other: list[str]) -> bool:
    """Whether `whole` is the lines of both, each in its order."""
    places = {0}
    for number, line in enumerate(whole):
        places = {
            place + step
            for place in places
            for step in (0, 1)
            if (
                place < len(one) and one[place] == line
                if step
                else number - place < len(other) and other[number - place] == line
            )
        }
    return len(whole) == len(one) + len(other) and len(one) in places


@given(TEXTS)
def test_every_line_is_in_one_of_the_parts_in_its_order(text: str):
    split = split_quoted(text)
    if split.quoted:
        assert is_merged(text.split("\n"), split.new.split("\n"), split.quoted.split("\n"))
    else:
        assert split.new == text


@pytest.mark.parametrize("heading", (*ATTRIBUTIONS.values(), *HEADERS.values(), *ORIGINALS))
def test_what_is_new_has_nothing_more_to_part(heading: str):
    new = split_quoted(f"Yes.\n\n{heading}\n\n> Hi\n> Megan\n\n-- \nTom").new
    assert new.strip().startswith("Yes.")
    assert split_quoted(new).new == new


@given(TEXTS)
def test_a_text_never_becomes_empty(text: str):
    assert bool(split_quoted(text).new.strip()) is bool(text.strip())


@given(TEXTS)
def test_a_line_without_a_mark_is_parted_only_in_one_piece(text: str):
    split = split_quoted(text)
    lines = text.split("\n")
    assert not split.quoted or any(
        lines[start : start + split.quoted.count("\n") + 1] == split.quoted.split("\n") for start in range(len(lines))
    )


LENGTH = 300_000
HOSTILE = {
    "marks": ">" * LENGTH,
    "lines of marks": "x\n" + ">\n" * (LENGTH // 2),
    "on": "On " * (LENGTH // 3),
    "lines of on": "On \n" * (LENGTH // 4),
    "wrote": "x\n" + "wrote:\n" * (LENGTH // 7),
    "on and wrote": "x\n" + ("On " * 120 + "2 wrote:\n") * (LENGTH // 370),
    "attributions": "x\n" + f"{ATTRIBUTIONS['en']}\n> x\n" * (LENGTH // 70),
    "headers": "x\n" + f"{HEADERS['en']}\n> x\n" * (LENGTH // 90),
    "from": "x\n" + "From:\n" * (LENGTH // 6),
    "brackets": "x\n" + ("<" * 398 + ":\n") * (LENGTH // 400),
    "blanks": "x\n" + (" " * 398 + ":\n") * (LENGTH // 400),
    "dashes": "x\n" + ("-" * 398 + "\n") * (LENGTH // 400),
    "one line": "a" * LENGTH,
    "colons": ":\n" * (LENGTH // 2),
    "originals": "x\n" + "-----Original Message-----\n> x\n" * (LENGTH // 31),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_work_grows_with_the_length_of_hostile_text(text: str):
    start = time.thread_time()
    split_quoted(text)
    assert time.thread_time() - start < 5


def test_what_hostile_html_costs_grows_with_its_length():
    html = (
        "<p>New</p>"
        + "<div><blockquote type=cite>Old</blockquote>New</div>On 2 wrote:" * 20_000
        + "<blockquote type=cite>" * 900
    )
    start = time.thread_time()
    parts_of(LexborHTMLParser(html))
    assert time.thread_time() - start < 5


HEADING = "<b>From:</b> Ann &lt;a@b.example&gt;<br><b>Sent:</b> Friday, July 22, 2011 6:20 PM<br><b>To:</b> Bob<br><b>Subject:</b> Hello"
WROTE = "On Mon, Apr 2, 2012 at 6:26 PM Megan One &lt;<a href='mailto:m@x.example'>m@x.example</a>&gt; wrote:"

MARKED = {
    "Gmail": f'<div dir="ltr">New</div><br><div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">{WROTE}<br></div><blockquote class="gmail_quote" style="margin:0 0 0 .8ex">Old<blockquote class="gmail_quote">Old</blockquote></blockquote></div>',
    "Gmail of 2012": f'New<div class="gmail_extra"><br><div class="gmail_quote">{WROTE}<br><blockquote class="gmail_quote">Old</blockquote></div><br></div>',
    "Gmail without a date": '<div>New</div><div class="gmail_quote">On Mon wrote:<blockquote>Old</blockquote></div>',
    "Gmail, the reply below": f'<div class="gmail_quote"><div class="gmail_attr">{WROTE}</div><blockquote class="gmail_quote">Old</blockquote><div>New</div></div>',
    "Outlook 2003": f"<DIV><FONT>New</FONT></DIV><BR><DIV class=OutlookMessageHeader><FONT>{HEADING}</FONT></DIV><P>Old</P>",
    "Outlook 2007": f"<div class=Section1><p class=MsoNormal>New</p><div style='border:none;border-top:solid #B5C4DF 1.0pt;padding:3.0pt 0cm 0cm 0cm'><p class=MsoNormal>{HEADING}</p></div><p>Old</p></div>",
    "Outlook 365": f"<div class=WordSection1><p>New</p><div><div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in 0in 0in'><p class=MsoNormal>{HEADING}</p></div></div><p>Old</p></div>",
    "Outlook 365 in French": "<div><p>New</p><div style='border:none;border-top:solid #E1E1E1 1.0pt'><p><b>De :</b> Ann<br><b>Envoyé :</b> vendredi 22 juillet 2011<br><b>À :</b> Bob<br><b>Objet :</b> Bonjour</p></div><p>Old</p></div>",
    "Outlook on the web": f'<div>New</div><div id="appendonsend"></div><hr style="display:inline-block;width:98%"><div id="divRplyFwdMsg" dir="ltr"><font>{HEADING}</font></div><div>Old</div>',
    "Outlook on the web, an unknown language": '<div>New</div><hr><div id="divRplyFwdMsg"><b>Xy:</b> Ann</div><div>Old</div>',
    "Outlook on the web today": f'<div>New</div><div id="mail-editor-reference-message-container"><div>{HEADING}</div><div>Old</div></div>',
    "Outlook for iOS": f'<div dir="ltr">New</div><div class="ms-outlook-mobile-reference-message skipProofing"><hr>{HEADING}<div>Old</div></div>',
    "Outlook for Mac": '<p>New</p><div style="border:none;border-top:solid #B5C4DF 1.0pt;padding:3.0pt 0in 0in 0in"><p><b>From: </b>Ann &lt;a@b.example&gt;<br><b>Date: </b>Friday, 22 July 2011<br><b>To: </b>Bob<br><b>Subject: </b>Hello</p></div><p>Old</p>',
    "Outlook 2011 for Mac": f'<div>New</div><span id="OLK_SRC_BODY_SECTION"><div>{HEADING}</div><div>Old</div></span>',
    "Windows Mail": '<div>New</div><div style="border-top-color: rgb(229, 229, 229); border-top-width: 1px; border-top-style: solid;"><strong>From:</strong> Ann &lt;a@b.example&gt;<br><strong>Sent:</strong> Friday<br><strong>To:</strong> Bob<br><strong>Subject:</strong> Hello</div><div>Old</div>',
    "Hotmail": '<div>New<br><br><hr id="stopSpelling">From: a@b.example<br>To: b@b.example<br>Subject: Hello<br>Date: Fri, 22 Jul 2011 18:20:11 +0200<br><br>Old</div>',
    "Apple Mail": f'<div>New</div><div><br><blockquote type="cite"><div>{WROTE}</div><br><div>Old</div></blockquote></div>',
    "Apple Mail of old": f'New<div><div>{WROTE}</div><br><blockquote type="cite"><div>Old</div></blockquote></div><br>',
    "iOS": f'<div dir="ltr">New</div><div dir="ltr"><br><blockquote type="cite">{WROTE}<br><br></blockquote></div><blockquote type="cite"><div dir="ltr">Old</div></blockquote>',
    "Apple Mail, the reply below": f'<blockquote type="cite"><div>{WROTE}</div><div>Old</div></blockquote><div>New</div>',
    "Yahoo": f'<div>New</div><div id="yahoo_quoted_123" class="yahoo_quoted"><div><div>{WROTE}</div><p>Old</p></div></div>',
    "Yahoo with other classes": f'<div>New</div><div class="ydp12345yahoo_quoted"><div>{WROTE}</div>Old</div>',
    "Thunderbird": f'<p>New</p><div class="moz-cite-prefix">{WROTE}<br></div><blockquote type="cite" cite="mid:1">Old</blockquote><br>',
    "Thunderbird, the reply below": f'<div class="moz-cite-prefix">{WROTE}<br></div><blockquote type="cite">Old</blockquote><p>New</p><div class="moz-signature">-- <br>Tom</div>',
    "Proton": f'<div>New</div><div class="protonmail_quote">------- Original Message -------<br>{WROTE}<br><blockquote class="protonmail_quote" type="cite">Old</blockquote><br></div>',
    "mail.ru": '<html><body>New<br><blockquote style="border-left:1px solid #0857A6;">Понедельник, 2 апреля 2012, 18:26 +04:00 от Megan One &lt;m@x.example&gt;:<br><div>Old</div></blockquote></body></html>',
    "mail.ru on telephones": '<div>New</div><div id="mail-app-auto-quote">Понедельник, 2 апреля 2012, 18:26 +04:00 от Megan &lt;m@x.example&gt;:<br><blockquote>Old</blockquote></div>',
    "Yandex": '<div>New</div><div>02.04.2012, 18:26, "Megan One" &lt;m@x.example&gt;:</div><blockquote><p>Old</p></blockquote>',
    "Zoho": '<div>New</div><br><div class="zmail_extra_hr" style="border-top: 1px solid"></div><div class="zmail_extra">---- On Mon, 02 Apr 2012 18:26 Megan &lt;m@x.example&gt; wrote ----<br><blockquote>Old</blockquote></div>',
    "AOL": "<div>New<br><br><div>-----Original Message-----<br>From: Ann &lt;a@b.example&gt;<br>To: Bob &lt;b@b.example&gt;<br>Sent: Fri, Jul 22, 2011 6:20 pm<br>Subject: Hello<br><br><div>Old</div></div></div>",
    "Fastmail": '<div>New<br></div><div>On Mon, 2 Apr 2012, at 6:26 PM, Megan One wrote:<br></div><blockquote type="cite" id="qt"><div>Old</div></blockquote>',
    "Spark": f'<div name="messageBodySection">New</div><div name="messageReplySection">{WROTE}<br><blockquote type="cite">Old</blockquote></div>',
    "Superhuman": f'<div>New</div><br><div class="gmail_quote">{WROTE}<br><blockquote class="gmail_quote">Old</blockquote></div>',
    "Front": f'<div>New</div><blockquote type="cite" class="front-blockquote">{WROTE}<div>Old</div></blockquote>',
    "HubSpot": f'<div>New</div><div class="hs_reply">{WROTE}<blockquote>Old</blockquote></div>',
    "Samsung": "<div>New</div><div><br></div><div>-------- Original message --------</div><div>From: Ann &lt;a@b.example&gt; </div><div>Date: 22/07/2011 18:20 (GMT+01:00) </div><div>To: Bob </div><div>Subject: Hello </div><div><br></div><div>Old</div>",
    "GMX": '<div>New</div><div name="quote" style="border-left:2px solid"><b>Gesendet:</b> Freitag<br><b>Von:</b> Ann<div name="quoted-content">Old</div></div>',
    "Zimbra": f'<div>New<br></div><hr id="zwchr" data-marker="__DIVIDER__"><div data-marker="__HEADERS__">{HEADING}</div><div data-marker="__QUOTED_TEXT__">Old</div>',
    "a plain sentence above a plain quote": f"<p>New</p><p>{WROTE}</p><blockquote>Old</blockquote>",
}


def read(html: str, *, forwarded: bool = False) -> tuple[str, str]:
    """What is new in HTML and what it quotes: by the marks of programs, then in the text."""

    def parts(tree: LexborHTMLParser) -> Mapping[int, Part]:
        return parts_of(tree, forwarded=forwarded)

    page = html_to_text(html, parts)
    split = split_quoted(page.text, forwarded=forwarded)
    return split.new, "\n".join((split.quoted, page.quoted))


@pytest.mark.parametrize("html", MARKED.values(), ids=MARKED)
def test_a_quote_that_a_mail_program_marked_is_parted(html: str):
    new, quoted = read(html)
    assert new.strip() in ("New", "New\n\n-- \nTom", "New\n\n--\nTom")
    assert "Old" in quoted


KEPT_HTML = {
    "forwarded by Gmail": '<div>FYI</div><div class="gmail_quote"><div class="gmail_attr">---------- Forwarded message ---------<br>From: A &lt;a@b.example&gt;<br>Date: x<br>Subject: c<br></div><br>Old<blockquote type="cite">Old</blockquote></div>',
    "forwarded by Gmail of 2012": 'FYI<div class="gmail_quote">---------- Forwarded message ---------<br>From: A<br>Old</div>',
    "forwarded by Apple Mail": '<div>FYI</div><blockquote type="cite"><div>Begin forwarded message:</div><br><div>From: A &lt;a@b.example&gt;</div><div>Old</div></blockquote>',
    "forwarded by Thunderbird": f'<p>FYI</p><div class="moz-forward-container">-------- Forwarded Message --------<table><tr><th>Subject:</th><td>c</td></tr></table>Old<div class="moz-cite-prefix">{WROTE}</div><blockquote type="cite">Old</blockquote></div>',
    "answers between the quotes": '<blockquote type="cite">one?</blockquote>yes<blockquote type="cite">two?</blockquote>no',
    "answers between the quotes of Gmail": f'<div class="gmail_quote"><div class="gmail_attr">{WROTE}</div><blockquote class="gmail_quote">one?</blockquote><div>yes</div><blockquote class="gmail_quote">two?</blockquote><div>no</div></div>',
    "answers between the quotes, the rest at the end": f'<div class="moz-cite-prefix">{WROTE}</div><blockquote type="cite">one?</blockquote><p>yes</p><blockquote type="cite">two?</blockquote>',
    "answers in colour": f'<div>See my answers in red.</div><div id="divRplyFwdMsg">{HEADING}</div><div>Old <span style="color:red">Ten</span></div>',
    "only a quote": '<div class="gmail_quote">Old</div>',
    "only a quote of Outlook": f'<div id="divRplyFwdMsg">{HEADING}</div><div>Old</div>',
    "a citation that nothing introduces": '<p>New</p><blockquote class="gmail_quote">Old</blockquote><p>New</p>',
    "a newsletter with a rule": "<p>New</p><div style='border-top:solid #E1E1E1 1.0pt'><p>Old</p></div>",
    "no quote": "<p>New</p>",
}


@pytest.mark.parametrize("html", KEPT_HTML.values(), ids=KEPT_HTML)
def test_html_without_a_sure_quote_stays(html: str):
    tree = LexborHTMLParser(html)
    assert Part.QUOTE not in parts_of(tree).values()


@pytest.mark.parametrize("program", [name for name in MARKED if "Outlook" in name or "Mail" in name])
def test_html_that_was_forwarded_is_content(program: str):
    new, quoted = read(MARKED[program], forwarded=True)
    assert "Old" in new
    assert not quoted.strip()


SIGNED = {
    "Gmail": '<div>New</div><span class="gmail_signature_prefix">-- </span><br><div class="gmail_signature" data-smartmail="gmail_signature">Tom</div>',
    "Gmail of 2012": '<div>New</div>-- <br><div class="gmail_signature">Tom</div>',
    "Thunderbird": '<p>New</p><div class="moz-signature">-- <br>Tom</div>',
    "Outlook on the web": '<div>New</div><div id="Signature"><p>Tom</p></div>',
    "Outlook for iOS": '<div>New</div><div id="ms-outlook-mobile-signature">Tom</div>',
    "Apple Mail": '<div>New</div><div id="AppleMailSignature" dir="ltr">Tom</div>',
    "Proton": '<div>New</div><div class="protonmail_signature_block"><div class="protonmail_signature_block-user">Tom</div></div>',
    "Spark": '<div name="messageBodySection">New</div><div name="messageSignatureSection">Tom</div>',
    "Samsung": '<div>New</div><div id="composer_signature">Tom</div>',
}


@pytest.mark.parametrize("html", SIGNED.values(), ids=SIGNED)
@pytest.mark.parametrize(
    "quote", ["", MARKED["Gmail"].removeprefix('<div dir="ltr">New</div>')], ids=["alone", "above a quote"]
)
def test_a_signature_that_a_mail_program_marked_is_parted(html: str, quote: str):
    page = html_to_text(html + quote, parts_of)
    assert page.text == "New"
    assert page.signature.removeprefix("--").strip() == "Tom"
    assert ("Old" in page.quoted) is bool(quote)


def test_a_message_that_is_only_a_signature_stays():
    assert parts_of(LexborHTMLParser(SIGNED["Outlook on the web"].removeprefix("<div>New</div>"))) == {}


def test_a_message_of_a_signature_and_a_quote_keeps_the_signature():
    page = html_to_text('<div id="Signature">Tom</div><div class="yahoo_quoted">Old</div>', parts_of)
    assert (page.text, page.quoted, page.signature) == ("Tom", "Old", "")


def test_what_was_hidden_around_a_quote_stays_hidden_in_it():
    page = html_to_text('<p>New</p><div style="display:none"><div class="yahoo_quoted">Old</div></div>', parts_of)
    assert "Old" not in page.text + page.quoted


PIECES = st.sampled_from(
    [
        *MARKED.values(),
        *KEPT_HTML.values(),
        *SIGNED.values(),
        *("<div>", "</div>", "<p>text", "<br>", "<blockquote type=cite>", "</blockquote>", "<hr>", "words"),
    ]
)


@given(st.lists(PIECES, max_size=6).map("".join))
def test_every_word_of_html_is_in_one_of_its_parts(html: str):
    whole, parted = html_to_text(html), html_to_text(html, parts_of)
    words = re.compile(r"\w+")
    assert sorted(words.findall(whole.text)) == sorted(
        words.findall(f"{parted.text}\n{parted.quoted}\n{parted.signature}")
    )
    assert bool(parted.text) is bool(whole.text)
