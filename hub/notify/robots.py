"""Chat robots of DingTalk, WeCom and Feishu: one POST of plain text into a group.

A robot answers HTTP 200 also when it sends nothing: what counts is `errcode` (Feishu: `code`) in the answer, which must be there and be 0. Why not through
apprise: docs/decisions/0241. A group holds many people, so it is told what, where, when and what to do first, and names nobody.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import httpx
from pydantic import Field, SecretStr, field_validator

from hub.model import SECOND
from hub.notify.message import Channel, ChannelSettings, Message, Outcome, Receipt
from hub.notify.posting import judge, post
from hub.notify.wording import brief

_SECONDS = 5.0
_MOST_ANSWER = 4096


class Request(NamedTuple):
    """One call of a robot. The query holds the token."""

    path: str
    query: Mapping[str, str]
    body: Mapping[str, Any]


class RobotSettings(ChannelSettings):
    """A robot of a group. `secret` signs, where the robot was set up so; `base_url` is for a gateway of one's own and is https."""

    token: SecretStr
    secret: SecretStr | None = None
    base_url: str = Field(max_length=200)

    @field_validator("token", "secret")
    @classmethod
    def _is_a_token(cls, given: SecretStr | None) -> SecretStr | None:
        text = None if given is None else given.get_secret_value()
        if text is not None and (
            not 8 <= len(text) <= 200 or not text.replace("-", "").replace("_", "").isalnum() or not text.isascii()
        ):
            raise ValueError(
                "letters, digits, - and _ alone, 8 to 200 of them: the last part of the robot's address, not the whole"
            )
        return given

    @field_validator("base_url")
    @classmethod
    def _is_https(cls, given: str) -> str:
        try:
            url = httpx.URL(given)
        except (httpx.InvalidURL, UnicodeError):
            raise ValueError("is no URL") from None
        if url.scheme != "https" and not (url.scheme == "http" and url.host in ("127.0.0.1", "::1")):
            raise ValueError("https:// alone: the address holds the robot's token")
        if not url.host or url.userinfo or url.query or url.fragment or url.path not in ("", "/"):
            raise ValueError("scheme, host and port alone")
        return given.rstrip("/")

    def shown(self) -> dict[str, object]:
        """What may be shown."""
        shown: dict[str, object] = {"base_url": self.base_url, "token": "***"}
        return shown if self.secret is None else {**shown, "secret": "***"}


class DingTalkSettings(RobotSettings):
    """A robot of DingTalk (钉钉自定义机器人): `token` is `access_token` of its address, `secret` begins with SEC. 20 messages a minute."""

    base_url: str = Field(default="https://oapi.dingtalk.com", max_length=200, validate_default=True)

    def channel(self, *, allow_loopback: bool) -> Channel:
        """The channel of these settings."""
        return Robot(self, dingtalk, _DINGTALK, allow_loopback=allow_loopback)


class WeComSettings(RobotSettings):
    """A robot of WeCom (企业微信群机器人): `token` is `key` of its address; it knows no signature. 20 messages a minute."""

    secret: None = None
    base_url: str = Field(default="https://qyapi.weixin.qq.com", max_length=200, validate_default=True)

    def channel(self, *, allow_loopback: bool) -> Channel:
        """The channel of these settings."""
        return Robot(self, wecom, _WECOM, allow_loopback=allow_loopback)


class FeishuSettings(RobotSettings):
    """A robot of Feishu (飞书自定义机器人) or, by `base_url: https://open.larksuite.com`, of Lark: `token` is the end of its address."""

    base_url: str = Field(default="https://open.feishu.cn", max_length=200, validate_default=True)

    def channel(self, *, allow_loopback: bool) -> Channel:
        """The channel of these settings."""
        return Robot(self, feishu, _FEISHU, allow_loopback=allow_loopback)


