"""Authorities, and alarms handed to them: by an operator's button, or by the authority's standing order. Nothing here takes an exercise."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from hub.api.access import Acknowledger, Administrator, Conn, Hub, Reader
from hub.api.alarm_schemas import SignalClassName
from hub.api.alarms import AlarmId
from hub.api.problems import documented
from hub.api.schemas import DivisionCode, Given, GivenMoment, Identifier, Line, Moment, Name
from hub.core.rights import EVERYTHING, Principal
from hub.errors import BadInput, Forbidden, NotFound
from hub.model import SECOND, SignalClass
from hub.notify.authority import handover_id, open_authority
from hub.store import audit, handovers, views
from hub.store.pool import Connection
from hub.store.rows import Row

router = APIRouter(tags=["authorities"])

AuthorityKind = Literal["police", "fire", "superior"]
AuthorityId = Annotated[Identifier, Path(description="The authority's id.")]


class AuthorityChannel(BaseModel):
    """One way to the authority's own system; its settings are shown to nobody."""

    id: str
    kind: str


class Authority(BaseModel):
    """Police, fire service, or the level above."""

    id: str
    kind: AuthorityKind
    title: Name
    division: str = Field(description="it is responsible for the institutions in it")
    phone: str = Field(description="what the operator dials; empty where only its system is told")
    automatic_classes: list[SignalClassName]
    automatic_after: float | None = Field(description="seconds without an answer after which it is told by itself")
    channels: list[AuthorityChannel]
    version: int


class GivenChannel(Given):
    """A channel to an authority."""

    id: Identifier
    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    settings: dict[str, Any] = Field(repr=False)


class GivenTitle(Given):
    """Text for people."""

    zh: Line
    en: Line


class GivenAuthority(Given):
    """An authority as it is registered."""

    model_config = ConfigDict(hide_input_in_errors=True)

    kind: AuthorityKind
    title: GivenTitle
    division: DivisionCode
    phone: str = Field(default="", pattern=r"^[0-9+#*, -]{0,40}$")
    automatic_classes: list[Literal["fire", "panic"]] = Field(default_factory=list, max_length=2)
    automatic_after: float | None = Field(default=None, ge=0, le=86_400, allow_inf_nan=False)
    channels: list[GivenChannel] = Field(default_factory=list, max_length=10)

    @model_validator(mode="after")
    def _is_whole(self) -> "GivenAuthority":
        if (self.automatic_after is None) != (not self.automatic_classes):
            raise ValueError("automatic_classes and automatic_after are given together")
        if len({channel.id for channel in self.channels}) != len(self.channels):
            raise ValueError("each channel has an id of its own")
        if not self.channels and not self.phone:
            raise ValueError("an authority has a phone or a channel")
        if self.automatic_classes and not self.channels:
            raise ValueError("nobody dials by itself: a standing order needs a channel")
        return self


class HandoverAttempt(BaseModel):
    """One try on one channel of an authority."""

    n: int
    at: Moment
    outcome: str
    code: int | None


class HandoverMessage(BaseModel):
    """What became of it on one channel."""

    channel: str
    state: str
    last_error: str
    attempts: list[HandoverAttempt]


class AlarmHandover(BaseModel):
    """An alarm that was handed to an authority, and what is known of its reception."""

    authority: str
    kind: AuthorityKind
    title: Name
    phone: str
    automatic: bool
    begun_at: Moment
    begun_by: str
    note: str
    received_at: Moment | None
    received_by: str | None = Field(description="who at the authority said that they have it")
    reference: str = Field(description="the number under which they have it")
    received_recorded_at: Moment | None
    received_recorded_by: str | None
    arrived_at: Moment | None
    arrived_recorded_at: Moment | None
    arrived_recorded_by: str | None
    messages: list[HandoverMessage]


class GivenAlarmHandover(Given):
    """Hand this alarm to that authority."""

    authority: Identifier
    note: str = Field(default="", max_length=1000)


class GivenReception(Given):
    """They have it: who said so there, under which number, when (now where left out)."""

    received_by: Line
    reference: str = Field(default="", max_length=100)
    at: GivenMoment | None = None


class GivenArrival(Given):
    """They are there."""

    note: str = Field(default="", max_length=1000)
    at: GivenMoment | None = None


@router.get("/authorities")
async def list_authorities(
    who: Reader,
    conn: Conn,
    institution: Annotated[Identifier | None, Query(description="Those responsible for this institution.")] = None,
) -> list[Authority]:
    """Authorities of your scope's divisions, without addresses and secrets."""
    if institution is not None:
        await views.institution(conn, who.scope, institution)
    return [_authority(row) for row in await handovers.authorities(conn, who.scope, institution=institution)]


