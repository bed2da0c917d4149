"""What what-if answers: rules that would say something else, parts whose loss costs coverage, what is missing."""

from pydantic import BaseModel, Field

from hub.api.coverage import BasisName, VerdictName
from hub.api.schemas import Moment, Name


class TurnedRule(BaseModel):
    """A rule that would say something else."""

    rule: str
    basis: BasisName
    before: VerdictName | None = Field(description="today; null where it does not hold")
    after: VerdictName | None = Field(description="then; null where it would not hold")
    zones: list[str] = Field(description="whose verdict would be another")
    sentence: Name


class WaivedCount(BaseModel):
    """Violations that a waiver excuses, turned or not: by the rules of now, and by those that are tried. In no rate are they compliant."""

    before: int
    after: int


class Tried(BaseModel):
    """What was tried on today's facts."""

    at: Moment
    rules_at: Moment
    pack: str | None = Field(description="the pack that was sent, with its version; null: the hub's own packs")
    not_in_effect: int = Field(description="rules of the pack that was sent which do not hold at `rules_at`")
    waived: WaivedCount


class OtherRules(Tried):
    """Today's facts of one subject by other rules, or by the rules of another day."""

    subject: str
    turns: list[TurnedRule]


class TurnCount(BaseModel):
    """How many subjects turn so."""

    before: VerdictName | None
    after: VerdictName | None
    subjects: int


class RuleOverScope(BaseModel):
    """One rule over the whole scope."""

    rule: str
    basis: BasisName
    title: Name
    clause: str = Field(description="document, number and clause")
    subjects: int = Field(description="for whom it turns")
    falls: int = Field(description="who would no longer be compliant, or come under it without being so")
    counts: list[TurnCount]


class TurnOfSubject(BaseModel):
    """One rule of one subject."""

    rule: str
    basis: BasisName
    before: VerdictName | None
    after: VerdictName | None


class SubjectOverScope(BaseModel):
    """One subject for whom something turns; what falls, by basis."""

    subject: str
    division: str
    title: Name
    obligations: int
    targets: int
    recommendations: int
    turns: list[TurnOfSubject]


class OverScope(Tried):
    """Today's facts of everybody within the scope by other rules: rule by rule, and subject by subject, who loses most first."""

    judged: int = Field(
        description="subjects that were looked at: institutions, and entries of the register that are not connected"
    )
    turned: int = Field(description="for whom anything turns")
    rules: list[RuleOverScope]
    subjects: list[SubjectOverScope] = Field(description="at most as many as asked for")
    left_out: int = Field(description="subjects that turn and are not listed")


class LostPart(BaseModel):
    """A single part without which rules that hold now would not."""

    part: str = Field(
        description="`device:<id>`, or what others are behind: `link:`, `power:`, `switch:`, `recorder:`, `edge:`, `uplink:`"
    )
    title: Name
    devices: int = Field(description="that fall with it")
    obligations: int
    targets: int
    recommendations: int
    zones: int
    falls: list[TurnedRule]


class Losses(BaseModel):
    """The single points of failure of coverage, the worst first: most obligations, then targets, recommendations, zones."""

    subject: str
    at: Moment
    parts: list[LostPart]


class Idle(BaseModel):
    """A device that is there and proves nothing now."""

    device: str
    reason: Name


class MissingThing(BaseModel):
    """What one place lacks for full coverage."""

    capabilities: list[str] = Field(description="any of these will do")
    what: Name
    basis: BasisName = Field(description="the greatest of the rules that ask for it")
    zone: str | None = Field(description="null: anywhere in the institution")
    title: Name
    place: str = Field(description="a floor, where the rule is judged per floor")
    buy: int = Field(description="not there at all")
    restore: int = Field(description="there, and proving nothing now")
    at_least: bool = Field(description="a share of the room is asked: one more may not be enough")
    idle: list[Idle] = Field(description="what is there and proves nothing now, and why")
    rules: list[str]
    waived: list[str] = Field(
        description="of those rules the ones whose violation is waived now; it is missing all the same"
    )


class TotalMissing(BaseModel):
    """What the institution lacks of one capability altogether; what a zone or a floor gets counts for the institution, too."""

    capabilities: list[str]
    what: Name
    basis: BasisName
    buy: int
    restore: int
    at_least: bool


class MissingThings(BaseModel):
    """What is missing for full coverage: altogether, and by zone as a list to buy from."""

    subject: str
    at: Moment
    totals: list[TotalMissing]
    missing: list[MissingThing]
