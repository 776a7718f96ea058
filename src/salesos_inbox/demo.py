"""One morning at the demo inbox, played through a real MCP client over stdio and written as a script to read.

The assistant's lines are written down here; the inbox's answers are what the server really answers,
and the cards are what it really asks. The demo presses the person's buttons for her.
"""

import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from shutil import which
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

import anyio
from mcp import Client, StdioServerParameters
from mcp.client import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult, TextContent

WIDTH = 92
"""Columns a line of the script may take."""
SECONDS_TO_READ = 0.8
"""How long a card is on the screen; what answers at once is no person, and the server takes it for none."""
ZONE = "Europe/Berlin"
"""Where the owner of the demo mailbox lives."""

_PROGRAM = "salesos-inbox-mcp"
_SERVER = StdioServerParameters(
    command=sys.executable,
    args=["-m", "salesos_inbox.cli", "serve", "--demo"],
    env={"SALESOS_TIMEZONE": ZONE},
)

_WORTH_SHOWING = ("c.achterberg@", "amir@", "astrid@", "rick.", "daniel.reyes@solano-pharma.", "procurement@vertex")
_NEWSLETTERS = ("weekly@intralog", "nadia@quota-club")
_DONE_WITH = (
    "owen.price@", "priya@", "rezeption@", "piotr.", "a.nowicka@", "tickets@spreebahn", "no-reply@tally", "digest@",
)  # fmt: skip
_TO_RICK = """\
Rick,

you are right, and you should have had this yesterday.

The fleet controller's disk ran full. After the first incident we switched log rotation off at your site to \
collect traces, and never switched it back on. That is our mistake, fully.

It is fixed, an alarm now goes off at 70 % disk, and we have checked every other site. Availability this month is \
97.1 %, below the 98 % you pay for, so EUR 4,030 come off your invoice.

Maya"""
_TO_ASTRID = """\
Astrid, congratulations to the left boot!

For the board: eleven robots at the framework price of EUR 1,310 are EUR 14,410 per month. And yes, the price holds \
for a third site.

Maya"""


@dataclass
class Page:
    """The script as it is written, line by line."""

    say: Callable[[str], None]

    def title(self, text: str, below: str) -> None:
        """Begin the script."""
        self.say("")
        self.say(f"  {text}")
        self.say(f"  {'─' * (WIDTH - 4)}")
        self._wrapped("  ", "  ", below)

    def scene(self, number: int, title: str, why: str) -> None:
        """Begin a scene with what the assistant is about."""
        self.say("")
        self.say("")
        self.say(f"  {number}  {title}")
        self._wrapped("     ", "     ", why)

    def assistant(self, text: str) -> None:
        """Write what the assistant calls."""
        self.say("")
        self._wrapped("  assistant ▸ ", _MARGIN, text)

    def inbox(self, text: str, more: Iterable[str] = ()) -> None:
        """Write what the inbox answers, and `more` below it as it stands."""
        self._wrapped("      inbox ◂ ", _MARGIN, text)
        self.below(more)

    def below(self, lines: Iterable[str]) -> None:
        """Write lines below what was said; a long one goes on in the next."""
        for line in lines:
            self._wrapped(_MARGIN, _MARGIN + " " * (len(line) - len(line.lstrip())), line)

    def person(self, text: str) -> None:
        """Write what the person says."""
        self.say("")
        self._wrapped("       Maya ● ", _MARGIN, text)

    def card(self, text: str, button: str) -> None:
        """Write the card a person is shown, and the button that was pressed."""
        title, *lines = text.split("\n")
        self._wrapped("       Maya ● ╭─ ", _MARGIN + "│  ", title)
        for line in lines:
            of_message = "│ " if line.startswith("│") else ""
            self._wrapped(f"{_MARGIN}│  ", f"{_MARGIN}│  {of_message}", line)
        self.say(f"{_MARGIN}╰─ [ {button} ]  pressed for her by this demo")

    def _wrapped(self, first: str, then: str, text: str) -> None:
        lines = textwrap.wrap(
            text, WIDTH, initial_indent=first, subsequent_indent=then, break_long_words=False, break_on_hyphens=False
        )
        for line in lines or [first.rstrip()]:
            self.say(line.replace(_HARD_SPACE, " "))


_MARGIN = " " * 14
_HARD_SPACE = "\u00a0"


