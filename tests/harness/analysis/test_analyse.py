"""From a run folder to its results: what is taken from where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from loopmark.harness.analysis.analyse import analyse
from loopmark.harness.analysis.schedule import planned
from loopmark.harness.drivers.recording.samples import SampleFile
from loopmark.harness.errors import UserError
from loopmark.harness.store import RunFolder
from loopmark.harness.vocabulary.cell import Cell, ObjectionCode
from loopmark.harness.vocabulary.figures import AuditResult
from loopmark.harness.vocabulary.job import WorkerReport
from loopmark.harness.vocabulary.record import AuditCount, RoundState
from loopmark.harness.vocabulary.result import RunResults
from loopmark.harness.vocabulary.sample import DELIVERY_STEP
from loopmark.harness.vocabulary.scenario import Audit, LocustfileFacts, ScenarioFacts, Sweep
from loopmark.reports import html
from loopmark.reports.objections import sentences
from tests.harness.builders import (
    MS,
    START,
    closed,
    fan_out,
    fan_out_report,
    open_,
    population,
    record,
    report,
    run_record,
)

OWN = LocustfileFacts("crud.py", "import locust", ("Reader", "Buyer"), None)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "20260101-000000-test")


def stored(folder: RunFolder) -> RunResults:
    """What results.json says."""
    return TypeAdapter(RunResults).validate_json(folder.results_file.read_bytes())


def write_round(
    folder: RunFolder, cell: Cell, state: RoundState = "measured", audits: Sequence[AuditCount] = ()
) -> int:
    """A round of 200 requests, one every 10 ms; returns how many there are."""
    folder.make_cell(cell)
    with SampleFile(folder.samples_file(cell, 0), 0) as samples:
        for number in range(200):
            at = START + number * 10 * MS
            samples.append((0, "GET /items", at, at, 0, at + MS, at + 5 * MS, 200, 10, ""))
    worker = WorkerReport("a-1", 200, "shared", lost="" if state == "measured" else "it ended")
    driver = replace(report(requests=200), workers=(worker,))
    folder.write_round(cell, record(0, driver, state=state, audits=audits))
    return 200


def test_drivers_that_measured_the_same_are_held_side_by_side(folder: RunFolder) -> None:
    cells = tuple(Cell("x", "async", closed(), driver, 1) for driver in ("native", "locust"))
    for cell in cells:
        write_round(folder, cell)
    folder.write_run(run_record(*cells))
    found = analyse(folder)
    pairs = {(one.base.label, one.other.label) for one in found.along("driver")}
    assert pairs == {("native", "locust")}
    assert stored(folder) == found


def test_samples_of_a_round_that_lost_a_worker_are_kept_and_must_be_whole(
    folder: RunFolder,
) -> None:
    cell = Cell("x", "async", closed(), "locust", 1)
    requests = write_round(folder, cell, "worker-lost")
    folder.write_run(run_record(cell))
    (found,) = analyse(folder).cells
    assert found.figures_despite(found.validity).requests == requests
    assert found.validity.state == "interrupted"
    assert sentences(found.validity)[0].startswith("round 1 lost worker a-1: it ended")
    path = folder.samples_file(cell, 0)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="not a readable sample file"):
        analyse(folder)


def test_locustfile_that_is_called_like_a_scenario_is_not_that_scenario(folder: RunFolder) -> None:
    cell = Cell("crud", "async", population(), "locust", 1)
    write_round(folder, cell)
    scenario = ScenarioFacts.of_locustfile("crud", OWN)
    folder.write_run(replace(run_record(cell), database=None, plan_toml="", scenarios=(scenario,)))
    results = analyse(folder)
    (found,) = results.cells
    assert found.audits == ()
    assert found.validity.is_valid, found.validity
    assert scenario.title == "The requests of crud.py"
    assert "Reader, Buyer" in scenario.description
    assert results.comparisons == ()
    assert stored(folder) == results


def test_scenario_that_nobody_knows_is_analysed_by_what_the_run_says_of_it(
    folder: RunFolder,
) -> None:
    cell = Cell("of-another-version", "async", closed(), "native", 1)
    requests = write_round(folder, cell, audits=[AuditCount("rows", 0, 399)])
    audit = Audit("rows", "SELECT 1", {"GET /items": 2})
    scenario = ScenarioFacts("of-another-version", "A title", "A description.", audits=(audit,))
    folder.write_run(replace(run_record(cell), scenarios=(scenario,)))
    results = analyse(folder)
    (found,) = results.cells
    (counted,) = found.audits
    assert counted == AuditResult("rows", 2 * requests, 0, 399, ok=False)
    assert found.validity.state == "wrong-answers"
    assert "A description." in html.render(results)


def test_scenarios_of_a_series_know_their_place_in_it(folder: RunFolder) -> None:
    places = {"files-1": 1.0, "files-4": 4.0}
    cells = tuple(Cell(name, "async", closed(), "native", 1) for name in places)
    for cell in cells:
        write_round(folder, cell)
    facts = tuple(
        ScenarioFacts(name, name, "", Sweep("files", "Files at once", "limit", at))
        for name, at in places.items()
    )
    folder.write_run(replace(run_record(*cells), scenarios=facts))
    results = analyse(folder)
    (found,) = results.series
    assert (found.series, found.target, found.load) == ("files", "async", closed())
    assert found.left_out == (1.0, 4.0), "these requests are too few for ten users"
    assert stored(folder) == results


def test_a_fan_out_comes_from_its_files_and_back(folder: RunFolder) -> None:
    loads = (fan_out(10, rate=20.0), fan_out(10, rate=20.0, stalled=1))
    cells = tuple(Cell("events", "async", load, "websocket", 1) for load in loads)
    for load, cell in zip(loads, cells, strict=True):
        folder.make_cell(cell)
        with SampleFile(folder.samples_file(cell, 0), 0) as samples:
            for number in range(40):
                due = START + number * 50 * MS
                times = due, due, 0, due + MS, due + 4 * MS
                samples.append((10, "publish", *times, 200, 10, ""))
                for client in range(load.readers):
                    heard = due + 5 * MS + client * 10_000
                    times = due, due + 2 * MS, 0, heard, heard
                    samples.append((client, DELIVERY_STEP, *times, 0, 10, ""))
        said = replace(
            report(requests=40 * (1 + load.readers)),
            fan_out=fan_out_report(40, dropped=load.stalled * 30),
        )
        folder.write_round(cell, record(0, said))
    folder.write_run(run_record(*cells))
    results = analyse(folder)
    assert [sentences(cell.validity) for cell in results.cells] == [(), ()]
    heard_by = [cell.figures_despite(cell.validity).fan_out for cell in results.cells]
    assert [one.received for one in heard_by if one] == [400, 360]
    assert [one.dropped for one in heard_by if one] == [0, 30]
    p50 = next(one for one in results.along("disturbance") if one.metric == "latency_ms.p50")
    assert p50.ratio == pytest.approx(1.0, rel=0.01)
    assert stored(folder) == results


@pytest.mark.parametrize("seed", [1, 2])
def test_poisson_arrivals_are_counted_by_the_seed_of_the_run(folder: RunFolder, seed: int) -> None:
    """One arrival that the driver left out is noticed: the schedule is known, not only its rate."""
    load = replace(open_(100.0, 2.0), arrivals="poisson")
    cells = [Cell(name, "async", load, "native", 1) for name in ("all", "but-one")]
    for cell in cells:
        arrivals = int(planned(load, seed, cell.scenario, 0)) - (cell.scenario == "but-one")
        folder.make_cell(cell)
        with SampleFile(folder.samples_file(cell, 0), 0) as samples:
            for number in range(arrivals):
                at = START + number * 2000 * MS // arrivals
                samples.append((0, "GET /items", at, at, 0, at + MS, at + 5 * MS, 200, 10, ""))
        folder.write_round(cell, record(0, report(requests=arrivals)))
    folder.write_run(replace(run_record(*cells), seed=seed))
    kept, left_out = analyse(folder).cells
    assert kept.validity.is_valid, sentences(kept.validity)
    assert [one.code for one in left_out.validity.objections] == [ObjectionCode.RATE_NOT_REACHED]
