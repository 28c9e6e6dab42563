"""One probe of somebody's application: started through the probe, asked, watched, ended."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import groupby
from pathlib import Path

from loopmark.harness.errors import UserError
from loopmark.harness.launch.process_reaper import reaped, temporary_folder
from loopmark.harness.launch.running_target import RunningTarget, TargetFailedError
from loopmark.harness.planning.openapi import request_of_path, requests_of
from loopmark.harness.run import openapi_document, route_driving
from loopmark.harness.vocabulary.blocking import (
    Frame,
    HeldConnection,
    LostCoroutine,
    ProcessEvidence,
)
from loopmark.harness.vocabulary.route_request import (
    RouteAnswers,
    RouteJob,
    RouteRequest,
    SkippedRoute,
    is_same_path,
)
from loopmark.harness.vocabulary.target import Target
from loopmark.harness.watch.loop_watch import LoopWatch

ORIGINS = "LOOPMARK_PROBE_ORIGINS"
"""Environment variable: the probe keeps the lines that create coroutines, which costs CPU."""

SECONDS, SHORTEST_S = 1.5, 0.4
"""For each route, where nothing else is asked for; less where there are many."""
ALL_ROUTES_S = 90.0
MIXED, SHORTEST_MIXED_S, LONGEST_MIXED_S = 2.0, 2.0, 10.0
"""All routes mixed: so many times as long as one, within limits."""

TIMEOUT_S = 10.0

SETTLE_S = 1.2
"""After the last request: by then the probe has told what it knows, which it does twice a second,
and a connection that is still checked out is not about to be returned."""


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """What to probe, and how.

    Attributes:
        target: The application.
        python: Interpreter for an `asgi` target; None for the one that runs this.
        serving: Further options of uvicorn.
        paths: To ask.
        openapi: Path of the OpenAPI document; empty for none.
        write: Whether to ask methods that may change data.
        users: How many ask at once.
        seconds: For how long each route is asked; None: as long as there is time.
        seed: Of the values, and of the order of mixed requests.
        authorization_from: Name of the environment variable with the Authorization header.
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


@dataclass(frozen=True, slots=True)
class Probed:
    """What was seen.

    Attributes:
        evidence: Of each process that has an event loop.
        answers: By route.
        skipped: Routes that were not asked.
        origins: Lost coroutines by the line that creates them; empty where none was lost.
        held: Connections that were still out after the last request, by the line that took them.
        last_words: The last line that the target wrote.
    """

    evidence: tuple[ProcessEvidence, ...]
    answers: tuple[RouteAnswers, ...]
    skipped: tuple[SkippedRoute, ...]
    origins: tuple[LostCoroutine, ...]
    held: tuple[HeldConnection, ...]
    last_words: str


Told = Callable[[str], None]


def authorization_hint(variable: str) -> str:
    """What to do where every answer is 401 or 403."""
    return f"set {variable} to its Authorization header, such as 'Bearer …'"


def probe(request: ProbeRequest, told: Told) -> Probed:
    """Probe an application; a second time, where coroutines were lost, for who creates them.

    Args:
        request: What, and how.
        told: Called with what is going on.

    Raises:
        UserError: The application does not start or dies, has nothing that can be asked, or no
            event loop that can be watched.
    """
    named = tuple(map(request_of_path, dict.fromkeys(request.paths)))
    with reaped() as token:
        first = _Pass(request, temporary_folder(token, "probe"), told)
        evidence, asked = first.run(named)
        paths = {
            route.path
            for one in evidence
            for route in one.facts.routes
            for lost in one.facts.lost_coroutines
            if route.holds(Frame(lost.file, lost.line, lost.function))
        }
        origins: tuple[LostCoroutine, ...] = ()
        held: tuple[HeldConnection, ...] = ()
        leaks = any(pool.used for one in evidence for pool in one.facts.pools)
        if leaks or any(one.facts.lost_coroutines for one in evidence):
            told("once more, for the lines that lose coroutines or keep connections")
            guilty = tuple(
                one
                for one in first.requests
                if any(is_same_path(path, one.route) for path in paths)
            )
            told_origins = {**request.target.environment, ORIGINS: "1"}
            tracked = replace(
                request, target=replace(request.target, environment=told_origins), openapi=""
            )
            again = _Pass(tracked, temporary_folder(token, "origins"), told)
            # Which route keeps connections is not known.
            asked_again = first.requests if leaks else guilty or first.requests
            seen, _ = again.run(asked_again, mixes=False)
            origins = tuple(lost for one in seen for lost in one.facts.lost_coroutines)
            held = tuple(kept for one in seen for kept in one.facts.held_connections)
    return Probed(evidence, asked, first.skipped, origins, held, first.last_words)


