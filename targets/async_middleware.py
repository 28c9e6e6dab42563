"""The async-middleware variant: the async one behind a middleware of the framework's tutorial."""

from time import perf_counter

from fastapi import FastAPI, Request, Response
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint

from loopmark.targets import async_app
from loopmark.targets.settings import Settings


class ProcessTime(BaseHTTPMiddleware):
    """Says in a header how long a request took."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Pass the request on, and add the header to its response."""
        began = perf_counter()
        response = await call_next(request)
        response.headers["X-Process-Time"] = f"{perf_counter() - began:.6f}"
        return response


def build(settings: Settings) -> FastAPI:
    """Return the application."""
    app = async_app.build(settings)
    app.add_middleware(ProcessTime)
    return app
