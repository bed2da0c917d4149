"""Every query of Grafana's boards, as the roles that send them, over a province with a year of findings: `scripts/bench boards`.

5,000 institutions in 11 cities, 110 counties and 550 towns, 280,000 devices, 60 rules, five changes a year of every tenth verdict of each, a
year of totals by day and of alarms: all plainly invented, put into the tables by SQL. Each query runs once as the role of the province and once as
that of one county, for now, a past day and one county; what counts is the server's processor time (one process, no parallel workers), so that a
busy machine does not change it much. The goal is one second for each.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg

from bench.machine import cpu_seconds, facts, median, percentile
from dashboards.boards import boards
from dashboards.queries import expand, relative, sent
from hub.core.rights import EVERYTHING, Scope
from hub.engine import Engine
from hub.store.migrate import upgrade
from hub.store.pool import connect
from hub.store.readers import grant_reader

PASSWORD = "bench of the boards"
COUNTY = "140403"
TOO_LONG = 60_000.0
"""milliseconds after which a query is given up here; a reader's own limit is 10 s"""
SEED = Path(__file__).with_name("boards.sql")
LOOKS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("now", "now-30d", {}),
    ("a past day", "now-180d", {"as_of": "{past}", "known_at": ""}),
    ("a county", "now-90d", {"division": COUNTY, "institution": "all", "basis": "target"}),
)


def login(url: str, role: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}:{quote(PASSWORD)}@{parts.netloc.rpartition('@')[2]}"))


def _asked(uids: set[str]) -> Iterator[tuple[str, str, str]]:
    """Board, place and SQL of every query of the Chinese boards: the English ones differ in words."""
    for one in boards():
        if not one["uid"].endswith("-en") and (not uids or one["uid"] in uids):
            for where, _, sql in sent(one):
                yield one["uid"], where, sql


def measure(
    url: str, role: str, past: str, uids: set[str], explain: float, waited: list[float]
) -> list[tuple[float, str]]:
    """Milliseconds of the server's processor for each query, and where it stands; `waited` takes those of the clock."""
    found: list[tuple[float, str]] = []
    with psycopg.connect(login(url, role), autocommit=True) as conn:
        conn.execute("set statement_timeout = '60s'")
        for look, since, chosen in LOOKS:
            for uid, where, sql in _asked(uids):
                first = {
                    "division": "all", "institution": "all" if "institution" not in uid and "zone" not in uid else "i-00001",
                    "zone": "z-1", "device": "d-1", "basis": "obligation", "rule": "all", "group": "all", "as_of": "", "known_at": "",
                }  # fmt: skip
                values = {**first, **{key: value.format(past=past) for key, value in chosen.items()}}
                if "institution" in uid or "zone" in uid:
                    values["institution"] = "i-00001"
                now = datetime.now(UTC)
                text = expand(sql, relative(since, now), now, values).encode()
                used, began = cpu_seconds(conn.info.backend_pid), time.perf_counter()
                try:
                    conn.execute(text).fetchall()
                    took = (cpu_seconds(conn.info.backend_pid) - used) * 1000
                except psycopg.errors.QueryCanceled:
                    took = TOO_LONG
                waited.append((time.perf_counter() - began) * 1000)
                found.append((took, f"{uid}: {where} ({look})"))
                if explain < took < TOO_LONG:
                    plan = conn.execute(b"explain (analyze, buffers) " + text).fetchall()
                    print(
                        f"\n-- {took:.0f} ms {uid}: {where} ({look})\n{text.decode()}\n"
                        + "\n".join(str(row[0]) for row in plan)
                    )
    return sorted(found, reverse=True)


async def grant(url: str) -> None:
    """The roles of the province and of one county."""
    async with await connect(url, "bench", autocommit=True) as conn:
        await grant_reader(conn, "bench_province", EVERYTHING, PASSWORD, actor="bench")
        await grant_reader(conn, "bench_county", Scope(divisions=(COUNTY,)), PASSWORD, actor="bench")


def main() -> None:
    """Seed, measure, print a table of the slowest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--institutions", type=int, default=5000)
    parser.add_argument("--board", action="append", default=[])
    parser.add_argument("--explain", type=float, default=1e9, help="explain what takes more milliseconds than this")
    parser.add_argument("--url", default="", help="a database of one's own instead of a private engine")
    parser.add_argument("--seeded", action="store_true", help="it was seeded by an earlier run")
    asked = parser.parse_args()
    if asked.url:
        _all(asked.url, asked)
    else:
        with tempfile.TemporaryDirectory(prefix="anxin-boards-") as folder:
            asyncio.run(_private(Path(folder), asked))


async def _private(folder: Path, asked: argparse.Namespace) -> None:
    async with Engine(folder, durable=False, environment={}, mosquitto=False, say=lambda _: None) as own:
        await asyncio.to_thread(_all, own.database_url, asked)


def _all(url: str, asked: argparse.Namespace) -> None:
    if not asked.seeded:
        upgrade(url)
        began = time.monotonic()
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(f"set bench.institutions = {asked.institutions}".encode())
            conn.execute("set bench.days = 365")
            conn.execute(SEED.read_bytes())
        print(f"seeded in {time.monotonic() - began:.0f} s")
    asyncio.run(grant(url))
    with psycopg.connect(url, autocommit=True) as conn:
        counts = [
            conn.execute(f"select count(*) from {name}".encode()).fetchone()
            for name in ("institution", "device", "finding", "alarm", "coverage_day")
        ]
        conn.execute("update coverage_check set checked_at = now()")
    print(facts())
    print(
        "institutions, devices, findings, alarms, totals:",
        ", ".join(f"{row[0]:,}" for row in counts if row is not None),
    )
    past = datetime.fromtimestamp(time.time() - 150 * 86400, UTC).strftime("%Y-%m-%d")
    for role in ("bench_province", "bench_county"):
        waited: list[float] = []
        found = measure(url, role, past, set(asked.board), asked.explain, waited)
        slow = [one for one in found if one[0] > 1000]
        print(
            f"\n{role}: {len(found)} queries, {len(slow)} above one second of processor,"
            f" median {median([took for took, _ in found]):.0f} ms, 95 % {percentile([took for took, _ in found], 0.95):.0f} ms;"
            f" by the clock {median(waited):.0f} and {percentile(waited, 0.95):.0f} ms"
        )
        for took, where in found[:12]:
            print(f"| {took:.0f} ms | {where} |")


if __name__ == "__main__":
    main()
