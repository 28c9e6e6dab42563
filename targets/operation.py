"""One operation on a job's data, without the waiting: its events, and its result."""

from collections.abc import Iterator
from hashlib import sha256
from uuid import uuid4

from loopmark.targets import events
from loopmark.targets.event_contract import Job, JobResult, Processed
from loopmark.targets.events import Event


class Operation:
    """An operation that its caller drives from step to step.

    Args:
        user_id: The user.
        job: The job.
    """

    def __init__(self, user_id: int, job: Job) -> None:
        self._user_id = user_id
        self._job = job
        self._id = uuid4()

    def started(self) -> Event:
        """Return the event before the first step."""
        return events.progress_update(self._user_id, str(self._id), 0, "started")

    def after(self, step: int) -> Iterator[Event]:
        """Yield what there is to tell after a step, counted from 1; each event as it is asked for.

        So each carries the moment at which it was emitted.
        """
        user_id, operation_id = self._user_id, str(self._id)
        if step < self._job.steps:
            percent = 100 * step // self._job.steps
            yield events.progress_update(user_id, operation_id, percent, "running")
            return
        result = self._result().model_dump()
        yield events.progress_update(user_id, operation_id, 100, "completed")
        yield events.log_entry(user_id, result)
        yield events.operation_complete(user_id, operation_id, result)

    def answer(self) -> Processed:
        """Return the answer."""
        return Processed(operation_id=self._id, result=self._result())

    def _result(self) -> JobResult:
        data = self._job.data
        return JobResult(
            characters=len(data),
            words=len(data.split()),
            sha256=sha256(data.encode()).hexdigest(),
        )
