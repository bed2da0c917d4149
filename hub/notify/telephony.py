"""What all text messages and calls through a provider have in common: a template with parameters, a number that is nobody's business, an SDK that
blocks and is therefore called in a thread of a small pool, and a provider that tells later whether it arrived.

A text message or a call is heard by whoever holds the phone: it is told what, where, when, and what to do first. No child, no keeper, no link.
"""

import asyncio
import logging
import re
from abc import abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from functools import cache
from importlib.util import find_spec
from typing import ClassVar, Literal, NamedTuple, Protocol, TypeVar

from pydantic import Field, SecretStr, field_validator

from hub.model import LIFE_SAFETY
from hub.notify.message import Channel, ChannelSettings, Message, Outcome, Receipt
from hub.notify.wording import CLASSES, MARKS, PRIORITIES, asked, called, where

# these write whole requests into their log: the number, the text, the key's id. Two of them set their own level and handler when they are
# imported, so a level does not hold
for _library in (
    "urllib3.connectionpool",
    "tencentcloud_sdk_common",
    "alibabacloud-tea",
    "darabonba-core",
    "alibabacloud_credentials",
):
    logging.getLogger(_library).disabled = True

CONNECT_SECONDS = 2
READ_SECONDS = 5
_SECONDS = 8.0
"""longer than the SDK's own two limits, so that a thread is never left with a call that nobody waits for"""
_BEIJING = timezone(timedelta(hours=8), "UTC+08:00")
_AUTHORITY = re.compile(r"((\+|00)?86[0-9]{0,3}|0[0-9]{2,3})?(110|119|120|122|12110|12119)", re.ASCII)
"""as it is dialled from another city (area code first) or another country, too"""
_LOOPBACK = re.compile(r"127\.0\.0\.1:[0-9]{1,5}")
_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+){2,6}")
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ID = re.compile(r"[A-Za-z0-9^._:-]{1,100}")


Word = Literal["title", "class", "priority", "institution", "place", "time", "response"]
"""what a parameter of a template may say"""
T = TypeVar("T")


class Arrival(StrEnum):
    """What the provider says of a message that it took."""

    ARRIVED = "arrived"
    NOT_ARRIVED = "not_arrived"
    PENDING = "pending"


class Confirmation(NamedTuple):
    """The provider's later word. `detail` is in our own words, with the provider's code where that is a plain one."""

    arrival: Arrival
    detail: str = ""


class ConfirmedChannel(Protocol):
    """A channel whose provider can be asked later whether a message arrived."""

    async def confirm(self, provider_id: str, sent_at: datetime) -> Confirmation:
        """One question, within the channel's time limit; PENDING where the provider does not know or does not answer."""
        ...


class Reported(NamedTuple):
    """What a provider says by itself of a message that it took."""

    provider_id: str
    confirmation: Confirmation
    is_more: bool = False
    """something besides what it said before: which key was pressed"""


class Said(NamedTuple):
    """A provider's answer, as its SDK gave it: its own code (empty: success) and the id under which it can be asked."""

    code: str
    provider_id: str = ""


class PhoneSettings(ChannelSettings):
    """One phone, one approved template. The number is a person's: it is shown to nobody."""

    number: SecretStr
    template: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    most_letters: int = Field(default=35, ge=10, le=200)
    """how long a parameter may be: providers refuse longer ones"""
    endpoint: str = ""

    sdk: ClassVar[str]
    hosts: ClassVar[str]
    codes: ClassVar[dict[str, str]]
    """the provider's codes in our own words"""
    final: ClassVar[frozenset[str]]
    """those after which trying again is of no use"""

    @field_validator("number")
    @classmethod
    def _is_a_number(cls, number: SecretStr) -> SecretStr:
        if re.fullmatch(r"\+?[0-9]{5,20}", number.get_secret_value()) is None:
            raise ValueError("digits alone, 5 to 20 of them, + before a country's code")
        if _AUTHORITY.fullmatch(number.get_secret_value()) is not None:
            raise ValueError("an authority's number is no responder: docs/operations.md, Authorities")
        return number

    @field_validator("endpoint")
    @classmethod
    def _is_the_providers(cls, endpoint: str) -> str:
        theirs = _HOST.fullmatch(endpoint) is not None and endpoint.endswith(cls.hosts)
        if not theirs and _LOOPBACK.fullmatch(endpoint) is None:
            raise ValueError(f"a host below {cls.hosts}")
        return endpoint

    @property
    @abstractmethod
    def words(self) -> Sequence[Word]:
        """What the parameters of the template say."""

    @abstractmethod
    def secrets(self) -> Sequence[SecretStr]:
        """What must never be shown."""

    @abstractmethod
    def is_answer(self, error: Exception) -> bool:
        """Whether an error of the SDK that has a code is the provider's answer, and not the SDK's own."""

    @property
    def is_loopback(self) -> bool:
        """Whether the endpoint is this machine."""
        return _LOOPBACK.fullmatch(self.endpoint) is not None

    def shown(self) -> dict[str, object]:
        """What may be shown: the last two digits of the number, so that two can be told apart."""
        return self.model_dump(mode="json") | {"number": f"***{self.number.get_secret_value()[-2:]}"}


def check_words(words: Sequence[Word]) -> None:
    """Raises ValueError where the template could not say that it is an exercise: the mark stands before the title."""
    if "title" not in words:
        raise ValueError("one parameter must be title: it carries the mark of an exercise")
    if len(set(words)) != len(words):
        raise ValueError("each word once")


