from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.fan_out import FanOut
from loopmark.harness.vocabulary.result import RunResults
from loopmark.reports import sections, series_styles
from loopmark.reports.series_styles import SERIES_STYLES, styles


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
    looks = styles(["blocking-io", "sync", "async", "blocking-db", "sync-one-thread"])
    assert len({(mark.colour, mark.marker) for mark in looks.values()}) == 5
    assert styles(["async"])["async"] == looks["async"] == SERIES_STYLES[0]


def test_several_drivers_of_a_target_share_its_colour_and_differ_in_marker_and_line() -> None:
    drivers = ("native", "httpx", "locust")
    looks = styles(["async", "sync"], dict.fromkeys(("async", "sync"), drivers))
    drawn = [
        series_styles.of(looks, target, one) for target in ("async", "sync") for one in drivers
    ]
    assert len({(one.marker, one.path, str(one.line)) for one in drawn}) == 6
    assert [one.colour for one in drawn] == [1, 1, 1, 2, 2, 2]
    assert drawn[0] == looks["async"]
    # Where nothing else is beside it, a driver changes nothing.
    assert series_styles.of(looks, "async", "websocket") == looks["async"]


def test_every_cell_of_a_series_is_in_its_one_section_by_number_then_target(
    swept: RunResults,
) -> None:
    shuffled = replace(swept, cells=tuple(reversed(swept.cells)))
    series = next(one for one in sections.sections(shuffled) if one.places)
    order = [(series.at(cell), cell.target) for cell in series.cells]
    assert order == [(at, target) for at in (1, 2, 5, 16, 64, 256) for target in ("sync", "async")]
    assert len(series.groups) == 6
    assert [one.target for one in series.series] == ["sync", "async"]
    assert series.swept_heading == "Files open at once"


def test_a_series_under_two_load_models_has_two_sections(swept: RunResults) -> None:
    load = Burst(10)
    one, other = swept.cells[0], swept.cells[2]
    both = tuple(
        replace(cell, load=load, name=f"{cell.scenario}/sync/burst-10/native")
        for cell in (one, other)
    )
    found = sections.sections(replace(swept, cells=(*swept.cells, *both)))
    assert [section.anchor for section in found if section.places] == [
        "sweep-files-limit",
        "sweep-files-limit-burst",
    ]
    assert [len(section.cells) for section in found if section.places] == [12, 2]


def test_fan_outs_are_sorted_by_their_clients(fan_outs: RunResults) -> None:
    first = sections.sections(replace(fan_outs, cells=tuple(reversed(fan_outs.cells))))
    section = next(one for one in first if one.model == "fan-out" and len(one.cells) > 2)
    crowds = [cell.load.clients for cell in section.cells if isinstance(cell.load, FanOut)]
    assert crowds == [10] * 2 + [100] * 2 + [1000] * 6
    assert not section.is_step_by_step