@dataclass
class Maya:
    """The person in front of the client: sees each card, and has a button pressed for her."""

    page: Page
    button: Literal["approve", "decline"] = "approve"
    seconds_to_read: float = SECONDS_TO_READ

    async def decide(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Show a card on the page and answer it, no faster than a person could."""
        del context
        self.page.card(params.message, self.button)
        await anyio.sleep(self.seconds_to_read)
        return ElicitResult(action="accept", content={"decision": self.button})


@dataclass
class Assistant:
    """The one who calls the tools."""

    client: Client
    page: Page

    async def call(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """Write down a call, make it, and return its answer; raises `RuntimeError` where it fails."""
        result = await self.attempt(tool, **arguments)
        if result.is_error or result.structured_content is None:
            raise RuntimeError(f"The demo stopped, as {tool} failed: {_text(result)}")
        return result.structured_content

    async def attempt(self, tool: str, /, **arguments: Any) -> CallToolResult:
        """Write down a call, make it, and return whatever came of it."""
        self.page.assistant(_as_call(tool, arguments))
        return await self.client.call_tool(tool, arguments)


async def play(say: Callable[[str], None]) -> None:
    """Play the morning against a server of its own, and hand it to `say` line by line."""
    page = Page(say)
    maya = Maya(page)
    async with Client(_SERVER, elicitation_callback=maya.decide) as client:
        await perform(Assistant(client, page), maya, datetime.now(ZoneInfo(ZONE)))


async def perform(assistant: Assistant, maya: Maya, now: datetime) -> None:
    """Play the morning with `assistant` and `maya`; `now` is what the clock on her wall says."""
    page = assistant.page
    page.title(
        "A morning at the inbox",
        f"{now:%A} {now.day} {now:%B}. Maya Lindqvist sells warehouse robots, and her assistant works through her "
        "mail, which is invented and never leaves this machine. The assistant's part is written down beforehand; "
        "every answer and every card comes from the server, over MCP. Where Maya decides, this demo presses "
        '"approve" on her behalf, and once "decline".',
    )
    threads = await _triage(assistant)
    await _read(assistant, threads["rick."])
    await _answer(assistant, threads["rick."])
    await _schedule(assistant, threads["astrid@"], now)
    await _clear(assistant, threads)
    await _undo(assistant, threads["notify@inkwell"])
    await _tie(assistant, threads, now)
    await _resist(assistant, maya, threads["procurement@vertex"])
    page.say("")
    page.say("")
    page.say(f"  {'─' * (WIDTH - 4)}")
    for purpose, command in _NEXT:
        page.say(f"  {purpose:<17}{_program()} {command}")
    page.say("")


_NEXT = (
    ("this mailbox", "serve --demo    in your client: see README.md"),
    ("your own mail", "sandbox --import PATH --user ADDRESS"),
    ("your account", "serve           with SALESOS_TOKEN set"),
)


async def _triage(assistant: Assistant) -> dict[str, str]:
    """Look at the whole inbox, and return its threads' ids by a part of who wrote last."""
    assistant.page.scene(1, "What needs me?", "One call reads the inbox and the threads behind it.")
    answer = await assistant.call("triage_inbox", limit=50)
    rows: list[dict[str, Any]] = answer["threads"]
    yours = sum(row.get("turn") == "yours" for row in rows)
    unread = sum(row.get("unread", False) for row in rows)
    shown = [row for row in rows if any(part in _mail(row)[0] for part in _WORTH_SHOWING)]
    kinds = ", ".join(
        f"{number} {words}"
        for words, number in (
            ("wait for others", sum(row.get("turn") == "theirs" for row in rows)),
            ("newsletters", sum(row.get("kind") == "newsletter" for row in rows)),
            ("automatic", sum(row.get("kind") == "automatic" for row in rows)),
        )
    )
    assistant.page.inbox(
        f"{len(rows)} threads, {unread} unread; {kinds}. In {yours} it is Maya's turn, among them:",
        ["", *(f"{_urgency(row):<14}{_name(_mail(row)[0]):<20}{_cut(_mail(row)[-1], 44)}" for row in shown)],
    )
    known = (*_WORTH_SHOWING, *_NEWSLETTERS, *_DONE_WITH, "notify@inkwell", "tobias@")
    return {part: next(row["thread_id"] for row in rows if part in _mail(row)[0]) for part in known}


async def _read(assistant: Assistant, thread_id: str) -> None:
    assistant.page.scene(
        2,
        "Rick is angry",
        "The newest messages first, within a budget. What others wrote stands between marks made for this answer.",
    )
    answer = await assistant.call("read_thread", thread_id=thread_id, max_tokens=450)
    assistant.page.inbox(
        f"{_bare(answer['subject'])} ({_count(answer['earlier_messages'], 'earlier message')} to be had)"
    )
    for message in answer["messages"][-2:]:
        at = datetime.fromisoformat(message["at"])
        subject = [f"Subject: {_bare(message['subject'])}"] if "subject" in message else []
        folded = [f"({message['quoted_chars']:,} characters of quotes are folded)"] if "quoted_chars" in message else []
        head = f"{_bare(message['sender'])}, {at:%A %H:%M}"
        assistant.page.below(["", head, *subject, *_lines(message["text"]), *folded])
    assistant.page.below(["", f"note: {answer['note']}"])


async def _answer(assistant: Assistant, thread_id: str) -> None:
    page = assistant.page
    page.scene(
        3,
        "A reply, drafted and sent",
        "Recipients and subject follow from the thread. Before it leaves, the server itself asks Maya.",
    )
    draft = await assistant.call("save_draft", thread_id=thread_id, reply_all=True, body=_TO_RICK)
    page.inbox(_receipt(draft))
    sent = await assistant.call("send_email", draft_id=draft["draft_id"])
    page.inbox(_receipt(sent))


async def _schedule(assistant: Assistant, thread_id: str, now: datetime) -> None:
    page = assistant.page
    page.scene(4, "Not now, but in the morning", "Astrid wants a number for her board. It is in an old contract.")
    found = await assistant.call("search_threads", query="framework price Bergen", folder="Contracts")
    page.inbox("; ".join(_mail(row)[1] for row in found["threads"]))
    contract = await assistant.call("read_thread", thread_id=found["threads"][0]["thread_id"])
    message = contract["messages"][0]
    page.inbox(f"{_bare(message['sender'])}, {datetime.fromisoformat(message['at']):%d %B}", _lines(message["text"]))
    send_at = datetime.combine(_next_working_day(now), time(8, 30)).isoformat(timespec="minutes")
    scheduled = await assistant.call("schedule_email", thread_id=thread_id, send_at=send_at, body=_TO_ASTRID)
    page.inbox(_receipt(scheduled))
    page.person("On second thought, I will call her. Take it back.")
    cancelled = await assistant.call("cancel_scheduled", scheduled_id=scheduled["scheduled_id"])
    page.inbox(_receipt(cancelled))


async def _clear(assistant: Assistant, threads: Mapping[str, str]) -> None:
    assistant.page.scene(
        5,
        "Ten threads that ask for nothing",
        "A whole plan in one call. Nothing in it deletes, so it need not ask; each thread has its outcome.",
    )
    plan = [
        {"action": "read", "thread_ids": [threads["weekly@intralog"], threads["digest@"]]},
        {"action": "archive", "thread_ids": [threads[part] for part in _DONE_WITH]},
        {"action": "move", "folder": "Newsletters", "thread_ids": [threads[part] for part in _NEWSLETTERS]},
    ]
    answer = await assistant.call("bulk_update_threads", plan=plan)
    assistant.page.inbox(_outcomes(answer))


async def _undo(assistant: Assistant, thread_id: str) -> None:
    page = assistant.page
    page.scene(6, "One too many", "Amir has signed the contract, so the notice of it can go. Or can it?")
    answer = await assistant.call("archive_threads", thread_ids=[thread_id])
    page.inbox(_outcomes(answer))
    page.person("Bring that back! Amir has signed. I have not.")
    undone = await assistant.call("undo_change", undo_id=answer["undo_id"])
    page.inbox(_outcomes(undone))


async def _tie(assistant: Assistant, threads: Mapping[str, str], now: datetime) -> None:
    page = assistant.page
    page.scene(
        7,
        "What belongs together",
        "Maya's boss names the floor for the Brightwater deal in a mail about something else. And Daniel has "
        "answered what tomorrow's reminder was to ask him.",
    )
    link = await assistant.call(
        "link_crm_record", thread_id=threads["tobias@"], record_type="opportunity", record_id="brightwater-swindon"
    )
    page.inbox(f"{link['status']}: {_bare(link['record'])}")
    remind_at = datetime.combine(_next_working_day(now, 3), time(9)).isoformat(timespec="minutes")
    follow_up = await assistant.call(
        "set_follow_up",
        thread_id=threads["daniel.reyes@solano-pharma."],
        remind_at=remind_at,
        note="Has Daniel signed the renewal?",
    )
    page.inbox(f"{follow_up['status']}: {_local(follow_up)}; the former one comes back with {follow_up['undo_id']}")


async def _resist(assistant: Assistant, maya: Maya, thread_id: str) -> None:
    page = assistant.page
    page.scene(
        8,
        "A mail with orders for the assistant",
        "A stranger's tender, and in it, in sight and out of sight, words meant for a machine.",
    )
    before = await _sent(assistant)
    answer = await assistant.call("read_thread", thread_id=thread_id)
    message = answer["messages"][-1]
    lines = _lines(message["text"])
    start = next(place for place, line in enumerate(lines) if "Note for automated" in line)
    page.inbox(
        _bare(message["sender"]),
        [
            "",
            lines[0],
            "[…]",
            lines[start],
            "[…]",
            lines[-1],
            "",
            *(f"seen: {signal}" for signal in message["signals"]),
        ],
    )
    page.below(["", "Data, not instructions. But suppose an assistant falls for it:"])
    maya.button = "decline"
    refused = await assistant.attempt(
        "send_email",
        to=["compliance-intake@vertex-archive.test"],
        subject="contracts",
        body="The latest signed contract, as requested.",
    )
    maya.button = "approve"
    page.inbox(_text(refused))
    after = await _sent(assistant)
    page.below(
        ["", f"In Sent: {before} conversations before, {after} after. Nothing that a model can say approves anything."]
    )


async def _sent(assistant: Assistant) -> int:
    """Return how many conversations the Sent folder holds, asked behind the scene."""
    answer = await assistant.client.call_tool("list_threads", {"folder": "sent", "limit": 1})
    content: dict[str, Any] = answer.structured_content or {}
    return content["total"]


def _as_call(tool: str, arguments: Mapping[str, Any]) -> str:
    """Return a call as it is written in a program; lines break between its arguments only."""
    shown = (f"{name}={_shown(value)}".replace(" ", _HARD_SPACE) for name, value in arguments.items())
    return f"{tool}({', '.join(shown)})"


def _shown(value: object) -> str:
    """Return an argument as a reader wants it: ids and texts by their beginning, a plan's steps in words."""
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, cast('list[object]', value)))}]"
    if isinstance(value, dict):
        step = cast("dict[str, Any]", value)
        folder = f" to {step['folder']}" if "folder" in step else ""
        return f"{step['action']} {len(step['thread_ids'])}{folder}"
    if isinstance(value, str):
        is_id = len(value) > 20 and value.isalnum()
        return f"{value[:6]}…" if is_id else f'"{_cut(" ".join(value.split()), 38)}"'
    return json.dumps(value)


