"""Panels, variables and boards as Grafana's JSON has them. Titles are Chinese first, English second."""

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

SOURCE: Json = {"type": "grafana-postgresql-datasource", "uid": "anxin"}
WIDTH = 24
"""Columns of Grafana's grid."""

VERDICTS: Mapping[str, tuple[str, str]] = {
    "compliant": ("符合 Compliant", "green"),
    "non_compliant": ("不符合 Non-compliant", "red"),
    "unknown": ("未知 Unknown", "orange"),
    "waived": ("豁免 Waived", "purple"),
    "not_applicable": ("不适用 Not applicable", "gray"),
}
LINKS: Mapping[str, tuple[str, str]] = {
    "online": ("在线 Online", "green"),
    "offline": ("离线 Offline", "red"),
    "unknown": ("未知 Unknown", "orange"),
}
CAUSES: Mapping[str, tuple[str, str]] = {
    "device": ("设备自身 The device", "text"),
    "line": ("总线或端点 Line", "text"),
    "edge": ("边缘网关 Edge", "text"),
    "site_power": ("现场停电 Site power", "text"),
    "uplink": ("机构上联 Uplink", "text"),
    "carrier": ("运营商 Carrier", "text"),
    "district": ("区域性中断 District", "text"),
    "broker": ("消息服务器 Broker", "text"),
    "hub": ("中心自身 Hub", "text"),
    "database": ("数据库 Database", "text"),
    "undetermined": ("未定 Undetermined", "text"),
    "never_seen": ("从未收到 Never seen", "text"),
    "unplaced": ("未接入网关 Behind no edge", "text"),
    "profile_missing": ("设备模型未安装 No profile", "text"),
}
FULL: Sequence[Json] = [
    {"color": "red", "value": None},
    {"color": "orange", "value": 80},
    {"color": "green", "value": 100},
]
"""Only full coverage is green."""
NONE_WANTED: Sequence[Json] = [{"color": "green", "value": None}, {"color": "red", "value": 1}]
NEUTRAL: Sequence[Json] = [{"color": "blue", "value": None}]


def _target(sql: str, series: bool = False) -> Json:
    text = " ".join(sql.split())
    shape = "time_series" if series else "table"
    return {"refId": "A", "datasource": SOURCE, "format": shape, "rawQuery": True, "editorMode": "code", "rawSql": text}


def _panel(kind: str, title: str, size: tuple[int, int], sql: str, *, series: bool = False) -> Json:
    width, height = size
    return {
        "type": kind,
        "title": title,
        "datasource": SOURCE,
        "gridPos": {"x": 0, "y": 0, "w": width, "h": height},
        "targets": [_target(sql, series)],
        "fieldConfig": {"defaults": {}, "overrides": []},
        "options": {},
    }


def stat(title: str, sql: str, *, width: int, unit: str = "short", steps: Sequence[Json] = NEUTRAL) -> Json:
    """One figure. `unit` is Grafana's name; where there is none to show, a dash and never a zero."""
    panel = _panel("stat", title, (width, 4), sql)
    panel["fieldConfig"]["defaults"] = {
        "unit": unit,
        "noValue": "—",
        "color": {"mode": "thresholds"},
        "thresholds": {"mode": "absolute", "steps": list(steps)},
    }
    panel["options"] = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "background",
        "graphMode": "none",
        "textMode": "auto",
    }
    return panel


def table(title: str, sql: str, *, height: int, columns: Mapping[str, Json], width: int = WIDTH) -> Json:
    """Rows. `columns` gives each column of the query its title and how it is shown (see `column`)."""
    panel = _panel("table", title, (width, height), sql)
    panel["fieldConfig"]["defaults"] = {"custom": {"align": "auto", "filterable": True}, "noValue": "—"}
    panel["fieldConfig"]["overrides"] = [
        {"matcher": {"id": "byName", "options": name}, "properties": [{"id": key, "value": value} for key, value in shown.items()]}
        for name, shown in columns.items()
    ]  # fmt: skip
    panel["options"] = {"showHeader": True, "cellHeight": "sm"}
    return panel


def column(title: str, *, words: Mapping[str, tuple[str, str]] | None = None, unit: str = "", width: int = 0) -> Json:
    """How a column of a table is shown; `words` maps values to a text and a colour."""
    shown: Json = {"displayName": title}
    if words is not None:
        options = {
            value: {"text": text, "color": color, "index": n} for n, (value, (text, color)) in enumerate(words.items())
        }
        shown["mappings"] = [{"type": "value", "options": options}]
        shown["custom.cellOptions"] = {"type": "color-text"}
    if unit != "":
        shown["unit"] = unit
    if width > 0:
        shown["custom.width"] = width
    return shown


def timeseries(title: str, sql: str, *, width: int, height: int = 8, bars: bool = False, unit: str = "short") -> Json:
    """Curves or stacked bars over time; the query gives `time`, `metric` and a value, in order of time."""
    panel = _panel("timeseries", title, (width, height), sql, series=True)
    custom: Json = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "auto", "spanNulls": False}
    if bars:
        custom = {"drawStyle": "bars", "lineWidth": 0, "fillOpacity": 80, "stacking": {"mode": "normal", "group": "A"}}
    panel["fieldConfig"]["defaults"] = {"unit": unit, "custom": custom, "color": {"mode": "palette-classic"}}
    panel["options"] = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel


def choice(name: str, title: str, sql: str) -> Json:
    """A variable: the query gives `__text` and `__value`. It narrows what is shown; what may be seen is the role's matter."""
    return {
        "type": "query",
        "name": name,
        "label": title,
        "datasource": SOURCE,
        "query": " ".join(sql.split()),
        "refresh": 2,
        "sort": 0,
        "multi": False,
        "includeAll": False,
        "hide": 0,
    }


def board(uid: str, title: str, rows: Sequence[Sequence[Json]], *, variables: Sequence[Json], since: str) -> Json:
    """A board: rows of panels from top to bottom, ids and places given here. `since` is Grafana's relative time (`now-24h`)."""
    panels: list[Json] = []
    top = 0
    for row in rows:
        left = 0
        for panel in row:
            panels.append({**panel, "id": len(panels) + 1, "gridPos": {**panel["gridPos"], "x": left, "y": top}})
            left += panel["gridPos"]["w"]
        top += max(panel["gridPos"]["h"] for panel in row)
    return {
        "uid": uid,
        "title": title,
        "tags": ["anxin"],
        "timezone": "Asia/Shanghai",
        "schemaVersion": 41,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": since, "to": "now"},
        "timepicker": {},
        "templating": {"list": list(variables)},
        "annotations": {"list": []},
        "links": [],
        "panels": panels,
    }
