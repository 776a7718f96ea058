"""Plans over thousands of threads: what they cost, what they answer, and how they go on after a break."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from inline_snapshot import snapshot

from harness import NOW, Clock, Era, Office, Person, mailbox_of, open_office
from processes import SECONDS
from salesos_inbox.approval.ledger import State
from salesos_inbox.client.http import InboxClient
from salesos_inbox.contract import models
from salesos_inbox.sandbox.messages import StoredMessage
from salesos_inbox.sandbox.store import Store
from salesos_inbox.tools._changes import look
from salesos_inbox.tools._kit import Desk

pytestmark = pytest.mark.anyio

KILLS = Path(__file__).parents[1] / "kills.py"
USER = "maya@northwind.example"
Interpose = Callable[[Office, Callable[[str, str, httpx.Response], httpx.Response | None]], None]


def a_mailbox(threads: int) -> tuple[Store, list[str]]:
    """Return a mailbox with so many threads in the inbox, and their ids, the newest first."""
    return mailbox_of(USER, threads)


def archive(ids: list[str]) -> dict[str, Any]:
    """Return the arguments of a plan that archives threads."""
    return {"plan": [{"action": "archive", "thread_ids": ids}]}


def archived(office: Office, ids: list[str]) -> list[str]:
    """Return those of the threads that are in the archive."""
    return [thread_id for thread_id in ids if office.store.thread(office.user_id, thread_id).folder == "archive"]


def counts(answer: dict[str, Any]) -> dict[tuple[str, str], int]:
    """Return how many threads had each outcome of each action."""
    return {(row["action"], row["outcome"]): row.get("count", len(row["thread_ids"])) for row in answer["results"]}


def requests(office: Office) -> dict[str, int]:
    """Return how many pages were listed, threads read and batches sent so far."""
    lists = [path for method, path, _ in office.wire.requests if (method, path) == ("GET", "/threads")]
    reads = [path for method, path, _ in office.wire.requests if method == "GET" and path.startswith("/threads/")]
    return {"lists": len(lists), "reads": len(reads), "writes": len(office.wire.writes())}


# What it costs


async def test_each_thread_is_looked_at_twice_and_changed_once_in_pages_of_a_hundred(era: Era) -> None:
    store, ids = a_mailbox(600)
    async with open_office(store=store, user=USER, era=era) as office:
        await office.call("bulk_update_threads", **archive(ids))
        assert requests(office) == {"lists": 12, "reads": 0, "writes": 6}
        assert len(office.person.cards) == 1


async def test_only_what_is_to_be_changed_is_looked_at_again(era: Era) -> None:
    store, ids = a_mailbox(600)
    async with open_office(store=store, user=USER, era=era) as office:
        for thread_id in ids[100:]:
            store.move(office.user_id, thread_id, "archive")
        await office.call("bulk_update_threads", **archive(ids))
        assert requests(office) == {"lists": 1 + 6 + 1, "reads": 0, "writes": 1}


async def looked_up(office: Office, ids: list[str]) -> dict[str, int]:
    """Return what it takes to find all of the threads."""
    office.wire.requests.clear()
    desk = Desk(office.services, None)  # pyright: ignore[reportArgumentType] -- nobody is told of it
    assert (await look(desk, ids)).keys() == set(ids)
    return requests(office)


async def test_where_lists_would_cost_more_than_they_save_threads_are_read_one_by_one() -> None:
    store, ids = a_mailbox(2_000)
    async with open_office(store=store, user=USER) as office:
        assert await looked_up(office, ids[:10]) == {"lists": 0, "reads": 10, "writes": 0}
        assert await looked_up(office, ids[:300]) == {"lists": 3, "reads": 0, "writes": 0}
        assert await looked_up(office, ids[1_700:]) == {"lists": 20, "reads": 0, "writes": 0}
        assert await looked_up(office, ids[1_980:]) == {"lists": 8, "reads": 20, "writes": 0}
        assert await looked_up(office, ids[::100]) == {"lists": 20, "reads": 0, "writes": 0}


@pytest.mark.parametrize("folder", ["trash", "spam", "archive", "Contracts"])
async def test_threads_are_found_wherever_they_are(folder: str) -> None:
    store, ids = a_mailbox(400)
    async with open_office(store=store, user=USER) as office:
        for thread_id in ids[:200]:
            store.move(office.user_id, thread_id, folder)
        found = await looked_up(office, ids)
        assert found["reads"] == 0
        assert found["lists"] <= 2 + 4 + 2 + 2


@pytest.mark.parametrize("envelope", ["array", "cursor", "items", "data"])
async def test_pages_shorter_than_asked_for_do_not_end_the_list(envelope: str) -> None:
    store, ids = a_mailbox(300)

    class Stingy(httpx.AsyncBaseTransport):
        """A service that gives no more than forty threads a page, and does not tell how many there are."""

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            url = request.url
            if url.path.endswith("/threads"):
                url = url.copy_set_param("limit", 40)
            response = await office.wire.handle_async_request(
                httpx.Request(request.method, url, headers=request.headers)
            )
            await response.aread()
            response.headers.pop("x-total-count", None)
            return response

    async with open_office(store=store, user=USER, envelope=envelope) as office:
        settings = office.services.settings
        office.services.open_client = lambda: InboxClient(settings, transport=Stingy())
        assert (await looked_up(office, ids))["reads"] <= 10


@pytest.mark.parametrize("folder", ["inbox", "Contracts", "spam"])
async def test_a_thread_that_is_too_large_to_be_read_is_changed_all_the_same(folder: str) -> None:
    store, ids = a_mailbox(150)
    async with open_office(store=store, user=USER) as office:
        large = StoredMessage("kim@helix.example", NOW - timedelta(days=9), to=(USER,), body_html="<p>x</p>" * 800_000)
        thread_id = store.file_message(office.user_id, large).thread_id
        store.move(office.user_id, thread_id, folder)
        assert (await office.refusal("read_thread", thread_id=thread_id)).startswith("contract_broken: ")
        answer = await office.call("archive_threads", thread_ids=[*ids[:3], thread_id])
        assert answer["results"] == [{"outcome": "done", "thread_ids": [*ids[:3], thread_id]}]


async def test_after_an_unclear_answer_only_that_batch_is_looked_at(interpose: Interpose) -> None:
    store, ids = a_mailbox(500)
    async with open_office(store=store, user=USER) as office:
        asked = 0

        def unclear(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
            nonlocal asked
            asked += path == "/threads/bulk"
            return httpx.Response(200, json={"count": 100}) if path == "/threads/bulk" and asked == 3 else None

        interpose(office, unclear)
        answer = await office.call("bulk_update_threads", **archive(ids))
        assert counts(answer) == {("archive", "done"): 500}
        spent = requests(office)
        assert spent["writes"] == 5
        assert spent["lists"] - 10 + spent["reads"] <= 10


# What it answers


async def test_a_large_plan_is_answered_by_counts_and_only_what_went_wrong_by_ids() -> None:
    store, ids = a_mailbox(400)
    async with open_office(store=store, user=USER) as office:
        for thread_id in ids[:30]:
            store.move(office.user_id, thread_id, "archive")
        strangers = [f"no-such-thread-{number}" for number in range(120)]
        result = await office.result("bulk_update_threads", **archive([*ids, *strangers]))
        answer: dict[str, Any] = result.structured_content or {}
        answer.pop("undo_id")
        assert answer == {
            "results": [
                {"action": "archive", "outcome": "not_found", "thread_ids": strangers[:100], "count": 120},
                {"action": "archive", "outcome": "unchanged", "thread_ids": [], "count": 30},
                {"action": "archive", "outcome": "done", "thread_ids": [], "count": 370},
            ]
        }


async def test_what_fared_alike_in_several_batches_is_told_once(interpose: Interpose) -> None:
    store, ids = a_mailbox(300)
    async with open_office(store=store, user=USER) as office:

        def refusing(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
            if path != "/threads/bulk":
                return None
            done: list[str] = response.json()["success"]
            return httpx.Response(200, json={"success": done[1:], "failed": [{"id": done[0], "error": "locked"}]})

        interpose(office, refusing)
        answer = await office.call("bulk_update_threads", **archive(ids))
        assert answer["results"] == [
            {
                "action": "archive",
                "outcome": "failed",
                "thread_ids": [ids[0], ids[100], ids[200]],
                "reason": "SalesOS refused to change it: read the thread before you retry.",
            },
            {"action": "archive", "outcome": "done", "thread_ids": [], "count": 297},
        ]


async def test_a_person_is_shown_a_card_that_sums_up() -> None:
    store, ids = a_mailbox(3_000)
    async with open_office(store=store, user=USER, person=Person(answer="decline")) as office:
        await office.refusal("bulk_update_threads", **archive(ids))
        (card,) = office.person.cards
        assert len(card) < 2_500
        assert card.startswith("Change 3,000 threads in your mailbox?\nArchive (3,000 threads):\n")
        assert card.endswith("\n(2,970 more, not listed here)")


async def test_a_client_is_told_what_happens_and_how_long_it_takes(era: Era) -> None:
    store, ids = a_mailbox(300)
    told: list[tuple[float, float | None, str | None]] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    async with open_office(store=store, user=USER, era=era) as office:
        office.services.settings = replace(office.services.settings, requests_per_minute=4)
        result = await office.client.call_tool("bulk_update_threads", archive(ids), progress_callback=progress)
        assert not result.is_error
    assert [message for _, _, message in told if message and "threads" in message] == snapshot(
        [
            "100 of 300 threads looked at, about 30 seconds to go",
            "200 of 300 threads looked at, about 20 seconds to go",
            "300 of 300 threads looked at",
            "100 of 300 threads looked at again, about 30 seconds to go",
            "200 of 300 threads looked at again, about 20 seconds to go",
            "300 of 300 threads looked at again",
            "100 of 300 threads changed, about 30 seconds to go",
            "200 of 300 threads changed, about 20 seconds to go",
            "300 of 300 threads changed",
        ]
    )
    assert all(one[0] < other[0] for one, other in pairwise(told))
    assert {total for _, total, _ in told} == {900}


# How it goes on


class Hooked(httpx.AsyncBaseTransport):
    """A wire on which something happens while a batch is on its way."""

    def __init__(self, office: Office, at: int, happens: Callable[[], None]) -> None:
        self._wire, self._at, self._happens, self._batches = office.wire, at, happens, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` on."""
        response = await self._wire.handle_async_request(request)
        if request.url.path.endswith("/threads/bulk"):
            self._batches += 1
            if self._batches == self._at:
                self._happens()
                await anyio.sleep(0.1)
        return response


