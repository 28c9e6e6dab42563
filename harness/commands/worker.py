"""`loopmark worker`."""

from __future__ import annotations

import os
import sys

import click

from loopmark.harness.drivers.catalog import DRIVERS
from loopmark.harness.vocabulary.address import MASTER_PORT, parse_address


@click.command()
@click.option(
    "--master",
    metavar="HOST[:PORT]",
    required=True,
    help=f"What the run was given as --listen; the port is {MASTER_PORT} if left out.",
)
def worker(master: str) -> None:
    """Drive a share of a run on another machine.

    It gives up after 8 seconds without a master, and ends with the run. The master decides what it
    asks of whom: work only for masters that you trust.

    Exit codes: 0 when the run is done; 1 when the master was lost; 2 when there is none, or it
    refuses this worker; 130 when interrupted.
    """
    address = parse_address(master, "--master")
    module = f"{DRIVERS['locust']}.workers.worker"
    command = [sys.executable, "-P", "-m", module]
    command += ["--master", address.host, "--port", str(address.port)]
    # In its own process from the start: what it imports changes the standard library.
    os.execv(sys.executable, command)  # noqa: S606 - our own module
