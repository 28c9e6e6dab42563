from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from harness.vocabulary.result import RunResults
from reports import sections
from reports.marks import MARKS, marks


def test_cells_are_sorted_by_load_then_by_target(many: RunResults) -> None:
    shuffled = replace(many, cells=tuple(reversed(many.cells)))
    for section in sections.sections(shuffled):
        order = [(cell.load.concurrency, cell.target) for cell in section.cells]
        levels = [level for level, _ in order]
        assert levels == sorted(levels)
        assert [target for _, target in order][-2:] == ["sync", "async"]


def test_every_cell_is_in_one_section(many: RunResults) -> None:
    shown = [cell.name for section in sections.sections(many) for cell in section.cells]
    assert sorted(shown) == sorted(cell.name for cell in many.cells)


def test_a_scenario_that_nobody_described_is_called_by_its_name(many: RunResults) -> None:
    titles = [section.title for section in sections.sections(many)]
    assert titles[0] == "The documented timing table"
    assert "crud" in titles


@given(st.lists(st.text(max_size=5)))
def test_ids_are_unique(names: list[str]) -> None:
    found = sections.unique_ids(names)
    assert len(found) == len(set(found)) == len(names)
    assert all(one and " " not in one for one in found)


def test_targets_look_different_and_the_known_ones_always_the_same() -> None:
    looks = marks(["blocking-io", "sync", "async", "blocking-db", "sync-one-thread"])
    assert len({(mark.colour, mark.marker) for mark in looks.values()}) == 5
    assert marks(["async"])["async"] == looks["async"] == MARKS[0]
