"""Configurations of edges at the centre: made from the registry and the profiles, versioned, signed, and kept retained at the broker.

`Maker` makes an edge's configuration inside the caller's transaction: the API when it issues a bundle, `run` whenever what it is made from
has moved. The broker keeps nothing over a restart, so each new session publishes all of them again.
"""

import asyncio
import contextlib
import hashlib
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

import structlog
from pydantic import SecretStr, ValidationError

from hub.bundle import Broker as BundleBroker
from hub.bundle import Bundle, Trust, content_of
from hub.core.bundling import bundle_of
from hub.core.configuration import NONCE, make_envelope, public_key
from hub.core.wire import configuration_topic
from hub.errors import AccessDenied, BadInput, Conflict, LinkDown, NotFound
from hub.mqtt import Broker, Session, session
from hub.profiles import Profile
from hub.runtime.reconnect import keep
from hub.store import configurations, provisioning
from hub.store.configurations import ConfigurationWatch, Edge, open_watch
from hub.store.pool import Connection

_log = structlog.get_logger(__name__)
_SURE_SECONDS = 300.0
"""seconds after which everything is looked at again, more or less: a notice that was lost, an edge that is ahead of a hub that was put back"""
_BREATH_SECONDS = 0.1
"""between two partitions: to look at all edges of a province takes the database seconds, behind which a press would wait"""
_ANNOUNCED = 500
"""configurations after which whoever reads the registry is told: to tell of each of a province's one by one makes them read it all the time"""
_GATHER_SECONDS = 0.2
"""after a notice: an apply sends several, and its neighbours come along"""


class Made(NamedTuple):
    """An edge's configuration as it is wanted now."""

    bundle: Bundle
    """without the edge's password and without trust"""
    version: int
    changed: bool
    """what is to be published is new"""


@dataclass(frozen=True)
class Maker:
    """What every configuration is made with."""

    profiles: Mapping[str, Profile]
    host: str
    port: int
    """where edges reach the broker"""
    _print: list[str] = field(default_factory=list, init=False, repr=False)

    @property
    def fingerprint(self) -> str:
        """Of the profiles and the broker's address."""
        if not self._print:
            told = hashlib.sha256(f"{self.host}:{self.port}".encode())
            for name in sorted(self.profiles):
                told.update(self.profiles[name].model_dump_json().encode())
            self._print.append(told.hexdigest()[:32])
        return self._print[0]

    async def make(self, conn: Connection, edge: str, basis: str = "", *, again: bool = False) -> Made:
        """The configuration of `edge`, stored; a new version where the content differs, or `again`.

        Locks the client's row. Raises NotFound; Conflict or BadInput where it cannot be made.
        """
        client = await provisioning.client(conn, edge)
        profile = self.profiles.get(client.profile)
        if profile is None:
            raise Conflict(f"edge {edge!r}: its profile {client.profile!r} is not installed on the hub")
        broker = BundleBroker(host=self.host, port=self.port, username=edge, password=SecretStr(""))
        rows = await provisioning.behind(conn, edge)
        rules = await provisioning.local_rules(conn, edge)
        try:
            bundle = bundle_of(
                edge, client.institution, client.partition, profile, broker, rows, self.profiles, local_rules=rules
            )
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise BadInput(str(first["msg"]), f"edge {edge!r}", code="configuration") from None
        content = content_of(bundle)
        digest = hashlib.sha256(content).hexdigest()
        before = await configurations.current(conn, edge)
        version = before.version
        # an edge that speaks of a higher one knew this hub before it was put back from a backup
        if again or digest != before.digest or before.told > version:
            version = max(version, before.told) + 1
        envelope, changed = before.envelope, version != before.version
        if before.seal is None:
            envelope = None
        elif changed or envelope is None:
            key = await configurations.signing_key(conn, secrets.token_bytes(32))
            envelope = make_envelope(edge, version, content, key, before.seal, secrets.token_bytes(NONCE))
        await configurations.put(conn, before.device, version, digest, envelope, basis)
        return Made(bundle, version, changed)

    async def issue(self, conn: Connection, edge: str) -> tuple[Made, Trust]:
        """For a new bundle: its configuration under a new seal, and what lets the edge trust the hub."""
        seal = secrets.token_bytes(32)
        await configurations.set_seal(conn, edge, seal)
        made = await self.make(conn, edge)
        before = await configurations.current(conn, edge)
        key = await configurations.signing_key(conn, secrets.token_bytes(32))
        envelope = make_envelope(edge, made.version, content_of(made.bundle), key, seal, secrets.token_bytes(NONCE))
        await configurations.put(conn, before.device, made.version, before.digest, envelope, "")
        await configurations.announce(conn)
        return made, Trust(key=public_key(key).hex(), seal=SecretStr(seal.hex()))


