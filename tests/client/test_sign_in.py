"""A password for a token: what services answer to that, and what becomes of the password."""

import logging
import traceback
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from salesos_inbox.client.sign_in import sign_in, who_is
from salesos_inbox.contract import models
from salesos_inbox.contract.overrides import read_overrides
from salesos_inbox.errors import (
    ContractBroken,
    InboxError,
    InvalidArguments,
    RateLimited,
    Refused,
    Unauthorized,
    Unavailable,
)
from salesos_inbox.sandbox.app import create_app
from salesos_inbox.sandbox.store import Store
from salesos_inbox.settings import Settings

pytestmark = pytest.mark.anyio

LOGIN = models.SignIn(email="sam@sales.test", password="correct horse", two_factor_code="987654")
HTML = {"text": "<!doctype html><title>SalesOS</title>", "headers": {"Content-Type": "text/html"}}


class Answering(httpx.AsyncBaseTransport):
    """A service that answers every request alike, or cannot be reached, and remembers the requests."""

    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self.answer = answer
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        response = httpx.Response(
            self.answer.get("status", 200), **{k: v for k, v in self.answer.items() if k != "status"}
        )
        content = response.content
        return httpx.Response(response.status_code, headers=response.headers, stream=Streamed(content))


class Streamed(httpx.AsyncByteStream):
    """A body as it comes over a network."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


@pytest.mark.parametrize(
    "answer",
    [
        {"json": {"access_token": "t.o.k", "expires_in": 86400}},
        {"json": {"accessToken": "t.o.k"}, "status": 201},
        {"json": {"data": {"access_token": "t.o.k"}}},
        {"json": {"access_token": "t.o.k", "user": {"id": "u1"}}},
    ],
)
async def test_a_token_is_read_in_each_form_that_siblings_have(answer: dict[str, Any]) -> None:
    service = Answering(answer)
    assert (await sign_in(Settings(token="older"), LOGIN, transport=service)).access_token == "t.o.k"
    (request,) = service.requests
    assert str(request.url) == "https://api.salesos.org/v1/auth/login"
    assert request.content == b'{"email":"sam@sales.test","password":"correct horse","twoFactorCode":"987654"}'
    assert "authorization" not in request.headers


async def test_the_question_for_a_code_is_no_token() -> None:
    answer = await sign_in(Settings(), LOGIN, transport=Answering({"json": {"requiresTwoFactor": True}}))
    assert (answer.access_token, answer.requires_two_factor) == ("", True)


async def test_an_operator_renames_what_is_only_assumed_of_the_sign_in() -> None:
    document = {
        "routes": {
            "sign_in": {"path": "/session", "rename": {"email": "login"}, "answer": {"accessToken": "jwt.value"}}
        }
    }
    service = Answering({"json": {"jwt": {"value": "t.o.k"}}})
    settings = Settings(overrides=read_overrides(document))
    assert (await sign_in(settings, LOGIN, transport=service)).access_token == "t.o.k"
    assert service.requests[0].url.path == "/v1/session"
    assert b'"login":"sam@sales.test"' in service.requests[0].content


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"status": 404, "json": {"statusCode": 404, "message": "Cannot POST /v1/auth/login"}}, ContractBroken),
        ({"status": 403, "json": {"statusCode": 403}}, ContractBroken),
        ({"status": 405, **HTML}, ContractBroken),
        ({"status": 302, "headers": {"Location": "/sso"}}, ContractBroken),
        (HTML, ContractBroken),
        ({"json": []}, ContractBroken),
        ({"json": {"access_token": 5}}, ContractBroken),
        ({"json": {"session": "x"}}, ContractBroken),
    ],
)
async def test_where_no_such_sign_in_is_offered_another_way_to_a_token_is_told(
    answer: dict[str, Any], kind: type[InboxError]
) -> None:
    service = Answering(answer)
    with pytest.raises(kind, match=r"copy the token out .* and run: salesos-inbox-mcp auth login --token$"):
        await sign_in(Settings(), LOGIN, transport=service)
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"status": 401, "json": {"message": "no such user"}}, Unauthorized),
        ({"status": 400, "json": {"message": ["property twoFactorCode should not exist"]}}, ContractBroken),
        ({"status": 400, "json": {"message": ["email must be an email"]}}, InvalidArguments),
        ({"status": 429, "json": {}}, RateLimited),
        ({"status": 500, "json": {}}, Unavailable),
        ({"status": 503, **HTML}, Unavailable),
        (httpx.ConnectError("correct horse"), Unavailable),
        (httpx.ReadError("correct horse"), Unavailable),
        (httpx.ReadTimeout("correct horse"), Unavailable),
    ],
)
async def test_a_sign_in_that_fails_is_never_repeated_and_its_password_is_nowhere(
    answer: dict[str, Any] | Exception, kind: type[InboxError], caplog: pytest.LogCaptureFixture
) -> None:
    service = Answering(answer)
    with caplog.at_level(logging.DEBUG), pytest.raises(kind) as failed:
        await sign_in(Settings(), LOGIN, transport=service)
    assert len(service.requests) == 1
    told = "".join(traceback.TracebackException.from_exception(failed.value, capture_locals=True).format())
    ours = told[told.index("salesos_inbox/client/sign_in.py") :]  # above stand the locals of this test
    for secret in ("correct horse", "987654"):
        assert secret not in ours + caplog.text + str(failed.value) + repr(LOGIN)


@pytest.mark.parametrize(
    ("base_url", "is_safe"),
    [
        ("https://crm.example/v1", True),
        ("http://crm.example/v1", False),
        ("http://localhost.evil.example/v1", False),
        ("http://127.0.0.1:8025/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:8025/v1", True),
    ],
)
async def test_a_password_leaves_this_machine_encrypted_or_not_at_all(base_url: str, is_safe: bool) -> None:
    service = Answering({"json": {"access_token": "t.o.k"}})
    settings = Settings(base_url=base_url)
    if is_safe:
        assert (await sign_in(settings, LOGIN, transport=service)).access_token
    else:
        with pytest.raises(Refused, match="over https only"):
            await sign_in(settings, LOGIN, transport=service)
    assert len(service.requests) == is_safe


@pytest.mark.parametrize("proxy", ["nonsense://proxy", "socks5://proxy:1080"])
async def test_a_proxy_that_cannot_be_used_is_told(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(Unavailable, match="The proxy that HTTPS_PROXY or ALL_PROXY names cannot be used"):
        await sign_in(Settings(), LOGIN)


# Who it is


async def test_a_service_that_tells_nobody_who_they_are_is_asked_for_something_else() -> None:
    """As the reference does not describe `/auth/me`, its absence says nothing about the credential."""
    store = Store()
    token = store.issue_token(store.add_user("sam@sales.test"))
    overrides = read_overrides({"routes": {"get_me": {"path": "/auth/nobody"}}})
    settings = Settings(token=token, base_url="http://sandbox.test/v1", overrides=overrides)
    sandbox = httpx.ASGITransport(create_app(store))
    assert await who_is(settings, transport=sandbox) is None
    with pytest.raises(Unauthorized):
        await who_is(replace(settings, token="x"), transport=sandbox)
    store.close()


@pytest.mark.parametrize(
    ("answer", "email"),
    [
        ({"json": {"id": "u1", "email": "sam@sales.test"}}, "sam@sales.test"),
        ({"json": {"totalThreads": 5}}, None),
        ({"json": {"email": ["x"]}}, None),
        ({"status": 403, "json": {"message": "API key lacks the required scope: read"}}, None),
    ],
)
async def test_a_credential_may_be_good_and_not_tell_whose_it_is(answer: dict[str, Any], email: str | None) -> None:
    user = await who_is(Settings(api_key="k"), transport=Answering(answer))
    assert (user and user.email) == email


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"status": 401, "json": {}}, Unauthorized),
        ({"status": 429, "json": {}}, RateLimited),
        ({"status": 502, "json": {}}, Unavailable),
        (httpx.ConnectError("x"), Unavailable),
        ({"status": 404, "json": {}}, ContractBroken),
        ({"status": 403, **HTML}, ContractBroken),
        ({"json": [1]}, ContractBroken),
        (HTML, ContractBroken),
    ],
)
async def test_a_credential_that_could_not_be_checked_is_not_taken_for_good(
    answer: dict[str, Any] | Exception, kind: type[InboxError]
) -> None:
    with pytest.raises(kind):
        await who_is(Settings(token="t"), transport=Answering(answer))
