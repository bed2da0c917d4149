"""The bundle: the one file an edge runs from, made by the hub (`POST /edges/{id}/bundle`), written by `anxinctl bundle` with mode 0600.

It holds all that the edge needs without the hub's database: where the broker is, endpoints, devices and the points of their profiles, resolved.
It is the only place where an edge's password and the endpoints' secrets stand in plain text. JSON; unknown keys are refused.
Knows nothing of drivers: `settings` and `address` are plain mappings that the driver's own models parse.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from hub.errors import BadInput
from hub.model import IDENTIFIER, Lane, SignalClass
from hub.profiles import AlarmDefinition, Duration, Point, Record

Identifier = Annotated[str, Field(pattern=IDENTIFIER)]
MAX_BYTES = 16 * 1024 * 1024
"""An institution has tens of devices; a file above this is none of ours."""
MIN_AFTER = 30_000_000
"""Microseconds: three beats. A shorter silence of the hub is no outage."""


class _Model(BaseModel):
    # an input's value may be a password: it is never shown in an error
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Broker(_Model):
    """Where the edge reaches the broker, and as whom. `username` is the client's name in the topics."""

    host: str = Field(min_length=1, max_length=253)
    port: int = Field(ge=1, le=65535)
    username: Identifier
    password: SecretStr


class BundlePoint(_Model):
    """One point as the driver binds it: `type` is the Binding's kind, `every` the poll interval in microseconds."""

    point: str = Field(min_length=1, max_length=40)
    type: Literal["bool", "int", "float", "str"]
    record: Record
    every: Duration
    address: dict[str, Any]
    instances: bool = False
    writable: bool = False


class BundleDevice(_Model):
    """One device: `settings` are the profile's defaults with the manifest's settings over them."""

    id: Identifier
    lane: Lane
    settings: dict[str, Any] = Field(repr=False)
    points: tuple[BundlePoint, ...]


class BundleEndpoint(_Model):
    """One endpoint of one driver with the devices behind it; `settings` may hold secrets."""

    id: Identifier
    driver: Identifier
    settings: dict[str, Any] = Field(repr=False)
    devices: tuple[BundleDevice, ...] = ()


class RuleWatch(_Model):
    """One fire alarm definition of one device, which a local rule looks at."""

    device: Identifier
    definition: str = Field(min_length=1, max_length=40)
    alarm: AlarmDefinition
    reads: Point
    """the point that the definition watches, as the profile has it: scale, bounds, enumeration"""
    classes: tuple[SignalClass, ...] = Field(min_length=1)
    """of all definitions of the device"""

    @model_validator(mode="after")
    def _is_for_fire_alone(self) -> "RuleWatch":
        if self.alarm.signal_class is not SignalClass.FIRE:
            raise ValueError(f"a local rule is for fire, not for {self.alarm.signal_class}")
        if SignalClass.PANIC in self.classes:
            raise ValueError("nothing automatic sounds at a device that has a panic alarm")
        return self


