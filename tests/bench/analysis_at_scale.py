"""How long `loopmark report` takes over a run of a given number of samples, and in how much memory.

    python tests/bench/analysis_at_scale.py [SAMPLES]

Makes a run of synthetic samples (lognormal latencies; two targets; 10/100/1000 users, an
open load and steps; 3 rounds) in a temporary folder, and reports on it in a process of its own.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loopmark.harness.drivers.recording.samples import ROWS_PER_GROUP, SAMPLE_SCHEMA
from loopmark.harness.run.machine import fingerprint
from loopmark.harness.store import RunFolder
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.job import DriverReport
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.arriving import Open, Steps
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.record import (
    SCHEMA_VERSION,
    AuditCount,
    DatabaseFacts,
    Pinning,
    RoundRecord,
    RoundState,
    RunRecord,
    TargetReading,
)
from loopmark.harness.vocabulary.thresholds import Thresholds
from loopmark.scenarios.catalog import SCENARIOS

TARGETS = ("sync", "async")
USERS = (10, 100, 1000)
ROUNDS = 3
WINDOW_NS = 10_000_000_000
MEASURED: tuple[RoundState, ...] = ("measured",)


def main(samples: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = made_run(Path(temporary), samples)
        started = time.monotonic()
        command = [str(Path(sys.executable).with_name("loopmark")), "report", str(folder.path)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - started
        size = (folder.report / "index.html").stat().st_size
    peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    sys.stdout.write(
        f"{samples:,} samples: summaries and report in {seconds:.1f} s, "
        f"{peak_mib:.0f} MiB at most, page of {size / 1024:.0f} KiB\n"
    )


def loads() -> tuple[Load, ...]:
    seconds = WINDOW_NS / 1e9
    closed = tuple(Closed(users, seconds, 0.0) for users in USERS)
    stepped = Steps(rates=(1e4, 2e4, 4e4, 8e4), step_s=seconds / 4, warmup_s=0.0)
    return *closed, Open(rate=1e4, duration_s=seconds, warmup_s=0.0), stepped


def made_run(out: Path, samples: int) -> RunFolder:
    """A run folder with this many samples, spread evenly over its cells and rounds."""
    cells = tuple(
        Cell("create-fresh", target, load, "native", ROUNDS)
        for load in loads()
        for target in TARGETS
    )
    folder = RunFolder.create(out, "synthetic")
    random = np.random.default_rng(1)
    per_round = samples // (len(cells) * ROUNDS)
    for cell in cells:
        folder.make_cell(cell)
        for number in range(ROUNDS):
            pq.write_table(
                _samples(random, number, per_round, cell.load.concurrency),
                folder.samples_file(cell, number),
                row_group_size=ROWS_PER_GROUP,
                compression="zstd",
            )
            folder.write_round(cell, _record(number, per_round))
    folder.write_run(_run(cells))
    return folder


def _samples(random: np.random.Generator, number: int, rows: int, users: int) -> pa.Table:
    # Every fifth on a new connection.
    new = random.random(rows) < 0.2
    done = np.sort(random.integers(0, WINDOW_NS, rows))
    latency = (random.lognormal(0, 0.5, rows) * users / rows * WINDOW_NS / 1.13).astype(np.int64)
    sent = done - latency
    labels = pa.DictionaryArray.from_arrays
    zeros = np.zeros(rows, dtype=np.int32)
    columns = {
        "round": np.full(rows, number, dtype=np.int32),
        "user": random.integers(0, users, rows).astype(np.int32),
        "step": labels(pa.array(zeros), pa.array(["create-fresh"])),
        "due_ns": sent - 50_000,
        "sent_ns": sent,
        "connected_ns": np.where(new, sent + 1_000, 0),
        "first_byte_ns": done - 10_000,
        "done_ns": done,
        "status": np.full(rows, 200, dtype=np.int16),
        "bytes": np.full(rows, 200, dtype=np.int64),
        "error": labels(pa.array(zeros), pa.array([""])),
    }
    return pa.table([pa.array(columns[name]) for name in SAMPLE_SCHEMA.names], schema=SAMPLE_SCHEMA)


def _record(number: int, rows: int) -> RoundRecord:
    readings = tuple(
        TargetReading(at, at // 2, 100 * 2**20, 8, 20, at // 1000)
        for at in range(0, WINDOW_NS + 1, 80_000_000)
    )
    return RoundRecord(
        round=number,
        block=number,
        state="measured",
        wall_s=WINDOW_NS / 1e9,
        driver=DriverReport(0, WINDOW_NS, rows, 0, 1.0, 0.0, 0.5, 1.0, {}),
        target=readings,
        database=(),
        loop_lag=tuple((at, 100_000) for at in range(0, WINDOW_NS, 20_000_000)),
        audits=(AuditCount("resources", 0, rows),),
    )


def _run(cells: tuple[Cell, ...]) -> RunRecord:
    return RunRecord(
        schema_version=SCHEMA_VERSION,
        run_id="synthetic",
        started="2026-01-01T00:00:00+00:00",
        finished="2026-01-01T00:03:00+00:00",
        plan="synthetic",
        title="Synthetic samples",
        plan_toml="",
        seed=1,
        planned_s=180.0,
        wall_s=180.0,
        interrupted=False,
        machine=fingerprint(),
        database=DatabaseFacts("embedded", embedded=True, version="18", settings={}),
        pinning=Pinning((), (), ()),
        cells=cells,
        round_states={cell.name: MEASURED * ROUNDS for cell in cells},
        scenarios=tuple(SCENARIOS[name].facts for name in {cell.scenario for cell in cells}),
        targets=(),
        thresholds=Thresholds(),
    )


if __name__ == "__main__":
    main(int(sys.argv[1].replace("_", "")) if len(sys.argv) > 1 else 1_000_000)
