"""`serve`: the inbox for an MCP client, over standard input and output or Streamable HTTP."""

import argparse
import sys
from dataclasses import replace

from salesos_inbox.cli.composition import add_inbox_arguments, chosen_settings, open_services
from salesos_inbox.cli.listening import address, listen, port_number

HTTP_PORT = 8020


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `serve` takes."""
    add_inbox_arguments(parser)
    parser.add_argument(
        "--http", action="store_true", help="serve Streamable HTTP instead of standard input and output"
    )
    parser.add_argument("--host", default="127.0.0.1", help="with --http: a loopback address (default 127.0.0.1)")
    parser.add_argument("--port", type=port_number, default=HTTP_PORT, help=f"with --http (default {HTTP_PORT})")


def run(options: argparse.Namespace) -> int:
    """Serve until the client goes, or a signal comes."""
    import anyio

    settings, store = chosen_settings(options)
    if options.http and settings.approval == "auto" and settings.browser:
        settings = replace(settings, approval="page")  # whoever can reach the port could answer for the person
    from salesos_inbox.server import build_server, serve_http, serve_stdio
    from salesos_inbox.shutdown import Shutdown

    async def serve() -> int:
        async with open_services(settings, store, demo=options.demo) as services:
            server = build_server(services)
            shutdown = Shutdown(lambda: services.ledger.abandon(services.seconds()))
            with shutdown.on_signals():
                if options.http:
                    with listen(options.host, options.port) as listener:
                        print(f"Serving MCP at http://{address(listener)}/mcp", file=sys.stderr)
                        await serve_http(server, listener, shutdown)
                else:
                    await serve_stdio(server, shutdown)
        return shutdown.status or 0

    return anyio.run(serve)
