"""Which proxy the way to the service leads through, by the rules of our HTTP client. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from salesos_inbox.doctor.finding import Finding, failed, ok, warning

_INSTALL_SOCKS = ".venv/bin/pip install 'httpx[socks]'"
_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


@dataclass(frozen=True)
class Proxy:
    """A proxy: the setting that names it, and where it is. Its `url` may hold a password."""

    setting: str
    url: str
    scheme: str
    host: str
    port: int


def proxy_for(base_url: str, proxies: Mapping[str, str]) -> Proxy | None:
    """Return the proxy for `base_url`, None for a direct connection; raises `ValueError` for one that is none.

    `proxies` is what the system says, by scheme, as `urllib.request.getproxies` has it.
    """
    target = urlsplit(base_url)
    chosen = next((scheme for scheme in (target.scheme, "all") if proxies.get(scheme)), None)
    if chosen is None or is_exempt(base_url, proxies.get("no", "")):
        return None
    text = proxies[chosen]
    url = text if "://" in text else f"http://{text}"
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(chosen)
    return Proxy(f"{chosen.upper()}_PROXY", url, parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme])


def is_exempt(base_url: str, no_proxy: str) -> bool:
    """Return whether NO_PROXY leaves the address out: by a name, which stands for its subdomains too, or an address."""
    target = urlsplit(base_url)
    host, port = (target.hostname or "").lower(), target.port
    for entry in (entry.strip().lower() for entry in no_proxy.split(",")):
        if entry == "*":
            return True
        name, _, number = entry.rpartition(":") if entry.rpartition(":")[2].isdecimal() else (entry, "", "")
        if "::" in entry:
            name, number = entry, ""
        if not name or (number and int(number) != port):
            continue
        is_domain = name != "localhost" and not _is_address(name.strip("[]"))
        if host == name.strip("[]") or (is_domain and host.endswith(f".{name.lstrip('.')}")):
            return True
    return False


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether a host is this computer."""
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def check_proxy(base_url: str, proxies: Mapping[str, str], *, has_socks: bool) -> Iterator[Finding]:
    """Tell which way connections take."""
    host = urlsplit(base_url).hostname or ""
    try:
        proxy = proxy_for(base_url, proxies)
    except ValueError as error:
        name = f"{str(error).upper()}_PROXY" if str(error) in {"http", "https", "all"} else "the proxy's setting"
        yield failed(
            "proxy", f"{name} is not the address of a proxy", "Write it like http://proxy.example:8080, or remove it."
        )
        return
    if proxy is None:
        named = [f"{scheme.upper()}_PROXY" for scheme in ("http", "https", "all") if proxies.get(scheme)]
        exempt = bool(named) and is_exempt(base_url, proxies.get("no", ""))
        why = f"NO_PROXY exempts {host}" if exempt else "none is set for this address"
        yield ok("proxy", f"{why}, so the connection is direct")
    elif proxy.scheme.startswith("socks") and not has_socks:
        yield failed(
            "proxy",
            f"{proxy.setting} names a SOCKS proxy, which needs a package that is not installed",
            f"Run `{_INSTALL_SOCKS}`, or set {proxy.setting} to an HTTP proxy.",
        )
    elif is_loopback(host):
        yield warning(
            "proxy",
            f"{proxy.setting} leads through {proxy.host}:{proxy.port}, even to this computer",
            f"Add {host} to NO_PROXY.",
        )
    else:
        yield ok("proxy", f"{proxy.setting} leads through {proxy.host}:{proxy.port}")
