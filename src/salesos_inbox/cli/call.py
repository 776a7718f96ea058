"""`call`: one call of a tool, from a terminal or a script."""

import argparse
import json
import sys
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, cast

from salesos_inbox.cli.composition import add_inbox_arguments, chosen_settings, open_services
from salesos_inbox.cli.terminal import typed_yes
from salesos_inbox.errors import InvalidArguments

if TYPE_CHECKING:
    from mcp.client import ClientRequestContext
    from mcp_types import ElicitRequestParams, ElicitResult

    from salesos_inbox.tools._kit import Services


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `call` takes."""
    add_inbox_arguments(parser)
    parser.add_argument("tool", metavar="TOOL")
    parser.add_argument("json", metavar="JSON", nargs="?", default="{}", help="the arguments, e.g. '{\"limit\": 5}'")


def run(options: argparse.Namespace) -> int:
    """Call the tool, and print its answer."""
    import anyio

    settings, store = chosen_settings(options)
    arguments = _read_arguments(options.json)
    return anyio.run(_call_tool, open_services(settings, store, demo=options.demo), options.tool, arguments)


def _read_arguments(text: str) -> dict[str, Any]:
    try:
        arguments = json.loads(text)
    except ValueError as error:
        raise InvalidArguments("The arguments are not JSON: write them like '{\"limit\": 5}'.") from error
    if not isinstance(arguments, dict):
        raise InvalidArguments("The arguments must be a JSON object, like '{\"limit\": 5}'.")
    return cast("dict[str, Any]", arguments)


async def _call_tool(opening: "AbstractAsyncContextManager[Services]", tool: str, arguments: dict[str, Any]) -> int:
    """Call one tool through a real client in this process, and print its answer as JSON."""
    from mcp import Client
    from mcp.shared.exceptions import MCPError
    from mcp_types import TextContent

    from salesos_inbox.server import build_server

    ask = _ask_in_terminal if sys.stdin.isatty() and sys.stderr.isatty() else None
    async with opening as services, Client(build_server(services), elicitation_callback=ask) as client:
        try:
            result = await client.call_tool(tool, arguments)
        except MCPError as error:
            print(error, file=sys.stderr)
            return 2
    if result.is_error:
        print("\n".join(part.text for part in result.content if isinstance(part, TextContent)), file=sys.stderr)
        return 1
    print(json.dumps(result.structured_content, indent=2, ensure_ascii=False))
    return 0


async def _ask_in_terminal(context: "ClientRequestContext", params: "ElicitRequestParams") -> "ElicitResult":
    import anyio.to_thread
    from mcp_types import ElicitResult

    del context
    print(f"\n{params.message}\n", file=sys.stderr)
    approves = await anyio.to_thread.run_sync(typed_yes, abandon_on_cancel=True)
    return ElicitResult(action="accept", content={"decision": "approve" if approves else "decline"})
