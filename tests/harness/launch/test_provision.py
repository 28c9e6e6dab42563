"""Our own variants find a database, a corpus and a place for uploads, which go with the run."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from loopmark.harness.commands.plans import catalog_targets
from loopmark.harness.launch.process_reaper import reaped
from loopmark.harness.launch.provision import provision
from loopmark.harness.run.serving import served
from loopmark.harness.vocabulary.target import Target
from loopmark.targets import corpus

ASYNC = catalog_targets()["async"]


@pytest.mark.usefixtures("database_url")
def test_all_is_there_for_the_run_and_no_longer() -> None:
    with reaped() as token, provision([ASYNC], token, token) as provided:
        assert provided is not None
        assert provided.database.count("SELECT count(*) FROM users") == 0
        folders = {name: Path(provided.environment[name]) for name in ("CORPUS", "UPLOADS")}
        assert {path.name for path in folders["CORPUS"].iterdir()} == set(corpus.NAMES)
        assert list(folders["UPLOADS"].iterdir()) == []
    assert not any(path.exists() for path in folders.values())


def test_targets_that_are_not_ours_need_none_of_it() -> None:
    with provision([Target(name="mine", url="http://127.0.0.1:1")], "unused", "x") as provided:
        assert provided is None


@pytest.mark.usefixtures("database_url")
def test_a_served_target_processes_files_and_takes_uploads() -> None:
    with served(ASYNC, None) as (target, token, _):
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=target.base_url, headers=headers, trust_env=False) as client:
            answer = client.post("/api/v2/files/process", json={"files": ["10k-000.txt"]})
            assert answer.json()["files"][0]["bytes"] == 10_240
            assert client.post("/api/v2/upload", files={"file": ("a.txt", b"a")}).is_success
