"""What was concluded of something that is not seen, in words: Chinese first, English second. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from hub.profiles import Title

CAUSES: Mapping[str, Title] = {
    "": Title(zh="在线", en="online"),
    "device": Title(zh="设备自身", en="the device itself"),
    "line": Title(zh="现场总线或端点", en="line"),
    "switch": Title(zh="交换机", en="switch"),
    "power_feed": Title(zh="供电回路", en="power feed"),
    "edge": Title(zh="边缘网关", en="edge"),
    "site_power": Title(zh="现场停电", en="power of the site"),
    "uplink": Title(zh="机构上联", en="uplink of the site"),
    "carrier": Title(zh="运营商", en="carrier"),
    "district": Title(zh="区域性中断", en="district"),
    "broker": Title(zh="消息服务器", en="broker"),
    "hub": Title(zh="平台自身", en="hub"),
    "database": Title(zh="数据库", en="database"),
    "undetermined": Title(zh="未定", en="undetermined"),
    "never_seen": Title(zh="从未收到", en="never seen"),
    "unplaced": Title(zh="未接入网关", en="behind no edge"),
    "profile_missing": Title(zh="设备模型未安装", en="profile not installed"),
}
CARRIERS: Mapping[str, Title] = {
    "telecom": Title(zh="中国电信", en="China Telecom"),
    "unicom": Title(zh="中国联通", en="China Unicom"),
    "mobile": Title(zh="中国移动", en="China Mobile"),
    "broadnet": Title(zh="中国广电", en="China Broadnet"),
}


def carrier_title(carrier: str) -> Title:
    """The carrier's name, or its word as registered."""
    return CARRIERS.get(carrier, Title(zh=carrier, en=carrier))


def _area(facts: Mapping[str, Any]) -> tuple[str, str]:
    zh, en = [], []
    if facts.get("division"):
        zh.append(f"区划 {facts['division']} ")
        en.append(f"in division {facts['division']}")
    if facts.get("carrier"):
        title = carrier_title(facts["carrier"])
        zh.append(f"{title.zh} ")
        en.append(f"of {title.en}")
    if facts.get("access"):
        zh.append(f"接入点 {facts['access']} ")
        en.append(f"at access node {facts['access']}")
    return "".join(zh), " ".join(en)


def _area_silent(facts: Mapping[str, Any]) -> tuple[str, str]:
    zh, en = _area(facts)
    silent, of, within = facts["silent"], facts["of"], facts["within_s"]
    return (
        f"{zh}{of} 家机构中 {silent} 家自 {facts['since']} 起 {within} 秒内失联",
        " ".join(f"{silent} of {of} institutions {en} silent within {within} s since {facts['since']}".split()),
    )


def _candidates(facts: Mapping[str, Any]) -> tuple[str, str]:
    named = [CAUSES[cause] for cause in facts["causes"] if cause in CAUSES]
    return "可能是" + "、".join(one.zh for one in named), "one of: " + ", ".join(one.en for one in named)


_PARTS = {"switch": CAUSES["switch"], "power": CAUSES["power_feed"]}


def part_title(part: str) -> Title:
    """What `switch:<name>` or `power:<name>` is called."""
    kind, _, name = part.partition(":")
    title = _PARTS.get(kind, Title(zh=kind, en=kind))
    return Title(zh=f"{title.zh} {name}", en=f"{title.en} {name}")


def _part_silent(facts: Mapping[str, Any]) -> tuple[str, str]:
    part, silent, of, since = part_title(facts["part"]), facts["silent"], facts["of"], facts["since"]
    others = [part_title(one) for one in facts.get("or", ())]
    zh = "".join(f"（或其上级 {one.zh}）" for one in others)
    en = "".join(f" (or {one.en}, which that hangs on)" for one in others)
    return (
        f"{part.zh}{zh} 下 {of} 台设备中 {silent} 台自 {since} 起同时无应答",
        f"{silent} of {of} devices on {part.en}{en} silent together since {since}",
    )


def _not_listening(facts: Mapping[str, Any]) -> tuple[str, str]:
    part = CAUSES[facts["part"]]
    until = facts.get("until")
    return (
        f"平台自 {facts['since']} " + (f"至 {until} " if until else "") + f"未监听（{part.zh}）",
        f"the hub did not listen from {facts['since']}" + (f" to {until}" if until else "") + f" ({part.en})",
    )


_SENTENCES: Mapping[str, Callable[[Mapping[str, Any]], tuple[str, str]]] = {
    "area_silent": _area_silent,
    "candidates": _candidates,
    "not_listening": _not_listening,
    "silent": lambda f: (f"{f['device']} 自 {f['since']} 起没有消息", f"no message from {f['device']} since {f['since']}"),
    "other_heard": lambda f: (f"同机构的 {f['device']} 仍在线", f"{f['device']} of the same institution is heard"),
    "mains_lost": lambda f: (f"{f['device']} 自 {f['since']} 起报市电中断", f"{f['device']} says mains lost since {f['since']}"),
    "mains_fine": lambda f: (f"{f['device']} 最后报市电正常", f"{f['device']} last said that the mains were there"),
    "clients_silent": lambda f: (
        f"该机构 {f['of']} 个网关中 {f['silent']} 个同时失联",
        f"{f['silent']} of {f['of']} clients of the institution fell silent together",
    ),
    "session_closed": lambda f: (
        f"最后一条消息后 {f['after_s']} 秒会话由对端关闭，线路当时是通的",
        f"its own machine closed the session {f['after_s']} s after its last message, over a line that lived",
    ),
    "ran_meanwhile": lambda _: ("网关期间一直在运行", "the edge ran all the while"),
    "began_anew": lambda f: (
        f"网关程序期间重新启动（上次结束：{f['last_end'] or '未知'}）",
        f"the program of the edge began anew meanwhile (its last end: {f['last_end'] or 'unknown'})",
    ),
    "machine_ran": lambda _: ("其主机期间一直在运行", "its machine ran all the while"),
    "machine_rebooted": lambda _: ("其主机期间重新启动", "its machine began anew meanwhile"),
    "line_silent": lambda f: (
        f"端点 {f['endpoint']} 上 {f['of']} 台设备中 {f['silent']} 台自 {f['since']} 起同时无应答",
        f"{f['silent']} of {f['of']} devices on {f['endpoint']} silent together since {f['since']}",
    ),
    "part_silent": _part_silent,
    "edge_heard": lambda f: (
        f"网关在线，设备自 {f['since']} 起无应答",
        f"its edge is heard, the device has not answered since {f['since']}",
    ),
}  # fmt: skip


def say(what: str, facts: Mapping[str, Any]) -> Title:
    """One observation as a sentence; times as they stand in `facts`. What this version does not know is shown as it is."""
    found = _SENTENCES.get(what)
    try:
        zh, en = (what, what) if found is None else found(facts)
    except KeyError:
        zh, en = what, what
    return Title(zh=zh, en=en)
