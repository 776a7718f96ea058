"""A computer on which all is well, and a service that it has an account at."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
from keyring import get_keyring, set_keyring
from keyring.backends.null import Keyring

from clinic import Computer, Service, new_computer, serving


@pytest.fixture(autouse=True)
def no_keyring() -> Generator[None]:
    """Keep the tests away from the keyring of whoever runs them."""
    before = get_keyring()
    set_keyring(Keyring())
    yield
    set_keyring(before)


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    """A computer that knows no service."""
    return new_computer(tmp_path / "home")


@pytest.fixture
async def service() -> AsyncGenerator[Service]:
    """The sandbox on a port of this machine."""
    async with serving() as service:
        yield service
