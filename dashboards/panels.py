"""Panels, variables and boards as Grafana's JSON has them.

A text is a pair (Words): every board is made twice, in Chinese and in English (`spoken`). In strings `@lang` stands for `zh` or `en` and
`@suffix` for the end of the other boards' uids, so that one query and one link serve both.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Json = dict[str, Any]


class Words(NamedTuple):
    """A text for people."""

    zh: str
    en: str


SOURCE: Json = {"type": "grafana-postgresql-datasource", "uid": "anxin"}
WIDTH = 24
"""Columns of Grafana's grid."""
UNKNOWN = "#8e8e8e"
"""What is not known is grey, never green."""

VERDICTS: Mapping[str, tuple[Words, str]] = {
    "compliant": (Words("符合", "Compliant"), "green"),
    "non_compliant": (Words("不符合", "Non-compliant"), "red"),
    "unknown": (Words("未知", "Unknown"), UNKNOWN),
    "waived": (Words("豁免", "Waived"), "purple"),
    "not_applicable": (Words("不适用", "Not applicable"), "text"),
}
LINKS: Mapping[str, tuple[Words, str]] = {
    "online": (Words("在线", "Online"), "green"),
    "offline": (Words("离线", "Offline"), "red"),
    "unknown": (Words("未知", "Unknown"), UNKNOWN),
}
FUNCTIONS: Mapping[str, tuple[Words, str]] = {
    "ok": (Words("正常", "OK"), "green"),
    "degraded": (Words("降级", "Degraded"), "orange"),
    "failed": (Words("故障", "Failed"), "red"),
    "unproven": (Words("未证实", "Unproven"), UNKNOWN),
}
CAUSES: Mapping[str, tuple[Words, str]] = {
    "device": (Words("设备自身", "The device"), "text"),
    "line": (Words("总线或端点", "Line"), "text"),
    "switch": (Words("交换机", "Switch"), "text"),
    "power_feed": (Words("供电回路", "Power feed"), "text"),
    "edge": (Words("边缘网关", "Edge"), "text"),
    "site_power": (Words("现场停电", "Site power"), "text"),
    "uplink": (Words("机构上联", "Uplink"), "text"),
    "carrier": (Words("运营商", "Carrier"), "text"),
    "district": (Words("区域性中断", "District"), "text"),
    "broker": (Words("消息服务器", "Broker"), "text"),
    "hub": (Words("平台自身", "Hub"), "text"),
    "database": (Words("数据库", "Database"), "text"),
    "undetermined": (Words("未定", "Undetermined"), "text"),
    "never_seen": (Words("从未收到", "Never seen"), "text"),
    "unplaced": (Words("未接入网关", "Behind no edge"), "text"),
    "profile_missing": (Words("设备模型未安装", "No profile"), "text"),
}
BASES: Mapping[str, tuple[Words, str]] = {
    "obligation": (Words("义务", "Obligation"), "text"),
    "target": (Words("目标", "Target"), "text"),
    "recommendation": (Words("建议", "Recommendation"), "text"),
}
"""Three figures that are never mixed."""
MODULES: Mapping[str, tuple[Words, str]] = {
    "video": (Words("高清视频监控", "Video"), "text"),
    "panic": (Words("一键报警", "Panic"), "text"),
    "access": (Words("智能门禁", "Access"), "text"),
    "fire": (Words("智慧消防", "Fire"), "text"),
    "retention": (Words("录像留存", "Retention"), "text"),
    "privacy": (Words("隐私", "Privacy"), "text"),
    "other": (Words("其他", "Other"), "text"),
}
FULL: Sequence[Json] = [
    {"color": "red", "value": None},
    {"color": "orange", "value": 80},
    {"color": "green", "value": 100},
]
"""Only full coverage is green; what is unknown counts against it, so that silence never is."""
NONE_WANTED: Sequence[Json] = [{"color": "text", "value": None}, {"color": "red", "value": 1}]
"""A count that should be zero: red where it is not, and never green, since nobody may have looked."""
NEUTRAL: Sequence[Json] = [{"color": "text", "value": None}]

AGE = Words("数据龄", "Age")
COMPLETE = Words("完整率", "Complete")
NO_VALUE: Json = {
    "type": "special",
    "options": {"match": "null", "result": {"text": Words("未知", "Unknown"), "color": UNKNOWN, "index": 0}},
}
NO_TILES = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
"""One transparent pixel: with an empty address Grafana would ask a tile server abroad, with this one it asks nobody."""


def share(part: str, whole: str) -> str:
    """A rate in percent as SQL: cut off after two digits, as hub.core.coverage.rollup.shown does, so that nothing looks reached that is not."""
    return f"trunc(100.0 * ({part}) / nullif({whole}, 0), 2)"


