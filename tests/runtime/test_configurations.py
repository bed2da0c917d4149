"""Configurations of edges from the registry to a running edge and back: real database, broker, ingest, edge and Modbus peers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
import structlog
from pydantic import SecretStr

from hub.config import data_folder
from hub.core.configuration import open_envelope, read_envelope
from hub.core.provisioning import declared
from hub.core.rights import EVERYTHING, Principal, Role
from hub.core.wire import configuration_topic
from hub.engine import Prefix
from hub.errors import AccessDenied, Conflict, NotFound
from hub.manifest import Manifest
from hub.mqtt import Broker, parse_broker, session
from hub.profiles import Profile, load_profiles, parse_profile
from hub.registry import partition_of
from hub.runtime import configurations as runtime
from hub.runtime.catalogue import InstalledCatalogue, installed_drivers
from hub.runtime.configurations import Maker
from hub.runtime.partitions import Partitions
from hub.store import configurations, provisioning
from hub.store.pool import connect
from hub.testing import eventually
from tests.brokers import own_broker
from tests.edge.sites import Device, device, running

WHO = Principal("t", "installer", Role.ADMIN, EVERYTHING)
PARTITION = partition_of("kita", 8)
TITLE = {"zh": "名", "en": "name"}


def profile(name: str, kind: str, points: dict[str, Any], **more: Any) -> Profile:
    document = {
        "profile": name,
        "kind": kind,
        "vendor": "v",
        "model": "m",
        "title": TITLE,
        "source": "this test",
        "driver": "modbus",
        "liveness": {"beat": "1s", "offline_after": "5s"},
        "points": {n: {"title": TITLE, "every": "100ms", **p} for n, p in points.items()},
        "test": {"seen": list(points)[:1]},
        **more,
    }
    return parse_profile(document, name)


def fire(point: str) -> dict[str, Any]:
    alarm = {"title": TITLE, "class": "fire", "priority": "critical", "point": point, "condition": {"equals": 1}}
    return {**alarm, "response": TITLE}


LEVEL = {"level": {"type": "int", "address": {"table": "holding", "address": 0}}}
LAMP = profile("lamp", "other", LEVEL)
BURNING = profile("lamp", "other", LEVEL, alarms={"burning": fire("level")})
"""the same device type, once its profile has learnt what a fire is"""


def profiles(*more: Profile) -> dict[str, Profile]:
    shipped = load_profiles([data_folder("device-profiles")])
    edge = shipped["anxin-edge"]
    quick = edge.model_copy(update={"liveness": edge.liveness.model_copy(update={"beat": 200_000})})
    return {**shipped, "anxin-edge": quick, **{made.profile: made for made in more or (LAMP,)}}


def manifest(port: int, **edge: Any) -> dict[str, Any]:
    institution = {
        "id": "kita",
        "division": "14",
        "type": "private",
        "title": TITLE,
        "edges": [{"id": "edge-1", **edge}],
        "endpoints": [
            {"id": "io", "driver": "modbus", "edge": "edge-1", "settings": {"host": "127.0.0.1", "port": port}}
        ],
        "devices": [{"id": "lamp-1", "profile": "lamp", "endpoint": "io"}],
    }
    step = {"responder": "duty", "channel": "hook"}
    policy = {"id": "all", "title": TITLE, "signal_classes": ["fault"], "round_every": "1m", "steps": [step]}
    url = "https://example.org/x"
    channel = {"id": "hook", "kind": "webhook", "settings": {"url": url, "secret": "whsec_" + "A" * 32}}
    return {
        "divisions": [{"code": "14", "title": TITLE}],
        "responders": [{"id": "duty", "title": TITLE, "channels": [channel]}],
        "policies": [policy],
        "institutions": [institution],
    }


class Centre(NamedTuple):
    database: str
    broker: Broker
    password: Callable[[str], str]
    device_port: int

    async def apply(self, told: dict[str, Any], known: Mapping[str, Profile]) -> list[str]:
        """Apply a manifest; what it contradicts."""
        catalogue = InstalledCatalogue(known, [], installed_drivers(), 0)
        conn = await connect(self.database, "test")
        async with conn:
            found = await provisioning.apply(conn, declared(Manifest.model_validate(told)), catalogue, WHO)
        return [f"{row.pointer}: {row.message}" for row in found.errors]

    async def bundle(self, known: Mapping[str, Profile]) -> dict[str, Any]:
        """The edge's file, as the API makes it."""
        conn = await connect(self.database, "test")
        async with conn:
            made, trust = await self.maker(known).issue(conn, "edge-1")
        told = made.bundle.model_dump(mode="json")
        told["broker"]["password"] = password = self.password("edge-1")
        known_there = Broker("127.0.0.1", self.device_port, "edge-1", SecretStr(password))
        await eventually(lambda: _logs_in(known_there))
        return {
            **told,
            "configuration": made.version,
            "trust": {"key": trust.key, "seal": trust.seal.get_secret_value()},
        }

    def maker(self, known: Mapping[str, Profile]) -> Maker:
        return Maker(known, "127.0.0.1", self.device_port)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database) as conn:
            return conn.execute(query, values).fetchall()

    async def edge(self) -> dict[str, Any]:
        conn = await connect(self.database, "test")
        async with conn:
            (row,) = await configurations.listed(conn, EVERYTHING, limit=2)
        return row

    async def says(self, **wanted: Any) -> bool:
        row = await self.edge()
        return all(row[name] == value for name, value in wanted.items())

    @contextlib.asynccontextmanager
    async def serving(self, known: Mapping[str, Profile], *, ingest: bool = True) -> AsyncIterator[Partitions]:
        """Ingest and the giver of configurations run while inside."""
        owner = Partitions(self.database, self.broker, known, [PARTITION])
        giving = runtime.run(self.database, self.broker, self.maker(known), [PARTITION])
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(giving)]
        if ingest:
            tasks.append(asyncio.create_task(owner.run()))
        try:
            await eventually(lambda: owner.ready or not ingest)
            yield owner
            for task in tasks:
                assert not task.done(), task.exception()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def _logs_in(broker: Broker) -> bool:
    try:
        async with session(broker, client_id="edge-1", clean_start=True):
            return True
    except AccessDenied:
        return False


