"""Messages to a broker's topic, through a real Mosquitto: taken, refused, away."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.engine import Prefix
from hub.errors import BadInput
from hub.model import Exercise
from hub.notify import Outcome, Receipt, deliver, open_channel, parse_settings
from hub.notify.mqtt import MqttChannel, MqttSettings
from tests.brokers import PASSWORD, OwnBroker, own_broker
from tests.notify.letters import MESSAGE

TOPIC = "building/7/alarms"


@pytest.fixture
def broker(engine_prefix: Prefix, tmp_path: Path) -> Iterator[OwnBroker]:
    with own_broker(engine_prefix, tmp_path) as running:
        yield running


def settings(broker: OwnBroker, **more: Any) -> dict[str, Any]:
    given = {
        "host": "127.0.0.1",
        "port": broker.port,
        "tls": False,
        "username": "hub",
        "password": PASSWORD,
        "topic": TOPIC,
    }
    return {**given, **more}


async def test_a_message_is_published_with_its_key_and_the_broker_took_it(broker: OwnBroker) -> None:
    async with broker.session("display") as display:
        await display.subscribe(TOPIC)
        channel = open_channel("mqtt", settings(broker), "here", allow_loopback=True)
        assert await deliver(channel, MESSAGE) == Receipt(Outcome.DELIVERED, 0, "taken by the broker")
        (found,) = await display.take(1)
    assert found.property("id") == str(MESSAGE.id)
    assert found.property("exercise") is None
    document = json.loads(found.payload)
    assert (document["type"], document["data"]["title"]["zh"]) == ("alarm.raised", "紧急按钮被按下")


async def test_an_exercise_is_marked_in_title_text_and_property(broker: OwnBroker) -> None:
    async with broker.session("display") as display:
        await display.subscribe(TOPIC)
        channel = open_channel("mqtt", settings(broker), "here", allow_loopback=True)
        await deliver(channel, MESSAGE._replace(exercise=Exercise.DRILL))
        (found,) = await display.take(1)
    assert found.property("exercise") == "drill"
    document = json.loads(found.payload)
    assert document["type"] == "alarm.exercise"
    assert document["data"]["title"]["zh"].startswith("【演练】")
    assert document["data"]["response"]["en"].startswith("[DRILL] ")


async def test_a_topic_that_the_broker_refuses_is_no_delivery(broker: OwnBroker) -> None:
    channel = open_channel("mqtt", settings(broker, username="reader"), "here", allow_loopback=True)
    receipt = await deliver(channel, MESSAGE)
    assert (receipt.outcome, receipt.code) == (Outcome.FAILED, 0x87)


async def test_a_wrong_password_a_dead_broker_and_a_frozen_one_are_no_delivery(broker: OwnBroker) -> None:
    wrong = open_channel("mqtt", settings(broker, password="hidden-password"), "here", allow_loopback=True)
    assert (await deliver(wrong, MESSAGE)).outcome is Outcome.FAILED
    channel = MqttChannel(MqttSettings.model_validate(settings(broker)), allow_loopback=True, seconds=1.0)
    broker.freeze()
    try:
        assert (await deliver(channel, MESSAGE)).outcome is Outcome.FAILED
    finally:
        broker.thaw()
    broker.kill()
    patient = open_channel("mqtt", settings(broker), "here", allow_loopback=True)
    assert (await deliver(patient, MESSAGE)) == Receipt(Outcome.FAILED, None, "no connection to the broker")


async def test_a_hub_that_allows_no_loopback_does_not_speak_to_itself(broker: OwnBroker) -> None:
    channel = open_channel("mqtt", settings(broker), "here", allow_loopback=False)
    assert (await deliver(channel, MESSAGE)).outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"topic": "anxin/v1/0/edge-1/down/config"}, "topic: below anxin/"),
        ({"topic": "Anxin"}, "topic: below anxin/"),
        ({"topic": "a/+/b"}, "topic: a topic name"),
        ({"topic": "a/#"}, "topic: a topic name"),
        ({"topic": "$SYS/x"}, "topic: a topic name"),
        ({"topic": "a\x00b"}, "topic: a topic name"),
        ({"host": "broker.example", "password": "hidden-password"}, "a password is not sent without TLS"),
        ({"hidden": "hidden-password"}, "hidden: Extra"),
    ],
)
def test_settings_that_do_not_hold_are_refused_by_key_without_their_values(
    broker: OwnBroker, change: dict[str, Any], says: str
) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        parse_settings("mqtt", settings(broker, **change), "responder display: channels.topic")
    for secret in (PASSWORD, "hidden-password"):
        assert secret not in str(caught.value)


async def test_no_password_is_in_any_receipt_log_or_repr(broker: OwnBroker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    parsed = parse_settings("mqtt", settings(broker), "here")
    seen = [repr(parsed), str(parsed), repr(parsed.shown()), parsed.model_dump_json()]
    for user in ("hub", "reader", "nobody"):
        channel = open_channel("mqtt", settings(broker, username=user), "here", allow_loopback=True)
        seen += [repr(channel), repr(await deliver(channel, MESSAGE))]
    seen += [record.getMessage() for record in caplog.records]
    for text in seen:
        assert PASSWORD not in text
