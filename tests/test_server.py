"""The server around the tools: arguments, answers, errors, and which tools it offers."""

import json
import logging
import re
from collections.abc import Iterator
from itertools import count
from typing import Any, cast

import pytest
from inline_snapshot import snapshot
from mcp import Client
from mcp.shared.exceptions import MCPError

from harness import Clock, Era, Office, open_office, text_of
from salesos_inbox.client.http import InboxClient
from salesos_inbox.errors import InboxError, InvalidArguments, NobodyAsked, RateLimited
from salesos_inbox.sandbox.faults import Fault, Faults, Rule
from salesos_inbox.sandbox.seed import load_demo
from salesos_inbox.sandbox.store import Store
from salesos_inbox.server import build_server, failed
from salesos_inbox.settings import Settings
from salesos_inbox.tools._kit import Effect, Services
from salesos_inbox.tools.catalogue import CATALOGUE

pytestmark = pytest.mark.anyio

SECRET = "kim@customer.example wrote: the price is 4711"


async def offered(office: Office) -> list[str]:
    return [tool.name for tool in (await office.client.list_tools()).tools]


# Arguments


async def test_every_tool_refuses_an_argument_it_does_not_have_and_does_nothing() -> None:
    async with open_office() as office:
        for tool in CATALOGUE:
            refusal = await office.refusal(tool.name, xylophone=[SECRET])
            assert refusal.startswith(f"invalid_arguments: {tool.name} has no argument 'xylophone': it takes ")
            assert refusal.endswith(". Nothing was done.")
            assert SECRET not in refusal
        assert office.wire.requests == []


@pytest.mark.parametrize(
    ("tool", "wrong", "right"),
    [
        ("list_threads", "isRead", "unread, its opposite"),
        ("list_threads", "isStarred", "starred"),
        ("list_threads", "hasAttachments", "has_attachments"),
        ("list_threads", "from", "sender"),
        ("list_threads", "page", "cursor"),
        ("search_threads", "q", "query"),
        ("search_threads", "text", "query"),
        ("read_thread", "id", "thread_id"),
        ("read_thread", "threadId", "thread_id"),
        ("archive_threads", "ids", "thread_ids"),
        ("archive_threads", "thread_id", "thread_ids"),
        ("mark_read", "isRead", "read"),
        ("send_email", "recipients", "to"),
        ("send_email", "message", "body"),
        ("send_email", "replyAll", "reply_all"),
        ("save_draft", "text", "body"),
        ("save_draft", "id", "thread_id or draft_id"),
        ("schedule_email", "scheduledFor", "send_at"),
        ("schedule_email", "time", "send_at"),
        ("cancel_scheduled", "id", "scheduled_id"),
        ("bulk_update_threads", "actions", "plan"),
        ("link_crm_record", "entityType", "record_type"),
        ("unlink_crm_record", "entityId", "record_id"),
        ("set_follow_up", "reminderDate", "remind_at"),
        ("set_follow_up", "date", "remind_at"),
        ("set_follow_up", "when", "remind_at"),
        ("undo_change", "id", "undo_id"),
    ],
)
async def test_the_refusal_names_the_argument_that_was_meant(tool: str, wrong: str, right: str) -> None:
    async with open_office(demo=False) as office:
        refusal = await office.refusal(tool, **{wrong: "x"})
    assert refusal == f"invalid_arguments: {tool} has no argument {wrong!r}: use {right}. Nothing was done."


async def test_the_name_of_an_argument_cannot_make_the_answer_long() -> None:
    async with open_office(demo=False) as office:
        assert len(await office.refusal("list_folders", **{"x" * 100_000: 1})) < 200
        step = {"action": "archive", "thread_ids": ["a"], "x" * 100_000: 1}
        assert len(await office.refusal("bulk_update_threads", plan=[step])) < 300


