"""In a target: writes down what a tool says, in a thread that no tool accuses."""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from pathlib import Path

RECORDS_VARIABLE = "CORPUS_RECORDS"
"""Environment variable: the file to write to; a line of JSON for each record."""


class Recorder:
    """Takes texts on any thread, writes them on its own."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._write, daemon=True).start()

    def record(self, text: str) -> None:
        """Keep what a tool says, with the time now."""
        self._queue.put(json.dumps({"at_ns": time.monotonic_ns(), "text": text}))

    def _write(self) -> None:
        with Path(os.environ[RECORDS_VARIABLE]).open("a", encoding="utf-8") as file:
            while True:
                file.write(f"{self._queue.get()}\n")
                file.flush()
