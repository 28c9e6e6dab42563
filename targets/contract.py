"""The documented contract: the answers of every variant.

A variant writes only its handlers. Paths, models, status codes, errors and the texts of the OpenAPI
document come from here, so two variants cannot drift apart:

    @contract.GET_USER.on(router)
    def get_user(user_id: contract.UserId) -> contract.User: ...
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field, with_config
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.types import Lifespan
from typing_extensions import TypedDict

DEFAULT_PAGE = 50
MAX_PAGE = 200
MAX_WAIT_S = 30.0
MAX_BIGINT = 2**63 - 1


def token_digest(token: str) -> bytes:
    """Return the SHA-256 digest of a bearer token: the only form in which a token is stored."""
    return hashlib.sha256(token.encode()).digest()


# ---- values ----

# PostgreSQL cannot store NUL in text: refuse it here, before a driver fails on it.
_TEXT = r"^[^\x00]*$"

ResourceId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
Username = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
Email = Annotated[str, Field(max_length=254, pattern=r"^[^@\s\x00]+@[^@\s\x00]+$")]
FullName = Annotated[str, Field(max_length=200, pattern=_TEXT)]

UserId = Annotated[int, Path(ge=1, le=MAX_BIGINT, description="The user's id.")]
PageLimit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Users per page, at most.")]
PageAfter = Annotated[
    int, Query(ge=0, le=MAX_BIGINT, description="The last id of the page before this one.")
]
WaitSeconds = Annotated[
    float, Query(ge=0, le=MAX_WAIT_S, allow_inf_nan=False, description="How long to wait.")
]


MAX_REPORT_ROWS = 20_000
ReportRows = Annotated[int, Query(ge=1, le=MAX_REPORT_ROWS, description="Rows of 200 bytes.")]


class WaitOn(StrEnum):
    """What a waiting request holds while it waits."""

    TIMER = "timer"
    DATABASE = "database"


WaitTarget = Annotated[
    WaitOn, Query(description="A timer, or a pooled database connection that sleeps.")
]


# ---- requests ----


class _Request(BaseModel):
    """A request body. A misspelt field is an error, not a silent default."""

    model_config = ConfigDict(extra="forbid")


class ResourceData(_Request):
    """A resource as the client names it."""

    id: ResourceId
    name: Annotated[str, Field(min_length=1, max_length=200, pattern=_TEXT)]
    description: Annotated[str, Field(max_length=2000, pattern=_TEXT)] = ""


class UserData(_Request):
    """A user to create."""

    username: Username
    email: Email
    full_name: FullName = ""


class AccountData(_Request):
    """A user to create, and the first resource that it owns."""

    user: UserData
    resource: ResourceData


# In a TypedDict absent differs from null; a model would need a default that means absent.
@with_config(ConfigDict(extra="forbid"))
class UserChanges(TypedDict, total=False):
    """The fields of a user to change; the absent ones stay as they are."""

    email: Email
    full_name: FullName
    is_active: bool


# ---- responses ----


class _Row(BaseModel):
    """A response read from the attributes of a database row."""

    model_config = ConfigDict(from_attributes=True)


class Resource(_Row):
    """A stored resource."""

    id: str
    name: str
    description: str
    owner_id: int
    created_at: datetime


class ResourceCreated(BaseModel):
    """The resource, and whether this very request created it."""

    status: Literal["success"] = "success"
    created: bool
    resource: Resource


class User(_Row):
    """A stored user, without its token."""

    id: int
    username: str
    email: str
    full_name: str
    is_active: bool
    created_at: datetime


class UserPage(BaseModel):
    """One page of users in the order of their ids."""

    users: list[User]


class AccountOpened(BaseModel):
    """The new user and its first resource."""

    status: Literal["success"] = "success"
    user: User
    resource: Resource


class Waited(BaseModel):
    """How long the request was asked to wait, in seconds, and on what."""

    status: Literal["success"] = "success"
    waited_s: float
    on: WaitOn


class ReportRow(BaseModel):
    """A row of a large answer."""

    number: int
    name: str
    share: float
    text: str


class Report(BaseModel):
    """A large answer."""

    rows: list[ReportRow]


class Ready(BaseModel):
    """The database answers; `instance` is the word given to this process when it was started."""

    status: Literal["ready"] = "ready"
    instance: str


class Failure(BaseModel):
    """Why a request failed."""

    detail: str


# ---- errors ----


@dataclass(frozen=True, slots=True)
class Problem:
    """A documented error: its entry in the OpenAPI document and the exception to raise."""

    status: int
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def exception(self, cause: Exception | None = None) -> HTTPException:
        """Return the exception to raise; its detail ends with the first line of the cause."""
        detail = self.detail
        if cause is not None:
            said = str(cause).partition("\n")[0]
            detail += f" {type(cause).__name__}" + (f": {said}" if said else "")
        return HTTPException(self.status, detail, dict(self.headers) or None)

    def response(self) -> dict[str, Any]:
        """Return the OpenAPI description of the answer."""
        headers = {
            name: {"schema": {"type": "string", "const": value}}
            for name, value in self.headers.items()
        }
        described: dict[str, Any] = {"model": Failure, "description": self.detail}
        return described | ({"headers": headers} if headers else {})


UNAUTHENTICATED = Problem(401, "A valid bearer token is required.", {"WWW-Authenticate": "Bearer"})
INACTIVE = Problem(403, "The user of this token is inactive.")
USER_ABSENT = Problem(404, "There is no user with this id.")
USER_TAKEN = Problem(409, "The username or the email belongs to another user.")
EMAIL_TAKEN = Problem(409, "The email belongs to another user.")
RESOURCE_TAKEN = Problem(409, "The resource exists already.")
USER_OWNS = Problem(409, "The user still owns resources.")
DATABASE_SILENT = Problem(503, "The database does not answer.")
DATABASE_BUSY = Problem(503, "No connection to the database was free in time.")


class _Bearer(HTTPBearer):
    """A bearer scheme that refuses an absent token as an unknown one is refused."""

    def make_not_authenticated_error(self) -> HTTPException:
        return UNAUTHENTICATED.exception()


BEARER = _Bearer(
    scheme_name="bearer", description="The token of a user, looked up by its SHA-256 digest."
)
BearerToken = HTTPAuthorizationCredentials
Credentials = Annotated[BearerToken, Depends(BEARER)]


def bearer(token: str) -> BearerToken:
    """Return the credentials that a token is, wherever it came from."""
    return BearerToken(scheme="Bearer", credentials=token)


# ---- endpoints ----

Handler = TypeVar("Handler", bound=Callable[..., Any])


def _responses(problems: tuple[Problem, ...]) -> dict[int | str, dict[str, Any]]:
    """Describe the answers; answers with the same status share a description."""
    described: dict[int | str, dict[str, Any]] = {}
    for problem in problems:
        response = problem.response()
        if problem.status in described:
            response["description"] = (
                f"{described[problem.status]['description']} {response['description']}"
            )
        described[problem.status] = response
    return described


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of the contract, apart from what handles it.

    Attributes:
        request_body: For the OpenAPI document, where a handler reads the body by itself.
    """

    method: str
    path: str
    operation_id: str
    tag: str
    summary: str
    description: str
    response_model: type[BaseModel] | None
    status_code: int = 200
    problems: tuple[Problem, ...] = ()
    request_body: Mapping[str, Any] | None = None

    def on(self, router: APIRouter) -> Callable[[Handler], Handler]:
        """Return a decorator that makes a handler answer this endpoint on a router."""
        return router.api_route(
            self.path,
            methods=[self.method],
            operation_id=self.operation_id,
            tags=[self.tag],
            summary=self.summary,
            description=self.description,
            response_model=self.response_model,
            status_code=self.status_code,
            responses=_responses(self.problems),
            openapi_extra={"requestBody": dict(self.request_body)} if self.request_body else None,
        )


