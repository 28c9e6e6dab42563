"""The driver of routes, against a small server: what it asks, when, and when it gives up."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import asdict
from itertools import pairwise

import pytest

from loopmark.harness.drivers.route_driver import MOST_PER_SECOND, drive, read_job
from loopmark.harness.launch.ports import HOST, free_port
from loopmark.harness.vocabulary.route_request import RouteAnswers, RouteJob, RouteRequest

STATUSES = {"/ok": "200 OK", "/away": "302 Found\r\nLocation: /never", "/wrong": "500 Oops"}


class Server:
    """Answers by path; `/hang` never, and `/cut` closes the connection."""

    def __init__(self) -> None:
        self.asked = Counter[str]()
        self.headers: list[str] = []
        self.bodies: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, _, lines = head.partition("\r\n")
                _, _, length = lines.lower().partition("content-length: ")
                if length:
                    self.bodies.append(await reader.readexactly(int(length.partition("\r")[0])))
                path = first.split()[1]
                self.asked[path] += 1
                self.headers.append(lines)
                if path == "/cut":
                    break
                if path != "/hang":
                    status = STATUSES[path.partition("?")[0]]
                    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def request(path: str, method: str = "GET", **rest: str) -> RouteRequest:
    plain, _, query = path.partition("?")
    return RouteRequest(f"{method} {plain}", method, plain, query, **rest)  # type: ignore[arg-type]


def job(port: int, *requests: RouteRequest, users: int = 2, mixed_s: float = 0.0) -> RouteJob:
    return RouteJob(
        base_url=f"http://{HOST}:{port}",
        requests=requests,
        users=users,
        seconds=0.2,
        mixed_seconds=mixed_s,
        timeout_s=0.3,
        seed=1,
        authorization_from="TEST_AUTHORIZATION",
    )


def driven(*requests: RouteRequest, mixed_s: float = 0.0) -> tuple[list[RouteAnswers], Server]:
    """The answers that are told, and the server that gave them."""
    told: list[RouteAnswers] = []
    server = Server()

    async def run() -> None:
        listening = await asyncio.start_server(server.serve, HOST, 0)
        async with listening:
            port = listening.sockets[0].getsockname()[1]
            await drive(job(port, *requests, mixed_s=mixed_s), told.append)

    asyncio.run(run())
    return told, server


def test_routes_are_asked_one_after_another_then_mixed() -> None:
    told, server = driven(
        request("/ok?n=1"), request("/ok?n=2"), request("/wrong"), request("/away"), mixed_s=0.2
    )
    assert [one.route for one in told] == ["GET /ok", "GET /wrong", "GET /away", ""]
    ok, wrong, away, mixed = told
    assert set(ok.statuses) == {200}
    assert set(wrong.statuses) == {500}
    assert set(away.statuses) == {302}
    assert "/never" not in server.asked
    assert server.asked["/ok?n=1"] > 0
    assert server.asked["/ok?n=2"] > 0
    assert len(mixed.statuses) > 1
    for one, following in pairwise(told):
        assert one.start_ns < one.end_ns < following.start_ns
    for one in told:
        assert one.requests == sum(one.statuses.values())
        # The first of each user, and as many as fit into the time.
        assert one.requests <= 2 + 0.2 * MOST_PER_SECOND
        assert one.p50_ms is not None
        assert one.max_ms is not None
        assert 0 < one.p50_ms <= one.max_ms


def test_a_route_without_answers_is_given_up_soon() -> None:
    told, server = driven(request("/hang"), request("/cut", "POST"), request("/ok"))
    hang, cut, ok = told
    assert hang.errors == {"timeout": 2}
    assert hang.p50_ms is None
    assert server.asked["/hang"] == 2
    assert set(cut.errors) == {"reset"}
    assert cut.requests == 6
    assert set(ok.statuses) == {200}


def test_a_target_that_is_gone_is_given_up_soon() -> None:
    told: list[RouteAnswers] = []
    asyncio.run(drive(job(free_port(), request("/ok")), told.append))
    assert [one.errors for one in told] == [{"connect": 6}]


def test_headers_and_bodies_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_AUTHORIZATION", "Bearer of news")
    _, server = driven(request("/ok", "POST", body='{"a": "ü"}', content_type="application/json"))
    assert set(server.bodies) == {'{"a": "ü"}'.encode()}
    assert all("Authorization: Bearer of news" in lines for lines in server.headers)
    assert all("Content-Type: application/json" in lines for lines in server.headers)
    monkeypatch.delenv("TEST_AUTHORIZATION")
    _, server = driven(request("/ok"))
    assert not any("uthorization" in lines for lines in server.headers)


def test_a_job_can_be_read_again() -> None:
    with_headers = RouteRequest("GET /a", "GET", "/a", headers=(("X-A", "1"), ("X-B", "2")))
    sent = job(80, with_headers, request("/b", "POST", body="b"))
    assert read_job(json.dumps(asdict(sent))) == sent
