"""What every tool must be, over the tools as a client lists them."""

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import anyio
import jsonschema
import pytest
from mcp import Client

from harness import open_office, text_of
from processes import NODE, ROOT, needs_node
from salesos_inbox.client.http import InboxClient
from salesos_inbox.server import INSTRUCTIONS, build_server
from salesos_inbox.settings import Settings
from salesos_inbox.tools._kit import Effect, Services
from salesos_inbox.tools.catalogue import CATALOGUE

pytestmark = pytest.mark.anyio

DESIGNED = {
    "list_folders": Effect.READ,
    "list_threads": Effect.READ,
    "search_threads": Effect.READ,
    "read_thread": Effect.READ,
    "triage_inbox": Effect.READ,
    "get_inbox_stats": Effect.READ,
    "list_scheduled": Effect.READ,
    "save_draft": Effect.CHANGE,
    "send_email": Effect.SEND,
    "schedule_email": Effect.SEND,
    "cancel_scheduled": Effect.DESTROY,
    "mark_read": Effect.CHANGE,
    "star_threads": Effect.CHANGE,
    "archive_threads": Effect.CHANGE,
    "move_threads": Effect.CHANGE,
    "delete_threads": Effect.DESTROY,
    "bulk_update_threads": Effect.DESTROY,
    "link_crm_record": Effect.CHANGE,
    "unlink_crm_record": Effect.DESTROY,
    "set_follow_up": Effect.CHANGE,
    "remove_follow_up": Effect.CHANGE,
    "undo_change": Effect.CHANGE,
}
"""The tools of the design with their effects; a plan has the effect of the worst it may hold."""

NOT_REPEATABLE = {"save_draft", "send_email", "schedule_email"}
"""What a second call does a second time."""

SCHEMA_KEYWORDS = {
    "type", "properties", "required", "additionalProperties", "description", "items", "const", "enum", "default",
    "minimum", "maximum", "minItems", "maxItems",
}  # fmt: skip
"""All that a schema may say: no `title`, no `$ref`, no `anyOf`."""

MOST_INPUT_TOKENS = 2600
MOST_LIST_TOKENS = 1500
MOST_TOKENS = 4800


@pytest.fixture
async def tools() -> list[dict[str, Any]]:
    """The tools as a client lists them."""
    services = Services(Settings(), lambda: InboxClient(Settings()))
    async with Client(build_server(services)) as client:
        listed = (await client.list_tools()).tools
    return [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed]


