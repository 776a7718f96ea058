"""What may be seen nowhere but by SalesOS and the user's client, and where the whole suite looks for it.

Every line that is logged in any test, every error that a tool answers, every activity log and whatever a
command prints is held against credentials of the sandbox and the texts of the demo mailbox.
"""

import logging
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import cache

from salesos_inbox.contract import models
from salesos_inbox.sandbox.seed import load_demo
from salesos_inbox.sandbox.store import Store

CREDENTIAL = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.|sk_sandbox_[0-9a-f]{8}|secret-(?:token|key|password)")
"""A bearer token (RFC 7519), a key of the sandbox, and what tests plant in their place."""
HEADER = re.compile(r"^[> ]*\*?[A-Z][a-z]+\*?: .*", re.MULTILINE)
"""A line that quotes a header: who and about what is told in the activity log."""
RUN = 8
"""Words of a message in a row that cannot be there by chance."""


def assert_discreet(text: str, where: str) -> None:
    """Assert that `text` holds no credential and no words of a message."""
    assert not (found := CREDENTIAL.search(text)), f"{where} shows a credential: {found[0][:12]}..."
    assert not (told := told_of(text)), f"{where} shows words of a message: {told[0]}"


def told_of(text: str) -> list[str]:
    """Return the runs of words in `text` that stand in a message of the demo mailbox."""
    return [run for run in _runs(text) if run in _demo_runs()]


def _runs(text: str) -> Iterator[str]:
    words = re.findall(r"\w+", text.lower())
    return (" ".join(words[start : start + RUN]) for start in range(len(words) - RUN + 1))


@cache
def _demo_runs() -> frozenset[str]:
    store = Store()
    try:
        user_id = load_demo(store)
        rows = store.list_threads(user_id, models.ListThreads(limit=100)).items
        messages = [message for row in rows for message in store.thread(user_id, row.id).messages]
    finally:
        store.close()
    return frozenset(run for message in messages for run in _runs(HEADER.sub("", message.body_text or "")))


@contextmanager
def listening() -> Generator[list[logging.LogRecord]]:
    """Enter with all that is logged from now on, by whatever library."""
    heard = _Ear()
    root = logging.getLogger()
    root.addHandler(heard)
    try:
        yield heard.records
    finally:
        root.removeHandler(heard)


def lines(records: Iterable[logging.LogRecord]) -> str:
    """Return what a log would say of these, with their exceptions in full."""
    return "\n".join(map(logging.Formatter().format, records))


class _Ear(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
