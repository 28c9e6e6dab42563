"""The tables can be put into a known state, quickly and as often as needed."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import IntegrityError

from loopmark.targets import schema
from loopmark.targets.contract import token_digest
from tests.targets.conftest import tables


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    with tables(database_url) as (_name, engine):
        yield engine


def test_reset_replaces_all_rows(engine: Engine) -> None:
    with engine.begin() as connection:
        schema.create_tables(connection)
        schema.reset(connection, ["other"], 5)
        schema.reset(connection, ["a", "b"], 2)
        rows = connection.execute(
            select(
                schema.User.id, schema.User.username, schema.User.email, schema.User.token_sha256
            )
        ).all()
        assert sorted(rows) == [
            (1, "user-1", "user-1@example.com", token_digest("a")),
            (2, "user-2", "user-2@example.com", token_digest("b")),
        ]
        owners = connection.execute(select(schema.Resource.id, schema.Resource.owner_id)).all()
        assert sorted(owners) == [("seed-1", 1), ("seed-2", 1)]


def test_reset_leaves_no_uploads_and_a_user_takes_them_along(engine: Engine) -> None:
    insert = text(
        "INSERT INTO uploads (id, owner_id, file_name, stored_name, bytes, sha256, instance)"
        " VALUES (gen_random_uuid(), :owner, 'a', 'b', 1, 'c', 'd')"
    )
    count = text("SELECT count(*) FROM uploads WHERE state = 'accepted' AND analyses = 0")
    with engine.begin() as connection:
        schema.reset(connection, ["a", "b"], 0)
        for owner in (1, 2):
            connection.execute(insert, {"owner": owner})
        connection.execute(text("DELETE FROM users WHERE id = 1"))
        assert connection.scalar(count) == 1
        schema.reset(connection, ["a", "b"], 0)
        assert connection.scalar(count) == 0


@pytest.mark.parametrize("tokens", [[], ["a", "b", "c"]])
def test_the_next_user_follows_the_last(engine: Engine, tokens: list[str]) -> None:
    insert = text("INSERT INTO users (username, email) VALUES ('n', 'n@example.com') RETURNING id")
    with engine.begin() as connection:
        schema.reset(connection, tokens, 0)
        assert connection.scalar(insert) == len(tokens) + 1


def test_one_token_cannot_be_two_users(engine: Engine) -> None:
    with pytest.raises(IntegrityError), engine.begin() as connection:
        schema.reset(connection, ["same", "same"], 0)


def test_a_thousand_users_are_reset_again_and_again(engine: Engine) -> None:
    tokens = [f"token-{n}" for n in range(1000)]
    with engine.begin() as connection:
        for _ in range(5):
            schema.reset(connection, tokens, 100)
        assert connection.scalar(text("SELECT count(*) FROM users")) == 1000
