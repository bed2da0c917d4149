"""A board drawn from its JSON and the rows of its queries, as HTML: no Grafana runs here, and this is none. For pictures in documents."""

import html
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

Rows = Sequence[Mapping[str, Any]]
COLOURS = {
    "green": "#56a64b",
    "red": "#d6303f",
    "orange": "#e0801a",
    "blue": "#3274d9",
    "purple": "#8f3bb8",
    "text": "#24292e",
}
LINES = ("#3274d9", "#e0801a", "#56a64b", "#8f3bb8", "#d6303f", "#1aa5a0")
CAPTION = (
    "由本项目自己的渲染程序按看板 JSON 与其查询的真实结果绘制，数据均为虚构；不是 Grafana 的截图。"
    " Drawn by our own renderer from the board's JSON and the real results of its queries over invented data; not a screenshot of Grafana."
)
UNIT_WIDTH, UNIT_HEIGHT = 50, 34
_STYLE = """
body { margin: 0; background: #f4f5f5; font: 13px 'Noto Sans CJK SC', 'Noto Sans', sans-serif; color: #24292e; width: 1208px }
h1 { font-size: 17px; margin: 10px 8px 2px } .chosen { margin: 0 8px 8px; color: #666 } footer { margin: 8px; color: #666; font-size: 11px }
#grid { position: relative; margin: 4px } .panel { position: absolute; background: #fff; border: 1px solid #ddd; overflow: hidden; box-sizing: border-box }
.panel h2 { font-size: 12.5px; margin: 5px 8px; font-weight: 600 } .big { font-size: 30px; margin: 2px 8px; font-weight: 600 } .small { margin: 0 8px; color: #555; font-size: 11.5px }
table { border-collapse: collapse; width: 100%; font-size: 11.5px } th { text-align: left; color: #3274d9; font-weight: 600 } td, th { padding: 2.5px 7px; border-top: 1px solid #eee; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; max-width: 300px }
.link { text-decoration: underline dotted } .legend { font-size: 11.5px; margin: 0 8px }
"""


def page(board: Mapping[str, Any], results: Mapping[tuple[int, str], Rows], chosen: str) -> str:
    """The whole board; `results` by panel id and refId."""
    panels = "".join(_panel(panel, results) for panel in board["panels"])
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"]) * UNIT_HEIGHT
    return (
        f"<!doctype html><meta charset=utf-8><style>{_STYLE}</style><h1>{_text(board['title'])}</h1><p class=chosen>{_text(chosen)}</p><footer>{CAPTION}</footer>"
        f"<div id=grid style='height:{bottom}px'>{panels}</div>"
    )


def _panel(panel: Mapping[str, Any], results: Mapping[tuple[int, str], Rows]) -> str:
    at = panel["gridPos"]
    place = f"left:{at['x'] * UNIT_WIDTH}px;top:{at['y'] * UNIT_HEIGHT}px;width:{at['w'] * UNIT_WIDTH - 4}px;height:{at['h'] * UNIT_HEIGHT - 4}px"
    rows = results[panel["id"], "A"]
    size = (at["w"] * UNIT_WIDTH - 20, at["h"] * UNIT_HEIGHT - 62)
    match panel["type"]:
        case "stat":
            inside = _stat(panel, rows)
        case "table":
            inside = _table(panel, rows, int((at["h"] * UNIT_HEIGHT - 60) / 22))
        case "timeseries":
            inside = _curves(rows, size, panel["fieldConfig"]["defaults"]["custom"]["drawStyle"] == "bars") + _footing(
                panel, results[panel["id"], "B"]
            )
        case _:
            inside = _map(panel, rows, size)
    return f"<div class=panel style='{place}'><h2>{_text(panel['title'])}</h2>{inside}</div>"


def shown(panel: Mapping[str, Any], name: str) -> dict[str, Any]:
    """How a field is to be shown: the panel's defaults with the field's overrides."""
    defaults = panel["fieldConfig"]["defaults"]
    mine = {key: defaults[key] for key in ("unit", "mappings", "thresholds", "decimals", "noValue") if key in defaults}
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["options"] == name:
            mine |= {one["id"]: one["value"] for one in override["properties"]}
    return mine


