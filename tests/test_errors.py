"""The error tree: codes that never change, and the drawing of it."""

import re

from inline_snapshot import snapshot

from salesos_inbox import errors
from salesos_inbox.errors import InboxError, NobodyAsked, RateLimited

TREE = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, InboxError)]


def depth(kind: type[InboxError]) -> int:
    return len(kind.__mro__) - len(InboxError.__mro__)


def test_codes_and_whether_a_repeat_helps_never_change() -> None:
    assert {kind.__name__: (kind.code, kind.retryable) for kind in TREE} == snapshot(
        {
            "InboxError": ("error", False),
            "InvalidArguments": ("invalid_arguments", False),
            "NotFound": ("not_found", False),
            "Refused": ("refused", False),
            "NotApproved": ("not_approved", False),
            "Declined": ("declined", False),
            "NobodyAsked": ("nobody_asked", False),
            "Pending": ("pending", True),
            "Expired": ("expired", True),
            "Conflict": ("conflict", False),
            "RateLimited": ("rate_limited", True),
            "Unavailable": ("unavailable", True),
            "Unauthorized": ("unauthorized", False),
            "OutcomeUnknown": ("outcome_unknown", False),
            "ContractBroken": ("contract_broken", False),
        }
    )


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in TREE]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch("[a-z_]+", code) for code in codes)


def test_the_tree_in_the_modules_docstring_is_the_tree() -> None:
    assert errors.__doc__
    drawn = [
        (len(found["branch"]) // 4, found["name"], found["code"])
        for found in re.finditer(
            r"^(?P<branch>[│├└─ ]*)(?P<name>[A-Z]\w+)(?: +(?P<code>[a-z_]+) +\w.*)?$", errors.__doc__, re.MULTILINE
        )
        if found["branch"] or found["name"] == "InboxError"
    ]
    abstract = {"InboxError", "NotApproved"}
    expected = [(depth(kind), kind.__name__, None if kind.__name__ in abstract else kind.code) for kind in TREE]
    assert drawn == expected


def test_an_error_holds_its_sentence_and_nothing_else() -> None:
    assert str(InboxError("Do this.")) == "Do this."
    assert vars(InboxError("Do this.")) == {}
    limited = RateLimited("Wait.", 5)
    assert (str(limited), vars(limited)) == ("Wait.", {"retry_after": 5})
    assert RateLimited("Wait.").retry_after is None
    assert vars(NobodyAsked("Look.", "c1")) == {"draft_id": "c1"}
    assert NobodyAsked("Look.").draft_id is None
