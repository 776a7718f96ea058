"""The approval page in a real browser (headless Chromium), without JavaScript: what a person sees and can do."""

import re
import shutil
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, cast, get_args

import pytest

from salesos_inbox.approval.card import Card, Fact, Group, Item, Remark
from salesos_inbox.approval.ledger import Ledger, Operation, Request, State
from salesos_inbox.approval.page import ApprovalPage

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: `make test` brings it")
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright  # noqa: E402

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium brings it"
)

Scheme = Literal["light", "dark"]
PATIENCE = 30_000
"""Milliseconds that a browser on a busy machine may take."""
MAYA = "maya@northwind.example"
NOW = time.mktime((2026, 11, 18, 10, 0, 0, 0, 0, -1))
MESSAGE = Card(
    "Send this email?",
    "Send it",
    (
        "nordkran-group.co looks like nordkran-group.com, which you know.",
        "First contact, you have never written to: 1 of 3 recipients, finance@nordkran-group.co",
    ),
    (
        Fact("To", "henrik.solberg@nordkran-group.com", "in this thread"),
        Fact("Cc", "finance@nordkran-group.co", "first contact; looks like nordkran-group.com"),
        Fact("Cc", "owen.price@northwind.example", "your own organization"),
        Fact("Subject", "Re: Framework agreement for Herning and Aarhus"),
        Fact("In reply to", "Framework agreement for Herning and Aarhus"),
        Fact("Leaves", "in 30 seconds; it can be taken back until then"),
    ),
    (
        "Hi Henrik,",
        "",
        "eleven robots at the framework price of EUR 1,310 are EUR 14,410 per month. The price holds for a third site.",
        "",
        "Best regards,",
        "Maya",
    ),
)
PLAN = Card(
    "Carry out this plan?",
    "Carry it out",
    groups=(
        Group(
            "Archive (3 threads)",
            (
                Item("archive 1", "Intralog Weekly: Issue 212, what robots cost in 2026"),
                Item("archive 2", "Tally: Your pipeline digest for week 47"),
                Item("archive 3", "Spreebahn Tickets: Your e-ticket Berlin to Hamburg"),
            ),
        ),
        Group(
            "Move to the trash (2 threads)",
            (
                Item("delete 4", "Rank Rocket: Dominate page ONE in 7 days!!!"),
                Item("delete 5", "Webinar Hub: Last chance to register"),
            ),
        ),
    ),
)


@pytest.fixture(scope="module")
def chromium() -> Generator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--host-resolver-rules=MAP evil.test 127.0.0.1"]
        )
        yield browser
        browser.close()


@dataclass
class Desk:
    """A user whose assistant asks for something, their browser, and a clock that this test moves."""

    chromium: Browser
    ledger: Ledger
    now: float = NOW
    opened: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.page = ApprovalPage(
            self.ledger, clock=lambda: self.now, open_browser=lambda url: self.opened.append(url) is None
        )

    def ask(self, card: Card, content: str = "1", seconds: float = 900) -> Operation:
        """Have something ask for consent."""
        self.now += 0.01
        request = Request(MAYA, "send_email", "send", content, {}, card.document())
        operation = self.ledger.begin(request, now=self.now, until=self.now + seconds)
        self.ledger.put_on_page(operation.operation_id, self.now + seconds)
        return operation

    def ticket(self) -> str:
        """Have the user sent to the page, and return where."""
        self.now += 60
        assert self.page.show(MAYA)
        return self.opened[-1]

    @contextmanager
    def context(
        self, *, scripts: bool = False, scheme: Scheme = "light", width: int = 1000
    ) -> Generator[BrowserContext]:
        """Open a browser's profile."""
        context = self.chromium.new_context(
            java_script_enabled=scripts, color_scheme=scheme, viewport={"width": width, "height": 700}
        )
        context.set_default_timeout(PATIENCE)
        yield context
        context.close()

    @contextmanager
    def visit(self, *, scripts: bool = False, scheme: Scheme = "light", width: int = 1000) -> Generator[Page]:
        """Let the user's browser open the page, and the user look at it for a while."""
        with self.context(scripts=scripts, scheme=scheme, width=width) as context:
            tab = context.new_page()
            tab.goto(self.ticket())
            self.now += 5
            yield tab

    def read(self, operation: Operation) -> Operation:
        """Return an operation as it is by now."""
        found = self.ledger.read(operation.operation_id)
        assert found
        return found


@pytest.fixture
def desk(chromium: Browser) -> Generator[Desk]:
    with Ledger() as ledger:
        desk = Desk(chromium, ledger)
        yield desk
        desk.page.close()