async def test_a_plan_that_is_cancelled_goes_on_with_the_rest_when_it_is_given_again(era: Era) -> None:
    store, ids = a_mailbox(500)
    async with open_office(store=store, user=USER, era=era) as office:
        settings = office.services.settings
        with anyio.CancelScope() as call:
            office.services.open_client = lambda: InboxClient(settings, transport=Hooked(office, 2, call.cancel))
            await office.call("bulk_update_threads", **archive(ids))
        assert call.cancelled_caught
        assert archived(office, ids) == ids[:200]

        log = {entry.what: entry.about for entry in await _settled(office)}
        assert log["changed"]["threads"] == 200
        assert log["broken off"]["note"] == "200 of 500 threads were changed"

        second = await office.call("bulk_update_threads", **archive(ids))
        assert counts(second) == {("archive", "unchanged"): 200, ("archive", "done"): 300}
        assert archived(office, ids) == ids
        assert [card.partition("\n")[0] for card in office.person.cards] == [
            "Change 500 threads in your mailbox?",
            "Change 300 threads in your mailbox?",
        ]
        assert "Subject 199" not in office.person.cards[1]
        assert "Subject 200" in office.person.cards[1]

        undone = await office.call("undo_change", undo_id=second["undo_id"])
        assert counts(undone) == {("move to inbox", "done"): 500}, "nobody was told the undo_id of the first part"
        assert archived(office, ids) == []
        undone = await office.call("undo_change", undo_id=log["changed"]["undo_id"])
        assert counts(undone) == {("move to inbox", "unchanged"): 200}, "the log tells it, and it does no harm"