_AUTH = (UNAUTHENTICATED, INACTIVE, DATABASE_BUSY)

READY = Endpoint(
    "GET",
    "/ready",
    "ready",
    "operation",
    "Is the database there?",
    "Takes a connection from the pool and asks the database for one value.",
    Ready,
    problems=(DATABASE_SILENT,),
)
CREATE_RESOURCE = Endpoint(
    "POST",
    "/api/v2/resource/create",
    "create_resource",
    "resources",
    "Get or create a resource",
    "Returns the resource with this id, and creates it for the caller when there is none, in one "
    "transaction. Of concurrent requests for one id exactly one creates it.",
    ResourceCreated,
    problems=_AUTH,
)
LIST_USERS = Endpoint(
    "GET",
    "/api/v2/users",
    "list_users",
    "users",
    "List users",
    "Pages by key: pass the last id of a page as `after` to get the next one.",
    UserPage,
    problems=_AUTH,
)
CREATE_USER = Endpoint(
    "POST",
    "/api/v2/users",
    "create_user",
    "users",
    "Create a user",
    "The new user is active and has no token yet.",
    User,
    status_code=201,
    problems=(*_AUTH, USER_TAKEN),
)
OPEN_ACCOUNT = Endpoint(
    "POST",
    "/api/v2/accounts",
    "open_account",
    "users",
    "Open an account",
    "Creates a user together with its first resource in one transaction: both, or neither.",
    AccountOpened,
    status_code=201,
    problems=(*_AUTH, USER_TAKEN, RESOURCE_TAKEN),
)
GET_USER = Endpoint(
    "GET",
    "/api/v2/users/{user_id}",
    "get_user",
    "users",
    "Get a user",
    "Returns the user with this id.",
    User,
    problems=(*_AUTH, USER_ABSENT),
)
UPDATE_USER = Endpoint(
    "PATCH",
    "/api/v2/users/{user_id}",
    "update_user",
    "users",
    "Change a user",
    "Changes the given fields only. Null is no value for any of them.",
    User,
    problems=(*_AUTH, USER_ABSENT, EMAIL_TAKEN),
)
DELETE_USER = Endpoint(
    "DELETE",
    "/api/v2/users/{user_id}",
    "delete_user",
    "users",
    "Delete a user",
    "Deletes a user who owns no resources.",
    None,
    status_code=204,
    problems=(*_AUTH, USER_ABSENT, USER_OWNS),
)
WAIT = Endpoint(
    "GET",
    "/api/v2/wait",
    "wait",
    "operation",
    "Wait",
    "The slow operation behind the documented timing table. On a timer it holds no database "
    "connection; on the database it holds one for as long as it waits.",
    Waited,
    problems=(DATABASE_BUSY,),
)
REPORT = Endpoint(
    "GET",
    "/api/v2/report",
    "report",
    "operation",
    "Get a large report",
    "Makes the rows, validates them and writes them as JSON: work for a processor, and no waiting.",
    Report,
)

