# ruff: noqa: E501  (so much HTML)
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from salesos_inbox.mail.nesting import MAX_CHARACTERS, bearable, bounded, plain_name


def test_ordinary_html_stays_as_it_is():
    html = "<p>Hi <b>Ann</b>,<table><tr><td><svg><path/></svg><select><option>a</select></table>" * 100
    assert bounded(html)[:2] == (html, False)


def test_large_html_is_cut_at_two_million_characters_and_says_so():
    assert bounded("word " * 500_000)[:2] == (("word " * 500_000)[:MAX_CHARACTERS], True)
    assert bounded("word " * 300_000).cut is False


@pytest.mark.parametrize(
    "unit",
    [
        "<p>one<p>two<ul><li>a<li>b</ul><dl><dd>x<dt>y</dl><option>z",
        "<table><tr><td>one<td><table><td>two</table><tr><td><b>three</b></table>",
        "<ul><li>one<ul><li>two</ul></ul>",
        "<div><p><font color=red>x</font></div><h1>y<h2>z",
        "<a href=x>one<a href=y>two",
        "<form><div>x</form></div>",
        "<script>if (a<b) '<div>'</script><style>a>b{}</style><!-- <div> --><img alt='<div>'><textarea><div></textarea>",
    ],
)
def test_a_long_mail_that_leaves_its_elements_open_as_html_allows_is_not_cut(unit: str):
    html = unit * (1_000_000 // len(unit) // 4)
    assert bounded(html).cut is False


def test_much_formatting_that_is_never_closed_loses_its_meaning_and_no_word():
    html = "<p>" + "".join(f"<font id=a{number}>" for number in range(1_500)) + "<p>word" * 20_000
    read = bounded(html)
    assert not read.cut
    tree = LexborHTMLParser(read.html)
    assert tree.root is not None
    assert tree.root.text().count("word") == 20_000
    assert {plain_name(node.tag or "") for node in tree.css("*")} == {"html", "head", "body", "p", "font"}


@pytest.mark.parametrize(
    ("rest", "sheets"),
    [
        ("<style>a{}</style><p>x<STYLE type='text/css'>b{}<style></Style>", ["a{}", "b{}<style>"]),
        ("<p>x</style>y", []),
        ("<style>a{}", ["a{}"]),
        ("<style " * 3, [""]),
        ("<styled>x</styled>", []),
    ],
)
def test_the_style_sheets_after_a_cut_are_known(rest: str, sheets: list[str]):
    assert bounded("x" * MAX_CHARACTERS + rest).later_styles == sheets


def test_a_style_sheet_in_which_a_mail_is_cut_is_known_whole():
    begun = "<p>x</p><STYLE>a{}/*" + " " * MAX_CHARACTERS
    assert bounded(begun + "*/b{}</style>").later_styles[0].endswith("*/b{}")


def depth(html: str) -> int:
    """How deep the tree that is built of the HTML is at its deepest."""
    deepest = 0
    ahead = [(LexborHTMLParser(html).root, 1)]
    while ahead:
        node, level = ahead.pop()
        if node is not None:
            deepest = max(deepest, level)
            ahead += [(child, level + 1) for child in node.iter()]
    return deepest


TRICKS = {
    "items in items": "<li><dd>",
    "attributes with brackets": "<div a='>' b=\">\" c=/>",
    "ends in comments": "<div><!--</div>-->",
    "ends in attributes": "<div a='</div>'>",
    "ends in style sheets": "<div><style></div></style>",
    "ends in text areas": "<div><textarea></div></textarea>",
    "ends in a comment ended oddly": "<div><!-- --!><!--></div -->",
    "ends in drawings": "<div><svg><title></div></title></svg>",
    "ends in data": "<div><svg><![CDATA[ > </div> ]]></svg>",
    "ends in choices": "<div><select></div></select>",
    "text that is none": "<div><select><xmp></select></div></xmp>",
    "a template": "<div><template><col><xmp></template></div></xmp>",
    "forms": "<form><div></form>",
    "formatting": "<b><div></b>",
    "drawings left": "<svg><g><span></g>",
    "links": "<a><div></a>",
    "tables": "<table><tr><td>",
    "tables in captions": "<table><caption>",
}


@pytest.mark.parametrize("unit", TRICKS.values(), ids=TRICKS)
def test_nothing_that_looks_closed_and_is_not_gets_deep(unit: str):
    """What is beyond 10,000 tags is counted: no deeper than 2,000 elements, of which a table has up to four."""
    assert depth(bearable(unit * 40_000)) < 10_000


SOUP = st.sampled_from(
    re.findall(
        r"<[^>]*>|\S+",
        "<div> </div> <p> </p> <li> </li> <ul> </ul> <dd> <table> </table> <tr> <td> </td> </tr> <tbody> <caption> <b> </b> "
        "<i> </i> <a> </a> <nobr> <font> </font> <svg> </svg> <desc> <title> </title> <math> <mi> <select> </select> <option> "
        "<template> </template> <xmp> </xmp> <style> </style> <textarea> </textarea> <!-- --> <button> </button> <form> </form> "
        "<object> </object> <h1> </h2> <span> </span> <g> </g> <x> </x> <frameset> <br> <input> ' \" x <p id='a>",
    )
)


@settings(deadline=None, max_examples=40)
@given(st.lists(SOUP, min_size=1, max_size=8))
def test_no_mixture_of_tags_repeated_gets_deep(parts: list[str]):
    html = "".join(parts) * (90_000 // len("".join(parts)) + 1)
    assert depth(bearable(html)) < 12_000
