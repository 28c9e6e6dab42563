"""A target that is measured has opened its pools before the first request."""

import uuid

import psutil
import pytest
from sqlalchemy import create_engine, make_url, text

from loopmark.targets.catalog import VARIANTS
from tests.targets.conftest import StartTarget

KEPT = 20
"""Connections of a pool."""


@pytest.mark.parametrize("variant", ["sync", "async", "async-psycopg"])
def test_connections_and_threads_are_there(
    variant: str, database_url: str, start_target: StartTarget
) -> None:
    engine = create_engine(make_url(database_url).set(drivername="postgresql+psycopg"))
    count = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")

    def started(warm: str) -> tuple[int, int]:
        """How many connections and threads there are after the first request."""
        name = uuid.uuid4().hex
        target = start_target(variant, WARM_POOLS=warm, INSTANCE=name)
        with engine.connect() as connection:
            connections = int(connection.scalar(count, {"name": name}) or 0)
        return connections, psutil.Process(target.process.pid).num_threads()

    (connections, threads), (cold_connections, cold_threads) = started("1"), started("0")
    engine.dispose()
    assert (connections, cold_connections) == (KEPT, 1)
    # The first request may have started one.
    assert threads - cold_threads >= VARIANTS[variant].worker_threads - 1
