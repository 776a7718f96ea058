"""Where the links of a mail lead, as a reader should see it and no client makes clickable."""

import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from typing import NamedTuple
from urllib.parse import unquote, urljoin

from salesos_inbox.mail.nesting import names

_REST_SHOWN = 40
_HOST_SHOWN = 255
_LONGEST_BASE = 300
_WORDS_COMPARED = 1000

_WEB = re.compile(r"(https?|ftp):[/\\]*([^/\\?#]*)", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*(?=:)", re.IGNORECASE)
_UNSEEN_IN_URLS = re.compile("[\x00-\x20\x7f-\x9f\u2028\u2029]+")
_UNSEEN_IN_HOSTS = re.compile("[\xad\u034f\u180b-\u180f\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff]+")
_DOTS = re.compile("[。．｡]")
_HOST = re.compile(r"[^\x00-\x20#%/:<>?@\[\\\]^|\x7f]+")
_PORT = re.compile(r":0*(\d{0,5})\Z", re.ASCII)
_IPV4_PART = re.compile(r"0x[\da-f]*|\d+", re.ASCII)
_INERT_SCHEMES = {"http": "hxxp", "https": "hxxps", "ftp": "fxp"}
_DEFAULT_PORTS = {"http": "80", "https": "443", "ftp": "21"}
_NAMED_IN_FULL = names("mailto tel sms")

_HOST_IN_TEXT = re.compile(
    r"(?<![@\w.-])((?:https?|ftp)://(?:[^\s/@]{1,64}@)?(?=\w)|(?=www\.))?"
    r"((?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}(?:[^\W\d_]{2,24}|xn--[a-z\d-]{1,40})|"
    r"\d{1,3}(?:\.\d{1,3}){3})(?![\w@-]|\.\w)",
    re.IGNORECASE,
)
_ENDINGS = names(
    "com net org info biz app dev edu gov mil int name pro shop store online site xyz club tech cloud top live link "
    "bank email icu vip work agency solutions example test"
)
_ENDINGS_OF_FILES = names("py md js sh rs pl ml cc ps ai zip mov")

_FETCHED = re.compile(r"(?:(?<=h)tt|(?<=f)t)(?=ps?\Z)", re.IGNORECASE)
_NAMES_A_SCHEME = re.compile(r"(?<=\w)(?<!hxxp)(?<!hxxps)(?<!fxp)(?<!fxps)\Z", re.IGNORECASE)
_WWW = re.compile(r"\.(?<=www\.)(?<![\w/@.\]-]www\.)(?=\w)", re.IGNORECASE)
_MARKDOWN = re.compile(r"\]\((?=\s{0,3}<?(?:[a-z][a-z\d+.-]{0,20}:|//))", re.IGNORECASE)
_LONGEST_SCHEME = 6
_MENTION = re.compile(r"\[(\d{1,6})[\]:]")


@dataclass(frozen=True)
class Link:
    """A link of a message.

    Its number in the text, where it leads as the message has it, the host there or "", and another host that the
    words of the link name, or "".
    """

    number: int
    url: str
    host: str
    named: str = ""


class Target(NamedTuple):
    """Where an address leads, in a form that nothing makes clickable: its host or "", its beginning, and the rest."""

    host: str
    start: str
    rest: str

    @property
    def shown(self) -> str:
        """The beginning with the whole host, and as much of the rest as a reader needs; of a long one, no query."""
        if len(self.rest) <= _REST_SHOWN:
            return self.start + self.rest
        path, query, _ = self.rest.partition("?")
        return self.start + (f"{path}?…" if query and len(path) <= _REST_SHOWN else self.rest[:_REST_SHOWN] + "…")


def inert(text: str) -> str:
    """Return `text` with its web addresses written so that no client makes them live (`hxxps://`, `www[.]`).

    So for all that chat clients and terminals make links of. Addresses of mail stay. Doing it twice changes nothing.
    """
    if "://" in text:
        *schemes, last = text.split("://")
        text = "".join(map(_without_scheme, schemes)) + last
    if "ww." in text.lower():
        text = _WWW.sub("[.]", text)
    return _MARKDOWN.sub("] (", text)


def _without_scheme(before: str) -> str:
    """What stands before "://" and that itself, so that they name no scheme."""
    rest, name = before[:-_LONGEST_SCHEME], before[-_LONGEST_SCHEME:]
    name = _FETCHED.sub(lambda letters: "x" * len(letters[0]), name)
    return rest + name + ("[:]//" if _NAMES_A_SCHEME.search(name) else "://")


def link_list(links: Iterable[Link]) -> str:
    """The lines that say where numbered links lead: the whole host, the beginning of the path, nothing to click on."""
    return "\n".join(f"[{link.number}] {target(link.url).shown}" for link in links)


def mentioned(text: str, links: Iterable[Link]) -> tuple[Link, ...]:
    """The links whose numbers stand in the text."""
    numbers = set(map(int, _MENTION.findall(text)))
    return tuple(link for link in links if link.number in numbers)


def address(href: str, base: str = "") -> str:
    """The address that a link leads to, in a page whose base address is `base`; "" for a place within the page."""
    url = _UNSEEN_IN_URLS.sub("", href)
    if not base or not url or _SCHEME.match(url):
        return "" if url.startswith("#") else _with_scheme(url)
    with suppress(ValueError):
        return urljoin(base, url.replace("\\", "/"))
    return url


def base_address(href: str) -> str:
    """The address that a page's <base> names, where it names one of the web; else ""."""
    url = _with_scheme(_UNSEEN_IN_URLS.sub("", href))
    return url if _WEB.match(url) and len(url) <= _LONGEST_BASE else ""


@lru_cache(1_000)
def target(url: str) -> Target:
    """Read an address as a browser does, and write it so that nothing makes it clickable.

    The host is the one that is called, in ASCII: without what stands before an "@", with letters that are not ASCII
    as Punycode (RFC 3492), and with numbers as the usual four of an IP address.
    """
    web = _WEB.match(url)
    if web is None:
        return _elsewhere(url)
    scheme = web[1].lower()
    named = web[2].rpartition("@")[2]
    port = _PORT.search(named)
    host = read_host(named[: port.start()] if port else named)
    rest = inert(url[web.end() :].replace("\\", "/").removesuffix("/"))
    if not host:
        return Target("", f"(broken {scheme} link) ", inert(web[2]) + rest)
    at_port = f":{port[1]}" if port and port[1] not in ("", _DEFAULT_PORTS[scheme]) else ""
    return Target(host, f"{_INERT_SCHEMES[scheme]}://{f'[{host}]' if ':' in host else host}{at_port}", rest)


def read_host(written: str) -> str:
    """The host that a browser calls, in ASCII and lower case (UTS #46, in short); "" where it calls none."""
    if written.startswith("["):
        with suppress(ValueError):
            return IPv6Address(written.strip("[]")).compressed
        return ""
    host = unquote(written) if "%" in written else written
    if not host.isascii():
        host = unicodedata.normalize("NFKC", _UNSEEN_IN_HOSTS.sub("", host).lower())
        host = ".".join(map(_in_ascii, _DOTS.sub(".", host).split(".")))
    host = host.lower()
    if len(host) > _HOST_SHOWN or not _HOST.fullmatch(host):
        return ""
    return _ipv4(host)


def other_host(words: str, host: str) -> str:
    """A host that the words of a link name and that the link does not lead to, or ""."""
    if "." not in words or not host:
        return ""
    for found in _HOST_IN_TEXT.finditer(_UNSEEN_IN_HOSTS.sub("", words[:_WORDS_COMPARED])):
        named = read_host(found[2])
        ending = named.rpartition(".")[2]
        certain = found[1] is not None or named.startswith("www.")
        plausible = (len(ending) == 2 and ending.isalpha() and ending not in _ENDINGS_OF_FILES) or ending in _ENDINGS
        if named and (certain or plausible) and not (_within(host, named) or _within(named, host)):
            return named
    return ""


def _elsewhere(url: str) -> Target:
    """Read an address that is none of the web, named by its scheme."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        return Target("", "(relative link) ", inert(url))
    name = scheme[0].lower()
    rest = url[scheme.end() + 1 :]
    if name in _NAMED_IN_FULL:
        return Target("", f"{name} ", inert(_UNSEEN_IN_URLS.sub(" ", unquote(rest.partition("?")[0]))))
    return Target("", f"({name} link) ", inert(rest))


def _with_scheme(url: str) -> str:
    return "https:" + url if url.startswith(("//", "\\\\", "/\\", "\\/")) else url


def _in_ascii(label: str) -> str:
    return label if label.isascii() else "xn--" + label.encode("punycode").decode()


def _ipv4(host: str) -> str:
    """The host, or the usual spelling of an IP address where its last part is a number, as browsers read it."""
    parts = host.removesuffix(".").split(".")
    if not _IPV4_PART.fullmatch(parts[-1]):
        return host
    if len(parts) > 4 or not all(map(_IPV4_PART.fullmatch, parts)):
        return ""
    try:
        *first, last = map(_number, parts)
    except ValueError:
        return ""
    if any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        return ""
    return ".".join(map(str, (*first, *last.to_bytes(4 - len(first), "big"))))


def _number(part: str) -> int:
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8) if part.startswith("0") and len(part) > 1 else int(part)


def _within(host: str, other: str) -> bool:
    other = other.removeprefix("www.")
    return host == other or host.endswith("." + other)
