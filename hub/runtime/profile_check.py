"""What is asked of a device profile before anybody relies on it. `anxin profile check` says it; tests ask it of every shipped one."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from hub.config import data_folder
from hub.errors import BadInput
from hub.model import LIFE_SAFETY, Lane, SignalClass
from hub.profiles import LINK_POINT, Kind, Profile, Record, load_profiles
from hub.runtime.drivers import find_driver
from hub.runtime.replay import OWN

HOUR = 3_600_000_000
DAY = 24 * HOUR


def flags(profile: Profile) -> list[str]:
    """What is allowed and must be known: it is said by `anxin profile check` and shown with every such device."""
    late = profile.liveness.late_because
    if not profile.is_found_late or late is None:
        return []
    hours = profile.liveness.offline_after / HOUR
    return [f"liveness.offline_after: a dead device stays green for {hours:g} h ({late.en})"]


def flags_of(path: Path, shipped: Mapping[str, Profile]) -> list[str]:
    """The flags of the profile in this file; none where it does not hold at all. Raises OSError."""
    try:
        return flags(_read(path, shipped))
    except BadInput:
        return []


def problems(path: Path, shipped: Mapping[str, Profile]) -> list[str]:
    """Everything that is wrong with the profile in this file, each with its key; empty when it holds. It may extend a shipped one. Raises OSError."""
    try:
        profile = _read(path, shipped)
    except BadInput as error:
        return [error.reason]
    return [*_understood(profile), *_promised(profile), *_told(profile)]


def _read(path: Path, shipped: Mapping[str, Profile]) -> Profile:
    text = path.read_text("utf-8", "replace")
    try:
        document = yaml.safe_load(text)
        name = document["profile"]
    except (yaml.YAMLError, TypeError, KeyError, RecursionError):
        raise BadInput("not a mapping in YAML with the key 'profile'", path.name, code="profile") from None
    if name in shipped and path.resolve().is_relative_to(data_folder("device-profiles").resolve()):
        return shipped[name]
    return _loaded(text, path.name, "extends" in document)[name]


def _loaded(text: str, name: str, extends: bool) -> dict[str, Profile]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_text(text, "utf-8")
        return load_profiles([Path(folder), *([data_folder("device-profiles")] if extends else [])])


def _understood(profile: Profile) -> Iterator[str]:
    if profile.driver == OWN:
        yield from (
            f"points.{name}.address: the edge's own points have none" for name, p in profile.points.items() if p.address
        )
        return
    try:
        driver = find_driver(profile.driver, "driver")
    except BadInput as error:
        yield str(error)
        return
    yield from _parsed(driver.Device, profile.device, "device", missing=False)
    for name, point in profile.points.items():
        yield from _parsed(driver.Address, point.address, f"points.{name}.address", missing=True)


def _parsed(model: Any, settings: Mapping[str, Any], where: str, *, missing: bool) -> Iterator[str]:
    """What the driver's model refuses; what is only missing may be the manifest's to say."""
    try:
        model.model_validate(settings)
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False):
            if missing or one["type"] != "missing":
                key = ".".join(str(part) for part in one["loc"])
                yield f"{where}.{key}: {one['msg']}" if key else f"{where}: {one['msg']}"


def _promised(profile: Profile) -> Iterator[str]:
    if profile.kind is Kind.HUB:
        return  # the hub itself: what it says of its own silence is the heartbeat's matter
    told = [alarm.signal_class for alarm in profile.alarms.values() if alarm.point == LINK_POINT]
    if told != [SignalClass.COMMUNICATION]:
        yield f"alarms: exactly one watches the point {LINK_POINT!r}, of class communication: else nobody hears of silence"
    if profile.lane is Lane.URGENT and profile.liveness.offline_after > DAY:
        yield "liveness.offline_after: a fire or panic is not left unheard for more than 24 h"
    if profile.is_found_late and profile.liveness.late_because is None:
        hours = profile.liveness.offline_after / HOUR
        yield f"liveness.offline_after: a dead device stays green for {hours:g} h; shorten it, or say in late_because why it cannot be"
    for name, alarm in profile.alarms.items():
        if alarm.signal_class in LIFE_SAFETY and not alarm.latching:
            yield f"alarms.{name}.latching: a fire or panic latches until a person ends it"
        point = profile.points.get(alarm.point)
        if alarm.condition.present is not None and (point is None or point.record is not Record.EVENT):
            yield f"alarms.{name}.condition: 'present' is for points that record events"
        if alarm.condition.present is not None and not alarm.latching:
            yield f"alarms.{name}.latching: an event does not clear, so its alarm latches"
        if point is not None and point.record is Record.BEAT:
            yield f"alarms.{name}.point: a beat is never judged"
    for name in (*profile.test.seen, *profile.test.pressed):
        polled = profile.points[name]
        if "every" in polled.model_fields_set and polled.every > profile.test.within:
            yield f"test.within: shorter than points.{name}.every, so that a test may end before {name} is read once"
    unshown = sorted({*profile.capabilities} - profile.shown_by_test)
    if unshown:
        yield f"test.proves: nothing in the test shows {', '.join(unshown)}, which will count as unknown for ever"
    for number, row in enumerate(profile.health):
        if profile.points[row.point].record is Record.BEAT:
            yield f"health.{number}.point: a beat is never judged"


def _told(profile: Profile) -> Iterator[str]:
    late = profile.liveness.late_because
    texts = [("title", profile.title), *([] if late is None else [("liveness.late_because", late)])]
    texts += [*((f"points.{name}.title", p.title) for name, p in profile.points.items())]
    for name, alarm in profile.alarms.items():
        texts += [(f"alarms.{name}.title", alarm.title), (f"alarms.{name}.response", alarm.response)]
    for where, text in texts:
        if not any("\u4e00" <= sign <= "\u9fff" for sign in text.zh):
            yield f"{where}.zh: holds no Chinese"
