"""A drill's report: how long until the first message, an acknowledgement, somebody's arrival and the all-clear, beside earlier drills of the place.

Pure: from what is stored to values, and from values to HTML (self-contained, printable, Chinese first) and CSV. Times count from the first
declared press that was made.
"""

import csv
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from html import escape
from typing import Any, NamedTuple

_BEIJING = timezone(timedelta(hours=8))
Row = Mapping[str, Any]


class Timings(NamedTuple):
    """Seconds from the first press; None: it has not happened, or was not recorded."""

    first_notice: float | None
    acknowledged: float | None
    arrival: float | None
    all_clear: float | None


STEPS: Mapping[str, tuple[str, str]] = {
    "first_notice": ("首条通知", "First notice"),
    "acknowledged": ("接警", "Acknowledged"),
    "arrival": ("到场", "Arrival"),
    "all_clear": ("解除", "All-clear"),
}


class Reported(NamedTuple):
    """What a report says of one institution."""

    institution: str
    title_zh: str
    title_en: str
    expected: int
    pressed: int
    first_press_at: datetime | None
    timings: Timings
    presses: Sequence[Row]
    marks: Sequence[Row]
    real: Sequence[Row]
    earlier: Sequence[tuple[datetime, str, str, Timings]]
    """starts, titles and timings of the drills before, the newest first"""


def timings(presses: Sequence[Row], marks: Sequence[Row]) -> Timings:
    """How long everything took. Of several words about an arrival or the all-clear the last one recorded counts."""
    began = _began(presses)
    if began is None:
        return Timings(None, None, None, None)
    said = {mark["kind"]: mark["at"] for mark in marks}
    return Timings(
        _after(began, _first(presses, "first_notice_at")),
        _after(began, _first(presses, "acknowledged_at")),
        _after(began, said.get("arrival")),
        _after(began, said.get("all_clear")),
    )


def _began(presses: Sequence[Row]) -> datetime | None:
    return _first(presses, "pressed_at")


def _first(presses: Sequence[Row], name: str) -> datetime | None:
    return min((press[name] for press in presses if press[name] is not None), default=None)


def _after(began: datetime, at: datetime | None) -> float | None:
    return None if at is None else round((at - began).total_seconds(), 1)


def report(runs: Sequence[Row]) -> list[Reported]:
    """The report's values, one an institution, from what the store knows of each."""
    return [
        Reported(
            run["institution"],
            run["title_zh"],
            run["title_en"],
            len(run["presses"]),
            sum(press["alarm"] is not None for press in run["presses"]),
            _began(run["presses"]),
            timings(run["presses"], run["marks"]),
            run["presses"],
            run["marks"],
            run["real"],
            [
                (one["starts_at"], one["title_zh"], one["title_en"], timings(one["presses"], one["marks"]))
                for one in run["earlier"]
            ],
        )
        for run in runs
    ]


def change(now: float | None, before: Sequence[float | None]) -> float | None:
    """By how many seconds a time differs from the mean of earlier ones; None where either is missing."""
    known = [one for one in before if one is not None]
    return None if now is None or not known else round(now - sum(known) / len(known), 1)


# CSV ----------------------------------------------------------------------------------------------------------------

COLUMNS = (
    "institution",
    "title_zh",
    "title_en",
    "row",
    "drill_start",
    "position",
    "class",
    "expected_at",
    "pressed_at",
    *(f"{name}_s" for name in STEPS),
    "messages",
    "by",
    "note",
)


class _Lines:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str) -> int:
        self.lines.append(line)
        return len(line)


def as_csv(drill: Row, reports: Sequence[Reported]) -> str:
    """One row an institution, then its presses, records, real alarms and earlier drills; UTF-8 with a byte-order mark, so that a
    spreadsheet reads the Chinese."""
    out = _Lines()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    start = _moment(drill["starts_at"])
    for one in reports:
        about = {"institution": one.institution, "title_zh": one.title_zh, "title_en": one.title_en}
        for row in _csv_rows(one, start):
            writer.writerow({name: _cell(value) for name, value in {**about, **row}.items()})
    return "\ufeff" + "".join(out.lines)


