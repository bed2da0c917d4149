"""Text messages (SendSms 2021-01-11) and calls that are read out (SendTtsVoice 2020-09-02) through Tencent Cloud's SDKs. Whether a text message
arrived is asked for later (PullSmsSendStatusByPhoneNumber); for calls Tencent has no such question, only a callback, which is not built.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Self

from pydantic import Field, SecretStr, model_validator

from hub.notify.message import Channel, Message, Outcome, Receipt
from hub.notify.telephony import (
    READ_SECONDS,
    Arrival,
    Confirmation,
    Phone,
    PhoneSettings,
    Said,
    Word,
    check_sdk,
    check_words,
    judged,
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
        return Phone(
            self,
            lambda message: _sent(self, lambda: send_sms(self, message)),
            lambda name, at: _asked(self, lambda: ask_sms(self, name, at)),
            allow_loopback=allow_loopback,
        )


class TencentVoiceSettings(TencentSettings):
    """Calls that are read out."""

    play_times: int = Field(default=2, ge=1, le=3)
    endpoint: str = Field(default="vms.tencentcloudapi.com", validate_default=True)
    sdk = "tencentcloud.vms"

    def channel(self, *, allow_loopback: bool) -> Channel:
        """The channel of these settings."""
        return Phone(
            self,
            lambda message: _sent(self, lambda: call(self, message))._replace(provider_id=""),
            lambda name, at: Confirmation(Arrival.PENDING),
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
    return Said("" if name else "no-call", name)


def _sent(settings: TencentSettings, send: Callable[[], Said]) -> Receipt:
    try:
        return judged(send(), _CODES, _FINAL, settings.secrets())
    except Exception as error:  # noqa: BLE001 -- whatever the SDK raises: its text may hold the number and the key
        return _broken(settings, error)


def _asked(settings: TencentSettings, ask: Callable[[], Confirmation]) -> Confirmation:
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 -- as above
        return Confirmation(Arrival.PENDING, _broken(settings, error).detail)


def _broken(settings: TencentSettings, error: Exception) -> Receipt:
    """An error of the SDK: the provider's code where there is one (it came with a request's id), else that there was no answer."""
    code = getattr(error, "code", None)
    if isinstance(code, str) and code and getattr(error, "requestId", None):
        return judged(Said(code), _CODES, _FINAL, settings.secrets())
    return Receipt(Outcome.FAILED, None, f"the provider was not reached ({type(error).__name__})")
