"""The documented events: their data, and the room of each.

An event is stamped when it is made, which is when the handler emits it, and encoded once per
protocol, however many clients receive it.
"""

import json
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from engineio.packet import MESSAGE, Packet

from loopmark.targets.websocket_protocol import text_frame

RESOURCES: Final = "resources"
"""The room of all clients."""


def user_room(user_id: int) -> str:
    """Return the room for events of a user's own requests."""
    return f"user:{user_id}"


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        name: As documented.
        data: Its fields, as a JSON object.
        room: The room that receives it.
    """

    name: str
    data: dict[str, Any]
    room: str = ""

    @cached_property
    def _json(self) -> str:
        return json.dumps(self.data, separators=(",", ":"))

    @cached_property
    def text(self) -> str:
        """The message of a plain WebSocket."""
        return f'{{"event":"{self.name}","data":{self._json}}}'

    @cached_property
    def frame(self) -> bytes:
        """The frame with this message."""
        return text_frame(self.text)

    @cached_property
    def block(self) -> bytes:
        """The lines of a stream of Server-Sent Events; JSON has no ends of lines."""
        return f"event: {self.name}\ndata: {self._json}\n\n".encode()

    @cached_property
    def packet(self) -> Packet:
        """The Engine.IO packet with the Socket.IO event of the default namespace."""
        return Packet(MESSAGE, f'2["{self.name}",{self._json}]')

    @cached_property
    def packet_frame(self) -> bytes:
        """The frame of a WebSocket that carries this packet."""
        return text_frame(self.packet.encode())


def _emitted(name: str, room: str, **data: object) -> Event:
    return Event(name, data | {"emitted_ns": time.monotonic_ns()}, room)


def resource_created(user_id: int, resource_id: str) -> Event:
    """The event to all clients that a resource was created."""
    return _emitted("resource_created", RESOURCES, resource_id=resource_id, user_id=user_id)


def progress_update(
    user_id: int,
    operation_id: str,
    progress: int,
    status: Literal["started", "running", "completed"],
) -> Event:
    """The event to a user on its operation's progress, in percent."""
    return _emitted(
        "progress_update",
        user_room(user_id),
        operation_id=operation_id,
        progress=progress,
        status=status,
    )


def log_entry(user_id: int, result: dict[str, Any]) -> Event:
    """The event to a user that the tool behind its operation has succeeded."""
    return _emitted(
        "log_entry",
        user_room(user_id),
        user_id=user_id,
        tool_name="DataProcessor",
        status="success",
        result=result,
    )


def operation_complete(user_id: int, operation_id: str, result: dict[str, Any]) -> Event:
    """The event to a user that its operation is complete."""
    return _emitted(
        "operation_complete", user_room(user_id), operation_id=operation_id, result=result
    )


def processing_complete(
    user_id: int,
    upload_id: str,
    file_path: str,
    status: Literal["analysed", "failed"],
    result: dict[str, Any] | None,
) -> Event:
    """The event to a user with the outcome of its upload."""
    return _emitted(
        "processing_complete",
        user_room(user_id),
        upload_id=upload_id,
        file_path=file_path,
        status=status,
        result=result,
    )
