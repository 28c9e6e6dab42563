"""Another service asked by the sync variant: httpx.Client, one for all threads."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import APIRouter, Request

from loopmark.targets import contract, upstream_contract
from loopmark.targets.settings import Settings

router = APIRouter()


@upstream_contract.FETCH.on(router)
def fetch(request: Request, seconds: contract.WaitSeconds = 0.5) -> upstream_contract.Fetched:
    """Block a worker thread until the upstream has answered."""
    client: httpx.Client = request.state.upstream
    with upstream_contract.problems_told():
        response = client.get(**upstream_contract.request_arguments(seconds))
    return upstream_contract.fetched(response)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[httpx.Client]:
    """Open the client, and close its connections at the end."""
    with httpx.Client(**upstream_contract.client_options(settings)) as client:
        yield client
