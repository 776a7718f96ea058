"""What the client makes of a service that fails, over real sockets: it tells, and never sends a write twice."""

import json
import logging
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import httpx
import pytest
from anyio.abc import SocketAttribute, SocketStream

from harness import BASE_URL
from salesos_inbox.client import http
from salesos_inbox.client.http import InboxClient
from salesos_inbox.contract import models
from salesos_inbox.errors import (
    ContractBroken,
    InboxError,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Unauthorized,
    Unavailable,
)
from salesos_inbox.settings import Settings

pytestmark = pytest.mark.anyio

SHORT = 0.2
"""Seconds; the deadline of a call that is going to miss it."""
LONG = 10.0
EMAIL = models.SendEmail(to=["a@b.example"], subject="x", body_text="y")

Behave = Callable[[SocketStream], Awaitable[None]]


@dataclass
class Service:
    """A server on this machine, and the requests it was sent."""

    port: int
    requests: list[str] = field(default_factory=list[str])

    def client(self, seconds: float = LONG) -> InboxClient:
        """Return a client of it, with an API key."""
        return InboxClient(Settings(api_key="key", base_url=f"http://127.0.0.1:{self.port}/v1"), seconds=seconds)


@asynccontextmanager
async def serving(behave: Behave) -> AsyncGenerator[Service]:
    """Serve on a free port; `behave` does what it likes once a whole request has come."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    service = Service(listener.extra(SocketAttribute.local_port))

    async def handle(stream: SocketStream) -> None:
        async with stream:
            try:
                service.requests.append(await _request(stream))
                await behave(stream)
            except (anyio.BrokenResourceError, anyio.EndOfStream):
                return

    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        yield service
        group.cancel_scope.cancel()


async def _request(stream: SocketStream) -> str:
    """Read one whole request and return its first line's method and path."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += await stream.receive()
    head, _, body = received.partition(b"\r\n\r\n")
    headers = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
    while len(body) < int(headers.get(b"content-length", 0)):
        body += await stream.receive()
    return head.split(b" HTTP/", 1)[0].decode()


