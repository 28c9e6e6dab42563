"""`loopmark serve`."""

from __future__ import annotations

import sys
import time

import click

from loopmark.harness.commands.exits import ExitCode
from loopmark.harness.errors import require_known
from loopmark.targets.catalog import VARIANTS


@click.command()
@click.argument("variant")
@click.option("--port", type=click.IntRange(1, 65535), help="Default: a free port.")
def serve(variant: str, port: int | None) -> None:
    """Start a reference target with its database, for any client."""
    require_known("target", (variant,), VARIANTS)
    from rich.markup import escape  # noqa: PLC0415 - these are slow, and not for --help
    from rich.text import Text  # noqa: PLC0415

    from loopmark.harness.commands.console import err, out  # noqa: PLC0415
    from loopmark.harness.commands.plans import catalog_targets  # noqa: PLC0415
    from loopmark.harness.launch.running_target import TargetFailedError  # noqa: PLC0415
    from loopmark.harness.run.serving import served  # noqa: PLC0415

    try:
        with served(catalog_targets()[variant], port) as (target, token, facts):
            database = "embedded" if facts.embedded else facts.url
            out.print(f"{variant} at [bold]{target.base_url}[/]")
            out.print(f"Database: {escape(database)}, PostgreSQL {facts.version}", soft_wrap=True)
            out.print(f"Documentation of the endpoints: {target.base_url}/docs")
            out.print("Try, in another terminal:")
            path = "/api/v2/users/1"
            out.print(
                f"  curl -H 'Authorization: Bearer {token}' {target.base_url}{path}", soft_wrap=True
            )
            out.print("Stop it with Ctrl-C.")
            while target.is_alive:
                time.sleep(0.2)
            err.print(Text(f"{variant} exited:\n{target.stderr_tail}", "red"))
            sys.exit(ExitCode.FAILED)
    except TargetFailedError as error:
        err.print(Text(f"{error}\n{error.stderr_tail}", "red"))
        sys.exit(ExitCode.FAILED)
    except KeyboardInterrupt:
        err.print("stopped")
