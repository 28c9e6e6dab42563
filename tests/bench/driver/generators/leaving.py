"""The end of a generator's process that has too many open connections to close them one by one."""

from __future__ import annotations

import os
import sys


def leave() -> None:
    """End this process now; what was written stays written."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
