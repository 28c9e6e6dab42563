"""Runs that version 1 of the format has left: analysed now, they say what they said then.

`data/version_1` holds two runs, and beside each the figures, states and ratios that the code of
that version found in it, but for what was changed on purpose since:

- latency of a burst counts from its start, not from when each request was sent;
- a number of a series is enough if it is shown to be, not if the rounds show no difference;
- intervals of ratios come from the scatter of like comparisons as well, so they are not compared;
- rounds have figures `undelayed` besides;
- figures of fewer than three rounds, and all of these have two, have no interval.

What the drivers say of themselves is not as measured: it is that of an
idle machine, so that most cells are valid.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from loopmark.harness.analysis.analyse import analyse
from loopmark.harness.store import RunFolder
from loopmark.harness.vocabulary.record import SCHEMA_VERSION
from loopmark.harness.vocabulary.result import RunResults
from loopmark.reports import html, markdown

MEASURED = ("ratio", "rounds")
DATA = Path(__file__).parent / "data" / "version_1"


@pytest.fixture(scope="module", params=["small", "locustfile"])
def analysed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunFolder, RunResults]:
    """A run of that version, in a folder that may be written to."""
    path = tmp_path_factory.mktemp("version_1") / request.param
    shutil.copytree(DATA / request.param, path)
    folder = RunFolder.existing(path)
    return folder, analyse(folder)


def test_figures_states_and_ratios_are_those_of_then(
    analysed: tuple[RunFolder, RunResults],
) -> None:
    folder, _ = analysed
    expected = json.loads((DATA / f"{folder.path.name}.json").read_text(encoding="utf-8"))
    found = json.loads(folder.results_file.read_text(encoding="utf-8"))
    cells = {cell["name"]: cell for cell in found["cells"]}
    assert list(cells) == list(expected["cells"])
    for name, then in expected["cells"].items():
        cell = cells[name]
        assert cell["validity"]["state"] == then["state"], name
        assert known_then(cell, then["figures"]) == approximately(then["figures"]), name
    ratios = {place(one): one for one in found["comparisons"]}
    for then in expected["ratios"]:
        ratio = ratios[place(then)]
        assert {key: ratio[key] for key in MEASURED} == approximately(
            {key: then[key] for key in MEASURED}
        )
    assert known_then(found["series"], expected["sweeps"]) == approximately(expected["sweeps"])


def place(ratio: dict[str, Any]) -> tuple[str, ...]:
    """What a ratio is of: then those of two targets named none."""
    target = "" if ratio.get("axis") == "target" else ratio["target"] or ""
    return ratio["scenario"], target, ratio["metric"], json.dumps(ratio["load"], sort_keys=True)


def known_then(found: Any, then: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """What is found now, without the fields that were added since."""
    match found, then:
        case dict(), dict():
            return {key: known_then(found[key], then[key]) for key in then}
        case list(), list() if len(found) == len(then):
            return [known_then(one, other) for one, other in zip(found, then, strict=True)]
        case _:
            return found


def approximately(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """The same, but for the last digits of numbers, wherever they are."""
    match value:
        case dict():
            return {key: approximately(one) for key, one in value.items()}
        case list():
            return [approximately(one) for one in value]
        case float():
            return pytest.approx(value, rel=1e-9)
        case _:
            return value


def test_what_the_version_knew_of_them_is_shown(analysed: tuple[RunFolder, RunResults]) -> None:
    _, results = analysed
    assert results.run.schema_version == results.schema_version == SCHEMA_VERSION
    page, text = html.render(results), markdown.render(results)
    if results.run.locustfiles:
        (scenario,) = results.run.scenarios
        assert (scenario.name, scenario.audits) == ("crud", ()), "not the scenario of that name"
        assert "class Reader(FastHttpUser)" in text
        assert results.run.documented == ()
        assert results.run.targets[0].url == "http://me:***@127.0.0.1:18471"
        assert not results.run.has_launched
    else:
        sync, async_ = results.run.targets
        assert (sync.variant, async_.variant) == ("sync", "async")
        assert async_.description in page
        audits = {scenario.name: scenario.audits for scenario in results.run.scenarios}
        assert audits["create-fresh"][0].effect == {"create-fresh": 1}
        assert all(scenario.events for scenario in results.run.scenarios if "fan" in scenario.name)
        assert len(results.run.documented) == 4
