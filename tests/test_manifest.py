"""The generated files: current, and mended by one command."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from processes import ROOT, Done, command
from salesos_inbox.contract.document import contract_markdown
from salesos_inbox.manifest import TABLE_END, TABLE_START, brief, with_table

Manifest = Callable[..., Done]
NOTHING_TO_SAY = Done(0, "", "")
README = f"# A project\n\n{TABLE_START}\nold\n{TABLE_END}\n\nThe rest.\n"


@pytest.fixture
def manifest(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """The command, run in a folder."""

    def run(folder: Path, *options: str) -> Done:
        monkeypatch.chdir(folder)
        return command(capsys, "manifest", *options)

    return run


@pytest.fixture
def project(tmp_path: Path, manifest: Manifest) -> Path:
    """A project's folder whose generated files are current."""
    (tmp_path / "README.md").write_text(README, encoding="utf-8")
    assert manifest(tmp_path) == NOTHING_TO_SAY
    return tmp_path


def test_the_files_in_the_repository_are_current(manifest: Manifest) -> None:
    assert manifest(ROOT, "--check") == NOTHING_TO_SAY


def test_all_files_are_made_and_then_found_current(project: Path, manifest: Manifest) -> None:
    tools = json.loads((project / "tool_manifest.json").read_text(encoding="utf-8"))["tools"]
    readme = (project / "README.md").read_text(encoding="utf-8")
    assert len(tools) == 22
    assert readme.startswith(f"# A project\n\n{TABLE_START}\n| tool |")
    assert readme.endswith(f"{TABLE_END}\n\nThe rest.\n")
    assert all(f"| `{tool['name']}` | {tool['group']} | {tool['effect']} |" in readme for tool in tools)
    assert (project / "docs/contract.md").read_text(encoding="utf-8") == contract_markdown()
    assert manifest(project, "--check") == NOTHING_TO_SAY


@pytest.mark.parametrize(
    ("name", "present"),
    [
        ("tool_manifest.json", "List the mailbox's folders"),
        ("README.md", "List the mailbox's folders"),
        ("docs/contract.md", "`bodyHtml`"),
    ],
)
def test_a_stale_file_fails_the_check_and_the_command_that_mends_it_is_named(
    project: Path, manifest: Manifest, name: str, present: str
) -> None:
    path = project / name
    current = path.read_text(encoding="utf-8")
    stale = current.replace(present, "something else")
    assert stale != current
    path.write_text(stale, encoding="utf-8")

    found = manifest(project, "--check")
    assert found == Done(1, "", f"{name} is out of date; mend with: salesos-inbox-mcp manifest\n")
    assert path.read_text(encoding="utf-8") == stale

    assert manifest(project) == NOTHING_TO_SAY
    assert path.read_text(encoding="utf-8") == current


def test_missing_files_fail_the_check_and_are_all_named(project: Path, manifest: Manifest) -> None:
    (project / "tool_manifest.json").unlink()
    (project / "docs/contract.md").unlink()
    missing = "tool_manifest.json and docs/contract.md are out of date; mend with: salesos-inbox-mcp manifest\n"
    assert manifest(project, "--check") == Done(1, "", missing)


@pytest.mark.parametrize("readme", ["# Another project\n", f"# Damaged\n\n{TABLE_START}\n\nThe rest.\n"])
def test_a_readme_without_a_place_for_the_table_is_left_as_it_is(
    tmp_path: Path, manifest: Manifest, readme: str
) -> None:
    path = tmp_path / "README.md"
    path.write_text(readme, encoding="utf-8")
    done = manifest(tmp_path)
    assert done == Done(2, "", "Run this in the project's root, where README.md has the table of tools.\n")
    assert path.read_text(encoding="utf-8") == readme
    assert [*tmp_path.iterdir()] == [path]


def test_the_table_replaces_only_what_stands_between_its_marks() -> None:
    assert with_table(with_table(README)) == with_table(README)


def test_one_entry_says_all_that_is_known_of_a_tool(project: Path) -> None:
    tools: list[dict[str, Any]] = json.loads((project / "tool_manifest.json").read_text(encoding="utf-8"))["tools"]
    assert next(tool for tool in tools if tool["name"] == "star_threads") == snapshot(
        {
            "name": "star_threads",
            "title": "Star threads",
            "description": "Star threads, or take the stars away with starred=false.",
            "effect": "change",
            "group": "sorting",
            "inputSchema": {
                "properties": {
                    "thread_ids": {"items": {"type": "string"}, "maxItems": 100, "type": "array"},
                    "starred": {"default": True, "type": "boolean"},
                },
                "required": ["thread_ids"],
                "type": "object",
                "additionalProperties": False,
            },
            "outputSchema": {
                "properties": {
                    "results": {
                        "items": {
                            "properties": {
                                "outcome": {"enum": ["done", "unchanged", "not_found", "failed"], "type": "string"},
                                "thread_ids": {"items": {"type": "string"}, "type": "array"},
                                "reason": {"type": "string"},
                            },
                            "required": ["outcome", "thread_ids"],
                            "type": "object",
                        },
                        "type": "array",
                    },
                    "undo_id": {"type": "string"},
                    "note": {"type": "string"},
                },
                "required": ["results"],
                "type": "object",
            },
            "annotations": {
                "title": "Star threads",
                "readOnlyHint": False,
                "destructiveHint": False,
                "idempotentHint": True,
                "openWorldHint": True,
            },
        }
    )


def test_a_schema_loses_what_says_nothing_and_keeps_what_is_named_like_it() -> None:
    schema: dict[str, Any] = {
        "$defs": {"Row": {"title": "Row", "type": "object", "description": "A row.", "properties": {}}},
        "title": "Answer",
        "type": "object",
        "properties": {
            "title": {"title": "Title", "type": "string"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "description": "Kept"},
            "rows": {"items": {"$ref": "#/$defs/Row"}, "type": "array"},
        },
    }
    assert brief(schema) == snapshot(
        {
            "type": "object",
            "properties": {
                "title": {"type": "string"},
                "note": {"type": "string", "description": "Kept"},
                "rows": {"items": {"type": "object", "properties": {}}, "type": "array"},
            },
        }
    )
