"""Reads a plan file and reports all of its errors."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from loopmark.harness.errors import UserError, unknown_name
from loopmark.harness.planning.plan import (
    REQUEST_TIMEOUT_S,
    Ask,
    Block,
    Measure,
    Plan,
    planned_twice,
)
from loopmark.harness.planning.plan_problems import NOT_FOR_PLANS, Problem, told, worded
from loopmark.harness.planning.toml_lines import Place
from loopmark.harness.vocabulary.loads.model import DELIVERY
from loopmark.harness.vocabulary.target import WAYS, Target

_PLAN = TypeAdapter(Plan)
_BLOCKS: Mapping[str, TypeAdapter[Any]] = {
    "measure": TypeAdapter(Measure),
    "question": TypeAdapter(Ask),
}
"""By key of the plan: the blocks that stand there."""

_TARGET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,29}")
_HOST = r"\[[^\]/\s]+\]|[^/\s?#@:]+"
_PORT = r"0*(?:6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3})"
_FORMS = {
    "asgi": (re.compile(r"[\w.]+:[\w.]+"), "'package.module:app' is needed"),
    "url": (
        re.compile(rf"https?://({_HOST})(:{_PORT})?(/[^\s?#]*)?"),
        "'http://HOST:PORT' is needed, with a port from 1 to 65535",
    ),
    "ready": (re.compile(r"/\S*"), "a path such as '/ready' is needed"),
}
_UNFIT: Mapping[str, tuple[str, ...]] = {
    "url": ("environment", "folder"),
    "variant": ("ready", "folder"),
}
"""For each way to reach a target, the keys that do not apply to it."""


@dataclass(frozen=True, slots=True)
class _OnlyTargets:
    targets: dict[str, Target]


_TARGETS = TypeAdapter(_OnlyTargets)


@dataclass(frozen=True, slots=True)
class KnownNames:
    """The names that a plan may use.

    Attributes:
        scenarios: All there are.
        targets: The catalog's, by name.
        drivers: All there are.
        drivable_by: By scenario that not every driver can drive: the drivers that can.
        broadcasting: The scenarios that publish events, so that fan-out loads apply.
        series: By scenario of a series: the name of the series.
    """

    scenarios: Collection[str]
    targets: Mapping[str, Target]
    drivers: Collection[str]
    drivable_by: Mapping[str, Collection[str]] = field(default_factory=dict)
    broadcasting: Collection[str] = ()
    series: Mapping[str, str] = field(default_factory=dict)


def parse_plan(text: str, source: str, known: KnownNames) -> Plan:
    """Read a plan.

    Args:
        text: TOML.
        source: The file's name, for messages.
        known: The names that exist.

    Raises:
        UserError: With a line for each problem: the file's line, the key, and what was expected.
    """
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # Also a number or a nesting beyond all measure.
        raise UserError(_not_toml(source, str(error))) from None
    try:
        # Strict, so that the text "3" is no number. Through JSON, because only there does strict
        # validation make dataclasses of tables and tuples of arrays.
        plan = _PLAN.validate_json(json.dumps(_with_names(document), default=str), strict=True)
        invalid = []
    except RecursionError:
        raise UserError(f"{source}: tables nested too deeply") from None
    except ValidationError as error:
        invalid = list(worded(error.errors(include_url=False), document))
    if problems := [*invalid, *_problems(document, known)]:
        raise UserError(told(problems, text, source))
    own = {name: _own_target(target, known) for name, target in plan.targets.items()}
    named = {name for block in plan.blocks for name in block.targets}
    return replace(
        plan, targets={name: row for name, row in known.targets.items() if name in named} | own
    )


def parse_targets(text: str, source: str, known: KnownNames) -> Mapping[str, Target]:
    """Read only the `[targets]` of a plan, or of a file that has nothing else.

    Args:
        text: TOML.
        source: The file's name, for messages.
        known: The names that exist.

    Raises:
        UserError: With a line for each problem.
    """
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(_not_toml(source, str(error))) from None
    only = {"targets": _with_names(document).get("targets", {})}
    try:
        given = _TARGETS.validate_json(json.dumps(only, default=str), strict=True).targets
        invalid = []
    except RecursionError:
        raise UserError(f"{source}: tables nested too deeply") from None
    except ValidationError as error:
        given = {}
        invalid = list(worded(error.errors(include_url=False), document))
    tables = document.get("targets")
    for name, table in tables.items() if isinstance(tables, dict) else ():
        invalid += _target_problems(name, table, known)
    if invalid:
        raise UserError(told(invalid, text, source))
    return given


def _not_toml(source: str, what: str) -> str:
    """The message, with the line where messages have it."""
    said, _, place = what.rpartition(" (at line ")
    line, _, column = place.removesuffix(")").partition(", column ")
    if not said or not column:
        return f"{source}: not valid TOML: {what}"
    return f"{source}:{line}: not valid TOML: {said}, at column {column}"


def _with_names(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the name of each target in its table."""
    tables = document.get("targets")
    if not isinstance(tables, dict):
        return document
    named = {
        name: table | {"name": name} if isinstance(table, dict) else table
        for name, table in tables.items()
    }
    return document | {"targets": named}


