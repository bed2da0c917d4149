"""One device: its three state axes, why it is not heard and what that rests on, its clock, when it was last proven, its tests."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from starlette.responses import Response

from hub.api import shapes
from hub.core.blindness_sentences import say
from hub.core.rights import Permission
from hub.errors import Conflict
from hub.store import audit, commissioning, console, police_windows, proofs, views
from hub.store.rows import Row
from hub.web.asking import Asked, said
from hub.web.rendering import local, render
from hub.web.words import word, worded

SHOWN = 10
_OPENING = timedelta(seconds=5)
"""what ingest takes to open a test: its time counts from there"""


async def show(ask: Asked) -> Response:
    """The device, retired or not."""
    id: str = ask.request.path_params["device"]
    device = shapes.device_row(ask.hub.profiles, await views.device(ask.conn, ask.who.scope, id))
    alarms = await console.active_alarms(ask.conn, ask.who.scope, limit=SHOWN, device=id)
    dialling = [name for name, profile in ask.hub.profiles.items() if profile.dials_police]
    position = device["position"]
    proven = await proofs.positions(
        ask.conn, ask.who.scope, limit=1, institution=device["institution"], position=position
    )
    return render(
        "device.html",
        ask=ask,
        device=device,
        place=await console.place_of(ask.conn, ask.who.scope, id),
        evidence=evidence(device["link_evidence"]),
        clock=await console.clock_of(ask.conn, ask.who.scope, id),
        proof=proven[0] if position is not None and proven and proven[0]["device"] == id else None,
        alarms=[worded(ask.hub.profiles, row) for row in alarms],
        tests=await console.function_tests(ask.conn, ask.who.scope, limit=SHOWN, device=id),
        windows=await police_windows.listed(ask.conn, ask.who.scope, limit=SHOWN, device=id),
        dials=bool(await console.dialling(ask.conn, ask.who.scope, dialling, limit=1, device=id)),
        may_test=ask.may(Permission.TEST) and device["retired_at"] is None,
        may_prove=ask.may(Permission.EXERCISE),
        now=ask.hub.clock(),
    )


def evidence(found: list[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What a cause rests on as sentences, their moments in Beijing time."""
    said_ = [say(one["what"], {name: _spoken(name, value) for name, value in one["facts"].items()}) for one in found]
    return [(one.zh, one.en) for one in said_]


def _spoken(name: str, value: Any) -> Any:
    return local(datetime.fromisoformat(value)) if name in ("since", "until") and isinstance(value, str) else value


def with_evidence(row: Row) -> Row:
    """A device's row with its evidence in words."""
    return {**row, "evidence": evidence(row["link_evidence"])}


async def test(ask: Asked) -> Response:
    """Begin a function test: nobody is paged for this device meanwhile. One that dials the police centre needs a booked window."""
    id: str = ask.request.path_params["device"]
    device = await views.device_key(ask.conn, ask.who.scope, id)
    profile = ask.hub.profiles.get(device.profile)
    if profile is None:
        raise Conflict(f"profile {device.profile!r} of device {id} is not installed")
    within, now = profile.test.within, ask.hub.clock()
    end = await police_windows.check(
        ask.conn, id, profile.dials_police, now, now + timedelta(microseconds=within) + _OPENING
    )
    started = await commissioning.request(ask.conn, id, ask.who.name, within, end)
    detail = {"test": str(started), "dials_police": end is not None, "by": "console"}
    await audit.record(ask.conn, ask.who.name, "device.test", f"device:{id}", detail)
    return said(ask, word("done.test"), f"/console/devices/{id}")