async def test_the_undo_of_a_plan_that_was_cancelled_is_told_once_by_the_same_plan(era: Era) -> None:
    store, ids = a_mailbox(150)
    async with open_office(store=store, user=USER, era=era) as office:
        settings = office.services.settings
        with anyio.CancelScope() as call:
            office.services.open_client = lambda: InboxClient(settings, transport=Hooked(office, 2, call.cancel))
            await office.call("bulk_update_threads", **archive(ids))
        await _settled(office, "done")
        assert archived(office, ids) == ids, "all was done, and only the answer was lost"
        again = await office.call("bulk_update_threads", **archive(ids))
        assert counts(again) == {("archive", "unchanged"): 150}
        assert "undo_id" not in await office.call("bulk_update_threads", **archive(ids)), "it was told before"
        await office.call("undo_change", undo_id=again["undo_id"])
        assert archived(office, ids) == []


async def test_another_plan_does_not_take_back_what_a_cancelled_one_did(era: Era) -> None:
    store, ids = a_mailbox(200)
    async with open_office(store=store, user=USER, era=era) as office:
        settings = office.services.settings
        with anyio.CancelScope() as call:
            office.services.open_client = lambda: InboxClient(settings, transport=Hooked(office, 1, call.cancel))
            await office.call("bulk_update_threads", **archive(ids))
        await _settled(office)
        other = await office.call("bulk_update_threads", **archive(ids[90:120]))
        assert counts(other) == {("archive", "unchanged"): 10, ("archive", "done"): 20}
        await office.call("undo_change", undo_id=other["undo_id"])
        assert archived(office, ids) == ids[:100]


