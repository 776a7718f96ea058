import json
import random
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesos_inbox.mail.unicode import clean, narrow, one_line, printable, quoted, whole_characters

NODE = Path(__file__).parents[2] / ".venv/bin/node"

KEPT = {
    "a family": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "a couple with a heart": "\U0001f469\u200d\u2764\ufe0f\u200d\U0001f468",
    "people of two skin tones": "\U0001f9d1\U0001f3fd\u200d\U0001f91d\u200d\U0001f9d1\U0001f3fb",
    "a red heart": "\u2764\ufe0f",
    "an arrow and a copyright sign as emoji and as text": "\u27a1\ufe0f\u27a1\ufe0e\xa9\ufe0f\xa9\ufe0e",
    "a rainbow flag": "\U0001f3f3\ufe0f\u200d\U0001f308",
    "a pirates' flag": "\U0001f3f4\u200d\u2620\ufe0f",
    "an eye in a bubble": "\U0001f441\ufe0f\u200d\U0001f5e8\ufe0f",
    "a waving hand with a skin tone": "\U0001f44b\U0001f3fd",
    "two national flags": "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7",
    "the flag of Scotland": "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "the flags of Wales and England": (
        "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f"
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
    ),
    "keycaps": "1\ufe0f\u20e3#\ufe0f\u20e3*\ufe0f\u20e3",
    "Persian": "می\u200cخواهیم به\u200cروز شده",
    "a Persian year, its letter joined to nothing": "۱۴۰۵ ه\u200d.ش",
    "an Arabic letter in its final form": " \u200dه ",
    "Arabic with its vowels": "ٱلسَّلَامُ عَلَيْكُمْ",
    "Urdu": "کیا آپ کل مل سکتے ہیں؟ شکریہ\u200c",
    "Sorani Kurdish in its old spelling": "ئه\u200cم ڕۆژه\u200c ",
    "Syriac with an abbreviation": "ܣ\u070fܝܗ",
    "Hebrew with points": "שָׁלוֹם",
    "Hebrew with marks kept apart": "לָ\u034fֽ",
    "Hindi": "क्\u200dष",
    "the eyelash ra of Marathi": "दर्\u200dया, सुऱ्या",
    "Nepali that keeps its letters apart": "हुन्\u200cछ",
    "Bengali ya-phala on ra": "র\u200d\u09cdয\u09be\u09ac",
    "Malayalam chillu at the end of a word": "അവന്\u200d ",
    "Sinhala": "ශ්\u200dරී ලංකා",
    "Kannada": "ರ\u200d\u0ccdಕ",
    "Tamil, Telugu, Gujarati, Gurmukhi, Odia": "க்ஷ ஶ்ரீ క్ష ક્ષ ਸ਼੍ਰੀ କ୍ଷ",
    "Thai": "ที่ประชุมน้ำ",
    "Thai with its words parted": "สวัสดี\u200bครับ",
    "Khmer with its words parted": "ក្រុម\u200bហ៊ុន\u200bយើង",
    "Lao and Myanmar": "ສະບາຍດີ ມື້ນີ້ မြန်မာ\u200bစာ ကျွန်ုပ်",
    "the tallest stack of Tibetan": "ཧྐྵྨླྺྼྻྂ",
    "Mongolian": "ᠮᠣᠩᠭᠣᠯ ᠬ\u180bᠠ ᠨ\u180eᠠ ᠬ\u180b\u180eᠠ",
    "a variant of a Han character": "葛\U000e0100城 辻\ufe00",
    "Myanmar with dots, a slashed zero, a set sign": "က\ufe00 0\ufe00 ∩\ufe00",
    "an old Korean syllable without its first sound": "\u115f\u1161",
    "a Korean first sound without its vowel": "\u1100\u1160",
    "direction marks": "abc \u200f(ב)\u200e \u061c",
    "decomposed accents": "Cafe\u0301 Tie\u0302\u0301ng Vie\u0323\u0302t",
    "International Phonetic Alphabet": "t͡ʃʰ ɪ̃ ŋ̩ˈ",
    "line feeds and tabs": "ä\n\tb",
    "blanks of many widths": "1\u202f000\xa0€\u2009a\u3000b",
    "braille": "⠓⠑⠇⠇⠕⠀⠺⠕⠗⠇⠙",
    "a box for something left out": "\ufffc",
    "characters newer than this Python": "\U0001fadd\u0c5c",
    "what Arabic and Kaithi enclose numbers in": "\u06dd١٢ \U000110bd\U00011083",
}
REMOVED = {
    "zero-width spaces": ("pass\u200bword\u2060s\ufeffx", "passwordsx", 3),
    "joiners between Latin letters": ("a\u200db\u200cc", "abc", 2),
    "more than one joiner between letters": ("ب\u200c\u200d\u200cب", "ب\u200cب", 2),
    "a message in joiners between Han characters": ("漢\u200b\u200c\u200d字", "漢字", 3),
    "joiners between emoji and letters": ("\U0001f600\u200da", "\U0001f600a", 1),
    "direction overrides": ("invoice\u202efdp.exe\u202c", "invoicefdp.exe", 2),
    "isolates": ("\u2066a\u2069", "a", 2),
    "direction marks where nothing runs right to left": ("a\u200e\u200f b\u061c", "a b", 3),
    "direction marks between Latin letters": ("ב exe.a\u200fb", "ב exe.ab", 1),
    "a message in direction marks": ("ב\u200e\u200f\u200e\u200e.", "ב\u200e.", 3),
    "words in tag characters": ("Hi\U000e0068\U000e0069", "Hi", 2),
    "a black flag that spells something else": ("\U0001f3f4\U000e0061\U000e007f", "\U0001f3f4", 2),
    "tags behind a flag": (
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f\U000e0061",
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        1,
    ),
    "selectors that carry bytes": ("a\ufe01\U000e0101", "a", 2),
    "bytes behind an emoji": ("\U0001f600\ufe0f\U000e0101\U000e0102\U000e0103\ufe01", "\U0001f600\ufe0f", 4),
    "bytes behind a Han character": ("葛\U000e0100\U000e0101\U000e0102", "葛\U000e0100", 2),
    "more than one selector": ("\u2764\ufe0f\ufe0f\ufe0f", "\u2764\ufe0f", 2),
    "private use": ("\ue000a\U00100000", "a", 2),
    "noncharacters": ("a\ufdd0\ufffe\U0001ffff\U0002fffe", "a", 4),
    "planes that hold no characters": ("a\U00040000\U000dffff", "a", 2),
    "control characters": ("a\x00\x1b[31mb\x7f", "a[31mb", 3),
    "control characters beyond ASCII": ("ä\x00\x9b31m", "ä31m", 2),
    "Hangul fillers": ("a\u3164b\uffa0c\u1160\u115f", "abc", 4),
    "fillers of other scripts": ("a\U00016fe4\U0001d159\u17b4\u17b5\u180eb", "ab", 5),
    "braille without dots": ("a\u2800\u2800b", "ab", 2),
    "invisible operators": ("a\u2061\u2062\u2063\u2064b", "ab", 4),
    "marks of annotation": ("\ufff9漢\ufffaかん\ufffb", "漢かん", 3),
    "controls of music, shorthand and hieroglyphs": ("a\U0001d173\U0001bca0\U00013430", "a", 3),
    "marks that reach into other lines": ("e" + "\u0301\u0489" * 50 + " and", "e" + "\u0301\u0489" * 5 + " and", 90),
}
UNCOUNTED = {
    "soft hyphens": ("Ange\xadbots\xadpreis", "Angebotspreis"),
    "a byte order mark at the beginning": ("\ufeffHello", "Hello"),
    "the padding of a newsletter": (
        "Sale!" + "\xa0\u200c\xa0\u034f\xa0\ufeff\xad" * 9 + "\n",
        "Sale!" + "\xa0" * 27 + "\n",
    ),
}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_what_scripts_and_emoji_need_stays(text: str):
    assert (clean(text).text, clean(text).removed) == (text, 0)


