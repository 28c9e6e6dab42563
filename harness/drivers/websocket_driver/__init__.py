"""The `websocket` driver: virtual users that hear events, on asyncio and uvloop.

Connections are one protocol object each, read where the bytes arrive (`event_connection`), with the
meaning of messages apart (`dialects`). Flows are stepped by `event_user`; fan-outs are `fan_out`.
"""
