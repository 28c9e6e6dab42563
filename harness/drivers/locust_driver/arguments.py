"""How a process of this driver is told who drives for it: `[--workers N [--listen HOST:PORT]]`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from loopmark.harness.vocabulary.address import Address, parse_address


@dataclass(frozen=True, slots=True)
class Arguments:
    """What stands behind the module's name.

    Attributes:
        workers: How many there are to be; 0 when the process drives itself.
        listen: Where they come to from other machines; None to start them here.
    """

    workers: int
    listen: Address | None


def parsed(arguments: Sequence[str] | None) -> Arguments:
    """Read them; None means those of the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--listen", default="")
    chosen = parser.parse_args(arguments)
    listen = parse_address(chosen.listen, "--listen") if chosen.listen else None
    return Arguments(chosen.workers, listen)
