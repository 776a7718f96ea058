"""Lists, folders, flags, batches, follow-ups and CRM links."""

import httpx
import pytest
from inline_snapshot import snapshot

from salesos_inbox.sandbox.envelopes import Envelope
from salesos_inbox.sandbox.messages import StoredAttachment
from sandbox.conftest import Connect, Mailbox

pytestmark = pytest.mark.anyio

LATER = "2025-02-01T09:00:00Z"


async def subjects(client: httpx.AsyncClient, **params: str | int) -> list[str]:
    answer = await client.get("threads", params=params)
    assert answer.status_code == 200, answer.text
    return [thread["subject"] for thread in answer.json()]


async def test_a_thread_is_read_whole(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    thread = mailbox.receive(
        "Offer",
        "Dear Sam,\nsee the file.",
        cc=("ann@customer.test",),
        attachments=(StoredAttachment("offer.pdf", "application/pdf", 1234),),
    )
    assert (await client.get(f"threads/{thread}")).json() == snapshot(
        {
            "id": "c000000000000000000000009",
            "subject": "Offer",
            "snippet": "Dear Sam, see the file.",
            "folder": "inbox",
            "participants": [
                {"name": "Bob", "email": "bob@customer.test"},
                {"name": None, "email": "sam@sales.test"},
                {"name": None, "email": "ann@customer.test"},
            ],
            "messageCount": 1,
            "isRead": False,
            "isStarred": False,
            "hasAttachments": True,
            "lastMessageAt": "2025-01-15T10:30:00Z",
            "followUp": None,
            "crmLinks": [],
            "messages": [
                {
                    "id": "c000000000000000000000010",
                    "messageId": "<m1@customer.test>",
                    "inReplyTo": None,
                    "references": [],
                    "fromEmail": "bob@customer.test",
                    "fromName": "Bob",
                    "toEmails": ["sam@sales.test"],
                    "ccEmails": ["ann@customer.test"],
                    "bccEmails": [],
                    "subject": "Offer",
                    "bodyHtml": None,
                    "bodyText": """\
Dear Sam,
see the file.\
""",
                    "direction": "INBOUND",
                    "status": "RECEIVED",
                    "sentAt": "2025-01-15T10:30:00Z",
                    "receivedAt": "2025-01-15T10:30:00Z",
                    "attachments": [
                        {
                            "id": "c000000000000000000000011",
                            "filename": "offer.pdf",
                            "contentType": "application/pdf",
                            "size": 1234,
                        }
                    ],
                }
            ],
        }
    )


async def test_lists_are_newest_first_and_come_in_pages(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    for number in range(45):
        mailbox.receive(f"{number:02}")
        mailbox.clock.forward(minutes=1)
    first = await client.get("threads")
    assert len(first.json()) == 20
    assert first.headers["X-Total-Count"] == "45"
    assert await subjects(client, page=3) == ["04", "03", "02", "01", "00"]
    assert await subjects(client, limit=2, sortBy="subject", sortOrder="asc") == ["00", "01"]
    assert await subjects(client, page=2**32) == []


@pytest.mark.parametrize("sort", ["lastMessageAt", "subject"])
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_the_pages_of_a_list_make_up_the_whole(
    client: httpx.AsyncClient, mailbox: Mailbox, sort: str, order: str, limit: int
) -> None:
    for number in (3, 1, 4, 1, 5, 9, 2):
        mailbox.receive(str(number))
        mailbox.clock.forward(minutes=number % 2)
    whole = [thread["id"] for thread in (await client.get(f"threads?sortBy={sort}&sortOrder={order}")).json()]
    pages = [
        (await client.get(f"threads?sortBy={sort}&sortOrder={order}&limit={limit}&page={page}")).json()
        for page in range(1, 9)
    ]
    assert [thread["id"] for page in pages for thread in page] == whole
    assert len(whole) == 7


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("ÖBE", ["Jöbel"]),
        ('"jo', ['Ann "Jo" Lee']),
        ("Jo", ['Ann "Jo" Lee', "Jonas"]),
        ("ann", ['Ann "Jo" Lee']),
        ("son", []),
        ("people.test", ['Ann "Jo" Lee', "Jonas", "Jöbel"]),
        ("0@people", []),
        ("2@PEOPLE.test", ["Jöbel"]),
    ],
)
async def test_a_sender_is_found_by_an_address_or_by_part_of_a_name(
    client: httpx.AsyncClient, mailbox: Mailbox, part: str, names: list[str]
) -> None:
    for number, name in enumerate(("Jonas", 'Ann "Jo" Lee', "Jöbel")):
        mailbox.receive(name, from_name=name, from_email=f"{number}@people.test")
    assert sorted(await subjects(client, **{"from": part})) == names


