"""The simulator `onvif`: a device that says of itself what a case holds, and then what happens.

`device.yaml`: `identity` (Manufacturer, Model …), `streams`, `days` of pictures with a gap of `gap_hours`, `clock_offset`, `draws_time`,
`refuses` (operations). `events.jsonl`, where there is one: a line `{"topic", "item", "value", "source"}` each, said in order.
"""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from drivers.simulator.exchange import content_of
from drivers.simulator.faults import CLOCK, DUPLICATE, HALF, Faults
from drivers.simulator.onvif import OnvifDevice, Stream
from hub.errors import BadInput
from hub.model import Scalar
from hub.simulation import ALL_WORDS, Mark, Place, Played, Settings, Values

DEVICE, EVENTS = "device.yaml", "events.jsonl"
_END = "tns1:AnxinCase/End"
_SOON = 20.0
"""Seconds until somebody listens."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Stream(_Model):
    token: str
    name: str
    width: int
    height: int
    fps: int
    encoding: str = "H264"
    bitrate: int = 4096
    source: str = "source-1"


class _Device(_Model):
    identity: dict[str, str] = Field(default_factory=dict)
    streams: Annotated[tuple[_Stream, ...], Field(max_length=64)] = ()
    days: float | None = Field(default=None, gt=0, le=4000)
    gap_hours: float = Field(default=0.0, ge=0)
    clock_offset: float = 0.0
    draws_time: bool = True
    refuses: tuple[str, ...] = ()


class _Event(_Model):
    topic: str
    item: str
    value: str
    source: dict[str, str] = Field(default_factory=dict)


class _Replay:
    """Answers as the device, and says the events once somebody listens."""

    end = Mark({}, {"event": _END, "item": "State"}, "bool")

    def __init__(self, device: OnvifDevice, events: Sequence[_Event]) -> None:
        self._device = device
        self._events = events
        self.endpoint: dict[str, Any] = {
            "host": device.host,
            "port": device.port,
            "username": device.user,
            "password": device.password,
        }

    async def play(self) -> None:
        """Raises TimeoutError when nobody listens."""
        async with asyncio.timeout(_SOON):
            while not self._device.subscriptions:
                await asyncio.sleep(0.01)
        for one in self._events:
            await self._device.happen(one.topic, one.item, one.value, one.source or None)
        await self._device.happen(_END, "State", "true")


class OnvifSimulator:
    """A device on loopback with a user of its own."""

    name = "onvif"

    @contextlib.asynccontextmanager
    async def replay(self, files: Mapping[str, bytes], place: Place) -> AsyncIterator[_Replay]:
        """`device.yaml` and `events.jsonl`."""
        about, events = read_device(content_of(files, DEVICE)), []
        if EVENTS in files:
            events = read_events(content_of(files, EVENTS))
        device = OnvifDevice(
            user="case",
            password=secrets.token_hex(8),
            identity=about.identity,
            clock_offset=about.clock_offset,
        )
        if about.streams:
            device.streams = [Stream(**one.model_dump()) for one in about.streams]
        device.draws_time = about.draws_time
        device.refused.update(about.refuses)
        if about.days is not None:
            device.set_footage(about.days, about.gap_hours)
        async with device:
            yield _Replay(device, events)

    @contextlib.asynccontextmanager
    async def play(self, played: Played, place: Place) -> AsyncIterator["_Playing"]:
        """A camera with a hundred days of footage."""
        device = OnvifDevice(user=f"sim-{played.name}", password=secrets.token_urlsafe(12))
        device.set_footage(100.0, 0.0)
        async with device:
            yield _Playing(played, device)


class _Playing:
    """A camera that answers for itself, with its events played; figures of streams and footage are its own."""

    words: Mapping[str, frozenset[Scalar]] = ALL_WORDS
    instances = ("1",)

    def __init__(self, played: Played, device: OnvifDevice) -> None:
        self._parts = {part.point: part.address for part in played.parts}
        self.cannot = frozenset(part.point for part in played.parts if part.address.event is None)
        self.device: Settings = {}
        self.endpoint: Settings = _Replay(device, ()).endpoint
        self._device = device
        self._faults = Faults(played.faults, played.seed)

    @property
    def spoilt(self) -> Mapping[str, int]:
        """Faults so far."""
        return self._faults.played

    async def show(self, values: Values) -> bool:
        """Let each property take its value; before an answer may come garbage, and the clock may jump."""
        if self._faults.draw(CLOCK):
            self._device.clock_offset = self._faults.jump()
        if self._faults.draw(HALF):
            self._device.garble_next()
        for (point, _), raw in values.items():
            address = self._parts[point]
            times = 2 if self._faults.draw(DUPLICATE) else 1
            for _ in range(times):
                await self._device.happen(
                    address.event, address.item, word_of(point, address, raw), address.source or None
                )
        return self._device.subscriptions > 0


def word_of(point: str, address: Any, raw: Scalar) -> str:
    """What the item of a message says for this raw value; raises BadInput where there is no word."""
    if address.map is not None:
        for word, value in address.map.items():
            if value == raw:
                return str(word)
        raise BadInput(f"the point's map has no word for {raw!r}", point, code="unplayable")
    said = raw
    if address.equals is not None:
        said = address.equals if raw else (not address.equals if isinstance(address.equals, bool) else "")
    return str(said).lower() if isinstance(said, bool) else str(said)


def read_device(text: str) -> _Device:
    """What a device says of itself; raises BadInput that names the key."""
    try:
        return _Device.model_validate(yaml.safe_load(text) or {})
    except yaml.YAMLError as error:
        raise BadInput(" ".join(str(error).split()), DEVICE, code="case") from None
    except ValidationError as error:
        raise _refused(error, DEVICE) from None


def read_events(text: str) -> list[_Event]:
    """What happens, in order; raises BadInput that names the line."""
    events = []
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{EVENTS}:{number}"
        try:
            events.append(_Event.model_validate(json.loads(line)))
        except ValidationError as error:
            raise _refused(error, where) from None
        except ValueError as error:
            raise BadInput(f"no JSON: {error}", where, code="case") from None
    return events


def _refused(error: ValidationError, where: str) -> BadInput:
    first = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    return BadInput(f"{key}: {first['msg']}" if key else str(first["msg"]), where, code="case")


simulator = OnvifSimulator()
