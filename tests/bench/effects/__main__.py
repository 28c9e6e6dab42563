"""What one thing does, each variant against its twin: `python -m tests.bench.effects`.

Writes docs/bias.md, and the raw data under results/bench-effects/.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import TypeAdapter

from loopmark.targets.catalog import CONNECTION_TESTS, VARIANTS
from tests.bench.conclusions.runs import ROOT, Answer, Concluded, concluded
from tests.targets.database_work import REQUESTS

HERE = Path(__file__).parent
PAGE = ROOT / "docs" / "bias.md"
RESULTS = ROOT / "results" / "bench-effects"

MARKDOWN = Environment(
    loader=FileSystemLoader(HERE), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--of", type=Path, help="write the page anew, of the run in this folder")
    chosen = parser.parse_args()
    if chosen.of is not None:
        kept = (chosen.of / "run.json").read_text(encoding="utf-8")
        PAGE.write_text(page(TypeAdapter(Concluded).validate_json(kept)), encoding="utf-8")
        return 0
    folder = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    run = concluded("quiet", [str(HERE / "effects.toml")], folder)
    (folder / "run.json").write_text(json.dumps(asdict(run), indent=1), encoding="utf-8")
    PAGE.write_text(page(run), encoding="utf-8")
    return run.exit_code


def page(run: Concluded) -> str:
    """The page, with the effects as measured."""
    with_driver = {
        driver: ", ".join(
            name
            for name, row in VARIANTS.items()
            if row.database_driver == driver and row.pool_pre_ping and row.fault is None
        )
        for driver in CONNECTION_TESTS
    }
    return MARKDOWN.get_template("bias.md.jinja").render(
        written=f"{datetime.now(UTC):%Y-%m-%d}",
        requests=[
            (
                f"`{one.endpoint.method} {one.endpoint.path}`"
                + (f" ({one.case})" * bool(one.case)),
                one.statements,
            )
            for one in REQUESTS
        ],
        tests=[(driver, with_driver[driver], test) for driver, test in CONNECTION_TESTS.items()],
        fewest=min(answer.pairs for answer in run.answers if answer.has_interval),
        rows=[_row(answer) for answer in run.answers],
        threads=next(filter(_is_of_threads, run.answers), None),
    )


def _is_of_threads(answer: Answer) -> bool:
    """Whether it shows what more threads do to requests that compute."""
    _, _, differs = answer.question.partition(": ")
    is_shown = answer.has_interval and answer.excludes_one
    return is_shown and (differs, answer.metric) == (THREADS, "throughput_rps")


@dataclass(frozen=True)
class _Row:
    what: str
    figure: str
    load: str
    ratio: str
    pairs: int


def _row(answer: Answer) -> _Row:
    where, _, differs = answer.question.partition(": ")
    return _Row(
        what=WHAT[differs],
        figure=FIGURES[answer.metric],
        load=where,
        ratio=answer.figures,
        pairs=answer.pairs,
    )


THREADS = "sync-threads-100 against sync"

WHAT = {
    "async against async-no-ping": "async, with the test of connections",
    "sync against sync-no-ping": "sync, with the test of connections",
    "async-no-ping against sync-no-ping": "async against sync, neither tests connections",
    "async against async-psycopg": "async, asyncpg against psycopg",
    "async-psycopg against sync": "async against sync, both on psycopg",
    "async-depends against async": "async, dependencies instead of one transaction in the handler",
    "sync-depends against sync": "sync, dependencies instead of one transaction in the handler",
    THREADS: "sync, 100 threads against 40",
    "async against sync": "async against sync, each request asks another service",
    "async-middleware against async": "async, behind a middleware that adds a header",
    "async-plain against async": "async, events and uploads as tutorials have them",
    "sync-cold against sync": "sync, the first requests after a start without warm pools",
    "async-cold against async": "async, the first requests after a start without warm pools",
}
"""What two variants differ in."""

FIGURES = {
    "throughput_rps": "requests per second",
    "cpu_ms_per_request": "CPU per request",
    "makespan_s": "time to the last response",
    "latency_ms.p50": "median latency",
}


if __name__ == "__main__":
    sys.exit(main())
