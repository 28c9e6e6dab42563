"""Results in the order in which they are read: by scenario, within it by load, then by target."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.vocabulary.load import Burst, Load
from harness.vocabulary.result import CellResult, Comparison, RunResults, ScenarioFacts


@dataclass(frozen=True, slots=True)
class Section:
    """One scenario and everything that was measured of it under one load model.

    Attributes:
        anchor: Its id in the page.
        name: Name of the scenario.
        title: What it is called for readers.
        description: What it asks.
        burst: Whether its loads are bursts: then the makespan counts, else the throughput.
        cells: In reading order.
        comparisons: In reading order.
    """

    anchor: str
    name: str
    title: str
    description: str
    burst: bool
    cells: tuple[CellResult, ...]
    comparisons: tuple[Comparison, ...]

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
    keys = dict.fromkeys((cell.scenario, isinstance(cell.load, Burst)) for cell in results.cells)
    mixed = {name for name, burst in keys if (name, not burst) in keys}
    names = [f"scenario-{name}{'-burst' * (burst and name in mixed)}" for name, burst in keys]
    found = []
    for (name, burst), anchor in zip(keys, unique_ids(names), strict=True):
        fact = facts.get(name, ScenarioFacts(name, name, ""))
        suffix = (": in one burst" if burst else ": steadily") if name in mixed else ""
        found.append(
            Section(
                anchor=anchor,
                name=name,
                title=fact.title + suffix,
                description=fact.description,
                burst=burst,
                cells=tuple(
                    sorted(
                        (cell for cell in results.cells if _belongs(cell, name, burst=burst)),
                        key=lambda cell: (*_load_key(cell.load), order[cell.target], cell.driver),
                    )
                ),
                comparisons=tuple(
                    sorted(
                        (one for one in results.comparisons if _belongs(one, name, burst=burst)),
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


def _belongs(item: CellResult | Comparison, name: str, *, burst: bool) -> bool:
    return item.scenario == name and isinstance(item.load, Burst) == burst


def _load_key(load: Load) -> tuple[int, str]:
    return load.concurrency, load.label
