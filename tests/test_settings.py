# ruff: noqa: E501  (sentences stand whole)
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
    settings = read_settings({}, platform="linux")
    assert settings == Settings()
    assert not settings.has_credentials
    assert repr(settings) == snapshot(
        "Settings(token=None, api_key=None, token_file=None, base_url='https://api.salesos.org/v1', organization_id=None, overrides=Overrides(routes={}, models={}, envelope={}, words={}, sends_csrf=True), requests_per_minute=95, timezone=None, state_dir=None, read_only=False, tools=(), approval_seconds=120.0, approval='auto', policy=(), allowed_recipients=(), most_recipients=None, messages_per_hour=None, undo_seconds=0, browser=False)"
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
        ("APPROVAL", "page", "approval", "page"),
        ("APPROVAL", " Elicitation ", "approval", "elicitation"),
        ("APPROVAL", "host", "approval", "host"),
        ("APPROVAL", "never", "approval", "never"),
        ("APPROVAL", " ", "approval", "auto"),
        ("POLICY", "send_email=deny", "policy", (("send_email", "deny"),)),
        ("POLICY", " Send = DENY,,a=b, ", "policy", (("send", "deny"), ("a", "b"))),
        ("POLICY", "a=ask,a=deny", "policy", (("a", "ask"), ("a", "deny"))),
        ("POLICY", "", "policy", ()),
        ("ALLOWED_RECIPIENTS", "ann@acme.com", "allowed_recipients", ("ann@acme.com",)),
        ("ALLOWED_RECIPIENTS", " *@acme.com, Ann@B.com,", "allowed_recipients", ("*@acme.com", "Ann@B.com")),
        ("ALLOWED_RECIPIENTS", "  ", "allowed_recipients", ()),
        ("MOST_RECIPIENTS", "1", "most_recipients", 1),
        ("MOST_RECIPIENTS", "100", "most_recipients", 100),
        ("MOST_RECIPIENTS", "", "most_recipients", None),
        ("MESSAGES_PER_HOUR", "1", "messages_per_hour", 1),
        ("MESSAGES_PER_HOUR", "10000", "messages_per_hour", 10_000),
        ("MESSAGES_PER_HOUR", " ", "messages_per_hour", None),
        ("UNDO_SECONDS", "0", "undo_seconds", 0),
        ("UNDO_SECONDS", "30", "undo_seconds", 30),
        ("UNDO_SECONDS", "3600", "undo_seconds", 3600),
        ("UNDO_SECONDS", "", "undo_seconds", 0),
    ],
)
def test_each_variable_sets_its_field_alone(name: str, text: str, field: str, value: object) -> None:
    settings = read_settings({f"SALESOS_{name}": text}, platform="linux")
    assert getattr(settings, field) == value
    assert replace(settings, **{field: getattr(Settings(), field)}) == Settings()


def test_every_field_has_its_variable(tmp_path: Path) -> None:
    contract = tmp_path / "contract.toml"
    contract.write_text("[session]\ncsrf = false\n")
    variables = {
        "SALESOS_TOKEN_FILE": "/run/secrets/token",
        "SALESOS_CONTRACT": str(contract),
        "SALESOS_REQUESTS_PER_MINUTE": "50",
        "SALESOS_API_KEY": "k",
        "SALESOS_BASE_URL": "http://h",
        "SALESOS_ORGANIZATION_ID": "o",
        "SALESOS_TIMEZONE": "UTC",
        "SALESOS_STATE_DIR": "/s",
        "SALESOS_READ_ONLY": "1",
        "SALESOS_TOOLS": "t",
        "SALESOS_APPROVAL_SECONDS": "9",
        "SALESOS_APPROVAL": "page",
        "SALESOS_POLICY": "send=deny",
        "SALESOS_ALLOWED_RECIPIENTS": "*@acme.com",
        "SALESOS_MOST_RECIPIENTS": "5",
        "SALESOS_MESSAGES_PER_HOUR": "20",
        "SALESOS_UNDO_SECONDS": "30",
    }
    fields = set(vars(Settings())) - {"browser", "overrides"} | {"contract"}
    assert set(variables) | {"SALESOS_TOKEN"} == {f"SALESOS_{name.upper()}" for name in fields}
    settings = read_settings(variables, platform="linux")
    unchanged = [name for name, value in vars(settings).items() if value == getattr(Settings(), name)]
    assert unchanged == ["token", "browser"]


