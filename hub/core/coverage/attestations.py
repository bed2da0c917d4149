"""Attestations 人工记录: what people state because no device can say it. Their kinds, and which of them take a second signature.

Two signatures (who did it and who supervises) are asked of patrols and inspections by WS/T 870, 6.4. Pure.
"""

from enum import StrEnum


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

DOCUMENTS = frozenset(
    {_K.FILING_RECEIPT, _K.VIDEO_FILING, _K.FIRE_CERTIFICATE, _K.EMERGENCY_PLAN, _K.IMPACT_ASSESSMENT, _K.CONSENT_RULE}
)
"""Kinds that are a document: their number or date is what counts."""

MEASURED = {_K.EXTINGUISHERS: ("具", "pieces"), _K.STANDBY_TEST: ("小时", "hours")}
"""Kinds that carry a value, with its unit."""

NUMBERED = frozenset({_K.FILING_RECEIPT, _K.VIDEO_FILING, _K.FIRE_CERTIFICATE, _K.POLICE_TEST})
"""Kinds that are worth nothing without the number of the paper."""
