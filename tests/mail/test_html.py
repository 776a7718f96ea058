# ruff: noqa: E501  (mail has long lines)
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot
from selectolax.lexbor import LexborHTMLParser

from salesos_inbox.mail.html import CUT_NOTE, HIDDEN_SAMPLE, Part, html_to_text


def text_of(html: str) -> str:
    return html_to_text(html).text


def test_paragraphs_lists_quotes_and_preformatted_text_keep_their_shape():
    html = """<p>Hi  Maya,</p><p>one<br>two</p><ul><li>a<ul><li>b</ul><li>c</ul><ol start=3><li><p>x</p><p>y</p><li>z</ol>
    <blockquote>q1<blockquote>q2</blockquote></blockquote><pre>if a:
    b</pre><hr>bye"""
    assert text_of(html) == snapshot("""\
Hi Maya,

one
two

- a
  - b
- c

3. x

   y

4. z

> q1
>
> > q2

if a:
    b

---

bye\
""")


def test_rows_of_data_become_lines_and_tables_of_layout_become_blocks():
    html = """<table><tr><td><table><tr><th>Item<th>Price<tr><td><p>Seat</p><td>$5<tr><td>Support<td>$2</table></td></tr>
    <tr><td>Left column of the page</td><td>Right column</td></tr></table>"""
    assert text_of(html) == snapshot("""\
Item | Price
Seat | $5
Support | $2

Left column of the page
Right column\
""")


def test_images_and_form_fields_are_read_by_what_they_say():
    html = '<img alt="Acme logo" src=x><img src=pixel><p><input value="a>b"><input type=hidden value=secret>'
    result = html_to_text(html)
    assert (result.text, result.hidden_chars) == snapshot(
        (
            """\
[image: Acme logo]

[a>b]\
""",
            6,
        )
    )


def test_links_are_numbered_and_nothing_can_be_clicked():
    html = """<a href="https://www.acme.example/offer/2026?utm=1">Offer</a>, <a href="HTTP:\\\\sub.acme.example">home</a>,
    <a href="https://www.acme.example/offer/2026?utm=1">again</a>, <a href="mailto:ann@acme.example">Ann</a>,
    <a href="mailto:bob@acme.example">bob@acme.example</a>, <a href="javascript:alert(1)">run</a>, <a href="#top">top</a>,
    <a href="//cdn.example/x"><img src=b></a>"""
    result = html_to_text(html)
    assert result.text == snapshot("""\
Offer [1], home [2], again [1], Ann [3], bob@acme.example, run [4], top, [image] [5]

[1] hxxps://www.acme.example/offer/2026?utm=1
[2] hxxp://sub.acme.example
[3] mailto ann@acme.example
[4] (javascript link) alert(1)
[5] hxxps://cdn.example/x\
""")
    assert [link.host for link in result.links] == snapshot(
        ["www.acme.example", "sub.acme.example", "", "", "cdn.example"]
    )


def test_a_link_that_leads_elsewhere_than_it_says_is_told():
    html = """<a href="https://bank.example@evil.example/login">https://www.bank.example/login</a>
    <a href="https://login.bank.example/">bank.example</a> <a href="https://files.example/x">report.pdf</a>
    <a href="https://b\u0430nk.example/">our bank</a>"""
    assert text_of(html) == snapshot("""\
hxxps://www.bank.example/login [1: leads to evil.example, not www[.]bank.example] bank.example [2] report.pdf [3] our bank [4]

[1] hxxps://evil.example/login
[2] hxxps://login.bank.example
[3] hxxps://files.example/x
[4] hxxps://xn--bnk-6cd.example\
""")


def test_the_host_that_the_words_name_goes_with_the_link():
    links = html_to_text('<a href="//evil.example/a">Bank.com</a> <a href="//evil.example/a">pay here</a>').links
    assert [(link.host, link.named) for link in links] == [("evil.example", "bank.com")]


def test_the_text_of_a_picture_names_no_host():
    html = '<a href="//click.mailer.example/x"><img alt="Bank.com"></a>'
    assert text_of(html) == "[image: Bank.com] [1]\n\n[1] hxxps://click.mailer.example/x"


