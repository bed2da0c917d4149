"""What holds for every kind of channel that there is: a new one is not forgotten here."""

import json
from typing import Any

import pytest

from hub.core.provisioning import Noun
from hub.errors import BadInput
from hub.model import Exercise, SignalClass
from hub.notify import KINDS, Channel, Outcome, deliver, open_channel, parse_settings
from hub.runtime.catalogue import InstalledCatalogue
from tests.notify.letters import MESSAGE
from tests.notify.test_telephony import ID, KEY, NUMBER, SETTINGS
from tests.paging import SECRET

TOKEN, PASSWORD = "hidden-token-0123", "hidden-password-0123"
SECRETS = (TOKEN, PASSWORD, SECRET, ID, KEY, NUMBER)
SAMPLES: dict[str, dict[str, Any]] = {
    "webhook": {"url": f"https://a.example/{TOKEN}", "secret": SECRET},
    "smtp": {
        "host": "relay.example",
        "port": 587,
        "username": "hub",
        "password": PASSWORD,
        "sender": "hub@a.example",
        "recipients": ["duty@a.example"],
    },
    "dingtalk": {"token": TOKEN, "secret": f"SEC{PASSWORD}"},
    "wecom": {"token": TOKEN},
    "feishu": {"token": TOKEN, "secret": PASSWORD},
    **{kind: {"number": NUMBER, "template": "1234", **given} for kind, given in SETTINGS.items()},
    "mqtt": {"host": "broker.example", "username": "hub", "password": PASSWORD, "topic": "building/7"},
    "siren": {"edge": "edge-1", "rule": "siren"},
    "sink": {},
}


def opened(kind: str) -> Channel:
    return open_channel(kind, SAMPLES[kind], "here", allow_loopback=False)


def test_every_kind_has_its_sample_here() -> None:
    assert set(SAMPLES) == set(KINDS)


@pytest.mark.parametrize("kind", sorted(SAMPLES))
def test_a_key_that_is_not_known_is_refused_by_its_name(kind: str) -> None:
    with pytest.raises(BadInput, match="colour: Extra inputs are not permitted") as caught:
        parse_settings(kind, {**SAMPLES[kind], "colour": PASSWORD}, "responder duty: channels.one")
    assert str(caught.value).startswith("responder duty: channels.one")
    assert not any(secret in str(caught.value) for secret in SECRETS)


@pytest.mark.parametrize("kind", sorted(SAMPLES))
def test_no_secret_is_shown_by_settings_channel_plan_or_api(kind: str) -> None:
    settings = parse_settings(kind, SAMPLES[kind], "here")
    responder = {"title_zh": "岗", "title_en": "post", "channels": {"one": {"kind": kind, "settings": SAMPLES[kind]}}}
    catalogue = InstalledCatalogue({}, (), {}, 0)
    seen = [repr(settings), str(settings), repr(settings.shown()), settings.model_dump_json(), repr(opened(kind))]
    seen.append(json.dumps(catalogue.shown(Noun.RESPONDER, responder)))
    for text in seen:
        assert not any(secret in text for secret in SECRETS), text


@pytest.mark.parametrize("kind", sorted(SAMPLES))
async def test_a_channel_that_carries_no_mark_sends_no_exercise(kind: str) -> None:
    channel = opened(kind)
    assert isinstance(channel.carries_marks, bool)
    if channel.carries_marks:
        return
    for exercise in Exercise:
        message = MESSAGE._replace(exercise=exercise, signal_class=SignalClass.FIRE)
        receipt = await deliver(channel, message)
        assert receipt.outcome is Outcome.REFUSED
        assert "exercise" in receipt.detail


def test_only_the_siren_cannot_say_that_it_is_an_exercise() -> None:
    assert [kind for kind in SAMPLES if not opened(kind).carries_marks] == ["siren"]
