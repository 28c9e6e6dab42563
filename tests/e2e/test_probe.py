"""`loopmark probe` on real servers: what it finds, and what it says of what it cannot probe."""

from __future__ import annotations

import json
import re
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.conftest import Invoke, assert_refused
from tests.patience import tried_again

HERE = Path(__file__).parent
APPS = HERE / "probed_apps.py"
SHORT = ("--seconds", "0.4", "--folder", str(HERE))
PYTHON = json.dumps(sys.executable)
PLAN = f"""
[targets.two]
command = [{PYTHON}, "-m", "uvicorn", "probed_apps:shop", "--port", "{{port}}", "--workers", "2"]
folder = "{HERE}"

[targets.files]
command = [{PYTHON}, "-m", "http.server", "{{port}}", "--bind", "127.0.0.1"]

[targets.clean]
asgi = "probed_apps:clean"
folder = "{HERE}"

[targets.deployed]
url = "http://127.0.0.1:9"

[targets.ours]
variant = "async"
"""


@cache
def line(mark: str) -> int:
    """Number of the line of the applications that has a mark."""
    lines = APPS.read_text().splitlines()
    (number,) = (n for n, text in enumerate(lines, 1) if text.endswith(f"# {mark}"))
    return number


def marked(mark: str) -> str:
    return f"probed_apps.py:{line(mark)}"


def culprits(done: Result, out: Path) -> dict[int, dict[str, Any]]:
    """By line of the applications."""
    assert done.exit_code in {0, 1}, done.output
    return {
        row["application_line"]: row
        for row in json.loads(out.read_text())["culprits"]
        if row["application_file"] == str(APPS)
    }


@tried_again
def test_what_blocks_is_named_worst_first_and_all_else_is_told(
    invoke: Invoke, tmp_path: Path
) -> None:
    out = tmp_path / "probe.json"
    wanted = ("--format", "json", "--out", str(out), "--users", "45")
    done = invoke("probe", "probed_apps:shop", *SHORT, *wanted, "--allow", "no_such_function")
    assert done.exit_code == 1, done.output
    found = culprits(done, out)

    sleeps = found[line("SLEEPS")]
    assert sleeps["recurring"]
    assert sleeps["kind"] == "blocking-call"
    assert sleeps["function"] == sleeps["application_function"] == "sleepy"
    assert sleeps["routes"] == ["GET /sleepy"]
    assert sleeps["times"] > 1
    assert sleeps["total_ms"] > sleeps["worst_ms"] > 50
    assert not found[line("FILLS")]["recurring"]
    assert not found[line("STARTS")]["recurring"]
    assert found[line("STARTS")]["routes"] == []
    # What writes is not asked, and what is mounted is not in the document.
    assert line("ORDERS") not in found
    assert line("DEEP") not in found

    told = json.loads(out.read_text())
    (lost,) = told["not_awaited"]
    assert lost["coroutine"] == "log"
    assert (lost["file"], lost["line"]) == (str(APPS), line("DROPS"))
    # The second pass adds where it was made.
    assert lost["created"] == {"file": str(APPS), "line": line("CREATES"), "function": "later"}
    assert told["threads"]["limit"] == 40
    (pool,) = told["pools"]
    assert pool["limit"] == 1
    assert pool["most_waiting"] > 0
    assert pool["used"] == 1

    text = done.stdout
    assert all(len(one) <= 80 for one in text.splitlines())
    head = " ".join(text.partition("\n\n")[0].split())
    assert re.match(r"\d+ lines? blocks? the event loop of probed_apps:shop; worst: ", head)
    assert "1 coroutine is never awaited: log" in head
    assert marked("SLEEPS") in text
    assert marked("CREATES") in text
    assert text.index(marked("SLEEPS")) < text.index("Happened once") < text.index(marked("FILLS"))
    assert "40 threads against 1 connections: the pool decides." in " ".join(text.split())
    kept = f"1 of 1 connections are still checked out at the end: 1 taken at {marked('KEEPS')}."
    assert kept in " ".join(text.split())
    assert "Not asked: POST /orders: it may change data; --write asks it too." in text
    assert "Allowed, and not seen: no_such_function." in text


