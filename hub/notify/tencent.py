"""Text messages (SendSms 2021-01-11) and calls that are read out (SendTtsVoice 2020-09-02) through Tencent Cloud's SDKs. Whether a text message
arrived is asked for later (PullSmsSendStatusByPhoneNumber); for calls Tencent has no such question: it calls back (hub/api/receipts.py).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from hub.notify.message import Channel, Message
from hub.notify.telephony import (
    READ_SECONDS,
    Arrival,
    Confirmation,
    Phone,
    PhoneSettings,
    Reported,
    Said,
    Word,
    answered,
    check_sdk,
    check_words,
    named,
    spoken,
)

_REGION = "ap-guangzhou"
_CODES = {
    "LimitExceeded.PhoneNumberDailyLimit": "the provider's limit for this number",
    "LimitExceeded.PhoneNumberOneHourLimit": "the provider's limit for this number",
    "LimitExceeded.PhoneNumberThirtySecondLimit": "the provider's limit for this number",
    "FailedOperation.InsufficientBalanceInSmsPackage": "the account has no messages left",
    "FailedOperation.SignatureIncorrectOrUnapproved": "the signature is not approved",
    "FailedOperation.TemplateIncorrectOrUnapproved": "the template is not approved",
    "FailedOperation.TemplateParamSetNotMatchApprovedTemplate": "the template asks for other parameters",
    "FailedOperation.PhoneNumberInBlacklist": "the owner of the number refuses messages",
    "InvalidParameterValue.IncorrectPhoneNumber": "the number is none",
    "InvalidParameterValue.TemplateParameterLengthLimit": "a parameter is too long for the template",
    "AuthFailure.SecretIdNotFound": "the secret id is not known",
    "AuthFailure.SignatureFailure": "the secret key does not hold",
    "AuthFailure.SignatureExpire": "this machine's clock is wrong",
    "RequestLimitExceeded": "too many calls of the interface",
}
_FINAL = frozenset({"InvalidParameterValue.IncorrectPhoneNumber", "FailedOperation.PhoneNumberInBlacklist"})


class TencentSettings(PhoneSettings):
    """An account of Tencent Cloud. `parameters`: the words in the template's order; one is `title`."""

    secret_id: SecretStr
    secret_key: SecretStr
    app_id: str = Field(pattern=r"^[0-9]{5,20}$")
    parameters: tuple[Word, ...] = Field(min_length=1, max_length=7)
    hosts = ".tencentcloudapi.com"
    codes = _CODES
    final = _FINAL

    @model_validator(mode="after")
    def _holds(self) -> Self:
        check_words(self.parameters)
        check_sdk("tencentcloud")
        check_sdk(self.sdk)
        return self

    @property
    def words(self) -> Sequence[Word]:
        """What the parameters of the template say."""
        return self.parameters

    def secrets(self) -> Sequence[SecretStr]:
        """What must never be shown."""
        return (self.secret_id, self.secret_key, self.number)

    def is_answer(self, error: Exception) -> bool:
        """An answer of the provider came with a request's id."""
        return bool(getattr(error, "requestId", None))

    @property
    def e164(self) -> str:
        """The number with its country's code."""
        number = self.number.get_secret_value()
        return number if number.startswith("+") else f"+86{number}"


class TencentSmsSettings(TencentSettings):
    """Text messages. `sign_name` is the approved signature (短信签名)."""

    sign_name: str = Field(min_length=2, max_length=12)
    endpoint: str = Field(default="sms.tencentcloudapi.com", validate_default=True)
    sdk = "tencentcloud.sms"

    def channel(self, *, allow_loopback: bool) -> Channel:
        """The channel of these settings."""
        return Phone(self, partial(send_sms, self), partial(ask_sms, self), allow_loopback=allow_loopback)