def said(value: Any, field: Mapping[str, Any]) -> tuple[str, str]:
    """The text and the colour of a value."""
    for mapping in field.get("mappings", []):
        options = mapping["options"]
        if mapping["type"] == "special" and value is None:
            return options["result"]["text"], options["result"]["color"]
        if mapping["type"] == "value" and str(value) in options:
            return options[str(value)]["text"], options[str(value)]["color"]
    if value is None:
        return field.get("noValue", "—"), "text"
    if isinstance(value, datetime):
        return (value + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M"), "text"
    if isinstance(value, (int, float)) or hasattr(value, "quantize"):
        number = float(value)
        colour = "text"
        for step in field.get("thresholds", {}).get("steps", []):
            if step["value"] is None or number >= step["value"]:
                colour = step["color"]
        return _number(number, field), colour
    return str(value), "text"


def _number(number: float, field: Mapping[str, Any]) -> str:
    if field.get("unit") == "percent":
        return f"{number:.{field.get('decimals', 1)}f} %"
    if field.get("unit") == "s":
        for many, name in ((86400, "d"), (3600, "h"), (60, "min")):
            if number >= many:
                return f"{number / many:.1f} {name}"
        return f"{number:.0f} s"
    return f"{number:,.0f}" if number == int(number) else f"{number:,.1f}"


def _text(value: str) -> str:
    return html.escape(value)


def _colour(name: str) -> str:
    return COLOURS.get(name, name)


def _stat(panel: Mapping[str, Any], rows: Rows) -> str:
    (row,) = rows
    text, colour = said(row["value"], shown(panel, "value"))
    return f"<p class=big style='color:{_colour(colour)}'>{_text(text)}</p><p class=small>{_text(_standing(panel, row))}</p>"


def _table(panel: Mapping[str, Any], rows: Rows, fits: int) -> str:
    fields = [
        (override["matcher"]["options"], shown(panel, override["matcher"]["options"]))
        for override in panel["fieldConfig"]["overrides"]
    ]
    fields = [(name, field) for name, field in fields if not field.get("custom.hidden")]
    head = "".join(f"<th>{_text(field['displayName'])}</th>" for _, field in fields)
    body = ""
    for row in rows[:fits]:
        cells = ""
        for name, field in fields:
            text, colour = said(row[name], field)
            link = " class=link" if "links" in field else ""
            cells += f"<td{link} style='color:{_colour(colour)}'>{_text(text)}</td>"
        body += f"<tr>{cells}</tr>"
    return f"<table><tr>{head}</tr>{body}</table>"


def _footing(panel: Mapping[str, Any], rows: Rows) -> str:
    return "".join(f"<p class=small>{_text(_standing(panel, row))}</p>" for row in rows)


def _standing(panel: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    fields = {key: shown(panel, key) for key in ("age", "complete")}
    return " · ".join(f"{field['displayName']} {said(row[key], field)[0]}" for key, field in fields.items())


def _curves(rows: Rows, size: tuple[int, int], bars: bool) -> str:
    width, height = size[0], size[1] - 18
    if not rows:
        return "<p class=small>—</p>"
    value = next(name for name in rows[0] if name not in ("time", "metric"))
    times = [row["time"].timestamp() for row in rows]
    first, last = min(times), max(times)
    values = [float(row[value]) for row in rows if row[value] is not None]
    top = max([*values, 1.0]) * 1.05
    names = sorted({str(row["metric"]) for row in rows})
    drawn = ""
    for n, name in enumerate(names):
        colour = LINES[n % len(LINES)]
        points = [
            (10 + (at - first) / max(1.0, last - first) * (width - 20), height - float(row[value]) / top * (height - 8))
            for row, at in zip(rows, times, strict=True)
            if str(row["metric"]) == name and row[value] is not None
        ]
        if bars:
            drawn += "".join(
                f"<rect x={x:.0f} y={y:.0f} width=5 height={height - y:.0f} fill='{colour}'/>" for x, y in points
            )
        else:
            drawn += f"<polyline fill=none stroke='{colour}' stroke-width=2 points='{' '.join(f'{x:.1f},{y:.1f}' for x, y in points)}'/>"
    ends = [(datetime.fromtimestamp(at, UTC) + timedelta(hours=8)).strftime("%m-%d") for at in (first, last)]
    legend = " ".join(
        f"<span style='color:{LINES[n % len(LINES)]}'>━ {_text(name)}</span>" for n, name in enumerate(names)
    )
    return f"<svg width={width} height={height}>{drawn}</svg><p class=legend>{ends[0]} – {ends[1]} &nbsp; {legend}</p>"


def _map(panel: Mapping[str, Any], rows: Rows, size: tuple[int, int]) -> str:
    width, height = size
    placed = [row for row in rows if row["latitude"] is not None]
    if not placed:
        return "<p class=small>—</p>"
    south, north = min(row["latitude"] for row in placed), max(row["latitude"] for row in placed)
    west, east = min(row["longitude"] for row in placed), max(row["longitude"] for row in placed)
    dots = ""
    for row in placed:
        x = 15 + (row["longitude"] - west) / max(1e-9, east - west) * (width - 30)
        y = 10 + (north - row["latitude"]) / max(1e-9, north - south) * (height - 20)
        _, colour = said(row["rate"], shown(panel, "rate"))
        dots += f"<circle cx={x:.0f} cy={y:.0f} r=6 fill='{_colour(colour)}' fill-opacity=.85 stroke='#fff'/>"
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    legend = " ".join(
        f"<span style='color:{_colour(step['color'])}'>● {'未知' if step['value'] is None else '≥ ' + str(step['value']) + ' %'}</span>"
        for step in steps
    )
    return f"<svg width={width} height={height}>{dots}</svg><p class=legend>WGS-84, {south:.2f}–{north:.2f} N, {west:.2f}–{east:.2f} E &nbsp; {legend}</p>"
