# ruff: noqa: E501  (mail has long lines)
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesos_inbox.mail.quotes import split_quoted, split_quoted_html

ATTRIBUTIONS = {
    "en": "On Mon, Apr 2, 2012 at 6:26 PM, Megan One <m@x.example> wrote:",
    "en wrapped": "On Monday, 2 April 2012 at 18:26:11 CEST, Megan One with a long name\n<m@x.example> wrote:",
    "de": "Am 02.04.2012 um 18:26 schrieb Megan One <m@x.example>:",
    "fr": "Le lun. 2 avr. 2012 à 18:26, Megan One <m@x.example> a écrit :",
    "es": "El lun, 2 abr 2012 a las 18:26, Megan One (<m@x.example>) escribió:",
    "it": "Il giorno lun 2 apr 2012 alle ore 18:26 Megan One <m@x.example> ha scritto:",
    "pt": "Em seg., 2 de abr. de 2012 às 18:26, Megan One <m@x.example> escreveu:",
    "nl": "Op ma 2 apr. 2012 om 18:26 schreef Megan One <m@x.example>:",
    "sv": "Den mån 2 apr. 2012 kl 18:26 skrev Megan One <m@x.example>:",
    "pl": "pon., 2 kwi 2012 o 18:26 Megan One <m@x.example> napisał(a):",
    "ja": "2012年4月2日(月) 18:26 Megan One <m@x.example>:",
    "tr": "Megan One <m@x.example>, 2 Nis 2012 Pzt, 18:26 tarihinde şunu yazdı:",
    "ru": "пн, 2 апр. 2012 г. в 18:26, Megan One <m@x.example> написал:",
    "yandex": '02.04.2012, 18:26, "Megan One" <m@x.example>:',
}
HEADERS = {
    "en": "From: Ann <a@b.example>\nSent: Friday, July 22, 2011 6:20 PM\nTo: Bob\nSubject: Hello",
    "de": "Von: Ann\nGesendet: Freitag, 22. Juli 2011 18:20\nAn: Bob\nBetreff: Hallo",
    "fr": "De : Ann\nEnvoyé : vendredi 22 juillet 2011\nÀ : Bob\nObjet : Bonjour",
    "es": "De: Ann\nEnviado: viernes, 22 de julio\nPara: Bob\nAsunto: Hola",
    "it": "Da: Ann\nInviato: venerdì 22 luglio\nA: Bob\nOggetto: Ciao",
    "pt": "De: Ann\nEnviada: sexta-feira\nPara: Bob\nAssunto: Olá",
    "nl": "Van: Ann\nVerzonden: vrijdag\nAan: Bob\nOnderwerp: Hallo",
    "sv": "Från: Ann\nSkickat: fredag\nTill: Bob\nÄmne: Hej",
    "pl": "Od: Ann\nWysłano: piątek\nDo: Bob\nTemat: Cześć",
    "ja": "差出人: Ann\n送信日時: 2011年7月22日\n宛先: Bob\n件名: こんにちは",
    "tr": "Kimden: Ann\nGönderildi: Cuma\nKime: Bob\nKonu: Merhaba",
    "ru": "От: Ann\nОтправлено: пятница\nКому: Bob\nТема: Привет",
    "bold and under a line": "________________________________\n*From:* Ann\n*Sent:* Friday\n*To:* Bob\n*Subject:* Hello",
}


@pytest.mark.parametrize("attribution", ATTRIBUTIONS.values(), ids=ATTRIBUTIONS)
@pytest.mark.parametrize("quote", ["> Hi\n>\n> Megan\n", "Hi\n\nMegan"], ids=["marked", "unmarked"])
def test_a_quote_under_its_attribution_is_parted(attribution: str, quote: str):
    split = split_quoted(f"Yes, please.\n\nTom\n\n{attribution}\n\n{quote}")
    assert split.new == "Yes, please.\n\nTom\n"
    assert split.quoted == f"{attribution}\n\n{quote}"


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
def test_a_quote_under_the_headers_of_outlook_is_parted(headers: str):
    split = split_quoted(f"Yes.\n\n{headers}\n\nHi")
    assert (split.new, split.quoted) == ("Yes.\n", f"{headers}\n\nHi")


