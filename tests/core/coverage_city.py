"""Small facts and rules for the tests of coverage."""

from dataclasses import replace

from hub.core.coverage.facts import DeviceFact, InstitutionFacts, ZoneFact
from hub.core.coverage.rules import AtLeast, Basis, Force, NoneIn, Requirement, Rule, RulePack
from hub.model import AdminState, FunctionState, LinkState

NOW = 1_795_000_000_000_000
CAMERA = DeviceFact(
    id="cam-1",
    kind="camera",
    zone="act",
    capabilities=frozenset({"video.live"}),
    admin_state=AdminState.IN_SERVICE,
    admin_since=NOW,
    link_state=LinkState.ONLINE,
    link_since=NOW,
    function_state=FunctionState.OK,
    function_since=NOW,
    last_heard_at=NOW,
)
ACT = ZoneFact("act", "activity_room", "活动室一", "Activity 1")
NAP = ZoneFact("nap", "nap_room", "睡眠室", "Nap room")
TOILET = ZoneFact("wc", "toilet", "卫生间", "Toilet")
OFFLINE = replace(CAMERA, link_state=LinkState.OFFLINE)
FAILED = replace(CAMERA, function_state=FunctionState.FAILED)

EACH_ZONE = AtLeast(frozenset({"video.live"}), 1, "zone", frozenset({"activity_room", "nap_room"}), must_exist=True)
TWO_ANYWHERE = AtLeast(frozenset({"video.live"}), 2, "institution")
NO_CAMERA = NoneIn(frozenset({"toilet"}), kinds=frozenset({"camera"}))


def site(*devices: DeviceFact, zones: tuple[ZoneFact, ...] = (ACT,), connected: bool = True) -> InstitutionFacts:
    return InstitutionFacts("inst-1", "140403", "community_point", connected, zones, devices)


def rule(requirement: Requirement, force: Force = Force.NORM, basis: Basis = Basis.OBLIGATION, id: str = "r-1") -> Rule:
    return Rule(
        id=id, clause_id="VID-03", document="某规范", number="No. 1", clause="第一条", force=force, basis=basis,
        confidence="V3", since=0, until=None, jurisdiction="", institution_types=frozenset(), title_zh="标题",
        title_en="title", days_to_remedy=7, requirement=requirement,
    )  # fmt: skip


def pack(*rules: Rule) -> RulePack:
    return RulePack("test", "2026.11.1", "测试", "test", rules)
