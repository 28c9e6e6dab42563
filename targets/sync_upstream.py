"""Another service asked by the sync variant: httpx.Client, one for all threads."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import APIRouter, Request

from loopmark.targets import contract, time_limit, upstream_contract
from loopmark.targets.settings import Settings

router = APIRouter()


@upstream_contract.FETCH.on(router)
def fetch(request: Request, seconds: contract.WaitSeconds = 0.5) -> upstream_contract.Fetched:
    """Block a worker thread until the upstream has answered."""
    client: httpx.Client = request.state.upstream
    arguments = upstream_contract.request_arguments(seconds)
    body = upstream_contract.Body()
    with (
        upstream_contract.problems_told(),
        time_limit.within(request.state.upstream_call_timeout_s),
        client.stream(**arguments) as response,
    ):
        for part in response.iter_bytes():
            body.add(part)
    return upstream_contract.fetched(response.status_code, body.content)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[httpx.Client]:
    """Open the client, and close its connections at the end."""
    options = upstream_contract.client_options(settings)
    transport = time_limit.Transport(limits=options["limits"], verify=False)
    with httpx.Client(**options, transport=transport) as client:
        yield client
