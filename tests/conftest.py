"""What every test shares."""

from collections.abc import Generator

import pytest

from discretion import assert_discreet, lines, listening
from harness import ERAS, Era


@pytest.fixture
def anyio_backend() -> str:
    """Tests run on asyncio, as the server does."""
    return "asyncio"


@pytest.fixture(autouse=True)
def nothing_logged_tells_secrets() -> Generator[None]:
    """Whatever a test makes anything log holds no credential and no words of a message."""
    with listening() as records:
        yield
    if records:
        assert_discreet(lines(records), "the log")


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> Era:
    """Both eras of the protocol, one after the other."""
    return request.param
