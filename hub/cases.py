"""Cases of device profiles: what a device said, and what the hub must make of it. `tests/profiles/cases/<profile>/<case>/`.

A case is `case.yaml` (where it comes from, settings, expectations; this module) and the exchange in files that the driver's simulator
understands (`hub.simulation`; drivers/simulator/README.md): registers, a walk, messages, octets of a line. Unknown keys are errors that name file and
key. `SUPPORTED.md` says what each profile is proven against by the `origin` of its cases, and nothing else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hub.core.alarms import AlarmState
from hub.core.rehearsal import Outcome
from hub.errors import BadInput
from hub.model import IDENTIFIER, Quality, Reading
from hub.profiles import Profile

CASES = Path(__file__).resolve().parent.parent / "tests" / "profiles" / "cases"
"""Where the tree keeps them; a wheel has none."""
NAME = "case.yaml"
DEVICE = "thing"
"""The device's id while a case is played."""
MAX_BYTES = 4 * 1024 * 1024
"""Of one file of a case."""
Origin = Literal["recording", "document", "simulator"]
"""`recording`: captured from a real device. `document`: an example that a public document prints. `simulator`: made by us from the document."""
ORIGINS: tuple[Origin, ...] = ("recording", "document", "simulator")
QUALITIES = {quality.name.lower(): quality for quality in Quality}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExpectedReading(_Model):
    """One reading after `normalise`: `value` is its number or truth, its label where the point has an enumeration, its text where it is one."""

    point: str
    instance: str = ""
    value: bool | int | float | str | None = None
    within: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """how far a number may be off: for what depends on the time of the replay"""
    quality: Literal[tuple(QUALITIES)] = "good"  # type: ignore[valid-type]
    error: str | None = None
    """part of the reason, where the device or the driver said that it could not read the point"""

    @model_validator(mode="after")
    def _value_or_error(self) -> "ExpectedReading":
        if (self.error is None) == (self.value is None and self.quality != "bad_not_finite"):
            raise ValueError(f"{self.point}: exactly one of value and error is expected")
        if self.error is not None and self.quality not in ("good", "bad_device"):
            raise ValueError(f"{self.point}: an error has quality bad_device")
        return self

    def differs(self, reading: Reading) -> str | None:
        """How the reading is not what was expected, else None."""
        if self.error is not None:
            held = reading.quality in (Quality.BAD_DEVICE, Quality.BAD_GONE) and self.error in (reading.text or "")
        else:
            held = reading.quality is QUALITIES[self.quality] and _is(self.value, self.within, reading)
        return None if held else f"expected {said(self)}, came {reading.quality.name.lower()} {told(reading)!r}"


def _is(value: object, within: float, reading: Reading) -> bool:
    if isinstance(value, str):
        return reading.text == value
    if value is None:
        return reading.value is None
    assert isinstance(value, bool | int | float)
    return reading.value is not None and abs(reading.value - float(value)) <= within


def told(reading: Reading) -> object:
    """What a reading says, as a case writes it: its text or label, else its number."""
    return reading.text if reading.text is not None else reading.value


def said(expected: ExpectedReading) -> str:
    """An expectation in a line."""
    if expected.error is not None:
        return f"an error with {expected.error!r}"
    return f"{expected.quality} {expected.value!r}" + (f" within {expected.within:g}" if expected.within else "")


class ExpectedAlarm(_Model):
    """An alarm when all that was said last has stayed so for as long as its delays ask."""

    alarm: str
    instance: str = ""
    state: AlarmState


class Expected(_Model):
    """All that the exchange gives: nothing more and nothing less."""

    readings: tuple[ExpectedReading, ...] = ()
    """every reading of a series in its order; readings of different series in any order"""
    alarms: tuple[ExpectedAlarm, ...] = ()
    rejects: tuple[Annotated[str, Field(pattern=r"^[a-z0-9-]+$")], ...] = ()
    """codes of what goes to quarantine, in order"""

    @model_validator(mode="after")
    def _something(self) -> "Expected":
        if not self.readings and not self.rejects:
            raise ValueError("a case that expects neither a reading nor a reject proves nothing")
        return self


