"""The metrics: that every row holds what tables, comparisons and data formats ask of it."""

from __future__ import annotations

from typing import get_args

import pytest

from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.metrics import METRICS, Form, TableName, metric, table
from loopmark.reports import columns, formatting
from tests.harness.builders import (
    burst,
    cell,
    cell_result,
    closed,
    fan_out,
    fan_out_steps,
    open_,
    population,
    ramp,
    round_result,
    steps,
)

LOADS = (burst(), closed(), open_(), steps(), ramp(), fan_out(), fan_out_steps(), population())


def test_every_form_can_be_printed() -> None:
    assert set(get_args(Form)) - {"knee", "part", "words"} <= set(formatting.FORMS)


def test_names_of_columns_are_unique() -> None:
    names = [name for one in METRICS.values() for name in one.columns]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.model)
def test_what_a_load_is_compared_in_has_rounds_a_direction_and_words(load: Load) -> None:
    traits = load.traits
    for key in {*traits.compared, *traits.agreed, *([traits.main] if traits.main else [])}:
        found = metric(key, traits)
        assert found.of_round is not None
        assert found.better
        assert found.subject
        assert "{times}" in found.ratio
    assert metric(traits.headline, traits).short
    assert metric(traits.headline, traits) in {*table("answers", traits)}


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.model)
@pytest.mark.parametrize("name", get_args(TableName))
def test_every_column_of_a_table_has_a_heading_and_a_text(load: Load, name: TableName) -> None:
    figures = cell_result(cell(load=load), [round_result()]).unjudged
    shown = table(name, load.traits)
    assert len({one.key for one in shown}) == len(shown)
    for one in shown:
        assert one.heading
        assert columns.text(one, figures)


def test_an_answer_and_a_delivery_are_worded_each_in_its_way() -> None:
    one, other = (metric("cpu_ms_per_request", load.traits) for load in (closed(), fan_out()))
    assert (one.heading, other.heading) == ("CPU per request", "CPU per delivery")
    assert (columns.printed(one, 0.25), columns.printed(other, 0.25)) == ("0.250 ms", "250 µs")
    assert one.columns == other.columns