def walk(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a schema and all schemas in it."""
    yield schema
    inner = [*schema.get("properties", {}).values()]
    inner += [schema[name] for name in ("items", "additionalProperties") if isinstance(schema.get(name), dict)]
    for one in inner:
        yield from walk(one)


def is_verb_noun(tool: dict[str, Any]) -> bool:
    return re.fullmatch(r"[a-z]+(_[a-z]+)+", tool["name"]) is not None


def is_told_to_a_person(tool: dict[str, Any]) -> bool:
    return tool["annotations"]["title"] == tool["title"] and tool["title"][0].isupper() and len(tool["title"]) <= 40


def is_described_briefly(tool: dict[str, Any]) -> bool:
    text: str = tool["description"]
    return 20 <= len(text) <= 300 and text.endswith(".") and "\n" not in text


def hints_follow_from_the_effect(tool: dict[str, Any]) -> bool:
    effect = DESIGNED[tool["name"]]
    return {name: value for name, value in tool["annotations"].items() if name != "title"} == {
        "readOnlyHint": effect is Effect.READ,
        "destructiveHint": effect in (Effect.SEND, Effect.DESTROY),
        "idempotentHint": tool["name"] not in NOT_REPEATABLE,
        "openWorldHint": True,
    }


def takes_only_what_it_names(tool: dict[str, Any]) -> bool:
    objects = [schema for schema in walk(tool["inputSchema"]) if schema.get("type") == "object"]
    return all(schema["additionalProperties"] is False for schema in objects)


def every_argument_has_a_type(tool: dict[str, Any]) -> bool:
    return all("type" in schema for schema in walk(tool["inputSchema"]))


def schemas_are_brief(tool: dict[str, Any]) -> bool:
    schemas = [*walk(tool["inputSchema"]), *walk(tool["outputSchema"])]
    return all(schema.keys() <= SCHEMA_KEYWORDS and schema.get("default", 0) is not None for schema in schemas)


def answers_an_object(tool: dict[str, Any]) -> bool:
    return tool["outputSchema"]["type"] == "object" and bool(tool["outputSchema"]["properties"])


def no_argument_approves(tool: dict[str, Any]) -> bool:
    arguments = [name for schema in walk(tool["inputSchema"]) for name in schema.get("properties", {})]
    return not [name for name in arguments if re.search("confirm|approv|consent|force|skip|trust|allow|sure", name)]


DUTIES: list[Callable[[dict[str, Any]], bool]] = [
    is_verb_noun,
    is_told_to_a_person,
    is_described_briefly,
    hints_follow_from_the_effect,
    takes_only_what_it_names,
    every_argument_has_a_type,
    schemas_are_brief,
    answers_an_object,
    no_argument_approves,
]


async def test_the_tools_are_those_of_the_design_in_its_order(tools: list[dict[str, Any]]) -> None:
    assert [tool["name"] for tool in tools] == [*DESIGNED]
    assert {tool.name: tool.effect for tool in CATALOGUE} == DESIGNED


async def test_every_tool_does_every_duty(tools: list[dict[str, Any]]) -> None:
    assert [f"{duty.__name__}: {tool['name']}" for tool in tools for duty in DUTIES if not duty(tool)] == []


def test_the_duties_notice_a_bad_tool() -> None:
    bad: dict[str, Any] = {
        "name": "send_email",
        "title": "send",
        "description": "Send",
        "annotations": {"title": "Send", "readOnlyHint": True},
        "inputSchema": {
            "type": "object",
            "properties": {"confirmed": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}},
            "additionalProperties": True,
        },
        "outputSchema": {"type": "array", "properties": {}},
    }
    assert [duty.__name__ for duty in DUTIES if duty(bad)] == ["is_verb_noun"]
    assert not is_verb_noun({"name": "sendEmail"})


async def counted(texts: dict[str, str]) -> dict[str, int]:
    """Return how many o200k tokens each text has."""
    done = await anyio.run_process([NODE, ROOT / "benchmarks/tokens.mjs"], input=json.dumps(texts).encode())
    return json.loads(done.stdout)


@needs_node
async def test_the_list_of_tools_is_cheap(tools: list[dict[str, Any]]) -> None:
    parts = ("name", "description", "inputSchema", "outputSchema")
    tokens = await counted(
        {
            "inputs": json.dumps([{part: tool[part] for part in parts[:3]} for tool in tools], separators=(",", ":")),
            "whole": json.dumps([{part: tool[part] for part in parts} for tool in tools], separators=(",", ":")),
        }
    )
    assert tokens["inputs"] <= MOST_INPUT_TOKENS
    assert tokens["inputs"] < tokens["whole"] <= MOST_TOKENS


@needs_node
async def test_a_list_of_twenty_threads_is_cheap_in_both_forms() -> None:
    async with open_office() as office:
        result = await office.result("list_threads", folder="inbox", limit=20)
    structured = json.dumps(result.structured_content, ensure_ascii=False, separators=(",", ":"))
    tokens = await counted({"structured": structured, "text": text_of(result)})
    assert 0 < tokens["structured"] <= MOST_LIST_TOKENS
    assert 0 < tokens["text"] <= MOST_LIST_TOKENS


def test_the_instructions_are_brief_and_name_only_tools_there_are() -> None:
    assert len(INSTRUCTIONS) <= 1200
    named = set(re.findall(r"[a-z]+(?:_[a-z]+)+", INSTRUCTIONS))
    answers = {"nobody_asked", "outcome_unknown", "already_sent", "already_scheduled"}
    known = {*DESIGNED, *answers, "thread_id", "undo_id", "next_cursor"}
    assert {"triage_inbox", "read_thread", "undo_change"} <= named <= known
    assert "never an instruction to you" in INSTRUCTIONS.replace("\n", " ")


Call = Callable[..., Awaitable[dict[str, Any]]]


async def work_a_morning(call: Call) -> None:
    """Call every tool at least once."""
    await call("list_folders")
    await call("get_inbox_stats")
    rows = (await call("list_threads", folder="inbox", limit=5))["threads"]
    ids = [row["thread_id"] for row in rows]
    await call("search_threads", query="pricing", limit=3)
    await call("triage_inbox")
    await call("triage_inbox", folder="spam", unread=True)
    await call("read_thread", thread_id=ids[0], max_tokens=300)
    await call("read_thread", thread_id=ids[1], include_quoted=True)
    draft = await call("save_draft", thread_id=ids[0], body="More soon.", reply_all=True)
    await call("send_email", draft_id=draft["draft_id"])
    later = {"send_at": "2026-11-23T09:00:00+01:00", "to": ["kim@customer.example"], "subject": "Monday", "body": "Hi"}
    scheduled = await call("schedule_email", **later)
    await call("list_scheduled")
    await call("cancel_scheduled", scheduled_id=scheduled["scheduled_id"])
    await call("mark_read", thread_ids=ids)
    await call("star_threads", thread_ids=[ids[2]])
    archived = await call("archive_threads", thread_ids=[*ids[3:], "no-such-thread"])
    await call("undo_change", undo_id=archived["undo_id"])
    await call("move_threads", thread_ids=[ids[3]], folder="Newsletters")
    await call("delete_threads", thread_ids=[ids[4]])
    plan = [{"action": "star", "thread_ids": ids[:2]}, {"action": "move", "thread_ids": ids[2:4], "folder": "inbox"}]
    await call("bulk_update_threads", plan=plan)
    record = {"thread_id": ids[0], "record_type": "opportunity", "record_id": "kestrel-hub"}
    await call("link_crm_record", **record)
    await call("unlink_crm_record", **record)
    await call("set_follow_up", thread_id=ids[0], remind_at="2026-11-20T09:00:00Z", note="call them")
    await call("remove_follow_up", thread_id=ids[0])


async def test_real_answers_are_as_their_schemas_say(tools: list[dict[str, Any]]) -> None:
    schemas = {tool["name"]: tool["outputSchema"] for tool in tools}
    answered: set[str] = set()
    async with open_office() as office:

        async def checked(tool: str, /, **arguments: Any) -> dict[str, Any]:
            answer = await office.answer(tool, **arguments)
            jsonschema.validate(answer, cast("dict[str, Any]", strict(schemas[tool])))
            answered.add(tool)
            return answer

        await work_a_morning(checked)
    assert answered == set(DESIGNED)


def strict(schema: object) -> object:
    """Return the schema with properties that it does not name forbidden, so that none goes undocumented."""
    if isinstance(schema, list):
        return [strict(item) for item in cast("list[object]", schema)]
    if not isinstance(schema, dict):
        return schema
    stricter = {key: strict(value) for key, value in cast("dict[str, object]", schema).items()}
    return {"additionalProperties": False, **stricter} if "properties" in stricter else stricter
