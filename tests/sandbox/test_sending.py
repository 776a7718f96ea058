"""Sending, delivery between the sandbox's users, drafts, and mail that waits for its time."""

from typing import Any

import httpx
import pytest
from inline_snapshot import snapshot

from salesos_inbox.contract import models
from sandbox.conftest import Connect, Mailbox

pytestmark = pytest.mark.anyio

LATER = "2025-01-16T09:00:00Z"


async def thread_of(client: httpx.AsyncClient, thread_id: str) -> dict[str, Any]:
    answer = await client.get(f"threads/{thread_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_new_email_is_sent_at_once_and_starts_a_thread_in_sent(
    client: httpx.AsyncClient, mailbox: Mailbox
) -> None:
    answer = await client.post(
        "send", json={"to": ["a@b.test"], "bcc": ["c@d.test"], "subject": "Hi", "bodyText": "There"}
    )
    assert (answer.status_code, answer.json()) == snapshot(
        (
            201,
            {
                "id": "c000000000000000000000009",
                "threadId": "c000000000000000000000011",
                "messageId": "<c000000000000000000000010@sandbox.salesos.test>",
                "status": "SENT",
                "scheduledFor": None,
            },
        )
    )
    thread = await thread_of(client, answer.json()["threadId"])
    (message,) = thread["messages"]
    assert (thread["folder"], thread["isRead"]) == ("sent", True)
    assert message["bccEmails"] == ["c@d.test"]
    assert (message["direction"], message["status"], message["sentAt"]) == ("OUTBOUND", "SENT", "2025-01-15T10:30:00Z")


async def test_a_reply_carries_the_headers_of_its_parent_and_joins_its_thread(
    client: httpx.AsyncClient, mailbox: Mailbox
) -> None:
    thread = mailbox.receive(references=("<root@customer.test>",))
    for in_reply_to in ("<m1@customer.test>", "m1@customer.test"):
        body = {"to": ["bob@customer.test"], "subject": "Re: Hello", "inReplyTo": in_reply_to}
        assert (await client.post("send", json=body)).json()["threadId"] == thread
    reply = (await thread_of(client, thread))["messages"][-1]
    assert reply["inReplyTo"] == "<m1@customer.test>"
    assert reply["references"] == ["<root@customer.test>", "<m1@customer.test>"]


@pytest.mark.parametrize("scheduled", [{}, {"scheduledFor": LATER}])
@pytest.mark.parametrize(("field", "what"), [("threadId", "Thread"), ("draftId", "Draft")])
async def test_an_unknown_thread_or_draft_is_not_found_and_nothing_is_sent(
    client: httpx.AsyncClient, scheduled: dict[str, str], field: str, what: str
) -> None:
    answer = await client.post("send", json={"to": ["a@b.test"], field: "nothing", **scheduled})
    assert (answer.status_code, answer.json()["message"]) == (404, f"{what} not found")
    stats = (await client.get("stats")).json()
    assert (stats["totalThreads"], stats["sentToday"], stats["scheduledCount"]) == (0, 0, 0)


async def test_mail_to_another_user_arrives_there_without_its_blind_copies(
    client: httpx.AsyncClient, connect: Connect, mailbox: Mailbox
) -> None:
    ann = connect({"X-API-Key": mailbox.store.add_api_key(mailbox.store.add_user("ann@sales.test"))})
    body = {"to": ["Ann@Sales.test"], "bcc": ["c@d.test"], "subject": "Hi", "bodyText": "There"}
    sent = (await client.post("send", json=body)).json()

    (summary,) = (await ann.get("threads")).json()
    (message,) = (await thread_of(ann, summary["id"]))["messages"]
    assert (summary["folder"], summary["isRead"]) == ("inbox", False)
    assert message["messageId"] == sent["messageId"]
    assert (message["fromName"], message["direction"], message["status"]) == ("Sam Seller", "INBOUND", "RECEIVED")
    assert message["bccEmails"] == []

    answer = {"to": ["sam@sales.test"], "subject": "Re: Hi", "inReplyTo": sent["messageId"]}
    await ann.post("send", json=answer)
    thread = await thread_of(client, sent["threadId"])
    assert (thread["folder"], thread["isRead"], thread["messageCount"]) == ("inbox", False, 2)


