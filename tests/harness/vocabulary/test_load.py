"""What a load tells of itself."""

from __future__ import annotations

import pytest

from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.arriving import Open
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.loads.fan_out import FanOut, FanOutSteps


@pytest.mark.parametrize(
    ("load", "accounts"),
    [
        (Burst(7), 7),
        (Closed(users=7, duration_s=1.0), 7),
        (Open(rate=1.0, duration_s=1.0), None),
        (FanOut(clients=7, rate=1.0, duration_s=1.0), 7),
        (FanOut(clients=7, rate=1.0, duration_s=1.0, slow=3, stalled=2, http_users=4), 11),
        (FanOutSteps(clients=7, rates=(1.0, 2.0), step_s=1.0), 7),
    ],
)
def test_each_user_has_an_account_and_publishers_share_them(
    load: Load, accounts: int | None
) -> None:
    assert load.accounts == accounts