async def test_the_log_names_the_undo_of_a_plan_before_its_first_request_and_what_was_done_at_the_end(
    interpose: Interpose,
) -> None:
    store, ids = a_mailbox(250)
    async with open_office(store=store, user=USER) as office:
        so_far: list[tuple[str, dict[str, Any]]] = []

        def logged() -> list[tuple[str, dict[str, Any]]]:
            entries = office.services.ledger.entries()
            return [(entry.what, entry.about) for entry in entries if "undo_id" in entry.about]

        wire = office.wire.handle_async_request

        async def refusing_the_third(request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/threads/bulk"):
                so_far.extend(() if so_far else logged())
                if len(office.wire.writes()) == 2:
                    return httpx.Response(403)
            return await wire(request)

        office.wire.handle_async_request = refusing_the_third
        undo_id = (await office.call("bulk_update_threads", **archive(ids)))["undo_id"]
        changing = ("changing", {"threads": 250, "action": "archive", "undo_id": undo_id})
        assert so_far == [changing]
        assert logged() == [changing, ("changed", {"threads": 200, "action": "archive", "undo_id": undo_id})]
        steps = office.services.ledger.read_undo(await office.services.user(), undo_id, NOW.timestamp())
        assert [len(step.thread_ids) for step in steps] == [200], "no more than what was done"


async def test_a_plan_of_which_nothing_was_done_leaves_no_undo() -> None:
    store, ids = a_mailbox(150)
    async with open_office(store=store, user=USER) as office:
        wire = office.wire.handle_async_request

        async def refusing(request: httpx.Request) -> httpx.Response:
            return httpx.Response(403) if request.url.path.endswith("/threads/bulk") else await wire(request)

        office.wire.handle_async_request = refusing
        assert (await office.refusal("bulk_update_threads", **archive(ids))).startswith("refused: ")
        entries = [entry for entry in office.services.ledger.entries() if "undo_id" in entry.about]
        assert [entry.what for entry in entries] == ["changing", "not changed"]
        refusal = await office.refusal("undo_change", undo_id=entries[0].about["undo_id"])
        assert refusal.startswith("not_found: ")


async def test_what_may_have_been_done_can_be_taken_back(interpose: Interpose) -> None:
    store, ids = a_mailbox(30)
    async with open_office(store=store, user=USER) as office:

        def fails_from_then_on(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
            return httpx.Response(500) if office.wire.writes() else None

        interpose(office, fails_from_then_on)
        answer = await office.call("bulk_update_threads", **archive(ids))
        assert answer["results"][0]["reason"].startswith("It is not known whether it happened")
        interpose(office, lambda method, path, response: None)
        assert archived(office, ids) == ids
        await office.call("undo_change", undo_id=answer["undo_id"])
        assert archived(office, ids) == []


async def _settled(office: Office, what: str = "broken off") -> list[Any]:
    """Return the log, once what was cancelled stands in it."""
    with anyio.fail_after(2):
        while True:
            entries = office.services.ledger.entries()
            if entries[-1].what == what:
                return entries
            await anyio.sleep(0.01)


BREAKS: dict[str, tuple[int, dict[str, str], str]] = {
    "the limit is reached": (429, {"Retry-After": "600"}, "600 seconds"),
    "the token is refused": (401, {}, "SalesOS does not accept the token"),
}


@pytest.mark.parametrize("reason", sorted(BREAKS))
async def test_a_plan_that_fails_in_the_middle_says_how_to_go_on_and_does(era: Era, reason: str) -> None:
    store, ids = a_mailbox(500)
    async with open_office(store=store, user=USER, era=era) as office:
        status, headers, words = BREAKS[reason]
        sent = office.wire.handle_async_request
        batches = 0

        async def failing(request: httpx.Request) -> httpx.Response:
            nonlocal batches
            batches += (is_batch := request.url.path.endswith("/threads/bulk"))
            return httpx.Response(status, headers=headers) if is_batch and batches > 2 else await sent(request)

        office.wire.handle_async_request = failing
        answer = await office.call("bulk_update_threads", **archive(ids))
        failed, done = answer["results"]
        assert (failed["outcome"], failed["thread_ids"], failed["count"]) == ("failed", ids[200:300], 300)
        assert words in failed["reason"]
        assert done == {"action": "archive", "outcome": "done", "thread_ids": [], "count": 200}
        assert answer["note"] == "To go on, give the same plan again: what is done stays as it is."

        office.wire.handle_async_request = sent
        office.services._client = None  # pyright: ignore[reportPrivateUsage] -- ten minutes later
        second = await office.call("bulk_update_threads", **archive(ids))
        assert counts(second) == {("archive", "unchanged"): 200, ("archive", "done"): 300}
        assert office.person.cards[1].startswith("Change 300 threads")


async def test_an_approval_is_not_used_for_the_rest(era: Era) -> None:
    store, ids = a_mailbox(300)
    person = Person()
    async with open_office(store=store, user=USER, era=era, person=person) as office:
        settings = office.services.settings
        with anyio.CancelScope() as call:
            office.services.open_client = lambda: InboxClient(settings, transport=Hooked(office, 1, call.cancel))
            await office.call("bulk_update_threads", **archive(ids))
        await _settled(office)
        person.answer = "decline"
        assert (await office.refusal("bulk_update_threads", **archive(ids))).startswith("declined: ")
        assert archived(office, ids) == ids[:100]


async def test_a_thread_that_came_back_while_a_person_thought_is_left_alone(era: Era) -> None:
    store, ids = a_mailbox(60)
    person = Person()
    async with open_office(store=store, user=USER, era=era, person=person) as office:
        store.move(office.user_id, ids[0], "archive")
        person.meanwhile = lambda: store.move(office.user_id, ids[0], "inbox") and None
        answer = await office.call("bulk_update_threads", **archive(ids))
        assert counts(answer) == {("archive", "unchanged"): 1, ("archive", "done"): 59}
        assert archived(office, ids) == ids[1:]


async def test_a_question_shows_the_threads_as_they_were_looked_at_for_it() -> None:
    store, ids = a_mailbox(60)
    person = Person()
    async with open_office(store=store, user=USER, person=person) as office:
        person.meanwhile = lambda: store.move(office.user_id, ids[0], "Contracts") and None
        answer = await office.call("bulk_update_threads", **archive(ids))
        assert len(person.cards) == 1
        assert counts(answer) == {("archive", "done"): 60}
        await office.call("undo_change", undo_id=answer["undo_id"])
        assert store.thread(office.user_id, ids[0]).folder == "Contracts", "it was looked at again"


async def test_a_claim_is_held_through_a_plan_of_many_minutes(interpose: Interpose) -> None:
    store, ids = a_mailbox(400)
    clock = Clock()
    async with open_office(store=store, user=USER, clock=clock) as office:
        states: list[State | None] = []

        def slow(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
            if path == "/threads/bulk":
                clock.advance(seconds=45)
                office.services.ledger.waiting(USER, clock().timestamp())  # which ends what nobody works on
                states.append(_state(office))
            return None

        interpose(office, slow)
        assert counts(await office.call("bulk_update_threads", **archive(ids))) == {("archive", "done"): 400}
        assert states == [State.CLAIMED] * 4


def _state(office: Office) -> State | None:
    ledger = office.services.ledger
    newest = [entry.operation_id for entry in ledger.entries() if entry.operation_id][-1]
    found = ledger.read(newest or "")
    return found.state if found else None


async def test_threads_are_listed_by_their_folder_first() -> None:
    store, ids = a_mailbox(200)
    async with open_office(store=store, user=USER) as office:
        for thread_id in ids:
            store.move(office.user_id, thread_id, "archive")
        desk = Desk(office.services, None)  # pyright: ignore[reportArgumentType] -- nobody is told of it
        before = await look(desk, ids)
        office.wire.requests.clear()
        again = await look(desk, ids, before)
        assert again == before
        assert requests(office)["lists"] == 2
        assert models.ListThreads(folder="archive").body() == {"folder": "archive"}


async def test_what_is_in_the_trash_is_not_deleted_for_good_where_lists_do_not_say_where_threads_are(
    interpose: Interpose,
) -> None:
    store, ids = a_mailbox(60)
    async with open_office(store=store, user=USER) as office:
        for thread_id in ids[:30]:
            store.delete(office.user_id, thread_id)

        def reticent(method: str, path: str, response: httpx.Response) -> httpx.Response | None:
            if (method, path) != ("GET", "/threads"):
                return None
            rows: list[dict[str, Any]] = response.json()
            for row in rows:
                row.pop("folder")
            return httpx.Response(200, json=rows, headers={"X-Total-Count": response.headers.get("x-total-count", "1")})

        interpose(office, reticent)
        answer = await office.call("bulk_update_threads", plan=[{"action": "delete", "thread_ids": ids}])
        assert counts(answer) == {("delete", "unchanged"): 30, ("delete", "done"): 30}
        assert {store.thread(office.user_id, thread_id).folder for thread_id in ids} == {"trash"}


async def test_a_plan_that_is_cancelled_before_its_first_change_says_so_in_the_log(era: Era) -> None:
    store, ids = a_mailbox(200)
    async with open_office(store=store, user=USER, era=era) as office:
        settings, wire = office.services.settings, office.wire

        class Cancelling(httpx.AsyncBaseTransport):
            """A wire on which the call is cancelled while its threads are looked at again."""

            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                if office.person.cards:
                    call.cancel()
                    await anyio.sleep(0.1)
                return await wire.handle_async_request(request)

        with anyio.CancelScope() as call:
            office.services.open_client = lambda: InboxClient(settings, transport=Cancelling())
            await office.call("bulk_update_threads", **archive(ids))
        assert (await _settled(office))[-1].about["note"] == "0 of 200 threads were changed"
        assert archived(office, ids) == []


# Killed


def test_a_plan_killed_at_any_step_is_taken_back_by_what_the_log_or_the_same_plan_tells() -> None:
    done = subprocess.run(
        [sys.executable, str(KILLS), json.dumps({"plans": True, "every": 3})],
        capture_output=True,
        text=True,
        timeout=4 * SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["found"] == []
    assert report["kills"] > 20
    assert report["midway"] > 8
    assert report["undo_kills"] > 5
    assert report["taken_back"]["told by the same plan"] > 5
    assert report["taken_back"]["taken back: done"] > 10