@pytest.mark.parametrize(
    ("envelope", "rest"),
    [
        ("items", {"total": 3, "page": 2, "pageSize": 2, "totalPages": 2}),
        ("data", {"meta": {"total": 3, "page": 2, "limit": 2}}),
        ("plural", {"count": 3}),
    ],
)
async def test_lists_come_in_the_envelope_that_was_chosen(
    connect: Connect, mailbox: Mailbox, envelope: Envelope, rest: dict[str, object]
) -> None:
    for number in range(3):
        mailbox.receive(str(number))
    client = connect({"X-API-Key": mailbox.store.add_api_key(mailbox.user)}, envelope=envelope)
    for path in ("threads?page=2&limit=2", "search?q=body&page=2&limit=2"):
        answer = (await client.get(path)).json()
        items = answer.pop({"plural": "threads"}.get(envelope, envelope))
        assert [item["subject"] for item in items] == ["0"]
        assert answer == rest


async def test_a_cursor_leads_through_the_whole_list(connect: Connect, mailbox: Mailbox) -> None:
    for number in range(5):
        mailbox.receive(str(number))
    client = connect({"X-API-Key": mailbox.store.add_api_key(mailbox.user)}, envelope="cursor")
    seen: list[str] = []
    params: dict[str, str | int] = {"limit": 2}
    while True:
        answer = (await client.get("threads", params=params)).json()
        seen += [item["subject"] for item in answer["items"]]
        if not answer["hasMore"]:
            break
        params["cursor"] = answer["nextCursor"]
    assert (seen, answer["nextCursor"]) == (["4", "3", "2", "1", "0"], None)


