"""Other spellings of the API: each is served by the sandbox, and met by a file for `SALESOS_CONTRACT` alone."""

import json
import re
import tomllib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from inline_snapshot import snapshot
from mcp_types import CallToolResult
from pydantic.alias_generators import to_snake

from harness import BASE_URL, Clock, Office, open_office, text_of
from other_services import NESTED, SNAKE
from salesos_inbox.client.http import InboxClient
from salesos_inbox.contract import models
from salesos_inbox.contract.overrides import read_overrides
from salesos_inbox.errors import OutcomeUnknown
from salesos_inbox.sandbox.app import UNLIMITED, create_app
from salesos_inbox.sandbox.seed import DEMO_USER, load_demo
from salesos_inbox.sandbox.spelling import Spelling
from salesos_inbox.sandbox.store import Store
from salesos_inbox.settings import Settings
from salesos_inbox.tools.catalogue import CATALOGUE

pytestmark = pytest.mark.anyio

FILES = Path(__file__).parent / "spellings"
SPELLINGS = {"snake": SNAKE, "nested": NESTED}

Answers = list[tuple[str, dict[str, Any]]]

LINE = re.compile(r"`(routes\.\w+\.rename\.[^`]+)`")
PLACEHOLDER = "the name SalesOS has for it"


@asynccontextmanager
async def office_where(spelling: Spelling | None, contract: Path | None) -> AsyncGenerator[Office]:
    """Open an office whose service speaks in `spelling`, with the file `contract`."""
    clock, numbers = Clock(), count(1)
    store = Store(clock=clock, ids=lambda: f"id-{next(numbers):05d}")
    load_demo(store)
    settings = {"SALESOS_CONTRACT": str(contract)} if contract else {}
    async with open_office(store=store, user=DEMO_USER, clock=clock, settings=settings) as office:
        office.wire.app = create_app(store, limits=UNLIMITED, spelling=spelling)
        yield office


async def workday(office: Office) -> Answers:
    """Use every tool, and return what each call answered, without what differs from one run to the next."""
    answers: Answers = []

    async def call(tool: str, /, **arguments: Any) -> dict[str, Any]:
        answer = await office.call(tool, **arguments)
        answers.append((tool, json.loads(steady(json.dumps(answer)))))
        return answer

    await call("list_folders")
    await call("get_inbox_stats")
    page = await call("list_threads", limit=10)
    following = await call("list_threads", limit=10, cursor=page["next_cursor"])
    await call("list_threads", folder="sent", limit=5)
    await call("list_threads", unread=True, starred=False, limit=5)
    await call("list_threads", sender="brightwater", after="2026-01-01T00:00Z", limit=5)
    found = await call("search_threads", query="pricing", after="2026-01-01T00:00Z", limit=5)
    await call("triage_inbox", limit=5)
    one, two, three, four = (row["thread_id"] for row in following["threads"][:4])
    for thread_id in (one, two, found["threads"][0]["thread_id"]):
        await call("read_thread", thread_id=thread_id)

    draft = await call("save_draft", to=["ann@example.com"], subject="Offer", body="Soon.")
    await call("save_draft", draft_id=draft["draft_id"], body="Sooner.")
    await call("send_email", draft_id=draft["draft_id"])
    await call("send_email", thread_id=one, body="Thank you, that works for us.")
    await call(
        "send_email", to=["ann@example.com"], cc=["ben@example.com"], bcc=["cho@example.com"], subject="Plan", body="1"
    )
    scheduled = await call(
        "schedule_email", to=["ann@example.com"], subject="Later", body="2", send_at="2026-11-20T09:00Z"
    )
    await call("list_scheduled")
    await call("cancel_scheduled", scheduled_id=scheduled["scheduled_id"])

    for undone in (
        await call("mark_read", thread_ids=[one], read=False),
        await call("mark_read", thread_ids=[one, two, three]),
        await call("star_threads", thread_ids=[two]),
        await call("star_threads", thread_ids=[one, three]),
        await call("archive_threads", thread_ids=[one]),
        await call("archive_threads", thread_ids=[two, three]),
        await call("move_threads", thread_ids=[two, four], folder="inbox"),
        await call("delete_threads", thread_ids=[three, four]),
        await call(
            "bulk_update_threads",
            plan=[
                {"action": "unread", "thread_ids": [one]},
                {"action": "move", "thread_ids": [two], "folder": "archive"},
            ],
        ),
        await call("set_follow_up", thread_id=one, remind_at="2026-11-25T09:00Z", note="Ask again"),
    ):
        if undone.get("undo_id"):
            await call("undo_change", undo_id=undone["undo_id"])
    await call("set_follow_up", thread_id=one, remind_at="2026-11-25T09:00Z", note="Ask again")
    await call("read_thread", thread_id=one)
    await call("remove_follow_up", thread_id=one)
    record = office.store.add_crm_record(office.user_id, "lead", "Ann Example")
    await call("link_crm_record", thread_id=one, record_type="lead", record_id=record)
    await call("read_thread", thread_id=one)
    await call("unlink_crm_record", thread_id=one, record_type="lead", record_id=record)
    await call("list_threads", folder="trash")
    return answers


