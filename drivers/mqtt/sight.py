"""Which devices stand behind the topics that were seen. Pure: topics and their last payloads in, devices out.

What a product publishes of itself is taken first (Zigbee2MQTT's list of devices, Tasmota's discovery message, Shelly's announcement), then what
its topics look like; what nobody recognises is listed topic by topic. Sources: Zigbee2MQTT, "MQTT topics and messages"; Tasmota, "MQTT" and
"Tasmota Device Locator"; Shelly technical documentation, Gen2 "Mqtt"; Axis developer documentation, "MQTT event bridge".
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from hub.driver import FoundPoint
from hub.model import Scalar

MOST_POINTS = 40
"""of one device"""
_MOST_DEPTH = 4
_SHELLY = re.compile(r"(?P<id>(?P<model>shelly[a-z0-9]+)-[0-9a-f]{6,12})/(?:online|events/rpc|status/.+|rpc|announce)")
_TASMOTA = re.compile(r"(?:tele|stat)/(?P<device>.+)/(?:LWT|STATE|SENSOR|RESULT|POWER\d*|INFO\d)")
_AXIS = re.compile(r"(?P<topic>axis[:/](?P<serial>[0-9A-Fa-f]{12})/event)/.+")
_ONVIF = re.compile(r"(?P<topic>(?:[^/]+/)*?)(?:tns:|tns1:|onvif-ej/)", re.IGNORECASE)


class Sight(NamedTuple):
    """One device as it was seen."""

    topic: str
    """the driver's `Device.topic`"""
    says: str
    marks: dict[str, str]
    points: tuple[FoundPoint, ...]


def devices(seen: Mapping[str, bytes]) -> list[Sight]:
    """The devices behind these topics (topic → last payload), in order of their topics; every topic counts for one device only."""
    rest = {topic: payload for topic, payload in seen.items() if not topic.startswith("$")}
    found: dict[str, Sight] = {}
    for look in (_zigbee2mqtt, _tasmota, _shelly, _axis, _onvif, _others):
        for sight, topics in look(rest):
            if 0 < len(sight.topic) <= 200 and not sight.topic.endswith("/"):  # as `Device` has it
                found.setdefault(sight.topic, sight)
            for topic in topics:
                rest.pop(topic, None)
    return [found[topic] for topic in sorted(found)]


_Seen = Iterator[tuple[Sight, list[str]]]


def _zigbee2mqtt(seen: dict[str, bytes]) -> _Seen:
    for topic in [name for name in seen if name.endswith("/bridge/devices")]:
        base = topic.removesuffix("/bridge/devices")
        listed = _json(seen[topic])
        for one in listed if isinstance(listed, list) else ():
            name, definition = _text(one, "friendly_name"), _part(one, "definition")
            if not name or not isinstance(definition, Mapping):
                continue  # the coordinator, or a product that it does not support
            marks = {"style": "zigbee2mqtt"}
            for mark, key in (("vendor", "vendor"), ("model", "model"), ("description", "description")):
                if said := _text(definition, key):
                    marks[mark] = said
            own = f"{base}/{name}"
            mine = [t for t in seen if t == own or t.startswith(f"{own}/")]
            yield _sight(own, marks, seen, mine), mine
        rest = [t for t in seen if t.startswith(f"{base}/bridge/")]
        for name in rest:
            del seen[name]
    for topic, payload in list(seen.items()):
        document = _json(payload)
        if isinstance(document, Mapping) and "linkquality" in document:
            mine = [t for t in (topic, f"{topic}/availability") if t in seen]
            yield _sight(topic, {"style": "zigbee2mqtt"}, seen, mine), mine


def _tasmota(seen: dict[str, bytes]) -> _Seen:
    told: dict[str, Any] = {}
    for topic in [name for name in seen if re.fullmatch(r"tasmota/discovery/[^/]+/(config|sensors)", name)]:
        document = _json(seen[topic])
        if topic.endswith("/config") and (device := _text(document, "t")):
            told[device] = document
        del seen[topic]
    by_device: dict[str, list[str]] = {device: [] for device in told}
    for topic in seen:
        if match := _TASMOTA.fullmatch(topic):
            by_device.setdefault(match["device"], []).append(topic)
    for device, mine in by_device.items():
        marks = {"style": "tasmota"}
        for mark, key in (("model", "md"), ("revision", "sw"), ("name", "dn")):
            if said := _text(told.get(device), key):
                marks[mark] = said
        yield _sight(device, marks, seen, mine), mine


