"""What a probe found, as one self-contained page, without scripts or external requests."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from loopmark.harness.vocabulary.probe_result import ProbeResult
from loopmark.reports import formatting, loop_picture
from loopmark.reports import probe_wording as wording

_STYLE_SHEET = files("loopmark.reports") / "templates" / "page.css"
_ENVIRONMENT = Environment(
    loader=PackageLoader("loopmark.reports"),
    # Files, code and routes of somebody's application are in the page: everything is escaped.
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(result: ProbeResult) -> str:
    """The page."""
    return _ENVIRONMENT.get_template("probe.html").render(
        result=result,
        style=Markup(_STYLE_SHEET.read_text(encoding="utf-8")),  # noqa: S704 - our own file
        loop_picture=loop_picture,
        picture=loop_picture.drawn(result.timeline, result.asked),
        wording=wording,
        formatting=formatting,
    )
