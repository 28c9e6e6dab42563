"""The loops of the tests of pacing."""

from __future__ import annotations

import pytest

from tests.harness.drivers.pacing.fake_loop import FakeLoop


@pytest.fixture
def new_loop(monkeypatch: pytest.MonkeyPatch) -> type[FakeLoop]:
    """Makes loops whose time passes at once, and precise timers the loop's own.

    They are so on every system but Linux.
    """
    monkeypatch.setattr(
        "loopmark.harness.drivers.pacing.precise_timer.platform.system", lambda: "elsewhere"
    )
    return FakeLoop


@pytest.fixture
def loop(new_loop: type[FakeLoop]) -> FakeLoop:
    """One of them."""
    return new_loop()
