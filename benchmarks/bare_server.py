"""The least that the SDK serves: one tool over standard input and output. Start-up is measured against it."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("bare")


@server.tool()
def add(first: int, second: int) -> int:
    """Add two numbers."""
    return first + second


if __name__ == "__main__":
    server.run()
