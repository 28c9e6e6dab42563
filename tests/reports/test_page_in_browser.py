"""The report in a real browser: it fits a phone, asks for nothing, and follows the colours."""

from __future__ import annotations

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from loopmark.harness.vocabulary.result import RunResults
from tests import chromium
from tests.reports.conftest import page_of

PROBE = """
<!doctype html><meta charset="utf-8"><title>probe</title>
<iframe id="page" style="width:{width}px;height:800px;border:0" srcdoc="{page}"></iframe>
<pre id="found"></pre>
<script>
const frame = document.getElementById("page");
frame.addEventListener("load", () => {{
  const page = frame.contentDocument, view = frame.contentWindow;
  const wide = [...page.querySelectorAll("body *")].filter((node) => {{
    const box = node.getBoundingClientRect();
    return box.width && box.right > view.innerWidth + 1 && !node.closest("[tabindex], details");
  }});
  document.getElementById("found").textContent = JSON.stringify({{
    innerWidth: view.innerWidth,
    scrollWidth: page.documentElement.scrollWidth,
    headings: [...page.querySelectorAll("h1, h2")].map((node) => node.textContent.trim()),
    charts: [...page.querySelectorAll("svg")].filter((node) => node.clientWidth > 100).length,
    requests: view.performance.getEntriesByType("resource").map((entry) => entry.name),
    background: view.getComputedStyle(page.body).backgroundColor,
    wide: wide.slice(0, 3).map((node) => node.outerHTML.slice(0, 120)),
  }});
}});
</script>
"""


@pytest.fixture
def page(many: RunResults) -> str:
    return page_of(many)


def looked_at(page: str, width: int, folder: Path, *flags: str) -> dict[str, Any]:
    probe = folder / "probe.html"
    probe.write_text(PROBE.format(width=width, page=html.escape(page, quote=True)))
    flags = ("--window-size=1600,1000", *flags, "--virtual-time-budget=10000", "--dump-dom")
    done = subprocess.run(
        chromium.command(folder / "profile", *flags, probe.as_uri()),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    assert found[1], "the page did not load"
    result: dict[str, Any] = json.loads(html.unescape(found[1]))
    return result


@pytest.mark.parametrize("width", [375, 1440])
def test_open_loads_fit_their_width(open_loads: RunResults, width: int, tmp_path: Path) -> None:
    found = looked_at(page_of(open_loads), width, tmp_path)
    assert found["scrollWidth"] <= width, found["wide"]


@pytest.mark.parametrize("width", [375, 1440])
@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("two_drivers", "Do the drivers agree?"),
        ("with_workers", "Create a resource"),
        ("own_locustfile", "The requests of shop.py"),
        ("shaped_locustfile", "The requests of shop.py"),
        ("fan_outs", "Events to all, over Socket.IO"),
        ("swept", "How many files at once?"),
    ],
)
def test_all_kinds_of_sections_fit_their_width(
    name: str, heading: str, width: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    found = looked_at(page_of(request.getfixturevalue(name)), width, tmp_path)
    assert found["scrollWidth"] <= width, found["wide"]
    assert heading in found["headings"]
    assert found["requests"] == []


@pytest.mark.parametrize("width", [375, 1440])
def test_it_fits_its_width_and_asks_for_nothing(page: str, width: int, tmp_path: Path) -> None:
    found = looked_at(page, width, tmp_path)
    assert found["innerWidth"] == width
    assert found["scrollWidth"] <= width, found["wide"]
    assert found["charts"] >= 2
    assert found["requests"] == []
    assert "How it was measured" in found["headings"]


def test_it_follows_the_colour_scheme(page: str, tmp_path: Path) -> None:
    light = looked_at(page, 1440, tmp_path)
    dark = looked_at(page, 1440, tmp_path, "--blink-settings=preferredColorScheme=0")
    assert light["background"] != dark["background"]
