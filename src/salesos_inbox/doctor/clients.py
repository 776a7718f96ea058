"""The clients' configuration files on this machine: can they be read, and does an entry run this server?"""

import json
import os
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from salesos_inbox.doctor.configured import SECRET, is_not_filled_in, misspelt, usable_settings
from salesos_inbox.doctor.finding import Finding, failed, ok, warning
from salesos_inbox.doctor.surroundings import Surroundings
from salesos_inbox.settings import Settings

_Object = dict[str, Any]
_COMMANDS = ("serve", "sandbox", "demo", "log", "manifest", "call", "doctor", "auth")
_PROGRAM = re.compile(r"salesos[-_]inbox")
_SECRET_ARGUMENT = re.compile(r"SALESOS_(TOKEN|API_KEY)=(?!\$|%|your-)\S|\beyJ[\w-]{10,}\.")
_BROWSER = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
_MATTERS = (
    *("SALESOS_BASE_URL", "SALESOS_CONTRACT", "SALESOS_TIMEZONE", "SALESOS_TOKEN_FILE", "SALESOS_STATE_DIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"),
)
"""Variables without which a server reaches another service, reads otherwise, or reaches nothing."""
_GIVEN = re.compile(r"\$\{[^}]+\}")
"""What clients fill in when they start a server."""


@dataclass(frozen=True)
class Client:
    """A client: where its configuration lies, by platform, and what its servers stand under.

    A place begins with `~` (the home directory), `%` (the system's directory for applications) or `.`
    (where doctor is run). `expands` says that `${...}` is filled in; `own_environment` that its servers
    get only a few of its variables.
    """

    name: str
    places: Mapping[str, Sequence[str]]
    keys: tuple[str, ...]
    parse: Callable[[str], _Object]
    expands: bool = True
    own_environment: bool = True
    patience: float | None = None
    """How many seconds a call may take unless its entry says otherwise, where that is known to be short."""


class _Twice(ValueError):
    """Two entries have the same name."""


def _json(text: str) -> _Object:
    return json.loads(text, object_pairs_hook=_each_once)


def _each_once(pairs: list[tuple[str, Any]]) -> _Object:
    names = [name for name, _ in pairs]
    repeated = {name for name in names if names.count(name) > 1}
    if any(isinstance(value, dict) and {"command", "url"} & value.keys() for name, value in pairs if name in repeated):
        raise _Twice(min(repeated))
    return dict(pairs)


_STRING_OR_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_STRING_OR_COMMA = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])', re.DOTALL)


def _json_with_comments(text: str) -> _Object:
    """Read JSON in which comments and commas at the end are allowed; lines stay where they are."""

    def blank(found: re.Match[str]) -> str:
        return found[0] if found[0].startswith('"') else re.sub(r"[^\n]", " ", found[0])

    return _json(_STRING_OR_COMMA.sub(blank, _STRING_OR_COMMENT.sub(blank, text)))


_EVERYWHERE = ("linux", "darwin", "win32")


def _at(*places: str, **by_platform: str) -> dict[str, Sequence[str]]:
    return {
        platform: (*((by_platform[platform],) if platform in by_platform else ()), *places) for platform in _EVERYWHERE
    }


_MAC = "~/Library/Application Support"
CLIENTS = (
    Client(
        "Claude Desktop",
        _at(
            linux="~/.config/Claude/claude_desktop_config.json",
            darwin=f"{_MAC}/Claude/claude_desktop_config.json",
            win32="%/Claude/claude_desktop_config.json",
        ),
        ("mcpServers",),
        _json,
        expands=False,
    ),
    Client("Claude Code", _at("~/.claude.json", "./.mcp.json"), ("mcpServers",), _json, own_environment=False),
    Client("Cursor", _at("~/.cursor/mcp.json", "./.cursor/mcp.json"), ("mcpServers",), _json),
    Client(
        "VS Code",
        _at(
            "./.vscode/mcp.json",
            linux="~/.config/Code/User/mcp.json",
            darwin=f"{_MAC}/Code/User/mcp.json",
            win32="%/Code/User/mcp.json",
        ),
        ("servers",),
        _json_with_comments,
        own_environment=False,
    ),
    Client(
        "Codex",
        _at("~/.codex/config.toml", "./.codex/config.toml"),
        ("mcp_servers",),
        tomllib.loads,
        expands=False,
        patience=60,
    ),
    Client("Windsurf", _at("~/.codeium/windsurf/mcp_config.json"), ("mcpServers",), _json),
    Client(
        "Zed",
        _at(linux="~/.config/zed/settings.json", darwin="~/.config/zed/settings.json", win32="%/Zed/settings.json"),
        ("context_servers",),
        _json_with_comments,
        expands=False,
        own_environment=False,
    ),
    Client("Gemini CLI", _at("~/.gemini/settings.json", "./.gemini/settings.json"), ("mcpServers",), _json),
)


