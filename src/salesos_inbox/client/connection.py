"""How the service is connected to: one way for all requests."""

import logging
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final

import httpx

from salesos_inbox.client.body import ACCEPT_ENCODING
from salesos_inbox.errors import Unavailable
from salesos_inbox.settings import Settings

BROKEN_OFF: Final = (httpx.TransportError, httpx.InvalidURL, UnicodeError, OSError)
"""What is raised where a request that may have gone out gets no usable answer.

httpx does not turn everything into its own errors: a TLS alert that comes instead of the answer is an `OSError`, and
a `Location` that cannot be followed, though nobody would, an `InvalidURL`.
"""


def open_connection(
    settings: Settings, transport: httpx.AsyncBaseTransport | None, timeout: httpx.Timeout | float, **options: Any
) -> httpx.AsyncClient:
    """Return an HTTP client of the service; `timeout` is in seconds, `options` are those of httpx.

    Raises `Unavailable` where the environment names a proxy that cannot be used.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs whole addresses, and searches are private
    try:
        return httpx.AsyncClient(
            base_url=settings.base_url,
            transport=transport,
            timeout=timeout,
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # none is kept: they would pile up
            headers={"Accept-Encoding": ACCEPT_ENCODING},
            **options,
        )
    except (ValueError, ImportError):
        raise Unavailable(
            "The proxy that HTTPS_PROXY or ALL_PROXY names cannot be used, so SalesOS cannot be reached: "
            "ask the user to correct it, and to run `salesos-inbox-mcp doctor`."
        ) from None
