"""Fixtures of rules: tiny sites that must pass, must fail, or must stay unknown. A rule without both a pass and a fail is refused.

One file `rule-packs/fixtures/<rule>.yaml` each. `anxin rules` and the tests run them through the same `check` as the hub.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hub.core.coverage.facts import (
    Arming,
    Attestation,
    DeviceFact,
    InstitutionFacts,
    Interval,
    PlanState,
    RecordingFact,
    Value,
    View,
    ZoneFact,
)
from hub.core.coverage.judge import check_rule
from hub.core.coverage.purposes import InstitutionType, ZonePurpose
from hub.core.coverage.rules import RulePack, Verdict
from hub.errors import BadInput
from hub.model import IDENTIFIER, SECOND, AdminState, FunctionState, LinkState, Micros, SignalClass, to_micros
from hub.profiles import Duration, Kind
from hub.rulepack_requirements import Capabilities, Word
from hub.rulepacks import CHINA, FIXTURES, load_rule_packs, read_yaml

_Id = Annotated[str, Field(pattern=IDENTIFIER)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Ago = Duration
"""how long before the fixture's noon"""


def _zone(given: object) -> object:
    """A zone may be written as its purpose alone."""
    return {"purpose": given} if isinstance(given, str) else given


class ZoneText(_Model):
    """A zone of a tiny site."""

    purpose: ZonePurpose
    floor: str = Field(default="", max_length=10)
    area_m2: float | None = None
    entrances: tuple[_Id, ...] = ()
    ages: tuple[str, ...] = ()


class ViewText(_Model):
    """A view that a camera declares. `attested` is how long ago; `never`: nobody attested it."""

    zone: _Id
    share: float = 1.0
    masked: bool = False
    attested: Ago | Literal["never"] = 0


class ValueText(_Model):
    """The latest value of a point."""

    point: Word
    value: float
    ago: Ago = 0


class ProofText(_Model):
    """A proof of a capability, or of the device as a whole where none is named."""

    capability: str = ""
    ago: Ago = 0


class DeviceText(_Model):
    """A device of a tiny site; in service, online, just heard and ok unless it says otherwise."""

    id: _Id
    kind: Kind = Kind.OTHER
    has: Capabilities = ()
    zone: _Id | None = None
    admin: AdminState = AdminState.IN_SERVICE
    link: LinkState = LinkState.ONLINE
    function: FunctionState = FunctionState.OK
    heard: Ago | Literal["never"] = 0
    proven: tuple[ProofText, ...] = ()
    behind: tuple[str, ...] = ()
    sees: tuple[ViewText, ...] = ()
    values: tuple[ValueText, ...] = ()
    unproven: Capabilities = ()
    """capabilities of those it has that no test has shown"""

    def fact(self, at: Micros) -> DeviceFact:
        """The core's fact."""
        return DeviceFact(
            self.id, self.kind.value, self.zone, frozenset(self.has), self.admin, at, self.link, at, self.function, at,
            None if self.heard == "never" else at - self.heard,
            tuple((one.capability, at - one.ago) for one in self.proven),
            self.behind,
            tuple(
                View(one.zone, one.share, None if one.attested == "never" else at - one.attested, one.masked)
                for one in self.sees
            ),
            tuple(Value(one.point, one.value, at - one.ago) for one in self.values),
            unproven=frozenset(self.unproven),
        )  # fmt: skip


class RecordingText(_Model):
    """What a recorder's index says of a device. `gaps`, `bad`: how much is missing; the rest is how long ago."""

    device: _Id
    recorder: _Id = "recorder"
    days: float
    possible: float | None = None
    gaps: Duration = 0
    bad: Duration = 0
    installed: Ago | None = None
    newest: Ago | Literal["unknown"] = 0
    read: Ago = 0

    def fact(self, at: Micros) -> RecordingFact:
        """The core's fact."""
        return RecordingFact(
            self.device, self.recorder, self.days, self.gaps / SECOND, None,
            None if self.newest == "unknown" else at - self.newest, at - self.read,
            self.bad / SECOND, None if self.installed is None else at - self.installed, self.possible,
        )  # fmt: skip


class AttestationText(_Model):
    """An attestation or a document, `ago` and for as long as it `lasts`."""

    kind: Word
    ago: Ago = 0
    lasts: Duration | None = None
    zone: _Id | None = None
    device: _Id | None = None
    number: str = ""
    value: float | None = None
    seconded: bool = False

    def fact(self, at: Micros, n: int) -> Attestation:
        """The core's fact."""
        expires_at = None if self.lasts is None else at - self.ago + self.lasts
        return Attestation(
            f"attestation-{n}", self.kind, at - self.ago, expires_at, self.zone, self.device, self.number, self.value,
            self.seconded,
        )  # fmt: skip


class IntervalText(_Model):
    """Something that `began` so long ago and `took` so long; without `took` it has not ended."""

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(-[a-z][a-z0-9_]*)?$")]
    began: Ago
    took: Duration | None = None
    device: _Id | None = None

    def fact(self, at: Micros) -> Interval:
        """The core's fact."""
        ended_at = None if self.took is None else at - self.began + self.took
        return Interval(self.kind, at - self.began, ended_at, self.device)


