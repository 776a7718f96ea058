"""Who is asked, what counts as an answer, and that an answer counts once. In both eras of the protocol."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
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
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitResult,
    InputRequiredResult,
    UrlElicitationCapability,
)
from starlette.responses import JSONResponse

from harness import Era, Office, Person, open_office, text_of
from salesos_inbox.approval.ladder import QUICKEST_PERSON
from salesos_inbox.approval.ledger import Ledger
from salesos_inbox.contract import models
from salesos_inbox.server import build_server

pytestmark = pytest.mark.anyio

MAIL: dict[str, Any] = {"to": ["ann@elsewhere.example"], "subject": "Offer", "body": "See below."}
APPROVE = ElicitResult(action="accept", content={"decision": "approve"})
SAYS_NO = ElicitResult(action="accept", content={"decision": "decline"})
DECLINE = ElicitResult(action="decline")
CANCEL = ElicitResult(action="cancel")

Answer = Callable[[], Awaitable[ElicitResult]]


@asynccontextmanager
async def client_that(office: Office, era: Era, answer: Answer) -> AsyncGenerator[Client]:
    """Connect a client of its own to the office's server; `answer` is what it says to every question."""

    async def callback(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        return await answer()

    async with Client(build_server(office.services), mode=era, elicitation_callback=callback) as client:
        yield client


async def answered(era: Era, result: ElicitResult, *, after: float) -> tuple[str, list[Any]]:
    """Send an email, answer its question so, and return what the model reads and the writes on the wire."""
    async with open_office(era=era) as office:

        async def answer() -> ElicitResult:
            office.clock.advance(seconds=after)
            return result

        async with client_that(office, era, answer) as client:
            text = text_of(await client.call_tool("send_email", MAIL))
        return text, office.wire.writes()


# What an answer means


async def test_an_approval_sends_exactly_what_was_shown(era: Era) -> None:
    person = Person()
    async with open_office(era=era, person=person) as office:
        assert (await office.call("send_email", **MAIL))["status"] == "sent"
        [(method, path, body)] = office.wire.writes()
    assert (method, path, body["bodyText"]) == ("POST", "/send", "See below.")
    [card] = person.cards
    assert "To: ann@elsewhere.example" in card
    assert "    See below." in card


@pytest.mark.parametrize("result", [SAYS_NO, DECLINE], ids=["says no", "declines"])
async def test_a_no_is_told_as_declined_and_nothing_leaves(era: Era, result: ElicitResult) -> None:
    text, writes = await answered(era, result, after=QUICKEST_PERSON)
    assert text.startswith("declined: ")
    assert writes == []


async def test_a_chosen_no_is_a_persons_however_quick(era: Era) -> None:
    text, writes = await answered(era, SAYS_NO, after=0)
    assert text.startswith("declined: ")
    assert writes == []


async def test_a_decline_quicker_than_a_person_means_that_nobody_was_asked(era: Era) -> None:
    text, writes = await answered(era, DECLINE, after=QUICKEST_PERSON - 0.1)
    assert text.startswith("nobody_asked: ")
    assert writes == []


async def test_a_question_closed_without_an_answer_means_that_nobody_answered(era: Era) -> None:
    text, writes = await answered(era, CANCEL, after=30)
    assert text.startswith("nobody_asked: ")
    assert writes == []


@pytest.mark.parametrize(
    "content",
    [None, {}, {"decision": "yes"}, {"decision": True}, {"decision": ["approve"]}, {"approve": True}, {"": "approve"}],
)
async def test_an_acceptance_that_does_not_say_approve_approves_nothing(
    era: Era, content: dict[str, Any] | None
) -> None:
    text, writes = await answered(era, ElicitResult(action="accept", content=content), after=4)
    assert text.startswith("nobody_asked: ")
    assert writes == []


async def test_silence_until_the_deadline_means_that_nobody_answered() -> None:
    async with open_office(era="legacy") as office:
        office.services.settings = replace(office.services.settings, approval_seconds=0.05)

        async def silence() -> ElicitResult:
            await anyio.sleep_forever()
            raise AssertionError

        async with client_that(office, "legacy", silence) as client:
            with anyio.fail_after(10):
                text = text_of(await client.call_tool("send_email", MAIL))
        assert text.startswith("nobody_asked: ")
        assert office.wire.writes() == []


async def test_a_client_that_fails_to_ask_means_that_nobody_was_asked() -> None:
    async with open_office(era="legacy") as office:

        async def fail() -> ElicitResult:
            raise MCPError(code=-32603, message="no window")

        async with client_that(office, "legacy", fail) as client:
            text = text_of(await client.call_tool("send_email", MAIL))
        assert text.startswith("nobody_asked: ")
        assert office.wire.writes() == []


# Who can be asked


def _declaring(capabilities: ClientCapabilities) -> Callable[[ClientSession, str], ClientCapabilities]:
    def build(session: ClientSession, version: str) -> ClientCapabilities:
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
async def test_where_nobody_can_be_asked_nothing_happens(era: Era, call: tuple[str, dict[str, Any]]) -> None:
    async with open_office(era=era, asks=False) as office:
        tool, arguments = call
        thread_id = (await office.thread_ids(limit=1))[0]
        if tool == "delete_threads":
            arguments = {"thread_ids": [thread_id]}
        if tool == "bulk_update_threads":
            arguments = {"plan": [{"action": "delete", "thread_ids": [thread_id]}]}
        sentence = await office.refusal(tool, **arguments)
        assert sentence.startswith("nobody_asked: Nobody was asked and nothing happened")
        assert office.wire.writes() == []


async def test_a_client_that_only_opens_pages_cannot_be_asked(era: Era, monkeypatch: pytest.MonkeyPatch) -> None:
    only_pages = ClientCapabilities(elicitation=ElicitationCapability(url=UrlElicitationCapability()))
    monkeypatch.setattr(ClientSession, "_build_capabilities", _declaring(only_pages))
    person = Person()
    async with open_office(era=era, person=person) as office:
        assert (await office.refusal("send_email", **MAIL)).startswith("nobody_asked: ")
        assert office.wire.writes() == []
    assert person.cards == []


async def test_a_client_of_the_first_elicitation_that_names_no_form_is_asked(
    era: Era, monkeypatch: pytest.MonkeyPatch
) -> None:
    unnamed = ClientCapabilities(elicitation=ElicitationCapability())
    monkeypatch.setattr(ClientSession, "_build_capabilities", _declaring(unnamed))
    async with open_office(era=era) as office:
        assert (await office.call("send_email", **MAIL))["status"] == "sent"


# One answer, one effect: the newer era, by hand


async def test_an_answer_after_the_deadline_counts_as_none_in_the_newer_era_too() -> None:
    async with open_office(person=Person(seconds=121)) as office:
        assert (await office.refusal("send_email", **MAIL)).startswith("nobody_asked: Nobody answered")
        assert office.wire.writes() == []


async def ask(client: Client, tool: str, arguments: dict[str, Any]) -> InputRequiredResult:
    """Make a call that asks, and return its question."""
    result = await client.session.call_tool(tool, arguments, allow_input_required=True)
    assert isinstance(result, InputRequiredResult)
    return result


async def reply(
    client: Client, tool: str, arguments: dict[str, Any], question: InputRequiredResult, answer: ElicitResult = APPROVE
) -> CallToolResult | InputRequiredResult:
    """Repeat the call with an answer to `question`."""
    return await client.session.call_tool(
        tool,
        arguments,
        input_responses={"approval": answer},
        request_state=question.request_state,
        allow_input_required=True,
    )


def codes(results: list[CallToolResult | InputRequiredResult]) -> list[str]:
    """Return what became of calls: `ok`, `asked`, or the code of the error."""
    return [
        "asked"
        if isinstance(result, InputRequiredResult)
        else text_of(result).partition(":")[0]
        if result.is_error
        else "ok"
        for result in results
    ]


def card_of(question: InputRequiredResult) -> str:
    assert question.input_requests
    request = question.input_requests["approval"]
    assert isinstance(request, ElicitRequest)
    assert isinstance(request.params, ElicitRequestFormParams)
    return request.params.message


async def test_an_approval_replayed_in_sequence_sends_once() -> None:
    async with open_office() as office:
        question = await ask(office.client, "send_email", MAIL)
        results = [await reply(office.client, "send_email", MAIL, question) for _ in range(50)]
        assert codes(results) == ["ok"] + ["conflict"] * 49
        assert len(office.wire.writes()) == 1


async def test_an_approval_replayed_in_parallel_sends_once() -> None:
    async with open_office() as office:
        question = await ask(office.client, "send_email", MAIL)
        results: list[CallToolResult | InputRequiredResult] = []

        async def replay() -> None:
            results.append(await reply(office.client, "send_email", MAIL, question))

        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(replay)
        assert sorted(codes(results)) == ["conflict"] * 49 + ["ok"]
        assert len(office.wire.writes()) == 1


async def test_an_approval_is_used_up_by_a_send_whose_outcome_is_unknown() -> None:
    async with open_office() as office:
        served = office.wire.app

        async def failing(scope: Any, receive: Any, send: Any) -> None:
            await (JSONResponse({}, 500) if scope["path"].endswith("/send") else served)(scope, receive, send)

        office.wire.app = failing
        question = await ask(office.client, "send_email", MAIL)
        results = [await reply(office.client, "send_email", MAIL, question) for _ in range(2)]
        assert codes(results) == ["outcome_unknown", "conflict"]
        assert [path for _, path, _ in office.wire.writes()] == ["/send"]


@pytest.mark.parametrize("first", [SAYS_NO, DECLINE, CANCEL], ids=["says no", "declines", "closes"])
async def test_a_no_cannot_be_made_a_yes_afterwards(first: ElicitResult) -> None:
    async with open_office() as office:
        question = await ask(office.client, "send_email", MAIL)
        office.clock.advance(seconds=4)
        results = [
            await reply(office.client, "send_email", MAIL, question, answer) for answer in (first, APPROVE, APPROVE)
        ]
        assert codes(results)[1:] == ["conflict", "conflict"]
        assert office.wire.writes() == []


async def test_an_answer_without_its_question_is_no_answer() -> None:
    async with open_office() as office:
        result = await office.client.session.call_tool(
            "send_email", MAIL, input_responses={"approval": APPROVE}, allow_input_required=True
        )
        assert codes([result]) == ["asked"]
        assert office.wire.writes() == []


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("send_email", {**MAIL, "to": ["eve@elsewhere.example"]}),
        ("send_email", {**MAIL, "body": "See below!"}),
        ("schedule_email", {**MAIL, "send_at": "2026-12-01T09:00:00Z"}),
    ],
)
async def test_an_approval_is_for_the_call_that_asked(tool: str, arguments: dict[str, Any]) -> None:
    async with open_office() as office:
        question = await ask(office.client, "send_email", MAIL)
        with pytest.raises(MCPError):
            await reply(office.client, tool, arguments, question)
        assert office.wire.writes() == []


