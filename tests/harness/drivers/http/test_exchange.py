"""Parsing answers: whatever comes, in whatever pieces, there is one answer or one failure."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loopmark.harness.drivers.http import exchange as module
from loopmark.harness.drivers.http.exchange import CLOSING_RACE_NS, Exchange, Failure, Headers
from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.sample import ErrorKind

MORE = settings(max_examples=150)
NO_ANSWER = {ErrorKind.RESET, ErrorKind.PROTOCOL, ErrorKind.TIMEOUT}
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass
class Peer:
    """An exchange on a connection that is open, and the other end."""

    outcomes: list[tuple[int, Headers, bytes] | Failure] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.exchange = Exchange(Timeouts(connect_s=1.0, first_byte_s=5.0, response_s=10.0))
        self.now_ns = 1
        self.is_open = True

    def ask(self, method: str = "POST") -> None:
        self.now_ns += 1
        self.exchange.begin(method, self.now_ns, is_open=self.is_open)

    def feed(self, pieces: Iterable[bytes]) -> None:
        """What a line does: no more data once the outcome is there."""
        for piece in pieces:
            if self.exchange.awaits_answer and piece:
                self.now_ns += 1
                self._look(over=self.exchange.receive(piece, self.now_ns))

    def end(self, how: str) -> None:
        self.now_ns += CLOSING_RACE_NS
        if not self.exchange.awaits_answer:
            return
        match how:
            case "eof":
                self._look(over=self.exchange.lost(None, self.now_ns))
            case "reset":
                error = ConnectionResetError(104, "Connection reset by peer")
                self._look(over=self.exchange.lost(error, self.now_ns))
            case "silence":  # The line gives up, whatever was there.
                self.now_ns += 10 * 10**9
                self._look(over=self.exchange.is_overdue(self.now_ns))

    def _look(self, *, over: bool) -> None:
        exchange = self.exchange
        assert over is (exchange.done_ns == self.now_ns) is not exchange.awaits_answer
        if over:
            self.is_open = exchange.is_reusable
            answer = (exchange.status, exchange.headers, exchange.body)
            self.outcomes.append(exchange.failure or answer)


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
    assert peer.is_open is (not valid.until_close)
    assert 0 < peer.exchange.first_byte_ns <= peer.exchange.done_ns


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
    assert ("before an answer came" in outcome.message) is (end != "silence" and not part)


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
    assert peer.is_open


@given(valid_answers(endless=False), PLACES)
def test_an_answer_to_head_ends_with_its_head(valid: Valid, places: list[int]) -> None:
    *_, final = valid.wire.partition(f" {valid.status} ".encode())
    only_head = b"HTTP/1.1 %d %b\r\n\r\n" % (valid.status, final.partition(b"\r\n\r\n")[0])
    peer = Peer()
    for _ in range(2):
        peer.ask("HEAD")
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


@settings(max_examples=400)
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
    peer.ask("HEAD" if head_only else "POST")
    peer.feed(cut(data, places))
    peer.end(end)
    (outcome,) = peer.outcomes
    if isinstance(outcome, Failure):
        assert outcome.kind in NO_ANSWER
        assert outcome.message
        assert not peer.is_open
    else:
        assert 200 <= outcome[0] <= 999
    assert peer.exchange.done_ns > 0


@settings(max_examples=200)
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
        assert not peer.is_open, "what cannot be trusted carries no other request"
    else:  # Empty lines before an answer are to be passed over (RFC 9112, section 2.2).
        peer.ask()
        peer.feed([OK])
        assert peer.outcomes[1] == (200, [(b"content-length", b"2")], b"ok")


@pytest.mark.parametrize("pieces", [[b"hello"], [b"he", b"llo"], [b"5\r\nhe", b"llo\r\n"]])
def test_a_body_in_answer_to_head_never_leaks_into_the_next(pieces: list[bytes]) -> None:
    framing = b"transfer-encoding: chunked" if pieces[0][:1] == b"5" else b"content-length: 5"
    peer = Peer()
    peer.ask("HEAD")
    first, *rest = pieces
    peer.feed([b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n" + first, *rest])
    ((status, _, body),) = (one for one in peer.outcomes if not isinstance(one, Failure))
    assert (status, body) == (200, b"")
    assert not peer.is_open


# ---- heads that were seen before ----

VARIANTS = ("same", "longer", "shorter", "cut", "HEAD")


@MORE
@given(
    st.lists(valid_answers(), min_size=1, max_size=2),
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from(VARIANTS), PLACES), max_size=8),
)
def test_a_head_seen_before_makes_no_difference(
    answers: list[Valid], asked: list[tuple[int, str, list[int]]]
) -> None:
    """The same answers, whole and in pieces, by one that remembers heads and one that does not."""
    remembering, forgetting = Peer(), Peer()
    module._heads.clear()
    for number, variant, places in [(0, "same", []), (1, "same", []), *asked]:
        wire = answers[number % len(answers)].wire
        wire = {"longer": wire + b"HTTP/1.1", "shorter": wire[:-1]}.get(variant, wire)
        for peer in (remembering, forgetting):
            known = dict(module._heads)
            if peer is forgetting:
                module._heads.clear()
            peer.is_open = True
            peer.ask("HEAD" if variant == "HEAD" else "GET")
            peer.feed(cut(wire, places) if variant == "cut" else [wire])
            peer.end("eof")
            peer.exchange.connected(peer.now_ns)  # The next one is asked on a new connection.
            if peer is forgetting:
                module._heads.clear()
                module._heads.update(known)
        assert remembering.outcomes == forgetting.outcomes
        assert remembering.is_open is forgetting.is_open


def test_heads_are_remembered_within_bounds() -> None:
    module._heads.clear()
    peer = Peer()
    for number in range(2500):
        peer.ask()
        peer.feed([b"HTTP/1.1 200 OK\r\nid: %d\r\ncontent-length: 2\r\n\r\nok" % number])
    peer.ask()
    peer.feed([b"HTTP/1.1 200 OK\r\nid: %b\r\ncontent-length: 0\r\n\r\n" % (b"x" * 5000)])
    assert len(peer.outcomes) == 2501
    assert 0 < len(module._heads) <= 1024
    assert max(map(len, module._heads)) < 4096


# ---- the closing race ----


@pytest.mark.parametrize(
    ("method", "is_open", "after_ns", "repeats"),
    [
        ("GET", True, CLOSING_RACE_NS - 1, True),
        ("HEAD", True, 0, True),
        ("GET", True, CLOSING_RACE_NS, False),
        ("GET", False, 0, False),
        ("POST", True, 0, False),
        ("DELETE", True, 0, False),
    ],
)
def test_only_a_safe_request_that_met_the_closing_of_an_idle_connection_is_repeated(
    method: str,
    is_open: bool,  # noqa: FBT001 - a parameter of the test
    after_ns: int,
    repeats: bool,  # noqa: FBT001 - a callback by position
) -> None:
    exchange = Exchange(Timeouts(1.0, 1.0, 1.0))
    exchange.begin(method, 1, is_open=is_open)
    assert exchange.awaits_answer is is_open
    if not is_open:
        exchange.connected(1)
    assert exchange.lost(ConnectionResetError(), 1 + after_ns) is not repeats
    if repeats:
        assert (exchange.awaits_answer, exchange.done_ns, exchange.failure) == (False, 0, None)
        exchange.connected(7)
        assert exchange.lost(None, 8), "once"
    assert exchange.failure is not None
    assert exchange.failure.kind == ErrorKind.RESET
    assert "before an answer came" in exchange.failure.message
    assert exchange.sent_ns == 1, "its time counts from the first sending"


def test_what_was_begun_to_be_answered_is_never_repeated() -> None:
    exchange = Exchange(Timeouts(1.0, 1.0, 1.0))
    exchange.begin("GET", 1, is_open=True)
    assert not exchange.receive(b"H", 2)
    assert exchange.lost(None, 3)


# ---- time ----


@pytest.mark.parametrize(
    ("connected_ns", "first_byte_ns", "now_s", "message"),
    [
        (0, 0, 4.9, None),
        (0, 0, 5.0, "no first byte within 5 s"),
        (3 * 10**9, 0, 7.9, None),
        (3 * 10**9, 0, 8.0, "no first byte within 5 s"),
        (0, 1, 9.9, None),
        (0, 1, 10.0, "no complete answer within 10 s"),
        (8 * 10**9, 0, 10.0, "no complete answer within 10 s"),
    ],
)
def test_an_answer_is_overdue_by_either_limit(
    connected_ns: int, first_byte_ns: int, now_s: float, message: str | None
) -> None:
    exchange = Exchange(Timeouts(connect_s=1.0, first_byte_s=5.0, response_s=10.0))
    assert not exchange.is_overdue(10**18), "nothing is awaited"
    exchange.begin("GET", 0, is_open=not connected_ns)
    if connected_ns:
        assert not exchange.is_overdue(10**18), "connecting has a limit of its own"
        exchange.connected(connected_ns)
    if first_byte_ns:
        exchange.receive(b"H", first_byte_ns)
    assert exchange.is_overdue(round(now_s * 1e9)) is (message is not None)
    assert exchange.failure == (message and Failure(ErrorKind.TIMEOUT, message))


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
