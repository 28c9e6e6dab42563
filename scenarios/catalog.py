"""The scenarios by name: a flow, its expected answers and the audit after it."""

from __future__ import annotations

from loopmark.harness.vocabulary.scenario import Audit, Scenario
from loopmark.scenarios import flows, journeys
from loopmark.scenarios.event_scenarios import CREATED, EVENT_SCENARIOS, RESOURCE_ROWS
from loopmark.scenarios.file_scenarios import FILE_SCENARIOS

USERS = "SELECT count(*) FROM users"
WITHOUT_RESOURCE = (
    "SELECT count(*) FROM users WHERE NOT EXISTS "
    "(SELECT 1 FROM resources WHERE owner_id = users.id)"
)

READ = "BEGIN SELECT SELECT COMMIT"
UPDATED = "BEGIN SELECT SELECT UPDATE COMMIT"
ACCOUNT_STEPS = {
    "create": "BEGIN SELECT INSERT COMMIT",
    "read": READ,
    "update": UPDATED,
    "read-updated": READ,
    "delete": "BEGIN SELECT DELETE COMMIT",
}
"""Every transaction begins with the look-up of the token."""

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            name="wait-timer",
            title="The documented timing table",
            description=(
                "Every request waits 0.5 s on a timer, without database or CPU work: this "
                "measures how many requests can wait at the same time."
            ),
            flow=flows.wait_timer,
            warm=flows.no_wait("timer"),
            waits=True,
            statements={"wait": ""},
        ),
        Scenario(
            name="wait-database",
            title="The same wait in the database",
            description=(
                "Every request holds a pooled database connection for 0.5 s. The documented pool "
                "has 20 connections plus an overflow of 10, which limits the concurrency."
            ),
            flow=flows.wait_database,
            warm=flows.no_wait("database"),
            waits=True,
            statements={"wait": "BEGIN SELECT ROLLBACK"},
        ),
        Scenario(
            name="wait-upstream",
            title="The same wait for another service",
            description=(
                "Every request sends an HTTP request of its own to another service, which answers "
                "after 0.5 s: httpx on both sides, with connections for all that wait. That "
                "service runs beside the database."
            ),
            flow=flows.wait_upstream,
            warm=flows.no_delay(),
            waits=True,
            statements={"fetch": ""},
        ),
        Scenario(
            name="create-fresh",
            title="Create a resource",
            description=(
                "POST /api/v2/resource/create with a new id: authentication, "
                "a query and an insert in one transaction."
            ),
            flow=flows.create_fresh,
            warm=flows.no_wait("timer"),
            waits=True,
            audits=(Audit("resources", RESOURCE_ROWS, {"create-fresh": 1}),),
            statements={"create-fresh": CREATED},
        ),
        Scenario(
            name="create-existing",
            title="Create an existing resource",
            description=(
                "The same request with an id that exists: the documented get-or-create must find "
                "it and change nothing."
            ),
            flow=flows.create_existing,
            warm=flows.no_wait("timer"),
            waits=True,
            audits=(Audit("resources", RESOURCE_ROWS, {"create-existing": 0}),),
            statements={"create-existing": READ},
        ),
        Scenario(
            name="crud",
            title="The four query patterns",
            description=(
                "Each user creates, reads, updates, reads again and deletes an account of its own; "
                "every response is checked against what was written."
            ),
            flow=flows.crud_journey,
            warm=flows.no_wait("timer"),
            waits=True,
            audits=(Audit("user accounts", USERS, {"create": 1, "delete": -1}),),
            statements=ACCOUNT_STEPS,
        ),
        Scenario(
            name="crud-client",
            title="The four query patterns through an httpx client",
            description=(
                "The same as crud, written as an ordinary function with an httpx client, which "
                "costs the driver more CPU."
            ),
            flow=journeys.crud_client,
            warm=flows.no_wait("timer"),
            waits=True,
            audits=(Audit("user accounts", USERS, {"create": 1, "delete": -1}),),
            statements=ACCOUNT_STEPS,
        ),
        Scenario(
            name="read-mostly",
            title="Nine reads to one write",
            description="Nine reads of random accounts, then one update of the user's own account.",
            flow=flows.read_mostly,
            warm=flows.no_wait("timer"),
            waits=True,
            audits=(Audit("user accounts", USERS, {"read": 0, "update": 0}),),
            statements={"read": READ, "update": UPDATED},
        ),
        Scenario(
            name="beside-report",
            title="A large JSON answer, and small ones beside it",
            description=(
                "One user in ten asks for a megabyte of JSON, which takes CPU time to make. The "
                "others ask for next to nothing: their step, innocent, shows what waiting for the "
                "processor costs them. Sync makes the rows in a thread, but writes them as JSON on "
                "its event loop too."
            ),
            flow=flows.beside_report,
            warm=flows.no_wait("timer"),
            statements={"report": "", flows.INNOCENT: ""},
            bystander=flows.INNOCENT,
        ),
        Scenario(
            name="beside-create",
            title="Created resources, and small answers beside them",
            description=(
                "Nine users in ten create resources. The tenth asks for next to nothing: its step, "
                "innocent, shows what it costs others that a request waits for its database."
            ),
            flow=flows.beside_create,
            warm=flows.no_wait("timer"),
            waits=True,
            audits=(Audit("resources", RESOURCE_ROWS, {"create-fresh": 1}),),
            statements={flows.INNOCENT: "", "create-fresh": CREATED},
            bystander=flows.INNOCENT,
        ),
        Scenario(
            name="open-account",
            title="Open an account: two rows, or none",
            description=(
                "A user and its first resource are created in one transaction. One request in "
                "twenty names a resource that exists: it must be refused with 409, and leave no "
                "user behind."
            ),
            flow=flows.open_account,
            warm=flows.no_wait("timer"),
            waits=True,
            audits=(
                Audit("user accounts", USERS, {"open": 1, "open-taken": 0}),
                Audit("resources", RESOURCE_ROWS, {"open": 1, "open-taken": 0}),
                Audit(
                    "accounts without their resource",
                    WITHOUT_RESOURCE,
                    {"open": 0, "open-taken": 0},
                    kind="half-applied",
                ),
            ),
            statements={
                "open": "BEGIN SELECT INSERT INSERT COMMIT",
                "open-taken": "BEGIN SELECT INSERT INSERT ROLLBACK",
            },
        ),
        *EVENT_SCENARIOS,
        *FILE_SCENARIOS,
    )
}
