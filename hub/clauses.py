"""The index of clauses 条款索引, `rule-packs/clauses.yaml`: every key of the catalogue of standards with the texts it rests on, and for every key that no
rule judges the reason. Every clause is cited or accounted for; there is no silent gap.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hub.core.coverage.rules import RulePack
from hub.errors import BadInput
from hub.model import IDENTIFIER
from hub.profiles import Title
from hub.rulepacks import CLAUSES, read_yaml

_Key = Annotated[str, Field(pattern=r"^[A-Z]{3}-\d{2}$")]
_Reason = Annotated[str, Field(pattern=r"^[a-z]{1,20}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(_Model):
    """What a key rests on: a document and a clause of it, and how well it is known."""

    id: _Key
    document: Annotated[str, Field(min_length=1, max_length=200)]
    number: Annotated[str, Field(max_length=100)] = ""
    clause: Annotated[str, Field(min_length=1, max_length=100)]
    confidence: Literal["V1", "V2", "V3", "R", "I"]


class Unjudged(_Model):
    """A key that no rule cites, why, and the rules that judge the same thing."""

    id: _Key
    reason: _Reason
    rules: tuple[Annotated[str, Field(pattern=IDENTIFIER)], ...] = ()


class Clauses(_Model):
    """The index."""

    clauses: tuple[Text, ...] = Field(min_length=1, max_length=5_000)
    reasons: dict[_Reason, Title]
    unjudged: tuple[Unjudged, ...] = ()

    @property
    def keys(self) -> frozenset[str]:
        """Every key of the catalogue."""
        return frozenset(one.id for one in self.clauses)


def load_clauses(folders: Iterable[Path]) -> Clauses | None:
    """The index beside the packs, None where no folder has one; raises BadInput that names file and key."""
    paths = [folder / CLAUSES for folder in folders if (folder / CLAUSES).exists()]
    if not paths:
        return None
    if len(paths) > 1:
        raise BadInput("there is one index", str(paths[1]), code="clauses")
    try:
        return Clauses.model_validate(read_yaml(paths[0], "clauses"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{key}: {first['msg']}" if key else str(first["msg"]), str(paths[0]), code="clauses") from None


def gaps(index: Clauses, packs: Sequence[RulePack]) -> list[str]:
    """What does not hold between the index and the rules: a key that nobody answers for, a citation that the index does not have. Empty is good."""
    rules = [rule for pack in packs for rule in pack.rules]
    cited = {rule.clause_id for rule in rules}
    excused = Counter(one.id for one in index.unjudged)
    texts = {(one.id, one.document, one.number, one.clause, one.confidence) for one in index.clauses}
    wrong = [f"{key}: no rule cites it, and no reason is given" for key in sorted(index.keys - cited - excused.keys())]
    for key, n in sorted(excused.items()):
        if n > 1:
            wrong.append(f"{key}: stands {n} times among what is not judged")
        if key not in index.keys:
            wrong.append(f"{key}: a reason is given for what the index does not have")
        if key in cited:
            wrong.append(f"{key}: a reason is given why no rule judges it, and one does")
    wrong += [
        f"{rule.id}: what it cites of {rule.clause_id} is no line of the index"
        for rule in rules
        if (rule.clause_id, rule.document, rule.number, rule.clause, rule.confidence) not in texts
    ]
    ids = {rule.id for rule in rules}
    for one in index.unjudged:
        if one.reason not in index.reasons:
            wrong.append(f"{one.id}: there is no reason {one.reason!r}")
        wrong += [f"{one.id}: there is no rule {name!r}" for name in one.rules if name not in ids]
        if one.reason in ("same", "rollup") and not one.rules:
            wrong.append(f"{one.id}: names no rule that judges it")
    return wrong
