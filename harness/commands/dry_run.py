"""What a run would measure: `loopmark run --dry-run`."""

from __future__ import annotations

from loopmark.harness.commands.console import out, print_rows
from loopmark.harness.commands.run_time import minutes
from loopmark.harness.planning.plan import expected_seconds
from loopmark.harness.run.request import RunRequest
from loopmark.harness.run.reserve import whole_reserve_s
from loopmark.reports import formatting


def show(request: RunRequest) -> None:
    """Print the cells, their rounds, and about how long the run would take."""
    print_rows(
        f"Cells of {request.plan.name}",
        ((one.name, f"{one.rounds} x {one.load.planned_s:g} s") for one in request.cells),
    )
    rounds = sum(cell.rounds for cell in request.cells)
    cells = formatting.many(len(request.cells), "cell")
    counts = f"{cells}, {formatting.many(rounds, 'round')}"
    expected = minutes(expected_seconds(request.cells))
    if request.budget_s is None:
        out.print(f"{counts}: about {expected}")
    else:
        asked = formatting.many(len(request.questions), "question")
        out.print(
            f"{counts} for {asked}: about {expected}, then more rounds where ratios are known "
            f"least, until {minutes(request.budget_s)}"
        )
    if reserve_s := whole_reserve_s(request):
        out.print(f"Repeating disturbed rounds may add up to {minutes(reserve_s)}")
