"""`doctor` as a person runs it, and what it writes to be shared."""

import json
import re
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from clinic import TOKEN, Computer, Service
from processes import Done, command, free_port, running
from salesos_inbox.doctor.finding import Finding, Status, failed, ok, warning
from salesos_inbox.doctor.report import as_json, as_report, as_text, exit_status, shareable


@pytest.fixture(scope="module")
def account() -> Generator[dict[str, str]]:
    """The settings of an account at a sandbox in a process of its own."""
    with running("sandbox", port=free_port()) as server:
        yield dict(re.findall(r"^\s*export (\w+)=(\S+)$", server.printed_by_now("Ctrl-C"), re.MULTILINE))


def doctor(capsys: pytest.CaptureFixture[str], home: Path, *arguments: str, **settings: str) -> Done:
    """Run `doctor` with a home directory of its own."""
    own = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "NO_PROXY": "*", "DISPLAY": ":0", "BROWSER": ""}
    return command(capsys, "doctor", *arguments, **{"SALESOS_TIMEZONE": "Europe/Berlin", **own, **settings})


def test_all_is_well_and_the_status_is_0(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, account: dict[str, str]
) -> None:
    done = doctor(capsys, tmp_path, **account)
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith("\n\nAll is well.\n")
    assert list(tmp_path.iterdir()) == []


def test_something_to_look_at_is_status_3(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, account: dict[str, str]
) -> None:
    done = doctor(capsys, tmp_path, **account, SALESOS_TIMEZONE="")
    assert (done.status, done.err, done.out.splitlines()[-1]) == (3, "", "1 thing to look at.")


def test_something_to_mend_is_status_1_and_json_has_it_in_the_order_of_the_checks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, account: dict[str, str]
) -> None:
    done = doctor(capsys, tmp_path, "--json", SALESOS_BASE_URL=account["SALESOS_BASE_URL"])
    document = json.loads(done.out)
    assert (done.status, document["failed"], document["warnings"], document["exit_status"]) == (1, 1, 0, 1)
    assert [finding["check"] for finding in document["findings"]] == snapshot(
        [
            "versions",
            "settings",
            "token",
            "time zone",
            "state directory",
            "ledger",
            "asking a person",
            "clients",
            "proxy",
            "name resolution",
            "connection",
            "encryption",
            "base address",
            "clock",
            "sign-in",
            "folders",
            "threads",
            "one thread",
            "search",
            "statistics",
            "scheduled",
            "user",
            "CSRF token",
            "spelling",
            "rate limit",
            "scopes",
            "standard output",
        ]
    )
    assert {finding["check"]: finding["remedy"] for finding in document["findings"]}["token"] == snapshot(
        "Run `salesos-inbox-mcp auth login`, or put a token into SALESOS_TOKEN or a key into SALESOS_API_KEY."
    )


def test_the_report_is_safe_to_share(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, account: dict[str, str]
) -> None:
    home = tmp_path / "kim.park"
    configuration = {"mcpServers": {"salesos-inbox": {"command": f"{home}/x", "env": {"SALESOS_TOKEN": TOKEN}}}}
    for place in (".cursor/mcp.json", ".claude.json"):
        (home / place).parent.mkdir(parents=True, exist_ok=True)
        (home / place).write_text(json.dumps(configuration))
    file = home / "report.txt"
    done = doctor(capsys, home, "--report", str(file), **account, USER="kim.park", HOSTNAME="kims-laptop")
    text = file.read_text()
    assert done.status == 1
    assert "It holds no token or password" in done.err
    for secret in (account["SALESOS_TOKEN"], TOKEN, "kim.park", "kims-laptop", str(tmp_path), "maya@", "Maya"):
        assert secret not in text
    assert "~/.cursor/mcp.json: salesos-inbox: its command is not there" in text
    assert text.splitlines()[-1] == done.out.splitlines()[-1]


def test_a_report_is_not_written_over_another_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "report.txt"
    file.write_text("mine")
    done = doctor(capsys, tmp_path, "--report", str(file))
    assert (done.status, done.out) == (2, "")
    assert done.err == f"{file} is there already: give --report the name of a new file.\n"
    assert file.read_text() == "mine"


def test_the_help_says_what_the_status_means(capsys: pytest.CaptureFixture[str]) -> None:
    done = command(capsys, "doctor", "--help")
    assert "The status is 0 only when all is well" in " ".join(done.out.split())


# Words


FINDINGS = [
    failed("token", "there is none", "Run `salesos-inbox-mcp auth login`."),
    ok("clock", "agrees"),
    Finding("threads", Status.SKIPPED, "as token is not ok"),
    warning("one thread", "renamed: x for y " * 6, "Put into the file:\nmodels.Thread.x = 'y'"),
    Finding("search", Status.SKIPPED, "as token is not ok"),
    Finding("scopes", Status.SKIPPED, "no time was left"),
]


def test_what_is_to_be_mended_stands_last_above_the_verdict() -> None:
    assert as_text(FINDINGS).splitlines() == snapshot(
        [
            "ok       clock       agrees",
            "skipped  2 checks    as token is not ok: threads, search",
            "skipped  scopes      no time was left",
            "warning  one thread  renamed: x for y renamed: x for y renamed: x for y renamed: x for y",
            "                     renamed: x for y renamed: x for y",
            "                     → Put into the file:",
            "                         models.Thread.x = 'y'",
            "failed   token       there is none",
            "                     → Run `salesos-inbox-mcp auth login`.",
            "",
            "1 thing to mend, 1 thing to look at.",
        ]
    )


def test_json_has_every_finding() -> None:
    assert json.loads(as_json(FINDINGS))["findings"] == [asdict(finding) for finding in FINDINGS]


@pytest.mark.parametrize(
    ("findings", "status"), [(FINDINGS, 1), (FINDINGS[1:], 3), (FINDINGS[1:2], 0), ([], 0), (FINDINGS[4:], 0)]
)
def test_the_status_follows_the_worst_finding(findings: list[Finding], status: int) -> None:
    assert exit_status(findings) == status


def test_no_private_word_is_left_in_a_report(computer: Computer) -> None:
    computer.environment |= {
        "USER": "kim",
        "HOSTNAME": "kims-laptop",
        "SALESOS_TOKEN": "planted-token",
        "SALESOS_ORGANIZATION_ID": "planted-org",
        "SALESOS_ALLOWED_RECIPIENTS": "sam@customer.example",
    }
    computer.proxies = {"https": "http://kim:planted-password@proxy.corp.example:3128"}
    said = (
        f"kim at kims-laptop through proxy.corp.example:3128 (http://kim:planted-password@proxy.corp.example) in "
        f"{computer.home}/x and {computer.home}/project: planted-token {TOKEN} planted-org sam@customer.example kimono"
    )
    report = as_report([failed("anything", said, said)], computer.surroundings)
    for word in ("planted", "kims-laptop", "corp", str(computer.home), "sam@", "eyJ"):
        assert word not in report
    assert not re.search(r"\bkim\b", report)
    assert "kimono" in report


def test_what_is_shared_keeps_hosts_and_names_of_fields() -> None:
    text = "https://api.salesos.org/v1 answers; without messages.fromEmail"
    assert shareable(text, {"kim": "<user>"}) == text


@pytest.mark.anyio
async def test_a_report_of_an_examination_names_nobody(computer: Computer, service: Service) -> None:
    findings = await computer.examine(**service.account, SALESOS_ORGANIZATION_ID="planted-org")
    report = as_report(findings, computer.surroundings)
    assert service.account["SALESOS_TOKEN"] not in report
    assert "planted" not in report
    assert str(computer.home) not in report
