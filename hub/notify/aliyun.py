"""Text messages (SendSms) and calls that are read out (SingleCallByTts) through Aliyun's SDKs; whether they arrived is asked for later
(QuerySendDetails, QueryCallDetailByCallId). Documents: Aliyun, Short Message Service 2017-05-25 and Voice Messaging Service 2017-05-25.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, Self

from pydantic import Field, SecretStr, model_validator

from hub.notify.message import Channel, Message
from hub.notify.telephony import (
    CONNECT_SECONDS,
    READ_SECONDS,
    Arrival,
    Confirmation,
    Phone,
    PhoneSettings,
    Said,
    Word,
    answered,
    check_sdk,
    check_words,
    named,
    spoken,
)

_BEIJING = timezone(timedelta(hours=8), "UTC+08:00")
_TTS_PRODUCT = 11010000138001
"""`ProdId` of calls made by SingleCallByTts"""
_CODES = {
    "isv.BUSINESS_LIMIT_CONTROL": "the provider's limit for this number",
    "isv.AMOUNT_NOT_ENOUGH": "the account has no money left",
    "isv.OUT_OF_SERVICE": "the account is out of service",
    "isv.MOBILE_NUMBER_ILLEGAL": "the number is none",
    "isv.SMS_SIGNATURE_ILLEGAL": "the signature is not approved",
    "isv.SMS_TEMPLATE_ILLEGAL": "the template is not approved",
    "isv.TEMPLATE_MISSING_PARAMETERS": "the template asks for other parameters",
    "isv.TEMPLATE_PARAMS_ILLEGAL": "the template asks for other parameters",
    "isv.PARAM_LENGTH_LIMIT": "a parameter is too long for the template",
    "isv.TTS_TEMPLATE_ILLEGAL": "the template is not approved",
    "isv.VOICE_NUMBER_ILLEGAL": "the number that is shown is not bought",
    "InvalidAccessKeyId.NotFound": "the access key is not known",
    "SignatureDoesNotMatch": "the access key's secret does not hold",
    "Throttling.User": "too many calls of the interface",
}
_FINAL = frozenset({"isv.MOBILE_NUMBER_ILLEGAL"})
_HEARD = "200000"
"""state of a call that was listened to until its end; every other one counts by how long the call lasted (200005 is a phone out of reach)"""


class AliyunSettings(PhoneSettings):
    """An account of Aliyun. `parameters`: name in the template, and which word stands there; one is `title`."""

    access_key_id: SecretStr
    access_key_secret: SecretStr
    parameters: dict[str, Word] = Field(min_length=1, max_length=7)
    hosts = ".aliyuncs.com"
    codes = _CODES
    final = _FINAL

    @model_validator(mode="after")
    def _holds(self) -> Self:
        check_words(list(self.parameters.values()))
        if not all(name.isidentifier() and name.isascii() and len(name) <= 30 for name in self.parameters):
            raise ValueError("parameters: names of letters, digits and _")
        check_sdk(self.sdk)
        return self

    @property
    def words(self) -> Sequence[Word]:
        """What the parameters of the template say."""
        return list(self.parameters.values())

    def secrets(self) -> Sequence[SecretStr]:
        """What must never be shown."""
        return (self.access_key_id, self.access_key_secret, self.number)

    def is_answer(self, error: Exception) -> bool:
        """An error with a cause is one of the connection."""
        return error.__cause__ is None

    def filled(self, message: Message) -> str:
        """The parameters as the provider takes them."""
        values = spoken(message, self.words, self.most_letters)
        return json.dumps(dict(zip(self.parameters, values, strict=True)), ensure_ascii=False)


class AliyunSmsSettings(AliyunSettings):
    """Text messages. `sign_name` is the approved signature (短信签名)."""

    sign_name: str = Field(min_length=2, max_length=12)
    endpoint: str = Field(default="dysmsapi.aliyuncs.com", validate_default=True)
    sdk = "alibabacloud_dysmsapi20170525"

    def channel(self, *, allow_loopback: bool) -> Channel:
        """The channel of these settings."""
        return Phone(self, partial(send_sms, self), partial(ask_sms, self), allow_loopback=allow_loopback)


class AliyunVoiceSettings(AliyunSettings):
    """Calls that are read out. `show_number` is the number that the phone shows, where one was bought."""

    show_number: str = Field(default="", pattern=r"^[0-9]{0,20}$")
    play_times: int = Field(default=2, ge=1, le=3)
    endpoint: str = Field(default="dyvmsapi.aliyuncs.com", validate_default=True)
    sdk = "alibabacloud_dyvmsapi20170525"

    def channel(self, *, allow_loopback: bool) -> Channel:
        """The channel of these settings."""
        return Phone(self, partial(call, self), partial(ask_call, self), allow_loopback=allow_loopback)


def _config(settings: AliyunSettings) -> Any:
    from alibabacloud_tea_openapi.models import Config

    return Config(
        access_key_id=settings.access_key_id.get_secret_value(),
        access_key_secret=settings.access_key_secret.get_secret_value(),
        endpoint=settings.endpoint,
        protocol="HTTP" if settings.is_loopback else "HTTPS",
        connect_timeout=1000 * CONNECT_SECONDS,
        read_timeout=1000 * READ_SECONDS,
    )


def _once() -> Any:
    from darabonba.runtime import RuntimeOptions

    return RuntimeOptions(
        autoretry=False,
        max_attempts=1,
        connect_timeout=1000 * CONNECT_SECONDS,
        read_timeout=1000 * READ_SECONDS,
    )


def send_sms(settings: AliyunSmsSettings, message: Message) -> Said:
    """One SendSms; blocks."""
    from alibabacloud_dysmsapi20170525.client import Client
    from alibabacloud_dysmsapi20170525.models import SendSmsRequest

    request = SendSmsRequest(
        phone_numbers=settings.number.get_secret_value(),
        sign_name=settings.sign_name,
        template_code=settings.template,
        template_param=settings.filled(message),
        out_id=str(message.id),
    )
    body = Client(_config(settings)).send_sms_with_options(request, _once()).body
    return Said("" if body.code == "OK" else str(body.code), str(body.biz_id or ""))


def ask_sms(settings: AliyunSmsSettings, provider_id: str, sent_at: datetime) -> Confirmation:
    """One QuerySendDetails: 1 waits, 2 failed, 3 arrived; blocks."""
    from alibabacloud_dysmsapi20170525.client import Client
    from alibabacloud_dysmsapi20170525.models import QuerySendDetailsRequest

    request = QuerySendDetailsRequest(
        biz_id=provider_id,
        phone_number=settings.number.get_secret_value(),
        send_date=sent_at.astimezone(_BEIJING).strftime("%Y%m%d"),
        page_size=10,
        current_page=1,
    )
    body = Client(_config(settings)).query_send_details_with_options(request, _once()).body
    details = getattr(body.sms_send_detail_dtos, "sms_send_detail_dto", None) or []
    states = {detail.send_status: str(detail.err_code or "") for detail in details}
    if body.code != "OK" or not states or 1 in states:
        return Confirmation(Arrival.PENDING)
    if 2 in states:
        return Confirmation(
            Arrival.NOT_ARRIVED, f"the carrier did not deliver it{named(states[2], settings.secrets())}"
        )
    return Confirmation(Arrival.ARRIVED if 3 in states else Arrival.PENDING)


def call(settings: AliyunVoiceSettings, message: Message) -> Said:
    """One SingleCallByTts; blocks until the provider took it, not until somebody answers."""
    from alibabacloud_dyvmsapi20170525.client import Client
    from alibabacloud_dyvmsapi20170525.models import SingleCallByTtsRequest

    request = SingleCallByTtsRequest(
        called_number=settings.number.get_secret_value(),
        called_show_number=settings.show_number or None,
        tts_code=settings.template,
        tts_param=settings.filled(message),
        play_times=settings.play_times,
        out_id=message.id.hex[:15],
    )
    body = Client(_config(settings)).single_call_by_tts_with_options(request, _once()).body
    return Said("" if body.code == "OK" else str(body.code), str(body.call_id or ""))


def ask_call(settings: AliyunVoiceSettings, provider_id: str, sent_at: datetime) -> Confirmation:
    """One QueryCallDetailByCallId: a call that lasted was answered; blocks."""
    from alibabacloud_dyvmsapi20170525.client import Client
    from alibabacloud_dyvmsapi20170525.models import QueryCallDetailByCallIdRequest

    at = int((sent_at - timedelta(minutes=5)).timestamp() * 1000)
    request = QueryCallDetailByCallIdRequest(call_id=provider_id, prod_id=_TTS_PRODUCT, query_date=at)
    body = Client(_config(settings)).query_call_detail_by_call_id_with_options(request, _once()).body
    detail = _object(body.data)
    if body.code != "OK" or not detail.get("endDate"):
        return Confirmation(Arrival.PENDING)
    state = str(detail.get("state", ""))
    lasted = str(detail.get("duration", "0"))
    if state == _HEARD or (lasted.isascii() and lasted.isdigit() and int(lasted[:9]) > 0):
        return Confirmation(Arrival.ARRIVED, answered(detail.get("dtmf")))
    return Confirmation(Arrival.NOT_ARRIVED, f"nobody answered the call{named(state, settings.secrets())}")


def _object(text: Any) -> Mapping[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