class TencentVoiceSettings(TencentSettings):
    """Calls that are read out. `callback_secret` is the end of the address that Tencent is told to call back (docs/operations.md, Channels): what became
    of a call Tencent says by itself or not at all.
    """

    play_times: int = Field(default=2, ge=1, le=3)
    callback_secret: SecretStr | None = None
    endpoint: str = Field(default="vms.tencentcloudapi.com", validate_default=True)
    sdk = "tencentcloud.vms"

    @field_validator("callback_secret")
    @classmethod
    def _cannot_be_guessed(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None and re.fullmatch(r"[A-Za-z0-9_-]{32,100}", given.get_secret_value()) is None:
            raise ValueError("letters, digits, - and _ alone, 32 to 100 of them, made by chance")
        return given

    def secrets(self) -> Sequence[SecretStr]:
        """What must never be shown."""
        return (*super().secrets(), *([] if self.callback_secret is None else [self.callback_secret]))

    def channel(self, *, allow_loopback: bool) -> Channel:
        """The channel of these settings."""
        return Phone(
            self,
            partial(call, self),
            lambda name, at: Confirmation(Arrival.PENDING, "the provider has not called back"),
            allow_loopback=allow_loopback,
        )


def _client(settings: TencentSettings, client: Callable[..., Any]) -> Any:
    from tencentcloud.common.credential import Credential
    from tencentcloud.common.profile.client_profile import ClientProfile
    from tencentcloud.common.profile.http_profile import HttpProfile

    http = HttpProfile(
        protocol="http" if settings.is_loopback else "https", endpoint=settings.endpoint, reqTimeout=READ_SECONDS
    )
    credential = Credential(settings.secret_id.get_secret_value(), settings.secret_key.get_secret_value())
    return client(credential, _REGION, ClientProfile(httpProfile=http))


def send_sms(settings: TencentSmsSettings, message: Message) -> Said:
    """One SendSms; blocks."""
    from tencentcloud.sms.v20210111 import models
    from tencentcloud.sms.v20210111.sms_client import SmsClient

    request = models.SendSmsRequest()
    request.PhoneNumberSet = [settings.e164]
    request.SmsSdkAppId = settings.app_id
    request.SignName = settings.sign_name
    request.TemplateId = settings.template
    request.TemplateParamSet = spoken(message, settings.words, settings.most_letters)
    request.SessionContext = str(message.id)
    answer = _client(settings, SmsClient).SendSms(request)
    statuses = answer.SendStatusSet or []
    if not statuses:
        return Said("no-status")
    return Said("" if statuses[0].Code == "Ok" else str(statuses[0].Code), str(statuses[0].SerialNo or ""))


def ask_sms(settings: TencentSmsSettings, provider_id: str, sent_at: datetime) -> Confirmation:
    """One PullSmsSendStatusByPhoneNumber; blocks."""
    from tencentcloud.sms.v20210111 import models
    from tencentcloud.sms.v20210111.sms_client import SmsClient

    request = models.PullSmsSendStatusByPhoneNumberRequest()
    request.BeginTime = int(sent_at.timestamp()) - 300
    request.Offset = 0
    request.Limit = 100
    request.PhoneNumber = settings.e164
    request.SmsSdkAppId = settings.app_id
    answer = _client(settings, SmsClient).PullSmsSendStatusByPhoneNumber(request)
    for status in answer.PullSmsSendStatusSet or []:
        if status.SerialNo != provider_id:
            continue
        if status.ReportStatus == "SUCCESS":
            return Confirmation(Arrival.ARRIVED)
        if status.ReportStatus == "FAIL":
            said = named(str(status.Description or ""), settings.secrets())
            return Confirmation(Arrival.NOT_ARRIVED, f"the carrier did not deliver it{said}")
    return Confirmation(Arrival.PENDING)


def call(settings: TencentVoiceSettings, message: Message) -> Said:
    """One SendTtsVoice; blocks until the provider took it, not until somebody answers."""
    from tencentcloud.vms.v20200902 import models
    from tencentcloud.vms.v20200902.vms_client import VmsClient

    request = models.SendTtsVoiceRequest()
    request.TemplateId = settings.template
    request.CalledNumber = settings.e164
    request.VoiceSdkAppid = settings.app_id
    request.TemplateParamSet = spoken(message, settings.words, settings.most_letters)
    request.PlayTimes = settings.play_times
    request.SessionContext = str(message.id)
    answer = _client(settings, VmsClient).SendTtsVoice(request)
    name = "" if answer.SendStatus is None else str(answer.SendStatus.CallId or "")
    if name and settings.callback_secret is None:
        return Said("")  # nobody will ever say what became of it
    return Said("" if name else "no-call", name)


_REPORTS = ("voiceprompt_callback", "voice_callback", "voicecode_callback")
_RESULTS = {"1": "nobody answered the call", "2": "the call did not come about"}


def reported(document: object) -> Reported | None:
    """What Tencent posts of a call: its result (0 answered, 1 not answered, 2 no call), or which key was pressed in it; None for whatever else."""
    if not isinstance(document, dict):
        return None
    key = document.get("voicekey_callback")
    if isinstance(key, dict) and _name(key) and answered(key.get("keypress")) != answered(None):
        return Reported(_name(key), Confirmation(Arrival.ARRIVED, answered(key.get("keypress"))), is_more=True)
    for name in _REPORTS:
        report = document.get(name)
        if not isinstance(report, dict) or not _name(report):
            continue
        result = str(report.get("result", ""))
        if result == "0":
            return Reported(_name(report), Confirmation(Arrival.ARRIVED, answered(None)))
        if result in _RESULTS:
            return Reported(_name(report), Confirmation(Arrival.NOT_ARRIVED, _RESULTS[result]))
    return None


def _name(report: Mapping[str, object]) -> str:
    name = report.get("callid")
    return name if isinstance(name, str) and len(name) <= 100 else ""
