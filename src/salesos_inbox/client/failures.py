"""What a refusal of the service means: statuses into the error tree, in one function. Pure.

The service's own text reaches nobody, but for the names of fields.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice, product
from typing import Final, cast

from salesos_inbox.contract.overrides import MAY_BE_DROPPED, NONE, Overrides, may_be_renamed, request_fields, shape
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

DOCTOR: Final = "ask the user to run `salesos-inbox-mcp doctor`"
NOT_SAID: Final = 0
"""What `refused_inside` returns where an answer says that it failed, and not how."""

_Json = dict[str, object]

_PATH: Final = r"[A-Za-z_$][\w$]{0,40}(?:\.\w{1,41}){0,6}"
_UNKNOWN_FIELDS: Final = (
    re.compile(rf"(?:({_PATH})\.)?property ({_PATH}) should not exist", re.ASCII),
    re.compile(rf"^({_PATH}) (?:should not exist|is not allowed|is not permitted|is not a known field)", re.ASCII),
    re.compile(rf"[Uu]nrecognized key(?:\(s\)|s)? in object: '({_PATH})'", re.ASCII),
)
"""How validators say that they do not know a field: class-validator, whose paths may go before, joi and zod."""
_FIELD: Final = re.compile(rf"(?:each value in |nested property |property )?({_PATH})", re.ASCII)
"""What a sentence of the service's validation is about. Its other words may be names of fields too: `to`, `from`."""
_WANTED: Final = re.compile(
    r"(?:each value in )?([a-z][A-Za-z0-9_]{0,39}) (?:should not be (?:empty|null or undefined)"
    r"|is required|must be defined"
    r"|must be (?:an? )?(?:valid )?(?:string|number|integer|boolean|array|object|email|date|UUID|ISO 8601)\b"
    r"|must be one of the following values|must contain at least)",
    re.ASCII,
)
"""The sentences by which a validator asks for a field, whose name is shown though it is none of ours."""
_MOST_SENTENCES, _LONGEST_SENTENCE = 50, 400
_MOST_LINES = 5

_NOT_DONE: Final = frozenset(
    {400, 401, 403, 404, 405, 406, 407, 409, 410, 411, 413, 414, 415, 422, 429, 431, 451},
)
"""Statuses that say that nothing was done; any other leaves a write open, as 408 and 499 of a gateway do."""
_SCOPE: Final = re.compile(r"\bscope\W+(read|write|delete|admin)\b")

_BY_STATUS: Final[Mapping[int, tuple[type[InboxError], str]]] = {
    401: (
        Unauthorized,
        "SalesOS does not accept the token or key (unknown, expired or revoked): ask the user to run "
        "`salesos-inbox-mcp auth login`, or to renew SALESOS_TOKEN or SALESOS_API_KEY where one is set.",
    ),
    402: (Refused, "SalesOS does not let this account {purpose} (its plan or its payment): tell the user."),
    405: (ContractBroken, f"SalesOS knows no such way to {{purpose}} (status 405): {DOCTOR}."),
    407: (Unavailable, f"A proxy between this machine and SalesOS asks for a password: {DOCTOR}."),
    409: (
        Conflict,
        "SalesOS could not {purpose}, because its state has changed: read it again, then decide.",
    ),
    410: (NotFound, "What the request to {purpose} names is gone for good: look for it anew, or leave it."),
    413: (InvalidArguments, "The message is larger than SalesOS takes (10 MB): shorten it."),
    451: (Refused, "SalesOS may not {purpose} for legal reasons: tell the user, and do not try again."),
    502: (
        Unavailable,
        f"SalesOS could not {{purpose}}, as it is not to be reached behind its gateway (status 502): call again in a "
        f"minute, and if that fails too {DOCTOR}.",
    ),
    503: (
        Unavailable,
        "SalesOS could not {purpose}, as it is down or too busy for now (status 503): call again in a minute.",
    ),
    504: (
        Unavailable,
        "SalesOS did not answer its gateway in time to {purpose} (status 504): call again in a minute.",
    ),
    NOT_SAID: (
        Unavailable,
        f"SalesOS says that it could not {{purpose}}, and not why: call again in a minute, "
        f"and if that fails too {DOCTOR}.",
    ),
}
"""What a status means by itself."""
_BY_HUNDRED: Final[Mapping[int, tuple[type[InboxError], str]]] = {
    3: (
        ContractBroken,
        f"SalesOS sends the request to {{purpose}} elsewhere (status {{status}}): {DOCTOR}, as SALESOS_BASE_URL may be "
        "wrong.",
    ),
    5: (
        Unavailable,
        "SalesOS could not {purpose}, as it failed on its side (status {status}): call again in a minute, and if that "
        f"fails too {DOCTOR}.",
    ),
}
_UNKNOWN_STATUS: Final = (
    ContractBroken,
    f"SalesOS answered the request to {{purpose}} with status {{status}}, an unknown one: {DOCTOR}.",
)


