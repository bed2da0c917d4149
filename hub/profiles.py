"""Device profiles: the type of a device as YAML. Data only, no expression language, unknown keys are errors that name file and key.

`load_profiles(folders)` reads `<kind>/<vendor-model>.yaml`; a profile may `extend` another (mappings are merged key by key, everything else is
replaced). Durations are written `250ms`, `2s`, `10m`, `24h`, `90d` and held in microseconds.
Knows nothing of drivers: addresses and device settings stay plain mappings here and are parsed by the driver's own models.
"""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from hub import yaml_text
from hub.errors import BadInput
from hub.model import IDENTIFIER, LIFE_SAFETY, FunctionState, Lane, Micros, Priority, SignalClass, When

_UNITS = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_DURATION = re.compile(r"^(\d+)(ms|s|m|h|d)$")
_POINT = r"^[a-z][a-z0-9_]{0,39}$"
FOUND_LATE: Micros = 2 * 3_600_000_000
"""a fire or panic device whose silence is found later than this stays green for too long when it is dead (GB 26875: a line is patrolled every 2 h)"""
LINK_POINT = "link"
"""Built-in point of every device: 1 while liveness says offline, 0 while online; for communication alarms."""
CLOCK_POINT = "own_clock"
"""Built-in point of every device whose samples bear its own times: seconds that these are off (`hub.core.clocks`)."""
CLOCK_ALARM = "clock_wrong"
"""Built-in alarm over it, of every profile that has no alarm of class clock of its own."""
BUILT_IN = frozenset({LINK_POINT, CLOCK_POINT})


