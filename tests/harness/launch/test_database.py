"""A schema of our own in a real PostgreSQL, and words for every server that cannot be used."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import make_url

from loopmark.harness.errors import UserError
from loopmark.harness.launch import database
from loopmark.harness.launch.database import URL_VARIABLE, external_server, open_database
from loopmark.harness.launch.process_reaper import reaped
from loopmark.harness.vocabulary.record import ConnectionsLeft

PREPARATION = "loopmark.targets.preparation"


def schemas(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute("SELECT nspname FROM pg_namespace")}


def test_a_run_has_a_schema_of_its_own_and_leaves_none(database_url: str) -> None:
    before = schemas(database_url)
    with open_database("unused", "20260101-Run/1", PREPARATION) as opened:
        assert opened.schema == "loopmark_20260101_run_1"
        assert schemas(database_url) - before == {opened.schema}
        opened.reset(("a", "b", "c"), 5)
        assert opened.count("SELECT count(*) FROM users") == 3
        assert opened.count("SELECT count(*) FROM resources") == 5
        opened.reset(("a",), 0)
        assert opened.count("SELECT count(*) FROM resources") == 0
        assert opened.facts.embedded is False
        assert opened.target_environment["DATABASE_SCHEMA"] == opened.schema
    assert schemas(database_url) == before


def test_a_schema_that_is_there_already_is_not_touched(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE SCHEMA loopmark_mine")
        connection.execute("CREATE TABLE loopmark_mine.precious (n int)")
    refused = pytest.raises(UserError, match="cannot create the schema 'loopmark_mine'")
    with refused, open_database("unused", "mine", PREPARATION):
        pass
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM loopmark_mine.precious").fetchone() == (0,)
        connection.execute("DROP SCHEMA loopmark_mine CASCADE")


def test_schemas_of_killed_runs_are_told(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE SCHEMA loopmark_killed")
    found = external_server()
    assert found is not None
    facts, free, left_behind = found
    assert facts.version.startswith("18")
    assert free > 50
    assert "loopmark_killed" in left_behind
    with psycopg.connect(database_url) as connection:
        connection.execute("DROP SCHEMA loopmark_killed")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "is not a database URL"),
        ("mysql://root@localhost/x", "names a 'mysql' database; the targets need PostgreSQL"),
        ("postgresql://nobody:secret@127.0.0.1:1/x", r"no database at postgresql://nobody:\*\*\*@"),
        ("postgresql://me:s@secret@127.0.0.1:1/x", "an @ within the password must be written %40"),
        (
            "postgresql://postgres@/x?host=/nowhere&password=secret",
            r"no database at postgresql://postgres@/x\?host=%2Fnowhere: ",
        ),
        (
            "postgresql://127.0.0.1:1/x?connect_timeout=3",
            "targets cannot use .*connect_timeout",
        ),
        ("postgresql://postgres@/absent?host=/nowhere", "correct LOOPMARK_DATABASE_URL, or unset"),
    ],
)
def test_a_server_that_cannot_be_used_is_named(
    url: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL_VARIABLE, url)
    with (
        pytest.raises(UserError, match=message) as caught,
        open_database("unused", "x", PREPARATION),
    ):
        pass
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_held_lock_is_told_instead_of_waited_for(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_TIMEOUT_S", 0.05)
    with open_database("unused", "locked", PREPARATION) as opened:
        search_path = {"options": f"-csearch_path={opened.schema}"}
        url = make_url(database_url).update_query_dict(search_path)
        with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
            connection.execute("LOCK TABLE users")
            with pytest.raises(UserError, match="cannot empty the tables"):
                opened.reset(("a",), 0)


def test_the_embedded_server_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    assert external_server() is None
    with reaped() as token, open_database(token, "embedded", PREPARATION, (), 8) as opened:
        assert opened.facts.embedded
        assert opened.facts.url == "embedded"
        assert opened.facts.settings["fsync"] == "on"
        assert opened.facts.settings["max_connections"] == "246", "30 for each of 8, and 6"


def test_odd_passwords_reach_the_targets_quoted() -> None:
    url = make_url("postgresql://me:a%20b%2Bc%40d@127.0.0.1:5432/x?host=/run")
    environment = database._target_environment(url, "s")
    assert environment["DATABASE_URL"].startswith("postgresql://me:a%20b%2Bc%40d@127.0.0.1:5432/x")


@pytest.mark.usefixtures("database_url")
def test_too_few_connections_for_all_targets_are_told() -> None:
    refused = pytest.raises(UserError, match="and 1000 targets begin with 20003: choose fewer")
    with refused, open_database("unused", "many", PREPARATION, targets=1000):
        pass


def test_connections_that_a_target_holds_are_told(database_url: str) -> None:
    name = "loopmark-test-holding"
    with open_database("unused", "holding", PREPARATION) as opened:
        assert opened.connections_of(name, 1) == ConnectionsLeft(0, 1, 0)
        with (
            psycopg.connect(database_url, application_name=name) as idle,
            psycopg.connect(database_url, application_name=name) as open_,
        ):
            open_.execute("SELECT 1")
            left = opened.connections_of(name, 1)
            assert left == ConnectionsLeft(open=2, kept=1, idle_in_transaction=1)
            assert (left.beyond, left.are_clean) == (1, False)
            open_.rollback()
            assert opened.connections_of(name, 2).are_clean
            assert not idle.closed
