"""The composition root of `anxin serve`: which loops run in this process, over what, and what happens when one ends.

A dead side task stops the whole process, loudly: a supervisor starts it again, and nothing confirmed is lost by that. A hub that went on
without its escalator would be the silent failure that this software exists to prevent.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import fields
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from hub.calendars import load_calendars
from hub.config import Settings, data_folder
from hub.core.backoff import full_jitter
from hub.core.canary import PROFILE as CANARY_PROFILE
from hub.core.coverage.rules import RulePack
from hub.core.coverage.signer import Signer, key_of
from hub.core.lane import State
from hub.core.orders import DAY, Terms
from hub.core.recordings import floor_by
from hub.engine import read_passwords
from hub.errors import BadInput, Conflict, LinkDown
from hub.fire_weights import load_weights
from hub.mqtt import Broker, parse_broker
from hub.profiles import Profile, load_profiles
from hub.registry import Registry
from hub.rulepack_fixtures import load_proven_rule_packs
from hub.runtime import (
    alarm_clock,
    broker_accounts,
    configurations,
    deliverer,
    escalator,
    fire_watch,
    handovers,
    housekeeping,
    look_watch,
    memory,
    order_clock,
    own_alarms,
    prover,
    reader_watch,
    receipts,
    recording_days,
)
from hub.runtime.apart import in_thread
from hub.runtime.auditor import EVERY, LIMIT, Auditor, Timing, Watch
from hub.runtime.blindness_watch import BlindnessMetrics, BlindnessWatch
from hub.runtime.coverage_watch import CoverageWatch
from hub.runtime.duty_watch import DutyMetrics, DutyWatch
from hub.runtime.fanout import Fanout
from hub.runtime.partitions import Partitions
from hub.runtime.reconnect import standing_still
from hub.runtime.sirens import Sirens
from hub.runtime.standby import Standby
from hub.store import registry, sealing
from hub.store.hub_alarms import PROFILE as HUB_PROFILE
from hub.store.pool import connect, make_pool
from hub.store.session import Pool

STANDBY_AGE = 60.0
"""seconds after which the standby's plan is too old to be called ready"""
_log = structlog.get_logger(__name__)


class Role(StrEnum):
    """What a process of `anxin serve` does; by default all of it."""

    INGEST = "ingest"
    PAGING = "paging"
    COVERAGE = "coverage"
    API = "api"
    AUDITOR = "auditor"


BLOCKING = 96
"""calls that may block at once: as many as there are places for messages (hub.runtime.deliverer), and what else there is"""
YIELDS = 10
"""how far a process that pages nobody steps back behind the others (nice)"""


def steps_back(roles: Set[Role]) -> bool:
    """Whether a process with these roles lets the others have the processor first: judging coverage may wait, ingest and pages may not."""
    return Role.COVERAGE in roles and not roles & {Role.INGEST, Role.PAGING, Role.AUDITOR}


ServeApi = Callable[["Service"], Awaitable[None]]
"""Runs the API until cancelled; handed in by the command line, since the runtime knows nothing of HTTP."""


