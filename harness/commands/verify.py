"""`loopmark verify`."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.status import Status
from rich.text import Text

from loopmark.harness.commands.console import ExitCode, err, out, require_known
from loopmark.harness.commands.plans import catalog_targets, scenario_facts
from loopmark.harness.drivers.catalog import DRIVERS, able
from loopmark.harness.planning.plan import Measure, Plan, cells_of
from loopmark.harness.store import RunFolder
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.job import Workers
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.record import RoundRecord
from loopmark.harness.vocabulary.result import CellResult, RunResults
from loopmark.reports.objections import sentences
from loopmark.scenarios.catalog import SCENARIOS

PASSES = 3
TIMEOUT_S = 30.0


@click.command()
@click.argument("targets", nargs=-1)
@click.option("--scenario", "scenarios", multiple=True, metavar="NAME", help="Only this one.")
def verify(targets: tuple[str, ...], scenarios: tuple[str, ...]) -> None:
    """Check the answers of TARGETS (default: all) without timing anything."""
    known = catalog_targets()
    require_known("target", targets, known)
    require_known("scenario", scenarios, SCENARIOS)
    results = _results(
        Plan(
            name="verify",
            title="Answers only",
            measure=tuple(
                Measure((scenario,), targets or tuple(known), (Burst(PASSES),), 1, (driver,))
                for scenario in scenarios or SCENARIOS
                for driver in [next(name for name in DRIVERS if name in able(SCENARIOS[scenario]))]
            ),
            targets=known,
            request_timeout_s=TIMEOUT_S,
        )
    )
    if results.run.interrupted:
        sys.exit(ExitCode.INTERRUPTED)
    problems = {(cell.target, cell.scenario): problem(cell) for cell in results.cells}
    for target in targets or known:
        for scenario in scenarios or SCENARIOS:
            wrong = problems[target, scenario]
            mark = "[red]WRONG[/]" if wrong else "[green]right[/]"
            out.print(f"{mark}  {target:<16} {scenario}")
            if wrong:
                out.print(Text(wrong, "red"), soft_wrap=True)
    sys.exit(ExitCode.INVALID if any(problems.values()) else ExitCode.OK)


def problem(cell: CellResult) -> str:
    """What is wrong with the answers of a cell; empty when nothing is."""
    wrong = [f"{kind}: {'; '.join(said)}" for kind, said in cell.error_examples.items()]
    wrong += [
        f"{audit.what}: {audit.acknowledged:+d} rows acknowledged, {audit.found:+d} found"
        for audit in cell.audits
        if not audit.ok
    ]
    if not cell.rounds:
        reasons = sentences(cell.validity)
        # Of a target that did not get ready the first line of these is the reason.
        wrong += [*reasons, cell.stderr_tail.removeprefix(reasons[0]).lstrip()]
    return "\n".join(wrong)


def _results(plan: Plan) -> RunResults:
    from loopmark.harness.analysis.analyse import analyse  # noqa: PLC0415 - half a second that --help need not take
    from loopmark.harness.run.measure import RunRequest, carry_out  # noqa: PLC0415

    with TemporaryDirectory(prefix="loopmark-verify-") as made, err.status("starting") as status:
        cells = cells_of(plan)
        request = RunRequest(plan.name, plan, "", cells, scenario_facts(cells))
        carry_out(request, Path(made), _Observer(status))
        return analyse(RunFolder.existing(Path(made) / plan.name))


class _Observer:
    """Says what is being verified."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def run_begins(self, folder: RunFolder) -> None:
        """Nothing to say."""

    def workers_awaited(self, workers: Workers) -> None:
        """There are none."""

    def round_begins(self, cell: Cell, round_number: int) -> None:  # noqa: ARG002 - the only one
        """Name it."""
        self._status.update(f"{cell.target} {cell.scenario}")

    def round_ends(self, cell: Cell, record: RoundRecord) -> None:
        """What it was is told when all are done."""
