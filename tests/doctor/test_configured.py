"""Faults in the environment: settings that are none, and tokens by their looks."""

from datetime import timedelta
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from clinic import NOW, TOKEN, Computer, Service, skipped, told
from salesos_inbox.doctor.configured import is_not_filled_in, known_variables, misspelt
from salesos_inbox.doctor.finding import Status
from salesos_inbox.sandbox.store import Store

pytestmark = pytest.mark.anyio


async def lines(computer: Computer, **environment: str) -> list[str]:
    """Return what doctor says of the settings and the token, without trying the network."""
    computer.proxies = {"all": "none://"}
    findings = await computer.examine(**environment)
    return told(finding for finding in findings if finding.check in {"settings", "token", "time zone"})


def token(expires_in: float, *, session: bool = True) -> str:
    """Return a token that ends `expires_in` seconds from now."""
    store = Store(clock=lambda: NOW)
    try:
        return store.issue_token(store.add_user("sam@sales.example"), session=session, expires_in=expires_in)
    finally:
        store.close()


# Settings


async def test_a_misspelt_setting_is_told_with_the_one_that_is_meant(computer: Computer) -> None:
    assert await lines(computer, SALESOS_TOKNE="planted", SALESOS_TOKEN=TOKEN, SALES_OS_TIMEZONE="planted") == snapshot(
        [
            "warning  settings  SALESOS_TOKNE is no setting of this server",
            "                   → Write SALESOS_TOKEN instead.",
            "warning  settings  SALES_OS_TIMEZONE is no setting of this server",
            "                   → Write SALESOS_TIMEZONE instead.",
            "",
            "2 things to look at.",
        ]
    )


async def test_a_setting_like_no_other_is_told(computer: Computer) -> None:
    assert await lines(computer, SALESOS_FAVOURITE_COLOUR="planted", SALESOS_TOKEN=TOKEN) == snapshot(
        [
            "warning  settings  SALESOS_FAVOURITE_COLOUR is no setting of this server",
            "                   → Remove it, or look up its name in the README.",
            "",
            "1 thing to look at.",
        ]
    )


def test_every_setting_of_the_readme_is_known() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1] for line in readme.splitlines() if line.startswith("| `SALESOS_")}
    assert rows <= set(known_variables())
    assert not list(misspelt(dict.fromkeys(known_variables(), "")))


async def test_every_setting_that_cannot_be_used_is_told(computer: Computer) -> None:
    wrong = {"SALESOS_TIMEZONE": "planted/zone", "SALESOS_READ_ONLY": "planted", "SALESOS_APPROVAL": "planted"}
    assert await lines(computer, **wrong, SALESOS_TOKEN=TOKEN) == snapshot(
        [
            "failed   settings  SALESOS_TIMEZONE cannot be used",
            "                   → SALESOS_TIMEZONE must be a zone of the IANA database, such as Europe/Berlin",
            "                     or America/New_York.",
            "failed   settings  SALESOS_READ_ONLY cannot be used",
            "                   → SALESOS_READ_ONLY must be true or false.",
            "failed   settings  SALESOS_APPROVAL cannot be used",
            "                   → SALESOS_APPROVAL must be one of auto, elicitation, page, host, never.",
            "",
            "3 things to mend.",
        ]
    )


