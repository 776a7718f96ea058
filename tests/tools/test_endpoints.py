"""All tools over all endpoints: each is reached, and each tool says so when the service is not."""

from typing import Any

import httpx
import pytest
from mcp.shared.exceptions import MCPError

from harness import Era, Office, Person, open_office
from salesos_inbox.approval.ledger import Step
from salesos_inbox.approval.policy import Effect
from salesos_inbox.client.http import InboxClient
from salesos_inbox.contract.routes import ROUTES
from salesos_inbox.tools.catalogue import CATALOGUE

pytestmark = pytest.mark.anyio

RECORD = {"record_type": "opportunity", "record_id": "kestrel-hub"}
MESSAGE: dict[str, Any] = {"to": ["dana@helix.example"], "subject": "Offer", "body": "Here it is."}


def calls(ids: list[str], scheduled_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Return a call of every tool, in an order in which each has something to do, but for `undo_change`."""
    one, two = {"thread_ids": ids[:1]}, {"thread_ids": ids[1:3]}
    thread = {"thread_id": ids[0]}
    return [
        ("list_folders", {}),
        ("list_threads", {}),
        ("search_threads", {"query": "offer"}),
        ("read_thread", thread),
        ("triage_inbox", {}),
        ("get_inbox_stats", {}),
        ("list_scheduled", {}),
        ("save_draft", MESSAGE),
        ("send_email", MESSAGE),
        ("schedule_email", {**MESSAGE, "send_at": "2026-11-23T09:00"}),
        ("cancel_scheduled", {"scheduled_id": scheduled_id}),
        ("mark_read", one),
        ("mark_read", two),
        ("star_threads", one),
        ("star_threads", two),
        ("archive_threads", one),
        ("archive_threads", two),
        ("move_threads", {**one, "folder": "inbox"}),
        ("delete_threads", one),
        ("bulk_update_threads", {"plan": [{"action": "unread", **one}]}),
        ("link_crm_record", {**thread, **RECORD}),
        ("unlink_crm_record", {**thread, **RECORD}),
        ("set_follow_up", {**thread, "remind_at": "2026-11-23T09:00"}),
        ("remove_follow_up", thread),
    ]


async def prepared(office: Office) -> list[tuple[str, dict[str, Any]]]:
    """Return the calls for the demo mailbox."""
    rows = (await office.call("list_threads", unread=True, starred=False, folder="inbox"))["threads"]
    scheduled = (await office.call("list_scheduled"))["scheduled"]
    return calls([row["thread_id"] for row in rows], scheduled[0]["scheduled_id"])


def template(method: str, path: str) -> tuple[str, str]:
    """Return a request as the contract writes its route."""
    known = [route.path.removeprefix("/email-inbox") for route in ROUTES if route.method == method and route.number]

    def matches(pattern: str) -> bool:
        parts, wanted = path.split("/"), pattern.split("/")
        return len(parts) == len(wanted) and all(
            want.startswith("{") or want == part for part, want in zip(parts, wanted, strict=True)
        )

    # A fixed path before one with parameters: `/threads/read` is no thread.
    return method, min(filter(matches, known), key=lambda pattern: pattern.count("{"))


async def test_every_endpoint_is_reached_by_some_tool() -> None:
    async with open_office() as office:
        answers = [await office.call(tool, **arguments) for tool, arguments in await prepared(office)]
        await office.call("undo_change", undo_id=answers[-1]["undo_id"])
        reached = {template(method, path) for method, path, _ in office.wire.requests if not path.startswith("/auth/")}
        assert reached == {(route.method, route.path.removeprefix("/email-inbox")) for route in ROUTES if route.number}


async def test_every_tool_says_that_the_service_is_down_and_that_nothing_changed() -> None:
    class Down(httpx.AsyncBaseTransport):
        """A service that hangs up."""

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ReadError("hung up", request=request)

    async with open_office() as office:
        undo_id = (await office.call("archive_threads", thread_ids=(await office.thread_ids())[:1]))["undo_id"]
        plan = [*(await prepared(office)), ("undo_change", {"undo_id": undo_id})]
        assert {tool for tool, _ in plan} == {tool.name for tool in CATALOGUE}
        office.services._me = None  # pyright: ignore[reportPrivateUsage]
        office.services._client = InboxClient(  # pyright: ignore[reportPrivateUsage]
            office.services.settings, transport=Down(), clock=lambda: office.clock().timestamp()
        )
        for tool, arguments in plan:
            refusal = await office.refusal(tool, **arguments)
            assert refusal.startswith("unavailable: SalesOS could not be reached to "), tool
            assert "nothing was changed" in refusal
        assert office.person.cards == []


CHANGES = [tool.name for tool in CATALOGUE if tool.effect is Effect.CHANGE]


async def change_of(office: Office, tool: str) -> dict[str, Any]:
    """Return the arguments of a call of `tool` that has something to change."""
    if tool == "undo_change":
        services = office.services
        [thread_id] = await office.thread_ids("trash")
        step = Step("move", (thread_id,), folder="inbox")
        return {"undo_id": services.ledger.keep_undo(await services.user(), [step], services.seconds(), tool="x")}
    if tool == "remove_follow_up":
        return {"thread_id": await office.find("Leipzig pilot results")}
    return next(arguments for name, arguments in await prepared(office) if name == tool) | (
        {"folder": "Contracts"} if tool == "move_threads" else {}
    )


@pytest.mark.parametrize("policy", ["change=ask", "{}=ask"])
@pytest.mark.parametrize("tool", CHANGES)
async def test_a_change_asks_once_where_the_operator_wants_it_and_a_no_changes_nothing(
    tool: str, policy: str, era: Era
) -> None:
    person = Person("decline")
    async with open_office(era=era, person=person, settings={"SALESOS_POLICY": policy.format(tool)}) as office:
        arguments = await change_of(office, tool)
        assert (await office.refusal(tool, **arguments)).startswith("declined: ")
        assert (len(person.cards), office.wire.writes()) == (1, [])
        person.answer = "approve"
        await office.call(tool, **arguments)
        assert len(person.cards) == 2
        assert len(office.wire.writes()) == 1


@pytest.mark.parametrize("tool", [tool.name for tool in CATALOGUE])
async def test_a_denied_tool_is_not_there(tool: str) -> None:
    async with open_office(demo=False, settings={"SALESOS_POLICY": f"{tool}=deny"}) as office:
        listed = [found.name for found in (await office.client.list_tools()).tools]
        denied = {tool, "schedule_email"} if tool == "send_email" else {tool}
        assert listed == [found.name for found in CATALOGUE if found.name not in denied]
        with pytest.raises(MCPError, match="Unknown tool") as raised:
            await office.result(tool)
        assert raised.value.code == -32602
        assert office.wire.requests == []
