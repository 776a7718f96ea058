"""The 22 operations of the inbox and the four of the session, each once.

Paths stand below the base address (`https://api.salesos.org/v1`). Every path and method of the inbox
is documented; what a body holds is marked on its model.
"""

from dataclasses import dataclass
from enum import StrEnum

from salesos_inbox.contract import models
from salesos_inbox.contract.models import Mark


class Scope(StrEnum):
    """What an API key must be allowed to do; `admin` covers all of them."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"


@dataclass(frozen=True)
class Route:
    """One operation: how it is called, what it takes and what it answers.

    `purpose` completes the sentence "the request to ..."; `number` is its line in the reference (0 for
    the session's own). `request` is the body of a write, or the query of a GET. `answer` is one item
    where `is_list`; None means an empty 204. A route that `is_public` is called without credentials.
    `statuses` are those of success, the usual one first.
    """

    number: int
    method: str
    path: str
    purpose: str
    answer: type[models.Answer] | None
    request: type[models.Request] | None = None
    is_list: bool = False
    scope: Scope = Scope.READ
    mark: Mark = Mark.DOCUMENTED
    is_public: bool = False
    statuses: tuple[int, ...] = (200,)

    @property
    def key(self) -> str:
        """Its name in files and in messages, such as `send_email`."""
        return _KEYS[self]

    @property
    def is_write(self) -> bool:
        """Whether it changes anything; its request is a body then, and else a query."""
        return self.method != "GET"

    @property
    def plural(self) -> str:
        """What a list of its items is called, as in the key of an envelope."""
        return self.path.rpartition("/")[2].replace("search", "threads")

    def url(self, **ids: str) -> str:
        """Return the path with `ids` in their places, each quoted as one path segment."""
        return filled(self.path, **ids)


def filled(path: str, **ids: str) -> str:
    """Return `path` with `ids` in its places, each quoted as one path segment."""
    from urllib.parse import quote

    return path.format(**{name: quote(value, safe="") for name, value in ids.items()})


_INBOX = "/email-inbox"
_THREAD = f"{_INBOX}/threads/{{thread_id}}"

LIST_FOLDERS = Route(1, "GET", f"{_INBOX}/folders", "list the folders", models.Folder, is_list=True)
LIST_THREADS = Route(
    2, "GET", f"{_INBOX}/threads", "list the threads", models.ThreadSummary, models.ListThreads, is_list=True
)
GET_THREAD = Route(3, "GET", _THREAD, "read the thread", models.Thread)
SEND_EMAIL = Route(
    4,
    "POST",
    f"{_INBOX}/send",
    "send or schedule the email",
    models.SendReceipt,
    models.SendEmail,
    scope=Scope.WRITE,
    statuses=(201,),
)
SAVE_DRAFT = Route(
    5,
    "POST",
    f"{_INBOX}/drafts",
    "save the draft",
    models.Draft,
    models.SaveDraft,
    scope=Scope.WRITE,
    statuses=(201, 200),
)
SET_READ = Route(
    6,
    "PATCH",
    f"{_THREAD}/read",
    "mark the thread read or unread",
    models.ThreadSummary,
    models.SetRead,
    scope=Scope.WRITE,
)
SET_STAR = Route(
    7, "PATCH", f"{_THREAD}/star", "star or unstar the thread", models.ThreadSummary, models.SetStar, scope=Scope.WRITE
)
ARCHIVE_THREAD = Route(8, "POST", f"{_THREAD}/archive", "archive the thread", models.ThreadSummary, scope=Scope.WRITE)
BULK_THREADS = Route(
    9,
    "POST",
    f"{_INBOX}/threads/bulk",
    "change the threads",
    models.BulkResult,
    models.BulkThreads,
    scope=Scope.WRITE,
)
LINK_CRM_RECORD = Route(
    10,
    "POST",
    f"{_THREAD}/crm-links",
    "link the CRM record",
    models.CrmLink,
    models.LinkCrmRecord,
    scope=Scope.WRITE,
    statuses=(201,),
)
UNLINK_CRM_RECORD = Route(
    11,
    "DELETE",
    f"{_THREAD}/crm-links/{{entity_type}}/{{entity_id}}",
    "unlink the CRM record",
    None,
    scope=Scope.DELETE,
    statuses=(204,),
)
GET_STATS = Route(12, "GET", f"{_INBOX}/stats", "read the statistics", models.InboxStats)
SEARCH_THREADS = Route(
    13, "GET", f"{_INBOX}/search", "search the threads", models.ThreadSummary, models.SearchThreads, is_list=True
)
SET_READ_BATCH = Route(
    14,
    "PATCH",
    f"{_INBOX}/threads/read",
    "mark the threads read or unread",
    models.BulkResult,
    models.SetReadBatch,
    scope=Scope.WRITE,
)
SET_STAR_BATCH = Route(
    15,
    "PATCH",
    f"{_INBOX}/threads/star",
    "star or unstar the threads",
    models.BulkResult,
    models.SetStarBatch,
    scope=Scope.WRITE,
)
ARCHIVE_BATCH = Route(
    16,
    "PATCH",
    f"{_INBOX}/threads/archive",
    "archive the threads",
    models.BulkResult,
    models.ThreadIds,
    scope=Scope.WRITE,
)
MOVE_BATCH = Route(
    17,
    "PATCH",
    f"{_INBOX}/threads/move",
    "move the threads",
    models.BulkResult,
    models.MoveThreads,
    scope=Scope.WRITE,
)
DELETE_BATCH = Route(
    18,
    "POST",
    f"{_INBOX}/threads/delete",
    "move the threads to the trash",
    models.BulkResult,
    models.ThreadIds,
    scope=Scope.DELETE,
)
LIST_SCHEDULED = Route(
    19,
    "GET",
    f"{_INBOX}/scheduled",
    "list the scheduled emails",
    models.ScheduledEmail,
    models.ListScheduled,
    is_list=True,
)
CANCEL_SCHEDULED = Route(
    20,
    "DELETE",
    f"{_INBOX}/scheduled/{{scheduled_id}}",
    "cancel the scheduled email",
    None,
    scope=Scope.DELETE,
    statuses=(204,),
)
SET_FOLLOW_UP = Route(
    21,
    "POST",
    f"{_THREAD}/follow-up",
    "set the follow-up",
    models.FollowUp,
    models.SetFollowUp,
    scope=Scope.WRITE,
    statuses=(201,),
)
REMOVE_FOLLOW_UP = Route(
    22, "DELETE", f"{_THREAD}/follow-up", "remove the follow-up", None, scope=Scope.DELETE, statuses=(204,)
)

GET_ME = Route(0, "GET", "/auth/me", "read who the user is", models.User, mark=Mark.SIBLING)
GET_CSRF_TOKEN = Route(0, "GET", "/auth/csrf-token", "fetch a CSRF token", models.CsrfToken, mark=Mark.SIBLING)
REFRESH_TOKEN = Route(
    0,
    "POST",
    "/auth/refresh",
    "refresh the token",
    models.RefreshedToken,
    scope=Scope.WRITE,
    mark=Mark.SIBLING,
)
SIGN_IN = Route(
    0,
    "POST",
    "/auth/login",
    "sign in",
    models.SignedIn,
    models.SignIn,
    scope=Scope.WRITE,
    mark=Mark.ASSUMED,
    is_public=True,
)

ROUTES: tuple[Route, ...] = tuple(
    sorted((value for value in list(globals().values()) if isinstance(value, Route)), key=lambda route: route.number)
)
"""Every route, the session's first, then the 22 in the reference's order."""

_KEYS: dict[Route, str] = {value: name.lower() for name, value in list(globals().items()) if isinstance(value, Route)}
