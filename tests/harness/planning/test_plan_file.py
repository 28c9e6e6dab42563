"""Plan files: what they may say, and how everything that is wrong with one is told."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.errors import UserError
from loopmark.harness.planning.plan import cells_of
from loopmark.harness.planning.plan_file import _FORMS, parse_plan, parse_targets
from loopmark.harness.planning.plan_problems import shown as abbreviated
from loopmark.harness.planning.toml_lines import line_numbers
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.target import Target
from tests.harness.planning.plan_texts import KNOWN, SHIPPED, one_load, parsed, plan_text, shipped

MODELS = "burst, closed, open, steps, ramp, fan-out, fan-out-steps"
FITTING = replace(KNOWN, drivable_by={"crud": ["native"]})


def refusals(text: str) -> list[str]:
    """What is said of a text, line by line, without the file's name."""
    with pytest.raises(UserError) as caught:
        parsed(text)
    said = str(caught.value).splitlines()
    assert all(line.startswith("my.toml:") for line in said)
    return [line.removeprefix("my.toml:").lstrip() for line in said]


def refusal(text: str) -> str:
    """The only problem of a text, without its line."""
    (said,) = refusals(text)
    return said.lstrip("0123456789").removeprefix(": ")


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


def test_defaults_are_the_native_driver_and_seed_one() -> None:
    plan = parsed(plan_text())
    assert plan.seed == 1
    assert plan.measure[0].drivers == ("native",)


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
    assert "wait-timer/async/burst-2/native" in names
    assert {one.load for one in cells_of(plan)} == {Burst(n=1), Burst(n=2, planned_s=3.0)}


# ---- what is refused ----


def test_broken_toml_names_the_line() -> None:
    (message,) = refusals('name = "test"\ntitle =\n')
    assert message == "2: not valid TOML: Invalid value, at column 8"


@pytest.mark.parametrize(
    "text",
    ["name = " + "9" * 5000, "name = " + "[" * 5000, "name = \x00", 'name = "a"\nname = "b"'],
    ids=["endless number", "endless nesting", "NUL", "twice"],
)
def test_text_that_toml_cannot_read_is_the_users_error(text: str) -> None:
    assert "not valid TOML" in refusal(text)


