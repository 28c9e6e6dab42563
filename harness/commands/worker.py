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
    help=f"Address given to the run as --listen; default port: {MASTER_PORT}.",
)
def worker(master: str) -> None:
    """Drive a share of a run on another machine.

    The worker gives up after 8 seconds without a master, and exits with the run. The master decides
    which requests it sends and where to: connect only to masters that you trust.

    Exit codes: 0 the run is complete; 1 the master was lost; 2 no master was found, or it refused
    this worker; 130 interrupted.
    """
    address = parse_address(master, "--master")
    module = f"{DRIVERS['locust']}.workers.worker"
    command = [sys.executable, "-P", "-m", module]
    command += ["--master", address.host, "--port", str(address.port)]
    # In its own process from the start: what it imports changes the standard library.
    os.execv(sys.executable, command)  # noqa: S606 - our own module
