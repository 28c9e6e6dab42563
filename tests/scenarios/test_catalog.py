"""The catalogue of scenarios: names, words, and audits that agree with what the flows do."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from random import Random

import pytest

from loopmark.harness.vocabulary.flow import VirtualUser
from loopmark.harness.vocabulary.scenario import Scenario
from loopmark.scenarios.catalog import SCENARIOS, USERS, WITHOUT_RESOURCE
from loopmark.scenarios.event_scenarios import ANALYSED, RESOURCE_ROWS
from loopmark.scenarios.file_flows import FILES
from loopmark.scenarios.flows import INNOCENT
from tests.scenarios.fake_target import FakeTarget, requests_of

PASSES = 60
COMPUTING = {"answer", "process-files"}
"""Steps that post data to be processed and leave no row."""

every_scenario = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=list(SCENARIOS))
plan_files = sorted(
    (
        path
        for path in (files("loopmark.scenarios") / "plans").iterdir()
        if path.name.endswith(".toml")
    ),
    key=lambda path: path.name,
)


def virtual_user(number: int) -> VirtualUser:
    return VirtualUser(number, "token", Random(number))


def methods(scenario: Scenario) -> dict[str, str]:
    """The steps that the flow takes, with the method of each."""
    target = FakeTarget()
    return {
        request.step: request.method
        for number in range(PASSES)
        for request in requests_of(scenario, virtual_user(number), target)
    }


def rows(target: FakeTarget, count: str) -> int:
    """What the SQL of an audit counts."""
    if count == ANALYSED:
        return target.analysed
    owners = {one["owner_id"] for one in target.resources.values()}
    return {
        USERS: len(target.users),
        RESOURCE_ROWS: len(target.resources),
        WITHOUT_RESOURCE: len(target.users.keys() - owners),
    }[count]


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario_is_found_under_its_name(name: str) -> None:
    assert SCENARIOS[name].name == name
    assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", name)


@every_scenario
def test_scenario_tells_what_it_shows(scenario: Scenario) -> None:
    assert scenario.title.strip()
    assert scenario.description.strip().endswith(".")


def test_no_two_scenarios_ask_the_same() -> None:
    found = list(SCENARIOS.values())
    asked = {(one.flow, one.events) for one in found}
    assert len(asked) == len({one.title for one in found}) == len(found)


@every_scenario
def test_audits_name_steps_that_the_flow_takes(scenario: Scenario) -> None:
    for audit in scenario.audits:
        assert audit.effect
        assert set(audit.effect) <= set(methods(scenario))


@every_scenario
def test_every_creation_and_deletion_is_audited(scenario: Scenario) -> None:
    audited = {step for audit in scenario.audits for step in audit.effect}
    writing = {step for step, method in methods(scenario).items() if method in {"POST", "DELETE"}}
    assert writing - COMPUTING <= audited


@every_scenario
def test_rows_change_as_the_audits_say(scenario: Scenario) -> None:
    target = FakeTarget()
    before = [rows(target, audit.count) for audit in scenario.audits]
    steps = [
        request.step
        for number in range(PASSES)
        for request in requests_of(scenario, virtual_user(number), target)
    ]
    for audit, count in zip(scenario.audits, before, strict=True):
        expected = sum(audit.effect.get(step, 0) for step in steps)
        assert rows(target, audit.count) == count + expected


@every_scenario
def test_audits_of_a_scenario_are_told_apart(scenario: Scenario) -> None:
    names = [audit.what for audit in scenario.audits]
    assert len(set(names)) == len(names)


@every_scenario
def test_warming_request_is_answered_and_changes_nothing(scenario: Scenario) -> None:
    target = FakeTarget()
    # Files are posted to be processed, and leave nothing.
    assert scenario.warm.method == "GET" or scenario.warm.path == FILES
    assert target.answer(scenario.warm, virtual_user(0)).status_code == scenario.warm.expect


def test_every_scenario_is_in_a_shipped_plan() -> None:
    planned = {
        name
        for path in plan_files
        for kind, blocks in tomllib.loads(path.read_text(encoding="utf-8")).items()
        if kind in {"measure", "question"}
        for block in blocks
        for name in block["scenarios"]
    }
    assert planned == set(SCENARIOS)


def test_smoke_plan_holds_every_scenario_and_one_of_every_series() -> None:
    (smoke,) = (path for path in plan_files if path.name == "smoke.toml")
    blocks = tomllib.loads(smoke.read_text(encoding="utf-8"))["measure"]
    names = {name for block in blocks for name in block["scenarios"]}
    outside = {one.name for one in SCENARIOS.values() if one.sweep is None}
    series = {one.sweep.series for one in SCENARIOS.values() if one.sweep is not None}
    assert names >= outside
    assert {sweep.series for name in names if (sweep := SCENARIOS[name].sweep)} == series


def test_places_in_a_series_are_told_apart() -> None:
    places = [(one.sweep.series, one.sweep.at) for one in SCENARIOS.values() if one.sweep]
    assert len(places) == len(set(places)) > 1


def test_documented_timing_table_is_the_documentations() -> None:
    text = (files("loopmark.scenarios") / "documented.toml").read_text(encoding="utf-8")
    points = {
        (one["pattern"], one["concurrency"]): one["makespan_s"]
        for one in tomllib.loads(text)["point"]
    }
    assert points == {
        ("sync", 10): 5.0,
        ("sync", 100): 50.0,
        ("async", 10): 0.5,
        ("async", 100): 0.6,
    }


def test_a_scenario_with_a_step_beside_the_others_names_it() -> None:
    named = {name for name, one in SCENARIOS.items() if one.bystander}
    assert named == {name for name, one in SCENARIOS.items() if INNOCENT in one.statements}
    assert named == {"beside-report", "beside-create", "beside-files"}
    assert {SCENARIOS[name].facts.bystander for name in named} == {INNOCENT}
