"""GB/T 26875.3-2011: the code tables, each code with its name in settings and its label in Chinese and English. Data only.

Codes that a table leaves out are reserved by the standard; those from 128 are a maker's own.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Code(NamedTuple):
    """One code of a table."""

    name: str
    zh: str
    en: str


class Flag(NamedTuple):
    """One bit of a status: what it says when set, and when clear."""

    name: str
    zh: str
    en: str
    clear_zh: str
    clear_en: str


class Quantity(NamedTuple):
    """One kind of analogue value: the least step of its integer, and the range that the standard calls valid."""

    name: str
    zh: str
    en: str
    unit: str
    step: float
    low: float
    high: float


_STATE = (
    Flag("normal", "正常运行", "in normal operation", "测试状态", "in test"),
    Flag("fire", "火警", "fire", "无火警", "no fire"),
    Flag("fault", "故障", "fault", "无故障", "no fault"),
    Flag("shield", "屏蔽", "shielded", "无屏蔽", "not shielded"),
    Flag("supervise", "监管", "supervisory", "无监管", "no supervisory signal"),
    Flag("start", "启动（开启）", "started (open)", "停止（关闭）", "stopped (shut)"),
    Flag("feedback", "反馈", "feedback", "无反馈", "no feedback"),
    Flag("delay", "延时", "delay running", "未延时", "no delay"),
)

SYSTEM_STATUS = (
    *_STATE,
    Flag("mains_fault", "主电故障", "mains fault", "主电正常", "mains good"),
    Flag("standby_fault", "备电故障", "standby supply fault", "备电正常", "standby supply good"),
    Flag("bus_fault", "总线故障", "bus fault", "总线正常", "bus good"),
    Flag("manual", "手动状态", "manual mode", "自动状态", "automatic mode"),
    Flag("config_changed", "配置改变", "configuration changed", "配置未变", "configuration unchanged"),
    Flag("reset", "复位", "reset", "未复位", "not reset"),
)
"""8.2.1.1: bits 0 to 13 of a system's status; 14 and 15 are reserved."""

PART_STATUS = (*_STATE, Flag("power_fault", "电源故障", "supply fault", "电源正常", "supply good"))
"""8.2.1.2: bits 0 to 8 of a part's status; the others are reserved."""

TRANSMITTER_STATUS = (
    Flag("normal", "正常监视", "monitoring", "测试状态", "in test"),
    Flag("fire", "火警", "fire", "无火警", "no fire"),
    Flag("fault", "故障", "fault", "无故障", "no fault"),
    Flag("mains_fault", "主电故障", "mains fault", "主电正常", "mains good"),
    Flag("standby_fault", "备电故障", "standby supply fault", "备电正常", "standby supply good"),
    Flag("channel_fault", "与监控中心通信信道故障", "channel to the centre broken", "通信信道正常", "channel good"),
    Flag("line_fault", "监测连接线路故障", "line to the panel broken", "监测连接线路正常", "line good"),
)
"""8.2.1.8: bits 0 to 6 of the transmitter's own status."""


def _done(name: str, zh: str, en: str) -> Flag:
    return Flag(name, zh, en, "无操作", "not done")


SYSTEM_OPERATION = (
    _done("reset", "复位", "reset"),
    _done("mute", "消音", "silenced"),
    _done("manual_alarm", "手动报警", "manual alarm"),
    _done("alarm_cleared", "警情消除", "alarm cleared"),
    _done("self_test", "自检", "self test"),
    _done("confirm", "确认", "confirmed"),
    _done("test", "测试", "test"),
)
"""8.2.1.4: bits 0 to 6 of what a person did at the system."""

TRANSMITTER_OPERATION = (
    *SYSTEM_OPERATION[:5],
    _done("duty_answer", "查岗应答", "duty check answered"),
    SYSTEM_OPERATION[6],
)
"""8.2.1.9: bits 0 to 6 of what a person did at the transmitter."""

