"""The report formats by name: a format is one file, and one row here."""

from collections.abc import Callable

from loopmark.harness.vocabulary.result import RunResults
from loopmark.reports import csv_table, html, json_text, markdown

FORMATS: dict[str, Callable[[RunResults], str]] = {
    "md": markdown.render,
    "csv": csv_table.render,
    "json": json_text.render,
    "html": html.render,
}
