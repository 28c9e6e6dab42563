"""Results in the order in which they are read: by scenario, within it by load, then by target."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.vocabulary.load import Burst, Closed, Load, Open, Population, Ramp, Steps
from harness.vocabulary.result import (
    CellResult,
    Comparison,
    RunResults,
    ScenarioFacts,
    WorkerUse,
)


@dataclass(frozen=True, slots=True)
class Section:
    """One scenario and everything that was measured of it under one load model.

    Attributes:
        anchor: Its id in the page.
        name: Name of the scenario.
        title: What it is called for readers.
        description: What it asks.
        model: The load model; it decides what counts.
        cells: In reading order.
        comparisons: In reading order.
    """

    anchor: str
    name: str
    title: str
    description: str
    model: str
    cells: tuple[CellResult, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def load(self) -> Load:
        """One of its loads, to tell the model by."""
        return self.cells[0].load

    @property
    def groups(self) -> tuple[tuple[CellResult, ...], ...]:
        """The cells of each load."""
        labels = dict.fromkeys(cell.load.label for cell in self.cells)
        return tuple(
            tuple(cell for cell in self.cells if cell.load.label == label) for label in labels
        )

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


def sections(results: RunResults) -> tuple[Section, ...]:
    """Sort the cells and comparisons of a run into sections, in the plan's order of scenarios."""
    facts = {found.name: found for found in results.scenarios}
    order = target_order(results)
    keys = dict.fromkeys((cell.scenario, cell.load.model) for cell in results.cells)
    models = Counter(name for name, _ in keys)
    names = [
        f"scenario-{name}" + (f"-{model}" if models[name] > 1 and model != "closed" else "")
        for name, model in keys
    ]
    found = []
    for (name, model), anchor in zip(keys, unique_ids(names), strict=True):
        fact = facts.get(name, ScenarioFacts(name, name, ""))
        suffix = f": {_MODELS[model]}" if models[name] > 1 else ""
        found.append(
            Section(
                anchor=anchor,
                name=name,
                title=fact.title + suffix,
                description=fact.description,
                model=model,
                cells=tuple(
                    sorted(
                        (cell for cell in results.cells if _belongs(cell, name, model)),
                        key=lambda cell: (*_load_key(cell.load), order[cell.target], cell.driver),
                    )
                ),
                comparisons=tuple(
                    sorted(
                        (one for one in results.comparisons if _belongs(one, name, model)),
                        key=lambda one: _load_key(one.load),
                    )
                ),
            )
        )
    return tuple(found)


def target_order(results: RunResults) -> Mapping[str, int]:
    """The place of each target: as in the plan."""
    names = [target.name for target in results.targets]
    names += [cell.target for cell in results.cells]
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def doubtful(results: RunResults) -> tuple[CellResult, ...]:
    """The cells that may not be believed, in reading order."""
    return tuple(
        cell
        for section in sections(results)
        for cell in section.cells
        if not cell.validity.is_valid
    )


def unique_ids(names: Iterable[str]) -> list[str]:
    """Make ids of names: only letters, digits and hyphens, and none twice."""
    found: list[str] = []
    for name in names:
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unnamed"
        taken = set(found)
        candidate, number = slug, 2
        while candidate in taken:
            candidate, number = f"{slug}-{number}", number + 1
        found.append(candidate)
    return found


def size(load: Load) -> float:
    """How large a load is, among those of its model."""
    match load:
        case Burst() | Closed():
            return load.concurrency
        case Open():
            return load.rate
        case Steps():
            return max(load.rates)
        case Ramp():
            return max(load.from_rate, load.to_rate)
        case Population():
            return load.users or 0  # With a shape it is not known.


_MODELS = {
    "burst": "in one burst",
    "closed": "steadily",
    "open": "at a constant rate",
    "steps": "step by step",
    "ramp": "up a ramp",
    "population": "by the users of a locustfile",
}


def _belongs(item: CellResult | Comparison, name: str, model: str) -> bool:
    return item.scenario == name and item.load.model == model


def _load_key(load: Load) -> tuple[float, str]:
    return size(load), load.label
