"""Authorities are of a type of their own: nothing that may be an exercise reaches them, whoever tries."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook

from hub.errors import BadInput
from hub.model import Exercise, Priority, SignalClass
from hub.notify import KINDS, Outcome, Receipt, deliver, open_channel
from hub.notify.authority import (
    AuthorityWebhook,
    Camera,
    Contact,
    Handover,
    content,
    handover_id,
    open_authority,
    refuse_exercise,
)
from hub.notify.webhook import WebhookSettings
from tests.notify.letters import MESSAGE
from tests.paging import SECRET, receiver

HANDOVER = Handover(
    id=handover_id(MESSAGE.alarm, "police-140403"),
    exercise=None,
    alarm=MESSAGE.alarm,
    authority="police-140403",
    signal_class=SignalClass.PANIC,
    priority=Priority.CRITICAL,
    title=MESSAGE.title,
    raised_at=MESSAGE.raised_at,
    late=False,
    institution="star",
    institution_title=MESSAGE.institution_title,
    division="140403001",
    place=MESSAGE.place,
    floor=1,
    latitude=36.19,
    longitude=113.11,
    contacts=(Contact(zh="值班园长", en="Head on duty", phone="0355-1234567"),),
    cameras=(Camera(zh="门厅", en="Entrance", device="cam-1", link="https://video.example/cam-1"),),
    begun_at=datetime(2026, 11, 21, 14, 6, tzinfo=UTC),
    begun_by="operator Li's token",
    note="",
)


def settings(url: str) -> dict[str, Any]:
    return {"url": url, "secret": SECRET}


async def test_a_handover_arrives_signed_with_place_contacts_and_cameras() -> None:
    async with receiver("200") as hook:
        channel = open_authority("webhook", settings(hook.url), "authority police", allow_loopback=True)
        assert await channel.hand_over(HANDOVER) == Receipt(Outcome.DELIVERED, 200)
    document: Any = Webhook(SECRET).verify(hook.requests[0].body, hook.requests[0].headers)
    assert hook.requests[0].headers["webhook-id"] == str(HANDOVER.id)
    assert document["type"] == "alarm.handover"
    data = document["data"]
    assert data["place"] == {"zh": "门厅 · 前台", "en": "Entrance · Reception desk"}
    assert data["position"] == {"latitude": 36.19, "longitude": 113.11}
    assert data["contacts"] == [{"zh": "值班园长", "en": "Head on duty", "phone": "0355-1234567"}]
    assert data["cameras"] == [
        {"zh": "门厅", "en": "Entrance", "device": "cam-1", "link": "https://video.example/cam-1"}
    ]
    assert data["raised_at"] == "2026-11-21T14:05:06.700000Z"


@pytest.mark.parametrize("kind", Exercise)
def test_no_handover_can_be_made_of_an_exercise(kind: Exercise) -> None:
    with pytest.raises(TypeError, match="never told of an exercise"):
        replace(HANDOVER, exercise=kind)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="never told of an exercise"):
        refuse_exercise(kind)


async def test_whoever_forces_a_mark_into_a_handover_reaches_nobody_either() -> None:
    forced = replace(HANDOVER)
    object.__setattr__(forced, "exercise", Exercise.DRILL)
    async with receiver("200") as hook:
        channel = AuthorityWebhook(WebhookSettings.model_validate(settings(hook.url)), allow_loopback=True)
        with pytest.raises(TypeError, match="never told of an exercise"):
            await channel.hand_over(forced)
    assert hook.requests == []


async def test_no_message_can_be_sent_to_an_authority_and_no_handover_over_a_channel() -> None:
    async with receiver("200") as hook:
        authority = AuthorityWebhook(WebhookSettings.model_validate(settings(hook.url)), allow_loopback=True)
        channel = open_channel("webhook", settings(hook.url), "here", allow_loopback=True)
        with pytest.raises(AttributeError):
            await deliver(authority, MESSAGE)  # type: ignore[arg-type]
        with pytest.raises(AttributeError):
            await channel.send(HANDOVER)  # type: ignore[arg-type]
        with pytest.raises(AttributeError):
            await authority.hand_over(MESSAGE)  # type: ignore[arg-type]
    assert hook.requests == []


def test_a_kind_of_channel_to_responders_is_none_to_authorities_and_no_settings_leak() -> None:
    for kind in set(KINDS) - {"webhook"}:
        with pytest.raises(BadInput, match="no such kind"):
            open_authority(kind, {}, "authority police", allow_loopback=True)
    with pytest.raises(BadInput) as caught:
        open_authority("webhook", {"url": "ftp://hidden-token", "secret": "hidden-token"}, "there", allow_loopback=True)
    assert "hidden-token" not in str(caught.value)
    channel = open_authority("webhook", settings("https://a.example/hidden-token"), "there", allow_loopback=True)
    assert "hidden-token" not in repr(channel)
    assert SECRET not in repr(channel)


def test_what_an_authority_is_told_names_nobody_but_the_contacts_and_no_child() -> None:
    data = json.loads(content(HANDOVER))["data"]
    assert set(data) == {
        *("handover", "alarm", "authority", "class", "priority", "title", "raised_at", "late", "institution"),
        *(
            "institution_title",
            "division",
            "place",
            "floor",
            "position",
            "contacts",
            "cameras",
            "begun_at",
            "begun_by",
            "note",
        ),
    }


def test_one_alarm_and_authority_have_one_handover() -> None:
    alarm = UUID(int=1)
    assert handover_id(alarm, "a") == handover_id(alarm, "a") != handover_id(alarm, "b")


WRONG = """
from hub.model import Exercise
from hub.notify import Message, deliver
from hub.notify.authority import AuthorityChannel, Handover

async def tell(channel: AuthorityChannel, message: Message, handover: Handover) -> None:
    await channel.hand_over(message)
    await deliver(channel, message)
    await channel.send(message)

def make(message: Message, exercise: Exercise | None) -> Handover:
    return Handover(exercise=exercise)
"""


@pytest.mark.slow
def test_the_type_checker_refuses_an_authority_that_is_told_of_what_may_be_an_exercise(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "mypy", "--config-file", str(root / "pyproject.toml"), str(tmp_path / "wrong.py")]
    said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=100).stdout
    assert 'Argument 1 to "hand_over" of "AuthorityChannel" has incompatible type "Message"' in said
    assert 'Argument 1 to "deliver" has incompatible type "AuthorityChannel"' in said
    assert '"AuthorityChannel" has no attribute "send"' in said
    assert 'Argument "exercise" to "Handover" has incompatible type "Exercise | None"; expected "None"' in said