class About(_Model):
    """`case.yaml`."""

    origin: Origin
    source: str = Field(min_length=1)
    """the device and how it was recorded; the document with its section; how it was simulated"""
    recorded_at: datetime | date
    """when; for a document or a simulation the day it was written. With a time, the replay's clock starts there"""
    firmware: str | None = None
    notes: str = ""
    endpoint: dict[str, Any] = Field(default_factory=dict)
    """settings of the driver's endpoint that matter; where it is and its credentials are the replay's"""
    device: dict[str, Any] = Field(default_factory=dict)
    """settings of the device over those of the profile"""
    expect: Expected

    @model_validator(mode="after")
    def _clock(self) -> "About":
        if isinstance(self.recorded_at, datetime) and self.recorded_at.tzinfo is None:
            raise ValueError("recorded_at: a time needs its offset, like 2026-11-22T08:00:00Z")
        return self


@dataclass(frozen=True)
class Case:
    """A case as it stands in its folder."""

    profile: str
    name: str
    path: Path
    about: About
    files: Mapping[str, bytes] = field(repr=False)
    """the exchange, by file name"""

    def check(self, profile: Profile) -> None:
        """Raises BadInput where it expects a point or an alarm that the profile does not have."""
        for what, named, known in (
            ("expect.readings", [one.point for one in self.about.expect.readings], profile.points),
            ("expect.alarms", [one.alarm for one in self.about.expect.alarms], profile.alarms),
        ):
            strange = [name for name in named if name not in known]
            if strange:
                raise BadInput(f"{what}: the profile has no {strange[0]!r}", str(self.path / NAME), code="case")

    def differences(self, outcome: Outcome, rejects: tuple[str, ...]) -> list[str]:
        """What is not as the case expects, a line each; empty when all is."""
        found = [f"refused by the hub: {reason}" for reason in outcome.refused]
        wanted: dict[tuple[str, str], list[ExpectedReading]] = {}
        for one in self.about.expect.readings:
            wanted.setdefault((one.point, one.instance), []).append(one)
        came: dict[tuple[str, str], list[Reading]] = {}
        for reading in outcome.readings:
            came.setdefault((reading.series.point, reading.series.instance), []).append(reading)
        for key in {**wanted, **came}:
            found += _compare("/".join(part for part in key if part), wanted.get(key, []), came.get(key, []))
        states = {(one.alarm, one.instance): one.state for one in self.about.expect.alarms}
        there = {(one.definition, one.instance): one.state for one in outcome.alarms}
        for name in {**states, **there}:
            if states.get(name) != there.get(name):
                where = "/".join(part for part in name if part)
                found.append(f"alarm {where}: expected {states.get(name) or 'none'}, came {there.get(name) or 'none'}")
        if rejects != self.about.expect.rejects:
            found.append(f"rejects: expected {list(self.about.expect.rejects)}, came {list(rejects)}")
        return found


def _compare(where: str, wanted: list[ExpectedReading], came: list[Reading]) -> list[str]:
    found = [
        f"{where}: {difference}"
        for one, reading in zip(wanted, came, strict=False)
        if (difference := one.differs(reading)) is not None
    ]
    found += [f"{where}: expected {said(one)}, and nothing came" for one in wanted[len(came) :]]
    found += [f"{where}: {told(one)!r} came and nobody expects it" for one in came[len(wanted) :]]
    return found


def load_case(folder: Path) -> Case:
    """The case in `<profile>/<case>/`; raises BadInput that names file and key."""
    where = str(folder / NAME)
    try:
        document = yaml.safe_load((folder / NAME).read_text("utf-8"))
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where, code="case") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(" ".join(str(error).split()), where, code="case") from None
    for name, octets in files.items():
        if len(octets) > MAX_BYTES:
            raise BadInput(f"{len(octets)} bytes, at most {MAX_BYTES} are taken", str(folder / name), code="case")
    try:
        about = About.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{key}: {first['msg']}" if key else str(first["msg"]), where, code="case") from None
    del files[NAME]
    return Case(folder.parent.name, folder.name, folder, about, files)


def load_cases(folder: Path = CASES) -> list[Case]:
    """Every case below `folder`, in order of profile and name; raises BadInput, for a folder without `case.yaml` too."""
    found = []
    for profile in sorted(path for path in folder.glob("*") if path.is_dir()):
        for path in sorted(path for path in profile.iterdir() if path.is_dir()):
            if re.match(IDENTIFIER, path.name) is None:
                raise BadInput("a case is named like an identifier, [a-z0-9-]", str(path), code="case")
            found.append(load_case(path))
    return found
