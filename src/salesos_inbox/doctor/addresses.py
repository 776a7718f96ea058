"""The base address: what an answer says of it, and which others are worth a try. Pure."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

from salesos_inbox.settings import DEFAULT_BASE_URL

_INBOX = "/email-inbox"
_VERSION = "/v1"
MOST_ALTERNATIVES = 8


def alternatives(base_url: str) -> list[str]:
    """Return the addresses that may be meant by one that does not answer as the API does, the likeliest first."""
    found = dict.fromkeys(_alternatives(base_url))
    found.pop(base_url, None)
    return list(found)[:MOST_ALTERNATIVES]


def _alternatives(base_url: str) -> Iterator[str]:
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    path = re.sub(r"/{2,}", "/", parts.path.rstrip("/"))
    cut = path.partition(_INBOX)[0]
    single = re.sub(rf"({_VERSION})+$", _VERSION, cut)
    bare = single.removesuffix(_VERSION)
    tidy = re.sub(r"/(auth|docs|swagger|login|folders|threads)(/.*)?$", "", bare)
    other = re.sub(r"/v\d+$", "", bare)
    for candidate in (cut, single, f"{bare}{_VERSION}", f"{tidy}{_VERSION}", f"{other}{_VERSION}", _VERSION, bare):
        yield urlunsplit((parts.scheme, parts.netloc, candidate, "", "")).rstrip("/")
    if parts.scheme == "http":
        yield urlunsplit(("https", parts.netloc, f"{tidy}{_VERSION}", "", ""))
    if host == "salesos.org" or host.endswith(".salesos.org"):
        yield DEFAULT_BASE_URL


def same_origin(one: str, other: str) -> bool:
    """Return whether what may be sent to `one` may be sent to `other`: scheme, host and port are the same."""
    return urlsplit(one)[:2] == urlsplit(other)[:2]


def host_of(location: str, base_url: str) -> str:
    """Return the host that a redirect leads to, as far as it is a plain name."""
    try:
        host = urlsplit(location).hostname or urlsplit(base_url).hostname or ""
    except ValueError:
        host = ""
    return host if re.fullmatch(r"[a-z0-9.-]{1,253}", host) else "another place"