def lack(part: str, whole: str) -> str:
    """The same of what nobody wants: rounded up, so that one of many does not look like none."""
    return f"ceil(10000.0 * ({part}) / nullif({whole}, 0)) / 100"


def _target(sql: str, ref: str, series: bool) -> Json:
    return {
        "refId": ref,
        "datasource": SOURCE,
        "format": "time_series" if series else "table",
        "rawQuery": True,
        "editorMode": "code",
        "rawSql": " ".join(sql.split()),
    }


def _panel(kind: str, title: Words, size: tuple[int, int], sql: str, *, series: bool = False) -> Json:
    width, height = size
    return {
        "type": kind,
        "title": title,
        "datasource": SOURCE,
        "gridPos": {"x": 0, "y": 0, "w": width, "h": height},
        "targets": [_target(sql, "A", series)],
        "fieldConfig": {"defaults": {}, "overrides": []},
        "options": {},
    }


def _override(name: str, shown: Mapping[str, Any]) -> Json:
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in shown.items()],
    }


_STANDING: Mapping[str, Json] = {
    "age": {"displayName": AGE, "unit": "s", "thresholds": {"mode": "absolute", "steps": list(NEUTRAL)}},
    "complete": {"displayName": COMPLETE, "unit": "percent", "decimals": 2, "thresholds": {"mode": "absolute", "steps": list(NEUTRAL)}},
}  # fmt: skip


def stat(
    title: Words, sql: str, *, width: int, unit: str = "short", steps: Sequence[Json] = NEUTRAL, height: int = 3
) -> Json:
    """One figure and what it stands on: the query gives `value`, `age` (s) and `complete` (%). No value is grey, never a zero."""
    panel = _panel("stat", title, (width, height), sql)
    panel["fieldConfig"]["defaults"] = {
        "unit": unit,
        "decimals": 2 if unit == "percent" else 0,
        "noValue": "—",
        "mappings": [NO_VALUE],
        "color": {"mode": "thresholds"},
        "thresholds": {"mode": "absolute", "steps": list(steps)},
    }
    panel["fieldConfig"]["overrides"] = [
        _override("value", {"displayName": title}),
        *(_override(*one) for one in _STANDING.items()),
    ]
    panel["options"] = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "textMode": "value_and_name",
        "orientation": "vertical",
        "justifyMode": "auto",
    }
    return panel


def table(title: Words, sql: str, *, height: int, columns: Mapping[str, Json], width: int = WIDTH) -> Json:
    """Rows. `columns` gives each column of the query its title and how it is shown (see `column`); age and completeness are among them."""
    panel = _panel("table", title, (width, height), sql)
    panel["fieldConfig"]["defaults"] = {"custom": {"align": "auto", "filterable": True}, "noValue": "—"}
    panel["fieldConfig"]["overrides"] = [
        _override(name, shown) for name, shown in {**columns, "age": age(), "complete": complete()}.items()
    ]
    panel["options"] = {"showHeader": True, "cellHeight": "sm"}
    return panel


def column(
    title: Words,
    *,
    words: Mapping[str, tuple[Words, str]] | None = None,
    unit: str = "",
    width: int = 0,
    link: str = "",
    steps: Sequence[Json] | None = None,
    hidden: bool = False,
) -> Json:
    """How a column of a table is shown; `words` maps values to a text and a colour, `link` is where a click leads."""
    shown: Json = {"displayName": title}
    if words is not None:
        options = {
            value: {"text": text, "color": color, "index": n} for n, (value, (text, color)) in enumerate(words.items())
        }
        shown["mappings"] = [{"type": "value", "options": options}]
        shown["custom.cellOptions"] = {"type": "color-text"}
    if steps is not None:
        shown["mappings"] = [NO_VALUE]
        shown["thresholds"] = {"mode": "absolute", "steps": list(steps)}
        shown["color"] = {"mode": "thresholds"}
        shown["custom.cellOptions"] = {"type": "color-text"}
    if unit != "":
        shown["unit"] = unit
    if unit == "percent":
        shown["decimals"] = 2
    if width > 0:
        shown["custom.width"] = width
    if link != "":
        shown["links"] = [{"title": Words("打开", "Open"), "url": link, "targetBlank": False}]
    if hidden:
        shown["custom.hidden"] = True
    return shown


def age() -> Json:
    """The column that says how old the oldest thing is that a row stands on."""
    return column(AGE, unit="s", width=95)


def complete() -> Json:
    """The column that says how much of what should be known is known."""
    return column(COMPLETE, unit="percent", width=95)


