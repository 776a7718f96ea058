"""A triage agent without a model: reads the inbox, drafts the most urgent reply, and leaves the sending to a person.

Run it with `.venv/bin/python examples/triage_agent.py`: it starts the server on the demo mailbox.
A real agent would let a model write the draft; everything else would stay as it is.
"""

import re
import sys
from typing import Any

import anyio
from mcp import Client, StdioServerParameters

UNATTENDED = {"SALESOS_APPROVAL": "never"}
"""Nobody watches this program, so the server is to ask nobody."""
SERVER = StdioServerParameters(
    command=sys.executable, args=["-m", "salesos_inbox.cli", "serve", "--demo"], env=UNATTENDED
)


async def work(inbox: Client) -> None:
    """Triage the inbox, draft a reply to its most urgent thread, and say what is there."""
    threads = (await answer(inbox, "triage_inbox", limit=50))["threads"]
    mine = [thread for thread in threads if thread.get("turn") == "yours"]
    urgent = threads[0]
    assert urgent["follow_up"].startswith("due"), "what is due comes first"

    thread = await answer(inbox, "read_thread", thread_id=urgent["thread_id"])
    sender = between_marks(thread["messages"][-1]["sender"])
    first_name, email = sender.split()[0], sender.rpartition("<")[2].rstrip(">")
    body = f"Dear {first_name},\n\nThank you for your patience. You will have our answer today.\n\nMaya"
    draft = await answer(inbox, "save_draft", thread_id=urgent["thread_id"], reply_all=True, body=body)
    assert between_marks(draft["to"]) == email, "the recipients follow from the thread"
    subject = between_marks(draft["subject"])
    assert subject == f"Re: {between_marks(thread['subject'])}"

    # Where no person can be asked nothing leaves: the message stays the draft that it is.
    refused = await inbox.call_tool("send_email", {"draft_id": draft["draft_id"]})
    assert refused.is_error
    about = (refused.meta or {})["salesos-inbox/error"]
    assert (about["code"], about["draft_id"]) == ("nobody_asked", draft["draft_id"])
    assert (await answer(inbox, "get_inbox_stats"))["counts"]["sent_today"] == 0

    print(f"{len(threads)} threads, {len(mine)} wait for you.")
    print(f"Most urgent: {subject.removeprefix('Re: ')}")
    print(f"A reply to {email} waits in your drafts; send it when you have read it.")


def between_marks(text: str) -> str:
    """Return other people's words without the marks that show where they begin and end; fails where there are none."""
    marked = re.fullmatch(r"<(\d+)>(.*)</\1>", text, re.DOTALL)
    assert marked, "other people's words stand between marks"
    return marked[2]


async def answer(inbox: Client, tool: str, /, **arguments: Any) -> dict[str, Any]:
    """Call a tool and return its structured answer."""
    result = await inbox.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content or {}


async def main() -> None:
    """Start the server and work with it over standard input and output."""
    async with Client(SERVER) as inbox:
        await work(inbox)


if __name__ == "__main__":
    anyio.run(main)
