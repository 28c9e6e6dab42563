"""Loads with a schedule that is independent of the target."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

from loopmark.harness.vocabulary.loads.model import LoadModel, Stage, Stretch


class Scheduled(LoadModel):
    """A warm-up at the first rate, a window of known length, and a drain."""

    __slots__ = ()

    warmup_s: float
    drain_s: float

    @property
    def measured_s(self) -> float:
        """Length of the window, in seconds."""
        return sum(stretch.duration_s for stretch in self.window)

    @property
    def first_rate(self) -> float:
        """The rate at the start of the window, per second."""
        return self.window[0].start_rate

    @property
    def last_rate(self) -> float:
        """And at its end."""
        return self.window[-1].end_rate

    @property
    def rates_in_words(self) -> str:
        """Template for the rate."""
        return "{first_rate:level}" + (" to {last_rate:level}" if self.traits.is_staged else "")

    @property
    def planned_in_words(self) -> str:
        """Template for its times."""
        return "for {measured_s:seconds} after {warmup_s:seconds} of warm-up"

    @property
    def window_s(self) -> tuple[float, float]:
        """When the window opens and closes, in seconds from the start."""
        return self.warmup_s, self.warmup_s + self.measured_s

    @property
    def planned_s(self) -> float:
        """Seconds that one round is expected to take."""
        return self.window_s[1] + self.drain_s

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """The rate over time: the warm-up first, then the window."""
        first = self.first_rate
        warmup = (Stretch(self.warmup_s, first, first),) if self.warmup_s > 0 else ()
        return warmup + self.window

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of the window; empty without any."""
        if not self.traits.is_staged:
            return ()
        starts = [0.0]
        for stretch in self.window:
            starts.append(starts[-1] + stretch.duration_s)
        return tuple(
            Stage(start_s, stretch.duration_s, (stretch.start_rate + stretch.end_rate) / 2)
            for start_s, stretch in zip(starts, self.window, strict=False)
        )

    @property
    def comparable(self) -> Self:
        """The same load without the expected duration of its drain."""
        model: Any = self  # Each model is a dataclass with this field.
        same: Self = replace(model, drain_s=0.0)
        return same