class ArmingText(_Model):
    """Whether a device's alarms of a class are always on."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    device: _Id
    signal_class: SignalClass = Field(alias="class")
    always: bool
    ago: Ago = 0


class Site(_Model):
    """A tiny institution."""

    name: str = Field(min_length=1, max_length=100)
    type: InstitutionType
    division: Annotated[str, Field(pattern=r"^\d{2,12}$")] = "140403"
    connected: bool = True
    zones: dict[_Id, Annotated[ZoneText, BeforeValidator(_zone, json_schema_input_type=str | ZoneText)]] = Field(
        default_factory=dict
    )
    devices: tuple[DeviceText, ...] = ()
    registered: bool | None = None
    filing_number: str = ""
    capacity: int | None = None
    area_m2: float | None = None
    plan_signed: bool = True
    recordings: tuple[RecordingText, ...] = ()
    attestations: tuple[AttestationText, ...] = ()
    intervals: tuple[IntervalText, ...] = ()
    armed: tuple[ArmingText, ...] = ()

    def facts(self, at: Micros) -> InstitutionFacts:
        """The core's facts."""
        return InstitutionFacts(
            self.name, self.division, self.type.value, self.connected,
            tuple(
                ZoneFact(key, one.purpose.value, key, key, one.floor, one.area_m2, one.entrances, one.ages)
                for key, one in self.zones.items()
            ),
            tuple(one.fact(at) for one in self.devices),
            self.registered, self.filing_number, self.capacity, self.area_m2,
            PlanState(1, at if self.plan_signed else None, at),
            tuple(one.fact(at) for one in self.recordings),
            tuple(one.fact(at, n) for n, one in enumerate(self.attestations)),
            tuple(one.fact(at) for one in self.intervals),
            tuple(Arming(one.device, one.signal_class.value, one.always, at - one.ago) for one in self.armed),
        )  # fmt: skip


class Fixtures(_Model):
    """The fixtures of one rule."""

    rule: _Id
    day: date
    passes: tuple[Site, ...] = Field(alias="pass", min_length=1)
    fails: tuple[Site, ...] = Field(alias="fail", min_length=1)
    unknown: tuple[Site, ...] = ()
    exempt: tuple[Site, ...] = ()
    """to which the rule does not apply, by its circumstance"""


def load_fixtures(folders: Iterable[Path]) -> dict[str, Fixtures]:
    """Fixtures by rule; raises BadInput that names file and key."""
    found: dict[str, Fixtures] = {}
    for path in sorted(path for folder in folders for path in (folder / FIXTURES).glob("*.yaml")):
        document = read_yaml(path, "rule-fixture")
        try:
            fixtures = Fixtures.model_validate(document)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            key = ".".join(str(part) for part in first["loc"])
            said = f"{key}: {first['msg']}" if key else str(first["msg"])
            raise BadInput(said, str(path), code="rule-fixture") from None
        if fixtures.rule != path.stem:
            raise BadInput(f"rule: {fixtures.rule!r} belongs into {fixtures.rule}.yaml", str(path), code="rule-fixture")
        found[fixtures.rule] = fixtures
    return found


def load_proven_rule_packs(folders: Iterable[Path]) -> tuple[RulePack, ...]:
    """All packs, for use: raises BadInput for a rule that has no fixtures, or that does not tell right from wrong."""
    places = list(folders)
    packs = load_rule_packs(places)
    wrong = failures(packs, load_fixtures(places))
    if wrong:
        more = f" (and {len(wrong) - 1} more: anxin rules check)" if len(wrong) > 1 else ""
        raise BadInput(wrong[0] + more, ", ".join(str(place / FIXTURES) for place in places), code="rule-fixture")
    return packs


def failures(packs: Sequence[RulePack], fixtures: dict[str, Fixtures]) -> list[str]:
    """What does not hold: rules without fixtures, fixtures without a rule, sites judged otherwise. Empty is good."""
    rules = {rule.id for pack in packs for rule in pack.rules}
    wrong = [f"{rule}: the rule has no fixtures" for rule in sorted(rules - fixtures.keys())]
    wrong += [f"{rule}: there is no such rule" for rule in sorted(fixtures.keys() - rules)]
    for rule in sorted(rules & fixtures.keys()):
        one = fixtures[rule]
        at = to_micros(datetime.combine(one.day, time(12), tzinfo=CHINA))
        for expected, sites in (
            (Verdict.COMPLIANT, one.passes),
            (Verdict.NON_COMPLIANT, one.fails),
            (Verdict.UNKNOWN, one.unknown),
            (Verdict.NOT_APPLICABLE, one.exempt),
        ):
            wrong += [message for site in sites for message in _judged_otherwise(packs, rule, site, at, expected)]
    return wrong


def _judged_otherwise(packs: Sequence[RulePack], rule: str, site: Site, at: Micros, expected: Verdict) -> list[str]:
    finding = check_rule(packs, rule, site.facts(at), at)
    if finding is None:
        return [f"{rule}: {site.name}: the rule does not apply"]
    if finding.verdict is not expected:
        return [f"{rule}: {site.name}: {finding.verdict}, not {expected}: {finding.sentence_en}"]
    return []
