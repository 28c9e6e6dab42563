"""Checks the responses of targets for `loopmark verify`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from rich.status import Status
from rich.text import Text

from loopmark.harness.analysis.analyse import analyse
from loopmark.harness.commands.console import err, out
from loopmark.harness.commands.exits import ExitCode
from loopmark.harness.commands.outcome import failed_of, unexplained
from loopmark.harness.commands.plans import catalog_targets, scenario_facts
from loopmark.harness.drivers.catalog import DRIVERS, drivers_for
from loopmark.harness.planning.plan import Measure, Plan, cells_of
from loopmark.harness.run.measure import carry_out
from loopmark.harness.run.request import RunRequest
from loopmark.harness.store import RunFolder
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.fault import Fault, Symptom
from loopmark.harness.vocabulary.job import Workers
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.record import RoundRecord
from loopmark.harness.vocabulary.result import CellResult, RunResults
from loopmark.reports.objections import sentence, sentences
from loopmark.scenarios.catalog import SCENARIOS

PASSES = 3
TIMEOUT_S = 30.0


def check(targets: Sequence[str], scenarios: Sequence[str]) -> NoReturn:
    """Send each scenario's requests to each target, print which responses are right, and exit."""
    results = _results(
        Plan(
            name="verify",
            title="Responses only",
            reserve=0,  # No figure counts.
            measure=tuple(
                Measure((scenario,), tuple(targets), (Burst(PASSES),), 1, (driver,))
                for scenario in scenarios
                for driver in [
                    next(name for name in DRIVERS if name in drivers_for(SCENARIOS[scenario]))
                ]
            ),
            targets=catalog_targets(),
            request_timeout_s=TIMEOUT_S,
        )
    )
    if results.run.interrupted:
        sys.exit(ExitCode.INTERRUPTED)
    cells = {(cell.target, cell.scenario): cell for cell in results.cells}
    faults = {target.name: target.fault for target in results.run.targets}
    has_failed = False
    for target in targets:
        for scenario in scenarios:
            wrong = problem(cells[target, scenario])
            fault = faults[target] if wrong else None
            is_declared = fault is not None and _is_of(fault, cells[target, scenario])
            has_failed |= bool(wrong) and not is_declared
            colour, mark = ("yellow", "fault") if is_declared else ("red", "WRONG")
            if not wrong:
                colour, mark = "green", "right"
            out.print(f"[{colour}]{mark}[/]  {target:<16} {scenario}")
            if fault is not None and is_declared:
                wrong = f"its declared fault: {fault.mistake}\n{wrong}"
            if wrong:
                out.print(Text(wrong, colour), soft_wrap=True)
    sys.exit(ExitCode.FAILED if has_failed else ExitCode.OK)


def _is_of(fault: Fault, cell: CellResult) -> bool:
    """Whether a declared fault explains all that has failed; a blocked loop answers right."""
    may_fail = fault.symptom is not Symptom.BLOCKS_LOOP
    return may_fail and bool(cell.rounds) and not failed_of(unexplained(cell, fault))


def problem(cell: CellResult) -> str:
    """The problem with the answers of a cell; empty if there is none."""
    wrong = [f"{kind}: {'; '.join(said)}" for kind, said in cell.error_examples.items()]
    wrong += [sentence(audit.objection) for audit in cell.audits if not audit.ok]
    if not cell.rounds:
        reasons = sentences(cell.validity)
        # Of a target that did not get ready the first line of these is the reason.
        wrong += [*reasons, cell.stderr_tail.removeprefix(reasons[0]).lstrip()]
    return "\n".join(wrong)


def _results(plan: Plan) -> RunResults:
    with TemporaryDirectory(prefix="loopmark-verify-") as made, err.status("starting") as status:
        cells = cells_of(plan)
        request = RunRequest(plan.name, plan, "", cells, scenario_facts(cells))
        carry_out(request, Path(made), _Observer(status))
        return analyse(RunFolder.existing(Path(made) / plan.name))


class _Observer:
    """Shows which cell is being verified."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def run_begins(self, folder: RunFolder) -> None:
        """Nothing to show."""

    def workers_awaited(self, workers: Workers) -> None:
        """Verification has no workers."""

    def rounds_added(self, cells: Sequence[Cell]) -> None:
        """One round of each suffices."""

    def rounds_repeated(self, cells: Sequence[Cell]) -> None:
        """No figure counts here."""

    def round_begins(self, cell: Cell, round_number: int) -> None:  # noqa: ARG002 - the only one
        """Show the cell."""
        self._status.update(f"{cell.target} {cell.scenario}")

    def round_ends(self, cell: Cell, record: RoundRecord) -> None:
        """Results are printed when all cells are done."""

    def block_ends(self) -> None:
        """There is only one."""