@router.put("/authorities/{authority}", responses=documented(409))
async def put_authority(
    who: Administrator, conn: Conn, hub: Hub, authority: AuthorityId, given: GivenAuthority
) -> Authority:
    """Register or change an authority, with exactly these channels. Every alarm that is handed over is real: there is no test of it."""
    await _within(conn, who, authority, given.division)
    channels: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for channel in given.channels:
        open_authority(
            channel.kind,
            channel.settings,
            f"channels.{channel.id}",
            allow_loopback=hub.settings.allow_loopback,
        )
        channels[channel.id] = (channel.kind, channel.settings)
    order = None
    if given.automatic_after is not None:
        classes = frozenset(SignalClass(name) for name in given.automatic_classes)
        order = handovers.Order(classes, int(given.automatic_after * SECOND))
    made = handovers.Authority(
        authority, given.kind, given.title.zh, given.title.en, given.division, given.phone, order, channels
    )
    await handovers.put_authority(conn, made)
    await audit.record(conn, who.name, "authority.put", f"authority:{authority}", {"channels": sorted(channels)})
    return await _shown(conn, who.scope, authority)


@router.delete("/authorities/{authority}", status_code=204)
async def retire_authority(who: Administrator, conn: Conn, authority: AuthorityId) -> None:
    """Nothing is handed to it any more; what was, stays recorded."""
    await _within(conn, who, authority, None)
    await handovers.retire_authority(conn, authority)
    await audit.record(conn, who.name, "authority.retire", f"authority:{authority}", {})


@router.get("/alarms/{alarm}/handovers")
async def list_alarm_handovers(who: Reader, conn: Conn, alarm: AlarmId) -> list[AlarmHandover]:
    """To whom this alarm was handed, and what is known of its reception."""
    await views.alarm(conn, who.scope, alarm)
    return await _of(conn, alarm)


@router.post("/alarms/{alarm}/handovers", responses=documented(409))
async def hand_over(who: Acknowledger, conn: Conn, alarm: AlarmId, asked: GivenAlarmHandover) -> list[AlarmHandover]:
    """Hand a real alarm to an authority: its channels are told at once, or you dial. Done twice it is done once. An exercise is refused (409)."""
    await views.alarm(conn, who.scope, alarm)
    name = handover_id(alarm, asked.authority)
    if await handovers.begin(conn, name, alarm, asked.authority, who.name, asked.note):
        detail = {"authority": asked.authority, "note": asked.note}
        await audit.record(conn, who.name, "alarm.hand-over", f"alarm:{alarm}", detail)
    return await _of(conn, alarm)


@router.post("/alarms/{alarm}/handovers/{authority}/received", responses=documented(409))
async def handover_received(
    who: Acknowledger, conn: Conn, hub: Hub, alarm: AlarmId, authority: AuthorityId, asked: GivenReception
) -> list[AlarmHandover]:
    """Write down that the authority has it: who said so, under which number, when. Once; later words are comments."""
    await views.alarm(conn, who.scope, alarm)
    _not_ahead(hub, asked.at)
    await handovers.received(conn, alarm, authority, who.name, asked.received_by, asked.reference, asked.at)
    detail = {"authority": authority, "received_by": asked.received_by, "reference": asked.reference}
    await audit.record(conn, who.name, "alarm.handover-received", f"alarm:{alarm}", detail)
    return await _of(conn, alarm)


@router.post("/alarms/{alarm}/handovers/{authority}/arrived", responses=documented(409))
async def handover_arrived(
    who: Acknowledger, conn: Conn, hub: Hub, alarm: AlarmId, authority: AuthorityId, asked: GivenArrival | None = None
) -> list[AlarmHandover]:
    """Write down that they are there."""
    await views.alarm(conn, who.scope, alarm)
    given = GivenArrival() if asked is None else asked
    _not_ahead(hub, given.at)
    await handovers.arrived(conn, alarm, authority, who.name, given.note, given.at)
    await audit.record(conn, who.name, "alarm.handover-arrived", f"alarm:{alarm}", {"authority": authority})
    return await _of(conn, alarm)


async def _within(conn: Connection, who: Principal, authority: str, division: str | None) -> None:
    """Who administers a part may set up authorities of that part only: raises Forbidden for the division asked for and for the one that it has."""
    found = await handovers.authorities(conn, EVERYTHING, id=authority)
    divisions = [row["division"] for row in found] + ([] if division is None else [division])
    if not who.scope.everything and not all(
        any(name.startswith(prefix) for prefix in who.scope.divisions) for name in divisions
    ):
        raise Forbidden("this authority's division lies beyond your scope")


def _not_ahead(hub: Hub, at: GivenMoment | None) -> None:
    if at is not None and at > hub.clock() + timedelta(minutes=1):
        raise BadInput("this is still to come", "#/at", code="time")


async def _of(conn: Connection, alarm: AlarmId) -> list[AlarmHandover]:
    return [AlarmHandover.model_validate(_titled(row)) for row in await handovers.of_alarm(conn, alarm)]


def _titled(row: Row) -> Row:
    return {**row, "title": Name(zh=row["title_zh"], en=row["title_en"])}


def _authority(row: Row) -> Authority:
    return Authority.model_validate(_titled(row))


async def _shown(conn: Connection, scope: Any, authority: str) -> Authority:
    rows = await handovers.authorities(conn, scope, id=authority)
    if not rows:
        raise NotFound(f"there is no authority {authority!r} within your scope")
    return _authority(rows[0])
