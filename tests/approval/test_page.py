"""The approval page over HTTP: who gets in, what is decided, and what is refused."""

import logging
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot
from selectolax.lexbor import LexborHTMLParser

from salesos_inbox.approval import page as page_module
from salesos_inbox.approval.card import Card, Fact, Group, Item, Remark
from salesos_inbox.approval.ledger import Ledger, Operation, Request, State
from salesos_inbox.approval.markup import Outcome, Waiting, notice_page, style_source, waiting_page
from salesos_inbox.approval.page import (
    LONGEST_BODY,
    SESSION_SECONDS,
    TICKET_SECONDS,
    VISIT_SECONDS,
    ApprovalPage,
    open_browser,
)

NOW = datetime(2026, 11, 18, 10, 0).timestamp()
MAYA, RICK = "maya@northwind.example", "rick@northwind.example"
MESSAGE = Card(
    "Send this email?",
    "Send it",
    ("First contact, you have never written to: 1 of 1 recipient, astrid@fjord.example",),
    (Fact("To", "astrid@fjord.example", "first contact"), Fact("Subject", "Prices for 2027")),
    ("Dear Astrid,", "", "here they are.", Remark("12 lines left out here"), "Maya"),
)
PLAN = Card(
    "Carry out this plan?",
    "Carry it out",
    groups=(
        Group(
            "Archive (3 threads)",
            (Item("archive 1", "Weekly"), Item("archive 2", "Digest"), Item("archive 3", "Fair")),
        ),
        Group("Delete (2 threads)", (Item("delete 4", "Spam"), Item("delete 5", "Webinar"))),
    ),
)


def client() -> httpx.Client:
    """Return a client that opens a connection for each request, and none to the outside."""
    return httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), verify=False, trust_env=False)


@dataclass
class Desk:
    """A user at work: the ledger with what is asked of them, the page, and the addresses their browser was sent to."""

    ledger: Ledger
    now: float = NOW
    opened: list[str] = field(default_factory=list[str])
    can_open: bool = True
    http: httpx.Client = field(default_factory=client)

    def __post_init__(self) -> None:
        self.page = ApprovalPage(self.ledger, clock=lambda: self.now, open_browser=self._open)

    def _open(self, url: str) -> bool:
        self.opened.append(url)
        return self.can_open

    @property
    def origin(self) -> str:
        """The page's own origin."""
        return "/".join(self.opened[-1].split("/")[:3])

    def ask(self, card: Card = MESSAGE, *, user: str = MAYA, seconds: float = 900, content: str = "1") -> Operation:
        """Have something ask for consent."""
        self.now += 0.01
        request = Request(user, "send_email", "send", content, {}, card.document())
        operation = self.ledger.begin(request, now=self.now, until=self.now + seconds)
        self.ledger.put_on_page(operation.operation_id, self.now + seconds)
        return operation

    def ticket(self, user: str = MAYA) -> str:
        """Let `user` be sent to the page, and return where."""
        self.now += VISIT_SECONDS
        assert self.page.show(user)
        return self.opened[-1]

    def visit(self, user: str = MAYA) -> "Visit":
        """Let `user` open the page and look at it for a while."""
        visit = Visit(self)
        visit.receive(self.http.get(self.ticket(user)))
        self.now += 5
        return visit

    def state(self, operation: Operation) -> State:
        """How far an operation is by now."""
        found = self.ledger.read(operation.operation_id)
        assert found
        return found.state


@dataclass
class Visit:
    """A browser at the page: what it shows, and its form."""

    desk: Desk
    response: httpx.Response = field(default_factory=lambda: httpx.Response(200))

    def receive(self, response: httpx.Response) -> None:
        """Show another page."""
        self.response = response
        self.document = LexborHTMLParser(response.text)

    @property
    def heading(self) -> str:
        """What the page is about."""
        return self.text("h1")

    @property
    def outcome(self) -> str:
        """What the page says of the last decision."""
        return self.text(".outcome")

    def text(self, selector: str) -> str:
        """The text of the first such element, without spare blanks."""
        found = self.document.css_first(selector)
        return " ".join(found.text().split()) if found else ""

    def texts(self, selector: str) -> list[str]:
        """The texts of all such elements."""
        return [" ".join(found.text().split()) for found in self.document.css(selector)]

    def fields(self) -> list[tuple[str, str]]:
        """What the form holds, as a browser would send it without a button."""
        inputs = [item.attributes for item in self.document.css("input")]
        sent = [item for item in inputs if item.get("type") == "hidden" or "checked" in item]
        return [(item["name"] or "", item["value"] or "") for item in sent]

    def untick(self, *texts: str) -> list[tuple[str, str]]:
        """The form's fields with the ticks of these items taken away."""
        labels = {label.text().strip(): label.css_first("input") for label in self.document.css("label")}
        gone = {box.attributes["value"] for text in texts if (box := labels[text])}
        return [(name, value) for name, value in self.fields() if value not in gone]

    def press(
        self,
        button: str,
        operation: Operation | None = None,
        fields: list[tuple[str, str]] | None = None,
        seconds: float = 5,
    ) -> httpx.Response:
        """Press a button of the form, after `seconds`, and show what comes."""
        fields = self.fields() if fields is None else fields
        if operation:
            fields = [*fields, (button, operation.operation_id)]
        self.receive(self.post("/decide" if operation else "/", fields))
        self.desk.now += seconds
        return self.response

    def post(self, path: str, fields: list[tuple[str, str]], **headers: str) -> httpx.Response:
        """Send a form as the page's own."""
        own = {"Origin": self.desk.origin, "Content-Type": "application/x-www-form-urlencoded"}
        content = urlencode(fields)
        return self.desk.http.post(self.desk.origin + path, content=content, headers={**own, **headers})


