"""An address and port, as a user writes them."""

from __future__ import annotations

from dataclasses import dataclass

from loopmark.harness.errors import UserError

MASTER_PORT = 5557
"""Default port of a master that workers connect to: Locust's own."""

_ALL_INTERFACES = frozenset({"", "*", "0.0.0.0", "::"})  # noqa: S104 - refused below


@dataclass(frozen=True, slots=True)
class Address:
    """A host, by name or IP address and without brackets, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str, option: str) -> Address:
    """Read `HOST`, `HOST:PORT`, `[IPv6]` or `[IPv6]:PORT`.

    Args:
        text: What the user gave.
        option: Where, for messages.

    Raises:
        UserError: The text has another form, or means all interfaces: workers need one address.
    """
    if "/" in text or any(sign.isspace() for sign in text.strip()):
        raise UserError(f"{option}: HOST or HOST:PORT is needed, got {text!r}")
    host, colon, port = text.strip().rpartition(":")
    if not colon or (":" in host and not host.startswith("[")) or text.endswith("]"):
        host, port = text.strip(), str(MASTER_PORT)
    host = host.removeprefix("[").removesuffix("]")
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:  # noqa: PLR2004 - TCP's
        raise UserError(f"{option}: the port must be a number from 1 to 65535, got {text!r}")
    if host in _ALL_INTERFACES:
        raise UserError(
            f"{option}: give the address at which the other machines reach this one, got {text!r}"
        )
    return Address(host, int(port))
