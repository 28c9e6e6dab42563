"""Parsing answers: whatever comes, in whatever pieces, there is one answer or one failure."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loopmark.harness.drivers.http import connection as module
from loopmark.harness.drivers.http.connection import Connection, Failure, Headers
from loopmark.harness.vocabulary.sample import ErrorKind

MORE = settings(max_examples=300)
NO_ANSWER = {ErrorKind.RESET, ErrorKind.PROTOCOL, ErrorKind.TIMEOUT}
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Wire:
    """A transport without a socket."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.aborted = False
        self.unsent = 0

    def get_extra_info(self, name: str) -> object:
        return object() if name == "sslcontext" else None  # So that nothing goes to a socket.

    def write(self, message: bytes) -> None:
        self.written.append(message)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def abort(self) -> None:
        self.aborted = True


@dataclass
class Peer:
    """A connection, what it told its owner, and the other end."""

    outcomes: list[tuple[int, Headers, bytes] | Failure] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connection = Connection(self)
        self.wire = Wire()
        made: Any = self.wire
        self.connection.connection_made(made)
        self.lost = False

    def answered(self, status: int, headers: Headers, body: bytes) -> None:
        self.outcomes.append((status, headers, body))

    def failed(self, failure: Failure) -> None:
        self.outcomes.append(failure)

    def ask(self, *, head_only: bool = False) -> None:
        self.connection.send(b"GET / HTTP/1.1\r\n\r\n", head_only=head_only)

    def feed(self, pieces: Iterable[bytes]) -> None:
        """What an event loop does: no data after an abort, and then the connection is lost."""
        for piece in pieces:
            if not self.wire.aborted and piece:
                self.connection.data_received(piece)
        if self.wire.aborted:
            self.lose(None)

    def lose(self, error: Exception | None) -> None:
        if not self.lost:
            self.lost = True
            self.connection.connection_lost(error)

    def end(self, how: str) -> None:
        match how:
            case "eof":
                self.lose(None)
            case "reset":
                self.lose(ConnectionResetError(104, "Connection reset by peer"))
            case "silence":  # The line gives up, whatever was there.
                self.connection.fail(ErrorKind.TIMEOUT, "late")
                self.feed(())


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    at = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(at)]


ENDS = st.sampled_from(["eof", "reset", "silence"])
PLACES = st.lists(st.integers(0, 10_000), max_size=12)

# ---- valid answers ----

TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_", min_size=1, max_size=12)
VALUE = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=30
)
FRAMING = frozenset(
    {"content-length", "transfer-encoding", "connection", "upgrade", "proxy-connection"}
)
HEADERS = st.lists(
    st.tuples(TOKEN.filter(lambda name: name.lower() not in FRAMING), VALUE), max_size=6
)


@dataclass(frozen=True)
class Valid:
    """An answer and what it says."""

    wire: bytes
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    until_close: bool


def head(version: str, status: int, reason: str, headers: Sequence[tuple[str, str]]) -> bytes:
    lines = [f"HTTP/{version} {status} {reason}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@st.composite
def interim(draw: st.DrawFn) -> bytes:
    status = draw(st.sampled_from([100, 102, 103, 199]))
    return head("1.1", status, "Wait", draw(HEADERS))


@st.composite
def valid_answers(draw: st.DrawFn, *, endless: bool = True) -> Valid:
    before = b"".join(draw(st.lists(interim(), max_size=2)))
    status = draw(st.integers(200, 999))
    headers = draw(HEADERS)
    reason = draw(st.sampled_from(["OK", "", "Not Found", "I'm a teapot"]))
    body = draw(st.binary(max_size=300))
    framings = ["length", "chunked", "close"] if endless else ["length", "chunked"]
    framing = draw(st.sampled_from(framings))
    trailers: list[tuple[str, str]] = []
    if status in {204, 304}:
        framing, sent, body = "none", b"", b""
    elif framing == "length":
        headers.insert(draw(st.integers(0, len(headers))), ("Content-Length", str(len(body))))
        sent = body
    elif framing == "chunked":
        headers.append(
            (draw(st.sampled_from(["Transfer-Encoding", "TRANSFER-ENCODING"])), "chunked")
        )
        extension = draw(st.sampled_from([b"", b";a=b", b';name="quoted"']))
        chunks = [piece for piece in cut(body, draw(PLACES)) if piece]
        trailers = draw(HEADERS)
        sent = b"".join(b"%x%b\r\n%b\r\n" % (len(one), extension, one) for one in chunks)
        sent += b"0\r\n"
        sent += b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in trailers)
        sent += b"\r\n"
    else:
        sent = body
    told = [(k.encode(), v.encode("latin-1")) for k, v in (*headers, *trailers)]
    wire = before + head("1.1", status, reason, headers) + sent
    return Valid(wire, status, told, body, framing == "close")


