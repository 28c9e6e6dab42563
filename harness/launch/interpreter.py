"""The Python that serves somebody's application: of their environment, not of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from loopmark.harness.errors import UserError

OLDEST = (3, 10)
"""Python versions that the probe runs in."""
OLDEST_UVICORN = (0, 22)
"""Versions of uvicorn that know the options it is started with."""

_START_LIMIT_S = 30.0
_ASK = """
import json, sys
try:
    import uvicorn
    version = uvicorn.__version__
except ImportError:
    version = ""
print(json.dumps([list(sys.version_info[:2]), version]))
"""


def default_python(environment: Mapping[str, str] = os.environ) -> Path:
    """The interpreter of the active virtual environment, else the one that runs this."""
    active = environment.get("VIRTUAL_ENV")
    if active and (python := Path(active) / "bin" / "python").exists():
        return python
    return Path(sys.executable)


def require_server(python: Path, folder: Path) -> None:
    """Check that an interpreter can serve an ASGI application and be probed.

    Args:
        python: The interpreter.
        folder: Where it is started.

    Raises:
        UserError: It cannot.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the interpreter that the user names
            [str(python), "-c", _ASK],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_START_LIMIT_S,
            check=False,
        )
        version, uvicorn = json.loads(done.stdout.strip().rpartition("\n")[2])
        is_old = tuple(version) < OLDEST
    except (OSError, ValueError, TypeError, subprocess.TimeoutExpired):
        raise UserError(f"--python: {python} is no Python interpreter that starts") from None
    if is_old:
        written, oldest = (".".join(map(str, one)) for one in (version, OLDEST))
        raise UserError(
            f"--python: {python} is Python {written}; the probe needs {oldest} or newer"
        )
    if not uvicorn:
        raise UserError(
            f"--python: uvicorn is not installed for {python}; install it there, name another "
            "interpreter, or name the command that starts your server with --targets"
        )
    if tuple(int(part) for part in uvicorn.split(".")[:2] if part.isdecimal()) < OLDEST_UVICORN:
        oldest = ".".join(map(str, OLDEST_UVICORN))
        raise UserError(
            f"--python: uvicorn {uvicorn} of {python} is too old; {oldest} or newer is needed"
        )
