"""Every fault of the sandbox with every tool: what the model is told, and what has become of the mailbox."""

from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

import pytest

from salesos_inbox.sandbox.faults import Kind
from salesos_inbox.tools.catalogue import CATALOGUE
from survival import (
    CALLS,
    CANARY,
    CASES,
    COLUMNS,
    DOCUMENT,
    TROUBLES,
    Answer,
    Case,
    Course,
    Mailbox,
    Trouble,
    bench,
    broken_promises,
    findings,
    numbers_in,
    outcome_of,
    row,
    usual_courses,
)

MEND = "run `python tests/survival.py --write` and read what has changed"
IMPATIENCE = 0.4
"""Seconds that a client waits for a real server that says nothing."""
ON_THE_WIRE: tuple[Kind, ...] = (
    "reset_before",
    "reset_after",
    "silence_before",
    "silence_after",
    "slow_bytes",
    "truncated_body",
    "cut_chunks",
    "endless_body",
    "gzip_bomb",
)
"""Faults that are about a connection, which the table is made without."""


def test_every_tool_is_called_and_every_fault_is_met() -> None:
    assert [call.tool for call in CALLS] == [tool.name for tool in CATALOGUE]
    assert {kind_of(trouble) for trouble in TROUBLES} == {*get_args(Kind), None}
    assert sorted(tool for tools in COLUMNS.values() for tool in tools) == sorted(call.tool for call in CALLS)


def test_without_a_fault_every_call_succeeds_and_every_change_is_one() -> None:
    courses = usual_courses()
    assert {course.answer.code for course in courses.values()} == {"ok"}
    changes = {call.tool for call in CALLS if call.method != "GET"}
    assert {tool for tool, course in courses.items() if course.before != course.after} == changes


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_a_fault_does_is_what_the_table_says_and_breaks_no_promise(case: Case) -> None:
    found = findings(case)
    assert {tool: finding.broken for tool, finding in found.items() if finding.broken} == {}
    text = DOCUMENT.read_text(encoding="utf-8")
    assert row(case, found, numbers_in(text)) in text.splitlines(), MEND


def test_the_table_has_no_other_lines() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    first = [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| ")]
    kinds = [f"`{kind}`" for kind in get_args(Kind)]
    assert first == ["the service", *(case.name for case in CASES), "kind", *kinds], MEND
    told = {f"`{outcome.told}` {number} |" for outcome, number in numbers_in(text).items()}
    assert [one for one in told if one not in text] == [], MEND


TOKEN = "eyJ.secret"
GOOD = Answer("unavailable", "Nothing was done: call again in a minute.", "")
BEFORE = Mailbox((), (), ())
DONE = Mailbox((("done",),), (), ())
USUAL = Course(BEFORE, Answer("ok", "", ""), DONE, DONE, 1, 1, again=Answer("conflict", "It was done: read it.", ""))
FAILED = Course(BEFORE, GOOD, BEFORE, BEFORE, 1, 1, "", TOKEN, Answer("ok", "", ""), DONE)


@pytest.mark.parametrize(
    ("course", "broken"),
    [
        (FAILED, []),
        (replace(FAILED, answer=replace(GOOD, code="outcome_unknown"), settled=DONE, after=DONE), []),
        (replace(FAILED, answer=replace(GOOD, code="failed"), settled=DONE), []),
        (replace(FAILED, settled=DONE), ["the mailbox is not what the answer says"]),
        (replace(FAILED, after=DONE, settled=DONE), ["the mailbox is not what the answer says"]),
        (replace(FAILED, answer=Answer("ok", "", ""), again=None), ["the mailbox is not what the answer says"]),
        (replace(FAILED, answer=replace(GOOD, whole=f"It said {CANARY}")), ["it says the service's words"]),
        (replace(FAILED, logged=f"It said {CANARY}"), ["it says the service's words"]),
        (replace(FAILED, logged=f"Bearer {TOKEN}"), ["it says the token"]),
        (replace(FAILED, answer=replace(GOOD, sentence="It failed. So call again.")), ["it is not one sentence"]),
        (replace(FAILED, answer=replace(GOOD, sentence="It failed.")), ["it does not tell what to do"]),
        (replace(FAILED, finally_=BEFORE), ["in the end it is not done once"]),
        (
            replace(FAILED, again=Answer("conflict", "It is so.", "")),
            ["the next call ends with conflict: It is so."],
        ),
    ],
)
def test_the_judge_sees_each_broken_promise(course: Course, broken: list[str]) -> None:
    assert broken_promises(course, USUAL) == broken


@pytest.fixture(scope="session")
def usual_course() -> Mapping[str, Course]:
    """Return how each call goes where nothing fails; made before there is a loop, as it needs one of its own."""
    return usual_courses()


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ON_THE_WIRE)
async def test_a_real_connection_comes_to_the_same(kind: Kind, usual_course: Mapping[str, Course]) -> None:
    [trouble] = [trouble for trouble in TROUBLES if kind_of(trouble) == kind]
    [line] = [line for line in DOCUMENT.read_text("utf-8").splitlines() if line.startswith(f"| {name_of(trouble)} |")]
    table = dict(zip(COLUMNS, line.split(" | ")[1:], strict=True))
    calls = {call.tool: call for call in CALLS}
    for column, tools in COLUMNS.items():
        usual = usual_course[tools[0]]
        course = await bench().run_over_socket(calls[tools[0]], trouble, IMPATIENCE)
        assert broken_promises(course, usual) == [], column
        told = outcome_of(course, usual).told.split(",")[0]
        assert told in table[column], column


def kind_of(trouble: Trouble) -> Kind | None:
    """Return the kind of a trouble's fault."""
    return trouble.fault.kind if trouble.fault else None


def name_of(trouble: Trouble) -> str:
    """Return what the table calls a trouble that lasts."""
    return Case(trouble, None).name
