"""Channels: one file each, behind `Channel.send(Message) -> Receipt`, which only `deliver` calls. This module knows which there are and makes
one from stored settings. Authorities are no channels: hub/notify/authority.py.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from hub.core.channels import NO_KEY, is_sealed
from hub.errors import BadInput
from hub.notify.aliyun import AliyunSmsSettings, AliyunVoiceSettings
from hub.notify.message import Channel, ChannelSettings, Message, Outcome, Receipt
from hub.notify.mqtt import MqttSettings
from hub.notify.robots import DingTalkSettings, FeishuSettings, WeComSettings
from hub.notify.sink import SinkSettings
from hub.notify.siren import SirenSettings
from hub.notify.smtp import SmtpSettings
from hub.notify.tencent import TencentSmsSettings, TencentVoiceSettings
from hub.notify.webhook import WebhookSettings

KINDS: Mapping[str, type[ChannelSettings]] = {
    "webhook": WebhookSettings,
    "smtp": SmtpSettings,
    "dingtalk": DingTalkSettings,
    "wecom": WeComSettings,
    "feishu": FeishuSettings,
    "sms_aliyun": AliyunSmsSettings,
    "sms_tencent": TencentSmsSettings,
    "voice_aliyun": AliyunVoiceSettings,
    "voice_tencent": TencentVoiceSettings,
    "mqtt": MqttSettings,
    "siren": SirenSettings,
    "sink": SinkSettings,
}


def parse_settings(kind: str, settings: Mapping[str, Any], where: str) -> ChannelSettings:
    """The settings of a channel of this kind; raises BadInput that names `where` and the key, never a value."""
    model = KINDS.get(kind)
    if model is None:
        raise BadInput(f"there is no channel kind {kind!r}: it is one of {', '.join(KINDS)}", where, code="channel")
    if is_sealed(settings):
        raise BadInput(NO_KEY, where, code="channel")
    try:
        return model.model_validate(settings)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        key, reason = ".".join(str(part) for part in first["loc"]), first["msg"].removeprefix("Value error, ")
        raise BadInput(f"{key}: {reason}" if key else reason, where, code="channel") from None


def open_channel(kind: str, settings: Mapping[str, Any], where: str, *, allow_loopback: bool) -> Channel:
    """A channel ready to send; raises BadInput as `parse_settings`."""
    return parse_settings(kind, settings, where).channel(allow_loopback=allow_loopback)


async def deliver(channel: Channel, message: Message) -> Receipt:
    """One attempt; the only way to send. What cannot say that it is an exercise is not told of one."""
    if message.exercise is not None and not channel.carries_marks:
        reason = f"this channel cannot say that it is an exercise ({message.exercise}): not sent"
        return Receipt(Outcome.REFUSED, None, reason)
    return await channel.send(message)


__all__ = ["Channel", "Message", "Outcome", "Receipt", "deliver", "open_channel", "parse_settings"]
