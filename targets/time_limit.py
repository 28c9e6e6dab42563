"""A time limit for a whole call of httpx's sync client.

httpx limits each read: what sends a byte now and then would hold a thread for ever. On the event
loop `asyncio.timeout` ends a call; a thread that reads can only be told how long it may.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from ssl import SSLContext
from typing import Any

import httpcore
import httpx

_ENDS_AT: ContextVar[float] = ContextVar("ends_at")


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Limit the calls in this block, on a client with the transport below.

    Raises:
        httpx.TimeoutException: They took longer.
    """
    token = _ENDS_AT.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ENDS_AT.reset(token)


class Transport(httpx.HTTPTransport):
    """The transport of httpx; each step ends at the end of the block `within` at the latest.

    Args:
        limits: Of the pool of connections.
        verify: As of `httpx.HTTPTransport`.
    """

    def __init__(self, *, limits: httpx.Limits, verify: bool) -> None:
        super().__init__(limits=limits, verify=verify)
        # httpx passes no backend on.
        self._pool._network_backend = _Backend()  # noqa: SLF001


def _left(timeout: float | None) -> float | None:
    """The time for a step.

    Raises:
        httpcore.ReadTimeout: There is none.
    """
    ends_at = _ENDS_AT.get(None)
    if ends_at is None:
        return timeout
    left = ends_at - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left if timeout is None else min(timeout, left)


class _Backend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(
            self._inner.connect_tcp(host, port, _left(timeout), local_address, socket_options)
        )


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - as httpcore has it
        return self._inner.get_extra_info(info)