def test_a_link_whose_words_are_its_address_is_told_once():
    html = (
        '<a href="https://acme.example/a/b">https://acme.example/a/b</a> <a href="http://acme.example">acme.example</a>'
    )
    result = html_to_text(html)
    assert result.text == "hxxps://acme.example/a/b acme.example [2]\n\n[2] hxxp://acme.example"
    assert [link.url for link in result.links] == ["https://acme.example/a/b", "http://acme.example"]


def test_a_pictures_link_an_areas_and_a_forms_are_kept_and_a_hidden_links_are_not():
    html = """<base href="https://acme.example/mail/"><a href="home"><img src=l alt="Acme"></a><map><area href=/x alt="Left half">
    </map><form action="//collect.example/in"><input name=card placeholder="Card number"><button formaction=//b.example>Pay</button>
    </form><form action="//unused.example">no field</form><a href="//hidden.example" style="display:none">x</a><a href=//empty.example></a>"""
    assert text_of(html) == snapshot("""\
[image: Acme] [1] [image: Left half] [2]

[Card number]Pay [3]
[form, sent to collect.example] [4]

no field

[1] hxxps://acme.example/mail/home
[2] hxxps://acme.example/x
[3] hxxps://b.example
[4] hxxps://collect.example/in\
""")


def test_addresses_written_out_in_the_text_are_not_live():
    assert text_of("<p>go to https://<b>evil.example</b>/x or www.evil.example") == snapshot(
        "go to hxxps://evil.example/x or www[.]evil.example"
    )


def test_lists_are_numbered_as_they_are_shown():
    html = """<ol type=a start=26><li>x<li>y</ol><ol type=I><li>x<li value=9>y</ol><ol reversed><li>x<li>y</ol><menu><li>m</menu>
    <ol start=x><li>1<ol type=i><li>2</ol><ul><li>3</ul></ol>"""
    assert text_of(html) == snapshot("""\
z. x
aa. y

I. x
IX. y

2. x
1. y

- m

1. 1
   i. 2
   - 3\
""")


def test_rows_keep_their_columns_and_lose_those_that_only_part():
    html = """<table><tr><th>Month<th width=9><th>Seats<th>Price<tr><td>May<td><td><td>$5<tr><td colspan=3>All<td>$9</table>
    <table><tr><td rowspan=2>A<td>B<tr><td>C</table><table><tr><td>Total<td>$20</table>
    <table><tr><td>A column of words that goes on and on for so very long that nobody would read it as the cell of a table of figures, but as a
    text with others beside it, is no row.<td>Side</table>"""
    assert text_of(html) == snapshot("""\
Month | Seats | Price
May | | $5
All | $9

A | B
C

Total | $20

A column of words that goes on and on for so very long that nobody would read it as the cell of a table of figures, but as a text with others beside it, is no row.
Side\
""")


def test_small_things_read_as_they_look():
    html = """<p>10<sup>6</sup> m<sup>th</sup> H<sub>2</sub>O <del>$9</del> <ins>$7</ins> <q>so</q> <ruby>漢<rp>(</rp><rt>kan</rt></ruby>
    a<wbr>b x&nbsp;&nbsp;y<p><input type=checkbox checked>Yes <input type=radio>No <select><option>A<option selected>B</select>
    <textarea>one
 two</textarea><p><img alt="🎉"><img alt=spacer.gif><img alt=pixel width=1 height=1><img alt=""><noscript>no script</noscript>
    <object data=x>other</object><video>v</video><svg><title>t</title><text>drawn</text>stray</svg> <math><mi>n</mi></math>"""
    result = html_to_text(html)
    assert result.text == snapshot("""\
10^6 mth H2O ~~$9~~ $7 “so” 漢(kan) ab x y

[x]Yes ( )No [B] one
 two

🎉no script otherdrawn n\
""")
    assert result.hidden == snapshot("""\
pixel
v
stray\
""")


def test_what_is_marked_as_a_part_has_a_text_of_its_own_with_its_links():
    html = """<p>New <a href=//a.example>a</a><div class=q>Old <a href=//b.example>b</a><blockquote>older</blockquote></div><p>More
    <div class=s>Ann <a href=//a.example>a</a></div>"""
    result = html_to_text(
        html,
        lambda tree: {
            node.mem_id: part
            for selector, part in ((".q", Part.QUOTE), (".s", Part.SIGNATURE))
            for node in tree.css(selector)
        },
    )
    assert (result.text, result.quoted, result.signature) == snapshot(
        (
            """\
New a [1]

More

[1] hxxps://a.example\
""",
            """\
Old b [2]

> older

[2] hxxps://b.example\
""",
            """\
Ann a [1]

[1] hxxps://a.example\
""",
        )
    )
    assert [link.host for link in result.links] == ["a.example", "b.example"]


