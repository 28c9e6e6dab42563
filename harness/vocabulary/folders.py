"""Names of the folders that runs write."""

from __future__ import annotations

RESULTS = "results"
"""Where run folders go unless the user names another folder."""

LATEST = "latest"
"""The link in it that points to the newest run."""
