import time

import pytest

from salesos_inbox.mail.kinds import Kind, kind_of, speaks_of_subscription
from salesos_inbox.mail.links import Link
from salesos_inbox.mail.reading import Reading

ANN = "ann.lee@brightwater.example"
LINK = Link(1, "https://news.example/47", "news.example")
PREHEADER = "Three grocers tear out their racking, and why."


def letter(text: str = "The price is fine.", *, links: int = 0, hidden: str = "") -> Reading:
    return Reading(text, links=(LINK,) * links, hidden=hidden, hidden_chars=len(hidden))


@pytest.mark.parametrize(
    "subject",
    [
        "Automatic reply: Your offer",
        "Auto-Reply: Your offer",
        "Out of Office: Your offer",
        "Out of the office Re: Your offer",
        "[Auto-Reply] Your offer",
        "Automatische Antwort: Ihr Angebot",
        "Abwesenheitsnotiz: Ihr Angebot",
        "Réponse automatique : Votre offre",
        "Respuesta automática: Su oferta",
        "Fuera de la oficina: Su oferta",
        "Risposta automatica: La sua offerta",
        "Resposta automática: Sua oferta",
        "Automatisch antwoord: Uw offerte",
        "Autosvar: Ert erbjudande",
        "Automatisk svar: Tilbud",
        "Automaattinen vastaus: Tarjous",
        "Odpowiedź automatyczna: Oferta",
        "Automatická odpověď: Nabídka",
        "Automatikus válasz: Ajánlat",
        "Otomatik Yanıt: Teklif",
        "Αυτόματη απάντηση: Προσφορά",
        "Автоматический ответ: Предложение",
        "自动回复：报价",
        "自動応答: 見積書",
        "자동 회신: 견적",
        "رد تلقائي: العرض",
        "תשובה אוטומטית: הצעה",
        "Undelivered Mail Returned to Sender",
        "Undeliverable: Your offer",
        "Delivery Status Notification (Failure)",
        "Mail delivery failed: returning message to sender",
        "Unzustellbar: Ihr Angebot",
        "Non remis : Votre offre",
        "No se puede entregar: Su oferta",
        "Não é possível entregar: Sua oferta",
        "Onbestelbaar: Uw offerte",
        "Niedostarczone: Oferta",
        "Не удалось доставить: Предложение",
        "配信不能: 見積書",
    ],
)
def test_what_a_mail_system_answers_is_automatic_whoever_it_answers_for(subject: str):
    assert kind_of(ANN, subject, letter("I am back on 9 December. In urgent matters ask Karin Voss.")) is Kind.AUTOMATIC


@pytest.mark.parametrize(
    "subject",
    [
        "Accepted: Pricing review",
        "Declined: Pricing review",
        "Tentative: Pricing review",
        "Zugesagt: Preisrunde",
        "Accepté : Réunion",
        "Aceptado: Reunión",
        "Accettato: Riunione",
        "Aceito: Reunião",
        "Geaccepteerd: Overleg",
        "Zaakceptowano: Spotkanie",
        "Kabul Edildi: Toplantı",
        "Принято: Встреча",
        "已接受: 会议",
        "承諾: 会議",
        "수락됨: 회의",
        "Read: Your offer",
        "Gelesen: Ihr Angebot",
    ],
)
def test_a_calendars_answer_is_automatic_only_where_nobody_wrote_to_it(subject: str):
    words = "I will come for the first ten minutes, then I have to leave for Rotterdam."
    assert kind_of(ANN, subject, letter("")) is Kind.AUTOMATIC
    assert kind_of(ANN, subject, letter(words)) is Kind.PERSON
    event = Reading("Ann has accepted this invitation.", notes=("a calendar event comes with it as a file",))
    assert kind_of(ANN, subject, event) is Kind.AUTOMATIC


@pytest.mark.parametrize(
    "sender",
    [
        "no-reply@tally.example",
        "noreply@tally.example",
        "gmail-noreply@tally.example",
        "noreply+4711@tally.example",
        "do_not_reply@tally.example",
        "nicht-antworten@tally.example",
        "ne-pas-repondre@tally.example",
        "no-responder@tally.example",
        "niet-beantwoorden@tally.example",
        "MAILER-DAEMON@tally.example",
        "postmaster@tally.example",
        "bounce+8812@tally.example",
        "notifications@tally.example",
        "notify@inkwell.example",
        "security-alerts@tally.example",
        "bugzilla-daemon@tally.example",
        "build-robot@tally.example",
    ],
)
def test_a_machines_address_sends_automatic_mail_even_as_an_answer(sender: str):
    assert kind_of(sender, "Report ER-0931", letter()) is Kind.AUTOMATIC
    assert kind_of(sender, "Re: Report ER-0931", letter()) is Kind.AUTOMATIC