@pytest.fixture
async def centre(
    fresh_database: str, mqtt_url: str, engine: Any, make_mqtt_user: Callable[[str], str]
) -> AsyncIterator[Centre]:
    found = Centre(fresh_database, parse_broker(mqtt_url), make_mqtt_user, engine.first.device_port)
    await forget(found)  # the broker is the session's
    yield found
    await forget(found)


async def forget(centre: Centre) -> None:
    """As a broker that was started again: it holds nothing."""
    async with session(centre.broker, client_id="forget", clean_start=True) as live:
        await live.publish(configuration_topic(PARTITION, "edge-1"), b"", retain=True)


@pytest.fixture
def lamp() -> Iterator[Device]:
    with device() as peer:
        yield peer


async def retained(centre: Centre) -> bytes:
    """What the broker holds for the edge, once it holds something."""

    async def held() -> bytes:
        async with session(centre.broker, client_id="looker", clean_start=True) as live:
            await live.subscribe(configuration_topic(PARTITION, "edge-1"))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    (message,) = await live.take(1)
                    return message.payload if message.retain else b""
        return b""

    found: bytes = await eventually(held)
    return found


async def test_a_change_by_a_manifest_reaches_the_edge_which_says_so_and_nobody_restarts(
    centre: Centre, lamp: Device, tmp_path: Path
) -> None:
    known = profiles()
    assert await centre.apply(manifest(lamp.port), known) == []
    async with centre.serving(known):
        await eventually(lambda: centre.says(wanted=1, running=None))
        own = await centre.bundle(known)
        assert own["configuration"] == 1
        with device() as other:
            async with running(own, tmp_path):
                await eventually(lambda: centre.says(wanted=1, running=1))
                assert await centre.apply(manifest(other.port), known) == []
                await eventually(lambda: centre.says(wanted=2, running=2, refused=0))
                assert other.handler.reads > 0
                assert await centre.apply(manifest(1), known) == []
                await eventually(lambda: centre.says(wanted=3, running=2, refused=3), deadline=60)
                row = await centre.edge()
                assert "'io' did not come up again" in row["refused_reason"]
                state = "select s.function_state, s.function_reason from device_state s join device d on d.key = s.device where d.id = 'edge-1'"
                await eventually(lambda: centre.rows(state) == [("degraded", "refused a configuration")])
                alarm = "select definition, state from alarm where definition like 'config%%'"
                assert centre.rows(alarm) == [("config_refused", "unack_active")]
                assert await centre.apply(manifest(other.port), known) == []
                await eventually(lambda: centre.says(wanted=4, running=4, refused=0))
                await eventually(lambda: centre.rows(state) == [("ok", "")])
    assert own["broker"]["password"] not in json.dumps(
        centre.rows("select envelope::text, basis from edge_configuration")
    )