def timeseries(
    title: Words, sql: str, footing: str, *, width: int, height: int = 8, bars: bool = False, unit: str = "short"
) -> Json:
    """Curves or stacked bars over time; `sql` gives `time`, `metric` and a value in order of time.

    `footing` is the second query, a table of one row with `age` and `complete`: it is shown in the legend, not drawn.
    """
    panel = _panel("timeseries", title, (width, height), sql, series=True)
    panel["targets"].append(_target(footing, "B", False))
    custom: Json = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "auto", "spanNulls": False}
    if bars:
        custom = {"drawStyle": "bars", "lineWidth": 0, "fillOpacity": 80, "stacking": {"mode": "normal", "group": "A"}}
    panel["fieldConfig"]["defaults"] = {"unit": unit, "custom": custom, "color": {"mode": "palette-classic"}}
    undrawn = {"custom.hideFrom": {"viz": True, "legend": False, "tooltip": False}, "custom.axisPlacement": "hidden"}
    panel["fieldConfig"]["overrides"] = [
        _override("age", {"displayName": AGE, "unit": "s", **undrawn}),
        _override("complete", {"displayName": COMPLETE, "unit": "percent", "decimals": 2, **undrawn}),
    ]
    panel["options"] = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel


def geomap(title: Words, sql: str, *, height: int, columns: Mapping[str, Json], tiles: str = NO_TILES) -> Json:
    """Institutions on a map: the query gives `latitude`, `longitude` (WGS-84) and `rate` (%). Without `tiles` nobody is asked for any."""
    panel = _panel("geomap", title, (WIDTH, height), sql)
    panel["fieldConfig"]["defaults"] = {
        "unit": "short",
        "mappings": [NO_VALUE],
        "color": {"mode": "thresholds"},
        # below zero stands what is not known at all: the query gives -1 where there is no rate
        "thresholds": {
            "mode": "absolute",
            "steps": [{"color": UNKNOWN, "value": None}, {**FULL[0], "value": 0}, *FULL[1:]],
        },
    }
    # a map has no columns: what is only a table's, such as a width, it does not know
    panel["fieldConfig"]["overrides"] = [
        _override(name, {key: value for key, value in shown.items() if not key.startswith("custom.")})
        for name, shown in {**columns, "age": age(), "complete": complete()}.items()
    ]
    style = {
        "color": {"field": "rate", "fixed": UNKNOWN},
        "opacity": 0.9,
        "size": {"fixed": 7, "min": 4, "max": 12},
        "symbol": {"fixed": "img/icons/marker/circle.svg", "mode": "fixed"},
        "rotation": {"fixed": 0, "max": 360, "min": -360, "mode": "mod"},
    }
    panel["options"] = {
        "view": {"id": "fit", "allLayers": True, "padding": 10, "zoom": 12, "lat": 0, "lon": 0, "maxZoom": 15},
        "basemap": {
            "type": "xyz",
            "name": "tiles",
            "config": {"url": tiles, "attribution": "" if tiles == NO_TILES else tiles.split("/")[2]},
        },
        "layers": [
            {
                "type": "markers",
                "name": "institutions",
                "config": {"showLegend": True, "style": style},
                "location": {"mode": "coords", "latitude": "latitude", "longitude": "longitude"},
                "tooltip": True,
            }
        ],
        "controls": {"showZoom": True, "mouseWheelZoom": True, "showAttribution": tiles != NO_TILES, "showScale": True},
        "tooltip": {"mode": "details"},
    }
    return panel


def choice(name: str, title: Words, sql: str) -> Json:
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


def entry(name: str, title: Words, value: str = "") -> Json:
    """A variable that a person types."""
    return {
        "type": "textbox",
        "name": name,
        "label": title,
        "query": value,
        "current": {"text": value, "value": value},
        "options": [{"text": value, "value": value, "selected": True}],
        "hide": 0,
    }


def board(
    uid: str,
    title: Words,
    rows: Sequence[Sequence[Json]],
    *,
    variables: Sequence[Json],
    since: str = "now-24h",
    refresh: str = "1m",
) -> Json:
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
        "uid": f"{uid}@suffix",
        "title": title,
        "tags": ["anxin", "anxin-@lang"],
        "timezone": "Asia/Shanghai",
        "schemaVersion": 41,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": refresh,
        "time": {"from": since, "to": "now"},
        "timepicker": {},
        "templating": {"list": list(variables)},
        "annotations": {"list": []},
        "links": [
            {
                "type": "dashboards",
                "title": Words("其他看板", "Other boards"),
                "tags": ["anxin-@lang"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
                "icon": "external link",
                "targetBlank": False,
                "tooltip": "",
                "url": "",
            }
        ],
        "panels": panels,
    }


def spoken(made: Any, lang: str) -> Any:
    """The same board in one language, `zh` or `en`."""
    if isinstance(made, Words):
        return made.zh if lang == "zh" else made.en
    if isinstance(made, str):
        return made.replace("@lang", lang).replace("@suffix", "" if lang == "zh" else "-en")
    if isinstance(made, dict):
        return {key: spoken(value, lang) for key, value in made.items()}
    if isinstance(made, list | tuple):
        return [spoken(value, lang) for value in made]
    return made