def _own_target(target: Target, known: KnownNames) -> Target:
    """A target of the plan; for one of our variants, with the catalog's fields."""
    if not target.is_ours:
        return target
    row = known.targets[target.variant]
    return replace(
        target,
        ready=row.ready,
        description=target.description or row.description,
        connection_test=row.connection_test,
        prepared_by=row.prepared_by,
        kept_connections=row.kept_connections,
        fault=row.fault,
    )


def _problems(document: Mapping[str, Any], known: KnownNames) -> Iterator[Problem]:
    """What validation cannot find: unknown names, and combinations that do not fit."""
    first = document.get("first_byte_timeout_s")
    whole = document.get("request_timeout_s", REQUEST_TIMEOUT_S)
    if isinstance(first, int | float) and isinstance(whole, int | float) and first > whole:
        most = f"at most request_timeout_s, which is {whole:g}, got {first:g}"
        yield Problem(("first_byte_timeout_s",), most)
    tables = document.get("targets")
    own = tables if isinstance(tables, dict) else {}
    for name, table in own.items():
        yield from _target_problems(name, table, known)
    if "budget_s" in document and not document.get("question"):
        yield Problem(("budget_s",), "has no effect without a [[question]]; remove it")
    if not any(document.get(kind) for kind in _BLOCKS):
        yield Problem((), "a [[measure]] or a [[question]] is needed")
    blocks: dict[Place, Block] = {}
    for kind, adapter in _BLOCKS.items():
        given = document.get(kind)
        for index, table in enumerate(given if isinstance(given, list) else ()):
            place = (kind, index)
            if isinstance(table, dict):
                yield from _unknown_names(place, table, known, {*known.targets, *own})
            try:
                text = json.dumps(table, default=str)
                blocks[place] = adapter.validate_json(text, strict=True)
            except ValidationError:
                continue
            yield from _unfit(place, blocks[place], known)
    for number, what in planned_twice(list(blocks.values())).items():
        yield Problem(list(blocks)[number], what)


def _unknown_names(
    block: Place, table: Mapping[str, Any], known: KnownNames, targets: Collection[str]
) -> Iterator[Problem]:
    valid = {"scenario": known.scenarios, "target": targets, "driver": known.drivers}
    for kind, names in valid.items():
        given = table.get(f"{kind}s")
        for number, name in enumerate(given if isinstance(given, list) else ()):
            if isinstance(name, str) and name not in names:
                place: Place = (*block, f"{kind}s")
                yield Problem(place, unknown_name(kind, name, names), (*place, number))


def _listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    first = ", ".join(names[:-1])
    return f"{first} and {names[-1]}" if first else names[-1]