def check_clients(surroundings: Surroundings, settings: Settings) -> Iterator[Finding]:
    """Tell of every configuration file that there is."""
    found = False
    for client in CLIENTS:
        for path in dict.fromkeys(_paths(client, surroundings)):
            if path.is_file():
                found = True
                yield from _check_file(client, path, surroundings, settings)
    if not found:
        yield ok("clients", "no configuration of a known client on this machine; examples/ has one for each")


def is_set_by_every_client(variable: str, surroundings: Surroundings) -> bool:
    """Return whether there are entries for this server, and each gives it `variable`."""
    given = [variable in _variables(entry) for entry in _found_entries(surroundings)]
    return bool(given) and all(given)


def _found_entries(surroundings: Surroundings) -> Iterator[_Object]:
    for client in CLIENTS:
        for path in dict.fromkeys(_paths(client, surroundings)):
            try:
                document = client.parse(surroundings.read(path).decode("utf-8-sig"))
            except (OSError, ValueError, RecursionError):
                continue  # which `check_clients` tells of
            entries = (entry for _, entry in _own_entries(client, document, surroundings.folder))
            yield from (entry for entry in entries if "--demo" not in _texts(entry.get("args")))


def _paths(client: Client, surroundings: Surroundings) -> Iterator[Path]:
    applications = surroundings.variable("APPDATA")
    starts = {
        "~": surroundings.home,
        "%": Path(applications) if applications else surroundings.home / "AppData/Roaming",
        ".": surroundings.folder,
    }
    for place in client.places.get(surroundings.platform, client.places["linux"]):
        start, _, rest = place.partition("/")
        own = surroundings.variable("CODEX_HOME") if place.startswith("~/.codex/") else ""
        yield Path(own) / Path(rest).name if own else starts[start] / rest


def _check_file(client: Client, path: Path, surroundings: Surroundings, settings: Settings) -> Iterator[Finding]:
    where = surroundings.short(path)
    try:
        document = client.parse(surroundings.read(path).decode("utf-8-sig"))
    except OSError as error:
        yield warning(client.name, f"{where} cannot be read ({error.strerror})", "Make it readable for this user.")
        return
    except _Twice as error:
        yield failed(
            client.name, f"{where} has two entries named {_shown(str(error))}", "Rename or remove one of them."
        )
        return
    except (ValueError, RecursionError) as error:
        kind = "TOML" if path.suffix == ".toml" else "JSON"
        yield failed(
            client.name, f"{where} is no valid {kind}{_line(error)}", "Mend it, or the client ignores all of it."
        )
        return
    entries = _own_entries(client, document, surroundings.folder)
    if not entries:
        yield ok(client.name, f"{where} has no entry for this server")
    for name, entry in entries:
        problems = list(_Entry(client, name, entry, path, surroundings, settings).problems())
        yield from problems or [ok(client.name, f"{where}: {_shown(name)} runs this server")]


