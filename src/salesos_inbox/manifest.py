"""The catalogue as a file and as a table. Pure.

Schemas are written as briefly as they can be without losing a meaning: every word of them costs
every user tokens on every request.
"""

import json
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, cast

from mcp.server.mcpserver.tools import Tool
from mcp_types import ToolAnnotations

from salesos_inbox.approval.policy import ASK_ABOVE_THREADS
from salesos_inbox.tools._kit import Effect, InboxTool
from salesos_inbox.tools.catalogue import CATALOGUE

TABLE_START = "<!-- tools: made by `salesos-inbox-mcp manifest`, do not edit -->"
TABLE_END = "<!-- end of tools -->"


@cache
def register(tool: InboxTool) -> Tool:
    """Return `tool` as the SDK serves it: brief schemas, unknown arguments refused, all hints explicit."""
    served = Tool.from_function(
        cast("Callable[..., Any]", tool.run),
        title=tool.title,
        description=tool.description,
        annotations=hints(tool),
        structured_output=True,
    )
    served.parameters = {**brief(served.parameters), "additionalProperties": False}
    served.fn_metadata.output_schema = brief(served.fn_metadata.output_schema or {})
    return served


def hints(tool: InboxTool) -> ToolAnnotations:
    """Return the four hints that follow from a tool's effect."""
    return ToolAnnotations(
        title=tool.title,
        read_only_hint=tool.effect is Effect.READ,
        destructive_hint=tool.effect in (Effect.SEND, Effect.DESTROY),
        idempotent_hint=tool.idempotent,
        open_world_hint=True,
    )


def brief(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON schema without titles, null alternatives, null defaults and references.

    An optional field is one that may be left out; that it could also be null adds nothing.
    """
    definitions = cast("dict[str, dict[str, Any]]", schema.get("$defs", {}))
    return cast("dict[str, Any]", _brief({key: value for key, value in schema.items() if key != "$defs"}, definitions))


def _brief(node: object, definitions: dict[str, dict[str, Any]], *, names: bool = False) -> object:
    """Shorten `node`; `names` says that its keys are properties, not keywords of the schema language."""
    if isinstance(node, list):
        return [_brief(item, definitions) for item in cast("list[object]", node)]
    if not isinstance(node, dict):
        return node
    found = cast("dict[str, Any]", node)
    if names:
        return {key: _brief(value, definitions) for key, value in found.items()}
    if "$ref" in found:
        return _brief(definitions[str(found["$ref"]).removeprefix("#/$defs/")], definitions)
    options = [option for option in found.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        found = {**options[0], **{key: value for key, value in found.items() if key != "anyOf"}}
    dropped = ("title", "description") if found.get("type") == "object" else ("title",)
    return {
        key: _brief(value, definitions, names=key == "properties")
        for key, value in found.items()
        if key not in dropped and not (key == "default" and value is None)
    }


def manifest(version: str) -> str:
    """Return `tool_manifest.json`: every tool as a client lists it, with its effect and group."""
    document = {
        "name": "salesos-inbox-mcp",
        "version": version,
        "tools": [_entry(tool) for tool in CATALOGUE],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _entry(tool: InboxTool) -> dict[str, object]:
    served = register(tool)
    annotations = served.annotations
    return {
        "name": served.name,
        "title": served.title,
        "description": served.description,
        "effect": tool.effect.value,
        "group": tool.group,
        "inputSchema": served.parameters,
        "outputSchema": served.output_schema,
        "annotations": annotations.model_dump(by_alias=True, exclude_none=True) if annotations else {},
    }


def _asks(tool: InboxTool) -> str:
    """Return when a tool asks a person, in the words of the README's table."""
    if tool.name == "bulk_update_threads":
        return f"if it deletes, or above {ASK_ABOVE_THREADS} threads"
    if tool.effect in (Effect.SEND, Effect.DESTROY):
        return "always"
    changes_threads = tool.effect is Effect.CHANGE and tool.group in ("sorting", "undoing")
    return f"above {ASK_ABOVE_THREADS} threads" if changes_threads else "no"


def table(tools: Iterable[InboxTool] = CATALOGUE) -> str:
    """Return the README's table of tools."""
    rows = ["| tool | group | effect | asks the user | what it does |", "|---|---|---|---|---|"]
    for tool in tools:
        rows.append(f"| `{tool.name}` | {tool.group} | {tool.effect} | {_asks(tool)} | {tool.description} |")
    return "\n".join(rows)


def with_table(readme: str) -> str:
    """Return `readme` with the table between its markers made anew."""
    before, _, rest = readme.partition(TABLE_START)
    _, _, after = rest.partition(TABLE_END)
    return f"{before}{TABLE_START}\n{table()}\n{TABLE_END}{after}"