class Service:
    """One process of the centre."""

    def __init__(self, settings: Settings, roles: frozenset[Role], partitions: Sequence[int] | None) -> None:
        self.settings = settings
        self.roles = roles
        self.profiles: Mapping[str, Profile] = load_profiles(settings.profile_folders())
        judges = roles & {Role.COVERAGE, Role.API}  # a wrong rule ends neither ingest nor paging
        self.packs: Sequence[RulePack] = load_proven_rule_packs(settings.rule_pack_folders()) if judges else ()
        self.weights = load_weights(settings.rule_pack_folders()) if Role.COVERAGE in roles else None
        self.metrics = CollectorRegistry()
        self.pool: Pool
        self.fanout: Fanout
        self.duty: DutyWatch
        self._numbers = partitions
        self.partitions: Partitions | None = None
        """what this process owns, once it does"""
        self.standby: Standby | None = None
        """what pages while the database does not answer (role paging)"""
        self.api_port: int | None = None
        """where the API of this process takes requests, once it does"""
        self._database = settings.database_url.get_secret_value()
        key = settings.ledger_key
        self._signer = None if key is None else Signer(key_of(key.get_secret_value(), "ANXIN_LEDGER_KEY"))

    async def ready(self) -> Mapping[str, bool]:
        """Which parts hold, for /readyz."""
        parts = {"feed": self.fanout.following.is_set(), "loops": not standing_still()}
        if self.partitions is not None:
            parts |= {"lease": self.partitions.leased, "broker": self.partitions.ready}
        if self.standby is not None:
            parts["channel_keys"] = self.standby.known.opens_all
            parts["standby"] = self.standby.is_watching and self.standby.age < STANDBY_AGE
        return parts

    async def run(self, serve_api: ServeApi, *, migrate: bool = True) -> None:
        """Run until cancelled. Raises Conflict when another process owns a partition, BadInput for settings that do not hold."""
        broker = parse_broker(self.settings.mqtt_url.get_secret_value())
        make_room_for_what_blocks(asyncio.get_running_loop())
        self.duty = DutyWatch(
            self._database,
            self.profiles,
            load_calendars([data_folder("calendars")]),
            checks=Role.PAGING in self.roles,
        )
        self.metrics.register(DutyMetrics(self.duty))
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            if Role.PAGING in self.roles:
                self.standby = self._stand_by(broker)
                tasks.create_task(self.standby.run(), name="standby")
            self.fanout = Fanout(self._database)
            if self.standby is not None:
                self.standby.on_change = self.fanout.nudge
            self.pool = make_pool(self._database)

            def serve() -> None:
                """Once. Before the database answers: signed links, and a clear word to everybody else; the pool is not open yet."""
                if Role.API in self.roles and not served:
                    served.append(tasks.create_task(_run(serve_api(self)), name="api"))

            served: list[asyncio.Task[None]] = []
            await self._await_database(migrate, away=serve)
            if self.roles & {Role.API, Role.PAGING} and not sealing.has_keys():
                why = "ANXIN_CHANNEL_KEYS is not set: what channels need to send stands readable in the database and its backups"
                _log.warning("channels.plain", reason=why)
            if self.standby is not None:
                self.standby.migrated.set()
                if self.settings.data is None:
                    why = "ANXIN_DATA names no folder: a hub restarted in an outage pages nobody"
                    _log.warning("standby.in_memory", reason=why)
            await stack.enter_async_context(self.pool)
            tasks.create_task(self.duty.run(), name="duty-watch")
            tasks.create_task(memory.run(), name="memory")
            if Role.INGEST in self.roles:
                numbers = await self._owned()
                known = {**self.profiles, CANARY_PROFILE.profile: CANARY_PROFILE}
                self.partitions = Partitions(self._database, broker, known, numbers)
                self.metrics.register(_IngestMetrics(self.partitions))
                tasks.create_task(self.partitions.run(), name="partitions")
                maker = configurations.Maker(
                    self.profiles, self.settings.device_mqtt_host, self.settings.device_mqtt_port
                )
                giving = configurations.run(self._database, broker, maker, numbers)
                tasks.create_task(giving, name="configurations")
                proving = prover.run(self._database, broker, self.profiles, numbers)
                tasks.create_task(proving, name="prover")
                if self.settings.mqtt_password_file is not None:
                    accounts = self._broker_accounts(self.settings.mqtt_password_file, broker.username)
                    tasks.create_task(accounts, name="broker-accounts")
            if Role.PAGING in self.roles:
                tasks.create_task(alarm_clock.run(self._database), name="alarm-clock")
                climbed = escalator.Counters()
                self.metrics.register(_EscalationMetrics(climbed))
                tasks.create_task(escalator.run(self._database, counters=climbed), name="escalator")
                deliver = deliverer.run(
                    self._database,
                    profiles=self.profiles,
                    public_url=self.settings.public_url,
                    allow_loopback=self.settings.allow_loopback,
                    sound=Sirens(self._database, broker).sound,
                    beside=None if self.standby is None else self.standby.pager,
                )
                tasks.create_task(deliver, name="deliverer")
                handing = handovers.run(
                    self._database, profiles=self.profiles, allow_loopback=self.settings.allow_loopback
                )
                tasks.create_task(handing, name="handovers")
                own = own_alarms.run(self._database, profiles=self.profiles)
                tasks.create_task(own, name="own-alarms")
                asking = receipts.run(self._database, allow_loopback=self.settings.allow_loopback)
                tasks.create_task(asking, name="receipts")
                blindness = BlindnessWatch(self._database, self.profiles)
                self.metrics.register(BlindnessMetrics(blindness.counters))
                tasks.create_task(blindness.run(), name="blindness")
            if Role.COVERAGE in self.roles:
                watch = CoverageWatch(self._database, self.packs, self.profiles, signer=self._signer)
                tasks.create_task(watch.run(), name="coverage-watch")
                ordering = order_clock.run(
                    self._database, terms=_terms(self.settings), profile=self.profiles.get(HUB_PROFILE)
                )
                tasks.create_task(ordering, name="orders")
                retention = housekeeping.Retention(readings=timedelta(days=self.settings.keep_readings_days))
                tasks.create_task(
                    recording_days.run(self._database, self.profiles, floor_of=floor_by(self.packs)),
                    name="recording-days",
                )
                assert self.weights is not None, "loaded with the role coverage"
                fires = fire_watch.run(self._database, self.profiles, self.weights)
                tasks.create_task(fires, name="fire-watch")
                tasks.create_task(look_watch.run(self._database), name="look-watch")
                tasks.create_task(housekeeping.run(self._database, retention=retention), name="housekeeping")
                tasks.create_task(reader_watch.run(self._database), name="reader-watch")
            if self.roles == {Role.AUDITOR} or (Role.AUDITOR in self.roles and self.settings.heartbeat_url is not None):
                auditor = self._audit(broker)
                # with a loop of its own: where ours is blocked it still looks, and feeds no beat
                tasks.create_task(in_thread(auditor.run), name="auditor")
            if Role.API in self.roles:
                tasks.create_task(self.fanout.follow(), name="fanout")
                serve()
            _log.info("service.started", roles=sorted(role.value for role in self.roles))

    def _stand_by(self, broker: Broker) -> Standby:
        settings = self.settings

        def live(number: int) -> tuple[State, Registry] | None:
            return None if self.partitions is None else self.partitions.urgent(number)

        standby = Standby(
            self._database,
            broker,
            self.profiles,
            folder=settings.data,
            public_url=settings.public_url,
            allow_loopback=settings.allow_loopback,
            live=live,
            sound=Sirens(self._database, broker).sound,
        )
        self.metrics.register(_StandbyMetrics(standby))
        return standby

    def _audit(self, broker: Broker) -> Auditor:
        settings = self.settings
        auditor = Auditor(
            self._database,
            broker,
            heartbeat="" if settings.heartbeat_url is None else settings.heartbeat_url.get_secret_value(),
            sink_url=settings.canary_sink_url,
            watched=self._watched,
            timing=Timing(settings.canary_seconds, settings.canary_seconds * LIMIT / EVERY),
        )
        self.metrics.register(_AuditorMetrics(auditor.watch))
        return auditor

    def _watched(self) -> Sequence[str]:
        """What must answer: what the settings name, else the API of this very process, which says what else of it stands still."""
        if self.settings.watch or self.api_port is None:
            return self.settings.watch
        host = self.settings.api_host
        local = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
        return (f"http://{local}:{self.api_port}/readyz",)

    async def _await_database(self, migrate: bool, away: Callable[[], None]) -> None:
        """The database, at its newest revision. While it is `away` at the start the standby, where it has a plan on disk, pages already, and its
        pages' links are served, here or by the process that asks it."""
        attempt = 0
        while True:
            try:
                if migrate:
                    await asyncio.to_thread(_upgrade, self._database)
                    await self._seal()
                else:
                    await (await connect(self._database, "setup")).close()
                return
            except LinkDown as error:
                asks = self.settings.standby_url if Role.API in self.roles else ""
                waits = asks if self.standby is None else self.settings.data
                if not waits:
                    raise
                attempt += 1
                if attempt == 1:
                    _log.error("service.database_away", reason=str(error))
                    away()
                await asyncio.sleep(full_jitter(attempt, 0.25, 2.0, random.random()))

    async def _seal(self) -> None:
        """Channels' settings that stand plain, or under an older key. What cannot be written now is read as it stands, and written at another start."""
        try:
            await sealing.reseal(self._database)
        except (Conflict, BadInput) as error:
            _log.error("channels.plain", reason=str(error))

    async def _owned(self) -> Sequence[int]:
        conn = await connect(self._database, "setup")
        async with conn:
            count = await registry.partitions(conn)
        if self._numbers is None:
            return range(count)
        beyond = [number for number in self._numbers if not 0 <= number < count]
        if beyond:
            raise BadInput(f"partition {beyond[0]}: this hub has 0 to {count - 1}", "--partitions", code="settings")
        return self._numbers

    async def _broker_accounts(self, password_file: Path, user: str | None) -> None:
        """Keep the broker's password file; the hub's own line stays as the engine wrote it."""
        written = await asyncio.to_thread(read_passwords, password_file)
        own = {user: written[user]} if user is not None and user in written else {}
        await broker_accounts.run(self._database, password_file, own)


