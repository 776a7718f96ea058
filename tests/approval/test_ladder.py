"""Who is asked and how, what counts as an answer, and how long is waited. In both eras of the protocol."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CallToolResult,
    ClientCapabilities,
    ElicitationCapability,
    ElicitRequestParams,
    ElicitResult,
    InputRequiredResult,
    UrlElicitationCapability,
)

from harness import Era, Office, Person, open_office, text_of
from salesos_inbox.approval import ladder as ladder_module
from salesos_inbox.approval.ladder import QUICKEST_PERSON
from salesos_inbox.approval.ledger import Ledger, State
from salesos_inbox.approval.page import BY, VISIT_SECONDS
from salesos_inbox.sandbox.seed import DEMO_USER
from salesos_inbox.server import build_server

pytestmark = pytest.mark.anyio

MAIL: dict[str, Any] = {"to": ["ann@elsewhere.example"], "subject": "Offer", "body": "See below."}
OTHER_MAIL = {**MAIL, "body": "See above."}
APPROVE = ElicitResult(action="accept", content={"decision": "approve"})
SAYS_NO = ElicitResult(action="accept", content={"decision": "decline"})
DECLINE = ElicitResult(action="decline")
CANCEL = ElicitResult(action="cancel")
REFLEXES = pytest.mark.parametrize("result", [APPROVE, DECLINE, CANCEL], ids=["approves", "declines", "closes"])
"""What a client may answer that shows its user nothing."""

empty_office = partial(open_office, demo=False)
Answer = Callable[[], Awaitable[ElicitResult]]


@asynccontextmanager
async def client_that(office: Office, era: Era, answer: Answer) -> AsyncGenerator[Client]:
    """Connect a client of its own to the office's server; `answer` is what it says to every question."""

    async def callback(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        del context, params
        return await answer()

    async with Client(build_server(office.services), mode=era, elicitation_callback=callback) as client:
        yield client


def after(office: Office, seconds: float, result: ElicitResult) -> Answer:
    """Answer so after that time."""

    async def answer() -> ElicitResult:
        office.clock.advance(seconds=seconds)
        return result

    return answer


@dataclass
class Silence:
    """A client that declares that it can ask, and shows nothing; `questions` counts what it was asked."""

    questions: int = 0

    async def __call__(self) -> ElicitResult:
        self.questions += 1
        await anyio.sleep_forever()
        raise AssertionError


async def sent_by(era: Era, result: ElicitResult, *, after_seconds: float, page: bool = False) -> tuple[str, Office]:
    """Send an email, answer its question so, and return what the model reads and the office as it is then."""
    async with empty_office(era=era, page=page) as office:
        async with client_that(office, era, after(office, after_seconds, result)) as client:
            text = text_of(await client.call_tool("send_email", MAIL))
        return text, office


def hurry(office: Office, seconds: float = 0.3) -> None:
    """Give a person no more than that time, by the real clock; to be said before anyone is asked."""
    office.services.settings = replace(office.services.settings, approval_seconds=seconds)


def drafts(office: Office) -> int:
    """Return how many times a draft was saved."""
    return sum(path == "/drafts" for _, path, _ in office.wire.writes())


def user_of(office: Office) -> str:
    """Return who the ledger's entries belong to."""
    return f"{DEMO_USER} at {office.services.settings.host}"


async def test_a_question_that_comes_back_unanswered_is_asked_again_and_after_half_the_time_on_the_page() -> None:
    async with empty_office(page=True) as office:
        question = await question_of(office.client)
        office.clock.advance(seconds=59)
        assert await answered(office.client, question, None) == "asked"
        assert office.person.cards == []
        office.clock.advance(seconds=2)
        assert "sent" in await answered(office.client, question, None)
        assert (len(office.wire.sends()), len(office.person.cards)) == (1, 1)


async def test_an_answer_counts_although_the_question_has_come_back_unanswered_before() -> None:
    async with empty_office() as office:
        question = await question_of(office.client)
        office.clock.advance(seconds=70)
        assert await answered(office.client, question, None) == "asked"
        assert "sent" in await answered(office.client, question, APPROVE)


# What an answer means


async def test_an_approval_sends_exactly_what_was_shown(era: Era) -> None:
    async with empty_office(era=era) as office:
        assert (await office.call("send_email", **MAIL))["status"] == "sent"
        [(method, path, body)] = office.wire.writes()
    assert (method, path, body["bodyText"]) == ("POST", "/send", "See below.")
    [card] = office.person.cards
    assert "To: ann@elsewhere.example" in card
    assert "│ See below." in card


@pytest.mark.parametrize("result", [SAYS_NO, DECLINE], ids=["says no", "declines"])
async def test_a_no_is_told_as_declined_and_nothing_leaves(era: Era, result: ElicitResult) -> None:
    text, office = await sent_by(era, result, after_seconds=QUICKEST_PERSON)
    assert text.startswith("declined: ")
    assert office.wire.writes() == []


async def test_a_chosen_no_is_a_persons_however_quick(era: Era) -> None:
    text, office = await sent_by(era, SAYS_NO, after_seconds=0)
    assert text.startswith("declined: ")
    assert office.wire.writes() == []


@REFLEXES
async def test_an_answer_quicker_than_a_person_means_that_nobody_was_asked(era: Era, result: ElicitResult) -> None:
    text, office = await sent_by(era, result, after_seconds=QUICKEST_PERSON - 0.1)
    assert text.startswith("nobody_asked: ")
    assert (office.wire.sends(), drafts(office)) == ([], 1)


async def test_an_approval_from_before_its_question_by_a_clock_that_was_set_back_is_none(era: Era) -> None:
    text, office = await sent_by(era, APPROVE, after_seconds=-30)
    assert text.startswith("nobody_asked: ")
    assert office.wire.sends() == []


async def test_a_person_who_closes_the_question_is_not_pursued_on_a_page(era: Era) -> None:
    text, office = await sent_by(era, CANCEL, after_seconds=30, page=True)
    assert text.startswith("nobody_asked: ")
    assert (office.wire.sends(), drafts(office)) == ([], 1)
    assert office.person.cards == []


@pytest.mark.parametrize(
    "content",
    [None, {}, {"decision": "yes"}, {"decision": True}, {"decision": ["approve"]}, {"approve": True}, {"": "approve"}],
)
async def test_an_acceptance_that_does_not_say_approve_approves_nothing(
    era: Era, content: dict[str, Any] | None
) -> None:
    text, office = await sent_by(era, ElicitResult(action="accept", content=content), after_seconds=4)
    assert text.startswith("nobody_asked: ")
    assert office.wire.sends() == []


async def fail() -> ElicitResult:
    raise MCPError(code=-32603, message="no window")


async def test_a_client_that_fails_to_ask_means_that_nobody_was_asked() -> None:
    async with empty_office() as office, client_that(office, "legacy", fail) as client:
        assert text_of(await client.call_tool("send_email", MAIL)).startswith("nobody_asked: ")
        assert office.wire.sends() == []


# Who can be asked


def _declaring(capabilities: ClientCapabilities) -> Callable[[ClientSession, str], ClientCapabilities]:
    def build(session: ClientSession, version: str) -> ClientCapabilities:
        del session, version
        return capabilities

    return build


@pytest.mark.parametrize(
    "call",
    [
        ("send_email", MAIL),
        ("schedule_email", {**MAIL, "send_at": "2026-12-01T09:00:00Z"}),
        ("delete_threads", {}),
        ("bulk_update_threads", {"plan": [{"action": "delete"}]}),
    ],
    ids=lambda call: call[0],
)
async def test_where_nobody_can_be_asked_nothing_happens_and_a_message_is_kept(
    era: Era, call: tuple[str, dict[str, Any]]
) -> None:
    async with open_office(era=era, asks=False) as office:
        tool, arguments = call
        thread_id = (await office.thread_ids(limit=1))[0]
        if tool == "delete_threads":
            arguments = {"thread_ids": [thread_id]}
        if tool == "bulk_update_threads":
            arguments = {"plan": [{"action": "delete", "thread_ids": [thread_id]}]}
        sentence = await office.refusal(tool, **arguments)
        assert sentence.startswith("nobody_asked: Nobody decided and nothing happened")
        kept = [("POST", "/drafts")] if "body" in arguments else []
        assert [(method, path) for method, path, _ in office.wire.writes()] == kept


async def test_a_client_that_only_opens_pages_cannot_be_asked(era: Era, monkeypatch: pytest.MonkeyPatch) -> None:
    only_pages = ClientCapabilities(elicitation=ElicitationCapability(url=UrlElicitationCapability()))
    monkeypatch.setattr(ClientSession, "_build_capabilities", _declaring(only_pages))
    async with empty_office(era=era) as office:
        assert (await office.refusal("send_email", **MAIL)).startswith("nobody_asked: ")
        assert office.wire.sends() == []
        assert office.person.cards == []


async def test_a_client_of_the_first_elicitation_that_names_no_form_is_asked(
    era: Era, monkeypatch: pytest.MonkeyPatch
) -> None:
    unnamed = ClientCapabilities(elicitation=ElicitationCapability())
    monkeypatch.setattr(ClientSession, "_build_capabilities", _declaring(unnamed))
    async with empty_office(era=era) as office:
        assert (await office.call("send_email", **MAIL))["status"] == "sent"


# By the operator's choice


async def test_the_client_alone_may_be_asked(era: Era) -> None:
    async with empty_office(era=era, asks=False, page=True, settings={"SALESOS_APPROVAL": "elicitation"}) as office:
        assert (await office.refusal("send_email", **MAIL)).startswith("nobody_asked: ")
        async with client_that(office, era, after(office, 4, APPROVE)) as client:
            assert not (await client.call_tool("send_email", MAIL)).is_error
        assert (len(office.wire.sends()), office.person.cards) == (1, [])


async def test_the_page_alone_may_be_asked(era: Era) -> None:
    silence = Silence()
    async with empty_office(era=era, page=True, settings={"SALESOS_APPROVAL": "page"}) as office:
        async with client_that(office, era, silence) as client:
            assert not (await client.call_tool("send_email", MAIL)).is_error
        assert (len(office.wire.sends()), len(office.person.cards), silence.questions) == (1, 1, 0)


async def test_where_the_page_alone_may_be_asked_and_cannot_be_shown_nobody_is(era: Era) -> None:
    async with empty_office(era=era, settings={"SALESOS_APPROVAL": "page"}) as office:
        assert (await office.refusal("send_email", **MAIL)).startswith("nobody_asked: ")
        assert (office.wire.sends(), office.person.cards) == ([], [])


async def test_nobody_may_be_asked(era: Era) -> None:
    async with empty_office(era=era, page=True, settings={"SALESOS_APPROVAL": "never"}) as office:
        assert (await office.refusal("send_email", **MAIL)).startswith("nobody_asked: ")
        assert (office.wire.sends(), office.person.cards) == ([], [])


async def test_the_clients_own_dialog_may_be_trusted_and_the_log_says_so(era: Era) -> None:
    async with empty_office(era=era, page=True, settings={"SALESOS_APPROVAL": "host"}) as office:
        assert (await office.call("send_email", **MAIL))["status"] == "sent"
        assert (len(office.wire.sends()), office.person.cards) == (1, [])
        approved = [entry.about["by"] for entry in office.services.ledger.entries() if entry.what == "approved"]
        assert approved == ["the client's own dialog, which the operator trusts"]


# The page


@pytest.mark.parametrize("answer", ["approve", "decline"])
async def test_a_client_that_cannot_ask_leads_to_the_page(era: Era, answer: Any) -> None:
    async with empty_office(era=era, asks=False, page=True, person=Person(answer)) as office:
        result = await office.result("send_email", **MAIL)
        expected = (False, 1) if answer == "approve" else (True, 0)
        assert (bool(result.is_error), len(office.wire.sends()), len(office.person.cards)) == (*expected, 1)
        assert answer == "approve" or text_of(result).startswith("declined: ")


@REFLEXES
async def test_an_answer_quicker_than_a_person_leads_to_the_page_from_then_on(era: Era, result: ElicitResult) -> None:
    questions: list[ElicitResult] = []

    async def answer() -> ElicitResult:
        questions.append(result)
        return result

    async with empty_office(page=True) as office:
        async with client_that(office, era, answer) as client:
            for mail in (MAIL, OTHER_MAIL):
                assert not (await client.call_tool("send_email", mail)).is_error
        assert (len(office.wire.sends()), len(office.person.cards), len(questions)) == (2, 2, 1)
        approved = [entry.about["by"] for entry in office.services.ledger.entries() if entry.what == "approved"]
        assert approved == [BY, BY]


async def test_a_client_that_fails_to_ask_leads_to_the_page() -> None:
    async with empty_office(page=True) as office, client_that(office, "legacy", fail) as client:
        assert not (await client.call_tool("send_email", MAIL)).is_error
        assert (len(office.wire.sends()), len(office.person.cards)) == (1, 1)


async def test_a_silent_client_leads_to_the_page_after_half_the_time_and_is_asked_no_more() -> None:
    silence = Silence()
    async with (
        empty_office(page=True, person=Person(seconds=1)) as office,
        client_that(office, "legacy", silence) as client,
    ):
        hurry(office)
        for mail in (MAIL, OTHER_MAIL):
            assert not (await client.call_tool("send_email", mail)).is_error
        assert (len(office.wire.sends()), len(office.person.cards), silence.questions) == (2, 2, 1)


async def test_a_client_is_not_taken_for_silent_where_its_question_ended_for_another_reason() -> None:
    silence = Silence()
    async with empty_office(page=True) as office, client_that(office, "legacy", silence) as client:
        hurry(office)

        def expire(url: str) -> bool:
            del url
            [waiting] = office.services.ledger.waiting(user_of(office), office.services.seconds())
            office.services.ledger.expire(waiting.operation_id, office.services.seconds())
            return True

        office.services.open_browser = expire
        assert text_of(await client.call_tool("send_email", MAIL)).startswith("expired: ")
        await client.call_tool("send_email", OTHER_MAIL)
        assert silence.questions == 2


async def test_a_page_that_no_browser_fetches_means_that_nobody_was_asked(era: Era) -> None:
    async with empty_office(era=era, asks=False, page=True) as office:
        hurry(office)
        opened: list[str] = []
        office.services.open_browser = lambda url: opened.append(url) is None
        assert (await office.refusal("send_email", **MAIL)).startswith("nobody_asked: ")
        assert (office.wire.sends(), drafts(office), len(opened)) == ([], 1, 1)


async def test_a_browser_that_cannot_be_started_is_tried_once() -> None:
    async with empty_office(page=True) as office, client_that(office, "legacy", Silence()) as client:
        hurry(office, 1.0)
        opened: list[str] = []
        office.services.open_browser = lambda url: opened.append(url) is not None
        assert text_of(await client.call_tool("send_email", MAIL)).startswith("nobody_asked: ")
        assert (office.wire.sends(), drafts(office), len(opened)) == ([], 1, 1)


async def test_a_page_seen_before_the_question_was_on_it_does_not_count_as_seen() -> None:
    async with empty_office(page=True) as office:
        hurry(office)
        browsers = [office.services.open_browser]
        office.services.open_browser = lambda url: (open_browser := browsers.pop()) is None or open_browser(url)
        page = office.services.consent.ladder.page
        assert page

        async def look_for_another_reason() -> ElicitResult:
            page.show(user_of(office))
            assert page.seen_since(office.services.seconds())
            browsers.append(None)  # which fetches nothing
            office.clock.advance(seconds=0.05)
            await anyio.sleep_forever()
            raise AssertionError

        async with client_that(office, "legacy", look_for_another_reason) as client:
            assert text_of(await client.call_tool("send_email", MAIL)).startswith("nobody_asked: ")
        assert (office.wire.sends(), browsers) == ([], [])


async def test_a_page_that_was_seen_waits_on_when_the_call_ends(era: Era) -> None:
    async with empty_office(era=era, asks=False, page=True, person=Person("cancel")) as office:
        hurry(office)
        assert (await office.refusal("send_email", **MAIL)).startswith("pending: ")
        assert (office.wire.writes(), len(office.person.cards)) == ([], 1)
        office.person.answer = "approve"
        office.clock.advance(seconds=VISIT_SECONDS)
        assert (await office.call("send_email", **MAIL))["status"] == "sent"
        assert (len(office.wire.sends()), len(office.person.cards)) == (1, 2)


async def test_what_waits_on_the_page_is_not_asked_in_the_client_too() -> None:
    silence = Silence()
    async with empty_office(asks=False, page=True, person=Person("cancel")) as office:
        hurry(office)
        assert (await office.refusal("send_email", **MAIL)).startswith("pending: ")
        async with client_that(office, "legacy", silence) as client:
            assert text_of(await client.call_tool("send_email", MAIL)).startswith("pending: ")
        assert silence.questions == 0


@dataclass
class LastMoment:
    """A page on which a person approves in the very moment in which the call gives up."""

    ledger: Ledger
    now: float
    seconds: float
    asked: str = ""
    ends_at: float = 0.0

    def show(self, user: str) -> bool:
        [waiting] = self.ledger.waiting(user, self.now)
        self.ends_at = self.ends_at or anyio.current_time() + self.seconds - 0.01
        self.asked = waiting.operation_id
        return True

    def seen_since(self, moment: float) -> bool:
        if anyio.current_time() >= self.ends_at:
            self.ledger.decide(self.asked, True, by=BY, now=moment)
        return False


async def test_an_approval_in_the_moment_of_giving_up_counts(era: Era) -> None:
    async with empty_office(era=era, asks=False) as office:
        hurry(office)
        ladder = office.services.consent.ladder
        ladder.page = LastMoment(office.services.ledger, office.services.seconds(), ladder.seconds)
        assert (await office.call("send_email", **MAIL))["status"] == "sent"
        assert (len(office.wire.sends()), drafts(office)) == (1, 0)


# How long is waited


async def test_silence_until_the_deadline_means_that_nobody_answered() -> None:
    async with empty_office() as office, client_that(office, "legacy", Silence()) as client:
        hurry(office)
        begun = anyio.current_time()
        text = text_of(await client.call_tool("send_email", MAIL))
        assert anyio.current_time() - begun < 0.3 + 2
        assert text.startswith("nobody_asked: ")
        assert (office.wire.sends(), drafts(office)) == ([], 1)


async def test_a_waiting_call_reports_progress(monkeypatch: pytest.MonkeyPatch, era: Era) -> None:
    monkeypatch.setattr(ladder_module, "PROGRESS_SECONDS", 0.1)
    told: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    async with empty_office(era=era, asks=False, page=True, person=Person("cancel")) as office:
        hurry(office, 0.7)
        await office.client.call_tool("send_email", MAIL, progress_callback=hear)
    assert len(told) >= 2
    assert {(total, message) for _, total, message in told} == {(None, "Waiting for the user to decide")}
    assert [progress for progress, _, _ in told] == sorted(progress for progress, _, _ in told)


async def test_a_call_that_its_client_cancelled_can_be_made_again() -> None:
    silence = Silence()
    async with empty_office(era="legacy") as office:
        async with client_that(office, "legacy", silence) as client:
            with anyio.move_on_after(0.3):
                await client.call_tool("send_email", MAIL)
            assert silence.questions == 1
        assert (await office.call("send_email", **MAIL))["status"] == "sent"
        assert (len(office.wire.sends()), len(office.person.cards)) == (1, 1)


async def test_calls_with_the_same_content_at_the_same_time_ask_once_in_the_older_era() -> None:
    async with empty_office(era="legacy") as office:
        answers: list[dict[str, Any]] = []

        async def send() -> None:
            answers.append(await office.call("send_email", **MAIL))

        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(send)
        assert sorted(answer["status"] for answer in answers) == ["already_sent"] * 9 + ["sent"]
        assert (len(office.wire.sends()), len(office.person.cards)) == (1, 1)


async def test_a_call_that_waited_for_another_to_ask_goes_on_where_that_was_cancelled() -> None:
    async with empty_office(page=True) as office:
        answers: list[CallToolResult] = []
        first = anyio.CancelScope()

        async def send() -> None:
            with anyio.fail_after(20):
                answers.append(await client.call_tool("send_email", MAIL))

        async def go_away() -> ElicitResult:
            group.start_soon(send)
            await anyio.sleep(0.3)  # until that call waits too
            first.cancel()
            await anyio.sleep_forever()
            raise AssertionError

        async with client_that(office, "legacy", go_away) as client, anyio.create_task_group() as group:
            with first:
                await client.call_tool("send_email", MAIL)
        assert [bool(answer.is_error) for answer in answers] == [False]
        assert (len(office.wire.sends()), len(office.person.cards)) == (1, 1)


# The newer era, by hand


async def question_of(client: Client, arguments: dict[str, Any] = MAIL) -> InputRequiredResult:
    """Send an email and return the question it asks."""
    result = await client.session.call_tool("send_email", arguments, allow_input_required=True)
    assert isinstance(result, InputRequiredResult)
    return result


async def answered(client: Client, question: InputRequiredResult, answer: ElicitResult | None) -> str:
    """Repeat the call with an answer to `question`, or without, and return what the model reads; "asked" if asked."""
    result = await client.session.call_tool(
        "send_email",
        MAIL,
        input_responses={"approval": answer} if answer else None,
        request_state=question.request_state,
        allow_input_required=True,
    )
    return "asked" if isinstance(result, InputRequiredResult) else text_of(result)


@REFLEXES
async def test_a_machines_answer_does_not_become_a_persons_by_being_sent_again_later(result: ElicitResult) -> None:
    async with empty_office(page=True, person=Person("cancel")) as office:
        hurry(office)
        question = await question_of(office.client)
        assert (await answered(office.client, question, result)).startswith("pending: ")
        office.clock.advance(seconds=20)
        assert (await answered(office.client, question, result)).startswith("pending: ")
        [waiting] = office.services.ledger.waiting(user_of(office), office.services.seconds())
        assert waiting.state is State.ASKED
        assert office.wire.sends() == []


@pytest.mark.parametrize("result", [SAYS_NO], ids=["says no"])
async def test_a_no_from_the_form_counts_although_the_question_is_on_the_page_by_now(result: ElicitResult) -> None:
    async with empty_office(page=True, person=Person("cancel")) as office:
        hurry(office)
        question = await question_of(office.client)
        office.clock.advance(seconds=0.2)
        assert (await answered(office.client, question, None)).startswith("pending: ")
        assert (await answered(office.client, question, result)).startswith("declined: ")


async def test_what_we_did_before_we_looked_at_an_answer_is_no_time_that_a_person_took() -> None:
    async with empty_office() as office:
        question = await question_of(office.client)
        handle = office.wire.handle_async_request

        async def slowly(request: Any) -> Any:
            office.clock.advance(seconds=1)
            return await handle(request)

        office.wire.handle_async_request = slowly
        assert (await answered(office.client, question, APPROVE)).startswith("nobody_asked: ")
        assert office.wire.sends() == []
