"""Each load through the whole driver, over sockets: what arrives, and what is recorded.

When it is due in every case is asked in `test_load_models`, in fake time.
"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest

from loopmark.harness.drivers import native_driver
from loopmark.harness.drivers.pacing.load_models import FAILURE_PAUSE_S
from loopmark.harness.planning.pacing import arrival_times
from loopmark.harness.vocabulary.job import DriverReport
from loopmark.harness.vocabulary.loads.arriving import Open
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from tests.harness.drivers.driving import (
    Drive,
    Server,
    drive_by_httpx,
    driven,
    job,
    samples_of,
    scenario,
)
from tests.harness.drivers.tried_flows import asking_nothing, one_step, two_steps

pytestmark = pytest.mark.anyio


def in_order(samples: pd.DataFrame) -> None:
    """The moments of every row are in order, where they have come."""
    assert (samples["due_ns"] <= samples["sent_ns"]).all()
    connected = samples[samples["connected_ns"] > 0]
    assert (connected["sent_ns"] <= connected["connected_ns"]).all()
    answered = samples[samples["first_byte_ns"] > 0]
    assert (answered["sent_ns"] < answered["first_byte_ns"]).all()
    assert (answered["first_byte_ns"] <= answered["done_ns"]).all()
    assert (samples["sent_ns"] <= samples["done_ns"]).all()


async def test_a_burst_sends_every_flow_once_from_one_due_moment(tmp_path: Path, by: Drive) -> None:
    server = Server()
    server.delay_s = 0.02
    report, samples = await driven(server, two_steps, Burst(50), tmp_path, by=by)
    assert server.requests == {"/warm": 50, "/first": 50, "/second": 50}
    assert (len(server.tokens), server.most_in_flight, server.connections) == (50, 50, 50)
    assert report.requests == len(samples) == 100
    assert set(samples["round"]) == {4}
    assert set(samples["error"]) == {""}
    assert set(samples["bytes"]) == {8}
    first = samples[samples["step"] == "first"]
    assert set(first["due_ns"]) == {report.window_start_ns}
    assert report.window_start_ns - server.warmed_ns >= 0.2e9, "the target is idle when it begins"
    assert sorted(first["user"]) == list(range(50))
    assert set(samples["connected_ns"]) == {0}, "the warm-up has opened the connections"
    assert report.window_end_ns == samples["done_ns"].max()
    assert report.cpu_s > 0
    in_order(samples)


async def test_a_closed_load_keeps_every_user_busy_until_the_window_ends(
    tmp_path: Path, by: Drive
) -> None:
    server = Server()
    server.delay_s = 0.005
    load = Closed(users=8, duration_s=0.15, warmup_s=0.4)
    report, samples = await driven(server, two_steps, load, tmp_path, by=by)
    assert server.most_in_flight == 8
    assert report.window_end_ns - report.window_start_ns == 150_000_000
    # A user looks at the clock before it sends: one request each may slip through.
    assert (samples["sent_ns"] >= report.window_end_ns).sum() <= 8, "the window's end ends it"
    assert samples["done_ns"].min() < report.window_start_ns, "the warm-up is recorded too"
    answered = server.requests["/first"] + server.requests["/second"]
    assert len(samples) == answered, "no request is left without its sample"
    in_order(samples)
    for _, rows in samples.sort_values("sent_ns").groupby("user"):
        # The window's end may come between the two.
        assert list(rows["step"]) == (["first", "second"] * len(rows))[: len(rows)]
        pauses_ns = rows["due_ns"].to_numpy()[1:] - rows["done_ns"].to_numpy()[:-1]
        # A client of httpx hands an answer to the flow a little after its last byte was read.
        assert (pauses_ns >= 0).all() if by is drive_by_httpx else set(pauses_ns) == {0}


async def test_arrivals_are_due_exactly_when_pacing_says(tmp_path: Path, by: Drive) -> None:
    load = Open(rate=200, duration_s=0.15, warmup_s=0.05, arrivals="poisson")
    server = Server()
    report, samples = await driven(server, one_step, load, tmp_path, by=by)
    given = job("", load, tmp_path)
    seed = f"{given.seed}/{given.scenario}/{given.round}/pacing"
    times_s = list(arrival_times(load, Random(seed)))
    assert len(samples) == report.requests == server.requests["/only"] == len(times_s)
    assert report.unsent == 0
    assert report.window_end_ns - report.window_start_ns == round(load.measured_s * 1e9)
    start_ns = report.window_start_ns - round(load.warmup_s * 1e9)
    due_ns = np.sort(samples["due_ns"].to_numpy()) - start_ns
    assert due_ns == pytest.approx(np.array(times_s) * 1e9, abs=2)
    assert set(samples["error"]) == {""}
    in_order(samples)
    assert len(set(samples["user"])) == min(len(times_s), load.concurrency), "accounts take turns"


@pytest.mark.parametrize(
    "load",
    [
        Closed(users=2, duration_s=0.05, warmup_s=0.05),
        Burst(3),
        Open(rate=100, duration_s=0.05, warmup_s=0.0, max_in_flight=10),
    ],
    ids=lambda load: load.model,
)
async def test_a_flow_that_asks_for_nothing_ends_with_its_window(
    load: Closed | Burst | Open, tmp_path: Path, by: Drive
) -> None:
    report, samples = await driven(Server(), asking_nothing, load, tmp_path, by=by)
    assert report.requests == len(samples) == 0


@pytest.mark.parametrize("reset", [False, True])
async def test_a_target_that_refuses_connections_is_not_asked_without_pause(
    reset: bool,  # noqa: FBT001 - a parameter
    tmp_path: Path,
    by: Drive,
) -> None:
    """It goes away after the warm-up: its listener is closed, and all connections."""
    server = Server()
    server.delay_s = 60.0
    load = Closed(users=2, duration_s=0.2, warmup_s=0.0)
    async with server.running() as url:
        given = job(url, load, tmp_path)
        driving = asyncio.ensure_future(by(given, scenario(one_step)))
        while server.in_flight < 2:
            await asyncio.sleep(0.01)
        server.drop(reset=reset)
    _, samples = await driving
    # The requests that were dropped are repeated at first, being safe, and then not connected.
    assert set(samples["error"]) == {"connect"}
    assert len(samples) <= 2 * (1 + load.duration_s / FAILURE_PAUSE_S + 1)
    for _, rows in samples.sort_values("due_ns").groupby("user"):
        pauses_ns = rows["due_ns"].to_numpy()[1:] - rows["done_ns"].to_numpy()[:-1]
        assert (pauses_ns >= FAILURE_PAUSE_S * 1e9).all()


@pytest.mark.parametrize(
    "load",
    [
        Burst(4),
        Closed(users=4, duration_s=60.0, warmup_s=0.0),
        Open(rate=50, duration_s=60.0, warmup_s=0.0, max_in_flight=4),
    ],
    ids=lambda load: load.model,
)
async def test_a_cancelled_round_keeps_its_samples(
    load: Closed | Burst | Open, tmp_path: Path
) -> None:
    server = Server()
    server.answers["/second"] = b""
    async with server.running() as url:
        given = job(url, load, tmp_path)
        task = asyncio.create_task(native_driver.drive(given, scenario(two_steps)))
        while server.requests["/second"] < 4:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    samples = samples_of(given)
    under_way = samples[samples["error"] == "abandoned"]
    assert list(under_way["step"]) == ["second"] * 4
    assert (under_way["done_ns"] > under_way["sent_ns"]).all()
    assert set(samples["error"]) <= {"", "abandoned", "refused"}
    assert (samples["error"] == "").sum() == server.requests["/first"] == 4


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("load", [Burst(3), Closed(3, 60.0), Open(10, 60.0, max_in_flight=3)])
async def test_a_target_that_is_not_there_is_not_driven(
    load: Burst | Closed | Open, tmp_path: Path, by: Drive
) -> None:
    given = job(f"http://127.0.0.1:{free_port()}", load, tmp_path)
    report, samples = await by(given, scenario(one_step))
    assert isinstance(report, DriverReport)
    assert report.window_start_ns == report.window_end_ns
    assert list(samples["error"]) == ["connect"] * 3
    assert "no connection to" in report.error_examples["connect"][0]
