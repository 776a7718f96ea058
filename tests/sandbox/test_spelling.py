"""The sandbox says the same in other words, and knows nothing of the contract's own."""

from typing import Any

import httpx
import pytest

from other_services import NESTED, SNAKE
from salesos_inbox.sandbox.app import UNLIMITED, create_app
from salesos_inbox.sandbox.spelling import Spelling
from salesos_inbox.sandbox.store import Store

pytestmark = pytest.mark.anyio


class Service:
    """A sandbox in a spelling, with a thread in it, spoken to as the user."""

    def __init__(self, spelling: Spelling | None) -> None:
        self.store = Store()
        self.user = self.store.add_user("maya@example.com", "Maya", "Lindqvist")
        self.token = self.store.issue_token(self.user, session=True)
        self.app = create_app(self.store, limits=UNLIMITED, spelling=spelling)

    async def __call__(self, method: str, path: str, json: Any = None, **query: Any) -> Any:
        """Send one request; return its status and its JSON."""
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://sandbox.test/v1"
        ) as http:
            headers = {"Authorization": f"Bearer {self.token}"}
            answer = await http.request(method, path, json=json, params=query or None, headers=headers)
            return answer.status_code, answer.json() if answer.content else None


DRAFT = {"subject": "Offer", "body_text": "Soon", "to": ["ann@example.com"]}


async def test_snake_case_is_spoken_and_understood() -> None:
    service = Service(SNAKE)
    status, draft = await service("POST", "/email-inbox/drafts", DRAFT)
    assert (status, draft["body_text"], "bodyText" in draft) == (201, "Soon", False)
    _, page = await service("GET", "/email-inbox/threads", folder="drafts", is_read="true", limit=5)
    assert page["meta"]["total"] == 1
    assert [thread["message_count"] for thread in page["data"]] == [1]


async def test_a_name_of_the_contract_is_refused_by_that_name() -> None:
    service = Service(SNAKE)
    status, refusal = await service("POST", "/email-inbox/drafts", {"bodyText": "Soon", "bodyHtml": 5, "to": "ann"})
    assert (status, refusal["message"]) == (
        400,
        ["to must be an array", "property bodyText should not exist", "property bodyHtml should not exist"],
    )
    assert (await service("GET", "/email-inbox/threads", isRead="true"))[1]["message"] == [
        "property isRead should not exist"
    ]
    assert (await service("PATCH", "/email-inbox/threads/read", {"thread_ids": 1, "is_read": "x"}))[1]["message"] == [
        "thread_ids must be an array",
        "is_read must be a boolean value",
    ]


async def test_a_session_changes_things_without_a_csrf_token_where_the_service_knows_none() -> None:
    assert (await Service(None)("POST", "/email-inbox/drafts", {}))[0] == 403
    assert (await Service(SNAKE)("POST", "/email-inbox/drafts", {}))[0] == 201
    assert (await Service(SNAKE)("GET", "/auth/csrf-token"))[0] == 404


async def test_what_is_nested_is_spoken_and_understood() -> None:
    service = Service(NESTED)
    email = {"recipients": {"to": [{"email": "ann@example.com"}]}, "title": "Offer", "content": {"text": "Soon"}}
    status, saved = await service("POST", "/email-inbox/drafts", email)
    draft = saved["result"]
    assert status == 201
    assert {name: draft[name] for name in ("recipients", "title", "content")} == {
        "recipients": {"to": [{"email": "ann@example.com"}], "cc": [], "bcc": []},
        "title": "Offer",
        "content": {"html": None, "text": "Soon"},
    }
    _, page = await service("GET", "/email-inbox/threads", mailbox="@drafts", unread="false", pageSize=5)
    assert page["paging"] == {"after": None, "more": False, "total": 1}
    (thread,) = page["conversations"]
    assert (thread["mailbox"], thread["unread"], thread["title"]) == ("@drafts", False, "Offer")
    _, opened = await service("GET", f"/email-inbox/threads/{thread['conversationId']}")
    (message,) = opened["result"]["emails"]
    assert (message["from"]["email"], message["to"]) == ("maya@example.com", [{"email": "ann@example.com"}])
    marked = await service("PATCH", f"/email-inbox/threads/{thread['conversationId']}/read", {"unread": True})
    assert marked[1]["result"]["unread"] is True


async def test_a_path_that_moved_is_found_nowhere_else() -> None:
    service = Service(NESTED)
    status, me = await service("GET", "/users/me")
    assert (status, me["result"]["name"]) == (200, {"first": "Maya", "last": "Lindqvist"})
    assert (await service("GET", "/auth/me"))[0] == 404
    assert (await service("GET", "/email-inbox/nowhere"))[0] == 404
    assert (await service("GET", "/openapi.json"))[0] == 200


async def test_what_is_no_json_and_what_has_no_answer_go_through() -> None:
    service = Service(NESTED)
    assert (await service("DELETE", "/email-inbox/scheduled/none"))[0] == 404
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service.app), base_url="http://sandbox.test/v1") as http:
        headers = {"Authorization": f"Bearer {service.token}"}
        answer = await http.post("/email-inbox/drafts", content=b"{", headers=headers)
        assert (answer.status_code, answer.json()["message"]) == (400, "Body is not valid JSON")
