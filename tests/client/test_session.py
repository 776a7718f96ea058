"""Who the client is to the service: tokens, keys, organizations, CSRF, refresh."""

import json
from base64 import urlsafe_b64encode
from functools import partial

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.conftest import Account
from harness import NOW
from salesos_inbox.client.session import REFRESH_AGAIN, REFRESH_BEFORE, Claims, Session, read_claims
from salesos_inbox.contract import models
from salesos_inbox.errors import InboxError, NotFound, Refused, Unauthorized, Unavailable
from salesos_inbox.settings import Settings

pytestmark = pytest.mark.anyio

CSRF = "GET /auth/csrf-token"
REFRESH = "POST /auth/refresh"


def jwt(claims: object) -> str:
    """Return an unsigned token that says `claims` of itself."""
    return f"e30.{urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.x"


# CSRF


async def test_a_session_fetches_a_csrf_token_before_its_first_write_and_keeps_it(account: Account) -> None:
    thread, client = account.receive(), account.with_token()
    await client.get_thread(thread)
    await client.set_star(thread, True)
    await client.set_star(thread, False)
    star = f"PATCH /threads/{thread}/star"
    assert account.paths() == [f"GET /threads/{thread}", CSRF, star, star]


async def test_reading_alone_never_fetches_a_csrf_token(account: Account) -> None:
    client = account.with_token()
    await client.list_folders()
    await client.get_stats()
    assert CSRF not in account.paths()


async def test_a_token_without_a_session_and_an_api_key_never_fetch_one(account: Account) -> None:
    thread = account.receive()
    for client in (account.with_token(session=False), account.with_key("read", "write", "delete")):
        await client.set_star(thread, True)
        await client.delete_batch([thread])
    assert CSRF not in account.paths()
    assert len(account.wire.writes()) == 4


async def test_a_rotated_csrf_token_is_renewed_once_and_the_write_done_once(account: Account) -> None:
    thread, client = account.receive(), account.with_token()
    await client.set_star(thread, True)
    account.wire.requests.clear()
    account.store.rotate_csrf(account.user_id)
    await client.archive_thread(thread)
    await client.set_star(thread, False)
    archive = f"POST /threads/{thread}/archive"
    # The refusal itself hands the new token out, so it need not be fetched.
    assert account.paths() == [archive, archive, f"PATCH /threads/{thread}/star"]
    assert account.store.thread(account.user_id, thread).folder == "archive"


async def test_a_rotated_csrf_token_that_a_read_brings_is_used_at_once(account: Account) -> None:
    thread, client = account.receive(), account.with_token()
    await client.set_star(thread, True)
    account.store.rotate_csrf(account.user_id)
    await client.get_thread(thread)
    account.wire.requests.clear()
    await client.archive_thread(thread)
    assert account.paths() == [f"POST /threads/{thread}/archive"]


async def test_many_parallel_writes_fetch_the_csrf_token_once(account: Account) -> None:
    threads, client = [account.receive() for _ in range(20)], account.with_token()
    async with anyio.create_task_group() as group:
        for thread in threads:
            group.start_soon(client.archive_thread, thread)
    assert account.paths().count(CSRF) == 1
    assert len(account.paths()) == 21


async def test_parallel_writes_with_a_stale_csrf_token_are_all_done(account: Account) -> None:
    threads, client = [account.receive() for _ in range(20)], account.with_token()
    await client.set_star(threads[0], True)
    account.store.rotate_csrf(account.user_id)
    async with anyio.create_task_group() as group:
        for thread in threads:
            group.start_soon(client.archive_thread, thread)
    assert account.paths().count(CSRF) == 1
    assert {account.store.thread(account.user_id, thread).folder for thread in threads} == {"archive"}


# Refresh


