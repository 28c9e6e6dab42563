"""Checks of `loopmark doctor` on the processors: how many, whose, and how steady."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from loopmark.harness.launch.process_reaper import MARK
from loopmark.harness.launch.processors import assign, available
from loopmark.harness.run.finding import Finding
from loopmark.harness.vocabulary.record import ProcessorFacts
from loopmark.harness.watch.machine_reader import MachineReader, conditions_between

ENOUGH_PROCESSORS = 2
"""One for the driver, one for the target."""

MATERIAL_SHARE = 0.01
"""Of time: less is not worth a warning."""

GLANCE_S = 0.2
"""For what the kernel counts to move."""


def processor_findings(facts: ProcessorFacts) -> Iterator[Finding]:
    """Where driver and target would run, and what limits them there."""
    yield from _pinned(facts)
    yield from _limits(facts)


def _pinned(facts: ProcessorFacts) -> Iterator[Finding]:
    if not facts.cores:
        yield Finding(
            "warning",
            f"{os.cpu_count()} processors; this system cannot pin processes to them",
            "driver and target compete for processors: rely on intervals, not on single figures",
        )
        return
    pinning = assign(facts.cores)
    if not pinning.driver:
        yield Finding(
            "warning",
            "one processor",
            "the driver slows the target on a shared processor; use two or more",
        )
        return
    count = sum(map(len, facts.cores))
    yield Finding(
        "ok",
        f"{count} processors: target on {_listed(pinning.target)}, an embedded database on "
        f"{_listed(pinning.database)}, driver on {_listed(pinning.driver)}",
    )
    if len(facts.cores) == 1:
        yield Finding(
            "warning",
            f"processors {_listed(facts.cores[0])} are threads of one core",
            "the driver slows the target there; use two cores or more",
        )


def _limits(facts: ProcessorFacts) -> Iterator[Finding]:
    if facts.quota is not None:
        what = f"a quota of {facts.quota:g} processors (cgroup)"
        if (throttled := facts.throttled_share or 0.0) > MATERIAL_SHARE:
            what += f", which throttled {throttled:.0%} of its periods so far"
        yield Finding(
            "warning" if facts.quota < ENOUGH_PROCESSORS or throttled > MATERIAL_SHARE else "ok",
            what,
            "a quota stops driver and target together; allow two processors or more "
            "(docker run --cpus, resources.limits.cpu), or none"
            if facts.quota < ENOUGH_PROCESSORS
            else "allow more, or expect stalls of up to a period, which is 100 ms mostly",
        )
    if (steal := facts.steal_share) is not None and steal > MATERIAL_SHARE:
        yield Finding(
            "warning",
            f"the hypervisor took {steal:.1%} of the processors' time since the system started",
            "rounds that lose more than 5% are repeated; use a machine of your own for fewer",
        )
    if facts.governor and facts.governor != "performance":
        yield Finding(
            "warning",
            f"frequency governor: {facts.governor}",
            "the clock follows the load; for steady figures: cpupower frequency-set -g performance",
        )


def reported_findings() -> Iterator[Finding]:
    """What of the conditions of a round this machine does not report."""
    reader = MachineReader(f"{MARK}=")
    before = reader.read(os.getpid())
    time.sleep(GLANCE_S)
    found = conditions_between(before, reader.read(os.getpid()), {available(): ()})
    if found.missing:
        yield Finding(
            "warning",
            f"not reported here: {', '.join(found.missing)}",
            "disturbed rounds are noticed as far as the rest tells",
        )


def load_finding() -> Finding:
    """Whether other processes are running."""
    load, cores = os.getloadavg()[0], len(available()) or os.cpu_count() or 1
    if load > cores / 2:
        return Finding(
            "warning",
            f"load average {load:.1f} on {cores} processors",
            "other processes are running; stop them, or expect wide intervals",
        )
    return Finding("ok", f"load average {load:.1f} on {cores} processors")


def _listed(cpus: tuple[int, ...]) -> str:
    return ", ".join(map(str, cpus))