def test_a_clean_application_is_not_accused(invoke: Invoke) -> None:
    done = invoke("probe", "probed_apps:clean", *SHORT)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("No line blocks the event loop of probed_apps:clean")
    assert "Event-loop lag: p50" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="file names are UTF-8 elsewhere")
def test_a_folder_whose_name_is_no_utf_8(invoke: Invoke, tmp_path: Path) -> None:
    folder = tmp_path / "\udcff"
    folder.mkdir()
    shutil.copy(APPS, folder)
    out = tmp_path / "probe.json"
    options = ("--path", "/sleepy", "--seconds", "0.4", "--folder", str(folder))
    done = invoke("probe", "probed_apps:shop", *options, "--format", "json", "--out", str(out))
    assert done.exit_code == 1, done.output
    (row,) = (row for row in json.loads(out.read_text())["culprits"] if row["recurring"])
    assert row["application_file"] == str(folder / APPS.name)


@tried_again
def test_a_factory_served_by_a_loop_of_choice(invoke: Invoke, tmp_path: Path) -> None:
    out = tmp_path / "probe.json"
    wanted = ("--format", "json", "--out", str(out), "--factory")
    for loop in ("asyncio", "uvloop"):
        done = invoke("probe", "probed_apps:make", *SHORT, *wanted, "--", "--loop", loop)
        assert done.exit_code == 0, done.output
        assert json.loads(out.read_text())["loop"].startswith(loop)


@tried_again
def test_what_writes_is_asked_if_wanted_and_accepted_if_allowed(
    invoke: Invoke, tmp_path: Path
) -> None:
    out = tmp_path / "probe.json"
    wanted = ("--write", "--format", "json", "--out", str(out), "--allow", "not-awaited")
    allowed = ("--allow", "sleepy", "--allow", marked("ORDERS"), "--allow", "pooled")
    done = invoke("probe", "probed_apps:shop", *SHORT, *wanted, *allowed)
    found = culprits(done, out)
    assert found[line("ORDERS")]["recurring"]
    assert found[line("ORDERS")]["allowed_by"] == marked("ORDERS")
    assert found[line("SLEEPS")]["allowed_by"] == "sleepy"
    assert json.loads(out.read_text())["not_awaited"][0]["allowed_by"] == "not-awaited"
    assert f"Allowed by {marked('ORDERS')}" in done.stdout
    assert not [row for row in found.values() if row["recurring"] and not row["allowed_by"]]
    assert done.exit_code == 0, done.output


@tried_again
def test_paths_are_asked_without_a_document_or_lifespan(invoke: Invoke, tmp_path: Path) -> None:
    out = tmp_path / "probe.json"
    wanted = ("--path", "/slow", "--path", "/no", "--format", "json", "--out", str(out))
    done = invoke("probe", "probed_apps:bare", *SHORT, *wanted, "--", "--lifespan", "off")
    assert done.exit_code == 1
    # Told by the time at which it was asked: a late answer may reach into the next route's.
    assert "GET /slow" in culprits(done, out)[line("BARE")]["routes"]
    assert "GET /no: only 404." in done.stdout


@tried_again
def test_a_mounted_application_is_asked_through_its_own_document(
    invoke: Invoke, tmp_path: Path
) -> None:
    out = tmp_path / "probe.json"
    wanted = ("--openapi", "/inner/openapi.json", "--format", "json", "--out", str(out))
    done = invoke("probe", "probed_apps:shop", *SHORT, *wanted)
    assert done.exit_code == 1
    assert culprits(done, out)[line("DEEP")]["routes"] == ["GET /inner/deep/{number}"]


