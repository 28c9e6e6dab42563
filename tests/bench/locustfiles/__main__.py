"""What plain locustfiles say, and Locust's own examples: `python -m tests.bench.locustfiles`.

Writes docs/locust-accuracy.md, and the raw data under results/bench-locustfiles/.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import median

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loopmark.harness.launch.process_reaper import reaped, temporary_folder
from tests.bench.locustfiles.examples import EXAMPLES, example_run
from tests.bench.locustfiles.plain import CLIENTS, SHARES, PlainRun, plain_run
from tests.bench.locustfiles.runs import ROOT, Found

PAGE = ROOT / "docs" / "locust-accuracy.md"
RESULTS = ROOT / "results" / "bench-locustfiles"
INTERRUPTED = 130

MARKDOWN = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        rates: Requests per second of the plain file.
        rounds: Runs at each of them, with each client.
        seconds: Of each of these runs.
        example_seconds: Of the run of each example.
    """

    rates: Sequence[float] = (25, 50, 100, 200, 300, 400, 600)
    rounds: int = 3
    seconds: int = 10
    example_seconds: int = 30


QUICK = Plan(rates=(50,), rounds=1, seconds=2, example_seconds=3)


@dataclass(frozen=True)
class Outcome:
    """All of it."""

    started: str
    plan: Plan
    plain: Sequence[PlainRun]
    examples: Sequence[tuple[str, Found]]


def main() -> None:
    chosen = _parser().parse_args()
    plan = QUICK if chosen.quick else Plan()
    if chosen.rounds is not None:
        plan = Plan(rounds=chosen.rounds)
    started = datetime.now(UTC)
    with reaped() as token:
        folder = temporary_folder(token, "locustfiles")
        plain = list(_plain(plan, folder))
        examples = list(_examples(plan, folder, chosen.examples)) if chosen.examples else []
    outcome = Outcome(started.isoformat(), plan, plain, examples)
    out = RESULTS / f"{started:%Y%m%dT%H%M%SZ}"
    out.mkdir(parents=True, exist_ok=True)
    (out / "locustfiles.json").write_text(json.dumps(asdict(outcome), indent=1), encoding="utf-8")
    text = page(outcome)
    (out / "locust-accuracy.md").write_text(text, encoding="utf-8")
    if not chosen.quick:
        PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{text}\n{out}\n")


def page(outcome: Outcome) -> str:
    """Everything, as `docs/locust-accuracy.md`."""
    MARKDOWN.filters.update(number=_number, percent=_percent)
    text = MARKDOWN.get_template("page.md.jinja").render(
        day=outcome.started[:10],
        plan=outcome.plan,
        lines=[
            _line(client, [one for one in outcome.plain if one.is_of(client, rate)])
            for client in CLIENTS
            for rate in outcome.plan.rates
        ],
        examples=outcome.examples,
        valid=sum(found.state == "valid" for _, found in outcome.examples),
    )
    return f"{text.rstrip()}\n"


def _plain(plan: Plan, folder: Path) -> Iterator[PlainRun]:
    for number in range(plan.rounds):
        order = [(client, rate) for client in CLIENTS for rate in plan.rates]
        Random(number).shuffle(order)
        for client, rate in order:
            done = plain_run(client, rate, plan.seconds, folder)
            sys.stderr.write(f"{client} {rate}/s: {done.found.told}\n")
            yield done


def _examples(plan: Plan, folder: Path, where: Path) -> Iterator[tuple[str, Found]]:
    for name in EXAMPLES:
        found = example_run(where / name, plan.example_seconds, folder)
        sys.stderr.write(f"{name}: {found.told}\n")
        yield name, found


def _line(client: str, runs: Sequence[PlainRun]) -> dict[str, object]:
    """A row of the table: medians over the runs."""
    errors = {p: _median([one.error_ms[p] for one in runs]) for p in SHARES}
    cpu_ms = _median([one.found.cpu_ms for one in runs])
    return {
        "client": client,
        "throughput": _median([one.found.throughput for one in runs]),
        "errors": errors,
        "cpu_ms": cpu_ms,
        "times": errors["p50"] / cpu_ms if errors["p50"] is not None and cpu_ms else None,
        "cpu_fraction": _median([one.found.cpu_fraction for one in runs]),
        "lag_ms": _median([one.found.lag_ms for one in runs]),
        "judged": ", ".join(sorted({one.found.state for one in runs})),
    }


def _median(values: Sequence[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return median(known) if known else None


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.locustfiles", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="does it work? Writes no page")
    parser.add_argument("--rounds", type=int, help=f"default {Plan().rounds}")
    parser.add_argument(
        "--examples", type=Path, help="the folder `examples` of a checkout of Locust"
    )
    return parser


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
