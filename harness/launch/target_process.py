"""The process of a target: started, inspected from outside, ended."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from loopmark.harness.launch.process_reaper import end
from loopmark.harness.launch.processors import staying_on

STDERR_TAIL_LINES = 20
_NEVER_AWAITED = re.compile(r"RuntimeWarning: (coroutine '.+' was never awaited)$", re.MULTILINE)
_PLACE = re.compile(r'^\s*File "(.+)", line (\d+)', re.MULTILINE)


class TargetProcess:
    """The process of a target that was started.

    Args:
        command: That starts it.
        log: File for what it writes.
        environment: All of its environment variables.
        folder: Where it is started; empty for the present one.
        cpus: Processors to stay on; empty means any.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        folder: str,
        cpus: Sequence[int],
    ) -> None:
        self._log = log
        with log.open("wb") as output, staying_on(cpus):
            self._process = subprocess.Popen(  # noqa: S603 - ours, or what the plan names
                command,
                cwd=folder or None,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    @property
    def stderr_tail(self) -> str:
        """Its last lines of output, and how it ended if it has."""
        lines = last_lines(self._log)
        code = self._process.poll()
        if code is not None:
            lines.append(f"[ended by signal {-code}]" if code < 0 else f"[exit code {code}]")
        return "\n".join(lines)

    @property
    def last_words(self) -> str:
        """Its last line of output; for a traceback with the file it leads to."""
        text = self._log.read_text(errors="replace").rstrip()
        places = _PLACE.findall(text)
        # Where it is its own file that is wrong, a library's frames behind it say little.
        place = (_own(places) or places)[-1:]
        return text.rpartition("\n")[2] + "".join(f" ({file}:{line})" for file, line in place)

    @property
    def never_awaited(self) -> tuple[str, ...]:
        """Python's warnings of coroutines that were never awaited, each once.

        Python names the line at which a coroutine was freed, anywhere in a server. Of its own lines
        the last in a traceback before that is named instead: there the coroutine was in use.
        """
        text = self._log.read_text(errors="replace")
        warned = dict[str, str]()
        for match in _NEVER_AWAITED.finditer(text):
            own = _own(_PLACE.findall(text, 0, match.start()))
            places = [f", in use at {Path(file).name}:{line}" for file, line in own[-1:]]
            warned.setdefault(match[1], "".join(places))
        return tuple(f"{what}{place}" for what, place in warned.items())

    @property
    def ports(self) -> frozenset[int] | None:
        """The ports on which it or a child of it listens; None where they cannot be read."""
        try:
            root = psutil.Process(self.pid)
            sockets = [
                found
                for process in (root, *root.children(recursive=True))
                for found in process.net_connections("tcp")
            ]
        except psutil.Error:
            return None
        return frozenset(found.laddr.port for found in sockets if found.status == "LISTEN")

    def stop(self) -> None:
        """End it and all that it started."""
        end(self._process)


def _own(places: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Files and lines that are not a library's."""
    return [place for place in places if "site-packages" not in place[0]]


def last_lines(log: Path) -> list[str]:
    """The end of a process's output: enough to see how it died."""
    return log.read_text(errors="replace").splitlines()[-STDERR_TAIL_LINES:]