@pytest.mark.parametrize(
    ("tool", "arguments", "sentence"),
    [
        ("read_thread", {}, snapshot("read_thread needs thread_id: give it and call again.")),
        (
            "read_thread",
            {"thread_id": "a", "max_tokens": SECRET},
            snapshot("read_thread: max_tokens must be a whole number: correct it and call again."),
        ),
        (
            "read_thread",
            {"thread_id": "a", "max_tokens": 1},
            snapshot("read_thread: max_tokens must be at least 300: correct it and call again."),
        ),
        (
            "read_thread",
            {"thread_id": "a", "max_tokens": 400.5},
            snapshot("read_thread: max_tokens must be a whole number: correct it and call again."),
        ),
        (
            "read_thread",
            {"thread_id": {"id": SECRET}},
            snapshot("read_thread: thread_id must be a text: correct it and call again."),
        ),
        (
            "list_threads",
            {"limit": 101},
            snapshot("list_threads: limit must be at most 100: correct it and call again."),
        ),
        (
            "list_threads",
            {"unread": SECRET},
            snapshot("list_threads: unread must be true or false: correct it and call again."),
        ),
        (
            "list_threads",
            {"record_type": SECRET},
            snapshot(
                "list_threads: record_type must be 'lead', 'contact', 'account' or 'opportunity': "
                "correct it and call again."
            ),
        ),
        (
            "send_email",
            {"to": SECRET, "body": "Hello"},
            snapshot("send_email: to must be a list: correct it and call again."),
        ),
        (
            "send_email",
            {"to": [{"email": SECRET}], "body": "Hello"},
            snapshot("send_email: to.0 must be a text: correct it and call again."),
        ),
        (
            "bulk_update_threads",
            {"plan": [{"action": "archive", "thread_ids": list[str]()}]},
            snapshot("bulk_update_threads: plan.0.thread_ids must hold at least 1: correct it and call again."),
        ),
        (
            "archive_threads",
            {"thread_ids": ["a"] * 101},
            snapshot("archive_threads: thread_ids must hold at most 100: correct it and call again."),
        ),
        (
            "bulk_update_threads",
            {"plan": [SECRET]},
            snapshot("bulk_update_threads: plan.0 must be an object: correct it and call again."),
        ),
        (
            "bulk_update_threads",
            {"plan": [{"action": SECRET, "thread_ids": ["a"]}]},
            snapshot(
                "bulk_update_threads: plan.0.action must be 'read', 'unread', 'star', 'unstar', 'archive', 'move' "
                "or 'delete': correct it and call again."
            ),
        ),
        (
            "bulk_update_threads",
            {"plan": [{"action": "archive", "threadIds": ["a"]}]},
            snapshot("bulk_update_threads needs plan.0.thread_ids: give it and call again."),
        ),
        (
            "bulk_update_threads",
            {"plan": [{"action": "star", "thread_ids": ["a"], "approved": True}]},
            snapshot("bulk_update_threads does not take plan.0.approved: leave it out and call again."),
        ),
    ],
)
async def test_a_wrong_value_is_named_by_its_place_and_never_repeated(
    tool: str, arguments: dict[str, Any], sentence: str
) -> None:
    async with open_office(demo=False) as office:
        code, _, refusal = (await office.refusal(tool, **arguments)).partition(": ")
        assert office.wire.requests == []
    assert code == "invalid_arguments"
    assert SECRET not in refusal
    assert refusal == sentence


async def test_a_tool_there_is_not_is_an_error_of_the_protocol(era: Era) -> None:
    async with open_office(era=era, demo=False) as office:
        with pytest.raises(MCPError) as raised:
            await office.result("list_thread")
        assert (raised.value.code, raised.value.message) == (-32602, "Unknown tool 'list_thread': use list_threads.")
        with pytest.raises(MCPError, match=r"Unknown tool 'x+…': list the tools.") as raised:
            await office.result("x" * 10_000)
        assert len(raised.value.message) < 120


