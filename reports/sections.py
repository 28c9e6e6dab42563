"""Results in reading order: by scenario, then by load, then by target.

The scenarios of a series, which differ in one number, form one section.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from loopmark.harness.vocabulary.comparison import Comparison, SeriesResult
from loopmark.harness.vocabulary.figures import WorkerUse
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.model import DELIVERY
from loopmark.harness.vocabulary.result import CellResult, RunResults
from loopmark.harness.vocabulary.scenario import ScenarioFacts, Sweep
from loopmark.reports import formatting, wording


@dataclass(frozen=True, slots=True)
class Section:
    """All results of one scenario, or one series, under one load model.

    Attributes:
        anchor: Its id in the page.
        name: Name of the scenario, or of the series.
        title: Its title for readers.
        description: What it measures.
        model: The load model, which decides the main figures.
        cells: In reading order.
        comparisons: Of targets, in reading order.
        places: Of a series: by scenario its place in it.
        series: Of a series: its conclusion.
        disturbances: Of a fan-out: the effect of slow and stalled clients on active ones.
        events: Whether its users receive events.
        bystander: The step that shows what the others cost it; empty without one.
    """

    anchor: str
    name: str
    title: str
    description: str
    model: str
    cells: tuple[CellResult, ...]
    comparisons: tuple[Comparison, ...]
    places: Mapping[str, Sweep]
    series: tuple[SeriesResult, ...]
    disturbances: tuple[Comparison, ...]
    events: bool
    bystander: str

    @property
    def swept(self) -> str:
        """The name of a series's number; empty for a single scenario."""
        return next((place.of for place in self.places.values()), "")

    @property
    def swept_heading(self) -> str:
        """The same as a column heading; names of parameters are unchanged."""
        return self.swept if "_" in self.swept else self.swept[:1].upper() + self.swept[1:]

    def at(self, item: CellResult | Comparison) -> float | None:
        """The number in a series; None outside of any."""
        place = self.places.get(item.scenario)
        return None if place is None else place.at

    def where(self, item: CellResult | Comparison) -> str:
        """The load of a cell or a comparison as text, with the number in its series."""
        load = wording.at_once(item.load)
        at = self.at(item)
        return load if at is None else f"{self.swept} = {formatting.level(at)}, {load}"

    @property
    def fans_out(self) -> bool:
        """Whether its requests are deliveries."""
        return self.load.traits.unit == DELIVERY

    @property
    def main(self) -> tuple[Comparison, ...]:
        """The comparisons of targets in the main metric."""
        return tuple(one for one in self.comparisons if one.metric == self.load.traits.main)

    @property
    def main_disturbances(self) -> tuple[Comparison, ...]:
        """The effects of slow and stalled clients in the main metric."""
        return tuple(one for one in self.disturbances if one.metric == self.load.traits.main)

    @property
    def is_step_by_step(self) -> bool:
        """Whether its steps are the main figures: times of events, or of one beside the others."""
        return (
            (self.events or bool(self.bystander))
            and not self.fans_out
            and any(len(cell.figures_despite(cell.validity).steps) > 1 for cell in self.cells)
        )

    @property
    def steps_note(self) -> str:
        """What the times of its steps are."""
        if self.bystander:
            return f"The times of {self.bystander} show what the requests beside it cost it."
        return "Times of the response and of each event, from the time the request was sent."

    @property
    def load(self) -> Load:
        """One of its loads, for the traits of the model."""
        return self.cells[0].load

    @property
    def groups(self) -> tuple[tuple[CellResult, ...], ...]:
        """The cells of each load, and of each number of a series."""
        found: dict[object, list[CellResult]] = {}
        for cell in self.cells:
            found.setdefault((self.at(cell), cell.load.label), []).append(cell)
        return tuple(tuple(cells) for cells in found.values())

    @property
    def workers(self) -> tuple[tuple[CellResult, WorkerUse], ...]:
        """The workers of distributed drivers, cell by cell."""
        return tuple(
            (cell, worker)
            for cell in self.cells
            for worker in cell.figures_despite(cell.validity).workers
        )

    @property
    def drivers(self) -> tuple[str, ...]:
        """The drivers, each once."""
        return tuple(dict.fromkeys(cell.driver for cell in self.cells))

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets in reading order, each once."""
        return tuple(dict.fromkeys(cell.target for cell in self.cells))

    @property
    def drawn(self) -> tuple[tuple[str, str], ...]:
        """What its charts have lines of: targets and their drivers."""
        return tuple(dict.fromkeys((cell.target, cell.driver) for cell in self.cells))

    @property
    def has_several_drivers(self) -> bool:
        """Whether a target alone does not say which line is meant."""
        return len({driver for _, driver in self.drawn}) > 1


def sections(results: RunResults) -> tuple[Section, ...]:
    """Sort the cells and comparisons of a run into sections, in the plan's order of scenarios."""
    facts = {found.name: found for found in results.run.scenarios}
    names = dict.fromkeys(cell.scenario for cell in results.cells)
    topics = {name: _topic(facts.get(name, ScenarioFacts(name, name, ""))) for name in names}
    keys = dict.fromkeys((topics[cell.scenario], cell.load.model) for cell in results.cells)
    models = Counter(topic for topic, _ in keys)
    anchors = unique_ids(
        f"{kind}-{name}" + (f"-{model}" if models[kind, name] > 1 and model != "closed" else "")
        for (kind, name), model in keys
    )
    found = []
    for (topic, model), anchor in zip(keys, anchors, strict=True):
        of = [facts.get(name, ScenarioFacts(name, name, "")) for name in names]
        found.append(
            _section(
                results,
                anchor,
                model,
                [fact for fact in of if topics[fact.name] == topic],
                with_kind=models[topic] > 1,
            )
        )
    return tuple(found)


