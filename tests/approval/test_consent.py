"""From a question to one effect: replays, parallel calls, restarts, other users, and decisions that come later."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import anyio
import httpx
import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitResult,
    InputRequiredResult,
)

from harness import Era, Office, open_office, text_of
from salesos_inbox.approval.ladder import PAGE_SECONDS
from salesos_inbox.approval.ledger import Ledger, State
from salesos_inbox.approval.page import VISIT_SECONDS
from salesos_inbox.contract import models
from salesos_inbox.server import build_server
from salesos_inbox.tools._kit import Services

pytestmark = pytest.mark.anyio

KEY = b"k" * 32
MAIL: dict[str, Any] = {"to": ["ann@elsewhere.example"], "subject": "Offer", "body": "See below."}
APPROVE = ElicitResult(action="accept", content={"decision": "approve"})
SAYS_NO = ElicitResult(action="accept", content={"decision": "decline"})
DECLINE = ElicitResult(action="decline")
CANCEL = ElicitResult(action="cancel")

Result = CallToolResult | InputRequiredResult


async def ask(client: Client, tool: str, arguments: dict[str, Any]) -> InputRequiredResult:
    """Make a call that asks in the newer era, and return its question."""
    result = await client.session.call_tool(tool, arguments, allow_input_required=True)
    assert isinstance(result, InputRequiredResult), text_of(result)
    return result


async def reply(
    client: Client, tool: str, arguments: dict[str, Any], question: InputRequiredResult, answer: ElicitResult = APPROVE
) -> Result:
    """Repeat the call with an answer to `question`."""
    return await client.session.call_tool(
        tool,
        arguments,
        input_responses={"approval": answer},
        request_state=question.request_state,
        allow_input_required=True,
    )


async def question_for(office: Office, tool: str, arguments: dict[str, Any]) -> InputRequiredResult:
    """Make a call that asks, and let a person think for four seconds."""
    question = await ask(office.client, tool, arguments)
    office.clock.advance(seconds=4)
    return question


def code(result: Result) -> str:
    """Return what became of a call: its status, `asked`, or the code of its error."""
    if isinstance(result, InputRequiredResult):
        return "asked"
    if result.is_error:
        return text_of(result).partition(":")[0]
    content: dict[str, Any] = result.structured_content or {}
    return content.get("status", "ok")


def card_of(question: InputRequiredResult) -> str:
    """Return the card that a question shows."""
    assert question.input_requests
    request = question.input_requests["approval"]
    assert isinstance(request, ElicitRequest)
    assert isinstance(request.params, ElicitRequestFormParams)
    return request.params.message


def sends(office: Office) -> int:
    """Return how many messages left."""
    return len(office.wire.sends())


async def _approve(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    del context, params
    return APPROVE


@asynccontextmanager
async def another_server(office: Office, ledger: Ledger, state_key: bytes | None = None) -> AsyncGenerator[Client]:
    """Start another server for the same user, without a page, and with a client of its own."""
    settings = replace(office.services.settings, browser=False)
    services = Services(settings, office.services.open_client, ledger, office.clock, state_key=state_key)
    try:
        async with Client(build_server(services), elicitation_callback=_approve) as client:
            yield client
    finally:
        await services.close()


# One approval, one effect


async def test_an_approval_replayed_in_sequence_sends_once() -> None:
    async with open_office(demo=False) as office:
        question = await question_for(office, "send_email", MAIL)
        results = [await reply(office.client, "send_email", MAIL, question) for _ in range(50)]
        assert [code(result) for result in results] == ["sent"] + ["already_sent"] * 49
        assert sends(office) == 1


async def test_an_approval_replayed_in_parallel_sends_once() -> None:
    async with open_office(demo=False) as office:
        question = await question_for(office, "send_email", MAIL)
        results: list[Result] = []

        async def replay() -> None:
            results.append(await reply(office.client, "send_email", MAIL, question))

        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(replay)
        assert sorted(map(code, results)) == ["already_sent"] * 49 + ["sent"]
        assert sends(office) == 1


async def test_an_approval_replayed_to_two_servers_on_one_ledger_sends_once(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite3"
    async with (
        open_office(demo=False) as office,
        another_server(office, Ledger(file), KEY) as one,
        another_server(office, Ledger(file), KEY) as other,
    ):
        question = await ask(one, "send_email", MAIL)
        office.clock.advance(seconds=4)
        results: list[Result] = []

        async def replay(client: Client) -> None:
            results.append(await reply(client, "send_email", MAIL, question))

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(replay, (one, other)[number % 2])
        assert sorted(map(code, results)) == ["already_sent"] * 19 + ["sent"]
        assert sends(office) == 1


class Overtaken(Ledger):
    """A ledger on which another process claims every approval a moment earlier, and sends the message."""

    def claim(self, operation_id: str, now: float, *, most_per_hour: int | None = None) -> bool:
        """Claim after the other process did."""
        assert super().claim(operation_id, now, most_per_hour=most_per_hour)
        receipt = {"status": "sent", "thread_id": None, "message_ids": ["m"]}
        self.finish(operation_id, State.DONE, now, receipt=receipt, what="sent")
        return super().claim(operation_id, now, most_per_hour=most_per_hour)


async def test_an_approval_that_another_process_claims_first_is_answered_with_its_receipt(era: Era) -> None:
    async with open_office(era=era, demo=False, ledger=Overtaken()) as office:
        assert (await office.call("send_email", **MAIL))["status"] == "already_sent"
        assert (sends(office), len(office.person.cards)) == (0, 1)


async def test_the_same_call_after_it_was_sent_asks_nobody(era: Era) -> None:
    async with open_office(era=era, demo=False) as office:
        statuses = [(await office.call("send_email", **MAIL))["status"] for _ in range(3)]
        assert statuses == ["sent", "already_sent", "already_sent"]
        assert (sends(office), len(office.person.cards)) == (1, 1)


async def test_an_approval_is_used_up_by_a_send_whose_outcome_is_unknown() -> None:
    async with open_office(demo=False) as office:
        question = await question_for(office, "send_email", MAIL)
        office.wire.lose = "request"
        results = [await reply(office.client, "send_email", MAIL, question) for _ in range(3)]
        assert [code(result) for result in results] == ["outcome_unknown"] * 3
        assert sends(office) == 1


async def test_an_approved_deletion_is_not_repeated_by_a_replay() -> None:
    async with open_office() as office:
        arguments = {"thread_ids": await office.thread_ids(limit=2)}
        question = await question_for(office, "delete_threads", arguments)
        assert code(await reply(office.client, "delete_threads", arguments, question)) == "ok"
        await office.call("move_threads", folder="inbox", **arguments)  # the user takes them out of the trash
        assert code(await reply(office.client, "delete_threads", arguments, question)) == "conflict"
        assert await office.thread_ids(limit=2) == arguments["thread_ids"]


async def test_an_approved_plan_is_not_repeated_by_a_replay() -> None:
    async with open_office() as office:
        thread_ids = await office.thread_ids(limit=2)
        arguments = {"plan": [{"action": "delete", "thread_ids": thread_ids}]}
        question = await question_for(office, "bulk_update_threads", arguments)
        assert code(await reply(office.client, "bulk_update_threads", arguments, question)) == "ok"
        await office.call("move_threads", folder="inbox", thread_ids=thread_ids)
        assert code(await reply(office.client, "bulk_update_threads", arguments, question)) == "conflict"
        assert await office.thread_ids(limit=2) == thread_ids


async def test_an_approved_cancellation_is_not_repeated_by_a_replay() -> None:
    async with open_office(demo=False) as office:
        scheduled = await office.call("schedule_email", **MAIL, send_at="2026-12-01T09:00:00Z")
        arguments = {"scheduled_id": scheduled["scheduled_id"]}
        question = await question_for(office, "cancel_scheduled", arguments)
        results = [await reply(office.client, "cancel_scheduled", arguments, question) for _ in range(3)]
        assert [code(result) for result in results] == ["cancelled", "not_found", "not_found"]
        assert [method for method, _, _ in office.wire.writes()] == ["POST", "DELETE"]


async def test_an_approved_unlinking_is_not_repeated_by_a_replay() -> None:
    async with open_office() as office:
        thread_id = await office.find("Leipzig pilot results")
        record = {"thread_id": thread_id, "record_type": "account", "record_id": "helix-logistics"}
        question = await question_for(office, "unlink_crm_record", record)
        assert code(await reply(office.client, "unlink_crm_record", record, question)) == "unlinked"
        await office.call("link_crm_record", **record)
        assert code(await reply(office.client, "unlink_crm_record", record, question)) == "conflict"
        assert (await office.call("link_crm_record", **record))["status"] == "unchanged"


async def test_a_deletion_in_parallel_happens_once(era: Era) -> None:
    async with open_office(era=era) as office:
        arguments = {"thread_ids": await office.thread_ids(limit=2)}
        results: list[CallToolResult] = []

        async def delete() -> None:
            results.append(await office.result("delete_threads", **arguments))

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(delete)
        assert set(map(code, results)) <= {"ok", "conflict"}
        assert "ok" in map(code, results)
        assert len(office.wire.writes()) == 1


async def test_a_message_whose_call_is_cancelled_while_it_leaves_counts_as_sent(era: Era) -> None:
    async with open_office(era=era, demo=False) as office:
        handle, call = office.wire.handle_async_request, anyio.CancelScope()

        async def interrupted(request: httpx.Request) -> httpx.Response:
            if request.method == "POST":
                call.cancel()
                await anyio.sleep(0.1)  # until the cancellation has reached the server
            return await handle(request)

        office.wire.handle_async_request = interrupted
        with call:
            await office.call("send_email", **MAIL)
        assert call.cancel_called
        assert (await office.call("send_email", **MAIL))["status"] == "already_sent"
        assert (sends(office), len(office.person.cards)) == (1, 1)


async def test_calls_at_the_same_time_of_which_nobody_can_be_asked_keep_one_draft(era: Era) -> None:
    async with open_office(era=era, demo=False, asks=False) as office:
        sentences: list[str] = []

        async def send() -> None:
            sentences.append(await office.refusal("send_email", **MAIL))

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(send)
        assert [path for _, path, _ in office.wire.writes()] == ["/drafts"]
        assert len(set(sentences)) == 1


# What an answer is for


@pytest.mark.parametrize("first", [SAYS_NO, DECLINE, CANCEL], ids=["says no", "declines", "closes"])
async def test_a_no_cannot_be_made_a_yes_afterwards(first: ElicitResult) -> None:
    async with open_office(demo=False) as office:
        question = await question_for(office, "send_email", MAIL)
        results = [
            await reply(office.client, "send_email", MAIL, question, answer) for answer in (first, APPROVE, APPROVE)
        ]
        expected = "nobody_asked" if first is CANCEL else "declined"
        assert [code(result) for result in results] == [expected] * 3
        assert sends(office) == 0


@pytest.mark.parametrize("later", [SAYS_NO, DECLINE, CANCEL], ids=["says no", "declines", "closes"])
async def test_a_yes_is_not_taken_back_by_a_later_no(later: ElicitResult) -> None:
    async with open_office(demo=False) as office:
        question = await question_for(office, "send_email", MAIL)
        results = [await reply(office.client, "send_email", MAIL, question, answer) for answer in (APPROVE, later)]
        assert [code(result) for result in results] == ["sent", "already_sent"]


async def test_a_no_holds_for_its_question_and_the_next_call_asks_anew(era: Era) -> None:
    async with open_office(era=era, demo=False) as office:
        office.person.answer = "decline"
        assert (await office.refusal("send_email", **MAIL)).startswith("declined: ")
        office.person.answer = "approve"
        assert (await office.call("send_email", **MAIL))["status"] == "sent"
        assert len(office.person.cards) == 2


async def test_an_answer_without_its_question_is_no_answer() -> None:
    async with open_office(demo=False) as office:
        result = await office.client.session.call_tool(
            "send_email", MAIL, input_responses={"approval": APPROVE}, allow_input_required=True
        )
        assert isinstance(result, InputRequiredResult)
        assert office.wire.writes() == []


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("send_email", {**MAIL, "to": ["eve@elsewhere.example"]}),
        ("send_email", {**MAIL, "body": "See below!"}),
        ("send_email", {**MAIL, "send_again": True}),
        ("schedule_email", {**MAIL, "send_at": "2026-12-01T09:00:00Z"}),
    ],
)
async def test_an_approval_is_for_the_call_that_asked(tool: str, arguments: dict[str, Any]) -> None:
    async with open_office(demo=False) as office:
        question = await question_for(office, "send_email", MAIL)
        with pytest.raises(MCPError):
            await reply(office.client, tool, arguments, question)
        assert office.wire.writes() == []


async def test_a_forged_state_is_refused() -> None:
    async with open_office(demo=False) as office:
        question = await question_for(office, "send_email", MAIL)
        for state in ("", '{"operation":"x","card":"y","asked_at":0}', f"{question.request_state}x"):
            forged = question.model_copy(update={"request_state": state})
            try:
                assert code(await reply(office.client, "send_email", MAIL, forged)) == "asked"
            except MCPError:
                continue
        assert office.wire.writes() == []


async def test_a_draft_changed_after_the_question_is_asked_about_anew() -> None:
    async with open_office(demo=False) as office:
        draft_id = (await office.call("save_draft", **MAIL))["draft_id"]
        arguments = {"draft_id": draft_id}
        old = await question_for(office, "send_email", arguments)
        office.store.save_draft(office.user_id, models.SaveDraft(id=draft_id, to=["eve@elsewhere.example"]))
        new = await reply(office.client, "send_email", arguments, old)
        assert isinstance(new, InputRequiredResult)
        assert "ann@elsewhere.example" in card_of(old)
        assert "eve@elsewhere.example" in card_of(new)
        office.clock.advance(seconds=4)
        results = [await reply(office.client, "send_email", arguments, question) for question in (old, new, old)]
        assert [code(result) for result in results] == ["asked", "sent", "already_sent"]
        assert [body["to"] for body in office.wire.sends()] == [["eve@elsewhere.example"]]


async def test_a_draft_changed_behind_what_the_card_shows_is_asked_about_anew() -> None:
    async with open_office(demo=False) as office:
        long = "word " * 3000
        draft_id = (await office.call("save_draft", **{**MAIL, "body": f"{long}middle {long}"}))["draft_id"]
        old = await question_for(office, "send_email", {"draft_id": draft_id})
        office.store.save_draft(office.user_id, models.SaveDraft(id=draft_id, body_text=f"{long}MIDDLE {long}"))
        new = await reply(office.client, "send_email", {"draft_id": draft_id}, old)
        assert isinstance(new, InputRequiredResult)
        assert card_of(old) == card_of(new)


async def test_the_same_message_with_other_facts_around_it_is_asked_about_anew() -> None:
    async with open_office(demo=False) as office:
        old = await question_for(office, "send_email", MAIL)
        await office.call("send_email", **{**MAIL, "subject": "Hello"})
        new = await reply(office.client, "send_email", MAIL, old)
        assert isinstance(new, InputRequiredResult)
        assert "ann@elsewhere.example (first contact)" in card_of(old)
        assert "ann@elsewhere.example (first contact)" not in card_of(new)
        office.clock.advance(seconds=4)
        assert code(await reply(office.client, "send_email", MAIL, new)) == "sent"


async def test_in_the_older_era_what_leaves_is_what_was_shown_whatever_happens_meanwhile() -> None:
    async with open_office(era="legacy", demo=False) as office:
        draft_id = (await office.call("save_draft", **MAIL))["draft_id"]
        changed = models.SaveDraft(id=draft_id, to=["eve@elsewhere.example"], body_text="Other")
        office.person.meanwhile = lambda: office.store.save_draft(office.user_id, changed) and None
        await office.call("send_email", draft_id=draft_id)
        [body] = office.wire.sends()
        assert (body["to"], body["bodyText"]) == (["ann@elsewhere.example"], "See below.")
        assert "ann@elsewhere.example" in office.person.cards[0]


async def test_a_late_answer_is_told_as_such_and_the_next_call_asks_anew() -> None:
    async with open_office(demo=False) as office:
        question = await ask(office.client, "send_email", MAIL)
        office.clock.advance(seconds=121)
        results = [await reply(office.client, "send_email", MAIL, question) for _ in range(2)]
        assert [code(result) for result in results] == ["expired"] * 2
        assert sends(office) == 0
        assert (await office.call("send_email", **MAIL))["status"] == "sent"
        assert len(office.person.cards) == 1


async def test_a_late_answer_deletes_nothing() -> None:
    async with open_office() as office:
        arguments = {"thread_ids": await office.thread_ids(limit=2)}
        question = await ask(office.client, "delete_threads", arguments)
        office.clock.advance(seconds=121)
        assert code(await reply(office.client, "delete_threads", arguments, question)) == "expired"
        assert office.wire.writes() == []


async def test_an_answer_after_the_deadline_is_told_as_such_by_a_client_that_asks_by_itself() -> None:
    async with open_office(demo=False) as office:
        office.person.seconds = 121
        assert (await office.refusal("send_email", **MAIL)).startswith("expired: The user did not decide in time")
        assert office.wire.writes() == []


# Whose answer, and where


async def test_an_approval_on_one_users_server_is_worth_nothing_on_anothers(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite3"
    async with (
        open_office(demo=False) as office,
        open_office(demo=False, user="eve@elsewhere.example") as other,
        another_server(office, Ledger(file), KEY) as own,
        another_server(other, Ledger(file), KEY) as foreign,
    ):
        question = await ask(own, "send_email", MAIL)
        for clock in (office.clock, other.clock):
            clock.advance(seconds=4)
        assert code(await reply(foreign, "send_email", MAIL, question)) == "asked"
        with pytest.raises(MCPError):  # by a server with a key of its own
            await reply(other.client, "send_email", MAIL, question)
        assert (sends(office), sends(other)) == (0, 0)
        assert code(await reply(own, "send_email", MAIL, question)) == "sent"
        assert code(await reply(foreign, "send_email", MAIL, question)) == "asked"
        assert (sends(office), sends(other)) == (1, 0)


async def test_an_approval_on_one_server_is_asked_for_anew_on_one_with_another_ledger() -> None:
    async with (
        open_office(demo=False) as office,
        another_server(office, Ledger(), KEY) as one,
        another_server(office, Ledger(), KEY) as other,
    ):
        question = await ask(one, "send_email", MAIL)
        office.clock.advance(seconds=4)
        assert code(await reply(other, "send_email", MAIL, question)) == "asked"
        assert sends(office) == 0


async def test_an_answer_counts_after_a_restart(tmp_path: Path) -> None:
    async with open_office(demo=False) as office:
        async with another_server(office, Ledger(tmp_path / "ledger.sqlite3"), KEY) as client:
            question = await ask(client, "send_email", MAIL)
        office.clock.advance(seconds=4)
        async with another_server(office, Ledger(tmp_path / "ledger.sqlite3"), KEY) as client:
            results = [await reply(client, "send_email", MAIL, question) for _ in range(2)]
        assert [code(result) for result in results] == ["sent", "already_sent"]
        assert sends(office) == 1


async def test_without_a_key_that_is_kept_a_restart_voids_the_question(tmp_path: Path) -> None:
    async with open_office(demo=False) as office:
        async with another_server(office, Ledger(tmp_path / "ledger.sqlite3")) as client:
            question = await ask(client, "send_email", MAIL)
        async with another_server(office, Ledger(tmp_path / "ledger.sqlite3")) as client:
            with pytest.raises(MCPError):
                await reply(client, "send_email", MAIL, question)
            assert isinstance(await ask(client, "send_email", MAIL), InputRequiredResult)
        assert sends(office) == 0


# Decisions that are made on the page after the call has ended


@dataclass
class Browser:
    """A person's browser: it opens the page, shows it, and presses a button only when it is told to."""

    url: str = ""
    html: str = ""

    def open(self, url: str) -> bool:
        """Open the page."""
        self.url = url
        self.html = httpx.get(url, trust_env=False, verify=False).text
        return True

    def press(self, button: str) -> str:
        """Press a button of the first card, and return the page that follows."""
        origin = self.url.rpartition("/enter/")[0]
        fields = re.findall('<input [^>]*name="([^"]*)" value="([^"]*)"', self.html)
        [operation_id, *_] = re.findall(f'name="{button}" value="([^"]*)"', self.html)
        self.html = httpx.post(
            f"{origin}/decide",
            content=urlencode([*fields, (button, operation_id)]),
            headers={"Origin": origin, "Content-Type": "application/x-www-form-urlencoded"},
            trust_env=False,
            verify=False,
        ).text
        return self.html


