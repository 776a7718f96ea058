"""All that an examination sees of the world, so that a test can stand in for it."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

CLI = (sys.executable, "-m", "salesos_inbox.cli")


@dataclass(frozen=True)
class Surroundings:
    """This computer, as one process finds it.

    `folder` is where the command was given, `state_dir` where state is kept unless a setting says
    otherwise, `root` the root of the file system, `command` runs our program (empty: it is not tried), `seconds`
    is the deadline of each step on the network.
    """

    environment: Mapping[str, str]
    version: str
    home: Path
    folder: Path
    state_dir: Path
    platform: str = sys.platform
    proxies: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the system says of proxies, as `urllib.request.getproxies` has it."""
    root: Path = Path("/")
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    command: Sequence[str] = CLI
    program: Path = field(default_factory=lambda: Path(sys.argv[0]).absolute())
    """What was started."""
    seconds: float = 7.0
    handshake_seconds: float = 20.0
    """How long our own server may take to start; beyond that clients have given up."""

    def variable(self, name: str) -> str:
        """Return an environment variable without the blanks around it, empty where it is not set."""
        return self.environment.get(name, "").strip()

    def short(self, path: Path) -> str:
        """Return a path as it is shown: the home directory is `~`."""
        if path == self.home or not path.is_relative_to(self.home):
            return "~" if path == self.home else str(path)
        return f"~{os.sep}{path.relative_to(self.home)}"

    def read(self, path: Path, most: int = 5 * 2**20) -> bytes:
        """Return the beginning of a file."""
        with path.open("rb") as file:
            return file.read(most)