async def test_a_token_near_its_end_is_refreshed_once_for_parallel_calls(account: Account) -> None:
    client = account.with_token(expires_in=REFRESH_BEFORE - 1)
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(client.list_folders)
    assert account.paths() == [CSRF, REFRESH, *["GET /folders"] * 10]
    account.clock.advance(hours=1)
    await client.list_folders()
    assert account.paths().count(REFRESH) == 1


async def test_a_token_far_from_its_end_is_left_alone(account: Account) -> None:
    client = account.with_token(expires_in=REFRESH_BEFORE + 1)
    await client.list_folders()
    assert account.paths() == ["GET /folders"]


async def test_an_expired_token_is_not_refreshed_but_told(account: Account) -> None:
    client = account.with_token(expires_in=10)
    account.clock.advance(seconds=11)
    with pytest.raises(Unauthorized, match="new SALESOS_TOKEN"):
        await client.list_folders()
    assert account.paths() == ["GET /folders"]


@pytest.mark.parametrize("error", [NotFound("no such address"), Unavailable("down")])
async def test_a_refresh_that_fails_leaves_the_token_and_is_tried_again_a_minute_later(error: InboxError) -> None:
    now, tries = 1000.0, 0

    async def fetch() -> str:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise error
        return "fresh"

    token = jwt({"exp": now + 200, "jti": "s"})
    session = Session(Settings(token=token))
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(session.refresh, now, fetch)
    assert (tries, session.headers()) == (1, {"Authorization": f"Bearer {token}"})
    await session.refresh(now + REFRESH_AGAIN, fetch)
    assert (tries, session.headers()) == (2, {"Authorization": "Bearer fresh"})


# Keys and organizations


@pytest.mark.parametrize("scope", ["read", "write", "delete"])
async def test_a_refusal_for_want_of_a_scope_names_it(account: Account, scope: str) -> None:
    thread = account.receive()
    client = account.with_key(*({"read", "write", "delete"} - {scope}))
    call = {
        "read": client.list_folders,
        "write": partial(client.set_star, thread, True),
        "delete": partial(client.delete_batch, [thread]),
    }[scope]
    with pytest.raises(Unauthorized, match=f"The API key lacks the scope '{scope}'"):
        await call()


async def test_the_organization_travels_with_every_request(account: Account) -> None:
    assert (await account.with_key("read", organization_id="org-1").list_folders()).items
    with pytest.raises(Refused):
        await account.with_key("read", organization_id="org-2").list_folders()


def test_headers_name_either_the_token_or_the_key() -> None:
    assert Session(Settings(token="t")).headers() == {"Authorization": "Bearer t"}
    assert Session(Settings(api_key="k", organization_id="o")).headers() == {
        "X-API-Key": "k",
        "X-Organization-ID": "o",
    }
    assert Session(Settings()).headers() == {}


async def test_an_unknown_token_is_told_in_words(account: Account) -> None:
    with pytest.raises(Unauthorized, match="does not accept the token or key"):
        await account.client(Settings(token="nonsense")).list_threads(models.ListThreads())


# What a token says of itself


@pytest.mark.parametrize(
    ("claims", "read"),
    [
        ({"exp": 5, "jti": "s"}, Claims(5, True)),
        ({"exp": 5.5}, Claims(5.5, False)),
        ({}, Claims(None, False)),
        ({"exp": "soon", "jti": None}, Claims(None, True)),
        ([1], Claims(None, True)),
    ],
)
def test_the_claims_of_a_token(claims: object, read: Claims) -> None:
    assert read_claims(jwt(claims)) == read


@given(st.text() | st.builds(jwt, st.dictionaries(st.sampled_from(["exp", "jti"]), st.integers() | st.text())))
def test_any_text_can_be_a_token(token: str) -> None:
    assert isinstance(read_claims(token), Claims)


async def test_a_token_with_an_end_beyond_all_numbers_is_used_as_it_is() -> None:
    session = Session(Settings(token=jwt({"exp": 10**400})))

    async def fetch() -> str:
        raise AssertionError

    await session.refresh(NOW.timestamp(), fetch)
    assert "Authorization" in session.headers()
