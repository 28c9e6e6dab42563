"""TCP ports: finds a free one, and checks whether one is free."""

from __future__ import annotations

import socket

from loopmark.harness.errors import UserError
from loopmark.harness.vocabulary.address import Address

HOST = "127.0.0.1"
"""Where everything listens, unless other machines must reach it."""


def free_port(host: str = HOST) -> int:
    """A free TCP port.

    Raises:
        OSError: The address is not one of this machine.
    """
    with _bound(Address(host, 0)) as probe:
        return int(probe.getsockname()[1])


def require_free(address: Address, option: str) -> None:
    """Check that the address is one of this machine's, and its port free.

    Args:
        address: To listen on.
        option: That named it, for the message.

    Raises:
        UserError: The address cannot be bound.
    """
    try:
        _bound(address).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"{option}: cannot listen on {address}: {reason}; name a free port of this machine"
        ) from None


def _bound(address: Address) -> socket.socket:
    probe = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
    if address.port:
        # What has just been closed there does not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((address.host, address.port))
    except OSError:
        probe.close()
        raise
    return probe
