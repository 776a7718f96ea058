# ruff: noqa: E501  (addresses are long)
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from salesos_inbox.mail.links import Link, address, base_address, inert, link_list, mentioned, other_host, target

SPELLINGS = {
    "https://bank.example@evil.example/login": ("evil.example", "hxxps://evil.example/login"),
    "https://bank.example:443@evil.example:8443": ("evil.example", "hxxps://evil.example:8443"),
    "https://bank.example\\@evil.example": ("bank.example", "hxxps://bank.example/@evil.example"),
    "HTTP:\\\\Evil.EXAMPLE": ("evil.example", "hxxp://evil.example"),
    "https:evil.example": ("evil.example", "hxxps://evil.example"),
    "//evil.example/x": ("evil.example", "hxxps://evil.example/x"),
    " ht\ntps://evil.exa\tmple ": ("evil.example", "hxxps://evil.example"),
    "https://%65vil.example:443": ("evil.example", "hxxps://evil.example"),
    "https://ｅvil。example": ("evil.example", "hxxps://evil.example"),
    "https://b\u0430nk.example": ("xn--bnk-6cd.example", "hxxps://xn--bnk-6cd.example"),
    "https://fa\xdf.example": ("xn--fa-hia.example", "hxxps://xn--fa-hia.example"),
    "https://ba\xadnk.example": ("bank.example", "hxxps://bank.example"),
    "http://0x7f.1/x": ("127.0.0.1", "hxxp://127.0.0.1/x"),
    "http://2130706433": ("127.0.0.1", "hxxp://127.0.0.1"),
    "http://0177.0.0.01": ("127.0.0.1", "hxxp://127.0.0.1"),
    "http://[0:0::1]:8080/": ("::1", "hxxp://[::1]:8080"),
    "ftp://files.example/a": ("files.example", "fxp://files.example/a"),
    "http://1.2.3.4.5/": ("", "(broken http link) 1.2.3.4.5"),
    "https://": ("", "(broken https link) "),
    "javascript:alert(1)": ("", "(javascript link) alert(1)"),
    "data:text/html,x": ("", "(data link) text/html,x"),
    "file://server/share": ("", "(file link) //server/share"),
    "cid:logo@mail": ("", "(cid link) logo@mail"),
    "mailto:ann@acme.example?body=x": ("", "mailto ann@acme.example"),
    "mailto:ann%0A[2]": ("", "mailto ann [2]"),
    "tel:+4912345": ("", "tel +4912345"),
    "offer.html": ("", "(relative link) offer.html"),
    "www.acme.example": ("", "(relative link) www[.]acme.example"),
    "https://go.mailer.example/?to=https://bank.example": (
        "go.mailer.example",
        "hxxps://go.mailer.example/?to=hxxps://bank.example",
    ),
}


@pytest.mark.parametrize(("href", "expected"), SPELLINGS.items(), ids=map(ascii, SPELLINGS))
def test_an_address_is_read_as_a_browser_reads_it_and_nothing_of_it_is_live(href: str, expected: tuple[str, str]):
    read = target(address(href))
    assert (read.host, read.shown) == expected


def test_a_host_is_shown_whole_and_of_the_rest_the_beginning():
    host = ".".join(["verylonglabel"] * 15) + ".example"
    assert target(f"https://{host}/{'p' * 100}").shown == f"hxxps://{host}/{'p' * 39}…"


def test_relative_links_lead_where_the_base_of_the_page_says():
    base = base_address("https://news.example/2026/")
    assert address("offer", base) == "https://news.example/2026/offer"
    assert address("//cdn.example/x", base) == "https://cdn.example/x"
    assert address("mailto:ann@acme.example", base) == "mailto:ann@acme.example"
    assert (base_address("javascript:x"), base_address("https://a.example/" + "x" * 10_000)) == ("", "")


NAMED = {
    ("https://www.bank.example/login", "evil.example"): "www.bank.example",
    ("go to www.bank.zip now", "evil.example"): "www.bank.zip",
    ("Bank.com", "evil.example"): "bank.com",
    ("b\u0430nk.com", "evil.example"): "xn--bnk-6cd.com",
    ("bank\u200b.com", "evil.example"): "bank.com",
    ("http://10.0.0.1/x", "evil.example"): "10.0.0.1",
    ("bank.com", "login.bank.com"): "",
    ("shop.bank.com", "www.bank.com"): "",
    ("report.pdf", "files.example"): "",
    ("Node.js and St.Louis, 3.5 and e.g. this", "x.example"): "",
    ("ann@bank.com", "evil.example"): "",
    ("bank.com", ""): "",
}


@pytest.mark.parametrize(("told", "expected"), NAMED.items(), ids=map(ascii, NAMED))
def test_another_host_than_the_links_own_is_found_in_its_words(told: tuple[str, str], expected: str):
    assert other_host(*told) == expected


def test_only_the_links_that_a_text_mentions_are_listed():
    links = (Link(1, "https://a.example", "a.example"), Link(2, "https://b.example", "b.example"))
    assert link_list(mentioned("see [2: leads to b.example, not c.example]", links)) == "[2] hxxps://b.example"


def test_web_addresses_in_a_text_become_inert_and_all_else_stays():
    text = """See https://evil.example/x, HTTP://EVIL.example, ftp://a.example and www.evil.example/login?to=http://b.example.
[Click](javascript:x) ![p](//evil.example/p.png) smb://host/share [1](note) a[i](b) https: //x e.g. ann@www.acme.example"""
    assert inert(text) == snapshot("""\
See hxxps://evil.example/x, HxxP://EVIL.example, fxp://a.example and www[.]evil.example/login?to=hxxp://b.example.
[Click] (javascript:x) ![p] (//evil.example/p.png) smb[:]//host/share [1](note) a[i](b) https: //x e.g. ann@www.acme.example\
""")


@given(
    st.lists(st.sampled_from(["http", "https", "ftp", "hxxp", "s", "://", "//", "www.", "](", "a", ".", "@", " ", "é"]))
)
def test_inert_text_stays_as_it_is(parts: list[str]):
    once = inert("".join(parts))
    assert inert(once) == once
    assert "http://" not in once and "https://" not in once and "ftp://" not in once


@given(st.text() | st.text("htps:/x.y@[]%\\?#01é。\u200b"))
def test_no_address_raises_and_none_is_live(href: str):
    shown = link_list([Link(1, address(href), "")])
    assert "\n" not in shown and "http://" not in shown and "https://" not in shown


@pytest.mark.parametrize("unit", ["http", "://", "www.", "](", "h", "//", "a.", "https://x.y "])
def test_even_a_long_text_is_made_inert_in_a_moment(unit: str):
    text = unit * (2_000_000 // len(unit))
    start = time.process_time()
    inert(text)
    other_host(text, "x.example")
    assert time.process_time() - start < 3
