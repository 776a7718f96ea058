"""What can go wrong, in the words a model is given.

InboxError
├── InvalidArguments      invalid_arguments    the call itself must be corrected
├── NotFound              not_found            an id that is not in this mailbox
├── Refused               refused              a policy or a setting forbids it
├── NotApproved
│   ├── Declined          declined             a person said no
│   ├── NobodyAsked       nobody_asked         no person could be asked
│   ├── Pending           pending              a person is still being asked
│   └── Expired           expired              a person was asked, and the time to decide is over
├── Conflict              conflict             the thing is in another state by now
├── RateLimited           rate_limited         too many requests; says when to come back
├── Unavailable           unavailable          the service could not be reached or failed
├── Unauthorized          unauthorized         the token is missing, expired or lacks a scope
├── OutcomeUnknown        outcome_unknown      a write went out and its answer never came
└── ContractBroken        contract_broken      the service answered in a shape we do not know

A code never changes its meaning; a sentence may be improved at any time.
"""

from typing import ClassVar


class InboxError(Exception):
    """A failure with one sentence for the model: what happened and what to do next.

    The sentence holds no mail content, no token and no text of the service beyond field names.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False
    """Whether the same call, unchanged, may succeed later."""


class InvalidArguments(InboxError):
    """The arguments are wrong: the caller must change them."""

    code = "invalid_arguments"


class NotFound(InboxError):
    """The id names nothing in this mailbox."""

    code = "not_found"


class Refused(InboxError):
    """A policy or a setting of the operator forbids it."""

    code = "refused"


class NotApproved(InboxError):
    """Nobody approved, so nothing happened."""

    code = "not_approved"


class Declined(NotApproved):
    """A person was asked and said no."""

    code = "declined"


class NobodyAsked(NotApproved):
    """No person could be asked, which is not the same as a no.

    `draft_id` is the draft in which a message was kept, None without one.
    """

    code = "nobody_asked"

    def __init__(self, sentence: str, draft_id: str | None = None) -> None:
        super().__init__(sentence)
        self.draft_id = draft_id


class Pending(NotApproved):
    """The question still waits for a person; the same call later learns what they decided."""

    code = "pending"
    retryable = True


class Expired(NotApproved):
    """A person was asked and did not decide in time; the same call asks anew."""

    code = "expired"
    retryable = True


class Conflict(InboxError):
    """The thing changed in the meantime, or the change contradicts its state."""

    code = "conflict"


class RateLimited(InboxError):
    """The service takes no more requests for now.

    `retry_after` is in seconds, or None where the service did not say.
    """

    code = "rate_limited"
    retryable = True

    def __init__(self, sentence: str, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class Unavailable(InboxError):
    """The service could not be reached, or failed before it did anything."""

    code = "unavailable"
    retryable = True


class Unauthorized(InboxError):
    """The token or key is missing, expired, unknown or not allowed to do this."""

    code = "unauthorized"


class OutcomeUnknown(InboxError):
    """A change was sent and its answer never came: it may or may not have happened."""

    code = "outcome_unknown"


class ContractBroken(InboxError):
    """The service answered something that the contract does not describe."""

    code = "contract_broken"
