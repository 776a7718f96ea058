import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from salesos_inbox.mail.colors import BLACK, WHITE, Paint, alike, color, legacy_color
from salesos_inbox.mail.css import declarations, length, media, supports
from salesos_inbox.mail.html import html_to_text
from salesos_inbox.mail.nesting import names
from salesos_inbox.mail.selectors import Document, NotASelector, selector
from salesos_inbox.mail.style import PAGE_LOOK, StyleSheet, look_of


def seen(html: str) -> list[str]:
    """The words of an HTML text that its style leaves to be seen, without any shape."""
    tree = LexborHTMLParser(html)
    sheet = StyleSheet(tree)
    found: list[str] = []
    assert tree.root is not None
    ahead = [(tree.root, PAGE_LOOK)]
    while ahead:
        node, look = ahead.pop(0)
        if node.is_text_node and not look.hides_words:
            found += (node.text_content or "").split()
        if not node.is_element_node or node.tag in ("head", "style"):
            continue
        look = look_of(look, node, node.tag or "", node.attributes, sheet)
        child = node.first_child
        while child is not None:
            ahead.append((child, look))
            child = child.next
    return found


@pytest.mark.parametrize(
    ("written", "painted"),
    {
        "#fff": WHITE,
        "#00000080": Paint(0, 0, 0, 128 / 255),
        "rgb(100% 0 0 / 50%)": Paint(255, 0, 0, 0.5),
        "rgba(1,2,3,.25)": Paint(1, 2, 3, 0.25),
        "hsl(120deg 100% 50%)": Paint(0, 255, 0),
        "hwb(0 0% 100%)": BLACK,
        "color(srgb 0 1 0)": Paint(0, 255, 0),
        "rebeccapurple": Paint(102, 51, 153),
        "transparent": Paint(0, 0, 0, 0),
        "currentcolor": "currentcolor",
        "rgb(from white r g b)": WHITE,
        "rgb(from white calc(r - 1) g b)": "",
        "#ff": None,
        "rgb(1,2)": None,
        "bogus": None,
    }.items(),
)
def test_colors_are_read_as_css_writes_them(written: str, painted: Paint | str | None):
    found = color(written)
    if isinstance(painted, Paint) and isinstance(found, Paint):
        assert found == pytest.approx(painted, abs=0.6)
    else:
        assert found == painted


@pytest.mark.parametrize(
    ("written", "painted"),
    {"fff": Paint(15, 15, 15), "ffffff": WHITE, "#FFF": WHITE, "White": WHITE, "chucknorris": Paint(192, 0, 0)}.items(),
)
def test_colors_of_old_attributes_are_read_as_browsers_do(written: str, painted: Paint):
    assert legacy_color(written) == painted


@pytest.mark.parametrize(
    ("gray", "read"), {"#f0f0f0": False, "#f5f5f5": False, "#eeeeee": True, "#dddddd": True, "#999999": True}.items()
)
def test_gray_on_white_is_read_from_eee_on(gray: str, read: bool):
    found = color(gray)
    assert isinstance(found, Paint)
    assert alike(found, WHITE) != read
    assert bool(seen(f"<p style='color:{gray}'>word")) == read


@pytest.mark.parametrize(
    ("value", "pixels"),
    {
        "1.5em": 30.0,
        "10%": 100.0,
        "0": 0.0,
        "calc((1px + 2px) * -3)": -9.0,
        "clamp(1px, 2em, 20px)": 20.0,
        "min(0px, 5vw)": 0.0,
        "calc(1px / 0)": None,
        "1bogus": None,
        "calc(" * 5_000: None,
    }.items(),
)
def test_lengths_and_sums_come_to_pixels(value: str, pixels: float | None):
    found = length(value)
    assert (found and found.px(20.0, 1000.0)) == pixels


@pytest.mark.parametrize(
    ("query", "holds"),
    {
        "": True,
        "screen": True,
        "print, screen": True,
        "not print": True,
        "only screen and (max-width: 600px)": False,
        "screen and (max-device-width:480px)": False,
        "(min-width: 40em) and (orientation: landscape)": True,
        "(400px <= width < 1024px)": False,
        "(prefers-color-scheme: dark)": False,
        "(max-width: 1px) or (hover)": True,
        "not (max-width: 1px)": True,
        "(bogus: 1)": False,
        "not (bogus: 1)": False,
        "((((": False,
    }.items(),
)
def test_media_queries_are_asked_of_a_light_screen_1024_pixels_wide(query: str, holds: bool):
    assert media(query) == holds


