"""Every plain scenario of the catalog by every driver that can, against the contract in memory."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from urllib.parse import parse_qsl, urlsplit

import pytest

from loopmark.harness.vocabulary.flow import Request, VirtualUser
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.scenario import is_plain_flow
from loopmark.scenarios.catalog import SCENARIOS
from tests.harness.drivers.driving import Drive, Server, job, ok
from tests.scenarios.fake_target import FakeTarget, requests_of

pytestmark = pytest.mark.anyio

USERS = 2
PLAIN = [name for name, one in SCENARIOS.items() if is_plain_flow(one.flow, one)]


class ContractServer(Server):
    """A target that answers as the contract says."""

    def __init__(self) -> None:
        super().__init__()
        self._target = FakeTarget()

    def answer(self, head: str, body: bytes) -> bytes:
        method, url, _ = head.split(" ", 2)
        parts = urlsplit(url)
        token = head.lower().partition("authorization: bearer token-")[2].split("\r\n")[0]
        answer = self._target.answer(
            Request(
                method,
                parts.path,
                step="",
                json=json.loads(body) if body else None,
                params=dict(parse_qsl(parts.query)),
            ),
            VirtualUser(int(token), token, Random(0)),
        )
        return ok(answer.text.encode(), f"{answer.status_code} Status")


@pytest.mark.parametrize("name", PLAIN)
async def test_a_plain_scenario_has_its_right_answers(name: str, by: Drive, tmp_path: Path) -> None:
    asked = SCENARIOS[name]
    async with ContractServer().running() as url:
        _, samples = await by(job(url, Burst(USERS), tmp_path), asked)
    assert set(samples["error"]) == {""}
    one_pass = requests_of(asked, VirtualUser(0, "token-0", Random(0)), FakeTarget())
    assert len(samples) == USERS * len(one_pass)
    assert {*samples["step"]} >= {request.step for request in one_pass[1:]}
