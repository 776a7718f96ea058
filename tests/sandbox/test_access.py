"""Who gets in: tokens, keys, scopes, organizations, CSRF, limits."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from inline_snapshot import snapshot

from salesos_inbox.contract.routes import ROUTES, Scope
from salesos_inbox.sandbox.app import OPERATIONS, Limits
from salesos_inbox.sandbox.store import Store
from sandbox.conftest import API, Clock, Connect, Mailbox

pytestmark = pytest.mark.anyio


def bearer(token: str, **other: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "X-Request-ID": "req-1", **other}


def test_every_route_of_the_contract_is_served_once() -> None:
    assert [operation.route for operation in OPERATIONS] == list(ROUTES)


async def test_a_request_without_credentials_is_unauthorized(connect: Connect, mailbox: Mailbox) -> None:
    answer = await connect({"X-Request-ID": "req-1"}).get("threads")
    assert (answer.status_code, answer.json()) == snapshot(
        (401, {"statusCode": 401, "message": "Unauthorized", "requestId": "req-1"})
    )
    assert answer.headers["X-RateLimit-Limit"]


async def test_an_expired_token_is_unauthorized(connect: Connect, mailbox: Mailbox) -> None:
    client = connect(bearer(mailbox.store.issue_token(mailbox.user, expires_in=60)))
    assert (await client.get("threads")).status_code == 200
    mailbox.clock.forward(seconds=60)
    assert (await client.get("threads")).status_code == 401


@pytest.mark.parametrize(
    "token", ["", "nonsense", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4IiwiZXhwIjo5OTk5OTk5OTk5fQ."]
)
async def test_a_forged_token_is_unauthorized(connect: Connect, mailbox: Mailbox, token: str) -> None:
    assert (await connect(bearer(token)).get("threads")).status_code == 401


async def test_a_token_of_another_sandbox_is_unauthorized(connect: Connect, mailbox: Mailbox) -> None:
    header, payload, signature = mailbox.store.issue_token(mailbox.user).split(".")
    forged = ".".join((header, payload, signature[::-1]))
    assert (await connect(bearer(forged)).get("threads")).status_code == 401


# Passwords

LOGIN = f"{API}/auth/login"
RIGHT = {"email": "sam@sales.test", "password": "correct horse"}
REFUSED = {"statusCode": 401, "message": "Unauthorized", "requestId": "req-1"}


async def test_a_password_is_exchanged_for_a_token_that_needs_a_csrf_token(connect: Connect, mailbox: Mailbox) -> None:
    mailbox.store.access.set_password(mailbox.user, "correct horse")
    answer = (await connect().post(LOGIN, json={**RIGHT, "email": "Sam@Sales.TEST"})).json()
    assert answer["expires_in"] == 86400
    client = connect(bearer(answer["access_token"]))
    assert (await client.get(f"{API}/auth/me")).json()["id"] == mailbox.user
    assert (await client.post(f"threads/{mailbox.receive()}/archive")).json()["message"] == "CSRF token required"


@pytest.mark.parametrize(
    "wrong",
    [
        {**RIGHT, "password": "wrong"},
        {**RIGHT, "password": ""},
        {**RIGHT, "email": "nobody@sales.test"},
        {**RIGHT, "email": "ann@sales.test"},
        {**RIGHT, "password": "wrong", "twoFactorCode": "123456"},
        {**RIGHT, "twoFactorCode": "654321"},
        {**RIGHT, "twoFactorCode": "١٢٣٤٥٦"},
    ],
)
async def test_a_sign_in_is_refused_in_the_same_words_whatever_is_wrong(
    connect: Connect, mailbox: Mailbox, wrong: dict[str, str]
) -> None:
    mailbox.store.access.set_password(mailbox.user, "correct horse", two_factor_code="123456")
    mailbox.store.add_user("ann@sales.test")  # who has no password
    answer = await connect({"X-Request-ID": "req-1"}).post(LOGIN, json=wrong)
    assert (answer.status_code, answer.json()) == (401, REFUSED)


async def test_a_user_with_two_factors_is_asked_for_the_code(connect: Connect, mailbox: Mailbox) -> None:
    mailbox.store.access.set_password(mailbox.user, "correct horse", two_factor_code="123456")
    asked = await connect().post(LOGIN, json=RIGHT)
    assert (asked.status_code, asked.json()) == (200, {"requiresTwoFactor": True})
    signed_in = await connect().post(LOGIN, json={**RIGHT, "twoFactorCode": "123456"})
    assert signed_in.json()["access_token"]


async def test_passwords_cannot_be_guessed_quickly(connect: Connect, mailbox: Mailbox) -> None:
    mailbox.store.access.set_password(mailbox.user, "correct horse")
    client = connect()
    statuses = [(await client.post(LOGIN, json={**RIGHT, "password": "x"})).status_code for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    refused = await client.post(LOGIN, json=RIGHT)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    mailbox.clock.forward(seconds=60)
    assert (await client.post(LOGIN, json=RIGHT)).status_code == 200


async def test_a_sign_in_is_read_as_strictly_as_any_body(connect: Connect, mailbox: Mailbox) -> None:
    answer = await connect().post(LOGIN, json={"email": "sam@sales.test", "code": "1"})
    assert (answer.status_code, answer.json()["message"]) == (
        400,
        ["password must be a string", "property code should not exist"],
    )


def test_a_password_is_not_in_the_file(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "sandbox.db")) as store:
        store.access.set_password(store.add_user("sam@sales.test"), "correct horse")
    assert b"correct horse" not in (tmp_path / "sandbox.db").read_bytes()


async def test_me_is_the_user_behind_the_token(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    assert (await client.get(f"{API}/auth/me")).json() == {
        "id": mailbox.user,
        "email": "sam@sales.test",
        "firstName": "Sam",
        "lastName": "Seller",
    }


@pytest.mark.parametrize("scope", list(Scope))
async def test_a_key_does_what_its_scopes_say_and_no_more(connect: Connect, mailbox: Mailbox, scope: Scope) -> None:
    client = connect({"X-API-Key": mailbox.store.add_api_key(mailbox.user, [scope]), "X-Request-ID": "req-1"})
    for route in (route for route in ROUTES if not route.is_public):
        ids = {"thread_id": "t", "scheduled_id": "s", "entity_type": "lead", "entity_id": "e"}
        answer = await client.request(route.method, API + route.url(**ids))
        lacking = {
            "statusCode": 403,
            "message": f"API key lacks the required scope: {route.scope}",
            "error": "Forbidden",
            "requestId": "req-1",
        }
        assert (answer.status_code != 403) if route.scope is scope else (answer.json() == lacking), route


async def test_an_admin_key_does_everything_without_a_csrf_token(connect: Connect, mailbox: Mailbox) -> None:
    thread = mailbox.receive()
    client = connect({"X-API-Key": mailbox.store.add_api_key(mailbox.user, ["admin"])})
    assert (await client.post("threads/delete", json={"threadIds": [thread]})).status_code == 200


async def test_an_unknown_key_is_unauthorized(connect: Connect, mailbox: Mailbox) -> None:
    assert (await connect({"X-API-Key": "sk_nothing"}).get("threads")).status_code == 401


@pytest.mark.parametrize(("organization", "status"), [("org-1", 200), ("org-2", 403)])
async def test_only_the_users_own_organization_can_be_chosen(
    connect: Connect, mailbox: Mailbox, organization: str, status: int
) -> None:
    client = connect(bearer(mailbox.store.issue_token(mailbox.user), **{"X-Organization-ID": organization}))
    assert (await client.get("threads")).status_code == status


async def test_writes_of_a_session_need_its_present_csrf_token(connect: Connect, mailbox: Mailbox) -> None:
    client = connect(bearer(mailbox.store.issue_token(mailbox.user)))
    path, body = f"threads/{mailbox.receive()}/star", {"isStarred": True}

    refused = await client.patch(path, json=body)
    assert (refused.status_code, refused.json()) == snapshot(
        (
            403,
            {"statusCode": 403, "message": "CSRF token required", "error": "Forbidden", "requestId": "req-1"},
        )
    )

    token = (await client.get(f"{API}/auth/csrf-token")).json()["csrf_token"]
    assert (await client.patch(path, json=body, headers={"X-CSRF-Token": token})).status_code == 200
    assert (await client.patch(path, json=body, headers={"X-CSRF-Token": "wrong"})).json()["message"] == (
        "Invalid CSRF token"
    )


async def test_a_rotated_csrf_token_is_handed_out_once(connect: Connect, mailbox: Mailbox) -> None:
    client = connect(bearer(mailbox.store.issue_token(mailbox.user)))
    path, body = f"threads/{mailbox.receive()}/star", {"isStarred": True}
    stale = (await client.get(f"{API}/auth/csrf-token")).json()["csrf_token"]
    mailbox.store.rotate_csrf(mailbox.user)

    refused = await client.patch(path, json=body, headers={"X-CSRF-Token": stale})
    assert refused.json()["message"] == "Invalid CSRF token"
    fresh = refused.headers["X-CSRF-Token"]
    accepted = await client.patch(path, json=body, headers={"X-CSRF-Token": fresh})
    assert accepted.status_code == 200
    assert "X-CSRF-Token" not in accepted.headers


async def test_a_refreshed_token_lives_on_in_the_same_session(connect: Connect, mailbox: Mailbox) -> None:
    first = connect(bearer(mailbox.store.issue_token(mailbox.user, expires_in=60)))
    csrf = {"X-CSRF-Token": (await first.get(f"{API}/auth/csrf-token")).json()["csrf_token"]}
    refreshed = (await first.post(f"{API}/auth/refresh", headers=csrf)).json()
    assert refreshed["expires_in"] == 86400

    mailbox.clock.forward(hours=1)
    second = connect(bearer(refreshed["access_token"], **csrf))
    assert (await second.post(f"threads/{mailbox.receive()}/archive")).status_code == 200


async def test_where_tokens_rotate_the_refreshed_one_is_refused_at_once(connect: Connect, mailbox: Mailbox) -> None:
    mailbox.store.access.rotates_tokens = True
    first = connect(bearer(mailbox.store.issue_token(mailbox.user)))
    csrf = {"X-CSRF-Token": (await first.get(f"{API}/auth/csrf-token")).json()["csrf_token"]}
    token = (await first.post(f"{API}/auth/refresh", headers=csrf)).json()["access_token"]
    assert (await first.get("threads")).status_code == 401
    assert (await connect(bearer(token)).get("threads")).status_code == 200


async def test_a_key_cannot_be_refreshed(connect: Connect, mailbox: Mailbox) -> None:
    client = connect({"X-API-Key": mailbox.store.add_api_key(mailbox.user)})
    assert (await client.post(f"{API}/auth/refresh")).status_code == 401


async def test_too_many_requests_are_refused_until_the_window_ends(
    connect: Connect, mailbox: Mailbox, clock: Clock
) -> None:
    client = connect(bearer(mailbox.store.issue_token(mailbox.user)), limits=Limits(per_minute=2))
    answers = [await client.get("folders") for _ in range(3)]

    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert answers[0].headers["X-RateLimit-Reset"] == str(int(clock().timestamp()) + 60)
    assert (answers[2].status_code, answers[2].headers["Retry-After"], answers[2].json()) == snapshot(
        (
            429,
            "60",
            {
                "statusCode": 429,
                "message": "Too Many Requests",
                "error": "Too Many Requests",
                "requestId": "req-1",
            },
        )
    )
    clock.forward(seconds=60)
    assert (await client.get("folders")).status_code == 200


async def test_a_limit_per_second_counts_too(connect: Connect, mailbox: Mailbox, clock: Clock) -> None:
    client = connect(bearer(mailbox.store.issue_token(mailbox.user)), limits=Limits(per_minute=9, per_second=1))
    assert (await client.get("folders")).status_code == 200
    assert (await client.get("folders")).headers["Retry-After"] == "1"
    clock.forward(seconds=1)
    assert (await client.get("folders")).status_code == 200


async def test_each_user_has_a_limit_of_their_own(connect: Connect, mailbox: Mailbox) -> None:
    limits = Limits(per_minute=1)
    client = connect(bearer(mailbox.store.issue_token(mailbox.user)), limits=limits)
    await client.get("folders")
    other = mailbox.store.issue_token(mailbox.store.add_user("ann@sales.test"))
    assert (await client.get("folders", headers=bearer(other))).status_code == 200


async def test_a_request_id_is_echoed_and_made_where_it_is_missing_or_odd(connect: Connect, mailbox: Mailbox) -> None:
    client = connect(bearer(mailbox.store.issue_token(mailbox.user)))
    assert (await client.get("folders")).headers["X-Request-ID"] == "req-1"
    assert len((await client.get("folders", headers={"X-Request-ID": "x" * 300})).headers["X-Request-ID"]) == 36


async def test_users_never_reach_each_others_mail(connect: Connect, mailbox: Mailbox) -> None:
    """Every route is called with ids of another user's; nothing is found, and nothing is changed."""
    store, victim = mailbox.store, mailbox.user
    thread = mailbox.receive("Secret", "a secret word")
    record = store.add_crm_record(victim, "lead", "Their lead")
    store.link_crm(victim, thread, "lead", record)
    clock = mailbox.clock
    clock.forward(minutes=1)
    intruder = connect(bearer(store.issue_token(store.add_user("eve@sales.test"), session=False)))
    owner = connect(bearer(store.issue_token(victim, session=False)))
    later = (clock().replace(year=2026)).isoformat()
    email = {"to": ["eve@sales.test"], "subject": "x", "threadId": thread}
    scheduled = (await owner.post("send", json={**email, "to": ["a@b.test"], "scheduledFor": later})).json()["id"]
    draft = (await owner.post("drafts", json={"subject": "Plan", "threadId": thread})).json()["id"]
    await owner.post(f"threads/{thread}/follow-up", json={"reminderDate": later})
    before = [(await owner.get(path)).json() for path in (f"threads/{thread}", "scheduled", "stats", "folders")]

    batch: dict[str, object] = {"threadIds": [thread]}
    bodies: dict[int, Sequence[Mapping[str, object]]] = {
        4: [email, {"to": ["eve@sales.test"], "draftId": draft}, {**email, "scheduledFor": later}],
        5: [{"id": draft, "subject": "Mine"}, {"threadId": thread}],
        6: [{"isRead": True}],
        7: [{"isStarred": True}],
        9: [{**batch, "action": action} for action in ("read", "star", "archive", "delete")]
        + [{**batch, "action": "move", "folder": "spam"}],
        10: [{"entityType": "lead", "entityId": record}],
        14: [{**batch, "isRead": True}],
        15: [{**batch, "isStarred": True}],
        16: [batch],
        17: [{**batch, "folder": "spam"}],
        18: [batch],
        21: [{"reminderDate": later}],
    }
    ids = {"thread_id": thread, "scheduled_id": scheduled, "entity_type": "lead", "entity_id": record}
    params = {2: {"entityType": "lead", "entityId": record}, 13: {"q": "secret"}}
    for route in (route for route in ROUTES if route.number):
        for body in bodies.get(route.number, [None]):
            answer = await intruder.request(
                route.method, API + route.url(**ids), json=body, params=params.get(route.number)
            )
            if answer.status_code == 404:
                continue
            assert answer.status_code == 200, route
            if route.answer and route.answer.__name__ == "BulkResult":
                assert answer.json() == {"success": [], "failed": [{"id": thread, "error": "Thread not found"}]}
            assert "ecret" not in answer.text
            assert '"totalThreads":1' not in answer.text

    after = [(await owner.get(path)).json() for path in (f"threads/{thread}", "scheduled", "stats", "folders")]
    assert after == before
