import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesos_inbox.mail.unicode import clean, one_line

KEPT = {
    "a family": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "a red heart": "\u2764\ufe0f",
    "a rainbow flag": "\U0001f3f3\ufe0f\u200d\U0001f308",
    "a waving hand with a skin tone": "\U0001f44b\U0001f3fd",
    "two national flags": "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7",
    "the flag of Scotland": "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "a keycap": "1\ufe0f\u20e3",
    "Persian": "می\u200cخواهیم",
    "Hindi": "क्\u200dष",
    "a Malayalam chillu at the end of a word": "അവന്\u200d ",
    "Hebrew with points": "שָׁלוֹם",
    "direction marks": "abc \u200f(ב)\u200e",
    "decomposed accents": "Cafe\u0301",
    "line feeds and tabs": "a\n\tb",
}
REMOVED = {
    "zero-width spaces": ("pass\u200bword\u2060\ufeff", "password", 3),
    "soft hyphens": ("Ange\xadbot", "Angebot", 1),
    "joiners between Latin letters": ("a\u200db\u200cc", "abc", 2),
    "direction overrides": ("invoice\u202efdp.exe\u202c", "invoicefdp.exe", 2),
    "isolates": ("\u2066a\u2069", "a", 2),
    "words in tag characters": ("Hi\U000e0068\U000e0069", "Hi", 2),
    "a black flag that spells something else": ("\U0001f3f4\U000e0061\U000e007f", "\U0001f3f4", 2),
    "selectors that carry bytes": ("a\ufe01\U000e0101", "a", 2),
    "more than one selector": ("\u2764\ufe0f\ufe0f\ufe0f", "\u2764\ufe0f", 2),
    "private use": ("\ue000a\U00100000", "a", 2),
    "control characters": ("a\x00\x1b[31mb\x7f", "a[31mb", 3),
}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_what_scripts_and_emoji_need_stays(text: str):
    assert clean(text).text == text
    assert clean(text).removed == 0


@pytest.mark.parametrize(("text", "cleaned", "removed"), REMOVED.values(), ids=REMOVED)
def test_what_nobody_sees_is_removed_and_counted(text: str, cleaned: str, removed: int):
    assert (clean(text).text, clean(text).removed) == (cleaned, removed)


def test_every_line_break_becomes_a_line_feed():
    assert clean("a\r\nb\rc\u2028d\x0ce").text == "a\nb\nc\nd\ne"


def test_a_lone_surrogate_becomes_the_replacement_character():
    assert clean("a\ud83d b").text == "a\ufffd b"


SUSPECTS = st.text(
    st.sampled_from(
        "a1#\u200d\u200c\ufe0f\ufe01\u0645\u0947\u094d漢\u2764\U0001f468\U0001f3f4\U000e0067\u20e3\r\n\ud800"
    )
)


@given(st.text() | SUSPECTS)
def test_cleaning_twice_changes_nothing(text: str):
    once = clean(text).text
    assert clean(once).text == once
    assert clean(once).removed == 0


def test_one_line_has_single_blanks():
    assert one_line("  a\r\n\tb\u2028c\xa0 d ", 50) == "a b c d"


def test_one_line_ends_a_cut_in_an_ellipsis():
    assert one_line("Dear customer", 6) == "Dear…"


@pytest.mark.parametrize(
    "emoji", ["\U0001f468\u200d\U0001f469\u200d\U0001f467", "e\u0301\u0302", "\U0001f1e9\U0001f1ea"]
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
