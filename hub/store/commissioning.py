"""Function tests, as the API asks for them and reads them. The ingest that owns the device opens and judges them."""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

from hub.errors import Conflict, NotFound
from hub.model import Micros
from hub.store.pool import Connection
from hub.store.queries import queries

_SQL = queries("commissioning")


class DeviceTest(NamedTuple):
    """One function test; `state` is requested, open, passed or expired, `detail` says what was missing."""

    id: UUID
    device: str
    state: str
    requested_by: str
    requested_at: datetime
    opened_at: datetime | None
    finished_at: datetime | None
    detail: str
    within_seconds: float
    institution_key: int


async def request(conn: Connection, device: str, actor: str, within: Micros, not_after: datetime | None = None) -> UUID:
    """Ask for a test of `device`, which has to be over by `not_after`. Raises NotFound, or Conflict while another test of it runs."""
    values = [uuid4(), actor, timedelta(microseconds=within), not_after, device]
    row = await (await conn.execute(_SQL["request"], values)).fetchone()
    if row is not None:
        return UUID(str(row[0]))
    known = await (await conn.execute("select 1 from device where id = %s and retired_at is null", [device])).fetchone()
    if known is None:
        raise NotFound(f"no device {device}")
    raise Conflict(f"a function test of {device} is under way")


async def get(conn: Connection, test: UUID) -> DeviceTest:
    """The test as it stands; raises NotFound."""
    row = await (await conn.execute(_SQL["get"], [test])).fetchone()
    if row is None:
        raise NotFound(f"no function test {test}")
    return DeviceTest(*row)
