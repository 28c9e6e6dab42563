"""Which Python serves somebody's application."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from loopmark.harness.errors import UserError
from loopmark.harness.launch import running_target
from loopmark.harness.launch.interpreter import default_python, require_server
from loopmark.harness.launch.running_target import RunningTarget
from loopmark.harness.probe import coroutines, loading
from loopmark.harness.run import probing
from loopmark.harness.vocabulary.target import Target


def pretending(tmp_path: Path, says: str) -> Path:
    """A program that says what an interpreter would."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    return program


def test_the_active_environment_comes_first(tmp_path: Path) -> None:
    assert default_python({}) == Path(sys.executable)
    assert default_python({"VIRTUAL_ENV": str(tmp_path)}) == Path(sys.executable)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    assert default_python({"VIRTUAL_ENV": str(tmp_path)}) == tmp_path / "bin" / "python"


@pytest.mark.parametrize("says", ['[[3, 10], "0.22.0"]', 'noise\n[[3, 14], "1.0"]'])
def test_one_that_can_serve(says: str, tmp_path: Path) -> None:
    require_server(pretending(tmp_path, says), tmp_path)


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ('[[3, 9], "0.30.0"]', "is Python 3.9; the probe needs 3.10 or newer"),
        ('[[3, 11], ""]', "uvicorn is not installed for"),
        ('[[3, 11], "0.21.1"]', "uvicorn 0.21.1 of .* is too old; 0.22 or newer is needed"),
        ("hello", "is no Python interpreter that starts"),
        ("3", "is no Python interpreter that starts"),
        ("", "is no Python interpreter that starts"),
    ],
)
def test_one_that_cannot(says: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        require_server(pretending(tmp_path, says), tmp_path)


def test_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no Python interpreter that starts"):
        require_server(tmp_path / "python", tmp_path)


def test_the_probe_is_put_before_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/theirs")
    show = "import os, sys; print(os.environ['PYTHONPATH'], os.environ.get('LOOPMARK_PROBE'))"
    target = Target(name="shown", command=(sys.executable, "-S", "-c", show, "{port}"))
    running = RunningTarget(target, tmp_path, "shown", probe=tmp_path / "probe")
    try:
        assert running.process is not None
        running.process._process.wait(20)
    finally:
        running.stop()
    start = f"{running_target.PROBE_START}:/theirs {tmp_path}/probe"
    assert (tmp_path / "shown.log").read_text().strip() == start
    assert (running_target.PROBE_START / "sitecustomize.py").exists()


def test_the_names_are_the_probes() -> None:
    assert loading.FOLDER == running_target.PROBE_FOLDER
    assert coroutines.ORIGINS == probing.ORIGINS