def _topic(fact: ScenarioFacts) -> tuple[str, str]:
    return ("scenario", fact.name) if fact.sweep is None else ("sweep", fact.sweep.series)


def _section(
    results: RunResults, anchor: str, model: str, facts: Sequence[ScenarioFacts], *, with_kind: bool
) -> Section:
    """The section of these scenarios: one, or all of a series."""
    order = target_order(results)
    first = facts[0]
    places = {fact.name: fact.sweep for fact in facts if fact.sweep is not None}
    names = {fact.name for fact in facts}

    def place(item: CellResult | Comparison) -> tuple[float, float, str]:
        at = places[item.scenario].at if item.scenario in places else 0.0
        return at, *_load_key(item.load)

    def belongs(item: CellResult | Comparison) -> bool:
        return item.scenario in names and item.load.model == model

    cells = tuple(
        sorted(
            filter(belongs, results.cells),
            key=lambda cell: (*place(cell), order[cell.target]),  # Drivers as the plan has them.
        )
    )
    title = first.title if first.sweep is None else first.sweep.title
    return Section(
        anchor=anchor,
        name=first.name if first.sweep is None else first.sweep.series,
        title=f"{title}: {cells[0].load.words.kind}" if with_kind else title,
        description=_in_common([fact.description for fact in facts]),
        model=model,
        cells=cells,
        comparisons=tuple(sorted(filter(belongs, results.along("target")), key=place)),
        places=places,
        series=tuple(
            one
            for one in results.series
            if first.sweep is not None
            and (one.series, one.load.model) == (first.sweep.series, model)
        ),
        disturbances=tuple(filter(belongs, results.along("disturbance"))),
        events=any(fact.events for fact in facts),
        bystander=next((fact.bystander for fact in facts if fact.bystander), ""),
    )


def _in_common(descriptions: Sequence[str]) -> str:
    """The sentences common to all descriptions: in a series the others name its number."""
    first, *others = descriptions
    if not others:
        return first
    sentences = [one.rstrip(".") for one in first.split(". ")]
    kept = [one for one in sentences if one and all(one in other for other in others)]
    return f"{'. '.join(kept)}." if kept else ""


def several_drivers(results: RunResults) -> bool:
    """Whether tables must name the driver: not if each has scenarios of its own."""
    return any(len(section.drivers) > 1 for section in sections(results))


def target_order(results: RunResults) -> Mapping[str, int]:
    """The position of each target in the plan."""
    names = [target.name for target in results.run.targets]
    names += [cell.target for cell in results.cells]
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def side_by_side(results: RunResults) -> Mapping[str, Sequence[str]]:
    """By target: the drivers that some section shows beside each other, in the plan's order."""
    drivers_of: dict[str, dict[str, None]] = {}
    for section in sections(results):
        if section.has_several_drivers:
            for target, driver in section.drawn:
                drivers_of.setdefault(target, {})[driver] = None
    return {target: list(drivers) for target, drivers in drivers_of.items()}


def doubtful(results: RunResults) -> tuple[CellResult, ...]:
    """The invalid cells, in reading order, without those that are so as they declare."""
    return tuple(
        cell
        for section in sections(results)
        for cell in section.cells
        if not cell.validity.is_valid and not results.is_as_declared(cell)
    )


def with_bad_rounds(results: RunResults) -> tuple[CellResult, ...]:
    """The valid cells of which single rounds do not count, in reading order."""
    return tuple(
        cell
        for section in sections(results)
        for cell in section.cells
        if cell.validity.is_valid and cell.validity.rounds
    )


def unique_ids(names: Iterable[str]) -> list[str]:
    """Make unique ids of names, with only letters, digits and hyphens."""
    found: list[str] = []
    for name in names:
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unnamed"
        taken = set(found)
        candidate, number = slug, 2
        while candidate in taken:
            candidate, number = f"{slug}-{number}", number + 1
        found.append(candidate)
    return found


def _load_key(load: Load) -> tuple[float, str]:
    return load.magnitude, load.label
