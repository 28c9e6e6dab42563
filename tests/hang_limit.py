"""How long a test waits before it calls something hung."""

from __future__ import annotations

HANG_S = 180.0
"""On a busy machine a process may take a minute to start: far more than that, so that this limit
tells a hang from an answer and nothing else."""