def _terms(settings: Settings) -> Terms:
    return Terms(
        stands=settings.order_stands_hours * DAY // 24,
        holds=settings.order_holds_days * DAY,
        relapse=settings.order_relapse_days * DAY,
        climb=settings.order_climbs_days * DAY,
    )


def make_room_for_what_blocks(loop: asyncio.AbstractEventLoop) -> None:
    """Threads enough that connections to a broker that takes none (of a channel: 5 s each, a dozen at once) do not hold up those to our own.

    asyncio's own number is that of the processors and four more.
    """
    loop.set_default_executor(ThreadPoolExecutor(BLOCKING, thread_name_prefix="blocking"))


def _upgrade(database_url: str) -> None:
    """In a thread, where the import holds nobody up; a process that is told not to migrate goes without it."""
    from hub.store.migrate import upgrade

    upgrade(database_url)


async def _run(serving: Awaitable[None]) -> None:
    await serving


class _IngestMetrics:
    """What the lanes have counted, by partition and lane."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus-client at each scrape."""
        names = (
            "messages",
            "readings",
            "quarantined",
            "unbalanced",
            "batches",
            "conflicts",
            "database_losses",
            "broker_losses",
            "put_off",
        )
        labels = ["partition", "lane"]
        for name in names:
            family = CounterMetricFamily(f"anxin_ingest_{name}", f"{name} of a lane since the start", labels=labels)
            for lane in self._partitions.lanes:
                family.add_metric([str(lane.shared.number), lane.lane], getattr(lane.counters, name))
            yield family
        listening = GaugeMetricFamily("anxin_ingest_listening", "1 while the lane listens", labels=labels)
        for lane in self._partitions.lanes:
            listening.add_metric([str(lane.shared.number), lane.lane], float(lane.listening))
        yield listening


