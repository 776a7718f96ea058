"""The service itself: who it takes us for, and whether each reading endpoint answers as the contract has it."""

import math
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final, cast

import anyio
from pydantic.alias_generators import to_snake

from salesos_inbox.client.failures import failure, missing_scope, unknown_fields
from salesos_inbox.client.headers import read_number
from salesos_inbox.client.lists import read_list
from salesos_inbox.client.retry import retry_after_seconds
from salesos_inbox.contract import routes
from salesos_inbox.contract.envelopes import unwrapped
from salesos_inbox.contract.models import Answer, Mark
from salesos_inbox.contract.overrides import read_overrides, request_fields
from salesos_inbox.contract.routes import Route, filled
from salesos_inbox.doctor.bodies import Comparison, compare, holds_any
from salesos_inbox.doctor.case import Case, Reply, Trouble
from salesos_inbox.doctor.finding import Finding, failed, ok, skipped, warning
from salesos_inbox.doctor.network import fetch
from salesos_inbox.errors import ContractBroken

MOST_AT_ONCE: Final = 3
FEW_LEFT: Final = 10
"""Requests left of a minute's, below which the account is said to be busy."""
_MOST_NAMES: Final = 40
_LONGEST_NAME: Final = 100


@dataclass(frozen=True)
class Endpoint:
    """One reading endpoint as it is tried: under which name it is told of, and with which query."""

    name: str
    route: Route
    query: tuple[tuple[str, object], ...] = ()
    items: str = ""
    """What one item of its list is called."""


ENDPOINTS: Final = (
    Endpoint("folders", routes.LIST_FOLDERS, (), "folder"),
    Endpoint("threads", routes.LIST_THREADS, (("page", 1), ("limit", 5)), "thread"),
    Endpoint("one thread", routes.GET_THREAD),
    Endpoint("search", routes.SEARCH_THREADS, (("q", "hello"), ("limit", 5)), "thread"),
    Endpoint("statistics", routes.GET_STATS),
    Endpoint("scheduled", routes.LIST_SCHEDULED, (("limit", 5),), "email"),
    Endpoint("user", routes.GET_ME),
    Endpoint("CSRF token", routes.GET_CSRF_TOKEN),
)


# Who we are


async def check_sign_in(case: Case) -> list[Finding]:
    """Tell whether the token or key is accepted, by the answer to the first request."""
    if not case.token_is_good or case.first is None:
        return [skipped("sign-in", "as token is not ok")]
    kind = "token" if case.settings.token else "key"
    match case.first.status:
        case 401:
            found = f"the service does not accept the {kind} (unknown, ended or revoked)"
            return [failed("sign-in", found, case.remedy)]
        case 403:
            return [failed("sign-in", *_forbidden(case.first, case))]
        case 429:
            return [_throttled("sign-in", case.first)]
        case 200:
            return [ok("sign-in", f"the service accepts the {kind}")]
        case _:
            return [ok("sign-in", f"the service does not refuse the {kind}")]


def _forbidden(reply: Reply, case: Case) -> tuple[str, str]:
    scope = missing_scope(reply.payload)
    if scope:
        return f"the key lacks the scope {scope}", f"Have a key made that has the scope {scope}."
    if case.settings.organization_id:
        return (
            "the service does not let this user into the organization",
            "Correct SALESOS_ORGANIZATION_ID, or remove it.",
        )
    return "the service does not let this user do that (status 403)", "Ask who manages your SalesOS for access."


def _throttled(name: str, reply: Reply) -> Finding:
    seconds = math.ceil(retry_after_seconds(reply.headers, reply.at.timestamp()) or 60)
    wait = f"{seconds} second{'s' * (seconds > 1)}"
    return warning(name, "the service takes no more requests for now", f"Run doctor again in {wait}.")


# Endpoints


_NO_IDS: Final[dict[str, str]] = {}


