"""Answers only: does every target serve every flow rightly? Nothing is timed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random

import httpx

from loopmark.harness.drivers.http.encoding import Encoder
from loopmark.harness.drivers.journey import UNUSABLE, Journey
from loopmark.harness.drivers.pacing.user import Account
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.recording.samples import ROWS_PER_GROUP, RowGroup, SampleRows
from loopmark.harness.drivers.users.round import watched
from loopmark.harness.launch.database import Database
from loopmark.harness.launch.process_reaper import reaped, temporary_folder
from loopmark.harness.launch.provision import provision
from loopmark.harness.launch.running_target import RunningTarget, TargetFailedError
from loopmark.harness.vocabulary.flow import (
    ClientJourney,
    EventFlow,
    Flow,
    VirtualUser,
    WrongAnswer,
    is_client_journey,
)
from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.scenario import Scenario, is_plain_flow
from loopmark.harness.vocabulary.target import Target
from loopmark.scenarios.catalog import SCENARIOS
from loopmark.scenarios.flows import SEEDED_ACCOUNTS

PASSES = 3
TIMEOUT_S = 30.0
TIMEOUTS = Timeouts(connect_s=TIMEOUT_S, first_byte_s=TIMEOUT_S, response_s=TIMEOUT_S)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one target gave one scenario's right answers; `problem` is empty if it did."""

    target: str
    scenario: str
    problem: str = ""


def verify(targets: Sequence[Target], scenarios: Sequence[str]) -> Iterator[Verdict]:
    """Pass through every flow a few times on every target, and count the rows afterwards.

    Raises:
        UserError: There is no usable database.
    """
    tokens = tuple(f"verify-{number}" for number in range(SEEDED_ACCOUNTS))
    with reaped() as token, provision(targets, token, f"verify_{token}") as provided:
        assert provided is not None
        folder = temporary_folder(token, "verify")
        for one in targets:
            target = RunningTarget(one, folder, one.name, provided=provided.environment)
            yield from _one_target(target, scenarios, provided.database, tokens)


def _one_target(
    target: RunningTarget,
    scenarios: Sequence[str],
    database: Database,
    tokens: tuple[str, ...],
) -> Iterator[Verdict]:
    name = target.target.name
    with ExitStack() as stack:
        stack.callback(target.stop)
        try:
            target.wait_until_ready()
        except TargetFailedError as error:
            problem = f"{error}\n{error.stderr_tail}"
            yield from (Verdict(name, scenario, problem) for scenario in scenarios)
            return
        client = stack.enter_context(
            httpx.Client(base_url=target.base_url, trust_env=False, timeout=TIMEOUT_S)
        )
        for scenario in scenarios:
            database.reset(tokens, SEEDED_ACCOUNTS)
            try:
                problem = _problem(SCENARIOS[scenario], client, database, tokens)
            except httpx.HTTPError as error:
                problem = f"{error}\n{target.stderr_tail}".strip()
            yield Verdict(name, scenario, problem)


def _problem(
    scenario: Scenario, client: httpx.Client, database: Database, tokens: tuple[str, ...]
) -> str:
    """What is wrong with the answers; empty when nothing is."""
    flow = scenario.flow
    expected = [database.count(audit.count) for audit in scenario.audits]
    for number in range(PASSES):
        user = VirtualUser(number, tokens[number], Random(number))  # noqa: S311 - choices
        if is_client_journey(flow):
            problem, steps = asyncio.run(_by_client(flow, user, client.base_url))
        elif is_plain_flow(flow, scenario):
            problem, steps = _by_steps(flow, user, client)
        else:
            problem, steps = asyncio.run(_by_hearing(flow, scenario, user, str(client.base_url)))
        if problem:
            return problem
        for index, audit in enumerate(scenario.audits):
            expected[index] += sum(audit.effect.get(step, 0) for step in steps)
    for audit, rows in zip(scenario.audits, expected, strict=True):
        if (found := database.count(audit.count)) != rows:
            return (
                f"{audit.what}: {rows} rows expected after the acknowledged writes, {found} found"
            )
    return ""


def _by_steps(flow: Flow, user: VirtualUser, client: httpx.Client) -> tuple[str, list[str]]:
    """What is wrong, and the steps that were acknowledged."""
    steps: list[str] = []
    journey = Journey(flow, user)
    while (request := journey.request) is not None:
        response = client.request(
            request.method,
            request.path,
            json=request.json,
            params=request.params,
            headers={"Authorization": f"Bearer {user.token}"},
        )
        judgement = journey.receive(response)
        if judgement.error:
            return judgement.message, steps
        steps.append(request.step)
    return "", steps


async def _by_client(
    journey: ClientJourney, user: VirtualUser, base_url: httpx.URL
) -> tuple[str, list[str]]:
    """The same for a journey with a client of its own."""
    steps: list[str] = []

    async def note(response: httpx.Response) -> None:
        if response.is_success:
            steps.append(response.request.extensions.get("step", ""))

    async with httpx.AsyncClient(
        base_url=base_url,
        headers={"Authorization": f"Bearer {user.token}"},
        event_hooks={"response": [note]},
        trust_env=False,
        timeout=TIMEOUT_S,
    ) as client:
        try:
            await journey(client, user)
        except UNUSABLE as error:
            return f"unusable answer: {error!r}", steps
        except (WrongAnswer, httpx.HTTPStatusError) as error:
            return str(error), steps
    return "", steps


async def _by_hearing(
    flow: EventFlow, scenario: Scenario, user: VirtualUser, base_url: str
) -> tuple[str, list[str]]:
    """The same for a flow that hears events, on the connections of the driver that can."""
    from loopmark.harness.drivers.websocket_driver.driver import event_address  # noqa: PLC0415 - half a second
    from loopmark.harness.drivers.websocket_driver.event_user import EventUser  # noqa: PLC0415

    rows = _Steps()
    recording = Recording(rows)
    address = event_address(base_url, scenario)
    hearing = EventUser(flow, address, TIMEOUTS, recording, connects=scenario.connects)
    account = Account(user, Encoder(base_url, user.token))
    async with watched([hearing]):
        if await hearing.warm(scenario.warm, account):
            ended = asyncio.Event()
            hearing.on_end = lambda *_: ended.set()
            hearing.prepare(account)
            hearing.go(clock())
            await ended.wait()
    rows.flush()
    problems = [message for found in recording.examples.values() for message in found]
    return "; ".join(problems), rows.right


class _Steps(SampleRows):
    """The steps that were right, once all are flushed; nothing else matters here."""

    def __init__(self) -> None:
        super().__init__(round_number=0, rows_per_group=ROWS_PER_GROUP)
        self.right: list[str] = []

    def _hand_over(self, group: RowGroup) -> None:
        columns = group.table().select(["step", "error"]).to_pylist()
        self.right += [row["step"] for row in columns if not row["error"]]