async def run(database_url: str, broker: Broker, maker: Maker, partitions: Sequence[int]) -> NoReturn:
    """Keep the configurations of these partitions made and published until cancelled, through outages of database and broker."""
    publisher = _Publisher(broker, maker, partitions)

    async def attend(connected: Callable[[], None]) -> None:
        async with open_watch(database_url) as watch:
            await publisher.attend(watch, connected)

    await keep("configurations", attend)


class _Publisher:
    def __init__(self, broker: Broker, maker: Maker, partitions: Sequence[int]) -> None:
        self._broker = broker
        self._maker = maker
        self._partitions = partitions
        self._name = f"hub-config-{secrets.token_hex(4)}"

    async def attend(self, watch: ConfigurationWatch, connected: Callable[[], None]) -> None:
        """As long as both connections stand; raises LinkDown."""
        async with watch.transaction() as conn:
            lanes = {name: profile.lane for name, profile in self._maker.profiles.items()}
            moved = await configurations.align_lanes(conn, lanes, self._partitions)
        if moved:
            _log.warning("configurations.lanes_moved", devices=moved, cause="their profiles changed")
        try:
            async with session(self._broker, client_id=self._name, clean_start=True, session_expiry=0) as live:
                connected()
                try:
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(_watch(live), name="configurations-broker")
                        tasks.create_task(self._publish(watch, live), name="configurations-publish")
                except BaseExceptionGroup as group:
                    raise group.exceptions[0] from None  # the first to fall cancelled the other
        except AccessDenied as error:
            raise LinkDown(str(error)) from None

    async def _publish(self, watch: ConfigurationWatch, live: Session) -> NoReturn:
        held: dict[str, bytes] = {}
        while True:
            await self._look(watch)
            async with watch.transaction() as conn:
                wanted = await configurations.published(conn, self._partitions)
            for edge, partition, envelope in wanted:
                payload = envelope or b""
                if held.get(edge) != payload:
                    try:
                        await live.publish(configuration_topic(partition, edge), payload, retain=True)
                    except (
                        BadInput
                    ) as error:  # the broker takes less than the protocol says: the others lose nothing by it
                        _log.error("configurations.not_published", edge=edge, reason=str(error))
                    held[edge] = payload
            await watch.wait(_SURE_SECONDS * random.uniform(0.8, 1.2))  # the processes of a hub not all at once
            await asyncio.sleep(_GATHER_SECONDS)

    async def _look(self, watch: ConfigurationWatch) -> None:
        """Make what was not made from what is there now; one that cannot be made costs the others nothing."""
        edges: list[Edge] = []
        for n, partition in enumerate(self._partitions):
            await asyncio.sleep(_BREATH_SECONDS if n else 0.0)
            async with watch.transaction() as conn:
                edges += await configurations.edges(conn, [partition])
        made = 0
        for edge in edges:
            basis = f"{self._maker.fingerprint}-{edge.fingerprint}"
            if edge.basis != basis:
                made += await self._make(watch, edge.id, basis)
                if made >= _ANNOUNCED:
                    await self._announce(watch)
                    made = 0
        if made:
            await self._announce(watch)

    async def _announce(self, watch: ConfigurationWatch) -> None:
        async with watch.transaction() as conn:
            await configurations.announce(conn)

    async def _make(self, watch: ConfigurationWatch, edge: str, basis: str) -> bool:
        """Whether another version is wanted now."""
        try:
            async with watch.transaction() as conn:
                made = await self._maker.make(conn, edge, basis)
        except NotFound:
            return False  # retired meanwhile
        except (Conflict, BadInput) as error:
            _log.error("configurations.not_made", edge=edge, reason=str(error))
            with contextlib.suppress(NotFound):  # retired in between
                async with watch.transaction() as conn:
                    now = await configurations.current(conn, edge)
                    await configurations.put_problem(conn, now.device, str(error), basis)
            return False
        if made.changed:
            _log.info("configurations.wanted", edge=edge, version=made.version)
        return made.changed


async def _watch(live: Session) -> NoReturn:
    """Subscribed to nothing, it hears nothing but the end of the connection, which raises LinkDown."""
    while True:
        live.settle(*await live.take(1))
