# ruff: noqa: E501  (mail has long lines)
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from salesos_inbox.mail.html import CUT_NOTE, html_to_text


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
https://www.bank.example/login [1: leads to evil.example, not www.bank.example] bank.example [2] report.pdf [3] our bank [4]

[1] hxxps://evil.example/login
[2] hxxps://login.bank.example
[3] hxxps://files.example/x
[4] hxxps://xn--bnk-6cd.example\
""")


HIDDEN = {
    "display none": "<div style='DISPLAY : none !important'>secret</div>",
    "visibility hidden": "<div style='visibility:hidden'>secret</div>",
    "opacity 0": "<div style='opacity:0.0'>secret</div>",
    "font size 0": "<div style='font-size:0px'>secret</div>",
    "font shorthand": "<div style='font:1px/1px Arial'>secret</div>",
    "folded": "<div style='max-height:0;overflow:hidden'>secret</div>",
    "mso-hide": "<div style='mso-hide:all'>secret</div>",
    "hidden attribute": "<div hidden>secret</div>",
    "white on white": "<div style='color:#fff'>secret</div>",
    "the color of a cell": "<table><tr><td bgcolor='#112233'><font color='#112234'>secret</font></table>",
    "off screen": "<div style='position:absolute;left:-9999px'>secret</div>",
    "indented away": "<div style='text-indent:-9999px'>secret</div>",
    "a class": "<style>.x{display:none}</style><div class='a x'>secret</div>",
    "an id": "<style>#x{opacity:0}</style><div id=x>secret</div>",
    "a tag": "<style>@media screen{ins{font-size:0}}</style><ins>secret</ins>",
    "a template": "<template>x</template><datalist><option>secret</datalist>",
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
    "white on what a rule we cannot place may color": "<style>.a .b{background:#000}</style><p style='color:#fff'>shown</p>",
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


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 100_000,
        "<blockquote>x" * 50_000,
        "<p>" + "".join(f"<b id={number}>" for number in range(1000)) + "</p>" + "<p>x" * 100_000,
        "<p " + " ".join(f"a{number}=1" for number in range(200_000)) + ">",
        "<style>" + "/*" * 200_000 + "</style>x",
        "<style>" + "{" * 200_000 + "</style>x",
    ],
    ids=["depth", "quotes", "formatting", "attributes", "comments", "braces"],
)
def test_hostile_html_is_read_within_seconds(html: str):
    start = time.monotonic()
    html_to_text(html)
    assert time.monotonic() - start < 5


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
    ]
)


@settings(deadline=None)
@given(st.lists(TAGS | st.text(max_size=5)).map("".join))
def test_no_text_raises(html: str):
    html_to_text(html)
