"""The real socket.io client, installed once and started for a test."""

from __future__ import annotations

import fcntl
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.needed_programs import needed_program

FOLDER = Path(__file__).parent
INSTALL_S = 300

Listen = Callable[..., "Listener"]


@dataclass(frozen=True)
class Heard:
    """A line of listen.js.

    Attributes:
        source: `server`: emitted by it; `client`: what the client says of itself.
        event: Its name.
        data: What came with it.
    """

    source: str
    event: str
    data: Any


class Listener:
    """A running listen.js, which ends by itself."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def until(self, *events: str) -> list[Heard]:
        """Read until each of these was heard, in whatever order."""
        heard: list[Heard] = []
        missing = set(events)
        for one in self._lines():
            heard.append(one)
            missing.discard(one.event)
            if not missing:
                return heard
        pytest.fail(f"no {missing} after {heard}: {self._process.communicate()[1]}")

    def rest(self) -> list[Heard]:
        """Everything that it still hears."""
        heard = list(self._lines())
        assert self._process.wait() == 0, self._process.communicate()[1]
        return heard

    def _lines(self) -> Iterator[Heard]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            yield Heard(**json.loads(line))


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """What package-lock.json names, installed beside it unless it already is."""
    npm = needed_program("npm", package="npm")
    modules = FOLDER / "node_modules"
    # Written last: an installation that was interrupted is done again.
    stamp = modules / ".installed-from.json"
    with (FOLDER / "package-lock.json").open(encoding="utf-8") as file:
        # Processes of tests that need it at the same time wait for the first.
        fcntl.flock(file, fcntl.LOCK_EX)
        lock = file.read()
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != lock:
            command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(
                command, cwd=FOLDER, capture_output=True, text=True, check=False, timeout=INSTALL_S
            )
            if done.returncode != 0:
                pytest.fail(f"{' '.join(command)} in {FOLDER}:\n{done.stderr}")
            stamp.write_text(lock, encoding="utf-8")
    return modules


@pytest.fixture
def listen(node_modules: Path) -> Iterator[Listen]:
    """Start listen.js with options; `until=["a", "b"]` stands for `--until=a --until=b`."""
    node = needed_program("node", "nodejs", package="nodejs")
    script = node_modules.with_name("listen.js")
    with ExitStack() as stack:

        def start(url: str, *options: str, until: tuple[str, ...] = ()) -> Listener:
            process = subprocess.Popen(
                [node, str(script), f"--url={url}", *options, *(f"--until={e}" for e in until)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            # Before the context of the process, which waits for its end.
            stack.callback(process.kill)
            return Listener(process)

        yield start
