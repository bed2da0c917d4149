"""hub.mqtt against a real Mosquitto."""

import asyncio
import os
import time
from pathlib import Path

import aiomqtt
import pytest
import structlog
from pydantic import SecretStr

from hub.errors import AccessDenied, BadInput, DriverError, LinkDown
from hub.mqtt import CONNECT_TIMEOUT, Broker, Incoming, Will, parse_broker, session
from hub.testing import eventually
from tests.brokers import HOST, OwnBroker


async def publish_numbers(broker: OwnBroker, count: int, topic: str = "n", start: int = 0) -> None:
    async with broker.session("publisher") as publisher:
        for number in range(start, start + count):
            await publisher.post(topic, str(number).encode())
        await publisher.drain()


async def take_all(live: object, count: int) -> list[Incoming]:
    taken: list[Incoming] = []
    async with asyncio.timeout(20):
        while len(taken) < count:
            taken += await live.take(count)  # type: ignore[attr-defined]
    return taken


def open_files() -> set[str]:
    return {os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink() and entry.exists()}


async def test_what_was_not_settled_comes_again_with_the_next_connection_and_nothing_else(broker: OwnBroker) -> None:
    async with broker.session("hub", clean_start=False) as first:
        await first.subscribe("n")
        await publish_numbers(broker, 30)
        taken = await take_all(first, 30)
        assert first.settle(*taken[:5])
    async with broker.session("hub", clean_start=False) as second:
        assert second.resumed
        again = await take_all(second, 25)
        assert [int(message.payload) for message in again] == list(range(5, 30))
        assert second.settle(*again)
    async with broker.session("hub", clean_start=False) as third:
        await publish_numbers(broker, 1, start=99)
        assert [message.payload for message in await take_all(third, 1)] == [b"99"]


async def test_a_message_of_an_earlier_connection_is_not_settled(broker: OwnBroker) -> None:
    async with broker.session("hub", clean_start=False) as first:
        await first.subscribe("n")
        await publish_numbers(broker, 2)
        old = await take_all(first, 2)
    assert not first.settle(*old)
    async with broker.session("hub", clean_start=False) as second:
        assert not second.settle(*old)
        assert [m.payload for m in await take_all(second, 2)] == [b"0", b"1"]


async def test_messages_carry_user_properties_in_order_and_whether_they_were_retained(broker: OwnBroker) -> None:
    async with broker.session("p") as publisher, broker.session("s") as subscriber:
        await publisher.publish(
            "a/b", b"\x00\xff", user_properties=(("stream", "流"), ("seq", "7"), ("seq", "8")), retain=True
        )
        await subscriber.subscribe("a/+")
        message = (await take_all(subscriber, 1))[0]
        assert message.topic == "a/b"
        assert message.payload == b"\x00\xff"
        assert message.properties == (("stream", "流"), ("seq", "7"), ("seq", "8"))
        assert message.property("seq") == "7"
        assert message.property("none") is None
        assert message.retain


async def test_take_hands_over_all_that_is_queued_up_to_its_limit(broker: OwnBroker) -> None:
    async with broker.session("s") as live:
        await live.subscribe("n")
        await publish_numbers(broker, 20)
        await eventually(lambda: len(live._queue) == 20)
        assert len(await live.take(15)) == 15
        assert len(await live.take(15)) == 5


async def test_who_waits_for_several_gets_them_together_and_what_there_is_when_the_time_or_the_connection_ends(
    broker: OwnBroker,
) -> None:
    async with broker.session("s") as live:
        await live.subscribe("n")
        taking = asyncio.create_task(live.take(100, 60, 3))
        await publish_numbers(broker, 2)
        await eventually(lambda: len(live._queue) == 2)
        assert not taking.done()
        await publish_numbers(broker, 1, start=2)
        assert [m.payload for m in await asyncio.wait_for(taking, 20)] == [b"0", b"1", b"2"]
        await publish_numbers(broker, 1)
        assert len(await asyncio.wait_for(live.take(100, 0.1, 9), 20)) <= 1  # the time is up
        taking = asyncio.create_task(live.take(100, 60, 9))
        await publish_numbers(broker, 2)
        await eventually(lambda: len(live._queue) >= 2)
        broker.kill()
        assert len(await asyncio.wait_for(taking, 20)) >= 2
        with pytest.raises(LinkDown):
            await live.take(100, 60, 9)


async def test_the_receive_maximum_bounds_what_waits_here(broker: OwnBroker) -> None:
    async with broker.session("s", receive_maximum=10) as live:
        await live.subscribe("n")
        await publish_numbers(broker, 50)
        await eventually(lambda: len(live._queue) == 10)
        for expected in range(50):
            message = (await asyncio.wait_for(live.take(1), 20))[0]
            assert int(message.payload) == expected
            assert len(live._queue) <= 10
            live.settle(message)


