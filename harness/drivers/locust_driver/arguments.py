"""How a process of this driver is told who drives for it."""

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
        fork_server: File descriptor of the socket of who starts them here.
    """

    workers: int
    listen: Address | None
    fork_server: int | None


def parsed(arguments: Sequence[str] | None) -> Arguments:
    """Read them; None means those of the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--listen", default="")
    parser.add_argument("--fork-server", type=int)
    chosen = parser.parse_args(arguments)
    listen = parse_address(chosen.listen, "--listen") if chosen.listen else None
    return Arguments(chosen.workers, listen, chosen.fork_server)
