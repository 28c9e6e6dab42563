"""Runs a module in surroundings of its own: `python -m tests.forked_start SURROUNDINGS ARGUMENT…`.

Forked from a process that has imported the module already, it starts in some milliseconds.
"""

from __future__ import annotations

import ctypes
import json
import os
import runpy
import sys
from typing import NamedTuple


class Surroundings(NamedTuple):
    """What a process is started in, as JSON.

    Attributes:
        module: What it runs, as `python -m` does.
        folder: Where it starts.
        environment: All its environment variables.
        heeds_permissions: Whether a process of root's finds files unreadable, as every other user's
            does.
    """

    module: str
    folder: str
    environment: dict[str, str]
    heeds_permissions: bool = False


def enter(surroundings: Surroundings) -> None:
    os.chdir(surroundings.folder)
    os.environ.clear()
    os.environ.update(surroundings.environment)
    if surroundings.heeds_permissions and sys.platform == "linux" and os.geteuid() == 0:
        _drop_capabilities(1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


def _drop_capabilities(*numbers: int) -> None:
    libc = ctypes.CDLL(None)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable; then of 32 and above
    libc.capget(header, sets)
    for number in numbers:
        libc.prctl(24, number, 0, 0, 0)  # PR_CAPBSET_DROP: nor does what it starts get it back
        for index in range(3):
            sets[index] &= ~(1 << number)
    assert libc.capset(header, sets) == 0


if __name__ == "__main__":
    told = Surroundings(*json.loads(sys.argv[1]))
    enter(told)
    sys.argv = [told.module, *sys.argv[2:]]
    sys.modules.pop(told.module, None)  # It runs anew, as the main module.
    runpy.run_module(told.module, run_name="__main__", alter_sys=True)
