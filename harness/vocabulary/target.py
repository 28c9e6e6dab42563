"""A target: an application under test, and how it is reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pydantic import ConfigDict

from loopmark.harness.vocabulary.fault import Fault

Way: TypeAlias = Literal["variant", "asgi", "command", "url"]
"""How a target is reached; each is a field of `Target`."""

WAYS: tuple[Way, ...] = ("variant", "asgi", "command", "url")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An application under test. One of the four ways says how it is reached.

    With none of them only the users of a locustfile know it.

    Attributes:
        name: As in plans and in the names of cells.
        variant: One of our own implementations of the documented contract, by name: it gets a
            database, files and accounts, and reports its event-loop lag.
        asgi: An application as `package.module:app`, served by uvicorn.
        command: What starts it; `{port}` stands for the port to listen on, here and in the
            environment.
        url: Where it already runs: it is neither started nor monitored.
        environment: Environment variables added to the present ones. Of the present ones none that
            is a setting of our own variants reaches them.
        folder: The folder in which it is started; empty for the present one.
        ready: Path that answers 200 when it is ready; empty when it is enough that its port accepts
            connections.
        description: What a reader of the report must know of it.
        connection_test: The statements with which one of our own tests a connection to the database
            before each transaction; empty where it does not.
        prepared_by: Module that makes the tables and files which one of our own variants needs.
        kept_connections: Connections to the database that one of our own keeps at most when it has
            nothing to do; 0 where that is not known.
        fault: The mistake that one of our own makes on purpose; None of those that make none.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    variant: str = ""
    asgi: str = ""
    command: tuple[str, ...] = ()
    url: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = ""
    ready: str = ""
    description: str = ""
    connection_test: str = ""
    prepared_by: str = ""
    kept_connections: int = 0
    fault: Fault | None = None

    @property
    def is_launched(self) -> bool:
        """Whether the run starts, monitors and ends it."""
        return bool(self.variant or self.asgi or self.command)

    @property
    def known(self) -> str:
        """What a reader of the report must know of it, in sentences."""
        if self.is_ours:
            return self.description
        how = f"{self.asgi}, served by uvicorn." if self.asgi else f"{' '.join(self.command)}."
        if not self.is_launched:
            where = f"at {self.url}" if self.url else "the clients of the locustfile"
            how = f"A running service {where}; its resources are not monitored."
        return f"{self.description or how} Writes are not audited."

    @property
    def is_ours(self) -> bool:
        """Whether it serves the documented contract, and so needs its database and accounts."""
        return bool(self.variant)
