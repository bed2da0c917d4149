"""Attestations 人工记录: what people state because no device can say it. Their kinds, and which of them take a second signature.

Two signatures (who did it and who supervises) are asked of patrols and inspections by WS/T 870, 6.4. Pure.
"""

from enum import StrEnum
from typing import NamedTuple

from hub.errors import BadInput
from hub.model import SECOND, Micros


class AttestationKind(StrEnum):
    """What is stated."""

    PATROL = "patrol"
    INSPECTION = "inspection"
    SPOT_CHECK = "spot_check"
    EQUIPMENT_CHECK = "equipment_check"
    FIRE_EQUIPMENT_CHECK = "fire_equipment_check"
    DRILL = "drill"
    POLICE_TEST = "police_test"
    EGRESS_TEST = "egress_test"
    RELEASE_TEST = "release_test"
    SIGN = "sign"
    PICTURE_JUDGED = "picture_judged"
    EXTINGUISHERS = "extinguishers"
    EMERGENCY_LIGHTING = "emergency_lighting"
    STANDBY_TEST = "standby_test"
    FIRE_FACILITY_TEST = "fire_facility_test"
    FILING_RECEIPT = "filing_receipt"
    VIDEO_FILING = "video_filing"
    FIRE_CERTIFICATE = "fire_certificate"
    EMERGENCY_PLAN = "emergency_plan"
    IMPACT_ASSESSMENT = "impact_assessment"
    CONSENT_RULE = "consent_rule"
    FIRE_PLAN = "fire_plan"
    LINKED_TO_POLICE = "linked_to_police"
    LEGAL_HOLD = "legal_hold"

    @property
    def zh(self) -> str:
        """Its Chinese name."""
        return _TITLES[self][0]

    @property
    def en(self) -> str:
        """Its English name."""
        return _TITLES[self][1]


_K = AttestationKind

_TITLES = {
    _K.PATROL: ("防火巡查", "patrol"),
    _K.INSPECTION: ("防火检查", "inspection"),
    _K.SPOT_CHECK: ("抽查", "spot check"),
    _K.EQUIPMENT_CHECK: ("设施设备检查", "equipment check"),
    _K.FIRE_EQUIPMENT_CHECK: ("消防器材检查", "fire equipment check"),
    _K.DRILL: ("演练", "drill"),
    _K.POLICE_TEST: ("报警联网测试", "police test"),
    _K.EGRESS_TEST: ("疏散通道测试", "egress test"),
    _K.RELEASE_TEST: ("门禁联动释放测试", "release test"),
    _K.SIGN: ("提示标识", "sign in place"),
    _K.PICTURE_JUDGED: ("图像质量确认", "picture judged"),
    _K.EXTINGUISHERS: ("灭火器配置", "extinguishers"),
    _K.EMERGENCY_LIGHTING: ("应急照明", "emergency lighting"),
    _K.STANDBY_TEST: ("备用电源测试", "standby supply test"),
    _K.FIRE_FACILITY_TEST: ("消防设施年度检测", "yearly test of fire facilities"),
    _K.FILING_RECEIPT: ("备案回执", "filing receipt"),
    _K.VIDEO_FILING: ("视频系统备案", "video system filed with public security"),
    _K.FIRE_CERTIFICATE: ("消防合格证明", "fire certificate"),
    _K.EMERGENCY_PLAN: ("应急预案", "emergency plan"),
    _K.IMPACT_ASSESSMENT: ("个人信息保护影响评估", "impact assessment"),
    _K.CONSENT_RULE: ("监护人同意与儿童个人信息规则", "guardians' consent and rule for children's data"),
    _K.FIRE_PLAN: ("年度消防工作计划", "yearly fire-work plan"),
    _K.LINKED_TO_POLICE: ("与公安联网", "linked to the police"),
    _K.LEGAL_HOLD: ("依法留存", "legal hold"),
}

TAKES_TWO = frozenset({_K.PATROL, _K.INSPECTION})
"""WS/T 870, 6.4: who did it and who supervises both sign."""

OF_THE_REGULATOR = frozenset({_K.SPOT_CHECK})
"""Kinds that only whoever supervises states: no institution checks itself on the spot."""

DOCUMENTS = frozenset(
    {_K.FILING_RECEIPT, _K.VIDEO_FILING, _K.FIRE_CERTIFICATE, _K.EMERGENCY_PLAN, _K.IMPACT_ASSESSMENT, _K.CONSENT_RULE}
    | {_K.FIRE_PLAN, _K.LINKED_TO_POLICE}
)
"""Kinds that are a document: their number or date is what counts."""

MEASURED = {_K.EXTINGUISHERS: ("具", "pieces"), _K.STANDBY_TEST: ("小时", "hours")}
"""Kinds that carry a value, with its unit."""

NUMBERED = frozenset({_K.FILING_RECEIPT, _K.VIDEO_FILING, _K.FIRE_CERTIFICATE, _K.POLICE_TEST})
"""Kinds that are worth nothing without the number of the paper."""

_LONGEST_AHEAD: Micros = 60 * SECOND
"""how far a clock may be ahead of ours: what is stated has happened"""
_EARLIEST: Micros = 946_684_800 * SECOND
"""the year 2000"""
MOST_ATTACHMENTS = 10
MAX_ATTACHMENT = 1_000_000
"""bytes of one attachment; all of one attestation fit into one request"""


class Statement(NamedTuple):
    """What a person states, before it is stored. `device` and `zone` are ids within the institution; `value` has the unit of its kind."""

    kind: AttestationKind
    at: Micros
    expires_at: Micros | None = None
    zone: str | None = None
    device: str | None = None
    number: str = ""
    value: float | None = None
    done_by: str = ""
    note: str = ""


def check(stated: Statement, now: Micros) -> None:
    """Raises BadInput, naming the field, where it cannot stand as evidence."""

    def refuse(field: str, reason: str) -> BadInput:
        return BadInput(reason, field, "attestation")

    kind = stated.kind
    if not _EARLIEST <= stated.at <= now + _LONGEST_AHEAD:
        raise refuse("at", "what is stated has happened: a time up to now, from the year 2000 on")
    if stated.expires_at is not None and stated.expires_at <= stated.at:
        raise refuse("expires_at", "it ends after it begins")
    if stated.zone is not None and stated.device is not None:
        raise refuse("zone", "it is about a zone or about a device, not both")
    if kind in NUMBERED and not stated.number.strip():
        raise refuse("number", f"{kind.zh} ({kind.en}) has a number")
    if kind in MEASURED and stated.value is None:
        zh, en = MEASURED[kind]
        raise refuse("value", f"{kind.zh} ({kind.en}) is a value in {zh} ({en})")
    if stated.value is not None and (kind not in MEASURED or not 0 <= stated.value <= 1e6):
        raise refuse("value", "a value from 0 to 1,000,000, of a kind that is measured")
    if kind in TAKES_TWO and not stated.done_by.strip():
        raise refuse("done_by", f"say who did it: {kind.zh} ({kind.en}) takes the doer and a second person")
