"""Hosts with addresses of their own on one machine: network namespaces, made for a test."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

NETWORK = "10.77.0"
"""Known inside of the namespaces only."""

_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class Host:
    """One of them.

    Attributes:
        name: Of its namespace.
        address: By which the others reach it.
    """

    name: str
    address: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """Before a command, lets it run there."""
        return "ip", "netns", "exec", self.name


def why_not() -> str:
    """Why there can be none here; empty when there can."""
    if shutil.which("ip") is None:
        return "no ip on this machine (apt-get install iproute2)"
    return "" if os.geteuid() == 0 else "network namespaces need root"


@contextmanager
def hosts(count: int) -> Iterator[Sequence[Host]]:
    """So many hosts on one bridge, which the first of them has; gone afterwards."""
    token = token_hex(3)
    made = [Host(f"loopmark-{token}-{n}", f"{NETWORK}.{n + 1}") for n in range(count)]
    first = made[0]
    try:
        for host in made:
            _ip("netns", "add", host.name)
            _ip("-n", host.name, "link", "set", "lo", "up")
        _ip("-n", first.name, "link", "add", "name", "bridge0", "type", "bridge")
        _ip("-n", first.name, "addr", "add", f"{first.address}/24", "dev", "bridge0")
        _ip("-n", first.name, "link", "set", "bridge0", "up")
        for number, host in enumerate(made[1:], start=1):
            port = f"port{number}"
            peer = ("peer", "name", "eth0", "netns", host.name)
            _ip("-n", first.name, "link", "add", "name", port, "type", "veth", *peer)
            _ip("-n", first.name, "link", "set", port, "master", "bridge0", "up")
            _ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", "eth0")
            _ip("-n", host.name, "link", "set", "eth0", "up")
        yield made
    finally:
        for host in made:
            subprocess.run(["ip", "netns", "del", host.name], check=False, capture_output=True)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextmanager
def inside(host: Host) -> Iterator[None]:
    """Within it, processes that this thread starts, and sockets that it opens, are that host's."""
    with Path("/proc/thread-self/ns/net").open("rb") as before:
        with Path("/run/netns", host.name).open("rb") as there:
            _enter(there.fileno())
        try:
            yield
        finally:
            _enter(before.fileno())


def _enter(namespace: int) -> None:
    """setns(2), which Python has from 3.12 on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