async def ask_all(case: Case) -> None:
    """Ask every endpoint, a few at the same time; none after a refusal to take more requests."""
    limiter = anyio.CapacityLimiter(MOST_AT_ONCE)

    async def ask(endpoint: Endpoint, ids: dict[str, str]) -> None:
        async with limiter:
            if _is_throttled(case):
                return
            overrides = case.settings.overrides
            query: dict[str, object] = overrides.outgoing(endpoint.route, dict(endpoint.query)) or {}
            url = case.settings.base_url + filled(overrides.path(endpoint.route), **overrides.in_path(ids))
            texts = {name: str(value) for name, value in query.items()}
            case.replies[endpoint.route.key] = await fetch(case, url, case.headers, texts or None)

    async with anyio.create_task_group() as tasks:
        for endpoint in ENDPOINTS:
            if endpoint.route is not routes.GET_THREAD and _concerns(endpoint, case):
                tasks.start_soon(ask, endpoint, _NO_IDS)
    thread_id = _some_thread(case)
    if thread_id is not None:
        await ask(next(endpoint for endpoint in ENDPOINTS if endpoint.route is routes.GET_THREAD), thread_id)


def _is_throttled(case: Case) -> bool:
    replies = (case.first, *case.replies.values())
    return any(isinstance(reply, Reply) and reply.status == 429 for reply in replies)


def _concerns(endpoint: Endpoint, case: Case) -> bool:
    return endpoint.route is not routes.GET_CSRF_TOKEN or (
        case.settings.token is not None and case.settings.overrides.sends_csrf
    )


def _some_thread(case: Case) -> dict[str, str] | None:
    reply = case.replies.get(routes.LIST_THREADS.key)
    items = _items(routes.LIST_THREADS, reply, case) if isinstance(reply, Reply) and reply.status == 200 else None
    for item in items or []:
        identifier = cast("dict[str, object]", item).get("id") if isinstance(item, dict) else None
        if isinstance(identifier, str | int) and str(identifier).strip("."):
            return {"thread_id": str(identifier)}
    return None


def _items(route: Route, reply: Reply, case: Case) -> list[object] | None:
    payload = case.settings.overrides.incoming(route, reply.payload)
    try:
        return read_list(payload, reply.headers.get("x-total-count"), route).items
    except ContractBroken:
        return None


def check_endpoint(endpoint: Endpoint, case: Case) -> list[Finding]:
    """Judge what an endpoint answered."""
    name, route = endpoint.name, endpoint.route
    reply = case.replies.get(route.key)
    if reply is None:
        return [_not_asked(endpoint, case)]
    if isinstance(reply, Trouble):
        return [failed(name, reply.found, reply.remedy)]
    if reply.status == 404 and route is routes.GET_ME:
        return [ok(name, "the service does not tell who the user is, and the server does without")]
    if not 200 <= reply.status < 300:
        return [_refused(endpoint, reply, case)]
    if not reply.is_json:
        return [failed(name, "answers no JSON", "Report it to those who run the service.")]
    if route.is_list:
        return [_judge_list(endpoint, reply, case), *_check_words(endpoint, case)]
    return [_judge_one(endpoint, reply, case)]


def _not_asked(endpoint: Endpoint, case: Case) -> Finding:
    if not _concerns(endpoint, case):
        return ok(endpoint.name, "none is needed")
    if _is_throttled(case):
        return skipped(endpoint.name, "the service takes no more requests for now")
    if endpoint.route is routes.GET_THREAD:
        return skipped(endpoint.name, "there is no thread to read")
    return skipped(endpoint.name, "no time was left")


def _refused(endpoint: Endpoint, reply: Reply, case: Case) -> Finding:
    name, status = endpoint.name, reply.status
    if status == 429:
        return _throttled(name, reply)
    if status == 401:
        return failed(name, "the service does not accept the token or key here (status 401)", case.remedy)
    if status == 403:
        return failed(name, *_forbidden(reply, case))
    if status in {400, 422}:
        return _invalid(endpoint, reply, case)
    if status >= 500:
        return failed(name, f"fails (status {status})", "Try again in a few minutes, then tell who runs the service.")
    return failed(name, f"is not there (status {status})", _where_it_is(endpoint.route))


_REPORT: Final = "Report it, with what `doctor --report` writes, as the contract of this server is wrong here."
_OPEN: Final = "..."
"""What stands for the service's own name in a line that the operator completes: the file does not take it as it is."""


