"""Which proxy is used, as our HTTP client has it; and which base addresses are worth a try."""

import os

import httpx
import pytest
from inline_snapshot import snapshot

from salesos_inbox.doctor.addresses import alternatives, host_of, same_origin
from salesos_inbox.doctor.proxies import is_loopback, proxy_for

URLS = (
    "https://api.salesos.org/v1",
    "http://127.0.0.1:8025/v1",
    "https://inbox.example:8443",
    "http://localhost:8025/v1",
    "http://mail.localhost:8025/v1",
)


@pytest.mark.parametrize(
    "no_proxy",
    ["", "*", "salesos.org", ".salesos.org", "api.salesos.org", "127.0.0.1", "localhost,127.0.0.1", "example",
     "inbox.example:8443", "inbox.example:80", "esos.org", " salesos.org , x", "API.SALESOS.ORG", "::1",
     "0.0.1", "10.0.0.0/8"],
)  # fmt: skip
@pytest.mark.parametrize("names", [("https", "http"), ("all",), ("https",), ()])
def test_the_proxy_is_the_one_that_our_http_client_takes(
    no_proxy: str, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    proxies = {name: f"http://{name}.proxy.example:3128" for name in names}
    environment = {f"{name}_proxy": value for name, value in {**proxies, "no": no_proxy}.items()}
    monkeypatch.setattr(os, "environ", {**plain, **environment})
    with httpx.Client(verify=False) as client:
        for url in URLS:
            chosen = client._transport_for_url(httpx.URL(url))  # pyright: ignore[reportPrivateUsage] -- it tells no other way
            direct = chosen is client._transport  # pyright: ignore[reportPrivateUsage]
            assert (proxy_for(url, {**proxies, "no": no_proxy}) is None) == direct, url


def test_where_a_proxy_is_and_which_setting_names_it() -> None:
    proxy = proxy_for("https://api.salesos.org/v1", {"all": "proxy.example:3128"})
    assert proxy is not None
    assert (proxy.setting, proxy.host, proxy.port, proxy.url) == snapshot(
        ("ALL_PROXY", "proxy.example", 3128, "http://proxy.example:3128")
    )


@pytest.mark.parametrize(
    "base_url",
    ["https://www.salesos.org/api", "https://api.salesos.org", "https://api.salesos.org/v1/v1/",
     "https://api.salesos.org/v1/email-inbox/threads", "http://sandbox.test/api/v2/", "https://salesos.org.evil.example"],
)  # fmt: skip
def test_other_base_addresses_that_may_be_meant(base_url: str, request: pytest.FixtureRequest) -> None:
    assert (
        alternatives(base_url)
        == {
            "https://www.salesos.org/api": snapshot(
                ["https://www.salesos.org/api/v1", "https://www.salesos.org/v1", "https://api.salesos.org/v1"]
            ),
            "https://api.salesos.org": snapshot(["https://api.salesos.org/v1"]),
            "https://api.salesos.org/v1/v1/": snapshot(
                ["https://api.salesos.org/v1/v1", "https://api.salesos.org/v1", "https://api.salesos.org"]
            ),
            "https://api.salesos.org/v1/email-inbox/threads": snapshot(
                ["https://api.salesos.org/v1", "https://api.salesos.org"]
            ),
            "http://sandbox.test/api/v2/": snapshot(
                [
                    "http://sandbox.test/api/v2",
                    "http://sandbox.test/api/v2/v1",
                    "http://sandbox.test/api/v1",
                    "http://sandbox.test/v1",
                    "https://sandbox.test/api/v2/v1",
                ]
            ),
            "https://salesos.org.evil.example": snapshot(["https://salesos.org.evil.example/v1"]),
        }[base_url]
    )


def test_a_token_belongs_to_one_scheme_host_and_port() -> None:
    assert same_origin("https://a.example/v1", "https://a.example/v2")
    assert not same_origin("https://a.example/v1", "http://a.example/v1")
    assert not same_origin("https://a.example/v1", "https://a.example:8443/v1")


def test_of_a_redirect_the_host_alone_is_told() -> None:
    base = "https://api.salesos.org/v1"
    assert host_of("https://sso.example/login?token=planted#planted", base) == "sso.example"
    assert host_of("/login", base) == "api.salesos.org"
    assert host_of("https://planted words/", base) == "another place"
    assert host_of("http://[planted", base) == "another place"


def test_this_computer_is_known_by_its_names() -> None:
    hosts = ("localhost", "127.0.0.1", "127.8.8.8", "::1", "10.0.0.1", "example")
    assert [host for host in hosts if is_loopback(host)] == ["localhost", "127.0.0.1", "127.8.8.8", "::1"]
