"""A target's settings, from the environment of its process."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from uuid import uuid4

# What libpq and asyncpg both understand in a URL. Any other parameter would reach one variant only.
URL_PARAMETERS = frozenset(
    {
        "application_name",
        "dbname",
        "host",
        "options",
        "passfile",
        "password",
        "port",
        "sslcert",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "target_session_attrs",
        "user",
    }
)

PROVIDED = frozenset(
    {
        "CORPUS",
        "DATABASE_SCHEMA",
        "DATABASE_URL",
        "INSTANCE",
        "LOOP_LAG_FILE",
        "UPLOADS",
        "UPSTREAM_URL",
    }
)
"""The environment variables with what was made for one process."""

CHOICES = frozenset(
    {
        "ALLOWED_ORIGINS",
        "ANONYMOUS_LISTENERS",
        "EVENT_QUEUE",
        "MAX_UPLOAD_BYTES",
        "PING_INTERVAL_S",
        "PING_TIMEOUT_S",
        "UPSTREAM_CALL_TIMEOUT_S",
        "UPSTREAM_CONNECTIONS",
        "UPSTREAM_TIMEOUT_S",
        "WARM_POOLS",
        "WORKER_THREADS",
    }
)
"""The environment variables that say how a target is to behave."""

POOL_SIZE = 20
MAX_UPLOAD_BYTES = 256 * 1024**2
EVENT_QUEUE = 256
PING_S = 20
UPSTREAM_TIMEOUT_S = 10
UPSTREAM_CALL_TIMEOUT_S = 30
UPSTREAM_CONNECTIONS = 1000


class SettingsError(ValueError):
    """The environment does not describe a target that could run. The message is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A target's database, and its limits.

    Attributes:
        database_url: A libpq URL that psycopg and asyncpg read as it stands. Its `options` set the
            search path, and UTC as time zone so that both drivers return the same times.
        instance: Name that identifies the process, and its database sessions by their
            `application_name`. Generated if not given: uploads use it to determine whether their
            process still runs.
        worker_threads: Size of the thread pool that runs `def` handlers.
        loop_lag_file: File for the event-loop lag; None: not recorded.
        pool_size: Connections kept open.
        max_overflow: Connections opened beyond those under pressure, and closed after use.
        pool_pre_ping: Whether a connection is tested each time it leaves the pool.
        pool_timeout_s: How long a request waits for a free connection, and a connection for the
            server, in seconds.
        corpus: Folder of the files to process; None: there is none.
        uploads: Folder for uploaded files until they are analysed; None: there is none.
        max_upload_bytes: Size of the largest file that may be uploaded.
        event_queue: Events that may wait for one client; then the oldest is dropped.
        ping_interval_s: Interval of pings to clients that receive events.
        ping_timeout_s: Time limit for the answer; then the connection is closed.
        allowed_origins: Pages of these origins may use this target, beside its own; "*" is any.
        anonymous_listeners: Whether clients without a token hear the events that concern everybody.
        warm_pools: Whether connections are opened and threads started before the first request.
        upstream_url: Where the other service is that a request may ask; empty: there is none.
        upstream_timeout_s: Time limit for each step of asking it, in seconds.
        upstream_call_timeout_s: Time limit for all steps together, in seconds: each of many could
            be in time.
        upstream_connections: How many connections to it are open at most, and kept.
    """

    database_url: str
    instance: str = ""
    worker_threads: int = 40
    loop_lag_file: Path | None = None
    pool_size: int = POOL_SIZE
    max_overflow: int = 10
    pool_pre_ping: bool = True
    pool_timeout_s: int = 30
    corpus: Path | None = None
    uploads: Path | None = None
    max_upload_bytes: int = MAX_UPLOAD_BYTES
    event_queue: int = EVENT_QUEUE
    ping_interval_s: int = PING_S
    ping_timeout_s: int = PING_S
    allowed_origins: tuple[str, ...] = ()
    anonymous_listeners: bool = False
    warm_pools: bool = False
    upstream_url: str = ""
    upstream_timeout_s: int = UPSTREAM_TIMEOUT_S
    upstream_call_timeout_s: int = UPSTREAM_CALL_TIMEOUT_S
    upstream_connections: int = UPSTREAM_CONNECTIONS

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str],
        *,
        worker_threads: int = 40,
        pool_pre_ping: bool = True,
    ) -> Self:
        """Read the settings.

        Args:
            environment: DATABASE_URL, and as needed DATABASE_SCHEMA, INSTANCE, WORKER_THREADS,
                LOOP_LAG_FILE, CORPUS, UPLOADS, MAX_UPLOAD_BYTES, EVENT_QUEUE, PING_INTERVAL_S,
                PING_TIMEOUT_S, ALLOWED_ORIGINS (separated by commas), UPSTREAM_URL,
                UPSTREAM_TIMEOUT_S, UPSTREAM_CALL_TIMEOUT_S, UPSTREAM_CONNECTIONS,
                ANONYMOUS_LISTENERS and WARM_POOLS (1: yes). An empty variable counts as absent.
            worker_threads: The variant's own number, when WORKER_THREADS is absent.
            pool_pre_ping: The variant's own choice.

        Raises:
            SettingsError: A variable is missing or unusable.
        """
        lag_file = environment.get("LOOP_LAG_FILE")
        if lag_file and not Path(lag_file).parent.is_dir():
            raise SettingsError(f"LOOP_LAG_FILE: no such directory: {Path(lag_file).parent}")
        largest = environment.get("MAX_UPLOAD_BYTES") or str(MAX_UPLOAD_BYTES)
        if not re.fullmatch(r"[1-9][0-9]{0,14}", largest):
            raise SettingsError(f"MAX_UPLOAD_BYTES: expected a number of bytes, got {largest!r}")
        return cls(
            database_url=_database_url(
                environment.get("DATABASE_URL", ""),
                environment.get("DATABASE_SCHEMA", ""),
                environment.get("INSTANCE", ""),
            ),
            instance=environment.get("INSTANCE") or uuid4().hex,
            worker_threads=_count(environment, "WORKER_THREADS", worker_threads),
            pool_pre_ping=pool_pre_ping,
            loop_lag_file=Path(lag_file) if lag_file else None,
            corpus=_folder(environment, "CORPUS"),
            uploads=_folder(environment, "UPLOADS"),
            max_upload_bytes=int(largest),
            event_queue=_count(environment, "EVENT_QUEUE", EVENT_QUEUE),
            ping_interval_s=_count(environment, "PING_INTERVAL_S", PING_S),
            ping_timeout_s=_count(environment, "PING_TIMEOUT_S", PING_S),
            allowed_origins=_origins(environment.get("ALLOWED_ORIGINS", "")),
            anonymous_listeners=_flag(environment, "ANONYMOUS_LISTENERS"),
            warm_pools=_flag(environment, "WARM_POOLS"),
            upstream_url=_upstream(environment.get("UPSTREAM_URL", "")),
            upstream_timeout_s=_count(environment, "UPSTREAM_TIMEOUT_S", UPSTREAM_TIMEOUT_S),
            upstream_call_timeout_s=_count(
                environment, "UPSTREAM_CALL_TIMEOUT_S", UPSTREAM_CALL_TIMEOUT_S
            ),
            upstream_connections=_count(environment, "UPSTREAM_CONNECTIONS", UPSTREAM_CONNECTIONS),
        )


def _count(environment: Mapping[str, str], name: str, default: int) -> int:
    """Return a number from 1 to 9999."""
    number = environment.get(name) or str(default)
    if not re.fullmatch(r"[1-9][0-9]{0,3}", number):
        raise SettingsError(f"{name}: expected 1 to 9999, got {number!r}")
    return int(number)


def _flag(environment: Mapping[str, str], name: str) -> bool:
    given = environment.get(name) or "0"
    if given not in {"0", "1"}:
        raise SettingsError(f"{name}: expected 0 or 1, got {given!r}")
    return given == "1"


def _folder(environment: Mapping[str, str], variable: str) -> Path | None:
    given = environment.get(variable)
    if given and not Path(given).is_dir():
        raise SettingsError(f"{variable}: no such directory: {given}")
    return Path(given) if given else None


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(origin.strip() for origin in text.split(",") if origin.strip())
    for origin in origins:
        # A path or a slash at the end would never be equal to what a browser sends.
        if origin != "*" and not re.fullmatch(r"https?://[^/\s?#]+", origin):
            raise SettingsError(
                f"ALLOWED_ORIGINS: expected origins such as http://localhost:3000, got {origin!r}"
            )
    return origins


def _upstream(url: str) -> str:
    if url and not re.fullmatch(r"http://[^/\s?#@:]+:[1-9]\d{0,4}/?", url):
        raise SettingsError(f"UPSTREAM_URL: expected http://host:port, got {url!r}")
    return url


def _database_url(url: str, schema: str, application_name: str) -> str:
    """Return the URL with the session's name, and its search path and time zone in `options`."""
    if not url:
        raise SettingsError("DATABASE_URL is missing: expected postgresql://user@host/database")
    # The URL may hold a password: no message repeats more of it than the name of a parameter.
    try:
        parts = urlsplit(url)
        given = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
        _ = parts.port
    except ValueError:
        raise SettingsError("DATABASE_URL is not a URL of one host and port") from None
    if parts.scheme not in {"postgresql", "postgres"}:
        raise SettingsError("DATABASE_URL: expected it to begin with postgresql://")
    if strange := sorted(given.keys() - URL_PARAMETERS):
        raise SettingsError(
            f"DATABASE_URL: parameter {strange[0]!r} means nothing to some driver; "
            f"every driver knows {', '.join(sorted(URL_PARAMETERS))}"
        )
    options = [given["options"]] if "options" in given else []
    options.append("-ctimezone=UTC")
    if schema:
        # A plain identifier needs no quoting, neither here nor in any statement about it.
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema):
            raise SettingsError(f"DATABASE_SCHEMA: expected a lower-case name, got {schema!r}")
        options.append(f"-csearch_path={schema}")
    given["options"] = " ".join(options)
    if application_name:
        given["application_name"] = application_name
    # libpq does not read + as a space, hence quote.
    query = urlencode(given, quote_via=quote, safe="")
    # urlunsplit would drop the slashes of an empty host, which means the default socket.
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{query}"