@pytest.mark.parametrize(
    ("condition", "holds"),
    {
        "(display: grid)": True,
        "(display: bogus)": False,
        "not (display: bogus)": True,
        "(-ms-ime-align: auto)": False,
        "((display: grid) and (not (gap: 1px)))": False,
        "(--a: b)": True,
    }.items(),
)
def test_what_is_supported_is_what_chromium_supports(condition: str, holds: bool):
    assert supports(condition) == holds


def test_shorthands_become_long_properties_and_what_no_browser_takes_is_left_out():
    block = "font:bold 0/0 a; font:0/0; overflow:clip; margin:1px 2px; DISPLAY:None ! important; display:bogus; x:y"
    assert [(name, value) for name, value, _ in declarations(block, False)] == [
        ("font-size", "0"),
        ("line-height", "0"),
        ("overflow-x", "clip"),
        ("overflow-y", "clip"),
        ("margin-top", "1px"),
        ("margin-right", "2px"),
        ("margin-bottom", "1px"),
        ("margin-left", "2px"),
        ("display", "none"),
    ]


SIMPLE = st.sampled_from(
    sorted(
        names(
            ".a .b .c #x #y [k] [k=q] [k^=q] [k~=r] [k|=q] [k$=q] [k*=r] :first-child :last-child :only-child :empty "
            ":not(.a) :nth-child(2n+1) :nth-last-child(-n+2) :first-of-type :nth-of-type(2) :only-of-type :is(.a,.b) "
            ":where(.c) :has(.a) :nth-child(odd) :nth-last-of-type(1)"
        )
    )
)
COMPOUND = st.tuples(st.sampled_from(["div", "b", "i", "*"]), st.lists(SIMPLE, max_size=2)).map(
    lambda parts: parts[0] + "".join(parts[1])
)
COMPLEX = st.tuples(COMPOUND, st.lists(st.tuples(st.sampled_from([" ", ">", " + ", "~"]), COMPOUND), max_size=3)).map(
    lambda parts: parts[0] + "".join(combinator + compound for combinator, compound in parts[1])
)
ELEMENT = st.tuples(
    st.sampled_from(["div", "b", "i"]),
    st.sampled_from(["", " class='a'", " class='b c'", " class='a b'", " id=x", " id=y k='q'", " k='q-r'", " k='q r'"]),
)
TREE = st.recursive(
    ELEMENT.map(lambda parts: f"<{parts[0]}{parts[1]}></{parts[0]}>"),
    lambda inner: st.tuples(ELEMENT, st.lists(inner, max_size=4)).map(
        lambda parts: f"<{parts[0][0]}{parts[0][1]}>{''.join(parts[1])}</{parts[0][0]}>"
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=100)
@given(TREE, COMPLEX)
def test_selectors_match_what_another_implementation_matches(html: str, text: str):
    tree = LexborHTMLParser(html)
    document = Document(tree, quirks=False)
    read = selector(text, quirks=False)
    assert read is not None
    ours = {node.mem_id for node in tree.css("*") if read.matches(document.element(node))}
    assert ours == {node.mem_id for node in tree.css(text)}


@pytest.mark.parametrize("text", ["", "a,,b", ".1a", "a >> b", "a:bogus", "a::-moz-x", "}", "a[b", "> a", ":not(" * 50])
def test_what_is_no_selector_is_told(text: str):
    with pytest.raises(NotASelector):
        for part in text.split(","):
            selector(part, quirks=False)


OLD = "<style>.X{display:none}</style><p class='x'>a</p><p style='color:fff'>b</p><b style='font-size:0'><table><td>c"


@pytest.mark.parametrize(
    ("doctype", "words"),
    {
        "": ["c"],
        "<!DOCTYPE html>": ["a", "b"],
        "<!DOCTYPE html PUBLIC '-//W3C//DTD HTML 4.01 Transitional//EN'>": ["c"],
        "<!DOCTYPE html PUBLIC '-//W3C//DTD HTML 4.01 Transitional//EN' 'http://www.w3.org/TR/html4/loose.dtd'>": [
            "a",
            "b",
        ],
        "<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0 Transitional//EN' 'x'>": ["a", "b"],
        "<!DOCTYPE html PUBLIC '-//W3C//DTD HTML 3.2//EN'>": ["c"],
    }.items(),
)
def test_without_a_modern_doctype_css_is_read_as_long_ago(doctype: str, words: list[str]):
    assert seen(doctype + OLD) == words


DEEP = "<div class=a>" * 300
HOSTILE = {
    "rules": "<style>" + "".join(f".c{number}{{display:none}}" for number in range(30_000)) + "</style>",
    "the same rule": "<style>" + ".a{display:none}" * 30_000 + "</style>" + "<b class=a></b>" * 1_000,
    "complex rules": "<style>" + "div div div b{color:red}" * 10_000 + "</style>" + DEEP + "<b></b>" * 500,
    "has": "<style>" + "b:has(.z){color:red}" * 500 + "</style>" + DEEP + "<b></b>" * 500,
    "places among": "<style>" + "b:nth-child(2n of .a){color:red}" * 300 + "</style>" + "<b class=a></b>" * 1_000,
    "siblings": "<style>" + "b ~ b ~ b ~ i{color:red}" * 500 + "</style>" + "<b></b>" * 2_000,
    "one selector": "<style>" + "div " * 25_000 + "i{color:red}</style>" + DEEP,
    "nested selectors": "<style>" + ":not(" * 20_000 + "</style>",
    "nested rules": "<style>" + ".a, b{&," * 5_000 + "</style>",
    "layers": "<style>" + "".join(f"@layer l{number}{{.a{{color:red}}}}" for number in range(20_000)) + "</style>",
    "conditions": "<style>@media " + "(" * 50_000 + "{.a{color:red}}</style>",
    "brackets": "<p style='" + "color:rgb(" * 30_000 + "'>",
    "strings": "<style>" + "\"'" * 200_000 + "{</style>",
    "escapes": "<style>" + "\\" * 400_000 + "{</style>",
    "variables": "<style>*{--a:" + "var(--b)" * 50 + ";--b:" + "var(--a)" * 50 + ";color:var(--a)}</style>" + DEEP,
    "own styles": "".join(f"<p style='color:#{number:06x};margin:{number}px'></p>" for number in range(4_000)),
    "things placed": "<div>" + "<p style='position:absolute;left:-5px'></p>" * 3_000,
    "gradients": "<p style='background:linear-gradient(" + "#fff," * 20_000 + "#fff)'>",
    "shapes": "<p style='clip-path:polygon(" + "0 0," * 20_000 + "0 0)'>",
}


@pytest.mark.parametrize("html", HOSTILE.values(), ids=HOSTILE)
def test_style_made_to_be_slow_is_read_within_seconds(html: str):
    start = time.process_time()
    html_to_text(html)
    assert time.process_time() - start < 5


def test_where_matching_takes_too_long_too_much_is_hidden_rather_than_too_little():
    slow = "u ~ b ~ b ~ i{color:red}" * 500
    rules = "p.y b{display:none}p.z i{display:block}i{display:none}"
    words = "<i>one</i><p class=y><b>two</b></p><p class=z><i>three</i></p>x"
    assert seen(f"<style>{rules}</style>{words}") == ["x", "three"]
    html = f"<style>{slow}{rules}</style>{'<b></b>' * 2_000}{words}"
    assert seen(html) == ["x"]


PIECES = st.sampled_from(
    sorted(
        names(
            "{ } ; : , . # * & > + ~ ( ) [ ] = ' \" \\ / /* */ <!-- @media @layer @supports not and screen a .b #c "
            ":not( :is( :nth-child( 2n+1 ::before (min-width:1px) display none color #fff rgb( var(--x) --x calc( "
            "1px url( !important font background 0/0 transform scale(0) clip-path polygon( inset(1%) margin -9px"
        )
    )
)


@settings(deadline=None, max_examples=100)
@given(st.lists(PIECES | st.text(max_size=3), max_size=40).map("".join), st.lists(PIECES, max_size=20).map("".join))
def test_no_style_raises(sheet: str, style: str):
    style = style.replace('"', "")
    seen(f'<style>{sheet}</style><div class=b id=c style="{style}"><p class=b>x</p><a href=y>z</a></div>')


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<html style='font-size:1px'><p style='font-size:1rem'>x", "<html><p style='font-size:1rem'>x"),
        ("<body bgcolor=black><p style='color:#000'>x", "<body><p style='color:#000'>x"),
        ("<html style='--c:#fff'><p style='color:var(--c)'>x", "<html style='--c:#000'><p style='color:var(--c)'>x"),
        ("<style>a:not(.b) + p{display:none}</style><a></a><p>x", "<style>a:not(.b) + p{display:none}</style><p>x"),
        ("<p style='color:fff'>x", "<!doctype html><p style='color:fff'>x"),
    ],
    ids=["root size", "background", "variables", "selectors", "quirks"],
)
def test_what_is_kept_from_mail_to_mail_changes_nothing(one: str, other: str):
    for _ in range(2):
        assert (seen(one), seen(other)) == ([], ["x"])
