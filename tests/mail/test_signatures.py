# ruff: noqa: E501  (mail has long lines)
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesos_inbox.mail.signatures import is_signature, split_signature

NOTICES = {
    "en": "This e-mail and any attachments are confidential and intended solely for the addressee. If you have received it in\n"
    "error, please delete it and notify the sender.",
    "en with a title": "CONFIDENTIALITY NOTICE: The contents are privileged and intended only for the recipient.",
    "de": "Diese E-Mail enthält vertrauliche Informationen. Wenn Sie nicht der richtige Adressat sind oder diese E-Mail\n"
    "irrtümlich erhalten haben, vernichten Sie sie bitte.",
    "fr": "Ce message et ses pièces jointes sont confidentiels et destinés exclusivement à leur destinataire.\n"
    "Si vous l'avez reçu par erreur, merci de le détruire.",
    "es": "Este mensaje es confidencial y va dirigido únicamente a su destinatario.\n"
    "Si lo ha recibido por error, bórrelo; su divulgación está prohibida.",
    "it": "Questo messaggio contiene informazioni riservate ed è destinato solo al destinatario.\n"
    "Se ricevuto per errore, si prega di cancellarlo.",
    "nl": "Dit bericht is vertrouwelijk en uitsluitend bestemd voor de geadresseerde.\n"
    "Indien u het abusievelijk ontvangt, verwijder het dan.",
}

SIGNATURES = {
    "a delimiter": "-- \nTom Two\nSales, Two Ltd",
    "a delimiter whose blank was lost": "--\nTom Two\nSales, Two Ltd\nhttps://two.example",
    "a dash": "—\nTom Two",
    "two underscores": "__\nTom Two",
    "a signed delimiter": "- -- \nTom Two",
    "en iPhone": "Sent from my iPhone",
    "en Samsung": "Sent from my Samsung Galaxy smartphone.",
    "en Outlook": "Get Outlook for iOS",
    "en Outlook with a link": "Get Outlook for Android [1]",
    "en Yahoo": "Sent from Yahoo Mail on Android",
    "en Proton": "Sent with Proton Mail secure email.",
    "de": "Von meinem iPhone gesendet",
    "de Samsung": "Von meinem Samsung Galaxy Smartphone gesendet.",
    "de Outlook": "Gesendet von Outlook für Android",
    "de K-9": "Diese Nachricht wurde von meinem Android-Gerät mit K-9 Mail gesendet.",
    "fr": "Envoyé de mon iPhone",
    "fr Outlook": "Obtenez Outlook pour iOS",
    "es": "Enviado desde mi iPhone",
    "it": "Inviato da iPhone",
    "pt": "Enviado do meu iPhone",
    "nl": "Verstuurd vanaf mijn iPhone",
    "sv": "Skickat från min iPhone",
    "da": "Sendt fra min iPhone",
    "fi": "Lähetetty iPhonesta",
    "pl": "Wysłane z iPhone'a",
    "cs": "Odesláno z iPhonu",
    "ru": "Отправлено с iPhone",
    "uk": "Надіслано з iPhone",
    "tr": "iPhone'umdan gönderildi",
    "el": "Στάλθηκε από το iPhone μου",
    "ja": "iPhoneから送信",
    "zh": "发自我的 iPhone",
    "zh Taiwan": "從我的 iPhone 傳送",
    "ko": "나의 iPhone에서 보냄",
    "a list": "_______________________________________________\nusers mailing list\nusers@lists.example\n"
    "https://lists.example/mailman/listinfo/users",
    "the address of a list": "https://lists.example/mailman/listinfo/users",
    "a delimiter above the footer of a list": "-- \nTom Two\n\n_______________________________________________\n"
    "users mailing list\nhttps://lists.example/mailman/listinfo/users",
    **{f"notice {language}": notice for language, notice in NOTICES.items()},
    "a delimiter above a notice": f"--\nTom Two\nTwo Ltd\n\n{NOTICES['en']}",
}


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
def test_a_signature_is_parted(signature: str):
    assert split_signature(f"Yes, please.\n\nTom\n{signature}") == (
        "Yes, please.\n\nTom",
        signature,
    ) or split_signature(f"Yes, please.\n\nTom\n\n{signature}") == ("Yes, please.\n\nTom\n", signature)


@pytest.mark.parametrize(
    "closing",
    [
        "Best regards,",
        "Mit freundlichen Grüßen",
        "Cordialement,",
        "Saludos,",
        "Cordiali saluti",
        "Met vriendelijke groet,",
        "С уважением,",
    ],
)
def test_contact_lines_under_a_closing_are_parted_and_the_name_stays(closing: str):
    contact = "Sales Manager\nTwo Ltd\n+49 30 1234567\nwww.two.example"
    assert split_signature(f"Yes.\n\n{closing}\nTom Two\n{contact}") == (f"Yes.\n\n{closing}\nTom Two", contact)


KEPT = {
    "nothing but a signature": "-- \nTom Two",
    "a closing and a name": "Yes.\n\nBest regards,\nTom",
    "a postscript": "Yes.\n\nBest regards,\nTom\n\nPS: Please call +49 30 1234567 before noon, as I leave early.",
    "a question under the name": "Yes.\n\nThanks,\nTom\n\nWhat about www.two.example?",
    "a rule between paragraphs": "One.\n--\nThis is the second point, and it is a whole sentence.",
    "a rule above a question": "One.\n--\nShall we?",
    "a list of points": "We need\n- one\n- two",
    "a sentence about sending": "Sent from my heart to all of you, with the wish that this year is better than the one before it was.",
    "how it was sent": "The contract?\n\nSent by post yesterday.",
    "a sentence about confidential things": "Please sign.\n\nThis message contains the draft; keep it to yourself.",
    "a word in the middle": "Sent from my iPhone\n\nwas all that it said. Why?",
    "a table": "name   price\n--------------------\nchair  10",
    "headers under a name": "Thanks,\nTom\n\nFrom: Ann <a@b.example>\nTo: Bob",
    "a rule and prose": "One.\n____________________\nPlease call the customer back.",
    "blank": "\n\n",
    "empty": "",
}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_what_is_not_surely_a_signature_stays(text: str):
    assert split_signature(text) == (text, "")


def test_a_text_is_known_as_a_signature_only_if_all_of_it_is():
    assert is_signature("-- \nTom Two")
    assert is_signature("\nSent from my iPhone\n")
    assert is_signature("")
    assert not is_signature("Yes.\n-- \nTom Two")


LINES = st.sampled_from([line for text in (*SIGNATURES.values(), *KEPT.values()) for line in text.split("\n")])
TEXTS = st.lists(LINES | st.text(), max_size=30).map("\n".join)


@given(TEXTS)
def test_text_and_signature_are_the_whole(text: str):
    written, signature = split_signature(text)
    assert "\n".join([written, signature] if signature else [written]) == text


@given(TEXTS)
def test_a_text_is_never_empty_without_its_signature(text: str):
    assert bool(split_signature(text)[0].strip()) is bool(text.strip())


@pytest.mark.parametrize(
    "line",
    [
        "-- ",
        "--",
        "_" * 30,
        "Thanks,",
        "Sent from my ",
        "this email confidential ",
        "www." * 90,
        "a" * 300_000,
        " " * 399,
    ],
    ids=lambda line: line[:12],
)
def test_the_work_grows_with_the_length_of_hostile_text(line: str):
    text = "x\n" + f"{line}\n" * (300_000 // len(line))
    start = time.thread_time()
    split_signature(text)
    assert time.thread_time() - start < 5