class _StandbyMetrics:
    """What pages while the database does not answer."""

    def __init__(self, standby: Standby) -> None:
        self._standby = standby

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus-client at each scrape."""
        standby = self._standby
        yield GaugeMetricFamily("anxin_standby_plan_age_seconds", "since the plan was read", value=standby.age)
        yield GaugeMetricFamily("anxin_standby_listening", "1 while it hears the urgent lane", value=standby.listening)
        yield GaugeMetricFamily("anxin_standby_unconfirmed", "urgent messages that wait", value=standby.window.count)
        yield GaugeMetricFamily("anxin_standby_alarms", "alarms that it pages now", value=len(standby.pursuits))
        yield CounterMetricFamily("anxin_standby_given_up", "messages its bound let go", value=standby.window.given_up)
        failures = standby.journal_failures
        yield CounterMetricFamily("anxin_standby_journal_failures", "writes the disk did not take", value=failures)
        pages = CounterMetricFamily("anxin_standby_pages", "attempts by their outcome", labels=["outcome"])
        for outcome in ("delivered", "failed", "refused"):
            pages.add_metric([outcome], standby.pager.outcomes[outcome])
        yield pages


class _EscalationMetrics:
    """What the escalator has counted."""

    def __init__(self, counters: escalator.Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus-client at each scrape."""
        for field in fields(self._counters):
            family = CounterMetricFamily(f"anxin_escalation_{field.name}", f"{field.name} since the start")
            family.add_metric([], getattr(self._counters, field.name))
            yield family


class _AuditorMetrics:
    """What the auditor found in its last round."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus-client at each scrape."""
        watch = self._watch
        yield CounterMetricFamily("anxin_auditor_rounds", "rounds of canaries", value=watch.rounds)
        yield CounterMetricFamily("anxin_auditor_beats", "rounds after which the heartbeat was fed", value=watch.beats)
        yield GaugeMetricFamily("anxin_auditor_canaries_missing", "that did not come back", value=watch.missing)
        yield GaugeMetricFamily(
            "anxin_auditor_unattended", "critical alarms without a next step", value=watch.unattended
        )
        yield GaugeMetricFamily("anxin_auditor_lanes_deaf", "lanes that stood still", value=watch.deaf)
        yield GaugeMetricFamily("anxin_auditor_canary_seconds", "until the last one was back", value=watch.took)