ENDPOINTS = (
    READY,
    CREATE_RESOURCE,
    LIST_USERS,
    CREATE_USER,
    OPEN_ACCOUNT,
    GET_USER,
    UPDATE_USER,
    DELETE_USER,
    WAIT,
    REPORT,
)


def handlers_of(router: APIRouter) -> dict[str, Callable[..., Any]]:
    """Return the handlers of a router by operation id."""
    return {
        route.operation_id: route.endpoint
        for route in router.routes
        if isinstance(route, APIRoute) and route.operation_id is not None
    }


def served_by(handlers: Mapping[str, Callable[..., Any]]) -> APIRouter:
    """Return a router of these handlers, which are given by operation id."""
    router = APIRouter()
    for endpoint in ENDPOINTS:
        if endpoint.operation_id in handlers:
            endpoint.on(router)(handlers[endpoint.operation_id])
    return router


def report_of(rows: int) -> Report:
    """Return a report with so many rows."""
    text = "All work, and nothing to wait for. " * 4
    return Report(
        rows=[
            ReportRow(number=number, name=f"row-{number}", share=number / rows, text=text)
            for number in range(rows)
        ]
    )


async def _unprocessable(_request: Request, error: Exception) -> Response:
    """Answer 422 as FastAPI does, but in ASCII.

    JSON can escape half a character. FastAPI would answer what it quotes of such a request in
    UTF-8, which has no form for it, and fail.
    """
    assert isinstance(error, RequestValidationError)
    content = json.dumps({"detail": jsonable_encoder(error.errors())})
    return Response(content, 422, media_type="application/json")


async def _busy(request: Request, _error: Exception) -> Response:
    """Answer 503 where a request waited for a connection until the pool's timeout."""
    return await http_exception_handler(request, DATABASE_BUSY.exception())


def application(lifespan: Lifespan[FastAPI], *routers: APIRouter) -> FastAPI:
    """Return the application that serves the routers under the contract's title and tags."""
    app = FastAPI(
        title="Loopmark target",
        version="2",
        description="The documented endpoints, the same for every variant.",
        openapi_tags=[
            {"name": "operation", "description": "Readiness, and time spent waiting."},
            {"name": "resources", "description": "Get or create in one transaction."},
            {"name": "users", "description": "The four query patterns."},
            {"name": "files", "description": "Many files processed at once, and uploads."},
            {"name": "process", "description": "Work that tells how far it is."},
        ],
        lifespan=lifespan,
    )
    app.add_exception_handler(RequestValidationError, _unprocessable)
    app.add_exception_handler(PoolTimeoutError, _busy)
    for router in routers:
        app.include_router(router)
    return app
