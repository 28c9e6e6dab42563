"""`loopmark serve`."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import click

from loopmark.harness.commands.exits import ExitCode
from loopmark.harness.errors import UserError, require_known
from loopmark.targets.catalog import VARIANTS
from loopmark.targets.settings import CHOICES


@click.command()
@click.argument("variant")
@click.option("--port", type=click.IntRange(1, 65535), help="Default: a free port.")
@click.option(
    "--set",
    "settings",
    metavar="NAME=VALUE",
    multiple=True,
    help="A setting of the target, such as WORKER_THREADS=100; may be repeated. Variables of the "
    "shell are not used.",
)
def serve(variant: str, port: int | None, settings: tuple[str, ...]) -> None:
    """Start a reference target with its database, for any client."""
    require_known("target", (variant,), VARIANTS)
    given = _settings(settings)
    from rich.markup import escape  # noqa: PLC0415 - these are slow, and not for --help
    from rich.text import Text  # noqa: PLC0415

    from loopmark.harness.commands.console import err, out  # noqa: PLC0415
    from loopmark.harness.commands.plans import catalog_targets  # noqa: PLC0415
    from loopmark.harness.launch.preparation import ignored_settings  # noqa: PLC0415
    from loopmark.harness.launch.running_target import TargetFailedError  # noqa: PLC0415
    from loopmark.harness.run.serving import served  # noqa: PLC0415

    wanted = replace(catalog_targets()[variant], environment=given)
    if ignored := [name for name in ignored_settings([wanted]) if name not in given]:
        one = ignored[0]
        err.print(
            Text(f"ignored, set in this shell: {', '.join(ignored)}; to set it: --set {one}=VALUE"),
            soft_wrap=True,
        )
    try:
        with served(wanted, port) as (target, token, facts):
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


def _settings(given: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for name, equals, _ in pairs:
        if not equals:
            raise UserError(f"--set {name}: expected NAME=VALUE")
    require_known("setting", [name for name, _, _ in pairs], CHOICES)
    return {name: value for name, _, value in pairs}
