"""A WebSocket without a library: it reads, pongs and closes only when a test does so."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.hang_limit import HANG_S

TEXT, PING, PONG = 1, 9, 10


class RawWebSocket:
    """One connection, with a receive buffer so small that it soon takes nothing more.

    Args:
        url: The target's base URL.
        path: Of the handshake, with its query.
    """

    def __init__(self, url: str, path: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(HANG_S)
        self.socket.connect((host, int(port)))
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        assert self.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")

    def read_until(self, what: bytes) -> bytes:
        """Read until the bytes have come, and nothing behind them."""
        received = b""
        while what not in received:
            chunk = self.socket.recv(1)
            assert chunk, received
            received += chunk
        return received

    def drain(self) -> None:
        """Read what is there, and no more."""
        self.socket.settimeout(0.001)
        try:
            while self.socket.recv(1_000_000):
                pass
        except TimeoutError:
            self.socket.settimeout(HANG_S)

    def send(self, content: bytes, opcode: int = TEXT) -> None:
        """Send a frame of at most 125 bytes, masked with zeros."""
        self.socket.sendall(bytes([0x80 | opcode, 0x80 | len(content), 0, 0, 0, 0]) + content)

    def close_code(self) -> int:
        """Read until the connection ends; return the code of the last frame, a close."""
        received = b""
        while chunk := self.socket.recv(65536):
            received += chunk
        _, frame = received.rsplit(b"\x88", 1)
        return int.from_bytes(frame[1:3], "big")

    def is_reset(self) -> bool:
        """Whether the target has given the connection up: found out by sending something."""
        try:
            self.send(b"", PONG)
        except (BrokenPipeError, ConnectionResetError):
            return True
        return False


@contextmanager
def raw_websocket(url: str, path: str) -> Iterator[RawWebSocket]:
    """Open a connection, and drop it without a word."""
    connection = RawWebSocket(url, path)
    try:
        yield connection
    finally:
        connection.socket.close()
