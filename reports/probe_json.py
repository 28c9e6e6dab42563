"""What a probe found, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from loopmark.harness.vocabulary.probe_result import Finding, LostFinding, ProbeResult
from loopmark.reports import probe_wording as wording


def render(result: ProbeResult) -> str:
    """The JSON."""
    lag = result.lag_ms
    document = {
        "application": result.application,
        "folder": result.folder,
        "python": result.python,
        "loop": result.loop,
        "processes": result.processes,
        "summary": wording.head(result),
        "is_guilty": result.is_guilty,
        "culprits": [_culprit(one) for one in result.findings],
        "not_awaited": [_lost(one) for one in result.lost],
        "threads": None if result.threads is None else asdict(result.threads),
        "pools": [asdict(pool) for pool in result.pools],
        "held_connections": [asdict(one) for one in result.held],
        "loop_lag_ms": None if lag is None else asdict(lag),
        "host_starved": asdict(result.starved),
        "gil_contention": asdict(result.contended),
        "without_a_line": asdict(result.unnamed),
        "users": result.users,
        "asked": [
            {
                "route": one.route or None,
                "requests": one.requests,
                "statuses": {str(status): times for status, times in one.statuses.items()},
                "errors": dict(one.errors),
                "p50_ms": one.p50_ms,
                "max_ms": one.max_ms,
            }
            for one in result.answers
        ],
        "not_asked": [asdict(one) for one in result.skipped],
        "needs_authorization": result.needs_authorization,
        "allowed_in_vain": list(result.allowed_in_vain),
        "has_kinds": result.has_kinds,
        "notes": list(wording.notes(result)),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _culprit(finding: Finding) -> dict[str, Any]:
    culprit = finding.culprit
    own = culprit.application
    return {
        "file": culprit.place.file,
        "line": culprit.place.line,
        "function": culprit.place.function,
        "application_file": own.file if own else None,
        "application_line": own.line if own else None,
        "application_function": own.function if own else None,
        "code": finding.code,
        "kind": culprit.kind.value,
        "routes": list(finding.routes),
        "call": culprit.call.name if culprit.call else None,
        "peer": culprit.call.peer if culprit.call else None,
        "times": culprit.times,
        "total_ms": culprit.total_ms,
        "worst_ms": culprit.worst_ms,
        "recurring": finding.recurs,
        "allowed_by": finding.allowed_by or None,
    }


def _lost(finding: LostFinding) -> dict[str, Any]:
    return {
        **asdict(finding.lost),
        "created": None if finding.created is None else asdict(finding.created),
        "code": finding.code,
        "allowed_by": finding.allowed_by or None,
    }
