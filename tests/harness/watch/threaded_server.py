"""A server that does not run in the main thread."""

import sys
import threading
import time

import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.get("/sleep")
async def sleep() -> None:
    time.sleep(0.15)  # noqa: ASYNC251  # guilty: threaded


options = {"port": int(sys.argv[1]), "log_level": "warning"}
served = threading.Thread(target=uvicorn.run, args=[app], kwargs=options, daemon=True)
served.start()
served.join()
