"""A server of the test's own for a page that tells what it shows."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.hang_limit import HANG_S


@dataclass(frozen=True)
class Shown:
    """What progress.html shows at one moment.

    Attributes:
        connection: To the target.
        progress: Of the bar, 0 to 100.
        progress_text: Below it.
        activity: The entries of the log.
        completion: The last notification.
    """

    connection: str
    progress: float
    progress_text: str
    activity: Sequence[str]
    completion: str


class PageServer(ThreadingHTTPServer):
    """Serves a folder on an origin of its own, and hears what its page shows."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
        self.origin = f"http://127.0.0.1:{self.server_port}"
        self._shown: list[Shown] = []
        self._news = threading.Condition()

    def hear(self, shown: Shown) -> None:
        """Take what the page shows now."""
        with self._news:
            self._shown.append(shown)
            self._news.notify_all()

    def so_far(self) -> list[Shown]:
        """Everything that it has shown, each change once."""
        with self._news:
            return list(self._shown)

    def wait_for(self, condition: Callable[[Shown], bool]) -> Shown:
        """The first that meets the condition."""
        deadline = time.monotonic() + HANG_S
        with self._news:
            while True:
                for shown in self._shown:
                    if condition(shown):
                        return shown
                if not self._news.wait(deadline - time.monotonic()):
                    pytest.fail(f"within {HANG_S} s the page showed only {self._shown}")


class _Handler(SimpleHTTPRequestHandler):
    """Files by GET; what the page shows by POST."""

    def do_POST(self) -> None:
        """Hear what the page shows."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert isinstance(self.server, PageServer)
        self.server.hear(Shown(**body))
        self.send_response(HTTPStatus.NO_CONTENT)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Be silent."""


@contextmanager
def serving_pages(folder: Path) -> Iterator[PageServer]:
    """Serve the files of a folder on a free port of the loopback interface."""
    with PageServer(folder) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
