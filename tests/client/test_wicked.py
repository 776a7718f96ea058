"""What a service answers that means harm, or is broken: nothing is done twice, believed or kept because of it."""

import json
import ssl
import tracemalloc
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import anyio
import httpx
import pytest
from anyio.abc import ByteStream, SocketAttribute

from clinic import certified
from salesos_inbox.client import sign_in
from salesos_inbox.client.credentials import Credential, KeptFile
from salesos_inbox.client.failures import failure
from salesos_inbox.client.http import InboxClient
from salesos_inbox.contract import models, routes
from salesos_inbox.contract.overrides import NONE, Overrides, read_overrides
from salesos_inbox.errors import ContractBroken, InvalidArguments, OutcomeUnknown, Unavailable
from salesos_inbox.settings import MOST_REQUESTS_PER_MINUTE, Settings

pytestmark = pytest.mark.anyio

EMAIL = models.SendEmail(to=["bob@customer.test"], subject="Hello", body_text="Body", body_html="<p>Body</p>")
Answer = Callable[[httpx.Request], httpx.Response]


def jwt(claims: object) -> str:
    """Return an unsigned token that says `claims` of itself."""
    return f"e30.{urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.x"


class Wicked(httpx.AsyncBaseTransport):
    """A service that answers writes as `answer` does, and hands out any CSRF token."""

    def __init__(self, answer: Answer, csrf_token: str = "c") -> None:
        self._answer = answer
        self._csrf_token = csrf_token
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/auth/csrf-token"):
            return httpx.Response(200, json={"csrf_token": self._csrf_token})
        self.requests.append(request)
        return self._answer(request)

    def client(self, token: str = "t.o.k", store: KeptFile | None = None, overrides: Overrides = NONE) -> InboxClient:
        """Open a client of it, for whom it is always the same moment."""
        settings = Settings(token=token, requests_per_minute=MOST_REQUESTS_PER_MINUTE, overrides=overrides)
        return InboxClient(settings, transport=self, clock=lambda: 1000.0, store=store, jitter=lambda: 0.0)

    def sent(self) -> int:
        """Return how many requests there were to send the message."""
        return sum(request.url.path.endswith("/send") for request in self.requests)


# Nothing twice, and nothing called undone that may be done


@pytest.mark.parametrize(
    "body",
    [
        {"id": "m1", "status": "SENT", "statusCode": 429, "message": "slow down"},
        {"id": "m1", "statusCode": 401},
        {"data": {"id": "m1"}, "statusCode": 403, "message": "Invalid CSRF token"},
        {"success": True, "statusCode": 429},
        {"messageId": "m1", "statusCode": 404, "message": "x"},
    ],
)
async def test_a_message_with_an_id_is_not_sent_again_whatever_status_its_answer_speaks_of(body: object) -> None:
    service = Wicked(lambda _: httpx.Response(201, json=body))
    async with service.client() as client:
        with pytest.raises(OutcomeUnknown):
            await client.send_email(EMAIL, "operation")
    assert service.sent() == 1


async def test_a_message_with_an_id_under_another_name_is_not_sent_again_either() -> None:
    overrides = read_overrides({"models": {"SendReceipt": {"id": "reference"}}})
    service = Wicked(lambda _: httpx.Response(201, json={"reference": "m1", "statusCode": 429}))
    async with service.client(overrides=overrides) as client:
        with pytest.raises(OutcomeUnknown):
            await client.send_email(EMAIL, "operation")
    assert service.sent() == 1


async def test_a_status_that_no_reason_goes_with_is_that_of_the_message() -> None:
    service = Wicked(lambda _: httpx.Response(201, json={"id": "m1", "status": 451}))
    async with service.client() as client:
        await client.send_email(EMAIL, "operation")
    assert service.sent() == 1


async def test_a_status_beside_a_name_that_is_not_known_leaves_the_message_to_be_looked_for() -> None:
    service = Wicked(lambda _: httpx.Response(201, json={"data": {"reference": "m1", "status": 401}}))
    async with service.client() as client:
        with pytest.raises(OutcomeUnknown):
            await client.send_email(EMAIL, "operation")
    assert service.sent() == 1


async def test_a_batch_of_which_some_were_archived_is_not_called_undone() -> None:
    body = {"success": ["t1"], "failed": [{"id": "t2"}], "statusCode": 404, "message": "x"}
    async with Wicked(lambda _: httpx.Response(200, json=body)).client() as client:
        with pytest.raises(OutcomeUnknown):
            await client.archive_batch(["t1", "t2"])


