"""Lets SIGTERM end a process of greenlets in order."""

from __future__ import annotations

import signal
from typing import Any

import gevent


class EndedError(BaseException):
    """This process, or the round that it drives, has been told to end."""


def end_on(*signals: signal.Signals) -> None:
    """Let these signals end the present greenlet with `EndedError`, wherever it waits."""
    greenlet: Any = gevent.getcurrent()
    loop = gevent.get_hub().loop

    def end() -> None:
        loop.run_callback(greenlet.throw, EndedError())

    for one in signals:
        gevent.signal_handler(one, end)
