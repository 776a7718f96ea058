"""A sandbox with a clock that stands still until it is moved, and ids that count."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import pytest

from salesos_inbox.sandbox.app import UNLIMITED, Limits, create_app
from salesos_inbox.sandbox.envelopes import Envelope
from salesos_inbox.sandbox.messages import StoredMessage
from salesos_inbox.sandbox.store import Store

API = "http://sandbox.test/v1"


@dataclass
class Clock:
    """A clock that stands still until `forward` moves it."""

    now: datetime = datetime(2025, 1, 15, 10, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **passed: float) -> None:
        self.now += timedelta(**passed)


@dataclass
class Mailbox:
    """A store with a user, and what tests do with it."""

    store: Store
    clock: Clock
    user: str
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def receive(self, subject: str = "Hello", body: str = "Body", *, folder: str | None = None, **other: Any) -> str:
        """File a message and return its thread's id."""
        fields: dict[str, Any] = {
            "from_email": "bob@customer.test",
            "from_name": "Bob",
            "to": ("sam@sales.test",),
            "sent_at": self.clock(),
            "body_text": body,
            "message_id": f"<m{next(self._numbers)}@customer.test>",
        }
        message = StoredMessage(subject=subject, **{**fields, **other})
        return self.store.file_message(self.user, message, folder=folder).thread_id


Connect = Callable[..., httpx.AsyncClient]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Iterator[Store]:
    numbers = count(1)
    store = Store(clock=clock, ids=lambda: f"c{next(numbers):024d}")
    yield store
    store.close()


@pytest.fixture
def mailbox(store: Store, clock: Clock) -> Mailbox:
    return Mailbox(store, clock, store.add_user("sam@sales.test", "Sam", "Seller", organization_id="org-1"))


@pytest.fixture
async def connect(store: Store) -> AsyncIterator[Connect]:
    """Return a function that opens a client with the given headers on an app over the store."""
    async with AsyncExitStack() as stack:

        def open_client(
            headers: dict[str, str] | None = None, *, limits: Limits = UNLIMITED, envelope: Envelope = "array"
        ) -> httpx.AsyncClient:
            app = create_app(store, limits=limits, envelope=envelope)
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url=f"{API}/email-inbox/", headers=headers
            )
            stack.push_async_callback(client.aclose)
            return client

        yield open_client


@pytest.fixture
def client(connect: Connect, mailbox: Mailbox) -> httpx.AsyncClient:
    """A client of the mailbox's user, whose token has no session and so needs no CSRF token."""
    token = mailbox.store.issue_token(mailbox.user, session=False, expires_in=1e9)
    return connect({"Authorization": f"Bearer {token}", "X-Request-ID": "req-1"})