def check_sdk(module: str) -> None:
    """Raises ValueError where the provider's SDK is not installed."""
    if find_spec(module) is None:
        raise ValueError("the provider's SDK is not installed: pip install 'anxin-hub[telephony]'")


def spoken(message: Message, words: Sequence[Word], most: int) -> list[str]:
    """The parameters in Chinese, each at most `most` letters and without what providers refuse in one (brackets, links, line breaks). The mark of an
    exercise stands before the title and before what is to be done, and is never cut off.
    """
    mark = "" if message.exercise is None else f"{MARKS[message.exercise].zh}{MARKS[message.exercise].en} "
    late = "（迟到）" if message.late else ""
    raised = message.raised_at.astimezone(_BEIJING)
    values: dict[Word, str] = {
        "title": f"{mark}{late}{called(message).zh}",
        "class": f"{mark}{CLASSES[message.signal_class].zh}",
        "priority": PRIORITIES[message.priority].zh,
        "institution": where(message).zh,
        "place": message.place.zh,
        "time": f"{raised.month}月{raised.day}日{raised:%H:%M:%S}",
        "response": f"{mark}{asked(message, named=False).zh}",
    }
    return [_plain(values[word], most) for word in words]


def _plain(text: str, most: int) -> str:
    text = re.sub(r"[【】\[\]{}<>$]|https?://\S*|www\.\S*", " ", text)
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    text = " ".join(text.split())
    return (text if len(text) <= most else text[: most - 1] + "…") or "-"


def judged(said: Said, settings: PhoneSettings) -> Receipt:
    """What a provider's answer means. Its code is passed on where it is a plain word that holds no secret."""
    if said.code == "":
        if _ID.fullmatch(said.provider_id) is None:
            return Receipt(Outcome.DELIVERED, None, "taken, under a name that cannot be asked for")
        return Receipt(Outcome.DELIVERED, None, "taken by the provider", said.provider_id)
    outcome = Outcome.REFUSED if said.code in settings.final else Outcome.FAILED
    words = settings.codes.get(said.code, "the provider did not take it")
    return Receipt(outcome, None, f"{words}{named(said.code, settings.secrets())}")


def broken(error: Exception, settings: PhoneSettings) -> Receipt:
    """What an error of an SDK means: the provider's code where it is its answer, else that there was none. Its text may hold number and key."""
    code = getattr(error, "code", None)
    if isinstance(code, str) and code and settings.is_answer(error):
        return judged(Said(code), settings)
    return Receipt(Outcome.FAILED, None, f"the provider was not reached ({type(error).__name__})")


def answered(key: object) -> str:
    """That somebody took the call, and the key that was pressed in it, where that is told."""
    told = key if isinstance(key, str) else ""
    return f"answered, key {told} was pressed" if re.fullmatch(r"[0-9*#]{1,10}", told, re.ASCII) else "answered"


def named(code: str, secrets: Sequence[SecretStr]) -> str:
    """The provider's code in brackets, empty where it is no plain word or holds a secret."""
    hidden = [secret.get_secret_value() for secret in secrets]
    if _CODE.fullmatch(code) is None or any(value and (value in code or code in value) for value in hidden):
        return ""
    return f" ({code})"


class Phone:
    """One phone behind one provider."""

    carries_marks: ClassVar[bool] = True

    def __init__(
        self,
        settings: PhoneSettings,
        send: Callable[[Message], Said],
        confirm: Callable[[str, datetime], Confirmation],
        *,
        allow_loopback: bool,
    ) -> None:
        """`send` and `confirm` block, and may raise whatever the SDK raises."""
        self._settings = settings
        self._send = send
        self._confirm = confirm
        self._refused = settings.is_loopback and not allow_loopback

    async def send(self, message: Message) -> Receipt:
        """One message or call, eight seconds at most for all of it."""
        if self._refused:
            return Receipt(Outcome.REFUSED, None, "the address is one that notifications may not go to")
        try:
            threads = _threads(self._settings.hosts, message.signal_class in LIFE_SAFETY)
            said = await _in_thread(threads, lambda: self._send(message))
            return judged(said, self._settings)
        except TimeoutError:
            return Receipt(Outcome.FAILED, None, f"no answer within {_SECONDS:g} s")
        except Exception as error:  # noqa: BLE001 -- there is no telling what an SDK raises
            return broken(error, self._settings)

    async def confirm(self, provider_id: str, sent_at: datetime) -> Confirmation:
        """One question."""
        if self._refused:
            return Confirmation(Arrival.PENDING)
        try:
            return await _in_thread(_threads(self._settings.hosts, False), lambda: self._confirm(provider_id, sent_at))
        except TimeoutError:
            return Confirmation(Arrival.PENDING, "the provider does not answer")
        except Exception as error:  # noqa: BLE001 -- as above
            return Confirmation(Arrival.PENDING, broken(error, self._settings).detail)


@cache
def _threads(hosts: str, urgent: bool) -> ThreadPoolExecutor:
    """A pool for each provider, and one more for its fire and panic: what hangs holds up nothing else."""
    return ThreadPoolExecutor(16, thread_name_prefix=f"telephony{hosts}-{urgent}")


async def _in_thread(threads: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    """What waits for a thread is given up in time; what has one ends by the SDK's own limits."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(_SECONDS):
        return await loop.run_in_executor(threads, call)


__all__ = ["Arrival", "Channel", "Confirmation", "ConfirmedChannel", "Phone", "PhoneSettings", "Reported"]
