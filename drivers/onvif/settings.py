"""What an ONVIF device and point are told by people: pydantic models that refuse unknown keys and name them."""

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from hub.model import Scalar

Token = Annotated[str, Field(min_length=1, max_length=64)]
"""A token that the device gave to one of its things (tt:ReferenceToken: at most 64 characters)."""


def _topic(text: str) -> str:
    parts = text.split("/")
    if any(not part.rpartition(":")[2].replace("_", "").replace("-", "").isalnum() for part in parts):
        raise ValueError("a topic is names between slashes, like tns1:VideoSource/MotionAlarm")
    return text


class _Model(BaseModel):
    # an input's value may be a password: it is never shown in an error
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Endpoint(_Model):
    """A device that speaks ONVIF: a camera, an encoder, a recorder."""

    host: str = Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9._:-]+$")
    port: int = Field(default=80, ge=1, le=65535)
    tls: Literal["off", "verified", "unverified"] = "off"
    """unverified: encrypted, but anybody can pretend to be the device; most cameras' own certificates allow no better"""
    path: str = Field(default="/onvif/device_service", pattern=r"^/[A-Za-z0-9._~/-]{0,200}$")
    """where its device service is; all other services are asked for"""
    username: str | None = Field(default=None, min_length=1, max_length=100)
    password: SecretStr | None = Field(default=None, max_length=200)
    timeout_s: float = Field(default=8.0, ge=0.2, le=30.0)
    """seconds for one question"""
    pull_s: float = Field(default=20.0, ge=0.2, le=60.0)
    """seconds that the device may keep a question for events open while nothing happens"""
    max_answer: int = Field(default=1_048_576, ge=4096, le=8_388_608)
    """bytes of one answer"""

    @model_validator(mode="after")
    def _both_or_none(self) -> "Endpoint":
        if (self.username is None) != (self.password is None):
            raise ValueError("username, password: both or none")
        return self

    @property
    def name(self) -> str:
        """How errors name this endpoint."""
        return f"onvif {self.host}:{self.port}"

    @property
    def base(self) -> str:
        """Scheme, host and port of its address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'http' if self.tls == 'off' else 'https'}://{host}:{self.port}"


class Device(_Model):
    """One device behind the endpoint: all of it, or one channel of a recorder or encoder."""

    source: Token | None = None
    """the token of its video source: media profiles and events of others are not looked at"""
    recording: Token | None = None
    """the token of its recording; without it all recordings count, and the worst of them is told"""


class Address(_Model):
    """Where a point is: exactly one of `device`, `media`, `osd`, `clock`, `recording`, `event`."""

    device: Literal["manufacturer", "model", "firmware", "serial", "hardware"] | None = None
    media: Literal["width", "height", "fps", "bitrate", "encoding", "hd", "profiles"] | None = None
    profile: Token = "main"
    """with `media`: main is the one with the most pixels; else a profile's token or name"""
    osd: Literal["time"] | None = None
    """whether date and time are drawn into the picture"""
    clock: Literal["offset"] | None = None
    """seconds that the device's clock is ahead of ours"""
    recording: (
        Literal["oldest", "newest", "days", "newest_age", "gaps", "gap_seconds", "longest_gap", "recording"] | None
    ) = None
    window_days: int = Field(default=90, ge=1, le=400)
    """with `recording`: how far back gaps are looked for"""
    event: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_topic)] | None = None
    """a topic with its prefix as the device's documents give it (tns1:VideoSource/MotionAlarm); the prefix is not compared"""
    item: str = Field(default="State", min_length=1, max_length=64)
    """with `event`: the item of the message's data"""
    source: dict[Token, Annotated[str, Field(max_length=100)]] = Field(default_factory=dict, max_length=8)
    """with `event`: items of the message's source that must have these values ({Rule: line-1})"""
    equals: Scalar | None = None
    """with `event`: true when the item equals this, false when not"""
    only_when_equal: bool = False
    """with `equals`: no sample at all when not, for things that happen and never un-happen"""
    map: dict[str, Scalar] | None = Field(default=None, max_length=64)
    """with `event`: values by their text; a value that is not in it is refused"""
    initial: Literal["take", "drop"] = "take"
    """with `event`: what the device tells of the present state when we begin to listen; nothing has happened then"""

    @model_validator(mode="after")
    def _makes_sense(self) -> "Address":
        kinds = ("device", "media", "osd", "clock", "recording", "event")
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"exactly one of {', '.join(kinds)}")
        belongs = {
            "profile": "media",
            "window_days": "recording",
            **dict.fromkeys(("item", "source", "equals", "only_when_equal", "map", "initial"), "event"),
        }
        for key, kind in belongs.items():
            if key in self.model_fields_set and kind != given[0]:
                raise ValueError(f"{key}: belongs to {kind}")
        if self.equals is not None and self.map is not None:
            raise ValueError("map: not together with equals")
        if self.only_when_equal and self.equals is None:
            raise ValueError("only_when_equal: there is no equals")
        if self.only_when_equal and self.initial == "take":
            raise ValueError("initial: what happened once is not taken from the state at the beginning; say drop")
        return self


def _network(text: str) -> str:
    network = ipaddress.ip_network(text, strict=False)
    if network.version != 4 or network.num_addresses > 1024:
        raise ValueError("an IPv4 network of at most 1024 addresses, like 192.168.1.0/24")
    return str(network)


class Search(_Model):
    """Where to look for devices with WS-Discovery, and how fast."""

    interface: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+\.\d+$")] | None = None
    """our own address on the network where everybody is asked at once (multicast)"""
    addresses: Annotated[str, AfterValidator(_network)] | None = None
    """a network whose addresses are asked one by one; works through routers"""
    rate: float = Field(default=20.0, gt=0, le=200)
    """questions a second"""
    wait_s: float = Field(default=3.0, ge=0.2, le=30)
    """seconds to listen after the last question"""
    limit: int = Field(default=256, ge=1, le=1024)
    """devices at most"""
    port: int = Field(default=3702, ge=1, le=65535)

    @model_validator(mode="after")
    def _somewhere(self) -> "Search":
        if (self.interface is None) == (self.addresses is None):
            raise ValueError("interface or addresses: say one of them")
        return self
