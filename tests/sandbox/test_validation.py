"""What the sandbox refuses to read, and in which words."""

import httpx
import pytest
from inline_snapshot import snapshot

from sandbox.conftest import Connect, Mailbox

pytestmark = pytest.mark.anyio

ONE_OF = "one of the following values:"
NO_DATE = "must be a valid ISO 8601 date string"
IDS = [f"c{number}" for number in range(1001)]


@pytest.mark.parametrize(
    ("method", "path", "body", "sentences"),
    [
        ("POST", "send", {"to": ["a@b.test"], "unknownField": 1}, ["property unknownField should not exist"]),
        ("POST", "send", {"to": ["a@b.test"], "thread_id": "x"}, ["property thread_id should not exist"]),
        ("POST", "send", {}, ["to should not be empty"]),
        (
            "POST",
            "send",
            {"to": ["nobody"], "cc": ["a b@c.test"]},
            ["each value in to must be an email", "each value in cc must be an email"],
        ),
        ("POST", "send", {"to": "a@b.test"}, ["to must be an array"]),
        ("POST", "send", {"to": [1]}, ["each value in to must be a string"]),
        ("POST", "send", {"to": ["a@b.test"], "subject": 5}, ["subject must be a string"]),
        ("POST", "send", {"to": ["a@b.test"], "scheduledFor": "soon"}, [f"scheduledFor {NO_DATE}"]),
        ("POST", "send", {"to": ["a@b.test"], "scheduledFor": "1736900000"}, [f"scheduledFor {NO_DATE}"]),
        (
            "POST",
            "send",
            {"to": ["a@b.test"], "scheduledFor": "2025-01-15T10:30:00Z"},
            ["scheduledFor must be in the future"],
        ),
        ("POST", "drafts", {"to": ["nobody"]}, ["each value in to must be an email"]),
        ("PATCH", "threads/{}/read", {"isRead": "true"}, ["isRead must be a boolean value"]),
        ("PATCH", "threads/{}/read", {}, ["isRead must be a boolean value"]),
        (
            "PATCH",
            "threads/{}/star",
            {"isStarred": 1, "x": 1},
            ["isStarred must be a boolean value", "property x should not exist"],
        ),
        (
            "POST",
            "threads/bulk",
            {"threadIds": ["a"], "action": "burn"},
            [f"action must be {ONE_OF} read, unread, star, unstar, archive, move, delete"],
        ),
        ("POST", "threads/bulk", {"threadIds": ["a"], "action": "move"}, ["folder should not be empty"]),
        (
            "POST",
            "threads/{}/crm-links",
            {"entityType": "deal", "entityId": "1"},
            [f"entityType must be {ONE_OF} lead, contact, account, opportunity"],
        ),
        ("PATCH", "threads/read", {"isRead": True}, ["threadIds must be an array"]),
        ("PATCH", "threads/archive", {"threadIds": []}, ["threadIds should not be empty"]),
        ("PATCH", "threads/archive", {"threadIds": IDS}, ["threadIds must contain no more than 1000 elements"]),
        ("PATCH", "threads/archive", [], ["body must be an object"]),
        ("POST", "threads/{}/follow-up", {"reminderDate": "tomorrow"}, [f"reminderDate {NO_DATE}"]),
        ("POST", "threads/{}/follow-up", {"reminderDate": 1736900000}, [f"reminderDate {NO_DATE}"]),
        (
            "POST",
            "threads/{}/follow-up",
            {"reminderDate": "2025-01-15T10:29:59Z"},
            ["reminderDate must be in the future"],
        ),
        ("GET", "threads?limit=101", None, ["limit must not be greater than 100"]),
        ("GET", "threads?limit=0&page=0", None, ["page must not be less than 1", "limit must not be less than 1"]),
        ("GET", "threads?page=one", None, ["page must be an integer number"]),
        ("GET", "threads?colour=red", None, ["property colour should not exist"]),
        ("GET", "threads?cursor=abc", None, ["property cursor should not exist"]),
        ("GET", "threads?isRead=maybe", None, ["isRead must be a boolean value"]),
        ("GET", "threads?sortBy=colour", None, [f"sortBy must be {ONE_OF} lastMessageAt, subject"]),
        ("GET", "threads?sortOrder=up", None, [f"sortOrder must be {ONE_OF} asc, desc"]),
        ("GET", "threads?startDate=5", None, [f"startDate {NO_DATE}"]),
        ("GET", "search", None, ["q must be a string"]),
        ("GET", "search?q=+", None, ["q should not be empty"]),
        ("GET", "folders?x=1", None, ["property x should not exist"]),
        ("POST", "threads/{}/archive?x=1", None, ["property x should not exist"]),
    ],
)
async def test_what_breaks_the_contract_is_refused_in_the_services_own_sentences(
    client: httpx.AsyncClient, mailbox: Mailbox, method: str, path: str, body: object, sentences: list[str]
) -> None:
    answer = await client.request(method, path.format(mailbox.receive()), json=body)
    assert answer.status_code == 400
    assert answer.json() == {"statusCode": 400, "message": sentences, "error": "Bad Request", "requestId": "req-1"}


@pytest.mark.parametrize("raw", [b"{", b"\xff\xfe", b'{"to": ["\xe9"]}', b'{"subject": "\\ud800"}', b"[" * 100_000])
async def test_a_body_that_is_not_json_in_utf8_is_refused(client: httpx.AsyncClient, raw: bytes) -> None:
    answer = await client.post("drafts", content=raw)
    assert (answer.status_code, answer.json()) == snapshot(
        (
            400,
            {"statusCode": 400, "message": "Body is not valid JSON", "error": "Bad Request", "requestId": "req-1"},
        )
    )


async def test_a_body_of_more_than_10_mb_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("drafts", content=b" " * (10 * 2**20 + 1))
    assert (answer.status_code, answer.json()) == snapshot(
        (
            413,
            {
                "statusCode": 413,
                "message": "request entity too large",
                "error": "Payload Too Large",
                "requestId": "req-1",
            },
        )
    )


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "nothing"), ("PUT", "threads"), ("GET", "http://sandbox.test/elsewhere")]
)
async def test_an_unknown_path_or_method_is_not_found(client: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == 404
    assert answer.json()["message"].startswith(f"Cannot {method} /")


async def test_a_page_beyond_the_last_one_is_empty_however_far_it_is(client: httpx.AsyncClient) -> None:
    for path in ("threads", "scheduled"):
        answer = await client.get(path, params={"page": 10**20})
        assert (answer.status_code, answer.json()) == (200, [])


async def test_a_cursor_that_no_list_returned_is_refused(connect: Connect, mailbox: Mailbox) -> None:
    token = mailbox.store.issue_token(mailbox.user)
    client = connect({"Authorization": f"Bearer {token}"}, envelope="cursor")
    for cursor in ("x", "cGFnZTp4", "é"):
        assert (await client.get("threads", params={"cursor": cursor})).status_code == 400
