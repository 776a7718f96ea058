"""The sandbox within reach of an HTTP client in the same process, without a port."""

import httpx

from salesos_inbox.sandbox.app import UNLIMITED, create_app
from salesos_inbox.sandbox.store import Store


class EmbeddedSandbox(httpx.ASGITransport):
    """A transport to the sandbox that serves `store`; closing it closes the store."""

    def __init__(self, store: Store) -> None:
        super().__init__(create_app(store, limits=UNLIMITED))
        self._store = store

    async def aclose(self) -> None:
        """Close the transport and the store behind it."""
        await super().aclose()
        self._store.close()
