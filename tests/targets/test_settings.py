"""The environment of a target is read once, checked, and told in one line when it is unusable."""

from collections import UserDict
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from loopmark.targets.settings import CHOICES, PROVIDED, Settings, SettingsError

URL = "postgresql://user@localhost/db"


def test_defaults() -> None:
    settings = Settings.from_environment({"DATABASE_URL": URL})
    assert settings.worker_threads == 40
    assert (settings.pool_size, settings.max_overflow) == (20, 10)
    assert settings.pool_pre_ping
    assert settings.pool_timeout_s == 30
    assert settings.loop_lag_file is None
    assert settings.event_queue == 256
    assert (settings.ping_interval_s, settings.ping_timeout_s) == (20, 20)
    assert settings.allowed_origins == ()
    assert settings.upstream_url == ""
    assert not settings.warm_pools
    assert (settings.upstream_timeout_s, settings.upstream_connections) == (10, 1000)
    assert settings.upstream_call_timeout_s == 30


def test_the_environment_bounds_what_waits_and_says_who_may_come() -> None:
    settings = Settings.from_environment(
        {
            "DATABASE_URL": URL,
            "EVENT_QUEUE": "8",
            "PING_INTERVAL_S": "2",
            "PING_TIMEOUT_S": "3",
            "ALLOWED_ORIGINS": "http://localhost:3000, https://pages.example,",
        }
    )
    assert settings.event_queue == 8
    assert (settings.ping_interval_s, settings.ping_timeout_s) == (2, 3)
    assert settings.allowed_origins == ("http://localhost:3000", "https://pages.example")


def test_folders_and_the_largest_upload(tmp_path: Path) -> None:
    none = Settings.from_environment({"DATABASE_URL": URL, "CORPUS": "", "UPLOADS": ""})
    assert (none.corpus, none.uploads, none.max_upload_bytes) == (None, None, 256 * 1024**2)
    folder = str(tmp_path)
    environment = {"DATABASE_URL": URL, "CORPUS": folder, "UPLOADS": folder}
    given = Settings.from_environment(environment | {"MAX_UPLOAD_BYTES": "1000"})
    assert (given.corpus, given.uploads, given.max_upload_bytes) == (tmp_path, tmp_path, 1000)


def test_a_process_without_a_word_of_its_starter_makes_one() -> None:
    one, two = (Settings.from_environment({"DATABASE_URL": URL}) for _ in range(2))
    assert one.instance
    assert one.instance != two.instance
    given = Settings.from_environment({"DATABASE_URL": URL, "INSTANCE": "word"})
    assert given.instance == "word"


def test_the_variant_gives_the_threads_and_the_environment_overrides_them() -> None:
    assert Settings.from_environment({"DATABASE_URL": URL}, worker_threads=1).worker_threads == 1
    environment = {"DATABASE_URL": URL, "WORKER_THREADS": "8"}
    assert Settings.from_environment(environment, worker_threads=1).worker_threads == 8


URLS: list[tuple[str, str, str | None, str | None]] = [
    ("postgresql://u:p%40%2Fss@h:5433/d", "h", "5433", "p@/ss"),
    ("postgres://u@/d?host=/run/my%20pg", "/run/my pg", None, None),
    ("postgresql://u:@/d?host=/run/pg", "/run/pg", None, ""),
    ("postgresql:///d?host=/run/pg&user=u", "/run/pg", None, None),
    ("postgresql://u@h/d?options=-cjit%3Doff", "h", None, None),
]


def test_the_url_keeps_what_was_given_and_gains_options() -> None:
    for url, host, port, password in URLS:
        environment = {"DATABASE_URL": url, "DATABASE_SCHEMA": "bench"}
        libpq = conninfo_to_dict(Settings.from_environment(environment).database_url)
        assert (libpq["user"], libpq["dbname"], libpq["host"]) == ("u", "d", host), url
        assert libpq.get("port") == port, url
        assert libpq.get("password", "") == (password or ""), url
        assert str(libpq["options"]).endswith("-ctimezone=UTC -csearch_path=bench"), url
        assert ("-cjit=off" in str(libpq["options"])) == ("jit" in url), url