SYSTEM_TYPES: Mapping[int, Code] = {
    0: Code("general", "通用", "general"),
    1: Code("fire_alarm", "火灾报警系统", "fire alarm system"),
    10: Code("linkage", "消防联动控制器", "fire linkage controller"),
    11: Code("hydrant", "消火栓系统", "hydrant system"),
    12: Code("sprinkler", "自动喷水灭火系统", "sprinkler system"),
    13: Code("gas_extinguishing", "气体灭火系统", "gas extinguishing system"),
    14: Code("water_spray_pump", "水喷雾灭火系统（泵启动方式）", "water spray system, by pump"),
    15: Code("water_spray_vessel", "水喷雾灭火系统（压力容器启动方式）", "water spray system, by pressure vessel"),
    16: Code("foam", "泡沫灭火系统", "foam extinguishing system"),
    17: Code("dry_powder", "干粉灭火系统", "dry powder extinguishing system"),
    18: Code("smoke_control", "防烟排烟系统", "smoke control and exhaust system"),
    19: Code("doors_and_shutters", "防火门及卷帘系统", "fire doors and shutters"),
    20: Code("lift", "消防电梯", "fire lift"),
    21: Code("broadcast", "消防应急广播", "emergency broadcast"),
    22: Code("emergency_lighting", "消防应急照明和疏散指示系统", "emergency lighting and exit signs"),
    23: Code("power_supply", "消防电源", "fire power supply"),
    24: Code("telephone", "消防电话", "fire telephone"),
}
"""Table 4."""

PART_TYPES: Mapping[int, Code] = {
    0: Code("general", "通用", "general"),
    1: Code("fire_alarm_panel", "火灾报警控制器", "fire alarm control panel"),
    10: Code("gas_detector", "可燃气体探测器", "combustible gas detector"),
    11: Code("gas_detector_point", "点型可燃气体探测器", "point combustible gas detector"),
    12: Code("gas_detector_stand_alone", "独立式可燃气体探测器", "stand-alone combustible gas detector"),
    13: Code("gas_detector_line", "线型可燃气体探测器", "line combustible gas detector"),
    16: Code("electrical_monitor", "电气火灾监控报警器", "electrical fire monitor"),
    17: Code("residual_current", "剩余电流式电气火灾监控探测器", "residual current electrical fire detector"),
    18: Code("cable_temperature", "测温式电气火灾监控探测器", "temperature electrical fire detector"),
    21: Code("loop", "探测回路", "detection loop"),
    22: Code("repeater_panel", "火灾显示盘", "fire repeater panel"),
    23: Code("manual_call_point", "手动火灾报警按钮", "manual call point"),
    24: Code("hydrant_button", "消火栓按钮", "hydrant button"),
    25: Code("fire_detector", "火灾探测器", "fire detector"),
    30: Code("heat", "感温火灾探测器", "heat detector"),
    31: Code("heat_point", "点型感温火灾探测器", "point heat detector"),
    32: Code("heat_point_s", "点型感温火灾探测器（S型）", "point heat detector, type S"),
    33: Code("heat_point_r", "点型感温火灾探测器（R型）", "point heat detector, type R"),
    34: Code("heat_line", "线型感温火灾探测器", "line heat detector"),
    35: Code("heat_line_s", "线型感温火灾探测器（S型）", "line heat detector, type S"),
    36: Code("heat_line_r", "线型感温火灾探测器（R型）", "line heat detector, type R"),
    37: Code("heat_fibre", "光纤感温火灾探测器", "fibre heat detector"),
    40: Code("smoke", "感烟火灾探测器", "smoke detector"),
    41: Code("smoke_ion", "点型离子感烟火灾探测器", "point ionisation smoke detector"),
    42: Code("smoke_optical", "点型光电感烟火灾探测器", "point optical smoke detector"),
    43: Code("smoke_beam", "线型光束感烟火灾探测器", "beam smoke detector"),
    44: Code("smoke_aspirating", "吸气式感烟火灾探测器", "aspirating smoke detector"),
    50: Code("combined", "复合式火灾探测器", "combined detector"),
    51: Code("smoke_heat", "复合式感烟感温火灾探测器", "smoke and heat detector"),
    52: Code("flame_heat", "复合式感光感温火灾探测器", "flame and heat detector"),
    53: Code("flame_smoke", "复合式感光感烟火灾探测器", "flame and smoke detector"),
    61: Code("flame_uv", "紫外火焰探测器", "ultraviolet flame detector"),
    62: Code("flame_ir", "红外火焰探测器", "infrared flame detector"),
    69: Code("flame", "感光火灾探测器", "flame detector"),
    74: Code("gas", "气体探测器", "gas detector"),
    78: Code("image", "图像摄像方式火灾探测器", "video fire detector"),
    79: Code("sound", "感声火灾探测器", "acoustic fire detector"),
    81: Code("gas_extinguishing_controller", "气体灭火控制器", "gas extinguishing controller"),
    82: Code("electrical_control", "消防电气控制装置", "fire electrical control device"),
    83: Code("graphic_display", "消防控制室图形显示装置", "control room graphic display"),
    84: Code("module", "模块", "module"),
    85: Code("input_module", "输入模块", "input module"),
    86: Code("output_module", "输出模块", "output module"),
    87: Code("input_output_module", "输入/输出模块", "input and output module"),
    88: Code("relay_module", "中继模块", "relay module"),
    91: Code("fire_pump", "消防水泵", "fire pump"),
    92: Code("fire_tank", "消防水箱", "fire water tank"),
    95: Code("sprinkler_pump", "喷淋泵", "sprinkler pump"),
    96: Code("flow_indicator", "水流指示器", "water flow indicator"),
    97: Code("signal_valve", "信号阀", "signal valve"),
    98: Code("alarm_valve", "报警阀", "alarm valve"),
    99: Code("pressure_switch", "压力开关", "pressure switch"),
    101: Code("valve_actuator", "阀驱动装置", "valve actuator"),
    102: Code("fire_door", "防火门", "fire door"),
    103: Code("fire_damper", "防火阀", "fire damper"),
    104: Code("ventilation", "通风空调", "ventilation and air conditioning"),
    105: Code("foam_pump", "泡沫液泵", "foam pump"),
    106: Code("solenoid_valve", "管网电磁阀", "pipe solenoid valve"),
    111: Code("smoke_fan", "防烟排烟风机", "smoke control fan"),
    113: Code("exhaust_damper", "排烟防火阀", "smoke exhaust fire damper"),
    114: Code("air_inlet", "常闭送风口", "normally shut air inlet"),
    115: Code("smoke_outlet", "排烟口", "smoke outlet"),
    116: Code("smoke_curtain", "电控挡烟垂壁", "electric smoke curtain"),
    117: Code("shutter_controller", "防火卷帘控制器", "fire shutter controller"),
    118: Code("door_monitor", "防火门监控器", "fire door monitor"),
    121: Code("sounder", "警报装置", "sounder"),
}
"""Table 5."""