def _shelly(seen: Mapping[str, bytes]) -> _Seen:
    by_id: dict[str, list[str]] = {}
    models: dict[str, str] = {}
    for topic in seen:
        if match := _SHELLY.fullmatch(topic):
            by_id.setdefault(match["id"], []).append(topic)
            models[match["id"]] = match["model"]
    for name, mine in by_id.items():
        yield _sight(name, {"style": "shelly", "vendor": "Shelly", "model": models[name]}, seen, mine), mine


def _axis(seen: Mapping[str, bytes]) -> _Seen:
    by_topic: dict[str, list[str]] = {}
    serials: dict[str, str] = {}
    for topic in seen:
        if match := _AXIS.fullmatch(topic):
            by_topic.setdefault(match["topic"], []).append(topic)
            serials[match["topic"]] = match["serial"]
    for name, mine in by_topic.items():
        yield _sight(name, {"style": "axis", "vendor": "Axis", "serial": serials[name]}, seen, mine), mine


def _onvif(seen: Mapping[str, bytes]) -> _Seen:
    by_topic: dict[str, list[str]] = {}
    for topic in seen:
        if (match := _ONVIF.match(topic)) and match["topic"].strip("/"):
            by_topic.setdefault(match["topic"].strip("/"), []).append(topic)
    for name, mine in by_topic.items():
        yield _sight(name, {"style": "onvif"}, seen, mine), mine


def _others(seen: Mapping[str, bytes]) -> _Seen:
    for topic in list(seen):
        yield _sight(topic, {}, seen, [topic]), [topic]


def _sight(topic: str, marks: dict[str, str], seen: Mapping[str, bytes], mine: list[str]) -> Sight:
    marks = {**marks, "topic": topic[:200]}
    points = [point for name in sorted(mine) for point in _points(name, topic, seen[name])]
    words = [marks[mark] for mark in ("style", "vendor", "model", "description", "name") if mark in marks]
    return Sight(topic, " ".join(words), marks, tuple(points[:MOST_POINTS]))


def _points(topic: str, device: str, payload: bytes) -> Iterator[FoundPoint]:
    if topic == device:
        place: dict[str, Any] = {}
    elif topic.startswith(f"{device}/"):
        place = {"topic": topic.removeprefix(f"{device}/")}
    else:
        place = {"topic": topic.replace(device, "{device}", 1)}
    document = _json(payload)
    if isinstance(document, dict | list):
        for pointer, value in _leaves(document, ""):
            yield FoundPoint(_name(pointer), {**place, "pointer": pointer}, value)
        return
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return
    if "\0" not in text:
        yield FoundPoint(_name(topic.rpartition("/")[2]), {**place, "format": "raw"}, text[:200])


def _leaves(document: Any, at: str) -> Iterator[tuple[str, Scalar]]:
    if at.count("/") >= _MOST_DEPTH:
        return
    parts = document.items() if isinstance(document, dict) else enumerate(document[:16])
    for key, value in parts:
        pointer = f"{at}/{str(key).replace('~', '~0').replace('/', '~1')}"
        if isinstance(value, dict | list):
            yield from _leaves(value, pointer)
        elif isinstance(value, bool | int | float):
            yield pointer, value
        elif isinstance(value, str):
            yield pointer, value[:200]


def _name(text: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:40].strip("_")
    return plain if plain[:1].isalpha() else f"p_{plain}"[:40].rstrip("_")


def _json(payload: bytes) -> Any:
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _part(document: Any, key: str) -> Any:
    return document.get(key) if isinstance(document, Mapping) else None


def _text(document: Any, key: str) -> str:
    found = _part(document, key)
    return found[:120] if isinstance(found, str) else ""
