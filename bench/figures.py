"""What regulators ask for over a province: orders, roll-up, ledgers, fire risk: `scripts/bench figures`.

The province of `scripts/bench boards` (5,000 institutions, 280,000 devices, 60 rules, a year of findings; plainly invented), with devices of shipped
profiles. Each figure is by the clock of one look after one that warms the cache; beside it the processor time of this process and of the database's
backend, for what a busy machine does not change much.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg

from bench.boards import SEED
from bench.machine import cpu_seconds, facts
from hub.config import data_folder
from hub.core.fire_kept import Standing
from hub.core.orders import Terms
from hub.core.rights import EVERYTHING
from hub.core.rota import local_day
from hub.engine import Engine
from hub.fire_weights import load_weights
from hub.model import to_datetime, to_micros
from hub.profiles import load_profiles
from hub.runtime.fire_watch import score
from hub.store import fire_days, fire_risk, month
from hub.store.fire_risk import open_book
from hub.store.migrate import upgrade
from hub.store.order_desk import open_order_desk
from hub.store.pool import Connection, connect

COUNTY, CITY, PROVINCE = "140403", "1404", "14"
MORE = """
update device set profile = case kind when 'camera' then 'axis-camera' when 'smoke_detector' then 'heiman-hs1sa' when 'gas_detector' then 'aqara-jt-bz-01aq'
    when 'access_controller' then 'moxa-e1214-door' when 'heat_detector' then 'aerasgard-rftm' else profile end;
insert into series (device, point) select key, case kind when 'gas_detector' then 'gas' else 'temperature' end from device where kind in ('gas_detector', 'heat_detector');
insert into point_state (series, at, received_at, value, quality, changed_at, stored_at) select key, now(), now(), 20, 0, now(), now() from series;
insert into register_version (filing_number, since, division, type, title_zh, title_en, institution, actor)
select filing_number, now() - interval '400 days', division, type, title_zh, title_en, institution, 'bench' from register_entry on conflict do nothing;
insert into division_name select code, '-infinity', title_zh, title_en from division on conflict do nothing;
update work_order set citation = '{"title_zh": "规则", "title_en": "Rule"}';
insert into work_order_step (work_order, n, at, event, state, actor) select id, 1, issued_at, 'issue', 'issued', 'bench' from work_order on conflict do nothing;
update coverage_check set checked_at = now();
analyze;
"""
CHANGED = """
insert into change (kind, institution, payload) select 'alarm', key, '{}' from institution where key > 0 order by key limit 150
"""


async def measured(what: str, backend: int, act: Callable[[], Awaitable[object]]) -> None:
    """The second of two goes."""
    await act()
    ours, theirs, began = time.process_time(), cpu_seconds(backend), time.perf_counter()
    found = await act()
    took = time.perf_counter() - began
    ours, theirs = time.process_time() - ours, cpu_seconds(backend) - theirs
    print(f"| {what} | {took:.2f} s | {ours:.2f} s | {theirs:.2f} s | {found} |", flush=True)


async def look(url: str) -> None:
    """All figures."""
    profiles = load_profiles([data_folder("device-profiles")])
    weights = load_weights([data_folder("rule-packs")])
    now = datetime.now(UTC)
    at = to_micros(now)
    print("| what | clock | this process | database | result |\n|---|---|---|---|---|")
    async with open_order_desk(url, None) as desk:
        backend = desk._conn.info.backend_pid
        await measured("orders: a look at everything", backend, lambda: _moved(desk.look(at, Terms())))
        one = [f"i-{n:05}" for n in range(1, 101)]
        await measured("orders: at one institution", backend, lambda: _moved(desk.look(at, Terms(), one[:1])))
        await measured("orders: at 100 institutions", backend, lambda: _moved(desk.look(at, Terms(), one)))
        await measured("roll-up: the day's snapshot of all divisions", backend, lambda: desk.take(local_day(at), at))
    async with await connect(url, "bench", autocommit=True) as conn:
        backend = conn.info.backend_pid
        for name, place in (("a county", COUNTY), ("a city", CITY), ("the province", PROVINCE)):
            for what, act in (
                ("ledger of last month", partial(_month, conn, place, at)),
                ("figures of a year", partial(_year, conn, place, at)),
            ):
                await measured(f"{what}, {name}", backend, act)

        async def page(division: str | None) -> str:
            found = await fire_risk.listed(conn, EVERYTHING, division, profiles, weights, now)
            live = sum(one.standing is Standing.LIVE for _, one in found)
            return f"{len(found):,} institutions, {live} of them scored anew"

        async with open_book(url) as book:
            await measured("fire risk: all scored and kept", backend, lambda: score(book, profiles, weights, at))
        await measured("fire risk: the list of the province", backend, lambda: page(None))
        await measured("fire risk: the list of a county", backend, lambda: page(COUNTY))
        await conn.execute(CHANGED)
        await measured("fire risk: the list of the province, 150 institutions changed", backend, lambda: page(None))
        today = local_day(at)
        for span in (90, 365):
            await measured(
                f"fire risk: trend of the province over {span} days",
                backend,
                partial(_days, conn, today, span),
            )


async def _days(conn: Connection, today: date, span: int) -> str:
    return f"{len(await fire_days.of_many(conn, EVERYTHING, None, today - timedelta(days=span - 1), today))} days"


async def _moved(looking: Awaitable[object]) -> object:
    return getattr(await looking, "events", None)


async def _month(conn: Connection, division: str, at: int) -> str:
    last = to_datetime(at - 31 * 86_400_000_000)
    async with conn.transaction():
        await month.begin(conn)
        drawn = await month.draw_up(conn, division, f"{last:%Y-%m}", None, at)
    return f"{len(drawn.entries):,} entries, {len(drawn.orders):,} orders"


async def _year(conn: Connection, division: str, at: int) -> str:
    async with conn.transaction():
        await month.begin(conn)
        found = await month.year(conn, division, to_datetime(at).year, None, at)
    return f"{len(found.months)} rows"


async def _private(folder: Path, institutions: int) -> None:
    async with Engine(folder, durable=False, environment={}, mosquitto=False, say=lambda _: None) as own:
        await asyncio.to_thread(_seed, own.database_url, institutions)
        await look(own.database_url)


def _seed(url: str, institutions: int) -> None:
    upgrade(url)
    began = time.monotonic()
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"set bench.institutions = {institutions}".encode())
        conn.execute("set bench.days = 365")
        conn.execute(SEED.read_bytes())
        conn.execute("set session_replication_role = replica")
        conn.execute(MORE.encode())
    print(f"{facts()}; seeded in {time.monotonic() - began:.0f} s")


def main() -> None:
    """Seed, look, print a table."""
    parser = argparse.ArgumentParser(prog="scripts/bench figures", description=__doc__)
    parser.add_argument("--institutions", type=int, default=5000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="anxin-figures-") as folder:
        asyncio.run(_private(Path(folder), asked.institutions))


if __name__ == "__main__":
    main()
