"""Whatever fails: nothing is sent twice, nothing without consent, nothing is lost, and no call outlives its deadline.

The long run of the same is `benchmarks/consent.py`.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult, InputRequiredResult, Result

from harness import Person, open_office, text_of
from processes import SECONDS, free_port, running
from salesos_inbox.approval import ladder
from salesos_inbox.approval.ladder import QUICKEST_PERSON
from salesos_inbox.approval.ledger import Ledger, Outcome, State
from salesos_inbox.contract import models
from trials import Finding, Trial, run_trial

KILLS = Path(__file__).with_name("kills.py")
TRIALS = 150
AT_ONCE = 15
REPLAYS = 1000
ABREAST = 25
MAIL: dict[str, Any] = {"to": ["kim@customer.example"], "subject": "Prices", "body": "Forty seats."}
APPROVE = ElicitResult(action="accept", content={"decision": "approve"})


# Whatever fails


@pytest.mark.parametrize("first", range(0, TRIALS, AT_ONCE))
def test_in_no_trial_a_promise_is_broken(first: int) -> None:
    outcomes = [run_trial(seed) for seed in range(first, first + AT_ONCE)]
    assert [(outcome.seed, outcome.found, outcome.trace) for outcome in outcomes if outcome.found] == []
    injected = sum((outcome.injected for outcome in outcomes), Counter[str]())
    assert injected["messages sent"] > 0
    assert sum(number for what, number in injected.items() if what.startswith("fault ")) > 0


def test_the_same_seed_is_the_same_trial() -> None:
    assert run_trial(9).trace == run_trial(9).trace


def test_a_server_killed_at_any_step_leaves_a_message_sent_once_or_waiting() -> None:
    found = killed(reads=False)
    assert found["found"] == []
    assert found["kills"] == found["restarts"] == sum(found["steps"].values()) > 40
    assert found["outcomes"].keys() == {"1 sent, ok", "0 sent, declined"}


def killed(**options: Any) -> dict[str, Any]:
    """Run the program that kills servers, and return its report."""
    done = subprocess.run(
        [sys.executable, str(KILLS), json.dumps(options)], capture_output=True, text=True, timeout=4 * SECONDS
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


# The judge sees what is broken


class NeverUsedUp(Ledger):
    """A ledger that lets everybody have an approval, again and again."""

    def claim(self, operation_id: str, now: float, *, most_per_hour: int | None = None) -> bool:
        return True


class Forgetful(Ledger):
    """A ledger that takes whatever was sent for not sent."""

    def finish(
        self, operation_id: str, outcome: Outcome, now: float, *, receipt: Mapping[str, Any] | None = None, what: str
    ) -> None:
        super().finish(operation_id, State.FAILED, now, receipt=receipt, what=what)


def with_ledger(kind: type[Ledger], trial: Trial) -> None:
    trial.open_ledger = partial(kind, key=b"k" * 32)


def patient(trial: Trial) -> None:
    trial.on_start = lambda services: setattr(services.consent.ladder, "seconds", 1000.0)


def without_drafts(trial: Trial) -> None:
    for row in trial.store.list_threads(trial.user_id, models.ListThreads(folder="drafts")).items:
        for _ in range(2):
            trial.store.delete(trial.user_id, row.id)  # into the trash, and out of it


def sees(finding: Finding, prepare: Callable[[Trial], None] = lambda trial: None) -> bool:
    """Whether `finding` is found in one of the trials of a broken product."""
    return any(finding in dict(run_trial(seed, prepare).found) for seed in range(TRIALS))


@pytest.mark.parametrize("kind", [NeverUsedUp, Forgetful])
def test_the_judge_sees_a_message_that_is_sent_twice(kind: type[Ledger]) -> None:
    assert sees("sent twice", partial(with_ledger, kind))


def test_the_judge_sees_a_message_that_nobody_approved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "QUICKEST_PERSON", 0.0)
    assert sees("sent without consent")


def test_the_judge_sees_a_call_past_its_deadline() -> None:
    assert sees("past its deadline", patient)


def test_the_judge_sees_a_draft_that_is_lost() -> None:
    assert sees("draft lost", without_drafts)


# One approval, replayed


def statuses(results: Iterable[Result]) -> Counter[str]:
    """Count what calls came to: the status of a receipt, or the code of an error."""
    return Counter(
        "asked"
        if isinstance(result, InputRequiredResult)
        else text_of(result).partition(":")[0]
        if result.is_error
        else cast("dict[str, Any]", result.structured_content)["status"]
        for result in cast("Iterable[CallToolResult | InputRequiredResult]", results)
    )


async def all_of(call: Callable[[], Awaitable[Result]]) -> Counter[str]:
    """Make a call a thousand times, half of them next to each other and half in a row, and count what came of it."""
    results: list[Result] = []
    limiter = anyio.CapacityLimiter(ABREAST)

    async def one() -> None:
        async with limiter:
            results.append(await call())

    async with anyio.create_task_group() as group:
        for _ in range(REPLAYS // 2):
            group.start_soon(one)
    for _ in range(REPLAYS // 2):
        await one()
    return statuses(results)


async def approved(client: Client, thinking: Callable[[], Awaitable[None]]) -> dict[str, Any]:
    """Make a call that asks, and return the answer that approves it, as the client sends it."""
    question = await client.session.call_tool("send_email", MAIL, allow_input_required=True)
    assert isinstance(question, InputRequiredResult)
    await thinking()
    return {"input_responses": {"approval": APPROVE}, "request_state": question.request_state}


@pytest.mark.anyio
async def test_an_approval_replayed_a_thousand_times_sends_once() -> None:
    async with open_office(demo=False) as office:

        async def thinking() -> None:
            office.clock.advance(seconds=4)

        answer = await approved(office.client, thinking)
        session = office.client.session
        counted = await all_of(lambda: session.call_tool("send_email", MAIL, allow_input_required=True, **answer))
        assert counted == {"sent": 1, "already_sent": REPLAYS - 1}
        assert [path for _, path, _ in office.wire.writes()] == ["/send"]


async def never_asked(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    """Stand for a client that shows questions; here they are answered by hand."""
    raise AssertionError


@pytest.mark.anyio
async def test_an_approval_replayed_a_thousand_times_over_http_sends_once() -> None:
    port = free_port()
    with running("serve", "--demo", "--http", port=port):
        async with Client(f"http://127.0.0.1:{port}/mcp", elicitation_callback=never_asked) as client:
            answer = await approved(client, lambda: anyio.sleep(QUICKEST_PERSON + 0.1))  # by the server's own clock
            session = client.session
            counted = await all_of(lambda: session.call_tool("send_email", MAIL, allow_input_required=True, **answer))
            copies = await copies_in_sent(client)
    assert counted["sent"] == 1
    assert counted.keys() <= {"sent", "already_sent", "conflict"}  # some come while it is being sent
    assert copies == 1


async def copies_in_sent(client: Client) -> int:
    """Return how many messages with that text the user has sent, by what the server shows of their mailbox."""
    found = await client.call_tool("search_threads", {"query": MAIL["body"], "folder": "sent"})
    threads = cast("dict[str, Any]", found.structured_content)["threads"]
    read = [await client.call_tool("read_thread", {"thread_id": row["thread_id"]}) for row in threads]
    return sum(text_of(thread).count(MAIL["body"]) for thread in read)


@pytest.mark.anyio
async def test_a_call_approved_in_the_older_era_and_made_a_thousand_times_sends_once() -> None:
    person = Person()
    async with open_office(era="legacy", person=person, demo=False) as office:
        counted = await all_of(lambda: office.result("send_email", **MAIL))
        assert counted == {"sent": 1, "already_sent": REPLAYS - 1}
        assert len(person.cards) == 1
        assert [path for _, path, _ in office.wire.writes()] == ["/send"]
