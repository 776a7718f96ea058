"""Every variable, what it may hold, and that no secret is ever shown."""

import logging
import traceback
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from inline_snapshot import snapshot

from salesos_inbox.errors import InvalidArguments
from salesos_inbox.settings import Settings, read_settings, split_names


def test_without_variables_everything_has_its_default() -> None:
    settings = read_settings({})
    assert settings == Settings()
    assert not settings.has_credentials
    assert repr(settings) == snapshot(
        "Settings(token=None, api_key=None, base_url='https://api.salesos.org/v1', "
        "organization_id=None, timezone=None, state_dir=None, read_only=False, tools=(), approval_seconds=120.0)"
    )


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("TOKEN", " abc.def.ghi\n", "token", "abc.def.ghi"),
        ("TOKEN", "  ", "token", None),
        ("API_KEY", "sk_1", "api_key", "sk_1"),
        ("BASE_URL", "http://127.0.0.1:8025/v1/", "base_url", "http://127.0.0.1:8025/v1"),
        ("BASE_URL", "https://[::1]:8025/v1", "base_url", "https://[::1]:8025/v1"),
        ("BASE_URL", "", "base_url", "https://api.salesos.org/v1"),
        ("ORGANIZATION_ID", "org-1", "organization_id", "org-1"),
        ("TIMEZONE", "Europe/Berlin", "timezone", ZoneInfo("Europe/Berlin")),
        ("STATE_DIR", "/var/lib/inbox", "state_dir", Path("/var/lib/inbox")),
        ("STATE_DIR", "~/inbox", "state_dir", Path.home() / "inbox"),
        ("READ_ONLY", "TRUE", "read_only", True),
        ("READ_ONLY", "1", "read_only", True),
        ("READ_ONLY", "no", "read_only", False),
        ("READ_ONLY", "", "read_only", False),
        ("TOOLS", " reading, ,triage,", "tools", ("reading", "triage")),
        ("APPROVAL_SECONDS", "1", "approval_seconds", 1.0),
        ("APPROVAL_SECONDS", "90.5", "approval_seconds", 90.5),
    ],
)
def test_each_variable_sets_its_field_alone(name: str, text: str, field: str, value: object) -> None:
    settings = read_settings({f"SALESOS_{name}": text})
    assert getattr(settings, field) == value
    assert replace(settings, **{field: getattr(Settings(), field)}) == Settings()


def test_every_field_has_its_variable() -> None:
    variables = {
        "SALESOS_API_KEY": "k",
        "SALESOS_BASE_URL": "http://h",
        "SALESOS_ORGANIZATION_ID": "o",
        "SALESOS_TIMEZONE": "UTC",
        "SALESOS_STATE_DIR": "/s",
        "SALESOS_READ_ONLY": "1",
        "SALESOS_TOOLS": "t",
        "SALESOS_APPROVAL_SECONDS": "9",
    }
    assert set(variables) | {"SALESOS_TOKEN"} == {f"SALESOS_{name.upper()}" for name in vars(Settings())}
    unchanged = [name for name, value in vars(read_settings(variables)).items() if value == getattr(Settings(), name)]
    assert unchanged == ["token"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TOKEN", "hunter2\ndef"),
        ("TOKEN", "hunter2ß"),
        ("API_KEY", "hunter2\x00"),
        ("API_KEY", "“sk_1”"),
        ("ORGANIZATION_ID", "org\r\nX-Admin: 1"),
        ("BASE_URL", "api.salesos.org/v1"),
        ("BASE_URL", "ftp://api.salesos.org"),
        ("BASE_URL", "https://"),
        ("BASE_URL", "https://[::1"),
        ("BASE_URL", "https://host:99999/v1"),
        ("BASE_URL", "https://ho st/v1"),
        ("BASE_URL", "https://user:hunter2@host/v1"),
        ("BASE_URL", "https://host/v1?key=hunter2"),
        ("BASE_URL", "https://host/v1#top"),
        ("TIMEZONE", "Berlin"),
        ("TIMEZONE", "../../etc/passwd"),
        ("TIMEZONE", "Europe"),
        ("TIMEZONE", "+01:00"),
        ("STATE_DIR", "~nobody-of-this-name/inbox"),
        ("READ_ONLY", "maybe"),
        ("APPROVAL_SECONDS", "soon"),
        ("APPROVAL_SECONDS", "0"),
        ("APPROVAL_SECONDS", "-5"),
        ("APPROVAL_SECONDS", "3601"),
        ("APPROVAL_SECONDS", "nan"),
        ("APPROVAL_SECONDS", "inf"),
    ],
)
def test_a_value_that_cannot_be_used_names_its_variable_in_a_sentence(name: str, text: str) -> None:
    with pytest.raises(InvalidArguments) as raised:
        read_settings({f"SALESOS_{name}": text})
    sentence = str(raised.value)
    assert sentence.startswith(f"SALESOS_{name} ")
    assert sentence.endswith(".")
    assert "hunter2" not in sentence


def test_a_token_and_a_key_together_are_one_too_many() -> None:
    with pytest.raises(InvalidArguments, match=r"SALESOS_TOKEN and SALESOS_API_KEY are both set"):
        read_settings({"SALESOS_TOKEN": "t", "SALESOS_API_KEY": "k"})


@pytest.mark.parametrize("settings", [Settings(token="hunter2"), Settings(api_key="hunter2")])
def test_secrets_are_masked_however_settings_are_shown(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("%s %r %s", settings, settings, [settings])
    shown = [repr(settings), str(settings), f"{settings}", f"{settings!r:>5}", f"{(settings,)}", caplog.text]
    assert settings.has_credentials
    assert [text for text in shown if "hunter2" in text] == []
    assert all("'***'" in text for text in shown)


def test_a_refused_secret_shows_in_no_traceback() -> None:
    environment = {"SALESOS_TOKEN": f"{'hunter'}2\x00"}
    with pytest.raises(InvalidArguments) as raised:
        read_settings(environment)
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Settings().token = "t"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(("text", "names"), [("", ()), (" , ", ()), ("a", ("a",)), ("a, b,,c ", ("a", "b", "c"))])
def test_names_are_split_at_commas(text: str, names: tuple[str, ...]) -> None:
    assert split_names(text) == names
