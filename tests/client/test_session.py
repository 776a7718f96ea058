# ruff: noqa: E501  (sentences stand whole)
"""Who the client is to the service: tokens, keys, organizations, CSRF, refresh."""

import json
from base64 import urlsafe_b64encode
from email.utils import format_datetime
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from client.conftest import Account
from harness import NOW
from salesos_inbox.client.credentials import (
    Credential,
    CredentialStore,
    Environment,
    KeptFile,
    TokenFile,
    with_credential,
)
from salesos_inbox.client.session import REFRESH_AGAIN, REFRESH_BEFORE, Claims, Session, read_claims
from salesos_inbox.contract import models
from salesos_inbox.contract.overrides import read_overrides
from salesos_inbox.errors import (
    ContractBroken,
    InboxError,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unauthorized,
    Unavailable,
)
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
        for _ in range(50):
            group.start_soon(client.list_folders)
    assert account.paths() == [CSRF, REFRESH, *["GET /folders"] * 50]
    account.clock.advance(hours=1)
    await client.list_folders()
    assert account.paths().count(REFRESH) == 1


async def test_a_token_far_from_its_end_is_left_alone(account: Account) -> None:
    client = account.with_token(expires_in=REFRESH_BEFORE + 1)
    await client.list_folders()
    assert account.paths() == ["GET /folders"]


async def test_who_works_every_day_signs_in_once(account: Account, tmp_path: Path) -> None:
    """A token lives a day. Servers run from nine to four, make a call every half an hour, and are closed at night."""
    account.store.access.rotates_tokens = True
    _, file = account.signed_in(tmp_path)
    for _ in range(20):
        client = account.client(with_credential(Settings(), read(file)), file)
        for _ in range(14):
            await client.list_folders()
            account.clock.advance(minutes=30)
        account.clock.advance(hours=17)
    assert account.paths().count("GET /folders") == 20 * 14
    assert account.paths().count(REFRESH) <= 20 * 7


async def test_a_token_that_cannot_be_kept_is_not_exchanged_before_it_must_be(account: Account) -> None:
    """Where tokens rotate, the one in the environment would be dead at the next start."""
    token = Credential(account.store.issue_token(account.user_id))
    client = account.client(with_credential(Settings(), token), Environment(token))
    account.clock.advance(hours=23)
    await client.list_folders()
    assert account.paths() == ["GET /folders"]


@pytest.mark.parametrize(
    ("claims", "most"),
    [
        ({"iat": 0, "exp": 10**6}, 24),
        ({"exp": 10**6}, 0),
        ({"iat": 10**6, "exp": 2 * 10**6}, 0),
        ({"iat": 0, "exp": "x"}, 24),
    ],
)
async def test_tokens_that_always_look_old_are_not_exchanged_at_every_call(
    claims: dict[str, object], most: int, tmp_path: Path
) -> None:
    tries = 0

    async def fetch() -> str:
        nonlocal tries
        tries += 1
        return jwt({**claims, "n": tries})

    file = KeptFile("https://api.salesos.org/v1", tmp_path)
    file.keep(Credential(jwt(claims)))
    session = Session(with_credential(Settings(), read(file)), file)
    for minute in range(60, 60 + 24 * 60):
        await session.refresh(60.0 * minute, fetch)
    assert tries == most


async def test_tokens_that_live_for_minutes_are_exchanged_once_a_minute_at_most() -> None:
    tries, now = 0, 0.0

    async def fetch() -> str:
        nonlocal tries
        tries += 1
        return jwt({"exp": now + 200, "n": tries})

    session = Session(Settings(token=await fetch()))
    for second in range(0, 600, 5):
        now = float(second)
        await session.refresh(now, fetch)
    assert tries == 1 + 10


async def test_an_early_exchange_that_fails_is_tried_again_after_an_hour(tmp_path: Path) -> None:
    tries = 0

    async def fetch() -> str:
        nonlocal tries
        tries += 1
        raise NotFound("no such address")

    file = KeptFile("https://api.salesos.org/v1", tmp_path)
    file.keep(Credential(jwt({"iat": 0, "exp": 86400, "jti": "s"})))
    session = Session(with_credential(Settings(), read(file)), file)
    for minute in range(24 * 60):
        await session.refresh(60.0 * minute, fetch)
    assert tries == 22 + 5 + 1


