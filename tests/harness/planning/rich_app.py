"""A FastAPI application with many kinds of parameters and bodies, which checks what it gets."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Body, Cookie, FastAPI, Form, Header, Path, Query, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, HttpUrl, IPvAnyAddress


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Node(BaseModel):
    name: Annotated[str, Field(min_length=3, max_length=5)]
    children: list[Node] = []
    next: Node | None = None


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(gt=0, le=9)


class Dog(BaseModel):
    kind: Literal["dog"]
    bark: float = Field(ge=0.5, lt=1.5, multiple_of=0.25)


class Visit(BaseModel):
    model_config = ConfigDict(extra="forbid")

    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    at: AwareDatetime
    lasts: timedelta
    tags: Annotated[set[str], Field(min_length=2)]
    sizes: tuple[int, str]
    by_name: dict[str, Decimal] = {}
    link: HttpUrl | None = None
    address: IPvAnyAddress | None = None
    code: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "ABC"


app = FastAPI()


@app.get("/items/{item_id}")
async def item(
    item_id: Annotated[int, Path(ge=1)],
    q: str | None = None,
    limit: Annotated[int, Query(ge=10, le=20)] = 10,
    colour: Colour = Colour.RED,
) -> str:
    return f"{item_id} {q} {limit} {colour}"


@app.get("/files/{path:path}")
async def file(
    path: str, x_trace: Annotated[UUID, Header()], ids: Annotated[list[int], Query()]
) -> str:
    return f"{path} {x_trace} {ids}"


@app.get("/days/{day}")
async def of_day(
    day: date, code: Annotated[str, Query(pattern=r"^[A-Z]{3}$")], at: datetime | None = None
) -> str:
    return f"{day} {code} {at}"


@app.get("/of-session")
async def of_session(session: Annotated[str, Cookie()]) -> str:
    return session


@app.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def events() -> StreamingResponse:
    return StreamingResponse(iter(()))


@app.get("/odd")
async def odd(text: Annotated[str, Query(pattern=r"^x-\d{2}-[AB]$")]) -> str:
    return text


@app.post("/nodes")
async def create_node(node: Node, factor: Annotated[int, Body()] = 1) -> int:
    return factor * len(node.name)


@app.put("/visits/{visit_id}")
async def replace_visit(visit_id: UUID, visit: Visit) -> str:
    return f"{visit_id} {visit}"


@app.post("/forms")
async def fill(name: Annotated[str, Form()], size: Annotated[int, Form(ge=3)] = 3) -> str:
    return name * size


@app.post("/uploads")
async def upload(files: list[UploadFile], note: Annotated[str, Form()]) -> int:
    return len(files) + len(note)


@app.delete("/visits/{visit_id}")
async def delete_visit(visit_id: UUID) -> str:
    return str(visit_id)
