"""A virtual user that publishes: each request is a publication for all clients."""

from __future__ import annotations

from collections.abc import Generator

from loopmark.harness.drivers.http.origin import Origin
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.users.flow_user import FlowUser
from loopmark.harness.drivers.websocket_driver.publications import Publications
from loopmark.harness.vocabulary.flow import Request, Response, VirtualUser
from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.scenario import Broadcast


class Publisher(FlowUser):
    """A flow user whose flow is the next publication.

    Args:
        broadcast: What to publish.
        publications: Where it is noted before it is sent.
        origin: Where the target listens.
        timeouts: Time limits for the acknowledgement.
        recording: Where its requests are recorded.
    """

    def __init__(
        self,
        broadcast: Broadcast,
        publications: Publications,
        origin: Origin,
        timeouts: Timeouts,
        recording: Recording,
    ) -> None:
        super().__init__(self._publish, origin, timeouts, recording)
        self._broadcast = broadcast
        self._publications = publications
        self._number: int | None = None

    def go(self, due_ns: int) -> None:
        """Send it, and note when: an event may arrive before the acknowledgement."""
        number = self._number
        if number is not None:  # Else it is the request that warms up.
            self._publications.due_ns[number] = due_ns
            self._publications.sent_ns[number] = clock()
        super().go(due_ns)

    def _publish(self, user: VirtualUser) -> Generator[Request, Response, None]:
        publication = self._broadcast.publish(user)
        self._number = number = self._publications.begin(publication.key)
        yield publication.request
        # Only the right answer leads here.
        self._publications.acknowledged_ns[number] = clock()
