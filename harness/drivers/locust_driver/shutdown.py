"""Lets signals end a process of greenlets in order."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import gevent


class ShutdownError(BaseException):
    """This process has been told to end."""


def _no() -> bool:
    return False


def end_on(
    *signals: signal.Signals, instead: Callable[[], bool] = _no, over: Callable[[], bool] = _no
) -> None:
    """Let signals end the present greenlet with `ShutdownError`, wherever it waits.

    Args:
        signals: Which.
        instead: Called first, from the hub; whether it will end the greenlet in order itself.
        over: Asked last: whether the greenlet has come to its end anyway, and is to be left alone.
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