def answering(content: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> Behave:
    """Return the behaviour of one answer; `length` is a false `Content-Length`."""
    size = len(content) if length is None else length
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {size}", "Connection: close", *headers, "", "")

    async def behave(stream: SocketStream) -> None:
        await stream.send("\r\n".join(lines).encode() + content)

    return behave


async def silent(stream: SocketStream) -> None:
    await anyio.sleep_forever()


async def closing(stream: SocketStream) -> None:
    return


async def resetting(stream: SocketStream) -> None:
    raw = stream.extra(SocketAttribute.raw_socket)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def babbling(stream: SocketStream) -> None:
    await stream.send(b"220 mail.example ESMTP\r\n")


async def stopping_in_the_head(stream: SocketStream) -> None:
    await stream.send(b"HTTP/1.1 200 OK\r\nContent-Ty")


async def dripping(stream: SocketStream) -> None:
    await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        await stream.send(b" ")
        await anyio.sleep(SHORT / 10)


async def never_ending(stream: SocketStream) -> None:
    await stream.send(b"HTTP/1.1 200 OK\r\n\r\n[")
    while True:
        await stream.send(b" " * 2**20)


REPEATED = {"closing", "resetting", "babbling", "stopping in the head", "closing in the body", "no gzip", "down"}
"""After these a read is tried twice more; the others would be the same, or their time is over."""

FAULTS: dict[str, tuple[Behave, type[InboxError], float]] = {
    "silent": (silent, Unavailable, SHORT),
    "dripping": (dripping, Unavailable, SHORT),
    "closing": (closing, Unavailable, LONG),
    "resetting": (resetting, Unavailable, LONG),
    "babbling": (babbling, Unavailable, LONG),
    "stopping in the head": (stopping_in_the_head, Unavailable, LONG),
    "closing in the body": (answering(b'{"id"', length=900), Unavailable, LONG),
    "no gzip": (answering(b'{"id": "x"}', "200 OK", "Content-Encoding: gzip"), Unavailable, LONG),
    "never ending": (never_ending, ContractBroken, LONG),
    "html": (answering(b"<html>Welcome</html>"), ContractBroken, LONG),
    "empty": (answering(b""), ContractBroken, LONG),
    "null": (answering(b"null"), ContractBroken, LONG),
    "a list": (answering(b"[]"), ContractBroken, LONG),
    "a word": (answering(b'"ok"'), ContractBroken, LONG),
    "broken JSON": (answering(b'{"id": "x"'), ContractBroken, LONG),
    "invalid UTF-8": (answering(b'{"id": "\xff\xfe"}'), ContractBroken, LONG),
    "too deep": (answering(b"[" * 100_000), ContractBroken, LONG),
    **{
        f"redirect {status}": (answering(content, f"{status} Elsewhere", "Location: /v1/other"), ContractBroken, LONG)
        for status in (301, 302, 303, 307, 308)
        for content in (b"", b'{"id": "x", "status": "SENT"}')
    },
    "not modified": (answering(b"", "304 Not Modified"), ContractBroken, LONG),
    "down": (answering(b"<h1>Bad gateway</h1>", "502 Bad Gateway"), Unavailable, LONG),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_read_that_is_not_answered_well_is_repeated_where_that_may_help_and_told(fault: str) -> None:
    behave, error, seconds = FAULTS[fault]
    async with serving(behave) as service, service.client(seconds) as client:
        with anyio.fail_after(LONG), pytest.raises(error) as raised:
            await client.get_thread("t")
    assert raised.type is error
    assert service.requests == ["GET /v1/email-inbox/threads/t"] * (3 if fault in REPEATED else 1)


@pytest.mark.parametrize(("behave", "error", "seconds"), FAULTS.values(), ids=FAULTS)
async def test_a_write_that_is_not_answered_well_is_of_unknown_outcome_and_never_repeated(
    behave: Behave, error: type[InboxError], seconds: float
) -> None:
    async with serving(behave) as service, service.client(seconds) as client:
        with anyio.fail_after(LONG), pytest.raises(OutcomeUnknown):
            await client.send_email(EMAIL)
    assert service.requests == ["POST /v1/email-inbox/send"]


async def test_a_service_that_is_down_changes_nothing_and_says_so() -> None:
    async with serving(closing) as service:
        pass
    async with service.client(SHORT) as client:
        for call in (client.list_folders(), client.send_email(EMAIL)):
            with pytest.raises(Unavailable, match="nothing was changed"):
                await call
    assert service.requests == []


async def test_a_service_that_comes_back_is_reached_by_the_same_call() -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    port = listener.extra(SocketAttribute.local_port)
    await listener.aclose()
    client = Service(port).client()
    receipts: list[models.SendReceipt] = []

    async def answer(stream: SocketStream) -> None:
        await _request(stream)
        await answering(b'{"id": "x"}', "201 Created")(stream)
        await stream.aclose()

    async def send() -> None:
        receipts.append(await client.send_email(EMAIL))
        group.cancel_scope.cancel()

    async with client, anyio.create_task_group() as group:
        group.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
        async with listener:
            await listener.serve(answer)
    assert [receipt.id for receipt in receipts] == ["x"]


@pytest.mark.parametrize("status", ["204 No Content", "200 OK"])
async def test_an_empty_answer_is_enough_where_nothing_is_to_be_told(status: str) -> None:
    async with serving(answering(b"", status)) as service, service.client() as client:
        await client.cancel_scheduled("s")
    assert service.requests == ["DELETE /v1/email-inbox/scheduled/s"]


async def test_no_content_is_a_success_of_a_change_but_no_receipt_of_a_message() -> None:
    async with serving(answering(b"", "204 No Content")) as service, service.client() as client:
        assert await client.archive_thread("t") == models.ThreadSummary()
        with pytest.raises(OutcomeUnknown):
            await client.send_email(EMAIL)
        with pytest.raises(OutcomeUnknown):
            await client.save_draft(models.SaveDraft(subject="x"))
        with pytest.raises(ContractBroken):
            await client.get_thread("t")


# Limits


def throttled(retry_after: str, then: httpx.Response) -> tuple[httpx.MockTransport, list[str]]:
    """Return a wire on which the first request is one too many, and the requests that went over it."""
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        if len(seen) == 1:
            return httpx.Response(429, headers={"Retry-After": retry_after} if retry_after else {})
        return then

    return httpx.MockTransport(answer), seen


@pytest.mark.parametrize("retry_after", ["0", "", "-5", "nan", "inf", "Wed, 21 Oct 2026 07:28:00 GMT"])
async def test_a_throttled_write_is_repeated_where_the_service_asks_for_no_long_wait(retry_after: str) -> None:
    wire, seen = throttled(retry_after, httpx.Response(201, json={"id": "x"}))
    async with InboxClient(Settings(api_key="k", base_url=BASE_URL), transport=wire) as client:
        assert (await client.send_email(EMAIL)).id == "x"
    assert seen == ["POST", "POST"]


async def test_a_long_wait_is_told_instead_of_waited_for() -> None:
    wire, seen = throttled("3600", httpx.Response(201, json={"id": "x"}))
    async with InboxClient(Settings(api_key="k", base_url=BASE_URL), transport=wire) as client:
        with pytest.raises(RateLimited, match="wait 3600 seconds") as raised:
            await client.send_email(EMAIL)
    assert (seen, raised.value.retry_after) == (["POST"], 3600)


async def test_after_a_refusal_the_next_request_waits_as_long_as_the_service_asked_for() -> None:
    wire, seen = throttled("1", httpx.Response(200, json=[]))
    async with InboxClient(Settings(api_key="k", base_url=BASE_URL), transport=wire) as client:
        await client.list_folders()
        begun = anyio.current_time()
        await client.list_folders()
    assert (seen, anyio.current_time() - begun < 1) == (["GET", "GET", "GET"], True), "it is waited for once"


# Under way


async def test_a_write_under_way_is_not_cut_by_cancellation() -> None:
    arrived, released = anyio.Event(), anyio.Event()
    receipts: list[models.SendReceipt] = []

    async def slow(stream: SocketStream) -> None:
        arrived.set()
        await released.wait()
        await answering(b'{"id": "x"}', "201 Created")(stream)

    async def send() -> None:
        receipts.append(await client.send_email(EMAIL))

    async with serving(slow) as service, service.client() as client, anyio.create_task_group() as group:
        group.start_soon(send)
        await arrived.wait()
        group.cancel_scope.cancel()
        released.set()
    assert [receipt.id for receipt in receipts] == ["x"]


async def test_a_read_under_way_ends_with_its_caller() -> None:
    arrived = anyio.Event()

    async def slow(stream: SocketStream) -> None:
        arrived.set()
        await anyio.sleep_forever()

    async with serving(slow) as service, service.client() as client:
        with anyio.fail_after(LONG / 2):
            async with anyio.create_task_group() as group:
                group.start_soon(client.get_stats)
                await arrived.wait()
                group.cancel_scope.cancel()


async def test_a_write_during_which_the_machine_slept_is_of_unknown_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(silent) as service, service.client(SHORT) as client:
        monkeypatch.setattr(http, "CONNECT_SECONDS", -SHORT / 2)  # the outer deadline passes before the inner one
        with pytest.raises(OutcomeUnknown):
            await client.send_email(EMAIL)
    assert service.requests == ["POST /v1/email-inbox/send"]


async def test_a_write_whose_csrf_token_never_comes_is_not_sent_and_says_so() -> None:
    async with serving(silent) as service:
        settings = Settings(token="session", base_url=f"http://127.0.0.1:{service.port}/v1")
        async with InboxClient(settings, seconds=SHORT) as client:
            with pytest.raises(Unavailable, match="nothing was changed"):
                await client.send_email(EMAIL)
    assert service.requests == ["GET /v1/auth/csrf-token"]


async def test_a_service_without_csrf_tokens_is_not_a_thread_that_is_missing() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        return httpx.Response(404, json={"message": "Cannot GET /v1/auth/csrf-token"})

    async with InboxClient(
        Settings(token="session", base_url=BASE_URL), transport=httpx.MockTransport(answer)
    ) as client:
        with pytest.raises(Unauthorized, match="SALESOS_API_KEY"):
            await client.archive_thread("t")
    assert seen == ["/v1/auth/csrf-token"]


async def test_a_csrf_token_that_is_refused_twice_is_told() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        if request.method == "GET":
            return httpx.Response(200, json={"csrf_token": f"token-{len(seen)}"})
        return httpx.Response(403, json={"message": "Invalid CSRF token"})

    async with InboxClient(
        Settings(token="session", base_url=BASE_URL), transport=httpx.MockTransport(answer)
    ) as client:
        with pytest.raises(Unauthorized, match="auth login"):
            await client.archive_thread("t")
    assert seen == ["GET", "POST", "GET", "POST"]


# What goes over the wire


def recording(answer: object) -> tuple[InboxClient, list[httpx.Request]]:
    """Return a client whose every request is answered so, and the requests it makes."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=answer)

    settings = Settings(api_key="key", base_url="http://service.test/v1")
    return InboxClient(settings, transport=httpx.MockTransport(handle)), seen


@pytest.mark.parametrize(
    ("thread_id", "path"),
    [
        ("a/b", b"/v1/email-inbox/threads/a%2Fb"),
        ("../folders", b"/v1/email-inbox/threads/..%2Ffolders"),
        ("?x=1", b"/v1/email-inbox/threads/%3Fx%3D1"),
        ("#top", b"/v1/email-inbox/threads/%23top"),
        ("%2e%2e", b"/v1/email-inbox/threads/%252e%252e"),
        ("a b\n", b"/v1/email-inbox/threads/a%20b%0A"),
    ],
)
async def test_an_id_never_leaves_its_place_in_the_path(thread_id: str, path: bytes) -> None:
    client, seen = recording({"id": "t"})
    async with client:
        await client.get_thread(thread_id)
    assert [request.url.raw_path for request in seen] == [path]


@pytest.mark.parametrize("thread_id", ["", ".", ".."])
async def test_an_id_that_would_name_another_endpoint_is_not_found_without_asking(thread_id: str) -> None:
    client, seen = recording([])
    async with client:
        with pytest.raises(NotFound):
            await client.get_thread(thread_id)
        with pytest.raises(NotFound):
            await client.unlink_crm_record("t", "lead", thread_id)
    assert seen == []


async def test_queries_are_written_as_json_spells_them_and_bodies_without_what_is_unset() -> None:
    client, seen = recording({"items": [], "success": []})
    async with client:
        await client.list_threads(models.ListThreads(is_read=False, limit=5, from_="Ann & Co"))
        await client.archive_batch(["a", "b"])
    assert dict(seen[0].url.params) == {"isRead": "false", "limit": "5", "from": "Ann & Co"}
    assert json.loads(seen[1].content) == {"threadIds": ["a", "b"]}


async def test_an_answer_wrapped_in_data_is_unwrapped() -> None:
    client, _ = recording({"data": {"id": "t", "subject": "Hello"}})
    async with client:
        assert (await client.get_thread("t")).subject == "Hello"


async def test_every_request_has_an_id_of_its_own() -> None:
    client, seen = recording([])
    async with client:
        await client.list_folders()
        await client.list_folders()
    assert len({request.headers["x-request-id"] for request in seen}) == 2


async def test_a_message_carries_the_id_of_its_operation_on_every_try_and_nothing_else_does() -> None:
    tries = [
        httpx.Response(403, json={"message": "Invalid CSRF token"}),
        httpx.Response(429, headers={"Retry-After": "0"}),
        httpx.Response(201, json={"id": "x"}),
    ]
    sends: list[tuple[str | None, str | None]] = []
    others: list[tuple[str | None, str | None]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        is_send = request.url.path.endswith("/send")
        ids = request.headers.get("x-request-id"), request.headers.get("idempotency-key")
        (sends if is_send else others).append(ids)
        return tries.pop(0) if is_send else httpx.Response(200, json={"csrf_token": "token"})

    settings = Settings(token="session", base_url=BASE_URL)
    async with InboxClient(settings, transport=httpx.MockTransport(handle)) as client:
        await client.send_email(EMAIL, "operation")
    assert sends == [("operation", "operation")] * 3
    assert others
    assert all(request_id not in (None, "operation") and key is None for request_id, key in others)


async def test_a_message_without_an_operation_has_a_request_id_of_its_own() -> None:
    client, seen = recording({"id": "x"})
    async with client:
        await client.send_email(EMAIL)
        await client.send_email(EMAIL)
    assert len({request.headers["x-request-id"] for request in seen}) == 2
    assert not any("idempotency-key" in request.headers for request in seen)


async def test_searches_and_tokens_stay_out_of_the_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client, _ = recording([])
    async with client:
        await client.search_threads(models.SearchThreads(q="private"))
    assert caplog.text == ""
    assert "key" not in repr(vars(client)["_session"])
