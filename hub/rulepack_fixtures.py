"""Fixtures of rules: tiny sites that must pass, must fail, or must stay unknown. A rule without both a pass and a fail is refused.

One file `rule-packs/fixtures/<rule>.yaml` each. `anxin rules` and the tests run them through the same `check` as the hub.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hub.core.coverage.facts import DeviceFact, InstitutionFacts, ZoneFact
from hub.core.coverage.judge import check
from hub.core.coverage.purposes import InstitutionType, ZonePurpose
from hub.core.coverage.rules import RulePack, Verdict
from hub.errors import BadInput
from hub.model import IDENTIFIER, AdminState, FunctionState, LinkState, Micros, to_micros
from hub.profiles import Kind
from hub.rulepacks import CHINA, FIXTURES, Capabilities

_Id = Annotated[str, Field(pattern=IDENTIFIER)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DeviceText(_Model):
    """A device of a tiny site; in service, online and ok unless it says otherwise."""

    id: _Id
    kind: Kind = Kind.OTHER
    has: Capabilities = ()
    zone: _Id | None = None
    admin: AdminState = AdminState.IN_SERVICE
    link: LinkState = LinkState.ONLINE
    function: FunctionState = FunctionState.OK


class Site(_Model):
    """A tiny institution."""

    name: str = Field(min_length=1, max_length=100)
    type: InstitutionType
    division: Annotated[str, Field(pattern=r"^\d{2,12}$")] = "140403"
    connected: bool = True
    zones: dict[_Id, ZonePurpose] = Field(default_factory=dict)
    devices: tuple[DeviceText, ...] = ()

    def facts(self, at: Micros) -> InstitutionFacts:
        """The core's facts."""
        zones = tuple(ZoneFact(key, purpose.value, key, key) for key, purpose in self.zones.items())
        devices = tuple(
            DeviceFact(
                one.id, one.kind.value, one.zone, frozenset(one.has),
                one.admin, at, one.link, at, one.function, at, at,
            )
            for one in self.devices
        )  # fmt: skip
        return InstitutionFacts(self.name, self.division, self.type.value, self.connected, zones, devices)


class Fixtures(_Model):
    """The fixtures of one rule."""

    rule: _Id
    day: date
    passes: tuple[Site, ...] = Field(alias="pass", min_length=1)
    fails: tuple[Site, ...] = Field(alias="fail", min_length=1)
    unknown: tuple[Site, ...] = ()


def load_fixtures(folders: Iterable[Path]) -> dict[str, Fixtures]:
    """Fixtures by rule; raises BadInput that names file and key."""
    found: dict[str, Fixtures] = {}
    for path in sorted(path for folder in folders for path in (folder / FIXTURES).glob("*.yaml")):
        try:
            fixtures = Fixtures.model_validate(yaml.safe_load(path.read_text("utf-8")))
        except yaml.YAMLError as error:
            raise BadInput(" ".join(str(error).split()), str(path), code="rule-fixture") from None
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            key = ".".join(str(part) for part in first["loc"])
            raise BadInput(f"{key}: {first['msg']}", str(path), code="rule-fixture") from None
        if fixtures.rule != path.stem:
            raise BadInput(f"rule: {fixtures.rule!r} belongs into {fixtures.rule}.yaml", str(path), code="rule-fixture")
        found[fixtures.rule] = fixtures
    return found


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
        ):
            wrong += [message for site in sites for message in _judged_otherwise(packs, rule, site, at, expected)]
    return wrong


def _judged_otherwise(packs: Sequence[RulePack], rule: str, site: Site, at: Micros, expected: Verdict) -> list[str]:
    found = [finding for finding in check(packs, site.facts(at), at) if finding.rule.id == rule]
    if not found:
        return [f"{rule}: {site.name}: the rule does not apply"]
    if found[0].verdict is not expected:
        return [f"{rule}: {site.name}: {found[0].verdict}, not {expected}: {found[0].sentence_en}"]
    return []
