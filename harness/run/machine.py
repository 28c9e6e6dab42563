"""The fingerprint of a run's machine and software."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from loopmark.harness.launch.processors import available
from loopmark.harness.run.processor_facts import processor_facts
from loopmark.harness.vocabulary.record import MachineFacts

_PACKAGES = (
    "loopmark",
    "fastapi",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "sqlalchemy",
    "asyncpg",
    "psycopg",
    "httpx",
    "locust",
    "gevent",
)


def fingerprint() -> MachineFacts:
    """Describe this machine and the software that takes part."""
    return MachineFacts(
        hostname=platform.node(),
        system=f"{platform.system()} {platform.release()}",
        cpu=_cpu_model(),
        cores=len(available()) or os.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 1024**3, 1),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages={name: found for name in _PACKAGES if (found := _version(name))},
        commit=_commit(),
        processors=processor_facts(),
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _commit() -> str:
    """The commit of this checkout, with + if it has changes; empty without a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return ""  # Installed: a checkout around the environment is another project's.
    try:
        head = _git(root, "rev-parse", "--short=12", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{head}+" if changed else head


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(  # noqa: S603 - constant arguments
        command, capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()
