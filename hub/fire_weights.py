"""The weights of the fire-risk score, as YAML: rule-packs/fire-risk.yaml. Data only; unknown keys are errors that name file and key."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hub.config import data_folder
from hub.core.coverage.purposes import ZonePurpose
from hub.core.fire_facts import HARD, SOFT, Factor, Level, Limits, Weight, Weights
from hub.errors import BadInput
from hub.model import IDENTIFIER
from hub.profiles import Duration, Kind, Title

FILE = "fire-risk.yaml"
_Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Soft(_Model):
    each: int = Field(ge=1, le=100)
    most: int = Field(ge=1, le=100)
    title: Title

    @model_validator(mode="after")
    def _adds_up(self) -> "_Soft":
        if self.each > self.most:
            raise ValueError("each is at most most: one thing adds no more than all of them")
        return self


class _Hard(_Model):
    raises_to: int = Field(ge=1, le=100)
    title: Title


class _Level(_Model):
    least: int = Field(alias="from", ge=0, le=100)
    id: Annotated[str, Field(pattern=IDENTIFIER)]
    title: Title


class _Limits(_Model):
    exits: tuple[ZonePurpose, ...] = Field(min_length=1)
    blocked: tuple[_Word, ...]
    electrical: tuple[_Word, ...]
    heat_kinds: tuple[Kind, ...]
    heat_above: float = Field(ge=0, le=200)
    gas_limit: float = Field(gt=0, le=100)
    circuit_kinds: tuple[Kind, ...]
    idle_watts: float = Field(ge=0, le=1_000_000)
    fresh: Duration
    tested_within: Duration
    checks: dict[_Word, Duration]


class _Text(_Model):
    fire_risk: Annotated[str, Field(pattern=IDENTIFIER)]
    version: Annotated[str, Field(pattern=r"^\d{4}\.\d{2}\.\d+$")]
    label: Title
    hard: dict[Factor, _Hard]
    factors: dict[Factor, _Soft]
    levels: tuple[_Level, ...] = Field(min_length=1)
    limits: _Limits

    @model_validator(mode="after")
    def _holds_together(self) -> "_Text":
        if set(self.hard) != set(HARD) or set(self.factors) != set(SOFT):
            raise ValueError(f"hard has {', '.join(HARD)}; factors has {', '.join(SOFT)}")
        total = sum(one.most for one in self.factors.values())
        if total != 100:
            raise ValueError(f"factors: the sum of most is 100, here it is {total}")
        starts = [one.least for one in self.levels]
        if starts[0] != 0 or starts != sorted(set(starts)):
            raise ValueError("levels: the first is from 0 and each starts above the one before")
        return self

    def to_core(self) -> Weights:
        limits = self.limits
        hard = {
            name: Weight(one.raises_to, one.raises_to, one.title.zh, one.title.en) for name, one in self.hard.items()
        }
        soft = {name: Weight(one.each, one.most, one.title.zh, one.title.en) for name, one in self.factors.items()}
        return Weights(
            version=self.version,
            label_zh=self.label.zh,
            label_en=self.label.en,
            factors={**soft, **hard},
            levels=tuple(Level(one.least, one.id, one.title.zh, one.title.en) for one in self.levels),
            limits=Limits(
                exits=frozenset(one.value for one in limits.exits),
                blocked=frozenset(limits.blocked),
                electrical=frozenset(limits.electrical),
                heat_kinds=frozenset(one.value for one in limits.heat_kinds),
                heat_above=limits.heat_above,
                gas_limit=limits.gas_limit,
                circuit_kinds=frozenset(one.value for one in limits.circuit_kinds),
                idle_watts=limits.idle_watts,
                fresh=limits.fresh,
                tested_within=limits.tested_within,
                checks=dict(limits.checks),
            ),
        )


def parse_weights(document: object, where: str) -> Weights:
    """Weights from parsed YAML; raises BadInput that names `where` and the key."""
    try:
        return _Text.model_validate(document).to_core()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{key}: {first['msg']}" if key else str(first["msg"]), where, code="fire-risk") from None


def load_weights(folders: Iterable[Path]) -> Weights:
    """The weights of the first of `folders` that has any, else the shipped ones; raises BadInput that names file and key."""
    path = next((one / FILE for one in folders if (one / FILE).is_file()), data_folder("rule-packs") / FILE)
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(" ".join(str(error).split()), str(path), code="fire-risk") from None
    return parse_weights(document, str(path))
