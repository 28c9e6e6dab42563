"""Tests of what is seen while others may take the processors: they may be tried again."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

Arguments = ParamSpec("Arguments")

TRIES = 3


def tried_again(test: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Try a test up to three times: a processor that others have can hide a block, not make one."""

    @wraps(test)
    def patient(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        for left in reversed(range(TRIES)):
            try:
                test(*args, **kwargs)
            except (AssertionError, KeyError):
                if not left:
                    raise
            else:
                return

    return patient
