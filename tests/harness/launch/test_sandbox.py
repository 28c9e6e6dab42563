"""Every target of a run finds a corpus and a place for uploads, which go with the run."""

from __future__ import annotations

from pathlib import Path

import httpx

from loopmark.harness.launch.process_reaper import reaped
from loopmark.harness.launch.sandbox import target_folders
from loopmark.harness.run.serving import served
from loopmark.targets import corpus


def test_the_folders_are_there_for_the_run_and_no_longer() -> None:
    with reaped() as token:
        folders = {name: Path(path) for name, path in target_folders(token).items()}
        assert folders.keys() == {"CORPUS", "UPLOADS"}
        assert {path.name for path in folders["CORPUS"].iterdir()} == set(corpus.NAMES)
        assert list(folders["UPLOADS"].iterdir()) == []
    assert not any(path.exists() for path in folders.values())


def test_a_served_target_processes_files_and_takes_uploads() -> None:
    with served("async", None) as (target, token, _):
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=target.base_url, headers=headers, trust_env=False) as client:
            answer = client.post("/api/v2/files/process", json={"files": ["10k-000.txt"]})
            assert answer.json()["files"][0]["bytes"] == 10_240
            assert client.post("/api/v2/upload", files={"file": ("a.txt", b"a")}).is_success
