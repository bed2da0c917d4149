"""A fire's page to a siren: from the deliverer by a signed order over a real broker to a real edge, which writes a real coil and reads it back."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from hub.core.escalation import Step
from hub.core.siren_order import SirenOrder, make_siren_order, siren_topic
from hub.model import Exercise, Lane, SignalClass
from hub.notify import Outcome, Receipt, deliver, open_channel
from hub.runtime.sirens import Sirens
from hub.store.configurations import signing_key
from hub.store.escalation import begin
from hub.store.pool import connect
from hub.testing import eventually
from tests.brokers import OwnBroker
from tests.delivering import delivering, escalating
from tests.edge.fake_hub import FakeHub, serving
from tests.edge.sites import CLIENT, KEY, OTHER_KEY, PARTITION, Device, device, document, endpoint, point, running
from tests.edge.test_rules import fire_watch
from tests.notify.letters import MESSAGE
from tests.paging import POLICY, World

FIRE = MESSAGE._replace(signal_class=SignalClass.FIRE, device="detector-device", definition="fire")
SETTINGS = {"edge": "edge-1", "rule": "siren"}


@pytest.fixture
def detector() -> Iterator[Device]:
    with device() as peer:
        yield peer


@pytest.fixture
def siren() -> Iterator[Device]:
    with device() as peer:
        yield peer


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    """`star` with the edge edge-1, whose hub signs by KEY."""
    async with World.open(fresh_database) as world:
        await world.conn.execute("update institution set partition = %s where id = 'star'", (PARTITION,))
        await world.conn.execute(
            "insert into device (id, institution, profile, kind, lane)"
            " select v.id, i.key, v.profile, v.kind, 'urgent' from institution i,"
            " (values ('edge-1', 'anxin-edge', 'edge'), ('detector-device', 'some-smoke', 'smoke_detector')) v (id, profile, kind)"
            " where i.id = 'star'"
        )
        await world.conn.execute(
            "insert into client (name, device, password_hash, issued_at) select %s, key, 'x', now() from device where id = 'edge-1'",
            (CLIENT,),
        )
        conn = await connect(world.url, "test")
        async with conn:
            await signing_key(conn, KEY)
        yield world


def site(broker: OwnBroker, detector: Device, siren: Device) -> dict[str, Any]:
    rule = {"id": "siren", "siren": "siren-device", "point": "sounder", "value": True, "after": 600_000_000}
    return document(
        broker.port,
        endpoint("detector", detector.port, point("smoke"), lane="urgent"),
        endpoint("siren", siren.port, point("sounder", table="coil", writable=True)),
        local_rules=[{**rule, "watches": [fire_watch()]}],
    )


def channel(world: World, broker: OwnBroker) -> Any:
    made: Any = open_channel("siren", SETTINGS, "here", allow_loopback=True)
    return made.through(Sirens(world.url, broker.as_user()).sound)


async def test_a_fire_sounds_the_siren_within_a_step_and_the_receipt_says_that_it_was_read_back(
    tmp_path: Path, world: World, broker: OwnBroker, detector: Device, siren: Device
) -> None:
    await world.policy(
        replace(POLICY, steps=(Step(1, "horn", "siren"),)), {"horn/siren": {"kind": "siren", "settings": SETTINGS}}
    )
    hub = FakeHub()
    sound = Sirens(world.url, broker.as_user()).sound
    async with running(site(broker, detector, siren), tmp_path), serving(hub, broker.as_user()):
        await eventually(lambda: 0 in hub.values(Lane.URGENT, "smoke"), deadline=60)
        async with escalating(world), delivering(world, sound=sound):
            alarm = await world.alarm("detector-device", SignalClass.FIRE, begun=False)
            await world.conn.execute("update alarm set definition = 'fire' where id = %s", (alarm,))
            async with world.conn.transaction(), world.conn.cursor() as cur:
                await begin(cur, [alarm])
            await eventually(lambda: siren.siren, deadline=60)

            async def told() -> bool:
                rows = await world.rows("select outcome, detail from attempt where outcome <> 'sending'")
                return [tuple(row.values()) for row in rows][-1:] == [("delivered", "sounded, read back")]

            await eventually(told, deadline=60)


async def test_nothing_but_a_real_fire_that_the_rule_watches_sounds_it(
    tmp_path: Path, world: World, broker: OwnBroker, detector: Device, siren: Device
) -> None:
    hub = FakeHub()
    horn = channel(world, broker)
    async with running(site(broker, detector, siren), tmp_path), serving(hub, broker.as_user()):
        await eventually(lambda: 0 in hub.values(Lane.URGENT, "smoke"), deadline=60)
        for signal_class in set(SignalClass) - {SignalClass.FIRE}:
            assert (await deliver(horn, FIRE._replace(signal_class=signal_class))).outcome is Outcome.REFUSED
        for kind in Exercise:
            assert (await deliver(horn, FIRE._replace(exercise=kind))).outcome is Outcome.REFUSED
            assert (await horn.send(FIRE._replace(exercise=kind))).outcome is Outcome.REFUSED
        elsewhere = await deliver(horn, FIRE._replace(institution="moon"))
        assert elsewhere == Receipt(Outcome.REFUSED, None, "there is no such edge at the institution that burns")
        # a hub that is wrong, or somebody with the broker's password, gets no further: the edge looks itself
        unwatched = await deliver(horn, FIRE._replace(device="button-1", definition="pressed"))
        assert unwatched == Receipt(Outcome.FAILED, None, "the edge says that it could not sound it")
        forged = SirenOrder("edge-1", UUID(int=1), "siren", "detector-device", "fire", 2**62)
        async with broker.session("somebody") as live:
            await live.publish(siren_topic(PARTITION, CLIENT), make_siren_order(forged, OTHER_KEY))
            await live.publish(siren_topic(PARTITION, CLIENT), b"sound it!")
        assert not siren.siren
        assert (await deliver(horn, FIRE)) == Receipt(Outcome.DELIVERED, None, "sounded, read back")
        assert siren.siren


async def test_a_siren_that_does_not_answer_and_an_edge_that_is_away_are_no_delivery(
    tmp_path: Path, world: World, broker: OwnBroker, detector: Device, siren: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.runtime.sirens._ANSWER", 2.0)
    horn = channel(world, broker)
    assert await deliver(horn, FIRE) == Receipt(Outcome.FAILED, None, "the edge did not answer within 2 s")
    monkeypatch.setattr("hub.runtime.sirens._ANSWER", 9.0)
    siren.server.stop()
    hub = FakeHub()
    async with running(site(broker, detector, siren), tmp_path), serving(hub, broker.as_user()):
        await eventually(lambda: 0 in hub.values(Lane.URGENT, "smoke"), deadline=60)
        receipt = await deliver(horn, FIRE)
        assert receipt == Receipt(Outcome.FAILED, None, "the edge says that it could not sound it")
    await world.conn.execute("update client set revoked_at = now()")
    assert (await deliver(horn, FIRE)).outcome is Outcome.REFUSED


async def test_a_process_without_a_way_to_edges_says_so() -> None:
    horn = open_channel("siren", SETTINGS, "here", allow_loopback=True)
    assert await deliver(horn, FIRE) == Receipt(Outcome.REFUSED, None, "this process has no way to an edge")
