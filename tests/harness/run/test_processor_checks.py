"""What limits the processors of a machine or container, and what the doctor says of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loopmark.harness.run.finding import Finding
from loopmark.harness.run.processor_checks import processor_findings, reported_findings
from loopmark.harness.run.processor_facts import processor_facts
from loopmark.harness.vocabulary.record import ProcessorFacts
from loopmark.harness.watch.process_counters import LINUX

FIT = ProcessorFacts(
    cores=((0,), (1,)), quota=None, throttled_share=None, steal_share=0.0, governor=""
)


def facts(
    *,
    cores: tuple[tuple[int, ...], ...] = FIT.cores,
    quota: float | None = None,
    throttled_share: float | None = None,
    steal_share: float | None = 0.0,
    governor: str = "",
) -> ProcessorFacts:
    return ProcessorFacts(cores, quota, throttled_share, steal_share, governor)


def warnings(found: ProcessorFacts) -> list[Finding]:
    return [one for one in processor_findings(found) if one.level != "ok"]


def test_machine_with_two_cores_is_fit() -> None:
    (found,) = processor_findings(FIT)
    assert found.level == "ok"
    assert found.what == "2 processors: target on 0, an embedded database on 0, driver on 1"


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (facts(cores=((3,),)), "one processor"),
        (facts(cores=((0, 1),)), "processors 0, 1 are threads of one core"),
        (facts(quota=1.5), "a quota of 1.5 processors (cgroup)"),
        (facts(quota=0.25), "a quota of 0.25 processors (cgroup)"),
        (
            facts(quota=4.0, throttled_share=0.12),
            "a quota of 4 processors (cgroup), which throttled 12% of its periods so far",
        ),
        (
            facts(steal_share=0.034),
            "the hypervisor took 3.4% of the processors' time since the system started",
        ),
        (facts(governor="powersave"), "frequency governor: powersave"),
    ],
)
def test_what_limits_the_processors_is_said(found: ProcessorFacts, what: str) -> None:
    (warning,) = warnings(found)
    assert warning.what == what


def test_advice_fits_the_quota() -> None:
    (small,) = warnings(facts(quota=1.0))
    assert "two processors or more" in small.advice
    (throttling,) = warnings(facts(quota=4.0, throttled_share=0.5))
    assert "stalls" in throttling.advice


@pytest.mark.parametrize(
    "found",
    [
        facts(quota=2.0),
        facts(quota=8.0, throttled_share=0.005),
        facts(steal_share=0.005),
        facts(steal_share=None),
        facts(governor="performance"),
    ],
)
def test_what_does_not_matter_is_no_warning(found: ProcessorFacts) -> None:
    assert warnings(found) == []


def test_system_that_cannot_pin_is_told() -> None:
    (warning,) = warnings(facts(cores=()))
    assert "cannot pin" in warning.what


@pytest.fixture
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1}, raising=False)


@pytest.mark.usefixtures("two_processors")
def test_limits_are_read_from_the_system(tmp_path: Path) -> None:
    def file(path: str, content: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)

    file("proc/self/cgroup", "0::/\n")
    file("proc/self/mountinfo", "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    file("sys/fs/cgroup/cpu.max", "150000 100000\n")
    file("sys/fs/cgroup/cpu.stat", "nr_periods 200\nnr_throttled 50\nthrottled_usec 1\n")
    stolen = {0: 50, 1: 150, 2: 9000}
    file("proc/stat", "".join(f"cpu{n} 900 0 0 500 0 0 0 {t}\n" for n, t in stolen.items()))
    for cpu, governor in enumerate(("powersave\n", "performance\n")):
        file(f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", "0-1\n")
        file(f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor", governor)
    found = processor_facts(tmp_path)
    assert found.cores == ((0, 1),)
    assert found.quota == 1.5
    assert found.throttled_share == 0.25
    assert found.steal_share == pytest.approx(0.1)
    assert found.governor == "powersave, performance"


@pytest.mark.usefixtures("two_processors")
def test_system_that_tells_nothing_has_no_limits(tmp_path: Path) -> None:
    found = processor_facts(tmp_path)
    assert found == ProcessorFacts(((0,), (1,)), None, None, None, "")


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_what_this_machine_reports_is_looked_at() -> None:
    for found in reported_findings():
        assert found.what.startswith("not reported here: ")