def _unfit(place: Place, block: Block, known: KnownNames) -> Iterator[Problem]:
    """Combinations in a block that its drivers or scenarios do not support."""
    for scenario in block.scenarios:
        able = sorted(known.drivable_by.get(scenario, block.drivers))
        for driver in block.drivers:
            if driver in known.drivers and driver not in able:
                yield Problem(
                    (*place, "drivers"),
                    f"'{driver}' cannot drive the scenario '{scenario}', only "
                    f"{_listed(able)} can; give '{scenario}' a [[{place[0]}]] of its own "
                    f"with drivers = {json.dumps(able)}",
                )
        for number, load in enumerate(block.loads):
            if load.traits.unit is DELIVERY and scenario not in known.broadcasting:
                publishing = " and ".join(sorted(known.broadcasting)) or "no scenario"
                yield Problem(
                    (*place, "loads", number),
                    f"'{load.model}' needs something to publish, and the scenario '{scenario}' "
                    f"publishes nothing, only {publishing}; give '{scenario}' a [[{place[0]}]] of "
                    "its own with other loads",
                )
    if isinstance(block, Ask):
        yield from _unanswerable(place, block, known)


def _unanswerable(place: Place, ask: Ask, known: KnownNames) -> Iterator[Problem]:
    """What cannot be asked: nothing to compare with, or a figure that the load does not have."""
    yield from _misnamed(place, ask)
    series = {known.series.get(scenario, "") for scenario in ask.scenarios}
    if ask.series and (len(series) > 1 or "" in series or len(ask.scenarios) == 1):
        yield Problem((*place, "scenarios"), "two or more scenarios of one series are needed")
    elif not ask.series and len(ask.targets) == 1:
        yield Problem((*place, "targets"), "two or more are needed: the first is compared with")
    for number, load in enumerate(ask.loads):
        comparable = load.traits.compared
        if not ask.metrics and not load.traits.main:
            which = f"{' or '.join(comparable)} is" if comparable else "no metric is"
            yield Problem(
                (*place, "loads", number),
                f"'{load.model}' has no main metric; {which} compared under it",
            )
        for metric in ask.metrics:
            if metric not in comparable:
                yield Problem((*place, "metrics"), unknown_name("metric", metric, comparable))


def _misnamed(place: Place, ask: Ask) -> Iterator[Problem]:
    """Names that stand there twice, or have no effect."""
    for key, names in (("scenarios", ask.scenarios), ("targets", ask.targets)):
        if again := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            yield Problem((*place, key), f"'{again[0]}' stands there twice; remove one")
    for target in ask.planned_s.keys() - set(ask.targets):
        yield Problem((*place, "planned_s", target), "this block has no such target")
    if ask.planned_s and not any(load.traits.ends_with_last_answer for load in ask.loads):
        yield Problem((*place, "planned_s"), "only for bursts: the other loads set it themselves")


def _target_problems(name: str, table: Any, known: KnownNames) -> Iterator[Problem]:  # noqa: ANN401
    place = ("targets", name)
    if name in known.targets:
        yield Problem(place, "the catalog has a target of that name; choose another name")
    if not _TARGET_NAME.fullmatch(name):
        yield Problem(place, "the name must be up to 30 lower-case letters, digits, - and .")
    if isinstance(table, dict):
        yield from _table_problems(place, table, known)


def _table_problems(place: Place, table: Mapping[str, Any], known: KnownNames) -> Iterator[Problem]:
    ways = [way for way in WAYS if table.get(way)]
    if len(ways) != 1:
        has = f"has {' and '.join(ways)}, but" if ways else "does not say how to reach it;"
        yield Problem(place, f"{has} exactly one of {', '.join(WAYS)} is needed")
    for key in NOT_FOR_PLANS & table.keys():
        yield Problem(place, f"unknown key {key}", (*place, key))
    for way in ways:
        for key in table.keys() & _UNFIT.get(way, ()):
            yield Problem((*place, key), f"has no effect with {way}; remove it")
    for key, (form, needed) in _FORMS.items():
        if isinstance(table.get(key), str) and table[key] and not form.fullmatch(table[key]):
            yield Problem((*place, key), f"{needed}, got '{table[key]}'")
    variant = table.get("variant")
    if isinstance(variant, str) and variant and variant not in known.targets:
        yield Problem((*place, "variant"), unknown_name("variant", variant, known.targets))
    told = command, _ = table.get("command"), table.get("environment")
    if command and isinstance(command, list) and "{port}" not in str(told):
        yield Problem(
            (*place, "command"),
            "the command gets no port: write {port} into an argument or the environment, or start "
            "it yourself and give its url",
        )
