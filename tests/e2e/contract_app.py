"""Somebody's own implementation of a part of the documented contract."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Header

app = FastAPI()


@app.get("/up")
async def up() -> str:
    """Say that it is ready."""
    return "yes"


@app.get("/api/v2/wait")
async def wait(seconds: float, on: str) -> dict[str, Any]:
    """Wait so long."""
    await asyncio.sleep(seconds)
    return {"status": "success", "waited_s": seconds, "on": on}


@app.post("/api/v2/resource/create")
async def create(
    resource: dict[str, str], authorization: Annotated[str, Header()]
) -> dict[str, Any]:
    """Create a resource; whoever has a token may."""
    assert authorization.startswith("Bearer ")
    return {"status": "success", "created": True, "resource": resource}


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning")
