"""Packages: what `pip install` puts into somebody's environment, and that it works there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from loopmark.harness.launch.process_reaper import MARK

ROOT = Path(__file__).parent.parent
OTHERS = ("harness", "reports", "scenarios", "targets")
"""Packages on PyPI have these names; here, each refuses to be imported."""
DECOY = 'raise ImportError("this package is not part of Loopmark")\n'
PLAN = """
name = "wheel"
title = "Every driver once"
[[measure]]
scenarios = ["read-mostly"]
targets = ["async"]
drivers = ["native", "httpx", "locust"]
loads = [{ model = "closed", users = 2, duration_s = 0.3 }]
rounds = 1
[[measure]]
scenarios = ["process-socketio"]
targets = ["async"]
drivers = ["websocket"]
loads = [{ model = "burst", n = 2 }]
rounds = 1
"""
SMOKE = "LOOPMARK_TEST_SMOKE"
"""Environment variable: where it is set, the smoke profile is run whole in place of the plan."""
TIMEOUT_S = 600


def call(*command: object, folder: Path, may_say_no: bool = False, **environment: str) -> str:
    """What a command prints; exit code 1 is mypy's and Loopmark's way to say no."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k not in {MARK, "PYTHONPATH"}} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode in {0, int(may_say_no)}, done.stdout + done.stderr
    return done.stdout


def build(kind: str, source: Path, out: Path) -> Path:
    """Build a `wheel` or an `sdist` of a folder, and leave nothing in it."""
    out.mkdir(parents=True)
    config = out.with_name("build.cfg")
    config.write_text(f"[build]\nbuild_base={out}/build\n[egg_info]\negg_base={out}\n")
    script = f"from setuptools import build_meta; build_meta.build_{kind}({str(out)!r})"
    call(sys.executable, "-c", script, folder=source, DIST_EXTRA_CONFIG=str(config))
    (package,) = out.glob("loopmark-*.*")
    return package


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("packages") / "wheel")


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel and decoys, and with our dependencies.

    The dependencies are this environment's, by a path that leaves out what is editable in it.
    """
    environment = tmp_path_factory.mktemp("environment")
    folder = environment.parent
    call(sys.executable, "-m", "venv", "--without-pip", environment, folder=folder)
    python = environment / "bin" / "python"
    (site,) = environment.glob("lib/python*/site-packages")
    for name in OTHERS:
        (site / name).mkdir()
        (site / name / "__init__.py").write_text(DECOY)
    dependencies = [path for path in sys.path if path.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(dependencies))
    pip = (sys.executable, "-m", "pip", "--python", python)
    call(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, folder=folder)
    assert all((site / name / "__init__.py").read_text() == DECOY for name in OTHERS)
    return python


def test_the_wheel_holds_one_package_of_real_files(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"loopmark"}
    for package in OTHERS:
        held = {Path(name).relative_to("loopmark") for name in names if f"/{package}/" in name}
        files = [path for path in (ROOT / package).rglob("*") if path.is_file()]
        assert held == {path.relative_to(ROOT) for path in files if path.suffix != ".pyc"}


def test_the_sdist_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    sdist = build("sdist", ROOT, tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        assert not any(member.issym() for member in archive)
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.glob("loopmark-*")
    again = build("wheel", unpacked, tmp_path / "wheel")
    assert zipfile.ZipFile(again).namelist() == zipfile.ZipFile(wheel).namelist()


def test_mypy_reads_the_types(python: Path, tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(
        "from loopmark.harness.errors import UserError\nreveal_type(UserError)\nUserError.no\n"
    )
    mypy = (sys.executable, "-m", "mypy", "--strict", "--python-executable", python)
    out = call(*mypy, "user.py", folder=tmp_path, may_say_no=True)
    assert 'user.py:3: error: "type[UserError]" has no attribute "no"' in out
    assert "Found 1 error" in out


@pytest.mark.usefixtures("database_url")
def test_it_measures_and_reports_beside_packages_of_the_same_names(
    python: Path, tmp_path: Path
) -> None:
    where = call(python, "-P", "-c", "import loopmark; print(loopmark.__file__)", folder=tmp_path)
    assert Path(where).is_relative_to(python.parents[1])
    loopmark = (python, "-m", "loopmark")
    (tmp_path / "plan.toml").write_text(PLAN)
    plan = ("--profile", "smoke") if SMOKE in os.environ else ("plan.toml",)
    call(*loopmark, "run", *plan, folder=tmp_path)  # No errors, though single cells may be invalid.
    cells = json.loads((tmp_path / "results/latest/results.json").read_text())["cells"]
    assert {cell["driver"] for cell in cells} >= {"native", "websocket"}
    assert (tmp_path / "results/latest/report/index.html").exists()
