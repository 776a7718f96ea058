"""What we read against what headless Chromium shows: each way to hide words, and letters with style sheets.

The long run of the same, on real mail, is `benchmarks/reading.py`.
"""

import statistics
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import pytest

from salesos_inbox.mail.html import html_to_text
from salesos_inbox.sandbox.seed.script import read_script
from salesos_inbox.sandbox.seed.stage import stage

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: `make test` brings it")
from playwright.sync_api import Browser

from browser import CHROMIUM, Ink, chromium, look, mail_page, painted
from corpora import Mail
from reading import Compared, Way, cases, ways

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium brings it"
)

CASES = cases()
HALVES = {"first half": CASES[::2], "second half": CASES[1::2]}
NOW = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
NEWSLETTERS = [
    Mail(message.subject, message.body_html)
    for thread in stage(read_script(), NOW)
    for message in thread.messages
    if message.body_html and "<style" in message.body_html
]


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    with chromium() as started:
        yield started


def test_a_word_is_painted_where_its_letters_leave_pixels(browser: Browser) -> None:
    (ink,) = painted(browser, ["<p>zqshown <b style='opacity:0'>zqhiddenone</b> <i style='color:#fff'>zqhiddentwo</i>"])
    assert ink.pop("zqshown").refutes_hidden
    assert ink == {"zqhiddenone": Ink(), "zqhiddentwo": Ink()}


def test_the_truth_of_a_page_leaves_out_what_the_browsers_own_text_still_has(browser: Browser) -> None:
    page = mail_page(browser)
    truth = look(page, "<p>Shown <b style='color:white'>white</b> <a href='https://shop.example/'>here</a>")
    page.context.close()
    assert (truth.inner, truth.seen) == ("Shown white here", "Shown here")
    assert (truth.hidden, truth.links) == ("white", (("https://shop.example/",) * 2,))


@pytest.mark.parametrize("half", HALVES)
def test_what_chromium_does_not_paint_is_not_read_and_what_it_paints_is(browser: Browser, half: str) -> None:
    found = ways(HALVES[half], browser)
    assert len(found) == len(HALVES[half])
    assert _named(found, "misjudged") == {}, "the case is wrong: Chromium paints what it calls hidden, or does not"
    assert _named(found, "leaked") == {}
    assert _named(found, "lost") == {}


def test_letters_with_style_sheets_are_read_as_chromium_shows_them(browser: Browser) -> None:
    page = mail_page(browser)
    found = [Compared(mail, look(page, mail.html), html_to_text(mail.html)) for mail in NEWSLETTERS]
    page.context.close()
    assert len(found) >= 5
    assert {one.mail.name: one.lost for one in found if one.recall < 0.995} == {}
    assert {one.mail.name: one.order for one in found if one.order < 0.99} == {}
    assert {one.mail.name: one.leaked for one in found if one.leaked} == {}
    assert {one.mail.name: one.links_lost for one in found if one.links_lost} == {}
    assert statistics.fmean(one.length for one in found if one.length is not None) <= 1.4


def _named(found: list[Way], what: str) -> dict[str, Any]:
    return {way.name: wrong for way in found if (wrong := getattr(way, what))}
