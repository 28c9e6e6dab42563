"""What a probe found, as SARIF 2.1.0: code hosts show each finding at its line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from loopmark.harness import __version__
from loopmark.harness.vocabulary.blocking import Frame
from loopmark.harness.vocabulary.probe_result import NOT_AWAITED, ProbeResult
from loopmark.reports import probe_wording as wording

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
ROOT = "SRCROOT"

_RULES = {kind.value: text for kind, text in wording.RULES.items()} | {
    NOT_AWAITED: "A coroutine is never awaited, so it does nothing"
}


def render(result: ProbeResult) -> str:
    """The SARIF log; what is accepted is in it, as suppressed."""
    rules = list(_RULES)
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "Loopmark",
                        "version": __version__,
                        "rules": [
                            {
                                "id": rule,
                                "name": "".join(map(str.capitalize, rule.split("-"))),
                                "shortDescription": {"text": _RULES[rule]},
                                "fullDescription": {"text": f"{_RULES[rule]}."},
                                "defaultConfiguration": {"level": "warning"},
                                "properties": {"tags": ["performance", "asyncio"]},
                            }
                            for rule in rules
                        ],
                    }
                },
                "originalUriBaseIds": {ROOT: {"uri": _uri(result.folder) + "/"}},
                "columnKind": "unicodeCodePoints",
                "results": [
                    {**one, "ruleIndex": rules.index(one["ruleId"])} for one in _results(result)
                ],
            }
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _results(result: ProbeResult) -> Iterator[dict[str, Any]]:
    for finding in result.findings:
        culprit = finding.culprit
        if culprit.times:
            often = "once" if culprit.times == 1 else f"{culprit.times} times"
            blocks = f"Blocks the event loop {often}, {wording.time(culprit.worst_ms)} at worst"
        else:
            blocks = "Blocks the event loop for short times, again and again"
        during = f"; while {wording.routes(finding.routes)} was asked" if finding.routes else ""
        message = f"{blocks}: {wording.why(finding, result.folder)}{during}."
        level = "error" if finding.recurs else "note"
        yield _row(result, culprit.kind.value, level, message, finding.line, finding.allowed_by)
    for lost in result.lost:
        message = f"{wording.lost(lost, result.folder)} ({lost.lost.times} times)."
        yield _row(result, NOT_AWAITED, "error", message, lost.line, lost.allowed_by)


def _row(  # noqa: PLR0913, PLR0917 - what a result has
    result: ProbeResult, rule: str, level: str, message: str, line: Frame, allowed_by: str
) -> dict[str, Any]:
    suppressions = [{"kind": "external", "justification": f"--allow {allowed_by}"}]
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": message},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": _location(line.file, result.folder),
                    "region": {"startLine": max(1, line.line)},
                },
                "logicalLocations": [{"name": line.function, "kind": "function"}],
            }
        ],
        # Without the number of the line: the finding is the same when lines are added above it.
        "partialFingerprints": {
            "loopmark/v1": f"{rule}:{wording.file(line.file, result.folder)}:{line.function}"
        },
        **({"suppressions": suppressions} if allowed_by else {}),
    }


def _location(file: str, folder: str) -> dict[str, str]:
    pure = PurePath(file)
    if pure.is_relative_to(folder):
        return {"uri": quote(pure.relative_to(folder).as_posix()), "uriBaseId": ROOT}
    return {"uri": _uri(file)}


def _uri(path: str) -> str:
    return f"file://{quote(path)}" if path.startswith("/") else quote(path)
