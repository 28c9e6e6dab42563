"""The sentences for the reasons why a cell is invalid: a template for each code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from string import Formatter
from typing import Any

from loopmark.harness.vocabulary.cell import Objection, Validity, Value
from loopmark.harness.vocabulary.cell import ObjectionCode as Code
from loopmark.reports import formatting

_SERIES = {"answers": "throughput", "responses": "mean response time"}

SENTENCES: Mapping[Code, str] = {
    Code.ROUNDS_UNFINISHED: "{measured} of {planned} rounds were completed",
    Code.DRIVER_FAILED: "the driver failed{why:?: #}",
    Code.WORKER_LOST: (
        "round {round} lost worker {worker}: {why}; its {samples:,} samples received before are "
        "kept"
    ),
    Code.LOCUSTFILE_ENDED_EARLY: "the locustfile ended early: {why}",
    Code.TARGET_DIED: "the target exited under load{why:?: #}",
    Code.TARGET_NOT_READY: "{why}",
    Code.ANSWERS_WRONG: (
        "{wrong:,} of {answers:,} responses were wrong{why:?: #}{mostly:?, mostly: #}"
    ),
    Code.ROWS_DIFFER: "{what}: {acknowledged:+,} rows acknowledged, {found:+,} found",
    Code.HALF_APPLIED: "{found:# request was|# requests were} half-applied: {what}",
    Code.LEFT_IN_TRANSACTION: (
        "{found:# connection was|# connections were} left idle in transaction after the round"
    ),
    Code.CONNECTIONS_LEAKED: (
        "{found:# connection was|# connections were} leaked: {what}, after the round"
    ),
    Code.DRIVER_BUSY: "the driver used {share:.0%} of a CPU core",
    Code.DRIVER_NOT_SCHEDULED: (
        "the driver was runnable but not scheduled: that may be {share:.0%} of the main figure"
    ),
    Code.LOOP_LAGGED: "the driver's event loop lagged by {lag_ms:.1f} ms (99th percentile)",
    Code.BURST_SPREAD: "the driver sent a request {late_ms:.0f} ms late",
    Code.KNEE_OF_THE_DRIVER: (
        "the driver used {share:.0%} of a CPU core to receive {rate:level} publications per "
        "second; the knee may be the driver's limit"
    ),
    Code.SCHEDULE_MISSED: "the driver missed {missed:,} of {due:,} scheduled {what}",
    Code.SCHEDULE_UNKNOWN: "the number of requests sent is unknown in {rounds:# round|# rounds}",
    Code.RATE_NOT_REACHED: (
        "the driver sent {sent_per_s:level} of {asked_per_s:level} scheduled {what} per second"
    ),
    Code.SENT_LATE: "{what} were sent {late_ms:.1f} ms late ({percentile})",
    Code.REQUESTS_FAILED: (
        "{failed:,} of {requests:,} requests failed{why:?: #}{mostly:?, mostly: #}"
    ),
    Code.BESIDE_DELIVERIES_FAILED: (
        "{failed:# request or connection|# requests or connections} failed"
        "{why:?: #}{mostly:?, mostly: #}"
    ),
    Code.REFUSED: "{refused:,} {what} were refused: {limit:,} were already in flight",
    Code.TASKS_RAISED: "tasks raised an exception {times:once|# times}{example:?: #}",
    Code.LOCUSTFILE_PROBLEM: "the locustfile reported a problem outside its requests{example:?: #}",
    Code.DELIVERIES_MISSING: "{missing:# delivery is|# deliveries are} missing{reach:reach}",
    Code.DELIVERIES_DOUBLED: (
        "{deliveries:# delivery was a duplicate|# deliveries were duplicates}"
    ),
    Code.DELIVERIES_DISPLACED: ("{deliveries:# delivery|# deliveries} arrived out of order"),
    Code.CLIENTS_RECONNECTED: "active clients reconnected {times:once|# times}",
    Code.ROUNDS_SILENT: "{rounds:# round|# rounds} had no response in the window",
    Code.HALVES_DIFFER: (
        "{series:series} in the second half of the window was {ratio:.2f} x that of the first"
    ),
    Code.FIRST_HALF_EMPTY: "the first half of the window had no response",
    Code.LEVEL_CHANGED: (
        "{series:series} changed within the window in {cut} of {rounds} rounds (MSER)"
    ),
    Code.LEVEL_DRIFTED: (
        "{series:series} drifted through the window, to {ratio:.2f} x that of its start"
    ),
    Code.CONCURRENCY_UNKNOWN: "concurrency unknown",
    Code.USERS_UNACCOUNTED: (
        "throughput x latency{think_s:? and think time} gives {counted:.1f} users, the load had "
        "{users:,}"
    ),
    Code.REQUESTS_UNACCOUNTED: (
        "{counted:.1f} requests were in flight, arrival rate x response time gives {expected:.1f}"
    ),
    Code.SAMPLES_MISSING: (
        "{missing:# sample that the driver recorded is|# samples that the driver recorded are} "
        "missing"
    ),
    Code.USERS_UNANSWERED: "only {answered:,} of {users:,} users got a response",
    Code.ANSWERS_FEW: (
        "{answers:# correct response|# correct responses}; a median needs {needed}{seconds:so long}"
    ),
}
"""A field is written `{name:form}`. Beside the forms of `format` there are `one|many` and
`?optional`, in which # is the value, and those of `_Sentences`."""


def sentences(validity: Validity) -> tuple[str, ...]:
    """The reasons why a cell is invalid, most serious first."""
    return tuple(sentence(one) for one in validity.objections)


def of_rounds(validity: Validity) -> tuple[str, ...]:
    """A sentence for each round that does not count, with all its reasons."""
    return tuple(
        f"round {one.round + 1} does not count: {'; '.join(map(sentence, one.objections))}"
        for one in validity.rounds
    )


def sentence(objection: Objection) -> str:
    """The sentence for one reason."""
    return _SENTENCES.vformat(SENTENCES[objection.code], (), objection.values)


def _reach(value: Value) -> str:
    return "" if value is None else f" (reach {formatting.reach(float(value))})"


def _so_long(value: Value) -> str:
    return f", {formatting.roughly(float(value))} at this rate" if value else ""


_FORMS: Mapping[str, Callable[[Value], str]] = {
    "level": lambda value: formatting.level(float(value or 0)),
    "series": lambda value: _SERIES[str(value)],
    "reach": _reach,
    "so long": _so_long,
}


class _Sentences(Formatter):
    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Value:  # noqa: ARG002 - as Formatter has it
        """The value of a field; none of one that older runs do not have."""
        found: Value = kwargs.get(str(key))
        return found

    def format_field(self, value: Value, form: str) -> str:
        if form in _FORMS:
            return _FORMS[form](value)
        if form.startswith("?"):
            return form[1:].replace("#", str(value)) if value else ""
        if "|" in form:
            return formatting.one_or_many(value, form)
        return format(value, form)


_SENTENCES = _Sentences()
