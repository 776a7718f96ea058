"""Signing in: an address and a password for a token, and who it is that a token or key belongs to.

No request is ever repeated on its own. Neither needs an `InboxClient`.
"""

from dataclasses import replace
from http import HTTPStatus
from typing import cast
from urllib.parse import urlsplit

import anyio
import httpx
from pydantic import ValidationError

from salesos_inbox.client.body import AnswerTooLarge, AnswerUnreadable, read_content, read_json
from salesos_inbox.client.connection import BROKEN_OFF, open_connection
from salesos_inbox.client.failures import failure
from salesos_inbox.client.session import Session
from salesos_inbox.contract import models, routes
from salesos_inbox.contract.routes import Route
from salesos_inbox.errors import ContractBroken, InboxError, RateLimited, Refused, Unauthorized, Unavailable
from salesos_inbox.settings import DEFAULT_BASE_URL, Settings

SECONDS = 20.0
"""How long one request may take."""
PASTE_A_TOKEN = (
    "sign in to SalesOS in the browser, copy the token out of the Authorization header of any of its requests "
    "(developer tools, Network), and run: salesos-inbox-mcp auth login --token"
)
"""What to do where a program cannot sign in."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ANSWERS_TO_STRANGERS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)


async def find_service(settings: Settings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
    """Ask, without a credential, whether SalesOS is where a password would go, so that none is typed in vain.

    Raises `Refused` where the way there is not encrypted, and `ContractBroken` where something else answers.
    """
    _require_encryption(settings)
    anonymous = replace(settings, token=None, api_key=None)
    for route in (routes.GET_ME, routes.GET_STATS):
        status, payload = await _asked(anonymous, route, None, transport)
        if isinstance(payload, dict) or status in _ANSWERS_TO_STRANGERS:
            return
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _not_now(status)
    raise _not_salesos(settings)


async def sign_in(
    settings: Settings, login: models.SignIn, *, transport: httpx.AsyncBaseTransport | None = None
) -> models.SignedIn:
    """Exchange a password for a token; the answer has no token where a two-factor code is wanted first.

    Raises `Unauthorized` where the service does not take them, without saying which of them is wrong, and
    `ContractBroken`, with another way to a token, where it offers no such sign-in.
    """
    _require_encryption(settings)
    status, payload = await _asked(settings, routes.SIGN_IN, login, transport)
    if status in (HTTPStatus.OK, HTTPStatus.CREATED):
        return _signed_in(settings.overrides.incoming(routes.SIGN_IN, payload))
    if status == HTTPStatus.UNAUTHORIZED:
        raise _not_taken(settings, login)
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        raise failure(routes.SIGN_IN, status, payload, ids={})
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _not_now(status)
    raise ContractBroken(f"SalesOS offers programs no sign-in with a password (status {status}): {PASTE_A_TOKEN}")


async def who_is(settings: Settings, *, transport: httpx.AsyncBaseTransport | None = None) -> models.User | None:
    """Return the user behind the credential of `settings`, or None where it is good but does not tell whose it is.

    Good is what the service knows, be it only to refuse it this request (403). Raises `Unauthorized` where it
    does not, and `ContractBroken` where nothing answers as SalesOS does.
    """
    for route in (routes.GET_ME, routes.GET_STATS):
        status, payload = await _asked(settings, route, None, transport)
        if status == HTTPStatus.UNAUTHORIZED:
            raise Unauthorized(
                "SalesOS does not accept this token or key (ended, revoked or unknown): "
                f"get a new one{_and_address(settings, ', and check ')}."
            )
        told = cast("dict[str, object]", payload) if isinstance(payload, dict) else None
        if told is not None and status in (HTTPStatus.OK, HTTPStatus.FORBIDDEN):
            return _user(settings, told) if status == HTTPStatus.OK else None
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _not_now(status)
        if status not in (HTTPStatus.OK, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
            raise failure(route, status, told, ids={})
    raise _not_salesos(settings)


def _require_encryption(settings: Settings) -> None:
    url = urlsplit(settings.base_url)
    if url.scheme != "https" and url.hostname not in _LOOPBACK:
        raise Refused("A password is sent over https only: set SALESOS_BASE_URL to an address that begins with it.")


def _not_salesos(settings: Settings) -> ContractBroken:
    return ContractBroken(
        f"Nothing at {settings.base_url} answers as SalesOS does: correct SALESOS_BASE_URL, and run "
        "salesos-inbox-mcp doctor."
    )


def _not_taken(settings: Settings, login: models.SignIn) -> Unauthorized:
    if login.two_factor_code:
        return Unauthorized("SalesOS did not take the code with this address and password: try again with a new code.")
    return Unauthorized(
        "SalesOS does not take this address with this password: "
        f"check both{_and_address(settings, ', and ')}, and try again."
    )


def _and_address(settings: Settings, words: str) -> str:
    """Return the setting of the base address as one more thing to check, where it is set."""
    return "" if settings.base_url == DEFAULT_BASE_URL else f"{words}SALESOS_BASE_URL"


def _not_now(status: int) -> InboxError:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited("SalesOS takes no more tries for now: wait a minute, and try again.")
    return Unavailable(f"SalesOS failed on its side (status {status}): try again in a minute.")


def _user(settings: Settings, payload: object) -> models.User | None:
    try:
        user = models.User.model_validate(settings.overrides.incoming(routes.GET_ME, payload))
    except ValidationError:
        return None
    return user if user.email or user.id else None


async def _asked(
    settings: Settings, route: Route, login: models.SignIn | None, transport: httpx.AsyncBaseTransport | None
) -> tuple[int, object]:
    """Return the status and the JSON of an answer; None for what is no JSON."""
    overrides = settings.overrides
    try:
        with anyio.move_on_after(SECONDS):
            async with (
                open_connection(settings, transport, SECONDS) as http,
                http.stream(
                    route.method,
                    overrides.path(route),
                    json=overrides.outgoing(route, login.body() if login else None),
                    headers={} if login else Session(settings).headers(),
                ) as response,
            ):
                return response.status_code, _json(await read_content(response))
    except (AnswerTooLarge, AnswerUnreadable):
        return HTTPStatus.OK, None
    except BROKEN_OFF:
        pass  # raised below, so that it leads to no frame of httpx, which holds the password
    raise Unavailable(
        f"SalesOS could not be reached to {route.purpose}: check the connection, and run salesos-inbox-mcp doctor."
    )


def _json(content: bytearray) -> object:
    try:
        return read_json(content)
    except (ValueError, AnswerTooLarge):
        return None


def _signed_in(payload: object) -> models.SignedIn:
    wrapped: object = cast("dict[str, object]", payload).get("data") if isinstance(payload, dict) else None
    try:
        signed_in = models.SignedIn.model_validate(wrapped if isinstance(wrapped, dict) else payload)
    except ValidationError:
        signed_in = models.SignedIn()
    if not signed_in.access_token and not signed_in.requires_two_factor:
        raise ContractBroken(f"SalesOS answered the sign-in in a form that is not known here: {PASTE_A_TOKEN}")
    return signed_in
