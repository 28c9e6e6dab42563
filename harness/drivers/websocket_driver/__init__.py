"""The `websocket` driver: virtual users that receive events, on asyncio and uvloop.

Each connection is one protocol object that reads bytes on arrival (`event_connection`, of which
`protocols` has the kinds); `dialects` decode messages. Flows are stepped by `event_user`; fan-outs
are `fan_out`.
"""