@pytest.mark.parametrize(
    ("sender", "subject", "reading"),
    [
        ("tickets@spreebahn.example", "Your booking SB-7Q4K2M", letter(hidden=PREHEADER)),
        ("orders@shop.example", "Ihre Bestellung 4711", letter("Bitte antworten Sie nicht auf diese E-Mail.")),
        ("hello@shop.example", "Order confirmation 4711", letter("Please do not reply to this e-mail.")),
        ("factures@shop.example", "Votre facture 4711", letter("Ceci est un message automatique.")),
        ("ann@shop.example", "Verify your e-mail", letter("This mailbox is not monitored.")),
    ],
)
def test_what_a_shop_or_a_service_reports_is_automatic(sender: str, subject: str, reading: Reading):
    assert kind_of(sender, subject, reading) is Kind.AUTOMATIC


@pytest.mark.parametrize(
    "line",
    [
        "Unsubscribe [1]",
        "Manage your preferences [1]",
        "If you no longer wish to receive these mails, click here [1]",
        "Newsletter abbestellen [1]",
        "Se désabonner [1]",
        "Darse de baja [1]",
        "Annulla l'iscrizione [1]",
        "Cancelar inscrição [1]",
        "Uitschrijven [1]",
        "Avprenumerera [1]",
        "Afmeld nyhedsbrev [1]",
        "Meld deg av [1]",
        "Peruuta tilaus [1]",
        "Wypisz się [1]",
        "Odhlásit [1]",
        "Leiratkozás [1]",
        "Dezabonare [1]",
        "Abonelikten çık [1]",
        "Απεγγραφή [1]",
        "Отписаться от рассылки [1]",
        "Відписатися [1]",
        "退订 [1]",
        "配信停止はこちら [1]",
        "수신거부 [1]",
        "إلغاء الاشتراك [1]",
        "להסרה מרשימת התפוצה [1]",
    ],
)
def test_what_says_how_to_leave_it_and_is_made_for_a_list_is_a_newsletter(line: str):
    text = f"Three grocers tear out their racking.\n\n{line}"
    assert speaks_of_subscription(line)
    assert (
        kind_of("nadia@quota.example", "The aisle is dead", letter(text, links=1, hidden=PREHEADER)) is Kind.NEWSLETTER
    )
    assert kind_of("nadia@quota.example", "The aisle is dead", letter(text, links=9)) is Kind.NEWSLETTER
    assert kind_of("weekly@intralog.example", "The aisle is dead", letter(text, links=1)) is Kind.NEWSLETTER


@pytest.mark.parametrize(
    "line",
    [
        "You receive this because you subscribed with maya@northwind.example.",
        "View this email in your browser [1]",
        "Diese Mail im Browser ansehen [1]",
        "Voir la version en ligne [1]",
        "Ver en el navegador [1]",
        "Visualizza nel browser [1]",
        "Ver no navegador [1]",
        "Bekijk de online versie [1]",
        "Visa i webbläsaren [1]",
        "Vis i browser [1]",
        "Zobacz w przeglądarce [1]",
        "Tarayıcıda görüntüle [1]",
        "Открыть в браузере [1]",
        "在浏览器中查看 [1]",
        "ブラウザで見る [1]",
        "브라우저에서 보기 [1]",
    ],
)
def test_what_says_why_it_comes_or_where_to_see_it_is_a_newsletter_where_it_can_be_left(line: str):
    text = f"{line}\n\nThree grocers tear out their racking.\n\nUnsubscribe [2]"
    assert kind_of("nadia@quota.example", "The aisle is dead", letter(text, links=2)) is Kind.NEWSLETTER


def test_a_link_to_leave_by_is_known_by_its_address():
    links = (Link(1, "https://go.quota.example/leave/8812", "go.quota.example"),)
    reading = Reading(
        "A member wrote to me.\n\nFarewell [1]", links=links, hidden=PREHEADER, hidden_chars=len(PREHEADER)
    )
    assert kind_of("nadia@quota.example", "Not a next step", reading) is Kind.NEWSLETTER


def test_the_list_of_links_does_not_hide_the_end_of_a_text():
    listed = "\n".join(f"[{number}] hxxps://click.example/{'x' * 60}" for number in range(1, 60))
    text = f"{'Three grocers tear out their racking. ' * 90}\n\nUnsubscribe [59]\n\n{listed}"
    assert kind_of("nadia@quota.example", "The aisle is dead", letter(text, links=9)) is Kind.NEWSLETTER


