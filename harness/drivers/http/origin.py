"""The host and port to connect to."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from loopmark.harness.drivers.http.exchange import Failure
from loopmark.harness.vocabulary.sample import ErrorKind


@dataclass(frozen=True, slots=True)
class Origin:
    """A host and a port; `ssl_context` is None for plain HTTP."""

    host: str
    port: int
    ssl_context: ssl.SSLContext | None = None

    def unconnected(self, problem: Exception, limit_s: float) -> Failure:
        """Why connecting failed.

        Args:
            problem: What connecting raised; a `TimeoutError` at the limit.
            limit_s: The limit in seconds.
        """
        where = f"no connection to {self.host}:{self.port}"
        if isinstance(problem, TimeoutError):
            return Failure(ErrorKind.CONNECT, f"{where} within {limit_s:g} s")
        return Failure(ErrorKind.CONNECT, f"{where}: {problem}")


UNCONNECTED = (OSError, ValueError, OverflowError)
"""Exceptions of connecting. Not only from the network: also a host name that cannot be encoded, or
a port above 65535."""
