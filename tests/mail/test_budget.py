# ruff: noqa: E501  (mail has long lines)
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesos_inbox.mail.budget import cut, estimate_tokens

MEASURED = {
    "enmail": (
        "Hi Maya,\n\nThanks for the call yesterday — really useful. As discussed, I've attached the revised proposal with the 3-year pricing and the SSO add-on. Could you let me know by Thursday whether legal needs anything else from us?\n\nHappy to jump on a quick call if it's easier.\n\nBest,\nTom\n\n--\nTom Baker | Account Executive\nAcme Inc. | +1 (415) 555-0134",
        85,
    ),
    "de": (
        "Sehr geehrte Frau Müller, vielen Dank für Ihre Anfrage vom Dienstag. Gerne senden wir Ihnen bis Ende der Woche ein überarbeitetes Angebot für 240 Arbeitsplätze einschließlich der gewünschten Schulung. Könnten Sie uns bitte noch mitteilen, ob die Lieferung nach München oder Nürnberg erfolgen soll? Mit freundlichen Grüßen, Jürgen Weiß",
        67,
    ),
    "fr": (
        "Bonjour Hélène, je vous remercie pour votre message et pour la réunion très intéressante de jeudi dernier. Comme convenu, vous trouverez ci-joint la proposition révisée ainsi que le calendrier de déploiement. N'hésitez pas à me contacter si vous avez la moindre question. Bien à vous, François",
        62,
    ),
    "pl": (
        "Dzień dobry, dziękuję za przesłanie oferty. Czy moglibyśmy umówić się na rozmowę w przyszłym tygodniu, żeby omówić szczegóły wdrożenia i możliwości płatności w ratach? Proszę również o potwierdzenie, że cena obejmuje szkolenie. Pozdrawiam, Łukasz Wiśniewski",
        87,
    ),
    "ru": (
        "Здравствуйте, Алексей! Спасибо за ваше письмо. Мы рассмотрели предложение и готовы обсудить условия поставки на следующей неделе. Пожалуйста, пришлите обновлённый договор и укажите сроки внедрения. С уважением, Ольга Кузнецова",
        59,
    ),
    "ar": (
        "السيد أحمد المحترم، شكرا جزيلا على رسالتكم. لقد راجعنا العرض ونود أن نحدد موعدا للاجتماع الأسبوع القادم لمناقشة شروط الدفع ومواعيد التسليم. يرجى إرسال العقد المحدث قبل يوم الخميس. مع أطيب التحيات",
        61,
    ),
    "fa": (
        "سلام آقای رضایی، از پیشنهاد شما بسیار سپاسگزاریم. می\u200cخواهیم هفته آینده جلسه\u200cای برای بررسی شرایط پرداخت و زمان تحویل برگزار کنیم. لطفاً نسخه به\u200cروز شده قرارداد را برای ما بفرستید. با احترام",
        53,
    ),
    "hi": (
        "नमस्ते राहुल जी, आपके प्रस्ताव के लिए बहुत धन्यवाद। हम अगले सप्ताह भुगतान की शर्तों और वितरण की तारीख पर चर्चा करना चाहते हैं। कृपया अद्यतन अनुबंध हमें गुरुवार से पहले भेज दें। सादर",
        52,
    ),
    "ja": (
        "山田様、いつもお世話になっております。先日はお打ち合わせのお時間をいただき、ありがとうございました。ご依頼いただいた見積書を添付いたしましたので、ご確認のほどよろしくお願いいたします。ライセンス数の変更がございましたら、木曜日までにご連絡ください。株式会社テクノロジー 営業部 佐藤",
        84,
    ),
    "zh": (
        "张经理，您好！感谢您上周的来信。我们已经仔细审阅了贵公司的报价方案，希望下周能安排一次会议，讨论付款条件和交货时间。请在星期四之前把更新后的合同发给我们，谢谢。此致敬礼，李明",
        61,
    ),
    "ko": (
        "안녕하세요 김민수 부장님, 보내주신 견적서 잘 받았습니다. 다음 주에 결제 조건과 납품 일정을 논의하기 위한 회의를 잡고 싶습니다. 목요일까지 수정된 계약서를 보내주시면 감사하겠습니다. 좋은 하루 되세요.",
        61,
    ),
    "emoji": (
        "Great news 🎉🎉 the deal is closed! 🚀 Thanks team 👏👏👏 See you at the party 🥳🍾 — bring your family 👨\u200d👩\u200d👧\u200d👦 ❤️ ✅ done, ⚠️ pending, 🇩🇪 🇫🇷 offices next 💼📈",
        67,
    ),
    "url": (
        "Track: https://click.mail.example.com/ls/click?upn=u001.Xy7ZqPq2b9dKf3aLmN0pQrS8tUvW4xYz1A2B3C4D5E6F7G8H9I0J-2BkLmNoPqRsTuVwXyZ012345678901234567890_dd1b1d5b0f8c4a2f9e7d6c5b4a39281706f5e4d3c2b1a0 and id 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        157,
    ),
    "table": (
        "Item | Qty | Price\nStandard seat | 240 | €12.50\nPremium seat | 12 | €31.00\nSupport (24/7) | 1 | €4,800.00\nTotal | | €8,172.00\n\nInvoice no. 2026-11-0042 due 2026-12-15, IBAN DE89 3704 0044 0532 0130 00, VAT ID DE123456789, PO #A-77812/B",
        108,
    ),
}
"""Texts, and their tokens by gpt-tokenizer's o200k_base."""


def test_nothing_costs_nothing():
    assert estimate_tokens("") == 0


@pytest.mark.parametrize(("text", "tokens"), MEASURED.values(), ids=MEASURED)
def test_the_estimate_is_near_what_o200k_counts(text: str, tokens: int):
    assert estimate_tokens(text) == pytest.approx(tokens, rel=0.25)


def test_a_cut_prefers_the_end_of_a_paragraph():
    text = "First paragraph of it.\n\nSecond paragraph that is long."
    piece = cut(text, 9)
    assert piece.text == "First paragraph of it.\n\n"
    assert piece.next_offset == len(piece.text)
    assert piece.left_chars == len("Second paragraph that is long.")


def test_a_text_that_fits_is_whole():
    piece = cut("Hello", 100)
    assert (piece.text, piece.next_offset, piece.left_chars) == ("Hello", None, 0)


def test_an_offset_outside_the_text_is_its_end():
    assert cut("Hello", 10, 99).text == ""


@given(st.text() | st.text("ab \n漢\u0301\u200d\U0001f468"), st.integers(-1, 20))
def test_the_pieces_are_the_whole_and_each_takes_a_step(text: str, tokens: int):
    pieces: list[str] = []
    offset: int | None = 0
    while offset is not None:
        piece = cut(text, tokens, offset)
        assert piece.text or not text
        pieces.append(piece.text)
        offset = piece.next_offset
    assert "".join(pieces) == text


@given(st.text(min_size=1), st.integers(1, 30))
def test_a_piece_of_more_than_a_character_keeps_the_budget(text: str, tokens: int):
    piece = cut(text, tokens)
    assert len(piece.text) == 1 or estimate_tokens(piece.text) <= tokens + 1