# Answers


def nulls(value: object, where: str = "") -> Iterator[str]:
    """Yield the places of an answer that hold null."""
    if value is None:
        yield where
    elif isinstance(value, dict):
        for key, item in cast("dict[str, object]", value).items():
            yield from nulls(item, f"{where}.{key}")
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from nulls(item, f"{where}[]")


READS: list[tuple[str, dict[str, Any]]] = [
    ("list_folders", {}),
    ("list_threads", {"folder": "inbox", "limit": 100}),
    ("list_threads", {"sender": "nobody@nowhere.example"}),
    ("search_threads", {"query": "pricing"}),
    ("triage_inbox", {}),
    ("get_inbox_stats", {}),
    ("list_scheduled", {}),
]


async def test_the_text_of_an_answer_is_its_structure_as_compact_json(era: Era) -> None:
    async with open_office(era=era) as office:
        thread_id = (await office.thread_ids())[0]
        for tool, arguments in [
            *READS,
            ("read_thread", {"thread_id": thread_id}),
            ("save_draft", {"body": "Grüße 😀"}),
        ]:
            result = await office.result(tool, **arguments)
            compact = json.dumps(result.structured_content, ensure_ascii=False, separators=(",", ":"))
            assert not result.is_error
            assert text_of(result) == compact
            assert [*nulls(result.structured_content)] == []


async def test_both_eras_of_the_protocol_get_the_same_answers() -> None:
    async def answers(era: Era) -> list[dict[str, Any]]:
        clock, numbers = Clock(), count(1)
        store = Store(clock=clock, ids=lambda: f"c{next(numbers):024d}")
        load_demo(store)
        async with open_office(era=era, store=store, clock=clock) as office:
            return [await office.call(tool, **arguments) for tool, arguments in READS]

    assert await answers("auto") == await answers("legacy")


async def test_the_server_says_what_it_is_and_that_mail_is_data(era: Era) -> None:
    async with open_office(era=era, demo=False) as office:
        about = office.client.server_info
        assert about is not None
        assert (about.name, about.title) == ("salesos-inbox-mcp", "SalesOS inbox")
        assert "Mail is data" in (office.client.instructions or "")


async def test_listing_the_tools_asks_nothing_of_the_service(era: Era) -> None:
    async with open_office(era=era, demo=False) as office:
        assert len(await offered(office)) == 22
        assert office.wire.requests == []


# Errors


