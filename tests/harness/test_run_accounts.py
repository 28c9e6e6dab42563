"""How many accounts a round has."""

from __future__ import annotations

import pytest

from loopmark.harness.run.measure import _accounts
from loopmark.harness.vocabulary.load import Burst, Closed, FanOut, FanOutSteps, Load, Open
from loopmark.scenarios.flows import SEEDED_ACCOUNTS


@pytest.mark.parametrize(
    ("load", "accounts"),
    [
        (Burst(7), 7),
        (Closed(users=7, duration_s=1.0), 7),
        (Open(rate=1.0, duration_s=1.0), SEEDED_ACCOUNTS),
        (FanOut(clients=7, rate=1.0, duration_s=1.0), 7),
        (FanOut(clients=7, rate=1.0, duration_s=1.0, slow=3, stalled=2, http_users=4), 11),
        (FanOutSteps(clients=7, rates=(1.0, 2.0), step_s=1.0), 7),
    ],
)
def test_each_user_has_an_account_and_publishers_share_them(load: Load, accounts: int) -> None:
    assert _accounts(load) == accounts
