"""The report formats by name: a format is one file, and one row here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopmark.harness.vocabulary.probe_result import ProbeResult
    from loopmark.harness.vocabulary.result import RunResults

FORMATS = {
    "md": "loopmark.reports.markdown",
    "csv": "loopmark.reports.csv_table",
    "json": "loopmark.reports.json_text",
    "html": "loopmark.reports.html",
}
"""By name: the module that renders the format, imported on use: charts are slow to import."""

TEXT = "text"
"""What a run prints at its end, with all tables and failures; `terminal` renders it."""


def render(format_: str, results: RunResults) -> str:
    """Render a report in one of these formats."""
    text: str = import_module(FORMATS[format_]).render(results)
    return text


PROBE_FORMATS = {
    "text": "loopmark.reports.probe_text",
    "json": "loopmark.reports.probe_json",
    "sarif": "loopmark.reports.probe_sarif",
    "html": "loopmark.reports.probe_html",
}
"""The same of what a probe found."""


def render_probe(format_: str, result: ProbeResult) -> str:
    """Render what a probe found in one of these formats."""
    text: str = import_module(PROBE_FORMATS[format_]).render(result)
    return text
