"""The main job on real mail: import it, serve it over real HTTP, and work on it with the official inspector."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import MAIL, subject_of
from processes import INSPECTOR, NODE, SECONDS, free_port, needs_node, running

pytestmark = [
    needs_node,
    pytest.mark.skipif(
        not (MAIL / "threads").is_dir(), reason="the real mail is not here: it stands at ../shared/mail"
    ),
]

BUDGET = 3000
"""Tokens that an answer may take."""
SERVE = [str(Path(sys.executable).with_name("salesos-inbox-mcp")), "serve"]


@dataclass(frozen=True)
class Desk:
    """The inspector, its server, and below it a sandbox that holds real mail."""

    settings: dict[str, str]
    home: Path

    def inspect(self, *arguments: str, era: str = "legacy") -> dict[str, Any]:
        """Run the inspector to its end and return what it printed; nothing may go to standard error."""
        settings = [part for name, value in self.settings.items() for part in ("-e", f"{name}={value}")]
        done = subprocess.run(
            [NODE, INSPECTOR, "--cli", *SERVE, *settings, "--protocol-era", era, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            env={"HOME": str(self.home), "PATH": str(NODE.parent)},
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        assert self.settings["SALESOS_TOKEN"] not in done.stdout
        return json.loads(done.stdout)

    def call(self, tool: str, /, era: str = "legacy", **arguments: Any) -> dict[str, Any]:
        """Call a tool and return its structured answer, which its text must equal."""
        found = self.inspect(
            "--method", "tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments), era=era
        )
        assert not found.get("isError"), found
        assert json.loads(found["content"][0]["text"]) == found["structuredContent"]
        return found["structuredContent"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A sandbox with the lists' mail, and the settings it printed."""
    home = tmp_path_factory.mktemp("inspector")
    arguments = ["--db", str(home / "mail.db"), "--import", str(MAIL / "threads")]
    with running("sandbox", *arguments, port=free_port()) as sandbox:
        printed = sandbox.printed_by_now("Ctrl-C")
        settings = dict(re.findall(r"export (\w+)=(\S+)", printed))
        yield Desk({**settings, "SALESOS_STATE_DIR": str(home / "state")}, home)
        sandbox.stop()
    assert "Traceback" not in sandbox.printed()


def deepest_thread(desk: Desk, era: str = "legacy") -> dict[str, Any]:
    """Return the row of the longest discussion about cookies of the CIFS file system."""
    rows = desk.call("search_threads", era=era, query="cifs cookie", limit=100)["threads"]
    return max(rows, key=lambda row: row.get("messages", 1))


def assert_within_budget(answer: dict[str, Any]) -> None:
    """See that an answer keeps to its budget: English mail has some four characters to a token, code fewer."""
    assert len(json.dumps(answer, ensure_ascii=False)) < 5 * BUDGET


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_tools_are_portable_by_the_inspectors_strict_rules(desk: Desk, era: str) -> None:
    tools = desk.inspect("--method", "tools/list", "--strict", era=era)["tools"]
    assert len(tools) == 22
    assert all(tool["outputSchema"]["type"] == "object" for tool in tools)


def test_a_deep_thread_of_a_kernel_list_is_read_from_its_newest_message_on(desk: Desk) -> None:
    deepest = deepest_thread(desk)
    newest = desk.call("read_thread", thread_id=deepest["thread_id"], max_tokens=BUDGET)
    assert newest["earlier_messages"] + len(newest["messages"]) == deepest["messages"] >= 20
    assert len(newest["messages"]) >= 2
    assert_within_budget(newest)

    earlier = desk.call("read_thread", thread_id=deepest["thread_id"], max_tokens=BUDGET, cursor=newest["next_cursor"])
    times = [message["at"] for message in earlier["messages"] + newest["messages"]]
    assert times == sorted(times)
    assert earlier["earlier_messages"] < newest["earlier_messages"]
    assert_within_budget(earlier)


def test_a_client_of_the_newest_era_finds_and_reads_the_same_thread(desk: Desk) -> None:
    deepest = deepest_thread(desk, era="modern")
    whole = desk.call("read_thread", era="modern", thread_id=deepest["thread_id"], max_tokens=50_000)
    assert len(whole["messages"]) == deepest["messages"]
    assert whole["earlier_messages"] == 0


def test_a_search_finds_words_and_people(desk: Desk) -> None:
    # A discussion that began below a series of patches, in whose thread it is therefore found.
    found = desk.call("search_threads", query="rewrite commit subject")
    assert [subject_of(row) for row in found["threads"]] == ["[PATCH 00/44] remove unnecessary semicolons"]
    assert desk.call("search_threads", query="Carl Worth")["total"] >= 5


def test_the_snippet_of_a_search_shows_the_match(desk: Desk) -> None:
    rows = desk.call("search_threads", query="cookie", limit=20)["threads"]
    assert rows
    assert [row["mail"] for row in rows if "cookie" not in row["mail"].lower()] == []


def test_several_threads_are_archived_and_brought_back(desk: Desk) -> None:
    rows = desk.call("list_threads", folder="inbox", limit=7)
    ids = [row["thread_id"] for row in rows["threads"]]
    archived = desk.call("archive_threads", thread_ids=ids)
    assert archived["results"] == [{"outcome": "done", "thread_ids": ids}]
    left = desk.call("list_threads", folder="inbox", limit=7)
    assert left["total"] == rows["total"] - 7
    assert not {row["thread_id"] for row in left["threads"]} & set(ids)

    undone = desk.call("undo_change", era="modern", undo_id=archived["undo_id"])
    assert [(one["outcome"], sorted(one["thread_ids"])) for one in undone["results"]] == [("done", sorted(ids))]


def test_all_real_mail_is_imported_and_what_could_not_be_read_is_named(tmp_path: Path) -> None:
    with running("sandbox", "--db", str(tmp_path / "mail.db"), "--import", str(MAIL), port=free_port()) as sandbox:
        sandbox.stop()
    summary = re.search(
        r"Imported (\d+) messages in (\d+) threads, (\d+) duplicates and (\d+) unreadable", sandbox.printed()
    )
    assert summary, sandbox.printed()
    messages, threads, duplicates, skipped = map(int, summary.groups())
    files = [path for path in MAIL.rglob("*") if path.is_file() and path.parent.name != "tmp"]  # as Maildir asks
    assert messages + duplicates + skipped >= len(files)
    assert messages > 300
    assert threads > 100
    assert f"{MAIL / 'README.md'}: not mail" in sandbox.printed()
    assert "Traceback" not in sandbox.printed()
