"""What an answer may be wrapped in: the names under which the product's services put a list, or a single thing."""

from typing import Final, cast

ITEMS: Final = ("items", "data", "results", "threads", "folders", "scheduled", "scheduledEmails", "emails")
"""Where the items of a list stand, in the order in which they are looked for."""
ABOUT_A_LIST: Final = ("total", "hasMore", "nextCursor")
"""What a list says of itself, besides its items."""


def unwrapped(payload: object) -> object:
    """Return the single thing that `payload` holds, whether or not it stands under `data`."""
    while isinstance(payload, dict):
        wrapper = cast("dict[str, object]", payload)
        if "id" in wrapper or not isinstance(wrapper.get("data"), dict):
            break
        payload = wrapper["data"]
    return cast("object", payload)
