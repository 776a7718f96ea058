"""The sandbox in other words: other names of fields, other envelopes and paths, sessions without CSRF tokens.

A spelling stands around the service and translates what comes and what goes, so that nothing behind it
knows of it. It is what `SALESOS_CONTRACT` is tried against.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from salesos_inbox.contract.models import Answer
from salesos_inbox.contract.overrides import MISSING, Place, may_be_renamed, request_fields, shape
from salesos_inbox.contract.routes import GET_CSRF_TOKEN, ROUTES, Route
from salesos_inbox.sandbox.envelopes import Envelope

_Json = dict[str, object]
_Names = Mapping[str, str]

_FOREIGN: Final = "~"
"""Goes before a field that this spelling does not know, so that the service behind it does not know it either."""
_BY_PRECISION: Final = sorted(ROUTES, key=lambda route: route.path.count("{"))
_OF_THE_BODY: Final = frozenset({"content-type", "content-length", "x-total-count"})
_SWITCHES: Final[Mapping[str, object]] = {"true": True, "false": False}
_SENTENCE: Final = re.compile(r"(each value in |property )?(~?[A-Za-z_]\w*)(?= )")


def _as_it_is(name: str) -> str:
    return name


@dataclass(frozen=True)
class Spelling:
    """How another service would say what the contract says.

    Places are written as in `SALESOS_CONTRACT`: `from.email`, `to[].email`, `!unread`.
    """

    name: Callable[[str], str] = _as_it_is
    """What a field is called that nothing else is said of; documented ones keep their names."""
    requests: Mapping[str, _Names] = field(default_factory=dict[str, _Names])
    """Places of fields in bodies and queries, by the route's key; of all routes under `""`."""
    answers: Mapping[str, _Names] = field(default_factory=dict[str, _Names])
    """Places of fields in answers, by the model's name."""
    words: Mapping[str, _Names] = field(default_factory=dict[str, _Names])
    """The contract's words and this service's, by the contract's name of the field."""
    paths: _Names = field(default_factory=dict[str, str])
    """Other paths, by the route's key."""
    envelope: Envelope = "array"
    lists: Mapping[str, _Names] = field(default_factory=dict[str, _Names])
    """Places in an envelope of its `items`, and of what else it holds, by the route's key; of all under `""`."""
    item: str | None = None
    """Where an answer stands that is not a list."""
    wants_csrf: bool = True
    """Whether a session's changes must carry a CSRF token."""

    def around(self, app: ASGIApp, prefix: str) -> ASGIApp:
        """Return `app`, which serves the contract below `prefix`, in this spelling."""
        offered = [route for route in _BY_PRECISION if self.wants_csrf or route is not GET_CSRF_TOKEN]
        served = [(route, _pattern(prefix + self.paths.get(route.key, route.path))) for route in offered]

        async def spelled(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            request = Request(scope, receive)
            here = (route for route, path in served if route.method == request.method and path.fullmatch(scope["path"]))
            route = next(here, None)
            asked = await self._asked(route, prefix, request)
            answer = await answer_of(app, *asked)
            await (self._answered(route, answer) if route else answer)(scope, receive, send)

        return spelled

    async def _asked(self, route: Route | None, prefix: str, request: Request) -> tuple[Scope, bytes]:
        """Return a request as the contract would have it; one to a path of the contract's that moved finds nothing."""
        body, scope = await request.body(), request.scope
        if route is None:
            moved = any(_pattern(prefix + other.path).fullmatch(scope["path"]) for other in ROUTES)
            return ({**scope, "path": f"{prefix}/-"} if moved else scope), body
        if route.key in self.paths:
            scope = {**scope, "path": prefix + route.path, "raw_path": (prefix + route.path).encode()}
        if route.method == "GET":
            given = {name: _SWITCHES.get(value, value) for name, value in QueryParams(scope["query_string"]).items()}
            values = {name: _text(value) for name, value in self._contracted(route, given).items()}
            return {**scope, "query_string": urlencode(values).encode()}, body
        try:
            document = json.loads(body) if body else None
        except ValueError:
            document = None
        if isinstance(document, dict):
            body = json.dumps(self._contracted(route, cast("_Json", document))).encode()
        headers = [
            (name, value)
            for name, value in cast("list[tuple[bytes, bytes]]", scope["headers"])
            if name != b"content-length"
        ]
        return {**scope, "headers": [*headers, (b"content-length", str(len(body)).encode())]}, body

    def _contracted(self, route: Route, given: Mapping[str, object]) -> _Json:
        """Return a body or a query under the contract's names; what is under no name of this spelling is foreign."""
        places = {name: self._place_in_request(route, name) for name in request_fields(route)}
        known = {place.names[0] for place in places.values()}
        found = {name: place.find(given) for name, place in places.items()}
        values: _Json = {name: self._ours(name, value) for name, value in found.items() if value is not MISSING}
        return values | {f"{_FOREIGN}{name}": value for name, value in given.items() if name not in known}

    def _place_in_request(self, route: Route, name: str) -> Place:
        told = self.requests.get(route.key, {}).get(name) or self.requests.get("", {}).get(name)
        if route.method == "GET" and told:
            return Place(((told.removeprefix("!"), False),), told.startswith("!"))
        return Place.parse(told or (self.name(name) if may_be_renamed(route, name) else name))

    def _ours(self, name: str, value: object) -> object:
        words = {theirs: ours for ours, theirs in self.words.get(name, {}).items()}
        return words.get(value, value) if isinstance(value, str) else value

    def _answered(self, route: Route, answer: Response) -> Response:
        """Return an answer as this service would give it."""
        if not answer.body:
            return answer
        document = json.loads(bytes(answer.body))
        if answer.status_code >= 400:
            spelled: object = self._refused(route, document)
        elif route.is_list:
            spelled = self._list(route, document, answer.headers.get("x-total-count"))
        else:
            spelled = self._translated(route.answer, document)
            if self.item:
                spelled = {self.item: spelled}
        headers = {name: value for name, value in answer.headers.items() if name not in _OF_THE_BODY}
        return JSONResponse(spelled, answer.status_code, headers)

    def _refused(self, route: Route, document: dict[str, Any]) -> object:
        """Return an error body, whose sentences name fields as this service does."""

        def named(found: re.Match[str]) -> str:
            name = found[2].removeprefix(_FOREIGN)
            ours = not found[2].startswith(_FOREIGN) and name in request_fields(route)
            return f"{found[1] or ''}{self._place_in_request(route, name).names[0] if ours else name}"

        message = document["message"]
        if isinstance(message, list):
            sentences = cast("list[str]", message)
            return {**document, "message": [_SENTENCE.sub(named, sentence, count=1) for sentence in sentences]}
        return document

    def _list(self, route: Route, document: Any, total: str | None) -> object:
        """Return a list in its envelope, which says its total where it does not say it already; a bare one stays so."""
        if isinstance(document, list):
            return self._translated(route.answer, cast("object", document))
        envelope = cast("_Json", document)
        key = "data" if "data" in envelope else "items"
        held = {**envelope, key: self._translated(route.answer, envelope[key])}
        if total and "meta" not in envelope:
            held["total"] = int(total)
        places = {**self.lists.get("", {}), **self.lists.get(route.key, {})}
        spelled: _Json = {}
        for name, value in held.items():
            Place.parse(places.get(name, name)).put(spelled, value)
        return spelled

    def _translated(self, model: type[Answer] | None, value: object) -> object:
        """Return what a model holds under this service's names."""
        if isinstance(value, list):
            return [self._translated(model, item) for item in cast("list[object]", value)]
        if model is None or not isinstance(value, dict):
            return value
        fields = shape(model)
        spelled: _Json = {}
        for name, item in cast("_Json", value).items():
            told = next((names[name] for kind in model.__mro__ if name in (names := self._names(kind))), None)
            words = self.words.get(name, {})
            item = words.get(item, item) if isinstance(item, str) else self._translated(fields.get(name), item)
            Place.parse(told or self.name(name)).put(spelled, item)
        return spelled

    def _names(self, model: type) -> _Names:
        return self.answers.get(model.__name__, {})


async def answer_of(app: ASGIApp, scope: Scope, body: bytes) -> Response:
    """Return what `app` answers to a request that is here already."""
    answered: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        answered.append(message)

    await app(scope, receive, send)
    start, *parts = answered
    answer = Response(b"".join(part.get("body", b"") for part in parts), start["status"])
    answer.raw_headers = list(start["headers"])
    return answer


def _text(value: object) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(map(re.escape, re.split(r"\{\w+\}", path))))
