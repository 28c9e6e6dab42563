"""The scenarios in which users receive events: over each protocol, and of their uploads."""

from __future__ import annotations

from loopmark.harness.vocabulary.scenario import Audit, Broadcast, EventEndpoint, Scenario
from loopmark.scenarios import event_flows, flows

RESOURCE_ROWS = "SELECT count(*) FROM resources"
ANALYSED = "SELECT count(*) FROM uploads WHERE state = 'analysed' AND analyses = 1"

CREATED = "BEGIN SELECT SELECT INSERT COMMIT"
"""What a resource that is created asks of the database."""

WEBSOCKET = EventEndpoint("websocket", "/ws", "connected")
SOCKETIO = EventEndpoint("socketio", "/socket.io/", "connected")
STREAM = EventEndpoint("sse", "/events", "connected")

EVENT_PROTOCOLS = {"websocket": "WebSocket", "socketio": "Socket.IO", "sse": "Server-Sent Events"}
"""The protocols' names."""

RESOURCE_CREATED = Broadcast(
    event_flows.publish_resource,
    event="resource_created",
    key="resource_id",
    emitted_ns="emitted_ns",
    counts="/api/v2/emitter",
    meanwhile=flows.read_mostly,
)


def _receiving(endpoint: EventEndpoint) -> tuple[Scenario, ...]:
    """The scenarios about events, at one endpoint."""
    protocol = endpoint.protocol
    name = EVENT_PROTOCOLS[protocol]
    return (
        Scenario(
            name=f"connect-{protocol}",
            title=f"Connect over {name}",
            description=(
                f"Each user opens a connection for {name}, is authenticated against the "
                "database and receives a greeting."
            ),
            flow=event_flows.connect,
            warm=flows.no_wait("timer"),
            events=endpoint,
            connects=True,
            statements={"connect": "BEGIN SELECT COMMIT"},
        ),
        Scenario(
            name=f"fan-out-{protocol}",
            title=f"Fan-out over {name}",
            description=(
                "Each created resource is published as an event to every connected client. A "
                "delivery is one event received by one client."
            ),
            flow=event_flows.create_and_hear,
            warm=flows.no_wait("timer"),
            audits=(Audit("resources", RESOURCE_ROWS, {"create-fresh": 1}),),
            events=endpoint,
            broadcast=RESOURCE_CREATED,
            statements={"create-fresh": CREATED},
        ),
        Scenario(
            name=f"process-{protocol}",
            title=f"Progress events over {name}",
            description=(
                "POST /api/v2/process works in four pieces of 50 ms and reports each as an event "
                "to its user: the first should arrive at once, the last just before the response. "
                "All times count from the request."
            ),
            flow=event_flows.process_and_hear,
            warm=flows.no_wait("timer"),
            events=endpoint,
            statements={"answer": "BEGIN SELECT COMMIT"},
        ),
    )


EVENT_SCENARIOS: tuple[Scenario, ...] = (
    *_receiving(WEBSOCKET),
    *_receiving(SOCKETIO),
    *_receiving(STREAM),
    Scenario(
        name="upload",
        title="Upload a file, analysed in the background",
        description=(
            "A file of 256 KB, streamed to disk. The response should arrive at once; the file is "
            "then analysed in the background, and an event reports the end to its user. Both times "
            "count from the request."
        ),
        flow=event_flows.upload_and_hear,
        warm=flows.no_wait("timer"),
        audits=(Audit("files analysed once", ANALYSED, {"upload": 1}),),
        events=WEBSOCKET,
        # The second transaction stores it; the others begin and end its analysis.
        statements={
            "upload": (
                "BEGIN SELECT COMMIT BEGIN INSERT COMMIT BEGIN UPDATE COMMIT BEGIN UPDATE COMMIT"
            )
        },
    ),
)
