"""The websocket driver as a whole, against a real server that tells events over each protocol."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
import socketio

from loopmark.harness.drivers.process.job_files import read_report, write_job
from loopmark.harness.drivers.process.job_inputs import accounts
from loopmark.harness.drivers.process.job_loop import ENDED_EARLY
from loopmark.harness.drivers.process.run_job import to_its_end
from loopmark.harness.drivers.websocket_driver import clients, websocket_connection
from loopmark.harness.drivers.websocket_driver.driver import drive
from loopmark.harness.planning.pacing import arrival_times
from loopmark.harness.vocabulary.flow import EventFlow
from loopmark.harness.vocabulary.job import DriverReport, EmitterCounts, LoadJob, Timeouts
from loopmark.harness.vocabulary.load import EventLoad, FlowLoad
from loopmark.harness.vocabulary.loads.arriving import Open, Steps
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.loads.fan_out import PUBLISHERS, FanOut, FanOutSteps
from loopmark.harness.vocabulary.scenario import EventProtocol, Scenario
from tests.hang_limit import HANG_S
from tests.harness.drivers.conftest import Certificate
from tests.harness.drivers.driving import PATIENT, WARM, samples_of
from tests.harness.drivers.event_server import EventServer, Fault, Message, running
from tests.harness.drivers.tried_flows import (
    BROADCAST,
    ENDPOINTS,
    asking_nothing,
    connecting,
    connecting_and_creating,
    creating,
    hearing_nothing,
    processing,
)

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
Driven = tuple[DriverReport, pd.DataFrame]
BRIEF = Timeouts(connect_s=1.0, first_byte_s=0.5, response_s=1.0)


@pytest.fixture(params=list(ENDPOINTS))
def protocol(request: pytest.FixtureRequest) -> EventProtocol:
    chosen: EventProtocol = request.param
    return chosen


def scenario(
    protocol: EventProtocol, flow: EventFlow = creating, *, connects: bool = False
) -> Scenario:
    return Scenario(
        name="tried",
        title="t",
        description="d",
        flow=flow,
        warm=WARM,
        events=ENDPOINTS[protocol],
        connects=connects,
        broadcast=BROADCAST,
    )


def job(
    url: str, load: FlowLoad | EventLoad, folder: Path, timeouts: Timeouts = PATIENT
) -> LoadJob:
    return LoadJob(
        scenario="tried",
        load=load,
        round=4,
        seed=1,
        base_url=url,
        tokens=tuple(f"token-{n}" for n in range(load.concurrency)),
        samples=str(folder / "samples.parquet"),
        report=str(folder / "report.json"),
        timeouts=timeouts,
    )


async def driven(
    server: EventServer,
    asked: Scenario,
    load: FlowLoad | EventLoad,
    folder: Path,
    timeouts: Timeouts = PATIENT,
) -> Driven:
    async with running(server) as url, asyncio.timeout(HANG_S):
        given = job(url, load, folder, timeouts)
        report = await to_its_end(drive(given, asked))
    return report, samples_of(given)


def counted(samples: pd.DataFrame) -> Counter[tuple[str, str]]:
    return Counter(zip(samples["step"], samples["error"], strict=True))


def of(samples: pd.DataFrame, step: str) -> pd.DataFrame:
    return samples[samples["step"] == step]


# ---- event flows ----


async def test_a_burst_hears_what_it_has_created(protocol: EventProtocol, tmp_path: Path) -> None:
    server = EventServer()
    report, samples = await driven(server, scenario(protocol), Burst(20), tmp_path)
    assert counted(samples) == {("create", ""): 20, ("hear", ""): 20}
    assert report.error_examples == {}
    assert sum(server.connections.values()) == len(server.connections) == 20
    assert set(of(samples, "create")["due_ns"]) == {report.window_start_ns}
    asked = of(samples, "create").set_index("user").sort_index()
    heard = of(samples, "hear").set_index("user").sort_index()
    assert (heard["due_ns"] == asked["sent_ns"]).all(), "it counts from the request"
    assert (heard["sent_ns"] == asked["sent_ns"]).all()
    assert (heard["done_ns"] > heard["sent_ns"]).all()
    assert set(heard["status"]) == {0}
    assert heard["bytes"].min() > 80, "of the message"
    assert report.window_end_ns == samples["done_ns"].max()


@pytest.mark.parametrize("answers_first", [False, True])
async def test_an_event_counts_from_when_it_came_be_it_before_the_answer(
    answers_first: bool,  # noqa: FBT001 - a parameter
    protocol: EventProtocol,
    tmp_path: Path,
) -> None:
    server = EventServer()
    server.answers_first = answers_first
    server.lingers_s = 0.1
    _, samples = await driven(server, scenario(protocol), Burst(1), tmp_path)
    assert counted(samples) == {("create", ""): 1, ("hear", ""): 1}
    asked, heard = of(samples, "create").iloc[0], of(samples, "hear").iloc[0]
    assert (heard["done_ns"] > asked["done_ns"]) == answers_first


async def test_all_events_of_an_operation_are_heard_in_order(
    protocol: EventProtocol, tmp_path: Path
) -> None:
    load = Closed(users=3, duration_s=0.4, warmup_s=0.1)
    report, samples = await driven(EventServer(), scenario(protocol, processing), load, tmp_path)
    assert report.error_examples == {}
    assert len(of(samples, "answer")) > 3
    for _, rows in of(samples, "progress").groupby(["user", "due_ns"]):
        moments = rows["done_ns"].to_numpy()
        assert len(moments) <= 4
        assert (np.diff(moments) >= 0).all()
    complete = of(samples, "complete")
    # A user is left where the window ends.
    assert 0 <= len(of(samples, "progress")) - 4 * len(complete) <= 4 * load.users


@pytest.mark.parametrize(
    "load",
    [
        Open(rate=50, duration_s=0.4, warmup_s=0.1, max_in_flight=25),
        Steps(rates=(50, 75), step_s=0.2, warmup_s=0.1, max_in_flight=30),
        Closed(users=4, duration_s=0.3, warmup_s=0.1),
    ],
    ids=lambda load: load.model,
)
async def test_every_load_drives_flows_that_hear(
    load: FlowLoad, protocol: EventProtocol, tmp_path: Path
) -> None:
    server = EventServer()
    report, samples = await driven(server, scenario(protocol), load, tmp_path)
    assert set(samples["error"]) == {""}
    assert report.window_end_ns - report.window_start_ns == pytest.approx(
        load.planned_s * 1e9 - 0.1e9, rel=0.2
    )
    assert len(of(samples, "create")) == server.requests["/publish"]
    # A user of a closed load is left after the answer that it awaits.
    left = load.concurrency if isinstance(load, Closed) else 0
    assert 0 <= len(of(samples, "create")) - len(of(samples, "hear")) <= left
    assert sum(server.connections.values()) == load.concurrency, "each has opened one, and kept it"


async def test_a_flow_that_connects_has_a_connection_of_its_own(
    protocol: EventProtocol, tmp_path: Path
) -> None:
    server = EventServer()
    asked = scenario(protocol, connecting, connects=True)
    load = Open(rate=50, duration_s=0.4, warmup_s=0.0, max_in_flight=20)
    _, samples = await driven(server, asked, load, tmp_path)
    assert counted(samples) == {("connect", ""): 20}
    assert sum(server.connections.values()) == 20
    assert len(server.connections) == 20, "accounts take turns"
    assert set(samples["status"]) == {200 if protocol == "sse" else 101}
    assert (samples["due_ns"] <= samples["sent_ns"]).all()
    assert (samples["sent_ns"] <= samples["connected_ns"]).all()
    assert (samples["connected_ns"] < samples["first_byte_ns"]).all()
    assert (samples["first_byte_ns"] <= samples["done_ns"]).all()


async def test_a_flow_may_connect_and_then_hear(protocol: EventProtocol, tmp_path: Path) -> None:
    asked = scenario(protocol, connecting_and_creating, connects=True)
    _, samples = await driven(EventServer(), asked, Burst(5), tmp_path)
    assert counted(samples) == {("connect", ""): 5, ("create", ""): 5, ("hear", ""): 5}


async def test_the_target_hears_of_the_end(protocol: EventProtocol, tmp_path: Path) -> None:
    server = EventServer()
    async with running(server) as url, asyncio.timeout(HANG_S):
        await to_its_end(drive(job(url, Burst(5), tmp_path), scenario(protocol)))
        while server.clients:
            await asyncio.sleep(0.01)


async def test_an_event_that_does_not_come_is_a_timeout(
    protocol: EventProtocol, tmp_path: Path
) -> None:
    asked = scenario(protocol, hearing_nothing)
    report, samples = await driven(EventServer(), asked, Burst(3), tmp_path, BRIEF)
    assert counted(samples) == {("ask", ""): 3, ("hear", "timeout"): 3}
    late = of(samples, "hear")
    assert (late["done_ns"] - late["sent_ns"] >= 1e9).all()
    assert set(late["first_byte_ns"]) == {0}
    assert report.error_examples["timeout"] == ("no event 'never' within 1 s",)


def once(change: Callable[[Message], list[Message]]) -> Fault:
    """Done to the third event on its way to client 2."""

    def fault(client: int, number: int, message: Message) -> list[Message]:
        return change(message) if (client, number) == (2, 3) else [message]

    return fault


def of_another_user(_client: int, _number: int, message: Message) -> list[Message]:
    return [message | {"data": message["data"] | {"user_id": 2}}]


async def test_an_event_that_is_wrong_is_a_wrong_answer(
    protocol: EventProtocol, tmp_path: Path
) -> None:
    server = EventServer()
    server.fault = of_another_user
    report, samples = await driven(server, scenario(protocol), Burst(3), tmp_path)
    assert counted(samples) == {("create", ""): 3, ("hear", "wrong-answer"): 3}
    what = "event resource_created: it is another user's"
    assert report.error_examples["wrong-answer"] == (what,)


async def test_a_closed_connection_fails_the_step_and_is_opened_again(
    protocol: EventProtocol, tmp_path: Path
) -> None:
    server = EventServer()
    server.closes = {0, 1}
    load = Closed(users=2, duration_s=0.6, warmup_s=0.0)
    report, samples = await driven(server, scenario(protocol), load, tmp_path)
    reset = samples[samples["error"] == "reset"]
    assert set(reset["step"]) == {"hear"}
    assert len(reset) == 2
    assert "reset" in report.error_examples
    assert sum(server.connections.values()) == 4
    later = samples[samples["due_ns"] > reset["done_ns"].max()]
    assert len(later) > 2
    assert set(later["error"]) == {""}


async def test_text_that_is_no_event_is_a_wrong_answer(tmp_path: Path) -> None:
    server = EventServer()
    server.fault = lambda *_: [{"text": "not json"}]
    report, samples = await driven(server, scenario("websocket"), Burst(2), tmp_path)
    assert set(of(samples, "hear")["error"]) == {"wrong-answer"}
    assert "a message that is no event" in report.error_examples["wrong-answer"][0]


@pytest.mark.parametrize("load", [Burst(3), FanOut(3, 10, 0.3)], ids=["burst", "fan-out"])
async def test_a_target_that_refuses_is_not_driven(
    load: Burst | FanOut, protocol: EventProtocol, tmp_path: Path
) -> None:
    server = EventServer()
    server.refused = {"token-0", "token-1", "token-2"}
    report, samples = await driven(server, scenario(protocol), load, tmp_path)
    kind, status, what = {
        "websocket": ("wrong-status", 401, "answered 401, expected 101"),
        "socketio": ("wrong-answer", 101, "Could not validate"),
        "sse": ("wrong-status", 401, "answered 401, expected 200"),
    }[protocol]
    assert counted(samples) == {("connect", kind): 3}
    assert set(samples["status"]) == {status}
    assert what in report.error_examples[kind][0]
    assert report.window_start_ns == report.window_end_ns
    assert server.requests["/publish"] == 0


@pytest.mark.parametrize("load", [Burst(2), FanOut(2, 10, 0.3)], ids=["burst", "fan-out"])
async def test_a_target_that_never_greets_is_not_driven(
    load: Burst | FanOut, protocol: EventProtocol, tmp_path: Path
) -> None:
    server = EventServer()
    server.greets = False
    report, samples = await driven(server, scenario(protocol), load, tmp_path, BRIEF)
    assert counted(samples) == {("connect", "timeout"): 2}
    assert report.error_examples["timeout"] == ("no greeting within 1 s",)
    assert report.window_start_ns == report.window_end_ns


async def test_a_flow_that_asks_for_nothing_ends(protocol: EventProtocol, tmp_path: Path) -> None:
    _, samples = await driven(EventServer(), scenario(protocol, asking_nothing), Burst(3), tmp_path)
    assert len(samples) == 0


@pytest.mark.parametrize(
    "load", [Burst(4), Closed(users=4, duration_s=60.0, warmup_s=0.0)], ids=lambda load: load.model
)
async def test_a_cancelled_round_keeps_its_samples(
    load: Burst | Closed, protocol: EventProtocol, tmp_path: Path
) -> None:
    server = EventServer()
    async with running(server) as url, asyncio.timeout(HANG_S):
        given = job(url, load, tmp_path)
        task = asyncio.create_task(drive(given, scenario(protocol, hearing_nothing)))
        while server.requests["/warm"] < 8:  # To warm up, and then in the flow.
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    samples = samples_of(given)
    assert counted(samples)["hear", "abandoned"] == 4


# ---- fan-outs ----

DELIVERED = ("deliver", "")


async def test_everybody_hears_everything(protocol: EventProtocol, tmp_path: Path) -> None:
    server = EventServer()
    load = FanOut(clients=20, rate=50, duration_s=0.6, warmup_s=0.2, drain_s=0.2)
    report, samples = await driven(server, scenario(protocol), load, tmp_path)
    assert counted(samples) == {("connect", ""): 20, ("create", ""): 40, DELIVERED: 40 * 20}
    assert report.error_examples == {}
    assert report.requests == len(samples)
    fan_out = report.fan_out
    assert fan_out is not None
    assert (fan_out.published, fan_out.failed, fan_out.reconnects, fan_out.closed) == (30, 0, 0, 0)
    assert fan_out.before == EmitterCounts(20, 0, 0, 0, 0)
    assert fan_out.after == EmitterCounts(20, 40, 0, 0, 0)
    assert report.window_end_ns - report.window_start_ns == round(0.6e9)
    connected = of(samples, "connect")
    assert sorted(connected["user"]) == list(range(20))
    assert connected["done_ns"].max() < report.window_start_ns
    heard = of(samples, "deliver")
    created = of(samples, "create")
    assert set(heard["due_ns"]) == set(created["due_ns"])
    assert (heard["due_ns"] <= heard["sent_ns"]).all()
    assert (heard["sent_ns"] < heard["done_ns"]).all()
    for _, rows in heard.groupby("due_ns"):
        assert sorted(rows["user"]) == list(range(20))
        assert len(set(rows["sent_ns"])) == 1, "it was emitted once"


@pytest.mark.parametrize(
    "load",
    [
        FanOut(clients=2, rate=100, duration_s=0.3, warmup_s=0.1, drain_s=0.1),
        FanOutSteps(clients=2, rates=(20, 80), step_s=0.3, warmup_s=0.1, drain_s=0.1),
    ],
    ids=lambda load: load.model,
)
async def test_publications_are_due_exactly_when_pacing_says(
    load: EventLoad, tmp_path: Path
) -> None:
    report, samples = await driven(EventServer(), scenario("websocket"), load, tmp_path)
    start_ns = report.window_start_ns - round(load.warmup_s * 1e9)
    times_s = list(arrival_times(load.publishing, Random(1)))
    due_ns = np.sort(of(samples, "create")["due_ns"].to_numpy()) - start_ns
    assert due_ns == pytest.approx(np.array(times_s) * 1e9, abs=2)
    assert set(samples["error"]) == {""}
    assert report.fan_out is not None
    in_window = sum(time_s >= load.warmup_s - 1e-9 for time_s in times_s)
    assert report.fan_out.published == in_window


async def faulty_fan_out(
    fault: Fault, protocol: EventProtocol, folder: Path
) -> tuple[Counter[tuple[str, str]], pd.DataFrame, DriverReport]:
    server = EventServer()
    server.fault = fault
    load = FanOut(clients=4, rate=50, duration_s=0.4, warmup_s=0.0, drain_s=0.1)
    report, samples = await driven(server, scenario(protocol), load, folder)
    assert counted(samples)["create", ""] == 20
    return counted(of(samples, "deliver")), of(samples, "deliver"), report


async def test_what_a_client_does_not_hear_is_missing(
    protocol: EventProtocol, tmp_path: Path
) -> None:
    found, samples, _ = await faulty_fan_out(once(lambda _: []), protocol, tmp_path)
    assert found == {DELIVERED: 79, ("deliver", "missing"): 1}
    missing = samples[samples["error"] == "missing"].iloc[0].to_dict()
    assert missing["sent_ns"] == missing["due_ns"]
    assert missing["due_ns"] in set(samples[samples["error"] == ""]["due_ns"])
    assert missing["done_ns"] == samples["done_ns"].max()


async def test_what_it_hears_twice_is_a_duplicate(protocol: EventProtocol, tmp_path: Path) -> None:
    found, _, _ = await faulty_fan_out(once(lambda one: [one, one]), protocol, tmp_path)
    assert found == {DELIVERED: 80, ("deliver", "duplicate"): 1}


async def test_what_comes_after_a_later_one_is_out_of_order(
    protocol: EventProtocol, tmp_path: Path
) -> None:
    held: list[Message] = []

    def fault(client: int, number: int, message: Message) -> list[Message]:
        if client != 1 or number not in {5, 6}:
            return [message]
        held.append(message)
        return held[::-1] if number == 6 else []

    found, samples, _ = await faulty_fan_out(fault, protocol, tmp_path)
    assert found == {DELIVERED: 79, ("deliver", "out-of-order"): 1}
    assert set(samples[samples["error"] == "out-of-order"]["user"]) != set()


def without_moment(_client: int, _number: int, message: Message) -> list[Message]:
    return [message | {"data": message["data"] | {"emitted_ns": None}}]


def from_the_future(_client: int, _number: int, message: Message) -> list[Message]:
    later = time.monotonic_ns() + 10**10
    return [message | {"data": message["data"] | {"emitted_ns": later}}]


def of_another_clock(_client: int, _number: int, message: Message) -> list[Message]:
    return [message | {"data": message["data"] | {"emitted_ns": 2**200}}]


@pytest.mark.parametrize("fault", [without_moment, from_the_future, of_another_clock])
async def test_an_event_without_its_moment_is_a_wrong_answer(fault: Fault, tmp_path: Path) -> None:
    found, _, report = await faulty_fan_out(fault, "websocket", tmp_path)
    assert found == {("deliver", "wrong-answer"): 80}
    assert "emitted_ns of 'resource_created'" in report.error_examples["wrong-answer"][0]


async def test_what_is_no_publication_is_passed_over(
    protocol: EventProtocol, tmp_path: Path
) -> None:
    def fault(_client: int, _number: int, message: Message) -> list[Message]:
        others: list[Message] = [
            {"event": "log_entry", "data": message["data"]},
            {"event": "resource_created", "data": {"resource_id": "of another"}},
            {"event": "resource_created", "data": {"resource_id": ["a list"]}},
            {"event": "resource_created", "data": {}},
        ]
        return [*others, message]

    found, _, _ = await faulty_fan_out(fault, protocol, tmp_path)
    assert found == {DELIVERED: 80}


async def test_a_publication_that_failed_is_no_expectation(
    protocol: EventProtocol, tmp_path: Path
) -> None:
    server = EventServer()
    server.status = 503
    load = FanOut(clients=3, rate=50, duration_s=0.3, warmup_s=0.1, drain_s=0.1)
    report, samples = await driven(server, scenario(protocol), load, tmp_path)
    assert counted(samples) == {("connect", ""): 3, ("create", "server-error"): 20}
    assert report.fan_out is not None
    assert (report.fan_out.published, report.fan_out.failed) == (0, 15)


async def test_publications_without_a_publisher_are_refused(tmp_path: Path) -> None:
    server = EventServer()
    server.delay_s = 60.0
    load = FanOut(clients=1, rate=200, duration_s=0.3, warmup_s=0.0, drain_s=0.0)
    report, samples = await driven(server, scenario("websocket"), load, tmp_path, BRIEF)
    assert counted(samples) == {
        ("connect", ""): 1,
        ("create", "timeout"): PUBLISHERS,
        ("arrival", "refused"): 60 - PUBLISHERS,
    }
    assert report.fan_out is not None
    assert (report.fan_out.published, report.fan_out.failed) == (0, PUBLISHERS)


async def test_a_reader_whose_connection_breaks_connects_again(
    protocol: EventProtocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "RECONNECT_PAUSE_S", 0.1)
    server = EventServer()
    server.closes = {1}
    load = FanOut(clients=3, rate=50, duration_s=0.8, warmup_s=0.0, drain_s=0.2)
    report, samples = await driven(server, scenario(protocol), load, tmp_path)
    assert report.fan_out is not None
    assert report.fan_out.reconnects == 1
    assert "reset" in report.error_examples
    assert counted(of(samples, "connect")) == {("connect", ""): 4}
    heard = of(samples, "deliver")
    missing = heard[heard["error"] == "missing"]
    assert len(heard) == 3 * 40
    assert 1 <= len(missing) < 40
    assert len(set(missing["user"])) == 1
    assert missing["due_ns"].max() < heard["due_ns"].max(), "it hears again"


async def test_a_message_that_is_too_long_breaks_the_connection_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "RECONNECT_PAUSE_S", 0.1)
    monkeypatch.setattr(websocket_connection, "MAX_MESSAGE_BYTES", 100_000)
    huge = {"text": json.dumps({"event": "e", "data": {"x": "x" * 10 * 1024**2}})}
    found, samples, report = await faulty_fan_out(
        once(lambda one: [huge, one]), "websocket", tmp_path
    )
    assert report.fan_out is not None
    assert report.fan_out.reconnects == 1
    assert "what came is no WebSocket" in report.error_examples["protocol"][0]
    assert found["deliver", "missing"] >= 1
    assert len(set(samples[samples["error"] == "missing"]["user"])) == 1


async def test_slow_clients_hear_late_and_stalled_ones_nothing(
    protocol: EventProtocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "DOZE_S", 0.3)
    load = FanOut(clients=6, rate=50, duration_s=1.2, slow=2, stalled=1, warmup_s=0.0, drain_s=0.5)
    report, samples = await driven(EventServer(), scenario(protocol), load, tmp_path)
    assert counted(samples) == {
        ("connect", ""): 6,
        ("create", ""): 60,
        DELIVERED: 180,
        ("deliver-slow", ""): 120,
    }
    slow = of(samples, "deliver-slow")
    late_ns = slow["done_ns"] - slow["sent_ns"]
    assert late_ns.max() > 0.1e9
    # A few moments of waking, each with many deliveries.
    gaps_ns = np.diff(np.sort(slow[slow["user"] == slow["user"].min()]["done_ns"]))
    assert (gaps_ns > 0.1e9).sum() >= 3
    assert report.fan_out is not None
    assert (report.fan_out.slow_heard, report.fan_out.closed) == (120, 0)


async def test_slow_and_stalled_clients_that_the_target_closes_are_counted(
    protocol: EventProtocol, tmp_path: Path
) -> None:
    server = EventServer()
    load = FanOut(clients=6, rate=50, duration_s=0.4, slow=2, stalled=2, drain_s=0.1)
    server.closes = set(range(6))
    report, samples = await driven(server, scenario(protocol), load, tmp_path)
    assert report.fan_out is not None
    assert report.fan_out.closed == 4
    assert report.fan_out.reconnects == 2
    assert counted(of(samples, "connect")) == {("connect", ""): 8}


async def test_late_deliveries_are_awaited_while_they_come(
    protocol: EventProtocol, tmp_path: Path
) -> None:
    server = EventServer()
    server.answers_first = True
    server.tells_after_s = 0.3
    load = FanOut(clients=3, rate=50, duration_s=0.4, warmup_s=0.0, drain_s=0.0)
    _, samples = await driven(server, scenario(protocol), load, tmp_path)
    assert counted(of(samples, "deliver")) == {DELIVERED: 60}
    late_ns = of(samples, "deliver")["sent_ns"] - of(samples, "deliver")["due_ns"]
    assert late_ns.min() > 0.25e9


@pytest.mark.parametrize(
    "load",
    [Burst(3), FanOut(4, 50, 0.3, slow=1, stalled=1, warmup_s=0.0, drain_s=0.1)],
    ids=lambda load: load.model,
)
async def test_a_target_behind_tls_is_driven(
    load: Burst | FanOut,
    protocol: EventProtocol,
    certificate: Certificate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.chain))
    server = EventServer()
    server.certificate = (certificate.chain, certificate.key)
    report, samples = await driven(server, scenario(protocol), load, tmp_path)
    assert set(samples["error"]) == {""}
    assert len(of(samples, "create")) == (3 if isinstance(load, Burst) else 15)
    if report.fan_out is not None:
        assert len(of(samples, "deliver")) == 30
        assert report.fan_out.before is not None


async def test_others_ask_meanwhile(protocol: EventProtocol, tmp_path: Path) -> None:
    server = EventServer()
    load = FanOut(clients=3, rate=20, duration_s=0.4, http_users=2, warmup_s=0.1, drain_s=0.1)
    report, samples = await driven(server, scenario(protocol), load, tmp_path)
    found = counted(samples)
    assert set(samples["error"]) == {""}
    assert found["read", ""] + found["update", ""] == server.requests["users"] > 10
    assert found[DELIVERED] == 30
    asked = samples[samples["step"].isin(["read", "update"])]
    assert set(asked["user"]) == {3, 4}, "accounts of their own"
    assert report.fan_out is not None
    assert report.fan_out.published == 8


async def test_a_target_that_says_nothing_of_its_emitter(tmp_path: Path) -> None:
    server = EventServer()
    server.has_emitter = False
    load = FanOut(clients=2, rate=20, duration_s=0.2, drain_s=0.1)
    report, samples = await driven(server, scenario("websocket"), load, tmp_path)
    assert report.fan_out is not None
    assert (report.fan_out.before, report.fan_out.after) == (None, None)
    assert set(samples["error"]) == {""}


async def test_clients_share_the_accounts_there_are(tmp_path: Path) -> None:
    server = EventServer()
    load = FanOut(clients=6, rate=20, duration_s=0.2, http_users=1, drain_s=0.1)
    async with running(server) as url, asyncio.timeout(HANG_S):
        given = replace(job(url, load, tmp_path), tokens=("token-0", "token-1"))
        await to_its_end(drive(given, scenario("websocket")))
    assert server.connections == {"token-0": 3, "token-1": 3}
    assert len(accounts(given)) == 2


async def test_python_socketios_own_client_hears_the_same(tmp_path: Path) -> None:
    """Both are connected meanwhile, and see the same events in the same order."""
    server = EventServer()
    load = FanOut(clients=2, rate=50, duration_s=0.5, warmup_s=0.0, drain_s=0.2)
    heard: list[tuple[str, int]] = []
    async with running(server) as url, asyncio.timeout(HANG_S):
        own = socketio.AsyncClient()
        own.on("resource_created", lambda data: heard.append(tuple(data.values())[::2]))
        await own.connect(url, auth={"token": "own"}, transports=["websocket"])
        given = job(url, load, tmp_path)
        await to_its_end(drive(given, scenario("socketio")))
        await own.disconnect()
    samples = samples_of(given)
    for _, rows in of(samples, "deliver").groupby("user"):
        in_order = rows.sort_values("done_ns", kind="stable")["sent_ns"]
        assert list(in_order) == [emitted_ns for _, emitted_ns in heard]
    assert len(heard) == len({key for key, _ in heard}) == 25


# ---- the process ----

SIGNALLED = """
import sys
from loopmark.harness.drivers.process.job_loop import run_jobs
from loopmark.harness.drivers.websocket_driver import driver
from loopmark.harness.vocabulary.flow import Request
from loopmark.harness.vocabulary.scenario import Scenario
from loopmark.scenarios.catalog import SCENARIOS
from tests.harness.drivers.tried_flows import BROADCAST, ENDPOINTS, creating