async def test_a_publish_that_the_broker_refuses_is_an_error(broker: OwnBroker) -> None:
    async with session(broker.as_user("reader"), client_id="r") as live:
        with pytest.raises(AccessDenied, match=r"topic 'secret/door': publish refused .*0x87"):
            await live.publish("secret/door", b"1")
        await live.post("secret/window", b"1")
        with pytest.raises(AccessDenied, match="topic 'secret/window'"):
            await live.drain()


@pytest.mark.parametrize("topic", ["a/#", "a/+/b", "", "a\0b", "\ud800"])
async def test_what_is_no_topic_is_bad_input_and_harms_nothing(broker: OwnBroker, topic: str) -> None:
    async with broker.session() as live:
        with pytest.raises(BadInput):
            await live.publish(topic, b"1")
        await live.publish("fine", b"1")


async def test_a_message_that_the_broker_would_not_take_is_refused_before_it_costs_the_connection(
    broker: OwnBroker,
) -> None:
    async with broker.session() as live:
        with pytest.raises(BadInput, match="262144"):
            await live.publish("a", b"x" * 262_144)
        with pytest.raises(BadInput):
            await live.publish("a", b"1", user_properties=(("seq", "\ud800"),))
        await live.publish("a", b"x" * 250_000)


async def test_a_malformed_filter_is_bad_input(broker: OwnBroker) -> None:
    async with broker.session() as live:
        with pytest.raises(BadInput, match="a/#/b"):
            await live.subscribe("a/#/b")


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_wrong_password_is_access_denied_and_stands_in_no_error(broker: OwnBroker, protocol: str) -> None:
    with pytest.raises(AccessDenied) as caught:
        async with session(broker.as_user(password="wr0ng-secret"), client_id="x", protocol=protocol):  # type: ignore[arg-type]
            pytest.fail("was let in")
    assert "wr0ng-secret" not in str(caught.value) + repr(caught.value) + repr(broker.as_user(password="wr0ng-secret"))


async def test_mqtt_3_1_1_works_without_what_only_5_has(broker: OwnBroker) -> None:
    async with session(broker.as_user(), client_id="old", clean_start=False, protocol="3.1.1") as first:
        await first.subscribe("n")
        await publish_numbers(broker, 3)
        taken = await take_all(first, 3)
        first.settle(taken[0])
    async with session(broker.as_user(), client_id="old", clean_start=False, protocol="3.1.1") as second:
        assert [m.payload for m in await take_all(second, 2)] == [b"1", b"2"]
        await second.publish("elsewhere", b"1")


async def test_a_killed_broker_is_link_down_for_everyone_who_waits(broker: OwnBroker) -> None:
    async with broker.session() as live:
        await live.subscribe("n")
        taking = asyncio.create_task(live.take(1))
        broker.freeze()
        publishing = asyncio.create_task(live.publish("n", b"1"))
        await asyncio.sleep(0)
        broker.kill()
        for task in (taking, publishing):
            with pytest.raises(LinkDown, match=f"{HOST}:{broker.port}"):
                await asyncio.wait_for(task, 20)
        with pytest.raises(LinkDown):
            await live.publish("n", b"1")
        with pytest.raises(LinkDown):
            await live.post("n", b"1")
        with pytest.raises(LinkDown):
            await live.subscribe("m")
        with pytest.raises(LinkDown):
            async for _ in live.messages():
                pytest.fail("a dead broker sent something")


async def test_what_had_arrived_before_the_broker_died_is_still_handed_over(broker: OwnBroker) -> None:
    async with broker.session() as live:
        await live.subscribe("n")
        await publish_numbers(broker, 3)
        await eventually(lambda: len(live._queue) == 3)
        broker.kill()
        await eventually(lambda: live._down is not None)
        assert len(await live.take(10)) == 3
        with pytest.raises(LinkDown):
            await live.take(10)


async def test_a_frozen_broker_is_link_down_after_the_keep_alive(broker: OwnBroker) -> None:
    async with broker.session(keepalive=1) as live:
        broker.freeze()
        with pytest.raises(LinkDown):
            await asyncio.wait_for(live.take(1), 20)
        broker.kill()


async def test_leaving_a_frozen_broker_that_takes_nothing_more_is_bounded(broker: OwnBroker) -> None:
    async with broker.session() as live:
        broker.freeze()
        for _ in range(100):
            await live.post("n", b"x" * 250_000)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_session_that_is_taken_over_says_so(broker: OwnBroker) -> None:
    async with broker.session("same") as first:
        async with broker.session("same"):
            with pytest.raises(LinkDown, match="taken over"):
                await asyncio.wait_for(first.take(1), 20)


async def test_nobody_listening_is_link_down(broker: OwnBroker) -> None:
    broker.kill()
    with pytest.raises(LinkDown, match=str(broker.port)):
        async with broker.session():
            pytest.fail("was connected")


async def test_a_host_that_is_no_host_is_link_down() -> None:
    for host in ("no-such-host.invalid", "a" * 70 + ".example", "", "with space"):
        with pytest.raises(LinkDown):
            async with session(Broker(host, 1883), client_id="x"):
                pytest.fail("was connected")