async def test_a_forged_state_is_refused() -> None:
    async with open_office() as office:
        question = await ask(office.client, "send_email", MAIL)
        for state in ("", '{"operation":"x","card":"y","asked_at":0}', f"{question.request_state}x"):
            forged = question.model_copy(update={"request_state": state})
            try:
                assert codes([await reply(office.client, "send_email", MAIL, forged)]) == ["asked"]
            except MCPError:
                continue
        assert office.wire.writes() == []


async def test_a_draft_changed_after_the_question_is_asked_about_anew() -> None:
    async with open_office() as office:
        draft_id = (await office.call("save_draft", **MAIL))["draft_id"]
        arguments = {"draft_id": draft_id}
        old = await ask(office.client, "send_email", arguments)
        office.store.save_draft(office.user_id, models.SaveDraft(id=draft_id, to=["eve@elsewhere.example"]))
        new = await reply(office.client, "send_email", arguments, old)
        assert isinstance(new, InputRequiredResult)
        assert "ann@elsewhere.example" in card_of(old)
        assert "eve@elsewhere.example" in card_of(new)
        results = [await reply(office.client, "send_email", arguments, question) for question in (old, new, old)]
        assert codes(results) == ["asked", "ok", "not_found"]  # once sent, the draft is gone
        sends = [body["to"] for _, path, body in office.wire.writes() if path == "/send"]
        assert sends == [["eve@elsewhere.example"]]


