"""The edge put together: links → intake → spool → uplink, and its own beat; started in that order's reverse, stopped in order.

A driver's failure stops nothing; the failure of a part of the edge itself ends the process, loudly, and whoever supervises it starts it again.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import structlog

from hub.bundle import Bundle
from hub.edge.configuration import PATIENCE, Begun, Configurator, Keeper, Patience, begin
from hub.edge.intake import Intake
from hub.edge.life import STOPPED, Birth, Life
from hub.edge.own_points import OwnPoints
from hub.edge.prover import Prover
from hub.edge.rules import LocalRules
from hub.edge.site import Site, broker_of
from hub.edge.sounder import Sounder
from hub.edge.spool import BULK_BUDGET, open_spool
from hub.edge.trials import Debts, Trials
from hub.edge.uplink import Uplink
from hub.model import Lane, Micros
from hub.runtime.drivers import LinkPlan
from hub.runtime.links import wall_clock

log = structlog.get_logger()

LEAVE_LIMIT = 2.0
"""seconds that links have to leave, and the spool to write what they had read"""


async def run_edge(
    bundle: Bundle,
    plans: list[LinkPlan],
    folder: Path,
    stop: asyncio.Event,
    clock: Callable[[], Micros] = wall_clock,
    budget: int = BULK_BUDGET,
    patience: Patience = PATIENCE,
) -> None:
    """Run until `stop` is set; raises SpoolRefused when the spool in `folder` is not ours to use. A disk that takes nothing ends no edge."""
    intake = Intake(None, clock=clock, reopen=lambda: open_spool(folder, clock, budget))
    try:
        await intake.begin()
        keeper = Keeper(folder)
        begun = begin(bundle, plans, keeper.load())
        life = Life(folder)
        birth = life.begin()
        try:
            await _run(bundle, begun, birth, keeper, intake, stop, clock, patience)
        except BaseException as error:
            life.end(f"failed: {_named(error)}")
            raise
        life.end(STOPPED)
    finally:
        intake.shutdown()


def _named(error: BaseException) -> str:
    return _named(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else type(error).__name__


async def _run(
    own: Bundle,
    begun: Begun,
    birth: Birth,
    keeper: Keeper,
    intake: Intake,
    stop: asyncio.Event,
    clock: Callable[[], Micros],
    patience: Patience,
) -> None:
    memory, bundle, plans = begun
    broker = broker_of(bundle)
    about = {"institution": bundle.institution, "broker": str(broker), "configuration": bundle.configuration}
    log.info("edge.start", edge=bundle.edge, **about, links=len(plans))
    async with asyncio.TaskGroup() as tasks:
        writers = [tasks.create_task(intake.run(lane), name=f"spool-{lane}") for lane in Lane]
        watch = tasks.create_task(intake.watch(), name="spool-watch")
        uplink = Uplink(broker, bundle.partition, bundle.broker.username, intake, clock)
        rules = LocalRules(bundle.edge, intake, uplink, clock)
        site = Site(tasks, uplink, rules, clock, bundle)
        await site.adopt(bundle, plans)
        configurator = Configurator(keeper, memory, own, begun, site, uplink, intake, clock, patience)
        others = [
            tasks.create_task(uplink.run(), name="uplink"),
            tasks.create_task(rules.run(site.runner), name="rules"),
        ]
        if own.trust is not None:
            others.append(tasks.create_task(configurator.run(), name="configuration"))
            trials = Trials(Debts(keeper.path.parent), site, clock)
            others.append(tasks.create_task(trials.run(), name="trials"))
            prover = Prover(own.edge, bytes.fromhex(own.trust.key), site, trials, rules, uplink, clock)
            others.append(tasks.create_task(prover.run(), name="prover"))
            sounder = Sounder(own.edge, bytes.fromhex(own.trust.key), site, rules, uplink, clock)
            others.append(tasks.create_task(sounder.run(), name="sounder"))
        own_points = OwnPoints(site, uplink, intake, clock)
        beats = [tasks.create_task(own_points.beat(lane), name=f"beat-{lane}") for lane in Lane]
        beats.append(tasks.create_task(own_points.announce(birth), name="birth"))
        await stop.wait()
        log.info("edge.stop", edge=bundle.edge)
        configurator.let_go()
        leaving = tasks.create_task(site.leave(), name="leave")
        await _end(beats)
        await asyncio.wait([leaving], timeout=LEAVE_LIMIT)
        await intake.close()
        await asyncio.wait(writers, timeout=LEAVE_LIMIT)
        await _empty_memory(intake)
        await uplink.farewell()
        await _end([leaving, *others, watch, *writers])


async def _empty_memory(intake: Intake) -> None:
    """What only memory has goes with the process: a moment for the hub or the disk to take it, then it is said."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LEAVE_LIMIT):
            while intake.waiting_in_memory:
                await asyncio.sleep(0.05)
    if intake.waiting_in_memory:
        log.critical("edge.memory_lost", samples=intake.waiting_in_memory)


async def _end(tasks: "list[asyncio.Task[None]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=LEAVE_LIMIT)
