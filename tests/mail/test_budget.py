# ruff: noqa: E501  (mail has long lines)
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesos_inbox.mail.budget import cut, estimate_tokens
from salesos_inbox.mail.unicode import whole_character, whole_characters

MEASURED = {
    "English": (
        "Hi Maya,\n\nThanks for the call yesterday — really useful. As discussed, I've attached the revised proposal with the 3-year pricing and the SSO add-on. Could you let me know by Thursday whether legal needs anything else from us?\n\nHappy to jump on a quick call if it's easier.\n\nBest,\nTom\n\n--\nTom Baker | Account Executive\nAcme Inc. | +1 (415) 555-0134",
        85,
    ),
    "German": (
        "Sehr geehrte Frau Müller, vielen Dank für Ihre Anfrage vom Dienstag. Gerne senden wir Ihnen bis Ende der Woche ein überarbeitetes Angebot für 240 Arbeitsplätze einschließlich der gewünschten Schulung. Könnten Sie uns bitte noch mitteilen, ob die Lieferung nach München oder Nürnberg erfolgen soll? Mit freundlichen Grüßen, Jürgen Weiß",
        67,
    ),
    "French": (
        "Bonjour Hélène, je vous remercie pour votre message et pour la réunion très intéressante de jeudi dernier. Comme convenu, vous trouverez ci-joint la proposition révisée ainsi que le calendrier de déploiement. N'hésitez pas à me contacter si vous avez la moindre question. Bien à vous, François",
        62,
    ),
    "Polish": (
        "Dzień dobry, dziękuję za przesłanie oferty. Czy moglibyśmy umówić się na rozmowę w przyszłym tygodniu, żeby omówić szczegóły wdrożenia i możliwości płatności w ratach? Proszę również o potwierdzenie, że cena obejmuje szkolenie. Pozdrawiam, Łukasz Wiśniewski",
        87,
    ),
    "Russian": (
        "Здравствуйте, Алексей! Спасибо за ваше письмо. Мы рассмотрели предложение и готовы обсудить условия поставки на следующей неделе. Пожалуйста, пришлите обновлённый договор и укажите сроки внедрения. С уважением, Ольга Кузнецова",
        59,
    ),
    "Arabic": (
        "السيد أحمد المحترم، شكرا جزيلا على رسالتكم. لقد راجعنا العرض ونود أن نحدد موعدا للاجتماع الأسبوع القادم لمناقشة شروط الدفع ومواعيد التسليم. يرجى إرسال العقد المحدث قبل يوم الخميس. مع أطيب التحيات",
        61,
    ),
    "Persian": (
        "سلام آقای رضایی، از پیشنهاد شما بسیار سپاسگزاریم. می\u200cخواهیم هفته آینده جلسه\u200cای برای بررسی شرایط پرداخت و زمان تحویل برگزار کنیم. لطفاً نسخه به\u200cروز شده قرارداد را برای ما بفرستید. با احترام",
        53,
    ),
    "Hindi": (
        "नमस्ते राहुल जी, आपके प्रस्ताव के लिए बहुत धन्यवाद। हम अगले सप्ताह भुगतान की शर्तों और वितरण की तारीख पर चर्चा करना चाहते हैं। कृपया अद्यतन अनुबंध हमें गुरुवार से पहले भेज दें। सादर",
        52,
    ),
    "Japanese": (
        "山田様、いつもお世話になっております。先日はお打ち合わせのお時間をいただき、ありがとうございました。ご依頼いただいた見積書を添付いたしましたので、ご確認のほどよろしくお願いいたします。ライセンス数の変更がございましたら、木曜日までにご連絡ください。株式会社テクノロジー 営業部 佐藤",
        84,
    ),
    "Chinese": (
        "张经理，您好！感谢您上周的来信。我们已经仔细审阅了贵公司的报价方案，希望下周能安排一次会议，讨论付款条件和交货时间。请在星期四之前把更新后的合同发给我们，谢谢。此致敬礼，李明",
        61,
    ),
    "Korean": (
        "안녕하세요 김민수 부장님, 보내주신 견적서 잘 받았습니다. 다음 주에 결제 조건과 납품 일정을 논의하기 위한 회의를 잡고 싶습니다. 목요일까지 수정된 계약서를 보내주시면 감사하겠습니다. 좋은 하루 되세요.",
        61,
    ),
    "emoji": (
        "Great news 🎉🎉 the deal is closed! 🚀 Thanks team 👏👏👏 See you at the party 🥳🍾 — bring your family 👨\u200d👩\u200d👧\u200d👦 ❤️ ✅ done, ⚠️ pending, 🇩🇪 🇫🇷 offices next 💼📈",
        67,
    ),
    "tracking links": (
        "Track: https://click.mail.example.com/ls/click?upn=u001.Xy7ZqPq2b9dKf3aLmN0pQrS8tUvW4xYz1A2B3C4D5E6F7G8H9I0J-2BkLmNoPqRsTuVwXyZ012345678901234567890_dd1b1d5b0f8c4a2f9e7d6c5b4a39281706f5e4d3c2b1a0 and id 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        157,
    ),
    "table": (
        "Item | Qty | Price\nStandard seat | 240 | €12.50\nPremium seat | 12 | €31.00\nSupport (24/7) | 1 | €4,800.00\nTotal | | €8,172.00\n\nInvoice no. 2026-11-0042 due 2026-12-15, IBAN DE89 3704 0044 0532 0130 00, VAT ID DE123456789, PO #A-77812/B",
        108,
    ),
    "Spanish": (
        "Estimada señora García: muchas gracias por la reunión del martes. Tal como acordamos, le envío la propuesta actualizada con los nuevos precios y el calendario de implantación. ¿Podría confirmarnos antes del viernes si el departamento jurídico necesita algo más? Un cordial saludo, Andrés Núñez",
        58,
    ),
    "Portuguese": (
        "Prezada Fernanda, obrigado pela conversa de ontem. Segue em anexo a proposta revisada, com os descontos que combinamos para o contrato de três anos. Você poderia me dizer até quinta-feira se a diretoria já aprovou o orçamento? Fico à disposição para qualquer dúvida. Atenciosamente, João",
        64,
    ),
    "Italian": (
        "Gentile dottoressa Rossi, la ringrazio per il tempo che ci ha dedicato giovedì scorso. In allegato trova l'offerta aggiornata e il piano delle consegne. Potrebbe farci sapere entro venerdì se le condizioni di pagamento vanno bene? Resto a disposizione per ogni chiarimento. Cordiali saluti, Matteo",
        72,
    ),
    "Dutch": (
        "Beste Marieke, bedankt voor het prettige gesprek van gisteren. In de bijlage vind je de aangepaste offerte met de prijzen voor drie jaar. Kun je ons voor vrijdag laten weten of de juridische afdeling nog iets nodig heeft? Met vriendelijke groet, Sander",
        53,
    ),
    "Swedish": (
        "Hej Åsa, tack för ett trevligt möte i tisdags. Jag bifogar det uppdaterade avtalet med de nya priserna för tre år. Kan du återkomma före torsdag om ni behöver något mer från oss? Med vänliga hälsningar, Björn",
        59,
    ),
    "Czech": (
        "Dobrý den, děkujeme za Váš zájem o naši nabídku. V příloze zasíláme upravenou smlouvu a harmonogram dodávek. Mohl byste nám prosím do čtvrtka potvrdit, zda Vám vyhovují platební podmínky? S pozdravem, Jiří Dvořák",
        75,
    ),
    "Hungarian": (
        "Tisztelt Kovács Úr! Köszönjük a tegnapi megbeszélést. Mellékelten küldjük a módosított ajánlatot a hároméves árakkal és a szállítási ütemezéssel. Kérjük, csütörtökig jelezze, hogy a fizetési feltételek megfelelnek-e Önöknek. Üdvözlettel, Szabó Zsófia",
        98,
    ),
    "Turkish": (
        "Merhaba Ayşe Hanım, dünkü görüşme için teşekkür ederim. Üç yıllık fiyatları içeren güncellenmiş teklifi ekte bulabilirsiniz. Hukuk departmanının bizden başka bir şeye ihtiyacı olup olmadığını perşembe gününe kadar bildirebilir misiniz? Saygılarımla, Mehmet",
        70,
    ),
    "Vietnamese": (
        "Chào chị Hương, cảm ơn chị đã dành thời gian trao đổi với chúng tôi hôm qua. Em xin gửi kèm bản báo giá đã điều chỉnh cùng với lịch triển khai dự kiến. Chị vui lòng cho em biết trước thứ năm nếu phòng pháp chế cần thêm thông tin. Trân trọng, Tuấn",
        66,
    ),
    "Indonesian": (
        "Yth. Ibu Sari, terima kasih atas waktu yang diberikan kemarin. Bersama email ini kami lampirkan penawaran yang sudah diperbarui beserta jadwal pengiriman. Mohon kabari kami sebelum hari Kamis jika bagian hukum membutuhkan dokumen tambahan. Hormat kami, Budi",
        63,
    ),
    "Greek": (
        "Αγαπητή κυρία Παπαδοπούλου, σας ευχαριστούμε για τη χθεσινή συνάντηση. Σας επισυνάπτω την ενημερωμένη προσφορά με τις τιμές για τρία χρόνια. Θα μπορούσατε να μας απαντήσετε μέχρι την Πέμπτη αν συμφωνείτε με τους όρους πληρωμής; Με εκτίμηση, Νίκος",
        89,
    ),
    "Ukrainian": (
        "Доброго дня, Олено! Дякуємо за вчорашню розмову. Надсилаємо оновлену пропозицію з цінами на три роки та графіком впровадження. Будь ласка, повідомте нас до четверга, чи потрібні юридичному відділу додаткові документи. З повагою, Андрій",
        85,
    ),
    "Hebrew": (
        "שלום רונית, תודה רבה על השיחה אתמול. מצורפת ההצעה המעודכנת עם המחירים לשלוש שנים ולוח הזמנים להטמעה. אשמח לדעת עד יום חמישי אם המחלקה המשפטית צריכה מאיתנו משהו נוסף. בברכה, יואב",
        66,
    ),
    "Urdu": (
        "محترم عمران صاحب، کل کی ملاقات کے لیے آپ کا بہت شکریہ۔ نئی قیمتوں کے ساتھ تجویز منسلک ہے۔ براہ کرم جمعرات تک بتا دیں کہ ادائیگی کی شرائط آپ کو منظور ہیں یا نہیں۔ والسلام، عائشہ",
        59,
    ),
    "Bengali": (
        "প্রিয় রফিক সাহেব, গতকালের আলোচনার জন্য অনেক ধন্যবাদ। তিন বছরের মূল্যসহ সংশোধিত প্রস্তাবটি সংযুক্ত করা হলো। আইন বিভাগের আর কিছু প্রয়োজন হলে অনুগ্রহ করে বৃহস্পতিবারের মধ্যে জানাবেন। শুভেচ্ছান্তে, নাসরিন",
        65,
    ),
    "Tamil": (
        "அன்புள்ள குமார் அவர்களுக்கு, நேற்றைய சந்திப்பிற்கு மிக்க நன்றி. புதிய விலைகளுடன் திருத்தப்பட்ட முன்மொழிவை இணைத்துள்ளேன். வியாழக்கிழமைக்குள் உங்கள் பதிலைத் தெரிவிக்கவும். அன்புடன், மீனா",
        58,
    ),
    "Thai": (
        "เรียนคุณสมชาย ขอบคุณมากสำหรับการประชุมเมื่อวานนี้ ดิฉันได้แนบใบเสนอราคาฉบับปรับปรุงพร้อมกำหนดการส่งมอบมาด้วยแล้ว กรุณาแจ้งให้ทราบภายในวันพฤหัสบดีว่าฝ่ายกฎหมายต้องการเอกสารเพิ่มเติมหรือไม่ ขอแสดงความนับถือ",
        82,
    ),
    "Georgian": (
        "გამარჯობა ნინო, დიდი მადლობა გუშინდელი შეხვედრისთვის. გიგზავნით განახლებულ შეთავაზებას სამი წლის ფასებით. გთხოვთ, ხუთშაბათამდე შეგვატყობინოთ, თანახმა ხართ თუ არა გადახდის პირობებზე. პატივისცემით, გიორგი",
        72,
    ),
    "Chinese of Taiwan": (
        "陳經理您好：感謝您昨天撥冗與我們開會。附件是更新後的報價單與導入時程，請您過目。若法務部門還需要其他資料，麻煩在星期四以前告訴我們。如有任何問題，歡迎隨時與我聯絡。敬祝 商祺，林怡君",
        83,
    ),
    "a quote": (
        "> On Tue, 17 Nov 2026 at 09:12, Sam Okafor <sam.okafor@brightline.example> wrote:\n>> Could you confirm the delivery window for PO-2291?\n> Yes: we ship on the 3rd, see https://brightline.example/orders/2291\n\nThanks, that works. I'll tell the warehouse.\n\n--\nPriya",
        80,
    ),
    "JSON": (
        '{"threads":[{"id":"cm3k9x2f70001qz8h4v6t1b2n","subject":"Renewal for 2027","from":"Ines Duarte <ines@costa-log.example>","at":"Tue 17 Nov, 16:40","snippet":"We would like to add 40 seats from January.","unread":true,"messages":4}],"total":31,"next_cursor":"eyJwIjoyfQ"}',
        101,
    ),
}
"""Texts, and their tokens by gpt-tokenizer's o200k_base."""