def test_nothing_is_a_plan_without_anything() -> None:
    assert refusals("") == [
        "1: a plan needs name and title",
        "1: a [[measure]] or a [[question]] is needed",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (plan_text(rounds=""), "4: measure[0]: needs rounds"),
        (plan_text(targets="", rounds=""), "4: measure[0]: needs targets and rounds"),
        ('name = "test"\ntitle = "t"', "1: a [[measure]] or a [[question]] is needed"),
        (
            one_load('model = "closed", usres = 1, duration_s = 1'),
            "7: measure[0].loads[0]: closed needs users; unknown key usres, did you mean users?",
        ),
        (
            one_load("n = 1"),
            f"7: measure[0].loads[0]: a load needs model: {MODELS}",
        ),
        (plan_text(rounds='"3"'), '8: measure[0].rounds: "3" is text, a whole number is needed'),
        (
            plan_text(rounds="true"),
            "8: measure[0].rounds: true is a truth value, a whole number is needed",
        ),
        (
            plan_text(rounds="2.5"),
            "8: measure[0].rounds: 2.5 is a number with a fraction, a whole number is needed",
        ),
        (
            plan_text(rounds="2026-01-01"),
            '8: measure[0].rounds: "2026-01-01" is text, a whole number is needed',
        ),
        (
            plan_text(scenarios='"crud"'),
            '5: measure[0].scenarios: "crud" is text, an array is needed',
        ),
        (
            plan_text(scenarios="[1]"),
            "5: measure[0].scenarios[0]: 1 is a whole number, text is needed",
        ),
        (
            plan_text(loads="[3]"),
            "7: measure[0].loads[0]: 3 is a whole number, a table is needed",
        ),
        (
            plan_text(head="measure = 3").split("[[measure]]")[0],
            "3: measure: 3 is a whole number, an array is needed",
        ),
        (plan_text(head='seed = "x"'), '3: seed: "x" is text, a whole number is needed'),
        (plan_text(scenarios="[]"), "5: measure[0].scenarios: 1 or more are needed, got []"),
        (plan_text(targets="[]"), "6: measure[0].targets: 1 or more are needed, got []"),
        (plan_text(loads="[]"), "7: measure[0].loads: 1 or more are needed, got []"),
        (plan_text(drivers="[]"), "9: measure[0].drivers: 1 or more are needed, got []"),
        (plan_text(rounds="0"), "8: measure[0].rounds: more than 0 is needed, got 0"),
        (plan_text(rounds="-1"), "8: measure[0].rounds: more than 0 is needed, got -1"),
        (plan_text(rounds="1001"), "8: measure[0].rounds: 1000 is the most, got 1001"),
        (plan_text(rounds="9" * 30), f"8: measure[0].rounds: 1000 is the most, got {'9' * 30}"),
        (
            one_load('model = "burst", n = 0'),
            "7: measure[0].loads[0].n: more than 0 is needed, got 0",
        ),
        (
            one_load('model = "burst", n = 10001'),
            "7: measure[0].loads[0].n: 10000 is the most, got 10001",
        ),
        (
            one_load('model = "burst", n = 1, planned_s = nan'),
            "7: measure[0].loads[0].planned_s: nan is not a number",
        ),
        (
            one_load('model = "closed", users = 1, duration_s = 1, warmup_s = -0.1'),
            "7: measure[0].loads[0].warmup_s: 0 or more is needed, got -0.1",
        ),
        (
            one_load('model = "closed", users = 1, duration_s = 1, think = "long"'),
            '7: measure[0].loads[0].think: constant or exponential is needed, got "long"',
        ),
        (
            one_load('model = "steps", rates = [1, "2"], step_s = 1'),
            '7: measure[0].loads[0].rates[1]: "2" is text, a number is needed',
        ),
        (
            plan_text(head="request_timeout_s = 0"),
            "3: request_timeout_s: more than 0 is needed, got 0",
        ),
        (
            plan_text(head="request_timeout_s = inf"),
            "3: request_timeout_s: 3600 is the most, got inf",
        ),
        (
            plan_text(head="connect_timeout_s = 3601"),
            "3: connect_timeout_s: 3600 is the most, got 3601",
        ),
        (
            plan_text(head='first_byte_timeout_s = "1"'),
            '3: first_byte_timeout_s: "1" is text, a number is needed',
        ),
        (
            plan_text(head="first_byte_timeout_s = 121"),
            "3: first_byte_timeout_s: at most request_timeout_s, which is 120, got 121",
        ),
        (plan_text(head="seeds = 1"), "3: unknown key seeds, did you mean seed?"),
        (
            plan_text(head="rounds = 3"),
            "3: unknown key rounds, it belongs in a [[measure]]",
        ),
        (
            plan_text(budget_s="60.0"),
            "9: measure[0]: unknown key budget_s, it belongs at the top, before the first table",
        ),
        (
            plan_text(head="timeout = 1"),
            "3: unknown key timeout, did you mean request_timeout_s?",
        ),
        (
            plan_text(rounds='"drei ü"'),
            '8: measure[0].rounds: "drei ü" is text, a whole number is needed',
        ),
        (plan_text(round="1"), "9: measure[0]: unknown key round, did you mean rounds?"),
        (
            one_load('model = "burst", n = 1, users = 1'),
            "7: measure[0].loads[0]: unknown key users, known: n, planned_s, model",
        ),
        *(
            (
                plan_text().replace('"test"', name),
                f"1: name: up to 30 lower-case letters, digits and - are needed, got {name}",
            )
            for name in ('"a/b"', r'"a\n"', '"' + "a" * 41 + '"')
        ),
    ],
)
def test_refusal_names_line_and_key_and_says_what_is_needed(text: str, told: str) -> None:
    assert refusals(text) == [told]


NO_PORT = (
    "the command gets no port: write {port} into an argument or the environment, or start it "
    "yourself and give its url"
)


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("http://localhost", True),
        ("http://127.0.0.1:8000/api", True),
        ("https://[::1]:65535", True),
        ("http://localhost:1", True),
        ("http://localhost:0", False),
        ("http://localhost:65536", False),
        ("http://localhost:99999", False),
        ("http://localhost:", False),
        ("http://localhost:http", False),
        ("ftp://localhost", False),
    ],
)
def test_url_of_a_target_has_a_port_that_there_is(url: str, *, fits: bool) -> None:
    assert bool(_FORMS["url"][0].fullmatch(url)) is fits


URL_NEEDED = "'http://HOST:PORT' is needed, with a port from 1 to 65535"


