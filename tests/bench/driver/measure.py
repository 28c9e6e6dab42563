"""The run: targets are started, generators take turns, readings are kept."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import httpx

from loopmark.harness.analysis.statistics import percentile
from loopmark.harness.launch.processors import assign, cores
from loopmark.harness.run.machine import fingerprint
from loopmark.harness.vocabulary.record import Pinning
from tests.bench.driver.accuracy import HELD_PERCENTILES
from tests.bench.driver.catalog import DRIVERS, GENERATORS, OURS
from tests.bench.driver.known_behaviour import STALL
from tests.bench.driver.outcome import Cost, Found, Held, Outcome
from tests.bench.driver.plan import Plan, Turn, accurate, askers, is_slow, turns
from tests.bench.driver.processes import run, target
from tests.bench.driver.task import PERCENTILES, Task

Say = Callable[[str], None]

PEERS = ("aiohttp", "httpx", "httpx-aiohttp", "locust", "gevent", "geventhttpclient")
TRIVIAL = "trivial_target"
KNOWN = "known_target"
WARMUP_S = 1.0
GATHERED_WARMUP_S = 2.0
"""Longer where our driver's processes start while the others begin already."""

OURS_OPEN_USERS = 256


def measured(plan: Plan, say: Say) -> Outcome:
    """Carry the plan out, telling what comes next."""
    started, begun_s = datetime.now(UTC), time.monotonic()
    load_before = os.getloadavg()[0]
    pinning = assign(cores())
    costs = [cost for number in range(plan.rounds) for cost in _round(plan, number, pinning, say)]
    say("known delays and errors")
    answers = _answers(plan, pinning)
    held = _held(plan, pinning, say)
    say(f"{plan.even_rate:g} requests per second to an idle target")
    even = _even(plan, pinning)
    say(f"the target that stalls, {plan.stall_s:g} s, all generators at the same moment")
    stall = _stall(plan, pinning)
    return Outcome(
        started=started.isoformat(timespec="seconds"),
        took_s=time.monotonic() - begun_s,
        machine={**_machine(), "load average before the run": f"{load_before:.2f}"},
        pinned_apart=bool(pinning.driver),
        plan=plan,
        costs=costs,
        stall=stall,
        answers=answers,
        held=held,
        even=even,
    )


def _round(plan: Plan, number: int, pinning: Pinning, say: Say) -> Sequence[Cost]:
    """Every generator at every concurrency once, against a target started for the round."""
    with target(TRIVIAL, pinning.target) as base_url:
        costs = []
        for turn in turns(plan, number):
            say(f"round {number + 1} of {plan.rounds}: {turn.generator.name} at {turn.users}")
            found = run(turn.generator, _cost_task(plan, turn, base_url), pinning.driver)
            costs.append(Cost(number, turn.generator.name, turn.users, found))
        return costs


def _cost_task(plan: Plan, turn: Turn, base_url: str) -> Task:
    slow = is_slow(turn)
    return Task(
        base_url=base_url,
        path="/",
        users=turn.users,
        duration_s=plan.slow_window_s if slow else plan.window_s,
        warmup_s=plan.slow_warmup_s if slow else plan.warmup_s,
        kind=turn.generator.kind,
    )


def _answers(plan: Plan, pinning: Pinning) -> Mapping[str, Found]:
    generators = accurate(plan)

    def one(number: int) -> Found:
        generator = generators[number]
        with target(KNOWN, pinning.target, "--seed", str(plan.seed + number)) as base_url:
            task = Task(
                base_url=base_url,
                path="/answers",
                users=plan.answers_users,
                duration_s=plan.answers_s,
                warmup_s=plan.warmup_s,
                kind=generator.kind,
            )
            return run(generator, task, pinning.driver)

    with ThreadPoolExecutor(1 if plan.one_by_one else len(generators)) as pool:
        found = list(pool.map(one, range(len(generators))))
    return {generator.name: one for generator, one in zip(generators, found, strict=True)}