_TOO_MANY = "too many messages for this robot"
_LIMIT = 60 * SECOND
"""all three count messages by the minute; who goes on meanwhile is shut out for longer"""
# Error codes of the robots' documents. What is not here is tried again: an outage must not lose a page.
_DINGTALK = {
    300001: "the robot's token is not known",
    300005: "the robot's token is not known",
    310000: "the robot's security setting (keyword, signature or address) does not let it pass",
    400101: "the robot was stopped or taken out of the group",
    410100: _TOO_MANY,
    130101: _TOO_MANY,
}
_WECOM = {
    93000: "the robot's key is not known",
    40058: "the robot does not take this message",
    45009: _TOO_MANY,
    45033: _TOO_MANY,
}
_FEISHU = {
    19001: "the robot's token is not known",
    19002: "the robot does not take this message",
    19007: "the robot was stopped",
    19021: "the robot's signature or this machine's clock does not hold",
    19022: "this machine's address is not on the robot's list",
    19024: "the robot's keyword is not in the message",
    11232: _TOO_MANY,
    9499: "the robot does not take this message",
}


def _signature(secret: SecretStr, stamp: str, *, as_key: bool) -> str:
    text = f"{stamp}\n{secret.get_secret_value()}".encode()
    key, said = (text, b"") if as_key else (secret.get_secret_value().encode(), text)
    return base64.b64encode(hmac.digest(key, said, hashlib.sha256)).decode()


def dingtalk(settings: RobotSettings, message: Message, now: float) -> Request:
    """HMAC-SHA256 by the secret over milliseconds, line feed and secret."""
    query = {"access_token": settings.token.get_secret_value()}
    if settings.secret is not None:
        stamp = str(int(now * 1000))
        query |= {"timestamp": stamp, "sign": _signature(settings.secret, stamp, as_key=False)}
    return Request("/robot/send", query, {"msgtype": "text", "text": {"content": brief(message, 15_000)}})


def wecom(settings: RobotSettings, message: Message, now: float) -> Request:
    """At most 2,048 bytes of text."""
    query = {"key": settings.token.get_secret_value()}
    return Request("/cgi-bin/webhook/send", query, {"msgtype": "text", "text": {"content": brief(message, 2_048)}})


def feishu(settings: RobotSettings, message: Message, now: float) -> Request:
    """HMAC-SHA256 of nothing, by seconds, line feed and secret as the key."""
    body: dict[str, Any] = {"msg_type": "text", "content": {"text": brief(message, 15_000)}}
    if settings.secret is not None:
        stamp = str(int(now))
        body |= {"timestamp": stamp, "sign": _signature(settings.secret, stamp, as_key=True)}
    return Request(f"/open-apis/bot/v2/hook/{settings.token.get_secret_value()}", {}, body)


class Robot:
    """Sends into one group."""

    carries_marks: ClassVar[bool] = True

    def __init__(
        self,
        settings: RobotSettings,
        call: Callable[[RobotSettings, Message, float], Request],
        codes: Mapping[int, str],
        *,
        allow_loopback: bool = False,
        seconds: float = _SECONDS,
    ) -> None:
        self._settings = settings
        self._call = call
        self._codes = codes
        self._allow_loopback = allow_loopback
        self._seconds = seconds

    async def send(self, message: Message) -> Receipt:
        """One POST, five seconds at most for all of it. A group that is told twice sees it twice: robots know no key to drop it by."""
        request = self._call(self._settings, message, time.time())
        url = httpx.URL(self._settings.base_url + request.path, params=dict(request.query))
        answer = await post(
            url,
            json.dumps(request.body, ensure_ascii=False).encode(),
            {"content-type": "application/json; charset=utf-8"},
            allow_loopback=self._allow_loopback,
            seconds=self._seconds,
            read=_MOST_ANSWER,
        )
        if isinstance(answer, Receipt):
            return answer
        receipt = judge(answer.status, answer.retry_after)
        return receipt if receipt.outcome is not Outcome.DELIVERED else said(answer.body, self._codes)


def said(body: bytes, codes: Mapping[int, str]) -> Receipt:
    """What a robot's answer means: delivered is what says so, and nothing else. Any bytes are taken."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    found = document if isinstance(document, dict) else {}
    number = next((found[key] for key in ("errcode", "code", "StatusCode") if key in found), None)
    if isinstance(number, bool) or not isinstance(number, int) or not -(2**31) <= number < 2**31:
        return Receipt(Outcome.FAILED, 200, "the robot's answer does not say whether it sent it")
    if number == 0:
        return Receipt(Outcome.DELIVERED, 0)
    words = codes.get(number, "the robot says that it did not send it")
    return Receipt(Outcome.FAILED, number, words, retry_after=_LIMIT if words == _TOO_MANY else None)
