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
    LIVE_VIEW_CHECK = "live_view_check"
    VIDEO_RIGHTS = "video_rights"
    VIDEO_ACCESS_LOG = "video_access_log"
    DELETION_LOG = "deletion_log"
    GAPS_EXPLAINED = "gaps_explained"
    FOOTAGE_INTACT = "footage_intact"
    NO_OUTSIDE_LIVE = "no_outside_live"
    KEY_PARTS_PLAN = "key_parts_plan"
    ALARM_DELAY_TEST = "alarm_delay_test"
    TAMPER_TEST = "tamper_test"
    LINE_FAULT_TEST = "line_fault_test"
    ALARM_FUNCTIONS_TEST = "alarm_functions_test"
    ALARM_KINDS_TEST = "alarm_kinds_test"
    ALARM_RECORDS_CHECK = "alarm_records_check"
    POLICE_RECEIPT_CHECK = "police_receipt_check"
    PERIMETER_PROTECTION = "perimeter_protection"
    LOCK_STANDBY_TEST = "lock_standby_test"
    ACCESS_TAMPER_CHECK = "access_tamper_check"
    CARD_RIGHTS_APART = "card_rights_apart"
    PICKUP_CHECK = "pickup_check"
    GUARD_DUTY = "guard_duty"
    GUARDS = "guards"
    SECURITY_PATROL = "security_patrol"
    TRIAL_RUN = "trial_run"
    NETWORK_CHECK = "network_check"
    DEDICATED_NETWORK = "dedicated_network"
    NETWORKING_INTERFACE = "networking_interface"
    CAMERA_SECURITY_GRADE = "camera_security_grade"
    SITE_FIT = "site_fit"
    SPRINKLER = "sprinkler"
    GAS_CUTOFF = "gas_cutoff"
    EXIT_DOORS = "exit_doors"
    MANUAL_CALL_POINTS = "manual_call_points"
    SOUNDER_TEST = "sounder_test"
    SOUNDER_LINKAGE_TEST = "sounder_linkage_test"
    FIRE_STANDBY_TEST = "fire_standby_test"
    TRANSMITTER_CERTIFICATE = "transmitter_certificate"
    FIRE_CONFORMITY = "fire_conformity"
    FIRE_MANAGER = "fire_manager"
    FIRE_DRILL = "fire_drill"
    CLOSING_CHECK = "closing_check"
    CIRCUIT_PROTECTION = "circuit_protection"
    NO_EBIKES = "no_ebikes"
    NO_CHARGING = "no_charging"
    NO_OPEN_FLAME = "no_open_flame"
    APPLIANCE_LIST = "appliance_list"
    PATROL_FORM = "patrol_form"
    INSPECTION_FORM = "inspection_form"
    DANGER_REGISTER = "danger_register"
    MAINTENANCE = "maintenance"
    NAP_CHECKS = "nap_checks"
    UV_LAMP = "uv_lamp"
    UV_SWITCH = "uv_switch"
    UV_LOG = "uv_log"
    AIRING_LOG = "airing_log"
    AIR_TEST = "air_test"
    INDOOR_TEMPERATURE = "indoor_temperature"
    INDOOR_HUMIDITY = "indoor_humidity"
    INDOOR_CO = "indoor_co"
    INDOOR_DIOXIDE = "indoor_dioxide"
    HCHO_TEST = "hcho_test"
    ILLUMINANCE = "illuminance"
    SOCKET_CHECK = "socket_check"
    MILK_FRIDGE_LOG = "milk_fridge_log"
    TOILET_SEAT_HEIGHT = "toilet_seat_height"
    NURSING_ROOM = "nursing_room"
    OPENING_DAYS = "opening_days"
    TEMPORARY_CARE = "temporary_care"
    CLASS_SIZES = "class_sizes"
    DATA_REPORT = "data_report"
    YEAR_REPORT = "year_report"
    FACE_ASSESSMENT = "face_assessment"
    FACE_ALTERNATIVE = "face_alternative"
    FACE_FILING = "face_filing"
    PROCESSOR_CONTRACT = "processor_contract"
    IMPACT_RECORDS_KEPT = "impact_records_kept"
    NETWORK_LOG_DAYS = "network_log_days"
    ALARM_RECORDS_DAYS = "alarm_records_days"
    ACCESS_RECORDS_DAYS = "access_records_days"
    VISITOR_RECORDS_DAYS = "visitor_records_days"
    PATROL_RECORDS_DAYS = "patrol_records_days"
    FIRE_RECORDS_DAYS = "fire_records_days"
    MAINTENANCE_RECORDS_DAYS = "maintenance_records_days"
    GAS_IN_USE = "gas_in_use"
    LARGE_OR_MEDIUM = "large_or_medium"
    FAS_SCALE = "fas_scale"
    ENGINEERED_SECURITY = "engineered_security"
    ONE_CARD = "one_card"
    PUBLIC_VIDEO_SYSTEM = "public_video_system"
    FACE_ACCESS = "face_access"
    FACES_HELD = "faces_held"
    PROCESSOR_USED = "processor_used"
    HIGH_RISK_OBJECT = "high_risk_object"
    KEY_UNIT = "key_unit"
    COUNTER_TERROR_TARGET = "counter_terror_target"

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
    _K.LIVE_VIEW_CHECK: ("实时画面查看", "live picture seen at the duty post"),
    _K.VIDEO_RIGHTS: ("视频用户权限与日志", "rights and log of the video system"),
    _K.VIDEO_ACCESS_LOG: ("视频调阅登记", "log of who saw or exported video"),
    _K.DELETION_LOG: ("录像到期删除登记", "log of footage deleted when due"),
    _K.GAPS_EXPLAINED: ("录像中断说明", "gaps of recordings explained"),
    _K.FOOTAGE_INTACT: ("录像无擅自删改", "footage neither deleted nor changed"),
    _K.NO_OUTSIDE_LIVE: ("无对外实时画面", "no live picture given to outsiders"),
    _K.KEY_PARTS_PLAN: ("重点部位清单", "list of key parts"),
    _K.ALARM_DELAY_TEST: ("报警响应时间测试", "alarm response test"),
    _K.TAMPER_TEST: ("防拆报警测试", "tamper test"),
    _K.LINE_FAULT_TEST: ("报警线路故障测试", "alarm line test"),
    _K.ALARM_FUNCTIONS_TEST: ("布撤防与权限测试", "test of arming, bypass and duress"),
    _K.ALARM_KINDS_TEST: ("报警类别区分测试", "test that kinds of alarms are told apart"),
    _K.ALARM_RECORDS_CHECK: ("报警记录防篡改检查", "check that alarm records cannot be altered"),
    _K.POLICE_RECEIPT_CHECK: ("警方接收确认", "police reception verified"),
    _K.PERIMETER_PROTECTION: ("周界防护", "perimeter protection"),
    _K.LOCK_STANDBY_TEST: ("门锁备用电源测试", "door lock's standby test"),
    _K.ACCESS_TAMPER_CHECK: ("门禁防破坏检查", "access control's tamper check"),
    _K.CARD_RIGHTS_APART: ("一卡通安防权限分管", "security rights apart from payment"),
    _K.PICKUP_CHECK: ("接送核验", "pick-up by authorised guardians checked"),
    _K.GUARD_DUTY: ("门卫全天值守", "gate guarded day and night"),
    _K.GUARDS: ("保安人数", "guards"),
    _K.SECURITY_PATROL: ("重点部位巡逻", "security patrol"),
    _K.TRIAL_RUN: ("安防系统试运行", "trial run"),
    _K.NETWORK_CHECK: ("网络边界与口令检查", "check of network boundaries and passwords"),
    _K.DEDICATED_NETWORK: ("专用传输网络", "dedicated network"),
    _K.NETWORKING_INTERFACE: ("安防系统联网接口", "networking interface"),
    _K.CAMERA_SECURITY_GRADE: ("摄像机数据安全等级证明", "camera's data-security grade"),
    _K.SITE_FIT: ("场所选址符合要求", "site is fit"),
    _K.SPRINKLER: ("自动喷水灭火系统", "sprinkler"),
    _K.GAS_CUTOFF: ("燃气紧急切断与灭火器材", "gas cut-off and extinguisher"),
    _K.EXIT_DOORS: ("疏散门数量", "exit doors"),
    _K.MANUAL_CALL_POINTS: ("手动火灾报警按钮", "manual call points"),
    _K.SOUNDER_TEST: ("火灾警报器声级测试", "sounder test"),
    _K.SOUNDER_LINKAGE_TEST: ("联动警报启动测试", "linked sounders' test"),
    _K.FIRE_STANDBY_TEST: ("消防设备备用电源测试", "fire equipment's standby test"),
    _K.TRANSMITTER_CERTIFICATE: ("用户信息传输装置合格证明", "transmitter's certificate"),
    _K.FIRE_CONFORMITY: ("消防设计验收符合证明", "record of fire-code conformity"),
    _K.FIRE_MANAGER: ("消防安全管理人任命", "fire-safety manager named"),
    _K.FIRE_DRILL: ("消防演练", "fire drill"),
    _K.CLOSING_CHECK: ("闭园断电检查", "check of power after closing"),
    _K.CIRCUIT_PROTECTION: ("电热线路保护", "protection of heater circuits"),
    _K.NO_EBIKES: ("无电动车及电池", "no e-bikes or their batteries"),
    _K.NO_CHARGING: ("在园时段不充电", "nothing charged in care hours"),
    _K.NO_OPEN_FLAME: ("厨房外无明火", "no open flame outside the kitchen"),
    _K.APPLIANCE_LIST: ("长时通电电器清单", "list of always-on appliances"),
    _K.PATROL_FORM: ("防火巡查记录表", "form of the patrol record"),
    _K.INSPECTION_FORM: ("防火检查记录表", "form of the inspection record"),
    _K.DANGER_REGISTER: ("火灾隐患台账", "register of fire dangers"),
    _K.MAINTENANCE: ("系统维护保养", "maintenance"),
    _K.NAP_CHECKS: ("午睡巡视", "nap-time checks"),
    _K.UV_LAMP: ("紫外线消毒设备", "UV disinfection"),
    _K.UV_SWITCH: ("紫外线灯独立防误开关", "UV lamp's own guarded switch"),
    _K.UV_LOG: ("紫外线消毒登记", "UV disinfection logged"),
    _K.AIRING_LOG: ("通风登记", "airing logged"),
    _K.AIR_TEST: ("室内空气检测报告", "indoor air report"),
    _K.INDOOR_TEMPERATURE: ("室内温度", "indoor temperature"),
    _K.INDOOR_HUMIDITY: ("室内相对湿度", "indoor relative humidity"),
    _K.INDOOR_CO: ("室内一氧化碳", "indoor carbon monoxide"),
    _K.INDOOR_DIOXIDE: ("室内二氧化碳", "indoor carbon dioxide"),
    _K.HCHO_TEST: ("室内甲醛检测", "indoor formaldehyde"),
    _K.ILLUMINANCE: ("照度", "illuminance"),
    _K.SOCKET_CHECK: ("安全插座检查", "safe sockets checked"),
    _K.MILK_FRIDGE_LOG: ("奶品冰箱温度登记", "milk refrigerator's temperature logged"),
    _K.TOILET_SEAT_HEIGHT: ("坐便器高度", "height of toilet seats"),
    _K.NURSING_ROOM: ("母婴室", "nursing room"),
    _K.OPENING_DAYS: ("每周开放天数", "opening days a week"),
    _K.TEMPORARY_CARE: ("临时托管限时限人", "temporary care within its limits"),
    _K.CLASS_SIZES: ("班额与人员配比", "class sizes and staff"),
    _K.DATA_REPORT: ("服务数据报送", "service data reported"),
    _K.YEAR_REPORT: ("年度工作报告", "year-end report"),
    _K.FACE_ASSESSMENT: ("人脸识别必要性评估", "assessment of face recognition"),
    _K.FACE_ALTERNATIVE: ("非人脸替代方式", "a way without face recognition"),
    _K.FACE_FILING: ("人脸信息备案", "face data filed"),
    _K.PROCESSOR_CONTRACT: ("委托处理个人信息合同", "data processor's contract"),
    _K.IMPACT_RECORDS_KEPT: ("评估与处理记录留存", "assessments and processing records kept"),
    _K.NETWORK_LOG_DAYS: ("网络日志留存天数", "network logs kept"),
    _K.ALARM_RECORDS_DAYS: ("报警记录留存天数", "alarm records kept"),
    _K.ACCESS_RECORDS_DAYS: ("门禁记录留存天数", "access records kept"),
    _K.VISITOR_RECORDS_DAYS: ("访客车辆记录留存天数", "visitor records kept"),
    _K.PATROL_RECORDS_DAYS: ("电子巡查记录留存天数", "e-patrol records kept"),
    _K.FIRE_RECORDS_DAYS: ("火警故障记录留存天数", "fire records kept"),
    _K.MAINTENANCE_RECORDS_DAYS: ("维保记录留存天数", "maintenance records kept"),
    _K.GAS_IN_USE: ("使用燃气", "gas in use"),
    _K.LARGE_OR_MEDIUM: ("大、中型机构", "large or medium institution"),
    _K.FAS_SCALE: ("达到火灾自动报警设置规模", "of a size that needs a fire alarm system"),
    _K.ENGINEERED_SECURITY: ("按安全防范工程建设", "built as a security engineering project"),
    _K.ONE_CARD: ("使用一卡通", "one-card system"),
    _K.PUBLIC_VIDEO_SYSTEM: ("属视频条例第七条系统", "system of Order 799, Art. 7"),
    _K.FACE_ACCESS: ("使用人脸识别", "face recognition in use"),
    _K.FACES_HELD: ("存储人脸人数", "faces held"),
    _K.PROCESSOR_USED: ("委托他人处理个人信息", "personal data entrusted to a processor"),
    _K.HIGH_RISK_OBJECT: ("高风险保护对象", "high-risk object"),
    _K.KEY_UNIT: ("治安保卫重点单位", "key unit of internal security"),
    _K.COUNTER_TERROR_TARGET: ("反恐重点目标", "counter-terror key target"),
}

