"""Results as Markdown: for a pull request, a wiki or a terminal."""

import re
from collections.abc import Iterable, Sequence

from loopmark.harness.vocabulary.metrics import Metric
from loopmark.harness.vocabulary.record import Pinning
from loopmark.harness.vocabulary.result import CellResult, RunResults
from loopmark.reports import (
    agreement,
    answer,
    blocking,
    clocks,
    columns,
    conditions,
    formatting,
    headline,
    measured,
    objections,
    pitfalls,
    questions,
    wording,
)
from loopmark.reports.sections import (
    Section,
    doubtful,
    sections,
    several_drivers,
    with_bad_rounds,
)

_COSTS = ("cpu_ms_per_request", "database_cpu_ms_per_request", "database_connections")
_COSTS_OF_SERIES = (*_COSTS, "target_files", "target_threads", "target_loop_lag_p99_ms")
_COSTS_OF_FAN_OUT = (
    *("cpu_ms_per_request", "fan_out_driver_cpu_us", "fan_out_kib_per_connection"),
)
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~&])")


def render(results: RunResults) -> str:
    """The results as GitHub-flavoured Markdown."""
    run = results.run
    blocks = [
        f"# {_escaped(run.title)}",
        _escaped(
            f"Run {run.run_id}, {f'plan {run.plan}, ' if run.plan_toml else ''}"
            f"{formatting.moment(run.started)}, {run.machine.cpu}, {run.machine.cores} cores"
            f"{_worker_count(run.workers)}."
        ),
        f"**{_escaped(answer.text(results))}**",
        *_warnings(results),
        *_questions(results),
        _bullets(headline.sentences(results)),
    ]
    blocks += _pitfalls(results)
    blocks += _blocking(results)
    blocks.append(_bullets(f"{name}: {value}" for name, value in measured.facts(run)))
    blocks += _agreement(results)
    several = several_drivers(results)
    for section in sections(results):
        blocks += _section(section, run.pinning, several_drivers=several)
    for file in run.locustfiles:
        blocks += ["## The locustfile", _code(file.text)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _warnings(results: RunResults) -> list[str]:
    blocks = []
    if results.run.interrupted:
        blocks.append(f"**This run was interrupted: {wording.interrupted(results.run)}.**")
    if cells := doubtful(results):
        blocks += _folded(
            wording.invalid_by_state(results.unexpected),
            (
                "; ".join(
                    [
                        f"{cell.name}: {wording.states(cell.validity)}",
                        *objections.sentences(cell.validity),
                    ]
                )
                for cell in cells
            ),
        )
    if cells := with_bad_rounds(results):
        blocks.append(f"{wording.bad_rounds(cells)}:")
        blocks.append(
            _bullets(
                f"{cell.name}: {'; '.join(objections.of_rounds(cell.validity))}" for cell in cells
            )
        )
    return [*blocks, *map(_escaped, conditions.said(results))]


def _folded(summary: str, texts: Iterable[str]) -> list[str]:
    """A list below one line, which opens it."""
    return [f"<details><summary>{_escaped(summary)}</summary>", _bullets(texts), "</details>"]


def _questions(results: RunResults) -> list[str]:
    """All questions with their answers."""
    asked = questions.rows(results.run, results.questions)
    if not asked:
        return []
    said = (_escaped(questions.settled(asked)), _escaped(questions.by_chance(asked)))
    lines = [f"{one[:1].upper()}{one[1:]}." for one in said if one]
    if any(row.has_one_pair for row in asked):
        lines.append(f"{questions.ONE_PAIR[:1].upper()}{questions.ONE_PAIR[1:]}.")
    topics = list(dict.fromkeys(row.topic for row in asked))
    rows = [
        [row.title, row.load, questions.verdict(row)]
        for row in sorted(asked, key=lambda row: topics.index(row.topic))
    ]
    return [_table(["Scenario", "Load", "Answer"], rows), " ".join(lines)]


def _pitfalls(results: RunResults) -> list[str]:
    """The declared mistakes, a line each."""
    found = pitfalls.rows(results)
    lines = [
        [row.target, row.mistake, f"{row.load}: {row.symptom}", pitfalls.SHOWING[row.showing]]
        for row in found
    ]
    headings = ["Target", "Mistake", "Symptom, as measured", "Showing"]
    return [f"## {pitfalls.TITLE}", _table(headings, lines)] if found else []


def _blocking(results: RunResults) -> list[str]:
    """The lines that block event loops, of targets that were watched."""
    said = blocking.sentences(results)
    if not said:
        return []
    lines = [
        [row.cell, row.line, row.why if row.recurs else f"{row.why} (once)", row.times, row.worst]
        for row in blocking.rows(results)
    ]
    table = [_table(["Cell", "Line", "Why", "Times", "Worst, ms"], lines)] if lines else []
    return [f"## {blocking.TITLE}", " ".join(map(_escaped, said)), *table]


def _worker_count(workers: int) -> str:
    return "" if not workers else f", {workers} worker{'s' if workers > 1 else ''}"


def _agreement(results: RunResults) -> list[str]:
    blocks = [f"## {agreement.TITLE}"] if results.along("driver") else []
    for pair in agreement.driver_pairs(results):
        headings = ["Scenario", "Target", "Load", "Figure", pair.base, pair.other]
        headings += ["Ratio", "95% interval", "In words"]
        rows = [
            [
                group.title,
                row.target,
                wording.at_once(row.load),
                wording.subject(row.metric, row.load),
                *agreement.figures(row),
                formatting.number(row.ratio),
                formatting.ratio_interval(row.ratio_ci),
                agreement.words(row),
            ]
            for group in pair.groups
            for row in group.rows
        ]
        blocks.append(_table(headings, rows))
    return blocks


def _section(section: Section, pinning: Pinning, *, several_drivers: bool) -> list[str]:
    blocks = [f"## {_escaped(section.title)}"]
    if section.description:
        blocks.append(_escaped(section.description))
    shown = (*columns.answers(section.load), *_costs(section))
    headings = [
        *_head(section, several_drivers=several_drivers),
        *(column.heading for column in shown),
        "Validity",
    ]
    rows = [_row(section, cell, shown, several_drivers=several_drivers) for cell in section.cells]
    blocks.append(_table(headings, rows))
    blocks.append(
        _bullets(
            f"{wording.cell_label(cell, driver=several_drivers)}: {text}"
            for cell, text in conditions.of_cells(section.cells, pinning)
        )
    )
    if section.series:
        blocks.append(
            _bullets(wording.series_sentence(one, section.swept) for one in section.series)
        )
    blocks.append(_bullets(map(wording.disturbance_sentence, section.main_disturbances)))
    if section.is_step_by_step:
        blocks.append(_steps(section))
    if clients := columns.table("clients", section.cells):
        blocks.append(_figures(section, clients))
    if any(columns.shown(cell).stages for cell in section.cells):
        blocks.append(_stages(section))
        blocks.append(_bullets(wording.knee_sentence(cell) for cell in section.cells))
    if not section.load.traits.has_dues:
        blocks += [_requests(cell) for cell in section.cells]
        blocks += [_errors(cell) for cell in section.cells if columns.errors(cell)]
    else:
        blocks.append(
            _bullets(
                f"{wording.cell_label(cell, driver=several_drivers)} failed: {told}"
                for cell in section.cells
                if (told := columns.several_errors(cell))
            )
        )
    if section.workers:
        blocks += [_workers(section), _bullets(clocks.notes([one for _, one in section.workers]))]
    blocks.append(_times(section))
    blocks.append(
        _bullets(
            f"{section.where(one)}{f', {one.driver}' if several_drivers else ''}: "
            f"{wording.comparison_sentence(one)}"
            for one in section.main
        )
    )
    return blocks


def _costs(section: Section) -> Sequence[Metric]:
    keys = _COSTS_OF_SERIES if section.places else _COSTS
    if section.fans_out:
        keys = _COSTS_OF_FAN_OUT
    return columns.present([columns.metric(key, section.load) for key in keys], section.cells)


def _head(section: Section, *, several_drivers: bool = False) -> list[str]:
    """The headings of the columns that identify the cell."""
    swept = [section.swept_heading] if section.places else []
    driver = ["Driver"] if several_drivers else []
    return ["Target", *swept, section.load.words.heading, *driver]


def _which(section: Section, cell: CellResult, *, several_drivers: bool = False) -> list[str]:
    """The values of these columns for a cell."""
    at = section.at(cell)
    place = [] if at is None else [formatting.level(at)]
    driver = [cell.driver] if several_drivers else []
    return [cell.target, *place, wording.size(cell.load), *driver]


def _times(section: Section) -> str:
    return _figures(section, columns.table("times", section.cells))


def _figures(section: Section, shown: Sequence[Metric]) -> str:
    rows = [
        [
            *_which(section, cell),
            *(columns.text(column, columns.shown(cell)) for column in shown),
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
            *columns.stage_texts(section.load, stage),
            wording.state(cell),
        ]
        for cell in section.cells
        for stage in columns.shown(cell).stages
    ]
    return _table(headings, rows)


def _row(
    section: Section, cell: CellResult, shown: Sequence[Metric], *, several_drivers: bool
) -> list[str]:
    measured = columns.shown(cell)
    figures = [
        f"{columns.text(column, measured)} ({within})"
        if (within := columns.interval(column, measured))
        else columns.text(column, measured)
        for column in shown
    ]
    which = _which(section, cell, several_drivers=several_drivers)
    return [*which, *figures, wording.state(cell)]


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    # Figures to the right, words to the left.
    rule = ["---" if name in columns.WORDS else "---:" for name in headings]
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
