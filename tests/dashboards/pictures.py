"""`scripts/pictures`: draws boards into docs/pictures from their JSON and the real results of their queries, over the bench's invented province.

There is no Grafana here: tests/dashboards/rendering.py draws, and every picture says so.
"""

import asyncio
import contextlib
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from bench.boards import SEED, login
from bench.boards import grant as grant_roles
from dashboards.boards import boards
from dashboards.queries import expand, relative
from hub.engine import Engine
from hub.engine.browser import ensure_browser
from hub.store.migrate import upgrade
from tests.dashboards.rendering import page
from tests.web.served import chromium

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
MOST = 150_000
"""bytes of a picture"""
HEIGHT = 760
INSTITUTIONS = 240
NOTHING = {
    "division": "all", "institution": "all", "zone": "z-1", "device": "none", "basis": "obligation", "rule": "all", "group": "all", "as_of": "", "known_at": "",
}  # fmt: skip
PAST = f"{datetime.now(UTC) - timedelta(days=150):%Y-%m-%d}"
"""a day of which the bench has looks"""
TAKEN: dict[str, tuple[str, str, dict[str, str], str]] = {
    "coverage": ("anxin-coverage", "bench_province", {"division": "14"}, "区划：14 某省（省级角色）"),
    "county": ("anxin-coverage", "bench_county", {}, "区划：全部（县级角色，只看到本县）"),
    "map": ("anxin-map", "bench_province", {}, "区划：全部；依据：义务；无瓦片"),
    "modules": ("anxin-modules", "bench_province", {}, "区划：全部"),
    "clauses": ("anxin-clauses-en", "bench_county", {}, "Division: all (role of one county); basis: obligation"),
    "recordings": ("anxin-recordings", "bench_county", {}, "区划：全部（县级角色）"),
    "fire": ("anxin-fire", "bench_county", {}, "区划：全部（县级角色）"),
    "devices": ("anxin-devices", "bench_county", {"as_of": PAST}, f"区划：全部（县级角色）；截至：{PAST}"),
}
"""Picture to board, role, choices, and what is said of them."""


def results(
    conn: psycopg.Connection[Any], board: dict[str, Any], chosen: dict[str, str]
) -> dict[tuple[int, str], list[dict[str, Any]]]:
    """What every query of the board's panels gives."""
    now = datetime.now(UTC)
    found: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for panel in board["panels"]:
        for target in panel["targets"]:
            cursor = conn.execute(expand(target["rawSql"], relative("now-90d", now), now, NOTHING | chosen).encode())
            assert cursor.description is not None
            names = [one.name for one in cursor.description]
            found[panel["id"], target["refId"]] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return found


async def take(url: str, folder: Path) -> None:
    """Draw all pictures; raises ValueError for one that is too large."""
    made = {one["uid"]: one for one in boards()}
    async with chromium(ensure_browser()) as browser:
        tab = await browser.new_page(viewport={"width": 1208, "height": 700})
        for name, (uid, role, chosen, words) in TAKEN.items():
            with psycopg.connect(login(url, role), autocommit=True) as conn:
                found = results(conn, made[uid], chosen)
            await tab.set_content(page(made[uid], found, words))
            picture = await tab.screenshot(
                full_page=True, type="png", clip={"x": 0, "y": 0, "width": 1208, "height": HEIGHT}
            )
            if len(picture) > MOST:
                raise ValueError(f"{name}: {len(picture)} bytes are more than {MOST}")
            (folder / f"{name}.png").write_bytes(picture)
            print(f"{name}.png {len(picture) // 1000} kB")


async def main() -> None:
    """An engine of its own, the province, the pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="anxin-pictures-", ignore_cleanup_errors=True) as place:
        async with Engine(Path(place), durable=False, environment={}, mosquitto=False, say=lambda _: None) as own:
            await asyncio.to_thread(upgrade, own.database_url)
            with psycopg.connect(own.database_url, autocommit=True) as conn:
                conn.execute(f"set bench.institutions = {INSTITUTIONS}".encode())
                conn.execute("set bench.days = 60")
                conn.execute(SEED.read_bytes())
            await grant_roles(own.database_url)
            await take(own.database_url, folder)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