@pytest.mark.parametrize(("text", "cleaned", "removed"), REMOVED.values(), ids=REMOVED)
def test_what_nobody_sees_is_removed_and_counted(text: str, cleaned: str, removed: int):
    assert (clean(text).text, clean(text).removed) == (cleaned, removed)


@pytest.mark.parametrize(("text", "cleaned"), UNCOUNTED.values(), ids=UNCOUNTED)
def test_what_only_lays_out_a_text_is_not_counted(text: str, cleaned: str):
    assert (clean(text).text, clean(text).removed) == (cleaned, 0)


def test_a_message_in_zero_width_characters_is_counted_beside_blanks_too():
    assert clean("Hello " + "\u200b\u200c" * 40).removed == 80


def test_blanks_that_push_a_text_out_of_sight_are_narrowed():
    assert narrow("Hi" + "\xa0\u2003\t" * 5_000 + "pay\n\n  now") == "Hi" + " " * 80 + "pay\n\n  now"


def test_every_line_break_becomes_a_line_feed():
    assert clean("a\r\nb\rc\u2028d\x0ce").text == "a\nb\nc\nd\ne"
    assert clean("a\r\nb\rc\x0bd\x0ce").text == "a\nb\nc\nd\ne"


def test_a_lone_surrogate_becomes_the_replacement_character():
    assert clean("a\ud83d b").text == "a\ufffd b"