TAKES_TWO = frozenset({_K.PATROL, _K.INSPECTION})
"""WS/T 870, 6.4: who did it and who supervises both sign."""

_CIRCUMSTANCES = {
    _K.GAS_IN_USE: ("处", "places"),
    _K.LARGE_OR_MEDIUM: ("（1 是，0 否）", "(1 yes, 0 no)"),
    _K.FAS_SCALE: ("（1 是，0 否）", "(1 yes, 0 no)"),
    _K.ENGINEERED_SECURITY: ("（1 是，0 否）", "(1 yes, 0 no)"),
    _K.ONE_CARD: ("（1 是，0 否）", "(1 yes, 0 no)"),
    _K.PUBLIC_VIDEO_SYSTEM: ("（1 是，0 否）", "(1 yes, 0 no)"),
    _K.FACE_ACCESS: ("处", "places"),
    _K.FACES_HELD: ("人", "persons"),
    _K.PROCESSOR_USED: ("（1 是，0 否）", "(1 yes, 0 no)"),
    _K.HIGH_RISK_OBJECT: ("（1 是，0 否）", "(1 yes, 0 no)"),
    _K.KEY_UNIT: ("（1 是，0 否）", "(1 yes, 0 no)"),
    _K.COUNTER_TERROR_TARGET: ("（1 是，0 否）", "(1 yes, 0 no)"),
}
CIRCUMSTANCES = frozenset(_CIRCUMSTANCES)
"""Kinds that say in which circumstance an institution or a zone is, by a value above 0 or 0: rules ask some things only there."""

