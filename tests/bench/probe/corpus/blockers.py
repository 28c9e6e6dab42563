"""Work in C that takes as long as an amount says: each function is the blocker of one route.

Imports nothing but the standard library: an application is loaded with it in any environment.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import IO

AMOUNTS_VARIABLE = "CORPUS_AMOUNTS"
"""Environment variable: a JSON object of amounts by name, as `calibrate` gives them."""

CALIBRATED_MS = 150.0
ROUNDS = 5
MIB = 1024**2

BASE = [float(number) for number in range(1000)]
SAME = [float(number) for number in range(1000)]
CUBIC = re.compile("a*a*a*b")
"""Takes time in proportion to the cube of the length of a text that it does not match."""

POPULATION: list[object] = []
"""What the collector must visit: lists that contain themselves."""


# ---- on the loop's thread ----


def derive_key(iterations: int) -> bytes:
    derive = hashlib.pbkdf2_hmac
    return derive("sha256", b"word", b"salt", iterations)  # guilty of hashlib: computing


def compare_lists(copies: int) -> bool:
    left, right = [BASE] * copies, [SAME] * copies
    return left == right  # guilty of list-compare: computing-gil


def raise_to_power(exponent: int) -> object:
    return 3**exponent  # guilty of big-power: computing-gil


def match_nothing(length: int) -> object:
    text = "a" * length
    return CUBIC.match(text)  # guilty of re: computing-gil


def parse_document(numbers: int) -> object:
    text = document(numbers)
    return json.loads(text)  # guilty of json: computing-gil


def collect_garbage(population: int) -> int:
    assert len(POPULATION) == population
    return gc.collect()  # guilty of gc: gc


def write_to_disk(mebibytes: int) -> None:
    assert mebibytes
    os.fsync(unwritten().fileno())  # guilty of fsync: blocking-call


# ---- on another thread ----


def hold_the_gil(numbers: int) -> int:
    return sum(range(numbers))  # guilty of gil-hog: gil-hog


# ---- what they need ----


@lru_cache(maxsize=1)
def document(numbers: int) -> str:
    """A JSON array of numbers, eight bytes each."""
    return f"[{'1234567,' * (numbers - 1)}1234567]"


def populate(objects: int) -> None:
    """Have so many objects for the collector to visit; none of them becomes garbage."""
    if len(POPULATION) == objects:
        return
    enabled = gc.isenabled()
    gc.disable()
    try:
        del POPULATION[objects:]
        while len(POPULATION) < objects:
            itself: list[object] = []
            itself.append(itself)
            POPULATION.append(itself)
    finally:
        if enabled:
            gc.enable()


@lru_cache(maxsize=1)
def unwritten() -> IO[bytes]:
    return tempfile.TemporaryFile()


def write_to_memory(mebibytes: int) -> None:
    """Have so much for the disk that is not on it yet."""
    file = unwritten()
    file.seek(0)
    block = os.urandom(MIB)
    for _ in range(mebibytes):
        file.write(block)
    file.flush()


def nothing(_: int) -> None:
    """Prepare nothing."""


# ---- how much of it ----


@dataclass(frozen=True)
class Blocker:
    """Work whose duration is known.

    Attributes:
        work: Called with the amount, and with what was prepared for it.
        start: The amount to begin the calibration with.
        exponent: Time is in proportion to this power of the amount.
        prepare: Called with the amount before each work, where it may take its time.
        clock: What its time is measured by, in seconds. CPU time where it computes: that does not
            depend on what else the machine does.
    """

    work: Callable[[int], object]
    start: int
    exponent: float = 1.0
    prepare: Callable[[int], object] = nothing
    clock: Callable[[], float] = time.thread_time

    def calibrated(self) -> int:
        """The amount that takes `CALIBRATED_MS` on this machine now."""
        amount = self.start
        for _ in range(ROUNDS):
            self.prepare(amount)
            began = self.clock()
            self.work(amount)
            took_ms = 1000 * (self.clock() - began)
            # From a short trial in several steps: the first says little of the last.
            amount = self.scaled(amount, min(10.0, CALIBRATED_MS / took_ms))
        return amount

    def scaled(self, amount: int, ratio: float) -> int:
        """The amount that takes `ratio` times as long as this one."""
        return max(1, round(amount * float(ratio ** (1 / self.exponent))))


BLOCKERS: Mapping[str, Blocker] = MappingProxyType(
    {
        "hashlib": Blocker(derive_key, 20_000),
        "list-compare": Blocker(compare_lists, 500),
        # Karatsuba's multiplication: log2(3).
        "big-power": Blocker(raise_to_power, 200_000, 1.585),
        "re": Blocker(match_nothing, 200, 3.0),
        "json": Blocker(parse_document, 200_000, prepare=document),
        "gc": Blocker(collect_garbage, 200_000, prepare=populate),
        "fsync": Blocker(write_to_disk, 4, prepare=write_to_memory, clock=time.perf_counter),
        "gil-hog": Blocker(hold_the_gil, 500_000),
    }
)


def calibrate() -> dict[str, int]:
    """The amounts that take `CALIBRATED_MS`, by name."""
    amounts = {name: blocker.calibrated() for name, blocker in BLOCKERS.items()}
    release()
    return amounts


def release() -> None:
    """Let go of what was prepared."""
    POPULATION.clear()
    document.cache_clear()
    unwritten().close()
    unwritten.cache_clear()


@lru_cache(maxsize=1)
def amounts() -> Mapping[str, int]:
    """As the environment gives them, or else calibrated now."""
    given = os.environ.get(AMOUNTS_VARIABLE)
    return json.loads(given) if given else calibrate()


def amount_for(name: str, milliseconds: float) -> int:
    """How much of a blocker takes so long."""
    return BLOCKERS[name].scaled(amounts()[name], milliseconds / CALIBRATED_MS)