QUANTITIES: Mapping[int, Quantity] = {
    1: Quantity("count", "事件计数", "count of events", "", 1, 0, 32_000),
    2: Quantity("height", "高度", "height", "m", 0.01, 0, 320),
    3: Quantity("temperature", "温度", "temperature", "°C", 0.1, -273, 3_200),
    4: Quantity("pressure_mpa", "压力", "pressure", "MPa", 0.1, 0, 3_200),
    5: Quantity("pressure_kpa", "压力", "pressure", "kPa", 0.1, 0, 3_200),
    6: Quantity("gas", "气体浓度", "gas concentration", "%LEL", 0.1, 0, 100),
    7: Quantity("time", "时间", "time", "s", 1, 0, 32_000),
    8: Quantity("voltage", "电压", "voltage", "V", 0.1, 0, 3_200),
    9: Quantity("current", "电流", "current", "A", 0.1, 0, 3_200),
    10: Quantity("flow", "流量", "flow", "L/s", 0.1, 0, 3_200),
    11: Quantity("air_flow", "风量", "air flow", "m³/min", 0.1, 0, 3_200),
    12: Quantity("air_speed", "风速", "air speed", "m/s", 1, 0, 20),
}
"""Table 6. Values are signed 16 bit integers; the range stands in the unit, as the table prints it."""


def described(table: Mapping[int, Code], code: int) -> Code:
    """The code's entry; one that is reserved or a maker's own is called so."""
    found = table.get(code)
    if found is not None:
        return found
    own = code >= 128
    return Code(
        f"code_{code}", f"{'用户自定义' if own else '预留'}（{code}）", f"{'maker' if own else 'reserved'} {code}"
    )


def said(flags: tuple[Flag, ...], status: int) -> list[Flag]:
    """The flags that are set in a status."""
    return [flag for bit, flag in enumerate(flags) if status >> bit & 1]
