"""Rule packs: what institutions are held to, as YAML. Data only; unknown keys are errors that name file and key.

`load_rule_packs(folders)` reads `<pack>.yaml` (fixtures below a folder `fixtures/` are left out) and gives the core's values. Every rule names
document, number, clause, force and basis, and since when it holds; titles are our own words, never a standard's.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from hub.core.coverage.purposes import ZONE_SETS, InstitutionType, ZonePurpose
from hub.core.coverage.rules import BASIS_OF, AtLeast, Basis, Force, NoneIn, Requirement, Rule, RulePack
from hub.errors import BadInput
from hub.model import IDENTIFIER, Micros, to_micros
from hub.profiles import Kind, Title

CHINA = timezone(timedelta(hours=8))
FIXTURES = "fixtures"
_CAPABILITY = r"^[a-z]+\.[a-z_]+$"

Capabilities = Annotated[
    tuple[Annotated[str, Field(pattern=_CAPABILITY)], ...],
    BeforeValidator(lambda given: [given] if isinstance(given, str) else given),
]


def _zones(given: object) -> object:
    """Purposes, with the names of sets (`infant_zones`) replaced by what they hold."""
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list):
        return names
    return sorted({one for name in names for one in ZONE_SETS.get(str(name), [name])})


Zones = Annotated[tuple[ZonePurpose, ...], BeforeValidator(_zones, json_schema_input_type=str | list[str])]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AtLeastText(_Model):
    """`at_least`: n devices with any of the capabilities, per institution or per zone."""

    capability: Capabilities = Field(min_length=1)
    n: int = Field(default=1, ge=1, le=10_000)
    per: Literal["institution", "zone"]
    zones: Zones = ()
    must_exist: bool = False

    @model_validator(mode="after")
    def _zones_where_they_matter(self) -> "AtLeastText":
        if self.per == "zone" and not self.zones:
            raise ValueError("zones: a requirement per zone names its zones")
        if self.per == "institution" and self.must_exist:
            raise ValueError("must_exist: only a requirement per zone has it")
        return self

    def to_core(self) -> Requirement:
        """The core's value."""
        zones = frozenset(zone.value for zone in self.zones)
        return AtLeast(frozenset(self.capability), self.n, self.per, zones, self.must_exist)


class NoneInText(_Model):
    """`none_in`: no device of these kinds or capabilities in these zones."""

    zones: Zones = Field(min_length=1)
    kinds: tuple[Kind, ...] = ()
    capability: Capabilities = ()

    @model_validator(mode="after")
    def _names_something(self) -> "NoneInText":
        if not self.kinds and not self.capability:
            raise ValueError("none_in names kinds or capability: else it forbids nothing")
        return self

    def to_core(self) -> Requirement:
        """The core's value."""
        kinds = frozenset(kind.value for kind in self.kinds)
        return NoneIn(frozenset(zone.value for zone in self.zones), kinds, frozenset(self.capability))


class RequirementText(_Model):
    """Exactly one of `at_least` and `none_in`."""

    at_least: AtLeastText | None = None
    none_in: NoneInText | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "RequirementText":
        if (self.at_least is None) == (self.none_in is None):
            raise ValueError("a requirement is exactly one of at_least and none_in")
        return self

    def to_core(self) -> Requirement:
        """The core's value."""
        if self.at_least is not None:
            return self.at_least.to_core()
        assert self.none_in is not None
        return self.none_in.to_core()


