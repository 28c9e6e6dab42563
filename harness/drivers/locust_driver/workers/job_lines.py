"""Reads a driver process's jobs while its greenlets continue."""

from __future__ import annotations

import os
from collections.abc import Iterator

from gevent.socket import wait_read

READ_BYTES = 64 * 1024


def lines(number: int) -> Iterator[str]:
    """The lines of an input, one after another.

    A thread that reads them would hold the input's lock, which prevents a clean end of the process.

    Args:
        number: The input's file descriptor.
    """
    unread = b""
    while True:
        wait_read(number)
        data = os.read(number, READ_BYTES)
        if not data:
            return
        *whole, unread = (unread + data).split(b"\n")
        for line in whole:
            yield line.decode()
