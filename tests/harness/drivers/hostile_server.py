"""A server that does to a client what servers do at their worst: one behaviour for each path.

Blocking sockets and a thread for each connection: nothing between the behaviour and the wire.
"""

from __future__ import annotations

import gzip
import itertools
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

OK: Final = b'HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{"n": 1}'
CHUNKED: Final = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
BLOCK: Final = 64 * 1024
HEADER_BYTES: Final = 10 * 1024**2
DRIP_S: Final = 0.02

ANSWER_BYTES: Final = 4 * 1024**2
"""Where these servers are met, an answer may hold so much: the driver's own limit takes long."""

CLOSING_RACE_NS: Final = 20 * 10**9
"""So soon a closed connection was closed in the race: on a busy machine all takes longer."""


class Client:
    """The server's end of one connection."""

    def __init__(self, connected: socket.socket, over: threading.Event) -> None:
        self.socket = connected
        self.over = over
        self._unread = b""

    def head(self) -> bytes | None:
        """The next request's head; None when the client has closed."""
        while b"\r\n\r\n" not in self._unread:
            data = self.socket.recv(BLOCK)
            if not data:
                return None
            self._unread += data
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        return head

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.socket.sendall(part)

    def endless(self, start: bytes, again: bytes) -> None:
        """Until the client has had enough of it."""
        self.send(start)
        block = again * (BLOCK // len(again))
        while not self.over.is_set():
            self.send(block)

    def drip(self, data: bytes) -> None:
        for byte in data:
            self.send(bytes([byte]))
            if self.over.wait(DRIP_S):
                return

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def hold(self) -> None:
        """Say nothing more until the client goes."""
        with suppress(OSError):
            while self.socket.recv(BLOCK):
                pass


Behaviour = Callable[[Client], None]


def sending(*parts: bytes) -> Behaviour:
    return lambda client: client.send(*parts)


def closing(*parts: bytes) -> Behaviour:
    def behave(client: Client) -> None:
        # Kept back until the end goes with it: on a busy machine a request could come between them.
        client.socket.sendall(b"".join(parts), getattr(socket, "MSG_MORE", 0))
        client.socket.shutdown(socket.SHUT_WR)

    return behave


def holding(*parts: bytes) -> Behaviour:
    def behave(client: Client) -> None:
        client.send(*parts)
        client.hold()

    return behave


def unread(*parts: bytes) -> Behaviour:
    """Answer, and never read the rest of the request."""

    def behave(client: Client) -> None:
        client.send(*parts)
        client.over.wait()

    return behave


def resetting(*parts: bytes) -> Behaviour:
    def behave(client: Client) -> None:
        client.send(*parts)
        client.reset()

    return behave


def endless(start: bytes, again: bytes) -> Behaviour:
    return lambda client: client.endless(start, again)


def dripping(start: bytes, data: bytes) -> Behaviour:
    def behave(client: Client) -> None:
        client.send(start)
        client.drip(data)
        client.hold()

    return behave


def _with_length(length: int | bytes, body: bytes, *headers: bytes) -> bytes:
    given = length if isinstance(length, bytes) else b"%d" % length
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"HTTP/1.1 200 OK\r\ncontent-length: " + given + b"\r\n" + lines + b"\r\n" + body


_GZIPPED = gzip.compress(b'{"n": 1}')
_BOMB = gzip.compress(bytes(20 * 1024**2))
_FILLER = b"x-filler: " + b"a" * 8000 + b"\r\n"


def _ten_megabytes_of_headers(client: Client) -> None:
    client.send(b"HTTP/1.1 200 OK\r\n")
    for _ in range(HEADER_BYTES // len(_FILLER)):
        client.send(_FILLER)
    client.send(b"content-length: 0\r\n\r\n")


BEHAVIOURS: Final[dict[str, Behaviour]] = {
    # Not HTTP.
    "garbage": holding(b"\x16\x03\x01\x00\xff" * 20),
    "another-protocol": holding(b"220 smtp.example.com ESMTP\r\n"),
    "upgrade": holding(
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"
    ),
    "plain-101": holding(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    "status-0": holding(b"HTTP/1.1 000 Nothing\r\ncontent-length: 0\r\n\r\n"),
    "status-7": holding(b"HTTP/1.1 7 Short\r\ncontent-length: 0\r\n\r\n"),
    "status-999": sending(b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n"),
    "bad-chunk-size": holding(CHUNKED + b"zz\r\nhello\r\n"),
    "negative-chunk-size": holding(CHUNKED + b"-5\r\nhello\r\n"),
    "huge-chunk-size": holding(CHUNKED + b"f" * 20 + b"\r\nhello\r\n"),
    "chunk-longer-than-its-size": holding(CHUNKED + b"2\r\nhello\r\n0\r\n\r\n"),
    "length-of-letters": holding(_with_length(b"ten", b"ten bytes.")),
    "negative-length": holding(_with_length(-1, b"")),
    "huge-length": holding(_with_length(b"9" * 30, b"")),
    "two-lengths": holding(_with_length(2, b"ok", b"content-length: 3")),
    "length-and-chunked": holding(_with_length(2, b"ok", b"transfer-encoding: chunked")),
    # Closed or reset.
    "close-at-once": closing(),
    "half-a-head": closing(OK[:20]),
    "half-a-body": closing(OK[:-3]),
    "half-a-chunk": closing(CHUNKED + b"8\r\n{"),
    "no-last-chunk": closing(CHUNKED + b'8\r\n{"n": 1}\r\n'),
    "only-a-100": closing(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "length-too-long": closing(_with_length(99, b'{"n": 1}')),
    "reset": resetting(),
    "reset-in-body": resetting(OK[:-3]),
    # Slow or silent.
    "silence": holding(),
    "silent-in-head": holding(OK[:20]),
    "silent-in-body": holding(OK[:-3]),
    "length-too-long-and-held": holding(_with_length(99, b'{"n": 1}')),
    "drip": dripping(b"HTTP/1.1 200 OK\r\nx: ", b"y" * 10_000),
    "drip-body": dripping(_with_length(10_000, b""), b"x" * 10_000),
    # Without end.
    "headers": _ten_megabytes_of_headers,
    "endless-header": endless(b"HTTP/1.1 200 OK\r\nx: ", b"y"),
    "endless-reason": endless(b"HTTP/1.1 200 ", b"OK "),
    "endless-body": endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * BLOCK),
    "endless-chunks": endless(CHUNKED, b"1000\r\n" + b"x" * 4096 + b"\r\n"),
    "endless-tiny-chunks": endless(CHUNKED, b"2\r\nab\r\n"),
    "endless-chunk-extension": endless(CHUNKED + b"5;x=", b"y"),
    "endless-trailers": endless(CHUNKED + b"0\r\n", b"a: b\r\n"),
    "endless-trailer": endless(CHUNKED + b"0\r\nx: ", b"y"),
    "endless-1xx": endless(b"", b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"),
    # Compressed badly.
    "not-gzip": sending(_with_length(8, b'{"n": 1}', b"content-encoding: gzip")),
    "torn-gzip": sending(
        _with_length(len(_GZIPPED), b"x" * len(_GZIPPED), b"content-encoding: gzip")
    ),
    "gzip-bomb": sending(_with_length(len(_BOMB), _BOMB, b"content-encoding: gzip")),
    # Right answers, in unfriendly ways.
    "fine": sending(OK),
    "until-close": closing(b'HTTP/1.1 200 OK\r\n\r\n{"n": 1}'),
    "connection-close": closing(_with_length(8, b'{"n": 1}', b"connection: close")),
    "closed-while-idle": closing(OK),
    "reset-while-idle": resetting(OK),
    "two-answers": holding(OK + OK),
    "length-too-short": holding(_with_length(8, b'{"n": 1} and more')),
    "unsolicited": holding(OK, b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"),
    "answer-unread": unread(OK),
    "after-100": sending(b"HTTP/1.1 100 Continue\r\n\r\n" + OK),
}


class HostileServer:
    """Does `BEHAVIOURS[name]` to a request of `/name`; `/warm` is answered as it should be.

    A behaviour that returns leaves the connection open for the next request, unless it shut it.

    Attributes:
        requests: How many came, by path.
        connections: How many were accepted.
    """

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.connections = 0
        self._over = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @contextmanager
    def running(self) -> Iterator[HostileServer]:
        accepting = threading.Thread(target=self._accept)
        accepting.start()
        try:
            yield self
        finally:
            self._over.set()
            self._listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            self._listener.close()
            for connected in self._sockets:
                with suppress(OSError):
                    connected.shutdown(socket.SHUT_RDWR)
            for thread in self._threads:
                thread.join()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._sockets.append(connected)
            thread = threading.Thread(target=self._serve, args=(connected,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connected: socket.socket) -> None:
        client = Client(connected, self._over)
        with connected, suppress(OSError):
            for number in itertools.count():
                head = client.head()
                if head is None:
                    return
                path = head.split(b" ", 2)[1].decode()
                self.requests[path] += 1
                if path == "/warm":
                    client.send(OK)
                elif path == "/close-in-the-race":
                    if number:
                        return  # Read, and not answered: as if closed before it was read.
                    client.send(OK)
                else:
                    BEHAVIOURS[path.removeprefix("/")](client)


@contextmanager
def never_accepting() -> Iterator[str]:
    """A port that listens, and a queue that is full: connecting gets no answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = []
        try:
            while True:
                one = socket.socket()
                waiting.append(one)
                one.settimeout(0.1)
                try:
                    one.connect(("127.0.0.1", port))
                except TimeoutError:
                    break
            yield f"http://127.0.0.1:{port}"
        finally:
            for one in waiting:
                one.close()
