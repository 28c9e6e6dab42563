"""Each load through the whole driver: how many flows, when they are due, and what is recorded."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest

from loopmark.harness.drivers import native_driver
from loopmark.harness.drivers.pacing.load_models import FAILURE_PAUSE_S, settle_s
from loopmark.harness.planning.pacing import arrival_times, start_times
from loopmark.harness.vocabulary.job import DriverReport, Timeouts
from loopmark.harness.vocabulary.load import Arriving, FlowLoad
from loopmark.harness.vocabulary.loads.arriving import Open, Ramp, Steps
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.sample import ARRIVAL_STEP
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


def assert_paused(rows: pd.DataFrame, expected_ns: Sequence[float], by: Drive) -> None:
    """A user's requests are due so long after the answer before them.

    Of an httpx client's journey a request is due when the journey asks for it, which is later.
    """
    pauses_ns = rows["due_ns"].to_numpy()[1:] - rows["done_ns"].to_numpy()[:-1]
    if by is drive_by_httpx:
        assert (pauses_ns >= np.array(expected_ns) - 2).all()
    else:
        assert pauses_ns == pytest.approx(np.array(expected_ns), abs=2)


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


@pytest.mark.parametrize("load", [Closed(2, 1.0), Open(10, 1.0), Ramp(1, 2, 1.0)])
def test_a_burst_alone_waits_for_a_fifth_of_a_second(load: FlowLoad) -> None:
    assert settle_s(Burst(3)) == 0.2
    assert settle_s(load) == 0.0


async def test_a_closed_load_keeps_every_user_busy_until_the_window_ends(
    tmp_path: Path, by: Drive
) -> None:
    server = Server()
    server.delay_s = 0.005
    load = Closed(users=8, duration_s=0.3, warmup_s=0.1)
    report, samples = await driven(server, two_steps, load, tmp_path, by=by)
    assert server.most_in_flight == 8
    assert report.window_end_ns - report.window_start_ns == pytest.approx(0.3e9, rel=0.2)
    # A user looks at the clock before it sends: one request each may slip through.
    assert (samples["sent_ns"] >= report.window_end_ns).sum() <= 8, "the window's end ends it"
    assert samples["done_ns"].min() < report.window_start_ns, "the warm-up is recorded too"
    answered = server.requests["/first"] + server.requests["/second"]
    assert len(samples) == answered, "no request is left without its sample"
    in_order(samples)
    for _, rows in samples.sort_values("sent_ns").groupby("user"):
        assert_paused(rows, [0] * (len(rows) - 1), by)


async def test_users_of_a_closed_load_start_when_pacing_says(tmp_path: Path, by: Drive) -> None:
    load = Closed(users=6, duration_s=0.1, warmup_s=0.2)
    _, samples = await driven(Server(), one_step, load, tmp_path, by=by)
    first = np.sort(samples.groupby("user")["due_ns"].min().to_numpy())
    assert first - first[0] == pytest.approx(np.array(start_times(load)) * 1e9, abs=2)


async def test_a_user_thinks_between_flows_and_not_within_them(tmp_path: Path, by: Drive) -> None:
    load = Closed(users=3, duration_s=0.4, warmup_s=0.0, think_s=0.05)
    _, samples = await driven(Server(), two_steps, load, tmp_path, by=by)
    in_order(samples)
    for _, rows in samples.sort_values("due_ns").groupby("user"):
        # The window's end may come between the two.
        assert list(rows["step"]) == (["first", "second"] * len(rows))[: len(rows)]
        assert_paused(rows, ([0, 50_000_000] * len(rows))[: len(rows) - 1], by)


async def test_exponential_thinking_is_that_of_each_user_s_seed(tmp_path: Path, by: Drive) -> None:
    load = Closed(users=3, duration_s=0.3, warmup_s=0.0, think_s=0.02, think="exponential")
    given = job("", load, tmp_path)
    expected = {
        number: Random(f"{given.seed}/{given.scenario}/{given.round}/{number}")
        for number in range(3)
    }
    _, samples = await driven(Server(), one_step, load, tmp_path, by=by)
    for user, rows in samples.sort_values("due_ns").groupby("user"):
        random = expected[int(str(user))]
        assert_paused(rows, [random.expovariate(1 / 0.02) * 1e9 for _ in range(len(rows) - 1)], by)


@pytest.mark.parametrize(
    "load",
    [
        Open(rate=200, duration_s=0.4, warmup_s=0.1),
        Open(rate=200, duration_s=0.4, warmup_s=0.1, arrivals="poisson"),
        Steps(rates=(50, 300), step_s=0.2, warmup_s=0.1),
        Ramp(from_rate=10, to_rate=400, duration_s=0.4, warmup_s=0.1),
        Ramp(from_rate=300, to_rate=10, duration_s=0.4, warmup_s=0.0, arrivals="poisson"),
    ],
    ids=lambda load: load.label,
)
async def test_arrivals_are_due_exactly_when_pacing_says(
    load: Arriving, tmp_path: Path, by: Drive
) -> None:
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


async def test_a_target_that_does_not_answer_changes_no_due_time_and_refuses_the_rest(
    tmp_path: Path,
    by: Drive,
) -> None:
    server = Server()
    server.delay_s = 60.0
    load = Open(rate=100, duration_s=0.3, warmup_s=0.0, max_in_flight=5)
    limits = Timeouts(connect_s=5.0, first_byte_s=1.0, response_s=1.0)
    report, samples = await driven(server, one_step, load, tmp_path, limits, by=by)
    assert len(samples) == 30
    errors = samples.sort_values("due_ns")["error"]
    assert list(errors) == ["timeout"] * 5 + ["refused"] * 25
    refused = samples[samples["error"] == "refused"]
    assert set(refused["step"]) == {ARRIVAL_STEP}
    assert set(refused["first_byte_ns"]) == set(refused["status"]) == {0}
    assert (refused["sent_ns"] == refused["done_ns"]).all()
    assert report.error_examples["refused"] == ("5 flows were under way (max_in_flight)",)
    gaps_ns = np.diff(np.sort(samples["due_ns"].to_numpy()))
    assert gaps_ns == pytest.approx(np.full(29, 1e7), abs=2)


async def test_an_absurd_rate_is_counted_as_unsent(tmp_path: Path, by: Drive) -> None:
    load = Open(rate=1_000_000, duration_s=0.2, warmup_s=0.0, max_in_flight=4)
    report, samples = await driven(Server(), one_step, load, tmp_path, by=by)
    assert report.unsent > 0
    assert report.unsent + len(samples) == 200_000
    assert set(samples["error"]) <= {"", "refused"}


@pytest.mark.parametrize(
    "load",
    [
        Closed(users=2, duration_s=0.2, warmup_s=0.05),
        Burst(3),
        Open(rate=100, duration_s=0.2, warmup_s=0.0, max_in_flight=2),
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
    load = Closed(users=2, duration_s=0.5, warmup_s=0.0)
    async with server.running() as url:
        given = job(url, load, tmp_path)
        driving = asyncio.ensure_future(by(given, scenario(one_step)))
        while server.in_flight < 2:
            await asyncio.sleep(0.01)
        server.drop(reset=reset)
    _, samples = await driving
    # The requests that were dropped are repeated at first, being safe, and then not connected.
    assert set(samples["error"]) == {"connect"}
    assert len(samples) <= 2 * (1 + 0.5 / FAILURE_PAUSE_S + 1)
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
