"""What an edge runs at this moment, by one bundle: its links, its local rules and its way up. Another bundle is adopted without a restart.

Only what differs is touched: the link of an endpoint that stands in both bundles as it was goes on reading through the change.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog

from hub.bundle import Bundle, BundleEndpoint
from hub.edge.rules import LocalRules
from hub.edge.uplink import Uplink
from hub.model import Micros
from hub.mqtt import Broker
from hub.runtime.drivers import LinkPlan
from hub.runtime.links import LinkRunner

log = structlog.get_logger()

LEAVE_LIMIT = 20.0
"""seconds that links have to leave before others are started; a runner gives up a driver that hangs within them"""


class _Running(NamedTuple):
    endpoint: BundleEndpoint
    runner: LinkRunner
    task: "asyncio.Task[None]"


class Site:
    """The links that run now; their tasks belong to the group that is handed in."""

    def __init__(
        self, tasks: asyncio.TaskGroup, uplink: Uplink, rules: LocalRules, clock: Callable[[], Micros], bundle: Bundle
    ) -> None:
        self.bundle = bundle
        """what runs, or is about to"""
        self._tasks = tasks
        self._uplink = uplink
        self._rules = rules
        self._clock = clock
        self._links: dict[str, _Running] = {}
        self._dropped = 0

    async def adopt(self, bundle: Bundle, plans: Sequence[LinkPlan]) -> None:
        """Run by `bundle` from now on; `plans` are its endpoints', in order."""
        before, self.bundle = self.bundle, bundle
        wanted = {endpoint.id: endpoint for endpoint in bundle.endpoints}
        self._rules.adopt(bundle.local_rules)
        await self._leave([name for name, link in self._links.items() if wanted.get(name) != link.endpoint])
        for endpoint, plan in zip(bundle.endpoints, plans, strict=True):
            if endpoint.id not in self._links:
                runner = LinkRunner(plan, self._rules, self._clock)
                task = self._tasks.create_task(runner.run(), name=f"link-{endpoint.id}")
                self._links[endpoint.id] = _Running(endpoint, runner, task)
        if (before.broker, before.partition) != (bundle.broker, bundle.partition):
            self._uplink.move(broker_of(bundle), bundle.partition)

    async def leave(self) -> None:
        """Leave every link, as far as they let themselves be left."""
        await self._leave(list(self._links))

    @property
    def up(self) -> frozenset[str]:
        """The endpoints whose links are up."""
        return frozenset(name for name, link in self._links.items() if link.runner.counters.up)

    @property
    def dropped(self) -> int:
        """Samples that were polled and that the spool did not take, since the process began."""
        return self._dropped + sum(link.runner.counters.dropped for link in self._links.values())

    def runner(self, device: str) -> LinkRunner | None:
        """The link behind which a device is."""
        for link in self._links.values():
            if any(behind.id == device for behind in link.endpoint.devices):
                return link.runner
        return None

    async def _leave(self, names: Sequence[str]) -> None:
        left_links = [self._links.pop(name) for name in names]
        self._dropped += sum(link.runner.counters.dropped for link in left_links)
        tasks = [link.task for link in left_links]
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        _, left = await asyncio.wait(tasks, timeout=LEAVE_LIMIT)
        if left:
            log.error("edge.links_left_behind", links=sorted(task.get_name() for task in left))


def broker_of(bundle: Bundle) -> Broker:
    """Where this bundle reaches the broker, and as whom."""
    return Broker(bundle.broker.host, bundle.broker.port, bundle.broker.username, bundle.broker.password)