@asynccontextmanager
async def undecided(era: Era, **options: Any) -> AsyncGenerator[tuple[Office, Browser]]:
    """Open an office in which an email waits on the page, looked at and not decided, and its call has ended."""
    async with open_office(era=era, demo=False, asks=False, page=True, **options) as office:
        browser = Browser()
        office.services.open_browser = browser.open
        office.services.settings = replace(office.services.settings, approval_seconds=0.3)
        assert (await office.refusal("send_email", **MAIL)).startswith("pending: ")
        office.clock.advance(seconds=VISIT_SECONDS)
        yield office, browser


async def test_an_approval_on_the_page_is_picked_up_by_the_next_call(era: Era) -> None:
    async with undecided(era) as (office, browser):
        assert "Approved" in browser.press("approve")
        assert sends(office) == 0
        statuses = [(await office.call("send_email", **MAIL))["status"] for _ in range(2)]
        assert statuses == ["sent", "already_sent"]
        assert sends(office) == 1


async def test_an_approval_on_the_page_is_picked_up_once_by_many_calls(era: Era) -> None:
    async with undecided(era) as (office, browser):
        browser.press("approve")
        results: list[CallToolResult] = []

        async def send() -> None:
            results.append(await office.result("send_email", **MAIL))

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(send)
        assert sorted(map(code, results)) == ["already_sent"] * 19 + ["sent"]
        assert sends(office) == 1