async def test_a_token_that_has_ended_goes_out_once_more_to_be_refreshed_and_never_again(account: Account) -> None:
    client = account.with_token(expires_in=10)
    account.clock.advance(seconds=10)
    with pytest.raises(Unauthorized) as ended:
        await client.list_folders()
    with pytest.raises(Unauthorized):
        await client.get_stats()
    assert account.paths() == [REFRESH]
    assert str(ended.value) == snapshot(
        "The SalesOS token has ended and cannot be renewed, so nothing was done: ask the user to set a new SALESOS_TOKEN, or to leave it out and run `salesos-inbox-mcp auth login`, and to restart the server."
    )


async def test_many_calls_with_a_token_that_has_ended_ask_once_for_all(account: Account) -> None:
    client = account.with_token(expires_in=10)
    account.clock.advance(seconds=10)
    failed: list[InboxError] = []

    async def call() -> None:
        try:
            await client.list_folders()
        except InboxError as error:
            failed.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(call)
    assert account.paths() == [REFRESH]
    assert [type(error) for error in failed] == [Unauthorized] * 50


async def test_what_a_signed_in_user_does_about_an_ended_token_is_to_sign_in(account: Account, tmp_path: Path) -> None:
    client, file = account.signed_in(tmp_path, expires_in=10)
    account.clock.advance(seconds=10)
    with pytest.raises(Unauthorized, match="run `salesos-inbox-mcp auth login`, then call again"):
        await client.list_folders()
    file.keep(Credential(account.store.issue_token(account.user_id)))  # as the command does, in another process
    assert (await client.list_folders()).items


async def test_after_signing_out_a_server_goes_on_until_its_token_ends_and_keeps_no_new_one(
    account: Account, tmp_path: Path
) -> None:
    client, file = account.signed_in(tmp_path, expires_in=60)
    file.forget()
    await client.list_folders()
    account.clock.advance(seconds=60)
    with pytest.raises(Unauthorized, match="Nobody is signed in to SalesOS"):
        await client.list_folders()
    assert REFRESH not in account.paths()
    assert file.read() is None


async def test_somebody_elses_token_is_not_taken_over_by_a_running_server(account: Account, tmp_path: Path) -> None:
    client, file = account.signed_in(tmp_path, expires_in=60)
    file.keep(Credential(account.store.issue_token(account.store.add_user("ann@sales.test"))))
    await client.list_folders()
    account.clock.advance(seconds=60)
    with pytest.raises(Unauthorized, match=r"Somebody else has signed in to SalesOS meanwhile: .* restart the server"):
        await client.list_folders()


# Rotation


async def test_calls_with_a_token_that_another_process_rotated_are_repeated_with_the_new_one(
    account: Account, tmp_path: Path
) -> None:
    threads = [account.receive() for _ in range(10)]
    client, file = account.signed_in(tmp_path)
    await client.set_star(threads[0], True)
    account.rotate(file)
    account.wire.requests.clear()
    async with anyio.create_task_group() as group:
        for thread in threads:
            group.start_soon(client.get_thread, thread)
            group.start_soon(client.archive_thread, thread)
    assert account.paths().count(REFRESH) == 0
    assert account.paths().count(f"GET /threads/{threads[0]}") == 2
    assert {account.store.thread(account.user_id, thread).folder for thread in threads} == {"archive"}


async def test_a_first_write_with_a_token_that_another_process_rotated_is_done(
    account: Account, tmp_path: Path
) -> None:
    """The first sign of it is that no CSRF token is to be had."""
    thread = account.receive()
    client, file = account.signed_in(tmp_path)
    account.rotate(file)
    await client.archive_thread(thread)
    assert account.store.thread(account.user_id, thread).folder == "archive"


async def test_one_exchange_serves_all_calls_that_wait_for_it_and_none_goes_out_with_the_dead_token(
    account: Account, tmp_path: Path
) -> None:
    account.store.access.rotates_tokens = True
    client, file = account.signed_in(tmp_path)
    old = read(file).secret
    account.clock.advance(hours=2)
    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(client.list_folders)
    assert read(file).secret != old
    assert account.paths().count(REFRESH) == 1
    assert account.paths().count("GET /folders") == 50


