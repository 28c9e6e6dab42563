"""The scenarios by name: a flow, its expected answers and the audit after it."""

from __future__ import annotations

from loopmark.harness.vocabulary.scenario import Audit, Scenario
from loopmark.scenarios import flows, journeys
from loopmark.scenarios.event_scenarios import EVENT_SCENARIOS, RESOURCE_ROWS
from loopmark.scenarios.file_scenarios import FILE_SCENARIOS

USERS = "SELECT count(*) FROM users"
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
        ),
        Scenario(
            name="read-mostly",
            title="Nine reads to one write",
            description="Nine reads of random accounts, then one update of the user's own account.",
            flow=flows.read_mostly,
            warm=flows.no_wait("timer"),
            waits=True,
            audits=(Audit("user accounts", USERS, {"read": 0, "update": 0}),),
        ),
        *EVENT_SCENARIOS,
        *FILE_SCENARIOS,
    )
}