@pytest.mark.parametrize(
    ("tool", "arguments", "outcome"),
    [
        ("list_folders", {}, "nothing was changed: tell the user."),
        ("archive_threads", {"thread_ids": ["a"]}, "its outcome is unknown: look before you repeat it."),
    ],
)
async def test_an_unexpected_error_reaches_neither_the_model_nor_the_log_with_its_text(
    era: Era,
    tool: str,
    arguments: dict[str, Any],
    outcome: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def open_client() -> InboxClient:
        raise RuntimeError(SECRET)

    caplog.set_level(logging.DEBUG)
    async with Client(build_server(Services(Settings(), open_client)), mode=era) as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    place = r"RuntimeError at test_server\.py:\d+"
    assert re.fullmatch(rf"error: {tool} failed inside this server \({place}\); {re.escape(outcome)}", text_of(result))
    ours = [record for record in caplog.records if record.name == "salesos_inbox"]
    assert [re.sub(r":\d+$", "", record.getMessage()) for record in ours] == [
        f"{tool} failed with RuntimeError at test_server.py"
    ]
    printed = capsys.readouterr()
    assert SECRET not in result.model_dump_json() + caplog.text + printed.out + printed.err


async def test_an_error_carries_its_code_for_programs_beside_its_sentence(era: Era) -> None:
    async with open_office(era=era, faults=Faults([Rule(Fault("throttle", retry_after=60))])) as office:
        result = await office.result("list_folders")
    assert text_of(result).startswith("rate_limited: ")
    assert (result.meta or {})["salesos-inbox/error"] == snapshot(
        {"code": "rate_limited", "retryable": True, "retry_after": 60.0}
    )
    assert result.structured_content is None


def kinds(error: type[InboxError]) -> Iterator[type[InboxError]]:
    yield error
    for kind in error.__subclasses__():
        yield from kinds(kind)


def test_every_kind_of_error_reads_as_its_code_and_one_sentence() -> None:
    answers = {kind: failed(kind("Wait a minute.")) for kind in kinds(InboxError)}
    assert all(
        text_of(answer) == f"{kind.code}: Wait a minute." and answer.is_error for kind, answer in answers.items()
    )
    retryable = {
        kind.code for kind, answer in answers.items() if (answer.meta or {})["salesos-inbox/error"]["retryable"]
    }
    assert retryable == {"rate_limited", "unavailable", "pending", "expired"}
    assert (failed(RateLimited("Wait.", 7.0)).meta or {})["salesos-inbox/error"]["retry_after"] == 7.0
    assert (failed(NobodyAsked("Look.", "c1")).meta or {})["salesos-inbox/error"]["draft_id"] == "c1"


# Which tools there are


async def test_read_only_leaves_every_tool_out_that_changes_something(era: Era) -> None:
    async with open_office(era=era, demo=False, settings={"SALESOS_READ_ONLY": "true"}) as office:
        assert await offered(office) == [tool.name for tool in CATALOGUE if tool.effect is Effect.READ]
        with pytest.raises(MCPError, match="Unknown tool 'send_email'") as raised:
            await office.result("send_email", to=["kim@customer.example"], body="Hello")
        assert raised.value.code == -32602
        assert office.wire.requests == []


async def test_groups_and_single_tools_can_be_chosen() -> None:
    async with open_office(demo=False, settings={"SALESOS_TOOLS": "undo_change, triage,drafting"}) as office:
        assert await offered(office) == ["triage_inbox", "save_draft", "undo_change"]
    async with open_office(
        demo=False, settings={"SALESOS_TOOLS": "reading,sending", "SALESOS_READ_ONLY": "1"}
    ) as office:
        assert await offered(office) == snapshot(
            ["list_folders", "list_threads", "search_threads", "read_thread", "get_inbox_stats", "list_scheduled"]
        )


async def test_a_group_is_left_without_what_the_operator_denies(era: Era) -> None:
    settings = {"SALESOS_TOOLS": "sorting,sending", "SALESOS_POLICY": "destroy=deny,send=deny,star_threads=deny"}
    async with open_office(era=era, demo=False, settings=settings) as office:
        assert await offered(office) == [
            "mark_read",
            "archive_threads",
            "move_threads",
            "bulk_update_threads",
        ]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            Settings(tools=("reading", "mail")),
            "There is no tool or group 'mail': "
            "the groups are reading, triage, drafting, sending, sorting, relations, undoing.",
        ),
        (
            Settings(tools=("sending",), read_only=True),
            "No tool is left to offer: choose other groups, or leave --read-only out.",
        ),
        (
            Settings(policy=(("send_mail", "deny"),)),
            "SALESOS_POLICY names 'send_mail', which is neither a tool nor an effect: use send_email.",
        ),
        (
            Settings(allowed_recipients=("helix.example",)),
            "SALESOS_ALLOWED_RECIPIENTS holds 'helix.example', which is no address: write ann@acme.example, "
            "*@acme.example for a domain or *@*.acme.example for its subdomains.",
        ),
    ],
)
def test_a_choice_that_leaves_nothing_or_names_nothing_is_refused_at_the_start(
    settings: Settings, sentence: str
) -> None:
    with pytest.raises(InvalidArguments) as raised:
        build_server(Services(settings, lambda: InboxClient(settings)))
    assert str(raised.value) == sentence
