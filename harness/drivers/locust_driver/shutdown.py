"""Lets signals end a process of greenlets cleanly."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import gevent


class ShutdownError(BaseException):
    """A signal requested the end of this process."""


def _no() -> bool:
    return False


def end_on(
    *signals: signal.Signals, instead: Callable[[], bool] = _no, over: Callable[[], bool] = _no
) -> None:
    """Let signals end the present greenlet with `ShutdownError`, wherever it waits.

    Args:
        signals: Which.
        instead: Called first, from the hub; returns whether it will end the greenlet cleanly
            itself.
        over: Called last: returns whether the greenlet has already ended.
    """
    greenlet: Any = gevent.getcurrent()
    loop = gevent.get_hub().loop

    def throw() -> None:
        if not over():
            greenlet.throw(ShutdownError())

    def end() -> None:
        if not instead():
            loop.run_callback(throw)

    for one in signals:
        gevent.signal_handler(one, end)
