"""What a refusal of the service means: statuses into the error tree, in one function. Pure.

The service's own text reaches nobody, but for the names of fields that we sent.
"""

import re
from collections.abc import Iterable
from typing import cast

from salesos_inbox.contract.routes import SEND_EMAIL, Route
from salesos_inbox.errors import (
    Conflict,
    ContractBroken,
    InboxError,
    InvalidArguments,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unauthorized,
    Unavailable,
)

_UNKNOWN_FIELD = re.compile(r"property (\w+) should not exist")
_FIELD = re.compile(r"(?:each value in |nested property |property )?(\w+)")
"""What a sentence of the service's validation is about. Its other words may be names of fields too: `to`, `from`."""
_NOT_DONE = frozenset({400, 401, 403, 404, 405, 406, 409, 411, 413, 414, 415, 422, 429, 431})
"""Statuses that say that nothing was done; any other leaves a write open, as 408 and 499 of a gateway do."""
_SCOPE = re.compile(r"\bscope\W+(read|write|delete|admin)\b")


def failure(
    route: Route, status: int, payload: object, *, ids: dict[str, str], retry_after: float | None = None
) -> InboxError:
    """Return the error that an answer with `status` (none of 200 to 299) and `payload` stands for.

    `ids` are the ids of the path; `retry_after` is in seconds.
    """
    messages = _messages(payload)
    match status:
        case _ if route.method != "GET" and (status not in _NOT_DONE or (status == 409 and route is SEND_EMAIL)):
            return outcome_unknown(route)  # 409 is what a service may answer that knows the Idempotency-Key
        case 400 | 422:
            return _validation(route, messages)
        case 401:
            return Unauthorized(
                "SalesOS does not accept the token or key (unknown, expired or revoked): "
                "ask the user to set a new SALESOS_TOKEN or SALESOS_API_KEY and to restart the server."
            )
        case 403:
            return _forbidden(messages)
        case 404:
            return NotFound(_not_found(ids))
        case 409:
            return Conflict(
                f"SalesOS could not {route.purpose}, because its state has changed: read it again, then decide."
            )
        case 413:
            return InvalidArguments("The message is larger than SalesOS takes (10 MB): shorten it.")
        case 429:
            return RateLimited(
                f"SalesOS takes no more requests for now: wait {_seconds(retry_after)} and call again.", retry_after
            )
        case _ if status < 400:
            return ContractBroken(
                f"SalesOS sends the request to {route.purpose} elsewhere (status {status}): "
                "ask the user to check SALESOS_BASE_URL."
            )
        case _ if status >= 500:
            return Unavailable(f"SalesOS could not {route.purpose} (status {status}): call again in a minute.")
        case _:
            return ContractBroken(
                f"SalesOS answered the request to {route.purpose} with status {status}, an unknown one: tell the user."
            )


def asks_for_csrf_token(status: int, payload: object) -> bool:
    """Return whether a refusal is about the CSRF token, missing or stale."""
    return status == 403 and "csrf" in " ".join(_messages(payload)).lower()


def outcome_unknown(route: Route) -> OutcomeUnknown:
    """Return the error for a write whose answer never came or cannot be read."""
    remedy = (
        "the same call in a minute looks for it, and sends nothing twice."
        if route is SEND_EMAIL
        else "look first (read the thread, the sent folder or the scheduled list), and do not repeat it blindly."
    )
    return OutcomeUnknown(
        f"The request to {route.purpose} went out, but no usable answer came, so it may or may not have happened: "
        f"{remedy}"
    )


def _messages(payload: object) -> list[str]:
    """Return the sentences of an error body, in each of its documented forms."""
    if not isinstance(payload, dict):
        return []
    body = cast("dict[str, object]", payload)
    message = body.get("message")
    sentences: list[object] = cast("list[object]", message) if isinstance(message, list) else [message]
    errors = body.get("errors")
    if isinstance(errors, list):
        for error in cast("list[object]", errors):
            if isinstance(error, dict):
                fields = cast("dict[str, object]", error)
                sentences.append(f"{fields.get('field')} {fields.get('message')}")
    return [sentence for sentence in sentences if isinstance(sentence, str)]


def _validation(route: Route, messages: Iterable[str]) -> InboxError:
    known = _field_names(route)
    messages = list(messages)
    unknown = [name for message in messages for name in _UNKNOWN_FIELD.findall(message) if name in known]
    if unknown:
        return ContractBroken(
            f"SalesOS does not know the field {', '.join(sorted(set(unknown)))} of {route.method} {route.path}: "
            "tell the user that the API differs from this server's contract."
        )
    subjects = (found[1] for message in messages if (found := _FIELD.match(message)))
    named = [name for name in dict.fromkeys(subjects) if name in known]
    if named:
        return InvalidArguments(f"SalesOS refused the value of {', '.join(named)}: correct it and call again.")
    return InvalidArguments(f"SalesOS refused the request to {route.purpose} as invalid: check the arguments.")


def _field_names(route: Route) -> set[str]:
    if route.request is None:
        return set()
    return {field.alias or name for name, field in route.request.model_fields.items()}


def _forbidden(messages: Iterable[str]) -> InboxError:
    text = " ".join(messages).lower()
    if "csrf" in text:
        return Unauthorized(
            "SalesOS did not take this session's CSRF token, even a fresh one: ask the user to sign in again."
        )
    scope = _SCOPE.search(text)
    if scope:
        return Unauthorized(
            f"The API key lacks the scope {scope[1]!r}: ask the user for a key that has it, or leave this action out."
        )
    return Refused("SalesOS does not allow this user to do that: tell the user, and do not try again.")


_WHERE_TO_LOOK = {
    "thread_id": ("thread", "take a thread_id from list_threads or search_threads"),
    "scheduled_id": ("scheduled message", "take a scheduled_id from list_scheduled"),
    "entity_id": ("linked record", "look at the thread's records with read_thread"),
}


def _not_found(ids: dict[str, str]) -> str:
    for name in ("entity_id", "scheduled_id", "thread_id"):
        if name in ids:
            thing, remedy = _WHERE_TO_LOOK[name]
            return f"There is no {thing} {ids[name][:60]!r} in this mailbox: {remedy}."
    return "SalesOS does not find what the request names: check its ids, or SALESOS_BASE_URL if every call says this."


def _seconds(retry_after: float | None) -> str:
    if retry_after is None:
        return "a minute"
    seconds = max(1, round(retry_after))
    return f"{seconds} second{'s' * (seconds > 1)}"
