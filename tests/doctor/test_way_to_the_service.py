"""Faults on the way to the service, over real sockets: names, ports, TLS, proxies, addresses, the clock."""

from datetime import timedelta
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from clinic import TOKEN, Computer, Service, certified, saying, serving, silent, skipped, told
from processes import free_port
from salesos_inbox.doctor.finding import Status

pytestmark = pytest.mark.anyio

PAGE = b"<!doctype html><title>Sign in</title><p>Welcome, planted-page-text"


def at(url: str) -> dict[str, str]:
    """Return the settings of an account at `url`."""
    return {"SALESOS_BASE_URL": url, "SALESOS_TOKEN": TOKEN}


# Names and ports


async def test_a_name_that_nobody_knows(computer: Computer) -> None:
    findings = await computer.examine(**at("https://api.salesos.invalid/v1"))
    assert told(findings) == snapshot(
        [
            "failed   name resolution  the service api.salesos.invalid is not known to this network",
            "                          → Check the connection to the network, and SALESOS_BASE_URL.",
            "",
            "1 thing to mend.",
        ]
    )
    assert "connection" in skipped(findings)


async def test_a_port_that_nothing_listens_on(computer: Computer) -> None:
    port = free_port()
    assert told(await computer.examine(**at(f"http://127.0.0.1:{port}/v1")), port) == snapshot(
        [
            "failed   connection  the service 127.0.0.1:PORT takes no connection",
            "                     → Check the connection to the network, and SALESOS_BASE_URL.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_something_that_speaks_no_http(computer: Computer) -> None:
    async with saying(b"220 mail.example ESMTP planted-banner\r\n") as port:
        assert told(await computer.examine(**at(f"http://127.0.0.1:{port}/v1")), port) == snapshot(
            [
                "failed   base address  http://127.0.0.1:PORT/v1: the connection breaks off, or what answers",
                "                       does not speak HTTP",
                "                       → Check the connection to the network, and SALESOS_BASE_URL.",
                "",
                "1 thing to mend.",
            ]
        )


async def test_a_service_that_takes_connections_and_says_nothing(computer: Computer) -> None:
    computer.seconds = 0.3
    with silent() as port:
        assert told(await computer.examine(**at(f"https://127.0.0.1:{port}/v1")), port) == snapshot(
            [
                "failed   encryption  there is no answer within 0.3 seconds",
                "                     → Check the connection to the network, and SALESOS_BASE_URL.",
                "",
                "1 thing to mend.",
            ]
        )


# TLS


async def test_a_certificate_of_an_authority_that_nobody_knows(computer: Computer, tmp_path: Path) -> None:
    async with serving(certificate=certified(tmp_path)) as service:
        assert told(await computer.examine(**service.account), service.port) == snapshot(
            [
                "failed   encryption  its certificate comes from nobody that this computer trusts, as behind a",
                "                     company's proxy",
                "                     → Ask your IT for the company's root certificate, and set SSL_CERT_FILE to",
                "                       its file.",
                "",
                "1 thing to mend.",
            ]
        )
        assert not service.credentials


async def test_a_companys_own_authority_is_trusted_once_it_is_named(computer: Computer, tmp_path: Path) -> None:
    certificate = certified(tmp_path)
    async with serving(certificate=certificate) as service:
        account = service.account
        findings = await computer.examine(**account, SSL_CERT_FILE=str(certificate.authority))
    assert told(findings) == snapshot(["", "All is well."])


async def test_a_certificate_that_has_ended(computer: Computer, tmp_path: Path) -> None:
    certificate = certified(tmp_path, ends=timedelta(days=-1))
    async with serving(certificate=certificate) as service:
        account = service.account
        findings = await computer.examine(**account, SSL_CERT_FILE=str(certificate.authority))
    assert told(findings, service.port) == snapshot(
        [
            "failed   encryption  its certificate has ended",
            "                     → Check this computer's date, and tell those who run the service or the",
            "                       proxy.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_a_certificate_for_another_name(computer: Computer, tmp_path: Path) -> None:
    certificate = certified(tmp_path, name="other.example")
    async with serving(certificate=certificate) as service:
        account = service.account
        findings = await computer.examine(**account, SSL_CERT_FILE=str(certificate.authority))
    assert told(findings, service.port) == snapshot(
        [
            "failed   encryption  its certificate is for another name",
            "                     → Check the host in SALESOS_BASE_URL.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_a_certificate_that_ends_soon(computer: Computer, tmp_path: Path) -> None:
    certificate = certified(tmp_path, ends=timedelta(days=30))
    from datetime import UTC, datetime

    computer.now = datetime.now(UTC) + timedelta(days=28)
    async with serving(certificate=certificate) as service:
        findings = await computer.examine(
            SALESOS_BASE_URL=f"{service.origin}/v1", SALESOS_TOKEN=TOKEN, SSL_CERT_FILE=str(certificate.authority)
        )
    [line] = [finding for finding in findings if finding.check == "encryption"]
    assert (line.status, line.remedy) == snapshot(
        (Status.WARNING, "Tell those who run the service that its certificate must be renewed.")
    )


async def test_ssl_cert_file_that_is_not_there(computer: Computer, service: Service) -> None:
    findings = await computer.examine(**service.account, SSL_CERT_FILE="/nowhere/company.pem")
    assert told(findings, service.port) == snapshot(
        [
            "failed   encryption  SSL_CERT_FILE names no file with certificates",
            "                     → Correct the path in SSL_CERT_FILE, or remove it.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_https_to_a_port_that_speaks_http(computer: Computer, service: Service) -> None:
    findings = await computer.examine(**at(f"https://127.0.0.1:{service.port}/v1"))
    assert told(findings, service.port) == snapshot(
        [
            "failed   encryption  it speaks no TLS that can be understood",
            "                     → Write http:// in SALESOS_BASE_URL for a sandbox on this computer, or",
            "                       check its port.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_no_token_leaves_this_computer_in_the_clear(computer: Computer) -> None:
    computer.proxies = {"http": f"http://127.0.0.1:{free_port()}"}
    async with saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]") as port:
        computer.proxies = {"http": f"http://127.0.0.1:{port}"}
        findings = await computer.examine(**at("http://api.salesos.example/v1"))
    assert told(findings, port) == snapshot(
        [
            "failed   encryption  none: the token and all mail would travel to api.salesos.example in the",
            "                     clear",
            "                     → Write https:// in SALESOS_BASE_URL.",
            "",
            "1 thing to mend.",
        ]
    )


# Proxies


@pytest.mark.parametrize(("status", "reason"), [(407, "Proxy Authentication Required"), (403, "Forbidden")])
async def test_a_proxy_that_refuses(computer: Computer, status: int, reason: str) -> None:
    answer = f"HTTP/1.1 {status} {reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
    async with saying(answer) as port:
        computer.proxies = {"https": f"http://kim:planted-password@127.0.0.1:{port}"}
        lines = told(await computer.examine(**at("https://api.salesos.example/v1")), port)
    assert (
        lines
        == {
            407: snapshot(
                [
                    "failed   encryption  the proxy wants to know who you are (status 407)",
                    "                     → Put your name and password for it into HTTPS_PROXY, as",
                    "                       http://name:password@host:port.",
                    "",
                    "1 thing to mend.",
                ]
            ),
            403: snapshot(
                [
                    "failed   encryption  the proxy refuses to connect (status 403)",
                    "                     → Ask your IT to let the service's host through, or add it to NO_PROXY.",
                    "",
                    "1 thing to mend.",
                ]
            ),
        }[status]
    )


async def test_a_proxy_that_is_not_there(computer: Computer) -> None:
    port = free_port()
    computer.proxies = {"https": f"http://kim:planted-password@127.0.0.1:{port}"}
    findings = await computer.examine(**at("https://api.salesos.example/v1"))
    assert told(findings, port) == snapshot(
        [
            "failed   connection  the proxy 127.0.0.1:PORT takes no connection",
            "                     → Check the connection to the network, and HTTPS_PROXY.",
            "",
            "1 thing to mend.",
        ]
    )
    [line] = [finding.found for finding in findings if finding.check == "proxy"]
    assert line.replace(f":{port}", ":PORT") == snapshot("HTTPS_PROXY leads through 127.0.0.1:PORT")


async def test_a_socks_proxy_that_would_need_another_package(computer: Computer) -> None:
    computer.proxies = {"all": "socks5://kim:planted-password@proxy.example:1080"}
    findings = await computer.examine(**at("https://api.salesos.example/v1"))
    assert told(findings) == snapshot(
        [
            "failed   proxy  ALL_PROXY names a SOCKS proxy, which needs a package that is not installed",
            "                → Run `.venv/bin/pip install 'httpx[socks]'`, or set ALL_PROXY to an HTTP proxy.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_a_proxy_setting_that_names_no_proxy(computer: Computer) -> None:
    computer.proxies = {"https": "telnet://kim:planted-password@proxy"}
    assert told(await computer.examine(**at("https://api.salesos.example/v1"))) == snapshot(
        [
            "failed   proxy  HTTPS_PROXY is not the address of a proxy",
            "                → Write it like http://proxy.example:8080, or remove it.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_a_proxy_before_a_sandbox_on_this_computer(computer: Computer, service: Service) -> None:
    port = free_port()
    computer.proxies = {"http": f"http://127.0.0.1:{port}"}
    lines = told(await computer.examine(**service.account), port)
    assert lines == snapshot(
        [
            "warning  proxy       HTTP_PROXY leads through 127.0.0.1:PORT, even to this computer",
            "                     → Add 127.0.0.1 to NO_PROXY.",
            "failed   connection  the proxy 127.0.0.1:PORT takes no connection",
            "                     → Check the connection to the network, and HTTP_PROXY.",
            "",
            "1 thing to mend, 1 thing to look at.",
        ]
    )


# The base address


@pytest.mark.parametrize("path", ["", "/v1/v1", "/v1/email-inbox", "/v1/email-inbox/threads", "/v2", "/api"])
async def test_of_a_wrong_base_address_the_right_one_is_named(computer: Computer, service: Service, path: str) -> None:
    account = {**service.account, "SALESOS_BASE_URL": f"{service.origin}{path}"}
    lines = told(await computer.examine(**account), service.port)
    assert lines == [
        f"failed   base address  http://127.0.0.1:PORT{path} knows no inbox (status 404)",
        "                       → Set SALESOS_BASE_URL to http://127.0.0.1:PORT/v1.",
        "",
        "1 thing to mend.",
    ]


async def test_a_web_site_is_no_api(computer: Computer, service: Service) -> None:
    service.answers = lambda path: (200, {"content-type": "text/html"}, PAGE)
    assert told(await computer.examine(**service.account), service.port) == snapshot(
        [
            "failed   base address  http://127.0.0.1:PORT/v1 answers with a web page, not with data (status",
            "                       200)",
            "                       → Set SALESOS_BASE_URL to what stands before /email-inbox, such as",
            "                         https://api.salesos.org/v1.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_a_sign_in_page_instead_of_an_answer(computer: Computer, service: Service) -> None:
    service.answers = lambda path: (401, {"content-type": "text/html"}, PAGE)
    assert told(await computer.examine(**service.account), service.port) == snapshot(
        [
            "failed   base address  http://127.0.0.1:PORT/v1 answers with a web page, not with data (status",
            "                       401)",
            "                       → Set SALESOS_BASE_URL to what stands before /email-inbox, such as",
            "                         https://api.salesos.org/v1.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_a_redirect_is_not_followed_and_the_token_stays(computer: Computer, service: Service) -> None:
    location = {"location": "https://sign-in.example/planted-path?token=planted"}
    service.answers = lambda path: (302, location, b"")
    assert told(await computer.examine(**service.account), service.port) == snapshot(
        [
            "failed   base address  http://127.0.0.1:PORT/v1 sends requests on to sign-in.example (status",
            "                       302)",
            "                       → Set SALESOS_BASE_URL to what stands before /email-inbox, such as",
            "                         https://api.salesos.org/v1.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_a_service_that_fails(computer: Computer, service: Service) -> None:
    service.answers = lambda path: (503, {}, b'{"message": "planted-message"}')
    assert told(await computer.examine(**service.account), service.port) == snapshot(
        [
            "failed   base address  http://127.0.0.1:PORT/v1 fails (status 503)",
            "                       → Try again in a few minutes.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_an_endless_answer(computer: Computer, service: Service) -> None:
    service.answers = lambda path: (200, {"content-type": "application/json"}, b"[" + b" " * (6 * 2**20) + b"]")
    assert told(await computer.examine(**service.account), service.port) == snapshot(
        [
            "failed   base address  http://127.0.0.1:PORT/v1: the answer is broken, or larger than any",
            "                       answer of the API",
            "                       → Set SALESOS_BASE_URL to what stands before /email-inbox, such as",
            "                         https://api.salesos.org/v1.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_an_address_that_cannot_be_one(computer: Computer) -> None:
    findings = await computer.examine(SALESOS_BASE_URL="api.salesos.org/v1", SALESOS_TOKEN=TOKEN)
    assert told(findings) == snapshot(
        [
            "failed   settings  SALESOS_BASE_URL cannot be used",
            "                   → SALESOS_BASE_URL must begin with https:// (or http:// for a sandbox).",
            "",
            "1 thing to mend.",
        ]
    )
    assert skipped(findings)["proxy"] == "as SALESOS_BASE_URL is not ok"


async def test_without_a_token_the_way_is_tried_all_the_same(computer: Computer, service: Service) -> None:
    findings = await computer.examine(SALESOS_BASE_URL=f"{service.origin}/v1")
    assert told(findings, service.port) == snapshot(
        [
            "failed   token  there is none",
            "                → Run `salesos-inbox-mcp auth login`, or put a token into SALESOS_TOKEN or a key",
            "                  into SALESOS_API_KEY.",
            "",
            "1 thing to mend.",
        ]
    )
    [line] = [finding.found for finding in findings if finding.check == "base address"]
    assert line.replace(f":{service.port}", ":PORT") == snapshot(
        "http://127.0.0.1:PORT/v1 answers as the API does, and asks for a token"
    )


# The clock


@pytest.mark.parametrize(("seconds", "status"), [(20, "ok"), (-45, "warning"), (90, "warning"), (7200, "failed")])
async def test_the_computers_clock_is_held_against_the_services(
    computer: Computer, service: Service, seconds: int, status: str
) -> None:
    service.skew = timedelta(seconds=seconds)
    [line] = [finding for finding in await computer.examine(**service.account) if finding.check == "clock"]
    assert (line.status, line.found) == (
        status,
        {
            20: snapshot("agrees with the service's"),
            -45: snapshot("this computer's is 45 seconds ahead of the service's"),
            90: snapshot("this computer's is 90 seconds behind the service's"),
            7200: snapshot("this computer's is 2 hours behind the service's"),
        }[seconds],
    )
