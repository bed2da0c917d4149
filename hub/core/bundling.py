"""A bundle put together: an edge, where it stands, and every device behind it with the points of its profile, resolved."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from hub.bundle import Broker, Bundle, BundleDevice, BundleEndpoint, BundlePoint
from hub.errors import Conflict
from hub.model import Lane
from hub.profiles import Profile


class Behind(NamedTuple):
    """An endpoint of an edge and one device behind it; `device` and what follows are None where there is none."""

    endpoint: str
    driver: str
    endpoint_settings: Mapping[str, Any]
    device: str | None
    profile: str | None
    lane: Lane | None
    settings: Mapping[str, Any] | None


def bundle_of(
    edge: str,
    institution: str,
    partition: int,
    profile: Profile,
    broker: Broker,
    rows: Iterable[Behind],
    profiles: Mapping[str, Profile],
) -> Bundle:
    """The bundle of `edge`; `rows` are ordered by endpoint. Raises Conflict where a device's profile is not installed any more."""
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
    )


def _device(row: Behind, profiles: Mapping[str, Profile]) -> BundleDevice:
    profile = profiles.get(row.profile or "")
    if profile is None or row.device is None or row.lane is None:
        raise Conflict(f"device {row.device!r}: its profile {row.profile!r} is not installed on the hub")
    points = tuple(
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
    settings = {**profile.device, **(row.settings or {})}
    return BundleDevice(id=row.device, lane=row.lane, settings=settings, points=points)
