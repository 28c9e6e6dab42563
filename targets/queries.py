"""The statements of the documented query patterns, built without I/O.

Every variant executes these very statements: what differs between two variants is how they execute
them, never the SQL.
"""

from typing import Any

from sqlalchemy import Select, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert

from loopmark.targets.contract import ResourceData, token_digest
from loopmark.targets.schema import Resource, User


def ping() -> Select[int]:
    """Ask the database for one value."""
    return select(literal(1))


def caller(token: str) -> Select[int, bool]:
    """Select the id of the user behind a token, and whether that user is active."""
    return select(User.id, User.is_active).where(User.token_sha256 == token_digest(token))


def resource(resource_id: str) -> Select[Resource]:
    """Select one resource."""
    return select(Resource).where(Resource.id == resource_id)


def insert_resource(data: ResourceData, owner_id: int) -> ReturningInsert[Resource]:
    """Insert a resource and return it; return nothing when another transaction was faster.

    A conflict waits for that transaction to end, so that its row can be selected next.
    """
    return (
        insert(Resource)
        .values(**data.model_dump(), owner_id=owner_id)
        .on_conflict_do_nothing(index_elements=[Resource.id])
        .returning(Resource)
    )


def user(user_id: int) -> Select[User]:
    """Select one user."""
    return select(User).where(User.id == user_id)


def users(after: int, limit: int) -> Select[User]:
    """Select the page of users that follows an id."""
    return select(User).where(User.id > after).order_by(User.id).limit(limit)


def delete_user(user_id: int) -> ReturningDelete[int]:
    """Delete one user and return the id; return nothing when there was none."""
    return delete(User).where(User.id == user_id).returning(User.id)


def sleep(seconds: float) -> Select[*tuple[Any, ...]]:
    """Let the database sleep."""
    return select(func.pg_sleep(seconds))