def test_what_is_hidden_is_handed_on_by_its_beginning():
    result = html_to_text("<p hidden>ignore all</p><p hidden>" + "x" * 9_000)
    assert result.hidden.startswith("ignore all\nxxx")
    assert (len(result.hidden), result.hidden_chars) == (HIDDEN_SAMPLE, 9_010)


HIDDEN = {
    "display none": "<div style='DISPLAY : none !important'>secret</div>",
    "visibility hidden": "<div style='visibility:hidden'>secret</div>",
    "opacity 0": "<div style='opacity:0.0'>secret</div>",
    "font size 0": "<div style='font-size:0px'>secret</div>",
    "font shorthand": "<div style='font:1px/1px Arial'>secret</div>",
    "folded": "<div style='max-height:0;overflow:hidden'>secret</div>",
    "hidden attribute": "<div hidden>secret</div>",
    "white on white": "<div style='color:#fff'>secret</div>",
    "the color of a cell": "<table><tr><td bgcolor='#112233'><font color='#112234'>secret</font></table>",
    "off screen": "<div style='position:absolute;left:-9999px'>secret</div>",
    "indented away": "<div style='text-indent:-9999px'>secret</div>",
    "a class": "<style>.x{display:none}</style><div class='a x'>secret</div>",
    "an id": "<style>#x{opacity:0}</style><div id=x>secret</div>",
    "a tag": "<style>@media screen{ins{font-size:0}}</style><ins>secret</ins>",
    "a template": "<template><p>secret</template>",
}


@pytest.mark.parametrize("html", HIDDEN.values(), ids=HIDDEN)
def test_what_a_sender_hides_is_left_out_and_counted(html: str):
    result = html_to_text(f"<p>shown</p>{html}<p>end</p>")
    assert result.text == "shown\n\nend"
    assert result.hidden_chars == len("secret")


SHOWN = {
    "a size set again inside": "<div style='font-size:0'><span style='font-size:14px'>shown</span></div>",
    "visible inside hidden": "<div style='visibility:hidden'><b style='visibility:visible'>shown</b></div>",
    "hidden on phones only": "<style>@media (max-width:600px){.x{display:none}}</style><p class=x>shown</p>",
    "white on black": "<table><tr><td style='background:#000'><p style='color:white'>shown</p></table>",
    "white on a picture": "<div background='sky.jpg'><p style='color:white'>shown</p></div>",
    "an inline style over a rule": "<style>p{display:none}</style><p style='display:block'>shown</p>",
}


@pytest.mark.parametrize("html", SHOWN.values(), ids=SHOWN)
def test_what_a_browser_shows_is_never_left_out(html: str):
    assert text_of(html) == "shown"


def test_comments_scripts_and_style_sheets_are_no_text():
    html = "<title>t</title><!--[if mso]>x<![endif]--><script>y</script><style>p{}</style><p>shown"
    assert (text_of(html), html_to_text(html).hidden_chars) == ("shown", 0)


def test_html_that_is_too_long_is_cut_and_says_so():
    assert text_of("<p>word</p>" * 200_000).endswith(CUT_NOTE)


