"""Events: what they say, to whom, and that each is encoded once."""

import json
import time
from collections.abc import Callable

import pytest
from socketio.packet import EVENT, Packet
from websockets.frames import Opcode

from loopmark.targets import events
from loopmark.targets.events import Event

MADE: list[tuple[Callable[[], Event], str, dict[str, object]]] = [
    (
        lambda: events.resource_created(7, "r"),
        "resources",
        {"resource_id": "r", "user_id": 7},
    ),
    (
        lambda: events.progress_update(7, "o", 50, "running"),
        "user:7",
        {"operation_id": "o", "progress": 50, "status": "running"},
    ),
    (
        lambda: events.log_entry(7, {"words": 1}),
        "user:7",
        {
            "user_id": 7,
            "tool_name": "DataProcessor",
            "status": "success",
            "result": {"words": 1},
        },
    ),
    (
        lambda: events.operation_complete(7, "o", {"words": 1}),
        "user:7",
        {"operation_id": "o", "result": {"words": 1}},
    ),
    (
        lambda: events.processing_complete(7, "u", "Ärger.txt", "failed", None),
        "user:7",
        {"upload_id": "u", "file_path": "Ärger.txt", "status": "failed", "result": None},
    ),
]


@pytest.mark.parametrize(("make", "room", "data"), MADE)
def test_both_protocols_carry_the_same(
    make: Callable[[], Event], room: str, data: dict[str, object]
) -> None:
    before = time.monotonic_ns()
    event = make()
    after = time.monotonic_ns()
    assert event.room == room
    assert before <= event.data["emitted_ns"] <= after
    assert event.data == data | {"emitted_ns": event.data["emitted_ns"]}
    assert json.loads(event.text) == {"event": event.name, "data": event.data}
    packet = Packet(encoded_packet=event.packet.data)
    assert packet.packet_type == EVENT
    assert packet.data == [event.name, event.data]


def test_a_frame_is_made_once_and_is_whole() -> None:
    event = Event("name", {"long": "x" * 70_000})
    assert event.frame is event.frame
    assert event.packet_frame is event.packet_frame
    length = len(event.text)
    assert event.frame[:2] == bytes([0x80 | Opcode.TEXT, 127])
    assert event.frame[2:10] == length.to_bytes(8, "big")
    assert event.frame[10:].decode() == event.text
    assert event.packet_frame[10:].decode() == event.packet.encode()