def _line(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f" (line {error.lineno})"
    found = re.search(r"at line (\d+)", str(error)) if isinstance(error, tomllib.TOMLDecodeError) else None
    return f" (line {found[1]})" if found else ""


def _shown(name: str) -> str:
    """Return an entry's name, as long as it is a plain one."""
    return name if re.fullmatch(r"[\w .:@/-]{1,60}", name) and "@" not in name else "with an unusual name"


def _entries(client: Client, document: object, folder: Path) -> Iterator[tuple[str, _Object]]:
    if not isinstance(document, dict):
        return
    top = cast("_Object", document)
    projects = top.get("projects")
    here = cast("_Object", projects).get(str(folder)) if isinstance(projects, dict) else None
    for holder in (top, here):
        for key in client.keys if isinstance(holder, dict) else ():
            servers = cast("_Object", holder).get(key)
            if isinstance(servers, dict):
                for name, entry in cast("_Object", servers).items():
                    if isinstance(entry, dict):
                        yield name, _flat(cast("_Object", entry))


def _own_entries(client: Client, document: object, folder: Path) -> list[tuple[str, _Object]]:
    return [(name, entry) for name, entry in _entries(client, document, folder) if _is_ours(name, entry)]


def _flat(entry: _Object) -> _Object:
    """Return an entry with its command as a text, where a client has it as an object (`path`, `args`, `env`)."""
    command = entry.get("command")
    if not isinstance(command, dict):
        return entry
    parts = cast("_Object", command)
    return {**entry, **parts, "command": parts.get("path", "")}


def _texts(value: object) -> list[str]:
    return [item for item in cast("list[object]", value) if isinstance(item, str)] if isinstance(value, list) else []


def _variables(entry: _Object) -> dict[str, str]:
    given = entry.get("env")
    if not isinstance(given, dict):
        return {}
    return {name: value for name, value in cast("_Object", given).items() if isinstance(value, str)}


def _is_ours(name: str, entry: _Object) -> bool:
    words = [str(entry.get("command", "")), *_texts(entry.get("args"))]
    variables = [name for name in _variables(entry) if name.upper().startswith("SALESOS_")]
    return "salesos" in name.lower() or bool(variables) or any(_PROGRAM.search(word) for word in words)


@dataclass(frozen=True)
class _Entry:
    """One entry that is meant for this server."""

    client: Client
    name: str
    entry: _Object
    path: Path
    surroundings: Surroundings
    settings: Settings

    def problems(self) -> Iterator[Finding]:
        """Yield what keeps it from running, or should be looked at."""
        if "url" in self.entry or "httpUrl" in self.entry or "serverUrl" in self.entry:
            return
        if problem := self._command_problem():
            yield self._failed(*problem)
        if problem := self._arguments_problem():
            yield self._failed(*problem)
        yield from self._variable_problems()
        if not self._is_demo():
            yield from self._account_problems()
        yield from self._noise()

    def _failed(self, found: str, remedy: str) -> Finding:
        return failed(self.client.name, f"{self._where}: {found}", remedy)

    def _warning(self, found: str, remedy: str) -> Finding:
        return warning(self.client.name, f"{self._where}: {found}", remedy)

    @property
    def _where(self) -> str:
        return f"{self.surroundings.short(self.path)}: {_shown(self.name)}"

    @property
    def _command(self) -> str:
        return str(self.entry.get("command", "")).strip()

    def _command_problem(self) -> tuple[str, str] | None:
        command, write_out = self._command, "Write the whole path of the command."
        if not command:
            return "there is no command", write_out
        if _GIVEN.search(command) and self.client.expands:
            return None
        if command.startswith(("~", "$", "%")):
            return "its command begins with what only a shell fills in", write_out
        search = self.surroundings.environment.get("PATH")
        if " " in command and not Path(command).exists() and shutil.which(command.split()[0], path=search):
            return "its command holds arguments as well", "Put each argument into args."
        if not re.search(r"[/\\]", command):
            there = shutil.which(command, path=search)
            return None if there else ("its command is on no path here", write_out)
        path = Path(command)
        if not path.is_absolute():
            return "its command is a relative path, and clients start servers from anywhere", write_out
        if not path.is_file():
            return "its command is not there", "Write the path at which it is installed."
        if not os.access(path, os.X_OK):
            return "its command may not be executed", "Make it executable (chmod +x)."
        interpreter = _interpreter(path)
        if interpreter and not interpreter.exists():
            return "the Python that its command wants is not there", "Install this server again, in its present place."
        return None

    def _arguments_problem(self) -> tuple[str, str] | None:
        arguments = self._arguments()
        first = next((word for word in arguments if not word.startswith("-")), "serve")
        if first in _COMMANDS and first != "serve":
            return f"it runs `{first}`, which serves no client", "Write serve for it in args."
        return None

    def _arguments(self) -> list[str]:
        """Return the arguments that our own program gets."""
        words = _texts(self.entry.get("args"))
        places = [place for place, word in enumerate(words) if _PROGRAM.search(word)]
        return words[places[-1] + 1 :] if places else words

    def _is_demo(self) -> bool:
        return "--demo" in self._arguments()

    def _variable_problems(self) -> Iterator[Finding]:
        given = _variables(self.entry)
        yield from (self._warning(*told) for told in misspelt(given))
        own = {name: value for name, value in given.items() if name not in SECRET and not _GIVEN.search(value)}
        for name, sentence in usable_settings(own, self.surroundings.platform)[1].items():
            yield self._failed(f"{name} cannot be used", sentence)

    def _account_problems(self) -> Iterator[Finding]:
        given = _variables(self.entry)
        for name in SECRET:
            value = given.get(name, "").strip()
            if not value:
                continue
            if _GIVEN.search(value):
                if not self.client.expands:
                    yield self._failed(
                        f"{self.client.name} does not fill in what {name} holds",
                        "Run `salesos-inbox-mcp auth login`, and remove it.",
                    )
            elif is_not_filled_in(value):
                yield self._failed(f"{name} still holds an example's words", f"Put your own into {name}.")
            else:
                yield self._warning(
                    f"{name} stands in the file for all to read",
                    "Run `salesos-inbox-mcp auth login`, and remove it from the file.",
                )
        if any(_SECRET_ARGUMENT.search(word) for word in _texts(self.entry.get("args"))):
            yield self._warning(
                "a token stands in its args, where the list of processes shows it to all",
                "Run `salesos-inbox-mcp auth login`, and remove it from the file.",
            )
        yield from self._browser_problem(given)
        yield from self._environment_problem(given)
        yield from self._patience_problem()

    def _browser_problem(self, given: Mapping[str, str]) -> Iterator[Finding]:
        handed_on = {*given, *_texts(self.entry.get("env_vars"))}
        approval = given.get("SALESOS_APPROVAL", "auto").strip().lower()
        needs = approval in {"auto", "page"} and "--read-only" not in self._arguments()
        on_linux = self.surroundings.platform not in {"darwin", "win32"}
        if on_linux and needs and self.client.own_environment and not handed_on & set(_BROWSER):
            yield self._warning(
                "the server is given neither DISPLAY, WAYLAND_DISPLAY nor BROWSER, so it may not be able to ask you",
                "Add the one that your desktop sets to its env.",
            )

    def _environment_problem(self, given: Mapping[str, str]) -> Iterator[Finding]:
        """Tell of what is set here, and is not there: the server would do otherwise than this examination."""
        if not self.client.own_environment:
            return
        handed_on = {name.upper() for name in (*given, *_texts(self.entry.get("env_vars")))}
        here = {name.upper() for name, value in self.surroundings.environment.items() if value.strip()}
        lost = [name for name in _MATTERS if name in here - handed_on]
        if lost:
            yield self._warning(
                f"the server is not given {_listed(lost)}, which {'are' if len(lost) > 1 else 'is'} set here",
                "Add to its env what the server needs, as this client hands on only a few variables.",
            )

    def _patience_problem(self) -> Iterator[Finding]:
        if self.client.patience is None:
            return
        given = self.entry.get("tool_timeout_sec")
        patience = given if isinstance(given, int | float) else self.client.patience
        seconds = self.settings.approval_seconds
        if patience <= seconds:
            yield self._warning(
                f"{self.client.name} gives a call up after {patience:g} seconds, and you have {seconds:g} to answer",
                f"Set tool_timeout_sec to {seconds + 30:g}.",
            )

    def _noise(self) -> Iterator[Finding]:
        words = [Path(self._command).name, *_texts(self.entry.get("args"))]
        if words[0] in {"conda", "mamba", "micromamba"} and "run" in words and not {
            "--no-capture-output", "--live-stream", "--no-stream"
        } & set(words):  # fmt: skip
            yield self._failed(
                "conda holds back what the server prints", "Write --no-capture-output after run, or the path of Python."
            )


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _interpreter(path: Path) -> Path | None:
    """Return the interpreter that a script names in its first line, None where it names none."""
    try:
        with path.open("rb") as file:
            first = file.readline(1000)
    except OSError:
        return None
    words = first[2:].decode(errors="replace").split() if first.startswith(b"#!") else []
    return Path(words[0]) if words and words[0].startswith("/") else None