IGNORABLE = (
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
"""Default_Ignorable_Code_Point of Unicode 16 (DerivedCoreProperties.txt)."""
BLANK = "\u2800\U00016fe4\U0001d159" + "".join(map(chr, range(0x13439, 0x13440)))
"""Blank by its shape; and format controls of hieroglyphs that Python does not know as such before 3.12."""


def is_ignorable(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in IGNORABLE)


def is_seen(character: str) -> bool:
    """Whether a font may show something for it, by Unicode's own properties."""
    code = ord(character)
    if unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs", "Zs", "Zl", "Zp"):
        return False
    nowhere = code >= 0x40000 or 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE
    return not (nowhere or is_ignorable(character) or character in BLANK)


EVERY = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]


def test_each_character_that_can_be_seen_stays():
    seen = "x".join(filter(is_seen, EVERY))
    assert clean(seen).text == seen


def test_each_character_that_no_font_shows_goes():
    unseen = {
        character
        for character in EVERY
        if is_ignorable(character) or character in BLANK or unicodedata.category(character) in ("Cc", "Co")
    } - {"\n", "\t"}
    assert unseen.isdisjoint(clean("x".join(sorted(unseen))).text)


SUSPECTS = st.text(
    st.sampled_from(
        "a1# \n\xa0\u200d\u200c\u200b\ufe0f\ufe01\u0645\u0647\u064e\u0947\u094d\u0915漢\U000e0100\u2764\U0001f468\u20e3"
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f\r\ud800\u200e\u200f\u202e\xad\u034f\u05b0"
        "\u1100\u1160\u115f\u1161\u1820\u180b\u180e\u2800\u0301\u17b4\u1780\U0002fffe\ue000\u0e19\u0e49\u06dd\u061c"
    ),
    max_size=40,
)
PILES = st.lists(
    st.sampled_from(
        ["\u0301" * 9, "\u0651" * 6, "\u200c", "\u200d", "ب", "\u200b", "\u0e49" * 4, "\ufe0f", "a", "\U0001f3f4"]
    )
).map("".join)


@given(st.text() | SUSPECTS | PILES)
def test_cleaning_twice_changes_nothing(text: str):
    once = clean(text).text
    assert clean(once).text == once
    assert clean(once).removed == 0


