"""What master and workers tell each other, as custom messages of Locust's protocol.

The data of a message is a dictionary. Both ends have the same version of Loopmark, which is the
first thing they make sure of, so the form needs no version of its own.
"""

from __future__ import annotations

from typing import Any

import locust
from pydantic import TypeAdapter

from loopmark.harness import __version__
from loopmark.harness.vocabulary.job import DriverReport, LoadJob

LEAVING = "loopmark_leaving"
"""Worker: it goes, and is not to be waited for."""

HELLO = "loopmark_hello"
"""Worker: who it is, its `versions`, `clock` and `pid`."""

WELCOME = "loopmark_welcome"
"""Master: it may stay."""

REFUSED = "loopmark_refused"
"""Master: it may not; `why`."""

PING = "loopmark_ping"
"""Master: what does your clock say? `number`."""

PONG = "loopmark_pong"
"""Worker: `there_ns`, and the `number` of the ping."""

PREPARE = "loopmark_prepare"
"""Master: a `job`, and the share of it: `index` of `count`. Connect."""

PREPARED = "loopmark_prepared"
"""Worker: all connections are open, or not: `right`."""

START = "loopmark_start"
"""Master: begin at `start_ns` of your clock, or as soon as you can (None); or, if not `go`, do
not."""

STARTED = "loopmark_started"
"""Worker: it begins at `start_ns` of its clock."""

SAMPLES = "loopmark_samples"
"""Worker: the batch with this `number`: `content`."""

STOP = "loopmark_stop"
"""Master: end now, and deliver what there is."""

LOCUSTFILE = "loopmark_locustfile"
"""Master: run users of a locustfile, as Locust's own messages will say: a `job`, and `index` of
`count`, as for PREPARE; its `text` where it is not at hand."""

FINISH = "loopmark_finish"
"""Master: the users of the locustfile have been stopped; deliver what there is."""

BYE = "loopmark_bye"
"""Master: all is done; leave, or, if there is to be another round of a locustfile (`again`), begin
anew."""

ENDED = "loopmark_ended"
"""Worker: all is delivered, `rows` in all; its `report`, None when it was ended early."""

PROBLEM = "loopmark_problem"
"""Worker: a round failed by an error of a flow or of the driver: `what`."""

FROM_WORKERS = (HELLO, LEAVING, PONG, PREPARED, STARTED, SAMPLES, ENDED, PROBLEM)
FROM_MASTER = (WELCOME, REFUSED, PING, PREPARE, LOCUSTFILE, START, FINISH, STOP, BYE)

_JOB = TypeAdapter(LoadJob)
_REPORT = TypeAdapter(DriverReport)


def versions() -> dict[str, str]:
    """What must be the same on both ends."""
    return {"Loopmark": __version__, "Locust": locust.__version__}


def version_list(of: dict[str, str]) -> str:
    """The same in words."""
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
