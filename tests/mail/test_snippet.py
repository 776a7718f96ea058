import time

import pytest

from salesos_inbox.mail.snippet import first_words


@pytest.mark.parametrize(
    "greeting",
    [
        "Hi Maya,",
        "Dear Mr. Smith:",
        "Dear Ms Lindqvist, dear Mr Brandt,",
        "Maya,",
        "Good morning all!",
        "To whom it may concern,",
        "Hallo zusammen,",
        "Sehr geehrte Frau Dr. Müller,",
        "Grüß Gott Frau Huber,",
        "Bonjour Camille,",
        "Chère Madame Dubois,",
        "Hola, Maya:",
        "Estimada Lucía:",
        "Gentile Dott. Rossi,",
        "Buongiorno a tutti,",
        "Olá João,",
        "Prezada Senhora Souza,",
        "Geachte heer De Vries,",
        "Beste Pieter,",
        "Hej Astrid!",
        "Kjære Ola,",
        "Hyvä Matti,",
        "Dzień dobry Pani Anno,",
        "Szanowna Pani,",
        "Dobrý den, paní Nováková,",
        "Kedves Anna!",
        "Bună ziua,",
        "Sayın Elif Kaya,",
        "Γεια σας,",
        "Здравствуйте, Анна!",
        "Уважаемый Иван Петрович,",
        "Добрий день, Олено!",
        "السلام عليكم،",
        "خانم رستمی گرامی، سلام",
        "שלום רב,",
        "नमस्ते माया,",
        "Kính gửi chị Lan,",
        "Yth. Bapak Budi,",
        "田中様",
        "いつもお世話になっております。",
        "王经理，您好！",
        "尊敬的王先生：",
        "안녕하세요.",
        "김 부장님,",
    ],
)
def test_a_greeting_is_left_out_where_more_follows(greeting: str):
    assert first_words(f"{greeting}\n\nThe price is fine.\nSend it.", 80) == "The price is fine. Send it."


@pytest.mark.parametrize("text", ["Hi Maya,", "Hallo!", "田中様", "Maya,"])
def test_a_greeting_is_shown_where_nothing_follows(text: str):
    assert first_words(text, 80) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hi Maya, the price is fine.", "the price is fine."),
        ("Good morning Mr. Ito! The price is fine.", "The price is fine."),
        ("Hello world is what it prints.", "Hello world is what it prints."),
        ("Dear customers will love it.", "Dear customers will love it."),
        ("Monday works.", "Monday works."),
        ("No. 5 is the better offer, as I said.", "No. 5 is the better offer, as I said."),
        ("Yes | no | maybe? I say yes.", "Yes | no | maybe? I say yes."),
        ("Sent the mail to Tom.\nHe will call.", "Sent the mail to Tom. He will call."),
        ("Get me a mobile number.\nThanks", "Get me a mobile number. Thanks"),
        ("Thanks,\nyour letter came.", "your letter came."),
        (
            "Please take me off the newsletter, I cannot unsubscribe.",
            "Please take me off the newsletter, I cannot unsubscribe.",
        ),
        ("Moin,\n\n- 12 robots\n- 3 spares", "12 robots 3 spares"),
        (
            "I am in meeting room C4 (the big one). It is 3. Floor.",
            "I am in meeting room C4 (the big one). It is 3. Floor.",
        ),
    ],
)
def test_what_somebody_says_is_kept(text: str, words: str):
    assert first_words(text, 80) == words