async def test_a_refusal_on_the_page_is_told_once_and_then_the_call_asks_anew(era: Era) -> None:
    async with undecided(era) as (office, browser):
        assert "Declined" in browser.press("decline")
        assert (await office.refusal("send_email", **MAIL)).startswith("declined: ")
        assert (await office.refusal("send_email", **MAIL)).startswith("pending: ")
        browser.press("approve")  # which comes too quick after the page
        office.clock.advance(seconds=2)
        browser.press("approve")
        assert (await office.call("send_email", **MAIL))["status"] == "sent"


async def test_a_call_that_waits_hears_of_the_decision(era: Era) -> None:
    async with undecided(era) as (office, browser):
        office.services.consent.ladder.seconds = 60
        results: list[CallToolResult] = []

        async def send() -> None:
            results.append(await office.result("send_email", **MAIL))

        async with anyio.create_task_group() as group:
            group.start_soon(send)
            await anyio.sleep(0.3)
            office.clock.advance(seconds=2)
            await anyio.to_thread.run_sync(browser.press, "approve")
        assert list(map(code, results)) == ["sent"]


async def test_what_was_not_decided_on_the_page_in_time_is_told_once_and_then_asked_anew(era: Era) -> None:
    async with undecided(era) as (office, browser):
        office.clock.advance(seconds=PAGE_SECONDS)
        assert (await office.refusal("send_email", **MAIL)).startswith("expired: The user did not decide in time")
        assert "Expired" in browser.press("approve")
        assert (await office.refusal("send_email", **MAIL)).startswith("pending: ")
        assert sends(office) == 0