async def test_an_unchanged_hub_makes_no_new_version_and_a_broker_that_forgot_gets_it_again(
    centre: Centre, lamp: Device
) -> None:
    known = profiles()
    await centre.apply(manifest(lamp.port), known)
    own = await centre.bundle(known)
    async with centre.serving(known, ingest=False):
        first = await retained(centre)
        assert await centre.apply(manifest(lamp.port), known) == []
    await forget(centre)
    async with centre.serving(known, ingest=False):
        again = await retained(centre)
    assert again == first
    envelope = read_envelope(again)
    content = open_envelope(envelope, "edge-1", bytes.fromhex(own["trust"]["key"]), bytes.fromhex(own["trust"]["seal"]))
    assert json.loads(content)["endpoints"] == own["endpoints"]
    assert envelope.version == 1


async def test_an_edge_that_was_retired_has_nothing_left_at_the_broker(centre: Centre, lamp: Device) -> None:
    known = profiles()
    await centre.apply(manifest(lamp.port), known)
    await centre.bundle(known)
    async with centre.serving(known, ingest=False):
        assert await retained(centre)
        told = manifest(lamp.port)
        told["institutions"][0].update(edges=[], endpoints=[], devices=[])
        assert await centre.apply(told, known) == []

        async def gone() -> bool:
            async with session(centre.broker, client_id="looker", clean_start=True) as live:
                await live.subscribe(configuration_topic(PARTITION, "edge-1"))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        return not (await live.take(1))[0].payload
            return True

        await eventually(gone)


async def test_what_cannot_be_made_is_said_and_what_was_wanted_stays(centre: Centre, lamp: Device) -> None:
    known = profiles()
    await centre.apply(manifest(lamp.port), known)
    await centre.bundle(known)
    async with centre.serving(known, ingest=False):
        first = await retained(centre)
    lost = {name: made for name, made in known.items() if name != "lamp"}
    async with centre.serving(lost, ingest=False):
        await eventually(
            lambda: centre.says(wanted=1, problem="device 'lamp-1': its profile 'lamp' is not installed on the hub")
        )
        assert await retained(centre) == first
    async with centre.serving(known, ingest=False):
        await eventually(lambda: centre.says(wanted=1, problem=""))


async def test_an_edge_that_knew_this_hub_before_its_backup_is_given_a_version_above_its_own(
    centre: Centre, lamp: Device, tmp_path: Path
) -> None:
    known = profiles()
    await centre.apply(manifest(lamp.port), known)
    own = await centre.bundle(known)
    centre_at_seven = {**own, "configuration": 7}
    async with centre.serving(known), running(centre_at_seven, tmp_path):
        await eventually(lambda: centre.says(running=7))
        conn = await connect(centre.database, "test", autocommit=True)
        async with conn:
            await configurations.announce(conn)
        await eventually(lambda: centre.says(wanted=8, running=8))


async def test_an_edge_that_runs_other_content_under_the_number_is_given_another_number(
    centre: Centre, lamp: Device, tmp_path: Path
) -> None:
    """The hub was put back from a backup, and what it made since has the number of what the edge took before."""
    known = profiles()
    await centre.apply(manifest(lamp.port), known)
    own = await centre.bundle(known)
    with device() as other:
        (io,) = own["endpoints"]
        before = {**own, "endpoints": [{**io, "settings": {**io["settings"], "port": other.port}}]}
        async with centre.serving(known), running(before, tmp_path):
            await eventually(lambda: centre.says(wanted=1, running=1, refused=1))
            conn = await connect(centre.database, "test", autocommit=True)
            async with conn:
                await configurations.announce(conn)
            await eventually(lambda: centre.says(wanted=3, running=3, refused=0))
            await eventually(lambda: lamp.handler.reads > 0)


