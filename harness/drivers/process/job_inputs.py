"""The inputs of a job: its scenario, accounts, and the target's address."""

from __future__ import annotations

from random import Random

import httpx

from loopmark.harness.drivers.http.encoding import Encoder
from loopmark.harness.drivers.http.origin import Origin
from loopmark.harness.drivers.pacing.load_models import WHOLE, Share
from loopmark.harness.drivers.pacing.user import Account
from loopmark.harness.planning.pacing import source_of_chance
from loopmark.harness.vocabulary.flow import VirtualUser
from loopmark.harness.vocabulary.job import LoadJob
from loopmark.harness.vocabulary.scenario import Scenario
from loopmark.scenarios.catalog import SCENARIOS


def scenario_of(job: LoadJob) -> Scenario:
    """The scenario that a job names."""
    return SCENARIOS[job.scenario]


def accounts(job: LoadJob, share: Share = WHOLE) -> list[Account]:
    """The accounts of a job, or of a share of it, each with its own random generator."""
    return [
        Account(
            VirtualUser(
                number, token, source_of_chance(job.seed, job.scenario, job.round, str(number))
            ),
            Encoder(job.base_url, token),
        )
        for number, token in share.of(enumerate(job.tokens))
    ]


def chance_of(job: LoadJob) -> Random:
    """The random generator for arrivals."""
    return source_of_chance(job.seed, job.scenario, job.round)


def origin_of(base_url: str) -> Origin:
    """Where a target listens."""
    url = httpx.URL(base_url)
    if url.scheme == "https":
        return Origin(url.host, url.port or 443, httpx.create_ssl_context())
    return Origin(url.host, url.port or 80)