@given(st.text() | SUSPECTS)
def test_nothing_seen_is_lost_or_moved(text: str):
    assert list(filter(is_seen, clean(text).text)) == [
        "\ufffd" if character == "\ud800" else character
        for character in text
        if is_seen(character) or character == "\ud800"
    ]


@given(SUSPECTS | PILES)
def test_nothing_is_added(text: str):
    once = clean(text)
    assert len(once.text) + once.removed <= len(text)
    assert once.removed >= 0


ENDLESS = (
    "a", " ", "\r", "\x00", "\u200b", "\xad", "\u0301", "\ufe0f", "\u202e", "\u200e", "\U000e0061", "\ue000", "\u115f",
    "\u2800", "م\u200c", "\xa0\u200c", "\u200b ", "\U0001f468\u200d", "\u0301\u200d", "\u200e\u2066",
    "\U0001f3f4\U000e0067",
)  # fmt: skip


@pytest.mark.parametrize("piece", ENDLESS, ids=ascii)
def test_a_long_text_of_anything_takes_no_more_than_its_length(piece: str):
    started = time.process_time()
    clean(piece * (500_000 // len(piece)))
    assert time.process_time() - started < 4


def test_one_line_has_single_blanks():
    assert one_line("  a\r\n\tb\u2028c\xa0 d ", 50) == "a b c d"


def test_one_line_ends_a_cut_in_an_ellipsis():
    assert one_line("Dear customer", 6) == "Dear…"


def test_what_no_font_has_is_shown_as_such_in_our_sentences():
    assert printable("a\U0001ff80b", 10) == "a\ufffdb"
    assert quoted("Hello\nworld", 8) == "'Hello w…'"


@pytest.mark.parametrize(
    "emoji", ["\U0001f468\u200d\U0001f469\u200d\U0001f467", "e\u0301\u0302", "\U0001f1e9\U0001f1ea", "น้ำ"]
)
def test_one_line_never_cuts_within_a_visible_character(emoji: str):
    whole = "ab" + emoji + "cd"
    cuts = {one_line(whole, limit) for limit in range(3, len(whole) + 1)}
    assert all(line.removesuffix("…") in ("a", "ab", "ab" + emoji, "ab" + emoji + "c", whole) for line in cuts)


@given(st.text(), st.integers(0, 40))
def test_one_line_fits_its_limit(text: str, limit: int):
    line = one_line(text, limit)
    assert len(line) <= limit
    assert "\n" not in line


SEGMENTS = """
const texts = JSON.parse(require("fs").readFileSync(0, "utf8"));
const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });
const ends = (text) => [...segmenter.segment(text)].map(({ segment }) => [...segment].length);
console.log(JSON.stringify(texts.map(ends)));
"""
TRICKY = (
    "ab1 \n\r\u0301\u200d\u200c\ufe0f\U0001f468\U0001f3fd\U0001f1e9\U0001f1ea\u0915\u094d\u0937\u093f\u0e19\u0e33\u0e49"
    "\u1100\u1161\u11a8\uac00\uac01\u0600\u0661\u20e3漢\uff76\uff9e\U0001f3f4\U000e0067\U000e007f\u0d15\u0d4d\u1000\u1039"
)


def test_no_cut_is_within_what_icu_calls_one_character():
    generator = random.Random(5)
    texts = ["".join(generator.choices(TRICKY, k=30)) for _ in range(500)] + list(KEPT.values())
    printed = subprocess.run(
        [NODE, "-e", SEGMENTS], input=json.dumps(texts), capture_output=True, text=True, check=True
    ).stdout
    for text, lengths in zip(texts, json.loads(printed), strict=True):
        boundaries = {sum(lengths[:count]) for count in range(len(lengths) + 1)}
        cuts = {whole_characters(text, end) for end in range(len(text) + 1)}
        assert cuts <= boundaries, ascii(text)