async def test_a_broker_that_takes_no_message_of_that_size_ends_no_hub(
    centre: Centre, lamp: Device, engine_prefix: Prefix, tmp_path: Path
) -> None:
    known = profiles()
    await centre.apply(manifest(lamp.port), known)
    await centre.bundle(known)
    with own_broker(engine_prefix, tmp_path) as small:
        small.kill()
        written = tmp_path / "mosquitto.conf"
        written.write_text(written.read_text().replace("max_packet_size 262144", "max_packet_size 300"))
        small.start()
        giving = asyncio.create_task(runtime.run(centre.database, small.as_user(), centre.maker(known), [PARTITION]))
        with structlog.testing.capture_logs() as said:
            try:
                await eventually(
                    lambda: giving.done() or any(line["event"] == "configurations.not_published" for line in said)
                )
                assert not giving.done(), giving.exception()
            finally:
                giving.cancel()
                await asyncio.wait({giving})


async def test_a_device_that_a_profile_made_urgent_loses_no_sample_and_a_fire_in_the_bulk_lane_is_a_fire(
    centre: Centre, lamp: Device, tmp_path: Path
) -> None:
    before, after = profiles(LAMP), profiles(BURNING)
    await centre.apply(manifest(lamp.port), before)
    own = await centre.bundle(before)
    lane = "select lane from device where id = 'lamp-1'"
    async with running(own, tmp_path):
        async with centre.serving(before):
            await eventually(lambda: centre.says(running=1))
            assert centre.rows(lane) == [("bulk",)]
        lamp.set_fire(True)  # waits in the spool, in the bulk lane
        reads = lamp.handler.reads
        await eventually(lambda: lamp.handler.reads > reads + 3)
        lamp.set_fire(False)
        await eventually(lambda: lamp.handler.reads > reads + 8)
        async with centre.serving(after):
            await eventually(lambda: centre.says(running=2))
            assert centre.rows(lane) == [("urgent",)]
            alarm = "select definition, signal_class from alarm where definition = 'burning'"
            await eventually(lambda: centre.rows(alarm) == [("burning", "fire")])
            lamp.set_fire(True)
            active = (
                "select count(*) from alarm where definition = 'burning' and state in ('unack_active', 'ack_active')"
            )
            await eventually(lambda: centre.rows(active)[0][0] == 1)
    assert centre.rows("select source, reason from quarantine") == []
    produced = "select sum(produced + surplus), sum(stored + suppressed + events + beats + duplicates + quarantined + dropped + missing) from stream_tally"
    ((made, found),) = centre.rows(produced)
    assert made == found > 0


async def test_an_edge_without_a_bundle_of_this_kind_is_sent_nothing_at_all(centre: Centre, lamp: Device) -> None:
    known = profiles()
    await centre.apply(manifest(lamp.port), known)
    async with session(centre.broker, client_id="looker", clean_start=True) as live:
        await live.subscribe(configuration_topic(PARTITION, "edge-1"))
        async with centre.serving(known, ingest=False):
            await eventually(lambda: centre.says(wanted=1))
            await centre.bundle(known)  # from now on there is one
            async with asyncio.timeout(20):
                (message,) = await live.take(1)
    assert read_envelope(message.payload).version == 1


async def test_an_edge_that_is_retired_while_its_configuration_cannot_be_made_ends_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Retiring:
        fingerprint = "f"

        async def make(self, *_: object, **__: object) -> object:
            raise Conflict("its profile is not installed")

    class Watch:
        @contextlib.asynccontextmanager
        async def transaction(self) -> AsyncIterator[None]:
            yield

    async def gone(*_: object) -> object:
        raise NotFound("there is no edge")

    monkeypatch.setattr("hub.store.configurations.current", gone)
    maker: Any = Retiring()
    watch: Any = Watch()
    publisher = runtime._Publisher(parse_broker("mqtt://127.0.0.1:1"), maker, [0])
    assert not await publisher._make(watch, "edge-1", "f-1")