def _csv_rows(one: Reported, start: str) -> Iterable[dict[str, Any]]:
    pressed = "" if one.first_press_at is None else _moment(one.first_press_at)
    yield {"row": "summary", "drill_start": start, "pressed_at": pressed, **_seconds(one.timings)}
    for press in one.presses:
        began = press["pressed_at"]
        yield {
            "row": "press",
            "drill_start": start,
            "position": press["position"],
            "class": press["signal_class"],
            "expected_at": _moment(press["at"]),
            "pressed_at": "" if began is None else _moment(began),
            "first_notice_s": None if began is None else _after(began, press["first_notice_at"]),
            "acknowledged_s": None if began is None else _after(began, press["acknowledged_at"]),
            "messages": press["messages"],
            "by": press["acknowledged_by"],
        }
    for mark in one.marks:
        yield {
            "row": mark["kind"],
            "drill_start": start,
            "pressed_at": _moment(mark["at"]),
            "by": mark["actor"],
            "note": mark["note"],
        }
    for alarm in one.real:
        at = _moment(alarm["raised_at"])
        yield {
            "row": "real",
            "drill_start": start,
            "position": alarm["device"],
            "class": alarm["signal_class"],
            "pressed_at": at,
        }
    for starts, zh, en, before in one.earlier:
        yield {"row": "earlier", "drill_start": _moment(starts), "note": f"{zh} {en}", **_seconds(before)}


def _seconds(times: Timings) -> dict[str, float | None]:
    return {f"{name}_s": getattr(times, name) for name in STEPS}


def _cell(value: Any) -> Any:
    """No cell begins a formula in a spreadsheet."""
    text = "" if value is None else str(value)
    return (
        f"'{text}"
        if text[:1] in ("=", "+", "@", "\t", "\r") or (text[:1] == "-" and not isinstance(value, int | float))
        else text
    )


# HTML ---------------------------------------------------------------------------------------------------------------