def test_everything_that_is_wrong_is_told_at_once() -> None:
    text = plan_text(
        head="seeds = 3",
        scenarios='["crudd", "wait-timer"]',
        targets='["x", "y", "zync"]',
        loads='[\n  { model = "burst" },\n  { model = "close" },\n]',
        drivers='["natve"]',
        tail="""
[targets.x]
url = "localhost:8000"
command = ["serve"]
[targets.sync]
[targets.y]
asgi = "mine"
read = "/up"
[targets.z]
variant = "asink"
environment = { THREADS = 3 }""",
    )
    one_of = "exactly one of variant, asgi, command, url is needed"
    assert refusals(text) == [
        "3: unknown key seeds, did you mean seed?",
        "5: measure[0].scenarios: unknown scenario 'crudd'; did you mean 'crud'?",
        "6: measure[0].targets: unknown target 'zync'; did you mean 'sync'?",
        "8: measure[0].loads[0]: burst needs n",
        "9: measure[0].loads[1].model: unknown load model 'close'; did you mean 'closed'?",
        "12: measure[0].drivers: unknown driver 'natve'; did you mean 'native'?",
        f"14: targets.x: has command and url, but {one_of}",
        f"15: targets.x.url: {URL_NEEDED}, got 'localhost:8000'",
        f"16: targets.x.command: {NO_PORT}",
        "17: targets.sync: the catalog has a target of that name; choose another name",
        f"17: targets.sync: does not say how to reach it; {one_of}",
        "19: targets.y.asgi: 'package.module:app' is needed, got 'mine'",
        "20: targets.y: unknown key read, did you mean ready?",
        "22: targets.z.variant: unknown variant 'asink'; did you mean 'async'?",
        "23: targets.z.environment.THREADS: 3 is a whole number, text is needed",
    ]


def test_each_key_that_is_too_many_is_told_on_its_line() -> None:
    assert [one[:15] for one in refusals(plan_text(head="seeds = 1\n\nbogus = 2"))] == [
        "3: unknown key ",
        "5: unknown key ",
    ]


def test_a_command_that_is_no_array_is_told_once() -> None:
    (told,) = refusals(plan_text(tail='\n[targets.a]\ncommand = "run"'))
    assert told.endswith('targets.a.command: "run" is text, an array is needed')


OWN = """
[targets.mine]
asgi = "app:app"
folder = "service"
ready = "/up"
environment = { MODE = "fast" }
[targets.many-threads]
variant = "sync"
environment = { WORKER_THREADS = "100" }
[targets.there]
url = "http://127.0.0.1:8000/api"
description = "As deployed."
[targets.node]
command = ["node", "server.js", "{port}"]
"""


def test_a_plan_may_define_targets_of_its_own() -> None:
    plan = parsed(plan_text(targets='["mine", "many-threads", "there", "async"]', tail=OWN))
    assert plan.targets == {
        "async": KNOWN.targets["async"],
        "mine": Target(
            name="mine",
            asgi="app:app",
            folder="service",
            ready="/up",
            environment={"MODE": "fast"},
        ),
        "many-threads": Target(
            name="many-threads",
            variant="sync",
            environment={"WORKER_THREADS": "100"},
            ready="/ready",
        ),
        "there": Target(name="there", url="http://127.0.0.1:8000/api", description="As deployed."),
        "node": Target(name="node", command=("node", "server.js", "{port}")),
    }


def test_a_variant_is_described_by_the_plan_or_else_by_the_catalog() -> None:
    row = replace(KNOWN.targets["sync"], description="Ours.", connection_test=";")
    known = replace(KNOWN, targets={**KNOWN.targets, "sync": row})
    tables = '[targets.a]\nvariant = "sync"\n[targets.b]\nvariant = "sync"\ndescription = "Mine."'
    plan = parse_plan(plan_text(tail=f"\n{tables}"), "my.toml", known)
    assert (plan.targets["a"].description, plan.targets["b"].description) == ("Ours.", "Mine.")
    assert plan.targets["b"].connection_test == ";"


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('[targets.A]\nurl = "http://a"', "targets.A: the name must be up to 30 "),
        ("[targets]\nmine = 3", "targets.mine: 3 is a whole number, a table is needed"),
        (
            '[targets.a]\nurl = "http://a"\nfolder = "x"',
            "targets.a.folder: has no effect with",
        ),
        ('[targets.a]\nvariant = "sync"\nready = "/"', "targets.a.ready: has no effect with var"),
        ('[targets.a]\nurl = "http://a"\nready = "up"', "targets.a.ready: a path such as '/ready'"),
        ('[targets.a]\nurl = "http://a"\nprepared_by = "x"', "targets.a: unknown key prepared_by"),
        ('[targets.a]\nvariant = "sync"\nconnection_test = ";"', "targets.a: unknown key connect"),
    ],
)
def test_targets_that_make_no_sense_are_refused(table: str, told: str) -> None:
    assert refusal(plan_text(tail=f"\n{table}")).startswith(told)


def test_what_moves_a_terminal_is_told_as_it_would_be_written() -> None:
    (told,) = refusals(plan_text(head='"a\\u0007b" = 1'))
    assert told.startswith("3: unknown key a\\x07b, known: name, ")


def test_what_lacks_is_told_before_the_second_unknown_key_of_a_line() -> None:
    told = refusals(one_load('model = "closed", usres = 1, duration = 1'))
    assert [one.partition("unknown")[0] for one in told] == [
        "7: measure[0].loads[0]: closed needs users and duration_s; ",
        "7: measure[0].loads[0]: ",
    ]


def test_values_are_shortened_to_sixty_characters() -> None:
    assert abbreviated("a" * 58) == f'"{"a" * 58}"'
    assert abbreviated("a" * 59) == f'"{"a" * 58}…'