def press(tab: Page, name: str) -> None:
    """Press the button of exactly this name."""
    tab.get_by_role("button", name=name, exact=True).click()


# Deciding


def test_a_person_approves_a_message(desk: Desk) -> None:
    operation = desk.ask(MESSAGE)
    with desk.visit() as tab:
        expect(tab).to_have_title("SalesOS inbox: 1 thing waits for you")
        press(tab, "Send it")
        expect(tab.get_by_role("status")).to_contain_text("Approved.")
        expect(tab.get_by_role("heading", name="Nothing is waiting")).to_be_visible()
        expect(tab.get_by_text("You can close this tab.")).to_be_visible()
    assert desk.read(operation).state is State.APPROVED


def test_a_person_declines_a_message_and_the_other_still_waits(desk: Desk) -> None:
    first, second = desk.ask(MESSAGE), desk.ask(PLAN, "2")
    with desk.visit() as tab:
        press(tab, "Do not send it")
        expect(tab.get_by_role("status")).to_contain_text("Declined.")
        expect(tab.get_by_role("heading", level=2)).to_have_text(["Carry out this plan?"])
    assert (desk.read(first).state, desk.read(second).state) == (State.DECLINED, State.ASKED)


def test_a_person_takes_two_of_five_ticks_away_and_sees_them_counted(desk: Desk) -> None:
    operation = desk.ask(PLAN)
    with desk.visit() as tab:
        assert heard(tab, "5 of 5 ticked.")
        tab.get_by_label("Tally: Your pipeline digest").uncheck()
        tab.get_by_text("Rank Rocket").click()  # the whole line is the label
        assert heard(tab, "3 of 5 ticked.")
        press(tab, "Carry it out (ticked only)")
        expect(tab.get_by_role("status")).to_contain_text("Approved.")
    assert desk.read(operation).chosen == {"archive 1", "archive 3", "delete 5"}


def heard(tab: Page, text: str) -> bool:
    """Whether a screen reader would say `text`."""
    session = tab.context.new_cdp_session(tab)
    tree = cast("dict[str, list[dict[str, Any]]]", session.send("Accessibility.getFullAXTree"))  # pyright: ignore[reportUnknownMemberType]
    said = [str(node["name"]["value"]) for node in tree["nodes"] if node["role"]["value"] == "StaticText"]
    return text in " ".join(" ".join(said).split())


def test_ticks_survive_a_decision_on_another_card(desk: Desk) -> None:
    plan = desk.ask(PLAN)
    desk.ask(MESSAGE, "2")
    with desk.visit() as tab:
        tab.get_by_label("Rank Rocket").uncheck()
        press(tab, "Send it")
        expect(tab.get_by_role("status")).to_contain_text("Approved.")
        desk.now += 5
        expect(tab.get_by_label("Rank Rocket")).not_to_be_checked()
        press(tab, "Carry it out (ticked only)")
        expect(tab.get_by_role("heading", name="Nothing is waiting")).to_be_visible()
    assert "delete 4" not in (desk.read(plan).chosen or ())


def test_what_expired_while_it_was_read_is_not_approved(desk: Desk) -> None:
    operation = desk.ask(MESSAGE, seconds=120)
    with desk.visit() as tab:
        desk.now += 120
        press(tab, "Send it")
        expect(tab.get_by_role("status")).to_have_text("Expired. Nothing happened, and your assistant can ask again.")
    assert desk.read(operation).state is State.EXPIRED


def test_a_double_click_approves_one_card_only(desk: Desk) -> None:
    first, second = desk.ask(MESSAGE), desk.ask(MESSAGE, "2")
    with desk.visit() as tab:
        tab.get_by_role("button", name="Send it", exact=True).first.click()
        tab.get_by_role("button", name="Send it", exact=True).first.click()
        expect(tab.get_by_role("status")).to_contain_text("quicker than anyone can read")
    assert (desk.read(first).state, desk.read(second).state) == (State.APPROVED, State.ASKED)


def test_looking_again_brings_what_came_in_the_meantime(desk: Desk) -> None:
    with desk.visit() as tab:
        desk.ask(MESSAGE)
        press(tab, "Look again")
        expect(tab.get_by_role("heading", level=2)).to_have_text(["Send this email?"])


# A second use


def test_a_decision_cannot_be_changed_by_going_back_or_loading_again(desk: Desk) -> None:
    operation = desk.ask(MESSAGE)
    with desk.visit() as tab:
        press(tab, "Do not send it")
        expect(tab.get_by_role("status")).to_contain_text("Declined.")
        desk.now += 5
        tab.reload()  # which sends the form again
        expect(tab.get_by_role("status")).to_contain_text("Decided before.")
        tab.go_back()
        expect(tab.get_by_role("heading", level=1)).to_have_text("This link works no more")
    assert desk.read(operation).state is State.DECLINED


