"""The arguments of a process of this driver: its workers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from loopmark.harness.vocabulary.address import Address, parse_address


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments.

    Attributes:
        workers: Number of workers; 0 when the process drives itself.
        listen: Where workers on other machines connect; None to start them here.
        fork_server: File descriptor of the socket of the fork server that starts them here.
    """

    workers: int
    listen: Address | None
    fork_server: int | None


def parsed(arguments: Sequence[str] | None) -> Arguments:
    """Parse them; None means those of the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--listen", default="")
    parser.add_argument("--fork-server", type=int)
    chosen = parser.parse_args(arguments)
    listen = parse_address(chosen.listen, "--listen") if chosen.listen else None
    return Arguments(chosen.workers, listen, chosen.fork_server)
