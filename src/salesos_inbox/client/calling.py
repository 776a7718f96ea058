"""What a request knows of the tool call that it belongs to. Set where a call comes in, read where requests go out."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar

calling: ContextVar[object | None] = ContextVar("calling", default=None)
"""The call that a request belongs to: requests of several calls take turns."""

on_wait: ContextVar[Callable[[float], Awaitable[None]] | None] = ContextVar("on_wait", default=None)
"""Told, in seconds, where a request has to wait for its turn longer than a person would notice."""

on_pause: ContextVar[Callable[[str], Awaitable[None]] | None] = ContextVar("on_pause", default=None)
"""Told in a sentence, every now and then, what else a call waits for."""

noticed: ContextVar[set[str] | None] = ContextVar("noticed", default=None)
"""What the answers to a call had that the contract does not describe, in sentences without their content."""