OF_THE_REGULATOR = CIRCUMSTANCES | {_K.SPOT_CHECK}
"""Kinds that only whoever supervises states: no institution checks itself on the spot, none lets itself off a rule."""

DAILY = frozenset({_K.PATROL, _K.SECURITY_PATROL, _K.CLOSING_CHECK, _K.NAP_CHECKS, _K.UV_LOG, _K.AIRING_LOG})
"""Kinds that are stated on each opening day: what is older than two months is asked for by no rule."""

DOCUMENTS = frozenset(
    {_K.FILING_RECEIPT, _K.VIDEO_FILING, _K.FIRE_CERTIFICATE, _K.EMERGENCY_PLAN, _K.IMPACT_ASSESSMENT, _K.CONSENT_RULE}
    | {_K.FIRE_PLAN, _K.LINKED_TO_POLICE}
    | {
        _K.KEY_PARTS_PLAN,
        _K.CAMERA_SECURITY_GRADE,
        _K.TRANSMITTER_CERTIFICATE,
        _K.FIRE_CONFORMITY,
        _K.FIRE_MANAGER,
        _K.APPLIANCE_LIST,
        _K.PATROL_FORM,
        _K.INSPECTION_FORM,
        _K.DANGER_REGISTER,
        _K.AIR_TEST,
        _K.YEAR_REPORT,
        _K.FACE_ASSESSMENT,
        _K.FACE_FILING,
        _K.PROCESSOR_CONTRACT,
    }
)
"""Kinds that are a document: their number or date is what counts."""

