"""Locust's own page during a round: to watch and to stop it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent
from flask import Response, jsonify, request
from locust import stats
from locust.env import Environment

HOST = "127.0.0.1"
"""The page has no password, so it is only local."""

MAY_BE_ASKED = ("/stop",)
"""The page's settings that may be changed: users and target are fixed by the run."""


@contextmanager
def live_page(environment: Environment, port: int) -> Iterator[Any]:
    """Provide a page within the context; yields Locust's `WebUI`, to be started when all is ready.

    Args:
        environment: With its runner.
        port: On the loopback interface.
    """
    page: Any = environment.create_web_ui(host=HOST, port=port, delayed_start=True)
    page.app.before_request(_refuse_changes)
    history = gevent.spawn(stats.stats_history, environment.runner)
    try:
        yield page
    finally:
        history.kill()
        if page.server is not None:
            page.stop()


def _refuse_changes() -> Response | None:
    if request.method in {"GET", "HEAD"} or request.path in MAY_BE_ASKED:
        return None
    return jsonify(
        success=False,
        message="Loopmark drives this test: it can be stopped here, and started anew there",
    )