_STYLE = """
body{font:14px/1.5 system-ui,"Noto Sans CJK SC","Microsoft YaHei",sans-serif;color:#111;max-width:60em;margin:2em auto;padding:0 1em}
h1{font-size:1.5em;margin:0}h2{font-size:1.15em;margin:2em 0 .3em;border-bottom:2px solid #111}h3{font-size:1em;margin:1.2em 0 .3em}
.mark{display:inline-block;border:2px solid #b00;color:#b00;padding:0 .5em;font-weight:bold}
table{border-collapse:collapse;width:100%;margin:.4em 0}th,td{border:1px solid #999;padding:.25em .5em;text-align:left;vertical-align:top}
th{background:#eee}.n{text-align:right;white-space:nowrap}.real{color:#b00;font-weight:bold}small{color:#555}
@media screen and (max-width:46em){body{margin:.6em auto}table{display:block;overflow-x:auto}}
@media print{body{margin:0;max-width:none}h2{break-after:avoid}table,tr{break-inside:avoid}}
"""
POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""The Content-Security-Policy under which the page is shown: its own style, by its digest, and nothing else."""


def as_html(drill: Row, reports: Sequence[Reported], made_at: datetime) -> str:
    """One page that needs nothing else: no script, no font, no picture from elsewhere."""
    title_zh, title_en = escape(drill["title_zh"]), escape(drill["title_en"])
    state = "" if drill["cancelled_at"] is None else " <span class=mark>已取消 CANCELLED</span>"
    head = (
        f"<h1><span class=mark>演练 DRILL</span> {title_zh} <small>{title_en}</small>{state}</h1>"
        f"<p>{_clock(drill['starts_at'])} – {_clock(drill['ends_at'])}（北京时间 UTC+08:00）<br>"
        f"申报 Declared: {escape(drill['declared_by'])}, {_clock(drill['declared_at'])} · "
        f"预定 expected {drill['presses']}, 按下 pressed {drill['pressed']}<br>"
        f"<small>报告生成 Report made {_clock(made_at)}</small></p>"
    )
    parts = "".join(_institution(one) for one in reports)
    return (
        '<!doctype html><html lang="zh"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>演练报告 Drill report · {title_zh}</title><style>{_STYLE}</style></head><body>{head}{parts}</body></html>\n"
    )


def _institution(one: Reported) -> str:
    parts = [f"<h2>{escape(one.title_zh)} <small>{escape(one.title_en)} · {escape(one.institution)}</small></h2>"]
    if one.first_press_at is None:
        parts.append("<p>没有按下预定的按钮 No declared press was made.</p>")
    rows = []
    for name, (zh, en) in STEPS.items():
        before = [getattr(times, name) for *_, times in one.earlier]
        now = getattr(one.timings, name)
        cells = "".join(f"<td class=n>{_span(value)}</td>" for value in before)
        rows.append(
            f"<tr><th>{zh} {en}</th><td class=n><b>{_span(now)}</b></td><td class=n>{_signed(change(now, before))}</td>{cells}</tr>"
        )
    heads = "".join(f"<th>{_day(at)}<br><small>{escape(zh)}</small></th>" for at, zh, _, _ in one.earlier)
    parts.append(
        "<table><tr><th>自首次按下起 From the first press</th><th>本次 This drill</th><th>较以往平均 Against earlier mean</th>"
        f"{heads}</tr>{''.join(rows)}</table>"
    )
    presses = "".join(_press(press) for press in one.presses)
    parts.append(
        "<h3>预定的按下 Declared presses</h3><table><tr><th>安装位 Position</th><th>类别 Class</th><th>预定 Expected</th>"
        "<th>按下 Pressed</th><th>首条通知 First notice</th><th>接警 Acknowledged</th><th>消息 Messages</th></tr>"
        f"{presses}</table>"
    )
    if one.marks:
        kinds = {"arrival": STEPS["arrival"], "all_clear": STEPS["all_clear"]}
        lines = "".join(
            f"<tr><td>{' '.join(kinds[mark['kind']])}</td><td>{_clock(mark['at'])}</td><td>{escape(mark['actor'])}</td>"
            f"<td>{escape(mark['note'])}</td></tr>"
            for mark in one.marks
        )
        parts.append(
            "<h3>人工记录 Recorded by persons</h3><table><tr><th>事项 What</th><th>时间 When</th><th>记录人 By</th><th>备注 Note</th></tr>"
            f"{lines}</table>"
        )
    if one.real:
        lines = "".join(
            f"<tr class=real><td>{_clock(alarm['raised_at'])}</td><td>{escape(alarm['device'])}</td><td>{escape(alarm['signal_class'])}</td>"
            f"<td>{escape(alarm['acknowledged_by'] or '-')}</td></tr>"
            for alarm in one.real
        )
        parts.append(
            "<h3>期间及结束后一刻钟内的真实告警 Real alarms meanwhile, and until a quarter of an hour after</h3><table><tr><th>时间 When</th><th>设备 Device</th><th>类别 Class</th>"
            f"<th>接警 By</th></tr>{lines}</table>"
        )
    return "".join(parts)


def _press(press: Row) -> str:
    began = press["pressed_at"]
    told = None if began is None else _after(began, press["first_notice_at"])
    taken = None if began is None else _after(began, press["acknowledged_at"])
    by = "" if press["acknowledged_by"] is None else f"<br><small>{escape(press['acknowledged_by'])}</small>"
    pressed = "未按 not pressed" if began is None else _clock(began)
    return (
        f"<tr><td>{escape(press['title_zh'])} <small>{escape(press['title_en'])}</small></td><td>{escape(press['signal_class'])}</td>"
        f"<td>{_clock(press['at'])}</td><td>{pressed}</td><td class=n>{_span(told)}</td><td class=n>{_span(taken)}{by}</td>"
        f"<td class=n>{press['messages']}</td></tr>"
    )


def _moment(at: datetime) -> str:
    return at.astimezone(_BEIJING).isoformat(timespec="seconds")


def _clock(at: datetime) -> str:
    return at.astimezone(_BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def _day(at: datetime) -> str:
    return at.astimezone(_BEIJING).strftime("%Y-%m-%d")


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "—"
    minutes, rest = divmod(abs(seconds), 60)
    sign = "-" if seconds < 0 else ""
    return f"{sign}{rest:.1f} s" if minutes == 0 else f"{sign}{int(minutes)} min {rest:04.1f} s"


def _signed(seconds: float | None) -> str:
    return "—" if seconds is None else f"{seconds:+.1f} s"