MEASURED = _CIRCUMSTANCES | {
    _K.EXTINGUISHERS: ("具", "pieces"),
    _K.STANDBY_TEST: ("小时", "hours"),
    _K.ALARM_DELAY_TEST: ("秒", "seconds"),
    _K.LOCK_STANDBY_TEST: ("小时", "hours"),
    _K.GUARDS: ("人", "persons"),
    _K.TRIAL_RUN: ("天", "days"),
    _K.SOUNDER_TEST: ("分贝", "dB"),
    _K.SOUNDER_LINKAGE_TEST: ("秒", "seconds"),
    _K.FIRE_STANDBY_TEST: ("小时", "hours"),
    _K.INDOOR_TEMPERATURE: ("摄氏度", "°C"),
    _K.INDOOR_HUMIDITY: ("%", "%"),
    _K.INDOOR_CO: ("毫克/立方米", "mg/m³"),
    _K.INDOOR_DIOXIDE: ("%", "%"),
    _K.HCHO_TEST: ("毫克/立方米", "mg/m³"),
    _K.ILLUMINANCE: ("勒克斯", "lx"),
    _K.TOILET_SEAT_HEIGHT: ("米", "m"),
    _K.OPENING_DAYS: ("天", "days"),
    _K.NETWORK_LOG_DAYS: ("天", "days"),
    _K.ALARM_RECORDS_DAYS: ("天", "days"),
    _K.ACCESS_RECORDS_DAYS: ("天", "days"),
    _K.VISITOR_RECORDS_DAYS: ("天", "days"),
    _K.PATROL_RECORDS_DAYS: ("天", "days"),
    _K.FIRE_RECORDS_DAYS: ("天", "days"),
    _K.MAINTENANCE_RECORDS_DAYS: ("天", "days"),
}
"""Kinds that carry a value, with its unit."""

COUNTS = frozenset({_K.EXTINGUISHERS, _K.GUARDS})
"""Measured kinds whose value is how many there are: of several places the one with the most decides. Of all others the worst does."""

NUMBERED = frozenset({_K.FILING_RECEIPT, _K.VIDEO_FILING, _K.FIRE_CERTIFICATE, _K.POLICE_TEST, _K.FACE_FILING})
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
