"""What cameras see: declared per position by manifests, attested by a person for the device that stands there (decision 0350)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg.types.json import Jsonb

from hub.core.provisioning import Change
from hub.core.rights import Principal, Scope
from hub.errors import Conflict
from hub.store import audit
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows
from hub.store.views import DeviceKey

_SQL = queries("camera_views")


class Seen(NamedTuple):
    """One zone as the person who attests saw it."""

    share: float
    masked: bool


async def declare(conn: Connection, positions: Sequence[Change]) -> None:
    """Write the views that positions declare; what differs from before, and every view of a position that moved, is attested no more."""
    changed = [c for c in positions if c.after is not None and (c.before or {}).get("sees", []) != c.after["sees"]]
    moved = [c for c in positions if c.before is not None and c.before["zone"] != (c.after or {})["zone"]]
    for statements, changes in ((("forget", "declare"), changed), (("doubt",), moved)):
        rows = [{"institution": c.key.institution, "id": c.key.id, "sees": (c.after or {})["sees"]} for c in changes]
        for statement in statements if rows else ():
            await conn.execute(_SQL[statement], {"rows": Jsonb(rows)})


async def listed(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    institution: str | None = None,
    device: str | None = None,
    after: tuple[str, str, str] | None = None,
) -> list[Row]:
    """Views within the scope by institution, position and zone. `attested_at` only where the present device was attested."""
    last = (None, None, None) if after is None else after
    asked = {"institution": institution, "device": device, "limit": limit}
    keys = dict(zip(("after_institution", "after_position", "after"), last, strict=True))
    return await all_rows(conn, _SQL["list"], {"scope": Jsonb(scope.as_json()), **asked, **keys})


async def attest(
    conn: Connection, who: Principal, device: DeviceKey, seen: Mapping[str, Seen], at: datetime, *, by: str = "api"
) -> None:
    """A person saw on the picture of `device` what is declared. Raises Conflict where what they saw is something else, or nothing is declared.

    What is seen in truth is declared by a manifest first: so what is attested and what stands in the plan are one.
    """
    rows = await all_rows(conn, _SQL["lock"], {"device": device.key})
    if not rows:
        raise Conflict(f"no view is declared for the position of {device.id}: declare it in the manifest first")
    declared = {row["zone"]: Seen(row["share"], row["masked"]) for row in rows}
    if declared != seen:
        differing = sorted(name for name in {*declared, *seen} if declared.get(name) != seen.get(name))
        raise Conflict(f"what was seen is not what is declared for {', '.join(differing)}: declare it anew first")
    await conn.execute(_SQL["attest"], {"device": device.key, "at": at, "actor": who.name})
    said = {zone: one._asdict() for zone, one in seen.items()}
    await audit.record(conn, who.name, "view.attest", f"device:{device.id}", {"views": said, "by": by})
    payload = {"institution": device.institution, "views": device.id}
    await conn.execute(_SQL["say"], {"institution": device.institution_key, "payload": Jsonb(payload)})
