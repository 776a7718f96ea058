"""What the tests of tools share: answers without what is random in them, and a wire that rewrites answers."""

import re
from collections.abc import Callable
from typing import Any, cast

import httpx
import pytest

from harness import Office
from salesos_inbox.client.http import InboxClient

_RANDOM = re.compile(r"\bc[0-9a-z]{24}\b|\bundo_[0-9a-f]{16}\b|(?<=mail )[0-9a-f]{8}\b|\b[0-9a-f]{8}\.(?=[0-9~])")

Steady = Callable[[object], Any]
Rewrite = Callable[[str, str, httpx.Response], httpx.Response | None]


@pytest.fixture
def steady() -> Steady:
    """Return what puts the first id it meets as `<1>`, the second as `<2>`, and so on."""
    names: dict[str, str] = {}

    def name(value: object) -> Any:
        if isinstance(value, dict):
            return {key: name(item) for key, item in cast("dict[str, object]", value).items()}
        if isinstance(value, list | tuple):
            return [name(item) for item in cast("list[object]", value)]
        if isinstance(value, str):
            return _RANDOM.sub(lambda found: names.setdefault(found[0], f"<{len(names) + 1}>"), value)
        return value

    return name


class _Interposed(httpx.AsyncBaseTransport):
    """A wire that lets a test put another answer in the place of the service's own."""

    def __init__(self, wire: httpx.AsyncBaseTransport, rewrite: Rewrite) -> None:
        self._wire = wire
        self._rewrite = rewrite

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._wire.handle_async_request(request)
        await response.aread()
        path = request.url.path.removeprefix("/v1").removeprefix("/email-inbox")
        return self._rewrite(request.method, path, response) or response


@pytest.fixture
def interpose() -> Callable[[Office, Rewrite], None]:
    """Return what makes the service of an office answer otherwise; it does what it is asked all the same."""

    def place(office: Office, rewrite: Rewrite) -> None:
        services = office.services
        wire = _Interposed(office.wire, rewrite)
        # The client may have been made already.
        services._client = InboxClient(  # pyright: ignore[reportPrivateUsage]
            services.settings, transport=wire, clock=lambda: office.clock().timestamp()
        )

    return place
