"""A real HTTP server for locustfiles to ask, which counts what it is asked."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLOW_S = 0.05


class CountingTarget:
    """Answers `{"n": 1}`; `/missing` with 404, `/broken` with 500, and `/slow` after `SLOW_S`.

    Attributes:
        asked: How often each `METHOD /path` was asked for.
        url: Where it listens.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def serving(self) -> Iterator[CountingTarget]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        target = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                with target._lock:
                    target.asked[f"{self.command} {self.path}"] += 1
                if self.path == "/slow":
                    time.sleep(SLOW_S)
                status = {"/missing": 404, "/broken": 500}.get(self.path, 200)
                body = b'{"n": 1}'
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - as the library calls them

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
                del format, args

        return Handler
