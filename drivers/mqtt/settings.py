"""What a manifest and a profile may say to the MQTT driver; unknown keys are refused."""

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from hub.model import Scalar


def _exact_topic(text: str) -> str:
    if any(sign in text for sign in "+#\0") or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ValueError("a topic is exact: no '+', '#', NUL or lone surrogate")
    return text


def _point_topic(text: str) -> str:
    if any(sign in part for part in text.split("/") for sign in "+#" if part != "+"):
        raise ValueError("'+' stands for a whole level of a topic, and '#' for nothing here")
    if text.count("+") > MAX_WILDCARDS:
        raise ValueError(f"at most {MAX_WILDCARDS} levels of a topic are '+'")
    _exact_topic(text.replace("+", ""))
    return text


def _absolute(text: str) -> str:
    if not PurePosixPath(text).is_absolute():
        raise ValueError("a file is named by its absolute path")
    return text


def _json_pointer(text: str) -> str:
    if text and not text.startswith("/"):
        raise ValueError("a JSON pointer (RFC 6901) is empty or begins with '/'")
    if any(part[:1] not in ("0", "1") for part in text.split("~")[1:]):
        raise ValueError("in a JSON pointer (RFC 6901) '~' is written '~0' and '/' within a key '~1'")
    return text


MAX_WILDCARDS = 2
_YES = frozenset({"true", "on", "1", "yes", "y", "t"})
"""What pydantic takes for true."""
Topic = Annotated[str, Field(max_length=200), AfterValidator(_exact_topic)]
PointTopic = Annotated[str, Field(max_length=200), AfterValidator(_point_topic)]
File = Annotated[str, Field(max_length=400), AfterValidator(_absolute)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Endpoint(_Model):
    """A broker of somebody else's."""

    host: str = Field(min_length=1, max_length=253)
    port: int = Field(default=1883, ge=1, le=65535)
    """8883 where `tls` is on and nothing else is said"""
    tls: bool = False
    ca_file: File | None = None
    """the authority that signed the broker's certificate; left out: those of the system"""
    fingerprint: str | None = Field(default=None, pattern=r"^[0-9a-fA-F]{2}(:?[0-9a-fA-F]{2}){31}$")
    """SHA-256 of the broker's certificate; then that one and no other is trusted, whatever name it bears"""
    certificate_file: File | None = None
    """who we are, where the broker asks for a certificate"""
    key_file: File | None = None
    username: str | None = Field(default=None, max_length=200)
    password: SecretStr | None = None
    version: Annotated[Literal["5", "3.1.1"], BeforeValidator(str)] = "5"
    client_id: str = Field(default="anxin", pattern=r"^[A-Za-z0-9_-]{1,60}$")
    """names the session that the broker keeps for us: one edge, one id"""
    keepalive: int = Field(default=15, ge=2, le=600)
    session_expiry: int = Field(default=86_400, ge=0, le=604_800)
    max_payload: int = Field(default=65_536, ge=64, le=262_144)
    max_instances: int = Field(default=64, ge=1, le=1024)
    """of one point whose topic has a `+`; what comes beyond is rejected"""
    answer_s: float = Field(default=5.0, ge=0.1, le=12.0)
    """seconds in which a device says its new state after a command"""

    @model_validator(mode="before")
    @classmethod
    def _port_of_tls(cls, given: Any) -> Any:
        if isinstance(given, dict) and "port" not in given and str(given.get("tls")).lower() in _YES:
            return {**given, "port": 8883}
        return given

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.password is not None and self.username is None:
            raise ValueError("password: there is no username")
        alone = {"ca_file", "fingerprint", "certificate_file", "key_file"} & {k for k, v in self if v is not None}
        if alone and not self.tls:
            raise ValueError(f"{min(alone)}: tls is off")
        if self.ca_file is not None and self.fingerprint is not None:
            raise ValueError("fingerprint: not together with ca_file")
        if self.key_file is not None and self.certificate_file is None:
            raise ValueError("key_file: there is no certificate_file")
        return self


class Device(_Model):
    """One device: the topic below which it speaks, and that of the gateway in front of it."""

    topic: Annotated[Topic, Field(min_length=1)]
    gateway: Annotated[Topic, Field(min_length=1)] | None = None
    """the topic below which its gateway speaks; left out: the first level of the device's topic"""

    @model_validator(mode="after")
    def _no_slash_at_the_end(self) -> "Device":
        for name, topic in (("topic", self.topic), ("gateway", self.gateway or "")):
            if topic.endswith("/") or topic.startswith("$"):
                raise ValueError(f"{name}: neither begins with '$' nor ends with '/'")
        return self


def place(topic: str, device: Device) -> str:
    """Below the device's topic, around it where the text says `{device}`, or its gateway's where it says `{gateway}`."""
    if "{gateway}" in topic:
        return topic.replace("{gateway}", device.gateway or device.topic.partition("/")[0])
    if "{device}" in topic:
        return topic.replace("{device}", device.topic)
    return f"{device.topic}/{topic}" if topic else device.topic


class Command(_Model):
    """How a value is written: what is published where. Never retained: a device that comes back must not find an old command."""

    topic: Annotated[Topic, Field(min_length=1)]
    """as the address's"""
    payload: str = Field(default="{value}", max_length=1000)
    """`{value}` stands for the value as JSON has it, or for its text in `values`"""
    values: dict[str, str] | None = None
    """what stands for a value, by its text, `true` and `false` for booleans; a value that is not in it is refused"""

    @model_validator(mode="after")
    def _says_the_value(self) -> Self:
        if "{value}" not in self.payload:
            raise ValueError("payload: it must say the {value}")
        return self


class Address(_Model):
    """Where a point stands in the device's messages."""

    topic: PointTopic = ""
    """below the device's topic, empty for the device's topic itself; or with `{device}` where that topic stands within another, or with
    `{gateway}` for what its gateway says of itself;
    a `+` stands for one level, and what is there becomes the point's instance"""
    format: Literal["json", "raw", "csv"] = "json"
    field: int | None = Field(default=None, ge=0, le=255)
    """of a CSV payload: which field, from 0"""
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    pointer: Annotated[str, Field(max_length=200), AfterValidator(_json_pointer)] = ""
    equals: Scalar | None = None
    """the point becomes true when the value equals this, false when not"""
    only_when_equal: bool = False
    """with `equals`: no sample at all when not, for things that happen (a press) and never un-happen"""
    ignored: tuple[Scalar, ...] | None = Field(default=None, max_length=64)
    """what the product says there when it says nothing; with `only_when_equal`, what is neither is refused: a press by another name is not lost"""
    map: dict[str, Scalar] | None = None
    """values by their text, `true` and `false` for booleans; a value that is not in it is refused"""
    retained: Literal["drop", "take"] = "drop"
    """what the broker had kept from before we subscribed tells a past state"""
    command: Command | None = None
    """where the point is writable"""

    @model_validator(mode="after")
    def _makes_sense(self) -> "Address":
        if self.format != "json" and self.pointer:
            raise ValueError("pointer: only JSON has one")
        if (self.format == "csv") != (self.field is not None):
            raise ValueError("field: a CSV payload has one, and only it")
        if self.separator in '"\r\n\0':
            raise ValueError("separator: neither a quote nor an end of line")
        if self.ignored is not None and not self.only_when_equal and self.map is None:
            raise ValueError("ignored: only with only_when_equal or a map")
        if self.command is not None and "+" in self.topic:
            raise ValueError("command: a point of many instances is not written")
        if self.equals is not None and self.map is not None:
            raise ValueError("map: not together with equals")
        if self.only_when_equal and self.equals is None:
            raise ValueError("only_when_equal: there is no equals")
        if self.only_when_equal and self.retained == "take":
            raise ValueError("retained: what happened once is not taken from a retained message, it may be days old")
        return self

    def full_topic(self, device: Device) -> str:
        """The topic to subscribe to; a `+` in it is a wildcard."""
        return place(self.topic, device)


class Search(Endpoint):
    """Which topics to listen to at which broker, and for how long. Nothing is published."""

    filter: Annotated[str, Field(min_length=1, max_length=200)]
    """a topic filter: `zigbee2mqtt/#`; without a default, so that nobody listens to a whole broker by mistake"""
    seconds: float = Field(gt=0, le=600)
    max_messages: int = Field(default=10_000, ge=1, le=100_000)
    max_topics: int = Field(default=2_000, ge=1, le=10_000)

    @field_validator("filter")
    @classmethod
    def _a_filter(cls, text: str) -> str:
        parts = text.split("/")
        if any(("#" in part and (part != "#" or n < len(parts) - 1)) for n, part in enumerate(parts)):
            raise ValueError("'#' stands alone at the end")
        if any("+" in part and part != "+" for part in parts) or "\0" in text:
            raise ValueError("'+' stands for a whole level")
        return text

    @property
    def endpoint(self) -> Endpoint:
        """The broker alone."""
        own = Endpoint.model_fields.keys() & self.model_fields_set
        return Endpoint.model_validate({name: getattr(self, name) for name in own})

    @property
    def shown(self) -> dict[str, Any]:
        """The broker for a manifest: without its password."""
        own = Endpoint.model_fields.keys() & self.model_fields_set - {"password"}
        return {name: getattr(self, name) for name in Endpoint.model_fields if name in own}
