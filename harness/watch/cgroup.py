"""The CPU quota of a control group, and how often it throttled: cgroup versions 1 and 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Throttling:
    """How often a quota throttled, since the group was made.

    Attributes:
        periods: Periods in which the group ran.
        throttled: How many of them ended throttled.
        throttled_s: Seconds for which it was throttled, summed over processors.
    """

    periods: int
    throttled: int
    throttled_s: float


class CpuLimits:
    """The control groups that limit this process: its own, and those around it.

    Args:
        root: Of the file system.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._folders = tuple(dict.fromkeys(_folders(root)))

    def quota(self) -> float | None:
        """The processors that all of them allow, 1.5 for example; None without a limit."""
        return min(
            (quota for folder in self._folders if (quota := _quota(folder)) is not None),
            default=None,
        )

    def throttling(self) -> Throttling | None:
        """Sums over the groups; None where there are none."""
        if not self._folders:
            return None
        stats = [_numbers(folder / "cpu.stat") for folder in self._folders]
        return Throttling(
            periods=sum(one.get("nr_periods", 0) for one in stats),
            throttled=sum(one.get("nr_throttled", 0) for one in stats),
            throttled_s=sum(
                # Version 2 counts microseconds, version 1 nanoseconds.
                one.get("throttled_usec", 0) / 1e6 + one.get("throttled_time", 0) / 1e9
                for one in stats
            ),
        )


def _folders(root: Path) -> Iterator[Path]:
    """The folders of this process's groups, from the inside out."""
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="utf-8")
        mounts = (root / "proc/self/mountinfo").read_text(encoding="utf-8")
    except OSError:
        return
    # "4:cpu,cpuacct:/a/b", and "0::/a/b" of version 2 (cgroups(7)).
    paths = [line.split(":", 2)[1:] for line in groups.splitlines() if line.count(":") > 1]
    # "31 23 0:28 ROOT MOUNTPOINT rw - cgroup2 SOURCE OPTIONS" (proc_pid_mountinfo(5)).
    for line in mounts.splitlines():
        mount, _, kind = line.partition(" - ")
        match mount.split(), kind.split():
            case [[_, _, _, inside, place, *_], ["cgroup2", *_]]:
                wanted = ""
            case [[_, _, _, inside, place, *_], ["cgroup", _, options]] if "cpu" in options.split(
                ","
            ):
                wanted = "cpu"
            case _:
                continue
        for controllers, path in paths:
            if wanted in controllers.split(","):
                yield from _upwards(root / place.lstrip("/"), PurePosixPath(path), inside)


def _upwards(mount: Path, path: PurePosixPath, inside: str) -> Iterator[Path]:
    """The folders of a group and those around it, as far as they are mounted here."""
    # In a container the path may be that of the host, of which only the end is mounted.
    relative = path.relative_to(inside) if path.is_relative_to(inside) else PurePosixPath()
    for one in (relative, *relative.parents):
        if (mount / one).is_dir():
            yield mount / one


def _quota(folder: Path) -> float | None:
    with suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    with suppress(OSError, ValueError):
        quota_us = int((folder / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        period_us = int((folder / "cpu.cfs_period_us").read_text(encoding="ascii"))
        return quota_us / period_us if quota_us > 0 else None
    return None


def _numbers(path: Path) -> dict[str, int]:
    with suppress(OSError, ValueError):
        lines = path.read_text(encoding="ascii").splitlines()
        return {name: int(value) for name, value in (line.split() for line in lines)}
    return {}
