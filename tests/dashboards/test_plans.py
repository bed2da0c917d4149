"""What the boards' queries cost as the role of one county: as much as there is to look at, not that for each of its rows.

Counted in blocks that PostgreSQL touches, which are the same on every machine; by the clock and at full size: `scripts/bench boards`.
"""

import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from dashboards.queries import expand, relative, sent
from tests.dashboards.asked import CHINESE, CHOSEN, MADE, MINE, OTHER
from tests.dashboards.conftest import Readers

INSTITUTIONS = 300
MOST = 6 * INSTITUTIONS
"""Blocks of one query. The whole data are some 500; what looks anew for each institution or entry of the neighbour touches tens of thousands."""

_NEIGHBOUR = f"""
with made as (
    insert into institution (id, division, type, title_zh, title_en, partition)
    select 'n-' || n, '{OTHER}', 'community_point', '邻' || n, 'Neighbour ' || n, 3 from generate_series(1, {INSTITUTIONS}) n returning key, id
), entered as (
    insert into register_entry (filing_number, division, type, title_zh, title_en, institution)
    select 'N-' || id, '{OTHER}', 'community_point', '邻', 'Neighbour', key from made
), placed as (
    insert into zone (institution, id, purpose, title_zh, title_en) select key, 'nap', 'nap_room', '睡眠室', 'Nap' from made returning key, institution
), hung as (
    insert into position (institution, id, zone, title_zh, title_en) select institution, 'p', key, '位', 'P' from placed returning key, institution
)
insert into device (id, institution, position, profile, kind, lane)
select 'n-' || institution, institution, key, 'p', 'camera', 'bulk' from hung;
insert into device_state (device, admin_state, link_state) select key, 'in_service', 'online' from device where id like 'n-%';
insert into finding (subject, institution, rule, basis, module, verdict, reason, statement, true_from, verdict_since)
select i.id, i.key, 'rule-' || r, 'obligation', 'fire', 'compliant', 'judged', (select hash from statement limit 1), now() - interval '60 days', now() - interval '60 days'
from institution i, generate_series(1, 5) r where i.id like 'n-%';
insert into coverage_check select id, now() from institution where id like 'n-%';
analyze;
"""


@pytest.fixture(scope="module")
def neighbour(readers: Readers) -> None:
    """The other county has three hundred institutions."""
    with psycopg.connect(readers.url, autocommit=True) as conn:
        conn.execute(_NEIGHBOUR.encode())


@pytest.mark.parametrize("uid", CHINESE)
def test_no_query_of_a_county_looks_anew_for_each_row_of_its_neighbours(
    neighbour: None, readers: Readers, uid: str
) -> None:
    now = datetime.now(UTC)
    past = (now - timedelta(days=20)).strftime("%Y-%m-%d %H:%M")
    names = {variable["name"] for variable in MADE[uid]["templating"]["list"]}
    looks = [{}, {"as_of": past}] if "as_of" in names else [{}]
    with readers.connect(MINE) as conn:
        for chosen in looks:
            for where, _, sql in sent(MADE[uid]):
                text = expand(sql, relative("now-90d", now), now, {**CHOSEN, "institution": "all", **chosen})
                row = conn.execute(b"explain (analyze, buffers, timing off, format json) " + text.encode()).fetchone()
                assert row is not None
                plan = row[0] if isinstance(row[0], list) else json.loads(str(row[0]))
                touched = plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]
                assert touched <= MOST, (where, chosen, touched)


def test_the_planners_estimates_do_not_tell_how_much_another_county_has(neighbour: None, readers: Readers) -> None:
    told = []
    with readers.connect(MINE) as conn:
        views = [
            str(row[0])
            for row in conn.execute(
                "select table_name from information_schema.columns where table_schema = 'dash' and column_name = 'division'"
            )
        ]
        assert len(views) > 10
        for view in views:
            guesses = set()
            for division in (OTHER, "999999"):
                query = f"explain (format json) select * from dash.{view} where division = '{division}'"
                row = conn.execute(query.encode()).fetchone()
                assert row is not None
                assert isinstance(row[0], list)
                guesses.add(row[0][0]["Plan"]["Plan Rows"])
            if len(guesses) > 1:
                told.append((view, guesses))
    assert [view for view, _ in told] == []
