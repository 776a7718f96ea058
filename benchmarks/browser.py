"""What headless Chromium shows of the HTML of a mail: the truth that our own text is held against.

What it computes of a whole message (`look`), and the pixels it paints of words that are marked (`painted`).

The first knows nothing of filters, masks, gradients and what lies over what, and calls words shown there. On the cases
of `tests/mail/hiding.toml` the two differ in 22 words of 1,293.

Nothing is fetched and no script runs, as in a mail program. All that is said here about what can be seen comes from
Chromium's layout and computed styles, none of it from the code that is measured.
"""

import hashlib
import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from playwright.sync_api import Browser, CDPSession, Error, Page, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTH, HEIGHT = 1024, 768
PATIENCE = 20_000
"""Milliseconds that a message may take a browser on a busy machine."""

_REFRESH = re.compile(r"""http-equiv\s*=\s*["']?\s*refresh""", re.IGNORECASE)

SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Truth:
    """What Chromium makes of a message.

    `inner` is `document.body.innerText`. It holds white words on white too; `seen` is it again without the text that
    Chromium computes to be invisible, and `hidden` is that text together with what has no box at all. `links` are the
    targets of the anchors that show words or an image, as written and as resolved; `beside` are words that a text may
    have or not: those of buttons and fields, texts that stand for images, numbers of lists, and what is too faint to be
    called hidden or shown.
    """

    inner: str
    seen: str
    hidden: str
    links: tuple[tuple[str, str], ...]
    beside: str


@contextmanager
def chromium() -> Generator[Browser]:
    """Run a headless Chromium that reaches no network."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND", "--disable-gpu", "--hide-scrollbars"],
        )
        yield browser
        browser.close()


def mail_page(browser: Browser, height: int = HEIGHT) -> Page:
    """Open a page as a mail program would: offline, without scripts, 1,024 pixels wide."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": height}, java_script_enabled=False, offline=True, color_scheme="light"
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    return page


def show(page: Page, html: str) -> None:
    """Have the page show a message; one that would lead away by itself stays.

    In a document of its own: one that is written anew keeps the link colours of the one before.
    """
    page.goto("about:blank")
    page.set_content(_REFRESH.sub("http-equiv=x-refresh", html), wait_until="domcontentloaded")


def look(page: Page, html: str) -> Truth:
    """Return what Chromium makes of a message."""
    show(page, html)
    found = page.evaluate(SCRIPT)
    return _truth(found)


MARKED = re.compile(r"zq(?:shown|hidden)\w*", re.IGNORECASE)
"""The words of a test mail that are asked about."""
LEGIBLE = 12
"""How many pixels change at least when the letters of a word that is seen change places."""
_BAND, _BATCH = 160, 48
_PAINTING = Path(__file__).with_name("painting.js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Ink:
    """How many pixels a word paints: any that the eye could tell from the ground (8 of 255), and clear ones (24)."""

    faint: int = 0
    clear: int = 0

    @property
    def refutes_hidden(self) -> bool:
        """Whether the word can be seen."""
        return self.clear >= LEGIBLE

    @property
    def refutes_shown(self) -> bool:
        """Whether it cannot. Where neither is so, it is a matter of taste."""
        return self.faint < LEGIBLE


def painted(browser: Browser, mails: Sequence[str]) -> list[dict[str, Ink]]:
    """For each mail, what each of its marked words paints.

    A word is written backwards, which takes the same room, and the pixels that change are counted: none where nobody
    sees it, whatever the reason. Each mail has a frame of its own, 1,024 x 160 pixels without scroll bars.
    """
    words = [list(dict.fromkeys(MARKED.findall(mail))) for mail in mails]
    found: list[dict[str, Ink]] = [{} for _ in mails]
    ranked = sorted(range(len(mails)), key=lambda place: len(words[place]))
    page, counter = mail_page(browser, _BAND * min(_BATCH, len(mails))), browser.new_page()
    page.set_content("<!DOCTYPE html><body style='margin: 0'>")
    camera = page.context.new_cdp_session(page)
    for at in (page, counter):
        at.evaluate(f"{_PAINTING}; () => undefined")
    for first in range(0, len(ranked), _BATCH):
        places = ranked[first : first + _BATCH]
        page.evaluate("(given) => painting.show(...given)", [[mails[place] for place in places], WIDTH, _BAND])
        counter.evaluate("(picture) => painting.remember(picture)", _picture(camera))
        for turn in range(max(len(words[place]) for place in places)):
            asked = [(words[place][turn:] or [""])[0] for place in places]
            page.evaluate("(words) => painting.reverse(words)", asked)
            counts = counter.evaluate("(given) => painting.changes(...given)", [_picture(camera), _BAND])
            page.evaluate("() => painting.restore()")
            for place, word, (faint, clear) in zip(places, asked, counts, strict=False):
                if word:
                    found[place][word] = Ink(faint, clear)
    page.context.close()
    counter.context.close()
    return found


def _picture(camera: CDPSession) -> str:
    shot: dict[str, Any] = cast("Any", camera).send(
        "Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True}
    )
    return shot["data"]


def _truth(document: Mapping[str, Any]) -> Truth:
    links = tuple((written, resolved) for written, resolved in document["links"])
    return Truth(document["inner"], document["seen"], document["hidden"], links, document["beside"])


class Truths:
    """Truths by message, kept in a file from one run to the next; those of another Chromium or script are made anew."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._kept = sqlite3.connect(path)
        self._kept.execute("CREATE TABLE IF NOT EXISTS truth (key TEXT PRIMARY KEY, document TEXT NOT NULL)")

    def of(self, messages: Iterable[str]) -> Generator[tuple[str, Truth | None]]:
        """Yield each message with its truth, or None where Chromium gives none in time."""
        asked = list(messages)
        version = subprocess.run([CHROMIUM or "", "--version"], capture_output=True, text=True, check=True).stdout
        keys = {
            html: hashlib.sha256(f"{version}{SCRIPT}\0{html}".encode("utf-8", "replace")).hexdigest() for html in asked
        }
        missing = [html for html in dict.fromkeys(asked) if self._find(keys[html]) is None]
        if missing:
            with chromium() as browser:
                page = mail_page(browser)
                for number, html in enumerate(missing):
                    if number % 200 == 199:
                        page.context.close()
                        page = mail_page(browser)
                    try:
                        document = json.dumps(asdict(look(page, html)))
                    except Error:
                        page.context.close()
                        page = mail_page(browser)
                        continue
                    self._kept.execute("INSERT OR REPLACE INTO truth VALUES (?, ?)", (keys[html], document))
                    self._kept.commit()
        for html in asked:
            document = json.loads(self._find(keys[html]) or "null")
            yield html, document and _truth(document)

    def _find(self, key: str) -> str | None:
        row = self._kept.execute("SELECT document FROM truth WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None