@MORE
@given(valid_answers(), PLACES)
def test_a_valid_answer_is_the_same_in_any_pieces(valid: Valid, places: list[int]) -> None:
    peer = Peer()
    peer.ask()
    peer.feed(cut(valid.wire, places))
    if valid.until_close:
        assert peer.outcomes == []
        peer.end("eof")
    assert peer.outcomes == [(valid.status, valid.headers, valid.body)]
    assert peer.connection.is_open is (not valid.until_close)
    assert 0 < peer.connection.first_byte_ns <= peer.connection.done_ns


@given(valid_answers())
def test_a_valid_answer_is_the_same_byte_by_byte(valid: Valid) -> None:
    peer = Peer()
    peer.ask()
    peer.feed(valid.wire[at : at + 1] for at in range(len(valid.wire)))
    peer.end("eof")
    assert peer.outcomes == [(valid.status, valid.headers, valid.body)]


@MORE
@given(valid_answers(), st.integers(0, 10_000), PLACES, ENDS)
def test_a_part_of_an_answer_is_a_failure(
    valid: Valid, length: int, places: list[int], end: str
) -> None:
    part = valid.wire[: length % len(valid.wire)]
    peer = Peer()
    peer.ask()
    peer.feed(cut(part, places))
    peer.end(end)
    (outcome,) = peer.outcomes
    if valid.until_close and end == "eof" and not isinstance(outcome, Failure):
        # Nothing tells the end of such an answer from its middle.
        assert valid.body.startswith(outcome[2])
        return
    assert isinstance(outcome, Failure)
    assert outcome.kind == (ErrorKind.TIMEOUT if end == "silence" else ErrorKind.RESET)
    assert outcome.before_answer is (end != "silence" and not part)


@given(st.lists(valid_answers(endless=False), min_size=2, max_size=5), PLACES)
def test_one_connection_carries_one_answer_after_the_other(
    answers: list[Valid], places: list[int]
) -> None:
    peer = Peer()
    for number, valid in enumerate(answers, start=1):
        peer.ask()
        peer.feed(cut(valid.wire, places))
        assert len(peer.outcomes) == number
    assert peer.outcomes == [(one.status, one.headers, one.body) for one in answers]
    assert peer.connection.is_open


@given(valid_answers(endless=False), PLACES)
def test_an_answer_to_head_ends_with_its_head(valid: Valid, places: list[int]) -> None:
    *_, final = valid.wire.partition(f" {valid.status} ".encode())
    only_head = b"HTTP/1.1 %d %b\r\n\r\n" % (valid.status, final.partition(b"\r\n\r\n")[0])
    peer = Peer()
    for _ in range(2):
        peer.ask(head_only=True)
        peer.feed(cut(only_head, places))
    told = valid.headers[: only_head.count(b"\r\n") - 2]  # Without trailers.
    assert peer.outcomes == [(valid.status, told, b"")] * 2


# ---- whatever comes ----

ODD_PARTS = [
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 101 Switching\r\n"),
    *(
        b"HTTP/1.1 000 None\r\n",
        b"HTTP/1.0 999 Odd\r\n",
        b"ICE/1.0 200 OK\r\n",
        b"HTTP/2.0 200\r\n",
    ),
    *(
        b"content-length: 5\r\n",
        b"content-length: -1\r\n",
        b"content-length: 99999999999999999999\r\n",
    ),
    *(b"transfer-encoding: chunked\r\n", b"transfer-encoding: gzip\r\n", b"connection: close\r\n"),
    *(b"connection: upgrade\r\nupgrade: x\r\n", b"\r\n", b"\n", b"\r", b"\x00", b": ", b" "),
    *(
        b"5\r\nhello\r\n",
        b"ffffffffffffffffff\r\n",
        b"0\r\n",
        b"0\r\n\r\n",
        b"-1\r\n",
        b"hello",
        OK,
    ),
]
ANYTHING = st.lists(st.one_of(st.sampled_from(ODD_PARTS), st.binary(max_size=40)), max_size=12).map(
    b"".join
)


@settings(max_examples=1000)
@given(ANYTHING, PLACES, ENDS, st.booleans())
@example(b"HTTP/1.1 100 Continue\r\n\r\n", [], "eof", False)
@example(b"HTTP/1.1 000 None\r\ncontent-length: 0\r\n\r\n", [], "silence", False)
@example(b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", [], "eof", False)
def test_any_bytes_are_one_answer_or_one_failure(
    data: bytes,
    places: list[int],
    end: str,
    head_only: bool,  # noqa: FBT001 - drawn
) -> None:
    peer = Peer()
    peer.ask(head_only=head_only)
    peer.feed(cut(data, places))
    peer.end(end)
    (outcome,) = peer.outcomes
    if isinstance(outcome, Failure):
        assert outcome.kind in NO_ANSWER
        assert outcome.message
        assert not peer.connection.is_open
    else:
        assert 200 <= outcome[0] <= 999
    assert peer.connection.done_ns > 0
    peer.feed([data])  # What comes later is nobody's.
    assert len(peer.outcomes) == 1


@settings(max_examples=500)
@given(
    valid_answers(),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4),
    PLACES,
    ENDS,
)
def test_a_corrupted_answer_is_one_answer_or_one_failure(
    valid: Valid, flips: list[tuple[int, int]], places: list[int], end: str
) -> None:
    data = bytearray(valid.wire)
    for at, value in flips:
        data[at % len(data)] = value
    peer = Peer()
    peer.ask()
    peer.feed(cut(bytes(data), places))
    peer.end(end)
    assert len(peer.outcomes) == 1


