"""Each load in fake time, with users that answer to order: what is due when, and what comes of it.

How real users do it over sockets is asked in `test_driven_loads`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from random import Random

import pandas as pd
import pytest

from loopmark.harness.drivers.pacing.load_models import UserPool, begin, settle_s
from loopmark.harness.drivers.pacing.user import NEVER_NS, Account, OnEnd, nobody_waits
from loopmark.harness.drivers.pacing.window import Window
from loopmark.harness.drivers.process.job_inputs import accounts, chance_of
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.recording.samples import RowGroup, SampleRows
from loopmark.harness.planning.pacing import arrival_times, start_times
from loopmark.harness.vocabulary.job import DriverReport
from loopmark.harness.vocabulary.load import Arriving, FlowLoad
from loopmark.harness.vocabulary.loads.arriving import Open, Ramp, Steps
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.sample import ARRIVAL_STEP, sample
from tests.harness.drivers.driving import job
from tests.harness.drivers.pacing.fake_loop import LATE_NS, FakeLoop

MS = 1_000_000


class KeptRows(SampleRows):
    """Samples that stay in memory."""

    def __init__(self) -> None:
        super().__init__(round_number=4, rows_per_group=1_000_000)
        self._groups: list[RowGroup] = []

    @property
    def samples(self) -> pd.DataFrame:
        self.flush()
        (group,) = self._groups
        samples: pd.DataFrame = group.table().to_pandas()
        return samples.astype({"step": str, "error": str})

    def _hand_over(self, group: RowGroup) -> None:
        self._groups.append(group)


class FakeUser:
    """Its flow is one request, which is sent within `sending_ns` and answered after `answer_s`."""

    def __init__(
        self,
        loop: FakeLoop,
        recording: Recording,
        answer_s: float,
        sending_ns: int,
        *,
        fails: bool,
    ) -> None:
        self._loop = loop
        self._recording = recording
        self._answer_s = answer_s
        self._sending_ns = sending_ns
        self._fails = fails
        self._account: Account | None = None
        self.on_end: OnEnd = nobody_waits
        self.stop_ns = NEVER_NS
        self.flows = 0

    def prepare(self, account: Account) -> None:
        self._account = account

    def go(self, due_ns: int) -> None:
        assert self._account is not None, "it is prepared for every flow, and does one at a time"
        self.flows += 1
        sent_ns = self._loop.now_ns()
        self._loop.spend(self._sending_ns)
        end = partial(self._end, self._account.virtual.number, due_ns, sent_ns)
        self._loop.call_later(self._answer_s, end)
        self._account = None

    def check(self, now_ns: int) -> None:
        """It never gives up."""

    def _end(self, number: int, due_ns: int, sent_ns: int) -> None:
        done_ns = self._loop.now_ns()
        self._recording.add(sample(number, "only", due_ns, sent_ns, done_ns))
        self.on_end(self, done_ns, self._fails)


class Round:
    """A load that was driven to its end by users of its own; both are kept to be asked."""

    def __init__(
        self,
        loop: FakeLoop,
        load: FlowLoad,
        *,
        answer_s: float = 0.005,
        sending_ns: int = 0,
        fails: bool = False,
    ) -> None:
        rows = KeptRows()
        recording = Recording(rows)
        self.job = job("http://target", load, Path())
        self.users = [
            FakeUser(loop, recording, answer_s, sending_ns, fails=fails)
            for _ in range(load.concurrency)
        ]
        random = chance_of(self.job)
        pool = UserPool(loop, self.users, accounts(self.job), recording, random)
        window = Window(loop)
        ends_ns: list[int] = []
        self.began_ns = loop.now_ns()
        execution = begin(load, pool, window, lambda: ends_ns.append(loop.now_ns()))
        loop.run()
        execution.close()
        assert window.is_closed
        assert len(ends_ns) == 1, "it ends once"
        self.report: DriverReport = window.report(recording)
        self.samples = rows.samples
        assert ends_ns[0] >= max(self.report.window_end_ns, self.samples["done_ns"].max())
        assert (self.samples["due_ns"] <= self.samples["sent_ns"]).all(), "nothing is early"


def by_user(samples: pd.DataFrame) -> list[tuple[int, pd.DataFrame]]:
    rows_of = samples.sort_values("due_ns").groupby("user")
    return [(int(str(number)), rows) for number, rows in rows_of]


def pauses_ns(rows: pd.DataFrame) -> list[int]:
    """Of a user: from each answer until the next request is due."""
    pauses: list[int] = (rows["due_ns"].to_numpy()[1:] - rows["done_ns"].to_numpy()[:-1]).tolist()
    return pauses


def test_a_burst_sends_every_flow_once_from_one_due_moment(loop: FakeLoop) -> None:
    driven = Round(loop, Burst(50), sending_ns=1 * MS)
    report, samples = driven.report, driven.samples
    assert report.window_start_ns == driven.began_ns + 200 * MS, "the target has settled"
    assert set(samples["due_ns"]) == {report.window_start_ns}
    assert sorted(samples["user"]) == list(range(50))
    assert [user.flows for user in driven.users] == [1] * 50
    assert report.requests == 50
    assert report.window_end_ns == samples["done_ns"].max(), "the last answer ends it"
    first_ns = samples["done_ns"].min() - report.window_start_ns
    assert first_ns == LATE_NS + 20 * MS, "answers are looked at while it is sent"


@pytest.mark.parametrize("load", [Closed(2, 1.0), Open(10, 1.0), Ramp(1, 2, 1.0)])
def test_a_burst_alone_waits_for_a_fifth_of_a_second(load: FlowLoad, loop: FakeLoop) -> None:
    assert settle_s(Burst(3)) == 0.2
    assert settle_s(load) == 0.0
    driven = Round(loop, load)
    assert driven.samples["due_ns"].min() == driven.began_ns


def test_a_closed_load_keeps_every_user_busy_until_the_window_ends(loop: FakeLoop) -> None:
    driven = Round(loop, Closed(users=8, duration_s=0.3, warmup_s=0.1))
    report, samples = driven.report, driven.samples
    assert report.window_start_ns == driven.began_ns + 100 * MS
    assert report.window_end_ns == report.window_start_ns + 300 * MS
    assert samples["done_ns"].min() < report.window_start_ns, "the warm-up is recorded too"
    assert {user.stop_ns for user in driven.users} == {report.window_end_ns}
    assert len(by_user(samples)) == 8
    for _, rows in by_user(samples):
        assert pauses_ns(rows) == [0] * (len(rows) - 1)
        assert rows["due_ns"].max() < report.window_end_ns <= rows["done_ns"].max()


def test_users_of_a_closed_load_start_when_pacing_says(loop: FakeLoop) -> None:
    load = Closed(users=5, duration_s=0.1, warmup_s=0.2)
    driven = Round(loop, load)
    starts_ns = [rows["due_ns"].min() - driven.began_ns for _, rows in by_user(driven.samples)]
    assert starts_ns == [round(at_s * 1e9) for at_s in start_times(load)]
    assert starts_ns == [n * 20 * MS for n in range(5)], "over half of the warm-up"


def test_a_user_thinks_between_flows(loop: FakeLoop) -> None:
    driven = Round(loop, Closed(users=3, duration_s=0.4, warmup_s=0.0, think_s=0.05))
    for _, rows in by_user(driven.samples):
        assert pauses_ns(rows) == [50 * MS] * 7, "55 ms are a turn"


def test_exponential_thinking_is_that_of_each_user_s_seed(loop: FakeLoop) -> None:
    load = Closed(users=3, duration_s=0.5, warmup_s=0.0, think_s=0.02, think="exponential")
    driven = Round(loop, load)
    job = driven.job
    for number, rows in by_user(driven.samples):
        random = Random(f"{job.seed}/{job.scenario}/{job.round}/{number}")
        expected = [round(random.expovariate(1 / 0.02) * 1e9) for _ in range(len(rows) - 1)]
        assert pauses_ns(rows) == expected
        assert len(rows) > 5


@pytest.mark.parametrize("think_s", [0.0, 0.02, 0.08])
def test_a_user_pauses_after_a_request_without_an_answer(think_s: float, loop: FakeLoop) -> None:
    driven = Round(loop, Closed(2, duration_s=0.5, think_s=think_s), answer_s=0.0, fails=True)
    for _, rows in by_user(driven.samples):
        assert len(rows) > 5
        assert set(pauses_ns(rows)) == {max(50, round(think_s * 1e3)) * MS}


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
def test_arrivals_are_due_exactly_when_pacing_says(load: Arriving, loop: FakeLoop) -> None:
    driven = Round(loop, load)
    report, samples = driven.report, driven.samples
    times_s = arrival_times(load, chance_of(driven.job))
    due_ns = sorted(samples["due_ns"] - driven.began_ns)
    assert due_ns == [round(time_s * 1e9) for time_s in times_s]
    assert report.unsent == 0
    assert report.window_start_ns == driven.began_ns + round(load.warmup_s * 1e9)
    assert report.window_end_ns - report.window_start_ns == round(load.measured_s * 1e9)
    assert (samples["sent_ns"] - samples["due_ns"]).max() <= LATE_NS
    assert len(set(samples["user"])) == min(len(due_ns), load.concurrency), "accounts take turns"


def test_arrivals_take_the_user_that_was_last_used(loop: FakeLoop) -> None:
    load = Open(rate=100, duration_s=0.3, warmup_s=0.0, max_in_flight=5)
    driven = Round(loop, load, answer_s=0.015)
    flows = sorted(user.flows for user in driven.users)
    assert flows == [0, 0, 0, 15, 15], "two are under way at a time, on the same connections"


def test_a_target_that_does_not_answer_changes_no_due_time_and_refuses_the_rest(
    loop: FakeLoop,
) -> None:
    load = Open(rate=100, duration_s=0.3, warmup_s=0.0, max_in_flight=5)
    driven = Round(loop, load, answer_s=60.0)
    samples = driven.samples.sort_values("due_ns")
    assert list(samples["due_ns"]) == [driven.began_ns + n * 10 * MS for n in range(30)]
    assert list(samples["error"]) == [""] * 5 + ["refused"] * 25
    assert list(samples["user"]) == list(range(5)) * 6
    refused = samples[samples["error"] == "refused"]
    assert set(refused["step"]) == {ARRIVAL_STEP}
    assert set(refused["first_byte_ns"]) == set(refused["status"]) == {0}
    assert (refused["sent_ns"] == refused["done_ns"]).all()
    assert driven.report.error_examples == {"refused": ("5 flows were under way (max_in_flight)",)}
    assert driven.report.window_end_ns == driven.began_ns + 300 * MS


def test_an_absurd_rate_is_counted_as_unsent(loop: FakeLoop) -> None:
    load = Open(rate=1_000_000, duration_s=0.2, warmup_s=0.0, max_in_flight=2000)
    driven = Round(loop, load, sending_ns=MS)
    last_ns = driven.samples["sent_ns"].max() - driven.report.window_end_ns
    assert 249 * MS <= last_ns <= 251 * MS, "late arrivals are taken up for a quarter of a second"
    assert set(driven.samples["error"]) == {""}
    assert driven.report.unsent + len(driven.samples) == 200_000


def test_the_window_measures_the_loop_s_lag(loop: FakeLoop) -> None:
    steady = Round(loop, Closed(1, duration_s=0.1), answer_s=0.01).report
    assert steady.loop_lag_ms_max == LATE_NS / 1e6
    held_up = Round(loop, Closed(1, duration_s=0.1), answer_s=0.01, sending_ns=8 * MS).report
    assert 3.0 <= held_up.loop_lag_ms_max <= 8.0 + LATE_NS / 1e6


def test_a_window_opens_and_closes_now_where_no_moment_was_agreed(loop: FakeLoop) -> None:
    window = Window(loop)
    window.open()
    began_ns = loop.now_ns()
    loop.spend(7 * MS)
    window.close()
    assert (window.start_ns, window.end_ns) == (began_ns, began_ns + 7 * MS)
    assert window.is_closed
