"""The approval page: what waits for the user, in their own browser, served by our own process.

The way in is a ticket that is good once, and soon. It buys a page whose form carries the secret of a
session in its body. No secret stands in a cookie, which every other server on 127.0.0.1 would be sent,
or in an address that still works; neither ticket nor secret passes through an answer, a log or a model.

The server is uvicorn on a thread of its own. It is started when first needed, so that neither the
protocol's loop nor the page waits for the other, and it outlives the call that began it.
"""

import hashlib
import hmac
import json
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from salesos_inbox.approval.card import Card
from salesos_inbox.approval.ledger import Ledger, Operation, State
from salesos_inbox.approval.markup import Outcome, Waiting, notice_page, style_source, waiting_page
from salesos_inbox.errors import Unavailable

if TYPE_CHECKING:
    import uvicorn
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

BY = "the user, on the page"
"""Who decides here, as the ledger records it."""
TICKET_SECONDS = 120.0
"""How long a browser may take to start."""
SESSION_SECONDS = 1800.0
"""How long a page may lie untouched and still decide."""
QUICKEST_DECISION = 0.5
"""Seconds; a click that comes sooner after its page is the second half of a double click."""
VISIT_SECONDS = 30.0
"""How long a person is taken to be on their way to the page, or busy with it, so that no second tab is opened."""
LONGEST_BODY = 1024 * 1024

_CLOSING_SECONDS = 2.0
_HOST = "127.0.0.1"
_ENTER = "/enter/"
_DECIDE = "/decide"
_LOOK = "/"
_FORM_TYPE = "application/x-www-form-urlencoded"

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {style_source()}; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser would not name the origin of our own form
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_UNCLEAR = Outcome("Nothing was decided.", "The browser did not send exactly one choice.", decided=False)
_TOO_QUICK = Outcome("Nothing was decided.", "That click came quicker than anyone can read: look again.", decided=False)
_GONE = Outcome("Nothing was decided.", "That question is not there any more.", decided=False)
_CHANGED = Outcome("Nothing was decided.", "The card has changed since you saw it: look again.", decided=False)
_NO_TICK = Outcome("Nothing was decided.", "Tick at least one thread, or decline.", decided=False)
_APPROVED = Outcome(
    "Approved.", "Your assistant carries it out, once. If it has stopped waiting, tell it to go on within five minutes."
)
_DECLINED = Outcome("Declined.", "It does not happen, and your assistant is told so.")
_FOUND = {
    State.APPROVED: Outcome(
        "Decided before.", "It was approved, and is carried out once, when your assistant takes it up."
    ),
    State.CLAIMED: Outcome("Decided before.", "It was approved, and is just being carried out, once."),
    State.DONE: Outcome("Decided before.", "It was approved, and was carried out once."),
    State.FAILED: Outcome("Decided before.", "It was approved, and did not succeed: your assistant can say why."),
    State.UNKNOWN: Outcome("Decided before.", "It was approved, and it is not known yet whether it happened."),
    State.DECLINED: Outcome("Decided before.", "It was declined, and does not happen."),
    State.EXPIRED: Outcome("Expired.", "Nothing happened, and your assistant can ask again.", decided=False),
    State.NOBODY_ASKED: Outcome("Withdrawn.", "Nothing happened, and your assistant can ask again.", decided=False),
}
"""What is said of a question that is not open any more, by how far it has come."""
_GRANTED = frozenset({State.APPROVED, State.CLAIMED, State.DONE, State.FAILED, State.UNKNOWN})

_START_BROWSER = """\
import os, sys, webbrowser
for name in [*os.environ]:
    if name == "TERM" or name.startswith("SALESOS_"):
        del os.environ[name]
webbrowser.open(sys.stdin.read())
"""
"""Runs in a process of its own. Without a terminal, browsers that need one are no candidates; and the browser, which
outlives us, gets no token from us.
"""


def open_browser(url: str) -> bool:
    """Bring `url` before the user in their browser ($BROWSER, or the system's own); False where none can be started.

    Returns at once, and leaves our standard streams alone, which may be the protocol's wire.
    """
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", _START_BROWSER],
            stdin=subprocess.PIPE,  # as arguments are seen by every user of the machine
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a browser started here stays when we end
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # where Windows would show one
        )
        assert process.stdin is not None, "it is a pipe"
        with process.stdin as line:
            line.write(url.encode())
    except OSError:
        return False
    threading.Thread(target=process.wait, name="browser", daemon=True).start()
    return True


