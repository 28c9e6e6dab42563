"""Results as Markdown: for a pull request, a wiki or a terminal."""

import re
from collections.abc import Iterable, Sequence

from loopmark.harness.vocabulary.result import CellResult, RunResults
from loopmark.reports import (
    agreement,
    clocks,
    columns,
    formatting,
    headline,
    locustfile,
    objections,
    wording,
)
from loopmark.reports.columns import Column
from loopmark.reports.sections import Section, doubtful, sections, several_drivers

_COSTS = (columns.CPU, columns.DATABASE_CPU, columns.CONNECTIONS)
_COSTS_OF_SWEEP = (columns.FILES, columns.THREADS, columns.LOOP_LAG)
_COSTS_OF_FAN_OUT = (
    columns.CPU_PER_DELIVERY,
    columns.DRIVER_CPU_PER_DELIVERY,
    columns.MEMORY_PER_CONNECTION,
)
_WORDS = frozenset(
    {"Target", "Driver", "Validity", "Scenario", "Load", "Figure", "In words", "Request"}
    | {"Kind of error", "Examples", "Worker", "Clock", "Lost", "Step"}
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
            f"{formatting.moment(run.started)}, {run.machine.cpu}, {run.machine.cores} cores"
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
    several = several_drivers(results)
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
                "; ".join(
                    [f"{cell.name}: {cell.validity.state}", *objections.sentences(cell.validity)]
                )
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
                wording.subject(row.metric, row.load),
                agreement.figure(row.metric, row.base_figure),
                agreement.figure(row.metric, row.other_figure),
                formatting.number(row.ratio),
                formatting.interval(row.ratio_ci),
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
    shown = (*columns.answers(section.load), *columns.present(_costs(section), section.cells))
    headings = [
        *_head(section, several_drivers=several_drivers),
        *(column.heading for column in shown),
        "Validity",
    ]
    rows = [_row(section, cell, shown, several_drivers=several_drivers) for cell in section.cells]
    blocks.append(_table(headings, rows))
    if section.sweeps:
        blocks.append(
            _bullets(wording.sweep_sentence(one, section.swept) for one in section.sweeps)
        )
    disturbed = [
        wording.disturbance_sentence(one)
        for one in section.disturbances
        if one.metric == columns.METRICS.get(section.model)
    ]
    if disturbed:
        blocks.append(_bullets(disturbed))
    if section.is_step_by_step:
        blocks.append(_steps(section))
    if clients := columns.present(columns.CLIENTS, section.cells):
        blocks.append(_figures(section, clients))
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
                f"{section.where(one)}{f', {one.driver}' if several_drivers else ''}: "
                f"{wording.comparison_sentence(one)}"
                for one in main
            )
        )
    return blocks


def _costs(section: Section) -> Sequence[Column]:
    if section.fans_out:
        return _COSTS_OF_FAN_OUT
    return (*_COSTS, *_COSTS_OF_SWEEP) if section.places else _COSTS


def _head(section: Section, *, several_drivers: bool = False) -> list[str]:
    """The headings of the columns that say which cell it is."""
    swept = [section.swept_heading] if section.places else []
    driver = ["Driver"] if several_drivers else []
    return ["Target", *swept, columns.size_heading(section.load), *driver]


def _which(section: Section, cell: CellResult, *, several_drivers: bool = False) -> list[str]:
    """The same of a cell."""
    at = section.at(cell)
    place = [] if at is None else [formatting.level(at)]
    driver = [cell.driver] if several_drivers else []
    return [cell.target, *place, wording.size(cell.load), *driver]


def _times(section: Section) -> str:
    return _figures(section, columns.present(columns.times(section.load), section.cells))


def _figures(section: Section, shown: Sequence[Column]) -> str:
    rows = [
        [
            *_which(section, cell),
            *(column.text(columns.shown(cell)) for column in shown),
            wording.state(cell),
        ]
        for cell in section.cells
    ]
    return _table([*_head(section), *(column.heading for column in shown), "Validity"], rows)


def _steps(section: Section) -> str:
    rows = [
        [*_which(section, cell), step.step, *columns.step_texts(step), wording.state(cell)]
        for cell in section.cells
        for step in columns.shown(cell).steps
    ]
    return _table([*_head(section), "Step", *columns.STEPS, "Validity"], rows)


def _requests(cell: CellResult) -> str:
    rows = [[step.step, *columns.step_texts(step)] for step in columns.shown(cell).steps]
    return _table(["Request", *columns.STEPS], rows)


def _errors(cell: CellResult) -> str:
    rows = [[kind, many, "; ".join(examples)] for kind, many, examples in columns.errors(cell)]
    return _table(["Kind of error", "How many", "Examples"], rows)


def _workers(section: Section) -> str:
    headings = [*_head(section), *columns.WORKERS]
    rows = [
        [*_which(section, cell), *columns.worker_texts(worker)] for cell, worker in section.workers
    ]
    return _table(headings, rows)


def _stages(section: Section) -> str:
    headings = ["Target", "Planned", *columns.stages(section.load), "Validity"]
    rows = [
        [
            cell.target,
            formatting.level(stage.rate),
            *columns.texts_of_stage(section.load, stage),
            wording.state(cell),
        ]
        for cell in section.cells
        for stage in columns.shown(cell).stages
    ]
    return _table(headings, rows)


def _row(
    section: Section, cell: CellResult, shown: Sequence[Column], *, several_drivers: bool
) -> list[str]:
    measured = columns.shown(cell)
    figures = [
        f"{column.text(measured)} ({within})"
        if (within := column.interval(measured))
        else column.text(measured)
        for column in shown
    ]
    which = _which(section, cell, several_drivers=several_drivers)
    return [*which, *figures, wording.state(cell)]


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