@pytest.fixture
def desk() -> Generator[Desk]:
    with Ledger() as ledger:
        desk = Desk(ledger)
        yield desk
        desk.page.close()


# The way in


def test_the_page_lists_everything_that_waits_for_the_user_and_nothing_of_others(desk: Desk) -> None:
    desk.ask()
    desk.ask(PLAN, content="2")
    desk.ask(Card("Not for Maya", "Do it"), user=RICK, content="3")

    visit = desk.visit()

    assert visit.text("title") == "SalesOS inbox: 2 things wait for you"
    assert visit.texts("h2") == ["Send this email?", "Carry out this plan?"]
    assert "Not for Maya" not in visit.response.text


def test_a_card_is_shown_whole_with_its_warnings_first_and_its_buttons_last(desk: Desk) -> None:
    desk.ask()
    assert desk.visit().texts("article :is(h2, .when, h3, li, dt, dd, pre, .remark, button)") == snapshot(
        [
            "Send this email?",
            "Open until 10:15",
            "Warning",
            "First contact, you have never written to: 1 of 1 recipient, astrid@fjord.example",
            "To",
            "astrid@fjord.example first contact",
            "Subject",
            "Prices for 2027",
            "Message, as it will arrive",
            "Dear Astrid, here they are.",
            "12 lines left out here",
            "Maya",
            "Do not send it",
            "Send it",
        ]
    )


def test_the_two_buttons_say_what_they_do_and_declining_stands_first(desk: Desk) -> None:
    desk.ask()
    desk.ask(PLAN, content="2")
    assert desk.visit().texts("article button") == snapshot(
        ["Do not send it", "Send it", "Do not carry it out", "Carry it out (ticked only)"]
    )


def test_every_thread_of_a_plan_has_a_tick_and_its_own_line(desk: Desk) -> None:
    desk.ask(PLAN)
    visit = desk.visit()
    assert visit.texts("legend") == ["Archive (3 threads)", "Delete (2 threads)"]
    assert visit.texts("label") == ["Weekly", "Digest", "Fair", "Spam", "Webinar"]
    assert [name for name, _ in visit.fields()].count("tick") == 5


def test_where_nothing_waits_the_page_says_that_it_can_be_closed(desk: Desk) -> None:
    visit = desk.visit()
    assert (visit.heading, visit.text(".how")) == ("Nothing is waiting", "You can close this tab.")


def test_an_expiry_on_another_day_names_the_day(desk: Desk) -> None:
    desk.ask(seconds=600)
    desk.ask(PLAN, seconds=86400, content="2")
    assert desk.visit().texts(".when") == ["Open until 10:10", "Open until 10:00 on Thursday"]


def test_forty_cards_are_all_listed(desk: Desk) -> None:
    for number in range(40):
        desk.ask(content=str(number))
    visit = desk.visit()
    assert visit.heading == "40 things wait for you"
    assert len(visit.texts("article")) == 40