@pytest.mark.parametrize(
    ("platform", "environment", "browser"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {"DISPLAY": " ", "WAYLAND_DISPLAY": ""}, False),
        ("linux", {"BROWSER": "firefox"}, True),
        ("linux", {"SSH_CONNECTION": "10.0.0.1 5 10.0.0.2 22"}, False),
        ("linux", {"SSH_CONNECTION": "10.0.0.1 5 10.0.0.2 22", "DISPLAY": "localhost:10.0"}, True),
        ("freebsd14", {}, False),
        ("freebsd14", {"DISPLAY": ":0"}, True),
        ("darwin", {}, True),
        ("darwin", {"SSH_CONNECTION": "10.0.0.1 5 10.0.0.2 22"}, False),
        ("darwin", {"SSH_CONNECTION": "10.0.0.1 5 10.0.0.2 22", "DISPLAY": ":0"}, False),
        ("darwin", {"SSH_CONNECTION": "10.0.0.1 5 10.0.0.2 22", "BROWSER": "open"}, True),
        ("darwin", {"SSH_CONNECTION": " "}, True),
        ("win32", {}, True),
        ("win32", {"SSH_CONNECTION": "10.0.0.1 5 10.0.0.2 22"}, False),
        ("win32", {"SSH_CONNECTION": "10.0.0.1 5 10.0.0.2 22", "BROWSER": "edge"}, True),
    ],
)
def test_a_browser_is_opened_only_where_the_user_would_see_it(
    platform: str, environment: dict[str, str], browser: bool
) -> None:
    assert read_settings(environment, platform).browser is browser


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
        ("BASE_URL", "https://höst/v1"),
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
        ("APPROVAL", "hunter2"),
        ("APPROVAL", "yes"),
        ("POLICY", "deny"),
        ("POLICY", "hunter2="),
        ("POLICY", "=deny"),
        ("POLICY", "send_email=deny=ask"),
        ("POLICY", "send_email==deny"),
        ("POLICY", "send_email=deny,archive_threads"),
        ("POLICY", "send_email:deny"),
        ("POLICY", "a=deny;b=deny"),
        ("POLICY", ","),
        ("ALLOWED_RECIPIENTS", ","),
        ("ALLOWED_RECIPIENTS", " , ,"),
        ("MOST_RECIPIENTS", "0"),
        ("MOST_RECIPIENTS", "101"),
        ("MOST_RECIPIENTS", "-1"),
        ("MOST_RECIPIENTS", "2.5"),
        ("MOST_RECIPIENTS", "many"),
        ("MOST_RECIPIENTS", "٣"),
        ("MOST_RECIPIENTS", "²"),
        ("MOST_RECIPIENTS", "9" * 5000),
        ("MESSAGES_PER_HOUR", "0"),
        ("MESSAGES_PER_HOUR", "10001"),
        ("MESSAGES_PER_HOUR", "none"),
        ("UNDO_SECONDS", "-1"),
        ("UNDO_SECONDS", "3601"),
        ("UNDO_SECONDS", "0.5"),
        ("UNDO_SECONDS", "nan"),
    ],
)
def test_a_value_that_cannot_be_used_names_its_variable_in_a_sentence(name: str, text: str) -> None:
    with pytest.raises(InvalidArguments) as raised:
        read_settings({f"SALESOS_{name}": text})
    sentence = str(raised.value)
    assert sentence.startswith(f"SALESOS_{name} ")
    assert sentence.endswith(".")
    assert "hunter2" not in sentence


def test_the_sentences_of_the_operators_limits_say_what_to_write() -> None:
    wrong = {
        "SALESOS_APPROVAL": "yes",
        "SALESOS_POLICY": "deny",
        "SALESOS_ALLOWED_RECIPIENTS": ",",
        "SALESOS_MOST_RECIPIENTS": "0",
        "SALESOS_MESSAGES_PER_HOUR": "0",
        "SALESOS_UNDO_SECONDS": "-1",
    }
    sentences: list[str] = []
    for name, text in wrong.items():
        with pytest.raises(InvalidArguments) as raised:
            read_settings({name: text})
        sentences.append(str(raised.value))
    assert sentences == snapshot(
        [
            "SALESOS_APPROVAL must be one of auto, elicitation, page, host, never.",
            "SALESOS_POLICY must be a list of name=decision, such as send_email=deny,archive_threads=ask.",
            "SALESOS_ALLOWED_RECIPIENTS is a list without an entry: write one, or leave the variable out.",
            "SALESOS_MOST_RECIPIENTS must be a whole number from 1 to 100.",
            "SALESOS_MESSAGES_PER_HOUR must be a whole number from 1 to 10000.",
            "SALESOS_UNDO_SECONDS must be a whole number from 0 to 3600.",
        ]
    )


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
