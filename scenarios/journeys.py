"""What virtual users do, as ordinary coroutine functions with an httpx client.

A flow costs the driver a fifth of the CPU, and every driver can step it; this is for existing code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopmark.harness.vocabulary.flow import VirtualUser, check
from loopmark.scenarios.flows import USERS, new_account

if TYPE_CHECKING:
    from httpx import AsyncClient


async def crud_client(client: AsyncClient, user: VirtualUser) -> None:
    """Create, read, update, read again and delete one user account."""
    account = new_account(user)
    response = await client.post(USERS, json=account, extensions={"step": "create"})
    created = response.raise_for_status().json()
    check(created.items() >= account.items(), "the account created is not the one asked for")
    path = f"{USERS}/{created['id']}"

    response = await client.get(path, extensions={"step": "read"})
    check(response.raise_for_status().json() == created, "the account read is not the one created")

    changes = {"full_name": f"Renamed {user.number}"}
    response = await client.patch(path, json=changes, extensions={"step": "update"})
    changed = response.raise_for_status().json()
    check(changed == created | changes, "the update changed something else than asked")

    response = await client.get(path, extensions={"step": "read-updated"})
    check(response.raise_for_status().json() == changed, "the update is not there when read again")

    response = await client.delete(path, extensions={"step": "delete"})
    response.raise_for_status()