async def test_a_draft_changed_behind_what_the_card_shows_is_asked_about_anew() -> None:
    async with open_office() as office:
        long = "word " * 3000
        draft_id = (await office.call("save_draft", **{**MAIL, "body": f"{long}middle {long}"}))["draft_id"]
        old = await ask(office.client, "send_email", {"draft_id": draft_id})
        office.store.save_draft(office.user_id, models.SaveDraft(id=draft_id, body_text=f"{long}MIDDLE {long}"))
        new = await reply(office.client, "send_email", {"draft_id": draft_id}, old)
        assert isinstance(new, InputRequiredResult)
        assert card_of(old) == card_of(new)


async def test_in_the_older_era_what_leaves_is_what_was_shown_whatever_happens_meanwhile() -> None:
    person = Person()
    async with open_office(era="legacy", person=person) as office:
        draft_id = (await office.call("save_draft", **MAIL))["draft_id"]
        changed = models.SaveDraft(id=draft_id, to=["eve@elsewhere.example"], body_text="Other")
        person.meanwhile = lambda: office.store.save_draft(office.user_id, changed) and None
        await office.call("send_email", draft_id=draft_id)
        [body] = [body for _, path, body in office.wire.writes() if path == "/send"]
    assert (body["to"], body["bodyText"]) == (["ann@elsewhere.example"], "See below.")
    assert "ann@elsewhere.example" in person.cards[0]


async def test_an_approval_on_one_users_server_is_worth_nothing_on_anothers(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    async with (
        open_office(ledger=ledger) as office,
        open_office(demo=False, user="eve@elsewhere.example", ledger=ledger) as other,
    ):
        question = await ask(office.client, "send_email", MAIL)
        with pytest.raises(MCPError):
            await reply(other.client, "send_email", MAIL, question)
        assert other.wire.writes() == []
        assert codes([await reply(office.client, "send_email", MAIL, question)]) == ["ok"]


async def test_a_restarted_server_asks_again() -> None:
    async with open_office() as office:
        question = await ask(office.client, "send_email", MAIL)
        async with Client(build_server(office.services), elicitation_callback=_approve) as client:
            with pytest.raises(MCPError):
                await reply(client, "send_email", MAIL, question)
        assert office.wire.writes() == []


async def _approve(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    return APPROVE


async def test_without_a_ledger_to_write_to_no_approval_is_used_and_nothing_leaves(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    async with open_office(ledger=Ledger(tmp_path / "file" / "ledger.sqlite3")) as office:
        sentence = await office.refusal("send_email", **MAIL)
        assert sentence.startswith("unavailable: ")
        assert "SALESOS_STATE_DIR" in sentence
        assert office.wire.writes() == []
