"""Moments and numbers of headers, wherever the machine stands."""

import time
from collections.abc import Generator
from datetime import UTC, datetime

import pytest

from salesos_inbox.client.headers import LARGEST, read_moment, read_number

MOMENT = datetime(2026, 11, 18, 9, 0, 40, tzinfo=UTC).timestamp()


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    if not hasattr(time, "tzset"):
        pytest.skip("a process cannot change its time zone here")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "text",
    [
        "Wed, 18 Nov 2026 09:00:40 GMT",
        "Wednesday, 18-Nov-26 09:00:40 GMT",
        "Wed Nov 18 09:00:40 2026",
        "Wed, 18 Nov 2026 09:00:40 -0000",
    ],
)
@pytest.mark.usefixtures("in_tokyo")
def test_a_date_without_an_offset_is_in_utc_and_not_in_the_machines_zone(text: str) -> None:
    assert read_moment(text) == MOMENT


@pytest.mark.parametrize(
    "text", [None, "", "soon", "0", "Wed, 99 Nov 2026 09:00:40 GMT", "1 Jan " + "9" * 30 + " 0:0:0"]
)
def test_what_is_no_date_is_no_moment(text: str | None) -> None:
    assert read_moment(text) is None


@pytest.mark.parametrize(
    ("text", "number"), [("7", 7.0), (" 1.5 ", 1.5), ("9" * 400, LARGEST), ("-1", None), ("1e3", None), (None, None)]
)
def test_a_number_is_made_of_digits(text: str | None, number: float | None) -> None:
    assert read_number(text) == number
