"""Two worlds: with and without another tenant, the same request of the same holder gives the same bytes."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from psycopg import AsyncConnection

from hub.api.app import create_app
from hub.config import Settings
from hub.core.rights import Role, Scope
from hub.store.pool import open_pool
from tests.api import seed

PATHS = [
    "/divisions",
    "/divisions?parent=1404",
    "/register",
    "/register?connected=false",
    "/institutions",
    "/institutions?limit=1",
    "/institutions/a-home",
    "/institutions/b-home",
    "/register/imports",
    "/register/versions?filing_number=F-b",
    "/zone-plans",
    "/zone-plans?limit=1&state=unsigned",
    "/institutions/a-home/zone-plan",
    "/institutions/b-home/zone-plan",
    "/institutions/b-home/zone-plan/signatures",
    "/retypings",
    "/retypings?limit=1",
    "/views",
    "/views?device=b-button",
    "/attestations",
    "/attestations?institution=b-home",
    "/zones?limit=1",
    "/positions",
    "/devices",
    "/devices?limit=1",
    "/devices/a-button",
    "/devices/b-button",
    "/devices/a-button/points",
    "/devices/a-button/readings?point=level&limit=2",
    "/devices/a-button/figures?point=level&limit=2",
    "/devices/b-button/figures?point=level",
    "/streams",
    "/streams?client=b-edge",
    "/gaps?from=2026-11-20T00:00:00Z&limit=1",
    "/gaps?device=b-button",
    "/conservation?from=2026-11-20T00:00:00Z&limit=1",
    "/conservation?client=b-edge",
    "/devices/a-button/events?limit=2",
    "/devices/b-button/events",
    "/device-status",
    "/device-status?limit=1&link_state=online",
    "/alarms",
    "/alarms?limit=1",
    "/alarms?device=b-button",
    "/policies",
    "/policies?limit=1",
    "/quarantine",
    "/quarantine?limit=1",
    "/quarantine?client=b-edge",
    "/tokens",
    "/coverage",
    "/coverage?limit=1",
    "/coverage/a-home",
    "/coverage/b-home",
    "/audit",
    "/openapi.json",
]
SCOPES = {
    "institution": Scope(institutions=("a-home",)),
    "division": Scope(divisions=("140403",)),
    "group": Scope(groups=("a-group",)),
}


async def _ask(url: str, *, both: bool, scope: Scope) -> dict[str, tuple[int, bytes]]:
    async with await seed.connect(url) as conn:
        tenant, secret = await _fill(conn, both=both, scope=scope)
    return await _answers(url, tenant, secret)


async def _fill(conn: AsyncConnection[Any], *, both: bool, scope: Scope) -> tuple[seed.Tenant, str]:
    codes = ["14", "1404", "140403"]
    if both:
        await seed.divisions(conn, *codes, "140404")
        await seed.add_tenant(conn, "b", "140404")
    else:
        await seed.divisions(conn, *codes)
    tenant = await seed.add_tenant(conn, "a", "140403")
    secret = await seed.give_token(conn, "one000000000", Role.ADMIN, scope)
    if both:
        await seed.give_token(conn, "two000000000", Role.ADMIN, Scope(divisions=("140404",)))
    return tenant, secret


async def _answers(url: str, tenant: seed.Tenant, secret: str) -> dict[str, tuple[int, bytes]]:
    settings = Settings.model_validate({"database_url": url, "mqtt_url": "mqtt://127.0.0.1"})
    answers = {}
    async with open_pool(url, 2) as pool:
        app = create_app(settings, pool, seed.PROFILES, (), clock=lambda: seed.at(3600))
        transport = httpx.ASGITransport(app)
        headers = {"Authorization": f"Bearer {secret}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://hub/api/v1", headers=headers) as client:
            paths = [*PATHS, f"/alarms/{tenant.alarm}", f"/device-tests/{tenant.test}"]
            for path in paths:
                answer = await client.get(path)
                answers[path] = (answer.status_code, answer.content)
                shown = answer.json()
                if isinstance(shown, dict) and (following := shown.get("next")) is not None:
                    joiner = "&" if "?" in path else "?"
                    page = await client.get(f"{path}{joiner}cursor={following}")
                    answers[f"{path} page 2"] = (page.status_code, page.content)
            refused = await client.post(
                "/tokens",
                json={"name": "x", "kind": "person", "role": "admin", "scope": {"institutions": ["b-home"]}},
            )
            answers["token for b-home"] = (refused.status_code, refused.content)
    return answers


@pytest.mark.parametrize("scope", SCOPES.values(), ids=SCOPES.keys())
async def test_another_tenant_changes_no_byte_of_any_answer(make_database: Callable[[], str], scope: Scope) -> None:
    alone = await _ask(make_database(), both=False, scope=scope)
    beside = await _ask(make_database(), both=True, scope=scope)
    assert alone.keys() == beside.keys()
    for path, answer in alone.items():
        assert beside[path] == answer, path
    assert sum(status == 200 for status, _ in alone.values()) > len(PATHS) * 0.8
