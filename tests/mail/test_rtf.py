"""Rich text as plain text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesos_inbox.mail.rtf import RichText, rtf_to_text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"{\rtf1\ansi Hello {\b Maya}\par Next\line line\tab x}", "Hello Maya\nNext\nline\tx"),
        (r"{\rtf1{\fonttbl{\f0 Arial;}}{\colortbl;\red0;}{\*\generator Word;}Hi}", "Hi"),
        (r"{\rtf1\ansicpg1251 \'cf\'f0\'e8}", "При"),
        (r"{\rtf1\uc1 5 \u8364?, \u-10179?\u-8694?}", "5 €, 😊"),
        (r"{\rtf1 a\{b\}\\c\~d\emdash e}", "a{b}\\c\xa0d—e"),
        (r"{\rtf1 unclosed {\i words", "unclosed words"),
    ],
)
def test_words_are_kept_and_their_formatting_goes(source: str, text: str):
    assert rtf_to_text(source) == RichText(text, 0)


def test_hidden_words_are_left_out_and_counted():
    assert rtf_to_text(r"{\rtf1 seen {\v hidden}\v more\v0  end}") == RichText("seen  end", 10)


@given(st.text(alphabet="{}\\'abuv0129-* \n"))
def test_no_source_breaks_it(source: str):
    rtf_to_text("{\\rtf1 " + source)