@tried_again
def test_each_worker_of_a_command_is_watched(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    out = tmp_path / "probe.json"
    wanted = ("--targets", "plan.toml", "--path", "/sleepy", "--seconds", "1")
    done = invoke("probe", "two", *wanted, "--format", "json", "--out", str(out))
    assert done.exit_code == 1
    assert json.loads(out.read_text())["processes"] == 2
    found = culprits(done, out)
    assert found[line("SLEEPS")]["recurring"]
    # Once in each of two processes is still once.
    assert not found[line("STARTS")]["recurring"]


def test_authorization_is_sent_and_never_shown(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_HEADER", "Bearer open sesame")
    given = ("--authorization-from", "MY_HEADER")
    done = invoke("probe", "probed_apps:guarded", *SHORT, *given, "--format", "json")
    assert done.exit_code == 0, done.output
    asked = {row["route"]: row["statuses"] for row in json.loads(done.stdout)["asked"]}
    assert set(asked["GET /account"]) == {"200"}
    assert "sesame" not in done.output
    done = invoke("probe", "probed_apps:guarded", *SHORT, *given, "--path", "/talkative")
    assert_refused(done, "GET /talkative 500; its last line: RuntimeError: what is …")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere:app"], 'Could not import module "nowhere"'),
        (["probed_apps:nothing"], "ended at its start"),
        (["probed_apps"], "APP: package.module:app is needed, got 'probed_apps'"),
        (["probed_apps:number_of_things"], "is it an ASGI application?"),
        (["probed_apps:bare"], "has no OpenAPI document: GET /openapi.json is 404; name what"),
        (["probed_apps:shop", "--openapi", "/healthy/1"], "not an OpenAPI document of version 3"),
        (["probed_apps:bare", "--path", "/no"], "so nothing was tested: GET /no 404; of what is"),
        (["probed_apps:bare", "--path", "no"], "--path: a path such as"),
        (["probed_apps:guarded"], "answers 401 or 403 everywhere; set LOOPMARK_AUTHORIZATION to"),
        (["probed_apps:dying"], "died while GET /die was asked (exit code 3): no life is left"),
        (["probed_apps:clean", "--", "--nonsense"], "No such option '--nonsense'"),
        (["probed_apps:clean", "--nonsense"], "No such option '--nonsense'"),
        (["probed_apps:clean", "--format", "yaml"], "unknown format 'yaml'"),
        (["probed_apps:clean", "--out", "no/such/file"], "--out: there is no folder no/such"),
        (["probed_apps:clean", "--users", "0"], "--users"),
        (["probed_apps:clean", "--python", "/bin/false"], "/bin/false is no Python interpreter"),
        (["clean", "--targets", "no.toml"], "cannot read the plan no.toml"),
        (["cleen", "--targets", "plan.toml"], "unknown target 'cleen'; did you mean 'clean'?"),
        (["deployed", "--targets", "plan.toml"], "runs already at http://127.0.0.1:9 and cannot"),
        (["ours", "--targets", "plan.toml"], "'ours' is a variant"),
        (["two", "--targets", "plan.toml", "--factory"], "--factory: no effect on 'two'"),
        (["files", "--targets", "plan.toml", "--path", "/"], "files: no event loop was seen"),
        (["x", "--targets", "empty.toml"], "empty.toml: it has no [targets]"),
        (["x", "--targets", "bad.toml"], "bad.toml:3: targets.x: unknown key colour"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, invoke: Invoke, tmp_path: Path
) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    (tmp_path / "empty.toml").write_text("")
    (tmp_path / "bad.toml").write_text('[targets.x]\nasgi = "a:b"\ncolour = 1\n')
    short = [] if "--targets" in arguments else SHORT
    assert_refused(invoke("probe", *short, *arguments), message)


def test_a_loop_that_is_not_installed(invoke: Invoke, tmp_path: Path) -> None:
    shutil.copy(APPS, tmp_path)
    (tmp_path / "uvloop.py").write_text('raise ModuleNotFoundError("No module named uvloop")')
    done = invoke("probe", "probed_apps:clean", "--", "--loop", "uvloop")
    assert_refused(done, "ended at its start: ModuleNotFoundError: No module named uvloop")


def test_an_authorization_that_is_no_header(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPMARK_AUTHORIZATION", "Bearer a\nX: b")
    done = invoke("probe", "probed_apps:clean", *SHORT)
    assert_refused(done, "LOOPMARK_AUTHORIZATION: an Authorization header is one line of ASCII")