warm = Request("GET", "/warm", step="warm")
SCENARIOS["tried"] = Scenario(
    "tried", "t", "d", creating, warm, events=ENDPOINTS[sys.argv[1]], broadcast=BROADCAST
)
sys.exit(run_jobs(driver.drive_one))
"""


async def test_sigterm_ends_the_process_and_keeps_the_samples(
    protocol: EventProtocol, tmp_path: Path
) -> None:
    server = EventServer()
    async with running(server) as url, asyncio.timeout(HANG_S):
        given = job(url, FanOut(3, 50, 60.0, warmup_s=0.0), tmp_path)
        write_job(given, tmp_path / "job.json")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SIGNALLED, protocol),
            stdin=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        assert process.stdin is not None
        process.stdin.write(f"{tmp_path / 'job.json'}\n".encode())
        while server.requests["/publish"] < 10:
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == ENDED_EARLY
    samples = samples_of(given)
    assert counted(samples)[DELIVERED] >= 24
    assert read_report(Path(given.report)) is None


async def test_the_process_drives_one_job_after_the_other(
    protocol: EventProtocol, tmp_path: Path
) -> None:
    server = EventServer()
    loads: list[FlowLoad | EventLoad] = [Burst(2), FanOut(2, 50, 0.2, drain_s=0.1), Burst(2)]
    jobs = []
    async with running(server) as url, asyncio.timeout(HANG_S):
        for number, load in enumerate(loads):
            folder = tmp_path / str(number)
            folder.mkdir()
            jobs.append(job(url, load, folder))
            write_job(jobs[-1], folder / "job.json")
        lines = "".join(f"{tmp_path / str(number) / 'job.json'}\n" for number in range(3))
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", SIGNALLED, protocol],
            input=lines.encode(),
            capture_output=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            timeout=HANG_S,
            check=True,
        )
    assert done.stdout == b"done\n" * 3
    reports = [read_report(Path(one.report)) for one in jobs]
    assert [report is not None and report.fan_out is not None for report in reports] == [
        False,
        True,
        False,
    ]
    assert all(set(samples_of(one)["error"]) == {""} for one in jobs)
