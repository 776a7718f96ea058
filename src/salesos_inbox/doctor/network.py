"""The way to the service, step by step: its name, a connection, TLS, the base address, the clock."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Final, cast
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import httpx

from salesos_inbox.client.body import ACCEPT_ENCODING, AnswerTooLarge, AnswerUnreadable, read_content, read_json
from salesos_inbox.client.failures import is_page
from salesos_inbox.client.headers import read_moment
from salesos_inbox.contract.routes import LIST_FOLDERS
from salesos_inbox.doctor.addresses import alternatives, host_of, same_origin
from salesos_inbox.doctor.case import Case, Reply, Trouble
from salesos_inbox.doctor.finding import Finding, failed, ok, warning
from salesos_inbox.doctor.proxies import check_proxy, is_loopback, proxy_for

SKEW_TO_LOOK_AT: Final = 30.0
SKEW_TO_MEND: Final = 300.0
"""Seconds between the computer's clock and the service's."""
RENEWAL_DAYS: Final = 7

_CHECK_NETWORK = "Check the connection to the network, and SALESOS_BASE_URL."
_SET_ADDRESS = "Set SALESOS_BASE_URL to what stands before /email-inbox, such as https://api.salesos.org/v1."


# Steps


async def check_way(case: Case) -> list[Finding]:
    """Tell which proxy there is."""
    base_url, proxies = case.settings.base_url, case.surroundings.proxies
    findings = list(check_proxy(base_url, proxies, has_socks=_has_socks()))
    with suppress(ValueError):
        case.proxy = proxy_for(base_url, proxies)
    return findings


def _has_socks() -> bool:
    from importlib.util import find_spec

    return find_spec("socksio") is not None


async def check_name(case: Case) -> list[Finding]:
    """Resolve the name of the service, or of the proxy that does so for us."""
    host, port = _target(case)
    try:
        with anyio.fail_after(case.surroundings.seconds):
            # In a thread that can be left behind: a resolver may be silent for longer than anybody waits.
            resolve = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
            found = await anyio.to_thread.run_sync(resolve, abandon_on_cancel=True)
    except TimeoutError:
        return [failed("name resolution", f"nobody answers where {host} is", _remedy(case))]
    except (OSError, UnicodeError):
        return [failed("name resolution", f"{_what(case)} {host} is not known to this network", _remedy(case))]
    count = len({address[0] for *_, address in found})
    return [ok("name resolution", f"{host} has {count} address{'es' * (count > 1)}")]


async def check_connection(case: Case) -> list[Finding]:
    """Connect to the service, or to the proxy."""
    host, port = _target(case)
    try:
        with anyio.fail_after(case.surroundings.seconds):
            stream = await anyio.connect_tcp(host, port)
            await stream.aclose()
    except TimeoutError:
        return [failed("connection", f"{_what(case)} {host}:{port} does not answer", _remedy(case))]
    except OSError:
        return [failed("connection", f"{_what(case)} {host}:{port} takes no connection", _remedy(case))]
    return [ok("connection", f"to {host}:{port}")]


def _target(case: Case) -> tuple[str, int]:
    if case.proxy:
        return case.proxy.host, case.proxy.port
    url = urlsplit(case.settings.base_url)
    return url.hostname or "", url.port or (443 if url.scheme == "https" else 80)


def _remedy(case: Case) -> str:
    return f"Check the connection to the network, and {case.proxy.setting}." if case.proxy else _CHECK_NETWORK


def _what(case: Case) -> str:
    return "the proxy" if case.proxy else "the service"


async def check_tls(case: Case) -> list[Finding]:
    """Open the HTTP client, and look whether what goes over the wire is encrypted, and for whom."""
    url = urlsplit(case.settings.base_url)
    try:
        context = _context(case)
    except (OSError, ssl.SSLError):
        return [
            failed(
                "encryption",
                "SSL_CERT_FILE names no file with certificates",
                "Correct the path in SSL_CERT_FILE, or remove it.",
            )
        ]
    case.http = httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(verify=context, proxy=case.proxy.url if case.proxy else None),
        timeout=case.surroundings.seconds,
        trust_env=False,
        headers={"Accept-Encoding": ACCEPT_ENCODING},
    )
    if url.scheme == "http":
        if is_loopback(url.hostname or ""):
            return [ok("encryption", "none, and none is needed on this computer")]
        return [
            failed(
                "encryption",
                f"none: the token and all mail would travel to {url.hostname} in the clear",
                "Write https:// in SALESOS_BASE_URL.",
            )
        ]
    try:
        # The client's own deadline comes first: cut from outside, it leaves a handshake's socket open.
        with anyio.fail_after(2 * case.surroundings.seconds):
            async with case.http.stream("GET", f"{url.scheme}://{url.netloc}/") as response:
                return list(_certificate(response, case))
    except (httpx.HTTPError, OSError) as error:
        trouble = explained(error, case)
        return [failed("encryption", trouble.found, trouble.remedy)]


def _context(case: Case) -> ssl.SSLContext:
    """Return what certificates are checked by, chosen as our HTTP client does."""
    import certifi

    file, folder = case.surroundings.variable("SSL_CERT_FILE"), case.surroundings.variable("SSL_CERT_DIR")
    if file:
        return ssl.create_default_context(cafile=file)
    return ssl.create_default_context(capath=folder) if folder else ssl.create_default_context(cafile=certifi.where())


def _certificate(response: httpx.Response, case: Case) -> Iterator[Finding]:
    connection = response.extensions["network_stream"].get_extra_info("ssl_object")
    certificate = connection.getpeercert() if connection else None
    if not connection or not certificate:
        yield ok("encryption", "TLS, with a certificate that is valid")
        return
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    days = (ends - case.surroundings.clock()).days
    if days < RENEWAL_DAYS:
        yield warning(
            "encryption",
            f"{connection.version()}, with a certificate that ends {ends:%Y-%m-%d}",
            "Tell those who run the service that its certificate must be renewed.",
        )
        return
    yield ok("encryption", f"{connection.version()}, with a certificate that is valid until {ends:%Y-%m-%d}")


async def check_base_address(case: Case) -> list[Finding]:
    """Ask for the folders, and judge by the answer whether this is the API; if not, find where it is."""
    url = urlsplit(case.settings.base_url)
    shown = f"{url.scheme}://{url.netloc}{url.path}"
    reply = await fetch(case, case.settings.base_url + case.settings.overrides.path(LIST_FOLDERS), case.headers)
    if isinstance(reply, Trouble):
        return [failed("base address", f"{shown}: {reply.found}", reply.remedy)]
    case.first = reply
    if is_api(reply):
        asks = ", and asks for a token" if reply.status == 401 and not case.headers else ""
        return [ok("base address", f"{shown} answers as the API does{asks}")]
    found = _strange(reply, case)
    if reply.status >= 500:
        return [failed("base address", f"{shown} {found}", "Try again in a few minutes.")]
    works = await _working_alternative(case)
    return [failed("base address", f"{shown} {found}", f"Set SALESOS_BASE_URL to {works}." if works else _SET_ADDRESS)]


def is_api(reply: Reply) -> bool:
    """Return whether an answer is one that the API gives: JSON, and no word that there is nothing."""
    if not reply.is_json:
        return False
    return _holds_a_list(reply.payload) if reply.status == 200 else reply.status in {400, 401, 403, 429}


def _holds_a_list(payload: object) -> bool:
    if not isinstance(payload, dict):
        return isinstance(payload, list)
    return any(_holds_a_list(value) for value in cast("dict[str, object]", payload).values())


def _strange(reply: Reply, case: Case) -> str:
    if 300 <= reply.status < 400:
        host = host_of(reply.headers.get("location", ""), case.settings.base_url)
        return f"sends requests on to {host} (status {reply.status})"
    if reply.status >= 500:
        return f"fails (status {reply.status})"
    if reply.is_page:
        return f"answers with a web page, not with data (status {reply.status})"
    if reply.status == 404:
        return "knows no inbox (status 404)"
    return f"does not answer as the API does (status {reply.status})"


async def _working_alternative(case: Case) -> str | None:
    """Return the first address of those that may have been meant which answers; the token stays with its origin."""
    base_url = case.settings.base_url
    candidates = alternatives(base_url)
    works: dict[str, bool] = {}

    async def attempt(candidate: str) -> None:
        headers = case.headers if same_origin(candidate, base_url) else {}
        reply = await fetch(case, candidate + case.settings.overrides.path(LIST_FOLDERS), headers)
        works[candidate] = isinstance(reply, Reply) and is_api(reply)

    async with anyio.create_task_group() as tasks:
        for candidate in candidates:
            tasks.start_soon(attempt, candidate)
    return next((candidate for candidate in candidates if works.get(candidate)), None)


def check_clock(case: Case) -> list[Finding]:
    """Hold the computer's clock against the service's."""
    if case.first is None:
        return [ok("clock", "nothing to compare it with")]
    theirs = read_moment(case.first.headers.get("date"))
    if theirs is None:
        return [ok("clock", "the service does not tell its time, so it cannot be compared")]
    skew = int(case.first.at.timestamp()) - theirs
    if abs(skew) <= SKEW_TO_LOOK_AT:
        return [ok("clock", "agrees with the service's")]
    found = f"this computer's is {_span(abs(skew))} {'ahead of' if skew > 0 else 'behind'} the service's"
    remedy = "Let the system set its clock from the network, or tokens and scheduled times will be misread."
    return [(failed if abs(skew) > SKEW_TO_MEND else warning)("clock", found, remedy)]


def _span(seconds: float) -> str:
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}s"
    return f"{seconds:.0f} seconds"


# Requests


async def fetch(case: Case, url: str, headers: dict[str, str], query: dict[str, str] | None = None) -> Reply | Trouble:
    """Return the answer to one GET, or why there is none."""
    assert case.http is not None
    try:
        with anyio.fail_after(case.surroundings.seconds):
            async with case.http.stream("GET", url, headers=headers, params=query) as response:
                content = await read_content(response)
    except (AnswerTooLarge, AnswerUnreadable):
        return Trouble("the answer is broken, or larger than any answer of the API", _SET_ADDRESS)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
        return explained(error, case)
    is_json, payload = True, None
    try:
        payload = read_json(content)
    except (ValueError, AnswerTooLarge):
        is_json = False
    shows_page = not is_json and is_page(content)
    return Reply(response.status_code, response.headers, payload, is_json, shows_page, case.surroundings.clock())


_ISSUER, _ENDED, _TOO_EARLY, _OTHER_NAME = (
    frozenset({2, 18, 19, 20, 21}),
    frozenset({10}),
    frozenset({9}),
    frozenset({62, 64}),
)
_CERTIFICATES: tuple[tuple[frozenset[int], str, str], ...] = (
    (
        _ISSUER,
        "its certificate comes from nobody that this computer trusts, as behind a company's proxy",
        "Ask your IT for the company's root certificate, and set SSL_CERT_FILE to its file.",
    ),
    (
        _ENDED,
        "its certificate has ended",
        "Check this computer's date, and tell those who run the service or the proxy.",
    ),
    (_TOO_EARLY, "its certificate is not valid yet", "Check this computer's date."),
    (_OTHER_NAME, "its certificate is for another name", "Check the host in SALESOS_BASE_URL."),
)
"""The verifier's codes (OpenSSL's X509_V_ERR_...), and what they mean."""


def explained(error: BaseException, case: Case) -> Trouble:
    """Return what a failed request means."""
    causes = list(_causes(error))
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return Trouble(f"there is no answer within {case.surroundings.seconds:g} seconds", _CHECK_NETWORK)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _certificate_trouble(cause.verify_code)
        if isinstance(cause, ssl.SSLError):
            return Trouble(
                "it speaks no TLS that can be understood",
                "Write http:// in SALESOS_BASE_URL for a sandbox on this computer, or check its port.",
            )
    if any(isinstance(cause, httpx.ProxyError) for cause in causes):
        digits = next((part for cause in causes for part in str(cause).split() if part in _PROXY_STATUSES), "")
        wants = digits == "407"
        setting = case.proxy.setting if case.proxy else "HTTPS_PROXY"
        return Trouble(
            "the proxy wants to know who you are (status 407)"
            if wants
            else f"the proxy refuses to connect{f' (status {digits})' if digits else ''}",
            f"Put your name and password for it into {setting}, as http://name:password@host:port."
            if wants
            else "Ask your IT to let the service's host through, or add it to NO_PROXY.",
        )
    if any(isinstance(cause, httpx.ConnectError | ConnectionRefusedError) for cause in causes):
        return Trouble(f"{_what(case)} takes no connection", _CHECK_NETWORK)
    return Trouble("the connection breaks off, or what answers does not speak HTTP", _CHECK_NETWORK)


_PROXY_STATUSES = frozenset(map(str, range(400, 600)))


def _certificate_trouble(code: int) -> Trouble:
    for codes, found, remedy in _CERTIFICATES:
        if code in codes:
            return Trouble(found, remedy)
    return Trouble(f"its certificate cannot be trusted (code {code})", _CERTIFICATES[0][2])


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