@pytest.mark.parametrize(
    ("sender", "subject", "reading"),
    [
        (ANN, "Offer", letter()),
        (ANN, "", letter("")),
        ("", "Offer", letter()),
        (ANN, "Re: The aisle is dead", letter("I agree.\n\nUnsubscribe [1]", links=30, hidden=PREHEADER)),
        (ANN, "Fwd: The aisle is dead", letter("FYI\n\nUnsubscribe [1]", links=30, hidden=PREHEADER)),
        (ANN, "WG: Messe", letter("zur Info\n\nAbmelden [1]", links=30, hidden=PREHEADER)),
        ("ann.lee@gmail.com", "Our club", letter("Unsubscribe [1]", links=9, hidden=PREHEADER)),
        ("info@marlow-books.example", "A cellar with a vaulted ceiling", letter()),
        ("billing@brightwater.example", "Invoice 4711", letter("We cannot find your invoice 4711.")),
        ("team@brightwater.example", "Your invoice 4711", letter("It has the wrong address, says our accounting.")),
        ("support@brightwater.example", "Your ticket 4711", letter("I have found the fault.", links=3)),
        (ANN, "Read this when you have a minute", letter("")),
        (ANN, "Accepted! We have a deal", letter("Send the contract.")),
        (ANN, "Accepted: your offer", letter("Great, please go ahead.")),
        (ANN, "Cancelled: order 4711", letter("Please call me.")),
        (ANN, "Newsletter", letter("Please take us off your newsletter, I cannot unsubscribe: https://x.example/u")),
        (
            ANN,
            "[ilug] Hurtage",
            letter("Sure.\n\nTo unsubscribe from this group, send an email to: leave@lists.example"),
        ),
        (
            ANN,
            "[ilug] SUSE",
            letter("Try it.\n\nhttps://lists.example/mailman/listinfo/ilug for (un)subscription information"),
        ),
        ("daemon@lublin.example", "Tack alla trafikanter", letter()),
        (
            ANN,
            "[ilug] SUSE",
            letter("Try it.\n\nTo unsubscribe from this group, send an email to: leave@lists.example", links=9),
        ),
        ("ann@news.brightwater.example", "Twelve links, as promised", letter(links=12)),
    ],
)
def test_mail_of_people_is_never_taken_for_anything_else(sender: str, subject: str, reading: Reading):
    assert kind_of(sender, subject, reading) is Kind.PERSON


@pytest.mark.parametrize("tool", ["Unsubscribe [1]", "If you would rather not hear from me, click here to opt out [1]"])
def test_outreach_that_somebody_wrote_stays_a_persons_mail(tool: str):
    text = f"Hi Maya,\n\nyour work with Fjordline came up twice. Fifteen minutes?\n\nFiona Larkin\n\n{tool}"
    assert kind_of("fiona.larkin@talentbridge.example", "A confidential talk?", letter(text, links=3)) is Kind.PERSON


@pytest.mark.parametrize(
    ("sender", "reading"),
    [
        ("nadia@newsletter-quota.example", letter("Racking.\n\nUnsubscribe [1]", links=1)),
        ("nadia@news.quota.example", letter("Racking.\n\nUnsubscribe [1]", links=1)),
        ("nadia@news.quota.example", letter(links=20)),
    ],
)
def test_the_host_it_comes_from_makes_a_newsletter_likelier(sender: str, reading: Reading):
    assert kind_of(sender, "The aisle is dead", reading) is Kind.NEWSLETTER
    assert kind_of("nadia@quota.example", "The aisle is dead", reading) is Kind.PERSON


def test_a_long_text_is_looked_at_only_at_its_ends():
    middle = "Unsubscribe [1] " * 100
    text = f"{'The price is fine. ' * 200}{middle}{'The price is fine. ' * 200}"
    assert kind_of("weekly@intralog.example", "Offer", letter(text, links=1)) is Kind.PERSON


@pytest.mark.parametrize(
    "words", ["[1] hxxps://x\n", "unsubscribe ", "receiving this ", "\n", "your a b ", "re: ", "a-."]
)
def test_no_text_takes_long(words: str):
    text = words * 20_000
    began = time.thread_time()
    kind_of(f"{text}@{text}", text, letter(text, links=1))
    assert time.thread_time() - began < 2


@pytest.mark.parametrize(
    "subject", ["Out of office next week – can we sign before?", "Accepted: your offer, but when?"]
)
def test_who_asks_in_a_subject_is_a_person(subject: str) -> None:
    assert kind_of("dana@helix.example", subject, Reading("Can we sign before Friday?")) is Kind.PERSON
