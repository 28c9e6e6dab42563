"""What the httpx driver alone does: redirects, cookies, bodies and proxies are httpx's."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from loopmark.harness.drivers.http import exchange
from loopmark.harness.vocabulary.flow import Flow, Request, VirtualUser
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.sample import ErrorKind
from tests.harness.drivers.driving import Server, Steps, drive_by_httpx, driven, ok
from tests.harness.drivers.tried_flows import compressed, not_following, one_step

pytestmark = pytest.mark.anyio


def getting(*paths: str, expect: int = 200) -> Flow:
    def flow(_user: VirtualUser) -> Steps:
        for path in paths:
            yield Request("GET", path, step=path, expect=expect)

    return flow


async def test_requests_have_the_headers_of_httpx_and_the_user_s_token(tmp_path: Path) -> None:
    server = Server()
    await driven(server, one_step, Burst(1), tmp_path, by=drive_by_httpx)
    head = server.heads[-1].lower()
    assert "authorization: bearer token-0" in head
    for name in ("accept: */*", "accept-encoding: gzip", "connection: keep-alive"):
        assert name in head


async def test_cookies_are_kept_by_each_user_s_client(tmp_path: Path) -> None:
    server = Server()
    server.answers["/in"] = ok(b"{}", "200 OK", "set-cookie: session=1; Path=/")
    flow = getting("/in", "/only")
    _, samples = await driven(server, flow, Burst(2), tmp_path, by=drive_by_httpx)
    assert set(samples["error"]) == {""}
    sent = ["cookie: session=1" in head.lower() for head in server.heads]
    assert sent == ["GET /only " in head for head in server.heads]


@pytest.mark.parametrize(
    ("location", "problem"), [("http://a:b/", "Invalid URL"), ("/" + 20_000 * "é", "URL too long")]
)
async def test_a_redirect_that_leads_nowhere_is_a_protocol_error(
    location: str, problem: str, tmp_path: Path
) -> None:
    """Followed or not: httpx makes the next request of it all the same."""
    server = Server()
    server.answers["/moved"] = ok(b"{}", "302 Found", f"location: {location}")
    report, samples = await driven(server, not_following, Burst(2), tmp_path, by=drive_by_httpx)
    assert (list(samples["error"]), list(samples["status"])) == (["protocol"] * 2, [302] * 2)
    assert problem in report.error_examples["protocol"][0]


async def test_a_server_error_that_is_expected_is_none(tmp_path: Path) -> None:
    server = Server()
    server.answers["/busy"] = ok(b"{}", "503 Busy")
    flow = getting("/busy", "/busy", expect=503)
    _, samples = await driven(server, flow, Burst(2), tmp_path, by=drive_by_httpx)
    assert list(samples["error"]) == [""] * 4


async def test_a_bomb_is_a_wrong_answer_and_fills_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "MAX_ANSWER_BYTES", 1024**2)
    server = Server()
    bomb = gzip.compress(bytes(2 * 1024**2))
    server.answers["/compressed"] = ok(bomb, "200 OK", "content-encoding: gzip")
    report, samples = await driven(server, compressed, Burst(2), tmp_path, by=drive_by_httpx)
    assert list(samples["error"]) == [ErrorKind.WRONG_ANSWER] * 2
    assert "more than 1 MiB when decompressed" in report.error_examples["wrong-answer"][0]


async def test_a_proxy_of_the_environment_is_passed_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = Server()
    load = Closed(users=2, duration_s=0.1, warmup_s=0.0)
    _, samples = await driven(server, one_step, load, tmp_path, by=drive_by_httpx)
    assert set(samples["error"]) == {""}
    assert server.requests["/only"] == len(samples) > 0