def _where_it_is(route: Route) -> str:
    line = f'routes.{route.key}.path = "{_OPEN}"'
    if not _is_accepted(line.replace(_OPEN, route.path)):
        return _REPORT
    if route is not routes.GET_CSRF_TOKEN:
        return _in_the_file(line)
    return "\n".join(
        [
            "Put into the file that SALESOS_CONTRACT names the first of these lines if the service wants no CSRF "
            f'token, and else the second, with its path in the place of "{_OPEN}":',
            "session.csrf = false",
            line,
        ]
    )


def _invalid(endpoint: Endpoint, reply: Reply, case: Case) -> Finding:
    """Name the fields of the query that the service does not know."""
    route, overrides = endpoint.route, case.settings.overrides
    named = unknown_fields(route, reply.payload, overrides)
    if not named:
        return failed(endpoint.name, f"the query is refused (status {reply.status})", _REPORT)
    advice = str(failure(route, reply.status, reply.payload, ids=_NO_IDS, overrides=overrides))
    told = [line for line in re.findall(r"`(routes\.[^`]+)`", advice) if ".rename." in line and _is_accepted(line)]
    lines = told or [f'routes.{route.key}.rename.{name} = "{_OPEN}"' for name in named]
    return failed(endpoint.name, f"does not know {_listed(named)}", _in_the_file(*lines))


def _judge_list(endpoint: Endpoint, reply: Reply, case: Case) -> Finding:
    items = _items(endpoint.route, reply, case)
    if items is None:
        key = _list_within(reply.payload)
        line = f'routes.{endpoint.route.key}.items = "{key}"'
        if key and _is_accepted(line):
            return failed(endpoint.name, f"the list stands under {key}", _in_the_file(line))
        return failed(endpoint.name, "no list can be found in the answer", _REPORT)
    what = f"{len(items)} {endpoint.items}{'s' * (len(items) != 1)}{_envelope(reply.payload)}"
    if not items:
        return ok(endpoint.name, f"{what}, so that the fields of one cannot be seen")
    return _judge(endpoint, what, _compared(endpoint.route, items, case))


def _judge_one(endpoint: Endpoint, reply: Reply, case: Case) -> Finding:
    route = endpoint.route
    assert route.answer is not None
    comparison = _compared(route, [unwrapped(case.settings.overrides.incoming(route, reply.payload))], case)
    holder = _holder(route.answer, reply.payload) if comparison.is_strange else None
    line = f'answers.item = "{holder}"'
    if holder and _is_accepted(line):
        return failed(endpoint.name, f"all of it stands under {holder}", _in_the_file(line))
    return _judge(endpoint, "read", comparison)


def _compared(route: Route, bodies: list[object], case: Case) -> Comparison:
    assert route.answer is not None
    overrides = case.settings.overrides
    changes = overrides.routes.get(route.key)
    return compare(route.answer, bodies, overrides, changes.answer if changes else {})


def _holder(model: type[Answer], payload: object) -> str | None:
    """Return the name under which an answer holds the fields of `model`, with those around it."""
    for name, value in cast("dict[str, object]", payload).items() if isinstance(payload, dict) else ():
        if re.fullmatch(r"[A-Za-z_]\w{0,39}", name):
            if holds_any(model, value):
                return name
            if inner := _holder(model, value):
                return f"{name}.{inner}"
    return None


def _list_within(payload: object) -> str | None:
    """Return the name under which an envelope that is not known holds a list, with those around it."""
    if not isinstance(payload, dict):
        return None
    for name, value in cast("dict[str, object]", payload).items():
        if re.fullmatch(r"[A-Za-z_]\w{0,39}", name):
            if isinstance(value, list):
                return name
            if inner := _list_within(value):
                return f"{name}.{inner}"
    return None


def _envelope(payload: object) -> str:
    if isinstance(payload, list):
        return ""
    name = _list_within(payload) or ""
    return f" (under {name})" if 0 < len(name) <= _LONGEST_NAME else ""