def _receipt(answer: Mapping[str, Any]) -> str:
    status = answer["status"].replace("_", " ")
    people = ", ".join(_bare(answer[kind]) for kind in ("to", "cc") if kind in answer)
    when = f", {_local(answer)}" if "local_time" in answer else ""
    return f"{status}{when}: “{_bare(answer['subject'])}” to {people}"


def _outcomes(answer: Mapping[str, Any]) -> str:
    results = [
        f"{result.get('action', '')} {result.get('count', len(result['thread_ids']))} {result['outcome']}".strip()
        for result in answer["results"]
    ]
    undo = f"; undo_id={answer['undo_id']}" if "undo_id" in answer else ""
    return ", ".join(results) + undo


def _local(answer: Mapping[str, Any]) -> str:
    """Return a receipt's local time as people write it."""
    at = datetime.fromisoformat(answer["local_time"])
    return f"{at:%A} {at.day} {at:%B}, {at:%H:%M} ({answer['zone']})"


def _urgency(row: Mapping[str, Any]) -> str:
    if row.get("follow_up", "").startswith("due"):
        return "follow-up due"
    return "unread" if row.get("unread") else _count(row["days"], "day") if "days" in row else ""


def _mail(row: Mapping[str, Any]) -> list[str]:
    """Return what a row says of a thread: who, the subject, the first words."""
    return _bare(row["mail"]).split(" | ")


def _bare(text: str) -> str:
    """Return what stands between an answer's marks."""
    return re.sub(r"^<\d+>|</\d+>$", "", text)


def _name(person: str) -> str:
    return _cut(person.partition(" <")[0], 18)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip(' .,…')}…"


def _lines(text: str) -> list[str]:
    """Return a fenced text's lines with its marks, without blank ones and without the signature."""
    written = _bare(text)
    lines = [line for line in written.split("\n") if line.strip()]
    end = lines.index("--") if "--" in lines else len(lines)
    shown = "\n".join([*lines[:end], *(["[…]"] if end < len(lines) else [])])
    return text.replace(written, shown).split("\n")


def _text(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))


def _next_working_day(now: datetime, count: int = 1) -> datetime:
    day = now
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < 5
    return day.replace(tzinfo=None)


def _program() -> str:
    """Return how the program is called from here: by name where the path has it, else where it is."""
    if which(_PROGRAM):
        return _PROGRAM
    program, here = Path(sys.executable).with_name(_PROGRAM), Path.cwd()
    return str(program.relative_to(here) if program.is_relative_to(here) else program)
