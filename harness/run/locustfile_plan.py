"""Makes a plan of a user's own locustfile: a target at a URL, and a single cell."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from loopmark.harness.errors import UserError
from loopmark.harness.launch.ports import require_free
from loopmark.harness.planning.plan import Plan
from loopmark.harness.run.locustfile_inspection import inspect
from loopmark.harness.run.request import RunRequest, new_run_id
from loopmark.harness.vocabulary.address import Address
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.job import LocustfilePart, Workers
from loopmark.harness.vocabulary.loads.bounds import MAX_SECONDS
from loopmark.harness.vocabulary.loads.population import Population
from loopmark.harness.vocabulary.locustfile import Inspection, LocustfileChoice
from loopmark.harness.vocabulary.scenario import LocustfileFacts, ScenarioFacts
from loopmark.harness.vocabulary.target import Target

DRIVER = "locust"

DEFAULT_USERS = 1
DEFAULT_SPAWN_RATE = 1.0
"""Locust's own defaults."""

DEFAULT_WINDOW_S = 30.0
DEFAULT_SHAPE_S = 600.0
"""The limit for a shape that does not end."""

WEB_HOST = "127.0.0.1"
NO_HOST = "own-client"
"""Replaces the target where the users have clients of their own that need no host."""


def prepare(
    choice: LocustfileChoice, rounds: int, web_port: int | None, workers: Workers | None = None
) -> RunRequest:
    """Check everything that can be checked before anything is started.

    Raises:
        UserError: A check failed.
    """
    path = Path(choice.path)
    text = _read(path)
    if choice.host is not None:
        _require_url(choice.host)
    if web_port is not None:
        require_free(Address(WEB_HOST, web_port), "--web-port")
    found = inspect(choice)
    load = _population(choice, found)
    if found.shape is None:
        # What a file that looks at its options finds there is what is done.
        choice = replace(
            choice, users=load.users, spawn_rate=load.spawn_rate, run_time_s=load.run_time_s
        )
    name = re.sub(r"[^\w.-]+", "-", path.stem, flags=re.ASCII).strip("-.") or "locustfile"
    target = "+".join(_place(host) for host in found.hosts) or NO_HOST
    facts = LocustfileFacts(
        name=path.name.encode("utf-8", "replace").decode("utf-8"),
        text=text,
        user_classes=found.user_classes,
        shape=found.shape,
    )
    url = ", ".join(found.hosts)
    title = f"{facts.name} against {url or 'the hosts of its clients'}"
    return RunRequest(
        new_run_id(name),
        # It runs as often as it was asked to.
        Plan(name, title, (), reserve=0, targets={target: Target(name=target, url=url)}, seed=0),
        plan_toml="",
        cells=(Cell(name, target, load, DRIVER, rounds),),
        scenarios=(ScenarioFacts.of_locustfile(name, facts),),
        workers=workers,
        locustfile=LocustfilePart(choice, web_port),
    )


def _population(choice: LocustfileChoice, found: Inspection) -> Population:
    if found.shape is not None:
        said = choice.users is not None or choice.spawn_rate is not None
        if said and not found.shape_takes_options:
            raise UserError(
                f"the shape {found.shape} sets the number of users: remove --users and --spawn-rate"
            )
        rate = choice.spawn_rate or DEFAULT_SPAWN_RATE
        return Population(None, rate, choice.run_time_s or DEFAULT_SHAPE_S)
    users = DEFAULT_USERS if choice.users is None else choice.users
    rate = DEFAULT_SPAWN_RATE if choice.spawn_rate is None else choice.spawn_rate
    # As Locust's dispatcher has it: so many at a time, the first of them at once.
    at_a_time = max(1, math.floor(rate))
    all_there_s = (math.ceil(users / at_a_time) - 1) * at_a_time / rate
    run_time_s = choice.run_time_s
    if run_time_s is None:
        run_time_s = min(all_there_s + DEFAULT_WINDOW_S, MAX_SECONDS)
    if run_time_s <= all_there_s:
        raise UserError(
            f"starting all {users} users takes {all_there_s:g} s, but the run ends after "
            f"{run_time_s:g} s: raise --spawn-rate or --run-time"
        )
    return Population(users, rate, run_time_s)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise UserError(f"cannot read the locustfile {path}: {error.strerror}") from None


def _require_url(host: str) -> None:
    try:
        parts = urlsplit(host)
        usable = bool(parts.scheme and parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not host.isascii() or not host.isprintable() or " " in host:
        hint = f"; did you mean http://{host}?" if "://" not in host and host else ""
        raise UserError(f"--host {host!r} is not a URL{hint or ', such as http://127.0.0.1:8000'}")


def _place(host: str) -> str:
    """Host and port of a URL; other text is returned unchanged."""
    return (urlsplit(host).netloc or host).rpartition("@")[2]
