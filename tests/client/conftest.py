"""A user of the sandbox, and clients of theirs."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import pytest

from harness import BASE_URL, Clock, Wire
from salesos_inbox.client.credentials import Credential, CredentialStore, KeptFile, with_credential
from salesos_inbox.client.http import InboxClient
from salesos_inbox.sandbox.app import UNLIMITED, create_app
from salesos_inbox.sandbox.messages import StoredMessage
from salesos_inbox.sandbox.store import Store
from salesos_inbox.settings import MOST_REQUESTS_PER_MINUTE, Settings

_NUMBERS = count(1)


@dataclass
class Account:
    """One user, a wire to the sandbox, and the clients opened on it."""

    store: Store
    clock: Clock
    user_id: str
    wire: Wire
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def client(self, settings: Settings, store: CredentialStore | None = None) -> InboxClient:
        """Open a client with the credentials of `settings`, which came from `store`."""
        settings = replace(settings, base_url=BASE_URL, requests_per_minute=MOST_REQUESTS_PER_MINUTE)
        client = InboxClient(settings, transport=self.wire, clock=lambda: self.clock().timestamp(), store=store)
        self.stack.push_async_exit(client)
        return client

    def with_token(self, *, session: bool = True, expires_in: float = 86400) -> InboxClient:
        """Open a client with a fresh bearer token, which belongs to a session where `session`."""
        return self.client(Settings(token=self.store.issue_token(self.user_id, session=session, expires_in=expires_in)))

    def with_key(self, *scopes: str, organization_id: str | None = None) -> InboxClient:
        """Open a client with a fresh API key of these scopes."""
        key = self.store.add_api_key(self.user_id, scopes)
        return self.client(Settings(api_key=key, organization_id=organization_id))

    def signed_in(self, directory: Path, expires_in: float = 86400) -> tuple[InboxClient, KeptFile]:
        """Open a client with a fresh token that is kept in a file."""
        file = KeptFile(BASE_URL, directory)
        credential = Credential(self.store.issue_token(self.user_id, expires_in=expires_in))
        file.keep(credential)
        return self.client(with_credential(Settings(), credential), file), file

    def rotate(self, file: KeptFile) -> None:
        """Do what another process does that renews the token there, where the old one is refused from then on."""
        self.store.access.rotates_tokens = True
        credential = file.read()
        assert credential
        caller = self.store.access.caller_by_token(credential.secret)
        file.keep(Credential(self.store.access.refreshed_token(caller, expires_in=86400)))

    def receive(self) -> str:
        """File a message and return the id of its thread."""
        message = StoredMessage(
            from_email="bob@customer.test",
            from_name="Bob",
            to=("sam@sales.test",),
            sent_at=self.clock(),
            message_id=f"<{next(_NUMBERS)}@customer.test>",
            subject="Hello",
            body_text="Body",
        )
        return self.store.file_message(self.user_id, message).thread_id

    def paths(self) -> list[str]:
        """Return the requests so far, as `METHOD path`."""
        return [f"{method} {path}" for method, path, _ in self.wire.requests]


@pytest.fixture
async def account() -> AsyncGenerator[Account]:
    """A user of an organization, with no mail."""
    clock = Clock()
    store = Store(clock=clock)
    user_id = store.add_user("sam@sales.test", "Sam", "Seller", organization_id="org-1")
    account = Account(store, clock, user_id, Wire(create_app(store, limits=UNLIMITED)))
    async with account.stack:
        yield account
    store.close()