def test_nothing_costs_nothing():
    assert estimate_tokens("") == 0


@pytest.mark.parametrize(("text", "tokens"), MEASURED.values(), ids=MEASURED)
def test_the_estimate_of_a_few_lines_is_near_what_o200k_counts(text: str, tokens: int):
    assert estimate_tokens(text) == pytest.approx(tokens, rel=0.35)  # Hindi: +33 %


def test_most_estimates_are_within_15_percent():
    off = [abs(estimate_tokens(text) / tokens - 1) for text, tokens in MEASURED.values()]
    assert sum(error <= 0.15 for error in off) >= 0.9 * len(off)


@pytest.mark.parametrize(
    "piece",
    ["a", "A", " ", "\n", "-", "1", "é", "漢", "\U0001f600", "\ud800", "\t", " \n", "aB", "/", "\u200b"],
    ids=ascii,
)
def test_a_long_text_of_anything_is_estimated_in_no_more_than_its_length(piece: str):
    text = piece * (500_000 // len(piece))
    started = time.process_time()
    assert 0 < estimate_tokens(text) <= 4 * len(text)
    assert time.process_time() - started < 3
    assert cut(text, 1_000).text


@given(st.text(), st.text())
def test_more_text_never_costs_much_less(text: str, more: str):
    assert estimate_tokens(text + more) >= estimate_tokens(text) - 2


def test_a_cut_prefers_the_end_of_a_paragraph():
    text = "First paragraph of it.\n\nSecond paragraph that is long."
    piece = cut(text, 9)
    assert piece.text == "First paragraph of it.\n\n"
    assert piece.next_offset == len(piece.text)
    assert piece.left_chars == len("Second paragraph that is long.")


def test_a_cut_without_paragraphs_is_between_words():
    text = "We ship on Tuesday and bill on Friday, as we have always done until now."
    piece = cut(text, 8)
    assert piece.text.endswith(" ")
    assert piece.text.rstrip() in text


def test_a_text_that_fits_is_whole():
    piece = cut("Hello", 100)
    assert (piece.text, piece.next_offset, piece.left_chars) == ("Hello", None, 0)


def test_an_offset_outside_the_text_is_its_nearest_end():
    assert cut("Hello", 10, 99).text == ""
    assert cut("Hello", 10, -3).text == "Hello"


FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


def test_what_a_reader_sees_as_one_character_is_never_cut_even_where_it_costs_more_than_the_budget():
    assert cut(FAMILY + "and more", 1).text == FAMILY


MAIL = st.text(
    st.sampled_from("ab \n漢字é\u0301\u200d\U0001f468\u0915\u094d\u0937\u1100\u1161\U0001f1e9\U0001f1ea0,-"),
    max_size=200,
)
WORDS = st.lists(
    st.sampled_from(
        ["offer", " ", "\n", "\n\n", "Grüße", " наш", "契約", FAMILY, "https://a.example/x?y=1", "e\u0301", "--"]
    )
).map("".join)


@given(st.text() | MAIL | WORDS, st.integers(-1, 40), st.integers(-2, 200))
def test_the_pages_joined_are_the_text_from_any_offset(text: str, tokens: int, start: int):
    pages: list[str] = []
    offset: int | None = start
    while offset is not None:
        page = cut(text, tokens, offset)
        begun = min(max(offset, 0), len(text))
        assert page.text or begun == len(text)
        assert page.left_chars == len(text) - begun - len(page.text)
        pages.append(page.text)
        offset = page.next_offset
    assert "".join(pages) == text[min(max(start, 0), len(text)) :]


@given(st.text() | MAIL | WORDS, st.integers(1, 40), st.integers(0, 100))
def test_a_page_of_more_than_one_visible_character_keeps_the_budget(text: str, tokens: int, offset: int):
    page = cut(text, tokens, offset).text
    assert len(page) <= whole_character(page, 0) or estimate_tokens(page) <= tokens


@given(MAIL | WORDS, st.integers(1, 40))
def test_a_page_ends_between_visible_characters(text: str, tokens: int):
    end = len(cut(text, tokens).text)
    assert whole_characters(text, end) == end


@given(WORDS, st.integers(5, 40))
def test_a_page_is_not_needlessly_small(text: str, tokens: int):
    page = cut(text, tokens)
    assert page.next_offset is None or estimate_tokens(page.text) >= tokens // 4
