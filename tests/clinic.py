"""A computer to be examined, and a service that it reaches over real sockets, both as broken as a test wants."""

import json
import os
import socket
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.abc
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from salesos_inbox.doctor.examination import examine
from salesos_inbox.doctor.finding import Finding, Status
from salesos_inbox.doctor.report import as_text
from salesos_inbox.doctor.surroundings import Surroundings
from salesos_inbox.sandbox.app import DOCUMENTED_LIMITS, Limits, create_app
from salesos_inbox.sandbox.seed import load_demo
from salesos_inbox.sandbox.store import Store

NOW = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)

App = Callable[[Any, Any, Any], Any]


@dataclass
class Computer:
    """A computer on which all is well, until a test changes its environment or its files."""

    home: Path
    environment: dict[str, str]
    platform: str = "linux"
    proxies: dict[str, str] = field(default_factory=dict[str, str])
    command: tuple[str, ...] = ()
    seconds: float = 5.0
    now: datetime = NOW

    @property
    def state_dir(self) -> Path:
        """Where the server keeps its state."""
        return self.home / "state"

    @property
    def surroundings(self) -> Surroundings:
        """What doctor sees of it."""
        return Surroundings(
            self.environment,
            "0.1.0",
            home=self.home,
            folder=self.home / "project",
            state_dir=self.state_dir,
            platform=self.platform,
            proxies=self.proxies,
            root=self.home / "root",
            clock=lambda: self.now,
            command=self.command,
            program=self.home / "bin" / "salesos-inbox-mcp",
            seconds=self.seconds,
        )

    def write(self, place: str, content: object) -> Path:
        """Write a file below the home directory: a text, or what becomes JSON."""
        path = self.home / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2), encoding="utf-8")
        return path

    async def examine(self, **environment: str) -> list[Finding]:
        """Examine it with more variables in its environment."""
        self.environment |= environment
        return await examine(self.surroundings)


def new_computer(home: Path) -> Computer:
    """Return a computer on which all is well but that it knows no service."""
    (home / "project").mkdir(parents=True)
    (home / "root" / "etc").mkdir(parents=True)
    (home / "root" / "etc" / "localtime").symlink_to("/usr/share/zoneinfo/Europe/Berlin")
    environment = {"PATH": os.environ["PATH"], "DISPLAY": ":0", "SALESOS_TIMEZONE": "Europe/Berlin"}
    return Computer(home, environment)


def told(findings: Iterable[Finding], port: int | None = None, *, all_of_it: bool = False) -> list[str]:
    """Return the lines that a person reads, of what is not well alone unless `all_of_it`; a port is `PORT`."""
    shown = [finding for finding in findings if all_of_it or finding.status in {Status.FAILED, Status.WARNING}]
    text = as_text(shown)
    assert "planted" not in text  # what tests plant is what nobody may be shown
    return (text.replace(f":{port}", ":PORT") if port else text).splitlines()


def skipped(findings: Iterable[Finding]) -> dict[str, str]:
    """Return the checks that were not tried, and why."""
    return {finding.check: finding.found for finding in findings if finding.status is Status.SKIPPED}


TOKEN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJjMSIsImV4cCI6MTg5NTM3NjY2NSwianRpIjoiczEifQ."
    "c2lnbmF0dXJlLXRoYXQtbm9ib2R5LWNoZWNrcw"
)
"""A session's token that ends in 2030, of no service."""


