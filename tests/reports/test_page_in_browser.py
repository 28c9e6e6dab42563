"""The report in a real browser: it fits a phone, asks for nothing, and follows the colours."""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from loopmark.harness.vocabulary.result import RunResults
from tests import chromium
from tests.reports.conftest import page_of

PROBE = """
<!doctype html><meta charset="utf-8"><title>probe</title>
{frames}
<pre id="found"></pre>
<script>
const look = (frame) => {{
  const page = frame.contentDocument, view = frame.contentWindow;
  const wide = [...page.querySelectorAll("body *")].filter((node) => {{
    const box = node.getBoundingClientRect();
    return box.width && box.right > view.innerWidth + 1 && !node.closest("[tabindex], details");
  }});
  return {{
    innerWidth: view.innerWidth,
    scrollWidth: page.documentElement.scrollWidth,
    headings: [...page.querySelectorAll("h1, h2")].map((node) => node.textContent.trim()),
    charts: [...page.querySelectorAll("svg")].filter((node) => node.clientWidth > 100).length,
    requests: view.performance.getEntriesByType("resource").map((entry) => entry.name),
    background: view.getComputedStyle(page.body).backgroundColor,
    wide: wide.slice(0, 3).map((node) => node.outerHTML.slice(0, 120)),
  }};
}};
window.addEventListener("load", () => {{
  const found = [...document.querySelectorAll("iframe")].map(look);
  document.getElementById("found").textContent = JSON.stringify(found);
}});
</script>
"""
FRAME = '<iframe style="width:{width}px;height:800px;border:0" srcdoc="{page}"></iframe>'
WIDTHS = (375, 1440)
HEADINGS = {
    "asked": "How it was measured",
    "many": "How it was measured",
    "open_loads": "How it was measured",
    "two_drivers": "Do the drivers agree?",
    "with_workers": "Create a resource",
    "own_locustfile": "The requests of shop.py",
    "shaped_locustfile": "The requests of shop.py",
    "fan_outs": "Events to all, over Socket.IO",
    "swept": "How many files at once?",
}
"""By name of a fixture, what is to be on its page."""

Looks = Mapping[tuple[str, int], dict[str, Any]]


def looked_at(pages: Mapping[str, str], folder: Path, *flags: str) -> Looks:
    """Show each page in each of the widths, all of them in one browser."""
    shown = [(name, width) for name in pages for width in WIDTHS]
    frames = [
        FRAME.format(width=width, page=html.escape(pages[name], quote=True))
        for name, width in shown
    ]
    probe = folder / "probe.html"
    probe.write_text(PROBE.format(frames="\n".join(frames)))
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
    assert found[1], "the pages did not load"
    return dict(zip(shown, json.loads(html.unescape(found[1])), strict=True))


@pytest.fixture(scope="session")
def looks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Looks:
    pages = {name: page_of(request.getfixturevalue(name)) for name in HEADINGS}
    return looked_at(pages, tmp_path_factory.mktemp("browser"))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", HEADINGS)
def test_a_page_fits_its_width_and_asks_for_nothing(looks: Looks, name: str, width: int) -> None:
    found = looks[name, width]
    assert found["innerWidth"] == width
    assert found["scrollWidth"] <= width, found["wide"]
    assert HEADINGS[name] in found["headings"]
    assert found["requests"] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_charts_are_drawn(looks: Looks, width: int) -> None:
    assert looks["many", width]["charts"] >= 2


def test_it_follows_the_colour_scheme(looks: Looks, many: RunResults, tmp_path: Path) -> None:
    dark = looked_at({"many": page_of(many)}, tmp_path, "--blink-settings=preferredColorScheme=0")
    assert looks["many", 1440]["background"] != dark["many", 1440]["background"]