def _judge(endpoint: Endpoint, what: str, comparison: Comparison) -> Finding:
    lines = [line for line in (_rename_line(*rename) for rename in comparison.renames) if _is_accepted(line)]
    if comparison.unknown or comparison.other_type:
        lines += [_rename_line(*field, _OPEN) for field in comparison.open if _is_accepted(_rename_line(*field, "x"))]
    found = "; ".join(["holds nothing that is expected" if comparison.is_strange else what, *_told(comparison)])
    remedy = _in_the_file(*lines) if lines else _REPORT
    if comparison.needed or comparison.other_type or comparison.is_strange:
        return failed(endpoint.name, found, remedy)
    if comparison.renames or comparison.wanted:
        return warning(endpoint.name, found, remedy)
    return ok(endpoint.name, found)


def _told(comparison: Comparison) -> Iterator[str]:
    theirs = {name.removeprefix("!").replace("[]", "") for *_, name in comparison.renames}
    ours = {name for _, name, _ in comparison.renames}
    absent = [] if comparison.is_strange else comparison.absent
    for words, names in (
        ("without", comparison.needed + comparison.wanted),
        ("of another type:", comparison.other_type),
        ("likely renamed:", [f"{theirs} for {ours}" for _, ours, theirs in comparison.renames]),
        ("unknown:", [name for name in comparison.unknown if not _holds(name, theirs)]),
        ("not seen:", [name for name in absent if not _holds(name, ours)]),
    ):
        if names:
            yield f"{words} {_listed(names)}"


def _holds(path: str, names: set[str]) -> bool:
    """Return whether a path leads through one of `names`, which may be paths themselves."""
    steps = path.split(".")
    spans = combinations(range(len(steps) + 1), 2)
    return any(".".join(steps[start:end]) in names for start, end in spans)


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join([*names[:_MOST_NAMES], *([f"{more} more"] if more > 0 else [])])


# Folders' words


_FOLDERS: Final = frozenset({"inbox", "sent", "drafts", "scheduled", "archive", "trash", "spam", "custom"})


def _check_words(endpoint: Endpoint, case: Case) -> list[Finding]:
    """Tell of words for folders that are neither ours nor those of a folder that there is."""
    folders = _rows(routes.LIST_FOLDERS, case)
    if endpoint.route is routes.LIST_FOLDERS:
        lines = _word_lines(_words(folders, "type") - _FOLDERS)
        strange = len(lines)  # others may well be words for kinds that only this service has
        found = "a folder is of one of the usual kinds, by another word"
    elif endpoint.route is routes.LIST_THREADS and folders:
        known = {word.casefold() for word in _words(folders, "id", "name", "type")} | _FOLDERS
        words = {word for word in _words(_rows(routes.LIST_THREADS, case), "folder") if word.casefold() not in known}
        strange, lines = len(words), _word_lines(words) or [f'values.folder.archive = "{_OPEN}"']
        found = f"{strange} folder{'s' * (strange > 1)} that threads are in cannot be found among the folders"
    else:
        return []
    if not strange:
        return []
    return [warning(endpoint.name, found, _in_the_file(*lines))]


def _rows(route: Route, case: Case) -> list[object]:
    reply = case.replies.get(route.key)
    return (_items(route, reply, case) or []) if isinstance(reply, Reply) and reply.status == 200 else []


def _words(rows: list[object], *names: str) -> set[str]:
    objects = [cast("dict[str, object]", row) for row in rows if isinstance(row, dict)]
    return {value for row in objects for name in names if isinstance(value := row.get(name), str) and value}


def _word_lines(words: set[str]) -> list[str]:
    """Return the lines for those words of which each holds one of ours."""
    lines: dict[str, str] = {}
    for theirs in sorted(words):
        ours = sorted(_FOLDERS.intersection(re.split(r"[^a-z]+", theirs.casefold())))
        if (
            len(ours) == 1
            and theirs.casefold() not in _FOLDERS
            and re.fullmatch(r"[\w@:./#+-]{1,40}", theirs, re.ASCII)
        ):
            lines.setdefault(ours[0], f'values.folder.{ours[0]} = "{theirs}"')
    return [line for line in lines.values() if _is_accepted(line)]


