"""The bundle: the one file an edge runs from, made by the hub (`POST /edges/{id}/bundle`), written by `anxinctl bundle` with mode 0600.

It holds all that the edge needs without the hub's database: where the broker is, endpoints, devices and the points of their profiles, resolved.
It is the only place where an edge's password and the endpoints' secrets stand in plain text. JSON; unknown keys are refused.
Knows nothing of drivers: `settings` and `address` are plain mappings that the driver's own models parse.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from hub.errors import BadInput
from hub.model import IDENTIFIER, Lane
from hub.profiles import Duration, Record

Identifier = Annotated[str, Field(pattern=IDENTIFIER)]
MAX_BYTES = 16 * 1024 * 1024
"""An institution has tens of devices; a file above this is none of ours."""


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


class Bundle(_Model):
    """Everything an edge needs. `beat` (microseconds) is how often the edge says that it lives, in both lanes."""

    version: Literal[1] = 1
    edge: Identifier
    institution: Identifier
    partition: int = Field(ge=0)
    broker: Broker
    beat: Duration
    endpoints: tuple[BundleEndpoint, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Bundle":
        for what, names in (
            ("endpoint", [endpoint.id for endpoint in self.endpoints]),
            ("device", [self.edge, *(device.id for endpoint in self.endpoints for device in endpoint.devices)]),
        ):
            double = sorted({name for name in names if names.count(name) > 1})
            if double:
                raise ValueError(f"{what} {double[0]!r} stands in the bundle twice")
        if self.beat == 0:
            raise ValueError("beat: an edge that never beats looks dead")
        return self


def plain(bundle: Bundle) -> dict[str, Any]:
    """The bundle as it is written to the file, password included: for the API's answer and nothing else."""
    document = bundle.model_dump(mode="json")
    document["broker"]["password"] = bundle.broker.password.get_secret_value()
    return document


def parse_bundle(text: str | bytes, where: str) -> Bundle:
    """The bundle in a file's text; raises BadInput that names `where` and the key, never a value."""
    if len(text) > MAX_BYTES:
        raise BadInput(f"larger than {MAX_BYTES} bytes", where, code="bundle")
    try:
        return Bundle.model_validate(json.loads(text))
    except UnicodeDecodeError:
        raise BadInput("not UTF-8", where, code="bundle") from None
    except json.JSONDecodeError as error:
        raise BadInput(f"line {error.lineno}: {error.msg}", where, code="bundle") from None
    except RecursionError:
        raise BadInput("nested too deeply", where, code="bundle") from None
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