def test_what_another_process_asks_is_listed_and_decided_too(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with Ledger(path) as ours, Ledger(path) as theirs:
        desk, other = Desk(ours), Desk(theirs)
        operation = other.ask()
        visit = desk.visit()
        visit.press("approve", operation)
        desk.page.close()
        assert other.state(operation) is State.APPROVED


def test_a_ticket_is_good_once(desk: Desk) -> None:
    operation = desk.ask()
    ticket = desk.ticket()
    first, second = desk.http.get(ticket), desk.http.get(ticket)
    assert (first.status_code, second.status_code) == (200, 410)
    assert operation.operation_id not in second.text
    visit = Visit(desk)
    visit.receive(second)
    assert visit.texts("h1, .how") == snapshot(
        [
            "This link works no more",
            "It is good for one visit, and for two minutes.",
            "Ask your assistant to try again, and a new page opens.",
        ]
    )


def test_a_ticket_is_good_for_two_minutes(desk: Desk) -> None:
    ticket = desk.ticket()
    desk.now += TICKET_SECONDS - 1
    assert desk.http.get(ticket).status_code == 200
    ticket = desk.ticket()
    desk.now += TICKET_SECONDS
    assert desk.http.get(ticket).status_code == 410


def test_an_invented_ticket_opens_nothing(desk: Desk) -> None:
    desk.ticket()
    for ticket in ("", "x", "é", "%00", "x/y", "a" * 5000):
        assert desk.http.get(f"{desk.origin}/enter/{ticket}").status_code == 410, ticket


def test_looking_ahead_does_not_use_a_ticket_up(desk: Desk) -> None:
    ticket = desk.ticket()
    assert desk.http.head(ticket).status_code == 405
    assert desk.http.get(ticket, headers={"Sec-Purpose": "prefetch;prerender"}).status_code == 403
    assert desk.http.get(ticket).status_code == 200


def test_no_secret_stands_in_an_address_a_cookie_or_twice(desk: Desk) -> None:
    desk.ask()
    first, second = desk.visit(), desk.visit()
    ticket = desk.opened[-1].rpartition("/")[2]
    assert ticket not in second.response.text
    assert "set-cookie" not in second.response.headers
    assert dict(first.fields())["session"] != dict(second.fields())["session"]
    assert dict(first.fields())["card"] != dict(second.fields())["card"]
    assert not any("?" in url for url in desk.opened)
    assert {item.attributes.get("formaction", "/") for item in second.document.css("button")} == {"/"}


# One visit


def test_ten_requests_in_a_row_open_one_tab(desk: Desk) -> None:
    for number in range(10):
        desk.ask(content=str(number))
        assert desk.page.show(MAYA)
        desk.now += 0.2
    assert len(desk.opened) == 1


def test_a_person_who_is_busy_with_the_page_gets_no_second_tab(desk: Desk) -> None:
    desk.ask()
    visit = desk.visit()
    desk.now += VISIT_SECONDS - 6
    desk.ask(content="2")
    assert desk.page.show(MAYA)
    assert len(desk.opened) == 1
    visit.press("look")
    assert visit.heading == "2 things wait for you"


def test_a_page_with_nothing_left_on_it_may_be_closed_so_the_next_request_opens_a_tab(desk: Desk) -> None:
    operation = desk.ask()
    desk.visit().press("approve", operation)
    desk.ask(content="2")
    assert desk.page.show(MAYA)
    assert len(desk.opened) == 2


def test_a_tab_that_was_opened_long_ago_may_be_closed_so_the_next_request_opens_one(desk: Desk) -> None:
    desk.ask()
    desk.visit()
    desk.now += VISIT_SECONDS
    desk.page.show(MAYA)
    assert len(desk.opened) == 2


def test_every_user_gets_a_tab_of_their_own(desk: Desk) -> None:
    assert desk.page.show(MAYA)
    assert desk.page.show(RICK)
    assert len(desk.opened) == 2


def test_a_clock_that_is_set_back_keeps_nobody_from_the_page(desk: Desk) -> None:
    desk.ask()
    desk.visit()
    desk.now -= 86400
    assert desk.page.show(MAYA)
    assert len(desk.opened) == 2


def test_where_no_browser_starts_nobody_is_shown_anything_and_the_ticket_is_void(desk: Desk) -> None:
    desk.can_open = False
    assert not desk.page.show(MAYA)
    assert desk.http.get(desk.opened[-1]).status_code == 410
    desk.can_open = True
    assert desk.page.show(MAYA)


def test_where_there_is_no_port_no_page_is_shown(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no port")

    monkeypatch.setattr(page_module.socket, "create_server", refuse)
    assert not desk.page.show(MAYA)
    assert desk.opened == []


def test_the_page_counts_as_seen_once_a_browser_has_fetched_it(desk: Desk) -> None:
    before = desk.now
    ticket = desk.ticket()
    assert not desk.page.seen_since(before)
    desk.http.get(ticket, headers={"Sec-Fetch-Site": "cross-site"})
    assert not desk.page.seen_since(before)
    desk.http.get(ticket)
    assert desk.page.seen_since(before)
    assert not desk.page.seen_since(desk.now + 1)


# Deciding


def test_an_approval_is_recorded_as_given_on_the_page(desk: Desk) -> None:
    operation = desk.ask()
    visit = desk.visit()
    visit.press("approve", operation)
    found = desk.ledger.read(operation.operation_id)
    assert found
    assert (found.state, found.decided_by, found.chosen) == (State.APPROVED, "the user, on the page", None)
    assert visit.outcome == snapshot(
        "Approved. Your assistant carries it out, once. "
        "If it has stopped waiting, tell it to go on within five minutes."
    )
    assert visit.heading == "Nothing is waiting"


def test_a_refusal_is_recorded(desk: Desk) -> None:
    operation = desk.ask()
    visit = desk.visit()
    visit.press("decline", operation)
    assert desk.state(operation) is State.DECLINED
    assert visit.outcome == snapshot("Declined. It does not happen, and your assistant is told so.")


def test_a_decision_on_one_card_leaves_the_others_waiting(desk: Desk) -> None:
    first, second = desk.ask(), desk.ask(content="2")
    visit = desk.visit()
    visit.press("approve", first)
    assert (desk.state(first), desk.state(second)) == (State.APPROVED, State.ASKED)
    assert visit.heading == "1 thing waits for you"


def test_the_same_form_sent_again_changes_nothing_and_says_so(desk: Desk) -> None:
    operation = desk.ask()
    visit = desk.visit()
    fields = visit.fields()
    visit.press("approve", operation, fields)
    visit.press("approve", operation, fields)
    again = visit.outcome
    visit.press("decline", operation, fields)
    assert desk.state(operation) is State.APPROVED
    assert {again, visit.outcome} == snapshot(
        {"Decided before. It was approved, and is carried out once, when your assistant takes it up."}
    )


def test_what_has_become_of_a_question_in_the_meantime_is_told(desk: Desk) -> None:
    told: dict[str, str] = {}
    for state in (State.CLAIMED, State.DONE, State.FAILED, State.UNKNOWN, State.NOBODY_ASKED, State.EXPIRED):
        operation = desk.ask(content=state)
        visit = desk.visit()
        if state is State.NOBODY_ASKED:
            desk.ledger.give_up(operation.operation_id, desk.now)
        elif state is State.EXPIRED:
            desk.now = operation.expires_at
        else:
            desk.ledger.decide(operation.operation_id, True, by="the user, in a client", now=desk.now)
            assert desk.ledger.claim(operation.operation_id, desk.now)
            if state is not State.CLAIMED:
                desk.ledger.finish(operation.operation_id, state, now=desk.now, what=state)
        visit.press("approve", operation)
        assert desk.state(operation) is state
        told[state] = visit.outcome
    assert told == snapshot(
        {
            State.CLAIMED: "Decided before. It was approved, and is just being carried out, once.",
            State.DONE: "Decided before. It was approved, and was carried out once.",
            State.FAILED: "Decided before. It was approved, and did not succeed: your assistant can say why.",
            State.UNKNOWN: "Decided before. It was approved, and it is not known yet whether it happened.",
            State.NOBODY_ASKED: "Withdrawn. Nothing happened, and your assistant can ask again.",
            State.EXPIRED: "Expired. Nothing happened, and your assistant can ask again.",
        }
    )


def test_a_card_that_changed_after_it_was_shown_is_not_approved(desk: Desk) -> None:
    operation = desk.ask()
    visit = desk.visit()
    assert (
        desk.ask(Card("Send this email?", "Send it", ("This was sent before.",))).operation_id == operation.operation_id
    )
    visit.press("approve", operation)
    assert desk.state(operation) is State.ASKED
    assert visit.outcome == "Nothing was decided. The card has changed since you saw it: look again."
    assert visit.texts(".warnings li") == ["This was sent before."]
    visit.press("approve", operation)
    assert desk.state(operation) is State.APPROVED


def test_a_card_needs_its_own_token(desk: Desk) -> None:
    first, second = desk.ask(), desk.ask(PLAN, content="2")
    visit = desk.visit()
    tokens = [value for name, value in visit.fields() if name == "card"]
    own = [field for field in visit.fields() if field[0] != "card"]
    others = [f"{first.operation_id}.{tokens[1].partition('.')[2]}", f"{first.operation_id}.", first.operation_id, ""]
    for token in others:
        visit.press("approve", first, [*own, ("card", token)])
        assert visit.outcome.startswith("Nothing was decided.")
    visit.press("approve", first, own)
    elsewhere = [value for name, value in desk.visit().fields() if name == "card"]
    visit.press("approve", first, [*own, *(("card", token) for token in elsewhere)])
    assert (desk.state(first), desk.state(second)) == (State.ASKED, State.ASKED)


def test_nobody_decides_for_another_user(desk: Desk) -> None:
    theirs = desk.ask(user=RICK)
    token = dict(desk.visit(RICK).fields())["card"]
    visit = desk.visit(MAYA)
    visit.press("approve", theirs, [*visit.fields(), ("card", token)])
    assert desk.state(theirs) is State.ASKED
    assert visit.outcome == "Nothing was decided. That question is not there any more."


@pytest.mark.parametrize(
    "choices",
    [
        [],
        [("approve", "A"), ("decline", "A")],
        [("approve", "A"), ("approve", "A")],
        [("approve", "B")],
        [("Approve", "A")],
    ],
)
def test_only_one_clear_choice_decides(desk: Desk, choices: list[tuple[str, str]]) -> None:
    operation = desk.ask()
    visit = desk.visit()
    sent = [(name, value.replace("A", operation.operation_id)) for name, value in choices]
    visit.receive(visit.post("/decide", [*visit.fields(), *sent]))
    assert desk.state(operation) is State.ASKED
    assert visit.outcome.startswith("Nothing was decided.")


def test_the_second_half_of_a_double_click_decides_nothing(desk: Desk) -> None:
    first, second = desk.ask(), desk.ask(content="2")
    visit = desk.visit()
    visit.press("approve", first, seconds=0.1)
    visit.press("approve", second)
    assert (desk.state(first), desk.state(second)) == (State.APPROVED, State.ASKED)
    assert visit.outcome == snapshot("Nothing was decided. That click came quicker than anyone can read: look again.")
    visit.press("approve", second)
    assert desk.state(second) is State.APPROVED


def test_a_session_ends_after_half_an_hour_without_use(desk: Desk) -> None:
    operation = desk.ask(seconds=86400)
    visit = desk.visit()
    desk.now += SESSION_SECONDS - 10
    visit.press("look")
    desk.now += SESSION_SECONDS - 10
    visit.press("look")
    assert visit.heading == "1 thing waits for you"
    desk.now += SESSION_SECONDS
    assert visit.press("approve", operation).status_code == 410
    assert desk.state(operation) is State.ASKED
    assert visit.texts("h1, .how") == snapshot(
        [
            "This page works no more",
            "It was open too long, or the server was restarted.",
            "Ask your assistant to try again, and a new page opens.",
        ]
    )


@pytest.mark.parametrize("secret", [[], [""], ["x"], ["TWICE", "TWICE"]])
def test_without_the_secret_of_a_session_nothing_is_shown_or_decided(desk: Desk, secret: list[str]) -> None:
    operation = desk.ask()
    visit = desk.visit()
    own = dict(visit.fields())["session"]
    fields = [field for field in visit.fields() if field[0] != "session"]
    fields += [("session", value.replace("TWICE", own)) for value in secret]
    assert visit.press("approve", operation, fields).status_code == 410
    assert visit.press("look", None, fields).status_code == 410
    assert operation.operation_id not in visit.response.text
    assert desk.state(operation) is State.ASKED


# Ticks


def test_a_plan_is_approved_for_the_threads_that_are_ticked(desk: Desk) -> None:
    operation = desk.ask(PLAN)
    visit = desk.visit()
    visit.press("approve", operation, visit.untick("Digest", "Spam"))
    found = desk.ledger.read(operation.operation_id)
    assert found
    assert found.chosen == {"archive 1", "archive 3", "delete 5"}


def test_with_every_tick_left_all_threads_are_named(desk: Desk) -> None:
    operation = desk.ask(PLAN)
    desk.visit().press("approve", operation)
    found = desk.ledger.read(operation.operation_id)
    assert found
    assert found.chosen == {"archive 1", "archive 2", "archive 3", "delete 4", "delete 5"}


def test_approving_nothing_is_not_a_decision(desk: Desk) -> None:
    operation = desk.ask(PLAN)
    visit = desk.visit()
    visit.press("approve", operation, visit.untick("Weekly", "Digest", "Fair", "Spam", "Webinar"))
    assert desk.state(operation) is State.ASKED
    assert visit.outcome == "Nothing was decided. Tick at least one thread, or decline."
    assert "tick" not in dict(visit.fields())
    visit.press("decline", operation)
    assert desk.state(operation) is State.DECLINED


def test_ticks_stay_as_they_were_left_when_something_else_is_decided(desk: Desk) -> None:
    plan, message = desk.ask(PLAN), desk.ask(content="2")
    visit = desk.visit()
    left = visit.untick("Digest", "Spam")
    visit.press("look", None, left)
    assert visit.fields() == left
    visit.press("approve", message)
    visit.press("approve", plan)
    found = desk.ledger.read(plan.operation_id)
    assert found
    assert found.chosen == {"archive 1", "archive 3", "delete 5"}


def test_a_plan_that_came_in_the_meantime_stands_there_with_all_its_ticks(desk: Desk) -> None:
    desk.ask()
    visit = desk.visit()
    desk.ask(PLAN, content="2")
    visit.press("look")
    assert [name for name, _ in visit.fields()].count("tick") == 5


def test_ticks_stay_as_they_were_left_when_the_card_says_more_than_before(desk: Desk) -> None:
    operation = desk.ask(PLAN)
    visit = desk.visit()
    left = visit.untick("Digest", "Spam")
    desk.ask(replace(PLAN, warnings=("One of them was changed a minute ago.",)))
    visit.press("approve", operation, left)
    assert (desk.state(operation), visit.texts(".warnings li")) == (
        State.ASKED,
        ["One of them was changed a minute ago."],
    )
    visit.press("approve", operation)
    found = desk.ledger.read(operation.operation_id)
    assert found
    assert found.chosen == {"archive 1", "archive 3", "delete 5"}


def test_ticks_reach_no_further_than_the_card(desk: Desk) -> None:
    other = desk.ask(Card("Another?", "Do it", groups=(Group("Archive", (Item("archive 9", "Other"),)),)), content="2")
    plan = desk.ask(PLAN)
    visit = desk.visit()
    fields = visit.untick("Weekly", "Digest", "Fair", "Spam", "Webinar")
    strange = ["delete 4", f"{plan.operation_id}.9", f"{plan.operation_id}.-1", f"{plan.operation_id}.１", ".0", "0"]
    forged = [("tick", value) for value in (*strange, f"{other.operation_id}.1")]
    visit.press("approve", plan, [*fields, *forged, ("tick", f"{plan.operation_id}.3")])
    found = desk.ledger.read(plan.operation_id)
    assert found
    assert found.chosen == {"delete 4"}


def test_what_stands_twice_is_chosen_only_where_both_are_ticked(desk: Desk) -> None:
    card = Card(
        "Do it?", "Do it", groups=(Group("One", (Item("a", "A1"), Item("b", "B"))), Group("Two", (Item("a", "A2"),)))
    )
    operation = desk.ask(card)
    visit = desk.visit()
    visit.press("approve", operation, visit.untick("A2"))
    found = desk.ledger.read(operation.operation_id)
    assert found
    assert found.chosen == {"b"}


def test_a_thousand_threads_can_be_ticked(desk: Desk) -> None:
    items = tuple(Item(f"archive {number}", f"Thread {number}") for number in range(1000))
    operation = desk.ask(Card("Archive?", "Archive them", groups=(Group("Archive", items),)))
    visit = desk.visit()
    visit.press("approve", operation, visit.untick("Thread 7"))
    found = desk.ledger.read(operation.operation_id)
    assert found and found.chosen
    assert len(found.chosen) == 999


# Who is not answered


def test_a_request_for_another_host_is_refused_and_uses_nothing_up(desk: Desk) -> None:
    operation = desk.ask()
    visit = desk.visit()
    ticket = desk.ticket()
    port = desk.origin.rpartition(":")[2]
    for name in ("localhost:PORT", "evil.test:PORT", "127.0.0.1", "127.0.0.1:1", "[::1]:PORT", "127.0.0.1.:PORT"):
        host = name.replace("PORT", port)
        refused = visit.post("/decide", [*visit.fields(), ("approve", operation.operation_id)], Host=host)
        assert (refused.status_code, desk.http.get(ticket, headers={"Host": host}).status_code) == (421, 421), host
    assert desk.http.get(ticket).status_code == 200
    assert desk.state(operation) is State.ASKED


FOREIGN = [
    ("Origin", "null"),
    ("Origin", "http://127.0.0.1:1"),
    ("Origin", "https://evil.test"),
    ("Origin", ""),
    ("Origin", "OWN/"),
    ("Origin", "OWN, OWN"),
    ("Sec-Fetch-Site", "same-site"),
    ("Sec-Fetch-Site", "cross-site"),
    ("Sec-Fetch-Dest", "iframe"),
    ("Sec-Fetch-Dest", "empty"),
]
"""What a browser says of a request that another page makes; another port of this machine is the same site."""


def test_a_form_from_elsewhere_is_refused_even_with_the_right_secrets(desk: Desk) -> None:
    operation = desk.ask()
    visit = desk.visit()
    fields = [*visit.fields(), ("approve", operation.operation_id)]
    for name, value in FOREIGN:
        response = visit.post("/decide", fields, **{name: value.replace("OWN", desk.origin)})
        assert response.status_code == 403, (name, value)
    assert desk.state(operation) is State.ASKED
    own = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "document"}
    assert visit.post("/decide", fields, **own).status_code == 200
    assert desk.state(operation) is State.APPROVED


def test_a_form_without_an_origin_is_refused(desk: Desk) -> None:
    operation = desk.ask()
    visit = desk.visit()
    data = {**dict(visit.fields()), "approve": operation.operation_id}
    assert desk.http.post(f"{desk.origin}/decide", data=data).status_code == 403
    assert desk.state(operation) is State.ASKED


def test_another_site_cannot_use_a_ticket_up(desk: Desk) -> None:
    ticket = desk.ticket()
    for name, value in FOREIGN:
        if name != "Origin":
            assert desk.http.get(ticket, headers={name: value}).status_code == 403, (name, value)
    own = {"Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document"}
    assert desk.http.get(ticket, headers=own).status_code == 200


def test_there_are_three_addresses_and_one_method_for_each(desk: Desk) -> None:
    desk.ticket()
    for method, path, status in (
        ("GET", "/", 405),
        ("GET", "/decide", 405),
        ("PUT", "/decide", 405),
        ("OPTIONS", "/", 405),
        ("POST", "/enter/x", 405),
        ("GET", "/favicon.ico", 404),
        ("GET", "/page.css", 404),
        ("GET", "/enter", 404),
        ("GET", "/enter/x?y", 404),
        ("POST", "/decide/", 404),
        ("POST", "//decide", 404),
        ("POST", "/?session=x", 404),
        ("GET", "/enter/../../etc/passwd", 404),
    ):
        response = desk.http.request(method, desk.origin + path, headers={"Origin": desk.origin})
        assert response.status_code == status, (method, path)
        assert ("allow" in response.headers) is (status == 405)


def test_every_answer_forbids_scripts_frames_and_keeping(desk: Desk) -> None:
    desk.ask()
    visit = desk.visit()
    ticket = desk.ticket()
    answers = [
        visit.response,
        desk.http.get(desk.opened[0]),
        desk.http.get(f"{desk.origin}/"),
        desk.http.get(ticket, headers={"Host": "evil.test"}),
        visit.post("/decide", []),
        visit.post("/", [], **{"Content-Type": "text/plain"}),
    ]
    for answer in answers:
        own = {name: value for name, value in answer.headers.items() if name not in ("date", "content-length", "allow")}
        assert own.pop("content-security-policy").split("; ") == [
            "default-src 'none'",
            f"style-src {style_source()}",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ]
        assert own == snapshot(
            {
                "cache-control": "no-store",
                "cross-origin-opener-policy": "same-origin",
                "cross-origin-resource-policy": "same-origin",
                "referrer-policy": "same-origin",
                "x-content-type-options": "nosniff",
                "x-frame-options": "DENY",
                "content-type": "text/html; charset=utf-8",
            }
        )


def test_only_a_form_of_bounded_size_is_read(desk: Desk) -> None:
    operation = desk.ask()
    visit = desk.visit()
    fields = [*visit.fields(), ("approve", operation.operation_id)]

    def send(content: bytes, kind: str = "application/x-www-form-urlencoded; charset=UTF-8") -> int:
        headers = {"Origin": desk.origin, "Content-Type": kind}
        return desk.http.post(f"{desk.origin}/decide", content=content, headers=headers).status_code

    form = urlencode(fields).encode()
    assert send(form, "text/plain") == 415
    assert send(form, "multipart/form-data; boundary=x") == 415
    assert send(form + b"&x=" + b"a" * LONGEST_BODY) == 413
    assert send(form + b"&x=\xff") == 400
    assert send(form + b"&x=%ff") == 400
    assert desk.state(operation) is State.ASKED
    assert send(form + b"&x=" + b"a" * (LONGEST_BODY - len(form) - 3)) == 200
    assert desk.state(operation) is State.APPROVED


# Trouble


def test_a_ledger_that_cannot_be_used_decides_nothing_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with Ledger(path) as ledger:
        desk = Desk(ledger)
        operation = desk.ask()
        visit = desk.visit()
        ledger.close()
        kept = path.read_bytes()
        path.write_bytes(b"not a database" * 1000)
        assert visit.press("approve", operation).status_code == 503
        assert visit.texts("h1, .how") == snapshot(
            [
                "Nothing was decided",
                "The record of approvals cannot be used at present.",
                "Ask your assistant to try again, and a new page opens.",
            ]
        )
        ledger.close()
        path.write_bytes(kept)
        assert desk.state(operation) is State.ASKED
        desk.page.close()


def test_a_card_that_another_release_wrote_is_left_out(desk: Desk) -> None:
    request = Request(MAYA, "send_email", "send", "old", {}, {"title": "Send this email?", "lines": []})
    operation = desk.ledger.begin(request, now=desk.now, until=desk.now + 900)
    desk.ledger.put_on_page(operation.operation_id, desk.now + 900)
    visit = desk.visit()
    assert visit.heading == "Nothing is waiting"
    visit.press("approve", operation)
    assert desk.state(operation) is State.ASKED


def test_closing_lets_the_port_go_and_voids_every_ticket(desk: Desk) -> None:
    visit = desk.visit()
    fields, old = visit.fields(), desk.origin
    began = time.monotonic()
    desk.page.close()
    desk.page.close()
    assert time.monotonic() - began < 2
    with pytest.raises(httpx.ConnectError):
        desk.http.get(old)
    desk.ticket()
    assert visit.press("look", None, fields).status_code == 410


def test_closing_at_once_and_showing_again_both_work(desk: Desk) -> None:
    for _ in range(5):
        desk.page.show(MAYA)
        desk.page.close()
    assert desk.visit().response.status_code == 200


def test_the_server_listens_on_this_machine_only(desk: Desk) -> None:
    desk.ticket()
    assert desk.origin.startswith("http://127.0.0.1:")
    for address in ("127.0.0.2", "[::1]"):
        with pytest.raises(httpx.ConnectError):
            desk.http.get(desk.opened[-1].replace("127.0.0.1", address))


def test_nothing_is_printed_or_logged(
    desk: Desk, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    operation = desk.ask()
    visit = desk.visit()
    visit.press("approve", operation)
    desk.http.get(desk.opened[-1])
    with socket.create_connection(("127.0.0.1", int(desk.origin.rpartition(":")[2]))) as connection:
        host = desk.origin.removeprefix("http://")
        head = f"POST / HTTP/1.1\r\nHost: {host}\r\nOrigin: {desk.origin}\r\nContent-Length: 9\r\n"
        connection.sendall(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\nhalf".encode())
    desk.page.close()
    assert capfd.readouterr() == ("", "")
    said = [record for record in caplog.records if record.name.startswith("uvicorn")]
    assert [record.getMessage() for record in said] == []


def test_the_web_server_is_imported_only_when_a_page_is_shown() -> None:
    heavy = "{'uvicorn', 'starlette', 'asyncio', 'httpx'}"
    program = f"import sys, salesos_inbox.approval.page; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# The browser


@contextmanager
def browser_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Callable[[], str]]:
    """Let $BROWSER be a program that prints, and notes the address it was given."""
    noted = tmp_path / "noted"
    program = tmp_path / "browser"
    program.write_text(
        f'#!/bin/sh\necho out; echo err >&2\nread line\nprintf %s "$1" > {noted}.part\nmv {noted}.part {noted}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{program} %s")

    def read() -> str:
        deadline = time.monotonic() + 20
        while not noted.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        return noted.read_text()

    yield read


@pytest.mark.skipif(sys.platform == "win32", reason="the browser of this test is a shell script")
def test_the_users_browser_is_opened_without_touching_our_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with browser_of_the_user(tmp_path, monkeypatch) as noted:
        assert open_browser("http://127.0.0.1:1/enter/x")
        assert noted() == "http://127.0.0.1:1/enter/x"
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform == "win32", reason="the browser of this test is a shell script")
def test_the_browser_which_outlives_us_gets_no_token_from_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "browser"
    program.write_text(f"#!/bin/sh\nenv > {tmp_path}/env.part\nmv {tmp_path}/env.part {tmp_path}/env\n")
    program.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{program} %s")
    monkeypatch.setenv("SALESOS_TOKEN", "ours alone")
    assert open_browser("http://127.0.0.1:1/enter/x")
    deadline = time.monotonic() + 20
    while not (tmp_path / "env").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    handed_on = (tmp_path / "env").read_text()
    assert "BROWSER=" in handed_on
    assert "SALESOS" not in handed_on


@pytest.mark.skipif(sys.platform == "win32", reason="the browser of this test is a shell script")
def test_opening_a_browser_waits_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "slow"
    program.write_text("#!/bin/sh\nexec sleep 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{program} %s")
    began = time.monotonic()
    assert open_browser("http://127.0.0.1:1/enter/x")
    assert time.monotonic() - began < 1.5


def test_a_browser_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert not open_browser("http://127.0.0.1:1/enter/x")


# What a page is made of

HOSTILE = (
    "</p></pre></bdi></title></style></form><script>alert(1)</script><img src=x onerror=alert(1)>"
    "\"'><input name=approve value=x>&lt;b&gt;&#60;b&#62; <!-- <![CDATA[ --> </textarea><style>*{display:none}</style>"
)


def elements(html: str) -> dict[str, int]:
    """Count a page's elements by name."""
    counted: dict[str, int] = {}
    for node in LexborHTMLParser(html).css("*"):
        counted[str(node.tag)] = counted.get(str(node.tag), 0) + 1
    return counted


def made_of(text: str, title: str | None = None) -> str:
    """Return a page with `text` in every place that takes one."""
    card = Card(
        text, text, (text,), (Fact(text, text, text),), (text, Remark(text)), (Group(text, (Item(text, text),)),), text
    )
    return waiting_page("secret", [Waiting(text, text, card, text)], Outcome(text, text))


def test_text_that_tries_to_be_markup_is_shown_as_text() -> None:
    html = made_of(HOSTILE)
    assert elements(html) == elements(made_of("plain"))
    document = LexborHTMLParser(html)
    for selector in (
        "h2",
        ".warnings li",
        "dt",
        "dd bdi",
        ".note",
        ".remark",
        "legend",
        "label bdi",
        ".outcome strong",
    ):
        found = document.css_first(selector)
        assert found is not None and found.text() == HOSTILE, selector
    message = document.css_first("pre")
    assert message is not None and message.text().strip("\n") == HOSTILE
    button = document.css_first("button[name=approve]")
    assert button is not None and button.attributes["value"] == HOSTILE
    assert elements(notice_page(HOSTILE, HOSTILE)) == elements(notice_page("plain", "plain"))


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.text(st.one_of(st.sampled_from("<>&\"'/=-![]; \n#"), st.characters(exclude_categories=("Cs",))), min_size=1))
def test_no_text_adds_or_hides_an_element(text: str) -> None:
    assert elements(made_of(text)) == elements(made_of("plain"))


def test_a_lone_surrogate_breaks_no_page(desk: Desk) -> None:
    operation = desk.ask(Card("Send \ud800 this?", "Send it", body=("\udfff",)))
    visit = desk.visit()
    assert visit.text("h2") == "Send ? this?"
    visit.press("approve", operation)
    assert desk.state(operation) is State.APPROVED


# Colours

STYLE = (Path(page_module.__file__).parent / "page.css").read_text(encoding="utf-8")
READ = 4.5
"""WCAG 2.2 AA, 1.4.3: text."""
SEEN = 3.0
"""WCAG 2.2 AA, 1.4.11: the edges of what can be pressed, and the focus."""
PAIRS = [
    ("ink", "ground", READ),
    ("ink", "card", READ),
    ("ink", "well", READ),
    ("quiet", "ground", READ),
    ("quiet", "card", READ),
    ("on-deed", "deed", READ),
    ("on-deed", "deed-hover", READ),
    ("on-alarm", "alarm", READ),
    ("on-news", "news", READ),
    ("deed", "card", SEEN),
    ("edge", "card", SEEN),
    ("edge", "ground", SEEN),
    ("alarm-edge", "card", SEEN),
    ("focus", "card", SEEN),
    ("focus", "ground", SEEN),
    ("focus", "well", SEEN),
]


def palette(scheme: str) -> dict[str, str]:
    """Return the colours of a scheme."""
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", part)) for part in STYLE.split("@media", 2)[:2])
    assert light.keys() == dark.keys()
    return light if scheme == "light" else dark


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("front", "back", "least"), PAIRS)
def test_every_pair_of_colours_has_the_contrast_it_needs(scheme: str, front: str, back: str, least: float) -> None:
    colours = palette(scheme)
    darker, lighter = sorted((luminance(colours[front]), luminance(colours[back])))
    assert (lighter + 0.05) / (darker + 0.05) >= least


def test_no_colour_stands_outside_the_palette() -> None:
    assert re.findall(r"#[0-9a-f]{3,8}\b", STYLE.split("* { box-sizing")[1]) == []