def many(form: str, length: int = 1_000_000) -> str:
    """As many numbered copies of a piece of HTML as make up the length."""
    return "".join(form.replace("#", str(number)) for number in range(length // len(form)))


HOSTILE = {
    "depth": "<div>" * 400_000,
    "quotes": "<blockquote>x" * 50_000,
    "items in items": "<li><dd>" * 250_000,
    "formatting": "<p>" + many("<b id=#>", 20_000) + "</p>" + "<p>x" * 100_000,
    "a little formatting": "<p>" + many("<b id=#>", 3_500) + "<p>x" * 400,
    "formatting that outlives its end": many(
        "<b id=#><div><div><div><div><div><div><div><div><div></b></div></div></div></div></div></div></div></div></div>"
    ),
    "attributes": "<p " + many("a#=1 ") + ">x",
    "attributes after a quoted bracket": "<p a='>' " + many("a#=1 ") + ">x",
    "attributes of the body": many("<body a#=1>"),
    "attributes without an end": "<p " + many("a# ", 2_000_000),
    "ends in comments": "<div><!--</div>-->" * 100_000,
    "ends in attributes": "<div a='</div>'>" * 100_000,
    "ends in style sheets": "<div><style></div></style>" * 60_000,
    "a title in a drawing": "<svg><title>" + "<div>" * 300_000,
    "text that is none in a template": "<template><col><xmp></template>" + "<div>" * 300_000,
    "ends that end nothing": "<span>" * 9_000 + "</x>" * 300_000,
    "comments": "<style>" + "/*" * 200_000 + "</style>x",
    "braces": "<style>" + "{" * 200_000 + "</style>x",
    "brackets": "<" * 2_000_000,
    "half a tag": "<a " * 600_000,
    "half an attribute": "<x a=" * 400_000,
    "an open quote": "<a b='" * 300_000,
    "a path": "<a/b=" * 400_000,
    "entities": "&amp" * 500_000,
    "open comments": "<!--" * 500_000,
    "one line": "word " * 1_000_000,
    "one word": "x" * 5_000_000,
    "nothing": "\0" * 2_000_000,
    "half characters": "\ud800" * 2_000_000,
    "carriage returns": "x\r" * 1_000_000,
    "links": many("<a href=//h#.example/x>l</a>"),
    "links below a long base": "<base href=https://x.example/" + "p" * 250 + ">" + many("<a href=#>l</a>"),
    "empty elements": "<i></i>" * 200_000,
    "a table": "<table>" + "<tr><td>a<td>b" * 130_000,
    "tables in tables": "<table><tr><td>a<td>" * 100_000,
    "words outside of cells": "<table>" + "x<b>y" * 200_000,
    "choices": "<select>" + "<option>x" * 100_000,
    "frames": "<frameset><frame>" * 100_000,
    "counted lists": "<ol reversed><li>x</ol>" * 80_000,
}


@pytest.mark.parametrize("html", HOSTILE.values(), ids=HOSTILE)
def test_hostile_html_is_read_within_seconds_and_never_made_much_longer(html: str):
    start = time.process_time()
    text = html_to_text(html).text
    assert time.process_time() - start < 8
    assert len(text) < 3 * len(html)


@pytest.mark.parametrize(
    "filling",
    ["<i></i>" * 50_010, " " * 2_000_000, "<div>" * 2_500 + "x" * 80_000],
    ids=["too many tags", "too long", "too deep"],
)
def test_what_is_hidden_by_a_style_sheet_after_the_cut_of_a_mail_is_hidden(filling: str):
    read = html_to_text(f"<p class=x>zqhidden</p><p>zqshown</p>{filling}<style>.x{{display:none}}</style>")
    assert "zqshown" in read.text
    assert CUT_NOTE in read.text
    assert ("zqhidden" in read.text, read.hidden) == (False, "zqhidden")


TAGS = st.sampled_from(
    [
        "<div>",
        "</div>",
        "<table>",
        "<tr>",
        "<td>",
        "<li>",
        "<ul>",
        "<a href='//x.y'>",
        "</a>",
        "<p style='",
        "'>",
        "<pre>",
        "<![CDATA[",
        "<!--",
        "-->",
        "<svg>",
        "<text>",
        "<select>",
        "<option>",
        "<ol reversed>",
        "<li value=3>",
        "<blockquote>",
        "<details>",
        "<summary>",
        "<form action=x>",
        "<input value=x>",
        "<img alt=x>",
        "<style>",
        "<template>",
        "<br>",
        "<sup>",
        "<q>",
        "</table>",
    ]
)


@settings(deadline=None)
@given(st.lists(TAGS | st.text(max_size=5)).map("".join))
def test_no_text_raises(html: str):
    html_to_text(html, lambda tree: {node.mem_id: Part.QUOTE for node in tree.css("td, blockquote")})


@settings(deadline=None)
@given(st.lists(TAGS | st.sampled_from(["word", " ", "<p>", "<div>"])).map("".join))
def test_what_stands_in_no_text_of_the_page_stands_in_ours_neither(html: str):
    """An attribute that is never closed, or a comment, does not leak in as text."""
    page = LexborHTMLParser(html).root
    shown = "".join((page.text() if page else "").split())
    ours = html_to_text(html).text
    assert ours.count("word") <= shown.count("word")
