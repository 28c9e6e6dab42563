"""What limits the processors here: quota, SMT, steal and clock frequency."""

from __future__ import annotations

from pathlib import Path

from loopmark.harness.launch.processors import available, cores
from loopmark.harness.vocabulary.record import ProcessorFacts
from loopmark.harness.watch.cgroup import ROOT, CpuLimits
from loopmark.harness.watch.machine_reader import MachineReader


def processor_facts(root: Path = ROOT) -> ProcessorFacts:
    """Read the limits of this machine or container.

    Args:
        root: Of the file system.
    """
    limits = CpuLimits(root)
    throttling = limits.throttling()
    return ProcessorFacts(
        cores=cores(root),
        quota=limits.quota(),
        throttled_share=throttling.throttled / throttling.periods
        if throttling is not None and throttling.periods
        else None,
        steal_share=_steal_share(root),
        governor=_governor(root),
    )


def _steal_share(root: Path) -> float | None:
    times = MachineReader(None, root).read(None).processors
    mine = [times[cpu] for cpu in available() if cpu in times]
    steal_s = sum(one.steal_s for one in mine)
    wanted_s = sum(one.total_s - one.not_run_s for one in mine) + steal_s
    return steal_s / wanted_s if wanted_s > 0 else None


def _governor(root: Path) -> str:
    found: dict[str, None] = {}
    for cpu in available():
        path = root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"
        try:
            found[path.read_text(encoding="ascii").strip()] = None
        except (OSError, ValueError):
            continue
    return ", ".join(found)
