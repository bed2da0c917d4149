"""`anxinctl device`: list, show, and the function test at the door."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import typer

from provisioning import show
from provisioning.client import Hub
from provisioning.errors import Exit, HubError

_ASK_EVERY = 0.5
_GRACE = 15.0
"""How much longer than the tests themselves this command waits for the hub to judge them."""
_NOT_TESTED = ("registered",)
_WHAT_TO_DO: Mapping[str, tuple[str, str]] = {
    "panic_button": ("现在按下按钮", "press the button now"),
    "smoke_detector": ("用测试烟雾触发探测器", "set it off with test smoke now"),
    "fire_panel": ("在控制器上触发一个测试点", "set off a test point at the panel now"),
    "access_controller": ("打开门再关上", "open the door and close it now"),
    "camera": ("无需操作", "nothing to do"),
    "recorder": ("无需操作", "nothing to do"),
    "ups": ("无需操作", "nothing to do"),
    "gas_detector": ("用测试气体触发探测器", "set it off with test gas now"),
    "alarm_panel": ("在主机上触发一个测试防区", "set off a test zone at the panel now"),
    "environment_sensor": ("无需操作", "nothing to do"),
    "uv_lamp": ("无需操作", "nothing to do"),
    "breaker": ("无需操作", "nothing to do"),
    "network_switch": ("无需操作", "nothing to do"),
}
_KINDS = {
    "camera": "摄像机",
    "recorder": "录像机",
    "access_controller": "门禁",
    "smoke_detector": "烟感",
    "fire_panel": "火警主机",
    "panic_button": "报警按钮",
    "ups": "UPS",
    "gas_detector": "燃气探测",
    "alarm_panel": "报警主机",
    "environment_sensor": "环境",
    "uv_lamp": "紫外灯",
    "breaker": "断路器",
    "network_switch": "交换机",
    "edge": "网关",
    "other": "其他",
}
_OTHER = ("按设备说明触发", "set it off as its manual says")


class Running(NamedTuple):
    """A function test under way."""

    device: str
    kind: str
    test: str


def list_devices(hub: Hub, institution: str | None, kind: str | None, *, as_json: bool) -> None:
    """Every device within the scope, by id."""
    with hub:
        devices = list(hub.items("/devices", institution=institution, kind=kind))
    if as_json:
        show.as_json(devices)
        return
    show.table(
        ["设备\nDevice", "类型\nKind", "区域\nZone", "管理\nAdmin", "链路\nLink", "功能\nFunction"],
        (
            [
                device["id"],
                _KINDS.get(device["kind"], device["kind"]),
                device["zone"] or "-",
                device["admin_state"],
                f"{device['link_state']} {show.ago(device['link_since'])}",
                device["function_state"],
            ]
            for device in devices
        ),
        coloured=(3, 4, 5),
        whole=(0, 3, 4),
    )


def show_device(hub: Hub, device: str, *, as_json: bool) -> None:
    """One device: where it is, its three axes with their causes, its points."""
    with hub:
        found = hub.get(f"/devices/{device}")
        points = list(hub.items(f"/devices/{device}/points"))
    if as_json:
        show.as_json({**found, "points": points})
        return
    where = " / ".join(found[name] or "-" for name in ("institution", "zone", "position"))
    axes = [
        ("管理 Admin", found["admin_state"], found["admin_since"], ""),
        ("链路 Link", found["link_state"], found["link_since"], found["link_cause"]),
        ("功能 Function", found["function_state"], found["function_since"], found["function_reason"]),
    ]
    slow, after = found["found_late"], (found["silent_after_s"] or 0) / 3600
    late = [("⚠ 失联 Silence", f"{after:g} h: {slow['zh']} / {slow['en']}")] if slow is not None else []
    clock = found["clock"]
    if clock is not None and clock["wrong"]:
        off = f"{clock['ahead_s']:+.0f} s ({clock['reader']}: {show.moment(clock['read_at'])}), {show.moment(clock['since'])}"
        late.append(("⚠ 时钟 Clock", off))
    show.pairs(
        [
            ("设备 Device", f"{found['id']} ({found['kind']}, {found['profile']}, {found['lane']})"),
            ("位置 Where", where),
            ("端点 Endpoint", found["endpoint"] or "-"),
            *((name, f"{state}, {show.moment(since)} {cause}".rstrip()) for name, state, since, cause in axes),
            ("最近 Heard", show.moment(found["last_heard_at"])),
            ("测试 Proven", show.moment(found["proven_at"])),
            *(("⚠ 从未验证 Unproven", one) for one in found["unproven"]),
            *((name, found[key]) for name, key in _HANGS if found[key] is not None),
            *(("依据 Because", f"{one['sentence']['zh']} / {one['sentence']['en']}") for one in found["link_evidence"]),
            *late,
        ]
    )
    if points:
        print()
        show.table(
            ["测点\nPoint", "值\nValue", "质量\nQuality", "时间\nAt"],
            ([_name(row), _value(row), row["quality"], show.moment(row["at"])] for row in points),
        )


_HANGS = (("交换机 Switch", "switch"), ("供电 Power", "powered_by"))


def _name(point: Mapping[str, Any]) -> str:
    return f"{point['point']} {point['instance']}".rstrip()


def _value(point: Mapping[str, Any]) -> str:
    if point["label"] is not None or point["text"] is not None:
        return str(point["label"] or point["text"])
    return "-" if point["value"] is None else f"{point['value']:g} {point['unit']}".rstrip()


def test_devices(
    hub: Hub,
    devices: Sequence[str],
    institution: str | None,
    within: float | None,
    *,
    every: bool,
    as_json: bool,
) -> None:
    """Start the tests, say what to do, follow them to their end. Ends with REFUSED when one did not pass."""
    with hub:
        chosen = _chosen(hub, devices, institution, every=every)
        running = [started for device in chosen if (started := _start(hub, device, within)) is not None]
        results = _follow(hub, running, quiet=as_json)
    passed = sum(result["state"] == "passed" for result in results)
    if as_json:
        show.as_json(results)
    else:
        print(f"通过 passed {passed}/{len(chosen)}")
    if passed < len(chosen):
        raise typer.Exit(Exit.REFUSED)


def _chosen(hub: Hub, devices: Sequence[str], institution: str | None, *, every: bool) -> list[dict[str, Any]]:
    if every == bool(devices):
        raise HubError("name devices, or say --all", Exit.BAD_INPUT)
    if not every:
        return [hub.get(f"/devices/{device}") for device in dict.fromkeys(devices)]
    found = hub.items("/devices", institution=institution)
    chosen = [row for row in found if row["admin_state"] in _NOT_TESTED and row["kind"] != "edge"]
    if not chosen:
        show.complain(["没有待测设备 No device waits for its test."])
    return chosen


def _start(hub: Hub, device: Mapping[str, Any], within: float | None) -> Running | None:
    """The test that was started; None where the hub refuses this one (another is under way): the others go on."""
    content = {} if within is None else {"within_seconds": within}
    try:
        started = hub.post(f"/devices/{device['id']}/test", content)
    except HubError as error:
        if error.code != Exit.REFUSED:
            raise
        show.complain([f"{device['id']}: {error}"])
        return None
    return Running(device["id"], device["kind"], started["id"])


def _follow(hub: Hub, running: Sequence[Running], *, quiet: bool) -> list[dict[str, Any]]:
    """The tests as they ended, in the order in which they were started. What to do is said when the hub is watching, and not before:
    a press that comes earlier is a real one."""
    open_tests = {one.test: one for one in running}
    told: set[str] = set()
    ended: dict[str, dict[str, Any]] = {}
    deadline: float | None = None
    while open_tests:
        longest = 0.0
        for test, one in list(open_tests.items()):
            found = hub.get(f"/device-tests/{test}")
            longest = max(longest, found["within_seconds"] or 0.0)
            if found["state"] == "open" and test not in told and not quiet:
                told.add(test)
                zh, en = _WHAT_TO_DO.get(one.kind, _OTHER)
                print(f"{one.device}: {zh} · {en}", flush=True)
            if found["finished_at"] is not None:
                ended[test] = found
                del open_tests[test]
                if not quiet:
                    print(f"{one.device}: {_verdict(found)}", flush=True)
        if deadline is None:
            deadline = time.monotonic() + longest + _GRACE
        if open_tests and time.monotonic() > deadline:
            waiting = ", ".join(one.device for one in open_tests.values())
            raise HubError(f"the hub has not judged the tests of {waiting}: is it ingesting?", Exit.REFUSED)
        if open_tests:
            time.sleep(_ASK_EVERY)
    return [ended[one.test] for one in running]


def _verdict(test: Mapping[str, Any]) -> str:
    if test["state"] == "passed":
        return "通过 passed, in service"
    return f"未通过 {test['state']}: {test['detail'] or 'nothing was seen'}"
