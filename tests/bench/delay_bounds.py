"""Do the bounds of a starved driver's delay hold the truth, and how wide are they?

    python -m tests.bench.delay_bounds [CELLS]

The target delays every response by a time that it knows. Beside the driver, on its processor, a
process computes half of the time in bursts of 5 to 200 ms. In a quarter of the cells there is none:
what these find too much is the way over the loopback interface, which is nobody's delay.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import median

import numpy as np
import numpy.typing as npt
import pandas as pd

from loopmark.harness.analysis.rounds import measured_round
from loopmark.harness.analysis.schedule import planned
from loopmark.harness.analysis.windows import in_window, right
from loopmark.harness.drivers.process.job_files import read_report
from loopmark.harness.launch.process_reaper import reaped
from loopmark.harness.launch.processors import assign, cores, staying_on
from loopmark.harness.vocabulary.figures import RoundResult
from loopmark.harness.vocabulary.job import DriverReport, LoadJob, Timeouts
from loopmark.harness.vocabulary.load import FlowLoad
from loopmark.harness.vocabulary.loads.arriving import Open
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.record import RoundRecord
from loopmark.harness.vocabulary.sample import SUMMARISED
from loopmark.harness.vocabulary.thresholds import SHIPPED
from tests.bench.conclusions.neighbours import half
from tests.bench.driver.generators.loopmark import driven
from tests.bench.driver.generators.loopmark_driver import scenario_name
from tests.bench.driver.measure import delays_of
from tests.bench.driver.processes import target

PATH = "/answers"
LOADS: tuple[FlowLoad, ...] = (
    Closed(users=50, duration_s=3.0),
    Closed(users=200, duration_s=3.0),
    Open(rate=500.0, duration_s=3.0, max_in_flight=2000),
)
SHARES = {"p50": 0.5, "p90": 0.9}
UNHINDERED = 0.25
RESULTS = Path("results") / "bench-delays"


@dataclass(frozen=True)
class Bound:
    """One percentile of one cell, in milliseconds.

    Attributes:
        load: Label of the load.
        starved: Whether the neighbour was there.
        percentile: Its name.
        true: Of the delays that the target says there were.
        measured: As found.
        least: As found, without what the driver's delay can have done at most.
        delayed: Share of the cell's main figure that delay can account for.
    """

    load: str
    starved: bool
    percentile: str
    true: float
    measured: float
    least: float
    delayed: float

    def holds(self, way_ms: float) -> bool:
        """Whether the truth, as a client sees it, lies within; a percent is left for sampling."""
        seen = self.true + way_ms
        return self.least <= 1.01 * seen and seen <= 1.01 * self.measured


def main(cells: int) -> None:
    pinning = assign(cores())
    if not pinning.driver:
        sys.exit("there is one processor only: the driver shares it with the target in any case")
    found: list[Bound] = []
    random = Random(1)
    with reaped():
        for number in range(cells):
            starved = number >= UNHINDERED * cells
            load = LOADS[number % len(LOADS)]
            seed = random.randrange(2**31)
            with (
                target("known_target", pinning.target, "--seed", str(seed)) as url,
                _neighbour(pinning.driver, wanted=starved),
                staying_on(pinning.driver),
            ):
                bounds = _cell(load, url, starved=starved)
            for one in bounds:
                sys.stderr.write(f"{one}\n")
            found += bounds
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps([asdict(one) for one in found], indent=1), encoding="utf-8")
    sys.stdout.write(f"{table(found)}\n{path}\n")


def table(found: Sequence[Bound]) -> str:
    """What became of them, as Markdown."""
    lines = [
        "| load | figure | starved cells | bound holds | width, median | of the main figure |",
        "|---|---|---|---|---|---|",
    ]
    for load in dict.fromkeys(one.load for one in found):
        for name in SHARES:
            cells = [one for one in found if (one.load, one.percentile) == (load, name)]
            way_ms = median([one.measured - one.true for one in cells if not one.starved] or [0.0])
            starved = [one for one in cells if one.starved]
            if not starved:
                continue
            held = sum(one.holds(way_ms) for one in starved)
            width = median(1 - one.least / one.measured for one in starved)
            share = median(one.delayed for one in starved)
            lines.append(
                f"| {load} | {name} | {len(starved)} | {held} | {width:.0%} | {share:.0%} |"
            )
    return "\n".join(lines)


def _cell(load: FlowLoad, url: str, *, starved: bool) -> list[Bound]:
    with tempfile.TemporaryDirectory(prefix="loopmark-delays-") as temporary:
        folder = Path(temporary)
        job = LoadJob(
            scenario=scenario_name(PATH),
            load=load,
            round=0,
            seed=1,
            base_url=url,
            tokens=tuple(f"token-{number}" for number in range(load.concurrency)),
            samples=str(folder / "samples.parquet"),
            report=str(folder / "report.json"),
            timeouts=Timeouts(connect_s=10.0, first_byte_s=60.0, response_s=60.0),
        )
        driven("native", job, folder)
        report = read_report(Path(job.report))
        assert report is not None
        samples = pd.read_parquet(job.samples, columns=list(SUMMARISED))
    record = RoundRecord(
        round=0,
        block=0,
        state="measured",
        wall_s=0.0,
        driver=report,
        target=(),
        database=(),
        loop_lag=(),
        audits=(),
    )
    due = planned(load, 0, job.scenario, 0)
    round_ = measured_round(load, record, report, samples, SHIPPED, due)
    true_ms = _true_ms(load, report, samples, delays_of(url))
    least: RoundResult | None = round_.result.undelayed
    assert least is not None
    return [
        Bound(
            load=load.label,
            starved=starved,
            percentile=name,
            true=float(np.quantile(true_ms, p)),
            measured=getattr(round_.result.latency_ms, name),
            least=getattr(least.latency_ms, name),
            delayed=round_.delayed or 0.0,
        )
        for name, p in SHARES.items()
    ]


def _true_ms(
    load: FlowLoad, report: DriverReport, samples: pd.DataFrame, delays_ms: Sequence[float]
) -> npt.NDArray[np.float64]:
    """The delays of the requests that the figures are about: both are in the order of responses."""
    answered = right(samples).sort_values("done_ns")
    counted = in_window(load, report, answered).index
    assert len(answered) == len(delays_ms)
    found: npt.NDArray[np.float64] = np.array(delays_ms)[answered.index.isin(counted)]
    return found


@contextmanager
def _neighbour(cpus: Sequence[int], *, wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    process = multiprocessing.get_context("fork").Process(target=half, args=list(cpus[:1]))
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 54)
