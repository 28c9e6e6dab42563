"""The one database schema under every variant, and how to put it into a known state."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    ForeignKey,
    Identity,
    LargeBinary,
    String,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from loopmark.targets.contract import token_digest


class Base(DeclarativeBase):
    """The registry of the tables. No table names a PostgreSQL schema: the search path decides."""


class User(Base):
    """A user, and the digest of the token that acts for it."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    username: Mapped[str] = mapped_column(String(64), unique=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    full_name: Mapped[str] = mapped_column(String(200), server_default="")
    is_active: Mapped[bool] = mapped_column(server_default="true")
    token_sha256: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Resource(Base):
    """A resource; the client chooses its id."""

    __tablename__ = "resources"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, server_default="")
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Upload(Base):
    """An uploaded file, and how far its analysis has come."""

    __tablename__ = "uploads"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    file_name: Mapped[str] = mapped_column(String(255))
    stored_name: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16), server_default="accepted")
    analyses: Mapped[int] = mapped_column(server_default="0")
    instance: Mapped[str] = mapped_column(Text)
    result: Mapped[dict[str, object] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


# One statement each, and the rows travel as one array: a thousand users take milliseconds.
_EMPTY = text("TRUNCATE users, resources, uploads RESTART IDENTITY CASCADE")
_INSERT_USERS = text("""
    INSERT INTO users (id, username, email, full_name, token_sha256)
    SELECT n, 'user-' || n, 'user-' || n || '@example.com', 'User ' || n, digest
    FROM unnest(CAST(:digests AS bytea[])) WITH ORDINALITY AS given (digest, n)
""")
_SET_NEXT_USER_ID = text("SELECT setval(pg_get_serial_sequence('users', 'id'), :next, false)")
_INSERT_RESOURCES = text("""
    INSERT INTO resources (id, name, owner_id)
    SELECT 'seed-' || n, 'Seed ' || n, 1 FROM generate_series(1, CAST(:count AS integer)) AS n
""")


def create_tables(connection: Connection) -> None:
    """Create the tables that are absent. The caller owns the transaction."""
    Base.metadata.create_all(connection)


def reset(connection: Connection, tokens: Sequence[str], resources: int) -> None:
    """Replace all rows by known ones. The caller owns the transaction.

    Args:
        connection: Where the tables are.
        tokens: One user per token: the first gets id 1, username `user-1`, and so on.
        resources: How many resources user 1 owns: `seed-1`, `seed-2`, and so on.

    Raises:
        sqlalchemy.exc.IntegrityError: A token appears twice, or there are resources but no user.
    """
    connection.execute(_EMPTY)
    connection.execute(_INSERT_USERS, {"digests": [token_digest(token) for token in tokens]})
    connection.execute(_SET_NEXT_USER_ID, {"next": len(tokens) + 1})
    connection.execute(_INSERT_RESOURCES, {"count": resources})