class RuleText(_Model):
    """One rule as it is written. `effective_to` is the last day on which it holds."""

    id: Annotated[str, Field(pattern=IDENTIFIER)]
    clause_id: Annotated[str, Field(pattern=r"^[A-Z]{3}-\d{2}$")]
    document: str = Field(min_length=1, max_length=200)
    number: str = Field(default="", max_length=100)
    clause: str = Field(min_length=1, max_length=100)
    force: Force
    basis: Basis
    confidence: Literal["V1", "V2", "V3", "R", "I"]
    effective_from: date
    effective_to: date | None = None
    jurisdiction: Annotated[str, Field(pattern=r"^\d{0,12}$")] = ""
    institution_types: tuple[InstitutionType, ...] = ()
    title: Title
    days_to_remedy: int = Field(ge=0, le=365)
    requirement: RequirementText

    @model_validator(mode="after")
    def _holds_together(self) -> "RuleText":
        if self.basis is not BASIS_OF[self.force]:
            raise ValueError(f"basis: {self.force.value} is a basis of {BASIS_OF[self.force].value}")
        if self.force in (Force.LOC, Force.POL) and not self.jurisdiction:
            raise ValueError(f"jurisdiction: {self.force.value} holds only in its place")
        if self.confidence in ("R", "I") and self.basis is Basis.OBLIGATION:
            raise ValueError("confidence: what nobody has read is no obligation")
        if self.effective_to is not None and self.effective_to < self.effective_from:
            raise ValueError("effective_to is before effective_from")
        return self

    def to_core(self) -> Rule:
        """The core's value."""
        return Rule(
            id=self.id,
            clause_id=self.clause_id,
            document=self.document,
            number=self.number,
            clause=self.clause,
            force=self.force,
            basis=self.basis,
            confidence=self.confidence,
            since=_midnight(self.effective_from),
            until=None if self.effective_to is None else _midnight(self.effective_to + timedelta(days=1)),
            jurisdiction=self.jurisdiction,
            institution_types=frozenset(one.value for one in self.institution_types),
            title_zh=self.title.zh,
            title_en=self.title.en,
            days_to_remedy=self.days_to_remedy,
            requirement=self.requirement.to_core(),
        )


class RulePackText(_Model):
    """A pack as it is written."""

    pack: Annotated[str, Field(pattern=IDENTIFIER)]
    version: Annotated[str, Field(pattern=r"^\d{4}\.\d{2}\.\d+$")]
    title: Title
    rules: tuple[RuleText, ...] = Field(min_length=1)

    def to_core(self) -> RulePack:
        """The core's value."""
        return RulePack(
            self.pack, self.version, self.title.zh, self.title.en, tuple(rule.to_core() for rule in self.rules)
        )


def _midnight(day: date) -> Micros:
    """The first microsecond of a day in China."""
    return to_micros(datetime(day.year, day.month, day.day, tzinfo=CHINA))


def parse_rule_pack(document: object, where: str) -> RulePack:
    """One pack from parsed YAML; raises BadInput that names `where` and the key."""
    try:
        return RulePackText.model_validate(document).to_core()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{key}: {first['msg']}" if key else str(first["msg"]), where, code="rule-pack") from None


def load_rule_packs(folders: Iterable[Path]) -> tuple[RulePack, ...]:
    """All packs directly in `folders`, by pack id; raises BadInput that names file and key, also for a rule id that stands twice."""
    packs: dict[str, tuple[str, RulePack]] = {}
    for path in sorted(path for folder in folders for path in folder.glob("*.yaml")):
        try:
            document = yaml.safe_load(path.read_text("utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise BadInput(" ".join(str(error).split()), str(path), code="rule-pack") from None
        pack = parse_rule_pack(document, str(path))
        if pack.id in packs:
            raise BadInput(f"pack {pack.id!r} stands in {packs[pack.id][0]} too", str(path), code="rule-pack")
        packs[pack.id] = (str(path), pack)
    _refuse_doubled_rules([packs[name] for name in sorted(packs)])
    return tuple(packs[name][1] for name in sorted(packs))


def _refuse_doubled_rules(packs: Sequence[tuple[str, RulePack]]) -> None:
    seen: dict[str, str] = {}
    for path, pack in packs:
        for rule in pack.rules:
            if rule.id in seen:
                raise BadInput(f"rule {rule.id!r} stands in {seen[rule.id]} too", path, code="rule-pack")
            seen[rule.id] = path