class LocalRule(_Model):
    """While the hub has confirmed nothing for `after`, a fire that one of `watches` sees writes `value` to a point of the siren."""

    id: Identifier
    siren: Identifier
    point: str = Field(min_length=1, max_length=40)
    value: bool | int | float | str
    after: Duration
    watches: tuple[RuleWatch, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _short_silence_is_no_outage(self) -> "LocalRule":
        if self.after < MIN_AFTER:
            raise ValueError(f"after: {MIN_AFTER // 1_000_000} s at least")
        return self


class Trust(_Model):
    """What lets an edge take its configuration from the hub: it travels in the file alone."""

    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """the hub's public key, Ed25519, hexadecimal: nobody else's configuration is taken"""
    seal: SecretStr
    """the key that opens this edge's configuration, 32 bytes, hexadecimal"""

    @model_validator(mode="after")
    def _seal_is_a_key(self) -> "Trust":
        if re.fullmatch(r"[0-9a-f]{64}", self.seal.get_secret_value()) is None:
            raise ValueError("seal: 32 bytes, hexadecimal")
        return self


class Bundle(_Model):
    """Everything an edge needs. `beat` (microseconds) is how often the edge says that it lives, in both lanes."""

    version: Literal[1] = 1
    edge: Identifier
    institution: Identifier
    partition: int = Field(ge=0)
    broker: Broker
    beat: Duration
    endpoints: tuple[BundleEndpoint, ...] = ()
    local_rules: tuple[LocalRule, ...] = ()
    configuration: int = Field(default=0, ge=0, le=2**53)
    """the version of what stands here; 0: made without the hub"""
    trust: Trust | None = None
    """none: this edge takes no configuration from afar"""

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Bundle":
        for what, names in (
            ("endpoint", [endpoint.id for endpoint in self.endpoints]),
            ("local rule", [rule.id for rule in self.local_rules]),
            ("device", [self.edge, *(device.id for endpoint in self.endpoints for device in endpoint.devices)]),
        ):
            double = sorted({name for name in names if names.count(name) > 1})
            if double:
                raise ValueError(f"{what} {double[0]!r} stands in the bundle twice")
        if self.beat == 0:
            raise ValueError("beat: an edge that never beats looks dead")
        return self

    @model_validator(mode="after")
    def _rules_reach_their_devices(self) -> "Bundle":
        points = {d.id: {p.point: p.writable for p in d.points} for e in self.endpoints for d in e.devices}
        for rule in self.local_rules:
            if rule.after < 3 * self.beat:
                raise ValueError(f"local rule {rule.id!r}: after: three beats of the edge at least")
            if not points.get(rule.siren, {}).get(rule.point):
                raise ValueError(f"local rule {rule.id!r}: {rule.siren}/{rule.point} is no writable point of this edge")
            for watch in rule.watches:
                if watch.alarm.point not in points.get(watch.device, {}):
                    raise ValueError(
                        f"local rule {rule.id!r}: {watch.device}/{watch.alarm.point} is not read by this edge"
                    )
        return self


def plain(bundle: Bundle) -> dict[str, Any]:
    """The bundle as it is written to the file, secrets included: for the API's answer and nothing else."""
    document = bundle.model_dump(mode="json")
    document["broker"]["password"] = bundle.broker.password.get_secret_value()
    if bundle.trust is not None:
        document["trust"]["seal"] = bundle.trust.seal.get_secret_value()
    return document


def content_of(bundle: Bundle) -> bytes:
    """What of a bundle travels as configuration, the same bytes for the same content: all but version, trust and the edge's password."""
    document = bundle.model_dump(mode="json", exclude={"configuration", "trust"})
    del document["broker"]["password"]
    return json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def configured(own: Bundle, version: int, content: bytes) -> Bundle:
    """The bundle that an edge with the file `own` runs by configuration `version`; raises BadInput for what does not hold or is another's."""
    where = f"configuration {version}"
    try:
        document = json.loads(content)
        broker = document["broker"]
        if "password" in broker or document.keys() & {"configuration", "trust"}:
            raise BadInput("names what only the file may name", where, code="bundle")
        broker["password"] = own.broker.password.get_secret_value()
    except (ValueError, RecursionError, TypeError, LookupError, AttributeError):
        raise BadInput("is no bundle", where, code="bundle") from None
    made = _checked({**document, "configuration": version}, where)
    if (made.edge, made.broker.username) != (own.edge, own.broker.username):
        raise BadInput("is another edge's", where, code="bundle")
    return made.model_copy(update={"trust": own.trust})


def parse_bundle(text: str | bytes, where: str) -> Bundle:
    """The bundle in a file's text; raises BadInput that names `where` and the key, never a value."""
    if len(text) > MAX_BYTES:
        raise BadInput(f"larger than {MAX_BYTES} bytes", where, code="bundle")
    try:
        return _checked(json.loads(text), where)
    except UnicodeDecodeError:
        raise BadInput("not UTF-8", where, code="bundle") from None
    except json.JSONDecodeError as error:
        raise BadInput(f"line {error.lineno}: {error.msg}", where, code="bundle") from None
    except RecursionError:
        raise BadInput("nested too deeply", where, code="bundle") from None


def _checked(document: object, where: str) -> Bundle:
    try:
        return Bundle.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{key}: {first['msg']}" if key else str(first["msg"]), where, code="bundle") from None


def read_bundle(path: Path) -> Bundle:
    """The bundle of `anxin edge --config PATH`; raises BadInput that names the file and the key."""
    try:
        return parse_bundle(path.read_bytes(), str(path))
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", str(path), code="bundle") from None