def test_a_second_browser_cannot_use_the_ticket(desk: Desk) -> None:
    desk.ask(MESSAGE)
    with desk.visit(), desk.context() as other:
        tab = other.new_page()
        response = tab.goto(desk.opened[-1])
        assert response and response.status == 410
        expect(tab.get_by_text("Ask your assistant to try again")).to_be_visible()
        assert "Henrik" not in tab.content()


def test_two_tabs_agree_on_the_first_decision(desk: Desk) -> None:
    operation = desk.ask(MESSAGE)
    with desk.visit() as first, desk.visit() as second:
        press(first, "Send it")
        expect(first.get_by_role("status")).to_contain_text("Approved.")
        press(second, "Do not send it")
        expect(second.get_by_role("status")).to_contain_text("Decided before.")
    assert desk.read(operation).state is State.APPROVED


# Other sites


@contextmanager
def other_server(html: str) -> Generator[str]:
    """Serve `html` as another program on this machine might, and return its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = html.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_form_on_another_local_server_decides_nothing_though_it_knows_every_secret(desk: Desk) -> None:
    operation = desk.ask(MESSAGE)
    with desk.visit() as tab:
        form = tab.locator("form").inner_html()
    origin = desk.opened[-1].partition("/enter/")[0]
    with other_server(f'<form method="post" action="{origin}/decide">{form}</form>') as evil, desk.context() as context:
        tab = context.new_page()
        tab.goto(evil)
        with tab.expect_response("**/decide") as answered:
            press(tab, "Send it")
        assert answered.value.status == 403
        expect(tab.get_by_text("does not come from the page itself")).to_be_visible()
    assert desk.read(operation).state is State.ASKED


def test_another_local_server_cannot_frame_fetch_or_link_to_the_page(desk: Desk) -> None:
    desk.ask(MESSAGE)
    ticket = desk.ticket()
    html = f"""
        <a href="{ticket}">Win a prize</a> <iframe src="{ticket}"></iframe> <img src="{ticket}">
        <script>fetch("{ticket}", {{mode: "no-cors"}}).finally(() => document.title = "fetched")</script>
    """
    with other_server(html) as evil, desk.context(scripts=True) as context:
        statuses: list[int] = []
        context.on("response", lambda response: statuses.append(response.status) if response.url == ticket else None)
        tab = context.new_page()
        tab.goto(evil, wait_until="networkidle")
        expect(tab).to_have_title("fetched")
        assert "Henrik" not in "".join(frame.content() for frame in tab.frames)
        tab.get_by_text("Win a prize").click()
        expect(tab.get_by_role("heading", level=1)).to_have_text("Refused")
        assert statuses and set(statuses) == {403}
        tab = context.new_page()
        tab.goto(ticket)
        expect(tab.get_by_role("heading", level=2)).to_have_text(["Send this email?"])


def test_the_page_refuses_to_be_framed_even_by_a_browser_that_does_not_say_it_is_framing(desk: Desk) -> None:
    desk.ask(MESSAGE)
    ticket = desk.ticket()
    statuses: list[int] = []
    with other_server(f'<iframe src="{ticket}"></iframe>') as evil, desk.context() as context:

        def fetch_plainly(route: Route) -> None:
            response = context.request.get(ticket)
            statuses.append(response.status)
            route.fulfill(response=response)

        context.route(ticket, fetch_plainly)
        tab = context.new_page()
        tab.goto(evil, wait_until="networkidle")
        assert statuses == [200]
        assert "Henrik" not in "".join(frame.content() for frame in tab.frames)


def test_a_name_that_leads_to_this_machine_does_not_lead_to_the_page(desk: Desk) -> None:
    desk.ask(MESSAGE)
    ticket = desk.ticket()
    with desk.context() as context:
        tab = context.new_page()
        for name in ("evil.test", "localhost"):
            response = tab.goto(ticket.replace("127.0.0.1", name))
            assert response and response.status == 421
            expect(tab.get_by_text("answers to its own address only")).to_be_visible()
        tab.goto(ticket)
        expect(tab.get_by_role("heading", level=2)).to_have_text(["Send this email?"])


# The look


def test_the_keyboard_alone_is_enough_and_enter_on_a_tick_decides_nothing(desk: Desk) -> None:
    operation = desk.ask(PLAN)
    with desk.visit() as tab:
        focused = tab.locator(":focus")
        expect(focused).to_have_count(0)  # nothing can be approved by a key that was meant for another window
        tab.keyboard.press("Enter")
        tab.keyboard.press("Tab")
        expect(focused).to_have_text("Look again")
        tab.keyboard.press("Tab")
        expect(focused).to_have_role("checkbox")
        tab.keyboard.press("Space")
        expect(focused).not_to_be_checked()
        with tab.expect_response("**/"):
            tab.keyboard.press("Enter")  # which looks again, and keeps the ticks
        expect(focused).to_have_count(0)
        expect(tab.get_by_label("Intralog Weekly")).not_to_be_checked()
        assert desk.read(operation).state is State.ASKED
        desk.now += 5
        for _ in range(7):
            tab.keyboard.press("Tab")
        expect(focused).to_have_text("Do not carry it out")
        tab.keyboard.press("Tab")
        expect(focused).to_have_text("Carry it out (ticked only)")
        assert focused.evaluate("element => getComputedStyle(element).outlineWidth") == "3px"
        tab.keyboard.press("Enter")
        expect(tab.get_by_role("status")).to_contain_text("Approved.")
    assert desk.read(operation).chosen == {"archive 2", "archive 3", "delete 4", "delete 5"}


def test_the_style_is_applied_under_its_own_policy_in_light_and_dark(desk: Desk) -> None:
    desk.ask(MESSAGE)
    grounds: list[str] = []
    for scheme in get_args(Scheme):
        with desk.visit(scheme=scheme) as tab:
            grounds.append(tab.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
            assert tab.locator("article").evaluate("item => getComputedStyle(item).borderRadius") == "14px"
    assert grounds == ["rgb(243, 244, 241)", "rgb(19, 23, 21)"]


LONG = "Unbroken" * 60


@pytest.mark.parametrize("width", [320, 1600])
def test_no_width_needs_scrolling_sideways(desk: Desk, width: int) -> None:
    desk.ask(MESSAGE)
    desk.ask(PLAN, "2")
    facts = (Fact("To", f"{LONG}@{LONG}.example", LONG), Fact(LONG, LONG))
    desk.ask(Card(LONG, LONG, (LONG,), facts, (LONG, Remark(LONG)), (Group(LONG, (Item("1", LONG),)),)), "3")
    with desk.visit(width=width) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        overflowing = "[...document.querySelectorAll('main *')].filter(e => e.scrollWidth > e.clientWidth + 1)"
        assert tab.evaluate(f"{overflowing}.filter(e => getComputedStyle(e).display != 'inline').length") == 0


def test_a_long_message_stands_there_whole(desk: Desk) -> None:
    lines = tuple(f"Line {number}" for number in range(300))
    desk.ask(Card("Send this email?", "Send it", body=lines))
    with desk.visit() as tab:
        assert tab.evaluate("[...document.querySelectorAll('pre')].every(e => e.scrollHeight <= e.clientHeight)")
        last = tab.get_by_text("Line 299").bounding_box()
        button = tab.get_by_role("button", name="Send it", exact=True).bounding_box()
        assert last and button and last["y"] + last["height"] <= button["y"]


def test_text_of_others_is_shown_as_it_is_and_runs_nothing(desk: Desk) -> None:
    hostile = (
        "</pre></form><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"><b>bold"
    )
    facts = (Fact("Subject", hostile, hostile),)
    desk.ask(Card(hostile, "Send it", (hostile,), facts, (hostile,), (Group(hostile, (Item(hostile, hostile),)),)))
    with desk.visit(scripts=True) as tab:
        expect(tab.get_by_text(hostile, exact=True)).to_have_count(7)
        expect(tab.locator("script, img, b")).to_have_count(0)
        expect(tab).to_have_title("SalesOS inbox: 1 thing waits for you")


def test_right_to_left_text_moves_none_of_our_words(desk: Desk) -> None:
    facts = (Fact("Subject", "مرحبا بكم", "first contact"), Fact("To", "a@b.example", "in this thread"))
    desk.ask(Card("Send this email?", "Send it", facts=facts, body=("שלום", "Hello")))
    with desk.visit() as tab:
        lefts = tab.evaluate("[...document.querySelectorAll('dd bdi')].map(e => e.getBoundingClientRect().left)")
        assert lefts[0] == lefts[1]
        assert re.fullmatch("rtl|ltr", tab.locator("pre").evaluate("e => getComputedStyle(e).direction"))


def test_the_pictures_in_the_docs_are_there_and_small() -> None:
    pictures = sorted((Path(__file__).parents[2] / "docs/images").glob("approval-page*.png"))
    assert pictures
    assert [picture.name for picture in pictures if picture.stat().st_size >= 150_000] == []