async def test_a_draft_is_a_thread_of_its_own_until_it_is_sent(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    answer = await client.post("drafts", json={"subject": "Plan", "to": ["a@b.test"]})
    assert (answer.status_code, answer.json()) == snapshot(
        (
            201,
            {
                "id": "c000000000000000000000010",
                "threadId": "c000000000000000000000009",
                "to": ["a@b.test"],
                "cc": [],
                "bcc": [],
                "subject": "Plan",
                "bodyHtml": None,
                "bodyText": None,
                "updatedAt": "2025-01-15T10:30:00Z",
            },
        )
    )
    draft = answer.json()
    thread = await thread_of(client, draft["threadId"])
    assert thread["folder"] == "drafts"
    assert [(message["id"], message["status"]) for message in thread["messages"]] == [(draft["id"], "DRAFT")]

    sent = (await client.post("send", json={"to": ["a@b.test"], "subject": "Plan", "draftId": draft["id"]})).json()
    thread = await thread_of(client, sent["threadId"])
    assert (sent["threadId"], thread["folder"], thread["messageCount"]) == (draft["threadId"], "sent", 1)
    assert (await client.get("stats")).json()["draftCount"] == 0
    assert (await client.post("send", json={"to": ["a@b.test"], "draftId": draft["id"]})).status_code == 404


async def test_an_update_of_a_draft_changes_only_the_given_fields(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    draft = (await client.post("drafts", json={"subject": "Plan", "to": ["a@b.test"], "bodyText": "One"})).json()
    mailbox.clock.forward(minutes=1)
    answer = await client.post("drafts", json={"id": draft["id"], "bodyText": "Two", "to": None})
    assert answer.status_code == 200
    assert answer.json() == {**draft, "bodyText": "Two", "to": [], "updatedAt": "2025-01-15T10:31:00Z"}
    assert (await client.get("search", params={"q": "One"})).json() == []
    assert (await client.post("drafts", json={"id": "nothing"})).json()["message"] == "Draft not found"


async def test_a_draft_of_an_answer_lies_in_the_thread_without_becoming_its_newest_mail(
    client: httpx.AsyncClient, mailbox: Mailbox
) -> None:
    thread = mailbox.receive("Hello", "From Bob")
    mailbox.clock.forward(minutes=5)
    for fields in ({"threadId": thread}, {"inReplyTo": "<m1@customer.test>"}):
        assert (await client.post("drafts", json={**fields, "bodyText": "Mine"})).json()["threadId"] == thread
    summary = await thread_of(client, thread)
    assert (summary["messageCount"], summary["snippet"], summary["lastMessageAt"]) == (
        3,
        "From Bob",
        "2025-01-15T10:30:00Z",
    )


async def test_a_draft_moves_to_the_thread_it_is_given(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    draft = (await client.post("drafts", json={"subject": "Plan"})).json()
    thread = mailbox.receive()
    answer = await client.post("drafts", json={"id": draft["id"], "threadId": thread})
    assert answer.json()["threadId"] == thread
    assert (await client.get(f"threads/{draft['threadId']}")).status_code == 404


async def test_scheduled_mail_leaves_when_it_is_due(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    thread = mailbox.receive()
    body = {
        "to": ["bob@customer.test"],
        "subject": "Re: Hello",
        "bodyText": "Later",
        "threadId": thread,
        "inReplyTo": "<m1@customer.test>",
        "scheduledFor": "2025-01-16T10:00:00+01:00",
    }
    answer = await client.post("send", json=body)
    receipt = answer.json()
    assert answer.status_code == 201
    assert (receipt["status"], receipt["threadId"], receipt["scheduledFor"]) == ("SCHEDULED", thread, LATER)
    assert (await client.get("scheduled")).json() == [
        {
            "id": receipt["id"],
            "threadId": thread,
            "to": ["bob@customer.test"],
            "cc": [],
            "bcc": [],
            "subject": "Re: Hello",
            "bodyText": "Later",
            "scheduledFor": LATER,
            "status": "SCHEDULED",
        }
    ]
    assert (await thread_of(client, thread))["messageCount"] == 1

    mailbox.clock.forward(days=2)
    assert (await client.get("scheduled")).json() == []
    sent = (await thread_of(client, thread))["messages"][-1]
    assert (sent["messageId"], sent["sentAt"], sent["status"]) == (receipt["messageId"], LATER, "SENT")
    late = await client.delete(f"scheduled/{receipt['id']}")
    assert (late.status_code, late.json()["message"]) == (409, "Email already sent")


async def test_scheduled_mail_is_listed_by_time_and_can_be_cancelled(
    client: httpx.AsyncClient, mailbox: Mailbox
) -> None:
    ids = [
        (await client.post("send", json={"to": ["a@b.test"], "scheduledFor": f"2025-01-{day}T09:00:00Z"})).json()["id"]
        for day in (18, 17, 19)
    ]
    assert [email["id"] for email in (await client.get("scheduled")).json()] == [ids[1], ids[0], ids[2]]
    assert [email["id"] for email in (await client.get("scheduled?limit=2&page=2")).json()] == [ids[2]]
    assert (await client.delete(f"scheduled/{ids[1]}")).status_code == 204
    assert (await client.delete(f"scheduled/{ids[1]}")).status_code == 404
    mailbox.clock.forward(days=30)
    assert (await client.get("stats")).json()["totalThreads"] == 2


async def test_scheduling_a_draft_takes_it_away(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    draft = (await client.post("drafts", json={"subject": "Plan"})).json()
    await client.post("send", json={"to": ["a@b.test"], "draftId": draft["id"], "scheduledFor": LATER})
    assert (await client.get(f"threads/{draft['threadId']}")).status_code == 404
    mailbox.clock.forward(days=2)
    assert (await client.get("stats")).json()["totalThreads"] == 1


async def test_a_scheduled_answer_to_a_thread_that_is_gone_starts_a_new_one(
    client: httpx.AsyncClient, mailbox: Mailbox
) -> None:
    thread = mailbox.receive()
    await client.post("send", json={"to": ["a@b.test"], "threadId": thread, "scheduledFor": LATER})
    for _ in range(2):
        mailbox.store.delete(mailbox.user, thread)
    mailbox.clock.forward(days=2)
    (summary,) = (await client.get("threads?folder=sent")).json()
    assert (summary["messageCount"], summary["folder"]) == (1, "sent")


async def test_the_store_saves_drafts_and_schedules_for_whoever_fills_it(mailbox: Mailbox) -> None:
    store, user = mailbox.store, mailbox.user
    draft = store.save_draft(user, models.SaveDraft(subject="Plan"))
    email = models.SendEmail.model_validate({"to": ["a@b.test"], "scheduledFor": LATER})
    assert store.schedule(user, email).status == "SCHEDULED"
    assert store.thread_of(user, draft.id) == draft.thread_id
