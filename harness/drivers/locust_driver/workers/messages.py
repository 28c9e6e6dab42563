"""The messages between master and workers, as custom messages of Locust's protocol.

The data of a message is a dictionary. Both ends first check that they run the same version of
Loopmark, so the form needs no version of its own.
"""

from __future__ import annotations

from typing import Any

import locust
from pydantic import TypeAdapter

from loopmark.harness import __version__
from loopmark.harness.vocabulary.job import DriverReport, LoadJob

LEAVING = "loopmark_leaving"
"""Worker: it leaves; do not wait for it."""

HELLO = "loopmark_hello"
"""Worker: its `versions`, `clock` and `pid`."""

WELCOME = "loopmark_welcome"
"""Master: the worker is accepted."""

REFUSED = "loopmark_refused"
"""Master: the worker is refused; `why`."""

PING = "loopmark_ping"
"""Master: ping to read the worker's clock; `number`."""

PONG = "loopmark_pong"
"""Worker: its clock, `there_ns`, and the `number` of the ping."""

PREPARE = "loopmark_prepare"
"""Master: a `job`, and the share of it: `index` of `count`. Connect."""

PREPARED = "loopmark_prepared"
"""Worker: `right` is whether all connections are open."""

START = "loopmark_start"
"""Master: begin at `start_ns` of the worker's clock, or at once (None); if not `go`, do not
begin."""

STARTED = "loopmark_started"
"""Worker: it begins at `start_ns` of its clock."""

SAMPLES = "loopmark_samples"
"""Worker: the batch with this `number`: `content`."""

STOP = "loopmark_stop"
"""Master: end now, and deliver all samples."""

LOCUSTFILE = "loopmark_locustfile"
"""Master: run users of a locustfile, which Locust's own messages will start: a `job`, and `index`
of `count`, as for PREPARE; the file's `text` for workers without it."""

FINISH = "loopmark_finish"
"""Master: the users of the locustfile have been stopped; deliver all samples."""

BYE = "loopmark_bye"
"""Master: all is done; leave, or restart for another round of a locustfile (`again`)."""

ENDED = "loopmark_ended"
"""Worker: all is delivered, `rows` in total; its `report`, None when it was stopped early."""

PROBLEM = "loopmark_problem"
"""Worker: a round failed by an error of a flow or of the driver: `what`."""

FROM_WORKERS = (HELLO, LEAVING, PONG, PREPARED, STARTED, SAMPLES, ENDED, PROBLEM)
FROM_MASTER = (WELCOME, REFUSED, PING, PREPARE, LOCUSTFILE, START, FINISH, STOP, BYE)

_JOB = TypeAdapter(LoadJob)
_REPORT = TypeAdapter(DriverReport)


def versions() -> dict[str, str]:
    """The versions that must be equal on both ends."""
    return {"Loopmark": __version__, "Locust": locust.__version__}


def version_list(of: dict[str, str]) -> str:
    """The versions as text."""
    return " with ".join(f"{name} {version}" for name, version in of.items())


def job_data(job: LoadJob) -> Any:  # noqa: ANN401 - what msgpack can carry
    """A job as data of a message."""
    return _JOB.dump_python(job, mode="json")


def job_of(data: Any) -> LoadJob:  # noqa: ANN401 - what msgpack can carry
    """The job in the data of a message."""
    return _JOB.validate_python(data)


def report_data(report: DriverReport) -> Any:  # noqa: ANN401 - what msgpack can carry
    """A report as data of a message."""
    return _REPORT.dump_python(report, mode="json")


def report_of(data: Any) -> DriverReport:  # noqa: ANN401 - what msgpack can carry
    """The report in the data of a message."""
    return _REPORT.validate_python(data)