class _Pass:
    """One life of the target.

    Attributes:
        requests: What was asked.
        skipped: What was not.
        last_words: The last line that the target wrote.
    """

    def __init__(self, request: ProbeRequest, folder: Path, told: Told) -> None:
        self._request = request
        self._folder = folder
        self._told = told
        self.requests: tuple[RouteRequest, ...] = ()
        self.skipped: tuple[SkippedRoute, ...] = ()
        self.last_words = ""

    def run(
        self, named: Sequence[RouteRequest], *, mixes: bool = True
    ) -> tuple[tuple[ProcessEvidence, ...], tuple[RouteAnswers, ...]]:
        """Start the target, ask it, and end it."""
        request = self._request
        probe = self._folder / "probe"
        probe.mkdir()
        with LoopWatch(probe) as watch:
            self._told(f"starting {request.target.name}")
            target = self._started(probe)
            try:
                self._wait(target)
                self.requests, self.skipped = self._requests(target, named)
                answers = self._drive(target, mixes=mixes)
                time.sleep(SETTLE_S)
                evidence = watch.evidence()
                assert target.process is not None
                self.last_words = target.process.last_words
                # No signal after this: the target is about to end.
                watch.end()
            finally:
                target.stop()
        if not evidence:
            raise UserError(
                f"{request.target.name}: no event loop was seen; the probe needs a server in "
                "Python 3.10 or newer that is uvicorn or hypercorn, started without -I, -E and -S"
            )
        for one in evidence:
            if one.facts.no_stacks:
                raise UserError(
                    f"{request.target.name}: {one.facts.no_stacks}; choose another one: --python"
                )
        return evidence, answers

    def _started(self, probe: Path) -> RunningTarget:
        request = self._request
        try:
            return RunningTarget(
                request.target,
                self._folder,
                "target",
                probe=probe,
                python=request.python,
                serving=request.serving,
            )
        except TargetFailedError as error:
            raise UserError(str(error)) from None

    def _wait(self, target: RunningTarget) -> None:
        try:
            target.wait_until_ready()
        except TargetFailedError as error:
            raise UserError(str(error)) from None

    def _requests(
        self, target: RunningTarget, named: Sequence[RouteRequest]
    ) -> tuple[tuple[RouteRequest, ...], tuple[SkippedRoute, ...]]:
        request = self._request
        if not request.openapi:
            return tuple(named), ()
        authorization = os.environ.get(request.authorization_from, "")
        name = request.target.name
        try:
            document = openapi_document.fetch(target.base_url, request.openapi, authorization, name)
        except openapi_document.NoDocumentError as error:
            raise self._explained(error, target) from None
        try:
            asked = requests_of(document, request.seed, write=request.write)
        except UserError as error:
            raise UserError(f"{name}: {request.openapi}: {error}") from None
        requests = (*named, *asked.requests)
        if not requests:
            why = f"; {asked.skipped[0].route}: {asked.skipped[0].reason}" if asked.skipped else ""
            raise UserError(
                f"{name}: {request.openapi} has no route that can be asked{why}; "
                "name some with --path /PATH"
            )
        return requests, asked.skipped

    def _explained(
        self, error: openapi_document.NoDocumentError, target: RunningTarget
    ) -> UserError:
        """With what is known beside the status."""
        assert target.process is not None
        if error.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return UserError(f"{error}; {authorization_hint(self._request.authorization_from)}")
        words = target.process.last_words
        if error.status == HTTPStatus.INTERNAL_SERVER_ERROR and words:
            name, path = self._request.target.name, self._request.openapi
            return UserError(
                f"{name} answers {error.status} to GET {path}; is it an ASGI application? its last "
                f"line: {words}"
            )
        return error

    def _drive(self, target: RunningTarget, *, mixes: bool) -> tuple[RouteAnswers, ...]:
        request = self._request
        routes = [route for route, _ in groupby(one.route for one in self.requests)]
        seconds = request.seconds
        if seconds is None:
            seconds = max(SHORTEST_S, min(SECONDS, ALL_ROUTES_S / len(routes)))
        mixed_s = min(LONGEST_MIXED_S, max(SHORTEST_MIXED_S, MIXED * seconds))
        job = RouteJob(
            base_url=target.base_url,
            requests=self.requests,
            users=request.users,
            seconds=seconds,
            mixed_seconds=mixed_s if mixes and len(routes) > 1 else 0.0,
            timeout_s=TIMEOUT_S,
            seed=request.seed,
            authorization_from=request.authorization_from,
        )
        done: list[str] = []

        def told(answers: RouteAnswers) -> None:
            done.append(answers.route)
            following = routes[len(done)] if len(done) < len(routes) else "all routes mixed"
            self._told(f"asking {following} ({len(done) + 1} of {len(routes) + 1})")

        self._told(f"asking {routes[0]} (1 of {len(routes) + 1})")
        return route_driving.drive(job, target, self._folder / "driver.log", told)