async def test_an_approval_that_was_not_picked_up_in_time_has_lapsed(era: Era) -> None:
    async with undecided(era) as (office, browser):
        browser.press("approve")
        office.clock.advance(seconds=PAGE_SECONDS)
        assert (await office.refusal("send_email", **MAIL)).startswith("expired: The user approved this, but")
        assert (await office.refusal("send_email", **MAIL)).startswith("pending: ")
        assert sends(office) == 0


async def test_an_approval_on_the_page_is_not_for_other_content(era: Era) -> None:
    async with undecided(era) as (office, browser):
        browser.press("approve")
        assert (await office.refusal("send_email", **{**MAIL, "body": "Other"})).startswith("pending: ")
        assert sends(office) == 0


async def test_an_approval_on_the_page_outlives_the_server_that_asked(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite3"
    async with undecided("auto", ledger=Ledger(file)) as (office, browser):
        browser.press("approve")
        async with another_server(office, Ledger(file)) as client:
            assert code(await client.call_tool("send_email", MAIL)) == "sent"
        assert sends(office) == 1


async def test_what_waits_on_the_page_of_one_server_can_be_decided_in_the_client_of_another(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite3"
    async with (
        undecided("auto", ledger=Ledger(file)) as (office, browser),
        another_server(office, Ledger(file)) as other,
    ):
        question = await ask(other, "send_email", MAIL)
        office.clock.advance(seconds=4)
        assert code(await reply(other, "send_email", MAIL, question)) == "sent"
        assert "Decided before" in browser.press("approve")
        assert (await office.call("send_email", **MAIL))["status"] == "already_sent"
        assert sends(office) == 1


async def test_what_was_withdrawn_can_no_longer_be_approved() -> None:
    async with undecided("auto") as (office, browser):
        [waiting] = office.services.ledger.waiting(await office.services.user(), office.services.seconds())
        office.services.ledger.give_up(waiting.operation_id, office.services.seconds())
        assert "Withdrawn" in browser.press("approve")
        assert sends(office) == 0


# What the operator decides


async def test_what_the_policy_allows_is_asked_of_nobody_and_recorded(era: Era) -> None:
    settings = {"SALESOS_POLICY": "send_email=allow"}
    async with open_office(era=era, demo=False, asks=False, settings=settings) as office:
        statuses = [(await office.call("send_email", **MAIL))["status"] for _ in range(2)]
        assert statuses == ["sent", "already_sent"]
        entries = [(entry.what, entry.about.get("by")) for entry in office.services.ledger.entries()]
        assert entries == [("asked", None), ("approved", "the operator's policy"), ("sent", None)]


async def test_a_message_that_may_have_left_is_repeated_by_a_person_alone_whatever_the_policy_allows(era: Era) -> None:
    settings = {"SALESOS_POLICY": "send_email=allow"}
    async with open_office(era=era, demo=False, asks=False, settings=settings) as office:
        office.wire.lose = "request"
        assert (await office.refusal("send_email", **MAIL)).startswith("outcome_unknown: ")
        office.wire.lose = None
        assert (await office.refusal("send_email", **MAIL, send_again=True)).startswith("nobody_asked: ")
        assert sends(office) == 1


async def test_what_the_policy_forbids_in_the_meantime_does_not_happen(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite3"
    async with open_office(demo=False, ledger=Ledger(file)) as office:
        async with another_server(office, Ledger(file), KEY) as client:
            question = await ask(client, "send_email", MAIL)
        office.clock.advance(seconds=4)
        office.services.settings = replace(office.services.settings, allowed_recipients=("*@other.example",))
        async with another_server(office, Ledger(file), KEY) as client:
            assert code(await reply(client, "send_email", MAIL, question)) == "refused"
        assert sends(office) == 0


async def test_without_a_ledger_to_write_to_no_approval_is_used_and_nothing_leaves(tmp_path: Path, era: Era) -> None:
    (tmp_path / "file").write_text("not a directory")
    async with open_office(era=era, demo=False, ledger=Ledger(tmp_path / "file" / "ledger.sqlite3")) as office:
        sentence = await office.refusal("send_email", **MAIL)
        assert sentence.startswith("unavailable: ")
        assert "SALESOS_STATE_DIR" in sentence
        assert (office.wire.writes(), office.person.cards) == ([], [])
