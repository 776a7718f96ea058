"""Every way to hide words in hiding.toml, and every near miss, as the project's own reading of HTML sees them."""

import re
import tomllib
from pathlib import Path

import pytest

from salesos_inbox.mail.html import html_to_text

CASES: dict[str, str] = {
    case["name"]: case["html"]
    for case in tomllib.loads(Path(__file__).with_name("hiding.toml").read_text("utf-8"))["case"]
}
_WORD = re.compile(r"zq(?:shown|hidden)[a-z]*")


@pytest.mark.parametrize("html", CASES.values(), ids=CASES)
def test_words_are_read_where_they_are_seen_and_only_there(html: str):
    read = html_to_text(html)
    there = set(_WORD.findall(html))
    assert set(_WORD.findall(read.text)) == {word for word in there if word.startswith("zqshown")}
    assert read.hidden_chars or "<!--" in html or not any(word.startswith("zqhidden") for word in there)


def test_at_least_eighty_ways_to_hide_and_forty_near_misses_are_tried():
    hiding = sum("zqhidden" in html for html in CASES.values())
    assert (hiding >= 80, len(CASES) - hiding >= 40) == (True, True)
