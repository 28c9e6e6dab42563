"""Serve one variant in this process: `python -P -m loopmark.targets.serve VARIANT --port N`."""

import argparse
import difflib
import importlib
import os
import sys

import uvicorn

from loopmark.targets.catalog import VARIANTS
from loopmark.targets.settings import Settings, SettingsError
from loopmark.targets.streaming_protocol import StreamingProtocol
from loopmark.targets.websocket_protocol import MAX_MESSAGE, WebSocketProtocol

USAGE_ERROR = 2


def main() -> int:
    """Serve until a signal ends it; return the exit code.

    SIGTERM and SIGINT let requests in flight finish for two seconds. Python's own default action
    ends the process then, so the exit status shows the signal.
    """
    arguments = _arguments()
    variant = VARIANTS.get(arguments.variant)
    if variant is None:
        nearest = difflib.get_close_matches(arguments.variant, VARIANTS, n=1, cutoff=0)
        return _refuse(f"unknown variant {arguments.variant!r}; did you mean {nearest[0]!r}?")
    try:
        settings = Settings.from_environment(
            os.environ,
            worker_threads=variant.worker_threads,
            pool_pre_ping=variant.pool_pre_ping,
        )
    except SettingsError as error:
        return _refuse(str(error))
    module, function = variant.factory.split(":")
    build = getattr(importlib.import_module(module), function)
    uvicorn.run(
        build(settings),
        host=arguments.host,
        port=arguments.port,
        loop="uvloop",
        http=StreamingProtocol,
        ws=WebSocketProtocol,
        ws_max_size=MAX_MESSAGE,
        ws_ping_interval=settings.ping_interval_s,
        ws_ping_timeout=settings.ping_timeout_s,
        # It would cost more CPU than the short events are worth, once for each client.
        ws_per_message_deflate=False,
        lifespan="on",
        log_level="warning",
        access_log=False,
        backlog=4096,
        # Else the environment would say how many.
        workers=1,
        # Longer than any pause between two rounds: no round begins with a closed connection.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
    )
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="loopmark.targets.serve", description="Serve one variant."
    )
    parser.add_argument("variant", help=", ".join(VARIANTS))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    return parser.parse_args()


def _refuse(reason: str) -> int:
    sys.stderr.write(f"loopmark.targets.serve: {reason}\n")
    return USAGE_ERROR


if __name__ == "__main__":
    sys.exit(main())
