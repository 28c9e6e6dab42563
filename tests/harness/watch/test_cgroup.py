"""Quotas and throttling, read from folders like those of both versions of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopmark.harness.watch.cgroup import CpuLimits, Throttling

V2_MOUNT = "30 24 0:26 {inside} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNT = "33 31 0:30 {inside} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"


class Machine:
    """A file system with control groups."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "proc/self").mkdir(parents=True)

    def groups(self, cgroup: str, mountinfo: str) -> None:
        (self.root / "proc/self/cgroup").write_text(cgroup)
        (self.root / "proc/self/mountinfo").write_text(mountinfo)

    def file(self, path: str, content: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(content)

    @property
    def limits(self) -> CpuLimits:
        return CpuLimits(self.root)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_container_of_version_2_has_its_quota_at_the_root(machine: Machine) -> None:
    machine.groups("0::/\n", V2_MOUNT.format(inside="/"))
    machine.file("sys/fs/cgroup/cpu.max", "150000 100000\n")
    machine.file(
        "sys/fs/cgroup/cpu.stat",
        "usage_usec 9\nnr_periods 40\nnr_throttled 10\nthrottled_usec 2500000\n",
    )
    assert machine.limits.quota() == 1.5
    assert machine.limits.throttling() == Throttling(40, 10, 2.5)


def test_tightest_of_nested_groups_counts_and_throttling_adds_up(machine: Machine) -> None:
    machine.groups("0::/user.slice/job\n", V2_MOUNT.format(inside="/"))
    machine.file("sys/fs/cgroup/user.slice/cpu.max", "50000 100000\n")
    machine.file("sys/fs/cgroup/user.slice/cpu.stat", "nr_periods 4\nthrottled_usec 1000000\n")
    machine.file("sys/fs/cgroup/user.slice/job/cpu.max", "200000 100000\n")
    machine.file("sys/fs/cgroup/user.slice/job/cpu.stat", "nr_periods 3\nthrottled_usec 500000\n")
    assert machine.limits.quota() == 0.5
    assert machine.limits.throttling() == Throttling(7, 0, 1.5)


@pytest.mark.parametrize("quota", ["max 100000\n", "", "gibberish\n"])
def test_group_without_a_quota_has_none(machine: Machine, quota: str) -> None:
    machine.groups("0::/\n", V2_MOUNT.format(inside="/"))
    machine.file("sys/fs/cgroup/cpu.max", quota)
    assert machine.limits.quota() is None
    assert machine.limits.throttling() == Throttling(0, 0, 0.0)


def test_version_1_counts_nanoseconds(machine: Machine) -> None:
    machine.groups("9:name=systemd:/\n4:cpu,cpuacct:/job\n0::/\n", V1_MOUNT.format(inside="/"))
    folder = "sys/fs/cgroup/cpu,cpuacct/job"
    machine.file(f"{folder}/cpu.cfs_quota_us", "250000\n")
    machine.file(f"{folder}/cpu.cfs_period_us", "100000\n")
    machine.file(f"{folder}/cpu.stat", "nr_periods 8\nnr_throttled 2\nthrottled_time 3000000000\n")
    assert machine.limits.quota() == 2.5
    assert machine.limits.throttling() == Throttling(8, 2, 3.0)


def test_version_1_without_a_quota_has_none(machine: Machine) -> None:
    machine.groups("4:cpu:/\n", V1_MOUNT.format(inside="/"))
    machine.file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
    machine.file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert machine.limits.quota() is None


@pytest.mark.parametrize("inside", ["/docker/4f", "/"])
def test_path_of_the_host_leads_to_what_is_mounted(machine: Machine, inside: str) -> None:
    # A container without a namespace for control groups sees the host's path.
    machine.groups("4:cpu,cpuacct:/docker/4f\n", V1_MOUNT.format(inside=inside))
    machine.file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n")
    machine.file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert machine.limits.quota() == 0.5


def test_system_without_control_groups_reports_nothing(tmp_path: Path) -> None:
    limits = CpuLimits(tmp_path)
    assert limits.quota() is None
    assert limits.throttling() is None