class ApprovalPage:
    """Lists what waits for a user in `ledger`, and writes what they decide back into it.

    `clock` gives unix seconds; `open_browser` brings an address before the user, False where it cannot.
    """

    def __init__(
        self, ledger: Ledger, *, clock: Callable[[], float], open_browser: Callable[[str], bool] = open_browser
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._open_browser = open_browser
        self._door = _Door()
        self._visits: dict[str, float] = {}
        """When each user was last sent to the page, or was shown something to decide on it."""
        self._seen_at: float | None = None
        self._server: _Server | None = None
        self._lock = threading.Lock()

    def show(self, user: str) -> bool:
        """Bring what waits for `user` before them, in their browser; ten requests in a row are one visit.

        False where no page can be served or no browser be started. True does not say that somebody
        looks: `seen_since` does.
        """
        now = self._clock()
        with self._lock:
            visited = self._visits.get(user)
            if self._server and visited is not None and abs(now - visited) < VISIT_SECONDS:
                return True
            try:
                server = self._server = self._server or _Server(self._application)
            except OSError:
                return False
            self._visits[user] = now
        ticket = self._door.issue(user, now)
        if self._open_browser(f"{server.origin}{_ENTER}{ticket}"):
            return True
        self._door.enter(ticket, now)  # which uses it up
        self._visits.pop(user, None)
        return False

    def seen_since(self, moment: float) -> bool:
        """Whether a browser has fetched the page, with all that waited then, since `moment` (unix seconds)."""
        return self._seen_at is not None and self._seen_at >= moment

    def close(self) -> None:
        """Stop serving; tickets and open pages are void."""
        with self._lock:
            server, self._server = self._server, None
            self._door = _Door()
            self._visits.clear()
        if server:
            server.stop()

    async def _application(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        from starlette.requests import Request
        from starlette.responses import HTMLResponse

        reply = await self._answer(Request(scope, receive), f"{_HOST}:{scope['server'][1]}")
        allow = {"Allow": reply.allow} if reply.allow else {}
        content = reply.html.encode("utf-8", "replace")
        await HTMLResponse(content, reply.status, {**_HEADERS, **allow})(scope, receive, send)

    async def _answer(self, request: "Request", host: str) -> "_Reply":
        refused = _refusal(request, host)
        if refused:
            return refused
        try:
            if request.method == "GET":
                return self._enter(request.scope["path"].removeprefix(_ENTER))
            form = await _read_form(request)
            return form if isinstance(form, _Reply) else self._submit(request.scope["path"], form)
        except Unavailable:
            return _NO_LEDGER

    def _enter(self, ticket: str) -> "_Reply":
        session = self._door.enter(ticket, self._clock())
        return self._list(session) if session else _USED_UP

    def _submit(self, path: str, form: dict[str, list[str]]) -> "_Reply":
        session = self._door.find("".join(form.get("session", ())), self._clock())
        if session is None:
            return _OVER
        outcome = self._decide(session, form) if path == _DECIDE else None
        return self._list(session, outcome, _Ticks.read(form))

    def _decide(self, session: "_Session", form: dict[str, list[str]]) -> Outcome:
        """Record the decision that `form` makes, if it makes one, and return what became of it."""
        now = self._clock()
        choices = [(name == "approve", value) for name in ("approve", "decline") for value in form.get(name, ())]
        if len(choices) != 1:
            return _UNCLEAR
        approve, operation_id = choices[0]
        operation = self._ledger.read(operation_id)
        if operation is None or operation.user != session.user:
            return _GONE
        card = _card(operation)
        if operation.state is not State.ASKED or card is None:
            return _FOUND.get(operation.state, _GONE)
        if abs(now - session.shown_at) < QUICKEST_DECISION:
            return _TOO_QUICK
        ticks = _Ticks.read(form)
        if not hmac.compare_digest(ticks.tokens.get(operation_id, "").encode(), session.token(operation).encode()):
            return _CHANGED
        chosen = ticks.chosen(operation_id, card)
        if approve and chosen is not None and not chosen:
            return _NO_TICK
        after = self._ledger.decide(operation_id, approve, by=BY, now=now, chosen=chosen if approve else None)
        if after is None:
            return _GONE
        if approve and after.state in _GRANTED:
            return _APPROVED
        if not approve and after.state is State.DECLINED:
            return _DECLINED
        return _FOUND.get(after.state, _GONE)

    def _list(self, session: "_Session", outcome: Outcome | None = None, ticks: "_Ticks | None" = None) -> "_Reply":
        """Return the page with all that waits by now, the ticks as they were sent."""
        now = self._clock()
        ticks = ticks or _Ticks()
        waiting = [
            Waiting(
                operation.operation_id,
                session.token(operation),
                card,
                _local_time(operation.expires_at, now),
                ticks.unticked(operation.operation_id, card),
            )
            for operation in self._ledger.waiting(session.user, now)
            if (card := _card(operation))
        ]
        session.shown_at = self._seen_at = now
        with self._lock:
            if waiting:
                self._visits[session.user] = now
            else:
                self._visits.pop(session.user, None)  # the person may leave; what comes next opens a tab
        return _Reply(200, waiting_page(session.secret, waiting, outcome))


@dataclass(frozen=True)
class _Reply:
    """An answer to a browser."""

    status: int
    html: str
    allow: str = ""


def _notice(status: int, heading: str, *sentences: str, allow: str = "") -> _Reply:
    return _Reply(status, notice_page(heading, *sentences), allow)


_ASK_AGAIN = "Ask your assistant to try again, and a new page opens."
_USED_UP = _notice(410, "This link works no more", "It is good for one visit, and for two minutes.", _ASK_AGAIN)
_OVER = _notice(410, "This page works no more", "It was open too long, or the server was restarted.", _ASK_AGAIN)
_FOREIGN = _notice(403, "Refused", "This request does not come from the page itself, so nothing was decided.")
_NO_LEDGER = _notice(503, "Nothing was decided", "The record of approvals cannot be used at present.", _ASK_AGAIN)
_NOT_A_FORM = "Only the page's own form is read here, so nothing was decided."


def _refusal(request: "Request", host: str) -> _Reply | None:
    """Return why a request is not answered, judged by its first lines: `host` and our own page are all we serve."""
    headers, path = request.headers, request.scope["path"]
    if headers.getlist("host") != [host]:
        return _notice(421, "Refused", "This server answers to its own address only.")
    method = "GET" if path.startswith(_ENTER) else "POST" if path in (_LOOK, _DECIDE) else None
    if method is None or request.scope["query_string"]:
        return _notice(404, "There is nothing here", _ASK_AGAIN)
    if request.method != method:
        return _notice(405, "There is nothing here", _ASK_AGAIN, allow=method)
    own_origin = headers.getlist("origin") == [f"http://{host}"] if method == "POST" else True
    own_site = headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    whole_tab = headers.get("sec-fetch-dest", "document") == "document"
    if not (own_origin and own_site and whole_tab) or "sec-purpose" in headers:
        return _FOREIGN
    return None


async def _read_form(request: "Request") -> dict[str, list[str]] | _Reply:
    """Return the fields of a request's body, or why it is not read."""
    from starlette.requests import ClientDisconnect

    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM_TYPE:
        return _notice(415, "Refused", _NOT_A_FORM)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_BODY:
                return _notice(413, "Refused", _NOT_A_FORM)
        return parse_qs(body.decode(), keep_blank_values=True, errors="strict")
    except (ValueError, ClientDisconnect):
        return _notice(400, "Refused", _NOT_A_FORM)


@dataclass(frozen=True)
class _Ticks:
    """The cards that a form showed, each with its token, and the items that were left ticked."""

    tokens: dict[str, str] = field(default_factory=dict[str, str])
    ticked: frozenset[str] = frozenset()

    @classmethod
    def read(cls, form: dict[str, list[str]]) -> "_Ticks":
        """Read them from the form's fields."""
        cards = (value.partition(".") for value in form.get("card", ()))
        return cls({operation_id: token for operation_id, _, token in cards}, frozenset(form.get("tick", ())))

    def chosen(self, operation_id: str, card: Card) -> frozenset[str] | None:
        """Return the keys that were left ticked wherever they stand, None for a card without items."""
        keys = _keys(card)
        left_out = {key for place, key in enumerate(keys) if f"{operation_id}.{place}" not in self.ticked}
        return frozenset(keys) - left_out if keys else None

    def unticked(self, operation_id: str, card: Card) -> frozenset[int]:
        """Return the places without a tick; a card that the form did not show has none."""
        if operation_id not in self.tokens:
            return frozenset()
        places = range(len(_keys(card)))
        return frozenset(place for place in places if f"{operation_id}.{place}" not in self.ticked)


def _card(operation: Operation) -> Card | None:
    """Return what is asked; None where it was decided, or the card was made by another release of ours."""
    try:
        return Card.read(operation.card) if operation.card is not None else None
    except ValueError:
        return None


def _keys(card: Card) -> list[str]:
    return [item.key for group in card.groups for item in group.items]


@dataclass
class _Session:
    """One visit: whose it is, what its page carries, and when a page was last asked for and shown."""

    user: str
    used_at: float
    shown_at: float = 0.0
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def token(self, operation: Operation) -> str:
        """Return what stands for an operation with exactly this card, on this visit only."""
        shown = json.dumps([operation.operation_id, operation.fingerprint, operation.card], sort_keys=True)
        return hmac.new(self.key, shown.encode(), hashlib.sha256).hexdigest()


class _Door:
    """Tickets, and the sessions they were changed for. Used by more than one thread."""

    def __init__(self) -> None:
        self._tickets: dict[str, tuple[str, float]] = {}
        self._sessions: list[_Session] = []
        self._lock = threading.Lock()

    def issue(self, user: str, now: float) -> str:
        """Return a new ticket for `user`."""
        ticket = secrets.token_urlsafe(32)
        with self._lock:
            self._tickets = {
                known: (who, at) for known, (who, at) in self._tickets.items() if now - at < TICKET_SECONDS
            }
            self._tickets[ticket] = user, now
        return ticket

    def enter(self, ticket: str, now: float) -> _Session | None:
        """Use a ticket up and begin its session, None where it is no good."""
        with self._lock:
            known = next((known for known in self._tickets if _same(known, ticket)), None)
            if known is None:
                return None
            user, issued_at = self._tickets.pop(known)
            if now - issued_at >= TICKET_SECONDS:
                return None
            session = _Session(user, used_at=now)
            self._sessions = [item for item in self._sessions if now - item.used_at < SESSION_SECONDS]
            self._sessions.append(session)
            return session

    def find(self, secret: str, now: float) -> _Session | None:
        """Return the session of this secret and prolong it, None where there is none or it lay too long."""
        with self._lock:
            session = next((item for item in self._sessions if _same(item.secret, secret)), None)
            if session is None or now - session.used_at >= SESSION_SECONDS:
                return None
            session.used_at = now
            return session


def _same(secret: str, given: str) -> bool:
    return hmac.compare_digest(secret.encode(), given.encode("utf-8", "replace"))


class _Server:
    """uvicorn on a free port of 127.0.0.1, in a thread of its own. Raises `OSError` where there is no port."""

    def __init__(self, application: "ASGIApp") -> None:
        self._application = application
        self._listener = socket.create_server((_HOST, 0), backlog=128)  # from here on the system takes connections
        self.origin = f"http://{_HOST}:{self._listener.getsockname()[1]}"
        self._server: uvicorn.Server | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="approval page", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the port go; returns when the thread has ended, or after two seconds."""
        self._stopped.set()
        if self._server:
            self._server.should_exit = True
        self._thread.join(_CLOSING_SECONDS)

    def _run(self) -> None:
        import uvicorn

        config = uvicorn.Config(
            self._application,
            interface="asgi3",
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="warning",  # below it, the address would be logged
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        if self._stopped.is_set():
            self._server.should_exit = True
        with self._listener:
            self._server.run(sockets=[self._listener])


def _local_time(moment: float, now: float) -> str:
    """Return a time by this machine's clock, with its day where that is not today."""
    then, today = datetime.fromtimestamp(moment), datetime.fromtimestamp(now)
    return f"{then:%H:%M}" if then.date() == today.date() else f"{then:%H:%M on %A}"
