"""What the sandbox answers when it does not do what was asked: one exception, one body."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

_ERROR_NAMES: Final[Mapping[int, str]] = {413: "Payload Too Large"}


@dataclass(eq=False)  # not frozen: Python itself writes to an exception it raises
class Refusal(Exception):
    """A request refused with `status`; `message` is one sentence, or a list of them after validation.

    `named` leaves the `error` field out where False, as the service does for a plain 401.
    """

    status: int
    message: str | Sequence[str]
    named: bool = True
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def body(self, request_id: str) -> dict[str, object]:
        """Return the documented error body, with the id of the request."""
        name = {"error": _ERROR_NAMES.get(self.status) or HTTPStatus(self.status).phrase} if self.named else {}
        return {"statusCode": self.status, "message": self.message, **name, "requestId": request_id}


def not_found(what: str) -> Refusal:
    """Return the 404 for a missing `what`, such as `Thread`."""
    return Refusal(404, f"{what} not found")


def invalid(*sentences: str) -> Refusal:
    """Return the 400 of a validation, with a sentence for each fault."""
    return Refusal(400, list(sentences))


def unauthorized() -> Refusal:
    """Return the 401 of a missing, expired or forged credential."""
    return Refusal(401, "Unauthorized", named=False)