@pytest.mark.parametrize(
    "frame",
    [
        "[image: Northwind Robotics]",
        "[image: Northwind] [1]",
        "View in browser | Unsubscribe",
        "View this email in your browser [1]",
        "Im Browser ansehen [1]",
        "Voir la version en ligne [1]",
        "Ver en el navegador",
        "ブラウザで表示する [1]",
        "You receive this because you subscribed with maya@northwind.example.",
        "Unsubscribe [1] · Preferences [2]",
        "Home [1] | Shop [2] | Contact [3]",
        "Products | Prices | Support",
        "[3]",
        "No. 47 · 16 November 2026",
        "Ausgabe 12/2026",
        "Issue #112",
        "Monday, 16 November 2026",
        "Montag, 16. November 2026",
        "lundi 16 novembre 2026",
        "2026年11月16日",
        "Sent from my iPhone",
        "Von meinem iPhone gesendet",
        "Envoyé de mon iPhone",
        "Enviado desde mi iPhone",
        "Inviato da iPhone",
        "Get Outlook for iOS",
        "iPhoneから送信",
        "发自我的iPhone",
        "On Mon, Jun 1, 2026 at 2:14 PM, Ann <a@b.example> wrote:",
        "Am 1. Juni 2026 um 14:14 schrieb Ann Lee:",
        "> Is there an offer?",
        "---",
        "* * *",
        "[1] hxxps://acme.example/new",
        "https://acme.example/new",
        "-----BEGIN PGP SIGNED MESSAGE-----",
        "---------- Forwarded message ----------",
        "From: Ann Lee <ann@acme.example>",
        "[EXTERNAL]",
        "CAUTION: This email originated from outside of the organization. Do not click links.",
    ],
)
def test_what_stands_around_the_words_is_left_out(frame: str):
    assert first_words(f"{frame}\n\nThe price is fine.", 80) == "The price is fine."
    assert first_words(f"The price is fine.\n\n{frame}\n\nSend it.", 80) == "The price is fine. Send it."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[image: Summer sale]", "[image: Summer sale]"),
        ("Unsubscribe [1]\n\n[1] hxxps://acme.example/u", "Unsubscribe"),
        ("> Is there an offer?", "Is there an offer?"),
        ("Sent from my iPhone", "Sent from my iPhone"),
        ("[1] hxxps://acme.example/new", "[1] hxxps://acme.example/new"),
        ("16 November 2026", "16 November 2026"),
        ("👍", "👍"),
        ("", ""),
        (" \n\n ", ""),
    ],
)
def test_where_nothing_else_is_there_what_is_there_is_shown(text: str, words: str):
    assert first_words(text, 80) == words


def test_who_asks_to_be_taken_off_a_list_is_heard():
    text = "Please take me off the newsletter, I cannot unsubscribe.\nThe racks are fine."
    assert first_words(text, 90) == "Please take me off the newsletter, I cannot unsubscribe. The racks are fine."


def test_a_long_sentence_is_kept_whatever_it_is_about():
    text = f"Customers unsubscribe {'again and ' * 15}again.\nThe racks are fine."
    assert first_words(text, 30) == "Customers unsubscribe again a…"


def test_a_newsletter_begins_with_its_first_story():
    text = """\
[image: Intralog Weekly] [1]
No. 47 · 17 November
Read in browser [2]

Three grocers tear out their fixed racking [3]

For twenty years the aisle was where the money was.

[1] hxxps://click.intralog.example/logo
[2] hxxps://click.intralog.example/web
[3] hxxps://click.intralog.example/lead"""
    assert (
        first_words(text, 90)
        == "Three grocers tear out their fixed racking For twenty years the aisle was where the money…"
    )


def test_a_frame_that_runs_over_two_lines_is_left_out_whole():
    text = "If you can't read this message, open it at\nhttps://news.example or\nwrite to us.\nThe racks are gone."
    assert first_words(text, 80) == "The racks are gone."


def test_numbers_of_links_and_warnings_about_them_are_left_out_of_a_sentence():
    text = "Log in at portal.acme.test [2: leads to evil.test, not portal.acme.test] and see [image: a cat] this [3]."
    assert first_words(text, 80) == "Log in at portal.acme.test and see this."


def test_a_japanese_letter_begins_after_its_addressee():
    text = "Northwind Robotics\nリンドクヴィスト様\n\nお世話になっております。\n星野物流の田中と申します。"
    assert first_words(text, 80) == "星野物流の田中と申します。"


@pytest.mark.parametrize("limit", [0, 1, 5, 10, 90])
def test_words_are_never_longer_than_their_limit(limit: int):
    assert len(first_words("Hi,\n\n" + "The price is fine. " * 1000, limit)) <= limit


def test_lines_are_read_only_as_far_as_they_are_needed():
    assert first_words("The price is fine. " * 200_000, 20) == "The price is fine.…"


@pytest.mark.parametrize(
    "words", ["Hi ", "Dear Dr. ", "| ", "a | ", "1 ", "jan 1 ", "[1] ", "- ", "\n", "on 2024 ", "様"]
)
def test_no_text_takes_long(words: str):
    for text in (words * 50_000, f"{words * 50}\n" * 2_000):
        began = time.thread_time()
        first_words(text, 90)
        assert time.thread_time() - began < 2