@pytest.mark.parametrize("location", ["mailto:bob@customer.test", "https:x", "http://xn--a.test/", "http://[::1"])
async def test_a_message_that_is_answered_by_a_place_that_is_none_may_have_been_sent(location: str) -> None:
    service = Wicked(lambda _: httpx.Response(303, headers={"location": location}))
    async with service.client() as client:
        with pytest.raises(OutcomeUnknown):
            await client.send_email(EMAIL, "operation")
    assert service.sent() == 1


@pytest.mark.parametrize("is_write", [False, True])
async def test_a_tls_alert_in_place_of_an_answer_is_an_error_of_ours(
    is_write: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = certified(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    context.load_verify_locations(certificate.authority)
    context.verify_mode = ssl.CERT_REQUIRED  # of the client, which has none: TLS 1.3 says so after the handshake
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority))
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")

    async def refuse(stream: ByteStream) -> None:
        came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(came, goes, server_side=True)
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    with suppress(ssl.SSLError):  # at the end the lack of a certificate, which the alert tells
                        tls.do_handshake()
                    if goes.pending:
                        await stream.send(goes.read())
                    came.write(await stream.receive())

    port = listener.extra(SocketAttribute.local_port)
    settings = Settings(token=jwt({}), base_url=f"https://127.0.0.1:{port}/v1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, refuse)
        async with InboxClient(settings, jitter=lambda: 0.0) as client:
            with pytest.raises(OutcomeUnknown if is_write else Unavailable):
                await (client.archive_batch(["t1"]) if is_write else client.get_stats())
        tasks.cancel_scope.cancel()


# Nothing kept, nothing believed


async def test_no_cookie_is_kept() -> None:
    cookies = [("set-cookie", f"c{number}=x; Path=/; Max-Age=86400") for number in range(100)]
    service = Wicked(lambda _: httpx.Response(200, json={"totalThreads": 1}, headers=cookies))
    async with service.client() as client:
        await client.get_stats()
        await client.get_stats()
    assert [request.headers.get("cookie") for request in service.requests] == [None, None]


@pytest.mark.parametrize("token", ["a\nb", "a\x01b", "x" * 100_000, "schlüssel"])
async def test_a_csrf_token_that_cannot_be_sent_back_is_told_before_anything_is_sent(token: str) -> None:
    service = Wicked(lambda _: httpx.Response(201, json={"id": "m1"}), csrf_token=token)
    async with service.client() as client:
        with pytest.raises(ContractBroken, match="nothing was changed"):
            await client.send_email(EMAIL, "operation")
    assert service.sent() == 0


@pytest.mark.parametrize("header", [b"a\x01b", b"\xff", b"x" * 50_000])
async def test_a_csrf_token_that_cannot_be_sent_back_does_not_take_the_place_of_one_that_can(header: bytes) -> None:
    service = Wicked(lambda _: httpx.Response(200, json={"id": "t1"}, headers=[(b"x-csrf-token", header)]))
    async with service.client() as client:
        await client.set_star("t1", True)
        await client.set_star("t1", False)
    assert [request.headers["x-csrf-token"] for request in service.requests] == ["c", "c"]


@pytest.mark.parametrize(
    "handed_out",
    [jwt({"sub": "somebody else", "exp": 9000}), "undefined", "null", f"{jwt({'sub': 'sam'})}{'x' * 100_000}"],
    ids=["somebody-elses", "undefined", "null", "huge"],
)
async def test_a_good_token_is_not_exchanged_for_one_that_is_not_this_users(handed_out: str, tmp_path: Path) -> None:
    token = jwt({"sub": "sam", "exp": 1100})

    def answer(request: httpx.Request) -> httpx.Response:
        body = {"access_token": handed_out} if request.url.path.endswith("/refresh") else {"totalThreads": 1}
        return httpx.Response(200, json=body)

    store = KeptFile("", tmp_path / "credentials")
    store.keep(Credential(token))
    service = Wicked(answer)
    async with service.client(token, store) as client:
        await client.get_stats()
    assert [request.headers["authorization"] for request in service.requests] == [f"Bearer {token}"] * 2
    assert store.read() == Credential(token)


def test_a_long_name_before_many_sentences_is_not_kept_for_each_of_them() -> None:
    payload = {"errors": [{"field": "a" * 10**6, "message": ["x"] * 200}]}
    tracemalloc.start()
    error = failure(routes.LIST_THREADS, 400, payload, ids={})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(error, InvalidArguments)
    assert peak < 10**6


async def test_signing_in_ends_in_time_however_slowly_the_answer_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dripping(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                await anyio.sleep(0.01)
                yield b" "

    monkeypatch.setattr(sign_in, "SECONDS", 0.1)
    service = Wicked(lambda _: httpx.Response(200, stream=Dripping()))
    login = models.SignIn(email="sam@sales.test", password="correct horse")
    with anyio.fail_after(5):
        with pytest.raises(Unavailable):
            await sign_in.sign_in(Settings(), login, transport=service)
