"""Rule packs: what institutions are held to, as YAML. Data only; unknown keys are errors that name file and key.

`load_rule_packs(folders)` reads `<pack>.yaml` (fixtures below a folder `fixtures/` are left out) and gives the core's values. Every rule names
document, number, clause, force and basis, and since when it holds; titles are our own words, never a standard's.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hub import yaml_text
from hub.core.coverage.overlays import faults
from hub.core.coverage.purposes import InstitutionType
from hub.core.coverage.rules import BASIS_OF, Basis, Force, Module, Rule, RulePack
from hub.errors import BadInput
from hub.model import IDENTIFIER, Micros, to_micros
from hub.profiles import Duration, Title
from hub.rulepack_requirements import RequirementText, WhenText

CHINA = timezone(timedelta(hours=8))
FIXTURES = "fixtures"
CLAUSES = "clauses.yaml"
NOT_PACKS = frozenset({CLAUSES, "fire-risk.yaml"})
"""files beside the packs that are none"""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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
    module: Module
    title: Title
    days_to_remedy: int = Field(ge=0, le=365)
    evidence_max_age: Annotated[Duration, Field(gt=0)] | None = None
    tightens: Annotated[str, Field(pattern=IDENTIFIER)] | None = None
    replaces: Annotated[str, Field(pattern=IDENTIFIER)] | None = None
    ground: Title | None = None
    when: WhenText | None = None
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
        if self.tightens is not None and self.replaces is not None:
            raise ValueError("replaces: not beside tightens")
        if (self.replaces is None) != (self.ground is None):
            raise ValueError("ground: a rule that replaces another says on what ground, and only such a rule")
        if self.when is not None and self.requirement.none_in is not None:
            raise ValueError("when: a prohibition holds in every circumstance")
        self.requirement.greatest_age(self.evidence_max_age)
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
            module=self.module,
            evidence_max_age=self.requirement.greatest_age(self.evidence_max_age),
            overrides=self.tightens or self.replaces or "",
            replaces=self.replaces is not None,
            ground_zh="" if self.ground is None else self.ground.zh,
            ground_en="" if self.ground is None else self.ground.en,
            when=None if self.when is None else self.when.to_core(),
        )


class RulePackText(_Model):
    """A pack as it is written."""

    pack: Annotated[str, Field(pattern=IDENTIFIER)]
    version: Annotated[str, Field(pattern=r"^\d{4}\.\d{2}\.\d+$")]
    title: Title
    overlays: Annotated[str, Field(pattern=IDENTIFIER)] | None = None
    rules: tuple[RuleText, ...] = Field(min_length=1, max_length=2_000)

    def to_core(self) -> RulePack:
        """The core's value."""
        rules = tuple(rule.to_core() for rule in self.rules)
        return RulePack(self.pack, self.version, self.title.zh, self.title.en, rules, self.overlays or "")


def _midnight(day: date) -> Micros:
    """The first microsecond of a day in China."""
    return to_micros(datetime(day.year, day.month, day.day, tzinfo=CHINA))


def parse_rule_pack(document: object, where: str) -> RulePack:
    """One pack from parsed YAML; raises BadInput that names `where`, the rule and the key."""
    try:
        return RulePackText.model_validate(document).to_core()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        said = f"{key}: {first['msg']}" if key else str(first["msg"])
        raise BadInput(_of_rule(document, first["loc"]) + said, where, code="rule-pack") from None


def _of_rule(document: Any, loc: Sequence[int | str]) -> str:
    """`rule 'x': ` where the error stands in a rule that has an id."""
    match loc:
        case ["rules", int(n), *_]:
            rule = document["rules"][n]
            name = rule.get("id") if isinstance(rule, dict) else None
            return f"rule {name[:40]!r}: " if isinstance(name, str) else ""
        case _:
            return ""


def load_rule_packs(folders: Iterable[Path]) -> tuple[RulePack, ...]:
    """All packs directly in `folders`, by pack id; raises BadInput that names file, rule and key.

    Refused too: a rule id that stands twice, an overlay over nothing, an overlay that loosens what it lies over.
    """
    packs: dict[str, tuple[str, RulePack]] = {}
    for path in sorted(path for folder in folders for path in folder.glob("*.yaml") if path.name not in NOT_PACKS):
        pack = parse_rule_pack(read_yaml(path, "rule-pack"), str(path))
        if pack.id in packs:
            raise BadInput(f"pack {pack.id!r} stands in {packs[pack.id][0]} too", str(path), code="rule-pack")
        packs[pack.id] = (str(path), pack)
    return _fitting([packs[name] for name in sorted(packs)])


def _fitting(found: Sequence[tuple[str, RulePack]]) -> tuple[RulePack, ...]:
    """The packs, each with where it stands; raises BadInput where they do not go together."""
    _refuse_doubled_rules(found)
    where = {pack.id: place for place, pack in found}
    for fault in faults([pack for _, pack in found]):
        about = f"rule {fault.rule!r}: " if fault.rule else ""
        raise BadInput(f"{about}{fault.key}: {fault.message}", where[fault.pack], code="rule-pack")
    return tuple(pack for _, pack in found)


MOST_TRIED = 512 * 1024
"""bytes of a pack that somebody wants to try; the greatest that is shipped has 15 kB"""


def with_pack(packs: Sequence[RulePack], data: bytes, where: str = "pack") -> tuple[RulePack, tuple[RulePack, ...]]:
    """A stranger's pack (YAML, or JSON, which is YAML), and these packs with it in the place of the one of its name, or beside them.

    It is held to all that a file of ours is, except that it needs no fixtures: nothing is judged by it for good. Raises BadInput.
    """
    if len(data) > MOST_TRIED:
        raise BadInput(f"a pack has at most {MOST_TRIED} bytes", where, code="rule-pack")
    tried = parse_rule_pack(_parsed(data, where, aliases=False), where)
    rest = [(f"the hub's pack {pack.id}", pack) for pack in packs if pack.id != tried.id]
    return tried, _fitting(sorted([*rest, (where, tried)], key=lambda one: one[1].id))


def read_yaml(path: Path, code: str) -> object:
    """What a YAML file holds; raises BadInput that names it."""
    return _parsed(path.read_bytes(), str(path), code)


def _parsed(data: bytes, where: str, code: str = "rule-pack", *, aliases: bool = True) -> object:
    try:
        document: object = yaml_text.load(data.decode("utf-8"), _Loader, aliases=aliases)
        return document
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise BadInput(" ".join(str(error).split())[:500], where, code=code) from None


class _Loader(yaml_text.FAST):  # type: ignore[misc]
    """Like the safe one, but a key that stands twice is an error: the first would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Raises ConstructorError, which names the line."""
        seen: set[object] = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is not None and name != "<<" and name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {name!r} stands twice", key.start_mark)
            seen.add(name)
        found: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return found


def _refuse_doubled_rules(packs: Sequence[tuple[str, RulePack]]) -> None:
    seen: dict[str, str] = {}
    for path, pack in packs:
        for rule in pack.rules:
            if rule.id in seen:
                raise BadInput(f"rule {rule.id!r} stands in {seen[rule.id]} too", path, code="rule-pack")
            seen[rule.id] = path
