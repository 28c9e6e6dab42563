"""A probe from its options to what it prints."""

from __future__ import annotations

import linecache
import os
from dataclasses import dataclass
from pathlib import Path

import click

from loopmark.harness.analysis.probe_findings import UNAUTHORIZED, has_answered, result_of
from loopmark.harness.commands.console import err
from loopmark.harness.errors import UserError
from loopmark.harness.launch.interpreter import default_python, require_server
from loopmark.harness.run.probing import Probed, ProbeRequest, authorization_hint, probe
from loopmark.harness.vocabulary.probe_result import ProbeResult
from loopmark.harness.vocabulary.target import Target
from loopmark.reports.catalog import render_probe

_MOST_ROUTES = 4
"""Named in a message."""


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """What the command line says; see `ProbeRequest`.

    Attributes:
        allow: What is accepted.
    """

    target: Target
    python: Path | None
    serving: tuple[str, ...]
    paths: tuple[str, ...]
    openapi: str
    write: bool
    users: int
    seconds: float | None
    seed: int
    authorization_from: str
    allow: tuple[str, ...]


def show(options: ProbeOptions, format_: str, out: Path | None) -> bool:
    """Probe, and print or write what it found; returns whether something must be repaired.

    Raises:
        UserError: The application cannot be started, asked or watched.
    """
    secret = os.environ.get(options.authorization_from, "")
    if not secret.isascii() or not (secret.isprintable() or not secret):
        raise UserError(
            f"{options.authorization_from}: an Authorization header is one line of ASCII"
        )
    try:
        result = _result(options)
    except UserError as error:
        raise UserError(_without(secret, str(error))) from None
    text = _without(secret, render_probe(format_, result))
    if out is not None:
        # Names of files may be no UTF-8; an escape sequence is JSON as well.
        out.write_text(text, encoding="utf-8", errors="backslashreplace")
        text = _without(secret, render_probe("text", result))
    click.echo(text, nl=False)
    return result.is_guilty


def _result(options: ProbeOptions) -> ProbeResult:
    target = options.target
    python = options.python
    if target.asgi:
        python = default_python() if python is None else python
        require_server(python, Path(target.folder))
    request = ProbeRequest(
        target=target,
        # Of a path into the present folder there is nothing in the application's.
        python=None if python is None else python.absolute(),
        serving=options.serving,
        paths=options.paths,
        openapi=options.openapi,
        write=options.write,
        users=options.users,
        seconds=options.seconds,
        seed=options.seed,
        authorization_from=options.authorization_from,
    )
    with err.status("starting", spinner="dots") as status:
        probed = probe(request, status.update)
    result = result_of(
        probed.evidence,
        probed.answers,
        origins=probed.origins,
        held=probed.held,
        skipped=probed.skipped,
        application=target.name,
        folder=target.folder,
        users=options.users,
        authorization_from=options.authorization_from,
        allow=options.allow,
        code=lambda file, line: linecache.getline(file, line).strip(),
    )
    if not result.is_guilty and not has_answered(probed.answers):
        raise UserError(_unanswered(target.name, probed, result))
    return result


def _unanswered(name: str, probed: Probed, result: ProbeResult) -> str:
    """That nothing was tested."""
    if result.needs_authorization:
        codes = {status for one in probed.answers for status in one.statuses}
        said = " or ".join(map(str, sorted(codes)))
        return f"{name} answers {said} everywhere; {authorization_hint(result.authorization_from)}"
    routes = [
        f"{one.route} {' '.join(map(str, [*one.statuses, *one.errors]))}"
        for one in probed.answers
        if one.route
    ]
    said = ", ".join(routes[:_MOST_ROUTES])
    more = f" and {len(routes) - _MOST_ROUTES} more" if len(routes) > _MOST_ROUTES else ""
    statuses = {status for one in probed.answers for status in one.statuses}
    if statuses & UNAUTHORIZED:
        more += f"; {authorization_hint(result.authorization_from)}"
    elif statuses == {404}:
        more += "; of what is mounted below a path, name the document: --openapi /PATH/openapi.json"
    elif probed.last_words and all(status >= 500 for status in statuses):  # noqa: PLR2004 - HTTP's
        more += f"; its last line: {probed.last_words}"
    return f"{name} answers nothing as it should, so nothing was tested: {said}{more}"


def _without(secret: str, text: str) -> str:
    """The text without the header, or the part of it that is secret."""
    for part in (secret, secret.partition(" ")[2], secret.rpartition(" ")[2]):
        if part:
            text = text.replace(part, "…")
    return text