def _rename_line(model: str, ours: str, theirs: str) -> str:
    return f'models.{model}.{ours} = "{theirs}"'


def _in_the_file(*lines: str) -> str:
    """Return the remedy that is lines of the operator's file, each to be copied as it stands unless it is open."""
    is_open = any(f'"{_OPEN}"' in line for line in lines)
    with_what = f', with the service\'s own word in the place of "{_OPEN}"' if is_open else ""
    return "\n".join([f"Put into the file that SALESOS_CONTRACT names{with_what}:", *lines])


def _is_accepted(line: str) -> bool:
    """Return whether the file takes a line: not everything that differs can be adapted to."""
    try:
        read_overrides(tomllib.loads(line))
    except ValueError:
        return False
    return True


# What the answers tell besides


def check_spelling(case: Case) -> list[Finding]:
    """Tell whether names are in snake case: answers are read in it too, but requests are not written so."""
    found = {
        (theirs, ours)
        for endpoint in ENDPOINTS
        if isinstance(reply := case.replies.get(endpoint.route.key), Reply) and reply.status == 200
        for theirs, ours in _in_snake_case(endpoint.route, reply, case)
    }
    if not found:
        return [ok("spelling", "names are spelt as the contract has them")]
    lines = [
        line
        for route in routes.ROUTES
        for name in request_fields(route)
        if (snake := to_snake(name)) != name and not case.settings.overrides.is_renamed(route, name)
        if _is_accepted(line := f'routes.{route.key}.rename.{name} = "{snake}"')
    ]
    theirs, ours = min(found)
    told = f"answers are in snake case ({theirs} for {ours}), which is read; requests may have to be so too"
    return [warning("spelling", told, _in_the_file(*lines))] if lines else [ok("spelling", "snake case, as overridden")]


def _in_snake_case(route: Route, reply: Reply, case: Case) -> list[tuple[str, str]]:
    if route.answer is None or route.answer.mark is Mark.SIBLING:
        return []  # the session's own are known to be in snake case
    payload = case.settings.overrides.incoming(route, reply.payload)
    bodies = (_items(route, reply, case) or []) if route.is_list else [unwrapped(payload)]
    return compare(route.answer, bodies).respelt


def _told_limit(reply: Reply, what: str) -> float | None:
    return read_number(reply.headers.get(f"x-ratelimit-{what}"))


def check_rate_limit(case: Case) -> list[Finding]:
    """Tell what the service says of its limit."""
    replies = [reply for reply in (case.first, *case.replies.values()) if isinstance(reply, Reply)]
    if not replies:
        return [skipped("rate limit", "nothing was answered")]
    refusal = next((reply for reply in replies if reply.status == 429), None)
    if refusal:
        return [_throttled("rate limit", refusal)]
    last = min(replies, key=lambda reply: _or_infinity(_told_limit(reply, "remaining")))
    limit, left = _told_limit(last, "limit"), _told_limit(last, "remaining")
    own = case.settings.requests_per_minute
    if limit is None or left is None:
        return [
            ok("rate limit", f"the service does not tell its own; this server makes at most {own} requests a minute")
        ]
    if left < FEW_LEFT:
        found = f"{left:.0f} of {limit:.0f} requests are left"
        return [warning("rate limit", found, "Find out what else uses this account, or run doctor again in a minute.")]
    if limit < own:
        found = f"{limit:.0f} requests are allowed, and this server makes up to {own} a minute"
        return [warning("rate limit", found, f"Set SALESOS_REQUESTS_PER_MINUTE to {max(1, int(limit * 0.95))}.")]
    reset = "" if _told_limit(last, "reset") is None else ", and when they begin anew"
    return [ok("rate limit", f"the service tells how many requests are allowed and left{reset}")]


def _or_infinity(number: float | None) -> float:
    return math.inf if number is None else number


def check_scopes(case: Case) -> list[Finding]:
    """Tell what an API key may do, as far as reading shows it."""
    if not case.settings.api_key:
        return [ok("scopes", "everything is allowed")]
    return [ok("scopes", "the key may read; only a change would show whether it may write and delete")]