# The service


Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Service:
    """The sandbox behind a socket: `answers` may answer in its place, `renamed` are other names for its fields."""

    store: Store
    user_id: str
    port: int
    scheme: str = "http"
    requests: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    credentials: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """The hosts that a request with a token or a key went to, and its path."""
    answers: Callable[[str], Answer | None] = lambda path: None
    renamed: dict[str, str] = field(default_factory=dict[str, str])
    without: frozenset[str] = frozenset()
    skew: timedelta = timedelta(0)
    no_headers: frozenset[bytes] = frozenset()

    @property
    def origin(self) -> str:
        """Where it is."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def account(self) -> dict[str, str]:
        """The settings of a user of it."""
        return {"SALESOS_BASE_URL": f"{self.origin}/v1", "SALESOS_TOKEN": self.store.issue_token(self.user_id)}

    def around(self, app: App) -> App:
        """Return `app` with what is wrong with it."""

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            path: str = scope["path"]
            self.requests.append((scope["method"], path))
            names = {name for name, _ in scope["headers"]}
            if names & {b"authorization", b"x-api-key"}:
                self.credentials.append((scope["scheme"], path))
            instead = self.answers(path)
            if instead is not None:
                status, headers, content = instead
                encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
                await send({"type": "http.response.start", "status": status, "headers": [*encoded, self._date()]})
                await send({"type": "http.response.body", "body": content})
                return
            parts: list[Any] = []

            async def keep(message: Any) -> None:
                parts.append(message)

            await app(scope, receive, keep)
            start, content = parts[0], b"".join(part.get("body", b"") for part in parts[1:])
            if (self.renamed or self.without) and content:
                content = json.dumps(self._respelt(json.loads(content))).encode()
            dropped = {b"content-length", b"date", *self.no_headers}
            headers = [(name, value) for name, value in start["headers"] if name.lower() not in dropped]
            await send({**start, "headers": [*headers, self._date()]})
            await send({"type": "http.response.body", "body": content})

        return serve

    def _date(self) -> tuple[bytes, bytes]:
        return b"date", format_datetime(NOW + self.skew, usegmt=True).encode()

    def _respelt(self, value: object) -> object:
        if isinstance(value, list):
            return [self._respelt(item) for item in cast("list[object]", value)]
        if isinstance(value, dict):
            items = cast("dict[str, object]", value).items()
            return {
                self.renamed.get(name, name): self._respelt(item) for name, item in items if name not in self.without
            }
        return value


@asynccontextmanager
async def serving(
    *, limits: Limits = DOCUMENTED_LIMITS, envelope: str = "array", certificate: "Certificate | None" = None
) -> AsyncGenerator[Service]:
    """Serve the demo mailbox on a port of this machine, over TLS where there is a certificate."""
    store = Store(clock=lambda: NOW)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        service = Service(store, load_demo(store), listener.getsockname()[1], "https" if certificate else "http")
        app = service.around(create_app(store, limits=limits, envelope=envelope))  # pyright: ignore[reportArgumentType] -- one of the sandbox's names
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            date_header=False,
            lifespan="off",
            ssl_certfile=certificate and str(certificate.chain),
            ssl_keyfile=certificate and str(certificate.key),
        )
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            try:
                yield service
            finally:
                server.should_exit = True
    store.close()


# Certificates


@dataclass(frozen=True)
class Certificate:
    """A server's certificate and key, and the file of the authority that signed it."""

    chain: Path
    key: Path
    authority: Path


def certified(folder: Path, name: str = "127.0.0.1", ends: timedelta = timedelta(days=90)) -> Certificate:
    """Return a certificate for `name` by an authority that nobody knows."""
    begins = datetime.now(UTC) - timedelta(days=365)
    until = datetime.now(UTC) + ends
    root_key, root = _signed("A company's own authority", None, None, begins, until)
    key, leaf = _signed("server", root_key, root, begins, until, name)
    folder.mkdir(parents=True, exist_ok=True)
    paths = Certificate(folder / "server.pem", folder / "server.key", folder / "authority.pem")
    paths.chain.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    paths.authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    paths.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


def _signed(
    common_name: str,
    issuer_key: ec.EllipticCurvePrivateKey | None,
    issuer: x509.Certificate | None,
    begins: datetime,
    ends: datetime,
    host: str = "",
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    from ipaddress import ip_address

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if host:
        names = x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
        builder = builder.add_extension(x509.SubjectAlternativeName([names]), critical=False)
    return key, builder.sign(issuer_key or key, hashes.SHA256())


# Servers that are none


@contextmanager
def silent() -> Generator[int]:
    """Listen on a port and yield it: connections are taken, and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@asynccontextmanager
async def saying(reply: bytes) -> AsyncGenerator[int]:
    """Listen on a port and yield it: every connection is told `reply` once it has said something, and is closed."""

    async def handle(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await stream.receive()
                await stream.send(reply)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield listener.extra(anyio.abc.SocketAttribute.local_port)
        tasks.cancel_scope.cancel()
