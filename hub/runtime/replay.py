"""Playing a case: its simulator is the far end, the real driver reads it over the wire, and what came is returned.

A profile of our own protocol (driver `edge`) has no driver: its case is the payload of a message, `up.json` (docs/protocol.md).
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from importlib.metadata import entry_points
from typing import Any, NamedTuple

from hub.bundle import BundleDevice, BundleEndpoint, BundlePoint
from hub.cases import DEVICE, Case
from hub.core import wire
from hub.core.bundling import bundle_points
from hub.driver import Link, PollLink, PushLink
from hub.errors import BadInput, LinkDown
from hub.model import Delivery, Lane, Reject, Sample
from hub.profiles import Profile, Record
from hub.runtime.drivers import LinkPlan, plan_links
from hub.simulation import ENTRY_POINT_GROUP, Mark, Place, Simulator

LASTS = 60.0
"""Seconds that a replay may take."""
OWN = "edge"
UP = "up.json"
_END = "end"


class Came(NamedTuple):
    """What the driver handed over."""

    samples: tuple[Sample, ...]
    rejects: tuple[Reject, ...]


def find_simulator(name: str, where: str) -> Simulator:
    """The simulator of a driver, by entry point; raises BadInput that lists the ones there are."""
    found = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in found:
        there = ", ".join(sorted(found)) or "none"
        raise BadInput(f"the driver {name!r} has no simulator; there are: {there}", where, code="simulator")
    try:
        simulator: Simulator = found[name].load()
    except (ImportError, AttributeError) as error:
        raise BadInput(f"the simulator {name!r} cannot be loaded: {error}", where, code="simulator") from None
    return simulator


def bundled(name: str, profile: Profile, settings: Mapping[str, Any]) -> BundleDevice:
    """A device of this profile as a bundle names it; `settings` win over the profile's."""
    return BundleDevice(
        id=name, lane=profile.lane, settings={**profile.device, **settings}, points=bundle_points(profile)
    )


async def replay(case: Case, profile: Profile, place: Place) -> Came:
    """Everything that the case's exchange gives, in order. Raises BadInput for files that do not hold, LinkDown, TimeoutError."""
    where = str(case.path)
    if profile.driver == OWN:
        return _from_edge(case, where)
    simulator = find_simulator(profile.driver, where)
    try:
        async with asyncio.timeout(LASTS), simulator.replay(case.files, place) as far:
            settings = {**case.about.endpoint, **far.endpoint}
            plan = _plan(profile, settings, case.about.device, far.end, where)
            async with plan.driver.connect(plan.endpoint, plan.bindings) as link:
                return await _gather(plan, link, far.play(), far.end is not None)
    except TimeoutError as error:
        raise TimeoutError(f"{where}: not over within {LASTS:g} s ({error})") from None


def _plan(
    profile: Profile, endpoint: Mapping[str, Any], device: Mapping[str, Any], end: Mark | None, where: str
) -> LinkPlan:
    devices = [bundled(DEVICE, profile, device)]
    if end is not None:
        last = BundlePoint(
            point=_END, type=end.kind, record=Record.EVENT, every=profile.liveness.beat, address=dict(end.address)
        )
        devices.append(BundleDevice(id=_END, lane=Lane.BULK, settings=dict(end.device), points=(last,)))
    (plan,) = plan_links(
        [BundleEndpoint(id="case", driver=profile.driver, settings=dict(endpoint), devices=tuple(devices))], where
    )
    return plan


async def _gather(plan: LinkPlan, link: Link, playing: Any, marked: bool) -> Came:
    samples: list[Sample] = []
    rejects: list[Reject] = []
    async with asyncio.TaskGroup() as tasks:
        player = tasks.create_task(playing, name="replay plays")
        if isinstance(link, PushLink):
            async with contextlib.aclosing(_until_end(link.deliveries())) as deliveries:
                async for delivery in deliveries:
                    samples += [one for one in delivery.samples if one.series.device != _END]
                    rejects += delivery.rejects
                    await delivery.settle()
                    if marked and any(one.series.device == _END for one in delivery.samples):
                        break
        await player
    if isinstance(link, PollLink):
        series = [binding.series for binding in plan.bindings if binding.series.device != _END]
        samples += await link.read(series)
    return Came(tuple(samples), tuple(rejects))


async def _until_end(deliveries: AsyncIterator[Delivery]) -> AsyncGenerator[Delivery, None]:
    """Until the far end hangs up; leaves no generator half run."""
    try:
        async for delivery in deliveries:
            yield delivery
    except LinkDown:
        return
    finally:
        if isinstance(deliveries, AsyncGenerator):
            await deliveries.aclose()


def _from_edge(case: Case, where: str) -> Came:
    if UP not in case.files:
        raise BadInput(f"a case of driver {OWN} has a file {UP}", where, code="case")
    up = wire.decode_up(case.files[UP])
    if up.refused:
        raise BadInput(f"{UP}: {up.refused[0][2]}", where, code="case")
    return Came(tuple(one for _, one in up.samples), tuple(one for _, one in up.rejects))
