"""Another service asked by the async variant: httpx.AsyncClient, one for all requests."""

import httpx
from fastapi import APIRouter, Request

from loopmark.targets import contract, upstream_contract

router = APIRouter()


@upstream_contract.FETCH.on(router)
async def fetch(request: Request, seconds: contract.WaitSeconds = 0.5) -> upstream_contract.Fetched:
    """Suspend this request until the upstream has answered."""
    client: httpx.AsyncClient = request.state.upstream
    with upstream_contract.problems_told():
        response = await client.get(**upstream_contract.request_arguments(seconds))
    return upstream_contract.fetched(response)