def steady(answer: str) -> str:
    """Return an answer without ids of undoing and without cursors, which are drawn anew or the service's own."""
    return re.sub(r'("undo_id"|"next_cursor"): "[^"]*"', r'\1: "..."', answer)


@pytest.mark.parametrize("name", SPELLINGS)
async def test_every_tool_answers_alike_whichever_way_the_service_spells_it(name: str) -> None:
    async with office_where(None, None) as office:
        plain = await workday(office)
    async with office_where(SPELLINGS[name], FILES / f"{name}.toml") as office:
        spelled = await workday(office)
    for (tool, expected), (_, got) in zip(plain, spelled, strict=True):
        assert got == expected, tool
    assert {tool for tool, _ in plain} == {tool.name for tool in CATALOGUE}


async def test_a_service_that_spells_otherwise_is_met_by_what_each_refusal_says(tmp_path: Path) -> None:
    """A person writes what they are told to, with the service's names for the placeholders, until it works."""
    contract = tmp_path / "contract.toml"
    contract.write_text("session.csrf = false\n")
    written: list[str] = []
    results: list[CallToolResult] = []
    for _ in range(10):
        async with office_where(SNAKE, contract) as office:
            thread_id = (await office.call("list_threads", limit=1))["threads"][0]["thread_id"]
            results = [
                await office.result("send_email", thread_id=thread_id, body="Thank you."),
                await office.result("star_threads", thread_ids=[thread_id]),
                await office.result("set_follow_up", thread_id=thread_id, remind_at="2026-11-25T09:00Z"),
            ]
        lines = [line for result in results for line in LINE.findall(text_of(result))]
        if not lines:
            break
        written += [line.replace(PLACEHOLDER, to_snake(line.split(" = ")[0].split(".")[-1])) for line in lines]
        contract.write_text("session.csrf = false\n" + "\n".join(written))
    assert not any(result.is_error for result in results)
    assert written == snapshot(
        [
            'routes.send_email.rename.bodyText = "body_text"',
            'routes.send_email.rename.threadId = "thread_id"',
            'routes.send_email.rename.inReplyTo = "in_reply_to"',
            'routes.set_star.rename.isStarred = "is_starred"',
            'routes.set_follow_up.rename.reminderDate = "reminder_date"',
        ]
    )


@pytest.mark.parametrize(
    "payload",
    [
        {"success": False, "result": {"id": "m", "state": "done"}},
        {"result": {"statusCode": 500}},
        {"statusCode": 500},
    ],
)
async def test_a_failure_around_an_answer_is_no_success_wherever_the_answer_stands(payload: dict[str, Any]) -> None:
    contract = read_overrides(tomllib.loads((FILES / "nested.toml").read_text(encoding="utf-8")))
    settings = Settings(api_key="k", base_url=BASE_URL, overrides=contract)
    transport = httpx.MockTransport(lambda request: httpx.Response(201, json=payload))
    async with InboxClient(settings, transport=transport) as client:
        with pytest.raises(OutcomeUnknown):
            await client.send_email(models.SendEmail(to=["ann@example.com"], subject="Offer", body_text="Soon"))