async def test_a_token_that_is_refused_before_its_end_is_exchanged_once_for_all_calls(account: Account) -> None:
    tries: list[str] = []

    async def fetch() -> str:
        tries.append("refresh")
        await anyio.lowlevel.checkpoint()
        return "new"

    session = Session(Settings(token="old"))
    answers: list[bool] = []

    async def refused() -> None:
        answers.append(await session.renew("old", fetch))

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(refused)
    assert (tries, answers, session.token) == (["refresh"], [True] * 50, "new")


async def test_when_another_process_is_quicker_its_token_serves_both(tmp_path: Path) -> None:
    """Both have read the store and go out to refresh; the second finds the old token dead."""
    file = KeptFile("https://api.salesos.org/v1", tmp_path)
    file.keep(Credential(jwt({"exp": 1000 + 200})))
    session = Session(with_credential(Settings(), read(file)), file)
    newer = jwt({"exp": 100_000})

    async def fetch() -> str:
        file.keep(Credential(newer))
        raise Unauthorized("the token is dead")

    await session.refresh(1000, fetch)
    assert session.token == newer


async def test_a_call_that_was_in_flight_during_an_exchange_is_repeated_without_another() -> None:
    async def fetch() -> str:
        return "new"

    old = jwt({"exp": 1000 + 200})
    session = Session(Settings(token=old))
    await session.refresh(1000, fetch)
    assert await session.renew(old, never)
    assert session.token == "new"


async def test_a_revoked_token_is_told_after_one_refresh(account: Account, tmp_path: Path) -> None:
    client, _ = account.signed_in(tmp_path)
    account.store.access.end_sessions(account.user_id)
    with pytest.raises(Unauthorized) as refused:
        await client.list_folders()
    with pytest.raises(Unauthorized):
        await client.list_folders()
    assert account.paths() == ["GET /folders", REFRESH, "GET /folders"]
    assert str(refused.value) == snapshot(
        "SalesOS does not accept the token (ended, revoked or unknown), and nothing was changed: ask the user to run `salesos-inbox-mcp auth login`, then call again."
    )


async def test_a_refresh_goes_on_when_the_call_that_began_it_is_cancelled() -> None:
    """Else the old token may be dead and the new one lost."""
    begun, asked = anyio.Event(), anyio.Event()

    async def fetch() -> str:
        begun.set()
        await asked.wait()
        return "new"

    session = Session(Settings(token=jwt({"exp": 1000 + 200})))
    async with anyio.create_task_group() as group:
        group.start_soon(session.refresh, 1000, fetch)
        await begun.wait()
        group.cancel_scope.cancel()
        asked.set()
    assert session.token == "new"


# What a refresh can come to

HTTP_404, BROKEN = NotFound("no such address"), ContractBroken("odd")


@pytest.mark.parametrize("error", [HTTP_404, BROKEN, Unauthorized("no"), Unavailable("down"), RateLimited("slow", 5)])
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


@pytest.mark.parametrize(
    ("error", "told"),
    [(Unavailable("down"), Unavailable), (RateLimited("slow", 5), RateLimited), (OutcomeUnknown("lost"), Unavailable)],
)
async def test_a_service_that_is_down_is_not_mistaken_for_a_session_that_has_ended(
    error: InboxError, told: type[InboxError]
) -> None:
    answers: list[InboxError | str] = [error, error, "fresh"]

    async def fetch() -> str:
        answer = answers.pop(0)
        if isinstance(answer, str):
            return answer
        raise answer

    session = Session(Settings(token=jwt({"exp": 1000})))
    with pytest.raises(told):
        await session.refresh(1000, fetch)
    with pytest.raises(told):
        await session.renew(session.token, fetch)
    await session.refresh(1000, fetch)
    assert session.token == "fresh"


@pytest.mark.parametrize("token", ["", "a\nb", "tök"])
async def test_a_new_token_that_no_header_can_carry_is_not_used(token: str) -> None:
    async def fetch() -> str:
        return token

    session = Session(Settings(token=jwt({"exp": 1000})))
    with pytest.raises(Unauthorized, match="has ended"):
        await session.refresh(1000, fetch)


