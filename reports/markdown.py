"""Results as Markdown: for a pull request, a wiki or a terminal."""

import re
from collections.abc import Iterable, Sequence

from harness.vocabulary.result import CellResult, RunResults
from reports import agreement, clocks, columns, headline, locustfile, quantities, wording
from reports.columns import Column
from reports.sections import Section, doubtful, sections

_COSTS = (columns.CPU, columns.DATABASE_CPU, columns.CONNECTIONS)
_WORDS = frozenset(
    {"Target", "Driver", "Validity", "Scenario", "Load", "Figure", "In words", "Request"}
    | {"Kind of error", "Examples", "Worker", "Clock", "Lost"}
)
"""Headings of columns that hold no figures."""

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~&])")


def render(results: RunResults) -> str:
    """The results as GitHub-flavoured Markdown."""
    run = results.run
    blocks = [
        f"# {_escaped(run.title)}",
        _escaped(
            f"Run {run.run_id}, {f'plan {run.plan}, ' if run.locustfile is None else ''}"
            f"{quantities.moment(run.started)}, {run.machine.cpu}, {run.machine.cores} cores"
            f"{_workers_asked_for(run.workers)}."
        ),
        *_warnings(results),
        f"**{_escaped(headline.answer(results))}**",
        _bullets(headline.sentences(results)),
    ]
    if run.locustfile is not None:
        facts = locustfile.facts(run.locustfile, results)
        blocks.append(_bullets(f"{name}: {value}" for name, value in facts))
    blocks += _agreement(results)
    several = len({cell.driver for cell in results.cells}) > 1
    for section in sections(results):
        blocks += _section(section, several_drivers=several)
    if run.locustfile is not None:
        blocks += ["## The locustfile's own text", _code(run.locustfile.text)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _warnings(results: RunResults) -> list[str]:
    blocks = []
    if results.run.interrupted:
        blocks.append(f"**This run was interrupted: {wording.interrupted(results.run)}.**")
    if cells := doubtful(results):
        blocks.append(f"**{len(cells)} of {len(results.cells)} cells may not be believed:**")
        blocks.append(
            _bullets(
                f"{cell.name}: {'; '.join([cell.validity.state, *cell.validity.reasons])}"
                for cell in cells
            )
        )
    return blocks


def _workers_asked_for(workers: int) -> str:
    return "" if not workers else f", {workers} worker{'s' if workers > 1 else ''}"


def _agreement(results: RunResults) -> list[str]:
    blocks = [f"## {agreement.TITLE}"] if results.agreements else []
    for pair in agreement.driver_pairs(results):
        headings = ["Scenario", "Target", "Load", "Figure", pair.base, pair.other]
        headings += ["Ratio", "95% interval", "In words"]
        rows = [
            [
                group.title,
                row.target,
                wording.at_once(row.load),
                wording.subject(row.metric),
                agreement.figure(row.metric, row.base_figure),
                agreement.figure(row.metric, row.other_figure),
                quantities.number(row.ratio),
                quantities.interval(row.ratio_ci),
                agreement.words(row),
            ]
            for group in pair.groups
            for row in group.rows
        ]
        blocks.append(_table(headings, rows))
    return blocks


def _section(section: Section, *, several_drivers: bool) -> list[str]:
    blocks = [f"## {_escaped(section.title)}"]
    if section.description:
        blocks.append(_escaped(section.description))
    shown = (*columns.answers(section.load), *columns.present(_COSTS, section.cells))
    headings = [
        "Target",
        columns.size_heading(section.load),
        *(column.heading for column in shown),
        "Validity",
    ]
    if several_drivers:
        headings.insert(2, "Driver")
    rows = [_row(cell, shown, several_drivers=several_drivers) for cell in section.cells]
    blocks.append(_table(headings, rows))
    if any(columns.shown(cell).stages for cell in section.cells):
        blocks.append(_stages(section))
        blocks.append(_bullets(wording.knee_sentence(cell) for cell in section.cells))
    if section.model == "population":
        blocks += [_requests(cell) for cell in section.cells]
        blocks += [_errors(cell) for cell in section.cells if columns.errors(cell)]
    if section.workers:
        blocks += [_workers(section), _bullets(clocks.notes([one for _, one in section.workers]))]
    blocks.append(_times(section))
    metric = columns.METRICS.get(section.model)
    main = [one for one in section.comparisons if one.metric == metric]
    if main:
        blocks.append(
            _bullets(
                f"{wording.at_once(one.load)}{f', {one.driver}' if several_drivers else ''}: "
                f"{wording.comparison_sentence(one)}"
                for one in main
            )
        )
    return blocks


def _times(section: Section) -> str:
    shown = columns.present(columns.TIMES, section.cells)
    headings = ["Target", columns.size_heading(section.load)]
    headings += [column.heading for column in shown]
    rows = [
        [
            cell.target,
            wording.size(cell.load),
            *(column.text(columns.shown(cell)) for column in shown),
            wording.state(cell),
        ]
        for cell in section.cells
    ]
    return _table([*headings, "Validity"], rows)


def _requests(cell: CellResult) -> str:
    rows = [[step.step, *columns.step_texts(step)] for step in columns.shown(cell).steps]
    return _table(["Request", *columns.STEPS], rows)


def _errors(cell: CellResult) -> str:
    rows = [[kind, many, "; ".join(examples)] for kind, many, examples in columns.errors(cell)]
    return _table(["Kind of error", "How many", "Examples"], rows)


def _workers(section: Section) -> str:
    headings = ["Target", columns.size_heading(section.load), *columns.WORKERS]
    rows = [
        [cell.target, wording.size(cell.load), *columns.worker_texts(worker)]
        for cell, worker in section.workers
    ]
    return _table(headings, rows)


def _stages(section: Section) -> str:
    headings = ["Target", "Planned", *columns.STAGES, "Validity"]
    rows = [
        [
            cell.target,
            quantities.level(stage.rate),
            *columns.stage_texts(stage),
            wording.state(cell),
        ]
        for cell in section.cells
        for stage in columns.shown(cell).stages
    ]
    return _table(headings, rows)


def _row(cell: CellResult, shown: Sequence[Column], *, several_drivers: bool) -> list[str]:
    measured = columns.shown(cell)
    figures = [
        f"{column.text(measured)} ({within})"
        if (within := column.interval(measured))
        else column.text(measured)
        for column in shown
    ]
    found = [cell.target, wording.size(cell.load), *figures, wording.state(cell)]
    if several_drivers:
        found.insert(2, cell.driver)
    return found


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    # Figures to the right, words to the left.
    rule = ["---" if name in _WORDS else "---:" for name in headings]
    lines = [_line(headings), f"| {' | '.join(rule)} |", *map(_line, rows)]
    return "\n".join(lines)


def _line(texts: Iterable[str]) -> str:
    return f"| {' | '.join(map(_escaped, texts))} |"


def _bullets(texts: Iterable[str]) -> str:
    return "\n".join(f"- {_escaped(text)}" for text in texts)


def _code(text: str) -> str:
    """A block of code; its fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}python\n{text.rstrip()}\n{fence}"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
