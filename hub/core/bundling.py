"""A bundle put together: an edge, where it stands, and every device behind it with the points of its profile, resolved."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from hub.bundle import Broker, Bundle, BundleDevice, BundleEndpoint, BundlePoint, LocalRule, RuleWatch
from hub.errors import Conflict
from hub.model import Lane, Micros, SignalClass
from hub.profiles import Kind, Profile


class Behind(NamedTuple):
    """An endpoint of an edge and one device behind it; `device` and what follows are None where there is none."""

    endpoint: str
    driver: str
    endpoint_settings: Mapping[str, Any]
    device: str | None
    profile: str | None
    lane: Lane | None
    settings: Mapping[str, Any] | None
    zone: str | None = None
    out_of_service: bool = False


def bundle_of(
    edge: str,
    institution: str,
    partition: int,
    profile: Profile,
    broker: Broker,
    rows: Iterable[Behind],
    profiles: Mapping[str, Profile],
    local_rules: Iterable[Mapping[str, Any]] = (),
) -> Bundle:
    """The bundle of `edge`; `rows` are ordered by endpoint, `local_rules` are as a manifest declares them.

    Raises Conflict where a device's profile is not installed any more, or a siren cannot be written.
    """
    rows = list(rows)
    endpoints = []
    for (name, driver), group in groupby(rows, key=lambda row: (row.endpoint, row.driver)):
        behind = list(group)
        devices = tuple(_device(row, profiles) for row in behind if row.device is not None)
        settings = dict(behind[0].endpoint_settings)
        endpoints.append(BundleEndpoint(id=name, driver=driver, settings=settings, devices=devices))
    return Bundle(
        edge=edge,
        institution=institution,
        partition=partition,
        broker=broker,
        beat=profile.liveness.beat,
        endpoints=tuple(endpoints),
        local_rules=tuple(
            made for rule in local_rules if (made := _rule(rule, rows, profiles, profile.liveness.beat)) is not None
        ),
    )


def is_for_panic(profile: Profile) -> bool:
    """Whether a device of this profile is never looked at by a local rule: nothing automatic sounds on a panic press."""
    classes = {alarm.signal_class for alarm in profile.alarms.values()}
    return profile.kind is Kind.PANIC_BUTTON or SignalClass.PANIC in classes


def _rule(
    rule: Mapping[str, Any], rows: Iterable[Behind], profiles: Mapping[str, Profile], beat: Micros
) -> LocalRule | None:
    """The rule with what it watches, resolved; None while every device that it names is out of service."""
    by_device = {row.device: row for row in rows if row.device is not None}
    siren = by_device.get(rule["siren"])
    point = None if siren is None else profiles[siren.profile or ""].points.get(rule["point"])
    if point is None or not point.writable:
        raise Conflict(f"local rule {rule['id']!r}: {rule['siren']}/{rule['point']} is no writable point of this edge")
    watches = []
    for device, row in by_device.items():
        profile = profiles[row.profile or ""]
        named = device in rule["devices"] or row.zone in rule["zones"]
        if not named or row.out_of_service or is_for_panic(profile):
            continue
        classes = tuple(sorted({alarm.signal_class for alarm in profile.alarms.values()}))
        for name, alarm in profile.alarms.items():
            if alarm.signal_class is SignalClass.FIRE and alarm.point in profile.points:
                reads = profile.points[alarm.point].model_copy(update={"address": {}})
                watches.append(RuleWatch(device=device, definition=name, alarm=alarm, reads=reads, classes=classes))
    if not watches:
        return None
    return LocalRule(
        id=rule["id"],
        siren=rule["siren"],
        point=rule["point"],
        value=rule["value"],
        after=max(rule["after"], 3 * beat),
        watches=tuple(watches),
    )


def _device(row: Behind, profiles: Mapping[str, Profile]) -> BundleDevice:
    profile = profiles.get(row.profile or "")
    if profile is None or row.device is None or row.lane is None:
        raise Conflict(f"device {row.device!r}: its profile {row.profile!r} is not installed on the hub")
    settings = {**profile.device, **(row.settings or {})}
    return BundleDevice(id=row.device, lane=row.lane, settings=settings, points=bundle_points(profile))


def bundle_points(profile: Profile) -> tuple[BundlePoint, ...]:
    """The points of a device of this profile, as an edge must know them."""
    return tuple(
        BundlePoint(
            point=name,
            type=point.type,
            record=point.record,
            every=point.every,
            address=point.address,
            instances=point.instances,
            writable=point.writable,
        )
        for name, point in profile.points.items()
    )