def _held(plan: Plan, pinning: Pinning, say: Say) -> Sequence[Held]:
    """Our drivers against the known delays, taking turns; the target says what they were."""
    ours = [one for one in accurate(plan) if one.name in DRIVERS]
    found = []
    for number in range(plan.agreement_rounds):
        for users in plan.agreement_users:
            # The same delays for all, and another one first each time.
            for generator in ours if number % 2 == 0 else reversed(ours):
                say(f"known delays, round {number + 1}: {generator.name} at {users}")
                seed = str(plan.seed + number)
                with target(KNOWN, pinning.target, "--seed", seed) as base_url:
                    task = Task(
                        base_url=base_url,
                        path="/answers",
                        users=users,
                        duration_s=plan.agreement_s,
                        warmup_s=plan.warmup_s,
                        kind=generator.kind,
                        think_s=plan.think_s(users),
                    )
                    reading = run(generator, task, pinning.driver)
                    true_ms = _true_ms(base_url)
                found.append(Held(number, generator.name, users, reading, true_ms))
    return found


def delays_of(base_url: str) -> list[float]:
    """The delays of right answers that a known target made, by its clock, in ms and in order."""
    return [us / 1000 for us in httpx.get(f"{base_url}/delays", trust_env=False).json()["us"]]


def _true_ms(base_url: str) -> Mapping[str, float]:
    """Percentiles of the delays that a known target made, by its own clock, in ms."""
    delays_ms = delays_of(base_url)
    return {name: percentile(delays_ms, PERCENTILES[name]) for name in HELD_PERCENTILES}


def _even(plan: Plan, pinning: Pinning) -> Found:
    """Our driver alone at a constant rate, to a target that answers at once."""
    ours = next(generator for generator in GENERATORS if generator.name == OURS)
    with target(KNOWN, pinning.target) as base_url:
        task = Task(
            base_url, "/", OURS_OPEN_USERS, plan.even_s, WARMUP_S, plan.even_rate, ours.kind
        )
        return run(ours, task, pinning.driver)


def _stall(plan: Plan, pinning: Pinning) -> Mapping[str, Found]:
    """All that can keep a rate at the same moment, each with a target of its own.

    The stalls of the targets are spread over the period, so that not all of them answer a second's
    requests at the same moment. Who cannot keep a rate would leave no processor to the others, and
    has its turn alone.
    """
    rows = askers(plan)
    with ExitStack() as stack:
        epoch_s = time.monotonic()
        urls = [
            stack.enter_context(
                target(
                    KNOWN,
                    pinning.target,
                    "--epoch-s",
                    repr(epoch_s + number * STALL.every_s / len(rows)),
                )
            )
            for number in range(len(rows))
        ]

        start_s = time.monotonic() + plan.gathering_s

        def one(number: int) -> Found:
            row = rows[number]
            task = Task(
                base_url=urls[number],
                path="/stall",
                users=row.users,
                duration_s=plan.stall_s,
                warmup_s=GATHERED_WARMUP_S,
                rate=plan.rate,
                start_s=start_s,
                kind=row.generator.kind,
            )
            return run(row.generator, task, pinning.driver)

        with ThreadPoolExecutor(len(rows)) as pool:
            found = list(pool.map(one, range(len(rows))))
        stall = {row.name: one for row, one in zip(rows, found, strict=True)}
        for generator in accurate(plan):
            if not generator.has_rate:
                task = Task(
                    urls[0], "/stall", plan.workers, plan.unpaced_s, 0.0, kind=generator.kind
                )
                name = f"{generator.name}, {plan.workers} connections, without a rate"
                stall[name] = run(generator, task, pinning.driver)
        return stall


def _machine() -> Mapping[str, str]:
    facts = fingerprint()
    packages = {name: found for name in PEERS if (found := _version(name))} | facts.packages
    return {
        "processor": facts.cpu,
        "cores": str(facts.cores),
        "memory": f"{facts.memory_gib:g} GiB",
        "system": facts.system,
        "python": facts.python,
        "commit": facts.commit,
        "packages": ", ".join(f"{name} {found}" for name, found in sorted(packages.items())),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