@pytest.mark.parametrize(
    "line", ["-----Original Message-----", "-----Ursprüngliche Nachricht-----", "---- Исходное сообщение ----"]
)
def test_a_line_that_names_the_original_begins_a_quote(line: str):
    assert split_quoted(f"Yes.\n{line}\nHi").quoted == f"{line}\nHi"


KEPT = {
    "replies between the lines": "On Mon 1:00, A <a@b.example> wrote:\n> one?\nyes\n> two?\nno",
    "a reply under the quote": "On Mon 1:00, A <a@b.example> wrote:\n> one?\nyes",
    "forwarded mail": "FYI\n\n---------- Forwarded message ----------\nFrom: A <a@b.example>\nDate: x\nTo: b\nSubject: c\n\nHi",
    "forwarded mail of Apple": "FYI\n\nBegin forwarded message:\n\nFrom: A <a@b.example>\nDate: x\nTo: b\nSubject: c\n\nHi",
    "a quote and nothing else": "> Hi",
    "a sentence that looks like an attribution": "As agreed:\nOn 3 March you wrote:\nWe will pay half.\nPlease do.",
    "an itinerary": "Your trip\nFrom: London\nTo: Paris\nDate: 3 March",
}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_what_is_not_surely_a_closing_quote_stays(text: str):
    assert (split_quoted(text).new, split_quoted(text).quoted) == (text, "")


LINES = st.sampled_from(
    [*"\n".join(ATTRIBUTIONS.values()).split("\n"), *HEADERS["en"].split("\n"), "> x", "", "text", "---"]
)


@given(st.lists(LINES | st.text()).map("\n".join))
def test_every_line_is_in_one_of_the_parts(text: str):
    split = split_quoted(text)
    assert "\n".join([split.new, split.quoted] if split.quoted else [split.new]) == text


MARKED = {
    "Gmail": '<div>New</div><div class="gmail_extra"><div class="gmail_quote">On Mon wrote:<blockquote>Old</blockquote></div><br></div>',
    "Thunderbird": 'New<div class="moz-cite-prefix">A wrote:</div><blockquote type="cite">Old</blockquote><br>',
    "Outlook on the web": '<div>New</div><hr><div id="divRplyFwdMsg">From: A</div><div>Old</div>',
    "Outlook": "<p>New</p><div><div style='border:none;border-top:solid #E1E1E1 1.0pt'><p>From: A</div></div><p>Old</p>",
    "Yahoo": '<div>New</div><div class="yahoo_quoted"><p>Old</p></div>',
    "Proton": '<div>New</div><div class="protonmail_quote"><p>Old</p></div>',
}


@pytest.mark.parametrize("html", MARKED.values(), ids=MARKED)
def test_a_quote_that_a_mail_program_marked_is_parted(html: str):
    new, quoted = split_quoted_html(html)
    assert "New" in new
    assert "Old" not in new
    assert "Old" in quoted
    assert "New" not in quoted


@pytest.mark.parametrize(
    "html",
    [
        'FYI<div class="gmail_quote">---------- Forwarded message ---------<br>From: A<br>Old</div>',
        '<blockquote type="cite">one?</blockquote>yes<blockquote type="cite">two?</blockquote>no',
        '<div class="gmail_quote">Old</div>',
        "<p>New</p>",
    ],
    ids=["forwarded", "between the lines", "only a quote", "no quote"],
)
def test_html_without_a_sure_quote_stays(html: str):
    assert split_quoted_html(html) == (html, "")


def test_what_was_hidden_around_a_quote_stays_hidden_in_it():
    _, quoted = split_quoted_html('<p>New</p><div style="display:none"><div class="gmail_quote">Old</div></div>')
    assert 'style="display:none"' in quoted
