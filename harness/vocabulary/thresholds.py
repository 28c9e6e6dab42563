"""The thresholds by which a cell is judged, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from loopmark.harness.vocabulary.loads.model import Series


@dataclass(frozen=True, slots=True)
class Materiality:
    """The smallest change that counts.

    Attributes:
        level: Factor between both sides of a cut.
        whole: Factor between the whole window, which is reported, and the part that the cut leaves.
        trend: Factor between the start and the end of the window, by a straight line; None for runs
            from before this was judged.
    """

    level: float
    whole: float
    trend: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """All thresholds; the defaults are those that Loopmark ships.

    Attributes:
        max_taken_share: A round is disturbed if others took more than this share of the processors
            of one side: the hypervisor, or processes outside the run (`make bench-disturbed`).
        taken_allowance_s: These seconds are always allowed: the kernel counts in steps of 10 ms.
        max_driver_cpu: A single-threaded driver that is busier than this adds latency itself:
            queueing grows as 1 / (1 - utilisation).
        max_delay: Share of the main figure that may be the driver's own delay, because another
            process had its processor. Intervals are widened by it, and beyond this they would say
            little.
        lag_allowance_ms: The driver's loop lag, and its lateness, may always be a few milliseconds,
            which a scheduler takes.
        max_lag_share: Plus this share of the latency, to which they add. Deliveries of a fan-out
            arrive in bulk and cause lag for those read last, so there it is a share of the tail
            latency.
        spread_allowance_ms: In a burst, the last request may be sent this late.
        max_spread_share: Plus this share of the makespan.
        min_send_rate: Of the requests that an open load makes due, the driver must send this share
            within the window: a rate that was not offered says nothing about the target.
        max_bad_rounds: A round with errors, wrong answers, unsteadiness or Little's law off does
            not count; if more than this share of a cell's rounds do not, neither does the cell: of
            three rounds, two that are as they should be are still most of them.
        max_little_deviation: Deviation of throughput x latency from the users or requests in
            flight: a difference was lost in the driver, or a queue grew through the window.
        material_answers: For answers per bin: neither may one part of the window be a quarter above
            the rest, nor may that move the figure of the whole window by a tenth; nor may a line
            through all of it rise or fall by a quarter.
        material_responses: For mean response times of an open load: near saturation those of a
            steady queue drift to twice their mean, while those of a growing one triple from one
            half of the window to the other. A straight line through all of it wanders less.
        series_margin: Of a series, a number is enough if its figure is shown to fall short of the
            best by no more than this share: a reader who saves threads or connections gives up so
            much for it.
        min_answers: Fewer do not support a median: N (1 - p) >= 10.
        min_kept_share: A target keeps up with a stage of steps or of a ramp when this share of what
            was due in it was answered right and in time. Not all: a stage of a few hundred requests
            has outliers, and when a target saturates the share falls by tens of per cent from one
            stage to the next.
        in_time_share: A target keeps up with a stage of a fan-out when every delivery due in it
            arrived, and this share of them in time. A share, because a 99th percentile would need a
            thousand samples.
    """

    max_taken_share: float = 0.05
    taken_allowance_s: float = 0.02
    max_driver_cpu: float = 0.85
    max_delay: float = 0.25
    lag_allowance_ms: float = 5.0
    max_lag_share: float = 0.1
    spread_allowance_ms: float = 10.0
    max_spread_share: float = 0.2
    min_send_rate: float = 0.99
    max_bad_rounds: float = 1 / 3
    max_little_deviation: float = 0.03
    material_answers: Materiality = Materiality(level=1.25, whole=1.1, trend=1.25)
    material_responses: Materiality = Materiality(level=2.5, whole=1.6, trend=1.5)
    series_margin: float = 0.15
    min_answers: int = 20
    min_kept_share: float = 0.97
    in_time_share: float = 0.99

    def materiality(self, of: Series | None) -> Materiality:
        """The smallest change that makes the series unsteady."""
        return self.material_responses if of == "responses" else self.material_answers


SHIPPED = Thresholds()