async def test_a_token_that_cannot_be_kept_is_used_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def fetch() -> str:
        return "secret-new"

    (tmp_path / "blocked").touch()
    store = Unwritable("https://api.salesos.org/v1", tmp_path / "blocked" / "credentials")
    session = Session(Settings(token="secret-old"), store)
    assert await session.renew("secret-old", fetch)
    assert session.token == "secret-new"
    assert "the next start may need `salesos-inbox-mcp auth login`" in caplog.text
    assert "secret" not in caplog.text


class Unwritable(KeptFile):
    """A kept file that was there when the server started, on a disk that takes no more."""

    def read(self) -> Credential:
        return Credential("secret-old")


async def test_a_token_file_of_somebody_elses_does_not_bring_the_old_token_back(
    account: Account, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text(account.store.issue_token(account.user_id))
    path.chmod(0o644)
    account.store.access.rotates_tokens = True
    store = TokenFile(path)
    client = account.client(with_credential(Settings(), read(store)), store)
    for _ in range(3):
        account.clock.advance(hours=23, minutes=57)
        await client.list_folders()
    assert account.paths().count(REFRESH) == 3
    account.store.access.end_sessions(account.user_id)
    path.write_text(account.store.issue_token(account.user_id))
    assert (await client.list_folders()).items


# A server that began without a credential


async def test_a_keyring_unlocked_later_is_looked_into_again(account: Account, tmp_path: Path) -> None:
    file = KeptFile("https://api.salesos.org/v1", tmp_path)
    client = account.client(Settings(), file)
    with pytest.raises(Unauthorized, match=r"^Nobody is signed in to SalesOS: ask the user to run `.* auth login`"):
        await client.list_folders()
    assert account.paths() == []
    file.keep(Credential(account.store.issue_token(account.user_id)))
    assert (await client.list_folders()).items


# Clocks


@pytest.mark.parametrize("ahead", [60.0, 3600.0, 1e8])
async def test_a_clock_that_is_ahead_ends_no_token_once_the_service_has_told_the_time(ahead: float) -> None:
    now = NOW.timestamp()

    async def fetch() -> str:
        session.tell_time(now + ahead, format_datetime(NOW, usegmt=True))  # as the refusal's own header does
        raise NotFound("no such address")

    session = Session(Settings(token=jwt({"exp": now + 30, "jti": "s"})))
    await session.refresh(now + ahead, fetch)
    with pytest.raises(Unauthorized, match="has ended"):
        await session.refresh(now + ahead + 30, fetch)


async def test_a_clock_that_is_behind_ends_no_token_either() -> None:
    session = Session(Settings(token=jwt({"exp": 5000})))
    session.tell_time(1000, format_datetime(NOW, usegmt=True))
    await session.refresh(1000, never)


@given(st.text() | st.sampled_from(["Wed, 18 Nov 99999 09:00:00 GMT", "0", "Wed, 18 Nov 2026 09:00:00 -9999"]))
def test_any_text_can_be_a_date(date: str) -> None:
    session = Session(Settings(token="t"))
    session.tell_time(0, date)
    session.tell_time(0, None)


# Services without CSRF tokens


async def test_where_the_service_knows_no_csrf_tokens_none_is_asked_for_nor_sent() -> None:
    overrides = read_overrides({"session": {"csrf": False}})
    session = Session(Settings(token=jwt({"jti": "s"}), overrides=overrides))
    session.keep_csrf_token("handed out")
    assert await session.write_headers(never) == {}


async def never() -> str:
    raise AssertionError


def read(store: CredentialStore) -> Credential:
    """Return what a store holds."""
    credential = store.read()
    assert credential
    return credential


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
    with pytest.raises(Unauthorized, match="does not accept the token"):
        await account.client(Settings(token="nonsense")).list_threads(models.ListThreads())


# What a token says of itself


@pytest.mark.parametrize(
    ("claims", "read"),
    [
        ({"exp": 5, "jti": "s"}, Claims(5, True)),
        ({"exp": 5.5}, Claims(5.5, False)),
        ({}, Claims(None, False)),
        ({"exp": "soon", "jti": None}, Claims(None, True)),
        ({"exp": True, "sub": "u1"}, Claims(None, False, "u1")),
        ({"exp": float("nan"), "sub": 1}, Claims(None, False)),
        ({"exp": float("inf")}, Claims(None, False)),
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
    await session.refresh(NOW.timestamp(), never)
    assert "Authorization" in session.headers()