async def test_lists_can_be_filtered(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    store, user = mailbox.store, mailbox.user
    mailbox.receive("plain")
    mailbox.clock.forward(days=1)
    mailbox.receive("starred", is_starred=True, is_read=True)
    mailbox.receive("file", attachments=(StoredAttachment(None, "image/png", 1),), from_email="eva@other.test")
    linked = mailbox.receive("linked", from_name="Per Cent 100%")
    record = store.add_crm_record(user, "lead", "Big deal")
    store.link_crm(user, linked, "lead", record)
    await client.post(f"threads/{linked}/follow-up", json={"reminderDate": LATER})

    assert await subjects(client, isRead="true") == ["starred"]
    assert await subjects(client, isStarred="true") == ["starred"]
    assert await subjects(client, isStarred="false", hasAttachments="false") == ["linked", "plain"]
    assert await subjects(client, hasAttachments="true") == ["file"]
    assert await subjects(client, hasFollowUp="true") == ["linked"]
    assert await subjects(client, hasFollowUp="false", isRead="false") == ["file", "plain"]
    assert await subjects(client, **{"from": "EVA@other.test"}) == ["file"]
    assert await subjects(client, **{"from": "0%"}) == ["linked"]
    assert await subjects(client, entityType="lead", entityId=record) == ["linked"]
    assert await subjects(client, entityType="contact", entityId=record) == []
    assert await subjects(client, endDate="2025-01-15T12:00:00Z") == ["plain"]
    assert await subjects(client, startDate="2025-01-16", isStarred="true") == ["starred"]


async def test_folders_show_what_they_hold_and_the_whole_list_leaves_trash_and_spam_out(
    client: httpx.AsyncClient, mailbox: Mailbox
) -> None:
    mailbox.store.add_folder(mailbox.user, "Key accounts")
    for folder in ("archive", "trash", "spam", "Key accounts"):
        mailbox.receive(f"in {folder}", folder=folder)
    inbox = mailbox.receive("in inbox")
    await client.post("drafts", json={"subject": "only a draft"})
    await client.post("send", json={"to": ["a@b.test"], "subject": "sent", "threadId": inbox})
    await client.post("send", json={"to": ["a@b.test"], "scheduledFor": LATER, "threadId": inbox})
    await client.post("drafts", json={"subject": "answer", "threadId": inbox})

    assert sorted(await subjects(client)) == ["in Key accounts", "in archive", "in inbox"]
    assert {
        folder["name"]: (folder["type"], folder["totalCount"], folder["unreadCount"])
        for folder in (await client.get("folders")).json()
    } == snapshot(
        {
            "Inbox": ("inbox", 1, 1),
            "Sent": ("sent", 1, 1),
            "Drafts": ("drafts", 2, 1),
            "Scheduled": ("scheduled", 1, 0),
            "Archive": ("archive", 1, 1),
            "Trash": ("trash", 1, 1),
            "Spam": ("spam", 1, 1),
            "Key accounts": ("custom", 1, 1),
        }
    )
    assert sorted(await subjects(client, folder="drafts")) == ["in inbox", "only a draft"]
    for folder in ("inbox", "sent", "scheduled"):
        assert await subjects(client, folder=folder) == ["in inbox"]
    for folder in (await client.get("folders")).json():
        listed = await subjects(client, folder=folder["id"])
        assert listed == await subjects(client, folder=folder["name"].upper())
        assert len(listed) == folder["totalCount"]
    unknown = await client.get("threads", params={"folder": "custom"})
    assert (unknown.status_code, unknown.json()["message"]) == (404, "Folder not found")


async def test_read_star_and_archive_answer_the_thread(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    path = f"threads/{mailbox.receive()}"
    assert (await client.patch(f"{path}/read", json={"isRead": True})).json()["isRead"] is True
    assert (await client.patch(f"{path}/star", json={"isStarred": True})).json()["isStarred"] is True
    assert (await client.post(f"{path}/archive")).json()["folder"] == "archive"
    assert (await client.get("threads/read")).status_code == 404


async def test_mail_that_comes_in_brings_an_archived_thread_back_to_the_inbox_unread(
    client: httpx.AsyncClient, mailbox: Mailbox
) -> None:
    thread = mailbox.receive(is_read=True)
    await client.post(f"threads/{thread}/archive")
    assert mailbox.receive("Re: Hello", in_reply_to="<m1@customer.test>") == thread
    answer = (await client.get(f"threads/{thread}")).json()
    assert (answer["folder"], answer["isRead"], answer["messageCount"]) == ("inbox", False, 2)


@pytest.mark.parametrize(
    ("method", "path", "body", "changed"),
    [
        ("PATCH", "threads/read", {"isRead": True}, {"isRead": True}),
        ("PATCH", "threads/star", {"isStarred": True}, {"isStarred": True}),
        ("PATCH", "threads/archive", {}, {"folder": "archive"}),
        ("PATCH", "threads/move", {"folder": "Spam"}, {"folder": "spam"}),
        ("POST", "threads/delete", {}, {"folder": "trash"}),
        ("POST", "threads/bulk", {"action": "read"}, {"isRead": True}),
        ("POST", "threads/bulk", {"action": "unread"}, {"isRead": False}),
        ("POST", "threads/bulk", {"action": "star"}, {"isStarred": True}),
        ("POST", "threads/bulk", {"action": "unstar"}, {"isStarred": False}),
        ("POST", "threads/bulk", {"action": "archive"}, {"folder": "archive"}),
        ("POST", "threads/bulk", {"action": "move", "folder": "spam"}, {"folder": "spam"}),
        ("POST", "threads/bulk", {"action": "delete"}, {"folder": "trash"}),
    ],
)
async def test_a_batch_changes_what_it_can_and_names_the_rest(
    client: httpx.AsyncClient,
    mailbox: Mailbox,
    method: str,
    path: str,
    body: dict[str, object],
    changed: dict[str, object],
) -> None:
    one, two = mailbox.receive(), mailbox.receive()
    answer = await client.request(method, path, json={**body, "threadIds": [one, "nothing", two, one]})
    assert (answer.status_code, answer.json()) == (
        200,
        {"success": [one, two], "failed": [{"id": "nothing", "error": "Thread not found"}]},
    )
    for thread in (one, two):
        assert changed.items() <= (await client.get(f"threads/{thread}")).json().items()


async def test_moving_to_a_folder_that_does_not_exist_is_refused(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    batch = {"threadIds": [mailbox.receive()], "folder": "Nowhere"}
    for method, path, body in (
        ("PATCH", "threads/move", batch),
        ("POST", "threads/bulk", {**batch, "action": "move"}),
    ):
        answer = await client.request(method, path, json=body)
        assert (answer.status_code, answer.json()["message"]) == (404, "Folder not found")


async def test_only_threads_with_sent_mail_move_to_sent(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    received = mailbox.receive()
    sent = (await client.post("send", json={"to": ["a@b.test"]})).json()["threadId"]
    await client.post(f"threads/{sent}/archive")
    answer = await client.patch("threads/move", json={"threadIds": [received, sent], "folder": "sent"})
    assert answer.json() == {
        "success": [sent],
        "failed": [{"id": received, "error": "threads cannot be moved to the folder Sent"}],
    }
    assert (await client.get(f"threads/{sent}")).json()["folder"] == "sent"


async def test_deleting_what_is_in_the_trash_removes_it_for_good(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    thread = mailbox.receive("Gone", "unforgettable")
    batch = {"threadIds": [thread]}
    await client.post("threads/delete", json=batch)
    assert await subjects(client, folder="trash") == ["Gone"]
    await client.post("threads/delete", json=batch)
    assert await subjects(client, folder="trash") == []
    assert (await client.get("search", params={"q": "unforgettable", "folder": "trash"})).json() == []
    assert (await client.get(f"threads/{thread}")).status_code == 404


async def test_a_thread_has_one_follow_up(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    path = f"threads/{mailbox.receive()}/follow-up"
    await client.post(path, json={"reminderDate": LATER})
    answer = await client.post(path, json={"reminderDate": "2025-02-02T10:00:00+01:00", "note": "Call"})
    assert (answer.status_code, answer.json()) == (201, {"reminderDate": "2025-02-02T09:00:00Z", "note": "Call"})

    assert (await client.get("stats")).json()["followUpsDue"] == 0
    mailbox.clock.forward(days=30)
    assert (await client.get("stats")).json()["followUpsDue"] == 1
    assert (await client.delete(path)).status_code == 204
    missing = await client.delete(path)
    assert (missing.status_code, missing.json()["message"]) == (404, "Follow-up not found")


async def test_a_thread_is_linked_to_records_that_exist_once(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    record = mailbox.store.add_crm_record(mailbox.user, "lead", "Big deal", "lead-1")
    path = f"threads/{mailbox.receive()}/crm-links"
    body = {"entityType": "lead", "entityId": record}
    link = {**body, "name": "Big deal"}

    linked = await client.post(path, json=body)
    assert (linked.status_code, linked.json()) == (201, link)
    assert (await client.get("threads")).json()[0]["crmLinks"] == [link]
    assert (await client.post(path, json=body)).status_code == 409
    for other in ({**body, "entityType": "contact"}, {**body, "entityId": "lead-2"}):
        refused = await client.post(path, json=other)
        assert (refused.status_code, refused.json()["message"]) == (404, f"{other['entityType'].title()} not found")

    assert (await client.delete(f"{path}/lead/lead-1")).status_code == 204
    assert (await client.delete(f"{path}/lead/lead-1")).json()["message"] == "CRM link not found"


async def test_stats_count_the_mailbox(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    mailbox.receive("yesterday", is_read=True)
    mailbox.clock.forward(days=1)
    today = mailbox.receive("today", is_starred=True)
    mailbox.receive("junk", folder="spam")
    await client.post("send", json={"to": ["a@b.test"], "threadId": today})
    await client.post("send", json={"to": ["a@b.test"], "scheduledFor": LATER})
    await client.post("drafts", json={})
    assert (await client.get("stats")).json() == snapshot(
        {
            "totalThreads": 2,
            "unreadThreads": 1,
            "starredThreads": 1,
            "scheduledCount": 1,
            "draftCount": 1,
            "followUpsDue": 0,
            "awaitingReply": 1,
            "receivedToday": 2,
            "sentToday": 1,
        }
    )
