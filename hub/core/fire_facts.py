"""What the fire-risk score is made from: the facts of an institution, and the weights of a pack. `hub.core.fire_risk` scores them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from hub.core.coverage.facts import DeviceFact, ZoneFact
from hub.model import Micros, SignalClass

DETECTING = frozenset({"fire.smoke", "fire.heat", "fire.panel", "fire.manual_call", "gas.detect"})
"""Capabilities of what finds a fire or gas, or tells of it."""


class Factor(StrEnum):
    """What is looked at. The first two are hard."""

    FIRE_ALARM = "fire_alarm"
    GAS_ALARM = "gas_alarm"
    DETECTORS = "detectors"
    ROOMS = "rooms"
    EXITS = "exits"
    GAS = "gas"
    HEAT = "heat"
    CIRCUITS = "circuits"
    CHECKS = "checks"
    TESTS = "tests"


HARD = (Factor.FIRE_ALARM, Factor.GAS_ALARM)
SOFT = tuple(one for one in Factor if one not in HARD)


class State(StrEnum):
    """What is known of one thing."""

    GOOD = "good"
    UNKNOWN = "unknown"
    BAD = "bad"


class Weight(NamedTuple):
    """What each bad or unknown thing of a factor adds, and the most that all of them add. A hard factor raises the score to `most`."""

    each: int
    most: int
    title_zh: str
    title_en: str


class Level(NamedTuple):
    """From this score on."""

    least: int
    id: str
    title_zh: str
    title_en: str


@dataclass(frozen=True, slots=True)
class Limits:
    """Internal parameters: no text fixes them."""

    exits: frozenset[str]
    """purposes of zones through which people leave"""
    blocked: frozenset[str]
    """alarm definitions that say an exit is propped, forced or blocked"""
    electrical: frozenset[str]
    """alarm definitions that say a circuit leaks or overheats"""
    heat_kinds: frozenset[str]
    heat_above: float
    """°C"""
    gas_limit: float
    """%LEL"""
    circuit_kinds: frozenset[str]
    idle_watts: float
    """what circuits may draw after closing"""
    fresh: Micros
    """how old a measured value may be"""
    tested_within: Micros
    """how old a detector's function test may be"""
    checks: Mapping[str, Micros]
    """how old the last attestation of a kind may be"""


@dataclass(frozen=True, slots=True)
class Weights:
    """A pack of weights. `levels` ascend from 0."""

    version: str
    label_zh: str
    label_en: str
    factors: Mapping[Factor, Weight]
    levels: tuple[Level, ...]
    limits: Limits


class LiveAlarm(NamedTuple):
    """A real alarm (no exercise) that has not ended, of any device of the institution."""

    device: str
    definition: str
    signal_class: SignalClass
    gas: bool
    """the device detects gas"""
    raised_at: Micros


class Measured(NamedTuple):
    """The latest value of a point. `good` is its quality."""

    device: str
    kind: str
    unit: str
    value: float | None
    at: Micros
    good: bool


@dataclass(frozen=True, slots=True)
class FireFacts:
    """What is known of one institution, or of an entry of the register that is not connected."""

    subject: str
    connected: bool = True
    is_open: bool = False
    zones: tuple[ZoneFact, ...] = ()
    devices: tuple[DeviceFact, ...] = ()
    """detectors, doors and what measures; with the link unknown where nobody listens"""
    alarms: tuple[LiveAlarm, ...] = ()
    measured: tuple[Measured, ...] = ()
    tested: Mapping[str, Micros] = field(default_factory=dict)
    """when a device last passed its function test"""
    checked: Mapping[str, Micros] = field(default_factory=dict)
    """when an attestation of a kind was last made"""
