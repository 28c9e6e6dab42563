"""A page in a real browser shows a live progress bar, as the documentation's client does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from tests import chromium
from tests.hang_limit import HANG_S
from tests.targets.conftest import TOKENS, StartTarget
from tests.targets.javascript.page_server import PageServer, serving_pages

STEPS = 4
STEP_S = 0.25


@dataclass(frozen=True)
class Stage:
    """A target, and the server of the pages that it lets in."""

    url: str
    pages: PageServer


def address(pages: PageServer, target_url: str, token: str) -> str:
    return f"{pages.origin}/progress.html?{urlencode({'target': target_url, 'token': token})}"


@pytest.fixture(params=["sync", "async"])
def stage(
    request: pytest.FixtureRequest, node_modules: Path, start_target: StartTarget
) -> Iterator[Stage]:
    with serving_pages(node_modules.parent) as pages:
        target = start_target(request.param, ALLOWED_ORIGINS=pages.origin)
        yield Stage(target.url, pages)


def test_the_bar_moves_before_the_answer(stage: Stage, tmp_path: Path) -> None:
    pages = stage.pages
    with chromium.showing(address(pages, stage.url, TOKENS[0]), tmp_path):
        pages.wait_for(lambda shown: shown.connection == "connected as user 1")
        answer = httpx.post(
            f"{stage.url}/api/v2/process",
            json={"data": "some text", "steps": STEPS, "step_s": STEP_S},
            headers={"Authorization": f"Bearer {TOKENS[0]}"},
            timeout=HANG_S,
            verify=False,
        )
        before_the_answer = pages.so_far()
        last = pages.wait_for(lambda shown: shown.completion != "")

    operation_id = answer.raise_for_status().json()["operation_id"]
    running = [shown.progress for shown in before_the_answer if "running" in shown.progress_text]
    assert running, before_the_answer
    assert set(running) <= {25, 50, 75}
    bar = [shown.progress for shown in pages.so_far()]
    assert bar == sorted(bar)
    assert (last.progress, last.progress_text) == (100, "100% completed")
    assert last.activity == ["DataProcessor - success"]
    assert last.completion == f"Operation {operation_id} completed"


def test_pages_of_other_origins_and_users_are_not_let_in(stage: Stage, tmp_path: Path) -> None:
    with (
        serving_pages(Path(__file__).parent) as others,
        chromium.showing(address(others, stage.url, TOKENS[0]), tmp_path / "other-origin"),
        chromium.showing(address(stage.pages, stage.url, "wrong"), tmp_path / "wrong-token"),
    ):
        refused = others.wait_for(lambda shown: "not connected" in shown.connection)
        assert refused.connection == "not connected: xhr poll error"
        refused = stage.pages.wait_for(lambda shown: "not connected" in shown.connection)
        assert refused.connection == "not connected: A valid bearer token is required."
