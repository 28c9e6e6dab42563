"""What is measured, how long and in which order. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tests.bench.driver.catalog import FAST, GENERATORS, HEY, OURS, POOL, Generator
from tests.bench.driver.known_behaviour import DELAY


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of the comparison; times in seconds.

    Attributes:
        rounds: How often every generator is measured at every concurrency.
        users: The concurrencies.
        window_s: Length of a measured window.
        warmup_s: Before it.
        slow_window_s: The same for httpx's own pool at 1000 connections, which needs seconds to
            open them and answers some hundred requests per second; measured in one round only.
        slow_warmup_s: Before that.
        rate: Requests per second to the target that stalls.
        stall_s: For how long; whole periods of the stall.
        gathering_s: Before that, for all generators to have started: starting takes a processor.
        workers: Connections of those that share the rate among connections.
        answers_users: Connections to the target with known delays and errors.
        answers_s: For how long.
        agreement_users: Concurrencies at which our drivers are compared with the known delays.
        agreement_rate: Requests per second that they make there at most: users think as long as
            that takes, so that neither the target nor a driver is the limit.
        agreement_s: For how long each.
        agreement_rounds: How often each, in turn.
        even_rate: Requests per second to an idle target.
        even_s: For how long.
        unpaced_s: How long those that cannot keep a rate ask the target that stalls.
        one_by_one: Whether generators are let onto the known delays one after the other.
        accuracy_of: Names of the generators whose accuracy is looked at; empty means all.
        seed: Of the order.
    """

    rounds: int = 4
    users: tuple[int, ...] = (10, 100, 1000)
    window_s: float = 0.9
    warmup_s: float = 0.4
    slow_window_s: float = 3.0
    slow_warmup_s: float = 10.0
    rate: float = 100.0
    stall_s: float = 100.0
    gathering_s: float = 8.0
    workers: int = 10
    answers_users: int = 50
    answers_s: float = 2.5
    agreement_users: tuple[int, ...] = (50, 500)
    agreement_rate: float = 1250.0
    agreement_s: float = 2.0
    agreement_rounds: int = 3
    even_rate: float = 1000.0
    even_s: float = 8.0
    unpaced_s: float = 5.0
    one_by_one: bool = True
    accuracy_of: tuple[str, ...] = ()
    seed: int = 1

    def think_s(self, users: int) -> float:
        """Mean think time in seconds of this many users in the comparison with the delays."""
        return max(0.0, users / self.agreement_rate - DELAY.mean_total_s)


QUICK = Plan(
    rounds=1,
    users=(10,),
    window_s=0.5,
    warmup_s=0.1,
    stall_s=5.0,
    gathering_s=3.0,
    answers_users=10,
    answers_s=0.5,
    agreement_users=(20,),
    agreement_s=1.0,
    agreement_rounds=1,
    even_s=0.5,
    unpaced_s=1.5,
    one_by_one=False,
    accuracy_of=(OURS, "wrk", FAST),
)
"""Does everything work? Its figures are good for nothing else."""

SLOW_FROM = 1000


@dataclass(frozen=True, slots=True)
class Turn:
    """One generator at one concurrency."""

    generator: Generator
    users: int


@dataclass(frozen=True, slots=True)
class Asker:
    """One row of the accuracy table under the stall: a generator and its connections."""

    name: str
    generator: Generator
    users: int


def is_slow(turn: Turn) -> bool:
    """Whether the turn needs seconds before it answers anything."""
    return turn.generator.name == POOL and turn.users >= SLOW_FROM


def accurate(plan: Plan) -> Sequence[Generator]:
    """The generators whose accuracy is looked at."""
    return [one for one in GENERATORS if not plan.accuracy_of or one.name in plan.accuracy_of]


def turns(plan: Plan, number: int) -> Sequence[Turn]:
    """Everything once, in a random order that the seed and the round's number decide."""
    found = [Turn(generator, users) for generator in GENERATORS for users in plan.users]
    Random(f"{plan.seed}/{number}").shuffle(found)
    return [turn for turn in found if number == 0 or not is_slow(turn)]


def askers(plan: Plan) -> Sequence[Asker]:
    """Who asks the target that stalls at a rate, all at the same moment.

    Two are asked with enough connections too: then none of them has to wait for a stalled one.
    """
    found = []
    for generator in accurate(plan):
        if generator.is_open:
            # Twice what waits at the end of a stall.
            found.append(Asker(generator.name, generator, round(2 * plan.rate)))
        elif generator.has_rate:
            name = f"{generator.name}, {plan.workers} connections"
            found.append(Asker(name, generator, plan.workers))
    many = round(plan.rate)
    enough = (Asker(f"{one.name}, {many} connections", one, many) for one in accurate(plan))
    return [*found, *(row for row in enough if row.generator.name in {HEY, FAST})]
