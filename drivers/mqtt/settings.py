"""What a manifest and a profile may say to the MQTT driver; unknown keys are refused."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from hub.model import Scalar


def _exact_topic(text: str) -> str:
    if any(sign in text for sign in "+#\0") or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ValueError("a topic is exact: no '+', '#', NUL or lone surrogate")
    return text


def _json_pointer(text: str) -> str:
    if text and not text.startswith("/"):
        raise ValueError("a JSON pointer (RFC 6901) is empty or begins with '/'")
    if any(part[:1] not in ("0", "1") for part in text.split("~")[1:]):
        raise ValueError("in a JSON pointer (RFC 6901) '~' is written '~0' and '/' within a key '~1'")
    return text


Topic = Annotated[str, Field(max_length=200), AfterValidator(_exact_topic)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Endpoint(_Model):
    """A broker of somebody else's."""

    host: str = Field(min_length=1, max_length=253)
    port: int = Field(default=1883, ge=1, le=65535)
    username: str | None = Field(default=None, max_length=200)
    password: SecretStr | None = None
    version: Annotated[Literal["5", "3.1.1"], BeforeValidator(str)] = "5"
    client_id: str = Field(default="anxin", pattern=r"^[A-Za-z0-9_-]{1,60}$")
    """names the session that the broker keeps for us: one edge, one id"""
    keepalive: int = Field(default=15, ge=2, le=600)
    session_expiry: int = Field(default=86_400, ge=0, le=604_800)
    max_payload: int = Field(default=65_536, ge=64, le=262_144)

    @model_validator(mode="after")
    def _password_belongs_to_somebody(self) -> "Endpoint":
        if self.password is not None and self.username is None:
            raise ValueError("password: there is no username")
        return self


class Device(_Model):
    """One device: the topic below which it speaks."""

    topic: Annotated[Topic, Field(min_length=1)]

    @model_validator(mode="after")
    def _no_slash_at_the_end(self) -> "Device":
        if self.topic.endswith("/") or self.topic.startswith("$"):
            raise ValueError("topic: neither begins with '$' nor ends with '/'")
        return self


class Address(_Model):
    """Where a point stands in the device's messages."""

    topic: Topic = ""
    """below the device's topic; empty for the device's topic itself"""
    format: Literal["json", "raw"] = "json"
    pointer: Annotated[str, Field(max_length=200), AfterValidator(_json_pointer)] = ""
    equals: Scalar | None = None
    """the point becomes true when the value equals this, false when not"""
    only_when_equal: bool = False
    """with `equals`: no sample at all when not, for things that happen (a press) and never un-happen"""
    map: dict[str, Scalar] | None = None
    """values by their text, `true` and `false` for booleans; a value that is not in it is refused"""
    retained: Literal["drop", "take"] = "drop"
    """what the broker had kept from before we subscribed tells a past state"""

    @model_validator(mode="after")
    def _makes_sense(self) -> "Address":
        if self.format == "raw" and self.pointer:
            raise ValueError("pointer: only JSON has one")
        if self.equals is not None and self.map is not None:
            raise ValueError("map: not together with equals")
        if self.only_when_equal and self.equals is None:
            raise ValueError("only_when_equal: there is no equals")
        if self.only_when_equal and self.retained == "take":
            raise ValueError("retained: what happened once is not taken from a retained message, it may be days old")
        return self

    def full_topic(self, device: Device) -> str:
        """The topic to subscribe to."""
        return f"{device.topic}/{self.topic}" if self.topic else device.topic