@MORE
@given(valid_answers(endless=False), st.binary(min_size=1, max_size=60), PLACES)
def test_what_follows_an_answer_never_leaks_into_the_next(
    valid: Valid, junk: bytes, places: list[int]
) -> None:
    """The next request goes out when the answer is there; what came with it is not its answer."""
    peer = Peer()
    peer.ask()
    *most, last = cut(valid.wire, places)
    peer.feed([*most, last + junk])
    assert peer.outcomes == [(valid.status, valid.headers, valid.body)]
    if junk.strip(b"\r\n"):
        assert not peer.connection.is_open, "what cannot be trusted carries no other request"
    else:  # Empty lines before an answer are to be passed over (RFC 9112, section 2.2).
        peer.ask()
        peer.feed([OK])
        assert peer.outcomes[1] == (200, [(b"content-length", b"2")], b"ok")


@pytest.mark.parametrize("junk", [OK, b"junk", b"\r\n", b"\x00"])
def test_bytes_on_an_idle_connection_close_it(junk: bytes) -> None:
    peer = Peer()
    peer.feed([junk])
    assert not peer.connection.is_open
    assert peer.outcomes == []


@pytest.mark.parametrize("pieces", [[b"hello"], [b"he", b"llo"], [b"5\r\nhe", b"llo\r\n"]])
def test_a_body_in_answer_to_head_never_leaks_into_the_next(pieces: list[bytes]) -> None:
    framing = b"transfer-encoding: chunked" if pieces[0][:1] == b"5" else b"content-length: 5"
    peer = Peer()
    peer.ask(head_only=True)
    first, *rest = pieces
    peer.feed([b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n" + first, *rest])
    ((status, _, body),) = (one for one in peer.outcomes if not isinstance(one, Failure))
    assert (status, body) == (200, b"")
    assert not peer.connection.is_open


def test_an_answer_before_the_request_was_written_ends_the_connection() -> None:
    peer = Peer()
    peer.ask()
    peer.wire.unsent = 1000
    peer.feed([OK])
    assert peer.outcomes == [(200, [(b"content-length", b"2")], b"ok")]
    assert not peer.connection.is_open


def test_closing_tells_nobody() -> None:
    peer = Peer()
    peer.ask()
    peer.connection.close()
    peer.feed([OK])
    assert peer.outcomes == []


# ---- without end ----

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "again", "message"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n", "headers"),
        (b"HTTP/1.1 200 OK\r\nx: ", b"yyyy", "headers"),
        (b"HTTP/1.1 200 ", b"OK", "headers"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", "headers"),
        (b"", b"HTTP/1.1 103 Hints\r\nx: y\r\n\r\n", "headers"),
        (CHUNKED + b"0\r\n", b"a: b\r\n", "trailers"),
        (CHUNKED + b"0\r\nx: ", b"yyyy", "trailers"),
        (CHUNKED + b"5;x=", b"yyyy", "trailers"),
        (CHUNKED, b"2\r\nab\r\n", "an answer of more than"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"abcdefgh", "an answer of more than"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
            b"ab",
            "an answer of more than",
        ),
    ],
)
def test_what_never_ends_is_refused_within_bounded_memory(
    start: bytes, again: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 4 * 1024**2
    monkeypatch.setattr(module, "MAX_ANSWER_BYTES", limit)
    block = again * (64 * 1024 // len(again))
    peer = Peer()
    peer.ask()
    tracemalloc.start()
    try:
        peer.feed([start])
        for _ in range(2 * limit // len(block)):
            peer.feed([block])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    (outcome,) = peer.outcomes
    assert isinstance(outcome, Failure)
    assert outcome.kind == ErrorKind.PROTOCOL
    assert message in outcome.message
    assert most < 4 * limit


def test_a_long_answer_in_tiny_pieces_is_no_failure() -> None:
    body = b"x" * 200_000
    peer = Peer()
    peer.ask()
    chunks = b"".join(b"2\r\n%b\r\n" % body[at : at + 2] for at in range(0, len(body), 2))
    peer.feed(cut(CHUNKED + chunks + b"0\r\n\r\n", range(0, 10**6, 777)))
    ((_, _, got),) = (one for one in peer.outcomes if not isinstance(one, Failure))
    assert got == body
