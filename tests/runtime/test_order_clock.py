"""The loop of orders against a real database: it drafts, takes the day's roll-up, and lives through a lost connection."""

import asyncio
import contextlib

from hub.core.orders import DAY, Terms
from hub.model import Micros, to_micros
from hub.runtime import order_clock
from hub.testing import eventually
from tests.store.coverage_register import Register
from tests.store.findings import CITATION, add_finding

CITED = {**CITATION, "title_zh": "规则", "title_en": "Rule", "days_to_remedy": 30}


async def test_it_drafts_by_itself_takes_the_day_and_survives_a_lost_connection(fresh_database: str) -> None:
    register = Register(fresh_database)
    register.city()
    for rule, days in (("one", 30), ("two", 0)):
        add_finding(
            register._conn,
            subject="sun",
            rule=rule,
            verdict="non_compliant",
            since="2026-01-01",
            citation={**CITED, "days_to_remedy": days},
        )
    [[now]] = register.all("select now()")
    register.do("insert into coverage_check values ('sun', now() + interval '9 days')")
    at: Micros = to_micros(now)
    clock = {"at": at}
    running = asyncio.create_task(
        order_clock.run(
            fresh_database, terms=Terms(), profile=None, clock=lambda: clock["at"], look_seconds=0.05, take_seconds=0.05
        )
    )
    try:
        await eventually(
            lambda: (
                register.all("select rule, state from work_order order by rule") == [("one", "draft"), ("two", "draft")]
            )
        )
        await eventually(
            lambda: register.all("select register, connected from coverage_day where place = '1404'") == [(2, 1)]
        )
        register.do(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'anxin-orders' and datname = current_database()"
        )
        clock["at"] = at + DAY
        register.do(
            "insert into register_entry (filing_number, division, type, title_zh, title_en) values ('CZ-3', '1404', 'private', '册', 'R')"
        )
        await eventually(
            lambda: sorted(register.all("select register from coverage_day where place = '1404'")) == [(2,), (3,)]
        )
        assert register.all("select count(*) from work_order") == [(2,)]
        assert not running.done()
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        register.close()