async def test_a_token_and_a_key_at_the_same_time(computer: Computer) -> None:
    assert await lines(computer, SALESOS_TOKEN=TOKEN, SALESOS_API_KEY="sk_planted") == snapshot(
        [
            "failed   settings  SALESOS_API_KEY cannot be used",
            "                   → SALESOS_TOKEN and SALESOS_API_KEY are both set: keep one of them.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_two_credentials_are_one_fault_whatever_they_are(computer: Computer, service: Service) -> None:
    account = service.account
    findings = await computer.examine(**{**account, "SALESOS_TOKEN": token(-60), "SALESOS_API_KEY": "your-key"})
    assert told(findings, service.port) == snapshot(
        [
            "failed   settings  SALESOS_API_KEY cannot be used",
            "                   → SALESOS_TOKEN and SALESOS_API_KEY are both set: keep one of them.",
            "",
            "1 thing to mend.",
        ]
    )
    assert skipped(findings)["sign-in"] == "as token is not ok"
    assert not service.credentials


async def test_a_broken_contract_file_is_one_fault(computer: Computer, service: Service) -> None:
    service.renamed = {"bodyText": "plainText", "bodyHtml": "html", "subject": "heading"}
    contract = computer.write("contract.toml", 'models.Message.bodyText = "plainText"\nmodels.Planted = 5')
    findings = await computer.examine(**service.account, SALESOS_CONTRACT=str(contract))
    assert [finding.check for finding in findings if finding.status == Status.FAILED] == ["settings"]
    assert skipped(findings)["threads"] == snapshot("as SALESOS_CONTRACT is not ok")


async def test_a_contract_file_that_is_not_there(computer: Computer) -> None:
    assert await lines(computer, SALESOS_TOKEN=TOKEN, SALESOS_CONTRACT="/nowhere/contract.toml") == snapshot(
        [
            "failed   settings  SALESOS_CONTRACT cannot be used",
            "                   → SALESOS_CONTRACT names a file that cannot be read (/nowhere/contract.toml):",
            "                     correct the path.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_a_contract_file_that_names_a_field_that_there_is_not(computer: Computer) -> None:
    contract = computer.write("contract.toml", 'routes.send_email.rename.bodyHtlm = "html"')
    said = await lines(computer, SALESOS_TOKEN=TOKEN, SALESOS_CONTRACT=str(contract))
    assert said[0] == "failed   settings  SALESOS_CONTRACT cannot be used"
    assert "routes.send_email.rename.bodyHtlm" in "".join(said)
    assert "did you mean bodyHtml?" in "".join(said)


async def test_no_time_zone(computer: Computer) -> None:
    del computer.environment["SALESOS_TIMEZONE"]
    assert await lines(computer, SALESOS_TOKEN=TOKEN) == snapshot(
        [
            "warning  time zone  SALESOS_TIMEZONE is not set, so times without an offset are refused",
            "                    → Set it, for example to Europe/Berlin (this computer's).",
            "",
            "1 thing to look at.",
        ]
    )


async def test_another_time_zone_than_the_computers_is_told_and_is_no_fault(computer: Computer) -> None:
    computer.environment["SALESOS_TIMEZONE"] = "America/New_York"
    [line] = [finding for finding in await computer.examine() if finding.check == "time zone"]
    assert (line.status, line.found) == snapshot((Status.OK, "America/New_York; this computer's own is Europe/Berlin"))


# The token


async def test_no_token(computer: Computer) -> None:
    assert await lines(computer) == snapshot(
        [
            "failed   token  there is none",
            "                → Run `salesos-inbox-mcp auth login`, or put a token into SALESOS_TOKEN or a key",
            "                  into SALESOS_API_KEY.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_a_token_that_has_ended(computer: Computer) -> None:
    assert await lines(computer, SALESOS_TOKEN=token(-60)) == snapshot(
        [
            "failed   token  a session's token, from SALESOS_TOKEN, ended 2026-11-18 09:59",
            "                → Set a new SALESOS_TOKEN, or leave it out and run `salesos-inbox-mcp auth",
            "                  login`, and restart the server.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_a_kept_token_that_has_ended(computer: Computer) -> None:
    path = computer.write("token", token(-60))
    assert await lines(computer, SALESOS_TOKEN_FILE=str(path)) == snapshot(
        [
            "failed   token  a session's token, from the file ~/token, ended 2026-11-18 09:59",
            "                → Put a new token into the file that SALESOS_TOKEN_FILE names.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_a_token_that_ends_soon(computer: Computer) -> None:
    assert await lines(computer, SALESOS_TOKEN=token(900)) == snapshot(
        [
            "warning  token  a session's token, from SALESOS_TOKEN, ends 2026-11-18 10:15, in 15 minutes",
            "                → Set a new SALESOS_TOKEN, or leave it out and run `salesos-inbox-mcp auth",
            "                  login`, and restart the server, unless the server runs already, which renews",
            "                  it.",
            "",
            "1 thing to look at.",
        ]
    )


@pytest.mark.parametrize(
    "value",
    [
        f"Bearer {TOKEN}",
        f'"{TOKEN}"',
        f"{TOKEN[:40]}\n{TOKEN[40:]}",
        TOKEN[:60],
        "your-token",
        "${SALESOS_TOKEN}",
        "hunter2",
    ],
    ids=["bearer", "quotes", "broken", "cut", "example", "variable", "password"],
)
async def test_a_token_that_was_not_copied_well(computer: Computer, value: str, request: pytest.FixtureRequest) -> None:
    said = await lines(computer, SALESOS_TOKEN=value)
    assert (
        said
        == {
            "bearer": snapshot(
                [
                    'failed   token  SALESOS_TOKEN begins with "Bearer"',
                    '                → Leave the word "Bearer" out of SALESOS_TOKEN.',
                    "",
                    "1 thing to mend.",
                ]
            ),
            "quotes": snapshot(
                [
                    "failed   token  SALESOS_TOKEN stands in quotes",
                    "                → Leave the quotes out of SALESOS_TOKEN.",
                    "",
                    "1 thing to mend.",
                ]
            ),
            "broken": snapshot(
                [
                    "failed   token  SALESOS_TOKEN is broken by a blank or a new line",
                    "                → Copy SALESOS_TOKEN again, in one piece.",
                    "",
                    "1 thing to mend.",
                ]
            ),
            "cut": snapshot(
                [
                    "failed   token  what comes from SALESOS_TOKEN is no JWT, or not a whole one",
                    "                → Copy the token again in one piece, or put it into SALESOS_API_KEY if it is an",
                    "                  API key.",
                    "",
                    "1 thing to mend.",
                ]
            ),
            "example": snapshot(
                [
                    "failed   token  SALESOS_TOKEN still holds an example's words",
                    "                → Put your own into SALESOS_TOKEN.",
                    "",
                    "1 thing to mend.",
                ]
            ),
            "variable": snapshot(
                [
                    "failed   token  SALESOS_TOKEN still holds an example's words",
                    "                → Put your own into SALESOS_TOKEN.",
                    "",
                    "1 thing to mend.",
                ]
            ),
            "password": snapshot(
                [
                    "failed   token  what comes from SALESOS_TOKEN is no JWT, or not a whole one",
                    "                → Copy the token again in one piece, or put it into SALESOS_API_KEY if it is an",
                    "                  API key.",
                    "",
                    "1 thing to mend.",
                ]
            ),
        }[request.node.callspec.id]
    )


async def test_a_new_line_after_the_token_is_told_and_is_no_fault(computer: Computer) -> None:
    assert await lines(computer, SALESOS_TOKEN=f"{TOKEN}\n") == snapshot(
        [
            "warning  token  SALESOS_TOKEN has blanks or a new line around it",
            "                → Take them out of SALESOS_TOKEN.",
            "",
            "1 thing to look at.",
        ]
    )


async def test_a_token_where_a_key_belongs(computer: Computer) -> None:
    assert await lines(computer, SALESOS_API_KEY=TOKEN) == snapshot(
        [
            "failed   token  SALESOS_API_KEY holds a token, not a key",
            "                → Put it into SALESOS_TOKEN.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_a_token_that_auth_login_kept_is_found(computer: Computer) -> None:
    from salesos_inbox.client.credentials import Credential, KeptFile

    store = KeptFile("https://api.salesos.org/v1", computer.state_dir / "credentials")
    store.keep(Credential(token(3600 * 5)))
    computer.proxies = {"all": "none://"}
    [line] = [finding for finding in await computer.examine() if finding.check == "token"]
    assert line.found.replace(store.path.name, "NAME") == snapshot(
        "a session's token, from the file ~/state/credentials/NAME, ends 2026-11-18 15:00"
    )


async def test_a_token_file_that_is_not_there(computer: Computer) -> None:
    assert await lines(computer, SALESOS_TOKEN_FILE="/nowhere/token") == snapshot(
        [
            "failed   token  The file that SALESOS_TOKEN_FILE names cannot be read (No such file or",
            "                directory)",
            "                → Correct the path or make it readable.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_a_token_file_that_holds_something_else(computer: Computer) -> None:
    path = computer.write("token", "<html> planted words")
    assert await lines(computer, SALESOS_TOKEN_FILE=str(path)) == snapshot(
        [
            "failed   token  The file that SALESOS_TOKEN_FILE names holds something else than a token",
            "                → Put the token alone into it.",
            "",
            "1 thing to mend.",
        ]
    )


@pytest.mark.parametrize("value", ["your-token", "<your token>", "$SALESOS_TOKEN", "%SALESOS_TOKEN%", "xxx", "..."])
def test_what_nobody_filled_in_is_known(value: str) -> None:
    assert is_not_filled_in(value)


@pytest.mark.parametrize("value", [TOKEN, "sk_live_51H8", str(timedelta(1))])
def test_what_was_filled_in_is_known(value: str) -> None:
    assert not is_not_filled_in(value)
