"""A target that is started through the probe, with a watch over its event loops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from loopmark.harness.launch.ports import HOST
from loopmark.harness.launch.running_target import RunningTarget
from loopmark.harness.vocabulary.blocking import ProcessEvidence
from loopmark.harness.vocabulary.target import Target
from loopmark.harness.watch.loop_watch import LoopWatch


class WatchedTarget(RunningTarget):
    """A running target whose event loops are watched for as long as it runs.

    Args:
        target: Which.
        folder: As of `RunningTarget`; what the probe writes goes there too.
        label: As of `RunningTarget`.
        provided: As of `RunningTarget`.
        cpus: As of `RunningTarget`.
        host: As of `RunningTarget`.
        awaited: As of `RunningTarget`.

    Raises:
        TargetFailedError: It cannot be started.
    """

    def __init__(  # noqa: PLR0913 - as of RunningTarget
        self,
        target: Target,
        folder: Path,
        label: str,
        *,
        provided: Mapping[str, str] | None = None,
        cpus: Sequence[int] = (),
        host: str = HOST,
        awaited: bool = True,
    ) -> None:
        probe = folder / f"{label}.probe"
        probe.mkdir()
        self._watch = LoopWatch(probe)
        self._before: dict[int, ProcessEvidence] = {}
        super().__init__(
            target,
            folder,
            label,
            provided=provided,
            cpus=cpus,
            host=host,
            awaited=awaited,
            probe=probe,
        )
        self._watch.begin()

    def loops_within(self, start_ns: int, end_ns: int) -> tuple[ProcessEvidence, ...]:
        """What was seen of its event loops in an interval, coroutines lost since the last one."""
        self._watch.wait_for_facts(end_ns)
        seen = self._watch.evidence()
        self._watch.begin_epoch()
        before, self._before = self._before, {one.pid: one for one in seen}
        return tuple(one.within(start_ns, end_ns).since(before.get(one.pid)) for one in seen)

    def stop(self) -> None:
        """End the watch, and then the process: none may be asked for stacks while it ends."""
        self._watch.end()
        super().stop()