def test_sessions_carry_the_word_by_which_the_process_is_recognised() -> None:
    url = f"{URL}?application_name=mine"
    given = Settings.from_environment({"DATABASE_URL": url, "INSTANCE": "loopmark & co"})
    assert conninfo_to_dict(given.database_url)["application_name"] == "loopmark & co"
    without = Settings.from_environment({"DATABASE_URL": url})
    assert conninfo_to_dict(without.database_url)["application_name"] == "mine"


UNUSABLE: list[tuple[dict[str, str], str]] = [
    ({}, "DATABASE_URL is missing"),
    ({"DATABASE_URL": ""}, "DATABASE_URL is missing"),
    ({"DATABASE_URL": "host=x dbname=y"}, "begin with postgresql://"),
    ({"DATABASE_URL": "postgresql://u@h:port/d"}, "not a URL"),
    ({"DATABASE_URL": "postgresql://u@[h/d"}, "not a URL"),
    ({"DATABASE_URL": "postgresql://u@h/d?broken"}, "not a URL"),
    ({"DATABASE_URL": f"{URL}?connect_timeout=3"}, "'connect_timeout' means nothing"),
    ({"DATABASE_URL": URL, "DATABASE_SCHEMA": 'a"b'}, "DATABASE_SCHEMA"),
    ({"DATABASE_URL": URL, "WORKER_THREADS": "0"}, "WORKER_THREADS"),
    ({"DATABASE_URL": URL, "EVENT_QUEUE": "0"}, "EVENT_QUEUE"),
    ({"DATABASE_URL": URL, "PING_INTERVAL_S": "0.5"}, "PING_INTERVAL_S"),
    ({"DATABASE_URL": URL, "PING_TIMEOUT_S": "-1"}, "PING_TIMEOUT_S"),
    ({"DATABASE_URL": URL, "ALLOWED_ORIGINS": "localhost:3000"}, "ALLOWED_ORIGINS"),
    ({"DATABASE_URL": URL, "ALLOWED_ORIGINS": "http://a.example/"}, "ALLOWED_ORIGINS"),
    ({"DATABASE_URL": URL, "LOOP_LAG_FILE": "/no/such/folder/x"}, "no such directory"),
    ({"DATABASE_URL": URL, "CORPUS": "/no/such/folder"}, "CORPUS: no such directory"),
    ({"DATABASE_URL": URL, "UPLOADS": "/etc/passwd"}, "UPLOADS: no such directory"),
    ({"DATABASE_URL": URL, "MAX_UPLOAD_BYTES": "0"}, "MAX_UPLOAD_BYTES"),
    ({"DATABASE_URL": URL, "MAX_UPLOAD_BYTES": "1 GB"}, "MAX_UPLOAD_BYTES"),
    ({"DATABASE_URL": URL, "WARM_POOLS": "yes"}, "WARM_POOLS: expected 0 or 1"),
    ({"DATABASE_URL": URL, "UPSTREAM_URL": "127.0.0.1:8000"}, "UPSTREAM_URL"),
    ({"DATABASE_URL": URL, "UPSTREAM_URL": "http://a.example:80/api"}, "UPSTREAM_URL"),
    ({"DATABASE_URL": URL, "UPSTREAM_URL": "http://a.example:port"}, "UPSTREAM_URL"),
    ({"DATABASE_URL": URL, "UPSTREAM_URL": "https://a.example:443"}, "UPSTREAM_URL"),
    ({"DATABASE_URL": URL, "UPSTREAM_TIMEOUT_S": "0"}, "UPSTREAM_TIMEOUT_S"),
    ({"DATABASE_URL": URL, "UPSTREAM_CALL_TIMEOUT_S": "x"}, "UPSTREAM_CALL_TIMEOUT_S"),
    ({"DATABASE_URL": URL, "UPSTREAM_CONNECTIONS": "all"}, "UPSTREAM_CONNECTIONS"),
]


def test_an_unusable_environment_is_told_in_one_line() -> None:
    for environment, reason in UNUSABLE:
        with pytest.raises(SettingsError, match=reason) as raised:
            Settings.from_environment(environment)
        assert "\n" not in str(raised.value), environment


def test_all_that_is_read_is_named() -> None:
    asked = set[str]()

    class Noting(UserDict[str, str]):
        def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
            asked.add(name)
            return super().get(name, default)

    Settings.from_environment(Noting({"DATABASE_URL": URL}))
    assert asked == CHOICES | PROVIDED
    assert not CHOICES & PROVIDED
