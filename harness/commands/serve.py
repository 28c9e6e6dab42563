"""`loopmark serve`."""

from __future__ import annotations

import sys
import time

import click
from rich.markup import escape
from rich.text import Text

from loopmark.harness.commands.console import ExitCode, err, out, require_known
from loopmark.harness.commands.plans import catalog_targets


@click.command()
@click.argument("variant")
@click.option("--port", type=click.IntRange(1, 65535), help="To listen on; default: a free one.")
def serve(variant: str, port: int | None) -> None:
    """Run one reference target with its database, to try by hand or with any client."""
    from loopmark.harness.launch.running_target import TargetFailedError  # noqa: PLC0415
    from loopmark.harness.run.serving import served  # noqa: PLC0415 - --help need not wait

    targets = catalog_targets()
    require_known("target", (variant,), targets)
    try:
        with served(targets[variant], port) as (target, token, facts):
            database = "embedded" if facts.embedded else facts.url
            out.print(f"{variant} at [bold]{target.base_url}[/]")
            out.print(f"Database: {escape(database)}, PostgreSQL {facts.version}", soft_wrap=True)
            out.print(f"Documentation of the endpoints: {target.base_url}/docs")
            out.print("Try, in another terminal:")
            path = "/api/v2/users/1"
            out.print(
                f"  curl -H 'Authorization: Bearer {token}' {target.base_url}{path}", soft_wrap=True
            )
            out.print("Ctrl-C ends it.")
            while target.is_alive:
                time.sleep(0.2)
            err.print(Text(f"{variant} ended by itself:\n{target.stderr_tail}", "red"))
            sys.exit(ExitCode.INVALID)
    except TargetFailedError as error:
        err.print(Text(f"{error}\n{error.stderr_tail}", "red"))
        sys.exit(ExitCode.INVALID)
    except KeyboardInterrupt:
        err.print("ended")
