"""What a kind of channel is to the person who is told: two kinds at once (FIR-49) means two media, not two providers of one. Pure."""

from collections.abc import Mapping
from enum import StrEnum


class Medium(StrEnum):
    """How a message reaches somebody."""

    MAIL = "mail"
    CHAT = "chat"
    SMS = "sms"
    VOICE = "voice"
    PLATFORM = "platform"
    """another system that shows it: a webhook"""
    BROKER = "broker"
    """a topic that something else reads"""
    DEVICE = "device"
    """a sounder: it makes noise and names nobody"""
    SINK = "sink"
    """nobody"""


MEDIA: Mapping[str, Medium] = {
    "webhook": Medium.PLATFORM,
    "smtp": Medium.MAIL,
    "dingtalk": Medium.CHAT,
    "wecom": Medium.CHAT,
    "feishu": Medium.CHAT,
    "sms_aliyun": Medium.SMS,
    "sms_tencent": Medium.SMS,
    "voice_aliyun": Medium.VOICE,
    "voice_tencent": Medium.VOICE,
    "mqtt": Medium.BROKER,
    "siren": Medium.DEVICE,
    "sink": Medium.SINK,
}
REACHES_A_PERSON = frozenset(Medium) - {Medium.DEVICE, Medium.SINK}
"""media that can put a page before somebody's eyes or ears"""


def medium(kind: str) -> Medium:
    """The medium of a kind of channel; one that is not known here reaches nobody, so that nothing counts on it."""
    return MEDIA.get(kind, Medium.SINK)
