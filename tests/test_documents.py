"""The documents point to what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8"))
    for link in links:
        if "://" not in link:
            assert (document.parent / link).exists(), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_files_are_there(document: Path) -> None:
    rooms = "harness|loopmark|reports|scenarios|targets|tests"
    for path in re.findall(rf"`((?:{rooms})/[\w/.]*)`", document.read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), path


def test_there_are_links_to_follow() -> None:
    assert "docs/methodology.md" in (ROOT / "README.md").read_text(encoding="utf-8")