async def test_an_abort_lets_the_broker_publish_the_will_and_a_goodbye_does_not(broker: OwnBroker) -> None:
    will = Will("w", b"gone")
    async with broker.session("s") as watcher:
        await watcher.subscribe("w")
        async with session(broker.as_user(), client_id="polite", will=will):
            pass
        async with session(broker.as_user(), client_id="cut", will=will) as live:
            live.abort()
            with pytest.raises(LinkDown):
                await live.take(1)
        await watcher.publish("w", b"end")
        seen = [message.payload for message in await take_all(watcher, 2)]
        assert sorted(seen) == [b"end", b"gone"]


async def test_posting_waits_for_room_instead_of_piling_up(broker: OwnBroker) -> None:
    async with broker.session() as live:
        broker.freeze()

        async def post_many() -> None:
            for _ in range(1000):
                await live.post("n", b"1")

        task = asyncio.create_task(post_many())
        await eventually(lambda: len(live._pending) == 200)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(live._pending) == 200
        broker.thaw()
        await asyncio.wait_for(task, 20)
        await live.drain()
        assert not live._pending


async def test_leaving_leaves_no_task_and_no_socket_behind(broker: OwnBroker) -> None:
    async with broker.session():
        pass  # the thread that resolves and connects is started now
    before = open_files()
    for number in range(3):
        async with broker.session(f"c{number}") as live:
            await live.subscribe("n")
            await live.publish("n", b"1")
    with pytest.raises(AccessDenied):
        async with session(broker.as_user(password="no"), client_id="x"):
            pytest.fail("was let in")
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert open_files() == before


async def test_a_peer_that_never_answers_connect_can_be_cancelled_and_leaves_nothing(broker: OwnBroker) -> None:
    async with broker.session():
        pass
    held: list[asyncio.StreamWriter] = []
    called = asyncio.Event()

    def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        called.set()

    server = await asyncio.start_server(answer, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    before = len(asyncio.all_tasks())

    async def enter() -> None:
        async with session(Broker(HOST, port), client_id="x"):
            pytest.fail("was connected")

    task = asyncio.create_task(enter())
    await asyncio.wait_for(called.wait(), 20)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < CONNECT_TIMEOUT - 1  # what it would have waited
    assert len(asyncio.all_tasks()) == before
    for writer in held:
        writer.close()
    server.close()


async def test_being_cancelled_while_taking_is_clean(broker: OwnBroker) -> None:
    subscribed = asyncio.Event()

    async def run() -> None:
        async with broker.session() as live:
            await live.subscribe("n")
            subscribed.set()
            await live.take(1)

    task = asyncio.create_task(run())
    await asyncio.wait_for(subscribed.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_private_door_into_aiomqtt_and_both_of_its_calls_are_still_there() -> None:
    """When this fails, aiomqtt or paho has changed: read hub/mqtt.py's first lines, and whether aiomqtt settles by hand now."""
    inner = aiomqtt.Client("x")._client
    for name in ("manual_ack_set", "ack", "publish", "socket", "loop_read", "_sock_recv", "_packet_queue"):
        assert callable(getattr(inner, name))
    for name in ("on_connect", "on_message", "on_publish", "connect_timeout"):
        assert hasattr(inner, name)
    inner.manual_ack_set(True)
    assert inner._manual_ack is True


def test_a_brokers_address_is_read_from_a_url() -> None:
    broker = parse_broker("mqtt://hub:p%40ss%3A@127.0.0.1:18830")
    assert (broker.host, broker.port, broker.username) == ("127.0.0.1", 18830, "hub")
    assert broker.password == SecretStr("p@ss:")
    assert broker.tls is None
    assert parse_broker("mqtt://b").port == 1883
    secure = parse_broker("mqtts://b")
    assert secure.port == 8883
    assert secure.tls is not None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "b:1883",
        "http://u:hidden@b",
        "mqtt://",
        "mqtt://u:hidden@b:99999",
        "mqtt://u:hidden@b/x",
        "mqtt://u:hidden@[b",
    ],
)
def test_what_is_no_address_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_broker(url)
    assert "hidden" not in str(caught.value)
    assert not isinstance(caught.value, DriverError)


async def test_messages_of_qos_0_that_find_the_queue_full_are_counted_and_said_once_and_in_sum(
    broker: OwnBroker,
) -> None:
    with structlog.testing.capture_logs() as said:
        async with broker.session("slow", receive_maximum=1) as slow, broker.session("fast") as fast:
            await slow.subscribe("n", qos=0)
            for number in range(10):
                await fast.publish("n", str(number).encode(), qos=0)
            await eventually(lambda: slow.discarded == 8)
            assert [message.payload for message in await take_all(slow, 2)] == [b"0", b"1"]
    lines = [(line["event"], line.get("messages")) for line in said if line["event"].startswith("mqtt.")]
    assert lines == [("mqtt.discarding", None), ("mqtt.discarded", 8)]