def failure(
    route: Route,
    status: int,
    payload: object,
    *,
    ids: Mapping[str, str],
    retry_after: float | None = None,
    overrides: Overrides = NONE,
) -> InboxError:
    """Return the error that an answer with `status` (none of 200 to 299) and `payload` stands for.

    `ids` are the ids of the path; `retry_after` is in seconds; `overrides` name fields as the service does.
    """
    match status:
        case _ if route.is_write and (status not in _NOT_DONE or (status == 409 and route is SEND_EMAIL)):
            return outcome_unknown(route)  # 409 is what a service may answer that knows the Idempotency-Key
        case 400 | 422:
            return _validation(route, payload, overrides)
        case 403:
            return _forbidden(payload)
        case 404 if _is_elsewhere(route, payload, ids):
            return ContractBroken(
                f"Nothing at SALESOS_BASE_URL answers the request to {route.purpose} as SalesOS does, so nothing was "
                f"done: {DOCTOR}."
            )
        case 404:
            return NotFound(_not_found(ids))
        case 429:
            return RateLimited(
                f"SalesOS takes no more requests for now: wait {_seconds(retry_after)} and call again.", retry_after
            )
        case _:
            kind, sentence = _BY_STATUS.get(status) or _BY_HUNDRED.get(status // 100) or _UNKNOWN_STATUS
            return kind(sentence.format(purpose=route.purpose, status=status))


def refused_inside(route: Route, payload: object) -> int | None:
    """Return the status of a failure that came as a success, `NOT_SAID` where it names none, None for a success.

    A status in the service's own error body is believed as if it were that of the answer, unless the same answer
    holds what only a change that was made can tell, such as an id: a write of which so little is sure is not repeated.
    """
    if not isinstance(payload, dict):
        return None
    body = cast("_Json", payload)
    bodies = [cast("_Json", told) for told in (body, body.get("data")) if isinstance(told, dict)]
    known = shape(route.answer) if route.answer else {}
    for told in bodies:
        status = _status_inside(told)
        if status is not None:
            return NOT_SAID if route.is_write and _tells_of_success(bodies, known) else status
        if told.get("success") is False or told.get("ok") is False:
            return NOT_SAID
    says_error = any(body.get(name) for name in ("error", "errors"))
    return NOT_SAID if says_error and known.keys().isdisjoint(body) and "data" not in body else None


def _status_inside(told: _Json) -> int | None:
    """Return the status of an error body; what is just called a status may be that of a message (SMTP's 451)."""
    says_why = told.keys() & {"message", "error", "errors"}
    names = ("statusCode", "status") if says_why else ("statusCode",)
    status = next((value for name in names if type(value := told.get(name)) is int), 0)
    return status if 400 <= status < 600 else None


def _tells_of_success(bodies: Iterable[_Json], known: Iterable[str]) -> bool:
    names = set(known) - {"status"}
    return any(told.get("success") is True or any(told.get(name) for name in names) for told in bodies)


def not_json(route: Route, content: bytes | bytearray) -> InboxError:
    """Return the error for an answer of success that is not JSON: a page of somebody else, or broken."""
    if route.is_write:
        return outcome_unknown(route)
    if is_page(content):
        return ContractBroken(
            f"The request to {route.purpose} was answered by a web page, not by SalesOS (a sign-in page or a proxy, or "
            f"SALESOS_BASE_URL is wrong): {DOCTOR}."
        )
    return ContractBroken(
        f"SalesOS answered the request to {route.purpose} with something that is not JSON, or only a part of it: call "
        f"again, and if that fails too {DOCTOR}."
    )


def is_page(content: bytes | bytearray) -> bool:
    """Return whether what is not JSON is a web page, or other markup."""
    return content[:400].lstrip().startswith(b"<")


def too_large(route: Route) -> InboxError:
    """Return the error for an answer that is longer, or holds more, than can be read."""
    if route.is_write:
        return outcome_unknown(route)
    return ContractBroken(
        f"The answer to the request to {route.purpose} is too large to be read here: ask for less, or tell the user to "
        "look at it in SalesOS."
    )


def unreachable(route: Route) -> Unavailable:
    """Return the error for a request that provably reached nobody, or for a read without an answer."""
    return Unavailable(
        f"SalesOS could not be reached to {route.purpose}, and nothing was changed: call again in a minute, "
        f"and if that fails too {DOCTOR}, which checks the connection and SALESOS_BASE_URL."
    )


def asks_for_csrf_token(status: int, payload: object) -> bool:
    """Return whether a refusal is about the CSRF token, missing or stale."""
    return status == 403 and "csrf" in " ".join(_messages(payload)).lower()


def missing_scope(payload: object) -> str | None:
    """Return the scope that an API key lacks, where a refusal says so."""
    scope = _SCOPE.search(" ".join(_messages(payload)).lower())
    return scope and scope[1]


def unknown_fields(route: Route, payload: object, overrides: Overrides = NONE) -> list[str]:
    """Return the fields of a request, by our names, that a refusal says the service does not know."""
    return _ours_of(route, _refused(_messages(payload)), overrides)


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
    """Return the sentences of an error body, in each of its known forms, as far as anyone would read."""
    if not isinstance(payload, dict):
        return []
    body = cast("_Json", payload)
    sentences = chain(_sentences(body.get("message")), _sentences(body.get("errors")))
    return [sentence[:_LONGEST_SENTENCE] for sentence in islice(sentences, _MOST_SENTENCES)]


def _sentences(told: object) -> Iterator[str]:
    """Yield the sentences of a text, a list of texts or of `{field, message}`, or a table of both."""
    if isinstance(told, dict):
        table = cast("_Json", told)
        told = [{"field": name, "message": text} for name, text in table.items()]
    for item in cast("list[object]", told) if isinstance(told, list) else [told]:
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            about = cast("_Json", item)
            name = about.get("field", about.get("property"))
            texts = about.get("message", about.get("constraints"))
            each = cast("_Json", texts).values() if isinstance(texts, dict) else cast("Iterable[object]", texts)
            each = each if isinstance(texts, dict | list) else (texts,)
            yield from (text for text in each if isinstance(text, str))
            if isinstance(name, str):  # which may be as long as the answer, for each of its thousand texts
                yield from (f"{name[:_LONGEST_SENTENCE]} {text}" for text in each if isinstance(text, str))


def _validation(route: Route, payload: object, overrides: Overrides) -> InboxError:
    messages = _messages(payload)
    added = next((name for name in _refused(messages) if overrides.is_added(route, name)), None)
    if added:
        return ContractBroken(
            f"SalesOS does not know the field {added}, which `routes.{route.key}.add` adds to "
            f"{_called(route, overrides)}, so nothing was done: ask the user to take it out of the file that "
            "SALESOS_CONTRACT names, and to restart the server."
        )
    unknown = unknown_fields(route, payload, overrides)
    asked_for = dict.fromkeys(found[1] for message in messages if (found := _WANTED.match(message)))
    wanted = [name for name in asked_for if not _ours(route, name, overrides) and not overrides.is_added(route, name)]
    if unknown:
        return _field_unknown(route, unknown, wanted, overrides)
    if wanted:
        return _field_wanted(route, wanted[0], overrides)
    subjects = (found[1] for message in messages if (found := _FIELD.match(message)))
    named = _ours_of(route, subjects, overrides)
    if named:
        return InvalidArguments(f"SalesOS refused the value of {', '.join(named)}: correct it and call again.")
    return InvalidArguments(f"SalesOS refused the request to {route.purpose} as invalid: check the arguments.")


def _refused(messages: Iterable[str]) -> Iterator[str]:
    """Return the fields that the sentences of a validator say there should not be."""
    for message, pattern in product(messages, _UNKNOWN_FIELDS):
        for found in pattern.finditer(message):
            yield ".".join(filter(None, found.groups()))


def _ours_of(route: Route, paths: Iterable[str], overrides: Overrides) -> list[str]:
    return list(dict.fromkeys(ours for path in paths if (ours := _ours(route, path, overrides))))


def _ours(route: Route, path: str, overrides: Overrides) -> str | None:
    """Return the field of a request that the service speaks of, by its whole path, by its beginning or by its end."""
    names = [name for name in path.split(".") if not name.isdigit()]
    told = (overrides.ours(route, name) for name in (".".join(names), names[0], names[-1]))
    return next((name for name in told if name), None)


def _called(route: Route, overrides: Overrides) -> str:
    return f"{route.key} ({route.method} {overrides.path(route)})"


def _field_unknown(route: Route, unknown: list[str], wanted: list[str], overrides: Overrides) -> InboxError:
    """Return the error for fields that the service does not know, with the lines that give them its names."""
    called = _called(route, overrides)
    fixed = [name for name in unknown if not may_be_renamed(route, name)]
    if fixed:
        return ContractBroken(
            f"SalesOS does not know {_fields(fixed)} of {called}, though it is documented, so nothing was "
            "done: tell the user that the API has changed, and that a newer version of this server may know how."
        )
    is_told = len(unknown) == len(wanted) == 1
    theirs = _in_its_sense(unknown[0], wanted[0]) if is_told else "the name SalesOS has for it"
    lines = ", ".join(f'`routes.{route.key}.rename.{name} = "{theirs}"`' for name in unknown[:_MOST_LINES])
    droppable = ", ".join(f'"{name}"' for name in unknown if name in MAY_BE_DROPPED)
    drop = f", or `routes.{route.key}.drop = [{droppable}]` where it has none," if droppable else ""
    return ContractBroken(
        f"SalesOS does not know {_fields(unknown)} of {called}, so nothing was done: ask the user to write "
        f"{lines}{' if that is its name for it' * is_told}{drop} "
        f"{_into_the_file(overrides, anew=any(overrides.is_renamed(route, name) for name in unknown))}."
    )


def _in_its_sense(ours: str, theirs: str) -> str:
    """Return `theirs` as a file names it for `ours`: with `!` where it is the opposite, as `unread` is of `isRead`."""
    return f"!{theirs}" if theirs.lower().removeprefix("is") == f"un{ours.lower().removeprefix('is')}" else theirs


def _fields(names: list[str]) -> str:
    return f"the field{'s' * (len(names) > 1)} {', '.join(names)}"


def _field_wanted(route: Route, wanted: str, overrides: Overrides) -> InboxError:
    """Return the error for a field that the service asks for and that is not known here."""
    fields = [name for name in request_fields(route) if may_be_renamed(route, name)]
    near = difflib.get_close_matches(wanted, fields, n=1)
    one = near[0] if near else "OURS"
    meaning = (
        f"if that is its name for {one}" if near else f"with the one of {', '.join(fields)} that it means for OURS"
    )
    rename = f'`routes.{route.key}.rename.{one} = "{wanted}"` {meaning}, or ' if fields else ""
    return ContractBroken(
        f"SalesOS wants the field {wanted} of {_called(route, overrides)}, which is not known here, so nothing was "
        f'done: ask the user to write {rename}`routes.{route.key}.add.{wanted} = "..."` if it is the same each time, '
        f"{_into_the_file(overrides)}."
    )


def _into_the_file(overrides: Overrides, *, anew: bool = False) -> str:
    if overrides == NONE:
        return "into a file, to set SALESOS_CONTRACT to its path, and to restart the server"
    where = "in place of the present line in" if anew else "at the top of"
    return f"{where} the file that SALESOS_CONTRACT names, and to restart the server"


def _forbidden(payload: object) -> InboxError:
    if asks_for_csrf_token(403, payload):
        return Unauthorized(
            "SalesOS did not take this session's CSRF token, even a fresh one: ask the user to run "
            "`salesos-inbox-mcp auth login`."
        )
    scope = missing_scope(payload)
    if scope:
        return Unauthorized(
            f"The API key lacks the scope {scope!r}: ask the user for a key that has it, or leave this action out."
        )
    return Refused("SalesOS does not allow this user to do that: tell the user, and do not try again.")


_WHERE_TO_LOOK = {
    "thread_id": ("thread", "take a thread_id from list_threads or search_threads"),
    "scheduled_id": ("scheduled message", "take a scheduled_id from list_scheduled"),
    "entity_id": ("linked record", "look at the thread's records with read_thread"),
}


def _is_elsewhere(route: Route, payload: object, ids: Mapping[str, str]) -> bool:
    """Return whether it is the address that was not found: the framework says so, or nobody speaks JSON there.

    The session's own routes may be missing at an address that is right, and an odd id may lead to none.
    """
    if ids or not route.number:
        return False
    return payload is None or any(message.startswith(f"Cannot {route.method} ") for message in _messages(payload))


def _not_found(ids: Mapping[str, str]) -> str:
    for name in ("entity_id", "scheduled_id", "thread_id"):
        if name in ids:
            thing, remedy = _WHERE_TO_LOOK[name]
            return f"There is no {thing} {ids[name][:60]!r} in this mailbox: {remedy}."
    return (
        f"SalesOS does not find what the request names: check its ids, and if every call says this {DOCTOR}, "
        "as SALESOS_BASE_URL may be wrong."
    )


def _seconds(retry_after: float | None) -> str:
    if retry_after is None:
        return "a minute"
    seconds = max(1, round(retry_after))
    return f"{seconds} second{'s' * (seconds > 1)}"
