"""Plan files for tests."""

from __future__ import annotations

from importlib.resources import files

from loopmark.harness.commands.plans import known_names
from loopmark.harness.planning.plan import Plan
from loopmark.harness.planning.plan_file import KnownNames, parse_plan
from loopmark.harness.vocabulary.target import Target

KNOWN = KnownNames(
    ["crud", "wait-timer", "files-1", "files-5", "files-16"],
    {name: Target(name=name, variant=name, ready="/ready") for name in ("sync", "async")},
    ["native", "fake"],
    series={"files-1": "files", "files-5": "files", "files-16": "files"},
)
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


def question_text(*, head: str = "", **changes: str) -> str:
    """A good plan of questions; a change replaces or adds the value of a key of its block."""
    block = {
        "scenarios": '["crud"]',
        "targets": '["sync", "async"]',
        "loads": '[{ model = "closed", users = 2, duration_s = 1.5 }]',
    } | changes
    lines = [f"{key} = {value}" for key, value in block.items() if value]
    return "\n".join(['name = "test"', 'title = "A test"', head, "[[question]]", *lines])


def parsed(text: str) -> Plan:
    return parse_plan(text, "my.toml", KNOWN)


def shipped(name: str) -> Plan:
    text = (files("loopmark.scenarios") / "plans" / name).read_text(encoding="utf-8")
    return parse_plan(text, name, known_names())


def one_load(load: str) -> str:
    return plan_text(loads=f"[{{ {load} }}]")
