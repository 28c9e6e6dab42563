"""Plans: what a plan file may say, which cells it makes and in which order they are measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.commands.plans import known_names
from loopmark.harness.drivers.catalog import DRIVERS, able
from loopmark.harness.errors import UserError
from loopmark.harness.planning.plan import (
    KnownNames,
    Plan,
    cells_of,
    drivable,
    driven_by,
    interleave,
    parse_plan,
    planned_seconds,
    select,
)
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.target import Target
from loopmark.scenarios.catalog import SCENARIOS
from tests.harness.builders import burst, cell, closed

KNOWN = KnownNames(
    ["crud", "wait-timer"],
    {name: Target(name=name, variant=name, ready="/ready") for name in ("sync", "async")},
    ["httpx", "fake"],
)
DRIVABLE_BY = {name: able(one) for name, one in SCENARIOS.items()}
SHIPPED = sorted(
    path.name
    for path in (files("loopmark.scenarios") / "plans").iterdir()
    if path.name.endswith(".toml")
)


def plan_text(*, head: str = "", tail: str = "", **changes: str) -> str:
    """A good plan; a change replaces the value of a key of its only block."""
    block = {
        "scenarios": '["crud"]',
        "targets": '["sync", "async"]',
        "loads": '[{ model = "closed", users = 2, duration_s = 1.5 }]',
        "rounds": "3",
    } | changes
    lines = [f"{key} = {value}" for key, value in block.items() if value]
    return "\n".join(['name = "test"', 'title = "A test"', head, "[[measure]]", *lines, tail])


def parsed(text: str) -> Plan:
    return parse_plan(text, "my.toml", KNOWN)


def shipped(name: str) -> Plan:
    text = (files("loopmark.scenarios") / "plans" / name).read_text(encoding="utf-8")
    return parse_plan(text, name, known_names())


def refusal(text: str) -> str:
    with pytest.raises(UserError) as caught:
        parsed(text)
    message = str(caught.value)
    assert message.startswith("my.toml: ")
    return message.removeprefix("my.toml: ")


def one_load(load: str) -> str:
    return plan_text(loads=f"[{{ {load} }}]")


# ---- what is accepted ----


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_plan_is_accepted(name: str) -> None:
    plan = shipped(name)
    assert f"{plan.name}.toml" == name
    assert plan.title
    assert cells_of(plan)


def test_plans_are_shipped() -> None:
    assert {"smoke.toml", "quick.toml", "full.toml", "drivers.toml"} <= set(SHIPPED)


def test_plan_has_what_its_text_says() -> None:
    plan = parsed(plan_text(head="seed = 7", drivers='["fake"]'))
    assert (plan.name, plan.title, plan.seed) == ("test", "A test", 7)
    load = Closed(users=2, duration_s=1.5)
    assert cells_of(plan) == (
        Cell("crud", "sync", load, "fake", 3),
        Cell("crud", "async", load, "fake", 3),
    )


def test_defaults_are_the_httpx_driver_and_seed_one() -> None:
    plan = parsed(plan_text())
    assert plan.seed == 1
    assert plan.measure[0].drivers == ("httpx",)


@pytest.mark.parametrize(
    ("head", "timeouts"),
    [
        ("", Timeouts(connect_s=10, first_byte_s=120, response_s=120)),
        ("request_timeout_s = 5", Timeouts(connect_s=10, first_byte_s=5, response_s=5)),
        (
            "connect_timeout_s = 1\nfirst_byte_timeout_s = 2\nrequest_timeout_s = 3",
            Timeouts(connect_s=1, first_byte_s=2, response_s=3),
        ),
    ],
)
def test_timeouts(head: str, timeouts: Timeouts) -> None:
    assert parsed(plan_text(head=head)).timeouts == timeouts


def test_every_combination_of_a_block_is_a_cell() -> None:
    loads = '[{ model = "burst", n = 1 }, { model = "burst", n = 2, planned_s = 3 }]'
    plan = parsed(plan_text(scenarios='["crud", "wait-timer"]', loads=loads))
    names = {one.name for one in cells_of(plan)}
    assert len(names) == len(cells_of(plan)) == 2 * 2 * 2
    assert "wait-timer/async/burst-2/httpx" in names
    assert {one.load for one in cells_of(plan)} == {Burst(n=1), Burst(n=2, planned_s=3.0)}


# ---- what is refused ----


def test_broken_toml_names_the_line() -> None:
    message = refusal('name = "test"\ntitle =\n')
    assert "not valid TOML" in message
    assert "line 2" in message


@pytest.mark.parametrize(
    "text",
    ["name = " + "9" * 5000, "name = " + "[" * 5000, "name = \x00", 'name = "a"\nname = "b"'],
    ids=["endless number", "endless nesting", "NUL", "twice"],
)
def test_text_that_toml_cannot_read_is_the_users_error(text: str) -> None:
    assert "not valid TOML" in refusal(text)


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ("", "name", "required"),
        (plan_text(rounds=""), "measure[0].rounds", "required"),
        (plan_text(targets=""), "measure[0].targets", "required"),
        ('name = "test"\ntitle = "t"', "measure", "required"),
        (one_load('model = "closed", users = 1'), "measure[0].loads[0].closed.duration_s", "req"),
        (one_load("n = 1"), "measure[0].loads[0].model", "required"),
        (plan_text(rounds='"3"'), "measure[0].rounds", "got '3'"),
        (plan_text(rounds="true"), "measure[0].rounds", "integer"),
        (plan_text(rounds="2.0"), "measure[0].rounds", "integer"),
        (plan_text(rounds="2026-01-01"), "measure[0].rounds", "integer"),
        (plan_text(scenarios='"crud"'), "measure[0].scenarios", "array"),
        (plan_text(scenarios="[1]"), "measure[0].scenarios[0]", "string"),
        (plan_text(loads="[3]"), "measure[0].loads[0]", "got 3"),
        (plan_text(head="measure = 3").split("[[measure]]")[0], "measure", "array"),
        (plan_text(head='seed = "x"'), "seed", "integer"),
        (plan_text(scenarios="[]"), "measure[0].scenarios", "at least 1"),
        (plan_text(targets="[]"), "measure[0].targets", "at least 1"),
        (plan_text(loads="[]"), "measure[0].loads", "at least 1"),
        (plan_text(drivers="[]"), "measure[0].drivers", "at least 1"),
        (plan_text(rounds="0"), "measure[0].rounds", "greater than 0"),
        (plan_text(rounds="-1"), "measure[0].rounds", "got -1"),
        (plan_text(rounds="1001"), "measure[0].rounds", "1000"),
        (plan_text(rounds="9" * 30), "measure[0].rounds", "1000"),
        (one_load('model = "burst", n = 0'), "measure[0].loads[0].burst.n", "greater than 0"),
        (one_load('model = "burst", n = 10001'), "measure[0].loads[0].burst.n", "10000"),
        (
            one_load('model = "burst", n = 1, planned_s = nan'),
            "measure[0].loads[0].burst.planned_s",
            "nan",
        ),
        (
            one_load('model = "closed", users = 1, duration_s = -1'),
            "measure[0].loads[0].closed.duration_s",
            "greater than 0",
        ),
        (
            one_load('model = "closed", users = 1, duration_s = 1, warmup_s = -0.1'),
            "measure[0].loads[0].closed.warmup_s",
            "greater than or equal to 0",
        ),
        (plan_text(head="request_timeout_s = 0"), "request_timeout_s", "greater than 0"),
        (plan_text(head="request_timeout_s = inf"), "request_timeout_s", "3600"),
        (plan_text(head="request_timeout_s = nan"), "request_timeout_s", "nan"),
        (plan_text(head="connect_timeout_s = 0"), "connect_timeout_s", "greater than 0"),
        (plan_text(head="connect_timeout_s = 3601"), "connect_timeout_s", "3600"),
        (plan_text(head="first_byte_timeout_s = -1"), "first_byte_timeout_s", "got -1"),
        (plan_text(head='first_byte_timeout_s = "1"'), "first_byte_timeout_s", "number"),
        (
            plan_text(head="first_byte_timeout_s = 121"),
            "first_byte_timeout_s",
            "at most request_timeout_s, which is 120, got 121",
        ),
        (plan_text(head="seeds = 1"), "seeds", "no such key"),
        (plan_text(round="1"), "measure[0].round", "no such key"),
        (
            one_load('model = "burst", n = 1, users = 1'),
            "measure[0].loads[0].burst.users",
            "no such key",
        ),
        (plan_text().replace('"test"', '"a/b"'), "name", "pattern"),
        (plan_text().replace('"test"', r'"a\n"'), "name", "pattern"),
        (plan_text().replace('"test"', '"' + "a" * 41 + '"'), "name", "pattern"),
    ],
)
def test_refusal_names_the_key_and_the_problem(text: str, key: str, problem: str) -> None:
    message = refusal(text)
    assert message.startswith(f"{key}: ")
    assert problem in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            plan_text(scenarios='["crudd"]'),
            "measure[0].scenarios: unknown scenario 'crudd'; did you mean 'crud'?",
        ),
        (
            plan_text(targets='["sync", "asink"]'),
            "measure[0].targets: unknown target 'asink'; did you mean 'async'?",
        ),
        (
            plan_text(drivers='["httpy"]'),
            "measure[0].drivers: unknown driver 'httpy'; did you mean 'httpx'?",
        ),
        (
            one_load('model = "close", users = 1'),
            "measure[0].loads[0].model: unknown load model 'close'; did you mean 'closed'?",
        ),
    ],
)
def test_unknown_name_comes_with_its_key_and_the_nearest_one(text: str, message: str) -> None:
    assert refusal(text) == message


def test_unknown_name_like_no_other_comes_with_all_names() -> None:
    assert refusal(plan_text(targets='["zzz"]')).endswith("known: async, sync")


def test_long_value_is_shortened_in_the_message() -> None:
    message = refusal(plan_text(rounds='"' + "x" * 500 + '"'))
    assert message.endswith("…")
    assert len(message) < 200


@pytest.mark.parametrize(
    "load",
    [
        'model = "burst", n = 1, planned_s = inf',
        'model = "closed", users = 1, duration_s = inf',
        'model = "closed", users = 1, duration_s = 1e300',
        'model = "closed", users = 1, duration_s = 1, warmup_s = inf',
    ],
)
def test_load_without_an_end_is_refused(load: str) -> None:
    assert "measure[0].loads[0]" in refusal(one_load(load))


@pytest.mark.parametrize(
    "text",
    [
        plan_text(targets='["sync", "sync"]'),
        plan_text(
            loads='[{ model = "burst", n = 1 }, { model = "burst", n = 1, planned_s = 2.0 }]'
        ),
        plan_text(tail=plan_text().partition("[[measure]]")[2].join(["[[measure]]", ""])),
    ],
    ids=["within a list", "same size, other duration", "in two blocks"],
)
def test_cell_that_is_planned_twice_is_refused_by_name(text: str) -> None:
    message = refusal(text)
    assert "the cell 'crud/sync/" in message
    assert "planned twice" in message


# ---- select ----

CELLS = (
    cell("sync", burst(10), scenario="wait-timer"),
    cell("async", burst(10), scenario="wait-timer"),
    cell("async", burst(100), scenario="wait-timer"),
    cell("async", closed(100), scenario="crud"),
)


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [
        (None, CELLS),
        ("wait-timer", CELLS[:3]),
        ("/async/", CELLS[1:]),
        ("crud/async/closed-100/httpx", CELLS[3:]),
        ("*/burst-10/*", CELLS[:2]),
        ("wait-*/a*", CELLS[1:3]),
        ("*/sync/burst-1[0-9]/httpx", CELLS[:1]),
        ("*-10?/*", CELLS[2:]),
    ],
)
def test_select_takes_a_part_of_the_name_or_a_glob(
    pattern: str | None, chosen: tuple[Cell, ...]
) -> None:
    assert select(CELLS, pattern) == chosen


@pytest.mark.parametrize(
    ("pattern", "nearest"),
    [
        ("wait-tmier", "wait-timer"),
        ("burst-11", "burst-10"),
        ("crud/async/closed-10/httpx", "crud/async/closed-100/httpx"),
    ],
)
def test_selecting_nothing_names_the_nearest(pattern: str, nearest: str) -> None:
    with pytest.raises(UserError) as caught:
        select(CELLS, pattern)
    assert str(caught.value) == f"--only: unknown cell '{pattern}'; did you mean '{nearest}'?"


def test_glob_must_match_the_whole_name() -> None:
    with pytest.raises(UserError):
        select(CELLS, "wait-*/sync")


# ---- interleave ----

plans = st.lists(st.integers(1, 8), min_size=1, max_size=8).map(
    lambda rounds: tuple(cell(f"t{n}", rounds=count) for n, count in enumerate(rounds))
)


@given(plans, st.integers())
def test_interleaving_measures_every_round_of_every_cell_once(
    cells: tuple[Cell, ...], seed: int
) -> None:
    blocks = interleave(cells, seed)
    measured = Counter(pair for block in blocks for pair in block)
    assert measured == Counter((one, n) for one in cells for n in range(one.rounds))


@given(plans, st.integers())
def test_a_block_holds_a_cell_at_most_once_and_rounds_keep_their_order(
    cells: tuple[Cell, ...], seed: int
) -> None:
    blocks = interleave(cells, seed)
    assert len(blocks) == max(one.rounds for one in cells)
    for block in blocks:
        assert len({one for one, _ in block}) == len(block) > 0
    for one in cells:
        numbers = [number for block in blocks for other, number in block if other == one]
        assert numbers == list(range(one.rounds))


@given(plans, st.integers())
def test_the_same_seed_gives_the_same_order(cells: tuple[Cell, ...], seed: int) -> None:
    assert interleave(cells, seed) == interleave(cells, seed)


def test_another_seed_gives_another_order() -> None:
    cells = tuple(cell(f"t{n}", rounds=3) for n in range(6))
    orders = {interleave(cells, seed) for seed in range(20)}
    assert len(orders) == 20


def test_every_cell_takes_every_place_in_a_block() -> None:
    cells = tuple(cell(f"t{n}", rounds=100) for n in range(3))
    firsts = Counter(block[0][0].target for block in interleave(cells, 1))
    assert min(firsts[one.target] for one in cells) > 20


def test_a_cell_with_fewer_rounds_falls_into_any_block() -> None:
    cells = (cell("many", rounds=4), cell("once", rounds=1))
    places = {
        next(n for n, block in enumerate(interleave(cells, seed)) if len(block) == 2)
        for seed in range(60)
    }
    assert places == {0, 1, 2, 3}


def test_nothing_to_measure_makes_no_blocks() -> None:
    assert interleave((), 1) == ()


# ---- planned time ----


def test_planned_seconds_are_the_loads_times_the_rounds() -> None:
    cells = (
        cell("a", burst(10, planned_s=0.5), rounds=3),
        cell("b", Closed(users=1, duration_s=2.0, warmup_s=0.25), rounds=2),
    )
    assert planned_seconds(cells) == pytest.approx(3 * 0.5 + 2 * 2.25)
    assert planned_seconds(()) == 0


def test_cells_under_comparison_share_their_blocks() -> None:
    few = Cell("wait", "sync", Burst(10, planned_s=5.0), "httpx", 2)
    many = Cell("wait", "async", Burst(10, planned_s=0.6), "httpx", 5)
    for seed in range(20):
        blocks = interleave((few, many), seed)
        of_few = {
            number for number, block in enumerate(blocks) if (few, 0) in block or (few, 1) in block
        }
        of_many = {
            number for number, block in enumerate(blocks) for cell, _ in block if cell is many
        }
        assert len(of_few) == 2
        assert of_few <= of_many


def test_cells_of_both_drivers_share_their_blocks() -> None:
    cells = tuple(
        Cell("wait", target, Burst(10), driver, rounds)
        for target in ("sync", "async")
        for driver, rounds in (("httpx", 5), ("locust", 2))
    )
    for seed in range(20):
        places = [
            {number for number, block in enumerate(interleave(cells, seed)) if one in dict(block)}
            for one in cells
        ]
        assert places[1] == places[3]
        assert places[1] < places[0] == places[2]


# ---- what a driver cannot drive ----

FITTING = replace(KNOWN, drivable_by={"crud": ["httpx"]})


@pytest.mark.parametrize("drivers", ['["fake"]', '["httpx", "fake"]'])
def test_driver_that_cannot_drive_a_scenario_is_refused(drivers: str) -> None:
    text = plan_text(scenarios='["wait-timer", "crud"]', drivers=drivers)
    with pytest.raises(UserError) as caught:
        parse_plan(text, "my.toml", FITTING)
    assert str(caught.value) == (
        "my.toml: measure[0].drivers: 'fake' cannot drive the scenario 'crud', only httpx can; "
        "give 'crud' a [[measure]] of its own with drivers = [\"httpx\"]"
    )


@pytest.mark.parametrize(
    ("scenario", "drivers"), [("crud", '["httpx"]'), ("wait-timer", '["httpx", "fake"]')]
)
def test_driver_that_can_is_not(scenario: str, drivers: str) -> None:
    text = plan_text(scenarios=f'["{scenario}"]', drivers=drivers)
    assert cells_of(parse_plan(text, "my.toml", FITTING))


BOTH = plan_text(scenarios='["wait-timer", "crud"]', targets='["async"]', drivers='["httpx"]')


def test_other_drivers_take_the_place_of_the_plans() -> None:
    plan = driven_by(("fake",), parse_plan(BOTH, "my.toml", KNOWN))
    assert drivable(cells_of(plan), KNOWN.drivable_by) == (cells_of(plan), "")
    assert {(cell.scenario, cell.driver) for cell in cells_of(plan)} == {
        ("wait-timer", "fake"),
        ("crud", "fake"),
    }


def test_cells_that_another_driver_cannot_drive_are_skipped_and_told() -> None:
    cells = cells_of(driven_by(("fake", "httpx"), parse_plan(BOTH, "my.toml", FITTING)))
    kept, skipped = drivable(cells, FITTING.drivable_by)
    assert {(cell.scenario, cell.driver) for cell in kept} == {
        ("wait-timer", "fake"),
        ("wait-timer", "httpx"),
        ("crud", "httpx"),
    }
    assert skipped == "--driver fake: 1 of 4 cells skipped: only httpx can drive crud"


def test_another_driver_that_can_drive_no_cell_is_refused() -> None:
    cells = cells_of(driven_by(("fake",), parse_plan(BOTH, "my.toml", FITTING)))
    with pytest.raises(UserError) as caught:
        drivable(select(cells, "crud"), FITTING.drivable_by)
    assert str(caught.value) == (
        "--driver fake: no cell is left to measure: only httpx can drive crud"
    )


def test_blocks_that_are_the_same_with_another_driver_are_refused() -> None:
    block = BOTH[BOTH.index("[[measure]]") :].replace('"httpx"', '"fake"')
    plan = parse_plan(f"{BOTH}\n{block}", "my.toml", KNOWN)
    with pytest.raises(UserError, match=r"test with --driver: the cell .* is planned twice"):
        driven_by(("fake",), plan)


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("driver", sorted(DRIVERS))
def test_shipped_plans_have_cells_for_drivers_and_leave_out_the_rest(
    name: str, driver: str
) -> None:
    cells = cells_of(driven_by((driver,), shipped(name)))
    fit = [cell for cell in cells if driver in able(SCENARIOS[cell.scenario])]
    if not fit:
        with pytest.raises(UserError, match="no cell is left"):
            drivable(cells, DRIVABLE_BY)
        return
    kept, skipped = drivable(cells, DRIVABLE_BY)
    assert list(kept) == fit
    assert bool(skipped) == (len(fit) < len(cells))
    assert "\n" not in skipped


# ---- what a scenario does not publish ----

FAN_OUTS = [
    'model = "fan-out", clients = 5, rate = 10, duration_s = 1.0',
    'model = "fan-out-steps", clients = 5, rates = [10, 20], step_s = 1.0',
]


@pytest.mark.parametrize("load", FAN_OUTS)
def test_fan_out_of_nothing_is_refused(load: str) -> None:
    text = plan_text(
        scenarios='["wait-timer", "crud"]',
        loads=f'[{{ model = "burst", n = 1 }}, {{ {load} }}]',
    )
    model = load.split('"')[1]
    with pytest.raises(UserError) as caught:
        parse_plan(text, "my.toml", replace(KNOWN, broadcasting=["wait-timer"]))
    assert str(caught.value) == (
        f"my.toml: measure[0].loads[1]: '{model}' needs something to publish, and the scenario "
        "'crud' publishes nothing, only wait-timer; give 'crud' a [[measure]] of its own with "
        "other loads"
    )


@pytest.mark.parametrize("load", [*FAN_OUTS, 'model = "burst", n = 1'])
def test_scenario_that_publishes_takes_every_load(load: str) -> None:
    known = replace(KNOWN, broadcasting=["crud"])
    assert cells_of(parse_plan(one_load(load), "my.toml", known))


@pytest.mark.parametrize(
    "load",
    [
        'model = "fan-out", clients = 5, slow = 3, stalled = 2, rate = 10, duration_s = 1.0',
        'model = "fan-out", clients = 5, slow = 5, rate = 10, duration_s = 1.0',
    ],
)
def test_fan_out_in_which_nobody_reads_is_refused(load: str) -> None:
    assert "one at least must read" in refusal(one_load(load))


def test_an_empty_pattern_is_a_mistake() -> None:
    with pytest.raises(UserError, match="the pattern is empty"):
        select(CELLS, "")
