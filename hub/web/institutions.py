"""Institutions: the list of one's scope, and one institution with its zones, devices, readings and telephone numbers."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from starlette.responses import Response

from hub.api import shapes
from hub.api.floors import picture
from hub.core.rights import Permission
from hub.errors import NotFound
from hub.profiles import Profile
from hub.store import console, premises, views
from hub.store.rows import Row
from hub.web import arming
from hub.web.asking import Asked
from hub.web.charts import spark
from hub.web.devices import with_evidence
from hub.web.rendering import number, render
from hub.web.words import worded

LISTED = 100
DEVICES = 2_000
SERIES = 300
POINTS = 200
SPAN = timedelta(hours=24)
ALARMS = 50
_FLOOR = re.compile(r"-?[0-9]{1,3}")


async def show_all(ask: Asked) -> Response:
    """Institutions by id, with what is wrong there."""
    query = ask.request.query_params
    search = query.get("q", "").strip()[:100]
    after = query.get("after") or None
    rows = await console.institutions(ask.conn, ask.who.scope, limit=LISTED + 1, search=search, after=after)
    more = rows[LISTED - 1]["id"] if len(rows) > LISTED else None
    return render("institutions.html", ask=ask, institutions=rows[:LISTED], search=search, more=more)


async def show(ask: Asked) -> Response:
    """One institution."""
    id = ask.request.path_params["institution"]
    institution = await views.institution(ask.conn, ask.who.scope, id)
    found = [with_evidence(row) for row in await console.devices(ask.conn, ask.who.scope, id, limit=DEVICES)]
    alarms = await console.active_alarms(ask.conn, ask.who.scope, limit=ALARMS, institution=id)
    zones = [
        (key, list(rows))
        for key, rows in groupby(found, key=lambda row: (row["zone"], row["zone_zh"], row["zone_en"], row["floor"]))
    ]
    floors = await premises.plans(ask.conn, ask.who.scope, id)
    armed = await arming.state(ask, id)
    since, curves = await _curves(ask, id)
    return render(
        "institution.html",
        ask=ask,
        institution=institution,
        zones=zones,
        floors=[
            (floor, [row for row in found if row["floor"] == floor["floor"] and row["plan_x"] is not None])
            for floor in floors
        ],
        alarms=[worded(ask.hub.profiles, row) for row in alarms],
        armed=armed,
        may_maintain=ask.may(Permission.MAINTAIN),
        may_exercise=ask.may(Permission.EXERCISE),
        curves=curves,
        curves_since=since,
        now=ask.hub.clock(),
    )


async def _curves(ask: Asked, id: str) -> tuple[datetime, list[dict[str, Any]]]:
    """The charts of all series, over one span: a day, or since the first reading of a young institution."""
    until = ask.hub.clock()
    since = until - SPAN
    rows = await console.curves(ask.conn, ask.who.scope, id, since=since, until=until, limit=SERIES, points=POINTS)
    began = min((row["curve"][0][0] for row in rows if row["curve"]), default=since.timestamp())
    start = max(since.timestamp(), began)
    drawn = [_curve(ask.hub.profiles, row, start, until.timestamp()) for row in rows]
    return datetime.fromtimestamp(start, UTC), drawn


def _curve(profiles: Mapping[str, Profile], row: Row, since: float, until: float) -> dict[str, Any]:
    point = shapes.point_of(profiles, row["profile"], row["point"])
    label = shapes.label(point, row["value"])
    title = (row["point"], "") if point is None else (point.title.zh, point.title.en)
    latest = label if label is not None else row["text"] if row["text"] is not None else number(row["value"])
    steps = point is not None and point.type != "float"
    gap = 3600.0 if point is None else max(2.5 * point.report.reassert / 1e6, 120.0)
    return {
        **row,
        "title": title,
        "latest": latest,
        "unit": "" if point is None or label is not None else point.unit,
        "bad": row["quality"] >= 200,
        "chart": spark(row["curve"], since, until, f"{title[0]} {row['instance']}".strip(), gap=gap, steps=steps)
        if row["curve"]
        else None,
    }


async def show_floor(ask: Asked) -> Response:
    """The picture of one floor."""
    asked = ask.request.path_params
    if not _FLOOR.fullmatch(asked["floor"]):
        raise NotFound("there is no such floor")
    row = await premises.plan(ask.conn, ask.who.scope, asked["institution"], int(asked["floor"]))
    found = picture(row)
    found.headers["Cache-Control"] = "private, no-cache"
    return found