@pytest.mark.parametrize(
    "text",
    [
        plan_text(head='first_byte_timeout_s = 5\nrequest_timeout_s = "x"'),
        plan_text(tail='\n[targets.a]\nvariant = ""'),
    ],
)
def test_one_mistake_is_told_once(text: str) -> None:
    assert len(refusals(text)) == 1


def test_driver_that_does_not_exist_is_told_once() -> None:
    text = plan_text(drivers='["nativ"]')
    with pytest.raises(UserError) as caught:
        parse_plan(text, "my.toml", FITTING)
    assert len(str(caught.value).splitlines()) == 1


texts = st.text("ab.\"'#{}[]=\\\n/", max_size=4)
values = st.recursive(
    st.booleans() | st.integers(-2, 2000) | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)


@given(st.data())
def test_no_words_of_the_validation_library_are_ever_shown(data: st.DataObject) -> None:
    document = tomllib.loads(
        plan_text(
            head="seed = 1",
            loads='[{ model = "fan-out", clients = 2, rate = 1, duration_s = 1.0 }, '
            '{ model = "steps", rates = [1, 2], step_s = 1, arrivals = "poisson" }]',
            tail=OWN,
        )
    )
    place = data.draw(st.sampled_from(sorted(line_numbers(_toml(document)), key=str)))
    if place:
        table: Any = document
        for part in place[:-1]:
            table = table[part]
        table[place[-1]] = data.draw(values)
    text = _toml(document)
    try:
        parsed(text)
    except UserError as error:
        for line in str(error).splitlines():
            assert re.match(r"my\.toml:\d+: ", line)
            assert not re.search(r"[Ii]nput should|Field required|valid (string|integer)", line)


def _toml(value: object) -> str:
    """A document, each of its keys on one line."""
    assert isinstance(value, dict)
    return "\n".join(f"{json.dumps(key)} = {_value(one)}" for key, one in value.items())


def _value(value: object) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(k)} = {_value(v)}' for k, v in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value) if isinstance(value, float) else json.dumps(value)


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
            plan_text(drivers='["nativ"]'),
            "measure[0].drivers: unknown driver 'nativ'; did you mean 'native'?",
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
    assert "xxx… is text" in message
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


@pytest.mark.parametrize("drivers", ['["fake"]', '["native", "fake"]'])
def test_driver_that_cannot_drive_a_scenario_is_refused(drivers: str) -> None:
    text = plan_text(scenarios='["wait-timer", "crud"]', drivers=drivers)
    with pytest.raises(UserError) as caught:
        parse_plan(text, "my.toml", FITTING)
    assert str(caught.value) == (
        "my.toml:9: measure[0].drivers: 'fake' cannot drive the scenario 'crud', only native can; "
        "give 'crud' a [[measure]] of its own with drivers = [\"native\"]"
    )


@pytest.mark.parametrize(
    ("scenario", "drivers"), [("crud", '["native"]'), ("wait-timer", '["native", "fake"]')]
)
def test_driver_that_can_is_not(scenario: str, drivers: str) -> None:
    text = plan_text(scenarios=f'["{scenario}"]', drivers=drivers)
    assert cells_of(parse_plan(text, "my.toml", FITTING))


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
        f"my.toml:7: measure[0].loads[1]: '{model}' needs something to publish, and the scenario "
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
    assert "at least one must be active" in refusal(one_load(load))


# ---- only the targets ----


def test_targets_are_read_without_the_rest_of_a_plan() -> None:
    text = '[targets.a]\nasgi = "x:y"\n[targets.b]\nurl = "http://h:1"'
    targets = parse_targets(text, "my.toml", KNOWN)
    assert targets["a"] == Target(name="a", asgi="x:y")
    assert targets["b"].url == "http://h:1"
    assert parse_targets("", "my.toml", KNOWN) == {}
    whole = plan_text(tail=text, targets='["sync", "a"]')
    assert parse_targets(whole, "my.toml", KNOWN) == targets


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[targets", "my.toml: not valid TOML"),
        ("targets = 3", "my.toml:1: targets: 3 is a whole number, a table is needed"),
        ("[targets]\na = 3", "my.toml:2: targets.a: 3 is a whole number, a table is needed"),
        ('[targets.a]\nasgi = "x"', "my.toml:2: targets.a.asgi: 'package.module:app' is needed"),
        ('[targets.sync]\nasgi = "x:y"', "my.toml:1: targets.sync: the catalog has a target"),
        ("[targets.a]\nasgi = 'x:y'\nname = 'b'", "my.toml:3: targets.a: unknown key name"),
    ],
)
def test_targets_that_are_wrong_are_refused(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_targets(text, "my.toml", KNOWN)
    assert str(caught.value).startswith(message)