def parse_duration(text: object) -> Micros:
    """Microseconds of `250ms`, `2s`, `10m`, `24h`, `90d`; raises ValueError."""
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    found = _DURATION.match(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("a duration is written 250ms, 2s, 10m, 24h or 90d")
    return int(found[1]) * _UNITS[found[2]]


Duration = Annotated[
    int,
    BeforeValidator(parse_duration, json_schema_input_type=str),
    Field(ge=0, le=3650 * _UNITS["d"], json_schema_extra={"pattern": _DURATION.pattern}),
]


_Capability = Annotated[str, Field(pattern=r"^[a-z]+\.[a-z_]+$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Title(_Model):
    """Text for people, Chinese first."""

    zh: str = Field(min_length=1, max_length=400)
    en: str = Field(min_length=1, max_length=400)


class Kind(StrEnum):
    """Kinds of devices, which are also the folders of device-profiles/."""

    CAMERA = "camera"
    RECORDER = "recorder"
    ACCESS_CONTROLLER = "access_controller"
    SMOKE_DETECTOR = "smoke_detector"
    FIRE_PANEL = "fire_panel"
    PANIC_BUTTON = "panic_button"
    UPS = "ups"
    GAS_DETECTOR = "gas_detector"
    ALARM_PANEL = "alarm_panel"
    ENVIRONMENT_SENSOR = "environment_sensor"
    UV_LAMP = "uv_lamp"
    BREAKER = "breaker"
    NETWORK_SWITCH = "network_switch"
    EDGE = "edge"
    PATH = "path"
    """what the hub itself makes for a carrier or district whose failure it found"""
    HUB = "hub"
    """what the hub itself makes for what it has to say of itself"""
    OTHER = "other"


class Record(StrEnum):
    """Where a point's samples go."""

    READING = "reading"
    EVENT = "event"
    BEAT = "beat"


class Report(_Model):
    """Report by exception: store when the value moved by more than `change`, and at least every `reassert`."""

    change: float = Field(default=0.0, ge=0)
    reassert: Duration = 10 * _UNITS["m"]


class Point(_Model):
    """One readable or writable value. `value = raw * scale + offset`, then `range` is checked."""

    title: Title
    type: Literal["bool", "int", "float", "str"]
    record: Record = Record.READING
    unit: str = Field(default="", max_length=20)
    scale: float = Field(default=1.0, allow_inf_nan=False)
    offset: float = Field(default=0.0, allow_inf_nan=False)
    range: tuple[float, float] | None = None
    enum: dict[int, Annotated[str, Field(pattern=_POINT)]] | None = None
    """numeric codes and their labels; a string raw value that equals a label becomes its code"""
    every: Duration = 30 * _UNITS["s"]
    """poll interval; ignored by push drivers"""
    report: Report = Report()
    writable: bool = False
    instances: bool = False
    """the point has instances that are known only at run time"""
    proves_life: bool = True
    """a good sample shows that the device lives; false for what somebody else says of it, as a gateway does"""
    address: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _bounds_in_order(self) -> "Point":
        if self.range is not None and self.range[0] > self.range[1]:
            raise ValueError("range: the lower bound is above the upper one")
        if self.enum is not None and self.type == "float":
            raise ValueError("enum: an enumeration is of type int or str")
        return self


class Condition(_Model):
    """When an alarm's condition holds; exactly one key. `deadband` of the definition applies to above and below."""

    above: float | None = Field(default=None, allow_inf_nan=False)
    below: float | None = Field(default=None, allow_inf_nan=False)
    equals: float | bool | Annotated[str, Field(pattern=_POINT)] | None = None
    any_of: tuple[int | str, ...] | None = None
    present: Literal[True] | None = None
    """for event points: every event raises it (it clears at once, so the definition should latch)"""

    @model_validator(mode="after")
    def _exactly_one(self) -> "Condition":
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("a condition has exactly one of above, below, equals, any_of, present")
        return self


class AlarmDefinition(_Model):
    """One alarm of the profile (ISA-18.2 alarm attributes)."""

    title: Title
    signal_class: SignalClass = Field(alias="class")
    priority: Priority
    point: str
    condition: Condition
    on_delay: Duration = 0
    off_delay: Duration = 0
    deadband: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    latching: bool = False
    when: When | None = None
    """the condition counts only while the institution is open, closed, armed or disarmed"""
    tells: Literal["mains_lost"] | None = None
    """what its condition says of the whole site: the mains have failed"""
    response: Title
    """what the person who is paged should do first"""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @model_validator(mode="after")
    def _life_safety_pages_at_once(self) -> "AlarmDefinition":
        if self.signal_class in LIFE_SAFETY and self.priority is not Priority.CRITICAL:
            raise ValueError("fire and panic are always critical")
        if self.signal_class is SignalClass.PANIC and self.on_delay != 0:
            raise ValueError("a panic alarm has no on_delay")
        if self.signal_class in LIFE_SAFETY and self.when is not None:
            raise ValueError("when: fire and panic are always armed")
        if self.point == LINK_POINT and self.when is not None:
            raise ValueError("when: a device that is silent is silent at any hour")
        return self


_CLOCK_WRONG = AlarmDefinition(
    title=Title(zh="设备时钟有误", en="Clock of the device is wrong"),
    signal_class=SignalClass.CLOCK,
    priority=Priority.LOW,
    point=CLOCK_POINT,
    condition=Condition(above=5),
    deadband=2,
    on_delay=60 * _UNITS["s"],
    off_delay=60 * _UNITS["s"],
    response=Title(
        zh="为该设备设置校时；在此之前其读数按网关或平台收到的时间记录。",
        en="Set the device's clock or its time server; until then its readings are dated by the edge or the hub.",
    ),
)
"""a clock that is off by more than 5 s for a minute; how far, and by whose clock, the device's `clock` says"""


class Liveness(_Model):
    """`offline_after` of silence makes the device offline. Any sample without error counts as heard."""

    beat: Duration
    offline_after: Duration
    late_because: Title | None = None
    """why a fire or panic device of this type is missed only after more than `FOUND_LATE`: shown wherever the device is"""

    @model_validator(mode="after")
    def _more_than_one_beat(self) -> "Liveness":
        if self.offline_after < 2 * self.beat:
            raise ValueError("offline_after must be at least two beats: one lost message is no outage")
        return self


class Arming(_Model):
    """A point of an alarm panel that says whether the institution is armed."""

    point: str
    armed: Condition
    disarmed: Condition

    @model_validator(mode="after")
    def _says_which(self) -> "Arming":
        if self.armed.present is not None or self.disarmed.present is not None:
            raise ValueError("armed, disarmed: a value, not the presence of any")
        return self


class Health(_Model):
    """While `point` meets `condition`, the device's function state is `state`; the worst of all health rows holds."""

    point: str
    condition: Condition
    state: Literal[FunctionState.DEGRADED, FunctionState.FAILED]
    title: Title


class FunctionTest(_Model):
    """What must be seen in a function test before the device goes into service.

    `seen`: points that must give a good value. `pressed`: a point and condition that must come true during the test (a press, a trip).
    """

    seen: tuple[str, ...] = ()
    pressed: dict[str, Condition] = Field(default_factory=dict)
    within: Duration = 60 * _UNITS["s"]
    proves: dict[_Capability, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """capability and the points, of those seen or pressed, that show it; left out: the only capability of the device, and none where it has several"""

    @model_validator(mode="after")
    def _asks_for_something(self) -> "FunctionTest":
        if not self.seen and not self.pressed:
            raise ValueError("a test that asks for nothing proves nothing")
        return self


LONGEST_TRIAL: Micros = 20 * _UNITS["s"]
"""so long a device may be kept in its own test"""


class TestPoint(_Model):
    """The device's own test: a proof writes `value` to `write`, waits `within` for `expect` to say `answer`, and writes `rest` afterwards.

    The answer must be something that no alarm of the device is raised by: a real press beside it stays a real press.
    """

    write: str
    value: bool | int | float | str
    rest: bool | int | float | str
    expect: str
    answer: Condition
    within: Duration = 10 * _UNITS["s"]
    harmless: Title
    """what is heard and seen at the site meanwhile; that it says so declares that it may happen without anybody being warned"""
    proves: tuple[_Capability, ...] = ()
    """what the answer shows; left out: the only capability of the device, and none where it has several"""

    __test__ = False

    @model_validator(mode="after")
    def _can_be_waited_for(self) -> "TestPoint":
        if self.answer.equals is None and self.answer.any_of is None:
            raise ValueError("answer: a value that is waited for, equals or any_of")
        if not 0 < self.within <= LONGEST_TRIAL:
            raise ValueError(f"within: at most {LONGEST_TRIAL // 1_000_000} s")
        if self.value == self.rest:
            raise ValueError("rest: another value than the one that begins the test")
        return self


class Profile(_Model):
    """A device profile, complete and checked."""

    profile: Annotated[str, Field(pattern=IDENTIFIER)]
    kind: Kind
    vendor: str
    model: str
    title: Title
    source: str = Field(min_length=1)
    """the public document it was made from"""
    driver: Annotated[str, Field(pattern=IDENTIFIER)]
    recognised_by: dict[Annotated[str, Field(pattern=_POINT)], str] = Field(default_factory=dict)
    """marks of a found device (`hub.driver.Found.marks`) and the pattern that each must match, `*` and `?` as in file names"""
    device: dict[str, Any] = Field(default_factory=dict)
    """defaults of the driver's device settings; a manifest's settings win"""
    dials_police: bool = False
    """devices of this type dial the police centre by a line of their own: no test or drill presses them outside a window booked there"""
    liveness: Liveness
    capabilities: tuple[_Capability, ...] = ()
    points: dict[Annotated[str, Field(pattern=_POINT)], Point]
    health: tuple[Health, ...] = ()
    alarms: dict[Annotated[str, Field(pattern=_POINT)], AlarmDefinition] = Field(default_factory=dict)
    arming: Arming | None = None
    """what this device says of the armed state of its institution"""
    test: FunctionTest
    test_point: TestPoint | None = None
    """the lowest point at which a proof can be injected, where the device has one"""

    @model_validator(mode="after")
    def _test_point_raises_nothing(self) -> "Profile":
        trial = self.test_point
        if trial is None:
            return self
        for key, name in (("write", trial.write), ("expect", trial.expect)):
            point = self.points.get(name)
            if point is None:
                raise ValueError(f"test_point.{key}: the profile has no point {name!r}")
            if point.instances:
                raise ValueError(f"test_point.{key}: {name!r} has instances: none of them is meant")
        if not self.points[trial.write].writable:
            raise ValueError(f"test_point.write: {trial.write!r} is not writable")
        if trial.write == trial.expect:
            raise ValueError("test_point.expect: what was written answers nothing: name what the device says of it")
        if self.points[trial.expect].type == "float":
            raise ValueError("test_point.expect: a value that can be told exactly, no float")
        answers = _values(trial.answer, self.points[trial.expect])
        for name, alarm in self.alarms.items():
            watched = alarm.point == trial.expect
            told = alarm.condition.equals is not None or alarm.condition.any_of is not None
            if watched and (not told or answers & _values(alarm.condition, self.points[trial.expect])):
                raise ValueError(
                    f"test_point.answer: would raise the alarm {name!r}: a real one could not be told from it"
                )
        if trial.expect in self.test.pressed or (self.arming is not None and self.arming.point == trial.expect):
            raise ValueError("test_point.expect: a function test or the armed state would take it for its own")
        return self

    @model_validator(mode="after")
    def _names_only_points_that_exist(self) -> "Profile":
        asked = [
            *((f"alarms.{name}.point", alarm.point, alarm.condition) for name, alarm in self.alarms.items()),
            *((f"health.{n}.point", row.point, row.condition) for n, row in enumerate(self.health)),
            *((f"test.pressed.{name}", name, condition) for name, condition in self.test.pressed.items()),
            *(("test.seen", name, None) for name in self.test.seen),
            *(
                ()
                if self.test_point is None
                else (("test_point.answer", self.test_point.expect, self.test_point.answer),)
            ),
            *(() if self.arming is None else (("arming.armed", self.arming.point, self.arming.armed),)),
            *(() if self.arming is None else (("arming.disarmed", self.arming.point, self.arming.disarmed),)),
        ]
        for where, name, condition in asked:
            if name in BUILT_IN and where.startswith("alarms."):
                continue
            point = self.points.get(name)
            if point is None:
                raise ValueError(f"{where}: the profile has no point {name!r}")
            labels = () if condition is None else (condition.equals,)
            if where == "test_point.answer" and condition is not None:
                labels = (*labels, *(condition.any_of or ()))
            for label in labels:
                if isinstance(label, str):
                    _check_label(where, label, point)
        for name in sorted(BUILT_IN & self.points.keys()):
            raise ValueError(f"points.{name}: this name is built in")
        return self

    @model_validator(mode="after")
    def _proves_what_it_has(self) -> "Profile":
        named = [("test.proves", name) for name in self.test.proves]
        named += [] if self.test_point is None else [("test_point.proves", name) for name in self.test_point.proves]
        for where, name in named:
            if name not in self.capabilities:
                raise ValueError(f"{where}: the profile has no capability {name!r}")
        asked = {*self.test.seen, *self.test.pressed}
        for name, points in self.test.proves.items():
            for point in points:
                if point not in asked:
                    raise ValueError(f"test.proves.{name}: {point!r} is neither seen nor pressed in the test")
        return self

    @model_validator(mode="after")
    def _has_an_alarm_for_its_clock(self) -> "Profile":
        if self.kind not in (Kind.PATH, Kind.HUB) and all(
            one.signal_class is not SignalClass.CLOCK for one in self.alarms.values()
        ):
            self.alarms.setdefault(CLOCK_ALARM, _CLOCK_WRONG)
        return self

    @cached_property
    def alarms_of(self) -> Mapping[str, tuple[tuple[str, AlarmDefinition], ...]]:
        """The alarm definitions by the point that they watch."""
        names = {alarm.point for alarm in self.alarms.values()}
        return {name: tuple((n, a) for n, a in self.alarms.items() if a.point == name) for name in names}

    @cached_property
    def gated(self) -> tuple[tuple[str, AlarmDefinition], ...]:
        """The alarm definitions that depend on opening hours or the armed state."""
        return tuple((name, alarm) for name, alarm in self.alarms.items() if alarm.when is not None)

    @cached_property
    def health_points(self) -> frozenset[str]:
        """The points that say how well the device is."""
        return frozenset(row.point for row in self.health)

    @cached_property
    def shown_by_test(self) -> frozenset[str]:
        """The capabilities that a function test shows once it has passed: those that it names, or the only one there is."""
        return self._shown(self.test.proves)

    @cached_property
    def shown_by_trial(self) -> frozenset[str]:
        """The capabilities that the device's own test shows when a proof was answered by it."""
        return self._shown(() if self.test_point is None else self.test_point.proves)

    def _shown(self, named: Iterable[str]) -> frozenset[str]:
        return frozenset(named) or frozenset(self.capabilities if len(self.capabilities) == 1 else ())

    @cached_property
    def is_found_late(self) -> bool:
        """Whether a dead device of this type, one with a fire or panic definition, stays green for longer than `FOUND_LATE`."""
        return self.lane is Lane.URGENT and self.liveness.offline_after > FOUND_LATE

    @cached_property
    def lane(self) -> Lane:
        """Urgent when any definition is fire or panic."""
        urgent = any(alarm.signal_class in LIFE_SAFETY for alarm in self.alarms.values())
        return Lane.URGENT if urgent else Lane.BULK


def _values(condition: Condition, point: Point) -> frozenset[object]:
    """The values, or the codes of the labels, that a condition names."""
    named = (condition.equals,) if condition.any_of is None else condition.any_of
    codes = {label: code for code, label in (point.enum or {}).items()}
    return frozenset(codes.get(one, one) if isinstance(one, str) else one for one in named)


def _check_label(where: str, label: str, point: Point) -> None:
    if point.type != "str" and (point.enum is None or label not in point.enum.values()):
        raise ValueError(f"{where}: the point's enum has no label {label!r}")


def _located(error: ValidationError, where: str) -> BadInput:
    first = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    return BadInput(f"{key}: {first['msg']}" if key else str(first["msg"]), where, code="profile")


def parse_profile(document: object, where: str) -> Profile:
    """One profile from parsed YAML; raises BadInput that names `where` and the key."""
    try:
        return Profile.model_validate(document)
    except ValidationError as error:
        raise _located(error, where) from None


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _resolve(name: str, documents: Mapping[str, tuple[str, dict[str, Any]]], trail: tuple[str, ...]) -> dict[str, Any]:
    where, document = documents[name]
    parent = document.get("extends")
    if parent is None:
        return document
    if not isinstance(parent, str) or parent not in documents:
        raise BadInput(f"extends: there is no profile {parent!r}", where, code="profile")
    if parent in (*trail, name):
        raise BadInput(f"extends: {' → '.join((*trail, name, parent))} goes round in a circle", where, code="profile")
    merged = _merge(_resolve(parent, documents, (*trail, name)), document)
    del merged["extends"]
    return merged


def load_profiles(folders: Iterable[Path]) -> dict[str, Profile]:
    """All profiles below `folders` by id; raises BadInput that names file and key."""
    texts = []
    for path in sorted(path for folder in folders for path in folder.rglob("*.yaml")):
        try:
            texts.append((str(path), path.read_text("utf-8")))
        except UnicodeDecodeError as error:
            raise BadInput(" ".join(str(error).split()), str(path), code="profile") from None
    return dict(_parsed(tuple(texts)))


@lru_cache(maxsize=4)
def _parsed(texts: tuple[tuple[str, str], ...]) -> Mapping[str, Profile]:
    """The profiles in these files, each a path and its text. Whoever in this process reads the same files has the same values."""
    documents: dict[str, tuple[str, dict[str, Any]]] = {}
    for path, text in texts:
        try:
            document = yaml_text.load(text)
        except yaml.YAMLError as error:
            raise BadInput(" ".join(str(error).split()), path, code="profile") from None
        if not isinstance(document, dict) or not isinstance(document.get("profile"), str):
            raise BadInput("a profile is a mapping with the key 'profile'", path, code="profile")
        if document["profile"] in documents:
            other = documents[document["profile"]][0]
            raise BadInput(f"profile {document['profile']!r} stands in {other} too", path, code="profile")
        documents[document["profile"]] = (path, document)
    return {name: parse_profile(_resolve(name, documents, ()), documents[name][0]) for name in documents}


__all__ = [
    "CLOCK_POINT",
    "LINK_POINT",
    "AlarmDefinition",
    "Condition",
    "Profile",
    "load_profiles",
    "parse_duration",
    "parse_profile",
]
